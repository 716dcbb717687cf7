"""Some two hundred calls that moto and the sandbox are both asked: what works, and what must be refused.

`talk(tape)` makes them in order and takes everything away again. Calls whose answer is about what a simulated host does
are not here: moto has no hosts. Nor is what moto allows and AWS refuses, where it makes or takes away something (a
subnet that is too small, an address that is in use): the two conversations would go on about different things.
breadth_ec2.py asks the sandbox for those.
"""

import json

ASSUME_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
        ],
    }
)
ASSUME_ACCOUNT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
    }
)
READ_EC2 = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}
)
CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"


def tags(kind, **pairs):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


def only(name, *values):
    return [{"Name": name, "Values": list(values)}]


def talk(tape):
    call, made = tape.call, tape.made
    call("sts.get_caller_identity")
    vpc = vpcs(call, made)
    subnets = networks(call, made, vpc)
    gateways(call, made, vpc, subnets)
    tables(call, made, vpc, subnets)
    groups(call, made, vpc)
    acls(call, made, vpc)
    profile = iam(call, made)
    hosts(tape, vpc, subnets, profile)
    endpoints(tape, vpc, subnets)
    parameters(call, made)
    documents(call, made)
    farewell(tape, vpc, subnets)


def vpcs(call, made):
    vpc = made("ec2.create_vpc", CidrBlock="10.8.0.0/16", TagSpecifications=tags("vpc", Name="nat-test"))
    vpc = vpc["Vpc"]["VpcId"]
    call("ec2.create_vpc", CidrBlock="10.8.0.0/8")
    call("ec2.create_vpc", CidrBlock="10.8.0.0/29")
    call("ec2.create_vpc", CidrBlock="not-a-block")
    call("ec2.create_vpc", CidrBlock="10.9.0.0/16", DryRun=True)
    call("ec2.describe_vpcs", VpcIds=[vpc])
    call("ec2.describe_vpcs", Filters=only("tag:Name", "nat-test"))
    call("ec2.describe_vpcs", Filters=only("tag:Name", "nat-*"))
    call("ec2.describe_vpcs", Filters=only("cidr", "10.8.0.0/16"))
    call("ec2.describe_vpcs", Filters=only("tag:Name", "nobody"))
    call("ec2.describe_vpcs", VpcIds=["vpc-0123456789abcdef0"])
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        call("ec2.describe_vpc_attribute", VpcId=vpc, Attribute=attribute)
    call("ec2.modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    call("ec2.describe_vpc_attribute", VpcId=vpc, Attribute="enableDnsHostnames")
    call("ec2.describe_vpc_attribute", VpcId="vpc-0123456789abcdef0", Attribute="enableDnsSupport")
    call("ec2.modify_vpc_attribute", VpcId="vpc-0123456789abcdef0", EnableDnsSupport={"Value": True})
    call("ec2.create_tags", Resources=[vpc], Tags=[{"Key": "team", "Value": "network"}])
    call("ec2.describe_tags", Filters=only("resource-id", vpc))
    call("ec2.delete_tags", Resources=[vpc], Tags=[{"Key": "team"}])
    call("ec2.describe_tags", Filters=only("resource-id", vpc))
    call("ec2.create_tags", Resources=["vpc-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
    call("ec2.delete_vpc", VpcId="vpc-0123456789abcdef0")
    return vpc


def networks(call, made, vpc):
    def subnet(name, block):
        made_one = made(
            "ec2.create_subnet",
            VpcId=vpc,
            CidrBlock=block,
            AvailabilityZone="eu-central-1b",
            TagSpecifications=tags("subnet", Name=name),
        )
        return made_one["Subnet"]["SubnetId"]

    public, private = subnet("public", "10.8.1.0/24"), subnet("private", "10.8.2.0/24")
    call("ec2.create_subnet", VpcId=vpc, CidrBlock="10.8.1.128/25")
    call("ec2.create_subnet", VpcId=vpc, CidrBlock="10.9.1.0/24")
    call("ec2.create_subnet", VpcId=vpc, CidrBlock="10.8.3.0/24", AvailabilityZone="eu-central-1z")
    call("ec2.create_subnet", VpcId="vpc-0123456789abcdef0", CidrBlock="10.8.3.0/24")
    call("ec2.modify_subnet_attribute", SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    call("ec2.modify_subnet_attribute", SubnetId="subnet-0123456789abcdef0", MapPublicIpOnLaunch={"Value": True})
    call("ec2.describe_subnets", SubnetIds=[public])
    call("ec2.describe_subnets", Filters=only("vpc-id", vpc))
    call("ec2.describe_subnets", Filters=only("vpc-id", vpc) + only("tag:Name", "private"))
    call("ec2.describe_subnets", SubnetIds=["subnet-0123456789abcdef0"])
    call("ec2.delete_subnet", SubnetId="subnet-0123456789abcdef0")
    call("ec2.describe_availability_zones", ZoneNames=["eu-central-1b"])
    call("ec2.describe_regions", RegionNames=["eu-central-1"])
    call("ec2.describe_regions", RegionNames=["eu-nowhere-1"])
    return public, private


def gateways(call, made, vpc, subnets):
    igw = made("ec2.create_internet_gateway", TagSpecifications=tags("internet-gateway", Name="igw"))
    igw = igw["InternetGateway"]["InternetGatewayId"]
    call("ec2.attach_internet_gateway", InternetGatewayId=igw, VpcId=vpc)
    call("ec2.attach_internet_gateway", InternetGatewayId=igw, VpcId=vpc)
    call("ec2.attach_internet_gateway", InternetGatewayId="igw-0123456789abcdef0", VpcId=vpc)
    call("ec2.describe_internet_gateways", InternetGatewayIds=[igw])
    call("ec2.describe_internet_gateways", Filters=only("attachment.vpc-id", vpc))
    call("ec2.describe_internet_gateways", InternetGatewayIds=["igw-0123456789abcdef0"])
    call("ec2.delete_internet_gateway", InternetGatewayId=igw)
    call("ec2.detach_internet_gateway", InternetGatewayId=igw, VpcId="vpc-0123456789abcdef0")
    call("ec2.delete_internet_gateway", InternetGatewayId="igw-0123456789abcdef0")
    eigw = made("ec2.create_egress_only_internet_gateway", VpcId=vpc)
    eigw = eigw["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
    call("ec2.describe_egress_only_internet_gateways", EgressOnlyInternetGatewayIds=[eigw])
    call("ec2.delete_egress_only_internet_gateway", EgressOnlyInternetGatewayId=eigw)
    call("ec2.create_nat_gateway", SubnetId=subnets[0], AllocationId="eipalloc-0123456789abcdef0")
    call("ec2.create_nat_gateway", SubnetId="subnet-0123456789abcdef0", ConnectivityType="private")
    call("ec2.delete_nat_gateway", NatGatewayId="nat-0123456789abcdef0")
    call("ec2.describe_nat_gateways", NatGatewayIds=["nat-0123456789abcdef0"])


def tables(call, made, vpc, subnets):
    call("ec2.describe_route_tables", Filters=only("vpc-id", vpc) + only("association.main", "true"))
    table = made("ec2.create_route_table", VpcId=vpc, TagSpecifications=tags("route-table", Name="public-rtb"))
    table = table["RouteTable"]["RouteTableId"]
    call("ec2.create_route_table", VpcId="vpc-0123456789abcdef0")
    association = made("ec2.associate_route_table", RouteTableId=table, SubnetId=subnets[0])["AssociationId"]
    call("ec2.associate_route_table", RouteTableId="rtb-0123456789abcdef0", SubnetId=subnets[0])
    call("ec2.associate_route_table", RouteTableId=table, SubnetId="subnet-0123456789abcdef0")
    igw = call("ec2.describe_internet_gateways", quiet=True)["InternetGateways"]
    igw = next(one for one in igw if one["Attachments"])["InternetGatewayId"]
    call("ec2.create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    call("ec2.create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    call("ec2.create_route", RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=igw)
    call("ec2.create_route", RouteTableId=table, DestinationCidrBlock="9.9.9.9/32", GatewayId="igw-0123456789abcdef0")
    call(
        "ec2.create_route",
        RouteTableId=table,
        DestinationCidrBlock="9.9.9.9/32",
        NetworkInterfaceId="eni-0123456789abcdef0",
    )
    call("ec2.create_route", RouteTableId="rtb-0123456789abcdef0", DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    call("ec2.create_route", RouteTableId=table, DestinationIpv6CidrBlock="::/0", GatewayId=igw)
    call("ec2.replace_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    call("ec2.replace_route", RouteTableId=table, DestinationCidrBlock="9.9.9.0/24", GatewayId=igw)
    call("ec2.describe_route_tables", RouteTableIds=[table])
    call("ec2.describe_route_tables", Filters=only("association.subnet-id", subnets[0]))
    call("ec2.describe_route_tables", Filters=only("association.route-table-association-id", association))
    call("ec2.describe_route_tables", RouteTableIds=["rtb-0123456789abcdef0"])
    call("ec2.delete_route", RouteTableId=table, DestinationIpv6CidrBlock="::/0")
    call("ec2.delete_route", RouteTableId=table, DestinationCidrBlock="9.9.9.0/24")
    call("ec2.delete_route_table", RouteTableId=table)
    other = made("ec2.create_route_table", VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = call("ec2.replace_route_table_association", AssociationId=association, RouteTableId=other)
    association = association.get("NewAssociationId", "rtbassoc-0123456789abcdef0")
    call("ec2.disassociate_route_table", AssociationId=association)
    call("ec2.disassociate_route_table", AssociationId=association)
    call("ec2.delete_route_table", RouteTableId=other)
    call("ec2.delete_route_table", RouteTableId=other)
    call("ec2.associate_route_table", RouteTableId=table, SubnetId=subnets[0])


def groups(call, made, vpc):
    call("ec2.describe_security_groups", Filters=only("vpc-id", vpc) + only("group-name", "default"))
    nat = made("ec2.create_security_group", GroupName="NAT", Description="nat", VpcId=vpc)["GroupId"]
    private = made(
        "ec2.create_security_group",
        GroupName="Private",
        Description="private",
        VpcId=vpc,
        TagSpecifications=tags("security-group", Name="Private"),
    )["GroupId"]
    call("ec2.create_security_group", GroupName="NAT", Description="again", VpcId=vpc)
    ssh = [
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "158.0.0.0/8", "Description": "me"}],
        }
    ]
    from_private = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": private}]}]
    call("ec2.authorize_security_group_ingress", GroupId=nat, IpPermissions=ssh)
    call("ec2.authorize_security_group_ingress", GroupId=nat, IpPermissions=ssh)
    call("ec2.authorize_security_group_ingress", GroupId=nat, IpPermissions=from_private)
    call("ec2.authorize_security_group_ingress", GroupId="sg-0123456789abcdef0", IpPermissions=ssh)
    wrong = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]}]
    call("ec2.authorize_security_group_ingress", GroupId=nat, IpPermissions=wrong)
    bad_block = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "300.0.0.0/8"}]}]
    call("ec2.authorize_security_group_ingress", GroupId=nat, IpPermissions=bad_block)
    https = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    call("ec2.authorize_security_group_egress", GroupId=nat, IpPermissions=https)
    call("ec2.describe_security_groups", GroupIds=[nat])
    call("ec2.describe_security_groups", Filters=only("ip-permission.cidr", "158.0.0.0/8"))
    call("ec2.describe_security_group_rules", Filters=only("group-id", nat))
    call("ec2.revoke_security_group_egress", GroupId=nat, IpPermissions=https)
    call("ec2.revoke_security_group_ingress", GroupId=nat, IpPermissions=ssh)
    call("ec2.revoke_security_group_ingress", GroupId=nat, IpPermissions=ssh)
    call("ec2.describe_security_groups", GroupIds=[nat])
    call("ec2.describe_security_groups", GroupIds=["sg-0123456789abcdef0"])
    call("ec2.describe_security_groups", GroupNames=["nobody"])
    call("ec2.delete_security_group", GroupId="sg-0123456789abcdef0")
    call("ec2.revoke_security_group_ingress", GroupId=nat, IpPermissions=from_private)
    call("ec2.delete_security_group", GroupId=private)
    call("ec2.delete_security_group", GroupId=nat)


