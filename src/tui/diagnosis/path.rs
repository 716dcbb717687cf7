//! The path of a packet there and back, as lines: a mark at each hop, and what drops it standing out. Pure.

use super::PathForm;
use crate::reach::{Decision, Diagnosis, Direction, Hop};
use crate::tui::detail::short_ports;
use crate::tui::theme::Tone;
use crate::tui::tree::{Seen, label};
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::{fit, pad, width};

/// Columns of the components' names.
const COMPONENTS: usize = 18;
/// Columns of the directions before a chain.
const LABEL: usize = 6;
/// Columns of mark and indent.
const MARK: usize = 4;

/// The path in `form`, which is not [`PathForm::Fitting`] any more.
pub(super) fn lines(seen: Option<&Seen>, diagnosis: &Diagnosis, form: PathForm, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut direction = None;
    let mut chain = Chain { columns, ..Chain::default() };
    let stopped_at = diagnosis.stopped_at();
    for (at, hop) in diagnosis.path.iter().enumerate() {
        if direction != Some(hop.direction) {
            chain.flush(&mut lines);
            direction = Some(hop.direction);
            let way = if hop.direction == Direction::Forward { "out" } else { "back" };
            if form == PathForm::Chain {
                chain.label = way;
            } else {
                lines.push(Line::of(format!("  {way}"), Tone::Accent));
            }
        }
        match hop.decision {
            Decision::Denied | Decision::Unknown => {
                chain.flush(&mut lines);
                if chain.dropped {
                    // Only where it ends now is told in full; the rest is among the findings.
                    lines.push(bites_next(hop, columns));
                } else {
                    lines.extend(standing_out(hop, columns));
                }
                if stopped_at == Some(at) && at + 1 < diagnosis.path.len() {
                    chain.dropped = true;
                    let text = match hop.decision {
                        Decision::Denied => "here it ends; what follows is how it would go on",
                        _ => "from here on nobody knows; what follows is how it would go on",
                    };
                    lines.push(Line::of(format!("  ╎ {text}"), Tone::Dim));
                }
            }
            _ if form == PathForm::Chain => chain.add(hop, &mut lines),
            _ => lines.extend(passing(seen, hop, form, chain.dropped, columns)),
        }
    }
    chain.flush(&mut lines);
    lines
}

/// What passes, several hops on a line.
#[derive(Default)]
struct Chain {
    columns: usize,
    line: Line,
    /// The direction, said at its first hop.
    label: &'static str,
    /// The packet does not come here.
    dropped: bool,
}

impl Chain {
    fn add(&mut self, hop: &Hop, lines: &mut Vec<Line>) {
        let (mark, tone) = mark(hop, self.dropped);
        let name = hop.component.to_string();
        if !self.line.0.is_empty() && self.line.width() + 4 + width(&name) > self.columns {
            self.flush(lines);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.0.is_empty() {
            line = Line::of(pad(&format!("  {}", std::mem::take(&mut self.label)), LABEL), Tone::Accent);
        }
        let name_tone = if self.dropped { Tone::Dim } else { Tone::Text };
        self.line = line.and(format!("  {mark} "), tone).and(name, name_tone);
    }

    fn flush(&mut self, lines: &mut Vec<Line>) {
        if !self.line.0.is_empty() {
            lines.push(std::mem::take(&mut self.line));
        }
    }
}

fn mark(hop: &Hop, dropped: bool) -> (&'static str, Tone) {
    match hop.decision {
        Decision::Denied => ("✗", Tone::Bad),
        Decision::Unknown => ("?", Tone::Unknown),
        _ if dropped => ("·", Tone::Dim),
        _ => ("✓", Tone::Ok),
    }
}

/// A hop that does not let the packet pass, or may not: in full.
fn standing_out(hop: &Hop, columns: usize) -> Vec<Line> {
    let (mark, tone) = mark(hop, false);
    let first = Line::of(format!("  {mark} "), tone).and(pad(&hop.component.to_string(), COMPONENTS), tone);
    let rest = Line::of(" ".repeat(MARK + COMPONENTS), Tone::Dim);
    hang(&first, &rest, &hop.detail, if hop.decision == Decision::Denied { Tone::Strong } else { tone }, columns)
}

/// A hop that would not let the packet pass, came it there.
fn bites_next(hop: &Hop, columns: usize) -> Line {
    let (mark, tone) = mark(hop, false);
    let line = Line::of(format!("  {mark} "), tone).and(pad(&hop.component.to_string(), COMPONENTS), tone);
    let room = columns.saturating_sub(line.width());
    line.and(fit(&short_ports(&hop.detail), room), Tone::Text)
}

/// A hop that does its duty.
fn passing(seen: Option<&Seen>, hop: &Hop, form: PathForm, dropped: bool, columns: usize) -> Vec<Line> {
    let (mark, tone) = mark(hop, dropped);
    let component = pad(&hop.component.to_string(), COMPONENTS);
    let first = Line::of(format!("  {mark} "), tone).and(component, if dropped { Tone::Dim } else { Tone::Text });
    let short = short_ports(&hop.detail);
    let detail = seen.map_or_else(|| short.clone(), |seen| label::with_names(seen, &short));
    if form == PathForm::Full {
        return hang(&first, &Line::of(" ".repeat(MARK + COMPONENTS), Tone::Dim), &detail, Tone::Dim, columns);
    }
    let room = columns.saturating_sub(first.width());
    vec![first.and(fit(&detail, room), Tone::Dim)]
}
