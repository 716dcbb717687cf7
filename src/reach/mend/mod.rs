//! The world as it would be if what was found were repaired, so that a walk can go on past it. Pure.
//!
//! Nothing here is a plan: a copy of the snapshot and of the hosts is edited until the packet passes, each cause once.
//! Copies share what is not edited. Some mends also find out what a repair has to name, and say so in the subject.

mod host;

use std::collections::BTreeMap;

use super::candidate::{Candidate, nat_candidate};
use super::routing::edited_but_not_applied;
use super::{Cause, Direction, Subject};
use crate::model::host::{Host, HostFacts};
use crate::model::{
    AclAction, AclDirection, AclEntry, AssociationId, AttachmentState, BlockPublicAccessExclusion, ExclusionMode,
    GatewayAttachment, InstanceId, InstanceState, InterfaceAssociation, InterfaceAttachment, InterfaceStatus, Network,
    NetworkInterface, NetworkInterfaceId, Peer, Protocol, Route, RouteDestination, RouteOrigin, RouteState, RouteTable,
    RouteTableAssociation, RouteTableId, RouteTarget, RuleDirection, SecurityGroupRule, StatusCheck, Unknown,
};

/// The snapshot and the hosts, edited.
pub(super) struct Mended<'a> {
    pub(super) network: Network,
    base: &'a dyn HostFacts,
    hosts: BTreeMap<InstanceId, Host>,
    /// Hosts that are not known and were taken to be healthy.
    pub(super) assumed: Vec<(InstanceId, Unknown)>,
}

impl HostFacts for Mended<'_> {
    fn host(&self, instance_id: &InstanceId) -> Result<&Host, Unknown> {
        match self.hosts.get(instance_id) {
            Some(host) => Ok(host),
            None => self.base.host(instance_id),
        }
    }

    fn forwards(&self, instance_id: &InstanceId) -> bool {
        self.hosts.get(instance_id).map_or_else(|| self.base.forwards(instance_id), |host| host.ip_forward)
    }
}

/// What became of a mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mending {
    Done,
    /// It would take an assumption: which of several NATs.
    Assumed,
    Cannot,
}

/// A public address that stands for one still to be allocated (RFC 5737).
const SOME_PUBLIC_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

impl<'a> Mended<'a> {
    pub(super) fn new(network: &Network, base: &'a dyn HostFacts) -> Self {
        Self { network: network.clone(), base, hosts: BTreeMap::new(), assumed: Vec::new() }
    }

    /// Takes a host that is not known to be a healthy NAT. `false`: it is known, or its interfaces are not.
    pub(super) fn assume_host(&mut self, id: &InstanceId) -> bool {
        let Err(unknown) = self.host(id).map(|_| ()) else { return false };
        let Some(host) = host::healthy(&self.network, id) else { return false };
        self.hosts.insert(id.clone(), host);
        self.assumed.push((id.clone(), unknown));
        true
    }

    /// Edits the world so that `cause` is gone.
    pub(super) fn mend(&mut self, cause: Cause, subject: &mut Subject, direction: Direction) -> Mending {
        let done = match cause {
            Cause::NoRoute if direction == Direction::Forward => return self.route_to_nat(subject, true),
            Cause::BlackholeRoute
            | Cause::RoutedToOtherEgress
            | Cause::NatGatewayNotAvailable
            | Cause::NatGatewayPrivate
            | Cause::PcxRequiresAddress => {
                return self.route_to_nat(subject, false);
            }
            Cause::MainTableApplies => self.associate(subject),
            Cause::MoreSpecificRoute | Cause::RepliesRedirected => self.remove_route(subject),
            Cause::NatSubnetNotPublic => self.make_public(subject),
            Cause::IgwNotAttached => self.attach_gateway(subject),
            Cause::VpcBlockPublicAccess => self.exclude(subject),
            Cause::NoPublicAddress | Cause::AddressMoved => self.give_address(subject),
            Cause::SourceDestCheck | Cause::SourceDestCheckOnReply => {
                self.interface(subject.network_interface_id.as_ref()).map(|eni| eni.source_dest_check = false).is_some()
            }
            Cause::EniNotAttached => self.attach_interface(subject),
            Cause::NatIngressRule => self.add_rule(subject, RuleDirection::Ingress),
            Cause::NatEgressRule | Cause::ClientEgressRule => self.add_rule(subject, RuleDirection::Egress),
            Cause::AclPrivateEgress | Cause::AclNatEgress | Cause::AclReplyNatEgress => {
                self.add_entry(subject, AclDirection::Egress)
            }
            Cause::AclNatIngress | Cause::AclReplyNatIngress | Cause::AclReplyPrivateIngress => {
                self.add_entry(subject, AclDirection::Ingress)
            }
            Cause::NatInstanceStopped => self.start(subject),
            Cause::ClientNotRunning => self.start(subject),
            Cause::NatStatusCheckFailed => self.reboot(subject),
            Cause::ClientDns => {
                let vpc = subject.vpc_id.as_ref().and_then(|id| self.network.vpcs.items_mut().get_mut(id.as_str()));
                vpc.map(|vpc| vpc.dns_support = Some(true)).is_some()
            }
            _ => self.mend_host(cause, subject),
        };
        if done { Mending::Done } else { Mending::Cannot }
    }

