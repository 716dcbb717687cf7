//! The `tree` document: AWS's nouns and names, in snake case, grouped by VPC.

use serde_json::{Map, Value, json};

use crate::model::{
    AclDirection, Address, GatewayAttachment, Identity, Instance, InternetGateway, ManagedInstance, NatGateway,
    Network, NetworkAcl, NetworkInterface, Peer, Route, RouteDestination, RouteTable, RouteTarget, SecurityGroup,
    SecurityGroupRule, Subnet, Unknown, Vpc, VpcEndpoint, VpcId,
};

/// The whole document. `vpcs` holds every VPC that was observed; `unknown` what could not be.
pub fn document(identity: &Identity, network: &Network) -> Value {
    json!({
        "version": 1,
        "world": identity.world.to_string(),
        "account_id": identity.account_id,
        "region": network.region,
        "observed_at": network.observed_at.map(|at| at.to_string()),
        "vpcs": network.vpcs.shown().values().map(|vpc| vpc_json(network, vpc)).collect::<Vec<_>>(),
        "unassociated_addresses": unassociated(network),
        "unknown": network.gaps().into_iter().map(unknown_json).collect::<Vec<_>>(),
    })
}

/// One gap: what is not known, and why.
pub fn unknown_json(unknown: &Unknown) -> Value {
    json!({ "what": unknown.what, "reason": unknown.reason })
}

fn vpc_json(network: &Network, vpc: &Vpc) -> Value {
    let id = &vpc.vpc_id;
    let list = |values: Vec<Value>| Value::Array(values);
    json!({
        "vpc_id": id,
        "name": vpc.tags.name(),
        "state": vpc.state,
        "cidr_blocks": vpc.cidr_blocks,
        "ipv6_cidr_blocks": vpc.ipv6_cidr_blocks,
        "is_default": vpc.is_default,
        "enable_dns_support": vpc.dns_support,
        "enable_dns_hostnames": vpc.dns_hostnames,
        "dhcp_options_id": vpc.dhcp_options.as_ref().map(|set| &set.dhcp_options_id),
        "domain_name_servers": vpc.dhcp_options.as_ref().and_then(|set| set.domain_name_servers.as_ref()),
        "tags": vpc.tags,
        "subnets": list(of(network.subnets.shown().values(), |r| &r.vpc_id == id, |r| subnet(network, r))),
        "route_tables": list(of(network.route_tables.shown().values(), |r| &r.vpc_id == id, route_table)),
        "internet_gateways": list(of(
            network.internet_gateways.shown().values(), |r| attached(&r.attachments, id), internet_gateway)),
        "egress_only_internet_gateways": list(of(
            network.egress_only_internet_gateways.shown().values(),
            |r| attached(&r.attachments, id),
            |r| json!({
                "egress_only_internet_gateway_id": r.egress_only_internet_gateway_id,
                "attachments": attachments(&r.attachments),
                "tags": r.tags,
            }))),
        "nat_gateways": list(of(network.nat_gateways.shown().values(), |r| &r.vpc_id == id, nat_gateway)),
        "network_interfaces": list(of(
            network.network_interfaces.shown().values(), |r| &r.vpc_id == id, network_interface)),
        "instances": list(of(
            network.instances.shown().values(), |r| r.vpc_id.as_ref() == Some(id), |r| instance(network, r))),
        "security_groups": list(of(network.security_groups.shown().values(), |r| &r.vpc_id == id, security_group)),
        "network_acls": list(of(network.network_acls.shown().values(), |r| &r.vpc_id == id, network_acl)),
        "addresses": list(of(network.addresses.shown().values(), |r| address_in(network, r, id), address)),
        "vpc_endpoints": list(of(network.vpc_endpoints.shown().values(), |r| &r.vpc_id == id, vpc_endpoint)),
    })
}

