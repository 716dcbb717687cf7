//! Everything known about one resource, in sections. Pure.

use crate::model::{
    Instance, InstanceState, Network, NetworkInterface, Resource, RouteState, RouteTable, RuleDirection, SecurityGroup,
    StatusCheck, Subnet, Tags, ago,
};
use crate::reach::{WayOut, way_out};
use crate::tui::arn;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, Node, NodeKey, Seen, What, label};
use crate::tui::widget::line::Line;

use super::section::Sections;

pub(super) fn describe(out: &mut Sections, model: &Model, seen: &Seen, resource: Resource<'_>) {
    let (kind, network) = (kind_of(resource), &seen.network);
    match resource {
        Resource::Instance(r) => instance(out, model, seen, r),
        Resource::Subnet(r) => subnet(out, seen, r),
        Resource::RouteTable(r) => route_table(out, seen, r),
        Resource::NetworkInterface(r) => interface(out, seen, r),
        Resource::SecurityGroup(r) => security_group(out, seen, r),
        Resource::Vpc(r) => {
            out.open("VPC");
            state(out, &r.state);
            let ranges: Vec<String> = r.cidr_blocks.iter().map(ToString::to_string).collect();
            out.pair("IPv4 ranges", ranges.join(", "));
            let ranges: Vec<String> = r.ipv6_cidr_blocks.iter().map(ToString::to_string).collect();
            out.pair("IPv6 ranges", ranges.join(", "));
            out.pair("default VPC", yes_no(r.is_default));
            maybe(out, "DNS support", r.dns_support);
            maybe(out, "DNS hostnames", r.dns_hostnames);
            if let Some(set) = r.dhcp_options.as_ref() {
                out.pair("DHCP options", &set.dhcp_options_id);
                let servers = set.domain_name_servers.as_deref().map(|servers| servers.join(", "));
                out.pair("name servers", servers.unwrap_or_default());
            }
            out.open("Inside");
            let inside = |id: &crate::model::VpcId| id == &r.vpc_id;
            let n = network;
            out.pair("subnets", n.subnets.shown().values().filter(|s| inside(&s.vpc_id)).count().to_string());
            let instances = n.instances.shown().values().filter(|i| i.vpc_id.as_ref().is_some_and(inside));
            out.pair("instances", instances.count().to_string());
            let interfaces = n.network_interfaces.shown().values().filter(|i| inside(&i.vpc_id));
            out.pair("network interfaces", interfaces.count().to_string());
            let gateways = n.internet_gateways.shown().values().filter(|g| g.is_attached_to(&r.vpc_id));
            let gateways: Vec<&str> = gateways.map(|g| label::name_of(Resource::InternetGateway(g))).collect();
            out.pair("internet gateway", gateways.join(", "));
        }
        Resource::InternetGateway(r) => {
            out.open("Internet gateway");
            attachments(out, seen, &r.attachments);
        }
        Resource::EgressOnlyInternetGateway(r) => {
            out.open("Egress-only internet gateway (IPv6)");
            attachments(out, seen, &r.attachments);
        }
        Resource::NatGateway(r) => {
            out.open("NAT gateway");
            state(out, r.state.as_str());
            if let Some(why) = &r.failure_message {
                out.pair("failed because", why);
            }
            out.pair("connectivity", &r.connectivity_type);
            out.pair("subnet", name(seen, Kind::Subnet, r.subnet_id.as_str()));
            out.pair("public address", text(r.public_ip));
            out.pair("private address", text(r.private_ip));
            out.pair("interface", text(r.network_interface_id.as_ref()));
        }
        Resource::NetworkAcl(r) => {
            out.open("Network ACL");
            out.pair("default", yes_no(r.is_default));
            let subnets: Vec<String> = r.subnet_ids.iter().map(|id| name(seen, Kind::Subnet, id.as_str())).collect();
            out.pair("subnets", subnets.join(", "));
            out.open("Entries: the lowest number that matches decides");
            (0..r.entries.len()).for_each(|at| row(out, seen, What::Entry(r.network_acl_id.as_str().into(), at)));
        }
        Resource::Address(r) => {
            out.open("Elastic IP");
            out.pair("public address", r.public_ip.to_string());
            out.pair("private address", text(r.private_ip));
            out.pair(
                "instance",
                r.instance_id.as_ref().map_or(String::new(), |id| name(seen, Kind::Instance, id.as_str())),
            );
            out.pair("interface", text(r.network_interface_id.as_ref()));
            out.pair_if("association", r.association_id.as_ref());
        }
        Resource::VpcEndpoint(r) => {
            out.open("VPC endpoint");
            state(out, r.state.as_str());
            out.pair("service", &r.service_name);
            out.pair("kind", r.kind.as_str());
            out.pair("private DNS", yes_no(r.private_dns_enabled));
            out.pair("subnets", names(seen, Kind::Subnet, &r.subnet_ids));
            out.pair("security groups", names(seen, Kind::SecurityGroup, &r.security_group_ids));
            out.pair("route tables", names(seen, Kind::RouteTable, &r.route_table_ids));
        }
        Resource::InstanceProfile(r) => {
            out.open("Instance profile");
            roles(out, r);
        }
    }
    tags(out, resource.tags());
    out.open("Identity");
    out.pair("id", resource.id());
    out.pair_if("ARN", arn::of(&model.identity, kind, resource.id()));
    if let Some(change) = seen.change(resource.id()) {
        out.pair("change", format!("{change:?}").to_lowercase());
    }
}

