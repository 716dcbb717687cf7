//! Carries out one step of a plan: is it so already, make it so, take it back, would it be allowed.
//!
//! What may not happen twice is looked for before it is tried again: by client token where AWS has one, else by the
//! step's tags, else by its effect. States are waited for with back-off and a deadline.

mod delete;
mod find;
mod host;
mod iam;
mod make;
mod repair;
mod request;
mod settle;
mod undo;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::{Error, Kind};
use super::poll::Backoff;
use super::session::Session;
use crate::model::World;
use crate::plan::{Call, Output, Outputs, Step};

/// How long at least the effect of a call whose answer was lost is looked for before the call is made again: AWS may
/// still be at it.
const LOST_ANSWER: Duration = Duration::from_secs(4);
/// How long a resource just made may be `…NotFound` for calls that refer to it.
const CONSISTENCY: Duration = Duration::from_secs(20);
/// How often a call whose answers are lost is made.
const TRIES: u32 = 4;

/// One step with all that is needed to act on it.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    session: &'a Session,
    step: &'a Step,
    outputs: &'a Outputs,
    /// The client token of this effect.
    token: &'a str,
    say: &'a (dyn Fn(String) + Send + Sync),
}

/// The answer to `DryRun`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// AWS would do it.
    Allowed,
    /// The caller lacks a permission: `ec2:CreateVpc`, and AWS's message.
    Denied { action: String, message: String },
    /// The operation, or a custom endpoint, does not promise to leave things alone when asked for a dry run.
    NotSupported,
    /// What the call refers to does not exist yet.
    Unresolved,
}

/// Is it so already? `Some`: what exists, in the state that the next step needs.
///
/// `None` is said only after what might just not be visible yet has been looked for again. It holds for making the
/// effect as well as for taking it back, so a client token is no reason to look less. Questions and deletions leave
/// nothing to look for.
pub async fn check(session: &Session, step: &Step, outputs: &Outputs, token: &str) -> Result<Option<Output>, Error> {
    // A repair may be made twice.
    if !step.call.changes() || is_deletion(&step.call) || matches!(step.call, Call::Repair(_)) {
        return Ok(None);
    }
    let context = Context { session, step, outputs, token, say: &|_| {} };
    match on_heap(|| find::patiently(context, session.lag())).await? {
        Some(output) => on_heap(|| settle::settle(context, output)).await.map(Some),
        None => Ok(None),
    }
}

/// Makes it so and waits for the state that the next step needs. `token` is the client token of this effect; `say` is
/// told what is being waited for. [`Call::CheckEgress`] is not for here: [`Kind::NotHere`].
pub async fn apply(
    session: &Session,
    step: &Step,
    outputs: &Outputs,
    token: &str,
    say: impl Fn(String) + Send + Sync,
) -> Result<Output, Error> {
    let context = Context { session, step, outputs, token, say: &say };
    match &step.call {
        Call::CheckEgress { .. } => {
            Err(Error::new(Kind::NotHere, "SendCommand", "the egress check is made by its own use case"))
        }
        Call::VerifyHost { instance } => {
            let instance = instance.resolve(outputs)?;
            on_heap(|| host::verify(context, &instance)).await
        }
        Call::Repair(call) => on_heap(|| repair::make(context, call)).await.map(|()| Output::None),
        call if is_deletion(call) => on_heap(|| delete::delete(context)).await.map(|()| Output::None),
        _ => {
            let output = on_heap(|| make_once(context)).await?;
            on_heap(|| settle::settle(context, output)).await
        }
    }
}

/// Takes the effect back and waits until it is gone. What is gone already counts as taken back. Deletions cannot be
/// taken back: [`Kind::NotHere`].
pub async fn undo(session: &Session, step: &Step, output: &Output, outputs: &Outputs) -> Result<(), Error> {
    let context = Context { session, step, outputs, token: "", say: &|_| {} };
    on_heap(|| undo::undo(context, output)).await
}

