//! Another private instance, in a subnet of its own: some causes need a client that is not in the NAT's inner subnet.

use super::desk::Desk;
use super::vpc::lead_to;
use super::{BreakError, Scene};
use crate::model::{Instance, InstanceId, NetworkInterfaceId, RouteTableId, Subnet, SubnetId};
use crate::reach::Cause;
use crate::sandbox::actions::ec2::zones;

/// A private instance behind the same table and the same NAT. It is whom the scene is about from then on.
pub(super) fn behind_the_nat(desk: &mut Desk<'_>, scene: &mut Scene, cause: Cause) -> Result<(), BreakError> {
    let zone = zone_of(desk, &scene.nat.outer_subnet);
    let table = scene.client_table.clone();
    launch(desk, scene, cause, &zone, table)
}

/// A private instance in another zone, with a NAT gateway there as its way out.
pub(super) fn in_another_zone(desk: &mut Desk<'_>, scene: &mut Scene, cause: Cause) -> Result<(), BreakError> {
    let nat_zone = zone_of(desk, &scene.nat.outer_subnet);
    let Some(zone) = zones(&desk.world.region).into_iter().find(|zone| *zone != nat_zone) else {
        return Err(BreakError::NotHere { cause, reason: "the region has one zone" });
    };
    let vpc = scene.vpc.to_string();
    let net = free_net(desk, scene, cause)?;
    let pairs = [("VpcId", vpc.as_str()), ("CidrBlock", net.as_str()), ("AvailabilityZone", zone.as_str())];
    let public = desk.make("CreateSubnet", "subnetId", &pairs)?;
    let pairs = [("RouteTableId", scene.nat.outer_table.as_str()), ("SubnetId", public.as_str())];
    desk.ec2("AssociateRouteTable", &pairs)?;
    let allocation = desk.make("AllocateAddress", "allocationId", &[("Domain", "vpc")])?;
    let pairs = [("SubnetId", public.as_str()), ("AllocationId", allocation.as_str())];
    let gateway = desk.make("CreateNatGateway", "natGatewayId", &pairs)?;
    desk.rest();
    let table = desk.make("CreateRouteTable", "routeTableId", &[("VpcId", &vpc)])?;
    lead_to(desk, &table, "NatGatewayId", &gateway)?;
    launch(desk, scene, cause, &zone, RouteTableId::new(table))
}

fn zone_of(desk: &Desk<'_>, subnet: &SubnetId) -> String {
    desk.world.get::<Subnet>(subnet).map(|subnet| subnet.availability_zone.clone()).unwrap_or_default()
}

/// A /24 of the VPC that no subnet has.
fn free_net(desk: &Desk<'_>, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let taken: Vec<_> = desk.world.all::<Subnet>().filter_map(|subnet| subnet.cidr_block).collect();
    let mut nets = scene.vpc_net.subnets(24).into_iter().flatten().collect::<Vec<_>>();
    nets.retain(|net| !taken.iter().any(|other| other.contains(net) || net.contains(other)));
    let last = nets.last().ok_or(BreakError::NotHere { cause, reason: "the VPC's range has no /24 left" })?;
    Ok(last.to_string())
}

/// Launches what the scene's client is once more, into a new subnet with this table.
fn launch(
    desk: &mut Desk<'_>,
    scene: &mut Scene,
    cause: Cause,
    zone: &str,
    table: RouteTableId,
) -> Result<(), BreakError> {
    let client = desk.world.get::<Instance>(&scene.client).cloned();
    let Some(client) = client else { return Err(BreakError::NoSuchInstance(scene.client.clone())) };
    let net = free_net(desk, scene, cause)?;
    let pairs = [("VpcId", scene.vpc.as_str()), ("CidrBlock", net.as_str()), ("AvailabilityZone", zone)];
    let subnet = desk.make("CreateSubnet", "subnetId", &pairs)?;
    desk.ec2("AssociateRouteTable", &[("RouteTableId", table.as_str()), ("SubnetId", subnet.as_str())])?;
    let group = client.security_group_ids.first().map(ToString::to_string).unwrap_or_default();
    let profile = client.instance_profile_arn.clone().unwrap_or_default();
    let mut pairs = vec![
        ("ImageId", client.image_id.as_str()),
        ("InstanceType", client.instance_type.as_str()),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", &subnet),
        ("SecurityGroupId.1", &group),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "Private-Instance-next-door"),
    ];
    if !profile.is_empty() {
        pairs.push(("IamInstanceProfile.Arn", &profile));
    }
    let instance = InstanceId::new(desk.make("RunInstances", "instanceId", &pairs)?);
    desk.rest();
    let made = desk.world.get::<Instance>(&instance).cloned();
    let interface: Option<NetworkInterfaceId> = made.and_then(|made| made.network_interface_ids.first().cloned());
    let (Some(interface), Ok(net)) = (interface, net.parse()) else {
        return Err(BreakError::NoSuchInstance(instance));
    };
    scene.client = instance;
    scene.client_interface = interface;
    scene.client_subnet = SubnetId::new(subnet);
    scene.client_net = net;
    scene.client_table = table;
    // Replies to a subnet that the NAT has no interface in leave by the outer one, unless the host is told otherwise.
    if scene.nat.has_two_interfaces() {
        let nat = &scene.nat;
        let route = format!("ip route replace {net} via {} dev {}", nat.inner_gateway, nat.inner_device);
        let keep = "[ ! -f /usr/local/sbin/natdeck-nat ] || echo";
        desk.host(&nat.instance, &format!("{route}\n{keep} '{route}' >> /usr/local/sbin/natdeck-nat"))?;
    }
    Ok(())
}
