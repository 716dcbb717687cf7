//! The Steps pane: asking for a plan, agreeing to it, running and undoing it. What comes back is in `run`.

use std::sync::Arc;

use tui_input::Input;

use crate::plan::{Output, PlanKind};
use crate::saga::{NodeState, RunMode};
use crate::tui::effect::{Effect, Generation};
use crate::tui::message::{Failure, Prepared};
use crate::tui::model::{Activity, Consent, Dialog, Model, Overlay, Pane, Script, Session, StepProgress, Steps};
use crate::tui::theme::Tone;
use crate::tui::tree::Kind;

use super::panes;

/// Asks for a plan that provisions. Changes nothing.
pub(super) fn provision(model: &mut Model, effects: &mut Vec<Effect>) {
    if is_running(model) {
        return;
    }
    let network = model.seen().map(|seen| seen.network.clone());
    let generation = ask(model, PlanKind::Provision);
    effects.push(Effect::PlanProvision { generation, network });
}

/// Asks for a plan that tears down the stack of the selected resource, or else the console's own. Changes nothing.
pub(super) fn tear_down(model: &mut Model, effects: &mut Vec<Effect>) {
    if is_running(model) {
        return;
    }
    let stack = stack_of_selected(model);
    let generation = ask(model, PlanKind::Teardown);
    effects.push(Effect::PlanTeardown { generation, stack });
}

fn ask(model: &mut Model, kind: PlanKind) -> Generation {
    let generation = model.ask();
    model.steps = Steps::Planning { generation, kind, since: model.now };
    panes::show(model, Pane::Steps);
    generation
}

fn is_running(model: &mut Model) -> bool {
    let running = model.session().is_some_and(|session| session.activity != Activity::Idle);
    if running {
        model.toast(Tone::Warn, "A step is running: wait for its end, or stop after it.");
        panes::show(model, Pane::Steps);
    }
    running
}

fn stack_of_selected(model: &Model) -> Option<String> {
    let (kind, id): (Kind, &str) = model.selected()?.what.resource_id()?;
    model.seen()?.resource(kind, id)?.tags().stack().map(str::to_owned)
}

pub(super) fn planned(model: &mut Model, generation: Generation, result: Result<Box<Prepared>, Failure>) {
    let kind = match &model.steps {
        Steps::Planning { generation: asked, kind, .. } if *asked == generation => *kind,
        _ => return,
    };
    match result {
        Ok(prepared) => {
            if prepared.plan.is_empty() {
                model.toast(Tone::Ok, "Nothing to do: everything in the plan is so already.");
            }
            model.steps = Steps::Ready(Box::new(session(*prepared)));
        }
        Err(failure) => model.steps = Steps::Refused { kind, failure },
    }
}

pub(super) fn session(prepared: Prepared) -> Session {
    let Prepared { plan, outputs, cost, resumed } = prepared;
    let progress: Vec<StepProgress> = plan
        .steps
        .iter()
        .map(|step| {
            let begun = resumed.iter().position(|(id, _)| id == step.id.as_str());
            let earlier = begun.and_then(|at| resumed.get(at)).map(|(_, state)| state.clone());
            let by_plan = if step.is_done() { NodeState::Given } else { NodeState::Waiting };
            StepProgress {
                state: earlier.unwrap_or(by_plan),
                started_at: None,
                ended_at: None,
                says: None,
                made: outputs.get(step.id.as_str()).and_then(Output::id).map(str::to_owned),
                next_move: None,
                begun: begun.map_or(0, |at| at + 1),
            }
        })
        .collect();
    let mut session = Session {
        plan: Arc::new(plan),
        outputs,
        texts: Vec::new(),
        cost,
        progress,
        cursor: 0,
        top: 0,
        text_top: 0,
        activity: Activity::Idle,
        end: None,
        script: Script::AwsCli,
        consent: Consent::Needed,
    };
    session.cursor = session.next().unwrap_or(0);
    session.write_texts();
    session
}

pub(super) fn run_next(model: &mut Model, effects: &mut Vec<Effect>) {
    run(model, RunMode::One, effects);
}

pub(super) fn run_all(model: &mut Model, effects: &mut Vec<Effect>) {
    run(model, RunMode::All, effects);
}

