//! The journal: what was begun, what ended how, and the rules for what may follow what.
//!
//! A journal is a list of [`Record`]s. Reading one folds them into a [`Book`]; writing one checks it against the
//! same rules first, then puts it on the disk, then counts it. So an illegal journal can be neither read nor written.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ending, Node, NodeState, Record};

/// Where the lines go. Once `append` has returned, the lines survive a crash.
pub trait Log: Send {
    /// Adds lines (without line ends) in one go, and flushes them to the disk.
    fn append(&mut self, lines: &[String]) -> io::Result<()>;

    /// Puts a finished journal aside.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// A log in memory, for tests and for worlds that end with the process. Clones share the lines, so that a test can
/// drop a saga and open another on the same "disk".
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    lines: Arc<Mutex<Vec<String>>>,
}

impl MemoryLog {
    /// The lines so far. Empty once closed.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Log for MemoryLog {
    fn append(&mut self, lines: &[String]) -> io::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(lines);
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("line {line} of the journal cannot be read")]
    Unreadable { line: usize, source: serde_json::Error },
    #[error("line {line} of the journal cannot be true: {rule}")]
    Illegal { line: usize, rule: IllegalRecord },
    #[error("the journal is of format {version}, and this program writes format 1; use the natdeck that wrote it")]
    Version { version: u32 },
    #[error("the journal refuses a record that cannot be true: {0}")]
    Refused(IllegalRecord),
    #[error("the record cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    #[error("the journal cannot be written; free some space or check its permissions, then run the same again")]
    Io(#[source] io::Error),
}

/// A record that may not follow what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalRecord {
    #[error("it does not start with its beginning")]
    NotBegun,
    #[error("it begins twice")]
    BegunTwice,
    #[error("it goes on after its end")]
    AfterEnd,
    #[error("it names '{id}', which is none of its steps")]
    UnknownStep { id: String },
    #[error("step '{id}' is {record} while it is {state}")]
    Transition { id: String, record: &'static str, state: &'static str },
    #[error("step '{id}' is begun again with another token")]
    OtherToken { id: String },
    #[error("step '{id}' is begun before '{needs}', which it waits for, is done")]
    TooEarly { id: String, needs: String },
    #[error("step '{id}' is taken back while '{dependent}', which needs it, is not")]
    StillNeeded { id: String, dependent: String },
}

/// What the journal knows about one step.
#[derive(Debug, Clone)]
pub(super) struct Entry<O> {
    pub(super) state: NodeState,
    /// Of the newest attempt that was not taken back.
    pub(super) token: Option<String>,
    /// What the step made. Kept while it is being taken back.
    pub(super) output: Option<O>,
    /// Counts up over all beginnings: a step begun later may need what one begun earlier made.
    pub(super) begun: u64,
}

/// The journal's records, folded.
#[derive(Debug, Clone)]
pub(super) struct Book<S, O> {
    pub(super) nodes: Vec<Node<S, O>>,
    pub(super) entries: BTreeMap<String, Entry<O>>,
    pub(super) ended: Option<Ending>,
    beginnings: u64,
}

impl<S, O: Clone> Book<S, O> {
    fn begin(nodes: Vec<Node<S, O>>) -> Self {
        let entry = |node: &Node<S, O>| {
            let state = if node.given.is_some() { NodeState::Given } else { NodeState::Waiting };
            (node.id.clone(), Entry { state, token: None, output: node.given.clone(), begun: 0 })
        };
        let entries = nodes.iter().map(entry).collect();
        Self { nodes, entries, ended: None, beginnings: 0 }
    }

    pub(super) fn node(&self, id: &str) -> Option<&Node<S, O>> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub(super) fn entry(&self, id: &str) -> Option<&Entry<O>> {
        self.entries.get(id)
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        self.entry(id).is_some_and(|entry| entry.state.is_done())
    }

