//! Runs a script on instances through SSM Run Command and reports each result as it comes.
//!
//! Limits and semantics: SendCommand takes 50 instances; `TimeoutSeconds` bounds the delivery, the document's
//! `executionTimeout` the run; answers are eventually consistent.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::error::{Error, Kind};
use super::poll::Backoff;
use super::session::Session;
use crate::model::InstanceId;

/// SendCommand's limit.
const BATCH: usize = 50;

/// How long to wait, and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// How long the script may run.
    pub execution_timeout_s: u32,
    /// How long SSM may try to reach the agent. AWS's minimum is 30.
    pub delivery_timeout_s: u32,
    /// Shown in SSM's history of commands.
    pub comment: String,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { execution_timeout_s: 60, delivery_timeout_s: 30, comment: "natdeck".to_owned() }
    }
}

/// How it ended on one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandResult {
    /// The script ran to its end, whatever its exit code. AWS keeps 24,000 characters of stdout and 8,000 of stderr.
    Finished {
        stdout: String,
        stderr: String,
        exit_code: i32,
    },
    /// SSM does not know the instance (`InvalidInstanceId`): not registered, or not running.
    NotManaged {
        reason: String,
    },
    /// The command never reached the agent.
    DeliveryTimedOut,
    /// The script was still running at `executionTimeout`.
    ExecutionTimedOut {
        stdout: String,
        stderr: String,
    },
    /// The agent did not take it.
    Undeliverable,
    /// The agent's role or a policy refused it.
    AccessDenied,
    Cancelled,
    /// Ended otherwise: SSM's own words.
    Failed {
        status: String,
        stderr: String,
    },
    /// No end within both time-outs and half a minute more.
    NoResult,
}

