//! Read-only, enforced in one place: an interceptor in every client that refuses, before anything is sent or signed,
//! every operation that is not on the list of reads.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Every operation that natdeck may call when it is read-only. Spelled out: a prefix such as `Get` would let through
/// what AWS adds tomorrow. `SendCommand` is missing on purpose, since a command can change anything.
pub const READS: &[&str] = &[
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeEgressOnlyInternetGateways",
    "DescribeImages",
    "DescribeInstanceCreditSpecifications",
    "DescribeInstanceInformation",
    "DescribeDhcpOptions",
    "DescribeInstanceStatus",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeManagedPrefixLists",
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVpcAttribute",
    "DescribeVpcBlockPublicAccessExclusions",
    "DescribeVpcBlockPublicAccessOptions",
    "DescribeVpcEndpoints",
    "DescribeVpcs",
    "GetCallerIdentity",
    "GetCommandInvocation",
    "GetInstanceProfile",
    "GetManagedPrefixListEntries",
    "GetParameter",
    "GetRole",
    "ListAttachedRolePolicies",
    "ListCommandInvocations",
    "ListInstanceProfiles",
    "ListRolePolicies",
];

/// A call that was refused here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} changes things and natdeck is read-only")]
pub struct Refused {
    pub operation: String,
}

/// The interceptor.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    pub read_only: bool,
}

#[dyn_dispatch_hint]
impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "NatdeckReadOnlyGuard"
    }

    // The earliest hook at which the operation's name is known; an error here ends the call before it is serialised.
    fn modify_before_serialization(
        &self,
        _context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !self.read_only {
            return Ok(());
        }
        // An operation without a name is refused too.
        let operation = cfg.load::<Metadata>().map(Metadata::name).unwrap_or("an unnamed operation");
        if READS.contains(&operation) { Ok(()) } else { Err(Box::new(Refused { operation: operation.to_owned() })) }
    }
}
