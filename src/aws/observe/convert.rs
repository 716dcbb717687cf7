//! From the SDK's types to the model's. Pure. A field that is left out and needed is a [`Missing`], never a guess.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use aws_sdk_ec2::types as sdk;

use crate::model::{
    Address, AllocationId, AttachmentId, AttachmentState, DhcpOptions, EgressOnlyInternetGateway,
    EgressOnlyInternetGatewayId, EndpointKind, EndpointState, GatewayAttachment, InstanceId, InterfaceAssociation,
    InterfaceAttachment, InterfaceStatus, InternetGateway, InternetGatewayId, NatGateway, NatGatewayId,
    NatGatewayState, NetworkInterface, NetworkInterfaceId, PrefixList, PrefixListId, RouteTableId, SecurityGroupId,
    Subnet, SubnetId, Tags, Vpc, VpcEndpoint, VpcEndpointId, VpcId,
};

/// A resource of AWS's answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// Which resource, as far as its identifier is known.
    pub(super) id: String,
    /// The field, as AWS names it.
    pub(super) field: &'static str,
    /// The value, when there is one and it cannot be read.
    pub(super) value: Option<String>,
}

impl Missing {
    pub(super) fn reason(&self) -> String {
        match &self.value {
            None => format!("AWS's answer has no {}", self.field),
            Some(value) => format!("AWS's answer has '{value}' as {}", self.field),
        }
    }
}

/// The identifier, without which nothing can be said.
pub(super) fn id(id: Option<String>, field: &'static str) -> Result<String, Missing> {
    id.ok_or(Missing { id: "(without id)".to_owned(), field, value: None })
}

/// A needed field of the resource `of`.
pub(super) fn need<T>(value: Option<T>, of: &str, field: &'static str) -> Result<T, Missing> {
    value.ok_or_else(|| Missing { id: of.to_owned(), field, value: None })
}

/// An optional field that must be readable when it is there. Empty counts as absent: EC2 answers so for addresses
/// that do not exist.
pub(super) fn parsed<T: FromStr>(value: Option<String>, of: &str, field: &'static str) -> Result<Option<T>, Missing> {
    match value.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Missing { id: of.to_owned(), field, value: Some(text) }),
        },
    }
}