/// Would AWS do it? Sends the call with `DryRun`, which changes nothing.
pub async fn dry_run(session: &Session, step: &Step, outputs: &Outputs) -> Result<DryRun, Error> {
    // An endpoint that is not AWS may ignore the flag and act.
    if !step.call.can_dry_run() || matches!(session.world(), World::Endpoint(_)) {
        return Ok(DryRun::NotSupported);
    }
    let context = Context { session, step, outputs, token: "", say: &|_| {} };
    let error = match on_heap(|| request::dry_run(context)).await {
        Ok(()) => return Err(Error::new(Kind::BadAnswer, step.operation(), "a dry run was carried out")),
        Err(error) => error,
    };
    match error.kind {
        Kind::DryRunOk => Ok(DryRun::Allowed),
        // AWS looks at the permission first, so these passed it.
        Kind::NotFound | Kind::Duplicate | Kind::InUse => Ok(DryRun::Allowed),
        Kind::Unresolved(_) => Ok(DryRun::Unresolved),
        Kind::NotHere => Ok(DryRun::NotSupported),
        Kind::Denied => {
            let action = format!("{}:{}", step.service(), step.operation());
            Ok(DryRun::Denied { action, message: error.message })
        }
        _ => Err(error),
    }
}

/// Sends the call; when the answer is lost, looks for the effect before it sends again.
async fn make_once(context: Context<'_>) -> Result<Output, Error> {
    let mut tries = 1;
    loop {
        let error = match eventually(context).await {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        if error.is_duplicate() || error.has_code("LimitExceeded") || error.kind == Kind::InUse {
            // There already: ours, from a call whose answer was lost, or somebody else's.
            return match find::patiently(context, context.session.lag()).await? {
                Some(output) => Ok(output),
                None => Err(error),
            };
        }
        if !error.is_ambiguous() || tries == TRIES {
            return Err(error);
        }
        tries += 1;
        (context.say)(format!("{}: the answer was lost, looking for its effect", context.step.operation()));
        if let Some(output) = find::patiently(context, context.session.lag().max(LOST_ANSWER)).await? {
            return Ok(output);
        }
    }
}

/// Sends the call, and again for as long as what it refers to may only not be visible yet.
async fn eventually(context: Context<'_>) -> Result<Output, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), CONSISTENCY);
    loop {
        let error = match make::make(context).await {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let not_yet = error.is_not_found() && refers_to_made(context)
            // IAM's answer reaches EC2 late, and EC2 has no code of its own for it.
            || matches!(&context.step.call, Call::RunInstances(launch) if launch.instance_profile_name.is_some())
                && error.is_invalid_parameter("iamInstanceProfile");
        if !not_yet {
            return Err(error);
        }
        (context.say)(format!("{}: not visible to AWS everywhere yet", context.step.operation()));
        if !backoff.wait().await {
            return Err(error);
        }
    }
}

/// Whether anything that this saga made may be meant by a `…NotFound`.
fn refers_to_made(context: Context<'_>) -> bool {
    !context.outputs.is_empty()
}

/// Makes a future in a stack frame that is gone again before it runs. The SDK's take 10 to 20 KB each, and a function
/// that may send one of thirty calls would else hold room for all of them while it waits.
fn on_heap<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

fn is_deletion(call: &Call) -> bool {
    matches!(
        call,
        Call::DeleteRoute { .. }
            | Call::TerminateInstances { .. }
            | Call::DetachNetworkInterface { .. }
            | Call::DeleteNetworkInterface { .. }
            | Call::DisassociateAddress { .. }
            | Call::ReleaseAddress { .. }
            | Call::DeleteVpcEndpoints { .. }
            | Call::RevokeSecurityGroupIngress { .. }
            | Call::DeleteSecurityGroup { .. }
            | Call::DisassociateRouteTable { .. }
            | Call::DeleteRouteTable { .. }
            | Call::DeleteSubnet { .. }
            | Call::DetachInternetGateway { .. }
            | Call::DeleteInternetGateway { .. }
            | Call::DeleteVpc { .. }
            | Call::RemoveRoleFromInstanceProfile { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeleteInstanceProfile { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteTags { .. }
    )
}
