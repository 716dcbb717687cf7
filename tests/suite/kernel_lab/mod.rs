//! The kernel lab: the same hosts as the sandbox's and the walk's, in network namespaces. The kernel is the referee.
//!
//! Each seed is a world ([`variation`]): a VPC, a NAT host, and what somebody did to both. It is built twice: in
//! namespaces ([`lab`], [`router`]), where the real curl asks what gets out, and as a snapshot, where
//! [`natdeck::reach::walk`] says what must get out, once from what natdeck's own script gathered on the real kernel and
//! once from the simulated machine that ran the same commands. All three must agree on reached or not, and on the
//! address seen. `NATDECK_LAB_SEED=n` runs one world and shows it; `NATDECK_LAB_WORLDS=n` runs another number of them.

mod causes;
mod lab;
mod namespaces;
mod ports;
mod router;
mod simulated;
mod variation;
mod world;

use std::net::IpAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use natdeck::model::host::{Host, Hosts};
use natdeck::model::{Fact, InstanceId};
use natdeck::reach::{Disposition, Flow, Trace, parse_host, walk};

use lab::{Got, Lab};
use variation::Variation;
use world::OUTSIDE;

const WORLDS: u64 = 520;
const LABS: usize = 4;
/// Seconds that a first try waits; a drop is silence for that long. Shorter than the second SYN.
const PATIENCE: f32 = 0.5;
/// Seconds that further tries wait before silence is believed where the walk says that an answer must come.
const MORE_PATIENCE: [f32; 2] = [2.0, 6.0];
const SENDERS: [&str; 3] = ["i-client", "i-far", "i-nat"];

#[test]
fn the_kernel_agrees_with_the_walk_and_with_the_simulated_machine() {
    let legacy = match tools() {
        Ok(legacy) => legacy,
        Err(reason) => return not_run(&reason),
    };
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let one = number("NATDECK_LAB_SEED");
    let (first, worlds) = one.map_or((0, number("NATDECK_LAB_WORLDS").unwrap_or(WORLDS)), |seed| (seed, 1));
    let next = AtomicU64::new(first);
    let (asked, delivered, undecided) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let disagreements = Mutex::new(Vec::new());
    let began = Instant::now();
    let mut labs = Vec::new();
    for _ in 0..if one.is_some() { 1 } else { LABS } {
        match Lab::new() {
            Ok(lab) => labs.push(lab),
            Err(reason) => return not_run(&reason),
        }
    }
    std::thread::scope(|scope| {
        for mut lab in labs {
            let (next, disagreements) = (&next, &disagreements);
            let (asked, delivered, undecided) = (&asked, &delivered, &undecided);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds {
                        return;
                    }
                    let compared = compare(&mut lab, &Variation::new(seed, legacy), one.is_some());
                    asked.fetch_add(compared.asked, Ordering::Relaxed);
                    delivered.fetch_add(compared.delivered, Ordering::Relaxed);
                    undecided.fetch_add(compared.undecided, Ordering::Relaxed);
                    disagreements.lock().unwrap().extend(compared.disagreements);
                }
            });
        }
    });
    let disagreements = disagreements.into_inner().unwrap();
    say(&format!(
        "kernel lab: {worlds} variations, {} disagreements; {} fetches, {} delivered, {} undecided; {:.0} s{}",
        disagreements.len(),
        asked.into_inner(),
        delivered.into_inner(),
        undecided.into_inner(),
        began.elapsed().as_secs_f32(),
        if legacy { "" } else { "; without iptables-legacy, which this kernel lacks" }
    ));
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n\n"));
}

#[expect(clippy::print_stderr, reason = "a test says what it did, and that it did not run")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Elsewhere that is to be known; where changes are judged it must not happen.
fn not_run(reason: &str) {
    say(&format!("kernel lab: did not run: {reason}"));
    assert!(std::env::var_os("CI").is_none(), "the kernel lab must run here: {reason}");
}

