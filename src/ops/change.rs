//! A plan being carried out: locked, journalled, resumable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::action::{AwsAction, StepError};
use crate::aws::Session;
use crate::model::Identity;
use crate::plan::{Output, Plan, PlanKind, Step};
use crate::saga::{Action, Event, Lock, Node, NodeState, Outcome, RunMode, Saga, SagaError, Stop, Store, StoreError};

/// Why a change cannot be begun or carried on. A step that fails is not an error but an [`Ended`].
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Saga(#[from] SagaError),
}

/// How a run ended.
pub type Ended = Outcome<StepError>;

/// A stack that this process holds, and the saga that changes it.
pub struct Change<A: Action<Step = Step, Output = Output> = AwsAction> {
    saga: Saga<A>,
    _lock: Lock,
}

/// Where the journals of one world, account and region are, below `state_dir`: a stack of the same name elsewhere is
/// another stack.
pub fn journal_dir(state_dir: &Path, identity: &Identity) -> PathBuf {
    let world = identity.world.to_string();
    let world: String = world.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let account = identity.account_id.as_deref().unwrap_or("no-account");
    state_dir.join(world).join(format!("{account}-{}", identity.region))
}

/// The plan as the engine sees it. What is done already is given, and never taken back.
pub fn nodes(plan: &Plan) -> Vec<Node<Step, Output>> {
    plan.steps
        .iter()
        .map(|step| Node {
            id: step.id.as_str().to_owned(),
            waits_for: step.waits_for.iter().map(|id| id.as_str().to_owned()).collect(),
            given: step.is_done().then(|| step.output.clone().unwrap_or(Output::None)),
            step: step.clone(),
        })
        .collect()
}

/// Whether a change of this stack was begun and neither ended nor given up: what it did last may not be visible yet.
/// Fails when another process holds the stack.
pub fn is_unfinished(journals: &Path, stack: &str) -> Result<bool, ChangeError> {
    let lock = Store::new(journals).lock(stack)?;
    for kind in [PlanKind::Provision, PlanKind::Teardown] {
        if lock.journal::<Step, Output>(kind.as_str())?.is_begun() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Change<AwsAction> {
    /// Goes on with an unfinished change of this stack and kind. `None`: there is none.
    ///
    /// An unfinished change of the other kind is given up: what it made carries its tags and is found again.
    pub fn resume(
        session: &Session,
        journals: &Path,
        stack: &str,
        kind: PlanKind,
    ) -> Result<Option<Self>, ChangeError> {
        Self::resume_with(AwsAction::new(session.clone()), journals, stack, kind)
    }

    /// Begins `plan`. Fails when another process holds the stack, or when an unfinished change should be resumed.
    pub fn begin(session: &Session, journals: &Path, plan: &Plan) -> Result<Self, ChangeError> {
        Self::begin_with(AwsAction::new(session.clone()), journals, plan)
    }
}

impl<A: Action<Step = Step, Output = Output>> Change<A> {
    /// As [`Change::resume`], with an action of one's own.
    pub fn resume_with(action: A, journals: &Path, stack: &str, kind: PlanKind) -> Result<Option<Self>, ChangeError> {
        let lock = Store::new(journals).lock(stack)?;
        let action = Arc::new(action);
        for other in [PlanKind::Provision, PlanKind::Teardown].into_iter().filter(|other| *other != kind) {
            let journal = lock.journal(other.as_str())?;
            if journal.is_begun() && kind != PlanKind::Repair {
                Saga::resume(action.clone(), journal)?.abandon()?;
            }
        }
        let journal = lock.journal(kind.as_str())?;
        if !journal.is_begun() {
            return Ok(None);
        }
        let saga = Saga::resume(action, journal)?;
        Ok(Some(Self { saga, _lock: lock }))
    }

    /// As [`Change::begin`], with an action of one's own.
    pub fn begin_with(action: A, journals: &Path, plan: &Plan) -> Result<Self, ChangeError> {
        let lock = Store::new(journals).lock(&plan.stack)?;
        let journal = lock.journal(plan.kind.as_str())?;
        let name = format!("{}-{}", plan.stack, plan.kind.as_str());
        let saga = Saga::new(&name, nodes(plan), Arc::new(action), journal)?;
        Ok(Self { saga, _lock: lock })
    }

    /// The steps, in their order, and where each stands.
    pub fn steps(&self) -> Vec<(&Step, NodeState)> {
        let states = self.saga.states();
        self.saga.nodes().iter().zip(states).map(|(node, (_, state))| (&node.step, state.clone())).collect()
    }

    /// The steps that an undo could take back, in the order in which they were begun.
    pub fn begun(&self) -> Vec<&str> {
        self.saga.begun()
    }

    /// What exists by now, by step.
    pub fn outputs(&self) -> std::collections::BTreeMap<String, Output> {
        self.saga.outputs()
    }

    /// A handle that stops a run after the steps that are under way.
    pub fn stop(&self) -> Stop {
        self.saga.stop()
    }

    pub async fn run(
        &mut self,
        mode: RunMode,
        on_event: &mut (dyn FnMut(Event<Output>) + Send),
    ) -> Result<Outcome<A::Error>, ChangeError> {
        Ok(self.saga.run(mode, on_event).await?)
    }

    pub async fn undo_last(
        &mut self,
        on_event: &mut (dyn FnMut(Event<Output>) + Send),
    ) -> Result<Outcome<A::Error>, ChangeError> {
        Ok(self.saga.undo_last(on_event).await?)
    }

    pub async fn undo_all(
        &mut self,
        on_event: &mut (dyn FnMut(Event<Output>) + Send),
    ) -> Result<Outcome<A::Error>, ChangeError> {
        Ok(self.saga.undo_all(on_event).await?)
    }

    /// Ends it when every step is done or every step is taken back, and puts the journal aside.
    pub fn close(self) -> Result<(), ChangeError> {
        self.saga.close()?;
        Ok(())
    }

    /// Gives it up where it stands. What was made stays, and is found again by its tags.
    pub fn abandon(self) -> Result<(), ChangeError> {
        self.saga.abandon()?;
        Ok(())
    }
}
