//! Questions to the person, and their answers.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::backend::crossterm::EventHandler;

use crate::tui::effect::Effect;
use crate::tui::model::{Activity, Dialog, Model, Overlay};
use crate::tui::theme::Tone;

use super::steps;

/// Quits, unless a step runs: then it asks.
pub(super) fn quit(model: &mut Model, effects: &mut Vec<Effect>) {
    let asked_already = matches!(model.overlay, Overlay::Dialog(Dialog::Quit));
    if model.session().is_some_and(|session| session.activity != Activity::Idle) && !asked_already {
        model.overlay = Overlay::Dialog(Dialog::Quit);
    } else {
        effects.push(Effect::Quit);
    }
}

pub(super) fn key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    let ctrl_c = event.code == KeyCode::Char('c') && event.modifiers.contains(KeyModifiers::CONTROL);
    if ctrl_c {
        quit(model, effects);
        return;
    }
    if event.code == KeyCode::Esc {
        model.overlay = Overlay::None;
        return;
    }
    let Overlay::Dialog(dialog) = &mut model.overlay else { return };
    match dialog {
        Dialog::Run { mode } => {
            if event.code == KeyCode::Char('y') {
                let mode = mode.clone();
                model.overlay = Overlay::None;
                steps::agreed(model, mode, effects);
            } else if matches!(event.code, KeyCode::Char('n' | 'q')) {
                model.overlay = Overlay::None;
            }
        }
        Dialog::TearDown { mode, typed } => {
            if event.code != KeyCode::Enter {
                typed.handle_event(&Event::Key(event));
                return;
            }
            let (mode, typed) = (mode.clone(), typed.value().to_owned());
            let stack = model.session().map(|session| session.plan.stack.clone());
            if stack.as_deref() == Some(typed.as_str()) {
                model.overlay = Overlay::None;
                steps::agreed(model, mode, effects);
            } else {
                let stack = stack.unwrap_or_default();
                model.toast(Tone::Warn, format!("Type '{stack}' exactly, or press Esc. Nothing was changed."));
            }
        }
        Dialog::Undo { .. } => {
            if event.code == KeyCode::Char('y') {
                model.overlay = Overlay::None;
                steps::undo_agreed(model, effects);
            } else if matches!(event.code, KeyCode::Char('n' | 'q')) {
                model.overlay = Overlay::None;
            }
        }
        Dialog::Repair(repair) => {
            let (must_type, enter) = (repair.must_type(), event.code == KeyCode::Enter);
            if super::repair::key(repair, event) {
                let repair = repair.clone();
                model.overlay = Overlay::None;
                super::repair::agreed(model, *repair, effects);
            } else if must_type && enter {
                let word = super::repair::AGREED;
                model.toast(Tone::Warn, format!("Type {word} and press Enter, or press Esc. Nothing was changed."));
            } else if !must_type && matches!(event.code, KeyCode::Char('n' | 'q')) {
                model.overlay = Overlay::None;
            }
        }
        Dialog::Report(story) => {
            let redact = match event.code {
                KeyCode::Char('y') => false,
                KeyCode::Char('r') => true,
                KeyCode::Char('n' | 'q') => {
                    model.overlay = Overlay::None;
                    return;
                }
                _ => return,
            };
            effects.push(Effect::SaveReport { story: story.clone(), redact });
            model.overlay = Overlay::None;
        }
        Dialog::NoRepair { .. } => model.overlay = Overlay::None,
        Dialog::Quit => match event.code {
            KeyCode::Char('y') => effects.push(Effect::Quit),
            KeyCode::Char('s') => {
                model.overlay = Overlay::None;
                steps::stop(model, effects);
            }
            KeyCode::Char('n' | 'q') => model.overlay = Overlay::None,
            _ => {}
        },
    }
}
