//! Subnets, and the addresses in them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::describe::{describe, many, maybe, one};
use super::vpc::{default_vpc, ipv4_block};
use super::{Answer, catalog, tag};
use crate::model::{NatGateway, NatGatewayState, NetworkAcl, NetworkInterface, Subnet, SubnetId, Tags, Vpc};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{SubnetRecord, World};

/// A subnet's attributes beyond the model's.
pub(super) fn record(world: &World, subnet: &Subnet) -> SubnetRecord {
    world.records.subnets.get(subnet.subnet_id.as_str()).cloned().unwrap_or_default()
}

fn xml(world: &World, subnet: &Subnet) -> Xml {
    let associations = world.records.ipv6_associations.get(subnet.subnet_id.as_str());
    let ipv6 = subnet.ipv6_cidr_blocks.iter().enumerate().map(|(n, net)| {
        Xml::new()
            .opt("associationId", associations.and_then(|ids| ids.get(n)))
            .text("ipv6CidrBlock", net)
            .node("ipv6CidrBlockState", Xml::new().text("state", "associated"))
    });
    let record = record(world, subnet);
    let names = Xml::new()
        .text("hostnameType", record.hostname_type())
        .text("enableResourceNameDnsARecord", record.a_record)
        .text("enableResourceNameDnsAAAARecord", record.aaaa_record);
    Xml::new()
        .text("subnetId", &subnet.subnet_id)
        .text("subnetArn", format!("arn:aws:ec2:{}:{}:subnet/{}", world.region, world.account_id, subnet.subnet_id))
        .text("state", &subnet.state)
        .text("ownerId", &world.account_id)
        .text("vpcId", &subnet.vpc_id)
        .opt("cidrBlock", subnet.cidr_block)
        .items("ipv6CidrBlockAssociationSet", ipv6)
        .text("availableIpAddressCount", subnet.available_ip_address_count)
        .text("availabilityZone", &subnet.availability_zone)
        .text("availabilityZoneId", catalog::zone_id(&subnet.availability_zone))
        .text("defaultForAz", record.default_for_zone)
        .text("mapPublicIpOnLaunch", subnet.map_public_ip_on_launch)
        .text("mapCustomerOwnedIpOnLaunch", false)
        .text("assignIpv6AddressOnCreation", record.assign_ipv6)
        .text("ipv6Native", record.ipv6_native)
        .text("enableDns64", subnet.enable_dns64)
        .node("privateDnsNameOptionsOnLaunch", names)
        .items("tagSet", tag::xml(&subnet.tags))
}

/// Reads and checks an IPv4 range for a subnet of a VPC.
fn ipv4_range(world: &World, vpc: &Vpc, text: &str) -> Result<Ipv4Net, ApiError> {
    let cidr = ipv4_block(text, "cidrBlock")?;
    let inside = vpc.cidr_blocks.iter().any(|block| block.contains(&cidr));
    if !(16..=28).contains(&cidr.prefix_len()) || !inside {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let overlaps = |other: &Subnet| {
        other.vpc_id == vpc.vpc_id
            && other.cidr_block.is_some_and(|block| block.contains(&cidr) || cidr.contains(&block))
    };
    if world.all::<Subnet>().any(overlaps) {
        return Err(conflict(&cidr));
    }
    Ok(cidr)
}

fn conflict(cidr: &dyn std::fmt::Display) -> ApiError {
    ApiError::new("InvalidSubnet.Conflict", format!("The CIDR '{cidr}' conflicts with another subnet"))
}

/// Reads and checks an IPv6 range for a subnet of a VPC.
fn ipv6_range(world: &World, vpc: &Vpc, text: &str) -> Result<Ipv6Net, ApiError> {
    let block: Ipv6Net = text.parse().map_err(|_| {
        ApiError::invalid_value(format!(
            "Value ({text}) for parameter ipv6CidrBlock is invalid. This is not a valid IPv6 CIDR block."
        ))
    })?;
    if block.prefix_len() != 64 || !vpc.ipv6_cidr_blocks.iter().any(|of_vpc| of_vpc.contains(&block)) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{block}' is invalid.")));
    }
    if world.all::<Subnet>().any(|other| other.ipv6_cidr_blocks.contains(&block)) {
        return Err(conflict(&block));
    }
    Ok(block)
}

