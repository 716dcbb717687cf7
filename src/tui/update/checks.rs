//! Egress checks: whom to ask, and the answers as they arrive.

use std::sync::Arc;

use crate::model::{Instance, InstanceId, InstanceState, Network, VpcId};
use crate::reach::CheckProgress;
use crate::tui::effect::{Effect, Generation};
use crate::tui::message::Failure;
use crate::tui::model::{CheckRow, Model, Pane};
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, Seen, What};

/// The marked instances, or the selected one, or those of the selected subnet or VPC.
pub(super) fn here(model: &mut Model, effects: &mut Vec<Effect>) {
    let ids = if model.marks.is_empty() {
        match model.selected_instance() {
            Some(id) => vec![id],
            None => match model.selected().map(|node| node.what.clone()) {
                Some(What::Resource(Kind::Subnet, id)) => {
                    instances(model, |i| i.subnet_id.as_ref().is_some_and(|s| s.as_str() == id.as_ref()))
                }
                Some(What::Resource(Kind::Vpc, id)) => {
                    instances(model, |i| i.vpc_id.as_ref().is_some_and(|v| v.as_str() == id.as_ref()))
                }
                _ => Vec::new(),
            },
        }
    } else {
        model.marks.iter().cloned().collect()
    };
    ask(model, ids, effects);
}

/// Every instance of the VPC that the console was started for, or of the region.
pub(super) fn all(model: &mut Model, effects: &mut Vec<Effect>) {
    let vpc = model.settings.vpc_id.clone();
    let ids = instances(model, |i| vpc.is_none() || i.vpc_id.as_ref().map(VpcId::as_str) == vpc.as_deref());
    ask(model, ids, effects);
}

fn instances(model: &Model, wanted: impl Fn(&Instance) -> bool) -> Vec<InstanceId> {
    let Some(seen) = model.seen() else { return Vec::new() };
    let shown = seen.network.instances.shown().values();
    shown
        .filter(|i| !matches!(i.state, InstanceState::Terminated | InstanceState::ShuttingDown) && wanted(i))
        .map(|i| i.instance_id.clone())
        .collect()
}

fn ask(model: &mut Model, ids: Vec<InstanceId>, effects: &mut Vec<Effect>) {
    if model.checks.asking.is_some() {
        model.toast(Tone::Warn, "A check is under way.");
        super::reveal_pane(model, Pane::Checks);
        return;
    }
    let Some(network) = model.seen().map(|seen| seen.network.clone()) else {
        model.toast(Tone::Warn, "Nothing has been seen yet that could be checked.");
        return;
    };
    if ids.is_empty() {
        model.toast(Tone::Warn, "No instance here. Select one, or a subnet or VPC with some.");
        return;
    }
    begin(model, network, ids, effects);
    super::reveal_pane(model, Pane::Checks);
}

fn begin(model: &mut Model, network: Arc<Network>, ids: Vec<InstanceId>, effects: &mut Vec<Effect>) {
    let generation = model.ask();
    model.checks.asking = Some((generation, model.now));
    model.checks.failure = None;
    started(model, &ids);
    effects.push(Effect::Check { generation, network, instance_ids: ids });
}

/// Asks those that wait for a new snapshot, in the background.
pub(super) fn queued(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.checks.queued.is_empty() || model.checks.asking.is_some() {
        return;
    }
    let Some(network) = model.seen().map(|seen| seen.network.clone()) else { return };
    let mut ids = std::mem::take(&mut model.checks.queued);
    ids.retain(|id| network.instances.shown().contains_key(id.as_str()));
    if !ids.is_empty() {
        begin(model, network, ids, effects);
    }
}

/// Drops the verdicts on instances that are gone; those that are being asked have none.
pub(super) fn forget_gone(model: &mut Model, seen: &Seen) {
    let is_gone = |id: &InstanceId| {
        let instance = seen.network.instances.shown().get(id.as_str());
        instance.is_none_or(|i| matches!(i.state, InstanceState::Terminated | InstanceState::ShuttingDown))
    };
    model.checks.rows.retain(|row| row.result.is_none() || !is_gone(&row.instance_id));
}

/// Something was changed in AWS: verdicts from before tell how things were.
pub(super) fn outdate(model: &mut Model) {
    for row in &mut model.checks.rows {
        row.outdated = row.result.is_some();
    }
}

/// Makes room for answers.
fn started(model: &mut Model, ids: &[InstanceId]) {
    for id in ids {
        let row = CheckRow { instance_id: id.clone(), result: None, answered_at: None, outdated: false };
        match model.checks.rows.iter_mut().find(|row| &row.instance_id == id) {
            Some(old) => *old = row,
            None => model.checks.rows.push(row),
        }
    }
}

pub(super) fn progress(model: &mut Model, generation: Generation, progress: CheckProgress) {
    if model.checks.asking.is_none_or(|(asked, _)| asked != generation) {
        return;
    }
    match progress {
        CheckProgress::Started { instance_ids } => started(model, &instance_ids),
        CheckProgress::Answered(result) => {
            let now = model.now;
            let row = CheckRow {
                instance_id: result.instance_id.clone(),
                result: Some(*result),
                answered_at: Some(now),
                outdated: false,
            };
            match model.checks.rows.iter_mut().find(|old| old.instance_id == row.instance_id) {
                Some(old) => *old = row,
                None => model.checks.rows.push(row),
            }
        }
    }
}

pub(super) fn ended(model: &mut Model, generation: Generation, result: Result<(), Failure>) {
    if model.checks.asking.is_none_or(|(asked, _)| asked != generation) {
        return;
    }
    model.checks.asking = None;
    // Whoever was asked and never answered has no verdict: that is not "no egress".
    model.checks.rows.retain(|row| row.result.is_some());
    match result {
        Ok(()) => {
            let count = model.checks.count();
            let tone = if count.via_nat == count.all { Tone::Ok } else { Tone::Warn };
            model.toast(tone, format!("Checked: {count}."));
        }
        Err(failure) => {
            model.toast(Tone::Bad, failure.to_string());
            model.checks.failure = Some(failure);
        }
    }
}
