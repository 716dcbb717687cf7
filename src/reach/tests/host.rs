//! Causes on the NAT host, and on the client's.

use ipnet::IpNet;

use super::causes::without_default_route;
use super::world::*;
use super::{assert_delivered, assert_dropped};
use crate::model::host::{ConntrackUse, HostRouteKind, PolicyRule};
use crate::model::*;
use crate::reach::{Code, Component, Direction};

/// The article with the NAT's rules replaced.
fn with_rules(text: &str) -> Lab {
    let mut world = Lab::article();
    world.host("i-nat").ruleset = rules(text);
    world
}

const MASQUERADE: &str =
    "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n";

#[test]
fn forwarding_off_drops_without_a_word() {
    let mut world = Lab::article();
    world.host("i-nat").ip_forward = false;
    let trace = world.https();
    assert_dropped(&trace, Code::HostIpForwardOff, "net.ipv4.ip_forward = 0");
    assert!(!trace.refused);
    assert_eq!(trace.stop().unwrap().component, Component::NatHost);
}

#[test]
fn without_masquerade_the_outer_interfaces_check_drops() {
    let world = with_rules("*filter\n:FORWARD ACCEPT\nCOMMIT\n");
    let trace = world.https();
    assert_dropped(&trace, Code::HostNoMasquerade, "no MASQUERADE or SNAT rule");
    assert_eq!(trace.stop().unwrap().resource_id.as_ref().unwrap().as_str(), "eni-outer");
}

#[test]
fn without_masquerade_and_without_check_the_internet_gateway_drops() {
    let mut world = Lab::single();
    world.host("i-nat").ruleset = rules("");
    let trace = world.https();
    assert_dropped(&trace, Code::HostNoMasquerade, "no MASQUERADE or SNAT rule");
    assert_eq!(trace.stop().unwrap().component, Component::PublicAddress);
}

#[test]
fn a_masquerade_rule_for_another_interface_translates_nothing() {
    for name in ["eth0", "\"\""] {
        let world = with_rules(&format!("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -o {name} -j MASQUERADE\nCOMMIT\n"));
        let trace = world.https();
        assert_dropped(&trace, Code::HostMasqueradeWrongInterface, "-j MASQUERADE");
        assert_dropped(&trace, Code::HostMasqueradeWrongInterface, "interfaces: ens5, ens6");
    }
}

#[test]
fn a_masquerade_rule_for_another_source_translates_nothing() {
    let world = with_rules("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -s 10.9.0.0/16 -o ens5 -j MASQUERADE\nCOMMIT\n");
    assert_dropped(&world.https(), Code::HostNoMasquerade, "-s 10.9.0.0/16");
}

#[test]
fn wildcard_interfaces_jumps_and_snat_translate() {
    assert_delivered(
        &with_rules("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -o ens+ -j MASQUERADE\nCOMMIT\n").https(),
        NAT_PUBLIC,
    );
    let jump = "*nat\n:POSTROUTING ACCEPT\n:OUT - [0:0]\n-A POSTROUTING ! -o ens6 -j OUT\n-A OUT -s 10.8.0.0/16 -j SNAT --to-source 10.8.1.227\nCOMMIT\n";
    assert_delivered(&with_rules(jump).https(), NAT_PUBLIC);
    let returned = "*nat\n:POSTROUTING ACCEPT\n:OUT - [0:0]\n-A POSTROUTING -g OUT\n-A POSTROUTING -j MASQUERADE\n-A OUT -j RETURN\nCOMMIT\n";
    assert_dropped(&with_rules(returned).https(), Code::HostNoMasquerade, "-A POSTROUTING -j MASQUERADE");
}

#[test]
fn a_forward_policy_of_drop_denies() {
    let world = with_rules(&format!("*filter\n:FORWARD DROP [4:240]\nCOMMIT\n{MASQUERADE}"));
    let trace = world.https();
    assert_dropped(&trace, Code::HostForwardDenied, ":FORWARD DROP");
    assert!(!trace.refused);
}

#[test]
fn a_reject_ahead_of_the_accept_denies_and_is_told() {
    let world = with_rules(&format!(
        "*filter\n:FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n-A FORWARD -i ens6 -j ACCEPT\nCOMMIT\n{MASQUERADE}"
    ));
    let trace = world.https();
    assert_dropped(&trace, Code::HostForwardDenied, "-j REJECT");
    assert!(trace.refused);
}

