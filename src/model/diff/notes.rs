//! The difference of two snapshots as sentences: what a person would say changed. Pure.
//!
//! The sentences carry no time: when it was seen is in the snapshots, and who prints a sentence knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::fields;
use crate::model::{
    AclAction, AclDirection, AclEntry, Address, BlockPublicAccess, GatewayAttachment, Instance,
    InternetGatewayBlockMode, Items, ManagedInstance, NatGateway, Network, NetworkAcl, NetworkInterface, Part,
    Protocol, ResourceId, Route, RouteDestination, RouteState, RouteTable, RuleDirection, SecurityGroup,
    SecurityGroupRule, Tags, VpcEndpoint,
};

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What changed, by AWS's identifier.
    pub resource_id: ResourceId,
    /// `route 0.0.0.0/0 of rtb-… went from eni-… to nat-…`.
    pub text: String,
}

/// What changed from `before` to `after`, what decides about egress first. A part that is unknown in either snapshot is
/// left out: what was not seen has not changed.
pub fn notes(before: &Network, after: &Network) -> Vec<Note> {
    let mut notes = Notes::default();
    notes.block_public_access(before, after);
    notes.associations(before, after);
    notes.each(&before.route_tables, &after.route_tables, |t| &t.tags, Notes::route_table);
    notes.each(
        &before.internet_gateways,
        &after.internet_gateways,
        |g| &g.tags,
        |notes, id, old, new| {
            notes.attachments(id, &old.attachments, &new.attachments);
            &["attachments"]
        },
    );
    notes.each(
        &before.egress_only_internet_gateways,
        &after.egress_only_internet_gateways,
        |g| &g.tags,
        |notes, id, old, new| {
            notes.attachments(id, &old.attachments, &new.attachments);
            &["attachments"]
        },
    );
    notes.each(&before.nat_gateways, &after.nat_gateways, |g| &g.tags, Notes::nat_gateway);
    notes.each(&before.instances, &after.instances, |i| &i.tags, Notes::instance);
    notes.each(&before.network_interfaces, &after.network_interfaces, |i| &i.tags, Notes::interface);
    notes.each(&before.addresses, &after.addresses, |a| &a.tags, Notes::address);
    notes.each(&before.security_groups, &after.security_groups, |g| &g.tags, Notes::security_group);
    notes.each(&before.network_acls, &after.network_acls, |a| &a.tags, Notes::network_acl);
    notes.each(&before.vpc_endpoints, &after.vpc_endpoints, |e| &e.tags, Notes::endpoint);
    notes.each(&before.vpcs, &after.vpcs, |v| &v.tags, |_, _, _, _| &[]);
    // How many addresses are free changes with everything that comes and goes.
    notes.each(&before.subnets, &after.subnets, |s| &s.tags, |_, _, _, _| &["available_ip_address_count"]);
    notes.each(&before.instance_profiles, &after.instance_profiles, |p| &p.tags, |_, _, _, _| &[]);
    notes.prefix_lists(before, after);
    notes.agents(&before.managed_instances, &after.managed_instances);
    notes.0
}

