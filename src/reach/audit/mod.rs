//! The way out of many instances at once: what they share is walked once. Pure.
//!
//! Instances with the same subnet, groups and place among all the ranges that anything names share their fate, and one of
//! them is diagnosed for all. What was asked of instances themselves splits a fate again: one whose test failed for a
//! reason of its own stands for itself only.

mod alike;
mod fate;
mod own;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use alike::alike;
pub use own::{Told, told_of};

use super::{Diagnosis, Flow, Observations, PacketTest, Place, diagnose};
use crate::model::host::{Host, HostFacts, Hosts};
use crate::model::host_health::HostHealth;
use crate::model::{Fact, InstanceId, Items, Network, Unknown};
use fate::{Fate, Fates};

/// What was asked, beside the snapshot. The default is "nothing".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The kernels of the hosts on the ways, each asked once.
    pub hosts: Hosts,
    /// How these hosts are.
    pub health: Items<Fact<HostHealth>>,
    /// What was asked of the instances themselves. One that is not in it was not asked.
    pub clients: BTreeMap<InstanceId, ClientLook>,
}

/// What an instance said of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientLook {
    pub test: PacketTest,
    /// Its kernel and how it is. `None`: not asked; the test says enough.
    pub facts: Option<ClientFacts>,
}

/// An instance's own kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientFacts {
    pub host: Fact<Host>,
    pub health: Fact<HostHealth>,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// In the order of the first instance of each.
    pub groups: Vec<Group>,
    /// How many different fates there are.
    pub fates: usize,
    /// How many diagnoses were made: one for each fate, and one more for each answer that sets instances of it apart.
    pub diagnoses: usize,
}

/// Instances that are told the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Groups with the same number share everything outside the instances.
    pub fate: usize,
    /// The one that was diagnosed. Identifiers of its own in the diagnosis stand for those of the others.
    pub representative: InstanceId,
    /// In order; the representative is one of them.
    pub members: Vec<InstanceId>,
    /// The members whose packet test was tried. Empty: what is said rests on snapshot and hosts alone.
    pub tested: Vec<InstanceId>,
    pub diagnosis: Diagnosis,
}

impl Group {
    /// Whether what was found lies outside the instance, so that its test stands for others of its fate.
    fn is_broken_outside(&self) -> bool {
        self.diagnosis
            .first_break()
            .is_some_and(|finding| !finding.is_guess() && matches!(finding.cause.place(), Place::Vpc | Place::NatHost))
    }
}

/// Diagnoses the egress of all `clients` to `destination`, each fate once.
pub fn audit(network: &Network, asked: &Asked, clients: &[InstanceId], destination: IpAddr) -> Audit {
    let fates = Fates::new(network, asked);
    let mut numbers: HashMap<Fate<'_>, usize> = HashMap::new();
    let mut shared: Vec<Vec<&InstanceId>> = Vec::new();
    for client in clients {
        let number = *numbers.entry(fates.of(client)).or_insert(shared.len());
        match shared.get_mut(number) {
            Some(members) => members.push(client),
            None => shared.push(vec![client]),
        }
    }
    let mut auditor = Auditor { network, asked, destination, drafted: Vec::new() };
    for (fate, members) in shared.iter().enumerate() {
        auditor.split(fate, members);
    }
    let mut groups: Vec<Group> = auditor.drafted.into_iter().map(|drafted| drafted.group).collect();
    for group in &mut groups {
        group.members.sort();
        group.tested.sort();
    }
    groups.sort_by(|a, b| a.members.first().cmp(&b.members.first()));
    Audit { fates: shared.len(), diagnoses: groups.len(), groups }
}

struct Auditor<'a> {
    network: &'a Network,
    asked: &'a Asked,
    destination: IpAddr,
    drafted: Vec<Drafted>,
}

/// What a packet test showed, as far as it sets instances of one fate apart.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The address that was seen. `None`: something answered, and told no address.
    Passed(Option<IpAddr>),
    /// curl's exit codes, and how far each connection came.
    Failed(Vec<(i32, Option<bool>, Option<bool>)>),
    CouldNot(super::Code),
}

impl Outcome {
    fn of(look: &ClientLook) -> Self {
        if let PacketTest::CouldNotRun { code, .. } = &look.test {
            return Self::CouldNot(*code);
        }
        if look.test.passed() {
            return Self::Passed(look.test.address());
        }
        let probes = look.test.probes().unwrap_or_default();
        Self::Failed(probes.iter().map(|probe| (probe.exit_code, probe.resolved, probe.connected)).collect())
    }
}

/// A group, and what the test of its members showed.
struct Drafted {
    outcome: Option<Outcome>,
    group: Group,
}

