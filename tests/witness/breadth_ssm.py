"""SSM operations on hosts: what moto, which has none, cannot be asked. In the scenario `draft` or after conversation.py
has gone, with one instance that this module brings online through endpoints of its own."""

import json

from conversation import ASSUME_EC2, CORE, IMAGE_PARAMETER, only, tags
from tape import ZONE

DOCUMENT = """
schemaVersion: "2.2"
description: two steps
parameters:
  Word:
    type: String
    default: hello
mainSteps:
  - action: aws:runShellScript
    name: first
    inputs:
      runCommand: ["echo {{ Word }}"]
  - action: aws:runShellScript
    name: second
    inputs:
      runCommand: ["exit 3"]
"""


def online_host(tape):
    """A private instance whose agent is online, and how to take it away again."""
    made = tape.made
    made("iam.create_role", RoleName="ssm-breadth", AssumeRolePolicyDocument=ASSUME_EC2)
    made("iam.attach_role_policy", RoleName="ssm-breadth", PolicyArn=CORE)
    made("iam.create_instance_profile", InstanceProfileName="ssm-breadth")
    made("iam.add_role_to_instance_profile", InstanceProfileName="ssm-breadth", RoleName="ssm-breadth")
    vpc = made("ec2.create_vpc", CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    made("ec2.modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = made("ec2.create_subnet", VpcId=vpc, CidrBlock="10.20.1.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    group = made("ec2.describe_security_groups", Filters=only("vpc-id", vpc))["SecurityGroups"][0]["GroupId"]
    endpoints = [
        made(
            "ec2.create_vpc_endpoint",
            VpcId=vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.eu-central-1.{service}",
            SubnetIds=[subnet],
            SecurityGroupIds=[group],
            PrivateDnsEnabled=True,
        )["VpcEndpoint"]["VpcEndpointId"]
        for service in ("ssm", "ssmmessages", "ec2messages")
    ]
    image = made("ssm.get_parameters", Names=[IMAGE_PARAMETER])["Parameters"][0]["Value"]
    host = made(
        "ec2.run_instances",
        ImageId=image,
        InstanceType="t4g.nano",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        IamInstanceProfile={"Name": "ssm-breadth"},
        TagSpecifications=tags("instance", Name="breadth"),
    )["Instances"][0]["InstanceId"]
    registered = lambda answer: any(
        one["InstanceId"] == host and one["PingStatus"] == "Online" for one in answer["InstanceInformationList"]
    )
    found = tape.until("ssm.describe_instance_information", registered)
    assert registered(found), found
    return vpc, subnet, endpoints, host


def away(tape, vpc, subnet, endpoints, host):
    made = tape.made
    made("ec2.terminate_instances", InstanceIds=[host])
    made("ec2.delete_vpc_endpoints", VpcEndpointIds=endpoints)
    tape.until(
        "ec2.describe_network_interfaces",
        lambda answer: not answer["NetworkInterfaces"],
        Filters=only("vpc-id", vpc),
    )
    made("ec2.delete_subnet", SubnetId=subnet)
    made("ec2.delete_vpc", VpcId=vpc)
    made("iam.remove_role_from_instance_profile", InstanceProfileName="ssm-breadth", RoleName="ssm-breadth")
    made("iam.delete_instance_profile", InstanceProfileName="ssm-breadth")
    made("iam.detach_role_policy", RoleName="ssm-breadth", PolicyArn=CORE)
    made("iam.delete_role", RoleName="ssm-breadth")


def talk(tape):
    call, made = tape.call, tape.made
    call("ssm.get_parameter", Name="/nothing")
    vpc, subnet, endpoints, host = online_host(tape)
    made("ssm.describe_instance_information", Filters=[{"Key": "tag:Name", "Values": ["breadth"]}])
    made("ssm.get_connection_status", Target=host)
    call("ssm.start_session", Target=host)
    commands(tape, host)
    own_documents(tape, host)
    associations(tape, host)
    store(tape)
    away(tape, vpc, subnet, endpoints, host)


def finished(tape, command, host):
    done = lambda answer: answer.get("Status") not in (None, "Pending", "InProgress")
    return tape.until("ssm.get_command_invocation", done, CommandId=command, InstanceId=host)


def commands(tape, host):
    call, made = tape.call, tape.made
    sent = made(
        "ssm.send_command",
        DocumentName="AWS-RunShellScript",
        InstanceIds=[host],
        Comment="breadth",
        TimeoutSeconds=60,
        Parameters={"commands": ["echo out", "echo err >&2", "exit 3"], "executionTimeout": ["60"]},
    )["Command"]["CommandId"]
    call("ssm.get_command_invocation", CommandId=sent, InstanceId=host)
    answer = finished(tape, sent, host)
    assert (answer["Status"], answer["ResponseCode"]) == ("Failed", 3), answer
    made("ssm.get_command_invocation", CommandId=sent, InstanceId=host, PluginName="aws:runShellScript")
    call("ssm.get_command_invocation", CommandId=sent, InstanceId=host, PluginName="aws:nothing")
    made("ssm.list_commands", CommandId=sent)
    made("ssm.list_command_invocations", CommandId=sent, Details=True)
    made("ssm.list_command_invocations", InstanceId=host, Filters=[{"key": "Status", "value": "Failed"}])
    by_tag = made(
        "ssm.send_command",
        DocumentName="AWS-RunShellScript",
        DocumentVersion="1",
        Targets=[{"Key": "tag:Name", "Values": ["breadth", "nobody"]}],
        MaxConcurrency="50%",
        MaxErrors="1",
        Parameters={"commands": ["sleep 300"]},
    )["Command"]["CommandId"]
    made("ssm.list_command_invocations", CommandId=by_tag, Details=True)
    made("ssm.cancel_command", CommandId=by_tag)
    made("ssm.list_commands", CommandId=by_tag)
    call("ssm.cancel_command", CommandId="12345678-1234-1234-1234-123456789012")
    call("ssm.send_command", DocumentName="AWS-RunShellScript", InstanceIds=[host, host])
    call("ssm.send_command", DocumentName="AWS-RunShellScript", InstanceIds=["i-0123456789abcdef0"])
    call("ssm.send_command", DocumentName="AWS-RunShellScript", InstanceIds=[host])
    call("ssm.send_command", DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]})
    call("ssm.list_commands", Filters=[{"key": "Status", "value": "Success"}], MaxResults=1)
    call("ssm.list_commands", NextToken="nonsense")


