//! Network ACLs: a deny at one of the six edges that the packet and its reply cross.

use ipnet::Ipv4Net;

use super::desk::Desk;
use super::{BreakError, Scene, neighbour};
use crate::model::{AclDirection, NetworkAcl, NetworkAclId, SubnetId};
use crate::reach::Cause;

/// The number of the entry that denies, and of the one before it that keeps traffic inside the VPC out of this.
const DENY: &str = "50";
const KEEP: &str = "40";

/// The subnet whose edge it is.
type Edge = fn(&Scene) -> &SubnetId;
/// The addresses on the far side.
type Range = fn(&Scene) -> Ipv4Net;

/// One edge: whose ACL, which way, and which packets.
pub(super) struct Side {
    subnet: Edge,
    direction: AclDirection,
    net: Range,
    reply: bool,
    /// The edge is crossed only when client and NAT are in different subnets.
    between: bool,
}

impl Side {
    /// `None`: the cause is no ACL's.
    pub(super) fn of(cause: Cause) -> Option<Self> {
        let (subnet, direction, net, reply, between): (Edge, _, Range, _, _) = match cause {
            Cause::AclPrivateEgress => (client, AclDirection::Egress, anywhere, false, true),
            Cause::AclNatIngress => (inner, AclDirection::Ingress, private, false, true),
            Cause::AclNatEgress => (outer, AclDirection::Egress, anywhere, false, false),
            Cause::AclReplyNatIngress => (outer, AclDirection::Ingress, anywhere, true, false),
            Cause::AclReplyNatEgress => (inner, AclDirection::Egress, private, true, true),
            Cause::AclReplyPrivateIngress => (client, AclDirection::Ingress, anywhere, true, true),
            _ => return None,
        };
        Some(Self { subnet, direction, net, reply, between })
    }
}

fn client(scene: &Scene) -> &SubnetId {
    &scene.client_subnet
}

fn inner(scene: &Scene) -> &SubnetId {
    &scene.nat.inner_subnet
}

fn outer(scene: &Scene) -> &SubnetId {
    &scene.nat.outer_subnet
}

fn anywhere(_: &Scene) -> Ipv4Net {
    Ipv4Net::default()
}

fn private(scene: &Scene) -> Ipv4Net {
    scene.client_net
}

/// Gives the subnet an ACL of its own that allows everything. Where client and NAT share a subnet, the scene gets another
/// client first.
pub(super) fn stage(desk: &mut Desk<'_>, scene: &mut Scene, cause: Cause) -> Result<(), BreakError> {
    let Some(side) = Side::of(cause) else { return Ok(()) };
    // What stays within a subnet meets no ACL, so that one is between them only for a client in another subnet.
    if side.between && scene.client_subnet == scene.nat.inner_subnet {
        neighbour::behind_the_nat(desk, scene, cause)?;
    }
    let scene = &*scene;
    let subnet = (side.subnet)(scene);
    if acl_of(desk, subnet).is_some_and(|(_, alone)| alone) {
        return Ok(());
    }
    let vpc = scene.vpc.as_str();
    let acl = desk.make("CreateNetworkAcl", "networkAclId", &[("VpcId", vpc)])?;
    for egress in ["false", "true"] {
        entry(desk, &acl, "100", egress, "-1", "0.0.0.0/0", "allow", None)?;
    }
    let association = desk.world.records.acl_associations.get(subnet).cloned().unwrap_or_default();
    desk.ec2("ReplaceNetworkAclAssociation", &[("AssociationId", &association), ("NetworkAclId", &acl)])?;
    Ok(())
}

pub(super) fn inject(desk: &mut Desk<'_>, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let found = Side::of(cause).and_then(|side| Some((acl_of(desk, (side.subnet)(scene))?.0, side)));
    let Some((acl, side)) = found else {
        return Err(BreakError::NotHere { cause, reason: "the subnet has no network ACL" });
    };
    let egress = if side.direction == AclDirection::Egress { "true" } else { "false" };
    let net = (side.net)(scene).to_string();
    let ports = if side.reply { ("1024", "65535") } else { ("443", "443") };
    let inside = scene.vpc_net.to_string();
    // SSM's own way lies inside the VPC; the deny is for what leaves it. Packets between client and NAT are told apart
    // by the deny's own range.
    if net == "0.0.0.0/0" {
        entry(desk, acl.as_str(), KEEP, egress, "-1", &inside, "allow", None)?;
    }
    entry(desk, acl.as_str(), DENY, egress, "6", &net, "deny", Some(ports))?;
    let way = if egress == "true" { "to" } else { "from" };
    Ok(format!("{acl} denies TCP port {}-{} {way} {net} by entry {DENY}", ports.0, ports.1))
}

/// A subnet's ACL, and whether no other subnet uses it.
fn acl_of(desk: &Desk<'_>, subnet: &SubnetId) -> Option<(NetworkAclId, bool)> {
    let acl: &NetworkAcl = desk.world.network.network_acl_of(subnet).ok()??;
    Some((acl.network_acl_id.clone(), acl.subnet_ids.len() == 1 && !acl.is_default))
}

#[expect(clippy::too_many_arguments, reason = "the fields of an entry, as AWS names them")]
fn entry(
    desk: &mut Desk<'_>,
    acl: &str,
    number: &str,
    egress: &str,
    protocol: &str,
    net: &str,
    action: &str,
    ports: Option<(&str, &str)>,
) -> Result<(), BreakError> {
    let mut pairs = vec![
        ("NetworkAclId", acl),
        ("RuleNumber", number),
        ("Egress", egress),
        ("Protocol", protocol),
        ("CidrBlock", net),
        ("RuleAction", action),
    ];
    if let Some((from, to)) = ports {
        pairs.extend([("PortRange.From", from), ("PortRange.To", to)]);
    }
    // An entry of this number is there already when two causes share the ACL.
    match desk.ec2("CreateNetworkAclEntry", &pairs) {
        Err(BreakError::Refused { answer, .. })
            if answer.contains("NetworkAclEntryAlreadyExists") && number == KEEP =>
        {
            Ok(())
        }
        Err(BreakError::Refused { answer, .. }) if answer.contains("NetworkAclEntryAlreadyExists") => {
            let next = number.parse::<u32>().map_or_else(|_| "51".to_owned(), |n| (n + 1).to_string());
            entry(desk, acl, &next, egress, protocol, net, action, ports)
        }
        other => other.map(|_| ()),
    }
}
