//! The commands that change: `plan` (which only says what would), `apply` and `destroy`.

use std::collections::BTreeMap;
use std::time::Instant;

use color_eyre::eyre::{self, bail};

use super::arguments::{ApplyArguments, DestroyArguments, Global, Output as Format, PlanArguments};
use super::interrupt::on_ctrl_c;
use super::output::{Paint, plan_json, plan_text};
use super::{Answer, Context, Terminal, spec};
use crate::aws::Session;
use crate::model::Network;
use crate::ops::{self, Change, Ended, Overall, StepError};
use crate::plan::{Output, Plan, PlanKind};
use crate::saga::{Event, RunMode};

/// The stack when none is named.
const DEFAULT_STACK: &str = "natdeck";

pub(super) fn stack_of(global: &Global) -> &str {
    global.stack.as_deref().unwrap_or(DEFAULT_STACK)
}

/// How often a teardown looks again for what it did not see.
const LOOKS: u32 = 5;

async fn look(session: &Session) -> Network {
    ops::observe(session, None, None).await
}

/// A look that shows everything that was done until now, where [`look`] may show the world of a moment ago.
async fn look_late(session: &Session) -> Network {
    tokio::time::sleep(session.lag()).await;
    look(session).await
}

pub async fn plan(context: &Context, arguments: &PlanArguments) -> eyre::Result<Answer> {
    let spec = spec::read(&arguments.spec, context.global.stack.as_deref())?;
    let session = context.connect().await?;
    let network = look(&session).await;
    let plan = if arguments.destroy {
        ops::plan_teardown(stack_of(&context.global), &network)?
    } else {
        ops::plan_provision(&session, &spec, &network).await?
    };
    print_plan(&context.terminal, arguments, &plan)
}

pub(super) fn print_plan(terminal: &Terminal, arguments: &PlanArguments, plan: &Plan) -> eyre::Result<Answer> {
    match arguments.output {
        Format::Json => terminal.json(&plan_json(plan))?,
        Format::Text => terminal.document(&plan_text(terminal.out, plan))?,
    }
    Ok(if arguments.detailed_exitcode && !plan.is_empty() { Answer::No } else { Answer::Yes })
}

pub async fn apply(context: &Context, arguments: &ApplyArguments) -> eyre::Result<Answer> {
    let spec = spec::read(&arguments.spec, context.global.stack.as_deref())?;
    refuse_read_only(context)?;
    let session = context.connect().await?;
    let terminal = &context.terminal;
    let journals = context.journals(&session).await?;
    let interrupted = ops::is_unfinished(&journals, &spec.name)?;
    if let Some(change) = Change::resume(&session, &journals, &spec.name, PlanKind::Provision)? {
        let (done, all) = progress_of(&change);
        terminal
            .say(&format!("going on with the unfinished run of stack {}: {done} of {all} steps are done", spec.name));
        if !arguments.yes && !terminal.ask_for("Go on? Type yes:", "yes")? {
            terminal.say("Nothing was changed.");
            return Ok(Answer::No);
        }
        match carry_out(context, change, Origin::Resumed, arguments.undo_on_failure).await? {
            RunResult::Done => {}
            RunResult::Gone => {
                terminal.say("Something that the earlier run made is gone: planning anew from what exists.");
            }
            RunResult::Ended(answer) => return Ok(answer),
        }
    }
    let network = if interrupted { look_late(&session).await } else { look(&session).await };
    let plan = ops::plan_provision(&session, &spec, &network).await?;
    if plan.is_empty() {
        terminal.say(&plan_text(terminal.err, &plan));
        return Ok(Answer::Yes);
    }
    if !arguments.no_preflight {
        preflight(context, &session, &plan).await?;
    }
    if !arguments.yes {
        terminal.say(&plan_text(terminal.err, &plan));
        if !terminal.ask_for("Build this? Type yes:", "yes")? {
            terminal.say("Nothing was changed.");
            return Ok(Answer::No);
        }
    }
    let change = Change::begin(&session, &journals, &plan)?;
    if let RunResult::Ended(answer) = carry_out(context, change, Origin::New, arguments.undo_on_failure).await? {
        return Ok(answer);
    }
    for note in &plan.notes {
        terminal.say(&format!("note: {note}"));
    }
    terminal.say(&format!("Stack {} is in place. natdeck check asks the instances again.", spec.name));
    Ok(Answer::Yes)
}

