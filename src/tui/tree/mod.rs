//! The tree: every resource of a snapshot as a flat list of nodes in the order in which they are drawn, and the index
//! of the rows that folding and the filter leave. Pure.
//!
//! Nodes are built once for each snapshot; the index changes with folding and filtering; labels are made only for the
//! rows on the screen. A frame over ten thousand interfaces therefore costs as much as one over ten.

mod build;
pub mod facts;
pub mod label;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::diff::Change;
use crate::model::{Network, Resource};

pub use build::build;
pub use facts::{Exposure, Facts};

/// The kinds of resources, in the order of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Vpc,
    Subnet,
    Instance,
    RouteTable,
    InternetGateway,
    EgressOnlyInternetGateway,
    NatGateway,
    NetworkInterface,
    SecurityGroup,
    NetworkAcl,
    VpcEndpoint,
    Address,
    InstanceProfile,
}

impl Kind {
    /// For people, in the singular: `route table`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Vpc => "VPC",
            Self::Subnet => "subnet",
            Self::Instance => "instance",
            Self::RouteTable => "route table",
            Self::InternetGateway => "internet gateway",
            Self::EgressOnlyInternetGateway => "egress-only internet gateway",
            Self::NatGateway => "NAT gateway",
            Self::NetworkInterface => "network interface",
            Self::SecurityGroup => "security group",
            Self::NetworkAcl => "network ACL",
            Self::VpcEndpoint => "VPC endpoint",
            Self::Address => "Elastic IP",
            Self::InstanceProfile => "instance profile",
        }
    }

    /// The kind that an identifier belongs to, by its prefix.
    pub fn of_id(id: &str) -> Option<Self> {
        const PREFIXES: [(&str, Kind); 12] = [
            ("vpc-", Kind::Vpc),
            ("subnet-", Kind::Subnet),
            ("i-", Kind::Instance),
            ("rtb-", Kind::RouteTable),
            ("igw-", Kind::InternetGateway),
            ("eigw-", Kind::EgressOnlyInternetGateway),
            ("nat-", Kind::NatGateway),
            ("eni-", Kind::NetworkInterface),
            ("sg-", Kind::SecurityGroup),
            ("acl-", Kind::NetworkAcl),
            ("vpce-", Kind::VpcEndpoint),
            ("eipalloc-", Kind::Address),
        ];
        PREFIXES.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, kind)| *kind)
    }

    /// The heading of a group of them.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Vpc => "VPCs",
            Self::Subnet => "Subnets",
            Self::Instance => "Instances",
            Self::RouteTable => "Route tables",
            Self::InternetGateway => "Internet gateways",
            Self::EgressOnlyInternetGateway => "Egress-only internet gateways",
            Self::NatGateway => "NAT gateways",
            Self::NetworkInterface => "Network interfaces",
            Self::SecurityGroup => "Security groups",
            Self::NetworkAcl => "Network ACLs",
            Self::VpcEndpoint => "Endpoints",
            Self::Address => "Elastic IPs",
            Self::InstanceProfile => "Instance profiles",
        }
    }
}

/// What a node stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    Resource(Kind, Arc<str>),
    /// A heading over resources of one kind.
    Group(Kind),
    /// A heading over the NAT instances of a VPC.
    NatInstances,
    /// A heading over what belongs to no VPC.
    Outside,
    /// One route of a table, by its place.
    Route(Arc<str>, usize),
    /// One rule of a security group, by its place.
    Rule(Arc<str>, usize),
    /// One entry of a network ACL, by its place.
    Entry(Arc<str>, usize),
    /// One gap of the snapshot, by its place in [`Network::gaps`].
    Unknown(usize),
}

impl What {
    /// The resource that the node stands for or belongs to.
    pub fn resource_id(&self) -> Option<(Kind, &str)> {
        match self {
            Self::Resource(kind, id) => Some((*kind, id)),
            Self::Route(id, _) => Some((Kind::RouteTable, id)),
            Self::Rule(id, _) => Some((Kind::SecurityGroup, id)),
            Self::Entry(id, _) => Some((Kind::NetworkAcl, id)),
            Self::Group(_) | Self::NatInstances | Self::Outside | Self::Unknown(_) => None,
        }
    }
}

/// Tells nodes apart across snapshots: a hash of the way from the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(u64);

impl NodeKey {
    /// For a row that is drawn outside of the tree.
    pub fn none() -> Self {
        Self(0)
    }
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    pub what: What,
    pub key: NodeKey,
    pub parent: Option<usize>,
    pub depth: usize,
    /// The first node after this one's descendants.
    pub end: usize,
    /// How many children it has.
    pub children: usize,
}

/// What labels are made from: the newest snapshot, and the earlier one for what has gone since.
#[derive(Debug, Clone)]
pub struct Seen {
    pub network: Arc<Network>,
    /// What the marks compare with.
    pub baseline: Arc<Network>,
    pub changes: BTreeMap<String, Change>,
    pub facts: Facts,
}

