//! Reads `nft -j list ruleset`, with the lines of `nft -a list ruleset` as the rules' texts.
//!
//! A rule over a set becomes several rules, one for each element; what is not evaluated makes a rule "may or may not
//! match".

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use serde_json::{Map, Value, json};

use super::{FactsError, icmp_of_nft};
use crate::model::Protocol;
use crate::model::host::{
    Backend, BaseChain, Chain, ChainKind, ConnState, Family, FilterTable, Hook, Match, Policy, Rule, Target,
};

const COMMAND: &str = "nft -j list ruleset";

/// A rule over sets with more combinations than this "may or may not match".
const ALTERNATIVES_AT_MOST: usize = 1024;

/// Reads all tables. `listing` may be empty; rules then carry their JSON as text.
pub fn parse_nft(json: &str, listing: &str) -> Result<Vec<FilterTable>, FactsError> {
    let wrong = |reason: &str| FactsError::new(COMMAND, reason);
    let document: Value = serde_json::from_str(json).map_err(|error| wrong(&error.to_string()))?;
    let objects = document.get("nftables").and_then(Value::as_array).ok_or_else(|| wrong("no 'nftables' list"))?;
    let texts = texts(listing);
    let mut reader = Reader { tables: Vec::new(), sets: BTreeMap::new(), texts };
    for kind in ["table", "set", "map", "chain", "rule"] {
        for object in objects.iter().filter_map(|object| object.get(kind)?.as_object()) {
            reader.object(kind, object)?;
        }
    }
    Ok(reader.tables.into_iter().map(|(_, table)| table).collect())
}

type SetKey = (String, String, String);

struct Reader {
    /// With nft's name of the family: `netdev` tables are read as [`Family::Inet`].
    tables: Vec<(String, FilterTable)>,
    /// Elements of named sets and maps that do not change by themselves.
    sets: BTreeMap<SetKey, Vec<Value>>,
    texts: BTreeMap<(String, u64), String>,
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v str, FactsError> {
    object
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| FactsError::new(COMMAND, format!("an object without '{key}'")))
}

impl Reader {
    fn object(&mut self, kind: &str, object: &Map<String, Value>) -> Result<(), FactsError> {
        let family_name = text(object, "family")?.to_owned();
        let family = match family_name.as_str() {
            "ip" => Family::Ip,
            "ip6" => Family::Ip6,
            "inet" | "netdev" => Family::Inet,
            // Bridge and ARP tables do not see routed packets.
            _ => return Ok(()),
        };
        let name = text(object, "name").or_else(|_| text(object, "chain"))?.to_owned();
        if kind == "table" {
            let table = FilterTable { family, name, chains: Vec::new(), backend: Backend::Nft };
            self.tables.push((family_name, table));
            return Ok(());
        }
        let table_name = text(object, "table")?.to_owned();
        if matches!(kind, "set" | "map") {
            let changing = object.get("flags").is_some_and(|flags| flags.to_string().contains("dynamic"))
                || object.contains_key("timeout");
            if !changing {
                let elements = object.get("elem").and_then(Value::as_array).cloned().unwrap_or_default();
                self.sets.insert((family_name, table_name, name), elements);
            }
            return Ok(());
        }
        let rules = if kind == "rule" { self.rules(&family_name, &table_name, object) } else { Vec::new() };
        let table = self.tables.iter_mut().find(|(f, table)| (f, &table.name) == (&family_name, &table_name));
        let Some((_, table)) = table else {
            return Err(FactsError::new(COMMAND, format!("{kind} {name} of a table that is not listed")));
        };
        if kind == "chain" {
            table.chains.push(Chain { name, base: base(object)?, rules: Vec::new() });
        } else if let Some(chain) = table.chains.iter_mut().find(|chain| chain.name == name) {
            chain.rules.extend(rules);
        }
        Ok(())
    }

