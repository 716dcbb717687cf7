//! Ways out that work.

use super::assert_delivered;
use super::world::*;
use crate::model::*;
use crate::reach::{Component, Decision, Direction, Disposition, Flow, WayOut, owner_of, walk, way_out};

#[test]
fn the_article_delivers_with_the_nats_public_address() {
    let trace = Lab::article().https();
    assert_delivered(&trace, NAT_PUBLIC);
    let hops: Vec<_> = trace.hops.iter().map(|hop| (hop.direction, hop.component)).collect();
    let expected = [
        (Direction::Forward, Component::Instance),
        (Direction::Forward, Component::SecurityGroup),
        (Direction::Forward, Component::RouteTable),
        (Direction::Forward, Component::NetworkInterface),
        (Direction::Forward, Component::SecurityGroup),
        (Direction::Forward, Component::NatHost),
        (Direction::Forward, Component::SecurityGroup),
        (Direction::Forward, Component::RouteTable),
        (Direction::Forward, Component::NetworkAcl),
        (Direction::Forward, Component::PublicAddress),
        (Direction::Forward, Component::InternetGateway),
        (Direction::Forward, Component::Internet),
        (Direction::Reply, Component::InternetGateway),
        (Direction::Reply, Component::NetworkAcl),
        (Direction::Reply, Component::NetworkInterface),
        (Direction::Reply, Component::SecurityGroup),
        (Direction::Reply, Component::NatHost),
        (Direction::Reply, Component::SecurityGroup),
        (Direction::Reply, Component::RouteTable),
        (Direction::Reply, Component::NetworkInterface),
        (Direction::Reply, Component::SecurityGroup),
        (Direction::Reply, Component::Instance),
    ];
    assert_eq!(hops, expected, "{:#?}", trace.hops);
    let nat = trace.hops.iter().find(|hop| hop.component == Component::NatHost).unwrap();
    assert_eq!(nat.decision, Decision::Translated);
    assert!(nat.evidence.iter().any(|e| e.text == "net.ipv4.ip_forward = 1"));
    assert!(nat.evidence.iter().any(|e| e.text == "-A POSTROUTING -o ens5 -j MASQUERADE"));
}

#[test]
fn one_interface_delivers_with_the_nats_public_address_and_crosses_the_acls_of_both_subnets() {
    let trace = Lab::single().https();
    assert_delivered(&trace, NAT_PUBLIC);
    let acls = trace.hops.iter().filter(|hop| hop.component == Component::NetworkAcl).count();
    assert_eq!(acls, 6, "private out, public in, public out; public in, public out, private in");
}

#[test]
fn ping_goes_the_same_way() {
    assert_delivered(&Lab::article().ping("i-client", "1.1.1.1"), NAT_PUBLIC);
    assert_delivered(&Lab::single().ping("i-client", "1.1.1.1"), NAT_PUBLIC);
}

#[test]
fn a_route_to_the_instance_means_its_only_interface() {
    let mut world = Lab::single();
    world.default_route("rtb-private").target = RouteTarget::Instance(id("i-nat", InstanceId::new));
    assert_delivered(&world.https(), NAT_PUBLIC);
    let mut world = Lab::article();
    world.default_route("rtb-private").target = RouteTarget::Instance(id("i-nat", InstanceId::new));
    assert_eq!(world.https().disposition, Disposition::InsufficientInformation);
}

#[test]
fn the_nat_itself_leaves_by_its_default_route() {
    assert_delivered(&Lab::article().from("i-nat", OUTSIDE), NAT_PUBLIC);
    assert_delivered(&Lab::single().from("i-nat", OUTSIDE), NAT_PUBLIC);
}

#[test]
fn a_public_instance_leaves_directly() {
    let mut world = Lab::article();
    world.instance("i-public", &[("eni-public", "subnet-public", "10.8.1.50", "sg-private")]);
    world.eni("eni-public").association = Some(InterfaceAssociation {
        public_ip: "18.1.1.1".parse().unwrap(),
        allocation_id: None,
        association_id: None,
    });
    assert_delivered(&world.from("i-public", OUTSIDE), "18.1.1.1");
    let way = way_out(&world.network, &id("i-public", InstanceId::new)).unwrap();
    assert!(matches!(way, WayOut::Direct { .. }), "{way:?}");
    assert_eq!(way.address(), Some("18.1.1.1".parse().unwrap()));
}

#[test]
fn a_nat_gateway_delivers_with_its_own_address() {
    let mut world = Lab::article();
    world.nat_gateway("nat-1", "subnet-public");
    world.default_route("rtb-private").target = RouteTarget::NatGateway(id("nat-1", NatGatewayId::new));
    let trace = world.https();
    assert_delivered(&trace, "52.1.2.3");
    assert!(trace.hops.iter().any(|h| h.component == Component::NatGateway && h.direction == Direction::Reply));
    let way = way_out(&world.network, &id("i-client", InstanceId::new)).unwrap();
    assert_eq!(way.address(), Some("52.1.2.3".parse().unwrap()));
    let (owner, described) = owner_of(&world.network, "52.1.2.3".parse().unwrap()).unwrap();
    assert_eq!((owner.as_str(), described.as_str()), ("nat-1", "NAT gateway nat-1 in subnet-public"));
}

