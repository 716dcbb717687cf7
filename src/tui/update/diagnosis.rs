//! Asking why an instance cannot get out, moving in the answer, and seeing whether a repair helped.

use jiff::SignedDuration;

use crate::model::InstanceId;
use crate::plan::repair;
use crate::reach::FindingKey;
use crate::tui::diagnosis::{self, Aftermath, Asking, Diagnosed, Inquiry, PathForm, Tried};
use crate::tui::effect::{Effect, Generation, WalkDepth};
use crate::tui::keymap::Action;
use crate::tui::message::{Failure, RunEnd};
use crate::tui::model::{Dialog, Model, Overlay, Pace, Pane, Sight, Way};
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, label};

use super::{answers, drills, in_tree, panes};

/// What is asked so long after the last repair begins a new report.
const STORY_S: i64 = 3_600;

/// Asks why the selected instance does not get out: what is known answers at once, then the hosts.
pub(super) fn explain(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(id) = model.selected_instance() else {
        model.toast(Tone::Warn, "Select an instance: why it does not get out is what can be explained.");
        return;
    };
    if !in_tree(model)
        && let Sight::Seen(picture) = &model.sight
    {
        model.tree.reveal(id.as_str(), &picture.seen);
    }
    if model.pane != Pane::Diagnosis {
        model.inquiry.from = Some((model.focus, model.pane));
    }
    panes::show(model, Pane::Diagnosis);
    if model.inquiry.is_repairing() && model.inquiry.about.as_ref() == Some(&id) {
        model.toast(Tone::Warn, "A repair is under way: it is asked again when that has ended.");
        return;
    }
    if model.inquiry.about.as_ref() != Some(&id) {
        model.inquiry = Inquiry {
            about: Some(id.clone()),
            from: model.inquiry.from,
            path: model.inquiry.path,
            ..Inquiry::default()
        };
    }
    model.inquiry.aftermath = Aftermath::None;
    // What was repaired long ago is another story.
    let now = model.now;
    if model.inquiry.tried.last().is_some_and(|last| now.duration_since(last.at).as_secs() > STORY_S) {
        (model.inquiry.first, model.inquiry.tried) = (None, Vec::new());
    }
    ask_quickly(model, id, effects);
    look(model, effects);
}

/// What is known already answers at once.
fn ask_quickly(model: &mut Model, instance_id: InstanceId, effects: &mut Vec<Effect>) {
    // A full answer of before is worth more than a quick one of now.
    let Some(network) = model.seen().map(|seen| seen.network.clone()).filter(|_| model.inquiry.answer.is_none()) else {
        return;
    };
    let generation = model.ask();
    model.inquiry.quick = Some(generation);
    effects.push(Effect::Diagnose { generation, network, instance_id, depth: WalkDepth::Known });
}

/// Looks at the VPC anew and then asks the hosts; in a frozen picture only the hosts.
fn look(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.pace == Pace::Live {
        model.inquiry.asking = Asking::Look { since: model.now };
        answers::refresh(model, false, effects);
    } else {
        ask_hosts(model, effects);
    }
}

/// A new snapshot is there, or will not come.
pub(super) fn looked(model: &mut Model, effects: &mut Vec<Effect>) {
    if matches!(model.inquiry.asking, Asking::Look { .. }) {
        ask_hosts(model, effects);
    }
}

fn ask_hosts(model: &mut Model, effects: &mut Vec<Effect>) {
    let since = model.inquiry.asking.since().unwrap_or(model.now);
    let network = model.seen().map(|seen| seen.network.clone());
    let (Some(network), Some(instance_id)) = (network, model.inquiry.about.clone()) else {
        model.inquiry.asking = Asking::Nothing;
        return;
    };
    let generation = model.ask();
    model.inquiry.asking = Asking::Hosts { generation, since };
    effects.push(Effect::Diagnose { generation, network, instance_id, depth: WalkDepth::AskHosts });
}

pub(super) fn answered(
    model: &mut Model,
    generation: Generation,
    result: Result<Box<Diagnosed>, Failure>,
    effects: &mut Vec<Effect>,
) {
    if model.inquiry.quick == Some(generation) {
        model.inquiry.quick = None;
        // The full answer may have been faster, and a failure will be told by it as well.
        if let (Ok(answer), None) = (result, &model.inquiry.answer) {
            model.inquiry.take(answer);
        }
        return;
    }
    if !matches!(model.inquiry.asking, Asking::Hosts { generation: asked, .. } if asked == generation) {
        return;
    }
    model.inquiry.asking = Asking::Nothing;
    match result {
        Ok(answer) => {
            know_hosts(model, &answer, effects);
            drills::seen(model, &answer);
            let first = answer.diagnosis.findings.first().map(FindingKey::of);
            let fresh = model.inquiry.answer.as_ref().is_none_or(|before| before.depth == WalkDepth::Known);
            model.inquiry.take(answer);
            // Where there is room, the first cause shows its evidence unasked.
            if fresh && model.layout().pane_size().0 >= diagnosis::BESIDE_FROM {
                model.inquiry.open.extend(first);
            }
            see_whether_it_helped(model);
        }
        Err(failure) => {
            if matches!(model.inquiry.aftermath, Aftermath::Looking { .. }) {
                let text = "The repair was made; whether it helped could not be seen.".to_owned();
                model.inquiry.aftermath = Aftermath::Told { well: false, text };
            }
            model.inquiry.failure = Some(failure);
        }
    }
}

