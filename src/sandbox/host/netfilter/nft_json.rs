//! `nft -j list ruleset`, in libnftables' JSON schema (libnftables-json(5)), as far as rules are understood here.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::model::host::{
    BaseChain, Chain, ChainKind, ConnState, Family, FilterTable, Hook, Match, Policy, Rule, Target,
};

/// The whole ruleset as one document.
pub(super) fn ruleset<'t>(tables: impl Iterator<Item = &'t FilterTable>) -> Value {
    let mut objects = vec![
        json!({ "metainfo": { "version": "1.0.4", "release_name": "Lester Gooch #3", "json_schema_version": 1 } }),
    ];
    let mut handle = 0_u64;
    let mut next = || {
        handle += 1;
        handle
    };
    for table in tables {
        let family = family(table.family);
        let name = &table.name;
        objects.push(json!({ "table": { "family": family, "name": name, "handle": next() } }));
        for chain in &table.chains {
            objects.push(json!({ "chain": chain_object(family, name, chain, next()) }));
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                let handle = next();
                let expr = expressions(rule);
                let object =
                    json!({ "family": family, "table": name, "chain": chain.name, "handle": handle, "expr": expr });
                objects.push(json!({ "rule": object }));
            }
        }
    }
    json!({ "nftables": objects })
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Ip => "ip",
        Family::Ip6 => "ip6",
        Family::Inet => "inet",
    }
}

fn chain_object(family: &str, table: &str, chain: &Chain, handle: u64) -> Value {
    let mut object = json!({ "family": family, "table": table, "name": chain.name, "handle": handle });
    if let (Some(BaseChain { hook, kind, priority, policy }), Some(map)) = (chain.base, object.as_object_mut()) {
        let kind = match kind {
            ChainKind::Filter | ChainKind::Other => "filter",
            ChainKind::Nat => "nat",
        };
        let hook = match hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        let policy = if policy == Policy::Drop { "drop" } else { "accept" };
        map.insert("type".to_owned(), kind.into());
        map.insert("hook".to_owned(), hook.into());
        map.insert("prio".to_owned(), priority.into());
        map.insert("policy".to_owned(), policy.into());
    }
    object
}

fn expressions(rule: &Rule) -> Vec<Value> {
    let mut expressions: Vec<Value> = rule.matches.iter().filter_map(condition).collect();
    expressions.push(json!({ "counter": { "packets": rule.packets, "bytes": rule.bytes } }));
    expressions.extend(statement(&rule.target));
    expressions
}

fn compare(negated: bool, left: &Value, right: &Value) -> Option<Value> {
    Some(json!({ "match": { "op": if negated { "!=" } else { "==" }, "left": left, "right": right } }))
}

fn condition(condition: &Match) -> Option<Value> {
    let meta = |key: &str| json!({ "meta": { "key": key } });
    let payload = |protocol: &str, field: &str| json!({ "payload": { "protocol": protocol, "field": field } });
    let device = |name: &str, prefix: bool| Value::from(if prefix { format!("{name}*") } else { name.to_owned() });
    match condition {
        Match::In { name, prefix, negated } => compare(*negated, &meta("iifname"), &device(name, *prefix)),
        Match::Out { name, prefix, negated } => compare(*negated, &meta("oifname"), &device(name, *prefix)),
        // Every packet of one family.
        Match::Source { net, negated } | Match::Destination { net, negated } if net.prefix_len() == 0 => {
            let family = if matches!(net, IpNet::V4(_)) { "ipv4" } else { "ipv6" };
            compare(*negated, &meta("nfproto"), &family.into())
        }
        Match::Source { net, negated } => compare(*negated, &payload(header(net), "saddr"), &prefix(net)),
        Match::Destination { net, negated } => compare(*negated, &payload(header(net), "daddr"), &prefix(net)),
        Match::Protocol { protocol, negated } => compare(*negated, &meta("l4proto"), &protocol.to_string().into()),
        Match::SourcePort { ranges, negated } => compare(*negated, &payload("th", "sport"), &ports(ranges)),
        Match::DestinationPort { ranges, negated } => compare(*negated, &payload("th", "dport"), &ports(ranges)),
        Match::State { states, negated } => {
            let names: Vec<&str> = states.iter().map(|state| state_name(*state)).collect();
            let op = if *negated { "!=" } else { "in" };
            let translated = states.iter().all(|state| matches!(state, ConnState::Snat | ConnState::Dnat));
            let key = if translated { "status" } else { "state" };
            Some(json!({ "match": { "op": op, "left": { "ct": { "key": key } }, "right": names } }))
        }
        Match::Icmp { ipv4, types, codes, negated } => {
            let header = if *ipv4 { "icmp" } else { "icmpv6" };
            let one = |(first, last): (u8, u8)| {
                if first == last { Value::from(first) } else { json!({ "range": [first, last] }) }
            };
            // A rule of nft's names one of the two; of iptables' rules with both, iptables-save tells.
            let (field, range) = if *types == (0, u8::MAX) { ("code", *codes) } else { ("type", *types) };
            compare(*negated, &payload(header, field), &one(range))
        }
        Match::Always => None,
        Match::NotUnderstood(text) => Some(json!({ "xt": { "type": "match", "name": text } })),
    }
}

fn header(net: &IpNet) -> &'static str {
    if matches!(net, IpNet::V4(_)) { "ip" } else { "ip6" }
}

fn prefix(net: &IpNet) -> Value {
    if net.prefix_len() == net.max_prefix_len() {
        return net.addr().to_string().into();
    }
    json!({ "prefix": { "addr": net.network().to_string(), "len": net.prefix_len() } })
}

fn ports(ranges: &[(u16, u16)]) -> Value {
    let one = |(first, last): &(u16, u16)| {
        if first == last { Value::from(*first) } else { json!({ "range": [first, last] }) }
    };
    match ranges {
        [only] => one(only),
        several => json!({ "set": several.iter().map(one).collect::<Vec<_>>() }),
    }
}

fn state_name(state: ConnState) -> &'static str {
    match state {
        ConnState::New => "new",
        ConnState::Established => "established",
        ConnState::Related => "related",
        ConnState::Invalid => "invalid",
        ConnState::Untracked => "untracked",
        ConnState::Snat => "snat",
        ConnState::Dnat => "dnat",
    }
}

fn statement(target: &Target) -> Option<Value> {
    Some(match target {
        Target::Accept => json!({ "accept": null }),
        Target::Drop => json!({ "drop": null }),
        Target::Reject => json!({ "reject": null }),
        Target::Return => json!({ "return": null }),
        Target::Jump(chain) => json!({ "jump": { "target": chain } }),
        Target::Goto(chain) => json!({ "goto": { "target": chain } }),
        Target::Masquerade => json!({ "masquerade": null }),
        Target::Snat { to } => json!({ "snat": { "addr": to.to_string() } }),
        Target::Dnat { to, port } => match port {
            Some(port) => json!({ "dnat": { "addr": to.to_string(), "port": port } }),
            None => json!({ "dnat": { "addr": to.to_string() } }),
        },
        Target::Continue => return None,
        Target::NotUnderstood(text) => json!({ "xt": { "type": "target", "name": text } }),
    })
}
