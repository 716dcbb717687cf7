//! AWS's own managed policies, as far as NAT instances and their clients need them.
//!
//! Names, paths, versions, dates and documents are those that AWS publishes; identifiers are AWS's only where known.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// One of AWS's managed policies.
#[derive(Debug)]
pub struct Managed {
    pub name: String,
    pub arn: String,
    pub path: String,
    pub id: String,
    pub description: Option<String>,
    /// The default version, `v2`. The older ones are not kept.
    pub version: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// JSON.
    pub document: String,
}

/// An entry of the asset.
#[derive(Deserialize)]
struct Published {
    name: String,
    path: String,
    id: String,
    description: Option<String>,
    version: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    document: Value,
}

const ASSET: &str = include_str!("../../../../assets/iam-managed-policies.json");

/// An asset that cannot be read would be no policy at all; a test reads it.
static ALL: LazyLock<Vec<Managed>> = LazyLock::new(|| {
    let published: Vec<Published> = serde_json::from_str(ASSET).unwrap_or_default();
    published
        .into_iter()
        .map(|policy| Managed {
            arn: format!("arn:aws:iam::aws:policy{}{}", policy.path, policy.name),
            document: serde_json::to_string_pretty(&policy.document).unwrap_or_default(),
            name: policy.name,
            path: policy.path,
            id: policy.id,
            description: policy.description,
            version: policy.version,
            created_at: policy.created_at,
            updated_at: policy.updated_at,
        })
        .collect()
});

/// The managed policy with this ARN.
pub fn by_arn(arn: &str) -> Option<&'static Managed> {
    ALL.iter().find(|policy| policy.arn == arn)
}

/// All that there are here, by name.
pub fn all() -> impl Iterator<Item = &'static Managed> {
    ALL.iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::actions::iam::document::{self, Kind};

    #[test]
    fn every_managed_policy_of_the_asset_is_one_that_iam_would_take() {
        assert!(all().count() >= 20);
        for policy in all() {
            document::validate(&policy.document, Kind::Permissions).unwrap();
            assert!(policy.id.starts_with("ANPA") && policy.id.len() == 21, "{}", policy.name);
        }
        let core = by_arn("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore").unwrap();
        assert_eq!(document::verdict(&core.document, "ssm:UpdateInstanceInformation", "*"), document::Verdict::Allowed);
    }
}
