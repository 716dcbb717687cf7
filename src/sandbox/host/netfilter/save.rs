//! `iptables-save`, `iptables-restore`, and the listings of `iptables -L` and `-S`.

use std::fmt::Write;

use super::super::shell::{Interp, Run};
use super::convert;
use super::spec::{Spec, of_rule, protocol_number, service};
use super::tables::{NAMES, look, open};
use crate::model::host::{Backend, BaseChain, Chain, Family, FilterTable, Policy, Rule};
use crate::reach::facts::split_words;

pub(super) fn version(backend: Backend) -> &'static str {
    match backend {
        Backend::IptablesLegacy => "v1.8.4 (legacy)",
        Backend::IptablesNft | Backend::Nft => "v1.8.8 (nf_tables)",
    }
}

fn policy(base: Option<BaseChain>) -> &'static str {
    match base.map(|base| base.policy) {
        Some(Policy::Accept) => "ACCEPT",
        Some(Policy::Drop) => "DROP",
        None => "-",
    }
}

/// `iptables -S`.
pub(super) fn rules(table: &FilterTable, only: Option<&str>, counters: bool) -> String {
    let mut text = String::new();
    let chosen = |chain: &&Chain| only.is_none_or(|name| chain.name == name);
    for chain in table.chains.iter().filter(chosen) {
        text.push_str(&match chain.base {
            Some(_) => format!("-P {} {}", chain.name, policy(chain.base)),
            None => format!("-N {}", chain.name),
        });
        if counters && chain.base.is_some() {
            text.push_str(" -c 0 0");
        }
        text.push('\n');
    }
    for rule in table.chains.iter().filter(chosen).flat_map(|chain| &chain.rules) {
        if counters {
            let count = format!(" -c {} {}", rule.packets, rule.bytes);
            let at = rule.text.find(" -j ").unwrap_or(rule.text.len());
            let (head, tail) = rule.text.split_at(at);
            text.push_str(&format!("{head}{count}{tail}\n"));
        } else {
            text.push_str(&format!("{}\n", rule.text));
        }
    }
    text
}

/// `iptables -L`.
pub(super) fn listing(
    table: &FilterTable,
    only: Option<&str>,
    numeric: bool,
    verbose: bool,
    numbers: bool,
    exact: bool,
) -> String {
    let v6 = table.family == Family::Ip6;
    let mut text = String::new();
    let mut first = true;
    for chain in table.chains.iter().filter(|chain| only.is_none_or(|name| chain.name == name)) {
        if !first {
            text.push('\n');
        }
        first = false;
        let references = table
            .chains
            .iter()
            .flat_map(|chain| &chain.rules)
            .filter(|rule| of_rule(&rule.text, v6).target.as_deref() == Some(&chain.name))
            .count();
        let head = match chain.base {
            Some(_) if verbose => format!("policy {} 0 packets, 0 bytes", policy(chain.base)),
            Some(_) => format!("policy {}", policy(chain.base)),
            None => format!("{references} references"),
        };
        text.push_str(&format!("Chain {} ({head})\n", chain.name));
        if numbers {
            text.push_str("num  ");
        }
        if verbose {
            text.push_str(" pkts bytes target     prot opt in     out     source               destination         \n");
        } else {
            text.push_str("target     prot opt source               destination         \n");
        }
        for (at, rule) in chain.rules.iter().enumerate() {
            if numbers {
                let _written = write!(text, "{:<4} ", at + 1);
            }
            text.push_str(&line(rule, v6, table.backend, numeric, verbose, exact));
            text.push('\n');
        }
    }
    text
}

fn count(value: u64, exact: bool) -> String {
    match value {
        value if exact || value < 100_000 => value.to_string(),
        value if value < 10_000_000 => format!("{}K", value / 1000),
        value if value < 10_000_000_000 => format!("{}M", value / 1_000_000),
        value => format!("{}G", value / 1_000_000_000),
    }
}

