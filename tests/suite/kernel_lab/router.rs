//! What AWS does between the interfaces, in the words of a Linux router: one port for each network interface, route
//! tables as policy routing, groups, ACLs and the source/destination check as nft rules, and the internet gateway's
//! one-to-one translation. Made from the same snapshot that the walk reads, without asking the walk's code.

use std::fmt::Write;

use natdeck::model::*;

use super::world::{GATEWAY, OUTSIDE, SUBNETS, VPC};

/// The router's port to the internet, and the next hop there.
pub const OUT_PORT: &str = "p-out";
pub const BEYOND: &str = "192.0.2.2";
/// Where the routes to the interfaces are: AWS's local route.
const LOCAL: u32 = 50;

/// The router's side of an interface's cable.
pub fn port(eni: &str) -> String {
    eni.replacen("eni-", "p-", 1)
}

fn attached(network: &Network) -> impl Iterator<Item = &NetworkInterface> {
    network.network_interfaces.shown().values()
}

fn addresses(interface: &NetworkInterface) -> String {
    let own = interface.private_ip.into_iter().chain(interface.secondary_private_ips.iter().copied());
    own.map(|ip| ip.to_string()).collect::<Vec<_>>().join(", ")
}

/// The input of `ip -batch` that makes the route tables. The ports of all interfaces are there.
pub fn routes(network: &Network) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").unwrap();
    line(format!("route flush table {LOCAL}"));
    for interface in attached(network) {
        let eni = interface.network_interface_id.as_str();
        for ip in addresses(interface).split(", ") {
            line(format!("route add {ip} dev {} table {LOCAL}", port(eni)));
            line(format!("neigh replace {ip} lladdr {} dev {} nud permanent", interface.mac_address, port(eni)));
        }
    }
    line(format!("route add blackhole 10.8.0.0/16 table {LOCAL}"));
    for (number, (subnet, ..)) in SUBNETS.iter().enumerate() {
        let number = number + 1;
        line(format!("route flush table {number}"));
        let found = network.route_table_of(&SubnetId::new(*subnet), &VpcId::new(VPC)).unwrap().unwrap();
        for route in &found.routes {
            let RouteDestination::Ipv4(net) = &route.destination else { panic!("{:?}", route.destination) };
            match &route.target {
                RouteTarget::Local => {}
                RouteTarget::InternetGateway(_) => {
                    line(format!("route add {net} via {BEYOND} dev {OUT_PORT} onlink table {number}"));
                }
                RouteTarget::NetworkInterface { network_interface_id, .. } => {
                    let interface = &network.network_interfaces.shown()[network_interface_id.as_str()];
                    let ip = interface.private_ip.unwrap();
                    let port = port(network_interface_id.as_str());
                    line(format!("route add {net} via {ip} dev {port} onlink table {number}"));
                }
                other => panic!("the lab has no {other}"),
            }
        }
        line(format!("route add blackhole default table {number} metric 9999"));
    }
    text
}

/// Which table a port's packets are routed by: set once, ports come and go.
pub fn rules(ports: &[(&str, &str)]) -> String {
    let mut text = format!("rule add pref 100 lookup {LOCAL}\n");
    for (at, (eni, subnet)) in ports.iter().enumerate() {
        let table = SUBNETS.iter().position(|(id, ..)| id == subnet).unwrap() + 1;
        writeln!(text, "rule add pref {} iif {} lookup {table}", 110 + at, port(eni)).unwrap();
    }
    text
}

/// The input of `nft -f`.
pub fn filter(network: &Network) -> String {
    let mut sets = String::new();
    let mut chains = String::new();
    let mut leave = Vec::new();
    let mut enter = Vec::new();
    for interface in attached(network) {
        let eni = interface.network_interface_id.as_str();
        let name = eni.replace('-', "_");
        writeln!(
            sets,
            "set back_{name} {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service; size 65535; \
             flags dynamic,timeout; timeout 1m; }}"
        )
        .unwrap();
        let (own, subnet) = (addresses(interface), acl_name(network, &interface.subnet_id));
        let neighbours = neighbours(network, interface);
        let check = |field: &str| {
            if interface.source_dest_check { format!("ip {field} != {{ {own} }} drop") } else { String::new() }
        };
        writeln!(
            chains,
            "chain leave_{name} {{\n {}\n jump out_{name}\n {}\n jump {subnet}_out\n}}",
            check("saddr"),
            if neighbours.is_empty() { String::new() } else { format!("oifname {{ {neighbours} }} return") },
        )
        .unwrap();
        let inside = if neighbours.is_empty() {
            format!("jump {subnet}_in")
        } else {
            format!("iifname != {{ {neighbours} }} jump {subnet}_in")
        };
        writeln!(chains, "chain enter_{name} {{\n {inside}\n {}\n jump in_{name}\n}}", check("daddr")).unwrap();
        for (chain, direction) in [("out", RuleDirection::Egress), ("in", RuleDirection::Ingress)] {
            writeln!(chains, "chain {chain}_{name} {{\n{} drop\n}}", group_rules(network, interface, direction))
                .unwrap();
        }
        leave.push(format!("{} : jump leave_{name}", port(eni)));
        enter.push(format!("{} : jump enter_{name}", port(eni)));
    }
    for acl in network.network_acls.shown().values() {
        acl_chains(&mut chains, acl);
    }
    let public: Vec<_> = attached(network).filter_map(|i| Some((i.private_ip?, i.public_ip()?))).collect();
    let gateway = network.internet_gateways.shown()[GATEWAY].attachments.iter().any(|a| a.vpc_id.as_str() == VPC);
    let public = if gateway { public } else { Vec::new() };
    let private: Vec<String> = public.iter().map(|(private, _)| private.to_string()).collect();
    let gate =
        if private.is_empty() { "drop".to_owned() } else { format!("ip saddr != {{ {} }} drop", private.join(", ")) };
    let mut translate_out = String::new();
    let mut translate_in = String::new();
    for (private, public) in &public {
        writeln!(translate_out, " oifname {OUT_PORT} ip saddr {private} ip saddr set {public} accept").unwrap();
        writeln!(translate_in, " iifname {OUT_PORT} ip daddr {public} ip daddr set {private} accept").unwrap();
    }
    format!(
        "flush ruleset\ntable ip vpc {{\n{sets}{chains}\
         chain forward {{\n type filter hook forward priority filter; policy accept;\n \
         iifname vmap {{ {} }}\n oifname vmap {{ {} }}\n oifname {OUT_PORT} {gate}\n}}\n\
         chain gateway_out {{\n type filter hook postrouting priority mangle; policy accept;\n{translate_out}}}\n\
         chain gateway_in {{\n type filter hook prerouting priority mangle; policy accept;\n{translate_in} \
         iifname {OUT_PORT} ip saddr {OUTSIDE} drop\n}}\n}}\n",
        leave.join(", "),
        enter.join(", "),
    )
}

