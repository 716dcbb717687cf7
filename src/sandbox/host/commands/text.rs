//! Commands that turn text into text.

use super::super::shell::{Flow, Interp, Run};
use super::{Arguments, inputs};

pub(super) fn run(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    match name {
        "cat" => cat(it, words),
        "head" | "tail" => ends(it, name, words),
        "tee" => tee(it, words),
        "wc" => wc(it, words),
        "sort" => sort(it, words),
        "uniq" => uniq(it, words),
        "cut" => cut(it, words),
        "tr" => tr(it, words),
        "seq" => seq(it, words),
        "xargs" => xargs(it, words),
        "tac" => {
            let text = whole(it, "tac", words)?;
            let lines: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
            it.out(&lines).map(|()| 0)
        }
        _ => {
            let names = Arguments::parse(words, &[]).rest;
            let (texts, status) = inputs(it, "diff", &names)?;
            if status != 0 {
                return Ok(2);
            }
            match texts.as_slice() {
                [(_, left), (_, right)] if left == right => Ok(0),
                [(a, _), (b, _)] => it.out(&format!("Files {a} and {b} differ\n")).map(|()| 1),
                _ => it.fail(2, "diff: missing operand"),
            }
        }
    }
}

fn whole(it: &mut Interp<'_, '_>, tool: &str, words: &[String]) -> Run<String> {
    let names = Arguments::parse(words, &[]).rest;
    Ok(inputs(it, tool, &names)?.0.into_iter().map(|(_, text)| text).collect())
}

fn cat(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let (texts, status) = inputs(it, "cat", &arguments.rest)?;
    let text: String = texts.into_iter().map(|(_, text)| text).collect();
    if arguments.has(&["-n", "--number"]) {
        let lines: String = text.lines().enumerate().map(|(at, line)| format!("{:>6}\t{line}\n", at + 1)).collect();
        it.out(&lines)?;
    } else {
        it.out(&text)?;
    }
    Ok(status)
}

fn ends(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    let words: Vec<String> = words
        .iter()
        .map(|word| match word.strip_prefix('-').filter(|n| n.parse::<u32>().is_ok()) {
            Some(number) => format!("-n{number}"),
            None => word.clone(),
        })
        .collect();
    let arguments = Arguments::parse(&words, &["-n", "--lines", "-c", "--bytes"]);
    let (texts, status) = inputs(it, name, &arguments.rest)?;
    let several = texts.len() > 1;
    for (at, (file, text)) in texts.into_iter().enumerate() {
        if several {
            it.out(&format!("{}==> {file} <==\n", if at > 0 { "\n" } else { "" }))?;
        }
        if let Some(bytes) = arguments.value(&["-c", "--bytes"]).and_then(|n| n.parse::<usize>().ok()) {
            let chars: Vec<char> = text.chars().collect();
            let from = if name == "tail" { chars.len().saturating_sub(bytes) } else { 0 };
            let part: String = chars.iter().skip(from).take(bytes).collect();
            it.out(&part)?;
            continue;
        }
        let wanted = arguments.value(&["-n", "--lines"]).unwrap_or("10");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let number: usize = wanted.trim_start_matches(['+', '-']).parse().unwrap_or(10);
        let chosen = match (name, wanted.chars().next()) {
            ("head", Some('-')) => lines.get(..lines.len().saturating_sub(number)),
            ("head", _) => lines.get(..number.min(lines.len())),
            (_, Some('+')) => lines.get(number.saturating_sub(1).min(lines.len())..),
            _ => lines.get(lines.len().saturating_sub(number)..),
        };
        it.out(&chosen.unwrap_or_default().concat())?;
    }
    Ok(status)
}

fn tee(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let text = it.read_all()?;
    it.out(&text)?;
    let mut status = 0;
    for name in &arguments.rest {
        let (path, now) = (it.path(name), it.seconds());
        if path == "/dev/null" {
            continue;
        }
        let done = if arguments.has(&["-a", "--append"]) {
            it.machine.append_file(&path, &text, now)
        } else {
            it.machine.write_file(&path, &text, now)
        };
        if let Err(error) = done {
            status = it.fail(1, format!("tee: {name}: {error}"))?;
        }
    }
    Ok(status)
}

