//! The facts of a Linux host that decide what happens to a packet: interfaces, addresses, routes, sysctls and the
//! netfilter rules, whichever tool wrote them. The sandbox's simulated kernel *is* this; diagnosis reads it off a
//! real host through SSM; the walk evaluates it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Fact, InstanceId, Protocol, Unknown};

/// The kernel state of one host, as far as forwarding is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub interfaces: Vec<HostInterface>,
    /// `net.ipv4.ip_forward`.
    pub ip_forward: bool,
    /// `net.ipv6.conf.all.forwarding`.
    pub ipv6_forward: bool,
    /// `net.ipv4.conf.all.rp_filter`: 0 off, 1 strict, 2 loose. The kernel uses the maximum of this and the
    /// interface's own (Documentation/networking/ip-sysctl.rst).
    pub rp_filter_all: u8,
    pub routes: Vec<HostRoute>,
    /// Policy routing rules, lowest priority number first. Empty means the kernel's three default rules.
    pub policy_rules: Vec<PolicyRule>,
    pub ruleset: Ruleset,
    /// The source ports that tracked connections hold. `None`: nothing on the host shows them. A simulated kernel holds
    /// those that are in it, and no others.
    #[serde(default)]
    pub ports_held: Option<PortsHeld>,
    /// Every local port is held by a TCP connection of the host's own. A real host shows how many it has
    /// ([`super::host_health::Sockets`]), so that facts read off one never say so; a simulated kernel knows.
    #[serde(default)]
    pub local_ports_taken: bool,
}

/// How many connections the tracking table holds, by where they lead: each has a source port of its own there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsHeld {
    /// `conntrack -L` or `/proc/net/nf_conntrack`.
    pub shown_by: String,
    /// Entries that were read. Clearly fewer than [`ConntrackUse::count`]: the table was not read to its end.
    pub entries: u64,
    /// So many connections of each destination, at most, were not counted.
    pub missed: u32,
    /// Those that are most, by count: a destination and a block of source ports each. [`PortsHeld::AT_MOST`] of them when
    /// others were left out.
    pub towards: Vec<PortsTowards>,
}

/// Connections of one protocol from one address to one port of another, seen after translation, with source ports of one
/// block: below 512, below 1024, and each further 4096.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsTowards {
    pub protocol: Protocol,
    /// The address that they come from outside.
    pub source: IpAddr,
    pub destination: IpAddr,
    pub destination_port: u16,
    pub count: u32,
    /// Of them closed, and kept for a while: newer kernels may take their ports.
    pub closing: u32,
    /// The lowest and the highest source port.
    pub lowest: u16,
    pub highest: u16,
}

impl PortsHeld {
    /// More are not kept.
    pub const AT_MOST: usize = 40;
}

/// One network interface as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInterface {
    /// `eth0`, `ens5`, `lo`.
    pub name: String,
    /// `device-number-0`, `eni-…` on Amazon Linux 2023.
    pub altnames: Vec<String>,
    /// Lower case, colons. Joins it to the network interface. `None` for `lo`.
    pub mac_address: Option<String>,
    /// Administratively and operationally up.
    pub up: bool,
    /// Bytes.
    pub mtu: u32,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// `net.ipv4.conf.<name>.rp_filter`.
    pub rp_filter: u8,
}

/// One route in one of the kernel's tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    /// 254 is `main`.
    pub table: u32,
    pub destination: IpNet,
    /// `None` for a directly connected network.
    pub gateway: Option<IpAddr>,
    /// Interface name. Empty for the kinds that drop.
    pub device: String,
    /// Lower wins between equal prefixes.
    pub metric: u32,
    pub preferred_source: Option<IpAddr>,
    pub kind: HostRouteKind,
}

/// What a route of the kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRouteKind {
    Unicast,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// The table that routes go to unless told otherwise.
pub const MAIN_TABLE: u32 = 254;

/// One policy routing rule (`ip rule`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// Lower is asked first.
    pub priority: u32,
    /// Source selector. `None`: all.
    pub from: Option<IpNet>,
    pub to: Option<IpNet>,
    /// Incoming interface; `lo` stands for packets of the host itself.
    pub iif: Option<String>,
    pub oif: Option<String>,
    pub table: u32,
    /// A selector that this crate does not evaluate (fwmark, uidrange, …), as `ip rule` prints it.
    pub not_understood: Option<String>,
}

/// All of netfilter: what `iptables-save` and `nft list ruleset` show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    pub tables: Vec<FilterTable>,
    /// Connection tracking entries now and at most. `None`: not read, or the module is not loaded.
    pub conntrack: Option<ConntrackUse>,
}

/// How full the connection tracking table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConntrackUse {
    /// `net.netfilter.nf_conntrack_count`.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
}

/// One table of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterTable {
    pub family: Family,
    /// `nat`, `filter`, or whatever nft calls it.
    pub name: String,
    pub chains: Vec<Chain>,
    pub backend: Backend,
}

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Ip,
    Ip6,
    /// Both.
    Inet,
}

/// Who wrote the table. Legacy and nf_tables rules both apply when both are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// `iptables` over nf_tables.
    IptablesNft,
    /// `iptables-legacy`.
    IptablesLegacy,
    /// `nft` itself.
    Nft,
}

