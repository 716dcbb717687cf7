//! From what was asked to a row for each instance. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::model::{InstanceId, Network};
use crate::ops::Overall;
use crate::ops::check::{Chosen, OUTSIDE, blank, cannot_test, other_than};
use crate::reach::audit::{Asked, Audit, Group, Told, audit, told_of};
use crate::reach::{Cause, Diagnosis, Disposition, EgressResult, PacketTest, Role, Severity, Verdict};

/// What an audit found, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditReport {
    /// Clients first, then NATs, each by identifier.
    pub rows: Vec<AuditRow>,
    pub audit: Audit,
    pub asked: Asked,
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// As the check gives it. The verdict of one that was not asked is that of the one that was asked for it; where none
    /// was, it cannot be tested.
    pub result: EgressResult,
    /// Its own packet test was tried.
    pub tested: bool,
    /// Its place in [`Audit::groups`].
    pub group: usize,
    /// What its group is told, in its own words.
    pub findings: Vec<Told>,
}

/// Explains all of `chosen` by the snapshot and what was asked. Asks nothing: for a report from a file as well.
pub fn explain(network: &Network, asked: Asked, chosen: &[Chosen]) -> AuditReport {
    let clients: Vec<InstanceId> = chosen.iter().map(|one| one.instance_id.clone()).collect();
    let audit = audit(network, &asked, &clients, OUTSIDE);
    let members = audit.groups.iter().enumerate().flat_map(|(at, group)| group.members.iter().map(move |id| (id, at)));
    let groups: HashMap<&InstanceId, usize> = members.collect();
    let rows = chosen.iter().filter_map(|one| {
        let at = *groups.get(&one.instance_id)?;
        let group = audit.groups.get(at)?;
        let findings = told_of(network, group, &one.instance_id);
        let result = result(network, one, group, &asked, &findings);
        Some(AuditRow { result, tested: group.tested.contains(&one.instance_id), group: at, findings })
    });
    let mut rows: Vec<AuditRow> = rows.collect();
    rows.sort_by_cached_key(|row| (row.result.role == Role::Nat, row.result.instance_id.clone()));
    AuditReport { rows, audit, asked }
}

fn result(network: &Network, one: &Chosen, group: &Group, asked: &Asked, findings: &[Told]) -> EgressResult {
    let mut row = blank(network, one);
    let broken = findings.iter().find(|finding| finding.severity == Severity::Breaks);
    let asked_itself = asked.clients.get(&one.instance_id);
    let asked_for_it = || asked.clients.get(group.tested.first()?);
    let Some(look) = asked_itself.or_else(asked_for_it) else {
        row.code = broken.map(|finding| finding.code.to_string());
        row.reason = Some(format!("not asked; {}", by_the_walk(group, broken)));
        return row;
    };
    let test = &look.test;
    if let PacketTest::CouldNotRun { code, reason } = test {
        return cannot_test(row, *code, reason.clone());
    }
    if test.passed() {
        let seen = test.address();
        row.verdict = if row.expected_address.is_some() && row.expected_address == seen {
            Verdict::ViaNat
        } else {
            Verdict::OtherWayOut
        };
        if row.verdict == Verdict::ViaNat
            && let Some((nat, why)) = passed_by(group)
        {
            row = other_than(network, row, nat, why);
        }
        if asked_itself.is_some() {
            row.address = seen;
            row.latency_ms = test.probes().into_iter().flatten().find_map(|probe| probe.latency_ms);
        }
        if row.verdict == Verdict::OtherWayOut && row.reason.is_none() {
            row.reason = Some(other_way(seen, row.expected_address));
        }
    } else {
        row.verdict = Verdict::NoEgress;
        row.reason = Some("nothing answers, although nothing that natdeck can see stops it".to_owned());
    }
    if let Some(finding) = broken {
        row.code = Some(finding.code.to_string());
        row.reason = Some(finding.summary.clone());
    }
    if asked_itself.is_none() {
        let told = row.reason.take().map(|reason| format!(": {reason}")).unwrap_or_default();
        row.reason =
            group.tested.first().map(|id| format!("not asked itself; {id}, which shares its way out, was{told}"));
    }
    row
}

/// The NAT instance that the route of a group leads past, as its diagnosis found, and what that says.
fn passed_by(group: &Group) -> Option<(&InstanceId, String)> {
    let mut findings = group.diagnosis.findings.iter();
    let past = findings.find(|f| f.cause == Cause::RoutedToOtherEgress && f.severity == Severity::Breaks)?;
    Some((past.subject.instance_id.as_ref()?, past.summary.clone()))
}

fn other_way(seen: Option<IpAddr>, expected: Option<IpAddr>) -> String {
    let seen = seen.map_or_else(|| "something answered".to_owned(), |address| format!("{address} was seen"));
    let expected = expected.map_or_else(
        || "the way out that its route names has no public address that is known".to_owned(),
        |address| format!("its route promises {address}"),
    );
    format!("{seen}, and {expected}")
}

/// What the walk alone says of a group of which none was asked.
pub fn by_the_walk(group: &Group, broken: Option<&Told>) -> String {
    let diagnosis = &group.diagnosis;
    match (diagnosis.disposition, broken) {
        (_, Some(finding)) => finding.summary.clone(),
        (Disposition::Delivered, None) => {
            let address = diagnosis.trace.address.map(|address| format!(" as {address}")).unwrap_or_default();
            format!("by what can be seen it gets out{address}")
        }
        (Disposition::Dropped, None) => "it does not get out, and nothing that natdeck can see stops it".to_owned(),
        (Disposition::InsufficientInformation, None) => {
            diagnosis.unknown.first().map_or_else(|| "it cannot be told".to_owned(), ToString::to_string)
        }
    }
}

impl AuditReport {
    /// As the check's, except that what is found to be broken counts too: where nobody could be asked, and where packets
    /// get out by a way that was not meant. An instance that does not run has no egress to be broken.
    pub fn overall(&self) -> Overall {
        let stopped = |row: &AuditRow| row.findings.first().is_some_and(|told| told.cause == Cause::ClientNotRunning);
        let found = |row: &AuditRow| {
            let diagnosis = self.audit.groups.get(row.group).map(|group| &group.diagnosis);
            diagnosis.is_some_and(Diagnosis::is_broken) && !stopped(row)
        };
        let broken =
            |row: &AuditRow| matches!(row.result.verdict, Verdict::NoEgress | Verdict::OtherWayOut) || found(row);
        let cannot = |row: &&AuditRow| row.result.verdict == Verdict::CannotTest;
        let clients = || self.rows.iter().filter(|row| row.result.role == Role::Client);
        if self.rows.iter().any(broken) {
            Overall::Broken
        } else if clients().any(|row| cannot(&row))
            || (clients().next().is_none() && self.rows.iter().all(|row| cannot(&row)))
        {
            Overall::CannotTest
        } else {
            Overall::Ok
        }
    }
}
