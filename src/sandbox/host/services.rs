//! systemd units: read from the virtual disk, run by the host's own shell.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Machine;
use super::outside::Line;
use super::shell::{Flow, Interp, Limits, Run};

/// What systemd remembers of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unit {
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) masked: bool,
    pub(super) state: State,
    /// Exit code of the process that failed.
    pub(super) code: i32,
    /// When it came into its state.
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JournalLine {
    pub(super) at: Timestamp,
    /// `nat.service`. Empty: no unit's.
    pub(super) unit: String,
    /// `systemd[1]`, `snat.sh[2207]`.
    pub(super) identifier: String,
    pub(super) text: String,
}

/// The journal keeps so many lines.
const LONGEST_JOURNAL: usize = 2000;
/// How long `systemctl start` watches a process that is meant to stay. One that is there then runs.
const WATCHED: Duration = Duration::from_secs(60);
/// How often a unit with `Restart=` is tried (systemd's default is five times in ten seconds).
const STARTS: u32 = 5;

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
    environment_files: Vec<String>,
    directory: Option<String>,
    user: Option<String>,
    restart: bool,
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
                "EnvironmentFile" => unit.environment_files.push(value.to_owned()),
                "WorkingDirectory" => unit.directory = Some(value.trim_start_matches('-').to_owned()),
                "User" => unit.user = Some(value.to_owned()),
                "Restart" => unit.restart = matches!(value, "always" | "on-failure" | "on-abnormal"),
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

    /// Adds a line to the journal; the oldest go when it is full.
    pub(super) fn journal(&mut self, at: Timestamp, unit: &str, identifier: &str, text: &str) {
        let line = JournalLine { at, unit: unit.to_owned(), identifier: identifier.to_owned(), text: text.to_owned() };
        self.journal.push_back(line);
        while self.journal.len() > LONGEST_JOURNAL {
            self.journal.pop_front();
        }
    }

    /// What systemd starts at boot.
    pub(super) fn start_enabled_units(&mut self, line: &mut Line<'_>) {
        let names: Vec<String> =
            self.units.iter().filter(|(_, unit)| unit.enabled && !unit.masked).map(|(name, _)| name.clone()).collect();
        for name in names {
            let limits = Limits { steps: 100_000, ..Limits::default() };
            let mut interp = Interp::new(self, line, "systemd", Duration::ZERO, &limits);
            // A unit that fails stays failed; the boot goes on.
            let _failed = start(&mut interp, &name);
            interp.finish();
        }
    }
}

/// Starts a unit on the clock of whoever asks. The inner `Err`: the exit code of the process that failed.
pub(super) fn start(it: &mut Interp<'_, '_>, name: &str) -> Run<Result<(), i32>> {
    let name = full_name(name);
    let Some(file) = it.machine.unit_file(&name) else { return Ok(Err(5)) };
    let stock = file.path.starts_with("/usr/lib/") && file.start.iter().all(|command| command == "/bin/true");
    let title = format!("{name} - {}", file.description);
    say(it, &name, &format!("{} {title}...", if stock { "Started" } else { "Starting" }));
    let mut code = 0;
    let stays = !file.oneshot && !file.remain;
    for attempt in 1..=STARTS {
        code = 0;
        for command in &file.start {
            let ended = it.limited(stays.then_some(WATCHED), |it| run_command(it, &name, command, &file));
            code = match ended {
                // Still there when the watch was over: it runs.
                Ok(124) if stays => 0,
                other => other?,
            };
            if code != 0 {
                break;
            }
        }
        if code == 0 || !file.restart || attempt == STARTS {
            break;
        }
        say(it, &name, &format!("{name}: Scheduled restart job, restart counter is at {attempt}."));
        it.pass(Duration::from_millis(100))?;
    }
    let state = match (code, file.oneshot, file.remain) {
        (0, _, true) => State::Exited,
        (0, true, false) => State::Inactive,
        // A long-running service keeps running; its command was run once.
        (0, false, false) => State::Active,
        _ => State::Failed,
    };
    match code {
        0 if file.oneshot && !file.remain => say(it, &name, &format!("{name}: Deactivated successfully.")),
        0 => {}
        code => {
            let reason = if code == 203 { "exec" } else { "FAILURE" };
            say(it, &name, &format!("{name}: Main process exited, code=exited, status={code}/{reason}"));
            say(it, &name, &format!("{name}: Failed with result 'exit-code'."));
        }
    }
    let verdict = match code {
        0 if file.oneshot => "Finished",
        0 => "Started",
        _ => "Failed to start",
    };
    if !stock {
        say(it, &name, &format!("{verdict} {title}."));
    }
    let since = Some(it.now());
    let unit = it.machine.units.entry(name).or_default();
    (unit.code, unit.state, unit.since) = (code, state, since);
    Ok(if code == 0 { Ok(()) } else { Err(code) })
}

pub(super) fn stop(it: &mut Interp<'_, '_>, name: &str) -> Run<()> {
    let name = full_name(name);
    let Some(file) = it.machine.unit_file(&name) else { return Ok(()) };
    if it.machine.unit_is_active(&name) {
        say(it, &name, &format!("Stopping {name} - {}...", file.description));
        for command in &file.stop {
            run_command(it, &name, command, &file)?;
        }
        say(it, &name, &format!("{name}: Deactivated successfully."));
        say(it, &name, &format!("Stopped {name} - {}.", file.description));
    }
    let since = Some(it.now());
    let unit = it.machine.units.entry(name).or_default();
    (unit.state, unit.since) = (State::Inactive, since);
    Ok(())
}

fn say(it: &mut Interp<'_, '_>, unit: &str, text: &str) {
    let now = it.now();
    it.machine.journal(now, unit, "systemd[1]", text);
}

/// Runs one command line of a unit as systemd would: words split like a shell's, no shell, the output to the journal.
fn run_command(it: &mut Interp<'_, '_>, name: &str, command: &str, file: &UnitFile) -> Run {
    let tolerant = command.starts_with('-');
    let command = command.trim_start_matches(['-', '@', '+', '!', ':']);
    let mut script = String::new();
    let mut pairs = file.environment.clone();
    for path in &file.environment_files {
        let text = it.machine.read_file(path.trim_start_matches('-')).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']) && line.contains('='));
        pairs.extend(lines.map(|line| line.replace('"', "")));
    }
    for pair in &pairs {
        script.push_str(&format!("export {}\n", shell_word_of_assignment(pair)));
    }
    if let Some(directory) = &file.directory {
        script.push_str(&format!("cd {}\n", super::shell::quote(directory)));
    }
    script.push_str(&escape_operators(command));
    let user = file.user.as_deref().and_then(super::session::user_id).unwrap_or(0);
    let (ended, text) = it.capture_all(|it| {
        it.subshell(|it| {
            it.become_user(user);
            it.script("systemd", &script, &[], "")
        })
    });
    let program = super::vfs::name(command.split_whitespace().next().unwrap_or_default()).to_owned();
    let pid = 2000 + it.machine.journal.len() % 20_000;
    let now = it.now();
    for line in text.lines() {
        it.machine.journal(now, name, &format!("{program}[{pid}]"), line);
    }
    let code = match ended {
        Err(Flow::Killed(_)) => 137,
        other => other?,
    };
    Ok(if tolerant { 0 } else { code })
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
