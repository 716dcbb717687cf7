//! What is missing between what exists and what a spec asks for. Pure.
//!
//! What exists is found by the stack's own tags first, and then by the article's draft: the VPC by its range, subnets
//! by theirs, tables by association, gateways by attachment. What is found is a step that is done; what is not is to
//! do. Existing resources that nobody made for this stack are used and left as they are.

mod draft;
mod environment;
mod groups;
mod nat;
mod private;
#[cfg(test)]
mod tests;

use crate::model::{ImageId, Network, ResourceId, Unknown, VpcId};

use super::{Plan, PlanKind, Spec, SpecError};
use draft::Draft;
pub(super) use private::SSM_POLICY;

/// What a plan needs to know beside spec and snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// What [`Spec::image_source`] stands for today.
    pub image_id: ImageId,
    /// The region's availability zones, by name. Empty: not known, and not checked.
    pub zones: Vec<String>,
}

/// Why there is no plan. Each message names the thing, the reason and the next move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Spec(Vec<SpecError>),
    /// Nothing is concluded from what was not seen.
    #[error("a plan needs to know what exists, and that is {0}; grant the permission or try again")]
    Unknown(Unknown),
    #[error(
        "{} VPCs have the range {cidr}: {}; set vpc_id (--vpc) to the one that is meant",
        ids.len(),
        ids.iter().map(VpcId::as_str).collect::<Vec<_>>().join(", ")
    )]
    SeveralVpcs { cidr: String, ids: Vec<VpcId> },
    #[error("there is no VPC {vpc_id}; 'natdeck tree' lists those that exist")]
    NoVpc { vpc_id: VpcId },
    #[error("{field}: {cidr} overlaps {with_cidr} of {with}; choose a range that is free in the VPC")]
    Overlap { field: &'static str, cidr: String, with: ResourceId, with_cidr: String },
    #[error("{field}: {cidr} is not inside {} of {vpc_id}; choose a range within it", ranges.join(", "))]
    OutsideVpc { field: &'static str, cidr: String, vpc_id: VpcId, ranges: Vec<String> },
    #[error("zone: there is no availability zone '{zone}' in {region}; there are {}", zones.join(", "))]
    NoSuchZone { zone: String, region: String, zones: Vec<String> },
    #[error("zone: no zone is known for a new subnet; set zone, like eu-central-1b")]
    NoZone,
    #[error("{subnet} is in {is}, not in {wanted}: {why}; {next_move}")]
    OtherZone { subnet: ResourceId, is: String, wanted: String, why: String, next_move: String },
    /// Something that exists stands in the way.
    #[error("{resource}: {why}; {next_move}")]
    Conflict { resource: ResourceId, why: String, next_move: String },
}

impl From<&Unknown> for PlanError {
    fn from(unknown: &Unknown) -> Self {
        Self::Unknown(unknown.clone())
    }
}

/// The plan that makes what `spec` asks for out of what `network` shows.
pub fn provision(spec: &Spec, network: &Network, inputs: &Inputs) -> Result<Plan, PlanError> {
    spec.check().map_err(PlanError::Spec)?;
    if let Some(zone) = &spec.zone
        && !inputs.zones.is_empty()
        && !inputs.zones.contains(zone)
    {
        let (zone, region, zones) = (zone.clone(), network.region.clone(), inputs.zones.clone());
        return Err(PlanError::NoSuchZone { zone, region, zones });
    }
    let mut draft = Draft::new(spec, network);
    let environment = environment::environment(&mut draft, inputs)?;
    nat::nat(&mut draft, &environment, inputs)?;
    draft.settle_checks();
    Ok(Plan {
        stack: spec.name.clone(),
        kind: PlanKind::Provision,
        steps: draft.steps,
        notes: draft.notes,
        blockers: Vec::new(),
    })
}
