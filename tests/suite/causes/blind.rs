//! Missing permissions, one operation at a time: the answer says what it could not see, and is never wrong for it.
//!
//! The operations are those that natdeck reads with, as its own IAM policy lists them. A sixth of the questions;
//! `NATDECK_BLIND=all` for all of them, `NATDECK_BLIND=CODE` for one cause.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use natdeck::reach::{
    Cause, Certainty, Diagnosis, Disposition, Finding, Flow, Observations, Place, Severity, diagnose,
};
use natdeck::sandbox::causes;

use super::operator::Operator;
use super::random::may_show_as;
use super::say;
use super::sight::{IPIFY, broken, curl, hosts};
use super::worlds::{Built, Shape, build};

/// Causes that stop packets, and none.
fn injected() -> Vec<Option<Cause>> {
    let one = std::env::var("NATDECK_BLIND").ok().filter(|name| name != "all");
    let breaks = |cause: &Cause| {
        causes::possible(*cause)
            && cause.severity() == Severity::Breaks
            && cause.place() != Place::Test
            // Nothing but the packet test shows it.
            && *cause != Cause::ClientPortsExhausted
    };
    let all = Cause::ALL.iter().copied().filter(breaks).map(Some).chain([None]);
    all.filter(|cause| one.as_ref().is_none_or(|name| cause.is_some_and(|cause| cause.name() == *name))).collect()
}

/// What is wrong with an answer.
fn objections(said: &Diagnosis, cause: Option<Cause>, got: &Result<String, String>, action: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let breaks = || said.findings.iter().filter(|finding| finding.severity == Severity::Breaks);
    let known = |finding: &Finding| {
        cause.is_some_and(|cause| finding.cause == cause || may_show_as(cause).contains(&finding.cause))
    };
    let named = said.findings.iter().any(known);
    match said.disposition {
        Disposition::Delivered if got.is_err() => wrong.push("it says delivered".to_owned()),
        Disposition::Dropped if got.is_ok() => wrong.push("it says dropped".to_owned()),
        Disposition::InsufficientInformation if said.unknown.is_empty() => {
            wrong.push("it does not say what it could not see".to_owned());
        }
        _ => {}
    }
    let (_, operation) = action.split_once(':').unwrap();
    let told = said.unknown.iter().any(|unknown| unknown.what.contains(operation));
    // A NAT gateway beside a NAT that serves other subnets may be meant, and packets do get out.
    let meant = cause == Some(Cause::RoutedToOtherEgress) && got.is_ok();
    if cause.is_some() && !named && !told && !meant {
        wrong.push(format!("it neither names the cause nor says that {operation} is denied: {:?}", said.unknown));
    }
    let stranger = breaks().filter(|finding| finding.certainty == Certainty::Certain).find(|finding| !known(finding));
    if let Some(finding) = stranger {
        wrong.push(format!("it surely blames what is healthy: {} ({})", finding.cause, finding.summary));
    }
    wrong
}

/// The answers of one world, with each operation denied.
async fn look_blindly(built: &Built, client: usize, cause: Option<Cause>) -> (usize, Vec<String>) {
    let (mut world, scene) = match broken(built, client, cause) {
        Ok(Some(broken)) => broken,
        Ok(None) => return (0, Vec::new()),
        Err(error) => return (0, vec![error.to_string()]),
    };
    let got = curl(&mut world, &scene.client);
    let hosts = hosts(&mut world, &scene.client);
    let flow = Flow::https(scene.client.clone(), IPIFY);
    let operator = Operator::at(world).await;
    let (mut looked, mut wrong) = (0, Vec::new());
    let all = std::env::var_os("NATDECK_BLIND").is_some();
    let mut dice = fastrand::Rng::with_seed(cause.map_or(0, |cause| cause as u64));
    for action in natdeck::aws::policy::reads().filter(|_| all || dice.u8(..6) == 0) {
        operator.world(|world| world.denied = [action.clone()].into());
        let network = operator.observe().await;
        let said = diagnose(&network, &hosts, &flow, &Observations::default());
        looked += 1;
        for why in objections(&said, cause, &got, &action) {
            wrong.push(format!("without {action}: {why}; it says {}", said.disposition));
        }
    }
    (looked, wrong)
}

#[test]
fn with_a_permission_missing_the_answer_is_never_wrong() {
    let topologies =
        [("two interfaces", build(&Shape::wide(true), 1), 1), ("one interface", build(&Shape::simple(false), 1), 0)];
    let causes = injected();
    let work: Vec<_> =
        topologies.iter().flat_map(|topology| causes.iter().map(move |cause| (topology, *cause))).collect();
    let (next, looked, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(String::new()));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(1, 8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(((name, built, client), cause)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (looks, objections) = runtime.block_on(look_blindly(built, *client, *cause));
                    looked.fetch_add(looks, Ordering::Relaxed);
                    let cause = cause.map_or_else(|| "nothing broken".to_owned(), Cause::name);
                    let mut wrong = wrong.lock().unwrap();
                    objections.iter().for_each(|why| writeln!(wrong, "{name}, {cause}, {why}").unwrap());
                }
            });
        }
    });
    let (looked, wrong) = (looked.into_inner(), wrong.into_inner().unwrap());
    say(&format!("{looked} looks with {} operations denied one at a time", natdeck::aws::policy::reads().count()));
    assert!(wrong.is_empty(), "{} of {looked} answers are wrong\n{wrong}", wrong.lines().count());
}
