//! From which source ports a translation may choose, and how many of them are held.
//!
//! Linux, net/netfilter/nf_nat_core.c: `get_unique_tuple` keeps the connection's own port when nobody holds it towards
//! the same address, port and protocol; else `nf_nat_l4proto_unique_tuple` looks for another: in the range that the rule
//! names, and without one in 1-511 for a port below 512, 600-1023 below 1024, and 1024-65535 for all others.
//! `net.ipv4.ip_local_port_range` is not asked: it is for the host's own sockets. 128 ports from a random place are
//! tried, then 64, 32, 16 and 8 from others; without a free one the packet keeps a port that is held, and is dropped
//! when its entry is confirmed (`insert_failed`). Newer kernels may take over the port of a TCP connection in TIME_WAIT or
//! CLOSE.

use std::net::IpAddr;

use super::pass::Line;
use crate::model::Protocol;
use crate::model::host::{Host, PortsHeld};
use crate::reach::flow::Packet;

/// Above this share of the range a free port is hard to find for the kernel, and soon gone.
const FEW_LEFT_PERCENT: u32 = 80;

/// The source ports of one translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reach) struct Ports {
    protocol: Protocol,
    source: IpAddr,
    destination: IpAddr,
    destination_port: u16,
    /// Inclusive.
    first: u16,
    last: u16,
    /// `None`: nothing shows them.
    held: Option<Held>,
    /// Whether the tracking table holds so many connections that few ports may be left.
    many: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    shown_by: String,
    /// At least so many ports of the range are held.
    count: u32,
    /// Of them by connections that are closed.
    closing: u32,
    /// The table was read to its end, and what may have been left out decides nothing.
    complete: bool,
}

/// What translating `packet`, whose source is the translated one already, by `rule` chooses from. `None`: the packet has
/// no ports, or the rule gives it one of several addresses.
pub(super) fn towards(host: &Host, packet: &Packet, rule: &str) -> Option<Ports> {
    if !packet.protocol.has_ports() {
        return None;
    }
    let (first, last) = match named(rule)? {
        Named::Range(first, last) => (first, last),
        Named::Nothing => match packet.source_port {
            0..=511 => (1, 511),
            512..=1023 => (600, 1023),
            _ => (1024, u16::MAX),
        },
    };
    let mut ports = Ports {
        protocol: packet.protocol,
        source: packet.source,
        destination: packet.destination,
        destination_port: packet.destination_port,
        first,
        last,
        held: None,
        many: false,
    };
    let tracked = host.ruleset.conntrack.map_or(0, |entries| entries.count);
    ports.many = tracked >= u64::from(ports.few());
    ports.held = host.ports_held.as_ref().map(|held| ports.count(held, tracked));
    Some(ports)
}

impl Ports {
    fn size(&self) -> u32 {
        u32::from(self.last.saturating_sub(self.first)) + 1
    }

    /// So many held are many.
    fn few(&self) -> u32 {
        (self.size() * FEW_LEFT_PERCENT).div_ceil(100)
    }

    fn count(&self, held: &PortsHeld, tracked: u64) -> Held {
        let same = held.towards.iter().filter(|towards| {
            (towards.protocol, towards.source) == (self.protocol, self.source)
                && (towards.destination, towards.destination_port) == (self.destination, self.destination_port)
        });
        let (mut count, mut closing, mut at_most) = (0_u32, 0_u32, 0_u32);
        for towards in same.filter(|towards| towards.lowest <= self.last && towards.highest >= self.first) {
            // Those that can lie outside of the range are taken to lie there.
            let below = u32::from(self.first.saturating_sub(towards.lowest));
            let above = u32::from(towards.highest.saturating_sub(self.last));
            let inside = towards.count.saturating_sub(below + above);
            count += inside;
            closing += towards.closing.min(inside);
            at_most += towards.count;
        }
        // What is not among the most is no more than the last of them.
        let left_out = held.towards.get(PortsHeld::AT_MOST - 1).map_or(0, |last| last.count);
        let blocks = u32::from(self.last / 4096 - self.first / 4096) + 2;
        let counted = at_most + left_out.saturating_mul(blocks) < self.few() || (left_out == 0 && at_most == count);
        // Connections come and go while the table is read.
        let complete = counted && held.entries.saturating_mul(10) >= tracked.saturating_mul(9);
        let count = count.min(self.size());
        Held { shown_by: held.shown_by.clone(), count, closing: closing.min(count), complete }
    }

