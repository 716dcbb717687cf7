//! A console that is made, fed and typed at.

use super::*;
use crate::tui::effect::{Effect, Generation};
use crate::tui::keymap::Keymap;
use crate::tui::message::Message;
use crate::tui::model::{Model, Settings};
use crate::tui::update::update;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

/// A console of a size, with nothing seen yet.
pub fn console(size: (u16, u16)) -> Model {
    let keymap = Keymap::built_in().unwrap();
    let settings = Settings { stack: "nat-test".to_owned(), ..Settings::default() };
    let mut model = Model::new(identity(), settings, Arc::new(keymap), start());
    model.size = size;
    model
}

/// A console that has seen a network.
pub fn console_with(size: (u16, u16), network: Network) -> Model {
    let mut model = console(size);
    crate::tui::update::start(&mut model);
    update(&mut model, Message::Identified(Ok(answered_identity())));
    observe(&mut model, network);
    model
}

/// The answer to the newest observation.
pub fn observe(model: &mut Model, network: Network) -> Vec<Effect> {
    let generation = match &model.refresh {
        crate::tui::model::Refresh::Asking { generation, .. } => *generation,
        crate::tui::model::Refresh::Idle => Generation(u64::MAX),
    };
    update(model, Message::Observed { generation, result: Ok(Box::new(network)) })
}

/// Presses one key, by its name in the keymap or a single character.
pub fn press(model: &mut Model, key: &str) -> Vec<Effect> {
    let (code, modifiers) = match key {
        "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
        "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
        "Space" => (KeyCode::Char(' '), KeyModifiers::NONE),
        "Down" => (KeyCode::Down, KeyModifiers::NONE),
        _ => match key.strip_prefix("ctrl-") {
            Some(c) => (KeyCode::Char(c.chars().next().unwrap()), KeyModifiers::CONTROL),
            None => (KeyCode::Char(key.chars().next().unwrap()), KeyModifiers::NONE),
        },
    };
    update(model, Message::Key(KeyEvent::new(code, modifiers)))
}

/// Types a text.
pub fn type_in(model: &mut Model, text: &str) {
    for c in text.chars() {
        press(model, &c.to_string());
    }
}

/// Puts the cursor of the tree on a resource.
pub fn select(model: &mut Model, id: &str) {
    if let crate::tui::model::Sight::Seen(picture) = &model.sight {
        assert!(model.tree.reveal(id, &picture.seen), "{id} is not in the tree");
    }
}

/// Answers every walk that was asked for.
pub fn answer_walks(model: &mut Model, effects: Vec<Effect>, hosts: bool) {
    for effect in effects {
        if let Effect::Walk { generation, network, instance_id, .. } = effect {
            let found = trace(&network, &instance_id, hosts);
            update(model, Message::Walked { generation, instance_id, result: Ok(Box::new(found)) });
        }
    }
}
