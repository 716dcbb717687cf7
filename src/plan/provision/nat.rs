//! The NAT itself: its group, the instance, its interfaces, the default route, and the proof. Pure.

use super::draft::{Draft, instance_output, is_alive, text};
use super::environment::{Environment, mark};
use super::groups::{plan_group, plan_ingress};
use super::{Inputs, PlanError};
use crate::model::{
    Instance, InstanceState, NetworkInterface, NetworkInterfaceId, Protocol, Resource, Route, RouteState, RouteTarget,
    SecurityGroupId,
};
use crate::plan::{
    Call, IngressRule, Launch, Output, Ref, RouteVia, RulePeer, Topology, default_destination, user_data,
};

/// Plans the NAT on top of its environment.
pub(super) fn nat(draft: &mut Draft<'_>, environment: &Environment<'_>, inputs: &Inputs) -> Result<(), PlanError> {
    let instances = draft.network.instances.known()?;
    let ours = instances.values().find(|i| is_alive(i) && draft.is_ours(&i.tags, "nat-instance"));
    let route = environment.private_table.and_then(|table| table.default_route());
    if let (None, Some(route)) = (ours, route)
        && let Some((instance, interface)) = foreign_nat(draft, route)?
    {
        adopt(draft, environment, instance, interface);
        return Ok(());
    }
    plan_groups(draft, environment)?;
    plan_instance(draft, environment, ours, inputs);
    let instance_shown = ours.and_then(|instance| instance.network_interface_ids.first());
    let inside = match draft.spec.topology {
        Topology::SecondInterface => plan_second_interface(draft, ours)?,
        Topology::SingleInterface => {
            let why = "The packets of others are neither from nor to this interface's own address. AWS drops them \
                       unless the check is off.";
            plan_check_off(draft, "nat-check-off", "nat-instance", why, instance_shown)?;
            "nat-instance"
        }
    };
    plan_address(draft, instance_shown)?;
    plan_route(draft, environment, route, inside)?;
    let waits = ["nat-instance", "inner-attachment", "nat-check-off", "elastic-ip-association", "public-default-route"];
    let why = "The boot script installs what is missing, switches forwarding on, adds the masquerade rule and checks \
               itself. Its own verdict is read through SSM.";
    let call = Call::VerifyHost { instance: draft.made("nat-instance") };
    draft.step("verify-host", text("Wait for the NAT's boot script and its verdict", why), call, &waits, None);
    plan_egress_check(draft, environment, &["verify-host", "default-route", "inner-check-off"]);
    Ok(())
}

fn plan_egress_check(draft: &mut Draft<'_>, environment: &Environment<'_>, before: &[&str]) {
    if environment.clients.is_empty() {
        return;
    }
    let instances = environment.clients.iter().map(|id| draft.made(id)).collect();
    let call = Call::CheckEgress { instances, nat: draft.made("nat-instance") };
    let ingress: Vec<String> = (draft.steps.iter())
        .filter(|step| step.id.as_str().starts_with("nat-ingress"))
        .map(|step| step.id.as_str().to_owned())
        .collect();
    let waits: Vec<&str> = before
        .iter()
        .copied()
        .chain(environment.clients.iter().map(String::as_str))
        .chain(ingress.iter().map(String::as_str))
        .collect();
    let why = "Each private instance asks the outside for its own address. It must be the NAT's.";
    draft.step("check-egress", text("Check that every private instance leaves by the NAT", why), call, &waits, None);
}

/// An instance of somebody else's that the private table's default route leads to already.
fn foreign_nat<'a>(
    draft: &Draft<'a>,
    route: &Route,
) -> Result<Option<(&'a Instance, &'a NetworkInterface)>, PlanError> {
    if route.state != RouteState::Active {
        return Ok(None);
    }
    let interfaces = draft.network.network_interfaces.known()?;
    let interface = match &route.target {
        RouteTarget::NetworkInterface { network_interface_id, .. } => interfaces.get(network_interface_id.as_str()),
        RouteTarget::Instance(id) => interfaces.values().find(|interface| interface.instance_id() == Some(id)),
        _ => None,
    };
    let Some(interface) = interface else { return Ok(None) };
    let Some(instance_id) = interface.instance_id() else { return Ok(None) };
    let instance = draft.network.instances.get(instance_id)?;
    Ok(instance.filter(|i| is_alive(i) && !draft.is_of_stack(&i.tags)).map(|instance| (instance, interface)))
}

