//! One iptables rule: from its arguments to its parts, and from there to `iptables-save`'s canonical form.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::reach::facts::split_words;

/// One option of a match or a target, `--dport 443`, `! --syn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) negated: bool,
    pub(super) flag: String,
    pub(super) value: String,
}

/// `-m name` with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) options: Vec<Opt>,
}

/// A rule without its chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// Value and whether it is negated, here and below.
    pub(super) source: Option<(IpNet, bool)>,
    pub(super) destination: Option<(IpNet, bool)>,
    pub(super) input: Option<(String, bool)>,
    pub(super) output: Option<(String, bool)>,
    /// As iptables-save names it.
    pub(super) protocol: Option<(String, bool)>,
    pub(super) extensions: Vec<Extension>,
    pub(super) target: Option<String>,
    pub(super) goto: bool,
    pub(super) target_options: Vec<Opt>,
}

/// What iptables says about a bad command line, and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) message: String,
    pub(super) status: i32,
    /// Whether "Try `iptables -h'" follows.
    pub(super) usage: bool,
}

pub(super) fn usage(message: impl Into<String>) -> Bad {
    Bad { message: message.into(), status: 2, usage: true }
}

const PROTOCOLS: &[(&str, &str)] = &[
    ("1", "icmp"),
    ("6", "tcp"),
    ("17", "udp"),
    ("58", "ipv6-icmp"),
    ("47", "gre"),
    ("50", "esp"),
    ("51", "ah"),
    ("132", "sctp"),
];
const SERVICES: &[(&str, u16)] = &[
    ("ssh", 22),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("http", 80),
    ("ntp", 123),
    ("https", 443),
    ("smtp", 25),
    ("ftp", 21),
    ("ldap", 389),
    ("mysql", 3306),
    ("postgres", 5432),
];
/// Options of matches: match, option, how many words it takes.
const MATCH_OPTIONS: &[(&str, &str, usize)] = &[
    ("tcp", "--dport", 1),
    ("tcp", "--destination-port", 1),
    ("tcp", "--sport", 1),
    ("tcp", "--source-port", 1),
    ("tcp", "--tcp-flags", 2),
    ("tcp", "--syn", 0),
    ("udp", "--dport", 1),
    ("udp", "--destination-port", 1),
    ("udp", "--sport", 1),
    ("udp", "--source-port", 1),
    ("icmp", "--icmp-type", 1),
    ("icmp6", "--icmpv6-type", 1),
    ("state", "--state", 1),
    ("conntrack", "--ctstate", 1),
    ("conntrack", "--ctdir", 1),
    ("conntrack", "--ctorigdst", 1),
    ("multiport", "--dports", 1),
    ("multiport", "--destination-ports", 1),
    ("multiport", "--sports", 1),
    ("multiport", "--source-ports", 1),
    ("multiport", "--ports", 1),
    ("comment", "--comment", 1),
    ("limit", "--limit", 1),
    ("limit", "--limit-burst", 1),
    ("mark", "--mark", 1),
    ("addrtype", "--dst-type", 1),
    ("addrtype", "--src-type", 1),
    ("mac", "--mac-source", 1),
    ("owner", "--uid-owner", 1),
    ("owner", "--gid-owner", 1),
    ("physdev", "--physdev-is-bridged", 0),
    ("policy", "--dir", 1),
    ("policy", "--pol", 1),
    ("length", "--length", 1),
    ("iprange", "--src-range", 1),
    ("iprange", "--dst-range", 1),
    ("tcpmss", "--mss", 1),
    ("recent", "--set", 0),
    ("connmark", "--mark", 1),
    ("set", "--match-set", 2),
    ("string", "--string", 1),
    ("string", "--algo", 1),
    ("hashlimit", "--hashlimit-name", 1),
    ("hashlimit", "--hashlimit-upto", 1),
    ("connlimit", "--connlimit-above", 1),
];
/// Options of targets: target, option, how many words it takes.
const TARGET_OPTIONS: &[(&str, &str, usize)] = &[
    ("REJECT", "--reject-with", 1),
    ("SNAT", "--to-source", 1),
    ("SNAT", "--random", 0),
    ("SNAT", "--random-fully", 0),
    ("SNAT", "--persistent", 0),
    ("DNAT", "--to-destination", 1),
    ("DNAT", "--random", 0),
    ("DNAT", "--persistent", 0),
    ("MASQUERADE", "--to-ports", 1),
    ("MASQUERADE", "--random", 0),
    ("MASQUERADE", "--random-fully", 0),
    ("LOG", "--log-prefix", 1),
    ("LOG", "--log-level", 1),
    ("LOG", "--log-uid", 0),
    ("TCPMSS", "--clamp-mss-to-pmtu", 0),
    ("TCPMSS", "--set-mss", 1),
    ("MARK", "--set-mark", 1),
    ("MARK", "--set-xmark", 1),
    ("CONNMARK", "--set-mark", 1),
    ("CONNMARK", "--restore-mark", 0),
    ("CONNMARK", "--save-mark", 0),
    ("REDIRECT", "--to-ports", 1),
    ("NFLOG", "--nflog-group", 1),
    ("NFLOG", "--nflog-prefix", 1),
    ("CT", "--notrack", 0),
];
const TARGETS: &[&str] = &[
    "ACCEPT",
    "DROP",
    "QUEUE",
    "RETURN",
    "REJECT",
    "SNAT",
    "DNAT",
    "MASQUERADE",
    "LOG",
    "TCPMSS",
    "MARK",
    "CONNMARK",
    "REDIRECT",
    "NFLOG",
    "NOTRACK",
    "CT",
];

