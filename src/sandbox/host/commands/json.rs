//! `jq`: paths (`.a.b`, `.[0]`, `.[]`), pipes, `length`, `keys`.

use serde_json::Value;

use super::super::shell::{Interp, Run};
use super::{Arguments, inputs};

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let mut arguments = Arguments::parse(words, &["--arg"]);
    if arguments.rest.is_empty() {
        return it.fail(2, "jq - commandline JSON processor\nUsage: jq [OPTIONS] FILTER [FILES...]");
    }
    let filter = arguments.rest.remove(0);
    let (texts, status) = inputs(it, "jq", &arguments.rest)?;
    let mut last = Value::Null;
    for (_, text) in texts {
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let value = match value {
                Ok(value) => value,
                Err(error) => return it.fail(2, format!("jq: error: {error}")),
            };
            let results = match apply(&filter, &value) {
                Ok(results) => results,
                Err(message) => return it.fail(3, format!("jq: error: {message}")),
            };
            for result in results {
                let raw = arguments.has(&["-r", "--raw-output"]);
                let text = match &result {
                    Value::String(text) if raw => text.clone(),
                    value if arguments.has(&["-c", "--compact-output"]) => value.to_string(),
                    value => format!("{value:#}"),
                };
                it.out(&format!("{text}\n"))?;
                last = result;
            }
        }
    }
    if arguments.has(&["-e", "--exit-status"]) && matches!(last, Value::Null | Value::Bool(false)) {
        return Ok(1);
    }
    Ok(status)
}

fn apply(filter: &str, value: &Value) -> Result<Vec<Value>, String> {
    let mut values = vec![value.clone()];
    for stage in filter.split('|') {
        let mut next = Vec::new();
        for value in &values {
            next.extend(path(stage.trim(), value)?);
        }
        values = next;
    }
    Ok(values)
}

fn path(filter: &str, value: &Value) -> Result<Vec<Value>, String> {
    match filter {
        "length" => {
            let length = match value {
                Value::Array(items) => items.len(),
                Value::Object(items) => items.len(),
                Value::String(text) => text.chars().count(),
                _ => 0,
            };
            return Ok(vec![Value::from(length)]);
        }
        "keys" => {
            let keys: Vec<Value> =
                value.as_object().into_iter().flat_map(|o| o.keys()).map(|k| Value::from(k.as_str())).collect();
            return Ok(vec![Value::Array(keys)]);
        }
        _ => {}
    }
    let Some(mut rest) = filter.strip_prefix('.') else {
        return Err(format!("the simulated jq has paths, length and keys only, not {filter:?}"));
    };
    let mut values = vec![value.clone()];
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, tail) = inner.split_once(']').ok_or("syntax error: ] expected")?;
            values = values
                .iter()
                .flat_map(|value| match (index.trim_matches('"'), value) {
                    ("", Value::Array(items)) => items.clone(),
                    ("", Value::Object(items)) => items.values().cloned().collect(),
                    (index, Value::Array(items)) => {
                        let at = index.parse::<i64>().unwrap_or(0);
                        let at =
                            if at < 0 { items.len().saturating_sub(at.unsigned_abs() as usize) } else { at as usize };
                        vec![items.get(at).cloned().unwrap_or(Value::Null)]
                    }
                    (key, value) => vec![value.get(key).cloned().unwrap_or(Value::Null)],
                })
                .collect();
            rest = tail.trim_start_matches(['?', '.']);
            continue;
        }
        let end = rest.find(['.', '[', '?']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let key = key.trim_matches('"');
        if !key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) {
            return Err(format!("the simulated jq has paths, length and keys only, not {filter:?}"));
        }
        if !key.is_empty() {
            values = values.iter().map(|value| value.get(key).cloned().unwrap_or(Value::Null)).collect();
        }
        rest = tail.trim_start_matches('?');
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Ok(values)
}
