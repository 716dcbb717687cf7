"""EC2 operations that conversation.py leaves out, each at least once with an answer that is not an error."""

from conversation import ASSUME_EC2, IMAGE_PARAMETER, only, tags
from tape import ZONE


def talk(tape):
    made = tape.made
    vpc = made("ec2.create_vpc", CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    subnet = made("ec2.create_subnet", VpcId=vpc, CidrBlock="10.30.1.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    refusals(tape, vpc, subnet)
    acls(tape, vpc, subnet)
    nat(tape, vpc, subnet)
    host(tape, vpc, subnet)
    peering(tape, vpc)
    prefix_lists(tape)
    templates(tape)
    options(tape, vpc)
    catalogue(tape)
    made("ec2.delete_subnet", SubnetId=subnet)
    made("ec2.delete_vpc", VpcId=vpc)


def refusals(tape, vpc, subnet):
    """What moto allows."""
    nowhere, no_group = "vpc-0123456789abcdef0", ["sg-0123456789abcdef0"]
    nothing = "com.amazonaws.eu-central-1.nothing"
    image = tape.made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    launch = dict(ImageId=image, InstanceType="t4g.nano", MinCount=1, MaxCount=1, SubnetId=subnet)
    for code, name, parameters in (
        ("InvalidSubnet.Range", "create_subnet", dict(VpcId=vpc, CidrBlock="10.30.3.0/29")),
        ("InvalidParameterValue", "create_security_group", dict(VpcId=vpc, GroupName="sg-x", Description="x")),
        ("InvalidVpcID.NotFound", "create_security_group", dict(VpcId=nowhere, GroupName="x", Description="x")),
        ("InvalidGroup.NotFound", "create_network_interface", dict(SubnetId=subnet, Groups=no_group)),
        ("InvalidAMIID.NotFound", "run_instances", launch | {"ImageId": "ami-0123456789abcdef0"}),
        ("InvalidKeyPair.NotFound", "run_instances", launch | {"KeyName": "nobody"}),
        ("InvalidParameterValue", "run_instances", launch | {"MinCount": 2}),
        ("InvalidServiceName", "create_vpc_endpoint", dict(VpcId=vpc, ServiceName=nothing)),
    ):
        answer = tape.call(f"ec2.{name}", **parameters)
        assert answer == {"Error": code}, (name, parameters, answer)
    group = tape.made("ec2.create_security_group", GroupName="used", Description="x", VpcId=vpc)["GroupId"]
    other = tape.made("ec2.create_security_group", GroupName="user", Description="x", VpcId=vpc)["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    tape.made("ec2.authorize_security_group_ingress", GroupId=other, IpPermissions=rule)
    answer = tape.call("ec2.delete_security_group", GroupId=group)
    assert answer == {"Error": "DependencyViolation"}, answer
    for one in (other, group):
        tape.made("ec2.delete_security_group", GroupId=one)


def acls(tape, vpc, subnet):
    made = tape.made
    acl = made("ec2.create_network_acl", VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    standard = made("ec2.describe_network_acls", Filters=only("association.subnet-id", subnet))["NetworkAcls"][0]
    association = next(one for one in standard["Associations"] if one["SubnetId"] == subnet)
    association = made(
        "ec2.replace_network_acl_association",
        AssociationId=association["NetworkAclAssociationId"],
        NetworkAclId=acl,
    )["NewAssociationId"]
    tape.call("ec2.delete_network_acl", NetworkAclId=acl)
    made("ec2.replace_network_acl_association", AssociationId=association, NetworkAclId=standard["NetworkAclId"])
    made("ec2.delete_network_acl", NetworkAclId=acl)


def nat(tape, vpc, subnet):
    made = tape.made
    gateway = made("ec2.create_internet_gateway")["InternetGateway"]["InternetGatewayId"]
    made("ec2.attach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    address = made("ec2.allocate_address", Domain="vpc")["AllocationId"]
    made("ec2.describe_addresses_attribute", AllocationIds=[address])
    nat = made("ec2.create_nat_gateway", SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    state = lambda name: lambda answer: answer["NatGateways"][0]["State"] == name
    tape.until("ec2.describe_nat_gateways", state("available"), NatGatewayIds=[nat])
    made("ec2.describe_nat_gateways", NatGatewayIds=[nat])
    made("ec2.delete_nat_gateway", NatGatewayId=nat)
    tape.until("ec2.describe_nat_gateways", state("deleted"), NatGatewayIds=[nat])
    made("ec2.release_address", AllocationId=address)
    made("ec2.detach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    made("ec2.delete_internet_gateway", InternetGatewayId=gateway)


def host(tape, vpc, subnet):
    made = tape.made
    image = made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    made("ec2.describe_images", ImageIds=[image])
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAgZNyvfVpYvPo5TsXpSVoDTF1s1bzrWtD6ZjsIzjB2Z someone@somewhere"
    made("ec2.import_key_pair", KeyName="breadth", PublicKeyMaterial=key.encode())
    made("ec2.delete_key_pair", KeyName="breadth")
    for name in ("breadth-one", "breadth-two"):
        made("iam.create_role", RoleName=name, AssumeRolePolicyDocument=ASSUME_EC2)
        made("iam.create_instance_profile", InstanceProfileName=name)
        made("iam.add_role_to_instance_profile", InstanceProfileName=name, RoleName=name)
    launched = made(
        "ec2.run_instances",
        ImageId=image,
        InstanceType="t4g.nano",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}],
        MetadataOptions={"HttpTokens": "required"},
        CreditSpecification={"CpuCredits": "unlimited"},
        TagSpecifications=tags("instance", Name="breadth") + tags("volume", Name="breadth"),
    )["Instances"][0]
    host = launched["InstanceId"]
    state = lambda name: lambda answer: answer["Reservations"][0]["Instances"][0]["State"]["Name"] == name
    tape.until("ec2.describe_instances", state("running"), InstanceIds=[host])
    for name, parameter in (("subnet", dict(SubnetId=subnet)), ("vpc", dict(VpcId=vpc))):
        refused = tape.call(f"ec2.delete_{name}", **parameter)
        assert refused == {"Error": "DependencyViolation"}, refused
    eni = made("ec2.describe_instances", InstanceIds=[host])["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]
    for attribute in ("description", "groupSet", "sourceDestCheck", "attachment"):
        made(
            "ec2.describe_network_interface_attribute",
            NetworkInterfaceId=eni["NetworkInterfaceId"],
            Attribute=attribute,
        )
    made("ec2.modify_instance_metadata_options", InstanceId=host, HttpTokens="optional", HttpPutResponseHopLimit=2)
    made("ec2.describe_instance_credit_specifications", InstanceIds=[host])
    made(
        "ec2.modify_instance_credit_specification",
        InstanceCreditSpecifications=[{"InstanceId": host, "CpuCredits": "standard"}],
    )
    made("ec2.get_console_output", InstanceId=host)
    made("ec2.describe_volumes", Filters=only("attachment.instance-id", host))
    association = made(
        "ec2.associate_iam_instance_profile", InstanceId=host, IamInstanceProfile={"Name": "breadth-one"}
    )["IamInstanceProfileAssociation"]["AssociationId"]
    association = made(
        "ec2.replace_iam_instance_profile_association",
        AssociationId=association,
        IamInstanceProfile={"Name": "breadth-two"},
    )["IamInstanceProfileAssociation"]["AssociationId"]
    made("ec2.describe_iam_instance_profile_associations", AssociationIds=[association])
    made("ec2.disassociate_iam_instance_profile", AssociationId=association)
    made("ec2.terminate_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("terminated"), InstanceIds=[host])
    for name in ("breadth-one", "breadth-two"):
        made("iam.remove_role_from_instance_profile", InstanceProfileName=name, RoleName=name)
        made("iam.delete_instance_profile", InstanceProfileName=name)
        made("iam.delete_role", RoleName=name)


def peering(tape, vpc):
    made, call = tape.made, tape.call
    other = made("ec2.create_vpc", CidrBlock="10.31.0.0/16")["Vpc"]["VpcId"]
    pair = dict(VpcId=vpc, PeerVpcId=other)

    def connection():
        made_one = made("ec2.create_vpc_peering_connection", **pair)["VpcPeeringConnection"]
        return made_one["VpcPeeringConnectionId"]

    rejected = connection()
    made("ec2.reject_vpc_peering_connection", VpcPeeringConnectionId=rejected)
    accepted = connection()
    made("ec2.accept_vpc_peering_connection", VpcPeeringConnectionId=accepted)
    made(
        "ec2.modify_vpc_peering_connection_options",
        VpcPeeringConnectionId=accepted,
        RequesterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True},
    )
    made("ec2.describe_vpc_peering_connections", VpcPeeringConnectionIds=[accepted])
    made("ec2.delete_vpc_peering_connection", VpcPeeringConnectionId=accepted)
    call("ec2.describe_vpc_peering_connections", VpcPeeringConnectionIds=["pcx-0123456789abcdef0"])
    made("ec2.delete_vpc", VpcId=other)


def prefix_lists(tape):
    made = tape.made
    prefix_list = made(
        "ec2.create_managed_prefix_list",
        PrefixListName="offices",
        AddressFamily="IPv4",
        MaxEntries=5,
        Entries=[{"Cidr": "198.51.100.0/24", "Description": "one"}],
        TagSpecifications=tags("prefix-list", Name="offices"),
    )["PrefixList"]["PrefixListId"]
    done = lambda answer: answer["PrefixLists"][0]["State"].endswith("-complete")
    tape.until("ec2.describe_managed_prefix_lists", done, PrefixListIds=[prefix_list])
    made(
        "ec2.modify_managed_prefix_list",
        PrefixListId=prefix_list,
        CurrentVersion=1,
        AddEntries=[{"Cidr": "203.0.113.0/24"}],
    )
    tape.until("ec2.describe_managed_prefix_lists", done, PrefixListIds=[prefix_list])
    made("ec2.describe_managed_prefix_lists", PrefixListIds=[prefix_list])
    made("ec2.get_managed_prefix_list_entries", PrefixListId=prefix_list)
    made("ec2.get_managed_prefix_list_associations", PrefixListId=prefix_list)
    made("ec2.delete_managed_prefix_list", PrefixListId=prefix_list)


def templates(tape):
    made = tape.made
    image = made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    data = {
        "ImageId": image,
        "InstanceType": "t4g.nano",
        "UserData": "IyEvYmluL2Jhc2gK",
        "MetadataOptions": {"HttpTokens": "required"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}],
        "TagSpecifications": tags("instance", Name="from-template"),
    }
    template = made(
        "ec2.create_launch_template",
        LaunchTemplateName="breadth",
        LaunchTemplateData=data,
        TagSpecifications=tags("launch-template", Name="breadth"),
    )["LaunchTemplate"]["LaunchTemplateId"]
    made(
        "ec2.create_launch_template_version",
        LaunchTemplateId=template,
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "t4g.micro"},
    )
    made("ec2.describe_launch_templates", LaunchTemplateIds=[template])
    made("ec2.describe_launch_template_versions", LaunchTemplateId=template)
    made("ec2.modify_launch_template", LaunchTemplateId=template, DefaultVersion="2")
    made("ec2.delete_launch_template_versions", LaunchTemplateId=template, Versions=["1"])
    made("ec2.delete_launch_template", LaunchTemplateId=template)


def options(tape, vpc):
    made = tape.made
    options = made(
        "ec2.create_dhcp_options",
        DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}],
        TagSpecifications=tags("dhcp-options", Name="breadth"),
    )["DhcpOptions"]["DhcpOptionsId"]
    made("ec2.describe_dhcp_options", DhcpOptionsIds=[options])
    made("ec2.associate_dhcp_options", DhcpOptionsId=options, VpcId=vpc)
    made("ec2.associate_dhcp_options", DhcpOptionsId="default", VpcId=vpc)
    made("ec2.delete_dhcp_options", DhcpOptionsId=options)


def catalogue(tape):
    made = tape.made
    made("ec2.describe_vpc_endpoint_services", ServiceNames=["com.amazonaws.eu-central-1.ssm"])
    made("ec2.describe_account_attributes", AttributeNames=["supported-platforms"])
    made("ec2.describe_instance_type_offerings", Filters=only("instance-type", "t4g.nano"))
    made("ec2.describe_managed_prefix_lists", Filters=only("prefix-list-name", "com.amazonaws.eu-central-1.s3"))
