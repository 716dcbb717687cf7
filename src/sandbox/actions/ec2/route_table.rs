//! Route tables and what they are associated with.

use super::describe::{describe, many, maybe, one};
use super::vpc::local_routes;
use super::{Answer, tag};
use crate::model::{
    AssociationId, InternetGateway, Route, RouteDestination, RouteTable, RouteTableAssociation, RouteTableId,
    RouteTarget, Subnet, Vpc, VpcId,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

fn route_xml(world: &World, route: &Route) -> Xml {
    let destination = match &route.destination {
        RouteDestination::Ipv4(net) => Xml::new().text("destinationCidrBlock", net),
        RouteDestination::Ipv6(net) => Xml::new().text("destinationIpv6CidrBlock", net),
        RouteDestination::PrefixList(id) => Xml::new().text("destinationPrefixListId", id),
        RouteDestination::Other(text) => Xml::new().text("destinationCidrBlock", text),
    };
    let target = match &route.target {
        RouteTarget::Local => Xml::new().text("gatewayId", "local"),
        RouteTarget::InternetGateway(id) => Xml::new().text("gatewayId", id),
        RouteTarget::GatewayEndpoint(id) | RouteTarget::VirtualPrivateGateway(id) => Xml::new().text("gatewayId", id),
        RouteTarget::EgressOnlyInternetGateway(id) => Xml::new().text("egressOnlyInternetGatewayId", id),
        RouteTarget::NatGateway(id) => Xml::new().text("natGatewayId", id),
        RouteTarget::NetworkInterface { network_interface_id, instance_id } => Xml::new()
            .opt("instanceId", instance_id.as_ref())
            .opt("instanceOwnerId", instance_id.as_ref().map(|_| &world.account_id))
            .text("networkInterfaceId", network_interface_id),
        RouteTarget::Instance(id) => Xml::new().text("instanceId", id).text("instanceOwnerId", &world.account_id),
        RouteTarget::TransitGateway(id) => Xml::new().text("transitGatewayId", id),
        RouteTarget::VpcPeeringConnection(id) => Xml::new().text("vpcPeeringConnectionId", id),
        RouteTarget::LocalGateway(id) => Xml::new().text("localGatewayId", id),
        RouteTarget::CarrierGateway(id) => Xml::new().text("carrierGatewayId", id),
        RouteTarget::CoreNetwork(arn) => Xml::new().text("coreNetworkArn", arn),
        RouteTarget::Other { kind, id } => Xml::new().text(kind, id),
    };
    destination.append(target).text("origin", &route.origin).text("state", &route.state)
}

fn xml(world: &World, table: &RouteTable) -> Xml {
    let associations = table.associations.iter().map(|association| {
        Xml::new()
            .text("routeTableAssociationId", &association.association_id)
            .text("routeTableId", &table.route_table_id)
            .opt("subnetId", association.subnet_id.as_ref())
            .opt("gatewayId", association.gateway_id.as_ref())
            .text("main", association.main)
            .node("associationState", Xml::new().text("state", &association.state))
    });
    Xml::new()
        .text("routeTableId", &table.route_table_id)
        .text("vpcId", &table.vpc_id)
        .text("ownerId", &world.account_id)
        .items("routeSet", table.routes.iter().map(|route| route_xml(world, route)))
        .items("associationSet", associations)
        .items("propagatingVgwSet", table.propagating_vgws.iter().map(|id| Xml::new().text("gatewayId", id)))
        .items("tagSet", tag::xml(&table.tags))
}

/// CreateRouteTable
pub fn create(world: &mut World, query: &Query) -> Answer {
    let vpc = world.find::<Vpc>(query.require("VpcId")?)?.clone();
    let tags = tag::specified(query, "route-table")?;
    let table = RouteTable {
        route_table_id: RouteTableId::new(world.new_id("rtb-")),
        routes: local_routes(&vpc),
        vpc_id: vpc.vpc_id,
        associations: Vec::new(),
        propagating_vgws: Vec::new(),
        tags,
    };
    let answer = Xml::new().node("routeTable", xml(world, &table)).opt("clientToken", query.get("ClientToken"));
    world.insert(table);
    Ok(Body::Xml(answer))
}

/// DescribeRouteTables
pub fn describe_route_tables(world: &World, query: &Query) -> Answer {
    let values = |table: &RouteTable, name: &str| {
        let (associations, routes) = (&table.associations, &table.routes);
        match name {
            "route-table-id" => one(&table.route_table_id),
            "vpc-id" => one(&table.vpc_id),
            "owner-id" => one(&world.account_id),
            "association.route-table-association-id" => many(associations.iter().map(|a| &a.association_id)),
            "association.route-table-id" => many(associations.iter().map(|_| &table.route_table_id)),
            "association.subnet-id" => many(table.subnet_ids()),
            "association.gateway-id" => many(associations.iter().filter_map(|a| a.gateway_id.as_ref())),
            "association.main" => many(associations.iter().map(|a| a.main)),
            "route.destination-cidr-block" => many(routes.iter().filter_map(|route| match &route.destination {
                RouteDestination::Ipv4(net) => Some(net),
                _ => None,
            })),
            "route.destination-ipv6-cidr-block" => many(routes.iter().filter_map(|route| match &route.destination {
                RouteDestination::Ipv6(net) => Some(net),
                _ => None,
            })),
            "route.destination-prefix-list-id" => many(routes.iter().filter_map(|route| match &route.destination {
                RouteDestination::PrefixList(id) => Some(id),
                _ => None,
            })),
            "route.gateway-id" => many(routes.iter().filter_map(|route| match &route.target {
                RouteTarget::Local => Some("local".to_owned()),
                RouteTarget::InternetGateway(id) => Some(id.to_string()),
                RouteTarget::GatewayEndpoint(id) => Some(id.clone()),
                _ => None,
            })),
            "route.nat-gateway-id" => many(routes.iter().filter_map(|route| match &route.target {
                RouteTarget::NatGateway(id) => Some(id),
                _ => None,
            })),
            "route.instance-id" => many(routes.iter().filter_map(|route| match &route.target {
                RouteTarget::NetworkInterface { instance_id, .. } => instance_id.as_ref(),
                RouteTarget::Instance(id) => Some(id),
                _ => None,
            })),
            "route.egress-only-internet-gateway-id" => many(routes.iter().filter_map(|route| match &route.target {
                RouteTarget::EgressOnlyInternetGateway(id) => Some(id),
                _ => None,
            })),
            "route.vpc-peering-connection-id" => many(routes.iter().filter_map(|route| match &route.target {
                RouteTarget::VpcPeeringConnection(id) => Some(id),
                _ => None,
            })),
            "route.transit-gateway-id" => maybe(None::<String>),
            "route.state" => many(routes.iter().map(|route| &route.state)),
            "route.origin" => many(routes.iter().map(|route| &route.origin)),
            _ => None,
        }
    };
    let size = super::describe::PageSize { min: 5, max: 100 };
    if query.get("MaxResults").is_none() {
        return describe(world, query, "RouteTableId", "routeTableSet", values, |table| xml(world, table));
    }
    super::describe::describe_sized(world, query, "RouteTableId", "routeTableSet", size, values, |t| xml(world, t))
}

/// DeleteRouteTable: refused for the main table and while a subnet uses it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?;
    let table_id = table.route_table_id.clone();
    let of_endpoint = |route: &Route| matches!(route.target, RouteTarget::GatewayEndpoint(_));
    if !table.associations.is_empty() {
        return Err(ApiError::dependency(format!(
            "The routeTable '{table_id}' has dependencies and cannot be deleted."
        )));
    }
    if table.routes.iter().any(of_endpoint) {
        for endpoint in world.network.vpc_endpoints.items_mut().values_mut() {
            endpoint.route_table_ids.retain(|id| *id != table_id);
        }
    }
    world.remove::<RouteTable>(&table_id);
    super::done()
}

