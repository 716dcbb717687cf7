//! Moving within and between panes, and the help.

use crossterm::event::{KeyCode, KeyEvent};

use crate::tui::detail;
use crate::tui::effect::Effect;
use crate::tui::keymap::{Action, Place};
use crate::tui::layout::Layout;
use crate::tui::model::{Focus, Model, Overlay, Pane, Zoom};
use crate::tui::step_text;

use super::{diagnosis, dialog, filter};

pub(super) fn show(model: &mut Model, pane: Pane) {
    model.pane = pane;
    model.focus = Focus::Pane;
}

/// Tree, Detail, Steps, Checks, API log, and around.
pub(super) fn cycle(model: &mut Model, forward: bool) {
    let at = match model.focus {
        Focus::Tree => 0,
        Focus::Pane => 1 + Pane::ALL.iter().position(|pane| *pane == model.pane).unwrap_or(0),
    };
    let stops = 1 + Pane::ALL.len();
    let to = if forward { (at + 1) % stops } else { (at + stops - 1) % stops };
    match to.checked_sub(1).and_then(|at| Pane::ALL.get(at)) {
        Some(pane) => show(model, *pane),
        None => model.focus = Focus::Tree,
    }
}

/// One step back: out of the zoom, out of the pane, out of the filter, off the marks.
pub(super) fn back(model: &mut Model) {
    if model.zoom == Zoom::On {
        model.zoom = Zoom::Off;
    } else if model.focus == Focus::Pane && model.pane == Pane::Diagnosis {
        diagnosis::back(model);
    } else if model.focus == Focus::Pane {
        model.focus = Focus::Tree;
    } else if !model.tree.filter().is_empty() {
        filter::apply(model, "");
    } else {
        model.marks.clear();
        model.toasts.clear();
    }
}

pub(super) fn step(model: &mut Model, by: isize) {
    match (model.focus, model.pane) {
        (Focus::Tree, _) => model.tree.step(by),
        (Focus::Pane, Pane::Detail) => model.detail.scroll = model.detail.scroll.saturating_add_signed(by),
        (Focus::Pane, Pane::Steps) => {
            if let Some(session) = model.session_mut() {
                let last = session.plan.steps.len().saturating_sub(1);
                session.cursor = session.cursor.saturating_add_signed(by).min(last);
                session.text_top = 0;
            }
        }
        (Focus::Pane, Pane::Checks) => {
            let last = model.checks.rows.len().saturating_sub(1);
            model.checks.cursor = model.checks.cursor.saturating_add_signed(by).min(last);
        }
        (Focus::Pane, Pane::Diagnosis) => diagnosis::step(model, by),
        (Focus::Pane, Pane::Log) => {
            let last = model.log.calls.len().saturating_sub(1);
            let at = model.log.at().saturating_add_signed(by).min(last);
            // At the newest entry the log is followed again.
            model.log.cursor = (at < last).then_some(at);
        }
    }
}

pub(super) fn page(model: &mut Model, direction: isize) {
    let layout = model.layout();
    let rows = match model.focus {
        Focus::Tree => layout.tree_height(),
        Focus::Pane if model.pane == Pane::Steps => {
            layout.steps_rows(model.session().map_or(0, |session| session.plan.steps.len())).0
        }
        Focus::Pane if matches!(model.pane, Pane::Detail | Pane::Diagnosis) => layout.pane_size().1,
        Focus::Pane => layout.table_rows(),
    };
    let rows = isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1);
    step(model, direction * rows);
}

/// Scrolls the selected step's text.
pub(super) fn scroll_text(model: &mut Model, by: isize) {
    if let Some(session) = model.session_mut() {
        session.text_top = session.text_top.saturating_add_signed(by);
    }
}

pub(super) fn jump(model: &mut Model, to_end: bool) {
    if model.focus == Focus::Tree {
        model.tree.jump(to_end);
    } else {
        step(model, if to_end { isize::MAX } else { isize::MIN });
    }
}

/// Keeps cursors and scrolls of the panes within what they show.
pub(super) fn keep_in_view(model: &mut Model, layout: &Layout) {
    if model.pane == Pane::Detail && layout.pane.is_some() && model.detail.scroll > 0 {
        let (columns, rows) = layout.pane_size();
        let lines = detail::lines(model, columns).len();
        model.detail.scroll = model.detail.scroll.min(lines.saturating_sub(rows));
    }
    if let Some(text_top) = model.session().map(|session| session.text_top).filter(|top| *top > 0) {
        let (_, rows) = layout.steps_rows(model.session().map_or(0, |session| session.plan.steps.len()));
        let (columns, _) = layout.pane_size();
        let longest = step_text::lines(model, columns, rows).len().saturating_sub(rows);
        if let Some(session) = model.session_mut() {
            session.text_top = text_top.min(longest);
        }
    }
    if let Some(session) = model.session_mut() {
        let (list, _) = layout.steps_rows(session.plan.steps.len());
        session.top = scrolled(session.top, session.cursor, list, session.plan.steps.len());
    }
    diagnosis::keep_in_view(model);
    model.checks.cursor = model.checks.cursor.min(model.checks.rows.len().saturating_sub(1));
    model.checks.top = scrolled(model.checks.top, model.checks.cursor, layout.table_rows(), model.checks.rows.len());
}

/// The first row to show so that the cursor is among `height` rows.
pub(super) fn scrolled(top: usize, cursor: usize, height: usize, rows: usize) -> usize {
    let height = height.max(1);
    top.min(cursor).max((cursor + 1).saturating_sub(height)).min(rows.saturating_sub(height))
}

pub(super) fn help_key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    let keymap = model.keymap.clone();
    let Overlay::Help { scroll } = &mut model.overlay else { return };
    if event.code == KeyCode::Char(' ') {
        *scroll = scroll.saturating_add(10);
        return;
    }
    match keymap.action(Place::Everywhere, event).map(|binding| binding.action) {
        Some(Action::Down) => *scroll = scroll.saturating_add(1),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::PageDown) => *scroll = scroll.saturating_add(10),
        Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
        Some(Action::Top) => *scroll = 0,
        Some(Action::Suspend) => effects.push(Effect::Suspend),
        Some(Action::Quit) if event.code != KeyCode::Char('q') => dialog::quit(model, effects),
        _ => model.overlay = Overlay::None,
    }
    // The view knows how long the help is for this width; it never scrolls past its end.
    if let Overlay::Help { scroll } = &mut model.overlay {
        *scroll = (*scroll).min(crate::tui::help::longest_scroll(&keymap, model.size));
    }
}
