//! Power on, power off, and user data that takes its time.
//!
//! User data often waits: for its second interface, for a package repository. The world's clock must move meanwhile,
//! yet a tree-walking interpreter cannot be put away half-way. So pending user data is *replayed*: the machine as it
//! was before the script, the answers that it got from outside (a tape) and what was done to the machine since (cards
//! plugged in, scripts run over SSM) are kept. When the clock passes the moment at which the script wanted to wake, it
//! runs again from the start: taped answers make it take the same way to the same point, events fall into the sleeps in
//! which they happened, and from there on it asks the world again. It pauses wherever it would pass the clock.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Machine;
use super::cloud_init;
use super::machine::Power;
use super::nic::Nic;
use super::outside::{Answer, Line, Outside};
use super::shell::{Interp, Limits, Schedule};
use crate::model::host::{ConntrackUse, Host, HostInterface};

/// How far cloud-init is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudInit {
    /// The machine was never started.
    NotRun,
    /// User data is still running.
    Running,
    Done,
    /// User data failed. What `cloud-init status --long` lists under `errors`.
    Failed {
        errors: Vec<String>,
    },
}

/// Something that happened to a machine while its user data was running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    Attach(Nic),
    Detach(u32),
    Run {
        script: String,
        tape: Vec<Answer>,
        /// How long it ran until ctrl-c. `None`: to its end.
        #[serde(default)]
        limit: Option<Duration>,
    },
}

/// User data that waits for the clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    before: Machine,
    events: Vec<(Duration, Event)>,
    tape: Vec<Answer>,
    wakes_at: Duration,
}

pub(super) const CLOUD_INIT_LOG: &str = "/var/log/cloud-init-output.log";

impl Machine {
    /// Powers on: interfaces come up, settings on disk are applied, enabled units start, and on the first boot of the
    /// instance user data runs until it first waits; [`Machine::advance`] lets it go on.
    pub fn boot(&mut self, outside: &dyn Outside) {
        if self.is_running() {
            return;
        }
        self.power = Power::On;
        self.boots = self.boots.saturating_add(1);
        self.booted_at = outside.now();
        self.uptime = Duration::ZERO;
        self.start_kernel();
        let mut line = Line::new(outside, Vec::new());
        self.start_enabled_units(&mut line);
        let first = self.boots == 1;
        if !first && !cloud_init::runs_again(self) {
            return;
        }
        self.write_log(&format!(
            "Cloud-init v. {} running 'modules:final' at {}. Up 6.21 seconds.\n",
            self.cloud_init_version(),
            self.stamp()
        ));
        let now = self.booted_at.as_second();
        // A full disk has no room for scripts either; they are then missed where they are written.
        let _full = self.files.make_directories(cloud_init::SCRIPTS, now);
        self.cloud_init = CloudInit::Running;
        let before = self.clone();
        let pending = Pending { before, events: Vec::new(), tape: Vec::new(), wakes_at: Duration::ZERO };
        self.pending = Some(Box::new(pending));
        self.resume(Duration::ZERO, outside);
    }

    /// Powers off. What is not on disk is lost.
    pub fn shutdown(&mut self) {
        if self.pending.take().is_some() {
            self.cloud_init = CloudInit::Failed { errors: vec!["stopped while user data was running".to_owned()] };
        }
        self.power = Power::Off;
        self.kernel = Host::default();
        self.route_origins.clear();
        self.settings.clear();
        self.strain = super::strain::Strain::default();
        for unit in self.units.values_mut() {
            unit.stop();
        }
        for path in ["/run", "/tmp"] {
            let inside: Vec<String> = self.files.list(path).unwrap_or_default();
            for name in inside {
                // A file that cannot be removed stays: nothing depends on it.
                let _gone = self.files.remove(&format!("{path}/{name}"), true);
            }
        }
    }

    /// Sets the machine's clock to `uptime` since boot, never backwards. User data that waits goes on until it would
    /// pass that moment. Call this before anything else is done to a machine at that time.
    pub fn advance(&mut self, uptime: Duration, outside: &dyn Outside) {
        if !self.is_running() {
            return;
        }
        self.uptime = self.uptime.max(uptime);
        if !self.held && self.pending.as_ref().is_some_and(|pending| pending.wakes_at <= self.uptime) {
            self.resume(self.uptime, outside);
        }
    }

