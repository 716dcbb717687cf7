//! `ip route`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::nic::default_rules;
use super::super::shell::{Interp, Run};
use super::ip::Style;
use super::rule::{net, short, table_name, table_number};
use crate::model::host::{Host, HostRoute, HostRouteKind, MAIN_TABLE};

pub(super) fn run(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    let verb = words.first().map_or("show", String::as_str);
    let rest = words.get(1..).unwrap_or_default();
    match verb {
        "show" | "list" | "ls" | "sh" | "s" => show(it, style, rest),
        "get" | "g" => get(it, style, rest),
        "add" | "a" | "replace" | "change" | "append" | "prepend" | "del" | "delete" | "d" => {
            change(it, verb, rest, style)
        }
        "flush" => {
            let wanted = rest.iter().position(|word| word == "table").and_then(|at| rest.get(at + 1));
            let table = wanted.and_then(|name| table_number(name)).unwrap_or(MAIN_TABLE);
            if rest.first().is_some_and(|word| word == "cache") {
                return Ok(0);
            }
            it.machine.kernel.routes.retain(|route| route.table != table);
            Ok(0)
        }
        other => it.fail(255, format!("Command \"{other}\" is unknown, try \"ip route help\".")),
    }
}

/// One line of `ip route`, in parts.
struct Shown {
    kind: Option<&'static str>,
    destination: String,
    gateway: Option<String>,
    device: String,
    table: u32,
    protocol: Option<&'static str>,
    scope: Option<&'static str>,
    source: Option<String>,
    metric: u32,
    v6: bool,
}

fn shown(it: &Interp<'_, '_>, route: &HostRoute) -> Shown {
    let v6 = matches!(route.destination, IpNet::V6(_));
    let origin = it.machine.route_origins.iter().find(|(known, _)| known == route).map(|(_, origin)| origin.name());
    let kind = match route.kind {
        HostRouteKind::Unicast => None,
        HostRouteKind::Blackhole => Some("blackhole"),
        HostRouteKind::Unreachable => Some("unreachable"),
        HostRouteKind::Prohibit => Some("prohibit"),
    };
    Shown {
        kind,
        destination: if route.destination.prefix_len() == 0 { "default".to_owned() } else { short(&route.destination) },
        gateway: route.gateway.map(|gateway| gateway.to_string()),
        device: route.device.clone(),
        table: route.table,
        protocol: origin,
        scope: (route.gateway.is_none() && kind.is_none() && !v6).then_some("link"),
        source: route.preferred_source.map(|source| source.to_string()),
        metric: route.metric,
        v6,
    }
}

/// The kernel's own table, which follows from the addresses.
fn local_table(host: &Host, v6: bool) -> Vec<Shown> {
    let mut all = Vec::new();
    for interface in host.interfaces.iter().filter(|interface| interface.up) {
        for address in &interface.addresses {
            let entry = |kind, destination: String, scope| Shown {
                kind: Some(kind),
                destination,
                gateway: None,
                device: interface.name.clone(),
                table: 255,
                protocol: Some("kernel"),
                scope,
                source: (!v6).then(|| address.addr().to_string()),
                metric: 0,
                v6,
            };
            match address {
                IpNet::V4(net) if !v6 => {
                    if net.addr().is_loopback() {
                        all.push(entry("local", net.trunc().to_string(), Some("host")));
                    }
                    all.push(entry("local", net.addr().to_string(), Some("host")));
                    if net.prefix_len() < 31 {
                        all.push(entry("broadcast", net.broadcast().to_string(), Some("link")));
                    }
                }
                IpNet::V6(net) if v6 => all.push(entry("local", net.addr().to_string(), None)),
                _ => {}
            }
        }
    }
    all
}

