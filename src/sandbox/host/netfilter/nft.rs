//! The `nft` command: tables, chains, rules, `-f`, `list`, `flush`, `delete`.

use super::super::shell::{Interp, Run};
use super::nft_rule;
use crate::model::host::{Backend, BaseChain, Chain, ChainKind, Family, FilterTable, Hook, Policy, Rule, Target};

pub(in super::super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let mut json = false;
    let mut rest = words.get(1..).unwrap_or_default();
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "-j" | "--json" => json = true,
            "-f" | "--file" => {
                let name = tail.first().cloned().unwrap_or_default();
                let text = if name == "-" { Ok(it.read_all()?) } else { it.machine.read_file(&it.path(&name)) };
                return match text {
                    Ok(text) => script(it, &text),
                    Err(error) => it.fail(1, format!("internal:0:0-0: Error: Could not open file \"{name}\": {error}")),
                };
            }
            "-v" | "--version" => return it.out("nftables v1.0.4 (Lester Gooch #3)\n").map(|()| 0),
            "-a" | "-n" | "-nn" | "-s" | "-c" | "-e" => {}
            flag if flag.starts_with('-') => return it.fail(1, format!("nft: unrecognized option '{flag}'")),
            _ => break,
        }
        rest = tail;
    }
    let line = rest.join(" ");
    if json && line.starts_with("list") {
        if line != "list ruleset" {
            return it.fail(1, "Error: the simulated host gives JSON of the whole ruleset only: nft -j list ruleset");
        }
        let tables = it.machine.kernel.ruleset.tables.iter().filter(|table| table.backend != Backend::IptablesLegacy);
        let document = super::nft_json::ruleset(tables);
        return it.out(&format!("{document}\n")).map(|()| 0);
    }
    script(it, &line)
}

/// Splits into words; quotes keep theirs, braces and semicolons stand alone.
fn tokens(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                word.push('"');
                for c in chars.by_ref() {
                    word.push(c);
                    if c == '"' {
                        break;
                    }
                }
            }
            '\\' => {}
            '{' | '}' | ';' | '\n' | ',' | '=' => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                let equal = c == '=' && chars.next_if_eq(&'=').is_some();
                all.push(if equal { "==".to_owned() } else { c.to_string() });
            }
            '!' if chars.peek() == Some(&'=') => {
                chars.next();
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                all.push("!=".to_owned());
            }
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// Statements of one level: separated by newlines and semicolons outside of braces.
fn statements(words: &[String]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut current: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    for word in words {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "\n" | ";" if depth == 0 => {
                if !current.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
                continue;
            }
            _ => {}
        }
        current.push(word.clone());
    }
    if !current.is_empty() {
        all.push(current);
    }
    all
}

/// Runs a file or a command line: all of it takes effect, or nothing.
fn script(it: &mut Interp<'_, '_>, text: &str) -> Run {
    it.work(text.len().saturating_mul(10))?;
    let before = it.machine.kernel.ruleset.clone();
    for statement in statements(&tokens(text)) {
        it.step()?;
        if let Err(message) = one(it, &statement, text)? {
            it.machine.kernel.ruleset = before;
            let line = statement.iter().map(String::as_str).filter(|word| *word != "\n").collect::<Vec<_>>().join(" ");
            let shown: String = line.chars().take(200).collect();
            let marks = "^".repeat(shown.chars().count().max(1));
            return it.fail(1, format!("Error: {message}\n{shown}\n{marks}"));
        }
    }
    let ruleset = &it.machine.kernel.ruleset;
    let stateful = ruleset.tables.iter().filter(|t| t.backend == Backend::Nft).flat_map(|t| &t.chains).any(|chain| {
        chain.base.is_some_and(|base| base.kind == ChainKind::Nat)
            || chain.rules.iter().any(|rule| rule.text.contains("ct state"))
    });
    if stateful {
        it.machine.load_conntrack();
    }
    Ok(0)
}

type Done = Result<(), String>;
const MISSING: &str = "Could not process rule: No such file or directory";