/// What hosts said is known to the way out in the Detail pane as well.
fn know_hosts(model: &mut Model, answer: &Diagnosed, effects: &mut Vec<Effect>) {
    let now = model.now;
    model
        .ways
        .insert(answer.instance_id.clone(), Way { hosts_asked_at: Some(now), hosts_at: Some(now), ..Way::default() });
    answers::walk(model, &answer.instance_id, WalkDepth::Known, effects);
}

/// After a repair: whether the finding is gone and packets pass, or when to look again.
fn see_whether_it_helped(model: &mut Model) {
    let now = model.now;
    let Aftermath::Looking { of, looks, .. } = model.inquiry.aftermath.clone() else { return };
    let Some(answer) = &model.inquiry.answer else { return };
    let findings = &answer.diagnosis.findings;
    let still = findings.iter().any(|finding| FindingKey::of(finding) == of);
    let another =
        answer.mends.iter().zip(findings).any(|(mend, finding)| mend.is_some() && FindingKey::of(finding) != of);
    if (still || !answer.is_well() && !another) && looks < repair::LOOKS_AFTER {
        let pause = SignedDuration::from_millis(200 * 3_i64.pow(looks));
        model.inquiry.aftermath = Aftermath::Looking { of, looks: looks + 1, next: Some(now + pause) };
        return;
    }
    let id = &answer.instance_id;
    let name = model.seen().and_then(|seen| seen.resource(Kind::Instance, id.as_str())).map(label::name_of);
    let name = name.unwrap_or(id.as_str());
    let address = answer.observations.address().or(answer.diagnosis.trace.address);
    let (well, text) = if still {
        (false, format!("The repair was made, and {} is still there.", of.cause))
    } else if answer.is_well() {
        let through = address.map(|address| format!(" leaves through {address}")).unwrap_or(" gets out".to_owned());
        (true, format!("Repaired: {name}{through}."))
    } else {
        let next = answer.diagnosis.first_break().map(|next| format!("{} is in the way", next.cause));
        let next = next.unwrap_or_else(|| "packets do not pass, and nothing that can be seen stops them".to_owned());
        (false, format!("{} is repaired. Now {next}.", of.cause))
    };
    model.toast(if well { Tone::Ok } else { Tone::Warn }, text.clone());
    model.inquiry.aftermath = Aftermath::Told { well, text };
}

/// Looks again when it is time to.
pub(super) fn look_again(model: &mut Model, effects: &mut Vec<Effect>) {
    let Aftermath::Looking { next: Some(at), .. } = &mut model.inquiry.aftermath else { return };
    if *at <= model.now && model.inquiry.asking == Asking::Nothing {
        if let Aftermath::Looking { next, .. } = &mut model.inquiry.aftermath {
            *next = None;
        }
        look(model, effects);
    }
}

/// A repair ended, for the first time or tried again in the Steps pane. It asks for a snapshot itself; diagnosis and
/// check follow on that.
pub(super) fn repair_ended(model: &mut Model, end: &RunEnd) {
    model.inquiry.asking = Asking::Look { since: model.now };
    let (Aftermath::Repairing(attempt) | Aftermath::Failed { attempt, .. }) = &model.inquiry.aftermath else {
        // It was taken back: what was said of it does not hold any more.
        model.inquiry.aftermath = Aftermath::None;
        return;
    };
    let attempt = attempt.clone();
    let (at, cause) = (model.now, attempt.of.cause);
    let (steps, run) = (model.keymap.key_of(Action::PaneSteps), model.keymap.key_of(Action::RunNext));
    let retry = format!("{steps} shows the step; {run} there tries again");
    let failure = match end {
        RunEnd::Finished => None,
        RunEnd::Failed(failures) => {
            let failure = failures.first().map(|(_, failure)| failure.clone());
            let failure = failure.unwrap_or_else(|| Failure::new("repair", "the step failed"));
            let next = failure.next_move.clone().unwrap_or(retry);
            Some(Failure::new(format!("repair {cause}"), failure.reason).with_next_move(next))
        }
        RunEnd::Broken(failure) => Some(failure.clone()),
        RunEnd::Undone | RunEnd::PartlyUndone { .. } => {
            model.inquiry.aftermath = Aftermath::None;
            return;
        }
        RunEnd::Paused | RunEnd::Stopped => {
            Some(Failure::new(format!("repair {cause}"), "it was stopped").with_next_move(retry))
        }
    };
    let tried = Tried {
        finding: attempt.finding.clone(),
        repair: attempt.repair.clone(),
        at,
        failure: failure.as_ref().map(|failure| failure.reason.clone()),
    };
    model.inquiry.tried.push(tried);
    model.inquiry.aftermath = match failure {
        None => {
            model.checks.queued.extend(model.inquiry.about.clone());
            Aftermath::Looking { of: attempt.of, looks: 0, next: None }
        }
        // How far it came shows in the next answer.
        Some(failure) => Aftermath::Failed { attempt, failure },
    };
}

