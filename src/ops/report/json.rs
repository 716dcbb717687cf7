//! JSON that people can read: what fits on a line stands on one. Pure.

use serde_json::Value;

use super::cells::is_unseen;

/// Characters to a line, where an object or a list can be broken at all.
const COLUMNS: usize = 110;

/// The document, two spaces a level.
pub fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    // What nobody sees stands only within strings, apart from our own line breaks, and can be escaped there.
    let mut seen = String::with_capacity(out.len());
    for c in out.chars() {
        if c != '\n' && is_unseen(c) {
            seen.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            seen.push(c);
        }
    }
    seen
}

fn write(out: &mut String, value: &Value, depth: usize) {
    let compact = value.to_string();
    if depth > 0 && compact.len() + 2 * depth <= COLUMNS {
        out.push_str(&compact);
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() => {
            let lines = members.iter().map(|(name, member)| (Some(name), member));
            block(out, ('{', '}'), lines, depth);
        }
        Value::Array(items) if !items.is_empty() => {
            block(out, ('[', ']'), items.iter().map(|item| (None, item)), depth);
        }
        _ => out.push_str(&compact),
    }
}

fn block<'v>(
    out: &mut String,
    (open, close): (char, char),
    members: impl Iterator<Item = (Option<&'v String>, &'v Value)>,
    depth: usize,
) {
    out.push(open);
    for (at, (name, member)) in members.enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.extend(std::iter::repeat_n("  ", depth + 1));
        if let Some(name) = name {
            out.push_str(&Value::String(name.clone()).to_string());
            out.push_str(": ");
        }
        write(out, member, depth + 1);
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_sees_is_escaped_and_still_there() {
        let value = json!({"a": "\u{202e}x\u{7f}\u{1b}\u{feff}\n", "b": ["é", "→"]});
        let text = pretty(&value);
        assert!(text.contains("\\u202ex\\u007f\\u001b\\ufeff\\n") && text.contains("é"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_fits_stands_on_a_line_and_all_of_it_is_the_same_document() {
        let long = "x".repeat(200);
        let value = json!({"a": {"b": [1, 2, {"c": null}]}, "long": [long, {"d": long}], "e": {}, "f": []});
        let text = pretty(&value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.contains("\n  \"a\": {\"b\":[1,2,{\"c\":null}]},\n"), "{text}");
        assert!(text.lines().count() > 5, "{text}");
    }
}
