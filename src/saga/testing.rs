//! Proofs that a plan and an action survive being failed, repeated and killed at every step. For test suites: the
//! same three questions are asked of a toy world here and of the sandbox in the integration tests.
//!
//! A [`Trial`] makes fresh worlds; each proof runs one saga per step and per way of going wrong, and compares what the
//! world looks like at the end. Nothing here panics: what went wrong comes back as a [`Disproof`].

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::future::LocalBoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Notify;

use super::{Action, Journal, MemoryLog, Node, Outcome, Progress, RunMode, Saga, SagaError};

/// One fresh world with the plan that is made for it.
pub trait Trial: Sized + Send + Sync {
    type Action: Action;
    /// What two worlds are compared by. Identifiers and times that differ from run to run must be left out.
    type Snapshot: PartialEq + Debug + Send;
    /// How many worlds are tried at once, on one thread. Many only where most of the time is spent waiting: they keep
    /// each other from their deadlines otherwise.
    const AT_ONCE: usize = 4;

    /// A world as it is before the plan.
    fn fresh() -> impl Future<Output = Self> + Send;
    /// Acts on this world. Called again after a "crash": it must not share memory with the earlier action.
    fn action(&self) -> Self::Action;
    fn nodes(&self) -> Vec<TrialNode<Self>>;
    fn snapshot(&self) -> impl Future<Output = Self::Snapshot> + Send;
    /// Takes away what the plan made, without its journal: by looking at the world. The reason why it could not.
    fn remove(&self) -> impl Future<Output = Result<(), String>> {
        std::future::ready(Err("this trial knows its journal only".to_owned()))
    }
}

/// A node of a trial's plan.
pub type TrialNode<T> = Node<<<T as Trial>::Action as Action>::Step, <<T as Trial>::Action as Action>::Output>;

/// What did not hold.
#[derive(Debug, thiserror::Error)]
pub enum Disproof {
    #[error("{case}: the saga ended as {outcome}, not as {wanted}")]
    Ending { case: String, outcome: String, wanted: &'static str },
    #[error("{case}: the world differs\n  is     {is}\n  wanted {wanted}")]
    World { case: String, is: String, wanted: String },
    #[error("{case}: nothing could take it away: {reason}")]
    Removal { case: String, reason: String },
    #[error("{case}: the point was never reached")]
    NotReached { case: String },
    #[error("{case}")]
    Saga { case: String, source: SagaError },
}

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The journal says that the step is begun, and nothing was sent.
    BeforeCall,
    /// The call's future was polled so many times and then never again: something was sent, perhaps.
    MidCall { polls: u32 },
    /// The call is through and its answer is not in the journal.
    AfterCall,
}

/// The three points at which a process is killed in [`killed_at_every_step`], and one deeper inside of a call.
pub const POINTS: [Point; 4] =
    [Point::BeforeCall, Point::MidCall { polls: 1 }, Point::MidCall { polls: 4 }, Point::AfterCall];

/// Which method goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Apply,
    Undo,
}

/// What happens at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The process dies: the future never answers.
    Hang,
    /// The step fails.
    Fail,
    /// The step is done twice, as after a lost answer.
    Repeat,
}

/// An action with one thing going wrong, once.
struct Sabotage<A> {
    inner: A,
    id: String,
    method: Method,
    point: Point,
    fate: Fate,
    reached: Arc<Notify>,
    spent: AtomicBool,
}

/// An error of the action, or the one that was injected.
#[derive(Debug, thiserror::Error)]
enum SabotageError<E: std::error::Error + 'static> {
    #[error(transparent)]
    Inner(E),
    #[error("failed on purpose")]
    Injected,
}

impl<A: Action> Sabotage<A> {
    fn strikes(&self, method: Method, progress: &Progress) -> bool {
        self.method == method && progress.id() == self.id && !self.spent.swap(true, Ordering::SeqCst)
    }

    /// Runs `call` up to the point, and then lets fate take over.
    async fn strike<T>(&self, call: impl Future<Output = Result<T, A::Error>>) -> Result<T, SabotageError<A::Error>> {
        match self.point {
            Point::BeforeCall => {}
            Point::MidCall { polls } => {
                let mut left = polls;
                let mut call = pin!(call);
                // Ready before the polls are used up counts as through: that is the point after the call.
                poll_fn(|context| {
                    if left == 0 {
                        return Poll::Ready(());
                    }
                    left -= 1;
                    call.as_mut().poll(context).map(drop)
                })
                .await;
            }
            Point::AfterCall => drop(call.await),
        }
        self.reached.notify_one();
        match self.fate {
            Fate::Hang => std::future::pending().await,
            Fate::Fail | Fate::Repeat => Err(SabotageError::Injected),
        }
    }
}

