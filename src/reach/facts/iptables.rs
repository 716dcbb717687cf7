//! Reads what `iptables-save` prints, and single rules as `iptables` is given them. Pure.
//!
//! Conditions and targets that natdeck does not evaluate are kept as printed, so that a rule with one may or may not
//! match instead of being forgotten.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{FactsError, icmp_of_iptables};
use crate::model::Protocol;
use crate::model::host::{
    Backend, BaseChain, Chain, ChainKind, ConnState, Family, FilterTable, Hook, Match, Policy, Rule, Target,
};

/// Reads the output of `iptables-save`, with or without `-c`.
pub fn parse_iptables_save(text: &str, family: Family, backend: Backend) -> Result<Vec<FilterTable>, FactsError> {
    let mut tables: Vec<FilterTable> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = |reason: &str| FactsError::new("iptables-save", format!("line {}: {reason}: {line}", index + 1));
        if line.is_empty() || line.starts_with('#') || line == "COMMIT" {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            tables.push(FilterTable { family, name: name.to_owned(), chains: Vec::new(), backend });
            continue;
        }
        let table = tables.last_mut().ok_or_else(|| wrong("a line before the first table"))?;
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let name = words.next().ok_or_else(|| wrong("a chain without a name"))?;
            let policy = match words.next() {
                Some("DROP") => Some(Policy::Drop),
                Some("ACCEPT") => Some(Policy::Accept),
                _ => None,
            };
            let base = policy.and_then(|policy| base_chain(&table.name, name, policy));
            table.chains.push(Chain { name: name.to_owned(), base, rules: Vec::new() });
            continue;
        }
        let (counters, rule) = split_counters(line);
        let words = split_words(rule);
        let Some(("-A" | "--append", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Err(wrong("neither a table, a chain nor a rule"));
        };
        let Some((chain, rest)) = rest.split_first() else {
            return Err(wrong("a rule without a chain"));
        };
        let chains: Vec<&str> = table.chains.iter().map(|chain| chain.name.as_str()).collect();
        let (matches, target) = parse_rule(rest, &chains);
        let (packets, bytes) = counters.unwrap_or_default();
        let rule = Rule { matches, target, text: rule.to_owned(), packets, bytes };
        match table.chains.iter_mut().find(|known| &known.name == chain) {
            Some(chain) => chain.rules.push(rule),
            None => return Err(wrong("a rule of a chain that was not declared")),
        }
    }
    Ok(tables)
}

/// Where the kernel enters a built-in chain of one of iptables' tables. `None` for a chain of the user's.
pub fn base_chain(table: &str, chain: &str, policy: Policy) -> Option<BaseChain> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let (kind, priority) = match (table, hook) {
        ("raw", _) => (ChainKind::Other, -300),
        ("mangle", _) => (ChainKind::Other, -150),
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
        ("nat", _) => (ChainKind::Nat, 100),
        ("security", _) => (ChainKind::Filter, 50),
        _ => (ChainKind::Filter, 0),
    };
    Some(BaseChain { hook, kind, priority, policy })
}

/// `[12:3456] -A …`.
fn split_counters(line: &str) -> (Option<(u64, u64)>, &str) {
    let parsed = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).and_then(|(counters, rest)| {
        let (packets, bytes) = counters.split_once(':')?;
        Some(((packets.parse().ok()?, bytes.parse().ok()?), rest.trim_start()))
    });
    parsed.map_or((None, line), |(counters, rest)| (Some(counters), rest))
}

/// Words, with double quotes and backslashes as `iptables-save` writes them.
pub fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The conditions and the target of a rule: the words after the chain's name, as `iptables -A CHAIN` takes them and
/// `iptables-save` prints them. `chains` are the user's chains of the table, which can be targets.
pub fn parse_rule(words: &[String], chains: &[&str]) -> (Vec<Match>, Target) {
    let mut rule =
        RuleWords { words, at: 0, negated: false, matches: Vec::new(), target: Target::Continue, rest: Vec::new() };
    while let Some(word) = rule.next() {
        rule.option(word, chains);
    }
    if !rule.rest.is_empty() {
        rule.matches.push(Match::NotUnderstood(rule.rest.join(" ")));
    }
    (rule.matches, rule.target)
}

