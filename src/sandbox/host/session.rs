//! An interactive session on a host, as SSM's Session Manager opens it: `sh` as `ssm-user` in `/usr/bin`. Pure: who
//! types and who reads is behind [`Terminal`].

use std::collections::BTreeSet;
use std::fmt::Write;

use super::boot::Event;
use super::image::{EC2_USER, SSM_USER};
use super::outside::{Line, Outside};
use super::shell::{BUILTINS, Entry, Interp, Limits, Shell, Value, is_unfinished, quote};
use super::terminal::Terminal;
use super::{Flavour, Machine, vfs};

/// Shells one in another: `bash` and `sudo -i` add one, `exit` leaves it.
#[derive(Debug, Clone)]
pub struct Session {
    levels: Vec<Level>,
}

#[derive(Debug, Clone)]
struct Level {
    shell: Shell,
    /// `sh-5.2$` rather than `[user@host directory]$`.
    plain: bool,
}

/// What became of typed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Exit status of the last command.
    pub status: i32,
    /// Whether the outermost shell has ended.
    pub ended: bool,
}

impl Session {
    /// A session on a machine. `interactive`: somebody types; otherwise a script comes through a pipe.
    pub fn open(interactive: bool) -> Self {
        let mut shell = Shell::new("sh");
        shell.interactive = interactive;
        "/usr/bin".clone_into(&mut shell.cwd);
        set_user(&mut shell, SSM_USER);
        shell.export("PWD", "/usr/bin");
        shell.export("TERM", "xterm-256color");
        Self { levels: vec![Level { shell, plain: true }] }
    }

    /// What stands before the cursor.
    pub fn prompt(&self, machine: &Machine) -> String {
        let Some(level) = self.levels.last() else { return String::new() };
        let sign = if level.shell.uid == 0 { '#' } else { '$' };
        if level.plain {
            let version = if machine.launch.flavour == Flavour::AmazonLinux2023 { "5.2" } else { "4.2" };
            return format!("sh-{version}{sign} ");
        }
        let host = machine.hostname.split('.').next().unwrap_or_default();
        let directory = if level.shell.cwd == home(level.shell.uid) { "~" } else { vfs::name(&level.shell.cwd) };
        let directory = if directory.is_empty() { "/" } else { directory };
        format!("[{}@{host} {directory}]{sign} ", user_name(level.shell.uid))
    }

    /// Whether a command goes on in the next line.
    pub fn needs_more(text: &str) -> bool {
        is_unfinished(text)
    }

    /// What the word before the cursor (a byte offset in `line`) may become, and where that word begins.
    pub fn complete(&self, machine: &Machine, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let Some(level) = self.levels.last() else { return (cursor, Vec::new()) };
        let before = line.get(..cursor).unwrap_or(line);
        let separator = |c: char| c.is_whitespace() || ";|&(<>=".contains(c);
        let start = before.rfind(separator).map_or(0, |at| at + before.get(at..).map_or(1, first_length));
        let word = before.get(start..).unwrap_or_default();
        let earlier = before.get(..start).unwrap_or_default().trim_end();
        let runs = earlier.is_empty()
            || earlier.ends_with([';', '|', '&', '('])
            || earlier.rsplit(char::is_whitespace).next().is_some_and(|last| matches!(last, "sudo" | "do" | "then"));
        if runs && !word.contains('/') {
            let functions = level.shell.function_names().map(str::to_owned);
            let builtins = BUILTINS.iter().map(|name| (*name).to_owned());
            let names: BTreeSet<String> = machine.programs().into_iter().chain(functions).chain(builtins).collect();
            return (start, names.into_iter().filter(|name| name.starts_with(word)).collect());
        }
        let (directory, name) = word.rfind('/').map_or(("", word), |at| word.split_at(at + 1));
        let home = home(level.shell.uid);
        let expanded = directory.strip_prefix('~').map_or_else(|| directory.to_owned(), |rest| format!("{home}{rest}"));
        let place = vfs::absolute(&level.shell.cwd, &expanded);
        let found = machine
            .list_directory(&place)
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.starts_with(name) && (name.starts_with('.') || !entry.starts_with('.')))
            .map(|entry| {
                let slash = if machine.is_directory(&vfs::absolute(&place, &entry)) { "/" } else { "" };
                format!("{directory}{entry}{slash}")
            })
            .collect();
        (start, found)
    }
}

