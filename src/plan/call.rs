//! The effects on AWS that a plan consists of, as data. Pure.
//!
//! Each variant is one API operation with its parameters, under AWS's own names. References to what earlier steps
//! make are resolved when the step runs. Tags are the step's, see [`Call::tag_resource_types`].

use std::fmt;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Ref;
use crate::model::{
    AllocationId, AssociationId, AttachmentId, ImageId, InstanceId, InternetGatewayId, NetworkInterfaceId, Protocol,
    ResourceId, RouteTableId, RouteTarget, SecurityGroupId, SubnetId, Tags, VpcEndpointId, VpcId,
};

/// One effect on AWS, or one question to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    // What provisioning does.
    CreateVpc {
        cidr_block: Ipv4Net,
    },
    /// One attribute a call: AWS refuses both at once.
    ModifyVpcAttribute {
        vpc: Ref<VpcId>,
        attribute: VpcAttribute,
        value: bool,
    },
    CreateInternetGateway,
    AttachInternetGateway {
        internet_gateway: Ref<InternetGatewayId>,
        vpc: Ref<VpcId>,
    },
    CreateSubnet {
        vpc: Ref<VpcId>,
        cidr_block: Ipv4Net,
        availability_zone: String,
    },
    ModifySubnetAttribute {
        subnet: Ref<SubnetId>,
        map_public_ip_on_launch: bool,
    },
    CreateRouteTable {
        vpc: Ref<VpcId>,
    },
    AssociateRouteTable {
        route_table: Ref<RouteTableId>,
        subnet: Ref<SubnetId>,
    },
    CreateRoute {
        route_table: Ref<RouteTableId>,
        destination: Ipv4Net,
        via: RouteVia,
    },
    /// Points an existing route elsewhere. Undo points it back at `previous`.
    ReplaceRoute {
        route_table: Ref<RouteTableId>,
        destination: Ipv4Net,
        via: RouteVia,
        previous: RouteTarget,
    },
    CreateSecurityGroup {
        vpc: Ref<VpcId>,
        group_name: String,
        description: String,
    },
    AuthorizeSecurityGroupIngress {
        group: Ref<SecurityGroupId>,
        rule: IngressRule,
    },
    CreateRole {
        role_name: String,
        description: String,
        /// JSON: who may assume the role.
        assume_role_policy: String,
    },
    AttachRolePolicy {
        role_name: String,
        policy_arn: String,
    },
    CreateInstanceProfile {
        instance_profile_name: String,
    },
    AddRoleToInstanceProfile {
        instance_profile_name: String,
        role_name: String,
    },
    /// An interface endpoint with private DNS in one subnet.
    CreateVpcEndpoint {
        vpc: Ref<VpcId>,
        /// `com.amazonaws.eu-central-1.ssm`.
        service_name: String,
        subnet: Ref<SubnetId>,
        security_group: Ref<SecurityGroupId>,
    },
    /// One instance.
    RunInstances(Box<Launch>),
    CreateNetworkInterface {
        subnet: Ref<SubnetId>,
        security_group: Ref<SecurityGroupId>,
        description: String,
    },
    /// The source/destination check of one interface.
    ModifyNetworkInterfaceAttribute {
        network_interface: Ref<NetworkInterfaceId>,
        source_dest_check: bool,
    },
    AttachNetworkInterface {
        network_interface: Ref<NetworkInterfaceId>,
        instance: Ref<InstanceId>,
        device_index: u32,
    },
    /// An Elastic IP of the domain `vpc`.
    AllocateAddress,
    /// Names the interface, since an instance with two has no single one to associate with.
    AssociateAddress {
        address: Ref<AllocationId>,
        network_interface: Ref<NetworkInterfaceId>,
    },
    /// Puts tags on something that exists already: how a replaced route is remembered.
    CreateTags {
        resource: ResourceId,
        tags: Tags,
    },

    // What is asked, not changed.
    /// Through SSM: waits for the boot script to end and reads its own verdict.
    VerifyHost {
        instance: Ref<InstanceId>,
    },
    /// The egress check on these instances; passes when each leaves by `nat`.
    CheckEgress {
        instances: Vec<Ref<InstanceId>>,
        nat: Ref<InstanceId>,
    },

    // What teardown and undo do.
    DeleteRoute {
        route_table: Ref<RouteTableId>,
        destination: Ipv4Net,
    },
    /// One instance.
    TerminateInstances {
        instance: InstanceId,
    },
    DetachNetworkInterface {
        attachment: AttachmentId,
        network_interface: NetworkInterfaceId,
    },
    DeleteNetworkInterface {
        network_interface: NetworkInterfaceId,
    },
    DisassociateAddress {
        /// `eipassoc-…`.
        association_id: String,
    },
    ReleaseAddress {
        allocation_id: AllocationId,
    },
    /// One endpoint.
    DeleteVpcEndpoints {
        vpc_endpoint: VpcEndpointId,
    },
    RevokeSecurityGroupIngress {
        group: SecurityGroupId,
        rule: IngressRule,
    },
    DeleteSecurityGroup {
        group: SecurityGroupId,
    },
    DisassociateRouteTable {
        association_id: AssociationId,
    },
    DeleteRouteTable {
        route_table: RouteTableId,
    },
    DeleteSubnet {
        subnet: SubnetId,
    },
    DetachInternetGateway {
        internet_gateway: InternetGatewayId,
        vpc: VpcId,
    },
    DeleteInternetGateway {
        internet_gateway: InternetGatewayId,
    },
    DeleteVpc {
        vpc: VpcId,
    },
    RemoveRoleFromInstanceProfile {
        instance_profile_name: String,
        role_name: String,
    },
    DetachRolePolicy {
        role_name: String,
        policy_arn: String,
    },
    DeleteInstanceProfile {
        instance_profile_name: String,
    },
    DeleteRole {
        role_name: String,
    },
    /// What only repairs do.
    Repair(Box<super::RepairCall>),
    /// Removes tags whatever their values.
    DeleteTags {
        resource: ResourceId,
        keys: Vec<String>,
    },
}

