//! VPC endpoints: how instances without egress reach SSM.

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{NetworkInterfaceId, RouteTableId, SecurityGroupId, SubnetId, Tags, VpcEndpointId, VpcId};

open_enum! {
    /// How an endpoint is joined to the VPC.
    EndpointKind {
        Interface = "Interface",
        Gateway = "Gateway",
        GatewayLoadBalancer = "GatewayLoadBalancer",
    }
}

open_enum! {
    /// The life of an endpoint. AWS writes these in several cases; they are compared in lower case.
    EndpointState {
        PendingAcceptance = "pendingacceptance",
        Pending = "pending",
        Available = "available",
        Deleting = "deleting",
        Deleted = "deleted",
        Rejected = "rejected",
        Failed = "failed",
        Expired = "expired",
    }
}

/// A VPC endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpoint {
    pub vpc_endpoint_id: VpcEndpointId,
    pub vpc_id: VpcId,
    pub kind: EndpointKind,
    /// `com.amazonaws.eu-central-1.ssm`.
    pub service_name: String,
    pub state: EndpointState,
    pub private_dns_enabled: bool,
    pub subnet_ids: Vec<SubnetId>,
    pub route_table_ids: Vec<RouteTableId>,
    pub security_group_ids: Vec<SecurityGroupId>,
    pub network_interface_ids: Vec<NetworkInterfaceId>,
    pub tags: Tags,
}

impl VpcEndpoint {
    /// The last part of the service name: `ssm`, `ssmmessages`, `ec2messages`, `s3`.
    pub fn service(&self) -> &str {
        self.service_name.rsplit('.').next().unwrap_or(&self.service_name)
    }
}
