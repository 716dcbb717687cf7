//! Elastic IP addresses.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{AllocationId, InstanceId, NetworkInterfaceId, Tags};

/// An Elastic IP. EC2's API calls it an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub allocation_id: AllocationId,
    pub public_ip: Ipv4Addr,
    /// `eipassoc-…`, when associated.
    pub association_id: Option<String>,
    pub instance_id: Option<InstanceId>,
    pub network_interface_id: Option<NetworkInterfaceId>,
    pub private_ip: Option<Ipv4Addr>,
    pub tags: Tags,
}