    /// No port is left, nor one that may be taken over.
    pub(super) fn are_exhausted(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.count - held.closing >= self.size())
    }

    /// Few are left.
    pub(in crate::reach) fn are_few(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.count >= self.few())
    }

    /// Whether few may be left, and nothing shows how many.
    pub(in crate::reach) fn are_unknown(&self) -> bool {
        self.many && !self.are_few() && self.held.as_ref().is_none_or(|held| !held.complete)
    }

    /// `tcp 10.8.1.227 to 104.26.12.205 port 443`.
    pub(in crate::reach) fn what(&self) -> String {
        format!("{} {} to {} port {}", self.protocol, self.source, self.destination, self.destination_port)
    }

    /// `64000 of the 64512 source ports 1024-65535`.
    pub(in crate::reach) fn how_many(&self) -> String {
        let held = self.held.as_ref().map_or(0, |held| held.count);
        format!("{held} of the {} source ports {}-{}", self.size(), self.first, self.last)
    }

    /// The line that tells how many are held.
    pub(in crate::reach) fn line(&self) -> Line {
        let shown_by = self.held.as_ref().map_or("conntrack -L", |held| held.shown_by.as_str());
        let closing = match &self.held {
            Some(held) if held.closing > 0 => format!(", {} of them by connections that are closed", held.closing),
            _ => String::new(),
        };
        Line::new(shown_by, format!("{}: {} are held{closing}", self.what(), self.how_many()))
    }
}

/// What a translating rule says of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    Range(u16, u16),
}

/// iptables: `--to-ports 1024-2047`, `--to-source 10.8.1.5:1024-2047`; nft: `masquerade to :1024-2047`,
/// `snat to 10.8.1.5:1024-2047`. `None`: several addresses, one of which the kernel chooses, or a rule in JSON.
fn named(rule: &str) -> Option<Named> {
    let mut words = rule.split_whitespace();
    // What nft prints as JSON, where it printed no lines.
    if rule.starts_with('[') {
        return (!rule.contains("\"port\"") && !rule.contains("\"addr\"")).then_some(Named::Nothing);
    }
    let value = words.find(|word| matches!(*word, "--to-ports" | "--to-source" | "masquerade" | "snat"));
    let ports = match value {
        Some("--to-ports") => words.next(),
        Some("--to-source") => of_addresses(words.next()?)?,
        Some("masquerade" | "snat") => match words.find(|word| *word == "to") {
            Some(_) => of_addresses(words.next()?)?,
            None => None,
        },
        _ => None,
    };
    let Some(ports) = ports else { return Some(Named::Nothing) };
    // `1024-2047/1024` has the kernel count from there.
    let ports = ports.split('/').next().unwrap_or(ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Named::Range(first, last))
}

