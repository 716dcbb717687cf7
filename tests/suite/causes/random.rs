//! Random worlds (200; `NATDECK_WORLDS` for more) with up to three causes each: the diagnosis says "delivered" exactly when `curl` on the
//! simulated instance succeeds, and never blames what is healthy.

use std::fmt::Write as _;

use natdeck::model::InstanceId;
use natdeck::reach::{Cause, Diagnosis, Disposition, Place, Severity};
use natdeck::sandbox::causes::{self, BreakError, Scene};

use super::sight::{curl, look};
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
            // A real host shows it in a counter only, which says that it happened and not that it happens.
            && **cause != Cause::HostPortsExhausted
    };
    Cause::ALL.iter().filter(breaks).copied().collect()
}

/// What was injected may show itself by these other names.
pub fn may_show_as(injected: Cause) -> &'static [Cause] {
    match injected {
        Cause::BlackholeRoute => &[Cause::EniNotAttached, Cause::NoRoute],
        // The kernel forgets an interface's routes with the interface.
        Cause::EniNotAttached => &[Cause::BlackholeRoute, Cause::HostInterfaceDown, Cause::HostNoReturnRoute],
        // An address that was assigned at launch is gone while the instance is stopped.
        Cause::NatInstanceStopped => &[Cause::NoPublicAddress],
        Cause::IgwNotAttached => &[Cause::NatSubnetNotPublic],
        Cause::AddressMoved => &[Cause::NoPublicAddress],
        Cause::HostUserDataFailed => {
            &[Cause::HostNoFirewallTool, Cause::HostIpForwardOff, Cause::HostNoMasquerade, Cause::HostNoReturnRoute]
        }
        Cause::HostNoFirewallTool => &[Cause::HostNoMasquerade],
        // Replies take another way in these, which what else is broken may bring to light.
        Cause::HostRpFilter | Cause::SourceDestCheckOnReply => {
            &[Cause::SourceDestCheckOnReply, Cause::HostRpFilter, Cause::HostNoReturnRoute]
        }
        Cause::HostInterfaceDown => &[Cause::HostNoReturnRoute, Cause::HostDefaultRouteWrong],
        _ => &[],
    }
}

struct Trial {
    injected: Vec<Cause>,
    did: Vec<String>,
    client: InstanceId,
    got: Result<String, String>,
    said: Diagnosis,
}

fn trial(seed: u64) -> Trial {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Built { mut world, clients } = build(&Shape::random(&mut rng), seed);
    let client = clients[rng.usize(..clients.len())].clone();
    let candidates = candidates();
    let mut scene = Scene::find(&world, Some(&client)).unwrap();
    let wanted: Vec<Cause> = (0..rng.u8(..=3)).map(|_| candidates[rng.usize(..candidates.len())]).collect();
    let (mut injected, mut did) = (Vec::new(), Vec::new());
    for cause in wanted {
        // What cannot coexist with what is broken already is left out.
        match causes::stage(&mut world, &mut scene, cause).and_then(|()| causes::inject(&mut world, &scene, cause)) {
            Ok(text) => {
                injected.push(cause);
                did.push(text);
            }
            Err(BreakError::NotHere { .. }) => {}
            Err(_) => injected.push(cause),
        }
    }
    let got = curl(&mut world, &client);
    let said = look(&mut world, &client);
    Trial { injected, did, client, got, said }
}

/// What is wrong with an answer. `None`: nothing.
fn objection(trial: &Trial) -> Option<String> {
    let Trial { injected, got, said, .. } = trial;
    let reaches = said.disposition == Disposition::Delivered;
    if reaches && got.is_err() {
        return Some("a miss: it says delivered".to_owned());
    }
    if !reaches && got.is_ok() {
        return Some(format!("a false alarm: it says {}", said.disposition));
    }
    let blamed = said.findings.iter().find(|finding| {
        finding.severity == Severity::Breaks
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
    let halves = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 8);
    let wrong = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..halves)
            .map(|worker| {
                let seeds = &seeds;
                scope.spawn(move || {
                    let mut wrong = String::new();
                    for seed in seeds.iter().skip(worker).step_by(halves) {
                        let trial = trial(*seed);
                        let Some(objection) = objection(&trial) else { continue };
                        let Trial { injected, did, client, got, said } = &trial;
                        let names: Vec<String> = injected.iter().map(|cause| cause.name()).collect();
                        let found: Vec<String> =
                            said.findings.iter().map(|f| format!("{} ({}: {})", f.cause, f.certainty, f.summary)).collect();
                        writeln!(
                            wrong,
                            "seed {seed}, {client}: {objection}\n  injected [{}]: {}\n  curl: {got:?}\n  said {}: {}\n  unknown: {:?}",
                            names.join(", "),
                            did.join("; "),
                            said.disposition,
                            found.join("\n    "),
                            said.unknown
                        )
                        .unwrap();
                    }
                    wrong
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<String>()
    });
    let count = wrong.lines().filter(|line| line.starts_with("seed ")).count();
    assert!(wrong.is_empty(), "{count} of {} worlds are judged wrongly\n{wrong}", seeds.len());
}