/// CreateSubnet
pub fn create(world: &mut World, query: &Query) -> Answer {
    let vpc = world.find::<Vpc>(query.require("VpcId")?)?.clone();
    let ipv6_native = query.bool("Ipv6Native")?.unwrap_or(false);
    let cidr_block = match query.get("CidrBlock").filter(|text| !text.is_empty()) {
        Some(_) if ipv6_native => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "When specifying ipv4 parameters, cidrBlock or ipv4IpamPoolId, you cannot specify ipv6Native.",
            ));
        }
        Some(text) => Some(ipv4_range(world, &vpc, text)?),
        None if ipv6_native => None,
        None => return Err(ApiError::missing("CidrBlock")),
    };
    let availability_zone = catalog::chosen_zone(world, query)?;
    let ipv6 = query.get("Ipv6CidrBlock").filter(|text| !text.is_empty());
    let ipv6 = ipv6.map(|text| ipv6_range(world, &vpc, text)).transpose()?;
    if ipv6_native && ipv6.is_none() {
        return Err(ApiError::missing("Ipv6CidrBlock"));
    }
    let tags = tag::specified(query, "subnet")?;
    let record = SubnetRecord { ipv6_native, resource_names: ipv6_native, ..SubnetRecord::default() };
    let subnet = make(world, &vpc, availability_zone, (cidr_block, ipv6), tags, record);
    Ok(Body::Xml(Xml::new().node("subnet", xml(world, &subnet))))
}

fn make(
    world: &mut World,
    vpc: &Vpc,
    availability_zone: String,
    (cidr_block, ipv6): (Option<Ipv4Net>, Option<Ipv6Net>),
    tags: Tags,
    record: SubnetRecord,
) -> Subnet {
    let subnet_id = SubnetId::new(world.new_id("subnet-"));
    if ipv6.is_some() {
        let association = world.new_id("subnet-cidr-assoc-");
        world.records.ipv6_associations.insert(subnet_id.as_str().to_owned(), vec![association]);
    }
    if record != SubnetRecord::default() {
        world.records.subnets.insert(subnet_id.as_str().to_owned(), record);
    }
    let subnet = Subnet {
        subnet_id: subnet_id.clone(),
        vpc_id: vpc.vpc_id.clone(),
        cidr_block,
        ipv6_cidr_blocks: ipv6.into_iter().collect(),
        availability_zone,
        state: "available".to_owned(),
        map_public_ip_on_launch: false,
        enable_dns64: false,
        available_ip_address_count: cidr_block.map_or(0, |cidr| usable(cidr.prefix_len())),
        tags,
    };
    let association = world.new_id("aclassoc-");
    world.records.acl_associations.insert(subnet_id.clone(), association);
    let acls = world.network.network_acls.items_mut();
    if let Some(acl) = acls.values_mut().find(|acl| acl.vpc_id == vpc.vpc_id && acl.is_default) {
        acl.subnet_ids.push(subnet_id);
    }
    world.insert(subnet.clone());
    subnet
}

