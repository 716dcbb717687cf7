//! What all kinds of EC2 resources have in common: identifiers with their errors, tags, where they are kept.

use crate::model::{
    Address, EgressOnlyInternetGateway, Instance, InternetGateway, Items, NatGateway, Network, NetworkAcl,
    NetworkInterface, RouteTable, SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// How a kind of resource is named, and the errors about its identifiers.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// `vpc-`
    pub prefix: &'static str,
    pub malformed: &'static str,
    pub not_found: &'static str,
    /// The message of `not_found`, with `{}` for the identifier.
    pub missing: &'static str,
    /// The resource type in TagSpecification and DescribeTags.
    pub tag_type: &'static str,
}

impl Kind {
    /// Whether the text could be an identifier of this kind.
    pub fn check(&self, id: &str) -> Result<(), ApiError> {
        let digits = id.strip_prefix(self.prefix).unwrap_or_default();
        let plausible =
            matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if plausible {
            return Ok(());
        }
        Err(ApiError::new(self.malformed, format!("Invalid id: \"{id}\" (expecting \"{}...\")", self.prefix)))
    }

    pub fn not_found(&self, id: &str) -> ApiError {
        ApiError::new(self.not_found, self.missing.replace("{}", id))
    }
}

/// A kind of resource that the network snapshot holds.
pub trait Noun: Clone + 'static {
    const KIND: Kind;
    fn items(network: &Network) -> &Items<Self>;
    fn items_mut(network: &mut Network) -> &mut Items<Self>;
    fn id(&self) -> &str;
    fn tags(&self) -> &Tags;
    fn tags_mut(&mut self) -> &mut Tags;
}

macro_rules! nouns {
    ($($name:ident $part:ident $id:ident $prefix:literal $malformed:literal $not_found:literal $missing:literal $tag_type:literal;)+) => {
        $(impl Noun for $name {
            const KIND: Kind = Kind {
                prefix: $prefix,
                malformed: $malformed,
                not_found: $not_found,
                missing: $missing,
                tag_type: $tag_type,
            };

            fn items(network: &Network) -> &Items<Self> {
                network.$part.shown()
            }

            fn items_mut(network: &mut Network) -> &mut Items<Self> {
                network.$part.items_mut()
            }

            fn id(&self) -> &str {
                self.$id.as_str()
            }

            fn tags(&self) -> &Tags {
                &self.tags
            }

            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.tags
            }
        })+
    };
}

nouns! {
    Vpc vpcs vpc_id "vpc-" "InvalidVpcID.Malformed" "InvalidVpcID.NotFound" "The vpc ID '{}' does not exist" "vpc";
    Subnet subnets subnet_id "subnet-" "InvalidSubnetID.Malformed" "InvalidSubnetID.NotFound" "The subnet ID '{}' does not exist" "subnet";
    RouteTable route_tables route_table_id "rtb-" "InvalidRouteTableId.Malformed" "InvalidRouteTableID.NotFound" "The routeTable ID '{}' does not exist" "route-table";
    InternetGateway internet_gateways internet_gateway_id "igw-" "InvalidInternetGatewayId.Malformed" "InvalidInternetGatewayID.NotFound" "The internetGateway ID '{}' does not exist" "internet-gateway";
    EgressOnlyInternetGateway egress_only_internet_gateways egress_only_internet_gateway_id "eigw-" "InvalidEgressOnlyInternetGatewayId.Malformed" "InvalidGatewayID.NotFound" "The gateway ID '{}' does not exist" "egress-only-internet-gateway";
    NatGateway nat_gateways nat_gateway_id "nat-" "NatGatewayMalformed" "NatGatewayNotFound" "NatGateway {} was not found" "natgateway";
    NetworkInterface network_interfaces network_interface_id "eni-" "InvalidNetworkInterfaceId.Malformed" "InvalidNetworkInterfaceID.NotFound" "The networkInterface ID '{}' does not exist" "network-interface";
    Instance instances instance_id "i-" "InvalidInstanceID.Malformed" "InvalidInstanceID.NotFound" "The instance ID '{}' does not exist" "instance";
    SecurityGroup security_groups group_id "sg-" "InvalidGroupId.Malformed" "InvalidGroup.NotFound" "The security group '{}' does not exist" "security-group";
    NetworkAcl network_acls network_acl_id "acl-" "InvalidNetworkAclId.Malformed" "InvalidNetworkAclID.NotFound" "The networkAcl ID '{}' does not exist" "network-acl";
    Address addresses allocation_id "eipalloc-" "InvalidAllocationID.Malformed" "InvalidAllocationID.NotFound" "The allocation ID '{}' does not exist" "elastic-ip";
    VpcEndpoint vpc_endpoints vpc_endpoint_id "vpce-" "InvalidVpcEndpointId.Malformed" "InvalidVpcEndpointId.NotFound" "The Vpc Endpoint Id '{}' does not exist" "vpc-endpoint";
}

impl World {
    /// The resource that a request names. It must be visible as well as exist.
    pub fn find<T: Noun>(&self, id: &str) -> Result<&T, ApiError> {
        T::KIND.check(id)?;
        let seen = self.consistency.is_zero() || T::items(self.seen()).contains_key(id);
        self.get(id).filter(|_| seen).ok_or_else(|| T::KIND.not_found(id))
    }

    /// The same, to be changed.
    pub fn find_mut<T: Noun>(&mut self, id: &str) -> Result<&mut T, ApiError> {
        self.find::<T>(id)?;
        self.get_mut(id).ok_or_else(|| T::KIND.not_found(id))
    }

    /// A resource, visible or not.
    pub fn get<T: Noun>(&self, id: impl AsRef<str>) -> Option<&T> {
        T::items(&self.network).get(id.as_ref())
    }

    /// The same, to be changed.
    pub fn get_mut<T: Noun>(&mut self, id: impl AsRef<str>) -> Option<&mut T> {
        T::items_mut(&mut self.network).get_mut(id.as_ref())
    }

    /// All resources of a kind.
    pub fn all<T: Noun>(&self) -> impl Iterator<Item = &T> {
        T::items(&self.network).values()
    }

    /// Puts a resource into the world.
    pub fn insert<T: Noun>(&mut self, resource: T) {
        let id = resource.id().to_owned();
        T::items_mut(&mut self.network).insert(id, resource);
    }

    /// Takes a resource out of the world.
    pub fn remove<T: Noun>(&mut self, id: impl AsRef<str>) -> Option<T> {
        T::items_mut(&mut self.network).remove(id.as_ref())
    }
}
