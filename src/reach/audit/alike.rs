//! Groups that are told the same although they share less than everything: one broken NAT, many subnets. Pure.

use std::collections::HashMap;

use super::{Audit, Group};
use crate::model::{Network, ResourceId};
use crate::reach::{Cause, Certainty, Disposition, Severity};

/// A finding for comparison: what it is and what it is about.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    cause: Cause,
    severity: Severity,
    certainty: Certainty,
    about: About,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum About {
    Nothing,
    /// What belongs to the instance itself, by its place among the instance's names.
    Own(usize),
    Shared(ResourceId),
}

/// The groups of an audit, those together whose findings are the same: what is broken first, and of that what is broken
/// for the most instances. The first of each has the most members.
pub fn alike<'a>(network: &Network, audit: &'a Audit) -> Vec<Vec<&'a Group>> {
    let mut places: HashMap<(u8, bool, Vec<Kind>), usize> = HashMap::new();
    let mut merged: Vec<Vec<&Group>> = Vec::new();
    for group in &audit.groups {
        let kinds = kinds(network, group);
        let key = (rank(group), group.tested.is_empty(), kinds);
        let at = *places.entry(key).or_insert(merged.len());
        match merged.get_mut(at) {
            Some(groups) => groups.push(group),
            None => merged.push(vec![group]),
        }
    }
    for groups in &mut merged {
        groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    }
    let size = |groups: &[&Group]| groups.iter().map(|group| group.members.len()).sum::<usize>();
    merged.sort_by_key(|groups| (groups.first().map(|group| rank(group)), std::cmp::Reverse(size(groups))));
    merged
}

/// What an operator reads first.
fn rank(group: &Group) -> u8 {
    match (group.diagnosis.disposition, group.diagnosis.first_break().is_some()) {
        (Disposition::Dropped, _) => 0,
        (Disposition::Delivered, true) => 1,
        (Disposition::InsufficientInformation, true) => 2,
        (Disposition::InsufficientInformation, false) => 3,
        (Disposition::Delivered, false) => 4,
    }
}

fn kinds(network: &Network, group: &Group) -> Vec<Kind> {
    let own = super::own::names_of(network, &group.representative);
    let about = |id: &Option<ResourceId>| match id {
        None => About::Nothing,
        Some(id) => match own.iter().position(|name| name == id.as_str()) {
            Some(at) => About::Own(at),
            None => About::Shared(id.clone()),
        },
    };
    let findings = group.diagnosis.findings.iter();
    findings
        .map(|finding| Kind {
            cause: finding.cause,
            severity: finding.severity,
            certainty: finding.certainty,
            about: about(&finding.resource_id),
        })
        .collect()
}
