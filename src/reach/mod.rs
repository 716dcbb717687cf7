//! The packet walk: one packet and its reply through a snapshot of the VPC and the hosts in it, hop by hop. Pure.
//!
//! [`walk`] says where and why a [`Flow`] ends; the sandbox uses it to decide what `curl` gets, diagnosis to explain
//! a real VPC, and the console draws the [`Trace`]. What is not known ends in
//! [`Disposition::InsufficientInformation`], never in delivered. [`diagnose`] walks on past what stops the packet and
//! names every [`Cause`] on the way.

pub mod audit;
mod candidate;
mod cause;
mod code;
mod diagnose;
mod egress;
pub mod facts;
mod filter;
mod finding;
mod flow;
pub mod history;
mod host;
mod mend;
mod nat64;
mod observations;
mod passed_by;
mod routing;
#[cfg(test)]
mod tests;
mod trace;
mod walk;
mod way_out;

pub use cause::{Cause, Place, Severity};
pub use code::Code;
pub use diagnose::diagnose;
pub use egress::{CheckProgress, EgressResult, Role, Verdict};
pub use facts::{FactsError, GATHER, gather_script, icmp_of_iptables, icmp_of_nft, parse_health, parse_host};
pub use finding::{Certainty, Diagnosis, DroppedPacket, Finding, FindingKey, Subject};
pub use flow::Flow;
pub use observations::{Observations, PacketTest, Probe};
pub use passed_by::{PassedBy, passed_by};
pub use trace::{Component, Decision, Direction, Disposition, Evidence, Hop, Trace};
pub use walk::walk;
pub use way_out::{WayOut, owner_of, way_out};
