//! What a step leaves behind, and typed handles on it: how a later step names what an earlier one made. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::model::{
    AllocationId, AssociationId, AttachmentId, InstanceId, InternetGatewayId, NetworkInterfaceId, RouteTableId,
    SecurityGroupId, SubnetId, VpcEndpointId, VpcId,
};

/// The stable name of a step within a plan: `vpc`, `public-subnet`, `nat-instance`. It is the value of the tag
/// `natdeck:step` and the key of the journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shell variable that stands for this step's output in a CLI line: `NAT_INSTANCE`.
    pub fn shell_variable(&self) -> String {
        self.0.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
    }

    /// The Terraform name of what this step makes: `nat_instance`.
    pub fn terraform_name(&self) -> String {
        self.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    }
}

impl From<&str> for StepId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for StepId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What a step made, or found already there. Journalled, so that a later process can go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The effect has no identifier: an attribute, a route, a rule, a deletion, a check that passed.
    None,
    Vpc(VpcId),
    Subnet(SubnetId),
    RouteTable(RouteTableId),
    InternetGateway(InternetGatewayId),
    SecurityGroup(SecurityGroupId),
    /// The role's name.
    Role(String),
    /// The instance profile's name.
    InstanceProfile(String),
    VpcEndpoint(VpcEndpointId),
    Instance {
        instance_id: InstanceId,
        /// The interface at device index 0.
        network_interface_id: NetworkInterfaceId,
    },
    NetworkInterface(NetworkInterfaceId),
    /// Joins an interface and an instance.
    Attachment(AttachmentId),
    Address {
        allocation_id: AllocationId,
        public_ip: Ipv4Addr,
    },
    /// Joins a route table and a subnet.
    RouteTableAssociation(AssociationId),
    /// `eipassoc-…`.
    AddressAssociation(String),
}

impl Output {
    /// The identifier to show and copy. `None` where there is none.
    pub fn id(&self) -> Option<&str> {
        Some(match self {
            Self::None => return None,
            Self::Vpc(id) => id.as_str(),
            Self::Subnet(id) => id.as_str(),
            Self::RouteTable(id) => id.as_str(),
            Self::InternetGateway(id) => id.as_str(),
            Self::SecurityGroup(id) => id.as_str(),
            Self::Role(name) | Self::InstanceProfile(name) => name,
            Self::VpcEndpoint(id) => id.as_str(),
            Self::Instance { instance_id, .. } => instance_id.as_str(),
            Self::NetworkInterface(id) => id.as_str(),
            Self::Attachment(id) => id.as_str(),
            Self::Address { allocation_id, .. } => allocation_id.as_str(),
            Self::RouteTableAssociation(id) => id.as_str(),
            Self::AddressAssociation(id) => id,
        })
    }
}

/// The outputs so far, by step id. The saga's own map, so that it can be passed on as it is.
pub type Outputs = BTreeMap<String, Output>;

/// An identifier that a step can produce.
pub trait Produced: Clone + fmt::Display {
    /// For messages: `a VPC`.
    const NOUN: &'static str;
    /// What the CLI's `--query` and Terraform's attribute is called beside the step's name. `id` for most.
    const ATTRIBUTE: &'static str = "id";

    /// Picks this identifier out of a step's output. `None`: the step makes something else.
    fn pick(output: &Output) -> Option<Self>;
}

macro_rules! produced {
    ($($id:ty, $noun:literal, $attribute:literal: $($pattern:pat => $value:expr),+;)+) => {$(
        impl Produced for $id {
            const NOUN: &'static str = $noun;
            const ATTRIBUTE: &'static str = $attribute;

            fn pick(output: &Output) -> Option<Self> {
                match output {
                    $($pattern => Some($value.clone()),)+
                    _ => None,
                }
            }
        }
    )+};
}

produced! {
    VpcId, "a VPC", "id": Output::Vpc(id) => id;
    SubnetId, "a subnet", "id": Output::Subnet(id) => id;
    RouteTableId, "a route table", "id": Output::RouteTable(id) => id;
    InternetGatewayId, "an internet gateway", "id": Output::InternetGateway(id) => id;
    SecurityGroupId, "a security group", "id": Output::SecurityGroup(id) => id;
    VpcEndpointId, "a VPC endpoint", "id": Output::VpcEndpoint(id) => id;
    InstanceId, "an instance", "id": Output::Instance { instance_id, .. } => instance_id;
    // An instance's own interface is the one at device index 0.
    NetworkInterfaceId, "a network interface", "primary_network_interface_id":
        Output::NetworkInterface(id) => id, Output::Instance { network_interface_id, .. } => network_interface_id;
    AttachmentId, "a network interface attachment", "id": Output::Attachment(id) => id;
    AllocationId, "an Elastic IP", "allocation_id": Output::Address { allocation_id, .. } => allocation_id;
    AssociationId, "a route table association", "id": Output::RouteTableAssociation(id) => id;
}

/// A handle on a resource: one that exists, or the one that an earlier step makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ref<T> {
    Existing(T),
    Made(StepId),
}

/// A step needs what another should have made, and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step '{step}' has not made {noun} yet; run it first")]
pub struct Unresolved {
    pub step: StepId,
    pub noun: &'static str,
}

impl<T: Produced> Ref<T> {
    /// The identifier, once the step that makes it is done.
    pub fn resolve(&self, outputs: &Outputs) -> Result<T, Unresolved> {
        match self {
            Self::Existing(id) => Ok(id.clone()),
            Self::Made(step) => outputs
                .get(step.as_str())
                .and_then(T::pick)
                .ok_or_else(|| Unresolved { step: step.clone(), noun: T::NOUN }),
        }
    }

    /// The identifier for a CLI line: resolved, or a shell variable such as `$NAT_INSTANCE`.
    pub fn shell(&self, outputs: &Outputs) -> String {
        match (self.resolve(outputs), self) {
            (Ok(id), _) => id.to_string(),
            (Err(_), Self::Made(step)) => format!("${}", step.shell_variable()),
            (Err(unresolved), Self::Existing(_)) => unresolved.to_string(),
        }
    }
}
