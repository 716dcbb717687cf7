//! Route tables, their associations and routes.

use std::fmt;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{
    AssociationId, EgressOnlyInternetGatewayId, InstanceId, InternetGatewayId, NatGatewayId, NetworkInterfaceId,
    PrefixListId, RouteTableId, SubnetId, Tags, VpcId,
};

/// A route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub route_table_id: RouteTableId,
    pub vpc_id: VpcId,
    pub associations: Vec<RouteTableAssociation>,
    pub routes: Vec<Route>,
    /// Virtual private gateways that may propagate routes into it.
    pub propagating_vgws: Vec<String>,
    pub tags: Tags,
}

impl RouteTable {
    /// Whether this is the VPC's main table, which applies to subnets without an association of their own.
    pub fn is_main(&self) -> bool {
        self.associations.iter().any(|association| association.main)
    }

    /// The subnets that are explicitly associated.
    pub fn subnet_ids(&self) -> impl Iterator<Item = &SubnetId> {
        self.associations.iter().filter_map(|association| association.subnet_id.as_ref())
    }

    /// The IPv4 default route, if there is one.
    pub fn default_route(&self) -> Option<&Route> {
        self.routes.iter().find(|route| route.destination.is_ipv4_default())
    }

    /// Whether a subnet with this table is public: its IPv4 default route leads straight to an internet gateway.
    pub fn is_public(&self) -> bool {
        self.default_route().is_some_and(|route| {
            matches!(route.target, RouteTarget::InternetGateway(_)) && route.state == RouteState::Active
        })
    }
}

/// What a route table applies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    pub association_id: AssociationId,
    pub main: bool,
    /// `None` for the main association and for gateway associations.
    pub subnet_id: Option<SubnetId>,
    /// An internet or virtual private gateway with an edge association.
    pub gateway_id: Option<String>,
    /// `associated`, `associating`, …
    pub state: String,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub destination: RouteDestination,
    pub target: RouteTarget,
    pub state: RouteState,
    pub origin: RouteOrigin,
}

/// What a route matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteDestination {
    Ipv4(Ipv4Net),
    Ipv6(Ipv6Net),
    PrefixList(PrefixListId),
    /// A destination of a kind that this crate does not know, as AWS gave it.
    Other(String),
}

impl RouteDestination {
    /// `0.0.0.0/0`.
    pub fn is_ipv4_default(&self) -> bool {
        matches!(self, Self::Ipv4(net) if net.prefix_len() == 0)
    }
}

impl fmt::Display for RouteDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(net) => f.pad(&net.to_string()),
            Self::Ipv6(net) => f.pad(&net.to_string()),
            Self::PrefixList(id) => f.pad(id.as_str()),
            Self::Other(text) => f.pad(text),
        }
    }
}

/// Where a route sends what it matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// Within the VPC.
    Local,
    InternetGateway(InternetGatewayId),
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    NatGateway(NatGatewayId),
    NetworkInterface {
        network_interface_id: NetworkInterfaceId,
        /// The instance that it is attached to, when AWS names it.
        instance_id: Option<InstanceId>,
    },
    /// An instance without the interface being named. AWS resolves it to the only interface.
    Instance(InstanceId),
    TransitGateway(String),
    VpcPeeringConnection(String),
    VirtualPrivateGateway(String),
    GatewayEndpoint(String),
    LocalGateway(String),
    CarrierGateway(String),
    CoreNetwork(String),
    /// A kind that this crate does not know: AWS's field name and value.
    Other {
        kind: String,
        id: String,
    },
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::InternetGateway(id) => id.as_str(),
            Self::EgressOnlyInternetGateway(id) => id.as_str(),
            Self::NatGateway(id) => id.as_str(),
            Self::NetworkInterface { network_interface_id, .. } => network_interface_id.as_str(),
            Self::Instance(id) => id.as_str(),
            Self::TransitGateway(id)
            | Self::VpcPeeringConnection(id)
            | Self::VirtualPrivateGateway(id)
            | Self::GatewayEndpoint(id)
            | Self::LocalGateway(id)
            | Self::CarrierGateway(id)
            | Self::CoreNetwork(id)
            | Self::Other { id, .. } => id,
        })
    }
}

open_enum! {
    /// Whether the target can take packets.
    RouteState {
        Active = "active",
        /// The target is gone, detached or its instance is stopped. Packets are dropped.
        Blackhole = "blackhole",
    }
}

open_enum! {
    /// How the route came about.
    RouteOrigin {
        CreateRouteTable = "CreateRouteTable",
        CreateRoute = "CreateRoute",
        EnableVgwRoutePropagation = "EnableVgwRoutePropagation",
    }
}
