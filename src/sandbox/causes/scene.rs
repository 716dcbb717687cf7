//! Who is who in a world: the private instance, its NAT, and what lies between.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::BreakError;
use crate::model::{
    Instance, InstanceId, InstanceState, InternetGatewayId, Network, NetworkInterface, NetworkInterfaceId, RouteTable,
    RouteTableId, RouteTarget, SecurityGroupId, SubnetId, VpcId,
};
use crate::reach::Cause;
use crate::sandbox::world::World;

/// A private instance and its way out through a NAT instance, as they were when they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    pub client: InstanceId,
    pub client_interface: NetworkInterfaceId,
    pub client_subnet: SubnetId,
    pub client_net: Ipv4Net,
    pub client_table: RouteTableId,
    pub vpc: VpcId,
    pub vpc_net: Ipv4Net,
    pub internet_gateway: InternetGatewayId,
    pub nat: Nat,
    /// Made by [`super::stage`] for a cause: the other way out, the interface that takes the address, the peering
    /// connection.
    pub made: BTreeMap<Cause, String>,
}

/// A NAT instance. With one interface, inner and outer are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nat {
    pub instance: InstanceId,
    pub inner: NetworkInterfaceId,
    pub inner_subnet: SubnetId,
    /// The kernel's name.
    pub inner_device: String,
    pub outer: NetworkInterfaceId,
    pub outer_subnet: SubnetId,
    pub outer_device: String,
    pub outer_table: RouteTableId,
    pub inner_gateway: Ipv4Addr,
    pub outer_gateway: Ipv4Addr,
}

impl Nat {
    pub fn has_two_interfaces(&self) -> bool {
        self.inner != self.outer
    }
}

impl Scene {
    /// The scene of one private instance, or of the first that has a NAT instance.
    pub fn find(world: &World, client: Option<&InstanceId>) -> Result<Self, BreakError> {
        let network = &world.network;
        let instances = network.instances.shown();
        if let Some(id) = client {
            let instance = instances.get(id.as_str()).ok_or_else(|| BreakError::NoSuchInstance(id.clone()))?;
            return Self::of(world, instance).ok_or(BreakError::NothingToBreak);
        }
        let running = |instance: &&Instance| instance.state == InstanceState::Running;
        instances.values().filter(running).find_map(|one| Self::of(world, one)).ok_or(BreakError::NothingToBreak)
    }

    fn of(world: &World, client: &Instance) -> Option<Self> {
        let network = &world.network;
        let (subnet_id, vpc_id) = (client.subnet_id.clone()?, client.vpc_id.clone()?);
        let table = network.route_table_of(&subnet_id, &vpc_id).ok()??;
        let inner = routed_to(network, table).or_else(|| any_nat(network, &vpc_id))?;
        let nat = Nat::of(world, inner)?;
        if nat.instance == client.instance_id {
            return None;
        }
        let gateway = network.internet_gateways.shown().values().find(|gateway| gateway.is_attached_to(&vpc_id))?;
        Some(Self {
            client: client.instance_id.clone(),
            client_interface: client.network_interface_ids.first()?.clone(),
            client_net: network.subnets.shown().get(subnet_id.as_str())?.cidr_block?,
            client_subnet: subnet_id,
            client_table: table.route_table_id.clone(),
            vpc_net: *network.vpcs.shown().get(vpc_id.as_str())?.cidr_blocks.first()?,
            vpc: vpc_id,
            internet_gateway: gateway.internet_gateway_id.clone(),
            nat,
            made: BTreeMap::new(),
        })
    }

    /// The groups of an interface.
    pub(super) fn groups_of(world: &World, id: &NetworkInterfaceId) -> Vec<SecurityGroupId> {
        world.get::<NetworkInterface>(id).map(|interface| interface.security_group_ids.clone()).unwrap_or_default()
    }
}

impl Nat {
    fn of(world: &World, inner: &NetworkInterface) -> Option<Self> {
        let network = &world.network;
        let instance = inner.instance_id()?.clone();
        let interfaces = network.interfaces_of(&instance).ok()?;
        let public = |interface: &&&NetworkInterface| interface.public_ip().is_some();
        let outer = *interfaces.iter().find(public).or(interfaces.first())?;
        let kernel = world.machines.get(&instance)?.kernel();
        let device = |interface: &NetworkInterface| Some(kernel.interface_by_mac(&interface.mac_address)?.name.clone());
        let gateway = |id: &SubnetId| {
            let net = network.subnets.shown().get(id.as_str())?.cidr_block?;
            Some(Ipv4Addr::from_bits(net.network().to_bits() + 1))
        };
        Some(Self {
            inner: inner.network_interface_id.clone(),
            inner_device: device(inner)?,
            inner_gateway: gateway(&inner.subnet_id)?,
            inner_subnet: inner.subnet_id.clone(),
            outer: outer.network_interface_id.clone(),
            outer_device: device(outer)?,
            outer_gateway: gateway(&outer.subnet_id)?,
            outer_subnet: outer.subnet_id.clone(),
            outer_table: network.route_table_of(&outer.subnet_id, &outer.vpc_id).ok()??.route_table_id.clone(),
            instance,
        })
    }
}

fn routed_to<'a>(network: &'a Network, table: &RouteTable) -> Option<&'a NetworkInterface> {
    match &table.default_route()?.target {
        RouteTarget::NetworkInterface { network_interface_id, .. } => {
            let interface = network.network_interfaces.shown().get(network_interface_id.as_str())?;
            interface.instance_id().is_some().then_some(interface)
        }
        _ => None,
    }
}

/// In a world that is broken already the route may lead nowhere: then whoever is made to forward is the NAT.
fn any_nat<'a>(network: &'a Network, vpc_id: &VpcId) -> Option<&'a NetworkInterface> {
    let mut interfaces = network.network_interfaces.shown().values();
    interfaces.find(|one| one.vpc_id == *vpc_id && !one.source_dest_check && one.instance_id().is_some())
}
