//! Route tables and routes.

use super::*;

/// Destination, target and state of each route that was added.
fn added(client: &mut Client, table: &str) -> Vec<(String, String)> {
    let network = {
        client.ok("DescribeRouteTables", &[("RouteTableId.1", table)]);
        &client.world.network
    };
    let routes = &network.route_tables.shown()[table].routes;
    routes[1..].iter().map(|route| (route.target.to_string(), route.state.to_string())).collect()
}

fn to<'a>(table: &'a str, target: &'a str, id: &'a str) -> [(&'a str, &'a str); 3] {
    [("RouteTableId", table), ("DestinationCidrBlock", "0.0.0.0/0"), (target, id)]
}

#[test]
fn a_destination_has_one_route() {
    let mut client = Client::new();
    let article = client.article();
    client.ok("CreateRoute", &to(&article.table, "GatewayId", &article.gateway));
    let again = to(&article.table, "GatewayId", &article.gateway);
    assert_eq!(client.code("CreateRoute", &again), "RouteAlreadyExists");
    let gone = [("RouteTableId", article.table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0")];
    client.ok("DeleteRoute", &gone);
    assert_eq!(client.code("DeleteRoute", &gone), "InvalidRoute.NotFound");
    assert_eq!(client.code("ReplaceRoute", &again), "InvalidParameterValue");
}

#[test]
fn targets_must_exist_and_be_of_the_same_vpc() {
    let mut client = Client::new();
    let article = client.article();
    let unattached = client.get("CreateInternetGateway", &[], "internetGatewayId");
    let (code, message) = client.error("CreateRoute", &to(&article.table, "GatewayId", &unattached));
    assert_eq!(code, "InvalidParameterValue");
    assert!(message.contains("belong to different networks"), "{message}");
    let elsewhere = client.vpc("10.9.0.0/16");
    let subnet = client.subnet(&elsewhere, "10.9.0.0/24");
    let interface = client.interface(&subnet);
    for (target, id, code) in [
        ("GatewayId", "igw-0123456789abcdef0", "InvalidGatewayID.NotFound"),
        ("NatGatewayId", "nat-0123456789abcdef0", "InvalidNatGatewayID.NotFound"),
        ("NetworkInterfaceId", "eni-0123456789abcdef0", "InvalidNetworkInterfaceID.NotFound"),
        ("NetworkInterfaceId", interface.as_str(), "InvalidParameterValue"),
        ("InstanceId", "i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("TransitGatewayId", "tgw-0123456789abcdef0", "InvalidTransitGatewayID.NotFound"),
    ] {
        assert_eq!(client.code("CreateRoute", &to(&article.table, target, id)), code, "{target} {id}");
    }
    let none = [("RouteTableId", article.table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0")];
    assert_eq!(client.code("CreateRoute", &none), "MissingParameter");
}

#[test]
fn an_instance_with_two_interfaces_is_no_route_target() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    client.ok("CreateRoute", &to(&article.table, "InstanceId", &instance));
    let second = client.interface(&article.private);
    let pairs = [("InstanceId", instance.as_str()), ("NetworkInterfaceId", second.as_str()), ("DeviceIndex", "1")];
    client.ok("AttachNetworkInterface", &pairs);
    let (code, message) = client.error("ReplaceRoute", &to(&article.table, "InstanceId", &instance));
    assert_eq!(code, "InvalidInstanceID");
    assert!(message.contains("There are multiple interfaces attached to instance"), "{message}");
    client.ok("ReplaceRoute", &to(&article.table, "NetworkInterfaceId", &second));
    assert_eq!(added(&mut client, &article.table), [(second, "active".to_owned())]);
}

#[test]
fn the_local_route_stays() {
    let mut client = Client::new();
    let article = client.article();
    let local = [("RouteTableId", article.table.as_str()), ("DestinationCidrBlock", "10.8.0.0/16")];
    assert_eq!(client.code("DeleteRoute", &local), "InvalidParameterValue");
    let mut replaced = local.to_vec();
    replaced.push(("GatewayId", &article.gateway));
    assert_eq!(client.code("ReplaceRoute", &replaced), "InvalidParameterValue");
    let within = [
        ("RouteTableId", article.table.as_str()),
        ("DestinationCidrBlock", "10.8.7.0/24"),
        ("GatewayId", article.gateway.as_str()),
    ];
    assert_eq!(client.code("CreateRoute", &within), "InvalidParameterValue");
}

#[test]
fn a_route_is_a_blackhole_while_its_interface_is_not_in_use() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let interface = client.interface(&article.private);
    client.ok("CreateRoute", &to(&article.table, "NetworkInterfaceId", &interface));
    let state = |client: &mut Client| added(client, &article.table).remove(0).1;
    assert_eq!(state(&mut client), "blackhole", "not attached yet");
    let pairs = [("InstanceId", instance.as_str()), ("NetworkInterfaceId", interface.as_str()), ("DeviceIndex", "1")];
    let attachment = client.get("AttachNetworkInterface", &pairs, "attachmentId");
    assert_eq!(state(&mut client), "active");
    client.ok("StopInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(state(&mut client), "blackhole", "the instance is stopped");
    client.ok("StartInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(state(&mut client), "active");
    client.ok("DetachNetworkInterface", &[("AttachmentId", &attachment)]);
    assert_eq!(state(&mut client), "blackhole", "detached");
    client.ok("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]);
    assert_eq!(
        added(&mut client, &article.table),
        [(interface, "blackhole".to_owned())],
        "the route outlives its target"
    );
}

#[test]
fn a_route_to_a_detached_gateway_is_a_blackhole() {
    let mut client = Client::new();
    let article = client.article();
    client.ok("CreateRoute", &to(&article.table, "GatewayId", &article.gateway));
    let pairs = [("VpcId", article.vpc.as_str()), ("InternetGatewayId", article.gateway.as_str())];
    client.ok("DetachInternetGateway", &pairs);
    assert_eq!(added(&mut client, &article.table), [(article.gateway.clone(), "blackhole".to_owned())]);
    client.ok("AttachInternetGateway", &pairs);
    assert_eq!(added(&mut client, &article.table), [(article.gateway, "active".to_owned())]);
}

#[test]
fn a_subnet_has_at_most_one_table_of_its_own() {
    let mut client = Client::new();
    let article = client.article();
    let other = client.get("CreateRouteTable", &[("VpcId", &article.vpc)], "routeTableId");
    let pairs = [("RouteTableId", other.as_str()), ("SubnetId", article.private.as_str())];
    assert_eq!(client.code("AssociateRouteTable", &pairs), "Resource.AlreadyAssociated");
    let shown = client.ok("DescribeRouteTables", &[("RouteTableId.1", &article.table)]);
    let association = text(&shown, "routeTableAssociationId");
    let same = [("RouteTableId", article.table.as_str()), ("SubnetId", article.private.as_str())];
    assert_eq!(client.get("AssociateRouteTable", &same, "associationId"), association, "again is the same");
    assert_eq!(client.code("DeleteRouteTable", &[("RouteTableId", &article.table)]), "DependencyViolation");
    let replaced = client.get(
        "ReplaceRouteTableAssociation",
        &[("AssociationId", &association), ("RouteTableId", &other)],
        "newAssociationId",
    );
    assert_ne!(replaced, association);
    client.ok("DeleteRouteTable", &[("RouteTableId", &article.table)]);
    client.ok("DisassociateRouteTable", &[("AssociationId", &replaced)]);
    assert_eq!(client.code("DisassociateRouteTable", &[("AssociationId", &replaced)]), "InvalidAssociationID.NotFound");
}

#[test]
fn the_main_table_is_replaced_never_removed() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let main = client.ok("DescribeRouteTables", &[]);
    let (main_id, association) = (text(&main, "routeTableId"), text(&main, "routeTableAssociationId"));
    assert_eq!(client.code("DisassociateRouteTable", &[("AssociationId", &association)]), "InvalidParameterValue");
    assert_eq!(client.code("DeleteRouteTable", &[("RouteTableId", &main_id)]), "DependencyViolation");
    let other = client.get("CreateRouteTable", &[("VpcId", &vpc)], "routeTableId");
    client.ok("ReplaceRouteTableAssociation", &[("AssociationId", &association), ("RouteTableId", &other)]);
    let filter = [("Filter.1.Name", "association.main"), ("Filter.1.Value.1", "true")];
    assert_eq!(client.get("DescribeRouteTables", &filter, "routeTableId"), other);
    client.ok("DeleteRouteTable", &[("RouteTableId", &main_id)]);
}
