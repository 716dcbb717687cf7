//! systemd units: read from the virtual disk, run by the host's own shell.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use super::outside::Line;
use super::shell::Limits;

/// What systemd remembers of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) enabled: bool,
    pub(super) state: State,
    /// Exit code of the process that failed.
    pub(super) code: i32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[default]
    Inactive,
    Active,
    /// A service with `RemainAfterExit` whose process has ended.
    Exited,
    Failed,
}

impl Unit {
    pub(super) fn stop(&mut self) {
        self.state = State::Inactive;
    }
}

/// The parts of a unit file that are used.
#[derive(Debug, Clone, Default)]
pub(super) struct UnitFile {
    pub(super) path: String,
    pub(super) description: String,
    pub(super) start: Vec<String>,
    pub(super) stop: Vec<String>,
    oneshot: bool,
    remain: bool,
    environment: Vec<String>,
    pub(super) installable: bool,
}

/// `nat` is `nat.service`.
pub(super) fn full_name(name: &str) -> String {
    let known = [".service", ".socket", ".target", ".timer", ".path", ".mount"];
    if known.iter().any(|suffix| name.ends_with(suffix)) { name.to_owned() } else { format!("{name}.service") }
}

impl Machine {
    /// The unit's file. `None`: there is no such unit.
    pub(super) fn unit_file(&self, name: &str) -> Option<UnitFile> {
        let name = full_name(name);
        let places = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
        let path = places.iter().map(|place| format!("{place}/{name}")).find(|path| self.files.read(path).is_ok())?;
        let text = self.files.read(&path).ok()?.replace("\\\n", " ");
        let mut unit = UnitFile { path, ..UnitFile::default() };
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match key.trim() {
                "Description" => value.clone_into(&mut unit.description),
                "Type" => unit.oneshot = value == "oneshot",
                "RemainAfterExit" => unit.remain = matches!(value, "yes" | "true" | "1" | "on"),
                "ExecStartPre" | "ExecStart" | "ExecStartPost" => unit.start.push(value.to_owned()),
                "ExecStop" => unit.stop.push(value.to_owned()),
                "Environment" => unit.environment.push(value.trim_matches('"').to_owned()),
                "WantedBy" | "RequiredBy" | "Alias" => unit.installable = true,
                _ => {}
            }
        }
        Some(unit)
    }

    pub(super) fn unit(&self, name: &str) -> Unit {
        self.units.get(&full_name(name)).cloned().unwrap_or_default()
    }

    pub(super) fn unit_is_active(&self, name: &str) -> bool {
        matches!(self.unit(name).state, State::Active | State::Exited)
    }

    pub(super) fn enable_unit(&mut self, name: &str, enabled: bool) {
        self.units.entry(full_name(name)).or_default().enabled = enabled;
    }

    /// Starts a unit. `Err`: the exit code of the process that failed.
    pub(super) fn start_unit(&mut self, name: &str, line: &mut Line<'_>, uptime: Duration) -> Result<Duration, i32> {
        let name = full_name(name);
        let Some(file) = self.unit_file(&name) else { return Err(5) };
        let (mut code, mut took) = (0, Duration::ZERO);
        for command in &file.start {
            let (ended, time) = self.run_unit_command(command, &file, line, uptime + took);
            took += time;
            code = ended;
            if code != 0 {
                break;
            }
        }
        let unit = self.units.entry(name).or_default();
        unit.code = code;
        unit.state = match (code, file.oneshot, file.remain) {
            (0, _, true) => State::Exited,
            (0, true, false) => State::Inactive,
            // A long-running service keeps running; its command was run once.
            (0, false, false) => State::Active,
            _ => State::Failed,
        };
        if code == 0 { Ok(took) } else { Err(code) }
    }

    pub(super) fn stop_unit(&mut self, name: &str, line: &mut Line<'_>, uptime: Duration) {
        let name = full_name(name);
        let Some(file) = self.unit_file(&name) else { return };
        if self.unit_is_active(&name) {
            for command in &file.stop {
                self.run_unit_command(command, &file, line, uptime);
            }
        }
        self.units.entry(name).or_default().stop();
    }

    fn run_unit_command(
        &mut self,
        command: &str,
        file: &UnitFile,
        line: &mut Line<'_>,
        uptime: Duration,
    ) -> (i32, Duration) {
        let tolerant = command.starts_with('-');
        let command = command.trim_start_matches(['-', '@', '+', '!', ':']);
        // systemd splits words like a shell but runs none: operators are plain arguments.
        let mut script = String::new();
        for pair in &file.environment {
            script.push_str(&format!("export {}\n", shell_word_of_assignment(pair)));
        }
        script.push_str(&escape_operators(command));
        let limits = Limits { steps: 100_000, time: Duration::from_secs(90), ..Limits::default() };
        let output = self.execute(&script, "systemd", line, uptime, &limits);
        if !output.stderr.is_empty() || !output.stdout.is_empty() {
            let text: String = [&output.stdout, &output.stderr]
                .iter()
                .flat_map(|text| text.lines())
                .map(|line| format!("{}: {line}\n", super::vfs::name(&file.path)))
                .collect();
            // The journal of a full disk is lost.
            let _lost = self.files.append("/var/log/messages", &text, 0);
        }
        (if tolerant { 0 } else { output.exit_code }, output.elapsed)
    }

    /// What systemd starts at boot.
    pub(super) fn start_enabled_units(&mut self, line: &mut Line<'_>) {
        let names: Vec<String> =
            self.units.iter().filter(|(_, unit)| unit.enabled).map(|(name, _)| name.clone()).collect();
        for name in names {
            // A unit that fails stays failed; the boot goes on.
            let _failed = self.start_unit(&name, line, Duration::ZERO);
        }
    }
}

fn shell_word_of_assignment(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) => format!("{name}='{}'", value.replace('\'', "'\\''")),
        None => pair.to_owned(),
    }
}

fn escape_operators(command: &str) -> String {
    let mut result = String::with_capacity(command.len());
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?') => result.push('\\'),
            _ => {}
        }
        result.push(c);
    }
    result
}
