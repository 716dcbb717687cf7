//! `check --all --explain`: what is shared is walked once and asked once, and nobody is taken for another.

#![expect(clippy::print_stderr, reason = "what was measured is for people, who ask for it with --nocapture")]

use std::time::{Duration, Instant};

use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::{Fact, InstanceId, PingStatus};
use natdeck::ops::{self, AuditReport, OUTSIDE, Overall, Tests};
use natdeck::reach::audit::{Asked, Audit, audit};
use natdeck::reach::{Cause, Disposition, Flow, Observations, Verdict, diagnose};
use natdeck::sandbox::causes::break_egress;
use natdeck::sandbox::scenario::settle;
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::{Delays, World};
use natdeck::sandbox::{Options, Sandbox, Scenario};

use super::region::{Region, inner, region};
use super::support::Home;
use super::world::launch_like;

/// Unoptimised code gets thirty times as long, and a busy machine three attempts.
const PATIENCE: u32 = if cfg!(debug_assertions) { 30 } else { 1 };

/// The best of three.
fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut times: Vec<(Duration, T)> = (0..3)
        .map(|_| {
            let begun = Instant::now();
            let done = work();
            (begun.elapsed(), done)
        })
        .collect();
    times.sort_by_key(|(time, _)| *time);
    times.swap_remove(0)
}

/// The same region with three causes on everybody's way: two at interfaces, one in the NAT's kernel.
fn broken() -> Region {
    let mut region = region(2_000, 40);
    let inner = inner(&region.network).clone();
    let network = &mut region.network;
    let card = network.network_interfaces.items_mut().get_mut(inner.network_interface_id.as_str()).unwrap();
    card.source_dest_check = true;
    let outer = network.interfaces_of(inner.instance_id().unwrap()).unwrap()[0].network_interface_id.clone();
    network.network_interfaces.items_mut().get_mut(outer.as_str()).unwrap().association = None;
    for host in region.hosts.values_mut() {
        if let Fact::Known(host) = host {
            host.ip_forward = false;
        }
    }
    region
}

fn audit_of(region: &Region) -> Audit {
    let asked = Asked { hosts: region.hosts.clone(), ..Asked::default() };
    audit(&region.network, &asked, &region.clients, OUTSIDE)
}

#[test]
fn one_of_two_thousand_is_diagnosed_within_ten_milliseconds() {
    for (name, region) in [("healthy", region(2_000, 40)), ("with three causes", broken())] {
        let flow = Flow::https(region.clients[1_234].clone(), OUTSIDE);
        let (time, found) = best(|| {
            // A snapshot that was just observed has no lookups yet.
            let mut network = region.network.clone();
            network.network_interfaces.items_mut();
            network.route_tables.items_mut();
            diagnose(&network, &region.hosts, &flow, &Observations::default())
        });
        let broken = found.first_break().is_some();
        assert_eq!(broken, name != "healthy", "{name}: {:?}", found.findings);
        eprintln!("diagnosis of one of 2,000, {name}: {time:?}");
        assert!(time < Duration::from_millis(10) * PATIENCE, "{name}: {time:?}");
    }
}

#[test]
fn two_thousand_instances_are_audited_within_a_second_and_each_fate_is_walked_once() {
    for (name, region) in [("healthy", region(2_000, 40)), ("with three causes", broken())] {
        let (time, found) = best(|| audit_of(&region));
        eprintln!("audit of 2,000 instances, {name}: {time:?}");
        assert_eq!((found.fates, found.diagnoses), (40, 40), "{name}");
        assert_eq!(found.groups.iter().map(|group| group.members.len()).sum::<usize>(), 2_000, "{name}");
        for group in &found.groups {
            let causes: Vec<Cause> = group.diagnosis.findings.iter().map(|finding| finding.cause).collect();
            let expected: &[Cause] = match name {
                "healthy" => &[],
                _ => &[Cause::SourceDestCheck, Cause::HostIpForwardOff, Cause::NoPublicAddress],
            };
            assert_eq!(causes, expected, "{name}");
        }
        assert!(time < Duration::from_secs(1) * PATIENCE, "{name}: {time:?}");
        // With whom to ask and a row for each.
        let (time, report) = best(|| {
            let chosen = ops::choose(&region.network, &[], None).unwrap();
            let asked = Asked { hosts: region.hosts.clone(), ..Asked::default() };
            ops::explain(&region.network, asked, &chosen)
        });
        eprintln!("all rows of 2,000 instances, {name}: {time:?}");
        assert_eq!(report.rows.len(), 2_003, "{name}: the article's own two and the NAT as well");
        assert!(time < Duration::from_secs(1) * PATIENCE, "{name}: {time:?}");
    }
}