/// The public subnet of a zone in the default VPC: the first /20 that is free.
pub(super) fn make_default(world: &mut World, vpc: &Vpc, zone: &str) -> Result<Subnet, ApiError> {
    let taken = |subnet: &Subnet| subnet.availability_zone == zone && record(world, subnet).default_for_zone;
    if let Some(subnet) = world.all::<Subnet>().find(|subnet| taken(subnet)) {
        return Err(ApiError::new(
            "DefaultSubnetAlreadyExistsInAvailabilityZone",
            format!("'{}' is already the default subnet in {zone}.", subnet.subnet_id),
        ));
    }
    let ranges = vpc.cidr_blocks.first().and_then(|block| block.subnets(20).ok());
    let free = ranges.into_iter().flatten().find_map(|net| ipv4_range(world, vpc, &net.to_string()).ok());
    let Some(range) = free else { return Err(conflict(&"of the default VPC")) };
    let record = SubnetRecord { default_for_zone: true, ..SubnetRecord::default() };
    let mut subnet = make(world, vpc, zone.to_owned(), (Some(range), None), Tags::default(), record);
    subnet.map_public_ip_on_launch = true;
    world.insert(subnet.clone());
    Ok(subnet)
}

/// CreateDefaultSubnet
pub fn create_default(world: &mut World, query: &Query) -> Answer {
    let zone = query.require("AvailabilityZone")?;
    catalog::check_zone(world, zone)?;
    let vpc = default_vpc(world).cloned().ok_or_else(|| {
        ApiError::new("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
    })?;
    let subnet = make_default(world, &vpc, zone)?;
    Ok(Body::Xml(Xml::new().node("subnet", xml(world, &subnet))))
}

/// AssociateSubnetCidrBlock: an IPv6 range, one for each subnet.
pub fn associate_cidr(world: &mut World, query: &Query) -> Answer {
    let subnet = world.find::<Subnet>(query.require("SubnetId")?)?.clone();
    let vpc = world.find::<Vpc>(subnet.vpc_id.as_str())?.clone();
    let net = ipv6_range(world, &vpc, query.require("Ipv6CidrBlock")?)?;
    if !subnet.ipv6_cidr_blocks.is_empty() {
        return Err(ApiError::new(
            "SubnetCidrBlockLimitExceeded",
            format!("The subnet '{}' has an IPv6 CIDR block already.", subnet.subnet_id),
        ));
    }
    let id = world.new_id("subnet-cidr-assoc-");
    world.records.ipv6_associations.insert(subnet.subnet_id.as_str().to_owned(), vec![id.clone()]);
    world.find_mut::<Subnet>(subnet.subnet_id.as_str())?.ipv6_cidr_blocks.push(net);
    Ok(Body::Xml(association(&id, net, "associating").text("subnetId", subnet.subnet_id)))
}

fn association(id: &str, net: Ipv6Net, state: &str) -> Xml {
    let shown = Xml::new()
        .text("associationId", id)
        .text("ipv6CidrBlock", net)
        .node("ipv6CidrBlockState", Xml::new().text("state", state));
    Xml::new().node("ipv6CidrBlockAssociation", shown)
}

/// DisassociateSubnetCidrBlock: refused while an interface has an address of the range.
pub fn disassociate_cidr(world: &mut World, query: &Query) -> Answer {
    let id = query.require("AssociationId")?;
    let found = world.records.ipv6_associations.iter().find(|(_, ids)| ids.iter().any(|other| other == id));
    let subnet_id = found.map(|(subnet_id, _)| subnet_id.clone()).ok_or_else(|| {
        ApiError::new(
            "InvalidSubnetCidrBlockAssociationID.NotFound",
            format!("The subnet CIDR block association ID '{id}' does not exist"),
        )
    })?;
    if world.all::<NetworkInterface>().any(|r| r.subnet_id.as_str() == subnet_id && !r.ipv6_addresses.is_empty()) {
        return Err(ApiError::new(
            "InvalidCidrBlock.InUse",
            format!("The IPv6 CIDR block of subnet '{subnet_id}' is in use."),
        ));
    }
    let subnet = world.find_mut::<Subnet>(&subnet_id)?;
    let net = subnet.ipv6_cidr_blocks.pop().ok_or_else(|| ApiError::missing("AssociationId"))?;
    world.records.ipv6_associations.remove(&subnet_id);
    Ok(Body::Xml(association(id, net, "disassociating").text("subnetId", subnet_id)))
}

/// Addresses of a subnet that can be given out: all but the first four and the last.
pub(crate) fn usable(prefix_len: u8) -> u32 {
    (1u32 << (32 - u32::from(prefix_len.clamp(1, 32)))).saturating_sub(5)
}

/// DescribeSubnets
pub fn describe_subnets(world: &World, query: &Query) -> Answer {
    let values = |subnet: &Subnet, name: &str| match name {
        "subnet-id" => one(&subnet.subnet_id),
        "vpc-id" => one(&subnet.vpc_id),
        "state" => one(&subnet.state),
        "cidr" | "cidr-block" | "cidrBlock" => maybe(subnet.cidr_block),
        "availability-zone" | "availabilityZone" => one(&subnet.availability_zone),
        "availability-zone-id" => one(catalog::zone_id(&subnet.availability_zone)),
        "available-ip-address-count" => one(subnet.available_ip_address_count),
        "default-for-az" | "defaultForAz" => one(record(world, subnet).default_for_zone),
        "ipv6-native" => one(record(world, subnet).ipv6_native),
        "enable-dns64" => one(subnet.enable_dns64),
        "ipv6-cidr-block-association.association-id" => {
            many(world.records.ipv6_associations.get(subnet.subnet_id.as_str()).into_iter().flatten())
        }
        "ipv6-cidr-block-association.state" => many(subnet.ipv6_cidr_blocks.iter().map(|_| "associated")),
        "subnet-arn" => {
            one(format_args!("arn:aws:ec2:{}:{}:subnet/{}", world.region, world.account_id, subnet.subnet_id))
        }
        "map-public-ip-on-launch" => one(subnet.map_public_ip_on_launch),
        "ipv6-cidr-block-association.ipv6-cidr-block" => many(&subnet.ipv6_cidr_blocks),
        "owner-id" => one(&world.account_id),
        _ => None,
    };
    describe(world, query, "SubnetId", "subnetSet", values, |subnet| xml(world, subnet))
}

/// DeleteSubnet: refused while it holds a network interface. Its associations go with it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let subnet_id = world.find::<Subnet>(query.require("SubnetId")?)?.subnet_id.clone();
    let in_use = world.all::<NetworkInterface>().any(|r| r.subnet_id == subnet_id)
        || world.all::<NatGateway>().any(|r| r.subnet_id == subnet_id && r.state != NatGatewayState::Deleted);
    if in_use {
        return Err(ApiError::dependency(format!("The subnet '{subnet_id}' has dependencies and cannot be deleted.")));
    }
    for table in world.network.route_tables.items_mut().values_mut() {
        table.associations.retain(|association| association.subnet_id.as_ref() != Some(&subnet_id));
    }
    for acl in world.network.network_acls.items_mut().values_mut() {
        acl.subnet_ids.retain(|id| *id != subnet_id);
    }
    world.records.acl_associations.remove(&subnet_id);
    world.records.ipv6_associations.remove(subnet_id.as_str());
    world.records.subnets.remove(subnet_id.as_str());
    world.records.flow_logs.retain(|_, log| log.resource_id != subnet_id.as_str());
    world.remove::<Subnet>(&subnet_id);
    super::done()
}

