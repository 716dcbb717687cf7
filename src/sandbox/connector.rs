//! The door of the sandbox: an implementation of the SDK's own `HttpClient`, so that what runs against AWS runs here
//! unchanged. Reads its clock, waits, and writes the state file; everything behind it is pure.

pub mod remote;
mod sdk;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use sdk::{Answers, Asked, Line};

use super::actions::ssm::is_read;
use super::actions::sts::USER_NAME;
use super::clock::Clock;
use super::faults::{Fate, Faults};
use super::scenario::{Scenario, ScenarioError};
use super::store::{Store, StoreError};
use super::wire::{self, ApiError, Response, Service};
use super::world::{Delays, World};

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the world is kept. `None`: in memory, and gone with the sandbox.
    pub state_file: Option<PathBuf>,
    /// What a new world holds. `None`: the default scenario for a new world, and for a kept one whatever it is.
    pub scenario: Option<Scenario>,
    pub faults: Faults,
    pub clock: Clock,
    /// The seed of a new world, and of the faults.
    pub seed: u64,
    /// The region of a new world. A kept one stays where it is: ask [`Sandbox::region`].
    pub region: String,
    /// How many times the usual time everything takes: 1 a fraction of a second, 0 none, 100 about as long as on AWS.
    pub time_scale: f64,
    pub saving: Saving,
}

/// When a changed world is written to its file. When the sandbox ends it is in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Saving {
    /// Before the change is answered: nothing that was answered is lost.
    #[default]
    EachChange,
    /// When [`Sandbox::keep`] says so, for a server with many clients: a killed process loses what came after.
    WhenTold,
}

impl Default for Options {
    /// In memory, default scenario, no faults, Frankfurt.
    fn default() -> Self {
        Self {
            state_file: None,
            scenario: None,
            faults: Faults::none(),
            clock: Clock::System,
            seed: 1,
            region: "eu-central-1".to_owned(),
            time_scale: 1.0,
            saving: Saving::default(),
        }
    }
}

/// Why a sandbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(
        "the sandbox file {} holds scenario {holds}, not {asked}; leave --scenario out, name another file with \
         --sandbox-state, or start anew with `natdeck sandbox reset --scenario {asked}`",
        path.display()
    )]
    OtherScenario { path: PathBuf, holds: Scenario, asked: Scenario },
}

/// What the state file holds.
#[derive(Serialize, Deserialize)]
struct Kept<W> {
    scenario: Scenario,
    world: W,
}

/// A simulated AWS. Clones are the same one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    faults: Faults,
    clock: Clock,
    time_scale: f64,
    saving: Saving,
    state: Mutex<State>,
}

struct State {
    world: World,
    scenario: Scenario,
    store: Option<Store>,
    random: fastrand::Rng,
    /// Whether the world may differ from what the file holds.
    unsaved: bool,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error("the connection was reset before the answer arrived (--sandbox-fault lost)")]
    Lost,
    #[error("the sandbox carried out the request and cannot keep its world")]
    NotKept(#[source] StoreError),
    #[error("the request's body cannot be read: {0}")]
    Unreadable(String),
}

impl Sandbox {
    /// Opens the world in the state file, or makes a new one.
    ///
    /// A file that another process uses, that is damaged, or that holds another scenario than the one asked for is an
    /// error, and is left as it is.
    pub fn open(options: Options) -> Result<Self, SandboxError> {
        let now = options.clock.now();
        let mut store = options.state_file.as_deref().map(Store::lock).transpose()?;
        let kept: Option<Kept<World>> = match &mut store {
            Some(store) => store.load()?,
            None => None,
        };
        let (mut world, scenario, is_new) = match kept {
            Some(Kept { scenario, world }) => {
                if let (Some(asked), Some(path)) = (options.scenario.filter(|a| *a != scenario), &options.state_file) {
                    return Err(SandboxError::OtherScenario { path: path.clone(), holds: scenario, asked });
                }
                (world, scenario, false)
            }
            None => {
                let scenario = options.scenario.unwrap_or_default();
                (scenario.build(&options.region, options.seed, now)?, scenario, true)
            }
        };
        fit(&mut world, &options.faults, options.time_scale);
        let random = fastrand::Rng::with_seed(options.seed);
        let mut state = State { world, scenario, store, random, unsaved: is_new };
        state.save()?;
        let Options { faults, clock, time_scale, saving, .. } = options;
        Ok(Self { shared: Arc::new(Shared { faults, clock, time_scale, saving, state: Mutex::new(state) }) })
    }

