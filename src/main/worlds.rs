//! Which world the command line speaks of: AWS, another endpoint, the sandbox inside this process, or one that another
//! process serves; and the commands on the sandbox itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use color_eyre::eyre::{self, WrapErr, bail};
use natdeck::aws::Target;
use natdeck::cli::arguments::{
    BreakArguments, CausesArguments, Global, Output, SandboxCommand, ScenarioName, ServeArguments,
};
use natdeck::cli::{Answer, Terminal};
use natdeck::sandbox::server::Answered;
use natdeck::sandbox::server::control::About;
use natdeck::sandbox::store::{Owner, StoreError};
use natdeck::sandbox::{self, Remote, Sandbox, SandboxError, Saving, Server, causes};

use super::shells::{self, Shells};

/// Where commands and the console are pointed.
pub async fn target(global: &Global) -> eyre::Result<(Target, Shells)> {
    let target = Target { read_only: global.read_only, ..Target::default() };
    if !global.sandbox {
        refuse_sandbox_flags(global)?;
        let target = Target {
            profile: global.profile.clone(),
            region: global.region.clone(),
            endpoint_url: global.endpoint_url.clone(),
            ..target
        };
        return Ok((target, Shells::Aws));
    }
    let (region, consistency, client, shells) = match enter(global).await? {
        Entrance::Own(sandbox) => {
            (sandbox.region(), sandbox.consistency(), sandbox.http_client(), Shells::Own(sandbox.clone()))
        }
        Entrance::Served(remote, about) => {
            (about.region, about.consistency, remote.http_client(), Shells::Served(remote))
        }
    };
    // Twice: what it says is the least.
    Ok((Target { region: Some(region), lag: Some(consistency * 2), sandbox: Some(client), ..target }, shells))
}

/// The commands on the sandbox itself.
pub async fn run(global: &Global, command: &SandboxCommand, terminal: Terminal) -> eyre::Result<Answer> {
    match command {
        SandboxCommand::Reset => reset(global, &terminal).await,
        SandboxCommand::Serve(arguments) => serve(global, arguments, terminal).await,
        SandboxCommand::Shell(arguments) => shell(global, &arguments.instance).await,
        SandboxCommand::Break(arguments) => break_egress(global, arguments, &terminal).await,
        SandboxCommand::Causes(arguments) => list_causes(arguments, &terminal),
    }
}

/// The way into a sandbox.
enum Entrance {
    /// In this process, with its file locked.
    Own(Sandbox),
    /// Another process serves the world of the file.
    Served(Remote, About),
}

/// Opens the sandbox, or finds who serves it.
async fn enter(global: &Global) -> eyre::Result<Entrance> {
    let options = options(global)?;
    let error = match Sandbox::open(options) {
        Ok(sandbox) => return Ok(Entrance::Own(sandbox)),
        Err(error) => error,
    };
    let (address, remote, about) = whoever_serves(error).await?;
    let given = [
        (!global.sandbox_fault.is_empty(), "--sandbox-fault"),
        (global.sandbox_seed.is_some(), "--sandbox-seed"),
        (global.time_scale.is_some(), "--time-scale"),
    ];
    if let Some((_, flag)) = given.iter().find(|(given, _)| *given) {
        bail!(
            "the sandbox is served on http://{address}, which decides about {flag}; give it to `natdeck sandbox serve`"
        );
    }
    if let Some(asked) = global.scenario.map(scenario).filter(|asked| *asked != about.scenario) {
        bail!(
            "the sandbox served on http://{address} holds scenario {}, not {asked}; leave --scenario out, or start it \
             anew with `natdeck sandbox reset --scenario {asked}`",
            about.scenario
        );
    }
    Ok(Entrance::Served(remote, about))
}

/// Who serves the world that could not be opened. Whoever wrote the address may have stopped listening: then the file is in
/// use, and that is what to say.
async fn whoever_serves(error: SandboxError) -> eyre::Result<(SocketAddr, Remote, About)> {
    let SandboxError::Store(StoreError::InUse { owner: Owner::Server { address, .. }, .. }) = &error else {
        return Err(error.into());
    };
    match Remote::find(*address).await {
        Ok((remote, about)) => Ok((*address, remote, about)),
        Err(_) => Err(error.into()),
    }
}