    fn interface(&mut self, id: Option<&NetworkInterfaceId>) -> Option<&mut NetworkInterface> {
        self.network.network_interfaces.items_mut().get_mut(id?.as_str())
    }

    fn table(&mut self, subject: &Subject) -> Option<&mut RouteTable> {
        let id = subject.route_table_id.as_ref()?;
        self.network.route_tables.items_mut().get_mut(id.as_str())
    }

    /// The NAT that a subject's packet should go to.
    pub(super) fn candidate(&self, subject: &Subject) -> Option<Candidate> {
        let client = &subject.flow.as_ref()?.instance_id;
        let instance = self.network.instances.get(client).ok().flatten()?;
        let (vpc_id, zone) = (instance.vpc_id.as_ref()?, &instance.availability_zone);
        nat_candidate(&self.network, self, vpc_id, zone, client, |_, _| true)
    }

    /// The default route (or the one that takes the packet) leads to the NAT that is meant.
    fn route_to_nat(&mut self, subject: &mut Subject, create: bool) -> Mending {
        let Some(candidate) = self.candidate(subject) else { return Mending::Cannot };
        if subject.packet.is_none_or(|packet| packet.destination.is_ipv6()) {
            return Mending::Cannot;
        }
        let everything = RouteDestination::Ipv4(ipnet::Ipv4Net::default());
        let destination = if create { everything } else { subject.destination.clone().unwrap_or(everything) };
        let target = RouteTarget::NetworkInterface {
            network_interface_id: candidate.network_interface_id.clone(),
            instance_id: Some(candidate.instance_id.clone()),
        };
        let Some(table) = self.table(subject) else { return Mending::Cannot };
        table.routes.retain(|route| route.destination != destination);
        table.routes.push(Route {
            destination: destination.clone(),
            target,
            state: RouteState::Active,
            origin: RouteOrigin::CreateRoute,
        });
        subject.destination = Some(destination);
        subject.network_interface_id = Some(candidate.network_interface_id);
        subject.instance_id = Some(candidate.instance_id);
        if candidate.one_of_several { Mending::Assumed } else { Mending::Done }
    }

    fn associate(&mut self, subject: &mut Subject) -> bool {
        let (Some(subnet_id), Some(vpc_id)) = (subject.subnet_id.clone(), subject.vpc_id.clone()) else {
            return false;
        };
        let Some(edited) = edited_but_not_applied(&self.network, &subnet_id, &vpc_id) else { return false };
        subject.route_table_id = Some(edited.route_table_id.clone());
        self.associate_with(subject)
    }

    /// Joins the subject's subnet and table.
    fn associate_with(&mut self, subject: &Subject) -> bool {
        let Some(subnet_id) = subject.subnet_id.clone() else { return false };
        let applies = self.network.route_tables.lookup_shown().of_subnet(&subnet_id);
        if let Some(id) = applies.map(|table| table.route_table_id.clone())
            && let Some(table) = self.network.route_tables.items_mut().get_mut(id.as_str())
        {
            table.associations.retain(|association| association.subnet_id.as_ref() != Some(&subnet_id));
        }
        let Some(table) = self.table(subject) else { return false };
        table.associations.push(RouteTableAssociation {
            association_id: AssociationId::new("rtbassoc-mended"),
            main: false,
            subnet_id: Some(subnet_id),
            gateway_id: None,
            state: "associated".to_owned(),
        });
        true
    }

