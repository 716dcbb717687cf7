//! Sends the call of a step that makes or changes something, once.

use aws_sdk_ec2::types as sdk;

use super::request::{self, RootVolume, tag_specifications, token};
use super::settle::interface_listed;
use super::{Context, iam, on_heap};
use crate::aws::error::{Error, Kind};
use crate::model::{
    AllocationId, AssociationId, AttachmentId, ImageId, InstanceId, InternetGatewayId, NetworkInterfaceId,
    RouteTableId, SecurityGroupId, SubnetId, VpcEndpointId, VpcId,
};
use crate::plan::{Call, Launch, Output};

/// What the call made. Where it takes no client token, a lost answer is an error here, not a second attempt.
pub(super) async fn make(context: Context<'_>) -> Result<Output, Error> {
    let session = context.session;
    // `ec2` for what AWS itself makes only once or what may happen twice, `once` for what may not.
    let (ec2, once) = (session.ec2(), session.ec2_once());
    let outputs = context.outputs;
    let tags = || tag_specifications(context);
    macro_rules! send {
        ($operation:literal, $request:expr) => {{
            let request = $request;
            on_heap(|| request.send()).await.map_err(session.on($operation))?
        }};
    }
    match &context.step.call {
        Call::CreateVpc { cidr_block } => {
            let request = once.create_vpc().cidr_block(cidr_block.to_string()).set_tag_specifications(tags());
            let vpc = send!("CreateVpc", request).vpc.and_then(|vpc| vpc.vpc_id);
            Ok(Output::Vpc(VpcId::new(vpc.ok_or(Error::missing("CreateVpc", "Vpc.VpcId"))?)))
        }
        Call::ModifyVpcAttribute { vpc, attribute, value } => {
            let vpc_id = vpc.resolve(outputs)?;
            send!("ModifyVpcAttribute", request::modify_vpc_attribute(ec2, vpc_id.as_str(), *attribute, *value));
            Ok(Output::None)
        }
        Call::CreateInternetGateway => {
            let answer = send!("CreateInternetGateway", once.create_internet_gateway().set_tag_specifications(tags()));
            let id = answer.internet_gateway.and_then(|gateway| gateway.internet_gateway_id);
            let id = id.ok_or(Error::missing("CreateInternetGateway", "InternetGateway.InternetGatewayId"))?;
            Ok(Output::InternetGateway(InternetGatewayId::new(id)))
        }
        Call::AttachInternetGateway { internet_gateway, vpc } => {
            let request = (once.attach_internet_gateway())
                .internet_gateway_id(internet_gateway.resolve(outputs)?.as_str())
                .vpc_id(vpc.resolve(outputs)?.as_str());
            send!("AttachInternetGateway", request);
            Ok(Output::None)
        }
        Call::CreateSubnet { vpc, cidr_block, availability_zone } => {
            let request = (once.create_subnet())
                .vpc_id(vpc.resolve(outputs)?.as_str())
                .cidr_block(cidr_block.to_string())
                .availability_zone(availability_zone)
                .set_tag_specifications(tags());
            let id = send!("CreateSubnet", request).subnet.and_then(|subnet| subnet.subnet_id);
            Ok(Output::Subnet(SubnetId::new(id.ok_or(Error::missing("CreateSubnet", "Subnet.SubnetId"))?)))
        }
        Call::ModifySubnetAttribute { subnet, map_public_ip_on_launch } => {
            let subnet_id = subnet.resolve(outputs)?;
            let request = request::modify_subnet_attribute(ec2, subnet_id.as_str(), *map_public_ip_on_launch);
            send!("ModifySubnetAttribute", request);
            Ok(Output::None)
        }
        Call::CreateRouteTable { vpc } => {
            let request = (ec2.create_route_table())
                .vpc_id(vpc.resolve(outputs)?.as_str())
                .set_client_token(token(context))
                .set_tag_specifications(tags());
            let id = send!("CreateRouteTable", request).route_table.and_then(|table| table.route_table_id);
            let id = id.ok_or(Error::missing("CreateRouteTable", "RouteTable.RouteTableId"))?;
            Ok(Output::RouteTable(RouteTableId::new(id)))
        }
        Call::AssociateRouteTable { route_table, subnet } => {
            let request = (once.associate_route_table())
                .route_table_id(route_table.resolve(outputs)?.as_str())
                .subnet_id(subnet.resolve(outputs)?.as_str());
            let id = send!("AssociateRouteTable", request).association_id;
            let id = id.ok_or(Error::missing("AssociateRouteTable", "AssociationId"))?;
            Ok(Output::RouteTableAssociation(AssociationId::new(id)))
        }
        Call::CreateRoute { route_table, destination, via } => {
            let target = request::target(context, via)?;
            let table = route_table.resolve(outputs)?;
            send!("CreateRoute", request::create_route(once, table.as_str(), *destination, &target)?);
            Ok(Output::None)
        }
        Call::ReplaceRoute { route_table, destination, via, .. } => {
            let target = request::target(context, via)?;
            let table = route_table.resolve(outputs)?;
            send!("ReplaceRoute", request::replace_route(ec2, table.as_str(), *destination, &target)?);
            Ok(Output::None)
        }
        Call::CreateSecurityGroup { vpc, group_name, description } => {
            let request = (once.create_security_group())
                .vpc_id(vpc.resolve(outputs)?.as_str())
                .group_name(group_name)
                .description(description)
                .set_tag_specifications(tags());
            let id = send!("CreateSecurityGroup", request).group_id;
            let id = id.ok_or(Error::missing("CreateSecurityGroup", "GroupId"))?;
            Ok(Output::SecurityGroup(SecurityGroupId::new(id)))
        }
        Call::AuthorizeSecurityGroupIngress { group, rule } => {
            let request = (once.authorize_security_group_ingress())
                .group_id(group.resolve(outputs)?.as_str())
                .ip_permissions(request::permission(context, rule)?);
            send!("AuthorizeSecurityGroupIngress", request);
            Ok(Output::None)
        }
        Call::CreateVpcEndpoint { vpc, service_name, subnet, security_group } => {
            let request = request::create_vpc_endpoint(
                context,
                vpc.resolve(outputs)?.as_str(),
                service_name,
                subnet.resolve(outputs)?.as_str(),
                security_group.resolve(outputs)?.as_str(),
            );
            let id = send!("CreateVpcEndpoint", request).vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id);
            let id = id.ok_or(Error::missing("CreateVpcEndpoint", "VpcEndpoint.VpcEndpointId"))?;
            Ok(Output::VpcEndpoint(VpcEndpointId::new(id)))
        }
        Call::RunInstances(launch) => run_instances(context, launch).await,
        Call::CreateNetworkInterface { subnet, security_group, description } => {
            let request = (ec2.create_network_interface())
                .subnet_id(subnet.resolve(outputs)?.as_str())
                .groups(security_group.resolve(outputs)?.as_str())
                .description(description)
                .set_client_token(token(context))
                .set_tag_specifications(tags());
            let interface = send!("CreateNetworkInterface", request).network_interface;
            let id = interface.and_then(|interface| interface.network_interface_id);
            let id = id.ok_or(Error::missing("CreateNetworkInterface", "NetworkInterface.NetworkInterfaceId"))?;
            Ok(Output::NetworkInterface(NetworkInterfaceId::new(id)))
        }
        Call::ModifyNetworkInterfaceAttribute { network_interface, source_dest_check } => {
            let id = network_interface.resolve(outputs)?;
            let request = request::modify_network_interface_attribute(ec2, id.as_str(), *source_dest_check);
            send!("ModifyNetworkInterfaceAttribute", request);
            Ok(Output::None)
        }
        Call::AttachNetworkInterface { network_interface, instance, device_index } => {
            let request = (once.attach_network_interface())
                .network_interface_id(network_interface.resolve(outputs)?.as_str())
                .instance_id(instance.resolve(outputs)?.as_str())
                .device_index(i32::try_from(*device_index).unwrap_or(i32::MAX));
            let id = send!("AttachNetworkInterface", request).attachment_id;
            let id = id.ok_or(Error::missing("AttachNetworkInterface", "AttachmentId"))?;
            Ok(Output::Attachment(AttachmentId::new(id)))
        }
        Call::AllocateAddress => {
            let request = once.allocate_address().domain(sdk::DomainType::Vpc).set_tag_specifications(tags());
            let answer = send!("AllocateAddress", request);
            let id = answer.allocation_id.ok_or(Error::missing("AllocateAddress", "AllocationId"))?;
            let public_ip = answer.public_ip.and_then(|ip| ip.parse().ok());
            Ok(Output::Address {
                allocation_id: AllocationId::new(id),
                public_ip: public_ip.ok_or(Error::missing("AllocateAddress", "PublicIp"))?,
            })
        }
        Call::AssociateAddress { address, network_interface } => {
            // Never takes an address away from where it is: without AllowReassociation AWS refuses that. The same
            // association again is answered with the same id.
            let request = (ec2.associate_address())
                .allocation_id(address.resolve(outputs)?.as_str())
                .network_interface_id(network_interface.resolve(outputs)?.as_str());
            let id = send!("AssociateAddress", request).association_id;
            Ok(Output::AddressAssociation(id.ok_or(Error::missing("AssociateAddress", "AssociationId"))?))
        }
        Call::CreateTags { resource, tags } => {
            let request = ec2.create_tags().resources(resource.as_str()).set_tags(Some(request::sdk_tags(tags)));
            send!("CreateTags", request);
            Ok(Output::None)
        }
        Call::CreateRole { .. }
        | Call::AttachRolePolicy { .. }
        | Call::CreateInstanceProfile { .. }
        | Call::AddRoleToInstanceProfile { .. } => iam::make(context).await,
        _ => Err(Error::new(Kind::NotHere, context.step.operation(), "this call makes nothing")),
    }
}

