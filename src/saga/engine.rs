//! The engine: runs nodes in their order, takes them back in the reverse one, and journals before it acts.
//!
//! Nothing is spawned: what runs lives in the future that [`Saga::run`] returns. Dropping that future stops
//! everything at once, as `kill -9` does, and the next process resumes from the journal. A wish to stop is
//! [`Stop`]: what runs may end, nothing more is started.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::journal::{Journal, JournalError, VERSION};
use super::{Action, Ending, Event, Failure, Node, NodeState, Outcome, Progress, Record, RunMode, error_line};

/// How many steps run at once. AWS's mutating calls share one token bucket per account and region, so more would
/// only be throttled.
const AT_ONCE: usize = 8;

/// Why a saga cannot be made, run or closed. A step that fails is not an error but an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    #[error("two steps are called '{id}'")]
    Duplicate { id: String },
    #[error("step '{id}' waits for '{needs}', which does not come before it")]
    OutOfOrder { id: String, needs: String },
    #[error("there is no step '{id}'")]
    UnknownStep { id: String },
    #[error("the journal belongs to an unfinished '{saga}' with other steps; resume that first, or abandon it")]
    OtherNodes { saga: String },
    #[error("there is nothing to resume: the journal is empty")]
    NothingToResume,
    #[error("steps remain: the next is '{next}'; run or undo them, or abandon the saga")]
    Unfinished { next: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Asks a running saga to stop after what runs now. Cheap to clone, works from any thread.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// A stop that comes before a run lets that run start nothing. Each run uses it up.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

/// What one node's future does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Apply,
    Undo,
}

/// How one node's future ended.
type Ended<A> = (String, Job, Result<Option<<A as Action>::Output>, <A as Action>::Error>);
type Work<A> = Pin<Box<dyn Future<Output = Ended<A>> + Send>>;

