//! What EC2's answers hold beyond the model's nouns. Keyed by identifier; removed with the resource.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod network;

pub use network::{FlowLog, NatSecondary, PlacementGroup, Snapshot, SubnetRecord, VpcRecord};

use crate::model::{InstanceId, InterfaceAttachment, NetworkInterfaceId, SubnetId, Tags, VpcId};
use crate::sandbox::wire::Query;

/// Everything that the nouns leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    pub instances: BTreeMap<InstanceId, InstanceRecord>,
    pub interfaces: BTreeMap<NetworkInterfaceId, InterfaceRecord>,
    /// By endpoint.
    pub endpoints: BTreeMap<String, EndpointRecord>,
    /// By NAT gateway.
    pub nat_gateways: BTreeMap<String, NatGatewayRecord>,
    /// By volume: `vol-…`.
    pub volumes: BTreeMap<String, Volume>,
    /// By name.
    pub key_pairs: BTreeMap<String, KeyPair>,
    /// Images made or hidden in this world, by identifier. The public ones are constants.
    pub images: BTreeMap<String, Image>,
    /// `aclassoc-…` of each subnet.
    pub acl_associations: BTreeMap<SubnetId, String>,
    /// Tags of security group rules, by rule.
    pub rule_tags: BTreeMap<String, Tags>,
    /// `vpc-cidr-assoc-…` of each VPC's ranges, by VPC, in the order of its ranges.
    pub cidr_associations: BTreeMap<String, Vec<String>>,
    /// `subnet-cidr-assoc-…` of IPv6 ranges, by subnet, in the order of its ranges.
    pub ipv6_associations: BTreeMap<String, Vec<String>>,
    /// `dopt-…`, one for the region.
    pub dhcp_options_id: Option<String>,
    /// The account's own sets, by identifier: `dopt-…`.
    #[serde(default)]
    pub dhcp_options: BTreeMap<String, DhcpOptions>,
    /// Which set a VPC has, when it is not the region's: an identifier, or `default` for none. By VPC.
    #[serde(default)]
    pub vpc_dhcp_options: BTreeMap<String, String>,
    /// The account's own prefix lists, by identifier: `pl-…`.
    #[serde(default)]
    pub prefix_lists: BTreeMap<String, PrefixListRecord>,
    /// By identifier: `pcx-…`.
    #[serde(default)]
    pub peerings: BTreeMap<String, Peering>,
    /// By identifier: `lt-…`.
    #[serde(default)]
    pub launch_templates: BTreeMap<String, LaunchTemplate>,
    /// By VPC.
    #[serde(default)]
    pub vpcs: BTreeMap<String, VpcRecord>,
    /// By subnet.
    #[serde(default)]
    pub subnets: BTreeMap<String, SubnetRecord>,
    #[serde(default)]
    pub flow_logs: BTreeMap<String, FlowLog>,
    #[serde(default)]
    pub placement_groups: BTreeMap<String, PlacementGroup>,
    #[serde(default)]
    pub snapshots: BTreeMap<String, Snapshot>,
}

/// An instance beyond [`crate::model::Instance`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// `r-…`
    pub reservation_id: String,
    pub launch_index: u32,
    /// Base64, as the client sent it.
    pub user_data: Option<String>,
    pub client_token: String,
    pub profile: Option<ProfileAssociation>,
    pub http_endpoint: String,
    pub http_put_response_hop_limit: u32,
    pub instance_metadata_tags: String,
    pub monitoring: bool,
    pub ebs_optimized: bool,
    pub disable_api_termination: bool,
    pub disable_api_stop: bool,
    /// `stop` or `terminate`.
    pub shutdown_behavior: String,
    /// `standard` or `unlimited`.
    pub cpu_credits: String,
    /// `User initiated (2023-06-11 10:00:00 GMT)`.
    pub transition_reason: String,
    /// `Client.UserInitiatedShutdown`, with [`crate::model::Instance::state_reason`] as its message.
    pub state_reason_code: Option<String>,
    pub root_volume_id: Option<String>,
    #[serde(default)]
    pub options: InstanceOptions,
    /// When its host came up. `None`: it is not up.
    pub booted_at: Option<Timestamp>,
}

/// What an instance was launched with and only its descriptions show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceOptions {
    /// `default` or `disabled`. Empty: the default.
    pub auto_recovery: String,
    /// `default`, `dedicated` or `host`. Empty: the default.
    pub tenancy: String,
    pub placement_group: String,
    /// Cores and threads of each, where they were asked for.
    pub cpu: Option<(u32, u32)>,
    /// Launched on the spot market.
    pub spot: bool,
    /// `resource-name`: its private DNS name is its identifier. Empty: `ip-name`.
    pub hostname_type: String,
    pub a_record: bool,
    pub aaaa_record: bool,
    /// `open` or `none`. Empty: `open`.
    pub capacity_preference: String,
    pub hibernation: bool,
    pub enclave: bool,
}

/// Which instance profile an instance has, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileAssociation {
    /// `iip-assoc-…`
    pub association_id: String,
    /// `AIPA…`
    pub profile_id: String,
    pub since: Timestamp,
}

/// A network interface beyond [`crate::model::NetworkInterface`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceRecord {
    pub attached_at: Option<Timestamp>,
    /// Whether AWS gives it a public address at each start of its instance.
    pub auto_public_ip: bool,
    /// `None`: made by the account itself.
    pub requester_id: Option<String>,
    /// Who holds it, when AWS does: `amazon-aws`.
    pub attachment_owner_id: Option<String>,
    /// The attachment that ended last, and when: who asks for it by its identifier still sees it for a while.
    #[serde(default)]
    pub detached: Option<(InterfaceAttachment, Timestamp)>,
}

