//! Which way out an instance's own route names, and whose a public address is. Pure.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{Code, nat64};
use crate::model::{
    InstanceId, InternetGatewayId, NatGatewayId, Network, NetworkInterface, NetworkInterfaceId, ResourceId, RouteState,
    RouteTarget, Unknown,
};

/// The way out that an instance's IPv4 default route names. Says nothing about whether packets pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayOut {
    /// A NAT instance, and the public address it has, if any.
    NatInstance {
        instance_id: InstanceId,
        network_interface_id: NetworkInterfaceId,
        address: Option<Ipv4Addr>,
    },
    NatGateway {
        nat_gateway_id: NatGatewayId,
        address: Option<Ipv4Addr>,
    },
    /// Straight to an internet gateway, with the instance's own public address.
    Direct {
        internet_gateway_id: InternetGatewayId,
        address: Option<Ipv4Addr>,
    },
    /// Somewhere natdeck cannot follow.
    Other {
        target: RouteTarget,
    },
    None {
        code: Code,
        reason: String,
    },
}

impl WayOut {
    /// The address that the outside is expected to see.
    pub fn address(&self) -> Option<Ipv4Addr> {
        match self {
            Self::NatInstance { address, .. } | Self::NatGateway { address, .. } | Self::Direct { address, .. } => {
                *address
            }
            Self::Other { .. } | Self::None { .. } => None,
        }
    }
}

/// The way out that the default route of an instance's subnet names (device 0).
pub fn way_out(network: &Network, instance_id: &InstanceId) -> Result<WayOut, Unknown> {
    let interfaces = network.interfaces_of(instance_id).map_err(Clone::clone)?;
    let Some(interface) = interfaces.first() else {
        return Err(Unknown::new(
            format!("network interface of {instance_id}"),
            "DescribeNetworkInterfaces shows none attached to it",
        ));
    };
    let table = network.route_table_of(&interface.subnet_id, &interface.vpc_id).map_err(Clone::clone)?;
    let Some(table) = table else {
        return Err(Unknown::new(
            format!("route table of {}", interface.subnet_id),
            "DescribeRouteTables shows neither an associated nor a main table",
        ));
    };
    let (route, wanted) = if nat64::applies(network, interface) {
        (nat64::route(network, table)?, "64:ff9b::/96")
    } else {
        (table.default_route(), "0.0.0.0/0")
    };
    let Some(route) = route else {
        return Ok(WayOut::None {
            code: Code::NoRouteToDestination,
            reason: format!("{} has no route to {wanted}", table.route_table_id),
        });
    };
    if route.state == RouteState::Blackhole {
        return Ok(WayOut::None {
            code: Code::BlackholeRoute,
            reason: format!(
                "the default route of {} leads to {} and is a blackhole",
                table.route_table_id, route.target
            ),
        });
    }
    Ok(match &route.target {
        RouteTarget::InternetGateway(id) => {
            WayOut::Direct { internet_gateway_id: id.clone(), address: interface.public_ip() }
        }
        RouteTarget::NatGateway(id) => {
            let address = network.nat_gateways.get(id).map_err(Clone::clone)?.and_then(|gateway| gateway.public_ip);
            WayOut::NatGateway { nat_gateway_id: id.clone(), address }
        }
        RouteTarget::NetworkInterface { network_interface_id, .. } => {
            let target = network.network_interfaces.get(network_interface_id).map_err(Clone::clone)?;
            match target.and_then(NetworkInterface::instance_id) {
                Some(nat) => nat_instance(network, nat, network_interface_id.clone())?,
                None => WayOut::Other { target: route.target.clone() },
            }
        }
        RouteTarget::Instance(nat) => {
            let interfaces = network.interfaces_of(nat).map_err(Clone::clone)?;
            match interfaces.first() {
                Some(first) => nat_instance(network, nat, first.network_interface_id.clone())?,
                None => WayOut::Other { target: route.target.clone() },
            }
        }
        other => WayOut::Other { target: other.clone() },
    })
}

/// A NAT instance with the public address of its lowest device that has one.
fn nat_instance(
    network: &Network,
    instance_id: &InstanceId,
    network_interface_id: NetworkInterfaceId,
) -> Result<WayOut, Unknown> {
    let interfaces = network.interfaces_of(instance_id).map_err(Clone::clone)?;
    let address = interfaces.iter().find_map(|interface| interface.public_ip());
    Ok(WayOut::NatInstance { instance_id: instance_id.clone(), network_interface_id, address })
}

/// Who has a public address, and a description for people: `NAT gateway nat-… in subnet-…`. Looks at what is shown,
/// which may be old; `None` means that nothing that was seen has it.
pub fn owner_of(network: &Network, address: Ipv4Addr) -> Option<(ResourceId, String)> {
    if let Some(gateway) = network.nat_gateways.shown().values().find(|g| g.public_ip == Some(address)) {
        let id = &gateway.nat_gateway_id;
        return Some((ResourceId::from(id), format!("NAT gateway {id} in {}", gateway.subnet_id)));
    }
    if let Some(interface) = network.network_interfaces.lookup_shown().with_public_ip(address) {
        let eni = &interface.network_interface_id;
        return Some(match interface.instance_id() {
            Some(id) => {
                let name = network.instances.shown().get(id.as_str()).and_then(|instance| instance.tags.name());
                let named = name.map_or_else(String::new, |name| format!(" ({name})"));
                (ResourceId::from(id), format!("instance {id}{named}, interface {eni}"))
            }
            None => (ResourceId::from(eni), format!("network interface {eni}")),
        });
    }
    let elastic = network.addresses.shown().values().find(|a| a.public_ip == address)?;
    let id = &elastic.allocation_id;
    Some((ResourceId::from(id), format!("Elastic IP {id}, associated with nothing")))
}