/// The kind of a resource.
fn kind_of(resource: Resource<'_>) -> Kind {
    match resource {
        Resource::Vpc(_) => Kind::Vpc,
        Resource::Subnet(_) => Kind::Subnet,
        Resource::RouteTable(_) => Kind::RouteTable,
        Resource::InternetGateway(_) => Kind::InternetGateway,
        Resource::EgressOnlyInternetGateway(_) => Kind::EgressOnlyInternetGateway,
        Resource::NatGateway(_) => Kind::NatGateway,
        Resource::NetworkInterface(_) => Kind::NetworkInterface,
        Resource::Instance(_) => Kind::Instance,
        Resource::SecurityGroup(_) => Kind::SecurityGroup,
        Resource::NetworkAcl(_) => Kind::NetworkAcl,
        Resource::Address(_) => Kind::Address,
        Resource::VpcEndpoint(_) => Kind::VpcEndpoint,
        Resource::InstanceProfile(_) => Kind::InstanceProfile,
    }
}

fn instance(out: &mut Sections, model: &Model, seen: &Seen, r: &Instance) {
    let network = &seen.network;
    out.open("Instance");
    let (symbol, tone) = label::state(&r.state);
    let (checks, checks_tone) = label::status_checks(r);
    let reason = r.state_reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    out.pair_toned("state", format!("{symbol} {}{reason}", r.state), tone);
    if r.state == InstanceState::Running {
        let tone = if checks_tone == Tone::Dim { Tone::Text } else { checks_tone };
        let word = |check: Option<&StatusCheck>| check.map_or("unknown".to_owned(), ToString::to_string);
        let both = format!("system {}, instance {}", word(r.system_status.as_ref()), word(r.instance_status.as_ref()));
        out.pair_toned("status checks", if checks.is_empty() { "not reported".to_owned() } else { both }, tone);
    }
    let public = r.public_ip.map_or_else(String::new, |ip| format!(", public {ip}"));
    out.pair("address", format!("{}{public}", text(r.private_ip)));
    out.pair("type", format!("{}, {}, {}", r.instance_type, r.architecture, r.image_id));
    if let Some(row) = model.checks.result_of(&r.instance_id) {
        match &row.result {
            None => out.pair_toned("egress", "being checked", Tone::Busy),
            Some(result) => {
                let at = row.answered_at.map_or_else(String::new, |at| format!(", {}", ago(model.now, at)));
                let address = result.address.map_or_else(String::new, |a| format!(" as {a}"));
                let then = if row.outdated { ", before the last change" } else { "" };
                let words = format!("{} {}{address}{at}{then}", result.verdict.symbol(), result.verdict.label());
                out.pair_toned("egress", words, if row.outdated { Tone::Dim } else { verdict_tone(result.verdict) });
                out.pair_if("", result.reason.as_ref().filter(|_| !row.outdated));
            }
        }
    }
    out.open("Network");
    let subnet = r.subnet_id.as_ref().map_or_else(String::new, |id| name(seen, Kind::Subnet, id.as_str()));
    let (exposure, exposure_tone) =
        r.subnet_id.as_ref().map_or((String::new(), Tone::Dim), |id| label::exposure(seen, id.as_str()));
    out.pair("subnet", format!("{subnet}, {}", r.availability_zone));
    out.pair_toned("", exposure, exposure_tone);
    way_out_line(out, network, r);
    out.pair("security groups", names(seen, Kind::SecurityGroup, &r.security_group_ids));
    match network.interfaces_of(&r.instance_id) {
        Ok(interfaces) => {
            for interface in interfaces {
                let device = interface.attachment.as_ref().map_or(0, |a| a.device_index);
                let public = interface.public_ip().map_or_else(String::new, |ip| format!(" ({ip})"));
                let check = if interface.source_dest_check { "check on" } else { "src/dst check off" };
                let private = text(interface.private_ip);
                out.pair(
                    &format!("interface {device}"),
                    format!("{private}{public}  {}  {check}", interface.network_interface_id),
                );
            }
        }
        Err(unknown) => out.pair_toned("interfaces", unknown.to_string(), Tone::Unknown),
    }
    out.open("Systems Manager");
    match network.managed_instances.get(&r.instance_id) {
        Err(unknown) => out.pair_toned("agent", unknown.to_string(), Tone::Unknown),
        Ok(None) => out.pair_toned("agent", "not registered", Tone::Warn),
        Ok(Some(agent)) => {
            let online = agent.ping_status == crate::model::PingStatus::Online;
            let ping = agent.last_ping_at.map_or_else(String::new, |at| format!(", {}", ago(model.now, at)));
            out.pair_toned("agent", format!("{}{ping}", agent.ping_status), if online { Tone::Ok } else { Tone::Warn });
            out.pair("version", &agent.agent_version);
            out.pair("platform", format!("{} {}", agent.platform_name, agent.platform_version));
        }
    }
    match &r.instance_profile_arn {
        None => out.pair_toned("profile", "no instance profile", Tone::Warn),
        Some(arn) => match network.instance_profiles.get(arn) {
            Ok(Some(profile)) => {
                out.pair("profile", &profile.name);
                roles(out, profile);
            }
            Ok(None) => out.pair("profile", arn),
            Err(unknown) => out.pair_toned("profile", unknown.to_string(), Tone::Unknown),
        },
    }
    out.open("Launch");
    out.pair_if("launched", r.launch_time.map(|at| format!("{at} ({})", ago(model.now, at))));
    out.pair("key", r.key_name.as_deref().unwrap_or_default());
    out.pair_if("IMDS", r.http_endpoint.as_ref().filter(|endpoint| *endpoint == "disabled"));
    out.pair_if("IMDS tokens", r.http_tokens.as_ref());
}

