//! What a host's own commands print, read into the facts that the walk uses. Pure: this module runs nothing.
//!
//! [`GATHER`] is the script to run on the host, as root; [`parse_host`] reads what it prints. What natdeck does not
//! evaluate is kept as "not understood" where the model has a place for that, and is an error where it has none: it is
//! never left out.

mod gather;
mod health;
mod icmp;
mod ip;
mod iptables;
mod nft;
mod ports;

pub use gather::{GATHER, Gathered, parse_gathered, parse_host};
pub use health::{gather_script, parse_health};
pub use icmp::{icmp_of_iptables, icmp_of_nft};
pub use iptables::{base_chain, parse_iptables_save, parse_rule, split_words};
pub use nft::parse_nft;

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
