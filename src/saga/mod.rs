//! Runs a list of steps so that a killed process loses nothing and leaves nothing behind.
//!
//! The engine knows neither AWS nor plans. It is given [`Node`]s and an [`Action`] that can check, apply and undo
//! one; it writes to a [`Journal`] before it acts and after each answer, runs what is independent at once, and goes on
//! from the journal after a crash. Dropping a running saga at any point is exactly like killing the process.

mod action;
mod event;
mod record;

pub use action::{Action, Node, Progress};
pub use event::{Event, Failure, NodeState, Outcome, RunMode};
pub use record::{Ending, Record};