    /// Whether user data is still running.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Since boot, when user data that is still running next wants to go on. `None`: none is running.
    pub fn wakes_at(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.wakes_at)
    }

    /// How far cloud-init is.
    pub fn cloud_init(&self) -> &CloudInit {
        &self.cloud_init
    }

    /// Since boot, as the world set it.
    pub fn uptime(&self) -> Duration {
        self.uptime
    }

    /// Lets pending user data run to its end, as though the time had passed. Returns how long that would have taken.
    pub fn finish_user_data(&mut self, outside: &dyn Outside) -> Duration {
        let from = self.uptime;
        let mut to = from;
        while let Some(wakes_at) = self.wakes_at() {
            // Replaying at every sleep would be quadratic: look ahead in growing strides.
            let stride = to.saturating_sub(from).max(Duration::from_secs(60));
            to = wakes_at.max(to + stride);
            self.resume(to, outside);
        }
        let took = self.user_data_ended.map_or(Duration::ZERO, |ended| ended.saturating_sub(from));
        self.uptime = from;
        took
    }

    pub(super) fn note(&mut self, event: Event) {
        self.note_at(self.uptime, event);
    }

    pub(super) fn note_at(&mut self, at: Duration, event: Event) {
        if let Some(pending) = &mut self.pending {
            let place = pending.events.partition_point(|(other, _)| *other <= at);
            pending.events.insert(place, (at, event));
        }
    }

    /// Runs user data again from the machine before it, up to `until` since boot.
    fn resume(&mut self, until: Duration, outside: &dyn Outside) {
        let Some(pending) = self.pending.take() else { return };
        let Pending { before, events, tape, .. } = *pending;
        let mut machine = before.clone();
        let mut line = Line::new(outside, tape);
        let schedule = Schedule { until, events: events.iter().cloned().collect::<VecDeque<_>>() };
        let first = machine.boots == 1;
        let mut interp = Interp::new(&mut machine, &mut line, "cloud-init", Duration::ZERO, &Limits::default());
        interp.follow_schedule(schedule, CLOUD_INIT_LOG);
        let done = cloud_init::run(&mut interp, first);
        let wakes_at = interp.wakes_at();
        let left = interp.events_left();
        let (_, _, ended) = interp.finish();
        for (_, event) in left {
            machine.apply(event, outside);
        }
        match (done, wakes_at) {
            (Err(cloud_init::Paused), Some(wakes_at)) => {
                machine.pending = Some(Box::new(Pending { before, events, tape: line.taped, wakes_at }));
            }
            (done, _) => {
                machine.user_data_ended = Some(ended);
                machine.end_cloud_init(done.unwrap_or_default(), ended);
            }
        }
        machine.uptime = until;
        *self = machine;
    }

    pub(super) fn apply(&mut self, event: Event, outside: &dyn Outside) {
        match event {
            Event::Attach(nic) => self.apply_attach(nic),
            Event::Detach(index) => self.apply_detach(index),
            Event::Run { script, tape, limit } => {
                let mut line = Line::new(outside, tape);
                let mut limits = Limits::default();
                limits.time = limit.unwrap_or(limits.time);
                self.execute(&script, "bash", &mut line, self.uptime, &limits);
            }
        }
    }

    fn end_cloud_init(&mut self, errors: Vec<String>, ended: Duration) {
        let at = self.booted_at.saturating_add(ended).unwrap_or(self.booted_at);
        self.write_log(&format!(
            "Cloud-init v. {} finished at {}. Datasource DataSourceEc2.  Up {:.2} seconds\n",
            self.cloud_init_version(),
            stamp(at),
            ended.as_secs_f64() + 8.04
        ));
        self.cloud_init = if errors.is_empty() { CloudInit::Done } else { CloudInit::Failed { errors } };
    }

    fn cloud_init_version(&self) -> &'static str {
        if self.launch.flavour == super::Flavour::AmazonLinux2023 { "22.2.2" } else { "19.3-46.amzn2" }
    }

    fn write_log(&mut self, text: &str) {
        // A full disk loses the log, as on a real host.
        let _lost = self.files.append(CLOUD_INIT_LOG, text, self.booted_at.as_second());
    }

    /// The boot time as cloud-init writes it.
    fn stamp(&self) -> String {
        stamp(self.booted_at)
    }

    fn start_kernel(&mut self) {
        self.kernel = Host {
            interfaces: vec![HostInterface {
                name: "lo".to_owned(),
                altnames: Vec::new(),
                mac_address: None,
                up: true,
                mtu: 65_536,
                addresses: ["127.0.0.1/8", "::1/128"].into_iter().filter_map(|net| net.parse().ok()).collect(),
                rp_filter: 0,
            }],
            ..Host::default()
        };
        self.kernel.ruleset.conntrack = None;
        self.apply_sysctl_files();
        for nic in self.nics.clone() {
            self.plug(&nic);
        }
        self.apply_sysctl_files();
    }

    /// Connection tracking comes into use with the first rule that needs it. 65536 entries below 1 GB of memory and
    /// upward from there (nf_conntrack_core.c: one bucket per 16 kB of memory, at most 262144 entries by default).
    pub(super) fn load_conntrack(&mut self) {
        if self.kernel.ruleset.conntrack.is_none() {
            let max = if self.launch.instance_type.ends_with(".nano") { 16_384 } else { 65_536 };
            self.kernel.ruleset.conntrack = Some(ConntrackUse { count: 0, max });
        }
    }
}

/// A time as cloud-init writes it.
fn stamp(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
