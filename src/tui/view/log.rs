//! The API log: every call to AWS, newest last, and below it the selected one as an aws CLI line.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::{ApiCall, CallOutcome};
use crate::tui::layout::Layout;
use crate::tui::model::{Focus, Model};
use crate::tui::theme::Tone;
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::pad;
use crate::tui::widget::time;

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let log = &model.log;
    let failed = log.calls.iter().filter(|call| call.outcome != CallOutcome::Ok).count();
    let heading = Line::of(format!("{} calls", log.calls.len()), Tone::Strong);
    let heading = if failed > 0 { heading.and(format!("  {failed} failed or refused"), Tone::Warn) } else { heading };
    let following = if log.cursor.is_none() { "  following" } else { "" };
    painter.line(area.x, area.y, area.width, &heading.and(following, Tone::Dim));
    let wide = area.width >= 90;
    let time = if wide { pad("time", 10) } else { String::new() };
    let titles = format!("{}{time}{}{}{}outcome", pad("#", 6), pad("operation", 34), pad("took", 8), pad("tries", 6));
    painter.line(area.x, area.y + 1, area.width, &Line::of(titles, Tone::Dim));
    let rows = model.layout().table_rows();
    let at = log.at();
    let top = (at + 1).saturating_sub(rows.max(1));
    let focused = model.focus == Focus::Pane;
    for (y, (index, call)) in (area.y + 2..area.bottom()).zip(log.calls.iter().enumerate().skip(top).take(rows)) {
        let over = if index == at { painter.selection(area.x, y, area.width, focused) } else { Style::new() };
        painter.styled(area.x, y, area.width, &row(call, wide), over);
    }
    let foot = u16::try_from(Layout::FOOT).unwrap_or(0);
    if let Some(call) = log.calls.get(at) {
        let y = area.bottom().saturating_sub(foot);
        painter.rule(area.x, y, area.width, &Line::of(format!(" call {} ", call.number), Tone::Dim));
        let below = Rect { y: y + 1, height: foot.saturating_sub(1), ..area };
        painter.lines(below, &in_full(call, usize::from(area.width)));
    }
}

fn row(call: &ApiCall, wide: bool) -> Line {
    let (outcome, tone) = match &call.outcome {
        CallOutcome::Ok => ("✓".to_owned(), Tone::Ok),
        CallOutcome::Error { code, .. } => (format!("✗ {code}"), Tone::Bad),
        CallOutcome::NoAnswer { reason } => (format!("✗ no answer: {reason}"), Tone::Bad),
        CallOutcome::Refused { reason } => (format!("■ refused: {reason}"), Tone::Warn),
    };
    let tries = if call.attempts > 1 { Tone::Warn } else { Tone::Dim };
    Line::of(pad(&call.number.to_string(), 6), Tone::Dim)
        .and(if wide { pad(&call.started_at.strftime("%H:%M:%S").to_string(), 10) } else { String::new() }, Tone::Dim)
        .and(pad(&format!("{}:{}", call.service, call.operation), 33), Tone::Text)
        .and(" ", Tone::Text)
        .and(pad(&time::latency(call.latency_ms), 8), Tone::Text)
        .and(pad(&call.attempts.to_string(), 6), tries)
        .and(outcome, tone)
}

fn in_full(call: &ApiCall, columns: usize) -> Vec<Line> {
    let blank = Line::blank();
    let mut lines = hang(&blank, &blank, &call.aws_cli, Tone::Code, columns);
    let answer = match &call.outcome {
        CallOutcome::Ok => None,
        CallOutcome::Error { code, message } => Some(format!("{code}: {message}")),
        CallOutcome::NoAnswer { reason } | CallOutcome::Refused { reason } => Some(reason.clone()),
    };
    if let Some(answer) = answer {
        lines.extend(hang(&Line::of("✗ ", Tone::Bad), &Line::of("  ", Tone::Bad), &answer, Tone::Text, columns));
    }
    lines
}