/// What a pass over the nodes does.
enum Direction<'a> {
    /// These nodes, or all.
    Forward(Option<&'a BTreeSet<String>>),
    /// These nodes, or all.
    Back(Option<&'a BTreeSet<String>>),
}

/// A list of nodes, how far they are, and the action that moves them.
#[derive(Debug)]
pub struct Saga<A: Action> {
    action: Arc<A>,
    journal: Journal<A::Step, A::Output>,
    stop: Stop,
}

impl<A: Action> Saga<A> {
    /// Begins `nodes` under the name `saga`, or goes on with exactly these if the journal holds them. A journal of
    /// other nodes is an error: see [`Saga::resume`].
    pub fn new(
        saga: &str,
        nodes: Vec<Node<A::Step, A::Output>>,
        action: Arc<A>,
        mut journal: Journal<A::Step, A::Output>,
    ) -> Result<Self, SagaError> {
        let mut earlier = BTreeSet::new();
        for node in &nodes {
            if let Some(needs) = node.waits_for.iter().find(|needs| !earlier.contains(needs.as_str())) {
                return Err(SagaError::OutOfOrder { id: node.id.clone(), needs: needs.clone() });
            }
            if !earlier.insert(node.id.as_str()) {
                return Err(SagaError::Duplicate { id: node.id.clone() });
            }
        }
        match journal.saga() {
            Some(held) => {
                let same = serde_json::to_value(journal.nodes()).ok() == serde_json::to_value(&nodes).ok();
                if held != saga || !same {
                    return Err(SagaError::OtherNodes { saga: held.to_owned() });
                }
            }
            None => {
                let record = Record::Begin { version: VERSION, saga: saga.to_owned(), at: Timestamp::now(), nodes };
                journal.write(vec![record])?;
            }
        }
        Ok(Self::with(action, journal))
    }

    /// Goes on with what the journal holds, whatever it is. Nothing is chosen anew.
    pub fn resume(action: Arc<A>, journal: Journal<A::Step, A::Output>) -> Result<Self, SagaError> {
        if journal.is_begun() { Ok(Self::with(action, journal)) } else { Err(SagaError::NothingToResume) }
    }

    fn with(action: Arc<A>, journal: Journal<A::Step, A::Output>) -> Self {
        Self { action, journal, stop: Stop(Arc::new(watch::Sender::new(false))) }
    }

    /// A handle that stops it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The nodes, in their order.
    pub fn nodes(&self) -> &[Node<A::Step, A::Output>] {
        self.journal.nodes()
    }

    /// Where each node stands, in their order.
    pub fn states(&self) -> Vec<(&str, &NodeState)> {
        let Some(book) = &self.journal.book else { return Vec::new() };
        let state = |node: &'_ Node<A::Step, A::Output>| book.entry(&node.id).map(|entry| &entry.state);
        book.nodes.iter().filter_map(|node| Some((node.id.as_str(), state(node)?))).collect()
    }

    /// What an undo could take back, in the order in which it was begun.
    pub fn begun(&self) -> Vec<&str> {
        let Some(book) = &self.journal.book else { return Vec::new() };
        let mut begun: Vec<_> = book.entries.iter().filter(|(_, entry)| can_be_undone(&entry.state)).collect();
        begun.sort_by_key(|(_, entry)| entry.begun);
        begun.into_iter().map(|(id, _)| id.as_str()).collect()
    }

    /// What the nodes that are done have left, what was given included.
    pub fn outputs(&self) -> BTreeMap<String, A::Output> {
        let Some(book) = &self.journal.book else { return BTreeMap::new() };
        let done = book.entries.iter().filter(|(_, entry)| entry.state.is_done());
        done.filter_map(|(id, entry)| Some((id.clone(), entry.output.clone()?))).collect()
    }

    /// The next node that a run would start. `None`: all are done, or what remains waits for something that failed.
    pub fn next(&self) -> Option<&str> {
        let book = self.journal.book.as_ref()?;
        book.nodes.iter().find(|node| !book.is_done(&node.id) && book.unmet(node).is_none()).map(|n| n.id.as_str())
    }

    /// Applies nodes as far as `mode` says. A node that was begun and whose end is not known, or that failed, is
    /// checked first; one that was half taken back is taken back entirely first. When a node fails, what does not
    /// depend on it goes on.
    pub async fn run(
        &mut self,
        mode: RunMode,
        on_event: &mut (dyn FnMut(Event<A::Output>) + Send),
    ) -> Result<Outcome<A::Error>, SagaError> {
        let wanted = match mode {
            RunMode::All => None,
            RunMode::One => Some(self.next().map(str::to_owned).into_iter().collect()),
            RunMode::Until(id) => Some(self.needed_for(&id)?),
        };
        let (failures, stopped) = self.pass(Direction::Forward(wanted.as_ref()), on_event).await?;
        let book = self.journal.book.as_ref();
        let remains = |id: &String| book.is_some_and(|book| !book.is_done(id));
        let asked_for_remains = wanted.as_ref().is_none_or(|wanted| wanted.iter().any(remains));
        Ok(match self.next().map(str::to_owned) {
            _ if !failures.is_empty() => Outcome::Failed { failures },
            None => Outcome::Finished,
            Some(_) if stopped && asked_for_remains => Outcome::Stopped,
            Some(next) => Outcome::Paused { next },
        })
    }

    /// Takes back the node that was begun last.
    pub async fn undo_last(
        &mut self,
        on_event: &mut (dyn FnMut(Event<A::Output>) + Send),
    ) -> Result<Outcome<A::Error>, SagaError> {
        let last = self.journal.book.as_ref().and_then(|book| {
            let begun = book.entries.iter().filter(|(_, entry)| can_be_undone(&entry.state));
            begun.max_by_key(|(_, entry)| entry.begun).map(|(id, _)| id.clone())
        });
        let Some(last) = last else { return Ok(Outcome::Undone) };
        self.undo(Some(last), on_event).await
    }

    /// Takes back everything that this saga did, dependents first, independent nodes at once.
    pub async fn undo_all(
        &mut self,
        on_event: &mut (dyn FnMut(Event<A::Output>) + Send),
    ) -> Result<Outcome<A::Error>, SagaError> {
        self.undo(None, on_event).await
    }

    async fn undo(
        &mut self,
        only: Option<String>,
        on_event: &mut (dyn FnMut(Event<A::Output>) + Send),
    ) -> Result<Outcome<A::Error>, SagaError> {
        let wanted = only.clone().map(|id| BTreeSet::from([id]));
        let (failures, stopped) = self.pass(Direction::Back(wanted.as_ref()), on_event).await?;
        let remains = self.journal.has_effects();
        Ok(match only {
            _ if !failures.is_empty() => Outcome::Failed { failures },
            _ if !remains => Outcome::Undone,
            Some(id) if !stopped => Outcome::PartlyUndone { id },
            _ => Outcome::Stopped,
        })
    }

    /// Ends the saga and puts its journal aside. An error when steps are neither all done nor all taken back.
    pub fn close(self) -> Result<Ending, SagaError> {
        let states = self.states();
        let ending = if states.iter().all(|(_, state)| state.is_done()) {
            Ending::Finished
        } else if !self.journal.has_effects() {
            Ending::Undone
        } else {
            let next = states.iter().find(|(_, state)| !state.is_done()).map_or("", |(id, _)| *id);
            return Err(SagaError::Unfinished { next: next.to_owned() });
        };
        self.end(ending)
    }

    /// Gives the saga up where it stands and puts its journal aside: what was made stays, and is found again by its
    /// tags when a new plan is made.
    pub fn abandon(self) -> Result<Ending, SagaError> {
        self.end(Ending::Abandoned)
    }

    fn end(mut self, ending: Ending) -> Result<Ending, SagaError> {
        if self.journal.ending().is_none() {
            self.journal.write(vec![Record::End { ending, at: Timestamp::now() }])?;
        }
        self.journal.close()?;
        Ok(ending)
    }

    /// `id` and everything it waits for, directly or not.
    fn needed_for(&self, id: &str) -> Result<BTreeSet<String>, SagaError> {
        let mut needed = BTreeSet::from([id.to_owned()]);
        let mut found = false;
        // What a node waits for comes before it, so one look from the end is enough.
        for node in self.nodes().iter().rev() {
            found |= node.id == id;
            if needed.contains(&node.id) {
                needed.extend(node.waits_for.iter().cloned());
            }
        }
        if found { Ok(needed) } else { Err(SagaError::UnknownStep { id: id.to_owned() }) }
    }

    /// Starts what can be started, waits, writes down, until nothing is left. Returns what failed, and whether a stop
    /// was asked for.
    async fn pass(
        &mut self,
        direction: Direction<'_>,
        on_event: &mut (dyn FnMut(Event<A::Output>) + Send),
    ) -> Result<(Vec<Failure<A::Error>>, bool), SagaError> {
        let (progress_sender, mut progress) = mpsc::unbounded_channel();
        let mut stop = self.stop.0.subscribe();
        let mut stopping = *stop.borrow_and_update();
        let mut working: FuturesUnordered<Work<A>> = FuturesUnordered::new();
        let mut busy = BTreeSet::new();
        let mut failed = BTreeSet::new();
        let mut failures = Vec::new();
        let mut broken: Option<SagaError> = None;
        loop {
            if !stopping && broken.is_none() {
                let jobs = self.startable(&direction, &busy, &failed);
                match self.begin(&jobs, &progress_sender) {
                    Ok(works) => {
                        for ((id, job), work) in jobs.into_iter().zip(works) {
                            on_event(match job {
                                Job::Apply => Event::StepStarted { id: id.clone() },
                                Job::Undo => Event::UndoStarted { id: id.clone() },
                            });
                            busy.insert(id);
                            working.push(work);
                        }
                    }
                    Err(error) => broken = Some(error),
                }
            }
            if working.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some((id, text)) = progress.recv() => on_event(Event::Progress { id, text }),
                Ok(()) = stop.changed(), if !stopping => {
                    stopping = *stop.borrow_and_update();
                    if stopping {
                        on_event(Event::Stopping);
                    }
                }
                Some((id, job, result)) = working.next() => {
                    busy.remove(&id);
                    let (record, event, failure) = ended(id, job, result);
                    // When the journal cannot be written, what runs may still end; then the error is reported.
                    if broken.is_none() && let Err(error) = self.journal.write(vec![record]) {
                        broken = Some(error.into());
                    }
                    while let Ok((id, text)) = progress.try_recv() {
                        on_event(Event::Progress { id, text });
                    }
                    on_event(event);
                    if let Some(failure) = failure {
                        failed.insert(failure.id.clone());
                        failures.push(failure);
                    }
                }
            }
        }
        self.stop.0.send_replace(false);
        match broken {
            Some(error) => Err(error),
            None => Ok((failures, stopping)),
        }
    }

    /// What can be started now, in the order of the list (or the reverse).
    fn startable(
        &self,
        direction: &Direction<'_>,
        busy: &BTreeSet<String>,
        failed: &BTreeSet<String>,
    ) -> Vec<(String, Job)> {
        let Some(book) = &self.journal.book else { return Vec::new() };
        let free = |wanted: &Option<&BTreeSet<String>>, id: &String| {
            !busy.contains(id) && !failed.contains(id) && wanted.is_none_or(|wanted| wanted.contains(id))
        };
        let room = AT_ONCE.saturating_sub(busy.len());
        let job = |id: &String, job: Job| (id.clone(), job);
        match direction {
            Direction::Forward(wanted) => {
                let ready = |node: &&Node<A::Step, A::Output>| {
                    free(wanted, &node.id) && !book.is_done(&node.id) && book.unmet(node).is_none()
                };
                let what = |node: &Node<A::Step, A::Output>| {
                    let half_undone = book
                        .entry(&node.id)
                        .is_some_and(|e| matches!(e.state, NodeState::Undoing | NodeState::UndoFailed(_)));
                    job(&node.id, if half_undone { Job::Undo } else { Job::Apply })
                };
                book.nodes.iter().filter(ready).map(what).take(room).collect()
            }
            Direction::Back(wanted) => {
                let ready = |node: &&Node<A::Step, A::Output>| {
                    free(wanted, &node.id)
                        && book.entry(&node.id).is_some_and(|entry| can_be_undone(&entry.state))
                        && book.dependent_of(&node.id).is_none()
                };
                book.nodes.iter().rev().filter(ready).map(|node| job(&node.id, Job::Undo)).take(room).collect()
            }
        }
    }

    /// Writes down that `jobs` are begun, and makes their futures. Nothing is sent before they are polled.
    fn begin(
        &mut self,
        jobs: &[(String, Job)],
        progress: &mpsc::UnboundedSender<(String, String)>,
    ) -> Result<Vec<Work<A>>, SagaError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let outputs = Arc::new(self.outputs());
        let at = Timestamp::now();
        let Some(book) = &self.journal.book else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        let mut works: Vec<Work<A>> = Vec::new();
        for (id, job) in jobs {
            let (Some(node), Some(entry)) = (book.node(id), book.entry(id)) else { continue };
            let (action, outputs) = (Arc::clone(&self.action), Arc::clone(&outputs));
            let (id, step, known) = (id.clone(), node.step.clone(), entry.output.clone());
            let progress = Progress::new(id.clone(), progress.clone());
            match job {
                Job::Apply => {
                    // A token from before means that the call may have been made.
                    let in_doubt = entry.token.is_some();
                    let token = entry.token.clone().unwrap_or_else(new_token);
                    records.push(Record::Started { id: id.clone(), token: token.clone(), at });
                    works.push(Box::pin(async move {
                        let result = apply(&*action, in_doubt, &step, &outputs, &token, &progress).await;
                        (id, Job::Apply, result.map(Some))
                    }));
                }
                Job::Undo => {
                    let token = entry.token.clone().unwrap_or_default();
                    records.push(Record::UndoStarted { id: id.clone(), at });
                    works.push(Box::pin(async move {
                        let result = undo(&*action, known, &step, &outputs, &token, &progress).await;
                        (id, Job::Undo, result.map(|()| None))
                    }));
                }
            }
        }
        self.journal.write(records)?;
        Ok(works)
    }
}

