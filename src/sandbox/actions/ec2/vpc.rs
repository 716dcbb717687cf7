//! VPCs and their DNS attributes.

use ipnet::Ipv4Net;

use super::describe::{describe, many, maybe, one};
use super::{Answer, dhcp_options, peering, tag};
use crate::model::{
    AclAction, AclDirection, AclEntry, AssociationId, EgressOnlyInternetGateway, InternetGateway, NatGateway,
    NatGatewayState, NetworkAcl, NetworkAclId, NetworkInterface, Peer, Protocol, Route, RouteDestination, RouteOrigin,
    RouteState, RouteTable, RouteTableAssociation, RouteTableId, RouteTarget, RuleDirection, SecurityGroup,
    SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, Subnet, Tags, Vpc, VpcEndpoint, VpcId,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// Reads a CIDR block as EC2 does: host bits are cleared, not refused.
pub(super) fn ipv4_block(text: &str, parameter: &str) -> Result<Ipv4Net, ApiError> {
    text.parse::<Ipv4Net>().map(|net| net.trunc()).map_err(|_| {
        ApiError::invalid_value(format!(
            "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        ))
    })
}

pub(super) fn xml(world: &World, vpc: &Vpc) -> Xml {
    let records = &world.records;
    let ids = records.cidr_associations.get(vpc.vpc_id.as_str());
    let association = |n: usize| ids.and_then(|ids| ids.get(n)).cloned();
    let state = || Xml::new().text("state", "associated");
    let ipv4 = vpc.cidr_blocks.iter().enumerate().map(|(n, net)| {
        Xml::new().opt("associationId", association(n)).text("cidrBlock", net).node("cidrBlockState", state())
    });
    let ipv6 = vpc.ipv6_cidr_blocks.iter().enumerate().map(|(n, net)| {
        Xml::new()
            .opt("associationId", association(vpc.cidr_blocks.len() + n))
            .text("ipv6CidrBlock", net)
            .node("ipv6CidrBlockState", state())
            .text("networkBorderGroup", &world.region)
            .text("ipv6Pool", "Amazon")
    });
    Xml::new()
        .text("vpcId", &vpc.vpc_id)
        .text("ownerId", &world.account_id)
        .text("state", &vpc.state)
        .opt("cidrBlock", vpc.cidr_blocks.first())
        .items("cidrBlockAssociationSet", ipv4)
        .items("ipv6CidrBlockAssociationSet", ipv6)
        .opt("dhcpOptionsId", dhcp_options::of_vpc(world, &vpc.vpc_id))
        .items("tagSet", tag::xml(&vpc.tags))
        .text("instanceTenancy", "default")
        .text("isDefault", vpc.is_default)
}

/// CreateVpc: with its main route table, default security group and default network ACL.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let cidr = ipv4_block(query.require("CidrBlock")?, "cidrBlock")?;
    if !(16..=28).contains(&cidr.prefix_len()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let tags = tag::specified(query, "vpc")?;
    let vpc_id = VpcId::new(world.new_id("vpc-"));
    let mut ipv6_cidr_blocks = Vec::new();
    if query.bool("AmazonProvidedIpv6CidrBlock")?.unwrap_or(false) {
        let n = world.random(|rng| rng.u128(..1 << 24));
        let base = (0x2a05_d014_u128 << 96) | (n << 72);
        ipv6_cidr_blocks.extend(ipnet::Ipv6Net::new(base.into(), 56));
    }
    if world.records.dhcp_options_id.is_none() {
        world.records.dhcp_options_id = Some(world.new_id("dopt-"));
    }
    let associations = (0..=ipv6_cidr_blocks.len()).map(|_| world.new_id("vpc-cidr-assoc-")).collect();
    world.records.cidr_associations.insert(vpc_id.as_str().to_owned(), associations);
    let vpc = Vpc {
        vpc_id: vpc_id.clone(),
        state: "available".to_owned(),
        cidr_blocks: vec![cidr],
        ipv6_cidr_blocks,
        is_default: false,
        dns_support: Some(true),
        dns_hostnames: Some(false),
        tags,
    };
    let main = RouteTable {
        route_table_id: RouteTableId::new(world.new_id("rtb-")),
        vpc_id: vpc_id.clone(),
        associations: vec![RouteTableAssociation {
            association_id: AssociationId::new(world.new_id("rtbassoc-")),
            main: true,
            subnet_id: None,
            gateway_id: None,
            state: "associated".to_owned(),
        }],
        routes: local_routes(&vpc),
        propagating_vgws: Vec::new(),
        tags: Tags::default(),
    };
    world.insert(main);
    let group = default_group(world, &vpc_id);
    world.insert(group);
    let acl = NetworkAcl {
        network_acl_id: NetworkAclId::new(world.new_id("acl-")),
        vpc_id,
        is_default: true,
        subnet_ids: Vec::new(),
        entries: default_entries(true),
        tags: Tags::default(),
    };
    world.insert(acl);
    let answer = xml(world, &Vpc { state: "pending".to_owned(), ..vpc.clone() });
    world.insert(vpc);
    Ok(Body::Xml(Xml::new().node("vpc", answer)))
}

/// The local routes that every route table of a VPC begins with.
pub(super) fn local_routes(vpc: &Vpc) -> Vec<Route> {
    let ipv4 = vpc.cidr_blocks.iter().copied().map(RouteDestination::Ipv4);
    let ipv6 = vpc.ipv6_cidr_blocks.iter().copied().map(RouteDestination::Ipv6);
    ipv4.chain(ipv6)
        .map(|destination| Route {
            destination,
            target: RouteTarget::Local,
            state: RouteState::Active,
            origin: RouteOrigin::CreateRouteTable,
        })
        .collect()
}

fn default_group(world: &mut World, vpc_id: &VpcId) -> SecurityGroup {
    let group_id = SecurityGroupId::new(world.new_id("sg-"));
    let mut rule = |direction, peer| SecurityGroupRule {
        rule_id: Some(SecurityGroupRuleId::new(world.new_id("sgr-"))),
        direction,
        protocol: Protocol::All,
        from_port: None,
        to_port: None,
        peer,
        description: None,
    };
    let rules = vec![
        rule(RuleDirection::Ingress, Peer::Group(group_id.clone())),
        rule(RuleDirection::Egress, Peer::Ipv4(Ipv4Net::default())),
    ];
    SecurityGroup {
        group_id,
        group_name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        vpc_id: vpc_id.clone(),
        rules,
        tags: Tags::default(),
    }
}

/// The entries of a new network ACL: the final deny, and for a VPC's default ACL a rule 100 that allows everything.
pub(super) fn default_entries(allow_all: bool) -> Vec<AclEntry> {
    let entry = |rule_number, direction, action| AclEntry {
        rule_number,
        direction,
        action,
        protocol: Protocol::All,
        cidr_block: Some(Ipv4Net::default()),
        ipv6_cidr_block: None,
        port_range: None,
        icmp_type_code: None,
    };
    let mut entries = Vec::new();
    for direction in [AclDirection::Egress, AclDirection::Ingress] {
        if allow_all {
            entries.push(entry(100, direction, AclAction::Allow));
        }
        entries.push(entry(32767, direction, AclAction::Deny));
    }
    entries
}

/// DescribeVpcs
pub fn describe_vpcs(world: &World, query: &Query) -> Answer {
    let values = |vpc: &Vpc, name: &str| match name {
        "vpc-id" => one(&vpc.vpc_id),
        "state" => one(&vpc.state),
        "cidr" | "cidr-block" => maybe(vpc.cidr_blocks.first()),
        "cidr-block-association.cidr-block" => many(&vpc.cidr_blocks),
        "ipv6-cidr-block-association.ipv6-cidr-block" => many(&vpc.ipv6_cidr_blocks),
        "is-default" | "isDefault" => one(vpc.is_default),
        "owner-id" => one(&world.account_id),
        "dhcp-options-id" => maybe(dhcp_options::of_vpc(world, &vpc.vpc_id)),
        _ => None,
    };
    describe(world, query, "VpcId", "vpcSet", values, |vpc| xml(world, vpc))
}

/// DeleteVpc: refused while anything is left in it but what came with it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let attached = |attachments: &[crate::model::GatewayAttachment]| attachments.iter().any(|a| a.vpc_id == vpc_id);
    let in_use = world.all::<Subnet>().any(|r| r.vpc_id == vpc_id)
        || world.all::<NetworkInterface>().any(|r| r.vpc_id == vpc_id)
        || world.all::<SecurityGroup>().any(|r| r.vpc_id == vpc_id && r.group_name != "default")
        || world.all::<RouteTable>().any(|r| r.vpc_id == vpc_id && !r.is_main())
        || world.all::<NetworkAcl>().any(|r| r.vpc_id == vpc_id && !r.is_default)
        || world.all::<InternetGateway>().any(|r| attached(&r.attachments))
        || world.all::<EgressOnlyInternetGateway>().any(|r| attached(&r.attachments))
        || world.all::<NatGateway>().any(|r| r.vpc_id == vpc_id && r.state != NatGatewayState::Deleted)
        || world.all::<VpcEndpoint>().any(|r| r.vpc_id == vpc_id);
    if in_use {
        return Err(ApiError::dependency(format!("The vpc '{vpc_id}' has dependencies and cannot be deleted.")));
    }
    let network = &mut world.network;
    network.route_tables.items_mut().retain(|_, r| r.vpc_id != vpc_id);
    network.security_groups.items_mut().retain(|_, r| r.vpc_id != vpc_id);
    network.network_acls.items_mut().retain(|_, r| r.vpc_id != vpc_id);
    world.remove::<Vpc>(&vpc_id);
    world.records.cidr_associations.remove(vpc_id.as_str());
    world.records.vpc_dhcp_options.remove(vpc_id.as_str());
    peering::vpc_deleted(world, &vpc_id);
    super::done()
}

/// ModifyVpcAttribute: one attribute at a time, as AWS wants it.
pub fn modify_attribute(world: &mut World, query: &Query) -> Answer {
    let support = query.bool("EnableDnsSupport.Value")?;
    let hostnames = query.bool("EnableDnsHostnames.Value")?;
    let metrics = query.bool("EnableNetworkAddressUsageMetrics.Value")?;
    let vpc = world.find_mut::<Vpc>(query.require("VpcId")?)?;
    match (support, hostnames, metrics) {
        (Some(value), None, None) => {
            vpc.dns_support = Some(value);
            if !value {
                vpc.dns_hostnames = Some(false);
            }
        }
        (None, Some(value), None) => {
            if value && vpc.dns_support != Some(true) {
                return Err(ApiError::invalid_value(
                    "Invalid value 'true' for EnableDnsHostnames: EnableDnsSupport must be true first.",
                ));
            }
            vpc.dns_hostnames = Some(value);
        }
        (None, None, Some(_)) => {}
        (None, None, None) => {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain exactly one VPC attribute to modify",
            ));
        }
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified: enableDnsSupport, enableDnsHostnames",
            ));
        }
    }
    super::done()
}

/// DescribeVpcAttribute
pub fn describe_attribute(world: &World, query: &Query) -> Answer {
    let vpc_id = query.require("VpcId")?;
    let attribute = query.require("Attribute")?;
    world.find::<Vpc>(vpc_id)?;
    let vpc = world.seen().vpcs.shown().get(vpc_id);
    let value = |value: Option<bool>| Xml::new().text("value", value.unwrap_or(false));
    let answer = Xml::new().text("vpcId", vpc_id);
    let answer = match attribute {
        "enableDnsSupport" => answer.node("enableDnsSupport", value(vpc.and_then(|vpc| vpc.dns_support))),
        "enableDnsHostnames" => answer.node("enableDnsHostnames", value(vpc.and_then(|vpc| vpc.dns_hostnames))),
        "enableNetworkAddressUsageMetrics" => answer.node("enableNetworkAddressUsageMetrics", value(None)),
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    };
    Ok(Body::Xml(answer))
}
