//! The commands that look: `tree` and `check`.

use color_eyre::eyre::{self, bail};

use super::arguments::{CheckArguments, Output, TreeArguments};
use super::output::{check_json, check_row, check_text, tree_json, tree_text};
use super::{Answer, Context, Terminal, audit, watch};
use crate::model::{Identity, InstanceId, Network, VpcId};
use crate::ops::{self, Overall};
use crate::reach::CheckProgress;

/// An answer that holds nothing but gaps is no answer: the first reason is the error.
pub(super) fn refuse_blindness(network: &Network) -> eyre::Result<()> {
    if network.vpcs.gap().is_some()
        && network.subnets.gap().is_some()
        && network.instances.gap().is_some()
        && let Some(gap) = network.gaps().first()
    {
        bail!("nothing could be observed: {gap}");
    }
    Ok(())
}

pub async fn tree(context: &Context, arguments: &TreeArguments) -> eyre::Result<Answer> {
    let session = context.connect().await?;
    let (identity, network) =
        tokio::join!(session.caller_identity(), ops::observe(&session, arguments.vpc.as_ref(), None));
    refuse_blindness(&network)?;
    let identity = identity.unwrap_or_else(|_| session.identity());
    if let Some(vpc) = &arguments.vpc
        && let Ok(None) = network.vpcs.get(vpc)
    {
        bail!("there is no VPC {vpc} in {}; natdeck tree lists the VPCs", network.region);
    }
    print_tree(&context.terminal, arguments, &identity, &network)
}

pub(super) fn print_tree(
    terminal: &Terminal,
    arguments: &TreeArguments,
    identity: &Identity,
    network: &Network,
) -> eyre::Result<Answer> {
    match arguments.output {
        Output::Json => terminal.json(&tree_json(identity, network))?,
        Output::Text => terminal.document(&tree_text(identity, network))?,
    }
    Ok(Answer::Yes)
}

pub async fn check(context: &Context, arguments: &CheckArguments) -> eyre::Result<Answer> {
    if let Some(interval) = arguments.watch {
        return watch::watch(context, arguments, interval).await;
    }
    if arguments.explain {
        return audit::audit(context, arguments).await;
    }
    let session = context.connect().await?;
    let network = ops::observe(&session, arguments.vpc.as_ref(), None).await;
    refuse_blindness(&network)?;
    let chosen = ops::choose(&network, &arguments.instances, arguments.vpc.as_ref())?;
    let terminal = &context.terminal;
    let report = ops::check(&session, &network, &chosen, &mut |progress| {
        if let CheckProgress::Started { instance_ids } = progress {
            terminal.say(&format!("asking {} instances for {}", instance_ids.len(), ops::FIRST));
        } else if let CheckProgress::Answered(row) = progress
            && arguments.output == Output::Json
        {
            terminal.say(&check_row(terminal.err, &row));
        }
    })
    .await;
    let overall = report.overall();
    let asked: Vec<_> = chosen.iter().map(|chosen| &chosen.instance_id).collect();
    let vpc = arguments.vpc.as_ref().or_else(|| the_only_vpc(&network, &asked));
    match arguments.output {
        Output::Json => {
            let document = check_json(&session.identity(), vpc, overall == Overall::Ok, &report.results);
            terminal.json(&document)?;
        }
        Output::Text => terminal.document(&check_text(terminal.out, &report.results))?,
    }
    Ok(overall.into())
}

impl From<Overall> for Answer {
    fn from(overall: Overall) -> Self {
        match overall {
            Overall::Ok => Self::Yes,
            Overall::Broken => Self::No,
            Overall::CannotTest => Self::CannotTest,
        }
    }
}

/// The VPC of the chosen instances, when it is one.
pub(super) fn the_only_vpc<'a>(network: &'a Network, chosen: &[&InstanceId]) -> Option<&'a VpcId> {
    let mut vpcs: Vec<_> =
        chosen.iter().filter_map(|id| network.instances.shown().get(id.as_str())?.vpc_id.as_ref()).collect();
    vpcs.sort();
    vpcs.dedup();
    match vpcs.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}
