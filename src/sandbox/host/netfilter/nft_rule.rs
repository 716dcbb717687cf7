//! One nft rule: its words to what the model evaluates, and an iptables rule as nft shows it.

use ipnet::IpNet;

use super::convert::{address, interface, protocol, ranges, states};
use super::spec::of_rule;
use crate::model::host::{Match, Rule, Target};

/// Reads a rule's words. The text is nft's own spelling, with `counter` where the counts go.
pub(super) fn parse(words: &[String]) -> Result<Rule, String> {
    let mut rule = Rule { matches: Vec::new(), target: Target::Continue, text: String::new(), packets: 0, bytes: 0 };
    let mut text: Vec<String> = Vec::new();
    let mut at = 0;
    let word = |at: usize| words.get(at).map(String::as_str);
    while let Some(first) = word(at) {
        match first {
            "counter" => {
                at += 1;
                while matches!(word(at), Some("packets" | "bytes")) {
                    let count = word(at + 1).and_then(|n| n.parse().ok()).unwrap_or(0);
                    if word(at) == Some("packets") {
                        rule.packets = count;
                    } else {
                        rule.bytes = count;
                    }
                    at += 2;
                }
                text.push("counter".to_owned());
                continue;
            }
            "accept" => rule.target = Target::Accept,
            "drop" => rule.target = Target::Drop,
            "return" => rule.target = Target::Return,
            "masquerade" | "reject" => {
                rule.target = if first == "reject" { Target::Reject } else { Target::Masquerade };
                let rest: Vec<String> = words.get(at..).unwrap_or_default().to_vec();
                at = words.len();
                text.extend(rest);
                continue;
            }
            "jump" | "goto" => {
                let to = word(at + 1).ok_or("syntax error, unexpected newline")?.to_owned();
                text.extend([first.to_owned(), to.clone()]);
                rule.target = if first == "jump" { Target::Jump(to) } else { Target::Goto(to) };
                at += 2;
                continue;
            }
            "snat" | "dnat" => {
                let rest: Vec<&str> = words
                    .get(at + 1..)
                    .unwrap_or_default()
                    .iter()
                    .map(String::as_str)
                    .filter(|w| !matches!(*w, "ip" | "to"))
                    .collect();
                let to = rest.first().and_then(|to| address(to));
                rule.target = match (first, to) {
                    ("snat", Some((to, _))) => Target::Snat { to },
                    ("dnat", Some((to, port))) => Target::Dnat { to, port },
                    _ => Target::NotUnderstood(words.get(at..).unwrap_or_default().join(" ")),
                };
                text.push(format!("{first} to {}", rest.join(" ")));
                at = words.len();
                continue;
            }
            "log" | "comment" | "limit" | "notrack" => {
                let rest: Vec<String> = words.get(at..).unwrap_or_default().to_vec();
                let end = rest
                    .iter()
                    .position(|w| {
                        matches!(w.as_str(), "accept" | "drop" | "reject" | "counter" | "masquerade" | "return")
                    })
                    .unwrap_or(rest.len());
                let part = rest.get(..end).unwrap_or_default().join(" ");
                if first == "limit" {
                    rule.matches.push(Match::NotUnderstood(part.clone()));
                }
                text.push(part);
                at += end.max(1);
                continue;
            }
            _ => {
                at += condition(words.get(at..).unwrap_or_default(), &mut rule.matches, &mut text)?;
                continue;
            }
        }
        text.push(first.to_owned());
        at += 1;
    }
    rule.text = text.join(" ");
    Ok(rule)
}

