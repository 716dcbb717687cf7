//! The one script that gathers a host's facts, and its output in sections.

use std::collections::BTreeMap;

use super::{FactsError, ip, iptables, nft, ports};
use crate::model::host::{Backend, ConntrackUse, Family, FilterTable, Host, Ruleset};

/// POSIX shell, to be run as root; reads and changes nothing. Each section begins with a marker line, and the last
/// marker shows that nothing was cut off (SSM keeps 24,000 characters).
///
/// Source ports are counted where they are, by blocks, since a rule may choose from a part of them. 200,000 connections
/// take awk about a second and some megabytes: what leads to few destinations is forgotten every 20,000 lines (Manku and
/// Motwani's lossy counting), so that memory does not grow with the table. The kernel's own file takes long to read where
/// it is large, so conntrack is asked where it is installed; after ten seconds what was read counts. Kernels without
/// `CONFIG_NF_CONNTRACK_PROCFS`, which the kernel calls obsolete, have no such file.
pub const GATHER: &str = r#"export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
section() {
  name=$1; shift
  command -v "$1" >/dev/null 2>&1 || return 0
  echo "=== natdeck $name"
  "$@" 2>/dev/null || echo "=== natdeck-failed $name $?"
}
echo "=== natdeck sysctl"
for file in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding \
  /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/netfilter/nf_conntrack_count \
  /proc/sys/net/netfilter/nf_conntrack_max; do
  [ -r "$file" ] && echo "${file#/proc/sys/} = $(cat "$file")"
done
section addr ip -j addr show
section route ip -j -4 route show table all
section route6 ip -j -6 route show table all
section rule ip -j -4 rule show
section iptables iptables-save -c
section iptables-legacy iptables-legacy-save -c
section ip6tables ip6tables-save -c
section nft nft -j list ruleset
section nft-text nft -a list ruleset
ports() {
  echo "source $1"
  shift
  timeout 10 "$@" 2>/dev/null | awk -F'[ =]+' '
    {
      i = NF
      while (i > 0 && $i != "src") i--
      if ($(i + 4) != "sport") next
      port = $(i + 7) + 0
      key = $3 " " $(i + 3) " " $(i + 1) " " $(i + 5) " " (port < 512 ? 0 : port < 1024 ? 1 : 2 + int(port / 4096))
      if (!(key in held)) { low[key] = port; high[key] = port; shut[key] = 0; since[key] = missed }
      held[key]++
      if ($6 == "TIME_WAIT" || $6 == "CLOSE") shut[key]++
      if (port < low[key]) low[key] = port
      if (port > high[key]) high[key] = port
      if (++seen % 20000 == 0) {
        missed++
        for (key in held) if (held[key] + since[key] <= missed) {
          delete held[key]; delete low[key]; delete high[key]; delete shut[key]; delete since[key]
        }
      }
    }
    END {
      print 9999999999, "entries", NR, missed + 0
      for (key in held) print held[key], shut[key], low[key], high[key], key
    }' | sort -rn | head -n 41
}
if command -v conntrack >/dev/null 2>&1; then
  echo "=== natdeck ports"
  ports 'conntrack -L' conntrack -L -o extended
elif [ -r /proc/net/nf_conntrack ]; then
  echo "=== natdeck ports"
  ports /proc/net/nf_conntrack cat /proc/net/nf_conntrack
fi
echo "=== natdeck end"
"#;

/// What [`GATHER`] brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    pub host: Host,
    /// Which of `iptables` and `nft` are installed. Amazon Linux 2023 ships with neither.
    pub firewall_tools: Vec<String>,
}

/// The kernel's facts out of the output of [`GATHER`].
pub fn parse_host(output: &str) -> Result<Host, FactsError> {
    parse_gathered(output).map(|gathered| gathered.host)
}

