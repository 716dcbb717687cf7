//! The shell at a terminal: line editing, history, completion; and without one: a script from standard input. This
//! touches the real machine: its terminal and the history file.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::path::Path;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::{HostShell, Interrupt, Screen, ShellError};
use crate::sandbox::Sandbox;
use crate::sandbox::host::{Interrupted, Session, Stream};

/// How a shell ended: the exit status of its last command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShellEnd {
    pub status: i32,
}

/// The most lines that the history keeps.
const HISTORY: usize = 1000;

/// The real screen. What cannot be shown is lost: whoever watched is gone.
#[derive(Default)]
struct RealScreen {
    /// What stands on the line of the cursor: the prompt comes after it, and the line editor draws both.
    tail: RefCell<String>,
}

impl RealScreen {
    fn take_tail(&self) -> String {
        let tail = self.tail.take();
        // A long line has wrapped; the editor could not place the cursor on it.
        if tail.chars().count() > 70 || tail.chars().any(char::is_control) { String::new() } else { tail }
    }
}

impl Screen for RealScreen {
    fn print(&self, stream: Stream, text: &str) {
        let mut tail = self.tail.borrow_mut();
        match text.rsplit_once('\n') {
            Some((_, rest)) => rest.clone_into(&mut tail),
            None => tail.push_str(text),
        }
        drop(tail);
        let _lost = match stream {
            Stream::Out => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Stream::Err => {
                let mut err = std::io::stderr().lock();
                err.write_all(text.as_bytes()).and_then(|()| err.flush())
            }
        };
    }

    fn ask(&self, prompt: &str) -> Result<Option<String>, Interrupted> {
        self.print(Stream::Out, prompt);
        self.tail.take();
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => Ok(None),
            Ok(_) => Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned())),
        }
    }
}

/// Completes the names of programs and files.
struct HostHelper {
    shell: Rc<RefCell<HostShell>>,
}

impl Completer for HostHelper {
    type Candidate = String;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.shell.borrow().complete(line, cursor))
    }
}

impl Hinter for HostHelper {
    type Hint = String;
}

impl Highlighter for HostHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Validator for HostHelper {}
impl Helper for HostHelper {}

/// Reads commands from the terminal until `exit` or ctrl-d. Blocks the thread. `history`: the file that keeps what was
/// typed; where it cannot be written, nothing is kept.
pub fn run(
    sandbox: Sandbox,
    which: &str,
    history: Option<&Path>,
    interrupt: Interrupt,
) -> Result<ShellEnd, ShellError> {
    let shell = Rc::new(RefCell::new(HostShell::open(sandbox, which, true, interrupt)?));
    let unusable = |error: ReadlineError| ShellError::Terminal(std::io::Error::other(error));
    let config = Config::builder()
        .max_history_size(HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(unusable)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<HostHelper, FileHistory> = Editor::with_config(config).map_err(unusable)?;
    editor.set_helper(Some(HostHelper { shell: shell.clone() }));
    if let Some(file) = history {
        // The first time there is none.
        let _new = editor.load_history(file);
    }
    let screen = RealScreen::default();
    let ended = loop {
        let tail = screen.take_tail();
        if !tail.is_empty() {
            screen.print(Stream::Out, "\r");
            screen.tail.take();
        }
        let prompt = format!("{tail}{}", shell.borrow().prompt());
        let text = match read(&mut editor, &prompt) {
            Typed::Text(text) => text,
            Typed::Abandoned => continue,
            Typed::End => {
                screen.print(Stream::Out, "exit\n");
                "exit".to_owned()
            }
            Typed::Unusable(error) => break Err(unusable(error)),
        };
        if text.trim().is_empty() {
            continue;
        }
        // Lost only when the history is switched off.
        let _kept = editor.add_history_entry(text.trim_end());
        match shell.borrow_mut().enter(&text, &screen) {
            Ok(entered) => {
                if entered.status == 130 {
                    screen.print(Stream::Out, "\n");
                }
                if entered.ended {
                    break Ok(ShellEnd { status: entered.status });
                }
            }
            Err(error) => break Err(error),
        }
    };
    if let Some(file) = history {
        let kept = file.parent().map_or(Ok(()), std::fs::create_dir_all).is_ok() && editor.save_history(file).is_ok();
        if !kept {
            tracing::warn!(file = %file.display(), "the shell's history was not kept");
        }
    }
    ended
}

/// What came from the keyboard.
enum Typed {
    /// One complete command, of several lines where it needs them.
    Text(String),
    /// Ctrl-c.
    Abandoned,
    /// Ctrl-d.
    End,
    Unusable(ReadlineError),
}

fn read(editor: &mut Editor<HostHelper, FileHistory>, prompt: &str) -> Typed {
    let mut text = String::new();
    loop {
        let line = match editor.readline(if text.is_empty() { prompt } else { "> " }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => return Typed::Abandoned,
            Err(ReadlineError::Eof) => return Typed::End,
            Err(error) => return Typed::Unusable(error),
        };
        text.push_str(&line);
        text.push('\n');
        if !Session::needs_more(&text) {
            return Typed::Text(text);
        }
    }
}

/// Runs what standard input holds as a script, and ends with the status of its last command. Blocks the thread.
pub fn run_script(sandbox: Sandbox, which: &str, interrupt: Interrupt) -> Result<ShellEnd, ShellError> {
    let mut shell = HostShell::open(sandbox, which, false, interrupt)?;
    let mut script = Vec::new();
    std::io::stdin().read_to_end(&mut script)?;
    let entered = shell.enter(&String::from_utf8_lossy(&script), &RealScreen::default())?;
    Ok(ShellEnd { status: entered.status })
}
