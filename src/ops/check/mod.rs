//! The egress check: asks every chosen instance which address the outside sees, all at once, and compares it with the
//! public address of the NAT that its own route names.

mod choose;
mod probe;
mod untestable;
mod verdict;

use std::collections::BTreeMap;

pub use choose::{ChooseError, Chosen, choose};
pub use probe::FIRST;
pub(super) use probe::{SECOND, parse, script_for};
pub(super) use untestable::untestable;
pub use verdict::OUTSIDE;
pub(super) use verdict::{blank, cannot_test, other_than};

use super::ask::ask;
use super::host_facts;
use crate::aws::Session;
use crate::model::host::Hosts;
use crate::model::{InstanceId, Network};
use crate::reach::{CheckProgress, EgressResult, Role, Verdict};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Clients first, then NATs, each by identifier.
    pub results: Vec<EgressResult>,
}

/// The answer of a whole check, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overall {
    /// Every instance that was asked leaves by its NAT.
    Ok,
    /// At least one does not.
    Broken,
    /// None is known to be broken, and at least one could not be asked; or there was nobody to ask.
    CannotTest,
}

impl CheckReport {
    /// Clients decide; a NAT that could not be asked does not, as long as its clients get out.
    pub fn overall(&self) -> Overall {
        let broken = |row: &EgressResult| matches!(row.verdict, Verdict::NoEgress | Verdict::OtherWayOut);
        let clients = || self.results.iter().filter(|row| row.role == Role::Client);
        if self.results.iter().any(broken) {
            Overall::Broken
        } else if self.results.is_empty()
            || clients().any(|row| row.verdict == Verdict::CannotTest)
            || (clients().next().is_none() && self.results.iter().any(|row| row.verdict == Verdict::CannotTest))
        {
            Overall::CannotTest
        } else {
            Overall::Ok
        }
    }
}

/// Asks them all. `on_progress` hears of each answer as it arrives. Never fails: what could not be asked is a verdict.
pub async fn check(
    session: &Session,
    network: &Network,
    chosen: &[Chosen],
    on_progress: &mut (dyn FnMut(CheckProgress) + Send),
) -> CheckReport {
    on_progress(CheckProgress::Started { instance_ids: chosen.iter().map(|c| c.instance_id.clone()).collect() });
    let mut rows: BTreeMap<InstanceId, EgressResult> = BTreeMap::new();
    let mut asked: Vec<InstanceId> = Vec::new();
    for one in chosen {
        let row = verdict::blank(network, one);
        let Some(instance) = network.instances.shown().get(one.instance_id.as_str()) else { continue };
        match untestable(network, instance) {
            Some((code, reason)) => {
                let row = verdict::cannot_test(row, code, reason);
                on_progress(CheckProgress::Answered(Box::new(row.clone())));
                rows.insert(one.instance_id.clone(), row);
            }
            None => {
                asked.push(one.instance_id.clone());
                rows.insert(one.instance_id.clone(), row);
            }
        }
    }
    let mut silent: Vec<(InstanceId, Vec<probe::Attempt>)> = Vec::new();
    ask(session, &asked, &probe::script(), "natdeck egress check", |id, answer| {
        let Some(row) = rows.get_mut(&id) else { return };
        match answer {
            Ok(stdout) => {
                let attempts = probe::parse(&stdout);
                if attempts.iter().any(|attempt| attempt.address.is_some()) {
                    *row = verdict::judge(network, &Hosts::new(), row.clone(), &attempts);
                } else {
                    // The walk may need the facts of the NAT host: judged below, when they are there.
                    row.verdict = Verdict::NoEgress;
                    silent.push((id, attempts));
                }
            }
            Err((code, reason)) => *row = verdict::cannot_test(row.clone(), code, reason),
        }
        on_progress(CheckProgress::Answered(Box::new(row.clone())));
    })
    .await;
    if !silent.is_empty() {
        let hosts = host_facts::gather(session, network, silent.iter().map(|(id, _)| id)).await;
        for (id, attempts) in silent {
            if let Some(row) = rows.get_mut(&id) {
                *row = verdict::judge(network, &hosts, row.clone(), &attempts);
                on_progress(CheckProgress::Answered(Box::new(row.clone())));
            }
        }
    }
    let mut results: Vec<EgressResult> = rows.into_values().collect();
    results.sort_by_key(|row| (row.role == Role::Nat, row.instance_id.clone()));
    CheckReport { results }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(role: Role, verdict: Verdict) -> EgressResult {
        EgressResult {
            instance_id: InstanceId::new(format!("i-{role:?}{verdict:?}")),
            name: None,
            private_ip: None,
            role,
            verdict,
            address: None,
            expected_address: None,
            latency_ms: None,
            code: None,
            reason: None,
        }
    }

    fn overall(rows: &[(Role, Verdict)]) -> Overall {
        CheckReport { results: rows.iter().map(|(role, verdict)| row(*role, *verdict)).collect() }.overall()
    }

    #[test]
    fn broken_outweighs_cannot_test_which_outweighs_ok() {
        use Role::{Client, Nat};
        use Verdict::{CannotTest, NoEgress, OtherWayOut, ViaNat};
        assert_eq!(overall(&[(Client, ViaNat), (Nat, ViaNat)]), Overall::Ok);
        assert_eq!(overall(&[(Client, ViaNat), (Client, CannotTest)]), Overall::CannotTest);
        assert_eq!(overall(&[(Client, CannotTest), (Client, OtherWayOut)]), Overall::Broken);
        assert_eq!(overall(&[(Client, ViaNat), (Nat, NoEgress)]), Overall::Broken);
        assert_eq!(overall(&[(Client, ViaNat), (Nat, CannotTest)]), Overall::Ok, "its clients get out");
        assert_eq!(overall(&[(Nat, CannotTest)]), Overall::CannotTest);
        assert_eq!(overall(&[]), Overall::CannotTest, "nobody to ask is not a success");
    }
}
