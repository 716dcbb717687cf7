//! IpPermissions: how requests and answers bundle rules. One permission has several peers; a rule has one.

use ipnet::{Ipv4Net, Ipv6Net};

use crate::model::{Peer, Protocol, RuleDirection, SecurityGroup, SecurityGroupRule};
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

/// Reads the permissions of a request as rules without numbers.
pub(super) fn parse(
    world: &World,
    group: &SecurityGroup,
    query: &Query,
    direction: RuleDirection,
) -> Result<Vec<SecurityGroupRule>, ApiError> {
    let mut permissions = query.structs("IpPermissions");
    if permissions.is_empty() && query.has("IpProtocol") {
        // The older form: one permission in the request itself.
        let mut pairs: Vec<(String, String)> = ["IpProtocol", "FromPort", "ToPort"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), query.get(name)?.to_owned())))
            .collect();
        pairs.extend(query.get("CidrIp").map(|cidr| ("IpRanges.1.CidrIp".to_owned(), cidr.to_owned())));
        permissions.push(pairs.into_iter().collect());
    }
    if permissions.is_empty() {
        return Err(ApiError::missing("ipPermissions"));
    }
    let mut rules = Vec::new();
    for permission in &permissions {
        let (protocol, from_port, to_port) = ports(permission)?;
        let peers = peers(world, group, permission)?;
        if peers.is_empty() {
            return Err(ApiError::new(
                "InvalidPermission.Malformed",
                "The permission must contain at least one source or destination",
            ));
        }
        for (peer, description) in peers {
            rules.push(SecurityGroupRule { rule_id: None, direction, protocol, from_port, to_port, peer, description });
        }
    }
    Ok(rules)
}

fn ports(permission: &Query) -> Result<(Protocol, Option<i32>, Option<i32>), ApiError> {
    let text = permission.require("IpProtocol")?;
    let protocol = Protocol::parse(text);
    let port = |name| -> Result<Option<i32>, ApiError> {
        Ok(permission.int(name)?.map(|port| i32::try_from(port).unwrap_or(i32::MAX)))
    };
    let (from, to) = (port("FromPort")?, port("ToPort")?);
    let malformed = |message: String| Err(ApiError::new("InvalidPermission.Malformed", message));
    match protocol {
        Protocol::Unknown => malformed(format!(
            "Unsupported IP protocol \"{text}\" - supported: [udp, tcp, icmp, icmpv6, -1] or an IANA protocol number"
        )),
        Protocol::All | Protocol::Number(_) => Ok((protocol, None, None)),
        Protocol::Tcp | Protocol::Udp => {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(ApiError::invalid_value(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
                ));
            };
            let valid = |port| (0..=65535).contains(&port);
            if (from, to) == (-1, -1) || !valid(from) || !valid(to) || from > to {
                return Err(ApiError::invalid_value(format!("Invalid TCP/UDP port range ({from}:{to})")));
            }
            Ok((protocol, Some(from), Some(to)))
        }
        Protocol::Icmp | Protocol::Icmpv6 => Ok((protocol, Some(from.unwrap_or(-1)), Some(to.unwrap_or(-1)))),
    }
}

fn peers(world: &World, group: &SecurityGroup, permission: &Query) -> Result<Vec<(Peer, Option<String>)>, ApiError> {
    let mut peers = Vec::new();
    let described = |entry: &Query| entry.get("Description").filter(|text| !text.is_empty()).map(str::to_owned);
    let malformed = |text: &str| ApiError::invalid_value(format!("CIDR block {text} is malformed"));
    for range in permission.structs("IpRanges") {
        let text = range.require("CidrIp")?;
        let net = text.parse::<Ipv4Net>().map_err(|_| malformed(text))?;
        peers.push((Peer::Ipv4(net.trunc()), described(&range)));
    }
    for range in permission.structs("Ipv6Ranges") {
        let text = range.require("CidrIpv6")?;
        let net = text.parse::<Ipv6Net>().map_err(|_| malformed(text))?;
        peers.push((Peer::Ipv6(net.trunc()), described(&range)));
    }
    for list in permission.structs("PrefixListIds") {
        let id = list.require("PrefixListId")?;
        let known = world.network.prefix_lists.shown().get(id).ok_or_else(|| {
            ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{id}' does not exist"))
        })?;
        peers.push((Peer::PrefixList(known.prefix_list_id.clone()), described(&list)));
    }
    for other in permission.structs("Groups") {
        let id = other.require("GroupId")?;
        let known = world.find::<SecurityGroup>(id)?;
        if known.vpc_id != group.vpc_id {
            return Err(ApiError::new(
                "InvalidGroup.NotFound",
                format!("You have specified two resources that belong to different networks: {id}"),
            ));
        }
        peers.push((Peer::Group(known.group_id.clone()), described(&other)));
    }
    Ok(peers)
}

/// Whether two rules are the same rule to AWS, which does not look at descriptions.
pub(super) fn same(a: &SecurityGroupRule, b: &SecurityGroupRule) -> bool {
    (a.direction, a.protocol, a.from_port, a.to_port, &a.peer)
        == (b.direction, b.protocol, b.from_port, b.to_port, &b.peer)
}

/// `ipPermissions` of an answer: rules of the same protocol and ports in one permission.
pub(super) fn grouped<'a>(world: &World, rules: impl Iterator<Item = &'a SecurityGroupRule>) -> Vec<Xml> {
    let mut groups: Vec<Vec<&SecurityGroupRule>> = Vec::new();
    let key = |rule: &SecurityGroupRule| (rule.protocol, rule.from_port, rule.to_port);
    for rule in rules {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| key(first) == key(rule))) {
            Some(group) => group.push(rule),
            None => groups.push(vec![rule]),
        }
    }
    groups.iter().filter_map(|group| Some(permission(world, group.first()?, group))).collect()
}

fn permission(world: &World, first: &SecurityGroupRule, rules: &[&SecurityGroupRule]) -> Xml {
    let (mut ipv4, mut ipv6, mut lists, mut groups) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let describe = |entry: Xml| entry.opt("description", rule.description.as_ref());
        match &rule.peer {
            Peer::Ipv4(net) => ipv4.push(describe(Xml::new().text("cidrIp", net))),
            Peer::Ipv6(net) => ipv6.push(describe(Xml::new().text("cidrIpv6", net))),
            Peer::PrefixList(id) => lists.push(describe(Xml::new().text("prefixListId", id))),
            Peer::Group(id) => {
                groups.push(describe(Xml::new().text("userId", &world.account_id).text("groupId", id)));
            }
            Peer::Other(_) => {}
        }
    }
    Xml::new()
        .text("ipProtocol", first.protocol)
        .opt("fromPort", first.from_port)
        .opt("toPort", first.to_port)
        .items("groups", groups)
        .items("ipRanges", ipv4)
        .items("ipv6Ranges", ipv6)
        .items("prefixListIds", lists)
}
