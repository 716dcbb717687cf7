//! `sysctl`.

use super::super::shell::{Interp, Run};
use super::super::sysctl::{Refused, assignments, dotted};
use super::Arguments;

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-r", "--pattern"]);
    let quiet = arguments.has(&["-q", "--quiet"]);
    let only_values = arguments.has(&["-n", "--values"]);
    let ignore = arguments.has(&["-e", "--ignore"]);
    if arguments.has(&["--system"]) {
        for path in it.machine.sysctl_files() {
            if !quiet {
                it.out(&format!("* Applying {path} ...\n"))?;
            }
            load(it, &path, quiet)?;
        }
        return Ok(0);
    }
    if arguments.has(&["-p", "--load"]) {
        let files =
            if arguments.rest.is_empty() { vec!["/etc/sysctl.conf".to_owned()] } else { arguments.rest.clone() };
        let mut status = 0;
        for file in files {
            let path = it.path(&file);
            if it.machine.read_file(&path).is_err() {
                status = it.fail(255, format!("sysctl: cannot open \"{file}\": No such file or directory"))?;
                continue;
            }
            status = status.max(load(it, &path, quiet)?);
        }
        return Ok(status);
    }
    if arguments.has(&["-a", "--all", "-A"]) {
        let pattern = arguments.value(&["-r", "--pattern"]).and_then(|pattern| super::regex_of(pattern, false));
        for name in it.machine.sysctl_names() {
            if pattern.as_ref().is_none_or(|pattern| pattern.is_match(&name)) {
                let value = it.machine.sysctl(&name).unwrap_or_default();
                it.out(&format!("{name} = {value}\n"))?;
            }
        }
        return Ok(0);
    }
    if arguments.rest.is_empty() {
        return it.fail(1, "\nUsage:\n sysctl [options] [variable[=value] ...]");
    }
    let mut status = 0;
    for word in &arguments.rest {
        if let Some((name, value)) = word.split_once('=') {
            let set = set(it, &dotted(name.trim()), value.trim(), quiet, ignore)?;
            status = status.max(set);
            continue;
        }
        if arguments.has(&["-w", "--write"]) {
            status = it.fail(1, format!("sysctl: \"{word}\" must be of the form name=value"))?;
            continue;
        }
        let name = dotted(word);
        match it.machine.sysctl(&name) {
            Some(value) if only_values => it.out(&format!("{value}\n"))?,
            Some(value) => it.out(&format!("{name} = {value}\n"))?,
            None if ignore => {}
            None => status = unknown(it, &name)?,
        }
    }
    Ok(status)
}

fn unknown(it: &mut Interp<'_, '_>, name: &str) -> Run {
    it.fail(255, format!("sysctl: cannot stat /proc/sys/{}: No such file or directory", name.replace('.', "/")))
}

fn load(it: &mut Interp<'_, '_>, path: &str, quiet: bool) -> Run {
    let text = it.machine.read_file(path).unwrap_or_default();
    let mut status = 0;
    for (name, value) in assignments(&text) {
        for name in it.machine.sysctl_matching(&name) {
            status = status.max(set(it, &name, &value, quiet, false)?);
        }
    }
    Ok(status)
}

fn set(it: &mut Interp<'_, '_>, name: &str, value: &str, quiet: bool, ignore: bool) -> Run {
    it.step()?;
    match it.machine.set_sysctl(name, value) {
        Ok(()) => {
            if !quiet {
                it.out(&format!("{name} = {value}\n"))?;
            }
            Ok(0)
        }
        Err(Refused::Unknown) if ignore => Ok(0),
        Err(Refused::Unknown) => unknown(it, name),
        Err(Refused::ReadOnly) => it.fail(255, format!("sysctl: permission denied on key '{name}'")),
        Err(Refused::Invalid) => it.fail(255, format!("sysctl: setting key \"{name}\": Invalid argument")),
    }
}
