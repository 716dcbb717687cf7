//! Instance profiles and what their roles may do, as far as SSM needs it.

use serde::{Deserialize, Serialize};

use super::Tags;

/// An instance profile. It holds at most one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    pub arn: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub tags: Tags,
}

/// A role in an instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub arn: String,
    pub name: String,
    /// Attached managed policies. `None`: could not be read.
    pub attached_policies: Option<Vec<PolicyRef>>,
    /// Names of inline policies. `None`: could not be read.
    pub inline_policies: Option<Vec<String>>,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    pub arn: String,
    pub name: String,
}
