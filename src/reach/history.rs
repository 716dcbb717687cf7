//! The history of egress: what repeated checks found for each instance, and the moments at which it changed, each with
//! the change in the VPC that came with it. Pure: observations and answers come in as values.
//!
//! What an instance left by when it was first seen to leave by its NAT is its **usual** way out. Another address or
//! another way out is a finding from then on, also when the check by itself is content: an allow-list elsewhere still
//! names the old address.

mod surroundings;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use surroundings::surroundings;
pub use turn::{Turn, TurnKind, clock};

use super::{EgressResult, Role, Verdict, WayOut, way_out};
use crate::model::diff::{self, Note};
use crate::model::{InstanceId, Network};

/// So many answers are kept for an instance: two hours at one every 30 seconds.
const SAMPLES: usize = 240;
/// So many moments of change are kept for an instance.
const TURNS: usize = 100;

/// One answer, as far as later ones are compared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When the answer was there.
    pub at: Timestamp,
    pub verdict: Verdict,
    /// The address that the outside saw.
    pub address: Option<IpAddr>,
    /// As curl reports it. `None` when nothing came back.
    pub latency_ms: Option<u64>,
    /// The cause, when something is wrong.
    pub code: Option<String>,
    /// What the instance's default route leads to, by AWS's identifier: a NAT instance, a NAT gateway, … `None`: it has
    /// none, or it could not be seen.
    pub way_out: Option<String>,
}

impl Sample {
    fn of(network: &Network, result: &EgressResult, at: Timestamp) -> Self {
        Self {
            at,
            verdict: result.verdict,
            address: result.address,
            latency_ms: result.latency_ms,
            code: result.code.clone(),
            way_out: way_out(network, &result.instance_id).ok().and_then(|way| name_of(&way)),
        }
    }

    /// Whether a later sample tells nothing new. Latency is not news.
    fn is_like(&self, other: &Self) -> bool {
        let told = |sample: &Self| (sample.verdict, sample.address, sample.code.clone(), sample.way_out.clone());
        told(self) == told(other)
    }
}

fn name_of(way: &WayOut) -> Option<String> {
    match way {
        WayOut::NatInstance { instance_id, .. } => Some(instance_id.to_string()),
        WayOut::NatGateway { nat_gateway_id, .. } => Some(nat_gateway_id.to_string()),
        WayOut::Direct { internet_gateway_id, .. } => Some(internet_gateway_id.to_string()),
        WayOut::Other { target } => Some(target.to_string()),
        WayOut::None { .. } => None,
    }
}

/// How an instance stands against its usual way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It leaves as it always did.
    Usual,
    /// By its NAT, and the NAT's address is another.
    AddressDrift,
    /// By something else than its usual way out.
    SilentFailover,
    NoEgress,
    /// Neither good nor bad.
    CannotTest,
}

/// What is known of one instance over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub instance_id: InstanceId,
    pub name: Option<String>,
    pub role: Role,
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// The moments at which something changed, oldest first.
    pub turns: VecDeque<Turn>,
    /// The first sample that left by its NAT.
    pub usual: Option<Sample>,
}

impl History {
    fn new(result: &EgressResult) -> Self {
        Self {
            instance_id: result.instance_id.clone(),
            name: result.name.clone(),
            role: result.role,
            samples: VecDeque::new(),
            turns: VecDeque::new(),
            usual: None,
        }
    }

    /// The newest answer.
    pub fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// How it stands now. `None`: no answer yet.
    pub fn standing(&self) -> Option<Standing> {
        self.last().map(|sample| self.standing_of(sample))
    }

    fn standing_of(&self, sample: &Sample) -> Standing {
        match (sample.verdict, &self.usual) {
            (Verdict::NoEgress, _) => Standing::NoEgress,
            (Verdict::CannotTest, _) => Standing::CannotTest,
            (Verdict::OtherWayOut, _) => Standing::SilentFailover,
            (Verdict::ViaNat, None) => Standing::Usual,
            (Verdict::ViaNat, Some(usual)) if usual.way_out != sample.way_out => Standing::SilentFailover,
            (Verdict::ViaNat, Some(usual)) if usual.address != sample.address => Standing::AddressDrift,
            (Verdict::ViaNat, Some(_)) => Standing::Usual,
        }
    }