struct RuleWords<'w> {
    words: &'w [String],
    at: usize,
    negated: bool,
    matches: Vec<Match>,
    target: Target,
    /// What belongs to conditions that are not evaluated.
    rest: Vec<&'w str>,
}

/// Match modules that add nothing of their own: their options are read where they stand.
const PLAIN_MODULES: &[&str] =
    &["tcp", "udp", "icmp", "icmp6", "ipv6-icmp", "comment", "state", "conntrack", "multiport"];

/// Words that begin a condition, and so end the options of a target before them.
const CONDITIONS: &[&str] = &[
    "-i",
    "-o",
    "-s",
    "-d",
    "-p",
    "-m",
    "!",
    "--match",
    "--in-interface",
    "--out-interface",
    "--source",
    "--destination",
    "--protocol",
];

/// Targets after which the next rule is asked.
const CONTINUING: &[&str] = &[
    "LOG",
    "NFLOG",
    "ULOG",
    "TCPMSS",
    "MARK",
    "CONNMARK",
    "TRACE",
    "CHECKSUM",
    "SET",
    "TOS",
    "DSCP",
    "CLASSIFY",
    "TTL",
    "HL",
    "SECMARK",
    "CONNSECMARK",
    "AUDIT",
    "TEE",
    "RATEEST",
    "LED",
];

impl<'w> RuleWords<'w> {
    fn next(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn option(&mut self, word: &'w str, chains: &[&str]) {
        if word == "!" {
            self.negated = true;
            return;
        }
        let negated = std::mem::take(&mut self.negated);
        let start = self.at;
        let understood = match word {
            "-m" | "--match" => match self.next() {
                Some(module) if PLAIN_MODULES.contains(&module) => true,
                Some(module) => {
                    self.rest.extend(["-m", module]);
                    true
                }
                None => false,
            },
            "-j" | "--jump" => {
                self.target = self.read_target(chains);
                return;
            }
            "-g" | "--goto" => self.next().map(|chain| self.target = Target::Goto(chain.to_owned())).is_some(),
            "--comment" => self.next().map(|_| self.matches.push(Match::Always)).is_some(),
            "-c" | "--set-counters" => self.next().and_then(|_| self.next()).is_some(),
            _ => match self.read_match(word, negated) {
                Some(condition) => {
                    self.matches.push(condition);
                    true
                }
                None => false,
            },
        };
        if !understood {
            self.at = start;
            if negated {
                self.rest.push("!");
            }
            self.rest.push(word);
        }
    }

    fn read_match(&mut self, word: &str, negated: bool) -> Option<Match> {
        let known = [
            "-i",
            "--in-interface",
            "-o",
            "--out-interface",
            "-s",
            "--source",
            "--src",
            "-d",
            "--destination",
            "--dst",
            "-p",
            "--protocol",
            "--proto",
            "--sport",
            "--sports",
            "--source-port",
            "--source-ports",
            "--dport",
            "--dports",
            "--destination-port",
            "--destination-ports",
            "--state",
            "--ctstate",
            "--icmp-type",
            "--icmpv6-type",
        ];
        if !known.contains(&word) {
            return None;
        }
        let value = self.next()?;
        Some(match word {
            "-i" | "--in-interface" => {
                let (name, prefix) = device(value);
                Match::In { name, prefix, negated }
            }
            "-o" | "--out-interface" => {
                let (name, prefix) = device(value);
                Match::Out { name, prefix, negated }
            }
            "-s" | "--source" | "--src" => Match::Source { net: net(value)?, negated },
            "-d" | "--destination" | "--dst" => Match::Destination { net: net(value)?, negated },
            "-p" | "--protocol" | "--proto" => Match::Protocol { protocol: protocol(value)?, negated },
            "--sport" | "--sports" | "--source-port" | "--source-ports" => {
                Match::SourcePort { ranges: ports(value)?, negated }
            }
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                Match::DestinationPort { ranges: ports(value)?, negated }
            }
            "--icmp-type" | "--icmpv6-type" => icmp_of_iptables(word == "--icmp-type", value, negated)?,
            _ => Match::State { states: states(value)?, negated },
        })
    }

