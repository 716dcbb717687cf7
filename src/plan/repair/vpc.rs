//! Repairs by AWS's API. Pure.

use std::net::IpAddr;

use ipnet::Ipv4Net;

use super::{Change, Draft, Repair, RepairCall, change};
use crate::model::{
    AclAction, AclDirection, AclEntry, InternetGatewayId, Network, NetworkAcl, Protocol, ResourceId, Route,
    RouteDestination, RouteOrigin, RouteState, SecurityGroup, SubnetId, VpcId,
};
use crate::plan::{Call, IngressRule, Ref, RouteVia, RulePeer, StepId, VpcAttribute};
use crate::reach::{Cause, DroppedPacket, Finding};

/// Ports that replies come to: Linux, Windows and what load balancers and NAT gateways use (VPC user guide, "Ephemeral
/// ports").
const EPHEMERAL: (u16, u16) = (1024, 65535);

pub(super) fn repair(finding: &Finding, network: &Network) -> Option<Repair> {
    let draft = match finding.cause {
        Cause::NoRoute
        | Cause::BlackholeRoute
        | Cause::RoutedToOtherEgress
        | Cause::NatGatewayNotAvailable
        | Cause::NatGatewayPrivate
        | Cause::PcxRequiresAddress => route_to_nat(finding, network)?,
        Cause::MainTableApplies => associate(finding, network)?,
        Cause::MoreSpecificRoute => delete_route(finding, network)?,
        Cause::RepliesRedirected => redirect_no_more(finding, network)?,
        Cause::NatSubnetNotPublic => make_public(finding, network)?,
        Cause::IgwNotAttached => attach_gateway(finding)?,
        Cause::VpcBlockPublicAccess => exclude(finding, network)?,
        Cause::NoPublicAddress | Cause::AddressMoved => give_address(finding, network)?,
        Cause::SourceDestCheck | Cause::SourceDestCheckOnReply => check_off(finding)?,
        Cause::EniNotAttached => attach_interface(finding, network)?,
        Cause::NatIngressRule | Cause::SgReferencesNotPreserved => ingress(finding, network)?,
        Cause::NatEgressRule | Cause::ClientEgressRule => egress(finding, network)?,
        Cause::AclPrivateEgress
        | Cause::AclNatIngress
        | Cause::AclNatEgress
        | Cause::AclReplyNatIngress
        | Cause::AclReplyNatEgress
        | Cause::AclReplyPrivateIngress => entry(finding, network)?,
        Cause::NatInstanceStopped => start(finding, network)?,
        Cause::NatStatusCheckFailed => reboot(finding)?,
        Cause::ClientDns => dns(finding)?,
        _ => return None,
    };
    Some(draft.finish(finding))
}

fn route_of<'a>(finding: &Finding, network: &'a Network) -> Option<(&'a Route, Ipv4Net)> {
    let destination = ipv4(finding.subject.destination.as_ref()?)?;
    let table = network.route_tables.get(finding.subject.route_table_id.as_ref()?).ok()??;
    let wanted = RouteDestination::Ipv4(destination);
    Some((table.routes.iter().find(|route| route.destination == wanted)?, destination))
}

fn ipv4(destination: &RouteDestination) -> Option<Ipv4Net> {
    match destination {
        RouteDestination::Ipv4(net) => Some(*net),
        _ => None,
    }
}

fn route_to_nat(finding: &Finding, network: &Network) -> Option<Draft> {
    let subject = &finding.subject;
    let table = subject.route_table_id.clone()?;
    let eni = subject.network_interface_id.clone()?;
    // Only a NAT: the interface must not be the client's own.
    let nat =
        subject.instance_id.clone().filter(|id| subject.flow.as_ref().is_none_or(|flow| flow.instance_id != *id))?;
    let destination = ipv4(subject.destination.as_ref()?)?;
    let via = RouteVia::NetworkInterface(Ref::Existing(eni.clone()));
    let route_table = Ref::Existing(table.clone());
    let title = format!("Point {destination} of {table} at {eni} of the NAT {nat}");
    let what = format!("{table} {destination}");
    Some(match route_of(finding, network) {
        Some((route, _)) => Draft::one(
            title,
            change(what, format!("{} ({})", route.target, route.state), eni.to_string()),
            Call::ReplaceRoute { route_table, destination, via, previous: route.target.clone() },
        ),
        None => Draft::one(
            title,
            change(what, "no route", eni.to_string()),
            Call::CreateRoute { route_table, destination, via },
        ),
    })
}

