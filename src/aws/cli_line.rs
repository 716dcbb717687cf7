//! The aws CLI line that does the same as a request, read off the serialised request. Pure.
//!
//! Query bodies name their parameters after AWS's wire format (`VpcId.1`), the CLI after the API's members
//! (`--vpc-ids`): lists become plural, and the few names that differ otherwise are listed here.

use serde_json::{Map, Value};

/// Longer values are cut: boot scripts and commands.
const LONGEST_VALUE: usize = 300;

/// `aws ec2 describe-vpcs --filters … --region eu-central-1`.
pub(super) fn from_request(service: &str, operation: &str, body: &[u8], suffix: &str) -> String {
    let mut line = format!("aws {service} {}", kebab(operation));
    let parameters = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => members,
        _ => from_query(operation, body),
    };
    for (name, value) in &parameters {
        line.push_str(&argument(name, value));
    }
    line.push_str(suffix);
    line
}

/// One flag with its value, a space ahead.
fn argument(name: &str, value: &Value) -> String {
    let flag = kebab(name);
    match value {
        Value::Bool(true) => format!(" --{flag}"),
        Value::Bool(false) => format!(" --no-{flag}"),
        Value::String(text) if name == "UserData" => format!(" --user-data '<{} bytes in base64>'", text.len()),
        Value::String(text) => format!(" --{flag} {}", quote(&cut(text))),
        // A structure that holds one `Value` is written as that value: `--no-source-dest-check`.
        Value::Object(members) if members.len() == 1 && members.contains_key("Value") => {
            members.get("Value").map(|inner| argument(name, inner)).unwrap_or_default()
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let words: Vec<String> = items.iter().filter_map(Value::as_str).map(|text| quote(&cut(text))).collect();
            format!(" --{flag} {}", words.join(" "))
        }
        other => format!(" --{flag} {}", quote(&abbreviated(other).to_string())),
    }
}

/// The same value with long texts cut.
fn abbreviated(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Array(items) => Value::Array(items.iter().map(abbreviated).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), abbreviated(value))).collect())
        }
        other => other.clone(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST_VALUE).collect();
    format!("{head}…")
}

/// Reads `A.1.B=x&…` into a tree. Numbered members become lists, except for the `member` that IAM's protocol puts in.
fn from_query(operation: &str, body: &[u8]) -> Map<String, Value> {
    let mut root = Map::new();
    for (key, value) in form_urlencoded::parse(body) {
        if matches!(key.as_ref(), "Action" | "Version") {
            continue;
        }
        let path: Vec<&str> = key.split('.').filter(|part| *part != "member").collect();
        insert(&mut root, &path, &value);
    }
    if operation == "RunInstances" {
        // The CLI has one flag for both.
        if let Some(count) = root.remove("MaxCount") {
            root.shift_remove("MinCount");
            root.insert("Count".to_owned(), count);
        }
    }
    let members = root.into_iter().map(|(name, value)| renamed(operation, &name, value, true));
    members.collect()
}

fn insert(node: &mut Map<String, Value>, path: &[&str], value: &str) {
    match path {
        [] => {}
        [name] => drop(node.insert((*name).to_owned(), scalar(value))),
        [name, rest @ ..] => {
            let child = node.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(members) = child {
                insert(members, rest, value);
            }
        }
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => Value::String(text.to_owned()),
    }
}

/// The CLI's name of a member, and its value with all names inside translated.
fn renamed(operation: &str, name: &str, value: Value, top: bool) -> (String, Value) {
    match value {
        Value::Object(members) if members.keys().all(|key| key.bytes().all(|b| b.is_ascii_digit())) => {
            let items = members.into_iter().map(|(_, item)| renamed(operation, "", item, false).1).collect();
            (plural(operation, name, top), Value::Array(items))
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| renamed(operation, &name, value, false));
            (name.to_owned(), Value::Object(members.collect()))
        }
        other => (name.to_owned(), other),
    }
}

/// The member name of a list that the wire calls `name`.
fn plural(operation: &str, name: &str, top: bool) -> String {
    match (operation, name) {
        ("CreateTags" | "DeleteTags", "ResourceId") => "Resources".to_owned(),
        ("CreateNetworkInterface", "SecurityGroupId") if top => "Groups".to_owned(),
        (_, "SecurityGroupId") if !top => "Groups".to_owned(),
        (_, "Groups") if !top => "UserIdGroupPairs".to_owned(),
        (_, "") => String::new(),
        _ if name.ends_with('s') => name.to_owned(),
        _ => format!("{name}s"),
    }
}

/// `DescribeVpcs` → `describe-vpcs`, `EnableDnsSupport` → `enable-dns-support`, `InstanceIds` → `instance-ids`.
fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(index + 1);
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|b| !b.is_ascii_uppercase() || after.is_some_and(char::is_ascii_lowercase));
        if starts_word {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Quotes for a POSIX shell where needed.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_query_protocol_become_the_clis_plural_flags() {
        let body = b"Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b";
        assert_eq!(
            from_request("ec2", "DescribeVpcs", body, " --region eu-central-1"),
            r#"aws ec2 describe-vpcs --vpc-ids vpc-1 --filters '[{"Name":"tag:a","Values":["b"]}]' --region eu-central-1"#
        );
    }

    #[test]
    fn a_boolean_attribute_becomes_a_flag() {
        let body = b"Action=X&NetworkInterfaceId=eni-1&SourceDestCheck.Value=false";
        assert_eq!(
            from_request("ec2", "ModifyNetworkInterfaceAttribute", body, ""),
            "aws ec2 modify-network-interface-attribute --network-interface-id eni-1 --no-source-dest-check"
        );
    }

    #[test]
    fn user_data_is_not_shown() {
        let line = from_request("ec2", "RunInstances", b"MinCount=1&MaxCount=1&UserData=c2VjcmV0", "");
        assert_eq!(line, "aws ec2 run-instances --user-data '<8 bytes in base64>' --count 1");
    }

    #[test]
    fn json_bodies_are_read_too() {
        let line = from_request("ssm", "SendCommand", br#"{"DocumentName":"D","InstanceIds":["i-1","i-2"]}"#, "");
        assert_eq!(line, "aws ssm send-command --document-name D --instance-ids i-1 i-2");
    }

    #[test]
    fn quoting_survives_a_quote() {
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