    /// Puts a new world in the state file. What was there is moved aside when it cannot be read; where it went.
    pub fn reset(options: &Options) -> Result<Option<PathBuf>, SandboxError> {
        let Some(path) = &options.state_file else { return Ok(None) };
        let now = options.clock.now();
        let mut store = Store::lock(path)?;
        let kept: Result<Option<Kept<World>>, StoreError> = store.load();
        let aside = match kept {
            Ok(_) => None,
            Err(StoreError::Damaged { .. } | StoreError::OtherVersion { .. }) => store.move_aside(Timestamp::now())?,
            Err(other) => return Err(other.into()),
        };
        let scenario = options.scenario.unwrap_or_default();
        let world = scenario.build(&options.region, options.seed, now)?;
        store.save(&Kept { scenario, world: &world })?;
        Ok(aside)
    }

    /// Throws the world away and begins again, in the file too. `None`: from the scenario it began with.
    pub fn begin_again(&self, scenario: Option<Scenario>) -> Result<Scenario, SandboxError> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        let scenario = scenario.unwrap_or(state.scenario);
        let (region, seed) = (state.world.region.clone(), state.random.u64(..));
        state.world = scenario.build(&region, seed, now)?;
        fit(&mut state.world, &self.shared.faults, self.shared.time_scale);
        state.scenario = scenario;
        state.unsaved = true;
        state.save()?;
        Ok(scenario)
    }

    /// Writes the world to its file, if it has changed.
    pub fn keep(&self) -> Result<(), SandboxError> {
        Ok(self.state().save()?)
    }

    /// Tells those who find the state file in use where this sandbox can be reached.
    pub fn announce(&self, address: SocketAddr) -> Result<(), SandboxError> {
        if let Some(store) = &mut self.state().store {
            store.announce(address)?;
        }
        Ok(())
    }

    /// For `aws_config::defaults(..).http_client(..)`.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The region of the world.
    pub fn region(&self) -> String {
        self.state().world.region.clone()
    }

    /// For how long describes do not show a change. Zero unless a fault asks for more.
    pub fn consistency(&self) -> Duration {
        self.shared.faults.consistency()
    }

    /// The scenario from which the world began.
    pub fn scenario(&self) -> Scenario {
        self.state().scenario
    }

    /// The state file. `None`: the world is in memory only.
    pub fn state_file(&self) -> Option<PathBuf> {
        self.state().store.as_ref().map(|store| Store::path(store).to_owned())
    }

    /// The clock, to advance it in tests.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Looks at the world or changes it behind AWS's back, as of now. What is changed is kept.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> Result<T, SandboxError> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        state.world.advance(now);
        let done = act(&mut state.world);
        state.world.recompute();
        state.world.touch();
        state.unsaved = true;
        state.save()?;
        Ok(done)
    }

    /// How much longer than in AWS things take.
    pub(super) fn time_scale(&self) -> f64 {
        self.shared.time_scale
    }

    /// The world as of now, for somebody who works in it for a while. Nobody else gets in before it is dropped.
    pub(super) fn hold(&self) -> Held<'_> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        state.world.advance(now);
        Held { state }
    }

    /// Answers one HTTP request: the SDK's, or one that came over a socket. `path` is the request's target, with its
    /// query.
    pub async fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Response, NoAnswer> {
        let latency = self.shared.faults.latency(&mut self.state().random);
        // Half of the time passes before AWS acts, half after: a client that gives up may have come too late.
        pause(latency / 2).await;
        let answer = self.act(method, path, headers, body);
        pause(latency / 2).await;
        answer
    }

    /// What happens at one moment, under the lock.
    fn act(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Response, NoAnswer> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        let request = match wire::decode(method, path, headers, body) {
            Ok(request) => request,
            Err(error) => {
                let service = if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-amz-target")) {
                    Service::Ssm
                } else {
                    Service::Ec2
                };
                let request_id = state.world.uuid();
                return Ok(wire::encode_error(service, &error, request_id));
            }
        };
        state.world.advance(now);
        let operation = format!("{}:{}", request.service.as_str(), request.action);
        let fate = match state.world.denied.contains(&operation) {
            true => Fate::Denied,
            false => self.shared.faults.fate(request.service.as_str(), &request.action, &mut state.random),
        };
        if let Some(error) = refusal(fate, request.service, &request.action, &state.world.account_id) {
            let request_id = state.world.uuid();
            return Ok(Response { operation, ..wire::encode_error(request.service, &error, request_id) });
        }
        let response = Response { operation, ..state.world.handle(&request) };
        if response.error.as_deref().is_some_and(|code| UNKNOWN_OPERATION.contains(&code)) {
            tracing::warn!(operation = %response.operation, "the sandbox does not know this operation");
        }
        if !is_read(&request.action) {
            state.unsaved |= response.status < 300;
            if self.shared.saving == Saving::EachChange {
                state.save().map_err(NoAnswer::NotKept)?;
            }
        }
        match fate {
            Fate::AnswerLost => Err(NoAnswer::Lost),
            _ => Ok(response),
        }
    }

    /// A panic elsewhere does not make the world unusable: every request leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The world under its lock.
