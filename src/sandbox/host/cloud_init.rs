//! What cloud-init does at a boot, in its order: boothooks and `bootcmd`, `write_files`, packages, scripts. It runs on
//! the host's own shell and may pause there, see `boot`.

use serde_json::Value;

use super::Flavour;
use super::shell::{Flow, Interp, quote};
use super::user_data::{Part, decoded, parts};

/// Where cloud-init puts scripts from user data.
pub(super) const SCRIPTS: &str = "/var/lib/cloud/instance/scripts";
/// Scripts that the image or an administrator has put there for every boot.
const PER_BOOT: &str = "/var/lib/cloud/scripts/per-boot";

/// The script would sleep past the world's clock.
pub(super) struct Paused;

/// Whether there is anything to do at a boot that is not the first.
pub(super) fn runs_again(machine: &super::Machine) -> bool {
    let per_boot = !machine.files.list(PER_BOOT).unwrap_or_default().is_empty();
    let data = machine.launch.user_data.as_deref().unwrap_or_default();
    per_boot
        || parts(data).iter().any(|part| match part {
            Part::Boothook(_) => true,
            Part::CloudConfig(config) => config.get("bootcmd").is_some() || always_runs_scripts(config),
            Part::Script { .. } | Part::Unusable(_) => false,
        })
}

/// `cloud_final_modules: [[scripts-user, always]]`, the documented way to run user data at every boot.
fn always_runs_scripts(config: &Value) -> bool {
    let modules = config.get("cloud_final_modules").and_then(Value::as_array);
    modules.into_iter().flatten().any(|module| {
        matches!(module.as_array().map(Vec::as_slice), Some([name, often]) if name == "scripts-user" && often == "always")
    })
}

/// Runs a boot's modules. Gives what `cloud-init status --long` lists as errors.
pub(super) fn run(it: &mut Interp<'_, '_>, first_boot: bool) -> Result<Vec<String>, Paused> {
    let data = it.machine.launch.user_data.clone().unwrap_or_default();
    let mut parts = parts(&data);
    if data.is_empty() {
        parts.clear();
    }
    let mut errors = Vec::new();
    for part in &parts {
        if let Part::Unusable(reason) = part {
            warn(it, reason);
            if !reason.starts_with("Failed loading yaml") {
                errors.push(reason.clone());
            }
        }
    }
    for part in &parts {
        if let Part::Boothook(text) = part {
            let code = one(it, |it| it.script("/var/lib/cloud/instance/boothooks/part-001", text, &[], ""))?;
            if code != 0 {
                warn(it, "Boothooks script /var/lib/cloud/instance/boothooks/part-001 execution error");
            }
        }
    }
    let configs: Vec<&Value> = parts
        .iter()
        .filter_map(|part| if let Part::CloudConfig(config) = part { Some(config) } else { None })
        .collect();
    // Later parts win key by key, as cloud-init merges by default.
    let setting = |key: &str| configs.iter().rev().find_map(|config| config.get(key));
    if let Some(commands) = setting("bootcmd") {
        let script = shell_lines(commands);
        if one(it, |it| it.script("/var/tmp/cloud-init/bootcmd.sh", &script, &[], ""))? != 0 {
            module_failed(
                it,
                &mut errors,
                "bootcmd",
                "ProcessExecutionError('Unexpected error while running command.')",
            );
        }
    }
    let mut scripts_again = false;
    if first_boot {
        if let Some(name) = setting("fqdn").or_else(|| setting("hostname")).and_then(Value::as_str) {
            name.clone_into(&mut it.machine.hostname);
            put(it, "/etc/hostname", &format!("{name}\n"), 0o644, false);
        }
        write_files(it, setting("write_files"), &mut errors);
        if let Some(commands) = setting("runcmd") {
            let script = format!("#!/bin/sh\n{}", shell_lines(commands));
            put(it, &format!("{SCRIPTS}/runcmd"), &script, 0o700, false);
        }
        for part in &parts {
            if let Part::Script { name, text } = part {
                put(it, &format!("{SCRIPTS}/{name}"), text, 0o700, false);
            }
        }
        install(it, &setting, &mut errors)?;
        scripts_again = true;
    }
    scripts_again |= configs.iter().any(|config| always_runs_scripts(config));
    run_directory(it, PER_BOOT, "scripts-per-boot", &mut errors)?;
    if scripts_again {
        run_directory(it, SCRIPTS, "scripts-user", &mut errors)?;
    }
    Ok(errors)
}

/// Runs something to its end; what ends it early is its status.
fn one(it: &mut Interp<'_, '_>, body: impl FnOnce(&mut Interp<'_, '_>) -> super::shell::Run) -> Result<i32, Paused> {
    match body(it) {
        Ok(code) | Err(Flow::Exit(code) | Flow::Return(code)) => Ok(code),
        Err(Flow::Paused) => Err(Paused),
        Err(Flow::Killed(reason)) => Ok(it.killed(reason)),
        Err(Flow::Break(_) | Flow::Continue(_) | Flow::TimedOut | Flow::Interrupted) => Ok(1),
    }
}

/// `runcmd` and `bootcmd`: a text is a line of the shell, a list is words that mean themselves.
fn shell_lines(commands: &Value) -> String {
    let mut script = String::new();
    for command in commands.as_array().into_iter().flatten() {
        match command {
            Value::Array(words) => {
                let words: Vec<String> = words.iter().map(|word| quote(&plain(word))).collect();
                script.push_str(&words.join(" "));
            }
            Value::Null => continue,
            other => script.push_str(&plain(other)),
        }
        script.push('\n');
    }
    script
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// YAML 1.1's ways to say yes.
fn is_yes(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "y" | "1"),
        _ => false,
    }
}

