//! What happens to the console's state when something happens: `update(model, message) -> effects`. Pure: no network,
//! clock or file; time comes in by [`Message::Tick`].
//!
//! Invariant: an answer is used only when its generation is that of the newest question of its kind.

mod answers;
mod checks;
mod diagnosis;
mod dialog;
mod drills;
mod filter;
mod panes;
mod repair;
mod run;
mod steps;
mod tree;

use crossterm::event::{KeyEvent, KeyEventKind};

use super::effect::Effect;
use super::keymap::{Action, Binding, Place};
use super::message::Message;
use super::model::{Focus, Model, Overlay, Pace, Pane, Refresh, Sight, Zoom};
use super::theme::Tone;
use crate::model::ago;

/// Takes one message in and says what is to be done outside.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = Vec::new();
    match message {
        Message::Tick { now } => tick(model, now, &mut effects),
        other => {
            model.dirty = true;
            handle(model, other, &mut effects);
        }
    }
    settle(model, &mut effects);
    effects
}

/// What to ask as soon as the console stands.
pub fn start(model: &mut Model) -> Vec<Effect> {
    let mut effects = vec![Effect::Identify];
    answers::refresh(model, false, &mut effects);
    effects
}

fn handle(model: &mut Model, message: Message, effects: &mut Vec<Effect>) {
    match message {
        Message::Tick { .. } => {}
        Message::Key(event) => key(model, event, effects),
        Message::Paste(text) => filter::paste(model, &text),
        Message::Resize(columns, rows) => model.size = (columns, rows),
        // The journal lets a run that is cut here go on later.
        Message::Terminate => effects.push(Effect::Quit),
        Message::Resumed => answers::refresh(model, false, effects),
        Message::ShellEnded(result) => tree::shell_ended(model, result, effects),
        Message::Identified(result) => answers::identified(model, result),
        Message::Observed { generation, result } => answers::observed(model, generation, result, effects),
        Message::Walked { generation, instance_id, result } => {
            answers::walked(model, generation, &instance_id, result, effects);
        }
        Message::Diagnosed { generation, result } => diagnosis::answered(model, generation, result, effects),
        Message::ReportSaved(result) => diagnosis::report_saved(model, result),
        Message::DrillsListed { generation, result } => drills::listed(model, generation, result),
        Message::Broke { generation, result } => drills::broke(model, generation, result, effects),
        Message::Planned { generation, result } => steps::planned(model, generation, result),
        Message::Run { generation, event } => run::event(model, generation, event, effects),
        Message::RunEnded { generation, end } => run::ended(model, generation, end, effects),
        Message::Check { generation, progress } => checks::progress(model, generation, progress),
        Message::CheckEnded { generation, result } => checks::ended(model, generation, result),
        Message::Calls(calls) => answers::calls(model, calls),
        Message::Notice(text) => model.toast(Tone::Warn, text),
    }
}

/// Time passes. Redraws only when something that is drawn depends on it.
fn tick(model: &mut Model, now: jiff::Timestamp, effects: &mut Vec<Effect>) {
    let before = clock_face(model);
    model.now = now;
    let toasts = model.toasts.len();
    model.toasts.retain(|toast| toast.until > now);
    if model.is_busy() || toasts != model.toasts.len() || before != clock_face(model) {
        model.dirty = true;
    }
    let every = model.settings.refresh_every_s;
    // Counted from the question, so that one that fails at once is not asked again at once.
    let due = every > 0 && now.duration_since(model.asked_at).as_secs() >= every && model.pace == Pace::Live;
    if due && model.refresh == Refresh::Idle {
        answers::refresh(model, false, effects);
    }
    checks::watch_on(model, effects);
    diagnosis::look_again(model, effects);
}

/// The texts on the screen that change with time alone.
fn clock_face(model: &Model) -> String {
    match &model.sight {
        Sight::Seen(picture) => ago(model.now, picture.at),
        Sight::Waiting { since } => ago(model.now, *since),
        Sight::Blind { .. } => String::new(),
    }
}

/// Keeps what depends on each other in step after any message.
fn settle(model: &mut Model, effects: &mut Vec<Effect>) {
    let layout = model.layout();
    model.tree.keep_in_view(layout.tree_height());
    let selected = model.selected().map(|node| node.what.clone());
    if model.detail.of != selected {
        model.detail.of = selected;
        model.detail.scroll = 0;
    }
    answers::walk_selected(model, effects);
    panes::keep_in_view(model, &layout);
}

fn key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    if event.kind == KeyEventKind::Release {
        return;
    }
    match &model.overlay {
        Overlay::Filter(_) => filter::key(model, event, effects),
        Overlay::Dialog(_) => dialog::key(model, event, effects),
        Overlay::Help { .. } => panes::help_key(model, event, effects),
        Overlay::Drills(_) => drills::key(model, event, effects),
        Overlay::None => {
            let keymap = model.keymap.clone();
            if let Some(binding) = keymap.action(model.place(), event) {
                act(model, binding, effects);
            }
        }
    }
}

