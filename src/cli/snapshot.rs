//! The commands on an incident report instead of AWS: `natdeck --snapshot FILE …`. They say what they said when the
//! report was made. Nothing is asked, nothing can change.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use color_eyre::eyre::{self, bail, eyre};
use jiff::Timestamp;

use super::arguments::{CheckArguments, Command, DiagnoseArguments, Global, TestsName, TreeArguments};
use super::diagnose::{Seen, answer, keep, place, print, target};
use super::{Answer, Terminal, audit, change, inspect};
use crate::model::{World, ago};
use crate::ops::report::{self, Incident};
use crate::ops::{self, OUTSIDE, Question};

/// A report that was opened.
pub struct Snapshot {
    pub file: PathBuf,
    pub incident: Incident,
    /// It is of the state after the repairs.
    after: bool,
}

impl Snapshot {
    /// Opens the report of `--snapshot`, and refuses the flags that speak of another world.
    pub fn open(global: &Global, file: &Path, terminal: &Terminal) -> eyre::Result<Self> {
        let given = [
            (global.sandbox, "--sandbox"),
            (global.scenario.is_some(), "--scenario"),
            (global.sandbox_state.is_some(), "--sandbox-state"),
            (!global.sandbox_fault.is_empty(), "--sandbox-fault"),
            (global.sandbox_seed.is_some(), "--sandbox-seed"),
            (global.time_scale.is_some(), "--time-scale"),
            (global.profile.is_some(), "--profile"),
            (global.region.is_some(), "--region"),
            (global.endpoint_url.is_some(), "--endpoint-url"),
        ];
        if let Some((_, flag)) = given.iter().find(|(given, _)| *given) {
            bail!("--snapshot answers from a file and {flag} speaks of a world that can be asked; give one of them");
        }
        let report::Opened { incident, edited } = report::open(file)?;
        if edited {
            terminal.say(&format!(
                "{}: the snapshot in {} was edited after natdeck had written it",
                terminal.err.warn("edited"),
                file.display()
            ));
        }
        let incident = if global.after {
            let nothing = || eyre!("{} holds no look after a repair; leave --after out", file.display());
            incident.afterwards().ok_or_else(nothing)?
        } else {
            incident
        };
        Ok(Self { file: file.to_owned(), incident, after: global.after })
    }

    /// What it is a picture of, and how old.
    fn headline(&self, now: Timestamp) -> String {
        let Incident { identity, at, network, redacted, .. } = &self.incident;
        let account = identity.account_id.as_deref().unwrap_or("unknown");
        let stand_ins = if *redacted { " (stand-ins)" } else { "" };
        let when = if self.after { "taken after the repairs at" } else { "taken" };
        format!(
            "snapshot of {} account {account}{stand_ins} region {}, {when} {at:.0}, {}; nothing is asked of AWS, and \
             ages are as of then",
            identity.world,
            network.region,
            ago(now, *at)
        )
    }
}

/// Runs a command on a report.
pub fn run(command: &Command, global: &Global, snapshot: &Snapshot, terminal: &Terminal) -> eyre::Result<Answer> {
    refuse(command)?;
    terminal.say(&terminal.err.faint(&snapshot.headline(Timestamp::now())));
    match command {
        Command::Tree(arguments) => tree(snapshot, arguments, terminal),
        Command::Diagnose(arguments) => diagnose(snapshot, arguments, terminal),
        Command::Check(arguments) => check(snapshot, arguments, terminal),
        Command::Plan(arguments) => {
            let plan = ops::plan_teardown(change::stack_of(global), &snapshot.incident.network)?;
            change::print_plan(terminal, arguments, &plan)
        }
        _ => super::offline(command, terminal),
    }
}

/// What would ask or change something.
fn refuse(command: &Command) -> eyre::Result<()> {
    let without = "leave --snapshot out";
    match command {
        Command::Apply(_) => bail!("apply changes AWS, and a snapshot only looks back; {without}"),
        Command::Destroy(_) => {
            bail!(
                "destroy changes AWS, and a snapshot only looks back; plan --destroy shows what it would have removed"
            )
        }
        Command::Check(arguments) if !arguments.explain => bail!(
            "check sends packets, and a snapshot only looks back; check --all --explain and diagnose INSTANCE answer from \
             it, or {without}"
        ),
        Command::Check(arguments) if arguments.tests == TestsName::Every => {
            bail!("--tests every sends packets, and a snapshot only looks back; {without}")
        }
        Command::Sandbox(_) => bail!("sandbox speaks of the AWS inside this program, not of a snapshot; {without}"),
        Command::Diagnose(arguments) if arguments.fix => {
            bail!("--fix changes AWS, and a snapshot only looks back; the repairs are shown without it, or {without}")
        }
        Command::Plan(arguments) if !arguments.destroy => {
            bail!("plan asks AWS for image and zones, which no snapshot holds; plan --destroy works, or {without}")
        }
        _ => Ok(()),
    }
}

fn tree(snapshot: &Snapshot, arguments: &TreeArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let Incident { identity, network, .. } = &snapshot.incident;
    let Some(vpc) = &arguments.vpc else {
        return inspect::print_tree(terminal, arguments, identity, network);
    };
    if let Ok(None) = network.vpcs.get(vpc) {
        bail!("there is no VPC {vpc} in {}; natdeck tree lists the VPCs", snapshot.file.display());
    }
    let mut only = network.clone();
    only.vpcs.items_mut().retain(|id, _| id == vpc.as_str());
    inspect::print_tree(terminal, arguments, identity, &only)
}

fn diagnose(snapshot: &Snapshot, arguments: &DiagnoseArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let saving = place(arguments)?;
    let incident = &snapshot.incident;
    ops::diagnosable(&incident.network, &arguments.instance).map_err(|reason| eyre!(reason))?;
    let question = question(incident, arguments)?;
    let (diagnosis, looked) = incident.ask(&question);
    let network = incident.network.clone();
    let seen = Seen { at: incident.at, network, looked, diagnosis };
    if let Some(file) = &arguments.report {
        keep(terminal, file, incident.about(question), arguments.redact, saving)?;
    }
    print(terminal, arguments, &seen)?;
    Ok(answer(&seen.diagnosis))
}

/// What the report knows of every instance. The packet test of the one that it is about is the only one.
fn check(snapshot: &Snapshot, arguments: &CheckArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let Incident { identity, network, at, .. } = &snapshot.incident;
    let chosen = ops::choose(network, &arguments.instances, arguments.vpc.as_ref())?;
    let report = ops::explain(network, snapshot.incident.asked(), &chosen);
    audit::print(terminal, arguments, identity, network, &chosen, &report, *at)
}

/// What is asked. Names are not resolved: what they lead to now is not what they led to then.
fn question(incident: &Incident, arguments: &DiagnoseArguments) -> eyre::Result<Question> {
    let instance = arguments.instance.clone();
    let Some(to) = &arguments.to else {
        // What was asked then, unless it was of another instance.
        let asked = incident.question.flow.instance_id == instance;
        return Ok(if asked { incident.question.clone() } else { Question::egress(instance) });
    };
    let (host, port) = target(to)?;
    let recorded = &incident.question;
    let address = match host.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) if Question::to(instance.clone(), host, recorded.flow.destination, port).urls == recorded.urls => {
            recorded.flow.destination
        }
        Err(_) if incident.identity.world == World::Sandbox => OUTSIDE,
        Err(_) => {
            bail!("a snapshot cannot tell which address {host} had; give the address itself: --to ADDRESS:{port}")
        }
    };
    Ok(Question::to(instance, host, address, port))
}