impl Seen {
    pub fn new(network: Arc<Network>, baseline: Arc<Network>) -> Self {
        let changes = crate::model::diff::diff(&baseline, &network);
        let facts = Facts::of(&network);
        Self { network, baseline, changes, facts }
    }

    /// A resource as it is, or as it last was.
    pub fn resource(&self, kind: Kind, id: &str) -> Option<Resource<'_>> {
        resource(&self.network, kind, id).or_else(|| resource(&self.baseline, kind, id))
    }

    /// How the resource changed since the baseline.
    pub fn change(&self, id: &str) -> Option<Change> {
        self.changes.get(id).copied()
    }
}

/// One resource of a snapshot by kind and identifier.
pub fn resource<'a>(network: &'a Network, kind: Kind, id: &str) -> Option<Resource<'a>> {
    match kind {
        Kind::Vpc => network.vpcs.shown().get(id).map(Resource::Vpc),
        Kind::Subnet => network.subnets.shown().get(id).map(Resource::Subnet),
        Kind::Instance => network.instances.shown().get(id).map(Resource::Instance),
        Kind::RouteTable => network.route_tables.shown().get(id).map(Resource::RouteTable),
        Kind::InternetGateway => network.internet_gateways.shown().get(id).map(Resource::InternetGateway),
        Kind::EgressOnlyInternetGateway => {
            network.egress_only_internet_gateways.shown().get(id).map(Resource::EgressOnlyInternetGateway)
        }
        Kind::NatGateway => network.nat_gateways.shown().get(id).map(Resource::NatGateway),
        Kind::NetworkInterface => network.network_interfaces.shown().get(id).map(Resource::NetworkInterface),
        Kind::SecurityGroup => network.security_groups.shown().get(id).map(Resource::SecurityGroup),
        Kind::NetworkAcl => network.network_acls.shown().get(id).map(Resource::NetworkAcl),
        Kind::VpcEndpoint => network.vpc_endpoints.shown().get(id).map(Resource::VpcEndpoint),
        Kind::Address => network.addresses.shown().get(id).map(Resource::Address),
        Kind::InstanceProfile => network.instance_profiles.shown().get(id).map(Resource::InstanceProfile),
    }
}

/// The nodes, what is folded, what the filter leaves, and where the cursor is.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Places in `nodes` of the rows to draw.
    visible: Vec<usize>,
    /// What the person folded or unfolded, against the default.
    folds: HashMap<NodeKey, bool>,
    /// Place in `visible`.
    cursor: usize,
    /// The first row on the screen.
    top: usize,
    filter: String,
    /// For each node, what the filter looks at, in lower case. Made when the filter is first used.
    haystack: Vec<String>,
    /// Rows that match by themselves, not just as ancestors. Sorted places in `nodes`.
    matches: Vec<usize>,
}

impl Tree {
    /// Takes the nodes of a new snapshot and keeps folding, filter and the cursor's node.
    pub fn replace(&mut self, nodes: Vec<Node>, seen: &Seen) {
        let at = self.selected().map(|node| node.key);
        self.nodes = nodes;
        self.haystack.clear();
        self.index(seen);
        if let Some(place) = at.and_then(|key| self.place_of(key)) {
            self.cursor = place;
        }
        self.cursor = self.cursor.min(self.visible.len().saturating_sub(1));
    }

    pub fn selected(&self) -> Option<&Node> {
        self.visible.get(self.cursor).and_then(|at| self.nodes.get(*at))
    }

    /// The visible rows of a window of `height`, with their place among the visible rows.
    pub fn rows(&self, height: usize) -> impl Iterator<Item = (usize, &Node)> {
        let places = self.visible.iter().enumerate().skip(self.top).take(height);
        places.filter_map(|(row, at)| self.nodes.get(*at).map(|node| (row, node)))
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn top(&self) -> usize {
        self.top
    }

    /// How many rows there are to scroll through.
    pub fn len(&self) -> usize {
        self.visible.len()
    }

    pub fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// How many nodes the filter found.
    pub fn found(&self) -> usize {
        self.matches.len()
    }

    /// Whether a node is one that the filter found, not just the ancestor of one.
    pub fn is_match(&self, row: usize) -> bool {
        self.visible.get(row).is_some_and(|at| self.matches.binary_search(at).is_ok())
    }

    /// Whether the children of a node are shown.
    pub fn is_open(&self, node: &Node) -> bool {
        if self.filter.is_empty() {
            self.folds.get(&node.key).copied().unwrap_or_else(|| open_by_default(node))
        } else {
            true
        }
    }

    /// Moves the cursor by rows, within bounds.
    pub fn step(&mut self, by: isize) {
        let last = self.visible.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    /// Puts the cursor on the first or last row.
    pub fn jump(&mut self, to_end: bool) {
        self.cursor = if to_end { self.visible.len().saturating_sub(1) } else { 0 };
    }

    /// Keeps the cursor within a window of `height` rows.
    pub fn keep_in_view(&mut self, height: usize) {
        let height = height.max(1);
        let last_top = self.visible.len().saturating_sub(height);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height)).min(last_top);
    }

