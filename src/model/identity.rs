//! Where natdeck is pointed: shown on every screen and in every document, so that nobody tears down the wrong NAT.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What answers the calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum World {
    Aws,
    /// The AWS inside this program.
    Sandbox,
    /// A custom endpoint: its URL.
    Endpoint(String),
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.pad("aws"),
            Self::Sandbox => f.pad("sandbox"),
            Self::Endpoint(url) => f.pad(url),
        }
    }
}

impl From<String> for World {
    fn from(text: String) -> Self {
        match text.as_str() {
            "aws" => Self::Aws,
            "sandbox" => Self::Sandbox,
            _ => Self::Endpoint(text),
        }
    }
}

impl From<World> for String {
    fn from(world: World) -> Self {
        world.to_string()
    }
}

/// Who acts, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub world: World,
    pub region: String,
    /// The named profile in use. `None`: the default chain.
    pub profile: Option<String>,
    /// From GetCallerIdentity. `None`: not answered yet, or refused.
    pub account_id: Option<String>,
    pub caller_arn: Option<String>,
    /// Mutating calls are refused before they are sent.
    pub read_only: bool,
}