/// The ports of `ADDRESS:PORTS`, `ADDRESS` or `:PORTS`. `None`: several addresses.
#[expect(clippy::option_option, reason = "no ports, and nothing that can be said, are two things")]
fn of_addresses(text: &str) -> Option<Option<&str>> {
    let (address, ports) = match text.split_once(':') {
        Some((address, ports)) if !ports.contains(':') => (address, Some(ports)),
        _ => (text, None),
    };
    (address.is_empty() || address.parse::<IpAddr>().is_ok()).then_some(ports)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::host::{ConntrackUse, PortsTowards};

    const SOURCE: [u8; 4] = [10, 8, 1, 227];
    const OUTSIDE: [u8; 4] = [104, 26, 12, 205];

    fn packet(source_port: u16) -> Packet {
        Packet {
            source: SOURCE.into(),
            destination: OUTSIDE.into(),
            protocol: Protocol::Tcp,
            source_port,
            destination_port: 443,
            icmp_type: 0,
            icmp_code: None,
        }
    }

    fn host(count: u32, closing: u32, (lowest, highest): (u16, u16)) -> Host {
        let towards = PortsTowards {
            protocol: Protocol::Tcp,
            source: SOURCE.into(),
            destination: OUTSIDE.into(),
            destination_port: 443,
            count,
            closing,
            lowest,
            highest,
        };
        let held = PortsHeld {
            shown_by: "conntrack -L".to_owned(),
            entries: u64::from(count),
            missed: 0,
            towards: vec![towards],
        };
        let mut host = Host { ports_held: Some(held), ..Host::default() };
        host.ruleset.conntrack = Some(ConntrackUse { count: u64::from(count), max: 262_144 });
        host
    }

    #[test]
    fn a_rule_that_names_no_ports_keeps_to_the_class_of_the_connections_port() {
        for (port, range) in [(80, "1-511"), (700, "600-1023"), (1024, "1024-65535"), (40_000, "1024-65535")] {
            let ports = towards(&Host::default(), &packet(port), "-A POSTROUTING -o ens5 -j MASQUERADE").unwrap();
            assert!(ports.how_many().ends_with(range), "{port}: {}", ports.how_many());
        }
    }

    #[test]
    fn ranges_are_read_in_the_words_of_both_tools() {
        let range = Some(Named::Range(1024, 2047));
        for rule in [
            "-A POSTROUTING -o ens5 -p tcp -j MASQUERADE --to-ports 1024-2047 --random",
            "-A POSTROUTING -o ens5 -p tcp -j SNAT --to-source 10.8.1.227:1024-2047 --persistent",
            "oifname \"ens5\" meta l4proto tcp masquerade to :1024-2047 random",
            "ip protocol tcp snat to 10.8.1.227:1024-2047",
            "meta l4proto tcp snat ip to 10.8.1.227:1024-2047/1500",
        ] {
            assert_eq!(named(rule), range, "{rule}");
        }
        for rule in ["-j MASQUERADE --random-fully", "-j SNAT --to-source 10.8.1.227", "oifname \"ens5\" masquerade"] {
            assert_eq!(named(rule), Some(Named::Nothing), "{rule}");
        }
        for rule in ["-j SNAT --to-source 10.8.1.227-10.8.1.230", "snat to 10.8.1.227-10.8.1.230:1024-2047"] {
            assert_eq!(named(rule), None, "the kernel chooses one of several: {rule}");
        }
    }

    #[test]
    fn exhausted_means_that_every_port_of_the_range_is_held() {
        let rule = "-j MASQUERADE";
        let of = |count, closing| towards(&host(count, closing, (1024, 65535)), &packet(40_000), rule).unwrap();
        assert!(of(64_512, 0).are_exhausted());
        assert!(!of(64_511, 0).are_exhausted() && of(64_511, 0).are_few());
        assert!(!of(64_512, 1).are_exhausted() && of(64_512, 1).are_few(), "one may be taken over");
        assert!(!of(51_609, 0).are_exhausted() && of(51_610, 0).are_few());
        assert!(!of(51_609, 0).are_few() && !of(51_609, 0).are_unknown());
    }

    #[test]
    fn connections_outside_of_the_range_do_not_count() {
        let rule = "-p tcp -j MASQUERADE --to-ports 2000-2099";
        assert!(towards(&host(100, 0, (2000, 2099)), &packet(40_000), rule).unwrap().are_exhausted());
        let spread = towards(&host(100, 0, (1990, 2099)), &packet(40_000), rule).unwrap();
        assert!(!spread.are_exhausted(), "ten may lie below it");
        assert!(spread.are_few());
        let one_stray = towards(&host(100, 0, (1200, 2099)), &packet(40_000), rule).unwrap();
        assert!(!one_stray.are_few() && one_stray.are_unknown(), "one lies far below it: the others may lie there too");
        assert!(!towards(&host(100, 0, (1100, 1999)), &packet(40_000), rule).unwrap().are_unknown(), "none is in it");
        let other = Packet { destination: [1, 1, 1, 1].into(), ..packet(40_000) };
        assert!(!towards(&host(100, 0, (2000, 2099)), &other, rule).unwrap().are_few());
    }

    #[test]
    fn a_table_that_is_not_shown_matters_only_where_it_is_large_enough() {
        let mut host = Host::default();
        let ports = |host: &Host| towards(host, &packet(40_000), "-j MASQUERADE").unwrap();
        host.ruleset.conntrack = Some(ConntrackUse { count: 51_609, max: 262_144 });
        assert!(!ports(&host).are_unknown());
        host.ruleset.conntrack = Some(ConntrackUse { count: 51_610, max: 262_144 });
        assert!(ports(&host).are_unknown());
        let half = PortsHeld { shown_by: "conntrack -L".to_owned(), entries: 20_000, ..PortsHeld::default() };
        host.ports_held = Some(half.clone());
        assert!(ports(&host).are_unknown(), "it was not read to its end");
        host.ports_held = Some(PortsHeld { entries: 51_000, ..half });
        assert!(!ports(&host).are_unknown());
    }

    proptest! {
        #[test]
        fn any_rule_text_is_read_without_a_panic(rule in "(--to-ports|--to-source|masquerade|snat|to|[0-9.:/-]{1,20}| ){0,8}") {
            let _read = named(&rule);
        }
    }
}