fn wc(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let (texts, status) = inputs(it, "wc", &arguments.rest)?;
    let all = !arguments.has(&["-l", "-w", "-c", "-m", "--lines", "--words", "--bytes"]);
    for (name, text) in texts {
        let mut columns = Vec::new();
        if all || arguments.has(&["-l", "--lines"]) {
            columns.push(text.matches('\n').count());
        }
        if all || arguments.has(&["-w", "--words"]) {
            columns.push(text.split_whitespace().count());
        }
        if all || arguments.has(&["-c", "--bytes"]) {
            columns.push(text.len());
        }
        if arguments.has(&["-m"]) {
            columns.push(text.chars().count());
        }
        let mut line = match columns.as_slice() {
            [one] => one.to_string(),
            many if name == "-" => many.iter().map(|n| format!("{n:>7}")).collect::<Vec<_>>().join(" "),
            many => many.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        if name != "-" {
            line.push_str(&format!(" {name}"));
        }
        it.out(&format!("{line}\n"))?;
    }
    Ok(status)
}

fn sort(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-k", "--key", "-t", "--field-separator", "-o"]);
    let (texts, status) = inputs(it, "sort", &arguments.rest)?;
    let text: String = texts.into_iter().map(|(_, text)| text).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    it.work(lines.len().saturating_mul(100))?;
    let key = arguments
        .value(&["-k", "--key"])
        .and_then(|key| key.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    let separator = arguments.value(&["-t", "--field-separator"]).and_then(|t| t.chars().next());
    let numeric =
        arguments.has(&["-n", "--numeric-sort"]) || arguments.value(&["-k"]).is_some_and(|key| key.contains('n'));
    let version = arguments.has(&["-V", "--version-sort"]);
    let field = |line: &'_ str| -> String {
        match (key, separator) {
            (None, _) => line.to_owned(),
            (Some(key), Some(separator)) => {
                line.split(separator).skip(key.saturating_sub(1)).collect::<Vec<_>>().join(" ")
            }
            (Some(key), None) => line.split_whitespace().skip(key.saturating_sub(1)).collect::<Vec<_>>().join(" "),
        }
    };
    let number = |text: &str| -> f64 {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
        text.get(..end).and_then(|n| n.parse().ok()).unwrap_or(0.0)
    };
    let parts =
        |text: &str| -> Vec<u64> { text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect() };
    lines.sort_by(|a, b| {
        let (left, right) = (field(a), field(b));
        let order = match () {
            () if numeric => number(&left).total_cmp(&number(&right)),
            () if version => parts(&left).cmp(&parts(&right)),
            () if arguments.has(&["-f"]) => left.to_lowercase().cmp(&right.to_lowercase()),
            () => left.cmp(&right),
        };
        order.then_with(|| a.cmp(b))
    });
    if arguments.has(&["-r", "--reverse"]) {
        lines.reverse();
    }
    if arguments.has(&["-u", "--unique"]) {
        lines.dedup();
    }
    let sorted: String = lines.iter().map(|line| format!("{line}\n")).collect();
    it.out(&sorted)?;
    Ok(status)
}

fn uniq(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let (texts, status) = inputs(it, "uniq", &arguments.rest)?;
    let text: String = texts.into_iter().map(|(_, text)| text).collect();
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for line in text.lines() {
        match groups.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => groups.push((line, 1)),
        }
    }
    for (line, count) in groups {
        if arguments.has(&["-d"]) && count < 2 || arguments.has(&["-u"]) && count > 1 {
            continue;
        }
        it.out(&if arguments.has(&["-c", "--count"]) { format!("{count:>7} {line}\n") } else { format!("{line}\n") })?;
    }
    Ok(status)
}

fn cut(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-d", "--delimiter", "-f", "--fields", "-c", "--characters", "-b"]);
    let Some(list) = arguments.value(&["-f", "--fields", "-c", "--characters", "-b"]).map(str::to_owned) else {
        return it.fail(
            1,
            "cut: you must specify a list of bytes, characters, or fields\nTry 'cut --help' for more information.",
        );
    };
    let fields = arguments.value(&["-f", "--fields"]).is_some();
    let delimiter = arguments.value(&["-d", "--delimiter"]).and_then(|d| d.chars().next()).unwrap_or('\t');
    let ranges: Vec<(usize, usize)> = list
        .split(',')
        .map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            (low.parse().unwrap_or(1), if high.is_empty() { usize::MAX } else { high.parse().unwrap_or(0) })
        })
        .collect();
    let wanted = |at: usize| ranges.iter().any(|(low, high)| (*low..=*high).contains(&at));
    let (texts, status) = inputs(it, "cut", &arguments.rest)?;
    for line in texts.iter().flat_map(|(_, text)| text.lines()) {
        it.step()?;
        let out = if !fields {
            line.chars().enumerate().filter(|(at, _)| wanted(at + 1)).map(|(_, c)| c).collect()
        } else if line.contains(delimiter) {
            let parts: Vec<&str> =
                line.split(delimiter).enumerate().filter(|(at, _)| wanted(at + 1)).map(|(_, part)| part).collect();
            parts.join(&delimiter.to_string())
        } else if arguments.has(&["-s"]) {
            continue;
        } else {
            line.to_owned()
        };
        it.out(&format!("{out}\n"))?;
    }
    Ok(status)
}

