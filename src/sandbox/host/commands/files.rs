//! Commands about files.

use super::super::shell::{Interp, Run, glob_matches};
use super::super::vfs::{self, FsError, Kind};
use super::Arguments;

pub(super) fn run(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, if name == "install" { &["-m", "-o", "-g"] } else { &[] });
    let now = it.seconds();
    let mut status = 0;
    match name {
        "ls" => return ls(it, &arguments),
        "find" => return find(it, words),
        "mktemp" => {
            let number = it.machine.roll() % 1_000_000_000;
            let path = format!("/tmp/tmp.{number:010}");
            let made = if arguments.has(&["-d"]) {
                it.machine.files.make_directory(&path, now)
            } else {
                it.machine.files.write(&path, "", now)
            };
            return match made {
                Ok(()) => it.out(&format!("{path}\n")).map(|()| 0),
                Err(error) => it.fail(1, format!("mktemp: failed to create file: {error}")),
            };
        }
        "basename" => {
            let text = vfs::name(arguments.rest.first().map_or("", |word| word.trim_end_matches('/'))).to_owned();
            let text =
                arguments.rest.get(1).and_then(|suffix| text.strip_suffix(suffix.as_str())).unwrap_or(&text).to_owned();
            return it.out(&format!("{text}\n")).map(|()| 0);
        }
        "dirname" => {
            let word = arguments.rest.first().cloned().unwrap_or_default();
            let text =
                if word.contains('/') { vfs::parent(word.trim_end_matches('/')).to_owned() } else { ".".to_owned() };
            return it.out(&format!("{text}\n")).map(|()| 0);
        }
        "readlink" | "realpath" => {
            for word in &arguments.rest {
                let path = it.path(word);
                let follow = name == "realpath" || arguments.has(&["-f", "-e", "-m"]);
                let target = match it.machine.files.link(&path).map(|node| node.kind.clone()) {
                    _ if follow => it.machine.files.follow(&path).ok(),
                    Some(Kind::Link(target)) => Some(target),
                    _ => None,
                };
                match target {
                    Some(target) => it.out(&format!("{target}\n"))?,
                    None => status = 1,
                }
            }
            return Ok(status);
        }
        "cp" | "mv" | "ln" | "install" => return transfer(it, name, &arguments),
        _ => {}
    }
    let mut names = arguments.rest.clone();
    let mode = (name == "chmod" || name == "chown" || name == "chgrp")
        .then(|| if names.is_empty() { String::new() } else { names.remove(0) });
    if names.is_empty() && !arguments.has(&["-f"]) {
        return it.fail(1, format!("{name}: missing operand\nTry '{name} --help' for more information."));
    }
    for word in names {
        it.step()?;
        let path = it.path(&word);
        let files = &mut it.machine.files;
        let done = match name {
            "mkdir" if arguments.has(&["-p", "--parents"]) => files.make_directories(&path, now),
            "mkdir" => files.make_directory(&path, now),
            "rmdir" => files.remove_empty_directory(&path),
            "rm" => match files.remove(&path, arguments.has(&["-r", "-R", "--recursive"])) {
                Err(FsError::NotFound) if arguments.has(&["-f", "--force"]) => Ok(()),
                other => other,
            },
            "touch" => files.append(&path, "", now),
            "chmod" => {
                match new_mode(files.node(&path).map_or(0o644, |node| node.mode), mode.as_deref().unwrap_or_default()) {
                    Some(mode) => files.set_mode(&path, mode),
                    None => Err(FsError::Invalid),
                }
            }
            "stat" => {
                let text = files
                    .node(&path)
                    .map(|node| format!("  File: {word}\nAccess: ({:04o})  Uid: (    0/    root)\n", node.mode));
                match text {
                    Some(text) => {
                        it.out(&text)?;
                        Ok(())
                    }
                    None => Err(FsError::NotFound),
                }
            }
            _ if it.machine.path_exists(&path) => Ok(()),
            _ => Err(FsError::NotFound),
        };
        if let Err(error) = done {
            let verb = match name {
                "mkdir" => format!("cannot create directory ‘{word}’"),
                "rm" => format!("cannot remove '{word}'"),
                "rmdir" => format!("failed to remove '{word}'"),
                "touch" => format!("cannot touch '{word}'"),
                "stat" => format!("cannot statx '{word}'"),
                _ => format!("cannot access '{word}'"),
            };
            status = it.fail(1, format!("{name}: {verb}: {error}"))?;
        }
    }
    Ok(status)
}

