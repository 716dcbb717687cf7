//! What traffic and time do to a host, and no command does: full tables, spent allowances and credits, want of memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Machine;

/// Loads on a host beside what its kernel holds. Gone with the next boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strain {
    /// The package manager does not fit into memory and is killed.
    pub(super) memory: bool,
    /// The CPU credits are spent: the hypervisor gives the time to others.
    pub(super) credits_spent: bool,
    /// Packets beyond the outgoing bandwidth allowance, by device.
    pub(super) over_allowance: BTreeMap<String, u64>,
    /// Connections that found no free source port.
    pub(super) insert_failed: u64,
    /// New connections that found the table full.
    pub(super) dropped: u64,
    pub(super) kernel_log: Vec<String>,
}

impl Machine {
    /// The host as it was before its first boot, with the cards that it has now.
    pub fn as_launched(&self) -> Self {
        let mut fresh = Self::new(self.launch.clone());
        fresh.nics.clone_from(&self.nics);
        fresh
    }

    /// Whether the package manager is killed for want of memory.
    pub fn strain_memory(&mut self, on: bool) {
        self.strain.memory = on;
    }

    /// Clients hold as many connections as can be tracked.
    pub fn fill_conntrack(&mut self) {
        self.load_conntrack();
        if let Some(entries) = &mut self.kernel.ruleset.conntrack {
            entries.count = entries.max;
        }
        self.strain.dropped = 1_742;
        let at = self.uptime.as_secs_f64();
        self.strain.kernel_log.push(format!("[{at:>12.6}] nf_conntrack: nf_conntrack: table full, dropping packet"));
    }

    /// Traffic exceeded the allowances of the instance type.
    pub fn exceed_allowances(&mut self, device: &str) {
        self.strain.over_allowance.insert(device.to_owned(), 48_213);
    }

    /// Clients hold every source port that masquerading may use.
    pub fn exhaust_ports(&mut self) {
        self.kernel.ports_taken = true;
        self.strain.insert_failed = 3_906;
    }

    /// The CPU credits are spent.
    pub fn spend_credits(&mut self) {
        self.strain.credits_spent = true;
    }

    /// `/proc/stat`: half of the time of a throttled instance is stolen.
    pub(super) fn proc_stat(&self) -> String {
        let ticks = self.uptime.as_secs().saturating_mul(200).max(1_000);
        let steal = if self.strain.credits_spent { ticks / 2 } else { 0 };
        let idle = if self.strain.credits_spent { 0 } else { ticks - ticks / 10 };
        let user = ticks.saturating_sub(steal + idle);
        format!("cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\n")
    }

    /// `/proc/net/stat/nf_conntrack`: hexadecimal, a line a processor; the kernel's own columns.
    pub(super) fn proc_conntrack(&self) -> Option<String> {
        let used = self.kernel.ruleset.conntrack?;
        let Strain { insert_failed, dropped, .. } = &self.strain;
        Some(format!(
            "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop \
             icmp_error  expect_new expect_create expect_delete search_restart\n\
             {:08x}  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 {insert_failed:08x} \
             {dropped:08x} 00000000 00000000  00000000 00000000 00000000 00000000\n",
            used.count
        ))
    }
}
