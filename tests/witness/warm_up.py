"""Makes moto load the services that natdeck asks, which takes it many seconds the first time and is not what is tested.

Usage: warm_up.py ENDPOINT_URL
"""

import sys

import boto3

session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")


def client(service):
    return session.client(service, endpoint_url=sys.argv[1])


client("ec2").describe_vpcs()
client("ec2").describe_images()
client("iam").list_roles()
client("ssm").get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")
client("sts").get_caller_identity()
