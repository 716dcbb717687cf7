//! Repairing a finding: what would change is shown, the person agrees, and the repair runs as a plan of its own in the
//! Steps pane's machinery.

use crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::plan::Outputs;
use crate::reach::FindingKey;
use crate::saga::RunMode;
use crate::tui::diagnosis::{Aftermath, Attempt};
use crate::tui::effect::{Effect, WalkDepth};
use crate::tui::message::Prepared;
use crate::tui::model::{Activity, Dialog, Model, Overlay, RepairDialog, Steps};
use crate::tui::theme::Tone;

use super::steps;

/// What must be typed before a repair that lets more pass than the packets in question.
pub(super) const AGREED: &str = "yes";

/// Shows what would put the selected finding right, or why natdeck does not.
pub(super) fn offer(model: &mut Model) {
    let Some(answer) = &model.inquiry.answer else {
        model.toast(Tone::Warn, "Nothing has been diagnosed yet that could be repaired.");
        return;
    };
    let Some((finding, mend)) = answer.row(model.inquiry.cursor) else {
        model.toast(Tone::Warn, "There is no finding to repair.");
        return;
    };
    let Some(mend) = mend else {
        let finding = Box::new(finding.clone());
        model.overlay = Overlay::Dialog(Dialog::NoRepair { finding });
        return;
    };
    if answer.depth == WalkDepth::Known || model.inquiry.asking.since().is_some() {
        model.toast(Tone::Warn, "The hosts are still being asked: repair when their answer is there.");
        return;
    }
    if model.session().is_some_and(|session| session.activity != Activity::Idle) {
        model.toast(Tone::Warn, "A step is running: wait for its end.");
        return;
    }
    let (of, mend) = (FindingKey::of(finding), Box::new(mend.clone()));
    let finding = finding.clone();
    let dialog = RepairDialog { of, finding, mend, typed: Input::default(), scroll: 0 };
    model.overlay = Overlay::Dialog(Dialog::Repair(Box::new(dialog)));
}

/// A key while the question stands. `true`: it is answered with yes.
pub(super) fn key(dialog: &mut RepairDialog, event: KeyEvent) -> bool {
    match event.code {
        KeyCode::Down | KeyCode::PageDown => dialog.scroll = dialog.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::PageUp => dialog.scroll = dialog.scroll.saturating_sub(1),
        KeyCode::Enter if dialog.must_type() => return dialog.typed.value().trim() == AGREED,
        _ if dialog.must_type() => drop(dialog.typed.handle_event(&Event::Key(event))),
        KeyCode::Char('j') => dialog.scroll = dialog.scroll.saturating_add(1),
        KeyCode::Char('k') => dialog.scroll = dialog.scroll.saturating_sub(1),
        KeyCode::Char('y') => return true,
        _ => {}
    }
    false
}

/// The person agreed: the repair runs.
pub(super) fn agreed(model: &mut Model, dialog: RepairDialog, effects: &mut Vec<Effect>) {
    if model.session().is_some_and(|session| session.activity != Activity::Idle) {
        return;
    }
    let plan = dialog.mend.plan();
    let prepared = Prepared { plan, outputs: Outputs::new(), cost: Vec::new(), resumed: Vec::new() };
    model.steps = Steps::Ready(Box::new(steps::session(prepared)));
    if model.inquiry.first.is_none() {
        model.inquiry.first.clone_from(&model.inquiry.answer);
    }
    let attempt = Attempt { of: dialog.of, finding: dialog.finding, repair: dialog.mend.repair };
    model.inquiry.aftermath = Aftermath::Repairing(Box::new(attempt));
    steps::agreed(model, RunMode::All, effects);
}
