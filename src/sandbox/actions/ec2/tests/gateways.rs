//! Internet gateways, egress-only gateways, NAT gateways, Elastic IPs.

use super::*;

#[test]
fn one_gateway_per_vpc_and_one_vpc_per_gateway() {
    let mut client = Client::new();
    let (a, b) = (client.vpc("10.0.0.0/16"), client.vpc("10.1.0.0/16"));
    let first = client.get("CreateInternetGateway", &[], "internetGatewayId");
    let second = client.get("CreateInternetGateway", &[], "internetGatewayId");
    client.ok("AttachInternetGateway", &[("VpcId", &a), ("InternetGatewayId", &first)]);
    let attach = |client: &mut Client, vpc: &str, gateway: &str| {
        client.code("AttachInternetGateway", &[("VpcId", vpc), ("InternetGatewayId", gateway)])
    };
    assert_eq!(attach(&mut client, &b, &first), "Resource.AlreadyAssociated");
    assert_eq!(attach(&mut client, &a, &second), "InvalidParameterValue");
    assert_eq!(client.code("DeleteInternetGateway", &[("InternetGatewayId", &first)]), "DependencyViolation");
    let elsewhere = [("VpcId", b.as_str()), ("InternetGatewayId", first.as_str())];
    assert_eq!(client.code("DetachInternetGateway", &elsewhere), "Gateway.NotAttached");
    let filter = [("Filter.1.Name", "attachment.vpc-id"), ("Filter.1.Value.1", a.as_str())];
    assert_eq!(client.get("DescribeInternetGateways", &filter, "internetGatewayId"), first);
    client.ok("DeleteInternetGateway", &[("InternetGatewayId", &second)]);
}

#[test]
fn a_gateway_stays_while_public_addresses_depend_on_it() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let pairs = [("VpcId", article.vpc.as_str()), ("InternetGatewayId", article.gateway.as_str())];
    let (code, message) = client.error("DetachInternetGateway", &pairs);
    assert_eq!(code, "DependencyViolation");
    assert!(message.contains("has some mapped public address(es)"), "{message}");
    client.ok("TerminateInstances", &[("InstanceId.1", &instance)]);
    client.ok("DetachInternetGateway", &pairs);
}

#[test]
fn an_associated_address_is_not_released() {
    let mut client = Client::new();
    let article = client.article();
    let interface = client.interface(&article.public);
    let allocated = client.ok("AllocateAddress", &[("Domain", "vpc")]);
    let (id, ip) = (text(&allocated, "allocationId"), text(&allocated, "publicIp"));
    let association =
        client.get("AssociateAddress", &[("AllocationId", &id), ("NetworkInterfaceId", &interface)], "associationId");
    assert_eq!(client.code("ReleaseAddress", &[("AllocationId", &id)]), "InvalidIPAddress.InUse");
    assert_eq!(client.get("DescribeAddressesAttribute", &[("AllocationId.1", &id)], "publicIp"), ip);
    let shown = client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]);
    assert_eq!((text(&shown, "publicIp"), text(&shown, "associationId")), (ip, association.clone()));
    client.ok("DisassociateAddress", &[("AssociationId", &association)]);
    client.ok("ReleaseAddress", &[("AllocationId", &id)]);
    assert_eq!(client.code("ReleaseAddress", &[("AllocationId", &id)]), "InvalidAllocationID.NotFound");
}

#[test]
fn an_address_moves_only_when_that_is_allowed() {
    let mut client = Client::new();
    let article = client.article();
    let (a, b) = (client.interface(&article.public), client.interface(&article.public));
    let id = client.get("AllocateAddress", &[], "allocationId");
    client.ok("AssociateAddress", &[("AllocationId", &id), ("NetworkInterfaceId", &a)]);
    let move_it = [("AllocationId", id.as_str()), ("NetworkInterfaceId", b.as_str())];
    assert_eq!(client.code("AssociateAddress", &move_it), "Resource.AlreadyAssociated");
    let mut allowed = move_it.to_vec();
    allowed.push(("AllowReassociation", "true"));
    client.ok("AssociateAddress", &allowed);
    assert_eq!(client.get("DescribeAddresses", &[], "networkInterfaceId"), b);
    assert!(!client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &a)]).contains("<association>"));
}

#[test]
fn an_address_needs_a_gateway_and_a_free_place_in_the_quota() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let subnet = client.subnet(&vpc, "10.0.0.0/24");
    let interface = client.interface(&subnet);
    let id = client.get("AllocateAddress", &[], "allocationId");
    let pairs = [("AllocationId", id.as_str()), ("NetworkInterfaceId", interface.as_str())];
    assert_eq!(client.code("AssociateAddress", &pairs), "Gateway.NotAttached");
    let mut ips: Vec<String> = (0..4).map(|_| client.get("AllocateAddress", &[], "publicIp")).collect();
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 4);
    assert_eq!(client.code("AllocateAddress", &[]), "AddressLimitExceeded");
}

#[test]
fn a_nat_gateway_is_pending_then_available_then_deleted_and_holds_its_subnet() {
    let mut client = Client::new();
    let article = client.article();
    client.world.delays.nat_gateway_create = Duration::from_secs(5);
    let address = client.get("AllocateAddress", &[], "allocationId");
    let pairs = [("SubnetId", article.public.as_str()), ("AllocationId", address.as_str()), ("ClientToken", "n")];
    let created = client.ok("CreateNatGateway", &pairs);
    let id = text(&created, "natGatewayId");
    assert_eq!(text(&created, "state"), "pending");
    client.pass(Duration::from_secs(5));
    let route =
        [("RouteTableId", article.table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0"), ("NatGatewayId", &id)];
    client.ok("CreateRoute", &route);
    let state = |client: &mut Client| client.get("DescribeNatGateways", &[("NatGatewayId.1", &id)], "state");
    assert_eq!(state(&mut client), "available");
    assert_eq!(client.code("ReleaseAddress", &[("AllocationId", &address)]), "InvalidIPAddress.InUse");
    assert_eq!(client.code("DeleteSubnet", &[("SubnetId", &article.public)]), "DependencyViolation");
    client.ok("DeleteNatGateway", &[("NatGatewayId", &id)]);
    assert_eq!(state(&mut client), "deleted");
    let tables = client.ok("DescribeRouteTables", &[("RouteTableId.1", &article.table)]);
    assert_eq!(counted(texts(&tables, "state"))["blackhole"], 1);
    client.ok("ReleaseAddress", &[("AllocationId", &address)]);
    client.ok("DeleteSubnet", &[("SubnetId", &article.public)]);
}

#[test]
fn an_egress_only_gateway_is_attached_from_birth() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let created = client.ok("CreateEgressOnlyInternetGateway", &[("VpcId", &vpc)]);
    assert_eq!((text(&created, "state"), text(&created, "vpcId")), ("attached".to_owned(), vpc.clone()));
    let id = text(&created, "egressOnlyInternetGatewayId");
    assert_eq!(client.code("DeleteVpc", &[("VpcId", &vpc)]), "DependencyViolation");
    let filter = [("Filter.1.Name", "egress-only-internet-gateway-id"), ("Filter.1.Value.1", id.as_str())];
    assert_eq!(client.get("DescribeEgressOnlyInternetGateways", &filter, "vpcId"), vpc);
    let deleted = client.ok("DeleteEgressOnlyInternetGateway", &[("EgressOnlyInternetGatewayId", &id)]);
    assert_eq!(text(&deleted, "returnCode"), "true");
}
