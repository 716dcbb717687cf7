//! The two streams, colour, and questions.

use std::io::{self, BufRead, IsTerminal, Write};

use color_eyre::eyre;

use super::arguments::Color;
use super::output::Paint;

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Colour of documents on standard output.
    pub out: Paint,
    /// Colour of everything on standard error.
    pub err: Paint,
}

impl Terminal {
    /// `auto` is colour on a terminal unless `NO_COLOR` is set to anything (<https://no-color.org>).
    pub fn new(color: Color) -> Self {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => allowed && is_terminal,
        };
        Self {
            out: Paint { colour: colour(io::stdout().is_terminal()) },
            err: Paint { colour: colour(io::stderr().is_terminal()) },
        }
    }

    /// Writes a document to standard output. A reader that has gone (`| head`) is not an error.
    pub fn document(&self, text: &str) -> eyre::Result<()> {
        self.is_read(text).map(drop)
    }

    /// Writes to standard output and says whether anybody still reads it.
    pub fn is_read(&self, text: &str) -> eyre::Result<bool> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a JSON document.
    pub fn json(&self, document: &serde_json::Value) -> eyre::Result<()> {
        self.document(&format!("{document:#}\n"))
    }

    /// One line to standard error. Nobody may be reading it, which must not end a command half-way.
    pub fn say(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Writes over the last line of standard error, which stays open: the next line begins in its place. Only for a
    /// terminal, which cuts what is wider than itself: broken in two, the line could not be written over.
    pub fn say_over(&self, line: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\u{1b}[K\u{1b}[?7l{line}\u{1b}[?7h").and_then(|()| err.flush());
    }

    /// Asks for a word and says whether it was given. Only at a terminal: a script says `--yes`.
    pub fn ask_for(&self, question: &str, wanted: &str) -> eyre::Result<bool> {
        if !io::stdin().is_terminal() {
            eyre::bail!("standard input is not a terminal to ask at; pass --yes to go ahead without being asked");
        }
        {
            let mut err = io::stderr().lock();
            write!(err, "{question} ")?;
            err.flush()?;
        }
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim() == wanted)
    }

    /// As [`Self::ask_for`]. Who does not wait for the answer leaves a thread behind that still reads, which keeps nobody
    /// from ending the process.
    pub async fn ask(self, question: &'static str, wanted: &'static str) -> eyre::Result<bool> {
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            // Nobody may be waiting any more.
            let _ = tell.send(self.ask_for(question, wanted));
        });
        told.await?
    }
}

/// As [`crate::saga::error_line`].
pub fn error_line(report: &eyre::Report) -> String {
    crate::saga::error_line(report.as_ref())
}
