//! Commands on their way: delivered when the agent is online, run step by step on the simulated host, ended when their
//! time is over.

use std::time::Duration;

use jiff::Timestamp;

use super::content::{Step, Work};
use super::state::{Command, Ended, Outcome, Progress, StepResult, worst};
use crate::model::InstanceId;
use crate::sandbox::host::Output;
use crate::sandbox::world::World;

/// Characters of standard output and of standard error that SSM keeps (GetCommandInvocation).
const MAX_STDOUT: usize = 24_000;
const MAX_STDERR: usize = 8_000;

/// Moves every command on to the world's time.
pub(super) fn advance(world: &mut World) {
    let unfinished: Vec<(String, InstanceId)> = world
        .ssm
        .commands
        .values()
        .flat_map(|command| {
            let open = command.invocations.iter().filter(|(_, i)| !matches!(i.progress, Progress::Ended(_)));
            open.map(|(instance_id, _)| (command.command_id.clone(), instance_id.clone()))
        })
        .collect();
    for (command_id, instance_id) in unfinished {
        match world.ssm.commands.get(&command_id).map(turn) {
            Some(Turn::Yours) => deliver(world, &command_id, &instance_id),
            Some(Turn::Nobodys) => terminate(world, &command_id, &instance_id),
            Some(Turn::Others) | None => {}
        }
        finish(world, &command_id, &instance_id);
    }
}

/// Whether a command's next target may have it.
enum Turn {
    Yours,
    /// As many as may be are under way.
    Others,
    /// More have failed than may.
    Nobodys,
}

fn turn(command: &Command) -> Turn {
    let count =
        |wanted: &dyn Fn(&Progress) -> bool| command.invocations.values().filter(|i| wanted(&i.progress)).count();
    let errors = count(
        &|progress| matches!(progress, Progress::Ended(ended) if !matches!(ended.outcome, Outcome::Success | Outcome::Cancelled | Outcome::Terminated)),
    );
    if errors > command.errors_allowed() && command.max_errors != "100%" {
        Turn::Nobodys
    } else if count(&|progress| matches!(progress, Progress::Running { .. })) >= command.concurrency() {
        Turn::Others
    } else {
        Turn::Yours
    }
}

/// Ends what was not sent yet.
fn terminate(world: &mut World, command_id: &str, instance_id: &InstanceId) {
    let now = world.now;
    let invocation = world.ssm.commands.get(command_id).and_then(|command| command.invocations.get(instance_id));
    if invocation.is_some_and(|invocation| matches!(invocation.progress, Progress::Waiting { .. })) {
        set(world, command_id, instance_id, never_started(Outcome::Terminated, now));
    }
}

fn deliver(world: &mut World, command_id: &str, instance_id: &InstanceId) {
    let now = world.now;
    let Some(command) = world.ssm.commands.get(command_id) else { return };
    let Some(Progress::Waiting { until }) = command.invocations.get(instance_id).map(|i| i.progress.clone()) else {
        return;
    };
    if until > now {
        return;
    }
    let expires_after = world.ssm.scaled(Duration::from_secs(command.timeout_s));
    let expires_at = command.requested_at.saturating_add(expires_after).unwrap_or(Timestamp::MAX);
    let steps = command.steps.clone();

    let hears = !world.ssm.deaf.contains(instance_id);
    let progress = match world.ssm.agents.get(instance_id) {
        Some(agent) if hears && agent.online && agent.since.max(until) <= expires_at => {
            let started_at = agent.since.max(until);
            let results = run(world, instance_id, &steps);
            // What a command did to its host may cut the host off, or bring it back.
            world.touch();
            match results {
                Some(results) => running(world, started_at, results),
                None => never_started(Outcome::Undeliverable, now),
            }
        }
        Some(_) if now < expires_at => return,
        Some(_) => never_started(Outcome::DeliveryTimedOut, expires_at),
        None => never_started(Outcome::Undeliverable, now),
    };
    set(world, command_id, instance_id, progress);
}

