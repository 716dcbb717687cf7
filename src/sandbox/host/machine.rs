//! One simulated instance: its disk, its kernel and the doors through which the world uses it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::boot::{CloudInit, Event, Pending};
use super::image;
use super::nic::{Nic, RouteOrigin};
use super::outside::{Line, Outside};
use super::services::{JournalLine, Unit};
use super::shell::{Interp, Limits};
use super::strain::Strain;
use super::vfs::Vfs;
use crate::model::host::Host;

/// Which system is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// No iptables and no nft until installed, interfaces `ens5`, `ens6`, systemd-networkd.
    AmazonLinux2023,
    /// iptables (legacy) on board, interfaces `eth0`, `eth1`.
    AmazonLinux2,
}

/// Everything that is decided when an instance is launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub flavour: Flavour,
    pub instance_id: String,
    pub instance_type: String,
    pub region: String,
    pub zone: String,
    pub image_id: String,
    pub account_id: String,
    /// The private DNS name: `ip-10-8-1-227.eu-central-1.compute.internal`.
    pub hostname: String,
    pub nics: Vec<Nic>,
    /// Decoded from base64. `None`: none was given.
    pub user_data: Option<Vec<u8>>,
    /// `MetadataOptions.HttpTokens = required`: the metadata service refuses requests without a token.
    pub http_tokens_required: bool,
    /// `MetadataOptions.HttpEndpoint = disabled`: the metadata service refuses everything.
    #[serde(default)]
    pub metadata_off: bool,
    /// The role's name in the metadata service. `None`: the instance has no profile.
    pub role: Option<String>,
    /// The image has fck-nat's service, which makes the host a NAT at each boot.
    #[serde(default)]
    pub fck_nat: bool,
    pub seed: u64,
}

/// Whether the machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Power {
    Off,
    On,
}

/// A simulated host.
///
/// Its clock is what the world says: [`Machine::advance`]. User data that sleeps is held there until the world's time
/// has come, see [`Machine::advance`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub(super) launch: Launch,
    pub(super) nics: Vec<Nic>,
    pub(super) kernel: Host,
    /// What the kernel would say about a route's origin; routes that are not in it were added by hand.
    pub(super) route_origins: Vec<(crate::model::host::HostRoute, RouteOrigin)>,
    pub(super) files: Vfs,
    pub(super) packages: BTreeSet<String>,
    pub(super) units: BTreeMap<String, Unit>,
    #[serde(default)]
    pub(super) journal: VecDeque<JournalLine>,
    /// Settings that [`Host`] does not hold, dotted names.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) hostname: String,
    pub(super) power: Power,
    /// How often it was started.
    pub(super) boots: u32,
    pub(super) booted_at: Timestamp,
    pub(super) uptime: Duration,
    pub(super) cloud_init: CloudInit,
    pub(super) pending: Option<Box<Pending>>,
    /// Somebody's command is in its middle: pending user data does not go on.
    #[serde(skip)]
    pub(super) held: bool,
    /// Since boot.
    pub(super) user_data_ended: Option<Duration>,
    /// What traffic does to it.
    #[serde(default)]
    pub(super) strain: Strain,
    /// State of the machine's own dice (temporary names, tokens).
    pub(super) dice: u64,
}

/// What a script left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
    /// Simulated time: sleeps and timeouts add up.
    pub elapsed: Duration,
}

impl Machine {
    /// A new disk from the image, powered off.
    pub fn new(launch: Launch) -> Self {
        let mut machine = Self {
            nics: launch.nics.clone(),
            kernel: Host::default(),
            route_origins: Vec::new(),
            files: Vfs::default(),
            packages: BTreeSet::new(),
            units: BTreeMap::new(),
            journal: VecDeque::new(),
            settings: BTreeMap::new(),
            hostname: launch.hostname.clone(),
            power: Power::Off,
            boots: 0,
            booted_at: Timestamp::UNIX_EPOCH,
            uptime: Duration::ZERO,
            cloud_init: CloudInit::NotRun,
            pending: None,
            held: false,
            user_data_ended: None,
            strain: Strain::default(),
            dice: launch.seed,
            launch,
        };
        machine.nics.sort_by_key(|nic| nic.device_index);
        image::install(&mut machine);
        machine
    }

    /// The kernel's state as it is now. Empty while the machine is off.
    pub fn kernel(&self) -> &Host {
        &self.kernel
    }

