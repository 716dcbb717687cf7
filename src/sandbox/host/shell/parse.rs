//! From text to syntax tree, with a bound on nesting: the parser is recursive and knows none.

use brush_parser::{ParseError, Parser, ParserOptions, ast};

/// The longest script, in bytes.
const LONGEST: usize = 256 * 1024;
/// Deepest nesting of brackets and of compound commands.
const DEEPEST: usize = 24;

/// What is wrong with a text.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Counted from 1 within the text. `None`: unknown.
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

pub(super) fn options() -> ParserOptions {
    ParserOptions::default()
}

/// Parses a script.
pub(super) fn program(text: &str) -> Result<ast::Program, SyntaxError> {
    if text.len() > LONGEST || too_deep(text) {
        return Err(SyntaxError { line: None, message: "syntax error: nested too deeply or too long".to_owned() });
    }
    // A carriage return is a character like any other for bash: it becomes part of the command's name.
    let mut parser = Parser::new(text.as_bytes(), &options());
    parser.parse_program().map_err(|error| {
        let line = match &error {
            ParseError::ParsingNear(position) => Some(position.line),
            ParseError::Tokenizing { position, .. } => position.as_ref().map(|position| position.line),
            ParseError::ParsingAtEndOfInput => Some(text.lines().count() + 1),
        };
        let message = match &error {
            ParseError::ParsingNear(position) => {
                format!("syntax error near unexpected token `{}'", token_at(text, position.line, position.column))
            }
            ParseError::ParsingAtEndOfInput => "syntax error: unexpected end of file".to_owned(),
            ParseError::Tokenizing { inner, .. } => format!("syntax error: {inner}"),
        };
        SyntaxError { line, message }
    })
}

/// Whether a text is the beginning of a command that goes on in the next line: an open quote, a loop without its end, a
/// here-document without its last line.
pub(in super::super) fn is_unfinished(text: &str) -> bool {
    if text.len() > LONGEST || too_deep(text) {
        return false;
    }
    if text.lines().next_back().is_some_and(|last| last.ends_with('\\') && !last.ends_with("\\\\")) {
        return true;
    }
    let mut parser = Parser::new(text.as_bytes(), &options());
    match parser.parse_program() {
        Ok(_) => false,
        Err(ParseError::ParsingAtEndOfInput) => true,
        Err(ParseError::ParsingNear(_)) => false,
        Err(ParseError::Tokenizing { inner, .. }) => inner.is_incomplete(),
    }
}

/// The complete commands before the line of a syntax error: those that bash has already run when it meets it.
pub(super) fn before(text: &str, line: usize) -> Option<ast::Program> {
    let lines: Vec<&str> = text.lines().collect();
    (1..line.min(lines.len().saturating_add(1)))
        .rev()
        .take(50)
        .find_map(|end| program(&lines.get(..end)?.join("\n")).ok())
}

fn token_at(text: &str, line: usize, column: usize) -> String {
    let rest: String =
        text.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars().skip(column.saturating_sub(1)).collect();
    let word: String = rest.chars().take_while(|c| !c.is_whitespace()).collect();
    if word.is_empty() { "newline".to_owned() } else { word }
}

/// Over-estimates nesting: brackets in quotes count too.
fn too_deep(text: &str) -> bool {
    let (mut round, mut curly, mut words, mut bangs, mut signs) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
    let mut deepest = 0;
    let mut doubled = 0_usize;
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            '(' => {
                round += 1;
                doubled = if previous == '(' { doubled + 1 } else { 0 };
            }
            ')' => round = round.saturating_sub(1),
            '{' => curly += 1,
            '}' => curly = curly.saturating_sub(1),
            _ => {}
        }
        bangs = match c {
            '!' => bangs + 1,
            c if c.is_whitespace() => bangs,
            _ => 0,
        };
        signs = match c {
            '-' | '+' | '~' | '!' => signs + 1,
            c if c.is_whitespace() => signs,
            _ => 0,
        };
        previous = c;
        // Three opening brackets in a row and more are tried as arithmetic and as subshells at every level.
        deepest = deepest.max(round + curly);
        if deepest > DEEPEST || bangs > 16 || signs > 400 || doubled > 5 {
            return true;
        }
    }
    for word in text.split(|c: char| c.is_whitespace() || c == ';') {
        match word {
            "if" | "while" | "until" | "for" | "case" | "select" => words += 1,
            "fi" | "done" | "esac" => words = words.saturating_sub(1),
            _ => {}
        }
        if words > DEEPEST * 2 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded_before_the_parser_sees_it() {
        assert!(program(&"(".repeat(5000)).is_err());
        assert!(program(&"$(".repeat(5000)).is_err());
        assert!(program(&"if ".repeat(5000)).is_err());
        assert!(program("( ( ( echo x ) ) )").is_ok());
    }

    #[test]
    fn commands_before_a_syntax_error_are_found() {
        let text = "echo one\nif true; then\n echo two\nfi\n)\n";
        let error = program(text).expect_err("a stray bracket");
        assert_eq!(error.line, Some(5));
        assert!(before(text, 5).map(|program| program.complete_commands.len()).unwrap_or_default() > 0);
    }
}
