//! The sections of a report. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Incident;
use super::cells::{block, code, inline, table};
use crate::model::host::Host;
use crate::model::{ApiCall, CallOutcome, Fact, Network, ResourceId, age};
use crate::plan::repair::{Change, repair};
use crate::reach::{Certainty, Decision, Diagnosis, Direction, Finding, Observations, PacketTest};

/// Who, where and when.
pub fn head(incident: &Incident) -> String {
    let identity = &incident.identity;
    let flow = &incident.question.flow;
    let id = flow.instance_id.as_str();
    let name = incident.network.instances.shown().get(id).and_then(|instance| instance.tags.name());
    let instance = format!("{}{}", code(id), name.map(|name| format!(" {}", inline(name))).unwrap_or_default());
    let unknown = || "unknown".to_owned();
    let mut rows = vec![
        ["instance".to_owned(), instance],
        ["to".to_owned(), format!("{} port {}", code(&flow.destination.to_string()), flow.destination_port)],
        ["looked at".to_owned(), format!("{:.0}", incident.at)],
        ["world".to_owned(), inline(&identity.world.to_string())],
        ["account".to_owned(), identity.account_id.as_deref().map_or_else(unknown, code)],
        ["region".to_owned(), inline(&incident.network.region)],
    ];
    rows.extend(identity.profile.as_deref().map(|profile| ["profile".to_owned(), code(profile)]));
    rows.extend(identity.caller_arn.as_deref().map(|arn| ["caller".to_owned(), code(arn)]));
    rows.push(["natdeck".to_owned(), inline(&incident.natdeck)]);
    table(["", ""], rows)
}

/// The path there and back, a mark at each hop: as it is to where the packet is stopped, and behind that what would stop
/// it next.
pub fn path(diagnosis: &Diagnosis) -> String {
    let stopped_at = diagnosis.stopped_at();
    let mut out = String::new();
    let mut direction = None;
    for (at, hop) in diagnosis.path.iter().enumerate() {
        if direction != Some(hop.direction) {
            direction = Some(hop.direction);
            out.push_str(if hop.direction == Direction::Forward { "out\n" } else { "back\n" });
        }
        let mark = match hop.decision {
            Decision::Denied => "✗",
            Decision::Unknown => "?",
            _ if stopped_at.is_some_and(|stopped| at > stopped) => "·",
            _ => "✓",
        };
        let line = hop.detail.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "  {mark} {line}");
    }
    if out.contains("\n  · ") {
        out.push_str("(· not reached: it would let the packet pass)\n");
    }
    out
}

/// A heading and the findings below it; nothing without findings.
pub fn findings(title: &str, findings: &[Finding], network: &Network, at: Timestamp) -> String {
    let mut out = String::new();
    if !findings.is_empty() {
        let _ = write!(out, "## {title}\n\n");
    }
    for finding in findings {
        self::finding(&mut out, finding, network, at);
    }
    out
}

fn finding(out: &mut String, finding: &Finding, network: &Network, at: Timestamp) {
    let sure = match finding.certainty {
        Certainty::Certain => String::new(),
        Certainty::Likely => " (likely)".to_owned(),
        Certainty::Guess => " (a guess)".to_owned(),
    };
    let resource = finding.resource_id.as_ref().map(|id| resource(id, network)).unwrap_or_default();
    let _ = write!(out, "### {}{resource}{sure}\n\n", code(&finding.cause.name()));
    let _ = write!(out, "{}\n\n{}\n\n", inline(&finding.summary), inline(finding.cause.explanation()));
    if let Some(words) = finding.cause.aws_calls_it() {
        let _ = write!(out, "{}\n\n", inline(&words));
    }
    let evidence = finding.evidence.iter().map(|evidence| {
        let age = evidence.observed_at.map(|seen| age(at, seen)).unwrap_or_default();
        [code(&evidence.source), code(&evidence.text), age]
    });
    out.push_str(&table(["evidence", "says", "age"], evidence));
    match repair(finding, network) {
        Some(repair) => {
            let _ = write!(out, "**Repair:** {}\n\n", inline(&repair.title));
            out.push_str(&change(&repair.changes, &repair.commands, repair.caution.as_deref()));
        }
        None => {
            if let Some(words) = finding.by_hand() {
                let _ = write!(out, "**By hand:** {}\n\n", inline(words));
            } else if let Some(command) = finding.cause.look_on_host() {
                let _ = write!(out, "On the host {} tells.\n\n", code(command));
            }
        }
    }
}

