//! The only place that names the AWS SDK.
//!
//! - [`session`]: where natdeck is pointed, and the clients; [`guard`] and [`call_log`] are attached to each there.
//! - [`observe`]: `observe(&Session, &Scope, earlier: Option<&Network>) -> Network`.
//! - [`inputs`]: images, zones, and whether what was named exists.
//! - [`act`]: `check`, `apply`, `undo` and `dry_run` of one step of a plan.
//! - [`run_command`]: a script on instances through SSM.
//! - [`policy`]: the least policy for all of this.
//! - [`error`]: what went wrong, told apart by AWS's codes.

pub mod act;
pub mod call_log;
mod cli_line;
pub mod error;
pub mod guard;
pub mod inputs;
pub mod observe;
pub mod policy;
mod poll;
mod retry;
pub mod run_command;
pub mod session;

pub use act::{DryRun, apply, check, dry_run, undo};
pub use call_log::CallLog;
pub use error::{Error, Kind};
pub use observe::{Scope, observe};
pub use policy::iam_policy;
pub use run_command::{CommandResult, RunOptions, run_command};
pub use session::{Session, Target};

#[cfg(test)]
mod tests;