pub(super) fn is_target(name: &str) -> bool {
    TARGETS.contains(&name)
}

impl Spec {
    /// Reads the arguments after the chain. What it does not know is left to `other`, which gives how many words it
    /// took or an error.
    pub(super) fn parse(
        words: &[String],
        v6: bool,
        mut other: impl FnMut(&str, Option<&String>) -> Result<usize, Bad>,
    ) -> Result<Self, Bad> {
        let mut spec = Self::default();
        let mut at = 0;
        let mut negated = false;
        while let Some(word) = words.get(at) {
            at += 1;
            if word == "!" {
                negated = true;
                continue;
            }
            let value = words.get(at);
            let need = |value: Option<&String>| {
                value.cloned().ok_or_else(|| usage(format!("option \"{word}\" requires an argument")))
            };
            match word.as_str() {
                "-s" | "--source" | "--src" => {
                    spec.source = Some((net(&need(value)?, v6)?, negated)).filter(|(net, _)| net.prefix_len() > 0);
                }
                "-d" | "--destination" | "--dst" => {
                    spec.destination = Some((net(&need(value)?, v6)?, negated)).filter(|(net, _)| net.prefix_len() > 0);
                }
                "-i" | "--in-interface" => spec.input = Some((need(value)?, negated)),
                "-o" | "--out-interface" => spec.output = Some((need(value)?, negated)),
                "-p" | "--protocol" | "--proto" => {
                    let name = protocol(&need(value)?)?;
                    spec.protocol = (name != "all").then_some((name, negated));
                }
                "-m" | "--match" => {
                    let name = need(value)?;
                    if !MATCH_OPTIONS.iter().any(|(known, _, _)| *known == name) {
                        return Err(usage(format!("Couldn't load match `{name}':No such file or directory\n")));
                    }
                    if !spec.extensions.iter().any(|extension| extension.name == name) {
                        spec.extensions.push(Extension { name, options: Vec::new() });
                    }
                }
                "-j" | "--jump" | "-g" | "--goto" => {
                    spec.target = Some(need(value)?);
                    spec.goto = word.starts_with("-g") || word == "--goto";
                }
                _ => {
                    at += spec.option(word, words.get(at..).unwrap_or_default(), negated, &mut other)?;
                    negated = false;
                    continue;
                }
            }
            at += 1;
            negated = false;
        }
        spec.check()?;
        Ok(spec)
    }

