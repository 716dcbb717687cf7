//! One packet through one kernel: in by an interface and on, or sent by the host itself.

use std::cmp::max;
use std::net::IpAddr;

use super::fib::{Fib, LOOPBACK, Query, is_local, lookup, select_address};
use super::netfilter::{Decided, Seen, Verdict, base_chains, evaluate, v4};
use super::ports::{self, Ports};
use crate::model::host::{ChainKind, ConnState, Hook, Host, HostInterface, HostRoute, HostRouteKind};
use crate::reach::flow::Packet;

/// A line of output of a command on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reach) struct Line {
    pub(in crate::reach) source: String,
    pub(in crate::reach) text: String,
}

impl Line {
    pub(super) fn new(source: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: source.into(), text: text.into() }
    }
}

/// A tracked connection: its first packet as it came and as it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reach) struct Connection {
    original: Packet,
    translated: Packet,
}

/// Where a packet goes after the host has handled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reach) enum Outcome {
    /// To a socket of the host.
    Local,
    /// Out by this interface.
    Leaves { device: String },
}

/// A packet that got through.
#[derive(Debug, Clone)]
pub(in crate::reach) struct Passage {
    /// As it leaves, or as the socket sees it.
    pub(in crate::reach) packet: Packet,
    pub(in crate::reach) outcome: Outcome,
    /// The route by which it leaves.
    pub(in crate::reach) route: Option<HostRoute>,
    /// What it rests on.
    pub(in crate::reach) lines: Vec<Line>,
    /// The source ports that a translation of this connection chose from.
    pub(in crate::reach) ports: Option<Ports>,
}

/// Why a packet does not get through.
#[derive(Debug, Clone)]
pub(in crate::reach) struct Stopped {
    pub(in crate::reach) problem: Problem,
    pub(in crate::reach) lines: Vec<Line>,
}

/// The ways in which a kernel drops a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reach) enum Problem {
    /// The interface by which it came in is down.
    InterfaceDown {
        device: String,
    },
    ForwardingOff {
        sysctl: &'static str,
    },
    /// No route to the address.
    NoRoute {
        destination: IpAddr,
    },
    /// A route that drops. `silent`: blackhole; otherwise the sender is told.
    RefusingRoute {
        destination: IpAddr,
        silent: bool,
    },
    /// Reverse-path filter. `leaves_by`: where the best route back to the source leads, `None` when there is none.
    ReversePath {
        device: String,
        mode: u8,
        leaves_by: Option<String>,
        no_address: bool,
    },
    /// The source is the host's own address.
    MartianSource,
    /// A rule or policy. `told`: whether and how the sender is told.
    Denied {
        hook: Hook,
        told: Option<Told>,
        /// Where it was to leave, if that was by the default route.
        by_default: Option<String>,
    },
    ConntrackFull {
        count: u64,
        max: u64,
    },
    /// Every source port that translation may use towards the destination is held.
    PortsExhausted {
        source: IpAddr,
    },
    /// A socket that is not bound found no local port (connect(2), EADDRNOTAVAIL).
    NoLocalPort,
    /// MASQUERADE found no address.
    NoAddress {
        device: String,
    },
    /// A condition decides that is not evaluated.
    Unknown {
        reason: String,
    },
}

/// How a kernel tells the sender that it dropped a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reach) enum Told {
    /// ICMP destination unreachable, or time exceeded: from an address of the host.
    Icmp,
    /// A reset of the TCP connection, in the name of the destination.
    Reset,
}

impl Problem {
    /// Whether and how the kernel tells the sender of a packet that came in from outside.
    pub(in crate::reach) fn told(&self) -> Option<Told> {
        match self {
            Self::NoRoute { .. } => Some(Told::Icmp),
            Self::RefusingRoute { silent, .. } => (!silent).then_some(Told::Icmp),
            Self::Denied { told, .. } => *told,
            _ => None,
        }
    }

    /// Whether a program on the host itself that sent the packet gets an error at once. It does for every route that
    /// drops, but not where a rule drops without a word.
    pub(in crate::reach) fn is_told_at_home(&self) -> bool {
        self.told().is_some() || matches!(self, Self::RefusingRoute { .. } | Self::NoLocalPort)
    }
}

