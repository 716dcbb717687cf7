//! The Checks pane: a table of verdicts, and below it the selected one's reason.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::ago;
use crate::reach::history::{History, clock, sparkline};
use crate::reach::{EgressResult, Role, Verdict};
use crate::tui::detail::verdict_tone;
use crate::tui::keymap::Action;
use crate::tui::layout::Layout;
use crate::tui::model::{CheckRow, Focus, Model};
use crate::tui::step_text::failure_lines;
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, label};
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::pad;
use crate::tui::widget::time;

use super::paint::Painter;

/// The columns of the table for a width: those that fit, the reason takes what is left.
struct Columns {
    name: usize,
    private_ip: bool,
    expected: bool,
    latency: bool,
    instance_id: bool,
    /// Columns of the sparkline. 0: nothing to show over time.
    history: usize,
    reason: bool,
}

impl Columns {
    /// `over_time`: there is something to show over time. How it went is then worth more than what stands below the
    /// table as well.
    fn new(width: usize, over_time: bool) -> Self {
        let mut columns = Self {
            name: if width >= 90 { 24 } else { 19 },
            private_ip: width >= if over_time { 90 } else { 60 },
            expected: width >= if over_time { 108 } else { 84 },
            latency: width >= 78,
            instance_id: width >= 150,
            history: 0,
            reason: width >= if over_time { 140 } else { 108 },
        };
        if over_time {
            let addresses = 16 * (2 + usize::from(columns.private_ip) + usize::from(columns.expected));
            let others = 9 * usize::from(columns.latency) + 21 * usize::from(columns.instance_id);
            columns.history = width.saturating_sub(columns.name + 2 + addresses + others).min(20);
        }
        columns
    }
}

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let checks = &model.checks;
    painter.line(area.x, area.y, area.width, &heading(model));
    if checks.rows.is_empty() {
        let key = |action| Line::of(format!("{:4}", model.keymap.key_of(action)), Tone::Key);
        let mut lines = vec![
            Line::blank(),
            key(Action::CheckHere).and("checks what is selected or marked", Tone::Text),
            key(Action::CheckAll).and("checks every instance", Tone::Text),
            Line::blank(),
            Line::of("Each instance asks an address service, through Systems Manager,", Tone::Dim),
            Line::of("how it looks from outside; that is compared with its NAT's address.", Tone::Dim),
        ];
        if let Some(failure) = &checks.failure {
            lines.push(Line::blank());
            lines.extend(failure_lines(failure, usize::from(area.width)));
        }
        painter.lines(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, &lines);
        return;
    }
    let over_time = checks.history.histories.values().any(|history| history.samples.len() > 1);
    let columns = Columns::new(usize::from(area.width), over_time);
    painter.line(area.x, area.y + 1, area.width, &titles(&columns));
    let rows = model.layout().table_rows();
    let focused = model.focus == Focus::Pane;
    let window = checks.rows.iter().enumerate().skip(checks.top).take(rows);
    for (y, (at, row)) in (area.y + 2..area.bottom()).zip(window) {
        let over = if at == checks.cursor { painter.selection(area.x, y, area.width, focused) } else { Style::new() };
        painter.styled(area.x, y, area.width, &self::row(model, row, &columns), over);
    }
    let foot = u16::try_from(Layout::FOOT).unwrap_or(0);
    let y = area.bottom().saturating_sub(foot);
    if let Some(row) = checks.rows.get(checks.cursor) {
        painter.rule(area.x, y, area.width, &Line::of(format!(" {} ", row.instance_id), Tone::Dim));
        let below = Rect { y: y + 1, height: foot.saturating_sub(1), ..area };
        painter.lines(below, &reason(model, row, usize::from(area.width)));
    }
}

fn heading(model: &Model) -> Line {
    let line = state(model);
    let Some(watching) = &model.checks.watching else { return line };
    let left = model.settings.watch_every_s - model.now.duration_since(watching.asked_at).as_secs();
    let next = if model.checks.asking.is_some() { String::new() } else { format!(", next in {} s", left.max(0)) };
    line.and(format!("   watching every {} s{next}", model.settings.watch_every_s), Tone::Accent)
}

fn state(model: &Model) -> Line {
    let checks = &model.checks;
    let answered = checks.rows.iter().filter(|row| row.result.is_some()).count();
    let line = Line::of("Egress ", Tone::Strong);
    match checks.asking {
        Some((_, since)) => line
            .and(format!("{} ", time::spinner(model.now)), Tone::Busy)
            .and(format!("{answered} of {} answered, {}", checks.rows.len(), time::span(since, model.now)), Tone::Busy),
        None => {
            let count = checks.count();
            match count.all {
                0 => line.and("not checked yet", Tone::Dim),
                _ if checks.current().next().is_none() => {
                    let key = model.keymap.key_of(Action::CheckAll);
                    line.and("as it was before the last change; ", Tone::Dim)
                        .and(key, Tone::Key)
                        .and(" checks", Tone::Dim)
                }
                _ => line.and(count.to_string(), if count.via_nat == count.all { Tone::Ok } else { Tone::Text }),
            }
        }
    }
}