/// A DNS attribute of a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VpcAttribute {
    /// The resolver at the range's base plus two.
    EnableDnsSupport,
    /// Names for public addresses; private DNS of endpoints needs it.
    EnableDnsHostnames,
}

/// Where a route that a plan makes leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteVia {
    InternetGateway(Ref<InternetGatewayId>),
    NetworkInterface(Ref<NetworkInterfaceId>),
    /// A target that exists, of any kind: putting a route back.
    Target(RouteTarget),
}

/// The other side of a rule that a plan makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulePeer {
    Ipv4(Ipv4Net),
    Group(Ref<SecurityGroupId>),
}

/// One ingress rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressRule {
    pub protocol: Protocol,
    /// First and last port, inclusive. `None`: all.
    pub ports: Option<(u16, u16)>,
    pub peer: RulePeer,
    pub description: String,
}

/// How one instance is started. Always: IMDSv2 required with a hop limit of 1, an encrypted gp3 root volume that goes
/// with the instance, the step's tags on instance, volume and interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub image_id: ImageId,
    /// `t4g.nano`.
    pub instance_type: String,
    pub subnet: Ref<SubnetId>,
    pub security_group: Ref<SecurityGroupId>,
    /// Whether AWS assigns a public address at launch. It is lost on stop.
    pub associate_public_ip_address: bool,
    /// Name of the instance profile. `None`: none.
    pub instance_profile_name: Option<String>,
    pub key_name: Option<String>,
    /// The boot script in clear; the API wants it in base64. `None`: none.
    pub user_data: Option<String>,
}