pub(super) struct Held<'a> {
    state: MutexGuard<'a, State>,
}

impl Held<'_> {
    pub(super) fn world(&mut self) -> &mut World {
        &mut self.state.world
    }

    /// Lets go of the world. What was changed is kept in the file.
    pub(super) fn release(mut self) -> Result<(), SandboxError> {
        self.state.world.recompute();
        self.state.world.touch();
        self.state.unsaved = true;
        Ok(self.state.save()?)
    }
}

impl State {
    fn save(&mut self) -> Result<(), StoreError> {
        if let Some(store) = self.store.as_mut().filter(|_| self.unsaved) {
            store.save(&Kept { scenario: self.scenario, world: &self.world })?;
        }
        self.unsaved = false;
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Reads do not write, yet time passes while they wait: keep where the world has got to. Without it the same
        // would happen again from the last change on, so that a failure loses nothing.
        self.unsaved = true;
        if let Err(error) = self.save() {
            tracing::warn!(%error, "the sandbox's last state was not kept");
        }
    }
}

/// The codes by which services say that they have no such operation.
const UNKNOWN_OPERATION: [&str; 2] = ["InvalidAction", "UnknownOperationException"];

/// What a sandbox's options ask of its world.
fn fit(world: &mut World, faults: &Faults, time_scale: f64) {
    world.consistency = faults.consistency();
    world.internet.faulty = faults.down().iter().cloned().collect();
    world.delays = Delays::default().scaled(time_scale);
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// How a service refuses, before anything happens.
fn refusal(fate: Fate, service: Service, action: &str, account_id: &str) -> Option<ApiError> {
    let error = match (fate, service) {
        (Fate::Served | Fate::AnswerLost, _) => return None,
        (Fate::Throttled, Service::Ec2) => {
            ApiError::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503)
        }
        (Fate::Throttled, Service::Ssm) => ApiError::new("ThrottlingException", "Rate exceeded"),
        (Fate::Throttled, Service::Iam | Service::Sts) => ApiError::new("Throttling", "Rate exceeded"),
        (Fate::Denied, Service::Ec2) => {
            let message = format!(
                "You are not authorized to perform this operation. User: arn:aws:iam::{account_id}:user/{USER_NAME} is \
                 not authorized to perform: ec2:{action} because no identity-based policy allows the ec2:{action} action"
            );
            ApiError::new("UnauthorizedOperation", message).with_status(403)
        }
        (Fate::Denied, service) => {
            let message = format!(
                "User: arn:aws:iam::{account_id}:user/{USER_NAME} is not authorized to perform: {}:{action} because no \
                 identity-based policy allows the {}:{action} action",
                service.as_str(),
                service.as_str()
            );
            match service {
                Service::Ssm => ApiError::new("AccessDeniedException", message),
                Service::Ec2 | Service::Iam | Service::Sts => ApiError::new("AccessDenied", message).with_status(403),
            }
        }
        (Fate::Unavailable, Service::Ec2) => {
            ApiError::new("Unavailable", "The service is unavailable. Please try again shortly.").with_status(503)
        }
        (Fate::Unavailable, _) => {
            ApiError::new("ServiceUnavailable", "The service is unavailable. Please try again shortly.")
                .with_status(503)
        }
    };
    Some(error)
}

impl HttpClient for Sandbox {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Line { far_end: self.clone(), read_timeout: settings.read_timeout() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("natdeck-sandbox", None))
    }
}

impl Answers for Sandbox {
    async fn converse(&self, asked: Asked) -> Result<HttpResponse, ConnectorError> {
        let Asked { method, target, headers, body } = asked;
        let response = self.answer(&method, &target, &headers, &body).await.map_err(|error| match error {
            NoAnswer::Lost => ConnectorError::io(error.into()),
            // Not to be tried again: it was carried out.
            NoAnswer::NotKept(_) | NoAnswer::Unreadable(_) => ConnectorError::user(error.into()),
        })?;
        let status = StatusCode::try_from(response.status).map_err(|error| ConnectorError::user(error.into()))?;
        let mut answer = HttpResponse::new(status, SdkBody::from(response.body));
        answer.headers_mut().insert("content-type", response.content_type);
        answer.headers_mut().insert("x-amzn-requestid", response.request_id);
        Ok(answer)
    }
}

/// The state file that is used unless another is named.
pub fn default_state_file() -> Result<PathBuf, SandboxError> {
    Ok(Store::default_path()?)
}

/// Whether there is a state file: whether [`Sandbox::open`] would go on with a world or make one.
pub fn exists(state_file: &Path) -> bool {
    state_file.exists()
}

#[cfg(test)]
mod tests;