fn write_files(it: &mut Interp<'_, '_>, files: Option<&Value>, errors: &mut Vec<String>) {
    for file in files.and_then(Value::as_array).into_iter().flatten() {
        let Some(path) = file.get("path").and_then(Value::as_str) else {
            warn(it, "No path provided to write for entry 1 in module write-files");
            continue;
        };
        let content = file.get("content").map(plain).unwrap_or_default();
        let encoding = file.get("encoding").and_then(Value::as_str).unwrap_or_default();
        let Some(bytes) = decoded(&content, encoding) else {
            module_failed(it, errors, "write-files", &format!("ValueError('cannot decode {path} ({encoding})')"));
            continue;
        };
        // `0755`, quoted or not, is octal.
        let mode = file.get("permissions").map(plain).and_then(|text| {
            let digits = text.trim_start_matches("0o").trim_start_matches('0');
            u32::from_str_radix(if digits.is_empty() { "0" } else { digits }, 8).ok()
        });
        let text = String::from_utf8_lossy(&bytes).into_owned();
        put(it, path, &text, mode.unwrap_or(0o644) & 0o7777, is_yes(file.get("append")));
        let owner = file.get("owner").and_then(Value::as_str).and_then(|owner| owner.split(':').next());
        if let Some(uid) = owner.and_then(super::session::user_id) {
            // It was just written.
            let _given = it.machine.files.set_owner(path, uid);
        }
    }
}

/// Writes a file with its directories. A full disk loses it, as cloud-init's own files would be.
fn put(it: &mut Interp<'_, '_>, path: &str, text: &str, mode: u32, append: bool) {
    let now = it.seconds();
    let made = it.machine.files.make_directories(super::vfs::parent(path), now);
    let written = made.and_then(|()| {
        if append { it.machine.append_file(path, text, now) } else { it.machine.write_file(path, text, now) }
    });
    let written = written.and_then(|()| it.machine.files.set_mode(path, mode));
    if let Err(error) = written {
        warn(it, &format!("{path}: {error}"));
    }
}

fn install<'c>(
    it: &mut Interp<'_, '_>,
    setting: &impl Fn(&str) -> Option<&'c Value>,
    errors: &mut Vec<String>,
) -> Result<(), Paused> {
    let tool = if it.machine.launch.flavour == Flavour::AmazonLinux2023 { "dnf" } else { "yum" };
    let mut commands: Vec<Vec<String>> = Vec::new();
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    if is_yes(setting("package_update")) || is_yes(setting("apt_update")) {
        commands.push(command(&[tool, "-y", "makecache"]));
    }
    if is_yes(setting("package_upgrade")) || is_yes(setting("repo_upgrade")) {
        commands.push(command(&[tool, "-y", "upgrade"]));
    }
    let packages: Vec<String> = setting("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|package| match package {
            // `[name, version]`.
            Value::Array(pair) => pair.first().map(plain),
            other => Some(plain(other)),
        })
        .collect();
    if !packages.is_empty() {
        commands.push(command(&[tool, "-y", "install"]).into_iter().chain(packages).collect());
    }
    for words in commands {
        if one(it, |it| it.subshell(|it| it.run_program_named(&words)))? != 0 {
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            warn(it, &format!("Failed to install packages: [{}]", quoted.join(", ")));
            module_failed(
                it,
                errors,
                "package-update-upgrade-install",
                "ProcessExecutionError('Unexpected error while running command.')",
            );
        }
    }
    Ok(())
}

/// Runs what is executable in a directory, by name, as `run-parts` does.
fn run_directory(
    it: &mut Interp<'_, '_>,
    directory: &str,
    module: &str,
    errors: &mut Vec<String>,
) -> Result<(), Paused> {
    let (mut failed, mut ran) = (Vec::new(), 0);
    for name in it.machine.files.list(directory).unwrap_or_default() {
        let path = format!("{directory}/{name}");
        let Ok(text) = it.machine.files.read(&path).map(str::to_owned) else { continue };
        if !it.machine.is_executable(&path) {
            continue;
        }
        ran += 1;
        if one(it, |it| it.run_file(&path, &text, &[]))? != 0 {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        warn(it, &format!("Failed to run module {module} (scripts in {directory})"));
        let text = format!(
            "RuntimeError('Runparts: {} failures ({}) in {ran} attempted commands')",
            failed.len(),
            failed.join(", ")
        );
        module_failed(it, errors, module, &text);
    }
    Ok(())
}

fn module_failed(it: &mut Interp<'_, '_>, errors: &mut Vec<String>, module: &str, error: &str) {
    let python = module.replace('-', "_");
    warn(
        it,
        &format!(
            "Running module {module} (<module 'cloudinit.config.cc_{python}' from \
             '/usr/lib/python3.9/site-packages/cloudinit/config/cc_{python}.py'>) failed"
        ),
    );
    errors.push(format!("('{module}', {error})"));
}

fn warn(it: &mut Interp<'_, '_>, text: &str) {
    let stamp = super::commands::format_time(it.now(), "%Y-%m-%d %H:%M:%S,%3N");
    let line = format!("{stamp} - util.py[WARNING]: {text}\n");
    // Standard error is the log here; a full disk loses it.
    let _lost = it.err(&line);
}