fn family(words: &[String]) -> (Family, &[String]) {
    match words.first().map(String::as_str) {
        Some("ip") => (Family::Ip, words.get(1..).unwrap_or_default()),
        Some("ip6") => (Family::Ip6, words.get(1..).unwrap_or_default()),
        Some("inet") => (Family::Inet, words.get(1..).unwrap_or_default()),
        _ => (Family::Ip, words),
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ip => "ip",
        Family::Ip6 => "ip6",
        Family::Inet => "inet",
    }
}

fn one(it: &mut Interp<'_, '_>, words: &[String], _text: &str) -> Run<Done> {
    let (verb, object) = (words.first().map_or("", String::as_str), words.get(1).map_or("", String::as_str));
    let rest = words.get(2..).unwrap_or_default();
    if verb == "include" || verb == "define" {
        return Ok(Err(format!("{verb} is not supported by the simulated host")));
    }
    if verb == "table" {
        return Ok(block(it, words.get(1..).unwrap_or_default()));
    }
    if verb == "list" {
        return listing(it, object, rest);
    }
    if (verb, object) == ("flush", "ruleset") {
        it.machine.kernel.ruleset.tables.retain(|table| table.backend == Backend::IptablesLegacy);
        return Ok(Ok(()));
    }
    let (family, rest) = family(rest);
    let Some((table, rest)) = rest.split_first() else {
        return Ok(Err("syntax error, unexpected newline, expecting string".to_owned()));
    };
    let tables = &mut it.machine.kernel.ruleset.tables;
    let at = tables
        .iter()
        .position(|known| known.family == family && known.name == *table && known.backend != Backend::IptablesLegacy);
    match (verb, object) {
        ("add" | "create", "table") => {
            if at.is_none() {
                tables.push(FilterTable { family, name: table.clone(), chains: Vec::new(), backend: Backend::Nft });
            }
            return Ok(if verb == "create" && at.is_some() {
                Err("Could not process rule: File exists".to_owned())
            } else {
                Ok(())
            });
        }
        ("delete" | "destroy", "table") => {
            return Ok(match at {
                Some(at) => {
                    tables.remove(at);
                    Ok(())
                }
                None if verb == "destroy" => Ok(()),
                None => Err(MISSING.to_owned()),
            });
        }
        _ => {}
    }
    let Some(open) = at.and_then(|at| tables.get_mut(at)) else { return Ok(Err(MISSING.to_owned())) };
    if (verb, object) == ("flush", "table") {
        for chain in &mut open.chains {
            chain.rules.clear();
        }
        return Ok(Ok(()));
    }
    let Some((name, rest)) = rest.split_first() else {
        return Ok(Err("syntax error, unexpected newline, expecting string".to_owned()));
    };
    let chain = open.chains.iter().position(|chain| chain.name == *name);
    Ok(match (verb, object) {
        ("add" | "create", "chain") => add_chain(open, name, rest),
        ("delete" | "destroy", "chain") => match chain {
            Some(at) if open.chains.get(at).is_some_and(|chain| chain.rules.is_empty()) => {
                open.chains.remove(at);
                Ok(())
            }
            Some(_) => Err("Could not process rule: Device or resource busy".to_owned()),
            None => Err(MISSING.to_owned()),
        },
        ("flush", "chain") => match chain.and_then(|at| open.chains.get_mut(at)) {
            Some(chain) => {
                chain.rules.clear();
                Ok(())
            }
            None => Err(MISSING.to_owned()),
        },
        ("add" | "insert", "rule") => match chain {
            Some(at) => add_rule(open, at, rest, verb == "insert"),
            None => Err(MISSING.to_owned()),
        },
        ("delete", "rule") => {
            // Handles count the rules of the table from 1, as the listing shows them.
            let handle = rest.last().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
            let Some(chain) = chain.and_then(|at| open.chains.get_mut(at)) else { return Ok(Err(MISSING.to_owned())) };
            let written = written(&chain.rules);
            match handle.checked_sub(1).and_then(|at| written.get(at)) {
                Some(range) => {
                    chain.rules.drain(range.clone());
                    Ok(())
                }
                None => Err(MISSING.to_owned()),
            }
        }
        _ => Err(format!("syntax error, unexpected {verb}")),
    })
}