fn of<'a, T: 'a>(
    items: impl Iterator<Item = &'a T>,
    belongs: impl Fn(&T) -> bool,
    json: impl Fn(&'a T) -> Value,
) -> Vec<Value> {
    items.filter(|item| belongs(item)).map(json).collect()
}

fn attached(attachments: &[GatewayAttachment], vpc_id: &VpcId) -> bool {
    attachments.iter().any(|attachment| &attachment.vpc_id == vpc_id)
}

/// Whether an Elastic IP sits on an interface of the VPC.
fn address_in(network: &Network, address: &Address, vpc_id: &VpcId) -> bool {
    address
        .network_interface_id
        .as_ref()
        .and_then(|id| network.network_interfaces.shown().get(id.as_str()))
        .is_some_and(|interface| &interface.vpc_id == vpc_id)
}

fn unassociated(network: &Network) -> Vec<Value> {
    of(network.addresses.shown().values(), |r| r.association_id.is_none(), address)
}

fn subnet(network: &Network, subnet: &Subnet) -> Value {
    let table = network.route_table_of(&subnet.subnet_id, &subnet.vpc_id).ok().flatten();
    json!({
        "subnet_id": subnet.subnet_id,
        "name": subnet.tags.name(),
        "cidr_block": subnet.cidr_block,
        "ipv6_cidr_blocks": subnet.ipv6_cidr_blocks,
        "availability_zone": subnet.availability_zone,
        "state": subnet.state,
        "map_public_ip_on_launch": subnet.map_public_ip_on_launch,
        "available_ip_address_count": subnet.available_ip_address_count,
        "route_table_id": table.map(|table| &table.route_table_id),
        "tags": subnet.tags,
    })
}

fn route_table(table: &RouteTable) -> Value {
    let associations: Vec<Value> = table
        .associations
        .iter()
        .map(|a| {
            json!({
                "route_table_association_id": a.association_id,
                "main": a.main,
                "subnet_id": a.subnet_id,
                "gateway_id": a.gateway_id,
                "state": a.state,
            })
        })
        .collect();
    json!({
        "route_table_id": table.route_table_id,
        "name": table.tags.name(),
        "main": table.is_main(),
        "associations": associations,
        "routes": table.routes.iter().map(route).collect::<Vec<_>>(),
        "tags": table.tags,
    })
}

/// A route as DescribeRouteTables gives it: the destination and the target under AWS's own field names.
fn route(route: &Route) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: &str| drop(object.insert(key.to_owned(), Value::from(value)));
    match &route.destination {
        RouteDestination::Ipv4(net) => set("destination_cidr_block", &net.to_string()),
        RouteDestination::Ipv6(net) => set("destination_ipv6_cidr_block", &net.to_string()),
        RouteDestination::PrefixList(id) => set("destination_prefix_list_id", id.as_str()),
        RouteDestination::Other(text) => set("destination", text),
    }
    match &route.target {
        RouteTarget::Local => set("gateway_id", "local"),
        RouteTarget::InternetGateway(id) => set("gateway_id", id.as_str()),
        RouteTarget::VirtualPrivateGateway(id) | RouteTarget::GatewayEndpoint(id) => set("gateway_id", id),
        RouteTarget::EgressOnlyInternetGateway(id) => set("egress_only_internet_gateway_id", id.as_str()),
        RouteTarget::NatGateway(id) => set("nat_gateway_id", id.as_str()),
        RouteTarget::NetworkInterface { network_interface_id, instance_id } => {
            set("network_interface_id", network_interface_id.as_str());
            if let Some(id) = instance_id {
                set("instance_id", id.as_str());
            }
        }
        RouteTarget::Instance(id) => set("instance_id", id.as_str()),
        RouteTarget::TransitGateway(id) => set("transit_gateway_id", id),
        RouteTarget::VpcPeeringConnection(id) => set("vpc_peering_connection_id", id),
        RouteTarget::LocalGateway(id) => set("local_gateway_id", id),
        RouteTarget::CarrierGateway(id) => set("carrier_gateway_id", id),
        RouteTarget::CoreNetwork(id) => set("core_network_arn", id),
        RouteTarget::Other { kind, id } => set(kind, id),
    }
    set("state", route.state.as_str());
    set("origin", route.origin.as_str());
    Value::Object(object)
}

fn attachments(attachments: &[GatewayAttachment]) -> Value {
    attachments.iter().map(|a| json!({ "vpc_id": a.vpc_id, "state": a.state })).collect()
}

fn internet_gateway(gateway: &InternetGateway) -> Value {
    json!({
        "internet_gateway_id": gateway.internet_gateway_id,
        "name": gateway.tags.name(),
        "attachments": attachments(&gateway.attachments),
        "tags": gateway.tags,
    })
}

fn nat_gateway(gateway: &NatGateway) -> Value {
    json!({
        "nat_gateway_id": gateway.nat_gateway_id,
        "name": gateway.tags.name(),
        "subnet_id": gateway.subnet_id,
        "state": gateway.state,
        "failure_code": gateway.failure_code,
        "failure_message": gateway.failure_message,
        "connectivity_type": gateway.connectivity_type,
        "public_ip": gateway.public_ip,
        "private_ip": gateway.private_ip,
        "allocation_id": gateway.allocation_id,
        "network_interface_id": gateway.network_interface_id,
        "tags": gateway.tags,
    })
}

fn network_interface(interface: &NetworkInterface) -> Value {
    json!({
        "network_interface_id": interface.network_interface_id,
        "name": interface.tags.name(),
        "subnet_id": interface.subnet_id,
        "availability_zone": interface.availability_zone,
        "status": interface.status,
        "interface_type": interface.interface_type,
        "description": interface.description,
        "mac_address": interface.mac_address,
        "private_ip_address": interface.private_ip,
        "secondary_private_ip_addresses": interface.secondary_private_ips,
        "ipv6_addresses": interface.ipv6_addresses,
        "groups": interface.security_group_ids,
        "source_dest_check": interface.source_dest_check,
        "attachment": interface.attachment.as_ref().map(|a| json!({
            "attachment_id": a.attachment_id,
            "instance_id": a.instance_id,
            "device_index": a.device_index,
            "status": a.status,
            "delete_on_termination": a.delete_on_termination,
        })),
        "association": interface.association.as_ref().map(|a| json!({
            "public_ip": a.public_ip,
            "allocation_id": a.allocation_id,
            "association_id": a.association_id,
        })),
        "requester_managed": interface.requester_managed,
        "tags": interface.tags,
    })
}

