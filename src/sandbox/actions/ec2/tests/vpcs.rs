//! VPCs, subnets, network ACLs.

use super::*;

#[test]
fn a_vpc_brings_its_main_table_default_group_and_default_acl() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let tables = client.ok("DescribeRouteTables", &filter);
    assert_eq!(text(&tables, "main"), "true");
    assert_eq!(
        (text(&tables, "destinationCidrBlock"), text(&tables, "gatewayId")),
        ("10.8.0.0/16".into(), "local".into())
    );
    let groups = client.ok("DescribeSecurityGroups", &filter);
    assert_eq!(text(&groups, "groupName"), "default");
    assert_eq!(texts(&groups, "ipProtocol"), ["-1", "-1"]);
    assert_eq!(texts(&groups, "cidrIp"), ["0.0.0.0/0"]);
    let acls = client.ok("DescribeNetworkAcls", &filter);
    assert_eq!(texts(&acls, "ruleNumber"), ["100", "32767", "100", "32767"]);
    assert_eq!(text(&acls, "default"), "true");
}

#[test]
fn vpc_ranges_are_between_16_and_28_bits() {
    let mut client = Client::new();
    for (cidr, code) in [
        ("10.0.0.0/15", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0/16", "InvalidParameterValue"),
        ("ten", "InvalidParameterValue"),
    ] {
        assert_eq!(client.code("CreateVpc", &[("CidrBlock", cidr)]), code, "{cidr}");
    }
    let body = client.ok("CreateVpc", &[("CidrBlock", "10.0.0.77/16")]);
    assert_eq!(text(&body, "cidrBlock"), "10.0.0.0/16", "host bits are cleared");
}

#[test]
fn a_subnet_lies_in_its_vpc_and_overlaps_no_other() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    client.subnet(&vpc, "10.8.1.0/24");
    for (cidr, code) in [
        ("10.9.0.0/24", "InvalidSubnet.Range"),
        ("10.8.0.0/15", "InvalidSubnet.Range"),
        ("10.8.2.0/29", "InvalidSubnet.Range"),
        ("10.8.0.0/16", "InvalidSubnet.Conflict"),
        ("10.8.1.128/25", "InvalidSubnet.Conflict"),
        ("10.8.1/24", "InvalidParameterValue"),
    ] {
        assert_eq!(client.code("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", cidr)]), code, "{cidr}");
    }
}

#[test]
fn a_zone_must_exist() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let pairs = [("VpcId", vpc.as_str()), ("CidrBlock", "10.8.1.0/24"), ("AvailabilityZone", "eu-central-1z")];
    let (code, message) = client.error("CreateSubnet", &pairs);
    assert_eq!(code, "InvalidParameterValue");
    assert!(message.contains("eu-central-1a, eu-central-1b, eu-central-1c"), "{message}");
}

#[test]
fn five_addresses_of_a_subnet_are_reserved() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let subnet = client.subnet(&vpc, "10.8.1.0/28");
    let count =
        |client: &mut Client| client.get("DescribeSubnets", &[("SubnetId.1", &subnet)], "availableIpAddressCount");
    assert_eq!(count(&mut client), "11");
    for ip in ["10.8.1.0", "10.8.1.1", "10.8.1.2", "10.8.1.3", "10.8.1.15", "10.8.2.4"] {
        let pairs = [("SubnetId", subnet.as_str()), ("PrivateIpAddress", ip)];
        assert_eq!(client.code("CreateNetworkInterface", &pairs), "InvalidParameterValue", "{ip}");
    }
    let mut ips: Vec<String> =
        (0..11).map(|_| client.get("CreateNetworkInterface", &[("SubnetId", &subnet)], "privateIpAddress")).collect();
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 11);
    assert_eq!(count(&mut client), "0");
    assert_eq!(client.code("CreateNetworkInterface", &[("SubnetId", &subnet)]), "InsufficientFreeAddressesInSubnet");
    let taken = [("SubnetId", subnet.as_str()), ("PrivateIpAddress", "10.8.1.7")];
    assert_eq!(client.code("CreateNetworkInterface", &taken), "InvalidIPAddress.InUse");
}

#[test]
fn a_vpc_with_anything_in_it_is_not_deleted() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let violates = |client: &mut Client, what: &str| {
        assert_eq!(client.code("DeleteVpc", &[("VpcId", &vpc)]), "DependencyViolation", "{what}");
    };
    let subnet = client.subnet(&vpc, "10.8.1.0/24");
    violates(&mut client, "subnet");
    client.ok("DeleteSubnet", &[("SubnetId", &subnet)]);
    let group = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", vpc.as_str())];
    let group = client.get("CreateSecurityGroup", &group, "groupId");
    violates(&mut client, "security group");
    client.ok("DeleteSecurityGroup", &[("GroupId", &group)]);
    let table = client.get("CreateRouteTable", &[("VpcId", &vpc)], "routeTableId");
    violates(&mut client, "route table");
    client.ok("DeleteRouteTable", &[("RouteTableId", &table)]);
    let acl = client.get("CreateNetworkAcl", &[("VpcId", &vpc)], "networkAclId");
    violates(&mut client, "network ACL");
    client.ok("DeleteNetworkAcl", &[("NetworkAclId", &acl)]);
    let gateway = client.get("CreateInternetGateway", &[], "internetGatewayId");
    client.ok("AttachInternetGateway", &[("VpcId", &vpc), ("InternetGatewayId", &gateway)]);
    violates(&mut client, "internet gateway");
    client.ok("DetachInternetGateway", &[("VpcId", &vpc), ("InternetGatewayId", &gateway)]);
    client.ok("DeleteVpc", &[("VpcId", &vpc)]);
    let network = &client.world.network;
    assert!(network.route_tables.shown().is_empty() && network.security_groups.shown().is_empty());
    assert!(network.network_acls.shown().is_empty(), "what came with the VPC goes with it");
}

