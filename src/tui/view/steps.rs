//! The Steps pane: the plan as a list, and below it the selected step in full.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::plan::{PlanKind, Step};
use crate::saga::NodeState;
use crate::tui::keymap::Action;
use crate::tui::message::RunEnd;
use crate::tui::model::{Activity, Focus, Model, Session, StepProgress, Steps};
use crate::tui::step_text::{self, failure_lines};
use crate::tui::theme::Tone;
use crate::tui::widget::line::Line;
use crate::tui::widget::time;

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    match &model.steps {
        Steps::Empty => empty(model, area, painter),
        Steps::Planning { kind, since, .. } => {
            let waited = time::span(*since, model.now);
            let line = Line::of(format!("{} ", time::spinner(model.now)), Tone::Busy)
                .and(format!("planning the {} … {waited}", kind.as_str()), Tone::Text);
            painter.line(area.x, area.y, area.width, &line);
        }
        Steps::Refused { kind, failure } => {
            let heading = Line::of(format!("The {} could not be planned", kind.as_str()), Tone::Strong);
            let mut lines = vec![heading, Line::blank()];
            lines.extend(failure_lines(failure, usize::from(area.width)));
            painter.lines(area, &lines);
        }
        Steps::Ready(session) => ready(model, session, area, painter),
    }
}

fn empty(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let key = |action| model.keymap.key_of(action);
    let lines = [
        Line::of("No plan yet.", Tone::Strong),
        Line::blank(),
        Line::of(format!("{:8}", key(Action::Provision)), Tone::Key)
            .and("plans a NAT instance for the private subnet", Tone::Text),
        Line::of(format!("{:8}", key(Action::TearDown)), Tone::Key).and(
            format!("plans the teardown of a stack ('{}' unless another is selected)", model.settings.stack),
            Tone::Text,
        ),
        Line::blank(),
        Line::of("A plan changes nothing. It is shown here step by step, with its", Tone::Dim),
        Line::of("reason and its command, before any of it is run.", Tone::Dim),
    ];
    painter.lines(area, &lines);
}

fn ready(model: &Model, session: &Session, area: Rect, painter: &mut Painter<'_>) {
    painter.line(area.x, area.y, area.width, &heading(model, session));
    if session.plan.steps.is_empty() {
        let line = Line::of("Nothing to do: there are no steps.", Tone::Dim);
        painter.line(area.x, area.y + 2, area.width, &line);
        return;
    }
    let (list, rest) = model.layout().steps_rows(session.plan.steps.len());
    let focused = model.focus == Focus::Pane;
    let next = session.next();
    let window = session.plan.steps.iter().zip(&session.progress).enumerate().skip(session.top).take(list);
    for (y, (at, (step, progress))) in (area.y + 1..area.bottom()).zip(window) {
        let over = if at == session.cursor { painter.selection(area.x, y, area.width, focused) } else { Style::new() };
        let room = painter.line_right(area.x, y, area.width, &time(model, progress), over);
        painter.styled(area.x, y, room, &row(step, progress, next == Some(at)), over);
    }
    let frame = Rect {
        x: area.x,
        y: area.y,
        width: area.width + 2,
        height: u16::try_from(list).unwrap_or(u16::MAX).saturating_add(2),
    };
    painter.scroll_mark(frame, session.top, list, session.plan.steps.len());
    let y = area.y + 1 + u16::try_from(list).unwrap_or(area.height);
    let below = Rect { y: y + 1, height: u16::try_from(rest).unwrap_or(0), ..area }.intersection(area);
    let lines = step_text::lines(model, usize::from(area.width), rest);
    let mut number = Line::of(format!(" {} of {} ", session.cursor + 1, session.plan.steps.len()), Tone::Dim);
    if lines.len() > rest {
        let keys = format!("{} {}", model.keymap.key_of(Action::ScrollDown), model.keymap.key_of(Action::ScrollUp));
        number = number.and(keys, Tone::Key).and(" scroll ", Tone::Dim);
    }
    painter.rule(area.x, y, area.width, &number);
    let top = session.text_top.min(lines.len().saturating_sub(rest));
    painter.lines(below, lines.iter().skip(top));
    let frame = Rect { y, width: area.width + 2, height: below.height.saturating_add(2), ..below };
    painter.scroll_mark(frame, top, rest, lines.len());
}

