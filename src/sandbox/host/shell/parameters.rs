//! `$name`, `${name…}` and assignments.

use std::collections::BTreeMap;

use brush_parser::ast::{Assignment, AssignmentName, AssignmentValue};
use brush_parser::word::{
    Parameter, ParameterExpr, ParameterTestType, ParameterTransformOp, SpecialParameter, SubstringMatchKind,
};

use super::expand::Piece;
use super::{Flow, Interp, Run, Value, Variable, glob};

/// What a parameter stands for.
enum Content {
    Unset,
    One(String),
    /// `$@`, `$*` and whole arrays; `true` for the `*` form.
    Many(Vec<String>, bool),
}

impl Interp<'_, '_> {
    pub(super) fn expand_parameter(
        &mut self,
        expression: &ParameterExpr,
        quoted: bool,
        into: &mut Vec<Piece>,
    ) -> Run<()> {
        use ParameterExpr as E;
        match expression {
            E::Parameter { parameter, indirect } => {
                let content = self.required(parameter, *indirect)?;
                self.push(content, quoted, into);
            }
            E::UseDefaultValues { parameter, indirect, test_type, default_value } => {
                let content = self.content(parameter, *indirect)?;
                if is_set(&content, test_type) {
                    self.push(content, quoted, into);
                } else {
                    into.extend(self.alternative(default_value.as_deref(), quoted)?);
                }
            }
            E::AssignDefaultValues { parameter, indirect, test_type, default_value } => {
                let content = self.content(parameter, *indirect)?;
                if is_set(&content, test_type) {
                    self.push(content, quoted, into);
                } else {
                    let value = self.text(default_value.as_deref().unwrap_or_default())?;
                    if let Parameter::Named(name) = parameter {
                        self.assign(name, &value)?;
                    }
                    self.push(Content::One(value), quoted, into);
                }
            }
            E::IndicateErrorIfNullOrUnset { parameter, indirect, test_type, error_message } => {
                let content = self.content(parameter, *indirect)?;
                if !is_set(&content, test_type) {
                    let message = match error_message {
                        Some(message) => self.text(message)?,
                        None => "parameter null or not set".to_owned(),
                    };
                    self.complain(&format!("{}: {message}", name_of(parameter)))?;
                    return Err(Flow::Exit(127));
                }
                self.push(content, quoted, into);
            }
            E::UseAlternativeValue { parameter, indirect, test_type, alternative_value } => {
                let content = self.content(parameter, *indirect)?;
                if is_set(&content, test_type) {
                    into.extend(self.alternative(alternative_value.as_deref(), quoted)?);
                } else if quoted {
                    into.push(Piece::Quoted(String::new()));
                }
            }
            E::ParameterLength { parameter, indirect } => {
                let length = match self.required(parameter, *indirect)? {
                    Content::Unset => 0,
                    Content::One(text) => text.chars().count(),
                    Content::Many(items, _) => items.len(),
                };
                self.push(Content::One(length.to_string()), quoted, into);
            }
            E::RemoveSmallestSuffixPattern { parameter, indirect, pattern }
            | E::RemoveLargestSuffixPattern { parameter, indirect, pattern }
            | E::RemoveSmallestPrefixPattern { parameter, indirect, pattern }
            | E::RemoveLargestPrefixPattern { parameter, indirect, pattern } => {
                let content = self.required(parameter, *indirect)?;
                let pattern = self.pattern(pattern.as_deref().unwrap_or_default())?;
                let prefix =
                    matches!(expression, E::RemoveSmallestPrefixPattern { .. } | E::RemoveLargestPrefixPattern { .. });
                let largest =
                    matches!(expression, E::RemoveLargestSuffixPattern { .. } | E::RemoveLargestPrefixPattern { .. });
                let content = self.map(content, |text| remove(text, &pattern, prefix, largest))?;
                self.push(content, quoted, into);
            }
            E::Substring { parameter, indirect, offset, length } => {
                let offset = self.arithmetic(&offset.value)?;
                let length = match length {
                    Some(length) => Some(self.arithmetic(&length.value)?),
                    None => None,
                };
                let content = match self.required(parameter, *indirect)? {
                    Content::Many(mut items, star) => {
                        if matches!(parameter, Parameter::Special(_)) {
                            items.insert(0, self.shell.name.clone());
                        }
                        Content::Many(slice(&items, offset, length), star)
                    }
                    Content::One(text) => {
                        let chars: Vec<char> = text.chars().collect();
                        Content::One(slice(&chars, offset, length).into_iter().collect())
                    }
                    Content::Unset => Content::Unset,
                };
                self.push(content, quoted, into);
            }
            E::ReplaceSubstring { parameter, indirect, pattern, replacement, match_kind } => {
                let content = self.required(parameter, *indirect)?;
                let pattern = self.pattern(pattern)?;
                let with = self.text(replacement.as_deref().unwrap_or_default())?;
                let content = self.map(content, |text| replace(text, &pattern, &with, match_kind))?;
                self.push(content, quoted, into);
            }
            E::UppercaseFirstChar { parameter, indirect, .. } => {
                let content = self.required(parameter, *indirect)?;
                let content = self.map(content, |text| first(text, |c| c.to_uppercase().collect()))?;
                self.push(content, quoted, into);
            }
            E::LowercaseFirstChar { parameter, indirect, .. } => {
                let content = self.required(parameter, *indirect)?;
                let content = self.map(content, |text| first(text, |c| c.to_lowercase().collect()))?;
                self.push(content, quoted, into);
            }
            E::UppercasePattern { parameter, indirect, .. } => {
                let content = self.required(parameter, *indirect)?;
                let content = self.map(content, str::to_uppercase)?;
                self.push(content, quoted, into);
            }
            E::LowercasePattern { parameter, indirect, .. } => {
                let content = self.required(parameter, *indirect)?;
                let content = self.map(content, str::to_lowercase)?;
                self.push(content, quoted, into);
            }
            E::Transform { parameter, indirect, op } => {
                let content = self.required(parameter, *indirect)?;
                let content = self.map(content, |text| match op {
                    ParameterTransformOp::ToUpperCase => text.to_uppercase(),
                    ParameterTransformOp::ToLowerCase => text.to_lowercase(),
                    ParameterTransformOp::CapitalizeInitial => first(text, |c| c.to_uppercase().collect()),
                    ParameterTransformOp::Quoted => super::words::quote(text),
                    _ => text.to_owned(),
                })?;
                self.push(content, quoted, into);
            }
            E::VariableNames { prefix, concatenate } => {
                let mut names: Vec<String> =
                    self.shell.variables.keys().filter(|name| name.starts_with(prefix.as_str())).cloned().collect();
                names.sort();
                self.push(Content::Many(names, *concatenate), quoted, into);
            }
            E::MemberKeys { variable_name, concatenate } => {
                let keys = match self.shell.variables.get(variable_name).map(|variable| &variable.value) {
                    Some(Value::Array(items)) => items.keys().map(ToString::to_string).collect(),
                    Some(Value::Map(items)) => items.keys().cloned().collect(),
                    Some(Value::Text(_)) => vec!["0".to_owned()],
                    None => Vec::new(),
                };
                self.push(Content::Many(keys, *concatenate), quoted, into);
            }
        }
        Ok(())
    }

