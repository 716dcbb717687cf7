//! Causes in the VPC.

use super::assert_dropped;
use super::world::*;
use crate::model::*;
use crate::reach::{Code, Component, Direction, WayOut, way_out};

fn igw() -> RouteTarget {
    RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new))
}

pub(super) fn without_default_route(world: &mut Lab, table: &str) {
    world.table_mut(table).routes.retain(|route| !route.destination.is_ipv4_default());
}

#[test]
fn no_default_route_drops_at_the_private_table() {
    let mut world = Lab::article();
    without_default_route(&mut world, "rtb-private");
    let trace = world.https();
    assert_dropped(&trace, Code::NoRouteToDestination, "Routes[] = [10.8.0.0/16 -> local");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "rtb-private");
    assert!(!trace.refused && trace.address.is_none());
    let way = way_out(&world.network, &id("i-client", InstanceId::new)).unwrap();
    assert!(matches!(way, WayOut::None { code: Code::NoRouteToDestination, .. }));
}

#[test]
fn a_blackhole_route_drops() {
    let mut world = Lab::article();
    world.default_route("rtb-private").state = RouteState::Blackhole;
    world.default_route("rtb-private").target = eni_target("eni-gone");
    assert_dropped(&world.https(), Code::BlackholeRoute, "State = blackhole");
}

#[test]
fn a_blackhole_whose_nat_is_stopped_names_the_nat() {
    let mut world = Lab::article();
    world.default_route("rtb-private").state = RouteState::Blackhole;
    world.instance_mut("i-nat").state = InstanceState::Stopped;
    let trace = world.https();
    assert_dropped(&trace, Code::NatInstanceStopped, "State = stopped");
    assert_dropped(&trace, Code::NatInstanceStopped, "State = blackhole");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "i-nat");
}

#[test]
fn a_stopped_nat_takes_no_packets_even_while_its_route_is_active() {
    let mut world = Lab::article();
    world.instance_mut("i-nat").state = InstanceState::Stopping;
    assert_dropped(&world.https(), Code::NatInstanceStopped, "State = stopping");
}

#[test]
fn an_interface_that_is_not_attached_drops() {
    for state in [RouteState::Active, RouteState::Blackhole] {
        let mut world = Lab::article();
        world.default_route("rtb-private").state = state;
        world.eni("eni-inner").attachment = None;
        world.eni("eni-inner").status = InterfaceStatus::Available;
        assert_dropped(&world.https(), Code::EniNotAttached, "Status = available");
    }
}

#[test]
fn the_main_table_applies_where_the_edited_one_has_no_association() {
    let mut world = Lab::article();
    world.table_mut("rtb-private").associations.clear();
    let trace = world.https();
    assert_dropped(&trace, Code::MainTableApplies, "Main = true");
    assert!(trace.stop().unwrap().evidence.iter().any(|e| e.source.ends_with("rtb-private")));
    // The same when the main table leads to the internet gateway, where a private address goes nowhere.
    world.route("rtb-main", "0.0.0.0/0", igw());
    assert_dropped(&world.https(), Code::MainTableApplies, "Main = true");
}

#[test]
fn a_table_without_default_route_that_applies_to_nothing_was_meant_where_the_main_one_was_never_edited() {
    let mut world = Lab::article();
    world.table_mut("rtb-private").associations.clear();
    without_default_route(&mut world, "rtb-private");
    assert_dropped(&world.https(), Code::MainTableApplies, "Main = true");
    // Somebody edited the main table: it is the one that is used here.
    world.route("rtb-main", "192.0.2.0/24", eni_target("eni-outer"));
    assert_dropped(&world.https(), Code::NoRouteToDestination, "Routes[] = ");
}

#[test]
fn a_longer_prefix_takes_the_packet_elsewhere() {
    let mut world = Lab::article();
    world.route("rtb-private", "8.0.0.0/8", igw());
    let trace = world.https();
    assert_dropped(&trace, Code::MoreSpecificRoute, "DestinationCidrBlock = 8.0.0.0/8");
    assert_dropped(&trace, Code::MoreSpecificRoute, "DestinationCidrBlock = 0.0.0.0/0");
    let route = world.table_mut("rtb-private").routes.last_mut().unwrap();
    route.state = RouteState::Blackhole;
    route.origin = RouteOrigin::EnableVgwRoutePropagation;
    assert_dropped(&world.https(), Code::MoreSpecificRoute, "Origin = EnableVgwRoutePropagation");
}