fn new_mode(old: u32, text: &str) -> Option<u32> {
    if let Ok(mode) = u32::from_str_radix(text, 8) {
        return Some(mode);
    }
    let mut mode = old;
    for part in text.split(',') {
        let at = part.find(['+', '-', '='])?;
        let (who, rest) = part.split_at(at);
        let bits = rest.chars().skip(1).fold(0, |bits, c| {
            bits | match c {
                'r' => 4,
                'w' => 2,
                'x' | 'X' => 1,
                _ => 0,
            }
        });
        let who = if who.is_empty() || who.contains('a') { "ugo" } else { who };
        for class in who.chars() {
            let shift = match class {
                'u' => 6,
                'g' => 3,
                _ => 0,
            };
            match rest.chars().next()? {
                '+' => mode |= bits << shift,
                '-' => mode &= !(bits << shift),
                _ => mode = mode & !(7 << shift) | bits << shift,
            }
        }
    }
    Some(mode)
}

fn transfer(it: &mut Interp<'_, '_>, name: &str, arguments: &Arguments) -> Run {
    let now = it.seconds();
    if name == "install" && arguments.has(&["-d"]) {
        for word in &arguments.rest {
            let path = it.path(word);
            if let Err(error) = it.machine.files.make_directories(&path, now) {
                return it.fail(1, format!("install: cannot create directory ‘{word}’: {error}"));
            }
        }
        return Ok(0);
    }
    let Some((to, from)) = arguments.rest.split_last().filter(|(_, from)| !from.is_empty()) else {
        return it.fail(1, format!("{name}: missing file operand\nTry '{name} --help' for more information."));
    };
    let target = it.path(to);
    let mut status = 0;
    for word in from {
        it.step()?;
        let source = it.path(word);
        let place =
            if it.machine.is_directory(&target) { format!("{target}/{}", vfs::name(&source)) } else { target.clone() };
        if name == "ln" {
            if arguments.has(&["-f"]) {
                // It may well not be there.
                let _absent = it.machine.files.remove(&place, false);
            }
            let target = if arguments.has(&["-s"]) { word.clone() } else { source.clone() };
            if let Err(error) = it.machine.files.make_link(&place, &target, now) {
                status = it.fail(1, format!("ln: failed to create symbolic link '{place}': {error}"))?;
            }
            continue;
        }
        let directory = it.machine.is_directory(&source);
        let done = match name {
            "mv" => it.machine.files.rename(&source, &place),
            _ if directory && !arguments.has(&["-r", "-R", "-a", "--recursive"]) => {
                status = it.fail(1, format!("cp: -r not specified; omitting directory '{word}'"))?;
                continue;
            }
            _ if directory => copy_tree(it, &source, &place, now),
            _ => it.machine.read_file(&source).and_then(|text| it.machine.write_file(&place, &text, now)),
        };
        if let Err(error) = done {
            status = it.fail(1, format!("{name}: cannot stat '{word}': {error}"))?;
            continue;
        }
        let mode = match arguments.value(&["-m"]) {
            Some(mode) => u32::from_str_radix(mode, 8).ok(),
            None if name == "install" => Some(0o755),
            None => it.machine.files.node(&source).map(|node| node.mode).filter(|_| name == "cp"),
        };
        if let Some(mode) = mode {
            // Settings in /proc have no mode to set.
            let _virtual = it.machine.files.set_mode(&place, mode);
        }
    }
    Ok(status)
}

