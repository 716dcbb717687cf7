//! What follows from a snapshot and is wanted for many rows: which subnets are public, which instances are NATs.
//! Worked out once for each snapshot. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{InstanceId, Network, RouteState, RouteTarget, Subnet, Unknown};

/// Whether a subnet reaches the internet, as its route table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// The default route leads to an internet gateway.
    Public,
    /// The default route leads elsewhere: to this.
    Private(RouteTarget),
    /// The default route's target is gone.
    Blackhole(RouteTarget),
    /// No default route.
    Isolated,
    Unknown(Unknown),
}

/// Facts by identifier.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// By subnet.
    pub exposure: BTreeMap<String, Exposure>,
    /// Instances that a route points at, or that have an interface with the source/destination check off.
    pub nat_instances: BTreeSet<InstanceId>,
}

impl Facts {
    pub fn of(network: &Network) -> Self {
        let exposure =
            network.subnets.shown().iter().map(|(id, subnet)| (id.to_owned(), exposure(network, subnet))).collect();
        let mut nat_instances = BTreeSet::new();
        for interface in network.network_interfaces.shown().values() {
            if !interface.source_dest_check && !interface.requester_managed {
                nat_instances.extend(interface.instance_id().cloned());
            }
        }
        for route in network.route_tables.shown().values().flat_map(|table| &table.routes) {
            match &route.target {
                RouteTarget::NetworkInterface { network_interface_id, instance_id } => {
                    let holder = network.network_interfaces.shown().get(network_interface_id.as_str());
                    nat_instances.extend(instance_id.as_ref().or_else(|| holder?.instance_id()).cloned());
                }
                RouteTarget::Instance(id) => drop(nat_instances.insert(id.clone())),
                _ => {}
            }
        }
        Self { exposure, nat_instances }
    }

    pub fn is_nat(&self, id: &InstanceId) -> bool {
        self.nat_instances.contains(id)
    }

    /// Whether an instance is one whose way out is the question: in a subnet that is not public.
    pub fn is_private(&self, subnet_id: &str) -> bool {
        !matches!(self.exposure.get(subnet_id), Some(Exposure::Public) | None)
    }
}

fn exposure(network: &Network, subnet: &Subnet) -> Exposure {
    match network.route_table_of(&subnet.subnet_id, &subnet.vpc_id) {
        Err(unknown) => Exposure::Unknown(unknown.clone()),
        Ok(None) => Exposure::Unknown(Unknown::new(
            format!("route table of {}", subnet.subnet_id),
            "DescribeRouteTables shows neither an associated nor a main table",
        )),
        Ok(Some(table)) => match table.default_route() {
            None => Exposure::Isolated,
            Some(route) if route.state == RouteState::Blackhole => Exposure::Blackhole(route.target.clone()),
            Some(route) => match &route.target {
                RouteTarget::InternetGateway(_) => Exposure::Public,
                target => Exposure::Private(target.clone()),
            },
        },
    }
}
