//! Commands on their way: delivered when the agent is online, run on the simulated host, ended when their time is over.

use std::time::Duration;

use jiff::Timestamp;

use super::state::{Ended, Outcome, Progress};
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
        deliver(world, &command_id, &instance_id);
        finish(world, &command_id, &instance_id);
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
    let limit = Duration::from_secs(command.execution_timeout_s);
    let expires_after = world.ssm.scaled(Duration::from_secs(command.timeout_s));
    let expires_at = command.requested_at.saturating_add(expires_after).unwrap_or(Timestamp::MAX);
    let script = command.script.clone();

    let hears = !world.ssm.deaf.contains(instance_id);
    let progress = match world.ssm.agents.get(instance_id) {
        Some(agent) if hears && agent.online && agent.since.max(until) <= expires_at => {
            let started_at = agent.since.max(until);
            let ran = world.with_machine(instance_id, |machine, outside| machine.run(&script, outside));
            // What a command did to its host may cut the host off, or bring it back.
            world.touch();
            ran.map_or_else(|| undeliverable(now), |output| running(world, started_at, limit, output))
        }
        Some(_) if now < expires_at => return,
        Some(_) => Progress::Ended(Ended {
            outcome: Outcome::DeliveryTimedOut,
            started_at: None,
            ended_at: expires_at,
            output: Output::default(),
        }),
        None => undeliverable(now),
    };
    set(world, command_id, instance_id, progress);
}

fn undeliverable(now: Timestamp) -> Progress {
    let outcome = Outcome::Undeliverable;
    Progress::Ended(Ended { outcome, started_at: None, ended_at: now, output: Output::default() })
}

fn running(world: &World, started_at: Timestamp, limit: Duration, mut output: Output) -> Progress {
    let timed_out = output.elapsed > limit;
    output.elapsed = output.elapsed.min(limit);
    let takes = world.ssm.scaled(output.elapsed);
    Progress::Running {
        started_at,
        ends_at: started_at.saturating_add(takes).unwrap_or(Timestamp::MAX),
        timed_out,
        output,
    }
}

fn finish(world: &mut World, command_id: &str, instance_id: &InstanceId) {
    let now = world.now;
    let invocation = world.ssm.commands.get(command_id).and_then(|command| command.invocations.get(instance_id));
    let Some(Progress::Running { started_at, ends_at, timed_out, output }) = invocation.map(|i| i.progress.clone())
    else {
        return;
    };
    if ends_at > now {
        return;
    }
    let outcome = match output.exit_code {
        _ if timed_out => Outcome::ExecutionTimedOut,
        0 => Outcome::Success,
        _ => Outcome::Failed,
    };
    let output = as_reported(output, outcome);
    let ended = Ended { outcome, started_at: Some(started_at), ended_at: ends_at, output };
    set(world, command_id, instance_id, Progress::Ended(ended));
}

/// What the agent makes of a script's output: it says how the script failed, and cuts what is too long.
fn as_reported(mut output: Output, outcome: Outcome) -> Output {
    match outcome {
        Outcome::Failed => {
            output.stderr.push_str(&format!("failed to run commands: exit status {}", output.exit_code));
        }
        Outcome::ExecutionTimedOut => output.stderr.push_str("Command execution timed out"),
        Outcome::Success | Outcome::Cancelled | Outcome::DeliveryTimedOut | Outcome::Undeliverable => {}
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
