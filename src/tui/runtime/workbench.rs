//! The console's backend: `ops` on one target. Connects when it is first asked for something, so that the console is
//! there before any file or network is touched.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::super::backend::{Backend, EventSink};
use super::super::diagnosis::{Diagnosed, Mend, Story};
use super::super::drill::{Broken, Drill, DrillGround};
use super::super::effect::WalkDepth;
use super::super::message::{Failure, Prepared, RunEnd};
use crate::aws::{CallLog, Error, Session, Target};
use crate::model::host::Hosts;
use crate::model::{ApiCall, Identity, InstanceId, Network, World};
use crate::ops::{self, Change, ChangeError, Ended, Looked, PlanningError, Question};
use crate::plan::{self, Output, Outputs, Plan, PlanKind, Spec};
use crate::reach::{self, Cause, CheckProgress, Diagnosis, Flow, Observations, Trace, walk};
use crate::saga::{Event, NodeState, RunMode, Stop, error_line};

pub(super) mod report;

/// Opens a shell on an instance at the terminal, and returns when it has ended.
pub type ShellDoor = Arc<dyn Fn(&InstanceId) -> Result<(), Failure> + Send + Sync>;

/// One target, and what the console has begun there.
pub struct Workbench {
    target: Target,
    log: CallLog,
    /// Below it journals are kept.
    state_dir: PathBuf,
    spec: Spec,
    session: OnceCell<Session>,
    /// The change that was begun or found unfinished. Holds the stack's lock.
    change: AsyncMutex<Option<Change>>,
    stop: Mutex<Option<Stop>>,
    /// What the hosts said when they were last asked.
    hosts: Mutex<Hosts>,
    shell: ShellDoor,
    /// `None`: this world is not there to be broken.
    drills: Option<Arc<dyn DrillGround>>,
}

impl Workbench {
    pub fn new(target: Target, log: CallLog, state_dir: PathBuf, spec: Spec, shell: ShellDoor) -> Self {
        Self {
            target,
            log,
            state_dir,
            spec,
            session: OnceCell::new(),
            change: AsyncMutex::new(None),
            stop: Mutex::new(None),
            hosts: Mutex::new(Hosts::new()),
            shell,
            drills: None,
        }
    }

    /// The same with a world that can be broken.
    #[must_use]
    pub fn with_drills(mut self, drills: Option<Arc<dyn DrillGround>>) -> Self {
        self.drills = drills;
        self
    }

    async fn session(&self) -> Result<&Session, Error> {
        self.session.get_or_try_init(|| Session::connect(self.target.clone(), self.log.clone())).await
    }

