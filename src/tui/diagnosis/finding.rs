//! One finding as lines: closed, its name, certainty and sentence; open, its explanation, evidence and repair. Pure.

use jiff::Timestamp;

use super::Mend;
use crate::model::ago;
use crate::plan::Repair;
use crate::reach::{Certainty, Finding, Severity};
use crate::tui::theme::Tone;
use crate::tui::widget::line::{Line, hang};

/// How one finding is shown.
pub(super) struct Shown<'a> {
    pub finding: &'a Finding,
    pub mend: Option<&'a Mend>,
    pub selected: bool,
    pub open: bool,
    /// The keys that repair and open.
    pub fix: &'a str,
    pub evidence: &'a str,
    pub now: Timestamp,
    pub columns: usize,
}

/// A finding's lines; the first is its head.
pub(super) fn lines(shown: &Shown<'_>) -> Vec<Line> {
    let Shown { finding, columns, .. } = *shown;
    let (mark, tone) = match finding.severity {
        Severity::Breaks if finding.is_guess() => ("?", Tone::Unknown),
        Severity::Breaks => ("✗", Tone::Bad),
        Severity::Warns => ("!", Tone::Warn),
    };
    let cursor = if shown.selected { "▸ " } else { "  " };
    let mut head = Line::of(cursor, Tone::Accent).and(format!("{mark} "), tone).and(finding.cause.name(), tone);
    if let Some(sure) = certainty(finding.certainty) {
        head = head.and(format!("  {sure}"), Tone::Unknown);
    }
    if let Some(id) = &finding.resource_id {
        head = head.and(format!("  {id}"), Tone::Dim);
    }
    let mut lines = vec![head];
    let indent = Line::of("    ", Tone::Dim);
    lines.extend(hang(&indent, &indent, &finding.summary, Tone::Text, columns));
    if shown.open {
        lines.extend(hang(&indent, &indent, finding.cause.explanation(), Tone::Dim, columns));
        if let Some(words) = finding.cause.aws_calls_it() {
            lines.extend(hang(&indent, &indent, &words, Tone::Dim, columns));
        }
        lines.extend(evidence(finding, shown.now, columns));
    }
    lines.extend(mending(shown));
    lines
}

/// `None`: it is certain, which needs no words.
fn certainty(certainty: Certainty) -> Option<&'static str> {
    match certainty {
        Certainty::Certain => None,
        Certainty::Likely => Some("(likely)"),
        Certainty::Guess => Some("(a guess)"),
    }
}

fn evidence(finding: &Finding, now: Timestamp, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let (source, text) = (Line::of("      ", Tone::Dim), Line::of("        ", Tone::Dim));
    for evidence in &finding.evidence {
        let age = evidence.observed_at.map(|at| format!("  {}", ago(now, at))).unwrap_or_default();
        lines.extend(hang(&source, &source, &format!("{}{age}", evidence.source), Tone::Dim, columns));
        lines.extend(hang(&text, &text, &evidence.text, Tone::Code, columns));
    }
    if lines.is_empty() {
        lines.push(source.and("no field or line of its own shows it", Tone::Dim));
    }
    lines
}

/// The repair, or that there is none.
fn mending(shown: &Shown<'_>) -> Vec<Line> {
    let columns = shown.columns;
    let rest = Line::of("      ", Tone::Dim);
    match shown.mend {
        Some(mend) => {
            let first = Line::of("    ", Tone::Dim).and(shown.fix, Tone::Key).and(" ", Tone::Dim);
            let mut lines = hang(&first, &rest, &mend.repair.title, Tone::Ok, columns);
            if shown.open {
                lines.extend(repair_lines(&mend.repair, columns).into_iter().map(|line| indented(line, 4)));
            } else if mend.repair.caution.is_some() {
                lines.push(
                    rest.and("caution: ", Tone::Warn).and(shown.evidence, Tone::Key).and(" says what", Tone::Dim),
                );
            }
            lines
        }
        None if shown.open => {
            let mut lines = hang(&rest, &rest, &no_repair(shown.finding), Tone::Dim, columns);
            if shown.finding.is_guess()
                && let Some(command) = shown.finding.cause.look_on_host()
            {
                lines.extend(hang(&rest, &rest, "On the host itself this tells:", Tone::Dim, columns));
                lines.extend(hang(&rest, &rest, command, Tone::Code, columns));
            }
            lines
        }
        None => Vec::new(),
    }
}

fn indented(line: Line, by: usize) -> Line {
    let mut whole = Line::of(" ".repeat(by), Tone::Dim);
    whole.0.extend(line.0);
    whole
}

/// What is done where natdeck has no repair.
pub fn no_repair(finding: &Finding) -> String {
    finding.by_hand().map_or_else(
        || "No repair: it is a guess, and natdeck repairs what it has seen.".to_owned(),
        |words| format!("By hand: {words}"),
    )
}

/// Exactly what a repair changes and by what; the caution in its words.
pub fn repair_lines(repair: &Repair, columns: usize) -> Vec<Line> {
    let columns = columns.saturating_sub(4);
    let mut lines = Vec::new();
    let indent = Line::of("  ", Tone::Dim);
    for change in &repair.changes {
        let blank = Line::blank();
        lines.extend(hang(&blank, &blank, &change.what, Tone::Text, columns));
        lines.extend(hang(
            &Line::of("  - ", Tone::Removed),
            &Line::of("    ", Tone::Dim),
            &change.before,
            Tone::Text,
            columns,
        ));
        lines.extend(hang(
            &Line::of("  + ", Tone::Added),
            &Line::of("    ", Tone::Dim),
            &change.after,
            Tone::Text,
            columns,
        ));
    }
    if let Some(warning) = &repair.caution {
        lines.extend(hang(
            &Line::of("caution: ", Tone::Warn),
            &Line::of("         ", Tone::Dim),
            warning,
            Tone::Warn,
            columns,
        ));
    }
    for step in &repair.steps {
        lines.push(Line::of("call  ", Tone::Dim).and(format!("{}:{}", step.service(), step.operation()), Tone::Accent));
    }
    for command in &repair.commands {
        for line in command.lines() {
            lines.extend(hang(&indent, &indent, line, Tone::Code, columns));
        }
    }
    lines
}
