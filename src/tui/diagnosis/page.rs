//! The Diagnosis pane as lines: the verdict, which stays; the path, hop by hop; the findings. Where there is room the
//! path stands beside the findings. Pure.

use std::ops::Range;

use super::finding::{self, Shown};
use super::{Aftermath, Asking, Diagnosed, Inquiry, PathForm, path};
use crate::model::ago;
use crate::plan::answer::how_to_tell;
use crate::reach::{Disposition, FindingKey, PacketTest, Place, Severity};
use crate::tui::effect::WalkDepth;
use crate::tui::keymap::Action;
use crate::tui::model::{Model, Pace, Session};
use crate::tui::step_text::failure_lines;
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, Seen, label};
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::time;

/// From so many columns on, the path stands beside the findings.
pub const BESIDE_FROM: usize = 112;

/// The heading of guesses, which stand for each other.
const GUESSED: &str = "What fits, likeliest first";

/// All lines of the pane.
#[derive(Debug, Default)]
pub struct Page {
    /// Stays in place.
    pub head: Vec<Line>,
    /// Columns and lines of the path, where it stands beside the body.
    pub beside: Option<(usize, Vec<Line>)>,
    /// What scrolls.
    pub body: Vec<Line>,
    /// Where in the body each finding is.
    pub findings: Vec<Range<usize>>,
}

/// The page for a pane of `columns` and `rows`.
pub fn page(model: &Model, columns: usize, rows: usize) -> Page {
    let inquiry = &model.inquiry;
    let Some(about) = &inquiry.about else { return Page { body: nobody(model), ..Page::default() } };
    let mut page = Page { head: head(model, inquiry, columns), ..Page::default() };
    let Some(answer) = &inquiry.answer else {
        if inquiry.failure.is_none() {
            page.body.push(Line::of(format!("{about} has not been looked at yet."), Tone::Dim));
        }
        return page;
    };
    let seen = model.seen();
    let height = rows.saturating_sub(page.head.len());
    if columns >= BESIDE_FROM {
        let left = columns * 11 / 20;
        page.beside = Some((left, way(seen, inquiry, answer, left - 2, height, true)));
        findings(model, answer, columns - left, &mut page);
    } else {
        findings(model, answer, columns, &mut page);
        let room = height.saturating_sub(page.body.len());
        let path = way(seen, inquiry, answer, columns, room, false);
        page.findings.iter_mut().for_each(|range| *range = range.start + path.len()..range.end + path.len());
        page.body.splice(0..0, path);
    }
    page
}

/// What the pane says before anybody was asked about.
fn nobody(model: &Model) -> Vec<Line> {
    let key = model.keymap.key_of(Action::Explain);
    vec![
        Line::of("Why can it not get out?", Tone::Strong),
        Line::blank(),
        Line::of(format!("{key:4}"), Tone::Key)
            .and("on an instance, in the tree or in Checks, finds every cause", Tone::Text),
        Line::blank(),
        Line::of("The snapshot of the VPC answers at once. Then the instance and the hosts", Tone::Dim),
        Line::of("on its way are asked through Systems Manager, one command each.", Tone::Dim),
    ]
}

/// The verdict, what is under way, and what came of a repair.
fn head(model: &Model, inquiry: &Inquiry, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(answer) = &inquiry.answer {
        let (mark, tone) = match answer.diagnosis.disposition {
            Disposition::Delivered if answer.diagnosis.first_break().is_some() => ("≠", Tone::Warn),
            Disposition::Delivered => ("✓", Tone::Ok),
            Disposition::Dropped => ("✗", Tone::Bad),
            Disposition::InsufficientInformation => ("?", Tone::Unknown),
        };
        let verdict = model.seen().map_or_else(|| answer.verdict(), |seen| named(seen, answer));
        lines.extend(hang(&Line::of(format!("{mark} "), tone), &Line::of("  ", tone), &verdict, Tone::Strong, columns));
    }
    lines.extend(under_way(model, inquiry, columns));
    if let Some(failure) = &inquiry.failure {
        lines.extend(failure_lines(failure, columns));
    }
    lines.extend(aftermath(model, inquiry, columns));
    lines.push(Line::blank());
    lines
}

