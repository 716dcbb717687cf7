//! The one user there is, who is also every caller. Users and groups cannot be made here.

use super::{no_such_entity, page_of_nodes};
use crate::sandbox::actions::sts::{USER_ID, USER_NAME};
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

fn describe(world: &World) -> Xml {
    // The account is as old as the sandbox's users: nobody depends on the day.
    Xml::new()
        .text("Path", "/")
        .text("UserName", USER_NAME)
        .text("UserId", USER_ID)
        .text("Arn", format_args!("arn:aws:iam::{}:user/{USER_NAME}", world.account_id))
        .text("CreateDate", "2026-01-01T00:00:00Z")
}

/// GetUser: without a name, the caller.
pub(super) fn get(world: &World, form: &Query) -> Result<Xml, ApiError> {
    present(form)?;
    Ok(Xml::new().node("User", describe(world)))
}

pub(super) fn list(world: &World, form: &Query) -> Result<Xml, ApiError> {
    page_of_nodes(form, "Users", vec![describe(world)])
}

pub(super) fn list_groups(form: &Query) -> Result<Xml, ApiError> {
    present(form)?;
    page_of_nodes(form, "Groups", Vec::new())
}

pub(super) fn list_attached(form: &Query) -> Result<Xml, ApiError> {
    present(form)?;
    page_of_nodes(form, "AttachedPolicies", Vec::new())
}

fn present(form: &Query) -> Result<(), ApiError> {
    match form.get("UserName") {
        None | Some(USER_NAME) => Ok(()),
        Some(other) => Err(no_such_entity(format!("The user with name {other} cannot be found."))),
    }
}

/// ListAccountAliases: the account has none.
pub(super) fn aliases(form: &Query) -> Result<Xml, ApiError> {
    page_of_nodes(form, "AccountAliases", Vec::new())
}