/// Reads the output of [`GATHER`].
pub fn parse_gathered(output: &str) -> Result<Gathered, FactsError> {
    let sections = sections(output)?;
    let needed = |name: &str| {
        let missing = || FactsError::new(name, "the host has no such command; is iproute2 installed?");
        sections.get(name).map(String::as_str).ok_or_else(missing)
    };
    let sysctl = Sysctl(needed("sysctl")?);
    let mut host = Host {
        interfaces: ip::interfaces(needed("addr")?)?,
        ip_forward: sysctl.get("net/ipv4/ip_forward")? == Some(1),
        ipv6_forward: sysctl.get("net/ipv6/conf/all/forwarding")? == Some(1),
        rp_filter_all: sysctl.rp_filter("all")?,
        routes: ip::routes(needed("route")?, true)?,
        policy_rules: ip::rules(needed("rule")?)?,
        ruleset: Ruleset { tables: tables(&sections)?, conntrack: None },
        ports_held: ports::parse(sections.get("ports").map_or("", String::as_str)),
        local_ports_taken: false,
    };
    if sysctl.get("net/ipv4/ip_forward")?.is_none() {
        return Err(FactsError::new("sysctl", "net.ipv4.ip_forward is missing"));
    }
    host.routes.extend(ip::routes(sections.get("route6").map_or("[]", String::as_str), false)?);
    for interface in &mut host.interfaces {
        interface.rp_filter = sysctl.rp_filter(&interface.name)?;
    }
    let count = sysctl.get("net/netfilter/nf_conntrack_count")?;
    let max = sysctl.get("net/netfilter/nf_conntrack_max")?;
    host.ruleset.conntrack = count.zip(max).map(|(count, max)| ConntrackUse { count, max });
    let tools = [("iptables", "iptables"), ("nft", "nft")];
    let firewall_tools = tools.iter().filter(|(section, _)| sections.contains_key(*section));
    Ok(Gathered { host, firewall_tools: firewall_tools.map(|(_, tool)| (*tool).to_owned()).collect() })
}

