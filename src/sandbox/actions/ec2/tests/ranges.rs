//! Second ranges, IPv6, attributes of subnets, the default VPC.

use super::*;

#[test]
fn a_second_range_is_local_in_every_table_and_may_hold_subnets() {
    let mut client = Client::new();
    let article = client.article();
    let range = [("VpcId", article.vpc.as_str()), ("CidrBlock", "10.9.0.0/16")];
    let association = client.get("AssociateVpcCidrBlock", &range, "associationId");
    assert_eq!(client.code("AssociateVpcCidrBlock", &range), "CidrConflict");
    let tables = client.ok("DescribeRouteTables", &[]);
    let local = counted(texts(&tables, "destinationCidrBlock"));
    assert_eq!((local["10.8.0.0/16"], local["10.9.0.0/16"]), (2, 2), "the main table and the private one");
    let subnet = client.subnet(&article.vpc, "10.9.1.0/24");
    let by_id = [("AssociationId", association.as_str())];
    assert_eq!(client.code("DisassociateVpcCidrBlock", &by_id), "InvalidCidrBlock.InUse");
    client.ok("DeleteSubnet", &[("SubnetId", &subnet)]);
    client.ok("DisassociateVpcCidrBlock", &by_id);
    assert!(!client.ok("DescribeRouteTables", &[]).contains("10.9.0.0/16"));
    assert_eq!(client.code("DisassociateVpcCidrBlock", &by_id), "InvalidVpcCidrBlockAssociationID.NotFound");
    let vpcs = client.ok("DescribeVpcs", &[]);
    let primary = text(&vpcs, "associationId");
    assert_eq!(client.code("DisassociateVpcCidrBlock", &[("AssociationId", &primary)]), "OperationNotPermitted");
}

#[test]
fn attributes_of_subnets_are_changed_one_at_a_time_and_shown() {
    let mut client = Client::new();
    let made = [("CidrBlock", "10.0.0.0/16"), ("AmazonProvidedIpv6CidrBlock", "true")];
    let vpc = client.get("CreateVpc", &made, "vpcId");
    let of_vpc = text(&client.ok("DescribeVpcs", &[]), "ipv6CidrBlock");
    let range = of_vpc.replace("/56", "/64");
    let subnet = client.subnet(&vpc, "10.0.0.0/24");
    let set = |name, value| [("SubnetId", subnet.as_str()), (name, value)];
    let automatic = set("AssignIpv6AddressOnCreation.Value", "true");
    assert_eq!(client.code("ModifySubnetAttribute", &automatic), "InvalidParameterValue", "it has no IPv6 range");
    client.ok("AssociateSubnetCidrBlock", &[("SubnetId", &subnet), ("Ipv6CidrBlock", &range)]);
    client.ok("ModifySubnetAttribute", &automatic);
    client.ok("ModifySubnetAttribute", &set("EnableDns64.Value", "true"));
    client.ok("ModifySubnetAttribute", &set("PrivateDnsHostnameTypeOnLaunch", "resource-name"));
    let shown = client.ok("DescribeSubnets", &[]);
    for (name, value) in
        [("assignIpv6AddressOnCreation", "true"), ("enableDns64", "true"), ("hostnameType", "resource-name")]
    {
        assert_eq!(text(&shown, name), value, "{name}");
    }
    let instance = client.instance(&subnet);
    let described = client.ok("DescribeInstances", &[]);
    assert_eq!(text(&described, "privateDnsName"), format!("{instance}.eu-central-1.compute.internal"));
    assert!(text(&described, "ipv6Address").starts_with(range.trim_end_matches("::/64")), "{described}");
}

#[test]
fn an_ipv6_only_subnet_gives_no_ipv4_address() {
    let mut client = Client::new();
    let made = [("CidrBlock", "10.0.0.0/16"), ("AmazonProvidedIpv6CidrBlock", "true")];
    let vpc = client.get("CreateVpc", &made, "vpcId");
    let range = text(&client.ok("DescribeVpcs", &[]), "ipv6CidrBlock").replace("/56", "/64");
    let wanted = [("VpcId", vpc.as_str()), ("Ipv6Native", "true"), ("Ipv6CidrBlock", &range)];
    let subnet = client.get("CreateSubnet", &wanted, "subnetId");
    client.ok("ModifySubnetAttribute", &[("SubnetId", &subnet), ("AssignIpv6AddressOnCreation.Value", "true")]);
    let interface = client.ok("CreateNetworkInterface", &[("SubnetId", &subnet)]);
    assert_eq!(text(&interface, "privateIpAddress"), "");
    assert!(!text(&interface, "ipv6Address").is_empty(), "{interface}");
}

#[test]
fn the_default_vpc_is_made_once_and_instances_without_a_subnet_go_there() {
    let mut client = Client::new();
    let image = [("ImageId", ARM_IMAGE), ("InstanceType", "t4g.nano"), ("MinCount", "1"), ("MaxCount", "1")];
    assert!(client.send("RunInstances", &image).status >= 400);
    let vpc = client.get("CreateDefaultVpc", &[], "vpcId");
    assert_eq!(client.code("CreateDefaultVpc", &[]), "DefaultVpcAlreadyExists");
    let subnets = client.ok("DescribeSubnets", &[("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")]);
    let mut ranges = texts(&subnets, "cidrBlock");
    ranges.sort();
    assert_eq!(ranges, ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"].map(str::to_owned));
    let run = client.ok("RunInstances", &image);
    assert_eq!(text(&run, "vpcId"), vpc);
    assert!(!text(&run, "ipAddress").is_empty(), "its subnets are public");
}
