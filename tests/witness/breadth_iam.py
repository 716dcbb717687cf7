"""IAM and STS operations that conversation.py leaves out, since moto does not have them or nobody compares them."""

import json

from conversation import ASSUME_ACCOUNT, ASSUME_EC2, CORE, READ_EC2


def talk(tape):
    call, made = tape.call, tape.made
    made("iam.create_role", RoleName="breadth", AssumeRolePolicyDocument=ASSUME_ACCOUNT, PermissionsBoundary=CORE)
    made("iam.update_role", RoleName="breadth", MaxSessionDuration=7200)
    made("iam.update_role_description", RoleName="breadth", Description="of all operations")
    made("iam.put_role_permissions_boundary", RoleName="breadth", PermissionsBoundary=CORE)
    made("iam.get_role", RoleName="breadth")
    made("iam.list_entities_for_policy", PolicyArn=CORE, PolicyUsageFilter="PermissionsBoundary")
    made("iam.delete_role_permissions_boundary", RoleName="breadth")
    role = made("iam.get_role", RoleName="breadth")["Role"]["Arn"]
    assumed = made("sts.assume_role", RoleArn=role, RoleSessionName="breadth", DurationSeconds=7200)
    assert assumed["AssumedRoleUser"]["Arn"].endswith(":assumed-role/breadth/breadth")
    call("sts.assume_role", RoleArn=role, RoleSessionName="breadth", DurationSeconds=7201)
    made("sts.get_session_token", DurationSeconds=900)
    call("sts.decode_authorization_message", EncodedMessage="nothing")

    simulated = made(
        "iam.simulate_principal_policy",
        PolicySourceArn=role,
        ActionNames=["ec2:CreateVpc", "ssm:GetParameter"],
        ResourceArns=["*", "arn:aws:ssm:eu-central-1:123456789012:parameter/x"],
    )
    assert [result["EvalDecision"] for result in simulated["EvaluationResults"]] == ["implicitDeny"] * 4
    call("iam.simulate_principal_policy", PolicySourceArn=role + "x", ActionNames=["ec2:CreateVpc"])

    policy = made("iam.create_policy", PolicyName="breadth", PolicyDocument=READ_EC2, Path="/b/")["Policy"]["Arn"]
    for _ in range(4):
        made("iam.create_policy_version", PolicyArn=policy, PolicyDocument=READ_EC2)
    call("iam.create_policy_version", PolicyArn=policy, PolicyDocument=READ_EC2)
    call("iam.delete_policy", PolicyArn=policy)
    call("iam.delete_policy_version", PolicyArn=policy, VersionId="v1")
    made("iam.set_default_policy_version", PolicyArn=policy, VersionId="v5")
    for version in range(1, 5):
        made("iam.delete_policy_version", PolicyArn=policy, VersionId=f"v{version}")
    version = made("iam.get_policy_version", PolicyArn=policy, VersionId="v5")["PolicyVersion"]
    assert version["Document"] == json.loads(READ_EC2), version
    made("iam.delete_policy", PolicyArn=policy)

    made("iam.create_service_linked_role", AWSServiceName="ec2.amazonaws.com", Description="its own")
    call("iam.create_service_linked_role", AWSServiceName="ec2.amazonaws.com")
    call("iam.create_service_linked_role", AWSServiceName="nothing.amazonaws.com")
    call("iam.delete_role", RoleName="AWSServiceRoleForEC2")
    task = made("iam.delete_service_linked_role", RoleName="AWSServiceRoleForEC2")["DeletionTaskId"]
    made("iam.get_service_linked_role_deletion_status", DeletionTaskId=task)

    made("iam.create_instance_profile", InstanceProfileName="breadth", Tags=[{"Key": "a", "Value": "b"}])
    made("iam.untag_instance_profile", InstanceProfileName="breadth", TagKeys=["a"])
    made("iam.add_role_to_instance_profile", InstanceProfileName="breadth", RoleName="breadth")
    made("iam.remove_role_from_instance_profile", InstanceProfileName="breadth", RoleName="breadth")
    made("iam.delete_instance_profile", InstanceProfileName="breadth")
    made("iam.update_assume_role_policy", RoleName="breadth", PolicyDocument=ASSUME_EC2)
    made("iam.delete_role", RoleName="breadth")

    user = made("iam.get_user")["User"]["UserName"]
    made("iam.list_users")
    made("iam.list_groups_for_user", UserName=user)
    made("iam.list_attached_user_policies", UserName=user)
    made("iam.list_account_aliases")
    # Pages: every policy exactly once.
    pages, marker = [], {}
    while True:
        page = made("iam.list_policies", Scope="AWS", MaxItems=7, **marker)
        pages += [policy["PolicyName"] for policy in page["Policies"]]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert len(pages) == len(set(pages)) >= 20, pages
