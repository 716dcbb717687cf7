//! Egress that silently went over to another way: the default route leads elsewhere, and the NAT instance that is meant for
//! it stands by. Pure.

use super::candidate::{is_called_nat, nat_candidate};
use super::{Flow, routing};
use crate::model::host::HostFacts;
use crate::model::{
    InstanceId, InstanceState, Network, NetworkInterface, NetworkInterfaceId, Route, RouteTable, RouteTarget, SubnetId,
};

/// A NAT instance that a client's default route leads past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedBy<'n> {
    pub table: &'n RouteTable,
    /// The route that leads past it.
    pub route: &'n Route,
    /// The NAT instance that stands by.
    pub instance_id: InstanceId,
    /// Its interface that the route would name.
    pub network_interface_id: NetworkInterfaceId,
    /// Of the client.
    pub subnet_id: &'n SubnetId,
}

impl PassedBy<'_> {
    /// One sentence for the operator.
    pub fn summary(&self) -> String {
        format!(
            "{} sends {} to {}, and the NAT instance {} stands by unused",
            self.table.route_table_id, self.route.destination, self.route.target, self.instance_id
        )
    }
}

/// The NAT instance that is meant for a flow and that its default route leads past.
///
/// A VPC whose private subnets leave by a NAT gateway is as it should be: `None` where there is no NAT instance, where
/// routes lead to it and it serves others (unless another stands by in the client's own zone), and where what forwards
/// there is something else (a VPN, a firewall: no NAT by its name, and routes of their own lead to it). `None` too where
/// the flow does not take the IPv4 default route, where the client has a public address of its own, and where what would
/// tell is not known.
pub fn passed_by<'n>(network: &'n Network, hosts: &dyn HostFacts, flow: &Flow) -> Option<PassedBy<'n>> {
    let client = *network.interfaces_of(&flow.instance_id).ok()?.first()?;
    if client.public_ip().is_some() {
        return None;
    }
    let table = network.route_table_of(&client.subnet_id, &client.vpc_id).ok()??;
    let route = routing::choose(network, table, flow.destination).ok()??.route;
    if !route.destination.is_ipv4_default() {
        return None;
    }
    let (vpc, zone, id) = (&client.vpc_id, &client.availability_zone, &flow.instance_id);
    let mut nat = nat_candidate(network, hosts, vpc, zone, id, |_, _| true)?;
    if leads_to(network, route, &nat.instance_id) {
        return None;
    }
    if nat.in_use {
        // It may be the NAT of another zone, and that of this one is what the route leads past.
        nat = nat_candidate(network, hosts, vpc, zone, id, |instance, in_use| {
            !in_use && &instance.availability_zone == zone && instance.state == InstanceState::Running
        })?;
    }
    let named = network.instances.shown().get(nat.instance_id.as_str()).is_some_and(is_called_nat);
    if !named && serves(network, &nat.instance_id) {
        return None;
    }
    Some(PassedBy {
        table,
        route,
        instance_id: nat.instance_id,
        network_interface_id: nat.network_interface_id,
        subnet_id: &client.subnet_id,
    })
}

/// Whether any route at all leads to an instance.
fn serves(network: &Network, id: &InstanceId) -> bool {
    let routes = network.route_tables.shown().values().flat_map(|table| &table.routes);
    routes.into_iter().any(|route| leads_to(network, route, id))
}

fn leads_to(network: &Network, route: &Route, id: &InstanceId) -> bool {
    match &route.target {
        RouteTarget::NetworkInterface { network_interface_id, .. } => {
            let found = network.network_interfaces.shown().get(network_interface_id.as_str());
            found.and_then(NetworkInterface::instance_id) == Some(id)
        }
        RouteTarget::Instance(target) => target == id,
        _ => false,
    }
}
