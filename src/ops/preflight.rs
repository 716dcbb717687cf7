//! Before the first step: does AWS let us do all of it? Every EC2 call that can be is sent with `DryRun`, so that a
//! missing permission shows before anything exists.

use futures::StreamExt as _;
use futures::stream;

use crate::aws::{self, DryRun, Session};
use crate::plan::{Plan, Step};

/// Dry runs under way at once.
const AT_ONCE: usize = 8;

/// A step that AWS would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `Create the VPC 10.8.0.0/16`.
    pub title: String,
    /// `ec2:CreateVpc`.
    pub action: String,
}

/// Which steps of the plan AWS would refuse. Steps whose inputs do not exist yet cannot be asked about.
pub async fn preflight(session: &Session, plan: &Plan) -> Result<Vec<Denied>, aws::Error> {
    let outputs = plan.outputs();
    let ask = async |step: &Step| match aws::dry_run(session, step, &outputs).await {
        Ok(DryRun::Denied { action, .. }) => Ok(Some(Denied { title: step.title.clone(), action })),
        // Whatever else AWS says of a world in which the earlier steps have not happened is no verdict on permissions.
        Err(error) if error.is_fatal() => Err(error),
        Ok(_) | Err(_) => Ok(None),
    };
    let steps: Vec<&Step> = plan.to_do().filter(|step| step.call.can_dry_run()).collect();
    let answers: Vec<Result<Option<Denied>, aws::Error>> =
        stream::iter(steps.into_iter().map(ask)).buffered(AT_ONCE).collect().await;
    let mut denied = Vec::new();
    for answer in answers {
        denied.extend(answer?);
    }
    Ok(denied)
}
