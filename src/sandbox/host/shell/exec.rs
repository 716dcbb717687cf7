//! Commands: simple and compound ones, pipelines, lists.

use std::collections::BTreeMap;
use std::rc::Rc;

use brush_parser::SourceSpan;
use brush_parser::ast::{
    AndOr, AndOrList, CaseItemPostAction, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    FunctionDefinition, IoRedirect, Pipeline, ProcessSubstitutionKind, Program, RedirectList, SeparatorOperator,
    SimpleCommand, Word,
};

use super::conditions::extended_matches;
use super::words::quote_if_needed;
use super::{Flow, Function, Interp, Run, Value, Variable};

impl Interp<'_, '_> {
    pub(super) fn run_program(&mut self, program: &Program) -> Run {
        let mut status = 0;
        for command in &program.complete_commands {
            status = self.run_list(command)?;
        }
        Ok(status)
    }

    pub(super) fn run_list(&mut self, list: &CompoundList) -> Run {
        let mut status = 0;
        for item in &list.0 {
            status = match item.1 {
                SeparatorOperator::Sequence => self.run_and_or(&item.0)?,
                SeparatorOperator::Async => self.run_in_background(&item.0)?,
            };
        }
        Ok(status)
    }

    /// `cmd &`: at once, on the side of the clock.
    fn run_in_background(&mut self, list: &AndOrList) -> Run {
        let clock = self.clock;
        self.background += 1;
        let ended = self.feed(String::new(), |it| it.subshell(|it| it.run_and_or(list)));
        self.background -= 1;
        self.clock = clock;
        let code = ended?;
        self.set("!", "2201");
        self.set("!status", &code.to_string());
        self.shell.status = 0;
        Ok(0)
    }

    fn run_and_or(&mut self, list: &AndOrList) -> Run {
        let mut rest = list.additional.iter().peekable();
        let mut status = self.run_part(&list.first, rest.peek().is_some())?;
        while let Some(next) = rest.next() {
            let last = rest.peek().is_none();
            let (run, pipeline) = match next {
                AndOr::And(pipeline) => (status == 0, pipeline),
                AndOr::Or(pipeline) => (status != 0, pipeline),
            };
            if run {
                status = self.run_part(pipeline, !last)?;
            }
        }
        Ok(status)
    }

    fn run_part(&mut self, pipeline: &Pipeline, conditional: bool) -> Run {
        if conditional { self.condition(|it| it.run_pipeline(pipeline)) } else { self.run_pipeline(pipeline) }
    }

    /// Runs something whose failure is an answer: `set -e` does not apply.
    fn condition<T>(&mut self, body: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        self.shell.conditional += 1;
        let ended = body(self);
        self.shell.conditional = self.shell.conditional.saturating_sub(1);
        ended
    }

    fn run_pipeline(&mut self, pipeline: &Pipeline) -> Run {
        let began = self.clock;
        let mut status = if pipeline.bang {
            self.condition(|it| it.run_stages(&pipeline.seq))?
        } else {
            self.run_stages(&pipeline.seq)?
        };
        if pipeline.bang {
            status = i32::from(status == 0);
        }
        if pipeline.timed.is_some() {
            let took = self.clock.saturating_sub(began).as_secs_f64();
            self.err(&format!("\nreal\t0m{took:.3}s\nuser\t0m0.000s\nsys\t0m0.000s\n"))?;
        }
        self.shell.status = status;
        let counts = match pipeline.seq.as_slice() {
            [Command::Compound(CompoundCommand::Subshell(_) | CompoundCommand::Arithmetic(_), _)] => true,
            [Command::Compound(..) | Command::Function(_)] => false,
            _ => true,
        };
        if status != 0 && counts && !pipeline.bang && self.shell.options.errexit && self.shell.conditional == 0 {
            return Err(Flow::Exit(status));
        }
        Ok(status)
    }

