//! Network interfaces: attachment, source/destination check, security groups; and the ACL of a subnet's edge.

use super::{End, Place, Step, Stop, Walker, evidence};
use crate::model::{
    AclDirection, EndpointState, InstanceState, InterfaceStatus, NetworkInterface, ResourceId, RuleDirection,
    StatusCheck, SubnetId, Unknown,
};
use crate::reach::filter::{self, Groups};
use crate::reach::flow::Packet;
use crate::reach::host::source_translations;
use crate::reach::routing::has_address;
use crate::reach::{Cause, Code, Component, Decision, Direction, Evidence};

impl<'a> Walker<'a> {
    /// A packet leaves an interface: check, groups, then the subnet's table.
    pub(super) fn leave(&mut self, interface: &'a NetworkInterface, packet: Packet) -> Step<Place<'a>> {
        if let Some(place) = self.amazon_service(&interface.vpc_id, &packet)? {
            return Ok(place);
        }
        if interface.source_dest_check && !has_address(interface, packet.source) {
            return Err(self.check_on_leaving(interface, &packet));
        }
        self.groups(interface, RuleDirection::Egress, &packet)?;
        Ok(Place::Routing {
            subnet_id: &interface.subnet_id,
            vpc_id: &interface.vpc_id,
            packet,
            interface: Some(interface),
        })
    }

    /// The source/destination check drops what leaves with a foreign source. Why the source is foreign is the cause.
    fn check_on_leaving(&mut self, interface: &NetworkInterface, packet: &Packet) -> Stop {
        let eni = &interface.network_interface_id;
        let mut evidence = vec![evidence::interface(self.network, interface, "SourceDestCheck = true")];
        let dropped = format!("{eni} drops {packet}: its source/destination check is on and the source is not its own");
        let (code, detail) = match (self.direction, &self.last_pass) {
            (Direction::Forward, None) => (Code::EniSourceDestCheckRestriction, dropped),
            (Direction::Forward, Some(_)) => {
                let (code, reason, lines) = self.why_untranslated(packet);
                evidence.extend(lines);
                (code, format!("{dropped}; {reason}"))
            }
            (Direction::Reply, None) => (Code::SourceDestCheckOnReply, dropped),
            (Direction::Reply, Some(pass)) => {
                let entered = self.entered_by.iter().find(|(id, _)| *id == pass.instance_id);
                let elsewhere = entered.is_some_and(|(_, came_in)| *came_in != eni);
                evidence.extend(evidence::lines(pass.lines.clone()));
                if elsewhere && pass.came_in_without_address {
                    (Code::HostInterfaceDown, format!("{dropped}; the interface that faces the client has no address"))
                } else if elsewhere && pass.by_default_route {
                    let reason = format!("the host has no route to {} but its default route", packet.destination);
                    (Code::HostNoReturnRoute, format!("{dropped}; {reason}"))
                } else {
                    (Code::SourceDestCheckOnReply, dropped)
                }
            }
        };
        self.deny(Component::NetworkInterface, Some(ResourceId::from(eni)), code, detail, evidence)
    }

    /// Why a packet that a host forwarded still has a source that nobody outside can answer.
    pub(super) fn why_untranslated(&self, packet: &Packet) -> (Code, String, Vec<Evidence>) {
        let Some(pass) = &self.last_pass else {
            return (Code::HostNoMasquerade, "no host translated it".to_owned(), Vec::new());
        };
        let who = self.called(pass.instance_id);
        let Ok(host) = self.hosts.host(pass.instance_id) else {
            return (Code::HostNoMasquerade, format!("{who} did not translate it"), Vec::new());
        };
        let rules = source_translations(host, &pass.device, packet.is_ipv4());
        let lines = |only_elsewhere: bool| {
            rules
                .iter()
                .filter(|(_, _, elsewhere)| *elsewhere || !only_elsewhere)
                .map(|(source, rule, _)| evidence::call(source, "", rule.text.clone(), None))
                .collect::<Vec<_>>()
        };
        if !pass.untranslated {
            let reason = format!("{who} translated it to {}, which is no address of that interface", packet.source);
            return (Code::HostNoMasquerade, reason, lines(false));
        }
        if rules.iter().any(|(_, _, elsewhere)| *elsewhere) {
            let reason = format!("{who} sends it by {}, and its masquerade rule names another interface", pass.device);
            let mut evidence = lines(true);
            let names: Vec<&str> = host.interfaces.iter().map(|interface| interface.name.as_str()).collect();
            evidence.push(evidence::call("ip -j link", "", format!("interfaces: {}", names.join(", ")), None));
            return (Code::HostMasqueradeWrongInterface, reason, evidence);
        }
        let mut evidence = lines(false);
        if evidence.is_empty() {
            let text = "no MASQUERADE or SNAT rule in any postrouting chain";
            evidence.push(evidence::call("iptables-save -c; nft list ruleset", "", text, None));
        }
        (Code::HostNoMasquerade, format!("{who} has no rule that translates it"), evidence)
    }

    /// A packet enters an interface: the subnet's ACL, attachment, check, groups, then whoever is behind it.
    pub(super) fn enter(
        &mut self,
        interface: &'a NetworkInterface,
        packet: Packet,
        from: Option<&'a SubnetId>,
    ) -> Step<Place<'a>> {
        if from != Some(&interface.subnet_id) {
            self.acl(&interface.subnet_id, AclDirection::Ingress, &packet)?;
        }
        self.attached(interface)?;
        let own = has_address(interface, packet.destination);
        if let Some(id) = interface.instance_id() {
            self.running(interface, id, !own)?;
        }
        let eni = &interface.network_interface_id;
        let resource = Some(ResourceId::from(eni));
        let check = format!("SourceDestCheck = {}", interface.source_dest_check);
        let check = vec![evidence::interface(self.network, interface, check)];
        if interface.source_dest_check && !own {
            let code = Code::EniSourceDestCheckRestriction;
            let detail =
                format!("{eni} drops {packet}: its source/destination check is on and the destination is not its own");
            return Err(self.deny(Component::NetworkInterface, resource, code, detail, check));
        }
        let detail = if own {
            format!("{eni} takes the packet: {} is its address", packet.destination)
        } else {
            format!("{eni} takes the packet for {}: its source/destination check is off", packet.destination)
        };
        self.hop(Component::NetworkInterface, resource, Decision::Allowed, detail, check);
        self.groups(interface, RuleDirection::Ingress, &packet)?;
        match interface.instance_id() {
            Some(id) => self.enter_host(id, interface, packet),
            None => {
                self.endpoint_available(interface)?;
                Ok(Place::Arrived { at: End::Service(interface), packet })
            }
        }
    }

