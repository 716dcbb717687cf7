//! Waiting until what was made is visible and in the state that the next step needs.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::types as sdk;

use super::Context;
use super::find::interface_by_id;
use super::make::primary_interface;
use crate::aws::error::{Error, Kind};
use crate::aws::poll::Backoff;
use crate::model::{InstanceId, NetworkInterfaceId, SubnetId, VpcEndpointId};
use crate::plan::{Call, Output};

/// What one look found.
pub(super) enum Look {
    /// It is as wanted.
    There,
    /// Not yet: the state that it is in.
    Yet(String),
    /// It will never be: why.
    Never(String),
}

/// Looks with back-off until it is as wanted. `…NotFound` is "not yet": what was just made may not be visible.
pub(super) async fn until<F>(
    context: Context<'_>,
    what: &str,
    total: Duration,
    look: impl Fn() -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<Look, Error>>,
{
    let mut backoff = Backoff::for_state(total);
    let mut told = String::new();
    loop {
        let state = match look().await {
            Ok(Look::There) => return Ok(()),
            Ok(Look::Yet(state)) => state,
            Ok(Look::Never(why)) => {
                return Err(Error::new(Kind::NotSettled, context.step.operation(), format!("{what} is {why}")));
            }
            Err(error) if error.is_not_found() => "not visible yet".to_owned(),
            // The SDK has tried for long; the next look may fare better.
            Err(error) if error.is_throttled() || matches!(error.kind, Kind::TimedOut { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        if state != told {
            (context.say)(format!("{what} is {state}"));
            told.clone_from(&state);
        }
        if !backoff.wait().await {
            let message = format!("{what} is still {state} after {} s", total.as_secs());
            return Err(Error::new(Kind::NotSettled, context.step.operation(), message));
        }
    }
}

/// A subnet's exclusion from VPC Block Public Access that is not on its way out.
pub(super) async fn exclusion_of(
    context: Context<'_>,
    subnet: &SubnetId,
) -> Result<Option<sdk::VpcBlockPublicAccessExclusion>, Error> {
    let request = context.session.ec2().describe_vpc_block_public_access_exclusions().max_results(1000);
    let answer = super::on_heap(|| request.send())
        .await
        .map_err(context.session.on("DescribeVpcBlockPublicAccessExclusions"))?;
    let gone = |state: &str| state.starts_with("delete") || state == "create-failed";
    let of_subnet = |one: &sdk::VpcBlockPublicAccessExclusion| {
        one.resource_arn.as_deref().and_then(|arn| arn.rsplit('/').next()) == Some(subnet.as_str())
            && !one.state.as_ref().is_some_and(|state| gone(state.as_str()))
    };
    Ok(answer.vpc_block_public_access_exclusions.unwrap_or_default().into_iter().find(of_subnet))
}

/// Waits until a subnet's exclusion applies: minutes, says the VPC user guide.
pub(super) async fn exclusion_in_force(context: Context<'_>, subnet: &SubnetId) -> Result<(), Error> {
    until(context, &format!("the exclusion of {subnet}"), Duration::from_secs(600), || async {
        let found = exclusion_of(context, subnet).await?;
        Ok(match found.as_ref().map(|one| one.state.as_ref().map(sdk::VpcBlockPublicAccessExclusionState::as_str)) {
            None => Look::Yet("not visible yet".to_owned()),
            Some(Some("create-complete" | "update-complete") | None) => Look::There,
            Some(Some(state)) => Look::Yet(state.to_owned()),
        })
    })
    .await
}

/// Waits as the call needs, then returns the output.
pub(super) async fn settle(context: Context<'_>, output: Output) -> Result<Output, Error> {
    let session = context.session;
    let ec2 = session.ec2();
    let seconds = Duration::from_secs;
    macro_rules! visible {
        ($operation:literal, $what:expr, $request:expr, $items:ident, $good:expr) => {
            until(context, $what, seconds(120), || async {
                let answer = $request.send().await.map_err(session.on($operation))?;
                Ok(match answer.$items.unwrap_or_default().into_iter().next() {
                    None => Look::Yet("not visible yet".to_owned()),
                    Some(found) => $good(found),
                })
            })
            .await?
        };
    }
    let available = |state: Option<&str>| match state {
        Some("available") | None => Look::There,
        Some(state) => Look::Yet(state.to_owned()),
    };
    let vpc_state = |vpc: sdk::Vpc| available(vpc.state.as_ref().map(sdk::VpcState::as_str));
    match &output {
        Output::Vpc(id) => {
            visible!("DescribeVpcs", id.as_str(), ec2.describe_vpcs().vpc_ids(id.as_str()), vpcs, vpc_state);
        }
        Output::Subnet(id) => visible!(
            "DescribeSubnets",
            id.as_str(),
            ec2.describe_subnets().subnet_ids(id.as_str()),
            subnets,
            |subnet: sdk::Subnet| available(subnet.state.as_ref().map(sdk::SubnetState::as_str))
        ),
        Output::RouteTable(id) => visible!(
            "DescribeRouteTables",
            id.as_str(),
            ec2.describe_route_tables().route_table_ids(id.as_str()),
            route_tables,
            |_| Look::There
        ),
        Output::InternetGateway(id) => visible!(
            "DescribeInternetGateways",
            id.as_str(),
            ec2.describe_internet_gateways().internet_gateway_ids(id.as_str()),
            internet_gateways,
            |_| Look::There
        ),
        Output::SecurityGroup(id) => visible!(
            "DescribeSecurityGroups",
            id.as_str(),
            ec2.describe_security_groups().group_ids(id.as_str()),
            security_groups,
            |_| Look::There
        ),
        Output::Address { allocation_id, .. } => visible!(
            "DescribeAddresses",
            allocation_id.as_str(),
            ec2.describe_addresses().allocation_ids(allocation_id.as_str()),
            addresses,
            |_| Look::There
        ),
        Output::VpcEndpoint(id) => endpoint_available(context, id).await?,
        Output::Instance { instance_id, .. } => instance_running(context, instance_id).await?,
        Output::NetworkInterface(id) => interface_visible(context, id).await?,
        Output::Attachment(_) => {
            if let Call::AttachNetworkInterface { network_interface, .. } = &context.step.call {
                interface_attached(context, &network_interface.resolve(context.outputs)?).await?;
            }
        }
        // IAM's own reads see their writes late as well; the calls that need them are repeated until they do.
        Output::Role(_)
        | Output::InstanceProfile(_)
        | Output::None
        | Output::RouteTableAssociation(_)
        | Output::AddressAssociation(_) => {}
    }
    Ok(output)
}

/// The interface at device index 0 of an instance that was listed without any.
pub(super) async fn interface_listed(context: Context<'_>, id: &InstanceId) -> Result<NetworkInterfaceId, Error> {
    let listed = Mutex::new(None);
    until(context, id.as_str(), Duration::from_secs(120), || async {
        let request = context.session.ec2().describe_instances().instance_ids(id.as_str());
        let answer = request.send().await.map_err(context.session.on("DescribeInstances"))?;
        let mut instances = answer.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances);
        let interface = instances.find_map(primary_interface);
        *listed.lock().unwrap_or_else(PoisonError::into_inner) = interface.clone();
        Ok(interface.map_or_else(|| Look::Yet("without an interface yet".to_owned()), |_| Look::There))
    })
    .await?;
    let interface = listed.into_inner().unwrap_or_else(PoisonError::into_inner);
    interface.ok_or(Error::missing("DescribeInstances", "NetworkInterfaces.NetworkInterfaceId"))
}

/// The state of an instance. `None`: EC2 does not list it any more.
pub(super) async fn instance_state(context: Context<'_>, id: &InstanceId) -> Result<Option<String>, Error> {
    let request = context.session.ec2().describe_instances().instance_ids(id.as_str());
    let answer = request.send().await.map_err(context.session.on("DescribeInstances"))?;
    let reservations = answer.reservations.unwrap_or_default().into_iter();
    let instance = reservations.flat_map(|reservation| reservation.instances.unwrap_or_default()).next();
    Ok(instance.and_then(|i| i.state).and_then(|state| state.name).map(|name| name.as_str().to_owned()))
}

pub(super) async fn instance_running(context: Context<'_>, id: &InstanceId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(300), || async {
        Ok(match instance_state(context, id).await?.as_deref() {
            Some("running") => Look::There,
            // AWS ends an instance that cannot be started: no capacity, no access to the volume's key.
            Some(state @ ("terminated" | "shutting-down")) => Look::Never(format!("{state} instead of running")),
            // One that was found stopped exists; starting it is a matter of its own.
            Some("stopped") => Look::There,
            Some(state) => Look::Yet(state.to_owned()),
            None => Look::Yet("not visible yet".to_owned()),
        })
    })
    .await
}

/// Waits until the instance is gone for good, so that its interfaces and groups are free.
pub(super) async fn instance_terminated(context: Context<'_>, id: &InstanceId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(300), || async {
        match instance_state(context, id).await {
            Ok(None) => Ok(Look::There),
            Ok(Some(state)) if state == "terminated" => Ok(Look::There),
            Ok(Some(state)) => Ok(Look::Yet(state)),
            Err(error) if error.is_not_found() => Ok(Look::There),
            Err(error) => Err(error),
        }
    })
    .await
}

