//! What holds for all actions.

use super::*;

#[test]
fn an_unknown_action_is_said_to_be_invalid() {
    assert_eq!(Client::new().code("CreateTransitGateway", &[]), "InvalidAction");
}

#[test]
fn malformed_and_missing_identifiers_have_aws_codes() {
    let mut client = Client::new();
    let cases = [
        ("DescribeVpcs", "VpcId.1", "vpc-", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound"),
        ("DescribeSubnets", "SubnetId.1", "subnet-", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound"),
        (
            "DescribeRouteTables",
            "RouteTableId.1",
            "rtb-",
            "InvalidRouteTableId.Malformed",
            "InvalidRouteTableID.NotFound",
        ),
        (
            "DescribeInternetGateways",
            "InternetGatewayId.1",
            "igw-",
            "InvalidInternetGatewayId.Malformed",
            "InvalidInternetGatewayID.NotFound",
        ),
        (
            "DescribeNetworkInterfaces",
            "NetworkInterfaceId.1",
            "eni-",
            "InvalidNetworkInterfaceId.Malformed",
            "InvalidNetworkInterfaceID.NotFound",
        ),
        ("DescribeSecurityGroups", "GroupId.1", "sg-", "InvalidGroupId.Malformed", "InvalidGroup.NotFound"),
        ("DescribeInstances", "InstanceId.1", "i-", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound"),
        (
            "DescribeAddresses",
            "AllocationId.1",
            "eipalloc-",
            "InvalidAllocationID.Malformed",
            "InvalidAllocationID.NotFound",
        ),
        (
            "DescribeVpcEndpoints",
            "VpcEndpointId.1",
            "vpce-",
            "InvalidVpcEndpointId.Malformed",
            "InvalidVpcEndpointId.NotFound",
        ),
        ("DescribeImages", "ImageId.1", "ami-", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound"),
        ("DescribeNatGateways", "NatGatewayId.1", "nat-", "NatGatewayMalformed", "NatGatewayNotFound"),
        (
            "DescribeNetworkAcls",
            "NetworkAclId.1",
            "acl-",
            "InvalidNetworkAclId.Malformed",
            "InvalidNetworkAclID.NotFound",
        ),
    ];
    for (action, parameter, prefix, malformed, missing) in cases {
        assert_eq!(client.code(action, &[(parameter, "nonsense")]), malformed, "{action}");
        let id = format!("{prefix}0123456789abcdef0");
        assert_eq!(client.code(action, &[(parameter, &id)]), missing, "{action}");
    }
}

#[test]
fn identifiers_have_seventeen_digits() {
    let vpc = Client::new().vpc("10.0.0.0/16");
    assert!(vpc.parse::<crate::model::VpcId>().is_ok() && vpc.len() == "vpc-".len() + 17, "{vpc}");
}

#[test]
fn dry_run_says_what_would_happen_and_changes_nothing() {
    let mut client = Client::new();
    let response = client.send("CreateVpc", &[("CidrBlock", "10.0.0.0/16"), ("DryRun", "true")]);
    assert_eq!((response.status, text(&response.body, "Code").as_str()), (412, "DryRunOperation"));
    assert!(client.world.network.vpcs.shown().is_empty());
    assert_eq!(client.code("CreateVpc", &[("CidrBlock", "10.0.0.0/8"), ("DryRun", "true")]), "InvalidVpc.Range");
}

#[test]
fn the_same_token_gives_the_same_answer_and_another_request_is_refused() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let other = client.vpc("10.1.0.0/16");
    let request = [("VpcId", vpc.as_str()), ("ClientToken", "t1")];
    let first = client.get("CreateRouteTable", &request, "routeTableId");
    assert_eq!(client.get("CreateRouteTable", &request, "routeTableId"), first);
    let tables = client.world.network.route_tables.shown().len();
    assert_eq!(tables, 3, "two main tables and one more");
    assert_eq!(
        client.code("CreateRouteTable", &[("VpcId", &other), ("ClientToken", "t1")]),
        "IdempotentParameterMismatch"
    );
}

#[test]
fn a_token_expires_after_a_day() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let request = [("VpcId", vpc.as_str()), ("ClientToken", "t1")];
    let first = client.get("CreateRouteTable", &request, "routeTableId");
    client.pass(Duration::from_secs(24 * 3600));
    assert_ne!(client.get("CreateRouteTable", &request, "routeTableId"), first);
}

#[test]
fn filters_select_by_tag_and_value_and_unknown_ones_are_refused() {
    let mut client = Client::new();
    let named = [
        ("CidrBlock", "10.0.0.0/16"),
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "nat-test"),
    ];
    let vpc = client.get("CreateVpc", &named, "vpcId");
    client.vpc("10.1.0.0/16");
    let filter = |name, value| [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
    for (name, value) in [("tag:Name", "nat-*"), ("tag-key", "Name"), ("cidr", "10.0.0.0/16"), ("vpc-id", &vpc)] {
        let found = client.ok("DescribeVpcs", &filter(name, value));
        assert_eq!(texts(&found, "vpcId"), std::slice::from_ref(&vpc), "{name}");
    }
    assert_eq!(client.code("DescribeVpcs", &filter("no-such-filter", "x")), "InvalidParameterValue");
}

#[test]
fn pages_hold_what_was_asked_for_and_go_on() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    let made: Vec<String> = (0..7).map(|n| client.subnet(&vpc, &format!("10.0.{n}.0/24"))).collect();
    let first = client.ok("DescribeSubnets", &[("MaxResults", "5")]);
    let token = text(&first, "nextToken");
    let second = client.ok("DescribeSubnets", &[("MaxResults", "5"), ("NextToken", &token)]);
    let mut seen = texts(&first, "subnetId");
    assert_eq!(seen.len(), 5);
    seen.extend(texts(&second, "subnetId"));
    seen.sort();
    let mut made = made;
    made.sort();
    assert_eq!(seen, made);
    assert_eq!(text(&second, "nextToken"), "");
    assert_eq!(client.code("DescribeSubnets", &[("NextToken", "%%%")]), "InvalidNextToken");
}

#[test]
fn tags_are_created_described_and_deleted() {
    let mut client = Client::new();
    let vpc = client.vpc("10.0.0.0/16");
    client.ok("CreateTags", &[("ResourceId.1", &vpc), ("Tag.1.Key", "a"), ("Tag.1.Value", "<&>")]);
    let filter = [("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", vpc.as_str())];
    let tags = client.ok("DescribeTags", &filter);
    assert_eq!((text(&tags, "key"), text(&tags, "value")), ("a".to_owned(), "<&>".to_owned()));
    assert_eq!(text(&tags, "resourceType"), "vpc");
    client.ok("DeleteTags", &[("ResourceId.1", &vpc), ("Tag.1.Key", "a"), ("Tag.1.Value", "other")]);
    assert_eq!(texts(&client.ok("DescribeTags", &filter), "key").len(), 1, "another value is not removed");
    client.ok("DeleteTags", &[("ResourceId.1", &vpc), ("Tag.1.Key", "a")]);
    assert!(texts(&client.ok("DescribeTags", &filter), "key").is_empty());
    let reserved = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", "aws:x"), ("Tag.1.Value", "")];
    assert_eq!(client.code("CreateTags", &reserved), "InvalidParameterValue");
}

#[test]
fn tags_of_another_kind_of_resource_are_refused() {
    let wrong = [
        ("CidrBlock", "10.0.0.0/16"),
        ("TagSpecification.1.ResourceType", "subnet"),
        ("TagSpecification.1.Tag.1.Key", "a"),
    ];
    assert_eq!(Client::new().code("CreateVpc", &wrong), "InvalidParameterValue");
}

#[test]
fn with_eventual_consistency_a_new_vpc_is_not_found_for_a_while() {
    let mut client = Client::new();
    client.world.consistency = Duration::from_secs(2);
    let vpc = client.vpc("10.0.0.0/16");
    assert!(!client.ok("DescribeVpcs", &[]).contains(&vpc));
    assert_eq!(client.code("CreateRouteTable", &[("VpcId", &vpc)]), "InvalidVpcID.NotFound");
    client.pass(Duration::from_secs(2));
    assert!(client.ok("DescribeVpcs", &[]).contains(&vpc));
    client.ok("CreateRouteTable", &[("VpcId", &vpc)]);
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let made = || {
        let mut client = Client::new();
        let article = client.article();
        client.instance(&article.public);
        serde_json::to_string(&client.world.network).unwrap()
    };
    assert_eq!(made(), made());
}

#[test]
fn a_world_survives_being_written_down() {
    let mut client = Client::new();
    let article = client.article();
    client.instance(&article.public);
    let text = serde_json::to_string(&client.world).unwrap();
    let back: World = serde_json::from_str(&text).unwrap();
    assert_eq!(back.network, client.world.network);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}
