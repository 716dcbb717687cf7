//! The `diagnose` document. Pure.

use jiff::Timestamp;

use super::Paint;
use crate::model::{InstanceId, ago};
use crate::plan::answer::{Row, how_to_tell, verdict};
use crate::reach::{Certainty, Decision, Diagnosis, Direction, Disposition, Evidence, Observations, Severity};

/// Lines are broken so that they fit an 80 column terminal.
const COLUMNS: usize = 79;

/// For people: verdict, path, causes with evidence and repair, what could not be seen.
pub fn diagnose_text(
    paint: Paint,
    instance_id: &InstanceId,
    diagnosis: &Diagnosis,
    rows: &[Row<'_>],
    observations: &Observations,
    now: Timestamp,
) -> String {
    let mut out = String::new();
    let verdict = verdict(instance_id, diagnosis, observations);
    let painted = match diagnosis.disposition {
        Disposition::Delivered => paint.good("✓"),
        Disposition::Dropped => paint.bad("✗"),
        Disposition::InsufficientInformation => paint.warn("?"),
    };
    push(&mut out, &format!("{painted} "), 2, &verdict);
    out.push_str(&format!("\n{}\n", paint.strong("Path")));
    path(&mut out, paint, diagnosis);
    let causes = || rows.iter().filter(|row| row.finding.severity == Severity::Breaks && !row.finding.is_guess());
    let warnings = || rows.iter().filter(|row| row.finding.severity == Severity::Warns);
    if let Some(first) = causes().next() {
        out.push_str(&format!("\n{}\n", paint.strong("Cause")));
        finding(&mut out, paint, first, now);
    }
    if causes().count() > 1 {
        out.push_str(&format!("\n{}\n", paint.strong("Behind it")));
        causes().skip(1).for_each(|row| finding(&mut out, paint, row, now));
    }
    guessed(&mut out, paint, diagnosis, now);
    if warnings().next().is_some() {
        out.push_str(&format!("\n{}\n", paint.strong("Warnings")));
        warnings().for_each(|row| finding(&mut out, paint, row, now));
    }
    if !diagnosis.unknown.is_empty() {
        out.push_str(&format!("\n{}\n", paint.strong("Could not be seen")));
        for unknown in &diagnosis.unknown {
            push(&mut out, &format!("  {} ", paint.warn("?")), 4, &format!("{}: {}", unknown.what, unknown.reason));
        }
    }
    out
}

/// Hop by hop to where the packet is stopped; behind it only what would stop it next.
fn path(out: &mut String, paint: Paint, diagnosis: &Diagnosis) {
    let stopped_at = diagnosis.stopped_at();
    let mut direction = None;
    let mut passed_over = 0;
    for (at, hop) in diagnosis.path.iter().enumerate() {
        let beyond = stopped_at.is_some_and(|stopped| at > stopped);
        let mark = match hop.decision {
            Decision::Denied => paint.bad("✗"),
            Decision::Unknown => paint.warn("?"),
            _ if beyond => {
                passed_over += 1;
                continue;
            }
            _ => paint.good("✓"),
        };
        pass_over(out, paint, &mut passed_over);
        if direction != Some(hop.direction) {
            direction = Some(hop.direction);
            let way = if hop.direction == Direction::Forward { "out" } else { "back" };
            out.push_str(&format!("  {}\n", paint.faint(way)));
        }
        push(out, &format!("  {mark} "), 4, &hop.detail);
    }
    pass_over(out, paint, &mut passed_over);
}

fn pass_over(out: &mut String, paint: Paint, hops: &mut usize) {
    match std::mem::take(hops) {
        0 => {}
        1 => out.push_str(&format!("  {}\n", paint.faint("· 1 hop behind it would let the packet pass"))),
        n => out.push_str(&format!("  {}\n", paint.faint(&format!("· {n} hops behind it would let the packet pass")))),
    }
}

/// What fits, each with what tells whether it is so. They have their evidence in common.
fn guessed(out: &mut String, paint: Paint, diagnosis: &Diagnosis, now: Timestamp) {
    let Some(first) = diagnosis.guesses().next() else { return };
    let heading = if diagnosis.guesses().count() == 1 { "What fits" } else { "What fits, likeliest first" };
    out.push_str(&format!("\n{}\n", paint.strong(heading)));
    evidence(out, "  ", &first.evidence, now);
    for guess in diagnosis.guesses() {
        out.push_str(&format!("  {} (guess)\n", paint.bad(&guess.cause.name())));
        push(out, "    ", 4, &guess.summary);
        if let Some(command) = guess.cause.look_on_host() {
            out.push_str(&format!("    {}\n", paint.faint(command)));
        }
    }
    if let Some(next) = how_to_tell(diagnosis) {
        push(out, "  next: ", 8, &next);
    }
}

fn evidence(out: &mut String, indent: &str, evidence: &[Evidence], now: Timestamp) {
    for one in evidence {
        let age = one.observed_at.map(|at| format!(" ({})", ago(now, at))).unwrap_or_default();
        push(out, &format!("{indent}- "), indent.len() + 2, &format!("{}: {}{age}", one.source, one.text));
    }
}

pub(super) fn finding(out: &mut String, paint: Paint, row: &Row<'_>, now: Timestamp) {
    let finding = row.finding;
    let sure = match finding.certainty {
        Certainty::Certain => String::new(),
        other => format!(" ({other})"),
    };
    let name = finding.cause.name();
    let name = if finding.severity == Severity::Breaks { paint.bad(&name) } else { paint.warn(&name) };
    let resource = finding.resource_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    out.push_str(&format!("  {name}{sure}{resource}\n"));
    push(out, "    ", 4, &finding.summary);
    push(out, "    ", 4, finding.cause.explanation());
    if let Some(words) = finding.cause.aws_calls_it() {
        push(out, "    ", 4, &words);
    }
    evidence(out, "    ", &finding.evidence, now);
    match &row.repair {
        Some(repair) => {
            push(out, &format!("    {} ", paint.good("repair:")), 12, &repair.title);
            for change in &repair.changes {
                push(out, "      ", 6, &format!("{}: {} -> {}", change.what, change.before, change.after));
            }
            if let Some(warning) = &repair.caution {
                push(out, &format!("      {} ", paint.warn("caution:")), 15, warning);
            }
            for command in &repair.commands {
                // Not broken: it is there to be copied.
                for line in command.lines() {
                    out.push_str(&format!("      {}\n", paint.faint(line)));
                }
            }
        }
        None => finding.by_hand().into_iter().for_each(|words| push(out, "    by hand: ", 13, words)),
    }
}

/// A paragraph behind `first`, broken between words, further lines indented.
pub(super) fn push(out: &mut String, first: &str, indent: usize, text: &str) {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    out.push_str(first);
    let mut column = indent;
    for (at, word) in clean.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > COLUMNS {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if at > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ResourceId;
    use crate::reach::{Cause, Finding, Flow, Subject, Trace};

    fn finding(cause: Cause, certainty: Certainty) -> Finding {
        Finding {
            cause,
            code: cause.code(),
            severity: Severity::Breaks,
            certainty,
            resource_id: Some(ResourceId("i-1".to_owned())),
            summary: format!("{cause} it is"),
            evidence: Vec::new(),
            subject: Subject::default(),
        }
    }

    #[test]
    fn a_guess_hides_no_cause_that_was_seen() {
        let id = InstanceId::new("i-1");
        let trace = Trace {
            flow: Flow::tcp(id.clone(), std::net::Ipv4Addr::new(8, 8, 8, 8).into(), 443),
            disposition: Disposition::Delivered,
            hops: Vec::new(),
            address: None,
            refused: false,
            unknown: Vec::new(),
        };
        let findings = vec![
            finding(Cause::ClientProxyOrFirewall, Certainty::Likely),
            finding(Cause::HostPortsExhausted, Certainty::Guess),
        ];
        let diagnosis =
            Diagnosis { trace, disposition: Disposition::Dropped, path: Vec::new(), findings, unknown: Vec::new() };
        let rows: Vec<Row<'_>> = diagnosis.findings.iter().map(|finding| Row { finding, repair: None }).collect();
        let now = Timestamp::UNIX_EPOCH;
        let text = diagnose_text(Paint { colour: false }, &id, &diagnosis, &rows, &Observations::default(), now);
        let (seen, guessed) = text.split_once("What fits").unwrap();
        assert!(seen.contains("Cause\n  CLIENT_PROXY_OR_FIREWALL (likely) i-1\n"), "{text}");
        assert!(
            !seen.contains("HOST_PORTS_EXHAUSTED") && guessed.contains("  HOST_PORTS_EXHAUSTED (guess)\n"),
            "{text}"
        );
        // The host said what it is like: its agent is there.
        assert!(guessed.contains("next: Look on i-1") && !guessed.contains("start its SSM agent"), "{text}");
    }
}
