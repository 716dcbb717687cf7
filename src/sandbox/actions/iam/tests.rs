//! IAM's rules, one by one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::sandbox::wire::Service;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const CORE: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

fn world() -> World {
    World::new("123456789012", "eu-central-1", 1, Timestamp::UNIX_EPOCH)
}

fn call(world: &mut World, action: &str, pairs: &[(&str, &str)]) -> Result<Xml, ApiError> {
    let request = Request::query(Service::Iam, action, pairs.iter().copied());
    dispatch(world, &request).map(|body| match body {
        Body::Xml(xml) => xml,
        Body::Json(_) => panic!("IAM answers in XML"),
    })
}

fn refused(world: &mut World, action: &str, pairs: &[(&str, &str)]) -> (String, u16) {
    let before = world.iam.clone();
    let error = call(world, action, pairs).expect_err(action);
    assert_eq!(before, world.iam, "a refused {action} changed something");
    (error.code, error.status)
}

/// A world with a role and a profile that holds it.
fn with_profile() -> World {
    let mut world = world();
    call(&mut world, "CreateRole", &[("RoleName", "ssm"), ("AssumeRolePolicyDocument", TRUST)]).unwrap();
    call(&mut world, "CreateInstanceProfile", &[("InstanceProfileName", "p")]).unwrap();
    call(&mut world, "AddRoleToInstanceProfile", &[("InstanceProfileName", "p"), ("RoleName", "ssm")]).unwrap();
    world
}

fn may_register(world: &World) -> bool {
    world.iam.instance_may(
        "arn:aws:iam::123456789012:instance-profile/p",
        "ssm:UpdateInstanceInformation",
        "arn:aws:ec2:eu-central-1:123456789012:instance/i-1",
    )
}

#[test]
fn what_does_not_exist_is_no_such_entity_with_404() {
    let mut world = world();
    for (action, pairs) in [
        ("GetRole", vec![("RoleName", "x")]),
        ("DeleteRole", vec![("RoleName", "x")]),
        ("ListAttachedRolePolicies", vec![("RoleName", "x")]),
        ("GetInstanceProfile", vec![("InstanceProfileName", "x")]),
        ("DeleteInstanceProfile", vec![("InstanceProfileName", "x")]),
        ("GetPolicy", vec![("PolicyArn", "arn:aws:iam::123456789012:policy/x")]),
        ("ListInstanceProfilesForRole", vec![("RoleName", "x")]),
    ] {
        assert_eq!(refused(&mut world, action, &pairs), ("NoSuchEntity".to_owned(), 404), "{action}");
    }
}

#[test]
fn a_name_is_taken_in_any_letter_case() {
    let mut world = with_profile();
    let taken = ("EntityAlreadyExists".to_owned(), 409);
    let role = [("RoleName", "SSM"), ("AssumeRolePolicyDocument", TRUST)];
    assert_eq!(refused(&mut world, "CreateRole", &role), taken);
    assert_eq!(refused(&mut world, "CreateInstanceProfile", &[("InstanceProfileName", "P")]), taken);
}

#[test]
fn names_and_documents_are_validated() {
    let mut world = world();
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        let role = [("RoleName", name), ("AssumeRolePolicyDocument", TRUST)];
        assert_eq!(refused(&mut world, "CreateRole", &role).0, "ValidationError", "{name}");
    }
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", "{")];
    assert_eq!(refused(&mut world, "CreateRole", &role).0, "MalformedPolicyDocument");
}

