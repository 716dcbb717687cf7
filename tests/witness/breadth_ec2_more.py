"""More EC2 operations, those that Terraform's provider asks for beyond a NAT's own: each once with success."""

from conversation import IMAGE_PARAMETER, only, tags
from tape import ZONE


def talk(tape):
    call, made = tape.call, tape.made
    made("ec2.create_default_vpc")
    default = made("ec2.describe_vpcs", Filters=only("is-default", "true"))["Vpcs"][0]["VpcId"]
    subnets = made("ec2.describe_subnets", Filters=only("vpc-id", default))["Subnets"]
    made("ec2.delete_subnet", SubnetId=subnets[0]["SubnetId"])
    made("ec2.create_default_subnet", AvailabilityZone=subnets[0]["AvailabilityZone"])
    vpc = made("ec2.create_vpc", CidrBlock="10.40.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    network(tape, vpc)
    groups(tape, vpc)
    subnet = made("ec2.create_subnet", VpcId=vpc, CidrBlock="10.40.1.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    subnet_block(tape, vpc, subnet)
    interfaces(tape, subnet)
    private_nat(tape, subnet)
    host(tape, subnet)
    spot(tape, subnet)
    volumes(tape)
    block_public_access(tape, vpc)
    made("ec2.delete_subnet", SubnetId=subnet)
    made("ec2.delete_vpc", VpcId=vpc)
    made("ec2.get_ebs_encryption_by_default")
    made("ec2.get_ebs_default_kms_key_id")
    call("ec2.create_default_vpc")


def network(tape, vpc):
    made = tape.made
    association = made("ec2.associate_vpc_cidr_block", VpcId=vpc, CidrBlock="10.41.0.0/16")
    association = association["CidrBlockAssociation"]["AssociationId"]
    associated = lambda answer: all(
        block["CidrBlockState"]["State"] == "associated" for block in answer["Vpcs"][0]["CidrBlockAssociationSet"]
    )
    tape.until("ec2.describe_vpcs", associated, VpcIds=[vpc])
    made("ec2.describe_vpcs", VpcIds=[vpc])
    made("ec2.disassociate_vpc_cidr_block", AssociationId=association)
    made("ec2.modify_vpc_tenancy", VpcId=vpc, InstanceTenancy="default")
    logs = made(
        "ec2.create_flow_logs",
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::some-bucket",
    )["FlowLogIds"]
    made("ec2.describe_flow_logs", FlowLogIds=logs)
    made("ec2.delete_flow_logs", FlowLogIds=logs)


def groups(tape, vpc):
    made = tape.made
    group = made("ec2.create_security_group", GroupName="more", Description="more", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    made_rule = made("ec2.authorize_security_group_ingress", GroupId=group, IpPermissions=[rule])
    rule_id = made_rule["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    described = rule | {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "web"}]}
    made("ec2.update_security_group_rule_descriptions_ingress", GroupId=group, IpPermissions=[described])
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "out"}]}
    made("ec2.update_security_group_rule_descriptions_egress", GroupId=group, IpPermissions=[everything])
    new = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIpv4": "10.0.0.0/8"}
    made(
        "ec2.modify_security_group_rules",
        GroupId=group,
        SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": new}],
    )
    made("ec2.describe_security_group_rules", SecurityGroupRuleIds=[rule_id])
    made("ec2.delete_security_group", GroupId=group)


def subnet_block(tape, vpc, subnet):
    made = tape.made
    block = made("ec2.describe_vpcs", VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    made("ec2.associate_subnet_cidr_block", SubnetId=subnet, Ipv6CidrBlock=block.replace("/56", "/64"))


def interfaces(tape, subnet):
    made = tape.made
    eni = made("ec2.create_network_interface", SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    more = made("ec2.assign_private_ip_addresses", NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=2)
    addresses = [one["PrivateIpAddress"] for one in more["AssignedPrivateIpAddresses"]]
    made("ec2.unassign_private_ip_addresses", NetworkInterfaceId=eni, PrivateIpAddresses=addresses)
    six = made("ec2.assign_ipv6_addresses", NetworkInterfaceId=eni, Ipv6AddressCount=1)["AssignedIpv6Addresses"]
    made("ec2.describe_network_interfaces", NetworkInterfaceIds=[eni])
    made("ec2.unassign_ipv6_addresses", NetworkInterfaceId=eni, Ipv6Addresses=six)
    made("ec2.delete_network_interface", NetworkInterfaceId=eni)
    association = made("ec2.describe_subnets", SubnetIds=[subnet])["Subnets"][0]["Ipv6CidrBlockAssociationSet"][0]
    made("ec2.disassociate_subnet_cidr_block", AssociationId=association["AssociationId"])


def private_nat(tape, subnet):
    made = tape.made
    nat = made("ec2.create_nat_gateway", SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    state = lambda name: lambda answer: answer["NatGateways"][0]["State"] == name
    tape.until("ec2.describe_nat_gateways", state("available"), NatGatewayIds=[nat])
    added = made("ec2.assign_private_nat_gateway_address", NatGatewayId=nat, PrivateIpAddressCount=1)
    added = added["NatGatewayAddresses"][-1]["PrivateIp"]
    made("ec2.describe_nat_gateways", NatGatewayIds=[nat])
    made("ec2.unassign_private_nat_gateway_address", NatGatewayId=nat, PrivateIpAddresses=[added])
    made("ec2.delete_nat_gateway", NatGatewayId=nat)
    tape.until("ec2.describe_nat_gateways", state("deleted"), NatGatewayIds=[nat])
    default = made("ec2.describe_subnets", Filters=only("default-for-az", "true"))["Subnets"][0]["SubnetId"]
    first, second = (made("ec2.allocate_address", Domain="vpc")["AllocationId"] for _ in range(2))
    nat = made("ec2.create_nat_gateway", SubnetId=default, AllocationId=first)["NatGateway"]["NatGatewayId"]
    tape.until("ec2.describe_nat_gateways", state("available"), NatGatewayIds=[nat])
    made("ec2.associate_nat_gateway_address", NatGatewayId=nat, AllocationIds=[second])
    gateway = made("ec2.describe_nat_gateways", NatGatewayIds=[nat])["NatGateways"][0]
    association = next(one for one in gateway["NatGatewayAddresses"] if one["AllocationId"] == second)
    made("ec2.disassociate_nat_gateway_address", NatGatewayId=nat, AssociationIds=[association["AssociationId"]])
    made("ec2.delete_nat_gateway", NatGatewayId=nat)
    tape.until("ec2.describe_nat_gateways", state("deleted"), NatGatewayIds=[nat])
    for address in (first, second):
        made("ec2.release_address", AllocationId=address)


def host(tape, subnet):
    made = tape.made
    image = made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    made("ec2.create_placement_group", GroupName="more", Strategy="spread")
    made("ec2.describe_placement_groups", GroupNames=["more"])
    host = made(
        "ec2.run_instances", ImageId=image, InstanceType="t4g.nano", MinCount=1, MaxCount=1, SubnetId=subnet
    )["Instances"][0]["InstanceId"]
    state = lambda name: lambda answer: answer["Reservations"][0]["Instances"][0]["State"]["Name"] == name
    tape.until("ec2.describe_instances", state("running"), InstanceIds=[host])
    made("ec2.monitor_instances", InstanceIds=[host])
    made("ec2.unmonitor_instances", InstanceIds=[host])
    made("ec2.modify_instance_maintenance_options", InstanceId=host, AutoRecovery="disabled")
    made("ec2.modify_private_dns_name_options", InstanceId=host, EnableResourceNameDnsARecord=True)
    made(
        "ec2.modify_instance_capacity_reservation_attributes",
        InstanceId=host,
        CapacityReservationSpecification={"CapacityReservationPreference": "none"},
    )
    made("ec2.stop_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("stopped"), InstanceIds=[host])
    made("ec2.modify_instance_placement", InstanceId=host, GroupName="more")
    volume = made(
        "ec2.create_volume",
        AvailabilityZone=ZONE,
        Size=1,
        VolumeType="gp3",
        TagSpecifications=tags("volume", Name="more"),
    )["VolumeId"]
    usable = lambda name: lambda answer: answer["Volumes"][0]["State"] == name
    tape.until("ec2.describe_volumes", usable("available"), VolumeIds=[volume])
    made("ec2.attach_volume", VolumeId=volume, InstanceId=host, Device="/dev/sdf")
    tape.until("ec2.describe_volumes", usable("in-use"), VolumeIds=[volume])
    made("ec2.describe_volumes", VolumeIds=[volume])
    made("ec2.detach_volume", VolumeId=volume)
    tape.until("ec2.describe_volumes", usable("available"), VolumeIds=[volume])
    made("ec2.delete_volume", VolumeId=volume)
    made("ec2.terminate_instances", InstanceIds=[host])
    tape.until("ec2.describe_instances", state("terminated"), InstanceIds=[host])
    made("ec2.delete_placement_group", GroupName="more")


def spot(tape, subnet):
    made = tape.made
    image = made("ssm.get_parameter", Name=IMAGE_PARAMETER)["Parameter"]["Value"]
    bought = made(
        "ec2.run_instances",
        ImageId=image,
        InstanceType="t4g.nano",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        InstanceMarketOptions={"MarketType": "spot"},
    )["Instances"][0]
    request, host = bought["SpotInstanceRequestId"], bought["InstanceId"]
    made("ec2.describe_spot_instance_requests", SpotInstanceRequestIds=[request])
    made("ec2.cancel_spot_instance_requests", SpotInstanceRequestIds=[request])
    made("ec2.terminate_instances", InstanceIds=[host])
    gone = lambda answer: answer["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated"
    tape.until("ec2.describe_instances", gone, InstanceIds=[host])


def volumes(tape):
    made = tape.made
    volume = made("ec2.create_volume", AvailabilityZone=ZONE, Size=1, VolumeType="gp3")["VolumeId"]
    usable = lambda answer: answer["Volumes"][0]["State"] == "available"
    tape.until("ec2.describe_volumes", usable, VolumeIds=[volume])
    made("ec2.modify_volume", VolumeId=volume, Size=2)
    made("ec2.describe_volumes_modifications", VolumeIds=[volume])
    snapshot = made("ec2.create_snapshot", VolumeId=volume, Description="more")["SnapshotId"]
    complete = lambda answer: answer["Snapshots"][0]["State"] == "completed"
    tape.until("ec2.describe_snapshots", complete, SnapshotIds=[snapshot])
    made("ec2.describe_snapshots", SnapshotIds=[snapshot])
    made("ec2.delete_snapshot", SnapshotId=snapshot)
    made("ec2.delete_volume", VolumeId=volume)


def block_public_access(tape, vpc):
    made = tape.made
    made("ec2.describe_vpc_block_public_access_options")
    exclude = {"VpcId": vpc, "InternetGatewayExclusionMode": "allow-bidirectional"}
    made_exclusion = made("ec2.create_vpc_block_public_access_exclusion", **exclude)
    exclusion = made_exclusion["VpcBlockPublicAccessExclusion"]["ExclusionId"]
    made("ec2.describe_vpc_block_public_access_exclusions", ExclusionIds=[exclusion])
    made("ec2.modify_vpc_block_public_access_options", InternetGatewayBlockMode="block-ingress")
    made("ec2.modify_vpc_block_public_access_options", InternetGatewayBlockMode="off")
    made("ec2.delete_vpc_block_public_access_exclusion", ExclusionId=exclusion)
    tape.call("ec2.delete_vpc_block_public_access_exclusion", ExclusionId=exclusion)