fn line(rule: &Rule, v6: bool, backend: Backend, numeric: bool, verbose: bool, exact: bool) -> String {
    let spec = of_rule(&rule.text, v6);
    let any = if v6 {
        "::/0"
    } else if numeric {
        "0.0.0.0/0"
    } else {
        "anywhere"
    };
    let net = |net: &Option<(ipnet::IpNet, bool)>| match net {
        None => format!(" {any}"),
        Some((net, negated)) => {
            let bang = if *negated { "!" } else { " " };
            let host = net.prefix_len() == net.max_prefix_len();
            if host { format!("{bang}{}", net.addr()) } else { format!("{bang}{net}") }
        }
    };
    let device = |device: &Option<(String, bool)>| match device {
        None => "*".to_owned(),
        Some((name, negated)) => format!("{}{name}", if *negated { "!" } else { "" }),
    };
    let protocol = match &spec.protocol {
        // iptables 1.8.9 prints numbers with -n; 1.8.4 printed names.
        None if numeric && backend != Backend::IptablesLegacy => "0".to_owned(),
        None => "all".to_owned(),
        Some((name, negated)) => {
            let bang = if *negated { "!" } else { "" };
            let number = numeric && backend != Backend::IptablesLegacy;
            format!("{bang}{}", if number { protocol_number(name) } else { name.clone() })
        }
    };
    let target = spec.target.clone().unwrap_or_default();
    let mut text = String::new();
    if verbose {
        text.push_str(&format!("{:>5} {:>5} ", count(rule.packets, exact), count(rule.bytes, exact)));
        text.push_str(&format!(
            "{target:<9}  {protocol:<4} --  {:<6} {:<6} ",
            device(&spec.input),
            device(&spec.output)
        ));
    } else {
        text.push_str(&format!("{target:<9}  {protocol:<4} -- "));
    }
    // The sign of each address has a column of its own.
    text.push_str(&format!("{:<20} {:<20} ", net(&spec.source), net(&spec.destination)));
    let rest = details(&spec, numeric);
    if !rest.is_empty() {
        text.push(' ');
        text.push_str(&rest.join(" "));
    }
    text
}

fn details(spec: &Spec, numeric: bool) -> Vec<String> {
    let mut parts = Vec::new();
    for extension in &spec.extensions {
        for option in &extension.options {
            let bang = if option.negated { "!" } else { "" };
            let port = |port: &str| if numeric { port.to_owned() } else { service(port) };
            let value = &option.value;
            parts.push(match (extension.name.as_str(), option.flag.as_str()) {
                (name @ ("tcp" | "udp"), flag @ ("--dport" | "--sport")) => {
                    let kind = if flag == "--dport" { "dpt" } else { "spt" };
                    let plural = if value.contains(':') { "s" } else { "" };
                    format!(
                        "{name} {kind}{plural}:{bang}{}",
                        if plural.is_empty() { port(value) } else { value.clone() }
                    )
                }
                ("multiport", flag) => format!("multiport {bang}{} {value}", flag.trim_start_matches("--")),
                ("state", _) => format!("{bang}state {value}"),
                ("conntrack", "--ctstate") => format!("{bang}ctstate {value}"),
                ("comment", _) => format!("/* {value} */"),
                ("icmp", _) => format!("icmptype {value}"),
                ("limit", "--limit") => format!("limit: avg {value} burst 5"),
                ("mark", _) => format!("mark match {bang}{value}"),
                ("tcp", "--tcp-flags") => format!("tcp flags:{bang}{}", value.replace(' ', "/")),
                (name, flag) => format!("{name} {bang}{} {value}", flag.trim_start_matches("--")),
            });
        }
    }
    for option in &spec.target_options {
        let value = &option.value;
        parts.push(match option.flag.as_str() {
            "--reject-with" => format!("reject-with {value}"),
            "--to-source" | "--to-destination" => format!("to:{value}"),
            "--to-ports" => format!("masq ports: {value}"),
            "--clamp-mss-to-pmtu" => "TCPMSS clamp to PMTU".to_owned(),
            "--set-mss" => format!("TCPMSS set {value}"),
            "--log-prefix" => format!("LOG flags 0 level 4 prefix \"{value}\""),
            flag => format!("{} {value}", flag.trim_start_matches("--")),
        });
    }
    if spec.target.as_deref() == Some("LOG") && spec.target_options.is_empty() {
        parts.push("LOG flags 0 level 4".to_owned());
    }
    parts
}

/// `iptables-save` and `ip6tables-save`.
pub(in super::super) fn save(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let v6 = words.first().is_some_and(|word| word.contains("ip6"));
    let tool = if v6 { "ip6tables-save" } else { "iptables-save" };
    let family = if v6 { Family::Ip6 } else { Family::Ip };
    let counters = words.iter().any(|word| word == "-c" || word == "--counters");
    let after = |flags: [&str; 2]| {
        words.iter().position(|word| flags.contains(&word.as_str())).and_then(|at| words.get(at + 1)).cloned()
    };
    let only = after(["-t", "--table"]);
    let file = after(["-f", "--file"]);
    let version = version(super::tables::backend(it.machine)).to_owned();
    let date = super::super::commands::format_time(it.now(), "%a %b %e %H:%M:%S %Y");
    let mut text = String::new();
    let order = ["mangle", "raw", "security", "filter", "nat"];
    for name in order.iter().filter(|name| only.as_deref().is_none_or(|only| only == **name)) {
        let Some(table) = look(it.machine, family, name) else { continue };
        text.push_str(&format!("# Generated by {tool} {version} on {date}\n*{name}\n"));
        for chain in &table.chains {
            text.push_str(&format!(":{} {} [0:0]\n", chain.name, policy(chain.base)));
        }
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            if counters {
                text.push_str(&format!("[{}:{}] ", rule.packets, rule.bytes));
            }
            text.push_str(&rule.text);
            text.push('\n');
        }
        text.push_str(&format!("COMMIT\n# Completed on {date}\n"));
    }
    match file {
        Some(file) => {
            let (path, now) = (it.path(&file), it.seconds());
            match it.machine.write_file(&path, &text, now) {
                Ok(()) => Ok(0),
                Err(error) => it.fail(1, format!("{tool}: {file}: {error}")),
            }
        }
        None => {
            it.out(&text)?;
            Ok(0)
        }
    }
}