/// ModifySubnetAttribute: one attribute at a time, as AWS wants it.
pub fn modify_attribute(world: &mut World, query: &Query) -> Answer {
    let subnet = world.find::<Subnet>(query.require("SubnetId")?)?.clone();
    let names = [
        "MapPublicIpOnLaunch.Value",
        "AssignIpv6AddressOnCreation.Value",
        "EnableDns64.Value",
        "EnableResourceNameDnsARecordOnLaunch.Value",
        "EnableResourceNameDnsAAAARecordOnLaunch.Value",
        "PrivateDnsHostnameTypeOnLaunch",
    ];
    let mut given = names.into_iter().filter(|name| query.has(name));
    let name = match (given.next(), given.next()) {
        (Some(name), None) => name,
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Only one subnet attribute can be modified at a time",
            ));
        }
        (None, _) => {
            return Err(ApiError::new("MissingParameter", "The request must contain one subnet attribute to modify"));
        }
    };
    let mut changed = record(world, &subnet);
    let needs_ipv6 = |value: bool| {
        if value && subnet.ipv6_cidr_blocks.is_empty() {
            return Err(ApiError::invalid_value(format!(
                "Invalid value 'true' for {name}: subnet '{}' has no IPv6 CIDR block.",
                subnet.subnet_id
            )));
        }
        Ok(value)
    };
    if name == "PrivateDnsHostnameTypeOnLaunch" {
        changed.resource_names = match query.require(name)? {
            "resource-name" => true,
            "ip-name" if subnet.cidr_block.is_some() => false,
            other => {
                return Err(ApiError::invalid_value(format!("Value ({other}) for parameter {name} is invalid.")));
            }
        };
    } else {
        let value = query.bool(name)?.ok_or_else(|| ApiError::missing(name))?;
        match name {
            "MapPublicIpOnLaunch.Value" => {
                world.find_mut::<Subnet>(subnet.subnet_id.as_str())?.map_public_ip_on_launch = value;
            }
            "AssignIpv6AddressOnCreation.Value" => changed.assign_ipv6 = needs_ipv6(value)?,
            "EnableDns64.Value" => world.find_mut::<Subnet>(subnet.subnet_id.as_str())?.enable_dns64 = value,
            "EnableResourceNameDnsARecordOnLaunch.Value" => changed.a_record = value,
            _ => changed.aaaa_record = value,
        }
    }
    world.records.subnets.insert(subnet.subnet_id.as_str().to_owned(), changed);
    super::done()
}

