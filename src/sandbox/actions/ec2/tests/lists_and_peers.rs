//! Prefix lists, DHCP options sets, peering connections, and what the region offers.

use super::*;

#[test]
fn a_prefix_list_keeps_its_versions_and_is_held_by_what_names_it() {
    let mut client = Client::new();
    let article = client.article();
    let create = [
        ("PrefixListName", "partners"),
        ("AddressFamily", "IPv4"),
        ("MaxEntries", "2"),
        ("Entry.1.Cidr", "192.0.2.0/24"),
        ("Entry.1.Description", "a"),
    ];
    let id = client.get("CreateManagedPrefixList", &create, "prefixListId");
    let modify = |more: &[(&'static str, &'static str)]| {
        let mut pairs: Vec<(&str, String)> = vec![("PrefixListId", id.clone())];
        pairs.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        pairs
    };
    let send = |client: &mut Client, pairs: Vec<(&str, String)>| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
        client.send("ModifyManagedPrefixList", &pairs)
    };
    let added = modify(&[("CurrentVersion", "1"), ("AddEntry.1.Cidr", "198.51.100.0/24")]);
    assert_eq!(text(&send(&mut client, added.clone()).body, "version"), "2");
    assert_eq!(text(&send(&mut client, added).body, "Code"), "PrefixListVersionMismatch");
    let full = modify(&[("CurrentVersion", "2"), ("AddEntry.1.Cidr", "203.0.113.0/24")]);
    assert_eq!(text(&send(&mut client, full).body, "Code"), "PrefixListMaxEntriesExceeded");
    let earlier = client.ok("GetManagedPrefixListEntries", &[("PrefixListId", &id), ("TargetVersion", "1")]);
    assert!(earlier.contains("<cidr>192.0.2.0/24</cidr><description>a</description>"), "{earlier}");
    assert!(!earlier.contains("198.51.100.0/24"), "{earlier}");

    let interface = client.interface(&article.private);
    let route = [
        ("RouteTableId", article.table.as_str()),
        ("DestinationPrefixListId", id.as_str()),
        ("NetworkInterfaceId", interface.as_str()),
    ];
    client.ok("CreateRoute", &route);
    let users = client.ok("GetManagedPrefixListAssociations", &[("PrefixListId", &id)]);
    assert!(users.contains(&article.table), "{users}");
    assert_eq!(client.code("DeleteManagedPrefixList", &[("PrefixListId", &id)]), "DependencyViolation");
    client.ok("DeleteRoute", &route[..2]);
    client.ok("DeleteManagedPrefixList", &[("PrefixListId", &id)]);
    assert_eq!(client.code("DescribeManagedPrefixLists", &[("PrefixListId.1", &id)]), "InvalidPrefixListID.NotFound");
    assert_eq!(client.code("DeleteManagedPrefixList", &[("PrefixListId", "pl-6ea54007")]), "UnauthorizedOperation");
}

#[test]
fn a_vpc_has_the_regions_dhcp_options_until_it_gets_others() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let first = client.get("DescribeVpcs", &[], "dhcpOptionsId");
    let pairs = [
        ("DhcpConfiguration.1.Key", "domain-name-servers"),
        ("DhcpConfiguration.1.Value.1", "10.0.0.10"),
        ("DhcpConfiguration.1.Value.2", "10.0.0.11"),
    ];
    let id = client.get("CreateDhcpOptions", &pairs, "dhcpOptionsId");
    client.ok("AssociateDhcpOptions", &[("DhcpOptionsId", &id), ("VpcId", &vpc)]);
    assert_eq!(client.get("DescribeVpcs", &[], "dhcpOptionsId"), id);
    assert_eq!(client.code("DeleteDhcpOptions", &[("DhcpOptionsId", &id)]), "DependencyViolation");
    let body = client.ok("DescribeDhcpOptions", &[("DhcpOptionsId.1", &id)]);
    assert!(body.contains("<valueSet><item><value>10.0.0.10</value></item><item>"), "{body}");
    client.ok("AssociateDhcpOptions", &[("DhcpOptionsId", "default"), ("VpcId", &vpc)]);
    assert_eq!(client.get("DescribeVpcs", &[], "dhcpOptionsId"), "default");
    client.ok("DeleteDhcpOptions", &[("DhcpOptionsId", &id)]);
    client.ok("AssociateDhcpOptions", &[("DhcpOptionsId", &first), ("VpcId", &vpc)]);
    assert_eq!(client.get("DescribeVpcs", &[], "dhcpOptionsId"), first);
    assert_eq!(
        client.code("CreateDhcpOptions", &[("DhcpConfiguration.1.Key", "x"), ("DhcpConfiguration.1.Value.1", "y")]),
        "InvalidParameterValue"
    );
}

#[test]
fn a_peering_connection_takes_routes_while_it_is_active() {
    let mut client = Client::new();
    let article = client.article();
    let other = client.vpc("10.9.0.0/16");
    let pair = [("VpcId", article.vpc.as_str()), ("PeerVpcId", other.as_str())];
    let body = client.ok("CreateVpcPeeringConnection", &pair);
    assert_eq!(text(&body, "code"), "initiating-request");
    let id = text(&body, "vpcPeeringConnectionId");
    let named = [("VpcPeeringConnectionId", id.as_str())];
    assert_eq!(client.get("DescribeVpcPeeringConnections", &[], "code"), "pending-acceptance");
    let route = [
        ("RouteTableId", article.table.as_str()),
        ("DestinationCidrBlock", "10.9.0.0/16"),
        ("VpcPeeringConnectionId", id.as_str()),
    ];
    assert_eq!(client.code("CreateRoute", &route), "InvalidParameterValue");
    client.ok("AcceptVpcPeeringConnection", &named);
    client.ok("CreateRoute", &route);
    client.ok("DeleteVpcPeeringConnection", &named);
    assert_eq!(client.get("DescribeVpcPeeringConnections", &[], "code"), "deleted");
    let tables = client.ok("DescribeRouteTables", &[("RouteTableId.1", &article.table)]);
    assert!(tables.contains("<state>blackhole</state>"), "{tables}");
    client.pass(Duration::from_secs(3600));
    assert_eq!(
        client.code("DescribeVpcPeeringConnections", &[("VpcPeeringConnectionId.1", &id)]),
        "InvalidVpcPeeringConnectionID.NotFound"
    );
}

#[test]
fn ranges_that_overlap_cannot_be_peered() {
    let mut client = Client::new();
    let (a, b) = (client.vpc("10.0.0.0/16"), client.vpc("10.0.128.0/17"));
    client.ok("CreateVpcPeeringConnection", &[("VpcId", &a), ("PeerVpcId", &b)]);
    assert_eq!(client.get("DescribeVpcPeeringConnections", &[], "code"), "failed");
}

#[test]
fn types_are_offered_in_every_zone() {
    let mut client = Client::new();
    let pairs =
        [("LocationType", "availability-zone"), ("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", "t4g.nano")];
    let body = client.ok("DescribeInstanceTypeOfferings", &pairs);
    assert_eq!(body.matches("<instanceType>t4g.nano</instanceType>").count(), 3, "{body}");
    let body = client.ok("DescribeAccountAttributes", &[("AttributeName.1", "supported-platforms")]);
    assert!(body.contains("<attributeValue>VPC</attributeValue>") && !body.contains("max-instances"), "{body}");
}
