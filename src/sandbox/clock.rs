//! The sandbox's clock: the real one, or one that a test moves.
//!
//! The world itself never reads a clock; the connector asks this one once per request and tells the world.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Where the sandbox's time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Stands still until it is advanced. Clones share the time.
    Manual(ManualClock),
}

/// A clock that moves only when it is told to, or by a fixed step each time it is read.
#[derive(Debug, Clone)]
pub struct ManualClock {
    /// Microseconds since 1970.
    now_us: Arc<AtomicI64>,
    /// How far one reading moves it. Zero: it stands still.
    step_us: i64,
}

impl Clock {
    /// A clock that stands at `start`.
    pub fn manual(start: Timestamp) -> Self {
        Self::stepping(start, Duration::ZERO)
    }

    /// A clock that moves on by `step` each time it is read, that is: with each request. With it a caller that polls
    /// sees its state change after a number of polls, however short its pauses are.
    pub fn stepping(start: Timestamp, step: Duration) -> Self {
        Self::Manual(ManualClock {
            now_us: Arc::new(AtomicI64::new(start.as_microsecond())),
            step_us: microseconds(step),
        })
    }

    /// The time of a request that arrives now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Manual(clock) => {
                let before = clock.now_us.fetch_add(clock.step_us, Ordering::AcqRel);
                Timestamp::from_microsecond(before.saturating_add(clock.step_us)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a manual clock. Whether there was one to move: the machine's clock goes its own way.
    pub fn advance(&self, by: Duration) -> bool {
        match self {
            Self::System => false,
            Self::Manual(clock) => {
                clock.now_us.fetch_add(microseconds(by), Ordering::AcqRel);
                true
            }
        }
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_it_is_advanced_and_clones_share_it() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let twin = clock.clone();
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert!(twin.advance(Duration::from_secs(90)));
        assert_eq!(clock.now().as_second(), 90);
        assert_eq!(clock.now().as_second(), 90);
    }

    #[test]
    fn a_stepping_clock_moves_with_each_reading() {
        let clock = Clock::stepping(Timestamp::UNIX_EPOCH, Duration::from_millis(500));
        assert_eq!(clock.now().as_millisecond(), 500);
        assert_eq!(clock.now().as_millisecond(), 1000);
    }

    #[test]
    fn the_system_clock_cannot_be_moved() {
        assert!(!Clock::System.advance(Duration::from_secs(1)));
    }
}
