//! Policy documents: whether one is well formed, and what it says about an action. Pure.
//!
//! Conditions are not evaluated: a statement that has one neither allows nor denies.

use serde_json::Value;

use crate::sandbox::wire::ApiError;

/// What one document says about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    Silent,
}

/// Which kind of policy a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Says what its holder may do: resources, and no principal.
    Permissions,
    /// Says who may assume a role: principals, and no resource.
    Trust,
}

/// Refuses a document that IAM would refuse.
pub fn validate(text: &str, kind: Kind) -> Result<(), ApiError> {
    let malformed = |message: &str| ApiError::new("MalformedPolicyDocument", message);
    let document: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let document = document.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    if document.keys().any(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return Err(malformed("Syntax errors in policy."));
    }
    if document.get("Version").is_some_and(|version| version != "2012-10-17" && version != "2008-10-17") {
        return Err(malformed("The policy must contain a valid version string"));
    }
    let statements = statements(document.get("Statement"));
    if statements.is_empty() {
        return Err(malformed("Syntax errors in policy."));
    }
    for statement in statements {
        let has = |key: &str| statement.get(key).is_some_and(|value| !value.is_null());
        if !statement.is_object()
            || !matches!(statement.get("Effect"), Some(effect) if effect == "Allow" || effect == "Deny")
        {
            return Err(malformed("Syntax errors in policy."));
        }
        if has("Action") == has("NotAction") {
            return Err(malformed("Policy statement must contain actions."));
        }
        let actions = texts(statement.get("Action")).chain(texts(statement.get("NotAction")));
        for action in actions {
            if action != "*" && !action.contains(':') {
                return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
            }
        }
        match kind {
            Kind::Trust if has("Resource") || has("NotResource") => {
                return Err(malformed("Has prohibited field Resource"));
            }
            Kind::Trust if !has("Principal") && !has("NotPrincipal") => {
                return Err(malformed("Missing required field Principal"));
            }
            Kind::Permissions if has("Principal") || has("NotPrincipal") => {
                return Err(malformed("Policy document should not specify a principal."));
            }
            Kind::Permissions if !has("Resource") && !has("NotResource") => {
                return Err(malformed("Policy statement must contain resources."));
            }
            Kind::Trust | Kind::Permissions => {}
        }
    }
    Ok(())
}

/// What a permissions policy says about `action` on `resource`.
pub fn verdict(text: &str, action: &str, resource: &str) -> Verdict {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return Verdict::Silent };
    let mut verdict = Verdict::Silent;
    for statement in statements(document.get("Statement")) {
        if statement.get("Condition").is_some() {
            continue;
        }
        let named = match statement.get("Action") {
            Some(actions) => texts(Some(actions)).any(|pattern| matches(&lower(pattern), &lower(action))),
            None => !texts(statement.get("NotAction")).any(|pattern| matches(&lower(pattern), &lower(action))),
        };
        let aimed = match statement.get("Resource") {
            Some(resources) => texts(Some(resources)).any(|pattern| matches(pattern, resource)),
            None => !texts(statement.get("NotResource")).any(|pattern| matches(pattern, resource)),
        };
        if !named || !aimed {
            continue;
        }
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => return Verdict::Denied,
            Some("Allow") => verdict = Verdict::Allowed,
            _ => {}
        }
    }
    verdict
}

/// Whether a trust policy lets the EC2 service assume the role.
pub fn lets_ec2_assume(text: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    statements(document.get("Statement")).iter().any(|statement| {
        let principal = statement.get("Principal");
        let services = principal.and_then(|principal| principal.get("Service"));
        let named = texts(services).any(|service| service == "ec2.amazonaws.com" || service == "ec2.amazonaws.com.cn");
        let assumes = texts(statement.get("Action")).any(|pattern| matches(&lower(pattern), "sts:assumerole"));
        statement.get("Effect").is_some_and(|effect| effect == "Allow") && assumes && named
    })
}

/// Whether a trust policy lets a caller of this account assume the role: by the account, by name, or as anybody.
pub fn trusts_account(text: &str, account_id: &str, caller_arn: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    let root = format!("arn:aws:iam::{account_id}:root");
    statements(document.get("Statement")).iter().any(|statement| {
        let principal = statement.get("Principal");
        let named = texts(principal).chain(texts(principal.and_then(|principal| principal.get("AWS"))));
        let known = [root.as_str(), account_id, caller_arn, "*"];
        statement.get("Effect").is_some_and(|effect| effect == "Allow")
            && texts(statement.get("Action")).any(|pattern| matches(&lower(pattern), "sts:assumerole"))
            && named.into_iter().any(|principal| known.contains(&principal))
    })
}

/// One statement may stand alone, without a list around it.
fn statements(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// A text, or a list of texts.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match value {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter().filter_map(Value::as_str)
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Whether a text matches a pattern with `*` and `?`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                // Let the last star take one character more.
                Some((star, from)) => {
                    p = star + 1;
                    t = from + 1;
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(effect: &str, action: &str, resource: &str) -> String {
        serde_json::json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": resource}})
            .to_string()
    }

    #[test]
    fn stars_and_question_marks_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("ssm:*", "ssm:sendcommand", true),
            ("ssm:*info*", "ssm:updateinstanceinformation", true),
            ("ssm:get?", "ssm:gets", true),
            ("ssm:get?", "ssm:get", false),
            ("ec2:*", "ssm:x", false),
            ("a*b*c", "aXbXbXc", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn deny_wins_within_a_document_and_actions_ignore_case() {
        assert_eq!(
            verdict(&policy("Allow", "SSM:Update*", "*"), "ssm:UpdateInstanceInformation", "x"),
            Verdict::Allowed
        );
        assert_eq!(verdict(&policy("Deny", "*", "*"), "ssm:UpdateInstanceInformation", "x"), Verdict::Denied);
        assert_eq!(verdict(&policy("Allow", "ec2:*", "*"), "ssm:UpdateInstanceInformation", "x"), Verdict::Silent);
        assert_eq!(verdict(&policy("Allow", "*", "arn:aws:s3:::b/*"), "ssm:X", "arn:aws:ec2:r:1:i/2"), Verdict::Silent);
    }

    #[test]
    fn malformed_documents_are_refused_for_what_they_lack() {
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        assert!(validate(trust, Kind::Trust).is_ok());
        assert!(lets_ec2_assume(trust));
        assert!(validate(&policy("Allow", "ssm:*", "*"), Kind::Permissions).is_ok());
        for (text, kind) in [
            ("", Kind::Trust),
            ("[]", Kind::Trust),
            ("{}", Kind::Permissions),
            (trust, Kind::Permissions),
            (&policy("Allow", "ssm:*", "*"), Kind::Trust),
            (&policy("Maybe", "ssm:*", "*"), Kind::Permissions),
            (&policy("Allow", "ssm", "*"), Kind::Permissions),
        ] {
            assert_eq!(validate(text, kind).unwrap_err().code, "MalformedPolicyDocument", "{text}");
        }
    }
}
