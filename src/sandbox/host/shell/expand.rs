//! From a word of the script to the arguments of a command: braces, parameters, substitutions, splitting, file names.

use brush_parser::word::{
    self, BraceExpressionMember, BraceExpressionOrText, TildeExpr, WordPiece, WordPieceWithSource,
};

use super::{Flow, Interp, Run, glob, parse};

/// A part of an expanded word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Neither split nor matched against file names.
    Quoted(String),
    /// From an expansion outside quotes: split and matched.
    Split(String),
    /// Written outside quotes: matched, not split.
    Plain(String),
    /// Between two elements of a list.
    Break,
}

impl Interp<'_, '_> {
    /// The arguments that a list of words expands to.
    pub(super) fn fields<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) -> Run<Vec<String>> {
        let mut fields = Vec::new();
        for word in words {
            for word in braces(word) {
                let pieces = self.pieces(&word, false)?;
                self.split(&pieces, &mut fields)?;
            }
        }
        Ok(fields)
    }

    /// A word as one text: on the right of `=`, as the name of a file, after `case`.
    pub(super) fn text(&mut self, word: &str) -> Run<String> {
        let pieces = self.pieces(word, false)?;
        Ok(join(&pieces))
    }

    /// A word as a pattern: what was quoted stands for itself.
    pub(super) fn pattern(&mut self, word: &str) -> Run<String> {
        let pieces = self.pieces(word, false)?;
        Ok(pieces
            .iter()
            .map(|piece| match piece {
                Piece::Quoted(text) => glob::escape(text),
                Piece::Split(text) | Piece::Plain(text) => text.clone(),
                Piece::Break => " ".to_owned(),
            })
            .collect())
    }

    /// A word as a regular expression: what was quoted stands for itself.
    pub(super) fn regex(&mut self, word: &str) -> Run<String> {
        let pieces = self.pieces(word, false)?;
        Ok(pieces
            .iter()
            .map(|piece| match piece {
                Piece::Quoted(text) => regex::escape(text),
                Piece::Split(text) | Piece::Plain(text) => text.clone(),
                Piece::Break => " ".to_owned(),
            })
            .collect())
    }

    /// The body of a here-document.
    pub(super) fn here_document(&mut self, text: &str) -> Run<String> {
        match word::parse_heredoc(text, &parse::options()) {
            Ok(parsed) => {
                let pieces = self.nested(|it| it.expand_all(&parsed, true))?;
                Ok(join(&pieces))
            }
            Err(_) => Ok(text.to_owned()),
        }
    }

    /// Expands a word to pieces; `quoted` inside double quotes.
    pub(super) fn pieces(&mut self, word: &str, quoted: bool) -> Run<Vec<Piece>> {
        if !word.contains(['$', '`', '\\', '"', '\'', '~']) {
            return Ok(vec![if quoted { Piece::Quoted(word.to_owned()) } else { Piece::Plain(word.to_owned()) }]);
        }
        let wrapped = quoted && !word.contains('"');
        let source = if wrapped { format!("\"{word}\"") } else { word.to_owned() };
        match word::parse(&source, &parse::options()) {
            Ok(parsed) => self.nested(|it| it.expand_all(&parsed, quoted)),
            Err(_) => {
                self.complain(&format!("{word}: bad substitution"))?;
                Err(Flow::Exit(1))
            }
        }
    }

    fn expand_all(&mut self, parsed: &[WordPieceWithSource], quoted: bool) -> Run<Vec<Piece>> {
        let mut pieces = Vec::new();
        for part in parsed {
            self.expand_piece(&part.piece, quoted, &mut pieces)?;
        }
        Ok(pieces)
    }

    fn expand_piece(&mut self, piece: &WordPiece, quoted: bool, into: &mut Vec<Piece>) -> Run<()> {
        let literal = |text: String| if quoted { Piece::Quoted(text) } else { Piece::Plain(text) };
        match piece {
            WordPiece::Text(text) => into.push(literal(text.clone())),
            WordPiece::SingleQuotedText(text) => into.push(Piece::Quoted(text.clone())),
            WordPiece::AnsiCQuotedText(text) => into.push(Piece::Quoted(super::words::unescape_ansi(text))),
            WordPiece::DoubleQuotedSequence(inner) | WordPiece::GettextDoubleQuotedSequence(inner) => {
                if inner.is_empty() {
                    into.push(Piece::Quoted(String::new()));
                }
                for part in inner {
                    self.expand_piece(&part.piece, true, into)?;
                }
            }
            WordPiece::TildeExpansion(tilde) => {
                let text = match tilde {
                    TildeExpr::Home => self.get("HOME").unwrap_or_else(|| "/root".to_owned()),
                    TildeExpr::UserHome(user) if user == "root" => "/root".to_owned(),
                    TildeExpr::UserHome(user) => format!("/home/{user}"),
                    TildeExpr::WorkingDir => self.shell.cwd.clone(),
                    TildeExpr::OldWorkingDir => self.get("OLDPWD").unwrap_or_default(),
                    TildeExpr::NthDirFromTopOfDirStack { .. } | TildeExpr::NthDirFromBottomOfDirStack { .. } => {
                        self.shell.cwd.clone()
                    }
                };
                into.push(Piece::Quoted(text));
            }
            WordPiece::ParameterExpansion(expression) => self.expand_parameter(expression, quoted, into)?,
            WordPiece::CommandSubstitution(command) => {
                let text = self.substitute(command)?;
                into.push(if quoted { Piece::Quoted(text) } else { Piece::Split(text) });
            }
            WordPiece::BackquotedCommandSubstitution(command) => {
                let command = command.replace("\\`", "`").replace("\\$", "$").replace("\\\\", "\\");
                let text = self.substitute(&command)?;
                into.push(if quoted { Piece::Quoted(text) } else { Piece::Split(text) });
            }
            WordPiece::EscapeSequence(sequence) => {
                let text = sequence.strip_prefix('\\').unwrap_or(sequence);
                into.push(Piece::Quoted(if text == "\n" { String::new() } else { text.to_owned() }));
            }
            WordPiece::ArithmeticExpression(expression) => {
                let value = self.arithmetic(&expression.value)?.to_string();
                into.push(if quoted { Piece::Quoted(value) } else { Piece::Split(value) });
            }
        }
        Ok(())
    }

    /// `$(…)`: what the command prints, without the newlines at its end. Its status becomes `$?`.
    fn substitute(&mut self, command: &str) -> Run<String> {
        let line = self.shell.line.saturating_sub(1);
        let shortcut =
            command.trim().strip_prefix('<').map(str::trim).filter(|name| !name.contains(char::is_whitespace));
        if let Some(name) = shortcut.filter(|name| !name.starts_with(['<', '('])) {
            let name = self.text(name)?;
            let path = self.path(&name);
            return match self.machine.read_file(&path) {
                Ok(text) => Ok(text.trim_end_matches('\n').to_owned()),
                Err(error) => {
                    self.complain(&format!("{name}: {error}"))?;
                    self.shell.status = 1;
                    self.shell.substituted = Some(1);
                    Ok(String::new())
                }
            };
        }
        let (ended, text) = self.capture(|it| {
            it.subshell(|it| {
                // bash clears -e in command substitutions unless it is in POSIX mode.
                it.shell.options.errexit = false;
                it.run_text(command, line)
            })
        });
        self.shell.status = ended?;
        self.shell.substituted = Some(self.shell.status);
        self.work(text.len())?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// Splits pieces into fields at `IFS`, and matches patterns against file names.
    fn split(&mut self, pieces: &[Piece], fields: &mut Vec<String>) -> Run<()> {
        let ifs = self.get("IFS").unwrap_or_else(|| " \t\n".to_owned());
        let mut current: Option<Vec<(String, bool)>> = None;
        let mut done = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Quoted(text) => current.get_or_insert_default().push((text.clone(), true)),
                Piece::Plain(text) if text.is_empty() => {}
                Piece::Plain(text) => current.get_or_insert_default().push((text.clone(), false)),
                Piece::Break => done.extend(current.take()),
                Piece::Split(text) => split_text(text, &ifs, &mut current, &mut done),
            }
        }
        done.extend(current);
        self.work(done.len().saturating_mul(200))?;
        for field in done {
            self.match_files(&field, fields);
        }
        if fields.len() > 20_000 {
            return Err(Flow::Killed("too many arguments"));
        }
        Ok(())
    }

    fn match_files(&self, field: &[(String, bool)], fields: &mut Vec<String>) {
        let plain: String = field.iter().map(|(text, _)| text.as_str()).collect();
        let magic = field.iter().any(|(text, quoted)| !quoted && text.contains(['*', '?', '[']));
        if !magic || self.shell.options.noglob {
            fields.push(plain);
            return;
        }
        let pattern: String =
            field.iter().map(|(text, quoted)| if *quoted { glob::escape(text) } else { text.clone() }).collect();
        let found =
            if glob::is_pattern(&pattern) { glob::paths(self.machine, &self.shell.cwd, &pattern) } else { Vec::new() };
        if !found.is_empty() {
            fields.extend(found);
        } else if !self.shell.options.nullglob {
            fields.push(plain);
        }
    }
}