/// The rules as they were written: one over a set or a map is several here, all with its text.
fn written(rules: &[Rule]) -> Vec<std::ops::Range<usize>> {
    let mut all: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let before = all.last_mut().filter(|range| {
            rule.text.contains('{') && rules.get(range.start).is_some_and(|first| first.text == rule.text)
        });
        match before {
            Some(range) => range.end = at + 1,
            None => all.push(at..at + 1),
        }
    }
    all
}

fn add_rule(table: &mut FilterTable, at: usize, words: &[String], first: bool) -> Done {
    let rules = nft_rule::parse(words)?;
    let chains: Vec<String> = table.chains.iter().map(|chain| chain.name.clone()).collect();
    let missing = |rule: &Rule| match &rule.target {
        Target::Jump(to) | Target::Goto(to) => !chains.contains(to),
        _ => false,
    };
    if rules.iter().any(missing) {
        return Err(MISSING.to_owned());
    }
    let Some(chain) = table.chains.get_mut(at) else { return Err(MISSING.to_owned()) };
    if chain.rules.len() > 5000 {
        return Err("Could not process rule: Cannot allocate memory".to_owned());
    }
    let at = if first { 0 } else { chain.rules.len() };
    chain.rules.splice(at..at, rules);
    Ok(())
}

/// `table inet t { chain c { … } }`.
fn block(it: &mut Interp<'_, '_>, words: &[String]) -> Done {
    let (family, rest) = family(words);
    let [name, open, body @ .., close] = rest else { return Err("syntax error, unexpected newline".to_owned()) };
    if open != "{" || close != "}" {
        return Err("syntax error, unexpected end of file".to_owned());
    }
    let tables = &mut it.machine.kernel.ruleset.tables;
    let known = tables
        .iter()
        .position(|table| table.family == family && table.name == *name && table.backend != Backend::IptablesLegacy);
    let at = known.unwrap_or(tables.len());
    if known.is_none() {
        tables.push(FilterTable { family, name: name.clone(), chains: Vec::new(), backend: Backend::Nft });
    }
    let Some(table) = tables.get_mut(at) else { return Err(MISSING.to_owned()) };
    let parts = statements(body);
    let mut bodies = Vec::new();
    for part in &parts {
        let [keyword, chain, open, inner @ .., close] = part.as_slice() else { return Err("syntax error".to_owned()) };
        if keyword != "chain" || open != "{" || close != "}" {
            return Err(format!("{keyword} is not supported by the simulated host"));
        }
        let lines = statements(inner);
        let (mut head, mut rules) = (Vec::new(), Vec::new());
        for line in lines {
            if matches!(line.first().map(String::as_str), Some("type" | "policy")) {
                head.extend(line);
                head.push(";".to_owned());
            } else {
                rules.push(line);
            }
        }
        let mut braces = vec!["{".to_owned()];
        braces.extend(head);
        braces.push("}".to_owned());
        add_chain(table, chain, if braces.len() > 2 { &braces } else { &[] })?;
        bodies.push((chain.clone(), rules));
    }
    for (chain, rules) in bodies {
        let Some(at) = table.chains.iter().position(|known| known.name == chain) else { continue };
        for rule in rules {
            add_rule(table, at, &rule, false)?;
        }
    }
    Ok(())
}

fn add_chain(table: &mut FilterTable, name: &str, words: &[String]) -> Done {
    let known = table.chains.iter().any(|chain| chain.name == name);
    let mut base = None;
    if !words.is_empty() {
        let after =
            |key: &str| words.iter().position(|word| word == key).and_then(|at| words.get(at + 1)).map(String::as_str);
        let hook = match after("hook") {
            Some("prerouting") => Hook::Prerouting,
            Some("input") => Hook::Input,
            Some("forward") => Hook::Forward,
            Some("output") => Hook::Output,
            Some("postrouting") => Hook::Postrouting,
            _ => return Err("syntax error, unexpected }, expecting hook".to_owned()),
        };
        let kind = match after("type") {
            Some("nat") => ChainKind::Nat,
            Some("filter") => ChainKind::Filter,
            Some("route") => ChainKind::Other,
            other => return Err(format!("unknown chain type {}", other.unwrap_or(""))),
        };
        let at = words.iter().position(|word| word == "priority").unwrap_or(words.len());
        let text: String =
            words.iter().skip(at + 1).take_while(|word| *word != ";" && *word != "}").map(String::as_str).collect();
        let priority = priority(&text).ok_or_else(|| format!("priority {text:?} is not valid"))?;
        let policy = if after("policy") == Some("drop") { Policy::Drop } else { Policy::Accept };
        base = Some(BaseChain { hook, kind, priority, policy });
    }
    if known {
        if let (Some(base), Some(chain)) = (base, table.chains.iter_mut().find(|chain| chain.name == name)) {
            chain.base = Some(base);
        }
        return Ok(());
    }
    table.chains.push(Chain { name: name.to_owned(), base, rules: Vec::new() });
    Ok(())
}