impl<'a> Auditor<'a> {
    /// Sets the instances of one fate apart by what was asked of them, and diagnoses one of each.
    fn split(&mut self, fate: usize, members: &[&'a InstanceId]) {
        let begun = self.drafted.len();
        let mut unseen = Vec::new();
        let mut untested = Vec::new();
        for id in members {
            let Some(look) = self.asked.clients.get(*id) else {
                untested.push(*id);
                continue;
            };
            match Outcome::of(look) {
                // Its own kernel and settings count, and may be like no other's.
                failed @ Outcome::Failed(_) if look.facts.is_some() => self.diagnose(fate, id, Some(failed)),
                failed @ Outcome::Failed(_) => unseen.push((*id, failed)),
                other => self.join(fate, begun, id, other),
            }
        }
        // One whose kernel was seen stands for those that failed likewise, unless the reason is its own.
        for (id, outcome) in unseen {
            self.join(fate, begun, id, outcome);
        }
        self.attach(fate, begun, &untested);
    }

    /// Puts a tested instance where the same was seen, or else in a group of its own.
    fn join(&mut self, fate: usize, begun: usize, id: &InstanceId, outcome: Outcome) {
        let asked = self.asked;
        let own_kernel =
            |group: &Group| asked.clients.get(&group.representative).is_some_and(|look| look.facts.is_some());
        let mut here = self.drafted.iter_mut().skip(begun);
        let found = here.find(|drafted| {
            let speaks = !matches!(outcome, Outcome::Failed(_))
                || !own_kernel(&drafted.group)
                || drafted.group.is_broken_outside();
            drafted.outcome.as_ref() == Some(&outcome) && speaks
        });
        match found {
            Some(Drafted { group, .. }) => {
                group.members.push(id.clone());
                group.tested.push(id.clone());
            }
            None => self.diagnose(fate, id, Some(outcome)),
        }
    }

    /// Instances that were not asked go with one that was and that stands for them: what is broken for it is broken for
    /// them, and where it gets out so do they.
    fn attach(&mut self, fate: usize, begun: usize, untested: &[&InstanceId]) {
        let Some((first, rest)) = untested.split_first() else { return };
        let mut here = self.drafted.iter().enumerate().skip(begun);
        let broken = here.clone().find(|(_, drafted)| {
            matches!(drafted.outcome, Some(Outcome::Failed(_))) && drafted.group.is_broken_outside()
        });
        let found = broken.or_else(|| here.find(|(_, drafted)| matches!(drafted.outcome, Some(Outcome::Passed(_)))));
        let (at, joining) = match found {
            Some((at, _)) => (at, untested),
            None => {
                self.diagnose(fate, first, None);
                (self.drafted.len() - 1, rest)
            }
        };
        if let Some(Drafted { group, .. }) = self.drafted.get_mut(at) {
            group.members.extend(joining.iter().map(|id| (*id).clone()));
        }
    }

    /// Begins a group.
    fn diagnose(&mut self, fate: usize, id: &InstanceId, outcome: Option<Outcome>) {
        let (hosts, observations) = self.asked.of(id);
        let flow = Flow::https(id.clone(), self.destination);
        let group = Group {
            fate,
            representative: id.clone(),
            members: vec![id.clone()],
            tested: outcome.iter().map(|_| id.clone()).collect(),
            diagnosis: diagnose(self.network, &hosts, &flow, &observations),
        };
        self.drafted.push(Drafted { outcome, group });
    }
}

impl Asked {
    /// What the diagnosis of one instance rests on.
    pub fn of(&self, id: &InstanceId) -> (impl HostFacts, Observations) {
        let look = self.clients.get(id);
        let facts = look.and_then(|look| look.facts.as_ref());
        let mut health = self.health.clone();
        if let Some(facts) = facts {
            health.insert(id.as_str(), facts.health.clone());
        }
        let hosts = WithClient { hosts: &self.hosts, client: facts.map(|facts| (id.clone(), &facts.host)) };
        (hosts, Observations { test: look.map(|look| look.test.clone()), health })
    }
}

/// The NAT hosts, and the instance in question.
struct WithClient<'a> {
    hosts: &'a Hosts,
    client: Option<(InstanceId, &'a Fact<Host>)>,
}

impl HostFacts for WithClient<'_> {
    fn host(&self, instance_id: &InstanceId) -> Result<&Host, Unknown> {
        match &self.client {
            Some((id, fact)) if id == instance_id => fact.known().map_err(Clone::clone),
            _ => self.hosts.host(instance_id),
        }
    }

    fn forwards(&self, instance_id: &InstanceId) -> bool {
        match &self.client {
            Some((id, fact)) if id == instance_id => fact.known().is_ok_and(|host| host.ip_forward),
            _ => self.hosts.forwards(instance_id),
        }
    }
}
