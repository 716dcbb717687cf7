//! `natdeck diagnose`: why an instance does not get out, and with `--fix` what restores it, done.

use std::net::IpAddr;
use std::path::Path;

use color_eyre::eyre::{self, bail, eyre};
use jiff::Timestamp;

use super::arguments::{DiagnoseArguments, Output};
use super::change::{carry_out_repair, preflight};
use super::inspect::refuse_blindness;
use super::interrupt::Interrupt;
use super::output::{Row, diagnose_json, diagnose_text};
use super::{Answer, Context, Terminal};
use crate::aws::Session;
use crate::model::{Network, World};
use crate::ops::report::{self, Incident, Look, Repaired, Saving};
use crate::ops::{self, Looked, OUTSIDE, Question};
use crate::plan::{Repair, repair};
use crate::reach::{Diagnosis, Finding, FindingKey};

pub async fn diagnose(context: &Context, arguments: &DiagnoseArguments) -> eyre::Result<Answer> {
    if arguments.fix && context.global.read_only {
        bail!("--fix would change things and --read-only forbids it; without --fix the repairs are shown");
    }
    let saving = place(arguments)?;
    let session = context.connect().await?;
    let network = ops::observe(&session, None, None).await;
    refuse_blindness(&network)?;
    ops::diagnosable(&network, &arguments.instance).map_err(|reason| eyre!(reason))?;
    let question = question(&session, arguments).await?;
    context.terminal.say(&format!("asking {} and the hosts on its way", arguments.instance));
    let seen = look(&session, network, &question).await;
    let before = arguments.report.is_some().then(|| seen.look());
    let mut repairs = Repairs::default();
    let fixed = if arguments.fix {
        fix(context, &session, &question, arguments.yes, seen, &mut repairs).await
    } else {
        Ok(Some(seen))
    };
    if let (Some(file), Some(before)) = (&arguments.report, before) {
        // Whom the report names. Where STS refuses to say, the snapshot knows the account as a rule.
        let identity = session.caller_identity().await.unwrap_or_else(|_| session.identity());
        let calls = session.log().calls().iter().map(|call| (**call).clone()).collect();
        let mut incident = Incident::new(identity, question, before, calls);
        incident.repairs = repairs.made;
        incident.interrupted_at = matches!(fixed, Ok(None)).then(Timestamp::now);
        // A repair that failed is told with what was seen last before it.
        incident.after = repairs.after;
        keep(&context.terminal, file, incident, arguments.redact, saving)?;
    }
    let Some(seen) = fixed? else {
        context.terminal.say("interrupted; what was done stays, and natdeck diagnose says what is so now");
        return Ok(Answer::Interrupted);
    };
    print(&context.terminal, arguments, &seen)?;
    Ok(answer(&seen.diagnosis))
}

/// Whether the report can be kept where it is to be, before anything is asked.
pub(super) fn place(arguments: &DiagnoseArguments) -> eyre::Result<Saving> {
    let saving = if arguments.overwrite { Saving::Overwrite } else { Saving::New };
    if let Some(file) = &arguments.report {
        report::check_place(file, saving)?;
    }
    Ok(saving)
}

/// Writes the report.
pub(super) fn keep(
    terminal: &Terminal,
    file: &Path,
    mut incident: Incident,
    redact: bool,
    saving: Saving,
) -> eyre::Result<()> {
    incident.identity.account_id = incident.identity.account_id.or_else(|| incident.network.account_id.clone());
    let mut what = "the report is in";
    if redact {
        incident = report::redact(&incident, report::Key::random())?;
        what = "the redacted report is in";
    }
    report::save(file, &incident, saving)?;
    terminal.say(&format!("{what} {}", file.display()));
    Ok(())
}

/// One look: the snapshot, what hosts said, and what follows.
pub(super) struct Seen {
    /// When it was complete.
    pub(super) at: Timestamp,
    pub(super) network: Network,
    pub(super) looked: Looked,
    pub(super) diagnosis: Diagnosis,
}

impl Seen {
    fn look(&self) -> Look {
        Look { at: self.at, network: self.network.clone(), looked: self.looked.clone() }
    }
}

/// What was repaired, for the report.
#[derive(Default)]
struct Repairs {
    made: Vec<Repaired>,
    /// The look after the last.
    after: Option<Look>,
}

async fn look(session: &Session, network: Network, question: &Question) -> Seen {
    let (diagnosis, looked) = ops::diagnose(session, &network, question).await;
    Seen { at: Timestamp::now(), network, looked, diagnosis }
}

async fn look_again(session: &Session, question: &Question) -> Seen {
    let network = ops::observe(session, None, None).await;
    look(session, network, question).await
}

async fn question(session: &Session, arguments: &DiagnoseArguments) -> eyre::Result<Question> {
    let Some(to) = &arguments.to else { return Ok(Question::egress(arguments.instance.clone())) };
    let (host, port) = target(to)?;
    let address = match host.parse::<IpAddr>() {
        Ok(address) => address,
        // The sandbox's internet has names of its own, and one address there is as far as another.
        Err(_) if *session.world() == World::Sandbox => OUTSIDE,
        Err(_) => {
            let mut found = tokio::net::lookup_host((host, port)).await?;
            found.next().ok_or_else(|| eyre!("the name {host} does not resolve here"))?.ip()
        }
    };
    Ok(Question::to(arguments.instance.clone(), host, address, port))
}