fn associate(finding: &Finding, network: &Network) -> Option<Draft> {
    let table = finding.subject.route_table_id.clone()?;
    let subnet = finding.subject.subnet_id.clone()?;
    let vpc = finding.subject.vpc_id.as_ref()?;
    let now = network.route_table_of(&subnet, vpc).ok()??;
    let change = change(format!("the table of {subnet}"), format!("{} (main)", now.route_table_id), table.to_string());
    let title = format!("Associate {subnet} with {table}");
    let call = Call::AssociateRouteTable { route_table: Ref::Existing(table), subnet: Ref::Existing(subnet) };
    Some(Draft::one(title, change, call))
}

/// A propagated route cannot be deleted, and prefix lists may serve others: those are left to a person.
fn delete_route(finding: &Finding, network: &Network) -> Option<Draft> {
    let (route, destination) = route_of(finding, network)?;
    if route.origin != RouteOrigin::CreateRoute {
        return None;
    }
    let table = finding.subject.route_table_id.clone()?;
    let change = change(format!("{table} {destination}"), route.target.to_string(), "no route of its own");
    let previous = route.target.clone();
    let title = format!("Delete the route for {destination} from {table}");
    let call = Call::Repair(Box::new(RepairCall::DeleteRoute { route_table: table, destination, previous }));
    Some(Draft::one(title, change, call))
}

/// Only where there is no appliance any more. One that runs was meant to see the replies: whether it should see the
/// packets too is for a person to say.
fn redirect_no_more(finding: &Finding, network: &Network) -> Option<Draft> {
    let (route, destination) = route_of(finding, network)?;
    if route.state != RouteState::Blackhole {
        return None;
    }
    let target = route.target.clone();
    let caution = format!(
        "what the internet gateway brings in for {destination} is led to {target} no more, also when that works again"
    );
    Some(delete_route(finding, network)?.caution(Some(caution)))
}

fn make_public(finding: &Finding, network: &Network) -> Option<Draft> {
    let subject = &finding.subject;
    let table = subject.route_table_id.clone()?;
    if subject.destination.is_none() {
        let subnet = subject.subnet_id.clone()?;
        let now = network.route_table_of(&subnet, subject.vpc_id.as_ref()?).ok()??;
        if now.subnet_ids().any(|id| *id == subnet) {
            // AssociateRouteTable would be refused; taking the association away is for a person.
            return None;
        }
        let change = change(format!("the table of {subnet}"), now.route_table_id.to_string(), table.to_string());
        let title = format!("Associate the NAT's subnet {subnet} with the public table {table}");
        let call = Call::AssociateRouteTable { route_table: Ref::Existing(table), subnet: Ref::Existing(subnet) };
        return Some(Draft::one(title, change, call));
    }
    let gateway = subject.internet_gateway_id.clone()?;
    let destination = Ipv4Net::default();
    let via = RouteVia::InternetGateway(Ref::Existing(gateway.clone()));
    let route_table = Ref::Existing(table.clone());
    let title = format!("Point {destination} of the NAT's table {table} at {gateway}");
    let what = format!("{table} {destination}");
    let mut draft = match route_of(finding, network) {
        Some((route, _)) => Draft::one(
            title,
            change(what, format!("{} ({})", route.target, route.state), gateway.to_string()),
            Call::ReplaceRoute { route_table, destination, via, previous: route.target.clone() },
        ),
        None => Draft::one(
            title,
            change(what, "no route", gateway.to_string()),
            Call::CreateRoute { route_table, destination, via },
        ),
    };
    // AWS refuses a route to a gateway that is not attached to the table's VPC.
    let vpc = subject.vpc_id.clone()?;
    let found = network.internet_gateways.get(&gateway).ok()??;
    if !found.attachments.iter().any(|attachment| attachment.vpc_id == vpc) {
        let (change, call) = attach(gateway, vpc);
        draft.changes.insert(0, change);
        draft.calls.insert(0, call);
    }
    Some(draft)
}

fn attach_gateway(finding: &Finding) -> Option<Draft> {
    let gateway = finding.subject.internet_gateway_id.clone()?;
    let vpc = finding.subject.vpc_id.clone()?;
    let title = format!("Attach {gateway} to {vpc}");
    let (change, call) = attach(gateway, vpc);
    Some(Draft::one(title, change, call))
}

