//! The thin binary: reads arguments, chooses the world (AWS or the sandbox), runs, and turns the end into an exit code.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Parser;
use color_eyre::eyre::{self, OptionExt, WrapErr, bail};
use natdeck::aws::CallLog;
use natdeck::cli::arguments::{Arguments, Command, Global};
use natdeck::cli::{self, Answer, Context, Terminal};
use natdeck::model::{ApiCall, CallOutcome};
use natdeck::tui;
use tracing_subscriber::EnvFilter;

use shells::Shells;

#[path = "main/drills.rs"]
mod drills;
#[path = "main/shells.rs"]
mod shells;
#[path = "main/worlds.rs"]
mod worlds;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors. Nobody may be reading, which is no error either.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(cli::FAILED) } else { ExitCode::SUCCESS };
        }
    };
    let terminal = Terminal::new(arguments.global.color);
    match start(arguments, terminal) {
        Ok(answer) => ExitCode::from(answer.exit_code()),
        Err(report) => {
            terminal.say(&format!("{} {}", terminal.err.bad("natdeck:"), cli::error_line(&report)));
            ExitCode::from(cli::FAILED)
        }
    }
}

fn start(arguments: Arguments, terminal: Terminal) -> eyre::Result<Answer> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    log_to_file(&arguments.global)?;
    // Two threads: one may be busy parsing a large answer while the other keeps the console alive.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(arguments, terminal))
}

fn log_to_file(global: &Global) -> eyre::Result<()> {
    let Some(path) = &global.log_file else { return Ok(()) };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .wrap_err_with(|| format!("cannot write the log file {}", path.display()))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("natdeck=debug,warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).init();
    Ok(())
}

async fn run(arguments: Arguments, terminal: Terminal) -> eyre::Result<Answer> {
    let Arguments { global, command } = arguments;
    if let Some(Command::IamPolicy | Command::Completions { .. } | Command::Man) = &command {
        return command.as_ref().map_or(Ok(Answer::Yes), |command| cli::offline(command, &terminal));
    }
    if let Some(file) = &global.snapshot {
        let snapshot = cli::Snapshot::open(&global, file, &terminal)?;
        return match &command {
            Some(command) => cli::run_on_snapshot(command, &global, &snapshot, &terminal),
            None => snapshot_console(&global, snapshot).await,
        };
    }
    if global.after {
        bail!("--after speaks of a report of diagnose --fix; add --snapshot FILE");
    }
    if let Some(Command::Sandbox(command)) = &command {
        return worlds::run(&global, command, terminal).await;
    }
    let (target, shells) = worlds::target(&global).await?;
    let log = CallLog::new();
    let context = Context { state_dir: state_dir(&global)?, global, target, terminal, log };
    let Some(command) = command else { return console(context, shells).await };
    let printer =
        (context.global.verbose > 0).then(|| CallPrinter::start(&context.log, context.global.verbose, terminal));
    let answer = cli::run(&command, &context).await;
    if let Some(printer) = printer {
        printer.finish().await;
    }
    answer
}

/// The console. Nothing is asked of AWS before its first frame.
async fn console(context: Context, shells: Shells) -> eyre::Result<Answer> {
    let (options, spec) = console_options(&context.global)?;
    let ground = drills::ground(&shells);
    let door = shells.door(&context.global);
    let workbench = tui::Workbench::new(context.target, context.log, context.state_dir, spec, door).with_drills(ground);
    tui::run(Arc::new(workbench), options).await?;
    Ok(Answer::Yes)
}

/// The console on an incident report.
async fn snapshot_console(global: &Global, snapshot: cli::Snapshot) -> eyre::Result<Answer> {
    let (mut options, spec) = console_options(global)?;
    // There is nothing to look at anew.
    options.settings.refresh_every_s = 0;
    options.settings.snapshot_of = Some(snapshot.incident.at);
    options.settings.about = Some(snapshot.incident.question.flow.instance_id.clone());
    tui::run(Arc::new(tui::Record::new(snapshot.incident, spec.name)), options).await?;
    Ok(Answer::Yes)
}

/// How the console is set up, and what it would build.
fn console_options(global: &Global) -> eyre::Result<(tui::Options, natdeck::plan::Spec)> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        bail!("the console needs a terminal; natdeck tree, plan, apply, check and destroy do without");
    }
    let theme = global.theme.map(|theme| match theme {
        cli::arguments::ThemeName::Dark => "dark",
        cli::arguments::ThemeName::Light => "light",
        cli::arguments::ThemeName::Ansi16 => "ansi16",
    });
    let no_color = global.color == cli::arguments::Color::Never;
    let environment = |name: &str| match name {
        "NO_COLOR" if no_color => Some("1".to_owned()),
        _ => std::env::var(name).ok(),
    };
    let spec = cli::read_spec(&cli::arguments::SpecArguments::default(), global.stack.as_deref())?;
    let options = tui::Options {
        theme: tui::Theme::from_env(theme, environment)?,
        keymap: tui::Keymap::built_in()?,
        settings: tui::Settings { stack: spec.name.clone(), ..tui::Settings::default() },
    };
    Ok((options, spec))
}

/// `-v`: every API call on standard error as it ends; `-vv`: with the aws CLI line that would do the same.
struct CallPrinter {
    task: tokio::task::JoinHandle<()>,
    end: tokio::sync::oneshot::Sender<()>,
}

impl CallPrinter {
    fn start(log: &CallLog, verbose: u8, terminal: Terminal) -> Self {
        let mut calls = log.subscribe();
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    // A slow terminal misses calls rather than holding anything up.
                    call = calls.recv() => match call {
                        Ok(call) => print_call(&call, verbose, terminal),
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                    },
                    _ = &mut ended => return,
                }
            }
        });
        Self { task, end }
    }

    /// Prints what is still to be printed.
    async fn finish(self) {
        // Either the task is still there and hears it, or it has ended.
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

fn print_call(call: &ApiCall, verbose: u8, terminal: Terminal) {
    let outcome = match &call.outcome {
        CallOutcome::Ok => terminal.err.good("ok"),
        CallOutcome::Error { code, .. } => terminal.err.bad(code),
        CallOutcome::NoAnswer { reason } | CallOutcome::Refused { reason } => terminal.err.bad(reason),
    };
    let retries = if call.attempts > 1 { format!(" {} attempts", call.attempts) } else { String::new() };
    terminal.say(&format!("{}:{} {} ms{retries} {outcome}", call.service, call.operation, call.latency_ms));
    if verbose > 1 {
        terminal.say(&terminal.err.faint(&format!("  $ {}", call.aws_cli)));
    }
}

/// Journals stand beside the world that they speak of: those of a sandbox beside its file, those of AWS by themselves.
fn state_dir(global: &Global) -> eyre::Result<PathBuf> {
    if global.sandbox {
        let file = worlds::file(global)?;
        let mut name = file.file_name().unwrap_or_default().to_os_string();
        name.push(".journals");
        return Ok(file.with_file_name(name));
    }
    Ok(xdg_state_dir()?.join("journals"))
}

fn xdg_state_dir() -> eyre::Result<PathBuf> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::choose_base_strategy().wrap_err("no home directory")?;
    let state = strategy.state_dir().ok_or_eyre("no state directory; set XDG_STATE_HOME")?;
    Ok(state.join("natdeck"))
}