    fn remove_route(&mut self, subject: &Subject) -> bool {
        let destination = subject.destination.clone();
        let Some(table) = self.table(subject) else { return false };
        let before = table.routes.len();
        table.routes.retain(|route| Some(&route.destination) != destination.as_ref());
        table.routes.len() < before
    }

    /// The NAT's subnet leads to the VPC's internet gateway. Where its table is the clients' too, it gets another.
    fn make_public(&mut self, subject: &mut Subject) -> bool {
        let (Some(subnet_id), Some(vpc_id)) = (subject.subnet_id.clone(), subject.vpc_id.clone()) else {
            return false;
        };
        let Some(table_id) = subject.route_table_id.clone() else { return false };
        if self.is_clients_table(subject) {
            let tables = self.network.route_tables.shown().values();
            let public = tables.filter(|table| table.vpc_id == vpc_id && table.route_table_id != table_id);
            let Some(public) =
                public.filter(|table| table.is_public()).map(|table| table.route_table_id.clone()).next()
            else {
                return false;
            };
            subject.route_table_id = Some(public);
            subject.subnet_id = Some(subnet_id);
            subject.destination = None;
            return self.associate_with(subject);
        }
        let Ok(gateways) = self.network.internet_gateways.known() else { return false };
        let attached = gateways.values().find(|gateway| gateway.attachments.iter().any(|a| a.vpc_id == vpc_id));
        let free = || gateways.values().find(|gateway| gateway.attachments.is_empty());
        let Some(gateway) = attached.or_else(free).map(|gateway| gateway.internet_gateway_id.clone()) else {
            return false;
        };
        let destination = RouteDestination::Ipv4(ipnet::Ipv4Net::default());
        let Some(table) = self.table(subject) else { return false };
        table.routes.retain(|route| route.destination != destination);
        table.routes.push(Route {
            destination: destination.clone(),
            target: RouteTarget::InternetGateway(gateway.clone()),
            state: RouteState::Active,
            origin: RouteOrigin::CreateRoute,
        });
        subject.internet_gateway_id = Some(gateway);
        subject.destination = Some(destination);
        true
    }

    /// Whether the subject's table is the one by which the client itself reaches the NAT.
    fn is_clients_table(&self, subject: &Subject) -> bool {
        let client = subject.flow.as_ref().map(|flow| &flow.instance_id);
        let interfaces = client.and_then(|client| self.network.interfaces_of(client).ok()).unwrap_or_default();
        interfaces.iter().any(|interface| {
            let table = self.network.route_table_of(&interface.subnet_id, &interface.vpc_id).ok().flatten();
            table.is_some_and(|table| Some(&table.route_table_id) == subject.route_table_id.as_ref())
        })
    }

    fn attach_gateway(&mut self, subject: &mut Subject) -> bool {
        let Some(vpc_id) = subject.vpc_id.clone() else { return false };
        let gateways = self.network.internet_gateways.items_mut();
        let named = subject.internet_gateway_id.clone().filter(|id| gateways.contains_key(id.as_str()));
        let free = || {
            let mut free = gateways.values().filter(|gateway| gateway.attachments.is_empty());
            free.next().map(|gateway| gateway.internet_gateway_id.clone())
        };
        let Some(id) = named.or_else(free) else { return false };
        let Some(gateway) = gateways.get_mut(id.as_str()) else { return false };
        if gateway.attachments.iter().any(|attachment| attachment.vpc_id != vpc_id) {
            return false;
        }
        gateway.attachments = vec![GatewayAttachment { vpc_id: vpc_id.clone(), state: AttachmentState::Available }];
        self.activate(|target| matches!(target, RouteTarget::InternetGateway(gateway) if *gateway == id));
        subject.internet_gateway_id = Some(id);
        true
    }

