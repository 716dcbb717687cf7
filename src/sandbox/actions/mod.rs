//! The API operations, by service. Each takes the world and a request, and answers as AWS would.

pub mod ec2;
pub mod iam;
pub mod ssm;
pub mod sts;