#[test]
fn a_reply_without_an_established_rule_is_denied() {
    let world =
        with_rules(&format!("*filter\n:FORWARD DROP\n-A FORWARD -i ens6 -o ens5 -j ACCEPT\nCOMMIT\n{MASQUERADE}"));
    let trace = world.https();
    assert_dropped(&trace, Code::HostForwardReplyDenied, ":FORWARD DROP");
    assert_eq!(trace.stop().unwrap().direction, Direction::Reply);
    assert_eq!(trace.address, Some(NAT_PUBLIC.parse().unwrap()));
}

#[test]
fn legacy_and_nft_tables_both_apply() {
    let mut world = Lab::article();
    let mut second = rules("*filter\n:FORWARD DROP\nCOMMIT\n").tables;
    second[0].backend = crate::model::host::Backend::IptablesLegacy;
    world.host("i-nat").ruleset.tables.extend(second);
    assert_dropped(&world.https(), Code::HostForwardDenied, "iptables-legacy-save");
}

#[test]
fn forward_sees_the_reply_with_the_clients_address() {
    let world = with_rules(&format!(
        "*filter\n:FORWARD DROP\n-A FORWARD -i ens6 -j ACCEPT\n-A FORWARD -d 10.8.2.120/32 -j ACCEPT\nCOMMIT\n{MASQUERADE}"
    ));
    assert_delivered(&world.https(), NAT_PUBLIC);
}

#[test]
fn strict_reverse_path_filter_drops_a_client_behind_the_other_interface() {
    let mut world = Lab::article();
    world.default_route("rtb-private").target = eni_target("eni-outer");
    world.eni("eni-outer").source_dest_check = false;
    world.host("i-nat").ruleset = rules(MASQUERADE);
    assert_delivered(&world.https(), NAT_PUBLIC);
    world.host("i-nat").interfaces[0].rp_filter = 2;
    assert_delivered(&world.https(), NAT_PUBLIC);
    world.host("i-nat").rp_filter_all = 1;
    assert_delivered(&world.https(), NAT_PUBLIC);
    world.host("i-nat").interfaces[0].rp_filter = 0;
    let trace = world.https();
    assert_dropped(&trace, Code::HostRpFilter, "net.ipv4.conf.all.rp_filter = 1");
    assert_dropped(&trace, Code::HostRpFilter, "10.8.2.0/24 dev ens6");
}

#[test]
fn a_second_interface_that_is_down_takes_nothing() {
    let mut world = Lab::article();
    world.host("i-nat").interfaces[1].up = false;
    assert_dropped(&world.https(), Code::HostInterfaceDown, "ens6: state DOWN");
}

#[test]
fn a_second_interface_that_the_kernel_does_not_show_takes_nothing() {
    let mut world = Lab::article();
    world.host("i-nat").interfaces.pop();
    assert_dropped(&world.https(), Code::HostInterfaceDown, "MacAddress = 02:00:");
}

#[test]
fn a_second_interface_without_an_address_loses_the_reply() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.interfaces[1].addresses.clear();
    host.routes.retain(|route| route.device != "ens6");
    host.ruleset = rules(MASQUERADE);
    assert_dropped(&world.https(), Code::HostInterfaceDown, "default via 10.8.1.1 dev ens5");
    world.host("i-nat").interfaces[1].rp_filter = 2;
    assert_dropped(&world.https(), Code::HostInterfaceDown, "rp_filter = 2");
}

#[test]
fn a_missing_default_route_is_told_to_the_client() {
    let mut world = Lab::article();
    world.host("i-nat").routes.retain(|route| route.destination.prefix_len() > 0);
    let trace = world.https();
    assert_dropped(&trace, Code::HostDefaultRouteWrong, "no route to 8.8.8.8");
    assert!(trace.refused);
}

#[test]
fn a_default_route_by_the_inner_interface_goes_in_circles() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.routes.retain(|route| route.destination.prefix_len() > 0);
    host.routes.push(host_route("0.0.0.0/0", Some("10.8.2.1"), "ens6"));
    host.ruleset = rules("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n");
    assert_dropped(&world.https(), Code::HostDefaultRouteWrong, "default via 10.8.2.1 dev ens6");
}