async fn run_instances(context: Context<'_>, launch: &Launch) -> Result<Output, Error> {
    const OPERATION: &str = "RunInstances";
    let root_volume = root_volume(context, &launch.image_id).await?;
    let request = request::run_instances(context, launch, &root_volume)?;
    let answer = request.send().await.map_err(context.session.on(OPERATION))?;
    let instance = answer.instances.unwrap_or_default().into_iter().next();
    let instance = instance.ok_or(Error::missing(OPERATION, "Instances"))?;
    instance_output(context, instance).await
}

/// The identifiers that later steps need. An instance may be listed before its interface is.
pub(super) async fn instance_output(context: Context<'_>, instance: sdk::Instance) -> Result<Output, Error> {
    let interface = primary_interface(&instance);
    let id = instance.instance_id.ok_or(Error::missing(context.step.operation(), "InstanceId"))?;
    let instance_id = InstanceId::new(id);
    let network_interface_id = match interface {
        Some(interface) => interface,
        None => on_heap(|| interface_listed(context, &instance_id)).await?,
    };
    Ok(Output::Instance { instance_id, network_interface_id })
}

/// The interface at device index 0.
pub(super) fn primary_interface(instance: &sdk::Instance) -> Option<NetworkInterfaceId> {
    let index = |interface: &&sdk::InstanceNetworkInterface| {
        interface.attachment.as_ref().and_then(|attachment| attachment.device_index).unwrap_or(i32::MAX)
    };
    let first = instance.network_interfaces().iter().min_by_key(index)?;
    first.network_interface_id.as_deref().map(NetworkInterfaceId::new)
}

/// The image's root volume as the image itself describes it: the request must name it to have it encrypted. Amazon
/// Linux's name where the image may not be described.
async fn root_volume(context: Context<'_>, image_id: &ImageId) -> Result<RootVolume, Error> {
    let request = context.session.ec2().describe_images().image_ids(image_id.as_str());
    let image = match request.send().await.map_err(context.session.on("DescribeImages")) {
        Ok(answer) => answer.images.unwrap_or_default().into_iter().next(),
        Err(error) if error.is_denied() => None,
        Err(error) => return Err(error),
    };
    let Some((device_name, image)) = image.and_then(|image| Some((image.root_device_name.clone()?, image))) else {
        return Ok(RootVolume::default());
    };
    let mappings = image.block_device_mappings.unwrap_or_default();
    let root = mappings.into_iter().find(|mapping| mapping.device_name.as_deref() == Some(device_name.as_str()));
    let size_gib = root.and_then(|mapping| mapping.ebs).and_then(|ebs| ebs.volume_size);
    Ok(RootVolume { device_name, size_gib })
}
