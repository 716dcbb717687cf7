//! Diagnosis of built worlds: every cause on the path, in order, and nothing of what is healthy.

use super::world::*;
use crate::model::host::{Hook, Policy};
use crate::model::*;
use crate::reach::mend::{Mended, Mending};
use crate::reach::{
    Cause, Certainty, Code, Diagnosis, Direction, Disposition, Flow, Observations, PacketTest, Probe, Severity,
    diagnose,
};

type Change = fn(&mut Lab);

fn diagnosed(world: &Lab, observations: &Observations) -> Diagnosis {
    let flow = Flow::https(id("i-client", InstanceId::new), OUTSIDE.parse().unwrap());
    diagnose(&world.network, &world.hosts, &flow, observations)
}

fn causes(world: &Lab) -> Vec<Cause> {
    diagnosed(world, &Observations::default()).findings.iter().map(|finding| finding.cause).collect()
}

fn forward_policy_drop(world: &mut Lab) {
    let host = world.host("i-nat");
    for table in &mut host.ruleset.tables {
        for chain in table.chains.iter_mut().filter(|c| c.base.is_some_and(|b| b.hook == Hook::Forward)) {
            chain.rules.clear();
            if let Some(base) = &mut chain.base {
                base.policy = Policy::Drop;
            }
        }
    }
}

fn acl_denies(world: &mut Lab, subnet: &str, direction: AclDirection, ports: (u16, u16)) {
    let acls = world.network.network_acls.items_mut();
    let subnet = id(subnet, SubnetId::new);
    let acl = acls.values_mut().find(|acl| acl.subnet_ids.contains(&subnet)).unwrap();
    let mut own = acl.clone();
    acl.subnet_ids.retain(|id| *id != subnet);
    own.network_acl_id = id(&format!("acl-{subnet}"), NetworkAclId::new);
    own.subnet_ids = vec![subnet];
    own.entries.push(AclEntry {
        rule_number: 5,
        direction,
        action: AclAction::Deny,
        protocol: Protocol::Tcp,
        cidr_block: Some("0.0.0.0/0".parse().unwrap()),
        ipv6_cidr_block: None,
        port_range: Some(ports),
        icmp_type_code: None,
    });
    acls.insert(own.network_acl_id.to_string(), own);
}

/// One cause each, in a world of the article.
const ARTICLE: &[(Cause, Change)] = &[
    (Cause::NoRoute, |w| w.table_mut("rtb-private").routes.retain(|r| !r.destination.is_ipv4_default())),
    (Cause::BlackholeRoute, |w| {
        w.default_route("rtb-private").state = RouteState::Blackhole;
        w.default_route("rtb-private").target = eni_target("eni-gone");
    }),
    (Cause::MainTableApplies, |w| w.table_mut("rtb-private").associations.clear()),
    (Cause::MoreSpecificRoute, |w| {
        w.route("rtb-private", "8.0.0.0/8", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
    }),
    (Cause::RoutedToOtherEgress, |w| {
        w.default_route("rtb-private").target = RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new));
    }),
    (Cause::NatSubnetNotPublic, |w| {
        w.table_mut("rtb-public").routes.retain(|r| !r.destination.is_ipv4_default());
    }),
    (Cause::IgwNotAttached, |w| {
        w.network.internet_gateways.items_mut().get_mut("igw-1").unwrap().attachments.clear();
    }),
    (Cause::VpcBlockPublicAccess, |w| {
        let setting = BlockPublicAccess {
            internet_gateway_block_mode: InternetGatewayBlockMode::BlockIngress,
            exclusions: Vec::new(),
        };
        w.network.block_public_access.items_mut().insert("eu-central-1".to_owned(), setting);
    }),
    (Cause::NoPublicAddress, |w| {
        w.eni("eni-outer").association = None;
        w.network.addresses.items_mut().clear();
    }),
    (Cause::SourceDestCheck, |w| w.eni("eni-inner").source_dest_check = true),
    (Cause::EniNotAttached, |w| {
        w.eni("eni-inner").attachment = None;
        w.eni("eni-inner").status = InterfaceStatus::Available;
    }),
    (Cause::NatInstanceStopped, |w| w.instance_mut("i-nat").state = InstanceState::Stopped),
    (Cause::NatStatusCheckFailed, |w| w.instance_mut("i-nat").instance_status = Some(StatusCheck::Impaired)),
    (Cause::AclPrivateEgress, |w| acl_denies(w, "subnet-private", AclDirection::Egress, (443, 443))),
    (Cause::AclNatEgress, |w| acl_denies(w, "subnet-public", AclDirection::Egress, (443, 443))),
    (Cause::AclReplyNatIngress, |w| acl_denies(w, "subnet-public", AclDirection::Ingress, (1024, 65535))),
    (Cause::HostIpForwardOff, |w| w.host("i-nat").ip_forward = false),
    (Cause::HostNoMasquerade, |w| w.host("i-nat").ruleset.tables.retain(|t| t.name != "nat")),
    (Cause::HostMasqueradeWrongInterface, |w| {
        w.host("i-nat").ruleset =
            rules("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n");
    }),
    (Cause::HostForwardDenied, forward_policy_drop),
    (Cause::HostInterfaceDown, |w| w.host("i-nat").interfaces[1].up = false),
    (Cause::HostConntrackFull, |w| {
        w.host("i-nat").ruleset.conntrack = Some(crate::model::host::ConntrackUse { count: 9, max: 9 });
    }),
    (Cause::HostDefaultRouteWrong, |w| {
        let host = w.host("i-nat");
        host.routes.retain(|route| route.destination.prefix_len() != 0);
    }),
];

