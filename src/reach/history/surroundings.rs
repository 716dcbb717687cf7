//! What stands around the way of an instance's packets: the resources whose change can change its egress. Pure.

use std::collections::BTreeSet;

use crate::model::{Address, AllocationId, InstanceId, Network, RouteTarget, SecurityGroupId, SubnetId, VpcId};
use crate::reach::{WayOut, way_out};

/// The identifiers of what an instance's egress hangs on, by what is shown: itself, its interfaces, subnet, table, ACL
/// and groups, the target of its default route with the same of that, the gateways of the VPC, and the region for its
/// Block Public Access.
pub fn surroundings<'n>(network: &'n Network, instance_id: &InstanceId) -> BTreeSet<&'n str> {
    let mut found = BTreeSet::from([network.region.as_str()]);
    instance(network, instance_id, &mut found);
    match way_out(network, instance_id) {
        Ok(WayOut::NatInstance { instance_id: nat, .. }) => instance(network, &nat, &mut found),
        Ok(WayOut::NatGateway { nat_gateway_id, .. }) => nat_gateway(network, nat_gateway_id.as_str(), &mut found),
        Ok(WayOut::Other { target: RouteTarget::NetworkInterface { network_interface_id, .. } }) => {
            interface(network, network_interface_id.as_str(), &mut found);
        }
        _ => {}
    }
    found
}

fn instance<'n>(network: &'n Network, id: &InstanceId, found: &mut BTreeSet<&'n str>) {
    let Some((id, instance)) = network.instances.shown().get_key_value(id.as_str()) else { return };
    found.insert(id);
    if let Some(vpc) = &instance.vpc_id {
        gateways(network, vpc, found);
    }
    for (eni, held) in network.network_interfaces.shown() {
        if held.instance_id().is_some_and(|holder| holder.as_str() == id) {
            interface(network, eni, found);
        }
    }
    found.extend(instance.instance_profile_arn.as_deref());
}

fn interface<'n>(network: &'n Network, id: &str, found: &mut BTreeSet<&'n str>) {
    let Some((id, interface)) = network.network_interfaces.shown().get_key_value(id) else { return };
    found.insert(id);
    found.extend(interface.security_group_ids.iter().map(SecurityGroupId::as_str));
    subnet(network, &interface.subnet_id, &interface.vpc_id, found);
    let here = |address: &&Address| {
        address.network_interface_id.as_ref() == Some(&interface.network_interface_id)
            || interface.public_ip() == Some(address.public_ip)
    };
    found.extend(network.addresses.shown().values().filter(here).map(|address| address.allocation_id.as_str()));
}

fn subnet<'n>(network: &'n Network, id: &'n SubnetId, vpc: &VpcId, found: &mut BTreeSet<&'n str>) {
    found.insert(id.as_str());
    if let Ok(Some(table)) = network.route_table_of(id, vpc) {
        found.insert(table.route_table_id.as_str());
    }
    if let Ok(Some(acl)) = network.network_acl_of(id) {
        found.insert(acl.network_acl_id.as_str());
    }
}

fn nat_gateway<'n>(network: &'n Network, id: &str, found: &mut BTreeSet<&'n str>) {
    let Some((id, gateway)) = network.nat_gateways.shown().get_key_value(id) else { return };
    found.insert(id);
    found.extend(gateway.allocation_id.as_ref().map(AllocationId::as_str));
    subnet(network, &gateway.subnet_id, &gateway.vpc_id, found);
}

fn gateways<'n>(network: &'n Network, vpc: &'n VpcId, found: &mut BTreeSet<&'n str>) {
    found.insert(vpc.as_str());
    let here = network.internet_gateways.shown().values();
    let here = here.filter(|gateway| gateway.attachments.iter().any(|a| &a.vpc_id == vpc));
    found.extend(here.map(|gateway| gateway.internet_gateway_id.as_str()));
}
