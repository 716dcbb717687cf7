//! A subnet's route table, and what its routes lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::gateway::carries_nothing;
use super::{End, Place, Step, Stop, Walker, evidence};
use crate::model::{
    AclDirection, InstanceId, InstanceState, InterfaceStatus, InternetGateway, NatGatewayState, NetworkInterface,
    NetworkInterfaceId, ResourceId, Route, RouteState, RouteTable, RouteTarget, SubnetId, Unknown, VpcId,
};
use crate::reach::flow::Packet;
use crate::reach::host::Told;
use crate::reach::routing::{Chosen, choose, edited_but_not_applied, interface_with_address, outer};
use crate::reach::{Code, Component, Decision, Direction, Evidence};

/// Where a packet is routed from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) subnet_id: &'a SubnetId,
    pub(super) vpc_id: &'a VpcId,
    /// The interface that it left by. `None` for a NAT gateway's.
    pub(super) interface: Option<&'a NetworkInterface>,
    pub(super) table: &'a RouteTable,
    pub(super) chosen: Chosen<'a>,
}

impl<'a> Walker<'a> {
    /// The subnet's table decides where a packet goes next.
    pub(super) fn route(
        &mut self,
        subnet_id: &'a SubnetId,
        vpc_id: &'a VpcId,
        packet: Packet,
        interface: Option<&'a NetworkInterface>,
    ) -> Step<Place<'a>> {
        let found = self.need(Component::RouteTable, None, self.network.route_table_of(subnet_id, vpc_id))?;
        let Some(table) = found else {
            let reason = "DescribeRouteTables shows neither an associated nor a main table";
            let unknown = Unknown::new(format!("route table of {subnet_id}"), reason);
            return Err(self.cannot_tell(Component::RouteTable, None, unknown));
        };
        let resource = Some(ResourceId::from(&table.route_table_id));
        let chosen = choose(self.network, table, packet.destination);
        let chosen = self.need(Component::RouteTable, resource.clone(), chosen)?;
        let Some(chosen) = chosen else {
            return Err(self.no_route(subnet_id, vpc_id, &packet, interface, table));
        };
        let from = From { subnet_id, vpc_id, interface, table, chosen };
        self.subject.route_table_id = Some(table.route_table_id.clone());
        self.subject.destination = Some(chosen.route.destination.clone());
        if chosen.route.state == RouteState::Blackhole {
            return Err(self.blackhole(&from, &packet));
        }
        if let RouteState::Other(state) = &chosen.route.state {
            let what =
                format!("whether the route for {} of {} takes packets", chosen.route.destination, table.route_table_id);
            let unknown = Unknown::new(what, format!("State = {state}, which natdeck does not know"));
            return Err(self.cannot_tell(Component::RouteTable, resource, unknown));
        }
        let detail = format!(
            "{} sends {} to {} by its route for {}",
            table.route_table_id, packet.destination, chosen.route.target, chosen.route.destination
        );
        let evidence = self.route_evidence(&from);
        self.hop(Component::RouteTable, resource, Decision::Routed, detail, evidence);
        self.reach_target(&from, packet)
    }

    fn route_evidence(&self, from: &From<'_>) -> Vec<Evidence> {
        let mut evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
        let local = from.chosen.route.target == RouteTarget::Local;
        if let Some(passed_over) = from.chosen.passed_over.filter(|_| !local) {
            evidence.push(evidence::route(self.network, from.table, passed_over));
        }
        evidence
    }

    fn reach_target(&mut self, from: &From<'a>, packet: Packet) -> Step<Place<'a>> {
        match &from.chosen.route.target {
            RouteTarget::Local => self.reach_local(from, packet),
            RouteTarget::NetworkInterface { network_interface_id, .. } => {
                self.reach_interface(from, network_interface_id, packet)
            }
            RouteTarget::Instance(id) => self.reach_instance(from, id, packet),
            RouteTarget::InternetGateway(id) => {
                self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
                self.out_by_internet_gateway(from, id, packet)
            }
            RouteTarget::NatGateway(id) => self.enter_nat_gateway(from, id, packet),
            RouteTarget::EgressOnlyInternetGateway(id) => {
                self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
                self.out_by_egress_only_gateway(from, id, packet)
            }
            RouteTarget::GatewayEndpoint(id) => {
                self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
                self.enter_gateway_endpoint(from, id, packet)
            }
            RouteTarget::VpcPeeringConnection(id) => {
                self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
                Err(self.enter_peering(from, id, &packet))
            }
            target => {
                self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
                let component = match target {
                    RouteTarget::TransitGateway(_) => Component::TransitGateway,
                    RouteTarget::VirtualPrivateGateway(_) => Component::VirtualPrivateGateway,
                    _ => Component::OtherTarget,
                };
                let reason = format!("{target} leads beyond what natdeck can see");
                let unknown = Unknown::new(format!("the way of {packet}"), reason);
                Err(self.cannot_tell(component, Some(ResourceId(target.to_string())), unknown))
            }
        }
    }

    fn reach_local(&mut self, from: &From<'a>, packet: Packet) -> Step<Place<'a>> {
        let found = interface_with_address(self.network, from.vpc_id, packet.destination);
        let found = self.need(Component::NetworkInterface, None, found)?;
        let Some(interface) = found else {
            let detail = format!("nothing in {} has the address {}", from.vpc_id, packet.destination);
            let text = format!("no interface with PrivateIpAddress = {}", packet.destination);
            let at = self.network.network_interfaces.observed_at();
            let evidence = vec![evidence::call("DescribeNetworkInterfaces", "", text, at)];
            let resource = Some(ResourceId::from(from.vpc_id));
            return Err(self.deny(Component::NetworkInterface, resource, Code::NoSuchAddress, detail, evidence));
        };
        self.cross(from, interface, packet)
    }

    /// From one interface to another: an ACL only where the subnet's edge is crossed.
    fn cross(&mut self, from: &From<'a>, to: &'a NetworkInterface, packet: Packet) -> Step<Place<'a>> {
        if &to.subnet_id != from.subnet_id {
            self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
        }
        Ok(Place::Entering { interface: to, packet, from: Some(from.subnet_id) })
    }

    fn reach_interface(&mut self, from: &From<'a>, id: &'a NetworkInterfaceId, packet: Packet) -> Step<Place<'a>> {
        let resource = Some(ResourceId::from(id));
        let found = self.network.network_interfaces.get(id);
        let found = self.need(Component::NetworkInterface, resource.clone(), found)?;
        let Some(interface) = found else {
            let unknown = Unknown::new(format!("network interface {id}"), "DescribeNetworkInterfaces does not show it");
            return Err(self.cannot_tell(Component::NetworkInterface, resource, unknown));
        };
        let sender = from.interface.and_then(NetworkInterface::instance_id);
        let back = interface.instance_id().is_some_and(|id| sender == Some(id) || self.forwarders.contains(&id));
        if back && !self.circling {
            let refused = self.direction == Direction::Forward && self.dies_of_old_age(from, interface, packet);
            let stop = self.not_public(from);
            self.refused = refused;
            return Err(stop);
        }
        self.cross(from, interface, packet)
    }

    /// Whether a packet that comes back to a host goes round until its time to live runs out, and the sender hears of
    /// it. On its way something else may drop it.
    fn dies_of_old_age(&mut self, from: &From<'a>, interface: &'a NetworkInterface, packet: Packet) -> bool {
        let end = self.aside(|walker| {
            walker.circling = true;
            walker.cross(from, interface, packet).and_then(|place| walker.follow(place))
        });
        match (end, self.circled.take()) {
            (Err(Stop::Dropped), Some((id, packet))) => self.is_told(id, &packet, Told::Icmp),
            // A drop on the way round may have been told as well.
            (Err(Stop::Dropped), None) => self.refused,
            _ => false,
        }
    }

    fn reach_instance(&mut self, from: &From<'a>, id: &'a InstanceId, packet: Packet) -> Step<Place<'a>> {
        let resource = Some(ResourceId::from(id));
        let interfaces = self.need(Component::Instance, resource.clone(), self.network.interfaces_of(id))?;
        match interfaces.as_slice() {
            [only] => self.reach_interface(from, &only.network_interface_id, packet),
            all => {
                let reason = format!("the route names the instance, which has {} interfaces", all.len());
                let unknown = Unknown::new(format!("by which interface {id} gets the packet"), reason);
                Err(self.cannot_tell(Component::Instance, resource, unknown))
            }
        }
    }

    /// A peering connection carries packets to addresses of the peer VPC and nothing else: a way out of the peer VPC
    /// cannot be shared ("Unsupported VPC peering configurations", edge to edge routing).
    fn enter_peering(&mut self, from: &From<'_>, id: &str, packet: &Packet) -> Stop {
        let resource = Some(ResourceId(id.to_owned()));
        let component = Component::VpcPeeringConnection;
        if is_public(packet.destination) {
            let code = Code::PcxRequiresAddressInVpcCidr;
            let detail = format!("{id} carries only packets to the peer VPC, and {} is outside", packet.destination);
            let evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
            return self.deny(component, resource, code, detail, evidence);
        }
        let reason = format!("{id} leads beyond what natdeck can see");
        self.cannot_tell(component, resource, Unknown::new(format!("the way of {packet}"), reason))
    }

    fn no_route(
        &mut self,
        subnet_id: &SubnetId,
        vpc_id: &VpcId,
        packet: &Packet,
        interface: Option<&NetworkInterface>,
        table: &RouteTable,
    ) -> Stop {
        let id = &table.route_table_id;
        let mut evidence = vec![evidence::routes(self.network, table)];
        let mut detail = format!("{id} has no route to {}", packet.destination);
        let code = if self.forwarded_out() {
            self.public_elsewhere(interface, &mut detail, &mut evidence)
        } else if let Some(edited) = edited_but_not_applied(self.network, subnet_id, vpc_id) {
            self.edited(subnet_id, table, edited, &mut detail, &mut evidence)
        } else {
            Code::NoRouteToDestination
        };
        self.deny(Component::RouteTable, Some(ResourceId::from(id)), code, detail, evidence)
    }

    /// Whether a NAT has handled the packet in this direction, so that the table is the NAT's own.
    pub(super) fn forwarded_out(&self) -> bool {
        self.direction == Direction::Forward && (!self.forwarders.is_empty() || !self.gateway_connections.is_empty())
    }

    fn edited(
        &self,
        subnet_id: &SubnetId,
        applies: &RouteTable,
        edited: &RouteTable,
        detail: &mut String,
        evidence: &mut Vec<Evidence>,
    ) -> Code {
        evidence.push(evidence::associations(self.network, applies));
        evidence.push(evidence::associations(self.network, edited));
        *detail = format!(
            "{detail}: {subnet_id} has no association, so the main table {} applies and not {}",
            applies.route_table_id, edited.route_table_id
        );
        Code::MainTableApplies
    }

    /// [`Code::MainTableApplies`] when that is why a client's packet took the wrong route.
    pub(super) fn main_table_applies(
        &self,
        from: &From<'_>,
        detail: &mut String,
        evidence: &mut Vec<Evidence>,
    ) -> Option<Code> {
        if self.forwarded_out() || self.direction == Direction::Reply {
            return None;
        }
        let edited = edited_but_not_applied(self.network, from.subnet_id, from.vpc_id)?;
        Some(self.edited(from.subnet_id, from.table, edited, detail, evidence))
    }

    /// A NAT's packet does not come out: because it left by the wrong interface, when another would have led to an
    /// internet gateway or holds the NAT's public address, or because the NAT's subnet is not public.
    fn public_elsewhere(
        &self,
        left_by: Option<&NetworkInterface>,
        detail: &mut String,
        evidence: &mut Vec<Evidence>,
    ) -> Code {
        let own = left_by
            .and_then(NetworkInterface::instance_id)
            .and_then(|id| self.network.interfaces_of(id).ok())
            .unwrap_or_default();
        let meant = outer(self.network, own.iter().copied());
        let meant =
            meant.filter(|one| left_by.is_none_or(|left| left.network_interface_id != one.network_interface_id));
        let which = meant.and_then(|one| match one.public_ip() {
            Some(address) => Some(format!("{} holds the NAT's public address {address}", one.network_interface_id)),
            None => {
                let table = self.network.route_table_of(&one.subnet_id, &one.vpc_id).ok().flatten();
                table.filter(|table| table.is_public())?;
                Some(format!("{} leads to the internet", one.network_interface_id))
            }
        });
        match which {
            Some(which) => {
                if let Some(pass) = &self.last_pass {
                    evidence.extend(evidence::lines(pass.lines.clone()));
                }
                *detail = format!("{detail}; the host sends it by the wrong interface: {which}");
                Code::HostDefaultRouteWrong
            }
            None => Code::NatSubnetNotPublic,
        }
    }

    /// The NAT's own table sends the packet back to the NAT.
    pub(super) fn not_public(&mut self, from: &From<'_>) -> Stop {
        let id = &from.table.route_table_id;
        let mut evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
        let mut detail = format!(
            "{id} sends the NAT's packet to {}, where it came from, and not to an internet gateway",
            from.chosen.route.target
        );
        let code = self.public_elsewhere(from.interface, &mut detail, &mut evidence);
        self.deny(Component::RouteTable, Some(ResourceId::from(id)), code, detail, evidence)
    }

    /// A blackhole route drops. Where its target shows why, that is the cause.
    fn blackhole(&mut self, from: &From<'a>, packet: &Packet) -> Stop {
        let id = &from.table.route_table_id;
        let target = &from.chosen.route.target;
        let mut evidence = self.route_evidence(from);
        let mut detail = format!(
            "{id} drops {}: its route for {} leads to {target} and is a blackhole",
            packet.destination, from.chosen.route.destination
        );
        let resource = Some(ResourceId::from(id));
        if self.forwarded_out() {
            let code = match self.why_blackhole(from.chosen.route, from.vpc_id) {
                Some(why) if why.code == Code::IgwNotAttached => {
                    evidence.push(why.evidence);
                    Code::IgwNotAttached
                }
                // Only a gateway that is gone or detached makes a blackhole of its route, seen or not.
                None if self.is_unseen_gateway(target) => Code::IgwNotAttached,
                _ => self.public_elsewhere(from.interface, &mut detail, &mut evidence),
            };
            return self.deny(Component::RouteTable, resource, code, detail, evidence);
        }
        if from.chosen.passed_over.is_some() {
            detail = format!("{detail}; without it the default route would take the packet");
            return self.deny(Component::RouteTable, resource, Code::MoreSpecificRoute, detail, evidence);
        }
        if let Some(code) = self.main_table_applies(from, &mut detail, &mut evidence) {
            return self.deny(Component::RouteTable, resource, code, detail, evidence);
        }
        let Some(why) = self.why_blackhole(from.chosen.route, from.vpc_id) else {
            return self.deny(Component::RouteTable, resource, Code::BlackholeRoute, detail, evidence);
        };
        let route = &from.chosen.route.destination;
        let sends = format!("{id} sends {} to {target} by its route for {route}, a blackhole", packet.destination);
        self.hop(Component::RouteTable, resource, Decision::Routed, sends, evidence.clone());
        evidence.insert(0, why.evidence);
        self.deny(why.component, Some(why.resource), why.code, why.detail, evidence)
    }

    fn is_unseen_gateway(&self, target: &RouteTarget) -> bool {
        matches!(target, RouteTarget::InternetGateway(id) if self.network.internet_gateways.get(id).is_err())
    }

    fn why_blackhole(&self, route: &Route, vpc_id: &VpcId) -> Option<Why> {
        match &route.target {
            RouteTarget::NetworkInterface { network_interface_id, .. } => {
                let interface = self.network.network_interfaces.get(network_interface_id).ok().flatten()?;
                let status = &interface.status;
                if *status == InterfaceStatus::Available || interface.attachment.is_none() {
                    return Some(Why {
                        component: Component::NetworkInterface,
                        resource: ResourceId::from(network_interface_id),
                        code: Code::EniNotAttached,
                        detail: format!("{network_interface_id} is not attached to an instance (Status = {status})"),
                        evidence: evidence::interface(self.network, interface, format!("Status = {status}")),
                    });
                }
                self.why_stopped(interface.instance_id()?)
            }
            RouteTarget::Instance(id) => self.why_stopped(id),
            RouteTarget::InternetGateway(id) => {
                let gateway = self.network.internet_gateways.get(id).ok()?;
                if gateway.is_some_and(|gateway| gateway.is_attached_to(vpc_id)) {
                    return None;
                }
                let at = self.network.internet_gateways.observed_at();
                Some(Why {
                    component: Component::InternetGateway,
                    resource: ResourceId::from(id),
                    code: Code::IgwNotAttached,
                    detail: format!("{id} is not attached to {vpc_id}"),
                    evidence: evidence::call("DescribeInternetGateways", id.as_str(), shown_attachments(gateway), at),
                })
            }
            RouteTarget::NatGateway(id) => {
                // Gone for an hour, and it is not described any more: then the route is all there is to see.
                let gateway = self.network.nat_gateways.get(id).ok().flatten()?;
                (gateway.state != NatGatewayState::Available).then(|| Why {
                    component: Component::NatGateway,
                    resource: ResourceId::from(id),
                    code: Code::NatGatewayNotAvailable,
                    detail: carries_nothing(gateway),
                    evidence: evidence::nat_gateway(self.network, gateway),
                })
            }
            _ => None,
        }
    }

    fn why_stopped(&self, id: &InstanceId) -> Option<Why> {
        let instance = self.network.instances.get(id).ok().flatten()?;
        (instance.state != InstanceState::Running).then(|| Why {
            component: Component::Instance,
            resource: ResourceId::from(id),
            code: Code::NatInstanceStopped,
            detail: format!("{} is {} and forwards nothing", self.called(id), instance.state),
            evidence: evidence::instance(self.network, id.as_str(), format!("State = {}", instance.state)),
        })
    }

    /// What answers inside every VPC without being routed or filtered by groups and ACLs: the resolver at the base of
    /// the VPC's first range plus two, and the link-local services; over IPv6 they are in `fd00:ec2::/32` (VPC user
    /// guide, "Amazon DNS server").
    pub(super) fn amazon_service(&mut self, vpc_id: &'a VpcId, packet: &Packet) -> Step<Option<Place<'a>>> {
        let destination = packet.destination;
        let vpc = self.network.vpcs.get(vpc_id).ok().flatten();
        let (link_local, to_resolver) = match destination {
            IpAddr::V4(v4) => {
                let resolver = vpc.and_then(|vpc| vpc.cidr_blocks.first()).map(|net| u32::from(net.network()) + 2);
                let to_resolver = resolver == Some(u32::from(v4)) || v4 == Ipv4Addr::new(169, 254, 169, 253);
                (v4.octets().starts_with(&[169, 254, 169]), to_resolver)
            }
            IpAddr::V6(v6) => {
                let amazon = v6.segments().starts_with(&[0xfd00, 0xec2, 0, 0, 0, 0, 0]);
                (amazon, v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253))
            }
        };
        if !link_local && !to_resolver {
            return Ok(None);
        }
        if to_resolver {
            let resource = Some(ResourceId::from(vpc_id));
            match vpc.and_then(|vpc| vpc.dns_support) {
                Some(true) => {}
                Some(false) => {
                    let detail = format!("the resolver of {vpc_id} is switched off");
                    let at = self.network.vpcs.observed_at();
                    let text = "EnableDnsSupport = false";
                    let evidence = vec![evidence::call("DescribeVpcAttribute", vpc_id.as_str(), text, at)];
                    let code = Code::ClientDns;
                    return Err(self.deny(Component::AmazonService, resource, code, detail, evidence));
                }
                None => {
                    let unknown = Unknown::new(format!("EnableDnsSupport of {vpc_id}"), "it could not be read");
                    return Err(self.cannot_tell(Component::AmazonService, resource, unknown));
                }
            }
        }
        let detail = format!("{destination} answers inside every VPC; groups, ACLs and routes do not apply to it");
        self.hop(Component::AmazonService, None, Decision::Received, detail, Vec::new());
        Ok(Some(Place::Arrived { at: End::Amazon, packet: *packet }))
    }
}

/// Why a route is a blackhole.
struct Why {
    component: Component,
    resource: ResourceId,
    code: Code,
    detail: String,
    evidence: Evidence,
}

/// `Attachments[]` of an internet gateway.
pub(super) fn shown_attachments(gateway: Option<&InternetGateway>) -> String {
    let Some(gateway) = gateway else {
        return "InternetGateways[] = []".to_owned();
    };
    let all: Vec<String> =
        gateway.attachments.iter().map(|a| format!("VpcId = {}, State = {}", a.vpc_id, a.state)).collect();
    format!("Attachments[] = [{}]", all.join("; "))
}

/// Whether an address is out on the internet, and surely not in a private network.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared)
        }
        IpAddr::V6(v6) => (v6.segments()[0] & 0xe000) == 0x2000,
    }
}