    /// One rule, as one for each combination of set elements.
    fn rules(&self, family: &str, table: &str, object: &Map<String, Value>) -> Vec<Rule> {
        let expressions = object.get("expr").and_then(Value::as_array).cloned().unwrap_or_default();
        let handle = object.get("handle").and_then(Value::as_u64).unwrap_or_default();
        let text = self.texts.get(&(format!("{family} {table}"), handle)).cloned();
        let text = text.unwrap_or_else(|| Value::Array(expressions.clone()).to_string());
        let mut variants: Vec<(Vec<Match>, Option<Target>)> = vec![(Vec::new(), None)];
        let mut counters = (0, 0);
        for expression in &expressions {
            let Some((name, value)) = expression.as_object().and_then(|object| object.iter().next()) else {
                continue;
            };
            if name == "counter" {
                let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
                counters = (number("packets"), number("bytes"));
                continue;
            }
            let mut alternatives = self.statement(family, table, name, value);
            if alternatives.len() * variants.len() > ALTERNATIVES_AT_MOST {
                alternatives = vec![(vec![Match::NotUnderstood(format!("{name} over a large set"))], None)];
            }
            variants = variants
                .into_iter()
                .flat_map(|(matches, target)| {
                    alternatives.iter().map(move |(more, then)| {
                        let all = matches.iter().chain(more).cloned().collect();
                        (all, target.clone().or_else(|| then.clone()))
                    })
                })
                .collect();
        }
        variants
            .into_iter()
            .map(|(matches, target)| Rule {
                matches,
                target: target.unwrap_or(Target::Continue),
                text: text.clone(),
                packets: counters.0,
                bytes: counters.1,
            })
            .collect()
    }

    /// What a statement adds: alternatives of conditions, and the target if it is one.
    fn statement(&self, family: &str, table: &str, name: &str, value: &Value) -> Vec<(Vec<Match>, Option<Target>)> {
        let whole = || format!("{name} {value}");
        match name {
            "match" => {
                let alternatives = self.condition(family, table, value);
                let unknown = || vec![vec![Match::NotUnderstood(whole())]];
                alternatives.unwrap_or_else(unknown).into_iter().map(|matches| (matches, None)).collect()
            }
            "vmap" => {
                let unknown = || vec![(Vec::new(), Some(Target::NotUnderstood(whole())))];
                self.verdict_map(family, table, value).unwrap_or_else(unknown)
            }
            // A limit inside decides whether the rule goes on.
            "set" if value.get("stmt").is_some() => vec![(vec![Match::NotUnderstood(whole())], None)],
            // What the walk goes by is changed.
            "mangle" if value.get("key").is_some_and(is_address_or_port) => {
                vec![(Vec::new(), Some(Target::NotUnderstood(whole())))]
            }
            "log" | "comment" | "mangle" | "ct helper" | "flow" | "set" => vec![(Vec::new(), None)],
            name => match verdict(name, value) {
                Some(target) => vec![(Vec::new(), Some(target))],
                None if matches!(name, "queue" | "redirect" | "tproxy" | "synproxy" | "fwd" | "notrack" | "xt") => {
                    vec![(Vec::new(), Some(Target::NotUnderstood(whole())))]
                }
                // limit, quota, connlimit and whatever comes: a condition.
                None => vec![(vec![Match::NotUnderstood(whole())], None)],
            },
        }
    }

    /// `ct state vmap { established : accept, … }`, `iifname vmap { "ens6" : jump inside }`, over an anonymous or a
    /// named map. `None`: not evaluated.
    fn verdict_map(&self, family: &str, table: &str, value: &Value) -> Option<Vec<(Vec<Match>, Option<Target>)>> {
        let key = value.get("key")?;
        let of_states = key.get("ct").and_then(|ct| ct.get("key")).and_then(Value::as_str) == Some("state");
        let mut all = Vec::new();
        for pair in self.elements(family, table, value.get("data")?)? {
            let (value, then) = (pair.get(0)?, pair.get(1)?.as_object()?.iter().next()?);
            let target = verdict(then.0, then.1)?;
            if of_states {
                let condition = Match::State { states: states(value)?, negated: false };
                all.push((vec![condition], Some(target)));
                continue;
            }
            for value in plain(value) {
                all.push((field(key, &value, false)?, Some(target.clone())));
            }
        }
        if all.is_empty() {
            all.push((Vec::new(), Some(Target::Continue)));
        }
        Some(all)
    }

