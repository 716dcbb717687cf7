//! What is on the path of a simulated host.

mod archive;
mod awk;
mod curl;
mod files;
mod grep;
mod json;
mod packages;
mod permission;
mod probe;
mod sed;
mod sysctl;
mod system;
mod systemctl;
mod text;

use jiff::Timestamp;
use regex::Regex;

use super::shell::{Interp, Run};
use super::vfs;
use super::{Flavour, Machine};

pub(super) use permission::refusal;
pub(super) use system::{architecture, meminfo, release};

/// Name, directory, package (empty: part of every image).
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("awk", "/usr/bin", ""),
    ("gawk", "/usr/bin", ""),
    ("base64", "/usr/bin", ""),
    ("basename", "/usr/bin", ""),
    ("bash", "/usr/bin", ""),
    ("cat", "/usr/bin", ""),
    ("chgrp", "/usr/bin", ""),
    ("chmod", "/usr/bin", ""),
    ("chown", "/usr/bin", ""),
    ("clear", "/usr/bin", ""),
    ("cloud-init", "/usr/bin", ""),
    ("cp", "/usr/bin", ""),
    ("curl", "/usr/bin", ""),
    ("cut", "/usr/bin", ""),
    ("date", "/usr/bin", ""),
    ("df", "/usr/bin", ""),
    ("diff", "/usr/bin", ""),
    ("dirname", "/usr/bin", ""),
    ("dmesg", "/usr/bin", ""),
    ("echo", "/usr/bin", ""),
    ("egrep", "/usr/bin", ""),
    ("env", "/usr/bin", ""),
    ("false", "/usr/bin", ""),
    ("fgrep", "/usr/bin", ""),
    ("find", "/usr/bin", ""),
    ("free", "/usr/bin", ""),
    ("getent", "/usr/bin", ""),
    ("grep", "/usr/bin", ""),
    ("head", "/usr/bin", ""),
    ("hostname", "/usr/bin", ""),
    ("hostnamectl", "/usr/bin", ""),
    ("id", "/usr/bin", ""),
    ("install", "/usr/bin", ""),
    ("journalctl", "/usr/bin", ""),
    ("ln", "/usr/bin", ""),
    ("logger", "/usr/bin", ""),
    ("ls", "/usr/bin", ""),
    ("mkdir", "/usr/bin", ""),
    ("mktemp", "/usr/bin", ""),
    ("mv", "/usr/bin", ""),
    ("nohup", "/usr/bin", ""),
    ("nproc", "/usr/bin", ""),
    ("ping", "/usr/bin", ""),
    ("printf", "/usr/bin", ""),
    ("ps", "/usr/bin", ""),
    ("pgrep", "/usr/bin", ""),
    ("readlink", "/usr/bin", ""),
    ("realpath", "/usr/bin", ""),
    ("rm", "/usr/bin", ""),
    ("rmdir", "/usr/bin", ""),
    ("rpm", "/usr/bin", ""),
    ("sed", "/usr/bin", ""),
    ("seq", "/usr/bin", ""),
    ("setsid", "/usr/bin", ""),
    ("sh", "/usr/bin", ""),
    ("sleep", "/usr/bin", ""),
    ("sort", "/usr/bin", ""),
    ("stat", "/usr/bin", ""),
    ("su", "/usr/bin", ""),
    ("sudo", "/usr/bin", ""),
    ("sync", "/usr/bin", ""),
    ("systemctl", "/usr/bin", ""),
    ("tac", "/usr/bin", ""),
    ("tail", "/usr/bin", ""),
    ("tee", "/usr/bin", ""),
    ("test", "/usr/bin", ""),
    ("timeout", "/usr/bin", ""),
    ("touch", "/usr/bin", ""),
    ("tr", "/usr/bin", ""),
    ("true", "/usr/bin", ""),
    ("uname", "/usr/bin", ""),
    ("uniq", "/usr/bin", ""),
    ("uptime", "/usr/bin", ""),
    ("wc", "/usr/bin", ""),
    ("which", "/usr/bin", ""),
    ("whoami", "/usr/bin", ""),
    ("xargs", "/usr/bin", ""),
    ("yum", "/usr/bin", ""),
    ("ethtool", "/usr/sbin", ""),
    ("ip", "/usr/sbin", ""),
    ("lsmod", "/usr/sbin", ""),
    ("modprobe", "/usr/sbin", ""),
    ("service", "/usr/sbin", ""),
    ("ss", "/usr/sbin", ""),
    ("sysctl", "/usr/sbin", ""),
    ("reboot", "/usr/sbin", ""),
    ("dnf", "/usr/bin", "dnf"),
    ("networkctl", "/usr/bin", "systemd-networkd"),
    ("ifconfig", "/usr/sbin", "net-tools"),
    ("netstat", "/usr/bin", "net-tools"),
    ("route", "/usr/sbin", "net-tools"),
    ("dig", "/usr/bin", "bind-utils"),
    ("nslookup", "/usr/bin", "bind-utils"),
    ("host", "/usr/bin", "bind-utils"),
    ("conntrack", "/usr/sbin", "conntrack-tools"),
    ("nft", "/usr/sbin", "nftables"),
    ("jq", "/usr/bin", "jq"),
    ("tcpdump", "/usr/sbin", "tcpdump"),
    ("nc", "/usr/bin", "nmap-ncat"),
];
const IPTABLES: &[&str] =
    &["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

impl Machine {
    /// Where a program of the image or of an installed package is.
    fn program(&self, name: &str) -> Option<String> {
        let plain = name.strip_suffix("-nft").or_else(|| name.strip_suffix("-legacy"));
        if IPTABLES.contains(&name) || plain == Some("iptables") || plain == Some("ip6tables") {
            let package = match name {
                _ if name.ends_with("-legacy") => self.packages.contains("iptables-legacy"),
                _ if name.ends_with("-nft") => self.packages.contains("iptables-nft"),
                _ => ["iptables-nft", "iptables-legacy", "iptables"].iter().any(|p| self.packages.contains(*p)),
            };
            return package.then(|| format!("/usr/sbin/{name}"));
        }
        let (_, directory, package) = PROGRAMS.iter().find(|(known, _, _)| *known == name)?;
        (package.is_empty() || self.packages.contains(*package)).then(|| format!("{directory}/{name}"))
    }

    /// The names of all programs on the path.
    pub(super) fn programs(&self) -> Vec<String> {
        let image = PROGRAMS.iter().map(|(name, _, _)| *name).chain(IPTABLES.iter().copied());
        let mut names: Vec<String> = image.filter(|name| self.program(name).is_some()).map(str::to_owned).collect();
        for directory in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"] {
            let added = self.files.list(directory).unwrap_or_default();
            names.extend(added.into_iter().filter(|name| self.is_executable(&format!("{directory}/{name}"))));
        }
        names
    }

    /// Whether a path is a program of the image: `/usr/bin`, `/bin`, `/usr/sbin` and `/sbin` are joined.
    pub(super) fn program_at(&self, path: &str) -> bool {
        let directory = vfs::parent(path);
        let Some(found) = self.program(vfs::name(path)) else { return false };
        let found = vfs::parent(&found).to_owned();
        directory == found || found == "/usr/bin" && directory == "/bin" || found == "/usr/sbin" && directory == "/sbin"
    }

    /// What a command without a slash runs: a script on the path, or a program.
    pub(super) fn which(&self, name: &str) -> Option<String> {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"]
            .iter()
            .map(|directory| format!("{directory}/{name}"))
            .find(|path| self.files.read(path).is_ok() && self.is_executable(path))
            .or_else(|| self.program(name))
    }
}

