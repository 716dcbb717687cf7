//! What a run tells: steps that begin, succeed and fail, and how it ends.

use jiff::Timestamp;

use crate::model::InstanceId;
use crate::plan::{Call, Output, Plan, PlanKind};
use crate::saga::{Event, NodeState};
use crate::tui::effect::{Effect, Generation};
use crate::tui::message::RunEnd;
use crate::tui::model::{Activity, Dialog, Model, Overlay, Refresh, Session, StepProgress};
use crate::tui::theme::Tone;

use super::{answers, checks, diagnosis};

/// Something happened to a step.
pub(super) fn event(model: &mut Model, generation: Generation, event: Event<Output>, effects: &mut Vec<Effect>) {
    let now = model.now;
    let Some(session) = model.session_mut() else { return };
    if session.activity.under_way().is_none_or(|(asked, _)| asked != generation) {
        return;
    }
    let id = match &event {
        Event::StepStarted { id }
        | Event::StepSucceeded { id, .. }
        | Event::StepFailed { id, .. }
        | Event::Progress { id, .. }
        | Event::UndoStarted { id }
        | Event::Undone { id }
        | Event::UndoFailed { id, .. } => id.clone(),
        Event::Stopping => {
            if let Activity::Running { generation, since } = session.activity {
                session.activity = Activity::Stopping { generation, since };
            }
            return;
        }
    };
    let begins = matches!(event, Event::StepStarted { .. } | Event::UndoStarted { .. });
    let changed = matches!(event, Event::StepSucceeded { .. } | Event::Undone { .. });
    let number = session.begin();
    let at = session.step_at(&id);
    match &event {
        Event::StepSucceeded { id, output } => drop(session.outputs.insert(id.clone(), output.clone())),
        Event::Undone { id } => drop(session.outputs.remove(id)),
        _ => {}
    }
    if changed {
        session.write_texts();
    }
    let checked = at.filter(|_| changed).and_then(|at| checked(session, at));
    if let Some(progress) = at.and_then(|at| session.progress.get_mut(at)) {
        apply(progress, event, now, number);
    }
    // The cursor follows what happens.
    if let Some(at) = at.filter(|_| begins) {
        session.cursor = at;
        session.text_top = 0;
    }
    match checked {
        // It passed: the snapshot after it is what the verdicts beside the instances are to be compared with.
        Some(instances) => model.checks.queued = instances,
        None if changed => checks::outdate(model),
        None => {}
    }
    // What a step did is wanted in the tree, but not one observation on top of another.
    if changed && model.refresh == Refresh::Idle {
        answers::refresh(model, false, effects);
    }
}

/// The instances that a step has just checked. `None`: it is a step that changes something.
fn checked(session: &Session, at: usize) -> Option<Vec<InstanceId>> {
    match &session.plan.steps.get(at)?.call {
        Call::CheckEgress { instances, nat } => {
            Some(instances.iter().chain([nat]).filter_map(|instance| instance.resolve(&session.outputs).ok()).collect())
        }
        call => (!call.changes()).then(Vec::new),
    }
}

/// The step after the event. `number`: its place in the order in which steps are begun.
fn apply(step: &mut StepProgress, event: Event<Output>, now: Timestamp, number: usize) {
    match event {
        Event::StepStarted { .. } => {
            *step = StepProgress {
                state: NodeState::Started,
                started_at: Some(now),
                ended_at: None,
                says: None,
                next_move: None,
                made: None,
                begun: number,
            };
        }
        Event::StepSucceeded { output, .. } => {
            (step.state, step.ended_at, step.says) = (NodeState::Succeeded, Some(now), None);
            step.made = output.id().map(str::to_owned);
        }
        Event::StepFailed { error, .. } => {
            (step.state, step.ended_at, step.says) = (NodeState::Failed(error), Some(now), None);
        }
        Event::Progress { text, .. } => step.says = Some(text),
        Event::UndoStarted { .. } => {
            (step.state, step.started_at, step.ended_at) = (NodeState::Undoing, Some(now), None);
        }
        Event::Undone { .. } => {
            (step.state, step.started_at, step.ended_at) = (NodeState::Waiting, None, None);
            (step.made, step.next_move, step.begun) = (None, None, 0);
            step.says = Some("taken back".to_owned());
        }
        Event::UndoFailed { error, .. } => {
            (step.state, step.ended_at, step.says) = (NodeState::UndoFailed(error), Some(now), None);
        }
        Event::Stopping => {}
    }
}

/// A run or an undo ended.
pub(super) fn ended(model: &mut Model, generation: Generation, end: RunEnd, effects: &mut Vec<Effect>) {
    let (tone, text, kind) = {
        let Some(session) = model.session_mut() else { return };
        if session.activity.under_way().is_none_or(|(asked, _)| asked != generation) {
            return;
        }
        session.activity = Activity::Idle;
        if let RunEnd::Failed(failures) = &end {
            for (id, failure) in failures {
                if let Some(at) = session.step_at(id) {
                    if let Some(progress) = session.progress.get_mut(at) {
                        progress.state = NodeState::Failed(failure.reason.clone());
                        progress.next_move.clone_from(&failure.next_move);
                    }
                    session.cursor = at;
                }
            }
        } else if let Some(next) = session.next() {
            session.cursor = next;
        }
        let (tone, text) = summary(&end, &session.plan);
        (tone, text, session.plan.kind)
    };
    if matches!(model.overlay, Overlay::Dialog(Dialog::Quit)) {
        model.overlay = Overlay::None;
    }
    if kind == PlanKind::Repair {
        diagnosis::repair_ended(model, &end);
    }
    if let Some(session) = model.session_mut() {
        session.end = Some(end);
    }
    model.toast(tone, text);
    answers::forget_hosts(model);
    answers::refresh(model, false, effects);
}

fn summary(end: &RunEnd, plan: &Plan) -> (Tone, String) {
    let title = |id: &str| plan.steps.iter().find(|step| step.id.as_str() == id).map(|step| &step.title);
    match (end, plan.kind) {
        (RunEnd::Finished, PlanKind::Provision) => (Tone::Ok, "Provisioned: every step is done.".to_owned()),
        (RunEnd::Finished, PlanKind::Teardown) => (Tone::Ok, "Torn down: every step is done.".to_owned()),
        (RunEnd::Finished, PlanKind::Repair) => (Tone::Ok, "Repaired.".to_owned()),
        (RunEnd::Paused, _) => (Tone::Ok, "Done as far as asked; steps remain.".to_owned()),
        (RunEnd::Stopped, _) => (Tone::Warn, "Stopped. Running again goes on from here.".to_owned()),
        (RunEnd::Failed(failures), _) => (
            Tone::Bad,
            failures.first().map_or_else(
                || "A step failed.".to_owned(),
                |(id, failure)| match title(id) {
                    Some(title) => format!("Failed: {title}: {}", failure.reason),
                    None => failure.to_string(),
                },
            ),
        ),
        (RunEnd::Undone, _) => (Tone::Ok, "Taken back: nothing of this run is left.".to_owned()),
        (RunEnd::PartlyUndone { .. }, _) => (Tone::Ok, "The step is taken back.".to_owned()),
        (RunEnd::Broken(failure), _) => (Tone::Bad, failure.to_string()),
    }
}
