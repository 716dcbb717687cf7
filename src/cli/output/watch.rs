//! What `check --watch` prints: a line for each change, or one JSON document a round.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Paint, check_json};
use crate::model::diff::Note;
use crate::model::{Identity, VpcId};
use crate::reach::history::{History, Round, Turn, Watch, clock};
use crate::reach::{EgressResult, Verdict};

/// The document of a round: that of `check`, with `observed_at`, `round`, for each instance its `finding` (null while it
/// leaves as it always did), `turns` (what changed for which instance, with the changes of the VPC that came with it)
/// and `changes` (everything that changed in the VPC).
pub fn watch_json(
    identity: &Identity,
    vpc_id: Option<&VpcId>,
    ok: bool,
    results: &[EgressResult],
    watch: &Watch,
    round: &Round,
    at: Timestamp,
) -> Value {
    let mut document = check_json(identity, vpc_id, ok, results);
    if let Some(rows) = document.get_mut("instances").and_then(Value::as_array_mut) {
        for (row, result) in rows.iter_mut().zip(results) {
            row["finding"] = watch.histories.get(&result.instance_id).and_then(History::finding).into();
        }
    }
    document["observed_at"] = json!(at);
    document["round"] = watch.rounds.into();
    document["turns"] = round.turns.iter().map(turn_json).collect();
    document["changes"] = json!(round.notes);
    document
}

fn turn_json(turn: &Turn) -> Value {
    json!({
        "instance_id": turn.instance_id,
        "code": turn.kind.code(),
        "at": turn.to.at,
        "after": turn.from.at,
        "from": turn.from,
        "to": turn.to,
        "text": turn.sentence(),
        "changes": turn.notes,
    })
}

/// How an instance stands when the watch begins.
pub fn begun_line(paint: Paint, result: &EgressResult, at: Timestamp) -> String {
    let verdict = format!("{} {}", result.verdict.symbol(), result.verdict.label());
    let name = result.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let told = match (&result.address, &result.code, &result.reason) {
        (Some(address), None, _) => format!("as {address}"),
        (_, Some(code), Some(reason)) => format!("{code}: {reason}"),
        (_, Some(code), None) => code.clone(),
        (None, None, reason) => reason.clone().unwrap_or_default(),
    };
    let verdict = match result.verdict {
        Verdict::ViaNat => paint.good(&verdict),
        Verdict::NoEgress | Verdict::OtherWayOut => paint.bad(&verdict),
        Verdict::CannotTest => paint.warn(&verdict),
    };
    clean(&format!("{} {verdict} {}{name} {told}", paint.faint(&clock(at)), result.instance_id))
}

/// A change for an instance.
pub fn turn_line(paint: Paint, turn: &Turn) -> String {
    let verdict = turn.to.verdict;
    let symbol = match verdict {
        _ if turn.kind.is_good() => paint.good(verdict.symbol()),
        // The check itself is content with another address of its own NAT, or with a route that was moved.
        Verdict::ViaNat => paint.bad(Verdict::OtherWayOut.symbol()),
        _ => paint.bad(verdict.symbol()),
    };
    clean(&format!("{} {symbol} {}", paint.faint(&clock(turn.to.at)), turn.sentence()))
}

/// A change of the VPC that made no difference to anybody's egress.
pub fn note_line(paint: Paint, note: &Note, at: Timestamp) -> String {
    clean(&format!("{} ~ {}", paint.faint(&clock(at)), paint.faint(&note.text)))
}

/// Where things stand after a round. `next`: when the next one begins.
pub fn status_line(results: &[EgressResult], watch: &Watch, next: Timestamp) -> String {
    let count = |verdict| results.iter().filter(|row| row.verdict == verdict).count();
    let mut parts: Vec<String> = [Verdict::ViaNat, Verdict::OtherWayOut, Verdict::NoEgress, Verdict::CannotTest]
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.label()))
        .collect();
    if parts.is_empty() {
        parts.push("no private instance to ask".to_owned());
    }
    let findings = watch.histories.values().filter(|history| history.finding().is_some()).count();
    if findings > 0 {
        parts.push(format!("{findings} not by the usual way"));
    }
    format!("round {}: {}; next at {} UTC", watch.rounds, parts.join(", "), clock(next))
}

/// Names come from tags: they must not steer the terminal. Our own colours stay.
fn clean(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\u{1b}' { '\u{fffd}' } else { c }).collect()
}
