//! Questions in a box in the middle.

use ratatui::layout::Rect;

use crate::model::World;
use crate::saga::RunMode;
use crate::tui::diagnosis::{no_repair, repair_lines};
use crate::tui::model::{Dialog, Model};
use crate::tui::theme::Tone;
use crate::tui::widget::line::{Line, hang};

use super::paint::Painter;

/// Draws the dialog and says where the text cursor goes.
pub(super) fn draw(model: &Model, dialog: &Dialog, area: Rect, painter: &mut Painter<'_>) -> Option<(u16, u16)> {
    // Commands are long; questions are read best when they are not wide.
    let widest = if matches!(dialog, Dialog::Repair(_)) { 100 } else { 72 };
    let width = area.width.saturating_sub(4).min(widest);
    let columns = usize::from(width.saturating_sub(4));
    let blank = Line::blank();
    let text = |text: &str, tone| hang(&blank, &blank, text, tone, columns);
    let mut lines = Vec::new();
    let mut typed = None;
    let mut scrolled = None;
    let (title, tone) = match dialog {
        Dialog::Run { mode } => {
            lines.extend(text(&what_runs(model, mode), Tone::Strong));
            lines.push(target(model));
            for cost in model.session().map(|session| session.cost.as_slice()).unwrap_or_default() {
                lines.extend(text(cost, Tone::Dim));
            }
            lines.push(Line::blank());
            lines.push(answers(&[("y", "run"), ("Esc", "not now")]));
            (" Run these steps? ", Tone::BorderFocus)
        }
        Dialog::TearDown { mode, typed: input } => {
            let stack = model.session().map_or("", |session| session.plan.stack.as_str());
            lines.extend(text(&what_runs(model, mode), Tone::Strong));
            lines.push(target(model));
            lines.extend(text("What is deleted does not come back.", Tone::Bad));
            lines.push(Line::blank());
            lines.push(Line::of("Type ", Tone::Text).and(stack, Tone::Strong).and(" to agree:", Tone::Text));
            typed = Some((lines.len(), input.visual_cursor()));
            lines.push(Line::of("› ", Tone::Accent).and(input.value(), Tone::Strong));
            lines.push(Line::blank());
            lines.push(answers(&[("Enter", "tear down"), ("Esc", "not now")]));
            (" Tear down ", Tone::Danger)
        }
        Dialog::Undo { title } => {
            lines.extend(text(&format!("Takes back: {title}"), Tone::Strong));
            lines.push(target(model));
            lines.push(Line::blank());
            lines.push(answers(&[("y", "undo"), ("Esc", "not now")]));
            (" Undo the last step? ", Tone::Danger)
        }
        Dialog::Repair(repair) => {
            let asked = if repair.must_type() { 4 } else { 2 };
            let room = usize::from(area.height).saturating_sub(2 + 2 + asked);
            let told = &repair.mend.repair;
            let mut about = text(&told.title, Tone::Strong);
            about.push(target(model));
            about.extend(repair_lines(told, columns));
            let longest = about.len().saturating_sub(room);
            let top = repair.scroll.min(longest);
            lines.extend(about.drain(..).skip(top).take(room));
            if longest > 0 {
                scrolled = Some((top, room, longest + room));
            }
            lines.push(Line::blank());
            if repair.must_type() {
                lines.push(Line::of("Type ", Tone::Text).and("yes", Tone::Strong).and(" to agree:", Tone::Text));
                typed = Some((lines.len(), repair.typed.visual_cursor()));
                lines.push(Line::of("› ", Tone::Accent).and(repair.typed.value(), Tone::Strong));
                lines.push(with_scroll(("Enter", "repair"), longest));
                (" Repair: lets more pass than the packets in question ", Tone::Danger)
            } else {
                lines.push(with_scroll(("y", "repair"), longest));
                (" Repair? ", Tone::BorderFocus)
            }
        }
        Dialog::Report(story) => {
            lines.extend(text(
                "Keeps this diagnosis with all that it rests on in a file of the folder where natdeck was started.",
                Tone::Strong,
            ));
            let repairs = match story.tried.len() {
                0 => String::new(),
                1 => ", the repair that was tried".to_owned(),
                count => format!(", the {count} repairs that were tried"),
            };
            let holds = format!(
                "Verdict, path, causes, evidence{repairs}, the snapshot and the API calls. natdeck --snapshot FILE opens it later, without AWS."
            );
            lines.extend(text(&holds, Tone::Text));
            lines.extend(text("Redacted, account numbers, addresses and who asked become stand-ins.", Tone::Text));
            lines.push(Line::blank());
            lines.push(answers(&[("y", "as it is"), ("r", "redacted"), ("Esc", "not now")]));
            (" Incident report ", Tone::BorderFocus)
        }
        Dialog::NoRepair { finding } => {
            lines.extend(text(&finding.cause.name(), Tone::Strong));
            lines.extend(text(&finding.summary, Tone::Text));
            lines.push(Line::blank());
            lines.extend(text(&no_repair(finding), Tone::Warn));
            lines.extend(text(finding.cause.explanation(), Tone::Text));
            lines.push(Line::blank());
            lines.push(answers(&[("Esc", "back")]));
            (" No repair ", Tone::BorderFocus)
        }
        Dialog::Quit => {
            lines.extend(text("A step is running. What it has begun in AWS goes on without natdeck.", Tone::Strong));
            lines.extend(text("The journal remembers it: the same plan can be run on later.", Tone::Text));
            lines.push(Line::blank());
            lines.push(answers(&[("s", "stop after this step"), ("y", "quit now"), ("Esc", "stay")]));
            (" Quit? ", Tone::Danger)
        }
    };
    let height = u16::try_from(lines.len() + 2).unwrap_or(area.height).min(area.height);
    let frame = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + area.height.saturating_sub(height) / 2,
        width,
        height,
    };
    painter.clear(frame);
    let heading = if tone == Tone::Danger { Tone::Danger } else { Tone::Heading };
    painter.frame_toned(frame, &Line::of(title, heading), tone);
    let inside =
        Rect { x: frame.x + 2, y: frame.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) };
    painter.lines(inside, &lines);
    if let Some((top, height, rows)) = scrolled {
        painter.scroll_mark(frame, top, height, rows);
    }
    typed.map(|(row, column)| {
        let x = inside.x + 2 + u16::try_from(column).unwrap_or(0);
        (x.min(inside.right().saturating_sub(1)), inside.y + u16::try_from(row).unwrap_or(0))
    })
}

