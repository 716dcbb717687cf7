//! Waiting for a state: exponential back-off with jitter and a deadline, never a fixed sleep.

use std::time::Duration;

use tokio::time::Instant;

/// Delays that double from `first` to `longest`, each shortened by up to half at random, until `deadline`.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration, total: Duration) -> Self {
        Self { next: first, longest, deadline: Instant::now() + total }
    }

    /// For states of resources: 50 ms up to 3 s.
    pub(super) fn for_state(total: Duration) -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(3), total)
    }

    /// Sleeps. `false`: the deadline has passed, and it did not.
    pub(super) async fn wait(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        let delay = self.next.mul_f64(0.5 + fastrand::f64() / 2.0).min(self.deadline - now);
        self.next = (self.next * 2).min(self.longest);
        tokio::time::sleep(delay).await;
        true
    }
}