/// Runs up to and with the selected step.
pub(super) fn run_to(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(id) = selected_step(model) else {
        no_plan(model);
        return;
    };
    run(model, RunMode::Until(id), effects);
}

fn selected_step(model: &Model) -> Option<String> {
    let session = model.session()?;
    session.plan.steps.get(session.cursor).map(|step| step.id.to_string())
}

fn no_plan(model: &mut Model) {
    let provision = model.keymap.key_of(crate::tui::keymap::Action::Provision);
    model.toast(Tone::Warn, format!("There is no plan yet: {provision} makes one."));
}

/// Asks what must be asked, then runs.
fn run(model: &mut Model, mode: RunMode, effects: &mut Vec<Effect>) {
    let Some(session) = model.session() else {
        no_plan(model);
        return;
    };
    if session.activity != Activity::Idle {
        model.toast(Tone::Warn, "A step is running already.");
        return;
    }
    if session.next().is_none() {
        model.toast(Tone::Ok, "Every step is done.");
        return;
    }
    let question = match (session.plan.kind, session.consent, &mode) {
        (PlanKind::Teardown, Consent::Needed, _) => {
            Some(Dialog::TearDown { mode: mode.clone(), typed: Input::default() })
        }
        // One step at a time is its own question; many at once are asked about.
        (PlanKind::Provision, _, RunMode::All | RunMode::Until(_)) => Some(Dialog::Run { mode: mode.clone() }),
        _ => None,
    };
    match question {
        Some(dialog) => model.overlay = Overlay::Dialog(dialog),
        None => agreed(model, mode, effects),
    }
}

/// The person agreed, or did not have to.
pub(super) fn agreed(model: &mut Model, mode: RunMode, effects: &mut Vec<Effect>) {
    let now = model.now;
    let generation = model.ask();
    let Some(session) = model.session_mut().filter(|session| session.activity == Activity::Idle) else { return };
    session.consent = Consent::Given;
    session.end = None;
    session.activity = Activity::Running { generation, since: now };
    if let Some(next) = session.next() {
        session.cursor = next;
    }
    let plan = session.plan.clone();
    effects.push(Effect::Run { generation, plan, mode });
}

/// Lets the running step end and starts no other.
pub(super) fn stop(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(session) = model.session_mut() else { return };
    match session.activity {
        Activity::Running { generation, since } => {
            session.activity = Activity::Stopping { generation, since };
            effects.push(Effect::StopRun);
        }
        Activity::Idle => model.toast(Tone::Dim, "Nothing is running."),
        Activity::Stopping { .. } | Activity::Undoing { .. } => {}
    }
}

pub(super) fn undo_last(model: &mut Model) {
    let Some(session) = model.session() else {
        no_plan(model);
        return;
    };
    if session.activity != Activity::Idle {
        model.toast(Tone::Warn, "A step is running: undo when it has ended.");
        return;
    }
    let Some(step) = session.last_begun().and_then(|at| session.plan.steps.get(at)) else {
        model.toast(Tone::Warn, "There is nothing to undo: no step of this plan has been run.");
        return;
    };
    model.overlay = Overlay::Dialog(Dialog::Undo { title: step.title.clone() });
}

pub(super) fn undo_agreed(model: &mut Model, effects: &mut Vec<Effect>) {
    let now = model.now;
    let generation = model.ask();
    let Some(session) = model.session_mut().filter(|session| session.activity == Activity::Idle) else { return };
    session.activity = Activity::Undoing { generation, since: now };
    session.end = None;
    let plan = session.plan.clone();
    effects.push(Effect::UndoLast { generation, plan });
}

pub(super) fn toggle_script(model: &mut Model) {
    if let Some(session) = model.session_mut() {
        session.script = match session.script {
            Script::AwsCli => Script::Terraform,
            Script::Terraform => Script::AwsCli,
        };
    }
}

/// What is shown as the selected step's text.
pub(super) fn script_of_selected(model: &Model) -> Option<String> {
    let session = model.session()?;
    let text = session.texts.get(session.cursor)?;
    match session.script {
        Script::AwsCli => Some(text.aws_cli.clone()),
        Script::Terraform => text.terraform.clone(),
    }
}
