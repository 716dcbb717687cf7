//! Runs a list of steps so that a killed process loses nothing and leaves nothing behind.
//!
//! The engine knows neither AWS nor plans. It is given [`Node`]s and an [`Action`] that can check, apply and undo
//! one; it writes to a [`Journal`] before it acts and after each answer, runs what is independent at once, and goes on
//! from the journal after a crash. Dropping a running saga at any point is exactly like killing the process.

mod action;
mod engine;
mod error_line;
mod event;
mod journal;
mod record;
mod store;
pub mod testing;
#[cfg(test)]
mod tests;

pub use action::{Action, Node, Progress};
pub use engine::{Saga, SagaError, Stop};
pub use error_line::error_line;
pub use event::{Event, Failure, NodeState, Outcome, RunMode};
pub use journal::{IllegalRecord, Journal, JournalError, Log, MemoryLog};
pub use record::{Ending, Record};
pub use store::{Holder, Lock, Store, StoreError};