/// Runs a program of the image.
pub(super) fn run(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    let plain = name.strip_suffix("-nft").or_else(|| name.strip_suffix("-legacy")).unwrap_or(name);
    match plain {
        "iptables" | "ip6tables" => super::netfilter::iptables(it, words),
        "iptables-save" | "ip6tables-save" => super::netfilter::save(it, words),
        "iptables-restore" | "ip6tables-restore" => super::netfilter::restore(it, words),
        "nft" => super::netfilter::nft(it, words),
        "ip" => super::network::ip(it, words),
        "ifconfig" => super::network::ifconfig(it, words),
        "networkctl" => super::network::networkctl(it, words),
        "sysctl" => sysctl::run(it, words),
        "curl" => curl::run(it, words),
        "ping" => probe::ping(it, words),
        "dig" | "nslookup" | "host" | "getent" => probe::lookup(it, name, words),
        "nc" => probe::netcat(it, words),
        "dnf" | "yum" => packages::install(it, words),
        "rpm" => packages::rpm(it, words),
        "systemctl" | "service" => systemctl::run(it, words),
        "cloud-init" => systemctl::cloud_init(it, words),
        "journalctl" => systemctl::journal(it, words),
        "grep" | "egrep" | "fgrep" => grep::run(it, words),
        "sed" => sed::run(it, words),
        "awk" | "gawk" => awk::run(it, words),
        "jq" => json::run(it, words),
        "base64" => archive::base64(it, words),
        "cat" | "head" | "tail" | "tac" | "wc" | "sort" | "uniq" | "cut" | "tr" | "seq" | "tee" | "xargs" | "diff" => {
            text::run(it, name, words)
        }
        "ls" | "mkdir" | "rm" | "rmdir" | "mv" | "cp" | "touch" | "chmod" | "chown" | "chgrp" | "ln" | "readlink"
        | "realpath" | "basename" | "dirname" | "mktemp" | "find" | "stat" | "install" => files::run(it, name, words),
        _ => system::run(it, name, words),
    }
}

