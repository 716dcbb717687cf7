//! The record of every call: an interceptor in every client writes it; the console shows it, `-v` prints it, and the
//! test of the least policy reads the actions from it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, Error as ErasedError,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::cli_line;
use super::error::chain;
use super::guard::Refused;
use crate::model::{ApiCall, CallOutcome, Identity, World};

/// How many calls are kept.
const CAPACITY: usize = 2000;

/// The calls of a session, newest last, the oldest dropped. Cheap to clone; all clones are one log.
#[derive(Debug, Clone)]
pub struct CallLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    capacity: usize,
    count: AtomicU64,
    kept: Mutex<Kept>,
    news: broadcast::Sender<Arc<ApiCall>>,
}

#[derive(Debug, Default)]
struct Kept {
    calls: VecDeque<Arc<ApiCall>>,
    actions: BTreeSet<String>,
}

impl Default for CallLog {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl CallLog {
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the last `capacity` calls.
    pub fn with_capacity(capacity: usize) -> Self {
        let (news, _) = broadcast::channel(256);
        Self(Arc::new(Inner { capacity, count: AtomicU64::new(0), kept: Mutex::default(), news }))
    }

    /// The calls that are kept, oldest first.
    pub fn calls(&self) -> Vec<Arc<ApiCall>> {
        self.kept().calls.iter().cloned().collect()
    }

    /// How many calls there were, those no longer kept included.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Every call from now on, as it ends. A receiver that is slow by more than 256 calls misses the oldest; the log
    /// itself does not.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<ApiCall>> {
        self.0.news.subscribe()
    }

    /// The operations that were sent, as IAM names them: `ec2:DescribeVpcs`.
    pub fn actions(&self) -> BTreeSet<String> {
        self.kept().actions.clone()
    }

    fn record(&self, mut call: ApiCall) {
        let mut kept = self.kept();
        call.number = self.0.count.fetch_add(1, Ordering::Relaxed) + 1;
        if !matches!(call.outcome, CallOutcome::Refused { .. }) {
            kept.actions.insert(format!("{}:{}", call.service, call.operation));
        }
        let call = Arc::new(call);
        if kept.calls.len() >= self.0.capacity {
            kept.calls.pop_front();
        }
        kept.calls.push_back(call.clone());
        drop(kept);
        // Nobody listening is fine.
        let _ = self.0.news.send(call);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interceptor that writes the log.
#[derive(Debug, Clone)]
pub struct Recorder {
    log: CallLog,
    /// What every aws CLI line of this session ends with: region, profile, endpoint.
    cli_suffix: Arc<str>,
}

/// What one execution carries from its first hook to its last.
#[derive(Debug)]
struct Begun {
    at: Instant,
    started_at: Timestamp,
}

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

/// The CLI line, made once the request is serialised.
#[derive(Debug)]
struct CliLine(String);

impl Storable for CliLine {
    type Storer = StoreReplace<Self>;
}

impl Recorder {
    pub fn new(log: CallLog, identity: &Identity) -> Self {
        let mut suffix = format!(" --region {}", identity.region);
        if let Some(profile) = &identity.profile {
            suffix.push_str(" --profile ");
            suffix.push_str(&cli_line::quote(profile));
        }
        if let World::Endpoint(url) = &identity.world {
            suffix.push_str(" --endpoint-url ");
            suffix.push_str(&cli_line::quote(url));
        }
        Self { log, cli_suffix: suffix.into() }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "NatdeckCallRecorder"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Begun { at: Instant::now(), started_at: Timestamp::now() });
        Ok(())
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = names(cfg);
        let body = context.request().body().bytes().unwrap_or_default();
        let line = cli_line::from_request(&service, &operation, body, &self.cli_suffix);
        cfg.interceptor_state().store_put(CliLine(line));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = names(cfg);
        let outcome = match context.output_or_error() {
            Some(Ok(_)) => CallOutcome::Ok,
            Some(Err(error)) => outcome_of(error, context.response().and_then(|response| response.body().bytes())),
            None => CallOutcome::NoAnswer { reason: "the call was given up".to_owned() },
        };
        let begun = cfg.load::<Begun>();
        let aws_cli = match cfg.load::<CliLine>() {
            Some(line) => line.0.clone(),
            None => cli_line::from_request(&service, &operation, b"", &self.cli_suffix),
        };
        self.log.record(ApiCall {
            number: 0,
            started_at: begun.map_or_else(Timestamp::now, |begun| begun.started_at),
            latency_ms: begun.map_or(0, |begun| u64::try_from(begun.at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            attempts: cfg.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts),
            service,
            operation,
            outcome,
            aws_cli,
        });
        Ok(())
    }
}

/// Service and operation as IAM and the CLI write them.
fn names(cfg: &ConfigBag) -> (String, String) {
    cfg.load::<Metadata>()
        .map_or_else(Default::default, |metadata| (metadata.service().to_ascii_lowercase(), metadata.name().to_owned()))
}

/// How a failed call ended. `body` is what AWS answered, if it did.
fn outcome_of(error: &OrchestratorError<ErasedError>, body: Option<&[u8]>) -> CallOutcome {
    if let Some((code, message)) = body.and_then(code_and_message) {
        return CallOutcome::Error { code, message };
    }
    let mut reason = String::new();
    for cause in chain(error) {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return CallOutcome::Refused { reason: refused.to_string() };
        }
        reason = cause.to_string();
    }
    if error.is_timeout_error() {
        reason = "no answer in time".to_owned();
    } else if error.is_operation_error() {
        reason = "the answer could not be read".to_owned();
    }
    CallOutcome::NoAnswer { reason }
}

/// Reads code and message of an error answer. The SDK hands interceptors its errors without their types, so this looks
/// at the answer itself: XML of the query services, JSON of SSM.
fn code_and_message(body: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(body).ok()?;
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let code = json.get("__type")?.as_str()?;
        let code = code.rsplit('#').next().unwrap_or(code).to_owned();
        let message = json.get("message").or_else(|| json.get("Message")).and_then(|m| m.as_str()).unwrap_or_default();
        return Some((code, message.to_owned()));
    }
    let element = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        let rest = text.get(start..)?;
        let inner = rest.get(..rest.find(&format!("</{name}>"))?)?;
        quick_xml::escape::unescape(inner).ok().map(std::borrow::Cow::into_owned)
    };
    Some((element("Code")?, element("Message").unwrap_or_default()))
}