    fn run_stages(&mut self, stages: &[Command]) -> Run {
        if let [only] = stages {
            return self.run_command(only);
        }
        let mut statuses = Vec::new();
        let mut piped: Option<String> = None;
        for (at, stage) in stages.iter().enumerate() {
            let last = at + 1 == stages.len();
            let input = piped.take();
            let run = |it: &mut Self| match input {
                Some(text) => it.feed(text, |it| it.subshell(|it| it.run_command(stage))),
                None => it.subshell(|it| it.run_command(stage)),
            };
            if last {
                statuses.push(run(self)?);
            } else {
                let (ended, text) = self.capture(run);
                statuses.push(ended?);
                self.work(text.len())?;
                piped = Some(text);
            }
        }
        let items: BTreeMap<i64, String> = (0..).zip(statuses.iter().map(ToString::to_string)).collect();
        self.set_value("PIPESTATUS", Value::Array(items));
        let last = statuses.last().copied().unwrap_or(0);
        let failed = statuses.iter().rev().copied().find(|status| *status != 0);
        Ok(if self.shell.options.pipefail { failed.unwrap_or(0) } else { last })
    }

    fn run_command(&mut self, command: &Command) -> Run {
        let status = match command {
            Command::Simple(simple) => self.run_simple(simple),
            Command::Compound(compound, redirects) => {
                let redirects = list_of(redirects.as_ref());
                self.nested(|it| it.redirected(&redirects, |it| it.run_compound(compound)))
            }
            Command::Function(definition) => {
                self.define(definition);
                Ok(0)
            }
            Command::ExtendedTest(test, redirects) => {
                self.at(Some(&test.loc));
                let redirects = list_of(redirects.as_ref());
                self.redirected(&redirects, |it| Ok(i32::from(!it.extended_test(&test.expr)?)))
            }
        }?;
        self.shell.status = status;
        Ok(status)
    }

    fn define(&mut self, definition: &FunctionDefinition) {
        let body = Rc::new(definition.body.clone());
        let function = Function { body, line_base: self.shell.line_base };
        self.shell.functions.insert(definition.fname.value.clone(), function);
    }

    fn at(&mut self, span: Option<&SourceSpan>) {
        if let Some(span) = span {
            self.shell.line = self.shell.line_base.saturating_add(span.start.line);
        }
    }