    /// The first thing that `node` waits for and that is not done.
    pub(super) fn unmet<'a>(&self, node: &'a Node<S, O>) -> Option<&'a String> {
        node.waits_for.iter().find(|id| !self.is_done(id))
    }

    /// A node that needs `id` and is not back at the beginning.
    pub(super) fn dependent_of(&self, id: &str) -> Option<&Node<S, O>> {
        self.nodes.iter().find(|node| {
            node.waits_for.iter().any(|needed| needed == id)
                && self.entry(&node.id).is_some_and(|e| !matches!(e.state, NodeState::Waiting | NodeState::Given))
        })
    }

    /// Whether `record` may come next. All the transitions that there are:
    ///
    /// | record | the step's state before | after |
    /// |---|---|---|
    /// | started | waiting (new token); started, failed (the same token) | started |
    /// | succeeded | started | succeeded |
    /// | failed | started | failed |
    /// | undo_started | started, failed, succeeded, undoing, undo failed | undoing |
    /// | undone | undoing | waiting |
    /// | undo_failed | undoing | undo failed |
    ///
    /// A step starts only when what it waits for is done, and is taken back only when nothing needs it any more.
    fn allows(&self, record: &Record<S, O>) -> Result<(), IllegalRecord> {
        if self.ended.is_some() {
            return Err(IllegalRecord::AfterEnd);
        }
        let (id, name) = match record {
            Record::Begin { .. } => return Err(IllegalRecord::BegunTwice),
            Record::End { .. } => return Ok(()),
            Record::Started { id, .. } => (id, "started"),
            Record::Succeeded { id, .. } => (id, "succeeded"),
            Record::Failed { id, .. } => (id, "failed"),
            Record::UndoStarted { id, .. } => (id, "taken back"),
            Record::Undone { id, .. } => (id, "undone"),
            Record::UndoFailed { id, .. } => (id, "not undone"),
        };
        let unknown = || IllegalRecord::UnknownStep { id: id.clone() };
        let entry = self.entry(id).ok_or_else(unknown)?;
        let node = self.node(id).ok_or_else(unknown)?;
        let legal = match (record, &entry.state) {
            (Record::Started { .. }, NodeState::Waiting) => true,
            (Record::Started { token, .. }, NodeState::Started | NodeState::Failed(_)) => {
                if entry.token.as_ref() != Some(token) {
                    return Err(IllegalRecord::OtherToken { id: id.clone() });
                }
                true
            }
            (Record::Succeeded { .. } | Record::Failed { .. }, NodeState::Started) => true,
            (
                Record::UndoStarted { .. },
                NodeState::Started
                | NodeState::Failed(_)
                | NodeState::Succeeded
                | NodeState::Undoing
                | NodeState::UndoFailed(_),
            ) => true,
            (Record::Undone { .. } | Record::UndoFailed { .. }, NodeState::Undoing) => true,
            _ => false,
        };
        if !legal {
            return Err(IllegalRecord::Transition { id: id.clone(), record: name, state: state_name(&entry.state) });
        }
        match record {
            Record::Started { .. } => match self.unmet(node) {
                Some(needs) => Err(IllegalRecord::TooEarly { id: id.clone(), needs: needs.clone() }),
                None => Ok(()),
            },
            Record::UndoStarted { .. } => match self.dependent_of(id) {
                Some(node) => Err(IllegalRecord::StillNeeded { id: id.clone(), dependent: node.id.clone() }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Counts a record that [`Book::allows`].
    fn advance(&mut self, record: &Record<S, O>) {
        let (id, state) = match record {
            Record::Begin { .. } => return,
            Record::End { ending, .. } => {
                self.ended = Some(*ending);
                return;
            }
            Record::Started { id, .. } => (id, NodeState::Started),
            Record::Succeeded { id, .. } => (id, NodeState::Succeeded),
            Record::Failed { id, error, .. } => (id, NodeState::Failed(error.clone())),
            Record::UndoStarted { id, .. } => (id, NodeState::Undoing),
            Record::Undone { id, .. } => (id, NodeState::Waiting),
            Record::UndoFailed { id, error, .. } => (id, NodeState::UndoFailed(error.clone())),
        };
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.state = state;
        match record {
            Record::Started { token, .. } => {
                self.beginnings += 1;
                entry.token = Some(token.clone());
                entry.begun = self.beginnings;
            }
            Record::Succeeded { output, .. } => entry.output = Some(output.clone()),
            Record::Undone { .. } => {
                entry.token = None;
                entry.output = None;
            }
            _ => {}
        }
    }
}

/// For messages.
fn state_name(state: &NodeState) -> &'static str {
    match state {
        NodeState::Given => "there from the beginning",
        NodeState::Waiting => "not begun",
        NodeState::Started => "running",
        NodeState::Succeeded => "done",
        NodeState::Failed(_) => "failed",
        NodeState::Undoing => "being taken back",
        NodeState::UndoFailed(_) => "half taken back",
    }
}

/// A journal that is open for writing.
pub struct Journal<S, O> {
    log: Box<dyn Log>,
    pub(super) book: Option<Book<S, O>>,
    saga: Option<String>,
}

impl<S, O> std::fmt::Debug for Journal<S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("saga", &self.saga).finish_non_exhaustive()
    }
}

