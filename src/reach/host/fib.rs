//! Route lookup as the kernel does it: policy rules in order, in each table the longest prefix, then the metric.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::host::{Host, HostInterface, HostRoute, HostRouteKind, MAIN_TABLE, PolicyRule};

/// The table of the host's own addresses.
const LOCAL_TABLE: u32 = 255;
const DEFAULT_TABLE: u32 = 253;

/// The name by which rules speak of packets of the host itself.
pub(super) const LOOPBACK: &str = "lo";

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fib<'a> {
    /// An address of the host.
    Local,
    Unicast(&'a HostRoute),
    /// A route that drops: blackhole, unreachable, prohibit.
    Refusing(&'a HostRoute),
    NoRoute,
    /// Depends on this rule's selector, which is not evaluated.
    Unknown(&'a str),
}

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'q> {
    /// Unspecified while the host has not chosen a source yet.
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Incoming interface, [`LOOPBACK`] for packets of the host itself.
    pub(super) iif: &'q str,
}

/// Looks a destination up.
pub(super) fn lookup<'a>(host: &'a Host, query: &Query<'_>) -> Fib<'a> {
    if host.policy_rules.is_empty() {
        for table in [LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE] {
            if let Some(found) = in_table(host, table, query.destination) {
                return found;
            }
        }
        return Fib::NoRoute;
    }
    let mut rules: Vec<&PolicyRule> = host.policy_rules.iter().collect();
    rules.sort_by_key(|rule| rule.priority);
    by_rules(host, &rules, query)
}

fn by_rules<'a>(host: &'a Host, rules: &[&'a PolicyRule], query: &Query<'_>) -> Fib<'a> {
    for (index, rule) in rules.iter().enumerate() {
        if !selects(rule, query) {
            continue;
        }
        let Some(found) = in_table(host, rule.table, query.destination) else {
            continue;
        };
        let Some(selector) = rule.not_understood.as_deref() else {
            return found;
        };
        let otherwise = by_rules(host, rules.get(index + 1..).unwrap_or_default(), query);
        return if same_way(found, otherwise) { otherwise } else { Fib::Unknown(selector) };
    }
    Fib::NoRoute
}

/// Whether two results send the packet the same way.
fn same_way(a: Fib<'_>, b: Fib<'_>) -> bool {
    match (a, b) {
        (Fib::Unicast(a), Fib::Unicast(b)) => (&a.device, a.gateway) == (&b.device, b.gateway),
        (Fib::Unknown(_), _) | (_, Fib::Unknown(_)) => false,
        (a, b) => a == b,
    }
}

/// The selectors that are understood. `oif` only selects packets of sockets that are bound to an interface, and no
/// forwarded ones.
fn selects(rule: &PolicyRule, query: &Query<'_>) -> bool {
    let within = |net: &Option<IpNet>, address: IpAddr| match net {
        None => true,
        Some(net) => net.contains(&address) || (net.prefix_len() == 0 && same_family(*net, address)),
    };
    within(&rule.from, query.source)
        && within(&rule.to, query.destination)
        && rule.iif.as_deref().is_none_or(|iif| iif == query.iif)
        && rule.oif.is_none()
}

fn same_family(net: IpNet, address: IpAddr) -> bool {
    net.addr().is_ipv4() == address.is_ipv4()
}

fn in_table(host: &Host, table: u32, destination: IpAddr) -> Option<Fib<'_>> {
    if table == LOCAL_TABLE && is_local(host, destination) {
        return Some(Fib::Local);
    }
    let route = host
        .routes
        .iter()
        .filter(|route| route.table == table && route.destination.contains(&destination) && usable(host, route))
        .min_by_key(|route| (std::cmp::Reverse(route.destination.prefix_len()), route.metric))?;
    Some(match route.kind {
        HostRouteKind::Unicast => Fib::Unicast(route),
        HostRouteKind::Blackhole | HostRouteKind::Unreachable | HostRouteKind::Prohibit => Fib::Refusing(route),
    })
}

/// The kernel removes the routes of an interface that goes down.
fn usable(host: &Host, route: &HostRoute) -> bool {
    route.kind != HostRouteKind::Unicast || host.interface(&route.device).is_some_and(|interface| interface.up)
}

/// Whether an address is the host's own, on whichever interface (the weak host model).
pub(super) fn is_local(host: &Host, address: IpAddr) -> bool {
    let loopback = match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    };
    loopback || host.interfaces.iter().any(|i| i.up && i.addresses.iter().any(|net| net.addr() == address))
}

/// The address that the kernel gives to packets that leave by an interface towards a next hop: the first whose network
/// holds the next hop, else the first of the interface, else any of the host (`inet_select_addr`). Also what
/// MASQUERADE uses.
pub(super) fn select_address(host: &Host, interface: &HostInterface, towards: IpAddr) -> Option<IpAddr> {
    let family = |net: &&IpNet| same_family(**net, towards) && !is_link_local(net.addr());
    let own = interface.addresses.iter().filter(family).find(|net| net.contains(&towards));
    let own = own.or_else(|| interface.addresses.iter().find(family));
    let any = || {
        let others = host.interfaces.iter().filter(|i| i.up && i.name != LOOPBACK);
        others.flat_map(|i| &i.addresses).find(family)
    };
    own.or_else(any).map(IpNet::addr)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if (v6.segments()[0] & 0xffc0) == 0xfe80)
}
