//! Who, where, and how old: two lines that are always there.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::{World, ago};
use crate::tui::model::{Model, Pace, Refresh, STALE_AFTER_S, Sight};
use crate::tui::theme::Tone;
use crate::tui::tree::Kind;
use crate::tui::widget::line::Line;
use crate::tui::widget::time;

use super::paint::Painter;

pub(super) fn draw(model: &Model, area: Rect, painter: &mut Painter<'_>) {
    let room = painter.line_right(area.x, area.y, area.width, &freshness(model), Style::new());
    painter.line(area.x, area.y, room, &world(model));
    let room = painter.line_right(area.x, area.y + 1, area.width, &gaps(model), Style::new());
    painter.line(area.x, area.y + 1, room, &identity(model));
}

fn world(model: &Model) -> Line {
    let line = Line::of(" natdeck ", Tone::Strong);
    let line = match &model.identity.world {
        World::Aws => line.and(" AWS ", Tone::WorldAws),
        World::Sandbox => line.and(" SANDBOX ", Tone::WorldSandbox),
        World::Endpoint(url) => line.and(format!(" ENDPOINT {url} "), Tone::WorldEndpoint),
    };
    if let Some(at) = model.settings.snapshot_of {
        return line.and(" ", Tone::Text).and(format!(" SNAPSHOT of {at:.0} "), Tone::BadgeWarn);
    }
    let line =
        if model.identity.read_only { line.and(" ", Tone::Text).and(" READ-ONLY ", Tone::BadgeWarn) } else { line };
    let line = match &model.checks.watching {
        Some(watching) => {
            let text = format!(" WATCH {} every {} s ", watching.instance_ids.len(), model.settings.watch_every_s);
            line.and(" ", Tone::Text).and(text, Tone::Badge)
        }
        None => line,
    };
    let line = match model.drills.badge(model.now) {
        Some(text) => line.and(" ", Tone::Text).and(format!(" {text} "), Tone::BadgeWarn),
        None => line,
    };
    match model.pace {
        Pace::Live => line,
        Pace::Frozen { since } => {
            line.and(" ", Tone::Text).and(format!(" FROZEN {} ", ago(model.now, since)), Tone::Badge)
        }
    }
}

fn freshness(model: &Model) -> Line {
    let asking = match &model.refresh {
        // A quick answer needs no sign of waiting.
        Refresh::Asking { since, .. } if model.now.duration_since(*since).as_millis() >= 300 => {
            Line::of(format!("{} ", time::spinner(model.now)), Tone::Busy)
        }
        Refresh::Asking { .. } | Refresh::Idle => Line::blank(),
    };
    let line = match &model.sight {
        Sight::Waiting { .. } => asking.and("waiting for the first answer", Tone::Dim),
        Sight::Blind { .. } => asking.and("✗ nothing could be seen", Tone::Bad),
        Sight::Seen(picture) => {
            let age = ago(model.now, picture.at);
            let stale = model.now.duration_since(picture.at).as_secs() >= STALE_AFTER_S;
            if model.settings.snapshot_of.is_some() {
                return Line::of(format!("taken {age}"), Tone::Warn).and(" ", Tone::Text);
            }
            match (&picture.failure, stale) {
                (Some(_), _) => asking.and(format!("✗ refresh failed, seen {age}"), Tone::Bad),
                (None, true) => asking.and(format!("stale, seen {age}"), Tone::Warn),
                (None, false) => asking.and(format!("seen {age}"), Tone::Dim),
            }
        }
    };
    line.and(" ", Tone::Text)
}

fn identity(model: &Model) -> Line {
    let identity = &model.identity;
    let mut line = Line::of(" account ", Tone::Dim);
    line = match (&identity.account_id, &model.identity_failure) {
        (Some(account), _) => line.and(account, Tone::Strong),
        (None, Some(_)) => line.and("? refused", Tone::Unknown),
        (None, None) => line.and("…", Tone::Dim),
    };
    line = line.and("  region ", Tone::Dim).and(&identity.region, Tone::Strong);
    line = line.and("  VPC ", Tone::Dim).and(vpc(model), Tone::Text);
    let profile = identity.profile.as_deref().unwrap_or("default chain");
    line.and("  profile ", Tone::Dim).and(profile, Tone::Text)
}

/// The VPC that the console was started for, or the only one, or how many.
fn vpc(model: &Model) -> String {
    let Some(seen) = model.seen() else {
        return model.settings.vpc_id.clone().unwrap_or_else(|| "…".to_owned());
    };
    let vpcs = seen.network.vpcs.shown();
    let one = match (&model.settings.vpc_id, vpcs.len()) {
        (Some(id), _) => Some(id.as_str()),
        (None, 1) => vpcs.keys().next(),
        (None, _) => None,
    };
    match one {
        Some(id) => match seen.resource(Kind::Vpc, id).and_then(|r| r.tags().name()) {
            // Where there is room, the identifier as well.
            Some(name) if model.size.0 >= 110 => format!("{name} {id}"),
            Some(name) => name.to_owned(),
            None => id.to_owned(),
        },
        None => format!("{} in the region", vpcs.len()),
    }
}

fn gaps(model: &Model) -> Line {
    let count = model.seen().map_or(0, |seen| seen.network.gaps().len());
    if count == 0 { Line::blank() } else { Line::of(format!("? {count} unknown "), Tone::Unknown) }
}