    /// After a change, what the hosts said before it is not evidence any more.
    fn forget_hosts(&self) {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Where the journals of this account and region are.
    async fn journals(&self, session: &Session) -> Result<PathBuf, Error> {
        Ok(ops::journal_dir(&self.state_dir, &session.caller_identity().await?))
    }

    async fn prepare(&self, kind: PlanKind, stack: &str) -> Result<Prepared, Failure> {
        let what = match kind {
            PlanKind::Provision => format!("plan stack '{stack}'"),
            PlanKind::Teardown => format!("plan the teardown of '{stack}'"),
            PlanKind::Repair => format!("go on with a repair of '{stack}'"),
        };
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::new(what.clone(), error_line(error));
        let session = self.session().await.map_err(|error| failed(&error))?;
        let mut change = self.change.lock().await;
        // Whatever it made is found again by its tags; one that has come to its end is put aside.
        if let Some(earlier) = change.take().filter(is_over) {
            earlier.close().map_err(|error| failed(&error))?;
        }
        // Read-only changes nothing, and so has nothing to go on with.
        let mut interrupted = false;
        if !self.target.read_only {
            let journals = self.journals(session).await.map_err(|error| failed(&error))?;
            interrupted = ops::is_unfinished(&journals, stack).map_err(|error| failed(&error))?;
            let resumed = Change::resume(session, &journals, stack, kind).map_err(|error| failed(&error))?;
            match resumed {
                // A process that ended after its last step: what exists now is what counts.
                Some(over) if is_over(&over) => over.close().map_err(|error| failed(&error))?,
                Some(resumed) => {
                    let prepared = prepared_from(&resumed, stack, kind);
                    *change = Some(resumed);
                    return Ok(prepared);
                }
                None => {}
            }
        }
        drop(change);
        if interrupted {
            // What that run did last may not be visible yet.
            tokio::time::sleep(session.lag()).await;
        }
        let network = ops::observe(session, None, None).await;
        let plan = match kind {
            PlanKind::Provision => {
                let spec = Spec { name: stack.to_owned(), ..self.spec.clone() };
                ops::plan_provision(session, &spec, &network).await
            }
            PlanKind::Teardown => ops::plan_teardown(stack, &network),
            PlanKind::Repair => {
                let reason = "none was begun; a repair is planned from what a diagnosis found";
                return Err(Failure::new(what, reason.to_owned()));
            }
        };
        let plan = plan.map_err(|error: PlanningError| failed(&error))?;
        let outputs = plan.outputs();
        Ok(prepared(plan, outputs, Vec::new()))
    }

    /// Holds the stack for `plan`: goes on with what was begun, or begins.
    async fn begin(&self, change: &mut Option<Change>, plan: &Plan) -> Result<(), Failure> {
        let what = format!("run stack '{}'", plan.stack);
        if change.is_none() {
            let session = self.session().await.map_err(|error| Failure::new(what.clone(), error.to_string()))?;
            let denied =
                ops::preflight(session, plan).await.map_err(|error| Failure::new(what.clone(), error.to_string()))?;
            if let Some(first) = denied.first() {
                let more = match denied.len() {
                    1 => String::new(),
                    count => format!(" and {} more", count - 1),
                };
                let reason = format!("nothing was begun, because AWS would refuse '{}'{more}", first.title);
                let next_move = format!("ask for {}; natdeck iam-policy prints all that natdeck needs", first.action);
                return Err(Failure::new(what, reason).with_next_move(next_move));
            }
            let journals =
                self.journals(session).await.map_err(|error| Failure::new(what.clone(), error.to_string()))?;
            let begun = match plan.kind {
                PlanKind::Repair => ops::begin_repair_plan(session, &journals, plan),
                PlanKind::Provision | PlanKind::Teardown => Change::begin(session, &journals, plan),
            };
            *change = Some(begun.map_err(|error: ChangeError| Failure::new(what, error_line(&error)))?);
        }
        let stop = change.as_ref().map(Change::stop);
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
        Ok(())
    }
}

fn no_drills() -> Failure {
    Failure::new("break egress", "only a sandbox is there to be broken").with_next_move("start natdeck --sandbox")
}

/// Whether nothing of it remains to be run or taken back.
fn is_over(change: &Change) -> bool {
    change.begun().is_empty() || change.steps().iter().all(|(_, state)| state.is_done())
}

/// Whether it carries out this plan.
fn is_of(change: &Change, plan: &Plan) -> bool {
    change.steps().into_iter().map(|(step, _)| step).eq(&plan.steps)
}

/// What would put each finding right.
pub(super) fn mends(diagnosis: &Diagnosis, network: &Network) -> Vec<Option<Mend>> {
    let mend = |finding| {
        let repair = plan::repair::repair(finding, network)?;
        Some(Mend { repair, stack: ops::stack_of(network, finding) })
    };
    diagnosis.findings.iter().map(mend).collect()
}

/// What the Steps pane shows of a plan.
pub(super) fn prepared(plan: Plan, outputs: Outputs, resumed: Vec<(String, NodeState)>) -> Prepared {
    let cost = plan::cost(&plan).map(|cost| cost_lines(&cost)).unwrap_or_default();
    Prepared { plan, outputs, cost, resumed }
}

/// The estimate in the Steps pane's words.
fn cost_lines(cost: &plan::Cost) -> Vec<String> {
    vec![
        format!("about ${:.2} a month, idle; the NAT itself ${:.2}", cost.per_month, cost.nat_per_month),
        format!("a NAT gateway: ${:.2} and ${} per GB", cost.nat_gateway_per_month, cost.nat_gateway_per_gb),
        format!("list prices of {}, {}", cost.region, cost.date),
    ]
}

/// The plan of a change that an earlier process began, and where its steps stand.
fn prepared_from(change: &Change, stack: &str, kind: PlanKind) -> Prepared {
    let steps = change.steps();
    let state_of = |id: &str| steps.iter().find(|(step, _)| step.id.as_str() == id).map(|(_, state)| state.clone());
    let begun = change.begun();
    let resumed = begun.into_iter().filter_map(|id| Some((id.to_owned(), state_of(id)?))).collect();
    let plan = Plan {
        stack: stack.to_owned(),
        kind,
        steps: steps.iter().map(|(step, _)| (*step).clone()).collect(),
        notes: vec!["An earlier run began this and did not end it: what is done stays done.".to_owned()],
        blockers: Vec::new(),
    };
    prepared(plan, change.outputs(), resumed)
}

/// How a run ended, in the console's words.
fn run_end(ended: Result<Ended, ChangeError>) -> RunEnd {
    match ended {
        Ok(Ended::Finished) => RunEnd::Finished,
        Ok(Ended::Paused { .. }) => RunEnd::Paused,
        Ok(Ended::Stopped) => RunEnd::Stopped,
        Ok(Ended::Undone) => RunEnd::Undone,
        Ok(Ended::PartlyUndone { id }) => RunEnd::PartlyUndone { id },
        Ok(Ended::Failed { failures }) => RunEnd::Failed(
            failures
                .into_iter()
                .map(|failure| {
                    let reason = failure.error.to_string();
                    (failure.id.clone(), Failure::new(failure.id, reason))
                })
                .collect(),
        ),
        Err(error) => RunEnd::Broken(Failure::new("run the steps", error_line(&error))),
    }
}

impl Backend for Workbench {
    fn identity(&self) -> Identity {
        if let Some(session) = self.session.get() {
            return session.identity();
        }
        let world = match (&self.target.sandbox, &self.target.endpoint_url) {
            (Some(_), _) => World::Sandbox,
            (None, Some(url)) => World::Endpoint(url.clone()),
            (None, None) => World::Aws,
        };
        Identity {
            world,
            region: self.target.region.clone().unwrap_or_default(),
            profile: self.target.profile.clone(),
            account_id: None,
            caller_arn: None,
            read_only: self.target.read_only,
        }
    }

