#!/usr/bin/env bash
# The article's whole set-up, by hand, with the aws CLI alone: a VPC with a public and a private subnet, a NAT instance
# with a second interface in the private one, two private instances that SSM reaches through endpoints, and the proof:
# all three print the same address. The environment names endpoint, region and credentials. $1: a public SSH key.
set -euo pipefail

say() { echo "$*" >&2; }
# A call's answer as text, by its --query.
ask() { aws "$@" --output text; }

say "the draft: VPC, gateway, subnets, tables"
vpc=$(ask ec2 create-vpc --cidr-block 10.8.0.0/16 --query Vpc.VpcId \
  --tag-specifications 'ResourceType=vpc,Tags=[{Key=Name,Value=nat-test}]')
aws ec2 modify-vpc-attribute --vpc-id "$vpc" --enable-dns-hostnames
igw=$(ask ec2 create-internet-gateway --query InternetGateway.InternetGatewayId \
  --tag-specifications '[{"ResourceType":"internet-gateway","Tags":[{"Key":"Name","Value":"igw"}]}]')
aws ec2 attach-internet-gateway --internet-gateway-id "$igw" --vpc-id "$vpc"
subnet() {
  ask ec2 create-subnet --vpc-id "$vpc" --availability-zone eu-central-1b --cidr-block "$2" --query Subnet.SubnetId \
    --tag-specifications "ResourceType=subnet,Tags=[{Key=Name,Value=$1}]"
}
public=$(subnet public-subnet 10.8.1.0/24)
private=$(subnet private-subnet 10.8.2.0/24)
aws ec2 modify-subnet-attribute --subnet-id "$public" --map-public-ip-on-launch
table() {
  local table
  table=$(ask ec2 create-route-table --vpc-id "$vpc" --query RouteTable.RouteTableId)
  aws ec2 associate-route-table --route-table-id "$table" --subnet-id "$1" > /dev/null
  echo "$table"
}
public_table=$(table "$public")
private_table=$(table "$private")
aws ec2 create-route --route-table-id "$public_table" --destination-cidr-block 0.0.0.0/0 --gateway-id "$igw" > /dev/null

say "groups and key"
group() { ask ec2 create-security-group --vpc-id "$vpc" --group-name "$1" --description "$1" --query GroupId; }
nat_group=$(group NAT)
private_group=$(group Private)
# The three ways in which the CLI takes a rule.
aws ec2 authorize-security-group-ingress --group-id "$nat_group" --protocol tcp --port 22 --cidr 158.0.0.0/8 > /dev/null
aws ec2 authorize-security-group-ingress --group-id "$nat_group" \
  --ip-permissions "IpProtocol=-1,UserIdGroupPairs=[{GroupId=$private_group,Description=private}]" > /dev/null
aws ec2 authorize-security-group-ingress --group-id "$private_group" --ip-permissions \
  '[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"10.8.0.0/16"}]}]' > /dev/null
aws ec2 import-key-pair --key-name nat-kp --public-key-material "fileb://$1" > /dev/null

say "SSM: role, profile, endpoints"
aws iam create-role --role-name ssm-role --tags Key=for,Value=article --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]
}' > /dev/null
aws iam attach-role-policy --role-name ssm-role --policy-arn arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore
aws iam create-instance-profile --instance-profile-name ssm-profile > /dev/null
aws iam add-role-to-instance-profile --instance-profile-name ssm-profile --role-name ssm-role
for service in ssm ssmmessages ec2messages; do
  aws ec2 create-vpc-endpoint --vpc-id "$vpc" --vpc-endpoint-type Interface --subnet-ids "$private" \
    --service-name "com.amazonaws.eu-central-1.$service" --security-group-ids "$private_group" \
    --private-dns-enabled > /dev/null
done

say "the NAT instance with the article's user data, and two private instances"
image=$(ask ssm get-parameters --query 'Parameters[0].Value' \
  --names /aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-arm64-gp2)
script='#!/bin/bash
sysctl -w net.ipv4.ip_forward=1
iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
iptables -A FORWARD -i eth0 -o eth1 -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i eth1 -o eth0 -j ACCEPT
'
nat=$(ask ec2 run-instances --image-id "$image" --instance-type t4g.nano --subnet-id "$public" --key-name nat-kp \
  --security-group-ids "$nat_group" --associate-public-ip-address --user-data "$script" \
  --iam-instance-profile Name=ssm-profile --query 'Instances[0].InstanceId' \
  --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=NAT-Instance}]')
read -r -a clients <<< "$(ask ec2 run-instances --image-id "$image" --instance-type t4g.nano --subnet-id "$private" \
  --count 2 --security-group-ids "$private_group" --iam-instance-profile Name=ssm-profile \
  --query 'Instances[].InstanceId' --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=Private-Instance}]')"
aws ec2 wait instance-running --instance-ids "$nat" "${clients[@]}"
inner=$(ask ec2 create-network-interface --subnet-id "$private" --groups "$nat_group" \
  --query NetworkInterface.NetworkInterfaceId)
aws ec2 attach-network-interface --network-interface-id "$inner" --instance-id "$nat" --device-index 1 > /dev/null
aws ec2 modify-network-interface-attribute --network-interface-id "$inner" --no-source-dest-check
aws ec2 create-route --route-table-id "$private_table" --destination-cidr-block 0.0.0.0/0 \
  --network-interface-id "$inner" > /dev/null

say "the proof"
address=$(ask ec2 describe-instances --filters "Name=instance-id,Values=$nat" Name=instance-state-name,Values=running \
  --query 'Reservations[0].Instances[0].PublicIpAddress')
for _ in $(seq 20); do
  online=$(ask ssm describe-instance-information --query 'length(InstanceInformationList[?PingStatus==`Online`])')
  [ "$online" = 3 ] && break
done
command=$(ask ssm send-command --document-name AWS-RunShellScript --instance-ids "$nat" "${clients[@]}" \
  --comment "how the world sees us" --parameters 'commands=["curl -sS https://api.ipify.org && echo"]' \
  --query Command.CommandId)
for instance in "$nat" "${clients[@]}"; do
  aws ssm wait command-executed --command-id "$command" --instance-id "$instance"
  seen=$(ask ssm get-command-invocation --command-id "$command" --instance-id "$instance" \
    --query '[Status,ResponseCode,StandardOutputContent]')
  echo "$instance $seen"
done
echo "NAT $address"
