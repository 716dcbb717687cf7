//! SSM's view of an instance.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::InstanceId;
use super::open_enum::open_enum;

open_enum! {
    /// Whether the agent answers. The heartbeat comes every five minutes, so this lags.
    PingStatus {
        Online = "Online",
        ConnectionLost = "ConnectionLost",
        Inactive = "Inactive",
    }
}

/// An instance that is registered with SSM. One that is not is absent from SSM's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedInstance {
    pub instance_id: InstanceId,
    pub ping_status: PingStatus,
    pub last_ping_at: Option<Timestamp>,
    pub agent_version: String,
    /// `Linux`, `Windows`, `MacOS`.
    pub platform_type: String,
    /// `Amazon Linux`, …
    pub platform_name: String,
    pub platform_version: String,
}
