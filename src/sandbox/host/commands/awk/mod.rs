//! `awk`: the common subset. Patterns, BEGIN and END, fields, variables, arrays, `if`, `for`, `while`, `print`, `printf`,
//! string and number operators, `~`, and the functions that scripts use. What is outside of it is refused, exit code 2.

mod parse;

use std::collections::BTreeMap;

use regex::Regex;

use super::super::shell::{Flow, Interp, Run};
use super::{inputs, regex_of};
use parse::{Expr, Program, Statement, When};

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
    /// From input: a number if it looks like one.
    Input(String),
}

impl Value {
    fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) | Self::Input(text) => {
                let text = text.trim();
                let end =
                    text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
                text.get(..end).and_then(|text| text.parse().ok()).unwrap_or(0.0)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
            Self::Number(number) => {
                // %.6g
                let digits = 6_i32.saturating_sub(number.abs().log10().floor() as i32 + 1).clamp(0, 17);
                let text = format!("{number:.*}", usize::try_from(digits).unwrap_or(6));
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Self::Text(text) | Self::Input(text) => text.clone(),
        }
    }

    fn holds(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0.0,
            Self::Input(text) if text.trim().parse::<f64>().is_ok() => self.number() != 0.0,
            Self::Text(text) | Self::Input(text) => !text.is_empty(),
        }
    }

    fn numeric(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Input(text) => text.trim().parse::<f64>().is_ok(),
            Self::Text(_) => false,
        }
    }
}

/// Why a statement did not simply end.
enum Stop {
    Next,
    Break,
    Continue,
    Exit(i32),
    Bad(String),
    Shell(Flow),
}

impl From<Flow> for Stop {
    fn from(flow: Flow) -> Self {
        Self::Shell(flow)
    }
}

struct Awk<'i, 'a, 'o> {
    it: &'i mut Interp<'a, 'o>,
    variables: BTreeMap<String, Value>,
    arrays: BTreeMap<String, BTreeMap<String, Value>>,
    line: String,
    fields: Vec<String>,
    patterns: BTreeMap<String, Regex>,
}

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let mut variables = BTreeMap::from([
        ("FS".to_owned(), Value::Text(" ".to_owned())),
        ("OFS".to_owned(), Value::Text(" ".to_owned())),
    ]);
    let mut rest = words.iter().skip(1).peekable();
    while let Some(word) = rest.peek().filter(|word| word.starts_with('-') && word.len() > 1) {
        let (flag, attached) = word.split_at(2);
        let (flag, attached) = (flag.to_owned(), attached.to_owned());
        rest.next();
        if flag == "--" {
            break;
        }
        let value = if attached.is_empty() { rest.next().cloned().unwrap_or_default() } else { attached };
        match flag.as_str() {
            "-F" => {
                let value = if value == "\\t" { "\t".to_owned() } else { value };
                variables.insert("FS".to_owned(), Value::Text(value));
            }
            "-v" => {
                if let Some((name, value)) = value.split_once('=') {
                    variables.insert(name.to_owned(), Value::Input(value.to_owned()));
                }
            }
            other => return it.fail(2, format!("awk: option {other} is not supported by the simulated host")),
        }
    }
    let Some(source) = rest.next() else {
        return it.fail(2, "usage: awk [-F fs][-v var=value][prog | -f progfile][file ...]");
    };
    let names: Vec<String> = rest.cloned().collect();
    let program = parse::program(source);
    let program = match program {
        Ok(program) => program,
        Err(message) => return it.fail(2, format!("awk: {message}")),
    };
    let mut awk = Awk {
        it,
        variables,
        arrays: BTreeMap::new(),
        line: String::new(),
        fields: Vec::new(),
        patterns: BTreeMap::new(),
    };
    match awk.all(&program, &names) {
        Ok(code) | Err(Stop::Exit(code)) => Ok(code),
        Err(Stop::Bad(message)) => it.fail(2, format!("awk: {message}")),
        Err(Stop::Shell(flow)) => Err(flow),
        Err(_) => Ok(0),
    }
}