    /// Routes to these targets are blackholes no more.
    fn activate(&mut self, led_to: impl Fn(&RouteTarget) -> bool) {
        let tables = self.network.route_tables.shown().values();
        let led = tables.filter(|table| table.routes.iter().any(|route| led_to(&route.target)));
        let led: Vec<RouteTableId> = led.map(|table| table.route_table_id.clone()).collect();
        for id in led {
            let Some(table) = self.network.route_tables.items_mut().get_mut(id.as_str()) else { continue };
            for route in table.routes.iter_mut().filter(|route| led_to(&route.target)) {
                route.state = RouteState::Active;
            }
        }
    }

    /// The subnet whose packets were kept back is excluded; the setting stays for all others.
    fn exclude(&mut self, subject: &Subject) -> bool {
        let Some(subnet_id) = &subject.subnet_id else { return false };
        let Some(setting) = self.network.block_public_access.items_mut().values_mut().next() else { return false };
        setting.exclusions.push(BlockPublicAccessExclusion {
            exclusion_id: "vpcbpa-exclude-mended".to_owned(),
            resource_arn: format!("subnet/{subnet_id}"),
            mode: ExclusionMode::AllowBidirectional,
        });
        true
    }

    /// The interface has its Elastic IP back, or a free one, or a new one.
    fn give_address(&mut self, subject: &mut Subject) -> bool {
        let stack = subject
            .instance_id
            .as_ref()
            .and_then(|id| self.network.instances.shown().get(id.as_str())?.tags.stack().map(str::to_owned));
        let addresses = self.network.addresses.items_mut();
        if subject.allocation_id.is_none() && stack.is_some() {
            let idle = addresses
                .values()
                .find(|address| address.association_id.is_none() && address.tags.stack().map(str::to_owned) == stack);
            subject.allocation_id = idle.map(|address| address.allocation_id.clone());
        }
        let address = subject.allocation_id.as_ref().and_then(|id| addresses.get_mut(id.as_str()));
        let public_ip = address.as_ref().map_or(SOME_PUBLIC_ADDRESS, |address| address.public_ip);
        if let Some(address) = address {
            address.network_interface_id.clone_from(&subject.network_interface_id);
            address.instance_id.clone_from(&subject.instance_id);
        }
        let allocation_id = subject.allocation_id.clone();
        let holder = self.network.network_interfaces.lookup_shown().with_public_ip(public_ip);
        let holder = holder.map(|interface| interface.network_interface_id.clone());
        if let Some(interface) = self.interface(holder.as_ref()) {
            interface.association = None;
        }
        let Some(interface) = self.interface(subject.network_interface_id.as_ref()) else { return false };
        interface.association = Some(InterfaceAssociation { public_ip, allocation_id, association_id: None });
        true
    }

