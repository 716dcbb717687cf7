//! What a repair may be: it touches what the finding names and nothing else, says in words what it lets through beyond
//! that, and its scripts are scripts.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use ipnet::Ipv4Net;
use natdeck::model::Protocol;
use natdeck::plan::{Call, IngressRule, RepairCall, RulePeer, repair::Repair};
use natdeck::reach::Finding;
use regex::Regex;

const WORLD: &str = "the whole internet";

/// What is wrong with a repair. `None`: nothing.
pub fn objection(repair: &Repair, finding: &Finding) -> Option<String> {
    let strange = ids(&repair.steps.iter().map(|step| &step.call).collect::<Vec<_>>())
        .difference(&ids(finding))
        .cloned()
        .collect::<Vec<_>>();
    if !strange.is_empty() {
        return Some(format!("it touches {strange:?}, which the finding does not name"));
    }
    repair.steps.iter().find_map(|step| {
        let unsaid = must_say(&step.call).into_iter().find(|words| !says(repair, words));
        unsaid
            .map(|words| format!("it does not say {words:?}: {:?}", repair.caution))
            .or_else(|| not_a_script(&step.call))
    })
}

fn says(repair: &Repair, words: &str) -> bool {
    repair.caution.as_ref().is_some_and(|caution| caution.contains(words))
}

/// The words without which a call must not be offered.
fn must_say(call: &Call) -> Vec<String> {
    match call {
        Call::AuthorizeSecurityGroupIngress { rule, .. } => of_rule(rule),
        Call::Repair(repair) => match &**repair {
            RepairCall::AuthorizeSecurityGroupEgress { group, rule } => {
                let mut words = of_rule(rule);
                words.push(group.to_string());
                words
            }
            RepairCall::CreateNetworkAclEntry { entry, .. } if entry.cidr_block == Some(Ipv4Net::default()) => {
                vec![WORLD.to_owned()]
            }
            RepairCall::CreateBlockPublicAccessExclusion { subnet } => {
                vec![subnet.to_string(), "reached from".to_owned()]
            }
            RepairCall::MoveAddress { previous: Some(previous), .. } => vec![previous.to_string()],
            RepairCall::RebootInstances { .. } => vec!["interrupted".to_owned()],
            RepairCall::RunOnHost { script, .. }
                if script.contains("ahead FORWARD -") && !script.contains("TCPMSS") =>
            {
                vec!["forwards".to_owned(), "nothing new".to_owned()]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn of_rule(rule: &IngressRule) -> Vec<String> {
    let mut words = Vec::new();
    if rule.protocol == Protocol::All {
        words.push("all protocols and ports".to_owned());
    }
    match &rule.peer {
        RulePeer::Ipv4(net) if net.prefix_len() == 0 => words.push(WORLD.to_owned()),
        RulePeer::Ipv4(net) if rule.protocol == Protocol::All => words.push(net.to_string()),
        _ => {}
    }
    words
}

/// AWS's identifiers in what is serialized.
fn ids(what: &impl serde::Serialize) -> BTreeSet<String> {
    let text = serde_json::to_string(what).unwrap();
    let id = Regex::new(r"\b[a-z]+-[0-9a-f]{17}\b").unwrap();
    id.find_iter(&text).map(|found| found.as_str().to_owned()).collect()
}

/// `sh -n`, which reads a script and runs nothing.
fn not_a_script(call: &Call) -> Option<String> {
    let Call::Repair(repair) = call else { return None };
    let RepairCall::RunOnHost { script, undo, .. } = &**repair else { return None };
    std::iter::once(script).chain(undo).find_map(|script| {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let read = shell.wait_with_output().unwrap();
        (!read.status.success()).then(|| format!("{}\n{script}", String::from_utf8_lossy(&read.stderr)))
    })
}
