//! The effects that only repairs have, as data. Pure.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::model::{
    AclDirection, AclEntry, AllocationId, InstanceId, NetworkAclId, NetworkInterfaceId, RouteTableId, RouteTarget,
    SecurityGroupId, SubnetId,
};
use crate::plan::IngressRule;

/// One effect of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairCall {
    /// One instance. Undo stops it.
    StartInstances { instance: InstanceId },
    /// One instance. Nothing is left to undo.
    RebootInstances { instance: InstanceId },
    /// The rule's peer is where packets may go.
    AuthorizeSecurityGroupEgress { group: SecurityGroupId, rule: IngressRule },
    /// Lets a subnet use internet gateways both ways although VPC Block Public Access is on. Undo deletes it.
    CreateBlockPublicAccessExclusion { subnet: SubnetId },
    /// Undo deletes it.
    CreateNetworkAclEntry { network_acl: NetworkAclId, entry: AclEntry },
    /// Takes an Elastic IP away from where it is. Undo gives it back to `previous`.
    MoveAddress {
        allocation_id: AllocationId,
        network_interface: NetworkInterfaceId,
        previous: Option<NetworkInterfaceId>,
    },
    /// Undo makes it again to `previous`.
    DeleteRoute { route_table: RouteTableId, destination: Ipv4Net, previous: RouteTarget },
    /// A script on a host, through SSM: it may run twice, persists what it does and fails unless it is so afterwards.
    RunOnHost {
        instance: InstanceId,
        script: String,
        /// What takes it back. `None`: it leaves nothing that could be.
        undo: Option<String>,
    },
}

impl RepairCall {
    /// AWS's name of the operation.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::StartInstances { .. } => "StartInstances",
            Self::RebootInstances { .. } => "RebootInstances",
            Self::AuthorizeSecurityGroupEgress { .. } => "AuthorizeSecurityGroupEgress",
            Self::CreateBlockPublicAccessExclusion { .. } => "CreateVpcBlockPublicAccessExclusion",
            Self::CreateNetworkAclEntry { .. } => "CreateNetworkAclEntry",
            Self::MoveAddress { .. } => "AssociateAddress",
            Self::DeleteRoute { .. } => "DeleteRoute",
            Self::RunOnHost { .. } => "SendCommand",
        }
    }

    /// Which of AWS's services answers.
    pub fn service(&self) -> &'static str {
        if matches!(self, Self::RunOnHost { .. }) { "ssm" } else { "ec2" }
    }
}

/// The aws CLI's flag for an entry's direction.
pub(in crate::plan) fn direction_flag(direction: AclDirection) -> &'static str {
    match direction {
        AclDirection::Ingress => "ingress",
        AclDirection::Egress => "egress",
    }
}
