//! Text from outside, made safe to draw, and fitted to a width. Pure.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for a character that must not reach the terminal.
const REPLACEMENT: char = '\u{FFFD}';

/// Text of a tag, a description or an answer with everything replaced that could steer the terminal or deceive the
/// reader: control characters and escapes, line breaks, bidirectional overrides, invisible characters.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) {
        Cow::Owned(text.chars().map(|c| if is_unsafe(c) { REPLACEMENT } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00AD}'
            | '\u{061C}'
            | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `columns`, the rest as `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide > columns - 1 {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// The text in exactly `columns`: cut or filled with spaces.
pub fn pad(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    let missing = columns.saturating_sub(width(&fitted));
    format!("{fitted}{}", " ".repeat(missing))
}

/// The text broken into lines of at most `columns`, at spaces where there are any, also after `/`, `,` and `=`.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive([' ', '/', ',', '=']) {
        let mut rest = word;
        while !rest.is_empty() {
            let wide = width(rest.trim_end());
            if used + wide <= columns {
                line.push_str(rest);
                used += width(rest);
                break;
            }
            if used > 0 {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
                continue;
            }
            // A single word wider than the line: break it where the line ends.
            let mut taken = 0;
            let mut at = rest.len();
            for (index, c) in rest.char_indices() {
                let step = UnicodeWidthChar::width(c).unwrap_or(0);
                if taken + step > columns && index > 0 {
                    at = index;
                    break;
                }
                taken += step;
            }
            let (head, tail) = rest.split_at(at);
            lines.push(head.to_owned());
            rest = tail;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_the_terminal_is_replaced() {
        assert_eq!(clean("web\x1b[2J\x07"), "web\u{FFFD}[2J\u{FFFD}");
        assert_eq!(clean("a\u{202E}b\u{200B}c\nd\u{9b}"), "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}");
        assert_eq!(clean("日本 é"), "日本 é");
    }

    #[test]
    fn a_cut_text_ends_in_an_ellipsis_and_never_overflows() {
        assert_eq!(fit("Private-Instance", 8), "Private…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(width(&pad("日本語", 4)), 4);
    }

    #[test]
    fn long_words_are_broken_and_nothing_is_lost() {
        let text = "aws ec2 create-route --route-table-id rtb-0123456789abcdef0 --destination-cidr-block 0.0.0.0/0";
        let lines = wrap(text, 16);
        assert!(lines.iter().all(|line| width(line) <= 16), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("", 10), [""]);
    }
}
