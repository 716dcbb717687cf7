//! Which NAT instance is meant for a subnet, when its route does not say. Pure.

use std::collections::HashSet;

use crate::model::host::HostFacts;
use crate::model::{
    Instance, InstanceId, InstanceState, InterfaceStatus, Network, NetworkInterface, NetworkInterfaceId, RouteTarget,
    VpcId,
};

/// A NAT instance that a route could lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) instance_id: InstanceId,
    /// The interface that a route should name.
    pub(super) network_interface_id: NetworkInterfaceId,
    /// Another instance would do as well.
    pub(super) one_of_several: bool,
    /// Some table's default route leads to it already.
    pub(super) in_use: bool,
}

/// The NAT instance of a VPC for clients in `zone`: one that routes lead to, whose source/destination check is off, that
/// is called a NAT or whose kernel forwards; running and in the same zone first. Only of those that are `wanted`, which is
/// told whether a default route leads there. `None`: nothing looks like one, or the parts that would tell are not known.
pub(super) fn nat_candidate(
    network: &Network,
    hosts: &dyn HostFacts,
    vpc_id: &VpcId,
    zone: &str,
    not: &InstanceId,
    wanted: impl Fn(&Instance, bool) -> bool,
) -> Option<Candidate> {
    let interfaces = network.network_interfaces.lookup().ok()?;
    let routed = routed_to(network, vpc_id);
    // Most instances are none of it: their interfaces are not looked at.
    let marked = marked(network, &routed);
    let mut best: Option<(u32, &InstanceId, &NetworkInterface, bool)> = None;
    let mut equals = 0;
    for instance in network.instances.known().ok()?.values() {
        let id = &instance.instance_id;
        if instance.vpc_id.as_ref() != Some(vpc_id) || id == not || is_gone(instance) {
            continue;
        }
        let (named, forwards) = (is_called_nat(instance), hosts.forwards(id));
        if !named && !forwards && !marked.contains(id) {
            continue;
        }
        let own: Vec<&NetworkInterface> = interfaces.of_instance(id).collect();
        let in_use = own.iter().any(|interface| routed.contains(&interface.network_interface_id));
        if !wanted(instance, in_use) {
            continue;
        }
        let unchecked = own.iter().any(|interface| !interface.source_dest_check);
        let score = 8 * u32::from(in_use)
            + 8 * u32::from(unchecked)
            + 8 * u32::from(named)
            + 4 * u32::from(instance.state == InstanceState::Running)
            + 2 * u32::from(instance.availability_zone == zone)
            + u32::from(forwards);
        let spare = spare(network, instance);
        let Some(interface) = inner(&own, &routed, spare) else {
            continue;
        };
        match best {
            Some((known, ..)) if known > score => {}
            Some((known, ..)) if known == score => equals += 1,
            _ => {
                best = Some((score, id, interface, in_use));
                equals = 0;
            }
        }
    }
    best.map(|(_, instance_id, interface, in_use)| Candidate {
        instance_id: instance_id.clone(),
        network_interface_id: interface.network_interface_id.clone(),
        one_of_several: equals > 0,
        in_use,
    })
}

/// Tagged so by natdeck, or with `nat` as a word of its name.
pub(super) fn is_called_nat(instance: &Instance) -> bool {
    let named = instance.tags.name().is_some_and(|name| {
        name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("nat"))
    });
    named || instance.tags.step().is_some_and(|step| step.starts_with("nat-"))
}

/// An interface with the check off that nobody holds, where this instance could hold it: the second one of a NAT,
/// detached.
fn spare<'a>(network: &'a Network, instance: &Instance) -> Option<&'a NetworkInterface> {
    network.network_interfaces.lookup_shown().unchecked().find(|interface| {
        interface.status == InterfaceStatus::Available
            && interface.attachment.is_none()
            && Some(&interface.vpc_id) == instance.vpc_id.as_ref()
            && interface.availability_zone == instance.availability_zone
    })
}

fn is_gone(instance: &Instance) -> bool {
    matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown)
}

/// The interfaces of a VPC that default routes lead to.
fn routed_to<'a>(network: &'a Network, vpc_id: &VpcId) -> HashSet<&'a NetworkInterfaceId> {
    let tables = network.route_tables.shown().values().filter(|table| &table.vpc_id == vpc_id);
    let targets = tables.filter_map(|table| table.default_route()).map(|route| &route.target);
    targets
        .filter_map(|target| match target {
            RouteTarget::NetworkInterface { network_interface_id, .. } => Some(network_interface_id),
            _ => None,
        })
        .collect()
}

/// Who holds an interface that routes lead to, or whose source/destination check is off.
fn marked<'a>(network: &'a Network, routed: &HashSet<&'a NetworkInterfaceId>) -> HashSet<&'a InstanceId> {
    let lookup = network.network_interfaces.lookup_shown();
    let named = routed.iter().filter_map(|id| network.network_interfaces.shown().get(id.as_str()));
    named.chain(lookup.unchecked()).filter_map(NetworkInterface::instance_id).collect()
}

/// The interface that a route to a NAT should name: what routes name already, else one with the check off and no
/// public address (the inner of two), else any with the check off, else a spare one, else the last.
fn inner<'a>(
    own: &[&'a NetworkInterface],
    routed: &HashSet<&NetworkInterfaceId>,
    spare: Option<&'a NetworkInterface>,
) -> Option<&'a NetworkInterface> {
    let unchecked = || own.iter().filter(|interface| !interface.source_dest_check);
    own.iter()
        .find(|interface| routed.contains(&interface.network_interface_id))
        .or_else(|| unchecked().find(|interface| interface.public_ip().is_none()))
        .or_else(|| unchecked().next())
        .copied()
        .or(spare)
        .or(own.last().copied())
}
