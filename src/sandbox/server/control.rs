//! What a serving sandbox is asked besides AWS's operations: what it is, to begin again, and to
//! break.
//!
//! Only natdeck itself asks. A header that a web page cannot send to another origin without being allowed to keeps
//! pages in a browser on the same machine from doing so.

use std::time::Duration;

use form_urlencoded::parse;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::model::InstanceId;
use crate::reach::Cause;
use crate::sandbox::{Sandbox, Scenario, causes};

/// What all these requests begin with.
pub const PREFIX: &str = "/_natdeck/";
pub const ABOUT: &str = "/_natdeck/about";
pub const RESET: &str = "/_natdeck/reset";
pub const BREAK: &str = "/_natdeck/break";
/// What can be broken.
pub const BREAKABLE: &str = "/_natdeck/breakable";

/// The header that every such request carries.
pub const HEADER: &str = "x-natdeck";

/// What a client must know of the world before it asks anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub region: String,
    /// For how long describes do not show a change.
    pub consistency: Duration,
    pub scenario: Scenario,
}

/// Answers one request below [`PREFIX`]: status and body.
pub(super) fn answer(sandbox: &Sandbox, method: &Method, target: &str, allowed: bool) -> (StatusCode, String) {
    if !allowed {
        return (StatusCode::FORBIDDEN, format!("this request needs the header {HEADER}\n"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (method, path) {
        (&Method::GET, ABOUT) => {
            let about =
                About { region: sandbox.region(), consistency: sandbox.consistency(), scenario: sandbox.scenario() };
            match serde_json::to_string(&about) {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        (&Method::POST, RESET) => {
            let scenario = match named(query, "scenario").map(|name| name.parse::<Scenario>()).transpose() {
                Ok(scenario) => scenario,
                Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")),
            };
            match sandbox.begin_again(scenario) {
                Ok(scenario) => (StatusCode::OK, format!("{scenario}\n")),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        (&Method::POST, BREAK) => match break_egress(sandbox, query) {
            Ok(did) => (StatusCode::OK, format!("{did}\n")),
            Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")),
        },
        (&Method::GET, BREAKABLE) => match breakable(sandbox, query) {
            Ok(causes) => (StatusCode::OK, causes),
            Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")),
        },
        _ => (StatusCode::NOT_FOUND, "there is no such request\n".to_owned()),
    }
}

/// What was done, or why nothing was.
fn break_egress(sandbox: &Sandbox, query: &str) -> Result<String, String> {
    let cause = named(query, "cause").unwrap_or_default();
    let cause = Cause::parse(&cause).ok_or_else(|| format!("there is no cause '{cause}'"))?;
    let instance_id = instance(query)?;
    let broken = sandbox
        .with_world(|world| causes::break_egress(world, cause, instance_id.as_ref()))
        .map_err(|error| error.to_string())?;
    broken.map(|(_, did)| did).map_err(|error| error.to_string())
}

/// The causes that can be had in its world, as a JSON list; or why there are none.
fn breakable(sandbox: &Sandbox, query: &str) -> Result<String, String> {
    let instance_id = instance(query)?;
    // Trying takes a moment: others are answered meanwhile.
    let world = sandbox.with_world(|world| world.clone()).map_err(|error| error.to_string())?;
    let breakable = causes::breakable(&world, instance_id.as_ref()).map_err(|error| error.to_string())?;
    serde_json::to_string(&breakable).map_err(|error| error.to_string())
}

fn named(query: &str, wanted: &str) -> Option<String> {
    parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

fn instance(query: &str) -> Result<Option<InstanceId>, String> {
    named(query, "instance").map(|id| id.parse::<InstanceId>()).transpose().map_err(|error| error.to_string())
}
