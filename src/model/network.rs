//! One observation of everything: the snapshot that the walk, the plan and the screens are functions of.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AclLookup, Address, BlockPublicAccess, EgressOnlyInternetGateway, Instance, InstanceId, InstanceProfile,
    InterfaceLookup, InternetGateway, ManagedInstance, NatGateway, NetworkAcl, NetworkInterface, Part, PrefixList,
    RouteTable, SecurityGroup, Subnet, SubnetId, TableLookup, Tags, Unknown, Vpc, VpcEndpoint, VpcId,
};

/// A snapshot of one region, or of one VPC in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub account_id: Option<String>,
    pub region: String,
    /// When the observation was complete. `None` for a world that was built, not observed.
    pub observed_at: Option<Timestamp>,
    pub vpcs: Part<Vpc>,
    pub subnets: Part<Subnet>,
    pub route_tables: Part<RouteTable, TableLookup>,
    pub internet_gateways: Part<InternetGateway>,
    pub egress_only_internet_gateways: Part<EgressOnlyInternetGateway>,
    pub nat_gateways: Part<NatGateway>,
    pub network_interfaces: Part<NetworkInterface, InterfaceLookup>,
    pub instances: Part<Instance>,
    pub security_groups: Part<SecurityGroup>,
    pub network_acls: Part<NetworkAcl, AclLookup>,
    pub addresses: Part<Address>,
    pub vpc_endpoints: Part<VpcEndpoint>,
    pub prefix_lists: Part<PrefixList>,
    /// By ARN.
    pub instance_profiles: Part<InstanceProfile>,
    /// SSM's list, by instance. An instance that is not in it is not registered.
    pub managed_instances: Part<ManagedInstance>,
    /// By region: at most this one. Empty: AWS was asked and the account has no such setting, so that nothing is blocked.
    #[serde(default)]
    pub block_public_access: Part<BlockPublicAccess>,
    /// Gaps that are not a whole part: status checks, VPC attributes, roles, entries of a prefix list.
    pub unknown: Vec<Unknown>,
}

impl Network {
    /// Every gap of this snapshot: whole parts first.
    pub fn gaps(&self) -> Vec<&Unknown> {
        let parts = [
            self.vpcs.gap(),
            self.subnets.gap(),
            self.route_tables.gap(),
            self.internet_gateways.gap(),
            self.egress_only_internet_gateways.gap(),
            self.nat_gateways.gap(),
            self.network_interfaces.gap(),
            self.instances.gap(),
            self.security_groups.gap(),
            self.network_acls.gap(),
            self.addresses.gap(),
            self.vpc_endpoints.gap(),
            self.prefix_lists.gap(),
            self.instance_profiles.gap(),
            self.managed_instances.gap(),
            self.block_public_access.gap(),
        ];
        parts.into_iter().flatten().chain(&self.unknown).collect()
    }

    /// The route table that applies to a subnet: its own, or else the VPC's main table. `Ok(None)` is an AWS answer
    /// that holds neither.
    pub fn route_table_of(&self, subnet_id: &SubnetId, vpc_id: &VpcId) -> Result<Option<&RouteTable>, &Unknown> {
        let tables = self.route_tables.lookup()?;
        Ok(tables.of_subnet(subnet_id).or_else(|| tables.main_of(vpc_id)))
    }

    /// The network ACL that applies to a subnet.
    pub fn network_acl_of(&self, subnet_id: &SubnetId) -> Result<Option<&NetworkAcl>, &Unknown> {
        Ok(self.network_acls.lookup()?.of_subnet(subnet_id))
    }

    /// The interfaces of an instance, by device index.
    pub fn interfaces_of(&self, instance_id: &InstanceId) -> Result<Vec<&NetworkInterface>, &Unknown> {
        Ok(self.network_interfaces.lookup()?.of_instance(instance_id).collect())
    }
}

/// What a node of the tree, a hop or a blocker is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(pub String);

impl ResourceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<&T> for ResourceId {
    fn from(id: &T) -> Self {
        Self(id.as_ref().to_owned())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One resource of a snapshot, whatever its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    Vpc(&'a Vpc),
    Subnet(&'a Subnet),
    RouteTable(&'a RouteTable),
    InternetGateway(&'a InternetGateway),
    EgressOnlyInternetGateway(&'a EgressOnlyInternetGateway),
    NatGateway(&'a NatGateway),
    NetworkInterface(&'a NetworkInterface),
    Instance(&'a Instance),
    SecurityGroup(&'a SecurityGroup),
    NetworkAcl(&'a NetworkAcl),
    Address(&'a Address),
    VpcEndpoint(&'a VpcEndpoint),
    InstanceProfile(&'a InstanceProfile),
}

impl<'a> Resource<'a> {
    /// AWS's identifier (for an instance profile, its ARN).
    pub fn id(self) -> &'a str {
        match self {
            Self::Vpc(r) => r.vpc_id.as_str(),
            Self::Subnet(r) => r.subnet_id.as_str(),
            Self::RouteTable(r) => r.route_table_id.as_str(),
            Self::InternetGateway(r) => r.internet_gateway_id.as_str(),
            Self::EgressOnlyInternetGateway(r) => r.egress_only_internet_gateway_id.as_str(),
            Self::NatGateway(r) => r.nat_gateway_id.as_str(),
            Self::NetworkInterface(r) => r.network_interface_id.as_str(),
            Self::Instance(r) => r.instance_id.as_str(),
            Self::SecurityGroup(r) => r.group_id.as_str(),
            Self::NetworkAcl(r) => r.network_acl_id.as_str(),
            Self::Address(r) => r.allocation_id.as_str(),
            Self::VpcEndpoint(r) => r.vpc_endpoint_id.as_str(),
            Self::InstanceProfile(r) => &r.arn,
        }
    }

    pub fn tags(self) -> &'a Tags {
        match self {
            Self::Vpc(r) => &r.tags,
            Self::Subnet(r) => &r.tags,
            Self::RouteTable(r) => &r.tags,
            Self::InternetGateway(r) => &r.tags,
            Self::EgressOnlyInternetGateway(r) => &r.tags,
            Self::NatGateway(r) => &r.tags,
            Self::NetworkInterface(r) => &r.tags,
            Self::Instance(r) => &r.tags,
            Self::SecurityGroup(r) => &r.tags,
            Self::NetworkAcl(r) => &r.tags,
            Self::Address(r) => &r.tags,
            Self::VpcEndpoint(r) => &r.tags,
            Self::InstanceProfile(r) => &r.tags,
        }
    }
}

impl Network {
    /// Everything that is shown, kind by kind.
    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        (self.vpcs.shown().values().map(Resource::Vpc))
            .chain(self.subnets.shown().values().map(Resource::Subnet))
            .chain(self.route_tables.shown().values().map(Resource::RouteTable))
            .chain(self.internet_gateways.shown().values().map(Resource::InternetGateway))
            .chain(self.egress_only_internet_gateways.shown().values().map(Resource::EgressOnlyInternetGateway))
            .chain(self.nat_gateways.shown().values().map(Resource::NatGateway))
            .chain(self.network_interfaces.shown().values().map(Resource::NetworkInterface))
            .chain(self.instances.shown().values().map(Resource::Instance))
            .chain(self.security_groups.shown().values().map(Resource::SecurityGroup))
            .chain(self.network_acls.shown().values().map(Resource::NetworkAcl))
            .chain(self.addresses.shown().values().map(Resource::Address))
            .chain(self.vpc_endpoints.shown().values().map(Resource::VpcEndpoint))
            .chain(self.instance_profiles.shown().values().map(Resource::InstanceProfile))
    }
}
