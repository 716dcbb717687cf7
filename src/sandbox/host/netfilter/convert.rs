//! From the parts of a rule to what the model evaluates.

use super::spec::{Extension, Opt, Spec, is_target};
use crate::model::Protocol;
use crate::model::host::{ConnState, Match, Rule, Target};
use crate::reach::icmp_of_iptables;

pub(super) fn rule(spec: &Spec, chain: &str) -> Rule {
    let mut matches = Vec::new();
    if let Some((net, negated)) = spec.source {
        matches.push(Match::Source { net, negated });
    }
    if let Some((net, negated)) = spec.destination {
        matches.push(Match::Destination { net, negated });
    }
    if let Some((name, negated)) = &spec.input {
        let (name, prefix) = interface(name, '+');
        matches.push(Match::In { name, prefix, negated: *negated });
    }
    if let Some((name, negated)) = &spec.output {
        let (name, prefix) = interface(name, '+');
        matches.push(Match::Out { name, prefix, negated: *negated });
    }
    if let Some((name, negated)) = &spec.protocol {
        matches.push(Match::Protocol { protocol: protocol(name), negated: *negated });
    }
    for extension in &spec.extensions {
        matches.extend(extension.options.iter().map(|option| condition(extension, option)));
    }
    let text = format!("-A {chain} {}", spec.text()).trim_end().to_owned();
    Rule { matches, target: target(spec), text, packets: 0, bytes: 0 }
}

/// A name, and whether it is the beginning of names.
pub(super) fn interface(name: &str, wildcard: char) -> (String, bool) {
    match name.strip_suffix(wildcard) {
        Some(prefix) => (prefix.to_owned(), true),
        None => (name.to_owned(), false),
    }
}

pub(super) fn protocol(name: &str) -> Protocol {
    match name {
        "ipv6-icmp" => Protocol::Icmpv6,
        "gre" => Protocol::Number(47),
        "esp" => Protocol::Number(50),
        "ah" => Protocol::Number(51),
        "sctp" => Protocol::Number(132),
        other => Protocol::parse(other),
    }
}

fn condition(extension: &Extension, option: &Opt) -> Match {
    let negated = option.negated;
    match option.flag.as_str() {
        "--dport" | "--dports" => Match::DestinationPort { ranges: ranges(&option.value, ':'), negated },
        "--sport" | "--sports" => Match::SourcePort { ranges: ranges(&option.value, ':'), negated },
        "--icmp-type" | "--icmpv6-type" => icmp_of_iptables(option.flag == "--icmp-type", &option.value, negated)
            .unwrap_or_else(|| not_understood(extension, option)),
        "--state" | "--ctstate" => match states(&option.value) {
            Some(states) => Match::State { states, negated },
            None => not_understood(extension, option),
        },
        "--comment" => Match::Always,
        _ => not_understood(extension, option),
    }
}

fn not_understood(extension: &Extension, option: &Opt) -> Match {
    let bang = if option.negated { "! " } else { "" };
    Match::NotUnderstood(format!("-m {} {bang}{} {}", extension.name, option.flag, option.value).trim_end().to_owned())
}

pub(super) fn ranges(text: &str, dash: char) -> Vec<(u16, u16)> {
    text.split(',')
        .filter_map(|range| {
            let (low, high) = range.split_once(dash).unwrap_or((range, range));
            Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
        })
        .collect()
}

/// `None` when a state is not one that the model knows.
pub(super) fn states(text: &str) -> Option<Vec<ConnState>> {
    text.split(',').map(|state| ConnState::parse(state.trim())).collect()
}

fn target(spec: &Spec) -> Target {
    let option = |flag: &str| spec.target_options.iter().find(|o| o.flag == flag).map(|o| o.value.as_str());
    let whole = || {
        let options: Vec<String> = spec.target_options.iter().map(|o| format!(" {} {}", o.flag, o.value)).collect();
        Target::NotUnderstood(format!("{}{}", spec.target.as_deref().unwrap_or_default(), options.concat()))
    };
    match spec.target.as_deref() {
        None => Target::Continue,
        Some("ACCEPT") => Target::Accept,
        Some("DROP") => Target::Drop,
        Some("REJECT") => Target::Reject,
        Some("RETURN") => Target::Return,
        Some("MASQUERADE") => Target::Masquerade,
        Some("LOG" | "NFLOG" | "TCPMSS" | "MARK" | "CONNMARK" | "CT" | "NOTRACK") => Target::Continue,
        Some("SNAT") => match option("--to-source").and_then(address) {
            Some((to, _)) => Target::Snat { to },
            None => whole(),
        },
        Some("DNAT") => match option("--to-destination").and_then(address) {
            Some((to, port)) => Target::Dnat { to, port },
            None => whole(),
        },
        Some(name) if is_target(name) => whole(),
        Some(name) if spec.goto => Target::Goto(name.to_owned()),
        Some(name) => Target::Jump(name.to_owned()),
    }
}

/// The first address of `1.2.3.4-1.2.3.9:80`, and its port.
pub(super) fn address(text: &str) -> Option<(std::net::Ipv4Addr, Option<u16>)> {
    let (addresses, port) = text.split_once(':').map_or((text, None), |(addresses, port)| (addresses, Some(port)));
    let first = addresses.split('-').next()?.parse().ok()?;
    Some((first, port.and_then(|port| port.split('-').next()?.parse().ok())))
}