/// Runs `script` on the instances and calls `on_result` once for each, as results come.
///
/// A lost answer makes the SDK send again, so the script must bear running twice. An error means that the command could
/// not be sent or asked for (denied, no credentials, no answer); instances without a result until then get none.
pub async fn run_command(
    session: &Session,
    instance_ids: &[InstanceId],
    script: &str,
    options: RunOptions,
    mut on_result: impl FnMut(InstanceId, CommandResult),
) -> Result<(), Error> {
    let sent = join_all(instance_ids.chunks(BATCH).map(|batch| send(session, batch, script, &options))).await;
    let mut commands = Vec::new();
    let mut failure = None;
    for outcome in sent {
        match outcome {
            Ok((sent, refused)) => {
                commands.extend(sent);
                for (instance_id, result) in refused {
                    on_result(instance_id, result);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    let total = Duration::from_secs(u64::from(options.delivery_timeout_s + options.execution_timeout_s) + 30);
    let deadline = Instant::now() + total;
    // Starts fast, for the sandbox and for hosts that answer at once; then at SSM's own pace.
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), total);
    while commands.iter().any(|command| !command.pending.is_empty()) {
        let polls = join_all(commands.iter().filter(|c| !c.pending.is_empty()).map(|c| ended(session, c))).await;
        let mut news = Vec::new();
        for poll in polls {
            match poll {
                Ok(results) => news.extend(results),
                // Reading the state again later may work; only what will never work ends the wait.
                Err(error) if error.is_throttled() || error.is_not_found() || error.is_ambiguous() => {}
                Err(error) => return Err(error),
            }
        }
        for (instance_id, result) in news {
            for command in &mut commands {
                command.pending.remove(&instance_id);
            }
            on_result(instance_id, result);
        }
        if Instant::now() >= deadline || !backoff.wait().await {
            break;
        }
    }
    for command in commands {
        for instance_id in command.pending {
            on_result(instance_id, CommandResult::NoResult);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// A command that SSM has taken.
struct Sent {
    command_id: String,
    /// The instances without a result yet.
    pending: BTreeSet<InstanceId>,
}

type Refused = Vec<(InstanceId, CommandResult)>;

/// Sends one batch. One instance that SSM does not know fails the whole batch without being named, so then they are
/// sent one by one.
async fn send(
    session: &Session,
    batch: &[InstanceId],
    script: &str,
    options: &RunOptions,
) -> Result<(Vec<Sent>, Refused), Error> {
    match send_once(session, batch, script, options).await {
        Ok(sent) => Ok((vec![sent], Vec::new())),
        Err(error) if error.has_code("InvalidInstanceId") => {
            let singly = join_all(batch.iter().map(|id| send_once(session, std::slice::from_ref(id), script, options)));
            let mut commands = Vec::new();
            let mut refused = Vec::new();
            for (instance_id, outcome) in batch.iter().zip(singly.await) {
                match outcome {
                    Ok(sent) => commands.push(sent),
                    Err(error) if error.has_code("InvalidInstanceId") => {
                        refused.push((instance_id.clone(), CommandResult::NotManaged { reason: error.to_string() }));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok((commands, refused))
        }
        Err(error) => Err(error),
    }
}

async fn send_once(session: &Session, batch: &[InstanceId], script: &str, options: &RunOptions) -> Result<Sent, Error> {
    const OPERATION: &str = "SendCommand";
    // AWS's limit for the comment is 100 characters.
    let comment: String = options.comment.chars().take(100).collect();
    let answer = (session.ssm().send_command())
        .document_name("AWS-RunShellScript")
        .set_instance_ids(Some(batch.iter().map(ToString::to_string).collect()))
        .parameters("commands", vec![script.to_owned()])
        .parameters("executionTimeout", vec![options.execution_timeout_s.to_string()])
        .timeout_seconds(i32::try_from(options.delivery_timeout_s.max(30)).unwrap_or(i32::MAX))
        .comment(comment)
        .send()
        .await
        .map_err(session.on(OPERATION))?;
    let command_id = answer.command.and_then(|command| command.command_id);
    let command_id = command_id.ok_or(Error::missing(OPERATION, "Command.CommandId"))?;
    Ok(Sent { command_id, pending: batch.iter().cloned().collect() })
}

/// The instances of `command` that have ended since the last look, with their output.
async fn ended(session: &Session, command: &Sent) -> Result<Vec<(InstanceId, CommandResult)>, Error> {
    const OPERATION: &str = "ListCommandInvocations";
    let pages = session.ssm().list_command_invocations().command_id(&command.command_id).max_results(50);
    let pages = pages.into_paginator().items().send();
    let invocations = pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))?;
    // Just after SendCommand the list may be empty, or hold a part. That is not the end of anything.
    let over = invocations.into_iter().filter_map(|invocation| {
        let status = invocation.status?;
        let over = !matches!(status.as_str(), "Pending" | "InProgress" | "Delayed" | "Cancelling");
        let instance_id = InstanceId::new(invocation.instance_id?);
        (over && command.pending.contains(&instance_id)).then_some(instance_id)
    });
    let results = join_all(over.map(|instance_id| output(session, &command.command_id, instance_id))).await;
    let mut ended = Vec::new();
    for result in results {
        match result {
            Ok(Some(result)) => ended.push(result),
            Ok(None) => {}
            // Not there yet: asked again at the next look.
            Err(error) if error.is_not_found() || error.is_throttled() || error.is_ambiguous() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

/// Output and end of one invocation. `None`: it has not ended after all.
async fn output(
    session: &Session,
    command_id: &str,
    instance_id: InstanceId,
) -> Result<Option<(InstanceId, CommandResult)>, Error> {
    const OPERATION: &str = "GetCommandInvocation";
    let request = session.ssm().get_command_invocation().command_id(command_id).instance_id(instance_id.as_str());
    let answer = request.send().await.map_err(session.on(OPERATION))?;
    let status = answer.status.as_ref().map(|status| status.as_str().to_owned()).unwrap_or_default();
    let details = answer.status_details.unwrap_or(status);
    let result = result_of(
        &details,
        answer.response_code,
        answer.standard_output_content.unwrap_or_default(),
        answer.standard_error_content.unwrap_or_default(),
    );
    Ok(result.map(|result| (instance_id, result)))
}

/// What `StatusDetails` means. AWS writes it with and without spaces (`Delivery Timed Out`, `DeliveryTimedOut`).
fn result_of(details: &str, response_code: i32, stdout: String, stderr: String) -> Option<CommandResult> {
    let word: String = details.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    Some(match word.as_str() {
        "pending" | "inprogress" | "delayed" | "cancelling" => return None,
        "success" => CommandResult::Finished { stdout, stderr, exit_code: response_code.max(0) },
        // -1 means that it was never started.
        "failed" if response_code >= 0 => CommandResult::Finished { stdout, stderr, exit_code: response_code },
        "deliverytimedout" => CommandResult::DeliveryTimedOut,
        "executiontimedout" | "timedout" => CommandResult::ExecutionTimedOut { stdout, stderr },
        "undeliverable" => CommandResult::Undeliverable,
        "accessdenied" => CommandResult::AccessDenied,
        "cancelled" => CommandResult::Cancelled,
        _ => CommandResult::Failed { status: details.to_owned(), stderr },
    })
}

impl CommandResult {
    /// As an error, when the script did not run to its end.
    pub fn into_output(self) -> Result<(String, String, i32), Error> {
        let message = match self {
            Self::Finished { stdout, stderr, exit_code } => return Ok((stdout, stderr, exit_code)),
            Self::NotManaged { reason } => reason,
            Self::DeliveryTimedOut => "the command did not reach the agent in time (Delivery Timed Out)".to_owned(),
            Self::ExecutionTimedOut { .. } => "the script did not end in time (Execution Timed Out)".to_owned(),
            Self::Undeliverable => "the command could not be delivered (Undeliverable)".to_owned(),
            Self::AccessDenied => "the instance may not run commands (Access Denied)".to_owned(),
            Self::Cancelled => "the command was cancelled".to_owned(),
            Self::Failed { status, stderr } => format!("the command failed ({status}) {stderr}").trim_end().to_owned(),
            Self::NoResult => "SSM never told how the command ended".to_owned(),
        };
        Err(Error::new(Kind::Service, "SendCommand", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(details: &str, code: i32) -> Option<CommandResult> {
        result_of(details, code, "out".to_owned(), "err".to_owned())
    }

    #[test]
    fn a_script_that_exits_with_an_error_has_still_run() {
        let finished =
            |exit_code| Some(CommandResult::Finished { stdout: "out".to_owned(), stderr: "err".to_owned(), exit_code });
        assert_eq!(end("Success", 0), finished(0));
        assert_eq!(end("Failed", 28), finished(28));
    }

    #[test]
    fn a_command_that_never_ran_is_told_apart_from_one_that_failed() {
        assert_eq!(end("Delivery Timed Out", -1), Some(CommandResult::DeliveryTimedOut));
        assert_eq!(end("DeliveryTimedOut", -1), Some(CommandResult::DeliveryTimedOut));
        assert_eq!(end("Undeliverable", -1), Some(CommandResult::Undeliverable));
        assert_eq!(end("Access Denied", -1), Some(CommandResult::AccessDenied));
        assert!(matches!(end("Failed", -1), Some(CommandResult::Failed { .. })));
        assert_eq!(end("InProgress", -1), None);
    }
}
