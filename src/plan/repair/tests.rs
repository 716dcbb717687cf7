//! What a repair changes, what it says of it, and when there is none.

use std::net::Ipv4Addr;

use super::*;
use crate::model::{
    AclAction, AclDirection, AclEntry, AttachmentId, InstanceId, InterfaceAttachment, InterfaceStatus, NetworkAcl,
    NetworkAclId, NetworkInterface, NetworkInterfaceId, Protocol, Route, RouteDestination, RouteOrigin, RouteState,
    RouteTable, RouteTableId, RouteTarget, SecurityGroup, SecurityGroupId, Subnet, SubnetId, VpcId,
};
use crate::reach::{Certainty, DroppedPacket, Evidence, Flow, Severity, Subject};

const CLIENT: &str = "i-client";
const NAT: &str = "i-nat";

/// One private subnet with a table, a group, an ACL and a client.
fn network() -> Network {
    let mut network = Network::default();
    let subnet = Subnet {
        subnet_id: SubnetId::new("subnet-private"),
        vpc_id: VpcId::new("vpc-1"),
        cidr_block: Some("10.8.2.0/24".parse().unwrap()),
        ipv6_cidr_blocks: Vec::new(),
        availability_zone: "eu-central-1b".to_owned(),
        state: "available".to_owned(),
        map_public_ip_on_launch: false,
        enable_dns64: false,
        available_ip_address_count: 251,
        tags: Tags::default(),
    };
    network.subnets.items_mut().insert("subnet-private".to_owned(), subnet);
    let client = NetworkInterface {
        network_interface_id: NetworkInterfaceId::new("eni-client"),
        vpc_id: VpcId::new("vpc-1"),
        subnet_id: SubnetId::new("subnet-private"),
        availability_zone: "eu-central-1b".to_owned(),
        status: InterfaceStatus::InUse,
        interface_type: "interface".to_owned(),
        description: String::new(),
        mac_address: "02:00:00:00:00:01".to_owned(),
        private_ip: Some(Ipv4Addr::new(10, 8, 2, 7)),
        secondary_private_ips: Vec::new(),
        ipv6_addresses: Vec::new(),
        security_group_ids: Vec::new(),
        source_dest_check: true,
        attachment: Some(InterfaceAttachment {
            attachment_id: AttachmentId::new("eni-attach-client"),
            instance_id: Some(InstanceId::new(CLIENT)),
            device_index: 0,
            status: "attached".to_owned(),
            delete_on_termination: true,
        }),
        association: None,
        requester_managed: false,
        tags: Tags::default(),
    };
    network.network_interfaces.items_mut().insert("eni-client".to_owned(), client);
    let group = SecurityGroup {
        group_id: SecurityGroupId::new("sg-nat"),
        group_name: "nat".to_owned(),
        description: String::new(),
        vpc_id: VpcId::new("vpc-1"),
        rules: Vec::new(),
        tags: Tags::default(),
    };
    network.security_groups.items_mut().insert("sg-nat".to_owned(), group);
    network
}

fn with_route(destination: &str, origin: RouteOrigin) -> Network {
    let mut network = network();
    let table = RouteTable {
        route_table_id: RouteTableId::new("rtb-1"),
        vpc_id: VpcId::new("vpc-1"),
        associations: Vec::new(),
        routes: vec![Route {
            destination: RouteDestination::Ipv4(destination.parse().unwrap()),
            target: RouteTarget::InternetGateway(crate::model::InternetGatewayId::new("igw-1")),
            state: RouteState::Active,
            origin,
        }],
        propagating_vgws: Vec::new(),
        tags: Tags::default(),
    };
    network.route_tables.items_mut().insert("rtb-1".to_owned(), table);
    network
}

fn with_deny(number: u32, subnets: &[&str]) -> Network {
    let mut network = network();
    let acl = NetworkAcl {
        network_acl_id: NetworkAclId::new("acl-1"),
        vpc_id: VpcId::new("vpc-1"),
        is_default: false,
        subnet_ids: subnets.iter().map(|id| SubnetId::new(*id)).collect(),
        entries: vec![AclEntry {
            rule_number: number,
            direction: AclDirection::Ingress,
            action: AclAction::Deny,
            protocol: Protocol::All,
            cidr_block: Some("0.0.0.0/0".parse().unwrap()),
            ipv6_cidr_block: None,
            port_range: None,
            icmp_type_code: None,
        }],
        tags: Tags::default(),
    };
    network.network_acls.items_mut().insert("acl-1".to_owned(), acl);
    network
}

