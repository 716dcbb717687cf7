//! What the Detail pane says about the selected node, as toned lines. Pure.

mod node;
mod section;
mod way;

use crate::model::Resource;
use crate::tui::model::{DetailMode, Model, Sight};
use crate::tui::theme::Tone;
use crate::tui::tree::{Kind, What, label};
use crate::tui::widget::line::{Line, hang};

pub use node::verdict_tone;
use section::Sections;
pub use way::{short_ports, wants_hosts};

/// All lines for a pane of `columns`.
pub fn lines(model: &Model, columns: usize) -> Vec<Line> {
    let picture = match &model.sight {
        Sight::Waiting { .. } => return vec![Line::of("Asking AWS …", Tone::Dim)],
        Sight::Blind { failure } => {
            let prefix = Line::of("✗ ", Tone::Bad);
            let mut lines = hang(&prefix, &Line::of("  ", Tone::Bad), &failure.to_string(), Tone::Bad, columns);
            if let Some(next) = &failure.next_move {
                lines.extend(hang(
                    &Line::of("→ ", Tone::Accent),
                    &Line::of("  ", Tone::Dim),
                    next,
                    Tone::Text,
                    columns,
                ));
            }
            return lines;
        }
        Sight::Seen(picture) => picture,
    };
    let seen = &picture.seen;
    let Some(selected) = model.selected() else {
        return vec![Line::of("Nothing here. Esc clears the filter.", Tone::Dim)];
    };
    let found = selected.what.resource_id().and_then(|(kind, id)| seen.resource(kind, id));
    match (&selected.what, found) {
        (_, Some(resource)) if model.detail.mode == DetailMode::Json => json(resource, columns),
        (_, Some(resource)) => {
            let mut sections = Sections::new(columns);
            node::describe(&mut sections, model, seen, resource);
            let mut lines = vec![title(resource), Line::blank()];
            let mut body = sections.into_lines();
            if let (What::Resource(Kind::Instance, _), Resource::Instance(instance)) = (&selected.what, resource) {
                // After the first section, which says what it is, comes what people open an instance for.
                let at = body.iter().position(|line| line.0.is_empty()).map_or(body.len(), |at| at + 1);
                let rest = body.split_off(at);
                lines.append(&mut body);
                lines.extend(way::lines(model, seen, &instance.instance_id, columns));
                lines.push(Line::blank());
                lines.extend(rest);
            } else {
                lines.extend(body);
            }
            lines
        }
        (What::Unknown(at), None) => {
            let mut sections = Sections::new(columns);
            if let Some(gap) = seen.network.gaps().get(*at) {
                sections.open("Unknown");
                sections.pair_toned("what", &gap.what, Tone::Unknown);
                sections.pair("reason", &gap.reason);
                sections.open("What this means");
                sections
                    .note("It is not known whether there is anything of this kind, and nothing is concluded from it.");
                sections.note("What is shown of it, if anything, is from an earlier answer.");
            }
            sections.into_lines()
        }
        (_, None) => {
            let heading = label::label(seen, selected).text();
            vec![Line::of(heading, Tone::Strong), Line::blank(), Line::of("Enter folds and unfolds.", Tone::Dim)]
        }
    }
}

fn title(resource: Resource<'_>) -> Line {
    let name = label::name_of(resource);
    let line = Line::of(name, Tone::Strong);
    if name == resource.id() { line } else { line.and(format!("  {}", resource.id()), Tone::Dim) }
}

/// The resource as JSON, as the tree's JSON document writes it.
fn json(resource: Resource<'_>, columns: usize) -> Vec<Line> {
    let text = match resource {
        Resource::Vpc(r) => serde_json::to_string_pretty(r),
        Resource::Subnet(r) => serde_json::to_string_pretty(r),
        Resource::RouteTable(r) => serde_json::to_string_pretty(r),
        Resource::InternetGateway(r) => serde_json::to_string_pretty(r),
        Resource::EgressOnlyInternetGateway(r) => serde_json::to_string_pretty(r),
        Resource::NatGateway(r) => serde_json::to_string_pretty(r),
        Resource::NetworkInterface(r) => serde_json::to_string_pretty(r),
        Resource::Instance(r) => serde_json::to_string_pretty(r),
        Resource::SecurityGroup(r) => serde_json::to_string_pretty(r),
        Resource::NetworkAcl(r) => serde_json::to_string_pretty(r),
        Resource::Address(r) => serde_json::to_string_pretty(r),
        Resource::VpcEndpoint(r) => serde_json::to_string_pretty(r),
        Resource::InstanceProfile(r) => serde_json::to_string_pretty(r),
    };
    match text {
        Ok(text) => text.lines().flat_map(|line| json_line(line, columns)).collect(),
        Err(error) => vec![Line::of(format!("cannot be written as JSON: {error}"), Tone::Bad)],
    }
}

fn json_line(line: &str, columns: usize) -> Vec<Line> {
    let body = line.trim_start();
    let indent = " ".repeat(line.len() - body.len());
    let key_end = body.strip_prefix('"').and_then(|rest| rest.find("\": ")).map(|at| at + 4);
    let (key, value) = body.split_at(key_end.unwrap_or(0));
    let tone = match value.chars().next() {
        Some('"') => Tone::Code,
        Some('{' | '}' | '[' | ']') | None => Tone::Dim,
        Some(_) => Tone::Warn,
    };
    let first = Line::of(&indent, Tone::Text).and(key, Tone::Accent);
    let rest = Line::of(" ".repeat(first.width()), Tone::Text);
    hang(&first, &rest, value, tone, columns)
}
