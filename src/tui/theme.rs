//! How things look. A theme gives every *role* a style; views name roles, never colours. Pure: the environment comes
//! in as a function.
//!
//! The default theme uses the terminal's own background and sixteen colours. `NO_COLOR` takes the colours away and
//! leaves bold, dim, underlined and reversed; every meaning is also carried by a symbol.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// What a piece of the screen means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Text,
    Dim,
    Strong,
    Accent,
    Heading,
    Border,
    BorderFocus,
    /// The selected row of the focused pane.
    Selection,
    /// The selected row of a pane without the focus.
    SelectionIdle,
    Ok,
    Warn,
    Bad,
    Unknown,
    /// Something is in progress.
    Busy,
    /// A key in hints and help.
    Key,
    /// What the filter found.
    Match,
    /// Commands and code.
    Code,
    WorldAws,
    WorldSandbox,
    WorldEndpoint,
    Badge,
    BadgeWarn,
    Added,
    Changed,
    Removed,
    /// The frame of a dialog that destroys.
    Danger,
}

/// A theme that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("there is no theme '{0}': choose dark, light, ansi16 or plain")]
    NoSuchTheme(String),
    #[error("theme '{name}' is not readable; correct its TOML")]
    Unreadable { name: String, source: toml::de::Error },
    #[error("theme '{name}' gives '{role}' the colour '{colour}', which is neither a name, #rrggbb nor an index")]
    NoSuchColour { name: String, role: String, colour: String },
}

/// How much colour the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR` is set: modifiers only.
    None,
    /// The 256 indexed colours.
    Indexed,
    /// 24 bits.
    True,
}

/// A style for each role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    styles: BTreeMap<Tone, Style>,
}

