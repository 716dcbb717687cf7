//! The `diagnose` document. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Paint;
use crate::model::InstanceId;
use crate::plan::Repair;
use crate::reach::{Certainty, Decision, Diagnosis, Direction, Disposition, Evidence, Finding, Observations, Severity};

/// Lines are broken so that they fit an 80 column terminal.
const COLUMNS: usize = 79;

/// A finding and what would put it right.
pub struct Row<'a> {
    pub finding: &'a Finding,
    pub repair: Option<Repair>,
}

/// The document of the design.
pub fn diagnose_json(
    instance_id: &InstanceId,
    diagnosis: &Diagnosis,
    rows: &[Row<'_>],
    observations: &Observations,
) -> Value {
    let evidence = |evidence: &Evidence| json!({ "source": evidence.source, "text": evidence.text, "observed_at": evidence.observed_at });
    let findings: Vec<Value> = rows
        .iter()
        .map(|row| {
            let finding = row.finding;
            json!({
                "code": finding.code,
                "cause": finding.cause.name(),
                "aws_code": finding.cause.aws_code(),
                "severity": finding.severity,
                "certainty": finding.certainty,
                "resource_id": finding.resource_id,
                "summary": finding.summary,
                "explanation": finding.cause.explanation(),
                "evidence": finding.evidence.iter().map(evidence).collect::<Vec<_>>(),
                "repair": row.repair.as_ref().map(|repair| json!({
                    "title": repair.title,
                    "changes": repair.changes,
                    "commands": repair.commands,
                    "widens": repair.widens,
                })),
            })
        })
        .collect();
    let hops: Vec<Value> = diagnosis
        .path
        .iter()
        .enumerate()
        .map(|(at, hop)| {
            json!({
                "component": hop.component,
                "resource_id": hop.resource_id,
                "direction": hop.direction,
                "decision": hop.decision,
                "detail": hop.detail,
                "code": hop.code,
                "reached": diagnosis.stopped_at().is_none_or(|stopped| at <= stopped),
            })
        })
        .collect();
    json!({
        "version": 1,
        "instance_id": instance_id,
        "disposition": diagnosis.disposition,
        "address": observations.address().or(diagnosis.trace.address),
        "hops": hops,
        "findings": findings,
        "unknown": diagnosis.unknown,
    })
}

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
    let breaks = || rows.iter().filter(|row| row.finding.severity == Severity::Breaks);
    let warnings = || rows.iter().filter(|row| row.finding.severity == Severity::Warns);
    if let Some(first) = breaks().next() {
        out.push_str(&format!("\n{}\n", paint.strong("Cause")));
        finding(&mut out, paint, first, now);
    }
    if breaks().count() > 1 {
        out.push_str(&format!("\n{}\n", paint.strong("Behind it")));
        breaks().skip(1).for_each(|row| finding(&mut out, paint, row, now));
    }
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

/// One sentence.
fn verdict(instance_id: &InstanceId, diagnosis: &Diagnosis, observations: &Observations) -> String {
    let address = observations.address().or(diagnosis.trace.address);
    let by = address.map(|address| format!(" and is seen as {address}")).unwrap_or_default();
    let destination = format!("{} port {}", diagnosis.trace.flow.destination, diagnosis.trace.flow.destination_port);
    match (diagnosis.disposition, diagnosis.first_break()) {
        (Disposition::Delivered, None) => format!("{instance_id} gets out{by}."),
        (Disposition::Delivered, Some(first)) => format!("{instance_id} gets out{by}, but: {}.", first.summary),
        (Disposition::Dropped, Some(first)) if first.certainty == Certainty::Guess => {
            format!("{instance_id} does not reach {destination}. Why cannot be seen; what fits is guessed.")
        }
        (Disposition::Dropped, Some(first)) => {
            format!("{instance_id} does not reach {destination}: {}.", first.summary)
        }
        (Disposition::Dropped, None) => {
            format!("{instance_id} does not reach {destination}, and nothing that natdeck can see stops it.")
        }
        (Disposition::InsufficientInformation, Some(first)) => {
            format!(
                "It cannot be told whether {instance_id} reaches {destination}; {}: {}.",
                first.certainty, first.summary
            )
        }
        (Disposition::InsufficientInformation, None) => {
            let why = diagnosis.unknown.first().map(|u| format!(": {} ({})", u.what, u.reason)).unwrap_or_default();
            format!("It cannot be told whether {instance_id} reaches {destination}{why}.")
        }
    }
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

fn finding(out: &mut String, paint: Paint, row: &Row<'_>, now: Timestamp) {
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
    for evidence in &finding.evidence {
        let age = evidence.observed_at.map(|at| format!(" ({})", age(now, at))).unwrap_or_default();
        push(out, "    - ", 6, &format!("{}: {}{age}", evidence.source, evidence.text));
    }
    match &row.repair {
        Some(repair) => {
            push(out, &format!("    {} ", paint.good("repair:")), 12, &repair.title);
            for change in &repair.changes {
                push(out, "      ", 6, &format!("{}: {} -> {}", change.what, change.before, change.after));
            }
            if let Some(warning) = &repair.widens {
                push(out, &format!("      {} ", paint.warn("widens:")), 14, warning);
            }
            for command in &repair.commands {
                // Not broken: it is there to be copied.
                for line in command.lines() {
                    out.push_str(&format!("      {}\n", paint.faint(line)));
                }
            }
        }
        None if finding.certainty != Certainty::Guess => push(out, "    ", 4, "natdeck has no repair for it."),
        None => {}
    }
}

/// `3 s ago`.
fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second()).max(0);
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}

/// A paragraph behind `first`, broken between words, further lines indented.
fn push(out: &mut String, first: &str, indent: usize, text: &str) {
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
