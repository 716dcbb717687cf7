//! Plans from nothing, from the draft and from a finished world, and what stands in the way.

use std::collections::BTreeSet;

use super::*;
use crate::model::{
    AttachmentState, GatewayAttachment, InstanceState, InterfaceAttachment, InterfaceStatus, InternetGateway,
    InternetGatewayId, NatGatewayId, Network, NetworkInterface, Part, Peer, Protocol, Route, RouteDestination,
    RouteOrigin, RouteState, RouteTable, RouteTableAssociation, RouteTarget, RuleDirection, SecurityGroup,
    SecurityGroupRule, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::plan::{Call, Output, Outputs, Plan, Step, StepId, Topology, teardown};

fn inputs() -> Inputs {
    let zones = ["a", "b", "c"].map(|zone| format!("eu-central-1{zone}")).to_vec();
    Inputs { image_id: ImageId::new("ami-0123456789abcdef0"), zones }
}

fn empty() -> Network {
    Network { region: "eu-central-1".to_owned(), ..Network::default() }
}

fn insert<V: Clone, L>(part: &mut Part<V, L>, id: &str, value: V) {
    part.items_mut().insert(id.to_owned(), value);
}

fn association(id: &str, subnet: &str) -> RouteTableAssociation {
    RouteTableAssociation {
        association_id: crate::model::AssociationId::new(id),
        main: false,
        subnet_id: Some(subnet_id(subnet)),
        gateway_id: None,
        state: "associated".to_owned(),
    }
}

fn subnet_id(id: &str) -> crate::model::SubnetId {
    crate::model::SubnetId::new(id)
}

fn route(target: RouteTarget) -> Route {
    Route {
        destination: RouteDestination::Ipv4("0.0.0.0/0".parse().unwrap()),
        target,
        state: RouteState::Active,
        origin: RouteOrigin::CreateRoute,
    }
}

fn eni(id: &str, instance: Option<&str>, device_index: u32, subnet: &str, group: &str) -> NetworkInterface {
    NetworkInterface {
        network_interface_id: crate::model::NetworkInterfaceId::new(id),
        vpc_id: VpcId::new("vpc-1"),
        subnet_id: subnet_id(subnet),
        availability_zone: "eu-central-1b".to_owned(),
        status: InterfaceStatus::InUse,
        interface_type: "interface".to_owned(),
        description: String::new(),
        mac_address: "02:00:00:00:00:01".to_owned(),
        private_ip: None,
        secondary_private_ips: Vec::new(),
        ipv6_addresses: Vec::new(),
        security_group_ids: vec![crate::model::SecurityGroupId::new(group)],
        source_dest_check: true,
        attachment: instance.map(|instance| InterfaceAttachment {
            attachment_id: crate::model::AttachmentId::new(format!("eni-attach-{id}")),
            instance_id: Some(crate::model::InstanceId::new(instance)),
            device_index,
            status: "attached".to_owned(),
            delete_on_termination: device_index == 0,
        }),
        association: None,
        requester_managed: false,
        tags: Tags::default(),
    }
}

fn add_instance(network: &mut Network, id: &str, subnet: &str, group: &str, tags: Tags) {
    let interface = eni(&format!("eni-{id}"), Some(id), 0, subnet, group);
    let instance = crate::model::Instance {
        instance_id: crate::model::InstanceId::new(id),
        vpc_id: Some(VpcId::new("vpc-1")),
        subnet_id: Some(subnet_id(subnet)),
        availability_zone: "eu-central-1b".to_owned(),
        state: InstanceState::Running,
        instance_type: "t4g.nano".to_owned(),
        image_id: inputs().image_id,
        architecture: "arm64".to_owned(),
        private_ip: None,
        public_ip: None,
        network_interface_ids: vec![interface.network_interface_id.clone()],
        security_group_ids: interface.security_group_ids.clone(),
        instance_profile_arn: Some("arn:aws:iam::123456789012:instance-profile/ssm-profile".to_owned()),
        key_name: None,
        http_tokens: None,
        http_endpoint: None,
        launch_time: None,
        system_status: None,
        instance_status: None,
        cpu_credits: None,
        state_reason: None,
        tags,
    };
    insert(&mut network.network_interfaces, interface.network_interface_id.clone().as_str(), interface);
    insert(&mut network.instances, id, instance);
}

fn add_subnet(network: &mut Network, id: &str, cidr: &str) {
    let subnet = Subnet {
        subnet_id: subnet_id(id),
        vpc_id: VpcId::new("vpc-1"),
        cidr_block: Some(cidr.parse().unwrap()),
        ipv6_cidr_blocks: Vec::new(),
        availability_zone: "eu-central-1b".to_owned(),
        state: "available".to_owned(),
        map_public_ip_on_launch: false,
        enable_dns64: false,
        available_ip_address_count: 251,
        tags: Tags::default(),
    };
    insert(&mut network.subnets, id, subnet);
}

fn add_vpc(network: &mut Network, id: &str) {
    let vpc = Vpc {
        vpc_id: VpcId::new(id),
        state: "available".to_owned(),
        cidr_blocks: vec!["10.8.0.0/16".parse().unwrap()],
        ipv6_cidr_blocks: Vec::new(),
        is_default: false,
        dns_support: Some(true),
        dns_hostnames: Some(true),
        dhcp_options: None,
        tags: Tags::default(),
    };
    insert(&mut network.vpcs, id, vpc);
}

fn add_table(network: &mut Network, id: &str, subnet: &str, routes: Vec<Route>) {
    let table = RouteTable {
        route_table_id: crate::model::RouteTableId::new(id),
        vpc_id: VpcId::new("vpc-1"),
        associations: vec![association(&format!("rtbassoc-{id}"), subnet)],
        routes,
        propagating_vgws: Vec::new(),
        tags: Tags::default(),
    };
    insert(&mut network.route_tables, id, table);
}

fn add_group(network: &mut Network, id: &str, name: &str, tags: Tags) {
    let group = SecurityGroup {
        group_id: crate::model::SecurityGroupId::new(id),
        group_name: name.to_owned(),
        description: String::new(),
        vpc_id: VpcId::new("vpc-1"),
        rules: Vec::new(),
        tags,
    };
    insert(&mut network.security_groups, id, group);
}

/// The article's world before its NAT: nothing carries a stack's tag.
fn draft() -> Network {
    let mut network = empty();
    add_vpc(&mut network, "vpc-1");
    let igw = InternetGatewayId::new("igw-1");
    let attachments = vec![GatewayAttachment { vpc_id: VpcId::new("vpc-1"), state: AttachmentState::Available }];
    let gateway = InternetGateway { internet_gateway_id: igw.clone(), attachments, tags: Tags::default() };
    insert(&mut network.internet_gateways, "igw-1", gateway);
    add_subnet(&mut network, "subnet-pub", "10.8.1.0/24");
    add_subnet(&mut network, "subnet-priv", "10.8.2.0/24");
    add_table(&mut network, "rtb-pub", "subnet-pub", vec![route(RouteTarget::InternetGateway(igw))]);
    add_table(&mut network, "rtb-priv", "subnet-priv", Vec::new());
    add_group(&mut network, "sg-priv", "Private", Tags::default());
    for id in ["i-1", "i-2"] {
        add_instance(&mut network, id, "subnet-priv", "sg-priv", Tags::default());
    }
    for service in ["ssm", "ssmmessages", "ec2messages"] {
        let endpoint = VpcEndpoint {
            vpc_endpoint_id: crate::model::VpcEndpointId::new(format!("vpce-{service}")),
            vpc_id: VpcId::new("vpc-1"),
            kind: crate::model::EndpointKind::Interface,
            service_name: format!("com.amazonaws.eu-central-1.{service}"),
            state: crate::model::EndpointState::Available,
            private_dns_enabled: true,
            subnet_ids: vec![subnet_id("subnet-priv")],
            route_table_ids: Vec::new(),
            security_group_ids: vec![crate::model::SecurityGroupId::new("sg-endpoints")],
            network_interface_ids: Vec::new(),
            tags: Tags::default(),
        };
        insert(&mut network.vpc_endpoints, &format!("vpce-{service}"), endpoint);
    }
    network
}

fn tagged(step: &str) -> Tags {
    [(crate::model::STACK, "natdeck"), (crate::model::STEP, step)].into_iter().collect()
}

/// The draft, and what the stack added to it.
fn finished() -> Network {
    let mut network = draft();
    add_group(&mut network, "sg-nat", "natdeck-nat", tagged("nat-security-group"));
    network.security_groups.items_mut().get_mut("sg-nat").unwrap().rules.push(SecurityGroupRule {
        rule_id: None,
        direction: RuleDirection::Ingress,
        protocol: Protocol::All,
        from_port: None,
        to_port: None,
        peer: Peer::Group(crate::model::SecurityGroupId::new("sg-priv")),
        description: None,
    });
    add_instance(&mut network, "i-nat", "subnet-pub", "sg-nat", tagged("nat-instance"));
    let mut inner = eni("eni-inner", Some("i-nat"), 1, "subnet-priv", "sg-nat");
    inner.source_dest_check = false;
    inner.tags = tagged("inner-interface");
    insert(&mut network.network_interfaces, "eni-inner", inner);
    let table = network.route_tables.items_mut().get_mut("rtb-priv").unwrap();
    table.routes.push(route(RouteTarget::NetworkInterface {
        network_interface_id: crate::model::NetworkInterfaceId::new("eni-inner"),
        instance_id: Some(crate::model::InstanceId::new("i-nat")),
    }));
    table.tags = [("natdeck:previous:0.0.0.0/0", "natdeck none")].into_iter().collect();
    network
}

fn plan(spec: &Spec, network: &Network) -> Plan {
    let plan = provision(spec, network, &inputs()).unwrap();
    assert_order(&plan);
    plan
}

/// Every step comes after what it waits for, and after what makes what it refers to.
fn assert_order(plan: &Plan) {
    let mut seen = BTreeSet::new();
    for step in &plan.steps {
        for needed in &step.waits_for {
            assert!(seen.contains(needed), "{} waits for {needed}, which comes later", step.id);
        }
        let mut references = Vec::new();
        made_references(&serde_json::to_value(&step.call).unwrap(), &mut references);
        for reference in references {
            let reference = StepId::new(reference);
            assert!(waits(plan, step, &reference), "{} refers to {reference} and does not wait for it", step.id);
        }
        assert!(seen.insert(step.id.clone()), "{} comes twice", step.id);
        assert!(!step.title.is_empty() && step.reason.ends_with('.'), "{}: {}", step.id, step.reason);
    }
}

fn made_references(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            if let Some(step) = map.get("made").and_then(|made| made.as_str()) {
                found.push(step.to_owned());
            }
            map.values().for_each(|value| made_references(value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| made_references(value, found)),
        _ => {}
    }
}

fn waits(plan: &Plan, step: &Step, needed: &StepId) -> bool {
    step.waits_for.iter().any(|id| id == needed || waits(plan, plan.step(id).unwrap(), needed))
}

fn to_do(plan: &Plan) -> Vec<&str> {
    plan.to_do().map(|step| step.id.as_str()).collect()
}

#[test]
fn from_nothing_the_whole_article_is_made() {
    let plan = plan(&Spec::default(), &empty());
    assert_eq!(
        to_do(&plan),
        [
            "vpc",
            "vpc-dns-support",
            "vpc-dns-hostnames",
            "internet-gateway",
            "gateway-attachment",
            "public-subnet",
            "public-subnet-addresses",
            "public-table",
            "public-table-association",
            "public-default-route",
            "private-subnet",
            "private-table",
            "private-table-association",
            "instance-profile",
            "role",
            "role-policy",
            "role-in-profile",
            "endpoint-security-group",
            "endpoint-ingress",
            "endpoint-ssm",
            "endpoint-ssmmessages",
            "endpoint-ec2messages",
            "private-security-group",
            "private-instance-1",
            "private-instance-2",
            "nat-security-group",
            "nat-ingress",
            "nat-instance",
            "inner-interface",
            "inner-check-off",
            "inner-attachment",
            "default-route",
            "verify-host",
            "check-egress",
        ]
    );
    assert!(!plan.is_empty());
    for step in &plan.steps {
        let tagged = !step.call.tag_resource_types().is_empty();
        assert_eq!(step.tags.stack().is_some(), tagged, "{}", step.id);
    }
}

#[test]
fn the_single_interface_needs_no_second_one() {
    let spec = Spec { topology: Topology::SingleInterface, elastic_ip: true, ..Spec::default() };
    let plan = plan(&spec, &empty());
    let ids = to_do(&plan);
    assert!(!ids.iter().any(|id| id.starts_with("inner-")), "{ids:?}");
    let tail: Vec<&str> = ids.into_iter().skip_while(|id| *id != "nat-instance").collect();
    assert_eq!(
        tail,
        [
            "nat-instance",
            "nat-check-off",
            "elastic-ip",
            "elastic-ip-association",
            "default-route",
            "verify-host",
            "check-egress"
        ]
    );
    let Call::RunInstances(launch) = &plan.step(&"nat-instance".into()).unwrap().call else { panic!("no launch") };
    assert!(!launch.associate_public_ip_address);
    assert!(launch.user_data.as_ref().unwrap().contains("NATDECK_INTERFACES=1"));
}

#[test]
fn from_the_draft_only_the_nat_is_missing() {
    let plan = plan(&Spec::default(), &draft());
    assert_eq!(
        to_do(&plan),
        [
            "nat-security-group",
            "nat-ingress-sg-priv",
            "nat-instance",
            "inner-interface",
            "inner-check-off",
            "inner-attachment",
            "default-route-mark",
            "default-route",
            "verify-host",
            "check-egress"
        ]
    );
    let Call::RunInstances(launch) = &plan.step(&"nat-instance".into()).unwrap().call else { panic!("no launch") };
    assert_eq!(launch.instance_profile_name.as_deref(), Some("ssm-profile"));
    let done: Vec<_> = plan.steps.iter().filter(|step| step.is_done()).collect();
    assert!(done.iter().all(|step| step.output.is_some()));
    assert!(done.iter().any(|step| step.output == Some(Output::Vpc(VpcId::new("vpc-1")))));
}

#[test]
fn on_a_finished_world_nothing_is_to_do() {
    let plan = plan(&Spec::default(), &finished());
    assert_eq!(to_do(&plan), [""; 0]);
    assert!(plan.is_empty());
}

#[test]
fn a_check_that_somebody_switched_on_is_switched_off_again() {
    let mut network = finished();
    network.network_interfaces.items_mut().get_mut("eni-inner").unwrap().source_dest_check = true;
    assert_eq!(to_do(&plan(&Spec::default(), &network)), ["inner-check-off", "verify-host", "check-egress"]);
}

#[test]
fn a_terminated_nat_is_made_again() {
    let mut network = finished();
    network.instances.items_mut().get_mut("i-nat").unwrap().state = InstanceState::Terminated;
    network.network_interfaces.items_mut().get_mut("eni-inner").unwrap().attachment = None;
    let plan = plan(&Spec::default(), &network);
    assert_eq!(to_do(&plan), ["nat-instance", "inner-attachment", "verify-host", "check-egress"]);
}

#[test]
fn a_route_to_a_nat_gateway_is_replaced_and_remembered() {
    let mut network = draft();
    let previous = RouteTarget::NatGateway(NatGatewayId::new("nat-1"));
    network.route_tables.items_mut().get_mut("rtb-priv").unwrap().routes.push(route(previous.clone()));
    let made = plan(&Spec::default(), &network);
    let Call::CreateTags { tags, .. } = &made.step(&"default-route-mark".into()).unwrap().call else {
        panic!("no mark")
    };
    assert_eq!(tags.get("natdeck:previous:0.0.0.0/0"), Some("natdeck nat-1"));
    let replace = made.step(&"default-route".into()).unwrap();
    assert!(matches!(&replace.call, Call::ReplaceRoute { previous: is, .. } if *is == previous));

    let mut network = finished();
    network.route_tables.items_mut().get_mut("rtb-priv").unwrap().tags = tags.clone();
    let back = teardown("natdeck", &network).unwrap();
    let first = back.steps.first().unwrap();
    assert!(matches!(&first.call, Call::ReplaceRoute { previous: is, .. } if *is == previous), "{first:?}");
}

#[test]
fn a_nat_instance_of_somebody_elses_is_used_as_it_is() {
    let mut network = finished();
    for group in network.security_groups.items_mut().values_mut() {
        group.tags = Tags::default();
    }
    for instance in network.instances.items_mut().values_mut() {
        instance.tags = Tags::default();
    }
    for interface in network.network_interfaces.items_mut().values_mut() {
        interface.tags = Tags::default();
    }
    network.route_tables.items_mut().get_mut("rtb-priv").unwrap().tags = Tags::default();
    let plan = plan(&Spec::default(), &network);
    assert_eq!(to_do(&plan), [""; 0]);
    assert!(plan.notes.iter().any(|note| note.contains("i-nat already")), "{:?}", plan.notes);
}

fn refused(spec: &Spec, network: &Network) -> String {
    provision(spec, network, &inputs()).unwrap_err().to_string()
}

#[test]
fn what_stands_in_the_way_is_named() {
    let spec = Spec::default();
    let mut two = draft();
    add_vpc(&mut two, "vpc-0000000a");
    assert_eq!(
        refused(&spec, &two),
        "2 VPCs have the range 10.8.0.0/16: vpc-0000000a, vpc-1; set vpc_id (--vpc) to the one that is meant"
    );
    assert!(provision(&Spec { vpc_id: Some(VpcId::new("vpc-0000000a")), ..spec.clone() }, &two, &inputs()).is_ok());

    let overlapping = Spec { private_subnet_cidr: "10.8.2.0/25".parse().unwrap(), ..spec.clone() };
    assert_eq!(
        refused(&overlapping, &draft()),
        "private_subnet_cidr: 10.8.2.0/25 overlaps 10.8.2.0/24 of subnet-priv; choose a range that is free in the VPC"
    );
    let nowhere = Spec { zone: Some("eu-central-1z".to_owned()), ..spec.clone() };
    assert!(refused(&nowhere, &empty()).starts_with("zone: there is no availability zone 'eu-central-1z'"));
    let elsewhere = Spec { zone: Some("eu-central-1a".to_owned()), ..spec.clone() };
    assert!(refused(&elsewhere, &draft()).starts_with("subnet-pub is in eu-central-1b, not in eu-central-1a"));

    let mut shared = draft();
    shared.route_tables.items_mut().remove("rtb-priv");
    let table = shared.route_tables.items_mut().get_mut("rtb-pub").unwrap();
    table.associations.push(association("rtbassoc-2", "subnet-priv"));
    assert!(refused(&spec, &shared).contains("would lead the NAT to itself"));
}

#[test]
fn what_was_not_seen_is_not_taken_for_absent() {
    let mut network = draft();
    network.security_groups = Part::unknown(Unknown::new("DescribeSecurityGroups", "UnauthorizedOperation"));
    let error = provision(&Spec::default(), &network, &inputs()).unwrap_err();
    assert!(matches!(&error, PlanError::Unknown(unknown) if unknown.what == "DescribeSecurityGroups"), "{error}");
    assert!(teardown("natdeck", &network).is_err());
}

#[test]
fn teardown_takes_what_is_the_stacks_and_nothing_else() {
    let plan = teardown("natdeck", &finished()).unwrap();
    assert_order(&plan);
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        ["route-rtb-priv-default", "unmark-rtb-priv-default", "instance-i-nat", "interface-eni-inner", "group-sg-nat"]
    );
    assert_eq!(plan.blockers, []);
    assert!(teardown("other", &finished()).unwrap().is_empty());
}

