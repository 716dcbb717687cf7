//! How a host is, beside what its kernel does with a packet: boot script, tools, what survives a reboot, what is used
//! up, names and proxies. Read off the host with the same command as [`super::host`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The health of one host. `None` and empty mean that the host did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostHealth {
    pub observed_at: Option<Timestamp>,
    /// `cloud-init status --long`.
    pub cloud_init: Option<CloudInit>,
    /// Which of `iptables`, `nft`, `ethtool`, `conntrack` and `curl` are installed. `None`: not asked.
    pub tools: Option<Vec<String>>,
    /// What would bring forwarding and rules back after a reboot. `None`: not asked.
    pub persistence: Option<Persistence>,
    /// `*_allowance_exceeded` of `ethtool -S`, by device and counter: packets that EC2 queued or dropped since boot.
    pub allowances: BTreeMap<String, BTreeMap<String, u64>>,
    /// Connection tracking counters since boot.
    pub conntrack: Option<ConntrackCounters>,
    /// Lines of the kernel log about connection tracking: `nf_conntrack: table full, dropping packet`.
    pub kernel_log: Vec<String>,
    /// The first line of `/proc/stat`.
    pub cpu: Option<CpuTimes>,
    /// TCP sockets of the host's own, `/proc/net/sockstat`. `None`: not asked.
    #[serde(default)]
    pub sockets: Option<Sockets>,
    /// Path MTU sysctls and the like, by name: `net.ipv4.ip_no_pmtu_disc`, `net.ipv4.tcp_mtu_probing`,
    /// `net.ipv4.ip_local_port_range`.
    pub sysctls: BTreeMap<String, String>,
    /// Whether `api.ipify.org` and `checkip.amazonaws.com` resolve there, by name. Empty: not tried.
    pub resolves: BTreeMap<String, bool>,
    /// `nameserver` lines of `/etc/resolv.conf`.
    pub nameservers: Vec<String>,
    /// Proxy variables that programs would find, as `NAME=value` with their source: `/etc/environment`.
    pub proxies: Vec<ProxySetting>,
}

/// A proxy variable and where it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySetting {
    /// `env`, or a file.
    pub source: String,
    /// `https_proxy=http://10.0.0.9:3128`, without user and password.
    pub text: String,
}

/// What cloud-init says of the boot script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudInit {
    /// `done`, `error`, `running`, `not run`, `disabled`, …
    pub status: String,
    /// The lines of `cloud-init status --long` and the last of its log that say why.
    pub detail: Vec<String>,
}

/// What would come back after a reboot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// Files below `/etc/sysctl.d` and the like that switch forwarding on.
    pub sysctl_files: Vec<String>,
    /// Files that hold a translating rule: `/etc/sysconfig/iptables`, `/etc/nftables.conf`, `/etc/iptables/rules.v4`.
    pub rule_files: Vec<String>,
    /// Enabled units that load such files or run such scripts: `iptables.service`, `natdeck-nat.service`.
    pub units: Vec<String>,
}

impl Persistence {
    /// Something brings the translating rules back.
    pub fn keeps_rules(&self) -> bool {
        !self.rule_files.is_empty() || !self.units.is_empty()
    }

    /// Something switches forwarding on again. A unit that brings rules back is taken to do that too.
    pub fn keeps_forwarding(&self) -> bool {
        !self.sysctl_files.is_empty() || !self.units.is_empty()
    }

    pub fn is_complete(&self) -> bool {
        self.keeps_rules() && self.keeps_forwarding()
    }
}

/// Counters of connection tracking, summed over processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConntrackCounters {
    /// Entries that could not be inserted: no source port was left, or a clash.
    pub insert_failed: u64,
    /// Packets dropped: the table was full, or memory was short.
    pub drop: u64,
    pub early_drop: u64,
}

/// How many TCP sockets a host holds, each of which may hold a local port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    pub in_use: u64,
    /// Closed, and kept from being used again for a minute (`TIME_WAIT`).
    pub time_wait: u64,
}

/// Processor time since boot, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTimes {
    pub total: u64,
    /// Time that the hypervisor gave to others: what a burstable instance without credits shows.
    pub steal: u64,
}
