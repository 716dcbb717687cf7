//! The way out of an instance, hop by hop, forward and back, drawn from top to bottom. Pure.

use std::net::Ipv4Addr;

use crate::model::{InstanceId, ago};
use crate::reach::{Decision, Direction, Disposition, Hop, Trace};
use crate::tui::effect::WalkDepth;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use crate::tui::tree::{Seen, label};
use crate::tui::widget::line::{Line, hang};
use crate::tui::widget::text::pad;
use crate::tui::widget::time;

/// How the section is headed.
const HEADING: &str = "Way out";
/// Columns of the components' names.
const COMPONENTS: usize = 18;

/// Whether the way cannot be told because nobody has asked the hosts on it.
pub fn wants_hosts(trace: &Trace) -> bool {
    trace.disposition == Disposition::InsufficientInformation
        && trace.unknown.iter().any(|unknown| unknown.what.contains("host"))
}

/// The section: a verdict, the hops, and the evidence of the one that stops the packet.
pub(super) fn lines(model: &Model, seen: &Seen, id: &InstanceId, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let heading = Line::of(HEADING, Tone::Heading);
    let way = model.ways.get(id);
    let asking = way.and_then(|way| way.asking).map(|(_, depth)| match depth {
        WalkDepth::Known => String::new(),
        WalkDepth::AskHosts => format!("  {} asking the hosts on it", time::spinner(model.now)),
    });
    let Some(trace) = way.and_then(|way| way.trace.as_ref()) else {
        lines.push(heading.and(asking.unwrap_or_default(), Tone::Busy));
        match way.and_then(|way| way.failure.as_ref()) {
            Some(failure) => {
                let (first, rest) = (Line::of("  ✗ ", Tone::Bad), Line::of("    ", Tone::Bad));
                lines.extend(hang(&first, &rest, &failure.to_string(), Tone::Text, columns));
            }
            None => lines.push(Line::of("  not followed yet", Tone::Dim)),
        }
        return lines;
    };
    let (word, tone) = match trace.disposition {
        Disposition::Delivered => ("delivered", Tone::Ok),
        Disposition::Dropped => ("dropped", Tone::Bad),
        Disposition::InsufficientInformation => ("cannot be told", Tone::Unknown),
    };
    let symbol = match trace.disposition {
        Disposition::Delivered => "✓",
        Disposition::Dropped => "✗",
        Disposition::InsufficientInformation => "?",
    };
    let mut head = heading.and(format!("  {symbol} {word}"), tone);
    if let Some(address) = trace.address {
        head = head.and(format!(" as {address}"), Tone::Strong);
    }
    if let Some(code) = trace.code() {
        head = head.and(format!("  {code}"), tone);
    }
    lines.push(head.and(asking.unwrap_or_default(), Tone::Busy));
    let flow = &trace.flow;
    let port = if flow.protocol.has_ports() { format!(" port {}", flow.destination_port) } else { String::new() };
    let mut about = format!("  {} to {}{port}", flow.protocol, flow.destination);
    if let Some(at) = way.and_then(|way| way.hosts_at) {
        about.push_str(&format!(", hosts asked {}", ago(model.now, at)));
    }
    lines.push(Line::of(about, Tone::Dim));
    lines.extend(hops(seen, trace, columns));
    if trace.disposition == Disposition::InsufficientInformation {
        let key = model.keymap.key_of(Action::Explain);
        let told = trace.stop().map_or("", |hop| hop.detail.as_str());
        for unknown in trace.unknown.iter().filter(|unknown| !told.contains(&unknown.to_string())) {
            let (first, rest) = (Line::of("    ? ", Tone::Unknown), Line::of("      ", Tone::Unknown));
            lines.extend(hang(&first, &rest, &unknown.to_string(), Tone::Unknown, columns));
        }
        if wants_hosts(trace) && model.identity.read_only {
            let why = "read-only: no command is sent to a host, so that it cannot be told";
            let (first, rest) = (Line::of("    → ", Tone::Accent), Line::of("      ", Tone::Dim));
            lines.extend(hang(&first, &rest, why, Tone::Text, columns));
        } else if wants_hosts(trace) {
            lines.push(
                Line::of("    → ", Tone::Accent).and(key, Tone::Key).and(" asks the hosts on the way", Tone::Text),
            );
        }
    }
    if let Some(failure) = way.and_then(|way| way.failure.as_ref()) {
        let (first, rest) = (Line::of("  ✗ ", Tone::Bad), Line::of("    ", Tone::Bad));
        lines.extend(hang(&first, &rest, &failure.to_string(), Tone::Text, columns));
    }
    lines
}

/// `10.8.2.237 port 443` as `10.8.2.237:443`: where a hop does its duty, few words will do.
pub fn short_ports(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let is_port = word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u16>().is_ok();
        match words.as_slice() {
            [.., address, port] if is_port && port == "port" && address.parse::<Ipv4Addr>().is_ok() => {
                words.pop();
                if let Some(address) = words.last_mut() {
                    address.push(':');
                    address.push_str(word);
                }
            }
            _ => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

fn hops(seen: &Seen, trace: &Trace, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut direction = Direction::Forward;
    let last = trace.hops.len().saturating_sub(1);
    let stopped = trace.disposition != Disposition::Delivered;
    for (at, hop) in trace.hops.iter().enumerate() {
        if hop.direction != direction {
            direction = hop.direction;
            lines.push(Line::of("  ├╴", Tone::Dim).and("reply", Tone::Accent));
        }
        let stops = stopped && at == last;
        lines.extend(self::hop(seen, hop, stops, at == last, columns));
    }
    lines
}

/// One hop: its mark, what it is, what it did; with the evidence where the packet stops.
fn hop(seen: &Seen, hop: &Hop, stops: bool, last: bool, columns: usize) -> Vec<Line> {
    let (mark, tone) = match hop.decision {
        Decision::Sent | Decision::Received => ("●", Tone::Accent),
        Decision::Allowed => ("✓", Tone::Ok),
        Decision::Routed => ("→", Tone::Ok),
        Decision::Translated => ("⇄", Tone::Ok),
        Decision::Denied => ("✗", Tone::Bad),
        Decision::Unknown => ("?", Tone::Unknown),
    };
    let component = hop.component.to_string();
    let name = pad(&component, COMPONENTS);
    let first = Line::of(format!("  {mark} "), tone).and(name, if stops { tone } else { Tone::Text });
    let bar = if last { "    " } else { "  │ " };
    let rest = Line::of(bar, Tone::Dim).and(" ".repeat(COMPONENTS), Tone::Dim);
    if !stops {
        // Names are shorter than identifiers; where the packet stops, the sentence is shown as it is.
        return hang(&first, &rest, &label::with_names(seen, &short_ports(&hop.detail)), Tone::Dim, columns);
    }
    let mut lines = hang(&first, &rest, &hop.detail, Tone::Strong, columns);
    for evidence in &hop.evidence {
        let source = Line::of("      ", Tone::Dim);
        lines.extend(hang(&source, &source, &evidence.source, Tone::Dim, columns));
        let text = Line::of("        ", Tone::Dim);
        lines.extend(hang(&text, &text, &evidence.text, Tone::Code, columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stands_beside_its_address() {
        let text = "Private lets tcp 10.8.2.237 port 40000 to 104.26.12.205 port 443, out of eni-1; port 22 is another";
        let short = "Private lets tcp 10.8.2.237:40000 to 104.26.12.205:443, out of eni-1; port 22 is another";
        assert_eq!(short_ports(text), short);
    }
}