#[test]
fn a_foreign_interface_in_the_stacks_group_is_a_blocker() {
    let mut network = finished();
    add_instance(&mut network, "i-bastion", "subnet-pub", "sg-nat", Tags::default());
    let plan = teardown("natdeck", &network).unwrap();
    assert_eq!(plan.blockers.len(), 1, "{:?}", plan.blockers);
    let blocker = &plan.blockers[0];
    assert_eq!((blocker.resource.as_str(), blocker.blocks.as_str()), ("eni-i-bastion", "sg-nat"));
    assert!(blocker.next_move.contains("i-bastion"));
}

#[test]
fn every_line_for_the_cli_is_valid_shell() {
    let spec = Spec { elastic_ip: true, ..Spec::default() };
    for (spec, network) in [
        (spec.clone(), empty()),
        (Spec { topology: Topology::SingleInterface, ..spec }, empty()),
        (Spec::default(), draft()),
    ] {
        let plan = plan(&spec, &network);
        let mut script = "set -eu\naws() { echo id-1; }\n".to_owned();
        for step in &plan.steps {
            let line = step.aws_cli(&Outputs::new());
            assert!(line.contains("aws "), "{line}");
            script.push_str(&line);
            script.push('\n');
        }
        // -u makes a variable that no earlier line assigns an error.
        let shell = std::process::Command::new("bash").arg("-c").arg(&script).output().unwrap();
        assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    }
}