    /// For the world: counters, faults. While user data is held in a sleep ([`Machine::is_busy`]) what is changed here
    /// is lost when it goes on; use [`Machine::run`] then.
    pub fn kernel_mut(&mut self) -> &mut Host {
        &mut self.kernel
    }

    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The attached cards, by device index.
    pub fn nics(&self) -> &[Nic] {
        &self.nics
    }

    /// For the world: what the metadata service tells changes with the interface (public address, groups).
    pub fn nic_mut(&mut self, device_index: u32) -> Option<&mut Nic> {
        self.nics.iter_mut().find(|nic| nic.device_index == device_index)
    }

    pub fn is_running(&self) -> bool {
        self.power == Power::On
    }

    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Whether a systemd unit runs: `amazon-ssm-agent` decides whether SSM can reach the host.
    pub fn service_is_active(&self, name: &str) -> bool {
        self.is_running() && self.unit_is_active(name)
    }

    /// Whether a package is installed.
    pub fn has_package(&self, name: &str) -> bool {
        self.packages.contains(name)
    }

    /// The text of a file on the virtual disk, `/proc` and `/sys` included. `None`: no such file.
    pub fn file(&self, path: &str) -> Option<String> {
        self.read_file(path).ok()
    }

    /// The boot log that `GetConsoleOutput` would show.
    pub fn console_log(&self) -> String {
        self.file("/var/log/cloud-init-output.log").unwrap_or_default()
    }

    /// Plugs a card in. On a running machine the system configures it by itself.
    pub fn attach_interface(&mut self, nic: Nic) {
        self.note(Event::Attach(nic.clone()));
        self.apply_attach(nic);
    }

    /// Pulls a card out.
    pub fn detach_interface(&mut self, device_index: u32) {
        self.note(Event::Detach(device_index));
        self.apply_detach(device_index);
    }

    pub(super) fn apply_attach(&mut self, nic: Nic) {
        self.nics.retain(|other| other.device_index != nic.device_index);
        if self.is_running() {
            self.plug(&nic);
        }
        self.nics.push(nic);
        self.nics.sort_by_key(|nic| nic.device_index);
    }

    pub(super) fn apply_detach(&mut self, device_index: u32) {
        let Some(at) = self.nics.iter().position(|nic| nic.device_index == device_index) else { return };
        let nic = self.nics.remove(at);
        self.unplug(&nic);
    }

    /// Runs a script as root, as SSM's `AWS-RunShellScript` does. Never hangs: a script that takes too many steps or
    /// prints too much is killed with exit code 137. On a machine that is off, exit code 255.
    ///
    /// `cloud-init status --wait` anywhere in the script lets pending user data finish before the script starts, and
    /// the time that it took counts as the script's.
    pub fn run(&mut self, script: &str, outside: &dyn Outside) -> Output {
        if !self.is_running() {
            return Output { stderr: "the instance is not running\n".to_owned(), exit_code: 255, ..Output::default() };
        }
        let waited = if waits_for_cloud_init(script) { self.finish_user_data(outside) } else { Duration::ZERO };
        let mut line = Line::new(outside, Vec::new());
        let mut output = self.execute(script, "bash", &mut line, self.uptime + waited, &Limits::default());
        self.note(Event::Run { script: script.to_owned(), tape: line.taped, limit: None });
        output.elapsed += waited;
        output
    }

    /// Runs a script on this machine as it is, at `uptime` since boot.
    pub(super) fn execute(
        &mut self,
        script: &str,
        name: &str,
        line: &mut Line<'_>,
        uptime: Duration,
        limits: &Limits,
    ) -> Output {
        let mut interp = Interp::new(self, line, name, uptime, limits);
        let exit_code = interp.run_script(script);
        let (stdout, stderr, elapsed) = interp.finish();
        Output { stdout, stderr, exit_code, elapsed: elapsed.saturating_sub(uptime) }
    }

    /// The next number of the machine's own dice.
    pub(super) fn roll(&mut self) -> u64 {
        let mut rng = fastrand::Rng::with_seed(self.dice);
        let value = rng.u64(..);
        self.dice = rng.u64(..);
        value
    }
}

fn waits_for_cloud_init(script: &str) -> bool {
    script.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(3).any(|three| {
            matches!(three, [tool, "status", flag] if tool.ends_with("cloud-init") && matches!(*flag, "--wait" | "-w"))
        }) || words.windows(4).any(|four| {
            matches!(four, [tool, "status", _, flag] if tool.ends_with("cloud-init") && matches!(*flag, "--wait" | "-w"))
        })
    })
}
