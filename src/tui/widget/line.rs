//! A line of toned text: what pure code hands to the views. Pure.

use super::text::{clean, width, wrap};
use crate::tui::theme::Tone;

/// Pieces of text with their tones, left to right. The text is clean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(String, Tone)>);

impl Line {
    pub fn blank() -> Self {
        Self::default()
    }

    pub fn of(text: impl AsRef<str>, tone: Tone) -> Self {
        Self::blank().and(text, tone)
    }

    /// With one more piece at the end.
    #[must_use]
    pub fn and(mut self, text: impl AsRef<str>, tone: Tone) -> Self {
        if !text.as_ref().is_empty() {
            self.0.push((clean(text.as_ref()).into_owned(), tone));
        }
        self
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| width(text)).sum()
    }

    /// The text without tones.
    pub fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// A text wrapped to `columns`, behind a prefix: `first` on the first line, `rest` on the others. Both prefixes have
/// the same width. A text may have several lines of its own.
pub fn hang(first: &Line, rest: &Line, text: &str, tone: Tone, columns: usize) -> Vec<Line> {
    let room = columns.saturating_sub(first.width()).max(8);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        for part in wrap(&clean(paragraph), room) {
            let prefix = if lines.is_empty() { first } else { rest };
            lines.push(prefix.clone().and(part, tone));
        }
    }
    if lines.is_empty() {
        lines.push(first.clone());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_text_hangs_below_its_beginning() {
        let first = Line::of("key  ", Tone::Dim);
        let lines = hang(&first, &Line::of("     ", Tone::Dim), "one two three four", Tone::Text, 14);
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, ["key  one two", "     three", "     four"]);
    }
}
