//! What a script prints and reads: its descriptors, what is captured of them, and what is fed to them.

use super::{Fd, Flow, Input, Interp, Run, STDERR, STDOUT};
use crate::sandbox::host::terminal::Stream;

impl Interp<'_, '_> {
    /// `bash: line 3: …` on standard error.
    pub(in super::super) fn complain(&mut self, message: &str) -> Run<()> {
        self.complain_at(self.shell.line, message)
    }

    pub(super) fn complain_at(&mut self, line: usize, message: &str) -> Run<()> {
        let text = match self.shell.interactive {
            true => format!("{}: {message}\n", self.shell.name),
            false => format!("{}: line {line}: {message}\n", self.shell.name),
        };
        self.err(&text)
    }

    pub(in super::super) fn out(&mut self, text: &str) -> Run<()> {
        self.write_to(1, text)
    }

    pub(in super::super) fn err(&mut self, text: &str) -> Run<()> {
        self.write_to(2, text)
    }

    /// A line that a command says on standard error, and its exit status.
    pub(in super::super) fn fail(&mut self, status: i32, message: impl AsRef<str>) -> Run {
        self.err(&format!("{}\n", message.as_ref()))?;
        Ok(status)
    }

    pub(in super::super) fn write_to(&mut self, fd: i32, text: &str) -> Run<()> {
        match self.shell.fds.get(&fd).cloned() {
            Some(Fd::Buffer(index)) => {
                self.printed = self.printed.saturating_add(text.len());
                if self.printed > self.limits.output {
                    return Err(Flow::Killed("printed too much"));
                }
                match (self.terminal, index) {
                    (Some(terminal), STDOUT) => terminal.print(Stream::Out, text),
                    (Some(terminal), STDERR) => terminal.print(Stream::Err, text),
                    _ => {
                        if let Some(buffer) = self.buffers.get_mut(index) {
                            buffer.push_str(text);
                        }
                    }
                }
            }
            Some(Fd::File(path)) => {
                self.work(text.len())?;
                let now = self.seconds();
                // A full disk: the text is lost, and commands rarely look.
                let _lost = self.machine.append_file(&path, text, now);
            }
            Some(Fd::Null | Fd::Input(_)) | None => {}
        }
        Ok(())
    }

    /// All that is left of standard input.
    pub(in super::super) fn read_all(&mut self) -> Run<String> {
        let Some(Fd::Input(index)) = self.shell.fds.get(&0) else { return Ok(String::new()) };
        let index = *index;
        let Some(input) = self.inputs.get_mut(index) else { return Ok(String::new()) };
        let rest = input.text.get(input.at..).unwrap_or_default().to_owned();
        input.at = input.text.len();
        self.work(rest.len())?;
        Ok(rest)
    }

    /// A line from the keyboard. `None`: there is nobody, or they ended their input.
    pub(in super::super) fn ask(&mut self, prompt: &str) -> Run<Option<String>> {
        let Some(terminal) = self.terminal.filter(|_| self.at_keyboard()) else { return Ok(None) };
        self.machine.files.acting = 0;
        let answer = terminal.ask(self.machine, prompt);
        self.machine.files.acting = self.shell.uid;
        self.clock = self.clock.max(self.machine.uptime);
        answer.map_err(|_| Flow::Interrupted)
    }

    /// One line of a descriptor, and whether a newline ended it. `None` at the end.
    pub(super) fn read_line(&mut self, fd: i32, delimiter: char) -> Option<(String, bool)> {
        let Some(Fd::Input(index)) = self.shell.fds.get(&fd) else { return None };
        let input = self.inputs.get_mut(*index)?;
        let rest = input.text.get(input.at..).filter(|rest| !rest.is_empty())?;
        let (line, ended) = match rest.find(delimiter) {
            Some(end) => (rest.get(..end)?.to_owned(), true),
            None => (rest.to_owned(), false),
        };
        input.at += line.len() + if ended { delimiter.len_utf8() } else { 0 };
        Some((line, ended))
    }

    /// Runs `body` with standard output captured.
    pub(in super::super) fn capture<T>(&mut self, body: impl FnOnce(&mut Self) -> Run<T>) -> (Run<T>, String) {
        self.buffers.push(String::new());
        let index = self.buffers.len() - 1;
        let before = self.shell.fds.insert(1, Fd::Buffer(index));
        let ended = body(self);
        if let Some(before) = before {
            self.shell.fds.insert(1, before);
        }
        (ended, self.buffers.pop().unwrap_or_default())
    }

    /// Runs `body` with standard output and error captured together.
    pub(in super::super) fn capture_all<T>(&mut self, body: impl FnOnce(&mut Self) -> Run<T>) -> (Run<T>, String) {
        self.capture(|it| {
            let out = it.shell.fds.get(&1).cloned().unwrap_or(Fd::Null);
            let before = it.shell.fds.insert(2, out);
            let ended = body(it);
            match before {
                Some(before) => it.shell.fds.insert(2, before),
                None => it.shell.fds.remove(&2),
            };
            ended
        })
    }

    /// Runs `body` with `text` as standard input.
    pub(in super::super) fn feed<T>(&mut self, text: String, body: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        self.inputs.push(Input { text, at: 0 });
        let index = self.inputs.len() - 1;
        let before = self.shell.fds.insert(0, Fd::Input(index));
        let ended = body(self);
        match before {
            Some(before) => self.shell.fds.insert(0, before),
            None => self.shell.fds.remove(&0),
        };
        self.inputs.truncate(index);
        ended
    }
}