#[test]
fn what_names_a_single_address_sets_one_instance_apart() {
    let mut region = region(200, 4);
    let victim = region.network.instances.shown()[region.clients[77].as_str()].clone();
    let acl =
        region.network.network_acl_of(victim.subnet_id.as_ref().unwrap()).unwrap().unwrap().network_acl_id.clone();
    let acl = region.network.network_acls.items_mut().get_mut(acl.as_str()).unwrap();
    let mut entry = acl.entries.iter().find(|entry| entry.rule_number == 100).unwrap().clone();
    entry.rule_number = 1;
    entry.action = natdeck::model::AclAction::Deny;
    entry.direction = natdeck::model::AclDirection::Ingress;
    entry.cidr_block = Some(victim.private_ip.unwrap().into());
    acl.entries.push(entry);
    let found = audit_of(&region);
    assert_eq!((found.fates, found.diagnoses), (5, 5));
    let apart = found.groups.iter().find(|group| group.members.len() == 1).unwrap();
    assert_eq!(apart.members, [victim.instance_id]);
    assert_eq!(apart.diagnosis.disposition, Disposition::Dropped);
    let others = found.groups.iter().filter(|group| group.members.len() > 1);
    assert!(others.clone().all(|group| group.diagnosis.disposition == Disposition::Delivered));
}

/// The article's world with eight private instances in one subnet, all agents online.
async fn eight() -> (Sandbox, Session, CallLog, Vec<InstanceId>) {
    let sandbox = Sandbox::open(Options { scenario: Some(Scenario::Article), ..Options::default() }).unwrap();
    let clients = sandbox
        .with_world(|world| {
            world.delays = Delays::instant();
            world.ssm.time_scale = 0.0;
            add(world, 6);
            let private = world.network.instances.shown().values().filter(|one| one.public_ip.is_none());
            private.map(|instance| instance.instance_id.clone()).collect::<Vec<_>>()
        })
        .unwrap();
    assert_eq!(clients.len(), 8);
    let log = CallLog::new();
    let target = Target { sandbox: Some(sandbox.http_client()), lag: Some(Duration::ZERO), ..Target::default() };
    let session = Session::connect(target, log.clone()).await.unwrap();
    (sandbox, session, log, clients)
}

/// Launches more instances like the first private one.
fn add(world: &mut World, count: u32) {
    let like = world.network.instances.shown().values().find(|one| one.public_ip.is_none()).unwrap().clone();
    launch_like(world, &like, count);
    let later = world.now.checked_add(Duration::from_secs(400)).unwrap();
    settle(world, later).unwrap();
}

async fn look(session: &Session, tests: Tests) -> AuditReport {
    let network = ops::observe(session, None, None).await;
    let chosen = ops::choose(&network, &[], None).unwrap();
    ops::audit(session, &network, &chosen, tests, &mut |_| {}).await
}

/// How many commands were sent.
fn sent(log: &CallLog) -> usize {
    log.calls().iter().filter(|call| call.operation == "SendCommand").count()
}

