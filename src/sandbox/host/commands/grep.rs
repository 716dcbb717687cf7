//! `grep`.

use super::super::shell::{Interp, Run};
use super::{Arguments, basic_to_extended, inputs, regex_of};

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let tool = words.first().map_or("grep", |word| super::super::vfs::name(word)).to_owned();
    let mut arguments =
        Arguments::parse(words, &["-e", "--regexp", "-m", "--max-count", "-A", "-B", "-C", "-f", "--include"]);
    let has = |flags: &[&str]| arguments.has(flags);
    let fixed = has(&["-F", "--fixed-strings"]) || tool == "fgrep";
    let extended = has(&["-E", "--extended-regexp", "-P", "--perl-regexp"]) || tool == "egrep";
    let (quiet, count, list) =
        (has(&["-q", "--quiet", "--silent"]), has(&["-c", "--count"]), has(&["-l", "--files-with-matches"]));
    let (invert, number, only) =
        (has(&["-v", "--invert-match"]), has(&["-n", "--line-number"]), has(&["-o", "--only-matching"]));
    let (word, whole, ignore) =
        (has(&["-w", "--word-regexp"]), has(&["-x", "--line-regexp"]), has(&["-i", "--ignore-case", "-y"]));
    let (recursive, silent, no_name) =
        (has(&["-r", "-R", "--recursive"]), has(&["-s", "--no-messages"]), has(&["-h", "--no-filename"]));
    let with_name = has(&["-H", "--with-filename"]);
    let perl = has(&["-P", "--perl-regexp"]);
    let after: usize = arguments.value(&["-A", "-C"]).and_then(|n| n.parse().ok()).unwrap_or(0);
    let most: usize = arguments.value(&["-m", "--max-count"]).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut patterns: Vec<String> = arguments.values(&["-e", "--regexp"]).map(str::to_owned).collect();
    if patterns.is_empty() {
        if arguments.rest.is_empty() {
            return it.fail(2, "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.");
        }
        patterns = arguments.rest.remove(0).split('\n').map(str::to_owned).collect();
    }
    let mut keep = 0;
    let sources: Vec<String> = patterns
        .iter()
        .map(|pattern| match () {
            () if fixed => regex::escape(pattern),
            () if perl => match without_looking_around(pattern) {
                Some(plain) => {
                    keep = 1;
                    plain
                }
                None => pattern.clone(),
            },
            () if extended => pattern.clone(),
            () => basic_to_extended(pattern),
        })
        .map(|pattern| match (whole, word) {
            (true, _) => format!("^(?:{pattern})$"),
            (false, true) => format!(r"\b(?:{pattern})\b"),
            _ => pattern,
        })
        .collect();
    let Some(regex) = regex_of(&sources.iter().map(|s| format!("(?:{s})")).collect::<Vec<_>>().join("|"), ignore)
    else {
        let what = if perl {
            "this Perl expression is not supported by the simulated host"
        } else {
            "Invalid regular expression"
        };
        return it.fail(2, format!("grep: {what}: {}", patterns.join(" ")));
    };
    let mut names = Vec::new();
    for name in &arguments.rest {
        let path = it.path(name);
        if recursive && it.machine.is_directory(&path) {
            let inside = it.machine.files.walk(&path);
            names.extend(
                inside.into_iter().map(|(path, _)| path.to_owned()).filter(|path| it.machine.files.read(path).is_ok()),
            );
        } else {
            names.push(name.clone());
        }
    }
    if recursive && names.is_empty() {
        return Ok(1);
    }
    let (texts, status) = if silent {
        let readable =
            names.iter().filter(|name| it.machine.read_file(&it.path(name)).is_ok()).cloned().collect::<Vec<_>>();
        let missing = readable.len() < names.len();
        if readable.is_empty() && missing {
            return Ok(2);
        }
        (inputs(it, "grep", &readable)?.0, if missing { 2 } else { 0 })
    } else {
        inputs(it, "grep", &names)?
    };
    let named = (names.len() > 1 || recursive || with_name) && !no_name;
    let mut matched = false;
    for (name, text) in texts {
        let prefix = if named { format!("{name}:") } else { String::new() };
        let mut found = 0;
        let mut trailing = 0;
        for (at, line) in text.lines().enumerate() {
            it.work(line.len())?;
            if regex.is_match(line) == invert {
                if trailing > 0 && !quiet && !count {
                    trailing -= 1;
                    it.out(&format!("{prefix}{line}\n"))?;
                }
                continue;
            }
            matched = true;
            found += 1;
            trailing = after;
            if quiet {
                return Ok(0);
            }
            if list || count {
                continue;
            }
            let prefix = if number { format!("{prefix}{}:", at + 1) } else { prefix.clone() };
            if only {
                for capture in regex.captures_iter(line) {
                    let part = capture.get(keep).or_else(|| capture.get(0)).map_or("", |part| part.as_str());
                    if !part.is_empty() {
                        it.out(&format!("{prefix}{part}\n"))?;
                    }
                }
            } else {
                it.out(&format!("{prefix}{line}\n"))?;
            }
            if found >= most {
                break;
            }
        }
        if count {
            it.out(&format!("{prefix}{found}\n"))?;
        }
        if list && found > 0 {
            it.out(&format!("{name}\n"))?;
        }
    }
    Ok(if status == 2 { 2 } else { i32::from(!matched) })
}

/// `before\Kkept`, `(?<=before)kept` and `kept(?=after)` have no counterpart here: what is around is matched too, and
/// what is kept is the first group. `None`: the expression has none of them in these places.
fn without_looking_around(pattern: &str) -> Option<String> {
    let (before, rest) = match pattern.split_once("\\K") {
        Some((before, rest)) => (before.to_owned(), rest),
        None => match pattern.strip_prefix("(?<=") {
            Some(inside) => {
                let (before, rest) = split_group(inside)?;
                (before.to_owned(), rest)
            }
            None => (String::new(), pattern),
        },
    };
    let (kept, after) = match rest.rfind("(?=") {
        Some(at) => {
            let (after, end) = split_group(rest.get(at + 3..)?)?;
            if !end.is_empty() {
                return None;
            }
            (rest.get(..at)?, after)
        }
        None => (rest, ""),
    };
    let changed = !before.is_empty() || !after.is_empty();
    // Groups inside become silent, so that the first one is what is kept.
    let silent =
        |text: &str| text.replace("\\(", "\u{1}").replace("(?:", "(").replace('(', "(?:").replace('\u{1}', "\\(");
    changed.then(|| format!("(?:{})({})(?:{})", silent(&before), silent(kept), silent(after)))
}

/// What is in a group whose opening bracket is gone, and what comes after it.
fn split_group(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut escaped) = (1, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
    }
    None
}
