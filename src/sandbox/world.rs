//! The state of the simulated AWS and what time does to it. Deterministic: the caller says what time it is, and
//! all randomness comes from a seed.

mod delays;
mod event;
mod life;
mod random;
mod recompute;
mod records;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use delays::Delays;
pub use event::{Due, Event};
pub use records::{
    DhcpOptions, EndpointRecord, FlowLog, Image, InstanceOptions, InstanceRecord, InterfaceRecord, KeyPair,
    LaunchTemplate, LaunchTemplateVersion, NatGatewayRecord, NatSecondary, Peering, PeeringState, PlacementGroup,
    PrefixListRecord, ProfileAssociation, Records, Snapshot, SubnetRecord, Volume, VolumeModification, VolumeState,
    VpcRecord,
};

use super::actions;
use super::actions::{iam::Iam, ssm::Ssm};
use super::host::Machine;
use super::outside::Internet;
use super::wire::{self, Body, Request, Response, Service};
use crate::model::{InstanceId, Network};

/// A whole simulated region of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    pub account_id: String,
    pub region: String,
    /// What AWS has stored, true at `now`: route states and free address counts are kept right after every request.
    pub network: Network,
    /// What the model's nouns leave out and EC2's answers need.
    pub records: Records,
    pub iam: Iam,
    pub ssm: Ssm,
    /// The simulated hosts, from their first boot to termination.
    pub machines: BTreeMap<InstanceId, Machine>,
    pub internet: Internet,
    /// Actions that the caller may not use, as IAM policies spell them: `ssm:SendCommand`.
    #[serde(default)]
    pub denied: BTreeSet<String>,
    /// The time, as the caller last told it. The world itself never reads a clock.
    pub now: Timestamp,
    /// How long things take.
    pub delays: Delays,
    /// Eventual consistency: for this long after a change, describes do not show it, and what is new is `…NotFound`.
    pub consistency: Duration,
    /// What will happen by itself, in no particular order.
    pub due: Vec<Due>,
    seed: u64,
    tokens: BTreeMap<String, Token>,
    /// Older states, for `consistency`. The first is what describes see.
    #[serde(skip)]
    history: VecDeque<(Timestamp, Network)>,
}

/// An answer that is given again when its client token comes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The parameters, to tell a repetition from a misuse.
    pub params: wire::Query,
    pub body: Body,
    pub made_at: Timestamp,
}

impl World {
    /// A region as a new account finds it: no VPC at all.
    pub fn new(account_id: impl Into<String>, region: impl Into<String>, seed: u64, now: Timestamp) -> Self {
        let (account_id, region) = (account_id.into(), region.into());
        let mut network =
            Network { account_id: Some(account_id.clone()), region: region.clone(), ..Network::default() };
        for list in actions::ec2::aws_prefix_lists(&region) {
            network.prefix_lists.items_mut().insert(list.prefix_list_id.as_str().to_owned(), list);
        }
        Self {
            account_id,
            region,
            network,
            records: Records::default(),
            iam: Iam::default(),
            ssm: Ssm::default(),
            machines: BTreeMap::new(),
            internet: Internet::default(),
            denied: BTreeSet::new(),
            now,
            delays: Delays::default(),
            consistency: Duration::ZERO,
            due: Vec::new(),
            seed,
            tokens: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }

    /// Answers one request at `self.now`. What is due by then must have happened: see [`World::advance`].
    pub fn handle(&mut self, request: &Request) -> Response {
        let changes = !(request.action.starts_with("Describe") || request.action.starts_with("Get"));
        let before = (changes && !self.consistency.is_zero()).then(|| self.network.clone());
        let request_id = self.uuid();
        let answer = match request.service {
            Service::Ec2 => actions::ec2::dispatch(self, request),
            Service::Iam => actions::iam::dispatch(self, request),
            Service::Sts => actions::sts::dispatch(self, request),
            Service::Ssm => actions::ssm::dispatch(self, request),
        };
        if changes {
            self.recompute();
            self.keep(before);
        }
        self.touched_by(&request.action);
        match answer {
            Ok(body) => wire::encode(request.service, &request.action, &body, request_id),
            Err(error) => {
                if matches!(error.code.as_str(), "InvalidAction" | "UnknownOperationException") {
                    let service = request.service.as_str();
                    tracing::warn!(service, action = request.action, "the sandbox does not answer this operation");
                }
                wire::encode_error(request.service, &error, request_id)
            }
        }
    }

    /// Lets everything happen that is due at `now`, in order of time, and makes `now` the current time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(at) = self.next_due().filter(|at| *at <= now) {
            let before = (!self.consistency.is_zero()).then(|| self.network.clone());
            self.now = self.now.max(at);
            let (ready, later): (Vec<Due>, Vec<Due>) =
                std::mem::take(&mut self.due).into_iter().partition(|due| due.at <= at);
            self.due = later;
            for due in ready {
                self.happen(due.event);
            }
            self.recompute();
            self.touch();
            self.advance_machines();
            self.keep(before);
        }
        self.now = self.now.max(now);
        self.advance_machines();
        actions::ssm::advance(self);
        self.forget_history();
    }

    /// When something happens by itself next. `None`: nothing will until a request comes.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.iter().map(|due| due.at).chain(self.next_wake()).min()
    }

    /// Makes something happen after a while.
    pub fn schedule(&mut self, after: Duration, event: Event) {
        let at = self.now.saturating_add(after).unwrap_or(Timestamp::MAX);
        self.due.push(Due { at, event });
    }

    /// What describes see: the present, or with eventual consistency the past.
    pub fn seen(&self) -> &Network {
        let visible = |(changed_at, _): &&(Timestamp, Network)| {
            changed_at.saturating_add(self.consistency).is_ok_and(|visible_at| visible_at > self.now)
        };
        if self.consistency.is_zero() {
            return &self.network;
        }
        self.history.iter().find(visible).map_or(&self.network, |(_, before)| before)
    }

    /// The answer that was given for a client token, if it is not too old.
    pub fn token(&self, key: &str) -> Option<&Token> {
        const LIFE: Duration = Duration::from_secs(24 * 3600);
        self.tokens
            .get(key)
            .filter(|token| token.made_at.saturating_add(LIFE).is_ok_and(|expires_at| expires_at > self.now))
    }

    /// Remembers the answer for a client token.
    pub fn remember(&mut self, key: String, token: Token) {
        self.tokens.insert(key, token);
    }

    /// Keeps an older state for as long as describes shall see it.
    fn keep(&mut self, before: Option<Network>) {
        if let Some(before) = before.filter(|before| *before != self.network) {
            self.history.push_back((self.now, before));
        }
    }

    fn forget_history(&mut self) {
        let (now, consistency) = (self.now, self.consistency);
        self.history
            .retain(|(changed_at, _)| changed_at.saturating_add(consistency).is_ok_and(|visible_at| visible_at > now));
    }
}
