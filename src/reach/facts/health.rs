//! How a host is, from the second half of the gathering script: boot script, tools, persistence, what is used up, names.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::FactsError;
use super::gather::{GATHER, sections};
use crate::model::host_health::{
    CloudInit, ConntrackCounters, CpuTimes, HostHealth, Persistence, ProxySetting, Sockets,
};

/// The services that tell an instance its own address; whether their names resolve is asked on the host.
const NAMES: &[&str] = &["api.ipify.org", "checkip.amazonaws.com"];

/// Reads and changes nothing. A command that fails here says nothing and is left out: only `GATHER`'s must work.
const HEALTH: &str = r#"echo "=== natdeck tools"
for tool in iptables nft ethtool conntrack curl; do
  command -v "$tool" >/dev/null 2>&1 && echo "$tool"
done
echo "=== natdeck health-sysctl"
for file in /proc/sys/net/ipv4/ip_no_pmtu_disc /proc/sys/net/ipv4/tcp_mtu_probing \
  /proc/sys/net/ipv4/ip_local_port_range; do
  [ -r "$file" ] && echo "${file#/proc/sys/} = $(cat "$file")"
done
if command -v cloud-init >/dev/null 2>&1; then
  echo "=== natdeck cloud-init"
  cloud-init status --long 2>/dev/null || true
  [ -r /var/log/cloud-init-output.log ] && tail -n 3 /var/log/cloud-init-output.log | cut -c 1-200
fi
if command -v systemctl >/dev/null 2>&1; then
  echo "=== natdeck persistence"
  for file in /etc/sysctl.conf /etc/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; do
    grep -q '^ *net.ipv4.ip_forward *= *1' "$file" 2>/dev/null && echo "sysctl $file"
  done
  rules() {
    grep -qi -e masquerade -e snat "$2" 2>/dev/null && [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ] &&
      echo "rules $2"
  }
  rules iptables.service /etc/sysconfig/iptables
  rules netfilter-persistent.service /etc/iptables/rules.v4
  rules nftables.service /etc/sysconfig/nftables.conf
  rules nftables.service /etc/nftables.conf
  for unit in /etc/systemd/system/*.service; do
    name=${unit##*/}
    [ -r "$unit" ] && [ "$(systemctl is-enabled "$name" 2>/dev/null)" = enabled ] || continue
    program=$(sed -n 's/^ExecStart=[-+!@:]*\([^ ]*\).*/\1/p' "$unit" | head -n 1)
    if grep -qi -e masquerade -e snat "$unit" 2>/dev/null; then
      echo "unit $name"
    elif [ -r "$program" ] && grep -qi -e masquerade -e snat -e iptables-restore "$program" 2>/dev/null; then
      echo "unit $name"
    fi
  done
  for file in /etc/rc.d/rc.local /etc/rc.local /var/lib/cloud/scripts/per-boot/*; do
    [ -x "$file" ] && grep -qi -e masquerade -e snat "$file" 2>/dev/null && echo "rules $file"
  done
fi
if command -v ethtool >/dev/null 2>&1; then
  echo "=== natdeck allowances"
  for path in /sys/class/net/*; do
    device=${path##*/}
    ethtool -S "$device" 2>/dev/null | grep allowance_exceeded | sed "s/^ */$device /"
  done
fi
if command -v conntrack >/dev/null 2>&1; then
  echo "=== natdeck conntrack"
  conntrack -S 2>/dev/null || true
elif [ -r /proc/net/stat/nf_conntrack ]; then
  echo "=== natdeck conntrack-stat"
  cat /proc/net/stat/nf_conntrack
fi
if command -v dmesg >/dev/null 2>&1; then
  echo "=== natdeck kernel-log"
  dmesg 2>/dev/null | grep nf_conntrack | grep full | tail -n 3
fi
if [ -r /proc/stat ]; then
  echo "=== natdeck cpu"
  head -n 1 /proc/stat
fi
"#;

/// On the private instance as well: names, proxies and sockets.
const CLIENT: &str = r#"echo "=== natdeck resolv"
[ -r /etc/resolv.conf ] && cat /etc/resolv.conf
echo "=== natdeck names"
for name in NAMES; do
  if timeout 5 getent hosts "$name" >/dev/null 2>&1; then echo "$name yes"; else echo "$name no"; fi
