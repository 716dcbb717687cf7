//! Text of others in Markdown: tags, messages of AWS, output of hosts. None of it may end a table, a fence or a
//! heading, call somebody by `@`, or turn the reading direction around. Pure.

use std::fmt::Write as _;

/// One line of running text, or of a table's cell.
pub fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            // An escaped `@` still calls; the entity does not.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// The same as code, in a table's cell too.
pub fn code(text: &str) -> String {
    let text = one_line(text);
    // In code a backslash cannot be escaped, and one before an escaped pipe would end the cell.
    if text.is_empty() || text.contains("\\|") {
        return inline(&text);
    }
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    // A space that is taken off again keeps a backtick at the edge apart from the fence.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A block that is shown as it is. `language` may be empty.
pub fn block(language: &str, text: &str) -> String {
    let clean: String = text.chars().filter(|c| *c == '\n' || !is_unseen(*c)).collect();
    let fence = "`".repeat(longest_run(&clean).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", clean.trim_end_matches('\n'))
}

/// A table; nothing without rows.
pub fn table<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("| {} |\n|{}\n", titles.join(" | "), "---|".repeat(N));
    for row in rows {
        // A string takes whatever is written to it.
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
    out
}

/// Without line breaks, control characters and what changes the reading direction; runs of space are one.
fn one_line(text: &str) -> String {
    let seen: String = text.chars().map(|c| if c.is_whitespace() || is_unseen(c) { ' ' } else { c }).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a reader does not see, or what makes other text be seen otherwise.
pub fn is_unseen(c: char) -> bool {
    let turns_direction = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    c.is_control() || turns_direction || c == '\u{feff}'
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell() {
        let text = inline("a|b\n| c | @oncall <img src=x> \u{202e}evil\u{1b}[31m");
        assert_eq!(text, "a\\|b \\| c \\| &#64;oncall \\<img src=x\\> evil \\[31m");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a\\|b"), "a\\\\\\|b");
    }

    #[test]
    fn code_is_fenced_longer_than_anything_in_it() {
        assert_eq!(code("``` x `"), "```` ``` x ` ````");
        let text = block("sh", "echo\n````\n# heading\n");
        assert_eq!(text, "`````sh\necho\n````\n# heading\n`````\n");
    }
}