    /// What is wrong with where it leaves now, for a person: an address or a way out that is not the usual one.
    pub fn finding(&self) -> Option<String> {
        let sample = self.last()?;
        let kind = match self.standing_of(sample) {
            Standing::AddressDrift => TurnKind::AddressDrift,
            Standing::SilentFailover => TurnKind::SilentFailover,
            Standing::Usual | Standing::NoEgress | Standing::CannotTest => return None,
        };
        Some(format!("{}: {}", kind.code(), turn::deviation(sample, self.usual.as_ref())))
    }

    /// Takes in an answer. The turn, if it is one, has yet to be told what changed with it.
    fn record(&mut self, sample: Sample) -> Option<Turn> {
        if self.usual.is_none() && sample.verdict == Verdict::ViaNat {
            self.usual = Some(sample.clone());
        }
        let turn = self.last().filter(|last| !last.is_like(&sample)).map(|last| Turn {
            instance_id: self.instance_id.clone(),
            name: self.name.clone(),
            kind: TurnKind::of(self.standing_of(last), self.standing_of(&sample)),
            from: last.clone(),
            to: sample.clone(),
            usual: self.usual.clone(),
            notes: Vec::new(),
        });
        push(&mut self.samples, sample, SAMPLES);
        turn
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    queue.push_back(item);
    while queue.len() > limit {
        queue.pop_front();
    }
}

/// Repeated checks of the same instances.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub histories: BTreeMap<InstanceId, History>,
    /// What was seen in the round before.
    network: Option<Arc<Network>>,
    /// How many rounds were recorded.
    pub rounds: u64,
}

/// What one round brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// In the order of the answers.
    pub turns: Vec<Turn>,
    /// Everything that changed in the VPC since the round before, whether or not it made a difference.
    pub notes: Vec<Note>,
}

impl Watch {
    /// What differs between the round before and `network`. Empty in the first round.
    pub fn notes(&self, network: &Network) -> Vec<Note> {
        self.network.as_deref().map_or_else(Vec::new, |before| diff::notes(before, network))
    }

    /// Whether any of these answers differs from the one before: then the change that came with it is worth a closer
    /// look.
    pub fn is_news(&self, network: &Network, results: &[EgressResult]) -> bool {
        results.iter().any(|result| {
            let sample = Sample::of(network, result, Timestamp::UNIX_EPOCH);
            let last = self.histories.get(&result.instance_id).and_then(History::last);
            last.is_some_and(|last| !last.is_like(&sample))
        })
    }

    /// Takes in the answers of one round. `network`: what was seen in it.
    pub fn record(&mut self, network: &Arc<Network>, results: &[EgressResult], at: Timestamp) -> Round {
        let notes = self.notes(network);
        let mut turns = Vec::new();
        for result in results {
            let history = self.histories.entry(result.instance_id.clone()).or_insert_with(|| History::new(result));
            history.name.clone_from(&result.name);
            let Some(mut turn) = history.record(Sample::of(network, result, at)) else { continue };
            let mut near: BTreeSet<&str> = surroundings(network, &result.instance_id);
            if let Some(before) = self.network.as_deref() {
                near.extend(surroundings(before, &result.instance_id));
            }
            turn.notes = notes.iter().filter(|note| near.contains(note.resource_id.as_str())).cloned().collect();
            push(&mut history.turns, turn.clone(), TURNS);
            turns.push(turn);
        }
        self.rounds += 1;
        self.network = Some(network.clone());
        Round { turns, notes }
    }

    /// Drops the histories of instances that are not there any more.
    pub fn retain(&mut self, mut is_there: impl FnMut(&InstanceId) -> bool) {
        self.histories.retain(|id, _| is_there(id));
    }
}

/// Latencies as bars of eight heights, the newest at the right, at most `columns` of them. What brought no answer is a
/// cross, what could not be tested a question mark: it reads without colour.
pub fn sparkline(samples: &VecDeque<Sample>, columns: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = || samples.iter().skip(samples.len().saturating_sub(columns));
    let longest = shown().filter_map(|sample| sample.latency_ms).max().unwrap_or(0).max(1);
    let bar = |sample: &Sample| match (sample.verdict, sample.latency_ms) {
        (Verdict::NoEgress, _) => '×',
        (Verdict::CannotTest, _) => '?',
        (Verdict::ViaNat | Verdict::OtherWayOut, None) => '·',
        (Verdict::ViaNat | Verdict::OtherWayOut, Some(ms)) => {
            let height = usize::try_from(ms.saturating_mul(7).div_ceil(longest)).unwrap_or(7);
            BARS.get(height.min(7)).copied().unwrap_or('█')
        }
    };
    shown().map(bar).collect()
}
