//! The builtins that read lines: `read` and `mapfile`.

use super::{Interp, Run, Value};

impl Interp<'_, '_> {
    pub(super) fn read(&mut self, arguments: &[String]) -> Run {
        let (mut raw, mut array, mut fd, mut delimiter) = (false, None, 0, '\n');
        let mut prompt = String::new();
        let mut names = Vec::new();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-a" => array = rest.next().cloned(),
                "-u" => fd = rest.next().and_then(|n| n.parse().ok()).unwrap_or(0),
                "-d" => delimiter = rest.next().and_then(|d| d.chars().next()).unwrap_or('\0'),
                "-p" => prompt = rest.next().cloned().unwrap_or_default(),
                "-t" | "-n" | "-N" | "-i" => {
                    rest.next();
                }
                flags if flags.starts_with('-') && flags.len() > 1 => {
                    raw |= flags.contains('r');
                    if flags.ends_with('a') {
                        array = rest.next().cloned();
                    } else if flags.ends_with('p') {
                        prompt = rest.next().cloned().unwrap_or_default();
                    } else if flags.ends_with(['t', 'n']) {
                        rest.next();
                    }
                }
                name => names.push(name.to_owned()),
            }
        }
        self.step()?;
        let line = match self.ask(&prompt)? {
            Some(typed) if fd == 0 => Some((typed, true)),
            _ => self.read_line(fd, delimiter),
        };
        let (mut text, mut ended) = line.unwrap_or((String::new(), false));
        while !raw && ended && text.ends_with('\\') {
            text.pop();
            let Some((more, more_ended)) = self.read_line(fd, delimiter) else { break };
            text.push_str(&more);
            ended = more_ended;
        }
        if !raw {
            text = super::glob::unescape(&text);
        }
        let ifs = self.get("IFS").unwrap_or_else(|| " \t\n".to_owned());
        if let Some(array) = array {
            let items = split_fields(&text, &ifs, usize::MAX);
            self.set_value(&array, Value::Array((0..).zip(items).collect()));
        } else if names.is_empty() {
            self.set("REPLY", &text);
        } else {
            let mut values = split_fields(&text, &ifs, names.len()).into_iter();
            for name in &names {
                self.assign(name, &values.next().unwrap_or_default())?;
            }
        }
        Ok(i32::from(!ended))
    }

    pub(super) fn mapfile(&mut self, arguments: &[String]) -> Run {
        let strip = arguments.iter().any(|word| word == "-t");
        let name = arguments.iter().find(|word| !word.starts_with('-')).cloned();
        let text = self.read_all()?;
        let lines = text
            .split_inclusive('\n')
            .map(|line| if strip { line.trim_end_matches('\n') } else { line })
            .map(str::to_owned);
        let value = Value::Array((0..).zip(lines).collect());
        self.set_value(&name.unwrap_or_else(|| "MAPFILE".to_owned()), value);
        Ok(0)
    }
}

/// Fields for `read`: the last takes the rest of the line.
fn split_fields(text: &str, ifs: &str, most: usize) -> Vec<String> {
    let space = |c: char| ifs.contains(c) && c.is_whitespace();
    let mut rest = text.trim_matches(space);
    let mut fields = Vec::new();
    while !rest.is_empty() {
        if fields.len() + 1 == most {
            fields.push(rest.to_owned());
            break;
        }
        let Some(end) = rest.find(|c| ifs.contains(c)) else {
            fields.push(rest.to_owned());
            break;
        };
        let (head, tail) = rest.split_at(end);
        fields.push(head.to_owned());
        let tail = tail.trim_start_matches(space);
        let hard = tail.chars().next().filter(|c| ifs.contains(*c));
        rest = match hard {
            Some(c) => tail.get(c.len_utf8()..).unwrap_or_default().trim_start_matches(space),
            None => tail,
        };
    }
    fields
}
