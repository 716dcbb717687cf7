//! Kernel settings by their dotted names, `/proc/sys`, `/sys/class/net`, and the files that set them at boot.

use super::Machine;
use super::shell::glob_matches;
use super::vfs::FsError;

/// Defaults of a 6.1 kernel for what scripts on a NAT host look at or set (Documentation/networking/ip-sysctl.rst,
/// nf_conntrack-sysctl.rst). `*` stands for `all`, `default` and each interface.
const DEFAULTS: &[(&str, &str)] = &[
    ("fs.file-max", "9223372036854775807"),
    ("kernel.osrelease", ""),
    ("net.core.netdev_max_backlog", "1000"),
    ("net.core.rmem_max", "212992"),
    ("net.core.somaxconn", "4096"),
    ("net.core.wmem_max", "212992"),
    ("net.core.default_qdisc", "fq_codel"),
    ("net.ipv4.ip_local_port_range", "32768\t60999"),
    ("net.ipv4.ip_nonlocal_bind", "0"),
    ("net.ipv4.icmp_echo_ignore_all", "0"),
    ("net.ipv4.tcp_fin_timeout", "60"),
    ("net.ipv4.tcp_keepalive_time", "7200"),
    ("net.ipv4.tcp_syncookies", "1"),
    ("net.ipv4.tcp_tw_reuse", "2"),
    ("net.ipv4.tcp_congestion_control", "cubic"),
    ("net.ipv4.neigh.default.gc_thresh1", "0"),
    ("net.ipv4.neigh.default.gc_thresh2", "15360"),
    ("net.ipv4.neigh.default.gc_thresh3", "16384"),
    ("net.netfilter.nf_conntrack_tcp_timeout_established", "432000"),
    ("net.netfilter.nf_conntrack_udp_timeout", "30"),
    ("net.netfilter.nf_conntrack_buckets", "16384"),
    ("vm.swappiness", "60"),
    ("net.ipv4.conf.*.accept_redirects", "1"),
    ("net.ipv4.conf.*.accept_source_route", "0"),
    ("net.ipv4.conf.*.arp_ignore", "0"),
    ("net.ipv4.conf.*.arp_announce", "0"),
    ("net.ipv4.conf.*.arp_filter", "0"),
    ("net.ipv4.conf.*.forwarding", "0"),
    ("net.ipv4.conf.*.log_martians", "0"),
    ("net.ipv4.conf.*.proxy_arp", "0"),
    ("net.ipv4.conf.*.route_localnet", "0"),
    ("net.ipv4.conf.*.rp_filter", "0"),
    ("net.ipv4.conf.*.secure_redirects", "1"),
    ("net.ipv4.conf.*.send_redirects", "1"),
    ("net.ipv4.conf.*.src_valid_mark", "0"),
    ("net.ipv6.conf.*.accept_ra", "1"),
    ("net.ipv6.conf.*.accept_redirects", "1"),
    ("net.ipv6.conf.*.disable_ipv6", "0"),
    ("net.ipv6.conf.*.forwarding", "0"),
];

/// Why a setting cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Unknown,
    ReadOnly,
    Invalid,
}

impl Machine {
    /// A setting's value. `None`: there is no such setting.
    pub(super) fn sysctl(&self, name: &str) -> Option<String> {
        let bit = |on: bool| Some(u8::from(on).to_string());
        match name {
            "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding" => return bit(self.kernel.ip_forward),
            "net.ipv6.conf.all.forwarding" => return bit(self.kernel.ipv6_forward),
            "net.ipv4.conf.all.rp_filter" => return Some(self.kernel.rp_filter_all.to_string()),
            "net.netfilter.nf_conntrack_count" => return Some(self.kernel.ruleset.conntrack?.count.to_string()),
            "net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max" => {
                return Some(self.kernel.ruleset.conntrack?.max.to_string());
            }
            "kernel.hostname" => return Some(self.hostname.clone()),
            "kernel.osrelease" => return Some(super::commands::release(self).to_owned()),
            _ => {}
        }
        if name.starts_with("net.netfilter.") && self.kernel.ruleset.conntrack.is_none() {
            return None;
        }
        if let Some(interface) = per_interface(name, "rp_filter").filter(|name| *name != "default")
            && name.starts_with("net.ipv4.")
        {
            return Some(self.kernel.interfaces.iter().find(|i| i.name == interface)?.rp_filter.to_string());
        }
        if let Some(value) = self.settings.get(name) {
            return Some(value.clone());
        }
        let (pattern, value) = DEFAULTS.iter().find(|(pattern, _)| fits(pattern, name))?;
        let Some((before, after)) = pattern.split_once(".*.") else { return Some((*value).to_owned()) };
        let middle = name.strip_prefix(before)?.strip_suffix(after)?.trim_matches('.');
        if middle == "all" || middle == "default" {
            return Some((*value).to_owned());
        }
        let known = self.kernel.interfaces.iter().any(|interface| interface.name == middle);
        known.then(|| self.sysctl(&format!("{before}.default.{after}")).unwrap_or_else(|| (*value).to_owned()))
    }

