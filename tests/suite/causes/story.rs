//! Causes put right as an operator would: what is reported is repaired, first finding first, looking again after each,
//! until nothing is left. With no more repairs than faults, and nothing healthy touched.

use std::collections::BTreeSet;

use natdeck::model::NetworkInterface;
use natdeck::ops::Overall;
use natdeck::plan::repair;
use natdeck::reach::{Cause, Certainty, Disposition, Finding, Place};
use natdeck::sandbox::causes::Scene;
use natdeck::sandbox::world::World;

use super::operator::{Operator, Seen};
use super::touched::{Parts, parts, touched};
use super::undo::{send, take_back};

/// Looks at a world in which nothing is left to repair and an agent is still away.
const LOOKS_FOR_AGENTS: usize = 3;

/// Looks beyond one for each cause: more than this and repairs lead in a circle.
const MORE_LOOKS: usize = 6;

/// A healthy world with what the causes need, and what became of breaking it.
pub struct Broken {
    pub healthy: World,
    pub world: World,
    pub scene: Scene,
    /// What was injected, in the injector's words.
    pub did: Vec<String>,
}

/// What was done about one world.
pub struct Story {
    pub lines: Vec<String>,
    pub repairs: usize,
    /// What is wrong with it.
    pub wrong: Vec<String>,
}

fn told(seen: &Seen) -> String {
    let one = |f: &Finding| format!("{} ({}, {}: {})", f.cause, f.severity, f.certainty, f.summary);
    let all: Vec<String> = seen.said.findings.iter().map(one).collect();
    format!("{}: {}", seen.said.disposition, all.join(" | "))
}

/// What tells a finding from another.
fn key(finding: &Finding) -> String {
    format!("{} {:?} {:?}", finding.cause, finding.resource_id, finding.subject.packet.map(|p| p.destination))
}

/// Repairs a world with these causes to the end.
pub async fn put_right(broken: Broken, injected: &[Cause]) -> Story {
    let Broken { healthy, world, scene, did } = broken;
    let mut story = Story { lines: did, repairs: 0, wrong: Vec::new() };
    let (before, at_worst) = (parts(&healthy), parts(&world));
    let faults = injected.len() + further_faults(&world, &scene, injected);
    let operator = Operator::at(world).await;
    let client = &scene.client;
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut undone: BTreeSet<Cause> = BTreeSet::new();
    let mut mended: BTreeSet<Cause> = BTreeSet::new();
    let mut patience = LOOKS_FOR_AGENTS;
    let mut rebooted = false;
    for _ in 0..injected.len() + MORE_LOOKS {
        let seen = operator.look(client).await;
        story.lines.push(told(&seen));
        let findings = &seen.said.findings;
        let person = |finding: &&Finding| {
            comes_upon(finding, injected).is_some_and(|cause| {
                !undone.contains(&cause)
                    // What was repaired may have left its mark in a log.
                    && !mended.contains(&cause)
                    && repair::repair(finding, &seen.network).is_none()
            })
        };
        let by_hand = findings.iter().find(person);
        let by_natdeck = repair::next(findings, &seen.network, |finding| done.contains(&key(finding)));
        let at = |finding: &Finding| findings.iter().position(|other| other == finding);
        let next = match (by_hand, by_natdeck) {
            // Whichever comes first on the path, unless natdeck puts something else before it.
            (Some(hand), Some((finding, fix))) => {
                if at(hand) < at(finding) {
                    Some((hand, None))
                } else {
                    Some((finding, Some(fix)))
                }
            }
            (Some(hand), None) => Some((hand, None)),
            (None, fix) => fix.map(|(finding, fix)| (finding, Some(fix))),
        };
        let Some((finding, fix)) = next else {
            // Agents take a moment to come back.
            if seen.said.disposition == Disposition::InsufficientInformation && patience > 0 {
                patience -= 1;
                continue;
            }
            // The client's agent stays away: whoever goes there sees what natdeck cannot.
            let away = findings.iter().any(|finding| finding.cause == Cause::TestAgentOffline);
            let there =
                |cause: &&Cause| cause.place() == Place::Client && !undone.contains(*cause) && !mended.contains(*cause);
            let Some(cause) = injected.iter().find(there).filter(|_| away) else { break };
            undone.insert(*cause);
            if !operator.world(|world| take_back(world, &healthy, &scene, *cause)) {
                break;
            }
            story.lines.push(format!("  takes {cause} back on the client, which is not seen"));
            story.repairs += 1;
            patience = LOOKS_FOR_AGENTS;
            continue;
        };
        if finding.evidence.is_empty() {
            story.wrong.push(format!("{} has no evidence", finding.cause));
        }
        match fix {
            Some(fix) => {
                story.lines.push(format!("  repairs {}: {}", finding.cause, fix.title));
                done.insert(key(finding));
                mended.insert(finding.cause);
                story.repairs += 1;
                if let Err(error) = operator.repair(&seen.network, finding, &fix).await {
                    story.wrong.push(format!("the repair of {} failed: {error}", finding.cause));
                }
            }
            // As `how_to_tell` says: nobody knows which guess is true, and a reboot undoes what was set at run time.
            None if finding.certainty == Certainty::Guess && finding.cause.place() == Place::NatHost => {
                undone.extend(findings.iter().map(|finding| finding.cause));
                operator.world(|world| reboot(world, &scene));
                story.lines.push("  reboots the NAT".to_owned());
                story.repairs += 1;
                rebooted = true;
            }
            None => {
                let Some(cause) = comes_upon(finding, injected) else { continue };
                undone.insert(cause);
                if operator.world(|world| take_back(world, &healthy, &scene, cause)) {
                    story.lines.push(format!("  takes {cause} back"));
                    story.repairs += 1;
                }
            }
        }
    }
    let report = operator.check(client).await;
    let silent = |cause: &Cause| *cause == Cause::TestNoSsmPath;
    if report.overall() != Overall::Ok && !injected.iter().any(silent) {
        let why = report.results.iter().filter_map(|row| row.reason.clone()).collect::<Vec<_>>().join("; ");
        story.wrong.push(format!("in the end the check says {:?}: {why}", report.overall()));
    }
    if story.repairs > faults {
        story.wrong.push(format!("{} repairs for {faults} causes", story.repairs));
    }
    let after = operator.world(|world| parts(world));
    let booted = if rebooted || boots(injected) { parts(&booted(healthy, &scene).await) } else { Parts::new() };
    let booted = |name: &String| booted.get(name).is_some_and(|part| after.get(name) == Some(part));
    story.wrong.extend(too_much(&before, &at_worst, &after, injected, booted));
    story
}

