//! What only repairs do: made, taken back, and sent with `DryRun`. All of it may be done twice.

use aws_sdk_ec2::types as sdk;

use super::{Context, on_heap, request};
use crate::aws::error::{Error, Kind};
use crate::aws::run_command::{CommandResult, RunOptions, run_command};
use crate::model::{AclDirection, AclEntry, InstanceId, SubnetId};
use crate::plan::{RepairCall, RouteVia};

macro_rules! send {
    ($context:ident, $operation:literal, $request:expr) => {{
        let request = $request;
        on_heap(|| request.send()).await.map_err($context.session.on($operation))
    }};
}

pub(super) async fn make(context: Context<'_>, call: &RepairCall) -> Result<(), Error> {
    let ec2 = context.session.ec2();
    let made = match call {
        RepairCall::StartInstances { instance } => {
            send!(context, "StartInstances", ec2.start_instances().instance_ids(instance.as_str()))?;
            return settled(context, instance).await;
        }
        RepairCall::RebootInstances { instance } => {
            send!(context, "RebootInstances", ec2.reboot_instances().instance_ids(instance.as_str()))?;
            return settled(context, instance).await;
        }
        RepairCall::AuthorizeSecurityGroupEgress { group, rule } => {
            let permission = request::permission(context, rule)?;
            let request = ec2.authorize_security_group_egress().group_id(group.as_str()).ip_permissions(permission);
            send!(context, "AuthorizeSecurityGroupEgress", request).map(drop)
        }
        RepairCall::CreateBlockPublicAccessExclusion { subnet } => {
            return on_heap(|| exclude(context, subnet, false)).await;
        }
        RepairCall::CreateNetworkAclEntry { network_acl, entry } => {
            send!(context, "CreateNetworkAclEntry", acl_entry(context, network_acl.as_str(), entry)).map(drop)
        }
        RepairCall::MoveAddress { allocation_id, network_interface, .. } => {
            let request = ec2.associate_address().allocation_id(allocation_id.as_str()).allow_reassociation(true);
            let request = request.network_interface_id(network_interface.as_str());
            send!(context, "AssociateAddress", request).map(drop)
        }
        RepairCall::DeleteRoute { route_table, destination, .. } => {
            let request = ec2.delete_route().route_table_id(route_table.as_str());
            let sent = send!(context, "DeleteRoute", request.destination_cidr_block(destination.to_string())).map(drop);
            return match sent {
                Err(error) if error.is_not_found() => Ok(()),
                other => other,
            };
        }
        RepairCall::RunOnHost { instance, script, .. } => return run(context, instance, script).await,
    };
    match made {
        // From a call whose answer was lost.
        Err(error) if error.is_duplicate() => Ok(()),
        other => other,
    }
}

