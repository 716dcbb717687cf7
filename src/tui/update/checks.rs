//! Egress checks: whom to ask, and the answers as they arrive.

use std::sync::Arc;

use crate::model::{Instance, InstanceId, InstanceState, Network, VpcId};
use crate::reach::CheckProgress;
use crate::tui::effect::{Effect, Generation};
use crate::tui::message::Failure;
use crate::tui::model::{CheckRow, Model, Pace, Pane, Refresh, Watching};
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

/// Begins to ask the instances of the Checks pane, or all, again and again; or stops it.
pub(super) fn watch(model: &mut Model, effects: &mut Vec<Effect>) {
    super::reveal_pane(model, Pane::Checks);
    if model.checks.watching.is_some() {
        stop_watch(model);
        return;
    }
    if model.pace != Pace::Live {
        model.toast(Tone::Warn, "The picture is frozen: nothing is watched.");
        return;
    }
    let mut ids: Vec<InstanceId> = model.checks.rows.iter().map(|row| row.instance_id.clone()).collect();
    if ids.is_empty() {
        let vpc = model.settings.vpc_id.clone();
        ids = instances(model, |i| vpc.is_none() || i.vpc_id.as_ref().map(VpcId::as_str) == vpc.as_deref());
    }
    if ids.is_empty() {
        model.toast(Tone::Warn, "No instance here that could be watched.");
        return;
    }
    model.checks.watching = Some(Watching { instance_ids: ids, asked_at: model.now });
    round(model, effects);
}

pub(super) fn stop_watch(model: &mut Model) {
    if model.checks.watching.take().is_some() {
        model.checks.queued.clear();
        model.toast(Tone::Text, "The watch has ended.");
    }
}

/// Begins the next round when it is due and the one before has ended.
pub(super) fn watch_on(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(watching) = &model.checks.watching else { return };
    let due = model.now.duration_since(watching.asked_at).as_secs() >= model.settings.watch_every_s;
    if due && model.checks.asking.is_none() && model.checks.queued.is_empty() {
        round(model, effects);
    }
}

/// A round asks on a new snapshot, so that what changed in the VPC is seen with the answers.
fn round(model: &mut Model, effects: &mut Vec<Effect>) {
    let now = model.now;
    let Some(watching) = &mut model.checks.watching else { return };
    watching.asked_at = now;
    model.checks.queued = watching.instance_ids.clone();
    if model.refresh == Refresh::Idle {
        super::answers::refresh(model, false, effects);
    }
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
    model.checks.history.retain(|id| !is_gone(id));
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
    let Some((_, since)) = model.checks.asking.filter(|(asked, _)| *asked == generation) else { return };
    model.checks.asking = None;
    // Whoever was asked and never answered has no verdict: that is not "no egress".
    model.checks.rows.retain(|row| row.result.is_some());
    match result {
        Ok(()) => {
            let count = model.checks.count();
            let tone = if count.via_nat == count.all { Tone::Ok } else { Tone::Warn };
            let told = record(model, since);
            if !told && model.checks.watching.is_none() {
                model.toast(tone, format!("Checked: {count}."));
            }
        }
        Err(failure) => {
            model.toast(Tone::Bad, failure.to_string());
            model.checks.failure = Some(failure);
        }
    }
}

/// Takes the answers since then into the history, and tells the first change. False: nothing changed.
fn record(model: &mut Model, since: jiff::Timestamp) -> bool {
    let Some(network) = model.seen().map(|seen| seen.network.clone()) else { return false };
    let fresh = model.checks.rows.iter().filter(|row| row.answered_at.is_some_and(|at| at >= since));
    let results: Vec<_> = fresh.filter_map(|row| row.result.clone()).collect();
    let round = model.checks.history.record(&network, &results, model.now);
    if let Some(turn) = round.turns.first() {
        let tone = if turn.kind.is_good() { Tone::Ok } else { Tone::Bad };
        model.toast(tone, turn.sentence());
    }
    !round.turns.is_empty()
}
