//! What is not known never delivers.

use super::world::*;
use super::{assert_delivered, assert_dropped};
use crate::model::*;
use crate::reach::{Code, Component, Decision, Disposition, Trace, way_out};

#[track_caller]
fn assert_unknown(trace: &Trace, what: &str) {
    assert_eq!(trace.disposition, Disposition::InsufficientInformation, "{:#?}", trace.stop());
    assert_eq!(trace.stop().unwrap().decision, Decision::Unknown);
    let found = trace.unknown.iter().any(|unknown| unknown.to_string().contains(what));
    assert!(found, "no '{what}' in {:#?}", trace.unknown);
}

fn denied<V, L>(what: &str) -> Part<V, L> {
    Part::unknown(Unknown::new(what, "UnauthorizedOperation"))
}

#[test]
fn every_part_that_decides_must_be_known() {
    type Break = fn(&mut Network);
    let broken: [(&str, Break); 7] = [
        ("DescribeInstances", |n| n.instances = denied("DescribeInstances")),
        ("DescribeNetworkInterfaces", |n| n.network_interfaces = denied("DescribeNetworkInterfaces")),
        ("DescribeSecurityGroups", |n| n.security_groups = denied("DescribeSecurityGroups")),
        ("DescribeRouteTables", |n| n.route_tables = denied("DescribeRouteTables")),
        ("DescribeNetworkAcls", |n| n.network_acls = denied("DescribeNetworkAcls")),
        ("DescribeInternetGateways", |n| n.internet_gateways = denied("DescribeInternetGateways")),
        ("network ACL of subnet-public", |n| n.network_acls = Part::default()),
    ];
    for (what, break_it) in broken {
        let mut world = Lab::article();
        break_it(&mut world.network);
        assert_unknown(&world.https(), what);
    }
}

#[test]
fn the_way_out_is_unknown_when_the_tables_are() {
    let mut world = Lab::article();
    world.network.route_tables = denied("DescribeRouteTables");
    assert!(way_out(&world.network, &id("i-client", InstanceId::new)).is_err());
}

#[test]
fn a_nat_that_was_not_asked_cannot_be_judged() {
    let mut world = Lab::article();
    world.hosts.clear();
    let trace = world.https();
    assert_unknown(&trace, "facts of host i-nat");
    assert_eq!(trace.stop().unwrap().component, Component::NatHost);
    assert_eq!(trace.address, None);
    assert_unknown(&world.from("i-nat", OUTSIDE), "several interfaces");
}

#[test]
fn a_condition_that_is_not_understood_matters_only_where_it_decides() {
    let masquerade = "*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n";
    let mut world = Lab::article();
    let limited = format!("*filter\n:FORWARD DROP\n-A FORWARD -m limit --limit 5/sec -j ACCEPT\nCOMMIT\n{masquerade}");
    world.host("i-nat").ruleset = rules(&limited);
    assert_unknown(&world.https(), "-m limit --limit 5/sec -j ACCEPT");
    let harmless = format!(
        "*filter\n:FORWARD ACCEPT\n-A FORWARD -m limit --limit 5/sec -j LOG\n-A FORWARD -m set --match-set x src -j ACCEPT\nCOMMIT\n{masquerade}"
    );
    world.host("i-nat").ruleset = rules(&harmless);
    assert_delivered(&world.https(), NAT_PUBLIC);
    let decided = format!("*filter\n:FORWARD DROP\n-A FORWARD -m limit --limit 5/sec -j DROP\nCOMMIT\n{masquerade}");
    world.host("i-nat").ruleset = rules(&decided);
    assert_dropped(&world.https(), Code::HostForwardDenied, ":FORWARD DROP");
    let target = format!("*filter\n:FORWARD ACCEPT\n-A FORWARD -j NFQUEUE --queue-num 0\nCOMMIT\n{masquerade}");
    world.host("i-nat").ruleset = rules(&target);
    assert_unknown(&world.https(), "NFQUEUE");
}

#[test]
fn a_prefix_list_without_entries_matters_only_where_it_decides() {
    let mut world = Lab::article();
    world.route("rtb-private", "pl-unread", RouteTarget::GatewayEndpoint("vpce-1".to_owned()));
    assert_unknown(&world.https(), "pl-unread");
    let mut world = Lab::article();
    world.group("sg-private", &[("egress", "-1", "pl-unread")]);
    assert_unknown(&world.https(), "pl-unread");
    world.group("sg-private", &[("egress", "-1", "pl-unread"), ("egress", "-1", "0.0.0.0/0")]);
    assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn beyond_a_transit_gateway_nothing_is_known() {
    let mut world = Lab::article();
    world.default_route("rtb-private").target = RouteTarget::TransitGateway("tgw-1".to_owned());
    let trace = world.https();
    assert_unknown(&trace, "beyond what natdeck can see");
    assert_eq!(trace.stop().unwrap().component, Component::TransitGateway);
}

#[test]
fn an_instance_that_aws_does_not_show_is_unknown() {
    assert_unknown(&Lab::article().from("i-absent", OUTSIDE), "i-absent");
}

#[test]
fn chains_that_jump_in_circles_end() {
    let mut world = Lab::article();
    world.host("i-nat").ruleset =
        rules("*filter\n:FORWARD ACCEPT\n:A -\n:B -\n-A FORWARD -j A\n-A A -j B\n-A B -j A\nCOMMIT\n");
    assert_unknown(&world.https(), "circles");
}

#[test]
fn a_gathered_host_is_walked() {
    let host = crate::reach::facts::parse_host(include_str!("../facts/fixtures/two-interfaces.txt")).unwrap();
    let mut world = Lab::article();
    world.hosts.insert(id("i-nat", InstanceId::new), Fact::Known(host));
    assert_unknown(&world.https(), "fwmark 0x1");
    world.host("i-nat").policy_rules.retain(|rule| rule.not_understood.is_none());
    assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn rules_of_nft_are_walked() {
    let tables = crate::reach::facts::parse_nft(include_str!("../facts/fixtures/nft.json"), "").unwrap();
    let mut world = Lab::article();
    world.host("i-nat").ruleset.tables = tables;
    assert_delivered(&world.https(), NAT_PUBLIC);
}
