//! Killed at every step, nothing lost; failed at every step, nothing left behind; repeated at every step, nothing
//! twice. Over all steps of provisioning and of teardown, in both topologies, on the sandbox through the real SDK.

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::Duration;

use natdeck::aws::{CallLog, Session, Target};
use natdeck::ops::{self, AwsAction};
use natdeck::plan::{Plan, Spec, Topology};
use natdeck::saga::RunMode;
use natdeck::saga::testing::{self, Disproof, Trial, TrialNode};
use natdeck::sandbox::world::{Delays, World};
use natdeck::sandbox::{Options, Sandbox, Scenario};

use super::world::lines;

/// Which plan is tried, from which world.
trait Case: Send + Sync + 'static {
    const SCENARIO: Scenario;
    const TOPOLOGY: Topology;
    /// Whether the NAT is built first and the teardown is what is tried.
    const TEARDOWN: bool;
    /// For how long describes do not show a change.
    const CONSISTENCY: Duration;
    /// The world to begin with, made once.
    fn world() -> &'static OnceLock<World>;
}

macro_rules! cases {
    ($($name:ident: $scenario:expr, $topology:expr, $teardown:expr, $consistency:expr;)+) => {$(
        struct $name;
        impl Case for $name {
            const SCENARIO: Scenario = $scenario;
            const TOPOLOGY: Topology = $topology;
            const TEARDOWN: bool = $teardown;
            const CONSISTENCY: Duration = $consistency;
            fn world() -> &'static OnceLock<World> {
                static WORLD: OnceLock<World> = OnceLock::new();
                &WORLD
            }
        }
    )+};
}

/// Long enough that every step meets it, short enough for a hundred runs.
const LATE: Duration = Duration::from_millis(200);

cases! {
    BuildTwo: Scenario::Empty, Topology::SecondInterface, false, Duration::ZERO;
    BuildOne: Scenario::Empty, Topology::SingleInterface, false, Duration::ZERO;
    RemoveTwo: Scenario::Empty, Topology::SecondInterface, true, Duration::ZERO;
    RemoveOne: Scenario::Empty, Topology::SingleInterface, true, Duration::ZERO;
    DraftTwo: Scenario::Draft, Topology::SecondInterface, false, Duration::ZERO;
    BuildLate: Scenario::Empty, Topology::SecondInterface, false, LATE;
    RemoveLate: Scenario::Empty, Topology::SecondInterface, true, LATE;
    DraftLate: Scenario::Draft, Topology::SingleInterface, false, LATE;
}

struct OnSandbox<C> {
    sandbox: Sandbox,
    session: Session,
    plan: Plan,
    case: PhantomData<C>,
}

fn spec(topology: Topology) -> Spec {
    Spec { topology, elastic_ip: true, ..Spec::default() }
}

async fn connect(sandbox: &Sandbox, consistency: Duration) -> Session {
    let lag = Some(consistency * 2);
    let target = Target { sandbox: Some(sandbox.http_client()), lag, ..Target::default() };
    Session::connect(target, CallLog::new()).await.unwrap()
}

/// The world to begin with: the scenario, and for a teardown the finished NAT in it.
async fn beginning<C: Case>() -> World {
    let sandbox = Sandbox::open(Options { scenario: Some(C::SCENARIO), ..Options::default() }).unwrap();
    sandbox
        .with_world(|world| {
            world.delays = Delays::instant();
            world.ssm.time_scale = 0.0;
        })
        .unwrap();
    if C::TEARDOWN {
        let session = connect(&sandbox, Duration::ZERO).await;
        let network = ops::observe(&session, None, None).await;
        let plan = ops::plan_provision(&session, &spec(C::TOPOLOGY), &network).await.unwrap();
        let state = tempfile::tempdir().unwrap();
        let mut change = ops::Change::begin(&session, state.path(), &plan).unwrap();
        let ended = change.run(RunMode::All, &mut |_| {}).await.unwrap();
        assert!(matches!(ended, ops::Ended::Finished), "{ended:?}");
    }
    sandbox.with_world(|world| world.clone()).unwrap()
}

impl<C: Case> Trial for OnSandbox<C> {
    type Action = AwsAction;
    type Snapshot = Vec<String>;
    const AT_ONCE: usize = if C::CONSISTENCY.is_zero() { 4 } else { 24 };

