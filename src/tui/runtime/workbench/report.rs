//! The console's diagnosis as an incident report.

use std::path::Path;
use std::sync::Arc;

use crate::model::{ApiCall, Identity};
use crate::ops::report::{self, Incident, Key, Look, RedactError, Repaired, SaveError, Saving, file_name};
use crate::ops::{Looked, Question};
use crate::tui::diagnosis::{Diagnosed, Story};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    Redact(#[from] RedactError),
    #[error("writing it ended in a defect")]
    Defect(#[from] tokio::task::JoinError),
}

/// Writes it to a file of its own where natdeck was started; gives the file's name.
pub(super) async fn save(
    story: Story,
    identity: Identity,
    calls: Vec<ApiCall>,
    redact: bool,
) -> Result<String, NotKept> {
    keep(incident(story, identity, calls), redact).await
}

/// Writes an incident to a file of its own where natdeck was started; gives the file's name.
pub async fn keep(incident: Incident, redact: bool) -> Result<String, NotKept> {
    // Redacting and writing a large snapshot takes a moment: not on the threads that answer.
    tokio::task::spawn_blocking(move || write(incident, redact)).await?
}

fn write(mut incident: Incident, redact: bool) -> Result<String, NotKept> {
    if redact {
        incident = report::redact(&incident, Key::random())?;
    }
    let file = file_name(&incident);
    report::save(Path::new(&file), &incident, Saving::New)?;
    Ok(file)
}

fn incident(story: Story, identity: Identity, calls: Vec<ApiCall>) -> Incident {
    let question = Question::egress(story.first.instance_id.clone());
    let mut incident = Incident::new(identity, question, look(*story.first), calls);
    incident.identity.account_id = incident.identity.account_id.or_else(|| incident.network.account_id.clone());
    incident.repairs = (story.tried.into_iter())
        .map(|tried| Repaired::new(&tried.finding, &tried.repair, tried.at, tried.failure))
        .collect();
    incident.after = story.after.map(|after| look(*after));
    incident
}

fn look(answer: Diagnosed) -> Look {
    let Diagnosed { at, network, hosts, observations, .. } = answer;
    Look { at, network: Arc::unwrap_or_clone(network), looked: Looked { hosts, observations } }
}
