//! The state of the console: everything that the screen is a function of. Pure data with small helpers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use tui_input::Input;

use crate::model::{ApiCall, Identity, InstanceId};
use crate::reach::{Finding, FindingKey, Trace};
use crate::saga::RunMode;

mod checks;
mod session;

pub use checks::{CheckRow, Checks, Count, Watching};
pub use session::{Activity, Consent, Script, Session, StepProgress, Steps};

use super::diagnosis::{Inquiry, Mend, Story};
use super::drill_menu::{DrillMenu, Drills, Menu};
use super::effect::{Generation, WalkDepth};
use super::keymap::{Keymap, Place};
use super::layout::Layout;
use super::message::Failure;
use super::theme::Tone;
use super::tree::{Kind, Node, Seen, Tree, What};

/// How many entries of the API log are kept.
pub const LOG_LIMIT: usize = 2_000;
/// After this long without a new answer the picture is called stale.
pub const STALE_AFTER_S: i64 = 60;
/// How long a short message stays.
pub const TOAST_S: i64 = 6;

/// What the person configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Seconds between refreshes. 0: only by hand.
    pub refresh_every_s: i64,
    /// The VPC that the console was started for. `None`: all of the region.
    pub vpc_id: Option<String>,
    /// The stack that provisioning makes and teardown proposes.
    pub stack: String,
    /// Seconds between the beginnings of two rounds of a watch.
    pub watch_every_s: i64,
    /// What is shown is a snapshot of this time, from a file. `None`: a world that can be asked.
    pub snapshot_of: Option<Timestamp>,
    /// The instance whose diagnosis the console opens with. `None`: it opens with the tree.
    pub about: Option<InstanceId>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            refresh_every_s: 15,
            vpc_id: None,
            stack: "natdeck".to_owned(),
            watch_every_s: 30,
            snapshot_of: None,
            about: None,
        }
    }
}

/// The whole console.
#[derive(Debug)]
pub struct Model {
    pub now: Timestamp,
    /// Columns and rows.
    pub size: (u16, u16),
    pub settings: Settings,
    pub keymap: Arc<Keymap>,
    pub identity: Identity,
    /// Why the account is not known.
    pub identity_failure: Option<Failure>,
    pub sight: Sight,
    pub refresh: Refresh,
    /// When an observation was last asked for, answered or not.
    pub asked_at: Timestamp,
    pub pace: Pace,
    pub tree: Tree,
    pub focus: Focus,
    pub pane: Pane,
    pub zoom: Zoom,
    pub overlay: Overlay,
    pub detail: Detail,
    /// The way out of instances, as far as it was asked for.
    pub ways: BTreeMap<InstanceId, Way>,
    pub steps: Steps,
    pub checks: Checks,
    pub inquiry: Inquiry,
    pub drills: Drills,
    pub log: Log,
    pub toasts: Vec<Toast>,
    /// Instances marked for a check.
    pub marks: BTreeSet<InstanceId>,
    /// Something that is drawn has changed.
    pub dirty: bool,
    last_generation: u64,
}

/// What has been seen of the network.
#[derive(Debug)]
pub enum Sight {
    /// Nothing yet, since then.
    Waiting {
        since: Timestamp,
    },
    /// The first question failed and nothing was ever seen.
    Blind {
        failure: Failure,
    },
    Seen(Box<Picture>),
}

/// A snapshot on the screen.
#[derive(Debug)]
pub struct Picture {
    pub seen: Seen,
    /// When it was complete.
    pub at: Timestamp,
    /// When what the marks compare with was complete.
    pub baseline_at: Timestamp,
    /// Counts snapshots, so that what was worked out from an older one is known to be old.
    pub number: u64,
    /// Why a later refresh failed as a whole.
    pub failure: Option<Failure>,
}

/// Whether an observation is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    Idle,
    Asking {
        generation: Generation,
        since: Timestamp,
        /// The person asked: the marks start anew.
        by_hand: bool,
    },
}

/// Whether the picture moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    Live,
    Frozen { since: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    Tree,
    Pane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoom {
    Off,
    On,
}

/// The panes on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Detail,
    Steps,
    Checks,
    Log,
    Diagnosis,
}

impl Pane {
    pub const ALL: [Self; 5] = [Self::Detail, Self::Steps, Self::Checks, Self::Log, Self::Diagnosis];

    pub fn title(self) -> &'static str {
        match self {
            Self::Detail => "Detail",
            Self::Steps => "Steps",
            Self::Checks => "Checks",
            Self::Log => "API log",
            Self::Diagnosis => "Diagnosis",
        }
    }

    pub fn place(self) -> Place {
        match self {
            Self::Detail => Place::Detail,
            Self::Steps => Place::Steps,
            Self::Checks => Place::Checks,
            Self::Log => Place::Log,
            Self::Diagnosis => Place::Diagnosis,
        }
    }
}

/// What lies over the panes and takes the keys.
#[derive(Debug)]
pub enum Overlay {
    None,
    /// The filter is being typed.
    Filter(Input),
    Help {
        scroll: usize,
    },
    Dialog(Dialog),
    Drills(DrillMenu),
}

/// A question to the person.
#[derive(Debug)]
pub enum Dialog {
    /// Run a provisioning.
    Run { mode: RunMode },
    /// Run a teardown: the stack's name must be typed.
    TearDown { mode: RunMode, typed: Input },
    /// Take a step back.
    Undo { title: String },
    /// Quit while a run is under way.
    Quit,
    /// Repair a finding.
    Repair(Box<RepairDialog>),
    /// Why natdeck does not repair a finding.
    NoRepair { finding: Box<Finding> },
    /// Keep the diagnosis in a file.
    Report(Box<Story>),
}