fn tr(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let set = |at: usize| arguments.rest.get(at).map(|text| characters(text)).unwrap_or_default();
    let (from, to) = (set(0), set(1));
    let complement = arguments.has(&["-c", "-C"]);
    let hit = |c: char| from.contains(&c) != complement;
    let (delete, squeeze) = (arguments.has(&["-d"]), arguments.has(&["-s"]));
    let text = it.read_all()?;
    let mut result = String::with_capacity(text.len());
    let mut last = None;
    for c in text.chars() {
        let mapped = match () {
            () if delete && hit(c) => continue,
            () if delete || to.is_empty() => c,
            () if complement && hit(c) => to.last().copied().unwrap_or(c),
            () => match from.iter().position(|known| *known == c) {
                Some(at) if !complement => to.get(at).or(to.last()).copied().unwrap_or(c),
                _ => c,
            },
        };
        let squeezed = if to.is_empty() || delete { hit(mapped) } else { to.contains(&mapped) };
        if squeeze && squeezed && last == Some(mapped) {
            continue;
        }
        last = Some(mapped);
        result.push(mapped);
    }
    it.out(&result)?;
    Ok(0)
}

fn characters(text: &str) -> Vec<char> {
    let text = text
        .replace("[:upper:]", "A-Z")
        .replace("[:lower:]", "a-z")
        .replace("[:digit:]", "0-9")
        .replace("[:alpha:]", "A-Za-z")
        .replace("[:alnum:]", "A-Za-z0-9")
        .replace("[:space:]", " \\t\\n\\r");
    let mut plain = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(low) = plain.get(at) {
        match (plain.get(at + 1), plain.get(at + 2)) {
            (Some('-'), Some(high)) => {
                all.extend(*low..=*high);
                at += 3;
            }
            _ => {
                all.push(*low);
                at += 1;
            }
        }
        if all.len() > 4096 {
            break;
        }
    }
    all
}

fn seq(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments: Vec<&String> = words.iter().skip(1).filter(|word| word.parse::<i64>().is_ok()).collect();
    let number = |at: usize| arguments.get(at).and_then(|word| word.parse::<i64>().ok()).unwrap_or(1);
    let (first, step, last) = match arguments.len() {
        1 => (1, 1, number(0)),
        2 => (number(0), 1, number(1)),
        3 => (number(0), number(1), number(2)),
        _ => return it.fail(1, "seq: missing operand\nTry 'seq --help' for more information."),
    };
    if step == 0 {
        return it.fail(1, "seq: invalid Zero increment value: ‘0’");
    }
    let mut at = first;
    let mut text = String::new();
    while if step > 0 { at <= last } else { at >= last } {
        text.push_str(&format!("{at}\n"));
        if text.len() > 1 << 20 {
            return Err(Flow::Killed("printed too much"));
        }
        at = at.saturating_add(step);
    }
    it.out(&text)?;
    Ok(0)
}

fn xargs(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let mut at = 1;
    let (mut most, mut place, mut skip_empty) = (usize::MAX, None, false);
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        match word.as_str() {
            "-n" | "-L" => {
                most = words.get(at + 1).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
                at += 1;
            }
            "-I" => {
                place = words.get(at + 1).cloned();
                at += 1;
            }
            "-r" | "--no-run-if-empty" => skip_empty = true,
            _ => {}
        }
        at += 1;
    }
    let mut command = words.get(at..).unwrap_or_default().to_vec();
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let text = it.read_all()?;
    let lines: Vec<String> = match place {
        Some(_) => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        None => text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect(),
    };
    let groups: Vec<Vec<String>> = match &place {
        Some(place) => {
            lines.iter().map(|line| command.iter().map(|word| word.replace(place.as_str(), line)).collect()).collect()
        }
        None if lines.is_empty() && skip_empty => Vec::new(),
        None if lines.is_empty() => vec![command],
        None => lines.chunks(most.clamp(1, 5000)).map(|part| command.iter().chain(part).cloned().collect()).collect(),
    };
    let mut status = 0;
    for group in groups {
        let code = it.feed(String::new(), |it| it.subshell(|it| it.run_program_named(&group)))?;
        if code != 0 {
            status = if code == 127 { 127 } else { 123 };
        }
    }
    Ok(status)
}
