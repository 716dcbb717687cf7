//! The ways out that AWS runs: internet gateway, egress-only gateway, NAT gateway, gateway endpoint; and back in.

use std::net::{IpAddr, Ipv4Addr};

use super::fabric::{From, is_public, shown_attachments};
use super::{End, Place, Step, Stop, Walker, evidence};
use crate::model::{
    AclDirection, EgressOnlyInternetGatewayId, EndpointKind, EndpointState, InternetGatewayId, NatGateway,
    NatGatewayId, NatGatewayState, NetworkInterface, NetworkInterfaceId, ResourceId, RouteTarget, Unknown, VpcEndpoint,
    VpcId,
};
use crate::reach::flow::Packet;
use crate::reach::nat64;
use crate::reach::routing::{choose, has_address, interface_with_address};
use crate::reach::{Code, Component, Decision};

impl<'a> Walker<'a> {
    fn must_be_attached(&mut self, id: &InternetGatewayId, vpc_id: &VpcId) -> Step<()> {
        let resource = Some(ResourceId::from(id));
        let gateway =
            self.need(Component::InternetGateway, resource.clone(), self.network.internet_gateways.get(id))?;
        if gateway.is_some_and(|gateway| gateway.is_attached_to(vpc_id)) {
            return Ok(());
        }
        let text = shown_attachments(gateway);
        let at = self.network.internet_gateways.observed_at();
        let evidence = vec![evidence::call("DescribeInternetGateways", id.as_str(), text, at)];
        let detail = format!("{id} is not attached to {vpc_id}");
        Err(self.deny(Component::InternetGateway, resource, Code::IgwNotAttached, detail, evidence))
    }

