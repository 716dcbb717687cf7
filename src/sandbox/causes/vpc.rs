//! What breaks in the VPC: routes, gateways, addresses, interfaces, groups, instances.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::{BreakError, Scene};
use crate::model::{
    Address, Instance, InternetGateway, NatGateway, NatGatewayId, NatGatewayState, NetworkInterface,
    NetworkInterfaceId, RouteTable, RuleDirection, SecurityGroup, StatusCheck, Subnet, SubnetId, Vpc,
};
use crate::reach::Cause;

const ANYWHERE: &str = "0.0.0.0/0";

fn public_nat_gateway(desk: &mut Desk<'_>, subnet: &str) -> Result<String, BreakError> {
    let allocation = desk.make("AllocateAddress", "allocationId", &[("Domain", "vpc")])?;
    desk.make("CreateNatGateway", "natGatewayId", &[("SubnetId", subnet), ("AllocationId", &allocation)])
}

/// What a cause needs and a healthy world may lack.
pub(super) fn stage(desk: &mut Desk<'_>, scene: &mut Scene, cause: Cause) -> Result<(), BreakError> {
    let outer_subnet = scene.nat.outer_subnet.to_string();
    match cause {
        Cause::RoutedToOtherEgress => {
            scene.made.insert(cause, public_nat_gateway(desk, &outer_subnet)?);
        }
        Cause::NatGatewayNotAvailable => {
            let gateway = public_nat_gateway(desk, &outer_subnet)?;
            // AWS takes the request and fails afterwards. Of its reasons this one is nobody's fault.
            let message = "Network interface, created and used internally by this NAT gateway is in an invalid state. \
                           Please try again.";
            desk.world.nat_gateway_fails(&NatGatewayId::new(&gateway), "InternalError", message);
            scene.made.insert(cause, gateway);
        }
        Cause::NatGatewayPrivate => {
            let pairs = [("SubnetId", outer_subnet.as_str()), ("ConnectivityType", "private")];
            scene.made.insert(cause, desk.make("CreateNatGateway", "natGatewayId", &pairs)?);
        }
        Cause::RepliesRedirected => {
            // A table with nothing but the VPC's own range redirects nothing.
            let table = desk.make("CreateRouteTable", "routeTableId", &[("VpcId", scene.vpc.as_str())])?;
            let pairs = [("RouteTableId", table.as_str()), ("GatewayId", scene.internet_gateway.as_str())];
            desk.ec2("AssociateRouteTable", &pairs)?;
            scene.made.insert(cause, spare_interface(desk, &scene.client_subnet)?);
        }
        Cause::AddressMoved => {
            own_elastic_ip(desk, scene)?;
            let pairs = [("SubnetId", outer_subnet.as_str()), ("Description", "standby")];
            scene.made.insert(cause, desk.make("CreateNetworkInterface", "networkInterfaceId", &pairs)?);
        }
        Cause::PcxRequiresAddress => {
            let peer = desk.make("CreateVpc", "vpcId", &[("CidrBlock", "10.200.0.0/16")])?;
            let pairs = [("VpcId", scene.vpc.as_str()), ("PeerVpcId", &peer)];
            let id = desk.make("CreateVpcPeeringConnection", "vpcPeeringConnectionId", &pairs)?;
            desk.ec2("AcceptVpcPeeringConnection", &[("VpcPeeringConnectionId", &id)])?;
            scene.made.insert(cause, id);
        }
        _ => {}
    }
    Ok(())
}

