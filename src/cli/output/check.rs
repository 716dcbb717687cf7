//! The `check` document.

use serde_json::{Value, json};

use super::Paint;
use crate::model::{Identity, VpcId};
use crate::reach::{EgressResult, Role, Verdict};

/// The document of the design: `version`, `world`, `region`, `vpc_id` (null when it was not limited to one VPC), `ok`,
/// `instances`.
pub fn check_json(identity: &Identity, vpc_id: Option<&VpcId>, ok: bool, results: &[EgressResult]) -> Value {
    json!({
        "version": 1,
        "world": identity.world.to_string(),
        "region": identity.region,
        "vpc_id": vpc_id,
        "ok": ok,
        "instances": results,
    })
}

/// One line of the table, as it is also printed when an answer arrives.
pub fn check_row(paint: Paint, row: &EgressResult) -> String {
    let name = row.name.as_deref().unwrap_or("");
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let verdict = format!("{} {}", row.verdict.symbol(), row.verdict.label());
    let verdict = match row.verdict {
        Verdict::ViaNat => paint.good(&format!("{verdict:<16}")),
        Verdict::OtherWayOut | Verdict::NoEgress => paint.bad(&format!("{verdict:<16}")),
        Verdict::CannotTest => paint.warn(&format!("{verdict:<16}")),
    };
    let text = |ip: Option<std::net::IpAddr>| ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let latency = row.latency_ms.map_or_else(String::new, |ms| format!("{ms} ms"));
    let role = if row.role == Role::Nat { "NAT" } else { "" };
    let mut line = format!(
        "{verdict} {:<19} {name:<20} {role:<3} {:<15} {:<15} {:<15} {latency:>8}",
        row.instance_id,
        text(row.private_ip),
        text(row.address),
        text(row.expected_address),
    );
    line.truncate(line.trim_end().len());
    if let Some(reason) = &row.reason {
        let code = row.code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default();
        line.push_str(&format!("\n  {}{reason}", paint.strong(&code)));
    }
    line
}

/// The whole answer for people.
pub fn check_text(paint: Paint, results: &[EgressResult]) -> String {
    let mut out = format!(
        "{:<16} {:<19} {:<20} {:<3} {:<15} {:<15} {:<15} {:>8}\n",
        "VERDICT", "INSTANCE", "NAME", "", "PRIVATE IP", "ADDRESS", "EXPECTED", "LATENCY"
    );
    for row in results {
        out.push_str(&check_row(paint, row));
        out.push('\n');
    }
    let count = |verdict| results.iter().filter(|row| row.verdict == verdict).count();
    let summary: Vec<String> = [Verdict::ViaNat, Verdict::OtherWayOut, Verdict::NoEgress, Verdict::CannotTest]
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.label()))
        .collect();
    if summary.is_empty() {
        out.push_str("There is no private instance to ask.\n");
    } else {
        out.push_str(&format!("{}\n", summary.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InstanceId, World};

    fn row() -> EgressResult {
        EgressResult {
            instance_id: InstanceId::new("i-0123456789abcdef0"),
            name: Some("Private-Instance-0".into()),
            private_ip: Some("10.8.2.10".parse().unwrap()),
            role: Role::Client,
            verdict: Verdict::NoEgress,
            address: None,
            expected_address: None,
            latency_ms: None,
            code: Some("NO_ROUTE_TO_DESTINATION".into()),
            reason: Some("stops at route table".into()),
        }
    }

    #[test]
    fn absent_values_are_null_and_names_are_the_contracts() {
        let identity = Identity {
            world: World::Sandbox,
            region: "eu-central-1".into(),
            profile: None,
            account_id: None,
            caller_arn: None,
            read_only: false,
        };
        let document = check_json(&identity, None, false, &[row()]);
        assert_eq!(document["version"], 1);
        assert_eq!(document["world"], "sandbox");
        assert!(document["vpc_id"].is_null());
        let instance = &document["instances"][0];
        for key in [
            "instance_id",
            "name",
            "private_ip",
            "verdict",
            "address",
            "expected_address",
            "latency_ms",
            "code",
            "reason",
        ] {
            assert!(instance.get(key).is_some(), "{key}");
        }
        assert_eq!(instance["verdict"], "no_egress");
        assert!(instance["address"].is_null());
    }

    #[test]
    fn without_colour_the_symbol_still_says_it() {
        let text = check_text(Paint { colour: false }, &[row()]);
        assert!(text.contains("✗ no egress"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.ends_with("1 no egress\n"));
    }
}