/// A style as a theme file writes it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum StyleText {
    Colour(String),
    Full {
        fg: Option<String>,
        bg: Option<String>,
        #[serde(default)]
        modifiers: Vec<ModifierText>,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModifierText {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

impl From<ModifierText> for Modifier {
    fn from(text: ModifierText) -> Self {
        match text {
            ModifierText::Bold => Self::BOLD,
            ModifierText::Dim => Self::DIM,
            ModifierText::Italic => Self::ITALIC,
            ModifierText::Underlined => Self::UNDERLINED,
            ModifierText::Reversed => Self::REVERSED,
        }
    }
}

impl Theme {
    /// The theme for this terminal: `choice` is what the person asked for (`--theme`, `NATDECK_THEME`, the
    /// configuration), `env` looks up environment variables.
    ///
    /// Without a choice: `dark` or `light` when the terminal says both that it has 24-bit colour (`COLORTERM`) and
    /// which background it has (`COLORFGBG`), else `ansi16`, which reads on either.
    pub fn from_env(choice: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Result<Self, ThemeError> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let true_colour = set("COLORTERM").is_some_and(|v| matches!(v.as_str(), "truecolor" | "24bit"));
        let depth = match (set("NO_COLOR"), true_colour) {
            (Some(_), _) => Depth::None,
            (None, true) => Depth::True,
            (None, false) => Depth::Indexed,
        };
        let name = choice.map(str::to_owned).or_else(|| set("NATDECK_THEME")).unwrap_or_else(|| {
            let background = set("COLORFGBG").and_then(|v| v.rsplit(';').next()?.parse::<u8>().ok());
            match background {
                Some(0..=6 | 8) if true_colour => "dark",
                Some(_) if true_colour => "light",
                _ => "ansi16",
            }
            .to_owned()
        });
        Self::named(&name, depth)
    }

    /// One of the built-in themes.
    pub fn named(name: &str, depth: Depth) -> Result<Self, ThemeError> {
        match name {
            "dark" => Self::parse(name, include_str!("../../assets/themes/dark.toml"), depth),
            "light" => Self::parse(name, include_str!("../../assets/themes/light.toml"), depth),
            "ansi16" | "auto" => Self::parse("ansi16", include_str!("../../assets/themes/ansi16.toml"), depth),
            "plain" => Self::parse("ansi16", include_str!("../../assets/themes/ansi16.toml"), Depth::None),
            other => Err(ThemeError::NoSuchTheme(other.to_owned())),
        }
    }

    /// Reads a theme file's text.
    pub fn parse(name: &str, text: &str, depth: Depth) -> Result<Self, ThemeError> {
        let read: BTreeMap<Tone, StyleText> =
            toml::from_str(text).map_err(|source| ThemeError::Unreadable { name: name.to_owned(), source })?;
        let mut styles = BTreeMap::new();
        for (tone, text) in read {
            let colour = |colour: &str| {
                colour.parse::<Color>().map(|c| shallow(c, depth)).map_err(|_| ThemeError::NoSuchColour {
                    name: name.to_owned(),
                    role: format!("{tone:?}").to_lowercase(),
                    colour: colour.to_owned(),
                })
            };
            let (fg, bg, modifiers) = match text {
                StyleText::Colour(fg) => (Some(fg), None, Vec::new()),
                StyleText::Full { fg, bg, modifiers } => (fg, bg, modifiers),
            };
            let mut style = Style::new();
            if let Some(fg) = fg {
                style.fg = colour(&fg)?;
            }
            let had_background = bg.is_some();
            if let Some(bg) = bg {
                style.bg = colour(&bg)?;
            }
            for modifier in modifiers {
                style = style.add_modifier(modifier.into());
            }
            if had_background && depth == Depth::None {
                style = style.add_modifier(Modifier::REVERSED);
            }
            styles.insert(tone, style);
        }
        Ok(Self { styles })
    }

    /// The style of a role.
    pub fn style(&self, tone: Tone) -> Style {
        self.styles.get(&tone).copied().unwrap_or_default()
    }
}

/// Brings a colour down to what the terminal has. `None`: no colour at all.
fn shallow(colour: Color, depth: Depth) -> Option<Color> {
    match (depth, colour) {
        (Depth::None, _) => None,
        (Depth::Indexed, Color::Rgb(r, g, b)) => Some(Color::Indexed(nearest_index(r, g, b))),
        (_, other) => Some(other),
    }
}

/// The nearest of xterm's 240 fixed colours: a 6x6x6 cube from 16 and 24 greys from 232.
fn nearest_index(r: u8, g: u8, b: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |(x, y, z): (u8, u8, u8)| {
        let d = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        d(x, r) + d(y, g) + d(z, b)
    };
    let cube = (0u8..216).map(|i| {
        let level = |n: u8| LEVELS.get(usize::from(n % 6)).copied().unwrap_or(0);
        (16 + i, (level(i / 36), level(i / 6), level(i)))
    });
    let greys = (0u8..24).map(|i| (232 + i, (8 + 10 * i, 8 + 10 * i, 8 + 10 * i)));
    cube.chain(greys).min_by_key(|(_, rgb)| distance(*rgb)).map_or(7, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn every_built_in_theme_is_readable_at_every_depth() {
        for name in ["dark", "light", "ansi16", "plain"] {
            for depth in [Depth::None, Depth::Indexed, Depth::True] {
                let theme = Theme::named(name, depth).unwrap();
                assert_ne!(theme.style(Tone::Bad), Style::new(), "{name} {depth:?}");
            }
        }
        assert!(Theme::named("neon", Depth::True).is_err());
    }

    #[test]
    fn no_color_leaves_no_colour_anywhere() {
        let theme = Theme::from_env(Some("dark"), env(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")])).unwrap();
        assert!(theme.styles.values().all(|style| style.fg.is_none() && style.bg.is_none()));
        assert!(theme.style(Tone::WorldAws).add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn without_a_word_from_the_terminal_the_sixteen_colours_are_used() {
        let theme = Theme::from_env(None, env(&[("COLORTERM", "truecolor")])).unwrap();
        assert_eq!(theme, Theme::named("ansi16", Depth::True).unwrap());
        let light = Theme::from_env(None, env(&[("COLORTERM", "truecolor"), ("COLORFGBG", "0;15")])).unwrap();
        assert_eq!(light, Theme::named("light", Depth::True).unwrap());
    }

    #[test]
    fn without_true_colour_the_nearest_of_256_is_used() {
        let theme = Theme::from_env(Some("dark"), env(&[])).unwrap();
        assert!(matches!(theme.style(Tone::Ok).fg, Some(Color::Indexed(_))));
        assert_eq!((nearest_index(255, 0, 0), nearest_index(8, 8, 8)), (196, 232));
    }

    #[test]
    fn a_wrong_colour_is_named_with_its_role() {
        let error = Theme::parse("mine", "ok = \"gren\"", Depth::True).unwrap_err().to_string();
        assert!(error.contains("'ok'") && error.contains("'gren'"), "{error}");
    }
}