/// A VPC endpoint beyond [`crate::model::VpcEndpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    pub created_at: Timestamp,
    pub policy_document: String,
    /// DNS names that resolve to the interfaces, with their zones.
    pub dns_names: Vec<(String, String)>,
}

/// A NAT gateway beyond [`crate::model::NatGateway`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGatewayRecord {
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// The address it will have.
    pub public_ip: Option<Ipv4Addr>,
    /// Addresses beside the primary one.
    #[serde(default)]
    pub secondary: Vec<NatSecondary>,
}

/// An EBS volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub volume_id: String,
    pub size_gib: u32,
    pub volume_type: String,
    /// `None`: the type has no figure of its own, as magnetic ones.
    #[serde(default)]
    pub iops: Option<u32>,
    /// MiB per second; gp3 only.
    #[serde(default)]
    pub throughput: Option<u32>,
    pub encrypted: bool,
    /// ARN. `None`: not encrypted.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    pub availability_zone: String,
    pub created_at: Timestamp,
    pub attached_to: Option<InstanceId>,
    #[serde(default)]
    pub attached_at: Option<Timestamp>,
    pub device: String,
    pub delete_on_termination: bool,
    pub snapshot_id: Option<String>,
    /// What it was before it was last modified.
    #[serde(default)]
    pub modification: Option<VolumeModification>,
    pub tags: Tags,
}

/// The latest modification of a volume: what it was, and when it became what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeModification {
    pub size_gib: u32,
    pub volume_type: String,
    pub iops: Option<u32>,
    pub throughput: Option<u32>,
    pub at: Timestamp,
}

impl Volume {
    /// What DescribeVolumes says of it.
    pub fn state(&self) -> VolumeState {
        if self.attached_to.is_some() { VolumeState::InUse } else { VolumeState::Available }
    }
}

/// The life of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeState {
    Available,
    InUse,
}

impl VolumeState {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::InUse => "in-use",
        }
    }
}

/// A key pair. The private half is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    /// `key-…`
    pub key_pair_id: String,
    pub key_name: String,
    /// `rsa` or `ed25519`.
    pub key_type: String,
    pub fingerprint: String,
    /// OpenSSH's format. `None` when AWS made the pair.
    pub public_key: Option<String>,
    pub created_at: Timestamp,
    pub tags: Tags,
}

/// A DHCP options set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOptions {
    /// `domain-name-servers` and the like, with their values.
    pub configurations: Vec<(String, Vec<String>)>,
    pub tags: Tags,
}

/// A prefix list of the account beyond [`crate::model::PrefixList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixListRecord {
    /// `IPv4` or `IPv6`.
    pub address_family: String,
    pub max_entries: u32,
    /// The present version, from 1.
    pub version: i64,
    /// The entries of each version, with their descriptions.
    pub versions: BTreeMap<i64, BTreeMap<IpNet, Option<String>>>,
    pub tags: Tags,
}

/// A VPC peering connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peering {
    pub requester: VpcId,
    pub accepter: VpcId,
    pub created_at: Timestamp,
    pub state: PeeringState,
    /// When it came to a state that it does not leave. `None`: it has not.
    pub ended_at: Option<Timestamp>,
    pub requester_allows_dns: bool,
    pub accepter_allows_dns: bool,
    pub tags: Tags,
}

/// The life of a peering connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeeringState {
    InitiatingRequest,
    PendingAcceptance,
    Active,
    Rejected,
    /// The ranges overlap.
    Failed,
    Deleted,
}

impl PeeringState {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InitiatingRequest => "initiating-request",
            Self::PendingAcceptance => "pending-acceptance",
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }

    /// What AWS says beside the state.
    pub fn message(self, account_id: &str) -> String {
        match self {
            Self::InitiatingRequest => format!("Initiating Request to {account_id}"),
            Self::PendingAcceptance => format!("Pending Acceptance by {account_id}"),
            Self::Active => "Active".to_owned(),
            Self::Rejected => "Inactive".to_owned(),
            Self::Failed => "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned(),
            Self::Deleted => format!("Deleted by {account_id}"),
        }
    }
}

/// A launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    /// `lt-…`
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub created_at: Timestamp,
    pub default_version: u32,
    /// How many versions were ever made: numbers are not given out twice.
    pub made: u32,
    /// By number.
    pub versions: BTreeMap<u32, LaunchTemplateVersion>,
    pub tags: Tags,
}

impl LaunchTemplate {
    /// The highest number there is.
    pub fn latest_version(&self) -> u32 {
        self.versions.keys().next_back().copied().unwrap_or(self.default_version)
    }
}

/// One version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplateVersion {
    pub description: Option<String>,
    pub created_at: Timestamp,
    /// The fields of RequestLaunchTemplateData.
    pub data: Query,
}

/// A machine image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub image_id: String,
    pub name: String,
    pub description: String,
    pub architecture: String,
    pub owner_id: String,
    /// `amazon`, when AWS owns it.
    pub owner_alias: Option<String>,
    pub creation_date: String,
    pub deprecation_time: String,
    pub public: bool,
    pub root_device_name: String,
    pub snapshot_id: String,
    pub volume_size_gib: u32,
    pub volume_type: String,
    /// `v2.0`, when instances require IMDSv2 by default.
    pub imds_support: Option<String>,
    pub tags: Tags,
}