async fn interface_visible(context: Context<'_>, id: &NetworkInterfaceId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(120), || async {
        let interface = interface_by_id(context, id.as_str()).await?;
        Ok(match interface.and_then(|interface| interface.status).as_ref().map(sdk::NetworkInterfaceStatus::as_str) {
            None => Look::Yet("not visible yet".to_owned()),
            Some("pending") => Look::Yet("pending".to_owned()),
            // One that was made earlier may be attached by now.
            Some(_) => Look::There,
        })
    })
    .await
}

async fn interface_attached(context: Context<'_>, id: &NetworkInterfaceId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(120), || async {
        let attachment = interface_by_id(context, id.as_str()).await?.and_then(|interface| interface.attachment);
        Ok(match attachment.and_then(|a| a.status).as_ref().map(sdk::AttachmentStatus::as_str) {
            Some("attached") => Look::There,
            Some(state) => Look::Yet(state.to_owned()),
            None => Look::Yet("not attached yet".to_owned()),
        })
    })
    .await
}

/// Waits until the interface is free. One that is gone is free.
pub(super) async fn interface_detached(context: Context<'_>, id: &NetworkInterfaceId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(120), || async {
        match interface_by_id(context, id.as_str()).await {
            Ok(None) => Ok(Look::There),
            Ok(Some(interface)) => Ok(match interface.status.as_ref().map(sdk::NetworkInterfaceStatus::as_str) {
                Some("available") => Look::There,
                state => Look::Yet(state.unwrap_or("in an unknown state").to_owned()),
            }),
            Err(error) if error.is_not_found() => Ok(Look::There),
            Err(error) => Err(error),
        }
    })
    .await
}