    /// The target and its options, which end where a condition begins: iptables prints the target last, people put it
    /// anywhere.
    fn read_target(&mut self, chains: &[&str]) -> Target {
        let start = self.at;
        let Some(name) = self.next() else {
            return Target::Continue;
        };
        if chains.contains(&name) {
            return Target::Jump(name.to_owned());
        }
        let options = self.words.get(self.at..).unwrap_or_default();
        let end = options.iter().position(|word| CONDITIONS.contains(&word.as_str())).unwrap_or(options.len());
        let options = options.get(..end).unwrap_or_default();
        let option = |wanted: &str| {
            options.iter().position(|word| word == wanted).and_then(|at| options.get(at + 1)).map(String::as_str)
        };
        let printed = || self.words.get(start..self.at + end).unwrap_or_default().join(" ");
        let target = match name {
            "ACCEPT" => Target::Accept,
            "DROP" => Target::Drop,
            "RETURN" => Target::Return,
            "REJECT" => Target::Reject,
            "MASQUERADE" => Target::Masquerade,
            "SNAT" => option("--to-source")
                .and_then(first_address)
                .map_or_else(|| Target::NotUnderstood(printed()), |(to, _)| Target::Snat { to }),
            "DNAT" => option("--to-destination")
                .and_then(first_address)
                .map_or_else(|| Target::NotUnderstood(printed()), |(to, port)| Target::Dnat { to, port }),
            name if CONTINUING.contains(&name) => Target::Continue,
            _ => Target::NotUnderstood(printed()),
        };
        self.at += end;
        target
    }
}

/// `10.0.0.1`, `10.0.0.1-10.0.0.9`, `10.0.0.1:80`: the first address, and the port if there is one.
fn first_address(text: &str) -> Option<(Ipv4Addr, Option<u16>)> {
    let (addresses, ports) = text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)));
    let first = addresses.split('-').next()?.parse().ok()?;
    let port = match ports {
        None => None,
        Some(ports) => Some(ports.split('-').next()?.parse().ok()?),
    };
    Some((first, port))
}

/// `eth+` stands for all names that begin with `eth`.
fn device(text: &str) -> (String, bool) {
    text.strip_suffix('+').map_or_else(|| (text.to_owned(), false), |prefix| (prefix.to_owned(), true))
}

/// An address, with a prefix length or a netmask, or without.
fn net(text: &str) -> Option<IpNet> {
    let Some((address, mask)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let address: IpAddr = address.parse().ok()?;
    match mask.parse::<u8>() {
        Ok(length) => IpNet::new(address, length).ok(),
        Err(_) => IpNet::with_netmask(address, mask.parse().ok()?).ok(),
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "all" | "0" => Some(Protocol::All),
        "ipv6-icmp" => Some(Protocol::Icmpv6),
        text => match Protocol::parse(text) {
            Protocol::Unknown => None,
            known => Some(known),
        },
    }
}

/// `80`, `1024:65535`, `:1023`, `80,443`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',')
        .map(|part| match part.split_once(':') {
            None => part.parse().ok().map(|port| (port, port)),
            Some((first, last)) => {
                let first = if first.is_empty() { 0 } else { first.parse().ok()? };
                let last = if last.is_empty() { u16::MAX } else { last.parse().ok()? };
                Some((first, last))
            }
        })
        .collect()
}

