//! awk's grammar, as far as it is supported. Pure.

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Pattern(String),
    Name(String),
    Sign(&'static str),
    Newline,
}

const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "!~", "{", "}", "(", ")", "[", "]", ";",
    ",", "=", "<", ">", "+", "-", "*", "/", "%", "!", "~", "$", "?", ":",
];

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Number(f64),
    Text(String),
    Match(String),
    Name(String),
    Field(Box<Expr>),
    Item(String, Box<Expr>),
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Assign(&'static str, Box<Expr>, Box<Expr>),
    /// Target, step, whether the old value is the result.
    Step(Box<Expr>, f64, bool),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    In(Box<Expr>, String),
    Call(String, Vec<Expr>),
}

#[derive(Debug, Clone)]
pub(super) enum Statement {
    Print(Vec<Expr>),
    Printf(Vec<Expr>),
    Expression(Expr),
    If(Expr, Box<Statement>, Option<Box<Statement>>),
    While(Expr, Box<Statement>),
    For(Box<Statement>, Expr, Box<Statement>, Box<Statement>),
    Each(String, String, Box<Statement>),
    /// An item of an array, or all of them.
    Delete(String, Option<Expr>),
    Block(Vec<Statement>),
    Next,
    Exit(Option<Expr>),
    Break,
    Continue,
}

pub(super) enum When {
    Begin,
    End,
    Always,
    Test(Expr),
    Range(Expr, Expr),
}

pub(super) struct Program {
    pub(super) rules: Vec<(When, Option<Statement>)>,
}

