//! `[[ … ]]`, `test` and `[`.

use brush_parser::ast::{BinaryPredicate, ExtendedTestExpr, UnaryPredicate};

use super::super::vfs::Kind;
use super::{Flow, Interp, Run, Value, glob};

impl Interp<'_, '_> {
    /// `[[ … ]]`.
    pub(super) fn extended_test(&mut self, expression: &ExtendedTestExpr) -> Run<bool> {
        self.step()?;
        match expression {
            ExtendedTestExpr::And(left, right) => Ok(self.extended_test(left)? && self.extended_test(right)?),
            ExtendedTestExpr::Or(left, right) => Ok(self.extended_test(left)? || self.extended_test(right)?),
            ExtendedTestExpr::Not(inner) => Ok(!self.extended_test(inner)?),
            ExtendedTestExpr::Parenthesized(inner) => self.extended_test(inner),
            ExtendedTestExpr::UnaryTest(predicate, word) => {
                let text = self.text(&word.value)?;
                Ok(self.unary(unary_flag(predicate), &text))
            }
            ExtendedTestExpr::BinaryTest(predicate, left, right) => {
                let text = self.text(&left.value)?;
                use BinaryPredicate as B;
                match predicate {
                    B::StringExactlyMatchesPattern | B::StringExactlyMatchesString => {
                        let pattern = self.pattern(&right.value)?;
                        Ok(extended_matches(&pattern, &text))
                    }
                    B::StringDoesNotExactlyMatchPattern | B::StringDoesNotExactlyMatchString => {
                        let pattern = self.pattern(&right.value)?;
                        Ok(!extended_matches(&pattern, &text))
                    }
                    B::StringMatchesRegex => {
                        let pattern = self.regex(&right.value)?;
                        self.match_regex(&pattern, &text)
                    }
                    B::StringContainsSubstring => {
                        let part = self.text(&right.value)?;
                        Ok(text.contains(&part))
                    }
                    other => {
                        let right = self.text(&right.value)?;
                        self.compare(binary_operator(other), &text, &right, true)
                    }
                }
            }
        }
    }

    fn match_regex(&mut self, pattern: &str, text: &str) -> Run<bool> {
        self.work(text.len().saturating_add(pattern.len()).saturating_mul(20))?;
        let Some(regex) = super::super::commands::regex_of(pattern, false) else { return Ok(false) };
        let Some(found) = regex.captures(text) else { return Ok(false) };
        let groups = found
            .iter()
            .enumerate()
            .map(|(at, group)| {
                (i64::try_from(at).unwrap_or_default(), group.map_or("", |group| group.as_str()).to_owned())
            })
            .collect();
        self.set_value("BASH_REMATCH", Value::Array(groups));
        Ok(true)
    }

    /// `test` and `[`, without the closing bracket. Status 2 for what is not a test.
    pub(super) fn test(&mut self, name: &str, arguments: &[String]) -> Run {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut at = 0;
        let answer = self.test_or(name, &words, &mut at)?;
        match answer {
            Some(answer) if at == words.len() => Ok(i32::from(!answer)),
            Some(_) => {
                self.complain(&format!("{name}: too many arguments"))?;
                Ok(2)
            }
            None => Ok(2),
        }
    }

    fn test_or(&mut self, name: &str, words: &[&str], at: &mut usize) -> Run<Option<bool>> {
        let mut answer = self.test_and(name, words, at)?;
        while words.get(*at) == Some(&"-o") {
            *at += 1;
            let right = self.test_and(name, words, at)?;
            answer = answer.zip(right).map(|(left, right)| left || right);
        }
        Ok(answer)
    }

    fn test_and(&mut self, name: &str, words: &[&str], at: &mut usize) -> Run<Option<bool>> {
        let mut answer = self.test_one(name, words, at)?;
        while words.get(*at) == Some(&"-a") {
            *at += 1;
            let right = self.test_one(name, words, at)?;
            answer = answer.zip(right).map(|(left, right)| left && right);
        }
        Ok(answer)
    }