/// One match; how many words it has.
fn condition(words: &[String], matches: &mut Vec<Match>, text: &mut Vec<String>) -> Result<usize, String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let first = word(0);
    let keys = match first {
        "iifname" | "oifname" | "iif" | "oif" | "mark" => 1,
        "meta" if matches!(word(1), "iifname" | "oifname" | "iif" | "oif" | "l4proto" | "mark" | "nfproto") => 2,
        "ip" | "ip6" | "tcp" | "udp" | "ct" | "th" | "icmp" | "icmpv6" | "fib" => 2,
        other => return Err(format!("syntax error, unexpected {other}")),
    };
    let mut at = keys;
    let negated = word(at) == "!=";
    at += usize::from(matches!(word(at), "!=" | "==" | "="));
    let mut values = Vec::new();
    if word(at) == "{" {
        let inner = words.get(at + 1..).unwrap_or_default();
        let end = inner.iter().position(|w| w == "}").ok_or("syntax error, unexpected newline, expecting }")?;
        values.extend(inner.get(..end).unwrap_or_default().iter().filter(|w| *w != ",").cloned());
        at += end + 2;
    } else {
        values.push(word(at).to_owned());
        at += 1;
        while word(at) == "," {
            values.push(word(at + 1).to_owned());
            at += 2;
        }
    }
    if values.iter().any(String::is_empty) || values.is_empty() {
        return Err("syntax error, unexpected newline".to_owned());
    }
    let key = if first == "meta" { word(1).to_owned() } else { words.get(..keys).unwrap_or_default().join(" ") };
    let bare: Vec<String> = values.iter().map(|value| value.trim_matches('"').to_owned()).collect();
    let single = bare.first().map_or("", String::as_str);
    let joined = bare.join(",");
    let printed = match (key.as_str(), bare.len()) {
        ("iifname" | "oifname" | "iif" | "oif", 1) => format!("\"{single}\""),
        ("iifname" | "oifname" | "iif" | "oif", _) => {
            format!("{{ {} }}", bare.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
        }
        ("ct state", _) => joined.clone(),
        (_, 1) => single.to_owned(),
        _ => format!("{{ {} }}", bare.join(", ")),
    };
    let shown =
        if matches!(key.as_str(), "l4proto" | "mark" | "nfproto") { format!("meta {key}") } else { key.clone() };
    let text_part = format!("{shown} {}{printed}", if negated { "!= " } else { "" });
    let unknown = Match::NotUnderstood(text_part.clone());
    let net = || -> Option<IpNet> {
        single.parse().ok().or_else(|| single.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)))
    };
    let ports = |destination: bool| {
        let ranges = ranges(&joined, '-');
        let named = ranges.len() == bare.len();
        match (named, destination) {
            (false, _) => unknown.clone(),
            (true, true) => Match::DestinationPort { ranges, negated },
            (true, false) => Match::SourcePort { ranges, negated },
        }
    };
    match key.as_str() {
        "iifname" | "iif" | "oifname" | "oif" if bare.len() == 1 => {
            let (name, prefix) = interface(single, '*');
            matches.push(if key.starts_with('i') {
                Match::In { name, prefix, negated }
            } else {
                Match::Out { name, prefix, negated }
            });
        }
        "ip saddr" | "ip6 saddr" | "ip daddr" | "ip6 daddr" if bare.len() == 1 => matches.push(match net() {
            Some(net) if key.ends_with("saddr") => Match::Source { net, negated },
            Some(net) => Match::Destination { net, negated },
            None => unknown,
        }),
        "l4proto" | "ip protocol" | "ip6 nexthdr" if bare.len() == 1 => {
            matches.push(Match::Protocol { protocol: protocol(single), negated });
        }
        "tcp dport" | "udp dport" | "tcp sport" | "udp sport" => {
            matches.push(Match::Protocol { protocol: protocol(first), negated: false });
            matches.push(ports(key.ends_with("dport")));
        }
        "th dport" | "th sport" => matches.push(ports(key.ends_with("dport"))),
        "ct state" => matches.push(match states(&joined) {
            Some(states) => Match::State { states, negated },
            None => unknown,
        }),
        _ => matches.push(unknown),
    }
    text.push(text_part);
    Ok(at)
}

/// An iptables-nft rule in nft's words, as `nft list ruleset` shows it.
pub(super) fn of_iptables(text: &str, v6: bool) -> String {
    let spec = of_rule(text, v6);
    let mut parts = Vec::new();
    let not = |negated: bool| if negated { "!= " } else { "" };
    let wildcard = |name: &str| name.strip_suffix('+').map_or_else(|| name.to_owned(), |prefix| format!("{prefix}*"));
    if let Some((name, negated)) = &spec.input {
        parts.push(format!("iifname {}\"{}\"", not(*negated), wildcard(name)));
    }
    if let Some((name, negated)) = &spec.output {
        parts.push(format!("oifname {}\"{}\"", not(*negated), wildcard(name)));
    }
    let family = if v6 { "ip6" } else { "ip" };
    for (key, net) in [("saddr", &spec.source), ("daddr", &spec.destination)] {
        if let Some((net, negated)) = net {
            let host = net.prefix_len() == net.max_prefix_len();
            let net = if host { net.addr().to_string() } else { net.to_string() };
            parts.push(format!("{family} {key} {}{net}", not(*negated)));
        }
    }
    let ports =
        spec.extensions.iter().any(|e| e.options.iter().any(|o| matches!(o.flag.as_str(), "--dport" | "--sport")));
    if let Some((name, negated)) = spec.protocol.as_ref().filter(|_| !ports) {
        parts.push(format!("meta l4proto {}{name}", not(*negated)));
    }
    for option in spec.extensions.iter().flat_map(|e| e.options.iter().map(move |o| (e, o))) {
        let (extension, option) = option;
        let value = option.value.replace(':', "-");
        parts.push(match option.flag.as_str() {
            "--dport" | "--sport" => {
                format!("{} {} {}{value}", extension.name, option.flag.trim_start_matches('-'), not(option.negated))
            }
            "--state" | "--ctstate" => format!("ct state {}{}", not(option.negated), value.to_lowercase()),
            "--comment" => format!("comment \"{}\"", option.value),
            _ => format!("# {} {} {}", extension.name, option.flag, option.value),
        });
    }
    parts.push("counter".to_owned());
    let option =
        |flag: &str| spec.target_options.iter().find(|o| o.flag == flag).map(|o| o.value.clone()).unwrap_or_default();
    parts.extend(spec.target.as_deref().map(|target| match target {
        "ACCEPT" | "DROP" | "RETURN" | "MASQUERADE" => target.to_lowercase(),
        "REJECT" => match option("--reject-with").as_str() {
            "icmp-port-unreachable" => "reject".to_owned(),
            other => format!("reject with icmp type {}", other.trim_start_matches("icmp-")),
        },
        "SNAT" => format!("snat to {}", option("--to-source")),
        "DNAT" => format!("dnat to {}", option("--to-destination")),
        "LOG" => format!("log prefix \"{}\"", option("--log-prefix")),
        "TCPMSS" => "tcp option maxseg size set rt mtu".to_owned(),
        other if spec.goto => format!("goto {other}"),
        other => format!("jump {other}"),
    }));
    parts.join(" ")
}
