//! Documents on standard output: text for people, JSON for scripts. Pure: values in, text out.

mod audit;
mod check;
mod diagnose;
mod paint;
mod plan;
mod tree_json;
mod tree_text;
mod watch;

pub use crate::plan::answer::{Row, diagnose_json};
pub use audit::{audit_json, audit_text};
pub use check::{check_json, check_row, check_text};
pub use diagnose::diagnose_text;
pub use paint::Paint;
pub use plan::{plan_json, plan_text};
pub use tree_json::document as tree_json;
pub use tree_text::render as tree_text;
pub use watch::{begun_line, note_line, status_line, turn_line, watch_json};
