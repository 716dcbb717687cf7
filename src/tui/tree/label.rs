//! What a row of the tree says. Made only for rows on the screen, and once for all rows when the filter is first used.
//! Pure; the text is clean.

use crate::model::{
    AclAction, AclDirection, Instance, InstanceId, InstanceState, InterfaceStatus, NatGatewayState, Network,
    NetworkInterface, Resource, Route, RouteState, RouteTarget, RuleDirection, SecurityGroupRule, StatusCheck,
};
use crate::tui::theme::Tone;
use crate::tui::widget::text::clean;

use super::{Exposure, Kind, Node, Seen, What};

/// One row: a symbol for the state, then the parts in falling importance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    pub symbol: Option<(&'static str, Tone)>,
    pub parts: Vec<(String, Tone)>,
}

impl Label {
    fn new(symbol: Option<(&'static str, Tone)>) -> Self {
        Self { symbol, parts: Vec::new() }
    }

    fn with(mut self, text: impl AsRef<str>, tone: Tone) -> Self {
        if !text.as_ref().is_empty() {
            self.parts.push((clean(text.as_ref()).into_owned(), tone));
        }
        self
    }

    fn with_option(self, text: Option<impl AsRef<str>>, tone: Tone) -> Self {
        match text {
            Some(text) => self.with(text, tone),
            None => self,
        }
    }

    /// All of it in one line.
    pub fn text(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(|(text, _)| text.as_str()).collect();
        parts.join("  ")
    }
}

/// What the filter looks at: the label and the identifier, in lower case.
pub fn haystack(seen: &Seen, node: &Node) -> String {
    let mut text = label(seen, node).text();
    if let What::Resource(_, id) = &node.what {
        text.push(' ');
        text.push_str(id);
        if let Some(Resource::Instance(instance)) = seen.resource(Kind::Instance, id) {
            text.push_str(&format!(" {} {}", instance.state, instance.instance_type));
        }
    }
    text.to_lowercase()
}

/// The row of a node.
pub fn label(seen: &Seen, node: &Node) -> Label {
    match &node.what {
        What::Resource(kind, id) => match seen.resource(*kind, id) {
            Some(found) => resource(seen, found),
            None => Label::new(None).with(id, Tone::Dim),
        },
        What::Group(kind) => {
            Label::new(None).with(kind.heading(), Tone::Text).with(node.children.to_string(), Tone::Dim)
        }
        What::NatInstances => {
            Label::new(None).with("NAT instances", Tone::Text).with(node.children.to_string(), Tone::Dim)
        }
        What::Outside => {
            Label::new(None).with("In no VPC shown", Tone::Text).with(node.children.to_string(), Tone::Dim)
        }
        What::Route(id, at) => match seen.resource(Kind::RouteTable, id) {
            Some(Resource::RouteTable(table)) => {
                table.routes.get(*at).map_or_else(Label::default, |route| self::route(&seen.network, route))
            }
            _ => Label::default(),
        },
        What::Rule(id, at) => match seen.resource(Kind::SecurityGroup, id) {
            Some(Resource::SecurityGroup(group)) => group.rules.get(*at).map_or_else(Label::default, rule),
            _ => Label::default(),
        },
        What::Entry(id, at) => match seen.resource(Kind::NetworkAcl, id) {
            Some(Resource::NetworkAcl(acl)) => acl.entries.get(*at).map_or_else(Label::default, entry),
            _ => Label::default(),
        },
        What::Unknown(at) => match seen.network.gaps().get(*at) {
            Some(gap) => Label::new(Some(("?", Tone::Unknown)))
                .with(format!("unknown: {}: {}", gap.what, gap.reason), Tone::Unknown),
            None => Label::default(),
        },
    }
}

/// A resource's `Name`, or its identifier.
pub fn name_of(resource: Resource<'_>) -> &str {
    match resource {
        Resource::SecurityGroup(group) => group.tags.name().unwrap_or(&group.group_name),
        Resource::VpcEndpoint(endpoint) => endpoint.tags.name().unwrap_or_else(|| endpoint.service()),
        Resource::InstanceProfile(profile) => &profile.name,
        other => other.tags().name().unwrap_or_else(|| other.id()),
    }
}

/// A sentence with names instead of identifiers, where there are names. `i-… (Web)` becomes `Web`.
pub fn with_names(seen: &Seen, text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut after_id = false;
    for word in text.split(' ') {
        // What stands in parentheses behind an identifier is another name of the same.
        if std::mem::take(&mut after_id) && word.starts_with('(') && word.ends_with(')') {
            continue;
        }
        let id = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let named = Kind::of_id(id).and_then(|kind| seen.resource(kind, id)).map(|found| match found {
            // An interface without a name is known by what it is attached to.
            Resource::NetworkInterface(interface) if interface.tags.name().is_none() => {
                let holder = interface.instance_id().map(InstanceId::as_str);
                let name = holder.and_then(|id| seen.resource(Kind::Instance, id)).map(name_of);
                let device = interface.attachment.as_ref().map_or(0, |a| a.device_index);
                name.map_or_else(|| id.to_owned(), |name| format!("{name} #{device}"))
            }
            other => name_of(other).to_owned(),
        });
        after_id = named.is_some() && word.ends_with(id);
        words.push(match named {
            Some(name) => word.replacen(id, &name, 1),
            None => word.to_owned(),
        });
    }
    words.join(" ")
}

/// The name, and behind it the identifier where that says more.
fn named(resource: Resource<'_>, symbol: Option<(&'static str, Tone)>) -> Label {
    Label::new(symbol).with(name_of(resource), Tone::Strong)
}

