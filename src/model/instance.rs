//! EC2 instances.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{ImageId, InstanceId, NetworkInterfaceId, SecurityGroupId, SubnetId, Tags, VpcId};

open_enum! {
    /// The life of an instance.
    InstanceState {
        Pending = "pending",
        Running = "running",
        ShuttingDown = "shutting-down",
        Terminated = "terminated",
        Stopping = "stopping",
        Stopped = "stopped",
    }
}

open_enum! {
    /// The verdict of a status check.
    StatusCheck {
        Ok = "ok",
        Impaired = "impaired",
        Initializing = "initializing",
        InsufficientData = "insufficient-data",
        NotApplicable = "not-applicable",
    }
}

/// An instance with its status checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub instance_id: InstanceId,
    /// `None` once terminated.
    pub vpc_id: Option<VpcId>,
    pub subnet_id: Option<SubnetId>,
    pub availability_zone: String,
    pub state: InstanceState,
    pub instance_type: String,
    pub image_id: ImageId,
    /// `arm64` or `x86_64`.
    pub architecture: String,
    pub private_ip: Option<Ipv4Addr>,
    pub public_ip: Option<Ipv4Addr>,
    /// By device index, lowest first.
    pub network_interface_ids: Vec<NetworkInterfaceId>,
    pub security_group_ids: Vec<SecurityGroupId>,
    /// ARN of the instance profile.
    pub instance_profile_arn: Option<String>,
    pub key_name: Option<String>,
    /// `required` means IMDSv2 only.
    pub http_tokens: Option<String>,
    /// `disabled` means that the metadata service does not answer.
    #[serde(default)]
    pub http_endpoint: Option<String>,
    pub launch_time: Option<Timestamp>,
    /// AWS's side of the status checks. `None`: not reported (stopped) or could not be read.
    pub system_status: Option<StatusCheck>,
    /// The instance's side of the status checks.
    pub instance_status: Option<StatusCheck>,
    /// `standard` or `unlimited`, of a burstable instance. `None`: another type, or not known.
    #[serde(default)]
    pub cpu_credits: Option<String>,
    /// Why it is in this state, when AWS says so.
    pub state_reason: Option<String>,
    pub tags: Tags,
}

impl Instance {
    /// Whether the type earns CPU credits: families that begin with `t`.
    pub fn is_burstable(&self) -> bool {
        let family = self.instance_type.split('.').next().unwrap_or_default();
        matches!(family, "t1" | "t2" | "t3" | "t3a" | "t4g")
    }
}
