//! What each scenario promises.

use super::*;
use crate::model::{STACK, STEP, StatusCheck};
use crate::sandbox::wire::{Request, Service};

fn world(scenario: Scenario) -> World {
    scenario.build("eu-central-1", 1, Timestamp::from_second(1_790_000_000).unwrap()).unwrap()
}

#[test]
fn empty_has_no_vpc_at_all() {
    let world = world(Scenario::Empty);
    assert!(world.network.vpcs.shown().is_empty() && world.network.instances.shown().is_empty());
}

#[test]
fn the_draft_is_the_articles_vpc_without_a_nat() {
    let world = world(Scenario::Draft);
    let network = &world.network;
    let names: Vec<_> = network.instances.shown().values().filter_map(|i| i.tags.name()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"Private-Instance-0") && names.contains(&"Private-Instance-1"));
    let mut subnets: Vec<_> = network
        .subnets
        .shown()
        .values()
        .map(|subnet| (subnet.tags.name().unwrap_or_default().to_owned(), subnet.availability_zone.clone()))
        .collect();
    subnets.sort();
    let zone = "eu-central-1b".to_owned();
    assert_eq!(subnets, [("private-subnet".to_owned(), zone.clone()), ("public-subnet".to_owned(), zone)]);
    assert_eq!(network.vpc_endpoints.shown().len(), 3);
    assert!(network.nat_gateways.shown().is_empty() && network.addresses.shown().is_empty());
}

#[test]
fn every_scenario_is_settled_when_it_is_opened() {
    for scenario in Scenario::ALL {
        let mut world = world(scenario);
        for instance in world.network.instances.shown().values() {
            assert_eq!(instance.state.as_str(), "running", "{scenario}");
            assert_eq!(instance.instance_status, Some(StatusCheck::Ok), "{scenario}");
        }
        let count = world.network.instances.shown().len();
        let request = Request::json(Service::Ssm, "DescribeInstanceInformation", serde_json::json!({}));
        let answer = world.handle(&request).body;
        assert_eq!(answer.matches("\"Online\"").count(), count, "{scenario}: {answer}");
    }
}

#[test]
fn nothing_in_a_scenario_belongs_to_a_stack() {
    for scenario in Scenario::ALL {
        let world = world(scenario);
        for resource in world.network.resources() {
            assert!(resource.tags().get(STACK).is_none() && resource.tags().get(STEP).is_none(), "{}", resource.id());
        }
    }
}

#[test]
fn the_same_seed_and_time_make_the_same_world() {
    let text = |world: &World| serde_json::to_string(world).unwrap();
    assert_eq!(text(&world(Scenario::Article)), text(&world(Scenario::Article)));
    let other = Scenario::Draft.build("eu-central-1", 2, Timestamp::from_second(1_790_000_000).unwrap()).unwrap();
    assert_ne!(text(&world(Scenario::Draft)), text(&other));
}

#[test]
fn a_world_comes_back_from_json_as_it_was() {
    let world = world(Scenario::Article);
    let text = serde_json::to_string(&world).unwrap();
    let back: World = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

#[test]
fn scenarios_are_named_as_the_help_says() {
    for scenario in Scenario::ALL {
        assert_eq!(scenario.name().parse::<Scenario>().unwrap(), scenario);
    }
    assert!("Article".parse::<Scenario>().unwrap_err().to_string().contains("expected empty, draft or article"));
}
