//! The thin binary: reads arguments, chooses the world (AWS or the sandbox), runs, and turns the end into an exit code.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Parser;
use color_eyre::eyre::{self, OptionExt, WrapErr, bail};
use natdeck::aws::{CallLog, Target};
use natdeck::cli::arguments::{
    Arguments, BreakArguments, CausesArguments, Command, Global, SandboxCommand, ScenarioName, ServeArguments,
};
use natdeck::cli::{self, Answer, Context, Terminal};
use natdeck::model::{ApiCall, CallOutcome};
use natdeck::sandbox::shell::Interrupt;
use natdeck::sandbox::{self, Sandbox, Server, causes};
use natdeck::tui;
use tracing_subscriber::EnvFilter;

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
    if let Some(Command::Sandbox(SandboxCommand::Reset)) = &command {
        return reset(&global, &terminal);
    }
    if let Some(Command::Sandbox(SandboxCommand::Serve(arguments))) = &command {
        return serve(&global, arguments, &terminal).await;
    }
    if let Some(Command::Sandbox(SandboxCommand::Break(arguments))) = &command {
        return break_egress(&global, arguments, &terminal);
    }
    if let Some(Command::Sandbox(SandboxCommand::Causes(arguments))) = &command {
        return list_causes(arguments, &terminal);
    }
    if let Some(Command::Sandbox(SandboxCommand::Shell(arguments))) = &command {
        return shell(&global, &arguments.instance).await;
    }
    let sandbox = if global.sandbox { Some(Sandbox::open(sandbox_options(&global)?)?) } else { None };
    if sandbox.is_none() {
        refuse_sandbox_flags(&global)?;
    }
    let target = Target {
        profile: global.profile.clone(),
        region: sandbox.as_ref().map(Sandbox::region).or_else(|| global.region.clone()),
        endpoint_url: global.endpoint_url.clone(),
        read_only: global.read_only,
        // Twice: what it says is the least.
        lag: sandbox.as_ref().map(|sandbox| sandbox.consistency() * 2),
        sandbox: sandbox.as_ref().map(Sandbox::http_client),
    };
    let log = CallLog::new();
    let context = Context { state_dir: state_dir(&global)?, global, target, terminal, log };
    let Some(command) = command else { return console(context).await };
    let printer =
        (context.global.verbose > 0).then(|| CallPrinter::start(&context.log, context.global.verbose, terminal));
    let answer = cli::run(&command, &context).await;
    if let Some(printer) = printer {
        printer.finish().await;
    }
    answer
}

/// The console. Nothing is asked of AWS before its first frame.
async fn console(context: Context) -> eyre::Result<Answer> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        bail!("the console needs a terminal; natdeck tree, plan, apply, check and destroy do without");
    }
    let theme = context.global.theme.map(|theme| match theme {
        cli::arguments::ThemeName::Dark => "dark",
        cli::arguments::ThemeName::Light => "light",
        cli::arguments::ThemeName::Ansi16 => "ansi16",
    });
    let no_color = context.global.color == cli::arguments::Color::Never;
    let environment = |name: &str| match name {
        "NO_COLOR" if no_color => Some("1".to_owned()),
        _ => std::env::var(name).ok(),
    };
    let spec = cli::read_spec(&cli::arguments::SpecArguments::default(), context.global.stack.as_deref())?;
    let options = tui::Options {
        theme: tui::Theme::from_env(theme, environment)?,
        keymap: tui::Keymap::built_in()?,
        settings: tui::Settings { stack: spec.name.clone(), ..tui::Settings::default() },
    };
    let workbench = tui::Workbench::new(context.target, context.log, context.state_dir, spec);
    tui::run(Arc::new(workbench), options).await?;
    Ok(Answer::Yes)
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

fn refuse_sandbox_flags(global: &Global) -> eyre::Result<()> {
    let given = [
        (global.scenario.is_some(), "--scenario"),
        (global.sandbox_state.is_some(), "--sandbox-state"),
        (!global.sandbox_fault.is_empty(), "--sandbox-fault"),
        (global.sandbox_seed.is_some(), "--sandbox-seed"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, flag)) => bail!("{flag} speaks of the sandbox; add --sandbox"),
        None => Ok(()),
    }
}

fn scenario(name: ScenarioName) -> sandbox::Scenario {
    match name {
        ScenarioName::Empty => sandbox::Scenario::Empty,
        ScenarioName::Draft => sandbox::Scenario::Draft,
        ScenarioName::Article => sandbox::Scenario::Article,
    }
}