#[test]
fn terraform_makes_what_the_steps_make() {
    let plan = plan(&Spec::default(), &empty());
    let text = |id: &str| plan.step(&id.into()).unwrap().terraform();
    assert!(text("inner-interface").unwrap().contains("source_dest_check = false"));
    assert!(text("default-route").unwrap().contains("network_interface_id = aws_network_interface.inner_interface.id"));
    assert_eq!(text("check-egress"), None);
    let without: Vec<&str> =
        plan.steps.iter().filter(|step| step.terraform().is_none()).map(|step| step.id.as_str()).collect();
    assert_eq!(
        without,
        [
            "vpc-dns-support",
            "vpc-dns-hostnames",
            "public-subnet-addresses",
            "role-in-profile",
            "inner-check-off",
            "verify-host",
            "check-egress"
        ]
    );
}

#[test]
fn the_cost_is_below_that_of_a_nat_gateway() {
    let cost = crate::plan::cost(&plan(&Spec::default(), &empty())).unwrap();
    assert!((cost.nat_gateway_per_month - 36.5).abs() < 0.01, "{cost:?}");
    assert!((cost.nat_per_month - 7.356).abs() < 0.01, "{cost:?}");
    let what: Vec<&str> = cost.lines.iter().map(|line| line.what.as_str()).collect();
    assert_eq!(what, ["3 t4g.nano instances", "3 8 GB gp3 volumes", "1 public IPv4 address", "3 interface endpoints"]);
}
