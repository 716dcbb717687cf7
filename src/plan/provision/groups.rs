//! Security groups and their rules. Pure.

use super::PlanError;
use super::draft::{Draft, Text};
use crate::model::{Peer, Protocol, ResourceId, SecurityGroupRule, Vpc, VpcId};
use crate::plan::{Call, IngressRule, Output, Ref, RulePeer};

/// Plans a security group by the name `<stack>-<what it is for>`.
pub(super) fn plan_group(
    draft: &mut Draft<'_>,
    vpc: Option<&Vpc>,
    id: &str,
    texts: Text,
    description: &str,
) -> Result<(), PlanError> {
    let groups = draft.network.security_groups.known()?;
    let group_name = format!("{}-{}", draft.spec.name, id.trim_end_matches("-security-group"));
    let in_vpc = |vpc_id: &VpcId| vpc.is_some_and(|vpc| vpc.vpc_id == *vpc_id);
    let ours = groups.values().find(|group| in_vpc(&group.vpc_id) && draft.is_ours(&group.tags, id));
    let same_name = groups.values().find(|group| in_vpc(&group.vpc_id) && group.group_name == group_name);
    if let (None, Some(foreign)) = (ours, same_name) {
        return Err(PlanError::Conflict {
            resource: ResourceId::from(&foreign.group_id),
            why: format!("a security group of the name {group_name} exists in the VPC, and it is not this stack's"),
            next_move: "give the stack another name, or delete the group".to_owned(),
        });
    }
    let description = description.to_owned();
    let call = Call::CreateSecurityGroup { vpc: draft.made("vpc"), group_name, description };
    draft.step(id, texts, call, &["vpc"], ours.map(|group| Output::SecurityGroup(group.group_id.clone())));
    Ok(())
}

/// Plans one rule of a group that the plan has.
pub(super) fn plan_ingress(
    draft: &mut Draft<'_>,
    id: &str,
    group_id: &str,
    texts: Text,
    rule: IngressRule,
) -> Result<(), PlanError> {
    let group = draft.made(group_id);
    let exists = match &group {
        Ref::Made(_) => false,
        Ref::Existing(group) => {
            let group = draft.network.security_groups.get(group)?;
            group.is_some_and(|group| group.ingress().any(|is| covers(is, &rule)))
        }
    };
    let waits = [group_id, "private-security-group"];
    let call = Call::AuthorizeSecurityGroupIngress { group, rule };
    draft.step(id, texts, call, &waits, exists.then_some(Output::None));
    Ok(())
}

/// Whether an existing rule is the wanted one.
fn covers(is: &SecurityGroupRule, wanted: &IngressRule) -> bool {
    let same_peer = match (&is.peer, &wanted.peer) {
        (Peer::Ipv4(is), RulePeer::Ipv4(wanted)) => is == wanted,
        (Peer::Group(is), RulePeer::Group(Ref::Existing(wanted))) => is == wanted,
        _ => false,
    };
    let same_ports = match wanted.ports {
        None => wanted.protocol == Protocol::All || is.from_port.is_none_or(|port| port <= 0),
        Some((from, to)) => is.from_port == Some(i32::from(from)) && is.to_port == Some(i32::from(to)),
    };
    same_peer && is.protocol == wanted.protocol && same_ports
}
