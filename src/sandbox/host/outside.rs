//! What a simulated host finds beyond its own network cards. The world answers; the host itself answers for its
//! loopback, its own addresses and the instance metadata service.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Machine;
use crate::model::Protocol;

/// The network as one host sees it. The world implements it with the packet walk.
///
/// The machine is passed with every question, with its kernel as it is at that moment of the script: a masquerade rule
/// written one line above is already there.
pub trait Outside {
    /// Asks the host's name server. Names in `/etc/hosts` and literal addresses never get here.
    fn resolve(&self, machine: &Machine, name: &str) -> Result<IpAddr, ResolveError>;

    /// Sends the first packet of a flow and waits for the answer. `port` is 0 for ICMP.
    fn connect(&self, machine: &Machine, destination: IpAddr, port: u16, protocol: Protocol) -> Reached;

    /// The time at which the current call to the machine began. A script's own sleeps are added by the host.
    fn now(&self) -> Timestamp;

    /// What the web server that was reached answers. `None`: it closes the connection without a word (curl's exit 52).
    fn http(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        Some(super::sites::answer(request))
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ResolveError {
    /// The name server says that there is no such name.
    #[error("no such host")]
    NoSuchHost,
    /// The name server does not answer.
    #[error("the name server does not answer")]
    TimedOut,
}

/// What became of a first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// There and back.
    Delivered {
        /// The address from which the packet seemed to come.
        source: IpAddr,
        /// Round trip time.
        rtt: Duration,
    },
    /// The connection is made, and large packets are lost on the way: small ones go there and back.
    Stalled { source: IpAddr, rtt: Duration },
    /// Dropped without a word on either way.
    TimedOut,
    /// A TCP reset, or ICMP port unreachable.
    Refused,
    /// No route on the host, or ICMP unreachable.
    Unreachable,
}

/// One request to a web server that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    pub method: String,
    /// `true` for `https`.
    pub tls: bool,
    /// The name or address in the URL.
    pub host: String,
    pub address: IpAddr,
    pub port: u16,
    /// With the query, from the first slash on.
    pub path: String,
    /// The address that the server sees.
    pub seen_from: IpAddr,
}

/// What a web server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl HttpAnswer {
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain".to_owned(), body: body.into() }
    }
}

/// A world without network: nothing resolves, nothing answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Outside for Nowhere {
    fn resolve(&self, _machine: &Machine, _name: &str) -> Result<IpAddr, ResolveError> {
        Err(ResolveError::TimedOut)
    }

    fn connect(&self, _machine: &Machine, _destination: IpAddr, _port: u16, _protocol: Protocol) -> Reached {
        Reached::TimedOut
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// One answer from outside, kept so that a paused script can be run again to the same point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Resolve(Result<IpAddr, ResolveError>),
    Connect(Reached),
    Http(Option<HttpAnswer>),
}

/// The outside as a script meets it: answers from the tape first, then from the world, which are taped in turn.
pub(super) struct Line<'a> {
    outside: &'a dyn Outside,
    replay: VecDeque<Answer>,
    pub(super) taped: Vec<Answer>,
}

impl<'a> Line<'a> {
    pub(super) fn new(outside: &'a dyn Outside, tape: Vec<Answer>) -> Self {
        Self { outside, replay: tape.into(), taped: Vec::new() }
    }

    pub(super) fn outside(&self) -> &'a dyn Outside {
        self.outside
    }

    pub(super) fn resolve(&mut self, machine: &Machine, name: &str) -> Result<IpAddr, ResolveError> {
        let answer = match self.replay.pop_front() {
            Some(Answer::Resolve(answer)) => answer,
            _ => self.outside.resolve(machine, name),
        };
        self.taped.push(Answer::Resolve(answer));
        answer
    }

    pub(super) fn connect(&mut self, machine: &Machine, to: IpAddr, port: u16, protocol: Protocol) -> Reached {
        let answer = match self.replay.pop_front() {
            Some(Answer::Connect(answer)) => answer,
            _ => self.outside.connect(machine, to, port, protocol),
        };
        self.taped.push(Answer::Connect(answer));
        answer
    }

    pub(super) fn http(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        let answer = match self.replay.pop_front() {
            Some(Answer::Http(answer)) => answer,
            _ => self.outside.http(request),
        };
        self.taped.push(Answer::Http(answer.clone()));
        answer
    }
}

/// The unspecified address, for a host without one.
pub(super) const NO_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
