//! VPC endpoints: interface endpoints with their requester-managed interfaces, gateway endpoints with their routes.

use super::describe::{PageSize, describe_sized, one};
use super::network_interface::{NewInterface, make, subnet_of};
use super::security_group::{self, group_set};
use super::{Answer, iso8601, tag};
use crate::model::{
    AttachmentId, EndpointKind, EndpointState, InterfaceAttachment, InterfaceStatus, NetworkInterface,
    NetworkInterfaceId, Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTableId, RouteTarget,
    SecurityGroupId, Subnet, SubnetId, Tags, Vpc, VpcEndpoint, VpcEndpointId, VpcId,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{EndpointRecord, Event, World};

/// The services that the sandbox offers by interface endpoint, as the last part of their names.
pub(super) const INTERFACE_SERVICES: &[&str] = &[
    "ssm",
    "ssmmessages",
    "ec2messages",
    "ec2",
    "sts",
    "logs",
    "monitoring",
    "kms",
    "secretsmanager",
    "s3",
    "access-analyzer",
    "athena",
    "autoscaling",
    "backup",
    "bedrock-runtime",
    "cloudformation",
    "cloudtrail",
    "codebuild",
    "codecommit",
    "codedeploy",
    "codepipeline",
    "config",
    "datasync",
    "dms",
    "dynamodb",
    "ecr.api",
    "ecr.dkr",
    "ecs",
    "ecs-agent",
    "ecs-telemetry",
    "efs",
    "eks",
    "elasticache",
    "elasticfilesystem",
    "elasticloadbalancing",
    "elasticmapreduce",
    "email-smtp",
    "events",
    "execute-api",
    "firehose",
    "git-codecommit",
    "glue",
    "guardduty",
    "imagebuilder",
    "inspector2",
    "kinesis-firehose",
    "kinesis-streams",
    "lambda",
    "license-manager",
    "networkmanager",
    "organizations",
    "rds",
    "rds-data",
    "redshift",
    "sagemaker.api",
    "sagemaker.runtime",
    "securityhub",
    "servicecatalog",
    "sns",
    "sqs",
    "states",
    "storagegateway",
    "synthetics",
    "textract",
    "transfer",
    "workspaces",
    "xray",
];
pub(super) const GATEWAY_SERVICES: &[&str] = &["s3", "dynamodb"];

const OPEN_POLICY: &str = "{\n  \"Statement\": [\n    {\n      \"Action\": \"*\",\n      \"Effect\": \"Allow\",\n      \"Principal\": \"*\",\n      \"Resource\": \"*\"\n    }\n  ]\n}";

/// AWS's spelling in answers of CreateVpcEndpoint and DescribeVpcEndpoints, which clients compare in lower case.
fn state(state: &EndpointState) -> &str {
    state.as_str()
}

fn xml(world: &World, endpoint: &VpcEndpoint) -> Xml {
    let record = world.records.endpoints.get(endpoint.vpc_endpoint_id.as_str());
    let dns = record.map(|record| record.dns_names.clone()).unwrap_or_default();
    let entries = dns.into_iter().map(|(name, zone)| Xml::new().text("dnsName", name).text("hostedZoneId", zone));
    let options = Xml::new()
        .text("dnsRecordIpType", if endpoint.kind == EndpointKind::Gateway { "service-defined" } else { "ipv4" });
    Xml::new()
        .text("vpcEndpointId", &endpoint.vpc_endpoint_id)
        .text("vpcEndpointType", &endpoint.kind)
        .text("vpcId", &endpoint.vpc_id)
        .text("serviceName", &endpoint.service_name)
        .text("state", state(&endpoint.state))
        .opt("policyDocument", record.map(|record| &record.policy_document))
        .values("routeTableIdSet", &endpoint.route_table_ids)
        .values("subnetIdSet", &endpoint.subnet_ids)
        .items("groupSet", group_set(world, &endpoint.security_group_ids))
        .text("ipAddressType", "ipv4")
        .node("dnsOptions", options)
        .text("privateDnsEnabled", endpoint.private_dns_enabled)
        .text("requesterManaged", false)
        .values("networkInterfaceIdSet", &endpoint.network_interface_ids)
        .items("dnsEntrySet", entries)
        .opt("creationTimestamp", record.map(|record| iso8601(record.created_at)))
        .items("tagSet", tag::xml(&endpoint.tags))
        .text("ownerId", &world.account_id)
        .text("serviceRegion", &world.region)
}

/// The name that a service has everywhere else. A service with two parts turns them round: `api.ecr`.
pub(super) fn private_name(service: &str, region: &str) -> String {
    match service.split_once('.') {
        Some((of, part)) => format!("{part}.{of}.{region}.amazonaws.com"),
        None => format!("{service}.{region}.amazonaws.com"),
    }
}

/// Checks a service name and says what its last part is.
fn service(world: &World, name: &str, kind: &EndpointKind) -> Result<String, ApiError> {
    let prefix = format!("com.amazonaws.{}.", world.region);
    let known: &[&str] = if *kind == EndpointKind::Gateway { GATEWAY_SERVICES } else { INTERFACE_SERVICES };
    match name.strip_prefix(&prefix) {
        Some(service) if known.contains(&service) => Ok(service.to_owned()),
        Some(service) if INTERFACE_SERVICES.contains(&service) || GATEWAY_SERVICES.contains(&service) => {
            Err(ApiError::new(
                "InvalidParameter",
                format!("Endpoint type ({kind}) does not match available service types of {name}."),
            ))
        }
        _ => Err(ApiError::new("InvalidServiceName", format!("The Vpc Endpoint Service '{name}' does not exist"))),
    }
}

/// Private DNS needs both DNS attributes of the VPC, and one endpoint per service.
fn check_private_dns(
    world: &World,
    vpc_id: &VpcId,
    service_name: &str,
    except: Option<&VpcEndpointId>,
) -> Result<(), ApiError> {
    let vpc = world.get::<Vpc>(vpc_id);
    if vpc.is_none_or(|vpc| vpc.dns_support != Some(true) || vpc.dns_hostnames != Some(true)) {
        return Err(ApiError::new(
            "InvalidParameter",
            format!(
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true \
                 for {vpc_id}"
            ),
        ));
    }
    let conflict = |other: &&VpcEndpoint| {
        other.vpc_id == *vpc_id
            && other.service_name == service_name
            && other.private_dns_enabled
            && Some(&other.vpc_endpoint_id) != except
    };
    if let Some(other) = world.all::<VpcEndpoint>().find(conflict) {
        return Err(ApiError::new(
            "InvalidParameter",
            format!(
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for \
                 {service_name} in the VPC {vpc_id} (endpoint {})",
                other.vpc_endpoint_id
            ),
        ));
    }
    Ok(())
}

/// The subnets of a request: of this VPC, at most one in each zone.
fn chosen_subnets(world: &World, ids: &[&str], vpc_id: &VpcId, present: &[SubnetId]) -> Result<Vec<Subnet>, ApiError> {
    let mut zones: Vec<String> = present
        .iter()
        .filter_map(|id| world.get::<Subnet>(id).map(|subnet| subnet.availability_zone.clone()))
        .collect();
    let mut subnets = Vec::new();
    for id in ids {
        let subnet = world.find::<Subnet>(id)?;
        if subnet.vpc_id != *vpc_id {
            return Err(ApiError::new(
                "InvalidParameter",
                format!("The subnet ID '{id}' does not belong to the VPC {vpc_id}"),
            ));
        }
        if zones.contains(&subnet.availability_zone) {
            return Err(ApiError::new(
                "DuplicateSubnetsInSameZone",
                format!(
                    "Found another VPC endpoint subnet in the availability zone of {id}. VPC endpoint subnets should \
                     be in different availability zones supported by the VPC endpoint service."
                ),
            ));
        }
        zones.push(subnet.availability_zone.clone());
        subnets.push(subnet.clone());
    }
    Ok(subnets)
}

fn chosen_tables(world: &World, ids: &[&str], vpc_id: &VpcId) -> Result<Vec<RouteTableId>, ApiError> {
    ids.iter()
        .map(|id| {
            let table = world.find::<RouteTable>(id)?;
            if table.vpc_id == *vpc_id {
                Ok(table.route_table_id.clone())
            } else {
                Err(ApiError::new(
                    "InvalidParameter",
                    format!("The route table '{id}' does not belong to the VPC {vpc_id}"),
                ))
            }
        })
        .collect()
}

/// Makes the endpoint's interface in one subnet.
fn make_interface(
    world: &mut World,
    id: &VpcEndpointId,
    subnet: Subnet,
    groups: &[SecurityGroupId],
) -> Result<NetworkInterfaceId, ApiError> {
    let new = NewInterface {
        subnet,
        wishes: Default::default(),
        groups: groups.to_vec(),
        description: format!("VPC Endpoint Interface {id}"),
        interface_type: "vpc_endpoint",
        requester_id: Some("727180483921".to_owned()),
        tags: Tags::default(),
    };
    let interface_id = make(world, new)?;
    let attachment_id = AttachmentId::new(world.new_id("eni-attach-"));
    let now = world.now;
    if let Some(record) = world.records.interfaces.get_mut(&interface_id) {
        record.attached_at = Some(now);
        record.attachment_owner_id = Some("amazon-aws".to_owned());
    }
    if let Some(interface) = world.get_mut::<NetworkInterface>(&interface_id) {
        interface.status = InterfaceStatus::InUse;
        interface.attachment = Some(InterfaceAttachment {
            attachment_id,
            instance_id: None,
            device_index: 1,
            status: "attached".to_owned(),
            delete_on_termination: false,
        });
    }
    Ok(interface_id)
}

/// The route that a gateway endpoint keeps in each of its tables.
fn gateway_route(world: &World, endpoint: &VpcEndpoint) -> Option<Route> {
    let lists = world.network.prefix_lists.shown();
    let list = lists.values().find(|list| list.prefix_list_name == endpoint.service_name)?;
    Some(Route {
        destination: RouteDestination::PrefixList(list.prefix_list_id.clone()),
        target: RouteTarget::GatewayEndpoint(endpoint.vpc_endpoint_id.as_str().to_owned()),
        state: RouteState::Active,
        origin: RouteOrigin::CreateRoute,
    })
}

fn check_no_route(world: &World, tables: &[RouteTableId], endpoint: &VpcEndpoint) -> Result<(), ApiError> {
    let Some(route) = gateway_route(world, endpoint) else { return Ok(()) };
    for id in tables {
        let taken = |table: &RouteTable| table.routes.iter().any(|other| other.destination == route.destination);
        if world.get::<RouteTable>(id).is_some_and(taken) {
            return Err(ApiError::new(
                "RouteAlreadyExists",
                format!("route table {id} already has a route with destination-prefix-list-id {}", route.destination),
            ));
        }
    }
    Ok(())
}

fn add_routes(world: &mut World, tables: &[RouteTableId], endpoint: &VpcEndpoint) {
    let Some(route) = gateway_route(world, endpoint) else { return };
    for id in tables {
        if let Some(table) = world.get_mut::<RouteTable>(id) {
            table.routes.push(route.clone());
        }
    }
}

/// CreateVpcEndpoint
pub fn create(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let kind = EndpointKind::from(query.get("VpcEndpointType").unwrap_or("Gateway"));
    if !matches!(kind, EndpointKind::Interface | EndpointKind::Gateway) {
        return Err(ApiError::new(
            "UnsupportedOperation",
            format!("The sandbox does not simulate endpoints of type {kind}."),
        ));
    }
    let service_name = query.require("ServiceName")?.to_owned();
    let service = service(world, &service_name, &kind)?;
    let tags = tag::specified(query, "vpc-endpoint")?;
    let policy_document = query.get("PolicyDocument").unwrap_or(OPEN_POLICY).to_owned();
    let vpc_endpoint_id = VpcEndpointId::new(world.new_id("vpce-"));
    let mut endpoint = VpcEndpoint {
        vpc_endpoint_id: vpc_endpoint_id.clone(),
        vpc_id: vpc_id.clone(),
        kind: kind.clone(),
        service_name: service_name.clone(),
        state: EndpointState::Pending,
        private_dns_enabled: false,
        subnet_ids: Vec::new(),
        route_table_ids: Vec::new(),
        security_group_ids: Vec::new(),
        network_interface_ids: Vec::new(),
        tags,
    };
    let mut dns_names = Vec::new();
    if kind == EndpointKind::Gateway {
        if query.has("SubnetId") || query.has("SecurityGroupId") {
            return Err(ApiError::new(
                "InvalidParameter",
                "Subnet IDs and security groups are only supported for Interface type VPC Endpoints.",
            ));
        }
        endpoint.route_table_ids = chosen_tables(world, &query.list("RouteTableId"), &vpc_id)?;
        check_no_route(world, &endpoint.route_table_ids, &endpoint)?;
        add_routes(world, &endpoint.route_table_ids, &endpoint);
        endpoint.state = EndpointState::Available;
    } else {
        if query.has("RouteTableId") {
            return Err(ApiError::new(
                "InvalidParameter",
                "Route table IDs are only supported for Gateway type VPC Endpoint.",
            ));
        }
        let private_dns = query.bool("PrivateDnsEnabled")?.unwrap_or(true);
        if private_dns {
            check_private_dns(world, &vpc_id, &service_name, None)?;
        }
        let subnets = chosen_subnets(world, &query.list("SubnetId"), &vpc_id, &[])?;
        let groups = security_group::chosen(world, &query.list("SecurityGroupId"), &vpc_id)?;
        dns_names = dns_entries(world, &vpc_endpoint_id, &service, &subnets, private_dns);
        for subnet in subnets {
            endpoint.subnet_ids.push(subnet.subnet_id.clone());
            match make_interface(world, &vpc_endpoint_id, subnet, &groups) {
                Ok(id) => endpoint.network_interface_ids.push(id),
                Err(error) => {
                    for id in &endpoint.network_interface_ids {
                        world.drop_interface(id);
                    }
                    return Err(error);
                }
            }
        }
        endpoint.private_dns_enabled = private_dns;
        endpoint.security_group_ids = groups;
        world.schedule(world.delays.endpoint_create, Event::EndpointAvailable(vpc_endpoint_id.clone()));
    }
    let record = EndpointRecord { created_at: world.now, policy_document, dns_names };
    world.records.endpoints.insert(vpc_endpoint_id.as_str().to_owned(), record);
    let answer = Xml::new().node("vpcEndpoint", xml(world, &endpoint)).opt("clientToken", query.get("ClientToken"));
    world.insert(endpoint);
    Ok(Body::Xml(answer))
}

/// The names that lead to an interface endpoint: its own, one per zone, and the service's where private DNS is on.
fn dns_entries(
    world: &mut World,
    id: &VpcEndpointId,
    service: &str,
    subnets: &[Subnet],
    private: bool,
) -> Vec<(String, String)> {
    const ZONE: &str = "Z273ZU8SZ5RJPC";
    let region = world.region.clone();
    let suffix: String = world.random(|rng| std::iter::repeat_with(|| rng.lowercase()).take(8).collect());
    let own = format!("{id}-{suffix}");
    let mut names = vec![(format!("{own}.{service}.{region}.vpce.amazonaws.com"), ZONE.to_owned())];
    for subnet in subnets {
        names.push((
            format!("{own}-{}.{service}.{region}.vpce.amazonaws.com", subnet.availability_zone),
            ZONE.to_owned(),
        ));
    }
    if private {
        names.push((private_name(service, &region), world.new_id("Z")));
    }
    names
}

/// DescribeVpcEndpoints
pub fn describe_vpc_endpoints(world: &World, query: &Query) -> Answer {
    let values = |endpoint: &VpcEndpoint, name: &str| match name {
        "vpc-endpoint-id" => one(&endpoint.vpc_endpoint_id),
        "vpc-id" => one(&endpoint.vpc_id),
        "service-name" => one(&endpoint.service_name),
        "vpc-endpoint-type" => one(&endpoint.kind),
        "vpc-endpoint-state" => one(state(&endpoint.state)),
        "ip-address-type" => one("ipv4"),
        _ => None,
    };
    let size = PageSize { min: 1, max: 1000 };
    describe_sized(world, query, "VpcEndpointId", "vpcEndpointSet", size, values, |e| xml(world, e))
}

/// DeleteVpcEndpoints: those that do not exist are reported, the others deleted.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let ids = query.list("VpcEndpointId");
    if ids.is_empty() {
        return Err(ApiError::missing("VpcEndpointId"));
    }
    let mut unsuccessful = Vec::new();
    for id in ids {
        if let Err(error) = delete_one(world, id) {
            let fault = Xml::new().text("code", error.code).text("message", error.message);
            unsuccessful.push(Xml::new().text("resourceId", id).node("error", fault));
        }
    }
    Ok(Body::Xml(Xml::new().items("unsuccessful", unsuccessful)))
}

