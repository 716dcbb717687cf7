//! `systemctl`, `service`, `cloud-init`, `journalctl`.

use super::super::boot::CloudInit;
use super::super::services::{self, JournalLine, State, Unit, UnitFile, full_name};
use super::super::shell::{Interp, Run};
use super::Arguments;

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-n", "-p", "--property", "-t", "--type", "-P", "--state", "-o"]);
    let quiet = arguments.has(&["-q", "--quiet"]);
    let is_service = words.first().is_some_and(|word| super::super::vfs::name(word) == "service");
    let mut rest = arguments.rest.clone();
    if is_service {
        let [name, action, ..] = rest.as_slice() else {
            return it
                .fail(1, "Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]");
        };
        let (name, action) = (name.clone(), action.clone());
        if action == "save" && (name == "iptables" || name == "ip6tables") {
            return save_rules(it, &name);
        }
        it.err(&format!("Redirecting to /bin/systemctl {action} {name}.service\n"))?;
        rest = vec![action, name];
    }
    let Some((command, names)) = rest.split_first() else { return list_units(it, &arguments) };
    match command.as_str() {
        "daemon-reload" | "reset-failed" | "daemon-reexec" | "set-default" | "preset" => return Ok(0),
        "list-units" => return list_units(it, &arguments),
        "list-unit-files" => return list_unit_files(it),
        "is-system-running" => {
            let failed = it.machine.units.values().any(|unit| unit.state == State::Failed);
            let text = match () {
                () if it.machine.is_busy() => "starting\n",
                () if failed => "degraded\n",
                () => "running\n",
            };
            it.out(text)?;
            return Ok(i32::from(text != "running\n"));
        }
        "poweroff" | "reboot" | "halt" => {
            return it.fail(1, format!("{command}: the sandbox stops and starts instances through the EC2 API only"));
        }
        _ => {}
    }
    if names.is_empty() {
        return it.fail(1, "Too few arguments.");
    }
    let mut status = 0;
    for name in names {
        it.step()?;
        let name = full_name(name);
        let property = arguments.value(&["-p", "--property", "-P"]).map(str::to_owned);
        let flags = Flags { quiet, now: arguments.has(&["--now"]), value: arguments.has(&["--value", "-P"]), property };
        status = one(it, command, &name, &flags)?.max(status);
    }
    Ok(status)
}

/// Options of a verb.
struct Flags {
    quiet: bool,
    now: bool,
    value: bool,
    property: Option<String>,
}

fn list_units(it: &mut Interp<'_, '_>, arguments: &Arguments) -> Run {
    let only_failed = arguments.has(&["--failed"]) || arguments.value(&["--state"]) == Some("failed");
    let all = arguments.has(&["-a", "--all"]);
    let mut shown = Vec::new();
    for (name, unit) in &it.machine.units {
        let (active, sub) = match unit.state {
            State::Active => ("active", "running"),
            State::Exited => ("active", "exited"),
            State::Failed => ("failed", "failed"),
            State::Inactive => ("inactive", "dead"),
        };
        if only_failed && unit.state != State::Failed || unit.state == State::Inactive && !all {
            continue;
        }
        let description = it.machine.unit_file(name).map(|file| file.description).unwrap_or_default();
        let dot = if unit.state == State::Failed { "●" } else { " " };
        shown.push(format!("{dot} {name:<32} loaded {active:<8} {sub:<8} {description}\n"));
    }
    let count = shown.len();
    let text = format!(
        "  {:<32} LOAD   ACTIVE   SUB      DESCRIPTION\n{}\nLOAD   = Reflects whether the unit definition was properly loaded.\nACTIVE = The high-level unit activation state, i.e. generalization of SUB.\nSUB    = The low-level unit activation state, values depend on unit type.\n{count} loaded units listed.\n",
        "UNIT",
        shown.concat()
    );
    it.out(&text).map(|()| 0)
}

fn list_unit_files(it: &mut Interp<'_, '_>) -> Run {
    let mut text = format!("{:<40} STATE    PRESET\n", "UNIT FILE");
    let units: Vec<(String, bool)> = it.machine.units.iter().map(|(name, unit)| (name.clone(), unit.enabled)).collect();
    for (name, enabled) in &units {
        text.push_str(&format!("{name:<40} {:<8} disabled\n", if *enabled { "enabled" } else { "disabled" }));
    }
    text.push_str(&format!("\n{} unit files listed.\n", units.len()));
    it.out(&text).map(|()| 0)
}