    /// The alternatives of a condition, each a list of which all must hold. `None`: not evaluated.
    fn condition(&self, family: &str, table: &str, value: &Value) -> Option<Vec<Vec<Match>>> {
        let negated = match value.get("op")?.as_str()? {
            "==" | "in" => false,
            "!=" => true,
            _ => return None,
        };
        let left = value.get("left")?;
        let right = value.get("right")?;
        match left.get("ct").and_then(|ct| ct.get("key")).and_then(Value::as_str) {
            Some("state") => return Some(vec![vec![Match::State { states: states(right)?, negated }]]),
            // Of the status bits only these two are modelled.
            Some("status") => {
                let states = states(right)?;
                let known = states.iter().all(|state| matches!(state, ConnState::Snat | ConnState::Dnat));
                return known.then(|| vec![vec![Match::State { states, negated }]]);
            }
            _ => {}
        }
        let elements = self.elements(family, table, right)?;
        let one = |element: &Value| field(left, element, negated);
        if negated {
            let all: Option<Vec<Vec<Match>>> = elements.iter().map(one).collect();
            return Some(vec![all?.concat()]);
        }
        elements.iter().map(one).collect()
    }

    /// A single value, or the elements of a set, anonymous or named.
    fn elements(&self, family: &str, table: &str, right: &Value) -> Option<Vec<Value>> {
        let named = right.as_str().and_then(|text| text.strip_prefix('@'));
        let all = match (right.get("set"), named) {
            (Some(set), _) => set.as_array().cloned().unwrap_or_else(|| vec![set.clone()]),
            (None, Some(name)) => self.sets.get(&(family.to_owned(), table.to_owned(), name.to_owned()))?.clone(),
            (None, None) => vec![right.clone()],
        };
        Some(all.iter().flat_map(plain).collect())
    }
}

/// An element without what is attached to it (a comment, a counter), and a range of addresses as networks.
fn plain(element: &Value) -> Vec<Value> {
    let value = element.get("elem").and_then(|elem| elem.get("val")).unwrap_or(element);
    address_range(value).unwrap_or_else(|| vec![value.clone()])
}

fn address_range(value: &Value) -> Option<Vec<Value>> {
    let range = value.get("range")?.as_array()?;
    let address = |at: usize| range.get(at)?.as_str()?.parse::<IpAddr>().ok();
    let nets = match (address(0)?, address(1)?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::from(Ipv4Subnets::new(first, last, 0)),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::from(Ipv6Subnets::new(first, last, 0)),
        _ => return None,
    };
    Some(nets.map(|net| json!({"prefix": {"addr": net.addr(), "len": net.prefix_len()}})).collect())
}

fn is_address_or_port(key: &Value) -> bool {
    let field = key.get("payload").and_then(|payload| payload.get("field")).and_then(Value::as_str);
    matches!(field, Some("saddr" | "daddr" | "sport" | "dport"))
}

/// One field compared with one value.
fn field(left: &Value, value: &Value, negated: bool) -> Option<Vec<Match>> {
    if let Some(key) = left.get("meta").and_then(|meta| meta.get("key")) {
        return Some(match key.as_str()? {
            "iifname" | "iif" => {
                let (name, prefix) = device(value.as_str()?);
                vec![Match::In { name, prefix, negated }]
            }
            "oifname" | "oif" => {
                let (name, prefix) = device(value.as_str()?);
                vec![Match::Out { name, prefix, negated }]
            }
            "l4proto" => vec![Match::Protocol { protocol: protocol(value)?, negated }],
            "nfproto" => vec![of_family(value.as_str()? == "ipv4", negated)],
            _ => return None,
        });
    }
    let payload = left.get("payload")?;
    let (header, field) = (payload.get("protocol")?.as_str()?, payload.get("field")?.as_str()?);
    match (header, field) {
        ("ip" | "ip6", "saddr" | "daddr") => {
            let net = net(value)?;
            let address =
                if field == "saddr" { Match::Source { net, negated } } else { Match::Destination { net, negated } };
            // Naming a header field implies that the packet has that header.
            Some(vec![of_family(header == "ip", false), address])
        }
        ("ip", "protocol") | ("ip6", "nexthdr") => {
            let protocol = Match::Protocol { protocol: protocol(value)?, negated };
            Some(vec![of_family(header == "ip", false), protocol])
        }
        ("tcp" | "udp" | "th", "sport" | "dport") => {
            let ranges = vec![ports(value)?];
            let ports = if field == "sport" {
                Match::SourcePort { ranges, negated }
            } else {
                Match::DestinationPort { ranges, negated }
            };
            Some(match header {
                "tcp" => vec![Match::Protocol { protocol: Protocol::Tcp, negated: false }, ports],
                "udp" => vec![Match::Protocol { protocol: Protocol::Udp, negated: false }, ports],
                _ => vec![ports],
            })
        }
        ("icmp" | "icmpv6", "type" | "code") => {
            let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text = match value.get("range").and_then(Value::as_array) {
                Some(range) => format!("{}-{}", one(range.first()?), one(range.get(1)?)),
                None => one(value),
            };
            Some(vec![icmp_of_nft(&format!("{header} {field}"), &text, negated)?])
        }
        _ => None,
    }
}

