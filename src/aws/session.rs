//! Where natdeck is pointed, and the clients of the four services. Guard and call log are attached to all of them in
//! one function, so that no call can pass beside them.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::{ReconnectMode, RetryPartition, TokenBucket};
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::service_config::ServiceConfigKey;

use super::call_log::{CallLog, Recorder};
use super::error::Error;
use super::guard::Guard;
use super::retry::{NobodyThere, NotTwice};
use crate::model::{Identity, World};

/// How far AWS's describes may lag behind its changes. EC2's own word is "eventual consistency"; in practice it is a
/// second or two.
const LAG: Duration = Duration::from_secs(4);

/// The sandbox's region when none is named: the article's.
const SANDBOX_REGION: &str = "eu-central-1";

/// Where to point natdeck. What is `None` comes from the environment and the profile, as for every AWS tool.
#[derive(Debug, Clone, Default)]
pub struct Target {
    pub profile: Option<String>,
    pub region: Option<String>,
    /// A custom endpoint for all services.
    pub endpoint_url: Option<String>,
    /// Refuse whatever changes anything.
    pub read_only: bool,
    /// How far this world's describes may lag behind its changes: what was not found is looked for again for so long
    /// before it counts as not there. `None`: as on AWS.
    pub lag: Option<Duration>,
    /// The AWS inside this program. With it, profile, endpoint and the machine's credentials are not looked at.
    pub sandbox: Option<SharedHttpClient>,
}

/// Clients for one target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ec2: aws_sdk_ec2::Client,
    ec2_once: aws_sdk_ec2::Client,
    iam: aws_sdk_iam::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    identity: Identity,
    /// For messages: a URL, or `AWS in eu-central-1`.
    endpoint: String,
    lag: Duration,
    log: CallLog,
}

impl Session {
    /// Reads configuration and makes the clients. Makes no AWS call; reads the SDK's files, unless it is the sandbox.
    ///
    /// Fails with [`Kind::NoRegion`] when no region is named anywhere.
    pub async fn connect(target: Target, log: CallLog) -> Result<Self, Error> {
        Self::connect_with(target, log, None).await
    }

    /// The same with an access key and its secret, for tests that must not depend on the machine's credentials.
    pub(super) async fn connect_with(target: Target, log: CallLog, key: Option<(&str, &str)>) -> Result<Self, Error> {
        let (config, world) = match &target.sandbox {
            Some(http_client) => (sandbox_config(&target, http_client.clone()), World::Sandbox),
            None => {
                let config = aws_config(&target, key).await;
                let world = endpoint_of(&config).map_or(World::Aws, World::Endpoint);
                (config, world)
            }
        };
        let region = config.region().map(ToString::to_string).ok_or_else(Error::no_region)?;
        let profile = match world {
            World::Sandbox => None,
            _ => target.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty())),
        };
        let endpoint = match &world {
            World::Aws => format!("AWS in {region}"),
            World::Sandbox => "the sandbox".to_owned(),
            World::Endpoint(url) => url.clone(),
        };
        let identity =
            Identity { world, region, profile, account_id: None, caller_arn: None, read_only: target.read_only };
        let guard = Guard { read_only: target.read_only };
        let recorder = Recorder::new(log.clone(), &identity);
        let mut inner = clients(&config, guard, &recorder, identity, endpoint, log);
        inner.lag = target.lag.unwrap_or(LAG);
        Ok(Self(Arc::new(inner)))
    }

    /// What is known without a call: account and caller are `None`.
    pub fn identity(&self) -> Identity {
        self.0.identity.clone()
    }

    /// The identity with account and caller, from GetCallerIdentity.
    pub async fn caller_identity(&self) -> Result<Identity, Error> {
        // A header is not worth the minute that a call of a step may take.
        const DEADLINE: Duration = Duration::from_secs(10);
        let call = self.0.sts.get_caller_identity().send();
        let answer = tokio::time::timeout(DEADLINE, call)
            .await
            .map_err(|_| Error::timed_out("GetCallerIdentity", DEADLINE))?
            .map_err(self.on("GetCallerIdentity"))?;
        let account_id = answer.account.ok_or(Error::missing("GetCallerIdentity", "Account"))?;
        Ok(Identity { account_id: Some(account_id), caller_arn: answer.arn, ..self.identity() })
    }

    pub fn region(&self) -> &str {
        &self.0.identity.region
    }

    pub fn world(&self) -> &World {
        &self.0.identity.world
    }

    pub fn read_only(&self) -> bool {
        self.0.identity.read_only
    }

    /// How long ago a change must be for every describe to show it.
    pub fn lag(&self) -> Duration {
        self.0.lag
    }

    /// The record of all calls of this session.
    pub fn log(&self) -> &CallLog {
        &self.0.log
    }

    pub(super) fn ec2(&self) -> &aws_sdk_ec2::Client {
        &self.0.ec2
    }

    /// For what must not happen twice and takes no client token: not retried when the first attempt may have worked.
    pub(super) fn ec2_once(&self) -> &aws_sdk_ec2::Client {
        &self.0.ec2_once
    }

    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        &self.0.iam
    }

    pub(super) fn ssm(&self) -> &aws_sdk_ssm::Client {
        &self.0.ssm
    }

    /// Turns what the SDK returned into an [`Error`] of `operation`.
    pub(super) fn on<E>(&self, operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let endpoint = self.0.endpoint.clone();
        move |error| Error::from_sdk(operation, &endpoint, &error)
    }
}

