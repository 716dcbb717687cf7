//! Elastic network interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{AllocationId, AttachmentId, InstanceId, NetworkInterfaceId, SecurityGroupId, SubnetId, Tags, VpcId};

open_enum! {
    /// The life of a network interface.
    InterfaceStatus {
        /// Not attached to anything.
        Available = "available",
        Associated = "associated",
        Attaching = "attaching",
        InUse = "in-use",
        Detaching = "detaching",
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    pub network_interface_id: NetworkInterfaceId,
    pub vpc_id: VpcId,
    pub subnet_id: SubnetId,
    pub availability_zone: String,
    pub status: InterfaceStatus,
    /// `interface`, `nat_gateway`, `vpc_endpoint`, …
    pub interface_type: String,
    pub description: String,
    pub mac_address: String,
    /// The primary address. `None` in an IPv6-only subnet.
    pub private_ip: Option<Ipv4Addr>,
    /// Addresses beside the primary one.
    pub secondary_private_ips: Vec<Ipv4Addr>,
    pub ipv6_addresses: Vec<Ipv6Addr>,
    pub security_group_ids: Vec<SecurityGroupId>,
    /// On: AWS drops packets that are neither from nor to this interface's addresses. Off for a NAT. A property of
    /// each interface, not of the instance.
    pub source_dest_check: bool,
    pub attachment: Option<InterfaceAttachment>,
    /// The public address of the primary private address, if it has one.
    pub association: Option<InterfaceAssociation>,
    /// Made and managed by an AWS service (an endpoint, a NAT gateway).
    pub requester_managed: bool,
    pub tags: Tags,
}

impl NetworkInterface {
    /// The instance that it is attached to.
    pub fn instance_id(&self) -> Option<&InstanceId> {
        self.attachment.as_ref().and_then(|attachment| attachment.instance_id.as_ref())
    }

    pub fn public_ip(&self) -> Option<Ipv4Addr> {
        self.association.as_ref().map(|association| association.public_ip)
    }
}

/// What an interface is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAttachment {
    pub attachment_id: AttachmentId,
    /// `None` when AWS itself holds it (an endpoint, a NAT gateway).
    pub instance_id: Option<InstanceId>,
    pub device_index: u32,
    /// `attaching`, `attached`, `detaching`, `detached`.
    pub status: String,
    pub delete_on_termination: bool,
}

/// A public address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAssociation {
    pub public_ip: Ipv4Addr,
    /// `None` for an address that AWS assigned at launch: it is lost on stop.
    pub allocation_id: Option<AllocationId>,
    /// `eipassoc-…`, for Elastic IPs.
    pub association_id: Option<String>,
}
