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
    /// Everything in `factor` times the usual time: 0 at once, 100 about as slow as AWS.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let scale = |delay: Duration| Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay);
        Self {
            run: scale(self.run),
            stop: scale(self.stop),
            terminate: scale(self.terminate),
            // Nobody waits for it, and a client that comes back must still find what became of its instance.
            forget: self.forget,
            status_checks: scale(self.status_checks),
            agent_online: scale(self.agent_online),
            attach: scale(self.attach),
            detach: scale(self.detach),
            endpoint_create: scale(self.endpoint_create),
            endpoint_delete: scale(self.endpoint_delete),
            nat_gateway_create: scale(self.nat_gateway_create),
            nat_gateway_delete: scale(self.nat_gateway_delete),
            command: scale(self.command),
        }
    }

    /// Everything at the next [`advance`](super::World::advance), except that terminated instances stay listed.
    pub fn instant() -> Self {
        Self::default().scaled(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_stretches_what_is_waited_for_and_nothing_else() {
        let usual = Delays::default();
        let slow = usual.scaled(100.0);
        assert_eq!(slow.run, usual.run * 100);
        assert_eq!(slow.endpoint_create, usual.endpoint_create * 100);
        assert_eq!(slow.forget, usual.forget);
        assert_eq!(usual.scaled(1.0), usual);
        assert_eq!(Delays::instant().nat_gateway_delete, Duration::ZERO);
    }
}
