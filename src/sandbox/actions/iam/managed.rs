//! AWS's own managed policies, as far as NAT instances and their clients need them.

/// One of AWS's managed policies.
#[derive(Debug)]
pub struct Managed {
    pub name: &'static str,
    pub arn: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub description: &'static str,
    pub version: &'static str,
    /// RFC 3339.
    pub created_at: &'static str,
    pub document: &'static str,
}

/// The managed policy with this ARN.
pub fn by_arn(arn: &str) -> Option<&'static Managed> {
    ALL.iter().find(|policy| policy.arn == arn)
}

/// All that there are here, by name.
pub const ALL: [Managed; 2] = [
    Managed {
        name: "AmazonSSMManagedInstanceCore",
        arn: "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        path: "/",
        id: "ANPAIXSHM2BNB2D3AXXRU",
        description: "The policy for Amazon EC2 Role to enable AWS Systems Manager service core functionality.",
        version: "v2",
        created_at: "2019-03-15T17:22:12Z",
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ssm:DescribeAssociation",
                "ssm:GetDeployablePatchSnapshotForInstance",
                "ssm:GetDocument",
                "ssm:DescribeDocument",
                "ssm:GetManifest",
                "ssm:GetParameter",
                "ssm:GetParameters",
                "ssm:ListAssociations",
                "ssm:ListInstanceAssociations",
                "ssm:PutInventory",
                "ssm:PutComplianceItems",
                "ssm:PutConfigurePackageResult",
                "ssm:UpdateAssociationStatus",
                "ssm:UpdateInstanceAssociationStatus",
                "ssm:UpdateInstanceInformation"
            ],
            "Resource": "*"
        },
        {
            "Effect": "Allow",
            "Action": [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel"
            ],
            "Resource": "*"
        },
        {
            "Effect": "Allow",
            "Action": [
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply"
            ],
            "Resource": "*"
        }
    ]
}"#,
    },
    Managed {
        name: "CloudWatchAgentServerPolicy",
        arn: "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",
        path: "/",
        id: "ANPAIGGIKCDJ3FA6KIPN2",
        description: "Permissions required to use AmazonCloudWatchAgent on servers",
        version: "v1",
        created_at: "2018-03-07T01:06:44Z",
        document: r#"{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "cloudwatch:PutMetricData",
                "ec2:DescribeVolumes",
                "ec2:DescribeTags",
                "logs:PutLogEvents",
                "logs:DescribeLogStreams",
                "logs:DescribeLogGroups",
                "logs:CreateLogStream",
                "logs:CreateLogGroup"
            ],
            "Resource": "*"
        },
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": "arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*"
        }
    ]
}"#,
    },
];
