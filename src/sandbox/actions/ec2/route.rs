//! Routes: what they may point at, and when.

use ipnet::{Ipv4Net, Ipv6Net};

use super::{Answer, Noun};
use crate::model::{
    EgressOnlyInternetGateway, Instance, InstanceState, InternetGateway, NatGateway, NatGatewayState, NetworkInterface,
    PrefixListId, Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTarget, Vpc,
};
use crate::sandbox::wire::{ApiError, Query};
use crate::sandbox::world::{PeeringState, World};

const DESTINATIONS: [&str; 3] = ["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"];

const TARGETS: [&str; 12] = [
    "GatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "EgressOnlyInternetGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "VpcEndpointId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
];

/// The one field of several that must be there.
fn exactly_one<'a>(query: &'a Query, names: &[&'static str]) -> Result<(&'static str, &'a str), ApiError> {
    let mut given = names.iter().filter_map(|name| Some((*name, query.get(name).filter(|value| !value.is_empty())?)));
    match (given.next(), given.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(ApiError::new(
            "MissingParameter",
            format!("The request must contain exactly one of {}", names.join(", ")),
        )),
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            format!("The parameters {} may not be used together", names.join(", ")),
        )),
    }
}

fn destination(world: &World, query: &Query) -> Result<RouteDestination, ApiError> {
    let (name, text) = exactly_one(query, &DESTINATIONS)?;
    let malformed = |parameter| {
        ApiError::invalid_value(format!(
            "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        ))
    };
    match name {
        "DestinationCidrBlock" => match text.parse::<Ipv4Net>() {
            Ok(net) => Ok(RouteDestination::Ipv4(net.trunc())),
            Err(_) => Err(malformed("destinationCidrBlock")),
        },
        "DestinationIpv6CidrBlock" => match text.parse::<Ipv6Net>() {
            Ok(net) => Ok(RouteDestination::Ipv6(net.trunc())),
            Err(_) => Err(malformed("destinationIpv6CidrBlock")),
        },
        _ if world.network.prefix_lists.shown().contains_key(text) => {
            Ok(RouteDestination::PrefixList(PrefixListId::new(text)))
        }
        _ => Err(ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{text}' does not exist"))),
    }
}

fn different_networks(table: &RouteTable, what: &str, id: &str) -> ApiError {
    ApiError::invalid_value(format!(
        "route table {} and {what} {id} belong to different networks",
        table.route_table_id
    ))
}

fn target(world: &World, table: &RouteTable, name: &str, id: &str) -> Result<RouteTarget, ApiError> {
    match name {
        "GatewayId" if id.starts_with("igw-") => {
            let missing =
                || ApiError::new("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist"));
            let gateway = world
                .find::<InternetGateway>(id)
                .map_err(|error| if error.code == InternetGateway::KIND.not_found { missing() } else { error })?;
            if !gateway.is_attached_to(&table.vpc_id) {
                return Err(different_networks(table, "network gateway", id));
            }
            Ok(RouteTarget::InternetGateway(gateway.internet_gateway_id.clone()))
        }
        "NatGatewayId" => {
            let missing =
                || ApiError::new("InvalidNatGatewayID.NotFound", format!("The natGateway ID '{id}' does not exist"));
            let gateway = world
                .find::<NatGateway>(id)
                .map_err(|error| if error.code == NatGateway::KIND.not_found { missing() } else { error })?;
            if matches!(gateway.state, NatGatewayState::Deleted | NatGatewayState::Deleting) {
                return Err(missing());
            }
            if gateway.vpc_id != table.vpc_id {
                return Err(different_networks(table, "nat gateway", id));
            }
            Ok(RouteTarget::NatGateway(gateway.nat_gateway_id.clone()))
        }
        "NetworkInterfaceId" => {
            let interface = world.find::<NetworkInterface>(id)?;
            if interface.vpc_id != table.vpc_id {
                return Err(different_networks(table, "interface", id));
            }
            Ok(RouteTarget::NetworkInterface {
                network_interface_id: interface.network_interface_id.clone(),
                instance_id: interface.instance_id().cloned(),
            })
        }
        "InstanceId" => {
            let instance = world.find::<Instance>(id)?;
            if matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
                return Err(ApiError::new(
                    "IncorrectInstanceState",
                    format!("Instance '{id}' is in state '{}' and cannot be the target of a route.", instance.state),
                ));
            }
            if instance.vpc_id.as_ref() != Some(&table.vpc_id) {
                return Err(different_networks(table, "instance", id));
            }
            match instance.network_interface_ids.as_slice() {
                [only] => Ok(RouteTarget::NetworkInterface {
                    network_interface_id: only.clone(),
                    instance_id: Some(instance.instance_id.clone()),
                }),
                _ => Err(several_interfaces(id)),
            }
        }
        "EgressOnlyInternetGatewayId" => {
            let gateway = world.find::<EgressOnlyInternetGateway>(id)?;
            if !gateway.attachments.iter().any(|a| a.vpc_id == table.vpc_id) {
                return Err(different_networks(table, "egress-only internet gateway", id));
            }
            Ok(RouteTarget::EgressOnlyInternetGateway(gateway.egress_only_internet_gateway_id.clone()))
        }
        "TransitGatewayId" => Err(ApiError::new(
            "InvalidTransitGatewayID.NotFound",
            format!("Transit Gateway {id} was deleted or does not exist."),
        )),
        "VpcPeeringConnectionId" => {
            let peering = super::peering::find(world, id)?;
            if peering.state != PeeringState::Active {
                return Err(ApiError::invalid_value(format!("The vpcPeeringConnection {id} is not active")));
            }
            if table.vpc_id != peering.requester && table.vpc_id != peering.accepter {
                return Err(different_networks(table, "vpc peering connection", id));
            }
            Ok(RouteTarget::VpcPeeringConnection(id.to_owned()))
        }
        "VpcEndpointId" => {
            Err(ApiError::new("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist")))
        }
        "GatewayId" => Err(ApiError::new("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist"))),
        other => Err(ApiError::invalid_value(format!("{other} '{id}' does not exist"))),
    }
}

