//! Random worlds (200; `NATDECK_WORLDS` for more) with up to three causes each: the diagnosis says "delivered" exactly
//! when `curl` on the simulated instance succeeds, and never blames what is healthy. Some are looked at through the SDK
//! and SSM, and of those some are repaired to the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use natdeck::model::InstanceId;
use natdeck::reach::{Cause, Certainty, Diagnosis, Disposition, Place, Severity};
use natdeck::sandbox::causes::{self, BreakError, Scene};

use super::operator::Operator;
use super::say;
use super::sight::{curl, look};
use super::story::{Broken, Story, put_right};
use super::worlds::{Built, Shape, build};

/// `NATDECK_WORLDS=100000` for a longer run; `NATDECK_WORLD=17` for one seed.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("NATDECK_WORLD") {
        Some(seed) => seed..seed + 1,
        None => 0..number("NATDECK_WORLDS").unwrap_or(200),
    }
}

/// Causes that stop packets, by what a snapshot and the hosts can show.
pub fn candidates() -> Vec<Cause> {
    let breaks = |cause: &&Cause| {
        causes::possible(**cause)
            && cause.severity() == Severity::Breaks
            && cause.place() != Place::Test
            // A real host shows how many sockets it has, which says nothing without a packet test.
            && **cause != Cause::ClientPortsExhausted
    };
    Cause::ALL.iter().filter(breaks).copied().collect()
}

/// What an injection leaves behind beside the cause itself, as it can be seen in the broken world.
pub fn may_show_as(injected: Cause) -> &'static [Cause] {
    match injected {
        // The kernel forgets an interface's routes with the interface.
        Cause::EniNotAttached => &[Cause::HostNoReturnRoute],
        // An address that was assigned at launch is gone while the instance is stopped.
        Cause::NatInstanceStopped => &[Cause::NoPublicAddress],
        // The host was never made a NAT.
        Cause::HostUserDataFailed => {
            &[Cause::HostNoFirewallTool, Cause::HostIpForwardOff, Cause::HostNoMasquerade, Cause::HostNoReturnRoute]
        }
        // Where NAT gateways are not described, the route that leads to one is all there is to see.
        Cause::NatGatewayNotAvailable => &[Cause::BlackholeRoute],
        // The rules went with the tool.
        Cause::HostNoFirewallTool => &[Cause::HostNoMasquerade],
        _ => &[],
    }
}

/// How a world is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The snapshot and what the hosts' kernels say; no packet is sent.
    Facts,
    /// As the command line does: through the SDK and SSM, with the packet test.
    Aws,
    /// The same, and what is reported is repaired until the check passes.
    Repairs,
}

/// By seed, so that a seed is always judged the same way.
fn way(seed: u64) -> Way {
    match seed % 20 {
        0 => Way::Repairs,
        5 | 10 | 15 => Way::Aws,
        _ => Way::Facts,
    }
}

struct Trial {
    injected: Vec<Cause>,
    did: Vec<String>,
    client: InstanceId,
    got: Result<String, String>,
    said: Diagnosis,
    /// What is wrong with the repairs, if they were made.
    story: Option<Story>,
}

fn trial(seed: u64, runtime: &tokio::runtime::Runtime) -> Trial {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Built { mut world, clients } = build(&Shape::random(&mut rng), seed);
    let client = clients[rng.usize(..clients.len())].clone();
    let candidates = candidates();
    let mut scene = Scene::find(&world, Some(&client)).unwrap();
    let mut wanted: Vec<Cause> = (0..rng.u8(..=3)).map(|_| candidates[rng.usize(..candidates.len())]).collect();
    // What cannot coexist with what is broken already is left out.
    wanted.retain(|cause| match causes::stage(&mut world, &mut scene, *cause) {
        Ok(()) => true,
        Err(BreakError::NotHere { .. }) => false,
        Err(error) => panic!("seed {seed}: {error}"),
    });
    let healthy = world.clone();
    let (mut injected, mut did) = (Vec::new(), Vec::new());
    for cause in wanted {
        if injected.contains(&cause) {
            continue;
        }
        match causes::inject(&mut world, &scene, cause) {
            Ok(text) => {
                injected.push(cause);
                did.push(text);
            }
            Err(BreakError::NotHere { .. }) => {}
            Err(_) => injected.push(cause),
        }
    }
    let got = curl(&mut world, &client);
    let mut story = None;
    let said = match way(seed) {
        Way::Facts => look(&mut world, &client),
        Way::Aws => runtime.block_on(async { Operator::at(world).await.look(&client).await.said }),
        Way::Repairs => {
            let said = look(&mut world, &client);
            let broken = Broken { healthy, world, scene, did: did.clone() };
            story = Some(runtime.block_on(put_right(broken, &injected)));
            said
        }
    };
    Trial { injected, did, client, got, said, story }
}

/// What is wrong with an answer. `None`: nothing.
fn objection(trial: &Trial) -> Option<String> {
    let Trial { injected, got, said, story, .. } = trial;
    if let Some(why) = story.as_ref().and_then(|story| story.wrong.first()) {
        return Some(format!(
            "{why}\n    {}",
            story.iter().flat_map(|s| &s.lines).cloned().collect::<Vec<_>>().join("\n    ")
        ));
    }
    let reaches = said.disposition == Disposition::Delivered;
    if reaches && got.is_err() {
        return Some("a miss: it says delivered".to_owned());
    }
    if !reaches && got.is_ok() {
        return Some(format!("a false alarm: it says {}", said.disposition));
    }
    let blamed = said.findings.iter().find(|finding| {
        finding.severity == Severity::Breaks
            && finding.certainty != Certainty::Guess
            && !injected.iter().any(|cause| *cause == finding.cause || may_show_as(*cause).contains(&finding.cause))
    });
    if let Some(finding) = blamed {
        return Some(format!("it blames what is healthy: {} ({})", finding.cause, finding.summary));
    }
    let silent = got.is_err() && said.findings.iter().all(|finding| finding.severity != Severity::Breaks);
    silent.then(|| "it names no cause".to_owned())
}

#[test]
fn in_random_worlds_the_diagnosis_agrees_with_curl_and_blames_nothing_that_is_healthy() {
    let seeds: Vec<u64> = seeds().collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(String::new());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let trial = trial(*seed, &runtime);
                    let Some(objection) = objection(&trial) else { continue };
                    let text = told(*seed, &trial, &objection);
                    // At once: a long run is read while it goes on.
                    say(&text);
                    wrong.lock().unwrap().push_str(&text);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let count = wrong.lines().filter(|line| line.starts_with("seed ")).count();
    say(&format!("{} random worlds, {count} judged wrongly", seeds.len()));
    assert!(wrong.is_empty(), "{count} of {} worlds are judged wrongly\n{wrong}", seeds.len());
}

fn told(seed: u64, trial: &Trial, objection: &str) -> String {
    let Trial { injected, did, client, got, said, .. } = trial;
    let names: Vec<String> = injected.iter().map(|cause| cause.name()).collect();
    let found: Vec<String> =
        said.findings.iter().map(|f| format!("{} ({}: {})", f.cause, f.certainty, f.summary)).collect();
    format!(
        "seed {seed} ({:?}), {client}: {objection}\n  injected [{}]: {}\n  curl: {got:?}\n  said {}: {}\n  unknown: {:?}\n",
        way(seed),
        names.join(", "),
        did.join("; "),
        said.disposition,
        found.join("\n    "),
        said.unknown
    )
}