pub(super) fn tags(tags: Option<Vec<sdk::Tag>>) -> Tags {
    tags.unwrap_or_default()
        .into_iter()
        .filter_map(|tag| tag.key.map(|key| (key, tag.value.unwrap_or_default())))
        .collect()
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn vpc(vpc: sdk::Vpc) -> Result<(String, Vpc), Missing> {
    let id = id(vpc.vpc_id, "VpcId")?;
    let primary = need(parsed(vpc.cidr_block, &id, "CidrBlock")?, &id, "CidrBlock")?;
    let mut cidr_blocks = vec![primary];
    for association in vpc.cidr_block_association_set.unwrap_or_default() {
        // A range that failed or is being taken away routes nothing.
        let state = association.cidr_block_state.and_then(|state| state.state);
        let live = state.is_none_or(|state| matches!(state.as_str(), "associated" | "associating"));
        if let Some(cidr) = parsed(association.cidr_block, &id, "CidrBlockAssociationSet.CidrBlock")?
            && live
            && !cidr_blocks.contains(&cidr)
        {
            cidr_blocks.push(cidr);
        }
    }
    let mut ipv6_cidr_blocks = Vec::new();
    for association in vpc.ipv6_cidr_block_association_set.unwrap_or_default() {
        let state = association.ipv6_cidr_block_state.and_then(|state| state.state);
        let live = state.is_none_or(|state| matches!(state.as_str(), "associated" | "associating"));
        if let Some(cidr) = parsed(association.ipv6_cidr_block, &id, "Ipv6CidrBlock")?
            && live
        {
            ipv6_cidr_blocks.push(cidr);
        }
    }
    let model = Vpc {
        vpc_id: VpcId::new(&id),
        state: need(vpc.state, &id, "State")?.as_str().to_owned(),
        cidr_blocks,
        ipv6_cidr_blocks,
        is_default: vpc.is_default.unwrap_or(false),
        dns_support: None,
        dns_hostnames: None,
        dhcp_options: vpc
            .dhcp_options_id
            .map(|dhcp_options_id| DhcpOptions { dhcp_options_id, domain_name_servers: None }),
        tags: tags(vpc.tags),
    };
    Ok((id, model))
}

pub(super) fn subnet(subnet: sdk::Subnet) -> Result<(String, Subnet), Missing> {
    let id = id(subnet.subnet_id, "SubnetId")?;
    let mut ipv6_cidr_blocks = Vec::new();
    for association in subnet.ipv6_cidr_block_association_set.unwrap_or_default() {
        let state = association.ipv6_cidr_block_state.and_then(|state| state.state);
        let live = state.is_none_or(|state| matches!(state.as_str(), "associated" | "associating"));
        if let Some(cidr) = parsed(association.ipv6_cidr_block, &id, "Ipv6CidrBlock")?
            && live
        {
            ipv6_cidr_blocks.push(cidr);
        }
    }
    let model = Subnet {
        subnet_id: SubnetId::new(&id),
        vpc_id: VpcId::new(need(subnet.vpc_id, &id, "VpcId")?),
        cidr_block: parsed(subnet.cidr_block, &id, "CidrBlock")?,
        ipv6_cidr_blocks,
        availability_zone: need(subnet.availability_zone, &id, "AvailabilityZone")?,
        state: need(subnet.state, &id, "State")?.as_str().to_owned(),
        enable_dns64: subnet.enable_dns64.unwrap_or(false),
        map_public_ip_on_launch: subnet.map_public_ip_on_launch.unwrap_or(false),
        available_ip_address_count: subnet
            .available_ip_address_count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default(),
        tags: tags(subnet.tags),
    };
    Ok((id, model))
}

fn attachments(list: Option<Vec<sdk::InternetGatewayAttachment>>, id: &str) -> Result<Vec<GatewayAttachment>, Missing> {
    let one = |attachment: sdk::InternetGatewayAttachment| {
        Ok(GatewayAttachment {
            vpc_id: VpcId::new(need(attachment.vpc_id, id, "Attachments.VpcId")?),
            state: AttachmentState::from(need(attachment.state, id, "Attachments.State")?.as_str()),
        })
    };
    list.unwrap_or_default().into_iter().map(one).collect()
}

pub(super) fn internet_gateway(gateway: sdk::InternetGateway) -> Result<(String, InternetGateway), Missing> {
    let id = id(gateway.internet_gateway_id, "InternetGatewayId")?;
    let model = InternetGateway {
        internet_gateway_id: InternetGatewayId::new(&id),
        attachments: attachments(gateway.attachments, &id)?,
        tags: tags(gateway.tags),
    };
    Ok((id, model))
}

pub(super) fn egress_only_internet_gateway(
    gateway: sdk::EgressOnlyInternetGateway,
) -> Result<(String, EgressOnlyInternetGateway), Missing> {
    let id = id(gateway.egress_only_internet_gateway_id, "EgressOnlyInternetGatewayId")?;
    let model = EgressOnlyInternetGateway {
        egress_only_internet_gateway_id: EgressOnlyInternetGatewayId::new(&id),
        attachments: attachments(gateway.attachments, &id)?,
        tags: tags(gateway.tags),
    };
    Ok((id, model))
}

pub(super) fn nat_gateway(gateway: sdk::NatGateway) -> Result<(String, NatGateway), Missing> {
    let id = id(gateway.nat_gateway_id, "NatGatewayId")?;
    let mut addresses = gateway.nat_gateway_addresses.unwrap_or_default();
    // The primary address is the one that traffic leaves by; AWS does not promise that it comes first.
    addresses.sort_by_key(|address| address.is_primary == Some(false));
    let address = addresses.into_iter().next();
    let (public_ip, private_ip, allocation_id, network_interface_id) = match address {
        Some(address) => (address.public_ip, address.private_ip, address.allocation_id, address.network_interface_id),
        None => Default::default(),
    };
    let model = NatGateway {
        nat_gateway_id: NatGatewayId::new(&id),
        vpc_id: VpcId::new(need(gateway.vpc_id, &id, "VpcId")?),
        // A regional gateway has no subnet of its own.
        subnet_id: SubnetId::new(gateway.subnet_id.unwrap_or_default()),
        state: NatGatewayState::from(need(gateway.state, &id, "State")?.as_str()),
        connectivity_type: gateway
            .connectivity_type
            .map_or("public", |kind| match kind {
                sdk::ConnectivityType::Private => "private",
                _ => "public",
            })
            .to_owned(),
        public_ip: parsed(public_ip, &id, "NatGatewayAddresses.PublicIp")?,
        private_ip: parsed(private_ip, &id, "NatGatewayAddresses.PrivateIp")?,
        allocation_id: allocation_id.map(AllocationId::new),
        network_interface_id: network_interface_id.map(NetworkInterfaceId::new),
        failure_code: non_empty(gateway.failure_code),
        failure_message: non_empty(gateway.failure_message),
        tags: tags(gateway.tags),
    };
    Ok((id, model))
}

pub(super) fn network_interface(interface: sdk::NetworkInterface) -> Result<(String, NetworkInterface), Missing> {
    let id = id(interface.network_interface_id, "NetworkInterfaceId")?;
    let attachment = match interface.attachment {
        // EC2 keeps an attachment without id on interfaces that AWS services hold.
        Some(attachment) => match attachment.attachment_id {
            None => None,
            Some(attachment_id) => Some(InterfaceAttachment {
                attachment_id: AttachmentId::new(attachment_id),
                instance_id: non_empty(attachment.instance_id).map(InstanceId::new),
                device_index: need(attachment.device_index, &id, "Attachment.DeviceIndex")?.unsigned_abs(),
                status: need(attachment.status, &id, "Attachment.Status")?.as_str().to_owned(),
                delete_on_termination: attachment.delete_on_termination.unwrap_or(false),
            }),
        },
        None => None,
    };
    let association = match interface.association {
        Some(association) => {
            let public_ip: Option<Ipv4Addr> = parsed(association.public_ip, &id, "Association.PublicIp")?;
            public_ip.map(|public_ip| InterfaceAssociation {
                public_ip,
                allocation_id: non_empty(association.allocation_id).map(AllocationId::new),
                association_id: non_empty(association.association_id),
            })
        }
        None => None,
    };
    let mut secondary_private_ips: Vec<Ipv4Addr> = Vec::new();
    for address in interface.private_ip_addresses.unwrap_or_default() {
        if address.primary == Some(true) {
            continue;
        }
        secondary_private_ips.extend(parsed::<Ipv4Addr>(address.private_ip_address, &id, "PrivateIpAddresses")?);
    }
    let mut ipv6_addresses = Vec::new();
    for address in interface.ipv6_addresses.unwrap_or_default() {
        ipv6_addresses.extend(parsed::<Ipv6Addr>(address.ipv6_address, &id, "Ipv6Addresses")?);
    }
    let groups = interface.groups.unwrap_or_default();
    let private_ip: Option<Ipv4Addr> = parsed(interface.private_ip_address, &id, "PrivateIpAddress")?;
    let model = NetworkInterface {
        network_interface_id: NetworkInterfaceId::new(&id),
        vpc_id: VpcId::new(need(interface.vpc_id, &id, "VpcId")?),
        subnet_id: SubnetId::new(need(interface.subnet_id, &id, "SubnetId")?),
        availability_zone: interface.availability_zone.unwrap_or_default(),
        status: InterfaceStatus::from(need(interface.status, &id, "Status")?.as_str()),
        interface_type: interface.interface_type.map_or_else(|| "interface".to_owned(), |t| t.as_str().to_owned()),
        description: interface.description.unwrap_or_default(),
        mac_address: interface.mac_address.unwrap_or_default(),
        private_ip,
        secondary_private_ips: secondary_private_ips.into_iter().filter(|ip| Some(*ip) != private_ip).collect(),
        ipv6_addresses,
        security_group_ids: groups.into_iter().filter_map(|group| group.group_id).map(SecurityGroupId::new).collect(),
        source_dest_check: need(interface.source_dest_check, &id, "SourceDestCheck")?,
        attachment,
        association,
        requester_managed: interface.requester_managed.unwrap_or(false),
        tags: tags(interface.tag_set),
    };
    Ok((id, model))
}

pub(super) fn address(address: sdk::Address) -> Result<(String, Address), Missing> {
    let public_ip: Option<Ipv4Addr> = parsed(address.public_ip, "(address)", "PublicIp")?;
    let public_ip = need(public_ip, "(address)", "PublicIp")?;
    let id = need(address.allocation_id, &public_ip.to_string(), "AllocationId")?;
    let model = Address {
        allocation_id: AllocationId::new(&id),
        public_ip,
        association_id: non_empty(address.association_id),
        instance_id: non_empty(address.instance_id).map(InstanceId::new),
        network_interface_id: non_empty(address.network_interface_id).map(NetworkInterfaceId::new),
        private_ip: parsed(address.private_ip_address, &id, "PrivateIpAddress")?,
        tags: tags(address.tags),
    };
    Ok((id, model))
}

pub(super) fn vpc_endpoint(endpoint: sdk::VpcEndpoint) -> Result<(String, VpcEndpoint), Missing> {
    let id = id(endpoint.vpc_endpoint_id, "VpcEndpointId")?;
    let groups = endpoint.groups.unwrap_or_default();
    let model = VpcEndpoint {
        vpc_endpoint_id: VpcEndpointId::new(&id),
        vpc_id: VpcId::new(need(endpoint.vpc_id, &id, "VpcId")?),
        kind: EndpointKind::from(need(endpoint.vpc_endpoint_type, &id, "VpcEndpointType")?.as_str()),
        service_name: endpoint.service_name.unwrap_or_default(),
        state: EndpointState::from(need(endpoint.state, &id, "State")?.as_str().to_ascii_lowercase()),
        private_dns_enabled: endpoint.private_dns_enabled.unwrap_or(false),
        subnet_ids: endpoint.subnet_ids.unwrap_or_default().into_iter().map(SubnetId::new).collect(),
        route_table_ids: endpoint.route_table_ids.unwrap_or_default().into_iter().map(RouteTableId::new).collect(),
        security_group_ids: groups.into_iter().filter_map(|group| group.group_id).map(SecurityGroupId::new).collect(),
        network_interface_ids: endpoint
            .network_interface_ids
            .unwrap_or_default()
            .into_iter()
            .map(NetworkInterfaceId::new)
            .collect(),
        tags: tags(endpoint.tags),
    };
    Ok((id, model))
}

pub(super) fn prefix_list(list: sdk::ManagedPrefixList) -> Result<(String, PrefixList), Missing> {
    let id = id(list.prefix_list_id, "PrefixListId")?;
    let model = PrefixList {
        prefix_list_id: PrefixListId::new(&id),
        prefix_list_name: list.prefix_list_name.unwrap_or_default(),
        cidrs: None,
    };
    Ok((id, model))
}