#[test]
fn a_static_route_wins_over_a_propagated_one_of_equal_length() {
    let mut world = Lab::article();
    world.route("rtb-private", "0.0.0.0/0", RouteTarget::VirtualPrivateGateway("vgw-1".to_owned()));
    world.table_mut("rtb-private").routes.last_mut().unwrap().origin = RouteOrigin::EnableVgwRoutePropagation;
    world.table_mut("rtb-private").routes.reverse();
    super::assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn a_nat_whose_subnet_has_no_way_out_is_not_public() {
    let mut world = Lab::article();
    without_default_route(&mut world, "rtb-public");
    assert_dropped(&world.https(), Code::NatSubnetNotPublic, "Routes[] = ");
    let mut world = Lab::single();
    world.default_route("rtb-public").target = eni_target("eni-outer");
    assert_dropped(&world.https(), Code::NatSubnetNotPublic, "NetworkInterfaceId = eni-outer");
}

#[test]
fn a_nat_gateway_whose_subnet_routes_to_itself_is_not_public() {
    let mut world = Lab::article();
    world.nat_gateway("nat-1", "subnet-private");
    world.default_route("rtb-private").target = RouteTarget::NatGateway(id("nat-1", NatGatewayId::new));
    assert_dropped(&world.https(), Code::NatSubnetNotPublic, "NatGatewayId = nat-1");
}

#[test]
fn a_nat_gateway_that_is_private_or_not_available_drops() {
    let mut world = Lab::article();
    world.nat_gateway("nat-1", "subnet-public");
    world.default_route("rtb-private").target = RouteTarget::NatGateway(id("nat-1", NatGatewayId::new));
    world.network.nat_gateways.items_mut().get_mut("nat-1").unwrap().state = NatGatewayState::Failed;
    assert_dropped(&world.https(), Code::NatGatewayNotAvailable, "State = failed");
    let gateway = world.network.nat_gateways.items_mut().get_mut("nat-1").unwrap();
    gateway.state = NatGatewayState::Available;
    gateway.connectivity_type = "private".to_owned();
    assert_dropped(&world.https(), Code::NatGatewayPrivate, "ConnectivityType = private");
}

#[test]
fn an_internet_gateway_that_is_not_attached_drops() {
    for state in [RouteState::Active, RouteState::Blackhole] {
        let mut world = Lab::article();
        world.default_route("rtb-public").state = state;
        world.network.internet_gateways.items_mut().get_mut("igw-1").unwrap().attachments.clear();
        assert_dropped(&world.https(), Code::IgwNotAttached, "Attachments[] = []");
    }
}

#[test]
fn a_nat_without_a_public_address_drops_at_the_gateway() {
    for mut world in [Lab::article(), Lab::single()] {
        world.eni("eni-outer").association = None;
        let trace = world.https();
        assert_dropped(&trace, Code::NoPublicAddress, "Association absent");
        assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "eni-outer");
    }
}

#[test]
fn a_private_instance_routed_to_the_gateway_has_no_public_address() {
    let mut world = Lab::article();
    world.default_route("rtb-private").target = igw();
    assert_dropped(&world.https(), Code::NoPublicAddress, "Association absent");
}

#[test]
fn an_elastic_ip_that_sits_elsewhere_is_named() {
    let mut world = Lab::article();
    world.eni("eni-outer").association = None;
    let address = Address {
        allocation_id: id("eipalloc-1", AllocationId::new),
        public_ip: NAT_PUBLIC.parse().unwrap(),
        association_id: Some("eipassoc-1".to_owned()),
        instance_id: Some(id("i-other", InstanceId::new)),
        network_interface_id: Some(id("eni-other", NetworkInterfaceId::new)),
        private_ip: Some("10.8.2.86".parse().unwrap()),
        tags: Tags::from_iter([("Name", "nat")]),
    };
    world.network.addresses.items_mut().insert("eipalloc-1".to_owned(), address);
    assert_dropped(&world.https(), Code::AddressMoved, "InstanceId = i-other");
}

#[test]
fn the_source_destination_check_of_the_routes_interface_drops() {
    let mut world = Lab::article();
    world.eni("eni-inner").source_dest_check = true;
    let trace = world.https();
    assert_dropped(&trace, Code::EniSourceDestCheckRestriction, "SourceDestCheck = true");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "eni-inner");
    let mut world = Lab::single();
    world.eni("eni-outer").source_dest_check = true;
    assert_dropped(&world.https(), Code::EniSourceDestCheckRestriction, "SourceDestCheck = true");
}

#[test]
fn the_check_on_the_interface_by_which_the_reply_leaves_drops_the_reply() {
    let mut world = Lab::article();
    // The route names the outer interface, so the packet comes in there; the reply leaves by the inner one, which is
    // directly connected to the client.
    world.default_route("rtb-private").target = eni_target("eni-outer");
    world.eni("eni-outer").source_dest_check = false;
    world.eni("eni-inner").source_dest_check = true;
    world.host("i-nat").ruleset = rules("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n");
    let trace = world.https();
    assert_dropped(&trace, Code::SourceDestCheckOnReply, "SourceDestCheck = true");
    let stop = trace.stop().unwrap();
    assert_eq!((stop.direction, stop.resource_id.as_ref().unwrap().as_str()), (Direction::Reply, "eni-inner"));
    assert_eq!(trace.address, Some(NAT_PUBLIC.parse().unwrap()), "the packet itself did arrive");
}