/// `iptables-restore` and `ip6tables-restore`: a table takes effect at its COMMIT, all or nothing.
pub(in super::super) fn restore(it: &mut Interp<'_, '_>, arguments: &[String]) -> Run {
    let v6 = arguments.first().is_some_and(|word| word.contains("ip6"));
    let tool = if v6 { "ip6tables-restore" } else { "iptables-restore" };
    let family = if v6 { Family::Ip6 } else { Family::Ip };
    let keep = arguments.iter().any(|word| word == "-n" || word == "--noflush");
    let test = arguments.iter().any(|word| word == "-t" || word == "--test");
    let file = arguments.iter().skip(1).find(|word| !word.starts_with('-') && word.parse::<u32>().is_err());
    let text = match file {
        None => it.read_all()?,
        Some(file) => match it.machine.read_file(&it.path(file)) {
            Ok(text) => text,
            Err(error) => return it.fail(1, format!("Can't open {file}: {error}")),
        },
    };
    let mut table: Option<FilterTable> = None;
    for (at, raw) in text.lines().enumerate() {
        it.step()?;
        let line = raw.trim();
        let failed = |what: &str| {
            format!(
                "{what}\nError occurred at line: {}\nTry `{tool} -h' or '{tool} --help' for more information.",
                at + 1
            )
        };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('*') {
            if !NAMES.contains(&name) {
                return it.fail(3, failed(&format!("{tool}: unable to initialize table '{name}'\n")));
            }
            let Some(current) = open(it.machine, family, name).map(|table| table.clone()) else { continue };
            let mut fresh = current;
            if !keep {
                fresh.chains.retain(|chain| chain.base.is_some());
                for chain in &mut fresh.chains {
                    chain.rules.clear();
                }
            }
            table = Some(fresh);
            continue;
        }
        let Some(open_table) = &mut table else {
            return it.fail(2, format!("{tool}: line {} failed", at + 1));
        };
        if line == "COMMIT" {
            let stateful = open_table
                .chains
                .iter()
                .flat_map(|chain| &chain.rules)
                .any(|rule| rule.text.contains("-m state") || rule.text.contains("-m conntrack"));
            if let Some(done) = table.take().filter(|_| !test) {
                if let Some(place) = open(it.machine, family, &done.name) {
                    *place = done;
                }
                if stateful {
                    it.machine.load_conntrack();
                }
            }
        } else if let Some(rest) = line.strip_prefix(':') {
            let parts: Vec<&str> = rest.split_whitespace().collect();
            let (name, wanted) = (parts.first().copied().unwrap_or_default(), parts.get(1).copied().unwrap_or("-"));
            let known = open_table.chains.iter_mut().find(|chain| chain.name == name);
            match known {
                Some(chain) => {
                    if let Some(base) = &mut chain.base {
                        base.policy = if wanted == "DROP" { Policy::Drop } else { Policy::Accept };
                    }
                }
                None => open_table.chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() }),
            }
        } else {
            let mut words = split_words(line);
            let counts = words.first().and_then(|word| {
                word.strip_prefix('[')?
                    .strip_suffix(']')?
                    .split_once(':')
                    .map(|(p, b)| (p.parse().unwrap_or(0), b.parse().unwrap_or(0)))
            });
            if counts.is_some() {
                words.remove(0);
            }
            let inserted = words.first().is_some_and(|word| word == "-I");
            let name = words.get(1).cloned().unwrap_or_default();
            let spec = Spec::parse(words.get(2..).unwrap_or_default(), v6, |word, _| {
                Err(super::spec::usage(format!("unknown option \"{word}\"")))
            });
            let spec = match spec {
                Ok(spec) if matches!(words.first().map(String::as_str), Some("-A" | "-I")) => spec,
                Ok(_) => return it.fail(1, format!("{tool}: line {} failed", at + 1)),
                Err(bad) => {
                    return it.fail(2, failed(&format!("{tool} {}: {}", version(open_table.backend), bad.message)));
                }
            };
            let Some(chain) = open_table.chains.iter_mut().find(|chain| chain.name == name) else {
                return it.fail(1, format!("{tool}: line {} failed", at + 1));
            };
            let mut rule = convert::rule(&spec, &name);
            if let Some((packets, bytes)) = counts {
                (rule.packets, rule.bytes) = (packets, bytes);
            }
            if inserted {
                chain.rules.insert(0, rule);
            } else {
                chain.rules.push(rule);
            }
        }
    }
    if table.is_some() {
        return it.fail(1, format!("{tool}: COMMIT expected at line {}", text.lines().count() + 1));
    }
    Ok(0)
}
