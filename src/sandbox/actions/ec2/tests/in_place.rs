//! What is changed in place: rules of groups, addresses of interfaces and NAT gateways, edge associations, snapshots.

use super::*;

#[test]
fn a_rule_that_is_modified_keeps_its_identifier() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let wanted = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", vpc.as_str())];
    let group = client.get("CreateSecurityGroup", &wanted, "groupId");
    let ssh = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    let rule = client.get("AuthorizeSecurityGroupIngress", &ssh, "securityGroupRuleId");
    let changed = [
        ("GroupId", group.as_str()),
        ("SecurityGroupRule.1.SecurityGroupRuleId", &rule),
        ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
        ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "443"),
        ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "443"),
        ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/16"),
        ("SecurityGroupRule.1.SecurityGroupRule.Description", "https"),
    ];
    client.ok("ModifySecurityGroupRules", &changed);
    let shown = client.ok("DescribeSecurityGroupRules", &[("SecurityGroupRuleId.1", &rule)]);
    let values = ["fromPort", "cidrIpv4", "description", "isEgress"].map(|name| text(&shown, name));
    assert_eq!(values, ["443", "10.0.0.0/16", "https", "false"].map(str::to_owned));
    let described = [
        ("GroupId", group.as_str()),
        ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", &rule),
        ("SecurityGroupRuleDescription.1.Description", "other"),
    ];
    client.ok("UpdateSecurityGroupRuleDescriptionsIngress", &described);
    assert!(client.ok("DescribeSecurityGroups", &[]).contains("<description>other</description>"));
}

#[test]
fn an_interface_gets_further_addresses_and_an_elastic_ip_on_one_of_them() {
    let mut client = Client::new();
    let article = client.article();
    let interface = client.interface(&article.public);
    let one = [("NetworkInterfaceId", interface.as_str()), ("PrivateIpAddress.1", "10.8.1.77")];
    client.ok("AssignPrivateIpAddresses", &one);
    assert_eq!(client.code("AssignPrivateIpAddresses", &one), "InvalidIPAddress.InUse");
    let address = client.get("AllocateAddress", &[], "allocationId");
    let put =
        [("AllocationId", address.as_str()), ("NetworkInterfaceId", &interface), ("PrivateIpAddress", "10.8.1.77")];
    client.ok("AssociateAddress", &put);
    let shown = client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]);
    assert_eq!(texts(&shown, "allocationId"), std::slice::from_ref(&address));
    client.ok("UnassignPrivateIpAddresses", &one);
    assert_eq!(text(&client.ok("DescribeAddresses", &[]), "associationId"), "", "it is free again");
    client.ok("ReleaseAddress", &[("AllocationId", &address)]);
}

#[test]
fn who_waits_for_an_attachment_to_end_is_told_that_it_did() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let interface = client.interface(&article.private);
    let wanted = [("InstanceId", instance.as_str()), ("NetworkInterfaceId", &interface), ("DeviceIndex", "1")];
    let attachment = client.get("AttachNetworkInterface", &wanted, "attachmentId");
    client.ok("DetachNetworkInterface", &[("AttachmentId", &attachment)]);
    let asked = [("Filter.1.Name", "attachment.attachment-id"), ("Filter.1.Value.1", attachment.as_str())];
    let shown = client.ok("DescribeNetworkInterfaces", &asked);
    assert!(shown.contains("<status>detached</status>"), "{shown}");
    let all = client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]);
    assert!(!all.contains("<attachment>"), "to everybody else it is free: {all}");
    client.pass(Duration::from_secs(61));
    assert!(texts(&client.ok("DescribeNetworkInterfaces", &asked), "networkInterfaceId").is_empty());
}

#[test]
fn a_private_nat_gateway_takes_further_addresses() {
    let mut client = Client::new();
    let article = client.article();
    let wanted = [
        ("SubnetId", article.private.as_str()),
        ("ConnectivityType", "private"),
        ("SecondaryPrivateIpAddressCount", "2"),
    ];
    let gateway = client.get("CreateNatGateway", &wanted, "natGatewayId");
    let by_id = ("NatGatewayId", gateway.as_str());
    let shown = client.ok("AssignPrivateNatGatewayAddress", &[by_id, ("PrivateIpAddress.1", "10.8.2.99")]);
    assert_eq!(texts(&shown, "privateIp").len(), 4);
    let shown = client.ok("UnassignPrivateNatGatewayAddress", &[by_id, ("PrivateIpAddress.1", "10.8.2.99")]);
    assert_eq!(texts(&shown, "privateIp").len(), 3);
    assert_eq!(client.code("AssociateNatGatewayAddress", &[by_id]), "InvalidParameterValue", "it is private");
}

#[test]
fn what_comes_in_by_the_gateway_is_routed_by_one_table() {
    let mut client = Client::new();
    let article = client.article();
    let edge = [("RouteTableId", article.table.as_str()), ("GatewayId", &article.gateway)];
    let association = client.get("AssociateRouteTable", &edge, "associationId");
    assert_eq!(client.code("AssociateRouteTable", &edge), "Resource.AlreadyAssociated");
    assert!(client.ok("DescribeRouteTables", &[]).contains(&format!("<gatewayId>{}</gatewayId>", article.gateway)));
    client.ok("DisassociateRouteTable", &[("AssociationId", &association)]);
}

#[test]
fn a_snapshot_is_what_a_volume_can_begin_from() {
    let mut client = Client::new();
    let zone = ("AvailabilityZone", "eu-central-1a");
    let volume = client.get("CreateVolume", &[zone, ("Size", "4"), ("Encrypted", "true")], "volumeId");
    let snapshot = client.get("CreateSnapshot", &[("VolumeId", &volume)], "snapshotId");
    let copy = client.ok("CreateVolume", &[zone, ("SnapshotId", &snapshot)]);
    assert_eq!((text(&copy, "size"), text(&copy, "encrypted")), ("4".to_owned(), "true".to_owned()));
    assert!(text(&copy, "kmsKeyId").starts_with("arn:aws:kms:"), "{copy}");
    client.ok("DeleteSnapshot", &[("SnapshotId", &snapshot)]);
    assert_eq!(client.code("DescribeSnapshots", &[("SnapshotId.1", &snapshot)]), "InvalidSnapshot.NotFound");
}