fn one(it: &mut Interp<'_, '_>, command: &str, name: &str, flags: &Flags) -> Run {
    let (quiet, now) = (flags.quiet, flags.now);
    let Some(file) = it.machine.unit_file(name) else {
        let what = match command {
            "is-active" => {
                if !quiet {
                    it.out("inactive\n")?;
                }
                return Ok(3);
            }
            "is-enabled" => format!("Failed to get unit file state for {name}: No such file or directory"),
            "is-failed" => return it.out("inactive\n").map(|()| 1),
            "status" => format!("Unit {name} could not be found."),
            "enable" | "disable" => format!("Failed to {command} unit: Unit file {name} does not exist."),
            "start" | "restart" | "reload" | "try-restart" => {
                format!("Failed to {command} {name}: Unit {name} not found.")
            }
            _ => format!("Failed to {command} {name}: Unit {name} not loaded."),
        };
        let code = match command {
            "is-enabled" | "enable" | "disable" => 1,
            "status" => 4,
            _ => 5,
        };
        return it.fail(code, what);
    };
    let unit = it.machine.unit(name);
    let link = format!("/etc/systemd/system/multi-user.target.wants/{name}");
    match command {
        "start" | "restart" | "try-restart" | "reload-or-restart" if unit.masked => {
            it.fail(1, format!("Failed to {command} {name}: Unit {name} is masked."))
        }
        "start" if it.machine.unit_is_active(name) => Ok(0),
        "start" => start(it, name),
        "restart" | "try-restart" | "reload" | "reload-or-restart" | "force-reload" => {
            services::stop(it, name)?;
            start(it, name)
        }
        "stop" => {
            services::stop(it, name)?;
            Ok(0)
        }
        "enable" | "reenable" => {
            if file.installable && !unit.enabled {
                let at = it.seconds();
                // The link is only for show; what counts is systemd's own state.
                let _shown = it.machine.files.make_link(&link, &file.path, at);
                it.err(&format!("Created symlink {link} → {}.\n", file.path))?;
            }
            it.machine.enable_unit(name, true);
            if now { start(it, name) } else { Ok(0) }
        }
        "disable" => {
            if it.machine.files.remove(&link, false).is_ok() {
                it.err(&format!("Removed \"{link}\".\n"))?;
            }
            it.machine.enable_unit(name, false);
            if now {
                services::stop(it, name)?;
            }
            Ok(0)
        }
        "mask" | "unmask" => {
            let masked = command == "mask";
            let unit = it.machine.units.entry(name.to_owned()).or_default();
            if masked != unit.masked {
                unit.masked = masked;
                let link = format!("/etc/systemd/system/{name}");
                let text = if masked {
                    format!("Created symlink {link} → /dev/null.\n")
                } else {
                    format!("Removed \"{link}\".\n")
                };
                it.err(&text)?;
            }
            Ok(0)
        }
        "is-active" => {
            let (text, code) = match unit.state {
                State::Active | State::Exited => ("active\n", 0),
                State::Failed => ("failed\n", 3),
                State::Inactive => ("inactive\n", 3),
            };
            if !quiet {
                it.out(text)?;
            }
            Ok(code)
        }
        "is-failed" => {
            it.out(if unit.state == State::Failed { "failed\n" } else { "active\n" })?;
            Ok(i32::from(unit.state != State::Failed))
        }
        "is-enabled" => {
            if !quiet {
                it.out(match unit {
                    _ if unit.masked => "masked\n",
                    _ if unit.enabled => "enabled\n",
                    _ if !file.installable => "static\n",
                    _ => "disabled\n",
                })?;
            }
            Ok(i32::from(unit.masked || !unit.enabled && file.installable))
        }
        "cat" => {
            let text = it.machine.read_file(&file.path).unwrap_or_default();
            it.out(&format!("# {}\n{text}", file.path))?;
            Ok(0)
        }
        "show" => {
            let (active, sub) = match unit.state {
                State::Active => ("active", "running"),
                State::Exited => ("active", "exited"),
                State::Failed => ("failed", "failed"),
                State::Inactive => ("inactive", "dead"),
            };
            let enabled = if unit.enabled { "enabled" } else { "disabled" };
            let code = unit.code.to_string();
            let result = if unit.state == State::Failed { "exit-code" } else { "success" };
            let known = [
                ("Id", name),
                ("Description", &file.description),
                ("LoadState", "loaded"),
                ("ActiveState", active),
                ("SubState", sub),
                ("UnitFileState", enabled),
                ("FragmentPath", &file.path),
                ("Result", result),
                ("ExecMainStatus", &code),
            ];
            let wanted: Option<Vec<&str>> = flags.property.as_deref().map(|list| list.split(',').collect());
            let mut text = String::new();
            for (key, value) in known {
                if wanted.as_ref().is_none_or(|wanted| wanted.contains(&key)) {
                    text.push_str(&if flags.value { format!("{value}\n") } else { format!("{key}={value}\n") });
                }
            }
            it.out(&text).map(|()| 0)
        }
        "status" => status(it, name, &file, &unit),
        other => it.fail(1, format!("Unknown command verb {other}.")),
    }
}