/// The output by section.
pub(super) fn sections(output: &str) -> Result<BTreeMap<&str, String>, FactsError> {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let mut current = None;
    for line in output.lines() {
        if let Some(failed) = line.strip_prefix("=== natdeck-failed ") {
            return Err(FactsError::new(failed, "the command failed on the host; it needs root"));
        }
        if let Some(name) = line.strip_prefix("=== natdeck ") {
            sections.insert(name, String::new());
            current = Some(name);
        } else if let Some(text) = current.and_then(|name| sections.get_mut(name)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    if sections.contains_key("end") {
        Ok(sections)
    } else {
        Err(FactsError::new("the gathering script", "its end is missing: it was cut off or did not finish"))
    }
}

/// All tables, whichever tool wrote them, in the order in which they were made as far as that is known. `nft` also lists
/// what iptables wrote through nf_tables; `iptables-save` says more about those chains, so they are taken from it.
fn tables(sections: &BTreeMap<&str, String>) -> Result<Vec<FilterTable>, FactsError> {
    let mut tables = Vec::new();
    for (name, family) in [("iptables", Family::Ip), ("iptables-legacy", Family::Ip), ("ip6tables", Family::Ip6)] {
        let Some(text) = sections.get(name) else {
            continue;
        };
        let by_nft = text.lines().any(|line| line.starts_with("# Generated by") && line.contains("(nf_tables)"));
        // What nft wrote into a table of that name is not shown, and may decide.
        let hidden = text.lines().find(|line| line.starts_with("# Table `") && line.contains("use 'nft' tool"));
        if let Some(line) = hidden.filter(|_| !sections.contains_key("nft")) {
            return Err(FactsError::new("iptables-save", format!("nft is not installed on the host: {line}")));
        }
        let backend = if by_nft { Backend::IptablesNft } else { Backend::IptablesLegacy };
        for table in iptables::parse_iptables_save(text, family, backend)? {
            let known = tables.iter().any(|known: &FilterTable| {
                (known.family, known.backend, &known.name) == (table.family, table.backend, &table.name)
            });
            if !known {
                tables.push(table);
            }
        }
    }
    let Some(json) = sections.get("nft") else { return Ok(tables) };
    let listing = sections.get("nft-text").map_or("", String::as_str);
    let mut all = Vec::new();
    for table in nft::parse_nft(json, listing)? {
        let same = |known: &FilterTable| {
            known.backend == Backend::IptablesNft && (known.family, &known.name) == (table.family, &table.name)
        };
        match tables.iter().position(same) {
            Some(at) => all.push(merged(tables.remove(at), table)),
            None => all.push(table),
        }
    }
    tables.extend(all);
    Ok(tables)
}

/// A table that iptables uses, as nft lists it: also with chains that `iptables-save` does not show, because nft made
/// them (`table ip nat { chain postrouting { … } }` is the common case).
fn merged(by_iptables: FilterTable, by_nft: FilterTable) -> FilterTable {
    let mut shown = by_iptables.chains;
    let mut chains = Vec::new();
    for chain in by_nft.chains {
        match shown.iter().position(|known| known.name == chain.name) {
            Some(at) => chains.push(shown.remove(at)),
            None => chains.push(chain),
        }
    }
    // What is left are built-in chains that iptables-save shows though the kernel has none: empty, and accepting.
    FilterTable { chains, ..by_iptables }
}

/// `path/below/proc/sys = value` lines.
struct Sysctl<'t>(&'t str);

impl Sysctl<'_> {
    fn get(&self, name: &str) -> Result<Option<u64>, FactsError> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim().parse())
            .transpose()
            .map_err(|_| FactsError::new("sysctl", format!("{name} is not a number")))
    }

    /// 0 for an interface that has no such setting.
    fn rp_filter(&self, interface: &str) -> Result<u8, FactsError> {
        let value = self.get(&format!("net/ipv4/conf/{interface}/rp_filter"))?.unwrap_or(0);
        u8::try_from(value).map_err(|_| FactsError::new("sysctl", format!("rp_filter of {interface} is {value}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host::{ChainKind, Hook, MAIN_TABLE, Match, Target};

    /// What the script printed on a kernel with two interfaces, policy rules and the article's rules in iptables.
    const TWO_INTERFACES: &str = include_str!("fixtures/two-interfaces.txt");

    #[test]
    fn a_hosts_interfaces_routes_and_rules_are_read() {
        let gathered = parse_gathered(TWO_INTERFACES).unwrap();
        let host = &gathered.host;
        assert_eq!(gathered.firewall_tools, ["iptables", "nft"]);
        assert!(host.ip_forward && !host.ipv6_forward);
        let inner = host.interface("device-number-1").unwrap();
        assert_eq!((inner.name.as_str(), inner.up, inner.rp_filter), ("ens6", true, 2));
        assert_eq!(inner.addresses[0], "10.8.2.148/24".parse().unwrap());
        assert!(inner.mac_address.is_some());
        assert!(host.interface("lo").unwrap().mac_address.is_none());
        let default = host.routes.iter().find(|r| r.table == MAIN_TABLE && r.destination.prefix_len() == 0).unwrap();
        assert_eq!((default.device.as_str(), default.metric), ("ens5", 512));
        assert!(host.routes.iter().any(|r| r.table == 10001 && r.device == "ens6"));
        assert_eq!(host.policy_rules.first().unwrap().table, 255);
        assert!(host.policy_rules.iter().any(|r| r.not_understood.as_deref().is_some_and(|t| t.contains("fwmark"))));
        assert!(host.ruleset.conntrack.is_some());
    }

    #[test]
    fn tables_of_iptables_are_taken_once() {
        let ruleset = parse_host(TWO_INTERFACES).unwrap().ruleset;
        let nat: Vec<_> = ruleset.tables.iter().filter(|table| table.name == "nat").collect();
        assert_eq!(nat.len(), 1);
        let chain = nat[0].chains.iter().find(|chain| chain.name == "POSTROUTING").unwrap();
        let base = chain.base.unwrap();
        assert_eq!((base.hook, base.kind, base.priority), (Hook::Postrouting, ChainKind::Nat, 100));
        assert_eq!(chain.rules[0].target, Target::Masquerade);
        assert_eq!(chain.rules[0].matches, [Match::Out { name: "ens5".to_owned(), prefix: false, negated: false }]);
    }

    #[test]
    fn output_that_was_cut_off_is_refused() {
        let cut = &TWO_INTERFACES[..TWO_INTERFACES.len() / 2];
        let error = parse_host(cut).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{error}");
        assert!(parse_host("").is_err());
    }

    #[test]
    fn a_command_that_failed_is_named() {
        let error = parse_host("=== natdeck nft\n=== natdeck-failed nft 1\n=== natdeck end\n").unwrap_err().to_string();
        assert!(error.contains("nft") && error.contains("root"), "{error}");
    }
}