/// A NAT instance that exists is used as it is.
fn adopt(draft: &mut Draft<'_>, environment: &Environment<'_>, instance: &Instance, interface: &NetworkInterface) {
    let id = &instance.instance_id;
    draft.notes.push(format!(
        "The private subnet's default route leads to {id} already. That NAT is not this stack's and is left as it is; \
         delete the route first if this stack shall have a NAT of its own."
    ));
    if interface.source_dest_check {
        draft.notes.push(format!(
            "The source/destination check of {id} is on, so it drops what it should forward; switch it off: aws ec2 \
             modify-network-interface-attribute --network-interface-id {id} --no-source-dest-check",
            id = interface.network_interface_id
        ));
    }
    let launch = Launch {
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        subnet: draft.made("public-subnet"),
        security_group: match instance.security_group_ids.first() {
            Some(group) => Ref::Existing(group.clone()),
            None => Ref::Made("nat-security-group".into()),
        },
        associate_public_ip_address: instance.public_ip.is_some(),
        instance_profile_name: Some(environment.profile_name.clone()),
        key_name: instance.key_name.clone(),
        user_data: None,
    };
    let why = "A host in the public subnet forwards for the private one. This one does already.";
    let output = instance_output(instance).unwrap_or(Output::None);
    let title = text("Start the NAT instance", why);
    draft.step("nat-instance", title, Call::RunInstances(Box::new(launch)), &["public-subnet"], Some(output));
    let via = RouteVia::NetworkInterface(Ref::Existing(interface.network_interface_id.clone()));
    let call = Call::CreateRoute { route_table: draft.made("private-table"), destination: default_destination(), via };
    let title = format!("Route 0.0.0.0/0 of the private subnet to {}", interface.network_interface_id);
    let why = "This route is what sends the private instances' packets to the NAT.";
    draft.step("default-route", text(title, why), call, &["private-table", "nat-instance"], Some(Output::None));
    plan_egress_check(draft, environment, &["default-route"]);
}

/// The NAT's security group and its rules.
fn plan_groups(draft: &mut Draft<'_>, environment: &Environment<'_>) -> Result<(), PlanError> {
    let title = "Create the security group of the NAT";
    let why = "It lets the private instances in and nobody else: replies to what they began pass by themselves.";
    plan_group(draft, environment.vpc, "nat-security-group", text(title, why), "NAT: the private instances come in")?;
    let why = "Whatever the private instances send, to whichever port, is for the NAT to forward.";
    let mut peers: Vec<(String, RulePeer, String)> = Vec::new();
    if draft.find("private-security-group").is_some() {
        let peer = RulePeer::Group(draft.made("private-security-group"));
        peers.push(("nat-ingress".to_owned(), peer, "the private instances".to_owned()));
    }
    let mut groups: Vec<&SecurityGroupId> = Vec::new();
    for instance in environment.instances.iter().filter(|instance| !draft.is_of_stack(&instance.tags)) {
        // One of an instance's groups is enough for the rule to match.
        let known = instance.security_group_ids.iter().any(|group| groups.contains(&group));
        groups.extend(instance.security_group_ids.first().filter(|_| !known));
    }
    for group in groups {
        let peer = RulePeer::Group(Ref::Existing(group.clone()));
        peers.push((format!("nat-ingress-{group}"), peer, format!("the instances of {group}")));
    }
    if peers.is_empty() {
        let cidr = draft.spec.private_subnet_cidr;
        peers.push(("nat-ingress".to_owned(), RulePeer::Ipv4(cidr), format!("the private subnet {cidr}")));
    }
    for (id, peer, whom) in peers {
        let rule = IngressRule { protocol: Protocol::All, ports: None, peer, description: "NAT clients".to_owned() };
        plan_ingress(draft, &id, "nat-security-group", text(format!("Let {whom} reach the NAT"), why), rule)?;
    }
    if let Some(cidr) = draft.spec.ssh_cidr {
        let rule = IngressRule {
            protocol: Protocol::Tcp,
            ports: Some((22, 22)),
            peer: RulePeer::Ipv4(cidr),
            description: "SSH".to_owned(),
        };
        let why = "Asked for in the spec. Systems Manager gives a shell without any open port.";
        let title = text(format!("Open SSH on the NAT to {cidr}"), why);
        plan_ingress(draft, "nat-ssh", "nat-security-group", title, rule)?;
    }
    Ok(())
}

