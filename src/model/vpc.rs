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
    /// What its instances are told when they renew their lease. `None`: AWS did not say which set it is.
    #[serde(default)]
    pub dhcp_options: Option<DhcpOptions>,
    pub tags: Tags,
}

/// The DHCP options set of a VPC, as far as names are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOptions {
    /// `dopt-…`, or `default` where the VPC has none.
    pub dhcp_options_id: String,
    /// `domain-name-servers`: addresses, and `AmazonProvidedDNS` for the VPC's own resolver. Empty: the set names none.
    /// `None`: could not be read.
    pub domain_name_servers: Option<Vec<String>>,
}

impl DhcpOptions {
    /// The VPC's own resolver, among the name servers.
    pub const AMAZON_PROVIDED: &str = "AmazonProvidedDNS";
}
