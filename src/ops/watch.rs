//! One round of a watch: look, check, and see what changed since the round before.

use std::sync::Arc;

use jiff::Timestamp;

use super::{CheckReport, ChooseError, Overall, check, choose, observe};
use crate::aws::Session;
use crate::model::{InstanceId, Network, VpcId};
use crate::reach::history::{Round, Watch};

/// What a round found.
#[derive(Debug)]
pub struct WatchRound {
    pub network: Arc<Network>,
    pub report: CheckReport,
    /// What changed with it.
    pub round: Round,
    pub overall: Overall,
}

/// Checks the instances that were asked for, or every private one in `vpc` (or everywhere) and the NATs they use, and
/// takes the answers into `watch`. `earlier`: what the round before saw. An instance that is gone is forgotten.
pub async fn watch_round(
    session: &Session,
    watch: &mut Watch,
    asked: &[InstanceId],
    vpc: Option<&VpcId>,
    earlier: Option<&Network>,
) -> Result<WatchRound, ChooseError> {
    let mut network = observe(session, vpc, earlier).await;
    let asked: Vec<InstanceId> = match earlier {
        // Who was there at the beginning and is not any more does not end the watch of the others.
        Some(_) => asked.iter().filter(|id| !matches!(network.instances.get(id), Ok(None))).cloned().collect(),
        None => asked.to_vec(),
    };
    let chosen = choose(&network, &asked, vpc)?;
    let report = check(session, &network, &chosen, &mut |_| {}).await;
    if watch.is_news(&network, &report.results) && watch.notes(&network).is_empty() {
        // What changed may have happened between the look and the question.
        network = observe(session, vpc, Some(&network)).await;
    }
    let network = Arc::new(network);
    watch.retain(|id| network.instances.get(id).is_ok_and(|instance| instance.is_some()));
    let round = watch.record(&network, &report.results, Timestamp::now());
    let deviates = |id: &InstanceId| watch.histories.get(id).is_some_and(|history| history.finding().is_some());
    let overall = match report.overall() {
        Overall::Ok if report.results.iter().any(|row| deviates(&row.instance_id)) => Overall::Broken,
        overall => overall,
    };
    Ok(WatchRound { network, report, round, overall })
}