    fn test_one(&mut self, name: &str, words: &[&str], at: &mut usize) -> Run<Option<bool>> {
        self.step()?;
        let left = words.len().saturating_sub(*at);
        let word = |n: usize| words.get(*at + n).copied();
        let Some(first) = word(0) else { return Ok(Some(false)) };
        if let (Some(operator), Some(right)) = (word(1), word(2))
            && is_binary(operator)
        {
            let (first, operator, right) = (first.to_owned(), operator.to_owned(), right.to_owned());
            *at += 3;
            return match self.compare(&operator, &first, &right, false) {
                Ok(answer) => Ok(Some(answer)),
                Err(Flow::Return(2)) => Ok(None),
                Err(other) => Err(other),
            };
        }
        if first == "!" && left > 1 {
            *at += 1;
            return self.nested(|it| Ok(it.test_one(name, words, at)?.map(|answer| !answer)));
        }
        if first == "(" && left > 2 {
            *at += 1;
            let inside = self.nested(|it| it.test_or(name, words, at))?;
            if words.get(*at) == Some(&")") {
                *at += 1;
                return Ok(inside);
            }
            return Ok(None);
        }
        if left > 1 && first.len() == 2 && first.starts_with('-') && !matches!(word(1), Some("-a" | "-o")) {
            let flag = first.chars().nth(1).unwrap_or('?');
            let operand = word(1).unwrap_or_default();
            if !"abcdefghknoprstuvwxzGLNORS".contains(flag) {
                self.complain(&format!("{name}: {first}: unary operator expected"))?;
                return Ok(None);
            }
            *at += 2;
            return Ok(Some(self.unary(flag, operand)));
        }
        if left == 2 {
            self.complain(&format!("{name}: {first}: unary operator expected"))?;
            *at += 2;
            return Ok(None);
        }
        if left == 3 {
            let operator = word(1).unwrap_or_default().to_owned();
            self.complain(&format!("{name}: {operator}: binary operator expected"))?;
            *at += 3;
            return Ok(None);
        }
        *at += 1;
        Ok(Some(!first.is_empty()))
    }

    fn unary(&self, flag: char, operand: &str) -> bool {
        let path = self.path(operand);
        let machine = &*self.machine;
        let there = !operand.is_empty() && machine.path_exists(&path);
        match flag {
            'n' => !operand.is_empty(),
            'z' => operand.is_empty(),
            'a' | 'e' | 'r' | 'w' | 'O' | 'G' => there,
            'd' => !operand.is_empty() && machine.is_directory(&path),
            'f' => there && !machine.is_directory(&path) && !path.starts_with("/dev/"),
            's' => {
                there && (machine.is_directory(&path) || machine.read_file(&path).is_ok_and(|text| !text.is_empty()))
            }
            'x' => there && machine.is_executable(&path),
            'L' | 'h' => machine.files.link(&path).is_some_and(|node| matches!(node.kind, Kind::Link(_))),
            'c' => there && path.starts_with("/dev/"),
            'v' => {
                let name = operand.split('[').next().unwrap_or(operand);
                self.shell.variables.contains_key(name)
            }
            'o' => match operand {
                "errexit" => self.shell.options.errexit,
                "nounset" => self.shell.options.nounset,
                "xtrace" => self.shell.options.xtrace,
                "pipefail" => self.shell.options.pipefail,
                _ => false,
            },
            // No terminal, no sockets, no block devices, no special bits.
            _ => false,
        }
    }

    /// `Err(Flow::Return(2))` for operands that are not numbers: only `test` sees it.
    fn compare(&mut self, operator: &str, left: &str, right: &str, extended: bool) -> Run<bool> {
        match operator {
            "=" | "==" => return Ok(left == right),
            "!=" => return Ok(left != right),
            "<" => return Ok(left < right),
            ">" => return Ok(left > right),
            "-nt" | "-ot" | "-ef" => {
                let (left, right) = (self.path(left), self.path(right));
                let modified = |path: &str| self.machine.files.node(path).map(|node| node.modified);
                let (a, b) = (modified(&left), modified(&right));
                return Ok(match operator {
                    "-nt" => a > b,
                    "-ot" => a < b,
                    _ => left == right && a.is_some(),
                });
            }
            _ => {}
        }
        let mut number = |text: &str| -> Run<i64> {
            if extended {
                return self.arithmetic(text);
            }
            match text.trim().parse() {
                Ok(number) => Ok(number),
                Err(_) => {
                    self.complain(&format!("[: {text}: integer expression expected"))?;
                    Err(Flow::Return(2))
                }
            }
        };
        let (left, right) = (number(left)?, number(right)?);
        Ok(match operator {
            "-eq" => left == right,
            "-ne" => left != right,
            "-lt" => left < right,
            "-le" => left <= right,
            "-gt" => left > right,
            _ => left >= right,
        })
    }
}

