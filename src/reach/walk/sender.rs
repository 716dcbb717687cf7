//! Where a walk begins: the instance that sends, and the end that answers.

use std::net::IpAddr;

use super::{End, Place, Step, Stop, Walker, evidence};
use crate::model::{InstanceState, NetworkInterface, ResourceId, Unknown};
use crate::reach::flow::Packet;
use crate::reach::host::{self, Outcome};
use crate::reach::routing::has_address;
use crate::reach::{Code, Component, Decision};

impl<'a> Walker<'a> {
    /// The first packet leaves its instance.
    pub(super) fn send(&mut self) -> Step<Place<'a>> {
        let id = &self.flow.instance_id;
        let resource = Some(ResourceId::from(id));
        let found = self.need(Component::Instance, resource.clone(), self.network.instances.get(id))?;
        let Some(instance) = found else {
            let unknown = Unknown::new(format!("instance {id}"), "DescribeInstances does not show it");
            return Err(self.cannot_tell(Component::Instance, resource, unknown));
        };
        if instance.state != InstanceState::Running {
            let evidence = vec![evidence::instance(self.network, id.as_str(), format!("State = {}", instance.state))];
            let detail = format!("{} is {} and sends nothing", self.called(id), instance.state);
            return Err(self.deny(Component::Instance, resource, Code::ClientNotRunning, detail, evidence));
        }
        let interfaces = self.need(Component::Instance, resource.clone(), self.network.interfaces_of(id))?;
        let bound = match &self.flow.interface_id {
            None => None,
            Some(wanted) => match interfaces.iter().find(|i| &i.network_interface_id == wanted) {
                Some(interface) => Some(*interface),
                None => {
                    let detail = format!("{wanted} is not attached to {}", self.called(id));
                    let resource = Some(ResourceId::from(wanted));
                    return Err(self.deny(
                        Component::NetworkInterface,
                        resource,
                        Code::EniNotAttached,
                        detail,
                        Vec::new(),
                    ));
                }
            },
        };
        let Some(first) = bound.or(interfaces.first().copied()) else {
            let detail = format!("no network interface is attached to {}", self.called(id));
            return Err(self.deny(Component::Instance, resource, Code::EniNotAttached, detail, Vec::new()));
        };
        if !interfaces.iter().any(|interface| address_for(interface, self.flow.destination).is_some()) {
            return Err(self.no_address_of_family(first));
        }
        match self.hosts.host(id) {
            Ok(host) => self.send_from_known(host, &interfaces, bound),
            Err(unknown) if interfaces.len() > 1 && bound.is_none() => {
                let reason = format!("{}; it has several interfaces and its routes choose one", unknown.reason);
                let unknown = Unknown::new(unknown.what, reason);
                Err(self.cannot_tell(Component::Instance, resource, unknown))
            }
            Err(_) => match address_for(first, self.flow.destination) {
                Some(source) => {
                    let packet = Packet::first(self.flow, source);
                    self.sent_hop(first, &packet, Vec::new());
                    Ok(Place::Leaving { interface: first, packet })
                }
                None => Err(self.no_address_of_family(first)),
            },
        }
    }

    fn send_from_known(
        &mut self,
        host: &'a crate::model::host::Host,
        interfaces: &[&'a NetworkInterface],
        bound: Option<&'a NetworkInterface>,
    ) -> Step<Place<'a>> {
        let id = &self.flow.instance_id;
        let unbound = match self.flow.destination {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let template = Packet::first(self.flow, unbound);
        let source = match bound.and_then(|interface| address_for(interface, self.flow.destination)) {
            Some(source) => source,
            None => match host::source_for(host, &template) {
                Ok(source) => source,
                Err(stopped) => return Err(self.host_stops(id, Component::Instance, &template, stopped)),
            },
        };
        let packet = Packet { source, ..template };
        let passage = match host::send(host, packet, self.connections_of(id)) {
            Ok(passage) => passage,
            Err(stopped) => return Err(self.host_stops(id, Component::Instance, &packet, stopped)),
        };
        match passage.outcome {
            Outcome::Local => {
                let interface = interfaces.iter().find(|i| has_address(i, passage.packet.destination));
                let Some(interface) = interface.or(interfaces.first()) else {
                    return Err(Stop::Unknown);
                };
                Ok(Place::Arrived { at: End::Instance(interface), packet: passage.packet })
            }
            Outcome::Leaves { device } => {
                let interface = self.interface_of_device(id, host, &device)?;
                self.sent_hop(interface, &passage.packet, evidence::lines(passage.lines));
                Ok(Place::Leaving { interface, packet: passage.packet })
            }
        }
    }

    fn sent_hop(&mut self, interface: &NetworkInterface, packet: &Packet, mut evidence: Vec<crate::reach::Evidence>) {
        let id = &self.flow.instance_id;
        evidence.insert(0, evidence::instance(self.network, id.as_str(), "State = running"));
        let detail = format!("{} sends {packet} by {}", self.called(id), interface.network_interface_id);
        self.hop(Component::Instance, Some(ResourceId::from(id)), Decision::Sent, detail, evidence);
    }

    /// The sender has no address of the destination's family: its kernel refuses at once.
    fn no_address_of_family(&mut self, interface: &NetworkInterface) -> Stop {
        let id = &self.flow.instance_id;
        let ipv4 = self.flow.destination.is_ipv4();
        let (code, field, family) = if ipv4 {
            (Code::Ipv6OnlyClient, "PrivateIpAddress absent", "IPv4")
        } else {
            (Code::NoRouteToDestination, "Ipv6Addresses = []", "IPv6")
        };
        let detail = format!("{} has no {family} address to reach {} from", self.called(id), self.flow.destination);
        let evidence = vec![evidence::interface(self.network, interface, field)];
        self.refused = true;
        self.deny(Component::Instance, Some(ResourceId::from(id)), code, detail, evidence)
    }

    /// The end that was reached sends its answer.
    pub(super) fn answer(&mut self, end: End<'a>, reply: Packet) -> Step<Place<'a>> {
        match end {
            End::Internet(internet_gateway_id, vpc_id) => {
                Ok(Place::Inbound { internet_gateway_id, vpc_id, packet: reply })
            }
            End::Beyond(vpc_id) => self.come_back(vpc_id, reply),
            End::Service(interface) => Ok(Place::Leaving { interface, packet: reply }),
            End::Amazon => Ok(Place::Arrived { at: end, packet: reply }),
            End::Instance(interface) => {
                let Some(id) = interface.instance_id() else {
                    return Ok(Place::Leaving { interface, packet: reply });
                };
                let Ok(host) = self.hosts.host(id) else {
                    return Ok(Place::Leaving { interface, packet: reply });
                };
                let passage = match host::send(host, reply, self.connections_of(id)) {
                    Ok(passage) => passage,
                    Err(stopped) => return Err(self.host_stops(id, Component::Instance, &reply, stopped)),
                };
                match passage.outcome {
                    Outcome::Local => Ok(Place::Arrived { at: end, packet: passage.packet }),
                    Outcome::Leaves { device } => {
                        let interface = self.interface_of_device(id, host, &device)?;
                        Ok(Place::Leaving { interface, packet: passage.packet })
                    }
                }
            }
        }
    }
}

/// The address by which an interface speaks to a destination: of the same family.
fn address_for(interface: &NetworkInterface, destination: IpAddr) -> Option<IpAddr> {
    match destination {
        IpAddr::V4(_) => interface.private_ip.map(IpAddr::V4),
        IpAddr::V6(_) => interface.ipv6_addresses.first().copied().map(IpAddr::V6),
    }
}