fn delete_one(world: &mut World, id: &str) -> Result<(), ApiError> {
    let endpoint = world.find_mut::<VpcEndpoint>(id)?;
    if endpoint.state == EndpointState::Deleting {
        return Ok(());
    }
    endpoint.state = EndpointState::Deleting;
    let (id, kind) = (endpoint.vpc_endpoint_id.clone(), endpoint.kind.clone());
    if kind == EndpointKind::Gateway {
        for table in world.network.route_tables.items_mut().values_mut() {
            table.routes.retain(|route| route.target != RouteTarget::GatewayEndpoint(id.as_str().to_owned()));
        }
    }
    world.schedule(world.delays.endpoint_delete, Event::EndpointGone(id));
    Ok(())
}

/// ModifyVpcEndpoint
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let mut endpoint = world.find::<VpcEndpoint>(query.require("VpcEndpointId")?)?.clone();
    let id = endpoint.vpc_endpoint_id.clone();
    if !matches!(endpoint.state, EndpointState::Available | EndpointState::Pending) {
        return Err(ApiError::new("IncorrectState", format!("The endpoint {id} is in state {}.", endpoint.state)));
    }
    if let Some(private_dns) = query.bool("PrivateDnsEnabled")? {
        if private_dns {
            check_private_dns(world, &endpoint.vpc_id, &endpoint.service_name, Some(&id))?;
        }
        endpoint.private_dns_enabled = private_dns;
        let prefix = format!("com.amazonaws.{}.", world.region);
        let service = endpoint.service_name.strip_prefix(&prefix).unwrap_or_else(|| endpoint.service());
        let name = private_name(service, &world.region);
        let zone = world.new_id("Z");
        if let Some(record) = world.records.endpoints.get_mut(id.as_str()) {
            record.dns_names.retain(|(other, _)| *other != name);
            if private_dns {
                record.dns_names.push((name, zone));
            }
        }
    }
    let removed = query.list("RemoveSecurityGroupId");
    endpoint.security_group_ids.retain(|group| !removed.contains(&group.as_str()));
    let added = query.list("AddSecurityGroupId");
    if !added.is_empty() {
        for group in security_group::chosen(world, &added, &endpoint.vpc_id)? {
            if !endpoint.security_group_ids.contains(&group) {
                endpoint.security_group_ids.push(group);
            }
        }
    }
    modify_subnets(world, query, &mut endpoint)?;
    modify_tables(world, query, &mut endpoint)?;
    for interface_id in &endpoint.network_interface_ids {
        if let Some(interface) = world.get_mut::<NetworkInterface>(interface_id) {
            interface.security_group_ids.clone_from(&endpoint.security_group_ids);
        }
    }
    let policy =
        if query.bool("ResetPolicy")?.unwrap_or(false) { Some(OPEN_POLICY) } else { query.get("PolicyDocument") };
    if let (Some(policy), Some(record)) = (policy, world.records.endpoints.get_mut(id.as_str())) {
        record.policy_document = policy.to_owned();
    }
    world.insert(endpoint);
    super::done()
}

