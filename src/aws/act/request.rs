//! Steps as requests of the SDK: one function each, used for the real call and for its dry run.

use aws_sdk_ec2::client::Client;
use aws_sdk_ec2::operation as op;
use aws_sdk_ec2::types as sdk;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ipnet::Ipv4Net;

use super::{Context, on_heap};
use crate::aws::error::{Error, Kind};
use crate::model::{RouteTarget, Tags};
use crate::plan::{Call, IngressRule, Launch, RouteVia, RulePeer, VpcAttribute};

/// The tags of the step, for each resource type that the call makes.
pub(super) fn tag_specifications(context: Context<'_>) -> Option<Vec<sdk::TagSpecification>> {
    let tags = sdk_tags(&context.step.tags);
    if tags.is_empty() {
        return None;
    }
    let types = context.step.call.tag_resource_types().iter();
    let specification = |name: &&str| {
        sdk::TagSpecification::builder()
            .resource_type(sdk::ResourceType::from(*name))
            .set_tags(Some(tags.clone()))
            .build()
    };
    Some(types.map(specification).collect())
}

pub(super) fn sdk_tags(tags: &Tags) -> Vec<sdk::Tag> {
    tags.0.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

/// A value that is given as a structure of one member.
fn boolean(value: bool) -> sdk::AttributeBooleanValue {
    sdk::AttributeBooleanValue::builder().value(value).build()
}

pub(super) fn modify_vpc_attribute(
    client: &Client,
    vpc_id: &str,
    attribute: VpcAttribute,
    value: bool,
) -> op::modify_vpc_attribute::builders::ModifyVpcAttributeFluentBuilder {
    let request = client.modify_vpc_attribute().vpc_id(vpc_id);
    match attribute {
        VpcAttribute::EnableDnsSupport => request.enable_dns_support(boolean(value)),
        VpcAttribute::EnableDnsHostnames => request.enable_dns_hostnames(boolean(value)),
    }
}

pub(super) fn modify_subnet_attribute(
    client: &Client,
    subnet_id: &str,
    value: bool,
) -> op::modify_subnet_attribute::builders::ModifySubnetAttributeFluentBuilder {
    client.modify_subnet_attribute().subnet_id(subnet_id).map_public_ip_on_launch(boolean(value))
}

pub(super) fn modify_network_interface_attribute(
    client: &Client,
    id: &str,
    source_dest_check: bool,
) -> op::modify_network_interface_attribute::builders::ModifyNetworkInterfaceAttributeFluentBuilder {
    client.modify_network_interface_attribute().network_interface_id(id).source_dest_check(boolean(source_dest_check))
}

/// The permission that a rule of a plan stands for.
pub(super) fn permission(context: Context<'_>, rule: &IngressRule) -> Result<sdk::IpPermission, Error> {
    let (from, to) = match rule.ports {
        Some((from, to)) => (Some(i32::from(from)), Some(i32::from(to))),
        // EC2 wants a range beside TCP and UDP, and -1 beside ICMP.
        None if rule.protocol.has_ports() => (Some(0), Some(65535)),
        None if rule.protocol == crate::model::Protocol::All => (None, None),
        None => (Some(-1), Some(-1)),
    };
    let permission =
        sdk::IpPermission::builder().ip_protocol(rule.protocol.to_string()).set_from_port(from).set_to_port(to);
    let description = Some(rule.description.clone()).filter(|text| !text.is_empty());
    Ok(match &rule.peer {
        RulePeer::Ipv4(net) => {
            permission.ip_ranges(sdk::IpRange::builder().cidr_ip(net.to_string()).set_description(description).build())
        }
        RulePeer::Group(group) => permission.user_id_group_pairs(
            sdk::UserIdGroupPair::builder()
                .group_id(group.resolve(context.outputs)?.as_str())
                .set_description(description)
                .build(),
        ),
    }
    .build())
}

/// The target of a route with references resolved.
pub(super) fn target(context: Context<'_>, via: &RouteVia) -> Result<RouteTarget, Error> {
    Ok(match via {
        RouteVia::InternetGateway(gateway) => RouteTarget::InternetGateway(gateway.resolve(context.outputs)?),
        RouteVia::NetworkInterface(interface) => RouteTarget::NetworkInterface {
            network_interface_id: interface.resolve(context.outputs)?,
            instance_id: None,
        },
        RouteVia::Target(target) => target.clone(),
    })
}

/// Fills in the one member that names the target. Both route calls have the same members and no common type.
macro_rules! to_target {
    ($request:expr, $target:expr) => {
        match $target {
            RouteTarget::InternetGateway(id) => Ok($request.gateway_id(id.as_str())),
            RouteTarget::VirtualPrivateGateway(id) => Ok($request.gateway_id(id)),
            RouteTarget::EgressOnlyInternetGateway(id) => Ok($request.egress_only_internet_gateway_id(id.as_str())),
            RouteTarget::NatGateway(id) => Ok($request.nat_gateway_id(id.as_str())),
            RouteTarget::NetworkInterface { network_interface_id, .. } => {
                Ok($request.network_interface_id(network_interface_id.as_str()))
            }
            RouteTarget::Instance(id) => Ok($request.instance_id(id.as_str())),
            RouteTarget::TransitGateway(id) => Ok($request.transit_gateway_id(id)),
            RouteTarget::VpcPeeringConnection(id) => Ok($request.vpc_peering_connection_id(id)),
            RouteTarget::LocalGateway(id) => Ok($request.local_gateway_id(id)),
            RouteTarget::CarrierGateway(id) => Ok($request.carrier_gateway_id(id)),
            RouteTarget::CoreNetwork(id) => Ok($request.core_network_arn(id)),
            RouteTarget::GatewayEndpoint(id) => Ok($request.vpc_endpoint_id(id)),
            other @ (RouteTarget::Local | RouteTarget::Other { .. }) => Err(Error::new(
                Kind::Service,
                "CreateRoute",
                format!("natdeck cannot point a route at '{other}'; set it in AWS's console"),
            )),
        }
    };
}

pub(super) fn create_route(
    client: &Client,
    table: &str,
    destination: Ipv4Net,
    target: &RouteTarget,
) -> Result<op::create_route::builders::CreateRouteFluentBuilder, Error> {
    let request = client.create_route().route_table_id(table).destination_cidr_block(destination.to_string());
    to_target!(request, target)
}

pub(super) fn replace_route(
    client: &Client,
    table: &str,
    destination: Ipv4Net,
    target: &RouteTarget,
) -> Result<op::replace_route::builders::ReplaceRouteFluentBuilder, Error> {
    let request = client.replace_route().route_table_id(table).destination_cidr_block(destination.to_string());
    match target {
        RouteTarget::Local => Ok(request.local_target(true)),
        target => to_target!(request, target),
    }
}

pub(super) fn create_vpc_endpoint(
    context: Context<'_>,
    vpc_id: &str,
    service_name: &str,
    subnet_id: &str,
    group_id: &str,
) -> op::create_vpc_endpoint::builders::CreateVpcEndpointFluentBuilder {
    (context.session.ec2().create_vpc_endpoint())
        .vpc_id(vpc_id)
        .vpc_endpoint_type(sdk::VpcEndpointType::Interface)
        .service_name(service_name)
        .subnet_ids(subnet_id)
        .security_group_ids(group_id)
        .private_dns_enabled(true)
        .set_client_token(token(context))
        .set_tag_specifications(tag_specifications(context))
}

/// The client token. `None` where there is none: a dry run.
pub(super) fn token(context: Context<'_>) -> Option<String> {
    Some(context.token.to_owned()).filter(|token| !token.is_empty())
}

/// The root volume that an image brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RootVolume {
    /// `/dev/xvda`.
    pub device_name: String,
    /// `None`: as large as the image's snapshot.
    pub size_gib: Option<i32>,
}