fn status(it: &mut Interp<'_, '_>, name: &str, file: &UnitFile, unit: &Unit) -> Run {
    let since = unit.since.unwrap_or(it.machine.booted_at);
    let ago = ago(it.now().duration_since(since).as_secs());
    let when = format!("since {}; {ago} ago", super::format_time(since, "%a %Y-%m-%d %H:%M:%S UTC"));
    let (dot, active, code) = match unit.state {
        State::Active => ("●", format!("active (running) {when}"), 0),
        State::Exited => ("●", format!("active (exited) {when}"), 0),
        State::Failed => ("×", format!("failed (Result: exit-code) {when}"), 3),
        State::Inactive => ("○", "inactive (dead)".to_owned(), 3),
    };
    let enabled = if unit.enabled { "enabled" } else { "disabled" };
    let preset = if file.path.starts_with("/usr/lib/") && unit.enabled { "enabled" } else { "disabled" };
    let mut text = format!(
        "{dot} {name} - {}\n     Loaded: loaded ({}; {enabled}; preset: {preset})\n     Active: {active}\n",
        file.description, file.path
    );
    let program = file.start.last().map(|command| command.trim_start_matches(['-', '@', '+', '!'])).unwrap_or_default();
    let short = super::super::vfs::name(program.split_whitespace().next().unwrap_or_default()).to_owned();
    // A number that stays the same for as long as the unit runs.
    let pid = 1500 + name.bytes().fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 900);
    match unit.state {
        State::Active => text.push_str(&format!("   Main PID: {pid} ({short})\n      Tasks: 1 (limit: 491)\n")),
        State::Exited | State::Failed => {
            let outcome = if unit.code == 0 { "SUCCESS" } else { "FAILURE" };
            text.push_str(&format!(
                "    Process: {pid} ExecStart={program} (code=exited, status={}/{outcome})\n   Main PID: {pid} (code=exited, status={}/{outcome})\n",
                unit.code, unit.code
            ));
        }
        State::Inactive => {}
    }
    let host = it.machine.hostname.clone();
    let lines: Vec<String> =
        it.machine.journal.iter().filter(|line| line.unit == name).map(|line| journal_line(line, &host)).collect();
    if !lines.is_empty() && it.shell.uid == 0 {
        let from = lines.len().saturating_sub(10);
        text.push_str(&format!("\n{}", lines.get(from..).unwrap_or_default().concat()));
    }
    it.out(&text).map(|()| code)
}