/// A finding about everything that the network above has, for HTTPS from the client.
fn finding(cause: Cause) -> Finding {
    let packet = DroppedPacket {
        protocol: Protocol::Tcp,
        source: "10.8.2.7".parse().unwrap(),
        source_port: 40_000,
        destination: "104.26.12.205".parse().unwrap(),
        destination_port: 443,
    };
    let subject = Subject {
        flow: Some(Flow::https(InstanceId::new(CLIENT), packet.destination)),
        packet: Some(packet),
        subnet_id: Some(SubnetId::new("subnet-private")),
        route_table_id: Some(RouteTableId::new("rtb-1")),
        destination: Some(RouteDestination::Ipv4("0.0.0.0/0".parse().unwrap())),
        network_interface_id: Some(NetworkInterfaceId::new("eni-nat")),
        instance_id: Some(InstanceId::new(NAT)),
        security_group_id: Some(SecurityGroupId::new("sg-nat")),
        network_acl_id: Some(NetworkAclId::new("acl-1")),
        device: Some("ens6".to_owned()),
        out_device: Some("ens5".to_owned()),
        ..Subject::default()
    };
    Finding {
        cause,
        code: cause.code(),
        severity: Severity::Breaks,
        certainty: Certainty::Certain,
        resource_id: None,
        summary: String::new(),
        evidence: Vec::new(),
        subject,
    }
}

fn evidence(source: &str, text: &str) -> Evidence {
    Evidence { source: source.to_owned(), text: text.to_owned(), observed_at: None }
}

/// The script of a repair on a host.
fn script(repair: &Repair) -> &str {
    match &repair.steps[0].call {
        Call::Repair(call) => match &**call {
            RepairCall::RunOnHost { script, .. } => script,
            other => panic!("no script: {other:?}"),
        },
        other => panic!("no repair of a host: {other:?}"),
    }
}

#[test]
fn what_is_guessed_is_not_repaired() {
    let mut guess = finding(Cause::HostIpForwardOff);
    assert!(repair(&guess, &network()).is_some());
    guess.certainty = Certainty::Guess;
    assert_eq!(repair(&guess, &network()), None);
}

#[test]
fn a_route_leads_to_a_nat_and_never_to_the_instance_that_asks() {
    let network = with_route("0.0.0.0/0", RouteOrigin::CreateRoute);
    let mut wrong = finding(Cause::BlackholeRoute);
    let made = repair(&wrong, &network).unwrap();
    assert!(matches!(made.steps[0].call, Call::ReplaceRoute { .. }), "{:?}", made.steps);
    assert_eq!(made.changes[0].after, "eni-nat");
    assert_eq!(made.caution, None);
    wrong.subject.instance_id = Some(InstanceId::new(CLIENT));
    assert_eq!(repair(&wrong, &network), None);
}

#[test]
fn a_route_that_was_propagated_is_left_to_a_person() {
    let mut longer = finding(Cause::MoreSpecificRoute);
    longer.subject.destination = Some(RouteDestination::Ipv4("104.16.0.0/12".parse().unwrap()));
    let made = repair(&longer, &with_route("104.16.0.0/12", RouteOrigin::CreateRoute)).unwrap();
    assert_eq!(made.title, "Delete the route for 104.16.0.0/12 from rtb-1");
    assert_eq!(repair(&longer, &with_route("104.16.0.0/12", RouteOrigin::EnableVgwRoutePropagation)), None);
}

#[test]
fn a_group_lets_in_the_private_subnet_and_nobody_else() {
    let made = repair(&finding(Cause::NatIngressRule), &network()).unwrap();
    let Call::AuthorizeSecurityGroupIngress { rule, .. } = &made.steps[0].call else { panic!("{:?}", made.steps) };
    assert_eq!(rule.peer, crate::plan::RulePeer::Ipv4("10.8.2.0/24".parse().unwrap()));
    let said = made.caution.unwrap();
    assert_eq!(said, "widens sg-nat: all protocols and ports are let in from 10.8.2.0/24, and from nowhere else");
}

#[test]
fn what_is_let_out_to_the_world_says_so_and_is_one_port() {
    for cause in [Cause::NatEgressRule, Cause::ClientEgressRule] {
        let made = repair(&finding(cause), &network()).unwrap();
        assert_eq!(made.title, "Let tcp 443 out of sg-nat");
        let said = made.caution.unwrap();
        assert!(
            said.starts_with("widens sg-nat: tcp 443 is let out to the whole internet from every interface in it.")
        );
        assert!(said.contains("Other ports and protocols stay blocked"), "{said}");
    }
}

