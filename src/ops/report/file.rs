//! Reports on disk: written whole or not at all, for their owner alone; read with an error that names what is wrong.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;

use super::{Incident, VERSION, json, markdown};

/// What the fence around the data is called in Markdown.
pub const MARK: &str = "natdeck-incident";
/// A larger file is no report: a region of 50,000 interfaces is a fifth of it.
const LARGEST_MIB: u64 = 256;

/// Why a report could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("{} exists, and a report is evidence; name another file, or say --overwrite", path.display())]
    Exists { path: PathBuf },
    #[error("{} is not a file", path.display())]
    NotAFile { path: PathBuf },
    #[error("there is no directory {}", path.display())]
    NoDirectory { path: PathBuf },
    #[error("the report cannot be written to {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the report does not go into JSON")]
    Json(#[from] serde_json::Error),
}

/// Whether a file that exists may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    New,
    Overwrite,
}

/// Says before anything is done whether a report can be kept there.
pub fn check_place(path: &Path, saving: Saving) -> Result<(), SaveError> {
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(SaveError::NoDirectory { path: directory.to_owned() });
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => Ok(()),
        Err(source) => Err(SaveError::Io { path: path.to_owned(), source }),
        Ok(_) if saving == Saving::New => Err(SaveError::Exists { path: path.to_owned() }),
        Ok(found) if found.is_file() || found.is_symlink() => Ok(()),
        Ok(_) => Err(SaveError::NotAFile { path: path.to_owned() }),
    }
}

/// Writes the report: Markdown, or the data alone where the name ends in `.json`. Mode 0600.
pub fn save(path: &Path, incident: &Incident, saving: Saving) -> Result<(), SaveError> {
    check_place(path, saving)?;
    let text = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        json::pretty(&serde_json::to_value(incident)?) + "\n"
    } else {
        markdown(incident)?
    };
    let failed = |source| SaveError::Io { path: path.to_owned(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let beside = directory_of(path).join(name);
    let written = write_whole(&beside, text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // The error that counts is the first.
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an earlier process of this number left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Why a report cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no file {}", path.display())]
    NotFound { path: PathBuf },
    #[error("{} is not a file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} cannot be read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is {mib} MiB, and a report has at most {LARGEST_MIB}", path.display())]
    TooLarge { path: PathBuf, mib: u64 },
    #[error(
        "{} is no report of natdeck: {why}; `natdeck diagnose INSTANCE --report FILE.md` writes one",
        path.display()
    )]
    NotAReport { path: PathBuf, why: &'static str },
    #[error("{} is cut off: its snapshot begins and does not end; take the whole file", path.display())]
    CutOff { path: PathBuf },
    #[error("{} holds a snapshot of version {version}, from natdeck {natdeck}; this natdeck reads {VERSION}, a newer one reads it", path.display())]
    Newer { path: PathBuf, version: u32, natdeck: String },
    #[error("the snapshot in {} is damaged", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
}

/// A report that was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    pub incident: Incident,
    /// Somebody changed the data after natdeck had written it.
    pub edited: bool,
}

/// What every version has.
#[derive(Deserialize)]
#[expect(dead_code, reason = "that they are there is what tells a report from other JSON")]
struct Header {
    version: u32,
    natdeck: String,
    question: IgnoredAny,
    network: IgnoredAny,
}

/// Opens a report, Markdown or JSON.
pub fn open(path: &Path) -> Result<Opened, ReadError> {
    let text = read(path)?;
    let path = || path.to_owned();
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    let (data, sum) = if trimmed.starts_with('{') {
        (trimmed, None)
    } else {
        match fenced(trimmed) {
            Some(Fenced { data, sum, closed: true }) => (data, sum),
            Some(Fenced { closed: false, .. }) => return Err(ReadError::CutOff { path: path() }),
            None => return Err(ReadError::NotAReport { path: path(), why: "there is no snapshot in it" }),
        }
    };
    let unread = |error: serde_json::Error| match error.classify() {
        Category::Eof => ReadError::CutOff { path: path() },
        _ => ReadError::Damaged { path: path(), source: error },
    };
    let value: Value = serde_json::from_str(data).map_err(unread)?;
    let Ok(header) = Header::deserialize(&value) else {
        return Err(ReadError::NotAReport { path: path(), why: "its JSON is something else" });
    };
    if header.version > VERSION {
        return Err(ReadError::Newer { path: path(), version: header.version, natdeck: header.natdeck });
    }
    let edited = sum.is_some_and(|sum| sum != checksum(&value));
    // From the text again: an error then has its line and column.
    let incident = serde_json::from_str(data).map_err(unread)?;
    Ok(Opened { incident, edited })
}

fn read(path: &Path) -> Result<String, ReadError> {
    let owned = || path.to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ReadError::NotFound { path: owned() },
        _ => ReadError::Io { path: owned(), source },
    };
    // Opening a pipe would wait for whoever writes to it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadError::NotAFile { path: owned() });
    }
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > LARGEST_MIB << 20 {
        return Err(ReadError::TooLarge { path: owned(), mib: size >> 20 });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_MIB << 20).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| match error.utf8_error().error_len() {
        // The end came in the middle of a character.
        None => ReadError::CutOff { path: owned() },
        Some(_) => ReadError::NotAReport { path: owned(), why: "it is not text" },
    })
}

struct Fenced<'t> {
    data: &'t str,
    sum: Option<&'t str>,
    closed: bool,
}

/// The data in Markdown: the last block with our mark, since what stands above it may quote anything.
fn fenced(text: &str) -> Option<Fenced<'_>> {
    let mut found = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let line = line.trim_end();
        let info = line.trim_start_matches('`');
        let fence = line.get(..line.len() - info.len())?;
        if let Some(rest) = info.strip_prefix("json ").and_then(|rest| rest.strip_prefix(MARK))
            && fence.len() >= 3
        {
            found = Some((fence, rest.trim(), text.get(at..)?));
        }
    }
    let (fence, sum, rest) = found?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == fence {
            return Some(Fenced { data: rest.get(..end)?, sum: Some(sum).filter(|sum| !sum.is_empty()), closed: true });
        }
        end += line.len();
    }
    Some(Fenced { data: rest, sum: None, closed: false })
}

/// Of the data, whatever its white space: shows a slip of an editor. Nothing against forgery.
pub fn checksum(value: &Value) -> String {
    let mut sum = flate2::Crc::new();
    sum.update(value.to_string().as_bytes());
    format!("{:08x}", sum.sum())
}
