//! What happens by itself once its time has come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::World;
use crate::model::{
    Address, EndpointState, InstanceId, NatGateway, NatGatewayId, NatGatewayState, NetworkInterface,
    NetworkInterfaceId, VpcEndpoint, VpcEndpointId,
};

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
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::InstanceRunning(id) => self.instance_runs(&id),
            Event::InstanceRebooted(id) => self.instance_rebooted(&id),
            Event::InstanceStopped(id) => self.instance_stopped(&id),
            Event::InstanceTerminated(id) => self.instance_terminated(&id),
            Event::InstanceForgotten(id) => self.instance_forgotten(&id),
            Event::StatusChecksPassed(id) => self.status_checks_passed(&id),
            Event::InterfaceAttached(id) => self.interface_attached(&id),
            Event::InterfaceDetached(id) => self.interface_detached(&id),
            Event::EndpointAvailable(id) => {
                if let Some(endpoint) = self.get_mut::<VpcEndpoint>(&id)
                    && endpoint.state == EndpointState::Pending
                {
                    endpoint.state = EndpointState::Available;
                }
            }
            Event::EndpointGone(id) => self.endpoint_gone(&id),
            Event::NatGatewayAvailable(id) => self.nat_gateway_available(&id),
            Event::NatGatewayDeleted(id) => self.nat_gateway_deleted(&id),
            Event::NatGatewayForgotten(id) => {
                if self.get::<NatGateway>(&id).is_some_and(|gateway| gateway.state == NatGatewayState::Deleted) {
                    self.remove::<NatGateway>(&id);
                    self.records.nat_gateways.remove(id.as_str());
                }
            }
        }
    }

    fn endpoint_gone(&mut self, id: &VpcEndpointId) {
        let Some(endpoint) = self.remove::<VpcEndpoint>(id) else { return };
        for interface_id in &endpoint.network_interface_ids {
            self.drop_interface(interface_id);
        }
        self.records.endpoints.remove(id.as_str());
    }

    fn nat_gateway_available(&mut self, id: &NatGatewayId) {
        let public_ip = self.records.nat_gateways.get(id.as_str()).and_then(|record| record.public_ip);
        if let Some(gateway) = self.get_mut::<NatGateway>(id)
            && gateway.state == NatGatewayState::Pending
        {
            gateway.state = NatGatewayState::Available;
            gateway.public_ip = public_ip;
        }
    }

    /// What becomes of a NAT gateway that AWS could not make: it is listed for an hour with the reason, and has no
    /// interface (VPC user guide, "Troubleshoot NAT gateways").
    pub(crate) fn nat_gateway_fails(&mut self, id: &NatGatewayId, code: &str, message: &str) {
        let Some(gateway) = self.get_mut::<NatGateway>(id) else { return };
        gateway.state = NatGatewayState::Failed;
        gateway.failure_code = Some(code.to_owned());
        gateway.failure_message = Some(message.to_owned());
        let interface_id = gateway.network_interface_id.take();
        (gateway.private_ip, gateway.public_ip) = (None, None);
        if let Some(interface_id) = interface_id {
            self.drop_interface(&interface_id);
        }
    }

    fn nat_gateway_deleted(&mut self, id: &NatGatewayId) {
        let Some(gateway) = self.get_mut::<NatGateway>(id) else { return };
        gateway.state = NatGatewayState::Deleted;
        let (interface_id, forget) = (gateway.network_interface_id.clone(), self.delays.forget);
        if let Some(interface_id) = interface_id {
            self.drop_interface(&interface_id);
        }
        self.schedule(forget, Event::NatGatewayForgotten(id.clone()));
    }

    /// Deletes an interface. An Elastic IP on it becomes free.
    pub(crate) fn drop_interface(&mut self, id: &NetworkInterfaceId) {
        let associated: Vec<_> = self
            .all::<Address>()
            .filter(|address| address.network_interface_id.as_ref() == Some(id))
            .map(|address| address.allocation_id.clone())
            .collect();
        for allocation_id in associated {
            self.take_address_off(&allocation_id);
        }
        self.remove::<NetworkInterface>(id);
        self.records.interfaces.remove(id);
    }
}
