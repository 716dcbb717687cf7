//! The person before an interactive shell, as the shell meets them. Pure: whoever opens the session implements it.

use std::time::Duration;

use super::Machine;

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// Ctrl-c, or the host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// A screen and a keyboard.
pub trait Terminal {
    /// Shows a text at once.
    fn print(&self, stream: Stream, text: &str);

    /// Lets time pass. Meanwhile the world goes on and may change the machine: cards are plugged in, user data runs.
    fn wait(&self, machine: &mut Machine, time: Duration) -> Result<(), Interrupted>;

    /// A line from the keyboard, without its end. `None`: there is no keyboard, or no more input.
    fn ask(&self, machine: &mut Machine, prompt: &str) -> Result<Option<String>, Interrupted>;
}
