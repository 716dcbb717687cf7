//! Every cause of broken egress, made real in a world: `natdeck sandbox break CAUSE`, drills, and the proofs.
//!
//! A cause is never a flag that the simulated `curl` reads. It is the route that is missing, the rule that was revoked
//! through the API, the setting that a command on the simulated host changed; what becomes of packets follows from that
//! by the walk. Two steps: [`stage`] adds what a cause needs and a healthy world may lack (a second NAT gateway to be
//! led to, an ACL of its own to be wrong), and leaves egress as it is; [`inject`] breaks.

mod acl;
mod desk;
mod host;
mod neighbour;
mod scene;
mod test;
#[cfg(test)]
mod tests;
mod vpc;

use std::fmt;

use serde::Serialize;

use self::desk::Desk;
pub use self::host::{nat_script, replies_by_outer};
pub use self::scene::{Nat, Scene};
use super::world::World;
use crate::model::InstanceId;
use crate::reach::{Cause, Code, Place, Severity};

/// Why a cause cannot be had in this world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BreakError {
    #[error("there is no instance {0} in the sandbox")]
    NoSuchInstance(InstanceId),
    #[error(
        "there is nothing to break: no private instance whose route leads to a NAT instance; \
         `natdeck --sandbox apply` makes one, or start from `--scenario article`"
    )]
    NothingToBreak,
    #[error("{cause} cannot happen here: {reason}")]
    NotHere { cause: Cause, reason: &'static str },
    #[error("the sandbox refused {action}: {answer}")]
    Refused { action: String, answer: String },
    #[error("the command on {instance_id} failed: {said}")]
    Host { instance_id: InstanceId, said: String },
}

/// Adds what a cause needs. Egress works as before.
pub fn stage(world: &mut World, scene: &mut Scene, cause: Cause) -> Result<(), BreakError> {
    let mut desk = Desk::new(world);
    match cause {
        Cause::RoutedToOtherEgress
        | Cause::NatGatewayNotAvailable
        | Cause::NatGatewayPrivate
        | Cause::RepliesRedirected
        | Cause::AddressMoved
        | Cause::PcxRequiresAddress => vpc::stage(&mut desk, scene, cause),
        Cause::NatInOtherZone => neighbour::in_another_zone(&mut desk, scene, cause),
        Cause::SourceDestCheckOnReply | Cause::HostRpFilter | Cause::ClientProxyOrFirewall => {
            host::stage(&mut desk, scene, cause)
        }
        _ if acl::Side::of(cause).is_some() => acl::stage(&mut desk, scene, cause),
        _ => Ok(()),
    }?;
    desk.rest();
    Ok(())
}

/// Breaks the world. What was done, in a sentence.
pub fn inject(world: &mut World, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let mut desk = Desk::new(world);
    let did = if acl::Side::of(cause).is_some() {
        acl::inject(&mut desk, scene, cause)
    } else {
        match (cause.place(), cause) {
            (_, Cause::ClientDns | Cause::ClientNotRunning) => vpc::inject(&mut desk, scene, cause),
            (Place::Vpc, _) => vpc::inject(&mut desk, scene, cause),
            (Place::NatHost | Place::Client, _) => host::inject(&mut desk, scene, cause),
            (Place::Test, _) => test::inject(&mut desk, scene, cause),
        }
    }?;
    desk.rest();
    Ok(did)
}

/// Both steps, for the instance that was named or the first that fits. A failure may leave half of it behind.
fn stage_and_inject(world: &mut World, cause: Cause, client: Option<&InstanceId>) -> Result<String, BreakError> {
    let mut scene = Scene::find(world, client)?;
    let first = scene.client.clone();
    stage(world, &mut scene, cause)?;
    let did = inject(world, &scene, cause)?;
    if scene.client == first {
        return Ok(did);
    }
    Ok(format!(
        "{did}; it shows on {}, a private instance that was launched into {} for it",
        scene.client, scene.client_subnet
    ))
}

/// Breaks egress for the instance that was named or the first that fits: whose it is, and what was done. Tried on a copy,
/// so that what cannot be had here leaves nothing behind.
pub fn break_egress(
    world: &mut World,
    cause: Cause,
    client: Option<&InstanceId>,
) -> Result<(InstanceId, String), BreakError> {
    let client = Scene::find(world, client)?.client;
    let mut copy = world.clone();
    let did = stage_and_inject(&mut copy, cause, Some(&client))?;
    *world = copy;
    Ok((client, did))
}

/// What can be broken in a world as it is, for the instance that was named or the first that fits: each is tried on a
/// copy. An error: nothing at all can.
pub fn breakable(world: &World, client: Option<&InstanceId>) -> Result<Vec<Cause>, BreakError> {
    let scene = Scene::find(world, client)?;
    let fits =
        |cause: &Cause| possible(*cause) && stage_and_inject(&mut world.clone(), *cause, Some(&scene.client)).is_ok();
    Ok(Cause::ALL.iter().copied().filter(fits).collect())
}

