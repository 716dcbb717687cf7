//! The path of a diagnosis: what happens now up to the cause, and what would happen behind it.

use super::world::*;
use crate::model::*;
use crate::reach::{
    Component, Decision, Diagnosis, Direction, Disposition, Flow, Hop, Observations, PacketTest, Probe, diagnose,
};

fn diagnosed(world: &Lab, observations: &Observations) -> Diagnosis {
    let flow = Flow::https(id("i-client", InstanceId::new), OUTSIDE.parse().unwrap());
    diagnose(&world.network, &world.hosts, &flow, observations)
}

fn failed(exit_code: i32) -> Observations {
    let probe = Probe {
        url: "https://api.ipify.org".to_owned(),
        exit_code,
        address: None,
        resolved: None,
        connected: None,
        latency_ms: None,
        message: String::new(),
    };
    let test = PacketTest::Ran { probes: vec![probe], observed_at: None };
    Observations { test: Some(test), ..Observations::default() }
}

fn denied(diagnosis: &Diagnosis) -> Vec<&Hop> {
    diagnosis.path.iter().filter(|hop| hop.decision == Decision::Denied).collect()
}

#[test]
fn before_the_cause_the_path_tells_what_the_host_does_now() {
    let mut world = Lab::article();
    world.host("i-nat").ruleset.tables.retain(|table| table.name != "nat");
    let diagnosis = diagnosed(&world, &Observations::default());
    let stopped = diagnosis.stopped_at().unwrap();
    let before = &diagnosis.path[..stopped];
    assert!(before.iter().all(|hop| hop.decision != Decision::Translated), "{before:#?}");
    // Behind it the packet goes on as it would, were it translated: there and back.
    let behind = &diagnosis.path[stopped + 1..];
    assert!(behind.iter().any(|hop| hop.component == Component::Internet));
    assert!(behind.iter().any(|hop| hop.direction == Direction::Reply && hop.decision == Decision::Translated));
}

#[test]
fn each_cause_denies_once_and_in_the_order_of_the_packet() {
    let mut world = Lab::article();
    world.eni("eni-inner").source_dest_check = true;
    world.host("i-nat").ip_forward = false;
    world.eni("eni-outer").association = None;
    world.network.addresses.items_mut().clear();
    let diagnosis = diagnosed(&world, &Observations::default());
    let of: Vec<&str> = denied(&diagnosis).iter().filter_map(|hop| Some(hop.resource_id.as_ref()?.as_str())).collect();
    assert_eq!(of, ["eni-inner", "i-nat", "eni-outer"], "{:#?}", diagnosis.path);
}

#[test]
fn a_name_that_does_not_resolve_stops_everything_behind_the_instance() {
    let mut world = Lab::article();
    world.network.vpcs.items_mut().get_mut("vpc-1").unwrap().dns_support = Some(false);
    let diagnosis = diagnosed(&world, &failed(6));
    assert_eq!(diagnosis.disposition, Disposition::Dropped);
    assert_eq!(diagnosis.stopped_at(), Some(1), "{:#?}", diagnosis.path);
    assert_eq!(denied(&diagnosis).len(), 1);
}

#[test]
fn a_host_that_cannot_be_asked_is_not_ticked_off() {
    let mut world = Lab::article();
    let unknown = Unknown::new("facts of host i-nat", "its SSM agent is ConnectionLost");
    world.hosts.insert(id("i-nat", InstanceId::new), Fact::Unknown(unknown));
    let diagnosis = diagnosed(&world, &failed(28));
    let stopped = &diagnosis.path[diagnosis.stopped_at().unwrap()];
    assert_eq!((stopped.component, stopped.decision), (Component::NatHost, Decision::Unknown));
    assert!(diagnosis.path.len() > 10, "the walk goes on: {:#?}", diagnosis.path);
}

#[test]
fn what_gets_through_is_reached_to_the_end() {
    assert_eq!(diagnosed(&Lab::article(), &Observations::default()).stopped_at(), None);
}
