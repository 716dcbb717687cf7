//! A file system in memory. Paths are absolute and normalised; contents are text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most that one file may hold, in bytes.
pub(super) const LARGEST_FILE: usize = 1 << 20;
/// The most that all files together may hold, in bytes.
const LARGEST_SYSTEM: usize = 8 << 20;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Permission bits.
    pub(super) mode: u32,
    /// Seconds since the epoch.
    pub(super) modified: i64,
    /// User id. 0 is root's.
    #[serde(default)]
    pub(super) owner: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    File(String),
    Directory,
    Link(String),
}

/// Why a file operation failed, in the words of `strerror`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FsError {
    #[error("No such file or directory")]
    NotFound,
    #[error("Is a directory")]
    IsDirectory,
    #[error("Not a directory")]
    NotDirectory,
    #[error("File exists")]
    Exists,
    #[error("Directory not empty")]
    NotEmpty,
    #[error("No space left on device")]
    NoSpace,
    #[error("Too many levels of symbolic links")]
    Loop,
    #[error("Invalid argument")]
    Invalid,
    #[error("Permission denied")]
    Denied,
    #[error("Operation not permitted")]
    NotPermitted,
}

/// All files of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vfs {
    nodes: BTreeMap<String, Node>,
    used: usize,
    /// Whose process is at work: 0, root's, but for sessions of other users. Not part of the disk.
    #[serde(skip)]
    pub(super) acting: u32,
}

impl Default for Vfs {
    fn default() -> Self {
        let root = Node { kind: Kind::Directory, mode: 0o755, modified: 0, owner: 0 };
        Self { nodes: BTreeMap::from([("/".to_owned(), root)]), used: 0, acting: 0 }
    }
}

/// `path` seen from `cwd`, without `.`, `..`, doubled or trailing slashes.
pub(super) fn absolute(cwd: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The directory that holds `path`.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}

