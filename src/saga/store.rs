//! Journals as files: one directory, one lock a stack, one journal a stack and kind.
//!
//! A journal file is only ever appended to. It is never overwritten: a torn last line, normal after a crash, is kept
//! beside it; a damaged one is left as it is and refused; a finished one is renamed, and the last few are kept.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::journal::{Journal, JournalError, Log};

/// How many finished journals of a kind are kept.
const KEPT: usize = 5;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    pub since: Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {} since {:.0}", self.pid, self.host, self.since)
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "stack '{stack}' is in use by {}; wait for it to end, or end it",
        by.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string)
    )]
    Held { stack: String, by: Option<Holder> },
    #[error(
        "{} is damaged and is left as it is; move it away to plan anew from what exists: mv {} {}.damaged",
        path.display(), path.display(), path.display()
    )]
    Damaged { path: PathBuf, source: JournalError },
    #[error("{} is not UTF-8 at line {line}, and is left as it is; move it away to plan anew from what exists", path.display())]
    NotText { path: PathBuf, line: usize },
    #[error("'{name}' cannot name a file: use letters, digits, hyphens and underscores")]
    Name { name: String },
    #[error("{} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A directory of journals.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// One stack, held by this process until the last clone and the last journal are dropped. The operating system lets
/// go of it when the process dies, however it dies.
#[derive(Debug, Clone)]
pub struct Lock {
    directory: PathBuf,
    stack: String,
    /// Locked while open.
    _file: Arc<Locked>,
}

impl Store {
    /// `directory` is made when first needed. It should be one for each world, account and region, since a stack's
    /// name is unique only there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Takes the stack for this process, or says who has it.
    pub fn lock(&self, stack: &str) -> Result<Lock, StoreError> {
        check_name(stack)?;
        fs::create_dir_all(&self.directory).map_err(|source| io_error(&self.directory, source))?;
        let path = self.directory.join(format!("{stack}.lock"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder may be writing its name right now; then it stays unnamed.
                let by = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
                return Err(StoreError::Held { stack: stack.to_owned(), by });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(&path, source)),
        }
        let holder = Holder { pid: std::process::id(), host: host_name(), since: Timestamp::now() };
        let text = serde_json::to_string(&holder).unwrap_or_default();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{text}"));
        written.map_err(|source| io_error(&path, source))?;
        Ok(Lock { directory: self.directory.clone(), stack: stack.to_owned(), _file: Arc::new(Locked(file)) })
    }
}

/// The locked file. It is unlocked and not merely closed: a child that was forked this moment holds it open until it
/// begins its own program, and the lock with it.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing it comes to the same, a moment later.
        let _closed_anyway = self.0.unlock();
    }
}

impl Lock {
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// Where the journal of `kind` (`provision`, `teardown`) is.
    pub fn path(&self, kind: &str) -> PathBuf {
        self.directory.join(format!("{}-{kind}.jsonl", self.stack))
    }

    /// Opens the stack's journal of one kind, for resuming if it holds anything. One that has ended but was not yet
    /// put aside is put aside now, and a new one is begun.
    pub fn journal<S, O>(&self, kind: &str) -> Result<Journal<S, O>, StoreError>
    where
        S: Serialize + DeserializeOwned + Clone,
        O: Serialize + DeserializeOwned + Clone,
    {
        check_name(kind)?;
        let (log, lines) = self.read(kind)?;
        let path = log.path.clone();
        let damaged = |source| StoreError::Damaged { path: path.clone(), source };
        let journal = Journal::open(Box::new(log), &lines).map_err(damaged)?;
        if journal.ending().is_none() {
            return Ok(journal);
        }
        journal.close().map_err(damaged)?;
        let (log, lines) = self.read(kind)?;
        Journal::open(Box::new(log), &lines).map_err(damaged)
    }

    /// Opens the file and cuts off a torn last line.
    fn read(&self, kind: &str) -> Result<(FileLog, Vec<String>), StoreError> {
        let path = self.path(kind);
        let fail = |source| io_error(&path, source);
        let new = !path.exists();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(fail)?;
        if new {
            // So that the name survives a crash too, not only the content.
            File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(fail)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (good, torn) = bytes.split_at(whole);
        if !torn.is_empty() {
            // Its write was never confirmed, so whatever it announced has not been done.
            let aside = with_suffix(&path, ".torn");
            let keep = || {
                let mut kept = OpenOptions::new().append(true).create(true).open(&aside)?;
                kept.write_all(torn)?;
                kept.write_all(b"\n")?;
                kept.sync_all()
            };
            keep().map_err(|source| io_error(&aside, source))?;
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        let mut lines = Vec::new();
        for (index, line) in good.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let text =
                std::str::from_utf8(line).map_err(|_| StoreError::NotText { path: path.clone(), line: index + 1 })?;
            lines.push(text.trim_end_matches('\n').to_owned());
        }
        Ok((FileLog { path, file, _lock: self.clone() }, lines))
    }
}

/// A journal in a file.
struct FileLog {
    path: PathBuf,
    file: File,
    /// As long as this is written to, nobody else may.
    _lock: Lock,
}

impl Log for FileLog {
    fn append(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = lines.join("\n");
        text.push('\n');
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a line in the middle would be damage once more is appended. If this fails too, the torn line is
            // still the last one, since nothing is written after an error.
            self.file.set_len(before)?;
        }
        written
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
        let mut aside = with_suffix(&self.path, &format!(".done-{now}"));
        let mut again = 1;
        while aside.exists() {
            again += 1;
            aside = with_suffix(&self.path, &format!(".done-{now}-{again}"));
        }
        fs::rename(&self.path, &aside)?;
        let prefix = format!("{}.done-", self.path.file_name().unwrap_or_default().to_string_lossy());
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut done: Vec<PathBuf> = fs::read_dir(directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .collect();
        // The timestamp in the name sorts by age.
        done.sort();
        let surplus = done.len().saturating_sub(KEPT);
        done.into_iter().take(surplus).try_for_each(fs::remove_file)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if good { Ok(()) } else { Err(StoreError::Name { name: name.to_owned() }) }
}

/// For the message to whoever is refused.
fn host_name() -> String {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this host".to_owned())
}
