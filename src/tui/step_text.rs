//! The text of the step that is selected in the Steps pane: its reason, what went wrong and what to do then, its call
//! and its command. Pure.

use crate::plan::{Call, Outputs, PlanKind, Step};
use crate::saga::NodeState;

use super::keymap::Action;
use super::message::{Failure, RunEnd};
use super::model::{Activity, Model, Script, Session, StepProgress};
use super::theme::Tone;
use super::widget::line::{Line, hang};

/// Below this many rows the title, which the list has, too, and the air are left out.
const ROOMY: usize = 9;

/// A step for those who would rather type it: whole, to be copied, and as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepText {
    pub aws_cli: String,
    /// `None`: Terraform has no block for it.
    pub terraform: Option<String>,
    /// The same with a note in the place of a boot script.
    pub shown_aws_cli: String,
    pub shown_terraform: Option<String>,
}

impl StepText {
    /// With what earlier steps have made by now; what is not there yet is a shell variable.
    pub fn of(step: &Step, outputs: &Outputs) -> Self {
        let short = abbreviated(step);
        let shown = short.as_ref().unwrap_or(step);
        Self {
            aws_cli: step.aws_cli(outputs),
            terraform: step.terraform(),
            shown_aws_cli: shown.aws_cli(outputs),
            shown_terraform: shown.terraform(),
        }
    }
}

/// The step with a note instead of its boot script. `None`: it has none.
fn abbreviated(step: &Step) -> Option<Step> {
    let Call::RunInstances(launch) = &step.call else { return None };
    let lines = launch.user_data.as_ref()?.lines().count();
    let mut launch = launch.clone();
    launch.user_data = Some(format!("<the boot script, {lines} lines: c copies the command with it>"));
    Some(Step { call: Call::RunInstances(launch), ..step.clone() })
}

/// All lines for the selected step, where `rows` can be shown at once.
pub fn lines(model: &Model, columns: usize, rows: usize) -> Vec<Line> {
    let Some(session) = model.session() else { return Vec::new() };
    let at = session.cursor;
    let (Some(step), Some(progress)) = (session.plan.steps.get(at), session.progress.get(at)) else {
        return Vec::new();
    };
    let blank = Line::blank();
    let mut lines = if rows < ROOMY { Vec::new() } else { hang(&blank, &blank, &step.title, Tone::Strong, columns) };
    if let NodeState::Failed(error) | NodeState::UndoFailed(error) = &progress.state {
        lines.extend(hang(&Line::of("✗ ", Tone::Bad), &Line::of("  ", Tone::Bad), error, Tone::Bad, columns));
        let next = progress.next_move.clone().or_else(|| next_move(model, session, step, progress));
        lines.extend(next.iter().flat_map(|next| next_lines(next, columns)));
    }
    if let Some(RunEnd::Broken(failure)) = &session.end {
        lines.extend(failure_lines(failure, columns));
    }
    let moving = matches!(progress.state, NodeState::Started | NodeState::Undoing);
    if let Some(says) = progress.says.as_ref().filter(|_| moving) {
        lines.extend(hang(&Line::of("◐ ", Tone::Busy), &Line::of("  ", Tone::Busy), says, Tone::Busy, columns));
    }
    lines.extend(hang(&blank, &blank, &step.reason, Tone::Text, columns));
    if rows >= ROOMY {
        lines.push(Line::blank());
    }
    let call = Line::of("call  ", Tone::Dim).and(format!("{}:{}", step.service(), step.operation()), Tone::Accent);
    lines.push(match &progress.made {
        Some(made) => call.and(format!("  → {made}"), Tone::Ok),
        None => call,
    });
    lines.extend(script(session, columns));
    about_plan(session, columns, &mut lines);
    lines
}

/// The command, or Terraform's block.
fn script(session: &Session, columns: usize) -> Vec<Line> {
    let Some(text) = session.texts.get(session.cursor) else { return Vec::new() };
    let (label, script) = match session.script {
        Script::AwsCli => ("cli   ", Some(text.shown_aws_cli.as_str())),
        Script::Terraform => ("tf    ", text.shown_terraform.as_deref()),
    };
    let (first, rest) = (Line::of(label, Tone::Dim), Line::of("      ", Tone::Dim));
    match script {
        Some(script) => hang(&first, &rest, script, Tone::Code, columns),
        None => vec![first.and("Terraform has no block for this step.", Tone::Dim)],
    }
}

/// What is in the way of the plan, what it costs, and its notes.
fn about_plan(session: &Session, columns: usize, lines: &mut Vec<Line>) {
    for blocker in &session.plan.blockers {
        lines.push(Line::blank());
        let (first, rest) = (Line::of("! ", Tone::Warn), Line::of("  ", Tone::Warn));
        let text = format!("{} blocks {}: {}", blocker.resource, blocker.blocks, blocker.why);
        lines.extend(hang(&first, &rest, &text, Tone::Warn, columns));
        lines.extend(next_lines(&blocker.next_move, columns));
    }
    let rest = Line::of("      ", Tone::Dim);
    if !session.cost.is_empty() {
        lines.push(Line::blank());
    }
    for (at, cost) in session.cost.iter().enumerate() {
        let first = Line::of(if at == 0 { "cost  " } else { "      " }, Tone::Dim);
        lines.extend(hang(&first, &rest, cost, Tone::Text, columns));
    }
    for note in &session.plan.notes {
        lines.extend(hang(&Line::of("note  ", Tone::Dim), &rest, note, Tone::Text, columns));
    }
}

/// What can be done about a step that failed. `None` while something runs.
fn next_move(model: &Model, session: &Session, step: &Step, progress: &StepProgress) -> Option<String> {
    if session.activity != Activity::Idle {
        return None;
    }
    let key = |action| model.keymap.key_of(action);
    let (run, undo, tear_down) = (key(Action::RunNext), key(Action::UndoLast), key(Action::TearDown));
    Some(match (&progress.state, session.plan.kind) {
        (NodeState::UndoFailed(_), _) => {
            format!("{undo} tries to take it back again; {tear_down} plans the teardown of all that exists")
        }
        (_, PlanKind::Repair) => format!("{run} tries again; {undo} takes the repair back"),
        (_, PlanKind::Teardown) => format!("{run} tries again; what is gone stays gone"),
        (_, PlanKind::Provision) if matches!(step.call, Call::CheckEgress { .. }) => {
            let explain = key(Action::Explain);
            format!("{explain} on the instance in the tree shows the hop that drops its packet; {run} checks again")
        }
        (_, PlanKind::Provision) => {
            format!("{run} runs it again; {undo} takes the last step back; {tear_down} plans the teardown")
        }
    })
}

fn next_lines(next: &str, columns: usize) -> Vec<Line> {
    hang(&Line::of("→ ", Tone::Accent), &Line::of("  ", Tone::Dim), next, Tone::Text, columns)
}

/// A failure with its next move.
pub fn failure_lines(failure: &Failure, columns: usize) -> Vec<Line> {
    let (first, rest) = (Line::of("✗ ", Tone::Bad), Line::of("  ", Tone::Bad));
    let mut lines = hang(&first, &rest, &failure.to_string(), Tone::Text, columns);
    lines.extend(failure.next_move.iter().flat_map(|next| next_lines(next, columns)));
    lines
}