/// Holds for all packets of one address family.
fn of_family(ipv4: bool, negated: bool) -> Match {
    let everything = if ipv4 { IpNet::V4(ipnet::Ipv4Net::default()) } else { IpNet::V6(ipnet::Ipv6Net::default()) };
    Match::Source { net: everything, negated }
}

fn verdict(name: &str, value: &Value) -> Option<Target> {
    let chain = || value.get("target").and_then(Value::as_str).map(str::to_owned);
    let address = || value.get("addr").and_then(first_address);
    Some(match name {
        "accept" => Target::Accept,
        "drop" => Target::Drop,
        "reject" => Target::Reject,
        "return" => Target::Return,
        "continue" => Target::Continue,
        "masquerade" => Target::Masquerade,
        "jump" => Target::Jump(chain()?),
        "goto" => Target::Goto(chain()?),
        "snat" => address().map_or_else(|| unread(name, value), |to| Target::Snat { to }),
        "dnat" => {
            let port = value.get("port");
            let read = port.map(|port| port.as_u64().and_then(|port| u16::try_from(port).ok()));
            match (address(), read) {
                (Some(to), None) => Target::Dnat { to, port: None },
                (Some(to), Some(Some(port))) => Target::Dnat { to, port: Some(port) },
                _ => unread(name, value),
            }
        }
        _ => return None,
    })
}

fn unread(name: &str, value: &Value) -> Target {
    Target::NotUnderstood(format!("{name} {value}"))
}

/// An address, or the first of a range.
fn first_address(value: &Value) -> Option<std::net::Ipv4Addr> {
    match value.get("range").and_then(Value::as_array) {
        Some(range) => range.first()?.as_str()?.parse().ok(),
        None => value.as_str()?.parse().ok(),
    }
}

fn states(value: &Value) -> Option<Vec<ConnState>> {
    let list = value.get("set").unwrap_or(value);
    match list {
        Value::Array(all) => all.iter().map(|one| ConnState::parse(one.as_str()?)).collect(),
        one => Some(vec![ConnState::parse(one.as_str()?)?]),
    }
}

fn protocol(value: &Value) -> Option<Protocol> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => other.as_str()?.to_owned(),
    };
    match text.as_str() {
        "ipv6-icmp" => Some(Protocol::Icmpv6),
        text => Some(Protocol::parse(text)).filter(|protocol| *protocol != Protocol::Unknown),
    }
}

fn net(value: &Value) -> Option<IpNet> {
    match value.get("prefix") {
        Some(prefix) => {
            let address: IpAddr = prefix.get("addr")?.as_str()?.parse().ok()?;
            IpNet::new(address, u8::try_from(prefix.get("len")?.as_u64()?).ok()?).ok()
        }
        None => value.as_str()?.parse::<IpAddr>().ok().map(IpNet::from),
    }
}

fn ports(value: &Value) -> Option<(u16, u16)> {
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok();
    match value.get("range").and_then(Value::as_array) {
        Some(range) => Some((port(range.first()?)?, port(range.get(1)?)?)),
        None => port(value).map(|port| (port, port)),
    }
}

/// `docker*` stands for all names that begin with `docker`.
fn device(text: &str) -> (String, bool) {
    text.strip_suffix('*').map_or_else(|| (text.to_owned(), false), |prefix| (prefix.to_owned(), true))
}