pub(super) async fn undo(context: Context<'_>, call: &RepairCall) -> Result<(), Error> {
    let ec2 = context.session.ec2();
    let undone = match call {
        RepairCall::StartInstances { instance } => {
            send!(context, "StopInstances", ec2.stop_instances().instance_ids(instance.as_str())).map(drop)
        }
        RepairCall::RebootInstances { .. } => Ok(()),
        RepairCall::AuthorizeSecurityGroupEgress { group, rule } => {
            let permission = request::permission(context, rule)?;
            let request = ec2.revoke_security_group_egress().group_id(group.as_str()).ip_permissions(permission);
            send!(context, "RevokeSecurityGroupEgress", request).map(drop)
        }
        RepairCall::CreateBlockPublicAccessExclusion { subnet } => on_heap(|| exclude_no_more(context, subnet)).await,
        RepairCall::CreateNetworkAclEntry { network_acl, entry } => {
            let request = (ec2.delete_network_acl_entry())
                .network_acl_id(network_acl.as_str())
                .egress(entry.direction == AclDirection::Egress)
                .rule_number(i32::try_from(entry.rule_number).unwrap_or(i32::MAX));
            send!(context, "DeleteNetworkAclEntry", request).map(drop)
        }
        RepairCall::MoveAddress { allocation_id, previous, .. } => match previous {
            Some(previous) => {
                let request = ec2.associate_address().allocation_id(allocation_id.as_str()).allow_reassociation(true);
                let request = request.network_interface_id(previous.as_str());
                send!(context, "AssociateAddress", request).map(drop)
            }
            None => Ok(()),
        },
        RepairCall::DeleteRoute { route_table, destination, previous } => {
            let target = request::target(context, &RouteVia::Target(previous.clone()))?;
            let request = request::create_route(ec2, route_table.as_str(), *destination, &target)?;
            match send!(context, "CreateRoute", request).map(drop) {
                Err(error) if error.is_duplicate() => Ok(()),
                other => other,
            }
        }
        RepairCall::RunOnHost { instance, undo, .. } => match undo {
            Some(script) => run(context, instance, script).await,
            None => Ok(()),
        },
    };
    match undone {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

pub(super) async fn dry_run(context: Context<'_>, call: &RepairCall) -> Result<(), Error> {
    let ec2 = context.session.ec2();
    match call {
        RepairCall::StartInstances { instance } => {
            let request = ec2.start_instances().instance_ids(instance.as_str()).dry_run(true);
            send!(context, "StartInstances", request).map(drop)
        }
        RepairCall::RebootInstances { instance } => {
            let request = ec2.reboot_instances().instance_ids(instance.as_str()).dry_run(true);
            send!(context, "RebootInstances", request).map(drop)
        }
        RepairCall::AuthorizeSecurityGroupEgress { group, rule } => {
            let permission = request::permission(context, rule)?;
            let request = ec2.authorize_security_group_egress().group_id(group.as_str()).ip_permissions(permission);
            send!(context, "AuthorizeSecurityGroupEgress", request.dry_run(true)).map(drop)
        }
        RepairCall::CreateBlockPublicAccessExclusion { subnet } => on_heap(|| exclude(context, subnet, true)).await,
        RepairCall::CreateNetworkAclEntry { network_acl, entry } => {
            let request = acl_entry(context, network_acl.as_str(), entry).dry_run(true);
            send!(context, "CreateNetworkAclEntry", request).map(drop)
        }
        RepairCall::MoveAddress { allocation_id, network_interface, .. } => {
            let request = ec2.associate_address().allocation_id(allocation_id.as_str()).allow_reassociation(true);
            let request = request.network_interface_id(network_interface.as_str()).dry_run(true);
            send!(context, "AssociateAddress", request).map(drop)
        }
        RepairCall::DeleteRoute { route_table, destination, .. } => {
            let request = ec2.delete_route().route_table_id(route_table.as_str());
            let request = request.destination_cidr_block(destination.to_string()).dry_run(true);
            send!(context, "DeleteRoute", request).map(drop)
        }
        RepairCall::RunOnHost { .. } => Err(Error::new(Kind::NotHere, "SendCommand", "it has no dry run")),
    }
}

/// Exempts a subnet from VPC Block Public Access and waits until that applies.
async fn exclude(context: Context<'_>, subnet: &SubnetId, dry_run: bool) -> Result<(), Error> {
    let request = (context.session.ec2().create_vpc_block_public_access_exclusion())
        .subnet_id(subnet.as_str())
        .internet_gateway_exclusion_mode(sdk::InternetGatewayExclusionMode::AllowBidirectional)
        .dry_run(dry_run);
    send!(context, "CreateVpcBlockPublicAccessExclusion", request)?;
    on_heap(|| super::settle::exclusion_in_force(context, subnet)).await
}

async fn exclude_no_more(context: Context<'_>, subnet: &SubnetId) -> Result<(), Error> {
    let found = on_heap(|| super::settle::exclusion_of(context, subnet)).await?;
    let Some(id) = found.and_then(|found| found.exclusion_id) else { return Ok(()) };
    let request = context.session.ec2().delete_vpc_block_public_access_exclusion().exclusion_id(id);
    send!(context, "DeleteVpcBlockPublicAccessExclusion", request).map(drop)
}

fn acl_entry(
    context: Context<'_>,
    id: &str,
    entry: &AclEntry,
) -> aws_sdk_ec2::operation::create_network_acl_entry::builders::CreateNetworkAclEntryFluentBuilder {
    let ports = entry.port_range.map(|(from, to)| sdk::PortRange::builder().from(from.into()).to(to.into()).build());
    let icmp = entry.icmp_type_code.map(|(kind, code)| sdk::IcmpTypeCode::builder().r#type(kind).code(code).build());
    // This call takes protocol numbers only.
    let protocol = match entry.protocol {
        crate::model::Protocol::Tcp => "6".to_owned(),
        crate::model::Protocol::Udp => "17".to_owned(),
        crate::model::Protocol::Icmp => "1".to_owned(),
        crate::model::Protocol::Icmpv6 => "58".to_owned(),
        other => other.to_string(),
    };
    (context.session.ec2().create_network_acl_entry())
        .network_acl_id(id)
        .egress(entry.direction == AclDirection::Egress)
        .rule_number(i32::try_from(entry.rule_number).unwrap_or(i32::MAX))
        .protocol(protocol)
        .rule_action(sdk::RuleAction::Allow)
        .set_cidr_block(entry.cidr_block.map(|net| net.to_string()))
        .set_ipv6_cidr_block(entry.ipv6_cidr_block.map(|net| net.to_string()))
        .set_port_range(ports)
        .set_icmp_type_code(icmp)
}

async fn settled(context: Context<'_>, instance: &InstanceId) -> Result<(), Error> {
    super::settle::instance_running(context, instance).await
}

/// Runs a script to its end; anything but success is an error with the script's last words.
async fn run(context: Context<'_>, instance: &InstanceId, script: &str) -> Result<(), Error> {
    let options =
        RunOptions { execution_timeout_s: 600, delivery_timeout_s: 60, comment: "natdeck: repair".to_owned() };
    let mut result = CommandResult::NoResult;
    run_command(context.session, std::slice::from_ref(instance), script, options, |_, ended| result = ended).await?;
    let (stdout, stderr, exit_code) = result.into_output()?;
    if exit_code == 0 {
        return Ok(());
    }
    let said = if stderr.trim().is_empty() { stdout } else { stderr };
    let last: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = last.get(last.len().saturating_sub(4)..).unwrap_or_default().join(" / ");
    let message = format!("the repair of {instance} ended with {exit_code}: {last}");
    Err(Error::new(Kind::NotSettled, "SendCommand", message))
}
