//! Answers to the questions that the console asked: identity, observation, walks, the API log.

use std::sync::Arc;

use crate::model::{ApiCall, Identity, InstanceId, Network};
use crate::reach::Trace;
use crate::tui::detail;
use crate::tui::effect::{Effect, Generation, WalkDepth};
use crate::tui::message::Failure;
use crate::tui::model::{LOG_LIMIT, Model, Pace, Pane, Picture, Refresh, Sight};
use crate::tui::theme::Tone;
use crate::tui::tree::{self, Kind, Seen, What};

use super::{checks, diagnosis};

/// How long a change stays marked when nobody refreshes by hand.
const MARKS_STAY_S: i64 = 60;
/// The hosts on a way are not asked again unasked before this.
const HOSTS_PAUSE_S: i64 = 60;
/// What the hosts said is asked anew after this, as long as their way is on the screen.
const HOSTS_STALE_S: i64 = 300;

/// Asks for a new snapshot. An older question still under way is forgotten: its answer will be late.
pub(super) fn refresh(model: &mut Model, by_hand: bool, effects: &mut Vec<Effect>) {
    if model.pace != Pace::Live {
        return;
    }
    let generation = model.ask();
    model.asked_at = model.now;
    model.refresh = Refresh::Asking { generation, since: model.now, by_hand };
    effects.push(Effect::Observe { generation });
}

pub(super) fn identified(model: &mut Model, result: Result<Identity, Failure>) {
    match result {
        Ok(identity) => {
            model.identity = identity;
            model.identity_failure = None;
        }
        Err(failure) => {
            model.toast(Tone::Bad, failure.to_string());
            model.identity_failure = Some(failure);
        }
    }
}

pub(super) fn observed(
    model: &mut Model,
    generation: Generation,
    result: Result<Box<Network>, Failure>,
    effects: &mut Vec<Effect>,
) {
    let by_hand = match &model.refresh {
        Refresh::Asking { generation: asked, by_hand, .. } if *asked == generation => *by_hand,
        Refresh::Asking { .. } | Refresh::Idle => return,
    };
    model.refresh = Refresh::Idle;
    if model.pace != Pace::Live {
        return;
    }
    match result {
        Ok(network) => {
            let first = !matches!(model.sight, Sight::Seen(_));
            show(model, Arc::new(*network), by_hand);
            checks::queued(model, effects);
            diagnosis::looked(model, effects);
            if first {
                open_with(model, effects);
            }
        }
        Err(failure) => {
            model.toast(Tone::Bad, failure.to_string());
            match &mut model.sight {
                Sight::Seen(picture) => picture.failure = Some(failure),
                Sight::Waiting { .. } | Sight::Blind { .. } => model.sight = Sight::Blind { failure },
            }
            diagnosis::looked(model, effects);
        }
    }
}

/// The diagnosis that the console was started for.
fn open_with(model: &mut Model, effects: &mut Vec<Effect>) {
    let (Some(id), Sight::Seen(picture)) = (model.settings.about.clone(), &model.sight) else { return };
    model.tree.reveal(id.as_str(), &picture.seen);
    if model.selected_instance().is_some_and(|selected| selected == id) {
        diagnosis::explain(model, effects);
    }
}

fn show(model: &mut Model, network: Arc<Network>, by_hand: bool) {
    let now = model.now;
    let (baseline, baseline_at, number) = match &model.sight {
        Sight::Seen(old) => {
            let fresh = !by_hand && now.duration_since(old.baseline_at).as_secs() < MARKS_STAY_S;
            if fresh {
                (old.seen.baseline.clone(), old.baseline_at, old.number + 1)
            } else {
                (old.seen.network.clone(), old.at, old.number + 1)
            }
        }
        Sight::Waiting { .. } | Sight::Blind { .. } => (network.clone(), now, 1),
    };
    let seen = Seen::new(network, baseline);
    let first = number == 1;
    let nodes = tree::build(&seen);
    model.tree.replace(nodes, &seen);
    if first && let Some(vpc_id) = &model.settings.vpc_id {
        model.tree.reveal(vpc_id, &seen);
    }
    checks::forget_gone(model, &seen);
    model.marks.retain(|id| seen.network.instances.shown().contains_key(id.as_str()));
    model.ways.retain(|id, _| seen.network.instances.shown().contains_key(id.as_str()));
    let at = model.settings.snapshot_of.unwrap_or(now);
    model.sight = Sight::Seen(Box::new(Picture { seen, at, baseline_at, number, failure: None }));
}

