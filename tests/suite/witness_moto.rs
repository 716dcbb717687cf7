//! moto and the sandbox are asked the same, and must answer the same but for the written list of differences.

use serde_json::Value;

use super::witness::{Moto, Served, file, python};

#[test]
fn moto_and_the_sandbox_answer_alike_but_for_the_listed_differences() {
    let (sandbox, moto) = (Served::start(), Moto::start());
    let listed = file("differences.toml");
    let report = python("compare.py", &[&sandbox.url, &moto.url, &listed.to_string_lossy()]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report["calls"].as_u64().unwrap() >= 300, "{}", report["calls"]);
    for (list, meaning) in [("differences", "not listed"), ("stale", "listed and gone")] {
        let found = report[list].as_array().unwrap();
        assert!(found.is_empty(), "{} differences are {meaning}: {:#}", found.len(), report[list]);
    }
}