#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn push(&mut self, id: &str, text: String) {
        self.0.push(Note { resource_id: ResourceId(id.to_owned()), text });
    }

    /// `what of id went from … to …`, when it did.
    fn went<T: PartialEq + Display>(&mut self, id: &str, what: &str, old: &T, new: &T) {
        if old != new {
            self.push(id, format!("{what} of {id} went from {old} to {new}"));
        }
    }

    /// The same for what may be absent.
    fn maybe_went<T: PartialEq + Display>(&mut self, id: &str, what: &str, old: Option<&T>, new: Option<&T>) {
        match (old, new) {
            (Some(old), Some(new)) => self.went(id, what, old, new),
            (None, Some(new)) => self.push(id, format!("{id} got the {what} {new}")),
            (Some(old), None) => self.push(id, format!("{id} lost the {what} {old}")),
            (None, None) => {}
        }
    }

    /// Every resource of one kind: new, gone, or told by `tell`, which returns the fields that it spoke of. The other
    /// fields that differ are named.
    fn each<V: PartialEq + Serialize, L>(
        &mut self,
        before: &Part<V, L>,
        after: &Part<V, L>,
        tags: impl Fn(&V) -> &Tags,
        tell: impl Fn(&mut Self, &str, &V, &V) -> &'static [&'static str],
    ) {
        let (Ok(old), Ok(new)) = (before.known(), after.known()) else { return };
        let named = |id: &str, tags: &Tags| tags.name().map_or_else(|| id.to_owned(), |name| format!("{id} ({name})"));
        for (id, resource) in new {
            match old.get(id) {
                None => self.push(id, format!("{} is new", named(id, tags(resource)))),
                Some(earlier) if earlier != resource => {
                    let told = tell(self, id, earlier, resource);
                    let rest = fields::differing(earlier, resource, told);
                    if !rest.is_empty() {
                        self.push(id, format!("{} of {id} changed", rest.join(" and ")));
                    }
                }
                Some(_) => {}
            }
        }
        for (id, resource) in old.iter().filter(|(id, _)| !new.contains_key(id)) {
            self.push(id, format!("{} is gone", named(id, tags(resource))));
        }
    }

    /// Which table applies to a subnet is a matter of two tables: told once, across them.
    fn associations(&mut self, before: &Network, after: &Network) {
        let (Ok(old), Ok(new)) = (before.route_tables.known(), after.route_tables.known()) else { return };
        let main = |tables: &Items<RouteTable>| -> BTreeMap<String, String> {
            let mains = tables.values().filter(|table| table.is_main());
            mains.map(|table| (table.vpc_id.to_string(), table.route_table_id.to_string())).collect()
        };
        let (old_main, new_main) = (main(old), main(new));
        for (vpc, table) in &new_main {
            if let Some(earlier) = old_main.get(vpc).filter(|earlier| *earlier != table) {
                self.push(table, format!("the main table of {vpc} went from {earlier} to {table}"));
            }
        }
        let explicit = |tables: &Items<RouteTable>| -> BTreeMap<String, String> {
            let pairs =
                tables.values().flat_map(|t| t.subnet_ids().map(|s| (s.to_string(), t.route_table_id.to_string())));
            pairs.collect()
        };
        let (old, new) = (explicit(old), explicit(new));
        for (subnet, table) in &new {
            match old.get(subnet) {
                Some(earlier) if earlier == table => {}
                Some(earlier) => self.push(subnet, format!("the table of {subnet} went from {earlier} to {table}")),
                None => self.push(subnet, format!("{subnet} is associated with {table} now")),
            }
        }
        for (subnet, table) in old.iter().filter(|(subnet, _)| !new.contains_key(*subnet)) {
            self.push(subnet, format!("{subnet} lost its association with {table}: the main table applies"));
        }
    }

    fn route_table(&mut self, id: &str, old: &RouteTable, new: &RouteTable) -> &'static [&'static str] {
        let by_destination = |table: &RouteTable| -> BTreeMap<RouteDestination, Route> {
            table.routes.iter().map(|route| (route.destination.clone(), route.clone())).collect()
        };
        let (before, after) = (by_destination(old), by_destination(new));
        for (destination, route) in &after {
            let what = format!("route {destination} of {id}");
            match before.get(destination) {
                None => self.push(id, format!("{what} to {} was added", route.target)),
                Some(earlier) => {
                    if earlier.target.to_string() != route.target.to_string() {
                        self.push(id, format!("{what} went from {} to {}", earlier.target, route.target));
                    }
                    if earlier.state != route.state {
                        let text = match route.state {
                            RouteState::Blackhole => "became a blackhole".to_owned(),
                            RouteState::Active => "is active again".to_owned(),
                            RouteState::Other(ref state) => format!("became {state}"),
                        };
                        self.push(id, format!("{what} to {} {text}", route.target));
                    }
                }
            }
        }
        for (destination, route) in before.iter().filter(|(destination, _)| !after.contains_key(*destination)) {
            self.push(id, format!("route {destination} of {id} to {} was deleted", route.target));
        }
        // Associations are told across the tables.
        &["routes", "associations"]
    }

    fn attachments(&mut self, id: &str, old: &[GatewayAttachment], new: &[GatewayAttachment]) {
        for attachment in new {
            match old.iter().find(|earlier| earlier.vpc_id == attachment.vpc_id) {
                None => self.push(id, format!("{id} was attached to {}", attachment.vpc_id)),
                Some(earlier) => self.went(id, "the attachment", &earlier.state, &attachment.state),
            }
        }
        for gone in old.iter().filter(|earlier| !new.iter().any(|a| a.vpc_id == earlier.vpc_id)) {
            self.push(id, format!("{id} was detached from {}", gone.vpc_id));
        }
    }

    fn nat_gateway(&mut self, id: &str, old: &NatGateway, new: &NatGateway) -> &'static [&'static str] {
        self.went(id, "the state", &old.state, &new.state);
        self.maybe_went(id, "public address", old.public_ip.as_ref(), new.public_ip.as_ref());
        &["state", "public_ip"]
    }

    fn instance(&mut self, id: &str, old: &Instance, new: &Instance) -> &'static [&'static str] {
        self.went(id, "the state", &old.state, &new.state);
        self.maybe_went(id, "system status", old.system_status.as_ref(), new.system_status.as_ref());
        self.maybe_went(id, "instance status", old.instance_status.as_ref(), new.instance_status.as_ref());
        self.maybe_went(id, "public address", old.public_ip.as_ref(), new.public_ip.as_ref());
        self.went(id, "the type", &old.instance_type, &new.instance_type);
        let profiles = (old.instance_profile_arn.as_ref(), new.instance_profile_arn.as_ref());
        self.maybe_went(id, "instance profile", profiles.0, profiles.1);
        // Its interfaces and groups are told at the interfaces; the reason and the start belong to the state.
        &[
            "state",
            "system_status",
            "instance_status",
            "public_ip",
            "instance_type",
            "instance_profile_arn",
            "network_interface_ids",
            "security_group_ids",
            "state_reason",
            "launch_time",
        ]
    }

    fn interface(&mut self, id: &str, old: &NetworkInterface, new: &NetworkInterface) -> &'static [&'static str] {
        if old.source_dest_check != new.source_dest_check {
            let word = if new.source_dest_check { "on" } else { "off" };
            self.push(id, format!("the source/destination check of {id} was turned {word}"));
        }
        match (old.instance_id(), new.instance_id()) {
            (before, after) if before == after => {}
            (Some(before), Some(after)) => self.push(id, format!("{id} moved from {before} to {after}")),
            (None, Some(after)) => self.push(id, format!("{id} was attached to {after}")),
            (Some(before), None) => self.push(id, format!("{id} was detached from {before}")),
            (None, None) => {}
        }
        self.maybe_went(id, "public address", old.public_ip().as_ref(), new.public_ip().as_ref());
        let groups = |interface: &NetworkInterface| listed(&interface.security_group_ids);
        self.went(id, "the security groups", &groups(old), &groups(new));
        &["source_dest_check", "attachment", "association", "security_group_ids", "status"]
    }

    fn address(&mut self, id: &str, old: &Address, new: &Address) -> &'static [&'static str] {
        let holder = |address: &Address| {
            let instance = address.instance_id.as_ref().map(ToString::to_string);
            instance.or_else(|| address.network_interface_id.as_ref().map(ToString::to_string))
        };
        let what = format!("Elastic IP {} ({id})", new.public_ip);
        match (holder(old), holder(new)) {
            (before, after) if before == after && old.network_interface_id == new.network_interface_id => {}
            (Some(before), Some(after)) => self.push(id, format!("{what} moved from {before} to {after}")),
            (None, Some(after)) => self.push(id, format!("{what} was associated with {after}")),
            (Some(before), None) => self.push(id, format!("{what} was taken off {before}")),
            (None, None) => {}
        }
        &["association_id", "instance_id", "network_interface_id", "private_ip"]
    }

    fn security_group(&mut self, id: &str, old: &SecurityGroup, new: &SecurityGroup) -> &'static [&'static str] {
        // Without numbers: a rule that was taken away and given back is the same rule.
        let rules = |group: &SecurityGroup| group.rules.iter().map(rule).collect::<Vec<_>>();
        self.gained_and_lost(id, "rule", &rules(old), &rules(new));
        &["rules"]
    }

    fn network_acl(&mut self, id: &str, old: &NetworkAcl, new: &NetworkAcl) -> &'static [&'static str] {
        type ByNumber = BTreeMap<(AclDirection, u32), String>;
        let entries = |acl: &NetworkAcl| -> ByNumber {
            acl.entries.iter().map(|e| ((e.direction, e.rule_number), entry(e))).collect()
        };
        let (before, after) = (entries(old), entries(new));
        for (key, text) in &after {
            match before.get(key) {
                None => self.push(id, format!("{id} gained the entry {text}")),
                Some(earlier) if earlier != text => {
                    self.push(id, format!("an entry of {id} went from {earlier} to {text}"));
                }
                Some(_) => {}
            }
        }
        for (_, text) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
            self.push(id, format!("{id} lost the entry {text}"));
        }
        self.gained_and_lost(id, "subnet", &old.subnet_ids, &new.subnet_ids);
        &["entries", "subnet_ids"]
    }

    fn endpoint(&mut self, id: &str, old: &VpcEndpoint, new: &VpcEndpoint) -> &'static [&'static str] {
        self.went(id, "the state", &old.state, &new.state);
        self.gained_and_lost(id, "security group", &old.security_group_ids, &new.security_group_ids);
        self.gained_and_lost(id, "subnet", &old.subnet_ids, &new.subnet_ids);
        &["state", "security_group_ids", "subnet_ids", "network_interface_ids"]
    }

    fn gained_and_lost<T: PartialEq + Display>(&mut self, id: &str, what: &str, old: &[T], new: &[T]) {
        for lost in old.iter().filter(|item| !new.contains(item)) {
            self.push(id, format!("{id} lost the {what} {lost}"));
        }
        for gained in new.iter().filter(|item| !old.contains(item)) {
            self.push(id, format!("{id} gained the {what} {gained}"));
        }
    }

    /// The region's switch, and what is exempt from it. An account without the setting blocks nothing.
    fn block_public_access(&mut self, before: &Network, after: &Network) {
        let (Ok(old), Ok(new)) = (before.block_public_access.known(), after.block_public_access.known()) else {
            return;
        };
        let mode = |setting: Option<&BlockPublicAccess>| {
            setting.map_or(InternetGatewayBlockMode::Off, |setting| setting.internet_gateway_block_mode.clone())
        };
        let regions: BTreeSet<&str> = old.keys().chain(new.keys()).collect();
        for region in regions {
            let (old, new) = (old.get(region), new.get(region));
            self.went(region, "VPC Block Public Access", &mode(old), &mode(new));
            let exempt = |setting: Option<&BlockPublicAccess>| -> Vec<String> {
                let exclusions = setting.map(|setting| setting.exclusions.as_slice()).unwrap_or_default();
                let shown = exclusions.iter().map(|exclusion| {
                    let resource = exclusion.resource_arn.rsplit('/').next().unwrap_or_default();
                    format!("{} ({} for {resource})", exclusion.exclusion_id, exclusion.mode)
                });
                shown.collect()
            };
            let (old, new) = (exempt(old), exempt(new));
            for lost in old.iter().filter(|one| !new.contains(one)) {
                self.push(region, format!("VPC Block Public Access of {region} lost the exclusion {lost}"));
            }
            for gained in new.iter().filter(|one| !old.contains(one)) {
                self.push(region, format!("VPC Block Public Access of {region} gained the exclusion {gained}"));
            }
        }
    }

    /// The ranges of lists that routes and rules may name.
    fn prefix_lists(&mut self, before: &Network, after: &Network) {
        let (Ok(old), Ok(new)) = (before.prefix_lists.known(), after.prefix_lists.known()) else { return };
        for (id, list) in new {
            let Some(earlier) = old.get(id) else { continue };
            // Entries that could not be read have not changed.
            let (Some(old), Some(new)) = (&earlier.cidrs, &list.cidrs) else { continue };
            for lost in old.iter().filter(|net| !new.contains(net)) {
                self.push(id, format!("{id} lost the range {lost}"));
            }
            for gained in new.iter().filter(|net| !old.contains(net)) {
                self.push(id, format!("{id} gained the range {gained}"));
            }
        }
    }

    /// Agents answer every five minutes: only whether they do is news.
    fn agents(&mut self, before: &Part<ManagedInstance>, after: &Part<ManagedInstance>) {
        let (Ok(old), Ok(new)) = (before.known(), after.known()) else { return };
        for (id, agent) in new {
            match old.get(id) {
                None => self.push(id, format!("the SSM agent of {id} registered")),
                Some(earlier) => self.went(id, "the SSM agent", &earlier.ping_status, &agent.ping_status),
            }
        }
        for id in old.keys().filter(|id| !new.contains_key(id)) {
            self.push(id, format!("the SSM agent of {id} is not registered any more"));
        }
    }
}