    pub(super) fn sysctl_number(&self, name: &str) -> u8 {
        self.sysctl(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Sets a setting in the running kernel.
    pub(super) fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        if self.sysctl(name).is_none() {
            return Err(Refused::Unknown);
        }
        let number = || value.trim().parse::<i64>().map_err(|_| Refused::Invalid);
        match name {
            "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding" => self.kernel.ip_forward = number()? != 0,
            "net.ipv6.conf.all.forwarding" => self.kernel.ipv6_forward = number()? != 0,
            "net.ipv4.conf.all.rp_filter" => {
                self.kernel.rp_filter_all = u8::try_from(number()?).map_err(|_| Refused::Invalid)?;
            }
            "net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max" => {
                let max = u64::try_from(number()?).map_err(|_| Refused::Invalid)?;
                if let Some(conntrack) = &mut self.kernel.ruleset.conntrack {
                    conntrack.max = max;
                }
            }
            "net.netfilter.nf_conntrack_count" | "kernel.osrelease" => return Err(Refused::ReadOnly),
            "kernel.hostname" => value.trim().clone_into(&mut self.hostname),
            _ => {
                let interface = per_interface(name, "rp_filter").filter(|_| name.starts_with("net.ipv4."));
                if let Some(interface) =
                    interface.and_then(|name| self.kernel.interfaces.iter_mut().find(|i| i.name == name))
                {
                    interface.rp_filter = u8::try_from(number()?).map_err(|_| Refused::Invalid)?;
                    return Ok(());
                }
                let numeric = self.sysctl(name).is_some_and(|old| old.parse::<i64>().is_ok());
                if numeric {
                    number()?;
                }
                self.settings.insert(name.to_owned(), value.trim().to_owned());
            }
        }
        Ok(())
    }

    /// Every name, sorted.
    pub(super) fn sysctl_names(&self) -> Vec<String> {
        let mut names = vec!["kernel.hostname".to_owned(), "net.ipv4.ip_forward".to_owned()];
        let interfaces = self.kernel.interfaces.iter().map(|interface| interface.name.as_str());
        let places: Vec<&str> = ["all", "default"].into_iter().chain(interfaces).collect();
        for (pattern, _) in DEFAULTS {
            match pattern.split_once('*') {
                Some((before, after)) => names.extend(places.iter().map(|place| format!("{before}{place}{after}"))),
                None => names.push((*pattern).to_owned()),
            }
        }
        if self.kernel.ruleset.conntrack.is_some() {
            names.extend(["count", "max"].map(|name| format!("net.netfilter.nf_conntrack_{name}")));
        }
        names.retain(|name| self.sysctl(name).is_some());
        names.sort();
        names
    }

    /// The configuration files in the order in which they apply: by file name, `/etc` before `/run` before `/usr/lib`
    /// for files of the same name, and `/etc/sysctl.conf` last (sysctl.d(5), sysctl(8) `--system`).
    pub(super) fn sysctl_files(&self) -> Vec<String> {
        let mut files: Vec<(String, String)> = Vec::new();
        for directory in ["/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d"] {
            for name in self.files.list(directory).unwrap_or_default() {
                if name.ends_with(".conf") && !files.iter().any(|(known, _)| *known == name) {
                    files.push((name.clone(), format!("{directory}/{name}")));
                }
            }
        }
        files.sort();
        files.push((String::new(), "/etc/sysctl.conf".to_owned()));
        files.into_iter().map(|(_, path)| path).filter(|path| self.files.exists(path)).collect()
    }

    /// What systemd-sysctl does at boot.
    pub(super) fn apply_sysctl_files(&mut self) {
        for path in self.sysctl_files() {
            let text = self.files.read(&path).unwrap_or_default().to_owned();
            for (name, value) in assignments(&text) {
                for name in self.sysctl_matching(&name) {
                    // What the kernel does not know is logged at boot and otherwise ignored.
                    let _refused = self.set_sysctl(&name, &value);
                }
            }
        }
    }

    /// The settings that a name from a file means: itself, or those that its `*` fits.
    pub(super) fn sysctl_matching(&self, name: &str) -> Vec<String> {
        if !name.contains('*') {
            return vec![name.to_owned()];
        }
        // systemd's own files leave `all` out, because the kernel takes the larger of it and the interface's.
        self.sysctl_names()
            .into_iter()
            .filter(|known| fits(name, known) && !known.contains(".all.") && !known.contains(".default."))
            .collect()
    }

    /// A file, be it on the disk, in `/proc` or in `/sys`.
    pub(super) fn read_file(&self, path: &str) -> Result<String, FsError> {
        if let Some(name) = path.strip_prefix("/proc/sys/") {
            return match self.sysctl(&dotted(name)) {
                Some(value) => Ok(format!("{value}\n")),
                None if self.is_directory(path) => Err(FsError::IsDirectory),
                None => Err(FsError::NotFound),
            };
        }
        if let Some(text) = self.proc_file(path) {
            return Ok(text);
        }
        match self.files.read(path) {
            Err(FsError::NotFound) if self.is_directory(path) => Err(FsError::IsDirectory),
            other => other.map(str::to_owned),
        }
    }

    fn proc_file(&self, path: &str) -> Option<String> {
        let uptime = self.uptime.as_secs_f64();
        if let Some(rest) = path.strip_prefix("/sys/class/net/") {
            let (name, file) = rest.split_once('/')?;
            let at = self.kernel.interfaces.iter().position(|interface| interface.name == name)?;
            let interface = self.kernel.interfaces.get(at)?;
            let mac = interface.mac_address.as_deref().unwrap_or("00:00:00:00:00:00");
            return Some(match file {
                "address" => format!("{mac}\n"),
                "mtu" => format!("{}\n", interface.mtu),
                "operstate" if interface.mac_address.is_none() => "unknown\n".to_owned(),
                "operstate" => format!("{}\n", if interface.up { "up" } else { "down" }),
                "carrier" => format!("{}\n", u8::from(interface.up)),
                "ifindex" => format!("{}\n", at + 1),
                "statistics/rx_bytes" | "statistics/tx_bytes" | "statistics/rx_packets" | "statistics/tx_packets" => {
                    "0\n".to_owned()
                }
                _ => return None,
            });
        }
        Some(match path {
            "/proc/uptime" => format!("{uptime:.2} {uptime:.2}\n"),
            "/proc/stat" => self.proc_stat(),
            "/proc/net/sockstat" => self.proc_sockstat(),
            "/proc/net/stat/nf_conntrack" => return self.proc_conntrack(),
            "/proc/net/nf_conntrack" => return self.tracked_connections(),
            "/proc/loadavg" => "0.00 0.01 0.00 1/112 2146\n".to_owned(),
            "/proc/meminfo" => super::commands::meminfo(self),
            "/proc/cpuinfo" => "processor\t: 0\n\nprocessor\t: 1\n".to_owned(),
            "/proc/version" => format!("Linux version {} (mockbuild@host) #1 SMP\n", super::commands::release(self)),
            "/proc/modules" => {
                let loaded = self.kernel.ruleset.conntrack.is_some();
                if loaded { "nf_conntrack 200704 1 - Live 0x0000000000000000\n".to_owned() } else { String::new() }
            }
            "/etc/resolv.conf" if !self.files.exists(path) => return None,
            _ => return None,
        })
    }

    /// Creates or truncates a file, or sets a setting.
    pub(super) fn write_file(&mut self, path: &str, text: &str, now: i64) -> Result<(), FsError> {
        if path.starts_with("/proc/") || path.starts_with("/sys/") {
            return self.append_file(path, text, now);
        }
        self.files.write(path, text, now)
    }

    pub(super) fn append_file(&mut self, path: &str, text: &str, now: i64) -> Result<(), FsError> {
        if let Some(name) = path.strip_prefix("/proc/sys/") {
            let name = dotted(name);
            if self.files.acting != 0 && self.sysctl(&name).is_some() {
                return Err(FsError::Denied);
            }
            if text.is_empty() {
                return if self.sysctl(&name).is_some() { Ok(()) } else { Err(FsError::NotFound) };
            }
            return self.set_sysctl(&name, text).map_err(|refused| match refused {
                Refused::Unknown => FsError::NotFound,
                Refused::ReadOnly => FsError::Denied,
                Refused::Invalid => FsError::Invalid,
            });
        }
        if path.starts_with("/proc/") || path.starts_with("/sys/") {
            return Err(FsError::Denied);
        }
        self.files.append(path, text, now)
    }

    pub(super) fn path_exists(&self, path: &str) -> bool {
        self.files.exists(path) || self.read_file(path).is_ok() || self.is_directory(path) || self.program_at(path)
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        if self.files.exists(path) {
            return self.files.is_directory(path);
        }
        if let Some(name) = path.strip_prefix("/sys/class/net/") {
            return self.kernel.interfaces.iter().any(|interface| interface.name == name);
        }
        if let Some(name) = path.strip_prefix("/proc/sys/") {
            let prefix = format!("{}.", dotted(name));
            return self.sysctl_names().iter().any(|known| known.starts_with(&prefix));
        }
        false
    }

    /// The names in a directory, on the disk and in the kernel's file systems.
    pub(super) fn list_directory(&self, path: &str) -> Result<Vec<String>, FsError> {
        if path == "/sys/class/net" {
            let mut names: Vec<String> = self.kernel.interfaces.iter().map(|i| i.name.clone()).collect();
            names.sort();
            return Ok(names);
        }
        if path.strip_prefix("/sys/class/net/").is_some() && self.is_directory(path) {
            return Ok(["address", "carrier", "ifindex", "mtu", "operstate"].map(str::to_owned).to_vec());
        }
        if let Some(name) = path.strip_prefix("/proc/sys").map(|name| name.trim_start_matches('/')) {
            let prefix = if name.is_empty() { String::new() } else { format!("{}.", dotted(name)) };
            let mut names: Vec<String> = self
                .sysctl_names()
                .iter()
                .filter_map(|known| known.strip_prefix(&prefix)?.split('.').next().map(str::to_owned))
                .collect();
            names.dedup();
            if !names.is_empty() {
                return Ok(names);
            }
        }
        self.files.list(path)
    }

    pub(super) fn is_executable(&self, path: &str) -> bool {
        self.program_at(path) || self.files.node(path).is_some_and(|node| node.mode & 0o111 != 0)
    }
}

/// `net.ipv4.conf.ens5.rp_filter` is about `ens5`.
fn per_interface<'n>(name: &'n str, key: &str) -> Option<&'n str> {
    let rest = name.strip_prefix("net.ipv4.conf.").or_else(|| name.strip_prefix("net.ipv6.conf."))?;
    rest.strip_suffix(key)?.strip_suffix('.')
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None if !pattern.contains(['?', '[']) => pattern == name,
        // Nearly all patterns are one star between two texts, and this is asked very often.
        Some((before, after)) if !pattern.contains(['?', '[']) && !after.contains('*') => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
        _ => glob_matches(pattern, name),
    }
}

/// `net/ipv4/ip_forward` and `net.ipv4.ip_forward` are the same.
pub(super) fn dotted(name: &str) -> String {
    name.trim_matches('/').replace('/', ".")
}

/// The `name = value` lines of a configuration file. A leading `-` (ignore errors) is taken off.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (dotted(name.trim().trim_start_matches('-')), value.trim().to_owned()))
        .collect()
}