    fn option(
        &mut self,
        word: &str,
        rest: &[String],
        negated: bool,
        other: &mut impl FnMut(&str, Option<&String>) -> Result<usize, Bad>,
    ) -> Result<usize, Bad> {
        let value = |count: usize| -> Result<String, Bad> {
            match rest.get(..count) {
                Some(words) => Ok(words.join(" ")),
                None => Err(usage(format!("option \"{word}\" requires an argument"))),
            }
        };
        if let Some(target) = &self.target
            && let Some((_, flag, count)) = TARGET_OPTIONS
                .iter()
                .find(|(known, flag, _)| known == target && (*flag == word || abbreviates(word, flag)))
        {
            self.target_options.push(Opt { negated, flag: (*flag).to_owned(), value: value(*count)? });
            return Ok(*count);
        }
        let implicit = self.protocol.as_ref().map(|(name, _)| match name.as_str() {
            "ipv6-icmp" => "icmp6",
            name => name,
        });
        let found = MATCH_OPTIONS.iter().filter(|(_, flag, _)| *flag == word).find(|(known, _, _)| {
            self.extensions.iter().any(|extension| extension.name == *known) || implicit == Some(known)
        });
        let Some((name, _, count)) = found else { return other(word, rest.first()) };
        let flag = match word {
            "--destination-port" => "--dport",
            "--source-port" => "--sport",
            "--destination-ports" => "--dports",
            "--source-ports" => "--sports",
            word => word,
        };
        let text = canonical(name, flag, &value(*count)?)?;
        let (flag, text) =
            if flag == "--syn" { ("--tcp-flags", "FIN,SYN,RST,ACK SYN".to_owned()) } else { (flag, text) };
        let option = Opt { negated, flag: flag.to_owned(), value: text };
        match self.extensions.iter_mut().find(|extension| extension.name == *name) {
            Some(extension) => extension.options.push(option),
            None => self.extensions.push(Extension { name: (*name).to_owned(), options: vec![option] }),
        }
        Ok(*count)
    }

