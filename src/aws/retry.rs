//! When the SDK must not try again by itself.

use std::io;

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};

use super::error::chain;

/// Nothing listens at the endpoint: trying again for half a minute would only delay the message.
#[derive(Debug, Clone, Copy)]
pub(super) struct NobodyThere;

impl ClassifyRetry for NobodyThere {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) => match error.as_connector_error() {
                Some(connector) if is_refused(connector) => RetryAction::RetryForbidden,
                _ => RetryAction::NoActionIndicated,
            },
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "NatdeckNobodyThere"
    }

    // After all others: the last word counts.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// The first attempt may have taken effect although no answer came: time-outs, lost connections, answers that cannot be
/// read, errors inside AWS. The caller looks for the effect before it tries again. Throttling is retried as ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotTwice;

impl ClassifyRetry for NotTwice {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        // An error that AWS spelled out, with a status below 500, was refused before it had any effect. EC2 throttles
        // with 503, and then says so in its code.
        let spelled_out = error.is_operation_error()
            && context.response().is_some_and(|response| {
                response.status().as_u16() < 500
                    || response.body().bytes().is_some_and(|body| contains(body, b"RequestLimitExceeded"))
            });
        if spelled_out { RetryAction::NoActionIndicated } else { RetryAction::RetryForbidden }
    }

    fn name(&self) -> &'static str {
        "NatdeckNotTwice"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