    fn run_compound(&mut self, command: &CompoundCommand) -> Run {
        match command {
            CompoundCommand::BraceGroup(group) => self.run_list(&group.list),
            CompoundCommand::Subshell(subshell) => self.subshell(|it| it.run_list(&subshell.list)),
            CompoundCommand::Arithmetic(arithmetic) => {
                self.at(Some(&arithmetic.loc));
                Ok(i32::from(self.arithmetic(&arithmetic.expr.value)? == 0))
            }
            CompoundCommand::IfClause(clause) => {
                if self.condition(|it| it.run_list(&clause.condition))? == 0 {
                    return self.run_list(&clause.then);
                }
                for other in clause.elses.iter().flatten() {
                    let holds = match &other.condition {
                        Some(condition) => self.condition(|it| it.run_list(condition))? == 0,
                        None => true,
                    };
                    if holds {
                        return self.run_list(&other.body);
                    }
                }
                Ok(0)
            }
            CompoundCommand::WhileClause(clause) => self.run_loop(&clause.0, &clause.1.list, true),
            CompoundCommand::UntilClause(clause) => self.run_loop(&clause.0, &clause.1.list, false),
            CompoundCommand::ForClause(clause) => {
                self.at(Some(&clause.loc));
                let values = match &clause.values {
                    Some(words) => self.fields(words.iter().map(|word| word.value.as_str()))?,
                    None => self.shell.positional.clone(),
                };
                let mut status = 0;
                for value in values {
                    self.assign(&clause.variable_name, &value)?;
                    match self.run_body(&clause.body.list, &mut status)? {
                        true => {}
                        false => break,
                    }
                }
                Ok(status)
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                self.at(Some(&clause.loc));
                if let Some(first) = &clause.initializer {
                    self.arithmetic(&first.value)?;
                }
                let mut status = 0;
                loop {
                    let holds = match &clause.condition {
                        Some(condition) if !condition.value.trim().is_empty() => {
                            self.arithmetic(&condition.value)? != 0
                        }
                        _ => true,
                    };
                    if !holds || !self.run_body(&clause.body.list, &mut status)? {
                        return Ok(status);
                    }
                    if let Some(next) = &clause.updater {
                        self.arithmetic(&next.value)?;
                    }
                }
            }
            CompoundCommand::CaseClause(clause) => {
                self.at(Some(&clause.loc));
                let value = self.text(&clause.value.value)?;
                let mut status = 0;
                let mut fall_through = false;
                for item in &clause.cases {
                    let mut chosen = fall_through;
                    for pattern in &item.patterns {
                        if chosen {
                            break;
                        }
                        let pattern = self.pattern(&pattern.value)?;
                        chosen = extended_matches(&pattern, &value);
                    }
                    if !chosen {
                        continue;
                    }
                    status = match &item.cmd {
                        Some(list) => self.run_list(list)?,
                        None => 0,
                    };
                    match item.post_action {
                        CaseItemPostAction::ExitCase => return Ok(status),
                        CaseItemPostAction::UnconditionallyExecuteNextCaseItem => fall_through = true,
                        CaseItemPostAction::ContinueEvaluatingCases => fall_through = false,
                    }
                }
                Ok(status)
            }
            CompoundCommand::Coprocess(_) => {
                self.complain("coproc: not supported by the simulated shell")?;
                Ok(2)
            }
        }
    }

    fn run_loop(&mut self, condition: &CompoundList, body: &CompoundList, until_fails: bool) -> Run {
        let mut status = 0;
        loop {
            self.step()?;
            // `break` in a condition leaves the loop too.
            self.shell.loops += 1;
            let answer = self.condition(|it| it.run_list(condition));
            self.shell.loops = self.shell.loops.saturating_sub(1);
            let holds = match answer {
                Ok(answer) => (answer == 0) == until_fails,
                Err(Flow::Break(1)) => return Ok(status),
                Err(Flow::Break(n)) => return Err(Flow::Break(n - 1)),
                Err(other) => return Err(other),
            };
            if !holds || !self.run_body(body, &mut status)? {
                return Ok(status);
            }
        }
    }

    /// One turn of a loop. `false`: the loop is over.
    fn run_body(&mut self, body: &CompoundList, status: &mut i32) -> Run<bool> {
        self.step()?;
        self.shell.loops += 1;
        let ended = self.run_list(body);
        self.shell.loops = self.shell.loops.saturating_sub(1);
        match ended {
            Ok(code) => {
                *status = code;
                Ok(true)
            }
            Err(Flow::Break(n)) if n > 1 => Err(Flow::Break(n - 1)),
            Err(Flow::Break(_)) => {
                *status = 0;
                Ok(false)
            }
            Err(Flow::Continue(n)) if n > 1 => Err(Flow::Continue(n - 1)),
            Err(Flow::Continue(_)) => Ok(true),
            Err(other) => Err(other),
        }
    }

