//! The walk: one packet from place to place, then its reply the same way. Pure.
//!
//! Every place is a function that pushes the hops it decides and names the next place, or ends the walk. State that
//! real networks keep (what security groups let pass, what hosts and gateways translated) is kept in the [`Walker`],
//! so that a reply meets the same code as the packet did.

pub(super) mod evidence;
mod fabric;
mod gateway;
mod interface;
mod kernel;
mod mtu;
mod sender;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::flow::Packet;
use super::host::{Connection, Line, Ports};
use super::nat64;
use super::{Cause, Code, Component, Decision, Direction, Disposition, Evidence, Flow, Hop, Subject, Trace};
use crate::model::host::HostFacts;
use crate::model::{
    InstanceId, InternetGatewayId, NatGatewayId, Network, NetworkInterface, NetworkInterfaceId, Protocol, ResourceId,
    SubnetId, Unknown, VpcEndpointId, VpcId,
};

/// Follows a flow and its reply through a snapshot, and says where and why it ends.
///
/// Hosts that forward must be known, as must a sender with several interfaces; of other senders and receivers nothing
/// unusual is assumed when they are not known, and what is known of them (routes, firewall) is honoured.
pub fn walk(network: &Network, hosts: &dyn HostFacts, flow: &Flow) -> Trace {
    walk_on(network, hosts, flow, false).trace
}

/// A walk, and what stopped it as a repair needs it.
pub(super) struct Walked {
    pub(super) trace: Trace,
    /// The cause of the hop that drops, and what it is about.
    pub(super) stopped_by: Option<(Cause, Subject)>,
    /// The source ports that the hosts which translated the flow chose from.
    pub(super) ports: Vec<(InstanceId, Ports)>,
}

/// As [`walk`]. With `assume`, groups, ACLs and attachments that are not known let the packet pass, so that what lies
/// behind them is found too; a walk that assumed anything is never delivered.
pub(super) fn walk_on(network: &Network, hosts: &dyn HostFacts, flow: &Flow, assume: bool) -> Walked {
    let flow = &*nat64::as_resolved(network, flow);
    let mut walker = Walker {
        assume,
        assumed: Vec::new(),
        subject: Subject::default(),
        cause: None,
        network,
        hosts,
        flow,
        direction: Direction::Forward,
        hops: Vec::new(),
        address: None,
        refused: false,
        unknown: Vec::new(),
        tracked: Vec::new(),
        connections: BTreeMap::new(),
        gateway_connections: Vec::new(),
        forwarders: Vec::new(),
        inspecting: Vec::new(),
        inspected: Vec::new(),
        entered_by: Vec::new(),
        last_pass: None,
        circling: false,
        circled: None,
        ports: Vec::new(),
    };
    let disposition = match walker.there_and_back() {
        Ok(()) if !walker.assumed.is_empty() => Disposition::InsufficientInformation,
        Ok(()) => Disposition::Delivered,
        Err(Stop::Dropped) => Disposition::Dropped,
        Err(Stop::Unknown) => Disposition::InsufficientInformation,
    };
    let stopped_by = walker.cause.filter(|_| disposition == Disposition::Dropped);
    Walked {
        ports: walker.ports.into_iter().map(|(id, ports)| (id.clone(), ports)).collect(),
        stopped_by: stopped_by.map(|cause| (cause, Subject { flow: Some(flow.clone()), ..walker.subject })),
        trace: Trace {
            flow: flow.clone(),
            disposition,
            hops: walker.hops,
            address: walker.address,
            refused: walker.refused && disposition == Disposition::Dropped,
            unknown: walker.unknown,
        },
    }
}

/// The walk is over; the last hop says why.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Dropped,
    Unknown,
}

type Step<T> = Result<T, Stop>;