/// `3min 4s`, as systemctl tells ages.
fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}min {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn journal_line(line: &JournalLine, host: &str) -> String {
    let at = super::format_time(line.at, "%b %d %H:%M:%S");
    format!("{at} {host} {}: {}\n", line.identifier, line.text)
}

fn start(it: &mut Interp<'_, '_>, name: &str) -> Run {
    match it.nested(|it| services::start(it, name))? {
        Ok(()) => Ok(0),
        Err(_) => it.fail(
            1,
            format!(
                "Job for {name} failed because the control process exited with error code.\nSee \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details."
            ),
        ),
    }
}

fn save_rules(it: &mut Interp<'_, '_>, name: &str) -> Run {
    if it.machine.unit_file(name).is_none() {
        return it.fail(2, "The service command supports only basic LSB actions (start, stop, restart, try-restart, reload, force-reload, status). For other actions, please try to use systemctl.");
    }
    let file = format!("/etc/sysconfig/{name}");
    let code = super::super::netfilter::save(it, &[format!("{name}-save"), "-f".to_owned(), file.clone()])?;
    it.out(&format!("{name}: Saving firewall rules to {file}: [  OK  ]\n"))?;
    Ok(code)
}

pub(super) fn cloud_init(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["--format"]);
    if arguments.rest.first().map(String::as_str) != Some("status") {
        return it.fail(
            2,
            "usage: cloud-init [-h] {init,modules,single,query,features,analyze,devel,collect-logs,clean,status}",
        );
    }
    let state = it.machine.cloud_init.clone();
    let (status, errors) = match &state {
        CloudInit::NotRun => ("not run", Vec::new()),
        CloudInit::Running => ("running", Vec::new()),
        CloudInit::Done => ("done", Vec::new()),
        CloudInit::Failed { errors } => ("error", errors.clone()),
    };
    if arguments.value(&["--format"]) == Some("json") {
        let text =
            serde_json::json!({ "status": status, "errors": errors, "boot_status_code": "enabled-by-generator" });
        it.out(&format!("{text:#}\n"))?;
        return Ok(i32::from(status == "error"));
    }
    if arguments.has(&["-w", "--wait"]) && status == "running" && it.wait_for_user_data()? {
        return cloud_init(it, words);
    }
    it.out(&format!("status: {status}\n"))?;
    if arguments.has(&["-l", "--long"]) {
        let time = super::format_time(it.machine.booted_at, "%a, %d %b %Y %H:%M:%S +0000");
        let modern = super::is_modern(it.machine);
        it.out(&match modern {
            true => format!("boot_status_code: enabled-by-generator\nlast_update: {time}\ndetail:\n"),
            false => format!("time: {time}\ndetail:\n"),
        })?;
        match status {
            "running" => it.out("Running in stage: modules-final\n")?,
            _ if errors.is_empty() => it.out("DataSourceEc2Local\n")?,
            _ => {}
        }
        for error in &errors {
            it.out(&format!("{error}\n"))?;
        }
    }
    Ok(i32::from(status == "error"))
}

pub(super) fn journal(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(
        words,
        &[
            "-u", "--unit", "-n", "--lines", "-p", "--since", "--until", "-S", "-U", "-o", "--output", "-t", "-g",
            "--grep",
        ],
    );
    if it.shell.uid != 0 {
        it.err("Hint: You are currently not seeing messages from other users and the system.\n      Users in groups 'adm', 'systemd-journal', 'wheel' can see all messages.\n      Pass -q to turn off this notice.\n")?;
        return it.fail(1, "No journal files were opened due to insufficient permissions.");
    }
    let unit = arguments.value(&["-u", "--unit"]).map(full_name);
    let tag = arguments.value(&["-t"]).map(str::to_owned);
    let kernel = arguments.has(&["-k", "--dmesg"]);
    let pattern = arguments.value(&["-g", "--grep"]).and_then(|pattern| super::regex_of(pattern, true));
    let host = it.machine.hostname.clone();
    let bare = arguments.value(&["-o", "--output"]) == Some("cat");
    let lines: Vec<String> = it
        .machine
        .journal
        .iter()
        .filter(|line| unit.as_deref().is_none_or(|unit| line.unit == unit))
        .filter(|line| tag.as_deref().is_none_or(|tag| line.identifier.split('[').next() == Some(tag)))
        .filter(|line| !kernel || line.identifier == "kernel")
        .filter(|line| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&line.text)))
        .map(|line| if bare { format!("{}\n", line.text) } else { journal_line(line, &host) })
        .collect();
    it.work(lines.len() * 80)?;
    if lines.is_empty() {
        it.out("-- No entries --\n")?;
        return Ok(0);
    }
    let most = arguments.value(&["-n", "--lines"]).and_then(|n| n.parse().ok());
    let most = most.unwrap_or(if arguments.has(&["-e", "--pager-end", "-f"]) { 1000 } else { usize::MAX });
    let from = lines.len().saturating_sub(most);
    let mut shown = lines.get(from..).unwrap_or_default().to_vec();
    if arguments.has(&["-r", "--reverse"]) {
        shown.reverse();
    }
    it.out(&shown.concat())?;
    Ok(0)
}
