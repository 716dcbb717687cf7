//! bash, as far as scripts on servers use it: the grammar is brush-parser's, the evaluation is here.
//!
//! Everything is bounded: steps, nesting, output, simulated time. What goes over a bound is killed as the kernel
//! would kill it, with exit code 137; nothing hangs and nothing panics.
//!
//! Differences from a real shell, on purpose: the stages of a pipeline run one after the other; `cmd &` runs at once
//! and takes no time; text is UTF-8.

mod arithmetic;
mod builtins;
mod clock;
mod conditions;
mod exec;
mod expand;
mod format;
mod glob;
mod parameters;
mod parse;
mod read;
mod redirect;
mod streams;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use brush_parser::ast;
use jiff::Timestamp;

use super::Machine;
use super::boot::Event;
use super::outside::Line;
use super::terminal::Terminal;

pub(super) use builtins::BUILTINS;
pub(super) use glob::matches as glob_matches;
pub(super) use parse::is_unfinished;
pub(super) use words::{duration, is_name, quote};

/// How much one script may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Commands and expansions.
    pub(super) steps: u64,
    /// Nested commands, functions and substitutions.
    pub(super) depth: u32,
    /// Bytes on standard output and error together.
    pub(super) output: usize,
    /// Simulated time.
    pub(super) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 200_000, depth: 48, output: 2 << 20, time: Duration::from_secs(24 * 3600) }
    }
}

/// Why a command did not simply end with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flow {
    Break(u32),
    Continue(u32),
    Return(i32),
    Exit(i32),
    /// A bound was passed.
    Killed(&'static str),
    /// The script would sleep past the world's clock.
    Paused,
    /// `timeout` ends the command.
    TimedOut,
    /// Ctrl-c.
    Interrupted,
}

/// The status of a command.
pub(super) type Run<T = i32> = Result<T, Flow>;

/// A variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// Indexed array.
    Array(BTreeMap<i64, String>),
    /// `declare -A`.
    Map(BTreeMap<String, String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: Value,
    pub(super) exported: bool,
    pub(super) readonly: bool,
}

/// What a file descriptor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fd {
    Null,
    /// Index into [`Interp::inputs`].
    Input(usize),
    /// Index into [`Interp::buffers`].
    Buffer(usize),
    /// Appends to a file of the virtual file system.
    File(Rc<str>),
}

/// `set` options.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) errexit: bool,
    pub(super) nounset: bool,
    pub(super) xtrace: bool,
    pub(super) pipefail: bool,
    pub(super) noglob: bool,
    pub(super) nullglob: bool,
}

/// A function and the line at which its text begins.
#[derive(Debug, Clone)]
struct Function {
    body: Rc<ast::FunctionBody>,
    line_base: usize,
}

/// What a subshell gets a copy of.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    pub(super) variables: HashMap<String, Variable>,
    functions: HashMap<String, Function>,
    pub(super) positional: Vec<String>,
    /// `$0`, and what messages begin with.
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) cwd: String,
    pub(super) status: i32,
    /// How the last command substitution ended. `None`: there was none in the assignments at hand.
    pub(super) substituted: Option<i32>,
    pub(super) fds: BTreeMap<i32, Fd>,
    exit_trap: Option<String>,
    /// Variables to put back when the function returns, a list for each function that is running.
    locals: Vec<Vec<(String, Option<Variable>)>>,
    line_base: usize,
    line: usize,
    /// How many conditions, `!` and left sides of `&&` and `||` are around: `set -e` sleeps there.
    conditional: u32,
    loops: u32,
    sourcing: u32,
    getopts_at: usize,
    /// Somebody types the commands: messages name no line.
    pub(super) interactive: bool,
    /// User id: 0 is root.
    pub(super) uid: u32,
}

