//! `ip rule`.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::nic::default_rules;
use super::super::shell::{Interp, Run};
use super::ip::Style;
use crate::model::host::{MAIN_TABLE, PolicyRule};

pub(super) fn table_name(table: u32) -> String {
    match table {
        255 => "local".to_owned(),
        MAIN_TABLE => "main".to_owned(),
        253 => "default".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn table_number(name: &str) -> Option<u32> {
    match name {
        "local" => Some(255),
        "main" => Some(MAIN_TABLE),
        "default" => Some(253),
        "all" => Some(0),
        other => other.parse().ok(),
    }
}

/// A network without the length of a whole address.
pub(super) fn short(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

pub(super) fn net(text: &str) -> Option<IpNet> {
    if text == "all" || text == "any" || text == "default" {
        return Some(IpNet::V4(ipnet::Ipv4Net::default()));
    }
    text.parse().ok().or_else(|| text.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)))
}

pub(super) fn run(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    let verb = words.first().map_or("show", String::as_str);
    match verb {
        "show" | "list" | "ls" | "lst" => show(it, style),
        "add" | "a" | "del" | "delete" | "d" => change(it, verb.starts_with('a'), words.get(1..).unwrap_or_default()),
        "flush" => {
            it.machine.kernel.policy_rules = default_rules().into_iter().filter(|rule| rule.priority == 0).collect();
            Ok(0)
        }
        other => it.fail(255, format!("Command \"{other}\" is unknown, try \"ip rule help\".")),
    }
}

fn show(it: &mut Interp<'_, '_>, style: Style) -> Run {
    let mut rules = it.machine.kernel.policy_rules.clone();
    if rules.is_empty() {
        rules = default_rules();
    }
    if style.family == Some(6) {
        rules.retain(|rule| rule.table == 255 || rule.table == MAIN_TABLE);
    }
    if style.json {
        let list: Vec<Value> = rules
            .iter()
            .map(|rule| {
                let mut map = serde_json::Map::new();
                map.insert("priority".to_owned(), json!(rule.priority));
                map.insert("src".to_owned(), json!(rule.from.map_or("all".to_owned(), |net| net.addr().to_string())));
                if let Some(net) = rule.from.filter(|net| net.prefix_len() < net.max_prefix_len()) {
                    map.insert("srclen".to_owned(), json!(net.prefix_len()));
                }
                if let Some(net) = rule.to {
                    map.insert("dst".to_owned(), json!(net.addr()));
                    if net.prefix_len() < net.max_prefix_len() {
                        map.insert("dstlen".to_owned(), json!(net.prefix_len()));
                    }
                }
                if let Some(name) = &rule.iif {
                    map.insert("iif".to_owned(), json!(name));
                }
                if let Some(name) = &rule.oif {
                    map.insert("oif".to_owned(), json!(name));
                }
                if let Some(("fwmark", mark)) = rule.not_understood.as_deref().and_then(|text| text.split_once(' ')) {
                    map.insert("fwmark".to_owned(), json!(mark));
                }
                map.insert("table".to_owned(), json!(table_name(rule.table)));
                Value::Object(map)
            })
            .collect();
        return it.out(&style.json(&Value::Array(list))).map(|()| 0);
    }
    let text: String = rules.iter().map(|rule| format!("{}:\t{}\n", rule.priority, line(rule))).collect();
    it.out(&text).map(|()| 0)
}

fn line(rule: &PolicyRule) -> String {
    let mut text = format!("from {}", rule.from.map_or("all".to_owned(), |net| short(&net)));
    if let Some(net) = &rule.to {
        text.push_str(&format!(" to {}", short(net)));
    }
    if let Some(other) = &rule.not_understood {
        text.push_str(&format!(" {other}"));
    }
    if let Some(name) = &rule.iif {
        text.push_str(&format!(" iif {name}"));
    }
    if let Some(name) = &rule.oif {
        text.push_str(&format!(" oif {name}"));
    }
    format!("{text} lookup {}", table_name(rule.table))
}

fn change(it: &mut Interp<'_, '_>, add: bool, words: &[String]) -> Run {
    let mut rule =
        PolicyRule { priority: 0, from: None, to: None, iif: None, oif: None, table: 0, not_understood: None };
    let mut priority = None;
    let mut rest = words.iter();
    while let Some(key) = rest.next() {
        let known = [
            "from",
            "to",
            "priority",
            "pref",
            "preference",
            "order",
            "table",
            "lookup",
            "iif",
            "dev",
            "oif",
            "fwmark",
            "ipproto",
            "sport",
            "dport",
            "uidrange",
            "tos",
        ];
        if !known.contains(&key.as_str()) {
            return it.fail(255, format!("Error: argument \"{key}\" is wrong: Failed to parse rule type"));
        }
        let Some(value) = rest.next() else { return it.fail(255, "Command line is not complete. Try option \"help\"") };
        let wrong = format!("Error: argument \"{value}\" is wrong: invalid value for \"{key}\"");
        match key.as_str() {
            "from" | "to" => {
                let Some(net) = net(value) else {
                    return it.fail(1, format!("Error: any valid prefix is expected rather than \"{value}\"."));
                };
                let net = (net.prefix_len() > 0).then_some(net);
                if key == "from" { rule.from = net } else { rule.to = net }
            }
            "priority" | "pref" | "preference" | "order" => match value.parse() {
                Ok(number) => priority = Some(number),
                Err(_) => return it.fail(255, wrong),
            },
            "table" | "lookup" => match table_number(value) {
                Some(table) => rule.table = table,
                None => return it.fail(255, format!("Error: argument \"{value}\" is wrong: invalid table ID\n")),
            },
            "iif" | "dev" => rule.iif = Some(value.clone()),
            "oif" => rule.oif = Some(value.clone()),
            other => rule.not_understood = Some(format!("{other} {value}")),
        }
    }
    it.machine.write_out_default_rules();
    if add {
        if rule.table == 0 {
            rule.table = MAIN_TABLE;
        }
        let rules = &it.machine.kernel.policy_rules;
        // The kernel puts a rule without priority just before the first one after 0.
        let next = rules.iter().map(|rule| rule.priority).find(|priority| *priority > 0).unwrap_or(32_766);
        rule.priority = priority.unwrap_or(next.saturating_sub(1));
        if rules.contains(&rule) {
            return it.fail(2, "RTNETLINK answers: File exists");
        }
        it.machine.add_rule(rule);
        return Ok(0);
    }
    let fits = |known: &PolicyRule| {
        priority.is_none_or(|priority| known.priority == priority)
            && (rule.table == 0 || known.table == rule.table)
            && (rule.from.is_none() || known.from == rule.from)
            && (rule.to.is_none() || known.to == rule.to)
            && (rule.iif.is_none() || known.iif == rule.iif)
            && (rule.oif.is_none() || known.oif == rule.oif)
    };
    match it.machine.kernel.policy_rules.iter().position(fits) {
        Some(at) => {
            it.machine.kernel.policy_rules.remove(at);
            Ok(0)
        }
        None => it.fail(2, "RTNETLINK answers: No such file or directory"),
    }
}