def own_documents(tape, host):
    call, made = tape.call, tape.made
    made(
        "ssm.create_document",
        Name="TwoSteps",
        Content=DOCUMENT,
        DocumentType="Command",
        DocumentFormat="YAML",
        TargetType="/AWS::EC2::Instance",
        VersionName="first",
        DisplayName="two",
        Tags=[{"Key": "team", "Value": "network"}],
    )
    made("ssm.get_document", Name="TwoSteps", DocumentFormat="JSON")
    call("ssm.get_document", Name="TwoSteps", DocumentVersion="7")
    made("ssm.describe_document", Name="AWS-RunShellScript")
    made("ssm.get_document", Name="AWS-UpdateSSMAgent")
    sent = made(
        "ssm.send_command", DocumentName="TwoSteps", InstanceIds=[host], Parameters={"Word": ["bye"]}
    )["Command"]["CommandId"]
    finished(tape, sent, host)
    first = made("ssm.get_command_invocation", CommandId=sent, InstanceId=host, PluginName="first")
    assert first["StandardOutputContent"] == "bye\n", first
    made("ssm.get_command_invocation", CommandId=sent, InstanceId=host)
    made("ssm.list_command_invocations", CommandId=sent, Details=True)
    made("ssm.update_document", Name="TwoSteps", Content=DOCUMENT + "\n", DocumentFormat="YAML", DocumentVersion="1")
    made("ssm.update_document_default_version", Name="TwoSteps", DocumentVersion="2")
    made("ssm.list_document_versions", Name="TwoSteps")
    made("ssm.list_documents", Filters=[{"Key": "tag:team", "Values": ["network"]}])
    made("ssm.list_documents", DocumentFilterList=[{"key": "Owner", "value": "Amazon"}], MaxResults=2)
    call("ssm.list_documents", Filters=[{"Key": "Colour", "Values": ["red"]}])
    document = dict(ResourceType="Document", ResourceId="TwoSteps")
    made("ssm.add_tags_to_resource", **document, Tags=[{"Key": "a", "Value": "b"}])
    made("ssm.list_tags_for_resource", **document)
    made("ssm.remove_tags_from_resource", **document, TagKeys=["a"])
    call("ssm.list_tags_for_resource", ResourceType="Document", ResourceId="Nothing")
    share = dict(Name="TwoSteps", PermissionType="Share")
    made("ssm.modify_document_permission", **share, AccountIdsToAdd=["210987654321"])
    made("ssm.describe_document_permission", **share)
    call("ssm.delete_document", Name="TwoSteps")
    made("ssm.modify_document_permission", **share, AccountIdsToRemove=["210987654321"])
    made("ssm.delete_document", Name="TwoSteps")
    automation = json.dumps({"schemaVersion": "0.3", "mainSteps": []})
    made("ssm.create_document", Name="Automatic", Content=automation, DocumentType="Automation")
    call("ssm.send_command", DocumentName="Automatic", InstanceIds=[host])
    made("ssm.delete_document", Name="Automatic")


