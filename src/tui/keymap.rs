//! Which key does what: read from `assets/keymap.toml`, so that help and hints are made from the same file as the
//! behaviour. Pure.

use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Down,
    Up,
    Top,
    Bottom,
    PageDown,
    PageUp,
    Left,
    Right,
    Open,
    Back,
    Filter,
    NextMatch,
    PreviousMatch,
    NextPane,
    PreviousPane,
    PaneDetail,
    PaneSteps,
    PaneChecks,
    PaneLog,
    PaneDiagnosis,
    Zoom,
    Describe,
    Json,
    Explain,
    CheckHere,
    CheckAll,
    Watch,
    Mark,
    CopyId,
    CopyArn,
    Refresh,
    Freeze,
    Provision,
    TearDown,
    RunNext,
    RunAll,
    RunTo,
    UndoLast,
    Terraform,
    Stop,
    Fix,
    Evidence,
    Report,
    PathForm,
    CopyJson,
    Drill,
    Shell,
    ScrollDown,
    ScrollUp,
    Help,
    Suspend,
    Quit,
}

/// Where a binding holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    #[default]
    Everywhere,
    Tree,
    Detail,
    Steps,
    Checks,
    Log,
    Diagnosis,
}

/// A key with its modifiers, in one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Chord {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
}

/// A keymap that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeymapError {
    #[error("the keymap is not readable; correct its TOML")]
    Unreadable(#[from] toml::de::Error),
    #[error("the keymap binds '{key}' twice in '{place:?}'; remove one")]
    Twice { key: String, place: Place },
}

/// A text that names no key.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' names no key; examples: j, G, Enter, PageUp, ctrl-d")]
pub struct NoSuchKey(String);

/// One line of the keymap.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub group: String,
    pub keys: Vec<Chord>,
    pub action: Action,
    #[serde(default, rename = "in")]
    pub place: Place,
    pub help: String,
    /// Short text for the hint line. `None`: only in the help.
    pub hint: Option<String>,
    /// Smaller comes first in the hint line.
    #[serde(default = "middle")]
    pub rank: u8,
    /// Changes something in AWS.
    #[serde(default)]
    pub changes: bool,
}

fn middle() -> u8 {
    50
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    binding: Vec<Binding>,
}

/// All bindings.
#[derive(Debug, Clone)]
pub struct Keymap {
    bindings: Vec<Binding>,
    index: HashMap<(Place, Chord), usize>,
}

impl Keymap {
    /// The keymap that comes with the program.
    pub fn built_in() -> Result<Self, KeymapError> {
        Self::parse(include_str!("../../assets/keymap.toml"))
    }

    /// Reads a keymap file's text.
    pub fn parse(text: &str) -> Result<Self, KeymapError> {
        let File { binding: bindings } = toml::from_str(text)?;
        let mut index = HashMap::new();
        for (at, binding) in bindings.iter().enumerate() {
            for key in &binding.keys {
                if index.insert((binding.place, *key), at).is_some() {
                    return Err(KeymapError::Twice { key: key.label(), place: binding.place });
                }
            }
        }
        Ok(Self { bindings, index })
    }

    /// What a key asks for in a place. The place's own bindings win over those that hold everywhere.
    pub fn action(&self, place: Place, key: KeyEvent) -> Option<&Binding> {
        let chord = Chord::from(key);
        let at = self.index.get(&(place, chord)).or_else(|| self.index.get(&(Place::Everywhere, chord)))?;
        self.bindings.get(*at)
    }

    /// The bindings with a hint that hold in a place, most useful first.
    pub fn hints(&self, place: Place) -> Vec<&Binding> {
        // A key that means something else here is not hinted at with what it means elsewhere.
        let is_hidden = |b: &Binding| b.keys.first().is_some_and(|key| self.index.contains_key(&(place, *key)));
        let mut hints: Vec<_> = self
            .bindings
            .iter()
            .filter(|b| b.hint.is_some() && (b.place == place || b.place == Place::Everywhere && !is_hidden(b)))
            .collect();
        hints.sort_by_key(|binding| (binding.rank, binding.place == Place::Everywhere));
        hints
    }

    /// All bindings by group, in the order of the file. A binding that is there for several places appears once.
    pub fn groups(&self) -> Vec<(&str, Vec<&Binding>)> {
        let mut groups: Vec<(&str, Vec<&Binding>)> = Vec::new();
        for binding in &self.bindings {
            match groups.iter_mut().find(|(name, _)| *name == binding.group) {
                Some((_, members)) if members.iter().any(|b| b.action == binding.action) => {}
                Some((_, members)) => members.push(binding),
                None => groups.push((&binding.group, vec![binding])),
            }
        }
        groups
    }