/// What AWS says when an instance is named and it has several interfaces.
pub(super) fn several_interfaces(instance_id: &str) -> ApiError {
    ApiError::new(
        "InvalidInstanceID",
        format!(
            "There are multiple interfaces attached to instance '{instance_id}'. Please specify an interface ID for \
             the operation instead."
        ),
    )
}

/// A route within the VPC's own range may only lead through an appliance in the VPC.
fn check_within_vpc(
    world: &World,
    table: &RouteTable,
    destination: &RouteDestination,
    target: &RouteTarget,
) -> Result<(), ApiError> {
    let Some(vpc) = world.get::<Vpc>(&table.vpc_id) else { return Ok(()) };
    let within = match destination {
        RouteDestination::Ipv4(net) => vpc.cidr_blocks.iter().any(|block| block.contains(net)),
        RouteDestination::Ipv6(net) => vpc.ipv6_cidr_blocks.iter().any(|block| block.contains(net)),
        _ => false,
    };
    let appliance = matches!(target, RouteTarget::NetworkInterface { .. } | RouteTarget::NatGateway(_));
    if within && !appliance {
        return Err(ApiError::invalid_value(format!(
            "The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR \
             blocks. This route can target only an interface or an instance."
        )));
    }
    let of_family = match (target, destination) {
        (RouteTarget::EgressOnlyInternetGateway(_), RouteDestination::Ipv4(_)) => Err("egress-only internet gateway"),
        _ => Ok(()),
    };
    of_family.map_err(|what| ApiError::invalid_value(format!("An IPv4 route cannot target an {what}.")))
}

/// CreateRoute
pub fn create(world: &mut World, query: &Query) -> Answer {
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?.clone();
    let destination = destination(world, query)?;
    let (name, id) = exactly_one(query, &TARGETS)?;
    let target = target(world, &table, name, id)?;
    if table.routes.iter().any(|route| route.destination == destination) {
        return Err(ApiError::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    check_within_vpc(world, &table, &destination, &target)?;
    let route = Route { destination, target, state: RouteState::Active, origin: RouteOrigin::CreateRoute };
    world.find_mut::<RouteTable>(table.route_table_id.as_str())?.routes.push(route);
    super::done()
}

/// ReplaceRoute
pub fn replace(world: &mut World, query: &Query) -> Answer {
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?.clone();
    let destination = destination(world, query)?;
    let local = query.bool("LocalTarget")?.unwrap_or(false);
    let Some(old) = table.routes.iter().find(|route| route.destination == destination) else {
        return Err(ApiError::invalid_value(format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        )));
    };
    let target = if local {
        if old.origin != RouteOrigin::CreateRouteTable {
            return Err(ApiError::invalid_value("LocalTarget can only be used for the local routes of the VPC."));
        }
        RouteTarget::Local
    } else {
        let (name, id) = exactly_one(query, &TARGETS)?;
        let target = target(world, &table, name, id)?;
        if old.target == RouteTarget::Local && !matches!(target, RouteTarget::NetworkInterface { .. }) {
            return Err(ApiError::invalid_value(format!(
                "cannot replace local route {destination} in route table {} with a target that is not an interface \
                 or an instance",
                table.route_table_id
            )));
        }
        check_within_vpc(world, &table, &destination, &target)?;
        target
    };
    let table = world.find_mut::<RouteTable>(table.route_table_id.as_str())?;
    if let Some(route) = table.routes.iter_mut().find(|route| route.destination == destination) {
        route.target = target;
        route.state = RouteState::Active;
    }
    super::done()
}

/// DeleteRoute
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?.clone();
    let table_id = &table.route_table_id;
    let destination = destination(world, query)?;
    let Some(route) = table.routes.iter().find(|route| route.destination == destination) else {
        let field = match destination {
            RouteDestination::Ipv6(_) => "destination-ipv6-cidr-block",
            RouteDestination::PrefixList(_) => "destination-prefix-list-id",
            _ => "destination-cidr-block",
        };
        return Err(ApiError::new(
            "InvalidRoute.NotFound",
            format!("no route with {field} {destination} in route table {table_id}"),
        ));
    };
    if route.origin == RouteOrigin::CreateRouteTable {
        return Err(ApiError::invalid_value(format!(
            "cannot remove local route {destination} in route table {table_id}"
        )));
    }
    if matches!(route.target, RouteTarget::GatewayEndpoint(_)) {
        return Err(ApiError::invalid_value(format!(
            "cannot remove VPC endpoint route {destination} in route table {table_id}"
        )));
    }
    world.find_mut::<RouteTable>(table_id.as_str())?.routes.retain(|route| route.destination != destination);
    super::done()
}
