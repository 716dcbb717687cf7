//! Is the effect of a step there already? Made resources are found by the step's tags, other effects by themselves.

use std::time::Duration;

use aws_sdk_ec2::types as sdk;
use tokio::time::Instant;

use super::make::instance_output;
use super::{Context, iam, on_heap, request};
use crate::aws::error::Error;
use crate::aws::poll::Backoff;
use crate::model::{
    AllocationId, AssociationId, AttachmentId, InternetGatewayId, NetworkInterfaceId, RouteTableId, RouteTarget, STACK,
    STEP, SecurityGroupId, SubnetId, VpcEndpointId, VpcId,
};
use crate::plan::{Call, IngressRule, Output, RulePeer, VpcAttribute};

/// Looks until it is found. What is not there in a look that began after `patience` had passed is not there.
pub(super) async fn patiently(context: Context<'_>, patience: Duration) -> Result<Option<Output>, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), patience);
    let deadline = Instant::now() + patience;
    loop {
        let last = Instant::now() >= deadline;
        match find(context).await {
            Ok(Some(output)) => return Ok(Some(output)),
            Ok(None) => {}
            // What the call refers to may itself not be visible yet.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        if last {
            return Ok(None);
        }
        backoff.wait().await;
    }
}

/// Looks once. `None` also for calls that leave nothing to look at.
pub(super) async fn find(context: Context<'_>) -> Result<Option<Output>, Error> {
    let session = context.session;
    let ec2 = session.ec2();
    let outputs = context.outputs;
    macro_rules! ask {
        ($operation:literal, $request:expr) => {{
            let request = $request;
            on_heap(|| request.send()).await.map_err(session.on($operation))
        }};
    }
    match &context.step.call {
        Call::CreateVpc { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let vpcs = ask!("DescribeVpcs", ec2.describe_vpcs().set_filters(Some(by)))?.vpcs;
            Ok(first(vpcs).and_then(|vpc| vpc.vpc_id).map(|id| Output::Vpc(VpcId::new(id))))
        }
        Call::ModifyVpcAttribute { vpc, attribute, value } => {
            let now = vpc_attribute(context, vpc.resolve(outputs)?.as_str(), *attribute).await?;
            Ok((now == Some(*value)).then_some(Output::None))
        }
        Call::CreateInternetGateway => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let gateways = ask!("DescribeInternetGateways", ec2.describe_internet_gateways().set_filters(Some(by)))?;
            let id = first(gateways.internet_gateways).and_then(|gateway| gateway.internet_gateway_id);
            Ok(id.map(|id| Output::InternetGateway(InternetGatewayId::new(id))))
        }
        Call::AttachInternetGateway { internet_gateway, vpc } => {
            let (gateway, vpc_id) = (internet_gateway.resolve(outputs)?, vpc.resolve(outputs)?);
            let request = ec2.describe_internet_gateways().internet_gateway_ids(gateway.as_str());
            let gateway = first(ask!("DescribeInternetGateways", request)?.internet_gateways);
            let attachments = gateway.and_then(|gateway| gateway.attachments).unwrap_or_default();
            let here = attachments.iter().any(|a| {
                let state = a.state.as_ref().map(sdk::AttachmentStatus::as_str);
                a.vpc_id.as_deref() == Some(vpc_id.as_str()) && matches!(state, Some("available" | "attached"))
            });
            Ok(here.then_some(Output::None))
        }
        Call::CreateSubnet { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let subnets = ask!("DescribeSubnets", ec2.describe_subnets().set_filters(Some(by)))?.subnets;
            Ok(first(subnets).and_then(|subnet| subnet.subnet_id).map(|id| Output::Subnet(SubnetId::new(id))))
        }
        Call::ModifySubnetAttribute { subnet, map_public_ip_on_launch } => {
            let request = ec2.describe_subnets().subnet_ids(subnet.resolve(outputs)?.as_str());
            let subnet = first(ask!("DescribeSubnets", request)?.subnets);
            let now = subnet.and_then(|subnet| subnet.map_public_ip_on_launch);
            Ok((now == Some(*map_public_ip_on_launch)).then_some(Output::None))
        }
        Call::CreateRouteTable { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let tables = ask!("DescribeRouteTables", ec2.describe_route_tables().set_filters(Some(by)))?;
            let id = first(tables.route_tables).and_then(|table| table.route_table_id);
            Ok(id.map(|id| Output::RouteTable(RouteTableId::new(id))))
        }
        Call::AssociateRouteTable { route_table, subnet } => {
            let subnet = subnet.resolve(outputs)?;
            let table = route_table_by_id(context, route_table.resolve(outputs)?.as_str()).await?;
            let associations = table.and_then(|table| table.associations).unwrap_or_default();
            let mine = associations.into_iter().find(|a| {
                let state = a.association_state.as_ref().and_then(|state| state.state.as_ref());
                let live = state.is_none_or(|state| matches!(state.as_str(), "associated" | "associating"));
                live && a.subnet_id.as_deref() == Some(subnet.as_str())
            });
            let id = mine.and_then(|association| association.route_table_association_id);
            Ok(id.map(|id| Output::RouteTableAssociation(AssociationId::new(id))))
        }
        Call::CreateRoute { route_table, destination, via }
        | Call::ReplaceRoute { route_table, destination, via, .. } => {
            let target = request::target(context, via)?;
            let table = route_table_by_id(context, route_table.resolve(outputs)?.as_str()).await?;
            let destination = destination.to_string();
            let mut routes = table.and_then(|table| table.routes).unwrap_or_default().into_iter();
            let route = routes.find(|route| route.destination_cidr_block.as_deref() == Some(&destination));
            Ok(route.filter(|route| leads_to(route, &target)).map(|_| Output::None))
        }
        Call::CreateSecurityGroup { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let groups = ask!("DescribeSecurityGroups", ec2.describe_security_groups().set_filters(Some(by)))?;
            let id = first(groups.security_groups).and_then(|group| group.group_id);
            Ok(id.map(|id| Output::SecurityGroup(SecurityGroupId::new(id))))
        }
        Call::AuthorizeSecurityGroupIngress { group, rule } => {
            let request = ec2.describe_security_groups().group_ids(group.resolve(outputs)?.as_str());
            let group = first(ask!("DescribeSecurityGroups", request)?.security_groups);
            let permissions = group.and_then(|group| group.ip_permissions).unwrap_or_default();
            has_rule(context, &permissions, rule).map(|there| there.then_some(Output::None))
        }
        Call::CreateVpcEndpoint { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let endpoints = ask!("DescribeVpcEndpoints", ec2.describe_vpc_endpoints().set_filters(Some(by)))?;
            let mut live = endpoints.vpc_endpoints.unwrap_or_default().into_iter().filter(|endpoint| {
                let state = endpoint.state.as_ref().map(|state| state.as_str().to_ascii_lowercase());
                !matches!(state.as_deref(), Some("deleting" | "deleted" | "failed" | "rejected" | "expired"))
            });
            Ok(live.next().and_then(|e| e.vpc_endpoint_id).map(|id| Output::VpcEndpoint(VpcEndpointId::new(id))))
        }
        Call::RunInstances(_) => {
            let Some(mut by) = by_tags(context) else { return Ok(None) };
            // A stopped one is there; one that is going away is not.
            let live = ["pending", "running", "stopping", "stopped"].map(str::to_owned).to_vec();
            by.push(sdk::Filter::builder().name("instance-state-name").set_values(Some(live)).build());
            let answer = ask!("DescribeInstances", ec2.describe_instances().set_filters(Some(by)))?;
            let reservation = answer.reservations.unwrap_or_default().into_iter();
            let instance = reservation.flat_map(|reservation| reservation.instances.unwrap_or_default()).next();
            match instance {
                Some(instance) => instance_output(context, instance).await.map(Some),
                None => Ok(None),
            }
        }
        Call::CreateNetworkInterface { .. } => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let interfaces =
                ask!("DescribeNetworkInterfaces", ec2.describe_network_interfaces().set_filters(Some(by)))?;
            let id = first(interfaces.network_interfaces).and_then(|interface| interface.network_interface_id);
            Ok(id.map(|id| Output::NetworkInterface(NetworkInterfaceId::new(id))))
        }
        Call::ModifyNetworkInterfaceAttribute { network_interface, source_dest_check } => {
            let interface = interface_by_id(context, network_interface.resolve(outputs)?.as_str()).await?;
            let now = interface.and_then(|interface| interface.source_dest_check);
            Ok((now == Some(*source_dest_check)).then_some(Output::None))
        }
        Call::AttachNetworkInterface { network_interface, instance, .. } => {
            let instance = instance.resolve(outputs)?;
            let interface = interface_by_id(context, network_interface.resolve(outputs)?.as_str()).await?;
            let attachment = interface.and_then(|interface| interface.attachment).filter(|attachment| {
                let status = attachment.status.as_ref().map(sdk::AttachmentStatus::as_str);
                attachment.instance_id.as_deref() == Some(instance.as_str())
                    && matches!(status, Some("attached" | "attaching"))
            });
            let id = attachment.and_then(|attachment| attachment.attachment_id);
            Ok(id.map(|id| Output::Attachment(AttachmentId::new(id))))
        }
        Call::AllocateAddress => {
            let Some(by) = by_tags(context) else { return Ok(None) };
            let address = first(ask!("DescribeAddresses", ec2.describe_addresses().set_filters(Some(by)))?.addresses);
            let Some(address) = address else { return Ok(None) };
            let id = address.allocation_id.ok_or(Error::missing("DescribeAddresses", "AllocationId"))?;
            let public_ip = address.public_ip.and_then(|ip| ip.parse().ok());
            Ok(Some(Output::Address {
                allocation_id: AllocationId::new(id),
                public_ip: public_ip.ok_or(Error::missing("DescribeAddresses", "PublicIp"))?,
            }))
        }
        Call::AssociateAddress { address, network_interface } => {
            let interface = network_interface.resolve(outputs)?;
            let request = ec2.describe_addresses().allocation_ids(address.resolve(outputs)?.as_str());
            let address = first(ask!("DescribeAddresses", request)?.addresses)
                .filter(|address| address.network_interface_id.as_deref() == Some(interface.as_str()));
            Ok(address.and_then(|address| address.association_id).map(Output::AddressAssociation))
        }
        Call::CreateRole { .. }
        | Call::AttachRolePolicy { .. }
        | Call::CreateInstanceProfile { .. }
        | Call::AddRoleToInstanceProfile { .. } => iam::find(context).await,
        Call::CreateTags { resource, tags } => {
            let by = sdk::Filter::builder().name("resource-id").values(resource.as_str()).build();
            let there = ask!("DescribeTags", ec2.describe_tags().filters(by))?.tags.unwrap_or_default();
            let has = |(key, value): (&String, &String)| {
                there.iter().any(|tag| tag.key() == Some(key.as_str()) && tag.value() == Some(value.as_str()))
            };
            Ok(tags.0.iter().all(has).then_some(Output::None))
        }
        // Deletions may be done twice; questions are asked again.
        _ => Ok(None),
    }
}