fn instance(network: &Network, instance: &Instance) -> Value {
    json!({
        "instance_id": instance.instance_id,
        "name": instance.tags.name(),
        "subnet_id": instance.subnet_id,
        "availability_zone": instance.availability_zone,
        "state": instance.state,
        "state_reason": instance.state_reason,
        "instance_type": instance.instance_type,
        "image_id": instance.image_id,
        "architecture": instance.architecture,
        "private_ip_address": instance.private_ip,
        "public_ip_address": instance.public_ip,
        "network_interface_ids": instance.network_interface_ids,
        "security_group_ids": instance.security_group_ids,
        "iam_instance_profile_arn": instance.instance_profile_arn,
        "key_name": instance.key_name,
        "http_tokens": instance.http_tokens,
        "http_endpoint": instance.http_endpoint,
        "launch_time": instance.launch_time.map(|at| at.to_string()),
        "system_status": instance.system_status,
        "instance_status": instance.instance_status,
        "ssm": network.managed_instances.shown().get(instance.instance_id.as_str()).map(managed),
        "tags": instance.tags,
    })
}

fn managed(managed: &ManagedInstance) -> Value {
    json!({
        "ping_status": managed.ping_status,
        "last_ping_date_time": managed.last_ping_at.map(|at| at.to_string()),
        "agent_version": managed.agent_version,
        "platform_name": managed.platform_name,
        "platform_version": managed.platform_version,
    })
}

fn security_group(group: &SecurityGroup) -> Value {
    json!({
        "group_id": group.group_id,
        "group_name": group.group_name,
        "description": group.description,
        "ip_permissions": group.ingress().map(permission).collect::<Vec<_>>(),
        "ip_permissions_egress": group.egress().map(permission).collect::<Vec<_>>(),
        "tags": group.tags,
    })
}

fn permission(rule: &SecurityGroupRule) -> Value {
    let (key, peer) = match &rule.peer {
        Peer::Ipv4(net) => ("cidr_ip", net.to_string()),
        Peer::Ipv6(net) => ("cidr_ipv6", net.to_string()),
        Peer::Group(id) => ("group_id", id.to_string()),
        Peer::PrefixList(id) => ("prefix_list_id", id.to_string()),
        Peer::Other(text) => ("peer", text.clone()),
    };
    let mut object = Map::new();
    object.insert("ip_protocol".into(), json!(rule.protocol));
    object.insert("from_port".into(), json!(rule.from_port));
    object.insert("to_port".into(), json!(rule.to_port));
    object.insert(key.into(), Value::from(peer));
    object.insert("description".into(), json!(rule.description));
    Value::Object(object)
}

fn network_acl(acl: &NetworkAcl) -> Value {
    let entries: Vec<Value> = acl
        .entries
        .iter()
        .map(|entry| {
            json!({
                "rule_number": entry.rule_number,
                "egress": entry.direction == AclDirection::Egress,
                "rule_action": entry.action,
                "protocol": entry.protocol,
                "cidr_block": entry.cidr_block,
                "ipv6_cidr_block": entry.ipv6_cidr_block,
                "port_range": entry.port_range.map(|(from, to)| json!({ "from": from, "to": to })),
            })
        })
        .collect();
    json!({
        "network_acl_id": acl.network_acl_id,
        "is_default": acl.is_default,
        "subnet_ids": acl.subnet_ids,
        "entries": entries,
        "tags": acl.tags,
    })
}

fn address(address: &Address) -> Value {
    json!({
        "allocation_id": address.allocation_id,
        "public_ip": address.public_ip,
        "association_id": address.association_id,
        "instance_id": address.instance_id,
        "network_interface_id": address.network_interface_id,
        "private_ip_address": address.private_ip,
        "tags": address.tags,
    })
}

fn vpc_endpoint(endpoint: &VpcEndpoint) -> Value {
    json!({
        "vpc_endpoint_id": endpoint.vpc_endpoint_id,
        "vpc_endpoint_type": endpoint.kind,
        "service_name": endpoint.service_name,
        "state": endpoint.state,
        "private_dns_enabled": endpoint.private_dns_enabled,
        "subnet_ids": endpoint.subnet_ids,
        "route_table_ids": endpoint.route_table_ids,
        "groups": endpoint.security_group_ids,
        "network_interface_ids": endpoint.network_interface_ids,
        "tags": endpoint.tags,
    })
}