fn plan_instance(draft: &mut Draft<'_>, environment: &Environment<'_>, ours: Option<&Instance>, inputs: &Inputs) {
    if let Some(stopped) = ours.filter(|i| matches!(i.state, InstanceState::Stopped | InstanceState::Stopping)) {
        draft.notes.push(format!(
            "The NAT instance {0} is stopped, so its route drops packets; start it: aws ec2 start-instances \
             --instance-ids {0}",
            stopped.instance_id
        ));
    }
    let spec = draft.spec;
    let launch = Launch {
        image_id: ours.map_or_else(|| inputs.image_id.clone(), |instance| instance.image_id.clone()),
        instance_type: spec.instance_type.clone(),
        subnet: draft.made("public-subnet"),
        security_group: draft.made("nat-security-group"),
        associate_public_ip_address: !spec.elastic_ip,
        instance_profile_name: Some(environment.profile_name.clone()),
        key_name: spec.key_name.clone(),
        user_data: Some(user_data(spec.topology)),
    };
    let why = "A small host in the public subnet that will forward for the private one. IMDSv2 only, encrypted disk, no \
               SSH unless asked; its boot script makes it a NAT.";
    // The script installs packages at boot, so the way out must be there first.
    let waits = [
        "public-subnet",
        "public-subnet-addresses",
        "public-table-association",
        "public-default-route",
        "nat-security-group",
        "role-in-profile",
        "instance-profile",
    ];
    let output = ours.map(|instance| instance_output(instance).unwrap_or(Output::None));
    let title = text(format!("Start the NAT instance ({})", spec.instance_type), why);
    draft.step("nat-instance", title, Call::RunInstances(Box::new(launch)), &waits, output);
}

