//! VPC endpoints.

use super::*;

fn ssm<'a>(article: &'a Article, service: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("VpcId", &article.vpc),
        ("VpcEndpointType", "Interface"),
        ("ServiceName", service),
        ("SubnetId.1", &article.private),
        ("PrivateDnsEnabled", "true"),
    ]
}

const SSM: &str = "com.amazonaws.eu-central-1.ssm";

#[test]
fn an_interface_endpoint_holds_an_interface_in_each_subnet_until_it_is_gone() {
    let mut client = Client::new();
    let article = client.article();
    client.world.delays.endpoint_create = Duration::from_secs(4);
    client.world.delays.endpoint_delete = Duration::from_secs(4);
    let created = client.ok("CreateVpcEndpoint", &ssm(&article, SSM));
    assert_eq!(text(&created, "state"), "pending");
    let id = text(&created, "vpcEndpointId");
    client.pass(Duration::from_secs(4));
    let shown = client.ok("DescribeVpcEndpoints", &[("VpcEndpointId.1", &id)]);
    assert_eq!(text(&shown, "state"), "available");
    assert!(texts(&shown, "dnsName").contains(&"ssm.eu-central-1.amazonaws.com".to_owned()));
    let filter = [("Filter.1.Name", "interface-type"), ("Filter.1.Value.1", "vpc_endpoint")];
    let interface = client.ok("DescribeNetworkInterfaces", &filter);
    assert_eq!(text(&interface, "requesterManaged"), "true");
    let interface = text(&interface, "networkInterfaceId");
    let theirs = [("NetworkInterfaceId", interface.as_str())];
    assert_eq!(client.code("DeleteNetworkInterface", &theirs), "OperationNotPermitted");
    client.ok("DeleteVpcEndpoints", &[("VpcEndpointId.1", &id)]);
    assert_eq!(client.get("DescribeVpcEndpoints", &[], "state"), "deleting");
    assert_eq!(client.code("DeleteSubnet", &[("SubnetId", &article.private)]), "DependencyViolation");
    client.pass(Duration::from_secs(4));
    assert_eq!(client.code("DescribeVpcEndpoints", &[("VpcEndpointId.1", &id)]), "InvalidVpcEndpointId.NotFound");
    client.ok("DeleteSubnet", &[("SubnetId", &article.private)]);
}

#[test]
fn private_dns_needs_both_attributes_and_is_given_once() {
    let mut client = Client::new();
    let article = client.article();
    client.ok("ModifyVpcAttribute", &[("VpcId", &article.vpc), ("EnableDnsHostnames.Value", "false")]);
    assert_eq!(client.code("CreateVpcEndpoint", &ssm(&article, SSM)), "InvalidParameter");
    client.ok("ModifyVpcAttribute", &[("VpcId", &article.vpc), ("EnableDnsHostnames.Value", "true")]);
    client.ok("CreateVpcEndpoint", &ssm(&article, SSM));
    let (code, message) = client.error("CreateVpcEndpoint", &ssm(&article, SSM));
    assert_eq!(code, "InvalidParameter");
    assert!(message.contains("conflicting DNS domain"), "{message}");
    client.ok("CreateVpcEndpoint", &ssm(&article, "com.amazonaws.eu-central-1.ssmmessages"));
    let unknown = ssm(&article, "com.amazonaws.eu-central-1.nonsense");
    assert_eq!(client.code("CreateVpcEndpoint", &unknown), "InvalidServiceName");
}

#[test]
fn a_gateway_endpoint_keeps_a_route_in_its_tables() {
    let mut client = Client::new();
    let article = client.article();
    let pairs = [
        ("VpcId", article.vpc.as_str()),
        ("ServiceName", "com.amazonaws.eu-central-1.s3"),
        ("RouteTableId.1", article.table.as_str()),
    ];
    let id = client.get("CreateVpcEndpoint", &pairs, "vpcEndpointId");
    let table = [("RouteTableId.1", article.table.as_str())];
    let shown = client.ok("DescribeRouteTables", &table);
    let list = text(&shown, "destinationPrefixListId");
    assert_eq!(texts(&shown, "gatewayId"), ["local".to_owned(), id.clone()]);
    let entries = client.ok("GetManagedPrefixListEntries", &[("PrefixListId", &list)]);
    assert!(!texts(&entries, "cidr").is_empty());
    let route = [("RouteTableId", article.table.as_str()), ("DestinationPrefixListId", list.as_str())];
    assert_eq!(client.code("DeleteRoute", &route), "InvalidParameterValue");
    assert_eq!(client.code("CreateVpcEndpoint", &pairs), "RouteAlreadyExists");
    client.ok("DeleteVpcEndpoints", &[("VpcEndpointId.1", &id)]);
    assert!(!client.ok("DescribeRouteTables", &table).contains(&id));
}

#[test]
fn what_cannot_be_deleted_is_reported_and_the_rest_deleted() {
    let mut client = Client::new();
    let article = client.article();
    let id = client.get("CreateVpcEndpoint", &ssm(&article, SSM), "vpcEndpointId");
    let pairs = [("VpcEndpointId.1", "vpce-0123456789abcdef0"), ("VpcEndpointId.2", id.as_str())];
    let answer = client.ok("DeleteVpcEndpoints", &pairs);
    assert_eq!(texts(&answer, "resourceId"), ["vpce-0123456789abcdef0"]);
    assert_eq!(text(&answer, "code"), "InvalidVpcEndpointId.NotFound");
    assert!(client.world.network.vpc_endpoints.shown().is_empty());
}

#[test]
fn an_endpoint_can_be_modified() {
    let mut client = Client::new();
    let article = client.article();
    let id = client.get("CreateVpcEndpoint", &ssm(&article, SSM), "vpcEndpointId");
    let far = [("VpcId", article.vpc.as_str()), ("CidrBlock", "10.8.3.0/24"), ("AvailabilityZone", "eu-central-1a")];
    let far = client.get("CreateSubnet", &far, "subnetId");
    let same_zone = [("VpcEndpointId", id.as_str()), ("AddSubnetId.1", article.public.as_str())];
    assert_eq!(client.code("ModifyVpcEndpoint", &same_zone), "DuplicateSubnetsInSameZone");
    client.ok("ModifyVpcEndpoint", &[("VpcEndpointId", &id), ("AddSubnetId.1", &far)]);
    client.ok("ModifyVpcEndpoint", &[("VpcEndpointId", &id), ("RemoveSubnetId.1", &article.private)]);
    client.ok("DeleteSubnet", &[("SubnetId", &article.private)]);
    client.ok("ModifyVpcEndpoint", &[("VpcEndpointId", &id), ("PrivateDnsEnabled", "false")]);
    let shown = client.ok("DescribeVpcEndpoints", &[]);
    assert_eq!(text(&shown, "privateDnsEnabled"), "false");
    assert!(!texts(&shown, "dnsName").contains(&"ssm.eu-central-1.amazonaws.com".to_owned()));
}
