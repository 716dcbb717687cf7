//! What bash does itself: `cd`, `read`, `set`, `printf` and their like.

use std::time::Duration;

use super::words::{duration, is_name, unescape_ansi};
use super::{Flow, Interp, Run, Value, Variable};

/// What the shell does itself.
pub(in super::super) const BUILTINS: &[&str] = &[
    ":", ".", "[", "break", "builtin", "cd", "command", "continue", "declare", "echo", "eval", "exec", "exit",
    "export", "false", "getopts", "hash", "kill", "let", "local", "mapfile", "printf", "pwd", "read", "readonly",
    "return", "set", "shift", "shopt", "source", "test", "trap", "true", "type", "ulimit", "umask", "unset", "wait",
];

impl Interp<'_, '_> {
    /// Runs a builtin. `None`: there is none of this name.
    pub(super) fn builtin(&mut self, name: &str, words: &[String]) -> Option<Run> {
        let arguments = words.get(1..).unwrap_or_default();
        Some(match name {
            ":" | "true" => Ok(0),
            "false" => Ok(1),
            "[" => match arguments.split_last() {
                Some((last, rest)) if last == "]" => self.test("[", rest),
                _ => self.complain("[: missing `]'").map(|()| 2),
            },
            "test" => self.test("test", arguments),
            "echo" => self.echo(arguments),
            "printf" => self.printf(arguments),
            "cd" => self.change_directory(arguments),
            "pwd" => {
                let cwd = format!("{}\n", self.shell.cwd);
                self.out(&cwd).map(|()| 0)
            }
            "exit" | "logout" => Err(Flow::Exit(status(arguments, self.shell.status))),
            "return" if self.shell.locals.is_empty() && self.shell.sourcing == 0 => {
                self.complain("return: can only `return' from a function or sourced script").map(|()| 2)
            }
            "return" => Err(Flow::Return(status(arguments, self.shell.status))),
            "break" | "continue" if self.shell.loops == 0 => {
                self.complain(&format!("{name}: only meaningful in a `for', `while', or `until' loop")).map(|()| 0)
            }
            "break" => Err(Flow::Break(levels(arguments))),
            "continue" => Err(Flow::Continue(levels(arguments))),
            "set" => self.set_options(arguments),
            "shopt" => {
                let on = arguments.iter().any(|word| word == "-s");
                if arguments.iter().any(|word| word == "nullglob") {
                    self.shell.options.nullglob = on;
                }
                Ok(0)
            }
            "shift" => {
                let n = arguments.first().and_then(|word| word.parse::<usize>().ok()).unwrap_or(1);
                if n > self.shell.positional.len() {
                    return Some(Ok(1));
                }
                self.shell.positional.drain(..n);
                Ok(0)
            }
            "export" | "readonly" | "declare" | "typeset" | "local" => self.declare(name, arguments),
            "unset" => {
                for word in arguments.iter().filter(|word| !word.starts_with('-')) {
                    if self.shell.variables.remove(word).is_none() {
                        self.shell.functions.remove(word);
                    }
                }
                Ok(0)
            }
            "read" => self.read(arguments),
            "mapfile" | "readarray" => self.mapfile(arguments),
            "let" => self.let_all(arguments),
            "eval" => {
                let text = arguments.join(" ");
                let line = self.shell.line.saturating_sub(1);
                self.nested(|it| it.run_text(&text, line))
            }
            "source" | "." => self.source(arguments),
            "trap" => self.trap(arguments),
            "exec" => match self.dispatch_exec(arguments) {
                Ok(code) => Err(Flow::Exit(code)),
                other => other,
            },
            "command" | "builtin" => self.command(arguments),
            "type" | "hash" => self.type_of(name, arguments),
            "wait" => Ok(self.get("!status").and_then(|code| code.parse().ok()).unwrap_or(0)),
            "jobs" | "disown" | "umask" | "ulimit" | "alias" | "unalias" | "bg" | "fg" => Ok(0),
            "kill" => Ok(0),
            "getopts" => self.getopts(arguments),
            _ => return None,
        })
    }

    fn echo(&mut self, arguments: &[String]) -> Run {
        let (mut newline, mut escapes) = (true, false);
        let mut rest = arguments;
        while let Some((first, tail)) = rest.split_first() {
            let flags = first.strip_prefix('-').unwrap_or_default();
            if flags.is_empty() || !flags.chars().all(|flag| matches!(flag, 'n' | 'e' | 'E')) {
                break;
            }
            for flag in flags.chars() {
                match flag {
                    'n' => newline = false,
                    flag => escapes = flag == 'e',
                }
            }
            rest = tail;
        }
        let mut text = rest.join(" ");
        if escapes {
            text = unescape_ansi(&text);
        }
        if newline {
            text.push('\n');
        }
        self.out(&text)?;
        Ok(0)
    }