    async fn caller_identity(&self) -> Result<Identity, Failure> {
        let failed = |error: Error| Failure::new("ask who we are", error.to_string());
        self.session().await.map_err(failed)?.caller_identity().await.map_err(failed)
    }

    async fn observe(&self) -> Result<Network, Failure> {
        let failed = |error: Error| Failure::new("look at the VPCs", error.to_string());
        let session = self.session().await.map_err(failed)?;
        Ok(ops::observe(session, None, None).await)
    }

    async fn walk(&self, network: Arc<Network>, instance_id: InstanceId, depth: WalkDepth) -> Result<Trace, Failure> {
        if depth == WalkDepth::AskHosts {
            let failed = |error: Error| Failure::new("ask the NAT host", error.to_string());
            let session = self.session().await.map_err(failed)?;
            let gathered = ops::gather_host_facts(session, &network, std::iter::once(&instance_id)).await;
            self.hosts.lock().unwrap_or_else(PoisonError::into_inner).extend(gathered);
        }
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(walk(&network, &*hosts, &Flow::https(instance_id, ops::OUTSIDE)))
    }

    async fn diagnose(
        &self,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    ) -> Result<Diagnosed, Failure> {
        let failed = |reason: String| Failure::new(format!("diagnose {instance_id}"), reason);
        ops::diagnosable(&network, &instance_id).map_err(failed)?;
        let question = Question::egress(instance_id.clone());
        let looked = match depth {
            WalkDepth::Known => {
                let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Looked { hosts, observations: Observations::default() }
            }
            WalkDepth::AskHosts => {
                let session = self.session().await.map_err(|error| failed(error.to_string()))?;
                let looked = ops::look(session, &network, &question).await;
                self.hosts.lock().unwrap_or_else(PoisonError::into_inner).extend(looked.hosts.clone());
                looked
            }
        };
        let diagnosis = reach::diagnose(&network, &looked.hosts, &question.flow, &looked.observations);
        let mends = mends(&diagnosis, &network);
        let Looked { hosts, observations } = looked;
        Ok(Diagnosed { instance_id, depth, diagnosis, mends, network, hosts, observations, at: Timestamp::now() })
    }

