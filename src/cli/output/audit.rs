//! The document of `check --explain`: the check's rows with their findings, and the groups that share them. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::diagnose::{finding, push};
use super::{Paint, Row};
use crate::model::{Identity, InstanceId, Network, ResourceId, VpcId};
use crate::ops::{AuditReport, AuditRow, Overall};
use crate::plan::answer::finding_json;
use crate::plan::repair::repair;
use crate::reach::audit::{Group, Told, alike};
use crate::reach::{Disposition, Finding, Role, Severity, Verdict};

/// So many identifiers are named before "and … more".
const NAMED: usize = 3;

/// The document of `check`, each instance with `tested`, `findings` and its place in `groups`, which hold the evidence and
/// the repairs; and the instances that are not private.
pub fn audit_json(
    identity: &Identity,
    network: &Network,
    vpc_id: Option<&VpcId>,
    report: &AuditReport,
    not_private: &[InstanceId],
) -> Value {
    let instances: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let mut document = json!(row.result);
            document["tested"] = row.tested.into();
            document["group"] = row.group.into();
            document["findings"] = row.findings.iter().map(told_json).collect();
            document
        })
        .collect();
    json!({
        "version": 1,
        "world": identity.world.to_string(),
        "region": identity.region,
        "vpc_id": vpc_id,
        "ok": report.overall() == Overall::Ok,
        "instances": instances,
        "groups": report.audit.groups.iter().map(|group| group_json(network, group)).collect::<Vec<_>>(),
        "not_private": not_private,
        "fates": report.audit.fates,
        "diagnoses": report.audit.diagnoses,
    })
}

fn told_json(told: &Told) -> Value {
    json!({
        "code": told.code,
        "cause": told.cause.name(),
        "severity": told.severity,
        "certainty": told.certainty,
        "resource_id": told.resource_id,
        "summary": told.summary,
    })
}

fn group_json(network: &Network, group: &Group) -> Value {
    let findings: Vec<Value> = group
        .diagnosis
        .findings
        .iter()
        .map(|finding| finding_json(&Row { finding, repair: repair(finding, network) }))
        .collect();
    json!({
        "representative": group.representative,
        "instance_ids": group.members,
        "tested": group.tested,
        "disposition": group.diagnosis.disposition,
        "address": group.diagnosis.trace.address,
        "findings": findings,
        "unknown": group.diagnosis.unknown,
    })
}

/// For people: what is told to whom, the broken first.
pub fn audit_text(
    paint: Paint,
    network: &Network,
    report: &AuditReport,
    not_private: &[InstanceId],
    now: Timestamp,
) -> String {
    let mut out = String::new();
    for groups in alike(network, &report.audit) {
        told_of_all(&mut out, paint, network, report, &groups, now);
        out.push('\n');
    }
    if report.rows.is_empty() {
        out.push_str("There is no private instance to ask.\n");
    }
    let tested = report.rows.iter().filter(|row| row.tested).count();
    let count = |verdict| report.rows.iter().filter(|row| row.result.verdict == verdict).count();
    let verdicts: Vec<String> = [Verdict::ViaNat, Verdict::OtherWayOut, Verdict::NoEgress, Verdict::CannotTest]
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.label()))
        .collect();
    if !verdicts.is_empty() {
        let text = format!(
            "{}. {} with {}; {tested} asked.",
            verdicts.join(", "),
            counted(report.rows.len(), "instance"),
            counted(report.audit.fates, "fate"),
        );
        push(&mut out, "", 0, &text);
    }
    if !not_private.is_empty() {
        let ids = listed(not_private.iter().map(InstanceId::as_str));
        let text = format!("Not private, so not asked: {} in public subnets ({ids}).", not_private.len());
        push(&mut out, "", 0, &text);
    }
    out
}

