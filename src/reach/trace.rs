//! What a walk found: hops with their evidence. Pure.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Code, Flow};
use crate::model::{ResourceId, Unknown};

/// How a walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// The packet arrived and its reply came back.
    Delivered,
    /// The packet or its reply is dropped at the last hop.
    Dropped,
    /// Something that decides is not known.
    InsufficientInformation,
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::InsufficientInformation => "insufficient_information",
        })
    }
}

/// One packet and its reply, hop by hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub flow: Flow,
    pub disposition: Disposition,
    /// In the order in which the packet, and then its reply, meets them.
    pub hops: Vec<Hop>,
    /// The source address that the destination sees. `Some` as soon as the packet arrived there, also when the reply
    /// is then lost.
    pub address: Option<IpAddr>,
    /// The sender learns at once that it failed (REJECT, unreachable) instead of waiting for a timeout.
    pub refused: bool,
    /// What was not known. Where it decided, the disposition is `InsufficientInformation`; what is listed beside
    /// another disposition did not change it.
    pub unknown: Vec<Unknown>,
}

impl Trace {
    /// The hop that ends the walk before its time. `None` when delivered.
    pub fn stop(&self) -> Option<&Hop> {
        match self.disposition {
            Disposition::Delivered => None,
            Disposition::Dropped | Disposition::InsufficientInformation => self.hops.last(),
        }
    }

    /// The code of the hop that drops the packet.
    pub fn code(&self) -> Option<Code> {
        self.stop().and_then(|hop| hop.code)
    }
}

/// One decision about the packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    pub component: Component,
    /// What decided, by AWS's identifier. `None` for what has none: the internet, the VPC's resolver.
    pub resource_id: Option<ResourceId>,
    pub direction: Direction,
    pub decision: Decision,
    /// One sentence for the operator.
    pub detail: String,
    pub evidence: Vec<Evidence>,
    /// Set on the hop that drops.
    pub code: Option<Code>,
}

/// What kind of thing decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The sending or receiving instance.
    Instance,
    SecurityGroup,
    NetworkAcl,
    RouteTable,
    NetworkInterface,
    /// The kernel of an instance that forwards.
    NatHost,
    InternetGateway,
    EgressOnlyInternetGateway,
    NatGateway,
    /// The public address of an interface, translated one to one by the internet gateway.
    PublicAddress,
    VpcEndpoint,
    TransitGateway,
    VpcPeeringConnection,
    VirtualPrivateGateway,
    /// What AWS answers inside every VPC: the resolver, the metadata and the time service.
    AmazonService,
    /// A route target of a kind that is not walked.
    OtherTarget,
    Internet,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Instance => "instance",
            Self::SecurityGroup => "security group",
            Self::NetworkAcl => "network ACL",
            Self::RouteTable => "route table",
            Self::NetworkInterface => "network interface",
            Self::NatHost => "NAT host",
            Self::InternetGateway => "internet gateway",
            Self::EgressOnlyInternetGateway => "egress-only internet gateway",
            Self::NatGateway => "NAT gateway",
            Self::PublicAddress => "public address",
            Self::VpcEndpoint => "VPC endpoint",
            Self::TransitGateway => "transit gateway",
            Self::VpcPeeringConnection => "VPC peering connection",
            Self::VirtualPrivateGateway => "virtual private gateway",
            Self::AmazonService => "Amazon service",
            Self::OtherTarget => "other target",
            Self::Internet => "internet",
        })
    }
}

/// Which of the two packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Forward,
    Reply,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Reply => "reply",
        })
    }
}

/// What a hop does with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Sends the first packet, or the reply.
    Sent,
    Allowed,
    Denied,
    Routed,
    /// An address of the packet is changed.
    Translated,
    /// The packet, or the reply, is where it was to go.
    Received,
    /// Cannot be told from what is known.
    Unknown,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sent => "sent",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Routed => "routed",
            Self::Translated => "translated",
            Self::Received => "received",
            Self::Unknown => "unknown",
        })
    }
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The call and the resource, or the command on the host: `DescribeRouteTables rtb-…`, `sysctl net.ipv4.ip_forward`.
    pub source: String,
    /// The field and its value as AWS names it, or the line of output.
    pub text: String,
    /// When it was seen. `None` for a world that was built, not observed.
    pub observed_at: Option<Timestamp>,
}
