//! Changing a world as its owner would: by requests, and by commands on its hosts.

use std::time::Duration;

use super::BreakError;
use crate::model::InstanceId;
use crate::sandbox::wire::{Request, Service};
use crate::sandbox::world::World;

/// What is under way is waited for at most this long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Desk<'w> {
    pub(super) world: &'w mut World,
}

impl<'w> Desk<'w> {
    pub(super) fn new(world: &'w mut World) -> Self {
        Self { world }
    }

    /// Sends one EC2 request.
    pub(super) fn ec2(&mut self, action: &str, pairs: &[(&str, &str)]) -> Result<String, BreakError> {
        let response = self.world.handle(&Request::query(Service::Ec2, action, pairs.iter().copied()));
        if response.status == 200 {
            Ok(response.body)
        } else {
            Err(BreakError::Refused { action: action.to_owned(), answer: response.body })
        }
    }

    /// The same, and the text of the first element of this name in the answer.
    pub(super) fn make(&mut self, action: &str, element: &str, pairs: &[(&str, &str)]) -> Result<String, BreakError> {
        let body = self.ec2(action, pairs)?;
        let found = body.split_once(&format!("<{element}>")).and_then(|(_, rest)| rest.split_once('<'));
        found.map(|(text, _)| text.to_owned()).ok_or_else(|| BreakError::Refused {
            action: action.to_owned(),
            answer: format!("its answer has no {element}"),
        })
    }

    /// Runs commands as root on a simulated host; the first that fails ends them.
    pub(super) fn host(&mut self, instance_id: &InstanceId, script: &str) -> Result<(), BreakError> {
        let script = format!("set -e\n{script}\n");
        let output = self.world.with_machine(instance_id, |machine, outside| machine.run(&script, outside));
        let Some(output) = output else { return Err(BreakError::NoSuchInstance(instance_id.clone())) };
        self.world.touch();
        if output.exit_code == 0 {
            return Ok(());
        }
        Err(BreakError::Host { instance_id: instance_id.clone(), said: format!("{}{}", output.stdout, output.stderr) })
    }

    /// Lets what is under way come to its end. What is far off (a terminated instance that is listed no longer) is not
    /// waited for.
    pub(super) fn rest(&mut self) {
        self.world.recompute();
        let until = self.world.now.saturating_add(PATIENCE).unwrap_or(self.world.now);
        while let Some(at) = self.world.next_due().filter(|at| *at <= until) {
            self.world.advance(at);
        }
    }
}