fn refuse_sandbox_flags(global: &Global) -> eyre::Result<()> {
    let given = [
        (global.scenario.is_some(), "--scenario"),
        (global.sandbox_state.is_some(), "--sandbox-state"),
        (!global.sandbox_fault.is_empty(), "--sandbox-fault"),
        (global.sandbox_seed.is_some(), "--sandbox-seed"),
        (global.time_scale.is_some(), "--time-scale"),
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

fn options(global: &Global) -> eyre::Result<sandbox::Options> {
    if let Some(url) = &global.endpoint_url {
        bail!("--sandbox is an AWS inside this program and --endpoint-url {url} is another one; give one of them");
    }
    let fault = |text: &String| text.parse::<sandbox::Fault>().wrap_err_with(|| format!("--sandbox-fault {text}"));
    let faults: sandbox::Faults = global.sandbox_fault.iter().map(fault).collect::<eyre::Result<_>>()?;
    let defaults = sandbox::Options::default();
    Ok(sandbox::Options {
        state_file: Some(file(global)?),
        scenario: global.scenario.map(scenario),
        faults,
        seed: global.sandbox_seed.unwrap_or(defaults.seed),
        region: global.region.clone().unwrap_or(defaults.region),
        time_scale: global.time_scale.unwrap_or(defaults.time_scale),
        ..sandbox::Options::default()
    })
}

/// The file that keeps the sandbox's world.
pub fn file(global: &Global) -> eyre::Result<PathBuf> {
    match &global.sandbox_state {
        Some(file) => Ok(file.clone()),
        None => Ok(sandbox::default_state_file()?),
    }
}

async fn reset(global: &Global, terminal: &Terminal) -> eyre::Result<Answer> {
    let file = file(global)?;
    match Sandbox::reset(&options(global)?) {
        Ok(aside) => {
            if let Some(aside) = aside {
                terminal.say(&format!("the damaged file is kept as {}", aside.display()));
            }
            terminal.say(&format!("the sandbox starts again, in {}", file.display()));
        }
        Err(error) => {
            let (address, remote, _) = whoever_serves(error).await?;
            remote.reset(Some(global.scenario.map(scenario).unwrap_or_default())).await?;
            terminal.say(&format!("the sandbox that is served on http://{address} starts again"));
        }
    }
    Ok(Answer::Yes)
}

/// Answers on a socket until ctrl-c or a request to end.
async fn serve(global: &Global, arguments: &ServeArguments, terminal: Terminal) -> eyre::Result<Answer> {
    let listen = arguments.listen;
    if !listen.ip().is_loopback() && !arguments.allow_remote {
        bail!(
            "{listen} can be reached from other machines, and the sandbox lets in whoever asks; listen on 127.0.0.1, or \
             say --allow-remote if that is meant"
        );
    }
    let sandbox = Sandbox::open(sandbox::Options { saving: Saving::WhenTold, ..options(global)? })?;
    let region = sandbox.region();
    let server = Server::bind(sandbox, listen).await.wrap_err_with(|| {
        format!("cannot listen on {listen}; --listen takes another address, and port 0 any free port")
    })?;
    let address = server.address()?;
    if !address.ip().is_loopback() {
        terminal.say(
            "--allow-remote: every machine that reaches this address can use and change this sandbox, with any \
             credentials and without encryption",
        );
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    terminal.say(&format!("the sandbox answers on http://{address} until ctrl-c"));
    terminal.say("for the aws CLI, boto3, Terraform and other SDKs in another terminal:");
    // On standard output, so that `eval` and a file can take them.
    terminal.document(&environment(address, &region))?;
    let verbose = global.verbose > 0;
    let on_answer = move |answered: Answered| {
        if verbose {
            print_answer(&answered, terminal);
        }
    };
    let end = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    server.run(on_answer, end).await;
    Ok(Answer::Yes)
}

/// What points clients at the sandbox. Terraform's provider takes the endpoint from the environment too.
fn environment(address: SocketAddr, region: &str) -> String {
    format!(
        "export AWS_ENDPOINT_URL=http://{address}\nexport AWS_REGION={region}\nexport AWS_DEFAULT_REGION={region}\n\
         export AWS_ACCESS_KEY_ID=sandbox\nexport AWS_SECRET_ACCESS_KEY=sandbox\n\
         export AWS_EC2_METADATA_DISABLED=true\n"
    )
}

fn print_answer(answered: &Answered, terminal: Terminal) {
    let operation = if answered.operation.is_empty() { "(unreadable request)" } else { &answered.operation };
    let outcome = match &answered.error {
        None => terminal.err.good("ok"),
        Some(code) => terminal.err.bad(&format!("{} {code}", answered.status)),
    };
    terminal.say(&format!("{operation} {} ms {outcome}", answered.latency.as_millis()));
}

/// Breaks the world in the state file, or the one that is served.
async fn break_egress(global: &Global, arguments: &BreakArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let nothing = || format!("nothing is broken by {}", arguments.cause);
    let did = match enter(global).await? {
        Entrance::Own(sandbox) => sandbox
            .with_world(|world| causes::break_egress(world, arguments.cause, arguments.instance.as_ref()))?
            .map(|(_, did)| did)
            .wrap_err_with(nothing)?,
        Entrance::Served(remote, _) => {
            remote.break_egress(arguments.cause, arguments.instance.as_ref()).await.wrap_err_with(nothing)?
        }
    };
    if !arguments.quiet {
        terminal.say(&did);
        terminal.say("natdeck --sandbox check shows what comes of it; natdeck sandbox reset starts again");
    }
    Ok(Answer::Yes)
}

fn list_causes(arguments: &CausesArguments, terminal: &Terminal) -> eyre::Result<Answer> {
    let rows = causes::list();
    match arguments.output {
        Output::Json => terminal.json(&serde_json::json!({ "version": 1, "causes": rows }))?,
        Output::Text => {
            let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
            terminal.document(&text)?;
        }
    }
    Ok(Answer::Yes)
}

/// A shell on a simulated host.
async fn shell(global: &Global, instance: &str) -> eyre::Result<Answer> {
    match enter(global).await? {
        Entrance::Own(sandbox) => shells::shell(sandbox, instance).await,
        Entrance::Served(..) => bail!("{}", shells::SERVED),
    }
}
