//! The audit of every private instance: whom to ask so that each fate is tested, and what follows for all. Changes
//! nothing.
//!
//! SSM takes 50 instances a command and seconds for an answer, so by default one instance of each fate is asked for the
//! others. More are asked only where that one cannot stand for them: SSM did not reach it, or it fails for a reason of
//! its own.

mod rows;

use std::collections::BTreeSet;

pub use rows::{AuditReport, AuditRow, explain};

use super::ask::{ask, facts, packet_test};
use super::check::{Chosen, FIRST, OUTSIDE, SECOND, script_for, untestable};
use super::diagnose::{ask_nats, hosts_on};
use crate::aws::Session;
use crate::model::{InstanceId, Network};
use crate::reach::audit::{Asked, Audit, ClientFacts, ClientLook, Group, audit as diagnose_all};
use crate::reach::{PacketTest, gather_script};

/// Which instances send a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tests {
    /// None. The NAT hosts are still asked for their settings.
    None,
    /// One of each fate, and more where it cannot stand for the others.
    #[default]
    One,
    Every,
}

/// What is asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditProgress {
    /// So many instances share so many fates, on whose ways there are so many hosts.
    Begun { instances: usize, fates: usize, hosts: usize },
    /// So many instances are asked for a packet.
    Testing(usize),
    /// So many that got nothing are asked for their own settings.
    Looking(usize),
}

/// How many of a group are asked in each round, as long as none can stand for the others.
const ROUNDS: [usize; 4] = [1, 1, 5, usize::MAX];

/// Asks as few as suffice, and explains all of `chosen`. Never fails: what could not be asked is a verdict.
pub async fn audit(
    session: &Session,
    network: &Network,
    chosen: &[Chosen],
    tests: Tests,
    on_progress: &mut (dyn FnMut(AuditProgress) + Send),
) -> AuditReport {
    let clients: Vec<InstanceId> = chosen.iter().map(|one| one.instance_id.clone()).collect();
    let mut asked = Asked::default();
    if tests != Tests::None {
        asked.clients = clients.iter().filter_map(|id| Some((id.clone(), cannot_be_asked(network, id)?))).collect();
    }
    let blind = diagnose_all(network, &asked, &clients, OUTSIDE);
    let hosts = hosts_of(&blind);
    on_progress(AuditProgress::Begun { instances: clients.len(), fates: blind.fates, hosts: hosts.len() });
    let first: Vec<InstanceId> = match tests {
        Tests::None => Vec::new(),
        Tests::One => to_test(&blind, &asked, 1),
        Tests::Every => to_test(&blind, &asked, usize::MAX),
    };
    if !first.is_empty() {
        on_progress(AuditProgress::Testing(first.len()));
    }
    let (from_hosts, tested) =
        futures::join!(Box::pin(ask_nats(session, network, &hosts)), Box::pin(test(session, &first)));
    asked.hosts = from_hosts.hosts;
    asked.health = from_hosts.observations.health;
    asked.clients.extend(tested);
    for at_most in ROUNDS.into_iter().filter(|_| tests != Tests::None) {
        let found = diagnose_all(network, &asked, &clients, OUTSIDE);
        let (test_now, look_now) = (to_test(&found, &asked, at_most), to_look_at(&found, &asked, at_most));
        if test_now.is_empty() && look_now.is_empty() {
            break;
        }
        if !test_now.is_empty() {
            on_progress(AuditProgress::Testing(test_now.len()));
        }
        if !look_now.is_empty() {
            on_progress(AuditProgress::Looking(look_now.len()));
        }
        let (tested, facts) = futures::join!(Box::pin(test(session, &test_now)), Box::pin(look_at(session, &look_now)));
        asked.clients.extend(tested);
        for (id, facts) in facts {
            if let Some(look) = asked.clients.get_mut(&id) {
                look.facts = Some(facts);
            }
        }
    }
    explain(network, asked, chosen)
}

/// Whom SSM cannot run anything on, by the snapshot.
fn cannot_be_asked(network: &Network, id: &InstanceId) -> Option<ClientLook> {
    let instance = network.instances.shown().get(id.as_str())?;
    let (code, reason) = untestable(network, instance)?;
    Some(ClientLook { test: PacketTest::CouldNotRun { code, reason }, facts: None })
}

/// The hosts on all the ways, as far as the snapshot tells.
fn hosts_of(audit: &Audit) -> Vec<InstanceId> {
    let all = audit.groups.iter().flat_map(|group| hosts_on(&group.diagnosis, &group.representative));
    all.collect::<BTreeSet<InstanceId>>().into_iter().collect()
}

/// Members of groups of which none was asked.
fn to_test(audit: &Audit, asked: &Asked, at_most: usize) -> Vec<InstanceId> {
    let silent = audit.groups.iter().filter(|group| group.tested.is_empty());
    let members =
        silent.flat_map(|group| group.members.iter().filter(|id| !asked.clients.contains_key(*id)).take(at_most));
    members.cloned().collect()
}

/// Members of groups whose test failed and of whose own settings nothing is known.
fn to_look_at(audit: &Audit, asked: &Asked, at_most: usize) -> Vec<InstanceId> {
    let look = |id: &InstanceId| asked.clients.get(id);
    let unseen = |id: &&InstanceId| {
        look(id).is_some_and(|look| look.facts.is_none() && matches!(look.test, PacketTest::Ran { .. }))
    };
    let failed = |group: &&Group| {
        look(&group.representative).is_some_and(|look| look.test.failed()) && unseen(&&group.representative)
    };
    let groups = audit.groups.iter().filter(failed);
    groups.flat_map(|group| group.tested.iter().filter(unseen).take(at_most)).cloned().collect()
}

/// The packet test on all of these, by one command for each fifty.
async fn test(session: &Session, ids: &[InstanceId]) -> Vec<(InstanceId, ClientLook)> {
    let mut looks = Vec::with_capacity(ids.len());
    let script = script_for(&[FIRST, SECOND]);
    ask(session, ids, &script, "natdeck audit", |id, answer| {
        looks.push((id, ClientLook { test: packet_test(&answer), facts: None }));
    })
    .await;
    looks
}

/// The instances' own kernels and settings.
async fn look_at(session: &Session, ids: &[InstanceId]) -> Vec<(InstanceId, ClientFacts)> {
    let mut all = Vec::with_capacity(ids.len());
    let script = gather_script(true);
    ask(session, ids, &script, "natdeck client facts", |id, answer| {
        let facts = facts(&id, &answer);
        all.push((id, facts));
    })
    .await;
    all
}
