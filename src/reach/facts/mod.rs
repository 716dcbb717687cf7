//! What a host's own commands print, read into the facts that the walk uses. Pure: this module prints no command and
//! runs none.

mod iptables;

pub use iptables::{base_chain, parse_iptables_save, parse_rule, split_words};

/// Output of a command on a host that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output of {command} cannot be read: {reason}")]
pub struct FactsError {
    /// The command whose output it is.
    pub command: String,
    /// What is wrong with it, and where.
    pub reason: String,
}

impl FactsError {
    pub(crate) fn new(command: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { command: command.into(), reason: reason.into() }
    }
}
