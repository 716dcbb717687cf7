//! Shell patterns: `*`, `?`, `[…]`, with backslash for characters that stand for themselves.

use std::collections::BTreeSet;

use super::super::Machine;

/// Whether the whole of `text` matches.
pub(in super::super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    match_from(&pattern, &text)
}

/// Iterative with one point of return, so that the time is bounded by the product of the lengths.
fn match_from(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        if p == pattern.len() && t == text.len() {
            return true;
        }
        if pattern.get(p) == Some(&'*') {
            back = Some((p, t));
            p += 1;
            continue;
        }
        let one = text.get(t).and_then(|c| match_one(pattern.get(p..).unwrap_or_default(), *c));
        if let Some(used) = one {
            p += used;
            t += 1;
            continue;
        }
        match back {
            Some((star, from)) if from < text.len() => {
                back = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// How many characters of the pattern match `c`. `None`: they do not.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '\\' => match pattern.get(1) {
            Some(next) => (*next == c).then_some(2),
            None => (c == '\\').then_some(1),
        },
        '[' => match bracket(pattern, c) {
            Some((true, used)) => Some(used),
            Some((false, _)) => None,
            None => (c == '[').then_some(1),
        },
        other => (*other == c).then_some(1),
    }
}

/// Whether `c` is in the bracket expression and how long that is. `None`: there is no closing bracket.
fn bracket(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let mut at = 1;
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    if negated {
        at += 1;
    }
    let first = at;
    let mut found = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((found != negated, at + 1));
        }
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let name: String = pattern.get(at + 2..)?.iter().take_while(|c| **c != ':').collect();
            at += 4 + name.chars().count();
            found |= class(&name, c);
            continue;
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        let dash = pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|c| *c != ']');
        let high = if dash { *pattern.get(at + 2)? } else { low };
        found |= (low..=high).contains(&c);
        at += if dash { 3 } else { 1 };
    }
}

fn class(name: &str, c: char) -> bool {
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "punct" => c.is_ascii_punctuation(),
        "xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Whether a pattern has anything but characters that stand for themselves.
pub(super) fn is_pattern(text: &str) -> bool {
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// A text as a pattern that matches only itself.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '!' | '^' | '-') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A pattern without its backslashes.
pub(super) fn unescape(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    text
}

/// The paths of the virtual file system that match, sorted. Hidden names only match a pattern that begins with a dot.
pub(super) fn paths(machine: &Machine, cwd: &str, pattern: &str) -> Vec<String> {
    let rooted = pattern.starts_with('/');
    let mut found: BTreeSet<String> = BTreeSet::from([if rooted { "/".to_owned() } else { String::new() }]);
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    for part in parts {
        let mut next = BTreeSet::new();
        for prefix in &found {
            let join = |name: &str| match prefix.as_str() {
                "" => name.to_owned(),
                "/" => format!("/{name}"),
                prefix => format!("{prefix}/{name}"),
            };
            if !is_pattern(part) {
                let path = join(&unescape(part));
                if machine.path_exists(&super::super::vfs::absolute(cwd, &path)) {
                    next.insert(path);
                }
                continue;
            }
            let names = machine.list_directory(&super::super::vfs::absolute(cwd, prefix)).unwrap_or_default();
            let visible = |name: &&String| !name.starts_with('.') || part.starts_with('.');
            next.extend(names.iter().filter(visible).filter(|name| matches(part, name)).map(|name| join(name)));
            if next.len() > 2000 {
                break;
            }
        }
        found = next;
    }
    found.into_iter().filter(|path| !path.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_bash() {
        let cases = [
            ("*", "", true),
            ("eth*", "eth0", true),
            ("eth?", "eth10", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*.service", "nat.service", true),
            ("a*b*c", "aXbYbZc", true),
            ("[[:digit:]]*", "7up", true),
            ("[", "[", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn many_stars_take_little_time() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(2000).replace("aa", "ab").replace('a', "c")));
    }
}