#[test]
fn a_subnet_with_an_interface_is_not_deleted() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let subnet = client.subnet(&vpc, "10.8.1.0/24");
    let interface = client.interface(&subnet);
    assert_eq!(client.code("DeleteSubnet", &[("SubnetId", &subnet)]), "DependencyViolation");
    client.ok("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]);
    client.ok("DeleteSubnet", &[("SubnetId", &subnet)]);
}

#[test]
fn dns_names_need_the_resolver_and_are_off_at_first() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let value = |client: &mut Client, attribute| {
        client.get("DescribeVpcAttribute", &[("VpcId", &vpc), ("Attribute", attribute)], "value")
    };
    assert_eq!(value(&mut client, "enableDnsSupport"), "true");
    assert_eq!(value(&mut client, "enableDnsHostnames"), "false");
    client.ok("ModifyVpcAttribute", &[("VpcId", &vpc), ("EnableDnsSupport.Value", "false")]);
    let hostnames = [("VpcId", vpc.as_str()), ("EnableDnsHostnames.Value", "true")];
    assert_eq!(client.code("ModifyVpcAttribute", &hostnames), "InvalidParameterValue");
    let both = [("VpcId", vpc.as_str()), ("EnableDnsHostnames.Value", "true"), ("EnableDnsSupport.Value", "true")];
    assert_eq!(client.code("ModifyVpcAttribute", &both), "InvalidParameterCombination");
}

#[test]
fn a_subnet_has_exactly_one_acl_which_is_only_ever_replaced() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let subnet = client.subnet(&vpc, "10.8.1.0/24");
    let filter = [("Filter.1.Name", "association.subnet-id"), ("Filter.1.Value.1", subnet.as_str())];
    let default = client.ok("DescribeNetworkAcls", &filter);
    assert_eq!(text(&default, "default"), "true");
    let association = text(&default, "networkAclAssociationId");
    let acl = client.get("CreateNetworkAcl", &[("VpcId", &vpc)], "networkAclId");
    client.ok("ReplaceNetworkAclAssociation", &[("AssociationId", &association), ("NetworkAclId", &acl)]);
    let now = client.ok("DescribeNetworkAcls", &filter);
    assert_eq!(texts(&now, "networkAclId"), [acl.clone(), acl.clone()]);
    assert_eq!(client.code("DeleteNetworkAcl", &[("NetworkAclId", &acl)]), "DependencyViolation");
}

#[test]
fn acl_entries_are_numbered_once_in_each_direction() {
    let mut client = Client::new();
    let vpc = client.vpc("10.8.0.0/16");
    let acl = client.get("CreateNetworkAcl", &[("VpcId", &vpc)], "networkAclId");
    let entry = |egress, action| {
        [
            ("NetworkAclId", acl.as_str()),
            ("RuleNumber", "90"),
            ("Protocol", "6"),
            ("RuleAction", action),
            ("Egress", egress),
            ("CidrBlock", "0.0.0.0/0"),
            ("PortRange.From", "443"),
            ("PortRange.To", "443"),
        ]
    };
    client.ok("CreateNetworkAclEntry", &entry("false", "allow"));
    assert_eq!(client.code("CreateNetworkAclEntry", &entry("false", "allow")), "NetworkAclEntryAlreadyExists");
    assert_eq!(client.code("ReplaceNetworkAclEntry", &entry("true", "deny")), "InvalidNetworkAclEntry.NotFound");
    client.ok("ReplaceNetworkAclEntry", &entry("false", "deny"));
    let shown = client.ok("DescribeNetworkAcls", &[("NetworkAclId.1", &acl)]);
    assert!(
        shown.contains("<ruleNumber>90</ruleNumber><protocol>6</protocol><ruleAction>deny</ruleAction>"),
        "{shown}"
    );
    client.ok("DeleteNetworkAclEntry", &[("NetworkAclId", &acl), ("RuleNumber", "90"), ("Egress", "false")]);
    let gone = [("NetworkAclId", acl.as_str()), ("RuleNumber", "90"), ("Egress", "false")];
    assert_eq!(client.code("DeleteNetworkAclEntry", &gone), "InvalidNetworkAclEntry.NotFound");
    let last = [("NetworkAclId", acl.as_str()), ("RuleNumber", "32767"), ("Egress", "false")];
    assert_eq!(client.code("DeleteNetworkAclEntry", &last), "InvalidParameterValue");
}
