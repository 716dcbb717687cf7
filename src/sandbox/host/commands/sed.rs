//! `sed`: addresses (lines, `$`, patterns, ranges, `!`), `s`, `d`, `p`, `q`, `a`, `i`, `c`, `y`, `=`, groups.

use regex::Regex;

use super::super::shell::{Interp, Run};
use super::{Arguments, basic_to_extended, inputs, regex_of};

enum Address {
    Line(usize),
    Last,
    Pattern(Regex),
}

struct Command {
    from: Option<Address>,
    to: Option<Address>,
    negated: bool,
    action: Action,
    /// Inside a range.
    active: bool,
}

enum Action {
    Substitute { pattern: Regex, with: String, global: bool, print: bool, nth: usize },
    Delete,
    Print,
    Quit,
    Append(String),
    Insert(String),
    Change(String),
    Translate(Vec<char>, Vec<char>),
    Number,
    Group(Vec<Command>),
}

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    // -i may have its suffix attached; it never takes the next word.
    let in_place =
        words.iter().skip(1).any(|word| word.starts_with("-i") || word == "--in-place" || is_flags_with(word, 'i'));
    let words: Vec<String> = words
        .iter()
        .map(|word| if word.starts_with("-i") && !word.starts_with("-iE") { "-s".to_owned() } else { word.clone() })
        .collect();
    let mut arguments = Arguments::parse(&words, &["-e", "--expression", "-f"]);
    let extended = arguments.has(&["-E", "-r", "--regexp-extended"]);
    let quiet = arguments.has(&["-n", "--quiet", "--silent"]);
    let mut script: Vec<String> = arguments.values(&["-e", "--expression"]).map(str::to_owned).collect();
    if script.is_empty() {
        if arguments.rest.is_empty() {
            return it.fail(1, "Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...");
        }
        script.push(arguments.rest.remove(0));
    }
    let text = script.join("\n");
    let mut parser = Parser { chars: text.chars().collect(), at: 0, extended };
    let mut commands = match parser.commands(0) {
        Ok(commands) => commands,
        Err(message) => return it.fail(1, format!("sed: -e expression #1, char {}: {message}", parser.at)),
    };
    if in_place {
        let mut status = 0;
        for name in &arguments.rest {
            let path = it.path(name);
            let text = match it.machine.read_file(&path) {
                Ok(text) => text,
                Err(error) => {
                    status = it.fail(4, format!("sed: can't read {name}: {error}"))?;
                    continue;
                }
            };
            let result = edit(it, &mut commands, &text, quiet)?;
            let now = it.seconds();
            if let Err(error) = it.machine.write_file(&path, &result, now) {
                status = it.fail(4, format!("sed: couldn't open file {name}: {error}"))?;
            }
        }
        return Ok(status);
    }
    let (texts, status) = inputs(it, "sed", &arguments.rest)?;
    let whole: String = texts.into_iter().map(|(_, text)| text).collect();
    let result = edit(it, &mut commands, &whole, quiet)?;
    it.out(&result)?;
    Ok(if status == 0 { 0 } else { 2 })
}

fn is_flags_with(word: &str, flag: char) -> bool {
    word.strip_prefix('-')
        .is_some_and(|flags| flags.len() <= 3 && flags.chars().all(|c| "nEris".contains(c)) && flags.contains(flag))
}

/// What becomes of one line.
#[derive(Default)]
struct State {
    line: String,
    deleted: bool,
    quit: bool,
    before: String,
    after: String,
}

fn edit(it: &mut Interp<'_, '_>, commands: &mut [Command], text: &str, quiet: bool) -> Run<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut result = String::new();
    for (at, line) in lines.iter().enumerate() {
        it.work(line.len().saturating_add(200))?;
        let mut state = State { line: (*line).to_owned(), ..State::default() };
        apply(commands, &mut state, at + 1, at + 1 == lines.len());
        result.push_str(&state.before);
        if !state.deleted && !quiet {
            result.push_str(&state.line);
            result.push('\n');
        }
        result.push_str(&state.after);
        it.work(result.len() / 64)?;
        if state.quit {
            break;
        }
    }
    if !text.is_empty() && !text.ends_with('\n') && result.ends_with('\n') {
        result.pop();
    }
    Ok(result)
}

