//! The console's backend on an incident report: answers from the file what [`super::Workbench`] asks of AWS, and says of
//! everything else that a snapshot only looks back.

use std::sync::Arc;

use super::super::backend::{Backend, EventSink};
use super::super::diagnosis::{Diagnosed, Story};
use super::super::drill::{Broken, Drill};
use super::super::effect::WalkDepth;
use super::super::message::{Failure, Prepared, RunEnd};
use super::workbench::{mends, prepared, report};
use crate::model::{ApiCall, Identity, InstanceId, Network};
use crate::ops::report::Incident;
use crate::ops::{self, Looked, Question};
use crate::plan::{Output, Plan};
use crate::reach::{Cause, CheckProgress, Flow, Trace, walk};
use crate::saga::{Event, RunMode, error_line};

/// A report that is looked at.
pub struct Record {
    incident: Incident,
    /// Whose teardown is planned when none is named.
    stack: String,
}

impl Record {
    pub fn new(incident: Incident, stack: String) -> Self {
        Self { incident, stack }
    }

    /// What is asked of an instance: the question of the report where it was asked then.
    fn question(&self, instance_id: &InstanceId) -> Question {
        let asked = &self.incident.question;
        if asked.flow.instance_id == *instance_id { asked.clone() } else { Question::egress(instance_id.clone()) }
    }
}

fn looks_back(what: &str) -> Failure {
    Failure::new(what, "this is a snapshot, and a snapshot only looks back")
        .with_next_move("natdeck without --snapshot asks AWS itself")
}

impl Backend for Record {
    fn identity(&self) -> Identity {
        self.incident.identity.clone()
    }

    async fn caller_identity(&self) -> Result<Identity, Failure> {
        Ok(self.identity())
    }

    async fn observe(&self) -> Result<Network, Failure> {
        Ok(self.incident.network.clone())
    }

    async fn walk(&self, network: Arc<Network>, instance_id: InstanceId, _depth: WalkDepth) -> Result<Trace, Failure> {
        Ok(walk(&network, &self.incident.looked.hosts, &Flow::https(instance_id, ops::OUTSIDE)))
    }

    async fn diagnose(
        &self,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    ) -> Result<Diagnosed, Failure> {
        ops::diagnosable(&network, &instance_id)
            .map_err(|reason| Failure::new(format!("diagnose {instance_id}"), reason))?;
        let (diagnosis, Looked { hosts, observations }) = self.incident.ask(&self.question(&instance_id));
        let mends = mends(&diagnosis, &network);
        let at = self.incident.at;
        Ok(Diagnosed { instance_id, depth, diagnosis, mends, network, hosts, observations, at })
    }

    /// What the report holds already: for a redacted one, or one of another instance.
    async fn save_report(&self, story: Story, redact: bool) -> Result<String, Failure> {
        let incident = self.incident.about(self.question(&story.first.instance_id));
        report::keep(incident, redact).await.map_err(|error| Failure::new("keep the report", error_line(&error)))
    }

    async fn drills(&self, _instance_id: Option<InstanceId>) -> Result<Vec<Drill>, Failure> {
        Err(looks_back("break egress"))
    }

    async fn break_egress(&self, _causes: Vec<Cause>, _instance_id: Option<InstanceId>) -> Result<Broken, Failure> {
        Err(looks_back("break egress"))
    }

    async fn plan_provision(&self, _network: Option<Arc<Network>>) -> Result<Prepared, Failure> {
        Err(looks_back("plan the NAT"))
    }

    async fn plan_teardown(&self, stack: Option<String>) -> Result<Prepared, Failure> {
        let stack = stack.unwrap_or_else(|| self.stack.clone());
        let plan = ops::plan_teardown(&stack, &self.incident.network)
            .map_err(|error| Failure::new(format!("plan the teardown of '{stack}'"), error.to_string()))?;
        let outputs = plan.outputs();
        Ok(prepared(plan, outputs, Vec::new()))
    }

    async fn run(&self, plan: Arc<Plan>, _mode: RunMode, _events: EventSink<Event<Output>>) -> RunEnd {
        RunEnd::Broken(looks_back(&format!("run stack '{}'", plan.stack)))
    }

    fn stop_run(&self) {}

    async fn undo_last(&self, _plan: Arc<Plan>, _events: EventSink<Event<Output>>) -> RunEnd {
        RunEnd::Broken(looks_back("undo the last step"))
    }

    async fn check(
        &self,
        _network: Arc<Network>,
        _instance_ids: Vec<InstanceId>,
        _progress: EventSink<CheckProgress>,
    ) -> Result<(), Failure> {
        Err(looks_back("check the egress").with_next_move("x says what the snapshot knows of an instance"))
    }

    fn shell(&self, instance_id: &InstanceId) -> Result<(), Failure> {
        Err(looks_back(&format!("open a shell on {instance_id}")))
    }

    fn calls_after(&self, number: u64) -> Vec<ApiCall> {
        self.incident.calls.iter().filter(|call| call.number > number).cloned().collect()
    }
}