#[test]
fn the_nats_group_must_let_the_clients_in() {
    let mut world = Lab::article();
    world.group("sg-nat", &[("egress", "-1", "0.0.0.0/0"), ("ingress", "tcp:22", "158.0.0.0/8")]);
    let trace = world.https();
    assert_dropped(&trace, Code::EniSgRulesMismatch, "IpPermissions = [IpProtocol = tcp");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "sg-nat");
    world.group("sg-nat", &[("egress", "-1", "0.0.0.0/0"), ("ingress", "-1", "10.8.2.0/24")]);
    super::assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn the_nats_group_must_let_the_packet_out() {
    let mut world = Lab::article();
    world.group("sg-nat", &[("ingress", "-1", "sg-private"), ("egress", "tcp:80", "0.0.0.0/0")]);
    assert_dropped(&world.https(), Code::EniSgRulesMismatch, "IpPermissionsEgress = [IpProtocol = tcp");
}

#[test]
fn the_clients_group_must_let_the_packet_out() {
    let mut world = Lab::article();
    world.group("sg-private", &[]);
    let trace = world.https();
    assert_dropped(&trace, Code::EniSgRulesMismatch, "IpPermissionsEgress = []");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "sg-private");
}

#[test]
fn each_acl_place_drops_and_quotes_its_entry() {
    use AclDirection::{Egress, Ingress};
    let reply = Some((1024, 65535));
    for (acl, direction, ports, walked) in [
        ("acl-private", Egress, Some((443, 443)), Direction::Forward),
        ("acl-public", Ingress, Some((443, 443)), Direction::Forward),
        ("acl-public", Egress, Some((443, 443)), Direction::Forward),
        ("acl-public", Ingress, reply, Direction::Reply),
        ("acl-public", Egress, reply, Direction::Reply),
        ("acl-private", Ingress, reply, Direction::Reply),
    ] {
        let mut world = Lab::single();
        world.acl(acl, 50, direction, AclAction::Deny, ports);
        let trace = world.https();
        assert_dropped(&trace, Code::SubnetAclRestriction, "RuleNumber = 50");
        let stop = trace.stop().unwrap();
        assert_eq!(stop.resource_id.as_ref().unwrap().as_str(), acl);
        assert_eq!(stop.direction, walked, "{acl} {direction:?}");
    }
}

#[test]
fn the_lowest_rule_number_of_an_acl_decides() {
    let mut world = Lab::single();
    world.acl("acl-private", 60, AclDirection::Egress, AclAction::Deny, Some((443, 443)));
    world.acl("acl-private", 50, AclDirection::Egress, AclAction::Allow, Some((443, 443)));
    super::assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn with_two_interfaces_no_acl_lies_between_the_client_and_the_nat() {
    let mut world = Lab::article();
    world.acl("acl-private", 50, AclDirection::Egress, AclAction::Deny, None);
    world.acl("acl-private", 50, AclDirection::Ingress, AclAction::Deny, None);
    super::assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn a_nat_that_fails_its_status_checks_drops() {
    let mut world = Lab::article();
    world.instance_mut("i-nat").instance_status = Some(StatusCheck::Impaired);
    assert_dropped(&world.https(), Code::NatStatusCheckFailed, "InstanceStatus.Status = impaired");
}

#[test]
fn a_client_without_ipv4_has_no_ipv4_egress_and_learns_at_once() {
    let mut world = Lab::article();
    world.eni("eni-client").private_ip = None;
    let trace = world.https();
    assert_dropped(&trace, Code::Ipv6OnlyClient, "PrivateIpAddress absent");
    assert!(trace.refused);
}

#[test]
fn a_stopped_client_sends_nothing() {
    let mut world = Lab::article();
    world.instance_mut("i-client").state = InstanceState::Stopped;
    let trace = world.https();
    assert_dropped(&trace, Code::ClientNotRunning, "State = stopped");
    assert_eq!(trace.hops.len(), 1);
}

#[test]
fn a_peering_connection_is_no_way_to_the_internet() {
    let mut world = Lab::article();
    world.default_route("rtb-private").target = RouteTarget::VpcPeeringConnection("pcx-1".to_owned());
    assert_dropped(&world.https(), Code::PcxRequiresAddressInVpcCidr, "VpcPeeringConnectionId = pcx-1");
}

#[test]
fn an_address_of_the_vpc_that_nothing_has_is_not_reached() {
    assert_dropped(&Lab::article().from("i-client", "10.8.2.99"), Code::NoSuchAddress, "10.8.2.99");
}

#[test]
fn the_resolver_is_silent_when_the_vpc_switches_it_off() {
    let mut world = Lab::article();
    world.network.vpcs.items_mut().get_mut("vpc-1").unwrap().dns_support = Some(false);
    let trace = world.from("i-client", "10.8.0.2");
    assert_dropped(&trace, Code::ClientDns, "EnableDnsSupport = false");
    assert_eq!(trace.stop().unwrap().component, Component::AmazonService);
}

#[test]
fn an_internet_gateway_drops_what_goes_to_a_private_address() {
    let trace = Lab::article().from("i-client", "192.168.7.7");
    assert_dropped(&trace, Code::NoSuchAddress, "GatewayId = igw-1");
    assert_eq!(trace.stop().unwrap().component, Component::InternetGateway);
}
