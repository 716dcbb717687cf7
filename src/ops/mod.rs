//! The use cases, shared by the command line and the console: observe, plan, change, check.
//!
//! Everything here works through [`crate::aws`]; nothing knows whether AWS or the sandbox answers.

mod action;
mod ask;
mod audit;
mod change;
mod check;
mod diagnose;
mod host_facts;
mod observe;
mod plan;
mod preflight;
mod repair;
pub mod report;
mod watch;

pub use action::{AwsAction, StepError};
pub use audit::{AuditProgress, AuditReport, AuditRow, Tests, audit, explain};
pub use change::{Change, ChangeError, Ended, is_unfinished, journal_dir, nodes};
pub use check::{CheckReport, ChooseError, Chosen, FIRST, OUTSIDE, Overall, check, choose};
pub use diagnose::{Looked, Question, diagnosable, diagnose, look};
pub use host_facts::gather as gather_host_facts;
pub use observe::observe;
pub use plan::{PlanningError, plan_provision, plan_teardown};
pub use preflight::{Denied, preflight};
pub use repair::{begin_repair, begin_repair_plan, stack_of};
pub use watch::{WatchRound, watch_round};
