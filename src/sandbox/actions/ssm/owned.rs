//! The documents that AWS owns, as far as they make sense on a NAT instance and its clients.

/// A document of AWS's.
pub(super) struct Owned {
    pub(super) name: &'static str,
    pub(super) content: &'static str,
    /// `Command`, or `Policy` for what only associations run.
    pub(super) kind: &'static str,
}

pub(super) const ALL: [Owned; 4] = [
    Owned {
        name: "AWS-GatherSoftwareInventory",
        content: include_str!("../../../../assets/ssm-documents/AWS-GatherSoftwareInventory.json"),
        kind: "Policy",
    },
    Owned {
        name: "AWS-RunPowerShellScript",
        content: include_str!("../../../../assets/ssm-documents/AWS-RunPowerShellScript.json"),
        kind: "Command",
    },
    Owned {
        name: "AWS-RunShellScript",
        content: include_str!("../../../../assets/ssm-documents/AWS-RunShellScript.json"),
        kind: "Command",
    },
    Owned {
        name: "AWS-UpdateSSMAgent",
        content: include_str!("../../../../assets/ssm-documents/AWS-UpdateSSMAgent.json"),
        kind: "Command",
    },
];

/// One of them, by name or ARN.
pub(super) fn find(name: &str) -> Option<&'static Owned> {
    let name = name.rsplit('/').next().unwrap_or(name);
    ALL.iter().find(|document| document.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::actions::ssm::content;

    #[test]
    fn every_document_of_aws_is_read() {
        for document in &ALL {
            let content = content::read(document.content, "JSON").unwrap();
            assert!(!content.steps.is_empty() && content.description.is_some(), "{}", document.name);
        }
    }
}