pub async fn destroy(context: &Context, arguments: &DestroyArguments) -> eyre::Result<Answer> {
    refuse_read_only(context)?;
    let session = context.connect().await?;
    let terminal = &context.terminal;
    let stack = stack_of(&context.global);
    let journals = context.journals(&session).await?;
    let interrupted = ops::is_unfinished(&journals, stack)?;
    let unfinished = Change::resume(&session, &journals, stack, PlanKind::Teardown)?;
    let network = if interrupted { look_late(&session).await } else { look(&session).await };
    let mut plan = ops::plan_teardown(stack, &network)?;
    if unfinished.is_none() && plan.is_empty() {
        terminal.say(&plan_text(terminal.err, &plan));
        return Ok(Answer::Yes);
    }
    if !arguments.yes {
        terminal.say(&plan_text(terminal.err, &plan));
        if !terminal.ask_for(&format!("Remove stack {stack}? Type its name:"), stack)? {
            terminal.say("Nothing was changed.");
            return Ok(Answer::No);
        }
    }
    if let Some(change) = unfinished {
        let (done, all) = progress_of(&change);
        terminal.say(&format!("going on with the unfinished teardown of {stack}: {done} of {all} steps are done"));
        if let RunResult::Ended(answer) = carry_out(context, change, Origin::Resumed, false).await? {
            return Ok(answer);
        }
        plan = ops::plan_teardown(stack, &look_late(&session).await)?;
    }
    // What exists decides, not the journal: whatever still carries the tag goes, until a look shows nothing more.
    let mut looks = 0;
    while !plan.is_empty() {
        looks += 1;
        if looks > LOOKS {
            bail!("{} steps of the teardown keep coming back; natdeck plan --destroy lists them", plan.to_do().count());
        }
        preflight(context, &session, &plan).await?;
        let change = Change::begin(&session, &journals, &plan)?;
        if let RunResult::Ended(answer) = carry_out(context, change, Origin::New, false).await? {
            return Ok(answer);
        }
        plan = ops::plan_teardown(stack, &look_late(&session).await)?;
    }
    terminal.say(&format!("Nothing carries the tag of stack {stack} any more."));
    Ok(Answer::Yes)
}

fn refuse_read_only(context: &Context) -> eyre::Result<()> {
    if context.global.read_only {
        bail!("this would change things and --read-only forbids it; natdeck plan shows what would be done");
    }
    Ok(())
}

/// Says which steps AWS would refuse, and fails when there are any.
pub(super) async fn preflight(context: &Context, session: &Session, plan: &Plan) -> eyre::Result<()> {
    let denied = ops::preflight(session, plan).await?;
    if denied.is_empty() {
        return Ok(());
    }
    for step in &denied {
        context.terminal.say(&format!("{} {} needs {}", context.terminal.err.bad("denied:"), step.title, step.action));
    }
    bail!(
        "AWS would refuse {} of the steps, so none was begun; natdeck iam-policy prints all that natdeck needs",
        denied.len()
    );
}

fn progress_of(change: &Change) -> (usize, usize) {
    let steps = change.steps();
    (steps.iter().filter(|(_, state)| state.is_done()).count(), steps.len())
}

/// What a run came to.
enum RunResult {
    Done,
    /// A resumed run needs something that is not there any more; the journal is put aside.
    Gone,
    Ended(Answer),
}

/// Where the steps of a run come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Planned from what exists now.
    New,
    /// From the journal of an earlier run: the world may have moved on.
    Resumed,
}