/// The tone of a verdict.
pub fn verdict_tone(verdict: crate::reach::Verdict) -> Tone {
    match verdict {
        crate::reach::Verdict::ViaNat => Tone::Ok,
        crate::reach::Verdict::OtherWayOut => Tone::Warn,
        crate::reach::Verdict::NoEgress => Tone::Bad,
        crate::reach::Verdict::CannotTest => Tone::Unknown,
    }
}

fn way_out_line(out: &mut Sections, network: &Network, r: &Instance) {
    let address =
        |a: Option<std::net::Ipv4Addr>| a.map_or_else(|| ", no public address".to_owned(), |a| format!(" as {a}"));
    match way_out(network, &r.instance_id) {
        Err(unknown) => out.pair_toned("route leads to", unknown.to_string(), Tone::Unknown),
        Ok(WayOut::NatInstance { instance_id, address: a, .. }) => {
            let nat = network.instances.shown().get(instance_id.as_str());
            let name = nat.and_then(|i| i.tags.name()).unwrap_or(instance_id.as_str());
            out.pair("route leads to", format!("NAT instance {name}{}", address(a)));
        }
        Ok(WayOut::NatGateway { nat_gateway_id, address: a }) => {
            out.pair("route leads to", format!("NAT gateway {nat_gateway_id}{}", address(a)));
        }
        Ok(WayOut::Direct { internet_gateway_id, address: a }) => {
            out.pair("route leads to", format!("internet gateway {internet_gateway_id}{}", address(a)));
        }
        Ok(WayOut::Other { target }) => out.pair("route leads to", target.to_string()),
        Ok(WayOut::None { code, reason }) => {
            out.pair_toned("route leads to", format!("nowhere: {reason} ({code})"), Tone::Bad);
        }
    }
}