#[test]
fn a_healthy_world_has_no_findings() {
    for world in [Lab::article(), Lab::single()] {
        let diagnosis = diagnosed(&world, &Observations::default());
        assert_eq!(diagnosis.disposition, Disposition::Delivered);
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
        assert!(diagnosis.unknown.is_empty());
    }
}

#[test]
fn each_cause_alone_is_the_only_finding() {
    for (cause, change) in ARTICLE {
        let mut world = Lab::article();
        change(&mut world);
        if *cause == Cause::AclPrivateEgress {
            // The inner interface is in the private subnet: its edge is not crossed.
            continue;
        }
        assert_eq!(causes(&world), [*cause], "{cause}: {:#?}", diagnosed(&world, &Observations::default()));
        let diagnosis = diagnosed(&world, &Observations::default());
        assert_eq!(diagnosis.disposition, Disposition::Dropped, "{cause}");
        assert!(!diagnosis.findings[0].evidence.is_empty(), "{cause} has no evidence");
        let marks = diagnosis.path.iter().filter(|hop| hop.code == Some(cause.code())).count();
        assert!(marks >= 1 || *cause == Cause::RoutedToOtherEgress, "{cause} is not on the path");
    }
}

#[test]
fn block_public_access_is_mended_as_it_is_repaired_for_the_one_subnet_that_it_keeps_back() {
    let mut world = Lab::article();
    ARTICLE.iter().find(|(cause, _)| *cause == Cause::VpcBlockPublicAccess).unwrap().1(&mut world);
    let mut subject = diagnosed(&world, &Observations::default()).findings[0].subject.clone();
    let mut mended = Mended::new(&world.network, &world.hosts);
    assert_eq!(mended.mend(Cause::VpcBlockPublicAccess, &mut subject, Direction::Forward), Mending::Done);
    let setting = mended.network.block_public_access.shown().values().next().unwrap();
    let lets_out = |subnet| setting.lets_instances_out(&id("vpc-1", VpcId::new), Some(&id(subnet, SubnetId::new)));
    assert!(lets_out("subnet-public") && !lets_out("subnet-private"), "{setting:?}");
}

