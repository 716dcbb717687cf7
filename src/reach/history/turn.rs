//! The moment at which an instance's egress changed, in words. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Sample, Standing};
use crate::model::InstanceId;
use crate::model::diff::Note;
use crate::reach::Verdict;

/// So many changes of the VPC are told in one sentence; the others are counted.
const NOTES_TOLD: usize = 3;

/// The time of day, in UTC: `03:12:07`.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// What kind of change it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TurnKind {
    EgressLost,
    /// As it always was, again, or for the first time.
    EgressRestored,
    /// The NAT's own address is another.
    AddressDrift,
    /// Egress works, by something else than usual.
    SilentFailover,
    /// Still no egress, or still not testable, for another reason.
    CauseChanged,
    /// It cannot be tested any more, which says nothing of its egress.
    NotTestable,
}

impl TurnKind {
    pub(super) fn of(from: Standing, to: Standing) -> Self {
        match to {
            Standing::NoEgress | Standing::CannotTest if from == to => Self::CauseChanged,
            Standing::NoEgress => Self::EgressLost,
            Standing::CannotTest => Self::NotTestable,
            Standing::AddressDrift => Self::AddressDrift,
            Standing::SilentFailover => Self::SilentFailover,
            Standing::Usual => Self::EgressRestored,
        }
    }

    /// As it is printed: `ADDRESS_DRIFT`.
    pub fn code(self) -> &'static str {
        match self {
            Self::EgressLost => "EGRESS_LOST",
            Self::EgressRestored => "EGRESS_RESTORED",
            Self::AddressDrift => "ADDRESS_DRIFT",
            Self::SilentFailover => "SILENT_FAILOVER",
            Self::CauseChanged => "CAUSE_CHANGED",
            Self::NotTestable => "NOT_TESTABLE",
        }
    }

    /// Whether it is for the better.
    pub fn is_good(self) -> bool {
        self == Self::EgressRestored
    }

    /// Whether packets took another turn, so that something in the VPC, on a host or outside must have changed.
    fn has_a_reason(self) -> bool {
        !matches!(self, Self::NotTestable | Self::CauseChanged)
    }
}

/// A moment of change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub instance_id: InstanceId,
    pub name: Option<String>,
    pub kind: TurnKind,
    /// The last answer before it. The change happened between `from.at` and `to.at`.
    pub from: Sample,
    pub to: Sample,
    /// The usual way out at that time.
    pub usual: Option<Sample>,
    /// What changed in the VPC around the instance's way out between the two answers.
    pub notes: Vec<Note>,
}

impl Turn {
    /// What happened, without who: `left by i-… as 3.64.126.205, now nothing comes back (BLACKHOLE_ROUTE)`.
    pub fn what(&self) -> String {
        match self.kind {
            TurnKind::AddressDrift | TurnKind::SilentFailover => deviation(&self.to, self.usual.as_ref()),
            _ => format!("{}, before: {}", state(&self.to), state(&self.from)),
        }
    }

    /// The change in the VPC that came with it, with the time at which it was seen.
    pub fn why(&self) -> Option<String> {
        let at = clock(self.to.at);
        let told: Vec<String> =
            self.notes.iter().take(NOTES_TOLD).map(|note| format!("{} at {at}", note.text)).collect();
        match self.notes.len() {
            0 if self.kind.has_a_reason() => {
                Some("nothing that natdeck sees in the VPC changed with it: look at the hosts, or outside".to_owned())
            }
            0 => None,
            count if count > NOTES_TOLD => {
                Some(format!("{}; and {} more changes", told.join("; "), count - NOTES_TOLD))
            }
            _ => Some(told.join("; ")),
        }
    }

    /// Everything on one line, without the time.
    pub fn sentence(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let why = self.why().map_or_else(String::new, |why| format!(": {why}"));
        format!("{} {}{name} {}{why}", self.kind.code(), self.instance_id, self.what())
    }
}

/// One answer in a few words.
fn state(sample: &Sample) -> String {
    let code = sample.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    match (sample.verdict, sample.address) {
        (Verdict::ViaNat | Verdict::OtherWayOut, Some(address)) => {
            format!("{} as {address}{code}", sample.verdict.label())
        }
        _ => format!("{}{code}", sample.verdict.label()),
    }
}

/// Where it leaves now, against where it usually does.
pub(super) fn deviation(now: &Sample, usual: Option<&Sample>) -> String {
    let address = now.address.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
    let by = |sample: &Sample| match (sample.verdict, &sample.way_out) {
        // The route names the NAT, and the packet came by something else.
        (Verdict::OtherWayOut, Some(way)) => format!("not by {way}, which its route names"),
        (_, Some(way)) => format!("by {way}"),
        (_, None) => "by no route that can be seen".to_owned(),
    };
    let before = usual.map_or_else(String::new, |usual| {
        let address = usual.address.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
        if usual.way_out == now.way_out && now.verdict == Verdict::ViaNat {
            format!(" instead of {address}")
        } else {
            format!(" instead of {address} {}", by(usual))
        }
    });
    format!("leaves as {address} {}{before}", by(now))
}