impl World {
    /// Every private address in use in a subnet.
    pub(crate) fn used_ips(&self, subnet_id: &SubnetId) -> BTreeSet<Ipv4Addr> {
        self.all::<NetworkInterface>()
            .filter(|interface| interface.subnet_id == *subnet_id)
            .flat_map(|interface| interface.private_ip.into_iter().chain(interface.secondary_private_ips.clone()))
            .collect()
    }

    /// An address of the subnet that is neither reserved nor in `used`: the wanted one, or any.
    pub(crate) fn free_ip(
        &mut self,
        subnet: &Subnet,
        used: &BTreeSet<Ipv4Addr>,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, ApiError> {
        let full = || {
            ApiError::new(
                "InsufficientFreeAddressesInSubnet",
                "The specified subnet does not have enough free addresses to satisfy the request.",
            )
        };
        let net = subnet.cidr_block.ok_or_else(full)?;
        let first = net.network().to_bits();
        let reserved = |ip: Ipv4Addr| ip.to_bits() - first < 4 || ip == net.broadcast();
        if let Some(ip) = wanted {
            if !net.contains(&ip) {
                return Err(ApiError::invalid_value("Address does not fall within the subnet's address range"));
            }
            if reserved(ip) {
                return Err(ApiError::invalid_value("Address is in subnet's reserved address range"));
            }
            if used.contains(&ip) {
                return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {ip} is in use.")));
            }
            return Ok(ip);
        }
        let count = usable(net.prefix_len());
        let start = self.random(|rng| rng.u32(..count.max(1)));
        (0..count)
            .map(|n| Ipv4Addr::from_bits(first + 4 + (start + n) % count))
            .find(|ip| !used.contains(ip))
            .ok_or_else(full)
    }
}

/// The ACL association of a subnet.
pub(super) fn acl_association(world: &World, acl: &NetworkAcl, subnet_id: &SubnetId) -> Xml {
    Xml::new()
        .opt("networkAclAssociationId", world.records.acl_associations.get(subnet_id))
        .text("networkAclId", &acl.network_acl_id)
        .text("subnetId", subnet_id)
}
