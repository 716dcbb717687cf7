//! Packets that get out by another way than was meant, and what lies behind a transit gateway.

use super::Draft;
use crate::model::{Network, NetworkInterface, Peer, ResourceId, SecurityGroup};
use crate::reach::passed_by::passed_by;
use crate::reach::walk::evidence;
use crate::reach::{Cause, Certainty, Decision, Disposition, Trace, owner_of};

impl<'a> Draft<'a> {
    /// A route that leads past an idle NAT, an address that is not the route's, a NAT in another zone.
    pub(super) fn elsewhere(&mut self, trace: &Trace, last: &Trace) {
        let Some(client) = self.client() else { return };
        self.past_the_nat(trace);
        self.other_address(trace);
        self.group_is_forgotten(client, last);
        self.other_zone(client, last);
    }

    fn client(&self) -> Option<&'a NetworkInterface> {
        self.network.interfaces_of(&self.flow.instance_id).ok()?.first().copied()
    }

    /// The default route leads elsewhere, and a NAT stands by that no route leads to.
    fn past_the_nat(&mut self, trace: &Trace) {
        let network = self.network;
        if trace.disposition == Disposition::Dropped {
            return;
        }
        let Some(past) = passed_by(network, self.hosts, self.flow) else { return };
        let resource = Some(ResourceId::from(&past.table.route_table_id));
        let mut finding = self.finding(Cause::RoutedToOtherEgress, Certainty::Likely, resource, past.summary());
        finding.evidence.push(evidence::route(network, past.table, past.route));
        if let Ok(Some(interface)) = network.network_interfaces.get(&past.network_interface_id) {
            let text = format!("SourceDestCheck = {}, and no route leads to it", interface.source_dest_check);
            finding.evidence.push(evidence::interface(network, interface, text));
        }
        finding.subject.destination = Some(past.route.destination.clone());
        finding.subject.network_interface_id = Some(past.network_interface_id);
        finding.subject.instance_id = Some(past.instance_id);
        finding.subject.subnet_id = Some(past.subnet_id.clone());
        self.findings.push(finding);
    }

    /// The outside saw another address than the path promises.
    fn other_address(&mut self, trace: &Trace) {
        let (Some(seen), Some(promised)) = (self.observations.address(), trace.address) else { return };
        if trace.disposition != Disposition::Delivered || seen == promised {
            return;
        }
        if self.find(Cause::RoutedToOtherEgress).is_some() {
            return;
        }
        let owner = match seen {
            std::net::IpAddr::V4(v4) => owner_of(self.network, v4),
            std::net::IpAddr::V6(_) => None,
        };
        let whose = owner.as_ref().map_or_else(|| "nothing that natdeck can see".to_owned(), |(_, what)| what.clone());
        let summary = format!("the outside sees {seen}, which is {whose}, and the path promises {promised}");
        let mut finding = self.finding(Cause::RoutedToOtherEgress, Certainty::Likely, owner.map(|(id, _)| id), summary);
        finding.evidence.push(evidence::call(
            "curl",
            "",
            format!("the address service answered {seen}"),
            self.tested_at(),
        ));
        self.findings.push(finding);
    }

    /// Behind a transit gateway a NAT's group names the client's group, which is forgotten on the way.
    fn group_is_forgotten(&mut self, client: &NetworkInterface, last: &Trace) {
        let Some(hop) = last.hops.last().filter(|hop| hop.decision == Decision::Unknown) else { return };
        if !hop.resource_id.as_ref().is_some_and(|id| id.as_str().starts_with("tgw-")) {
            return;
        }
        let Some((group, rule, nat)) = naming(self.network, client) else { return };
        let summary = format!(
            "{} lets in the group of {} by name, and the transit gateway forgets which group a packet came from",
            group.group_id, self.flow.instance_id
        );
        let resource = Some(ResourceId::from(&group.group_id));
        let mut finding = self.finding(Cause::SgReferencesNotPreserved, Certainty::Likely, resource, summary);
        finding.evidence.push(evidence::group_rule(self.network, group, rule));
        finding.evidence.extend(hop.evidence.iter().cloned());
        finding.subject.instance_id = nat.instance_id().cloned();
        finding.subject.subnet_id = Some(client.subnet_id.clone());
        self.findings.push(finding);
    }

    /// The NAT that the path goes through is in another zone.
    fn other_zone(&mut self, client: &NetworkInterface, last: &Trace) {
        for id in self.nat_hosts(last) {
            let Ok(Some(nat)) = self.network.instances.get(&id) else { continue };
            if nat.availability_zone == client.availability_zone {
                continue;
            }
            let summary = format!(
                "{id} is in {} and {} in {}",
                nat.availability_zone, self.flow.instance_id, client.availability_zone
            );
            let mut finding =
                self.finding(Cause::NatInOtherZone, Certainty::Certain, Some(ResourceId::from(&id)), summary);
            let text = |zone: &str| format!("Placement.AvailabilityZone = {zone}");
            finding.evidence.push(evidence::instance(self.network, id.as_str(), text(&nat.availability_zone)));
            let client_id = self.flow.instance_id.as_str();
            finding.evidence.push(evidence::instance(self.network, client_id, text(&client.availability_zone)));
            self.findings.push(finding);
        }
    }
}

/// An ingress rule of a forwarding interface in another VPC that names a group of the client.
fn naming<'a>(
    network: &'a Network,
    client: &NetworkInterface,
) -> Option<(&'a SecurityGroup, &'a crate::model::SecurityGroupRule, &'a NetworkInterface)> {
    let interfaces = network.network_interfaces.known().ok()?.values();
    let groups = network.security_groups.known().ok()?;
    interfaces.filter(|i| i.vpc_id != client.vpc_id && !i.source_dest_check).find_map(|nat| {
        let own = nat.security_group_ids.iter().filter_map(|id| groups.get(id.as_str()));
        own.flat_map(|group| group.ingress().map(move |rule| (group, rule)))
            .find(|(_, rule)| matches!(&rule.peer, Peer::Group(id) if client.security_group_ids.contains(id)))
            .map(|(group, rule)| (group, rule, nat))
    })
}