    fn check(&mut self) -> Result<(), Bad> {
        let has = |flag: &str| self.target_options.iter().any(|option| option.flag == flag);
        match self.target.as_deref() {
            Some("SNAT") if !has("--to-source") => Err(usage("SNAT: option \"--to-source\" must be specified\n")),
            Some("DNAT") if !has("--to-destination") => {
                Err(usage("DNAT: option \"--to-destination\" must be specified\n"))
            }
            Some("REJECT") if !has("--reject-with") => {
                let value = "icmp-port-unreachable".to_owned();
                self.target_options.push(Opt { negated: false, flag: "--reject-with".to_owned(), value });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `-o eth0 -j MASQUERADE`, as iptables-save writes it after the chain.
    pub(super) fn text(&self) -> String {
        let mut words = Vec::new();
        let mut push = |negated: bool, flag: &str, value: String| {
            let bang = if negated { "! " } else { "" };
            words.push(if value.is_empty() { format!("{bang}{flag}") } else { format!("{bang}{flag} {value}") });
        };
        if let Some((net, negated)) = &self.source {
            push(*negated, "-s", net.to_string());
        }
        if let Some((net, negated)) = &self.destination {
            push(*negated, "-d", net.to_string());
        }
        if let Some((name, negated)) = &self.input {
            push(*negated, "-i", name.clone());
        }
        if let Some((name, negated)) = &self.output {
            push(*negated, "-o", name.clone());
        }
        if let Some((name, negated)) = &self.protocol {
            push(*negated, "-p", name.clone());
        }
        for extension in &self.extensions {
            push(false, "-m", extension.name.clone());
            for option in &extension.options {
                push(option.negated, &option.flag, quoted(&option.flag, &option.value));
            }
        }
        if let Some(target) = &self.target {
            push(false, if self.goto { "-g" } else { "-j" }, target.clone());
        }
        for option in &self.target_options {
            push(option.negated, &option.flag, quoted(&option.flag, &option.value));
        }
        words.join(" ")
    }
}

fn abbreviates(word: &str, flag: &str) -> bool {
    matches!((word, flag), ("--to", "--to-source" | "--to-destination" | "--to-ports"))
}

/// Texts are in double quotes when they hold more than letters, as xtables_save_string does.
fn quoted(flag: &str, value: &str) -> String {
    let text = matches!(flag, "--comment" | "--log-prefix" | "--nflog-prefix" | "--string");
    if text && !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    value.to_owned()
}

fn canonical(extension: &str, flag: &str, value: &str) -> Result<String, Bad> {
    match flag {
        "--dport" | "--sport" => port_range(value),
        "--dports" | "--sports" | "--ports" => {
            let ports: Result<Vec<String>, Bad> = value.split(',').map(port_range).collect();
            Ok(ports?.join(","))
        }
        "--state" | "--ctstate" => {
            let given: Vec<String> = value.split(',').map(str::to_uppercase).collect();
            const ORDER: &[&str] = &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];
            if let Some(bad) = given.iter().find(|state| !ORDER.contains(&state.as_str())) {
                return Err(usage(
                    format!("{extension}: Bad state \"{bad}\"\n").replace("conntrack: Bad", "conntrack: Bad ctstate"),
                ));
            }
            Ok(ORDER.iter().filter(|state| given.iter().any(|g| g == *state)).copied().collect::<Vec<_>>().join(","))
        }
        "--icmp-type" => Ok(match value {
            "echo-request" | "ping" => "8",
            "echo-reply" | "pong" => "0",
            "destination-unreachable" => "3",
            "fragmentation-needed" => "3/4",
            "time-exceeded" => "11",
            other => other,
        }
        .to_owned()),
        "--limit" => Ok(value.replace("minute", "min").replace("second", "sec")),
        _ => Ok(value.to_owned()),
    }
}

fn port_range(value: &str) -> Result<String, Bad> {
    let (low, high) = value.split_once(':').map_or((value, None), |(low, high)| (low, Some(high)));
    let one = |text: &str, empty: u16| -> Result<u16, Bad> {
        if text.is_empty() {
            return Ok(empty);
        }
        let named = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
        named.or_else(|| text.parse().ok()).ok_or_else(|| usage(format!("invalid port/service `{text}' specified")))
    };
    match high {
        None => Ok(one(low, 0)?.to_string()),
        Some(high) => Ok(format!("{}:{}", one(low, 0)?, one(high, u16::MAX)?)),
    }
}

/// The name of a port, as `-L` without `-n` shows it.
pub(super) fn service(port: &str) -> String {
    SERVICES
        .iter()
        .find(|(_, number)| number.to_string() == port)
        .map_or_else(|| port.to_owned(), |(name, _)| (*name).to_owned())
}

fn protocol(value: &str) -> Result<String, Bad> {
    let value = value.to_ascii_lowercase();
    let name = match value.as_str() {
        "0" | "all" => "all",
        "icmpv6" => "ipv6-icmp",
        other => {
            PROTOCOLS.iter().find(|(number, name)| *number == other || *name == other).map_or("", |(_, name)| name)
        }
    };
    if name.is_empty() && value.parse::<u8>().is_err() {
        return Err(usage(format!("unknown protocol \"{value}\" specified")));
    }
    Ok(if name.is_empty() { value } else { name.to_owned() })
}

/// The number of a protocol, as `-L -n` of iptables 1.8.9 shows it.
pub(super) fn protocol_number(name: &str) -> String {
    PROTOCOLS
        .iter()
        .find(|(_, known)| *known == name)
        .map_or_else(|| name.to_owned(), |(number, _)| (*number).to_owned())
}

fn net(value: &str, v6: bool) -> Result<IpNet, Bad> {
    let bad = || usage(format!("host/network `{value}' not found"));
    let (address, mask) = value.split_once('/').map_or((value, None), |(address, mask)| (address, Some(mask)));
    if v6 {
        let prefix = mask.map_or(Some(128), |mask| mask.parse().ok()).ok_or_else(bad)?;
        return Ipv6Net::new(address.parse().map_err(|_| bad())?, prefix)
            .map(|n| IpNet::V6(n.trunc()))
            .map_err(|_| bad());
    }
    let address: std::net::Ipv4Addr = address.parse().map_err(|_| bad())?;
    let net = match mask {
        None => Ipv4Net::new(address, 32).ok(),
        Some(mask) => match mask.parse::<u8>() {
            Ok(prefix) => Ipv4Net::new(address, prefix).ok(),
            Err(_) => mask.parse().ok().and_then(|mask| Ipv4Net::with_netmask(address, mask).ok()),
        },
    };
    net.map(|net| IpNet::V4(net.trunc()))
        .ok_or_else(|| usage(format!("invalid mask `{}' specified", mask.unwrap_or(""))))
}

/// The parts of a rule that is already in the kernel (`-A CHAIN …`).
pub(super) fn of_rule(text: &str, v6: bool) -> Spec {
    let words = split_words(text);
    Spec::parse(words.get(2..).unwrap_or_default(), v6, |_, _| Ok(0)).unwrap_or_default()
}
