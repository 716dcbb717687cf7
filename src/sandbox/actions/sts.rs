//! STS: who the caller is, and credentials for a while. The sandbox does not check signatures, so that temporary
//! credentials open what every credential opens, and who uses them is still the same caller.

use std::time::Duration;

use jiff::Timestamp;

use super::iam::trusts_account;
use crate::sandbox::wire::{ApiError, Body, Query, Request, Xml};
use crate::sandbox::world::World;

/// The user that every caller of the sandbox is.
pub const USER_NAME: &str = "learner";
/// The identifier of that user.
pub const USER_ID: &str = "AIDASANDBOXLEARNER0000";

/// Answers one STS request.
pub fn dispatch(world: &mut World, request: &Request) -> Result<Body, ApiError> {
    act(world, &request.action, &request.form()).map(Body::Xml)
}

super::operations! { fn act(world: &mut World, action: &str, form: &Query) -> Result<Xml, ApiError> {
    match action {
        "GetCallerIdentity" => Ok(caller_identity(world)),
        "GetSessionToken" => session_token(world, form),
        "AssumeRole" => assume_role(world, form),
        "DecodeAuthorizationMessage" => Err(undecodable(form)?),
        other => Err(super::no_such_operation(other, "2011-06-15")),
    }
} }

fn caller_arn(world: &World) -> String {
    format!("arn:aws:iam::{}:user/{USER_NAME}", world.account_id)
}

fn caller_identity(world: &World) -> Xml {
    Xml::new().text("Arn", caller_arn(world)).text("UserId", USER_ID).text("Account", &world.account_id)
}

/// No refusal of the sandbox carries an encoded message, so there is none that could be decoded.
fn undecodable(form: &Query) -> Result<ApiError, ApiError> {
    required(form, "EncodedMessage")?;
    Ok(ApiError::new("InvalidAuthorizationMessageException", "Message is not valid"))
}

fn validation(message: impl std::fmt::Display) -> ApiError {
    ApiError::new("ValidationError", format!("1 validation error detected: {message}"))
}

/// A text that must be there.
fn required<'a>(form: &'a Query, field: &str) -> Result<&'a str, ApiError> {
    form.get(field).filter(|text| !text.is_empty()).ok_or_else(|| {
        let mut member = field.to_owned();
        if let Some(first) = member.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        validation(format_args!("Value null at '{member}' failed to satisfy constraint: Member must not be null"))
    })
}

/// How long the credentials are to live, in seconds.
fn duration(form: &Query, default: i64, most: i64) -> Result<Duration, ApiError> {
    let seconds = form.int("DurationSeconds")?.unwrap_or(default);
    let wrong = |bound: String| {
        validation(format_args!("Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: {bound}"))
    };
    if seconds < 900 {
        return Err(wrong("Member must have value greater than or equal to 900".to_owned()));
    }
    if seconds > most {
        return Err(wrong(format!("Member must have value less than or equal to {most}")));
    }
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

fn credentials(world: &mut World, life: Duration) -> Xml {
    const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (key, secret, token) = world.random(|random| {
        let mut text = |alphabet: &'static [u8], length: usize| -> String {
            (0..length).filter_map(|_| random.choice(alphabet).copied().map(char::from)).collect()
        };
        (text(CAPITALS, 16), text(ALL, 40), text(ALL, 200))
    });
    let expires_at = world.now.saturating_add(life).unwrap_or(Timestamp::MAX);
    Xml::new()
        .text("AccessKeyId", format_args!("ASIA{key}"))
        .text("SecretAccessKey", secret)
        .text("SessionToken", token)
        .text("Expiration", format_args!("{expires_at:.0}"))
}

fn session_token(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let life = duration(form, 43_200, 129_600)?;
    Ok(Xml::new().node("Credentials", credentials(world, life)))
}

