//! STS: who the caller is.

use crate::sandbox::wire::{ApiError, Body, Request, Xml};
use crate::sandbox::world::World;

/// The user that every caller of the sandbox is.
pub const USER_NAME: &str = "learner";

/// Answers one STS request.
pub fn dispatch(world: &World, request: &Request) -> Result<Body, ApiError> {
    match request.action.as_str() {
        "GetCallerIdentity" => Ok(Body::Xml(
            Xml::new()
                .text("Arn", format_args!("arn:aws:iam::{}:user/{USER_NAME}", world.account_id))
                .text("UserId", "AIDASANDBOXLEARNER0000")
                .text("Account", &world.account_id),
        )),
        other => Err(ApiError::invalid_action(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::Service;

    #[test]
    fn the_caller_is_a_user_of_the_worlds_account() {
        let world = World::new("123456789012", "eu-central-1", 1, jiff::Timestamp::UNIX_EPOCH);
        let request = Request::query(Service::Sts, "GetCallerIdentity", [("", ""); 0]);
        let Body::Xml(xml) = dispatch(&world, &request).unwrap() else { panic!("STS answers in XML") };
        assert_eq!(xml.find("Account"), Some("123456789012"));
        assert_eq!(xml.find("Arn"), Some("arn:aws:iam::123456789012:user/learner"));
    }
}