    /// The instance that should hold an interface: of its stack, else what looks like the NAT of the zone, else the only
    /// one there with a public address.
    fn holder(&self, subject: &Subject, eni: &NetworkInterfaceId, zone: &str) -> Option<InstanceId> {
        let interface = self.network.network_interfaces.shown().get(eni.as_str())?;
        let client = subject.flow.as_ref().map(|flow| &flow.instance_id);
        let instances = || {
            self.network.instances.shown().values().filter(|instance| {
                instance.vpc_id.as_ref() == Some(&interface.vpc_id)
                    && instance.availability_zone == zone
                    && Some(&instance.instance_id) != client
                    && !matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown)
            })
        };
        let stack = interface.tags.stack();
        let of_stack = instances().find(|instance| {
            stack.is_some()
                && instance.tags.stack() == stack
                && instance.tags.step().is_some_and(|step| step.starts_with("nat-"))
        });
        if let Some(instance) = of_stack {
            return Some(instance.instance_id.clone());
        }
        let likely = self.candidate(subject).map(|candidate| candidate.instance_id);
        if let Some(id) = likely.filter(|id| instances().any(|instance| instance.instance_id == *id)) {
            return Some(id);
        }
        let mut public = instances().filter(|instance| instance.public_ip.is_some());
        match (public.next(), public.next()) {
            (Some(only), None) => Some(only.instance_id.clone()),
            _ => None,
        }
    }

    fn attach_interface(&mut self, subject: &mut Subject) -> bool {
        let Some(eni) = subject.network_interface_id.clone() else { return false };
        let Some(zone) = self.interface(Some(&eni)).map(|interface| interface.availability_zone.clone()) else {
            return false;
        };
        let Some(holder) = self.holder(subject, &eni, &zone) else { return false };
        let Ok(own) = self.network.interfaces_of(&holder) else { return false };
        let used: Vec<u32> = own.iter().filter_map(|i| Some(i.attachment.as_ref()?.device_index)).collect();
        let device_index = (1..).find(|index| !used.contains(index)).unwrap_or(1);
        let Some(interface) = self.interface(Some(&eni)) else { return false };
        interface.status = InterfaceStatus::InUse;
        interface.attachment = Some(InterfaceAttachment {
            attachment_id: crate::model::AttachmentId::new("eni-attach-mended"),
            instance_id: Some(holder.clone()),
            device_index,
            status: "attached".to_owned(),
            delete_on_termination: false,
        });
        self.activate(|target| {
            matches!(target, RouteTarget::NetworkInterface { network_interface_id, .. } if *network_interface_id == eni)
        });
        self.show_device(&holder, &eni);
        subject.instance_id = Some(holder);
        true
    }

    fn add_rule(&mut self, subject: &Subject, direction: RuleDirection) -> bool {
        let (Some(packet), Some(id)) = (subject.packet, &subject.security_group_id) else { return false };
        let Some(group) = self.network.security_groups.items_mut().get_mut(id.as_str()) else { return false };
        let peer = if direction == RuleDirection::Ingress { packet.source } else { packet.destination };
        group.rules.push(SecurityGroupRule {
            rule_id: None,
            direction,
            protocol: packet.protocol,
            from_port: None,
            to_port: None,
            peer: match peer {
                std::net::IpAddr::V4(v4) => Peer::Ipv4(v4.into()),
                std::net::IpAddr::V6(v6) => Peer::Ipv6(v6.into()),
            },
            description: None,
        });
        true
    }

    /// An entry that comes before all others, for this packet alone.
    fn add_entry(&mut self, subject: &Subject, direction: AclDirection) -> bool {
        let (Some(packet), Some(id)) = (subject.packet, &subject.network_acl_id) else { return false };
        let Some(acl) = self.network.network_acls.items_mut().get_mut(id.as_str()) else { return false };
        let peer = if direction == AclDirection::Ingress { packet.source } else { packet.destination };
        let (cidr_block, ipv6_cidr_block) = match peer {
            std::net::IpAddr::V4(v4) => (Some(v4.into()), None),
            std::net::IpAddr::V6(v6) => (None, Some(v6.into())),
        };
        let ports = packet.protocol.has_ports().then_some((packet.destination_port, packet.destination_port));
        acl.entries.push(AclEntry {
            rule_number: 0,
            direction,
            action: AclAction::Allow,
            protocol: packet.protocol,
            cidr_block,
            ipv6_cidr_block,
            port_range: ports.filter(|_| packet.protocol != Protocol::All),
            icmp_type_code: None,
        });
        true
    }

    fn start(&mut self, subject: &Subject) -> bool {
        let Some(id) = &subject.instance_id else { return false };
        let Some(instance) = self.network.instances.items_mut().get_mut(id.as_str()) else { return false };
        if matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown) {
            return false;
        }
        instance.state = InstanceState::Running;
        let Ok(own) = self.network.interfaces_of(id) else { return false };
        let own: Vec<NetworkInterfaceId> = own.iter().map(|interface| interface.network_interface_id.clone()).collect();
        // An instance with one interface that was given a public address at launch is given one again; two get none.
        if let [only] = own.as_slice()
            && let Some(interface) = self.interface(Some(only)).filter(|interface| interface.association.is_none())
        {
            interface.association = Some(InterfaceAssociation {
                public_ip: SOME_PUBLIC_ADDRESS,
                allocation_id: None,
                association_id: None,
            });
        }
        self.activate(|target| match target {
            RouteTarget::NetworkInterface { network_interface_id, .. } => own.contains(network_interface_id),
            RouteTarget::Instance(instance) => instance == id,
            _ => false,
        });
        true
    }

    fn reboot(&mut self, subject: &Subject) -> bool {
        let Some(id) = &subject.instance_id else { return false };
        let Some(instance) = self.network.instances.items_mut().get_mut(id.as_str()) else { return false };
        instance.system_status = Some(StatusCheck::Ok);
        instance.instance_status = Some(StatusCheck::Ok);
        true
    }
}
