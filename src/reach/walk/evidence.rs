//! Evidence in AWS's words: which call, which field, which value.

use crate::model::{
    AclAction, AclDirection, AclEntry, NatGateway, Network, NetworkAcl, NetworkInterface, Route, RouteDestination,
    RouteTable, RouteTarget, RuleDirection, SecurityGroup, SecurityGroupRule,
};
use crate::reach::Evidence;
use crate::reach::host::Line;

pub(in crate::reach) fn lines(lines: Vec<Line>) -> Vec<Evidence> {
    lines.into_iter().map(|line| Evidence { source: line.source, text: line.text, observed_at: None }).collect()
}

pub(in crate::reach) fn interface(
    network: &Network,
    interface: &NetworkInterface,
    text: impl Into<String>,
) -> Evidence {
    Evidence {
        source: format!("DescribeNetworkInterfaces {}", interface.network_interface_id),
        text: text.into(),
        observed_at: network.network_interfaces.observed_at(),
    }
}

pub(in crate::reach) fn instance(network: &Network, id: &str, text: impl Into<String>) -> Evidence {
    Evidence {
        source: format!("DescribeInstances {id}"),
        text: text.into(),
        observed_at: network.instances.observed_at(),
    }
}

pub(in crate::reach) fn table(network: &Network, table: &RouteTable, text: impl Into<String>) -> Evidence {
    Evidence {
        source: format!("DescribeRouteTables {}", table.route_table_id),
        text: text.into(),
        observed_at: network.route_tables.observed_at(),
    }
}

pub(in crate::reach) fn route(network: &Network, of: &RouteTable, route: &Route) -> Evidence {
    table(network, of, shown_route(route))
}

/// All routes of a table, for a packet that none of them takes.
pub(in crate::reach) fn routes(network: &Network, of: &RouteTable) -> Evidence {
    let all: Vec<String> = of.routes.iter().map(|route| format!("{} -> {}", route.destination, route.target)).collect();
    table(network, of, format!("Routes[] = [{}]", all.join(", ")))
}

pub(in crate::reach) fn associations(network: &Network, of: &RouteTable) -> Evidence {
    let all: Vec<String> = of
        .associations
        .iter()
        .map(|association| match (&association.subnet_id, &association.gateway_id) {
            _ if association.main => "Main = true".to_owned(),
            (Some(subnet_id), _) => format!("SubnetId = {subnet_id}"),
            (None, Some(gateway_id)) => format!("GatewayId = {gateway_id}"),
            (None, None) => association.association_id.to_string(),
        })
        .collect();
    table(network, of, format!("Associations[] = [{}]", all.join(", ")))
}

fn shown_route(route: &Route) -> String {
    let destination = match &route.destination {
        RouteDestination::Ipv4(_) => "DestinationCidrBlock",
        RouteDestination::Ipv6(_) => "DestinationIpv6CidrBlock",
        RouteDestination::PrefixList(_) => "DestinationPrefixListId",
        RouteDestination::Other(_) => "Destination",
    };
    let target = match &route.target {
        RouteTarget::Local
        | RouteTarget::InternetGateway(_)
        | RouteTarget::VirtualPrivateGateway(_)
        | RouteTarget::GatewayEndpoint(_) => "GatewayId",
        RouteTarget::EgressOnlyInternetGateway(_) => "EgressOnlyInternetGatewayId",
        RouteTarget::NatGateway(_) => "NatGatewayId",
        RouteTarget::NetworkInterface { .. } => "NetworkInterfaceId",
        RouteTarget::Instance(_) => "InstanceId",
        RouteTarget::TransitGateway(_) => "TransitGatewayId",
        RouteTarget::VpcPeeringConnection(_) => "VpcPeeringConnectionId",
        RouteTarget::LocalGateway(_) => "LocalGatewayId",
        RouteTarget::CarrierGateway(_) => "CarrierGatewayId",
        RouteTarget::CoreNetwork(_) => "CoreNetworkArn",
        RouteTarget::Other { kind, .. } => kind,
    };
    format!(
        "Routes[]: {destination} = {}, {target} = {}, State = {}, Origin = {}",
        route.destination, route.target, route.state, route.origin
    )
}

