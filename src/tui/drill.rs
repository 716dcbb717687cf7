//! Drills: breaking egress on purpose, to find and mend it. Only a sandbox can be broken; how that is done comes from
//! outside, since neither the console nor the use cases know the sandbox. Plain data and a trait.

use futures::future::BoxFuture;

use crate::model::InstanceId;
use crate::reach::Cause;

use super::message::Failure;

/// What can be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    pub cause: Cause,
    /// What breaking does, in a line.
    pub does: String,
}

/// What was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub cause: Cause,
    /// The private instance that the drill is about, where that is known.
    pub instance_id: Option<InstanceId>,
    /// What was done, in a sentence.
    pub said: String,
}

/// A world that can be broken.
pub trait DrillGround: Send + Sync {
    /// What can be broken in this world as it is, for an instance or for the first that fits.
    fn list(&self, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Vec<Drill>, Failure>>;

    /// Breaks it. A cause that cannot be had here leaves everything as it was.
    fn break_egress(&self, cause: Cause, instance_id: Option<InstanceId>) -> BoxFuture<'_, Result<Broken, Failure>>;
}
