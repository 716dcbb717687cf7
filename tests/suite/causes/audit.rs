//! The audit of random worlds says of every instance what its own diagnosis says, and walks each fate once.
//! `NATDECK_WORLD=17` for one seed.

use std::collections::BTreeSet;
use std::time::Duration;

use natdeck::model::host::Hosts;
use natdeck::model::{InstanceId, Network};
use natdeck::ops::OUTSIDE;
use natdeck::reach::audit::{Asked, audit, told_of};
use natdeck::reach::{Cause, Certainty, Code, Disposition, Flow, Observations, Severity, diagnose};
use natdeck::sandbox::causes::{self, Scene};
use natdeck::sandbox::scenario::settle;
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::World;

use super::super::world::launch_like;
use super::random::candidates;
use super::sight::hosts;
use super::worlds::{Built, Shape, build};

const SEEDS: u64 = 40;

/// Two or three more instances beside every client.
fn crowd(world: &mut World, clients: &[InstanceId], rng: &mut fastrand::Rng) {
    for client in clients {
        let like = world.network.instances.shown()[client.as_str()].clone();
        launch_like(world, &like, rng.u8(2..=3).into());
    }
    let later = world.now.checked_add(Duration::from_secs(400)).unwrap();
    settle(world, later).unwrap();
}

fn send(world: &mut World, action: &str, pairs: &[(&str, &str)]) {
    let answer = world.handle(&Request::query(Service::Ec2, action, pairs.iter().copied()));
    assert_eq!(answer.status, 200, "{action} {pairs:?}: {}", answer.body);
}

/// What names one instance, or a part of a subnet: an ACL entry, a rule of the NAT's kernel, a stopped instance.
fn quirk(world: &mut World, all: &[InstanceId], rng: &mut fastrand::Rng) {
    let victim = world.network.instances.shown()[all[rng.usize(..all.len())].as_str()].clone();
    let address = victim.private_ip.unwrap();
    let subnet = victim.subnet_id.clone().unwrap();
    match rng.u8(..4) {
        0 => {
            let acl = world.network.network_acl_of(&subnet).unwrap().unwrap().network_acl_id.to_string();
            let net = format!("{address}/{}", [32, 29, 27][rng.usize(..3)]);
            let net = net.parse::<ipnet::Ipv4Net>().unwrap().trunc().to_string();
            let pairs = [
                ("NetworkAclId", acl.as_str()),
                ("RuleNumber", "7"),
                ("Egress", if rng.bool() { "true" } else { "false" }),
                ("Protocol", "-1"),
                ("CidrBlock", net.as_str()),
                ("RuleAction", "deny"),
            ];
            send(world, "CreateNetworkAclEntry", &pairs);
        }
        1 => {
            let nats = world.network.network_interfaces.shown().values().filter(|one| !one.source_dest_check);
            let nats: BTreeSet<InstanceId> = nats.filter_map(|one| one.instance_id().cloned()).collect();
            let script = format!("iptables -I FORWARD -s {address}/32 -j DROP");
            for nat in nats {
                world.with_machine(&nat, |machine, outside| machine.run(&script, outside));
            }
        }
        2 => send(world, "StopInstances", &[("InstanceId.1", victim.instance_id.as_str())]),
        _ => {}
    }
    let later = world.now.checked_add(Duration::from_secs(100)).unwrap();
    settle(world, later).unwrap();
}

/// What is compared: all that an operator is told, without the evidence.
type Said = (Disposition, Vec<(Code, Cause, Severity, Certainty, Option<String>, String)>);

fn by_itself(network: &Network, hosts: &Hosts, id: &InstanceId) -> Said {
    let found = diagnose(network, hosts, &Flow::https(id.clone(), OUTSIDE), &Observations::default());
    let told = found.findings.into_iter().map(|finding| {
        let resource = finding.resource_id.map(|id| id.to_string());
        (finding.code, finding.cause, finding.severity, finding.certainty, resource, finding.summary)
    });
    (found.disposition, told.collect())
}

/// One world: how many instances went with another.
fn trial(seed: u64) -> usize {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Built { mut world, clients } = build(&Shape::random(&mut rng), seed);
    crowd(&mut world, &clients, &mut rng);
    let private = world.network.instances.shown().values().filter(|one| one.public_ip.is_none());
    let private: Vec<InstanceId> = private.map(|instance| instance.instance_id.clone()).collect();
    quirk(&mut world, &private, &mut rng);
    let client = private[rng.usize(..private.len())].clone();
    let causes = candidates();
    if let Ok(mut scene) = Scene::find(&world, Some(&client)) {
        for _ in 0..rng.u8(..=2) {
            let cause = causes[rng.usize(..causes.len())];
            let staged = causes::stage(&mut world, &mut scene, cause);
            let _broken = staged.and_then(|()| causes::inject(&mut world, &scene, cause));
        }
    }
    // The NATs' kernels: those of the clients are theirs alone.
    let mut hosts = hosts(&mut world, &client);
    hosts.retain(|id, _| !private.contains(id));
    let network = world.network.clone();
    let asked = Asked { hosts: hosts.clone(), ..Asked::default() };
    let everybody: Vec<InstanceId> =
        network.instances.shown().values().map(|instance| instance.instance_id.clone()).collect();
    let found = audit(&network, &asked, &everybody, OUTSIDE);
    assert_eq!(found.diagnoses, found.fates, "seed {seed}: nobody was asked, so that nothing sets a fate apart");
    assert_eq!(found.groups.len(), found.fates, "seed {seed}");
    let mut told: Vec<&InstanceId> = Vec::new();
    for group in &found.groups {
        for member in &group.members {
            let findings = told_of(&network, group, member).into_iter().map(|told| {
                let resource = told.resource_id.map(|id| id.to_string());
                (told.code, told.cause, told.severity, told.certainty, resource, told.summary)
            });
            let said: Said = (group.diagnosis.disposition, findings.collect());
            assert_eq!(said, by_itself(&network, &hosts, member), "seed {seed}: {member}, by {}", group.representative);
            told.push(member);
        }
    }
    told.sort();
    assert!(told.iter().copied().eq(everybody.iter()), "seed {seed}: everybody is told once");
    everybody.len() - found.fates
}

#[test]
fn the_audit_says_of_every_instance_what_its_own_diagnosis_says() {
    let seeds = match std::env::var("NATDECK_WORLD").ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let shared: usize = seeds.clone().map(trial).sum();
    assert!(shared > 0, "no instance went with another in any world");
    let worlds = usize::try_from(seeds.end - seeds.start).unwrap();
    assert!(worlds < 10 || shared > worlds * 2, "{shared} instances in {worlds} worlds went with another");
}