fn attach(gateway: InternetGatewayId, vpc: VpcId) -> (Change, Call) {
    let change = change(format!("{gateway} Attachments[]"), "none", vpc.to_string());
    (change, Call::AttachInternetGateway { internet_gateway: Ref::Existing(gateway), vpc: Ref::Existing(vpc) })
}

/// The one subnet, and not the VPC: nothing else in it needs an internet gateway for the clients' sake.
fn exclude(finding: &Finding, network: &Network) -> Option<Draft> {
    let subnet = finding.subject.subnet_id.clone()?;
    // A client that a wrong route leads to the gateway needs its route put right, not its subnet opened.
    let client = &finding.subject.flow.as_ref()?.instance_id;
    if network.interfaces_of(client).ok()?.iter().any(|interface| interface.subnet_id == subnet) {
        return None;
    }
    let what = format!("Block Public Access for {subnet}");
    let change = change(what, "blocked", "excluded (allow-bidirectional)");
    let title = format!("Exclude the NAT's subnet {subnet} from VPC Block Public Access");
    let caution = format!(
        "widens what the region allows: what has a public address in {subnet} reaches the internet and can be \
         reached from it, as its groups let it, against what somebody switched on for the whole region"
    );
    let call = Call::Repair(Box::new(RepairCall::CreateBlockPublicAccessExclusion { subnet }));
    Some(Draft::one(title, change, call).caution(Some(caution)))
}

fn give_address(finding: &Finding, network: &Network) -> Option<Draft> {
    let subject = &finding.subject;
    let eni = subject.network_interface_id.clone()?;
    let what = format!("{eni} Association");
    if let Some(id) = subject.allocation_id.clone() {
        let address = network.addresses.get(&id).ok()??;
        let after = format!("{} ({id})", address.public_ip);
        let held = address.network_interface_id.clone().filter(|held| *held != eni);
        let title = match &held {
            Some(held) => format!("Move {} from {held} back to {eni}", address.public_ip),
            None => format!("Associate {} with {eni}", address.public_ip),
        };
        let call = match held.clone() {
            Some(previous) => Call::Repair(Box::new(RepairCall::MoveAddress {
                allocation_id: id,
                network_interface: eni,
                previous: Some(previous),
            })),
            None => Call::AssociateAddress { address: Ref::Existing(id), network_interface: Ref::Existing(eni) },
        };
        let caution = held.map(|held| format!("{held} loses this address: what uses it there loses its way out or in"));
        return Some(Draft::one(title, change(what, "none", after), call).caution(caution));
    }
    let title = format!("Allocate an Elastic IP and associate it with {eni}");
    let first = StepId::new("repair-1");
    let associate = Call::AssociateAddress { address: Ref::Made(first), network_interface: Ref::Existing(eni) };
    let mut draft = Draft::one(title, change(what, "none", "a new Elastic IP"), Call::AllocateAddress);
    draft.calls.push(associate);
    Some(draft)
}

fn check_off(finding: &Finding) -> Option<Draft> {
    let eni = finding.subject.network_interface_id.clone()?;
    let change = change(format!("{eni} SourceDestCheck"), "true", "false");
    let title = format!("Switch the source/destination check of {eni} off");
    let call =
        Call::ModifyNetworkInterfaceAttribute { network_interface: Ref::Existing(eni), source_dest_check: false };
    Some(Draft::one(title, change, call))
}

fn attach_interface(finding: &Finding, network: &Network) -> Option<Draft> {
    let eni = finding.subject.network_interface_id.clone()?;
    let instance = finding.subject.instance_id.clone()?;
    let own = network.interfaces_of(&instance).ok()?;
    let used: Vec<u32> = own.iter().filter_map(|i| Some(i.attachment.as_ref()?.device_index)).collect();
    let device_index = (1..).find(|index| !used.contains(index))?;
    let change = change(format!("{eni} Status"), "available", format!("in-use by {instance}, device {device_index}"));
    let title = format!("Attach {eni} to {instance} as device {device_index}");
    let call = Call::AttachNetworkInterface {
        network_interface: Ref::Existing(eni),
        instance: Ref::Existing(instance),
        device_index,
    };
    Some(Draft::one(title, change, call))
}