fn subnet(out: &mut Sections, seen: &Seen, r: &Subnet) {
    out.open("Subnet");
    state(out, &r.state);
    out.pair("IPv4 range", text(r.cidr_block));
    let ranges: Vec<String> = r.ipv6_cidr_blocks.iter().map(ToString::to_string).collect();
    out.pair("IPv6 ranges", ranges.join(", "));
    out.pair("zone", &r.availability_zone);
    let (word, tone) = label::exposure(seen, r.subnet_id.as_str());
    out.pair_toned("reaches internet", word, tone);
    out.pair("public address", if r.map_public_ip_on_launch { "given at launch" } else { "not given at launch" });
    out.pair("free addresses", r.available_ip_address_count.to_string());
    out.open("Applies here");
    match seen.network.route_table_of(&r.subnet_id, &r.vpc_id) {
        Ok(Some(table)) => {
            let own = table.subnet_ids().any(|id| id == &r.subnet_id);
            let how = if own { "associated" } else { "the VPC's main table, by default" };
            out.pair("route table", format!("{} ({how})", label::name_of(Resource::RouteTable(table))));
            (0..table.routes.len())
                .for_each(|at| row(out, seen, What::Route(table.route_table_id.as_str().into(), at)));
        }
        Ok(None) => out.pair_toned("route table", "none was found", Tone::Unknown),
        Err(unknown) => out.pair_toned("route table", unknown.to_string(), Tone::Unknown),
    }
    match seen.network.network_acl_of(&r.subnet_id) {
        Ok(Some(acl)) => out.pair("network ACL", label::name_of(Resource::NetworkAcl(acl))),
        Ok(None) => out.pair_toned("network ACL", "none was found", Tone::Unknown),
        Err(unknown) => out.pair_toned("network ACL", unknown.to_string(), Tone::Unknown),
    }
}

fn route_table(out: &mut Sections, seen: &Seen, r: &RouteTable) {
    out.open("Route table");
    out.pair("main", yes_no(r.is_main()));
    let subnets: Vec<String> = r.subnet_ids().map(|id| name(seen, Kind::Subnet, id.as_str())).collect();
    out.pair("subnets", subnets.join(", "));
    out.pair("VPC", name(seen, Kind::Vpc, r.vpc_id.as_str()));
    out.open("Routes: the longest prefix that matches decides");
    (0..r.routes.len()).for_each(|at| row(out, seen, What::Route(r.route_table_id.as_str().into(), at)));
    if r.routes.iter().any(|route| route.state == RouteState::Blackhole) {
        out.note("A blackhole drops what it matches: its target is gone, detached, or its instance is stopped.");
    }
}

fn interface(out: &mut Sections, seen: &Seen, r: &NetworkInterface) {
    out.open("Network interface");
    state(out, r.status.as_str());
    out.pair("address", text(r.private_ip));
    let more: Vec<String> = r.secondary_private_ips.iter().map(ToString::to_string).collect();
    out.pair_if("secondary", (!more.is_empty()).then(|| more.join(", ")));
    let public = r.association.as_ref().map_or_else(String::new, |a| {
        let kind = if a.allocation_id.is_some() { "Elastic IP" } else { "assigned at launch, lost on stop" };
        format!("{} ({kind})", a.public_ip)
    });
    out.pair("public address", public);
    let nat = r.instance_id().is_some_and(|id| seen.facts.is_nat(id));
    match (r.source_dest_check, nat) {
        (false, _) => out.pair("src/dst check", "off: forwards what is not its own"),
        (true, true) => out.pair_toned("src/dst check", "on: a NAT's packets are dropped here", Tone::Warn),
        (true, false) => out.pair("src/dst check", "on"),
    }
    out.pair("subnet", name(seen, Kind::Subnet, r.subnet_id.as_str()));
    out.pair("security groups", names(seen, Kind::SecurityGroup, &r.security_group_ids));
    out.pair("MAC address", &r.mac_address);
    out.pair("type", &r.interface_type);
    out.pair("description", &r.description);
    out.open("Attachment");
    match &r.attachment {
        None => out.note("Attached to nothing."),
        Some(a) => {
            let holder =
                a.instance_id.as_ref().map_or("AWS itself".to_owned(), |id| name(seen, Kind::Instance, id.as_str()));
            out.pair("to", format!("{holder}, device {}", a.device_index));
            out.pair("state", &a.status);
            out.pair("at termination", if a.delete_on_termination { "deleted" } else { "kept" });
        }
    }
}

