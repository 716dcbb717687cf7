//! `ip link` and `ip addr`.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::nic::RouteOrigin;
use super::super::shell::{Interp, Run};
use super::ip::Style;
use crate::model::host::{HostInterface, HostRoute, HostRouteKind, MAIN_TABLE};

/// "forever" as iproute2 writes it in JSON.
const FOREVER: u32 = u32::MAX;

fn flags(interface: &HostInterface) -> Vec<&'static str> {
    let mut flags = if interface.mac_address.is_none() { vec!["LOOPBACK"] } else { vec!["BROADCAST", "MULTICAST"] };
    if interface.up {
        flags.extend(["UP", "LOWER_UP"]);
    }
    flags
}

fn state(interface: &HostInterface) -> &'static str {
    match (interface.mac_address.is_none(), interface.up) {
        (true, true) => "UNKNOWN",
        (false, true) => "UP",
        (_, false) => "DOWN",
    }
}

fn qdisc(interface: &HostInterface) -> &'static str {
    if interface.mac_address.is_none() { "noqueue" } else { "mq" }
}

fn scope(net: &IpNet) -> &'static str {
    match net {
        _ if net.addr().is_loopback() => "host",
        IpNet::V6(net) if net.addr().segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80) => "link",
        _ => "global",
    }
}

fn link_json(index: usize, interface: &HostInterface, mode: bool) -> serde_json::Map<String, Value> {
    let lo = interface.mac_address.is_none();
    let mut map = serde_json::Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("ifindex", json!(index));
    put("ifname", json!(interface.name));
    put("flags", json!(flags(interface)));
    put("mtu", json!(interface.mtu));
    put("qdisc", json!(qdisc(interface)));
    put("operstate", json!(state(interface)));
    if mode {
        put("linkmode", json!("DEFAULT"));
    }
    put("group", json!("default"));
    put("txqlen", json!(1000));
    put("link_type", json!(if lo { "loopback" } else { "ether" }));
    put("address", json!(interface.mac_address.as_deref().unwrap_or("00:00:00:00:00:00")));
    put("broadcast", json!(if lo { "00:00:00:00:00:00" } else { "ff:ff:ff:ff:ff:ff" }));
    if !interface.altnames.is_empty() {
        put("altnames", json!(interface.altnames));
    }
    map
}

fn address_json(interface: &HostInterface, net: &IpNet) -> Value {
    let mut map = serde_json::Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("family", json!(if matches!(net, IpNet::V4(_)) { "inet" } else { "inet6" }));
    put("local", json!(net.addr()));
    put("prefixlen", json!(net.prefix_len()));
    if let IpNet::V4(v4) = net
        && v4.prefix_len() < 31
        && !v4.addr().is_loopback()
    {
        put("broadcast", json!(v4.broadcast()));
    }
    put("scope", json!(scope(net)));
    if matches!(net, IpNet::V4(_)) {
        put("label", json!(interface.name));
    }
    put("valid_life_time", json!(FOREVER));
    put("preferred_life_time", json!(FOREVER));
    Value::Object(map)
}

fn link_lines(index: usize, interface: &HostInterface, mode: bool) -> Vec<String> {
    let mode = if mode { " mode DEFAULT" } else { "" };
    let mut lines = vec![
        format!(
            "{index}: {}: <{}> mtu {} qdisc {} state {}{mode} group default qlen 1000",
            interface.name,
            flags(interface).join(","),
            interface.mtu,
            qdisc(interface),
            state(interface)
        ),
        match &interface.mac_address {
            Some(mac) => format!("    link/ether {mac} brd ff:ff:ff:ff:ff:ff"),
            None => "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00".to_owned(),
        },
    ];
    lines.extend(interface.altnames.iter().map(|name| format!("    altname {name}")));
    lines
}

fn address_line(interface: &HostInterface, net: &IpNet) -> String {
    let (family, label) = match net {
        IpNet::V4(_) => ("inet", format!(" {}", interface.name)),
        IpNet::V6(_) => ("inet6", " ".to_owned()),
    };
    let broadcast = match net {
        IpNet::V4(v4) if v4.prefix_len() < 31 && !v4.addr().is_loopback() => format!(" brd {}", v4.broadcast()),
        _ => String::new(),
    };
    format!("{family} {net}{broadcast} scope {}{label}", scope(net))
}

