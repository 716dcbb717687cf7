//! VPC Block Public Access: one switch for the region, and what it exempts.

use super::Answer;
use crate::model::{
    BlockPublicAccess, BlockPublicAccessExclusion, ExclusionMode, InternetGatewayBlockMode, Subnet, Vpc,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

fn setting(world: &World) -> BlockPublicAccess {
    world.network.block_public_access.shown().values().next().cloned().unwrap_or(BlockPublicAccess {
        internet_gateway_block_mode: InternetGatewayBlockMode::Off,
        exclusions: Vec::new(),
    })
}

fn store(world: &mut World, setting: BlockPublicAccess) {
    let region = world.network.region.clone();
    world.network.block_public_access.items_mut().insert(region, setting);
}

fn options_xml(world: &World, setting: &BlockPublicAccess) -> Xml {
    let changed = !world.network.block_public_access.shown().is_empty();
    let options = Xml::new()
        .opt("awsAccountId", world.network.account_id.as_deref())
        .text("awsRegion", &world.network.region)
        .text("state", if changed { "update-complete" } else { "default-state" })
        .text("internetGatewayBlockMode", &setting.internet_gateway_block_mode)
        .text("managedBy", "account")
        .text("exclusionsAllowed", "allowed");
    Xml::new().node("vpcBlockPublicAccessOptions", options)
}

/// DescribeVpcBlockPublicAccessOptions
pub fn describe_options(world: &World, _query: &Query) -> Answer {
    Ok(Body::Xml(options_xml(world, &setting(world))))
}

/// ModifyVpcBlockPublicAccessOptions
pub fn modify_options(world: &mut World, query: &Query) -> Answer {
    let mode = InternetGatewayBlockMode::from(query.require("InternetGatewayBlockMode")?);
    if let InternetGatewayBlockMode::Other(other) = &mode {
        return Err(ApiError::invalid_value(format!("Value ({other}) for InternetGatewayBlockMode is invalid.")));
    }
    let setting = BlockPublicAccess { internet_gateway_block_mode: mode, ..setting(world) };
    store(world, setting.clone());
    Ok(Body::Xml(options_xml(world, &setting)))
}

fn exclusion_xml(exclusion: &BlockPublicAccessExclusion, state: &str) -> Xml {
    Xml::new()
        .text("exclusionId", &exclusion.exclusion_id)
        .text("internetGatewayExclusionMode", &exclusion.mode)
        .text("resourceArn", &exclusion.resource_arn)
        .text("state", state)
}

/// DescribeVpcBlockPublicAccessExclusions
pub fn describe_exclusions(world: &World, query: &Query) -> Answer {
    let wanted = query.list("ExclusionId");
    let rows: Vec<Xml> = setting(world)
        .exclusions
        .iter()
        .filter(|exclusion| wanted.is_empty() || wanted.iter().any(|id| *id == exclusion.exclusion_id))
        .map(|exclusion| exclusion_xml(exclusion, "create-complete"))
        .collect();
    Ok(Body::Xml(Xml::new().items("vpcBlockPublicAccessExclusionSet", rows)))
}

/// CreateVpcBlockPublicAccessExclusion: of a VPC or a subnet.
pub fn create_exclusion(world: &mut World, query: &Query) -> Answer {
    let mode = ExclusionMode::from(query.require("InternetGatewayExclusionMode")?);
    if let ExclusionMode::Other(other) = &mode {
        return Err(ApiError::invalid_value(format!("Value ({other}) for InternetGatewayExclusionMode is invalid.")));
    }
    let resource = match (query.get("VpcId"), query.get("SubnetId")) {
        (Some(vpc), None) => format!("vpc/{}", world.find::<Vpc>(vpc)?.vpc_id),
        (None, Some(subnet)) => format!("subnet/{}", world.find::<Subnet>(subnet)?.subnet_id),
        _ => return Err(ApiError::invalid_value("Either VpcId or SubnetId must be given.")),
    };
    let account = world.network.account_id.clone().unwrap_or_default();
    let resource_arn = format!("arn:aws:ec2:{}:{account}:{resource}", world.network.region);
    let exclusion = BlockPublicAccessExclusion { exclusion_id: world.new_id("vpcbpa-exclude-"), resource_arn, mode };
    let mut setting = setting(world);
    setting.exclusions.push(exclusion.clone());
    store(world, setting);
    let row = exclusion_xml(&exclusion, "create-in-progress");
    Ok(Body::Xml(Xml::new().node("vpcBlockPublicAccessExclusion", row)))
}

/// DeleteVpcBlockPublicAccessExclusion
pub fn delete_exclusion(world: &mut World, query: &Query) -> Answer {
    let id = query.require("ExclusionId")?;
    let mut setting = setting(world);
    let Some(at) = setting.exclusions.iter().position(|exclusion| exclusion.exclusion_id == id) else {
        return Err(ApiError::new(
            "InvalidVpcBlockPublicAccessExclusionId.NotFound",
            format!("The exclusion ID '{id}' does not exist"),
        ));
    };
    let exclusion = setting.exclusions.remove(at);
    store(world, setting);
    let row = exclusion_xml(&exclusion, "delete-in-progress");
    Ok(Body::Xml(Xml::new().node("vpcBlockPublicAccessExclusion", row)))
}