async fn apply<A: Action>(
    action: &A,
    in_doubt: bool,
    step: &A::Step,
    outputs: &BTreeMap<String, A::Output>,
    token: &str,
    progress: &Progress,
) -> Result<A::Output, A::Error> {
    if in_doubt && let Some(output) = action.check(step, outputs, token).await? {
        return Ok(output);
    }
    action.apply(step, outputs, token, progress).await
}

async fn undo<A: Action>(
    action: &A,
    known: Option<A::Output>,
    step: &A::Step,
    outputs: &BTreeMap<String, A::Output>,
    token: &str,
    progress: &Progress,
) -> Result<(), A::Error> {
    // Begun, and nobody knows how it ended: ask before taking back.
    let output = match known {
        Some(output) => Some(output),
        None => action.check(step, outputs, token).await?,
    };
    match output {
        Some(output) => action.undo(step, &output, outputs, progress).await,
        None => Ok(()),
    }
}

/// What to write and tell when a node's future has ended.
fn ended<S, O: Clone, E: Error + 'static>(
    id: String,
    job: Job,
    result: Result<Option<O>, E>,
) -> (Record<S, O>, Event<O>, Option<Failure<E>>) {
    let at = Timestamp::now();
    match (job, result) {
        (Job::Apply, Ok(Some(output))) => (
            Record::Succeeded { id: id.clone(), output: output.clone(), at },
            Event::StepSucceeded { id, output },
            None,
        ),
        (_, Ok(_)) => (Record::Undone { id: id.clone(), at }, Event::Undone { id }, None),
        (job, Err(error)) => {
            let text = error_line(&error);
            let failure = Failure { id: id.clone(), error: Arc::new(error) };
            let (record, event) = match job {
                Job::Apply => {
                    (Record::Failed { id: id.clone(), error: text.clone(), at }, Event::StepFailed { id, error: text })
                }
                Job::Undo => (
                    Record::UndoFailed { id: id.clone(), error: text.clone(), at },
                    Event::UndoFailed { id, error: text },
                ),
            };
            (record, event, Some(failure))
        }
    }
}

/// Whether there is something, or may be something, to take back.
fn can_be_undone(state: &NodeState) -> bool {
    !matches!(state, NodeState::Given | NodeState::Waiting)
}

/// 32 hexadecimal digits that no other step has.
fn new_token() -> String {
    format!("{:032x}", fastrand::u128(..))
}
