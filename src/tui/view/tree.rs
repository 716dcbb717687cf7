//! The tree: only the rows in the window are made.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::InstanceId;
use crate::model::diff::Change;
use crate::tui::detail::verdict_tone;
use crate::tui::model::{Focus, Model, Sight};
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, Node, Seen, What, label};
use crate::tui::widget::line::Line;
use crate::tui::widget::time;

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let focused = model.focus == Focus::Tree;
    painter.frame(area, &title(model, focused), focused);
    let inside = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    };
    let seen = match &model.sight {
        Sight::Seen(picture) => &picture.seen,
        Sight::Waiting { .. } => {
            let line = Line::of(format!(" {} ", time::spinner(model.now)), Tone::Busy).and("asking AWS …", Tone::Dim);
            painter.line(inside.x, inside.y, inside.width, &line);
            return;
        }
        Sight::Blind { failure } => {
            let (first, rest) = (Line::of(" ✗ ", Tone::Bad), Line::of("   ", Tone::Bad));
            let columns = usize::from(inside.width.saturating_sub(1));
            let lines = crate::tui::widget::line::hang(&first, &rest, &failure.to_string(), Tone::Text, columns);
            painter.lines(inside, &lines);
            return;
        }
    };
    if model.tree.is_empty() {
        let text = if model.tree.filter().is_empty() { " There is no VPC here." } else { " Nothing matches." };
        painter.line(inside.x, inside.y, inside.width, &Line::of(text, Tone::Dim));
        return;
    }
    for (y, (at, node)) in (inside.y..inside.bottom()).zip(model.tree.rows(usize::from(inside.height))) {
        let over = if at == model.tree.cursor() {
            painter.selection(inside.x, y, inside.width, focused)
        } else {
            Style::new()
        };
        let room =
            painter.line_right(inside.x, y, inside.width.saturating_sub(1), &verdict(model, node, area.width), over);
        let room = room.min(inside.width.saturating_sub(1));
        painter.styled(inside.x, y, room, &row(model, seen, at, node), over);
    }
    painter.scroll_mark(area, model.tree.top(), usize::from(inside.height), model.tree.len());
}

fn title(model: &Model, focused: bool) -> Line {
    let mut line = Line::of(" Network ", if focused { Tone::Heading } else { Tone::Strong });
    if !model.tree.filter().is_empty() {
        let filter = model.tree.filter();
        let found = model.tree.found();
        line = line.and(format!("/{filter}"), Tone::Match).and(format!("  {found} found "), Tone::Dim);
    }
    if !model.marks.is_empty() {
        line = line.and(format!("◆ {} marked ", model.marks.len()), Tone::Accent);
    }
    line
}

/// Change mark, mark, indentation, fold sign, state, label.
fn row(model: &Model, seen: &Seen, at: usize, node: &Node) -> Line {
    let (change, mark) = match &node.what {
        What::Resource(kind, id) => {
            let change = match seen.change(id) {
                Some(Change::Added) => ("+", Tone::Added),
                Some(Change::Changed) => ("~", Tone::Changed),
                Some(Change::Removed) => ("-", Tone::Removed),
                None => (" ", Tone::Dim),
            };
            let marked = *kind == Kind::Instance
                && !model.marks.is_empty()
                && model.marks.contains(&InstanceId::new(id.as_ref()));
            (change, if marked { "◆" } else { " " })
        }
        _ => ((" ", Tone::Dim), " "),
    };
    let fold = match (node.children, model.tree.is_open(node)) {
        (0, _) => "  ",
        (_, true) => "▾ ",
        (_, false) => "▸ ",
    };
    let indent = " ".repeat(node.depth.saturating_mul(2));
    let mut line = Line::of(change.0, change.1).and(mark, Tone::Accent).and(indent, Tone::Dim).and(fold, Tone::Dim);
    let label = label::label(seen, node);
    if let Some((symbol, tone)) = label.symbol {
        line = line.and(symbol, tone).and(" ", Tone::Dim);
    }
    let gone = change.0 == "-";
    let found = !model.tree.filter().is_empty() && model.tree.is_match(at);
    for (index, (text, tone)) in label.parts.iter().enumerate() {
        if index > 0 {
            line = line.and("  ", Tone::Dim);
        }
        let tone = match (gone, found && index == 0) {
            (true, _) => Tone::Dim,
            (false, true) => Tone::Match,
            (false, false) => *tone,
        };
        line = line.and(text, tone);
    }
    line
}

/// The egress verdict at the right edge of an instance's row.
fn verdict(model: &Model, node: &Node, columns: u16) -> Line {
    let What::Resource(Kind::Instance, id) = &node.what else { return Line::blank() };
    match model.checks.result_of(&InstanceId::new(id.as_ref())) {
        None => Line::blank(),
        Some(row) => match &row.result {
            None => Line::of(time::spinner(model.now), Tone::Busy),
            Some(result) if row.outdated && columns < 46 => {
                Line::of(format!("({})", result.verdict.symbol()), Tone::Dim)
            }
            Some(result) if row.outdated => Line::of(format!("was {}", result.verdict.label()), Tone::Dim),
            Some(result) => {
                let line = Line::of(result.verdict.symbol(), verdict_tone(result.verdict));
                // Where names would be cut for it, the symbol has to do.
                if columns < 46 {
                    line
                } else {
                    line.and(format!(" {}", result.verdict.label()), verdict_tone(result.verdict))
                }
            }
        },
    }
}
