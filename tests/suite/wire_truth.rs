//! Every operation that the sandbox answers is asked by boto3, and every raw answer is held against botocore's service
//! model: names, nesting, wrapping, required members, lexical forms, error envelopes, codes and statuses.

use std::collections::BTreeSet;

use natdeck::sandbox::actions;
use serde_json::Value;

use super::witness::{Served, python};

/// Operations that can only be refused, and with what.
const ONLY_REFUSED: [(&str, &str); 2] = [("ssm", "StartSession"), ("sts", "DecodeAuthorizationMessage")];

#[test]
fn every_answer_is_what_botocores_model_describes_and_every_operation_is_asked() {
    let sandbox = Served::start();
    let report: Value = serde_json::from_str(&python("wire_truth.py", &[&sandbox.url])).unwrap();
    let problems = report["problems"].as_object().unwrap();
    assert!(problems.is_empty(), "{:#}", report["problems"]);

    // Which of the sandbox's operations were answered, and not only with errors.
    let mut missing = BTreeSet::new();
    let mut answers = 0;
    for (service, operation) in actions::all() {
        let counts = &report["checked"][service.as_str()][operation];
        let (all, errors) = (counts[0].as_u64().unwrap_or(0), counts[1].as_u64().unwrap_or(0));
        answers += all;
        let refused = ONLY_REFUSED.contains(&(service.as_str(), operation));
        if all == 0 || (errors == all && !refused) {
            missing.insert(format!("{}:{operation}", service.as_str()));
        }
    }
    assert!(missing.is_empty(), "tests/witness/breadth_*.py must call these, with success: {missing:?}");
    assert!(answers >= 700, "{answers} answers were checked");
}

#[test]
fn the_checker_finds_what_is_wrong_with_an_answer() {
    let report: Value = serde_json::from_str(&python("model_test.py", &[])).unwrap();
    let missed = report["missed"].as_array().unwrap();
    assert!(missed.is_empty(), "not found: {missed:?}");
    assert!(report["found"].as_u64().unwrap() >= 20, "{report}");
}
