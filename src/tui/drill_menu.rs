//! What the console remembers of drills: the menu, what is being broken, and what is broken. Pure data.

use jiff::Timestamp;
use tui_input::Input;

use crate::model::{InstanceId, ago};
use crate::reach::{Cause, Place, Severity};

use super::drill::{Broken, Drill};
use super::effect::Generation;
use super::message::Failure;

/// What was broken on purpose and is not known to be mended.
#[derive(Debug, Default)]
pub struct Drills {
    /// Under way; `true`: the person does not know what.
    pub breaking: Option<(Generation, bool)>,
    /// Oldest first.
    pub ongoing: Vec<OngoingDrill>,
}

/// One drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingDrill {
    pub broken: Broken,
    /// The person was not told what.
    pub surprise: bool,
    pub since: Timestamp,
    /// A diagnosis has named it.
    pub found: bool,
}

/// The menu of what can be broken.
#[derive(Debug)]
pub struct DrillMenu {
    /// Whom it is about. `None`: whoever fits.
    pub instance_id: Option<InstanceId>,
    pub menu: Menu,
    /// What the list is filtered by.
    pub typed: Input,
    pub cursor: usize,
    pub top: usize,
}

#[derive(Debug)]
pub enum Menu {
    Asking { generation: Generation, since: Timestamp },
    Listed(Vec<Drill>),
    Refused(Failure),
}

impl Drills {
    /// For the header. `None`: nothing is broken on purpose.
    pub fn badge(&self, now: Timestamp) -> Option<String> {
        if self.breaking.is_some() {
            return Some("DRILL breaking …".to_owned());
        }
        let newest = self.ongoing.last()?;
        let what = match (self.ongoing.len(), newest.surprise && !newest.found) {
            (1, true) => "something".to_owned(),
            (1, false) => newest.broken.cause.name(),
            (count, _) => format!("{count} things"),
        };
        Some(format!("DRILL {what} broken {}", ago(now, newest.since)))
    }
}

impl DrillMenu {
    /// The rows that the filter leaves. `None` is the surprise, which comes first.
    pub fn rows(&self) -> Vec<Option<&Drill>> {
        let Menu::Listed(drills) = &self.menu else { return Vec::new() };
        let wanted = self.typed.value().trim().to_lowercase();
        let fits = |text: &str| text.to_lowercase().contains(&wanted);
        let surprise = (fits("surprise me") && !self.surprises().is_empty()).then_some(None);
        let fitting = drills.iter().filter(|drill| fits(&drill.cause.name()) || fits(&drill.does));
        surprise.into_iter().chain(fitting.map(Some)).collect()
    }

    /// What a surprise is chosen from: what stops packets and natdeck can mend.
    pub fn surprises(&self) -> Vec<Cause> {
        let Menu::Listed(drills) = &self.menu else { return Vec::new() };
        let surprising =
            |cause: &Cause| cause.severity() == Severity::Breaks && cause.place() != Place::Test && cause.repairable();
        drills.iter().map(|drill| drill.cause).filter(surprising).collect()
    }
}