/// The ports of the other interfaces in the same subnet: no ACL between them.
fn neighbours(network: &Network, interface: &NetworkInterface) -> String {
    let others = attached(network).filter(|other| {
        other.subnet_id == interface.subnet_id && other.network_interface_id != interface.network_interface_id
    });
    others.map(|other| port(other.network_interface_id.as_str())).collect::<Vec<_>>().join(", ")
}

fn acl_name(network: &Network, subnet: &SubnetId) -> String {
    network.network_acl_of(subnet).unwrap().unwrap().network_acl_id.as_str().replace('-', "_")
}

/// A group lets pass what a rule allows, the replies to that, and errors about it.
fn group_rules(network: &Network, interface: &NetworkInterface, direction: RuleDirection) -> String {
    let back = format!("back_{}", interface.network_interface_id.as_str().replace('-', "_"));
    let mut text = format!(
        " ip saddr . ip daddr . ip protocol . th sport . th dport @{back} return\n \
         icmp type {{ destination-unreachable, time-exceeded }} return\n"
    );
    let address = if direction == RuleDirection::Egress { "daddr" } else { "saddr" };
    for id in &interface.security_group_ids {
        let group = &network.security_groups.shown()[id.as_str()];
        for rule in group.rules.iter().filter(|rule| rule.direction == direction) {
            let peers = match &rule.peer {
                Peer::Ipv4(net) if net.prefix_len() == 0 => String::new(),
                Peer::Ipv4(net) => format!("ip {address} {net}"),
                Peer::Group(id) => {
                    let members = attached(network).filter(|other| other.security_group_ids.contains(id));
                    format!("ip {address} {{ {} }}", members.map(addresses).collect::<Vec<_>>().join(", "))
                }
                other => panic!("the lab has no {other}"),
            };
            let ports = match (rule.protocol, rule.from_port, rule.to_port) {
                (Protocol::All, ..) => String::new(),
                (Protocol::Tcp, Some(first), Some(last)) => format!("tcp dport {first}-{last}"),
                other => panic!("the lab has no {other:?}"),
            };
            writeln!(
                text,
                " {peers} {ports} add @{back} {{ ip daddr . ip saddr . ip protocol . th dport . th sport }} return"
            )
            .unwrap();
        }
    }
    text
}

/// Both directions of an ACL, lowest number first; what no entry names is dropped.
fn acl_chains(chains: &mut String, acl: &NetworkAcl) {
    let name = acl.network_acl_id.as_str().replace('-', "_");
    for (suffix, direction, address) in [("in", AclDirection::Ingress, "saddr"), ("out", AclDirection::Egress, "daddr")]
    {
        let mut entries: Vec<&AclEntry> = acl.entries.iter().filter(|e| e.direction == direction).collect();
        entries.sort_by_key(|entry| entry.rule_number);
        writeln!(chains, "chain {name}_{suffix} {{").unwrap();
        for entry in entries {
            let net = entry.cidr_block.unwrap();
            let net = if net.prefix_len() == 0 { String::new() } else { format!("ip {address} {net} ") };
            let ports = match (entry.protocol, entry.port_range) {
                (Protocol::All, _) => String::new(),
                (Protocol::Tcp, Some((first, last))) => format!("tcp dport {first}-{last} "),
                other => panic!("the lab has no {other:?}"),
            };
            let action = if entry.action == AclAction::Allow { "return" } else { "drop" };
            writeln!(chains, " {net}{ports}{action}").unwrap();
        }
        writeln!(chains, " drop\n}}").unwrap();
    }
}