    fn printf(&mut self, arguments: &[String]) -> Run {
        let mut arguments = arguments;
        let mut variable = None;
        if let [flag, name, rest @ ..] = arguments
            && flag == "-v"
        {
            variable = Some(name.clone());
            arguments = rest;
        }
        if arguments.first().is_some_and(|word| word == "--") {
            arguments = arguments.get(1..).unwrap_or_default();
        }
        let Some((format, values)) = arguments.split_first() else {
            self.complain("printf: usage: printf [-v var] format [arguments]")?;
            return Ok(2);
        };
        let now = self.now();
        let (text, bad) = super::format::format_all(format, values, now);
        self.work(text.len())?;
        for word in &bad {
            self.complain(&format!("printf: {word}: invalid number"))?;
        }
        match variable {
            Some(name) => self.assign(&name, &text)?,
            None => self.out(&text)?,
        }
        Ok(i32::from(!bad.is_empty()))
    }

    fn change_directory(&mut self, arguments: &[String]) -> Run {
        let target = match arguments.iter().find(|word| word.as_str() == "-" || !word.starts_with('-')) {
            None => self.get("HOME").unwrap_or_else(|| "/".to_owned()),
            Some(word) if word == "-" => self.get("OLDPWD").unwrap_or_else(|| "/".to_owned()),
            Some(word) => word.clone(),
        };
        let path = self.path(&target);
        if !self.machine.is_directory(&path) {
            let reason = if self.machine.path_exists(&path) { "Not a directory" } else { "No such file or directory" };
            self.complain(&format!("cd: {target}: {reason}"))?;
            return Ok(1);
        }
        let old = std::mem::replace(&mut self.shell.cwd, path.clone());
        self.set("OLDPWD", &old);
        self.set("PWD", &path);
        Ok(0)
    }