    fn alternative(&mut self, word: Option<&str>, quoted: bool) -> Run<Vec<Piece>> {
        let pieces = self.pieces(word.unwrap_or_default(), quoted)?;
        // Unquoted text in the alternative is split like any other expansion.
        Ok(pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Plain(text) if !quoted => Piece::Split(text),
                Piece::Plain(text) | Piece::Split(text) if quoted => Piece::Quoted(text),
                other => other,
            })
            .collect())
    }

    fn push(&mut self, content: Content, quoted: bool, into: &mut Vec<Piece>) {
        let piece = |text: String| if quoted { Piece::Quoted(text) } else { Piece::Split(text) };
        match content {
            Content::Unset => into.push(piece(String::new())),
            Content::One(text) => into.push(piece(text)),
            Content::Many(items, true) if quoted => {
                let separator = self.get("IFS").map_or(" ".to_owned(), |ifs| ifs.chars().take(1).collect());
                into.push(Piece::Quoted(items.join(&separator)));
            }
            Content::Many(items, _) => {
                for (at, item) in items.into_iter().enumerate() {
                    if at > 0 {
                        into.push(Piece::Break);
                    }
                    into.push(piece(item));
                }
            }
        }
    }

    fn map(&mut self, content: Content, change: impl Fn(&str) -> String) -> Run<Content> {
        Ok(match content {
            Content::Unset => Content::Unset,
            Content::One(text) => {
                self.work(text.len().saturating_mul(text.len()) / 64)?;
                Content::One(change(&text))
            }
            Content::Many(items, star) => {
                self.work(items.iter().map(String::len).sum())?;
                Content::Many(items.iter().map(|item| change(item)).collect(), star)
            }
        })
    }

    /// The content, or an error under `set -u`.
    fn required(&mut self, parameter: &Parameter, indirect: bool) -> Run<Content> {
        let content = self.content(parameter, indirect)?;
        let list = matches!(parameter, Parameter::Special(_) | Parameter::NamedWithAllIndices { .. });
        if matches!(content, Content::Unset) && self.shell.options.nounset && !list {
            self.complain(&format!("{}: unbound variable", name_of(parameter)))?;
            return Err(Flow::Exit(1));
        }
        Ok(content)
    }

    fn content(&mut self, parameter: &Parameter, indirect: bool) -> Run<Content> {
        let content = self.direct(parameter)?;
        if !indirect {
            return Ok(content);
        }
        let Content::One(name) = content else { return Ok(Content::Unset) };
        match brush_parser::word::parse_parameter(&name, &super::parse::options()) {
            Ok(parameter) => self.direct(&parameter),
            Err(_) => Ok(Content::Unset),
        }
    }

    fn direct(&mut self, parameter: &Parameter) -> Run<Content> {
        let one = |text: Option<String>| text.map_or(Content::Unset, Content::One);
        Ok(match parameter {
            Parameter::Positional(0) => Content::One(self.shell.name.clone()),
            Parameter::Positional(n) => {
                one(usize::try_from(*n).ok().and_then(|n| self.shell.positional.get(n.checked_sub(1)?)).cloned())
            }
            Parameter::Special(special) => self.special(special),
            Parameter::Named(name) => one(self.dynamic(name).or_else(|| self.get(name))),
            Parameter::NamedWithIndex { name, index } => {
                let map = matches!(self.shell.variables.get(name).map(|v| &v.value), Some(Value::Map(_)));
                let key = if map { self.text(index)? } else { self.arithmetic(index)?.to_string() };
                one(self.element(name, &key))
            }
            Parameter::NamedWithAllIndices { name, concatenate } => {
                let items = match self.shell.variables.get(name).map(|variable| &variable.value) {
                    Some(Value::Array(items)) => items.values().cloned().collect(),
                    Some(Value::Map(items)) => items.values().cloned().collect(),
                    Some(Value::Text(text)) => vec![text.clone()],
                    None => Vec::new(),
                };
                Content::Many(items, *concatenate)
            }
        })
    }

    pub(super) fn element(&self, name: &str, key: &str) -> Option<String> {
        match &self.shell.variables.get(name)?.value {
            Value::Array(items) => {
                let mut at: i64 = key.parse().ok()?;
                if at < 0 {
                    at = at.saturating_add(items.keys().next_back()?.saturating_add(1));
                }
                items.get(&at).cloned()
            }
            Value::Map(items) => items.get(key).cloned(),
            Value::Text(text) => (key == "0" || key == "-1").then(|| text.clone()),
        }
    }

    /// Variables that the shell makes up when asked.
    fn dynamic(&mut self, name: &str) -> Option<String> {
        match name {
            "RANDOM" => Some((self.machine.roll() % 32_768).to_string()),
            "SECONDS" => Some(self.clock().saturating_sub(self.began).as_secs().to_string()),
            "EPOCHSECONDS" => Some(self.seconds().to_string()),
            "LINENO" => Some(self.shell.line.to_string()),
            "HOSTNAME" => Some(self.machine.hostname.clone()),
            "UID" | "EUID" => Some("0".to_owned()),
            "BASH_VERSION" => Some("5.2.15(1)-release".to_owned()),
            "BASH_SOURCE" => Some(self.shell.name.clone()),
            "OSTYPE" => Some("linux-gnu".to_owned()),
            "HOSTTYPE" => Some(super::super::commands::architecture(self.machine).to_owned()),
            _ => None,
        }
    }

    fn special(&self, special: &SpecialParameter) -> Content {
        let options = self.shell.options;
        match special {
            SpecialParameter::AllPositionalParameters { concatenate } => {
                Content::Many(self.shell.positional.clone(), *concatenate)
            }
            SpecialParameter::PositionalParameterCount => Content::One(self.shell.positional.len().to_string()),
            SpecialParameter::LastExitStatus => Content::One(self.shell.status.to_string()),
            SpecialParameter::CurrentOptionFlags => {
                let flags =
                    [(options.errexit, 'e'), (true, 'h'), (options.nounset, 'u'), (options.xtrace, 'x'), (true, 'B')];
                Content::One(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect())
            }
            SpecialParameter::ProcessId => Content::One("2146".to_owned()),
            SpecialParameter::LastBackgroundProcessId => self.get("!").map_or(Content::Unset, Content::One),
            SpecialParameter::ShellName => Content::One(self.shell.name.clone()),
        }
    }

    /// `name=value`, refused for readonly variables.
    pub(super) fn assign(&mut self, name: &str, value: &str) -> Run<()> {
        self.work(value.len())?;
        if value.len() > super::LONGEST_VALUE {
            return Err(Flow::Killed("out of memory"));
        }
        if self.shell.variables.get(name).is_some_and(|variable| variable.readonly) {
            self.complain(&format!("{name}: readonly variable"))?;
            return Err(Flow::Exit(1));
        }
        if let Some(Variable { value: Value::Array(items), .. }) = self.shell.variables.get_mut(name) {
            items.insert(0, value.to_owned());
            return Ok(());
        }
        self.set(name, value);
        Ok(())
    }

    /// An assignment as it is written in the script.
    pub(super) fn run_assignment(&mut self, assignment: &Assignment) -> Run<()> {
        match (&assignment.name, &assignment.value) {
            (AssignmentName::VariableName(name), AssignmentValue::Scalar(word)) => {
                let mut value = self.text(&word.value)?;
                if assignment.append {
                    value.insert_str(0, &self.get(name).unwrap_or_default());
                }
                self.trace(&[format!("{name}={}", super::words::quote_if_needed(&value))], false)?;
                self.assign(name, &value)
            }
            (AssignmentName::ArrayElementName(name, index), AssignmentValue::Scalar(word)) => {
                let map = matches!(self.shell.variables.get(name).map(|v| &v.value), Some(Value::Map(_)));
                let key = if map { self.text(index)? } else { self.arithmetic(index)?.to_string() };
                let mut value = self.text(&word.value)?;
                if assignment.append {
                    value.insert_str(0, &self.element(name, &key).unwrap_or_default());
                }
                self.work(value.len())?;
                if value.len() > super::LONGEST_VALUE {
                    return Err(Flow::Killed("out of memory"));
                }
                self.put_element(name, &key, value);
                Ok(())
            }
            (AssignmentName::VariableName(name), AssignmentValue::Array(items)) => {
                let keep = assignment.append;
                let map = matches!(self.shell.variables.get(name).map(|v| &v.value), Some(Value::Map(_)));
                if !keep {
                    let value = if map { Value::Map(BTreeMap::new()) } else { Value::Array(BTreeMap::new()) };
                    self.set_value(name, value);
                }
                for (key, word) in items {
                    if let Some(key) = key {
                        let key = if map { self.text(&key.value)? } else { self.arithmetic(&key.value)?.to_string() };
                        let value = self.text(&word.value)?;
                        self.put_element(name, &key, value);
                    } else {
                        for value in self.fields([word.value.as_str()])? {
                            let next = self.next_index(name).to_string();
                            self.put_element(name, &next, value);
                        }
                    }
                }
                Ok(())
            }
            (AssignmentName::ArrayElementName(..), AssignmentValue::Array(_)) => {
                self.complain("cannot assign list to array member")?;
                Err(Flow::Exit(1))
            }
        }
    }

    pub(super) fn set_value(&mut self, name: &str, value: Value) {
        match self.shell.variables.get_mut(name) {
            Some(variable) => variable.value = value,
            None => {
                let variable = Variable { value, exported: false, readonly: false };
                self.shell.variables.insert(name.to_owned(), variable);
            }
        }
    }

    fn next_index(&self, name: &str) -> i64 {
        match self.shell.variables.get(name).map(|variable| &variable.value) {
            Some(Value::Array(items)) => items.keys().next_back().map_or(0, |last| last.saturating_add(1)),
            Some(Value::Text(_)) => 1,
            _ => 0,
        }
    }

    fn put_element(&mut self, name: &str, key: &str, value: String) {
        let old = self.shell.variables.get(name).map(|variable| variable.value.clone());
        let value = match old {
            Some(Value::Map(mut items)) => {
                items.insert(key.to_owned(), value);
                Value::Map(items)
            }
            other => {
                let mut items = match other {
                    Some(Value::Array(items)) => items,
                    Some(Value::Text(text)) => BTreeMap::from([(0, text)]),
                    _ => BTreeMap::new(),
                };
                items.insert(key.parse().unwrap_or(0), value);
                Value::Array(items)
            }
        };
        self.set_value(name, value);
    }
}

