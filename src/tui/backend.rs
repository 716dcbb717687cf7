//! What the console needs done, as a trait: the runtime calls it, `ops` implements it. Everything that waits for AWS
//! is behind it; the rest of the console never waits.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use crate::model::{ApiCall, Identity, InstanceId, Network};
use crate::plan::{Output, Plan};
use crate::reach::{Cause, CheckProgress, Trace};
use crate::saga::{Event, RunMode};

use super::diagnosis::{Diagnosed, Story};
use super::drill::{Broken, Drill};
use super::effect::WalkDepth;
use super::message::{Failure, Prepared, RunEnd};

/// Where a long operation says what happens. What is said after the console is gone is dropped. The operation counts
/// as ended only when it has returned *and* every clone of its sink is dropped.
#[derive(Debug, Clone)]
pub struct EventSink<T> {
    sender: UnboundedSender<T>,
}

impl<T> EventSink<T> {
    pub fn new(sender: UnboundedSender<T>) -> Self {
        Self { sender }
    }

    pub fn send(&self, event: T) {
        // The receiver is gone only when the console is.
        let _ = self.sender.send(event);
    }
}

/// What the console asks for. Calls may overlap, and a call that is no longer wanted is dropped in the middle: an
/// implementation must bear that. Deadlines are the implementation's.
pub trait Backend: Send + Sync + 'static {
    /// Who was asked for, without asking AWS: world, region, profile, read-only. Must return at once.
    fn identity(&self) -> Identity;

    /// The same with account and caller, as STS says.
    fn caller_identity(&self) -> impl Future<Output = Result<Identity, Failure>> + Send;

    /// A new snapshot. A part that failed is unknown in it; `Err` only when there is no snapshot at all.
    fn observe(&self) -> impl Future<Output = Result<Network, Failure>> + Send;

    /// The way of a packet from an instance to the internet and back. With [`WalkDepth::Known`] nothing is sent.
    fn walk(
        &self,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    ) -> impl Future<Output = Result<Trace, Failure>> + Send;

    /// Why an instance does not get out: every cause on the way, with repairs. With [`WalkDepth::Known`] nothing is
    /// sent.
    fn diagnose(
        &self,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    ) -> impl Future<Output = Result<Diagnosed, Failure>> + Send;

    /// Keeps an incident report in a new file where natdeck was started, and says which.
    fn save_report(&self, story: Story, redact: bool) -> impl Future<Output = Result<String, Failure>> + Send;

    /// What can be broken on purpose, for this instance or the first that fits. Only a sandbox can be.
    fn drills(&self, instance_id: Option<InstanceId>) -> impl Future<Output = Result<Vec<Drill>, Failure>> + Send;

    /// Breaks egress by one of `causes`, which one is left to chance.
    fn break_egress(
        &self,
        causes: Vec<Cause>,
        instance_id: Option<InstanceId>,
    ) -> impl Future<Output = Result<Broken, Failure>> + Send;

    /// The plan of the console's own spec. `network`: what is on the screen; the implementation may look again.
    fn plan_provision(&self, network: Option<Arc<Network>>) -> impl Future<Output = Result<Prepared, Failure>> + Send;

    /// The plan that removes a stack. `None`: the stack that the console was started for.
    fn plan_teardown(&self, stack: Option<String>) -> impl Future<Output = Result<Prepared, Failure>> + Send;

    /// Runs a plan, or goes on with it, as far as `mode` says. A repair's plan is new to the backend.
    fn run(
        &self,
        plan: Arc<Plan>,
        mode: RunMode,
        events: EventSink<Event<Output>>,
    ) -> impl Future<Output = RunEnd> + Send;

    /// Lets the step that runs end, and starts no other. Must return at once.
    fn stop_run(&self);

    /// Takes the step back that was begun last.
    fn undo_last(&self, plan: Arc<Plan>, events: EventSink<Event<Output>>) -> impl Future<Output = RunEnd> + Send;

    /// Checks the egress of these instances. Each answer goes to `progress` as it arrives.
    fn check(
        &self,
        network: Arc<Network>,
        instance_ids: Vec<InstanceId>,
        progress: EventSink<CheckProgress>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Opens a shell on an instance at the terminal, which is the backend's until this returns. Blocks the thread.
    fn shell(&self, instance_id: &InstanceId) -> Result<(), Failure>;

    /// The calls to AWS with a number above `number`, oldest first. Must return at once; it is asked often.
    fn calls_after(&self, number: u64) -> Vec<ApiCall>;
}
