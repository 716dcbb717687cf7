//! The walk itself.

use super::{Disposition, Flow, Trace};
use crate::model::host::HostFacts;
use crate::model::{Network, Unknown};

/// Follows a flow and its reply.
pub fn walk(network: &Network, hosts: &dyn HostFacts, flow: &Flow) -> Trace {
    let _ = (network, hosts);
    Trace {
        flow: flow.clone(),
        disposition: Disposition::InsufficientInformation,
        hops: Vec::new(),
        address: None,
        refused: false,
        unknown: vec![Unknown::new("the packet walk", "this build does not walk packets yet")],
    }
}
