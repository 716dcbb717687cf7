//! The IAM calls of a plan. Names are unique in the account, so nothing is made twice; whose it is, its tags say.

use std::time::Duration;

use aws_sdk_iam::types as sdk;

use super::Context;
use crate::aws::error::{Error, Kind};
use crate::aws::observe::iam_tags;
use crate::aws::poll::Backoff;
use crate::model::Tags;
use crate::plan::{Call, Output};

/// The step's tags as IAM takes them.
fn tags(context: Context<'_>) -> Result<Option<Vec<sdk::Tag>>, Error> {
    let one = |(key, value): (&String, &String)| {
        sdk::Tag::builder().key(key).value(value).build().map_err(|error| {
            Error::new(Kind::Service, context.step.operation(), format!("the tag {key} cannot be sent: {error}"))
        })
    };
    let tags: Vec<sdk::Tag> = context.step.tags.0.iter().map(one).collect::<Result<_, _>>()?;
    Ok(Some(tags).filter(|tags| !tags.is_empty()))
}

pub(super) async fn make(context: Context<'_>) -> Result<Output, Error> {
    let session = context.session;
    let iam = session.iam();
    match &context.step.call {
        Call::CreateRole { role_name, description, assume_role_policy } => {
            let request = (iam.create_role())
                .role_name(role_name)
                .description(description)
                .assume_role_policy_document(assume_role_policy)
                .set_tags(tags(context)?);
            request.send().await.map_err(session.on("CreateRole"))?;
            Ok(Output::Role(role_name.clone()))
        }
        Call::AttachRolePolicy { role_name, policy_arn } => {
            let request = iam.attach_role_policy().role_name(role_name).policy_arn(policy_arn);
            request.send().await.map_err(session.on("AttachRolePolicy"))?;
            Ok(Output::None)
        }
        Call::CreateInstanceProfile { instance_profile_name } => {
            let request = iam.create_instance_profile().instance_profile_name(instance_profile_name);
            let request = request.set_tags(tags(context)?);
            request.send().await.map_err(session.on("CreateInstanceProfile"))?;
            Ok(Output::InstanceProfile(instance_profile_name.clone()))
        }
        Call::AddRoleToInstanceProfile { instance_profile_name, role_name } => {
            let request = iam.add_role_to_instance_profile();
            let request = request.instance_profile_name(instance_profile_name).role_name(role_name);
            request.send().await.map_err(session.on("AddRoleToInstanceProfile"))?;
            Ok(Output::None)
        }
        _ => Err(Error::new(Kind::NotHere, context.step.operation(), "not a call of IAM's")),
    }
}

pub(super) async fn find(context: Context<'_>) -> Result<Option<Output>, Error> {
    match &context.step.call {
        Call::CreateRole { role_name, .. } => {
            let role = role(context, role_name).await?;
            Ok(role.filter(|tags| is_ours(context, tags)).map(|_| Output::Role(role_name.clone())))
        }
        Call::AttachRolePolicy { role_name, policy_arn } => {
            let attached = attached(context, role_name).await?;
            Ok(attached.iter().any(|arn| arn == policy_arn).then_some(Output::None))
        }
        Call::CreateInstanceProfile { instance_profile_name } => {
            let profile = profile(context, instance_profile_name).await?;
            let ours = profile.filter(|profile| is_ours(context, &iam_tags(profile.tags().to_vec())));
            Ok(ours.map(|_| Output::InstanceProfile(instance_profile_name.clone())))
        }
        Call::AddRoleToInstanceProfile { instance_profile_name, role_name } => {
            let profile = profile(context, instance_profile_name).await?;
            let inside = profile.is_some_and(|p| p.roles().iter().any(|role| role.role_name() == role_name));
            Ok(inside.then_some(Output::None))
        }
        _ => Ok(None),
    }
}

pub(super) async fn delete(context: Context<'_>) -> Result<(), Error> {
    let session = context.session;
    let iam = session.iam();
    match &context.step.call {
        Call::RemoveRoleFromInstanceProfile { instance_profile_name, role_name } => {
            let request = iam.remove_role_from_instance_profile();
            let request = request.instance_profile_name(instance_profile_name).role_name(role_name);
            request.send().await.map(drop).map_err(session.on("RemoveRoleFromInstanceProfile"))
        }
        Call::DetachRolePolicy { role_name, policy_arn } => {
            let request = iam.detach_role_policy().role_name(role_name).policy_arn(policy_arn);
            request.send().await.map(drop).map_err(session.on("DetachRolePolicy"))
        }
        Call::DeleteInstanceProfile { instance_profile_name } => {
            let request = iam.delete_instance_profile().instance_profile_name(instance_profile_name);
            request.send().await.map(drop).map_err(session.on("DeleteInstanceProfile"))
        }
        Call::DeleteRole { role_name } => {
            iam.delete_role().role_name(role_name).send().await.map(drop).map_err(session.on("DeleteRole"))
        }
        _ => Err(Error::new(Kind::NotHere, context.step.operation(), "not a call of IAM's")),
    }
}

/// Detaches every managed policy of the role that is to be deleted, where the role is this stack's own.
pub(super) async fn detach_all(context: Context<'_>) -> Result<(), Error> {
    let Call::DeleteRole { role_name } = &context.step.call else { return Ok(()) };
    let session = context.session;
    match role(context, role_name).await? {
        Some(tags) if is_ours(context, &tags) => {}
        _ => return Ok(()),
    }
    for policy_arn in attached(context, role_name).await? {
        let request = session.iam().detach_role_policy().role_name(role_name).policy_arn(policy_arn);
        match request.send().await.map_err(session.on("DetachRolePolicy")) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The role's tags, asked until the answer is not lost. `None`: there is no such role.
async fn role(context: Context<'_>, name: &str) -> Result<Option<Tags>, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), Duration::from_secs(5));
    loop {
        let answer = context.session.iam().get_role().role_name(name).send().await;
        match answer.map_err(context.session.on("GetRole")) {
            Ok(answer) => return Ok(answer.role.map(|role| iam_tags(role.tags.unwrap_or_default()))),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.is_ambiguous() && backoff.wait().await => {}
            Err(error) => return Err(error),
        }
    }
}

async fn profile(context: Context<'_>, name: &str) -> Result<Option<sdk::InstanceProfile>, Error> {
    let request = context.session.iam().get_instance_profile().instance_profile_name(name);
    match request.send().await.map_err(context.session.on("GetInstanceProfile")) {
        Ok(answer) => Ok(answer.instance_profile),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// ARNs of the managed policies attached to the role.
async fn attached(context: Context<'_>, role_name: &str) -> Result<Vec<String>, Error> {
    let pages = context.session.iam().list_attached_role_policies().role_name(role_name);
    let pages = pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    match pages.map_err(context.session.on("ListAttachedRolePolicies")) {
        Ok(policies) => Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect()),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_ours(context: Context<'_>, tags: &Tags) -> bool {
    tags.stack().is_some() && tags.stack() == context.step.tags.stack()
}
