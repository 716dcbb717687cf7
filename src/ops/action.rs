//! One step of a plan as the saga runs it: through [`crate::aws`], with the egress check and the naming of blockers
//! that need a whole snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{self, CheckReport, Chosen, Overall};
use super::observe;
use crate::aws::{self, Session};
use crate::model::{InstanceId, Network, PingStatus, ResourceId};
use crate::plan::{self, Blocker, Call, Output, Ref, Step};
use crate::reach::{Role, Verdict};
use crate::saga::{Action, Progress};

/// How long a new instance may take until its SSM agent answers. AWS says within minutes of the boot.
const AGENT_DEADLINE: Duration = Duration::from_secs(300);
/// How often an egress check that finds no egress is made again: a new route takes a moment to apply.
const EGRESS_TRIES: u32 = 4;
/// Before the second try; twice as long before each further one. In all longer than AWS's describes lag.
const FIRST_PAUSE: Duration = Duration::from_millis(600);

/// Why a step failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// AWS refused because something else is in the way, and this is what.
    #[error("{error}; in the way: {}", sentences(blockers))]
    Blocked { error: aws::Error, blockers: Vec<Blocker> },
    #[error("{}", egress_sentence(.0))]
    Egress(CheckReport),
    #[error("{0}")]
    Unresolved(#[from] plan::Unresolved),
}

impl StepError {
    /// Whether AWS says that something which the step needs is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Aws(error) if error.is_not_found())
    }
}

fn sentences(blockers: &[Blocker]) -> String {
    blockers.iter().map(|b| format!("{}. {}", b.why, b.next_move)).collect::<Vec<_>>().join("; ")
}

/// The first instance that does not leave by the NAT, and why.
fn egress_sentence(report: &CheckReport) -> String {
    match report.results.iter().find(|row| row.verdict != Verdict::ViaNat) {
        Some(row) => {
            let reason = row.reason.as_deref().unwrap_or("no reason is known");
            format!("{}: {}: {reason}; natdeck check asks again", row.instance_id, row.verdict.label())
        }
        None => "there is no private instance to ask; natdeck check asks again".to_owned(),
    }
}

/// Acts on AWS.
#[derive(Debug, Clone)]
pub struct AwsAction {
    session: Session,
}

impl AwsAction {
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// When AWS says that something is in use without saying by what: looks and names it.
    async fn name_blockers(&self, step: &Step, error: aws::Error) -> StepError {
        let Some(resource) = deleted_by(&step.call).filter(|_| error.is_dependency_violation()) else {
            return error.into();
        };
        let network = observe(&self.session, None, None).await;
        let blockers = plan::blockers_of(&network, &resource);
        if blockers.is_empty() { error.into() } else { StepError::Blocked { error, blockers } }
    }

    /// Waits for the agents, then asks the instances.
    async fn check_egress(
        &self,
        instances: &[InstanceId],
        nat: &InstanceId,
        progress: &Progress,
    ) -> Result<Output, StepError> {
        let mut network = self.agents_online(instances.iter().chain([nat]), progress).await;
        let mut chosen: Vec<Chosen> =
            instances.iter().map(|id| Chosen { instance_id: id.clone(), role: Role::Client }).collect();
        chosen.push(Chosen { instance_id: nat.clone(), role: Role::Nat });
        let mut tries = 0;
        loop {
            tries += 1;
            let report = check::check(&self.session, &network, &chosen, &mut |_| {}).await;
            if report.overall() == Overall::Ok {
                return Ok(Output::None);
            }
            if tries == EGRESS_TRIES {
                return Err(StepError::Egress(report));
            }
            progress.say(format!("not yet: try {} of {EGRESS_TRIES}", tries + 1));
            tokio::time::sleep(FIRST_PAUSE * (1 << (tries - 1))).await;
            // What the route promises may only now be visible.
            network = observe(&self.session, None, None).await;
        }
    }

    /// The first snapshot in which SSM has all of them online, or the last one before the deadline.
    async fn agents_online(
        &self,
        instances: impl Iterator<Item = &InstanceId> + Clone,
        progress: &Progress,
    ) -> Network {
        let deadline = tokio::time::Instant::now() + AGENT_DEADLINE;
        let mut pause = Duration::from_millis(50);
        loop {
            let network = observe(&self.session, None, None).await;
            let online = |id: &&InstanceId| match network.managed_instances.get(id) {
                Ok(managed) => managed.is_some_and(|managed| managed.ping_status == PingStatus::Online),
                // Not knowable, so not worth waiting for: the check itself will say.
                Err(_) => true,
            };
            let waiting = instances.clone().filter(|id| !online(id)).count();
            if waiting == 0 || tokio::time::Instant::now() >= deadline {
                return network;
            }
            progress.say(format!("waiting for the SSM agent of {waiting} instances"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

impl Action for AwsAction {
    type Step = Step;
    type Output = Output;
    type Error = StepError;

    async fn check(
        &self,
        step: &Step,
        outputs: &BTreeMap<String, Output>,
        token: &str,
    ) -> Result<Option<Output>, StepError> {
        if matches!(step.call, Call::CheckEgress { .. }) {
            return Ok(None);
        }
        Ok(Box::pin(aws::check(&self.session, step, outputs, token)).await?)
    }

    async fn apply(
        &self,
        step: &Step,
        outputs: &BTreeMap<String, Output>,
        token: &str,
        progress: &Progress,
    ) -> Result<Output, StepError> {
        if let Call::CheckEgress { instances, nat } = &step.call {
            let ids: Result<Vec<InstanceId>, _> = instances.iter().map(|id| Ref::resolve(id, outputs)).collect();
            return Box::pin(self.check_egress(&ids?, &nat.resolve(outputs)?, progress)).await;
        }
        match Box::pin(aws::apply(&self.session, step, outputs, token, progress_to(progress))).await {
            Ok(output) => Ok(output),
            Err(error) => Err(Box::pin(self.name_blockers(step, error)).await),
        }
    }

    async fn undo(
        &self,
        step: &Step,
        output: &Output,
        outputs: &BTreeMap<String, Output>,
        _progress: &Progress,
    ) -> Result<(), StepError> {
        Ok(Box::pin(aws::undo(&self.session, step, output, outputs)).await?)
    }
}

/// `aws` knows no saga: it is given a function to speak to.
fn progress_to(progress: &Progress) -> impl Fn(String) + Send + Sync + '_ {
    |text| progress.say(text)
}

/// What a call deletes, for the question of what is in its way.
fn deleted_by(call: &Call) -> Option<ResourceId> {
    Some(match call {
        Call::DeleteNetworkInterface { network_interface } => network_interface.into(),
        Call::DeleteSecurityGroup { group } => group.into(),
        Call::DeleteRouteTable { route_table } => route_table.into(),
        Call::DeleteSubnet { subnet } => subnet.into(),
        Call::DetachInternetGateway { internet_gateway, .. } | Call::DeleteInternetGateway { internet_gateway } => {
            internet_gateway.into()
        }
        Call::DeleteVpc { vpc } => vpc.into(),
        Call::ReleaseAddress { allocation_id } => allocation_id.into(),
        _ => return None,
    })
}