fn associated(id_name: &str, id: &AssociationId) -> Answer {
    let state = Xml::new().text("state", "associated");
    Ok(Body::Xml(Xml::new().text(id_name, id).node("associationState", state)))
}

/// An edge association: what comes in by the internet gateway is routed by this table.
fn associate_gateway(world: &mut World, table_id: &RouteTableId, vpc_id: &VpcId, gateway_id: &str) -> Answer {
    let gateway = world.find::<InternetGateway>(gateway_id)?;
    if !gateway.is_attached_to(vpc_id) {
        return Err(ApiError::invalid_value(format!(
            "Route table {table_id} and gateway {gateway_id} belong to different networks"
        )));
    }
    let taken = |table: &RouteTable| table.associations.iter().any(|a| a.gateway_id.as_deref() == Some(gateway_id));
    if world.all::<RouteTable>().any(taken) {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("the specified association for route table {table_id} conflicts with an existing association"),
        ));
    }
    let association_id = AssociationId::new(world.new_id("rtbassoc-"));
    world.find_mut::<RouteTable>(table_id.as_str())?.associations.push(RouteTableAssociation {
        association_id: association_id.clone(),
        main: false,
        subnet_id: None,
        gateway_id: Some(gateway_id.to_owned()),
        state: "associated".to_owned(),
    });
    associated("associationId", &association_id)
}

