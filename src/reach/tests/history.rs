//! Histories of egress over worlds that change under them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::world::{Lab, NAT_PUBLIC};
use crate::model::diff::notes;
use crate::model::*;
use crate::reach::history::{Sample, Standing, TurnKind, Watch, sparkline};
use crate::reach::{EgressResult, Role, Verdict};

fn at(seconds: i64) -> Timestamp {
    // 03:12:00 of some day.
    Timestamp::from_second(1_780_024_320 + seconds).unwrap()
}

fn answer(verdict: Verdict, address: Option<&str>) -> EgressResult {
    EgressResult {
        instance_id: InstanceId::new("i-client"),
        name: Some("web".to_owned()),
        private_ip: None,
        role: Role::Client,
        verdict,
        address: address.map(|ip| ip.parse().unwrap()),
        expected_address: None,
        latency_ms: address.map(|_| 40),
        code: (verdict == Verdict::NoEgress).then(|| "BLACKHOLE_ROUTE".to_owned()),
        reason: None,
    }
}

fn reroute(lab: &mut Lab, target: RouteTarget) {
    lab.default_route("rtb-private").target = target;
}

fn texts(before: &Network, after: &Network) -> Vec<String> {
    notes(before, after).into_iter().map(|note| note.text).collect()
}

#[test]
fn a_failover_that_the_check_is_content_with_is_a_finding_with_the_route_that_changed() {
    let mut lab = Lab::article();
    lab.nat_gateway("nat-1", "subnet-public");
    let mut watch = Watch::default();
    let first = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    assert_eq!((first.turns.len(), first.notes.len()), (0, 0), "nothing is before the first round");
    reroute(&mut lab, RouteTarget::NatGateway(NatGatewayId::new("nat-1")));
    // The route names the NAT gateway and its address was seen: by itself this passes.
    let round = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some("52.1.2.3"))], at(7));
    let [turn] = &round.turns[..] else { panic!("{round:?}") };
    assert_eq!(turn.kind, TurnKind::SilentFailover);
    assert_eq!(
        turn.sentence(),
        "SILENT_FAILOVER i-client (web) leaves as 52.1.2.3 by nat-1 instead of 3.64.126.205 by i-nat: \
         route 0.0.0.0/0 of rtb-private went from eni-inner to nat-1 at 03:12:07"
    );
    let history = &watch.histories[&InstanceId::new("i-client")];
    assert_eq!(history.standing(), Some(Standing::SilentFailover));
    assert!(history.finding().unwrap().starts_with("SILENT_FAILOVER"));
    // It stays a finding for as long as it lasts, and ends when the old way is back.
    let again = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some("52.1.2.3"))], at(37));
    assert!(again.turns.is_empty());
    assert!(watch.histories[&InstanceId::new("i-client")].finding().is_some());
    reroute(&mut lab, super::world::eni_target("eni-inner"));
    let back = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(67));
    assert_eq!(back.turns[0].kind, TurnKind::EgressRestored);
    assert!(watch.histories[&InstanceId::new("i-client")].finding().is_none());
}

#[test]
fn a_nat_that_got_another_address_is_a_drift_although_the_check_passes() {
    let mut lab = Lab::article();
    let mut watch = Watch::default();
    watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    lab.eni("eni-outer").association.as_mut().unwrap().public_ip = "18.1.1.1".parse().unwrap();
    let round = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some("18.1.1.1"))], at(30));
    assert_eq!(round.turns[0].kind, TurnKind::AddressDrift);
    assert_eq!(
        round.turns[0].sentence(),
        "ADDRESS_DRIFT i-client (web) leaves as 18.1.1.1 by i-nat instead of 3.64.126.205: \
         public address of eni-outer went from 3.64.126.205 to 18.1.1.1 at 03:12:30"
    );
    assert!(watch.histories[&InstanceId::new("i-client")].finding().is_some());
}

#[test]
fn a_loss_with_no_change_in_the_vpc_points_at_the_hosts() {
    let network = Arc::new(Lab::article().network);
    let mut watch = Watch::default();
    watch.record(&network, &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    assert!(!watch.is_news(&network, &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))]));
    assert!(watch.is_news(&network, &[answer(Verdict::NoEgress, None)]));
    let round = watch.record(&network, &[answer(Verdict::NoEgress, None)], at(30));
    let text = round.turns[0].sentence();
    assert!(
        text.starts_with("EGRESS_LOST i-client (web) no egress (BLACKHOLE_ROUTE), before: via NAT as 3.64"),
        "{text}"
    );
    assert!(text.contains("look at the hosts"), "{text}");
}

#[test]
fn a_change_elsewhere_is_not_told_as_the_reason() {
    let mut lab = Lab::article();
    let mut watch = Watch::default();
    watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    lab.subnet("subnet-elsewhere");
    lab.eni("eni-inner").source_dest_check = true;
    let round = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::NoEgress, None)], at(30));
    let with_it: Vec<&str> = round.turns[0].notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(with_it, ["the source/destination check of eni-inner was turned on"]);
    assert!(round.notes.len() > 1, "the others are told for the round");
}