fn scan(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let value_before =
            matches!(tokens.last(), Some(Token::Number(_) | Token::Text(_) | Token::Name(_) | Token::Sign(")" | "]")));
        match c {
            '\n' => tokens.push(Token::Newline),
            '\\' if chars.get(at + 1) == Some(&'\n') => at += 1,
            c if c.is_whitespace() => {}
            '#' => {
                while chars.get(at + 1).is_some_and(|c| *c != '\n') {
                    at += 1;
                }
            }
            '"' | '/' if c == '"' || !value_before => {
                let mut text = String::new();
                at += 1;
                loop {
                    match chars.get(at).copied() {
                        None => return Err("unterminated string".to_owned()),
                        Some(end) if end == c => break,
                        Some('\\') => {
                            at += 1;
                            let next = chars.get(at).copied().unwrap_or('\\');
                            match (c, next) {
                                ('"', 'n') => text.push('\n'),
                                ('"', 't') => text.push('\t'),
                                ('"', '"' | '\\' | '/') | ('/', '/') => text.push(next),
                                _ => text.extend(['\\', next]),
                            }
                        }
                        Some(other) => text.push(other),
                    }
                    at += 1;
                }
                tokens.push(if c == '"' { Token::Text(text) } else { Token::Pattern(text) });
            }
            c if c.is_ascii_digit() || c == '.' => {
                let start = at;
                while chars.get(at + 1).is_some_and(|c| c.is_ascii_digit() || *c == '.') {
                    at += 1;
                }
                let number: String = chars.get(start..=at).unwrap_or_default().iter().collect();
                tokens.push(Token::Number(number.parse().map_err(|_| format!("bad number {number}"))?));
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let start = at;
                while chars.get(at + 1).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    at += 1;
                }
                tokens.push(Token::Name(chars.get(start..=at).unwrap_or_default().iter().collect()));
            }
            c => {
                let two: String = chars.get(at..(at + 2).min(chars.len())).unwrap_or_default().iter().collect();
                let sign = SIGNS.iter().find(|sign| sign.len() == 2 && **sign == two);
                let one = SIGNS.iter().find(|sign| **sign == c.to_string());
                let sign = sign.or(one).ok_or_else(|| format!("`{c}' is not supported by the simulated awk"))?;
                at += sign.len() - 1;
                tokens.push(Token::Sign(sign));
            }
        }
        at += 1;
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(s)) if *s == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(format!("syntax error: `{sign}' expected")) }
    }

    fn lines(&mut self) {
        while self.is(";") || self.peek() == Some(&Token::Newline) {
            self.at += 1;
        }
    }

    /// A whole program.
    fn program(&mut self) -> Parsed<Program> {
        let mut rules = Vec::new();
        self.lines();
        while self.peek().is_some() {
            let when = if self.word("BEGIN") {
                When::Begin
            } else if self.word("END") {
                When::End
            } else if self.is("{") {
                When::Always
            } else {
                let test = self.expr()?;
                if self.take(",") { When::Range(test, self.expr()?) } else { When::Test(test) }
            };
            let body = if self.is("{") { Some(self.block()?) } else { None };
            rules.push((when, body));
            self.lines();
        }
        Ok(Program { rules })
    }

    fn block(&mut self) -> Parsed<Statement> {
        self.need("{")?;
        let mut all = Vec::new();
        self.lines();
        while !self.take("}") {
            if self.peek().is_none() {
                return Err("syntax error: `}' expected".to_owned());
            }
            all.push(self.statement()?);
            self.lines();
        }
        Ok(Statement::Block(all))
    }

    fn statement(&mut self) -> Parsed<Statement> {
        self.depth += 1;
        if self.depth > 30 {
            return Err("nested too deeply".to_owned());
        }
        let statement = self.statement_inner();
        self.depth -= 1;
        statement
    }

    fn body(&mut self) -> Parsed<Box<Statement>> {
        while self.peek() == Some(&Token::Newline) {
            self.at += 1;
        }
        if self.take(";") {
            return Ok(Box::new(Statement::Block(Vec::new())));
        }
        Ok(Box::new(self.statement()?))
    }

    fn statement_inner(&mut self) -> Parsed<Statement> {
        if self.is("{") {
            return self.block();
        }
        if self.word("if") {
            self.need("(")?;
            let test = self.expr()?;
            self.need(")")?;
            let yes = self.body()?;
            let mark = self.at;
            self.lines();
            if self.word("else") {
                return Ok(Statement::If(test, yes, Some(self.body()?)));
            }
            self.at = mark;
            return Ok(Statement::If(test, yes, None));
        }
        if self.word("while") {
            self.need("(")?;
            let test = self.expr()?;
            self.need(")")?;
            return Ok(Statement::While(test, self.body()?));
        }
        if self.word("for") {
            self.need("(")?;
            if let (Some(Token::Name(name)), Some(Token::Name(word)), Some(Token::Name(array))) =
                (self.peek().cloned(), self.tokens.get(self.at + 1).cloned(), self.tokens.get(self.at + 2).cloned())
                && word == "in"
            {
                self.at += 3;
                self.need(")")?;
                return Ok(Statement::Each(name, array, self.body()?));
            }
            let first = Box::new(Statement::Expression(self.expr()?));
            self.need(";")?;
            let test = self.expr()?;
            self.need(";")?;
            let step = Box::new(Statement::Expression(self.expr()?));
            self.need(")")?;
            return Ok(Statement::For(first, test, step, self.body()?));
        }
        for (word, statement) in
            [("next", Statement::Next), ("break", Statement::Break), ("continue", Statement::Continue)]
        {
            if self.word(word) {
                return Ok(statement);
            }
        }
        if self.word("delete") {
            let Some(Token::Name(name)) = self.peek().cloned() else { return Err("syntax error".to_owned()) };
            self.at += 1;
            if !self.take("[") {
                return Ok(Statement::Delete(name, None));
            }
            let index = self.expr()?;
            self.need("]")?;
            return Ok(Statement::Delete(name, Some(index)));
        }
        if self.word("exit") {
            let end = self.ends();
            return Ok(Statement::Exit(if end { None } else { Some(self.expr()?) }));
        }
        let formatted = self.word("printf");
        if formatted || self.word("print") {
            let mut list = Vec::new();
            while !self.ends() {
                list.push(self.expr()?);
                if !self.take(",") {
                    break;
                }
            }
            if self.is(">") {
                return Err("redirection is not supported by the simulated awk".to_owned());
            }
            return Ok(if formatted { Statement::Printf(list) } else { Statement::Print(list) });
        }
        Ok(Statement::Expression(self.expr()?))
    }

    fn ends(&self) -> bool {
        matches!(self.peek(), None | Some(Token::Newline | Token::Sign(";" | "}" | ">")))
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > 30 {
            return Err("nested too deeply".to_owned());
        }
        let expr = self.assignment();
        self.depth -= 1;
        expr
    }

    fn assignment(&mut self) -> Parsed<Expr> {
        let left = self.choice()?;
        for sign in ["=", "+=", "-=", "*=", "/="] {
            if self.is(sign) {
                if !matches!(left, Expr::Name(_) | Expr::Field(_) | Expr::Item(..)) {
                    return Err("syntax error near =".to_owned());
                }
                self.at += 1;
                return Ok(Expr::Assign(sign, Box::new(left), Box::new(self.expr()?)));
            }
        }
        Ok(left)
    }

    fn choice(&mut self) -> Parsed<Expr> {
        let test = self.binary(0)?;
        if !self.take("?") {
            return Ok(test);
        }
        let yes = self.expr()?;
        self.need(":")?;
        Ok(Expr::Choice(Box::new(test), Box::new(yes), Box::new(self.expr()?)))
    }

    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        const LEVELS: &[&[&str]] = &[
            &["||"],
            &["&&"],
            &["~", "!~"],
            &["==", "!=", "<", "<=", ">", ">="],
            &["\u{0}"],
            &["+", "-"],
            &["*", "/", "%"],
        ];
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            if *signs == ["\u{0}"] {
                // Two values side by side are joined.
                let joins = match self.peek() {
                    Some(Token::Number(_) | Token::Text(_) | Token::Sign("$" | "(" | "!")) => true,
                    Some(Token::Name(name)) => name != "in",
                    _ => false,
                };
                if !joins {
                    return Ok(left);
                }
                left = Expr::Binary(" ", Box::new(left), Box::new(self.binary(level + 1)?));
                continue;
            }
            if level == 3 && self.word("in") {
                let Some(Token::Name(array)) = self.peek().cloned() else {
                    return Err("syntax error near in".to_owned());
                };
                self.at += 1;
                left = Expr::In(Box::new(left), array);
                continue;
            }
            let Some(sign) = signs.iter().find(|sign| self.is(sign)) else { return Ok(left) };
            self.at += 1;
            left = Expr::Binary(sign, Box::new(left), Box::new(self.binary(level + 1)?));
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        for sign in ["!", "-", "+"] {
            if self.take(sign) {
                self.depth += 1;
                if self.depth > 30 {
                    return Err("nested too deeply".to_owned());
                }
                let inner = self.unary()?;
                self.depth -= 1;
                return Ok(Expr::Unary(sign, Box::new(inner)));
            }
        }
        for (sign, step) in [("++", 1.0), ("--", -1.0)] {
            if self.take(sign) {
                return Ok(Expr::Step(Box::new(self.primary()?), step, false));
            }
        }
        let value = self.primary()?;
        for (sign, step) in [("++", 1.0), ("--", -1.0)] {
            if matches!(value, Expr::Name(_) | Expr::Field(_) | Expr::Item(..)) && self.take(sign) {
                return Ok(Expr::Step(Box::new(value), step, true));
            }
        }
        Ok(value)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Text(text)) => Ok(Expr::Text(text)),
            Some(Token::Pattern(text)) => Ok(Expr::Match(text)),
            Some(Token::Sign("$")) => Ok(Expr::Field(Box::new(self.primary()?))),
            Some(Token::Sign("(")) => {
                let inner = self.expr()?;
                self.need(")")?;
                Ok(inner)
            }
            Some(Token::Name(name)) if self.is("(") => {
                const KNOWN: &[&str] = &[
                    "length", "substr", "index", "split", "sub", "gsub", "match", "tolower", "toupper", "int",
                    "sprintf",
                ];
                if !KNOWN.contains(&name.as_str()) {
                    return Err(format!("function `{name}' is not supported by the simulated awk"));
                }
                self.at += 1;
                let mut list = Vec::new();
                while !self.take(")") {
                    list.push(self.expr()?);
                    if !self.take(",") && !self.is(")") {
                        return Err("syntax error: `)' expected".to_owned());
                    }
                }
                Ok(Expr::Call(name, list))
            }
            Some(Token::Name(name)) if name == "length" => Ok(Expr::Call(name, Vec::new())),
            Some(Token::Name(name)) if matches!(name.as_str(), "getline" | "function" | "do") => {
                Err(format!("`{name}' is not supported by the simulated awk"))
            }
            Some(Token::Name(name)) if self.take("[") => {
                let index = self.expr()?;
                self.need("]")?;
                Ok(Expr::Item(name, Box::new(index)))
            }
            Some(Token::Name(name)) => Ok(Expr::Name(name)),
            _ => Err("syntax error".to_owned()),
        }
    }
}

/// Reads a program. `Err`: what is wrong with it, or what is not supported.
pub(super) fn program(text: &str) -> Result<Program, String> {
    let tokens = scan(text)?;
    Parser { tokens, at: 0, depth: 0 }.program()
}
