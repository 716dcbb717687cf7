//! Where the walk meets a host: which device is which interface, and what the kernel's answer means.

use super::{End, FORWARDERS_AT_MOST, Pass, Place, Step, Stop, Walker, evidence};
use crate::model::host::{Hook, Host, HostInterface};
use crate::model::{InstanceId, NetworkInterface, ResourceId, Unknown};
use crate::reach::flow::Packet;
use crate::reach::host::{self, Connection, Outcome, Passage, Problem, Stopped, Told};
use crate::reach::routing::has_address;
use crate::reach::{Code, Component, Decision, Direction};

impl<'a> Walker<'a> {
    /// A packet is handed to the kernel of the instance that an interface is attached to.
    pub(super) fn enter_host(
        &mut self,
        id: &'a InstanceId,
        interface: &'a NetworkInterface,
        packet: Packet,
    ) -> Step<Place<'a>> {
        let own = has_address(interface, packet.destination);
        let component = if own && !self.was_forwarder(id) { Component::Instance } else { Component::NatHost };
        let host = match self.hosts.host(id) {
            Ok(host) => host,
            Err(_) if own && !self.was_forwarder(id) => {
                return Ok(Place::Arrived { at: End::Instance(interface), packet });
            }
            Err(unknown) => return Err(self.cannot_tell(component, Some(ResourceId::from(id)), unknown)),
        };
        let Some(device) = device_of(host, interface) else {
            let evidence = vec![
                evidence::interface(self.network, interface, format!("MacAddress = {}", interface.mac_address)),
                evidence::call("ip -j addr", "", "no interface has this MAC address or its IP address", None),
            ];
            let detail = format!("the kernel of {} does not show {}", self.called(id), interface.network_interface_id);
            let code = Code::HostInterfaceDown;
            return Err(self.deny(component, Some(ResourceId::from(id)), code, detail, evidence));
        };
        let passage = match host::receive(host, device, packet, self.connections_of(id)) {
            Ok(passage) => passage,
            Err(stopped) => return Err(self.host_stops(id, component, &packet, stopped)),
        };
        match passage.outcome.clone() {
            Outcome::Local => Ok(Place::Arrived { at: End::Instance(interface), packet: passage.packet }),
            Outcome::Leaves { device: out } => self.forwarded(id, interface, host, device, &packet, passage, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; all of it is the state of one forwarding")]
    fn forwarded(
        &mut self,
        id: &'a InstanceId,
        came_in: &'a NetworkInterface,
        host: &'a Host,
        device: &HostInterface,
        before: &Packet,
        passage: Passage,
        out: String,
    ) -> Step<Place<'a>> {
        let after = passage.packet;
        let interface = self.interface_of_device(id, host, &out)?;
        let changed = (before.source, before.destination) != (after.source, after.destination);
        let detail = if before.source != after.source {
            format!("{} forwards by {out} and translates {} to {}", self.called(id), before.source, after.source)
        } else if changed {
            format!(
                "{} forwards by {out} and translates {} back to {}",
                self.called(id),
                before.destination,
                after.destination
            )
        } else {
            format!("{} forwards by {out} and leaves the source {} as it is", self.called(id), after.source)
        };
        let decision = if changed { Decision::Translated } else { Decision::Routed };
        self.hop(
            Component::NatHost,
            Some(ResourceId::from(id)),
            decision,
            detail,
            evidence::lines(passage.lines.clone()),
        );
        if let Some(ports) = passage.ports.clone() {
            self.ports.push((id, ports));
        }
        if let Some(out) = host.interface(&out) {
            self.carries_large(id, host, device, before, out)?;
        }
        if self.forwarders.len() >= FORWARDERS_AT_MOST {
            let detail = format!("the packet went through {FORWARDERS_AT_MOST} hosts and goes in circles");
            let code = Code::NatSubnetNotPublic;
            self.circled = Some((id, *before));
            return Err(self.deny(Component::NatHost, Some(ResourceId::from(id)), code, detail, Vec::new()));
        }
        self.forwarders.push(id);
        if self.direction == Direction::Forward {
            self.entered_by.push((id, &came_in.network_interface_id));
        }
        self.last_pass = Some(Pass {
            instance_id: id,
            by_default_route: passage.route.as_ref().is_none_or(|route| route.destination.prefix_len() == 0),
            came_in_without_address: self.came_in_without_address(id, host, device),
            untranslated: !changed,
            device: out,
            lines: passage.lines,
        });
        Ok(Place::Leaving { interface, packet: after })
    }

    /// Whether the interface by which the first packet came in has no IPv4 address. For a reply that is another than
    /// the one it comes in by.
    fn came_in_without_address(&self, id: &InstanceId, host: &Host, device: &HostInterface) -> bool {
        let entered = self.entered_by.iter().find(|(instance, _)| *instance == id);
        let interface = entered.and_then(|(_, eni)| self.network.network_interfaces.get(*eni).ok().flatten());
        let device = interface.and_then(|interface| device_of(host, interface)).unwrap_or(device);
        !device.addresses.iter().any(|net| net.addr().is_ipv4())
    }

    /// Whether the first packet came in at a host by another device than this one.
    fn came_by_another(&self, id: &InstanceId, device: &str) -> bool {
        let Some((_, eni)) = self.entered_by.iter().find(|(instance, _)| *instance == id) else { return false };
        let Ok(Some(interface)) = self.network.network_interfaces.get(*eni) else { return false };
        let host = self.hosts.host(id);
        host.ok().and_then(|host| device_of(host, interface)).is_some_and(|entered| entered.name != device)
    }

    fn was_forwarder(&self, id: &InstanceId) -> bool {
        self.entered_by.iter().any(|(instance, _)| *instance == id)
    }

    /// The connections that an instance's kernel tracks.
    pub(super) fn connections_of(&mut self, id: &'a InstanceId) -> &mut Vec<Connection> {
        self.connections.entry(id).or_default()
    }

    /// The network interface that a device of a host is.
    pub(super) fn interface_of_device(
        &mut self,
        id: &'a InstanceId,
        host: &Host,
        device: &str,
    ) -> Step<&'a NetworkInterface> {
        let resource = Some(ResourceId::from(id));
        let interfaces = self.need(Component::NatHost, resource.clone(), self.network.interfaces_of(id))?;
        let found = host.interface(device).and_then(|device| {
            let by_mac = |i: &&&NetworkInterface| {
                device.mac_address.as_deref().is_some_and(|mac| mac.eq_ignore_ascii_case(&i.mac_address))
            };
            let by_address = |i: &&&NetworkInterface| device.addresses.iter().any(|net| has_address(i, net.addr()));
            interfaces.iter().find(by_mac).or_else(|| interfaces.iter().find(by_address)).copied()
        });
        found.ok_or_else(|| {
            let unknown = Unknown::new(
                format!("where packets go that leave {id} by {device}"),
                "it is not one of the instance's network interfaces",
            );
            self.cannot_tell(Component::NatHost, resource, unknown)
        })
    }

