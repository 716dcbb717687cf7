//! Sections of aligned keys and values. Pure.

use crate::tui::theme::Tone;
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::pad;

/// Columns of the keys.
const KEYS: usize = 20;

/// Lines in the making.
pub(super) struct Sections {
    columns: usize,
    lines: Vec<Line>,
}

impl Sections {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, lines: Vec::new() }
    }

    /// Begins a section.
    pub(super) fn open(&mut self, heading: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::blank());
        }
        self.lines.push(Line::of(heading, Tone::Heading));
    }

    pub(super) fn pair(&mut self, key: &str, value: impl AsRef<str>) {
        self.pair_toned(key, value, Tone::Text);
    }

    pub(super) fn pair_toned(&mut self, key: &str, value: impl AsRef<str>, tone: Tone) {
        let value = value.as_ref();
        let (value, tone) = if value.is_empty() { ("none", Tone::Dim) } else { (value, tone) };
        let first = Line::of(pad(&format!("  {key}"), KEYS + 2), Tone::Dim);
        let rest = Line::of(" ".repeat(KEYS + 2), Tone::Dim);
        self.lines.extend(hang(&first, &rest, value, tone, self.columns));
    }

    /// A pair, left out when there is no value.
    pub(super) fn pair_if(&mut self, key: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.pair(key, value);
        }
    }

    /// A line of free text within the section.
    pub(super) fn note(&mut self, text: &str) {
        let prefix = Line::of("  ", Tone::Dim);
        self.lines.extend(hang(&prefix, &prefix, text, Tone::Text, self.columns));
    }

    /// A line made elsewhere, such as a row of the tree.
    pub(super) fn line(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}
