//! The `iptables` and `ip6tables` commands.

use super::super::shell::{Interp, Run};
use super::convert;
use super::save::{self, version};
use super::spec::{Bad, Spec, is_target, of_rule, usage};
use super::tables::{NAMES, look, open};
use crate::model::host::{Backend, Chain, ChainKind, Family, Hook, Policy};

/// What a command line asks for.
#[derive(Debug, Default)]
struct Ask {
    command: Option<char>,
    chain: Option<String>,
    table: String,
    number: Option<usize>,
    second: Option<String>,
    numeric: bool,
    verbose: bool,
    numbers: bool,
    exact: bool,
    counters: Option<(u64, u64)>,
    rule: Vec<String>,
}

pub(in super::super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let tool = words.first().map_or("iptables", |word| super::super::vfs::name(word)).to_owned();
    let base = if tool.starts_with("ip6") { "ip6tables" } else { "iptables" };
    let backend = super::tables::backend(it.machine);
    match execute(it, words.get(1..).unwrap_or_default(), base == "ip6tables") {
        Ok((status, text)) => {
            it.out(&text)?;
            Ok(status)
        }
        Err(bad) => {
            let mut text = match bad.message.strip_prefix('@') {
                Some(plain) => format!("{plain}\n"),
                None if bad.status == 1 => format!("{base}: {}\n", bad.message),
                None => format!("{base} {}: {}\n", version(backend), bad.message),
            };
            if bad.usage {
                text.push_str(&format!("Try `{base} -h' or '{base} --help' for more information.\n"));
            }
            it.fail(bad.status, text.trim_end_matches('\n'))
        }
    }
}

fn plain(status: i32, message: impl Into<String>) -> Bad {
    Bad { message: message.into(), status, usage: false }
}

fn execute(it: &mut Interp<'_, '_>, words: &[String], v6: bool) -> Result<(i32, String), Bad> {
    let ask = read(words)?;
    let family = if v6 { Family::Ip6 } else { Family::Ip };
    if ask.command == Some('V') {
        let tool = if v6 { "ip6tables" } else { "iptables" };
        return Ok((0, format!("{tool} {}\n", version(super::tables::backend(it.machine)))));
    }
    if !NAMES.contains(&ask.table.as_str()) {
        let reason =
            format!("table '{}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.", ask.table);
        return Err(plain(3, reason));
    }
    let Some(command) = ask.command else { return Err(usage("no command specified")) };
    let spec = Spec::parse(&ask.rule, v6, |word, _| {
        if word.starts_with('-') {
            Err(usage(format!("unknown option \"{word}\"")))
        } else {
            Err(Bad { message: format!("@Bad argument `{word}'"), status: 2, usage: true })
        }
    })?;
    if command == 'L' || command == 'S' {
        open(it.machine, family, &ask.table);
        let Some(table) = look(it.machine, family, &ask.table) else { return Ok((0, String::new())) };
        if ask.chain.as_ref().is_some_and(|chain| !table.chains.iter().any(|c| c.name == *chain)) {
            return Err(plain(1, "No chain/target/match by that name."));
        }
        let text = if command == 'L' {
            save::listing(table, ask.chain.as_deref(), ask.numeric, ask.verbose, ask.numbers, ask.exact)
        } else {
            save::rules(table, ask.chain.as_deref(), ask.verbose)
        };
        return Ok((0, text));
    }
    change(it, &ask, command, &spec, family).map(|()| (0, String::new()))
}