impl Call {
    /// AWS's name of the operation: `CreateVpc`. For what is asked of hosts, `SendCommand`.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateVpc { .. } => "CreateVpc",
            Self::ModifyVpcAttribute { .. } => "ModifyVpcAttribute",
            Self::CreateInternetGateway => "CreateInternetGateway",
            Self::AttachInternetGateway { .. } => "AttachInternetGateway",
            Self::CreateSubnet { .. } => "CreateSubnet",
            Self::ModifySubnetAttribute { .. } => "ModifySubnetAttribute",
            Self::CreateRouteTable { .. } => "CreateRouteTable",
            Self::AssociateRouteTable { .. } => "AssociateRouteTable",
            Self::CreateRoute { .. } => "CreateRoute",
            Self::ReplaceRoute { .. } => "ReplaceRoute",
            Self::CreateSecurityGroup { .. } => "CreateSecurityGroup",
            Self::AuthorizeSecurityGroupIngress { .. } => "AuthorizeSecurityGroupIngress",
            Self::CreateRole { .. } => "CreateRole",
            Self::AttachRolePolicy { .. } => "AttachRolePolicy",
            Self::CreateInstanceProfile { .. } => "CreateInstanceProfile",
            Self::AddRoleToInstanceProfile { .. } => "AddRoleToInstanceProfile",
            Self::CreateVpcEndpoint { .. } => "CreateVpcEndpoint",
            Self::RunInstances(_) => "RunInstances",
            Self::CreateNetworkInterface { .. } => "CreateNetworkInterface",
            Self::ModifyNetworkInterfaceAttribute { .. } => "ModifyNetworkInterfaceAttribute",
            Self::AttachNetworkInterface { .. } => "AttachNetworkInterface",
            Self::AllocateAddress => "AllocateAddress",
            Self::AssociateAddress { .. } => "AssociateAddress",
            Self::CreateTags { .. } => "CreateTags",
            Self::VerifyHost { .. } | Self::CheckEgress { .. } => "SendCommand",
            Self::DeleteRoute { .. } => "DeleteRoute",
            Self::TerminateInstances { .. } => "TerminateInstances",
            Self::DetachNetworkInterface { .. } => "DetachNetworkInterface",
            Self::DeleteNetworkInterface { .. } => "DeleteNetworkInterface",
            Self::DisassociateAddress { .. } => "DisassociateAddress",
            Self::ReleaseAddress { .. } => "ReleaseAddress",
            Self::DeleteVpcEndpoints { .. } => "DeleteVpcEndpoints",
            Self::RevokeSecurityGroupIngress { .. } => "RevokeSecurityGroupIngress",
            Self::DeleteSecurityGroup { .. } => "DeleteSecurityGroup",
            Self::DisassociateRouteTable { .. } => "DisassociateRouteTable",
            Self::DeleteRouteTable { .. } => "DeleteRouteTable",
            Self::DeleteSubnet { .. } => "DeleteSubnet",
            Self::DetachInternetGateway { .. } => "DetachInternetGateway",
            Self::DeleteInternetGateway { .. } => "DeleteInternetGateway",
            Self::DeleteVpc { .. } => "DeleteVpc",
            Self::RemoveRoleFromInstanceProfile { .. } => "RemoveRoleFromInstanceProfile",
            Self::DetachRolePolicy { .. } => "DetachRolePolicy",
            Self::DeleteInstanceProfile { .. } => "DeleteInstanceProfile",
            Self::DeleteRole { .. } => "DeleteRole",
            Self::DeleteTags { .. } => "DeleteTags",
            Self::Repair(repair) => repair.operation(),
        }
    }

    /// Which of AWS's services answers: `ec2`, `iam` or `ssm`.
    pub fn service(&self) -> &'static str {
        match self {
            Self::CreateRole { .. }
            | Self::AttachRolePolicy { .. }
            | Self::CreateInstanceProfile { .. }
            | Self::AddRoleToInstanceProfile { .. }
            | Self::RemoveRoleFromInstanceProfile { .. }
            | Self::DetachRolePolicy { .. }
            | Self::DeleteInstanceProfile { .. }
            | Self::DeleteRole { .. } => "iam",
            Self::Repair(repair) => repair.service(),
            Self::VerifyHost { .. } | Self::CheckEgress { .. } => "ssm",
            _ => "ec2",
        }
    }

    /// Whether it changes anything. A plan whose remaining calls change nothing is an empty plan.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::VerifyHost { .. } | Self::CheckEgress { .. })
    }

    /// Whether `DryRun` can be sent instead, to learn of a missing permission: every EC2 operation here but two, which
    /// lack the parameter in EC2's API.
    pub fn can_dry_run(&self) -> bool {
        let lacks_it = matches!(self, Self::ModifyVpcAttribute { .. } | Self::ModifySubnetAttribute { .. });
        self.service() == "ec2" && !lacks_it
    }

    /// The resource types of the call's `TagSpecifications`, in EC2's spelling; IAM's calls take the tags as they are
    /// and are listed by the type alone. Empty: the call takes no tags.
    pub fn tag_resource_types(&self) -> &'static [&'static str] {
        match self {
            Self::CreateVpc { .. } => &["vpc"],
            Self::CreateInternetGateway => &["internet-gateway"],
            Self::CreateSubnet { .. } => &["subnet"],
            Self::CreateRouteTable { .. } => &["route-table"],
            Self::CreateSecurityGroup { .. } => &["security-group"],
            Self::CreateVpcEndpoint { .. } => &["vpc-endpoint"],
            Self::RunInstances(_) => &["instance", "volume", "network-interface"],
            Self::CreateNetworkInterface { .. } => &["network-interface"],
            Self::AllocateAddress => &["elastic-ip"],
            Self::CreateRole { .. } => &["role"],
            Self::CreateInstanceProfile { .. } => &["instance-profile"],
            _ => &[],
        }
    }
}

impl VpcAttribute {
    /// AWS's name of the attribute: `enableDnsSupport`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnableDnsSupport => "enableDnsSupport",
            Self::EnableDnsHostnames => "enableDnsHostnames",
        }
    }
}

impl fmt::Display for VpcAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
