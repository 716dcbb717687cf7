//! Typing the filter, and going from match to match.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use crate::tui::effect::Effect;
use crate::tui::model::{Dialog, Focus, Model, Overlay, Sight};
use crate::tui::theme::Tone;
use crate::tui::widget::text::clean;

use super::dialog;

pub(super) fn begin(model: &mut Model) {
    model.focus = Focus::Tree;
    model.overlay = Overlay::Filter(Input::new(model.tree.filter().to_owned()));
}

pub(super) fn key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    let Overlay::Filter(input) = &mut model.overlay else { return };
    match event.code {
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => dialog::quit(model, effects),
        KeyCode::Enter => model.overlay = Overlay::None,
        KeyCode::Esc => {
            model.overlay = Overlay::None;
            apply(model, "");
        }
        KeyCode::Up | KeyCode::Down => model.tree.step(if event.code == KeyCode::Up { -1 } else { 1 }),
        _ => {
            input.handle_event(&Event::Key(event));
            let text = input.value().to_owned();
            apply(model, &text);
        }
    }
}

/// Text from the clipboard goes where text is being typed, and nowhere else: it is never taken for keys.
pub(super) fn paste(model: &mut Model, text: &str) {
    let one_line = clean(text.lines().next().unwrap_or_default()).into_owned();
    let type_in = |input: &mut Input| {
        for c in one_line.chars() {
            input.handle(InputRequest::InsertChar(c));
        }
    };
    match &mut model.overlay {
        Overlay::Filter(input) => {
            type_in(input);
            let text = input.value().to_owned();
            apply(model, &text);
        }
        Overlay::Dialog(Dialog::TearDown { .. }) => {
            model.toast(Tone::Warn, "The name must be typed, not pasted.");
        }
        Overlay::Drills(menu) => type_in(&mut menu.typed),
        Overlay::Dialog(_) | Overlay::Help { .. } | Overlay::None => {}
    }
}

pub(super) fn apply(model: &mut Model, text: &str) {
    if let Sight::Seen(picture) = &model.sight {
        model.tree.set_filter(text.trim(), &picture.seen);
    }
}

/// Goes to the next or previous match.
pub(super) fn go(model: &mut Model, forward: bool) {
    if model.tree.filter().is_empty() {
        model.toast(Tone::Dim, "There is no filter: / sets one.");
    } else if !model.tree.next_match(forward) {
        model.toast(Tone::Warn, format!("Nothing matches '{}'.", model.tree.filter()));
    }
}
