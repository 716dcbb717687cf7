//! The `tree` command for people: a VPC as an indented tree, one resource a line.

use crate::model::{Identity, Instance, Network, NetworkInterface, Route, RouteState, RouteTable, Subnet, Vpc};

/// Lines with box-drawing guides.
#[derive(Default)]
struct Tree {
    nodes: Vec<(usize, String)>,
}

impl Tree {
    fn push(&mut self, depth: usize, text: String) {
        self.nodes.push((depth, text));
    }

    /// Draws the guides: `├─` while a sibling follows, `└─` for the last one.
    fn render(&self) -> String {
        let mut out = String::new();
        for (index, (depth, text)) in self.nodes.iter().enumerate() {
            for level in 1..*depth {
                out.push_str(if self.continues(index, level) { "│  " } else { "   " });
            }
            if *depth > 0 {
                out.push_str(if self.continues(index, *depth) { "├─ " } else { "└─ " });
            }
            out.push_str(text);
            out.push('\n');
        }
        out
    }

    /// Whether another node at `level` follows before the tree returns to a shallower one.
    fn continues(&self, index: usize, level: usize) -> bool {
        self.nodes
            .iter()
            .skip(index + 1)
            .map(|(depth, _)| *depth)
            .take_while(|depth| *depth >= level)
            .any(|depth| depth == level)
    }
}

/// The whole answer of `natdeck tree`.
pub fn render(identity: &Identity, network: &Network) -> String {
    let mut out = format!(
        "{}  account {}  region {}\n",
        identity.world,
        identity.account_id.as_deref().unwrap_or("unknown"),
        network.region
    );
    let mut tree = Tree::default();
    for vpc in network.vpcs.shown().values() {
        vpc_node(&mut tree, network, vpc);
    }
    out.push_str(&tree.render());
    if network.vpcs.shown().is_empty() && network.vpcs.gap().is_none() {
        out.push_str("No VPC here. natdeck plan shows what would be built.\n");
    }
    for gap in network.gaps() {
        out.push_str(&format!("unknown: {}: {}\n", gap.what, gap.reason));
    }
    out
}

fn vpc_node(tree: &mut Tree, network: &Network, vpc: &Vpc) {
    let blocks: Vec<String> = vpc.cidr_blocks.iter().map(ToString::to_string).collect();
    let default = if vpc.is_default { "default" } else { "" };
    tree.push(0, line(&[vpc.vpc_id.as_str(), vpc.tags.name().unwrap_or(""), &blocks.join(" "), default]));
    for gateway in network.internet_gateways.shown().values().filter(|g| g.is_attached_to(&vpc.vpc_id)) {
        tree.push(1, line(&[gateway.internet_gateway_id.as_str(), gateway.tags.name().unwrap_or(""), "attached"]));
    }
    for gateway in network.nat_gateways.shown().values().filter(|g| g.vpc_id == vpc.vpc_id) {
        let address = gateway.public_ip.map(|ip| ip.to_string()).unwrap_or_default();
        tree.push(
            1,
            line(&[
                gateway.nat_gateway_id.as_str(),
                gateway.tags.name().unwrap_or(""),
                gateway.state.as_str(),
                &address,
                "NAT gateway",
            ]),
        );
    }
    for subnet in network.subnets.shown().values().filter(|s| s.vpc_id == vpc.vpc_id) {
        subnet_node(tree, network, subnet);
    }
    for table in network.route_tables.shown().values().filter(|t| t.vpc_id == vpc.vpc_id) {
        table_node(tree, table);
    }
    for endpoint in network.vpc_endpoints.shown().values().filter(|e| e.vpc_id == vpc.vpc_id) {
        tree.push(
            1,
            line(&[
                endpoint.vpc_endpoint_id.as_str(),
                endpoint.service(),
                endpoint.state.as_str(),
                &format!("{} endpoint", endpoint.kind),
            ]),
        );
    }
}

