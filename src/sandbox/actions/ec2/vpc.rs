//! VPCs and their DNS attributes.

use ipnet::Ipv4Net;

use super::describe::{describe, many, maybe, one};
use super::{Answer, catalog, dhcp_options, peering, subnet, tag};
use crate::model::{
    AclAction, AclDirection, AclEntry, AssociationId, AttachmentState, EgressOnlyInternetGateway, GatewayAttachment,
    InternetGateway, InternetGatewayId, NatGateway, NatGatewayState, NetworkAcl, NetworkAclId, NetworkInterface, Peer,
    Protocol, Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTableAssociation, RouteTableId,
    RouteTarget, RuleDirection, SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, Subnet, Tags,
    Vpc, VpcEndpoint, VpcId,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{VpcRecord, World};

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
    let dedicated = records.vpcs.get(vpc.vpc_id.as_str()).is_some_and(|record| record.dedicated);
    Xml::new()
        .text("vpcId", &vpc.vpc_id)
        .text("ownerId", &world.account_id)
        .text("state", &vpc.state)
        .opt("cidrBlock", vpc.cidr_blocks.first())
        .items("cidrBlockAssociationSet", ipv4)
        .items("ipv6CidrBlockAssociationSet", ipv6)
        .opt("dhcpOptionsId", dhcp_options::of_vpc(world, &vpc.vpc_id))
        .items("tagSet", tag::xml(&vpc.tags))
        .text("instanceTenancy", if dedicated { "dedicated" } else { "default" })
        .text("isDefault", vpc.is_default)
}

/// CreateVpc: with its main route table, default security group and default network ACL.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let cidr = ipv4_block(query.require("CidrBlock")?, "cidrBlock")?;
    if !(16..=28).contains(&cidr.prefix_len()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let tags = tag::specified(query, "vpc")?;
    let dedicated = match query.get("InstanceTenancy").unwrap_or("default") {
        "default" => false,
        "dedicated" => true,
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter instanceTenancy is invalid.")));
        }
    };
    let ipv6 = query.bool("AmazonProvidedIpv6CidrBlock")?.unwrap_or(false);
    let vpc = make(world, cidr, ipv6, tags);
    world.records.vpcs.insert(vpc.vpc_id.as_str().to_owned(), VpcRecord { dedicated, ..VpcRecord::default() });
    let answer = xml(world, &Vpc { state: "pending".to_owned(), ..vpc });
    Ok(Body::Xml(Xml::new().node("vpc", answer)))
}

/// A /56 of Amazon's.
fn amazon_ipv6_block(world: &mut World) -> Option<ipnet::Ipv6Net> {
    let n = world.random(|rng| rng.u128(..1 << 24));
    let base = (0x2a05_d014_u128 << 96) | (n << 72);
    ipnet::Ipv6Net::new(base.into(), 56).ok()
}