fn sandbox_options(global: &Global) -> eyre::Result<sandbox::Options> {
    if let Some(url) = &global.endpoint_url {
        bail!("--sandbox is an AWS inside this program and --endpoint-url {url} is another one; give one of them");
    }
    let fault = |text: &String| text.parse::<sandbox::Fault>().wrap_err_with(|| format!("--sandbox-fault {text}"));
    let faults: sandbox::Faults = global.sandbox_fault.iter().map(fault).collect::<eyre::Result<_>>()?;
    let defaults = sandbox::Options::default();
    Ok(sandbox::Options {
        state_file: Some(sandbox_file(global)?),
        scenario: global.scenario.map(scenario),
        faults,
        seed: global.sandbox_seed.unwrap_or(defaults.seed),
        region: global.region.clone().unwrap_or(defaults.region),
        ..sandbox::Options::default()
    })
}

/// Answers on a socket until ctrl-c or a request to end.
async fn serve(global: &Global, arguments: &ServeArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let listen = arguments.listen;
    if !listen.ip().is_loopback() && !arguments.allow_remote {
        bail!(
            "{listen} can be reached from other machines, and the sandbox lets in whoever asks; listen on 127.0.0.1, or \
             say --allow-remote if that is meant"
        );
    }
    let sandbox = Sandbox::open(sandbox_options(global)?)?;
    let region = sandbox.region();
    let server = Server::bind(sandbox, listen).await.wrap_err_with(|| format!("cannot listen on {listen}"))?;
    let address = server.address()?;
    if !address.ip().is_loopback() {
        terminal.say("other machines can reach this sandbox, and any credentials open it");
    }
    terminal.say(&format!("the sandbox answers on http://{address} until ctrl-c; for another terminal:"));
    // On standard output, so that `eval` and a file can take them.
    terminal.document(&format!(
        "export AWS_ENDPOINT_URL=http://{address}\nexport AWS_REGION={region}\nexport AWS_DEFAULT_REGION={region}\n\
         export AWS_ACCESS_KEY_ID=sandbox\nexport AWS_SECRET_ACCESS_KEY=sandbox\n"
    ))?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    server
        .run(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        })
        .await;
    Ok(Answer::Yes)
}

/// A shell on a simulated host: at the terminal, or with the script that standard input holds.
async fn shell(global: &Global, instance: &str) -> eyre::Result<Answer> {
    let sandbox = Sandbox::open(sandbox_options(global)?)?;
    let interrupt = Interrupt::default();
    // Ctrl-c is for the command that runs. At the prompt the line editor sees it as a key.
    let mut pressed = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let raised = interrupt.clone();
    let listener = tokio::spawn(async move {
        while pressed.recv().await.is_some() {
            raised.raise();
        }
    });
    let instance = instance.to_owned();
    let interactive = std::io::IsTerminal::is_terminal(&std::io::stdin());
    // Without a home directory nothing is remembered.
    let history = xdg_state_dir().ok().map(|directory| directory.join("shell_history"));
    let ended = tokio::task::spawn_blocking(move || match interactive {
        true => sandbox::shell::run(sandbox, &instance, history.as_deref(), interrupt),
        false => sandbox::shell::run_script(sandbox, &instance, interrupt),
    })
    .await?;
    listener.abort();
    Ok(Answer::Status(u8::try_from(ended?.status & 0xff).unwrap_or(u8::MAX)))
}

/// Breaks the world in the state file, which nothing else may be using.
fn break_egress(global: &Global, arguments: &BreakArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let sandbox = Sandbox::open(sandbox_options(global)?)?;
    let broken =
        sandbox.with_world(|world| causes::break_egress(world, arguments.cause, arguments.instance.as_ref()))?;
    let did = broken.wrap_err_with(|| format!("nothing is broken by {}", arguments.cause))?;
    if !arguments.quiet {
        terminal.say(&did);
        terminal.say("natdeck --sandbox check shows what comes of it; natdeck sandbox reset starts again");
    }
    Ok(Answer::Yes)
}

fn list_causes(arguments: &CausesArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let rows = causes::list();
    match arguments.output {
        cli::arguments::Output::Json => terminal.json(&serde_json::json!({ "version": 1, "causes": rows }))?,
        cli::arguments::Output::Text => {
            let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
            terminal.document(&text)?;
        }
    }
    Ok(Answer::Yes)
}

fn reset(global: &Global, terminal: &Terminal) -> eyre::Result<Answer> {
    let file = sandbox_file(global)?;
    if let Some(aside) = Sandbox::reset(&sandbox_options(global)?)? {
        terminal.say(&format!("the damaged file is kept as {}", aside.display()));
    }
    terminal.say(&format!("the sandbox starts again, in {}", file.display()));
    Ok(Answer::Yes)
}

fn sandbox_file(global: &Global) -> eyre::Result<PathBuf> {
    match &global.sandbox_state {
        Some(file) => Ok(file.clone()),
        None => Ok(sandbox::default_state_file()?),
    }
}

/// Journals stand beside the world that they speak of: those of a sandbox beside its file, those of AWS by themselves.
fn state_dir(global: &Global) -> eyre::Result<PathBuf> {
    if global.sandbox {
        let file = sandbox_file(global)?;
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
