//! Where a sandbox's world is kept between two commands: one JSON file, and beside it a lock that says who uses it.
//!
//! The file is replaced whole (written beside, then renamed), so that a process killed at any moment leaves either
//! the old world or the new one. It is not forced to the disk: after a power failure an older world is good enough
//! for a sandbox. A file that cannot be read is never overwritten; [`Store::move_aside`] keeps it under another name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The format of the file. Raised when an older natdeck could not read what this one writes.
const VERSION: u32 = 1;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the sandbox file {} is in use by {owner}; end that one, or name another file with --sandbox-state", path.display())]
    InUse { path: PathBuf, owner: Owner },
    #[error(
        "the sandbox file {} is damaged ({reason}); nothing was changed; `natdeck sandbox reset` moves it aside and starts anew",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "the sandbox file {} has format {found} and this natdeck reads {VERSION}; use the natdeck that wrote it, or \
         `natdeck sandbox reset` to move it aside and start anew",
        path.display()
    )]
    OtherVersion { path: PathBuf, found: u64 },
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("there is no home directory to keep the sandbox file in; name one with --sandbox-state")]
    NoHome,
    #[error("the sandbox's world cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A process that wrote its number and when it opened the file.
    Process { pid: u32, since: Timestamp },
    /// A process that answers for the world at an address: use it through there.
    Server { pid: u32, since: Timestamp, address: SocketAddr },
    /// The lock is held, and its file does not say by whom.
    Unnamed,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process { pid, since } => write!(f, "process {pid} since {since:.0}"),
            Self::Server { pid, since, address } => {
                write!(f, "process {pid} since {since:.0}, which serves it on http://{address}")
            }
            Self::Unnamed => f.write_str("another process"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct LockNote {
    pid: u32,
    since: Timestamp,
    /// Where the holder answers for the world, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
}

/// The envelope around a world.
#[derive(Serialize, Deserialize)]
struct Envelope<W> {
    version: u32,
    world: W,
}

/// The state file, locked for as long as this value lives.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Holds the advisory lock. The file stays when the lock goes, so that two processes always lock the same one.
    lock: File,
    /// What the file holds, to skip a write that would change nothing. Empty: unknown.
    written: Vec<u8>,
}

