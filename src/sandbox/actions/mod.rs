//! The API operations, by service. Each takes the world and a request, and answers as AWS would.

pub mod ec2;
pub mod iam;
pub mod ssm;
pub mod sts;

use super::wire::{ApiError, Service};

/// Writes a service's dispatch function and, from the same arms, `OPERATIONS`: so the list of what is answered cannot
/// leave out what is answered.
macro_rules! operations {
    (fn $name:ident($($argument:ident: $type:ty),+) -> $answer:ty {
        match $action:ident {
            $($operation:literal => $act:expr,)+
            $other:ident => $unknown:expr $(,)?
        }
    }) => {
        /// The operations that are answered.
        pub const OPERATIONS: &[&str] = &[$($operation),+];

        fn $name($($argument: $type),+) -> $answer {
            match $action {
                $($operation => $act,)+
                $other => $unknown,
            }
        }
    };
}
use operations;

/// Every operation that the sandbox answers.
pub fn all() -> impl Iterator<Item = (Service, &'static str)> {
    [
        (Service::Ec2, ec2::OPERATIONS),
        (Service::Iam, iam::OPERATIONS),
        (Service::Ssm, ssm::OPERATIONS),
        (Service::Sts, sts::OPERATIONS),
    ]
    .into_iter()
    .flat_map(|(service, operations)| operations.iter().map(move |operation| (service, *operation)))
}

/// IAM's and STS's word for an operation that they do not have.
fn no_such_operation(action: &str, version: &str) -> ApiError {
    ApiError::new("InvalidAction", format!("Could not find operation {action} for version {version}"))
}
