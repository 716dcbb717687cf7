//! One cause in one topology, from a healthy world to a healthy world and back to the broken one.

use std::path::Path;
use std::time::Duration;

use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::InstanceId;
use natdeck::ops::{self, Ended, Overall, Question};
use natdeck::plan::repair::{self, Repair};
use natdeck::plan::{Spec, Topology};
use natdeck::reach::{Cause, Diagnosis, Disposition, Finding, Place};
use natdeck::saga::RunMode;
use natdeck::sandbox::causes::{self, BreakError, Scene};
use natdeck::sandbox::clock::Clock;
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::{Delays, World};
use natdeck::sandbox::{Options, Sandbox, Scenario};

use super::rows::{Row, Undo};
use super::words::objection;
use super::world::Facts;

/// A sandbox in memory and a session to it.
pub struct Bench {
    pub sandbox: Sandbox,
    pub session: Session,
}

impl Bench {
    pub async fn of(world: World) -> Self {
        // Time passes with each request, so that nothing has to be waited for.
        let clock = Clock::stepping(world.now, Duration::from_millis(200));
        let options = Options { scenario: Some(Scenario::Empty), clock, ..Options::default() };
        let sandbox = Sandbox::open(options).unwrap();
        let bench = Self { session: connect(&sandbox).await, sandbox };
        bench.with(|empty| {
            *empty = world;
            empty.delays = Delays::instant();
            empty.ssm.time_scale = 0.0;
        });
        bench
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.sandbox.with_world(act).unwrap()
    }

    /// As `natdeck diagnose` does it.
    pub async fn diagnose(&self, client: &InstanceId) -> Seen {
        let network = ops::observe(&self.session, None, None).await;
        let (diagnosis, _) = Box::pin(ops::diagnose(&self.session, &network, &Question::egress(client.clone()))).await;
        let repairs = diagnosis.findings.iter().map(|finding| repair::repair(finding, &network)).collect();
        let stack = diagnosis.findings.first().map(|finding| ops::stack_of(&network, finding)).unwrap_or_default();
        Seen { diagnosis, repairs, stack }
    }

    /// Carries a repair out. The change is given back open, so that it can be taken back.
    pub async fn carry_out(&self, journals: &Path, stack: &str, repair: &Repair) -> Result<ops::Change, String> {
        let mut change = ops::begin_repair(&self.session, journals, stack, repair).map_err(|e| e.to_string())?;
        match Box::pin(change.run(RunMode::All, &mut |_| {})).await.map_err(|e| e.to_string())? {
            Ended::Finished => Ok(change),
            ended => Err(format!("the repair ended with {ended:?}")),
        }
    }

    /// As `natdeck check` does it for everybody.
    pub async fn check_all(&self) -> Overall {
        let network = ops::observe(&self.session, None, None).await;
        let chosen = ops::choose(&network, &[], None).unwrap();
        Box::pin(ops::check(&self.session, &network, &chosen, &mut |_| {})).await.overall()
    }

    /// Lets what is under way come to its end.
    pub fn rest(&self) {
        for _ in 0..4 {
            self.sandbox.clock().advance(Duration::from_secs(20));
            self.with(|_| ());
        }
    }

    /// Reboots an instance and waits until it is up.
    pub fn reboot(&self, instance: &InstanceId) {
        let pairs = [("InstanceId.1", instance.as_str())];
        let request = Request::query(Service::Ec2, "RebootInstances", pairs);
        let answer = self.with(|world| world.handle(&request));
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.rest();
    }

    pub fn world(&self) -> World {
        self.with(|world| world.clone())
    }

    pub fn facts(&self) -> Facts {
        self.with(|world| Facts::of(world))
    }
}

async fn connect(sandbox: &Sandbox) -> Session {
    let target = Target { sandbox: Some(sandbox.http_client()), lag: Some(Duration::ZERO), ..Target::default() };
    Session::connect(target, CallLog::new()).await.unwrap()
}

/// One look.
pub struct Seen {
    pub diagnosis: Diagnosis,
    /// One for each finding that has one.
    pub repairs: Vec<Option<Repair>>,
    pub stack: String,
}

impl Seen {
    pub fn first(&self) -> Option<&Finding> {
        self.diagnosis.findings.first()
    }

    /// The next repair of a cause that was not repaired yet: what breaks first.
    fn next_repair(&self, done: &[(Cause, String)]) -> Option<(Cause, Repair)> {
        let findings = self.diagnosis.findings.iter().zip(&self.repairs);
        let mut findings = findings.filter(|(finding, _)| done.iter().all(|(cause, _)| *cause != finding.cause));
        findings.find_map(|(finding, repair)| Some((finding.cause, repair.clone()?)))
    }

    pub fn is_healthy(&self) -> bool {
        self.diagnosis.disposition == Disposition::Delivered && self.diagnosis.findings.is_empty()
    }

