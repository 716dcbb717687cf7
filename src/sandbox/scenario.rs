//! Worlds to begin with, built by the same requests that a client would send, so that AWS's rules hold in them. The
//! same seed and time make the same world.

mod build;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use build::{ScenarioError, settle};

use super::world::World;

/// The account that every scenario is in: AWS's own example.
pub const ACCOUNT_ID: &str = "123456789012";

/// What a new world holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Nothing: no VPC, not even a default one.
    Empty,
    /// The article's VPC before its NAT: public and private subnet, SSM, two private instances.
    #[default]
    Draft,
    /// The article as it ends: the draft with its NAT instance.
    Article,
}

impl Scenario {
    pub const ALL: [Self; 3] = [Self::Empty, Self::Draft, Self::Article];

    /// As `--scenario` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Draft => "draft",
            Self::Article => "article",
        }
    }

    /// One line for help texts.
    pub fn about(self) -> &'static str {
        match self {
            Self::Empty => "no VPC at all",
            Self::Draft => "the article's VPC with SSM and two private instances, and no NAT yet",
            Self::Article => "the article's VPC with its finished NAT instance",
        }
    }

    /// Builds the world. It is settled at `now`: instances run, status checks have passed, agents are online.
    pub fn build(self, region: &str, seed: u64, now: Timestamp) -> Result<World, ScenarioError> {
        build::build(self, region, seed, now)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == text)
            .ok_or_else(|| ScenarioError::Unknown(text.to_owned()))
    }
}
