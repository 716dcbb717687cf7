//! What traffic and time do to a host, and no command does: full tables, spent allowances and credits, want of memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::model::Protocol;
use crate::model::host::{PortsHeld, PortsTowards};

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

    /// Clients hold every source port of `range` towards port 443 of each of `destinations`, seen to come from `source`.
    pub fn exhaust_ports(&mut self, source: Ipv4Addr, destinations: &[Ipv4Addr], range: (u16, u16)) {
        self.load_conntrack();
        let count = u32::from(range.1.saturating_sub(range.0)) + 1;
        let towards = destinations.iter().map(|destination| PortsTowards {
            protocol: Protocol::Tcp,
            source: source.into(),
            destination: (*destination).into(),
            destination_port: 443,
            count,
            closing: 0,
            lowest: range.0,
            highest: range.1,
        });
        let mut held = PortsHeld { shown_by: "conntrack -L".to_owned(), ..PortsHeld::default() };
        held.towards.extend(towards);
        held.entries = held.towards.iter().map(|towards| u64::from(towards.count)).sum();
        if let Some(entries) = &mut self.kernel.ruleset.conntrack {
            entries.count = entries.max.min(entries.count + held.entries);
        }
        self.kernel.ports_held = Some(held);
        self.strain.insert_failed = 3_906;
    }

    /// Those connections are closed and forgotten.
    pub fn release_ports(&mut self) {
        let held = self.kernel.ports_held.take().map_or(0, |held| held.entries);
        if let Some(entries) = &mut self.kernel.ruleset.conntrack {
            entries.count = entries.count.saturating_sub(held);
        }
    }

    /// `/proc/net/nf_conntrack`: the connections that hold source ports. Who opened them is not kept: a neighbour of the
    /// client.
    pub(super) fn tracked_connections(&self) -> Option<String> {
        self.kernel.ruleset.conntrack?;
        let inner = self.nics.last().map_or(Ipv4Addr::UNSPECIFIED, |nic| nic.private_ip);
        let client = Ipv4Addr::from_bits((inner.to_bits() & 0xffff_ff00) + 77);
        let mut table = String::new();
        for towards in self.kernel.ports_held.iter().flat_map(|held| &held.towards) {
            let (to, port, from) = (towards.destination, towards.destination_port, towards.source);
            for held in towards.lowest..=towards.highest {
                // Lost only with memory.
                let _written = writeln!(
                    table,
                    "ipv4     2 tcp      6 431999 ESTABLISHED src={client} dst={to} sport={held} dport={port} src={to} \
                     dst={from} sport={port} dport={held} [ASSURED] mark=0 zone=0 use=2"
                );
            }
        }
        Some(table)
    }

    /// A program on the host holds every local port.
    pub fn exhaust_local_ports(&mut self) {
        self.kernel.local_ports_taken = true;
    }

    /// `/proc/net/sockstat`.
    pub(super) fn proc_sockstat(&self) -> String {
        let range = self.sysctl("net.ipv4.ip_local_port_range").unwrap_or_default();
        let ports = range.split_once(|c: char| c.is_whitespace()).and_then(|(first, last)| {
            last.trim().parse::<u64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
        });
        let taken = if self.kernel.local_ports_taken { ports.unwrap_or(0) } else { 0 };
        let in_use = 6 + taken;
        format!(
            "sockets: used {}\nTCP: inuse {in_use} orphan 0 tw 0 alloc {} mem 1\nUDP: inuse 4 mem 1\nUDPLITE: inuse 0\n\
             RAW: inuse 0\nFRAG: inuse 0 memory 0\n",
            170 + taken,
            in_use + 2
        )
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