fn copy_tree(it: &mut Interp<'_, '_>, from: &str, to: &str, now: i64) -> Result<(), FsError> {
    let nodes: Vec<(String, Kind)> =
        it.machine.files.walk(from).into_iter().map(|(path, node)| (path.to_owned(), node.kind.clone())).collect();
    for (path, kind) in nodes {
        let place = format!("{to}{}", path.strip_prefix(from).unwrap_or_default());
        match kind {
            Kind::Directory => it.machine.files.make_directories(&place, now)?,
            Kind::File(text) => it.machine.files.write(&place, &text, now)?,
            Kind::Link(target) => it.machine.files.make_link(&place, &target, now)?,
        }
    }
    Ok(())
}

fn ls(it: &mut Interp<'_, '_>, arguments: &Arguments) -> Run {
    let names = if arguments.rest.is_empty() { vec![".".to_owned()] } else { arguments.rest.clone() };
    let mut status = 0;
    let several = names.len() > 1;
    for name in names {
        let path = it.path(&name);
        if !it.machine.path_exists(&path) {
            status = it.fail(2, format!("ls: cannot access '{name}': No such file or directory"))?;
            continue;
        }
        let directory = it.machine.is_directory(&path) && !arguments.has(&["-d"]);
        let entries: Vec<String> = if directory {
            it.machine
                .list_directory(&path)
                .unwrap_or_default()
                .into_iter()
                .filter(|name| arguments.has(&["-a", "-A"]) || !name.starts_with('.'))
                .collect()
        } else {
            vec![name.clone()]
        };
        if several && directory {
            it.out(&format!("{name}:\n"))?;
        }
        for entry in entries {
            it.step()?;
            let full = if directory { format!("{path}/{entry}") } else { path.clone() };
            if !arguments.has(&["-l"]) {
                it.out(&format!("{entry}\n"))?;
                continue;
            }
            let mode = it.machine.files.link(&full).map_or(0o644, |node| node.mode);
            let kind = if it.machine.is_directory(&full) { 'd' } else { '-' };
            let size = it.machine.read_file(&full).map_or(0, |text| text.len());
            let bits: String =
                (0..9)
                    .map(|at| {
                        if mode >> (8 - at) & 1 == 1 {
                            ["r", "w", "x"].get(at % 3).copied().unwrap_or("-")
                        } else {
                            "-"
                        }
                    })
                    .collect();
            let modified = it.machine.files.node(&full).map_or(0, |node| node.modified);
            let time = jiff::Timestamp::from_second(modified).unwrap_or_default();
            let time = super::format_time(time, "%b %e %H:%M");
            it.out(&format!("{kind}{bits}. 1 root root {size:>6} {time} {entry}\n"))?;
        }
    }
    Ok(status)
}

fn find(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let tops: Vec<String> = words.iter().skip(1).take_while(|word| !word.starts_with('-')).cloned().collect();
    let tops = if tops.is_empty() { vec![".".to_owned()] } else { tops };
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1)).cloned();
    let (pattern, kind) = (after("-name"), after("-type"));
    if let Some(other) = words
        .iter()
        .skip(1)
        .find(|word| word.starts_with('-') && !matches!(word.as_str(), "-name" | "-type" | "-print" | "-maxdepth"))
    {
        return it.fail(1, format!("find: {other}: not supported by the simulated host"));
    }
    let depth: usize = after("-maxdepth").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut status = 0;
    for top in tops {
        let path = it.path(&top);
        if !it.machine.path_exists(&path) {
            status = it.fail(1, format!("find: ‘{top}’: No such file or directory"))?;
            continue;
        }
        let found: Vec<String> = it
            .machine
            .files
            .walk(&path)
            .into_iter()
            .filter(|(at, _)| at.get(path.len()..).unwrap_or_default().matches('/').count() <= depth)
            .filter(|(at, _)| pattern.as_deref().is_none_or(|pattern| glob_matches(pattern, vfs::name(at))))
            .filter(|(_, node)| match kind.as_deref() {
                Some("f") => matches!(node.kind, Kind::File(_)),
                Some("d") => matches!(node.kind, Kind::Directory),
                Some("l") => matches!(node.kind, Kind::Link(_)),
                _ => true,
            })
            .map(|(at, _)| format!("{top}{}\n", at.get(path.len()..).unwrap_or_default()))
            .collect();
        it.out(&found.concat())?;
    }
    Ok(status)
}