#[test]
fn a_wrong_default_route_is_told_from_a_subnet_that_is_not_public_also_where_both_are_so() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.routes.retain(|route| route.destination.prefix_len() > 0);
    host.routes.push(host_route("0.0.0.0/0", Some("10.8.2.1"), "ens6"));
    host.ruleset = rules("*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n");
    without_default_route(&mut world, "rtb-public");
    assert_dropped(&world.https(), Code::HostDefaultRouteWrong, "default via 10.8.2.1 dev ens6");
}

#[test]
fn a_client_of_another_private_subnet_needs_a_route_back() {
    let mut world = Lab::article();
    world.subnet("subnet-second");
    world.table("rtb-second", Some("subnet-second"));
    world.route("rtb-second", "0.0.0.0/0", eni_target("eni-inner"));
    world.instance("i-far", &[("eni-far", "subnet-second", "10.8.3.10", "sg-private")]);
    let trace = world.from("i-far", OUTSIDE);
    assert_dropped(&trace, Code::HostNoReturnRoute, ":FORWARD DROP");
    world.host("i-nat").ruleset = rules(MASQUERADE);
    assert_dropped(&world.from("i-far", OUTSIDE), Code::HostNoReturnRoute, "default via 10.8.1.1 dev ens5");
    world.host("i-nat").rp_filter_all = 1;
    assert_dropped(&world.from("i-far", OUTSIDE), Code::HostRpFilter, "default via 10.8.1.1 dev ens5");
    world.host("i-nat").routes.push(host_route("10.8.3.0/24", Some("10.8.2.1"), "ens6"));
    assert_delivered(&world.from("i-far", OUTSIDE), NAT_PUBLIC);
}

#[test]
fn policy_rules_are_asked_in_order_of_priority() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    let rule = |priority, from: Option<&str>, table| PolicyRule {
        priority,
        from: from.map(|from| from.parse::<IpNet>().unwrap()),
        to: None,
        iif: None,
        oif: None,
        table,
        not_understood: None,
    };
    host.policy_rules = vec![rule(32766, None, 254), rule(0, None, 255), rule(10000, Some("10.8.2.148/32"), 10001)];
    let mut inner = host_route("0.0.0.0/0", Some("10.8.2.1"), "ens6");
    inner.table = 10001;
    host.routes.push(inner);
    assert_delivered(&world.https(), NAT_PUBLIC);
    world.host("i-nat").policy_rules.push(rule(9000, Some("10.8.2.0/24"), 10001));
    assert_dropped(&world.https(), Code::HostForwardDenied, ":FORWARD DROP");
}

#[test]
fn metrics_decide_between_equal_prefixes_and_a_blackhole_is_silent() {
    let mut world = Lab::article();
    let mut worse = host_route("0.0.0.0/0", Some("10.8.2.1"), "ens6");
    worse.metric = 512;
    world.host("i-nat").routes.insert(0, worse);
    assert_delivered(&world.https(), NAT_PUBLIC);
    let mut blackhole = host_route("8.0.0.0/8", None, "");
    blackhole.kind = HostRouteKind::Blackhole;
    world.host("i-nat").routes.push(blackhole.clone());
    let trace = world.https();
    assert_dropped(&trace, Code::HostDefaultRouteWrong, "blackhole 8.0.0.0/8");
    assert!(!trace.refused);
    world.host("i-nat").routes.last_mut().unwrap().kind = HostRouteKind::Unreachable;
    assert!(world.https().refused);
}

#[test]
fn a_full_conntrack_table_drops_new_connections() {
    let mut world = Lab::article();
    world.host("i-nat").ruleset.conntrack = Some(ConntrackUse { count: 65536, max: 65536 });
    assert_dropped(&world.https(), Code::HostConntrackFull, "nf_conntrack_max = 65536");
}

#[test]
fn what_is_known_of_a_client_is_honoured() {
    let mut world = Lab::article();
    let client = host(&[("ens5", "eni-client", "10.8.2.120/24")], "10.8.2.1", "");
    world.hosts.insert(id("i-client", InstanceId::new), Fact::Known(client));
    assert_delivered(&world.https(), NAT_PUBLIC);
    world.host("i-client").ruleset =
        rules("*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp -m tcp --dport 443 -j REJECT\nCOMMIT\n");
    let trace = world.https();
    assert_dropped(&trace, Code::ClientProxyOrFirewall, "--dport 443 -j REJECT");
    assert!(trace.refused);
    world.host("i-client").ruleset = rules("*filter\n:INPUT DROP\n:OUTPUT ACCEPT\nCOMMIT\n");
    assert_dropped(&world.https(), Code::ClientProxyOrFirewall, ":INPUT DROP");
    world.host("i-client").ruleset = rules("");
    world.host("i-client").routes.retain(|route| route.destination.prefix_len() > 0);
    let trace = world.https();
    assert_dropped(&trace, Code::HostDefaultRouteWrong, "no route to 8.8.8.8");
    assert_eq!((trace.stop().unwrap().component, trace.refused), (Component::Instance, true));
}