    fn set_options(&mut self, arguments: &[String]) -> Run {
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let (on, flags) = match (word.strip_prefix('-'), word.strip_prefix('+')) {
                (Some("-"), _) => {
                    self.shell.positional = rest.cloned().collect();
                    return Ok(0);
                }
                (Some(flags), _) => (true, flags),
                (_, Some(flags)) => (false, flags),
                (None, None) => {
                    self.shell.positional = std::iter::once(word).chain(rest).cloned().collect();
                    return Ok(0);
                }
            };
            for flag in flags.chars() {
                if flag != 'o' {
                    self.set_flag(flag, on);
                    continue;
                }
                match rest.next().map(String::as_str) {
                    Some("errexit") => self.shell.options.errexit = on,
                    Some("nounset") => self.shell.options.nounset = on,
                    Some("xtrace") => self.shell.options.xtrace = on,
                    Some("pipefail") => self.shell.options.pipefail = on,
                    Some("noglob") => self.shell.options.noglob = on,
                    Some("posix" | "errtrace" | "functrace" | "verbose" | "noclobber" | "history" | "monitor")
                    | None => {}
                    Some(other) => {
                        self.complain(&format!("set: {other}: invalid option name"))?;
                        return Ok(2);
                    }
                }
            }
        }
        Ok(0)
    }

    pub(super) fn set_flag(&mut self, flag: char, on: bool) {
        match flag {
            'e' => self.shell.options.errexit = on,
            'u' => self.shell.options.nounset = on,
            'x' => self.shell.options.xtrace = on,
            'f' => self.shell.options.noglob = on,
            _ => {}
        }
    }

    fn declare(&mut self, name: &str, arguments: &[String]) -> Run {
        let (mut array, mut map, mut readonly, mut exported) = (false, false, name == "readonly", name == "export");
        let mut print = arguments.is_empty();
        let mut removes = false;
        for word in arguments {
            if let Some(flags) = word.strip_prefix('-') {
                array |= flags.contains('a');
                map |= flags.contains('A');
                readonly |= flags.contains('r');
                exported |= flags.contains('x');
                print |= flags.contains('p');
                removes |= flags.contains('n') && name == "export";
                continue;
            }
            let (variable, value) = match word.split_once('=') {
                Some((variable, value)) => (variable, Some(value)),
                None => (word.as_str(), None),
            };
            let append = variable.ends_with('+');
            let variable = variable.trim_end_matches('+');
            if !is_name(variable) {
                self.complain(&format!("{name}: `{word}': not a valid identifier"))?;
                return Ok(1);
            }
            if name == "local" || name != "export" && name != "readonly" && !self.shell.locals.is_empty() {
                let old = self.shell.variables.get(variable).cloned();
                let Some(frame) = self.shell.locals.last_mut() else {
                    self.complain("local: can only be used in a function")?;
                    return Ok(1);
                };
                if !frame.iter().any(|(known, _)| known == variable) {
                    frame.push((variable.to_owned(), old));
                    self.shell.variables.remove(variable);
                }
            }
            if array || map {
                let value = if map { Value::Map(Default::default()) } else { Value::Array(Default::default()) };
                if !self.shell.variables.contains_key(variable) {
                    self.set_value(variable, value);
                }
            }
            if let Some(value) = value {
                let old = if append { self.get(variable).unwrap_or_default() } else { String::new() };
                self.assign(variable, &format!("{old}{value}"))?;
            } else if name == "local" && !array && !map && !self.shell.variables.contains_key(variable) {
                // Declared and unset: bash keeps it unset.
                continue;
            }
            let flags = Variable { value: Value::Text(String::new()), exported: false, readonly: false };
            let entry = self.shell.variables.entry(variable.to_owned()).or_insert(flags);
            entry.exported = (entry.exported || exported) && !removes;
            entry.readonly |= readonly;
        }
        if print && !arguments.iter().any(|word| !word.starts_with('-')) {
            let mut lines: Vec<String> = self
                .shell
                .variables
                .iter()
                .filter(|(_, variable)| variable.exported || name != "export")
                .filter_map(|(key, variable)| match &variable.value {
                    Value::Text(text) => Some(format!("declare -x {key}=\"{text}\"\n")),
                    _ => None,
                })
                .collect();
            lines.sort();
            self.out(&lines.concat())?;
        }
        Ok(0)
    }

    fn let_all(&mut self, arguments: &[String]) -> Run {
        let mut value = 0;
        for expression in arguments {
            value = self.arithmetic(expression)?;
        }
        Ok(i32::from(value == 0))
    }

    fn source(&mut self, arguments: &[String]) -> Run {
        let Some((name, rest)) = arguments.split_first() else {
            self.complain(".: filename argument required")?;
            return Ok(2);
        };
        let path = self.path(name);
        let text = match self.machine.read_file(&path) {
            Ok(text) => text,
            Err(error) => {
                self.complain(&format!("{name}: {error}"))?;
                return Ok(1);
            }
        };
        let positional =
            if rest.is_empty() { None } else { Some(std::mem::replace(&mut self.shell.positional, rest.to_vec())) };
        self.shell.sourcing += 1;
        let ended = self.nested(|it| it.run_text(&text, 0));
        self.shell.sourcing = self.shell.sourcing.saturating_sub(1);
        if let Some(positional) = positional {
            self.shell.positional = positional;
        }
        match ended {
            Err(Flow::Return(status)) => Ok(status),
            other => other,
        }
    }

    /// Only EXIT runs; signals never come.
    fn trap(&mut self, arguments: &[String]) -> Run {
        let arguments: Vec<&String> = arguments.iter().filter(|word| word.as_str() != "--").collect();
        let Some((action, signals)) = arguments.split_first() else { return Ok(0) };
        let at_exit = signals.iter().any(|signal| matches!(signal.as_str(), "EXIT" | "0"));
        if at_exit {
            self.shell.exit_trap = (action.as_str() != "-" && !action.is_empty()).then(|| (*action).clone());
        }
        Ok(0)
    }

    fn dispatch_exec(&mut self, arguments: &[String]) -> Run {
        let words: Vec<String> = arguments.iter().skip_while(|word| word.starts_with('-')).cloned().collect();
        self.run_program_named(&words)
    }

    fn command(&mut self, arguments: &[String]) -> Run {
        match arguments.split_first() {
            Some((flag, names)) if flag == "-v" || flag == "-V" => {
                let mut found = true;
                for name in names {
                    match self.describe(name, flag == "-V") {
                        Some(text) => self.out(&format!("{text}\n"))?,
                        None => {
                            found = false;
                            if flag == "-V" {
                                self.complain(&format!("command: {name}: not found"))?;
                            }
                        }
                    }
                }
                Ok(i32::from(!found))
            }
            Some((flag, rest)) if flag == "-p" => self.command(rest),
            Some((name, _)) => match self.builtin(name, arguments) {
                Some(ended) => ended,
                None => self.run_program_named(arguments),
            },
            None => Ok(0),
        }
    }

    fn describe(&mut self, name: &str, long: bool) -> Option<String> {
        const KEYWORDS: &[&str] =
            &["if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "[[", "{"];
        let form = |kind: &str| if long { format!("{name} is {kind}") } else { name.to_owned() };
        if KEYWORDS.contains(&name) {
            return Some(form("a shell keyword"));
        }
        if self.shell.functions.contains_key(name) {
            return Some(form("a function"));
        }
        if BUILTINS.contains(&name) {
            return Some(form("a shell builtin"));
        }
        let path = if name.contains('/') {
            Some(self.path(name)).filter(|path| self.machine.is_executable(path))
        } else {
            self.machine.which(name)
        }?;
        Some(if long { format!("{name} is {path}") } else { path })
    }

    fn type_of(&mut self, builtin: &str, arguments: &[String]) -> Run {
        let flag = arguments.iter().find(|word| word.starts_with('-')).cloned().unwrap_or_default();
        let mut status = 0;
        for name in arguments.iter().filter(|word| !word.starts_with('-')) {
            let Some(text) = self.describe(name, true) else {
                status = 1;
                if flag.is_empty() {
                    self.complain(&format!("{builtin}: {name}: not found"))?;
                }
                continue;
            };
            if builtin == "hash" {
                continue;
            }
            let shown = match flag.as_str() {
                "-t" if text.ends_with("keyword") => "keyword".to_owned(),
                "-t" if text.ends_with("function") => "function".to_owned(),
                "-t" if text.ends_with("builtin") => "builtin".to_owned(),
                "-t" => "file".to_owned(),
                "-p" | "-P" => self.machine.which(name).unwrap_or_default(),
                _ => text,
            };
            if !shown.is_empty() {
                self.out(&format!("{shown}\n"))?;
            }
        }
        Ok(status)
    }

    fn getopts(&mut self, arguments: &[String]) -> Run {
        let [spec, name, given @ ..] = arguments else { return Ok(2) };
        let words = if given.is_empty() { self.shell.positional.clone() } else { given.to_vec() };
        let index: usize = self.get("OPTIND").and_then(|n| n.parse().ok()).unwrap_or(1);
        let Some(word) = words.get(index.saturating_sub(1)).filter(|word| word.starts_with('-') && word.len() > 1)
        else {
            self.set(name, "?");
            return Ok(1);
        };
        if word == "--" {
            self.set("OPTIND", &(index + 1).to_string());
            return Ok(1);
        }
        let letters: Vec<char> = word.chars().collect();
        let at = self.shell.getopts_at.clamp(1, letters.len().saturating_sub(1));
        let letter = letters.get(at).copied().unwrap_or('?');
        let rest: String = letters.get(at + 1..).unwrap_or_default().iter().collect();
        let place = spec.find(letter).filter(|_| letter != ':');
        let takes =
            place.is_some_and(|place| spec.get(place + letter.len_utf8()..).is_some_and(|s| s.starts_with(':')));
        let mut next = (index, at + 1);
        if takes {
            let value = if rest.is_empty() { words.get(index).cloned() } else { Some(rest.clone()) };
            next = (if rest.is_empty() { index + 2 } else { index + 1 }, 1);
            self.set("OPTARG", &value.unwrap_or_default());
        } else if rest.is_empty() {
            next = (index + 1, 1);
        }
        self.set("OPTIND", &next.0.to_string());
        self.shell.getopts_at = next.1;
        if place.is_none() {
            self.complain(&format!("illegal option -- {letter}"))?;
            self.set(name, "?");
        } else {
            self.set(name, &letter.to_string());
        }
        Ok(0)
    }

    /// `sleep`: `1`, `0.5`, `2m`. Lets simulated time pass.
    pub(in super::super) fn sleep(&mut self, words: &[String]) -> Run {
        let mut total = Duration::ZERO;
        for word in words.iter().skip(1) {
            let Some(time) = duration(word) else {
                return self.fail(1, format!("sleep: invalid time interval ‘{word}’"));
            };
            total = total.saturating_add(time);
        }
        if words.len() < 2 {
            return self.fail(1, "sleep: missing operand\nTry 'sleep --help' for more information.");
        }
        self.pass(total)?;
        Ok(0)
    }
}

fn status(arguments: &[String], otherwise: i32) -> i32 {
    match arguments.first() {
        None => otherwise,
        Some(word) => word.parse::<i64>().map_or(2, |code| i32::try_from(code & 255).unwrap_or(2)),
    }
}

fn levels(arguments: &[String]) -> u32 {
    arguments.first().and_then(|word| word.parse().ok()).unwrap_or(1).max(1)
}
