//! Keys that act on the tree and on what is selected in it.

use crate::model::InstanceId;
use crate::tui::arn;
use crate::tui::effect::Effect;
use crate::tui::message::Failure;
use crate::tui::model::{DetailMode, Focus, Model, Pane, Sight};
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, What};

use super::{answers, diagnosis, in_tree, panes, steps};

/// Folds, or goes to the parent; from a pane back to the tree.
pub(super) fn left(model: &mut Model) {
    if !in_tree(model) {
        model.focus = Focus::Tree;
        return;
    }
    if let Sight::Seen(picture) = &model.sight {
        model.tree.fold(&picture.seen);
    }
}

/// Unfolds; what has nothing to unfold leads into the pane.
pub(super) fn right(model: &mut Model) {
    if !in_tree(model) {
        return;
    }
    let Sight::Seen(picture) = &model.sight else { return };
    if !model.tree.unfold(&picture.seen) {
        model.focus = Focus::Pane;
    }
}

/// Headings fold and unfold; everything else shows its detail.
pub(super) fn open(model: &mut Model) {
    let Some(node) = model.selected().cloned() else { return };
    let Sight::Seen(picture) = &model.sight else { return };
    match node.what {
        What::Group(_) | What::NatInstances | What::Outside => {
            if !model.tree.unfold(&picture.seen) {
                model.tree.fold(&picture.seen);
            }
        }
        _ => panes::show(model, Pane::Detail),
    }
}

pub(super) fn describe(model: &mut Model) {
    model.detail.mode = DetailMode::Describe;
    panes::show(model, Pane::Detail);
}

pub(super) fn json(model: &mut Model) {
    model.detail.mode = match (model.pane, model.detail.mode) {
        (Pane::Detail, DetailMode::Json) => DetailMode::Describe,
        _ => DetailMode::Json,
    };
    model.detail.scroll = 0;
    super::reveal_pane(model, Pane::Detail);
}

pub(super) fn mark(model: &mut Model) {
    let Some(What::Resource(Kind::Instance, id)) = model.selected().map(|node| node.what.clone()) else {
        model.toast(Tone::Warn, "Only instances are marked: a check then asks the marked ones.");
        return;
    };
    let id = InstanceId::new(id.as_ref());
    if !model.marks.remove(&id) {
        model.marks.insert(id);
    }
    model.tree.step(1);
}

/// Copies what identifies the selection: an id, an address, in the log and in Steps the command line.
pub(super) fn copy_id(model: &mut Model, effects: &mut Vec<Effect>) {
    let text = match (model.focus, model.pane) {
        (Focus::Pane, Pane::Log) => model.log.calls.get(model.log.at()).map(|call| call.aws_cli.clone()),
        (Focus::Pane, Pane::Steps) => steps::script_of_selected(model),
        (Focus::Pane, Pane::Checks) => model.selected_instance().map(|id| id.to_string()),
        (Focus::Pane, Pane::Diagnosis) => {
            let resource = model.inquiry.selected().and_then(|finding| finding.resource_id.as_ref());
            resource.map(ToString::to_string).or_else(|| model.inquiry.about.as_ref().map(ToString::to_string))
        }
        _ => model.selected().and_then(|node| node.what.resource_id()).map(|(_, id)| id.to_owned()),
    };
    copy(model, text, effects);
}

pub(super) fn copy_arn(model: &mut Model, effects: &mut Vec<Effect>) {
    let selected = model.selected().and_then(|node| node.what.resource_id());
    let Some((kind, id)) = selected else {
        copy(model, None, effects);
        return;
    };
    match arn::of(&model.identity, kind, id) {
        Some(text) => copy(model, Some(text), effects),
        None => model.toast(Tone::Warn, "The ARN needs the account's number, which AWS has not told yet."),
    }
}

/// Copies the diagnosis as a document.
pub(super) fn copy_json(model: &mut Model, effects: &mut Vec<Effect>) {
    match diagnosis::json(model) {
        Some(text) => {
            model.toast(Tone::Ok, format!("Copied the diagnosis as JSON, {} lines.", text.lines().count()));
            effects.push(Effect::Copy { text });
        }
        None => model.toast(Tone::Warn, "There is no diagnosis yet to copy."),
    }
}

fn copy(model: &mut Model, text: Option<String>, effects: &mut Vec<Effect>) {
    match text {
        Some(text) => {
            let shown = crate::tui::widget::text::clean(&text).into_owned();
            model.toast(Tone::Ok, format!("Copied {}", crate::tui::widget::text::fit(&shown, 60)));
            effects.push(Effect::Copy { text });
        }
        None => model.toast(Tone::Warn, "There is nothing to copy here: select a resource."),
    }
}

/// A shell on the selected instance.
pub(super) fn shell(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(instance_id) = model.selected_instance() else {
        model.toast(Tone::Warn, "No instance here. Select one to open a shell on it.");
        return;
    };
    effects.push(Effect::Shell { instance_id });
}

/// The shell has ended, and may have changed what is on the screen.
pub(super) fn shell_ended(model: &mut Model, result: Result<(), Failure>, effects: &mut Vec<Effect>) {
    if let Err(failure) = result {
        let next = failure.next_move.as_ref().map(|next| format!(" - {next}")).unwrap_or_default();
        model.toast(Tone::Bad, format!("{failure}{next}"));
    }
    answers::refresh(model, false, effects);
}