/// AssumeRole: the role's trust policy must name the account or the caller.
fn assume_role(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let (arn, session) = (required(form, "RoleArn")?, required(form, "RoleSessionName")?);
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(fits) {
        return Err(validation(format_args!(
            "Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: [\\w+=,.@-]*"
        )));
    }
    let caller = caller_arn(world);
    let role = world.iam.roles.values().find(|role| role.arn == arn);
    // A role that is not there is refused like one that may not be assumed: AWS does not tell which.
    let trusted = role.filter(|role| trusts_account(&role.assume_role_policy_document, &world.account_id, &caller));
    let Some(role) = trusted else {
        let message = format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(ApiError::new("AccessDenied", message).with_status(403));
    };
    let (name, id, longest) = (role.role_name.clone(), role.role_id.clone(), role.max_session_duration);
    let life = duration(form, 3600, 43_200)?;
    if life > Duration::from_secs(longest.unsigned_abs()) {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(ApiError::new("ValidationError", message));
    }
    let user = Xml::new()
        .text("AssumedRoleId", format_args!("{id}:{session}"))
        .text("Arn", format_args!("arn:aws:sts::{}:assumed-role/{name}/{session}", world.account_id));
    Ok(Xml::new()
        .node("Credentials", credentials(world, life))
        .node("AssumedRoleUser", user)
        .opt("SourceIdentity", form.get("SourceIdentity")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::Service;

    fn world() -> World {
        World::new("123456789012", "eu-central-1", 1, Timestamp::UNIX_EPOCH)
    }

    fn call(world: &mut World, action: &str, pairs: &[(&str, &str)]) -> Result<Xml, ApiError> {
        let request = Request::query(Service::Sts, action, pairs.iter().copied());
        dispatch(world, &request).map(|body| match body {
            Body::Xml(xml) => xml,
            Body::Json(_) => panic!("STS answers in XML"),
        })
    }

    #[test]
    fn the_caller_is_a_user_of_the_worlds_account() {
        let xml = call(&mut world(), "GetCallerIdentity", &[]).unwrap();
        assert_eq!(xml.find("Account"), Some("123456789012"));
        assert_eq!(xml.find("Arn"), Some("arn:aws:iam::123456789012:user/learner"));
    }

    #[test]
    fn a_role_is_assumed_only_when_it_trusts_the_account() {
        let mut world = world();
        for (name, principal) in [
            ("root", r#"{"AWS":"arn:aws:iam::123456789012:root"}"#),
            ("number", r#"{"AWS":["123456789012"]}"#),
            ("user", r#"{"AWS":"arn:aws:iam::123456789012:user/learner"}"#),
            ("anyone", r#""*""#),
            ("service", r#"{"Service":"ec2.amazonaws.com"}"#),
            ("other", r#"{"AWS":"arn:aws:iam::210987654321:root"}"#),
        ] {
            let trust = format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}}}}}"#
            );
            let pairs = [("RoleName", name), ("AssumeRolePolicyDocument", &trust)];
            let made = world.handle(&Request::query(Service::Iam, "CreateRole", pairs));
            assert_eq!(made.status, 200, "{}", made.body);
        }
        for name in ["root", "number", "user", "anyone"] {
            let arn = format!("arn:aws:iam::123456789012:role/{name}");
            let xml = call(&mut world, "AssumeRole", &[("RoleArn", &arn), ("RoleSessionName", "here")]).unwrap();
            assert!(xml.find("Credentials/AccessKeyId").unwrap().starts_with("ASIA"));
            let who = format!("arn:aws:sts::123456789012:assumed-role/{name}/here");
            assert_eq!(xml.find("AssumedRoleUser/Arn"), Some(who.as_str()));
        }
        for name in ["service", "other", "absent"] {
            let arn = format!("arn:aws:iam::123456789012:role/{name}");
            let error = call(&mut world, "AssumeRole", &[("RoleArn", &arn), ("RoleSessionName", "here")]).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("AccessDenied", 403), "{name}");
        }
    }
}