/// What a repair would change.
#[derive(Debug, Clone)]
pub struct RepairDialog {
    pub of: FindingKey,
    pub finding: Finding,
    pub mend: Box<Mend>,
    /// For a repair that must be agreed to in letters.
    pub typed: Input,
    /// The first line shown, where not all fit.
    pub scroll: usize,
}

impl RepairDialog {
    /// A repair that lets more pass than the packets in question, or takes something from others, is agreed to by typing.
    pub fn must_type(&self) -> bool {
        self.mend.repair.caution.is_some()
    }
}

/// The Detail pane.
#[derive(Debug, Default)]
pub struct Detail {
    pub mode: DetailMode,
    pub scroll: usize,
    /// The node that the scroll belongs to.
    pub of: Option<What>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DetailMode {
    #[default]
    Describe,
    Json,
}

/// The way out of one instance.
#[derive(Debug, Default)]
pub struct Way {
    /// The newest answer, kept while a newer one is awaited.
    pub trace: Option<Trace>,
    pub failure: Option<Failure>,
    /// The question under way.
    pub asking: Option<(Generation, WalkDepth)>,
    /// The snapshot that was walked or is being walked.
    pub snapshot: u64,
    /// When the hosts on it were last asked, whoever asked.
    pub hosts_asked_at: Option<Timestamp>,
    /// When the hosts on it last answered.
    pub hosts_at: Option<Timestamp>,
}

/// The API log, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    pub calls: VecDeque<ApiCall>,
    /// `None`: follows the newest.
    pub cursor: Option<usize>,
}

impl Log {
    /// The selected entry.
    pub fn at(&self) -> usize {
        let last = self.calls.len().saturating_sub(1);
        self.cursor.map_or(last, |at| at.min(last))
    }
}

/// A short message that goes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Timestamp,
}

impl Model {
    /// The console as it starts: nothing is known but who was asked for.
    pub fn new(identity: Identity, settings: Settings, keymap: Arc<Keymap>, now: Timestamp) -> Self {
        Self {
            now,
            size: (80, 24),
            settings,
            keymap,
            identity,
            identity_failure: None,
            sight: Sight::Waiting { since: now },
            refresh: Refresh::Idle,
            asked_at: now,
            pace: Pace::Live,
            tree: Tree::default(),
            focus: Focus::Tree,
            pane: Pane::Detail,
            zoom: Zoom::Off,
            overlay: Overlay::None,
            detail: Detail::default(),
            ways: BTreeMap::new(),
            steps: Steps::Empty,
            checks: Checks::default(),
            inquiry: Inquiry::default(),
            drills: Drills::default(),
            log: Log::default(),
            toasts: Vec::new(),
            marks: BTreeSet::new(),
            dirty: true,
            last_generation: 0,
        }
    }

    /// A number for a new question.
    pub fn ask(&mut self) -> Generation {
        self.last_generation += 1;
        Generation(self.last_generation)
    }

    pub fn picture(&self) -> Option<&Picture> {
        match &self.sight {
            Sight::Seen(picture) => Some(picture),
            Sight::Waiting { .. } | Sight::Blind { .. } => None,
        }
    }

    pub fn seen(&self) -> Option<&Seen> {
        self.picture().map(|picture| &picture.seen)
    }

    pub fn layout(&self) -> Layout {
        Layout::new(self.size, self.focus, self.zoom)
    }

    /// Where keys go when nothing lies over the panes.
    pub fn place(&self) -> Place {
        match self.focus {
            Focus::Tree => Place::Tree,
            Focus::Pane => self.pane.place(),
        }
    }

    pub fn selected(&self) -> Option<&Node> {
        self.tree.selected()
    }

    /// The instance that is meant: selected in the Checks pane when that has the focus, else in the tree.
    pub fn selected_instance(&self) -> Option<InstanceId> {
        if self.focus == Focus::Pane && self.pane == Pane::Checks {
            return self.checks.rows.get(self.checks.cursor).map(|row| row.instance_id.clone());
        }
        if self.focus == Focus::Pane && self.pane == Pane::Diagnosis && self.inquiry.about.is_some() {
            return self.inquiry.about.clone();
        }
        let (kind, id) = self.selected()?.what.resource_id()?;
        match kind {
            Kind::Instance => Some(InstanceId::new(id)),
            Kind::NetworkInterface => {
                let network = &self.seen()?.network;
                network.network_interfaces.shown().get(id)?.instance_id().cloned()
            }
            _ => None,
        }
    }

    /// Whether something moves that wants a spinner.
    pub fn is_busy(&self) -> bool {
        self.refresh != Refresh::Idle
            || self.session().is_some_and(|session| session.activity != Activity::Idle)
            || matches!(self.steps, Steps::Planning { .. })
            || self.checks.asking.is_some()
            || self.inquiry.asking.since().is_some()
            || self.inquiry.is_repairing()
            || self.drills.breaking.is_some()
            || matches!(&self.overlay, Overlay::Drills(DrillMenu { menu: Menu::Asking { .. }, .. }))
            || self.ways.values().any(|way| way.asking.is_some())
    }

    pub fn session(&self) -> Option<&Session> {
        match &self.steps {
            Steps::Ready(session) => Some(session),
            _ => None,
        }
    }

    pub fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.steps {
            Steps::Ready(session) => Some(session),
            _ => None,
        }
    }

    /// Says something in passing.
    pub fn toast(&mut self, tone: Tone, text: impl Into<String>) {
        let until = self.now + jiff::SignedDuration::from_secs(TOAST_S);
        let text = text.into();
        self.toasts.retain(|toast| toast.text != text);
        self.toasts.push(Toast { text, tone, until });
        if self.toasts.len() > 3 {
            self.toasts.remove(0);
        }
    }
}