fn change(it: &mut Interp<'_, '_>, ask: &Ask, command: char, spec: &Spec, family: Family) -> Result<(), Bad> {
    let backend = super::tables::backend(it.machine);
    let v6 = family == Family::Ip6;
    if matches!(command, 'A' | 'I' | 'R') && spec.extensions.iter().any(|e| e.name == "state" || e.name == "conntrack")
    {
        it.machine.load_conntrack();
    }
    let Some(table) = open(it.machine, family, &ask.table) else { return Ok(()) };
    let name = ask.chain.as_deref().unwrap_or_default();
    let at = table.chains.iter().position(|chain| chain.name == name);
    if matches!(command, 'A' | 'I' | 'R') {
        check_target(spec, &ask.table, name, at.and_then(|at| table.chains.get(at)), &table.chains, backend)?;
    }
    let missing = || plain(1, "No chain/target/match by that name.");
    match command {
        'N' => {
            if at.is_some() {
                return Err(plain(1, "Chain already exists."));
            }
            table.chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
        }
        'P' => {
            let policy = match ask.second.as_deref() {
                Some("ACCEPT") => Policy::Accept,
                Some("DROP") => Policy::Drop,
                _ => return Err(plain(1, "Bad policy name. Run `dmesg' for more information.")),
            };
            let chain = at.and_then(|at| table.chains.get_mut(at)).and_then(|chain| chain.base.as_mut());
            match chain {
                Some(chain) => chain.policy = policy,
                None => return Err(plain(1, "Bad built-in chain name.")),
            }
        }
        'F' | 'Z' => {
            if ask.chain.is_some() && at.is_none() {
                return Err(missing());
            }
            for chain in table.chains.iter_mut().filter(|chain| ask.chain.is_none() || chain.name == name) {
                if command == 'F' {
                    chain.rules.clear();
                }
                for rule in &mut chain.rules {
                    (rule.packets, rule.bytes) = (0, 0);
                }
            }
        }
        'X' => {
            let used: Vec<String> = table
                .chains
                .iter()
                .flat_map(|chain| &chain.rules)
                .filter_map(|rule| of_rule(&rule.text, v6).target)
                .collect();
            let doomed = |chain: &Chain| chain.base.is_none() && (ask.chain.is_none() || chain.name == name);
            if ask.chain.is_some() && !table.chains.iter().any(doomed) {
                return Err(missing());
            }
            let busy = table
                .chains
                .iter()
                .find(|chain| doomed(chain) && (used.contains(&chain.name) || !chain.rules.is_empty()));
            if let Some(chain) = busy {
                return Err(match backend {
                    Backend::IptablesLegacy if used.contains(&chain.name) => plain(1, "Too many links."),
                    Backend::IptablesLegacy => plain(1, "Directory not empty."),
                    _ => plain(4, format!(" CHAIN_DEL failed (Device or resource busy): chain {}", chain.name)),
                });
            }
            table.chains.retain(|chain| !doomed(chain));
        }
        'E' => {
            let new = ask.second.clone().unwrap_or_default();
            let chain =
                at.and_then(|at| table.chains.get_mut(at)).filter(|chain| chain.base.is_none()).ok_or_else(missing)?;
            for rule in &mut chain.rules {
                rule.text = rule.text.replacen(&format!("-A {name}"), &format!("-A {new}"), 1);
            }
            chain.name = new;
        }
        'A' | 'I' | 'R' => {
            let chain = at.and_then(|at| table.chains.get_mut(at)).ok_or_else(missing)?;
            let mut rule = convert::rule(spec, name);
            if let Some((packets, bytes)) = ask.counters {
                (rule.packets, rule.bytes) = (packets, bytes);
            }
            if chain.rules.len() > 5000 {
                return Err(plain(4, "Memory allocation problem."));
            }
            let number = ask.number.unwrap_or(1);
            match command {
                'A' => chain.rules.push(rule),
                'I' if number == 0 || number > chain.rules.len() + 1 => {
                    return Err(plain(1, "Index of insertion too big."));
                }
                'I' => chain.rules.insert(number - 1, rule),
                _ => match number.checked_sub(1).and_then(|at| chain.rules.get_mut(at)) {
                    Some(old) => *old = rule,
                    None => return Err(plain(1, "Index of replacement too big.")),
                },
            }
        }
        'C' | 'D' => {
            let chain = at.and_then(|at| table.chains.get_mut(at)).ok_or_else(missing)?;
            if let Some(number) = ask.number {
                if number == 0 || number > chain.rules.len() {
                    return Err(plain(1, "Index of deletion too big."));
                }
                chain.rules.remove(number - 1);
                return Ok(());
            }
            let text = convert::rule(spec, name).text;
            let found = chain.rules.iter().position(|rule| rule.text == text);
            let Some(found) = found else {
                return Err(plain(1, "Bad rule (does a matching rule exist in that chain?)."));
            };
            if command == 'D' {
                chain.rules.remove(found);
            }
        }
        other => return Err(usage(format!("unknown option \"-{other}\""))),
    }
    Ok(())
}