fn base(chain: &Map<String, Value>) -> Result<Option<BaseChain>, FactsError> {
    let Ok(hook) = text(chain, "hook") else {
        return Ok(None);
    };
    let priority = chain.get("prio").and_then(Value::as_i64).and_then(|priority| i32::try_from(priority).ok());
    let priority = priority.ok_or_else(|| FactsError::new(COMMAND, "a base chain without a priority"))?;
    // The ingress and egress hooks lie before and after everything else.
    let (hook, priority) = match hook {
        "prerouting" => (Hook::Prerouting, priority),
        "input" => (Hook::Input, priority),
        "forward" => (Hook::Forward, priority),
        "output" => (Hook::Output, priority),
        "postrouting" => (Hook::Postrouting, priority),
        "ingress" => (Hook::Prerouting, i32::MIN),
        "egress" => (Hook::Postrouting, i32::MAX),
        other => return Err(FactsError::new(COMMAND, format!("a chain at the unknown hook '{other}'"))),
    };
    let kind = match text(chain, "type")? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        _ => ChainKind::Other,
    };
    let policy =
        if chain.get("policy").and_then(Value::as_str) == Some("drop") { Policy::Drop } else { Policy::Accept };
    Ok(Some(BaseChain { hook, kind, priority, policy }))
}

/// The lines of `nft -a list ruleset` by table (`ip nat`) and handle.
fn texts(listing: &str) -> BTreeMap<(String, u64), String> {
    let mut texts = BTreeMap::new();
    let mut table = String::new();
    for line in listing.lines() {
        let Some((before, handle)) = line.rsplit_once(" # handle ") else {
            continue;
        };
        let before = before.trim();
        if let Some(name) = before.strip_prefix("table ") {
            table = name.trim_end_matches(['{', ' ']).to_owned();
        } else if let (Ok(handle), false) = (handle.trim().parse(), before.ends_with('{')) {
            texts.insert((table.clone(), handle), before.to_owned());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nft -j list ruleset` and `nft -a list ruleset` of nftables 1.0.6 over the same rules.
    const JSON: &str = include_str!("fixtures/nft.json");
    const LISTING: &str = include_str!("fixtures/nft.txt");

    fn chain<'t>(tables: &'t [FilterTable], name: &str) -> &'t Chain {
        tables.iter().flat_map(|table| &table.chains).find(|chain| chain.name == name).unwrap()
    }

    #[test]
    fn nft_tables_are_read_with_the_lines_that_nft_prints() {
        let tables = parse_nft(JSON, LISTING).unwrap();
        let forward = chain(&tables, "forward");
        assert_eq!(forward.base.unwrap().policy, Policy::Drop);
        let established =
            forward.rules.iter().find(|rule| rule.text.starts_with("ct state established,related")).unwrap();
        let states = vec![ConnState::Established, ConnState::Related];
        assert_eq!(established.matches, [Match::State { states, negated: false }]);
        assert_eq!(established.target, Target::Accept);
        assert!(forward.rules.iter().any(|rule| rule.text == "reject with icmp host-prohibited"));
        let post = chain(&tables, "post");
        assert_eq!(post.base.unwrap().kind, ChainKind::Nat);
        assert_eq!(post.rules[0].target, Target::Masquerade);
        assert_eq!(post.rules[0].matches, [Match::Out { name: "ens6".to_owned(), prefix: false, negated: true }]);
    }

    #[test]
    fn sets_become_alternatives_and_limits_are_not_understood() {
        let tables = parse_nft(JSON, "").unwrap();
        let forward = chain(&tables, "forward");
        let ports: Vec<_> = forward
            .rules
            .iter()
            .flat_map(|rule| &rule.matches)
            .filter_map(|condition| match condition {
                Match::DestinationPort { ranges, .. } => Some(ranges[0]),
                _ => None,
            })
            .collect();
        assert_eq!(ports, [(80, 80), (443, 443), (1000, 2000), (53, 53)]);
        let inside = "10.8.2.0/24".parse().unwrap();
        assert!(forward.rules.iter().any(|rule| rule.matches.contains(&Match::Source { net: inside, negated: false })));
        assert!(forward.rules.iter().any(|rule| matches!(rule.matches.as_slice(), [Match::NotUnderstood(_)])));
        let out: Vec<_> =
            chain(&tables, "post").rules.iter().filter(|rule| rule.target == Target::Masquerade).collect();
        assert_eq!(out.len(), 3, "one, and one for each element of the set");
        let dnat = &chain(&tables, "pre").rules[0].target;
        assert_eq!(*dnat, Target::Dnat { to: "10.8.2.10".parse().unwrap(), port: Some(22) });
    }
}
