//! What happens by itself once its time has come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::World;
use crate::model::{InstanceId, NatGatewayId, NetworkInterfaceId, VpcEndpointId};

/// Something that will happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    pub event: Event,
}

/// What will happen. Each does nothing when the resource has gone or moved on meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    InstanceRunning(InstanceId),
    /// A reboot's other half: the host comes up again.
    InstanceRebooted(InstanceId),
    InstanceStopped(InstanceId),
    InstanceTerminated(InstanceId),
    /// A terminated instance is no longer listed.
    InstanceForgotten(InstanceId),
    StatusChecksPassed(InstanceId),
    InterfaceAttached(NetworkInterfaceId),
    InterfaceDetached(NetworkInterfaceId),
    EndpointAvailable(VpcEndpointId),
    EndpointGone(VpcEndpointId),
    NatGatewayAvailable(NatGatewayId),
    NatGatewayDeleted(NatGatewayId),
    /// A deleted NAT gateway is no longer listed.
    NatGatewayForgotten(NatGatewayId),
}

impl World {
    /// Makes one event happen now.
    pub(super) fn happen(&mut self, _event: Event) {
        self.forget_history();
    }
}
