//! The help: the keymap in columns, then what the symbols mean. Pure.

use super::keymap::Keymap;
use super::theme::Tone;
use super::widget::line::Line;
use super::widget::text::pad;

/// Columns of the keys.
const KEYS: usize = 14;

/// What the symbols mean, for terminals with and without colour.
const LEGEND: [(&str, Tone, &str); 13] = [
    ("●", Tone::Ok, "runs, is attached or in use; in Steps: done"),
    ("◐", Tone::Busy, "is changing"),
    ("○", Tone::Warn, "stopped or unused; in Steps: to do"),
    ("✗", Tone::Bad, "failed, dropped, blackhole"),
    ("↩", Tone::Warn, "is being taken back"),
    ("✓", Tone::Ok, "egress via the NAT that the route names"),
    ("≠", Tone::Warn, "egress, but by another way"),
    ("✗", Tone::Bad, "no egress"),
    ("?", Tone::Unknown, "unknown, or cannot be tested: neither good nor bad"),
    ("+", Tone::Added, "new since the last refresh by hand, or in the last minute"),
    ("~", Tone::Changed, "changed"),
    ("-", Tone::Removed, "gone"),
    ("◆", Tone::Accent, "marked for a check"),
];

/// Columns and rows of the help's frame for a terminal of this size.
pub fn frame((columns, rows): (u16, u16)) -> (u16, u16) {
    (columns.saturating_sub(4).min(112), rows.saturating_sub(2))
}

/// All lines for a frame of `columns` inside.
pub fn lines(keymap: &Keymap, columns: usize) -> Vec<Line> {
    let mut blocks: Vec<Vec<Line>> = keymap
        .groups()
        .iter()
        .map(|(name, bindings)| {
            let heading = Line::of(name, Tone::Heading);
            let rows = bindings.iter().map(|binding| {
                let keys: Vec<String> = binding.keys.iter().map(|key| key.label()).collect();
                Line::of(pad(&format!("  {}", keys.join("  ")), KEYS), Tone::Key).and(&binding.help, Tone::Text)
            });
            std::iter::once(heading).chain(rows).chain([Line::blank()]).collect()
        })
        .collect();
    let legend = LEGEND
        .iter()
        .map(|(symbol, tone, meaning)| Line::of(pad(&format!("  {symbol}"), KEYS), *tone).and(meaning, Tone::Text));
    blocks.push(std::iter::once(Line::of("Symbols", Tone::Heading)).chain(legend).chain([Line::blank()]).collect());
    blocks.into_iter().flatten().map(|line| cut(line, columns)).collect()
}

fn cut(line: Line, columns: usize) -> Line {
    let mut room = columns;
    let pieces = line.0.into_iter().map(|(text, tone)| {
        let fitted = super::widget::text::fit(&text, room).into_owned();
        room = room.saturating_sub(super::widget::text::width(&fitted));
        (fitted, tone)
    });
    Line(pieces.collect())
}

/// How far the help scrolls at most.
pub fn longest_scroll(keymap: &Keymap, size: (u16, u16)) -> usize {
    let (columns, rows) = frame(size);
    let inside = usize::from(rows.saturating_sub(2));
    lines(keymap, usize::from(columns.saturating_sub(4))).len().saturating_sub(inside)
}