    fn run_simple(&mut self, command: &SimpleCommand) -> Run {
        self.step()?;
        let first = command.word_or_name.as_ref().and_then(|word| word.loc.as_ref());
        let mut words: Vec<String> = Vec::new();
        let mut assignments = Vec::new();
        let mut redirects: Vec<&IoRedirect> = Vec::new();
        let prefix = command.prefix.iter().flat_map(|prefix| &prefix.0);
        for item in prefix {
            match item {
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => redirects.push(redirect),
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) => {
                    self.at(Some(&assignment.loc));
                    assignments.push(assignment);
                }
                CommandPrefixOrSuffixItem::Word(word) => words.extend(self.fields([word.value.as_str()])?),
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {}
            }
        }
        self.at(first);
        if let Some(name) = &command.word_or_name {
            words.extend(self.fields([name.value.as_str()])?);
        }
        let declares = words
            .first()
            .is_some_and(|name| matches!(name.as_str(), "local" | "export" | "declare" | "typeset" | "readonly"));
        let mut arrays = Vec::new();
        for item in command.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => redirects.push(redirect),
                CommandPrefixOrSuffixItem::Word(word) => words.extend(self.fields([word.value.as_str()])?),
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                    if declares {
                        let array = matches!(assignment.value, brush_parser::ast::AssignmentValue::Array(_));
                        if array {
                            arrays.push(assignment);
                            words.push(assignment.name.to_string());
                        } else {
                            let text = self.declared(word)?;
                            words.push(text);
                        }
                    } else {
                        words.extend(self.fields([word.value.as_str()])?);
                    }
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(ProcessSubstitutionKind::Read, inner) => {
                    let text = self.run_for_output(inner)?;
                    let path = format!("/dev/fd/{}", 63_usize.saturating_sub(words.len()));
                    let now = self.seconds();
                    if let Err(error) = self.machine.files.write(&path, &text, now) {
                        self.complain(&format!("{path}: {error}"))?;
                    }
                    words.push(path);
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(ProcessSubstitutionKind::Write, _) => {
                    self.complain("process substitution: not supported by the simulated shell")?;
                    return Ok(1);
                }
            }
        }
        let Some(name) = words.first().cloned() else {
            // Only assignments: the status is that of the last command substitution. Until there is one, `$?` is
            // still that of the command before, as in `code=$?`.
            self.shell.substituted = None;
            for assignment in &assignments {
                self.run_assignment(assignment)?;
            }
            let status = self.shell.substituted.unwrap_or(0);
            return self.redirected(&redirects, |_| Ok(status));
        };
        self.trace(&words, true)?;
        if name == "exec" && words.len() == 1 {
            return Ok(i32::from(!self.redirect_all(&redirects)?));
        }
        let saved: Vec<(String, Option<Variable>)> = assignments
            .iter()
            .map(|a| a.name.to_string())
            .map(|n| (n.clone(), self.shell.variables.get(&n).cloned()))
            .collect();
        for assignment in &assignments {
            self.run_assignment(assignment)?;
            if let Some(variable) = self.shell.variables.get_mut(&assignment.name.to_string()) {
                variable.exported = true;
            }
        }
        let ended = self.redirected(&redirects, |it| it.dispatch(&words));
        for assignment in arrays {
            self.run_assignment(assignment)?;
        }
        for (name, variable) in saved {
            match variable {
                Some(variable) => self.shell.variables.insert(name, variable),
                None => self.shell.variables.remove(&name),
            };
        }
        ended
    }

    /// `name=value` after `local`, `export` and the like: expanded without splitting.
    fn declared(&mut self, word: &Word) -> Run<String> {
        match word.value.split_once('=') {
            Some((name, value)) => Ok(format!("{name}={}", self.text(value)?)),
            None => self.text(&word.value),
        }
    }

    /// `set -x`.
    pub(super) fn trace(&mut self, words: &[String], quote: bool) -> Run<()> {
        if !self.shell.options.xtrace {
            return Ok(());
        }
        let shown: Vec<String> =
            words.iter().map(|word| if quote { quote_if_needed(word) } else { word.clone() }).collect();
        self.err(&format!("+ {}\n", shown.join(" ")))
    }

    /// Runs a command with its arguments: a function, a builtin, a program, a script.
    pub(in super::super) fn dispatch(&mut self, words: &[String]) -> Run {
        let Some(name) = words.first() else { return Ok(0) };
        if let Some(function) = self.shell.functions.get(name).cloned() {
            return self.call(&function, words.get(1..).unwrap_or_default());
        }
        if let Some(ended) = self.builtin(name, words) {
            return ended;
        }
        self.run_program_named(words)
    }

    /// A program on the path or at a path; no function, no builtin.
    pub(in super::super) fn run_program_named(&mut self, words: &[String]) -> Run {
        let Some(name) = words.first() else { return Ok(0) };
        let plain = super::super::vfs::name(name);
        let path = if name.contains('/') { Some(self.path(name)) } else { self.machine.which(name) };
        let Some(path) = path else {
            self.complain(&format!("{name}: command not found"))?;
            return Ok(127);
        };
        if let Ok(text) = self.machine.files.read(&path).map(str::to_owned) {
            if !self.machine.is_executable(&path) {
                self.complain(&format!("{name}: Permission denied"))?;
                return Ok(126);
            }
            return self.run_file(&path, &text, words.get(1..).unwrap_or_default());
        }
        if self.machine.is_directory(&path) {
            self.complain(&format!("{name}: Is a directory"))?;
            return Ok(126);
        }
        if self.machine.program_at(&path) {
            if self.shell.uid != 0
                && let Some(refusal) = super::super::commands::refusal(self, plain, words)
            {
                return self.fail(refusal.status, refusal.message);
            }
            return self.nested(|it| super::super::commands::run(it, plain, words));
        }
        self.complain(&format!("{name}: No such file or directory"))?;
        Ok(127)
    }

    /// A script file, in a shell of its own.
    pub(in super::super) fn run_file(&mut self, path: &str, text: &str, arguments: &[String]) -> Run {
        let interpreter = text.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("/bin/sh");
        if !interpreter.contains("sh") || interpreter.contains("python") {
            let program = interpreter.split_whitespace().last().unwrap_or_default();
            self.complain(&format!("{path}: {program}: bad interpreter: No such file or directory"))?;
            return Ok(126);
        }
        let flags = interpreter.split_whitespace().nth(1).unwrap_or_default().to_owned();
        self.script(path, text, arguments, &flags)
    }

    /// A new shell that inherits only what is exported.
    pub(in super::super) fn script(&mut self, name: &str, text: &str, arguments: &[String], flags: &str) -> Run {
        self.subshell(|it| {
            it.shell.variables.retain(|name, variable| variable.exported || name == "IFS");
            it.shell.functions.clear();
            it.shell.options = super::Options::default();
            it.shell.locals.clear();
            it.shell.conditional = 0;
            it.shell.loops = 0;
            it.shell.sourcing = 0;
            it.shell.interactive = false;
            it.shell.positional = arguments.to_vec();
            name.clone_into(&mut it.shell.name);
            if let Some(flags) = flags.strip_prefix('-') {
                for flag in flags.chars() {
                    it.set_flag(flag, true);
                }
            }
            it.run_text(text, 0)
        })
    }

    fn call(&mut self, function: &Function, arguments: &[String]) -> Run {
        let positional = std::mem::replace(&mut self.shell.positional, arguments.to_vec());
        let line_base = std::mem::replace(&mut self.shell.line_base, function.line_base);
        let loops = std::mem::take(&mut self.shell.loops);
        self.shell.locals.push(Vec::new());
        let redirects = list_of(function.body.1.as_ref());
        let ended = self.nested(|it| it.redirected(&redirects, |it| it.run_compound(&function.body.0)));
        for (name, variable) in self.shell.locals.pop().unwrap_or_default().into_iter().rev() {
            match variable {
                Some(variable) => self.shell.variables.insert(name, variable),
                None => self.shell.variables.remove(&name),
            };
        }
        self.shell.positional = positional;
        self.shell.line_base = line_base;
        self.shell.loops = loops;
        match ended {
            Err(Flow::Return(status)) => Ok(status),
            other => other,
        }
    }
}

fn list_of(redirects: Option<&RedirectList>) -> Vec<&IoRedirect> {
    redirects.iter().flat_map(|list| &list.0).collect()
}