    async fn fresh() -> Self {
        let world = match C::world().get() {
            Some(world) => world.clone(),
            None => {
                let world = Box::pin(beginning::<C>()).await;
                C::world().get_or_init(|| world).clone()
            }
        };
        let sandbox = Sandbox::open(Options { scenario: Some(Scenario::Empty), ..Options::default() }).unwrap();
        sandbox
            .with_world(|empty| {
                *empty = world;
                empty.consistency = C::CONSISTENCY;
            })
            .unwrap();
        let session = connect(&sandbox, C::CONSISTENCY).await;
        let network = ops::observe(&session, None, None).await;
        let plan = if C::TEARDOWN {
            ops::plan_teardown("natdeck", &network).unwrap()
        } else {
            ops::plan_provision(&session, &spec(C::TOPOLOGY), &network).await.unwrap()
        };
        Self { sandbox, session, plan, case: PhantomData }
    }

    fn action(&self) -> AwsAction {
        AwsAction::new(self.session.clone())
    }

    fn nodes(&self) -> Vec<TrialNode<Self>> {
        ops::nodes(&self.plan)
    }

    /// As `natdeck destroy` does: looks until nothing more is seen.
    async fn remove(&self) -> Result<(), String> {
        for _ in 0..4 {
            tokio::time::sleep(self.session.lag()).await;
            let network = ops::observe(&self.session, None, None).await;
            let plan = ops::plan_teardown("natdeck", &network).map_err(|error| error.to_string())?;
            if plan.is_empty() {
                return Ok(());
            }
            let state = tempfile::tempdir().unwrap();
            let mut change = ops::Change::begin(&self.session, state.path(), &plan).unwrap();
            match change.run(RunMode::All, &mut |_| {}).await.unwrap() {
                ops::Ended::Finished => {}
                ended => return Err(format!("{ended:?}")),
            }
        }
        Err("it keeps coming back".to_owned())
    }

    async fn snapshot(&self) -> Vec<String> {
        self.sandbox.with_world(|world| lines(world)).unwrap()
    }
}

/// A proof, and how many cases it must at least have gone through.
async fn proven(proof: impl Future<Output = Result<usize, Disproof>>, at_least: usize) {
    match proof.await {
        Ok(cases) => assert!(cases >= at_least, "only {cases} cases"),
        Err(disproof) => panic!("{disproof}"),
    }
}

macro_rules! proofs {
    ($($claim:ident: $proof:ident, $case:ident, $at_least:literal;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $claim() {
            Box::pin(proven(testing::$proof::<OnSandbox<$case>>(), $at_least)).await;
        }
    )+};
}

proofs! {
    provisioning_survives_a_kill_at_every_step_with_two_interfaces: finished_after_every_kill, BuildTwo, 120;
    provisioning_survives_a_kill_at_every_step_with_one_interface: finished_after_every_kill, BuildOne, 120;
    teardown_survives_a_kill_at_every_step_with_two_interfaces: finished_after_every_kill, RemoveTwo, 80;
    teardown_survives_a_kill_at_every_step_with_one_interface: finished_after_every_kill, RemoveOne, 80;
    each_step_failing_in_turn_undo_leaves_the_world_as_it_was_with_two_interfaces:
        clean_after_every_failure, BuildTwo, 120;
    each_step_failing_in_turn_undo_leaves_the_world_as_it_was_with_one_interface:
        clean_after_every_failure, BuildOne, 120;
    each_step_failing_in_turn_undo_leaves_the_draft_as_it_was: clean_after_every_failure, DraftTwo, 20;
    each_step_failing_in_turn_the_same_run_again_ends_as_ever: finished_after_every_failure, DraftTwo, 20;
    each_step_of_a_teardown_failing_in_turn_the_same_run_again_leaves_nothing:
        finished_after_every_failure, RemoveTwo, 80;
    killed_while_applying_or_undoing_the_draft_is_as_it_was_after_an_undo: clean_after_every_kill, DraftTwo, 40;
    killed_at_every_step_a_teardown_finds_all_that_was_made: removed_after_every_kill, BuildTwo, 120;
    killed_at_every_step_a_teardown_finds_all_that_was_made_in_the_draft: removed_after_every_kill, DraftTwo, 20;
    killed_at_every_step_while_describes_are_late_a_teardown_finds_all: removed_after_every_kill, DraftLate, 20;
    no_step_done_twice_makes_anything_twice: same_after_every_repetition, BuildTwo, 60;
    provisioning_survives_a_kill_at_every_step_while_describes_are_late: finished_after_every_kill, BuildLate, 120;
    teardown_survives_a_kill_at_every_step_while_describes_are_late: finished_after_every_kill, RemoveLate, 80;
    killed_while_applying_or_undoing_and_describes_are_late_the_draft_is_as_it_was:
        clean_after_every_kill, DraftLate, 40;
}