fn what_runs(model: &Model, mode: &RunMode) -> String {
    let Some(session) = model.session() else { return String::new() };
    let remaining = session.plan.steps.len() - session.done();
    let title = |id: &str| {
        let step = session.step_at(id).and_then(|at| session.plan.steps.get(at));
        step.map_or_else(|| id.to_owned(), |step| step.title.clone())
    };
    let plural = if remaining == 1 { "" } else { "s" };
    match mode {
        RunMode::One => session
            .next()
            .and_then(|at| session.plan.steps.get(at))
            .map_or_else(String::new, |step| format!("Runs one step: {}", step.title)),
        RunMode::All => format!("Runs the {remaining} step{plural} that remain, of stack '{}'.", session.plan.stack),
        RunMode::Until(id) => format!("Runs what is needed up to and with: {}", title(id)),
    }
}

/// Where it would happen: so that nobody does it in the wrong account.
fn target(model: &Model) -> Line {
    let identity = &model.identity;
    let account = identity.account_id.as_deref().unwrap_or("unknown");
    let line = Line::of("in ", Tone::Dim);
    let line = match &identity.world {
        World::Aws => line.and(" AWS ", Tone::WorldAws),
        World::Sandbox => line.and(" SANDBOX ", Tone::WorldSandbox),
        World::Endpoint(url) => line.and(format!(" {url} "), Tone::WorldEndpoint),
    };
    line.and(format!("  account {account}, region {}", identity.region), Tone::Text)
}

/// The answers to a question of which so many lines do not fit.
fn with_scroll(agree: (&str, &str), hidden: usize) -> Line {
    match hidden {
        0 => answers(&[agree, ("Esc", "not now")]),
        _ => answers(&[agree, ("↑ ↓", "scroll"), ("Esc", "not now")]),
    }
}

fn answers(keys: &[(&str, &str)]) -> Line {
    let mut line = Line::blank();
    for (at, (key, meaning)) in keys.iter().enumerate() {
        if at > 0 {
            line = line.and("   ", Tone::Dim);
        }
        line = line.and(*key, Tone::Key).and(format!(" {meaning}"), Tone::Text);
    }
    line
}