impl Awk<'_, '_, '_> {
    fn all(&mut self, program: &Program, names: &[String]) -> Result<i32, Stop> {
        let mut code = self.phase(program, |when| matches!(when, When::Begin))?;
        let reads = program.rules.iter().any(|(when, _)| !matches!(when, When::Begin));
        if code.is_none() && reads {
            let (texts, status) = inputs(self.it, "awk", names)?;
            if status != 0 {
                return Ok(2);
            }
            let mut inside = vec![false; program.rules.len()];
            let lines: Vec<String> = texts.iter().flat_map(|(_, text)| text.lines()).map(str::to_owned).collect();
            for (number, line) in lines.into_iter().enumerate() {
                self.it.work(line.len())?;
                self.set_line(line);
                self.variables.insert("NR".to_owned(), Value::Number((number + 1) as f64));
                self.variables.insert("FNR".to_owned(), Value::Number((number + 1) as f64));
                code = self.record(program, &mut inside)?;
                if code.is_some() {
                    break;
                }
            }
        }
        let end = self.phase(program, |when| matches!(when, When::End))?;
        Ok(end.or(code).unwrap_or(0))
    }

    fn phase(&mut self, program: &Program, wanted: impl Fn(&When) -> bool) -> Result<Option<i32>, Stop> {
        for (_, body) in program.rules.iter().filter(|(when, _)| wanted(when)) {
            match body.as_ref().map_or(Ok(()), |body| self.exec(body)) {
                Ok(()) | Err(Stop::Next) => {}
                Err(Stop::Exit(code)) => return Ok(Some(code)),
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }

    fn record(&mut self, program: &Program, inside: &mut [bool]) -> Result<Option<i32>, Stop> {
        for ((when, body), inside) in program.rules.iter().zip(inside) {
            let hit = match when {
                When::Begin | When::End => false,
                When::Always => true,
                When::Test(test) => self.value(test)?.holds(),
                When::Range(from, to) => {
                    let begins = *inside || self.value(from)?.holds();
                    *inside = begins && !self.value(to)?.holds();
                    begins
                }
            };
            if !hit {
                continue;
            }
            let ended = match body {
                Some(body) => self.exec(body),
                None => self.it.out(&format!("{}\n", self.line)).map_err(Stop::from),
            };
            match ended {
                Ok(()) => {}
                Err(Stop::Next) => return Ok(None),
                Err(Stop::Exit(code)) => return Ok(Some(code)),
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }

    fn set_line(&mut self, line: String) {
        let separator = self.variables.get("FS").map(Value::text).unwrap_or_default();
        self.fields = self.cut(&line, &separator);
        self.line = line;
    }

    fn cut(&mut self, line: &str, separator: &str) -> Vec<String> {
        match separator {
            " " => line.split_whitespace().map(str::to_owned).collect(),
            _ if line.is_empty() => Vec::new(),
            one if one.chars().count() == 1 => line.split(one).map(str::to_owned).collect(),
            pattern => match self.pattern(pattern) {
                Ok(pattern) => pattern.split(line).map(str::to_owned).collect(),
                Err(_) => vec![line.to_owned()],
            },
        }
    }

    fn pattern(&mut self, text: &str) -> Result<Regex, Stop> {
        if let Some(known) = self.patterns.get(text) {
            return Ok(known.clone());
        }
        let regex = regex_of(text, false).ok_or_else(|| Stop::Bad(format!("bad regular expression /{text}/")))?;
        self.patterns.insert(text.to_owned(), regex.clone());
        Ok(regex)
    }

    fn exec(&mut self, statement: &Statement) -> Result<(), Stop> {
        self.it.step()?;
        match statement {
            Statement::Block(all) => all.iter().try_for_each(|one| self.exec(one)),
            Statement::Expression(expr) => self.value(expr).map(|_| ()),
            Statement::Print(list) => {
                let separator = self.variables.get("OFS").map(Value::text).unwrap_or_default();
                let mut texts = Vec::new();
                for expr in list {
                    texts.push(self.value(expr)?.text());
                }
                let text = if list.is_empty() { self.line.clone() } else { texts.join(&separator) };
                Ok(self.it.out(&format!("{text}\n"))?)
            }
            Statement::Printf(list) => {
                let text = self.format(list)?;
                Ok(self.it.out(&text)?)
            }
            Statement::If(test, yes, no) => match (self.value(test)?.holds(), no) {
                (true, _) => self.exec(yes),
                (false, Some(no)) => self.exec(no),
                (false, None) => Ok(()),
            },
            Statement::While(test, body) => {
                while self.value(test)?.holds() {
                    if !self.turn(body)? {
                        break;
                    }
                }
                Ok(())
            }
            Statement::For(first, test, step, body) => {
                self.exec(first)?;
                while self.value(test)?.holds() {
                    if !self.turn(body)? {
                        break;
                    }
                    self.exec(step)?;
                }
                Ok(())
            }
            Statement::Each(name, array, body) => {
                let keys: Vec<String> =
                    self.arrays.get(array).map(|items| items.keys().cloned().collect()).unwrap_or_default();
                for key in keys {
                    self.variables.insert(name.clone(), Value::Input(key));
                    if !self.turn(body)? {
                        break;
                    }
                }
                Ok(())
            }
            Statement::Delete(name, index) => {
                let key = index.as_ref().map(|index| self.value(index)).transpose()?;
                if let Some(items) = self.arrays.get_mut(name) {
                    match key {
                        Some(key) => drop(items.remove(&key.text())),
                        None => items.clear(),
                    }
                }
                Ok(())
            }
            Statement::Next => Err(Stop::Next),
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
            Statement::Exit(code) => {
                let code = match code {
                    Some(code) => self.value(code)?.number() as i32,
                    None => 0,
                };
                Err(Stop::Exit(code))
            }
        }
    }

    fn turn(&mut self, body: &Statement) -> Result<bool, Stop> {
        match self.exec(body) {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn format(&mut self, list: &[Expr]) -> Result<String, Stop> {
        let mut words = vec!["printf".to_owned(), "--".to_owned()];
        for (at, expr) in list.iter().enumerate() {
            let text = self.value(expr)?.text();
            // awk's %d cuts fractions off; the shell's printf would refuse them.
            let whole = at > 0 && text.contains('.') && text.parse::<f64>().is_ok() && list.len() == 2;
            let integer = whole
                && matches!(list.first(), Some(Expr::Text(format)) if format.contains('d') && !format.contains('f'));
            words.push(if integer {
                text.split('.').next().unwrap_or("0").to_owned()
            } else {
                text.replace('\\', "\\\\")
            });
        }
        if let Some(format) = words.get_mut(2) {
            *format = format.replace("\\\\", "\\");
        }
        let it = &mut *self.it;
        let (ended, text) = it.capture(|it| it.dispatch(&words));
        ended?;
        Ok(text)
    }

    fn store(&mut self, target: &Expr, value: Value) -> Result<Value, Stop> {
        match target {
            Expr::Name(name) => {
                self.it.work(value.text().len())?;
                self.variables.insert(name.clone(), value.clone());
            }
            Expr::Item(name, index) => {
                let key = self.value(index)?.text();
                self.it.work(200)?;
                self.arrays.entry(name.clone()).or_default().insert(key, value.clone());
            }
            Expr::Field(index) => {
                let at = self.value(index)?.number() as usize;
                if at == 0 {
                    self.set_line(value.text());
                    return Ok(value);
                }
                if at > 1000 {
                    return Err(Stop::Bad("too many fields".to_owned()));
                }
                while self.fields.len() < at {
                    self.fields.push(String::new());
                }
                if let Some(field) = self.fields.get_mut(at - 1) {
                    *field = value.text();
                }
                let separator = self.variables.get("OFS").map(Value::text).unwrap_or_default();
                self.line = self.fields.join(&separator);
            }
            _ => return Err(Stop::Bad("cannot assign to this".to_owned())),
        }
        Ok(value)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value, Stop> {
        self.it.step()?;
        Ok(match expr {
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Match(pattern) => {
                let line = self.line.clone();
                Value::Number(f64::from(u8::from(self.pattern(pattern)?.is_match(&line))))
            }
            Expr::Name(name) if name == "NF" => Value::Number(self.fields.len() as f64),
            Expr::Name(name) => self.variables.get(name).cloned().unwrap_or_else(|| Value::Input(String::new())),
            Expr::Field(index) => {
                let at = self.value(index)?.number();
                if at < 1.0 {
                    Value::Input(self.line.clone())
                } else {
                    Value::Input(self.fields.get(at as usize - 1).cloned().unwrap_or_default())
                }
            }
            Expr::Item(name, index) => {
                let key = self.value(index)?.text();
                self.arrays
                    .get(name)
                    .and_then(|items| items.get(&key))
                    .cloned()
                    .unwrap_or_else(|| Value::Input(String::new()))
            }
            Expr::Unary(sign, inner) => {
                let value = self.value(inner)?;
                Value::Number(match *sign {
                    "!" => f64::from(u8::from(!value.holds())),
                    "-" => -value.number(),
                    _ => value.number(),
                })
            }
            Expr::Binary(sign, left, right) => return self.operate(sign, left, right),
            Expr::Assign(sign, target, right) => {
                let right = self.value(right)?;
                let value = if *sign == "=" {
                    right
                } else {
                    let old = self.value(target)?.number();
                    Value::Number(match *sign {
                        "+=" => old + right.number(),
                        "-=" => old - right.number(),
                        "*=" => old * right.number(),
                        _ => old / right.number(),
                    })
                };
                return self.store(target, value);
            }
            Expr::Step(target, step, old_value) => {
                let old = self.value(target)?.number();
                self.store(target, Value::Number(old + step))?;
                Value::Number(if *old_value { old } else { old + step })
            }
            Expr::Choice(test, yes, no) => {
                return if self.value(test)?.holds() { self.value(yes) } else { self.value(no) };
            }
            Expr::In(key, array) => {
                let key = self.value(key)?.text();
                Value::Number(f64::from(u8::from(self.arrays.get(array).is_some_and(|items| items.contains_key(&key)))))
            }
            Expr::Call(name, list) => return self.call(name, list),
        })
    }

    fn operate(&mut self, sign: &'static str, left: &Expr, right: &Expr) -> Result<Value, Stop> {
        let truth = |holds: bool| Ok(Value::Number(f64::from(u8::from(holds))));
        let first = self.value(left)?;
        match sign {
            "&&" => return truth(first.holds() && self.value(right)?.holds()),
            "||" => return truth(first.holds() || self.value(right)?.holds()),
            "~" | "!~" => {
                let pattern = match right {
                    Expr::Match(text) => text.clone(),
                    other => self.value(other)?.text(),
                };
                return truth(self.pattern(&pattern)?.is_match(&first.text()) == (sign == "~"));
            }
            _ => {}
        }
        let second = self.value(right)?;
        if sign == " " {
            let text = format!("{}{}", first.text(), second.text());
            self.it.work(text.len())?;
            if text.len() > 1 << 20 {
                return Err(Stop::Shell(Flow::Killed("out of memory")));
            }
            return Ok(Value::Text(text));
        }
        if matches!(sign, "==" | "!=" | "<" | "<=" | ">" | ">=") {
            let order = if first.numeric() && second.numeric() {
                first.number().total_cmp(&second.number())
            } else {
                first.text().cmp(&second.text())
            };
            return truth(match sign {
                "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            });
        }
        let (a, b) = (first.number(), second.number());
        if matches!(sign, "/" | "%") && b == 0.0 {
            return Err(Stop::Bad("division by zero".to_owned()));
        }
        Ok(Value::Number(match sign {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            _ => a % b,
        }))
    }

    fn call(&mut self, name: &str, list: &[Expr]) -> Result<Value, Stop> {
        if name == "sprintf" {
            return Ok(Value::Text(self.format(list)?));
        }
        if name == "length"
            && let Some(Expr::Name(array)) = list.first()
            && let Some(items) = self.arrays.get(array)
        {
            return Ok(Value::Number(items.len() as f64));
        }
        let mut texts = Vec::new();
        for (at, expr) in list.iter().enumerate() {
            let is_pattern = matches!(expr, Expr::Match(_));
            let is_array = name == "split" && at == 1;
            texts.push(match expr {
                Expr::Match(text) if is_pattern => text.clone(),
                _ if is_array => String::new(),
                expr => self.value(expr)?.text(),
            });
        }
        let text = |at: usize| texts.get(at).cloned();
        let number = |at: usize| texts.get(at).map(|text| Value::Input(text.clone()).number());
        let first = text(0).unwrap_or_else(|| self.line.clone());
        Ok(match name {
            "length" => Value::Number(first.chars().count() as f64),
            "tolower" => Value::Text(first.to_lowercase()),
            "toupper" => Value::Text(first.to_uppercase()),
            "int" => Value::Number(number(0).unwrap_or(0.0).trunc()),
            "index" => {
                let at = first.find(&text(1).unwrap_or_default());
                Value::Number(at.map_or(0.0, |at| first.get(..at).map_or(0, |head| head.chars().count()) as f64 + 1.0))
            }
            "substr" => {
                let from = number(1).unwrap_or(1.0).round();
                let to = number(2).map_or(f64::MAX, |length| from + length.round());
                Value::Text(
                    first
                        .chars()
                        .enumerate()
                        .filter(|(at, _)| (*at as f64 + 1.0) >= from && (*at as f64 + 1.0) < to)
                        .map(|(_, c)| c)
                        .collect(),
                )
            }
            "match" => {
                let found =
                    self.pattern(&text(1).unwrap_or_default())?.find(&first).map(|found| (found.start(), found.len()));
                self.variables.insert("RSTART".to_owned(), Value::Number(found.map_or(0.0, |(at, _)| at as f64 + 1.0)));
                self.variables
                    .insert("RLENGTH".to_owned(), Value::Number(found.map_or(-1.0, |(_, length)| length as f64)));
                Value::Number(found.map_or(0.0, |(at, _)| at as f64 + 1.0))
            }
            "split" => {
                let Some(Expr::Name(array)) = list.get(1) else {
                    return Err(Stop::Bad("split needs an array".to_owned()));
                };
                let separator =
                    text(2).unwrap_or_else(|| self.variables.get("FS").map(Value::text).unwrap_or_default());
                let parts = self.cut(&first, &separator);
                let count = parts.len();
                let items = parts
                    .into_iter()
                    .enumerate()
                    .map(|(at, part)| ((at + 1).to_string(), Value::Input(part)))
                    .collect();
                self.arrays.insert(array.clone(), items);
                Value::Number(count as f64)
            }
            _ => {
                // sub and gsub.
                let target = list.get(2).cloned().unwrap_or(Expr::Field(Box::new(Expr::Number(0.0))));
                let old = self.value(&target)?.text();
                let pattern = self.pattern(&first)?;
                let with = text(1).unwrap_or_default().replace('$', "$$").replace('&', "${0}");
                let count =
                    if name == "sub" { usize::from(pattern.is_match(&old)) } else { pattern.find_iter(&old).count() };
                let new = pattern.replacen(&old, if name == "sub" { 1 } else { 0 }, with.as_str()).into_owned();
                if count > 0 {
                    self.store(&target, Value::Text(new))?;
                }
                Value::Number(count as f64)
            }
        })
    }
}