/// The one place where clients are made: each gets the guard and the recorder.
fn clients(
    config: &SdkConfig,
    guard: Guard,
    recorder: &Recorder,
    identity: Identity,
    endpoint: String,
    log: CallLog,
) -> Inner {
    // The SDK's own quota of retries is meant for services under load by many; natdeck's calls are few, and each is
    // bounded by its attempts and its deadline.
    let partition = RetryPartition::custom("natdeck").token_bucket(TokenBucket::unlimited()).build();
    macro_rules! client {
        ($service:ident $(, $classifier:expr)?) => {
            $service::Client::from_conf(
                $service::config::Builder::from(config)
                    .retry_partition(partition.clone())
                    $(.retry_classifier($classifier))?
                    .interceptor(guard)
                    .interceptor(recorder.clone())
                    .build(),
            )
        };
    }
    Inner {
        ec2: client!(aws_sdk_ec2, NobodyThere),
        ec2_once: client!(aws_sdk_ec2, NotTwice),
        iam: client!(aws_sdk_iam, NobodyThere),
        ssm: client!(aws_sdk_ssm, NobodyThere),
        sts: client!(aws_sdk_sts, NobodyThere),
        identity,
        endpoint,
        lag: LAG,
        log,
    }
}

/// What the SDK's own chain of flags, environment and files says.
async fn aws_config(target: &Target, key: Option<(&str, &str)>) -> SdkConfig {
    let http_client = HttpClientBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        .retry_config(retries(Duration::from_millis(200)))
        .timeout_config(timeouts());
    if let Some((id, secret)) = key {
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "given"));
    }
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &target.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &target.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// The sandbox needs nothing of the machine: no files, no environment.
fn sandbox_config(target: &Target, http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("AKIDSANDBOX", "sandbox", None, None, "natdeck-sandbox");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(target.region.clone().unwrap_or_else(|| SANDBOX_REGION.to_owned())))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SystemTimeSource::new())
        .retry_config(retries(Duration::from_millis(20)))
        .timeout_config(timeouts())
        .build()
}

/// With 30 % of the calls throttled, one call in 170,000 fails ten times in a row.
fn retries(first: Duration) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(10)
        .with_initial_backoff(first)
        .with_max_backoff(Duration::from_secs(5))
        .with_reconnect_mode(ReconnectMode::ReconnectOnTransientError)
}

/// RunInstances and CreateVpcEndpoint may take several seconds; nothing that natdeck calls takes longer.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(4))
        .operation_attempt_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_secs(60))
        .build()
}

/// A custom endpoint, whether for all services or for EC2 alone.
fn endpoint_of(config: &SdkConfig) -> Option<String> {
    let for_ec2 = || {
        let key = ServiceConfigKey::builder().service_id("ec2").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        config.service_config()?.load_config(key.ok()?)
    };
    config.endpoint_url().map(str::to_owned).or_else(for_ec2)
}
