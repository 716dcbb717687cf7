//! Ctrl-C during what must not be ended half-way, or has something to keep when it ends.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Does `act` at each Ctrl-C for as long as the guard lives. From the moment that this returns on, Ctrl-C does not end the
/// process any more.
///
/// # Errors
///
/// When the signal cannot be heard.
pub fn on_ctrl_c(mut act: impl FnMut() + Send + 'static) -> io::Result<Heard> {
    // Here and not in the task: until this is done Ctrl-C ends the process.
    let mut pressed = signal(SignalKind::interrupt())?;
    Ok(Heard(tokio::spawn(async move {
        while pressed.recv().await.is_some() {
            act();
        }
    })))
}

/// Hears Ctrl-C until it is dropped.
pub struct Heard(JoinHandle<()>);

impl Drop for Heard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts how often Ctrl-C was pressed since [`Interrupt::listen`].
pub struct Interrupt {
    presses: watch::Receiver<u32>,
    _heard: Heard,
}

impl Interrupt {
    /// See [`on_ctrl_c`].
    pub fn listen() -> io::Result<Self> {
        let (count, presses) = watch::channel(0);
        let heard = on_ctrl_c(move || count.send_modify(|presses| *presses += 1))?;
        Ok(Self { presses, _heard: heard })
    }

    pub fn is_pressed(&self) -> bool {
        *self.presses.borrow() > 0
    }

    /// Waits until it was pressed so often; for ever, if it never is.
    pub async fn pressed(&self, times: u32) {
        if self.presses.clone().wait_for(|presses| *presses >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
