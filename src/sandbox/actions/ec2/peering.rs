//! VPC peering connections between VPCs of this account and region. The packet walk ends at one: a peering connection
//! carries only what is addressed to the peer VPC.

use super::describe::{Filters, PAGES, maybe, one, page};
use super::{Answer, iso8601, tag};
use crate::model::{Vpc, VpcId};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Peering, PeeringState, World};

const PREFIX: &str = "pcx-";

/// What either side of a connection may allow the other.
const OPTIONS: [(&str, &str); 3] = [
    ("AllowDnsResolutionFromRemoteVpc", "allowDnsResolutionFromRemoteVpc"),
    ("AllowEgressFromLocalClassicLinkToRemoteVpc", "allowEgressFromLocalClassicLinkToRemoteVpc"),
    ("AllowEgressFromLocalVpcToRemoteClassicLink", "allowEgressFromLocalVpcToRemoteClassicLink"),
];

/// A request that nobody accepts ends after a week (VPC peering guide, "lifecycle").
const EXPIRES_AFTER: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

fn not_found(id: &str) -> ApiError {
    ApiError::new(
        "InvalidVpcPeeringConnectionID.NotFound",
        format!("The vpcPeeringConnection ID '{id}' does not exist"),
    )
}

/// A connection that a request names.
pub(super) fn find<'a>(world: &'a World, id: &str) -> Result<&'a Peering, ApiError> {
    if id.strip_prefix(PREFIX).is_none_or(|digits| !digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(ApiError::new(
            "InvalidVpcPeeringConnectionId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"pcx-...\")"),
        ));
    }
    world.records.peerings.get(id).filter(|peering| is_listed(world, peering)).ok_or_else(|| not_found(id))
}

/// One that has ended is still listed for a while, as a terminated instance is.
fn is_listed(world: &World, peering: &Peering) -> bool {
    peering.ended_at.is_none_or(|ended| ended.saturating_add(world.delays.forget).is_ok_and(|until| until > world.now))
}

fn side(world: &World, vpc_id: &VpcId, dns: bool) -> Xml {
    let vpc = world.get::<Vpc>(vpc_id);
    let cidrs = vpc.map(|vpc| vpc.cidr_blocks.as_slice()).unwrap_or_default();
    let options =
        OPTIONS.iter().fold(Xml::new(), |xml, (name, member)| xml.text(member, dns && name.starts_with("AllowDns")));
    Xml::new()
        .opt("cidrBlock", cidrs.first())
        .items("cidrBlockSet", cidrs.iter().map(|cidr| Xml::new().text("cidrBlock", cidr)))
        .text("ownerId", &world.account_id)
        .node("peeringOptions", options)
        .text("vpcId", vpc_id)
        .text("region", &world.region)
}

fn xml(world: &World, id: &str, peering: &Peering, state: PeeringState) -> Xml {
    let expires = peering.created_at.saturating_add(EXPIRES_AFTER).ok();
    let status = Xml::new().text("code", state.as_str()).text("message", state.message(&world.account_id));
    Xml::new()
        .node("accepterVpcInfo", side(world, &peering.accepter, peering.accepter_allows_dns))
        .opt("expirationTime", expires.filter(|_| state == PeeringState::PendingAcceptance).map(iso8601))
        .node("requesterVpcInfo", side(world, &peering.requester, peering.requester_allows_dns))
        .node("status", status)
        .items("tagSet", tag::xml(&peering.tags))
        .text("vpcPeeringConnectionId", id)
}

/// CreateVpcPeeringConnection
pub fn create(world: &mut World, query: &Query) -> Answer {
    let requester = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let foreign = query.get("PeerOwnerId").is_some_and(|owner| owner != world.account_id)
        || query.get("PeerRegion").is_some_and(|region| region != world.region);
    if foreign {
        return Err(ApiError::new(
            "UnsupportedOperation",
            "The sandbox has one account and one region: peer with a VPC of its own.",
        ));
    }
    let accepter = world.find::<Vpc>(query.require("PeerVpcId")?)?.vpc_id.clone();
    let tags = tag::specified(query, "vpc-peering-connection")?;
    if requester == accepter {
        return Err(ApiError::invalid_value("A VPC cannot be peered with itself."));
    }
    let ranges = |id: &VpcId| world.get::<Vpc>(id).map(|vpc| vpc.cidr_blocks.clone()).unwrap_or_default();
    let overlap = ranges(&requester)
        .iter()
        .any(|a| ranges(&accepter).iter().any(|b| a.contains(&b.network()) || b.contains(&a.network())));
    let peering = Peering {
        requester,
        accepter,
        created_at: world.now,
        state: if overlap { PeeringState::Failed } else { PeeringState::PendingAcceptance },
        ended_at: overlap.then_some(world.now),
        requester_allows_dns: false,
        accepter_allows_dns: false,
        tags,
    };
    let id = world.new_id(PREFIX);
    let answer = xml(world, &id, &peering, PeeringState::InitiatingRequest);
    world.records.peerings.insert(id, peering);
    Ok(Body::Xml(Xml::new().node("vpcPeeringConnection", answer)))
}