fn is_set(content: &Content, test: &ParameterTestType) -> bool {
    let null = matches!(test, ParameterTestType::UnsetOrNull);
    match content {
        Content::Unset => false,
        Content::One(text) => !(null && text.is_empty()),
        Content::Many(items, _) => {
            if null {
                items.iter().any(|item| !item.is_empty())
            } else {
                !items.is_empty()
            }
        }
    }
}

fn name_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Positional(n) => format!("${n}"),
        Parameter::Special(special) => special.to_string(),
        Parameter::Named(name) => name.clone(),
        Parameter::NamedWithIndex { name, index } => format!("{name}[{index}]"),
        Parameter::NamedWithAllIndices { name, .. } => format!("{name}[@]"),
    }
}

/// Elements from `offset`, which counts from the end when negative; so does a negative length.
fn slice<T: Clone>(items: &[T], offset: i64, length: Option<i64>) -> Vec<T> {
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { count.saturating_add(offset) } else { offset };
    let to = match length {
        None => count,
        Some(length) if length < 0 => count.saturating_add(length),
        Some(length) => from.saturating_add(length),
    };
    if from < 0 || from > count || to < from {
        return Vec::new();
    }
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to.min(count)).unwrap_or(0));
    items.get(from..to).map(<[T]>::to_vec).unwrap_or_default()
}