/// Sees to it that the NAT's address is an Elastic IP that bears its name.
fn own_elastic_ip(desk: &mut Desk<'_>, scene: &Scene) -> Result<(), BreakError> {
    let outer = &scene.nat.outer;
    if address_of(desk, outer).is_some() {
        return Ok(());
    }
    let name =
        desk.world.get::<Instance>(&scene.nat.instance).and_then(|one| one.tags.name()).unwrap_or("nat").to_owned();
    let tags = [
        ("Domain", "vpc"),
        ("TagSpecification.1.ResourceType", "elastic-ip"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", &name),
    ];
    let allocation = desk.make("AllocateAddress", "allocationId", &tags)?;
    let pairs = [("AllocationId", allocation.as_str()), ("NetworkInterfaceId", outer.as_str())];
    desk.ec2("AssociateAddress", &pairs).map(|_| ())
}

fn address_of(desk: &Desk<'_>, interface: &NetworkInterfaceId) -> Option<Address> {
    desk.world.all::<Address>().find(|address| address.network_interface_id.as_ref() == Some(interface)).cloned()
}

pub(super) fn inject(desk: &mut Desk<'_>, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let table = scene.client_table.as_str();
    let gateway = scene.internet_gateway.as_str();
    let not_here = |reason| BreakError::NotHere { cause, reason };
    let other = || scene.made.get(&cause).cloned().ok_or(not_here("what it needs was not made"));
    match cause {
        Cause::NoRoute => {
            desk.ec2("DeleteRoute", &[("RouteTableId", table), ("DestinationCidrBlock", ANYWHERE)])?;
            Ok(format!("{table} has no default route any more"))
        }
        Cause::BlackholeRoute => {
            let spare = spare_interface(desk, &scene.client_subnet)?;
            lead_to(desk, table, "NetworkInterfaceId", &spare)?;
            desk.ec2("DeleteNetworkInterface", &[("NetworkInterfaceId", &spare)])?;
            Ok(format!("the default route of {table} leads to {spare}, which was deleted"))
        }
        Cause::MainTableApplies => {
            let of = desk.world.get::<RouteTable>(&scene.client_table).map(|table| table.associations.clone());
            let association =
                of.unwrap_or_default().into_iter().find(|a| a.subnet_id.as_ref() == Some(&scene.client_subnet));
            let Some(association) = association else { return Err(not_here("the subnet uses the main table already")) };
            desk.ec2("DisassociateRouteTable", &[("AssociationId", association.association_id.as_str())])?;
            Ok(format!("{} is not associated with {table} any more", scene.client_subnet))
        }
        Cause::MoreSpecificRoute => {
            let pairs = [("RouteTableId", table), ("DestinationCidrBlock", "0.0.0.0/1"), ("GatewayId", gateway)];
            desk.ec2("CreateRoute", &pairs)?;
            Ok(format!("{table} sends 0.0.0.0/1 to {gateway}"))
        }
        Cause::RoutedToOtherEgress => {
            let id = other()?;
            let ready = |g: &&NatGateway| g.nat_gateway_id.as_str() == id && g.state == NatGatewayState::Available;
            if !desk.world.all::<NatGateway>().any(|g| ready(&g)) {
                return Err(not_here("the NAT gateway is not available"));
            }
            lead_to(desk, table, "NatGatewayId", &id)?;
            Ok(format!("the default route of {table} leads to {id}"))
        }
        Cause::NatGatewayNotAvailable | Cause::NatGatewayPrivate => {
            let id = other()?;
            lead_to(desk, table, "NatGatewayId", &id)?;
            Ok(format!("the default route of {table} leads to {id}"))
        }
        Cause::NatSubnetNotPublic => {
            let table = scene.nat.outer_table.as_str();
            desk.ec2("DeleteRoute", &[("RouteTableId", table), ("DestinationCidrBlock", ANYWHERE)])?;
            Ok(format!("{table}, the table of the NAT's subnet, has no default route any more"))
        }
        Cause::IgwNotAttached => {
            // AWS refuses to detach a gateway while public addresses depend on it. Found all the same: detached before
            // they were given, or by an operation on AWS's side.
            if let Some(gateway) = desk.world.get_mut::<InternetGateway>(&scene.internet_gateway) {
                gateway.attachments.clear();
            }
            Ok(format!("{gateway} is detached from {}", scene.vpc))
        }
        Cause::VpcBlockPublicAccess => {
            desk.ec2("ModifyVpcBlockPublicAccessOptions", &[("InternetGatewayBlockMode", "block-bidirectional")])?;
            Ok("VPC Block Public Access is on: InternetGatewayBlockMode = block-bidirectional".to_owned())
        }
        Cause::RepliesRedirected => {
            let appliance = other()?;
            let of_gateway = |table: &&RouteTable| {
                table.associations.iter().any(|a| a.gateway_id.as_deref() == Some(scene.internet_gateway.as_str()))
            };
            let table = desk.world.all::<RouteTable>().find(of_gateway).map(|table| table.route_table_id.to_string());
            let net = desk.world.get::<Subnet>(&scene.nat.outer_subnet).and_then(|subnet| subnet.cidr_block);
            let (Some(table), Some(net)) = (table, net) else {
                return Err(not_here("the internet gateway has no table of its own"));
            };
            let net = net.to_string();
            let pairs =
                [("RouteTableId", table.as_str()), ("DestinationCidrBlock", &net), ("NetworkInterfaceId", &appliance)];
            desk.ec2("CreateRoute", &pairs)?;
            Ok(format!("{table} of {gateway} sends what comes in for {net} to {appliance}, which no instance holds"))
        }
        Cause::NoPublicAddress => no_public_address(desk, scene),
        Cause::AddressMoved => {
            let Some(address) = address_of(desk, &scene.nat.outer) else {
                return Err(not_here("the NAT has no Elastic IP"));
            };
            let to = other()?;
            let allocation = address.allocation_id.as_str();
            let pairs = [("AllocationId", allocation), ("NetworkInterfaceId", &to), ("AllowReassociation", "true")];
            desk.ec2("AssociateAddress", &pairs)?;
            Ok(format!("{} ({allocation}) is associated with {to} now", address.public_ip))
        }
        Cause::SourceDestCheck => check_on(desk, &scene.nat.inner),
        Cause::SourceDestCheckOnReply => check_on(desk, &scene.nat.outer),
        Cause::EniNotAttached => eni_not_attached(desk, scene),
        Cause::NatIngressRule => revoke(desk, &scene.nat.inner, RuleDirection::Ingress),
        Cause::NatEgressRule => revoke(desk, &scene.nat.outer, RuleDirection::Egress),
        Cause::ClientEgressRule => {
            let did = revoke(desk, &scene.client_interface, RuleDirection::Egress)?;
            let Some(group) = Scene::groups_of(desk.world, &scene.client_interface).first().cloned() else {
                return Ok(did);
            };
            let net = scene.vpc_net.to_string();
            let pairs = [
                ("GroupId", group.as_str()),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", &net),
            ];
            desk.ec2("AuthorizeSecurityGroupEgress", &pairs)?;
            Ok(format!("{group} lets out what stays in {net}, and nothing else"))
        }
        Cause::PcxRequiresAddress => {
            let id = other()?;
            lead_to(desk, table, "VpcPeeringConnectionId", &id)?;
            Ok(format!("the default route of {table} leads to {id}"))
        }
        Cause::NatInstanceStopped => {
            desk.ec2("StopInstances", &[("InstanceId.1", scene.nat.instance.as_str())])?;
            Ok(format!("{} is stopped", scene.nat.instance))
        }
        Cause::ClientNotRunning => {
            desk.ec2("StopInstances", &[("InstanceId.1", scene.client.as_str())])?;
            Ok(format!("{} is stopped", scene.client))
        }
        Cause::NatStatusCheckFailed => {
            if let Some(instance) = desk.world.get_mut::<Instance>(&scene.nat.instance) {
                instance.instance_status = Some(StatusCheck::Impaired);
            }
            Ok(format!("{} hangs: it runs and fails its instance status check", scene.nat.instance))
        }
        Cause::NatInOtherZone => {
            let target = scene.nat.inner.to_string();
            lead_to(desk, table, "NetworkInterfaceId", &target)?;
            Ok(format!("{table} leads {} to {} in another zone", scene.client, scene.nat.instance))
        }
        Cause::Ipv6OnlyClient => ipv6_only(desk, scene),
        Cause::ClientDns => {
            let pairs = [("VpcId", scene.vpc.as_str()), ("EnableDnsSupport.Value", "false")];
            desk.ec2("ModifyVpcAttribute", &pairs)?;
            Ok(format!("the resolver of {} is switched off: EnableDnsSupport = false", scene.vpc))
        }
        Cause::SgReferencesNotPreserved => {
            Err(not_here("it needs a NAT behind a transit gateway, which the sandbox does not have"))
        }
        _ => Err(not_here("the sandbox cannot make it happen")),
    }
}

pub(super) fn lead_to(desk: &mut Desk<'_>, table: &str, kind: &str, id: &str) -> Result<(), BreakError> {
    let pairs = [("RouteTableId", table), ("DestinationCidrBlock", ANYWHERE), (kind, id)];
    let gone =
        |error: &BreakError| matches!(error, BreakError::Refused { answer, .. } if answer.contains("no route defined"));
    match desk.ec2("ReplaceRoute", &pairs) {
        Err(error) if gone(&error) => desk.ec2("CreateRoute", &pairs).map(|_| ()),
        other => other.map(|_| ()),
    }
}

fn spare_interface(desk: &mut Desk<'_>, subnet: &SubnetId) -> Result<String, BreakError> {
    desk.make("CreateNetworkInterface", "networkInterfaceId", &[("SubnetId", subnet.as_str())])
}

fn no_public_address(desk: &mut Desk<'_>, scene: &Scene) -> Result<String, BreakError> {
    let outer = &scene.nat.outer;
    if let Some(address) = address_of(desk, outer) {
        if let Some(association) = &address.association_id {
            desk.ec2("DisassociateAddress", &[("AssociationId", association.as_str())])?;
        }
        desk.ec2("ReleaseAddress", &[("AllocationId", address.allocation_id.as_str())])?;
    }
    // An address that was assigned at launch goes with a stop, and none comes with the next start when there are two
    // interfaces.
    if let Some(interface) = desk.world.get_mut::<NetworkInterface>(outer) {
        interface.association = None;
    }
    if let Some(record) = desk.world.records.interfaces.get_mut(outer) {
        record.auto_public_ip = false;
    }
    Ok(format!("{outer} has no public address any more"))
}

fn check_on(desk: &mut Desk<'_>, interface: &NetworkInterfaceId) -> Result<String, BreakError> {
    let pairs = [("NetworkInterfaceId", interface.as_str()), ("SourceDestCheck.Value", "true")];
    desk.ec2("ModifyNetworkInterfaceAttribute", &pairs)?;
    Ok(format!("the source/destination check of {interface} is on"))
}

fn eni_not_attached(desk: &mut Desk<'_>, scene: &Scene) -> Result<String, BreakError> {
    let inner = &scene.nat.inner;
    let device = desk.world.get::<NetworkInterface>(inner).and_then(|one| one.attachment.clone());
    match device.filter(|attachment| attachment.device_index > 0).map(|attachment| attachment.attachment_id) {
        Some(attachment) => {
            desk.ec2("DetachNetworkInterface", &[("AttachmentId", attachment.as_str()), ("Force", "true")])?;
            Ok(format!("{inner} is detached from {}", scene.nat.instance))
        }
        None => Err(BreakError::NotHere {
            cause: Cause::EniNotAttached,
            reason: "the NAT has one interface, and the primary one cannot be detached",
        }),
    }
}

/// Revokes every rule of an interface's groups in one direction.
pub(super) fn revoke(
    desk: &mut Desk<'_>,
    interface: &NetworkInterfaceId,
    direction: RuleDirection,
) -> Result<String, BreakError> {
    let (action, kind) = match direction {
        RuleDirection::Ingress => ("RevokeSecurityGroupIngress", "ingress"),
        RuleDirection::Egress => ("RevokeSecurityGroupEgress", "egress"),
    };
    let groups: BTreeSet<_> = Scene::groups_of(desk.world, interface).into_iter().collect();
    for group in &groups {
        let rules: Vec<String> = desk
            .world
            .get::<SecurityGroup>(group)
            .map(|group| group.rules.iter().filter(|rule| rule.direction == direction))
            .into_iter()
            .flatten()
            .filter_map(|rule| rule.rule_id.as_ref().map(ToString::to_string))
            .collect();
        for rule in rules {
            desk.ec2(action, &[("GroupId", group.as_str()), ("SecurityGroupRuleId.1", &rule)])?;
        }
    }
    let names: Vec<&str> = groups.iter().map(crate::model::SecurityGroupId::as_str).collect();
    Ok(format!("{} has no {kind} rules any more", names.join(", ")))
}

/// The private instance as one that was launched into an IPv6-only subnet: AWS cannot change that afterwards, and
/// neither is there a request for it.
fn ipv6_only(desk: &mut Desk<'_>, scene: &Scene) -> Result<String, BreakError> {
    use std::net::Ipv6Addr;

    let nth = u16::try_from(desk.world.all::<Subnet>().count()).unwrap_or(0);
    let of_vpc = ipnet::Ipv6Net::new(Ipv6Addr::new(0x2a05, 0xd014, 0x0a1, 0x4200, 0, 0, 0, 0), 56);
    let block = ipnet::Ipv6Net::new(Ipv6Addr::new(0x2a05, 0xd014, 0x0a1, 0x4200 + nth, 0, 0, 0, 0), 64);
    let address = Ipv6Addr::new(0x2a05, 0xd014, 0x0a1, 0x4200 + nth, 0, 0, 0, 0x10);
    let (Ok(of_vpc), Ok(block)) = (of_vpc, block) else {
        return Err(BreakError::NotHere { cause: Cause::Ipv6OnlyClient, reason: "no IPv6 range" });
    };
    let subnet_id = SubnetId::new(desk.world.new_id("subnet-"));
    if let Some(vpc) = desk.world.get_mut::<Vpc>(&scene.vpc)
        && vpc.ipv6_cidr_blocks.is_empty()
    {
        vpc.ipv6_cidr_blocks.push(of_vpc);
    }
    let Some(mut subnet) = desk.world.get::<Subnet>(&scene.client_subnet).cloned() else {
        return Err(BreakError::NotHere { cause: Cause::Ipv6OnlyClient, reason: "the subnet is gone" });
    };
    subnet.subnet_id = subnet_id.clone();
    subnet.cidr_block = None;
    subnet.ipv6_cidr_blocks = vec![block];
    subnet.tags = crate::model::Tags::default();
    desk.world.insert(subnet);
    let acls = desk.world.network.network_acls.items_mut().values_mut();
    acls.filter(|acl| acl.subnet_ids.contains(&scene.client_subnet))
        .for_each(|acl| acl.subnet_ids.push(subnet_id.clone()));
    let pairs = [("RouteTableId", scene.client_table.as_str()), ("SubnetId", subnet_id.as_str())];
    desk.ec2("AssociateRouteTable", &pairs)?;
    if let Some(interface) = desk.world.get_mut::<NetworkInterface>(&scene.client_interface) {
        interface.subnet_id = subnet_id.clone();
        interface.private_ip = None;
        interface.ipv6_addresses = vec![address];
    }
    if let Some(instance) = desk.world.get_mut::<Instance>(&scene.client) {
        instance.subnet_id = Some(subnet_id.clone());
        instance.private_ip = None;
    }
    desk.host(
        &scene.client,
        &format!(
            "ip -4 addr flush dev ens5 || ip -4 addr flush dev eth0\nip -6 addr add {address}/128 dev ens5 || true\nip \
             -6 route add default via fe80::1 dev ens5 || true"
        ),
    )?;
    Ok(format!("{} is in {subnet_id}, which has no IPv4", scene.client))
}
