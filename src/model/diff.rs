//! What changed between two snapshots: marks for the tree, and sentences for the history of a check. Pure.

mod fields;
mod notes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use notes::{Note, notes};

use super::{Network, Resource};

/// How one resource differs from the earlier snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Changed,
    Removed,
}

/// The resources that differ, by identifier. A part that is unknown in either snapshot is left out: what was not
/// seen has not changed.
pub fn diff(before: &Network, after: &Network) -> BTreeMap<String, Change> {
    let mut changes = BTreeMap::new();
    let old: BTreeMap<&str, Resource<'_>> = before.resources().map(|r| (r.id(), r)).collect();
    let new: BTreeMap<&str, Resource<'_>> = after.resources().map(|r| (r.id(), r)).collect();
    for (id, resource) in &new {
        match old.get(id) {
            None if known(before, *resource) => drop(changes.insert((*id).to_owned(), Change::Added)),
            Some(earlier) if earlier != resource => drop(changes.insert((*id).to_owned(), Change::Changed)),
            _ => {}
        }
    }
    for (id, resource) in &old {
        if !new.contains_key(id) && known(after, *resource) {
            changes.insert((*id).to_owned(), Change::Removed);
        }
    }
    changes
}

/// Whether the part that `resource` belongs to was observed in `network`.
fn known(network: &Network, resource: Resource<'_>) -> bool {
    match resource {
        Resource::Vpc(_) => network.vpcs.gap().is_none(),
        Resource::Subnet(_) => network.subnets.gap().is_none(),
        Resource::RouteTable(_) => network.route_tables.gap().is_none(),
        Resource::InternetGateway(_) => network.internet_gateways.gap().is_none(),
        Resource::EgressOnlyInternetGateway(_) => network.egress_only_internet_gateways.gap().is_none(),
        Resource::NatGateway(_) => network.nat_gateways.gap().is_none(),
        Resource::NetworkInterface(_) => network.network_interfaces.gap().is_none(),
        Resource::Instance(_) => network.instances.gap().is_none(),
        Resource::SecurityGroup(_) => network.security_groups.gap().is_none(),
        Resource::NetworkAcl(_) => network.network_acls.gap().is_none(),
        Resource::Address(_) => network.addresses.gap().is_none(),
        Resource::VpcEndpoint(_) => network.vpc_endpoints.gap().is_none(),
        Resource::InstanceProfile(_) => network.instance_profiles.gap().is_none(),
    }
}
