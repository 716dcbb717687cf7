//! `check --explain`: why, once for all instances that share their fate.

use color_eyre::eyre;
use jiff::Timestamp;

use super::arguments::{CheckArguments, Output, TestsName};
use super::inspect::{refuse_blindness, the_only_vpc};
use super::output::{audit_json, audit_text};
use super::{Answer, Context, Terminal};
use crate::model::{Identity, InstanceId, Network, VpcId};
use crate::ops::{self, AuditProgress, AuditReport, Chosen, Tests};

pub async fn audit(context: &Context, arguments: &CheckArguments) -> eyre::Result<Answer> {
    let session = context.connect().await?;
    let network = ops::observe(&session, arguments.vpc.as_ref(), None).await;
    refuse_blindness(&network)?;
    let chosen = ops::choose(&network, &arguments.instances, arguments.vpc.as_ref())?;
    let tests = match arguments.tests {
        TestsName::None => Tests::None,
        TestsName::One => Tests::One,
        TestsName::Every => Tests::Every,
    };
    let report = ops::audit(&session, &network, &chosen, tests, &mut |progress| {
        context.terminal.say(&match progress {
            AuditProgress::Begun { instances, fates, hosts } => {
                format!("instances: {instances}, fates: {fates}; hosts on their ways that are asked: {hosts}")
            }
            AuditProgress::Testing(count) => format!("asking for {}: {count}", ops::FIRST),
            AuditProgress::Looking(count) => {
                format!("asking for their own settings, as they got nothing: {count}")
            }
        });
    })
    .await;
    print(&context.terminal, arguments, &session.identity(), &network, &chosen, &report, Timestamp::now())
}

/// Prints what was found; the answer is the exit code. Ages are as of `now`.
pub fn print(
    terminal: &Terminal,
    arguments: &CheckArguments,
    identity: &Identity,
    network: &Network,
    chosen: &[Chosen],
    report: &AuditReport,
    now: Timestamp,
) -> eyre::Result<Answer> {
    let asked: Vec<&InstanceId> = chosen.iter().map(|one| &one.instance_id).collect();
    let vpc = arguments.vpc.as_ref().or_else(|| the_only_vpc(network, &asked));
    let others =
        if arguments.instances.is_empty() { not_private(network, arguments.vpc.as_ref(), &asked) } else { Vec::new() };
    match arguments.output {
        Output::Json => terminal.json(&audit_json(identity, network, vpc, report, &others))?,
        Output::Text => {
            let text = audit_text(terminal.out, network, report, &others, now);
            terminal.document(&text)?;
        }
    }
    Ok(report.overall().into())
}

/// Who was left out because its subnet leads straight to the internet.
fn not_private(network: &Network, vpc: Option<&VpcId>, asked: &[&InstanceId]) -> Vec<InstanceId> {
    let asked: std::collections::BTreeSet<&InstanceId> = asked.iter().copied().collect();
    let here = network.instances.shown().values().filter(|instance| vpc.is_none() || instance.vpc_id.as_ref() == vpc);
    let others = here.filter(|instance| instance.subnet_id.is_some() && !asked.contains(&instance.instance_id));
    others.map(|instance| instance.instance_id.clone()).collect()
}
