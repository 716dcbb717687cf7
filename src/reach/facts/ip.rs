//! Reads the JSON of `ip -j addr`, `ip -j route show table all` and `ip -j rule`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::FactsError;
use crate::model::host::{HostInterface, HostRoute, HostRouteKind, MAIN_TABLE, PolicyRule};

#[derive(Deserialize)]
struct Link {
    ifname: String,
    #[serde(default)]
    altnames: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    operstate: String,
    #[serde(default)]
    link_type: String,
    address: Option<String>,
    #[serde(default)]
    mtu: u32,
    #[serde(default)]
    addr_info: Vec<AddrInfo>,
}

#[derive(Deserialize)]
struct AddrInfo {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

/// `ip -j addr show`.
pub(super) fn interfaces(json: &str) -> Result<Vec<HostInterface>, FactsError> {
    let links: Vec<Link> = read("ip -j addr", json)?;
    Ok(links
        .into_iter()
        // Old versions print an empty object for what they filtered out.
        .filter(|link| !link.ifname.is_empty())
        .map(|link| HostInterface {
            up: link.flags.iter().any(|flag| flag == "UP") && matches!(link.operstate.as_str(), "UP" | "UNKNOWN" | ""),
            mac_address: link.address.filter(|_| link.link_type == "ether").map(|mac| mac.to_ascii_lowercase()),
            addresses: link
                .addr_info
                .into_iter()
                .filter_map(|info| IpNet::new(info.local?, info.prefixlen?).ok())
                .collect(),
            name: link.ifname,
            altnames: link.altnames,
            mtu: link.mtu,
            rp_filter: 0,
        })
        .collect())
}

#[derive(Deserialize)]
struct Route {
    #[serde(rename = "type")]
    kind: Option<String>,
    dst: String,
    gateway: Option<IpAddr>,
    dev: Option<String>,
    table: Option<String>,
    metric: Option<u32>,
    prefsrc: Option<IpAddr>,
    #[serde(default)]
    flags: Vec<String>,
    nexthops: Option<Vec<Value>>,
}

/// `ip -j -4 route show table all` (or `-6`). The host's own addresses (table `local`) are read from its interfaces.
pub(super) fn routes(json: &str, ipv4: bool) -> Result<Vec<HostRoute>, FactsError> {
    const COMMAND: &str = "ip -j route show table all";
    let routes: Vec<Route> = read(COMMAND, json)?;
    let mut read = Vec::new();
    for route in routes {
        let kind = match route.kind.as_deref() {
            None | Some("unicast") => HostRouteKind::Unicast,
            Some("blackhole") => HostRouteKind::Blackhole,
            Some("unreachable") => HostRouteKind::Unreachable,
            Some("prohibit") => HostRouteKind::Prohibit,
            Some("local" | "broadcast" | "multicast" | "anycast") => continue,
            Some(other) => {
                let reason = format!("the route to {} is of type {other}, which natdeck does not evaluate", route.dst);
                return Err(FactsError::new(COMMAND, reason));
            }
        };
        if route.nexthops.is_some() {
            let reason = format!("the route to {} has several next hops, which natdeck does not evaluate", route.dst);
            return Err(FactsError::new(COMMAND, reason));
        }
        if route.flags.iter().any(|flag| flag == "dead") {
            continue;
        }
        read.push(HostRoute {
            table: table(COMMAND, route.table.as_deref())?,
            destination: destination(COMMAND, &route.dst, ipv4)?,
            gateway: route.gateway,
            device: if kind == HostRouteKind::Unicast { route.dev.unwrap_or_default() } else { String::new() },
            metric: route.metric.unwrap_or(0),
            preferred_source: route.prefsrc,
            kind,
        });
    }
    Ok(read)
}

/// `ip -j -4 rule show`.
pub(super) fn rules(json: &str) -> Result<Vec<PolicyRule>, FactsError> {
    const COMMAND: &str = "ip -j rule";
    let rules: Vec<Map<String, Value>> = read(COMMAND, json)?;
    rules
        .into_iter()
        .map(|mut rule| {
            let wrong = |field: &str| FactsError::new(COMMAND, format!("a rule without a readable {field}"));
            let priority = rule.remove("priority").and_then(|p| p.as_u64()).and_then(|p| u32::try_from(p).ok());
            let from = selector(COMMAND, rule.remove("src"), rule.remove("srclen"))?;
            let to = selector(COMMAND, rule.remove("dst"), rule.remove("dstlen"))?;
            let mut name = |key: &str| rule.remove(key).and_then(|value| value.as_str().map(str::to_owned));
            let (iif, oif, lookup) = (name("iif"), name("oif"), name("table"));
            let lookup = lookup.ok_or_else(|| wrong("table: only 'lookup' is evaluated"))?;
            for silent in ["protocol", "iif_detached", "oif_detached"] {
                rule.remove(silent);
            }
            let left: Vec<String> = rule
                .iter()
                .map(|(key, value)| match value {
                    Value::Null => key.clone(),
                    Value::String(text) => format!("{key} {text}"),
                    other => format!("{key} {other}"),
                })
                .collect();
            Ok(PolicyRule {
                priority: priority.ok_or_else(|| wrong("priority"))?,
                from,
                to,
                iif,
                oif,
                table: table(COMMAND, Some(&lookup))?,
                not_understood: (!left.is_empty()).then(|| left.join(" ")),
            })
        })
        .collect()
}

fn selector(command: &str, address: Option<Value>, length: Option<Value>) -> Result<Option<IpNet>, FactsError> {
    let Some(Value::String(text)) = address else {
        return Ok(None);
    };
    if text == "all" {
        return Ok(None);
    }
    let net = match length.and_then(|length| length.as_u64()) {
        Some(length) => format!("{text}/{length}"),
        None => text,
    };
    destination(command, &net, true).map(Some)
}

fn destination(command: &str, text: &str, ipv4: bool) -> Result<IpNet, FactsError> {
    let everything = if ipv4 { "0.0.0.0/0" } else { "::/0" };
    let text = if text == "default" { everything } else { text };
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| FactsError::new(command, format!("'{text}' is neither an address nor a network")))
}

/// Table numbers; the three names that every host has. Other names stand in a file of the host that is not read.
fn table(command: &str, name: Option<&str>) -> Result<u32, FactsError> {
    match name {
        None | Some("main") => Ok(MAIN_TABLE),
        Some("local") => Ok(255),
        Some("default") => Ok(253),
        Some(number) => {
            number.parse().map_err(|_| FactsError::new(command, format!("the routing table '{number}' has no number")))
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(command: &str, json: &str) -> Result<T, FactsError> {
    let json = if json.trim().is_empty() { "[]" } else { json };
    serde_json::from_str(json).map_err(|error| FactsError::new(command, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_next_hops_are_refused_rather_than_left_out() {
        let json = r#"[{"dst":"172.16.0.0/12","flags":[],"nexthops":[{"gateway":"10.8.1.1","dev":"ens5"}]}]"#;
        assert!(routes(json, true).unwrap_err().to_string().contains("several next hops"));
    }

    #[test]
    fn a_rule_keeps_the_selector_that_is_not_evaluated() {
        let json = r#"[{"priority":10200,"src":"all","dst":"10.8.0.0","dstlen":16,"iif":"ens6","iif_detached":null,
            "table":"main","suppress_prefixlen":0}]"#;
        let rule = &rules(json).unwrap()[0];
        assert_eq!(rule.to, Some("10.8.0.0/16".parse().unwrap()));
        assert_eq!((rule.iif.as_deref(), rule.not_understood.as_deref()), (Some("ens6"), Some("suppress_prefixlen 0")));
    }
}
