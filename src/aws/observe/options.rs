//! Settings that are not resources: VPC Block Public Access, and the CPU credits of burstable instances.

use std::collections::BTreeMap;

use super::{Gathered, within};
use crate::aws::error::Error;
use crate::aws::session::Session;
use crate::model::{
    BlockPublicAccess, BlockPublicAccessExclusion, ExclusionMode, InternetGatewayBlockMode, Network, Unknown,
};

/// The region's setting. What is exempt is asked only when something is blocked.
pub(super) async fn block_public_access(session: &Session) -> Result<Gathered<BlockPublicAccess>, Unknown> {
    const OPERATION: &str = "DescribeVpcBlockPublicAccessOptions";
    let options = within(OPERATION, async {
        let answer = session.ec2().describe_vpc_block_public_access_options().send().await;
        let answer = answer.map_err(session.on(OPERATION))?;
        answer.vpc_block_public_access_options.ok_or(Error::missing(OPERATION, "VpcBlockPublicAccessOptions"))
    })
    .await?;
    let mode = options.internet_gateway_block_mode.map(|mode| InternetGatewayBlockMode::from(mode.as_str()));
    let mode = mode.unwrap_or(InternetGatewayBlockMode::Off);
    let mut exclusions = Vec::new();
    if mode != InternetGatewayBlockMode::Off {
        // Where these are not known, whether the path is exempt is not, so the whole setting is not.
        exclusions = Box::pin(self::exclusions(session)).await?;
    }
    let setting = BlockPublicAccess { internet_gateway_block_mode: mode, exclusions };
    Ok(Gathered { items: vec![(session.region().to_owned(), setting)], gaps: Vec::new() })
}

async fn exclusions(session: &Session) -> Result<Vec<BlockPublicAccessExclusion>, Unknown> {
    const OPERATION: &str = "DescribeVpcBlockPublicAccessExclusions";
    let all = within(OPERATION, async {
        let mut all = Vec::new();
        let mut token = None;
        loop {
            let request = session.ec2().describe_vpc_block_public_access_exclusions().max_results(1000);
            let answer = request.set_next_token(token).send().await.map_err(session.on(OPERATION))?;
            all.extend(answer.vpc_block_public_access_exclusions.unwrap_or_default());
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(all);
            }
        }
    })
    .await?;
    let in_force = |state: &str| matches!(state, "create-complete" | "update-complete" | "update-in-progress");
    Ok(all
        .into_iter()
        .filter(|exclusion| exclusion.state.as_ref().is_none_or(|state| in_force(state.as_str())))
        .filter_map(|exclusion| {
            Some(BlockPublicAccessExclusion {
                exclusion_id: exclusion.exclusion_id?,
                resource_arn: exclusion.resource_arn?,
                mode: ExclusionMode::from(exclusion.internet_gateway_exclusion_mode?.as_str()),
            })
        })
        .collect())
}

/// The name servers of each DHCP options set, by identifier. A set that names none has none.
pub(super) async fn name_servers(session: &Session) -> Result<BTreeMap<String, Vec<String>>, Unknown> {
    const OPERATION: &str = "DescribeDhcpOptions";
    let sets = within(OPERATION, async {
        let request = session.ec2().describe_dhcp_options().max_results(1000).into_paginator().items().send();
        request.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))
    })
    .await?;
    let named = |set: aws_sdk_ec2::types::DhcpOptions| {
        let configurations = set.dhcp_configurations.unwrap_or_default().into_iter();
        let of_servers = configurations.filter(|one| one.key.as_deref() == Some("domain-name-servers"));
        let servers = of_servers.flat_map(|one| one.values.unwrap_or_default()).filter_map(|value| value.value);
        Some((set.dhcp_options_id?, servers.collect()))
    };
    Ok(sets.into_iter().filter_map(named).collect())
}

/// The burstable instances whose credits are unlimited. Asked without identifiers, AWS names only those.
pub(super) async fn unlimited(session: &Session) -> Result<Vec<String>, Unknown> {
    const OPERATION: &str = "DescribeInstanceCreditSpecifications";
    within(OPERATION, async {
        let request = session.ec2().describe_instance_credit_specifications().max_results(1000);
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))
    })
    .await
    .map(|all| {
        let unlimited = all.into_iter().filter(|one| one.cpu_credits.as_deref() == Some("unlimited"));
        unlimited.filter_map(|one| one.instance_id).collect()
    })
}

/// `standard` is every burstable instance that is not unlimited.
pub(super) fn add_credits(network: &mut Network, unlimited: &[String]) {
    let instances = network.instances.items_mut().values_mut();
    for instance in instances.filter(|instance| instance.is_burstable()) {
        let mode =
            if unlimited.iter().any(|id| id == instance.instance_id.as_str()) { "unlimited" } else { "standard" };
        instance.cpu_credits = Some(mode.to_owned());
    }
}