#[test]
fn an_entry_comes_before_the_one_that_denies_or_not_at_all() {
    let mut reply = finding(Cause::AclReplyNatIngress);
    let packet = reply.subject.packet.as_mut().unwrap();
    std::mem::swap(&mut packet.source, &mut packet.destination);
    std::mem::swap(&mut packet.source_port, &mut packet.destination_port);
    reply.evidence = vec![evidence("DescribeNetworkAcls acl-1", "Entries[]: RuleNumber = 2, Egress = false")];
    let made = repair(&reply, &with_deny(2, &["subnet-public", "subnet-other"])).unwrap();
    assert_eq!(made.changes[0].after, "entry 1 allows tcp 1024-65535 from 0.0.0.0/0");
    let said = made.caution.unwrap();
    assert!(said.contains("the whole internet") && said.contains("subnet-public, subnet-other"), "{said}");
    reply.evidence = vec![evidence("DescribeNetworkAcls acl-1", "Entries[]: RuleNumber = 1, Egress = false")];
    assert_eq!(repair(&reply, &with_deny(1, &["subnet-public"])), None, "nothing comes before 1");
}

#[test]
fn nothing_but_a_name_gets_into_a_script() {
    let mut masquerade = finding(Cause::HostNoMasquerade);
    let made = repair(&masquerade, &network()).unwrap();
    assert!(script(&made).contains("rule nat POSTROUTING -o ens5 -j MASQUERADE"), "{}", script(&made));
    for name in ["", "ens5; reboot", "$(reboot)", "ens5 -d 10.0.0.0/8", "a-device-of-sixteen"] {
        masquerade.subject.out_device = Some(name.to_owned());
        assert_eq!(repair(&masquerade, &network()), None, "{name}");
    }
}

#[test]
fn a_table_of_nfts_is_left_to_whoever_made_it() {
    let mut denied = finding(Cause::HostForwardDenied);
    denied.evidence = vec![evidence("nft list ruleset", "chain forward { policy drop; }")];
    assert_eq!(repair(&denied, &network()), None);
    denied.evidence = vec![evidence("iptables-save -c", ":FORWARD DROP")];
    let made = repair(&denied, &network()).unwrap();
    assert!(made.caution.as_ref().unwrap().contains("nothing new by ens5"), "{:?}", made.caution);
}

#[test]
fn with_one_interface_a_host_is_told_who_may_begin() {
    let mut denied = finding(Cause::HostForwardDenied);
    denied.evidence = vec![evidence("iptables-save -c", ":FORWARD DROP")];
    denied.subject.device = Some("ens5".to_owned());
    let made = repair(&denied, &network()).unwrap();
    assert!(script(&made).contains("ahead FORWARD -s 10.8.2.0/24 -i ens5 -o ens5 "), "{}", script(&made));
    denied.cause = Cause::HostForwardReplyDenied;
    let made = repair(&denied, &network()).unwrap();
    assert!(!script(&made).contains("10.8.2.0/24"), "replies only: {}", script(&made));
}

#[test]
fn a_table_that_has_room_again_is_not_made_larger() {
    let mut full = finding(Cause::HostConntrackFull);
    assert!(repair(&full, &network()).is_some());
    full.severity = Severity::Warns;
    assert_eq!(repair(&full, &network()), None);
}

#[test]
fn every_script_verifies_itself_and_all_but_two_can_be_taken_back() {
    let causes = Cause::ALL.iter().copied().filter(|cause| cause.repairable());
    for cause in causes.filter(|cause| cause.code().as_str().starts_with("HOST_")) {
        let mut found = finding(cause);
        found.evidence = vec![evidence("iptables-save -c", ":FORWARD DROP")];
        found.subject.network_interface_id = Some(NetworkInterfaceId::new("eni-client"));
        let made = repair(&found, &network()).unwrap_or_else(|| panic!("{cause} has no repair"));
        let Call::Repair(call) = &made.steps[0].call else { panic!("{cause}: {:?}", made.steps) };
        let RepairCall::RunOnHost { script, undo, .. } = &**call else { panic!("{cause}: {call:?}") };
        assert!(script.starts_with("# What every repair"), "{cause}");
        // The last line decides the script's end: a question, not a change.
        let last = script.lines().rfind(|line| !matches!(*line, "fi" | "}")).unwrap().trim();
        let asks = [
            "[ ",
            "iptables -w -C",
            "iptables -w -t nat -C",
            "iptables -w -t mangle -C",
            "good",
            "nft list",
            "ip -4 route show",
        ];
        assert!(asks.iter().any(|ask| last.starts_with(ask)), "{cause} ends with: {last}");
        let stays = matches!(cause, Cause::HostUserDataFailed | Cause::HostNoFirewallTool);
        assert_eq!(undo.is_none(), stays, "{cause}");
    }
}
