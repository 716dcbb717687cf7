//! Subnets, and the addresses in them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::describe::{describe, many, maybe, one};
use super::vpc::ipv4_block;
use super::{Answer, catalog, tag};
use crate::model::{NatGateway, NatGatewayState, NetworkAcl, NetworkInterface, Subnet, SubnetId, Vpc};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

fn xml(world: &World, subnet: &Subnet) -> Xml {
    let associations = world.records.ipv6_associations.get(subnet.subnet_id.as_str());
    let ipv6 = subnet.ipv6_cidr_blocks.iter().enumerate().map(|(n, net)| {
        Xml::new()
            .opt("associationId", associations.and_then(|ids| ids.get(n)))
            .text("ipv6CidrBlock", net)
            .node("ipv6CidrBlockState", Xml::new().text("state", "associated"))
    });
    let names = Xml::new()
        .text("hostnameType", "ip-name")
        .text("enableResourceNameDnsARecord", false)
        .text("enableResourceNameDnsAAAARecord", false);
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
        .text("defaultForAz", false)
        .text("mapPublicIpOnLaunch", subnet.map_public_ip_on_launch)
        .text("mapCustomerOwnedIpOnLaunch", false)
        .text("assignIpv6AddressOnCreation", false)
        .text("ipv6Native", false)
        .text("enableDns64", false)
        .node("privateDnsNameOptionsOnLaunch", names)
        .items("tagSet", tag::xml(&subnet.tags))
}

/// CreateSubnet
pub fn create(world: &mut World, query: &Query) -> Answer {
    let vpc = world.find::<Vpc>(query.require("VpcId")?)?.clone();
    let cidr = ipv4_block(query.require("CidrBlock")?, "cidrBlock")?;
    let inside = vpc.cidr_blocks.iter().any(|block| block.contains(&cidr));
    if !(16..=28).contains(&cidr.prefix_len()) || !inside {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let overlaps = |other: &Subnet| {
        other.vpc_id == vpc.vpc_id
            && other.cidr_block.is_some_and(|block| block.contains(&cidr) || cidr.contains(&block))
    };
    if world.all::<Subnet>().any(overlaps) {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr}' conflicts with another subnet"),
        ));
    }
    let availability_zone = catalog::chosen_zone(world, query)?;
    let mut ipv6_cidr_blocks = Vec::new();
    if let Some(text) = query.get("Ipv6CidrBlock") {
        let block: ipnet::Ipv6Net = text.parse().map_err(|_| {
            ApiError::invalid_value(format!(
                "Value ({text}) for parameter ipv6CidrBlock is invalid. This is not a valid IPv6 CIDR block."
            ))
        })?;
        if block.prefix_len() != 64 || !vpc.ipv6_cidr_blocks.iter().any(|of_vpc| of_vpc.contains(&block)) {
            return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{block}' is invalid.")));
        }
        if world.all::<Subnet>().any(|other| other.ipv6_cidr_blocks.contains(&block)) {
            return Err(ApiError::new(
                "InvalidSubnet.Conflict",
                format!("The CIDR '{block}' conflicts with another subnet"),
            ));
        }
        ipv6_cidr_blocks.push(block);
    }
    let tags = tag::specified(query, "subnet")?;
    let subnet_id = SubnetId::new(world.new_id("subnet-"));
    if !ipv6_cidr_blocks.is_empty() {
        let association = world.new_id("subnet-cidr-assoc-");
        world.records.ipv6_associations.insert(subnet_id.as_str().to_owned(), vec![association]);
    }
    let subnet = Subnet {
        subnet_id: subnet_id.clone(),
        vpc_id: vpc.vpc_id.clone(),
        cidr_block: Some(cidr),
        ipv6_cidr_blocks,
        availability_zone,
        state: "available".to_owned(),
        map_public_ip_on_launch: false,
        available_ip_address_count: usable(cidr.prefix_len()),
        tags,
    };
    let association = world.new_id("aclassoc-");
    world.records.acl_associations.insert(subnet_id.clone(), association);
    let acls = world.network.network_acls.items_mut();
    if let Some(acl) = acls.values_mut().find(|acl| acl.vpc_id == vpc.vpc_id && acl.is_default) {
        acl.subnet_ids.push(subnet_id);
    }
    let answer = xml(world, &subnet);
    world.insert(subnet);
    Ok(Body::Xml(Xml::new().node("subnet", answer)))
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
        "default-for-az" | "defaultForAz" => one(false),
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
    world.remove::<Subnet>(&subnet_id);
    super::done()
}

/// ModifySubnetAttribute
pub fn modify_attribute(world: &mut World, query: &Query) -> Answer {
    let map = query.bool("MapPublicIpOnLaunch.Value")?;
    let known = [
        "AssignIpv6AddressOnCreation",
        "EnableDns64",
        "PrivateDnsHostnameTypeOnLaunch",
        "EnableResourceNameDnsARecordOnLaunch",
        "EnableResourceNameDnsAAAARecordOnLaunch",
    ];
    let other = known.into_iter().find(|name| query.has(name));
    let subnet = world.find_mut::<Subnet>(query.require("SubnetId")?)?;
    match (map, other) {
        (Some(value), None) => subnet.map_public_ip_on_launch = value,
        (None, None) => {
            return Err(ApiError::new("MissingParameter", "The request must contain one subnet attribute to modify"));
        }
        (None, Some(name)) => {
            return Err(ApiError::new("UnsupportedOperation", format!("The sandbox does not simulate {name}.")));
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Only one subnet attribute can be modified at a time",
            ));
        }
    }
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