    /// Out by an internet gateway, which translates private to public addresses one to one and drops what has none.
    pub(super) fn out_by_internet_gateway(
        &mut self,
        from: &From<'a>,
        id: &'a InternetGatewayId,
        packet: Packet,
    ) -> Step<Place<'a>> {
        self.must_be_attached(id, from.vpc_id)?;
        self.must_not_be_translated(from, Component::InternetGateway, &packet)?;
        if !is_public(packet.destination) {
            // IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS and its like, in Reachability Analyzer's words.
            let detail = format!("{id} drops {packet}: the destination is a private address");
            let evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
            let resource = Some(ResourceId::from(id));
            return Err(self.deny(Component::InternetGateway, resource, Code::NoSuchAddress, detail, evidence));
        }
        self.block_public_access(id, from)?;
        let IpAddr::V4(_) = packet.source else {
            return self.out_untranslated(from, id, packet);
        };
        let owner = interface_with_address(self.network, from.vpc_id, packet.source);
        let owner = self.need(Component::PublicAddress, None, owner)?;
        let gateway = self.gateway_with_address(packet.source);
        let public = match (gateway, owner) {
            (Some(public), _) => Some(public),
            (None, Some(owner)) => self.public_address(owner, packet.source)?,
            (None, None) => None,
        };
        let Some(public) = public else {
            return Err(self.no_public_address(from, owner, &packet));
        };
        let (resource, evidence) = match owner {
            Some(owner) => (
                Some(ResourceId::from(&owner.network_interface_id)),
                vec![evidence::interface(self.network, owner, format!("Association.PublicIp = {public}"))],
            ),
            None => (None, Vec::new()),
        };
        let detail = format!("{id} translates {} to its public address {public}", packet.source);
        self.hop(Component::PublicAddress, resource, Decision::Translated, detail, evidence);
        self.internet_gateway_hop(id, from.vpc_id, format!("{id} sends the packet to the internet"));
        let packet = Packet { source: public.into(), ..packet };
        Ok(Place::Arrived { at: End::Internet(id, from.vpc_id), packet })
    }

    /// VPC Block Public Access stops internet gateways, whatever routes and filters say.
    fn block_public_access(&mut self, id: &InternetGatewayId, from: &From<'a>) -> Step<()> {
        let resource = Some(ResourceId::from(id));
        let settings = match self.network.block_public_access.known() {
            Ok(settings) => settings,
            Err(unknown) => return self.filter_unknown(Component::InternetGateway, resource, unknown.clone()),
        };
        let Some(setting) = settings.values().next() else { return Ok(()) };
        let passes = match from.interface {
            Some(_) => setting.lets_instances_out(from.vpc_id, Some(from.subnet_id)),
            None => setting.lets_nat_gateways_out(from.vpc_id, from.subnet_id),
        };
        if passes {
            return Ok(());
        }
        self.subject.subnet_id = Some(from.subnet_id.clone());
        let mode = &setting.internet_gateway_block_mode;
        let at = self.network.block_public_access.observed_at();
        let text = format!("InternetGatewayBlockMode = {mode}");
        let mut evidence = vec![evidence::call("DescribeVpcBlockPublicAccessOptions", "", text, at)];
        let held: Vec<&str> = setting.exclusions.iter().map(|exclusion| exclusion.exclusion_id.as_str()).collect();
        let text = format!("none covers {} for instances; there are [{}]", from.subnet_id, held.join(", "));
        evidence.push(evidence::call("DescribeVpcBlockPublicAccessExclusions", "", text, at));
        let detail = format!("VPC Block Public Access ({mode}) keeps {id} from taking packets of {}", from.vpc_id);
        Err(self.deny(Component::InternetGateway, resource, Code::VpcBlockPublicAccess, detail, evidence))
    }

    fn out_untranslated(&mut self, from: &From<'a>, id: &'a InternetGatewayId, packet: Packet) -> Step<Place<'a>> {
        let owner = interface_with_address(self.network, from.vpc_id, packet.source);
        let owner = self.need(Component::InternetGateway, Some(ResourceId::from(id)), owner)?;
        if owner.is_none() {
            return Err(self.no_public_address(from, None, &packet));
        }
        self.internet_gateway_hop(id, from.vpc_id, format!("{id} sends the packet to the internet"));
        Ok(Place::Arrived { at: End::Internet(id, from.vpc_id), packet })
    }

    /// The addresses of DNS64 are nowhere on the internet: only a NAT gateway knows what they stand for.
    fn must_not_be_translated(&mut self, from: &From<'a>, component: Component, packet: &Packet) -> Step<()> {
        let Some(meant) = nat64::extract(packet.destination) else { return Ok(()) };
        let target = &from.chosen.route.target;
        let detail = format!(
            "{target} drops {packet}: {} stands for {meant} (DNS64), which only a NAT gateway translates",
            packet.destination
        );
        let evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
        let resource = Some(ResourceId(target.to_string()));
        Err(self.deny(component, resource, Code::Ipv6OnlyClient, detail, evidence))
    }

    fn internet_gateway_hop(&mut self, id: &InternetGatewayId, vpc_id: &VpcId, detail: String) {
        let at = self.network.internet_gateways.observed_at();
        let text = format!("Attachments[]: VpcId = {vpc_id}");
        let evidence = vec![evidence::call("DescribeInternetGateways", id.as_str(), text, at)];
        self.hop(Component::InternetGateway, Some(ResourceId::from(id)), Decision::Routed, detail, evidence);
    }

    /// The public address of a NAT gateway's private address.
    fn gateway_with_address(&self, address: IpAddr) -> Option<Ipv4Addr> {
        let (id, ..) = self.gateway_connections.iter().find(|(_, _, after)| after.source == address)?;
        self.network.nat_gateways.get(*id).ok().flatten()?.public_ip
    }

    /// The public address of one of an interface's private addresses.
    fn public_address(&mut self, interface: &NetworkInterface, private: IpAddr) -> Step<Option<Ipv4Addr>> {
        if interface.private_ip.map(IpAddr::V4) == Some(private) {
            return Ok(interface.public_ip());
        }
        let addresses = self.need(Component::PublicAddress, None, self.network.addresses.known())?;
        let found = addresses.values().find(|address| {
            address.network_interface_id.as_ref() == Some(&interface.network_interface_id)
                && address.private_ip.map(IpAddr::V4) == Some(private)
        });
        Ok(found.map(|address| address.public_ip))
    }

    /// The internet gateway drops a source that has no public address. Why it has none is the cause.
    fn no_public_address(&mut self, from: &From<'a>, owner: Option<&NetworkInterface>, packet: &Packet) -> Stop {
        let left_by = from.interface;
        let mut detail =
            format!("{} drops {packet}: {} has no public address", from.chosen.route.target, packet.source);
        let mut evidence = Vec::new();
        let interface = owner.or(left_by);
        if let Some(interface) = interface {
            evidence.push(evidence::interface(self.network, interface, "Association absent"));
        }
        evidence.push(evidence::route(self.network, from.table, from.chosen.route));
        let resource = interface.map(|interface| ResourceId::from(&interface.network_interface_id));
        let foreign = left_by.is_some_and(|interface| !has_address(interface, packet.source));
        let code = if self.forwarded_out() && foreign {
            let (code, reason, lines) = self.why_untranslated(packet);
            evidence.extend(lines);
            detail = format!("{detail}; {reason}");
            code
        } else if !self.forwarded_out() && from.chosen.passed_over.is_some() {
            let default = from.chosen.passed_over.map(|route| route.target.to_string()).unwrap_or_default();
            evidence.extend(from.chosen.passed_over.map(|route| evidence::route(self.network, from.table, route)));
            detail = format!("{detail}; without this longer prefix the default route would lead to {default}");
            Code::MoreSpecificRoute
        } else if let Some(code) = self.main_table_applies(from, &mut detail, &mut evidence) {
            code
        } else if let Some((text, id)) = interface.and_then(|interface| self.moved_address(interface)) {
            let at = self.network.addresses.observed_at();
            evidence.insert(0, evidence::call("DescribeAddresses", &id, text, at));
            self.subject.allocation_id = Some(crate::model::AllocationId::new(id));
            Code::AddressMoved
        } else {
            Code::NoPublicAddress
        };
        self.deny(Component::PublicAddress, resource, code, detail, evidence)
    }

    /// An Elastic IP that by its tags belongs to the instance behind an interface, and is associated with something
    /// else.
    fn moved_address(&self, interface: &NetworkInterface) -> Option<(String, String)> {
        let id = interface.instance_id()?;
        let instance = self.network.instances.get(id).ok().flatten()?;
        let address = self.network.addresses.known().ok()?.values().find(|address| {
            let stack = address.tags.stack().is_some() && address.tags.stack() == instance.tags.stack();
            let name = address.tags.name().is_some() && address.tags.name() == instance.tags.name();
            let elsewhere = address.network_interface_id.is_some() || address.instance_id.is_some();
            (stack || name) && elsewhere && address.instance_id.as_ref() != Some(id)
        })?;
        let holder = address
            .instance_id
            .as_ref()
            .map(|id| format!("InstanceId = {id}"))
            .or_else(|| address.network_interface_id.as_ref().map(|eni| format!("NetworkInterfaceId = {eni}")))?;
        Some((format!("PublicIp = {}, {holder}", address.public_ip), address.allocation_id.to_string()))
    }

    /// In by an internet gateway.
    pub(super) fn come_in(&mut self, id: &'a InternetGatewayId, vpc_id: &'a VpcId, packet: Packet) -> Step<Place<'a>> {
        let resource = Some(ResourceId::from(id));
        if let Some(place) = self.back_to_nat_gateway(id, &packet)? {
            return Ok(place);
        }
        let interface = match packet.destination {
            IpAddr::V4(public) => {
                let interfaces = self.network.network_interfaces.lookup();
                let interfaces = self.need(Component::PublicAddress, resource.clone(), interfaces)?;
                let found = match interfaces.with_public_ip(public) {
                    Some(interface) => interface.private_ip.map(|private| (interface, IpAddr::V4(private))),
                    None => {
                        let addresses = self.need(Component::PublicAddress, None, self.network.addresses.known())?;
                        let address = addresses.values().find(|address| address.public_ip == public);
                        address.and_then(|address| {
                            let eni = address.network_interface_id.as_ref()?;
                            let interface = self.network.network_interfaces.shown().get(eni.as_str())?;
                            Some((interface, IpAddr::V4(address.private_ip?)))
                        })
                    }
                };
                found.map(|(interface, private)| (interface, Packet { destination: private, ..packet }))
            }
            IpAddr::V6(_) => {
                let found = interface_with_address(self.network, vpc_id, packet.destination);
                self.need(Component::InternetGateway, resource.clone(), found)?.map(|interface| (interface, packet))
            }
        };
        let Some((interface, inside)) = interface else {
            let detail = format!("nothing in {vpc_id} has the address {}", packet.destination);
            return Err(self.deny(Component::PublicAddress, resource, Code::NoSuchAddress, detail, Vec::new()));
        };
        let detail = format!("{id} brings the reply to {} ({})", inside.destination, interface.network_interface_id);
        self.internet_gateway_hop(id, vpc_id, detail);
        self.by_edge_table(id, vpc_id, &inside)?;
        Ok(Place::Entering { interface, packet: inside, from: None })
    }

    /// A table that is associated with the gateway itself leads what comes in through an appliance. Packets must have
    /// left through the same one: a subnet whose traffic is redirected cannot use a direct route to the gateway
    /// (Reachability Analyzer, `INGRESS_RTB_TRAFFIC_REDIRECTION`), and "asymmetric routing is not supported" (VPC user
    /// guide, "Gateway route tables", rules and considerations).
    fn by_edge_table(&mut self, id: &InternetGatewayId, vpc_id: &VpcId, packet: &Packet) -> Step<()> {
        let tables = self.need(Component::RouteTable, None, self.network.route_tables.lookup())?;
        let Some(table) = tables.of_gateway(id.as_str()) else { return Ok(()) };
        let resource = Some(ResourceId::from(&table.route_table_id));
        let chosen = choose(self.network, table, packet.destination);
        let chosen = self.need(Component::RouteTable, resource.clone(), chosen)?;
        let Some(route) = chosen.map(|chosen| chosen.route).filter(|route| route.target != RouteTarget::Local) else {
            return Ok(());
        };
        let target = &route.target;
        let through = match target {
            RouteTarget::GatewayEndpoint(endpoint) if self.inspected.iter().any(|id| id.as_str() == endpoint) => {
                return Ok(());
            }
            RouteTarget::NetworkInterface { network_interface_id, .. } => {
                self.passed(network_interface_id, vpc_id, packet)
            }
            _ => false,
        };
        if through {
            let what = format!("the way of the reply through {target}");
            let unknown = Unknown::new(what, "the gateway's own route table sends it through a middlebox");
            return Err(self.cannot_tell(Component::RouteTable, resource, unknown));
        }
        self.subject.destination = Some(route.destination.clone());
        let evidence = vec![evidence::route(self.network, table, route), evidence::associations(self.network, table)];
        let detail = format!(
            "{} is associated with {id} and sends what comes in for {} to {target}, which nothing passed on its way out",
            table.route_table_id, route.destination
        );
        Err(self.deny(Component::RouteTable, resource, Code::IngressRtbTrafficRedirection, detail, evidence))
    }

    /// Whether the packet went out through the instance behind an interface, or goes there in any case.
    fn passed(&self, id: &NetworkInterfaceId, vpc_id: &VpcId, packet: &Packet) -> bool {
        let of = |interface: &'a NetworkInterface| interface.instance_id();
        let holder = self.network.network_interfaces.get(id).ok().flatten().and_then(of);
        let end = interface_with_address(self.network, vpc_id, packet.destination).ok().flatten();
        end.is_some_and(|end| &end.network_interface_id == id)
            || holder.is_some_and(|holder| {
                end.and_then(of) == Some(holder) || self.entered_by.iter().any(|(passed, _)| *passed == holder)
            })
    }

    /// Back in by a way that remembers who asked: an egress-only gateway, a gateway endpoint.
    pub(super) fn come_back(&mut self, vpc_id: &'a VpcId, packet: Packet) -> Step<Place<'a>> {
        let found = interface_with_address(self.network, vpc_id, packet.destination);
        let found = self.need(Component::NetworkInterface, None, found)?;
        let Some(interface) = found else {
            let detail = format!("nothing in {vpc_id} has the address {}", packet.destination);
            let resource = Some(ResourceId::from(vpc_id));
            return Err(self.deny(Component::NetworkInterface, resource, Code::NoSuchAddress, detail, Vec::new()));
        };
        Ok(Place::Entering { interface, packet, from: None })
    }

    pub(super) fn out_by_egress_only_gateway(
        &mut self,
        from: &From<'a>,
        id: &'a EgressOnlyInternetGatewayId,
        packet: Packet,
    ) -> Step<Place<'a>> {
        let component = Component::EgressOnlyInternetGateway;
        let resource = Some(ResourceId::from(id));
        let found = self.network.egress_only_internet_gateways.get(id);
        let gateway = self.need(component, resource.clone(), found)?;
        let attached = gateway
            .is_some_and(|gateway| gateway.attachments.iter().any(|a| &a.vpc_id == from.vpc_id && a.state.is_usable()));
        let at = self.network.egress_only_internet_gateways.observed_at();
        let text = format!("Attachments[]: VpcId = {}, {}", from.vpc_id, if attached { "attached" } else { "absent" });
        let evidence = vec![evidence::call("DescribeEgressOnlyInternetGateways", id.as_str(), text, at)];
        if !attached {
            let detail = format!("{id} is not attached to {}", from.vpc_id);
            return Err(self.deny(component, resource, Code::IgwNotAttached, detail, evidence));
        }
        self.must_not_be_translated(from, component, &packet)?;
        let detail = format!("{id} sends the packet to the internet, and lets only replies back in");
        self.hop(component, resource, Decision::Routed, detail, evidence);
        let seen = format!("{} is reached, and sees the packet come from {}", packet.destination, packet.source);
        self.hop(Component::Internet, None, Decision::Received, seen, Vec::new());
        Ok(Place::Arrived { at: End::Beyond(from.vpc_id), packet })
    }

    pub(super) fn enter_gateway_endpoint(&mut self, from: &From<'a>, id: &str, packet: Packet) -> Step<Place<'a>> {
        let resource = Some(ResourceId(id.to_owned()));
        let found = self.need(Component::VpcEndpoint, resource.clone(), self.network.vpc_endpoints.get(id))?;
        let Some(endpoint) = found.filter(|endpoint| endpoint.state == EndpointState::Available) else {
            let reason = found.map_or_else(
                || "DescribeVpcEndpoints does not show it".to_owned(),
                |endpoint| format!("State = {}", endpoint.state),
            );
            let unknown = Unknown::new(format!("whether VPC endpoint {id} takes packets"), reason);
            return Err(self.cannot_tell(Component::VpcEndpoint, resource, unknown));
        };
        if endpoint.kind == EndpointKind::GatewayLoadBalancer {
            return self.through_appliances(from, endpoint, packet);
        }
        let at = self.network.vpc_endpoints.observed_at();
        let text = format!("ServiceName = {}, State = {}", endpoint.service_name, endpoint.state);
        let evidence = vec![evidence::call("DescribeVpcEndpoints", id, text, at)];
        let detail = format!("{id} takes the packet to {} without leaving AWS", endpoint.service_name);
        self.hop(Component::VpcEndpoint, resource, Decision::Received, detail, evidence);
        Ok(Place::Arrived { at: End::Beyond(from.vpc_id), packet })
    }

    /// A Gateway Load Balancer endpoint, as Network Firewall makes it too: packets go to appliances elsewhere and come
    /// back as they were, to be routed by the table of the endpoint's own subnet. What the appliances drop
    /// (`FIREWALL_RULES_RESTRICTION`, in Reachability Analyzer's words) is not seen from here.
    fn through_appliances(&mut self, from: &From<'a>, endpoint: &'a VpcEndpoint, packet: Packet) -> Step<Place<'a>> {
        let id = &endpoint.vpc_endpoint_id;
        let resource = Some(ResourceId::from(id));
        let mut subnets = endpoint.subnet_ids.iter();
        let (Some(subnet_id), None, false) = (subnets.next(), subnets.next(), self.inspecting.contains(&id)) else {
            let reason = format!("{id} has several subnets, or its own subnet leads back to it");
            let unknown = Unknown::new(format!("the way of {packet} behind {id}"), reason);
            return Err(self.cannot_tell(Component::VpcEndpoint, resource, unknown));
        };
        if subnet_id != from.subnet_id {
            self.acl(subnet_id, AclDirection::Ingress, &packet)?;
        }
        let unknown = Unknown::new(
            format!("whether what is behind {id} lets {packet} pass"),
            "it leads to firewalls or other appliances (GatewayLoadBalancer), whose rules natdeck does not see",
        );
        self.filter_unknown(Component::VpcEndpoint, resource, unknown)?;
        self.inspecting.push(id);
        self.inspected.push(id);
        let interface = from.interface;
        Ok(Place::Routing { subnet_id, vpc_id: &endpoint.vpc_id, packet, interface })
    }

    /// Into a NAT gateway and out of it, into its own subnet.
    pub(super) fn enter_nat_gateway(
        &mut self,
        from: &From<'a>,
        id: &'a NatGatewayId,
        packet: Packet,
    ) -> Step<Place<'a>> {
        let component = Component::NatGateway;
        let resource = Some(ResourceId::from(id));
        let found = self.need(component, resource.clone(), self.network.nat_gateways.get(id))?;
        let at = self.network.nat_gateways.observed_at();
        let Some(gateway) = found else {
            let unknown = Unknown::new(format!("NAT gateway {id}"), "DescribeNatGateways does not show it");
            return Err(self.cannot_tell(component, resource, unknown));
        };
        if self.gateway_connections.iter().any(|(earlier, ..)| *earlier == id) {
            return Err(self.not_public(from));
        }
        if gateway.subnet_id.as_str().is_empty() {
            let reason = "it is regional: AWS routes its packets by a table of its own, zone by zone";
            let unknown = Unknown::new(format!("the way of {packet} behind NAT gateway {id}"), reason);
            return Err(self.cannot_tell(component, resource, unknown));
        }
        if &gateway.subnet_id != from.subnet_id {
            self.acl(from.subnet_id, AclDirection::Egress, &packet)?;
            self.acl(&gateway.subnet_id, AclDirection::Ingress, &packet)?;
        }
        match gateway.state {
            NatGatewayState::Available => {}
            NatGatewayState::Pending | NatGatewayState::Failed | NatGatewayState::Deleted => {
                let evidence = vec![
                    evidence::nat_gateway(self.network, gateway),
                    evidence::route(self.network, from.table, from.chosen.route),
                ];
                let detail = carries_nothing(gateway);
                return Err(self.deny(component, resource, Code::NatGatewayNotAvailable, detail, evidence));
            }
            // One that is being deleted "may still be processing traffic" (EC2 API reference, NatGateway).
            NatGatewayState::Deleting | NatGatewayState::Other(_) => {
                let reason = format!("State = {}", gateway.state);
                let unknown = Unknown::new(format!("whether NAT gateway {id} still takes packets"), reason);
                return Err(self.cannot_tell(component, resource, unknown));
            }
        }
        let kind = format!("ConnectivityType = {}", gateway.connectivity_type);
        if gateway.connectivity_type == "private" {
            let evidence = vec![
                evidence::call("DescribeNatGateways", id.as_str(), kind, at),
                evidence::route(self.network, from.table, from.chosen.route),
            ];
            let detail = format!(
                "{id} is a private NAT gateway: it has no public address, and internet gateways drop what it sends"
            );
            return Err(self.deny(component, resource, Code::NatGatewayPrivate, detail, evidence));
        }
        let (Some(private), Some(public)) = (gateway.private_ip, gateway.public_ip) else {
            let unknown = Unknown::new(format!("addresses of NAT gateway {id}"), "DescribeNatGateways names none");
            return Err(self.cannot_tell(component, resource, unknown));
        };
        // A packet to a translated address goes on as IPv4.
        let destination = nat64::extract(packet.destination).map_or(packet.destination, IpAddr::V4);
        if destination.is_ipv6() {
            let detail = format!("{id} translates IPv6 only to 64:ff9b::/96, and {destination} is not in it");
            let evidence = vec![evidence::route(self.network, from.table, from.chosen.route)];
            return Err(self.deny(component, resource, Code::RoutedToOtherEgress, detail, evidence));
        }
        let after = Packet { source: private.into(), destination, ..packet };
        let text = format!("State = {}, {kind}, PublicIp = {public}, PrivateIp = {private}", gateway.state);
        let evidence = vec![evidence::call("DescribeNatGateways", id.as_str(), text, at)];
        let detail = format!("{id} translates {} to {private}", packet.source);
        self.hop(component, resource, Decision::Translated, detail, evidence);
        self.gateway_connections.push((id, packet, after));
        Ok(Place::Routing { subnet_id: &gateway.subnet_id, vpc_id: &gateway.vpc_id, packet: after, interface: None })
    }

    /// A reply to the public address of a NAT gateway that sent the packet.
    fn back_to_nat_gateway(&mut self, by: &InternetGatewayId, packet: &Packet) -> Step<Option<Place<'a>>> {
        for (id, before, after) in self.gateway_connections.clone() {
            let Some(gateway) = self.network.nat_gateways.get(id).ok().flatten() else {
                continue;
            };
            if gateway.public_ip.map(IpAddr::V4) != Some(packet.destination) {
                continue;
            }
            let at_gateway = Packet { destination: after.source, ..*packet };
            self.by_edge_table(by, &gateway.vpc_id, &at_gateway)?;
            self.acl(&gateway.subnet_id, AclDirection::Ingress, &at_gateway)?;
            let back = before.reply();
            let detail = format!("{id} translates {} back to {}", after.source, back.destination);
            let resource = Some(ResourceId::from(id));
            self.hop(Component::NatGateway, resource, Decision::Translated, detail, Vec::new());
            return Ok(Some(Place::Routing {
                subnet_id: &gateway.subnet_id,
                vpc_id: &gateway.vpc_id,
                packet: back,
                interface: None,
            }));
        }
        Ok(None)
    }
}

/// What a NAT gateway that is not available does with packets, and why it is not where AWS says so. One that failed
/// carries the reason (VPC user guide, "Troubleshoot NAT gateways", NAT gateway creation fails).
pub(super) fn carries_nothing(gateway: &NatGateway) -> String {
    let id = &gateway.nat_gateway_id;
    match &gateway.failure_message {
        // A part of a sentence of ours.
        Some(why) => format!("{id} is {} and takes no packets: {}", gateway.state, why.trim_end_matches('.')),
        None => format!("{id} is {} and takes no packets", gateway.state),
    }
}