fn act(model: &mut Model, binding: &Binding, effects: &mut Vec<Effect>) {
    if binding.changes && model.settings.snapshot_of.is_some() {
        model.toast(Tone::Warn, "A snapshot only looks back: start natdeck without --snapshot to change something.");
        return;
    }
    if binding.changes && model.identity.read_only {
        model.toast(Tone::Warn, "Read-only: nothing is changed. Start natdeck without --read-only for that.");
        return;
    }
    match binding.action {
        Action::Down => panes::step(model, 1),
        Action::Up => panes::step(model, -1),
        Action::PageDown => panes::page(model, 1),
        Action::PageUp => panes::page(model, -1),
        Action::Top => panes::jump(model, false),
        Action::Bottom => panes::jump(model, true),
        Action::Left => tree::left(model),
        Action::Right => tree::right(model),
        Action::Open => tree::open(model),
        Action::Back => panes::back(model),
        Action::Filter => filter::begin(model),
        Action::NextMatch => filter::go(model, true),
        Action::PreviousMatch => filter::go(model, false),
        Action::NextPane => panes::cycle(model, true),
        Action::PreviousPane => panes::cycle(model, false),
        Action::PaneDetail => panes::show(model, Pane::Detail),
        Action::PaneSteps => panes::show(model, Pane::Steps),
        Action::PaneChecks => panes::show(model, Pane::Checks),
        Action::PaneLog => panes::show(model, Pane::Log),
        Action::PaneDiagnosis => panes::show(model, Pane::Diagnosis),
        Action::Zoom => zoom(model),
        Action::Describe => tree::describe(model),
        Action::Json => tree::json(model),
        Action::Explain => diagnosis::explain(model, effects),
        Action::Mark => tree::mark(model),
        Action::CopyId => tree::copy_id(model, effects),
        Action::CopyArn => tree::copy_arn(model, effects),
        Action::CheckHere => checks::here(model, effects),
        Action::CheckAll => checks::all(model, effects),
        Action::Watch => checks::watch(model, effects),
        Action::Refresh => by_hand(model, effects),
        Action::Freeze => freeze(model, effects),
        Action::Provision => steps::provision(model, effects),
        Action::TearDown => steps::tear_down(model, effects),
        Action::RunNext => steps::run_next(model, effects),
        Action::RunAll => steps::run_all(model, effects),
        Action::RunTo => steps::run_to(model, effects),
        Action::UndoLast => steps::undo_last(model),
        Action::Fix => repair::offer(model),
        Action::Report => diagnosis::offer_report(model),
        Action::Evidence => diagnosis::evidence(model),
        Action::PathForm => diagnosis::path_form(model),
        Action::CopyJson => tree::copy_json(model, effects),
        Action::Drill => drills::menu(model, effects),
        Action::Terraform => steps::toggle_script(model),
        Action::Stop => steps::stop(model, effects),
        Action::Shell => tree::shell(model, effects),
        Action::ScrollDown => panes::scroll_text(model, 1),
        Action::ScrollUp => panes::scroll_text(model, -1),
        Action::Help => model.overlay = Overlay::Help { scroll: 0 },
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Quit => dialog::quit(model, effects),
    }
}

fn zoom(model: &mut Model) {
    model.zoom = match model.zoom {
        Zoom::Off => Zoom::On,
        Zoom::On => Zoom::Off,
    };
}

fn by_hand(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.pace != Pace::Live {
        model.toast(Tone::Warn, format!("The picture is frozen; {} thaws it.", model.keymap.key_of(Action::Freeze)));
        return;
    }
    if model.identity.account_id.is_none() {
        effects.push(Effect::Identify);
    }
    answers::refresh(model, true, effects);
}

fn freeze(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.pace {
        Pace::Live => {
            model.pace = Pace::Frozen { since: model.now };
            checks::stop_watch(model);
            // What is still under way would move the picture: its answer will be late.
            model.refresh = Refresh::Idle;
            diagnosis::looked(model, effects);
        }
        Pace::Frozen { .. } => model.pace = Pace::Live,
    }
}

/// Brings a pane to the front without moving the focus where tree and pane are both on the screen.
fn reveal_pane(model: &mut Model, pane: Pane) {
    model.pane = pane;
    if model.layout().pane.is_none() {
        model.focus = Focus::Pane;
    }
}

/// Where keys that belong to a pane are explained.
fn in_tree(model: &Model) -> bool {
    model.place() == Place::Tree
}

#[cfg(test)]
mod tests;
