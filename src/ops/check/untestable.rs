//! Why SSM cannot run anything on an instance. That is no verdict on its egress. Pure.

use std::net::IpAddr;

use crate::model::host::Hosts;
use crate::model::{EndpointKind, EndpointState, Instance, InstanceState, Network, PingStatus, Role};
use crate::reach::{Code, Disposition, Flow, WayOut, walk, way_out};

/// The managed policy that the agent needs
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html>).
const CORE_POLICY: &str = "AmazonSSMManagedInstanceCore";

/// Why a command cannot be run there. `None`: it can be tried.
pub fn untestable(network: &Network, instance: &Instance) -> Option<(Code, String)> {
    let id = &instance.instance_id;
    if instance.state != InstanceState::Running {
        return Some((
            Code::TestAgentOffline,
            format!("{id} is {}, and only running instances answer", instance.state),
        ));
    }
    // When SSM's list is unknown the command itself will tell.
    let managed = network.managed_instances.get(id).ok()?;
    match managed {
        Some(managed) if managed.ping_status == PingStatus::Online => None,
        Some(managed) => {
            let why = permission(network, instance).or_else(|| metadata(instance)).or_else(|| path(network, instance));
            let (code, why) = why.unwrap_or((Code::TestAgentOffline, String::new()));
            let since = managed.last_ping_at.map(|at| format!(" since {at:.0}")).unwrap_or_default();
            Some((code, join(format!("the SSM agent of {id} is {}{since}", managed.ping_status), &why)))
        }
        None => {
            let (code, why) = permission(network, instance)
                .or_else(|| metadata(instance))
                .or_else(|| path(network, instance))
                .unwrap_or((Code::TestAgentOffline, "profile and path look right: is the agent running?".to_owned()));
            Some((code, join(format!("{id} is not registered with SSM"), &why)))
        }
    }
}

fn join(what: String, why: &str) -> String {
    if why.is_empty() { what } else { format!("{what}: {why}") }
}

/// Whether profile and role let the agent register.
fn permission(network: &Network, instance: &Instance) -> Option<(Code, String)> {
    let Some(arn) = &instance.instance_profile_arn else {
        return Some((Code::TestNoInstanceProfile, "it has no instance profile".to_owned()));
    };
    let profile = network.instance_profiles.get(arn).ok()??;
    let may = |role: &Role| match (&role.attached_policies, &role.inline_policies) {
        (Some(attached), Some(inline)) => {
            !inline.is_empty() || attached.iter().any(|policy| policy.name == CORE_POLICY)
        }
        // What could not be read is not held against it.
        _ => true,
    };
    if profile.roles.iter().any(may) {
        return None;
    }
    let name = &profile.name;
    Some((Code::TestNoInstanceProfile, format!("the role of its instance profile {name} lacks {CORE_POLICY}")))
}

/// Whether the agent gets its credentials: the metadata service hands them out ("Why is my EC2 instance not displaying as
/// a managed node", <https://repost.aws/knowledge-center/systems-manager-ec2-instance-not-appear>).
fn metadata(instance: &Instance) -> Option<(Code, String)> {
    (instance.http_endpoint.as_deref() == Some("disabled")).then(|| {
        let why = "its metadata service, from which the agent has its credentials, is off: HttpEndpoint = disabled";
        (Code::TestMetadataOff, why.to_owned())
    })
}

/// Whether the agent has a way to SSM: an endpoint that it can reach, or the internet.
fn path(network: &Network, instance: &Instance) -> Option<(Code, String)> {
    let vpc_id = instance.vpc_id.as_ref()?;
    let endpoints = network.vpc_endpoints.known().ok()?;
    let here = || endpoints.values().filter(|e| &e.vpc_id == vpc_id && e.kind == EndpointKind::Interface);
    let missing: Vec<&str> =
        ["ssm", "ssmmessages"].into_iter().filter(|service| !here().any(|e| e.service() == *service)).collect();
    if !missing.is_empty() {
        return match way_out(network, &instance.instance_id) {
            Ok(WayOut::None { reason, .. }) => Some((
                Code::TestNoSsmPath,
                format!("no endpoint for {} in {vpc_id}, and no way out: {reason}", missing.join(" and ")),
            )),
            _ => None,
        };
    }
    here().filter(|e| matches!(e.service(), "ssm" | "ssmmessages")).find_map(|endpoint| {
        let id = &endpoint.vpc_endpoint_id;
        if endpoint.state != EndpointState::Available {
            return Some((Code::TestEndpointBlocked, format!("the endpoint {id} is {}", endpoint.state)));
        }
        if !endpoint.private_dns_enabled {
            return Some((Code::TestEndpointBlocked, format!("the endpoint {id} has no private DNS")));
        }
        let interfaces = network.network_interfaces.known().ok()?;
        let address = endpoint.network_interface_ids.iter().find_map(|eni| interfaces.get(eni.as_str())?.private_ip)?;
        let flow = Flow::https(instance.instance_id.clone(), IpAddr::V4(address));
        let trace = walk(network, &Hosts::new(), &flow);
        (trace.disposition == Disposition::Dropped).then(|| {
            let why = trace.stop().map(|hop| hop.detail.clone()).unwrap_or_default();
            (Code::TestEndpointBlocked, format!("the endpoint {id} cannot be reached on port 443: {why}"))
        })
    })
}