fn listed<T: Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn protocol(protocol: Protocol) -> String {
    if protocol == Protocol::All { "all".to_owned() } else { protocol.to_string() }
}

/// `ingress tcp 443 from sg-…`.
fn rule(rule: &SecurityGroupRule) -> String {
    let ports = match (rule.from_port, rule.to_port) {
        _ if rule.protocol == Protocol::All => String::new(),
        (Some(from), Some(to)) if from == to => format!(" {from}"),
        (Some(from), Some(to)) => format!(" {from}-{to}"),
        _ => String::new(),
    };
    let (direction, word) = match rule.direction {
        RuleDirection::Ingress => ("ingress", "from"),
        RuleDirection::Egress => ("egress", "to"),
    };
    format!("{direction} {}{ports} {word} {}", protocol(rule.protocol), rule.peer)
}

/// `100 ingress allow tcp 1024-65535 0.0.0.0/0`.
fn entry(entry: &AclEntry) -> String {
    let direction = match entry.direction {
        AclDirection::Ingress => "ingress",
        AclDirection::Egress => "egress",
    };
    let action = match entry.action {
        AclAction::Allow => "allow",
        AclAction::Deny => "deny",
    };
    let ports = match entry.port_range {
        Some((from, to)) if from == to => format!(" {from}"),
        Some((from, to)) => format!(" {from}-{to}"),
        None => String::new(),
    };
    let v4 = entry.cidr_block.map(|net| net.to_string());
    let range = v4.or_else(|| entry.ipv6_cidr_block.map(|net| net.to_string())).unwrap_or_default();
    format!("{} {direction} {action} {}{ports} {range}", entry.rule_number, protocol(entry.protocol))
}