    /// The first key of an action, for texts that name a key. The place's own binding first.
    pub fn key_of(&self, action: Action) -> String {
        let binding = self.bindings.iter().find(|binding| binding.action == action);
        binding.and_then(|b| b.keys.first()).map_or_else(String::new, |key| key.label())
    }
}

impl Chord {
    /// The key as people write it: `ctrl-d`, `Enter`, `↓`.
    pub fn label(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "shift-Tab".to_owned(),
            KeyCode::F(n) => format!("F{n}"),
            other => format!("{other:?}"),
        };
        format!("{}{}{name}", if self.ctrl { "ctrl-" } else { "" }, if self.alt { "alt-" } else { "" })
    }
}

impl From<KeyEvent> for Chord {
    fn from(key: KeyEvent) -> Self {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        // With control, terminals disagree about the letter's case.
        let code = match key.code {
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::Char(c.to_ascii_uppercase()),
            KeyCode::Tab if key.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Self { code, ctrl, alt: key.modifiers.contains(KeyModifiers::ALT) }
    }
}

impl TryFrom<String> for Chord {
    type Error = NoSuchKey;

    fn try_from(text: String) -> Result<Self, NoSuchKey> {
        let mut rest = text.as_str();
        let (mut ctrl, mut alt) = (false, false);
        loop {
            if let Some(tail) = rest.strip_prefix("ctrl-").filter(|tail| !tail.is_empty()) {
                (ctrl, rest) = (true, tail);
            } else if let Some(tail) = rest.strip_prefix("alt-").filter(|tail| !tail.is_empty()) {
                (alt, rest) = (true, tail);
            } else {
                break;
            }
        }
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => match rest {
                "Enter" => KeyCode::Enter,
                "Esc" => KeyCode::Esc,
                "Tab" => KeyCode::Tab,
                "BackTab" => KeyCode::BackTab,
                "Space" => KeyCode::Char(' '),
                "Backspace" => KeyCode::Backspace,
                "Delete" => KeyCode::Delete,
                "Up" => KeyCode::Up,
                "Down" => KeyCode::Down,
                "Left" => KeyCode::Left,
                "Right" => KeyCode::Right,
                "Home" => KeyCode::Home,
                "End" => KeyCode::End,
                "PageUp" => KeyCode::PageUp,
                "PageDown" => KeyCode::PageDown,
                _ => return Err(NoSuchKey(text)),
            },
        };
        Ok(Self { code, ctrl, alt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn the_built_in_keymap_binds_no_key_twice() {
        let keymap = Keymap::built_in().unwrap();
        assert!(keymap.groups().len() >= 6);
    }

    #[test]
    fn the_nearer_binding_wins() {
        let keymap = Keymap::built_in().unwrap();
        let n = key(KeyCode::Char('n'), KeyModifiers::NONE);
        assert_eq!(keymap.action(Place::Tree, n).map(|b| b.action), Some(Action::NextMatch));
        assert_eq!(keymap.action(Place::Steps, n).map(|b| b.action), Some(Action::RunNext));
        assert!(keymap.action(Place::Log, n).is_none());
        let q = key(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(keymap.action(Place::Log, q).map(|b| b.action), Some(Action::Quit));
    }

    #[test]
    fn control_and_capital_letters_are_told_apart() {
        let keymap = Keymap::built_in().unwrap();
        let action = |c, m| keymap.action(Place::Tree, key(KeyCode::Char(c), m)).map(|b| b.action);
        assert_eq!(action('d', KeyModifiers::CONTROL), Some(Action::TearDown));
        assert_eq!(action('d', KeyModifiers::NONE), Some(Action::Describe));
        assert_eq!(action('T', KeyModifiers::SHIFT), Some(Action::CheckAll));
        assert_eq!(action('t', KeyModifiers::NONE), Some(Action::CheckHere));
    }

    #[test]
    fn a_wrong_key_name_says_which() {
        let text = "[[binding]]\ngroup='x'\nkeys=['Entr']\naction='open'\nhelp='h'";
        let error = Keymap::parse(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(source.contains("'Entr' names no key"), "{source}");
        let twice = "[[binding]]\ngroup='x'\nkeys=['j','j']\naction='open'\nhelp='h'";
        assert!(matches!(Keymap::parse(twice), Err(KeymapError::Twice { .. })));
    }
}
