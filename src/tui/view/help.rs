//! The help over everything.

use ratatui::layout::Rect;

use crate::tui::help;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use crate::tui::widget::line::Line;

use super::paint::Painter;

pub(super) fn draw(model: &Model, scroll: usize, area: Rect, painter: &mut Painter<'_>) {
    let (columns, rows) = help::frame((area.width, area.height));
    let frame = Rect {
        x: area.x + area.width.saturating_sub(columns) / 2,
        y: area.y + 2.min(area.height.saturating_sub(rows)),
        width: columns,
        height: rows,
    };
    painter.clear(frame);
    painter.frame(frame, &Line::of(" Keys ", Tone::Heading).and("any other key closes ", Tone::Dim), true);
    let inside =
        Rect { x: frame.x + 2, y: frame.y + 1, width: columns.saturating_sub(4), height: rows.saturating_sub(2) };
    let lines = help::lines(&model.keymap, usize::from(inside.width));
    painter.lines(inside, lines.iter().skip(scroll));
    painter.scroll_mark(frame, scroll, usize::from(inside.height), lines.len());
}