    /// An interface that AWS holds for an endpoint answers only while the endpoint is available.
    fn endpoint_available(&mut self, interface: &NetworkInterface) -> Step<()> {
        let Ok(endpoints) = self.network.vpc_endpoints.known() else {
            return Ok(());
        };
        let eni = &interface.network_interface_id;
        match endpoints.values().find(|endpoint| endpoint.network_interface_ids.contains(eni)) {
            Some(endpoint) if endpoint.state != EndpointState::Available => {
                let id = &endpoint.vpc_endpoint_id;
                let unknown =
                    Unknown::new(format!("whether VPC endpoint {id} answers"), format!("State = {}", endpoint.state));
                Err(self.cannot_tell(Component::VpcEndpoint, Some(ResourceId::from(id)), unknown))
            }
            _ => Ok(()),
        }
    }

    fn attached(&mut self, interface: &NetworkInterface) -> Step<()> {
        let usable = !matches!(interface.status, InterfaceStatus::Available | InterfaceStatus::Attaching);
        let held = interface.attachment.is_some() || interface.requester_managed;
        if usable && held {
            return Ok(());
        }
        let eni = &interface.network_interface_id;
        let evidence = vec![evidence::interface(self.network, interface, format!("Status = {}", interface.status))];
        let detail = format!("{eni} is not attached to an instance (Status = {})", interface.status);
        Err(self.deny(Component::NetworkInterface, Some(ResourceId::from(eni)), Code::EniNotAttached, detail, evidence))
    }

    /// The instance behind an interface must run; one that is to forward must also pass its status checks.
    fn running(&mut self, interface: &NetworkInterface, id: &crate::model::InstanceId, forwards: bool) -> Step<()> {
        let resource = Some(ResourceId::from(id));
        let found = self.need(Component::Instance, resource.clone(), self.network.instances.get(id))?;
        let Some(instance) = found else {
            let unknown = Unknown::new(
                format!("instance {id}"),
                format!("DescribeInstances does not show it, and {} is attached to it", interface.network_interface_id),
            );
            return Err(self.cannot_tell(Component::Instance, resource, unknown));
        };
        if instance.state != InstanceState::Running {
            let evidence = vec![evidence::instance(self.network, id.as_str(), format!("State = {}", instance.state))];
            let code = if forwards { Code::NatInstanceStopped } else { Code::ClientNotRunning };
            let detail = format!("{} is {} and takes no packets", self.called(id), instance.state);
            return Err(self.deny(Component::Instance, resource, code, detail, evidence));
        }
        for (field, status) in
            [("SystemStatus", &instance.system_status), ("InstanceStatus", &instance.instance_status)]
        {
            if forwards && status == &Some(StatusCheck::Impaired) {
                let text = format!("{field}.Status = impaired");
                let at = self.network.instances.observed_at();
                let evidence = vec![evidence::call("DescribeInstanceStatus", id.as_str(), text, at)];
                let detail = format!("{} runs and does not answer its status checks", self.called(id));
                let code = Code::NatStatusCheckFailed;
                return Err(self.deny(Component::Instance, resource, code, detail, evidence));
            }
        }
        Ok(())
    }