fn apply(commands: &mut [Command], state: &mut State, number: usize, last: bool) {
    for command in commands {
        if state.deleted || state.quit {
            return;
        }
        if command.applies(&state.line, number, last) == command.negated {
            continue;
        }
        match &mut command.action {
            Action::Substitute { pattern, with, global, print, nth } => {
                let replaced = substitute(pattern, with, *global, *nth, &state.line);
                if let Some(line) = replaced {
                    state.line = line;
                    if *print {
                        state.before.push_str(&format!("{}\n", state.line));
                    }
                }
            }
            Action::Delete => state.deleted = true,
            Action::Print => state.before.push_str(&format!("{}\n", state.line)),
            Action::Quit => state.quit = true,
            Action::Append(text) => state.after.push_str(&format!("{text}\n")),
            Action::Insert(text) => state.before.push_str(&format!("{text}\n")),
            Action::Change(text) => {
                state.before.push_str(&format!("{text}\n"));
                state.deleted = true;
            }
            Action::Translate(from, to) => {
                state.line = state
                    .line
                    .chars()
                    .map(|c| from.iter().position(|known| *known == c).and_then(|at| to.get(at)).copied().unwrap_or(c))
                    .collect();
            }
            Action::Number => state.before.push_str(&format!("{number}\n")),
            Action::Group(inner) => apply(inner, state, number, last),
        }
    }
}

fn substitute(pattern: &Regex, with: &str, global: bool, nth: usize, line: &str) -> Option<String> {
    let mut result = String::new();
    let mut at = 0;
    let mut done = false;
    for (count, found) in pattern.captures_iter(line).enumerate() {
        let Some(whole) = found.get(0) else { continue };
        if count + 1 < nth {
            continue;
        }
        result.push_str(line.get(at..whole.start()).unwrap_or_default());
        let mut chars = with.chars();
        while let Some(c) = chars.next() {
            match c {
                '&' => result.push_str(whole.as_str()),
                '\\' => match chars.next() {
                    Some(digit @ '0'..='9') => {
                        let group = digit.to_digit(10).and_then(|digit| found.get(digit as usize));
                        result.push_str(group.map_or("", |group| group.as_str()));
                    }
                    Some('n') => result.push('\n'),
                    Some('t') => result.push('\t'),
                    Some(other) => result.push(other),
                    None => result.push('\\'),
                },
                c => result.push(c),
            }
        }
        at = whole.end();
        done = true;
        if !global {
            break;
        }
    }
    result.push_str(line.get(at..).unwrap_or_default());
    done.then_some(result)
}

