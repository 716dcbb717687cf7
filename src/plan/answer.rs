//! A diagnosis with its repairs, as it is told wherever it is told: the verdict in one sentence, and the JSON document.
//! Pure.

use serde_json::{Value, json};

use super::Repair;
use crate::model::InstanceId;
use crate::reach::{Component, Decision, Diagnosis, Disposition, Evidence, Finding, Observations};

/// A finding and what would put it right.
pub struct Row<'a> {
    pub finding: &'a Finding,
    pub repair: Option<Repair>,
}

/// A finding in a document, with its evidence and repair.
pub fn finding_json(row: &Row<'_>) -> Value {
    let finding = row.finding;
    let evidence = |evidence: &Evidence| json!({ "source": evidence.source, "text": evidence.text, "observed_at": evidence.observed_at });
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
        "look_on_host": finding.cause.look_on_host(),
        "repair": row.repair.as_ref().map(|repair| json!({
            "title": repair.title,
            "changes": repair.changes,
            "commands": repair.commands,
            "caution": repair.caution,
        })),
        "by_hand": if row.repair.is_none() { finding.by_hand() } else { None },
    })
}

/// The `diagnose` document of the design.
pub fn diagnose_json(
    instance_id: &InstanceId,
    diagnosis: &Diagnosis,
    rows: &[Row<'_>],
    observations: &Observations,
) -> Value {
    let findings: Vec<Value> = rows.iter().map(finding_json).collect();
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

/// The verdict in one sentence.
pub fn verdict(instance_id: &InstanceId, diagnosis: &Diagnosis, observations: &Observations) -> String {
    let address = observations.address().or(diagnosis.trace.address);
    let destination = format!("{} port {}", diagnosis.trace.flow.destination, diagnosis.trace.flow.destination_port);
    let out = diagnosis.path.iter().any(|hop| hop.component == Component::Internet);
    let arrives = match address {
        Some(address) if out => format!("gets out and is seen as {address}"),
        _ if out => "gets out".to_owned(),
        _ => format!("reaches {destination}"),
    };
    match (diagnosis.disposition, diagnosis.first_break()) {
        (Disposition::Delivered, None) => format!("{instance_id} {arrives}."),
        (Disposition::Delivered, Some(first)) => format!("{instance_id} {arrives}, but: {}.", first.summary),
        (Disposition::Dropped, Some(first)) if first.is_guess() => {
            format!("{instance_id} does not reach {destination}. Why cannot be seen; what fits is guessed.")
        }
        (Disposition::Dropped, Some(first)) => {
            format!("{instance_id} does not reach {destination}: {}.", first.summary)
        }
        (Disposition::Dropped, None) => {
            format!("{instance_id} does not reach {destination}, and nothing that natdeck can see stops it.")
        }
        (Disposition::InsufficientInformation, Some(first)) if first.is_guess() => {
            format!("It cannot be told whether {instance_id} reaches {destination}; what fits is guessed.")
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

/// How a person finds out which of the guesses is true, in a sentence. `None`: nothing is guessed.
pub fn how_to_tell(diagnosis: &Diagnosis) -> Option<String> {
    let id = diagnosis.guesses().next()?.resource_id.as_ref()?;
    let look = format!("Look on {id} by the EC2 serial console or SSH");
    // The walk ended at a NAT host that said nothing.
    let silent = diagnosis.trace.hops.last().filter(|hop| hop.decision == Decision::Unknown);
    let silent = silent.is_some_and(|hop| hop.component == Component::NatHost && hop.resource_id.as_ref() == Some(id));
    if !silent {
        return Some(format!("{look}."));
    }
    Some(format!(
        "{look}, or start its SSM agent and ask again. A reboot undoes what was changed at run time and kept nowhere: aws \
         ec2 reboot-instances --instance-ids {id}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::{Direction, Flow, Hop, Trace};

    fn delivered(destination: &str, end: Component) -> String {
        let id = InstanceId::new("i-1");
        let hop = Hop {
            component: end,
            resource_id: None,
            direction: Direction::Forward,
            decision: Decision::Received,
            detail: String::new(),
            evidence: Vec::new(),
            code: None,
        };
        let trace = Trace {
            flow: Flow::tcp(id.clone(), destination.parse().unwrap(), 443),
            disposition: Disposition::Delivered,
            hops: vec![hop.clone()],
            address: Some("3.3.3.3".parse().unwrap()),
            refused: false,
            unknown: Vec::new(),
        };
        let disposition = Disposition::Delivered;
        let diagnosis = Diagnosis { trace, disposition, path: vec![hop], findings: Vec::new(), unknown: Vec::new() };
        verdict(&id, &diagnosis, &Observations::default())
    }

    #[test]
    fn only_what_leaves_the_vpc_gets_out() {
        assert_eq!(delivered("8.8.8.8", Component::Internet), "i-1 gets out and is seen as 3.3.3.3.");
        assert_eq!(delivered("10.8.1.98", Component::Instance), "i-1 reaches 10.8.1.98 port 443.");
    }
}
