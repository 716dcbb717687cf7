"""Makes the article's VPC, NAT instance included, in whatever answers at the endpoint, and prints what it made.

Usage: article.py ENDPOINT_URL  ->  one JSON object on standard output: kind -> list of ids.
"""

import json
import sys

import boto3

REGION = "eu-central-1"
ZONE = "eu-central-1b"


def main(endpoint):
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    ec2 = session.client("ec2", endpoint_url=endpoint)

    def tags(kind, name):
        return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]

    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16", TagSpecifications=tags("vpc", "nat-test"))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    igw = ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway", "igw"))["InternetGateway"]
    igw = igw["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)

    def subnet(name, cidr):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=cidr, AvailabilityZone=ZONE, TagSpecifications=tags("subnet", name)
        )["Subnet"]["SubnetId"]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=made)
        return made, table

    public, public_table = subnet("public-subnet", "10.8.1.0/24")
    private, private_table = subnet("private-subnet", "10.8.2.0/24")
    ec2.modify_subnet_attribute(SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    ec2.create_route(RouteTableId=public_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)

    nat_group = ec2.create_security_group(GroupName="NAT", Description="NAT", VpcId=vpc)["GroupId"]
    private_group = ec2.create_security_group(GroupName="Private", Description="Private", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=nat_group,
        IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": private_group}]}],
    )

    image = ec2.describe_images()["Images"][0]["ImageId"]

    def instance(name, subnet_id, group):
        made = ec2.run_instances(
            ImageId=image,
            InstanceType="t4g.nano",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet_id,
            SecurityGroupIds=[group],
            TagSpecifications=tags("instance", name),
        )
        return made["Instances"][0]["InstanceId"]

    nat = instance("NAT-Instance", public, nat_group)
    clients = [instance(f"Private-Instance-{n}", private, private_group) for n in range(2)]
    inner = ec2.create_network_interface(SubnetId=private, Groups=[nat_group])["NetworkInterface"]
    inner = inner["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=inner, InstanceId=nat, DeviceIndex=1)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=inner, SourceDestCheck={"Value": False})
    ec2.create_route(RouteTableId=private_table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=inner)
    endpoints = [
        ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{REGION}.{service}",
            VpcEndpointType="Interface",
            SubnetIds=[private],
        )["VpcEndpoint"]["VpcEndpointId"]
        for service in ("ssm", "ssmmessages", "ec2messages")
    ]
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkInterfaces"]
    print(
        json.dumps(
            {
                "vpc_id": vpc,
                "subnets": [public, private],
                "route_tables": [public_table, private_table],
                "internet_gateways": [igw],
                "security_groups": [nat_group, private_group],
                "instances": [nat, *clients],
                "network_interfaces": [i["NetworkInterfaceId"] for i in interfaces],
                "vpc_endpoints": endpoints,
                "inner_interface": inner,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