impl Store {
    /// `natdeck/sandbox.json` in the XDG state directory.
    pub fn default_path() -> Result<PathBuf, StoreError> {
        use etcetera::BaseStrategy;
        let dirs = etcetera::choose_base_strategy().map_err(|_| StoreError::NoHome)?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_dir());
        Ok(state.join("natdeck").join("sandbox.json"))
    }

    /// Takes the lock beside `path`. The state file itself need not exist.
    pub fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed("make the directory", parent))?;
        }
        let lock_path = beside(path, ".lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: path.to_owned(), owner: owner(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let mut store = Self { path: path.to_owned(), lock, written: Vec::new() };
        store.note(None)?;
        Ok(store)
    }

    /// Tells those who find the file in use where they can reach its world.
    pub fn announce(&mut self, address: SocketAddr) -> Result<(), StoreError> {
        self.note(Some(address))
    }

    fn note(&mut self, address: Option<SocketAddr>) -> Result<(), StoreError> {
        let note = LockNote { pid: std::process::id(), since: Timestamp::now(), address };
        let text = serde_json::to_vec(&note).map_err(StoreError::Serialize)?;
        let lock = &mut self.lock;
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(&text))
            .map_err(|source| StoreError::Io { doing: "write", path: beside(&self.path, ".lock"), source })
    }

    /// The state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The world in the file. `None`: there is no file yet.
    pub fn load<W: DeserializeOwned>(&mut self) -> Result<Option<W>, StoreError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { doing: "read", path: self.path.clone(), source }),
        };
        let damaged =
            |error: serde_json::Error| StoreError::Damaged { path: self.path.clone(), reason: error.to_string() };
        // The version first: a newer format may differ in everything else.
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version != u64::from(VERSION) {
            return Err(StoreError::OtherVersion { path: self.path.clone(), found: version });
        }
        let envelope: Envelope<W> = serde_json::from_slice(&bytes).map_err(damaged)?;
        self.written = bytes;
        Ok(Some(envelope.world))
    }

    /// Puts a world in the file. Whether anything had changed and was written.
    pub fn save<W: Serialize>(&mut self, world: &W) -> Result<bool, StoreError> {
        let bytes = serde_json::to_vec(&Envelope { version: VERSION, world }).map_err(StoreError::Serialize)?;
        if bytes == self.written {
            return Ok(false);
        }
        let new = beside(&self.path, ".new");
        fs::write(&new, &bytes).map_err(|source| StoreError::Io { doing: "write", path: new.clone(), source })?;
        fs::rename(&new, &self.path).map_err(|source| StoreError::Io {
            doing: "replace",
            path: self.path.clone(),
            source,
        })?;
        self.written = bytes;
        Ok(true)
    }

    /// Renames the state file to `….damaged-TIME`, which is never deleted. Its new name; `None`: there is no file.
    pub fn move_aside(&mut self, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
        let stamp = now.strftime("%Y%m%dT%H%M%SZ");
        let mut aside = beside(&self.path, &format!(".damaged-{stamp}"));
        let mut again = 1;
        while aside.exists() {
            again += 1;
            aside = beside(&self.path, &format!(".damaged-{stamp}-{again}"));
        }
        match fs::rename(&self.path, &aside) {
            Ok(()) => {
                self.written.clear();
                Ok(Some(aside))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { doing: "move aside", path: self.path.clone(), source }),
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn owner(lock: &mut File) -> Owner {
    let mut text = String::new();
    let note = lock.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<LockNote>(&text).ok());
    note.map_or(Owner::Unnamed, |LockNote { pid, since, address }| match address {
        Some(address) => Owner::Server { pid, since, address },
        None => Owner::Process { pid, since },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("natdeck").join("sandbox.json");
        (directory, path)
    }

    #[test]
    fn a_world_comes_back_as_it_was_saved() {
        let (_directory, path) = file();
        let mut store = Store::lock(&path).unwrap();
        assert_eq!(store.load::<Vec<u32>>().unwrap(), None);
        assert!(store.save(&vec![1_u32, 2]).unwrap());
        drop(store);
        assert_eq!(Store::lock(&path).unwrap().load::<Vec<u32>>().unwrap(), Some(vec![1, 2]));
    }

    #[test]
    fn an_unchanged_world_is_not_written_again() {
        let (_directory, path) = file();
        let mut store = Store::lock(&path).unwrap();
        assert!(store.save(&1).unwrap());
        assert!(!store.save(&1).unwrap());
        assert!(store.save(&2).unwrap());
    }

    #[test]
    fn a_second_user_is_refused_and_told_who_holds_the_file() {
        let (_directory, path) = file();
        let first = Store::lock(&path).unwrap();
        let error = Store::lock(&path).unwrap_err();
        assert!(
            matches!(&error, StoreError::InUse { owner: Owner::Process { pid, .. }, .. } if *pid == std::process::id())
        );
        assert!(error.to_string().contains(&format!("process {} since 2", std::process::id())), "{error}");
        drop(first);
        assert!(Store::lock(&path).is_ok());
    }

    #[test]
    fn who_serves_a_world_says_where() {
        let (_directory, path) = file();
        let mut first = Store::lock(&path).unwrap();
        first.announce("127.0.0.1:4566".parse().unwrap()).unwrap();
        let error = Store::lock(&path).unwrap_err();
        assert!(
            matches!(&error, StoreError::InUse { owner: Owner::Server { address, .. }, .. } if address.port() == 4566)
        );
        assert!(error.to_string().contains("which serves it on http://127.0.0.1:4566"), "{error}");
        drop(first);
        let _second = Store::lock(&path).unwrap();
        assert!(
            matches!(Store::lock(&path).unwrap_err(), StoreError::InUse { owner: Owner::Process { .. }, .. }),
            "an old address is not kept"
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it_and_it_stays_as_it_is() {
        let (_directory, path) = file();
        for damaged in ["", "{", "[]", r#"{"version":1}"#, r#"{"version":1,"world":"x"}"#, "\u{0}\u{1}"] {
            let mut store = Store::lock(&path).unwrap();
            fs::write(&path, damaged).unwrap();
            let error = store.load::<u32>().unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{damaged}: {error}");
            let text = error.to_string();
            assert!(text.contains("sandbox.json") && text.contains("natdeck sandbox reset"), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_file_of_another_format_is_refused_by_its_number() {
        let (_directory, path) = file();
        let mut store = Store::lock(&path).unwrap();
        fs::write(&path, r#"{"version":7,"planet":{}}"#).unwrap();
        assert!(matches!(store.load::<u32>(), Err(StoreError::OtherVersion { found: 7, .. })));
    }

    #[test]
    fn files_moved_aside_are_all_kept() {
        let (_directory, path) = file();
        let mut store = Store::lock(&path).unwrap();
        assert_eq!(store.move_aside(Timestamp::UNIX_EPOCH).unwrap(), None);
        let mut kept = Vec::new();
        for text in ["first", "second", "third"] {
            fs::write(&path, text).unwrap();
            kept.push((store.move_aside(Timestamp::UNIX_EPOCH).unwrap().unwrap(), text));
        }
        assert!(!path.exists());
        assert!(kept[0].0.to_string_lossy().ends_with("sandbox.json.damaged-19700101T000000Z"));
        for (path, text) in kept {
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
    }
}