/// Whether the NAT host boots on the way back.
fn boots(injected: &[Cause]) -> bool {
    injected.iter().any(|one| matches!(one, Cause::NatStatusCheckFailed | Cause::NatInstanceStopped))
}

/// What the healthy world is like after a reboot of the NAT: what was set on it at run time is gone.
async fn booted(healthy: World, scene: &Scene) -> World {
    let operator = Operator::at(healthy).await;
    operator.world(|world| reboot(world, scene));
    operator.world(|world| world.clone())
}

fn reboot(world: &mut World, scene: &Scene) {
    send(world, "RebootInstances", &[("InstanceId.1", scene.nat.instance.as_str())]);
}

/// The injected cause that a person comes upon who follows a finding: itself, as a rule.
fn comes_upon(finding: &Finding, injected: &[Cause]) -> Option<Cause> {
    // Whose agent is away: the words say to look for a firewall of the instance's own.
    let firewall = Cause::ClientProxyOrFirewall;
    match finding.cause {
        cause if injected.contains(&cause) => Some(cause),
        Cause::TestAgentOffline if injected.contains(&firewall) => Some(firewall),
        _ => None,
    }
}

/// A host that keeps nothing over a boot is booted: what it forgets is forwarding and translation.
fn forgets(injected: &[Cause]) -> bool {
    injected.contains(&Cause::HostRulesNotPersistent) && boots(injected)
}

/// What went with what was broken, does not come back with it, and is a fault of its own.
fn further_faults(world: &World, scene: &Scene, injected: &[Cause]) -> usize {
    // With the card went the routes that somebody added by hand.
    let routes = injected.contains(&Cause::EniNotAttached) && scene.client_subnet != scene.nat.inner_subnet;
    // With the stop went an address that was given at launch, and with two interfaces none comes with the start.
    let address = injected.contains(&Cause::NatInstanceStopped)
        && scene.nat.has_two_interfaces()
        && world.get::<NetworkInterface>(&scene.nat.outer).is_some_and(|outer| outer.public_ip().is_none());
    // The group let out packets and, where these take another way than they came, replies: two rules.
    let reply_rule = injected.contains(&Cause::NatEgressRule)
        && (injected.contains(&Cause::HostRpFilter) || injected.contains(&Cause::SourceDestCheckOnReply));
    usize::from(routes) + usize::from(address) + usize::from(reply_rule) + usize::from(forgets(injected))
}

/// What the repairs changed and nobody had broken. What a host repair keeps for the next boot is its business, and a
/// boot leaves what a boot leaves.
fn too_much(
    before: &Parts,
    at_worst: &Parts,
    after: &Parts,
    injected: &[Cause],
    booted: impl Fn(&String) -> bool,
) -> Option<String> {
    let address_lost = injected.iter().any(|one| matches!(one, Cause::NoPublicAddress | Cause::NatInstanceStopped));
    let broken = touched(before, at_worst);
    let kept = |name: &String| name.contains(" /etc/") || name.contains(" /usr/local/") || name.ends_with(" units");
    let more: Vec<String> = touched(at_worst, after)
        .into_iter()
        .filter(|name| !broken.contains(name) && touched(before, after).contains(name) && !kept(name))
        .filter(|name| !booted(name))
        // The address that was lost is another one when it comes back.
        .filter(|name| !(name.starts_with("eipalloc-") && address_lost))
        .filter(|name| {
            !(forgets(injected) && [" ruleset", " sysctls", " routes"].iter().any(|part| name.ends_with(part)))
        })
        .collect();
    (!more.is_empty()).then(|| {
        let shown = more.iter().map(|name| format!("{name}: {:?} became {:?}", before.get(name), after.get(name)));
        format!("touches what is healthy: {}", shown.collect::<Vec<_>>().join("; "))
    })
}