def acls(call, made, vpc):
    call("ec2.describe_network_acls", Filters=only("vpc-id", vpc))
    acl = made("ec2.create_network_acl", VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    call("ec2.create_network_acl", VpcId="vpc-0123456789abcdef0")
    entry = dict(
        NetworkAclId=acl,
        RuleNumber=100,
        Protocol="6",
        RuleAction="allow",
        Egress=False,
        CidrBlock="0.0.0.0/0",
        PortRange={"From": 1024, "To": 65535},
    )
    call("ec2.create_network_acl_entry", **entry)
    call("ec2.create_network_acl_entry", **entry)
    call("ec2.replace_network_acl_entry", **(entry | {"RuleAction": "deny"}))
    call("ec2.describe_network_acls", NetworkAclIds=[acl])
    call("ec2.delete_network_acl_entry", NetworkAclId=acl, RuleNumber=100, Egress=False)
    call("ec2.delete_network_acl_entry", NetworkAclId=acl, RuleNumber=100, Egress=False)
    call("ec2.describe_network_acls", NetworkAclIds=["acl-0123456789abcdef0"])
    call("ec2.delete_network_acl", NetworkAclId=acl)
    call("ec2.delete_network_acl", NetworkAclId=acl)


def iam(call, made):
    made("iam.create_role", RoleName="ssm-role", AssumeRolePolicyDocument=ASSUME_EC2, Description="for SSM")
    call("iam.create_role", RoleName="ssm-role", AssumeRolePolicyDocument=ASSUME_EC2)
    call("iam.create_role", RoleName="broken", AssumeRolePolicyDocument="{not json")
    made("iam.create_role", RoleName="human", Path="/people/", AssumeRolePolicyDocument=ASSUME_ACCOUNT)
    call("iam.get_role", RoleName="ssm-role")
    call("iam.get_role", RoleName="nobody")
    call("iam.list_roles", PathPrefix="/people/")
    call("iam.update_assume_role_policy", RoleName="human", PolicyDocument=ASSUME_EC2)
    call("iam.update_assume_role_policy", RoleName="nobody", PolicyDocument=ASSUME_EC2)
    call("iam.update_role", RoleName="ssm-role", Description="changed", MaxSessionDuration=7200)
    call("iam.update_role_description", RoleName="ssm-role", Description="changed again")
    call("iam.tag_role", RoleName="ssm-role", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    call("iam.list_role_tags", RoleName="ssm-role")
    call("iam.untag_role", RoleName="ssm-role", TagKeys=["a"])
    call("iam.list_role_tags", RoleName="ssm-role")
    call("iam.attach_role_policy", RoleName="ssm-role", PolicyArn=CORE)
    call("iam.attach_role_policy", RoleName="ssm-role", PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")
    call("iam.attach_role_policy", RoleName="nobody", PolicyArn=CORE)
    call("iam.list_attached_role_policies", RoleName="ssm-role")
    call("iam.list_entities_for_policy", PolicyArn=CORE)
    call("iam.put_role_policy", RoleName="ssm-role", PolicyName="read", PolicyDocument=READ_EC2)
    call("iam.put_role_policy", RoleName="ssm-role", PolicyName="bad", PolicyDocument="{}")
    call("iam.get_role_policy", RoleName="ssm-role", PolicyName="read")
    call("iam.get_role_policy", RoleName="ssm-role", PolicyName="nothing")
    call("iam.list_role_policies", RoleName="ssm-role")
    call("iam.list_role_policies", RoleName="nobody")
    policy = made(
        "iam.create_policy", PolicyName="reader", PolicyDocument=READ_EC2, Tags=[{"Key": "k", "Value": "v"}]
    )["Policy"]["Arn"]
    call("iam.create_policy", PolicyName="reader", PolicyDocument=READ_EC2)
    call("iam.get_policy", PolicyArn=policy)
    call("iam.get_policy", PolicyArn=policy + "x")
    call("iam.create_policy_version", PolicyArn=policy, PolicyDocument=READ_EC2, SetAsDefault=True)
    call("iam.list_policy_versions", PolicyArn=policy)
    call("iam.get_policy_version", PolicyArn=policy, VersionId="v2")
    call("iam.get_policy_version", PolicyArn=policy, VersionId="v9")
    call("iam.delete_policy_version", PolicyArn=policy, VersionId="v2")
    call("iam.set_default_policy_version", PolicyArn=policy, VersionId="v1")
    call("iam.delete_policy_version", PolicyArn=policy, VersionId="v2")
    call("iam.tag_policy", PolicyArn=policy, Tags=[{"Key": "k2", "Value": "v2"}])
    call("iam.list_policy_tags", PolicyArn=policy)
    call("iam.untag_policy", PolicyArn=policy, TagKeys=["k", "k2"])
    call("iam.list_policies", Scope="Local")
    call("iam.attach_role_policy", RoleName="human", PolicyArn=policy)
    call("iam.put_role_permissions_boundary", RoleName="human", PermissionsBoundary=policy)
    call("iam.get_role", RoleName="human")
    call("iam.delete_role_permissions_boundary", RoleName="human")
    profile = made("iam.create_instance_profile", InstanceProfileName="ssm-profile")["InstanceProfile"]["Arn"]
    call("iam.create_instance_profile", InstanceProfileName="ssm-profile")
    call("iam.add_role_to_instance_profile", InstanceProfileName="ssm-profile", RoleName="ssm-role")
    call("iam.add_role_to_instance_profile", InstanceProfileName="ssm-profile", RoleName="human")
    call("iam.add_role_to_instance_profile", InstanceProfileName="nothing", RoleName="human")
    call("iam.get_instance_profile", InstanceProfileName="ssm-profile")
    call("iam.get_instance_profile", InstanceProfileName="nothing")
    call("iam.list_instance_profiles")
    call("iam.list_instance_profiles_for_role", RoleName="ssm-role")
    call("iam.tag_instance_profile", InstanceProfileName="ssm-profile", Tags=[{"Key": "k", "Value": "v"}])
    call("iam.list_instance_profile_tags", InstanceProfileName="ssm-profile")
    call("iam.delete_instance_profile", InstanceProfileName="ssm-profile")
    call("iam.delete_role", RoleName="ssm-role")
    call("iam.delete_role", RoleName="nobody")
    call("iam.get_user", UserName="nobody")
    call("sts.assume_role", RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="session", DurationSeconds=900)
    call("sts.get_session_token", DurationSeconds=900)
    return profile


def hosts(tape, vpc, subnets, profile):
    call, made = tape.call, tape.made
    public, private = subnets
    image = made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    if not image.startswith("ami-"):
        raise AssertionError(image)
    call("ec2.describe_images", ImageIds=["ami-0123456789abcdef0"])
    call("ec2.describe_instance_types", InstanceTypes=["t4g.nano"])
    call("ec2.describe_instance_types", InstanceTypes=["t4g.enormous"])
    key = made("ec2.create_key_pair", KeyName="nat-kp", KeyType="ed25519")["KeyPairId"]
    call("ec2.create_key_pair", KeyName="nat-kp")
    call("ec2.describe_key_pairs", KeyNames=["nat-kp"])
    call("ec2.describe_key_pairs", KeyPairIds=[key])
    call("ec2.describe_key_pairs", KeyNames=["nobody"])
    group = made("ec2.create_security_group", GroupName="hosts", Description="hosts", VpcId=vpc)["GroupId"]
    launch = dict(ImageId=image, InstanceType="t4g.nano", MinCount=1, MaxCount=1, SubnetId=private)
    host = made(
        "ec2.run_instances",
        **launch,
        SecurityGroupIds=[group],
        KeyName="nat-kp",
        TagSpecifications=tags("instance", Name="host"),
        IamInstanceProfile={"Name": "ssm-profile"},
        UserData="#!/bin/bash\ntrue\n",
    )["Instances"][0]["InstanceId"]
    call("ec2.run_instances", **(launch | {"SubnetId": "subnet-0123456789abcdef0"}))
    call("ec2.run_instances", **launch, SecurityGroupIds=["sg-0123456789abcdef0"])
    call("ec2.run_instances", **launch, DryRun=True)
    running = lambda answer: answer["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    tape.until("ec2.describe_instances", running, InstanceIds=[host])
    call("ec2.describe_instances", InstanceIds=[host])
    call("ec2.describe_instances", Filters=only("tag:Name", "host") + only("instance-state-name", "running"))
    call("ec2.describe_instances", InstanceIds=["i-0123456789abcdef0"])
    call("ec2.describe_instances", InstanceIds=["i-x"])
    ok = lambda answer: answer["InstanceStatuses"][0]["InstanceStatus"]["Status"] == "ok"
    tape.until("ec2.describe_instance_status", ok, InstanceIds=[host])
    call("ec2.describe_instance_status", InstanceIds=[host])
    for attribute in (
        "instanceType",
        "disableApiTermination",
        "userData",
        "sourceDestCheck",
        "instanceInitiatedShutdownBehavior",
        "groupSet",
    ):
        call("ec2.describe_instance_attribute", InstanceId=host, Attribute=attribute)
    call("ec2.modify_instance_attribute", InstanceId=host, SourceDestCheck={"Value": False})
    call("ec2.describe_instance_attribute", InstanceId=host, Attribute="sourceDestCheck")
    call("ec2.modify_instance_attribute", InstanceId=host, InstanceType={"Value": "t4g.small"})
    call("ec2.modify_instance_attribute", InstanceId="i-0123456789abcdef0", SourceDestCheck={"Value": False})
    call("ec2.modify_instance_attribute", InstanceId=host, DisableApiTermination={"Value": True})
    call("ec2.terminate_instances", InstanceIds=[host])
    call("ec2.modify_instance_attribute", InstanceId=host, DisableApiTermination={"Value": False})
    call("ec2.describe_volumes", Filters=only("attachment.instance-id", host))
    call("ec2.describe_iam_instance_profile_associations", Filters=only("instance-id", host))

    eni = made("ec2.create_network_interface", SubnetId=public, Groups=[group], Description="second")
    eni = eni["NetworkInterface"]["NetworkInterfaceId"]
    call("ec2.create_network_interface", SubnetId="subnet-0123456789abcdef0")
    call("ec2.modify_network_interface_attribute", NetworkInterfaceId=eni, SourceDestCheck={"Value": False})
    call("ec2.describe_network_interfaces", NetworkInterfaceIds=[eni])
    attached = call("ec2.attach_network_interface", NetworkInterfaceId=eni, InstanceId=host, DeviceIndex=1)
    there = lambda answer: answer["NetworkInterfaces"][0].get("Attachment", {}).get("Status") == "attached"
    tape.until("ec2.describe_network_interfaces", there, NetworkInterfaceIds=[eni])
    call("ec2.describe_network_interfaces", NetworkInterfaceIds=[eni])
    call("ec2.describe_network_interfaces", NetworkInterfaceIds=["eni-0123456789abcdef0"])

    address = made("ec2.allocate_address", Domain="vpc", TagSpecifications=tags("elastic-ip", Name="nat"))
    address = address["AllocationId"]
    call("ec2.describe_addresses", AllocationIds=[address])
    associated = call("ec2.associate_address", AllocationId=address, NetworkInterfaceId=eni)
    call("ec2.associate_address", AllocationId="eipalloc-0123456789abcdef0", NetworkInterfaceId=eni)
    call("ec2.associate_address", AllocationId=address, NetworkInterfaceId="eni-0123456789abcdef0")
    call("ec2.describe_addresses", AllocationIds=[address])
    call("ec2.disassociate_address", AssociationId=associated.get("AssociationId", "eipassoc-0123456789abcdef0"))
    call("ec2.disassociate_address", AssociationId="eipassoc-0123456789abcdef0")
    call("ec2.release_address", AllocationId=address)
    call("ec2.release_address", AllocationId=address)
    call("ec2.describe_addresses", AllocationIds=[address])
    call("ec2.detach_network_interface", AttachmentId=attached.get("AttachmentId", "eni-attach-0123456789abcdef0"))
    call("ec2.detach_network_interface", AttachmentId="eni-attach-0123456789abcdef0")
    free = lambda answer: answer["NetworkInterfaces"][0]["Status"] == "available"
    tape.until("ec2.describe_network_interfaces", free, NetworkInterfaceIds=[eni])
    call("ec2.delete_network_interface", NetworkInterfaceId=eni)
    call("ec2.delete_network_interface", NetworkInterfaceId=eni)

    state = lambda name: lambda answer: answer["Reservations"][0]["Instances"][0]["State"]["Name"] == name
    call("ec2.stop_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("stopped"), InstanceIds=[host])
    call("ec2.describe_instance_status", InstanceIds=[host], IncludeAllInstances=True)
    call("ec2.modify_instance_attribute", InstanceId=host, InstanceType={"Value": "t4g.micro"})
    call("ec2.describe_instance_attribute", InstanceId=host, Attribute="instanceType")
    call("ec2.start_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("running"), InstanceIds=[host])
    call("ec2.reboot_instances", InstanceIds=[host])
    call("ec2.start_instances", InstanceIds=["i-0123456789abcdef0"])
    call("ec2.stop_instances", InstanceIds=["i-0123456789abcdef0"])
    call("ec2.delete_key_pair", KeyName="nat-kp")
    call("ec2.delete_key_pair", KeyName="nobody")
    call("ec2.terminate_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("terminated"), InstanceIds=[host])
    call("ec2.start_instances", InstanceIds=[host])
    call("ec2.terminate_instances", InstanceIds=["i-0123456789abcdef0"])
    call("ec2.delete_security_group", GroupId=group)


def endpoints(tape, vpc, subnets):
    call, made = tape.call, tape.made
    gateway = made("ec2.create_vpc_endpoint", VpcId=vpc, ServiceName="com.amazonaws.eu-central-1.s3")
    gateway = gateway["VpcEndpoint"]["VpcEndpointId"]
    interface = made(
        "ec2.create_vpc_endpoint",
        VpcId=vpc,
        VpcEndpointType="Interface",
        ServiceName="com.amazonaws.eu-central-1.ssm",
        SubnetIds=[subnets[1]],
        PrivateDnsEnabled=True,
        TagSpecifications=tags("vpc-endpoint", Name="ssm"),
    )["VpcEndpoint"]["VpcEndpointId"]
    call("ec2.create_vpc_endpoint", VpcId="vpc-0123456789abcdef0", ServiceName="com.amazonaws.eu-central-1.s3")
    call("ec2.describe_vpc_endpoints", VpcEndpointIds=["vpce-0123456789abcdef0"])
    ready = lambda answer: answer["VpcEndpoints"][0]["State"] == "available"
    tape.until("ec2.describe_vpc_endpoints", ready, VpcEndpointIds=[interface])
    call("ec2.describe_vpc_endpoints", VpcEndpointIds=[interface])
    call("ec2.describe_vpc_endpoints", VpcEndpointIds=[gateway])
    call("ec2.modify_vpc_endpoint", VpcEndpointId=interface, PrivateDnsEnabled=False)
    call("ec2.delete_vpc_endpoints", VpcEndpointIds=[gateway, interface])
    call("ec2.delete_vpc_endpoints", VpcEndpointIds=["vpce-0123456789abcdef0"])
    call("ec2.describe_prefix_lists", Filters=only("prefix-list-name", "com.amazonaws.eu-central-1.s3"))
    gone = lambda answer: not any(one["State"] != "deleted" for one in answer.get("VpcEndpoints", []))
    tape.until("ec2.describe_vpc_endpoints", gone, Filters=only("vpc-id", vpc))


def parameters(call, made):
    call("ssm.get_parameter", Name="/nothing")
    made("ssm.put_parameter", Name="/app/one", Value="1", Type="String", Description="first")
    call("ssm.put_parameter", Name="/app/one", Value="1", Type="String")
    call("ssm.put_parameter", Name="/app/one", Value="2", Type="String", Overwrite=True)
    call("ssm.put_parameter", Name="/app/deep/two", Value="a,b", Type="StringList", Tags=[{"Key": "k", "Value": "v"}])
    call("ssm.put_parameter", Name="/app/secret", Value="s3cret", Type="SecureString")
    call("ssm.put_parameter", Name="/aws/mine", Value="1", Type="String")
    call("ssm.get_parameter", Name="/app/one")
    call("ssm.get_parameter", Name="/app/one:1")
    call("ssm.get_parameter", Name="/app/secret", WithDecryption=True)
    call("ssm.get_parameters", Names=["/app/one", "/nothing"])
    call("ssm.get_parameters_by_path", Path="/app")
    call("ssm.get_parameters_by_path", Path="/app", Recursive=True)
    call("ssm.describe_parameters", ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": ["/app/"]}])
    call("ssm.get_parameter_history", Name="/app/one")
    call("ssm.label_parameter_version", Name="/app/one", ParameterVersion=1, Labels=["old"])
    call("ssm.get_parameter", Name="/app/one:old")
    call("ssm.list_tags_for_resource", ResourceType="Parameter", ResourceId="/app/deep/two")
    call(
        "ssm.add_tags_to_resource", ResourceType="Parameter", ResourceId="/app/one", Tags=[{"Key": "a", "Value": "b"}]
    )
    call("ssm.list_tags_for_resource", ResourceType="Parameter", ResourceId="/app/one")
    call("ssm.remove_tags_from_resource", ResourceType="Parameter", ResourceId="/app/one", TagKeys=["a"])
    call("ssm.delete_parameter", Name="/app/one")
    call("ssm.delete_parameter", Name="/app/one")
    call("ssm.delete_parameters", Names=["/app/deep/two", "/app/secret", "/nothing"])


def documents(call, made):
    content = {
        "schemaVersion": "2.2",
        "description": "says a word",
        "parameters": {"Word": {"type": "String", "default": "hello", "description": "which"}},
        "mainSteps": [
            {"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ["echo {{ Word }}"]}}
        ],
    }
    made("ssm.create_document", Name="Say", Content=json.dumps(content), DocumentType="Command")
    call("ssm.create_document", Name="Say", Content=json.dumps(content), DocumentType="Command")
    call("ssm.create_document", Name="Broken", Content="{", DocumentType="Command")
    call("ssm.describe_document", Name="Say")
    call("ssm.get_document", Name="Say")
    call("ssm.describe_document", Name="Nothing")
    call("ssm.get_document", Name="Nothing")
    changed = json.dumps(content | {"description": "says another"})
    call("ssm.update_document", Name="Say", Content=changed, DocumentVersion="$LATEST")
    call("ssm.update_document", Name="Say", Content=changed, DocumentVersion="$LATEST")
    call("ssm.update_document_default_version", Name="Say", DocumentVersion="2")
    call("ssm.update_document_default_version", Name="Say", DocumentVersion="9")
    call("ssm.describe_document", Name="Say")
    call("ssm.describe_document_permission", Name="Say", PermissionType="Share")
    call("ssm.list_documents", Filters=[{"Key": "Owner", "Values": ["Self"]}])
    call("ssm.delete_document", Name="Say")
    call("ssm.delete_document", Name="Say")
    call("ssm.send_command", DocumentName="Nothing", InstanceIds=["i-0123456789abcdef0"])
    call(
        "ssm.get_command_invocation",
        CommandId="12345678-1234-1234-1234-123456789012",
        InstanceId="i-0123456789abcdef0",
    )
    call("ssm.list_commands", CommandId="12345678-1234-1234-1234-123456789012")
    call("ssm.describe_instance_information")


def farewell(tape, vpc, subnets):
    call = tape.call
    tables_left = call("ec2.describe_route_tables", quiet=True, Filters=only("vpc-id", vpc))["RouteTables"]
    for table in tables_left:
        for association in table["Associations"]:
            if not association["Main"]:
                call("ec2.disassociate_route_table", AssociationId=association["RouteTableAssociationId"])
        if not any(association["Main"] for association in table["Associations"]):
            call("ec2.delete_route_table", RouteTableId=table["RouteTableId"])
    call("ec2.delete_subnet", SubnetId=subnets[0])
    call("ec2.delete_subnet", SubnetId=subnets[1])
    gateway = call("ec2.describe_internet_gateways", quiet=True, Filters=only("attachment.vpc-id", vpc))
    gateway = gateway["InternetGateways"][0]["InternetGatewayId"]
    call("ec2.detach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    call("ec2.delete_internet_gateway", InternetGatewayId=gateway)
    call("ec2.delete_vpc", VpcId=vpc)
    call("ec2.delete_vpc", VpcId=vpc)
    call("iam.remove_role_from_instance_profile", InstanceProfileName="ssm-profile", RoleName="ssm-role")
    call("iam.remove_role_from_instance_profile", InstanceProfileName="ssm-profile", RoleName="ssm-role")
    call("iam.delete_instance_profile", InstanceProfileName="ssm-profile")
    call("iam.delete_instance_profile", InstanceProfileName="ssm-profile")
    call("iam.delete_role", RoleName="ssm-role")
    call("iam.delete_role_policy", RoleName="ssm-role", PolicyName="read")
    call("iam.delete_role_policy", RoleName="ssm-role", PolicyName="read")
    call("iam.detach_role_policy", RoleName="ssm-role", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    call("iam.detach_role_policy", RoleName="ssm-role", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    call("iam.delete_role", RoleName="ssm-role")
    attached = call("iam.list_attached_role_policies", RoleName="human").get("AttachedPolicies", [])
    for policy in attached:
        call("iam.detach_role_policy", RoleName="human", PolicyArn=policy["PolicyArn"])
        call("iam.delete_policy", PolicyArn=policy["PolicyArn"])
    call("iam.delete_role", RoleName="human")