#[test]
fn a_role_in_use_cannot_be_deleted_until_it_is_free() {
    let mut world = with_profile();
    let conflict = ("DeleteConflict".to_owned(), 409);
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    assert_eq!(refused(&mut world, "DeleteRole", &[("RoleName", "ssm")]), conflict);
    call(&mut world, "DetachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    assert_eq!(refused(&mut world, "DeleteRole", &[("RoleName", "ssm")]), conflict);
    assert_eq!(refused(&mut world, "DeleteInstanceProfile", &[("InstanceProfileName", "p")]), conflict);
    let both = [("InstanceProfileName", "p"), ("RoleName", "ssm")];
    call(&mut world, "RemoveRoleFromInstanceProfile", &both).unwrap();
    call(&mut world, "DeleteRole", &[("RoleName", "ssm")]).unwrap();
    call(&mut world, "DeleteInstanceProfile", &[("InstanceProfileName", "p")]).unwrap();
    assert_eq!(world.iam, Iam::default());
}

#[test]
fn an_instance_profile_holds_one_role() {
    let mut world = with_profile();
    let both = [("InstanceProfileName", "p"), ("RoleName", "ssm")];
    assert_eq!(refused(&mut world, "AddRoleToInstanceProfile", &both).0, "LimitExceeded");
}

#[test]
fn attaching_twice_changes_nothing_and_detaching_twice_is_refused() {
    let mut world = with_profile();
    let both = [("RoleName", "ssm"), ("PolicyArn", CORE)];
    call(&mut world, "AttachRolePolicy", &both).unwrap();
    call(&mut world, "AttachRolePolicy", &both).unwrap();
    let attached = call(&mut world, "ListAttachedRolePolicies", &[("RoleName", "ssm")]).unwrap();
    let names: Vec<_> = attached.entries("AttachedPolicies").iter().filter_map(|e| e.find("PolicyName")).collect();
    assert_eq!(names, ["AmazonSSMManagedInstanceCore"]);
    call(&mut world, "DetachRolePolicy", &both).unwrap();
    assert_eq!(refused(&mut world, "DetachRolePolicy", &both), ("NoSuchEntity".to_owned(), 404));
    let missing = [("RoleName", "ssm"), ("PolicyArn", "arn:aws:iam::aws:policy/NoSuchPolicy")];
    assert_eq!(refused(&mut world, "AttachRolePolicy", &missing).0, "NoSuchEntity");
}

#[test]
fn an_instance_may_register_with_the_core_policy_or_an_inline_one_and_not_without() {
    let mut world = with_profile();
    assert!(!may_register(&world));
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    assert!(may_register(&world));

    let inline = |effect: &str| format!(r#"{{"Statement":[{{"Effect":"{effect}","Action":"ssm:*","Resource":"*"}}]}}"#);
    let put = [("RoleName", "ssm"), ("PolicyName", "i"), ("PolicyDocument", &inline("Deny"))];
    call(&mut world, "PutRolePolicy", &put).unwrap();
    assert!(!may_register(&world), "a denial wins over the core policy");
    call(&mut world, "DetachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    let put = [("RoleName", "ssm"), ("PolicyName", "i"), ("PolicyDocument", &inline("Allow"))];
    call(&mut world, "PutRolePolicy", &put).unwrap();
    assert!(may_register(&world));

    let lambda = TRUST.replace("ec2.", "lambda.");
    call(&mut world, "UpdateAssumeRolePolicy", &[("RoleName", "ssm"), ("PolicyDocument", &lambda)]).unwrap();
    assert!(!may_register(&world), "EC2 may not assume the role");
}

#[test]
fn policies_of_the_account_are_attached_and_refuse_to_go_while_they_are() {
    let mut world = with_profile();
    let text = r#"{"Statement":[{"Effect":"Allow","Action":"ssm:UpdateInstanceInformation","Resource":"*"}]}"#;
    let made = call(&mut world, "CreatePolicy", &[("PolicyName", "mine"), ("PolicyDocument", text)]).unwrap();
    let arn = made.find("Policy/Arn").unwrap().to_owned();
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", &arn)]).unwrap();
    assert!(may_register(&world));
    assert_eq!(refused(&mut world, "DeletePolicy", &[("PolicyArn", &arn)]), ("DeleteConflict".to_owned(), 409));
    let policy = call(&mut world, "GetPolicy", &[("PolicyArn", &arn)]).unwrap();
    assert_eq!(policy.find("Policy/AttachmentCount"), Some("1"));
    let version = call(&mut world, "GetPolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]).unwrap();
    assert!(version.find("PolicyVersion/Document").unwrap().starts_with("%7B%22Statement%22"));
}

#[test]
fn lists_are_paged_by_marker() {
    let mut world = world();
    for n in 0..5 {
        let name = format!("r{n}");
        call(&mut world, "CreateRole", &[("RoleName", &name), ("AssumeRolePolicyDocument", TRUST)]).unwrap();
    }
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut pairs = vec![("MaxItems", "2")];
        if let Some(marker) = &marker {
            pairs.push(("Marker", marker));
        }
        let answer = call(&mut world, "ListRoles", &pairs).unwrap();
        names.extend(answer.entries("Roles").iter().filter_map(|role| role.find("RoleName")).map(str::to_owned));
        marker = answer.find("Marker").map(str::to_owned);
        assert_eq!(answer.find("IsTruncated"), Some(if marker.is_some() { "true" } else { "false" }));
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(names, ["r0", "r1", "r2", "r3", "r4"]);
}

#[test]
fn tags_are_kept_and_their_keys_ignore_case() {
    let mut world = with_profile();
    let tags = [("InstanceProfileName", "p"), ("Tags.member.1.Key", "Name"), ("Tags.member.1.Value", "a")];
    call(&mut world, "TagInstanceProfile", &tags).unwrap();
    let tags = [("InstanceProfileName", "p"), ("Tags.member.1.Key", "name"), ("Tags.member.1.Value", "b")];
    call(&mut world, "TagInstanceProfile", &tags).unwrap();
    let listed = call(&mut world, "ListInstanceProfileTags", &[("InstanceProfileName", "p")]).unwrap();
    assert_eq!(listed.entries("Tags").len(), 1);
    assert_eq!(listed.entries("Tags")[0].find("Value"), Some("b"));
    let duplicate = [
        ("RoleName", "ssm"),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", ""),
        ("Tags.member.2.Key", "A"),
        ("Tags.member.2.Value", ""),
    ];
    assert_eq!(refused(&mut world, "TagRole", &duplicate).0, "InvalidInput");
}

#[test]
fn what_was_just_made_is_not_visible_under_eventual_consistency() {
    let mut world = world();
    world.consistency = Duration::from_secs(2);
    call(&mut world, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", TRUST)]).unwrap();
    assert_eq!(refused(&mut world, "GetRole", &[("RoleName", "r")]).0, "NoSuchEntity");
    world.now += SignedDuration::from_secs(2);
    assert!(call(&mut world, "GetRole", &[("RoleName", "r")]).is_ok());
}

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}"#;
const REGISTER: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ssm:UpdateInstanceInformation","Resource":"*"}}"#;

#[test]
fn a_policy_has_five_versions_at_most_and_its_default_one_counts() {
    let mut world = with_profile();
    let arn = "arn:aws:iam::123456789012:policy/own";
    call(&mut world, "CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", POLICY)]).unwrap();
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", arn)]).unwrap();
    assert!(!may_register(&world));
    let version = [("PolicyArn", arn), ("PolicyDocument", REGISTER), ("SetAsDefault", "true")];
    let made = call(&mut world, "CreatePolicyVersion", &version).unwrap();
    assert_eq!(made.find("PolicyVersion/VersionId"), Some("v2"));
    assert!(may_register(&world));
    for _ in 3..=5 {
        call(&mut world, "CreatePolicyVersion", &[("PolicyArn", arn), ("PolicyDocument", POLICY)]).unwrap();
    }
    assert_eq!(refused(&mut world, "CreatePolicyVersion", &version), ("LimitExceeded".to_owned(), 409));
    let delete = |id: &'static str| [("PolicyArn", arn), ("VersionId", id)];
    assert_eq!(refused(&mut world, "DeletePolicyVersion", &delete("v2")), ("DeleteConflict".to_owned(), 409));
    assert_eq!(refused(&mut world, "DeletePolicyVersion", &delete("v9")), ("NoSuchEntity".to_owned(), 404));
    call(&mut world, "SetDefaultPolicyVersion", &delete("v1")).unwrap();
    assert!(!may_register(&world));
    call(&mut world, "DetachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", arn)]).unwrap();
    assert_eq!(refused(&mut world, "DeletePolicy", &[("PolicyArn", arn)]).0, "DeleteConflict");
    for id in ["v2", "v3", "v4", "v5"] {
        call(&mut world, "DeletePolicyVersion", &delete(id)).unwrap();
    }
    let again = call(&mut world, "CreatePolicyVersion", &[("PolicyArn", arn), ("PolicyDocument", POLICY)]).unwrap();
    assert_eq!(again.find("PolicyVersion/VersionId"), Some("v6"), "numbers are not given twice");
}