#[test]
fn a_nat_that_sends_by_the_wrong_interface_goes_in_circles() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.routes.retain(|route| route.destination.prefix_len() > 0);
    host.routes.push(host_route("0.0.0.0/0", Some("10.8.2.1"), "ens6"));
    host.ruleset = rules("");
    let trace = world.from("i-nat", OUTSIDE);
    assert_dropped(&trace, Code::HostDefaultRouteWrong, "eni-inner");
}

#[test]
fn destination_translation_before_routing_is_followed_and_undone() {
    let mut world = Lab::article();
    world.instance("i-proxy", &[("eni-proxy", "subnet-private", "10.8.2.200", "sg-proxy")]);
    world.group("sg-proxy", &[("ingress", "-1", "0.0.0.0/0"), ("egress", "-1", "0.0.0.0/0")]);
    world.host("i-nat").ruleset = rules(
        "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n-A PREROUTING -i ens6 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.8.2.200:3128\n-A POSTROUTING -d 10.8.2.200/32 -j MASQUERADE\nCOMMIT\n",
    );
    assert_delivered(&world.https(), "10.8.2.148");
}

/// Seen on Linux with three namespaces: a strict filter passes the reply, because the way back is looked up as if the
/// packet came in by the interface by which the reply leaves.
#[test]
fn the_way_back_is_looked_up_with_the_interface_by_which_the_packet_leaves() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.routes.retain(|route| route.destination.prefix_len() > 0);
    let mut default = host_route("0.0.0.0/0", Some("10.8.1.1"), "ens5");
    default.table = 100;
    host.routes.push(default);
    let rule = |priority, iif: Option<&str>, table| PolicyRule {
        priority,
        from: None,
        to: None,
        iif: iif.map(str::to_owned),
        oif: None,
        table,
        not_understood: None,
    };
    host.policy_rules = vec![rule(0, None, 255), rule(100, Some("ens6"), 100), rule(32766, None, 254)];
    host.rp_filter_all = 1;
    assert_delivered(&world.https(), NAT_PUBLIC);
}

/// Seen on Linux: the mangle table's PREROUTING comes before the reply is translated back.
#[test]
fn mangle_sees_the_reply_with_the_nats_address() {
    let mangle = |address| {
        format!("*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -i ens5 -d {address}/32 -j DROP\nCOMMIT\n{MASQUERADE}")
    };
    assert_delivered(&with_rules(&mangle("10.8.2.120")).https(), NAT_PUBLIC);
    assert_dropped(
        &with_rules(&mangle("10.8.1.227")).https(),
        Code::HostForwardReplyDenied,
        "-d 10.8.1.227/32 -j DROP",
    );
}

/// Seen on Linux: MASQUERADE on an interface without an address takes another of the host's. AWS then drops the packet,
/// whose source is not the interface's.
#[test]
fn masquerade_without_an_address_takes_another_interfaces() {
    let mut world = Lab::article();
    let host = world.host("i-nat");
    host.interfaces[0].addresses.clear();
    host.ruleset = rules(MASQUERADE);
    let trace = world.https();
    assert_dropped(&trace, Code::HostNoMasquerade, "SourceDestCheck = true");
    assert!(trace.stop().unwrap().detail.contains("10.8.2.148"), "{:?}", trace.stop());
}

#[test]
fn a_route_that_prohibits_is_told_and_a_source_of_the_hosts_own_is_martian() {
    let mut world = Lab::article();
    world.host("i-nat").routes.last_mut().unwrap().kind = HostRouteKind::Prohibit;
    assert!(world.https().refused);
    let mut world = Lab::article();
    world.host("i-nat").interfaces[0].addresses.push("10.8.2.120/32".parse().unwrap());
    assert_dropped(&world.https(), Code::HostRpFilter, "ip_forward");
}
