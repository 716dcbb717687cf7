//! How long the simulated AWS takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time from a request to its effect. The defaults feel live without making anybody wait; AWS takes seconds to
/// minutes for most of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// `pending` to `running`.
    pub run: Duration,
    /// `stopping` to `stopped`.
    pub stop: Duration,
    /// `shutting-down` to `terminated`.
    pub terminate: Duration,
    /// How long a terminated instance is still listed. About an hour on AWS.
    pub forget: Duration,
    /// From `running` to status checks that pass. Minutes on AWS.
    pub status_checks: Duration,
    /// From `running` to an SSM agent that is online, where it can be.
    pub agent_online: Duration,
    /// `attaching` to `attached`.
    pub attach: Duration,
    /// `detaching` to `available`.
    pub detach: Duration,
    /// VPC endpoint: `pending` to `available`.
    pub endpoint_create: Duration,
    /// VPC endpoint: `deleting` to gone.
    pub endpoint_delete: Duration,
    /// NAT gateway: `pending` to `available`.
    pub nat_gateway_create: Duration,
    /// NAT gateway: `deleting` to `deleted`.
    pub nat_gateway_delete: Duration,
    /// From SendCommand to a result that does not depend on the command itself.
    pub command: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            run: Duration::from_millis(150),
            stop: Duration::from_millis(200),
            terminate: Duration::from_millis(200),
            forget: Duration::from_secs(60),
            status_checks: Duration::from_millis(300),
            agent_online: Duration::from_millis(150),
            attach: Duration::from_millis(60),
            detach: Duration::from_millis(60),
            endpoint_create: Duration::from_millis(250),
            endpoint_delete: Duration::from_millis(250),
            nat_gateway_create: Duration::from_millis(400),
            nat_gateway_delete: Duration::from_millis(250),
            command: Duration::from_millis(50),
        }
    }
}

impl Delays {
    /// Everything at the next [`advance`](super::World::advance), except that terminated instances stay listed.
    pub fn instant() -> Self {
        Self {
            run: Duration::ZERO,
            stop: Duration::ZERO,
            terminate: Duration::ZERO,
            forget: Duration::from_secs(60),
            status_checks: Duration::ZERO,
            agent_online: Duration::ZERO,
            attach: Duration::ZERO,
            detach: Duration::ZERO,
            endpoint_create: Duration::ZERO,
            endpoint_delete: Duration::ZERO,
            nat_gateway_create: Duration::ZERO,
            nat_gateway_delete: Duration::ZERO,
            command: Duration::ZERO,
        }
    }
}