#[test]
fn two_causes_are_both_found_whatever_the_order() {
    let (mut pairs, mut missed) = (0, Vec::new());
    for (a, first) in ARTICLE {
        for (b, second) in ARTICLE {
            let routes = |c: &&Cause| {
                matches!(
                    c,
                    Cause::NoRoute | Cause::BlackholeRoute | Cause::RoutedToOtherEgress | Cause::MainTableApplies
                )
            };
            let acls = |c: &&Cause| c.code() == crate::reach::Code::SubnetAclRestriction;
            let rules = |c: &&Cause| {
                let host = [Cause::HostNoMasquerade, Cause::HostMasqueradeWrongInterface, Cause::HostForwardDenied];
                host.contains(c) || **c == Cause::HostConntrackFull
            };
            let both = [a, b];
            // An interface that is attached again comes up.
            let anew = both.contains(&&Cause::EniNotAttached) && both.contains(&&Cause::HostInterfaceDown);
            let same_place = both.iter().all(routes) || both.iter().all(acls) || both.iter().all(rules);
            if a == b || same_place || anew || [a, b].contains(&&Cause::AclPrivateEgress) {
                continue;
            }
            let mut world = Lab::article();
            first(&mut world);
            second(&mut world);
            let found = causes(&world);
            let both = found.contains(a) && found.contains(b);
            pairs += 1;
            missed.extend((!both).then(|| format!("{a} and {b}: found {found:?}")));
        }
    }
    assert!(missed.is_empty(), "{} of {pairs}:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn several_causes_are_found_in_the_order_of_the_path() {
    let mut world = Lab::single();
    acl_denies(&mut world, "subnet-private", AclDirection::Egress, (443, 443));
    acl_denies(&mut world, "subnet-public", AclDirection::Ingress, (1024, 65535));
    world.eni("eni-outer").source_dest_check = true;
    world.host("i-nat").ip_forward = false;
    assert_eq!(
        causes(&world),
        [Cause::AclPrivateEgress, Cause::SourceDestCheck, Cause::HostIpForwardOff, Cause::AclReplyNatIngress]
    );
}

#[test]
fn a_host_that_is_not_known_leaves_the_answer_open_and_what_is_behind_it_is_found() {
    let mut world = Lab::article();
    world.hosts.clear();
    let diagnosis = diagnosed(&world, &Observations::default());
    assert_eq!(diagnosis.disposition, Disposition::InsufficientInformation);
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    assert!(diagnosis.unknown.iter().any(|unknown| unknown.what.contains("i-nat")));

    world.network.internet_gateways.items_mut().get_mut("igw-1").unwrap().attachments.clear();
    let diagnosis = diagnosed(&world, &Observations::default());
    assert_eq!(diagnosis.findings[0].cause, Cause::IgwNotAttached);
    assert_eq!(diagnosis.findings[0].certainty, Certainty::Likely);
}

#[test]
fn a_failed_test_with_a_host_that_cannot_be_seen_gives_guesses_that_are_called_so() {
    let mut world = Lab::article();
    world.hosts.clear();
    let timed_out = Observations { test: Some(timed_out()), ..Observations::default() };
    let diagnosis = diagnosed(&world, &timed_out);
    assert_eq!(diagnosis.disposition, Disposition::Dropped, "the packet test says so");
    assert_eq!(diagnosis.findings[0].cause, Cause::HostIpForwardOff);
    assert!(diagnosis.findings.iter().all(|finding| finding.certainty == Certainty::Guess));
    // What took its own agent along comes first.
    lose_agent(&mut world, "i-nat");
    let diagnosis = diagnosed(&world, &timed_out);
    assert_eq!(diagnosis.findings[0].cause, Cause::HostDefaultRouteWrong);
    assert!(diagnosis.findings[0].evidence.iter().any(|e| e.text.contains("PingStatus = ConnectionLost")));
}

fn timed_out() -> PacketTest {
    let probe = Probe {
        url: "https://api.ipify.org".to_owned(),
        exit_code: 28,
        address: None,
        resolved: Some(true),
        connected: Some(false),
        latency_ms: None,
        message: "timed out".to_owned(),
    };
    PacketTest::Ran { probes: vec![probe], observed_at: None }
}

fn lose_agent(world: &mut Lab, id: &str) {
    let agent = ManagedInstance {
        instance_id: InstanceId::new(id),
        ping_status: PingStatus::ConnectionLost,
        last_ping_at: Some(jiff::Timestamp::UNIX_EPOCH),
        agent_version: String::new(),
        platform_type: "Linux".to_owned(),
        platform_name: String::new(),
        platform_version: String::new(),
    };
    world.network.managed_instances.items_mut().insert(id.to_owned(), agent);
}

#[test]
fn agents_that_went_together_are_a_hint_only_where_nothing_else_explains_them() {
    let mut world = Lab::article();
    world.hosts.clear();
    ["i-nat", "i-client"].into_iter().for_each(|id| lose_agent(&mut world, id));
    let untested = |code| {
        let test = Some(PacketTest::CouldNotRun { code, reason: "its agent is away".to_owned() });
        Observations { test, ..Observations::default() }
    };
    let said = diagnosed(&world, &untested(Code::TestAgentOffline));
    assert_eq!(said.disposition, Disposition::InsufficientInformation);
    assert_eq!(said.findings[0].cause, Cause::HostDefaultRouteWrong);
    assert_eq!(said.findings[0].certainty, Certainty::Guess);
    let said = diagnosed(&world, &untested(Code::TestEndpointBlocked));
    assert_eq!(said.findings[0].cause, Cause::TestEndpointBlocked);
}

#[test]
fn a_packet_that_passed_outweighs_the_walk() {
    let mut world = Lab::article();
    world.host("i-nat").ip_forward = false;
    let probe = Probe {
        url: "https://api.ipify.org".to_owned(),
        exit_code: 0,
        address: Some(NAT_PUBLIC.parse().unwrap()),
        resolved: Some(true),
        connected: Some(true),
        latency_ms: Some(9),
        message: String::new(),
    };
    let test = Some(PacketTest::Ran { probes: vec![probe], observed_at: None });
    let diagnosis = diagnosed(&world, &Observations { test, ..Observations::default() });
    assert_eq!(diagnosis.disposition, Disposition::Delivered);
    assert!(diagnosis.findings.iter().all(|finding| finding.severity == Severity::Warns));
}

#[test]
fn filters_that_are_not_known_do_not_hide_what_lies_behind_them() {
    let mut world = Lab::article();
    world.network.network_acls = Part::unknown(Unknown::new("DescribeNetworkAcls", "denied"));
    world.network.internet_gateways.items_mut().get_mut("igw-1").unwrap().attachments.clear();
    let diagnosis = diagnosed(&world, &Observations::default());
    assert_eq!(diagnosis.disposition, Disposition::Dropped);
    assert_eq!(diagnosis.findings[0].cause, Cause::IgwNotAttached);
    assert!(diagnosis.unknown.iter().any(|unknown| unknown.what == "DescribeNetworkAcls"));
}

#[test]
fn a_diagnosis_reads_back_from_json() {
    let mut world = Lab::article();
    forward_policy_drop(&mut world);
    let diagnosis = diagnosed(&world, &Observations::default());
    let text = serde_json::to_string(&diagnosis).unwrap();
    assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), diagnosis);
}
