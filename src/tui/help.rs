//! The help: the keymap in columns, then what the symbols mean. Pure.

use super::keymap::Keymap;
use super::theme::Tone;
use super::widget::line::{Line, hang};
use super::widget::text::pad;

/// Columns of the keys.
const KEYS: usize = 16;

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
    // Below the header and above the hints, which stay.
    (columns.min(132), rows.saturating_sub(3))
}

/// All lines for a frame of `columns` inside: two columns of blocks where there is room.
pub fn lines(keymap: &Keymap, columns: usize) -> Vec<Line> {
    let two = columns >= 96;
    let room = if two { columns / 2 - 1 } else { columns };
    let entry = |keys: &str, tone, text: &str| {
        let first = Line::of(pad(&format!("  {keys}"), KEYS), tone);
        hang(&first, &Line::of(" ".repeat(KEYS), Tone::Text), text, Tone::Text, room)
    };
    let mut blocks: Vec<Vec<Line>> = Vec::new();
    for (name, bindings) in keymap.groups() {
        let mut block = vec![Line::of(name, Tone::Heading)];
        for binding in bindings {
            let keys: Vec<String> = binding.keys.iter().map(|key| key.label()).collect();
            block.extend(entry(&keys.join("  "), Tone::Key, &binding.help));
        }
        block.push(Line::blank());
        blocks.push(block);
    }
    let mut legend = vec![Line::of("Symbols", Tone::Heading)];
    legend.extend(LEGEND.iter().flat_map(|(symbol, tone, meaning)| entry(symbol, *tone, meaning)));
    blocks.push(legend);
    if !two {
        return blocks.into_iter().flatten().collect();
    }
    // The left column takes blocks until it holds half of the lines.
    let half = blocks.iter().map(Vec::len).sum::<usize>().div_ceil(2);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for block in blocks {
        if right.is_empty() && left.len() + block.len() / 2 <= half { left.extend(block) } else { right.extend(block) }
    }
    let rows = left.len().max(right.len());
    left.resize(rows, Line::blank());
    right.resize(rows, Line::blank());
    left.into_iter().zip(right).map(|(left, right)| beside(left, right, room + 2)).collect()
}

/// Two lines on one, the second at a column.
fn beside(mut left: Line, right: Line, column: usize) -> Line {
    if right.0.is_empty() {
        return left;
    }
    left = left.clone().and(" ".repeat(column.saturating_sub(left.width())), Tone::Text);
    left.0.extend(right.0);
    left
}

/// How far the help scrolls at most.
pub fn longest_scroll(keymap: &Keymap, size: (u16, u16)) -> usize {
    let (columns, rows) = frame(size);
    let inside = usize::from(rows.saturating_sub(2));
    lines(keymap, usize::from(columns.saturating_sub(4))).len().saturating_sub(inside)
}