/// A packet comes in by `device`.
pub(in crate::reach) fn receive(
    host: &Host,
    device: &HostInterface,
    packet: Packet,
    connections: &mut Vec<Connection>,
) -> Result<Passage, Stopped> {
    let mut pass = Pass::new(host, packet, Some(&device.name), connections);
    if !device.up {
        pass.lines.push(Line::new("ip -j addr", format!("{}: state DOWN", device.name)));
        return Err(pass.stop(Problem::InterfaceDown { device: device.name.clone() }));
    }
    pass.hook(Hook::Prerouting)?;
    let found = pass.lookup(&device.name)?;
    if found == Fib::Local {
        pass.check_source(device, LOOPBACK)?;
        pass.hook(Hook::Input)?;
        pass.confirm(connections);
        return Ok(pass.through(Outcome::Local, None));
    }
    pass.check_forwarding()?;
    let route = pass.unicast(found)?;
    pass.check_source(device, &route.device)?;
    pass.out_device = Some(&route.device);
    pass.by_default = route.destination.prefix_len() == 0;
    pass.hook(Hook::Forward)?;
    pass.next_hop = Some(route.gateway.unwrap_or(pass.packet.destination));
    pass.hook(Hook::Postrouting)?;
    pass.confirm(connections);
    Ok(pass.through(Outcome::Leaves { device: route.device.clone() }, Some(route)))
}

/// The host sends a packet whose source is chosen already; see [`source_for`].
pub(in crate::reach) fn send(
    host: &Host,
    packet: Packet,
    connections: &mut Vec<Connection>,
) -> Result<Passage, Stopped> {
    let mut pass = Pass::new(host, packet, None, connections);
    let found = pass.lookup(LOOPBACK)?;
    if found == Fib::Local {
        pass.out_device = Some(LOOPBACK);
        pass.hook(Hook::Output)?;
        return Ok(pass.through(Outcome::Local, None));
    }
    let mut route = pass.unicast(found)?;
    pass.out_device = Some(&route.device);
    pass.hook(Hook::Output)?;
    if pass.packet.destination != packet.destination {
        let found = pass.lookup(LOOPBACK)?;
        route = pass.unicast(found)?;
        pass.out_device = Some(&route.device);
    }
    pass.next_hop = Some(route.gateway.unwrap_or(pass.packet.destination));
    pass.hook(Hook::Postrouting)?;
    pass.confirm(connections);
    Ok(pass.through(Outcome::Leaves { device: route.device.clone() }, Some(route)))
}

/// The host tells the sender of a packet that it dropped. What it sends, if it can.
pub(in crate::reach) fn tell(host: &Host, about: &Packet, told: Told) -> Result<Passage, Stopped> {
    let answer = match told {
        Told::Reset => about.reply(),
        Told::Icmp => {
            let error = about.unreachable();
            let source = source_for(host, &error)?;
            Packet { source, ..error }
        }
    };
    let mut pass = Pass::new(host, answer, None, &[]);
    pass.state = ConnState::Related;
    let found = pass.lookup(LOOPBACK)?;
    let route = pass.unicast(found)?;
    pass.out_device = Some(&route.device);
    pass.hook(Hook::Output)?;
    pass.hook(Hook::Postrouting)?;
    Ok(pass.through(Outcome::Leaves { device: route.device.clone() }, Some(route)))
}

/// The source address of a socket that is not bound: that of the route to the destination.
pub(in crate::reach) fn source_for(host: &Host, packet: &Packet) -> Result<IpAddr, Stopped> {
    let unbound = Packet { source: packet.unspecified(), ..*packet };
    let pass = Pass::new(host, unbound, None, &[]);
    if host.local_ports_taken && packet.protocol == crate::model::Protocol::Tcp {
        return Err(pass.stop(Problem::NoLocalPort));
    }
    let found = pass.lookup(LOOPBACK)?;
    if found == Fib::Local {
        return Ok(packet.destination);
    }
    let route = pass.unicast(found)?;
    let towards = route.gateway.unwrap_or(packet.destination);
    let chosen = route.preferred_source.or_else(|| select_address(host, host.interface(&route.device)?, towards));
    chosen.ok_or_else(|| pass.stop(Problem::NoAddress { device: route.device.clone() }))
}

/// `ip route`'s line for a route.
fn shown_route(route: &HostRoute) -> String {
    let kind = match route.kind {
        HostRouteKind::Unicast => "",
        HostRouteKind::Blackhole => "blackhole ",
        HostRouteKind::Unreachable => "unreachable ",
        HostRouteKind::Prohibit => "prohibit ",
    };
    let to = if route.destination.prefix_len() == 0 { "default".to_owned() } else { route.destination.to_string() };
    let via = route.gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
    let dev = if route.device.is_empty() { String::new() } else { format!(" dev {}", route.device) };
    let metric = if route.metric == 0 { String::new() } else { format!(" metric {}", route.metric) };
    format!("{kind}{to}{via}{dev}{metric}")
}