fn states(text: &str) -> Option<Vec<ConnState>> {
    text.split(',').map(ConnState::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> (Vec<Match>, Target) {
        parse_rule(&split_words(text), &["DOCKER-USER"])
    }

    #[test]
    fn the_articles_rules_are_read() {
        let out = Match::Out { name: "eth0".to_owned(), prefix: false, negated: false };
        assert_eq!(rule("-o eth0 -j MASQUERADE"), (vec![out.clone()], Target::Masquerade));
        let (matches, target) = rule("-i eth0 -o eth1 -m state --state RELATED,ESTABLISHED -j ACCEPT");
        assert_eq!(target, Target::Accept);
        let states = vec![ConnState::Related, ConnState::Established];
        assert_eq!(matches.last(), Some(&Match::State { states, negated: false }));
        assert_eq!(rule("-j MASQUERADE --random -o eth0"), (vec![out], Target::Masquerade), "in any order");
    }

    #[test]
    fn negation_wildcards_ports_and_quotes_are_read() {
        let (matches, target) = rule(
            r#"! -s 10.0.0.0/255.0.0.0 -i ens+ -p tcp -m multiport ! --dports 80,1000:2000 -m comment --comment "a \"b\" c" -j DOCKER-USER"#,
        );
        assert_eq!(target, Target::Jump("DOCKER-USER".to_owned()));
        let expected = [
            Match::Source { net: "10.0.0.0/8".parse().unwrap(), negated: true },
            Match::In { name: "ens".to_owned(), prefix: true, negated: false },
            Match::Protocol { protocol: Protocol::Tcp, negated: false },
            Match::DestinationPort { ranges: vec![(80, 80), (1000, 2000)], negated: true },
            Match::Always,
        ];
        assert_eq!(matches, expected);
        assert_eq!(split_words(r#"--comment "a \"b\" c""#), ["--comment", r#"a "b" c"#]);
    }

    #[test]
    fn what_is_not_evaluated_is_kept_as_printed() {
        let (matches, target) = rule("-m addrtype ! --dst-type LOCAL -p icmp -m icmp --icmp-type 8 -j ACCEPT");
        let kept = Match::NotUnderstood("-m addrtype ! --dst-type LOCAL".to_owned());
        assert_eq!(matches.last(), Some(&kept));
        let (matches, _) = rule("-p icmp -m icmp --icmp-type no-such-type -j ACCEPT");
        assert_eq!(matches.last(), Some(&Match::NotUnderstood("--icmp-type no-such-type".to_owned())));
        assert_eq!(target, Target::Accept);
        let (_, target) = rule("-p tcp -j REDIRECT --to-ports 3128");
        assert_eq!(target, Target::NotUnderstood("REDIRECT --to-ports 3128".to_owned()));
        assert_eq!(rule("-j LOG --log-prefix \"x \"").1, Target::Continue);
    }

    #[test]
    fn translations_take_the_first_address() {
        let to = "10.8.1.227".parse().unwrap();
        assert_eq!(rule("-j SNAT --to-source 10.8.1.227-10.8.1.229:1024-2048").1, Target::Snat { to });
        assert_eq!(rule("-j DNAT --to-destination 10.8.1.227:22").1, Target::Dnat { to, port: Some(22) });
    }

    #[test]
    fn damaged_output_is_named_with_its_line() {
        for (text, what) in [
            ("-A FORWARD -j ACCEPT\n", "line 1"),
            ("*filter\n-A FORWARD -j ACCEPT\n", "line 2"),
            ("*filter\n:FORWARD DROP [0:0]\nnonsense\n", "line 3"),
        ] {
            let error = parse_iptables_save(text, Family::Ip, Backend::IptablesNft).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn counters_and_policies_are_read() {
        let text = "*filter\n:FORWARD DROP [4:240]\n:MINE - [0:0]\n[9:900] -A FORWARD -j MINE\nCOMMIT\n";
        let tables = parse_iptables_save(text, Family::Ip, Backend::IptablesLegacy).unwrap();
        let chain = &tables[0].chains[0];
        assert_eq!(chain.base.unwrap().policy, Policy::Drop);
        assert_eq!((chain.rules[0].packets, chain.rules[0].bytes), (9, 900));
        assert_eq!(chain.rules[0].text, "-A FORWARD -j MINE");
        assert!(tables[0].chains[1].base.is_none());
    }
}