impl Machine {
    /// Runs what was typed in a session. Time passes as the terminal says; ctrl-c ends the command with status 130.
    pub fn enter(
        &mut self,
        session: &mut Session,
        text: &str,
        outside: &dyn Outside,
        terminal: &dyn Terminal,
    ) -> Entered {
        let Some(level) = session.levels.last_mut() else { return Entered { status: 0, ended: true } };
        if !self.is_running() {
            return Entered { status: 255, ended: true };
        }
        let began = self.uptime;
        let context = context_of(&level.shell);
        let mut line = Line::new(outside, Vec::new());
        // User data that waits stands still meanwhile: it is told afterwards what was done.
        self.held = true;
        let mut interp = Interp::new(self, &mut line, &level.shell.name, began, &Limits::default());
        interp.connect(terminal);
        let uid = level.shell.uid;
        std::mem::swap(&mut interp.shell, &mut level.shell);
        interp.become_user(uid);
        let ended = interp.run_typed(text);
        std::mem::swap(&mut interp.shell, &mut level.shell);
        let entry = interp.entry.take();
        let (_, _, until) = interp.finish();
        self.held = false;
        let limit = Some(until.saturating_sub(began));
        self.note_at(began, Event::Run { script: format!("{context}{text}"), tape: line.taped, limit });
        match (ended, entry) {
            (Ok(status), Some(entry)) => {
                let next = entered_shell(&level.shell, &entry);
                session.levels.push(Level { shell: next, plain: false });
                Entered { status, ended: false }
            }
            (Ok(status), None) => Entered { status, ended: false },
            (Err(status), _) => {
                session.levels.pop();
                match session.levels.last_mut() {
                    Some(outer) => {
                        outer.shell.status = status;
                        Entered { status, ended: false }
                    }
                    None => Entered { status, ended: true },
                }
            }
        }
    }
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

/// What a replay of typed text needs of its shell: the directory and the plain variables.
fn context_of(shell: &Shell) -> String {
    let mut text = format!("cd {}\n", quote(&shell.cwd));
    for (name, variable) in &shell.variables {
        if let Value::Text(value) = &variable.value
            && !variable.readonly
            && !matches!(name.as_str(), "PWD" | "OLDPWD")
            && super::shell::is_name(name)
        {
            // Writing to a text does not fail.
            let _written = writeln!(text, "export {name}={}", quote(value));
        }
    }
    text
}

/// The shell that `bash`, `sudo -i` or `su -` begins.
fn entered_shell(outer: &Shell, entry: &Entry) -> Shell {
    let mut shell = Shell::new(if entry.login { "-bash" } else { "bash" });
    shell.interactive = true;
    if entry.login {
        set_user(&mut shell, entry.uid);
        home(entry.uid).clone_into(&mut shell.cwd);
    } else {
        for (name, variable) in outer.variables.iter().filter(|(_, variable)| variable.exported) {
            shell.variables.insert(name.clone(), variable.clone());
        }
        shell.cwd.clone_from(&outer.cwd);
        if entry.uid != outer.uid {
            set_user(&mut shell, entry.uid);
        }
        shell.uid = entry.uid;
    }
    let cwd = shell.cwd.clone();
    shell.export("PWD", &cwd);
    shell
}

fn set_user(shell: &mut Shell, uid: u32) {
    shell.uid = uid;
    shell.export("HOME", home(uid));
    for name in ["USER", "LOGNAME"] {
        shell.export(name, user_name(uid));
    }
}

/// Users of the image: number, name, home directory.
const USERS: &[(u32, &str, &str)] =
    &[(0, "root", "/root"), (EC2_USER, "ec2-user", "/home/ec2-user"), (SSM_USER, "ssm-user", "/home/ssm-user")];

pub(super) fn user_name(uid: u32) -> &'static str {
    USERS.iter().find(|(known, _, _)| *known == uid).map_or("nobody", |(_, name, _)| name)
}

pub(super) fn home(uid: u32) -> &'static str {
    USERS.iter().find(|(known, _, _)| *known == uid).map_or("/", |(_, _, home)| home)
}

/// The user of a name or a number.
pub(super) fn user_id(name: &str) -> Option<u32> {
    USERS.iter().find(|(uid, known, _)| *known == name || uid.to_string() == name).map(|(uid, _, _)| *uid)
}