fn titles(columns: &Columns) -> Line {
    let mut text = format!("{}{}", pad("instance", columns.name + 1), pad("verdict", 16));
    if columns.private_ip {
        text.push_str(&pad("private", 16));
    }
    text.push_str(&pad("address", 16));
    if columns.expected {
        text.push_str(&pad("expected", 16));
    }
    if columns.latency {
        text.push_str(&pad("latency", 9));
    }
    if columns.instance_id {
        text.push_str(&pad("id", 21));
    }
    if columns.history > 0 {
        text.push_str(&pad("history", columns.history + 1));
    }
    if columns.reason {
        text.push_str("reason");
    }
    Line::of(text, Tone::Dim)
}

fn row(model: &Model, row: &CheckRow, columns: &Columns) -> Line {
    let id = row.instance_id.as_str();
    let seen = model.seen();
    let name = seen.and_then(|seen| seen.resource(Kind::Instance, id)).map_or(id, label::name_of);
    let name = row.result.as_ref().and_then(|result| result.name.as_deref()).unwrap_or(name);
    let line = Line::of(pad(name, columns.name), Tone::Text).and(" ", Tone::Text);
    let Some(result) = &row.result else {
        return line.and(format!("{} waiting", time::spinner(model.now)), Tone::Busy);
    };
    let verdict = format!("{} {}", result.verdict.symbol(), result.verdict.label());
    let tone = if row.outdated { Tone::Dim } else { verdict_tone(result.verdict) };
    let mut line = line.and(pad(&verdict, 16), tone);
    let text = |ip: Option<std::net::IpAddr>| pad(&ip.map_or("-".to_owned(), |ip| ip.to_string()), 16);
    if columns.private_ip {
        line = line.and(text(result.private_ip), Tone::Dim);
    }
    line = line.and(text(result.address), Tone::Text);
    if columns.expected {
        line = line.and(text(result.expected_address), Tone::Dim);
    }
    if columns.latency {
        line = line.and(pad(&result.latency_ms.map_or("-".to_owned(), time::latency), 9), Tone::Dim);
    }
    if columns.instance_id {
        line = line.and(pad(id, 21), Tone::Dim);
    }
    if columns.history > 0 {
        let history = model.checks.history.histories.get(&row.instance_id);
        let bars = history.map(|history| sparkline(&history.samples, columns.history)).unwrap_or_default();
        line = line.and(pad(&bars, columns.history + 1), Tone::Accent);
    }
    if columns.reason { line.and(short_reason(result), Tone::Dim) } else { line }
}

fn short_reason(result: &EgressResult) -> String {
    match (&result.code, &result.reason, result.role) {
        (Some(code), _, _) => code.clone(),
        (None, Some(reason), _) => reason.clone(),
        (None, None, Role::Nat) => "the NAT itself".to_owned(),
        (None, None, Role::Client) => String::new(),
    }
}

fn reason(model: &Model, row: &CheckRow, columns: usize) -> Vec<Line> {
    let Some(result) = &row.result else { return vec![Line::of("no answer yet", Tone::Dim)] };
    let seen_as = match (result.address, result.verdict) {
        (Some(ip), _) => format!("seen as {ip}"),
        (None, Verdict::CannotTest) => "not tested".to_owned(),
        (None, _) => "not seen outside".to_owned(),
    };
    let promised = match result.expected_address {
        Some(ip) => format!("its route promises {ip}"),
        None => "its route names no public address".to_owned(),
    };
    let then = if row.outdated { ", before the last change" } else { "" };
    let when = row.answered_at.map_or_else(String::new, |at| format!(", {}{then}", ago(model.now, at)));
    let mut lines = vec![
        Line::of(format!("{} {}", result.verdict.symbol(), result.verdict.label()), verdict_tone(result.verdict))
            .and(when, Tone::Dim),
        Line::of(format!("{seen_as}; {promised}"), Tone::Text),
    ];
    if let Some(history) = model.checks.history.histories.get(&row.instance_id).filter(|h| h.samples.len() > 1) {
        lines.extend(over_time(history, columns));
    }
    if let Some(reason) = &result.reason {
        lines.extend(hang(&Line::blank(), &Line::blank(), reason, Tone::Text, columns));
    }
    if result.verdict != Verdict::ViaNat {
        let key = model.keymap.key_of(Action::Explain);
        lines.push(Line::of(key, Tone::Key).and(" says why, hop by hop", Tone::Dim));
    }
    lines
}

/// Latency over time, what deviates from the usual way out, and the newest change with what came with it.
fn over_time(history: &History, columns: usize) -> Vec<Line> {
    let bars = sparkline(&history.samples, columns.saturating_sub(24).min(60));
    let mut lines =
        vec![Line::of(bars, Tone::Accent).and(format!("  latency, {} checks", history.samples.len()), Tone::Dim)];
    let blank = Line::blank();
    if let Some(finding) = history.finding() {
        lines.extend(hang(&blank, &blank, &finding, Tone::Bad, columns));
    }
    if let Some(turn) = history.turns.back() {
        let why = turn.why().map_or_else(String::new, |why| format!(": {why}"));
        let text = format!("{} UTC {}{why}", clock(turn.to.at), turn.kind.code());
        lines.extend(hang(&blank, &blank, &text, Tone::Text, columns));
    }
    lines
}
