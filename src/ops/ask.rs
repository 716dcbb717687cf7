//! A script on instances through SSM, for checks and diagnoses alike: what it printed on each or why it did not run, and
//! what that says of the packet test and of the host. Changes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::check::parse;
use crate::aws::{self, CommandResult, RunOptions, Session};
use crate::model::{Fact, InstanceId, Unknown};
use crate::reach::audit::ClientFacts;
use crate::reach::{Code, PacketTest, Probe, parse_health, parse_host};

/// What the script printed, or the code and the reason of why it did not run.
pub(super) type Answer = Result<String, (Code, String)>;

/// Runs `script` on all of these and hears of each answer once, as it arrives. Where the command itself is refused or
/// lost, that is the answer of all who have not given one.
pub(super) async fn ask(
    session: &Session,
    ids: &[InstanceId],
    script: &str,
    comment: &str,
    mut on_answer: impl FnMut(InstanceId, Answer),
) {
    if ids.is_empty() {
        return;
    }
    let options = RunOptions { execution_timeout_s: 60, delivery_timeout_s: 30, comment: comment.to_owned() };
    let mut told: BTreeSet<InstanceId> = BTreeSet::new();
    let outcome = aws::run_command(session, ids, script, options, |id, result| {
        told.insert(id.clone());
        on_answer(id, ran(result));
    })
    .await;
    if let Err(error) = outcome {
        let refused = error.is_denied() || error.is_read_only();
        let code = if refused { Code::TestAccessDenied } else { Code::TestDeliveryTimedOut };
        for id in ids.iter().filter(|id| !told.contains(*id)) {
            on_answer(id.clone(), Err((code, error.to_string())));
        }
    }
}

/// The output, when the command ran on the instance; else why it did not.
fn ran(result: CommandResult) -> Answer {
    let code = match &result {
        CommandResult::DeliveryTimedOut | CommandResult::ExecutionTimedOut { .. } | CommandResult::NoResult => {
            Code::TestDeliveryTimedOut
        }
        CommandResult::AccessDenied => Code::TestAccessDenied,
        _ => Code::TestAgentOffline,
    };
    result.into_output().map(|(stdout, ..)| stdout).map_err(|error| (code, error.message))
}

/// What curl on the instance got.
pub(super) fn packet_test(answer: &Answer) -> PacketTest {
    match answer {
        Ok(output) => PacketTest::Ran {
            probes: parse(output).into_iter().map(Probe::from).collect(),
            observed_at: Some(Timestamp::now()),
        },
        Err((code, reason)) => PacketTest::CouldNotRun { code: *code, reason: reason.clone() },
    }
}

/// What the host said of its kernel and of how it is.
pub(super) fn facts(id: &InstanceId, answer: &Answer) -> ClientFacts {
    match answer {
        Ok(output) => ClientFacts {
            host: parse_host(output).map_or_else(|error| unknown(id, &error.to_string()), Fact::Known),
            health: parse_health(output, Some(Timestamp::now()))
                .map_or_else(|error| unknown(id, &error.to_string()), Fact::Known),
        },
        Err((_, reason)) => ClientFacts { host: unknown(id, reason), health: unknown(id, reason) },
    }
}

/// A host that could not be asked, or was not understood.
pub(super) fn unknown<T>(id: &InstanceId, reason: &str) -> Fact<T> {
    Fact::Unknown(Unknown::new(format!("facts of host {id}"), reason))
}