fn security_group(out: &mut Sections, seen: &Seen, r: &SecurityGroup) {
    out.open("Security group");
    out.pair("name", &r.group_name);
    out.pair("description", &r.description);
    out.pair("VPC", name(seen, Kind::Vpc, r.vpc_id.as_str()));
    for (heading, direction) in [("Lets in", RuleDirection::Ingress), ("Lets out", RuleDirection::Egress)] {
        out.open(heading);
        let rules: Vec<usize> =
            (0..r.rules.len()).filter(|at| r.rules.get(*at).is_some_and(|rule| rule.direction == direction)).collect();
        if rules.is_empty() {
            out.note("nothing");
        }
        rules.into_iter().for_each(|at| row(out, seen, What::Rule(r.group_id.as_str().into(), at)));
    }
    out.open("Used by");
    let users = seen.network.network_interfaces.shown().values().filter(|i| i.security_group_ids.contains(&r.group_id));
    out.pair("interfaces", users.count().to_string());
}

/// A row as the tree shows it.
fn row(out: &mut Sections, seen: &Seen, what: What) {
    let node = Node { what, key: NodeKey::none(), parent: None, depth: 0, end: 0, children: 0 };
    let label = label::label(seen, &node);
    let (symbol, tone) = label.symbol.unwrap_or((" ", Tone::Dim));
    let mut line = Line::of(format!("  {symbol} "), tone);
    for (text, tone) in &label.parts {
        line = line.and(format!("{text}  "), *tone);
    }
    out.line(line);
}

fn roles(out: &mut Sections, profile: &crate::model::InstanceProfile) {
    for role in &profile.roles {
        out.pair("role", &role.name);
        match &role.attached_policies {
            Some(policies) => {
                let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
                out.pair("policies", names.join(", "));
            }
            None => out.pair_toned("policies", "could not be read", Tone::Unknown),
        }
    }
}

fn attachments(out: &mut Sections, seen: &Seen, attachments: &[crate::model::GatewayAttachment]) {
    if attachments.is_empty() {
        out.pair_toned("attached to", "nothing: no packet passes", Tone::Warn);
    }
    for attachment in attachments {
        let tone = if attachment.state.is_usable() { Tone::Ok } else { Tone::Warn };
        let vpc = name(seen, Kind::Vpc, attachment.vpc_id.as_str());
        out.pair_toned("attached to", format!("{vpc} ({})", attachment.state), tone);
    }
}

fn tags(out: &mut Sections, tags: &Tags) {
    if tags.0.is_empty() {
        return;
    }
    out.open("Tags");
    for (key, value) in &tags.0 {
        out.pair(key, value);
    }
}

fn state(out: &mut Sections, state: &str) {
    let fine = matches!(state, "available" | "in-use");
    out.pair_toned("state", state, if fine { Tone::Ok } else { Tone::Warn });
}

fn maybe(out: &mut Sections, key: &str, value: Option<bool>) {
    match value {
        Some(value) => out.pair(key, yes_no(value)),
        None => out.pair_toned(key, "could not be read", Tone::Unknown),
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// `name (id)`, or the identifier alone.
fn name(seen: &Seen, kind: Kind, id: &str) -> String {
    match seen.resource(kind, id).map(label::name_of) {
        Some(name) if name != id => format!("{name} ({id})"),
        _ => id.to_owned(),
    }
}

fn names<I: AsRef<str>>(seen: &Seen, kind: Kind, ids: &[I]) -> String {
    let names: Vec<String> = ids.iter().map(|id| name(seen, kind, id.as_ref())).collect();
    names.join(", ")
}
