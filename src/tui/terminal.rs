//! Owns the terminal: takes it, and gives it back on quit, on an error, on a panic and while suspended.

use std::io::{self, IsTerminal, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::model::Model;
use super::theme::Theme;
use super::view::view;

/// The terminal while the console has it. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Output>>,
}

impl Screen {
    /// Takes the terminal. Fails, with nothing changed, where there is none.
    pub fn take() -> io::Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the console needs a terminal on standard input and output; \
                 for scripts there are `natdeck tree`, `plan`, `apply`, `check` and `destroy`",
            ));
        }
        restore_on_panic();
        enter()?;
        match Terminal::new(CrosstermBackend::new(Output)) {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Draws one frame: only cells that differ from the last one are sent.
    pub fn draw(&mut self, model: &Model, theme: &Theme) -> io::Result<()> {
        self.terminal.draw(|frame| view(model, theme, frame)).map(drop)
    }

    /// Gives the terminal back, stops the process, and takes the terminal again when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Stops the process here. What follows runs after SIGCONT.
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        self.retake()
    }

    /// Gives the terminal to somebody else until it is retaken.
    pub fn lend(&mut self) {
        give_back();
    }

    /// Takes the terminal again and forgets what was on it.
    pub fn retake(&mut self) -> io::Result<()> {
        // Whoever had the terminal meanwhile may have left its modes differently from what is remembered.
        let _ = disable_raw_mode();
        enter()?;
        // Not `Terminal::clear`: that asks for the cursor's position, and the answer would be read as keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Puts text on the clipboard of the terminal (OSC 52): that of the person, also over SSH.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether the console has the terminal. Given back twice, the report of a panic would be written over: leaving the
/// alternate screen puts the cursor back to where it was.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Standard output while the console has the terminal; after that, what is still written goes nowhere. Ratatui shows
/// the cursor when its terminal is dropped and complains on standard error when that fails: where the window was closed
/// that fails, too, and would end the process with an abort.
#[derive(Debug)]
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if TAKEN.load(Ordering::SeqCst) { stdout().write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) { stdout().flush() } else { Ok(()) }
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    // Mouse capture stays off: it would take the terminal's own selection away.
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide).inspect_err(|_| give_back())
}

/// Undoes all that the console does to a terminal. Also right when some of it was never done, or when it is given back
/// already.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // The terminal may be gone: then there is nobody to give it back to.
    let _ = execute!(stdout(), DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// Puts the giving back before whatever reports panics, so that the report is readable.
fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        report(panic);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_after_the_terminal_is_given_back_goes_nowhere() {
        give_back();
        let mut output = Output;
        assert_eq!(output.write(b"\x1b[?25h").unwrap(), 6);
        output.flush().unwrap();
    }
}
