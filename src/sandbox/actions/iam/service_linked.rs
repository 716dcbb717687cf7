//! Service-linked roles: a service asks for its own role by the service's name, and only the service changes it.

use super::{Role, no_such_entity, roles, unique_id, validation};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

/// Where all of them are.
pub(super) const PATH: &str = "/aws-service-role/";

/// Services and the names of their roles, as far as NAT instances come near them.
const KNOWN: [(&str, &str); 7] = [
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
    ("ec2.amazonaws.com", "AWSServiceRoleForEC2"),
    ("elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing"),
    ("fleet.amazonaws.com", "AWSServiceRoleForEC2Fleet"),
    ("spot.amazonaws.com", "AWSServiceRoleForEC2Spot"),
    ("ssm.amazonaws.com", "AWSServiceRoleForAmazonSSM"),
    ("vpc-flow-logs.amazonaws.com", "AWSServiceRoleForVPCFlowLogs"),
];

/// How IAM refuses to let anybody else change such a role.
pub(super) fn protected(name: &str) -> ApiError {
    ApiError::new(
        "UnmodifiableEntity",
        format!(
            "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS. \
             Managing resources with this role requires permissions."
        ),
    )
}

pub(super) fn create(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let service = form.require("AWSServiceName")?;
    let known = KNOWN.iter().find(|(known, _)| *known == service);
    let Some((_, role_name)) = known else {
        return Err(ApiError::new("InvalidInput", format!("Service name {service} is not valid.")));
    };
    let name = match form.get("CustomSuffix").filter(|suffix| !suffix.is_empty()) {
        None => (*role_name).to_owned(),
        Some(suffix) if service == "autoscaling.amazonaws.com" => format!("{role_name}_{suffix}"),
        Some(_) => {
            return Err(ApiError::new("InvalidInput", format!("Custom suffix is not allowed for {service}.")));
        }
    };
    if world.iam.roles.contains_key(&name) {
        return Err(ApiError::new(
            "InvalidInput",
            format!("Service role name {name} has been taken in this account, please try a different suffix."),
        ));
    }
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    let path = format!("{PATH}{service}/");
    let role = Role {
        role_id: unique_id(world, "AROA"),
        arn: format!("arn:aws:iam::{}:role{path}{name}", world.account_id),
        path,
        role_name: name.clone(),
        created_at: world.now,
        assume_role_policy_document: trust,
        description: form.get("Description").map(str::to_owned),
        max_session_duration: 3600,
        attached_policies: Vec::new(),
        inline_policies: std::collections::BTreeMap::new(),
        permissions_boundary: None,
        tags: Tags::default(),
    };
    let xml = Xml::new().node("Role", roles::describe(&role));
    world.iam.roles.insert(name, role);
    Ok(xml)
}

/// DeleteServiceLinkedRole: AWS answers with a task to ask about. Here it is done at once.
pub(super) fn delete(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let name = super::name(form, "RoleName", 64)?;
    let role = world.iam.roles.get(name);
    let role = role.ok_or_else(|| no_such_entity(format!("The role with name {name} cannot be found.")))?;
    if !role.path.starts_with(PATH) {
        return Err(ApiError::new("InvalidInput", format!("The role {name} is not a service-linked role.")));
    }
    let path = role.path.clone();
    let task = format!("task{path}{name}/{}", world.uuid());
    world.iam.roles.remove(name);
    Ok(Xml::new().text("DeletionTaskId", task))
}

pub(super) fn deletion_status(form: &Query) -> Result<Xml, ApiError> {
    let task = form.require("DeletionTaskId")?;
    if !task.starts_with(&format!("task{PATH}")) {
        return Err(validation(format!("Deletion task id {task} is not valid.")));
    }
    Ok(Xml::new().text("Status", "SUCCEEDED"))
}