/// A chain. One with a hook is entered by the kernel, others by jumps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub name: String,
    pub base: Option<BaseChain>,
    pub rules: Vec<Rule>,
}

/// Where and when the kernel enters a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChain {
    pub hook: Hook,
    pub kind: ChainKind,
    /// Lower runs first. iptables: raw -300, mangle -150, dstnat -100, filter 0, srcnat 100.
    pub priority: i32,
    pub policy: Policy,
}

/// The five places where netfilter sees a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

/// The type of a base chain. NAT chains see only the first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainKind {
    Filter,
    Nat,
    /// `mangle`/`raw`/`route` chains: they can drop.
    Other,
}

/// What happens at the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    Accept,
    Drop,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Match>,
    pub target: Target,
    /// The rule as the tool prints it: `-A POSTROUTING -o eth0 -j MASQUERADE`.
    pub text: String,
    pub packets: u64,
    pub bytes: u64,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Incoming interface. iptables' `eth+` has `prefix` set.
    In {
        name: String,
        prefix: bool,
        negated: bool,
    },
    /// Outgoing interface.
    Out {
        name: String,
        prefix: bool,
        negated: bool,
    },
    Source {
        net: IpNet,
        negated: bool,
    },
    Destination {
        net: IpNet,
        negated: bool,
    },
    Protocol {
        protocol: Protocol,
        negated: bool,
    },
    /// Inclusive ranges.
    SourcePort {
        ranges: Vec<(u16, u16)>,
        negated: bool,
    },
    DestinationPort {
        ranges: Vec<(u16, u16)>,
        negated: bool,
    },
    /// Messages of ICMP, or with `ipv4` unset of ICMPv6, with types and codes in these inclusive ranges. Never holds for
    /// another protocol.
    Icmp {
        ipv4: bool,
        types: (u8, u8),
        codes: (u8, u8),
        negated: bool,
    },
    /// Connection tracking states: any of them.
    State {
        states: Vec<ConnState>,
        negated: bool,
    },
    /// A comment or another condition that always holds.
    Always,
    /// A condition that this crate does not evaluate, as printed. A rule with one may or may not match.
    NotUnderstood(String),
}

/// Connection tracking states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnState {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
    /// The source, or the destination, is translated. Not a state, but iptables lists it with them (`--ctstate DNAT`);
    /// nft says `ct status dnat`.
    Snat,
    Dnat,
}

impl ConnState {
    /// As iptables and nft write it, in any letter case. `None`: one that is not modelled.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "new" => Some(Self::New),
            "established" => Some(Self::Established),
            "related" => Some(Self::Related),
            "invalid" => Some(Self::Invalid),
            "untracked" => Some(Self::Untracked),
            "snat" => Some(Self::Snat),
            "dnat" => Some(Self::Dnat),
            _ => None,
        }
    }
}

/// What a rule does when it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Accept,
    Drop,
    Reject,
    Return,
    Jump(String),
    Goto(String),
    /// Source NAT to the outgoing interface's address.
    Masquerade,
    /// Source NAT to the first of a range.
    Snat {
        to: Ipv4Addr,
    },
    Dnat {
        to: Ipv4Addr,
        port: Option<u16>,
    },
    /// Goes on with the next rule: LOG, counter, no target.
    Continue,
    /// A target that this crate does not evaluate, as printed.
    NotUnderstood(String),
}

impl Host {
    /// The interface called `name` by the kernel, altnames included.
    pub fn interface(&self, name: &str) -> Option<&HostInterface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == name || interface.altnames.iter().any(|alt| alt == name))
    }

    /// The interface with this MAC address, in any letter case.
    pub fn interface_by_mac(&self, mac_address: &str) -> Option<&HostInterface> {
        self.interfaces
            .iter()
            .find(|interface| interface.mac_address.as_deref().is_some_and(|mac| mac.eq_ignore_ascii_case(mac_address)))
    }
}

/// Where the walk learns about a host. The sandbox answers from its simulated kernels, an observation from what SSM
/// brought back.
pub trait HostFacts {
    /// The facts of a host, or why there are none.
    fn host(&self, instance_id: &InstanceId) -> Result<&Host, Unknown>;

    /// Whether a host is known, and forwards. For a look at many of which most are not known: no reason is made up.
    fn forwards(&self, instance_id: &InstanceId) -> bool {
        self.host(instance_id).is_ok_and(|host| host.ip_forward)
    }
}

/// Host facts that were gathered. A host that is not in it was never asked.
pub type Hosts = BTreeMap<InstanceId, Fact<Host>>;

impl HostFacts for Hosts {
    fn host(&self, instance_id: &InstanceId) -> Result<&Host, Unknown> {
        match self.get(instance_id) {
            Some(fact) => fact.known().map_err(Clone::clone),
            None => Err(Unknown::new(format!("facts of host {instance_id}"), "the host was not asked")),
        }
    }

    fn forwards(&self, instance_id: &InstanceId) -> bool {
        self.get(instance_id).is_some_and(|fact| fact.known().is_ok_and(|host| host.ip_forward))
    }
}
