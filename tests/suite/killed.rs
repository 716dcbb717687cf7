//! Killed at every step, nothing lost; failed at every step, nothing left behind; repeated at every step, nothing
//! twice. Over all steps of provisioning and of teardown, in both topologies, on the sandbox through the real SDK.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::OnceLock;

use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::{InstanceState, Network};
use natdeck::ops::{self, AwsAction};
use natdeck::plan::{Plan, Spec, Topology};
use natdeck::saga::RunMode;
use natdeck::saga::testing::{self, Disproof, Trial, TrialNode};
use natdeck::sandbox::world::{Delays, World};
use natdeck::sandbox::{Options, Sandbox, Scenario};
use regex::Regex;

/// Which plan is tried, from which world.
trait Case: Send + Sync + 'static {
    const SCENARIO: Scenario;
    const TOPOLOGY: Topology;
    /// Whether the NAT is built first and the teardown is what is tried.
    const TEARDOWN: bool;
    /// The world to begin with, made once.
    fn world() -> &'static OnceLock<World>;
}

macro_rules! cases {
    ($($name:ident: $scenario:expr, $topology:expr, $teardown:expr;)+) => {$(
        struct $name;
        impl Case for $name {
            const SCENARIO: Scenario = $scenario;
            const TOPOLOGY: Topology = $topology;
            const TEARDOWN: bool = $teardown;
            fn world() -> &'static OnceLock<World> {
                static WORLD: OnceLock<World> = OnceLock::new();
                &WORLD
            }
        }
    )+};
}

cases! {
    BuildTwo: Scenario::Empty, Topology::SecondInterface, false;
    BuildOne: Scenario::Empty, Topology::SingleInterface, false;
    RemoveTwo: Scenario::Empty, Topology::SecondInterface, true;
    RemoveOne: Scenario::Empty, Topology::SingleInterface, true;
    DraftTwo: Scenario::Draft, Topology::SecondInterface, false;
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

async fn connect(sandbox: &Sandbox) -> Session {
    let target = Target { sandbox: Some(sandbox.http_client()), ..Target::default() };
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
        let session = connect(&sandbox).await;
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

    async fn fresh() -> Self {
        let world = match C::world().get() {
            Some(world) => world.clone(),
            None => {
                let world = beginning::<C>().await;
                C::world().get_or_init(|| world).clone()
            }
        };
        let sandbox = Sandbox::open(Options { scenario: Some(Scenario::Empty), ..Options::default() }).unwrap();
        sandbox.with_world(|empty| *empty = world).unwrap();
        let session = connect(&sandbox).await;
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

    async fn snapshot(&self) -> Vec<String> {
        self.sandbox
            .with_world(|world| {
                let mut lines = lines(&world.network);
                lines.extend(world.iam.roles.keys().map(|name| format!("role {name}")));
                lines.extend(world.iam.profiles.keys().map(|name| format!("instance profile {name}")));
                lines.sort();
                lines
            })
            .unwrap()
    }
}

/// The world, a line a resource, with identifiers, addresses and times replaced by what stays the same from run to run.
fn lines(network: &Network) -> Vec<String> {
    let fields = "mac_address|private_ip|public_ip|launch_time|attachment_id|association_id|state_reason";
    let volatile = Regex::new(&format!(r#""({fields})":("[^"]*"|null)"#)).unwrap();
    let unlabelled = Regex::new(r"\b(sgr|rtbassoc|aclassoc|eni-attach|eipassoc)-[0-9a-f]+").unwrap();
    let labels: BTreeMap<String, String> = network
        .resources()
        .map(|resource| {
            let id = resource.id().to_owned();
            let kind = id.split('-').next().unwrap_or_default().to_owned();
            let tags = resource.tags();
            let name = tags.step().or_else(|| tags.name()).unwrap_or("unnamed").to_owned();
            (id, format!("<{kind} {name}>"))
        })
        .collect();
    let gone: Vec<&str> = network
        .instances
        .shown()
        .values()
        .filter(|instance| instance.state == InstanceState::Terminated)
        .map(|instance| instance.instance_id.as_str())
        .collect();
    network
        .resources()
        .filter(|resource| !gone.contains(&resource.id()))
        .map(|resource| {
            let mut line = json_of(resource);
            for (id, label) in &labels {
                line = line.replace(id, label);
            }
            let line = unlabelled.replace_all(&line, "<$1>").into_owned();
            volatile.replace_all(&line, "_").into_owned()
        })
        .collect()
}

fn json_of(resource: natdeck::model::Resource<'_>) -> String {
    use natdeck::model::Resource as R;
    match resource {
        R::Vpc(r) => serde_json::to_string(r),
        R::Subnet(r) => serde_json::to_string(r),
        R::RouteTable(r) => serde_json::to_string(r),
        R::InternetGateway(r) => serde_json::to_string(r),
        R::EgressOnlyInternetGateway(r) => serde_json::to_string(r),
        R::NatGateway(r) => serde_json::to_string(r),
        R::NetworkInterface(r) => serde_json::to_string(r),
        R::Instance(r) => serde_json::to_string(r),
        R::SecurityGroup(r) => serde_json::to_string(r),
        R::NetworkAcl(r) => serde_json::to_string(r),
        R::Address(r) => serde_json::to_string(r),
        R::VpcEndpoint(r) => serde_json::to_string(r),
        R::InstanceProfile(r) => serde_json::to_string(r),
    }
    .unwrap()
}

/// A proof, and how many cases it must at least have gone through.
fn proven(proof: Result<usize, Disproof>, at_least: usize) {
    match proof {
        Ok(cases) => assert!(cases >= at_least, "only {cases} cases"),
        Err(disproof) => panic!("{disproof}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provisioning_survives_a_kill_at_every_step_with_two_interfaces() {
    proven(testing::finished_after_every_kill::<OnSandbox<BuildTwo>>().await, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provisioning_survives_a_kill_at_every_step_with_one_interface() {
    proven(testing::finished_after_every_kill::<OnSandbox<BuildOne>>().await, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teardown_survives_a_kill_at_every_step_with_two_interfaces() {
    proven(testing::finished_after_every_kill::<OnSandbox<RemoveTwo>>().await, 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teardown_survives_a_kill_at_every_step_with_one_interface() {
    proven(testing::finished_after_every_kill::<OnSandbox<RemoveOne>>().await, 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_failing_in_turn_undo_leaves_the_world_as_it_was_with_two_interfaces() {
    proven(testing::clean_after_every_failure::<OnSandbox<BuildTwo>>().await, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_failing_in_turn_undo_leaves_the_world_as_it_was_with_one_interface() {
    proven(testing::clean_after_every_failure::<OnSandbox<BuildOne>>().await, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_failing_in_turn_undo_leaves_the_draft_as_it_was() {
    proven(testing::clean_after_every_failure::<OnSandbox<DraftTwo>>().await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_applying_or_undoing_the_draft_is_as_it_was_after_an_undo() {
    proven(testing::clean_after_every_kill::<OnSandbox<DraftTwo>>().await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_done_twice_makes_anything_twice() {
    proven(testing::same_after_every_repetition::<OnSandbox<DraftTwo>>().await, 10);
}
