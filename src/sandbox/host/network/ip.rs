//! The `ip` command's front, `ifconfig` and `networkctl`.

use super::super::shell::{Interp, Run};
use super::{link, route, rule};

/// Output options of `ip`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub(super) json: bool,
    pub(super) pretty: bool,
    pub(super) brief: bool,
    pub(super) one_line: bool,
    /// 4 or 6. `None`: the object's default.
    pub(super) family: Option<u8>,
}

impl Style {
    pub(super) fn json(self, value: &serde_json::Value) -> String {
        if self.pretty { format!("{value:#}\n") } else { format!("{value}\n") }
    }
}

pub(in super::super) fn ip(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let mut style = Style::default();
    let mut rest = words.get(1..).unwrap_or_default();
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "-j" | "-json" | "--json" => style.json = true,
            "-p" | "-pretty" => style.pretty = true,
            "-br" | "-brief" => style.brief = true,
            "-o" | "-oneline" => style.one_line = true,
            "-4" => style.family = Some(4),
            "-6" => style.family = Some(6),
            "-s" | "-d" | "-details" | "-stats" | "-c" | "-color" | "-color=never" | "-n" | "-N" => {}
            "-V" | "-Version" => return it.out("ip utility, iproute2-5.10.0\n").map(|()| 0),
            flag if flag.starts_with('-') => {
                return it.fail(255, format!("Option \"{flag}\" is unknown, try \"ip -help\"."));
            }
            _ => break,
        }
        rest = tail;
    }
    let Some((object, rest)) = rest.split_first() else {
        return it.fail(255, "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }");
    };
    let is = |full: &str| full.starts_with(object.as_str());
    match () {
        () if is("address") => link::address(it, style, rest),
        () if is("link") => link::link(it, style, rest),
        () if is("route") => route::run(it, style, rest),
        () if is("rule") => rule::run(it, style, rest),
        () if is("neighbour") || is("neighbor") => it.out(if style.json { "[]\n" } else { "" }).map(|()| 0),
        () => it.fail(1, format!("Object \"{object}\" is unknown, try \"ip help\".")),
    }
}

pub(in super::super) fn ifconfig(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let only = words.iter().skip(1).find(|word| !word.starts_with('-')).cloned();
    if let Some(name) = &only
        && it.machine.kernel.interface(name).is_none()
    {
        return it.fail(1, format!("{name}: error fetching interface information: Device not found"));
    }
    let mut text = String::new();
    for interface in &it.machine.kernel.interfaces {
        if only.as_ref().is_some_and(|name| *name != interface.name) || only.is_none() && !interface.up {
            continue;
        }
        let lo = interface.mac_address.is_none();
        let (number, flags) = match (lo, interface.up) {
            (true, _) => (73, "UP,LOOPBACK,RUNNING"),
            (false, true) => (4163, "UP,BROADCAST,RUNNING,MULTICAST"),
            (false, false) => (4098, "BROADCAST,MULTICAST"),
        };
        text.push_str(&format!("{}: flags={number}<{flags}>  mtu {}\n", interface.name, interface.mtu));
        for net in &interface.addresses {
            text.push_str(&match net {
                ipnet::IpNet::V4(net) if lo => format!("        inet {}  netmask {}\n", net.addr(), net.netmask()),
                ipnet::IpNet::V4(net) => {
                    format!("        inet {}  netmask {}  broadcast {}\n", net.addr(), net.netmask(), net.broadcast())
                }
                ipnet::IpNet::V6(net) => {
                    let scope = if lo { "0x10<host>" } else { "0x20<link>" };
                    format!("        inet6 {}  prefixlen {}  scopeid {scope}\n", net.addr(), net.prefix_len())
                }
            });
        }
        text.push_str(&match &interface.mac_address {
            Some(mac) => format!("        ether {mac}  txqueuelen 1000  (Ethernet)\n"),
            None => "        loop  txqueuelen 1000  (Local Loopback)\n".to_owned(),
        });
        for direction in ["RX", "TX"] {
            text.push_str(&format!(
                "        {direction} packets 0  bytes 0 (0.0 B)\n        {direction} errors 0  dropped 0 overruns 0\n"
            ));
        }
        text.push('\n');
    }
    it.out(&text).map(|()| 0)
}

pub(in super::super) fn networkctl(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    match words.get(1).map(String::as_str) {
        Some("reload" | "reconfigure" | "renew" | "up" | "down") => return Ok(0),
        None | Some("list" | "status") => {}
        Some(other) => return it.fail(1, format!("Unknown command verb {other}.")),
    }
    let mut text = "IDX LINK TYPE     OPERATIONAL SETUP     \n".to_owned();
    let count = it.machine.kernel.interfaces.len();
    for (at, interface) in it.machine.kernel.interfaces.iter().enumerate() {
        let (kind, state, setup) = match (interface.mac_address.is_some(), interface.up) {
            (false, _) => ("loopback", "carrier", "unmanaged"),
            (true, true) => ("ether", "routable", "configured"),
            (true, false) => ("ether", "off", "configured"),
        };
        text.push_str(&format!("{:>3} {:<4} {kind:<8} {state:<11} {setup}\n", at + 1, interface.name));
    }
    text.push_str(&format!("\n{count} links listed.\n"));
    it.out(&text).map(|()| 0)
}
