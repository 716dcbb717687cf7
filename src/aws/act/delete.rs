//! Deletes and detaches. What is gone already counts as done; what is in use only for a moment is waited for.

use std::time::Duration;

use aws_sdk_ec2::types as sdk;

use super::settle::{endpoint_gone, instance_state, instance_terminated, interface_detached};
use super::{Context, iam, on_heap, request};
use crate::aws::error::{Error, Kind};
use crate::aws::poll::Backoff;
use crate::model::{InstanceId, NetworkInterfaceId, VpcEndpointId};
use crate::plan::Call;

/// How long a blocker that is going away may take: an instance that shuts down, an endpoint's interface.
const GOING_AWAY: Duration = Duration::from_secs(300);
/// How many refusals are not believed although no blocker can be seen: AWS's own bookkeeping lags.
const DISBELIEVED: u32 = 4;

/// Carries out a step that deletes.
pub(super) async fn delete(context: Context<'_>) -> Result<(), Error> {
    let mut backoff = Backoff::for_state(GOING_AWAY);
    let mut unseen = 0;
    loop {
        let error = match send(context).await {
            Ok(()) => break,
            Err(error) if error.is_not_found() => break,
            Err(error) => error,
        };
        // Deletions may be sent twice: a lost answer is answered by sending again.
        if !is_in_use(context, &error) && !error.is_ambiguous() {
            return Err(error);
        }
        if !blocker_is_going_away(context).await {
            unseen += 1;
            if unseen > DISBELIEVED {
                return Err(error);
            }
        }
        (context.say)(format!("{}: still in use", context.step.operation()));
        if !backoff.wait().await {
            return Err(error);
        }
    }
    settled(context).await
}

/// EC2 has more than one code for "in use", among them its catch-all.
fn is_in_use(context: Context<'_>, error: &Error) -> bool {
    let catch_all = matches!(
        context.step.call,
        Call::DeleteNetworkInterface { .. } | Call::DeleteSecurityGroup { .. } | Call::ReleaseAddress { .. }
    );
    error.is_dependency_violation() || catch_all && error.has_code("InvalidParameterValue")
}

async fn send(context: Context<'_>) -> Result<(), Error> {
    let session = context.session;
    let ec2 = session.ec2();
    let outputs = context.outputs;
    macro_rules! send {
        ($operation:literal, $request:expr) => {{
            let request = $request;
            on_heap(|| request.send()).await.map(drop).map_err(session.on($operation))
        }};
    }
    match &context.step.call {
        Call::DeleteRoute { route_table, destination } => send!(
            "DeleteRoute",
            ec2.delete_route()
                .route_table_id(route_table.resolve(outputs)?.as_str())
                .destination_cidr_block(destination.to_string())
        ),
        Call::TerminateInstances { instance } => {
            send!("TerminateInstances", ec2.terminate_instances().instance_ids(instance.as_str()))
        }
        Call::DetachNetworkInterface { attachment, .. } => {
            send!("DetachNetworkInterface", ec2.detach_network_interface().attachment_id(attachment.as_str()))
        }
        Call::DeleteNetworkInterface { network_interface } => send!(
            "DeleteNetworkInterface",
            ec2.delete_network_interface().network_interface_id(network_interface.as_str())
        ),
        Call::DisassociateAddress { association_id } => {
            send!("DisassociateAddress", ec2.disassociate_address().association_id(association_id))
        }
        Call::ReleaseAddress { allocation_id } => {
            send!("ReleaseAddress", ec2.release_address().allocation_id(allocation_id.as_str()))
        }
        Call::DeleteVpcEndpoints { vpc_endpoint } => delete_vpc_endpoint(context, vpc_endpoint).await,
        Call::RevokeSecurityGroupIngress { group, rule } => send!(
            "RevokeSecurityGroupIngress",
            ec2.revoke_security_group_ingress()
                .group_id(group.as_str())
                .ip_permissions(request::permission(context, rule)?)
        ),
        Call::DeleteSecurityGroup { group } => {
            send!("DeleteSecurityGroup", ec2.delete_security_group().group_id(group.as_str()))
        }
        Call::DisassociateRouteTable { association_id } => {
            send!("DisassociateRouteTable", ec2.disassociate_route_table().association_id(association_id.as_str()))
        }
        Call::DeleteRouteTable { route_table } => {
            send!("DeleteRouteTable", ec2.delete_route_table().route_table_id(route_table.as_str()))
        }
        Call::DeleteSubnet { subnet } => send!("DeleteSubnet", ec2.delete_subnet().subnet_id(subnet.as_str())),
        Call::DetachInternetGateway { internet_gateway, vpc } => send!(
            "DetachInternetGateway",
            ec2.detach_internet_gateway().internet_gateway_id(internet_gateway.as_str()).vpc_id(vpc.as_str())
        ),
        Call::DeleteInternetGateway { internet_gateway } => {
            send!("DeleteInternetGateway", ec2.delete_internet_gateway().internet_gateway_id(internet_gateway.as_str()))
        }
        Call::DeleteVpc { vpc } => send!("DeleteVpc", ec2.delete_vpc().vpc_id(vpc.as_str())),
        Call::DeleteTags { resource, keys } => {
            let tags = keys.iter().map(|key| sdk::Tag::builder().key(key).build()).collect();
            send!("DeleteTags", ec2.delete_tags().resources(resource.as_str()).set_tags(Some(tags)))
        }
        Call::RemoveRoleFromInstanceProfile { .. }
        | Call::DetachRolePolicy { .. }
        | Call::DeleteInstanceProfile { .. }
        | Call::DeleteRole { .. } => iam::delete(context).await,
        _ => Err(Error::new(Kind::NotHere, context.step.operation(), "this call deletes nothing")),
    }
}

