//! The menu of drills: what can be broken here, filtered as one types.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::drill::Drill;
use crate::tui::drill_menu::{DrillMenu, Menu};
use crate::tui::model::Model;
use crate::tui::step_text::failure_lines;
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, label};
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::pad;
use crate::tui::widget::time;

use super::paint::Painter;

/// Columns of the causes' names where there is room for them.
const NAMES: usize = 45;

/// Draws the menu and says where the text cursor goes.
pub(super) fn draw(model: &Model, menu: &DrillMenu, frame: Rect, painter: &mut Painter<'_>) -> Option<(u16, u16)> {
    painter.clear(frame);
    let title = Line::of(" Break egress ", Tone::Danger).and(about(model, menu), Tone::Dim).and(" ", Tone::Dim);
    painter.frame_toned(frame, &title, Tone::BorderFocus);
    let inside = Rect {
        x: frame.x + 2,
        y: frame.y + 1,
        width: frame.width.saturating_sub(4),
        height: frame.height.saturating_sub(2),
    };
    let list = Rect { y: inside.y + 2, height: inside.height.saturating_sub(7), ..inside };
    let keys = Line::of("Enter", Tone::Key)
        .and(" break   ", Tone::Text)
        .and("↑ ↓", Tone::Key)
        .and(" choose   ", Tone::Text)
        .and("Esc", Tone::Key)
        .and(" not now", Tone::Text);
    painter.line(inside.x, inside.bottom().saturating_sub(1), inside.width, &keys);
    match &menu.menu {
        Menu::Asking { since, .. } => {
            let text = format!(
                "{} trying what can be broken here, {}",
                time::spinner(model.now),
                time::span(*since, model.now)
            );
            painter.line(inside.x, inside.y, inside.width, &Line::of(text, Tone::Busy));
            None
        }
        Menu::Refused(failure) => {
            painter.lines(list, &failure_lines(failure, usize::from(inside.width)));
            None
        }
        Menu::Listed(_) => {
            let rows = menu.rows();
            let found = Line::of(format!("{} of {}", rows.len(), total(menu)), Tone::Dim);
            let room = painter.line_right(inside.x, inside.y, inside.width, &found, Style::new());
            painter.line(inside.x, inside.y, room, &Line::of("› ", Tone::Accent).and(menu.typed.value(), Tone::Strong));
            if menu.typed.value().is_empty() {
                painter.line(inside.x + 3, inside.y, room.saturating_sub(3), &Line::of("type to filter", Tone::Dim));
            }
            for (y, (at, row)) in (list.y..list.bottom()).zip(rows.iter().enumerate().skip(menu.top)) {
                let over =
                    if at == menu.cursor { painter.selection(list.x, y, list.width, true) } else { Style::new() };
                painter.styled(list.x, y, list.width, &self::row(*row, usize::from(list.width)), over);
            }
            let chosen = rows.get(menu.cursor).copied().flatten();
            painter
                .lines(Rect { y: list.bottom() + 1, height: 3, ..inside }, &in_full(chosen, usize::from(inside.width)));
            painter.scroll_mark(
                Rect { y: list.y - 1, height: list.height + 2, ..frame },
                menu.top,
                usize::from(list.height),
                rows.len(),
            );
            let x = inside.x + 2 + u16::try_from(menu.typed.visual_cursor()).unwrap_or(0);
            Some((x.min(inside.right().saturating_sub(1)), inside.y))
        }
    }
}

fn total(menu: &DrillMenu) -> usize {
    match &menu.menu {
        Menu::Listed(drills) => drills.len() + usize::from(!menu.surprises().is_empty()),
        Menu::Asking { .. } | Menu::Refused(_) => 0,
    }
}

/// Whose egress.
fn about(model: &Model, menu: &DrillMenu) -> String {
    let Some(id) = &menu.instance_id else { return "of the first private instance that fits".to_owned() };
    let name = model.seen().and_then(|seen| seen.resource(Kind::Instance, id.as_str())).map(label::name_of);
    format!("of {}", name.unwrap_or(id.as_str()))
}

/// What the selected row does and why that breaks egress.
fn in_full(drill: Option<&Drill>, columns: usize) -> Vec<Line> {
    let Some(drill) = drill else { return Vec::new() };
    let blank = Line::blank();
    let mut lines = hang(&blank, &blank, &drill.does, Tone::Text, columns);
    lines.extend(hang(&blank, &blank, drill.cause.explanation(), Tone::Dim, columns));
    lines
}

fn row(drill: Option<&Drill>, columns: usize) -> Line {
    let names = NAMES.min(columns / 2);
    match drill {
        None => Line::of(pad("surprise me", names), Tone::Accent)
            .and(" breaks one thing that can be mended, and does not say which", Tone::Text),
        Some(drill) => {
            Line::of(pad(&drill.cause.name(), names), Tone::Strong).and(format!(" {}", drill.does), Tone::Text)
        }
    }
}
