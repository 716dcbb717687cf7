//! Virtual private clouds.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{Tags, VpcId};

/// A VPC with its DNS attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    pub vpc_id: VpcId,
    /// `pending` or `available`.
    pub state: String,
    /// The primary range first, then the associated ones.
    pub cidr_blocks: Vec<Ipv4Net>,
    pub ipv6_cidr_blocks: Vec<Ipv6Net>,
    pub is_default: bool,
    /// `enableDnsSupport`: whether the resolver at the range's base plus two answers. `None`: could not be read.
    pub dns_support: Option<bool>,
    /// `enableDnsHostnames`. `None`: could not be read.
    pub dns_hostnames: Option<bool>,
    pub tags: Tags,
}
