//! Ways out of a VPC that AWS runs, and prefix lists.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{
    AllocationId, EgressOnlyInternetGatewayId, InternetGatewayId, NatGatewayId, NetworkInterfaceId, PrefixListId,
    SubnetId, Tags, VpcId,
};

open_enum! {
    /// Whether a gateway is joined to a VPC. EC2 says `available` for an attached internet gateway.
    AttachmentState {
        Attaching = "attaching",
        Attached = "attached",
        Available = "available",
        Detaching = "detaching",
        Detached = "detached",
    }
}

impl AttachmentState {
    /// Whether packets pass.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Attached | Self::Available)
    }
}

/// A gateway's attachment to a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAttachment {
    pub vpc_id: VpcId,
    pub state: AttachmentState,
}

/// An internet gateway. At most one attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway {
    pub internet_gateway_id: InternetGatewayId,
    pub attachments: Vec<GatewayAttachment>,
    pub tags: Tags,
}

impl InternetGateway {
    /// Whether packets of `vpc_id` pass through it.
    pub fn is_attached_to(&self, vpc_id: &VpcId) -> bool {
        self.attachments.iter().any(|a| &a.vpc_id == vpc_id && a.state.is_usable())
    }
}

/// An egress-only internet gateway: the way out for IPv6.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressOnlyInternetGateway {
    pub egress_only_internet_gateway_id: EgressOnlyInternetGatewayId,
    pub attachments: Vec<GatewayAttachment>,
    pub tags: Tags,
}

open_enum! {
    /// The life of a NAT gateway.
    NatGatewayState {
        Pending = "pending",
        Available = "available",
        Failed = "failed",
        Deleting = "deleting",
        Deleted = "deleted",
    }
}

/// A managed NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway {
    pub nat_gateway_id: NatGatewayId,
    pub vpc_id: VpcId,
    pub subnet_id: SubnetId,
    pub state: NatGatewayState,
    /// `public` or `private`.
    pub connectivity_type: String,
    /// `None` for a private gateway, and while pending.
    pub public_ip: Option<Ipv4Addr>,
    pub private_ip: Option<Ipv4Addr>,
    pub allocation_id: Option<AllocationId>,
    pub network_interface_id: Option<NetworkInterfaceId>,
    /// Why it failed: `InsufficientFreeAddressesInSubnet`, `Gateway.NotAttached`, `Resource.AlreadyAssociated`, …
    #[serde(default)]
    pub failure_code: Option<String>,
    /// The same in a sentence.
    #[serde(default)]
    pub failure_message: Option<String>,
    pub tags: Tags,
}

/// A managed prefix list, as routes and rules name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    pub prefix_list_id: PrefixListId,
    pub prefix_list_name: String,
    /// `None`: the entries could not be read.
    pub cidrs: Option<Vec<IpNet>>,
}
