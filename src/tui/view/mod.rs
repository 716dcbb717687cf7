//! Draws the console. `view` is a function of the model and nothing else, and builds only what is on the screen.

mod checks;
mod detail;
mod diagnosis;
mod dialog;
mod drills;
mod header;
mod help;
mod hints;
mod log;
mod paint;
mod steps;
mod tree;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::layout::MINIMUM;
use super::model::{Focus, Model, Overlay, Pane};
use super::theme::{Theme, Tone};
use super::widget::line::Line;
use paint::Painter;

/// Draws one frame.
pub fn view(model: &Model, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let cursor = {
        let mut painter = Painter::new(frame.buffer_mut(), theme);
        painter.wash(area);
        draw(model, area, &mut painter)
    };
    if let Some((x, y)) = cursor {
        frame.set_cursor_position((x, y));
    }
}

/// Draws everything and says where the text cursor goes.
fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) -> Option<(u16, u16)> {
    let layout = model.layout();
    if layout.too_small {
        too_small(area, painter);
        return None;
    }
    header::draw(model, layout.header, painter);
    if let Some(area) = layout.tree {
        tree::draw(model, area, painter);
    }
    if let Some(area) = layout.pane {
        pane(model, area, painter);
    }
    let typing = hints::draw(model, layout.hints, painter);
    match &model.overlay {
        Overlay::None | Overlay::Filter(_) => typing,
        Overlay::Help { scroll } => {
            help::draw(model, *scroll, area, painter);
            None
        }
        Overlay::Dialog(dialog) => dialog::draw(model, dialog, area, painter),
        Overlay::Drills(menu) => drills::draw(model, menu, layout.drills_frame(), painter),
    }
}

fn pane(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let focused = model.focus == Focus::Pane;
    let mut title = Line::of(" ", Tone::Dim);
    for (at, pane) in Pane::ALL.into_iter().enumerate() {
        if at > 0 {
            title = title.and(" │ ", Tone::Border);
        }
        let tone = match (pane == model.pane, focused) {
            (true, true) => Tone::Heading,
            (true, false) => Tone::Strong,
            (false, _) => Tone::Dim,
        };
        title = title.and(format!("{} {}", at + 1, pane.title()), tone);
    }
    painter.frame(area, &title.and(" ", Tone::Dim), focused);
    let inside = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    };
    match model.pane {
        Pane::Detail => detail::draw(model, inside, painter),
        Pane::Steps => steps::draw(model, inside, painter),
        Pane::Checks => checks::draw(model, inside, painter),
        Pane::Log => log::draw(model, inside, painter),
        Pane::Diagnosis => diagnosis::draw(model, inside, painter),
    }
}

fn too_small(area: Rect, painter: &mut Painter<'_>) {
    let (columns, rows) = MINIMUM;
    let texts = [
        "natdeck needs a larger terminal".to_owned(),
        format!("at least {columns} x {rows}"),
        format!("this one has {} x {}", area.width, area.height),
    ];
    let top = area.height.saturating_sub(3) / 2;
    for (at, text) in (0u16..).zip(&texts) {
        let x = area.width.saturating_sub(u16::try_from(text.len()).unwrap_or(0)) / 2;
        painter.line(x, top + at, area.width, &Line::of(text, if at == 0 { Tone::Strong } else { Tone::Text }));
    }
}

#[cfg(test)]
mod tests;