#[test]
fn what_cannot_be_tested_is_neither_lost_nor_a_finding() {
    let network = Arc::new(Lab::article().network);
    let mut watch = Watch::default();
    watch.record(&network, &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    let round = watch.record(&network, &[answer(Verdict::CannotTest, None)], at(30));
    assert_eq!(round.turns[0].kind, TurnKind::NotTestable);
    assert_eq!(round.turns[0].why(), None);
    assert!(watch.histories[&InstanceId::new("i-client")].finding().is_none());
}

#[test]
fn every_kind_of_change_is_a_sentence() {
    let before = Lab::article();
    let change = |edit: &dyn Fn(&mut Lab)| {
        let mut after = before.clone();
        edit(&mut after);
        texts(&before.network, &after.network)
    };
    let deleted = change(&|lab| lab.table_mut("rtb-private").routes.retain(|r| !r.destination.is_ipv4_default()));
    assert_eq!(deleted, ["route 0.0.0.0/0 of rtb-private to eni-inner was deleted"]);
    let blackhole = change(&|lab| lab.default_route("rtb-private").state = RouteState::Blackhole);
    assert_eq!(blackhole, ["route 0.0.0.0/0 of rtb-private to eni-inner became a blackhole"]);
    let unassociated = change(&|lab| lab.table_mut("rtb-private").associations.clear());
    assert_eq!(unassociated, ["subnet-private lost its association with rtb-private: the main table applies"]);
    let detached =
        change(&|lab| lab.network.internet_gateways.items_mut().get_mut("igw-1").unwrap().attachments.clear());
    assert_eq!(detached, ["igw-1 was detached from vpc-1"]);
    let stopped = change(&|lab| lab.instance_mut("i-nat").state = InstanceState::Stopped);
    assert_eq!(stopped, ["the state of i-nat went from running to stopped"]);
    let unattached = change(&|lab| lab.eni("eni-inner").attachment = None);
    assert_eq!(unattached, ["eni-inner was detached from i-nat"]);
    let no_address = change(&|lab| lab.eni("eni-outer").association = None);
    assert_eq!(no_address, ["eni-outer lost the public address 3.64.126.205"]);
    let group = change(&|lab| {
        lab.network.security_groups.items_mut().get_mut("sg-nat").unwrap().rules.remove(0);
    });
    assert_eq!(group, ["sg-nat lost the rule ingress all from sg-private"]);
    let acl = change(&|lab| {
        let entries = &mut lab.network.network_acls.items_mut().get_mut("acl-private").unwrap().entries;
        let out = |e: &&mut AclEntry| e.rule_number == 100 && e.direction == AclDirection::Egress;
        entries.iter_mut().filter(out).for_each(|entry| entry.action = AclAction::Deny);
    });
    assert_eq!(acl, ["an entry of acl-private went from 100 egress allow all ::/0 to 100 egress deny all ::/0"]);
    let dns = change(&|lab| lab.network.vpcs.items_mut().get_mut("vpc-1").unwrap().dns_support = Some(false));
    assert_eq!(dns, ["dns support of vpc-1 changed"]);
    let gone = change(&|lab| drop(lab.network.instances.items_mut().remove("i-other")));
    assert_eq!(gone, ["i-other (other) is gone"]);
    let unseen = change(&|lab| lab.network.route_tables = Part::unknown(Unknown::new("DescribeRouteTables", "denied")));
    assert_eq!(unseen, [""; 0], "what was not seen has not changed");
}

#[test]
fn a_sparkline_reads_without_colour() {
    let sample = |verdict, latency_ms| Sample {
        at: at(0),
        verdict,
        address: None::<IpAddr>,
        latency_ms,
        code: None,
        way_out: None,
    };
    let samples: VecDeque<Sample> = [
        sample(Verdict::ViaNat, Some(10)),
        sample(Verdict::ViaNat, Some(80)),
        sample(Verdict::NoEgress, None),
        sample(Verdict::CannotTest, None),
        sample(Verdict::OtherWayOut, Some(40)),
    ]
    .into();
    assert_eq!(sparkline(&samples, 10), "▂█×?▅");
    assert_eq!(sparkline(&samples, 2), "?█", "the newest, on their own scale");
}

#[test]
fn block_public_access_that_comes_on_is_the_change_that_came_with_an_outage() {
    let mut lab = Lab::article();
    lab.network.region = "eu-central-1".to_owned();
    let mut watch = Watch::default();
    watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::ViaNat, Some(NAT_PUBLIC))], at(0));
    let setting = BlockPublicAccess {
        internet_gateway_block_mode: InternetGatewayBlockMode::BlockIngress,
        exclusions: vec![BlockPublicAccessExclusion {
            exclusion_id: "vpcbpa-exclude-1".to_owned(),
            resource_arn: "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-2".to_owned(),
            mode: ExclusionMode::AllowBidirectional,
        }],
    };
    lab.network.block_public_access.items_mut().insert("eu-central-1", setting);
    let round = watch.record(&Arc::new(lab.network.clone()), &[answer(Verdict::NoEgress, None)], at(7));
    let [turn] = &round.turns[..] else { panic!("{round:?}") };
    let told: Vec<&str> = turn.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        told,
        [
            "VPC Block Public Access of eu-central-1 went from off to block-ingress",
            "VPC Block Public Access of eu-central-1 gained the exclusion vpcbpa-exclude-1 (allow-bidirectional for vpc-2)"
        ]
    );
}

#[test]
fn the_ranges_of_a_prefix_list_are_told_where_they_could_be_read() {
    let mut before = Lab::article().network;
    let list = |cidrs: Option<&[&str]>| PrefixList {
        prefix_list_id: PrefixListId::new("pl-1"),
        prefix_list_name: "partners".to_owned(),
        cidrs: cidrs.map(|all| all.iter().map(|net| net.parse().unwrap()).collect()),
    };
    before.prefix_lists.items_mut().insert("pl-1", list(Some(&["10.0.0.0/8", "192.0.2.0/24"])));
    let mut after = before.clone();
    after.prefix_lists.items_mut().insert("pl-1", list(Some(&["10.0.0.0/8", "0.0.0.0/1"])));
    assert_eq!(texts(&before, &after), ["pl-1 lost the range 192.0.2.0/24", "pl-1 gained the range 0.0.0.0/1"]);
    after.prefix_lists.items_mut().insert("pl-1", list(None));
    assert_eq!(texts(&before, &after), [""; 0]);
}