fn split_text(text: &str, ifs: &str, current: &mut Option<Vec<(String, bool)>>, done: &mut Vec<Vec<(String, bool)>>) {
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !ifs.contains(c) {
            field.push(c);
            continue;
        }
        let mut hard = !c.is_whitespace();
        // White space around one other separator counts as part of it.
        while let Some(next) = chars.peek().copied().filter(|next| ifs.contains(*next)) {
            if !next.is_whitespace() {
                if hard {
                    break;
                }
                hard = true;
            }
            chars.next();
        }
        if !field.is_empty() {
            current.get_or_insert_default().push((std::mem::take(&mut field), false));
        }
        if current.is_some() {
            done.extend(current.take());
        } else if hard {
            done.push(Vec::new());
        }
    }
    if !field.is_empty() {
        current.get_or_insert_default().push((field, false));
    }
}

pub(super) fn join(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Quoted(text) | Piece::Split(text) | Piece::Plain(text) => text.as_str(),
            Piece::Break => " ",
        })
        .collect()
}

/// `{a,b}` and `{1..3}`.
fn braces(word: &str) -> Vec<String> {
    if !word.contains('{') || word.contains("${") && word.matches('{').count() == word.matches("${").count() {
        return vec![word.to_owned()];
    }
    match word::parse_brace_expansions(word, &parse::options()) {
        Ok(Some(parts)) => expand_braces(&parts),
        _ => vec![word.to_owned()],
    }
}