/// What breaking does, in one line of the list.
pub fn about(cause: Cause) -> &'static str {
    match cause {
        Cause::NoRoute => "deletes the default route of the private subnet's table",
        Cause::BlackholeRoute => "leads the default route to an interface and deletes that interface",
        Cause::MainTableApplies => "disassociates the private subnet from its table",
        Cause::MoreSpecificRoute => "adds a route for 0.0.0.0/1 to the internet gateway beside the default route",
        Cause::RoutedToOtherEgress => "leads the default route to a NAT gateway",
        Cause::NatGatewayNotAvailable => "leads the default route to a NAT gateway that AWS could not make",
        Cause::NatGatewayPrivate => "leads the default route to a private NAT gateway",
        Cause::NatSubnetNotPublic => "deletes the default route of the NAT's own subnet",
        Cause::IgwNotAttached => "takes the internet gateway off the VPC",
        Cause::VpcBlockPublicAccess => "switches VPC Block Public Access on for the region",
        Cause::RepliesRedirected => {
            "sends what the internet gateway brings in for the NAT's subnet to an appliance that is gone"
        }
        Cause::NoPublicAddress => "takes the NAT's public address away, as a stop and start does with two interfaces",
        Cause::AddressMoved => "associates the NAT's Elastic IP with another interface",
        Cause::SourceDestCheck => "switches the source/destination check on where the route leads",
        Cause::SourceDestCheckOnReply => "switches the check on at the interface by which replies leave",
        Cause::EniNotAttached => "leads the route to an interface that no instance holds",
        Cause::NatIngressRule => "revokes the ingress rules of the NAT's groups",
        Cause::NatEgressRule => "revokes the egress rules of the NAT's groups",
        Cause::ClientEgressRule => "narrows the egress rules of the private instance's groups to the VPC",
        Cause::AclPrivateEgress
        | Cause::AclNatIngress
        | Cause::AclNatEgress
        | Cause::AclReplyNatIngress
        | Cause::AclReplyNatEgress
        | Cause::AclReplyPrivateIngress => "adds a deny entry to the network ACL at that edge",
        Cause::SgReferencesNotPreserved => "needs a NAT behind a transit gateway, which the sandbox does not have",
        Cause::PcxRequiresAddress => "leads the default route to a peering connection",
        Cause::NatInstanceStopped => "stops the NAT instance",
        Cause::NatStatusCheckFailed => "hangs the NAT instance: it runs, and fails its status checks",
        Cause::NatInOtherZone => "leads a private subnet in another zone to the NAT instead of that zone's NAT gateway",
        Cause::Ipv6OnlyClient => "moves the private instance to a subnet without IPv4",
        Cause::HostUserDataFailed => "boots the NAT anew with too little memory for its package manager",
        Cause::HostNoFirewallTool => "removes iptables from the NAT, and its rules",
        Cause::HostIpForwardOff => "sysctl -w net.ipv4.ip_forward=0",
        Cause::HostNoMasquerade => "iptables -t nat -F POSTROUTING",
        Cause::HostMasqueradeWrongInterface => {
            "rewrites the masquerade rule for an interface that the host does not have"
        }
        Cause::HostForwardDenied => "sets the FORWARD policy to DROP and deletes the rule that accepts",
        Cause::HostForwardReplyDenied => "sets the FORWARD policy to DROP and deletes the rule for replies",
        Cause::HostRpFilter => "switches strict reverse-path filtering on where replies take another way",
        Cause::HostInterfaceDown => "ip link set down on the inner interface",
        Cause::HostDefaultRouteWrong => "takes the host's default route away from its outer interface",
        Cause::HostNoReturnRoute => "deletes the host's routes to the private subnet",
        Cause::HostRulesNotPersistent => "disables the unit and removes the files that bring the rules back",
        Cause::HostConntrackFull => "fills the connection tracking table",
        Cause::HostAllowanceExceeded => "lets the instance exceed its network allowances",
        Cause::HostPortsExhausted => "takes every source port of a range towards the address services",
        Cause::HostPathMtu => "lowers an interface's MTU and drops the ICMP messages that say so",
        Cause::HostCpuCredits => "spends the CPU credits of the NAT in standard mode",
        Cause::ClientDns => "switches EnableDnsSupport off",
        Cause::ClientProxyOrFirewall => "adds an nft rule on the private instance that drops what leaves the VPC",
        Cause::ClientPortsExhausted => "lets a program on the private instance hold every local port",
        Cause::ClientNotRunning => "stops the private instance",
        Cause::NoSuchAddress => "depends on the destination that is asked for, and is nothing to break",
        Cause::TestNoInstanceProfile => "disassociates the private instance's profile",
        Cause::TestMetadataOff => "switches the private instance's metadata service off",
        Cause::TestNoSsmPath => "deletes the SSM endpoints, and leads the address service's range alone to the NAT",
        Cause::TestEndpointBlocked => "revokes the ingress rules of the endpoints' group",
        Cause::TestAgentOffline => "stops the SSM agent of the private instance",
        Cause::TestDeliveryTimedOut => "leaves the SSM agent online and deaf to commands",
        Cause::TestAccessDenied => "denies ssm:SendCommand to the caller",
        Cause::TestTargetDown => "takes api.ipify.org down",
    }
}

/// One line of `sandbox causes`.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// As `sandbox break` takes it.
    pub name: String,
    pub code: Code,
    /// What AWS's Reachability Analyzer calls it.
    pub aws_code: Option<&'static str>,
    pub severity: Severity,
    pub place: Place,
    /// Whether `sandbox break` can make it happen.
    pub possible: bool,
    pub does: &'static str,
    pub explanation: &'static str,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, severity, place, does, .. } = self;
        write!(f, "{name:<46} {severity:<6} {place:<8} {does}")
    }
}

/// Every cause, as the reference orders them.
pub fn list() -> Vec<Row> {
    let row = |cause: &Cause| Row {
        name: cause.name(),
        code: cause.code(),
        aws_code: cause.aws_code(),
        severity: cause.severity(),
        place: cause.place(),
        possible: possible(*cause),
        does: about(*cause),
        explanation: cause.explanation(),
    };
    Cause::ALL.iter().map(row).collect()
}

/// Whether the sandbox can make it happen at all.
pub fn possible(cause: Cause) -> bool {
    !matches!(cause, Cause::SgReferencesNotPreserved | Cause::NoSuchAddress)
}
