//! Network ACLs: stateless, ordered, per subnet.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{NetworkAclId, Protocol, SubnetId, Tags, VpcId};

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    pub network_acl_id: NetworkAclId,
    pub vpc_id: VpcId,
    /// Applies to subnets that have no other.
    pub is_default: bool,
    /// The subnets it applies to. Every subnet has exactly one ACL.
    pub subnet_ids: Vec<SubnetId>,
    pub entries: Vec<AclEntry>,
    pub tags: Tags,
}

/// Which way an entry looks, seen from the subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AclDirection {
    /// Into the subnet.
    Ingress,
    /// Out of the subnet.
    Egress,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AclAction {
    Allow,
    Deny,
}

/// One entry. The lowest rule number that matches decides; 32767 is the final `*` deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    pub rule_number: u32,
    pub direction: AclDirection,
    pub action: AclAction,
    pub protocol: Protocol,
    /// Exactly one of `cidr_block` and `ipv6_cidr_block` is set.
    pub cidr_block: Option<Ipv4Net>,
    pub ipv6_cidr_block: Option<Ipv6Net>,
    /// First and last destination port, inclusive. `None`: all.
    pub port_range: Option<(u16, u16)>,
    /// ICMP type and code; -1 is any.
    pub icmp_type_code: Option<(i32, i32)>,
}