const PRIORITIES: &[(&str, i32)] =
    &[("raw", -300), ("mangle", -150), ("dstnat", -100), ("filter", 0), ("security", 50), ("srcnat", 100)];

fn priority(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (name, value) = PRIORITIES.iter().find(|(name, _)| text.starts_with(name))?;
    let rest = text.strip_prefix(name)?;
    if rest.is_empty() { Some(*value) } else { rest.parse::<i32>().ok().and_then(|offset| value.checked_add(offset)) }
}

fn listing(it: &mut Interp<'_, '_>, object: &str, rest: &[String]) -> Run<Done> {
    let (wanted, rest) = family(rest);
    let named = rest.first().cloned();
    let chain = rest.get(1).cloned().filter(|_| object == "chain");
    let mut text = String::new();
    let mut found = false;
    for table in it.machine.kernel.ruleset.tables.iter().filter(|table| table.backend != Backend::IptablesLegacy) {
        let name = family_name(table.family);
        if matches!(object, "table" | "chain") && (table.family != wanted || named.as_ref() != Some(&table.name)) {
            continue;
        }
        found = true;
        if object == "tables" {
            text.push_str(&format!("table {name} {}\n", table.name));
            continue;
        }
        text.push_str(&format!("table {name} {} {{\n", table.name));
        let shown = table.chains.iter().filter(|c| chain.as_ref().is_none_or(|chain| *chain == c.name));
        for (at, chain) in shown.enumerate() {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(&format!("\tchain {} {{\n", chain.name));
            if let Some(base) = chain.base {
                text.push_str(&head(base));
            }
            for rule in written(&chain.rules).into_iter().filter_map(|range| chain.rules.get(range.start)) {
                let line = if table.backend == Backend::Nft {
                    rule.text.clone()
                } else {
                    nft_rule::of_iptables(&rule.text, table.family == Family::Ip6)
                };
                let counter = format!("counter packets {} bytes {}", rule.packets, rule.bytes);
                let line = line
                    .split(' ')
                    .map(|word| if word == "counter" { counter.as_str() } else { word })
                    .collect::<Vec<_>>()
                    .join(" ");
                text.push_str(&format!("\t\t{line}\n"));
            }
            text.push_str("\t}\n");
        }
        text.push_str("}\n");
    }
    if matches!(object, "table" | "chain") && !found {
        return Ok(Err("No such file or directory".to_owned()));
    }
    if !matches!(object, "ruleset" | "table" | "tables" | "chain" | "chains") {
        return Ok(Err(format!("listing {object} is not supported by the simulated host")));
    }
    it.out(&text)?;
    Ok(Ok(()))
}

fn head(base: BaseChain) -> String {
    let kind = match base.kind {
        ChainKind::Nat => "nat",
        ChainKind::Filter => "filter",
        ChainKind::Other if base.hook == Hook::Output => "route",
        ChainKind::Other => "filter",
    };
    let hook = match base.hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    };
    // nft writes a name where the kernel's own would stand in that hook.
    let named = PRIORITIES.iter().find(|(_, value)| *value == base.priority).filter(|(name, _)| match *name {
        "dstnat" => base.hook == Hook::Prerouting,
        "srcnat" => base.hook == Hook::Postrouting,
        _ => true,
    });
    let priority = named.map_or_else(|| base.priority.to_string(), |(name, _)| (*name).to_owned());
    let policy = if base.policy == Policy::Drop { "drop" } else { "accept" };
    format!("\t\ttype {kind} hook {hook} priority {priority}; policy {policy};\n")
}