fn expand_braces(parts: &[BraceExpressionOrText]) -> Vec<String> {
    const MOST: usize = 10_000;
    let mut words = vec![String::new()];
    for part in parts {
        let choices: Vec<String> = match part {
            BraceExpressionOrText::Text(text) => vec![text.clone()],
            BraceExpressionOrText::Expr(members) => members.iter().flat_map(expand_member).take(MOST).collect(),
        };
        words = words
            .iter()
            .flat_map(|word| choices.iter().map(move |choice| format!("{word}{choice}")))
            .take(MOST)
            .collect();
    }
    words
}

fn expand_member(member: &BraceExpressionMember) -> Vec<String> {
    match member {
        BraceExpressionMember::NumberSequence { start, end, increment } => {
            numbers(*start, *end, *increment).into_iter().map(|n| n.to_string()).collect()
        }
        BraceExpressionMember::CharSequence { start, end, increment } => {
            numbers(i64::from(u32::from(*start)), i64::from(u32::from(*end)), *increment)
                .into_iter()
                .filter_map(|n| u32::try_from(n).ok().and_then(char::from_u32))
                .map(String::from)
                .collect()
        }
        BraceExpressionMember::Child(parts) => expand_braces(parts),
    }
}

fn numbers(start: i64, end: i64, increment: i64) -> Vec<i64> {
    let step = increment.saturating_abs().max(1);
    let mut at = start;
    let mut all = Vec::new();
    while all.len() < 10_000 && if start <= end { at <= end } else { at >= end } {
        all.push(at);
        let next = if start <= end { at.checked_add(step) } else { at.checked_sub(step) };
        let Some(next) = next else { break };
        at = next;
    }
    all
}
