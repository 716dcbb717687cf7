//! What keeps the test from being made, and says nothing about egress.

use super::desk::Desk;
use super::{BreakError, Scene, vpc};
use crate::model::{EndpointKind, RuleDirection, VpcEndpoint};
use crate::reach::Cause;

/// Where api.ipify.org is.
const ADDRESS_SERVICE: &str = "104.16.0.0/12";

pub(super) fn inject(desk: &mut Desk<'_>, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let client = &scene.client;
    match cause {
        Cause::TestNoInstanceProfile => {
            let record = desk.world.records.instances.get(client);
            let Some(profile) = record.and_then(|record| record.profile.clone()) else {
                return Err(BreakError::NotHere { cause, reason: "the private instance has no profile" });
            };
            let pairs = [("AssociationId", profile.association_id.as_str())];
            desk.ec2("DisassociateIamInstanceProfile", &pairs)?;
            Ok(format!("{client} has no instance profile any more"))
        }
        Cause::TestMetadataOff => {
            let pairs = [("InstanceId", client.as_str()), ("HttpEndpoint", "disabled")];
            desk.ec2("ModifyInstanceMetadataOptions", &pairs)?;
            Ok(format!("the metadata service of {client} is switched off: HttpEndpoint = disabled"))
        }
        Cause::TestNoSsmPath => {
            let endpoints: Vec<String> =
                ssm_endpoints(desk, scene).iter().map(|one| one.vpc_endpoint_id.to_string()).collect();
            for endpoint in endpoints {
                desk.ec2("DeleteVpcEndpoints", &[("VpcEndpointId.1", &endpoint)])?;
            }
            let (table, nat) = (scene.client_table.as_str(), scene.nat.inner.as_str());
            desk.ec2("DeleteRoute", &[("RouteTableId", table), ("DestinationCidrBlock", "0.0.0.0/0")])?;
            let pairs =
                [("RouteTableId", table), ("DestinationCidrBlock", ADDRESS_SERVICE), ("NetworkInterfaceId", nat)];
            desk.ec2("CreateRoute", &pairs)?;
            Ok(format!("{} has no SSM endpoints any more, and {table} leads {ADDRESS_SERVICE} alone out", scene.vpc))
        }
        Cause::TestEndpointBlocked => {
            let interfaces = ssm_endpoints(desk, scene).into_iter().flat_map(|one| one.network_interface_ids);
            let Some(interface) = interfaces.into_iter().next() else {
                return Err(BreakError::NotHere { cause, reason: "there are no SSM endpoints" });
            };
            vpc::revoke(desk, &interface, RuleDirection::Ingress)
        }
        Cause::TestAgentOffline => {
            desk.host(client, "systemctl stop amazon-ssm-agent")?;
            Ok(format!("{client}: systemctl stop amazon-ssm-agent"))
        }
        Cause::TestDeliveryTimedOut => {
            desk.world.ssm.deaf.insert(client.clone());
            Ok(format!("the agent of {client} is online and takes no commands"))
        }
        Cause::TestAccessDenied => {
            desk.world.denied.insert("ssm:SendCommand".to_owned());
            Ok("the caller may not send commands any more: ssm:SendCommand is denied".to_owned())
        }
        Cause::TestTargetDown => {
            desk.world.internet.down.insert("api.ipify.org".to_owned());
            Ok("api.ipify.org does not answer any more".to_owned())
        }
        _ => Err(BreakError::NotHere { cause, reason: "the sandbox cannot make it happen" }),
    }
}

fn ssm_endpoints(desk: &Desk<'_>, scene: &Scene) -> Vec<VpcEndpoint> {
    let ours = |one: &&VpcEndpoint| {
        one.vpc_id == scene.vpc
            && one.kind == EndpointKind::Interface
            && matches!(one.service(), "ssm" | "ssmmessages" | "ec2messages")
    };
    desk.world.all::<VpcEndpoint>().filter(ours).cloned().collect()
}