    /// The kernel does not let a packet through.
    pub(super) fn host_stops(
        &mut self,
        id: &'a InstanceId,
        component: Component,
        packet: &Packet,
        stopped: Stopped,
    ) -> Stop {
        let resource = Some(ResourceId::from(id));
        let evidence = evidence::lines(stopped.lines);
        let who = self.called(id);
        let reply = self.direction == Direction::Reply;
        let refused = if reply {
            false
        } else if self.hops.is_empty() {
            stopped.problem.is_told_at_home()
        } else {
            stopped.problem.told().is_some_and(|told| self.is_told(id, packet, told))
        };
        self.subject.packet = Some(packet.dropped());
        self.subject.device = match &stopped.problem {
            Problem::InterfaceDown { device } | Problem::ReversePath { device, .. } | Problem::NoAddress { device } => {
                Some(device.clone())
            }
            _ => None,
        };
        let routes = if reply { Code::HostNoReturnRoute } else { Code::HostDefaultRouteWrong };
        let (code, detail) = match stopped.problem {
            Problem::Unknown { reason } => {
                let unknown = Unknown::new(format!("what the kernel of {id} does"), reason);
                let stop = self.cannot_tell(component, resource, unknown);
                if let Some(hop) = self.hops.last_mut() {
                    hop.evidence = evidence;
                }
                return stop;
            }
            Problem::InterfaceDown { device } => {
                (Code::HostInterfaceDown, format!("{who} gets nothing: its interface {device} is down"))
            }
            Problem::ForwardingOff { sysctl } => {
                (Code::HostIpForwardOff, format!("{who} does not forward {packet}: {sysctl} is 0"))
            }
            Problem::NoRoute { destination } => (routes, format!("{who} has no route to {destination}")),
            Problem::RefusingRoute { destination, .. } => {
                (routes, format!("{who} has a route to {destination} that drops packets"))
            }
            Problem::ReversePath { device, no_address: true, .. } => (
                Code::HostInterfaceDown,
                format!("{who} has no address on {device}, so that its reverse-path filter drops {packet}"),
            ),
            Problem::ReversePath { device, mode, leaves_by, .. } => {
                let kind = if mode == 1 { "strict" } else { "loose" };
                let back = leaves_by.map_or_else(
                    || format!("there is no route back to {}", packet.source),
                    |other| format!("the route back to {} leaves by {other}", packet.source),
                );
                let detail = format!("the {kind} reverse-path filter of {who} drops {packet} on {device}: {back}");
                (Code::HostRpFilter, detail)
            }
            Problem::MartianSource => {
                (Code::HostRpFilter, format!("{who} drops {packet}: the source is one of its own addresses"))
            }
            Problem::Denied { by_default: Some(out), .. } if reply && self.came_by_another(id, &out) => (
                Code::HostNoReturnRoute,
                format!(
                    "{who} has no way back but its default route by {out}, where its firewall drops the reply ({packet})"
                ),
            ),
            Problem::Denied { hook, told, .. } => {
                let verb = if told.is_some() { "rejects" } else { "drops" };
                let code = match (component, reply) {
                    (Component::Instance, _) => Code::ClientProxyOrFirewall,
                    (_, false) => Code::HostForwardDenied,
                    (_, true) => Code::HostForwardReplyDenied,
                };
                let what = if reply { "the reply" } else { "the packet" };
                (code, format!("the firewall of {who} {verb} {what} ({packet}) in {}", hook_name(hook)))
            }
            Problem::ConntrackFull { count, max } => (
                Code::HostConntrackFull,
                format!(
                    "the connection tracking table of {who} is full ({count} of {max}): new connections are dropped"
                ),
            ),
            Problem::PortsExhausted { source } => (
                Code::HostPortsExhausted,
                format!("{who} has no source port of {source} left for a new connection to {}", packet.destination),
            ),
            Problem::NoLocalPort => {
                (Code::ClientPortsExhausted, format!("{who} has no local port left for a new connection"))
            }
            Problem::NoAddress { device } => {
                (Code::HostInterfaceDown, format!("{who} has no address on {device} to send from"))
            }
        };
        self.refused = refused;
        self.deny(component, resource, code, detail, evidence)
    }