/// Makes a VPC with its main route table, default security group and default network ACL.
fn make(world: &mut World, cidr: Ipv4Net, ipv6: bool, tags: Tags) -> Vpc {
    let vpc_id = VpcId::new(world.new_id("vpc-"));
    let mut ipv6_cidr_blocks = Vec::new();
    if ipv6 {
        ipv6_cidr_blocks.extend(amazon_ipv6_block(world));
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
        dhcp_options: world.records.dhcp_options_id.clone().and_then(|id| dhcp_options::model(world, &id)),
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
    world.insert(vpc.clone());
    vpc
}

/// CreateDefaultVpc: with a gateway and a public subnet in each zone, as every region of a new account has one.
pub fn create_default(world: &mut World, _query: &Query) -> Answer {
    if let Some(vpc) = default_vpc(world) {
        return Err(ApiError::new(
            "DefaultVpcAlreadyExists",
            format!("A Default VPC already exists for this account in this region: {}.", vpc.vpc_id),
        ));
    }
    let range = Ipv4Net::new([172, 31, 0, 0].into(), 16).map_err(|_| ApiError::invalid_value("no such range"))?;
    let mut vpc = make(world, range, false, Tags::default());
    vpc.is_default = true;
    vpc.dns_hostnames = Some(true);
    world.insert(vpc.clone());
    let gateway_id = InternetGatewayId::new(world.new_id("igw-"));
    world.insert(InternetGateway {
        internet_gateway_id: gateway_id.clone(),
        attachments: vec![GatewayAttachment { vpc_id: vpc.vpc_id.clone(), state: AttachmentState::Available }],
        tags: Tags::default(),
    });
    let tables = world.network.route_tables.items_mut().values_mut();
    for table in tables.filter(|table| table.vpc_id == vpc.vpc_id) {
        table.routes.push(Route {
            destination: RouteDestination::Ipv4(Ipv4Net::default()),
            target: RouteTarget::InternetGateway(gateway_id.clone()),
            state: RouteState::Active,
            origin: RouteOrigin::CreateRoute,
        });
    }
    for zone in catalog::zones(&world.region) {
        subnet::make_default(world, &vpc, &zone)?;
    }
    Ok(Body::Xml(Xml::new().node("vpc", xml(world, &vpc))))
}

/// The region's default VPC.
pub(super) fn default_vpc(world: &World) -> Option<&Vpc> {
    world.all::<Vpc>().find(|vpc| vpc.is_default)
}

/// AssociateVpcCidrBlock: a further range, routed as local in every table of the VPC.
pub fn associate_cidr(world: &mut World, query: &Query) -> Answer {
    let vpc = world.find::<Vpc>(query.require("VpcId")?)?.clone();
    let association_id = world.new_id("vpc-cidr-assoc-");
    let state = Xml::new().text("state", "associating");
    let head = Xml::new().text("associationId", &association_id);
    let mut changed = vpc.clone();
    let (destination, answer) = if query.bool("AmazonProvidedIpv6CidrBlock")?.unwrap_or(false) {
        if !vpc.ipv6_cidr_blocks.is_empty() {
            return Err(ApiError::new("CidrLimitExceeded", "The VPC has an Amazon-provided IPv6 CIDR block already."));
        }
        let Some(net) = amazon_ipv6_block(world) else { return Err(ApiError::missing("Ipv6CidrBlock")) };
        changed.ipv6_cidr_blocks.push(net);
        let shown = head.text("ipv6CidrBlock", net).node("ipv6CidrBlockState", state);
        (RouteDestination::Ipv6(net), Xml::new().node("ipv6CidrBlockAssociation", shown))
    } else {
        let net = ipv4_block(query.require("CidrBlock")?, "cidrBlock")?;
        if !(16..=28).contains(&net.prefix_len()) {
            return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{net}' is invalid.")));
        }
        if vpc.cidr_blocks.iter().any(|other| other.contains(&net) || net.contains(other)) {
            return Err(ApiError::new(
                "CidrConflict",
                format!("The CIDR '{net}' conflicts with another CIDR of the VPC '{}'.", vpc.vpc_id),
            ));
        }
        if vpc.cidr_blocks.len() >= 5 {
            return Err(ApiError::new(
                "CidrLimitExceeded",
                "This network has met its maximum number of allowed CIDRs: 5",
            ));
        }
        changed.cidr_blocks.push(net);
        let shown = head.text("cidrBlock", net).node("cidrBlockState", state);
        (RouteDestination::Ipv4(net), Xml::new().node("cidrBlockAssociation", shown))
    };
    // The identifiers are kept in the order of the ranges, IPv4 first.
    let of_ipv4 = matches!(destination, RouteDestination::Ipv4(_));
    let ids = world.records.cidr_associations.entry(vpc.vpc_id.as_str().to_owned()).or_default();
    ids.insert(if of_ipv4 { vpc.cidr_blocks.len().min(ids.len()) } else { ids.len() }, association_id);
    for table in world.network.route_tables.items_mut().values_mut().filter(|table| table.vpc_id == vpc.vpc_id) {
        let after = table.routes.iter().take_while(|route| route.origin == RouteOrigin::CreateRouteTable).count();
        let route = Route {
            destination: destination.clone(),
            target: RouteTarget::Local,
            state: RouteState::Active,
            origin: RouteOrigin::CreateRouteTable,
        };
        table.routes.insert(after, route);
    }
    world.insert(changed);
    Ok(Body::Xml(answer.text("vpcId", vpc.vpc_id)))
}

/// DisassociateVpcCidrBlock: never the primary range, nor one with subnets in it.
pub fn disassociate_cidr(world: &mut World, query: &Query) -> Answer {
    let association_id = query.require("AssociationId")?;
    let found = world.records.cidr_associations.iter().find_map(|(vpc_id, ids)| {
        let index = ids.iter().position(|id| id == association_id)?;
        Some((vpc_id.clone(), index))
    });
    let Some((vpc_id, index)) = found else {
        return Err(ApiError::new(
            "InvalidVpcCidrBlockAssociationID.NotFound",
            format!("The vpc CIDR block association ID '{association_id}' does not exist"),
        ));
    };
    let mut vpc = world.find::<Vpc>(&vpc_id)?.clone();
    if index == 0 {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "The vpc CIDR block with association ID {association_id} may not be disassociated. It is the primary IPv4 CIDR block of the VPC"
            ),
        ));
    }
    let in_use = |net: &dyn std::fmt::Display| {
        ApiError::new("InvalidCidrBlock.InUse", format!("The vpc CIDR block '{net}' is in use by a subnet."))
    };
    let head = Xml::new().text("associationId", association_id);
    let state = Xml::new().text("state", "disassociating");
    let (destination, answer) = if index < vpc.cidr_blocks.len() {
        let net = vpc.cidr_blocks.remove(index);
        if world
            .all::<Subnet>()
            .any(|s| s.vpc_id == vpc.vpc_id && s.cidr_block.is_some_and(|block| net.contains(&block)))
        {
            return Err(in_use(&net));
        }
        let shown = head.text("cidrBlock", net).node("cidrBlockState", state);
        (RouteDestination::Ipv4(net), Xml::new().node("cidrBlockAssociation", shown))
    } else {
        let net = vpc.ipv6_cidr_blocks.remove(index - vpc.cidr_blocks.len());
        if world.all::<Subnet>().any(|s| s.vpc_id == vpc.vpc_id && s.ipv6_cidr_blocks.iter().any(|b| net.contains(b))) {
            return Err(in_use(&net));
        }
        let shown = head.text("ipv6CidrBlock", net).node("ipv6CidrBlockState", state);
        (RouteDestination::Ipv6(net), Xml::new().node("ipv6CidrBlockAssociation", shown))
    };
    if let Some(ids) = world.records.cidr_associations.get_mut(&vpc_id) {
        ids.remove(index);
    }
    for table in world.network.route_tables.items_mut().values_mut().filter(|table| table.vpc_id == vpc.vpc_id) {
        table.routes.retain(|route| route.destination != destination || route.origin != RouteOrigin::CreateRouteTable);
    }
    world.insert(vpc);
    Ok(Body::Xml(answer.text("vpcId", vpc_id)))
}