/// A regular expression in the dialect of `grep -E` and `[[ =~ ]]`. `None`: it is not one.
pub(super) fn regex_of(pattern: &str, ignore_case: bool) -> Option<Regex> {
    regex::RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .multi_line(false)
        .size_limit(1 << 20)
        .nest_limit(40)
        .build()
        .ok()
}

/// POSIX basic to extended: `\(`, `\|`, `\+`, `\{` have the meaning that the bare characters have there.
pub(super) fn basic_to_extended(pattern: &str) -> String {
    let mut result = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut start = true;
    let mut bracket = false;
    while let Some(c) = chars.next() {
        if bracket {
            bracket = c != ']';
            result.push(c);
            continue;
        }
        match c {
            '\\' => match chars.next() {
                Some(next @ ('(' | ')' | '|' | '+' | '?' | '{' | '}')) => {
                    result.push(next);
                    start = matches!(next, '(' | '|');
                    continue;
                }
                Some(next) => result.extend(['\\', next]),
                None => result.push_str("\\\\"),
            },
            '(' | ')' | '|' | '+' | '?' | '{' | '}' => result.extend(['\\', c]),
            '*' if start => result.push_str("\\*"),
            '[' => {
                bracket = true;
                result.push('[');
                if chars.peek() == Some(&'^') {
                    result.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    result.push('\\');
                    result.extend(chars.next());
                }
            }
            c => result.push(c),
        }
        start = c == '^' && result.len() == 1;
    }
    result
}

/// `strftime` in UTC, the time zone of Amazon Linux.
pub(super) fn format_time(at: Timestamp, pattern: &str) -> String {
    let time = at.to_zoned(jiff::tz::TimeZone::UTC);
    let pattern = pattern.replace("%N", &format!("{:09}", at.subsec_nanosecond()));
    let pattern = pattern.replace("%3N", &format!("{:03}", at.subsec_millisecond()));
    jiff::fmt::strtime::format(&pattern, &time).unwrap_or(pattern)
}

/// Options of a simple command: the letters that were given, the values of those that take one, and the rest.
pub(super) struct Arguments {
    flags: Vec<(String, Option<String>)>,
    pub(super) rest: Vec<String>,
}

impl Arguments {
    /// Splits `-ab VALUE --long=VALUE rest`. `valued` lists the options that take a value.
    pub(super) fn parse(words: &[String], valued: &[&str]) -> Self {
        let mut flags = Vec::new();
        let mut rest = Vec::new();
        let mut words = words.iter().skip(1);
        while let Some(word) = words.next() {
            if word == "--" {
                rest.extend(words.by_ref().cloned());
            } else if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => flags.push((format!("--{name}"), Some(value.to_owned()))),
                    None if valued.contains(&word.as_str()) => flags.push((word.clone(), words.next().cloned())),
                    None => flags.push((word.clone(), None)),
                }
            } else if word.len() > 1 && word.starts_with('-') {
                let letters = word.char_indices().skip(1).peekable();
                for (at, letter) in letters {
                    let flag = format!("-{letter}");
                    if !valued.contains(&flag.as_str()) {
                        flags.push((flag, None));
                        continue;
                    }
                    let tail = word.get(at + letter.len_utf8()..).unwrap_or_default();
                    let value = if tail.is_empty() { words.next().cloned() } else { Some(tail.to_owned()) };
                    flags.push((flag, value));
                    break;
                }
            } else {
                rest.push(word.clone());
            }
        }
        Self { flags, rest }
    }

    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.flags.iter().any(|(flag, _)| names.contains(&flag.as_str()))
    }

    pub(super) fn value(&self, names: &[&str]) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| names.contains(&flag.as_str())).and_then(|(_, value)| value.as_deref())
    }

    pub(super) fn values<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(|(flag, _)| names.contains(&flag.as_str())).filter_map(|(_, value)| value.as_deref())
    }
}

/// The texts of the files named, or standard input. Errors are said and counted.
pub(super) fn inputs(it: &mut Interp<'_, '_>, tool: &str, names: &[String]) -> Run<(Vec<(String, String)>, i32)> {
    if names.is_empty() {
        return Ok((vec![("-".to_owned(), it.read_all()?)], 0));
    }
    let (mut texts, mut status) = (Vec::new(), 0);
    for name in names {
        let text =
            if name == "-" || name == "/dev/stdin" { Ok(it.read_all()?) } else { it.machine.read_file(&it.path(name)) };
        match text {
            Ok(text) => {
                it.work(text.len())?;
                texts.push((name.clone(), text));
            }
            Err(error) => {
                status = it.fail(if tool == "grep" { 2 } else { 1 }, format!("{tool}: {name}: {error}"))?;
            }
        }
    }
    Ok((texts, status))
}

/// Whether the machine runs Amazon Linux 2023.
pub(super) fn is_modern(machine: &Machine) -> bool {
    machine.launch.flavour == Flavour::AmazonLinux2023
}
