//! netfilter: which rule of which chain decides about a packet at one hook.
//!
//! A condition that is not understood may or may not hold. Both ways are followed; where they end differently, the
//! verdict is unknown.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::Protocol;
use crate::model::host::{
    Backend, BaseChain, Chain, ChainKind, ConnState, Family, FilterTable, Hook, Host, Match, Policy, Rule, Target,
};
use crate::reach::flow::Packet;

/// What a rule sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'p> {
    pub(super) packet: &'p Packet,
    /// `None` before the packet has come in by an interface: what the host itself sends.
    pub(super) in_device: Option<&'p str>,
    /// `None` before routing.
    pub(super) out_device: Option<&'p str>,
    pub(super) state: ConnState,
    /// Whether the connection's source, or its destination, is translated.
    pub(super) source_translated: bool,
    pub(super) destination_translated: bool,
}

/// What a base chain does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// The sender is told: by a reset of TCP, or by ICMP.
    Reject {
        reset: bool,
    },
    Masquerade,
    Snat(Ipv4Addr),
    Dnat(Ipv4Addr, Option<u16>),
    Unknown,
}

/// A verdict and the line that gave it.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) verdict: Verdict,
    /// `iptables-save -c` or `nft list ruleset`.
    pub(super) source: &'static str,
    /// The rule as printed, or the chain with its policy.
    pub(super) text: String,
}

/// The command that shows a table.
pub(super) fn shown_by(table: &FilterTable) -> &'static str {
    match (table.backend, table.family) {
        (Backend::IptablesNft, Family::Ip6) => "ip6tables-save -c",
        (Backend::IptablesNft, _) => "iptables-save -c",
        (Backend::IptablesLegacy, Family::Ip6) => "ip6tables-legacy-save -c",
        (Backend::IptablesLegacy, _) => "iptables-legacy-save -c",
        (Backend::Nft, _) => "nft list ruleset",
    }
}

/// The chains that the kernel enters at a hook for a family, lowest priority number first. Of several with the same
/// number the one that was made last comes first (`nf_hook_entries_grow`); tables and their chains are listed in the
/// order in which they were made.
pub(super) fn base_chains(host: &Host, hook: Hook, ipv4: bool) -> Vec<(&FilterTable, &Chain, BaseChain)> {
    let mut chains: Vec<_> = host
        .ruleset
        .tables
        .iter()
        .filter(|table| match table.family {
            Family::Ip => ipv4,
            Family::Ip6 => !ipv4,
            Family::Inet => true,
        })
        .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
        .filter_map(|(table, chain)| chain.base.map(|base| (table, chain, base)))
        .filter(|(_, _, base)| base.hook == hook)
        .collect();
    chains.reverse();
    chains.sort_by_key(|(_, _, base)| base.priority);
    chains
}

/// How many rules one evaluation may look at: chains that jump to each other, and conditions that are not understood,
/// can make very many.
const RULES_AT_MOST: u32 = 20_000;

/// How many conditions that are not understood are followed both ways at once: each may double the work.
const UNDECIDED_AT_MOST: u32 = 64;

/// Evaluates a base chain.
pub(super) fn evaluate(table: &FilterTable, chain: &Chain, base: BaseChain, seen: &Seen<'_>) -> Decided {
    let mut run = Run { table, base, chain, seen, left: RULES_AT_MOST, open: 0 };
    run.from(&mut vec![(chain, 0)])
}

struct Run<'r> {
    table: &'r FilterTable,
    chain: &'r Chain,
    base: BaseChain,
    seen: &'r Seen<'r>,
    left: u32,
    /// Conditions that are not understood and are being followed both ways.
    open: u32,
}

impl<'r> Run<'r> {
    /// Goes on from the innermost place of `stack`: chains with the index of their next rule.
    fn from(&mut self, stack: &mut Vec<(&'r Chain, usize)>) -> Decided {
        loop {
            let Some((chain, index)) = stack.last_mut() else {
                return self.policy();
            };
            let Some(rule) = chain.rules.get(*index) else {
                stack.pop();
                continue;
            };
            *index += 1;
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return self.decided(Verdict::Unknown, "the chains jump in circles or are too long to follow");
            }
            let holds = matches(rule, self.seen);
            if holds == Some(false) || rule.target == Target::Continue {
                continue;
            }
            if holds.is_some() {
                match self.apply(rule, stack) {
                    Some(decided) => return decided,
                    None => continue,
                }
            }
            if self.open >= UNDECIDED_AT_MOST {
                return self.decided(Verdict::Unknown, &rule.text);
            }
            self.open += 1;
            let mut taken = stack.clone();
            let with = self.apply(rule, &mut taken);
            let with = with.unwrap_or_else(|| self.from(&mut taken));
            let without = self.from(stack);
            self.open -= 1;
            let same = with.verdict == without.verdict && with.verdict != Verdict::Unknown;
            return if same { without } else { self.decided(Verdict::Unknown, &rule.text) };
        }
    }

