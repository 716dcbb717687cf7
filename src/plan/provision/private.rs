//! Systems Manager for the private instances, and the instances themselves. Pure.

use super::draft::{Draft, instance_output, text};
use super::groups::{plan_group, plan_ingress};
use super::{Inputs, PlanError};
use crate::model::{EndpointState, Instance, Protocol, ResourceId, Subnet, Unknown, Vpc};
use crate::plan::{Call, IngressRule, Launch, Output, Ref, RulePeer, trust_policy};

/// The policy that lets SSM's agent talk to SSM.
pub(crate) const SSM_POLICY: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
/// SSM's endpoints. The last is for agents older than 3.3.40.0.
const ENDPOINTS: [&str; 3] = ["ssm", "ssmmessages", "ec2messages"];

/// The last part of an ARN's path.
fn name_of_arn(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Plans role and instance profile, or takes the private instances'. Returns the profile's name.
pub(super) fn plan_profile(draft: &mut Draft<'_>, instances: &[&Instance]) -> Result<String, PlanError> {
    let ours = format!("{}-ssm", draft.spec.name);
    let call = Call::CreateInstanceProfile { instance_profile_name: ours.clone() };
    let title = format!("Create the instance profile {ours}");
    let adopted = instances.iter().filter_map(|instance| instance.instance_profile_arn.as_deref()).map(name_of_arn);
    if let Some(name) = adopted.into_iter().find(|name| *name != ours) {
        let why = format!("The private instances have {name} already, and the NAT takes the same.");
        let exists = Some(Output::InstanceProfile(name.to_owned()));
        let call = Call::CreateInstanceProfile { instance_profile_name: name.to_owned() };
        draft.step("instance-profile", text(format!("Create the instance profile {name}"), why), call, &[], exists);
        return Ok(name.to_owned());
    }
    let profiles = draft.network.instance_profiles.known()?;
    let profile = profiles.values().find(|profile| profile.name == ours);
    if let Some(foreign) = profile.filter(|profile| !draft.is_of_stack(&profile.tags)) {
        return Err(PlanError::Conflict {
            resource: ResourceId(foreign.arn.clone()),
            why: format!("an instance profile of the name {ours} exists, and it is not this stack's"),
            next_move: "give the stack another name".to_owned(),
        });
    }
    let role = profile.and_then(|profile| profile.roles.iter().find(|role| role.name == ours));
    let policy = match role.map(|role| &role.attached_policies) {
        Some(None) => {
            return Err(PlanError::Unknown(Unknown::new(
                format!("policies of role {ours}"),
                "ListAttachedRolePolicies gave no answer",
            )));
        }
        Some(Some(policies)) => policies.iter().any(|policy| policy.arn == SSM_POLICY),
        None => false,
    };
    // The profile comes first and goes last: a role is found again only through the profile that is named like it.
    let why = "An instance gets its role by way of a profile. The profile comes first, since the role is found again \
               through it.";
    let exists = profile.map(|profile| Output::InstanceProfile(profile.name.clone()));
    draft.step("instance-profile", text(title, why), call, &[], exists);
    let why = "Instances act as this role when they talk to Systems Manager; no SSH and no keys are needed.";
    let call = Call::CreateRole {
        role_name: ours.clone(),
        description: "Lets instances be reached through Systems Manager".to_owned(),
        assume_role_policy: trust_policy().to_owned(),
    };
    let exists = role.map(|role| Output::Role(role.name.clone()));
    draft.step("role", text(format!("Create the role {ours}"), why), call, &["instance-profile"], exists);
    let why = "AWS's own policy with exactly what the SSM agent needs.";
    let call = Call::AttachRolePolicy { role_name: ours.clone(), policy_arn: SSM_POLICY.to_owned() };
    let title = text("Attach AmazonSSMManagedInstanceCore to the role", why);
    draft.step("role-policy", title, call, &["role"], policy.then_some(Output::None));
    let call = Call::AddRoleToInstanceProfile { instance_profile_name: ours.clone(), role_name: ours.clone() };
    let title = text("Put the role into the profile", "A profile holds one role; without it, it grants nothing.");
    let waits = ["instance-profile", "role", "role-policy"];
    draft.step("role-in-profile", title, call, &waits, role.map(|_| Output::None));
    Ok(ours)
}

/// Plans endpoints and private instances. Returns the steps of the instances.
pub(super) fn plan_private_side(
    draft: &mut Draft<'_>,
    vpc: Option<&Vpc>,
    private: Option<&Subnet>,
    instances: &[&Instance],
    profile_name: &str,
    inputs: &Inputs,
) -> Result<Vec<String>, PlanError> {
    if draft.spec.ssm_endpoints {
        plan_endpoints(draft, vpc)?;
    }
    let adopted = private.is_some_and(|subnet| !draft.is_ours(&subnet.tags, "private-subnet"));
    let mut clients = Vec::new();
    if adopted {
        for instance in instances {
            clients.push(adopt_client(draft, instance));
        }
        if clients.is_empty() {
            draft.notes.push(format!(
                "There is no instance in the private subnet {}, so egress cannot be checked.",
                draft.spec.private_subnet_cidr
            ));
        }
        return Ok(clients);
    }
    if draft.spec.private_instances == 0 {
        return Ok(clients);
    }
    let title = "Create the security group of the private instances";
    let why = "No way in, every way out: the private instances only begin connections themselves.";
    plan_group(draft, vpc, "private-security-group", text(title, why), "Private instances: egress only")?;
    for number in 1..=draft.spec.private_instances {
        let id = format!("private-instance-{number}");
        let exists = instances.iter().find(|instance| draft.is_ours(&instance.tags, &id));
        let launch = Launch {
            image_id: exists.map_or_else(|| inputs.image_id.clone(), |instance| instance.image_id.clone()),
            instance_type: draft.spec.instance_type.clone(),
            subnet: draft.made("private-subnet"),
            security_group: draft.made("private-security-group"),
            associate_public_ip_address: false,
            instance_profile_name: Some(profile_name.to_owned()),
            key_name: None,
            user_data: None,
        };
        let why = "A client of the NAT: without a public address, reached through Systems Manager.";
        let title = text(format!("Start private instance {number}"), why);
        // With the endpoints there, the agent finds SSM at its first try and need not back off for minutes.
        let waits = [
            "private-subnet",
            "private-table-association",
            "private-security-group",
            "role-in-profile",
            "endpoint-ssm",
            "endpoint-ssmmessages",
            "endpoint-ec2messages",
        ];
        let output = exists.and_then(|instance| instance_output(instance));
        draft.step(&id, title, Call::RunInstances(Box::new(launch)), &waits, output);
        clients.push(id);
    }
    // What else was started in the stack's subnet is a client as well.
    let foreign = instances.iter().filter(|instance| !draft.is_of_stack(&instance.tags));
    for instance in foreign.copied().collect::<Vec<_>>() {
        clients.push(adopt_client(draft, instance));
    }
    Ok(clients)
}

/// A private instance that exists, as a step that is done.
fn adopt_client(draft: &mut Draft<'_>, instance: &Instance) -> String {
    let id = format!("private-instance-{}", instance.instance_id);
    let name = instance.tags.name().unwrap_or(instance.instance_id.as_str());
    let launch = Launch {
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        subnet: draft.made("private-subnet"),
        security_group: instance
            .security_group_ids
            .first()
            .map_or_else(|| Ref::Made("private-security-group".into()), |group| Ref::Existing(group.clone())),
        associate_public_ip_address: false,
        instance_profile_name: instance.instance_profile_arn.as_deref().map(|arn| name_of_arn(arn).to_owned()),
        key_name: instance.key_name.clone(),
        user_data: None,
    };
    let title = text(format!("Start private instance {name}"), "A client of the NAT that is there already.");
    let exists = Some(instance_output(instance).unwrap_or(Output::None));
    draft.step(&id, title, Call::RunInstances(Box::new(launch)), &["private-subnet"], exists);
    id
}

fn plan_endpoints(draft: &mut Draft<'_>, vpc: Option<&Vpc>) -> Result<(), PlanError> {
    let endpoints = draft.network.vpc_endpoints.known()?;
    let usable = |service: &str| {
        endpoints.values().find(|endpoint| {
            vpc.is_some_and(|vpc| vpc.vpc_id == endpoint.vpc_id)
                && endpoint.service_name.ends_with(&format!(".{service}"))
                && matches!(endpoint.state, EndpointState::Available | EndpointState::Pending)
        })
    };
    let found = ENDPOINTS.map(usable);
    let ours_or_missing = |endpoint: &Option<&crate::model::VpcEndpoint>| {
        endpoint.is_none_or(|endpoint| draft.is_of_stack(&endpoint.tags))
    };
    if found.iter().any(ours_or_missing) {
        let title = "Create the security group of the endpoints";
        let why = "The endpoints are interfaces in the private subnet and have a group of their own.";
        plan_group(draft, vpc, "endpoint-security-group", text(title, why), "HTTPS from the VPC to the SSM endpoints")?;
        let cidr = vpc.and_then(|vpc| vpc.cidr_blocks.first().copied()).unwrap_or(draft.spec.vpc_cidr);
        let rule = IngressRule {
            protocol: Protocol::Tcp,
            ports: Some((443, 443)),
            peer: RulePeer::Ipv4(cidr),
            description: "SSM agents of the VPC".to_owned(),
        };
        let why = "The agents talk HTTPS to the endpoints; everything else stays closed.";
        plan_ingress(
            draft,
            "endpoint-ingress",
            "endpoint-security-group",
            text(format!("Let {cidr} reach the endpoints on port 443"), why),
            rule,
        )?;
    }
    let region = draft.network.region.clone();
    for (service, endpoint) in ENDPOINTS.into_iter().zip(found) {
        let call = Call::CreateVpcEndpoint {
            vpc: draft.made("vpc"),
            service_name: format!("com.amazonaws.{region}.{service}"),
            subnet: draft.made("private-subnet"),
            security_group: match endpoint.and_then(|endpoint| endpoint.security_group_ids.first()) {
                Some(group) => Ref::Existing(group.clone()),
                None => draft.made("endpoint-security-group"),
            },
        };
        let why = "Systems Manager stays reachable when egress is broken, which is when it is needed most.";
        let title = text(format!("Create the VPC endpoint for {service}"), why);
        let waits =
            ["private-subnet", "endpoint-security-group", "endpoint-ingress", "vpc-dns-support", "vpc-dns-hostnames"];
        let exists = endpoint.map(|endpoint| Output::VpcEndpoint(endpoint.vpc_endpoint_id.clone()));
        draft.step(&format!("endpoint-{service}"), title, call, &waits, exists);
    }
    Ok(())
}