/// The verdict with the instance's name beside its identifier.
fn named(seen: &Seen, answer: &Diagnosed) -> String {
    let (verdict, id) = (answer.verdict(), answer.instance_id.as_str());
    match seen.resource(Kind::Instance, id).map(label::name_of).filter(|name| *name != id) {
        Some(name) => verdict.replacen(id, &format!("{name} ({id})"), 1),
        None => verdict,
    }
}

/// Whether it is still being asked, or how old the answer is and what the packet test showed.
fn under_way(model: &Model, inquiry: &Inquiry, columns: usize) -> Vec<Line> {
    let (first, rest) = (Line::of("  ", Tone::Dim), Line::of("  ", Tone::Dim));
    let quick = inquiry.answer.as_ref().is_none_or(|answer| answer.depth == WalkDepth::Known);
    if let Some(since) = inquiry.asking.since() {
        let what = match inquiry.asking {
            Asking::Look { .. } => "looking at the VPC anew",
            _ => "asking it and the hosts on its way",
        };
        let until = match (&inquiry.answer, quick) {
            (None, _) => "",
            (Some(_), true) => "; until then this is what the snapshot alone says",
            (Some(_), false) => "; until then this is the answer before",
        };
        let text = format!("{what}, {}{until}", time::span(since, model.now));
        let first = Line::of(format!("{} ", time::spinner(model.now)), Tone::Busy);
        return hang(&first, &rest, &text, Tone::Busy, columns);
    }
    let Some(answer) = &inquiry.answer else { return Vec::new() };
    let mut text = match (quick, &model.pace) {
        (true, _) => "what the snapshot alone says".to_owned(),
        (false, Pace::Live) => format!("asked {}", ago(model.now, answer.at)),
        (false, Pace::Frozen { .. }) => format!("asked {} on the frozen picture", ago(model.now, answer.at)),
    };
    match &answer.observations.test {
        Some(PacketTest::Ran { probes, .. }) => {
            for probe in probes {
                let url = probe.url.trim_start_matches("https://");
                let answered = match (probe.address, probe.latency_ms) {
                    (Some(address), Some(latency)) => format!("saw {address} in {}", time::latency(latency)),
                    (Some(address), None) => format!("saw {address}"),
                    (None, _) if probe.message.is_empty() => format!("curl ended with {}", probe.exit_code),
                    // The service is named already.
                    (None, _) => probe.message.trim().replacen(&format!(" from {url}"), "", 1),
                };
                text.push_str(&format!(" · {url}: {answered}"));
            }
        }
        Some(PacketTest::CouldNotRun { .. }) => text.push_str(" · the packet test could not run"),
        None => {}
    }
    hang(&first, &rest, &text, Tone::Dim, columns)
}

/// What became of the repair.
fn aftermath(model: &Model, inquiry: &Inquiry, columns: usize) -> Vec<Line> {
    let busy = |text: String| {
        let first = Line::of(format!("{} ", time::spinner(model.now)), Tone::Busy);
        hang(&first, &Line::of("  ", Tone::Dim), &text, Tone::Busy, columns)
    };
    match &inquiry.aftermath {
        Aftermath::None => Vec::new(),
        Aftermath::Repairing(attempt) => {
            let session = model.session();
            let at = session.and_then(Session::next);
            let title = at.zip(session).and_then(|(at, session)| session.plan.steps.get(at)).map(|step| &step.title);
            let progress = at.zip(session).and_then(|(at, session)| session.progress.get(at));
            let says = progress.and_then(|progress| progress.says.as_ref());
            let took = progress.and_then(|progress| progress.started_at);
            let mut text = format!("repairing {}", attempt.of.cause);
            text.push_str(&title.map(|title| format!(": {title}")).unwrap_or_default());
            text.push_str(&took.map(|since| format!(", {}", time::span(since, model.now))).unwrap_or_default());
            text.push_str(&says.map(|says| format!(", {says}")).unwrap_or_default());
            busy(text)
        }
        Aftermath::Looking { of, .. } => busy(format!("{} is repaired; looking whether it helped", of.cause)),
        Aftermath::Failed { failure, .. } => failure_lines(failure, columns),
        Aftermath::Told { well, text } => {
            let (mark, tone) = if *well { ("✓ ", Tone::Ok) } else { ("! ", Tone::Warn) };
            hang(&Line::of(mark, tone), &Line::of("  ", tone), text, tone, columns)
        }
    }
}

