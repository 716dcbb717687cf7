//! The wire under nonsense: every operation with parameters that the code really looks at and values that it does not
//! expect, and bodies that are no request at all. No panic, no hang, and every answer is one that AWS could give.
//!
//! `NATDECK_FUZZ_CASES` is how many sequences of requests are tried (16).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use natdeck::sandbox::clock::Clock;
use natdeck::sandbox::wire::{Response, Service};
use natdeck::sandbox::{Options, Sandbox, Scenario, actions};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;
use serde_json::{Value, json};

/// What one request may take, in unoptimised code on a busy machine. A hang is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the parameters' names come from: the sources say which ones they look at.
fn sources(folder: &str) -> String {
    fn read(folder: &Path, all: &mut String) {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                read(&path, all);
            } else {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sandbox/actions").join(folder), &mut all);
    all
}

/// Every name in quotes that begins like a parameter: `SubnetId`, `Ebs.VolumeSize`.
fn names(folder: &str) -> Vec<String> {
    let text = sources(folder);
    let quoted = text.split('"').skip(1).step_by(2);
    let is_name = |name: &&str| {
        name.len() < 60
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
    };
    quoted.filter(is_name).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Values that fit now and then, and values that never do.
fn values(sandbox: &Sandbox) -> Vec<String> {
    let mut values: Vec<String> = [
        "",
        "0",
        "1",
        "-1",
        "5",
        "1000",
        "65536",
        "4294967296",
        "9223372036854775807",
        "99999999999999999999",
        "1e9",
        "true",
        "false",
        "maybe",
        "10.8.0.0/16",
        "10.8.3.0/24",
        "10.8.1.7",
        "0.0.0.0/0",
        "::/0",
        "256.1.1.1/33",
        "2a05:d014::/56",
        "tcp",
        "-1",
        "6",
        "udp",
        "icmp",
        "all",
        "tag:Name",
        "vpc-id",
        "*",
        "?",
        "[",
        "\\",
        "vpc-0",
        "i-ffffffffffffffff0",
        "eni-",
        "ami-0123456789abcdef0",
        "pl-6ea54007",
        "arn:aws:iam::1:role/x",
        "t4g.nano",
        "t9.huge",
        "eu-central-1a",
        "mars-1a",
        "IyEvYmluL2Jhc2gKZWNobyBoaQo=",
        "not base64!",
        "\u{0}",
        "ünï ↯",
        "<a>&amp;]]>",
        "{\"a\":[1,{}]}",
        "AWS-RunShellScript",
        "x.y.z",
        "../../etc/passwd",
        "$Latest",
        "{\"Version\":\"2012-10-17\",\"Statement\":[]}",
        "instance",
        "subnet",
        "default",
        "/dev/xvda",
        "2026-01-01",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("x".repeat(5000));
    let ids = sandbox.with_world(|world| {
        let network = &world.network;
        let mut ids: Vec<String> = network.resources().map(|resource| resource.id().to_owned()).collect();
        ids.extend(
            network
                .network_interfaces
                .shown()
                .values()
                .filter_map(|i| Some(i.attachment.as_ref()?.attachment_id.to_string())),
        );
        ids.extend(world.records.volumes.keys().cloned());
        ids
    });
    values.extend(ids.unwrap());
    values
}

fn sandbox() -> Sandbox {
    let start: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
    Sandbox::open(Options {
        scenario: Some(Scenario::Article),
        clock: Clock::stepping(start, Duration::from_secs(1)),
        ..Options::default()
    })
    .unwrap()
}

/// A field's name as a client would number it.
fn spelled(name: &str, suffix: u8) -> String {
    match suffix {
        0 | 1 => name.to_owned(),
        2 => format!("{name}.1"),
        3 => format!("{name}.2.Value.1"),
        4 => format!("{name}.1.Name"),
        5 => format!("{name}.Value"),
        6 => format!("{name}.member.1"),
        7 => format!("{name}.1.Ebs.VolumeSize"),
        8 => format!("{name}.4294967295"),
        _ => format!("{name}..{name}.-1"),
    }
}

/// One request, chosen by indices into what there is.
#[derive(Debug, Clone)]
enum Asked {
    Form { operation: Index, fields: Vec<(Index, u8, Index)>, exact: bool },
    Json { operation: Index, fields: Vec<(Index, Index, u8)> },
    Bytes { head: Index, body: Vec<u8> },
}

fn asked() -> impl Strategy<Value = Asked> {
    let field = (any::<Index>(), 0..10_u8, any::<Index>());
    let member = (any::<Index>(), any::<Index>(), 0..8_u8);
    prop_oneof![
        6 => (any::<Index>(), prop::collection::vec(field, 0..8), any::<bool>())
            .prop_map(|(operation, fields, exact)| Asked::Form { operation, fields, exact }),
        3 => (any::<Index>(), prop::collection::vec(member, 0..6))
            .prop_map(|(operation, fields)| Asked::Json { operation, fields }),
        1 => (any::<Index>(), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            select(vec![&b"%"[..], b"Action=%zz", b"&&&==&", b"{\"a\":", b"[[[[[[[[", b"Action", b"Action=&Version="])
                .prop_map(<[u8]>::to_vec),
        ])
            .prop_map(|(head, body)| Asked::Bytes { head, body }),
    ]
}

/// What the requests are made of.
struct Pool {
    forms: Vec<(Service, &'static str)>,
    jsons: Vec<&'static str>,
    form_names: Vec<String>,
    json_names: Vec<String>,
}

impl Pool {
    fn new() -> Self {
        let (jsons, forms): (Vec<_>, Vec<_>) = actions::all().partition(|(service, _)| *service == Service::Ssm);
        let form_names = names("ec2").into_iter().chain(names("iam")).collect();
        Self { forms, jsons: jsons.into_iter().map(|(_, name)| name).collect(), form_names, json_names: names("ssm") }
    }

    /// Headers and body.
    fn build(&self, asked: &Asked, values: &[String]) -> (Vec<(String, String)>, Vec<u8>) {
        match asked {
            Asked::Form { operation, fields, exact } => {
                let (service, action) = operation.get(&self.forms);
                let version = match service {
                    Service::Iam => "2010-05-08",
                    Service::Sts => "2011-06-15",
                    _ => "2016-11-15",
                };
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("Action", action).append_pair("Version", version);
                for (name, suffix, value) in fields {
                    let suffix = if *exact { suffix % 3 } else { *suffix };
                    let (name, value): (&String, &String) = (name.get(&self.form_names), value.get(values));
                    form.append_pair(&spelled(name, suffix), value);
                }
                (Vec::new(), form.finish().into_bytes())
            }
            Asked::Json { operation, fields } => {
                let mut body = serde_json::Map::new();
                for (name, value, shape) in fields {
                    let text = value.get(values);
                    let value = match shape {
                        0 | 1 => json!(text),
                        2 => json!([text]),
                        3 => json!([{ "Key": text, "Values": [text], "Value": 1 }]),
                        4 => json!({ "commands": [text], text: null }),
                        5 => json!(text.parse::<i64>().unwrap_or(-7)),
                        6 => Value::Null,
                        _ => (0..60).fold(json!(text), |inner, _| json!([inner])),
                    };
                    body.insert(name.get(&self.json_names).clone(), value);
                }
                let target = format!("AmazonSSM.{}", operation.get(&self.jsons));
                (vec![("x-amz-target".to_owned(), target)], Value::Object(body).to_string().into_bytes())
            }
            Asked::Bytes { head, body } => {
                let heads = [
                    vec![],
                    vec![("x-amz-target".to_owned(), "AmazonSSM.SendCommand".to_owned())],
                    vec![("x-amz-target".to_owned(), "Nothing".to_owned())],
                    vec![("authorization".to_owned(), "AWS4-HMAC-SHA256 Credential=a/b/c/iam/aws4_request".to_owned())],
                ];
                (head.get(&heads).clone(), body.clone())
            }
        }
    }
}

/// An answer that AWS could give: a success or the caller's fault, in a document that parses.
fn check(response: &Response) -> Result<(), String> {
    if !(response.status == 200 || (400..500).contains(&response.status)) {
        return Err(format!("status {}", response.status));
    }
    if response.content_type.contains("json") {
        return serde_json::from_str::<Value>(&response.body).map(|_| ()).map_err(|error| error.to_string());
    }
    let mut reader = quick_xml::Reader::from_str(&response.body);
    let mut depth = 0_i32;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    if depth == 0 { Ok(()) } else { Err("an element is not closed".to_owned()) }
}

#[test]
fn no_request_makes_the_sandbox_panic_hang_or_answer_what_aws_could_not() {
    let cases = std::env::var("NATDECK_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    let pool = Pool::new();
    assert!(pool.form_names.len() > 100 && pool.json_names.len() > 20, "the sources name parameters");
    assert!(pool.forms.len() > 100 && pool.jsons.len() > 10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    proptest!(config, |(requests in prop::collection::vec(asked(), 1..60))| {
        let sandbox = sandbox();
        let values = values(&sandbox);
        for request in &requests {
            let (headers, body) = pool.build(request, &values);
            let started = Instant::now();
            let answer = runtime.block_on(sandbox.answer("POST", "/", &headers, &body));
            let took = started.elapsed();
            let shown = String::from_utf8_lossy(&body).chars().take(600).collect::<String>();
            prop_assert!(took < PATIENCE, "{took:?} for {headers:?} {shown}");
            let answer = answer.map_err(|error| TestCaseError::fail(format!("{error} for {shown}")))?;
            if let Err(reason) = check(&answer) {
                prop_assert!(false, "{reason} for {headers:?} {shown}: {}", answer.body);
            }
        }
    });
}