/// Where the packet is.
enum Place<'a> {
    /// About to leave an interface into the VPC.
    Leaving {
        interface: &'a NetworkInterface,
        packet: Packet,
    },
    /// About to enter an interface, from a subnet or (`None`) from outside.
    Entering {
        interface: &'a NetworkInterface,
        packet: Packet,
        from: Option<&'a SubnetId>,
    },
    /// In a subnet, to be routed by its table. `interface` is the one it left by, if it was one of a customer's.
    Routing {
        subnet_id: &'a SubnetId,
        vpc_id: &'a VpcId,
        packet: Packet,
        interface: Option<&'a NetworkInterface>,
    },
    /// At an internet gateway, from outside.
    Inbound {
        internet_gateway_id: &'a InternetGatewayId,
        vpc_id: &'a VpcId,
        packet: Packet,
    },
    Arrived {
        at: End<'a>,
        packet: Packet,
    },
}

/// Where a packet can arrive.
#[derive(Clone, Copy)]
enum End<'a> {
    /// An instance, by this interface.
    Instance(&'a NetworkInterface),
    /// A service of AWS behind an interface in the VPC.
    Service(&'a NetworkInterface),
    /// The internet, through an internet gateway.
    Internet(&'a InternetGatewayId, &'a VpcId),
    /// The IPv6 internet through an egress-only gateway, or a service behind a gateway endpoint: the reply comes
    /// straight back to the interface with the address.
    Beyond(&'a VpcId),
    /// What answers inside every VPC without being filtered.
    Amazon,
}

/// How a host last handled the packet.
struct Pass<'a> {
    instance_id: &'a InstanceId,
    /// The prefix length of the route by which it left.
    by_default_route: bool,
    /// The interface by which it came in has no IPv4 address.
    came_in_without_address: bool,
    /// The host changed neither address.
    untranslated: bool,
    device: String,
    lines: Vec<Line>,
}

struct Walker<'a> {
    network: &'a Network,
    hosts: &'a dyn HostFacts,
    flow: &'a Flow,
    direction: Direction,
    hops: Vec<Hop>,
    address: Option<IpAddr>,
    refused: bool,
    unknown: Vec<Unknown>,
    /// What the groups of an interface let pass: they let the reply pass too.
    tracked: Vec<(&'a NetworkInterfaceId, Packet)>,
    connections: BTreeMap<&'a InstanceId, Vec<Connection>>,
    /// Of NAT gateways: the packet as it came and as it left.
    gateway_connections: Vec<(&'a NatGatewayId, Packet, Packet)>,
    /// The instances that forwarded in this direction.
    forwarders: Vec<&'a InstanceId>,
    /// The endpoints to appliances that were passed in this direction, and in any.
    inspecting: Vec<&'a VpcEndpointId>,
    inspected: Vec<&'a VpcEndpointId>,
    /// By which interface the first packet came in at each instance that forwarded it.
    entered_by: Vec<(&'a InstanceId, &'a NetworkInterfaceId)>,
    last_pass: Option<Pass<'a>>,
    /// Take filters that are not known to let the packet pass.
    assume: bool,
    assumed: Vec<Unknown>,
    /// What the current place is about, for the hop that drops.
    subject: Subject,
    /// The cause of the hop that drops.
    cause: Option<Cause>,
    /// A packet that came back to a host it has left is followed on, to see whether it goes round for good.
    circling: bool,
    /// Where a packet that goes round ends: its time to live runs out there.
    circled: Option<(&'a InstanceId, Packet)>,
    ports: Vec<(&'a InstanceId, Ports)>,
}

/// A packet that is forwarded more often than this goes in circles.
const FORWARDERS_AT_MOST: usize = 8;

impl<'a> Walker<'a> {
    fn there_and_back(&mut self) -> Step<()> {
        let start = self.send()?;
        let (end, packet) = self.follow(start)?;
        self.address = Some(packet.source);
        self.arrival_hop(end, &packet);
        if matches!(end, End::Amazon) {
            return Ok(());
        }
        self.direction = Direction::Reply;
        self.forwarders.clear();
        self.inspecting.clear();
        self.last_pass = None;
        let start = self.answer(end, packet.reply())?;
        let (end, packet) = self.follow(start)?;
        self.receive_reply(end, &packet)?;
        self.go_on()
    }

    /// The first packet and its reply do not make a TCP connection yet: the packet after them meets rules that speak of
    /// established connections. Where it passes it adds nothing to the trace.
    fn go_on(&mut self) -> Step<()> {
        if self.flow.protocol != Protocol::Tcp {
            return Ok(());
        }
        self.direction = Direction::Forward;
        self.forwarders.clear();
        self.inspecting.clear();
        self.gateway_connections.clear();
        self.last_pass = None;
        let (told, unknown, assumed) = (self.hops.len(), self.unknown.len(), self.assumed.len());
        let gone_on = self.send().and_then(|start| self.follow(start)).map(|_| ());
        let last = self.hops.len().saturating_sub(1);
        match gone_on {
            Ok(()) => {
                self.hops.truncate(told);
                self.unknown.truncate(unknown);
                self.assumed.truncate(assumed);
            }
            Err(_) => {
                self.hops.drain(told..last.max(told));
                if let Some(hop) = self.hops.last_mut() {
                    hop.detail = format!("the connection is made, and then: {}", hop.detail);
                }
                // Whoever is told of a packet in the middle of a connection has waited for an answer until then.
                self.refused = false;
            }
        }
        gone_on
    }

    /// Follows another packet for a while, of which the trace says nothing.
    fn aside<T>(&mut self, walk: impl FnOnce(&mut Self) -> T) -> T {
        let (hops, unknown, assumed) = (self.hops.len(), self.unknown.len(), self.assumed.len());
        let (direction, subject, cause, circling) = (self.direction, self.subject.clone(), self.cause, self.circling);
        let walked = walk(self);
        self.hops.truncate(hops);
        self.unknown.truncate(unknown);
        self.assumed.truncate(assumed);
        (self.direction, self.subject, self.cause, self.circling) = (direction, subject, cause, circling);
        walked
    }

    fn follow(&mut self, start: Place<'a>) -> Step<(End<'a>, Packet)> {
        let mut place = start;
        loop {
            self.subject = subject_of(&place);
            place = match place {
                Place::Leaving { interface, packet } => self.leave(interface, packet)?,
                Place::Entering { interface, packet, from } => self.enter(interface, packet, from)?,
                Place::Routing { subnet_id, vpc_id, packet, interface } => {
                    self.route(subnet_id, vpc_id, packet, interface)?
                }
                Place::Inbound { internet_gateway_id, vpc_id, packet } => {
                    self.come_in(internet_gateway_id, vpc_id, packet)?
                }
                Place::Arrived { at, packet } => return Ok((at, packet)),
            };
        }
    }

    fn arrival_hop(&mut self, end: End<'_>, packet: &Packet) {
        let seen = format!("{} is reached, and sees the packet come from {}", packet.destination, packet.source);
        let (component, id) = match end {
            End::Instance(interface) => (Component::Instance, interface.instance_id().map(ResourceId::from)),
            End::Service(interface) => {
                (Component::NetworkInterface, Some(ResourceId::from(&interface.network_interface_id)))
            }
            End::Internet(..) => (Component::Internet, None),
            // The hops of these already say that the packet is there.
            End::Beyond(_) | End::Amazon => return,
        };
        self.hop(component, id, Decision::Received, seen, Vec::new());
    }

    /// The reply is at an end: the sender's, or a wrong one.
    fn receive_reply(&mut self, end: End<'_>, packet: &Packet) -> Step<()> {
        let at = match end {
            End::Instance(interface) => interface.instance_id(),
            _ => None,
        };
        if at == Some(&self.flow.instance_id) {
            let detail = format!("{} receives the reply from {}", self.flow.instance_id, packet.source);
            let id = Some(ResourceId::from(&self.flow.instance_id));
            self.hop(Component::Instance, id, Decision::Received, detail, Vec::new());
            return Ok(());
        }
        let detail = format!("the reply to {} ends here and not at {}", packet.destination, self.flow.instance_id);
        let id = at.map(ResourceId::from);
        Err(self.deny(Component::Instance, id, Code::HostNoReturnRoute, detail, Vec::new()))
    }

    fn hop(
        &mut self,
        component: Component,
        resource_id: Option<ResourceId>,
        decision: Decision,
        detail: String,
        evidence: Vec<Evidence>,
    ) {
        let direction = self.direction;
        self.hops.push(Hop { component, resource_id, direction, decision, detail, evidence, code: None });
    }

    /// The hop that drops the packet, for a cause that is one of several with its code.
    fn deny_because(
        &mut self,
        cause: Cause,
        component: Component,
        resource_id: Option<ResourceId>,
        detail: String,
        evidence: Vec<Evidence>,
    ) -> Stop {
        let stop = self.deny(component, resource_id, cause.code(), detail, evidence);
        self.cause = Some(cause);
        stop
    }

    /// The hop that drops the packet.
    fn deny(
        &mut self,
        component: Component,
        resource_id: Option<ResourceId>,
        code: Code,
        detail: String,
        evidence: Vec<Evidence>,
    ) -> Stop {
        if let Some(pass) = &self.last_pass {
            self.subject.out_device = Some(pass.device.clone());
            if code.as_str().starts_with("HOST_") {
                self.subject.instance_id = Some(pass.instance_id.clone());
            }
        }
        if let Some(id) = &resource_id {
            self.subject.name(id);
        }
        self.cause = Cause::ALL.iter().find(|cause| cause.code() == code).copied();
        self.hop(component, resource_id, Decision::Denied, detail, evidence);
        if let Some(hop) = self.hops.last_mut() {
            hop.code = Some(code);
        }
        Stop::Dropped
    }

    /// The hop at which the walk cannot go on.
    fn cannot_tell(&mut self, component: Component, resource_id: Option<ResourceId>, unknown: Unknown) -> Stop {
        let detail = format!("cannot tell: {unknown}");
        self.hop(component, resource_id, Decision::Unknown, detail, Vec::new());
        self.unknown.push(unknown);
        Stop::Unknown
    }

    /// A filter that is not known: the walk ends, or goes on as if it let the packet pass.
    fn filter_unknown(&mut self, component: Component, resource_id: Option<ResourceId>, unknown: Unknown) -> Step<()> {
        let assume = self.assume.then(|| unknown.clone());
        let stop = self.cannot_tell(component, resource_id, unknown);
        match assume {
            Some(unknown) => {
                self.assumed.push(unknown);
                Ok(())
            }
            None => Err(stop),
        }
    }

    /// A value that must be known to go on.
    fn need<T>(
        &mut self,
        component: Component,
        resource_id: Option<ResourceId>,
        value: Result<T, impl std::borrow::Borrow<Unknown>>,
    ) -> Step<T> {
        value.map_err(|unknown| self.cannot_tell(component, resource_id, unknown.borrow().clone()))
    }

    /// `i-… (name)`.
    fn called(&self, id: &InstanceId) -> String {
        let name = self.network.instances.shown().get(id.as_str()).and_then(|instance| instance.tags.name());
        name.map_or_else(|| id.to_string(), |name| format!("{id} ({name})"))
    }
}

/// What a place is about.
fn subject_of(place: &Place<'_>) -> Subject {
    let (interface, packet) = match place {
        Place::Leaving { interface, packet } | Place::Entering { interface, packet, .. } => (Some(*interface), packet),
        Place::Routing { interface, packet, .. } => (*interface, packet),
        Place::Inbound { packet, .. } | Place::Arrived { packet, .. } => (None, packet),
    };
    let (subnet_id, vpc_id) = match place {
        Place::Routing { subnet_id, vpc_id, .. } => (Some(*subnet_id), Some(*vpc_id)),
        Place::Inbound { vpc_id, .. } => (None, Some(*vpc_id)),
        _ => (interface.map(|i| &i.subnet_id), interface.map(|i| &i.vpc_id)),
    };
    Subject {
        packet: Some(packet.dropped()),
        subnet_id: subnet_id.cloned(),
        vpc_id: vpc_id.cloned(),
        network_interface_id: interface.map(|interface| interface.network_interface_id.clone()),
        instance_id: interface.and_then(NetworkInterface::instance_id).cloned(),
        ..Subject::default()
    }
}