/// Whether the legacy tables are there; an error when the lab cannot be built at all.
fn tools() -> Result<bool, String> {
    if !cfg!(target_os = "linux") {
        return Err("network namespaces are Linux's".to_owned());
    }
    let has = |tool: &str| {
        let asked =
            Command::new("sh").args(["-c", &format!("command -v {tool}")]).env("PATH", namespaces::path()).output();
        asked.is_ok_and(|output| output.status.success())
    };
    for tool in ["ip", "iptables", "nft", "curl", "unshare", "nsenter", "python3", "bash", "sysctl", "timeout"] {
        if !has(tool) {
            return Err(format!("{tool} is not installed"));
        }
    }
    let maker = namespaces::Maker::new()?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut shell = maker.shell(scratch.path());
    let needed = shell.run(
        "set -e; mount -t tmpfs none /run
         ip link add lab0 type veth peer name lab1
         nft 'add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade'
         iptables -t nat -A POSTROUTING -j MASQUERADE
         iptables -A FORWARD -m state --state NEW -j ACCEPT",
    );
    if needed.code != 0 {
        return Err(format!("this kernel lacks what the lab is made of: {}", needed.output));
    }
    Ok(shell.run("iptables-legacy -t nat -A POSTROUTING -j MASQUERADE").code == 0)
}

#[derive(Default)]
struct Compared {
    asked: usize,
    delivered: usize,
    undecided: usize,
    disagreements: Vec<String>,
}

/// Builds one world and asks all three.
fn compare(lab: &mut Lab, variation: &Variation, show: bool) -> Compared {
    let mut machine = simulated::machine(variation);
    let ran = lab.boot(variation, machine.kernel());
    let simulated = simulated::run(&mut machine, &variation.script);
    let first = lab.probe(variation.port, PATIENCE);
    let gathered = lab.gather(variation.flavour);
    let mut compared = Compared::default();
    let gathered = match parse_host(&gathered) {
        Ok(host) => host,
        Err(error) => {
            compared.disagreements.push(format!("{error}\n{}\n{gathered}", variation.describe()));
            return compared;
        }
    };
    for (at, sender) in SENDERS.into_iter().enumerate() {
        let real = trace(variation, sender, &gathered);
        let simulation = trace(variation, sender, machine.kernel());
        let mut got = first[at];
        for patience in MORE_PATIENCE {
            // A busy machine can be slow to answer, and never answers by mistake.
            if got == Got::Nothing && (real.disposition == Disposition::Delivered || real.refused) {
                got = lab.probe(variation.port, patience)[at];
            }
        }
        compared.asked += 1;
        compared.delivered += usize::from(matches!(got, Got::Address(_)));
        compared.undecided += usize::from(real.disposition == Disposition::InsufficientInformation);
        let sides = [("gathered from the namespace", &real), ("the simulated machine", &simulation)];
        for (side, trace) in sides {
            if show {
                say(&format!("{sender}: curl {got:?}\n{side}: {}", told(trace)));
            }
            if !agrees(got, trace) {
                compared.disagreements.push(format!(
                    "kernel lab: {sender}: curl got {got:?}, and the walk over {side} says {}\n{}\n--- in the namespace, \
                     exit {}\n{}\n--- on the simulated machine, exit {}\n{}{}",
                    told(trace),
                    variation.describe(),
                    ran.code,
                    ran.output,
                    simulated.exit_code,
                    simulated.stdout,
                    simulated.stderr,
                ));
            }
        }
    }
    if show {
        say(&format!("{}\n{}\n{}", variation.describe(), ran.output, lab.report()));
    }
    compared
}

fn trace(variation: &Variation, sender: &str, nat: &Host) -> Trace {
    let hosts = Hosts::from([(InstanceId::new("i-nat"), Fact::Known(nat.clone()))]);
    let flow = Flow::tcp(InstanceId::new(sender), IpAddr::V4(OUTSIDE), variation.port);
    walk(&variation.network, &hosts, &flow)
}

/// A refusal is a drop that is told at once.
fn agrees(got: Got, trace: &Trace) -> bool {
    match (got, trace.disposition) {
        (Got::Address(seen), Disposition::Delivered) => trace.address == Some(IpAddr::V4(seen)),
        (Got::Refused, Disposition::Dropped) => trace.refused,
        (Got::Nothing, Disposition::Dropped) => !trace.refused,
        _ => false,
    }
}

fn told(trace: &Trace) -> String {
    let hops: Vec<String> = trace
        .hops
        .iter()
        .map(|hop| format!("  {} {} {}: {}", hop.direction, hop.component, hop.decision, hop.detail))
        .collect();
    format!("{:?}, address {:?}, refused {}\n{}", trace.disposition, trace.address, trace.refused, hops.join("\n"))
}