/// The state of an endpoint in lower case, and its interfaces. `None`: it is gone.
async fn endpoint(context: Context<'_>, id: &VpcEndpointId) -> Result<Option<(String, Vec<String>)>, Error> {
    let request = context.session.ec2().describe_vpc_endpoints().vpc_endpoint_ids(id.as_str());
    let answer = match request.send().await.map_err(context.session.on("DescribeVpcEndpoints")) {
        Ok(answer) => answer,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let endpoint = answer.vpc_endpoints.unwrap_or_default().into_iter().next();
    Ok(endpoint.map(|endpoint| {
        let state = endpoint.state.map(|state| state.as_str().to_ascii_lowercase()).unwrap_or_default();
        (state, endpoint.network_interface_ids.unwrap_or_default())
    }))
}

async fn endpoint_available(context: Context<'_>, id: &VpcEndpointId) -> Result<(), Error> {
    until(context, id.as_str(), Duration::from_secs(600), || async {
        Ok(match endpoint(context, id).await? {
            None => Look::Yet("not visible yet".to_owned()),
            Some((state, _)) => match state.as_str() {
                "available" => Look::There,
                "failed" | "rejected" | "expired" | "deleting" | "deleted" => {
                    Look::Never(format!("{state} instead of available"))
                }
                _ => Look::Yet(state),
            },
        })
    })
    .await
}

/// Waits until the endpoint and its interfaces are gone: they keep the subnet and the group in use.
pub(super) async fn endpoint_gone(context: Context<'_>, id: &VpcEndpointId) -> Result<(), Error> {
    let interfaces = endpoint(context, id).await?.map(|(_, interfaces)| interfaces).unwrap_or_default();
    until(context, id.as_str(), Duration::from_secs(600), || async {
        match endpoint(context, id).await? {
            Some((state, _)) if state != "deleted" => return Ok(Look::Yet(state)),
            _ => {}
        }
        for interface in &interfaces {
            match interface_by_id(context, interface).await {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(Look::Yet(format!("gone, its interface {interface} is not yet"))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Look::There)
    })
    .await
}
