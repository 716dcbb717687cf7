//! The report as Markdown: what an on-call engineer pastes into an incident's channel. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::cells::{block, code, inline, table};
use super::{Incident, Repaired, file, json, sections};
use crate::model::Network;
use crate::plan::answer::{how_to_tell, verdict};
use crate::reach::{Diagnosis, Disposition, Finding, Observations, Severity};

/// What stands above a redacted report.
const REDACTED: &str = "Account numbers, addresses and the caller's name are stand-ins, the same one for the same thing \
    all through this file; private ranges stay private, and whatever shared a prefix still does. Identifiers and `Name` \
    tags are the real ones. A command that names an address names the stand-in.";

/// The whole report, the data at its end included.
///
/// Fails when the data does not go into JSON, which a test rules out.
pub fn markdown(incident: &Incident) -> Result<String, serde_json::Error> {
    let diagnosis = incident.diagnosis();
    let mut out = String::new();
    let instance_id = &incident.question.flow.instance_id;
    let outcome = match (&incident.after, incident.diagnosis_after()) {
        (Some(_), Some(after)) if after.is_well() => ", repaired",
        _ if incident.interrupted_at.is_some() => ", repair interrupted",
        (Some(_), _) => ", not repaired",
        _ => "",
    };
    push(&mut out, &format!("# {}{outcome}\n\n", title(instance_id.as_str(), &diagnosis)));
    if incident.redacted {
        push(&mut out, &format!("> {REDACTED}\n\n"));
    }
    push(&mut out, &sections::head(incident));
    answer(&mut out, incident, &diagnosis);
    if !incident.repairs.is_empty() {
        push(&mut out, "## What was repaired\n\n");
        incident.repairs.iter().for_each(|repaired| repair(&mut out, repaired));
    }
    if let Some(at) = incident.interrupted_at {
        push(
            &mut out,
            &format!(
                "**Interrupted** at {at:.0}: nothing more was tried, and what came of the last step was not \
            looked at.\n\n"
            ),
        );
    }
    if let (Some(after), Some(diagnosis)) = (&incident.after, incident.diagnosis_after()) {
        push(&mut out, &format!("## Afterwards, at {:.0}\n\n", after.at));
        let observations = &after.looked.observations;
        push(&mut out, &format!("**{}**\n\n", inline(&verdict(instance_id, &diagnosis, observations))));
        push(&mut out, &block("text", &sections::path(&diagnosis)));
        push(&mut out, "\n");
        let titled = sections::findings("Still there", &diagnosis.findings, &after.network, after.at);
        push(&mut out, &titled);
        push(&mut out, &sections::test(observations));
    }
    push(&mut out, &sections::environment(incident));
    push(&mut out, &sections::calls(&incident.calls));
    push(&mut out, &data(incident)?);
    Ok(out)
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
}

fn title(instance_id: &str, diagnosis: &Diagnosis) -> String {
    match (diagnosis.disposition, diagnosis.first_break()) {
        (_, Some(first)) => format!("{instance_id}: {}", code(&first.cause.name())),
        (Disposition::Delivered, None) => format!("{instance_id} gets out"),
        (Disposition::Dropped, None) => format!("{instance_id} does not get out"),
        (Disposition::InsufficientInformation, None) => format!("{instance_id}: cannot tell"),
    }
}

/// What was seen, from verdict to packet test.
fn answer(out: &mut String, incident: &Incident, diagnosis: &Diagnosis) {
    let observations: &Observations = &incident.looked.observations;
    let network: &Network = &incident.network;
    let sentence = verdict(&incident.question.flow.instance_id, diagnosis, observations);
    let _ = write!(out, "**{}**\n\n## Path\n\n", inline(&sentence));
    push(out, &block("text", &sections::path(diagnosis)));
    push(out, "\n");
    let (breaks, warnings): (Vec<_>, Vec<_>) =
        diagnosis.findings.iter().cloned().partition(|finding| finding.severity == Severity::Breaks);
    let (guesses, causes): (Vec<_>, Vec<_>) = breaks.into_iter().partition(Finding::is_guess);
    let (first, behind) = causes.split_at(causes.len().min(1));
    push(out, &sections::findings("Cause", first, network, incident.at));
    push(out, &sections::findings("Behind it", behind, network, incident.at));
    push(out, &sections::findings("What fits", &guesses, network, incident.at));
    if let Some(next) = how_to_tell(diagnosis) {
        let _ = write!(out, "**Next:** {}\n\n", inline(&next));
    }
    push(out, &sections::findings("Warnings", &warnings, network, incident.at));
    if !diagnosis.unknown.is_empty() {
        push(out, "## Could not be seen\n\n");
        let rows = diagnosis.unknown.iter().map(|unknown| [code(&unknown.what), inline(&unknown.reason)]);
        push(out, &table(["What", "Why"], rows));
    }
    push(out, &sections::test(observations));
}

fn repair(out: &mut String, repaired: &Repaired) {
    let resource = repaired.resource_id.as_ref().map(|id| format!(" {}", code(id.as_str()))).unwrap_or_default();
    let _ = write!(out, "### {}{resource}: {}\n\n", code(&repaired.cause.name()), inline(&repaired.title));
    let ended = match &repaired.failure {
        None => format!("Done at {:.0}.\n\n", repaired.at),
        Some(reason) => format!("**Not done**, at {:.0}: {}\n\n", repaired.at, inline(reason)),
    };
    push(out, &ended);
    push(out, &sections::change(&repaired.changes, &repaired.commands, repaired.caution.as_deref()));
}

/// The data, as a reader can check it and `--snapshot` takes it.
fn data(incident: &Incident) -> Result<String, serde_json::Error> {
    let value: Value = serde_json::to_value(incident)?;
    let text = json::pretty(&value);
    let fence = format!("json {} {}", file::MARK, file::checksum(&value));
    Ok(format!(
        "## Snapshot\n\nEverything above follows from this. `natdeck --snapshot THIS-FILE` opens it in the console, \
         without AWS; `tree` and `diagnose` answer from it.\n\n<details>\n<summary>JSON, {} KiB</summary>\n\n{}\n\
         </details>\n",
        text.len().div_ceil(1024),
        block(&fence, &text)
    ))
}
