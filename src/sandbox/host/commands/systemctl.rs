//! `systemctl`, `service`, `cloud-init`, `journalctl`.

use super::super::boot::CloudInit;
use super::super::services::{State, full_name};
use super::super::shell::{Interp, Run};
use super::Arguments;

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-n", "-p", "--property", "-t", "--type"]);
    let quiet = arguments.has(&["-q", "--quiet"]);
    let is_service = words.first().is_some_and(|word| super::super::vfs::name(word) == "service");
    let mut rest = arguments.rest.clone();
    if is_service {
        let [name, action, ..] = rest.as_slice() else { return it.fail(1, "Usage: service < option > | --status-all") };
        let (name, action) = (name.clone(), action.clone());
        if action == "save" && (name == "iptables" || name == "ip6tables") {
            return save_rules(it, &name);
        }
        it.err(&format!("Redirecting to /bin/systemctl {action} {name}.service\n"))?;
        rest = vec![action, name];
    }
    let Some((command, names)) = rest.split_first() else { return Ok(0) };
    if matches!(command.as_str(), "daemon-reload" | "reset-failed" | "list-units" | "daemon-reexec" | "list-unit-files")
    {
        return Ok(0);
    }
    if command == "is-system-running" {
        let failed = it.machine.units.values().any(|unit| unit.state == State::Failed);
        it.out(if failed { "degraded\n" } else { "running\n" })?;
        return Ok(i32::from(failed));
    }
    let mut status = 0;
    for name in names {
        it.step()?;
        let name = full_name(name);
        status = one(it, command, &name, quiet, arguments.has(&["--now"]))?.max(status);
    }
    Ok(status)
}

fn one(it: &mut Interp<'_, '_>, command: &str, name: &str, quiet: bool, now: bool) -> Run {
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
        "start" if it.machine.unit_is_active(name) => Ok(0),
        "start" => start(it, name),
        "restart" | "try-restart" | "reload" | "reload-or-restart" | "force-reload" => {
            let at = it.clock();
            it.machine.stop_unit(name, it.line, at);
            start(it, name)
        }
        "stop" => {
            let at = it.clock();
            it.machine.stop_unit(name, it.line, at);
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
                let at = it.clock();
                it.machine.stop_unit(name, it.line, at);
            }
            Ok(0)
        }
        "mask" | "unmask" => {
            it.machine.enable_unit(name, false);
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
                it.out(if unit.enabled { "enabled\n" } else { "disabled\n" })?;
            }
            Ok(i32::from(!unit.enabled))
        }
        "cat" => {
            let text = it.machine.read_file(&file.path).unwrap_or_default();
            it.out(&format!("# {}\n{text}", file.path))?;
            Ok(0)
        }
        "show" => {
            let active = if it.machine.unit_is_active(name) { "active" } else { "inactive" };
            it.out(&format!("Id={name}\nActiveState={active}\nExecMainStatus={}\n", unit.code))?;
            Ok(0)
        }
        "status" => {
            let (dot, active, code) = match unit.state {
                State::Active => ("●", "active (running)".to_owned(), 0),
                State::Exited => ("●", "active (exited)".to_owned(), 0),
                State::Failed => ("×", format!("failed (Result: exit-code, status={})", unit.code), 3),
                State::Inactive => ("○", "inactive (dead)".to_owned(), 3),
            };
            let enabled = if unit.enabled { "enabled" } else { "disabled" };
            it.out(&format!(
                "{dot} {name} - {}\n     Loaded: loaded ({}; {enabled}; preset: disabled)\n     Active: {active}\n",
                file.description, file.path
            ))?;
            Ok(code)
        }
        other => it.fail(1, format!("Unknown command verb {other}.")),
    }
}

fn start(it: &mut Interp<'_, '_>, name: &str) -> Run {
    let at = it.clock();
    match it.nested(|it| Ok(it.machine.start_unit(name, it.line, at)))? {
        Ok(took) => {
            it.pass(took)?;
            Ok(0)
        }
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
    it.out(&format!("status: {status}\n"))?;
    if arguments.has(&["-l", "--long"]) {
        let time = super::format_time(it.machine.booted_at, "%a, %d %b %Y %H:%M:%S +0000");
        it.out(&format!("boot_status_code: enabled-by-generator\nlast_update: {time}\ndetail:\n"))?;
        if errors.is_empty() {
            it.out("DataSourceEc2Local\n")?;
        }
        for error in &errors {
            it.out(&format!("{error}\n"))?;
        }
    }
    Ok(i32::from(status == "error"))
}

pub(super) fn journal(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-u", "--unit", "-n", "--lines", "-p", "--since", "-o", "-t", "--grep"]);
    let unit = arguments.value(&["-u", "--unit"]).map(full_name);
    let text = it.machine.read_file("/var/log/messages").unwrap_or_default();
    let lines: Vec<&str> =
        text.lines().filter(|line| unit.as_deref().is_none_or(|unit| line.starts_with(unit))).collect();
    if lines.is_empty() {
        it.out("-- No entries --\n")?;
        return Ok(0);
    }
    let most = arguments.value(&["-n", "--lines"]).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let from = lines.len().saturating_sub(most);
    it.out(&format!("{}\n", lines.get(from..).unwrap_or_default().join("\n")))?;
    Ok(0)
}