pub(in crate::reach) fn group_rule(network: &Network, group: &SecurityGroup, rule: &SecurityGroupRule) -> Evidence {
    group_evidence(network, group, format!("{}: {}", field(rule.direction), shown_rule(rule)))
}

/// All rules of a group in one direction, for a packet that none of them lets pass.
pub(in crate::reach) fn group_rules(network: &Network, group: &SecurityGroup, direction: RuleDirection) -> Evidence {
    let rules = group.rules.iter().filter(|rule| rule.direction == direction);
    let all: Vec<String> = rules.map(shown_rule).collect();
    group_evidence(network, group, format!("{} = [{}]", field(direction), all.join("; ")))
}

fn group_evidence(network: &Network, group: &SecurityGroup, text: String) -> Evidence {
    Evidence {
        source: format!("DescribeSecurityGroups {}", group.group_id),
        text,
        observed_at: network.security_groups.observed_at(),
    }
}

fn field(direction: RuleDirection) -> &'static str {
    match direction {
        RuleDirection::Ingress => "IpPermissions",
        RuleDirection::Egress => "IpPermissionsEgress",
    }
}

fn shown_rule(rule: &SecurityGroupRule) -> String {
    let ports = match (rule.from_port, rule.to_port) {
        (None, None) => String::new(),
        (from, to) => format!(
            ", FromPort = {}, ToPort = {}",
            from.map_or_else(|| "-1".to_owned(), |port| port.to_string()),
            to.map_or_else(|| "-1".to_owned(), |port| port.to_string())
        ),
    };
    format!("IpProtocol = {}{ports}, {}", rule.protocol, rule.peer)
}

/// The entry that decides, or that none does.
pub(in crate::reach) fn acl(
    network: &Network,
    of: &NetworkAcl,
    direction: AclDirection,
    entry: Option<&AclEntry>,
) -> Evidence {
    let text = entry.map_or_else(
        || format!("Entries[]: none matches with Egress = {}", direction == AclDirection::Egress),
        shown_entry,
    );
    Evidence {
        source: format!("DescribeNetworkAcls {}", of.network_acl_id),
        text,
        observed_at: network.network_acls.observed_at(),
    }
}

fn shown_entry(entry: &AclEntry) -> String {
    let action = if entry.action == AclAction::Allow { "allow" } else { "deny" };
    let cidr = match (entry.cidr_block, entry.ipv6_cidr_block) {
        (Some(net), _) => format!("CidrBlock = {net}"),
        (None, Some(net)) => format!("Ipv6CidrBlock = {net}"),
        (None, None) => "no CIDR".to_owned(),
    };
    let ports = entry.port_range.map_or_else(String::new, |(first, last)| format!(", PortRange = {first}-{last}"));
    format!(
        "Entries[]: RuleNumber = {}, Egress = {}, Protocol = {}, {cidr}{ports}, RuleAction = {action}",
        entry.rule_number,
        entry.direction == AclDirection::Egress,
        entry.protocol
    )
}

/// The state of a NAT gateway, and why it has it where AWS says so.
pub(in crate::reach) fn nat_gateway(network: &Network, gateway: &NatGateway) -> Evidence {
    let mut text = format!("State = {}", gateway.state);
    for (field, value) in [("FailureCode", &gateway.failure_code), ("FailureMessage", &gateway.failure_message)] {
        if let Some(value) = value {
            text = format!("{text}, {field} = {value}");
        }
    }
    call("DescribeNatGateways", gateway.nat_gateway_id.as_str(), text, network.nat_gateways.observed_at())
}

/// Any other call.
pub(in crate::reach) fn call(
    operation: &str,
    id: &str,
    text: impl Into<String>,
    observed_at: Option<jiff::Timestamp>,
) -> Evidence {
    Evidence { source: format!("{operation} {id}").trim_end().to_owned(), text: text.into(), observed_at }
}
