//! `>`, `<`, `2>&1`, here-documents and process substitution.

use brush_parser::ast::{
    IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, ProcessSubstitutionKind, SubshellCommand,
};

use super::{Fd, Flow, Input, Interp, Run};

impl Interp<'_, '_> {
    /// Runs `body` with redirections, then puts the descriptors back. A redirection that fails is a failed command.
    pub(super) fn redirected(&mut self, redirects: &[&IoRedirect], body: impl FnOnce(&mut Self) -> Run) -> Run {
        if redirects.is_empty() {
            return body(self);
        }
        let before = self.shell.fds.clone();
        let inputs = self.inputs.len();
        let mut ended = Ok(1);
        if self.redirect_all(redirects)? {
            ended = body(self);
        }
        self.shell.fds = before;
        self.inputs.truncate(inputs.max(self.highest_input()));
        ended
    }

    /// Inputs that descriptors still read from must stay.
    fn highest_input(&self) -> usize {
        self.shell
            .fds
            .values()
            .filter_map(|fd| if let Fd::Input(index) = fd { Some(index + 1) } else { None })
            .max()
            .unwrap_or(0)
    }

    /// Applies redirections for good. `false`: one failed, and was complained about.
    pub(super) fn redirect_all(&mut self, redirects: &[&IoRedirect]) -> Run<bool> {
        for redirect in redirects {
            if !self.redirect(redirect)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn redirect(&mut self, redirect: &IoRedirect) -> Run<bool> {
        match redirect {
            IoRedirect::HereDocument(fd, document) => {
                let mut text = document.doc.value.clone();
                if document.remove_tabs {
                    text = text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect();
                }
                if document.requires_expansion {
                    text = self.here_document(&text)?;
                }
                self.open_text(fd.unwrap_or(0), text);
                Ok(true)
            }
            IoRedirect::HereString(fd, word) => {
                let text = format!("{}\n", self.text(&word.value)?);
                self.open_text(fd.unwrap_or(0), text);
                Ok(true)
            }
            IoRedirect::OutputAndError(word, append) => {
                let name = self.text(&word.value)?;
                let Some(fd) = self.open_output(&name, *append)? else { return Ok(false) };
                self.shell.fds.insert(1, fd.clone());
                self.shell.fds.insert(2, fd);
                Ok(true)
            }
            IoRedirect::File(fd, kind, target) => self.redirect_file(*fd, kind, target),
        }
    }

    fn redirect_file(
        &mut self,
        fd: Option<i32>,
        kind: &IoFileRedirectKind,
        target: &IoFileRedirectTarget,
    ) -> Run<bool> {
        use IoFileRedirectKind as K;
        let reading = matches!(kind, K::Read | K::ReadAndWrite | K::DuplicateInput);
        let fd = fd.unwrap_or(if reading { 0 } else { 1 });
        match target {
            IoFileRedirectTarget::Fd(source) => self.duplicate(fd, &source.to_string()),
            IoFileRedirectTarget::Duplicate(word) => {
                let source = self.text(&word.value)?;
                if source.parse::<i32>().is_err() && source != "-" && !source.ends_with('-') {
                    // `>& file` is `&> file`.
                    let Some(output) = self.open_output(&source, false)? else { return Ok(false) };
                    self.shell.fds.insert(1, output.clone());
                    self.shell.fds.insert(2, output);
                    return Ok(true);
                }
                self.duplicate(fd, &source)
            }
            IoFileRedirectTarget::ProcessSubstitution(ProcessSubstitutionKind::Read, command) => {
                let text = self.run_for_output(command)?;
                self.open_text(fd, text);
                Ok(true)
            }
            IoFileRedirectTarget::ProcessSubstitution(ProcessSubstitutionKind::Write, command) => {
                // `exec > >(tee -a log)`: what would be piped is written where the usual commands write it anyway.
                let file = self.file_of_tee(command)?;
                let opened = match file {
                    Some(name) => self.open_output(&name, true)?,
                    None => self.shell.fds.get(&1).cloned(),
                };
                let Some(opened) = opened else { return Ok(false) };
                self.shell.fds.insert(fd, opened);
                Ok(true)
            }
            IoFileRedirectTarget::Filename(word) => {
                let name = self.text(&word.value)?;
                let opened = match kind {
                    K::Read | K::ReadAndWrite => self.open_input(&name)?,
                    K::Append => self.open_output(&name, true)?,
                    _ => self.open_output(&name, false)?,
                };
                let Some(opened) = opened else { return Ok(false) };
                self.shell.fds.insert(fd, opened);
                Ok(true)
            }
        }
    }

    fn duplicate(&mut self, fd: i32, source: &str) -> Run<bool> {
        if source == "-" {
            self.shell.fds.remove(&fd);
            return Ok(true);
        }
        let number = source.trim_end_matches('-').parse().unwrap_or(-1);
        match self.shell.fds.get(&number).cloned() {
            Some(opened) => {
                self.shell.fds.insert(fd, opened);
                Ok(true)
            }
            None => {
                self.complain(&format!("{source}: Bad file descriptor"))?;
                Ok(false)
            }
        }
    }

    fn open_text(&mut self, fd: i32, text: String) {
        self.inputs.push(Input { text, at: 0 });
        self.shell.fds.insert(fd, Fd::Input(self.inputs.len() - 1));
    }

    fn open_input(&mut self, name: &str) -> Run<Option<Fd>> {
        let path = self.path(name);
        if matches!(path.as_str(), "/dev/null" | "/dev/stdin" | "/dev/tty") {
            return Ok(Some(if path == "/dev/stdin" {
                self.shell.fds.get(&0).cloned().unwrap_or(Fd::Null)
            } else {
                Fd::Null
            }));
        }
        match self.machine.read_file(&path) {
            Ok(text) => {
                self.work(text.len())?;
                if self.inputs.len() > 1000 {
                    return Err(Flow::Killed("too many open files"));
                }
                self.inputs.push(Input { text, at: 0 });
                Ok(Some(Fd::Input(self.inputs.len() - 1)))
            }
            Err(error) => {
                self.complain(&format!("{name}: {error}"))?;
                Ok(None)
            }
        }
    }

    fn open_output(&mut self, name: &str, append: bool) -> Run<Option<Fd>> {
        let path = self.path(name);
        match path.as_str() {
            "/dev/null" | "/dev/console" | "/dev/tty" | "/dev/kmsg" => return Ok(Some(Fd::Null)),
            "/dev/stdout" => return Ok(self.shell.fds.get(&1).cloned()),
            "/dev/stderr" => return Ok(self.shell.fds.get(&2).cloned()),
            _ => {}
        }
        let now = self.seconds();
        let made = if append || path.starts_with("/proc/") {
            self.machine.append_file(&path, "", now)
        } else {
            self.machine.write_file(&path, "", now)
        };
        match made {
            Ok(()) => Ok(Some(Fd::File(path.as_str().into()))),
            Err(error) => {
                self.complain(&format!("{name}: {error}"))?;
                Ok(None)
            }
        }
    }

    /// What `<(…)` prints.
    pub(super) fn run_for_output(&mut self, command: &SubshellCommand) -> Run<String> {
        let (ended, text) = self.capture(|it| it.subshell(|it| it.run_list(&command.list)));
        ended?;
        Ok(text)
    }

    /// The file that a `>(tee FILE …)` would write.
    fn file_of_tee(&mut self, command: &SubshellCommand) -> Run<Option<String>> {
        let text = command.list.to_string();
        let mut words = text.split_whitespace();
        if words.next() != Some("tee") {
            return Ok(None);
        }
        match words.find(|word| !word.starts_with('-')) {
            Some(word) => Ok(Some(self.text(word.trim_end_matches([';', '|']))?)),
            None => Ok(None),
        }
    }
}