struct Pass<'a> {
    host: &'a Host,
    packet: Packet,
    first_seen: Packet,
    in_device: Option<&'a str>,
    out_device: Option<&'a str>,
    /// It is to leave by the default route.
    by_default: bool,
    next_hop: Option<IpAddr>,
    state: ConnState,
    /// The connection that this packet is a reply of.
    reply_of: Option<Connection>,
    /// The connection that this packet goes on with.
    part_of: Option<Connection>,
    lines: Vec<Line>,
    ports: Option<Ports>,
}

impl<'a> Pass<'a> {
    fn new(host: &'a Host, packet: Packet, in_device: Option<&'a str>, connections: &[Connection]) -> Self {
        let reply_of = connections.iter().find(|c| c.translated.reply() == packet).copied();
        let part_of = connections.iter().find(|c| c.original == packet).copied();
        let state = match packet.is_error() {
            true => ConnState::Related,
            false if reply_of.is_some() || part_of.is_some() => ConnState::Established,
            false => ConnState::New,
        };
        Self {
            host,
            packet,
            first_seen: packet,
            in_device,
            out_device: None,
            by_default: false,
            next_hop: None,
            state,
            reply_of,
            part_of,
            lines: Vec::new(),
            ports: None,
        }
    }

    fn stop(&self, problem: Problem) -> Stopped {
        Stopped { problem, lines: self.lines.clone() }
    }

    fn stop_at(&mut self, line: Line, problem: Problem) -> Stopped {
        self.lines.push(line);
        self.stop(problem)
    }

    fn through(self, outcome: Outcome, route: Option<&HostRoute>) -> Passage {
        let mut lines = self.lines;
        if let Some(route) = route {
            lines.push(Line::new(route_command(self.packet.is_ipv4()), shown_route(route)));
        }
        Passage { packet: self.packet, outcome, route: route.cloned(), lines, ports: self.ports }
    }

    /// Remembers the connection, once its first packet has left.
    fn confirm(&self, connections: &mut Vec<Connection>) {
        if self.state == ConnState::New {
            connections.push(Connection { original: self.first_seen, translated: self.packet });
        }
    }

