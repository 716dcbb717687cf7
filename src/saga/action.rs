//! What the engine is given: nodes, and the one thing that can act on them.

use std::collections::BTreeMap;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

/// One step as the engine sees it: a name, an order and a load that it does not look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node<S, O> {
    /// Unique within the saga.
    pub id: String,
    /// Ids of the nodes that must have succeeded first.
    pub waits_for: Vec<String>,
    pub step: S,
    /// What exists already: the node counts as done, is never applied and never undone.
    pub given: Option<O>,
}

/// Where an action says what it is waiting for. Cheap to clone; what is said after the saga is gone is dropped.
#[derive(Debug, Clone)]
pub struct Progress {
    id: String,
    sender: Option<UnboundedSender<(String, String)>>,
}

impl Progress {
    pub(super) fn new(id: String, sender: UnboundedSender<(String, String)>) -> Self {
        Self { id, sender: Some(sender) }
    }

    /// Nobody listens: for calls outside of a saga.
    pub fn silent() -> Self {
        Self { id: String::new(), sender: None }
    }

    /// The node that this is about. Empty outside of a saga.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// One short line for the operator: `instance is pending`. Becomes an [`Event::Progress`](super::Event).
    pub fn say(&self, text: impl Into<String>) {
        if let Some(sender) = &self.sender {
            // The receiver is gone only when the saga was dropped: then nobody is left to tell.
            let _ = sender.send((self.id.clone(), text.into()));
        }
    }
}

/// Acts on steps. Every method may be called again for the same step after a crash.
///
/// Outputs are those of all nodes that are done, by node id.
pub trait Action: Send + Sync + 'static {
    /// What a node carries. Journalled, so that a later process runs exactly the same.
    type Step: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// What a step leaves behind. Journalled.
    type Output: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    type Error: std::error::Error + Send + Sync + 'static;

    /// Is it so already? `Some`: what exists. Asked when an earlier `apply` was started and its end is not known, with
    /// the `token` that it was given. Must wait out eventual consistency itself: `None` means "certainly not there".
    fn check(
        &self,
        step: &Self::Step,
        outputs: &BTreeMap<String, Self::Output>,
        token: &str,
    ) -> impl Future<Output = Result<Option<Self::Output>, Self::Error>> + Send;

    /// Makes it so and waits until it is. `token` identifies this effect: the same after a crash or a failure, another
    /// one after an undo. 32 hexadecimal digits, so it serves as AWS's client token.
    fn apply(
        &self,
        step: &Self::Step,
        outputs: &BTreeMap<String, Self::Output>,
        token: &str,
        progress: &Progress,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;

    /// Takes it back and waits until it is gone. What is gone already counts as taken back.
    fn undo(
        &self,
        step: &Self::Step,
        output: &Self::Output,
        outputs: &BTreeMap<String, Self::Output>,
        progress: &Progress,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