def associations(tape, host):
    call, made = tape.call, tape.made
    association = made(
        "ssm.create_association",
        Name="AWS-RunShellScript",
        AssociationName="once",
        Targets=[{"Key": "InstanceIds", "Values": [host]}],
        Parameters={"commands": ["echo associated > /root/associated"]},
        ScheduleExpression="rate(30 minutes)",
        ComplianceSeverity="LOW",
    )["AssociationDescription"]["AssociationId"]
    success = lambda answer: answer["AssociationDescription"]["Overview"]["Status"] == "Success"
    answer = tape.until("ssm.describe_association", success, AssociationId=association)
    assert success(answer), answer
    made("ssm.describe_association", AssociationId=association)
    made("ssm.list_associations", AssociationFilterList=[{"key": "AssociationName", "value": "once"}])
    made("ssm.describe_association_executions", AssociationId=association)
    made("ssm.start_associations_once", AssociationIds=[association])
    made("ssm.update_association", AssociationId=association, Parameters={"commands": ["true"]})
    made("ssm.list_tags_for_resource", ResourceType="Association", ResourceId=association)
    made("ssm.delete_association", AssociationId=association)
    call("ssm.describe_association", AssociationId=association)
    call("ssm.create_association", Name="Nothing", InstanceId=host)


def store(tape):
    call, made = tape.call, tape.made
    made("ssm.put_parameter", Name="breadth", Value="1", Type="String", Tier="Advanced", DataType="text")
    made("ssm.label_parameter_version", Name="breadth", Labels=["one"])
    made("ssm.unlabel_parameter_version", Name="breadth", ParameterVersion=1, Labels=["one", "two"])
    made("ssm.describe_parameters", Filters=[{"Key": "Name", "Values": ["brea"]}])
    call("ssm.describe_parameters", ParameterFilters=[{"Key": "Name", "Option": "Near", "Values": ["x"]}])
    made("ssm.get_parameters_by_path", Path="/aws/service/ami-amazon-linux-latest", MaxResults=2)
    call("ssm.get_parameter", Name="breadth:9")
    made("ssm.delete_parameters", Names=["breadth"])