/// The private subnet of the flow.
pub(super) fn client_subnet(finding: &Finding, network: &Network) -> Option<(SubnetId, Ipv4Net)> {
    let client = &finding.subject.flow.as_ref()?.instance_id;
    let interface = network.interfaces_of(client).ok()?.first().copied()?;
    let subnet = network.subnets.get(&interface.subnet_id).ok()??;
    Some((subnet.subnet_id.clone(), subnet.cidr_block?))
}

fn shown_rules(group: &SecurityGroup, ingress: bool) -> String {
    let count = if ingress { group.ingress().count() } else { group.egress().count() };
    format!("{count} rules, none for this packet")
}

/// Ports of the packet. ICMP and the like have none.
fn ports(packet: &DroppedPacket) -> Option<(u16, u16)> {
    packet.protocol.has_ports().then_some((packet.destination_port, packet.destination_port))
}

fn shown(protocol: Protocol, ports: Option<(u16, u16)>) -> String {
    match ports {
        Some((first, last)) if first == last => format!("{protocol} {first}"),
        Some((first, last)) => format!("{protocol} {first}-{last}"),
        None => protocol.to_string(),
    }
}

/// A NAT forwards every protocol that its clients speak, so its group lets the private subnet in with all of them:
/// nothing more than the subnet is let in.
fn ingress(finding: &Finding, network: &Network) -> Option<Draft> {
    let id = finding.subject.security_group_id.clone()?;
    let group = network.security_groups.get(&id).ok()??;
    let (subnet, cidr) = client_subnet(finding, network)?;
    let rule = IngressRule {
        protocol: Protocol::All,
        ports: None,
        peer: RulePeer::Ipv4(cidr),
        description: "From the private subnet, to be forwarded".to_owned(),
    };
    let change =
        change(format!("{id} IpPermissions"), shown_rules(group, true), format!("and all traffic from {cidr}"));
    let title = format!("Let {subnet} ({cidr}) into {id}");
    let call = Call::AuthorizeSecurityGroupIngress { group: Ref::Existing(id), rule };
    let caution = Some(format!(
        "widens {}: all protocols and ports are let in from {cidr}, and from nowhere else",
        group.group_id
    ));
    Some(Draft::one(title, change, call).caution(caution))
}

/// The protocol and port of the packet that was asked for, and no more, also where the group's egress rules were emptied:
/// that a NAT's group let everything out before is likely (it is what AWS gives a new group, and what most guides write)
/// and cannot be seen, since nothing keeps the old rules, while AWS's own guide to NAT instances lets out 80 and 443
/// alone. Opening the group for everything would be opening it to the world on a guess. What stays blocked is said.
fn egress(finding: &Finding, network: &Network) -> Option<Draft> {
    let packet = finding.subject.packet?;
    let id = finding.subject.security_group_id.clone()?;
    let group = network.security_groups.get(&id).ok()??;
    let ports = ports(&packet);
    let rule = IngressRule {
        protocol: packet.protocol,
        ports,
        peer: RulePeer::Ipv4(Ipv4Net::default()),
        description: "Out through the NAT".to_owned(),
    };
    let what = shown(packet.protocol, ports);
    let change =
        change(format!("{id} IpPermissionsEgress"), shown_rules(group, false), format!("and {what} to 0.0.0.0/0"));
    let title = format!("Let {what} out of {id}");
    let caution = Some(format!(
        "widens {id}: {what} is let out to the whole internet from every interface in it. Other ports and protocols stay \
         blocked where no rule names them; a group as AWS makes it lets everything out"
    ));
    let call = Call::Repair(Box::new(RepairCall::AuthorizeSecurityGroupEgress { group: id, rule }));
    Some(Draft::one(title, change, call).caution(caution))
}