done
echo "=== natdeck proxies"
env | grep -i -e '^https\{0,1\}_proxy=' -e '^all_proxy=' | sed 's/^/env /'
for file in /etc/environment /etc/profile.d/*proxy* /root/.curlrc /etc/curlrc; do
  [ -r "$file" ] && grep -i -e 'https\{0,1\}_proxy *=' -e 'all_proxy *=' -e '^ *proxy *=' "$file" | sed "s|^|$file |"
done
if [ -r /proc/net/sockstat ]; then
  echo "=== natdeck sockets"
  grep '^TCP:' /proc/net/sockstat
fi
"#;

/// The one command for a host: kernel facts first, then its health. `client`: names and proxies too.
pub fn gather_script(client: bool) -> String {
    const END: &str = "echo \"=== natdeck end\"\n";
    let kernel = GATHER.strip_suffix(END).unwrap_or(GATHER);
    let names = CLIENT.replace("NAMES", &NAMES.join(" "));
    format!("{kernel}{HEALTH}{}{END}", if client { names.as_str() } else { "" })
}

/// Reads the output of [`gather_script`].
pub fn parse_health(output: &str, observed_at: Option<Timestamp>) -> Result<HostHealth, FactsError> {
    let sections = sections(output)?;
    let lines = |name: &str| sections.get(name).map(|text| text.lines().map(str::trim).filter(|l| !l.is_empty()));
    let owned = |name: &str| lines(name).map(|lines| lines.map(str::to_owned).collect::<Vec<_>>());
    let mut health = HostHealth {
        observed_at,
        tools: owned("tools"),
        cloud_init: owned("cloud-init").and_then(cloud_init),
        kernel_log: owned("kernel-log").unwrap_or_default(),
        conntrack: lines("conntrack").map(conntrack).or_else(|| lines("conntrack-stat").and_then(conntrack_stat)),
        sockets: lines("sockets").and_then(|mut lines| sockets(lines.next()?)),
        cpu: lines("cpu").and_then(|mut lines| cpu(lines.next()?)),
        ..HostHealth::default()
    };
    for line in lines("health-sysctl").into_iter().flatten() {
        if let Some((name, value)) = line.split_once(" = ") {
            health.sysctls.insert(name.replace('/', "."), value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    if let Some(lines) = lines("persistence") {
        let mut kept = Persistence::default();
        for (kind, name) in lines.filter_map(|line| line.split_once(' ')) {
            match kind {
                "sysctl" => kept.sysctl_files.push(name.to_owned()),
                "rules" => kept.rule_files.push(name.to_owned()),
                "unit" => kept.units.push(name.to_owned()),
                _ => {}
            }
        }
        health.persistence = Some(kept);
    }
    for line in lines("allowances").into_iter().flatten() {
        let Some((device, rest)) = line.split_once(' ') else { continue };
        let Some((counter, value)) = rest.split_once(':') else { continue };
        if let Ok(value) = value.trim().parse() {
            health.allowances.entry(device.to_owned()).or_default().insert(counter.trim().to_owned(), value);
        }
    }
    health.nameservers = (lines("resolv").into_iter().flatten())
        .filter_map(|line| line.strip_prefix("nameserver").map(|server| server.trim().to_owned()))
        .collect();
    health.resolves = (lines("names").into_iter().flatten())
        .filter_map(|line| line.split_once(' ').map(|(name, yes)| (name.to_owned(), yes == "yes")))
        .collect();
    health.proxies = (lines("proxies").into_iter().flatten())
        .filter_map(|line| line.split_once(' '))
        .map(|(source, text)| ProxySetting { source: source.to_owned(), text: without_password(text) })
        .collect();
    Ok(health)
}

fn cloud_init(lines: Vec<String>) -> Option<CloudInit> {
    let status = lines.iter().find_map(|line| line.strip_prefix("status:"))?.trim().to_owned();
    Some(CloudInit { status, detail: lines })
}

/// `cpu=0 found=0 invalid=1 insert=0 insert_failed=3 drop=0 early_drop=0 …`, a line a processor.
fn conntrack<'a>(lines: impl Iterator<Item = &'a str>) -> ConntrackCounters {
    let mut sum = ConntrackCounters::default();
    for (name, value) in lines.flat_map(str::split_whitespace).filter_map(|word| word.split_once('=')) {
        let value: u64 = value.parse().unwrap_or(0);
        match name {
            "insert_failed" => sum.insert_failed += value,
            "drop" => sum.drop += value,
            "early_drop" => sum.early_drop += value,
            _ => {}
        }
    }
    sum
}

/// The kernel's own table: a head line with names, then hexadecimal numbers, a line a processor.
fn conntrack_stat<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<ConntrackCounters> {
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let mut sum: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        for (name, value) in names.iter().zip(line.split_whitespace()) {
            *sum.entry(name).or_default() += u64::from_str_radix(value, 16).unwrap_or(0);
        }
    }
    let of = |name: &str| sum.get(name).copied().unwrap_or(0);
    Some(ConntrackCounters { insert_failed: of("insert_failed"), drop: of("drop"), early_drop: of("early_drop") })
}

/// `TCP: inuse 8 orphan 0 tw 3 alloc 10 mem 1` (the kernel's net/ipv4/proc.c).
fn sockets(line: &str) -> Option<Sockets> {
    let words: Vec<&str> = line.strip_prefix("TCP:")?.split_whitespace().collect();
    let of = |name: &str| words.chunks_exact(2).find(|pair| pair[0] == name)?[1].parse().ok();
    Some(Sockets { in_use: of("inuse")?, time_wait: of("tw")? })
}

/// `cpu  user nice system idle iowait irq softirq steal guest guest_nice` (proc(5)). Guest time is in user already.
fn cpu(line: &str) -> Option<CpuTimes> {
    let times: Vec<u64> = line.strip_prefix("cpu ")?.split_whitespace().map_while(|word| word.parse().ok()).collect();
    Some(CpuTimes { total: times.iter().take(8).sum(), steal: *times.get(7)? })
}

/// `http://user:secret@10.0.0.9:3128` without what is nobody's business.
fn without_password(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sections: &str) -> HostHealth {
        parse_health(&format!("{sections}=== natdeck end\n"), None).unwrap()
    }

    #[test]
    fn what_a_host_says_of_itself_is_read() {
        let health = parsed(
            "=== natdeck tools\niptables\ncurl\n=== natdeck cloud-init\nstatus: error\ndetail: scripts-user failed\n\
             === natdeck persistence\nsysctl /etc/sysctl.d/99-nat.conf\nunit natdeck-nat.service\n\
             === natdeck allowances\nens5 bw_in_allowance_exceeded: 0\nens5 pps_allowance_exceeded: 712\n\
             === natdeck conntrack\ncpu=0 found=0 insert_failed=2 drop=1\ncpu=1 insert_failed=3 drop=0\n\
             === natdeck cpu\ncpu  10 0 10 70 0 0 0 10 0 0\n\
             === natdeck sockets\nTCP: inuse 8 orphan 0 tw 3 alloc 10 mem 1\n",
        );
        assert_eq!(health.tools.as_deref(), Some(["iptables".to_owned(), "curl".to_owned()].as_slice()));
        assert_eq!(health.cloud_init.unwrap().status, "error");
        assert_eq!(health.persistence.unwrap().units, ["natdeck-nat.service"]);
        assert_eq!(health.allowances["ens5"]["pps_allowance_exceeded"], 712);
        assert_eq!(health.conntrack, Some(ConntrackCounters { insert_failed: 5, drop: 1, early_drop: 0 }));
        assert_eq!(health.cpu, Some(CpuTimes { total: 100, steal: 10 }));
        assert_eq!(health.sockets, Some(Sockets { in_use: 8, time_wait: 3 }));
    }

    #[test]
    fn the_kernels_own_connection_tracking_counters_are_hexadecimal() {
        let health =
            parsed("=== natdeck conntrack-stat\nentries insert_failed drop early_drop\n0a 10 01 00\n0a 01 00 02\n");
        assert_eq!(health.conntrack, Some(ConntrackCounters { insert_failed: 17, drop: 1, early_drop: 2 }));
    }

    #[test]
    fn a_proxys_password_is_not_kept() {
        let health = parsed("=== natdeck proxies\n/etc/environment https_proxy=http://me:secret@10.0.0.9:3128\n");
        assert_eq!(health.proxies[0].text, "https_proxy=http://…@10.0.0.9:3128");
    }

    #[test]
    fn a_host_that_says_nothing_is_nothing_known() {
        assert_eq!(parsed(""), HostHealth::default());
    }
}
