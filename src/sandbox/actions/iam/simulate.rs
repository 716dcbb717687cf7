//! SimulatePrincipalPolicy for roles: what their policies say, by the same rules by which agents are let in.

use super::document::Verdict;
use super::{no_such_entity, page_of_nodes, validation};
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

pub(super) fn principal(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let arn = form.require("PolicySourceArn")?;
    let actions = form.list("ActionNames.member");
    if actions.is_empty() {
        return Err(validation(
            "1 validation error detected: Value null at 'actionNames' failed to satisfy constraint: Member must not be null",
        ));
    }
    let user = super::super::sts::USER_NAME;
    let role = world.iam.roles.values().find(|role| role.arn == arn);
    // The one user may do everything: nothing here ever refuses a caller, unless a fault is asked for.
    if role.is_none() && arn != format!("arn:aws:iam::{}:user/{user}", world.account_id) {
        return Err(no_such_entity(format!("The entity with ARN {arn} cannot be found.")));
    }
    let mut resources = form.list("ResourceArns.member");
    if resources.is_empty() {
        resources.push("*");
    }
    let mut results = Vec::new();
    for action in actions {
        for resource in &resources {
            let verdict = role.map_or(Verdict::Allowed, |role| world.iam.role_verdict(role, action, resource));
            let decision = match verdict {
                Verdict::Allowed => "allowed",
                Verdict::Denied => "explicitDeny",
                Verdict::Silent => "implicitDeny",
            };
            results.push(
                Xml::new()
                    .text("EvalActionName", action)
                    .text("EvalResourceName", resource)
                    .text("EvalDecision", decision)
                    .list("MatchedStatements", "member", [])
                    .list("MissingContextValues", "member", []),
            );
        }
    }
    page_of_nodes(form, "EvaluationResults", results)
}