/// Moves to the next or previous finding, scrolling where it does not fit on the screen.
pub(super) fn step(model: &mut Model, by: isize) {
    let (columns, rows) = model.layout().pane_size();
    let page = diagnosis::page(model, columns, rows);
    let height = rows.saturating_sub(page.head.len()).max(1);
    let longest = page.body.len().saturating_sub(height);
    let inquiry = &mut model.inquiry;
    if by.unsigned_abs() > 1 {
        inquiry.top = inquiry.top.saturating_add_signed(by).min(longest);
        if by == isize::MAX || by == isize::MIN {
            inquiry.cursor = if by > 0 { page.findings.len().saturating_sub(1) } else { 0 };
        }
        return;
    }
    let (first, last) = (inquiry.top, inquiry.top + height);
    let current = page.findings.get(inquiry.cursor).cloned().unwrap_or(0..0);
    if by > 0 {
        let unseen = current.end > last || current.start >= last;
        match page.findings.get(inquiry.cursor + 1) {
            Some(next) if !unseen => {
                inquiry.cursor += 1;
                inquiry.top = shown(first, next, height).min(longest);
            }
            _ => inquiry.top = (first + 1).min(longest),
        }
    } else {
        let unseen = current.start < first;
        match inquiry.cursor.checked_sub(1).and_then(|at| page.findings.get(at)) {
            Some(previous) if !unseen && current.start < last => {
                inquiry.cursor -= 1;
                inquiry.top = shown(first, previous, height).min(longest);
            }
            _ => inquiry.top = first.saturating_sub(1),
        }
    }
}

/// The first line so that a finding is on the screen, from its head on.
fn shown(top: usize, finding: &std::ops::Range<usize>, height: usize) -> usize {
    top.max(finding.end.saturating_sub(height)).min(finding.start)
}

/// Opens or closes the evidence of the selected finding.
pub(super) fn evidence(model: &mut Model) {
    let Some(key) = model.inquiry.selected().map(FindingKey::of) else { return };
    if !model.inquiry.open.remove(&key) {
        model.inquiry.open.insert(key);
    }
    let (columns, rows) = model.layout().pane_size();
    let page = diagnosis::page(model, columns, rows);
    let height = rows.saturating_sub(page.head.len()).max(1);
    if let Some(finding) = page.findings.get(model.inquiry.cursor) {
        model.inquiry.top = shown(model.inquiry.top, finding, height);
    }
}

/// The next form of the path: as it fits, every word, lines, chain.
pub(super) fn path_form(model: &mut Model) {
    model.inquiry.path = match model.inquiry.path {
        PathForm::Fitting => PathForm::Full,
        PathForm::Full => PathForm::Lines,
        PathForm::Lines => PathForm::Chain,
        PathForm::Chain => PathForm::Fitting,
    };
}

/// Asks whether the report is to be redacted.
pub(super) fn offer_report(model: &mut Model) {
    match model.inquiry.story() {
        Some(story) => model.overlay = Overlay::Dialog(Dialog::Report(Box::new(story))),
        None => model.toast(Tone::Warn, "There is no full answer yet that a report could keep."),
    }
}

/// The report is kept, or it is not.
pub(super) fn report_saved(model: &mut Model, result: Result<String, Failure>) {
    match result {
        Ok(file) => model.toast(Tone::Ok, format!("The report is in {file}")),
        Err(failure) => {
            let next = failure.next_move.as_ref().map(|next| format!(" - {next}")).unwrap_or_default();
            model.toast(Tone::Bad, format!("{failure}{next}"));
        }
    }
}

/// Back to where the person came from.
pub(super) fn back(model: &mut Model) {
    let (focus, pane) = model.inquiry.from.take().unwrap_or((crate::tui::model::Focus::Tree, Pane::Detail));
    (model.focus, model.pane) = (focus, pane);
}

/// Keeps the scroll within what there is.
pub(super) fn keep_in_view(model: &mut Model) {
    if model.inquiry.top == 0 || model.pane != Pane::Diagnosis {
        return;
    }
    let (columns, rows) = model.layout().pane_size();
    let page = diagnosis::page(model, columns, rows);
    let height = rows.saturating_sub(page.head.len());
    model.inquiry.top = model.inquiry.top.min(page.body.len().saturating_sub(height));
}

/// Copies the whole answer as JSON.
pub(super) fn json(model: &Model) -> Option<String> {
    let json = model.inquiry.answer.as_ref()?.json();
    serde_json::to_string_pretty(&json).ok()
}