    /// Folds the selected node, or goes to its parent when there is nothing to fold.
    pub fn fold(&mut self, seen: &Seen) {
        let Some(node) = self.selected().cloned() else { return };
        if node.children > 0 && self.is_open(&node) && self.filter.is_empty() {
            self.folds.insert(node.key, false);
            self.index(seen);
        } else if let Some(parent) = node.parent.and_then(|at| self.visible.binary_search(&at).ok()) {
            self.cursor = parent;
        }
    }

    /// Unfolds the selected node. False: it has nothing to unfold, or is open.
    pub fn unfold(&mut self, seen: &Seen) -> bool {
        let Some(node) = self.selected().cloned() else { return false };
        if node.children == 0 || self.is_open(&node) {
            return false;
        }
        self.folds.insert(node.key, true);
        self.index(seen);
        true
    }

    /// Shows only nodes that contain `text` and their ancestors. Empty: everything.
    pub fn set_filter(&mut self, text: &str, seen: &Seen) {
        let at = self.selected().map(|node| node.key);
        self.filter = text.to_lowercase();
        self.index(seen);
        let on_match =
            at.and_then(|key| self.place_of(key)).filter(|row| self.filter.is_empty() || self.is_match(*row));
        self.cursor = on_match.or_else(|| self.first_match()).unwrap_or(0);
    }

    /// Goes to the next or previous match, around the end. False: nothing matches.
    pub fn next_match(&mut self, forward: bool) -> bool {
        let rows = self.visible.len();
        let Some(found) = (1..=rows)
            .map(|step| if forward { (self.cursor + step) % rows } else { (self.cursor + rows - step) % rows })
            .find(|row| self.is_match(*row))
        else {
            return false;
        };
        self.cursor = found;
        true
    }

    /// Unfolds what hides a resource and puts the cursor on it. False: it is not in the tree.
    pub fn reveal(&mut self, id: &str, seen: &Seen) -> bool {
        let is_it = |node: &Node| matches!(&node.what, What::Resource(_, other) if other.as_ref() == id);
        let Some(at) = self.nodes.iter().position(is_it) else { return false };
        let mut above = self.nodes.get(at).and_then(|node| node.parent);
        while let Some(node) = above.and_then(|at| self.nodes.get(at)) {
            self.folds.insert(node.key, true);
            above = node.parent;
        }
        self.filter.clear();
        self.index(seen);
        if let Ok(row) = self.visible.binary_search(&at) {
            self.cursor = row;
        }
        true
    }

    fn first_match(&self) -> Option<usize> {
        (0..self.visible.len()).find(|row| self.is_match(*row))
    }

    fn place_of(&self, key: NodeKey) -> Option<usize> {
        self.visible.iter().position(|at| self.nodes.get(*at).is_some_and(|node| node.key == key))
    }

    /// Makes the index of visible rows anew.
    fn index(&mut self, seen: &Seen) {
        let mut visible = std::mem::take(&mut self.visible);
        visible.clear();
        self.matches.clear();
        if self.filter.is_empty() {
            let mut at = 0;
            while let Some(node) = self.nodes.get(at) {
                visible.push(at);
                at = if self.is_open(node) { at + 1 } else { node.end };
            }
        } else {
            if self.haystack.len() != self.nodes.len() {
                self.haystack = self.nodes.iter().map(|node| label::haystack(seen, node)).collect();
            }
            let words: Vec<&str> = self.filter.split_whitespace().collect();
            let mut ancestors = Vec::new();
            for (at, (node, hay)) in self.nodes.iter().zip(&self.haystack).enumerate() {
                if !words.iter().all(|word| hay.contains(word)) {
                    continue;
                }
                self.matches.push(at);
                ancestors.clear();
                let mut above = node.parent;
                // An ancestor before the last row is an ancestor of that row, too, and there already.
                while let Some(parent) = above.filter(|parent| visible.last().is_none_or(|last| last < parent)) {
                    ancestors.push(parent);
                    above = self.nodes.get(parent).and_then(|node| node.parent);
                }
                visible.extend(ancestors.iter().rev());
                visible.push(at);
            }
        }
        self.visible = visible;
        self.cursor = self.cursor.min(self.visible.len().saturating_sub(1));
    }
}

/// Whether a node is open until someone folds it.
fn open_by_default(node: &Node) -> bool {
    match &node.what {
        What::Resource(Kind::Vpc, _) => true,
        What::Resource(Kind::Subnet | Kind::RouteTable, _) => node.children <= 40,
        What::Group(Kind::RouteTable) | What::NatInstances => node.children <= 12,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