fn is_binary(operator: &str) -> bool {
    matches!(
        operator,
        "=" | "==" | "!=" | "<" | ">" | "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" | "-nt" | "-ot" | "-ef"
    )
}

/// `@(a|b)` and the like go through brush's translation to a regular expression.
pub(super) fn extended_matches(pattern: &str, text: &str) -> bool {
    let extended = ["@(", "+(", "?(", "*(", "!("].iter().any(|open| pattern.contains(open));
    if !extended {
        return glob::matches(pattern, text);
    }
    brush_parser::pattern::pattern_to_regex_str(pattern, true)
        .ok()
        .and_then(|regex| super::super::commands::regex_of(&format!("^(?:{regex})$"), false))
        .is_some_and(|regex| regex.is_match(text))
}

fn unary_flag(predicate: &UnaryPredicate) -> char {
    use UnaryPredicate as U;
    match predicate {
        U::FileExists => 'e',
        U::FileExistsAndIsBlockSpecialFile => 'b',
        U::FileExistsAndIsCharSpecialFile => 'c',
        U::FileExistsAndIsDir => 'd',
        U::FileExistsAndIsRegularFile => 'f',
        U::FileExistsAndIsSetgid => 'g',
        U::FileExistsAndIsSymlink => 'h',
        U::FileExistsAndHasStickyBit => 'k',
        U::FileExistsAndIsFifo => 'p',
        U::FileExistsAndIsReadable => 'r',
        U::FileExistsAndIsNotZeroLength => 's',
        U::FdIsOpenTerminal => 't',
        U::FileExistsAndIsSetuid => 'u',
        U::FileExistsAndIsWritable => 'w',
        U::FileExistsAndIsExecutable => 'x',
        U::FileExistsAndOwnedByEffectiveGroupId => 'G',
        U::FileExistsAndModifiedSinceLastRead => 'N',
        U::FileExistsAndOwnedByEffectiveUserId => 'O',
        U::FileExistsAndIsSocket => 'S',
        U::ShellOptionEnabled => 'o',
        U::ShellVariableIsSetAndAssigned => 'v',
        U::ShellVariableIsSetAndNameRef => 'R',
        U::StringHasZeroLength => 'z',
        U::StringHasNonZeroLength => 'n',
    }
}

fn binary_operator(predicate: &BinaryPredicate) -> &'static str {
    use BinaryPredicate as B;
    match predicate {
        B::FilesReferToSameDeviceAndInodeNumbers => "-ef",
        B::LeftFileIsNewerOrExistsWhenRightDoesNot => "-nt",
        B::LeftFileIsOlderOrDoesNotExistWhenRightDoes => "-ot",
        B::LeftSortsBeforeRight => "<",
        B::LeftSortsAfterRight => ">",
        B::ArithmeticEqualTo => "-eq",
        B::ArithmeticNotEqualTo => "-ne",
        B::ArithmeticLessThan => "-lt",
        B::ArithmeticLessThanOrEqualTo => "-le",
        B::ArithmeticGreaterThan => "-gt",
        B::ArithmeticGreaterThanOrEqualTo => "-ge",
        B::StringDoesNotExactlyMatchPattern | B::StringDoesNotExactlyMatchString => "!=",
        B::StringExactlyMatchesPattern
        | B::StringExactlyMatchesString
        | B::StringMatchesRegex
        | B::StringContainsSubstring => "=",
    }
}