    async fn save_report(&self, story: Story, redact: bool) -> Result<String, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::new("keep the report", error_line(error));
        let session = self.session().await.map_err(|error| failed(&error))?;
        let identity = session.caller_identity().await.unwrap_or_else(|_| session.identity());
        report::save(story, identity, self.calls_after(0), redact).await.map_err(|error| failed(&error))
    }

    async fn drills(&self, instance_id: Option<InstanceId>) -> Result<Vec<Drill>, Failure> {
        self.drills.as_ref().ok_or_else(no_drills)?.list(instance_id).await
    }

    async fn break_egress(&self, causes: Vec<Cause>, instance_id: Option<InstanceId>) -> Result<Broken, Failure> {
        let ground = self.drills.as_ref().ok_or_else(no_drills)?;
        let mut causes = causes;
        fastrand::shuffle(&mut causes);
        let mut last = Failure::new("break egress", "nothing can be broken here");
        for cause in causes {
            match ground.break_egress(cause, instance_id.clone()).await {
                Ok(broken) => {
                    self.forget_hosts();
                    return Ok(broken);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn plan_provision(&self, _network: Option<Arc<Network>>) -> Result<Prepared, Failure> {
        self.prepare(PlanKind::Provision, &self.spec.name.clone()).await
    }

    async fn plan_teardown(&self, stack: Option<String>) -> Result<Prepared, Failure> {
        let stack = stack.unwrap_or_else(|| self.spec.name.clone());
        self.prepare(PlanKind::Teardown, &stack).await
    }

    async fn run(&self, plan: Arc<Plan>, mode: RunMode, events: EventSink<Event<Output>>) -> RunEnd {
        let mut slot = self.change.lock().await;
        // A repair is a change of its own. What it interrupts keeps its journal, and is gone on with when it is planned
        // again.
        if plan.kind == PlanKind::Repair
            && let Some(other) = slot.take_if(|change| is_over(change) || !is_of(change, &plan))
            && is_over(&other)
            && let Err(error) = other.close()
        {
            return RunEnd::Broken(Failure::new("end the change before", error_line(&error)));
        }
        if let Err(failure) = self.begin(&mut slot, &plan).await {
            return RunEnd::Broken(failure);
        }
        let Some(change) = slot.as_mut() else { return RunEnd::Stopped };
        let ended = change.run(mode, &mut |event| events.send(event)).await;
        self.forget_hosts();
        run_end(ended)
    }

    fn stop_run(&self) {
        if let Some(stop) = &*self.stop.lock().unwrap_or_else(PoisonError::into_inner) {
            stop.request();
        }
    }

    async fn undo_last(&self, plan: Arc<Plan>, events: EventSink<Event<Output>>) -> RunEnd {
        let mut slot = self.change.lock().await;
        let Some(change) = slot.as_mut() else {
            let failure = Failure::new("undo the last step", format!("nothing of stack '{}' was run here", plan.stack));
            return RunEnd::Broken(failure.with_next_move("ctrl-d plans the teardown of what exists"));
        };
        let ended = change.undo_last(&mut |event| events.send(event)).await;
        self.forget_hosts();
        run_end(ended)
    }

    async fn check(
        &self,
        network: Arc<Network>,
        instance_ids: Vec<InstanceId>,
        progress: EventSink<CheckProgress>,
    ) -> Result<(), Failure> {
        let what = "check the egress";
        let session = self.session().await.map_err(|error| Failure::new(what, error.to_string()))?;
        let chosen =
            ops::choose(&network, &instance_ids, None).map_err(|error| Failure::new(what, error.to_string()))?;
        ops::check(session, &network, &chosen, &mut |news| progress.send(news)).await;
        Ok(())
    }

    fn shell(&self, instance_id: &InstanceId) -> Result<(), Failure> {
        let ended = (self.shell)(instance_id);
        // Whoever was there may have changed anything.
        self.forget_hosts();
        ended
    }

    fn calls_after(&self, number: u64) -> Vec<ApiCall> {
        self.log.calls().iter().filter(|call| call.number > number).map(|call| (**call).clone()).collect()
    }
}