    /// The groups of an interface. They are stateful: what they let pass once, they let pass back.
    fn groups(&mut self, interface: &'a NetworkInterface, direction: RuleDirection, packet: &Packet) -> Step<()> {
        let eni = &interface.network_interface_id;
        // A NAT gateway's interface, among others, has no groups and no filter.
        if interface.security_group_ids.is_empty() && interface.requester_managed {
            return Ok(());
        }
        let way = if direction == RuleDirection::Ingress { "into" } else { "out of" };
        let first = interface.security_group_ids.first().map(ResourceId::from);
        // Messages about a connection that is let pass belong to it (EC2 guide, "Connection tracking").
        if packet.is_error() || self.tracked.iter().any(|(at, passed)| *at == eni && passed.reply() == *packet) {
            let detail = format!("the groups of {eni} let the reply {way} it, because they let the packet pass");
            self.hop(Component::SecurityGroup, first, Decision::Allowed, detail, Vec::new());
            return Ok(());
        }
        match filter::security_groups(self.network, interface, direction, packet) {
            Groups::Allowed(group, rule) => {
                let detail = format!("{} ({}) lets {packet} {way} {eni}", group.group_id, group.group_name);
                let evidence = vec![evidence::group_rule(self.network, group, rule)];
                let id = Some(ResourceId::from(&group.group_id));
                self.hop(Component::SecurityGroup, id, Decision::Allowed, detail, evidence);
                self.tracked.push((eni, *packet));
                Ok(())
            }
            Groups::Denied(groups) => {
                let names: Vec<&str> = groups.iter().map(|group| group.group_id.as_str()).collect();
                let kind = if direction == RuleDirection::Ingress { "ingress" } else { "egress" };
                let detail = format!("no {kind} rule of {} lets {packet} {way} {eni}", names.join(", "));
                let evidence =
                    groups.iter().map(|group| evidence::group_rules(self.network, group, direction)).collect();
                let cause = match direction {
                    RuleDirection::Ingress => Cause::NatIngressRule,
                    RuleDirection::Egress if interface.instance_id() == Some(&self.flow.instance_id) => {
                        Cause::ClientEgressRule
                    }
                    RuleDirection::Egress => Cause::NatEgressRule,
                };
                Err(self.deny_because(cause, Component::SecurityGroup, first, detail, evidence))
            }
            Groups::Unknown(unknown) => self.filter_unknown(Component::SecurityGroup, first, unknown),
        }
    }

    /// The network ACL of a subnet, for a packet that crosses its edge. Stateless: replies are asked about too.
    pub(super) fn acl(&mut self, subnet_id: &SubnetId, direction: AclDirection, packet: &Packet) -> Step<()> {
        let found = match self.network.network_acl_of(subnet_id) {
            Ok(found) => found,
            Err(unknown) => return self.filter_unknown(Component::NetworkAcl, None, unknown.clone()),
        };
        let Some(acl) = found else {
            let reason = "DescribeNetworkAcls shows none, and every subnet has one";
            let unknown = Unknown::new(format!("network ACL of {subnet_id}"), reason);
            return self.filter_unknown(Component::NetworkAcl, None, unknown);
        };
        let entry = filter::deciding_entry(acl, direction, packet);
        let evidence = vec![evidence::acl(self.network, acl, direction, entry)];
        let id = &acl.network_acl_id;
        let resource = Some(ResourceId::from(id));
        let way = if direction == AclDirection::Ingress { "into" } else { "out of" };
        if filter::allows(entry) {
            let detail = format!("{id} lets {packet} {way} {subnet_id}");
            self.hop(Component::NetworkAcl, resource, Decision::Allowed, detail, evidence);
            return Ok(());
        }
        let rule = entry.map_or_else(|| "no entry".to_owned(), |entry| format!("entry {}", entry.rule_number));
        let detail = format!("{id} does not let {packet} {way} {subnet_id}: {rule} decides");
        let forwarded = !self.forwarders.is_empty() || !self.gateway_connections.is_empty();
        let behind_nat = !self.entered_by.is_empty() || !self.gateway_connections.is_empty();
        let cause = match (self.direction, direction) {
            (Direction::Forward, AclDirection::Egress) if forwarded => Cause::AclNatEgress,
            (Direction::Forward, AclDirection::Egress) => Cause::AclPrivateEgress,
            (Direction::Forward, AclDirection::Ingress) => Cause::AclNatIngress,
            (Direction::Reply, AclDirection::Egress) => Cause::AclReplyNatEgress,
            (Direction::Reply, AclDirection::Ingress) if behind_nat && self.replied_by_nat(packet) => {
                Cause::AclReplyPrivateIngress
            }
            (Direction::Reply, AclDirection::Ingress) if behind_nat => Cause::AclReplyNatIngress,
            (Direction::Reply, AclDirection::Ingress) => Cause::AclReplyPrivateIngress,
        };
        self.subject.subnet_id = Some(subnet_id.clone());
        self.subject.packet = Some(packet.dropped());
        Err(self.deny_because(cause, Component::NetworkAcl, resource, detail, evidence))
    }

    /// Whether a reply is translated back already, so that it is on its way to the sender itself.
    fn replied_by_nat(&self, packet: &Packet) -> bool {
        !self.forwarders.is_empty()
            || self.gateway_connections.iter().any(|(_, before, _)| before.source == packet.destination)
    }
}
