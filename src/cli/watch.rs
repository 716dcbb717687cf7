//! `check --watch`: the check again and again, one line for each change.

use std::io::IsTerminal;
use std::time::Duration;

use color_eyre::eyre;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::arguments::{CheckArguments, Output};
use super::inspect::{refuse_blindness, the_only_vpc};
use super::output::{begun_line, note_line, status_line, turn_line, watch_json};
use super::{Answer, Context};
use crate::aws::Session;
use crate::ops::{self, Overall, WatchRound};
use crate::reach::history::Watch;

/// Rounds until ctrl-c or SIGTERM; the answer is that of the last round that came to its end. A round begins `interval`
/// after the one before began, or when that has ended, whichever is later.
pub async fn watch(context: &Context, arguments: &CheckArguments, interval: Duration) -> eyre::Result<Answer> {
    let session = context.connect().await?;
    let mut watch = Watch::default();
    let mut last: Option<WatchRound> = None;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut status = Status::new(context);
    loop {
        let begun = Instant::now();
        let earlier = last.as_ref().map(|round| round.network.clone());
        let vpc = arguments.vpc.as_ref();
        let round = ops::watch_round(&session, &mut watch, &arguments.instances, vpc, earlier.as_deref());
        let round = tokio::select! {
            round = round => round,
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        };
        let next = Timestamp::now() + interval.saturating_sub(begun.elapsed());
        match round {
            Ok(round) => {
                if last.is_none() {
                    refuse_blindness(&round.network)?;
                }
                status.clear();
                let text = text_of(context, arguments, &session, &watch, &round, last.is_none());
                let results = status_line(&round.report.results, &watch, next);
                last = Some(round);
                // Nobody listens any more: `| head` has what it wanted.
                if !text.is_empty() && !context.terminal.is_read(&text)? {
                    break;
                }
                status.show(&results);
            }
            Err(error) if last.is_none() => return Err(error.into()),
            // A look that failed is not the end of a watch.
            Err(error) => status.show(&format!("could not look: {error}; again at {next:.0}")),
        }
        tokio::select! {
            () = tokio::time::sleep_until(begun + interval) => {}
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        }
    }
    status.clear();
    Ok(last.map_or(Answer::CannotTest, |round| round.overall.into()))
}

/// What a round has to tell: a JSON document, or a line for each change; in the first round one for each instance.
fn text_of(
    context: &Context,
    arguments: &CheckArguments,
    session: &Session,
    watch: &Watch,
    found: &WatchRound,
    first: bool,
) -> String {
    let WatchRound { network, report, round, overall } = found;
    let at = Timestamp::now();
    if arguments.output == Output::Json {
        let chosen: Vec<_> = report.results.iter().map(|row| &row.instance_id).collect();
        let vpc = arguments.vpc.as_ref().or_else(|| the_only_vpc(network, &chosen));
        let ok = *overall == Overall::Ok;
        return format!("{}\n", watch_json(&session.identity(), vpc, ok, &report.results, watch, round, at));
    }
    let paint = context.terminal.out;
    let mut lines = Vec::new();
    if first {
        lines.extend(report.results.iter().map(|result| begun_line(paint, result, at)));
    }
    lines.extend(round.turns.iter().map(|turn| turn_line(paint, turn)));
    let told = |note: &_| round.turns.iter().any(|turn| turn.notes.contains(note));
    lines.extend(round.notes.iter().filter(|note| !told(note)).map(|note| note_line(paint, note, at)));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The last line: on a terminal it is written over, elsewhere each is a line of its own.
struct Status<'c> {
    context: &'c Context,
    over: bool,
    shown: bool,
}

impl<'c> Status<'c> {
    fn new(context: &'c Context) -> Self {
        Self { context, over: std::io::stderr().is_terminal(), shown: false }
    }

    fn show(&mut self, line: &str) {
        if self.over {
            self.clear();
            self.context.terminal.say_over(line);
            self.shown = true;
        } else {
            self.context.terminal.say(line);
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.context.terminal.say_over("");
        }
    }
}
