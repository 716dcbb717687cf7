//! What VPCs and subnets have beyond the model's nouns, and further resources that nothing but EC2's answers needs.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AllocationId, Tags};

/// A VPC beyond [`crate::model::Vpc`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VpcRecord {
    /// Instances run on hardware of their own.
    pub dedicated: bool,
    /// `enableNetworkAddressUsageMetrics`
    pub usage_metrics: bool,
}

/// A subnet beyond [`crate::model::Subnet`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubnetRecord {
    /// The one of its zone in the default VPC.
    pub default_for_zone: bool,
    pub assign_ipv6: bool,
    pub ipv6_native: bool,
    /// New instances are named by their identifiers, not by their addresses.
    pub resource_names: bool,
    pub a_record: bool,
    pub aaaa_record: bool,
}

impl SubnetRecord {
    /// AWS's spelling of how new instances are named.
    pub fn hostname_type(&self) -> &'static str {
        if self.resource_names { "resource-name" } else { "ip-name" }
    }
}

/// A further address of a NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatSecondary {
    pub private_ip: Ipv4Addr,
    /// For public gateways.
    pub allocation_id: Option<AllocationId>,
}

/// A flow log. Nothing is ever written to its destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLog {
    pub resource_id: String,
    /// `ALL`, `ACCEPT` or `REJECT`. `None` where the resource has no choice.
    pub traffic_type: Option<String>,
    /// `cloud-watch-logs`, `s3` or `kinesis-data-firehose`.
    pub destination_type: String,
    pub destination: Option<String>,
    pub log_group_name: Option<String>,
    pub role_arn: Option<String>,
    pub format: String,
    /// 60 or 600.
    pub interval_s: u32,
    pub created_at: Timestamp,
    pub tags: Tags,
}

/// A placement group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementGroup {
    /// `pg-…`
    pub group_id: String,
    /// `cluster`, `spread` or `partition`.
    pub strategy: String,
    pub partitions: Option<u32>,
    /// `rack` or `host`, for `spread`.
    pub spread_level: Option<String>,
    pub tags: Tags,
}

/// A snapshot of a volume, finished as soon as it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub snapshot_id: String,
    pub volume_id: String,
    pub size_gib: u32,
    pub description: String,
    pub encrypted: bool,
    pub kms_key_id: Option<String>,
    pub started_at: Timestamp,
    pub tags: Tags,
}