impl Shell {
    /// A shell of root's, with the environment that services have.
    pub(super) fn new(name: &str) -> Self {
        let mut shell = Self {
            variables: HashMap::new(),
            functions: HashMap::new(),
            positional: Vec::new(),
            name: name.to_owned(),
            options: Options::default(),
            cwd: "/".to_owned(),
            status: 0,
            substituted: None,
            fds: standard_fds(),
            exit_trap: None,
            locals: Vec::new(),
            line_base: 0,
            line: 1,
            conditional: 0,
            loops: 0,
            sourcing: 0,
            getopts_at: 1,
            interactive: false,
            uid: 0,
        };
        let environment = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LANG", "en_US.UTF-8"),
            ("PWD", "/"),
            ("SHLVL", "1"),
        ];
        for (name, value) in environment {
            shell.export(name, value);
        }
        for (name, value) in [("IFS", " \t\n"), ("OPTIND", "1")] {
            let value = Value::Text(value.to_owned());
            shell.variables.insert(name.to_owned(), Variable { value, exported: false, readonly: false });
        }
        shell
    }

    /// Sets an environment variable.
    pub(super) fn export(&mut self, name: &str, value: &str) {
        let value = Value::Text(value.to_owned());
        self.variables.insert(name.to_owned(), Variable { value, exported: true, readonly: false });
    }

    /// What is left of a command that was ended in its middle goes away, so that the next one begins afresh.
    fn settle(&mut self) {
        self.fds = standard_fds();
        self.locals.clear();
        self.conditional = 0;
        self.loops = 0;
        self.sourcing = 0;
        self.line_base = 0;
    }

    /// The names of its functions.
    pub(super) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }
}

fn standard_fds() -> BTreeMap<i32, Fd> {
    BTreeMap::from([(0, Fd::Null), (1, Fd::Buffer(STDOUT)), (2, Fd::Buffer(STDERR))])
}

/// A text that is being read.
#[derive(Debug)]
struct Input {
    text: String,
    at: usize,
}

/// When a script must pause, and what happens to its machine meanwhile.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Since boot.
    pub(super) until: Duration,
    pub(super) events: VecDeque<(Duration, Event)>,
}

/// One running script.
pub(super) struct Interp<'a, 'o> {
    pub(super) machine: &'a mut Machine,
    pub(super) line: &'a mut Line<'o>,
    pub(super) shell: Shell,
    limits: Limits,
    began: Duration,
    /// Since boot.
    clock: Duration,
    boot_time: Timestamp,
    schedule: Option<Schedule>,
    wakes_at: Option<Duration>,
    /// Since boot: when `timeout` strikes.
    timeout_at: Option<Duration>,
    /// In `cmd &`: time passes elsewhere.
    background: u32,
    buffers: Vec<String>,
    inputs: Vec<Input>,
    steps: u64,
    depth: u32,
    printed: usize,
    terminal: Option<&'o dyn Terminal>,
    /// The shell into which `bash` or `sudo -i` leads whoever types.
    pub(super) entry: Option<Entry>,
}

/// A shell that was begun from the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) uid: u32,
    /// With the user's own environment and home directory.
    pub(super) login: bool,
}

/// The longest value of a variable, in bytes.
const LONGEST_VALUE: usize = 1 << 20;

const STDOUT: usize = 0;
const STDERR: usize = 1;

impl<'a, 'o> Interp<'a, 'o> {
    pub(super) fn new(
        machine: &'a mut Machine,
        line: &'a mut Line<'o>,
        name: &str,
        uptime: Duration,
        limits: &Limits,
    ) -> Self {
        // The world's clock and the machine's differ while user data is replayed: the machine's counts from its boot.
        let now = line.outside().now();
        let boot_time = now.checked_sub(machine.uptime).unwrap_or(machine.booted_at);
        machine.files.acting = 0;
        Self {
            machine,
            line,
            shell: Shell::new(name),
            limits: *limits,
            began: uptime,
            clock: uptime,
            boot_time,
            schedule: None,
            wakes_at: None,
            timeout_at: None,
            background: 0,
            buffers: vec![String::new(), String::new()],
            inputs: Vec::new(),
            steps: 0,
            depth: 0,
            printed: 0,
            terminal: None,
            entry: None,
        }
    }