fn verdict(report: &AuditReport, id: &InstanceId) -> (Verdict, bool, Option<String>) {
    let row = report.rows.iter().find(|row| row.result.instance_id == *id).unwrap();
    (row.result.verdict, row.tested, row.result.code.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_each_fate_is_asked_for_all() {
    let (_sandbox, session, log, clients) = eight().await;
    let report = look(&session, Tests::One).await;
    assert_eq!(report.overall(), Overall::Ok);
    assert_eq!((report.audit.fates, report.rows.len()), (2, 9), "the clients, and the NAT by itself");
    assert_eq!(report.rows.iter().filter(|row| row.tested).count(), 2);
    assert_eq!(sent(&log), 2, "one command for the NAT's settings, one for both packets");
    assert_eq!(verdict(&report, &clients[0]), (Verdict::ViaNat, true, None));
    assert_eq!(verdict(&report, &clients[7]), (Verdict::ViaNat, false, None));
    let last = report.rows.iter().find(|row| row.result.instance_id == clients[7]).unwrap();
    assert_eq!((last.result.address, last.result.latency_ms), (None, None), "nobody saw it");
    let every = look(&session, Tests::Every).await;
    assert!(every.rows.iter().all(|row| row.tested && row.result.address.is_some()));
    assert_eq!(every.overall(), Overall::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_for_one_is_broken_for_all_that_share_it() {
    let (sandbox, session, _log, clients) = eight().await;
    sandbox.with_world(|world| break_egress(world, Cause::HostIpForwardOff, Some(&clients[0]))).unwrap().unwrap();
    let report = look(&session, Tests::One).await;
    assert_eq!(report.overall(), Overall::Broken);
    for client in &clients {
        let (verdict, _, code) = verdict(&report, client);
        assert_eq!((verdict, code.as_deref()), (Verdict::NoEgress, Some("HOST_IP_FORWARD_OFF")));
    }
    assert_eq!(report.rows.iter().filter(|row| row.tested).count(), 2, "the NAT and one more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_out_that_was_not_meant_is_no_success_although_packets_get_out() {
    let (sandbox, session, _log, clients) = eight().await;
    sandbox.with_world(|world| break_egress(world, Cause::RoutedToOtherEgress, Some(&clients[0]))).unwrap().unwrap();
    let report = look(&session, Tests::One).await;
    assert_eq!(report.overall(), Overall::Broken);
    for client in &clients {
        let (verdict, _, code) = verdict(&report, client);
        // The route names the NAT gateway, and its address was seen; the NAT instance is meant, and stands by.
        assert_eq!((verdict, code.as_deref()), (Verdict::OtherWayOut, Some("ROUTED_TO_OTHER_EGRESS")));
    }
}

/// What the check, the audit and the diagnosis of a client say of the same world.
async fn three(session: &Session, client: &InstanceId) -> (Overall, Overall, bool, Verdict) {
    let network = ops::observe(session, None, None).await;
    let chosen = ops::choose(&network, std::slice::from_ref(client), None).unwrap();
    let check = ops::check(session, &network, &chosen, &mut |_| {}).await;
    let audit = ops::audit(session, &network, &chosen, Tests::One, &mut |_| {}).await;
    assert_eq!(check.results[0].verdict, audit.rows[0].result.verdict);
    assert_eq!(check.results[0].expected_address, audit.rows[0].result.expected_address);
    let (diagnosis, _) = ops::diagnose(session, &network, &ops::Question::egress(client.clone())).await;
    assert_ne!(diagnosis.is_well(), diagnosis.is_broken());
    (check.overall(), audit.overall(), diagnosis.is_well(), check.results[0].verdict)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nat_gateway_is_a_failover_beside_an_idle_nat_and_the_way_out_where_there_is_none() {
    let (sandbox, session, _log, clients) = eight().await;
    let client = &clients[0];
    assert_eq!(three(&session, client).await, (Overall::Ok, Overall::Ok, true, Verdict::ViaNat));
    sandbox.with_world(|world| break_egress(world, Cause::RoutedToOtherEgress, Some(client))).unwrap().unwrap();
    assert_eq!(three(&session, client).await, (Overall::Broken, Overall::Broken, false, Verdict::OtherWayOut));
    sandbox
        .with_world(|world| {
            let nat = world.network.instances.shown().values().find(|one| one.tags.name() == Some("NAT-Instance"));
            let nat = nat.unwrap().instance_id.to_string();
            world.handle(&Request::query(Service::Ec2, "TerminateInstances", [("InstanceId.1", nat)]));
            let later = world.now.checked_add(Duration::from_secs(200)).unwrap();
            settle(world, later).unwrap();
        })
        .unwrap();
    assert_eq!(three(&session, client).await, (Overall::Ok, Overall::Ok, true, Verdict::ViaNat));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_for_a_reason_of_its_own_stands_for_nobody() {
    let (sandbox, session, _log, clients) = eight().await;
    sandbox.with_world(|world| break_egress(world, Cause::ClientProxyOrFirewall, Some(&clients[0]))).unwrap().unwrap();
    let report = look(&session, Tests::One).await;
    assert_eq!(report.overall(), Overall::Broken);
    assert_eq!(verdict(&report, &clients[0]), (Verdict::NoEgress, true, Some("CLIENT_PROXY_OR_FIREWALL".to_owned())));
    for client in &clients[1..] {
        assert_eq!(verdict(&report, client).0, Verdict::ViaNat, "{client}");
    }
    assert!(report.rows.iter().filter(|row| row.tested).count() >= 3, "another was asked for the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_offline_is_neither_passed_nor_failed_and_stands_for_nobody() {
    let (sandbox, session, _log, clients) = eight().await;
    sandbox
        .with_world(|world| {
            break_egress(world, Cause::TestAgentOffline, Some(&clients[0])).unwrap();
            let later = world.now.checked_add(Duration::from_secs(900)).unwrap();
            settle(world, later).unwrap();
            world.handle(&Request::query(Service::Ec2, "StopInstances", [("InstanceId.1", clients[1].as_str())]));
            let later = world.now.checked_add(Duration::from_secs(100)).unwrap();
            settle(world, later).unwrap();
            let managed = world.network.managed_instances.shown().get(clients[0].as_str());
            assert!(managed.is_none_or(|managed| managed.ping_status != PingStatus::Online));
        })
        .unwrap();
    let report = look(&session, Tests::One).await;
    assert_eq!(report.overall(), Overall::CannotTest);
    assert_eq!(verdict(&report, &clients[0]).0, Verdict::CannotTest);
    assert_eq!(verdict(&report, &clients[1]).0, Verdict::CannotTest);
    let stopped = report.rows.iter().find(|row| row.result.instance_id == clients[1]).unwrap();
    assert_eq!(stopped.findings[0].cause, Cause::ClientNotRunning);
    assert_eq!(stopped.findings[0].resource_id.as_ref().unwrap().as_str(), clients[1].as_str());
    for client in &clients[2..] {
        assert_eq!(verdict(&report, client).0, Verdict::ViaNat, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_packet_nothing_is_proved() {
    let (sandbox, session, log, clients) = eight().await;
    let report = look(&session, Tests::None).await;
    assert_eq!(report.overall(), Overall::CannotTest);
    assert!(report.rows.iter().all(|row| row.result.verdict == Verdict::CannotTest && !row.tested));
    assert_eq!(sent(&log), 1, "the NAT's settings");
    sandbox.with_world(|world| break_egress(world, Cause::NoRoute, Some(&clients[0]))).unwrap().unwrap();
    let report = look(&session, Tests::None).await;
    assert_eq!(report.overall(), Overall::Broken, "a missing route needs no packet");
    assert_eq!(verdict(&report, &clients[5]), (Verdict::CannotTest, false, Some("NO_ROUTE_TO_DESTINATION".to_owned())));
}

#[test]
fn the_command_explains_in_text_and_json() {
    let home = Home::new();
    let begin = ["--sandbox", "--scenario", "article"];
    let fine = home.expect(0, &[&begin[..], &["check", "--all", "--explain"]].concat());
    assert!(fine.stdout.contains("✓ 2 instances and 1 NAT, via NAT"), "{}", fine.stdout);
    home.expect(0, &["--sandbox", "sandbox", "break", "NO_ROUTE_TO_DESTINATION"]);
    let broken = home.expect(1, &["--sandbox", "check", "--all", "--explain"]);
    assert!(broken.stdout.contains("✗ 2 instances, no egress"), "{}", broken.stdout);
    assert!(broken.stdout.contains("NO_ROUTE_TO_DESTINATION rtb-"), "{}", broken.stdout);
    assert!(broken.stdout.contains("aws ec2 create-route"), "{}", broken.stdout);
    assert!(broken.stdout.lines().all(|line| line.contains("aws ") || line.chars().count() <= 80), "{}", broken.stdout);
    let document = home.json(1, &["--sandbox", "check", "--explain", "--output", "json"]);
    assert_eq!(document["version"], 1);
    assert_eq!(document["ok"], false);
    let rows = document["instances"].as_array().unwrap();
    let row = rows.iter().find(|row| row["role"] == "client").unwrap();
    assert_eq!(row["findings"][0]["code"], "NO_ROUTE_TO_DESTINATION");
    let group = &document["groups"][usize::try_from(row["group"].as_u64().unwrap()).unwrap()];
    assert!(group["instance_ids"].as_array().unwrap().contains(&row["instance_id"]));
    assert!(group["findings"][0]["repair"]["commands"][0].as_str().unwrap().starts_with("aws ec2 create-route"));
    home.expect(2, &["--sandbox", "check", "--all", "i-0123456789abcdef0"]);
    home.expect(2, &["--sandbox", "check", "--tests", "none"]);
}