    /// Does what a rule that matches says: a verdict, or another place in `stack` to go on from.
    fn apply(&self, rule: &'r Rule, stack: &mut Vec<(&'r Chain, usize)>) -> Option<Decided> {
        let verdict = match &rule.target {
            Target::Accept => Verdict::Accept,
            Target::Drop => Verdict::Drop,
            // `tcp-reset` is iptables' word, `tcp reset` nft's.
            Target::Reject => {
                Verdict::Reject { reset: rule.text.contains("tcp-reset") || rule.text.contains("tcp reset") }
            }
            Target::Masquerade => Verdict::Masquerade,
            Target::Snat { to } => Verdict::Snat(*to),
            Target::Dnat { to, port } => Verdict::Dnat(*to, *port),
            Target::NotUnderstood(_) => Verdict::Unknown,
            Target::Continue => return None,
            Target::Return => {
                stack.pop();
                return None;
            }
            Target::Jump(name) | Target::Goto(name) => {
                let Some(next) = self.table.chains.iter().find(|chain| &chain.name == name) else {
                    return Some(self.decided(Verdict::Unknown, &rule.text));
                };
                if matches!(rule.target, Target::Goto(_)) {
                    stack.pop();
                }
                stack.push((next, 0));
                return None;
            }
        };
        Some(self.decided(verdict, &rule.text))
    }

    fn policy(&self) -> Decided {
        let verdict = if self.base.policy == Policy::Drop { Verdict::Drop } else { Verdict::Accept };
        let policy = if self.base.policy == Policy::Drop { "DROP" } else { "ACCEPT" };
        let text = match self.table.backend {
            Backend::Nft => format!("chain {} {{ … policy {}; }}", self.chain.name, policy.to_lowercase()),
            Backend::IptablesNft | Backend::IptablesLegacy => format!(":{} {policy}", self.chain.name),
        };
        self.decided(verdict, &text)
    }

    fn decided(&self, verdict: Verdict, text: &str) -> Decided {
        Decided { verdict, source: shown_by(self.table), text: text.to_owned() }
    }
}

/// Whether all conditions of a rule hold. `None`: that depends on one that is not understood.
fn matches(rule: &Rule, seen: &Seen<'_>) -> Option<bool> {
    let mut sure = true;
    for condition in &rule.matches {
        match holds(condition, seen) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => sure = false,
        }
    }
    sure.then_some(true)
}

fn holds(condition: &Match, seen: &Seen<'_>) -> Option<bool> {
    let packet = seen.packet;
    Some(match condition {
        Match::Always => true,
        Match::NotUnderstood(_) => return None,
        Match::In { name, prefix, negated } => device_matches(seen.in_device, name, *prefix) != *negated,
        Match::Out { name, prefix, negated } => device_matches(seen.out_device, name, *prefix) != *negated,
        Match::Source { net, negated } => net.contains(&packet.source) != *negated,
        Match::Destination { net, negated } => net.contains(&packet.destination) != *negated,
        Match::Protocol { protocol, negated } => {
            (*protocol == Protocol::All || *protocol == packet.protocol) != *negated
        }
        Match::SourcePort { ranges, negated } => port_matches(packet, ranges, packet.source_port, *negated),
        Match::DestinationPort { ranges, negated } => port_matches(packet, ranges, packet.destination_port, *negated),
        Match::Icmp { ipv4, types, codes, negated } => {
            if packet.protocol != if *ipv4 { Protocol::Icmp } else { Protocol::Icmpv6 } {
                return Some(false);
            }
            let kind = (types.0..=types.1).contains(&packet.icmp_type);
            let code = match packet.icmp_code {
                _ if *codes == (0, u8::MAX) => true,
                Some(code) => (codes.0..=codes.1).contains(&code),
                None if kind => return None,
                None => false,
            };
            (kind && code) != *negated
        }
        Match::State { states, negated } => {
            let holds = |state: &ConnState| match state {
                ConnState::Snat => seen.source_translated,
                ConnState::Dnat => seen.destination_translated,
                state => *state == seen.state,
            };
            states.iter().any(holds) != *negated
        }
    })
}

/// A rule that names ports never holds for a protocol without.
fn port_matches(packet: &Packet, ranges: &[(u16, u16)], port: u16, negated: bool) -> bool {
    packet.protocol.has_ports() && ranges.iter().any(|(first, last)| (*first..=*last).contains(&port)) != negated
}

/// An interface that the packet does not have at this hook compares as an empty name, as in the kernel.
pub(super) fn device_matches(device: Option<&str>, name: &str, prefix: bool) -> bool {
    let device = device.unwrap_or_default();
    if prefix { device.starts_with(name) } else { device == name }
}

/// Rules that translate sources after routing, with the command that shows them, and whether their outgoing interface
/// is another than `device`.
pub(in crate::reach) fn source_translations<'a>(
    host: &'a Host,
    device: &str,
    ipv4: bool,
) -> Vec<(&'static str, &'a Rule, bool)> {
    let mut rules = Vec::new();
    for (table, base_chain, base) in base_chains(host, Hook::Postrouting, ipv4) {
        if base.kind != ChainKind::Nat {
            continue;
        }
        let reachable = std::iter::once(base_chain).chain(table.chains.iter().filter(|chain| chain.base.is_none()));
        for rule in reachable.flat_map(|chain| &chain.rules) {
            if matches!(rule.target, Target::Masquerade | Target::Snat { .. }) {
                let elsewhere = rule.matches.iter().any(|condition| {
                    matches!(condition, Match::Out { name, prefix, negated }
                        if device_matches(Some(device), name, *prefix) == *negated)
                });
                rules.push((shown_by(table), rule, elsewhere));
            }
        }
    }
    rules
}

/// The address that a translation of IPv4 gives; the rest of the packet stays.
pub(super) fn v4(address: Ipv4Addr) -> IpAddr {
    IpAddr::V4(address)
}