fn never_started(outcome: Outcome, ended_at: Timestamp) -> Progress {
    Progress::Ended(Ended { outcome, started_at: None, ended_at, steps: Vec::new() })
}

/// Runs the steps on a host. `None`: there is no such host.
fn run(world: &mut World, instance_id: &InstanceId, steps: &[Step]) -> Option<Vec<StepResult>> {
    let mut results: Vec<StepResult> = Vec::new();
    let mut starts_after = Duration::ZERO;
    let mut over = false;
    for step in steps {
        if over && !step.is_finally {
            continue;
        }
        let mut output = match &step.work {
            Work::Script(script) => world.with_machine(instance_id, |machine, outside| machine.run(script, outside))?,
            Work::Say(text) => Output { stdout: text.clone(), ..Output::default() },
            Work::Refuse(text) => Output { stderr: text.clone(), exit_code: 1, ..Output::default() },
        };
        let limit = Duration::from_secs(step.timeout_s);
        let outcome = match output.exit_code {
            _ if output.elapsed > limit => Outcome::ExecutionTimedOut,
            0 => Outcome::Success,
            _ => Outcome::Failed,
        };
        output.elapsed = output.elapsed.min(limit);
        let elapsed = output.elapsed;
        let output = as_reported(output, outcome);
        results.push(StepResult { name: step.name.clone(), outcome, starts_after, output });
        starts_after = starts_after.saturating_add(elapsed);
        over |= if outcome == Outcome::Success { step.ends_on_success } else { step.ends_on_failure };
    }
    Some(results)
}

fn running(world: &World, started_at: Timestamp, steps: Vec<StepResult>) -> Progress {
    let elapsed: Duration = steps.iter().map(|step| step.output.elapsed).sum();
    let takes = world.ssm.scaled(elapsed);
    Progress::Running { started_at, ends_at: started_at.saturating_add(takes).unwrap_or(Timestamp::MAX), steps }
}

fn finish(world: &mut World, command_id: &str, instance_id: &InstanceId) {
    let now = world.now;
    let invocation = world.ssm.commands.get(command_id).and_then(|command| command.invocations.get(instance_id));
    let Some(Progress::Running { started_at, ends_at, steps }) = invocation.map(|i| i.progress.clone()) else {
        return;
    };
    if ends_at > now {
        return;
    }
    let outcome = worst(steps.iter().map(|step| step.outcome));
    let ended = Ended { outcome, started_at: Some(started_at), ended_at: ends_at, steps };
    set(world, command_id, instance_id, Progress::Ended(ended));
}

/// What the agent makes of a script's output: it says how the script failed, and cuts what is too long.
fn as_reported(mut output: Output, outcome: Outcome) -> Output {
    match outcome {
        Outcome::Failed => {
            // What a step of the agent's own says is all there is.
            if !output.stderr.starts_with("The sandbox's agent") {
                output.stderr.push_str(&format!("failed to run commands: exit status {}", output.exit_code));
            }
        }
        Outcome::ExecutionTimedOut => output.stderr.push_str("Command execution timed out"),
        Outcome::Success
        | Outcome::Cancelled
        | Outcome::DeliveryTimedOut
        | Outcome::Undeliverable
        | Outcome::Terminated => {}
    }
    output.stdout = cut(output.stdout, MAX_STDOUT);
    output.stderr = cut(output.stderr, MAX_STDERR);
    output
}

/// The first `max` characters, the last of which say that something is missing.
pub(super) fn cut(text: String, max: usize) -> String {
    const NOTE: &str = "\n--output truncated--";
    if text.chars().count() <= max {
        return text;
    }
    let kept: String = text.chars().take(max.saturating_sub(NOTE.len())).collect();
    kept + NOTE
}

fn set(world: &mut World, command_id: &str, instance_id: &InstanceId, progress: Progress) {
    let command = world.ssm.commands.get_mut(command_id);
    if let Some(invocation) = command.and_then(|command| command.invocations.get_mut(instance_id)) {
        invocation.progress = progress;
    }
}