/// Host and port of `--to`.
pub(super) fn target(to: &str) -> eyre::Result<(&str, u16)> {
    let wrong = || eyre!("'{to}' is not HOST:PORT, such as example.com:443 or 203.0.113.9:5432");
    let (host, port) = to.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let sound = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(sound) {
        return Err(wrong());
    }
    Ok((host, port.parse().map_err(|_| wrong())?))
}

/// 0 delivered, 1 broken, 3 cannot tell.
pub(super) fn answer(diagnosis: &Diagnosis) -> Answer {
    match (diagnosis.is_well(), diagnosis.is_broken()) {
        (true, _) => Answer::Yes,
        (_, true) => Answer::No,
        _ => Answer::CannotTest,
    }
}

pub(super) fn print(terminal: &Terminal, arguments: &DiagnoseArguments, seen: &Seen) -> eyre::Result<()> {
    let rows: Vec<Row<'_>> = (seen.diagnosis.findings.iter())
        .map(|finding| Row { finding, repair: repair::repair(finding, &seen.network) })
        .collect();
    let observations = &seen.looked.observations;
    match arguments.output {
        Output::Json => terminal.json(&diagnose_json(&arguments.instance, &seen.diagnosis, &rows, observations)),
        Output::Text => terminal.document(&diagnose_text(
            terminal.out,
            &arguments.instance,
            &seen.diagnosis,
            &rows,
            observations,
            seen.at,
        )),
    }
}

/// Repairs one finding after the other, looking again after each, until nothing is left that can be repaired. Ctrl-C lets
/// the step that is under way end, and is the end; pressed again, it leaves that step where it is. `None`: that was so;
/// otherwise what was seen last.
async fn fix(
    context: &Context,
    session: &Session,
    question: &Question,
    yes: bool,
    mut seen: Seen,
    repairs: &mut Repairs,
) -> eyre::Result<Option<Seen>> {
    let terminal = &context.terminal;
    let journals = context.journals(session).await?;
    let interrupt = Interrupt::listen()?;
    let mut done: Vec<FindingKey> = Vec::new();
    while let Some((finding, repair)) = next(&seen, &done) {
        terminal.say(&format!("{} {}", terminal.err.strong(&finding.cause.name()), finding.summary));
        terminal.say(&format!("  repair: {}", repair.title));
        for change in &repair.changes {
            terminal.say(&format!("    {}: {} -> {}", change.what, change.before, change.after));
        }
        for command in &repair.commands {
            terminal.say(&terminal.err.faint(&format!("    {command}")));
        }
        if let Some(warning) = &repair.caution {
            terminal.say(&format!("  {} {warning}", terminal.err.warn("caution:")));
        }
        if !yes {
            let agreed = tokio::select! {
                biased;
                () = interrupt.pressed(1) => return Ok(None),
                agreed = terminal.ask("Do this? Type yes:", "yes") => agreed?,
            };
            if !agreed {
                terminal.say("nothing was changed");
                return Ok(Some(seen));
            }
        }
        let stack = ops::stack_of(&seen.network, &finding);
        let made = tokio::select! {
            biased;
            () = interrupt.pressed(2) => Err(eyre!("left while it was under way: whether it was done is not known")),
            made = make(context, session, &journals, &stack, &repair, &interrupt) => made,
        };
        let failure = made.as_ref().err().map(super::error_line);
        if interrupt.is_pressed() {
            failure.iter().for_each(|failure| terminal.say(&format!("{} {failure}", terminal.err.warn("not done:"))));
            repairs.made.push(Repaired::new(&finding, &repair, Timestamp::now(), failure));
            return Ok(None);
        }
        repairs.made.push(Repaired::new(&finding, &repair, Timestamp::now(), failure));
        made?;
        done.push(FindingKey::of(&finding));
        let mut pause = std::time::Duration::from_millis(200);
        for _ in 0..repair::LOOKS_AFTER {
            seen = tokio::select! {
                biased;
                () = interrupt.pressed(1) => return Ok(None),
                again = look_again(session, question) => again,
            };
            let still = seen.diagnosis.findings.iter().any(|finding| done.contains(&FindingKey::of(finding)));
            if !still && answer(&seen.diagnosis) == Answer::Yes || next(&seen, &done).is_some() {
                break;
            }
            tokio::select! {
                biased;
                () = interrupt.pressed(1) => return Ok(None),
                () = tokio::time::sleep(pause) => {}
            }
            pause *= 3;
        }
        repairs.after = Some(seen.look());
    }
    Ok(Some(seen))
}

/// Asks AWS by DryRun whether a repair would go, and makes it.
async fn make(
    context: &Context,
    session: &Session,
    journals: &Path,
    stack: &str,
    repair: &Repair,
    interrupt: &Interrupt,
) -> eyre::Result<()> {
    preflight(context, session, &repair.plan(stack)).await?;
    if interrupt.is_pressed() {
        bail!("interrupted before it was begun");
    }
    carry_out_repair(context, ops::begin_repair(session, journals, stack, repair)?).await
}

/// The next finding with a repair that was not made yet: what breaks first, then the warnings.
fn next(seen: &Seen, done: &[FindingKey]) -> Option<(Finding, Repair)> {
    let skip = |finding: &Finding| done.contains(&FindingKey::of(finding));
    let (finding, repair) = repair::next(&seen.diagnosis.findings, &seen.network, skip)?;
    Some((finding.clone(), repair))
}