fn show(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    let (mut table, mut device, mut exact, mut default) = (MAIN_TABLE, None, None, false);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "table" => {
                let name = rest.next().cloned().unwrap_or_default();
                match table_number(&name) {
                    Some(number) => table = number,
                    None => {
                        return it
                            .fail(255, format!("Error: argument \"{name}\" is wrong: table id value is invalid\n"));
                    }
                }
            }
            "dev" => device = rest.next().cloned(),
            "default" => default = true,
            "exact" | "root" | "match" | "to" | "proto" | "scope" | "src" | "via" | "type" => {
                if let Some(value) = rest.next()
                    && matches!(word.as_str(), "exact" | "to")
                {
                    exact = net(value);
                }
            }
            other => match net(other) {
                Some(found) => exact = Some(found),
                None => return it.fail(1, format!("Error: any valid prefix is expected rather than \"{other}\".")),
            },
        }
    }
    let families: &[bool] = match style.family {
        Some(6) => &[true],
        Some(_) => &[false],
        None if table == 0 => &[false, true],
        None => &[false],
    };
    let mut all = Vec::new();
    for v6 in families {
        let mut routes: Vec<&HostRoute> = it
            .machine
            .kernel
            .routes
            .iter()
            .filter(|route| matches!(route.destination, IpNet::V6(_)) == *v6)
            .filter(|route| table == 0 || route.table == table)
            .filter(|route| !default || route.destination.prefix_len() == 0)
            .filter(|route| exact.is_none_or(|net| route.destination == net))
            .collect();
        // The kernel keeps other tables first, then main; within one by address, then by metric.
        routes.sort_by_key(|route| (route.table == MAIN_TABLE, route.table, route.destination, route.metric));
        all.extend(routes.into_iter().map(|route| shown(it, route)));
        if (table == 0 || table == 255) && !default && exact.is_none() {
            all.extend(local_table(&it.machine.kernel, *v6));
        }
    }
    if let Some(device) = &device {
        let name = it.machine.kernel.interface(device).map(|interface| interface.name.clone());
        let Some(name) = name else { return it.fail(1, format!("Cannot find device \"{device}\"")) };
        all.retain(|route| route.device == name);
        for route in &mut all {
            route.device.clear();
        }
    }
    if style.json {
        let list: Vec<Value> = all.iter().map(|route| as_json(route, table == 0)).collect();
        return it.out(&style.json(&Value::Array(list))).map(|()| 0);
    }
    let text: String = all.iter().map(|route| as_line(route, table == 0)).collect();
    it.out(&text).map(|()| 0)
}

fn as_json(route: &Shown, tables: bool) -> Value {
    let mut map = serde_json::Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    if let Some(kind) = route.kind {
        put("type", json!(kind));
    }
    put("dst", json!(route.destination));
    if let Some(gateway) = &route.gateway {
        put("gateway", json!(gateway));
    }
    if !route.device.is_empty() {
        put("dev", json!(route.device));
    }
    if tables && route.table != MAIN_TABLE {
        put("table", json!(table_name(route.table)));
    }
    if let Some(protocol) = route.protocol {
        put("protocol", json!(protocol));
    }
    if let Some(scope) = route.scope {
        put("scope", json!(scope));
    }
    if let Some(source) = &route.source {
        put("prefsrc", json!(source));
    }
    if route.metric > 0 || route.v6 {
        put("metric", json!(route.metric));
    }
    put("flags", json!([]));
    if route.v6 {
        put("pref", json!("medium"));
    }
    Value::Object(map)
}

fn as_line(route: &Shown, tables: bool) -> String {
    let mut text = String::new();
    let mut put = |word: &str, value: &str| text.push_str(&format!("{word}{value} "));
    if let Some(kind) = route.kind {
        put("", kind);
    }
    put("", &route.destination);
    if let Some(gateway) = &route.gateway {
        put("via ", gateway);
    }
    if !route.device.is_empty() {
        put("dev ", &route.device);
    }
    if tables && route.table != MAIN_TABLE {
        put("table ", &table_name(route.table));
    }
    if let Some(protocol) = route.protocol {
        put("proto ", protocol);
    }
    if let Some(scope) = route.scope {
        put("scope ", scope);
    }
    if let Some(source) = &route.source {
        put("src ", source);
    }
    if route.metric > 0 || route.v6 {
        put("metric ", &route.metric.to_string());
    }
    if route.v6 {
        text.push_str("pref medium");
    }
    text.push('\n');
    text
}

/// What the kernel's lookup gives: rules in order, longest prefix, lowest metric.
fn lookup(host: &Host, to: IpAddr, from: Option<IpAddr>, iif: Option<&str>) -> Option<HostRoute> {
    let rules = if host.policy_rules.is_empty() { default_rules() } else { host.policy_rules.clone() };
    for rule in rules.iter().filter(|rule| rule.not_understood.is_none()) {
        let source = match (rule.from, from) {
            (None, _) => true,
            (Some(net), Some(from)) => net.contains(&from),
            (Some(_), None) => false,
        };
        let incoming = rule.iif.as_deref().is_none_or(|name| name == iif.unwrap_or("lo"));
        if !source || !incoming || rule.to.is_some_and(|net| !net.contains(&to)) {
            continue;
        }
        let best = host
            .routes
            .iter()
            .filter(|route| route.table == rule.table && route.destination.contains(&to))
            .filter(|route| route.kind != HostRouteKind::Unicast || host.interface(&route.device).is_some_and(|i| i.up))
            .min_by_key(|route| (std::cmp::Reverse(route.destination.prefix_len()), route.metric));
        if let Some(route) = best {
            return Some(route.clone());
        }
    }
    None
}

