//! The walk through built worlds: each cause of `causes.md` that it can decide, one test.

mod any_vpc;
mod causes;
mod diagnose;
mod history;
mod host;
mod path;
mod paths;
mod real_hosts;
mod unknown;
mod world;

use super::{Code, Disposition, Trace};

/// Asserts that a trace is dropped with a code, and that the evidence of the hop that drops holds a text.
#[track_caller]
fn assert_dropped(trace: &Trace, code: Code, evidence: &str) {
    assert_eq!(trace.disposition, Disposition::Dropped, "{trace:#?}");
    assert_eq!(trace.code(), Some(code), "{:#?}", trace.stop());
    let stop = trace.stop().unwrap();
    let found = stop.evidence.iter().any(|e| e.text.contains(evidence) || e.source.contains(evidence));
    assert!(found, "no '{evidence}' in {:#?}", stop.evidence);
}

#[track_caller]
fn assert_delivered(trace: &Trace, address: &str) {
    assert_eq!(trace.disposition, Disposition::Delivered, "{:#?}", trace.stop());
    assert_eq!(trace.address, Some(address.parse().unwrap()));
    assert!(trace.stop().is_none());
}
