//! Every two causes that can be had at once: what is reported is repaired, first finding first, looking again after
//! each, until the check passes; with no more repairs than causes, and nothing healthy touched.
//!
//! One in twenty; `NATDECK_PAIRS=7` for others, and `NATDECK_PAIRS=all` for all of them.
//! `NATDECK_PAIR=CODE,CODE` shows one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use natdeck::reach::Cause;
use natdeck::sandbox::causes::{self, BreakError, Scene};

use super::say;
use super::story::{Broken, put_right};
use super::worlds::{Built, Shape, build};

/// Both causes in one world. The error is the injector's own words for why they cannot be had at once.
fn broken(built: &Built, client: usize, both: [Cause; 2]) -> Result<Broken, BreakError> {
    let mut world = built.world.clone();
    let mut scene = Scene::find(&world, Some(&built.clients[client]))?;
    for cause in both {
        causes::stage(&mut world, &mut scene, cause)?;
    }
    let healthy = world.clone();
    let mut did = Vec::new();
    for cause in both {
        did.push(causes::inject(&mut world, &scene, cause)?);
    }
    Ok(Broken { healthy, world, scene, did })
}

/// In one order or the other: what one breaks may be what the other needs.
fn in_some_order(built: &Built, client: usize, [a, b]: [Cause; 2]) -> Result<Broken, String> {
    broken(built, client, [a, b]).or_else(|first| {
        broken(built, client, [b, a]).map_err(|second| format!("{first}; the other way round: {second}"))
    })
}

/// A number that a pair always has (FNV-1a).
fn by_name(seed: u64, topology: &str, first: Cause, second: Cause) -> u64 {
    let text = format!("{seed} {topology} {first},{second}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn candidates() -> Vec<Cause> {
    Cause::ALL.iter().copied().filter(|cause| causes::possible(*cause)).collect()
}

#[test]
fn of_any_two_causes_each_is_repaired_once_and_nothing_healthy_is_touched() {
    let topologies =
        [("two interfaces", build(&Shape::wide(true), 1), 1), ("one interface", build(&Shape::simple(false), 1), 0)];
    let one = std::env::var("NATDECK_PAIR").ok();
    let asked = std::env::var("NATDECK_PAIRS").unwrap_or_default();
    let (everything, seed) = (asked == "all", asked.parse().unwrap_or(1));
    let all = candidates();
    let pairs =
        all.iter().enumerate().flat_map(|(at, first)| all[at + 1..].iter().map(move |second| [*first, *second]));
    let pairs: Vec<[Cause; 2]> = pairs.collect();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut work = Vec::new();
    for topology in &topologies {
        let (name, ..) = topology;
        for [first, second] in &pairs {
            // By name, so that a new cause does not deal the others anew.
            let lot = by_name(seed, name, *first, *second).is_multiple_of(20);
            let wanted = match &one {
                Some(pair) => *pair == format!("{first},{second}"),
                None => everything || lot,
            };
            if wanted {
                work.push((topology, [*first, *second]));
            }
        }
    }
    // So that a run that is cut short has seen something of everything.
    dice.shuffle(&mut work);
    let next = AtomicUsize::new(0);
    let (wrong, impossible) = (Mutex::new(String::new()), Mutex::new(BTreeMap::<String, usize>::new()));
    let (repaired, repairs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some((topology, both)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (name, built, client) = topology;
                    let broken = match in_some_order(built, *client, *both) {
                        Ok(broken) => broken,
                        Err(words) => {
                            *impossible.lock().unwrap().entry(words).or_default() += 1;
                            continue;
                        }
                    };
                    let story = runtime.block_on(put_right(broken, both));
                    if repaired.fetch_add(1, Ordering::Relaxed) % 100 == 99 {
                        say(&format!("{} of {} pairs", next.load(Ordering::Relaxed), work.len()));
                    }
                    repairs.fetch_add(story.repairs, Ordering::Relaxed);
                    if !story.wrong.is_empty() || one.is_some() {
                        let [first, second] = both;
                        let mut text = format!("{name}: {first},{second}\n");
                        story.wrong.iter().for_each(|why| writeln!(text, "  WRONG {why}").unwrap());
                        story.lines.iter().for_each(|line| writeln!(text, "    {line}").unwrap());
                        // At once: a long run is read while it goes on.
                        say(&text);
                        wrong.lock().unwrap().push_str(&text);
                    }
                }
            });
        }
    });
    let (wrong, impossible) = (wrong.into_inner().unwrap(), impossible.into_inner().unwrap());
    let (repaired, repairs) = (repaired.into_inner(), repairs.into_inner());
    say(&format!(
        "{} pairs: {repaired} put right with {repairs} repairs; the others cannot be had at once:",
        work.len()
    ));
    impossible.iter().for_each(|(words, count)| say(&format!("  {count:>4} {words}")));
    let count = wrong.lines().filter(|line| line.starts_with("  WRONG")).count();
    assert!(wrong.is_empty(), "{count} objections in {repaired} pairs\n{wrong}");
}
