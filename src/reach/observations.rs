//! What was seen beside the snapshot and the kernels: what the packet test showed, and how the hosts are. Pure data.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Code;
use crate::model::host_health::HostHealth;
use crate::model::{Fact, Items};

/// What a diagnosis knows beside the snapshot and the kernels' facts. The default is "nothing was tried".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observations {
    /// The packet test on the instance in question. `None`: not tried.
    pub test: Option<PacketTest>,
    /// How hosts are, the client and the NATs. A host that is not in it was not asked.
    pub health: Items<Fact<HostHealth>>,
}

/// The packet test: it ran, or why it could not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketTest {
    Ran {
        /// In the order in which they were asked. The second is asked only when the first did not answer.
        probes: Vec<Probe>,
        observed_at: Option<Timestamp>,
    },
    /// No verdict on egress.
    CouldNotRun {
        /// One of the `TEST_…` codes.
        code: Code,
        reason: String,
    },
}

/// What one service gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// `https://api.ipify.org`.
    pub url: String,
    /// curl's: 0 fine, 6 no such name, 7 refused, 28 timed out, 35 no TLS handshake.
    pub exit_code: i32,
    /// The address that the service saw.
    pub address: Option<IpAddr>,
    /// The name was resolved. `None`: curl does not say.
    pub resolved: Option<bool>,
    /// The TCP connection was made. `None`: curl does not say.
    pub connected: Option<bool>,
    pub latency_ms: Option<u64>,
    /// What curl said, when it failed.
    pub message: String,
}

impl PacketTest {
    /// The probes, if the test ran.
    pub fn probes(&self) -> Option<&[Probe]> {
        match self {
            Self::Ran { probes, .. } => Some(probes),
            Self::CouldNotRun { .. } => None,
        }
    }

    /// The address that the outside saw, if any answered.
    pub fn address(&self) -> Option<IpAddr> {
        self.probes()?.iter().find_map(|probe| probe.address)
    }

    /// It ran and something answered: an address service, or the far end at all. curl's 51, 52, 56 and 60 are an answer
    /// that curl did not like.
    pub fn passed(&self) -> bool {
        let answered = |probe: &Probe| {
            matches!(probe.exit_code, 0 | 51 | 52 | 60) || (probe.exit_code == 56 && probe.connected == Some(true))
        };
        self.probes().is_some_and(|probes| probes.iter().any(answered))
    }

    /// It ran and nothing answered.
    pub fn failed(&self) -> bool {
        self.probes().is_some() && !self.passed()
    }
}

/// Of a packet test that was not tried nothing is said.
impl Observations {
    pub fn probes(&self) -> Option<&[Probe]> {
        self.test.as_ref()?.probes()
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.test.as_ref()?.address()
    }

    pub fn passed(&self) -> bool {
        self.test.as_ref().is_some_and(PacketTest::passed)
    }

    pub fn failed(&self) -> bool {
        self.test.as_ref().is_some_and(PacketTest::failed)
    }
}
