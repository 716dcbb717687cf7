//! From a snapshot to the list of nodes. Pure.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::model::{InstanceId, Network, Part, SubnetId, Tags};

use super::{Exposure, Kind, Node, NodeKey, Seen, What};

/// All nodes of a snapshot, parents before children. What has gone since the baseline is in its old place.
pub fn build(seen: &Seen) -> Vec<Node> {
    let mut builder = Builder { seen, nodes: Vec::new(), path: Vec::new() };
    builder.region();
    builder.nodes
}

/// Resources of one kind, by the VPC or subnet that they are in.
type ByPlace<'a, V> = HashMap<&'a str, Vec<(&'a str, &'a V)>>;

struct Builder<'a> {
    seen: &'a Seen,
    nodes: Vec<Node>,
    /// Places of the open ancestors.
    path: Vec<usize>,
}

impl<'a> Builder<'a> {
    /// What is shown of a part, with what has gone since the baseline.
    fn items<V, L: 'a>(&self, part: impl Fn(&Network) -> &Part<V, L>) -> BTreeMap<&'a str, &'a V> {
        let seen = self.seen;
        let gone = part(&seen.baseline)
            .shown()
            .iter()
            .filter(|(id, _)| seen.changes.get(*id) == Some(&crate::model::diff::Change::Removed));
        let here = part(&seen.network).shown().iter();
        gone.chain(here).collect()
    }

    /// The same, by place and there by name.
    fn placed<V, L: 'a>(
        &self,
        part: impl Fn(&Network) -> &Part<V, L>,
        place: impl Fn(&'a V) -> Option<&'a str>,
        tags: impl Fn(&'a V) -> &'a Tags,
    ) -> ByPlace<'a, V> {
        let mut places: ByPlace<'a, V> = HashMap::new();
        for (id, value) in self.items(part) {
            places.entry(place(value).unwrap_or_default()).or_default().push((id, value));
        }
        for members in places.values_mut() {
            members.sort_by_key(|(id, value)| (tags(value).name().unwrap_or("\u{10FFFF}"), *id));
        }
        places
    }

    fn open(&mut self, what: What) {
        let parent = self.path.last().copied();
        let above = parent.and_then(|at| self.nodes.get_mut(at));
        let mut hasher = DefaultHasher::new();
        if let Some(above) = above {
            above.children += 1;
            above.key.hash(&mut hasher);
        }
        what.hash(&mut hasher);
        let at = self.nodes.len();
        let (key, depth) = (NodeKey(hasher.finish()), self.path.len());
        self.nodes.push(Node { what, key, parent, depth, end: at + 1, children: 0 });
        self.path.push(at);
    }

    fn close(&mut self) {
        let end = self.nodes.len();
        if let Some(node) = self.path.pop().and_then(|at| self.nodes.get_mut(at)) {
            node.end = end;
        }
    }

    fn leaf(&mut self, what: What) {
        self.open(what);
        self.close();
    }

    fn resource(&mut self, kind: Kind, id: &str) {
        self.leaf(What::Resource(kind, Arc::from(id)));
    }

    fn group<V>(
        &mut self,
        kind: Kind,
        members: Option<&Vec<(&'a str, &'a V)>>,
        mut each: impl FnMut(&mut Self, &'a V),
    ) {
        let Some(members) = members.filter(|members| !members.is_empty()) else { return };
        self.open(What::Group(kind));
        for (id, value) in members {
            self.open(What::Resource(kind, Arc::from(*id)));
            each(self, value);
            self.close();
        }
        self.close();
    }

    fn region(&mut self) {
        let vpcs = self.items(|n| &n.vpcs);
        let subnets = self.placed(|n| &n.subnets, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let instances = self.placed(|n| &n.instances, |v| v.subnet_id.as_ref().map(SubnetId::as_str), |v| &v.tags);
        let interfaces = self.placed(|n| &n.network_interfaces, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let held = self.placed(|n| &n.network_interfaces, |v| v.instance_id().map(InstanceId::as_str), |v| &v.tags);
        let by_subnet = self.placed(|n| &n.network_interfaces, |v| Some(v.subnet_id.as_str()), |v| &v.tags);
        let nat_gateways = self.placed(|n| &n.nat_gateways, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let tables = self.placed(|n| &n.route_tables, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let gateways =
            self.placed(|n| &n.internet_gateways, |v| v.attachments.first().map(|a| a.vpc_id.as_str()), |v| &v.tags);
        let egress_only = self.placed(
            |n| &n.egress_only_internet_gateways,
            |v| v.attachments.first().map(|a| a.vpc_id.as_str()),
            |v| &v.tags,
        );
        let groups = self.placed(|n| &n.security_groups, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let acls = self.placed(|n| &n.network_acls, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let endpoints = self.placed(|n| &n.vpc_endpoints, |v| Some(v.vpc_id.as_str()), |v| &v.tags);
        let seen = self.seen;
        let addresses = self.placed(
            |n| &n.addresses,
            |v| {
                let interface = v.network_interface_id.as_ref()?;
                Some(seen.network.network_interfaces.shown().get(interface.as_str())?.vpc_id.as_str())
            },
            |v| &v.tags,
        );

        let mut order: Vec<_> = vpcs.iter().collect();
        order.sort_by_key(|(id, vpc)| (vpc.is_default, vpc.tags.name().unwrap_or("\u{10FFFF}"), **id));
        for (vpc_id, _) in order {
            self.open(What::Resource(Kind::Vpc, Arc::from(*vpc_id)));
            let mut inside: Vec<_> = subnets.get(vpc_id).into_iter().flatten().collect();
            inside.sort_by_key(|(id, subnet)| {
                let public = self.seen.facts.exposure.get(*id) == Some(&Exposure::Public);
                (!public, subnet.cidr_block.map(|net| net.addr()), *id)
            });
            let mut nats = Vec::new();
            for (subnet_id, _) in inside {
                self.open(What::Resource(Kind::Subnet, Arc::from(*subnet_id)));
                let mut here: Vec<_> = instances.get(subnet_id).into_iter().flatten().collect();
                here.sort_by_key(|(_, instance)| !self.seen.facts.is_nat(&instance.instance_id));
                for (id, instance) in here {
                    if self.seen.facts.is_nat(&instance.instance_id) {
                        nats.push(*id);
                    }
                    self.instance(id, &held);
                }
                for (id, gateway) in nat_gateways.get(vpc_id).into_iter().flatten() {
                    if gateway.subnet_id.as_str() == *subnet_id {
                        self.resource(Kind::NatGateway, id);
                    }
                }
                // A NAT's further interfaces are where its clients' routes point: they belong into the picture.
                for (id, interface) in by_subnet.get(subnet_id).into_iter().flatten() {
                    let further = interface.attachment.as_ref().is_some_and(|a| a.device_index > 0);
                    if further && interface.instance_id().is_some_and(|id| self.seen.facts.is_nat(id)) {
                        self.resource(Kind::NetworkInterface, id);
                    }
                }
                self.close();
            }
            self.group(Kind::RouteTable, tables.get(vpc_id), |b, table| {
                let id: Arc<str> = Arc::from(table.route_table_id.as_str());
                (0..table.routes.len()).for_each(|at| b.leaf(What::Route(id.clone(), at)));
            });
            self.group(Kind::InternetGateway, gateways.get(vpc_id), |_, _| {});
            self.group(Kind::EgressOnlyInternetGateway, egress_only.get(vpc_id), |_, _| {});
            if !nats.is_empty() {
                self.open(What::NatInstances);
                nats.iter().for_each(|id| self.instance(id, &held));
                self.close();
            }
            self.group(Kind::NatGateway, nat_gateways.get(vpc_id), |_, _| {});
            self.group(Kind::NetworkInterface, interfaces.get(vpc_id), |_, _| {});
            self.group(Kind::SecurityGroup, groups.get(vpc_id), |b, group| {
                let id: Arc<str> = Arc::from(group.group_id.as_str());
                (0..group.rules.len()).for_each(|at| b.leaf(What::Rule(id.clone(), at)));
            });
            self.group(Kind::NetworkAcl, acls.get(vpc_id), |b, acl| {
                let id: Arc<str> = Arc::from(acl.network_acl_id.as_str());
                (0..acl.entries.len()).for_each(|at| b.leaf(What::Entry(id.clone(), at)));
            });
            self.group(Kind::VpcEndpoint, endpoints.get(vpc_id), |_, _| {});
            self.group(Kind::Address, addresses.get(vpc_id), |_, _| {});
            self.close();
        }
        self.outside(&vpcs, &subnets, &instances, &gateways, &addresses);
        for at in 0..self.seen.network.gaps().len() {
            self.leaf(What::Unknown(at));
        }
    }

    fn instance(&mut self, id: &str, held: &ByPlace<'a, crate::model::NetworkInterface>) {
        self.open(What::Resource(Kind::Instance, Arc::from(id)));
        let mut interfaces: Vec<_> = held.get(id).into_iter().flatten().collect();
        interfaces.sort_by_key(|(_, interface)| interface.attachment.as_ref().map(|a| a.device_index));
        interfaces.iter().for_each(|(id, _)| self.resource(Kind::NetworkInterface, id));
        self.close();
    }

    /// What is in no VPC that is shown: nothing that was seen may be missing from the tree.
    fn outside(
        &mut self,
        vpcs: &BTreeMap<&'a str, &'a crate::model::Vpc>,
        subnets: &ByPlace<'a, crate::model::Subnet>,
        instances: &ByPlace<'a, crate::model::Instance>,
        gateways: &ByPlace<'a, crate::model::InternetGateway>,
        addresses: &ByPlace<'a, crate::model::Address>,
    ) {
        let known_subnets: std::collections::HashSet<&str> = subnets
            .iter()
            .filter(|(vpc, _)| vpcs.contains_key(*vpc))
            .flat_map(|(_, members)| members.iter().map(|(id, _)| *id))
            .collect();
        let mut rows: Vec<(Kind, &str)> = Vec::new();
        let strays = |places: Vec<(&&'a str, Vec<&'a str>)>, inside: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
            places.into_iter().filter(|(place, _)| !inside(place)).flat_map(|(_, ids)| ids).collect()
        };
        let in_vpc = |place: &str| vpcs.contains_key(place);
        let in_subnet = |place: &str| known_subnets.contains(place);
        rows.extend(strays(ids(subnets), &in_vpc).into_iter().map(|id| (Kind::Subnet, id)));
        rows.extend(strays(ids(instances), &in_subnet).into_iter().map(|id| (Kind::Instance, id)));
        rows.extend(strays(ids(gateways), &in_vpc).into_iter().map(|id| (Kind::InternetGateway, id)));
        rows.extend(strays(ids(addresses), &in_vpc).into_iter().map(|id| (Kind::Address, id)));
        if rows.is_empty() {
            return;
        }
        rows.sort_unstable();
        self.open(What::Outside);
        rows.iter().for_each(|(kind, id)| self.resource(*kind, id));
        self.close();
    }
}

/// The identifiers of each place.
fn ids<'p, 'a, V>(places: &'p ByPlace<'a, V>) -> Vec<(&'p &'a str, Vec<&'a str>)> {
    places.iter().map(|(place, members)| (place, members.iter().map(|(id, _)| *id).collect())).collect()
}