impl Command {
    fn applies(&mut self, line: &str, number: usize, last: bool) -> bool {
        let hit = |address: &Address| match address {
            Address::Line(n) => *n == number,
            Address::Last => last,
            Address::Pattern(pattern) => pattern.is_match(line),
        };
        match (&self.from, &self.to) {
            (None, _) => true,
            (Some(from), None) => hit(from),
            (Some(_), Some(to)) if self.active => {
                if hit(to) || matches!(to, Address::Line(n) if *n <= number) {
                    self.active = false;
                }
                !matches!(to, Address::Line(n) if *n < number)
            }
            (Some(from), Some(to)) => {
                let begins = hit(from);
                self.active = begins && !matches!(to, Address::Line(n) if *n <= number);
                begins
            }
        }
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    extended: bool,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn skip(&mut self, what: &[char]) {
        while self.peek().is_some_and(|c| what.contains(&c)) {
            self.at += 1;
        }
    }

    fn commands(&mut self, depth: usize) -> Result<Vec<Command>, String> {
        let mut commands = Vec::new();
        loop {
            self.skip(&[' ', '\t', '\n', ';']);
            match self.peek() {
                None if depth > 0 => return Err("unmatched `{'".to_owned()),
                None => return Ok(commands),
                Some('}') if depth > 0 => {
                    self.at += 1;
                    return Ok(commands);
                }
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                Some(_) => commands.push(self.command(depth)?),
            }
            if commands.len() > 500 || depth > 10 {
                return Err("script too long".to_owned());
            }
        }
    }

    fn command(&mut self, depth: usize) -> Result<Command, String> {
        let from = self.address()?;
        let mut to = None;
        if self.peek() == Some(',') {
            self.at += 1;
            self.skip(&[' ']);
            to = Some(self.address()?.ok_or("unexpected `,'")?);
        }
        self.skip(&[' ']);
        let negated = self.peek() == Some('!');
        if negated {
            self.at += 1;
            self.skip(&[' ']);
        }
        let action = match self.next() {
            Some('d') => Action::Delete,
            Some('p') => Action::Print,
            Some('q') => Action::Quit,
            Some('=') => Action::Number,
            Some('{') => Action::Group(self.commands(depth + 1)?),
            Some('a') => Action::Append(self.text()),
            Some('i') => Action::Insert(self.text()),
            Some('c') => Action::Change(self.text()),
            Some('s') => self.substitution()?,
            Some('y') => {
                let end = self.next().ok_or("unterminated `y' command")?;
                let (from, to) = (self.until(end)?, self.until(end)?);
                Action::Translate(from.chars().collect(), to.chars().collect())
            }
            Some(other) => return Err(format!("unknown command: `{other}'")),
            None => return Err("missing command".to_owned()),
        };
        Ok(Command { from, to, negated, action, active: false })
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        match self.peek() {
            Some('$') => {
                self.at += 1;
                Ok(Some(Address::Last))
            }
            Some(c) if c.is_ascii_digit() => {
                let mut number = 0_usize;
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
                    number = number.saturating_mul(10).saturating_add(digit as usize);
                    self.at += 1;
                }
                Ok(Some(Address::Line(number)))
            }
            Some(c @ ('/' | '\\')) => {
                self.at += 1;
                let end = if c == '\\' { self.next().ok_or("unterminated address regex")? } else { '/' };
                let pattern = self.until(end)?;
                let ignore = self.peek() == Some('I');
                self.at += usize::from(ignore);
                Ok(Some(Address::Pattern(self.regex(&pattern, ignore)?)))
            }
            _ => Ok(None),
        }
    }

    fn regex(&self, pattern: &str, ignore: bool) -> Result<Regex, String> {
        let pattern = if self.extended { pattern.to_owned() } else { basic_to_extended(pattern) };
        regex_of(&pattern, ignore).ok_or_else(|| format!("invalid regular expression: {pattern}"))
    }

    /// Up to `end`, which a backslash makes an ordinary character.
    fn until(&mut self, end: char) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == end => return Ok(text),
                '\\' if self.peek() == Some(end) => text.extend(self.next()),
                '\\' => {
                    text.push('\\');
                    text.extend(self.next());
                }
                c => text.push(c),
            }
        }
        Err("unterminated `s' command".to_owned())
    }

    fn substitution(&mut self) -> Result<Action, String> {
        let end = self.next().ok_or("unterminated `s' command")?;
        let (pattern, with) = (self.until(end)?, self.until(end)?);
        let (mut global, mut print, mut ignore, mut nth) = (false, false, false, 1);
        while let Some(flag) = self.peek() {
            match flag {
                'g' => global = true,
                'p' => print = true,
                'I' | 'i' => ignore = true,
                'm' | 'M' => {}
                digit if digit.is_ascii_digit() => nth = digit.to_digit(10).unwrap_or(1) as usize,
                ';' | '\n' | '}' | ' ' => break,
                _ => return Err("unknown option to `s'".to_owned()),
            }
            self.at += 1;
        }
        Ok(Action::Substitute { pattern: self.regex(&pattern, ignore)?, with, global, print, nth })
    }

    /// The text of `a`, `i` and `c`: the rest of the line.
    fn text(&mut self) -> String {
        self.skip(&[' ']);
        if self.peek() == Some('\\') {
            self.at += 1;
            self.skip(&['\n', ' ']);
        }
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '\n' => break,
                '\\' => text.extend(self.next()),
                c => text.push(c),
            }
        }
        text
    }
}
