//! Security groups: stateful, allow only.

use std::fmt;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{PrefixListId, SecurityGroupId, SecurityGroupRuleId, Tags, VpcId};

/// A security group with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    pub group_id: SecurityGroupId,
    pub group_name: String,
    pub description: String,
    pub vpc_id: VpcId,
    pub rules: Vec<SecurityGroupRule>,
    pub tags: Tags,
}

impl SecurityGroup {
    pub fn ingress(&self) -> impl Iterator<Item = &SecurityGroupRule> {
        self.rules.iter().filter(|rule| rule.direction == RuleDirection::Ingress)
    }

    pub fn egress(&self) -> impl Iterator<Item = &SecurityGroupRule> {
        self.rules.iter().filter(|rule| rule.direction == RuleDirection::Egress)
    }
}

/// Which way a rule looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleDirection {
    Ingress,
    Egress,
}

/// One rule: a protocol, a port range and one peer. AWS's permissions with several peers become several rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// `None` where the endpoint does not number its rules.
    pub rule_id: Option<SecurityGroupRuleId>,
    pub direction: RuleDirection,
    pub protocol: Protocol,
    /// First port (ICMP: type). `None`: all.
    pub from_port: Option<i32>,
    /// Last port, inclusive (ICMP: code). `None` or -1: all.
    pub to_port: Option<i32>,
    pub peer: Peer,
    pub description: Option<String>,
}

/// The other side of a rule: source for ingress, destination for egress.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    Ipv4(Ipv4Net),
    Ipv6(Ipv6Net),
    Group(SecurityGroupId),
    PrefixList(PrefixListId),
    /// A peer that could not be read, as AWS gave it. Matches nothing that is known.
    Other(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(net) => f.pad(&net.to_string()),
            Self::Ipv6(net) => f.pad(&net.to_string()),
            Self::Group(id) => f.pad(id.as_str()),
            Self::PrefixList(id) => f.pad(id.as_str()),
            Self::Other(text) => f.pad(text),
        }
    }
}

/// An IP protocol as EC2 names it: `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Protocol {
    All,
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    /// IANA protocol number.
    Number(u8),
    /// Not a protocol that EC2 documents. Matches nothing.
    Unknown,
}

impl Protocol {
    /// Reads both spellings that EC2 uses, name and number.
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "-1" | "all" => Self::All,
            "tcp" | "6" => Self::Tcp,
            "udp" | "17" => Self::Udp,
            "icmp" | "1" => Self::Icmp,
            "icmpv6" | "58" => Self::Icmpv6,
            other => other.parse().map_or(Self::Unknown, Self::Number),
        }
    }

    /// Whether the protocol has ports.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("-1"),
            Self::Tcp => f.pad("tcp"),
            Self::Udp => f.pad("udp"),
            Self::Icmp => f.pad("icmp"),
            Self::Icmpv6 => f.pad("icmpv6"),
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Unknown => f.pad("unknown"),
        }
    }
}

impl From<String> for Protocol {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}
