//! The Diagnosis pane.

use ratatui::layout::Rect;

use crate::tui::diagnosis;
use crate::tui::model::{Focus, Model};

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let page = diagnosis::page(model, usize::from(area.width), usize::from(area.height));
    painter.lines(area, &page.head);
    let head = u16::try_from(page.head.len()).unwrap_or(area.height).min(area.height);
    let below = Rect { y: area.y + head, height: area.height - head, ..area };
    let left = page.beside.as_ref().map_or(0, |(columns, _)| u16::try_from(*columns).unwrap_or(0)).min(area.width);
    if let Some((_, path)) = &page.beside {
        painter.lines(Rect { width: left.saturating_sub(2), ..below }, path);
    }
    let body = Rect { x: below.x + left, width: below.width - left, ..below };
    let height = usize::from(body.height);
    let top = model.inquiry.top.min(page.body.len().saturating_sub(height));
    painter.lines(body, page.body.iter().skip(top));
    // The head of the selected finding, over the whole width.
    let head = page.findings.get(model.inquiry.cursor).map(|finding| finding.start);
    if let Some(at) = head.filter(|at| (top..top + height).contains(at)) {
        let y = body.y + u16::try_from(at - top).unwrap_or(0);
        let over = painter.selection(body.x, y, body.width, model.focus == Focus::Pane);
        if let Some(line) = page.body.get(at) {
            painter.styled(body.x, y, body.width, line, over);
        }
    }
    let frame = Rect { x: area.x, y: body.y.saturating_sub(1), width: area.width + 2, height: body.height + 2 };
    painter.scroll_mark(frame, top, height, page.body.len());
}
