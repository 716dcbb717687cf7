//! The world around a command that runs in a shell: its outside and its terminal in one, since waiting at the terminal
//! is what lets the outside go on.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::connector::{Held, Sandbox};
use super::super::host::{Interrupted, Machine, Outside, Reached, ResolveError, Stream, Terminal};
use super::{Interrupt, Screen};
use crate::model::{InstanceId, Protocol};

/// How soon ctrl-c is heard.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct AtWork<'a> {
    sandbox: &'a Sandbox,
    instance_id: &'a InstanceId,
    /// `None` only while the command waits.
    held: RefCell<Option<Held<'a>>>,
    screen: &'a dyn Screen,
    interrupt: &'a Interrupt,
    /// The machine was taken away while the command waited.
    gone: Cell<bool>,
}

impl<'a> AtWork<'a> {
    pub(super) fn new(
        sandbox: &'a Sandbox,
        instance_id: &'a InstanceId,
        held: Held<'a>,
        screen: &'a dyn Screen,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { sandbox, instance_id, held: RefCell::new(Some(held)), screen, interrupt, gone: Cell::new(false) }
    }

    /// The world again, and whether the machine is gone from it.
    pub(super) fn into_parts(self) -> (Held<'a>, bool) {
        let held = self.held.into_inner().unwrap_or_else(|| self.sandbox.hold());
        (held, self.gone.get())
    }

    /// Gives the machine to the world, lets go of it for as long as `meanwhile` takes, and takes both again.
    fn step_back<T>(
        &self,
        machine: &mut Machine,
        meanwhile: impl FnOnce() -> Result<T, Interrupted>,
    ) -> Result<T, Interrupted> {
        if let Some(mut held) = self.held.take() {
            held.world().machines.insert(self.instance_id.clone(), machine.clone());
        }
        let done = meanwhile();
        let mut held = self.sandbox.hold();
        let back = held.world().machines.remove(self.instance_id).filter(Machine::is_running);
        self.held.replace(Some(held));
        match back {
            Some(back) => *machine = back,
            None => {
                self.gone.set(true);
                return Err(Interrupted);
            }
        }
        done
    }

    fn in_world<T>(&self, ask: impl FnOnce(&mut super::super::world::World) -> T) -> Option<T> {
        self.held.borrow_mut().as_mut().map(|held| ask(held.world()))
    }
}

impl Terminal for AtWork<'_> {
    fn print(&self, stream: Stream, text: &str) {
        self.screen.print(stream, text);
    }

    fn wait(&self, machine: &mut Machine, time: Duration) -> Result<(), Interrupted> {
        if self.gone.get() || self.interrupt.take() {
            return Err(Interrupted);
        }
        self.step_back(machine, || {
            // A clock that a test moves.
            if self.sandbox.clock().advance(time) {
                return Ok(());
            }
            let scaled = time.min(Duration::from_secs(365 * 24 * 3600)).as_secs_f64() * self.sandbox.time_scale();
            let until = Instant::now() + Duration::try_from_secs_f64(scaled).unwrap_or(time);
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                std::thread::park_timeout(left.min(GLANCE));
                if self.interrupt.take() {
                    return Err(Interrupted);
                }
            }
        })
    }

    fn ask(&self, machine: &mut Machine, prompt: &str) -> Result<Option<String>, Interrupted> {
        if self.gone.get() {
            return Err(Interrupted);
        }
        self.step_back(machine, || self.screen.ask(prompt))
    }
}

impl Outside for AtWork<'_> {
    fn resolve(&self, machine: &Machine, name: &str) -> Result<IpAddr, ResolveError> {
        self.in_world(|world| world.view().resolve(machine, name)).unwrap_or(Err(ResolveError::TimedOut))
    }

    fn connect(&self, machine: &Machine, destination: IpAddr, port: u16, protocol: Protocol) -> Reached {
        self.in_world(|world| world.view().connect(machine, destination, port, protocol)).unwrap_or(Reached::TimedOut)
    }

    fn now(&self) -> Timestamp {
        self.in_world(|world| world.now).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