fn first<T>(items: Option<Vec<T>>) -> Option<T> {
    items.unwrap_or_default().into_iter().next()
}

/// Filters for what this very step made. `None`: the step carries no tags, so nothing can be its own.
fn by_tags(context: Context<'_>) -> Option<Vec<sdk::Filter>> {
    let tags = &context.step.tags;
    let filter = |key: &str, value: &str| sdk::Filter::builder().name(format!("tag:{key}")).values(value).build();
    Some(vec![filter(STACK, tags.stack()?), filter(STEP, tags.step()?)])
}

async fn vpc_attribute(context: Context<'_>, vpc_id: &str, attribute: VpcAttribute) -> Result<Option<bool>, Error> {
    let name = match attribute {
        VpcAttribute::EnableDnsSupport => sdk::VpcAttributeName::EnableDnsSupport,
        VpcAttribute::EnableDnsHostnames => sdk::VpcAttributeName::EnableDnsHostnames,
    };
    let request = context.session.ec2().describe_vpc_attribute().vpc_id(vpc_id).attribute(name);
    let answer = request.send().await.map_err(context.session.on("DescribeVpcAttribute"))?;
    let value = match attribute {
        VpcAttribute::EnableDnsSupport => answer.enable_dns_support,
        VpcAttribute::EnableDnsHostnames => answer.enable_dns_hostnames,
    };
    Ok(value.and_then(|value| value.value))
}

