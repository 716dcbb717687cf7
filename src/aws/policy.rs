//! The least IAM policy that natdeck itself needs. Pure.

use serde_json::{Value, json};

use super::guard::READS;

/// Operations that change something, as IAM names them.
pub const CHANGES: &[&str] = &[
    "ec2:AllocateAddress",
    "ec2:AssociateAddress",
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:AttachNetworkInterface",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateInternetGateway",
    "ec2:CreateNetworkAclEntry",
    "ec2:CreateNetworkInterface",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:CreateVpcBlockPublicAccessExclusion",
    "ec2:CreateVpcEndpoint",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteNetworkAclEntry",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteTags",
    "ec2:DeleteVpc",
    "ec2:DeleteVpcBlockPublicAccessExclusion",
    "ec2:DeleteVpcEndpoints",
    "ec2:DetachInternetGateway",
    "ec2:DetachNetworkInterface",
    "ec2:DisassociateAddress",
    "ec2:DisassociateRouteTable",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ec2:RebootInstances",
    "ec2:ReleaseAddress",
    "ec2:ReplaceRoute",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:RunInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "iam:AddRoleToInstanceProfile",
    "iam:AttachRolePolicy",
    "iam:CreateInstanceProfile",
    "iam:CreateRole",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:DetachRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "ssm:SendCommand",
];

/// Permissions that no operation of natdeck's is named after. AWS checks them on the way: `PassRole` when an instance
/// is started with a profile, the two `Tag…` when a role or profile is created with tags.
pub const IMPLIED: &[&str] = &["iam:PassRole", "iam:TagInstanceProfile", "iam:TagRole"];

/// The reads, as IAM names them.
pub fn reads() -> impl Iterator<Item = String> {
    READS.iter().map(|operation| format!("{}:{operation}", service_of(operation)))
}

/// Which service a read belongs to.
fn service_of(operation: &str) -> &'static str {
    match operation {
        "GetCallerIdentity" => "sts",
        "DescribeInstanceInformation" | "GetCommandInvocation" | "GetParameter" | "ListCommandInvocations" => "ssm",
        "GetInstanceProfile" | "GetRole" | "ListAttachedRolePolicies" | "ListInstanceProfiles" | "ListRolePolicies" => {
            "iam"
        }
        _ => "ec2",
    }
}

/// The policy document. The first statement is enough for a read-only natdeck.
pub fn iam_policy() -> Value {
    let mut changes: Vec<&str> = CHANGES.iter().chain(IMPLIED).copied().collect();
    changes.sort_unstable();
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Sid": "NatdeckReads", "Effect": "Allow", "Action": reads().collect::<Vec<_>>(), "Resource": "*" },
            { "Sid": "NatdeckChanges", "Effect": "Allow", "Action": changes, "Resource": "*" },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lists_every_action_once() {
        let mut all: Vec<String> = reads().chain(CHANGES.iter().chain(IMPLIED).map(ToString::to_string)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.contains(&"ssm:GetParameter".to_owned()));
    }
}