impl<A: Action> Action for Sabotage<A> {
    type Step = A::Step;
    type Output = A::Output;
    type Error = SabotageError<A::Error>;

    async fn check(
        &self,
        step: &A::Step,
        outputs: &BTreeMap<String, A::Output>,
        token: &str,
    ) -> Result<Option<A::Output>, Self::Error> {
        self.inner.check(step, outputs, token).await.map_err(SabotageError::Inner)
    }

    async fn apply(
        &self,
        step: &A::Step,
        outputs: &BTreeMap<String, A::Output>,
        token: &str,
        progress: &Progress,
    ) -> Result<A::Output, Self::Error> {
        let call = self.inner.apply(step, outputs, token, progress);
        match (self.strikes(Method::Apply, progress), self.fate) {
            (false, _) => call.await.map_err(SabotageError::Inner),
            (true, Fate::Repeat) => {
                call.await.map_err(SabotageError::Inner)?;
                self.reached.notify_one();
                // The engine asks before it applies again, so this does too.
                match self.inner.check(step, outputs, token).await.map_err(SabotageError::Inner)? {
                    Some(output) => Ok(output),
                    None => self.inner.apply(step, outputs, token, progress).await.map_err(SabotageError::Inner),
                }
            }
            (true, _) => self.strike(call).await,
        }
    }

    async fn undo(
        &self,
        step: &A::Step,
        output: &A::Output,
        outputs: &BTreeMap<String, A::Output>,
        progress: &Progress,
    ) -> Result<(), Self::Error> {
        let call = self.inner.undo(step, output, outputs, progress);
        match (self.strikes(Method::Undo, progress), self.fate) {
            (false, _) => call.await.map_err(SabotageError::Inner),
            (true, Fate::Repeat) => {
                call.await.map_err(SabotageError::Inner)?;
                self.reached.notify_one();
                self.inner.undo(step, output, outputs, progress).await.map_err(SabotageError::Inner)
            }
            (true, _) => self.strike(call).await,
        }
    }
}

/// The name of the sagas here.
const NAME: &str = "trial";

/// A saga with one thing going to go wrong, and what tells that it has.
type Sabotaged<T> = (Saga<Sabotage<<T as Trial>::Action>>, Arc<Notify>);

fn sabotaged<T: Trial>(
    trial: &T,
    log: &MemoryLog,
    id: &str,
    wrong: (Method, Point, Fate),
    case: &str,
) -> Result<Sabotaged<T>, Disproof> {
    let reached = Arc::new(Notify::new());
    let action = Sabotage {
        inner: trial.action(),
        id: id.to_owned(),
        method: wrong.0,
        point: wrong.1,
        fate: wrong.2,
        reached: Arc::clone(&reached),
        spent: AtomicBool::new(false),
    };
    let journal = Journal::in_memory(log).map_err(|error| in_case(case, error.into()))?;
    let saga = Saga::new(NAME, trial.nodes(), Arc::new(action), journal).map_err(|error| in_case(case, error))?;
    Ok((saga, reached))
}

/// A saga on what the log holds, with nothing going wrong.
fn resumed<T: Trial>(trial: &T, log: &MemoryLog, case: &str) -> Result<Saga<T::Action>, Disproof> {
    let journal = Journal::in_memory(log).map_err(|error| in_case(case, error.into()))?;
    Saga::resume(Arc::new(trial.action()), journal).map_err(|error| in_case(case, error))
}

fn in_case(case: &str, source: SagaError) -> Disproof {
    Disproof::Saga { case: case.to_owned(), source }
}

/// What a run must end as.
fn expect<E: fmt::Display>(
    case: &str,
    outcome: Result<Outcome<E>, SagaError>,
    wanted: &'static str,
) -> Result<(), Disproof> {
    let outcome = outcome.map_err(|error| in_case(case, error))?;
    let (kind, text) = match &outcome {
        Outcome::Finished => ("finished", "finished".to_owned()),
        Outcome::Paused { next } => ("paused", format!("paused before '{next}'")),
        Outcome::Stopped => ("stopped", "stopped".to_owned()),
        Outcome::Failed { failures } => {
            let list: Vec<_> = failures.iter().map(|f| format!("'{}': {}", f.id, f.error)).collect();
            ("failed", format!("failed at {}", list.join(", ")))
        }
        Outcome::Undone => ("undone", "undone".to_owned()),
        Outcome::PartlyUndone { id } => ("partly undone", format!("'{id}' undone")),
    };
    if kind == wanted { Ok(()) } else { Err(Disproof::Ending { case: case.to_owned(), outcome: text, wanted }) }
}