impl<S, O> Journal<S, O>
where
    S: Serialize + DeserializeOwned + Clone,
    O: Serialize + DeserializeOwned + Clone,
{
    /// Reads the lines that `log` holds already, and goes on behind them. No lines: a new journal.
    pub fn open(log: Box<dyn Log>, lines: &[String]) -> Result<Self, JournalError> {
        let mut journal = Self { log, book: None, saga: None };
        for (index, text) in lines.iter().enumerate() {
            let line = index + 1;
            let record: Record<S, O> =
                serde_json::from_str(text).map_err(|source| JournalError::Unreadable { line, source })?;
            if let Record::Begin { version, .. } = &record
                && *version != VERSION
            {
                return Err(JournalError::Version { version: *version });
            }
            journal.allows(&record).map_err(|rule| JournalError::Illegal { line, rule })?;
            journal.advance(record);
        }
        Ok(journal)
    }

    /// A journal that is forgotten with the process.
    pub fn in_memory(log: &MemoryLog) -> Result<Self, JournalError> {
        Self::open(Box::new(log.clone()), &log.lines())
    }

    /// Whether there is something to resume.
    pub fn is_begun(&self) -> bool {
        self.book.is_some()
    }

    /// The saga's name, once begun.
    pub fn saga(&self) -> Option<&str> {
        self.saga.as_deref()
    }

    /// The nodes, once begun.
    pub fn nodes(&self) -> &[Node<S, O>] {
        self.book.as_ref().map_or(&[], |book| &book.nodes)
    }

    /// How it was closed. `None`: still open.
    pub fn ending(&self) -> Option<Ending> {
        self.book.as_ref().and_then(|book| book.ended)
    }

    /// Whether any step is done, begun or half taken back: whether the world may differ from before the saga.
    pub fn has_effects(&self) -> bool {
        self.book.as_ref().is_some_and(|book| {
            book.entries.values().any(|e| !matches!(e.state, NodeState::Given | NodeState::Waiting))
        })
    }

    /// Writes records: all of them are on the disk when this returns.
    pub(super) fn write(&mut self, records: Vec<Record<S, O>>) -> Result<(), JournalError> {
        let mut lines = Vec::with_capacity(records.len());
        for record in &records {
            self.allows(record).map_err(JournalError::Refused)?;
            lines.push(serde_json::to_string(record).map_err(JournalError::Unwritable)?);
        }
        self.log.append(&lines).map_err(JournalError::Io)?;
        records.into_iter().for_each(|record| self.advance(record));
        Ok(())
    }

    /// Puts the journal aside.
    pub(super) fn close(self) -> Result<(), JournalError> {
        self.log.close().map_err(JournalError::Io)
    }

    fn allows(&self, record: &Record<S, O>) -> Result<(), IllegalRecord> {
        match (&self.book, record) {
            (None, Record::Begin { .. }) => Ok(()),
            (None, _) => Err(IllegalRecord::NotBegun),
            (Some(book), record) => book.allows(record),
        }
    }

    fn advance(&mut self, record: Record<S, O>) {
        match (&mut self.book, record) {
            (book @ None, Record::Begin { saga, nodes, .. }) => {
                *book = Some(Book::begin(nodes));
                self.saga = Some(saga);
            }
            (Some(book), record) => book.advance(&record),
            (None, _) => {}
        }
    }
}

/// The format that this program writes.
pub(super) const VERSION: u32 = 1;