/// Runs everything that is left, a line on standard error for each step. Ctrl-C lets the running steps end.
async fn carry_out(
    context: &Context,
    mut change: Change,
    origin: Origin,
    undo_on_failure: bool,
) -> eyre::Result<RunResult> {
    let titles: BTreeMap<String, String> =
        change.steps().iter().map(|(step, _)| (step.id.as_str().to_owned(), step.title.clone())).collect();
    let stop = change.stop();
    let _heard = on_ctrl_c(move || stop.request())?;
    let mut reporter = Reporter { context, titles, started: BTreeMap::new(), waiting: BTreeMap::new() };
    let ended = change.run(RunMode::All, &mut |event| reporter.hear(event)).await;
    match ended? {
        Ended::Finished => {
            change.close()?;
            Ok(RunResult::Done)
        }
        Ended::Failed { failures } if undo_on_failure => {
            context.terminal.say("taking back what this run did");
            let undone = change.undo_all(&mut |event| reporter.hear(event)).await?;
            let answer = answer_of(failures.iter().map(|failure| failure.error.as_ref()))?;
            if matches!(undone, Ended::Undone) {
                change.close()?;
            } else {
                bail!("not everything could be taken back; run the same command again, or natdeck destroy");
            }
            Ok(RunResult::Ended(answer))
        }
        Ended::Failed { failures }
            if origin == Origin::Resumed && failures.iter().any(|failure| failure.error.is_not_found()) =>
        {
            change.abandon()?;
            Ok(RunResult::Gone)
        }
        Ended::Failed { failures } => {
            let answer = answer_of(failures.iter().map(|failure| failure.error.as_ref()));
            Ok(RunResult::Ended(answer?))
        }
        Ended::Stopped | Ended::Paused { .. } => {
            bail!("stopped as asked; the same command again goes on from here")
        }
        Ended::Undone | Ended::PartlyUndone { .. } => Ok(RunResult::Done),
    }
}

/// Runs a repair. A step that fails ends it with an error; what was done stays, and the next diagnosis sees it.
pub(super) async fn carry_out_repair(context: &Context, change: Change) -> eyre::Result<()> {
    match carry_out(context, change, Origin::New, false).await? {
        RunResult::Done => Ok(()),
        RunResult::Gone | RunResult::Ended(_) => bail!("the repair did not come to its end"),
    }
}

/// A check that says no is an answer; anything else that failed is an error.
fn answer_of<'a>(failures: impl Iterator<Item = &'a StepError>) -> eyre::Result<Answer> {
    let mut answer = Answer::No;
    for failure in failures {
        match failure {
            StepError::Egress(report) => {
                if report.overall() == Overall::CannotTest {
                    answer = Answer::CannotTest;
                }
            }
            other => {
                bail!(
                    "{other}; what was done is journalled: the same command again goes on, natdeck destroy removes it"
                );
            }
        }
    }
    Ok(answer)
}

/// Tells of each step as it goes.
struct Reporter<'a> {
    context: &'a Context,
    titles: BTreeMap<String, String>,
    started: BTreeMap<String, Instant>,
    /// What each step was last said to wait for, so that the same is not said at every poll.
    waiting: BTreeMap<String, String>,
}

impl Reporter<'_> {
    fn hear(&mut self, event: Event<Output>) {
        let paint: Paint = self.context.terminal.err;
        let line = match event {
            Event::StepStarted { id } | Event::UndoStarted { id } => {
                self.started.insert(id, Instant::now());
                return;
            }
            Event::StepSucceeded { id, output } => {
                let made = output.id().unwrap_or_default();
                format!("{} {}  {} {}", paint.good("✓"), self.title(&id), made, paint.faint(&self.took(&id)))
            }
            Event::StepFailed { id, error } => format!("{} {}: {error}", paint.bad("✗"), self.title(&id)),
            Event::Progress { id, text } => {
                if self.waiting.insert(id.clone(), text.clone()).is_some_and(|before| before == text) {
                    return;
                }
                paint.faint(&format!("  {}: {text}", self.title(&id)))
            }
            Event::Undone { id } => format!("{} {} {}", paint.warn("↩"), self.title(&id), paint.faint(&self.took(&id))),
            Event::UndoFailed { id, error } => {
                format!("{} {} could not be taken back: {error}", paint.bad("✗"), self.title(&id))
            }
            Event::Stopping => "stopping after the steps that are under way".to_owned(),
        };
        self.context.terminal.say(&line);
    }

    fn title<'b>(&'b self, id: &'b str) -> &'b str {
        self.titles.get(id).map_or(id, String::as_str)
    }

    fn took(&self, id: &str) -> String {
        self.started.get(id).map(|at| format!("{:.1} s", at.elapsed().as_secs_f32())).unwrap_or_default()
    }
}