impl Default for RootVolume {
    /// Amazon Linux's.
    fn default() -> Self {
        Self { device_name: "/dev/xvda".to_owned(), size_gib: None }
    }
}

/// `root_device` is the image's own name for its root volume.
pub(super) fn run_instances(
    context: Context<'_>,
    launch: &Launch,
    root_volume: &RootVolume,
) -> Result<op::run_instances::builders::RunInstancesFluentBuilder, Error> {
    let interface = sdk::InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(launch.subnet.resolve(context.outputs)?.as_str())
        .groups(launch.security_group.resolve(context.outputs)?.as_str())
        .associate_public_ip_address(launch.associate_public_ip_address)
        .delete_on_termination(true)
        .build();
    let volume = sdk::EbsBlockDevice::builder()
        .set_volume_size(root_volume.size_gib)
        .encrypted(true)
        .volume_type(sdk::VolumeType::Gp3)
        .delete_on_termination(true)
        .build();
    let metadata = sdk::InstanceMetadataOptionsRequest::builder()
        .http_tokens(sdk::HttpTokensState::Required)
        .http_endpoint(sdk::InstanceMetadataEndpointState::Enabled)
        .http_put_response_hop_limit(1)
        .build();
    let profile = (launch.instance_profile_name.as_ref())
        .map(|name| sdk::IamInstanceProfileSpecification::builder().name(name).build());
    Ok((context.session.ec2().run_instances())
        .image_id(launch.image_id.as_str())
        .instance_type(sdk::InstanceType::from(launch.instance_type.as_str()))
        .min_count(1)
        .max_count(1)
        .network_interfaces(interface)
        .block_device_mappings(
            sdk::BlockDeviceMapping::builder().device_name(&root_volume.device_name).ebs(volume).build(),
        )
        .metadata_options(metadata)
        .set_iam_instance_profile(profile)
        .set_key_name(launch.key_name.clone())
        .set_user_data(launch.user_data.as_ref().map(|script| BASE64.encode(script)))
        .set_client_token(token(context))
        .set_tag_specifications(tag_specifications(context)))
}

