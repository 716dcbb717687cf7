//! The Detail pane.

use ratatui::layout::Rect;

use crate::tui::detail;
use crate::tui::model::Model;

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let lines = detail::lines(model, usize::from(area.width));
    let height = usize::from(area.height);
    let top = model.detail.scroll.min(lines.len().saturating_sub(height));
    painter.lines(area, lines.iter().skip(top));
    let frame = Rect { x: area.x, y: area.y.saturating_sub(1), width: area.width + 2, height: area.height + 2 };
    painter.scroll_mark(frame, top, height, lines.len());
}