async fn route_table_by_id(context: Context<'_>, id: &str) -> Result<Option<sdk::RouteTable>, Error> {
    let request = context.session.ec2().describe_route_tables().route_table_ids(id);
    let answer = request.send().await.map_err(context.session.on("DescribeRouteTables"))?;
    Ok(first(answer.route_tables))
}

pub(super) async fn interface_by_id(context: Context<'_>, id: &str) -> Result<Option<sdk::NetworkInterface>, Error> {
    let request = context.session.ec2().describe_network_interfaces().network_interface_ids(id);
    let answer = request.send().await.map_err(context.session.on("DescribeNetworkInterfaces"))?;
    Ok(first(answer.network_interfaces))
}

/// Whether the route leads to `target`. A route to an interface is listed with its instance too.
fn leads_to(route: &sdk::Route, target: &RouteTarget) -> bool {
    let field = match target {
        RouteTarget::NetworkInterface { network_interface_id, .. } => {
            return route.network_interface_id.as_deref() == Some(network_interface_id.as_str());
        }
        RouteTarget::Instance(id) => return route.instance_id.as_deref() == Some(id.as_str()),
        RouteTarget::Local => return route.gateway_id.as_deref() == Some("local"),
        RouteTarget::InternetGateway(_) | RouteTarget::VirtualPrivateGateway(_) | RouteTarget::GatewayEndpoint(_) => {
            &route.gateway_id
        }
        RouteTarget::EgressOnlyInternetGateway(_) => &route.egress_only_internet_gateway_id,
        RouteTarget::NatGateway(_) => &route.nat_gateway_id,
        RouteTarget::TransitGateway(_) => &route.transit_gateway_id,
        RouteTarget::VpcPeeringConnection(_) => &route.vpc_peering_connection_id,
        RouteTarget::LocalGateway(_) => &route.local_gateway_id,
        RouteTarget::CarrierGateway(_) => &route.carrier_gateway_id,
        RouteTarget::CoreNetwork(_) => &route.core_network_arn,
        RouteTarget::Other { .. } => return false,
    };
    field.as_deref() == Some(target.to_string().as_str())
}

/// Whether a group's permissions hold the rule.
fn has_rule(context: Context<'_>, permissions: &[sdk::IpPermission], rule: &IngressRule) -> Result<bool, Error> {
    let wanted = request::permission(context, rule)?;
    let group = match &rule.peer {
        RulePeer::Group(group) => Some(group.resolve(context.outputs)?),
        RulePeer::Ipv4(_) => None,
    };
    Ok(permissions.iter().any(|permission| {
        let peer = match (&rule.peer, &group) {
            (RulePeer::Ipv4(net), _) => {
                let net = net.to_string();
                permission.ip_ranges().iter().any(|range| range.cidr_ip.as_deref() == Some(net.as_str()))
            }
            (RulePeer::Group(_), Some(id)) => {
                permission.user_id_group_pairs().iter().any(|pair| pair.group_id.as_deref() == Some(id.as_str()))
            }
            (RulePeer::Group(_), None) => false,
        };
        let ports = |p: &sdk::IpPermission| (p.from_port.unwrap_or(-1), p.to_port.unwrap_or(-1));
        peer && permission.ip_protocol == wanted.ip_protocol && ports(permission) == ports(&wanted)
    }))
}