    pub fn shown(&self) -> String {
        let found = self.diagnosis.findings.iter().map(|finding| {
            let evidence: Vec<String> = finding.evidence.iter().map(|e| format!("{}: {}", e.source, e.text)).collect();
            format!("\n    {} {} ({}) [{}]", finding.severity, finding.cause, finding.summary, evidence.join(" | "))
        });
        let unknown: Vec<String> = self.diagnosis.unknown.iter().map(ToString::to_string).collect();
        format!("{}{}; unknown {unknown:?}", self.diagnosis.disposition, found.collect::<String>())
    }
}

/// The world with a healthy NAT of this topology: the article as the scenario has it, or what the plan makes of its draft.
/// The NAT has been rebooted once, so that its units are as they always will be.
pub async fn healthy(topology: Topology) -> World {
    let scenario = match topology {
        Topology::SecondInterface => Scenario::Article,
        Topology::SingleInterface => Scenario::Draft,
    };
    let sandbox = Sandbox::open(Options { scenario: Some(scenario), ..Options::default() }).unwrap();
    let bench = Bench::of(sandbox.with_world(|world| world.clone()).unwrap()).await;
    if topology == Topology::SingleInterface {
        let network = ops::observe(&bench.session, None, None).await;
        let spec = Spec { topology, elastic_ip: true, ..Spec::default() };
        let plan = ops::plan_provision(&bench.session, &spec, &network).await.unwrap();
        let state = tempfile::tempdir().unwrap();
        let mut change = ops::Change::begin(&bench.session, state.path(), &plan).unwrap();
        let ended = Box::pin(change.run(RunMode::All, &mut |_| {})).await.unwrap();
        assert!(matches!(ended, Ended::Finished), "{ended:?}");
        bench.rest();
    }
    let scene = bench.with(|world| Scene::find(world, None)).unwrap();
    bench.reboot(&scene.nat.instance);
    let said = bench.diagnose(&scene.client).await;
    assert!(said.is_healthy(), "{topology}: {}", said.shown());
    assert_eq!(bench.check_all().await, Overall::Ok, "{topology}");
    bench.world()
}

/// What was seen of a cause.
pub struct Outcome {
    pub finding: Finding,
    /// The line of evidence that decides.
    pub decisive: String,
    /// What each repair was for, and its title, one after the other. Empty: a person has to.
    pub repairs: Vec<(Cause, String)>,
}

/// Why a cause did not go as its row says.
pub enum Failure {
    NotHere(&'static str),
    Wrong(String),
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(text.into()))
}

/// More repairs than this are not made for one cause.
const REPAIRS_AT_MOST: usize = 3;

/// A row proved in one topology.
pub async fn prove(world: &World, row: &Row) -> Result<Outcome, Failure> {
    let mut trial = Trial::broken(world, row.cause).await?;
    let first = trial.said.first().filter(|first| first.cause == row.cause).cloned();
    let Some(finding) = first else { return trial.wrong("it comes not first") };
    let mut lines = finding.evidence.iter().map(|line| format!("{}: {}", line.source, line.text));
    let Some(decisive) = lines.find(|line| line.contains(row.evidence)) else {
        return trial.wrong(format!("no evidence holds {:?}", row.evidence));
    };
    if row.cause.repairable() {
        trial.repair().await?;
        trial.compare(row)?;
        if row.cause.place() == Place::NatHost {
            trial.repair_again().await?;
            trial.reboot(row).await?;
        }
        trial.take_back(row).await?;
    } else if let Some(Some(repair)) = trial.said.repairs.first() {
        return trial.wrong(format!("a person has to, and there is a repair: {}", repair.title));
    }
    Ok(Outcome { finding, decisive, repairs: trial.done })
}

/// One cause in one world, as far as it has got.
struct Trial {
    bench: Bench,
    scene: Scene,
    /// What was done to break it.
    did: String,
    healthy: Facts,
    broken: Facts,
    said: Seen,
    journals: tempfile::TempDir,
    changes: Vec<ops::Change>,
    done: Vec<(Cause, String)>,
    first: Option<(String, Repair)>,
}

impl Trial {
    fn wrong<T>(&self, text: impl std::fmt::Display) -> Result<T, Failure> {
        let done: Vec<&str> = self.done.iter().map(|(_, title)| title.as_str()).collect();
        wrong(format!("{}; repaired {done:?}: {text}: {}", self.did, self.said.shown()))
    }

    async fn broken(world: &World, cause: Cause) -> Result<Self, Failure> {
        let bench = Bench::of(world.clone()).await;
        let mut scene = bench.with(|world| Scene::find(world, None)).unwrap();
        let unstaged = bench.facts();
        gone_well(bench.with(|world| causes::stage(world, &mut scene, cause)))?;
        bench.rest();
        let healthy = bench.facts();
        if healthy != unstaged {
            let before = bench.diagnose(&scene.client).await;
            if !before.is_healthy() || bench.check_all().await != Overall::Ok {
                return wrong(format!("before anything is broken: {}", before.shown()));
            }
        }
        let did = gone_well(bench.with(|world| causes::inject(world, &scene, cause)))?;
        bench.rest();
        let broken = bench.facts();
        let said = bench.diagnose(&scene.client).await;
        let journals = tempfile::tempdir().unwrap();
        let (changes, done) = (Vec::new(), Vec::new());
        Ok(Self { bench, scene, did, healthy, broken, said, journals, changes, done, first: None })
    }