fn heading(model: &Model, session: &Session) -> Line {
    let kind = match session.plan.kind {
        PlanKind::Provision => Line::of("Provision ", Tone::Strong),
        PlanKind::Repair => Line::of("Repair ", Tone::Strong),
        PlanKind::Teardown => Line::of("Tear down ", Tone::Danger),
    };
    let line = kind.and(&session.plan.stack, Tone::Strong);
    let done = format!("  {} of {} done", session.done(), session.plan.steps.len());
    let line = line.and(done, Tone::Dim);
    let spin = time::spinner(model.now);
    match (&session.activity, &session.end) {
        (Activity::Running { since, .. }, _) => {
            line.and(format!("  {spin} running {}", time::span(*since, model.now)), Tone::Busy)
        }
        (Activity::Stopping { .. }, _) => line.and(format!("  {spin} stopping after this step"), Tone::Warn),
        (Activity::Undoing { since, .. }, _) => {
            line.and(format!("  {spin} undoing {}", time::span(*since, model.now)), Tone::Warn)
        }
        (Activity::Idle, None) => line,
        (Activity::Idle, Some(end)) => {
            let (text, tone) = match end {
                RunEnd::Finished => ("✓ finished", Tone::Ok),
                RunEnd::Paused => ("paused", Tone::Dim),
                RunEnd::Stopped => ("stopped", Tone::Warn),
                RunEnd::Failed(_) => ("✗ failed", Tone::Bad),
                RunEnd::Undone => ("↩ all taken back", Tone::Ok),
                RunEnd::PartlyUndone { .. } => ("↩ one taken back", Tone::Ok),
                RunEnd::Broken(_) => ("✗ could not run", Tone::Bad),
            };
            line.and(format!("  {text}"), tone)
        }
    }
}

/// The sign of a step's state.
fn sign(state: &NodeState) -> (&'static str, Tone) {
    match state {
        NodeState::Given => ("●", Tone::Dim),
        NodeState::Waiting => ("○", Tone::Dim),
        NodeState::Started => ("◐", Tone::Busy),
        NodeState::Succeeded => ("●", Tone::Ok),
        NodeState::Failed(_) | NodeState::UndoFailed(_) => ("✗", Tone::Bad),
        NodeState::Undoing => ("↩", Tone::Warn),
    }
}

fn row(step: &Step, progress: &StepProgress, next: bool) -> Line {
    let (symbol, tone) = sign(&progress.state);
    let line = Line::of(if next { "▸ " } else { "  " }, Tone::Accent).and(format!("{symbol} "), tone);
    let title = match &progress.state {
        NodeState::Given => Tone::Dim,
        _ if next => Tone::Strong,
        _ => Tone::Text,
    };
    let line = line.and(&step.title, title);
    match (&progress.state, &progress.says) {
        (NodeState::Given, _) => line.and("  there already", Tone::Dim),
        (NodeState::Started | NodeState::Undoing, Some(says)) => line.and(format!("  {says}"), Tone::Busy),
        (NodeState::Started, None) if progress.started_at.is_none() => {
            line.and("  begun earlier, will be checked", Tone::Warn)
        }
        (NodeState::Waiting, Some(says)) => line.and(format!("  {says}"), Tone::Dim),
        _ => line,
    }
}

fn time(model: &Model, progress: &StepProgress) -> Line {
    match (progress.started_at, progress.ended_at) {
        (Some(start), Some(end)) => Line::of(time::span(start, end), Tone::Dim),
        (Some(start), None) => Line::of(time::span(start, model.now), Tone::Busy),
        _ => Line::blank(),
    }
}
