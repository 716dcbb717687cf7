//! What resources are looked up by beside their identifiers. Pure.
//!
//! A walk asks for the interface of an address and for the table of a subnet at every hop. Each kind's lookup is built
//! when it is first asked for, kept with the part that it was built from, and forgotten with the next edit of that part.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{InstanceId, Items, NetworkAcl, NetworkInterface, RouteTable, SubnetId, VpcId};

/// What is kept beside the resources of a part.
pub trait Lookup<V> {
    fn build(items: &Items<V>) -> Self;
}

/// Most kinds are found by identifier alone.
impl<V> Lookup<V> for () {
    fn build(_: &Items<V>) -> Self {}
}

/// Interfaces by holder and by address. Sorted lists rather than maps: nothing is copied but references.
#[derive(Debug, Default)]
pub struct InterfaceLookup {
    /// By instance, then by device index.
    by_instance: Vec<Arc<NetworkInterface>>,
    /// Private and IPv6 addresses, the secondary ones too. VPCs may share ranges: one address, several interfaces.
    by_address: Vec<(IpAddr, Arc<NetworkInterface>)>,
    by_public_ip: Vec<(Ipv4Addr, Arc<NetworkInterface>)>,
    /// The source/destination check is off.
    unchecked: Vec<Arc<NetworkInterface>>,
}

impl Lookup<NetworkInterface> for InterfaceLookup {
    fn build(items: &Items<NetworkInterface>) -> Self {
        let mut lookup = Self::default();
        for interface in items.shared() {
            if !interface.source_dest_check {
                lookup.unchecked.push(interface.clone());
            }
            if interface.instance_id().is_some() {
                lookup.by_instance.push(interface.clone());
            }
            let private = interface.private_ip.iter().chain(&interface.secondary_private_ips).map(|ip| IpAddr::V4(*ip));
            let addresses = private.chain(interface.ipv6_addresses.iter().map(|ip| IpAddr::V6(*ip)));
            lookup.by_address.extend(addresses.map(|address| (address, interface.clone())));
            lookup.by_public_ip.extend(interface.public_ip().map(|address| (address, interface.clone())));
        }
        // Stable: where nothing else decides, the order of the identifiers does.
        lookup.by_instance.sort_by(|a, b| holder(a).cmp(&holder(b)));
        lookup.by_address.sort_by_key(|(address, _)| *address);
        lookup.by_public_ip.sort_by_key(|(address, _)| *address);
        lookup
    }
}

fn holder(interface: &NetworkInterface) -> (Option<&InstanceId>, Option<u32>) {
    (interface.instance_id(), interface.attachment.as_ref().map(|attachment| attachment.device_index))
}

impl InterfaceLookup {
    /// The interfaces of an instance, by device index.
    pub fn of_instance(&self, id: &InstanceId) -> impl Iterator<Item = &NetworkInterface> {
        let first = self.by_instance.partition_point(|interface| interface.instance_id() < Some(id));
        let rest = self.by_instance.get(first..).unwrap_or_default();
        rest.iter().take_while(move |interface| interface.instance_id() == Some(id)).map(Arc::as_ref)
    }

    /// The interface in a VPC that has a private or IPv6 address.
    pub fn with_address(&self, vpc_id: &VpcId, address: IpAddr) -> Option<&NetworkInterface> {
        let mut found = equal(&self.by_address, address);
        found.find(|interface| &interface.vpc_id == vpc_id)
    }

    /// The interfaces whose source/destination check is off: what could forward.
    pub fn unchecked(&self) -> impl Iterator<Item = &NetworkInterface> {
        self.unchecked.iter().map(Arc::as_ref)
    }

    /// The interface that a public address belongs to.
    pub fn with_public_ip(&self, address: Ipv4Addr) -> Option<&NetworkInterface> {
        equal(&self.by_public_ip, address).next()
    }
}

/// The interfaces of a sorted list with one address.
fn equal<A: Ord + Copy>(list: &[(A, Arc<NetworkInterface>)], address: A) -> impl Iterator<Item = &NetworkInterface> {
    let first = list.partition_point(|(other, _)| *other < address);
    let rest = list.get(first..).unwrap_or_default();
    rest.iter().take_while(move |(other, _)| *other == address).map(|(_, interface)| interface.as_ref())
}

/// Route tables by what they apply to.
#[derive(Debug, Default)]
pub struct TableLookup {
    by_subnet: BTreeMap<SubnetId, Arc<RouteTable>>,
    main: BTreeMap<VpcId, Arc<RouteTable>>,
    /// Tables of internet gateways and virtual private gateways.
    by_gateway: BTreeMap<String, Arc<RouteTable>>,
}

impl Lookup<RouteTable> for TableLookup {
    fn build(items: &Items<RouteTable>) -> Self {
        let mut lookup = Self::default();
        for table in items.shared() {
            for subnet_id in table.subnet_ids() {
                lookup.by_subnet.entry(subnet_id.clone()).or_insert_with(|| table.clone());
            }
            if table.is_main() {
                lookup.main.entry(table.vpc_id.clone()).or_insert_with(|| table.clone());
            }
            for gateway_id in table.associations.iter().filter_map(|association| association.gateway_id.clone()) {
                lookup.by_gateway.entry(gateway_id).or_insert_with(|| table.clone());
            }
        }
        lookup
    }
}

impl TableLookup {
    /// The table that is associated with a subnet itself.
    pub fn of_subnet(&self, id: &SubnetId) -> Option<&RouteTable> {
        self.by_subnet.get(id).map(Arc::as_ref)
    }

    /// The main table of a VPC.
    pub fn main_of(&self, id: &VpcId) -> Option<&RouteTable> {
        self.main.get(id).map(Arc::as_ref)
    }

    /// The table that is associated with a gateway itself.
    pub fn of_gateway(&self, id: &str) -> Option<&RouteTable> {
        self.by_gateway.get(id).map(Arc::as_ref)
    }
}

/// Network ACLs by subnet.
#[derive(Debug, Default)]
pub struct AclLookup(BTreeMap<SubnetId, Arc<NetworkAcl>>);

impl Lookup<NetworkAcl> for AclLookup {
    fn build(items: &Items<NetworkAcl>) -> Self {
        let mut lookup = Self::default();
        for acl in items.shared() {
            for subnet_id in &acl.subnet_ids {
                lookup.0.entry(subnet_id.clone()).or_insert_with(|| acl.clone());
            }
        }
        lookup
    }
}

impl AclLookup {
    /// The ACL that applies to a subnet.
    pub fn of_subnet(&self, id: &SubnetId) -> Option<&NetworkAcl> {
        self.0.get(id).map(Arc::as_ref)
    }
}