/// Brings a connection from one state to another.
fn pass(world: &mut World, query: &Query, from: &[PeeringState], to: PeeringState) -> Result<String, ApiError> {
    let id = query.require("VpcPeeringConnectionId")?.to_owned();
    let state = find(world, &id)?.state;
    if !from.contains(&state) {
        return Err(ApiError::new(
            "InvalidStateTransition",
            format!(
                "Invalid state transition for {id}, attempted to transition from {} to {}",
                state.as_str(),
                to.as_str()
            ),
        ));
    }
    let now = world.now;
    if let Some(peering) = world.records.peerings.get_mut(&id) {
        peering.state = to;
        peering.ended_at = (to != PeeringState::Active).then_some(now);
    }
    Ok(id)
}

/// AcceptVpcPeeringConnection
pub fn accept(world: &mut World, query: &Query) -> Answer {
    let from = [PeeringState::PendingAcceptance, PeeringState::Active];
    let id = pass(world, query, &from, PeeringState::Active)?;
    let answer = find(world, &id).map(|peering| xml(world, &id, peering, peering.state))?;
    Ok(Body::Xml(Xml::new().node("vpcPeeringConnection", answer)))
}

/// RejectVpcPeeringConnection
pub fn reject(world: &mut World, query: &Query) -> Answer {
    pass(world, query, &[PeeringState::PendingAcceptance], PeeringState::Rejected)?;
    super::done()
}

/// DeleteVpcPeeringConnection: routes to it become black holes.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let from = [PeeringState::PendingAcceptance, PeeringState::Active, PeeringState::Rejected, PeeringState::Failed];
    pass(world, query, &from, PeeringState::Deleted)?;
    super::done()
}

/// ModifyVpcPeeringConnectionOptions
pub fn modify_options(world: &mut World, query: &Query) -> Answer {
    let id = query.require("VpcPeeringConnectionId")?.to_owned();
    if find(world, &id)?.state != PeeringState::Active {
        return Err(ApiError::new("OperationNotPermitted", format!("{id} is not active.")));
    }
    let side =
        |name: &str| -> Result<Option<bool>, ApiError> { query.nested(name).bool("AllowDnsResolutionFromRemoteVpc") };
    let requester = side("RequesterPeeringConnectionOptions")?;
    let accepter = side("AccepterPeeringConnectionOptions")?;
    if let Some(peering) = world.records.peerings.get_mut(&id) {
        peering.requester_allows_dns = requester.unwrap_or(peering.requester_allows_dns);
        peering.accepter_allows_dns = accepter.unwrap_or(peering.accepter_allows_dns);
    }
    let options =
        |allowed: Option<bool>| allowed.map(|allowed| Xml::new().text("allowDnsResolutionFromRemoteVpc", allowed));
    Ok(Body::Xml(
        Xml::new()
            .opt_node("accepterPeeringConnectionOptions", options(accepter))
            .opt_node("requesterPeeringConnectionOptions", options(requester)),
    ))
}

/// DescribeVpcPeeringConnections
pub fn describe_peering_connections(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("VpcPeeringConnectionId");
    for id in &asked {
        find(world, id)?;
    }
    let mut rows = Vec::new();
    for (id, peering) in &world.records.peerings {
        if !is_listed(world, peering) || !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let range = |id: &VpcId| world.get::<Vpc>(id).and_then(|vpc| vpc.cidr_blocks.first().copied());
        let accepted = filters.accept(&peering.tags, |name| match name {
            "vpc-peering-connection-id" => one(id),
            "accepter-vpc-info.vpc-id" => one(&peering.accepter),
            "requester-vpc-info.vpc-id" => one(&peering.requester),
            "accepter-vpc-info.cidr-block" => maybe(range(&peering.accepter)),
            "requester-vpc-info.cidr-block" => maybe(range(&peering.requester)),
            "accepter-vpc-info.owner-id" | "requester-vpc-info.owner-id" => one(&world.account_id),
            "status-code" => one(peering.state.as_str()),
            _ => None,
        })?;
        if accepted {
            rows.push((id.clone(), xml(world, id, peering, peering.state)));
        }
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("vpcPeeringConnectionSet", page).opt("nextToken", token)))
}

/// What a deleted VPC leaves of its connections.
pub(super) fn vpc_deleted(world: &mut World, vpc_id: &VpcId) {
    let now = world.now;
    for peering in world.records.peerings.values_mut() {
        if (peering.requester == *vpc_id || peering.accepter == *vpc_id) && peering.ended_at.is_none() {
            peering.state = PeeringState::Deleted;
            peering.ended_at = Some(now);
        }
    }
}