    /// Repairs what is reported, one after the other, as `--fix` does.
    async fn repair(&mut self) -> Result<(), Failure> {
        while let Some((cause, repair)) = self.said.next_repair(&self.done) {
            let finding = self.said.diagnosis.findings.iter().find(|finding| finding.cause == cause);
            if let Some(objection) = finding.and_then(|finding| objection(&repair, finding)) {
                return self.wrong(format!("\"{}\": {objection}", repair.title));
            }
            let journals = self.journals.path().join(self.done.len().to_string());
            match self.bench.carry_out(&journals, &self.said.stack, &repair).await {
                Ok(change) => self.changes.push(change),
                Err(error) => return self.wrong(format!("\"{}\": {error}", repair.title)),
            }
            self.done.push((cause, repair.title.clone()));
            self.first.get_or_insert((self.said.stack.clone(), repair));
            self.bench.rest();
            self.said = self.bench.diagnose(&self.scene.client).await;
            if self.done.len() == REPAIRS_AT_MOST {
                break;
            }
        }
        let all = self.bench.check_all().await;
        if self.done.is_empty() || self.said.diagnosis.first_break().is_some() || all != Overall::Ok {
            return self.wrong(format!("the check says {all:?}"));
        }
        Ok(())
    }

    /// Nothing is different from the healthy world but what the row names.
    fn compare(&self, row: &Row) -> Result<(), Failure> {
        let done: Vec<Cause> = self.done.iter().map(|(cause, _)| *cause).skip(1).collect();
        let also = self.said.diagnosis.findings.iter().map(|finding| finding.cause);
        let unexpected = done.into_iter().chain(also).find(|cause| !row.also.contains(cause));
        if let Some(cause) = unexpected {
            return self.wrong(format!("{cause} comes with it"));
        }
        self.differs("after the repair", &self.healthy.changes(&self.bench.facts()), row.left)
    }

    fn differs(&self, when: &str, changes: &[String], named: &[&str]) -> Result<(), Failure> {
        let strange: Vec<&String> =
            changes.iter().filter(|change| !named.iter().any(|name| change.contains(name))).collect();
        if strange.is_empty() { Ok(()) } else { self.wrong(format!("{when} more is different: {strange:#?}")) }
    }

    /// The first repair once more changes nothing.
    async fn repair_again(&mut self) -> Result<(), Failure> {
        let Some((stack, first)) = self.first.clone() else { return Ok(()) };
        let before = self.bench.facts();
        let again = self.bench.carry_out(&self.journals.path().join("again"), &stack, &first).await;
        if let Err(error) = again.and_then(|change| change.close().map_err(|error| error.to_string())) {
            return self.wrong(format!("a second time: {error}"));
        }
        self.differs("after a second time", &before.changes(&self.bench.facts()), &[])
    }

    /// In a copy of the world the host is rebooted, and all is well.
    async fn reboot(&mut self, row: &Row) -> Result<(), Failure> {
        let copy = Bench::of(self.bench.world()).await;
        copy.reboot(&self.scene.nat.instance);
        let (said, all) = (copy.diagnose(&self.scene.client).await, copy.check_all().await);
        if !said.is_healthy() || all != Overall::Ok {
            return self.wrong(format!("after a reboot the check says {all:?}: {}", said.shown()));
        }
        let named: Vec<&str> = row.left.iter().chain(row.rebooted).copied().collect();
        self.differs("after a reboot", &self.healthy.changes(&copy.facts()), &named)
    }

    /// Each repair is taken back, the last first, and what was broken is broken as it was.
    async fn take_back(&mut self, row: &Row) -> Result<(), Failure> {
        let mut refused = None;
        for change in self.changes.iter_mut().rev() {
            match Box::pin(change.undo_all(&mut |_| {})).await {
                Ok(Ended::Undone | Ended::Finished) => {}
                Ok(Ended::Failed { failures }) => refused = failures.first().map(|failure| failure.error.to_string()),
                other => return wrong(format!("{}: taken back: {other:?}", self.did)),
            }
        }
        self.bench.rest();
        self.said = self.bench.diagnose(&self.scene.client).await;
        let back = self.said.first().is_some_and(|first| first.cause == row.cause);
        match (row.undo, refused) {
            (Undo::Back, None) if back => {
                self.differs("after taking it back", &self.broken.changes(&self.bench.facts()), &[])
            }
            (Undo::Nothing(_), None) if !back => Ok(()),
            (Undo::Refused(words), Some(error)) if error.contains(words) => Ok(()),
            (_, refused) => self.wrong(format!("taken back, against {:?}; {refused:?}", row.undo)),
        }
    }
}

fn gone_well<T>(result: Result<T, BreakError>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(BreakError::NotHere { reason, .. }) => Err(Failure::NotHere(reason)),
        Err(error) => wrong(error.to_string()),
    }
}