fn first(text: &str, change: impl Fn(char) -> String) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| format!("{}{}", change(c), chars.as_str())).unwrap_or_default()
}

fn remove(text: &str, pattern: &str, prefix: bool, largest: bool) -> String {
    let mut cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    // From the smallest part to the largest, seen from the end that is cut.
    if prefix == largest {
        cuts.reverse();
    }
    for cut in cuts {
        let (head, tail) = text.split_at(cut);
        let (part, rest) = if prefix { (head, tail) } else { (tail, head) };
        if glob::matches(pattern, part) {
            return rest.to_owned();
        }
    }
    text.to_owned()
}

fn replace(text: &str, pattern: &str, with: &str, kind: &SubstringMatchKind) -> String {
    if pattern.is_empty() {
        return text.to_owned();
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let longest = |from: usize| {
        ends.iter()
            .rev()
            .copied()
            .take_while(|end| *end >= from)
            .find(|end| text.get(from..*end).is_some_and(|part| glob::matches(pattern, part)))
    };
    let mut result = String::new();
    let mut at = 0;
    for start in &ends {
        if *start < at {
            continue;
        }
        let found = longest(*start).filter(|end| end > start).filter(|end| match kind {
            SubstringMatchKind::Prefix => *start == 0,
            SubstringMatchKind::Suffix => *end == text.len(),
            SubstringMatchKind::FirstOccurrence | SubstringMatchKind::Anywhere => true,
        });
        let Some(end) = found else { continue };
        result.push_str(text.get(at..*start).unwrap_or_default());
        result.push_str(with);
        at = end;
        if !matches!(kind, SubstringMatchKind::Anywhere) {
            break;
        }
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}
