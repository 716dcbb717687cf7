//! Simulated time as a script sees it: what passes while it waits, and what is killed when it takes too long.

use std::time::Duration;

use jiff::Timestamp;

use super::{Flow, Interp, Run};

impl Interp<'_, '_> {
    /// Lets simulated time pass.
    pub(in super::super) fn pass(&mut self, time: Duration) -> Run<()> {
        match self.timeout_at {
            Some(end) if self.clock.saturating_add(time) > end => {
                self.pass_all(end.saturating_sub(self.clock))?;
                Err(Flow::TimedOut)
            }
            _ => self.pass_all(time),
        }
    }

    fn pass_all(&mut self, time: Duration) -> Run<()> {
        let wake = self.clock.saturating_add(time);
        if wake.saturating_sub(self.began) > self.limits.time {
            return Err(Flow::Killed("ran for too long"));
        }
        if self.background > 0 {
            self.clock = wake;
            return Ok(());
        }
        if let Some(terminal) = self.terminal {
            self.machine.files.acting = 0;
            let waited = terminal.wait(self.machine, time);
            self.machine.files.acting = self.shell.uid;
            waited.map_err(|_| Flow::Interrupted)?;
            self.clock = wake.max(self.machine.uptime);
            // Bounds are on what happens in one moment: a loop that sleeps may go on for as long as it is watched.
            (self.steps, self.printed) = (0, 0);
            return Ok(());
        }
        let outside = self.line.outside();
        if let Some(schedule) = &mut self.schedule {
            let reach = wake.min(schedule.until);
            let mut due = Vec::new();
            while schedule.events.front().is_some_and(|(at, _)| *at <= reach) {
                due.extend(schedule.events.pop_front());
            }
            let until = schedule.until;
            for (at, event) in due {
                self.machine.uptime = at;
                self.machine.apply(event, outside);
            }
            if wake > until {
                self.clock = until.max(self.clock);
                self.wakes_at = Some(wake);
                return Err(Flow::Paused);
            }
        }
        self.clock = wake;
        Ok(())
    }

    /// Waits at the terminal until user data has ended, as far as it does. `false`: there is nobody who waits.
    pub(in super::super) fn wait_for_user_data(&mut self) -> Run<bool> {
        if self.terminal.is_none() {
            return Ok(false);
        }
        // What was done before on the same line would be missed by the user data that goes on meanwhile; nobody waits
        // in the middle of a line that matters.
        self.machine.held = false;
        let mut waited = Ok(());
        while self.machine.is_busy() && waited.is_ok() {
            waited = self.pass(Duration::from_secs(1));
        }
        self.machine.held = true;
        waited.map(|()| true)
    }

    /// Runs `body`, which is killed with status 124 when it takes longer than `limit`, as `timeout` does.
    pub(in super::super) fn limited(&mut self, limit: Option<Duration>, body: impl FnOnce(&mut Self) -> Run) -> Run {
        let Some(limit) = limit else { return body(self) };
        let end = self.clock.saturating_add(limit);
        let outer = self.timeout_at;
        self.timeout_at = Some(outer.map_or(end, |outer| outer.min(end)));
        let ended = body(self);
        self.timeout_at = outer;
        match ended {
            Err(Flow::TimedOut) if outer.is_none_or(|outer| end < outer) => Ok(124),
            other => other,
        }
    }

    /// Since boot.
    pub(in super::super) fn clock(&self) -> Duration {
        self.clock
    }

    /// The time of day on the host.
    pub(in super::super) fn now(&self) -> Timestamp {
        self.boot_time.checked_add(self.clock).unwrap_or(self.boot_time)
    }

    /// Seconds since the epoch.
    pub(in super::super) fn seconds(&self) -> i64 {
        self.now().as_second()
    }
}