    fn lookup(&self, iif: &str) -> Result<Fib<'a>, Stopped> {
        let query = Query { source: self.packet.source, destination: self.packet.destination, iif };
        self.known(lookup(self.host, &query))
    }

    fn known(&self, found: Fib<'a>) -> Result<Fib<'a>, Stopped> {
        match found {
            Fib::Unknown(selector) => Err(self.stop(Problem::Unknown {
                reason: format!("the policy routing rule '{selector}' decides, and natdeck does not evaluate it"),
            })),
            found => Ok(found),
        }
    }

    fn unicast(&self, found: Fib<'a>) -> Result<&'a HostRoute, Stopped> {
        let destination = self.packet.destination;
        let mut lines = self.lines.clone();
        let problem = match found {
            Fib::Unicast(route) => return Ok(route),
            Fib::Refusing(route) => {
                lines.push(Line::new(route_command(self.packet.is_ipv4()), shown_route(route)));
                Problem::RefusingRoute { destination, silent: route.kind == HostRouteKind::Blackhole }
            }
            Fib::Local | Fib::NoRoute | Fib::Unknown(_) => {
                let text = format!("no route to {destination}");
                lines.push(Line::new(route_command(self.packet.is_ipv4()), text));
                Problem::NoRoute { destination }
            }
        };
        Err(Stopped { problem, lines })
    }

    /// A packet that is not for the host itself is dropped without a word when forwarding is off (`ip_error`).
    fn check_forwarding(&mut self) -> Result<(), Stopped> {
        let (on, sysctl) = if self.packet.is_ipv4() {
            (self.host.ip_forward, "net.ipv4.ip_forward")
        } else {
            (self.host.ipv6_forward, "net.ipv6.conf.all.forwarding")
        };
        let line = Line::new(format!("sysctl {sysctl}"), format!("{sysctl} = {}", u8::from(on)));
        if on {
            self.lines.push(line);
            return Ok(());
        }
        Err(self.stop_at(line, Problem::ForwardingOff { sysctl }))
    }

    /// `fib_validate_source`: martian sources, and the reverse-path filter. The route back to the packet's source is
    /// looked up with the packet's addresses reversed, as if it came in by `out_device`. IPv4 only.
    fn check_source(&mut self, device: &HostInterface, out_device: &str) -> Result<(), Stopped> {
        if !self.packet.is_ipv4() || device.name == LOOPBACK {
            return Ok(());
        }
        if is_local(self.host, self.packet.source) {
            return Err(self.stop(Problem::MartianSource));
        }
        let mode = max(self.host.rp_filter_all, device.rp_filter);
        if mode == 0 {
            return Ok(());
        }
        let query = Query { source: self.packet.destination, destination: self.packet.source, iif: out_device };
        let back = self.known(lookup(self.host, &query))?;
        let no_address = !device.addresses.iter().any(|net| net.addr().is_ipv4());
        let leaves_by = match back {
            Fib::Unicast(route) if route.device == device.name => return Ok(()),
            Fib::Unicast(_) if mode != 1 && !no_address => return Ok(()),
            Fib::Unicast(route) => Some(route),
            Fib::Local | Fib::Refusing(_) | Fib::NoRoute | Fib::Unknown(_) => None,
        };
        for (name, value) in [("all", self.host.rp_filter_all), (device.name.as_str(), device.rp_filter)] {
            let sysctl = format!("net.ipv4.conf.{name}.rp_filter");
            self.lines.push(Line::new(format!("sysctl {sysctl}"), format!("{sysctl} = {value}")));
        }
        let command = format!("ip route get {} from {}", self.packet.source, self.packet.destination);
        let text = leaves_by.map_or_else(|| "no route back".to_owned(), shown_route);
        let problem = Problem::ReversePath {
            device: device.name.clone(),
            mode,
            leaves_by: leaves_by.map(|route| route.device.clone()),
            no_address,
        };
        Err(self.stop_at(Line::new(command, text), problem))
    }

    /// Everything that is registered at a hook, in order of priority: the filter chains, and at its place the
    /// translation. Connection tracking comes before both, so that chains before it see no state.
    fn hook(&mut self, hook: Hook) -> Result<(), Stopped> {
        const CONNTRACK: i32 = -200;
        let translate_at = match hook {
            Hook::Prerouting | Hook::Output => Some(-100),
            Hook::Input | Hook::Postrouting => Some(100),
            Hook::Forward => None,
        };
        let chains = base_chains(self.host, hook, self.packet.is_ipv4());
        let mut tracked = !matches!(hook, Hook::Prerouting | Hook::Output);
        let mut translated = translate_at.is_none();
        for (table, chain, base) in chains.iter().filter(|(_, _, base)| base.kind != ChainKind::Nat) {
            if !tracked && base.priority > CONNTRACK {
                tracked = true;
                self.check_conntrack()?;
            }
            if !translated && translate_at.is_some_and(|at| base.priority > at) {
                translated = true;
                self.translate(hook)?;
            }
            let state = if tracked { self.state } else { ConnState::Invalid };
            let decided = evaluate(table, chain, *base, &self.seen(state));
            match decided.verdict {
                Verdict::Accept => self.quote(decided),
                Verdict::Drop | Verdict::Reject { .. } => return Err(self.deny(hook, decided)),
                Verdict::Masquerade | Verdict::Snat(_) | Verdict::Dnat(..) | Verdict::Unknown => {
                    return Err(self.cannot_tell(decided));
                }
            }
        }
        if !tracked {
            self.check_conntrack()?;
        }
        if !translated {
            self.translate(hook)?;
        }
        Ok(())
    }

    fn seen(&self, state: ConnState) -> Seen<'_> {
        let (original, translated) = match self.reply_of.or(self.part_of) {
            Some(connection) => (connection.original, connection.translated),
            None => (self.first_seen, self.packet),
        };
        let source = |packet: Packet| (packet.source, packet.source_port);
        let destination = |packet: Packet| (packet.destination, packet.destination_port);
        Seen {
            packet: &self.packet,
            in_device: self.in_device,
            out_device: self.out_device,
            state,
            source_translated: source(original) != source(translated),
            destination_translated: destination(original) != destination(translated),
        }
    }

    /// A rule that accepts is worth quoting; a policy that does is not.
    fn quote(&mut self, decided: Decided) {
        if !decided.text.starts_with(':') && !decided.text.starts_with("chain ") {
            self.lines.push(Line::new(decided.source, decided.text));
        }
    }

    fn deny(&mut self, hook: Hook, decided: Decided) -> Stopped {
        let told = match decided.verdict {
            Verdict::Reject { reset: true } => Some(Told::Reset),
            Verdict::Reject { reset: false } => Some(Told::Icmp),
            _ => None,
        };
        let by_default = self.by_default.then_some(self.out_device).flatten().map(str::to_owned);
        self.stop_at(Line::new(decided.source, decided.text), Problem::Denied { hook, told, by_default })
    }

    fn cannot_tell(&mut self, decided: Decided) -> Stopped {
        let reason = format!("whether the rule '{}' matches decides, and natdeck does not evaluate it", decided.text);
        self.stop_at(Line::new(decided.source, decided.text), Problem::Unknown { reason })
    }

    /// A new connection needs an entry. The kernel may first evict one that is not assured; that cannot be relied on.
    fn check_conntrack(&mut self) -> Result<(), Stopped> {
        match self.host.ruleset.conntrack {
            Some(entries) if self.state == ConnState::New && entries.count >= entries.max => {
                let text = format!("nf_conntrack_count = {}, nf_conntrack_max = {}", entries.count, entries.max);
                let line = Line::new("sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max", text);
                Err(self.stop_at(line, Problem::ConntrackFull { count: entries.count, max: entries.max }))
            }
            _ => Ok(()),
        }
    }

    /// Address translation. Only the first packet of a connection meets the rules, and the first chain that binds it
    /// is the last that is asked; what follows is translated, and replies are translated back, from the connection's
    /// entry.
    fn translate(&mut self, hook: Hook) -> Result<(), Stopped> {
        if let Some(connection) = self.reply_of {
            self.translate_like(hook, &connection.original.reply());
            return Ok(());
        }
        if let Some(connection) = self.part_of {
            self.translate_like(hook, &connection.translated);
            return Ok(());
        }
        if self.state != ConnState::New {
            return Ok(());
        }
        for (table, chain, base) in base_chains(self.host, hook, self.packet.is_ipv4()) {
            if base.kind != ChainKind::Nat {
                continue;
            }
            let decided = evaluate(table, chain, base, &self.seen(self.state));
            match decided.verdict {
                Verdict::Accept => continue,
                Verdict::Drop | Verdict::Reject { .. } => return Err(self.deny(hook, decided)),
                Verdict::Unknown => return Err(self.cannot_tell(decided)),
                Verdict::Masquerade => {
                    let device = self.out_device.unwrap_or_default();
                    let towards = self.next_hop.unwrap_or(self.packet.destination);
                    let address = self.host.interface(device).and_then(|out| select_address(self.host, out, towards));
                    let Some(address) = address else {
                        let line = Line::new(decided.source, decided.text);
                        return Err(self.stop_at(line, Problem::NoAddress { device: device.to_owned() }));
                    };
                    self.packet.source = address;
                }
                Verdict::Snat(to) => self.packet.source = v4(to),
                Verdict::Dnat(to, port) => {
                    self.packet.destination = v4(to);
                    self.packet.destination_port = port.unwrap_or(self.packet.destination_port);
                }
            }
            let ports = match decided.verdict {
                Verdict::Masquerade | Verdict::Snat(_) => ports::towards(self.host, &self.packet, &decided.text),
                _ => None,
            };
            self.lines.push(Line::new(decided.source, decided.text));
            return ports.map_or(Ok(()), |ports| self.take_port(ports));
        }
        Ok(())
    }

    /// A new connection needs a source port towards its destination that no other holds. Which one is not said: the
    /// first packet keeps its own in the trace.
    fn take_port(&mut self, ports: Ports) -> Result<(), Stopped> {
        if ports.are_exhausted() {
            return Err(self.stop_at(ports.line(), Problem::PortsExhausted { source: self.packet.source }));
        }
        self.ports = Some(ports);
        Ok(())
    }

    /// Destinations change before routing, sources after it.
    fn translate_like(&mut self, hook: Hook, to: &Packet) {
        match hook {
            Hook::Prerouting | Hook::Output => {
                self.packet.destination = to.destination;
                self.packet.destination_port = to.destination_port;
            }
            Hook::Input | Hook::Postrouting => {
                self.packet.source = to.source;
                self.packet.source_port = to.source_port;
            }
            Hook::Forward => {}
        }
    }
}

fn route_command(ipv4: bool) -> &'static str {
    if ipv4 { "ip -j route show table all" } else { "ip -j -6 route show table all" }
}