/// ModifyVpcTenancy: from dedicated to default, and never back.
pub fn modify_tenancy(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    match query.require("InstanceTenancy")? {
        "default" => world.records.vpcs.entry(vpc_id.as_str().to_owned()).or_default().dedicated = false,
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter instanceTenancy is invalid.")));
        }
    }
    Ok(Body::Xml(Xml::new().text("return", true)))
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
    let associations =
        |vpc: &Vpc| world.records.cidr_associations.get(vpc.vpc_id.as_str()).cloned().unwrap_or_default();
    let values = |vpc: &Vpc, name: &str| match name {
        "vpc-id" => one(&vpc.vpc_id),
        "state" => one(&vpc.state),
        "cidr" | "cidr-block" => maybe(vpc.cidr_blocks.first()),
        "cidr-block-association.cidr-block" => many(&vpc.cidr_blocks),
        "cidr-block-association.association-id" => {
            many(associations(vpc).iter().take(vpc.cidr_blocks.len()).collect::<Vec<_>>())
        }
        "ipv6-cidr-block-association.association-id" => {
            many(associations(vpc).iter().skip(vpc.cidr_blocks.len()).collect::<Vec<_>>())
        }
        "cidr-block-association.state" => one("associated"),
        "ipv6-cidr-block-association.state" => many(vpc.ipv6_cidr_blocks.iter().map(|_| "associated")),
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
    world.records.vpcs.remove(vpc_id.as_str());
    world.records.flow_logs.retain(|_, log| log.resource_id != vpc_id.as_str());
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
            // Neither attribute changes the other; names are given while both are on (VPC guide, "DNS attributes").
            vpc.dns_support = Some(value);
        }
        (None, Some(value), None) => {
            if value && vpc.dns_support != Some(true) {
                return Err(ApiError::invalid_value(
                    "Invalid value 'true' for EnableDnsHostnames: EnableDnsSupport must be true first.",
                ));
            }
            vpc.dns_hostnames = Some(value);
        }
        (None, None, Some(value)) => {
            let id = vpc.vpc_id.as_str().to_owned();
            world.records.vpcs.entry(id).or_default().usage_metrics = value;
        }
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
        "enableNetworkAddressUsageMetrics" => {
            let record = world.records.vpcs.get(vpc_id);
            answer.node("enableNetworkAddressUsageMetrics", value(record.map(|record| record.usage_metrics)))
        }
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    };
    Ok(Body::Xml(answer))
}
