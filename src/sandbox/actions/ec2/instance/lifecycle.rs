//! Stopping, starting, rebooting and terminating.

use super::super::{Answer, done};
use super::{named, state_xml};
use crate::model::{Instance, InstanceId, InstanceState, StatusCheck};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Event, World};

/// The answer of all three: what each instance was and what it is now.
fn changes(world: &World, before: &[Instance]) -> Answer {
    let set = before.iter().map(|before| {
        let now = world.get::<Instance>(&before.instance_id).map_or(&before.state, |instance| &instance.state);
        Xml::new()
            .text("instanceId", &before.instance_id)
            .node("currentState", state_xml(now))
            .node("previousState", state_xml(&before.state))
    });
    Ok(Body::Xml(Xml::new().items("instancesSet", set)))
}

fn not_in_state(instance: &Instance, wanted: &str) -> ApiError {
    ApiError::new(
        "IncorrectInstanceState",
        format!("The instance '{}' is not in a state from which it can be {wanted}.", instance.instance_id),
    )
}

fn user_initiated(world: &mut World, id: &InstanceId, code: Option<&str>, message: Option<&str>) {
    let reason = format!("User initiated ({})", world.now.strftime("%Y-%m-%d %H:%M:%S GMT"));
    if let Some(record) = world.records.instances.get_mut(id) {
        record.transition_reason = if code.is_some() { reason } else { String::new() };
        record.state_reason_code = code.map(str::to_owned);
    }
    if let Some(instance) = world.get_mut::<Instance>(id) {
        instance.state_reason = message.map(str::to_owned);
    }
}

/// TerminateInstances: all of them or none.
pub fn terminate(world: &mut World, query: &Query) -> Answer {
    let before = named(world, query)?;
    for instance in &before {
        let protected =
            world.records.instances.get(&instance.instance_id).is_some_and(|record| record.disable_api_termination);
        if protected && instance.state != InstanceState::Terminated {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute \
                     and try again.",
                    instance.instance_id
                ),
            ));
        }
    }
    for Instance { instance_id, state, .. } in &before {
        if matches!(state, InstanceState::Terminated | InstanceState::ShuttingDown) {
            continue;
        }
        let code = "Client.UserInitiatedShutdown";
        user_initiated(world, instance_id, Some(code), Some("Client.UserInitiatedShutdown: User initiated shutdown"));
        if let Some(instance) = world.get_mut::<Instance>(instance_id) {
            instance.state = InstanceState::ShuttingDown;
            instance.system_status = None;
            instance.instance_status = None;
        }
        world.schedule(world.delays.terminate, Event::InstanceTerminated(instance_id.clone()));
    }
    changes(world, &before)
}

/// StopInstances
pub fn stop(world: &mut World, query: &Query) -> Answer {
    let before = named(world, query)?;
    for instance in &before {
        if !matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
            return Err(not_in_state(instance, "stopped"));
        }
        if world.records.instances.get(&instance.instance_id).is_some_and(|record| record.disable_api_stop) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
                    instance.instance_id
                ),
            ));
        }
    }
    for Instance { instance_id, state, .. } in &before {
        if *state != InstanceState::Running {
            continue;
        }
        let code = "Client.UserInitiatedShutdown";
        user_initiated(world, instance_id, Some(code), Some("Client.UserInitiatedShutdown: User initiated shutdown"));
        if let Some(instance) = world.get_mut::<Instance>(instance_id) {
            instance.state = InstanceState::Stopping;
            instance.system_status = None;
            instance.instance_status = None;
        }
        world.schedule(world.delays.stop, Event::InstanceStopped(instance_id.clone()));
    }
    changes(world, &before)
}

/// StartInstances
pub fn start(world: &mut World, query: &Query) -> Answer {
    let before = named(world, query)?;
    for instance in &before {
        if !matches!(instance.state, InstanceState::Stopped | InstanceState::Running | InstanceState::Pending) {
            return Err(not_in_state(instance, "started"));
        }
    }
    let now = world.now;
    for Instance { instance_id, state, .. } in &before {
        if *state != InstanceState::Stopped {
            continue;
        }
        user_initiated(world, instance_id, None, None);
        if let Some(instance) = world.get_mut::<Instance>(instance_id) {
            instance.state = InstanceState::Pending;
            instance.launch_time = Some(now);
            instance.system_status = Some(StatusCheck::Initializing);
            instance.instance_status = Some(StatusCheck::Initializing);
        }
        world.give_public_ip_on_start(instance_id);
        world.schedule(world.delays.run, Event::InstanceRunning(instance_id.clone()));
    }
    changes(world, &before)
}

/// RebootInstances: the state stays `running`; the host loses what is not persistent.
pub fn reboot(world: &mut World, query: &Query) -> Answer {
    let instances = named(world, query)?;
    for instance in &instances {
        if instance.state != InstanceState::Running {
            return Err(not_in_state(instance, "rebooted"));
        }
    }
    for Instance { instance_id, .. } in instances {
        world.schedule(world.delays.run, Event::InstanceRebooted(instance_id));
    }
    done()
}
