//! From a wish and an observation to a plan.

use crate::aws::{self, Session, inputs};
use crate::model::Network;
use crate::plan::{self, Inputs, Plan, PlanError, Spec};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

/// What would have to be done to have what `spec` asks for.
pub async fn plan_provision(session: &Session, spec: &Spec, network: &Network) -> Result<Plan, PlanningError> {
    let source = spec.image_source();
    let (image_id, zones) = tokio::join!(inputs::image(session, &source), inputs::availability_zones(session));
    Ok(plan::provision(spec, network, &Inputs { image_id: image_id?, zones: zones? })?)
}

/// What would have to be done to have nothing left of the stack.
pub fn plan_teardown(stack: &str, network: &Network) -> Result<Plan, PlanningError> {
    Ok(plan::teardown(stack, network)?)
}