/// An entry ahead of the one that denies, for this direction, protocol and port, and the private subnet where that is
/// one of the ends.
fn entry(finding: &Finding, network: &Network) -> Option<Draft> {
    let packet = finding.subject.packet?;
    let id = finding.subject.network_acl_id.clone()?;
    let acl = network.network_acls.get(&id).ok()??;
    let (_, private) = client_subnet(finding, network)?;
    let (direction, reply) = match finding.cause {
        Cause::AclPrivateEgress | Cause::AclNatEgress => (AclDirection::Egress, false),
        Cause::AclNatIngress => (AclDirection::Ingress, false),
        Cause::AclReplyNatEgress => (AclDirection::Egress, true),
        _ => (AclDirection::Ingress, true),
    };
    let peer = if direction == AclDirection::Ingress { packet.source } else { packet.destination };
    let IpAddr::V4(address) = peer else { return None };
    let net = if private.contains(&address) { private } else { Ipv4Net::default() };
    let ports = if reply && packet.protocol.has_ports() { Some(EPHEMERAL) } else { ports(&packet) };
    let rule_number = number_before(acl, direction, finding)?;
    let entry = AclEntry {
        rule_number,
        direction,
        action: AclAction::Allow,
        protocol: packet.protocol,
        cidr_block: Some(net),
        ipv6_cidr_block: None,
        port_range: ports,
        icmp_type_code: matches!(packet.protocol, Protocol::Icmp).then_some((-1, -1)),
    };
    let what = shown(packet.protocol, ports);
    let (way, end) = match direction {
        AclDirection::Ingress => ("in", format!("from {net}")),
        AclDirection::Egress => ("out", format!("to {net}")),
    };
    let subnets: Vec<&str> = acl.subnet_ids.iter().map(SubnetId::as_str).collect();
    let change: Change = change(
        format!("{id} Entries[] ({way})"),
        format!("denies {what} {end}"),
        format!("entry {rule_number} allows {what} {end}"),
    );
    let title = format!("Let {what} {way} {end} through {id}");
    let world = net.prefix_len() == 0;
    let caution = (world || acl.subnet_ids.len() > 1).then(|| {
        let whom = if world { "the whole internet".to_owned() } else { net.to_string() };
        format!(
            "widens {}: {what} passes {way} for {whom}, in every subnet of this ACL: {}",
            acl.network_acl_id,
            subnets.join(", ")
        )
    });
    let call = Call::Repair(Box::new(RepairCall::CreateNetworkAclEntry { network_acl: id, entry }));
    Some(Draft::one(title, change, call).caution(caution))
}

/// A free number below that of the entry that denies. `None`: it is 1, so that nothing can come before it.
fn number_before(acl: &NetworkAcl, direction: AclDirection, finding: &Finding) -> Option<u32> {
    let decides = finding.evidence.iter().find_map(|evidence| {
        let rest = evidence.text.split("RuleNumber = ").nth(1)?;
        rest.split(',').next()?.trim().parse::<u32>().ok()
    });
    let limit = decides.unwrap_or(32_767);
    let used = |number: &u32| acl.entries.iter().any(|e| e.direction == direction && e.rule_number == *number);
    // Room is left on both sides where there is room.
    let start = if limit > 100 { 90.min(limit - 1) } else { limit.checked_sub(1)? };
    (1..=start).rev().find(|number| !used(number))
}

fn start(finding: &Finding, network: &Network) -> Option<Draft> {
    let instance = finding.subject.instance_id.clone()?;
    let state = network.instances.get(&instance).ok()??.state.clone();
    if state != crate::model::InstanceState::Stopped && state != crate::model::InstanceState::Stopping {
        return None;
    }
    let title = format!("Start the NAT {instance}");
    let change = change(format!("{instance} State"), state.to_string(), "running");
    Some(Draft::one(title, change, Call::Repair(Box::new(RepairCall::StartInstances { instance }))))
}

fn reboot(finding: &Finding) -> Option<Draft> {
    let instance = finding.subject.instance_id.clone()?;
    let title = format!("Reboot the NAT {instance}");
    let change = change(format!("{instance} InstanceStatus.Status"), "impaired", "rebooted");
    let caution = Some(format!(
        "everything that runs on {instance} is interrupted while it boots, and what was changed on it at run time and \
         kept nowhere is lost"
    ));
    Some(Draft::one(title, change, Call::Repair(Box::new(RepairCall::RebootInstances { instance }))).caution(caution))
}

/// The VPC's resolver, when it is what is switched off.
fn dns(finding: &Finding) -> Option<Draft> {
    let resource: &ResourceId = finding.resource_id.as_ref()?;
    let vpc = finding.subject.vpc_id.clone().filter(|vpc| vpc.as_str() == resource.as_str())?;
    let title = format!("Switch the resolver of {vpc} on");
    let change = change(format!("{vpc} EnableDnsSupport"), "false", "true");
    let call =
        Call::ModifyVpcAttribute { vpc: Ref::Existing(vpc), attribute: VpcAttribute::EnableDnsSupport, value: true };
    Some(Draft::one(title, change, call))
}