    /// Whether the sender hears from a host that it dropped a packet: what the host sends must find its way too.
    pub(super) fn is_told(&mut self, id: &'a InstanceId, about: &Packet, told: Told) -> bool {
        let end = self.aside(|walker| {
            walker.direction = Direction::Reply;
            // One that goes in circles is as lost as one that is dropped.
            walker.circling = false;
            walker.send_word(id, about, told)
        });
        matches!(end, Ok(End::Instance(interface)) if interface.instance_id() == Some(&self.flow.instance_id))
    }

    fn send_word(&mut self, id: &'a InstanceId, about: &Packet, told: Told) -> Step<End<'a>> {
        let Ok(host) = self.hosts.host(id) else { return Err(Stop::Unknown) };
        let Ok(passage) = host::tell(host, about, told) else { return Err(Stop::Dropped) };
        let Outcome::Leaves { device } = passage.outcome else { return Err(Stop::Dropped) };
        let interface = self.interface_of_device(id, host, &device)?;
        self.follow(Place::Leaving { interface, packet: passage.packet }).map(|(end, _)| end)
    }
}

/// The kernel's device for a network interface: by MAC address, or else by address.
fn device_of<'h>(host: &'h Host, interface: &NetworkInterface) -> Option<&'h HostInterface> {
    host.interface_by_mac(&interface.mac_address).or_else(|| {
        host.interfaces.iter().find(|device| device.addresses.iter().any(|net| has_address(interface, net.addr())))
    })
}

fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    }
}
