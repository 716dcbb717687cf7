//! One nft rule: its words to what the model evaluates, and an iptables rule as nft shows it.

use ipnet::IpNet;

use super::convert::{address, interface, protocol, ranges, states};
use super::spec::of_rule;
use crate::model::host::{Match, Rule, Target};
use crate::reach::icmp_of_nft;

/// A way in which a condition can hold: all of these, and for a verdict map what is done then.
type Way = (Vec<Match>, Option<Target>);

/// How many rules one rule over sets may become.
const WAYS_AT_MOST: usize = 1024;

/// Reads a rule's words. One over a set or a verdict map becomes several with the same text, one for each element, next
/// to each other. The text is nft's own spelling, with `counter` where the counts go.
pub(super) fn parse(words: &[String]) -> Result<Vec<Rule>, String> {
    let mut ways: Vec<Way> = vec![(Vec::new(), None)];
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
                let (taken, more) = condition(words.get(at..).unwrap_or_default(), &mut text)?;
                at += taken;
                if ways.len() * more.len() > WAYS_AT_MOST {
                    return Err("Could not process rule: Cannot allocate memory".to_owned());
                }
                ways = ways
                    .iter()
                    .flat_map(|(matches, target)| {
                        more.iter().map(move |(also, then)| {
                            let all = matches.iter().chain(also).cloned().collect();
                            (all, then.clone().or_else(|| target.clone()))
                        })
                    })
                    .collect();
                continue;
            }
        }
        text.push(first.to_owned());
        at += 1;
    }
    rule.text = text.join(" ");
    let each = ways.into_iter().map(|(mut matches, target)| {
        matches.extend(rule.matches.iter().cloned());
        Rule { matches, target: target.unwrap_or_else(|| rule.target.clone()), ..rule.clone() }
    });
    Ok(each.collect())
}

/// One match: how many words it has, and the ways in which it can hold.
fn condition(words: &[String], text: &mut Vec<String>) -> Result<(usize, Vec<Way>), String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let first = word(0);
    let keys = match first {
        "iifname" | "oifname" | "iif" | "oif" | "mark" => 1,
        "meta" if matches!(word(1), "iifname" | "oifname" | "iif" | "oif" | "l4proto" | "mark" | "nfproto") => 2,
        "ip" | "ip6" | "tcp" | "udp" | "ct" | "th" | "icmp" | "icmpv6" | "fib" => 2,
        other => return Err(format!("syntax error, unexpected {other}")),
    };
    let mut at = keys;
    if word(at) == "vmap" {
        return verdict_map(words, keys, text);
    }
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
    let joined = bare.join(",");
    let quoted = |value: &String| if is_device(&key) { format!("\"{value}\"") } else { value.clone() };
    let printed = match bare.as_slice() {
        _ if key == "ct state" => joined.clone(),
        [one] => quoted(one),
        all => format!("{{ {} }}", all.iter().map(quoted).collect::<Vec<_>>().join(", ")),
    };
    let text_part = format!("{} {}{printed}", shown(&key), if negated { "!= " } else { "" });
    let unknown = || vec![(vec![Match::NotUnderstood(text_part.clone())], None)];
    // States and ports have lists of their own; of other values any may hold, or with `!=` none.
    let ways = match key.as_str() {
        "ct state" | "tcp dport" | "udp dport" | "tcp sport" | "udp sport" | "th dport" | "th sport" => {
            one_of(&key, &joined, bare.len(), negated).map(|matches| vec![(matches, None)])
        }
        _ => {
            let each: Option<Vec<Vec<Match>>> =
                bare.iter().flat_map(|value| values_of(value)).map(|value| one_of(&key, &value, 1, negated)).collect();
            each.map(|each| match negated {
                true => vec![(each.concat(), None)],
                false => each.into_iter().map(|matches| (matches, None)).collect(),
            })
        }
    };
    let ways = ways.unwrap_or_else(unknown);
    text.push(text_part);
    Ok((at, ways))
}

fn is_device(key: &str) -> bool {
    matches!(key, "iifname" | "oifname" | "iif" | "oif")
}