async fn compare<T: Trial>(case: &str, trial: &T, wanted: &T::Snapshot) -> Result<(), Disproof> {
    let is = trial.snapshot().await;
    if &is == wanted {
        return Ok(());
    }
    Err(Disproof::World { case: case.to_owned(), is: format!("{is:?}"), wanted: format!("{wanted:?}") })
}

/// The steps that a plan really takes.
fn ids<T: Trial>(trial: &T) -> Vec<String> {
    trial.nodes().into_iter().filter(|node| node.given.is_none()).map(|node| node.id).collect()
}

/// How the world looks before, and how after a run in which nothing goes wrong.
async fn reference<T: Trial>() -> Result<(Vec<String>, T::Snapshot, T::Snapshot), Disproof> {
    let case = "the undisturbed run";
    let trial = T::fresh().await;
    let before = trial.snapshot().await;
    let log = MemoryLog::default();
    let journal = Journal::in_memory(&log).map_err(|error| in_case(case, error.into()))?;
    let mut saga =
        Saga::new(NAME, trial.nodes(), Arc::new(trial.action()), journal).map_err(|error| in_case(case, error))?;
    expect(case, saga.run(RunMode::All, &mut |_| {}).await, "finished")?;
    Ok((ids(&trial), before, trial.snapshot().await))
}

/// Runs every case, many at once, each in a world of its own. Stops at the first that does not hold.
async fn each<T: Trial, C>(
    cases: impl IntoIterator<Item = C>,
    prove: impl Fn(C) -> LocalBoxFuture<'static, Result<(), Disproof>>,
) -> Result<usize, Disproof> {
    let cases: Vec<C> = cases.into_iter().collect();
    let count = cases.len();
    stream::iter(cases).map(prove).buffer_unordered(T::AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(count)
}

/// Every step with every point.
fn at_every_point(ids: Vec<String>) -> impl Iterator<Item = (String, Point)> {
    ids.into_iter().flat_map(|id| POINTS.map(|point| (id.clone(), point)))
}

/// Every node fails in turn, before and after its call; then everything is undone, and the world is as it was.
pub async fn clean_after_every_failure<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, before, _) = Box::pin(reference::<T>()).await?;
    let before = Rc::new(before);
    each::<T, _>(at_every_point(ids), |(id, point)| Box::pin(clean_after_failure::<T>(id, point, before.clone()))).await
}

async fn clean_after_failure<T: Trial>(id: String, point: Point, before: Rc<T::Snapshot>) -> Result<(), Disproof> {
    let case = format!("step '{id}' fails at {point:?}");
    let trial = T::fresh().await;
    let log = MemoryLog::default();
    let (mut saga, _) = sabotaged(&trial, &log, &id, (Method::Apply, point, Fate::Fail), &case)?;
    expect(&case, saga.run(RunMode::All, &mut |_| {}).await, "failed")?;
    expect(&case, saga.undo_all(&mut |_| {}).await, "undone")?;
    compare(&case, &trial, &before).await
}

/// Every node fails in turn, before and after its call; the run is repeated, and the end is the same as ever.
pub async fn finished_after_every_failure<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, _, after) = Box::pin(reference::<T>()).await?;
    let after = Rc::new(after);
    each::<T, _>(at_every_point(ids), |(id, point)| Box::pin(finished_after_failure::<T>(id, point, after.clone())))
        .await
}

async fn finished_after_failure<T: Trial>(id: String, point: Point, after: Rc<T::Snapshot>) -> Result<(), Disproof> {
    let case = format!("step '{id}' fails at {point:?}, and is run again");
    let trial = T::fresh().await;
    let log = MemoryLog::default();
    let (mut saga, _) = sabotaged(&trial, &log, &id, (Method::Apply, point, Fate::Fail), &case)?;
    expect(&case, saga.run(RunMode::All, &mut |_| {}).await, "failed")?;
    expect(&case, saga.run(RunMode::All, &mut |_| {}).await, "finished")?;
    compare(&case, &trial, &after).await
}

/// Every node is applied twice in turn, and the world is the same as after once; every undo is done twice, and the
/// world is as it was.
pub async fn same_after_every_repetition<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, before, after) = Box::pin(reference::<T>()).await?;
    let (before, after) = (Rc::new(before), Rc::new(after));
    let cases = ids.into_iter().flat_map(|id| [(id.clone(), Method::Apply), (id, Method::Undo)]);
    each::<T, _>(cases, |(id, method)| {
        let wanted = if method == Method::Apply { after.clone() } else { before.clone() };
        Box::pin(same_after_repetition::<T>(id, method, wanted))
    })
    .await
}

