//! A shell on a simulated host. Reads the clock and waits in real time, as far as the sandbox's own clock is real;
//! `prompt` alone touches the terminal.
//!
//! While a command computes, the world stands still under its lock; while it waits, the world has the machine back and
//! goes on: cards are attached, user data runs, other hosts look.

mod at_work;
mod prompt;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use at_work::AtWork;
pub use prompt::{ShellEnd, run, run_script};

use super::connector::{Sandbox, SandboxError};
use super::host::{Entered, Interrupted, Session, Stream};
use crate::model::{Instance, InstanceId, InstanceState};

/// Why there is no shell.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    #[error("there is no instance {0} in the sandbox; `natdeck --sandbox tree` lists those that there are")]
    NoSuchInstance(String),
    #[error("{count} instances are named {name}; say which one by its id: {ids}")]
    Ambiguous { name: String, count: usize, ids: String },
    #[error("{instance_id} is {state}; a shell needs it running: {remedy}")]
    NotRunning { instance_id: InstanceId, state: &'static str, remedy: String },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot use the terminal")]
    Terminal(#[from] std::io::Error),
}

/// Where a shell's output goes and where answers to its questions come from.
pub trait Screen {
    fn print(&self, stream: Stream, text: &str);

    /// A line from the keyboard. `None`: there is none.
    fn ask(&self, prompt: &str) -> Result<Option<String>, Interrupted>;
}

/// Ctrl-c, seen by the command that runs. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was raised; afterwards it is not.
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// An open shell.
pub struct HostShell {
    sandbox: Sandbox,
    instance_id: InstanceId,
    session: Session,
    interrupt: Interrupt,
}

impl HostShell {
    /// Opens a shell on an instance: by its id, or by a `Name` that only one living instance has.
    pub fn open(sandbox: Sandbox, which: &str, interactive: bool, interrupt: Interrupt) -> Result<Self, ShellError> {
        let instance_id = {
            let mut held = sandbox.hold();
            let instances: Vec<Instance> = held.world().all::<Instance>().cloned().collect();
            let found = find(&instances, which)?;
            check_running(found)?;
            found.instance_id.clone()
        };
        Ok(Self { sandbox, instance_id, session: Session::open(interactive), interrupt })
    }

    pub fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    /// What stands before the cursor.
    pub fn prompt(&self) -> String {
        let mut held = self.sandbox.hold();
        held.world().machines.get(&self.instance_id).map(|machine| self.session.prompt(machine)).unwrap_or_default()
    }

    /// What the word before the cursor may become, and where it begins.
    pub fn complete(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let mut held = self.sandbox.hold();
        let machine = held.world().machines.get(&self.instance_id);
        machine.map_or((cursor, Vec::new()), |machine| self.session.complete(machine, line, cursor))
    }

    /// Runs what was typed. An instance that is stopped or terminated meanwhile ends the shell with an error.
    pub fn enter(&mut self, text: &str, screen: &dyn Screen) -> Result<Entered, ShellError> {
        // Whatever was pressed at the prompt is over.
        self.interrupt.take();
        let mut held = self.sandbox.hold();
        self.still_running(&mut held)?;
        let Some(mut machine) = held.world().machines.remove(&self.instance_id) else {
            return Err(ShellError::NoSuchInstance(self.instance_id.to_string()));
        };
        let at_work = AtWork::new(&self.sandbox, &self.instance_id, held, screen, &self.interrupt);
        let entered = machine.enter(&mut self.session, text, &at_work, &at_work);
        let (mut held, gone) = at_work.into_parts();
        if gone {
            self.still_running(&mut held)?;
        } else {
            held.world().machines.insert(self.instance_id.clone(), machine);
        }
        held.release()?;
        Ok(entered)
    }

    fn still_running(&self, held: &mut super::connector::Held<'_>) -> Result<(), ShellError> {
        match held.world().get::<Instance>(&self.instance_id) {
            Some(instance) => check_running(instance),
            None => Err(ShellError::NoSuchInstance(self.instance_id.to_string())),
        }
    }
}

fn find<'a>(instances: &'a [Instance], which: &str) -> Result<&'a Instance, ShellError> {
    if let Some(instance) = instances.iter().find(|instance| instance.instance_id.as_str() == which) {
        return Ok(instance);
    }
    let named: Vec<&Instance> = instances
        .iter()
        .filter(|instance| instance.tags.name() == Some(which) && instance.state != InstanceState::Terminated)
        .collect();
    match named.as_slice() {
        [] => Err(ShellError::NoSuchInstance(which.to_owned())),
        [only] => Ok(only),
        several => {
            let ids: Vec<&str> = several.iter().map(|instance| instance.instance_id.as_str()).collect();
            Err(ShellError::Ambiguous { name: which.to_owned(), count: ids.len(), ids: ids.join(", ") })
        }
    }
}

fn check_running(instance: &Instance) -> Result<(), ShellError> {
    let id = &instance.instance_id;
    let (state, remedy) = match instance.state {
        InstanceState::Running => return Ok(()),
        InstanceState::Pending => ("pending", "try again in a few seconds".to_owned()),
        InstanceState::Stopping => {
            ("stopping", format!("when it has stopped, `aws ec2 start-instances --instance-ids {id}`"))
        }
        InstanceState::Stopped => ("stopped", format!("`aws ec2 start-instances --instance-ids {id}` starts it")),
        InstanceState::ShuttingDown | InstanceState::Terminated => {
            ("terminated", "choose another instance; `natdeck --sandbox tree` lists them".to_owned())
        }
        _ => ("in an unknown state", "`natdeck --sandbox tree` shows it".to_owned()),
    };
    Err(ShellError::NotRunning { instance_id: id.clone(), state, remedy })
}
