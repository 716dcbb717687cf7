//! The instance profiles that matter here: those of the observed instances and those that belong to a stack.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{Unknown, within};
use crate::aws::error::Error;
use crate::aws::session::Session;
use crate::model::{InstanceProfile, Network, PolicyRef, Resource, Role, Tags};

/// Up to so many profiles are all looked at. In an account with more, only those that may matter: looking costs a call
/// or three each.
const FEW: usize = 20;

/// Names of all instance profiles of the account. IAM lists them without their tags.
pub(super) async fn list(session: &Session) -> Result<Vec<String>, Unknown> {
    const OPERATION: &str = "ListInstanceProfiles";
    within(OPERATION, async {
        let pages = session.iam().list_instance_profiles().max_items(1000).into_paginator().items().send();
        let profiles = pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))?;
        Ok(profiles.into_iter().map(|profile| profile.instance_profile_name).collect())
    })
    .await
}

/// Profiles with tags, roles and the roles' policies, by ARN. A gap in the list of names makes the whole part unknown:
/// a stack's profile might be among those not seen.
pub(super) async fn profiles(
    session: &Session,
    network: &Network,
    names: Result<Vec<String>, Unknown>,
    gaps: &mut Vec<Unknown>,
) -> Result<Vec<(String, InstanceProfile)>, Unknown> {
    let used: BTreeSet<String> = (network.instances.shown().values())
        .filter_map(|instance| instance.instance_profile_arn.as_deref())
        .filter_map(|arn| arn.rsplit('/').next())
        .map(str::to_owned)
        .collect();
    let (all, gap) = match names {
        Ok(all) => (all, None),
        Err(gap) => (Vec::new(), Some(gap)),
    };
    let stacks: BTreeSet<&str> = network.resources().filter_map(|r: Resource<'_>| r.tags().stack()).collect();
    let few = all.len() <= FEW;
    let of_a_stack =
        |name: &String| few || name.contains("natdeck") || stacks.iter().any(|stack| name.starts_with(stack));
    let mut wanted = used;
    wanted.extend(all.into_iter().filter(of_a_stack));
    let answers = join_all(wanted.iter().map(|name| profile(session, name))).await;
    let mut found = Vec::new();
    for (name, answer) in wanted.iter().zip(answers) {
        match answer {
            Ok(Some((profile, role_gaps))) => {
                gaps.extend(role_gaps);
                found.push((profile.arn.clone(), profile));
            }
            Ok(None) => {}
            Err(gap) => gaps.push(Unknown::new(format!("{} {name}", gap.what), gap.reason)),
        }
    }
    match gap {
        // What the instances use can be known all the same.
        Some(gap) if found.is_empty() => Err(gap),
        Some(gap) => {
            gaps.push(gap);
            Ok(found)
        }
        None => Ok(found),
    }
}

/// One profile. `None`: there is none of that name.
async fn profile(session: &Session, name: &str) -> Result<Option<(InstanceProfile, Vec<Unknown>)>, Unknown> {
    const OPERATION: &str = "GetInstanceProfile";
    let answer = within(OPERATION, async {
        match session.iam().get_instance_profile().instance_profile_name(name).send().await {
            Ok(answer) => Ok(answer.instance_profile),
            Err(error) => match session.on(OPERATION)(error) {
                error if error.is_not_found() => Ok(None),
                error => Err(error),
            },
        }
    })
    .await?;
    let Some(answer) = answer else { return Ok(None) };
    let mut gaps = Vec::new();
    let mut roles = Vec::new();
    for role in answer.roles {
        let (attached, inline) = tokio::join!(attached(session, &role.role_name), inline(session, &role.role_name));
        roles.push(Role {
            attached_policies: kept(attached, &role.role_name, &mut gaps),
            inline_policies: kept(inline, &role.role_name, &mut gaps),
            arn: role.arn,
            name: role.role_name,
        });
    }
    let profile = InstanceProfile {
        arn: answer.arn,
        name: answer.instance_profile_name,
        roles,
        tags: tags(answer.tags.unwrap_or_default()),
    };
    Ok(Some((profile, gaps)))
}

pub(in crate::aws) fn tags(tags: Vec<aws_sdk_iam::types::Tag>) -> Tags {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn kept<T>(answer: Result<T, Unknown>, role: &str, gaps: &mut Vec<Unknown>) -> Option<T> {
    answer.map_err(|gap| gaps.push(Unknown::new(format!("{} {role}", gap.what), gap.reason))).ok()
}

async fn attached(session: &Session, role: &str) -> Result<Vec<PolicyRef>, Unknown> {
    const OPERATION: &str = "ListAttachedRolePolicies";
    within(OPERATION, async {
        let pages = session.iam().list_attached_role_policies().role_name(role).into_paginator().items().send();
        let policies = pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))?;
        let policy = |policy: aws_sdk_iam::types::AttachedPolicy| {
            let arn = policy.policy_arn.ok_or(Error::missing(OPERATION, "PolicyArn"))?;
            Ok(PolicyRef { name: policy.policy_name.unwrap_or_else(|| arn.clone()), arn })
        };
        policies.into_iter().map(policy).collect()
    })
    .await
}

async fn inline(session: &Session, role: &str) -> Result<Vec<String>, Unknown> {
    const OPERATION: &str = "ListRolePolicies";
    within(OPERATION, async {
        let pages = session.iam().list_role_policies().role_name(role).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))
    })
    .await
}
