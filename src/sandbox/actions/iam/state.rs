//! What IAM stores, and what follows from it for an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{document, managed};
use crate::model::Tags;

/// IAM's state of one account. AWS's own managed policies are constants and not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iam {
    /// By name.
    pub roles: BTreeMap<String, Role>,
    /// Instance profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The account's own managed policies, by ARN.
    pub policies: BTreeMap<String, Policy>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub role_name: String,
    /// `AROA…`
    pub role_id: String,
    pub arn: String,
    pub path: String,
    pub created_at: Timestamp,
    /// The trust policy, as the client sent it.
    pub assume_role_policy_document: String,
    pub description: Option<String>,
    /// Seconds.
    pub max_session_duration: i64,
    /// ARNs of attached managed policies, in the order of attachment.
    pub attached_policies: Vec<String>,
    /// Inline policies: documents by name.
    pub inline_policies: BTreeMap<String, String>,
    /// The ARN of the managed policy that bounds what the role may do.
    #[serde(default)]
    pub permissions_boundary: Option<String>,
    pub tags: Tags,
}

/// An instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub instance_profile_name: String,
    /// `AIPA…`
    pub instance_profile_id: String,
    pub arn: String,
    pub path: String,
    pub created_at: Timestamp,
    /// At most one, by name.
    pub role: Option<String>,
    pub tags: Tags,
}

/// A managed policy of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub policy_name: String,
    /// `ANPA…`
    pub policy_id: String,
    pub arn: String,
    pub path: String,
    pub created_at: Timestamp,
    /// When its versions last changed.
    pub updated_at: Timestamp,
    pub description: Option<String>,
    /// `v1`
    pub default_version_id: String,
    /// Those that still exist, oldest first. The default one is among them.
    pub versions: Vec<PolicyVersion>,
    /// How many were ever made: the number of the newest.
    pub versions_made: u32,
    pub tags: Tags,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    pub version_id: String,
    /// As the client sent it.
    pub document: String,
    pub created_at: Timestamp,
}

impl Policy {
    /// The document of the default version.
    pub fn document(&self) -> Option<&str> {
        let default = self.versions.iter().find(|version| version.version_id == self.default_version_id);
        default.map(|version| version.document.as_str())
    }
}

impl Iam {
    /// An instance profile by its ARN.
    pub fn profile_by_arn(&self, arn: &str) -> Option<&Profile> {
        self.profiles.values().find(|profile| profile.arn == arn)
    }

    /// The document of a managed policy, the account's or AWS's.
    pub fn managed_document(&self, arn: &str) -> Option<&str> {
        self.policies
            .get(arn)
            .and_then(Policy::document)
            .or_else(|| managed::by_arn(arn).map(|policy| policy.document.as_str()))
    }

    /// How many roles a managed policy is attached to.
    pub fn attachments(&self, policy_arn: &str) -> usize {
        self.roles.values().filter(|role| role.attached_policies.iter().any(|arn| arn == policy_arn)).count()
    }

    /// How many roles a managed policy bounds.
    pub fn boundaries(&self, policy_arn: &str) -> usize {
        self.roles.values().filter(|role| role.permissions_boundary.as_deref() == Some(policy_arn)).count()
    }

    /// What a role's policies and its boundary say together about `action` on `resource`.
    pub fn role_verdict(&self, role: &Role, action: &str, resource: &str) -> document::Verdict {
        use document::Verdict;
        let managed = role.attached_policies.iter().filter_map(|arn| self.managed_document(arn));
        let inline = role.inline_policies.values().map(String::as_str);
        let verdicts: Vec<_> = managed.chain(inline).map(|text| document::verdict(text, action, resource)).collect();
        let bound = role.permissions_boundary.as_deref().and_then(|arn| self.managed_document(arn));
        let within = bound.map_or(Verdict::Allowed, |text| document::verdict(text, action, resource));
        if within == Verdict::Denied || verdicts.contains(&Verdict::Denied) {
            Verdict::Denied
        } else if within == Verdict::Allowed && verdicts.contains(&Verdict::Allowed) {
            Verdict::Allowed
        } else {
            Verdict::Silent
        }
    }

    /// Whether an instance with this profile may do `action` on `resource`: the profile has a role, EC2 may assume
    /// it, and its policies allow the action within its boundary and do not deny it.
    pub fn instance_may(&self, profile_arn: &str, action: &str, resource: &str) -> bool {
        let role = self.profile_by_arn(profile_arn).and_then(|profile| self.roles.get(profile.role.as_deref()?));
        let Some(role) = role.filter(|role| document::lets_ec2_assume(&role.assume_role_policy_document)) else {
            return false;
        };
        self.role_verdict(role, action, resource) == document::Verdict::Allowed
    }
}

/// Whether something made at `created_at` is visible to reads yet, under eventual consistency.
pub fn visible(created_at: Timestamp, now: Timestamp, consistency: Duration) -> bool {
    consistency.is_zero() || created_at.saturating_add(consistency).is_ok_and(|visible_at| visible_at <= now)
}