async fn same_after_repetition<T: Trial>(id: String, method: Method, wanted: Rc<T::Snapshot>) -> Result<(), Disproof> {
    let case = format!("{method:?} of step '{id}' is done twice");
    let trial = T::fresh().await;
    let wrong = (method, Point::AfterCall, Fate::Repeat);
    let (mut saga, _) = sabotaged(&trial, &MemoryLog::default(), &id, wrong, &case)?;
    expect(&case, saga.run(RunMode::All, &mut |_| {}).await, "finished")?;
    if method == Method::Undo {
        expect(&case, saga.undo_all(&mut |_| {}).await, "undone")?;
    }
    compare(&case, &trial, &wanted).await
}

/// The process is killed at each point of each node in turn; the next process reaches the same end.
pub async fn finished_after_every_kill<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, _, after) = Box::pin(reference::<T>()).await?;
    let after = Rc::new(after);
    each::<T, _>(at_every_point(ids), |(id, point)| Box::pin(finished_after_kill::<T>(id, point, after.clone()))).await
}

async fn finished_after_kill<T: Trial>(id: String, point: Point, after: Rc<T::Snapshot>) -> Result<(), Disproof> {
    let case = format!("killed at {point:?} of step '{id}'");
    let trial = T::fresh().await;
    let log = MemoryLog::default();
    killed(&trial, &log, &id, point, &case).await?;
    let mut saga = resumed(&trial, &log, &case)?;
    expect(&case, saga.run(RunMode::All, &mut |_| {}).await, "finished")?;
    compare(&case, &trial, &after).await
}

/// Runs until the process dies at the point.
async fn killed<T: Trial>(trial: &T, log: &MemoryLog, id: &str, point: Point, case: &str) -> Result<(), Disproof> {
    let (mut saga, reached) = sabotaged(trial, log, id, (Method::Apply, point, Fate::Hang), case)?;
    let mut silent = |_| {};
    tokio::select! {
        _ = saga.run(RunMode::All, &mut silent) => Err(Disproof::NotReached { case: case.to_owned() }),
        () = reached.notified() => Ok(()),
    }
}

/// The process is killed at each point of each node in turn and its journal is lost; what it made is taken away all the
/// same, and the world is as it was.
pub async fn removed_after_every_kill<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, before, _) = Box::pin(reference::<T>()).await?;
    let before = Rc::new(before);
    each::<T, _>(at_every_point(ids), |(id, point)| Box::pin(removed_after_kill::<T>(id, point, before.clone()))).await
}

async fn removed_after_kill<T: Trial>(id: String, point: Point, before: Rc<T::Snapshot>) -> Result<(), Disproof> {
    let case = format!("killed at {point:?} of step '{id}', then taken away");
    let trial = T::fresh().await;
    killed(&trial, &MemoryLog::default(), &id, point, &case).await?;
    trial.remove().await.map_err(|reason| Disproof::Removal { case: case.clone(), reason })?;
    compare(&case, &trial, &before).await
}

/// The process is killed at each point of each node in turn, while applying and while undoing; the next process undoes
/// everything, and the world is as it was.
pub async fn clean_after_every_kill<T: Trial + 'static>() -> Result<usize, Disproof> {
    let (ids, before, _) = Box::pin(reference::<T>()).await?;
    let before = Rc::new(before);
    let cases = at_every_point(ids)
        .flat_map(|(id, point)| [Method::Apply, Method::Undo].map(|method| (id.clone(), method, point)));
    each::<T, _>(cases, |(id, method, point)| Box::pin(clean_after_kill::<T>(id, method, point, before.clone()))).await
}

async fn clean_after_kill<T: Trial>(
    id: String,
    method: Method,
    point: Point,
    before: Rc<T::Snapshot>,
) -> Result<(), Disproof> {
    let case = format!("killed at {point:?} of {method:?} of step '{id}', then undone");
    let trial = T::fresh().await;
    let log = MemoryLog::default();
    let (mut saga, reached) = sabotaged(&trial, &log, &id, (method, point, Fate::Hang), &case)?;
    let whole = async {
        let outcome = saga.run(RunMode::All, &mut |_| {}).await;
        if outcome.is_ok() {
            let _ = saga.undo_all(&mut |_| {}).await;
        }
    };
    tokio::select! {
        () = whole => return Err(Disproof::NotReached { case }),
        () = reached.notified() => {}
    }
    drop(saga);
    let mut saga = resumed(&trial, &log, &case)?;
    expect(&case, saga.undo_all(&mut |_| {}).await, "undone")?;
    compare(&case, &trial, &before).await
}