/// Which interfaces a `show` is about: names after `dev` or bare.
fn chosen(it: &mut Interp<'_, '_>, words: &[String]) -> Run<Option<Vec<(usize, HostInterface)>>> {
    let mut name = None;
    let mut up = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "show" | "list" | "ls" | "sh" | "s" => {}
            "dev" => name = rest.next().cloned(),
            "up" => up = true,
            "scope" | "type" | "label" | "to" | "group" | "master" => {
                rest.next();
            }
            other => name = Some(other.to_owned()),
        }
    }
    let kernel = &it.machine.kernel;
    if let Some(name) = &name
        && kernel.interface(name).is_none()
    {
        let text = format!("Device \"{name}\" does not exist.");
        it.fail(1, text)?;
        return Ok(None);
    }
    let wanted = name.as_ref().and_then(|name| kernel.interface(name)).map(|interface| interface.name.clone());
    let all = kernel.interfaces.iter().cloned().enumerate().map(|(at, interface)| (at + 1, interface));
    Ok(Some(
        all.filter(|(_, i)| wanted.as_ref().is_none_or(|name| *name == i.name)).filter(|(_, i)| !up || i.up).collect(),
    ))
}

fn is_show(words: &[String]) -> bool {
    !matches!(
        words.first().map(String::as_str),
        Some("add" | "a" | "del" | "delete" | "d" | "set" | "change" | "replace" | "flush" | "property")
    )
}

pub(super) fn link(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    if !is_show(words) {
        return set(it, words);
    }
    let Some(interfaces) = chosen(it, words)? else { return Ok(1) };
    let text = if style.json {
        style.json(&interfaces.iter().map(|(at, i)| Value::Object(link_json(*at, i, true))).collect())
    } else if style.brief {
        interfaces
            .iter()
            .map(|(_, i)| {
                let mac = i.mac_address.as_deref().unwrap_or("00:00:00:00:00:00");
                format!("{:<16} {:<14} {mac} <{}> \n", i.name, state(i), flags(i).join(","))
            })
            .collect()
    } else {
        let join = if style.one_line { "\\" } else { "\n" };
        interfaces.iter().map(|(at, i)| format!("{}\n", link_lines(*at, i, true).join(join))).collect()
    };
    it.out(&text).map(|()| 0)
}

pub(super) fn address(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    if !is_show(words) {
        return change_address(it, style, words);
    }
    let Some(interfaces) = chosen(it, words)? else { return Ok(1) };
    let only = words.iter().position(|word| word == "scope").and_then(|at| words.get(at + 1)).cloned();
    let wanted = |net: &&IpNet| {
        let family = match style.family {
            Some(4) => matches!(net, IpNet::V4(_)),
            Some(6) => matches!(net, IpNet::V6(_)),
            _ => true,
        };
        family && only.as_ref().is_none_or(|only| scope(net) == only)
    };
    let filtered = style.family.is_some() || only.is_some();
    let mut text = String::new();
    let mut list = Vec::new();
    for (at, interface) in &interfaces {
        let nets: Vec<&IpNet> = interface.addresses.iter().filter(wanted).collect();
        if filtered && nets.is_empty() {
            continue;
        }
        if style.json {
            let mut map = link_json(*at, interface, false);
            map.insert("addr_info".to_owned(), nets.iter().map(|net| address_json(interface, net)).collect());
            list.push(Value::Object(map));
        } else if style.brief {
            let nets: String = nets.iter().map(|net| format!("{net} ")).collect();
            text.push_str(&format!("{:<16} {:<14} {nets}\n", interface.name, state(interface)));
        } else if style.one_line {
            for net in nets {
                let line = address_line(interface, net);
                text.push_str(&format!(
                    "{at}: {}    {line}\\       valid_lft forever preferred_lft forever\n",
                    interface.name
                ));
            }
        } else {
            for line in link_lines(*at, interface, false) {
                text.push_str(&format!("{line}\n"));
            }
            for net in nets {
                let line = address_line(interface, net);
                text.push_str(&format!("    {line}\n       valid_lft forever preferred_lft forever\n"));
            }
        }
    }
    if style.json {
        text = style.json(&Value::Array(list));
    }
    it.out(&text).map(|()| 0)
}

