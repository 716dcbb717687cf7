//! `printf`.

use super::words::{quote_if_needed, unescape_ansi};

/// `printf`: the format is used again while there are arguments. Also what was not a number.
pub(super) fn format_all(format: &str, values: &[String], now: jiff::Timestamp) -> (String, Vec<String>) {
    let mut values = values.iter();
    let (mut text, mut bad) = (String::new(), Vec::new());
    let format = unescape_ansi(format);
    for _ in 0..10_000 {
        let before = values.len();
        format_once(&format, &mut values, now, &mut text, &mut bad);
        if values.len() == 0 || values.len() == before || text.len() > 1 << 20 {
            break;
        }
    }
    (text, bad)
}

fn format_once<'v>(
    format: &str,
    values: &mut impl Iterator<Item = &'v String>,
    now: jiff::Timestamp,
    text: &mut String,
    bad: &mut Vec<String>,
) {
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.peek().copied().filter(|c| "-+ #0".contains(*c)) {
            flags.push(flag);
            chars.next();
        }
        let mut count = |values: &mut dyn Iterator<Item = &'v String>| {
            if chars.peek() == Some(&'*') {
                chars.next();
                return values.next().and_then(|value| value.parse().ok());
            }
            let mut number: Option<usize> = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize).min(4096));
                chars.next();
            }
            number
        };
        let width = count(values).unwrap_or(0).min(4096);
        let mut precision = None;
        if chars.peek() == Some(&'.') {
            chars.next();
            let mut number = 0_usize;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                number = number.saturating_mul(10).saturating_add(digit as usize).min(4096);
                chars.next();
            }
            precision = Some(number);
        }
        let directive = chars.next();
        if directive == Some('(') {
            let pattern: String = chars.by_ref().take_while(|c| *c != ')').collect();
            chars.next();
            let at = values.next().and_then(|value| value.parse().ok()).filter(|at: &i64| *at >= 0);
            let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok()).unwrap_or(now);
            text.push_str(&super::super::commands::format_time(at, &pattern));
            continue;
        }
        let mut number = |values: &mut dyn Iterator<Item = &'v String>| -> i64 {
            let Some(word) = values.next() else { return 0 };
            integer(word).unwrap_or_else(|| {
                bad.push(word.clone());
                0
            })
        };
        let body = match directive {
            Some('%') | None => {
                text.push('%');
                continue;
            }
            Some('s') => {
                let value = values.next().map_or("", String::as_str);
                precision.map_or_else(|| value.to_owned(), |most| value.chars().take(most).collect())
            }
            Some('b') => unescape_ansi(values.next().map_or("", String::as_str)),
            Some('q') => quote_if_needed(values.next().map_or("", String::as_str)),
            Some('c') => values.next().and_then(|value| value.chars().next()).map(String::from).unwrap_or_default(),
            Some('d' | 'i') => {
                let value = number(values);
                if flags.contains('+') && value >= 0 { format!("+{value}") } else { value.to_string() }
            }
            Some('u') => number(values).cast_unsigned().to_string(),
            Some('x') => format!("{:x}", number(values)),
            Some('X') => format!("{:X}", number(values)),
            Some('o') => format!("{:o}", number(values)),
            Some('f' | 'g' | 'e') => {
                let value: f64 = values.next().and_then(|value| value.parse().ok()).unwrap_or(0.0);
                format!("{value:.*}", precision.unwrap_or(6))
            }
            Some(other) => format!("%{other}"),
        };
        let missing = width.saturating_sub(body.chars().count());
        if flags.contains('-') {
            text.push_str(&body);
            text.push_str(&" ".repeat(missing));
        } else if flags.contains('0') && !matches!(directive, Some('s' | 'c' | 'b')) {
            let (sign, digits) = body.strip_prefix('-').map_or(("", body.as_str()), |digits| ("-", digits));
            text.push_str(sign);
            text.push_str(&"0".repeat(missing));
            text.push_str(digits);
        } else {
            text.push_str(&" ".repeat(missing));
            text.push_str(&body);
        }
    }
}

fn integer(word: &str) -> Option<i64> {
    let word = word.trim();
    if word.is_empty() {
        return Some(0);
    }
    if let Some(quoted) = word.strip_prefix(['\'', '"']) {
        return quoted.chars().next().map(|c| i64::from(u32::from(c)));
    }
    if let Some(hex) = word.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    word.parse().ok()
}
