//! The nouns of the EC2 API, as one observation of an account found them. Pure: no network, clock or file.
//!
//! Field names are AWS's in snake case. What AWS says and this crate does not know (a new instance state, a
//! new kind of route target) is kept word for word and shown as it is; see [`open_enum`]. What could not be
//! observed is never empty: see [`Part`] and [`Fact`].

mod address;
mod age;
mod api_call;
mod block_public_access;
pub mod diff;
mod endpoint;
mod fact;
mod gateway;
pub mod host;
pub mod host_health;
mod iam;
mod id;
mod identity;
mod instance;
mod items;
mod lookup;
mod network;
mod network_acl;
mod network_interface;
mod open_enum;
mod route_table;
mod security_group;
mod ssm;
mod subnet;
mod tags;
mod vpc;

pub use address::Address;
pub use age::{age, ago};
pub use api_call::{ApiCall, CallOutcome};
pub use block_public_access::{BlockPublicAccess, BlockPublicAccessExclusion, ExclusionMode, InternetGatewayBlockMode};
pub use endpoint::{EndpointKind, EndpointState, VpcEndpoint};
pub use fact::{Fact, Part, Unknown};
pub use gateway::{
    AttachmentState, EgressOnlyInternetGateway, GatewayAttachment, InternetGateway, NatGateway, NatGatewayState,
    PrefixList,
};
pub use iam::{InstanceProfile, PolicyRef, Role};
pub use id::{
    AllocationId, AssociationId, AttachmentId, EgressOnlyInternetGatewayId, IdError, ImageId, InstanceId,
    InternetGatewayId, NatGatewayId, NetworkAclId, NetworkInterfaceId, PrefixListId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, VpcEndpointId, VpcId,
};
pub use identity::{Identity, World};
pub use instance::{Instance, InstanceState, StatusCheck};
pub use items::Items;
pub use lookup::{AclLookup, InterfaceLookup, Lookup, TableLookup};
pub use network::{Network, Resource, ResourceId};
pub use network_acl::{AclAction, AclDirection, AclEntry, NetworkAcl};
pub use network_interface::{InterfaceAssociation, InterfaceAttachment, InterfaceStatus, NetworkInterface};
pub use route_table::{
    Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTableAssociation, RouteTarget,
};
pub use security_group::{Peer, Protocol, RuleDirection, SecurityGroup, SecurityGroupRule};
pub use ssm::{ManagedInstance, PingStatus};
pub use subnet::Subnet;
pub use tags::{NAME, STACK, STEP, Tags};
pub use vpc::{DhcpOptions, Vpc};
