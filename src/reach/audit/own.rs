//! What a group is told, in the words of one of its members: its own identifiers instead of the representative's. Pure.

use serde::Serialize;

use super::Group;
use crate::model::{InstanceId, Network, NetworkInterface, ResourceId};
use crate::reach::{Cause, Certainty, Code, Finding, Severity};

/// A finding without its evidence, which is the group's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    pub code: Code,
    pub cause: Cause,
    pub severity: Severity,
    pub certainty: Certainty,
    pub resource_id: Option<ResourceId>,
    pub summary: String,
}

/// The findings of a group as they are for `member`.
pub fn told_of(network: &Network, group: &Group, member: &InstanceId) -> Vec<Told> {
    let pairs =
        if *member == group.representative { Vec::new() } else { pairs(network, &group.representative, member) };
    group.diagnosis.findings.iter().map(|finding| told(finding, &pairs)).collect()
}

fn told(finding: &Finding, pairs: &[(String, String)]) -> Told {
    let resource_id = finding.resource_id.as_ref().map(|id| {
        let own = pairs.iter().find(|(theirs, _)| theirs == id.as_str());
        own.map_or_else(|| id.clone(), |(_, own)| ResourceId(own.clone()))
    });
    let mut summary = finding.summary.clone();
    for (theirs, own) in pairs {
        summary = renamed(&summary, theirs, own);
    }
    let Finding { cause, code, severity, certainty, .. } = finding;
    Told { code: *code, cause: *cause, severity: *severity, certainty: *certainty, resource_id, summary }
}

/// What belongs to an instance alone: the place of an identifier among these is the same for all members of a fate.
pub(super) fn names_of(network: &Network, id: &InstanceId) -> Vec<String> {
    let cards: Vec<&NetworkInterface> = network.network_interfaces.lookup_shown().of_instance(id).collect();
    let mut names = vec![id.to_string()];
    names.extend(cards.iter().map(|card| card.network_interface_id.to_string()));
    names.extend(cards.iter().filter_map(|card| card.private_ip).map(|address| address.to_string()));
    names
}

/// The representative's names and the member's.
fn pairs(network: &Network, representative: &InstanceId, member: &InstanceId) -> Vec<(String, String)> {
    let named = |id: &InstanceId| {
        let name = network.instances.shown().get(id.as_str()).and_then(|instance| instance.tags.name());
        name.map(|name| format!("{id} ({name})"))
    };
    let called = |id: &InstanceId| named(id).unwrap_or_else(|| id.to_string());
    let mut pairs: Vec<(String, String)> = Vec::new();
    if named(representative).is_some() {
        pairs.push((called(representative), called(member)));
    }
    pairs.extend(names_of(network, representative).into_iter().zip(names_of(network, member)));
    pairs
}

/// `text` with every whole word `from` replaced.
fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(from) {
        let left = before.chars().next_back().or(out.chars().next_back());
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut right = after.chars();
        let next = right.next();
        let goes_on =
            next.is_some_and(inside) || (next == Some('.') && right.next().is_some_and(|c| c.is_ascii_digit()));
        let begun = left.is_some_and(|c| inside(c) || c == '.');
        out.push_str(before);
        out.push_str(if begun || goes_on { from } else { to });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn only_whole_names_are_replaced() {
        assert_eq!(renamed("i-1 sends to i-10, i-1.", "i-1", "i-2"), "i-2 sends to i-10, i-2.");
        assert_eq!(
            renamed("10.8.2.5:40000 of 10.8.2.55 and 110.8.2.5", "10.8.2.5", "10.8.2.6"),
            "10.8.2.6:40000 of 10.8.2.55 and 110.8.2.5"
        );
        assert_eq!(renamed("eni-1 (10.8.2.5.1)", "10.8.2.5", "10.8.2.6"), "eni-1 (10.8.2.5.1)");
    }
}
