//! Whom to ask: private instances, and the NAT instances that their routes name. Pure.

use std::collections::BTreeSet;

use crate::model::{Instance, InstanceId, InstanceState, Network, RouteTable, RouteTarget, Unknown, VpcId};
use crate::reach::Role;

/// An instance of a check, and the part it plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub instance_id: InstanceId,
    pub role: Role,
}

/// Why nobody could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    #[error("there is no instance {0} in {1}; natdeck tree lists the instances")]
    NoSuchInstance(InstanceId, String),
    #[error("there is no VPC {0} in {1}; natdeck tree lists the VPCs")]
    NoSuchVpc(VpcId, String),
    #[error("whom to check cannot be told: {0}")]
    Unknown(Unknown),
}

impl From<&Unknown> for ChooseError {
    fn from(unknown: &Unknown) -> Self {
        Self::Unknown(unknown.clone())
    }
}

/// The instances that were asked for, or else every private one in `vpc` (or everywhere) and the NATs they use.
/// Terminated instances are never chosen.
pub fn choose(network: &Network, asked: &[InstanceId], vpc: Option<&VpcId>) -> Result<Vec<Chosen>, ChooseError> {
    let region = || network.region.clone();
    if let Some(vpc) = vpc
        && network.vpcs.get(vpc)?.is_none()
    {
        return Err(ChooseError::NoSuchVpc(vpc.clone(), region()));
    }
    let instances = network.instances.known()?;
    let nats = nats(network);
    if !asked.is_empty() {
        return asked
            .iter()
            .map(|id| match instances.get(id.as_str()) {
                Some(_) => Ok(Chosen { instance_id: id.clone(), role: role(&nats, id) }),
                None => Err(ChooseError::NoSuchInstance(id.clone(), region())),
            })
            .collect();
    }
    let mut chosen = Vec::new();
    for instance in instances.values().filter(|i| is_alive(i) && (vpc.is_none() || i.vpc_id.as_ref() == vpc)) {
        let role = role(&nats, &instance.instance_id);
        if role == Role::Nat || is_private(network, instance)? {
            chosen.push(Chosen { instance_id: instance.instance_id.clone(), role });
        }
    }
    chosen.sort_by_key(|chosen| (chosen.role == Role::Nat, chosen.instance_id.clone()));
    Ok(chosen)
}

fn is_alive(instance: &Instance) -> bool {
    !matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown)
}

fn role(nats: &BTreeSet<InstanceId>, id: &InstanceId) -> Role {
    if nats.contains(id) { Role::Nat } else { Role::Client }
}

/// Every instance that a route leads to.
fn nats(network: &Network) -> BTreeSet<InstanceId> {
    let interfaces = network.network_interfaces.shown();
    network
        .route_tables
        .shown()
        .values()
        .flat_map(|table| &table.routes)
        .filter_map(|route| match &route.target {
            RouteTarget::NetworkInterface { network_interface_id, instance_id } => {
                instance_id.clone().or_else(|| interfaces.get(network_interface_id.as_str())?.instance_id().cloned())
            }
            RouteTarget::Instance(id) => Some(id.clone()),
            _ => None,
        })
        .collect()
}

/// Private: its subnet's default route does not lead straight to an internet gateway.
fn is_private(network: &Network, instance: &Instance) -> Result<bool, ChooseError> {
    let (Some(subnet_id), Some(vpc_id)) = (&instance.subnet_id, &instance.vpc_id) else {
        return Ok(false);
    };
    Ok(!network.route_table_of(subnet_id, vpc_id)?.is_some_and(RouteTable::is_public))
}