    /// Somebody sits before it: what is printed is seen at once, and time passes as it does for them.
    pub(super) fn connect(&mut self, terminal: &'o dyn Terminal) {
        self.terminal = Some(terminal);
    }

    /// Whether standard input is a person's keyboard.
    pub(super) fn at_keyboard(&self) -> bool {
        self.shell.interactive && self.shell.fds.get(&0) == Some(&Fd::Null)
    }

    /// Whether standard output is a person's screen.
    pub(super) fn at_screen(&self) -> bool {
        self.terminal.is_some() && self.shell.fds.get(&1) == Some(&Fd::Buffer(STDOUT))
    }

    /// Works on as another user.
    pub(super) fn become_user(&mut self, uid: u32) {
        self.shell.uid = uid;
        self.machine.files.acting = uid;
    }

    /// This run is user data: it pauses where it would pass the clock, and its output goes to the log.
    pub(super) fn follow_schedule(&mut self, schedule: Schedule, log: &str) {
        self.boot_time = self.machine.booted_at;
        self.schedule = Some(schedule);
        self.shell.fds.insert(1, Fd::File(log.into()));
        self.shell.fds.insert(2, Fd::File(log.into()));
    }

    pub(super) fn wakes_at(&self) -> Option<Duration> {
        self.wakes_at
    }

    /// What happened to the machine after the script had ended or paused.
    pub(super) fn events_left(&mut self) -> VecDeque<(Duration, Event)> {
        self.schedule.take().map(|schedule| schedule.events).unwrap_or_default()
    }

    /// Standard output, standard error, and the time since boot at which the script ended.
    pub(super) fn finish(mut self) -> (String, String, Duration) {
        self.machine.files.acting = 0;
        let stderr = self.buffers.get_mut(STDERR).map(std::mem::take).unwrap_or_default();
        let stdout = self.buffers.get_mut(STDOUT).map(std::mem::take).unwrap_or_default();
        (stdout, stderr, self.clock)
    }

    /// Runs what was typed in a session's shell, which goes on afterwards. `Err`: the shell has ended, with this status.
    pub(super) fn run_typed(&mut self, text: &str) -> Result<i32, i32> {
        let typed = self.run_text(text, 0);
        let ended = match typed {
            Ok(code) | Err(Flow::Return(code)) => Ok(code),
            Err(Flow::Exit(code)) => {
                self.shell.status = code;
                Err(self.run_exit_trap().unwrap_or(code))
            }
            Err(Flow::Break(_) | Flow::Continue(_) | Flow::Paused) => Ok(self.shell.status),
            Err(Flow::TimedOut) => Ok(124),
            Err(Flow::Interrupted) => Ok(130),
            Err(Flow::Killed(reason)) => {
                self.shell.settle();
                Ok(self.killed(reason))
            }
        };
        self.shell.settle();
        self.shell.status = ended.unwrap_or_else(|code| code);
        ended
    }

    /// Runs a whole script, with its EXIT trap, and gives its exit code. A paused script has none: 0, and
    /// [`Interp::wakes_at`] says more.
    pub(super) fn run_script(&mut self, text: &str) -> i32 {
        let ended = self.run_text(text, 0);
        let code = match ended {
            Ok(code) | Err(Flow::Exit(code) | Flow::Return(code)) => code,
            Err(Flow::Break(_) | Flow::Continue(_)) => self.shell.status,
            Err(Flow::TimedOut) => 124,
            Err(Flow::Interrupted) => return 130,
            Err(Flow::Paused) => return 0,
            Err(Flow::Killed(reason)) => return self.killed(reason),
        };
        self.shell.status = code;
        match self.run_exit_trap() {
            Ok(code) => code,
            Err(Flow::Killed(reason)) => self.killed(reason),
            Err(Flow::Exit(code) | Flow::Return(code)) => code,
            Err(_) => code,
        }
    }