/// Targets that exist, in chains where the kernel takes them.
fn check_target(
    spec: &Spec,
    table: &str,
    name: &str,
    chain: Option<&Chain>,
    chains: &[Chain],
    backend: Backend,
) -> Result<(), Bad> {
    let Some(target) = spec.target.as_deref() else { return Ok(()) };
    if !is_target(target) && !chains.iter().any(|chain| chain.name == target && chain.base.is_none()) {
        return Err(match backend {
            Backend::IptablesLegacy => usage(format!("Couldn't load target `{target}':No such file or directory\n")),
            _ => usage(format!("Chain '{target}' does not exist")),
        });
    }
    let hook = chain.and_then(|chain| chain.base).map(|base| (base.kind, base.hook));
    let fits = match (target, hook) {
        ("MASQUERADE", Some((kind, hook))) => kind == ChainKind::Nat && hook == Hook::Postrouting,
        ("SNAT", Some((kind, hook))) => kind == ChainKind::Nat && matches!(hook, Hook::Postrouting | Hook::Input),
        ("DNAT" | "REDIRECT", Some((kind, hook))) => {
            kind == ChainKind::Nat && matches!(hook, Hook::Prerouting | Hook::Output)
        }
        ("MASQUERADE" | "SNAT" | "DNAT" | "REDIRECT", None) => table == "nat",
        ("REJECT", _) => table == "filter",
        _ => true,
    };
    if fits {
        return Ok(());
    }
    Err(match backend {
        Backend::IptablesLegacy => plain(1, "Invalid argument. Run `dmesg' for more information."),
        _ => plain(4, format!(" RULE_APPEND failed (Invalid argument): rule in chain {name}")),
    })
}

fn read(words: &[String]) -> Result<Ask, Bad> {
    let mut ask = Ask { table: "filter".to_owned(), ..Ask::default() };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let next = words.get(at).filter(|next| !next.starts_with('-') && *next != "!").cloned();
        let command = match word.as_str() {
            "-A" | "--append" => Some('A'),
            "-I" | "--insert" => Some('I'),
            "-D" | "--delete" => Some('D'),
            "-C" | "--check" => Some('C'),
            "-R" | "--replace" => Some('R'),
            "-F" | "--flush" => Some('F'),
            "-P" | "--policy" => Some('P'),
            "-N" | "--new-chain" | "--new" => Some('N'),
            "-X" | "--delete-chain" => Some('X'),
            "-E" | "--rename-chain" => Some('E'),
            "-Z" | "--zero" => Some('Z'),
            "-L" | "--list" => Some('L'),
            "-S" | "--list-rules" => Some('S'),
            "-V" | "--version" => Some('V'),
            _ => None,
        };
        if let Some(command) = command {
            if ask.command.is_some() {
                return Err(usage(format!("Cannot use {word} with -{}\n", ask.command.unwrap_or('?'))));
            }
            ask.command = Some(command);
            ask.chain = next.clone();
            if next.is_some() {
                at += 1;
            } else if !matches!(command, 'F' | 'X' | 'Z' | 'L' | 'S' | 'V') {
                return Err(usage(format!("option \"{word}\" requires an argument")));
            }
            if matches!(command, 'I' | 'D' | 'R' | 'P' | 'E' | 'L' | 'S') && next.is_some() {
                let second = words.get(at).filter(|next| !next.starts_with('-') && *next != "!");
                if let Some(second) = second {
                    at += 1;
                    match second.parse() {
                        Ok(number) => ask.number = Some(number),
                        Err(_) => ask.second = Some(second.clone()),
                    }
                }
            }
            continue;
        }
        match word.as_str() {
            "-t" | "--table" => {
                ask.table = next.ok_or_else(|| usage(format!("option \"{word}\" requires an argument")))?;
                at += 1;
            }
            "-n" | "--numeric" => ask.numeric = true,
            "-v" | "--verbose" => ask.verbose = true,
            "-x" | "--exact" => ask.exact = true,
            "--line-numbers" | "--line-number" => ask.numbers = true,
            "-w" | "--wait" => {
                if next.as_deref().is_some_and(|next| next.parse::<u32>().is_ok()) {
                    at += 1;
                }
            }
            "-4" | "-6" => {}
            "-c" | "--set-counters" => {
                let count = |at: usize| words.get(at).and_then(|word| word.parse().ok());
                ask.counters = count(at).zip(count(at + 1));
                at += 2;
            }
            "-vn" | "-nv" | "-vnL" | "-nvL" | "-Lnv" | "-Lvn" | "-nL" | "-Ln" | "-vL" | "-Lv" => {
                ask.numeric |= word.contains('n');
                ask.verbose |= word.contains('v');
                if word.contains('L') {
                    ask.command = Some('L');
                    ask.chain = next.clone();
                    at += usize::from(next.is_some());
                }
            }
            _ => ask.rule.push(word.clone()),
        }
    }
    Ok(ask)
}