/// Follows the packet of the selected instance when that is on the screen and not yet known for this snapshot.
pub(super) fn walk_selected(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.pane != Pane::Detail || model.layout().pane.is_none() {
        return;
    }
    let Some(What::Resource(Kind::Instance, id)) = model.selected().map(|node| node.what.clone()) else { return };
    let id = InstanceId::new(id.as_ref());
    let age = |at: jiff::Timestamp| model.now.duration_since(at).as_secs();
    let stale = model.ways.get(&id).and_then(|way| way.hosts_at).is_some_and(|at| age(at) >= HOSTS_STALE_S);
    let depth = if stale && may_ask_hosts(model, &id) { WalkDepth::AskHosts } else { WalkDepth::Known };
    walk(model, &id, depth, effects);
}

/// Whether the hosts on a way may be asked without the person's wish: not read-only, where the question is refused,
/// not often, and not several at once.
fn may_ask_hosts(model: &Model, id: &InstanceId) -> bool {
    let age = |at: jiff::Timestamp| model.now.duration_since(at).as_secs();
    let lately = model.ways.get(id).and_then(|way| way.hosts_asked_at).is_some_and(|at| age(at) < HOSTS_PAUSE_S);
    let asking = model.ways.values().any(|way| matches!(way.asking, Some((_, WalkDepth::AskHosts))));
    !model.identity.read_only && !lately && !asking
}

/// What hosts said before a change is not true any more for certain: they are asked again when their way is looked at.
pub(super) fn forget_hosts(model: &mut Model) {
    for way in model.ways.values_mut() {
        (way.hosts_asked_at, way.hosts_at) = (None, None);
    }
}

/// Asks for the way out of an instance, unless it is known for this snapshot or asked for already.
pub(super) fn walk(model: &mut Model, id: &InstanceId, depth: WalkDepth, effects: &mut Vec<Effect>) {
    let Some((number, network)) = model.picture().map(|p| (p.number, p.seen.network.clone())) else { return };
    if !network.instances.shown().contains_key(id.as_str()) {
        return;
    }
    let generation = model.ask();
    let now = model.now;
    let way = model.ways.entry(id.clone()).or_default();
    let asked_for_this =
        way.snapshot == number && (way.asking.is_some() || way.trace.is_some() || way.failure.is_some());
    let hosts_under_way = matches!(way.asking, Some((_, WalkDepth::AskHosts)));
    if depth == WalkDepth::Known && (asked_for_this || hosts_under_way) {
        return;
    }
    way.asking = Some((generation, depth));
    way.snapshot = number;
    way.failure = None;
    if depth == WalkDepth::AskHosts {
        way.hosts_asked_at = Some(now);
    }
    effects.push(Effect::Walk { generation, network, instance_id: id.clone(), depth });
}

pub(super) fn walked(
    model: &mut Model,
    generation: Generation,
    id: &InstanceId,
    result: Result<Box<Trace>, Failure>,
    effects: &mut Vec<Effect>,
) {
    let now = model.now;
    let Some(way) = model.ways.get_mut(id) else { return };
    if way.asking.is_none_or(|(asked, _)| asked != generation) {
        return;
    }
    let asked_hosts = matches!(way.asking, Some((_, WalkDepth::AskHosts)));
    way.asking = None;
    let wants_hosts = !asked_hosts && result.as_ref().is_ok_and(|trace| detail::wants_hosts(trace));
    match result {
        Ok(trace) => {
            if asked_hosts && !detail::wants_hosts(&trace) {
                way.hosts_at = Some(now);
            }
            way.trace = Some(*trace);
            way.failure = None;
        }
        Err(failure) => way.failure = Some(failure),
    }
    let is_selected =
        matches!(&model.detail.of, Some(What::Resource(Kind::Instance, of)) if of.as_ref() == id.as_str());
    if wants_hosts && is_selected && may_ask_hosts(model, id) {
        walk(model, id, WalkDepth::AskHosts, effects);
    }
}

pub(super) fn calls(model: &mut Model, calls: Vec<ApiCall>) {
    model.log.calls.extend(calls);
    let over = model.log.calls.len().saturating_sub(LOG_LIMIT);
    model.log.calls.drain(..over);
    // The selection stays on its entry while older ones fall off the end.
    if let Some(at) = &mut model.log.cursor {
        *at = at.saturating_sub(over);
    }
}
