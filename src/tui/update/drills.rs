//! Drills: choosing what to break, and seeing that it was found and mended.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::model::{InstanceId, World};
use crate::reach::{Severity, WayOut, way_out};
use crate::tui::diagnosis::Diagnosed;
use crate::tui::drill::{Broken, Drill};
use crate::tui::drill_menu::{DrillMenu, Menu, OngoingDrill};
use crate::tui::effect::{Effect, Generation};
use crate::tui::message::Failure;
use crate::tui::model::{Model, Overlay, Sight};
use crate::tui::theme::Tone;
use crate::tui::widget::time;

use super::{answers, checks, dialog, panes};

/// Shows what can be broken here. Only a sandbox is there to be broken.
pub(super) fn menu(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.identity.world != World::Sandbox {
        model.toast(
            Tone::Warn,
            "Drills break egress on purpose, and only a sandbox is there for that: natdeck --sandbox.",
        );
        return;
    }
    if model.drills.breaking.is_some() {
        model.toast(Tone::Warn, "Something is being broken already.");
        return;
    }
    let instance_id = client(model);
    let generation = model.ask();
    let since = model.now;
    model.overlay = Overlay::Drills(DrillMenu {
        instance_id: instance_id.clone(),
        menu: Menu::Asking { generation, since },
        typed: Input::default(),
        cursor: 0,
        top: 0,
    });
    effects.push(Effect::ListDrills { generation, instance_id });
}

/// The instance that is looked at, if a NAT instance is its way out. `None`: whoever fits.
fn client(model: &Model) -> Option<InstanceId> {
    let id = model.selected_instance()?;
    let network = &model.seen()?.network;
    matches!(way_out(network, &id), Ok(WayOut::NatInstance { .. })).then_some(id)
}

pub(super) fn listed(model: &mut Model, generation: Generation, result: Result<Vec<Drill>, Failure>) {
    let Overlay::Drills(menu) = &mut model.overlay else { return };
    if !matches!(menu.menu, Menu::Asking { generation: asked, .. } if asked == generation) {
        return;
    }
    menu.menu = match result {
        Ok(drills) => Menu::Listed(drills),
        Err(failure) => Menu::Refused(failure),
    };
}

pub(super) fn key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    let height = model.layout().drills_rows();
    let Overlay::Drills(menu) = &mut model.overlay else { return };
    let rows = menu.rows().len();
    match event.code {
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => {
            dialog::quit(model, effects);
            return;
        }
        KeyCode::Esc => {
            model.overlay = Overlay::None;
            return;
        }
        KeyCode::Enter => {
            choose(model, effects);
            return;
        }
        KeyCode::Down | KeyCode::Tab => menu.cursor = menu.cursor.saturating_add(1),
        KeyCode::Up | KeyCode::BackTab => menu.cursor = menu.cursor.saturating_sub(1),
        KeyCode::PageDown => menu.cursor = menu.cursor.saturating_add(height),
        KeyCode::PageUp => menu.cursor = menu.cursor.saturating_sub(height),
        KeyCode::Home => menu.cursor = 0,
        KeyCode::End => menu.cursor = rows,
        _ => {
            menu.typed.handle_event(&Event::Key(event));
            menu.cursor = 0;
        }
    }
    let rows = menu.rows().len();
    menu.cursor = menu.cursor.min(rows.saturating_sub(1));
    menu.top = panes::scrolled(menu.top, menu.cursor, height, rows);
}

/// Breaks what is selected in the menu.
fn choose(model: &mut Model, effects: &mut Vec<Effect>) {
    let Overlay::Drills(menu) = &model.overlay else { return };
    let Some(row) = menu.rows().get(menu.cursor).copied() else { return };
    let (causes, surprise) = match row {
        Some(drill) => (vec![drill.cause], false),
        None => (menu.surprises(), true),
    };
    let instance_id = menu.instance_id.clone();
    let generation = model.ask();
    model.overlay = Overlay::None;
    model.drills.breaking = Some((generation, surprise));
    effects.push(Effect::Break { generation, causes, instance_id });
}

/// It is broken, or it is not.
pub(super) fn broke(
    model: &mut Model,
    generation: Generation,
    result: Result<Broken, Failure>,
    effects: &mut Vec<Effect>,
) {
    let Some((_, surprise)) = model.drills.breaking.filter(|(asked, _)| *asked == generation) else { return };
    model.drills.breaking = None;
    match result {
        Ok(broken) => {
            if let Some(id) = &broken.instance_id
                && let Sight::Seen(picture) = &model.sight
            {
                model.tree.reveal(id.as_str(), &picture.seen);
            }
            let explain = model.keymap.key_of(crate::tui::keymap::Action::Explain);
            let fix = model.keymap.key_of(crate::tui::keymap::Action::Fix);
            let text = match surprise {
                true => format!("Something is broken now. {explain} finds out what, and there {fix} mends it."),
                false => format!("Broken: {}", broken.said),
            };
            model.toast(Tone::Warn, text);
            model.drills.ongoing.push(OngoingDrill { broken, surprise, since: model.now, found: false });
            checks::outdate(model);
            answers::forget_hosts(model);
            answers::refresh(model, false, effects);
        }
        Err(failure) => model.toast(Tone::Bad, failure.to_string()),
    }
}

/// A diagnosis tells which drills were found, and which are over.
pub(super) fn seen(model: &mut Model, answer: &Diagnosed) {
    let now = model.now;
    let mut told = Vec::new();
    model.drills.ongoing.retain_mut(|drill| {
        // What only warns may have been made about another instance: whoever shows it counts.
        let warns = drill.broken.cause.severity() == Severity::Warns;
        if !warns && drill.broken.instance_id.as_ref().is_some_and(|id| *id != answer.instance_id) {
            return true;
        }
        let here = answer.diagnosis.findings.iter().any(|finding| finding.cause == drill.broken.cause);
        drill.found |= here;
        if here || !answer.is_well() || warns && !drill.found {
            return true;
        }
        let (name, took) = (drill.broken.cause.name(), time::span(drill.since, now));
        told.push(match (drill.surprise, drill.found) {
            (true, true) => format!("The drill is over: it was {name}, mended after {took}."),
            (false, true) => format!("The drill is over: {name} is mended after {took}."),
            (_, false) => format!("The drill is over: nothing of {name} is left."),
        });
        false
    });
    for text in told {
        model.toast(Tone::Ok, text);
    }
}