fn modify_subnets(world: &mut World, query: &Query, endpoint: &mut VpcEndpoint) -> Result<(), ApiError> {
    let removed = query.list("RemoveSubnetId");
    let mut kept = endpoint.subnet_ids.clone();
    kept.retain(|subnet| !removed.contains(&subnet.as_str()));
    let added = chosen_subnets(world, &query.list("AddSubnetId"), &endpoint.vpc_id, &kept)?;
    let of_removed = |world: &World, id: &NetworkInterfaceId| {
        world.get::<NetworkInterface>(id).is_none_or(|interface| removed.contains(&interface.subnet_id.as_str()))
    };
    let (gone, stay): (Vec<_>, Vec<_>) =
        endpoint.network_interface_ids.clone().into_iter().partition(|id| of_removed(world, id));
    for id in gone {
        world.drop_interface(&id);
    }
    endpoint.network_interface_ids = stay;
    endpoint.subnet_ids = kept;
    for subnet in added {
        let subnet = subnet_of(world, &subnet.subnet_id)?.clone();
        endpoint.subnet_ids.push(subnet.subnet_id.clone());
        let id = make_interface(world, &endpoint.vpc_endpoint_id, subnet, &endpoint.security_group_ids)?;
        endpoint.network_interface_ids.push(id);
    }
    Ok(())
}

fn modify_tables(world: &mut World, query: &Query, endpoint: &mut VpcEndpoint) -> Result<(), ApiError> {
    let added = chosen_tables(world, &query.list("AddRouteTableId"), &endpoint.vpc_id)?;
    let removed = query.list("RemoveRouteTableId");
    let new: Vec<RouteTableId> = added.into_iter().filter(|id| !endpoint.route_table_ids.contains(id)).collect();
    check_no_route(world, &new, endpoint)?;
    let target = RouteTarget::GatewayEndpoint(endpoint.vpc_endpoint_id.as_str().to_owned());
    for id in &removed {
        if let Some(table) = world.get_mut::<RouteTable>(*id) {
            table.routes.retain(|route| route.target != target);
        }
    }
    endpoint.route_table_ids.retain(|id| !removed.contains(&id.as_str()));
    add_routes(world, &new, endpoint);
    endpoint.route_table_ids.extend(new);
    Ok(())
}
