//! Subnets.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{SubnetId, Tags, VpcId};

/// A subnet. Whether it is public is a matter of its route table, not of the subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub subnet_id: SubnetId,
    pub vpc_id: VpcId,
    /// `None` for an IPv6-only subnet.
    pub cidr_block: Option<Ipv4Net>,
    pub ipv6_cidr_blocks: Vec<Ipv6Net>,
    pub availability_zone: String,
    /// `pending` or `available`.
    pub state: String,
    pub map_public_ip_on_launch: bool,
    /// The resolver answers names that have IPv4 addresses only with translated ones (DNS64).
    #[serde(default)]
    pub enable_dns64: bool,
    pub available_ip_address_count: u32,
    pub tags: Tags,
}