/// The article's second interface. Returns the step whose interface the route names.
fn plan_second_interface(draft: &mut Draft<'_>, nat: Option<&Instance>) -> Result<&'static str, PlanError> {
    let interfaces = draft.network.network_interfaces.known()?;
    let ours = draft.ours(interfaces, "inner-interface", Resource::NetworkInterface);
    let why = "The NAT's foot in the private subnet: the private instances' packets arrive here.";
    let call = Call::CreateNetworkInterface {
        subnet: draft.made("private-subnet"),
        security_group: draft.made("nat-security-group"),
        description: format!("{}: NAT side in the private subnet", draft.spec.name),
    };
    let exists = ours.map(|interface| Output::NetworkInterface(interface.network_interface_id.clone()));
    let waits = ["private-subnet", "nat-security-group"];
    draft.step("inner-interface", text("Create the second network interface", why), call, &waits, exists);
    let why = "The packets that arrive here are for addresses out on the internet, not for this interface. AWS drops \
               them unless the check is off; it is a property of each interface.";
    plan_check_off(draft, "inner-check-off", "inner-interface", why, ours.map(|i| &i.network_interface_id))?;
    let attachment = ours.and_then(|interface| interface.attachment.as_ref()).filter(|a| a.status != "detaching");
    if let (Some(attachment), Some(interface)) = (attachment, ours)
        && attachment.instance_id.as_ref() != nat.map(|instance| &instance.instance_id)
    {
        let holder = attachment.instance_id.as_ref().map_or("something of AWS's", |id| id.as_str());
        return Err(PlanError::Conflict {
            resource: crate::model::ResourceId::from(&interface.network_interface_id),
            why: format!("it is attached to {holder}, which is not this stack's NAT instance"),
            next_move: "wait until that instance is terminated, or detach it".to_owned(),
        });
    }
    let call = Call::AttachNetworkInterface {
        network_interface: draft.made("inner-interface"),
        instance: draft.made("nat-instance"),
        device_index: 1,
    };
    // AWS assigns no public address to an instance that starts with two interfaces, hence one after the other.
    let why = "It is attached while the host boots, since an instance started with two interfaces gets no public \
               address. The boot script waits for it.";
    let waits = ["inner-interface", "nat-instance"];
    let exists = attachment.map(|attachment| Output::Attachment(attachment.attachment_id.clone()));
    draft.step("inner-attachment", text("Attach it to the NAT instance", why), call, &waits, exists);
    Ok("inner-interface")
}

fn plan_check_off(
    draft: &mut Draft<'_>,
    id: &str,
    interface_step: &str,
    why: &str,
    interface: Option<&NetworkInterfaceId>,
) -> Result<(), PlanError> {
    let shown = match interface {
        Some(interface) => draft.network.network_interfaces.get(interface)?,
        None => None,
    };
    let call = Call::ModifyNetworkInterfaceAttribute {
        network_interface: draft.made(interface_step),
        source_dest_check: false,
    };
    let exists = shown.filter(|interface| !interface.source_dest_check).map(|_| Output::None);
    draft.step(id, text("Switch off its source/destination check", why), call, &[interface_step], exists);
    Ok(())
}

fn plan_address(draft: &mut Draft<'_>, nat_interface: Option<&NetworkInterfaceId>) -> Result<(), PlanError> {
    if !draft.spec.elastic_ip {
        draft.notes.push(match draft.spec.topology {
            Topology::SecondInterface => "The NAT's public address is lost when the instance is stopped, and with two \
                                          interfaces it gets no new one at start: set elastic_ip to keep one."
                .to_owned(),
            Topology::SingleInterface => {
                "The NAT's public address changes when the instance is stopped and started: set elastic_ip to keep one."
                    .to_owned()
            }
        });
        return Ok(());
    }
    let addresses = draft.network.addresses.known()?;
    let ours = draft.ours(addresses, "elastic-ip", Resource::Address);
    let why = "An address that stays when the instance is stopped or replaced. AWS charges for it like for any other.";
    let exists = ours
        .map(|address| Output::Address { allocation_id: address.allocation_id.clone(), public_ip: address.public_ip });
    draft.step("elastic-ip", text("Allocate an Elastic IP", why), Call::AllocateAddress, &[], exists);
    let call =
        Call::AssociateAddress { address: draft.made("elastic-ip"), network_interface: draft.made("nat-instance") };
    let associated = ours
        .filter(|address| nat_interface.is_some() && address.network_interface_id.as_ref() == nat_interface)
        .and_then(|address| address.association_id.clone());
    let why = "The address goes to the interface in the public subnet, the one that leads out.";
    let waits = ["elastic-ip", "nat-instance", "gateway-attachment"];
    let title = text("Associate it with the NAT's outer interface", why);
    draft.step("elastic-ip-association", title, call, &waits, associated.map(Output::AddressAssociation));
    Ok(())
}

/// The default route of the private subnet, made or led elsewhere.
fn plan_route(
    draft: &mut Draft<'_>,
    environment: &Environment<'_>,
    route: Option<&Route>,
    inside: &str,
) -> Result<(), PlanError> {
    let target: Ref<NetworkInterfaceId> = draft.made(inside);
    let leads_there = |route: &&Route| match (&route.target, &target) {
        (RouteTarget::NetworkInterface { network_interface_id, .. }, Ref::Existing(id)) => network_interface_id == id,
        _ => false,
    };
    let done = route.filter(leads_there).is_some();
    let elsewhere = route.filter(|route| !leads_there(route)).map(|route| route.target.clone());
    // What leads nowhere is not worth going back to.
    let worth_keeping = route.is_some_and(|route| route.state == RouteState::Active);
    let table = environment.private_table;
    mark(draft, "default-route-mark", "private-table", table, done, elsewhere.clone().filter(|_| worth_keeping));
    let (route_table, destination, via) =
        (draft.made("private-table"), default_destination(), RouteVia::NetworkInterface(target));
    let waits = ["private-table", "private-table-association", inside, "inner-attachment", "default-route-mark"];
    let which = if inside == "inner-interface" { "the NAT's second interface" } else { "the NAT instance's interface" };
    let (title, why, call) = match elsewhere {
        Some(previous) => {
            draft.notes.push(format!(
                "The private subnet's default route leads to {previous} now. It will lead to the NAT{}.",
                if worth_keeping { ", and back when the stack is destroyed" } else { "" }
            ));
            (
                format!("Lead the private subnet's 0.0.0.0/0 from {previous} to {which}"),
                "From this moment the private instances leave by the NAT; connections that are open by the old way \
                 break.",
                Call::ReplaceRoute { route_table, destination, via, previous },
            )
        }
        None => (
            format!("Route 0.0.0.0/0 of the private subnet to {which}"),
            "From this moment what the private instances send to the internet arrives at the NAT. The route names the \
             interface, since one that names an instance works only while that has a single interface.",
            Call::CreateRoute { route_table, destination, via },
        ),
    };
    draft.step("default-route", text(title, why), call, &waits, done.then_some(Output::None));
    Ok(())
}