fn set(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let rest: Vec<&str> = words.iter().skip(1).map(String::as_str).filter(|word| *word != "dev").collect();
    if words.first().is_some_and(|word| word == "property") {
        return Ok(0);
    }
    if words.first().is_none_or(|word| word != "set") {
        return it.fail(2, "RTNETLINK answers: Operation not supported");
    }
    let Some((name, changes)) = rest.split_first() else {
        return it.fail(255, "Not enough information: \"dev\" argument is required.");
    };
    let Some(found) = it.machine.kernel.interface(name).map(|interface| interface.name.clone()) else {
        return it.fail(1, format!("Cannot find device \"{name}\""));
    };
    let mut changes = changes.iter();
    while let Some(change) = changes.next() {
        match *change {
            "up" => bring(it, &found, true),
            "down" => bring(it, &found, false),
            "mtu" => {
                let mtu = changes.next().and_then(|mtu| mtu.parse().ok());
                let Some(mtu) = mtu.filter(|mtu| (68..=9216).contains(mtu)) else {
                    return it.fail(2, "Error: mtu greater than device maximum.");
                };
                if let Some(interface) = it.machine.kernel.interfaces.iter_mut().find(|i| i.name == found) {
                    interface.mtu = mtu;
                }
            }
            other => {
                return it
                    .fail(255, format!("Error: argument \"{other}\" is wrong: not supported by the simulated host"));
            }
        }
    }
    Ok(0)
}

/// The kernel drops an interface's routes when it goes down, and makes those of its networks when it comes up.
fn bring(it: &mut Interp<'_, '_>, name: &str, up: bool) {
    let Some(interface) = it.machine.kernel.interfaces.iter_mut().find(|i| i.name == name) else { return };
    if interface.up == up {
        return;
    }
    interface.up = up;
    let nets = interface.addresses.clone();
    it.machine.drop_routes_of(name);
    if up {
        for net in nets {
            connected(it, name, net);
        }
    }
}

fn connected(it: &mut Interp<'_, '_>, name: &str, net: IpNet) {
    if net.prefix_len() == net.max_prefix_len() || net.addr().is_loopback() {
        return;
    }
    let source = matches!(net, IpNet::V4(_)).then(|| net.addr());
    let route = HostRoute {
        table: MAIN_TABLE,
        destination: net.trunc(),
        gateway: None,
        device: name.to_owned(),
        metric: if source.is_some() { 0 } else { 256 },
        preferred_source: source,
        kind: HostRouteKind::Unicast,
    };
    it.machine.add_route(route, RouteOrigin::Kernel);
}

fn change_address(it: &mut Interp<'_, '_>, style: Style, words: &[String]) -> Run {
    let after = |key: &str| words.iter().position(|word| word == key).and_then(|at| words.get(at + 1)).cloned();
    let Some(name) = after("dev") else { return it.fail(255, "Not enough information: \"dev\" argument is required.") };
    let Some(found) = it.machine.kernel.interface(&name).map(|interface| interface.name.clone()) else {
        return it.fail(1, format!("Cannot find device \"{name}\""));
    };
    let verb = words.first().map_or("", String::as_str);
    if verb == "flush" {
        let of_family = |net: &IpNet| match style.family {
            Some(4) => net.addr().is_ipv4(),
            Some(_) => net.addr().is_ipv6(),
            None => true,
        };
        it.machine.kernel.routes.retain(|route| route.device != found || !of_family(&route.destination));
        if let Some(interface) = it.machine.kernel.interfaces.iter_mut().find(|i| i.name == found) {
            interface.addresses.retain(|net| !of_family(net));
        }
        return Ok(0);
    }
    let given = words.get(1).cloned().unwrap_or_default();
    let net: Option<IpNet> =
        given.parse().ok().or_else(|| given.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)));
    let Some(net) = net else {
        return it.fail(1, format!("Error: any valid prefix is expected rather than \"{given}\"."));
    };
    let Some(interface) = it.machine.kernel.interfaces.iter_mut().find(|i| i.name == found) else { return Ok(1) };
    let at = interface.addresses.iter().position(|known| *known == net);
    match (verb, at) {
        ("del" | "delete" | "d", Some(at)) => {
            interface.addresses.remove(at);
            // With its last IPv4 address an interface loses all its routes (`fib_inetaddr_event`); before that, those
            // whose source was this address (`fib_sync_down_addr`).
            let last = net.addr().is_ipv4() && !interface.addresses.iter().any(|net| net.addr().is_ipv4());
            it.machine.kernel.routes.retain(|route| {
                let lost = last && route.device == found && route.destination.addr().is_ipv4();
                !lost && route.preferred_source != Some(net.addr())
            });
            Ok(0)
        }
        ("del" | "delete" | "d", None) => it.fail(2, "Error: ipv4: Address not found."),
        ("add" | "a", Some(_)) => it.fail(2, "Error: ipv4: Address already assigned."),
        (_, Some(_)) => Ok(0),
        (_, None) => {
            interface.addresses.push(net);
            if interface.up {
                connected(it, &found, net);
            }
            Ok(0)
        }
    }
}
