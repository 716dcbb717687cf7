//! Identifiers of AWS resources, a type each, so that a subnet is never passed where a VPC is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that a person gave as an identifier and that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {kind} id: expected {prefix} and 8 or 17 hexadecimal digits, like {prefix}0a1b2c3d4e5f60718")]
pub struct IdError {
    text: String,
    kind: &'static str,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident $prefix:literal $kind:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// How every identifier of this kind begins, hyphen included.
            pub const PREFIX: &'static str = $prefix;

            /// Takes an identifier as AWS gave it. What a person typed goes through `FromStr`, which checks it.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).unwrap_or_default();
                let right_length = matches!(digits.len(), 8 | 17);
                if right_length && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { text: text.to_owned(), kind: $kind, prefix: $prefix })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )+};
}

ids! {
    VpcId "vpc-" "a VPC";
    SubnetId "subnet-" "a subnet";
    RouteTableId "rtb-" "a route table";
    InternetGatewayId "igw-" "an internet gateway";
    EgressOnlyInternetGatewayId "eigw-" "an egress-only internet gateway";
    NatGatewayId "nat-" "a NAT gateway";
    NetworkInterfaceId "eni-" "a network interface";
    /// Joins a network interface and an instance.
    AttachmentId "eni-attach-" "a network interface attachment";
    InstanceId "i-" "an instance";
    ImageId "ami-" "an image";
    SecurityGroupId "sg-" "a security group";
    SecurityGroupRuleId "sgr-" "a security group rule";
    NetworkAclId "acl-" "a network ACL";
    /// An Elastic IP.
    AllocationId "eipalloc-" "an Elastic IP allocation";
    /// Joins a route table and a subnet (`rtbassoc-…`). Other associations are kept as text.
    AssociationId "rtbassoc-" "a route table association";
    VpcEndpointId "vpce-" "a VPC endpoint";
    PrefixListId "pl-" "a prefix list";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_id_is_checked_against_its_kind() {
        assert!("vpc-0a1b2c3d4e5f60718".parse::<VpcId>().is_ok());
        assert!("vpc-0a1b2c3d".parse::<VpcId>().is_ok());
        for wrong in ["", "vpc-", "subnet-0a1b2c3d", "vpc-0A1B2C3D", "vpc-0a1b2c3d4"] {
            assert!(wrong.parse::<VpcId>().is_err(), "{wrong}");
        }
        let error = "i-zzz".parse::<InstanceId>().unwrap_err().to_string();
        assert!(error.starts_with("'i-zzz' is not an instance id"), "{error}");
    }
}