#[test]
fn the_way_out_names_the_nat_instance_and_its_address() {
    let world = Lab::article();
    let way = way_out(&world.network, &id("i-client", InstanceId::new)).unwrap();
    let WayOut::NatInstance { instance_id, network_interface_id, address } = way else { panic!("{way:?}") };
    assert_eq!(instance_id.as_str(), "i-nat");
    assert_eq!(network_interface_id.as_str(), "eni-inner");
    assert_eq!(address, Some(NAT_PUBLIC.parse().unwrap()));
    let (owner, _) = owner_of(&world.network, NAT_PUBLIC.parse().unwrap()).unwrap();
    assert_eq!(owner.as_str(), "i-nat");
}

#[test]
fn ipv6_leaves_by_an_egress_only_gateway_with_its_own_address() {
    let mut world = Lab::article();
    let gateway = EgressOnlyInternetGateway {
        egress_only_internet_gateway_id: id("eigw-1", EgressOnlyInternetGatewayId::new),
        attachments: vec![GatewayAttachment { vpc_id: id("vpc-1", VpcId::new), state: AttachmentState::Attached }],
        tags: Tags::default(),
    };
    world.network.egress_only_internet_gateways.items_mut().insert("eigw-1".to_owned(), gateway);
    let target = RouteTarget::EgressOnlyInternetGateway(id("eigw-1", EgressOnlyInternetGatewayId::new));
    world.route("rtb-private", "::/0", target);
    world.eni("eni-client").ipv6_addresses = vec!["2001:db8::120".parse().unwrap()];
    assert_delivered(&world.from("i-client", "2001:4860:4860::8888"), "2001:db8::120");
    assert_delivered(&world.ping("i-client", "2001:4860:4860::8888"), "2001:db8::120");
}

#[test]
fn ipv6_leaves_by_an_internet_gateway_with_its_own_address() {
    let mut world = Lab::article();
    world.route("rtb-private", "::/0", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
    world.eni("eni-client").ipv6_addresses = vec!["2001:db8::120".parse().unwrap()];
    assert_delivered(&world.from("i-client", "2001:4860:4860::8888"), "2001:db8::120");
}

#[test]
fn two_instances_of_a_subnet_reach_each_other_where_the_groups_let_them() {
    let mut world = Lab::article();
    assert_eq!(world.ping("i-client", "10.8.2.86").disposition, Disposition::Dropped);
    world.group("sg-private", &[("egress", "-1", "0.0.0.0/0"), ("ingress", "icmp", "10.8.2.0/24")]);
    assert_delivered(&world.ping("i-client", "10.8.2.86"), "10.8.2.120");
    assert_eq!(world.from("i-client", "10.8.2.86").disposition, Disposition::Dropped, "only ICMP is let in");
}

#[test]
fn an_interface_endpoint_is_reached_at_its_private_address() {
    let mut world = Lab::article();
    world.group("sg-endpoint", &[("ingress", "tcp:443", "sg-private")]);
    world.interface("eni-endpoint", "subnet-public", "10.8.1.77", "sg-endpoint");
    world.eni("eni-endpoint").requester_managed = true;
    let trace = world.from("i-client", "10.8.1.77");
    assert_delivered(&trace, "10.8.2.120");
    assert_eq!(trace.hops.iter().filter(|hop| hop.component == Component::NetworkAcl).count(), 4);
}

#[test]
fn a_gateway_endpoint_takes_what_its_prefix_list_names() {
    let mut world = Lab::article();
    let list = PrefixList {
        prefix_list_id: id("pl-s3", PrefixListId::new),
        prefix_list_name: "com.amazonaws.eu-central-1.s3".to_owned(),
        cidrs: Some(vec!["52.219.0.0/16".parse().unwrap()]),
    };
    world.network.prefix_lists.items_mut().insert("pl-s3".to_owned(), list);
    let endpoint = VpcEndpoint {
        vpc_endpoint_id: id("vpce-s3", VpcEndpointId::new),
        vpc_id: id("vpc-1", VpcId::new),
        kind: EndpointKind::Gateway,
        service_name: "com.amazonaws.eu-central-1.s3".to_owned(),
        state: EndpointState::Available,
        private_dns_enabled: false,
        subnet_ids: Vec::new(),
        route_table_ids: Vec::new(),
        security_group_ids: Vec::new(),
        network_interface_ids: Vec::new(),
        tags: Tags::default(),
    };
    world.network.vpc_endpoints.items_mut().insert("vpce-s3".to_owned(), endpoint);
    world.route("rtb-private", "pl-s3", RouteTarget::GatewayEndpoint("vpce-s3".to_owned()));
    assert_delivered(&world.from("i-client", "52.219.1.1"), "10.8.2.120");
    assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn the_resolver_answers_whatever_groups_and_acls_say() {
    let mut world = Lab::article();
    world.group("sg-private", &[("egress", "udp:53", "0.0.0.0/0")]);
    let mut flow = Flow::tcp(id("i-client", InstanceId::new), "10.8.0.2".parse().unwrap(), 53);
    flow.protocol = Protocol::Udp;
    assert_eq!(walk(&world.network, &world.hosts, &flow).disposition, Disposition::Delivered);
}

#[test]
fn a_trace_reads_back_from_json() {
    let trace = Lab::article().https();
    let text = serde_json::to_string(&trace).unwrap();
    assert!(text.contains(r#""component":"nat_host""#) && text.contains(r#""disposition":"delivered""#));
    assert_eq!(serde_json::from_str::<crate::reach::Trace>(&text).unwrap(), trace);
}