/// AssociateRouteTable: with a subnet, or with the VPC's internet gateway.
pub fn associate(world: &mut World, query: &Query) -> Answer {
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?;
    let (table_id, vpc_id) = (table.route_table_id.clone(), table.vpc_id.clone());
    if let Some(gateway_id) = query.get("GatewayId") {
        return associate_gateway(world, &table_id, &vpc_id, gateway_id);
    }
    let subnet = world.find::<Subnet>(query.require("SubnetId")?)?;
    if subnet.vpc_id != vpc_id {
        return Err(ApiError::invalid_value(format!(
            "Route table {table_id} and subnet {} belong to different networks",
            subnet.subnet_id
        )));
    }
    let subnet_id = subnet.subnet_id.clone();
    let existing = world.all::<RouteTable>().find_map(|other| {
        let association = other.associations.iter().find(|a| a.subnet_id.as_ref() == Some(&subnet_id))?;
        Some((other.route_table_id.clone(), association.association_id.clone()))
    });
    match existing {
        Some((other, association_id)) if other == table_id => return associated("associationId", &association_id),
        Some(_) => {
            return Err(ApiError::new(
                "Resource.AlreadyAssociated",
                format!("the specified association for route table {table_id} conflicts with an existing association"),
            ));
        }
        None => {}
    }
    let association_id = AssociationId::new(world.new_id("rtbassoc-"));
    world.find_mut::<RouteTable>(table_id.as_str())?.associations.push(RouteTableAssociation {
        association_id: association_id.clone(),
        main: false,
        subnet_id: Some(subnet_id),
        gateway_id: None,
        state: "associated".to_owned(),
    });
    associated("associationId", &association_id)
}

/// The table that holds an association, and the association.
fn find_association(world: &World, id: &str) -> Result<(RouteTable, RouteTableAssociation), ApiError> {
    let found = world.all::<RouteTable>().find_map(|table| {
        let association = table.associations.iter().find(|a| a.association_id.as_str() == id)?;
        Some((table.clone(), association.clone()))
    });
    found.ok_or_else(|| {
        ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })
}

/// DisassociateRouteTable
pub fn disassociate(world: &mut World, query: &Query) -> Answer {
    let (table, association) = find_association(world, query.require("AssociationId")?)?;
    if association.main {
        return Err(ApiError::invalid_value(format!(
            "cannot disassociate the main route table association {}",
            association.association_id
        )));
    }
    if let Some(table) = world.get_mut::<RouteTable>(&table.route_table_id) {
        table.associations.retain(|a| a.association_id != association.association_id);
    }
    super::done()
}

/// ReplaceRouteTableAssociation: of a subnet, or of the VPC, which makes another table the main one.
pub fn replace_association(world: &mut World, query: &Query) -> Answer {
    let (old, association) = find_association(world, query.require("AssociationId")?)?;
    let table = world.find::<RouteTable>(query.require("RouteTableId")?)?;
    let table_id = table.route_table_id.clone();
    if table.vpc_id != old.vpc_id {
        return Err(ApiError::invalid_value(format!(
            "Route table {table_id} and association {} belong to different networks",
            association.association_id
        )));
    }
    let new_id = AssociationId::new(world.new_id("rtbassoc-"));
    if let Some(old) = world.get_mut::<RouteTable>(&old.route_table_id) {
        old.associations.retain(|a| a.association_id != association.association_id);
    }
    let replaced = RouteTableAssociation { association_id: new_id.clone(), ..association };
    world.find_mut::<RouteTable>(table_id.as_str())?.associations.push(replaced);
    associated("newAssociationId", &new_id)
}