fn shown(key: &str) -> String {
    if matches!(key, "l4proto" | "mark" | "nfproto") { format!("meta {key}") } else { key.to_owned() }
}

/// A value, or the networks that make up a range of addresses.
fn values_of(value: &str) -> Vec<String> {
    let range = value.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match range {
        Some((first, last)) => ipnet::Ipv4Subnets::new(first, last, 0).map(|net| net.to_string()).collect(),
        None => vec![value.to_owned()],
    }
}

/// One field compared with a value, or with the `count` values of a list. `None`: not evaluated.
fn one_of(key: &str, value: &str, count: usize, negated: bool) -> Option<Vec<Match>> {
    let net = || -> Option<IpNet> {
        value.parse().ok().or_else(|| value.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)))
    };
    let ports = |destination: bool| {
        let ranges = Some(ranges(value, '-')).filter(|ranges| ranges.len() == count)?;
        Some(match destination {
            true => Match::DestinationPort { ranges, negated },
            false => Match::SourcePort { ranges, negated },
        })
    };
    let name = || interface(value, '*');
    Some(match key {
        "iifname" | "iif" => {
            let (name, prefix) = name();
            vec![Match::In { name, prefix, negated }]
        }
        "oifname" | "oif" => {
            let (name, prefix) = name();
            vec![Match::Out { name, prefix, negated }]
        }
        "ip saddr" | "ip6 saddr" => vec![Match::Source { net: net()?, negated }],
        "ip daddr" | "ip6 daddr" => vec![Match::Destination { net: net()?, negated }],
        "l4proto" | "ip protocol" | "ip6 nexthdr" => vec![Match::Protocol { protocol: protocol(value), negated }],
        "tcp dport" | "udp dport" | "tcp sport" | "udp sport" => {
            let name = key.split(' ').next().unwrap_or_default();
            vec![Match::Protocol { protocol: protocol(name), negated: false }, ports(key.ends_with("dport"))?]
        }
        "th dport" | "th sport" => vec![ports(key.ends_with("dport"))?],
        "icmp type" | "icmp code" | "icmpv6 type" | "icmpv6 code" => vec![icmp_of_nft(key, value, negated)?],
        "ct state" => vec![Match::State { states: states(value)?, negated }],
        "ct status" if matches!(value, "snat" | "dnat") => vec![Match::State { states: states(value)?, negated }],
        _ => return None,
    })
}

/// `ct state vmap { established : accept, invalid : drop }`.
fn verdict_map(words: &[String], keys: usize, text: &mut Vec<String>) -> Result<(usize, Vec<Way>), String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let key = if word(0) == "meta" { word(1).to_owned() } else { words.get(..keys).unwrap_or_default().join(" ") };
    let inner = words.get(keys + 2..).unwrap_or_default();
    let end = inner.iter().position(|word| word == "}");
    let (Some(end), "{") = (end, word(keys + 1)) else {
        return Err("maps with a name are not supported by the simulated host".to_owned());
    };
    let pairs = inner.get(..end).unwrap_or_default().join(" ");
    let mut ways = Vec::new();
    for pair in pairs.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let wrong = || format!("syntax error, unexpected {pair}");
        let (value, then) = pair.rsplit_once(':').ok_or_else(wrong)?;
        let then: Vec<&str> = then.split_whitespace().collect();
        let target = match then.as_slice() {
            ["accept"] => Target::Accept,
            ["drop"] => Target::Drop,
            ["return"] => Target::Return,
            ["continue"] => Target::Continue,
            ["jump", chain] => Target::Jump((*chain).to_owned()),
            ["goto", chain] => Target::Goto((*chain).to_owned()),
            _ => return Err(wrong()),
        };
        for value in values_of(value.trim().trim_matches('"')) {
            let matches = one_of(&key, &value, 1, false);
            let matches = matches.unwrap_or_else(|| vec![Match::NotUnderstood(format!("{} {value}", shown(&key)))]);
            ways.push((matches, Some(target.clone())));
        }
    }
    text.push(format!("{} vmap {{ {} }}", shown(&key), pairs.replace(" ,", ",")));
    Ok((keys + 3 + end, ways))
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
