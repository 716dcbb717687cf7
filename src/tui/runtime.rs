//! The loop: keys, time, signals and answers become messages on one path; `update` turns them into state and effects;
//! effects run as tasks that answer with messages. Nothing here waits for AWS.

mod record;
mod workbench;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures::StreamExt;
use jiff::Timestamp;
use signal_hook::consts::{SIGCONT, SIGTSTP};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};

use super::backend::{Backend, EventSink};
use super::effect::Effect;
use super::keymap::Keymap;
use super::message::{Failure, Message};
use super::model::{Model, Settings};
use super::terminal::Screen;
use super::theme::Theme;
use super::update;
use crate::model::InstanceId;

pub use record::Record;
pub use workbench::{ShellDoor, Workbench};

/// While something is in progress, the spinner moves this often.
const BUSY_TICK: Duration = Duration::from_millis(100);
/// Otherwise time passes this often: ages are shown in seconds.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// So many messages are taken in before the next frame, at most: a flood does not stop the drawing.
const BATCH: usize = 256;

/// How the console is set up.
#[derive(Debug, Clone)]
pub struct Options {
    pub theme: Theme,
    pub keymap: Keymap,
    pub settings: Settings,
}

/// Why the console ended other than by the person's wish.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("the console cannot use the terminal")]
    Terminal(#[from] io::Error),
    #[error("an operation of the console ended in a defect")]
    Defect(#[from] JoinError),
}

/// Runs the console until the person quits, the terminal goes away or a signal ends it.
pub async fn run<B: Backend>(backend: Arc<B>, options: Options) -> Result<(), ConsoleError> {
    let Options { theme, keymap, settings } = options;
    let mut screen = Screen::take()?;
    let mut model = Model::new(backend.identity(), settings, Arc::new(keymap), Timestamp::now());
    model.size = screen.size();
    // The first frame is there before anything is asked.
    screen.draw(&model, &theme)?;
    model.dirty = false;

    let mut inputs = Inputs::new()?;
    let mut work = Work::new(backend, inputs.sender.clone());
    let first = update::start(&mut model);
    if carry_out(first, &mut screen, &mut work)? == Flow::End {
        return Ok(());
    }
    loop {
        if model.dirty {
            screen.draw(&model, &theme)?;
            model.dirty = false;
        }
        let tick = if model.is_busy() { BUSY_TICK } else { IDLE_TICK };
        let happened = inputs.next(tick, &mut work.tasks).await?;
        let mut next = Some(happened);
        for _ in 0..BATCH {
            let Some(happened) = next.take().or_else(|| inputs.ready()) else { break };
            let effects = match happened {
                Happened::Message(message) => {
                    let time = update::update(&mut model, Message::Tick { now: Timestamp::now() });
                    let mut effects = update::update(&mut model, message);
                    effects.extend(time);
                    effects
                }
                Happened::Time => update::update(&mut model, Message::Tick { now: Timestamp::now() }),
                Happened::Suspend => vec![Effect::Suspend],
                Happened::Continued => {
                    screen.retake()?;
                    model.size = screen.size();
                    update::update(&mut model, Message::Resumed)
                }
            };
            match carry_out(effects, &mut screen, &mut work)? {
                Flow::GoOn => {}
                Flow::End => return Ok(()),
                Flow::Shell(instance_id) => {
                    let ended = lend(&mut screen, &mut inputs, work.backend.clone(), instance_id).await?;
                    model.size = screen.size();
                    let effects = update::update(&mut model, Message::ShellEnded(ended));
                    carry_out(effects, &mut screen, &mut work)?;
                }
            }
        }
        let calls = work.new_calls();
        if !calls.is_empty() {
            update::update(&mut model, Message::Calls(calls));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Flow {
    GoOn,
    End,
    /// A shell is to have the terminal.
    Shell(InstanceId),
}

/// Lends the terminal to a shell on an instance, and takes it again. Answers that arrive meanwhile wait.
async fn lend<B: Backend>(
    screen: &mut Screen,
    inputs: &mut Inputs,
    backend: Arc<B>,
    instance_id: InstanceId,
) -> Result<Result<(), Failure>, ConsoleError> {
    inputs.let_go_of_keys().await;
    screen.lend();
    let ended = tokio::task::spawn_blocking(move || backend.shell(&instance_id)).await;
    screen.retake()?;
    inputs.take_keys();
    Ok(ended?)
}

/// What can wake the loop.
enum Happened {
    Message(Message),
    Time,
    Suspend,
    Continued,
}

/// Where messages come from.
struct Inputs {
    /// Carries keys into the channel.
    keys: JoinHandle<()>,
    sender: UnboundedSender<Message>,
    answers: UnboundedReceiver<Message>,
    terminate: Signal,
    hang_up: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Inputs {
    fn new() -> io::Result<Self> {
        let (sender, answers) = unbounded_channel();
        Ok(Self {
            keys: tokio::spawn(read_keys(sender.clone())),
            sender,
            answers,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    /// Waits for what comes next.
    async fn next(&mut self, tick: Duration, tasks: &mut JoinSet<()>) -> Result<Happened, ConsoleError> {
        loop {
            let happened = tokio::select! {
                biased;
                _ = self.terminate.recv() => Happened::Message(Message::Terminate),
                _ = self.hang_up.recv() => Happened::Message(Message::Terminate),
                _ = self.stop.recv() => Happened::Suspend,
                _ = self.go_on.recv() => Happened::Continued,
                Some(message) = self.answers.recv() => Happened::Message(message),
                Some(ended) = tasks.join_next() => match ended {
                    Err(error) if error.is_panic() => return Err(error.into()),
                    _ => continue,
                },
                () = tokio::time::sleep(tick) => Happened::Time,
            };
            return Ok(happened);
        }
    }

    /// Stops reading the keyboard: it is somebody else's.
    async fn let_go_of_keys(&mut self) {
        self.keys.abort();
        // It ends by being aborted, which is no news.
        let _ = (&mut self.keys).await;
    }

    fn take_keys(&mut self) {
        self.keys = tokio::spawn(read_keys(self.sender.clone()));
    }

    /// What is there already, without waiting.
    fn ready(&mut self) -> Option<Happened> {
        self.answers.try_recv().ok().map(Happened::Message)
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        self.keys.abort();
    }
}

/// Reads the terminal until it is gone. Nothing else may poll the stream: it wakes only who polled it last while it
/// waits.
async fn read_keys(sender: UnboundedSender<Message>) {
    let mut events = EventStream::new();
    while let Some(Ok(event)) = events.next().await {
        if let Some(message) = translate(event)
            && sender.send(message).is_err()
        {
            return;
        }
    }
    let _ = sender.send(Message::Terminate);
}

fn translate(event: TerminalEvent) -> Option<Message> {
    match event {
        TerminalEvent::Key(key) => Some(Message::Key(key)),
        TerminalEvent::Paste(text) => Some(Message::Paste(text)),
        TerminalEvent::Resize(columns, rows) => Some(Message::Resize(columns, rows)),
        TerminalEvent::FocusGained | TerminalEvent::FocusLost | TerminalEvent::Mouse(_) => None,
    }
}

fn carry_out<B: Backend>(effects: Vec<Effect>, screen: &mut Screen, work: &mut Work<B>) -> io::Result<Flow> {
    let mut flow = Flow::GoOn;
    for effect in effects {
        match effect {
            Effect::Quit => return Ok(Flow::End),
            Effect::Shell { instance_id } => flow = Flow::Shell(instance_id),
            Effect::Copy { text } => screen.copy(&text)?,
            // SIGCONT, which ends this, is also a signal to take a new look.
            Effect::Suspend => screen.suspend()?,
            other => work.begin(other),
        }
    }
    Ok(flow)
}

/// Effects under way.
struct Work<B> {
    backend: Arc<B>,
    sender: UnboundedSender<Message>,
    tasks: JoinSet<()>,
    /// The newest observation: a newer one replaces it.
    observation: Option<AbortHandle>,
    /// The newest planning: a newer one replaces it.
    planning: Option<AbortHandle>,
    /// The newest call of the API log that the console has.
    last_call: u64,
}

impl<B: Backend> Work<B> {
    fn new(backend: Arc<B>, sender: UnboundedSender<Message>) -> Self {
        Self { backend, sender, tasks: JoinSet::new(), observation: None, planning: None, last_call: 0 }
    }

    fn new_calls(&mut self) -> Vec<crate::model::ApiCall> {
        let calls = self.backend.calls_after(self.last_call);
        self.last_call = calls.last().map_or(self.last_call, |call| call.number);
        calls
    }

    /// Runs a question to its end and sends the answer.
    fn ask(&mut self, question: impl Future<Output = Message> + Send + 'static) -> AbortHandle {
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let answer = question.await;
            let _ = sender.send(answer);
        })
    }

    /// A sink whose events become messages.
    fn sink<T: Send + 'static>(&mut self, wrap: impl Fn(T) -> Message + Send + 'static) -> (EventSink<T>, Forward) {
        let (events, mut received) = unbounded_channel();
        let sender = self.sender.clone();
        let forward = async move {
            while let Some(event) = received.recv().await {
                let _ = sender.send(wrap(event));
            }
        };
        (EventSink::new(events), Box::pin(forward))
    }

    fn begin(&mut self, effect: Effect) {
        let backend = self.backend.clone();
        match effect {
            Effect::Identify => {
                self.ask(async move { Message::Identified(backend.caller_identity().await) });
            }
            Effect::Observe { generation } => {
                let question = async move {
                    let result = backend.observe().await.map(Box::new);
                    Message::Observed { generation, result }
                };
                let newest = self.ask(question);
                replace(&mut self.observation, newest);
            }
            Effect::Walk { generation, network, instance_id, depth } => {
                self.ask(async move {
                    let result = backend.walk(network, instance_id.clone(), depth).await.map(Box::new);
                    Message::Walked { generation, instance_id, result }
                });
            }
            Effect::Diagnose { generation, network, instance_id, depth } => {
                self.ask(async move {
                    let result = backend.diagnose(network, instance_id, depth).await.map(Box::new);
                    Message::Diagnosed { generation, result }
                });
            }
            Effect::SaveReport { story, redact } => {
                self.ask(async move { Message::ReportSaved(backend.save_report(*story, redact).await) });
            }
            Effect::ListDrills { generation, instance_id } => {
                self.ask(async move {
                    let result = backend.drills(instance_id).await;
                    Message::DrillsListed { generation, result }
                });
            }
            Effect::Break { generation, causes, instance_id } => {
                self.ask(async move {
                    let result = backend.break_egress(causes, instance_id).await;
                    Message::Broke { generation, result }
                });
            }
            Effect::PlanProvision { generation, network } => {
                let question = async move {
                    let result = backend.plan_provision(network).await.map(Box::new);
                    Message::Planned { generation, result }
                };
                let newest = self.ask(question);
                replace(&mut self.planning, newest);
            }
            Effect::PlanTeardown { generation, stack } => {
                let question = async move {
                    let result = backend.plan_teardown(stack).await.map(Box::new);
                    Message::Planned { generation, result }
                };
                let newest = self.ask(question);
                replace(&mut self.planning, newest);
            }
            Effect::Run { generation, plan, mode } => {
                let (events, forward) = self.sink(move |event| Message::Run { generation, event });
                self.ask(async move {
                    // Both to their ends, so that the end comes after the last event.
                    let (end, ()) = tokio::join!(backend.run(plan, mode, events), forward);
                    Message::RunEnded { generation, end }
                });
            }
            Effect::StopRun => backend.stop_run(),
            Effect::UndoLast { generation, plan } => {
                let (events, forward) = self.sink(move |event| Message::Run { generation, event });
                self.ask(async move {
                    let (end, ()) = tokio::join!(backend.undo_last(plan, events), forward);
                    Message::RunEnded { generation, end }
                });
            }
            Effect::Check { generation, network, instance_ids } => {
                let (progress, forward) = self.sink(move |progress| Message::Check { generation, progress });
                self.ask(async move {
                    let (result, ()) = tokio::join!(backend.check(network, instance_ids, progress), forward);
                    Message::CheckEnded { generation, result }
                });
            }
            // Carried out by the loop itself, which has the terminal.
            Effect::Copy { .. } | Effect::Suspend | Effect::Shell { .. } | Effect::Quit => {}
        }
    }
}

/// Carries events on until their sink is gone.
type Forward = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends the older question: its answer would be late.
fn replace(slot: &mut Option<AbortHandle>, newest: AbortHandle) {
    if let Some(older) = slot.replace(newest) {
        older.abort();
    }
}