/// AWS reports the failure of this call inside a successful answer.
async fn delete_vpc_endpoint(context: Context<'_>, id: &VpcEndpointId) -> Result<(), Error> {
    const OPERATION: &str = "DeleteVpcEndpoints";
    let request = context.session.ec2().delete_vpc_endpoints().vpc_endpoint_ids(id.as_str());
    let answer = request.send().await.map_err(context.session.on(OPERATION))?;
    match answer.unsuccessful.unwrap_or_default().into_iter().find_map(|item| item.error) {
        Some(error) => {
            let code = error.code.unwrap_or_default();
            Err(Error::of_code(OPERATION, &code, error.message.as_deref().unwrap_or_default()))
        }
        None => Ok(()),
    }
}

/// Waits until what depends on the deletion can go on.
async fn settled(context: Context<'_>) -> Result<(), Error> {
    match &context.step.call {
        Call::TerminateInstances { instance } => instance_terminated(context, instance).await,
        Call::DetachNetworkInterface { network_interface, .. } => interface_detached(context, network_interface).await,
        Call::DeleteVpcEndpoints { vpc_endpoint } => endpoint_gone(context, vpc_endpoint).await,
        _ => Ok(()),
    }
}

/// Whether something in or on the resource is about to go by itself. An error of the question is "no".
async fn blocker_is_going_away(context: Context<'_>) -> bool {
    let (filter, value) = match &context.step.call {
        Call::DeleteSubnet { subnet } => ("subnet-id", subnet.as_str()),
        Call::DeleteSecurityGroup { group } => ("group-id", group.as_str()),
        Call::DeleteVpc { vpc } | Call::DetachInternetGateway { vpc, .. } => ("vpc-id", vpc.as_str()),
        Call::DeleteNetworkInterface { network_interface } => ("network-interface-id", network_interface.as_str()),
        _ => return false,
    };
    let filter = sdk::Filter::builder().name(filter).values(value).build();
    let request = context.session.ec2().describe_network_interfaces().filters(filter);
    let Ok(answer) = request.send().await else { return false };
    for interface in answer.network_interfaces.unwrap_or_default() {
        if is_going_away(context, &interface).await {
            return true;
        }
    }
    false
}

async fn is_going_away(context: Context<'_>, interface: &sdk::NetworkInterface) -> bool {
    if interface.status.as_ref().is_some_and(|status| status.as_str() == "detaching") {
        return true;
    }
    let attachment = interface.attachment.as_ref();
    if let Some(instance) = attachment.and_then(|a| a.instance_id.as_deref()).filter(|id| !id.is_empty()) {
        let state = instance_state(context, &InstanceId::new(instance)).await;
        return matches!(state, Ok(Some(state)) if state == "shutting-down" || state == "terminated");
    }
    if interface.requester_managed != Some(true) {
        return false;
    }
    // An endpoint's interface outlives the endpoint for a while. Whose it is stands in no field but its endpoint's.
    let Some(id) = interface.network_interface_id.as_deref() else { return false };
    !held_by_living_endpoint(context, &NetworkInterfaceId::new(id), interface.vpc_id.as_deref()).await
}

async fn held_by_living_endpoint(context: Context<'_>, id: &NetworkInterfaceId, vpc_id: Option<&str>) -> bool {
    let filter = vpc_id.map(|vpc_id| vec![sdk::Filter::builder().name("vpc-id").values(vpc_id).build()]);
    let request = context.session.ec2().describe_vpc_endpoints().set_filters(filter);
    let Ok(answer) = request.send().await else { return true };
    answer.vpc_endpoints.unwrap_or_default().iter().any(|endpoint| {
        let state = endpoint.state.as_ref().map(|state| state.as_str().to_ascii_lowercase());
        let living = !matches!(state.as_deref(), Some("deleting" | "deleted"));
        living && endpoint.network_interface_ids().iter().any(|held| held == id.as_str())
    })
}
