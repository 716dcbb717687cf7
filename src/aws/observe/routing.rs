//! Route tables from the SDK's types to the model's. Pure.

use aws_sdk_ec2::types as sdk;

use super::convert::{Missing, id, need, tags};
use crate::model::{
    AssociationId, EgressOnlyInternetGatewayId, InstanceId, InternetGatewayId, NatGatewayId, NetworkInterfaceId,
    PrefixListId, Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTableAssociation, RouteTableId,
    RouteTarget, SubnetId, VpcId,
};

pub(super) fn route_table(table: sdk::RouteTable) -> Result<(String, RouteTable), Missing> {
    let id = id(table.route_table_id, "RouteTableId")?;
    let associations = table.associations.unwrap_or_default().into_iter().map(|a| association(a, &id));
    let routes = table.routes.unwrap_or_default().into_iter().map(|r| route(r, &id));
    let model = RouteTable {
        route_table_id: RouteTableId::new(&id),
        vpc_id: VpcId::new(need(table.vpc_id, &id, "VpcId")?),
        associations: associations.collect::<Result<_, _>>()?,
        routes: routes.collect::<Result<_, _>>()?,
        propagating_vgws: (table.propagating_vgws.unwrap_or_default().into_iter())
            .filter_map(|gateway| gateway.gateway_id)
            .collect(),
        tags: tags(table.tags),
    };
    Ok((id, model))
}

fn association(association: sdk::RouteTableAssociation, id: &str) -> Result<RouteTableAssociation, Missing> {
    let state = association.association_state.and_then(|state| state.state);
    Ok(RouteTableAssociation {
        association_id: AssociationId::new(need(
            association.route_table_association_id,
            id,
            "Associations.RouteTableAssociationId",
        )?),
        main: association.main.unwrap_or(false),
        subnet_id: association.subnet_id.map(SubnetId::new),
        gateway_id: association.gateway_id,
        // Some endpoints do not report it; an association that is listed holds.
        state: state.map_or_else(|| "associated".to_owned(), |state| state.as_str().to_owned()),
    })
}

fn route(route: sdk::Route, id: &str) -> Result<Route, Missing> {
    let destination = if let Some(text) = route.destination_cidr_block.clone() {
        text.parse().map_or(RouteDestination::Other(text), RouteDestination::Ipv4)
    } else if let Some(text) = route.destination_ipv6_cidr_block.clone() {
        text.parse().map_or(RouteDestination::Other(text), RouteDestination::Ipv6)
    } else if let Some(list) = route.destination_prefix_list_id.clone() {
        RouteDestination::PrefixList(PrefixListId::new(list))
    } else {
        return Err(Missing { id: id.to_owned(), field: "Routes.Destination…", value: None });
    };
    // A field that can be read is never dropped, even where the state is missing: moto leaves it out at times.
    let state = route.state.as_ref().map_or(RouteState::Active, |state| RouteState::from(state.as_str()));
    let origin = route.origin.as_ref().map_or(RouteOrigin::CreateRoute, |origin| RouteOrigin::from(origin.as_str()));
    Ok(Route { destination, target: target(route, id)?, state, origin })
}

/// Makes a target of its identifier.
type Named = fn(String) -> RouteTarget;

/// The one target of a route. AWS fills in interface and instance together; a blackhole may have lost its target.
fn target(route: sdk::Route, id: &str) -> Result<RouteTarget, Missing> {
    let gateway = route.gateway_id.filter(|gateway| !gateway.is_empty());
    let instance_id = route.instance_id.filter(|instance| !instance.is_empty()).map(InstanceId::new);
    if let Some(interface) = route.network_interface_id.filter(|interface| !interface.is_empty()) {
        return Ok(RouteTarget::NetworkInterface {
            network_interface_id: NetworkInterfaceId::new(interface),
            instance_id,
        });
    }
    if let Some(instance_id) = instance_id {
        return Ok(RouteTarget::Instance(instance_id));
    }
    if let Some(gateway) = gateway {
        let kind = gateway.split_once('-').map_or(gateway.as_str(), |(prefix, _)| prefix);
        return Ok(match kind {
            "local" => RouteTarget::Local,
            "igw" => RouteTarget::InternetGateway(InternetGatewayId::new(gateway)),
            "vgw" => RouteTarget::VirtualPrivateGateway(gateway),
            "vpce" => RouteTarget::GatewayEndpoint(gateway),
            _ => RouteTarget::Other { kind: "GatewayId".to_owned(), id: gateway },
        });
    }
    if let Some(gateway) = route.egress_only_internet_gateway_id {
        return Ok(RouteTarget::EgressOnlyInternetGateway(EgressOnlyInternetGatewayId::new(gateway)));
    }
    if let Some(gateway) = route.nat_gateway_id {
        return Ok(RouteTarget::NatGateway(NatGatewayId::new(gateway)));
    }
    let others: [(Option<String>, Named); 6] = [
        (route.transit_gateway_id, RouteTarget::TransitGateway),
        (route.vpc_peering_connection_id, RouteTarget::VpcPeeringConnection),
        (route.local_gateway_id, RouteTarget::LocalGateway),
        (route.carrier_gateway_id, RouteTarget::CarrierGateway),
        (route.core_network_arn, RouteTarget::CoreNetwork),
        (route.odb_network_arn, |id| RouteTarget::Other { kind: "OdbNetworkArn".to_owned(), id }),
    ];
    let known = others.into_iter().find_map(|(value, make)| value.map(make));
    if let Some(target) = known {
        return Ok(target);
    }
    if let Some(id) = route.ip_address {
        return Ok(RouteTarget::Other { kind: "IpAddress".to_owned(), id });
    }
    let destination = route.destination_cidr_block.or(route.destination_ipv6_cidr_block);
    // Kinds of targets that this SDK does not know yet arrive without any field. The route still takes packets away,
    // so it must be seen.
    Ok(RouteTarget::Other { kind: "unknown".to_owned(), id: destination.unwrap_or_else(|| id.to_owned()) })
}
