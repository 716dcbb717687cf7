//! VPC Block Public Access: an account's switch for a region that stops internet gateways, and what it exempts.

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{SubnetId, VpcId};

open_enum! {
    /// `InternetGatewayBlockMode`. Both blocking modes stop instances: the one-way mode lets only NAT gateways and
    /// egress-only gateways out (VPC user guide, "Block public access to VPCs and subnets").
    InternetGatewayBlockMode {
        Off = "off",
        BlockBidirectional = "block-bidirectional",
        BlockIngress = "block-ingress",
    }
}

open_enum! {
    /// What an exclusion lets through.
    ExclusionMode {
        AllowBidirectional = "allow-bidirectional",
        /// Outbound by NAT gateways and egress-only gateways.
        AllowEgress = "allow-egress",
    }
}

/// The setting of one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPublicAccess {
    pub internet_gateway_block_mode: InternetGatewayBlockMode,
    /// In force: states that are not are left out.
    pub exclusions: Vec<BlockPublicAccessExclusion>,
}

/// A VPC or subnet that is exempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPublicAccessExclusion {
    /// `vpcbpa-exclude-…`.
    pub exclusion_id: String,
    /// Ends in `vpc/vpc-…` or `subnet/subnet-…`.
    pub resource_arn: String,
    pub mode: ExclusionMode,
}

impl BlockPublicAccess {
    /// Whether instances of this subnet may use an internet gateway.
    pub fn lets_instances_out(&self, vpc_id: &VpcId, subnet_id: Option<&SubnetId>) -> bool {
        self.internet_gateway_block_mode == InternetGatewayBlockMode::Off
            || self.exclusions.iter().any(|exclusion| {
                let resource = exclusion.resource_arn.rsplit('/').next().unwrap_or_default();
                exclusion.mode == ExclusionMode::AllowBidirectional
                    && (resource == vpc_id.as_str() || subnet_id.is_some_and(|id| resource == id.as_str()))
            })
    }

    /// Whether NAT gateways of this subnet may use an internet gateway.
    pub fn lets_nat_gateways_out(&self, vpc_id: &VpcId, subnet_id: &SubnetId) -> bool {
        self.internet_gateway_block_mode != InternetGatewayBlockMode::BlockBidirectional
            || self.exclusions.iter().any(|exclusion| {
                let resource = exclusion.resource_arn.rsplit('/').next().unwrap_or_default();
                resource == vpc_id.as_str() || resource == subnet_id.as_str()
            })
    }
}
