//! VPCs that natdeck did not build: other people's NAT instances, several of them, NAT gateways beside them, and ways
//! that end where natdeck cannot see.

use super::world::*;
use crate::model::*;
use crate::reach::{Cause, Certainty, Code, Diagnosis, Disposition, Flow, Observations, WayOut, diagnose, way_out};

fn diagnosed(world: &Lab, instance: &str) -> Diagnosis {
    let flow = Flow::https(id(instance, InstanceId::new), OUTSIDE.parse().unwrap());
    diagnose(&world.network, &world.hosts, &flow, &Observations::default())
}

fn causes(world: &Lab, instance: &str) -> Vec<Cause> {
    diagnosed(world, instance).findings.iter().map(|finding| finding.cause).collect()
}

#[track_caller]
fn assert_healthy(world: &Lab, instance: &str, address: &str) {
    let diagnosis = diagnosed(world, instance);
    assert_eq!(diagnosis.disposition, Disposition::Delivered, "{:#?}", diagnosis.path);
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    assert_eq!(diagnosis.trace.address, Some(address.parse().unwrap()));
}

/// A second zone: its own private subnet with a client, a public subnet with a NAT of one interface.
fn second_zone(world: &mut Lab) {
    for (subnet, cidr, table) in
        [("subnet-public-c", "10.8.3.0/24", "rtb-public-c"), ("subnet-private-c", "10.8.4.0/24", "rtb-private-c")]
    {
        world.subnet(subnet);
        let made = world.network.subnets.items_mut().get_mut(subnet).unwrap();
        made.cidr_block = Some(cidr.parse().unwrap());
        made.availability_zone = "eu-central-1c".to_owned();
        world.table(table, Some(subnet));
    }
    world.route("rtb-public-c", "0.0.0.0/0", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
    world.instance("i-nat-c", &[("eni-nat-c", "subnet-public-c", "10.8.3.7", "sg-nat")]);
    world.instance("i-client-c", &[("eni-client-c", "subnet-private-c", "10.8.4.9", "sg-private")]);
    for name in ["i-nat-c", "i-client-c"] {
        world.instance_mut(name).availability_zone = "eu-central-1c".to_owned();
    }
    for name in ["eni-nat-c", "eni-client-c"] {
        world.eni(name).availability_zone = "eu-central-1c".to_owned();
    }
    world.eni("eni-nat-c").source_dest_check = false;
    world.eni("eni-nat-c").association =
        Some(InterfaceAssociation { public_ip: "3.3.3.3".parse().unwrap(), allocation_id: None, association_id: None });
    world.route("rtb-private-c", "0.0.0.0/0", eni_target("eni-nat-c"));
    let rules = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n";
    let host = host(&[("ens5", "eni-nat-c", "10.8.3.7/24")], "10.8.3.1", rules);
    world.hosts.insert(id("i-nat-c", InstanceId::new), Fact::Known(host));
}

/// A client without IPv4 in a subnet with DNS64.
fn ipv6_only(world: &mut Lab) {
    world.network.subnets.items_mut().get_mut("subnet-private").unwrap().enable_dns64 = true;
    world.eni("eni-client").private_ip = None;
    world.eni("eni-client").ipv6_addresses = vec!["2001:db8::120".parse().unwrap()];
    world.instance_mut("i-client").private_ip = None;
    world.nat_gateway("nat-1", "subnet-public");
}

fn gateway() -> RouteTarget {
    RouteTarget::NatGateway(id("nat-1", NatGatewayId::new))
}

#[test]
fn the_rules_of_well_known_nat_modules_translate() {
    // What each leaves in POSTROUTING: AWS's guide, AWS's old NAT AMI, fck-nat, alterNAT, an instance with two devices.
    let modules = [
        "-A POSTROUTING -o ens5 -j MASQUERADE",
        "-A POSTROUTING -s 10.8.0.0/16 -o ens5 -j MASQUERADE",
        "-A POSTROUTING -o ens5 -m comment --comment \"NAT routing rule installed by fck-nat\" -j MASQUERADE",
        "-A POSTROUTING ! -d 10.8.0.0/16 -j MASQUERADE",
        "-A POSTROUTING -s 10.8.0.0/16 ! -d 10.8.0.0/16 -o ens5 -j SNAT --to-source 10.8.1.227",
        "-A POSTROUTING -o ens5 -j MASQUERADE --random-fully",
    ];
    for rule in modules {
        let mut world = Lab::single();
        world.host("i-nat").ruleset = rules(&format!("*nat\n:POSTROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"));
        assert_healthy(&world, "i-client", NAT_PUBLIC);
    }
}

#[test]
fn a_module_that_translates_other_ranges_only_is_no_nat_for_this_client() {
    let mut world = Lab::single();
    world.host("i-nat").ruleset =
        rules("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.9.0.0/16 -o ens5 -j MASQUERADE\nCOMMIT\n");
    let found = causes(&world, "i-client");
    assert_eq!(found.first().map(|cause| cause.place()), Some(crate::reach::Place::NatHost), "{found:?}");
}

#[test]
fn each_zone_leaves_by_its_own_nat_and_a_broken_one_is_nothing_to_the_other() {
    let mut world = Lab::single();
    second_zone(&mut world);
    assert_healthy(&world, "i-client", NAT_PUBLIC);
    assert_healthy(&world, "i-client-c", "3.3.3.3");
    world.host("i-nat-c").ip_forward = false;
    assert_healthy(&world, "i-client", NAT_PUBLIC);
    assert_eq!(causes(&world, "i-client-c"), [Cause::HostIpForwardOff]);
}

#[test]
fn a_nat_in_another_zone_is_a_warning_and_no_more() {
    let mut world = Lab::single();
    second_zone(&mut world);
    world.default_route("rtb-private-c").target = eni_target("eni-outer");
    let diagnosis = diagnosed(&world, "i-client-c");
    assert_eq!(diagnosis.disposition, Disposition::Delivered);
    assert!(diagnosis.first_break().is_none(), "{:#?}", diagnosis.findings);
    assert_eq!(causes(&world, "i-client-c"), [Cause::NatInOtherZone]);
}

#[test]
fn a_nat_gateway_beside_a_nat_instance_that_others_use_is_no_mistake() {
    let mut world = Lab::single();
    second_zone(&mut world);
    world.nat_gateway("nat-1", "subnet-public-c");
    world.default_route("rtb-private-c").target = gateway();
    assert_healthy(&world, "i-client", NAT_PUBLIC);
    assert_eq!(causes(&world, "i-client-c"), [Cause::RoutedToOtherEgress], "its zone's own instance stands by");
    // With that gone, the first zone's instance serves those whose routes lead to it, and the gateway the others.
    world.network.instances.items_mut().remove("i-nat-c");
    world.network.network_interfaces.items_mut().remove("eni-nat-c");
    assert_healthy(&world, "i-client", NAT_PUBLIC);
    assert_healthy(&world, "i-client-c", "52.1.2.3");
}

/// A table of the internet gateway's own.
fn edge_table(world: &mut Lab, destination: &str, target: RouteTarget) {
    world.table("rtb-edge", None);
    let association = &mut world.table_mut("rtb-edge").associations[0];
    association.main = false;
    association.gateway_id = Some("igw-1".to_owned());
    world.route("rtb-edge", destination, target);
}

/// A firewall's endpoint in a subnet of its own, which leads to the internet gateway.
fn firewall(world: &mut Lab) -> RouteTarget {
    world.subnet("subnet-firewall");
    world.network.subnets.items_mut().get_mut("subnet-firewall").unwrap().cidr_block =
        Some("10.8.9.0/24".parse().unwrap());
    world.table("rtb-firewall", Some("subnet-firewall"));
    world.route("rtb-firewall", "0.0.0.0/0", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
    let endpoint = VpcEndpoint {
        vpc_endpoint_id: id("vpce-fw", VpcEndpointId::new),
        vpc_id: id("vpc-1", VpcId::new),
        kind: EndpointKind::GatewayLoadBalancer,
        service_name: "com.amazonaws.vpce.eu-central-1.vpce-svc-1".to_owned(),
        state: EndpointState::Available,
        private_dns_enabled: false,
        subnet_ids: vec![id("subnet-firewall", SubnetId::new)],
        route_table_ids: Vec::new(),
        security_group_ids: Vec::new(),
        network_interface_ids: Vec::new(),
        tags: Tags::default(),
    };
    world.network.vpc_endpoints.items_mut().insert("vpce-fw".to_owned(), endpoint);
    RouteTarget::GatewayEndpoint("vpce-fw".to_owned())
}

#[test]
fn a_firewall_before_the_internet_gateway_is_not_seen_through_and_what_lies_behind_it_is() {
    for make in [Lab::single, Lab::article] {
        let mut world = make();
        let endpoint = firewall(&mut world);
        world.default_route("rtb-public").target = endpoint.clone();
        edge_table(&mut world, "10.8.1.0/24", endpoint);
        let diagnosis = diagnosed(&world, "i-client");
        assert_eq!(diagnosis.disposition, Disposition::InsufficientInformation, "{:#?}", diagnosis.path);
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
        assert!(diagnosis.unknown.iter().all(|unknown| unknown.what.contains("vpce-fw")), "{:?}", diagnosis.unknown);
        assert_eq!(diagnosis.trace.address, Some(NAT_PUBLIC.parse().unwrap()));
        world.eni("eni-outer").association = None;
        assert_eq!(causes(&world, "i-client"), [Cause::NoPublicAddress]);
        world.table_mut("rtb-firewall").routes.retain(|route| !route.destination.is_ipv4_default());
        assert_eq!(causes(&world, "i-client"), [Cause::NatSubnetNotPublic, Cause::NoPublicAddress]);
    }
}

#[test]
fn replies_that_are_led_to_an_appliance_which_the_packets_did_not_pass_are_lost() {
    for destination in ["10.8.1.0/24", "10.8.0.0/16"] {
        let mut world = Lab::single();
        let endpoint = firewall(&mut world);
        edge_table(&mut world, "10.8.9.0/24", endpoint.clone());
        assert_healthy(&world, "i-client", NAT_PUBLIC);
        world.table_mut("rtb-edge").routes.clear();
        world.route("rtb-edge", destination, endpoint);
        assert_eq!(causes(&world, "i-client"), [Cause::RepliesRedirected]);
    }
    // The same for a NAT gateway, and for an appliance that is an instance.
    let mut world = Lab::single();
    world.nat_gateway("nat-1", "subnet-public");
    world.default_route("rtb-private").target = gateway();
    world.default_route("rtb-public");
    edge_table(&mut world, "10.8.1.0/24", eni_target("eni-other"));
    assert_eq!(causes(&world, "i-client").first(), Some(&Cause::RepliesRedirected));
}

#[test]
fn an_edge_route_to_the_nat_itself_or_of_a_state_unheard_of_is_not_judged() {
    let mut world = Lab::article();
    edge_table(&mut world, "10.8.1.0/24", eni_target("eni-inner"));
    assert_eq!(diagnosed(&world, "i-client").disposition, Disposition::InsufficientInformation);
    let mut world = Lab::single();
    world.default_route("rtb-public").state = RouteState::Other("filtered".to_owned());
    let diagnosis = diagnosed(&world, "i-client");
    assert_eq!(diagnosis.disposition, Disposition::InsufficientInformation);
    assert!(diagnosis.unknown.iter().any(|unknown| unknown.reason.contains("filtered")), "{:?}", diagnosis.unknown);
}

#[test]
fn a_regional_nat_gateway_is_where_sight_ends() {
    let mut world = Lab::single();
    world.nat_gateway("nat-1", "");
    world.default_route("rtb-private").target = gateway();
    let diagnosis = diagnosed(&world, "i-client");
    assert_eq!(diagnosis.disposition, Disposition::InsufficientInformation);
    assert!(diagnosis.unknown.iter().any(|unknown| unknown.reason.contains("regional")), "{:?}", diagnosis.unknown);
}

#[test]
fn a_nat_gateway_that_could_not_be_made_says_why_whatever_state_its_route_has() {
    for (state, route) in [
        (NatGatewayState::Failed, RouteState::Active),
        (NatGatewayState::Failed, RouteState::Blackhole),
        (NatGatewayState::Deleted, RouteState::Blackhole),
        (NatGatewayState::Pending, RouteState::Active),
    ] {
        let mut world = Lab::article();
        world.nat_gateway("nat-1", "subnet-public");
        let made = world.network.nat_gateways.items_mut().get_mut("nat-1").unwrap();
        made.state = state;
        made.failure_code = Some("Gateway.NotAttached".to_owned());
        made.failure_message = Some("Network vpc-1 has no Internet gateway attached".to_owned());
        let leads = world.default_route("rtb-private");
        (leads.target, leads.state) = (gateway(), route);
        let diagnosis = diagnosed(&world, "i-client");
        let first = diagnosis.first_break().unwrap();
        assert_eq!(first.cause, Cause::NatGatewayNotAvailable);
        assert!(first.summary.ends_with("has no Internet gateway attached"), "{}", first.summary);
        assert!(first.evidence[0].text.contains("FailureCode = Gateway.NotAttached"), "{:?}", first.evidence);
    }
    // "May still be processing traffic."
    let mut world = Lab::article();
    world.nat_gateway("nat-1", "subnet-public");
    world.network.nat_gateways.items_mut().get_mut("nat-1").unwrap().state = NatGatewayState::Deleting;
    world.default_route("rtb-private").target = gateway();
    assert_eq!(diagnosed(&world, "i-client").trace.disposition, Disposition::InsufficientInformation);
}

#[test]
fn a_vpc_that_leaves_by_a_nat_gateway_is_healthy_whatever_else_forwards_in_it() {
    let mut world = Lab::single();
    world.nat_gateway("nat-1", "subnet-public");
    world.default_route("rtb-private").target = gateway();
    assert_eq!(causes(&world, "i-client"), [Cause::RoutedToOtherEgress], "the NAT instance stands by");
    // A VPN server: no NAT by its name, its check is off too, and a range of its own leads to it.
    world.instance_mut("i-nat").tags = crate::model::Tags::from_iter([("Name", "vpn")]);
    assert_eq!(causes(&world, "i-client"), [Cause::RoutedToOtherEgress], "nothing says that it is no NAT");
    world.route("rtb-private", "10.99.0.0/16", eni_target("eni-outer"));
    assert_healthy(&world, "i-client", "52.1.2.3");
    world.network.instances.items_mut().remove("i-nat");
    world.network.network_interfaces.items_mut().remove("eni-outer");
    assert_healthy(&world, "i-client", "52.1.2.3");
}

#[test]
fn a_route_past_the_nat_is_nothing_to_a_packet_that_stays_in_the_vpc() {
    let mut world = Lab::single();
    world.nat_gateway("nat-1", "subnet-public");
    world.default_route("rtb-private").target = gateway();
    let flow = crate::reach::Flow::https(id("i-client", InstanceId::new), "10.8.1.227".parse().unwrap());
    assert_eq!(crate::reach::passed_by(&world.network, &world.hosts, &flow), None);
}

#[test]
fn a_transit_gateway_is_where_sight_ends_and_nothing_is_blamed() {
    let mut world = Lab::single();
    world.default_route("rtb-private").target = RouteTarget::TransitGateway("tgw-1".to_owned());
    let diagnosis = diagnosed(&world, "i-client");
    assert_eq!(diagnosis.disposition, Disposition::InsufficientInformation);
    assert!(diagnosis.unknown.iter().any(|unknown| unknown.reason.contains("tgw-1")), "{:?}", diagnosis.unknown);
    assert!(diagnosis.findings.iter().all(|finding| finding.certainty != Certainty::Certain));
}

#[test]
fn a_peering_connection_ends_the_way_to_the_internet() {
    let mut world = Lab::single();
    world.default_route("rtb-private").target = RouteTarget::VpcPeeringConnection("pcx-1".to_owned());
    let diagnosis = diagnosed(&world, "i-client");
    assert_eq!(diagnosis.first_break().map(|finding| finding.code), Some(Code::PcxRequiresAddressInVpcCidr));
}

#[test]
fn an_ipv6_only_client_with_dns64_leaves_by_the_nat_gateway() {
    let mut world = Lab::single();
    ipv6_only(&mut world);
    world.route("rtb-private", "64:ff9b::/96", gateway());
    assert_healthy(&world, "i-client", "52.1.2.3");
    let way = way_out(&world.network, &id("i-client", InstanceId::new)).unwrap();
    assert!(matches!(way, WayOut::NatGateway { .. }), "{way:?}");
}

#[test]
fn without_dns64_an_ipv6_only_client_reaches_no_ipv4() {
    let mut world = Lab::single();
    ipv6_only(&mut world);
    world.route("rtb-private", "64:ff9b::/96", gateway());
    world.network.subnets.items_mut().get_mut("subnet-private").unwrap().enable_dns64 = false;
    assert_eq!(causes(&world, "i-client"), [Cause::Ipv6OnlyClient]);
}

#[test]
fn translated_addresses_need_their_route_to_a_nat_gateway() {
    let mut world = Lab::single();
    ipv6_only(&mut world);
    assert_eq!(causes(&world, "i-client").first(), Some(&Cause::NoRoute));
    // The internet does not know them.
    world.route("rtb-private", "::/0", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
    assert_eq!(causes(&world, "i-client").first(), Some(&Cause::Ipv6OnlyClient));
    // And a NAT instance forwards them as they are.
    world
        .table_mut("rtb-private")
        .routes
        .retain(|route| route.destination != RouteDestination::Ipv6("::/0".parse().unwrap()));
    world.route("rtb-private", "64:ff9b::/96", eni_target("eni-outer"));
    assert_ne!(diagnosed(&world, "i-client").disposition, Disposition::Delivered);
}