fn resource(id: &ResourceId, network: &Network) -> String {
    let named = network.resources().find(|resource| resource.id() == id.as_str());
    let name = named.and_then(|resource| resource.tags().name()).map(|name| format!(" {}", inline(name)));
    format!(" {}{}", code(id.as_str()), name.unwrap_or_default())
}

/// What a repair changes, and how it is done by hand.
pub fn change(changes: &[Change], commands: &[String], caution: Option<&str>) -> String {
    let rows = changes.iter().map(|change| [code(&change.what), code(&change.before), code(&change.after)]);
    let mut out = table(["changes", "from", "to"], rows);
    if let Some(caution) = caution {
        let _ = write!(out, "**Caution:** {}\n\n", inline(caution));
    }
    if !commands.is_empty() {
        out.push_str(&block("sh", &commands.join("\n")));
        out.push('\n');
    }
    out
}

/// What the packet test gave.
pub fn test(observations: &Observations) -> String {
    let mut out = "## Packet test\n\n".to_owned();
    match &observations.test {
        None => out.push_str("None was made.\n\n"),
        Some(PacketTest::CouldNotRun { code: why, reason }) => {
            let _ = write!(out, "It could not run. {}: {}\n\n", code(&why.to_string()), inline(reason));
        }
        Some(PacketTest::Ran { probes, observed_at }) => {
            let at = observed_at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
            let _ = write!(out, "curl on the instance{at}:\n\n");
            let rows = probes.iter().map(|probe| {
                let answer = match probe.address {
                    Some(address) => code(&address.to_string()),
                    None => inline(&probe.message),
                };
                let latency = probe.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
                [code(&probe.url), probe.exit_code.to_string(), answer, latency]
            });
            out.push_str(&table(["asked", "curl's status", "answer", "time"], rows));
        }
    }
    out
}

/// The hosts that were asked, and what the snapshot holds.
pub fn environment(incident: &Incident) -> String {
    let network = &incident.network;
    let mut out = "## Environment\n\n".to_owned();
    let hosts = incident.looked.hosts.iter().map(|(id, fact)| {
        let said = match fact {
            Fact::Known(host) => self::host(host),
            Fact::Unknown(unknown) => format!("not known: {}", inline(&unknown.reason)),
        };
        [code(id.as_str()), said]
    });
    out.push_str(&table(["host", "says"], hosts));
    let seen = network.observed_at.map(|at| format!(", seen at {at:.0}")).unwrap_or_default();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let parts = [
        count(network.vpcs.shown().len(), "VPC"),
        count(network.subnets.shown().len(), "subnet"),
        count(network.route_tables.shown().len(), "route table"),
        count(network.security_groups.shown().len(), "security group"),
        count(network.network_interfaces.shown().len(), "network interface"),
        count(network.instances.shown().len(), "instance"),
    ];
    let _ = write!(out, "The snapshot holds {}{seen}.\n\n", parts.join(", "));
    let gaps = network.gaps();
    if !gaps.is_empty() {
        out.push_str(&table(
            ["not in the snapshot", "why"],
            gaps.into_iter().map(|gap| [code(&gap.what), inline(&gap.reason)]),
        ));
    }
    out
}

fn host(host: &Host) -> String {
    let forwards = if host.ip_forward { "forwards" } else { "does not forward" };
    let rules: usize = host.ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    let interfaces: Vec<String> = (host.interfaces.iter().filter(|interface| interface.name != "lo"))
        .map(|interface| {
            let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
            code(&format!("{} {}", interface.name, addresses.join(" ")))
        })
        .collect();
    format!("{forwards}; {rules} netfilter rules; {}", interfaces.join(", "))
}

/// Every API call of the run.
pub fn calls(calls: &[ApiCall]) -> String {
    if calls.is_empty() {
        return String::new();
    }
    let failed = calls.iter().filter(|call| call.outcome != CallOutcome::Ok).count();
    let rows = calls.iter().map(|call| {
        let outcome = match &call.outcome {
            CallOutcome::Ok => "ok".to_owned(),
            CallOutcome::Error { code: error, message } => format!("{} {}", code(error), inline(message)),
            CallOutcome::NoAnswer { reason } | CallOutcome::Refused { reason } => inline(reason),
        };
        [
            call.number.to_string(),
            format!("{:.3}", call.started_at),
            format!("{}:{}", inline(&call.service), inline(&call.operation)),
            format!("{} ms", call.latency_ms),
            call.attempts.to_string(),
            outcome,
        ]
    });
    format!(
        "## API calls\n\n<details>\n<summary>{} calls, {failed} failed</summary>\n\n{}</details>\n\n",
        calls.len(),
        table(["", "started", "call", "took", "attempts", "outcome"], rows)
    )
}