fn subnet_node(tree: &mut Tree, network: &Network, subnet: &Subnet) {
    let cidr = subnet.cidr_block.map(|c| c.to_string()).unwrap_or_default();
    let kind = match network.route_table_of(&subnet.subnet_id, &subnet.vpc_id) {
        Ok(table) if table.is_some_and(RouteTable::is_public) => "public",
        Ok(_) => "private",
        Err(_) => "",
    };
    let name = subnet.tags.name().unwrap_or("");
    tree.push(1, line(&[subnet.subnet_id.as_str(), name, &cidr, &subnet.availability_zone, kind]));
    let here = |i: &&Instance| i.subnet_id.as_ref() == Some(&subnet.subnet_id);
    for instance in network.instances.shown().values().filter(here) {
        instance_node(tree, network, instance);
    }
    let loose = |i: &&NetworkInterface| i.subnet_id == subnet.subnet_id && !primary(i);
    for interface in network.network_interfaces.shown().values().filter(loose) {
        tree.push(2, interface_line(interface));
    }
}

/// An instance's first interface stands in the instance's own line.
fn primary(interface: &NetworkInterface) -> bool {
    interface.attachment.as_ref().is_some_and(|a| a.device_index == 0 && a.instance_id.is_some())
}

fn instance_node(tree: &mut Tree, network: &Network, instance: &Instance) {
    let ip = |ip: Option<std::net::Ipv4Addr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let ssm = match network.managed_instances.get(instance.instance_id.as_str()) {
        Ok(Some(managed)) => format!("SSM {}", managed.ping_status),
        Ok(None) => "not in SSM".to_owned(),
        Err(_) => "SSM unknown".to_owned(),
    };
    tree.push(
        2,
        line(&[
            instance.instance_id.as_str(),
            instance.tags.name().unwrap_or(""),
            instance.state.as_str(),
            &instance.instance_type,
            &ip(instance.private_ip),
            &ip(instance.public_ip),
            &ssm,
        ]),
    );
}

fn interface_line(interface: &NetworkInterface) -> String {
    let address = interface.private_ip.map(|ip| ip.to_string()).unwrap_or_default();
    let owner = match &interface.attachment {
        Some(attachment) => match &attachment.instance_id {
            Some(id) => format!("on {id} device {}", attachment.device_index),
            None => interface.interface_type.clone(),
        },
        None => interface.status.to_string(),
    };
    let check = if interface.source_dest_check { "" } else { "source/dest check off" };
    let name = interface.tags.name().unwrap_or("");
    line(&[interface.network_interface_id.as_str(), name, &address, &owner, check])
}

fn table_node(tree: &mut Tree, table: &RouteTable) {
    let subnets: Vec<&str> = table.subnet_ids().map(crate::model::SubnetId::as_str).collect();
    let main = if table.is_main() { "main" } else { "" };
    tree.push(1, line(&[table.route_table_id.as_str(), table.tags.name().unwrap_or(""), main, &subnets.join(" ")]));
    for route in &table.routes {
        tree.push(2, route_line(route));
    }
}

fn route_line(route: &Route) -> String {
    let state = if route.state == RouteState::Active { "" } else { route.state.as_str() };
    line(&[&format!("{} → {}", route.destination, route.target), state])
}

/// Joins what is not empty with two spaces, and keeps what a tag could smuggle into a terminal out of it.
fn line(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| part.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>())
        .collect::<Vec<_>>()
        .join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_end_where_a_branch_ends() {
        let mut tree = Tree::default();
        for (depth, text) in [(0, "vpc"), (1, "a"), (2, "a1"), (1, "b"), (2, "b1"), (2, "b2")] {
            tree.push(depth, text.to_owned());
        }
        assert_eq!(tree.render(), "vpc\n├─ a\n│  └─ a1\n└─ b\n   ├─ b1\n   └─ b2\n");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(line(&["\u{1b}[2Jname"]), "\u{fffd}[2Jname");
    }
}