fn resource(seen: &Seen, found: Resource<'_>) -> Label {
    let id = (name_of(found) != found.id()).then(|| found.id());
    match found {
        Resource::Vpc(vpc) => {
            let ranges: Vec<String> = vpc.cidr_blocks.iter().map(ToString::to_string).collect();
            named(found, None)
                .with(ranges.join(" "), Tone::Text)
                .with(if vpc.is_default { "default" } else { "" }, Tone::Dim)
                .with_option(id, Tone::Dim)
        }
        Resource::Subnet(subnet) => {
            let (word, tone) = exposure(seen, subnet.subnet_id.as_str());
            let cidr = subnet.cidr_block.map(|net| net.to_string());
            named(found, None).with_option(cidr, Tone::Text).with(word, tone).with(&subnet.availability_zone, Tone::Dim)
        }
        Resource::Instance(instance) => self::instance(seen, found, instance),
        Resource::RouteTable(table) => {
            let subnets: Vec<&str> = table
                .subnet_ids()
                .map(|id| seen.resource(Kind::Subnet, id.as_str()).map_or(id.as_str(), name_of))
                .collect();
            named(found, None)
                .with(if table.is_main() { "main" } else { "" }, Tone::Accent)
                .with(subnets.join(", "), Tone::Dim)
        }
        Resource::InternetGateway(gateway) => attached(found, &gateway.attachments),
        Resource::EgressOnlyInternetGateway(gateway) => attached(found, &gateway.attachments),
        Resource::NatGateway(gateway) => {
            let symbol = match &gateway.state {
                NatGatewayState::Available => ("●", Tone::Ok),
                NatGatewayState::Pending | NatGatewayState::Deleting => ("◐", Tone::Busy),
                NatGatewayState::Failed => ("✗", Tone::Bad),
                _ => ("○", Tone::Dim),
            };
            named(found, Some(symbol))
                .with("NAT gateway", Tone::Dim)
                .with_option(gateway.public_ip.map(|ip| ip.to_string()), Tone::Text)
                .with(if gateway.state == NatGatewayState::Available { "" } else { gateway.state.as_str() }, Tone::Warn)
        }
        Resource::NetworkInterface(interface) => self::interface(seen, found, interface),
        Resource::SecurityGroup(group) => named(found, None)
            .with(format!("{} in, {} out", group.ingress().count(), group.egress().count()), Tone::Dim)
            .with_option(id, Tone::Dim),
        Resource::NetworkAcl(acl) => named(found, None)
            .with(if acl.is_default { "default" } else { "" }, Tone::Accent)
            .with(count(acl.subnet_ids.len(), "subnet"), Tone::Dim),
        Resource::Address(address) => {
            let symbol = if address.association_id.is_some() { ("●", Tone::Ok) } else { ("○", Tone::Warn) };
            let holder = address.instance_id.as_ref().map(InstanceId::as_str);
            let holder = holder.map(|id| seen.resource(Kind::Instance, id).map_or(id, name_of));
            Label::new(Some(symbol))
                .with(address.public_ip.to_string(), Tone::Strong)
                .with_option(holder.or(address.association_id.is_none().then_some("not associated")), Tone::Dim)
                .with_option(address.tags.name(), Tone::Dim)
        }
        Resource::VpcEndpoint(endpoint) => {
            let fine = endpoint.state.as_str().eq_ignore_ascii_case("available");
            Label::new(Some(if fine { ("●", Tone::Ok) } else { ("◐", Tone::Warn) }))
                .with(endpoint.service(), Tone::Strong)
                .with(endpoint.kind.as_str(), Tone::Dim)
                .with(if fine { "" } else { endpoint.state.as_str() }, Tone::Warn)
                .with_option(endpoint.tags.name(), Tone::Dim)
        }
        Resource::InstanceProfile(_) => named(found, None),
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn attached(found: Resource<'_>, attachments: &[crate::model::GatewayAttachment]) -> Label {
    match attachments.first() {
        Some(a) if a.state.is_usable() => named(found, Some(("●", Tone::Ok))).with("attached", Tone::Dim),
        Some(a) => named(found, Some(("◐", Tone::Busy))).with(a.state.as_str(), Tone::Warn),
        None => named(found, Some(("○", Tone::Warn))).with("not attached", Tone::Warn),
    }
}

/// How a subnet reaches the internet, in a few words.
pub fn exposure(seen: &Seen, subnet_id: &str) -> (String, Tone) {
    match seen.facts.exposure.get(subnet_id) {
        Some(Exposure::Public) => ("public".to_owned(), Tone::Accent),
        Some(Exposure::Private(target)) => (format!("private → {}", target_name(&seen.network, target)), Tone::Dim),
        Some(Exposure::Blackhole(_)) => ("private ✗ blackhole".to_owned(), Tone::Bad),
        Some(Exposure::Isolated) => ("no way out".to_owned(), Tone::Warn),
        Some(Exposure::Unknown(_)) => ("? route table unknown".to_owned(), Tone::Unknown),
        None => (String::new(), Tone::Dim),
    }
}

/// The symbol and word of an instance's state.
pub fn state(state: &InstanceState) -> (&'static str, Tone) {
    match state {
        InstanceState::Running => ("●", Tone::Ok),
        InstanceState::Pending | InstanceState::Stopping | InstanceState::ShuttingDown => ("◐", Tone::Busy),
        InstanceState::Stopped => ("○", Tone::Warn),
        InstanceState::Terminated => ("✗", Tone::Dim),
        InstanceState::Other(_) => ("?", Tone::Unknown),
    }
}

/// The two status checks in a few characters: `2/2`, `1/2 impaired`, `checks initializing`. Empty: not reported.
pub fn status_checks(instance: &Instance) -> (String, Tone) {
    let checks = [instance.system_status.as_ref(), instance.instance_status.as_ref()];
    let known: Vec<&StatusCheck> = checks.into_iter().flatten().collect();
    if known.is_empty() {
        return (String::new(), Tone::Dim);
    }
    let passed = known.iter().filter(|check| ***check == StatusCheck::Ok).count();
    match known.iter().find(|check| ***check != StatusCheck::Ok) {
        None => (format!("{passed}/2"), Tone::Dim),
        Some(StatusCheck::Initializing) => ("initializing".to_owned(), Tone::Busy),
        Some(StatusCheck::Impaired) => (format!("{passed}/2 impaired"), Tone::Bad),
        Some(other) => (format!("{passed}/2 {other}"), Tone::Warn),
    }
}

fn instance(seen: &Seen, found: Resource<'_>, instance: &Instance) -> Label {
    let (symbol, tone) = state(&instance.state);
    let running = instance.state == InstanceState::Running;
    let (checks, checks_tone) = status_checks(instance);
    let is_nat = seen.facts.is_nat(&instance.instance_id);
    named(found, Some((symbol, tone)))
        .with(if is_nat { "NAT" } else { "" }, Tone::Accent)
        .with(if running { "" } else { instance.state.as_str() }, tone)
        .with(if checks_tone == Tone::Dim { "" } else { &checks }, checks_tone)
        .with_option(instance.private_ip.map(|ip| ip.to_string()), Tone::Text)
        .with_option(instance.public_ip.map(|ip| ip.to_string()), Tone::Text)
        .with(if checks_tone == Tone::Dim { &checks } else { "" }, Tone::Dim)
        .with(&instance.instance_type, Tone::Dim)
}

fn interface(seen: &Seen, found: Resource<'_>, interface: &NetworkInterface) -> Label {
    let symbol = match &interface.status {
        InterfaceStatus::InUse | InterfaceStatus::Associated => ("●", Tone::Ok),
        InterfaceStatus::Available => ("○", Tone::Dim),
        InterfaceStatus::Attaching | InterfaceStatus::Detaching => ("◐", Tone::Busy),
        InterfaceStatus::Other(_) => ("?", Tone::Unknown),
    };
    let nat = interface.instance_id().is_some_and(|id| seen.facts.is_nat(id));
    let holder = interface.instance_id().map(|id| {
        let name = seen.resource(Kind::Instance, id.as_str()).map_or(id.as_str(), name_of);
        let device = interface.attachment.as_ref().map_or(0, |a| a.device_index);
        format!("{name} #{device}")
    });
    let check = match (interface.source_dest_check, nat) {
        (false, _) => ("src/dst check off", Tone::Accent),
        (true, true) => ("src/dst check on", Tone::Warn),
        (true, false) => ("", Tone::Dim),
    };
    let name = match interface.tags.name() {
        Some(name) => name,
        None if interface.requester_managed && !interface.description.is_empty() => &interface.description,
        None => found.id(),
    };
    Label::new(Some(symbol))
        .with(name, Tone::Strong)
        .with_option(interface.private_ip.map(|ip| ip.to_string()), Tone::Text)
        .with(check.0, check.1)
        .with_option(holder, Tone::Dim)
        .with_option(interface.public_ip().map(|ip| ip.to_string()), Tone::Text)
}

/// A route's target for people: the name of what holds it, or the identifier.
pub fn target_name(network: &Network, target: &RouteTarget) -> String {
    let instance_name = |id: &crate::model::InstanceId| {
        network.instances.shown().get(id.as_str()).and_then(|i| i.tags.name()).map(str::to_owned)
    };
    let name = match target {
        RouteTarget::Local => None,
        RouteTarget::InternetGateway(id) => {
            network.internet_gateways.shown().get(id.as_str()).and_then(|g| g.tags.name()).map(str::to_owned)
        }
        RouteTarget::NatGateway(id) => {
            network.nat_gateways.shown().get(id.as_str()).and_then(|g| g.tags.name()).map(str::to_owned)
        }
        RouteTarget::Instance(id) => instance_name(id),
        RouteTarget::NetworkInterface { network_interface_id, instance_id } => {
            let interface = network.network_interfaces.shown().get(network_interface_id.as_str());
            let holder = instance_id.as_ref().or_else(|| interface?.instance_id());
            let device = interface.and_then(|i| i.attachment.as_ref()).map_or(String::new(), |a| {
                if a.device_index == 0 { String::new() } else { format!(" #{}", a.device_index) }
            });
            let own = || interface.and_then(|i| i.tags.name()).map(str::to_owned);
            holder.and_then(instance_name).map(|name| name + &device).or_else(own)
        }
        _ => None,
    };
    clean(&name.unwrap_or_else(|| target.to_string())).into_owned()
}

fn route(network: &Network, route: &Route) -> Label {
    let blackhole = route.state == RouteState::Blackhole;
    let target = target_name(network, &route.target);
    let id = route.target.to_string();
    Label::new(Some(if blackhole { ("✗", Tone::Bad) } else { ("·", Tone::Dim) }))
        .with(route.destination.to_string(), Tone::Text)
        .with(format!("→ {target}"), if blackhole { Tone::Bad } else { Tone::Text })
        .with(if blackhole { "blackhole" } else { "" }, Tone::Bad)
        .with(if matches!(route.state, RouteState::Other(_)) { route.state.as_str() } else { "" }, Tone::Unknown)
        .with(if id == target { "" } else { &id }, Tone::Dim)
}

/// The ports of a rule for people.
pub fn ports(rule: &SecurityGroupRule) -> String {
    match (rule.from_port, rule.to_port) {
        (None | Some(-1), _) => String::new(),
        (Some(from), Some(to)) if from == to => format!(" {from}"),
        (Some(0), Some(65_535)) => String::new(),
        (Some(from), Some(to)) => format!(" {from}-{to}"),
        (Some(from), None) => format!(" {from}-"),
    }
}

fn rule(rule: &SecurityGroupRule) -> Label {
    let protocol = if rule.protocol == crate::model::Protocol::All { "all".into() } else { rule.protocol.to_string() };
    let what = format!("{protocol}{}", ports(rule));
    let label = match rule.direction {
        RuleDirection::Ingress => {
            Label::new(Some(("←", Tone::Dim))).with(what, Tone::Text).with(format!("from {}", rule.peer), Tone::Text)
        }
        RuleDirection::Egress => {
            Label::new(Some(("→", Tone::Dim))).with(what, Tone::Text).with(format!("to {}", rule.peer), Tone::Text)
        }
    };
    label.with_option(rule.description.as_ref(), Tone::Dim)
}

fn entry(entry: &crate::model::AclEntry) -> Label {
    let arrow = if entry.direction == AclDirection::Ingress { "←" } else { "→" };
    let number = if entry.rule_number == 32_767 { "*".to_owned() } else { entry.rule_number.to_string() };
    let (word, tone) = match entry.action {
        AclAction::Allow => ("allow", Tone::Ok),
        AclAction::Deny => ("deny", Tone::Warn),
    };
    let all = entry.protocol == crate::model::Protocol::All;
    let ports =
        entry.port_range.map_or(String::new(), |(a, b)| if a == b { format!(" {a}") } else { format!(" {a}-{b}") });
    let cidr = entry.cidr_block.map(|c| c.to_string()).or_else(|| entry.ipv6_cidr_block.map(|c| c.to_string()));
    Label::new(Some((arrow, Tone::Dim)))
        .with(number, Tone::Text)
        .with(word, tone)
        .with(if all { "all".to_owned() } else { format!("{}{ports}", entry.protocol) }, Tone::Text)
        .with_option(cidr, Tone::Text)
}
