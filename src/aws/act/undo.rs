//! Taking a step back: the call that is its opposite, carried out as any deletion is.

use super::{Context, delete, iam, make, repair, request};
use crate::aws::error::{Error, Kind};
use crate::plan::{Call, Output, RouteVia, Step};

pub(super) async fn undo(context: Context<'_>, output: &Output) -> Result<(), Error> {
    if let Call::Repair(call) = &context.step.call {
        return super::on_heap(|| repair::undo(context, call)).await;
    }
    let Some(opposite) = opposite(context, output)? else { return Ok(()) };
    let step = Step { call: opposite, ..context.step.clone() };
    let context = Context { step: &step, ..context };
    match &step.call {
        Call::ModifyVpcAttribute { .. }
        | Call::ModifySubnetAttribute { .. }
        | Call::ModifyNetworkInterfaceAttribute { .. }
        | Call::ReplaceRoute { .. } => match make::make(context).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        },
        Call::DeleteRole { .. } => {
            // A policy that a lost answer left attached would keep the role.
            iam::detach_all(context).await?;
            delete::delete(context).await
        }
        _ => delete::delete(context).await,
    }
}

/// The call that takes `context`'s step back. `None`: it left nothing to take back.
fn opposite(context: Context<'_>, output: &Output) -> Result<Option<Call>, Error> {
    let outputs = context.outputs;
    let opposite = match (&context.step.call, output) {
        (Call::CreateVpc { .. }, Output::Vpc(id)) => Call::DeleteVpc { vpc: id.clone() },
        (Call::ModifyVpcAttribute { vpc, attribute, value }, _) => {
            Call::ModifyVpcAttribute { vpc: vpc.clone(), attribute: *attribute, value: !value }
        }
        (Call::CreateInternetGateway, Output::InternetGateway(id)) => {
            Call::DeleteInternetGateway { internet_gateway: id.clone() }
        }
        (Call::AttachInternetGateway { internet_gateway, vpc }, _) => Call::DetachInternetGateway {
            internet_gateway: internet_gateway.resolve(outputs)?,
            vpc: vpc.resolve(outputs)?,
        },
        (Call::CreateSubnet { .. }, Output::Subnet(id)) => Call::DeleteSubnet { subnet: id.clone() },
        (Call::ModifySubnetAttribute { subnet, map_public_ip_on_launch }, _) => {
            Call::ModifySubnetAttribute { subnet: subnet.clone(), map_public_ip_on_launch: !map_public_ip_on_launch }
        }
        (Call::CreateRouteTable { .. }, Output::RouteTable(id)) => Call::DeleteRouteTable { route_table: id.clone() },
        (Call::AssociateRouteTable { .. }, Output::RouteTableAssociation(id)) => {
            Call::DisassociateRouteTable { association_id: id.clone() }
        }
        (Call::CreateRoute { route_table, destination, .. }, _) => {
            Call::DeleteRoute { route_table: route_table.clone(), destination: *destination }
        }
        (Call::ReplaceRoute { route_table, destination, via, previous }, _) => Call::ReplaceRoute {
            route_table: route_table.clone(),
            destination: *destination,
            via: RouteVia::Target(previous.clone()),
            previous: request::target(context, via)?,
        },
        (Call::CreateSecurityGroup { .. }, Output::SecurityGroup(id)) => {
            Call::DeleteSecurityGroup { group: id.clone() }
        }
        (Call::AuthorizeSecurityGroupIngress { group, rule }, _) => {
            Call::RevokeSecurityGroupIngress { group: group.resolve(outputs)?, rule: rule.clone() }
        }
        (Call::CreateRole { role_name, .. }, _) => Call::DeleteRole { role_name: role_name.clone() },
        (Call::AttachRolePolicy { role_name, policy_arn }, _) => {
            Call::DetachRolePolicy { role_name: role_name.clone(), policy_arn: policy_arn.clone() }
        }
        (Call::CreateInstanceProfile { instance_profile_name }, _) => {
            Call::DeleteInstanceProfile { instance_profile_name: instance_profile_name.clone() }
        }
        (Call::AddRoleToInstanceProfile { instance_profile_name, role_name }, _) => {
            Call::RemoveRoleFromInstanceProfile {
                instance_profile_name: instance_profile_name.clone(),
                role_name: role_name.clone(),
            }
        }
        (Call::CreateVpcEndpoint { .. }, Output::VpcEndpoint(id)) => {
            Call::DeleteVpcEndpoints { vpc_endpoint: id.clone() }
        }
        (Call::RunInstances(_), Output::Instance { instance_id, .. }) => {
            Call::TerminateInstances { instance: instance_id.clone() }
        }
        (Call::CreateNetworkInterface { .. }, Output::NetworkInterface(id)) => {
            Call::DeleteNetworkInterface { network_interface: id.clone() }
        }
        (Call::ModifyNetworkInterfaceAttribute { network_interface, source_dest_check }, _) => {
            Call::ModifyNetworkInterfaceAttribute {
                network_interface: network_interface.clone(),
                source_dest_check: !source_dest_check,
            }
        }
        (Call::AttachNetworkInterface { network_interface, .. }, Output::Attachment(id)) => {
            Call::DetachNetworkInterface {
                attachment: id.clone(),
                network_interface: network_interface.resolve(outputs)?,
            }
        }
        (Call::AllocateAddress, Output::Address { allocation_id, .. }) => {
            Call::ReleaseAddress { allocation_id: allocation_id.clone() }
        }
        (Call::AssociateAddress { .. }, Output::AddressAssociation(id)) => {
            Call::DisassociateAddress { association_id: id.clone() }
        }
        (Call::CreateTags { resource, tags }, _) => {
            Call::DeleteTags { resource: resource.clone(), keys: tags.0.keys().cloned().collect() }
        }
        (Call::VerifyHost { .. } | Call::CheckEgress { .. }, _) => return Ok(None),
        (call, _) => {
            let message = format!("{} cannot be taken back", call.operation());
            return Err(Error::new(Kind::NotHere, context.step.operation(), message));
        }
    };
    Ok(Some(opposite))
}
