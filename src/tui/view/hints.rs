//! The last line: what is being typed, a message, or the keys that matter here.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::model::{Model, Overlay};
use crate::tui::theme::Tone;
use crate::tui::widget::line::Line;

use super::paint::Painter;

/// Draws the line and says where the text cursor goes.
pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) -> Option<(u16, u16)> {
    if let Overlay::Filter(input) = &model.overlay {
        let found = format!("{} found   ", model.tree.found());
        let right = Line::of(if input.value().is_empty() { String::new() } else { found }, Tone::Dim)
            .and("Enter", Tone::Key)
            .and(" keep  ", Tone::Dim)
            .and("Esc", Tone::Key)
            .and(" clear ", Tone::Dim);
        let room = painter.line_right(area.x, area.y, area.width, &right, Style::new());
        let line = Line::of(" /", Tone::Key).and(input.value(), Tone::Strong);
        painter.line(area.x, area.y, room, &line);
        let x = area.x + 2 + u16::try_from(input.visual_cursor()).unwrap_or(0);
        return Some((x.min(area.right().saturating_sub(1)), area.y));
    }
    if let Some(toast) = model.toasts.last() {
        let line = Line::of(" ", Tone::Text).and(&toast.text, toast.tone);
        painter.line(area.x, area.y, area.width, &line);
        return None;
    }
    let mut line = Line::of(" ", Tone::Text);
    let mut room = usize::from(area.width).saturating_sub(2);
    let mut hints = model.keymap.hints(model.place());
    // Help and quit are always there; the others as far as they fit.
    let always: usize = hints.iter().filter(|b| b.rank >= 90).map(|b| width(b)).sum();
    room = room.saturating_sub(always);
    hints.retain(|binding| {
        if binding.rank >= 90 {
            return true;
        }
        let fits = width(binding) <= room;
        if fits {
            room -= width(binding);
        }
        fits
    });
    for binding in hints {
        let (key, hint) = texts(binding);
        line = line.and(key, Tone::Key).and(format!(" {hint}  "), Tone::Dim);
    }
    painter.line(area.x, area.y, area.width, &line);
    None
}

fn texts(binding: &crate::tui::keymap::Binding) -> (String, &str) {
    let key = binding.keys.first().map_or_else(String::new, |key| key.label());
    (key, binding.hint.as_deref().unwrap_or_default())
}

fn width(binding: &crate::tui::keymap::Binding) -> usize {
    let (key, hint) = texts(binding);
    crate::tui::widget::text::width(&key) + crate::tui::widget::text::width(hint) + 3
}
