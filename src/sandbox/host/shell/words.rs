//! Words as the shell writes and reads them: names, durations, quotes, escapes. Pure.

use std::time::Duration;

/// `1`, `0.5`, `2m`, `1h`.
pub(in super::super) fn duration(word: &str) -> Option<Duration> {
    let (number, unit) = match word.char_indices().last()? {
        (at, 's') => (word.get(..at)?, 1.0),
        (at, 'm') => (word.get(..at)?, 60.0),
        (at, 'h') => (word.get(..at)?, 3600.0),
        (at, 'd') => (word.get(..at)?, 86_400.0),
        _ if word == "infinity" => return Some(Duration::from_secs(1 << 40)),
        _ => (word, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

pub(in super::super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    let base = text.split('[').next().unwrap_or(text);
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && base.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `\n`, `\t`, `\x41`, `\033`: what `echo -e`, `printf` and `$'…'` understand.
pub(super) fn unescape_ansi(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        let Some(next) = chars.next() else {
            result.push('\\');
            break;
        };
        let mut digits = |radix: u32, most: usize, first: u32| {
            let mut value = first;
            for _ in 0..most {
                let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
                value = value * radix + digit;
                chars.next();
            }
            char::from_u32(value).unwrap_or('\u{fffd}')
        };
        match next {
            'n' => result.push('\n'),
            't' => result.push('\t'),
            'r' => result.push('\r'),
            'a' => result.push('\u{7}'),
            'b' => result.push('\u{8}'),
            'e' | 'E' => result.push('\u{1b}'),
            'f' => result.push('\u{c}'),
            'v' => result.push('\u{b}'),
            'x' => result.push(digits(16, 2, 0)),
            'u' => result.push(digits(16, 4, 0)),
            '0'..='7' => result.push(digits(8, if next == '0' { 3 } else { 2 }, next.to_digit(8).unwrap_or(0))),
            '\\' | '\'' | '"' | '?' => result.push(next),
            other => {
                result.push('\\');
                result.push(other);
            }
        }
    }
    result
}

/// In single quotes, as `${x@Q}` writes it.
pub(in super::super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// As `set -x` and `printf %q` show a word.
pub(super) fn quote_if_needed(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quote(text) }
}
