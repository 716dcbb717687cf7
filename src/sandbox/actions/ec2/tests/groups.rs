//! Security groups.

use super::*;

fn group(client: &mut Client, vpc: &str, name: &str) -> String {
    let pairs = [("GroupName", name), ("GroupDescription", "for a test"), ("VpcId", vpc)];
    client.get("CreateSecurityGroup", &pairs, "groupId")
}

fn https<'a>(group: &'a str, cidr: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", cidr),
    ]
}

#[test]
fn a_new_group_lets_everything_out_and_nothing_in() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let id = group(&mut client, &vpc, "g");
    let shown = client.ok("DescribeSecurityGroups", &[("GroupId.1", &id)]);
    assert!(shown.contains("<ipPermissions/>"), "{shown}");
    assert_eq!(texts(&shown, "cidrIp"), ["0.0.0.0/0"]);
}

#[test]
fn names_are_unique_in_a_vpc() {
    let mut client = Client::new();
    let (a, b) = (client.vpc("10.0.0.0/16"), client.vpc("10.1.0.0/16"));
    group(&mut client, &a, "g");
    group(&mut client, &b, "g");
    let again = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", a.as_str())];
    assert_eq!(client.code("CreateSecurityGroup", &again), "InvalidGroup.Duplicate");
    let reserved = [("GroupName", "sg-x"), ("GroupDescription", "d"), ("VpcId", a.as_str())];
    assert_eq!(client.code("CreateSecurityGroup", &reserved), "InvalidParameterValue");
}

#[test]
fn a_rule_is_authorized_once_and_revoked_once() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let id = group(&mut client, &vpc, "g");
    let rule = https(&id, "10.0.0.0/16");
    let made = client.ok("AuthorizeSecurityGroupIngress", &rule);
    assert_eq!(text(&made, "isEgress"), "false");
    let (code, message) = client.error("AuthorizeSecurityGroupIngress", &rule);
    assert_eq!(code, "InvalidPermission.Duplicate");
    assert!(
        message.contains("\"peer: 10.0.0.0/16, TCP, from port: 443, to port: 443, ALLOW\" already exists"),
        "{message}"
    );
    client.ok("AuthorizeSecurityGroupEgress", &rule);
    client.ok("RevokeSecurityGroupIngress", &rule);
    assert_eq!(client.code("RevokeSecurityGroupIngress", &rule), "InvalidPermission.NotFound");
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let left = client.ok("DescribeSecurityGroupRules", &filter);
    assert_eq!(texts(&left, "isEgress"), ["true", "true"]);
    let by_id = texts(&left, "securityGroupRuleId");
    client.ok("RevokeSecurityGroupEgress", &[("GroupId", &id), ("SecurityGroupRuleId.1", &by_id[0])]);
    assert_eq!(texts(&client.ok("DescribeSecurityGroupRules", &filter), "securityGroupRuleId").len(), 1);
}

#[test]
fn permissions_are_checked() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let id = group(&mut client, &vpc, "g");
    let mut no_ports = https(&id, "0.0.0.0/0").to_vec();
    no_ports.retain(|(name, _)| !name.ends_with("Port"));
    assert_eq!(client.code("AuthorizeSecurityGroupIngress", &no_ports), "InvalidParameterValue");
    assert_eq!(client.code("AuthorizeSecurityGroupIngress", &https(&id, "10.0.0.0/33")), "InvalidParameterValue");
    let mut protocol = https(&id, "0.0.0.0/0");
    protocol[1].1 = "carrier-pigeon";
    assert_eq!(client.code("AuthorizeSecurityGroupIngress", &protocol), "InvalidPermission.Malformed");
    let peer = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", "sg-0123456789abcdef0"),
    ];
    assert_eq!(client.code("AuthorizeSecurityGroupIngress", &peer), "InvalidGroup.NotFound");
}

#[test]
fn a_group_in_use_or_named_by_another_is_not_deleted() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let subnet = client.subnet(&vpc, "10.0.0.0/24");
    let (used, named) = (group(&mut client, &vpc, "used"), group(&mut client, &vpc, "named"));
    let interface = client.get(
        "CreateNetworkInterface",
        &[("SubnetId", &subnet), ("SecurityGroupId.1", &used)],
        "networkInterfaceId",
    );
    assert_eq!(client.code("DeleteSecurityGroup", &[("GroupId", &used)]), "DependencyViolation");
    let peer = [
        ("GroupId", used.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", named.as_str()),
    ];
    client.ok("AuthorizeSecurityGroupIngress", &peer);
    assert_eq!(client.code("DeleteSecurityGroup", &[("GroupId", &named)]), "DependencyViolation");
    client.ok("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]);
    client.ok("DeleteSecurityGroup", &[("GroupId", &used)]);
    client.ok("DeleteSecurityGroup", &[("GroupId", &named)]);
    let default = client.get("DescribeSecurityGroups", &[], "groupId");
    assert_eq!(client.code("DeleteSecurityGroup", &[("GroupId", &default)]), "CannotDelete");
}