/// One paragraph for all instances that are told the same.
fn told_of_all(
    out: &mut String,
    paint: Paint,
    network: &Network,
    report: &AuditReport,
    groups: &[&Group],
    now: Timestamp,
) {
    let Some(first) = groups.first() else { return };
    let members = || groups.iter().flat_map(|group| &group.members);
    let tested: usize = groups.iter().map(|group| group.tested.len()).sum();
    let row = report.rows.iter().find(|row| row.result.instance_id == first.representative);
    let heading = format!("{}, {}", who(report, members()), label(row, first));
    let mark = match (first.diagnosis.disposition, first.diagnosis.first_break()) {
        (Disposition::Dropped, _) | (Disposition::Delivered, Some(_)) => paint.bad("✗"),
        (Disposition::InsufficientInformation, _) => paint.warn("?"),
        (Disposition::Delivered, None) if tested == 0 => paint.warn("?"),
        (Disposition::Delivered, None) => paint.good("✓"),
    };
    push(out, &format!("{mark} "), 2, &paint.strong(&heading));
    push(out, "  ", 2, &place(network, groups, tested));
    let own = |told: &Finding| told.resource_id.as_ref().is_some_and(|id| is_own(network, first, id));
    let breaks = || first.diagnosis.findings.iter().filter(|finding| finding.severity == Severity::Breaks);
    let all = members().count() > 1;
    if let Some(cause) = breaks().next() {
        finding(out, paint, &Row { finding: cause, repair: repair(cause, network) }, now);
        if all && own(cause) {
            push(out, "    ", 4, &format!("Shown for {}; the others likewise.", first.representative));
        }
        push(out, "    ", 4, &format!("natdeck diagnose {}", first.representative));
    }
    for behind in breaks().skip(1) {
        short(out, &paint.bad("behind it:"), behind);
        if let Some(repair) = repair(behind, network) {
            push(out, &format!("    {} ", paint.good("repair:")), 12, &repair.title);
        }
    }
    for warning in first.diagnosis.findings.iter().filter(|finding| finding.severity == Severity::Warns) {
        short(out, &paint.warn("warning:"), warning);
    }
    let mut said = BTreeSet::new();
    for unknown in groups.iter().flat_map(|group| &group.diagnosis.unknown) {
        if said.len() < NAMED && said.insert((&unknown.what, &unknown.reason)) {
            push(out, &format!("  {} ", paint.warn("?")), 4, &format!("{}: {}", unknown.what, unknown.reason));
        }
    }
}

fn short(out: &mut String, label: &str, finding: &Finding) {
    let resource = finding.resource_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    push(out, &format!("  {label} "), 4, &format!("{}{resource}: {}", finding.cause.name(), finding.summary));
}

/// `12 instances and 1 NAT`.
fn who<'a>(report: &AuditReport, members: impl Iterator<Item = &'a InstanceId>) -> String {
    let members: BTreeSet<&InstanceId> = members.collect();
    let nats = report.rows.iter().filter(|row| row.result.role == Role::Nat);
    let nats = nats.filter(|row| members.contains(&row.result.instance_id)).count();
    match (members.len() - nats, nats) {
        (clients, 0) => counted(clients, "instance"),
        (0, nats) => counted(nats, "NAT"),
        (clients, nats) => format!("{} and {}", counted(clients, "instance"), counted(nats, "NAT")),
    }
}

/// What the verdict is, in the words of the check, and of the walk where nobody could be asked.
fn label(row: Option<&AuditRow>, group: &Group) -> String {
    let Some(row) = row else { return "not asked".to_owned() };
    let verdict = row.result.verdict;
    if verdict == Verdict::ViaNat && group.diagnosis.first_break().is_some() {
        return "by the way out that the route names, which is not the one that was meant".to_owned();
    }
    if verdict != Verdict::CannotTest {
        return verdict.label().to_owned();
    }
    let tried = if row.tested { "cannot test" } else { "not asked" };
    let walk = match group.diagnosis.disposition {
        Disposition::Dropped => "nothing gets out",
        Disposition::Delivered => "by what can be seen it gets out",
        Disposition::InsufficientInformation => "it cannot be told",
    };
    let reason = row.result.reason.as_deref().filter(|_| row.tested && group.diagnosis.first_break().is_none());
    match reason {
        Some(reason) => format!("{tried}: {reason}"),
        None => format!("{tried}; {walk}"),
    }
}

/// Where they are and who was asked.
fn place(network: &Network, groups: &[&Group], tested: usize) -> String {
    let instances = network.instances.shown();
    let members = || groups.iter().flat_map(|group| &group.members);
    let subnets: BTreeSet<&str> =
        members().filter_map(|id| Some(instances.get(id.as_str())?.subnet_id.as_ref()?.as_str())).collect();
    let whose = match subnets.len() {
        0 => String::new(),
        1 => format!(" in {}", listed(subnets.iter().copied())),
        count => format!(" in {count} subnets ({})", listed(subnets.iter().copied())),
    };
    let asked = match (tested, members().count()) {
        (0, _) => "none was asked".to_owned(),
        (asked, all) if asked == all => "all were asked".to_owned(),
        (asked, _) => format!("{asked} asked for all"),
    };
    format!("{}{whose}; {asked}", listed(members().map(InstanceId::as_str)))
}

/// Whether an identifier belongs to the instance that was diagnosed for its group.
fn is_own(network: &Network, group: &Group, id: &ResourceId) -> bool {
    let mut cards = network.network_interfaces.lookup_shown().of_instance(&group.representative);
    id.as_str() == group.representative.as_str() || cards.any(|card| card.network_interface_id.as_str() == id.as_str())
}

fn listed<'a>(ids: impl Iterator<Item = &'a str> + Clone) -> String {
    let all = ids.clone().count();
    let shown: Vec<&str> = ids.take(NAMED).collect();
    let more = all - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
