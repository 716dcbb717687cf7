//! Instances: launching them, what they say of themselves, and their life.

pub mod attribute;
pub mod describe;
pub mod launch;
pub mod lifecycle;
pub mod options;
pub mod profile;
pub mod run;
pub mod types;

use crate::model::{Instance, InstanceState};
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

/// The number that EC2 gives beside the name of a state.
fn state_code(state: &InstanceState) -> u32 {
    match state {
        InstanceState::Pending => 0,
        InstanceState::Running => 16,
        InstanceState::ShuttingDown => 32,
        InstanceState::Terminated => 48,
        InstanceState::Stopping => 64,
        InstanceState::Stopped | InstanceState::Other(_) => 80,
    }
}

fn state_xml(state: &InstanceState) -> Xml {
    Xml::new().text("code", state_code(state)).text("name", state)
}

/// The instances that a request names; all must exist.
fn named(world: &World, query: &Query) -> Result<Vec<Instance>, ApiError> {
    let ids = query.list("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    let mut instances: Vec<Instance> = Vec::new();
    for id in ids {
        let instance = world.find::<Instance>(id).map_err(|error| {
            if error.code.ends_with(".NotFound") {
                ApiError::new(error.code, format!("The instance ID '{id}' does not exist"))
            } else {
                error
            }
        })?;
        if !instances.iter().any(|other| other.instance_id == instance.instance_id) {
            instances.push(instance.clone());
        }
    }
    Ok(instances)
}