/// Sends the step with `DryRun`. AWS answers every dry run with an error; the caller reads which.
pub(super) async fn dry_run(context: Context<'_>) -> Result<(), Error> {
    let ec2 = context.session.ec2();
    let session = context.session;
    let outputs = context.outputs;
    macro_rules! send {
        ($operation:literal, $request:expr) => {{
            let request = $request.dry_run(true);
            on_heap(|| request.send()).await.map(drop).map_err(session.on($operation))
        }};
    }
    let tags = || tag_specifications(context);
    match &context.step.call {
        Call::Repair(call) => super::on_heap(|| super::repair::dry_run(context, call)).await,
        Call::CreateVpc { cidr_block } => send!(
            "CreateVpc",
            ec2.create_vpc().cidr_block(cidr_block.to_string()).set_tag_specifications(tags())
        ),
        Call::CreateInternetGateway => {
            send!("CreateInternetGateway", ec2.create_internet_gateway().set_tag_specifications(tags()))
        }
        Call::AttachInternetGateway { internet_gateway, vpc } => send!(
            "AttachInternetGateway",
            ec2.attach_internet_gateway()
                .internet_gateway_id(internet_gateway.resolve(outputs)?.as_str())
                .vpc_id(vpc.resolve(outputs)?.as_str())
        ),
        Call::CreateSubnet { vpc, cidr_block, availability_zone } => send!(
            "CreateSubnet",
            ec2.create_subnet()
                .vpc_id(vpc.resolve(outputs)?.as_str())
                .cidr_block(cidr_block.to_string())
                .availability_zone(availability_zone)
                .set_tag_specifications(tags())
        ),
        Call::CreateRouteTable { vpc } => send!(
            "CreateRouteTable",
            ec2.create_route_table().vpc_id(vpc.resolve(outputs)?.as_str()).set_tag_specifications(tags())
        ),
        Call::AssociateRouteTable { route_table, subnet } => send!(
            "AssociateRouteTable",
            ec2.associate_route_table()
                .route_table_id(route_table.resolve(outputs)?.as_str())
                .subnet_id(subnet.resolve(outputs)?.as_str())
        ),
        Call::CreateRoute { route_table, destination, via } => {
            let target = target(context, via)?;
            send!("CreateRoute", create_route(ec2, route_table.resolve(outputs)?.as_str(), *destination, &target)?)
        }
        Call::ReplaceRoute { route_table, destination, via, .. } => {
            let target = target(context, via)?;
            send!("ReplaceRoute", replace_route(ec2, route_table.resolve(outputs)?.as_str(), *destination, &target)?)
        }
        Call::CreateSecurityGroup { vpc, group_name, description } => send!(
            "CreateSecurityGroup",
            ec2.create_security_group()
                .vpc_id(vpc.resolve(outputs)?.as_str())
                .group_name(group_name)
                .description(description)
                .set_tag_specifications(tags())
        ),
        Call::AuthorizeSecurityGroupIngress { group, rule } => send!(
            "AuthorizeSecurityGroupIngress",
            ec2.authorize_security_group_ingress()
                .group_id(group.resolve(outputs)?.as_str())
                .ip_permissions(permission(context, rule)?)
        ),
        Call::CreateVpcEndpoint { vpc, service_name, subnet, security_group } => send!(
            "CreateVpcEndpoint",
            create_vpc_endpoint(
                context,
                vpc.resolve(outputs)?.as_str(),
                service_name,
                subnet.resolve(outputs)?.as_str(),
                security_group.resolve(outputs)?.as_str(),
            )
        ),
        Call::RunInstances(launch) => send!("RunInstances", run_instances(context, launch, &RootVolume::default())?),
        Call::CreateNetworkInterface { subnet, security_group, description } => send!(
            "CreateNetworkInterface",
            ec2.create_network_interface()
                .subnet_id(subnet.resolve(outputs)?.as_str())
                .groups(security_group.resolve(outputs)?.as_str())
                .description(description)
                .set_tag_specifications(tags())
        ),
        Call::ModifyNetworkInterfaceAttribute { network_interface, source_dest_check } => {
            let id = network_interface.resolve(outputs)?;
            send!(
                "ModifyNetworkInterfaceAttribute",
                modify_network_interface_attribute(ec2, id.as_str(), *source_dest_check)
            )
        }
        Call::AttachNetworkInterface { network_interface, instance, device_index } => send!(
            "AttachNetworkInterface",
            ec2.attach_network_interface()
                .network_interface_id(network_interface.resolve(outputs)?.as_str())
                .instance_id(instance.resolve(outputs)?.as_str())
                .device_index(i32::try_from(*device_index).unwrap_or(i32::MAX))
        ),
        Call::AllocateAddress => send!(
            "AllocateAddress",
            ec2.allocate_address().domain(sdk::DomainType::Vpc).set_tag_specifications(tags())
        ),
        Call::AssociateAddress { address, network_interface } => send!(
            "AssociateAddress",
            ec2.associate_address()
                .allocation_id(address.resolve(outputs)?.as_str())
                .network_interface_id(network_interface.resolve(outputs)?.as_str())
        ),
        Call::CreateTags { resource, tags } => send!(
            "CreateTags",
            ec2.create_tags().resources(resource.as_str()).set_tags(Some(sdk_tags(tags)))
        ),
        Call::DeleteTags { resource, keys } => {
            let tags = keys.iter().map(|key| sdk::Tag::builder().key(key).build()).collect();
            send!("DeleteTags", ec2.delete_tags().resources(resource.as_str()).set_tags(Some(tags)))
        }
        Call::DeleteRoute { route_table, destination } => send!(
            "DeleteRoute",
            ec2.delete_route()
                .route_table_id(route_table.resolve(outputs)?.as_str())
                .destination_cidr_block(destination.to_string())
        ),
        Call::TerminateInstances { instance } => {
            send!("TerminateInstances", ec2.terminate_instances().instance_ids(instance.as_str()))
        }
        Call::DetachNetworkInterface { attachment, .. } => {
            send!("DetachNetworkInterface", ec2.detach_network_interface().attachment_id(attachment.as_str()))
        }
        Call::DeleteNetworkInterface { network_interface } => send!(
            "DeleteNetworkInterface",
            ec2.delete_network_interface().network_interface_id(network_interface.as_str())
        ),
        Call::DisassociateAddress { association_id } => {
            send!("DisassociateAddress", ec2.disassociate_address().association_id(association_id))
        }
        Call::ReleaseAddress { allocation_id } => {
            send!("ReleaseAddress", ec2.release_address().allocation_id(allocation_id.as_str()))
        }
        Call::DeleteVpcEndpoints { vpc_endpoint } => {
            send!("DeleteVpcEndpoints", ec2.delete_vpc_endpoints().vpc_endpoint_ids(vpc_endpoint.as_str()))
        }
        Call::RevokeSecurityGroupIngress { group, rule } => send!(
            "RevokeSecurityGroupIngress",
            ec2.revoke_security_group_ingress().group_id(group.as_str()).ip_permissions(permission(context, rule)?)
        ),
        Call::DeleteSecurityGroup { group } => {
            send!("DeleteSecurityGroup", ec2.delete_security_group().group_id(group.as_str()))
        }
        Call::DisassociateRouteTable { association_id } => {
            send!("DisassociateRouteTable", ec2.disassociate_route_table().association_id(association_id.as_str()))
        }
        Call::DeleteRouteTable { route_table } => {
            send!("DeleteRouteTable", ec2.delete_route_table().route_table_id(route_table.as_str()))
        }
        Call::DeleteSubnet { subnet } => send!("DeleteSubnet", ec2.delete_subnet().subnet_id(subnet.as_str())),
        Call::DetachInternetGateway { internet_gateway, vpc } => send!(
            "DetachInternetGateway",
            ec2.detach_internet_gateway().internet_gateway_id(internet_gateway.as_str()).vpc_id(vpc.as_str())
        ),
        Call::DeleteInternetGateway { internet_gateway } => send!(
            "DeleteInternetGateway",
            ec2.delete_internet_gateway().internet_gateway_id(internet_gateway.as_str())
        ),
        Call::DeleteVpc { vpc } => send!("DeleteVpc", ec2.delete_vpc().vpc_id(vpc.as_str())),
        // The only two EC2 calls of these that have no DryRun in the API.
        Call::ModifyVpcAttribute { .. }
        | Call::ModifySubnetAttribute { .. }
        // IAM and SSM have none.
        | Call::CreateRole { .. }
        | Call::AttachRolePolicy { .. }
        | Call::CreateInstanceProfile { .. }
        | Call::AddRoleToInstanceProfile { .. }
        | Call::RemoveRoleFromInstanceProfile { .. }
        | Call::DetachRolePolicy { .. }
        | Call::DeleteInstanceProfile { .. }
        | Call::DeleteRole { .. }
        | Call::VerifyHost { .. }
        | Call::CheckEgress { .. } => Err(Error::new(Kind::NotHere, context.step.operation(), "it has no dry run")),
    }
}