    fn run_exit_trap(&mut self) -> Run {
        let code = self.shell.status;
        let Some(action) = self.shell.exit_trap.take() else { return Ok(code) };
        self.shell.options.errexit = false;
        self.run_text(&action, self.shell.line.saturating_sub(1))?;
        Ok(code)
    }

    /// Says that a bound was passed, and gives the status that follows from it.
    pub(super) fn killed(&mut self, reason: &'static str) -> i32 {
        self.printed = 0;
        self.limits.output = usize::MAX;
        let text = format!("{}: killed: {reason}\n", self.shell.name);
        // The message goes where errors go; a full disk loses it.
        let _lost = self.write_to(2, &text);
        137
    }

    /// Parses and runs a text whose first line is line `line_base + 1` of the script.
    pub(super) fn run_text(&mut self, text: &str, line_base: usize) -> Run {
        self.step()?;
        match parse::program(text) {
            Ok(program) => {
                let outer = std::mem::replace(&mut self.shell.line_base, line_base);
                let ended = self.run_program(&program);
                self.shell.line_base = outer;
                ended
            }
            Err(error) => {
                // bash runs the lines before a syntax error; they are parsed one complete command at a time.
                let line = error.line.map_or(1, |line| line).saturating_add(line_base);
                if let Some(before) = error.line.and_then(|line| parse::before(text, line)) {
                    let outer = std::mem::replace(&mut self.shell.line_base, line_base);
                    let ended = self.run_program(&before);
                    self.shell.line_base = outer;
                    ended?;
                }
                self.complain_at(line, &error.message)?;
                self.shell.status = 2;
                Ok(2)
            }
        }
    }

    /// One unit of work. Everything that can repeat calls this.
    pub(super) fn step(&mut self) -> Run<()> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > self.limits.steps { Err(Flow::Killed("too many steps")) } else { Ok(()) }
    }

    /// Work in proportion to a text's length: ten kilobytes are a step.
    pub(super) fn work(&mut self, bytes: usize) -> Run<()> {
        self.steps = self.steps.saturating_add(bytes as u64 / 10_240);
        self.step()
    }

    pub(super) fn nested<T>(&mut self, body: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        self.step()?;
        if self.depth >= self.limits.depth {
            return Err(Flow::Killed("nested too deeply"));
        }
        self.depth += 1;
        let ended = body(self);
        self.depth -= 1;
        ended
    }

    /// Runs `body` in a copy of the shell: variables, directory and options are as before afterwards.
    pub(super) fn subshell(&mut self, body: impl FnOnce(&mut Self) -> Run) -> Run {
        let saved = self.shell.clone();
        self.shell.exit_trap = None;
        let ended = self.nested(body);
        let ended = match ended {
            Err(Flow::Exit(code) | Flow::Return(code)) => {
                self.shell.status = code;
                self.run_exit_trap()
            }
            Ok(code) => {
                self.shell.status = code;
                self.run_exit_trap()
            }
            other => other,
        };
        let status = self.shell.status;
        self.shell = saved;
        self.machine.files.acting = self.shell.uid;
        match ended {
            Ok(code) | Err(Flow::Exit(code) | Flow::Return(code)) => Ok(code),
            Err(Flow::Break(_) | Flow::Continue(_)) => Ok(status),
            Err(other) => Err(other),
        }
    }

    /// The value of a variable as a text: element 0 of an array.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match &self.shell.variables.get(name)?.value {
            Value::Text(text) => Some(text.clone()),
            Value::Array(items) => items.get(&0).cloned(),
            Value::Map(items) => items.get("0").cloned(),
        }
    }

    /// Sets a variable, readonly or not. Scripts assign through `assign`.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let value = Value::Text(value.to_owned());
        match self.shell.variables.get_mut(name) {
            Some(variable) => variable.value = value,
            None => {
                let variable = Variable { value, exported: false, readonly: false };
                self.shell.variables.insert(name.to_owned(), variable);
            }
        }
    }

    /// Absolute path of what a script wrote.
    pub(super) fn path(&self, path: &str) -> String {
        super::vfs::absolute(&self.shell.cwd, path)
    }
}