#[test]
fn a_boundary_takes_away_what_it_does_not_allow() {
    let mut world = with_profile();
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    assert!(may_register(&world));
    let bound = |arn: &'static str| [("RoleName", "ssm"), ("PermissionsBoundary", arn)];
    let reader = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess";
    call(&mut world, "PutRolePermissionsBoundary", &bound(reader)).unwrap();
    assert!(!may_register(&world));
    call(&mut world, "PutRolePermissionsBoundary", &bound(CORE)).unwrap();
    assert!(may_register(&world));
    let role = call(&mut world, "GetRole", &[("RoleName", "ssm")]).unwrap();
    assert_eq!(role.find("Role/PermissionsBoundary/PermissionsBoundaryArn"), Some(CORE));
    let absent = bound("arn:aws:iam::aws:policy/NoSuchPolicy");
    assert_eq!(refused(&mut world, "PutRolePermissionsBoundary", &absent).0, "NoSuchEntity");
    call(&mut world, "DeleteRolePermissionsBoundary", &[("RoleName", "ssm")]).unwrap();
    call(&mut world, "DeleteRolePermissionsBoundary", &[("RoleName", "ssm")]).unwrap();
}

#[test]
fn a_service_linked_role_is_changed_by_its_service_only() {
    let mut world = world();
    let service = [("AWSServiceName", "autoscaling.amazonaws.com")];
    call(&mut world, "CreateServiceLinkedRole", &service).unwrap();
    assert_eq!(refused(&mut world, "CreateServiceLinkedRole", &service).0, "InvalidInput");
    let name = ("RoleName", "AWSServiceRoleForAutoScaling");
    assert_eq!(refused(&mut world, "AttachRolePolicy", &[name, ("PolicyArn", CORE)]).0, "UnmodifiableEntity");
    assert_eq!(refused(&mut world, "DeleteRole", &[name]).0, "UnmodifiableEntity");
    let task = call(&mut world, "DeleteServiceLinkedRole", &[name]).unwrap();
    let task = [("DeletionTaskId", task.find("DeletionTaskId").unwrap())];
    let status = call(&mut world, "GetServiceLinkedRoleDeletionStatus", &task).unwrap();
    assert_eq!(status.find("Status"), Some("SUCCEEDED"));
    assert_eq!(refused(&mut world, "GetRole", &[name]).0, "NoSuchEntity");
}

#[test]
fn a_simulation_says_what_the_roles_policies_say() {
    let mut world = with_profile();
    call(&mut world, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", CORE)]).unwrap();
    let source = ("PolicySourceArn", "arn:aws:iam::123456789012:role/ssm");
    for (action, decision) in [("ssm:UpdateInstanceInformation", "allowed"), ("ec2:CreateVpc", "implicitDeny")] {
        let xml = call(&mut world, "SimulatePrincipalPolicy", &[source, ("ActionNames.member.1", action)]).unwrap();
        assert_eq!(xml.find("EvaluationResults/member/EvalDecision"), Some(decision), "{action}");
    }
}
