//! Hosts that cannot be asked: the agent of the NAT is dead, that of the private instance is, or the caller may not send
//! commands. The answer says whose facts are missing, and what it makes of the packet test alone is called a guess.
//!
//! A third of the causes; `NATDECK_UNSEEN=all` for all of them, `NATDECK_UNSEEN=CODE` shows one.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use natdeck::model::InstanceId;
use natdeck::reach::{Cause, Certainty, Diagnosis, Disposition, Finding, Place, Severity};
use natdeck::sandbox::causes::{self, Scene};
use natdeck::sandbox::world::World;

use super::operator::Operator;
use super::random::may_show_as;
use super::say;
use super::sight::{broken, curl};
use super::worlds::{Built, Shape, build};

/// What keeps the hosts from being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// The agent of the NAT is stopped.
    OfNat,
    /// The agent of the private instance is stopped.
    OfClient,
    /// The caller may not send commands at all.
    Denied,
}

const SILENCES: [Silence; 3] = [Silence::OfNat, Silence::OfClient, Silence::Denied];

fn fall_silent(world: &mut World, scene: &Scene, silence: Silence) {
    let mut stop = |id: &InstanceId| {
        world.with_machine(id, |machine, outside| machine.run("systemctl stop amazon-ssm-agent", outside));
        world.touch();
    };
    match silence {
        Silence::OfNat => stop(&scene.nat.instance),
        Silence::OfClient => stop(&scene.client),
        Silence::Denied => {
            world.denied.insert("ssm:SendCommand".to_owned());
        }
    }
}

/// What is wrong with an answer.
fn objections(said: &Diagnosis, scene: &Scene, cause: Option<Cause>, works: bool, silence: Silence) -> Vec<String> {
    let mut wrong = Vec::new();
    let breaks = || said.findings.iter().filter(|finding| finding.severity == Severity::Breaks);
    let known = |finding: &&Finding| {
        cause.is_some_and(|cause| finding.cause == cause || may_show_as(cause).contains(&finding.cause))
    };
    match said.disposition {
        Disposition::Delivered if !works => wrong.push("it says delivered".to_owned()),
        Disposition::Dropped if works => wrong.push("it says dropped".to_owned()),
        _ => {}
    }
    if let Some(finding) = breaks().filter(|f| f.certainty == Certainty::Certain).find(|finding| !known(finding)) {
        wrong.push(format!("it surely blames what is healthy: {} ({})", finding.cause, finding.summary));
    }
    let missing = match silence {
        Silence::OfNat => Some(&scene.nat.instance),
        Silence::OfClient | Silence::Denied => Some(&scene.client),
    };
    let named = |id: &&InstanceId| said.unknown.iter().any(|unknown| unknown.to_string().contains(id.as_str()));
    // Where the snapshot alone decides, or the path leads elsewhere, nothing was to be asked of the host.
    let decided =
        said.disposition == Disposition::Delivered || breaks().any(|finding| finding.certainty == Certainty::Certain);
    if let Some(id) = missing.filter(|id| !named(id) && !decided) {
        wrong.push(format!("it does not say that the facts of {id} are missing: {:?}", said.unknown));
    }
    let Some(cause) = cause.filter(|cause| cause.place() == Place::NatHost && silence == Silence::OfNat) else {
        return wrong;
    };
    match breaks().find(known) {
        None => wrong.push(format!("it does not think of {cause}")),
        Some(finding) if finding.certainty != Certainty::Guess => {
            wrong.push(format!("{} is no guess but {}", finding.cause, finding.certainty));
        }
        Some(_) => {}
    }
    wrong
}

async fn look(built: &Built, client: usize, cause: Option<Cause>, silence: Silence) -> Option<Vec<String>> {
    let (mut world, scene) = match broken(built, client, cause) {
        Ok(Some(broken)) => broken,
        Ok(None) => return None,
        Err(error) => return Some(vec![error.to_string()]),
    };
    fall_silent(&mut world, &scene, silence);
    let works = curl(&mut world, &scene.client).is_ok();
    if works && cause.is_some_and(|cause| cause != Cause::RoutedToOtherEgress) {
        // It breaks nothing here: a rule that this packet does not need.
        return None;
    }
    let operator = Operator::at(world).await;
    let said = operator.look(&scene.client).await.said;
    let told: Vec<String> =
        said.findings.iter().map(|f| format!("{} ({}, {})", f.cause, f.severity, f.certainty)).collect();
    let wrong = objections(&said, &scene, cause, works, silence);
    Some(wrong.into_iter().map(|why| format!("{why}; it says {}: {}", said.disposition, told.join(", "))).collect())
}

#[test]
fn of_hosts_that_cannot_be_asked_it_says_so_and_calls_a_guess_a_guess() {
    let topologies =
        [("two interfaces", build(&Shape::wide(true), 1), 1), ("one interface", build(&Shape::simple(false), 1), 0)];
    let asked = std::env::var("NATDECK_UNSEEN").unwrap_or_default();
    let breaks = |cause: &Cause| {
        causes::possible(*cause) && cause.severity() == Severity::Breaks && cause.place() != Place::Test
    };
    let all = Cause::ALL.iter().copied().filter(breaks).map(Some).chain([None]);
    let causes: Vec<Option<Cause>> = all
        .filter(|cause| match asked.as_str() {
            "" | "all" => true,
            name => cause.is_some_and(|cause| cause.name() == name),
        })
        .collect();
    let mut dice = fastrand::Rng::with_seed(1);
    let mut work = Vec::new();
    for topology in &topologies {
        for cause in &causes {
            for silence in SILENCES {
                let host = cause.is_none_or(|cause| cause.place() == Place::NatHost) && silence == Silence::OfNat;
                if dice.u8(..3) == 0 || !asked.is_empty() || host {
                    work.push((topology, *cause, silence));
                }
            }
        }
    }
    let (next, looked, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(String::new()));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(((name, built, client), cause, silence)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let Some(objections) = runtime.block_on(look(built, *client, *cause, *silence)) else { continue };
                    looked.fetch_add(1, Ordering::Relaxed);
                    let cause = cause.map_or_else(|| "nothing broken".to_owned(), Cause::name);
                    let mut wrong = wrong.lock().unwrap();
                    objections.iter().for_each(|why| writeln!(wrong, "{name}, {cause}, {silence:?}: {why}").unwrap());
                }
            });
        }
    });
    let (looked, wrong) = (looked.into_inner(), wrong.into_inner().unwrap());
    say(&format!("{looked} looks at worlds with hosts that cannot be asked"));
    assert!(wrong.is_empty(), "{} of {looked} answers are wrong\n{wrong}", wrong.lines().count());
}