fn get(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    let after = |key: &str| words.iter().position(|word| word == key).and_then(|at| words.get(at + 1)).cloned();
    let Some(to) = words.iter().find(|word| *word != "to").and_then(|word| word.parse::<IpAddr>().ok()) else {
        let word = words.first().cloned().unwrap_or_default();
        return it.fail(1, format!("Error: any valid prefix is expected rather than \"{word}\"."));
    };
    let from: Option<IpAddr> = after("from").and_then(|word| word.parse().ok());
    let iif = after("iif");
    let host = it.machine.kernel.clone();
    let own = host.interfaces.iter().flat_map(|i| &i.addresses).any(|net| net.addr() == to);
    if own {
        let text = format!("local {to} dev lo table local src {to} uid 0 \n    cache <local> \n");
        let value = json!([{"type": "local", "dst": to, "dev": "lo", "table": "local", "prefsrc": to, "flags": [], "uid": 0, "cache": ["local"]}]);
        return it.out(&if style.json { style.json(&value) } else { text }).map(|()| 0);
    }
    let Some(route) = lookup(&host, to, from, iif.as_deref()) else {
        return it.fail(2, "RTNETLINK answers: Network is unreachable");
    };
    match route.kind {
        HostRouteKind::Unicast => {}
        HostRouteKind::Blackhole => return it.fail(2, "RTNETLINK answers: Invalid argument"),
        HostRouteKind::Unreachable => return it.fail(2, "RTNETLINK answers: No route to host"),
        HostRouteKind::Prohibit => return it.fail(2, "RTNETLINK answers: Permission denied"),
    }
    let v4 = to.is_ipv4();
    let first =
        host.interface(&route.device).and_then(|i| i.addresses.iter().map(IpNet::addr).find(|a| a.is_ipv4() == v4));
    let source = route.preferred_source.or(first).filter(|_| from.is_none());
    let mut map = serde_json::Map::new();
    let mut line = to.to_string();
    map.insert("dst".to_owned(), json!(to));
    let mut put = |key: &str, word: &str, value: Option<String>| {
        if let Some(value) = value {
            map.insert(key.to_owned(), json!(value));
            line.push_str(&format!(" {word} {value}"));
        }
    };
    put("src", "from", from.map(|from| from.to_string()));
    put("gateway", "via", route.gateway.map(|gateway| gateway.to_string()));
    put("dev", "dev", Some(route.device.clone()));
    put("table", "table", (route.table != MAIN_TABLE).then(|| table_name(route.table)));
    put("prefsrc", "src", source.map(|source| source.to_string()));
    map.insert("flags".to_owned(), json!([]));
    map.insert("uid".to_owned(), json!(0));
    map.insert("cache".to_owned(), json!([]));
    if style.json {
        let value = Value::Array(vec![Value::Object(map)]);
        return it.out(&style.json(&value)).map(|()| 0);
    }
    let incoming = iif.map(|name| format!(" iif {name}")).unwrap_or_default();
    it.out(&format!("{line} uid 0 \n    cache{incoming} \n")).map(|()| 0)
}

