//! Ctrl-C during a command that has something to keep when it ends.

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Counts how often Ctrl-C was pressed since [`Interrupt::listen`]. From then on it does not end the process any more.
pub struct Interrupt {
    presses: watch::Receiver<u32>,
    listener: JoinHandle<()>,
}

impl Interrupt {
    pub fn listen() -> Self {
        let (count, presses) = watch::channel(0);
        let listener = tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                count.send_modify(|presses| *presses += 1);
            }
        });
        Self { presses, listener }
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

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