/// The path in the form that was asked for, or in the longest that fits into `rows`.
fn way(
    seen: Option<&Seen>,
    inquiry: &Inquiry,
    answer: &Diagnosed,
    columns: usize,
    rows: usize,
    beside: bool,
) -> Vec<Line> {
    let written = |form| {
        // A chain says by itself what it is.
        let mut lines = match form {
            PathForm::Chain => Vec::new(),
            _ => vec![Line::of("Path", Tone::Heading)],
        };
        lines.extend(path::lines(seen, &answer.diagnosis, form, columns));
        if !beside {
            lines.push(Line::blank());
        }
        lines
    };
    match inquiry.path {
        PathForm::Fitting => [PathForm::Full, PathForm::Lines]
            .into_iter()
            .map(written)
            .find(|lines| lines.len() <= rows)
            .unwrap_or_else(|| written(PathForm::Chain)),
        form => written(form),
    }
}

/// First cause, what is behind it, warnings, and what could not be seen.
fn findings(model: &Model, answer: &Diagnosed, columns: usize, page: &mut Page) {
    let (fix, evidence) = (model.keymap.key_of(Action::Fix), model.keymap.key_of(Action::Evidence));
    let mut section = "";
    for (at, finding) in answer.diagnosis.findings.iter().enumerate() {
        let heading = match (finding.severity, at) {
            _ if finding.cause.place() == Place::Test => "Why it could not be tested",
            (Severity::Warns, _) => "Warnings: it works, but",
            (Severity::Breaks, _) if finding.is_guess() => GUESSED,
            (Severity::Breaks, 0) => "Cause",
            (Severity::Breaks, _) => "Behind it: would bite next",
        };
        if heading != section {
            if !section.is_empty() {
                page.body.push(Line::blank());
            }
            section = heading;
            page.body.push(Line::of(heading, Tone::Heading));
            if section == GUESSED
                && let Some(next) = how_to_tell(&answer.diagnosis)
            {
                let indent = Line::of("  ", Tone::Dim);
                page.body.extend(hang(&indent, &indent, &next, Tone::Dim, columns));
            }
        }
        let shown = Shown {
            finding,
            mend: answer.mends.get(at).and_then(Option::as_ref),
            selected: at == model.inquiry.cursor,
            open: model.inquiry.open.contains(&FindingKey::of(finding)),
            fix: &fix,
            evidence: &evidence,
            now: model.now,
            columns,
        };
        let begin = page.body.len();
        page.body.extend(finding::lines(&shown));
        page.findings.push(begin..page.body.len());
    }
    if answer.diagnosis.findings.is_empty() && answer.is_well() {
        page.body.push(Line::of("Nothing is in its way.", Tone::Ok));
    }
    if !answer.diagnosis.unknown.is_empty() {
        if !section.is_empty() {
            page.body.push(Line::blank());
        }
        let heading = match answer.depth {
            WalkDepth::Known => "Not seen yet",
            WalkDepth::AskHosts => "Could not be seen",
        };
        page.body.push(Line::of(heading, Tone::Heading));
        for unknown in &answer.diagnosis.unknown {
            let text = format!("{}: {}", unknown.what, unknown.reason);
            let (first, rest) = (Line::of("  ? ", Tone::Unknown), Line::of("    ", Tone::Unknown));
            page.body.extend(hang(&first, &rest, &text, Tone::Text, columns));
        }
    }
    if model.identity.read_only && answer.depth == WalkDepth::AskHosts {
        page.body.push(Line::blank());
        page.body.push(Line::of("Read-only: no command was sent to a host, and no repair is made.", Tone::Dim));
    }
}
