//! What follows from the rest of the state and is stored all the same, as AWS stores it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::World;
use crate::model::{
    Address, EgressOnlyInternetGateway, Instance, InstanceId, InstanceState, InterfaceStatus, InternetGateway,
    NatGateway, NatGatewayState, NetworkInterface, NetworkInterfaceId, RouteState, RouteTable, RouteTarget,
    SecurityGroupId, SubnetId, VpcEndpoint, VpcId,
};
use crate::sandbox::actions::ec2::usable_addresses;

impl World {
    /// Brings route states, free address counts and instances' own views of their interfaces up to date.
    pub fn recompute(&mut self) {
        self.recompute_instances();
        self.recompute_addresses();
        self.recompute_subnets();
        self.recompute_routes();
        self.sync_machines();
    }

    fn recompute_instances(&mut self) {
        struct View {
            id: NetworkInterfaceId,
            device: u32,
            private_ip: Option<Ipv4Addr>,
            public_ip: Option<Ipv4Addr>,
            groups: Vec<SecurityGroupId>,
        }
        let mut attached: BTreeMap<InstanceId, Vec<View>> = BTreeMap::new();
        for interface in self.all::<NetworkInterface>() {
            let (Some(instance_id), Some(attachment)) = (interface.instance_id(), &interface.attachment) else {
                continue;
            };
            attached.entry(instance_id.clone()).or_default().push(View {
                id: interface.network_interface_id.clone(),
                device: attachment.device_index,
                private_ip: interface.private_ip,
                public_ip: interface.public_ip(),
                groups: interface.security_group_ids.clone(),
            });
        }
        for instance in self.network.instances.items_mut().values_mut() {
            let mut views = attached.remove(&instance.instance_id).unwrap_or_default();
            views.sort_by_key(|view| view.device);
            if let Some(primary) = views.first() {
                instance.private_ip = primary.private_ip;
                instance.public_ip = primary.public_ip;
                instance.security_group_ids.clone_from(&primary.groups);
            }
            instance.network_interface_ids = views.into_iter().map(|view| view.id).collect();
        }
    }

    fn recompute_addresses(&mut self) {
        let holders: Vec<_> = self
            .all::<Address>()
            .filter_map(|address| {
                let interface = self.get::<NetworkInterface>(address.network_interface_id.as_ref()?)?;
                Some((address.allocation_id.clone(), interface.instance_id().cloned()))
            })
            .collect();
        for (id, instance_id) in holders {
            if let Some(address) = self.get_mut::<Address>(&id) {
                address.instance_id = instance_id;
            }
        }
    }

    fn recompute_subnets(&mut self) {
        let mut used: BTreeMap<SubnetId, usize> = BTreeMap::new();
        for interface in self.all::<NetworkInterface>() {
            let count = usize::from(interface.private_ip.is_some()) + interface.secondary_private_ips.len();
            *used.entry(interface.subnet_id.clone()).or_default() += count;
        }
        for subnet in self.network.subnets.items_mut().values_mut() {
            let total = subnet.cidr_block.map_or(0, |net| usable_addresses(net.prefix_len()));
            let used = used.get(&subnet.subnet_id).copied().unwrap_or_default();
            subnet.available_ip_address_count = total.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        }
    }

    fn recompute_routes(&mut self) {
        let mut changes = Vec::new();
        for table in self.all::<RouteTable>() {
            for (index, route) in table.routes.iter().enumerate() {
                let (target, works) = self.target_now(&table.vpc_id, &route.target);
                let state = if works { RouteState::Active } else { RouteState::Blackhole };
                if route.state != state || route.target != target {
                    changes.push((table.route_table_id.clone(), index, target, state));
                }
            }
        }
        for (table_id, index, target, state) in changes {
            let route = self.get_mut::<RouteTable>(&table_id).and_then(|table| table.routes.get_mut(index));
            if let Some(route) = route {
                route.target = target;
                route.state = state;
            }
        }
    }

    /// A route's target as AWS shows it now, and whether it takes packets.
    fn target_now(&self, vpc_id: &VpcId, target: &RouteTarget) -> (RouteTarget, bool) {
        let works = match target {
            RouteTarget::InternetGateway(id) => {
                self.get::<InternetGateway>(id).is_some_and(|gateway| gateway.is_attached_to(vpc_id))
            }
            RouteTarget::EgressOnlyInternetGateway(id) => self.get::<EgressOnlyInternetGateway>(id).is_some(),
            RouteTarget::NatGateway(id) => self
                .get::<NatGateway>(id)
                .is_some_and(|gateway| matches!(gateway.state, NatGatewayState::Pending | NatGatewayState::Available)),
            RouteTarget::NetworkInterface { network_interface_id, .. } => {
                let interface = self.get::<NetworkInterface>(network_interface_id);
                let instance_id = interface.and_then(NetworkInterface::instance_id).cloned();
                let works = interface.is_some_and(|interface| self.interface_works(interface));
                let network_interface_id = network_interface_id.clone();
                return (RouteTarget::NetworkInterface { network_interface_id, instance_id }, works);
            }
            RouteTarget::VpcPeeringConnection(id) => {
                self.records.peerings.get(id).is_some_and(|peering| peering.state == super::PeeringState::Active)
            }
            RouteTarget::GatewayEndpoint(id) => self.get::<VpcEndpoint>(id).is_some(),
            _ => true,
        };
        (target.clone(), works)
    }

    /// Whether packets reach what an interface is attached to.
    fn interface_works(&self, interface: &NetworkInterface) -> bool {
        if interface.attachment.is_none() || interface.status == InterfaceStatus::Detaching {
            return false;
        }
        let Some(instance_id) = interface.instance_id() else { return interface.requester_managed };
        let up = |instance: &Instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running);
        self.get::<Instance>(instance_id).is_some_and(up)
    }
}
