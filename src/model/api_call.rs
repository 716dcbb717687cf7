//! The record of one API call, as the call log keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One call to AWS, retries included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Counts up from 1 within a session.
    pub number: u64,
    pub started_at: Timestamp,
    /// `ec2`, `ssm`, `iam`, `sts`.
    pub service: String,
    /// `DescribeVpcs`.
    pub operation: String,
    /// From the first attempt to the final answer.
    pub latency_ms: u64,
    /// 1 when it was not retried.
    pub attempts: u32,
    pub outcome: CallOutcome,
    /// The equivalent aws CLI line.
    pub aws_cli: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    Ok,
    /// AWS answered with an error.
    Error {
        code: String,
        message: String,
    },
    /// No answer: connection, time-out, credentials.
    NoAnswer {
        reason: String,
    },
    /// Refused here, before anything was sent: read-only.
    Refused {
        reason: String,
    },
}