/// The last part of `path`.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Vfs {
    /// Follows links in every part of an absolute path; the last part need not exist.
    pub(super) fn follow(&self, path: &str) -> Result<String, FsError> {
        let mut path = absolute("/", path);
        for _ in 0..16 {
            let Some(next) = self.follow_one(&path) else { return Ok(path) };
            path = next;
        }
        Err(FsError::Loop)
    }

    fn follow_one(&self, path: &str) -> Option<String> {
        let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let (head, tail) = path.split_at_checked(end)?;
            if let Some(Node { kind: Kind::Link(target), .. }) = self.nodes.get(head) {
                return Some(absolute("/", &format!("{}{tail}", absolute(parent(head), target))));
            }
        }
        None
    }

    /// The entry, links followed.
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.follow(path).ok()?)
    }

    /// The entry itself, be it a link.
    pub(super) fn link(&self, path: &str) -> Option<&Node> {
        let at = self.place(path).ok()?;
        self.nodes.get(&at)
    }

    /// Where an entry is, with links followed in its directory but not in its name.
    fn place(&self, path: &str) -> Result<String, FsError> {
        let path = absolute("/", path);
        if path == "/" {
            return Ok(path);
        }
        Ok(absolute(&self.follow(parent(&path))?, name(&path)))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        matches!(self.node(path), Some(Node { kind: Kind::Directory, .. }))
    }

    /// Whether the acting user has a permission (4 read, 2 write, 1 search) on an entry. Groups are not told apart.
    fn permits(&self, node: &Node, bit: u32) -> bool {
        self.acting == 0 || node.mode & (if node.owner == self.acting { bit << 6 } else { bit }) != 0
    }

    /// Whether the acting user may go through every directory above `path`.
    fn search(&self, path: &str) -> Result<(), FsError> {
        if self.acting == 0 {
            return Ok(());
        }
        let above = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).filter_map(|(at, _)| path.get(..at));
        for directory in above {
            if self.nodes.get(directory).is_some_and(|node| !self.permits(node, 1)) {
                return Err(FsError::Denied);
            }
        }
        Ok(())
    }

    /// Whether the acting user may add entries to the directory of `path` and take them out.
    fn change_directory_of(&self, path: &str) -> Result<(), FsError> {
        self.search(path)?;
        match self.nodes.get(parent(path)) {
            Some(node) if !self.permits(node, 2) => Err(FsError::Denied),
            _ => Ok(()),
        }
    }

    pub(super) fn read(&self, path: &str) -> Result<&str, FsError> {
        let node = self.node(path);
        if self.acting != 0 {
            self.search(&self.follow(path)?)?;
            if node.is_some_and(|node| !self.permits(node, 4)) {
                return Err(FsError::Denied);
            }
        }
        match node.map(|node| &node.kind) {
            Some(Kind::File(text)) => Ok(text),
            Some(Kind::Directory) => Err(FsError::IsDirectory),
            Some(Kind::Link(_)) => Err(FsError::Loop),
            None => Err(FsError::NotFound),
        }
    }

    /// Creates or truncates a file.
    pub(super) fn write(&mut self, path: &str, text: &str, now: i64) -> Result<(), FsError> {
        self.put(path, now, |old| {
            old.clear();
            old.push_str(text);
        })
    }

    pub(super) fn append(&mut self, path: &str, text: &str, now: i64) -> Result<(), FsError> {
        self.put(path, now, |old| old.push_str(text))
    }

    fn put(&mut self, path: &str, now: i64, change: impl FnOnce(&mut String)) -> Result<(), FsError> {
        let path = self.follow(path)?;
        if !self.is_directory(parent(&path)) {
            return Err(if self.exists(parent(&path)) { FsError::NotDirectory } else { FsError::NotFound });
        }
        match self.nodes.get(&path) {
            Some(node) if !self.permits(node, 2) => return Err(FsError::Denied),
            Some(_) => self.search(&path)?,
            None => self.change_directory_of(&path)?,
        }
        let mut text = match self.nodes.get(&path).map(|node| &node.kind) {
            Some(Kind::File(text)) => text.clone(),
            Some(_) => return Err(FsError::IsDirectory),
            None => String::new(),
        };
        let before = text.len();
        change(&mut text);
        let used = (self.used + text.len()).saturating_sub(before);
        if text.len() > LARGEST_FILE || used > LARGEST_SYSTEM {
            return Err(FsError::NoSpace);
        }
        self.used = used;
        let (mode, owner) = self.nodes.get(&path).map_or((0o644, self.acting), |node| (node.mode, node.owner));
        self.nodes.insert(path, Node { kind: Kind::File(text), mode, modified: now, owner });
        Ok(())
    }

    pub(super) fn make_directory(&mut self, path: &str, now: i64) -> Result<(), FsError> {
        let path = self.follow(path)?;
        if self.nodes.contains_key(&path) {
            return Err(FsError::Exists);
        }
        if !self.is_directory(parent(&path)) {
            return Err(if self.exists(parent(&path)) { FsError::NotDirectory } else { FsError::NotFound });
        }
        self.change_directory_of(&path)?;
        let owner = self.acting;
        self.nodes.insert(path, Node { kind: Kind::Directory, mode: 0o755, modified: now, owner });
        self.room()
    }

    /// As `mkdir -p`.
    pub(super) fn make_directories(&mut self, path: &str, now: i64) -> Result<(), FsError> {
        let path = self.follow(path)?;
        let ends: Vec<usize> =
            path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at).chain([path.len()]).collect();
        for end in ends {
            let head = path.get(..end).unwrap_or("/");
            match self.make_directory(head, now) {
                Ok(()) => {}
                Err(FsError::Exists) if self.is_directory(head) => {}
                Err(FsError::Exists) => return Err(FsError::NotDirectory),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn make_link(&mut self, path: &str, target: &str, now: i64) -> Result<(), FsError> {
        let path = self.place(path)?;
        if self.nodes.contains_key(&path) {
            return Err(FsError::Exists);
        }
        if !self.is_directory(parent(&path)) {
            return Err(FsError::NotFound);
        }
        self.change_directory_of(&path)?;
        let owner = self.acting;
        self.nodes.insert(path, Node { kind: Kind::Link(target.to_owned()), mode: 0o777, modified: now, owner });
        self.room()
    }

    fn room(&self) -> Result<(), FsError> {
        if self.nodes.len() > 10_000 { Err(FsError::NoSpace) } else { Ok(()) }
    }

    pub(super) fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FsError> {
        let path = self.follow(path)?;
        let acting = self.acting;
        let node = self.nodes.get_mut(&path).ok_or(FsError::NotFound)?;
        if acting != 0 && node.owner != acting {
            return Err(FsError::NotPermitted);
        }
        node.mode = mode;
        Ok(())
    }

    /// Gives an entry to a user. Only root may.
    pub(super) fn set_owner(&mut self, path: &str, owner: u32) -> Result<(), FsError> {
        let path = self.follow(path)?;
        let node = self.nodes.get_mut(&path).ok_or(FsError::NotFound)?;
        if self.acting != 0 {
            return Err(FsError::NotPermitted);
        }
        node.owner = owner;
        Ok(())
    }

    /// Removes a file, a link, or (`recursive`) a directory with what is in it.
    pub(super) fn remove(&mut self, path: &str, recursive: bool) -> Result<(), FsError> {
        let path = self.place(path)?;
        let Some(node) = self.nodes.get(&path) else { return Err(FsError::NotFound) };
        if path == "/" {
            return Err(FsError::Denied);
        }
        self.change_directory_of(&path)?;
        if matches!(node.kind, Kind::Directory) {
            if !recursive {
                return Err(FsError::IsDirectory);
            }
            let inside = format!("{path}/");
            self.nodes.retain(|at, _| !at.starts_with(&inside));
        }
        self.nodes.remove(&path);
        self.used =
            self.nodes.values().map(|node| if let Kind::File(text) = &node.kind { text.len() } else { 0 }).sum();
        Ok(())
    }

    pub(super) fn remove_empty_directory(&mut self, path: &str) -> Result<(), FsError> {
        if !self.is_directory(path) {
            return Err(if self.exists(path) { FsError::NotDirectory } else { FsError::NotFound });
        }
        if !self.list(path)?.is_empty() {
            return Err(FsError::NotEmpty);
        }
        self.remove(path, true)
    }

    /// The names in a directory, sorted.
    pub(super) fn list(&self, path: &str) -> Result<Vec<String>, FsError> {
        let path = self.follow(path)?;
        self.search(&path)?;
        if self.nodes.get(&path).is_some_and(|node| !self.permits(node, 4)) {
            return Err(FsError::Denied);
        }
        match self.nodes.get(&path).map(|node| &node.kind) {
            Some(Kind::Directory) => {}
            Some(_) => return Err(FsError::NotDirectory),
            None => return Err(FsError::NotFound),
        }
        let inside = if path == "/" { path } else { format!("{path}/") };
        Ok(self
            .nodes
            .range(inside.clone()..)
            .take_while(|(at, _)| at.starts_with(&inside))
            .filter_map(|(at, _)| at.get(inside.len()..))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(str::to_owned)
            .collect())
    }

    /// Moves an entry, with what is in it.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), FsError> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        if !self.nodes.contains_key(&from) {
            return Err(FsError::NotFound);
        }
        if from == to {
            return Ok(());
        }
        self.change_directory_of(&from)?;
        self.change_directory_of(&to)?;
        if to.starts_with(&format!("{from}/")) {
            return Err(FsError::Invalid);
        }
        if !self.is_directory(parent(&to)) {
            return Err(FsError::NotFound);
        }
        let inside = format!("{from}/");
        let moved: Vec<String> =
            self.nodes.keys().filter(|at| **at == from || at.starts_with(&inside)).cloned().collect();
        for at in moved {
            if let Some(node) = self.nodes.remove(&at) {
                let rest = at.get(from.len()..).unwrap_or_default();
                self.nodes.insert(format!("{to}{rest}"), node);
            }
        }
        Ok(())
    }

    /// Every path below `top`, itself included, in order.
    pub(super) fn walk(&self, top: &str) -> Vec<(&str, &Node)> {
        let top = self.follow(top).unwrap_or_else(|_| top.to_owned());
        let inside = if top == "/" { top.clone() } else { format!("{top}/") };
        self.nodes
            .iter()
            .filter(|(at, _)| **at == top || at.starts_with(&inside))
            .map(|(at, node)| (at.as_str(), node))
            .collect()
    }
}