fn change(it: &mut Interp<'_, '_>, verb: &str, words: &[String], style: Style) -> Run {
    let mut kind = HostRouteKind::Unicast;
    let (mut destination, mut gateway, mut device, mut table, mut metric, mut source) =
        (None, None, None, MAIN_TABLE, None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "blackhole" => kind = HostRouteKind::Blackhole,
            "unreachable" => kind = HostRouteKind::Unreachable,
            "prohibit" => kind = HostRouteKind::Prohibit,
            "unicast" | "onlink" | "to" => {}
            "default" => {
                destination = Some(if style.family == Some(6) {
                    IpNet::V6(ipnet::Ipv6Net::default())
                } else {
                    IpNet::V4(ipnet::Ipv4Net::default())
                });
            }
            "via" | "dev" | "table" | "metric" | "src" | "proto" | "protocol" | "scope" | "mtu" | "pref"
            | "preference" => {
                let Some(value) =
                    rest.next().map(|value| if value == "inet" { rest.next().unwrap_or(value) } else { value })
                else {
                    return it.fail(255, "Command line is not complete. Try option \"help\"");
                };
                match word.as_str() {
                    "via" => match value.parse::<IpAddr>() {
                        Ok(address) => gateway = Some(address),
                        Err(_) => {
                            return it.fail(1, format!("Error: inet address is expected rather than \"{value}\"."));
                        }
                    },
                    "src" => source = value.parse::<IpAddr>().ok(),
                    "dev" => device = Some(value.clone()),
                    "table" => match table_number(value) {
                        Some(number) => table = number,
                        None => {
                            return it.fail(
                                255,
                                format!("Error: argument \"{value}\" is wrong: \"table\" value is invalid\n"),
                            );
                        }
                    },
                    "metric" | "pref" | "preference" => metric = value.parse::<u32>().ok(),
                    _ => {}
                }
            }
            other => match net(other) {
                Some(found) => destination = Some(found),
                None => return it.fail(1, format!("Error: any valid prefix is expected rather than \"{other}\".")),
            },
        }
    }
    let Some(destination) = destination else { return it.fail(2, "RTNETLINK answers: No such device") };
    if destination.trunc() != destination {
        return it.fail(2, "RTNETLINK answers: Invalid argument");
    }
    let name = match &device {
        None => None,
        Some(given) => match it.machine.kernel.interface(given).map(|interface| interface.name.clone()) {
            Some(name) => Some(name),
            None => return it.fail(1, format!("Cannot find device \"{given}\"")),
        },
    };
    if matches!(verb, "del" | "delete" | "d") {
        let fits = |route: &HostRoute| {
            route.destination == destination
                && route.table == table
                && gateway.is_none_or(|gateway| route.gateway == Some(gateway))
                && name.as_ref().is_none_or(|name| route.device == *name)
                && metric.is_none_or(|metric| route.metric == metric)
        };
        let routes = &mut it.machine.kernel.routes;
        let found = routes
            .iter()
            .enumerate()
            .filter(|(_, route)| fits(route))
            .min_by_key(|(_, route)| route.metric)
            .map(|(at, _)| at);
        return match found {
            Some(at) => {
                routes.remove(at);
                Ok(0)
            }
            None => it.fail(2, "RTNETLINK answers: No such process"),
        };
    }
    let device = match (name, gateway) {
        _ if kind != HostRouteKind::Unicast => String::new(),
        (Some(name), Some(gateway)) if !words.iter().any(|word| word == "onlink") => {
            let there = it.machine.kernel.interfaces.iter().filter(|i| i.name == name).flat_map(|i| &i.addresses);
            let near = there.into_iter().any(|net| net.contains(&gateway) && net.prefix_len() < net.max_prefix_len());
            if !near {
                return it.fail(2, "Error: Nexthop has invalid gateway.");
            }
            name
        }
        (Some(name), _) => name,
        (None, Some(gateway)) => {
            let near = it.machine.kernel.interfaces.iter().filter(|i| i.up).find(|i| {
                i.addresses.iter().any(|net| net.contains(&gateway) && net.prefix_len() < net.max_prefix_len())
            });
            match near {
                Some(interface) => interface.name.clone(),
                None => return it.fail(2, "Error: Nexthop has invalid gateway."),
            }
        }
        (None, None) => return it.fail(2, "RTNETLINK answers: No such device"),
    };
    if !device.is_empty() && !it.machine.kernel.interface(&device).is_some_and(|interface| interface.up) {
        return it.fail(2, "RTNETLINK answers: Network is down");
    }
    let route =
        HostRoute { table, destination, gateway, device, metric: metric.unwrap_or(0), preferred_source: source, kind };
    let same =
        |known: &HostRoute| known.table == table && known.destination == destination && known.metric == route.metric;
    let routes = &mut it.machine.kernel.routes;
    match (verb, routes.iter().position(same)) {
        ("replace" | "change", Some(at)) => {
            if let Some(old) = routes.get_mut(at) {
                *old = route;
            }
            Ok(0)
        }
        ("change", None) => it.fail(2, "RTNETLINK answers: No such file or directory"),
        ("add" | "a", Some(_)) => it.fail(2, "RTNETLINK answers: File exists"),
        _ => {
            if routes.len() > 5000 {
                return it.fail(2, "RTNETLINK answers: No buffer space available");
            }
            routes.push(route);
            Ok(0)
        }
    }
}
