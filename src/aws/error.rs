//! What went wrong with AWS, told apart by AWS's codes. The only file that knows those codes.
//!
//! The text of a message is never searched where a code exists. Lists of codes: EC2's user guide, "Error codes for the
//! Amazon EC2 API", and the `shapes` with `exception` of botocore's models for IAM, SSM and STS.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::guard::Refused;
use crate::plan::Unresolved;

/// What kind of failure it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Neither flag, environment nor profile names a region.
    NoRegion,
    /// The default chain holds no credentials, or the named profile cannot give any.
    NoCredentials,
    /// There are credentials, and they have run out.
    ExpiredCredentials,
    /// AWS does not know these credentials, or their signature is wrong.
    InvalidCredentials,
    /// The caller may not do this.
    Denied,
    /// The rate limit, after all retries.
    Throttled,
    /// AWS does not have the thing that was named, or does not have it yet.
    NotFound,
    /// Something else still uses it. AWS does not say what.
    InUse,
    /// It is there already.
    Duplicate,
    /// A quota or capacity of AWS's.
    Limit,
    /// The answer to `DryRun` that means: would have worked.
    DryRunOk,
    /// The endpoint does not have this operation.
    NotImplemented,
    /// Nobody answered at `endpoint`; why is the error's message.
    NoAnswer { endpoint: String },
    /// No answer in time.
    TimedOut { after: Option<Duration> },
    /// An answer that is not AWS's.
    BadAnswer,
    /// Refused in this process, before anything was sent.
    ReadOnly,
    /// AWS's answer lacks a field that is needed: its name.
    MissingField(&'static str),
    /// A step needs what another should have made.
    Unresolved(Unresolved),
    /// A wait for a state that ended without it.
    NotSettled,
    /// This call is carried out by a caller further up, not by this module.
    NotHere,
    /// Any other code of AWS's.
    Service,
}

/// A call that did not succeed. Its `Display` is one line: what was asked, why it failed, the next move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    /// AWS's name of the operation: `CreateVpc`. Empty when it never came to one.
    pub operation: &'static str,
    /// AWS's code, word for word: `DependencyViolation`.
    pub code: Option<String>,
    /// AWS's message, or ours.
    pub message: String,
    pub request_id: Option<Box<str>>,
}

impl StdError for Error {}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.operation.is_empty() {
            write!(f, "{}: ", self.operation)?;
        }
        match &self.kind {
            Kind::NoAnswer { endpoint } => write!(f, "no answer from {endpoint}: {}", self.message)?,
            Kind::TimedOut { after: Some(after) } => write!(f, "no answer within {} s", after.as_secs_f32())?,
            Kind::TimedOut { after: None } => f.write_str("no answer in time")?,
            Kind::BadAnswer => write!(f, "the answer is not AWS's: {}", self.message)?,
            Kind::MissingField(field) => write!(f, "AWS's answer has no {field}")?,
            Kind::Unresolved(unresolved) => write!(f, "{unresolved}")?,
            _ => match &self.code {
                Some(code) if self.message.is_empty() => f.write_str(code)?,
                Some(code) => write!(f, "{code}: {}", self.message.trim_end_matches('.'))?,
                None => f.write_str(&self.message)?,
            },
        }
        match self.next_move() {
            Some(next_move) => write!(f, "; {next_move}"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// A failure of our own making, without a code of AWS's.
    pub fn new(kind: Kind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, code: None, message: message.into(), request_id: None }
    }

    /// No region is named anywhere.
    pub fn no_region() -> Self {
        Self::new(Kind::NoRegion, "", "no AWS region is set")
    }

    /// AWS's answer lacks `field`.
    pub fn missing(operation: &'static str, field: &'static str) -> Self {
        Self::new(Kind::MissingField(field), operation, format!("AWS's answer has no {field}"))
    }

    /// No answer within `after`.
    pub fn timed_out(operation: &'static str, after: Duration) -> Self {
        Self::new(Kind::TimedOut { after: Some(after) }, operation, "")
    }

    /// An error that AWS gave inside a successful answer, as in `Unsuccessful` lists.
    pub fn of_code(operation: &'static str, code: &str, message: &str) -> Self {
        Self {
            kind: kind_of(code),
            operation,
            code: Some(code.to_owned()),
            message: message.to_owned(),
            request_id: None,
        }
    }

    /// Reads what the SDK returned. `endpoint` is where the call went, for messages.
    pub fn from_sdk<E>(operation: &'static str, endpoint: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let request_id = error.request_id().map(Box::from);
        if let Some(code) = error.code() {
            let mut found = Self::of_code(operation, code, error.message().unwrap_or_default());
            found.request_id = request_id;
            return found;
        }
        let (kind, message) = match error {
            SdkError::TimeoutError(_) => (Kind::TimedOut { after: None }, String::new()),
            SdkError::ResponseError(context) => bad_answer(context.raw()),
            SdkError::ServiceError(context) => bad_answer(context.raw()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (Kind::NoAnswer { endpoint: endpoint.to_owned() }, "the connection timed out".to_owned())
            }
            _ => from_chain(endpoint, error),
        };
        Self { kind, operation, code: None, message, request_id }
    }

    /// What a person can do about it.
    pub fn next_move(&self) -> Option<&'static str> {
        Some(match &self.kind {
            Kind::NoRegion => "give --region, or set AWS_REGION or the profile's region",
            Kind::NoCredentials => {
                "run 'aws configure' or 'aws sso login', set AWS_PROFILE, or try --sandbox, which needs none"
            }
            Kind::ExpiredCredentials => "renew them ('aws sso login', or whatever gave them) and try again",
            Kind::InvalidCredentials => "check the access key and the clock of this machine",
            Kind::Denied => "ask for the permission; 'natdeck iam-policy' prints all that natdeck needs",
            Kind::Throttled => "wait a little and try again",
            Kind::NoAnswer { .. } => "check the endpoint and the network",
            Kind::TimedOut { .. } => "check the network, or try again",
            Kind::BadAnswer => "check what answers at the endpoint: a proxy, a sign-in page?",
            Kind::ReadOnly => "start without --read-only to change anything",
            Kind::Limit => "free some, choose another zone or type, or ask AWS to raise the quota",
            Kind::NotImplemented => "the endpoint does not offer this operation",
            _ => return None,
        })
    }

    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// `DependencyViolation` and its kin: something else still uses the resource.
    pub fn is_dependency_violation(&self) -> bool {
        self.kind == Kind::InUse
    }

    pub fn is_duplicate(&self) -> bool {
        self.kind == Kind::Duplicate
    }

    pub fn is_throttled(&self) -> bool {
        self.kind == Kind::Throttled
    }

    pub fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// Whether the request may have taken effect although no usable answer came back.
    pub fn is_ambiguous(&self) -> bool {
        match &self.kind {
            Kind::NoAnswer { .. } | Kind::TimedOut { .. } | Kind::BadAnswer => true,
            Kind::Service => matches!(
                self.code.as_deref(),
                Some(
                    "InternalError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "Unavailable"
                )
            ),
            _ => false,
        }
    }

    /// Whether AWS refused the value of a parameter. EC2 has one code for all of them and names the parameter in the
    /// message only.
    pub fn is_invalid_parameter(&self, parameter: &str) -> bool {
        self.code.as_deref() == Some("InvalidParameterValue")
            && self.message.to_ascii_lowercase().contains(&parameter.to_ascii_lowercase())
    }

    /// Whether AWS answered with exactly this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether no later call of the same session can fare better: region, credentials.
    pub fn is_fatal(&self) -> bool {
        matches!(self.kind, Kind::NoRegion | Kind::NoCredentials | Kind::ExpiredCredentials | Kind::InvalidCredentials)
    }
}

impl From<Unresolved> for Error {
    fn from(unresolved: Unresolved) -> Self {
        Self::new(Kind::Unresolved(unresolved), "", "")
    }
}

/// What one of AWS's codes means.
fn kind_of(code: &str) -> Kind {
    match code {
        "DryRunOperation" => Kind::DryRunOk,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "OptInRequired"
        | "Blocked"
        | "NotAuthorized" => Kind::Denied,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            Kind::ExpiredCredentials
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Kind::InvalidCredentials,
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "EC2ThrottledException" => Kind::Throttled,
        "DependencyViolation"
        | "DeleteConflict"
        | "DeleteConflictException"
        | "InvalidNetworkInterface.InUse"
        | "InvalidGroup.InUse"
        | "InvalidIPAddress.InUse"
        | "ResourceInUse"
        | "InUse" => Kind::InUse,
        "InvalidPermission.Duplicate"
        | "RouteAlreadyExists"
        | "Resource.AlreadyAssociated"
        | "EntityAlreadyExists"
        | "InvalidGroup.Duplicate"
        | "EntityAlreadyExistsException"
        | "AttachmentAlreadyExists" => Kind::Duplicate,
        "NoSuchEntity"
        | "NoSuchEntityException"
        | "ParameterNotFound"
        | "InvocationDoesNotExist"
        | "InvalidInstanceId"
        | "NatGatewayNotFound"
        | "Gateway.NotAttached" => Kind::NotFound,
        "InvalidAction" | "UnknownOperationException" | "NotImplemented" | "UnsupportedOperationException" => {
            Kind::NotImplemented
        }
        "InsufficientInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "LimitExceededException"
        | "InsufficientAddressCapacity"
        | "AttachmentLimitExceeded"
        | "LimitExceeded" => Kind::Limit,
        // `InvalidVpcID.NotFound`, `InvalidRoute.NotFound`, …; `VpcLimitExceeded`, `VcpuLimitExceeded`, …
        _ if code.ends_with(".NotFound") => Kind::NotFound,
        _ if code.ends_with("LimitExceeded") => Kind::Limit,
        _ => Kind::Service,
    }
}

/// An answer that the SDK could not read, or an error without a code. What it begins with tells a person more than the
/// parser's complaint: a sign-in page, a proxy's error.
fn bad_answer(raw: &HttpResponse) -> (Kind, String) {
    let status = raw.status().as_u16();
    let body = String::from_utf8_lossy(raw.body().bytes().unwrap_or_default());
    let printable: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    let begins = printable.trim();
    let message = match (begins.is_empty(), status < 300) {
        (true, _) => format!("HTTP status {status} and an empty body"),
        (false, true) => format!("HTTP status {status} and no AWS answer in '{begins}'"),
        (false, false) => format!("HTTP status {status} and no AWS error in '{begins}'"),
    };
    (Kind::BadAnswer, message)
}

/// Looks for a cause that has a type: the guard, credentials, the network.
fn from_chain(endpoint: &str, error: &(dyn StdError + 'static)) -> (Kind, String) {
    for cause in chain(error) {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return (Kind::ReadOnly, refused.to_string());
        }
        if let Some(credentials) = cause.downcast_ref::<CredentialsError>() {
            return from_credentials(credentials);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && error.get_ref().is_none()
        {
            let reason = match error.kind() {
                io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
                io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
                _ => error.to_string(),
            };
            return (Kind::NoAnswer { endpoint: endpoint.to_owned() }, reason);
        }
    }
    let reason = chain(error).last().map(ToString::to_string).unwrap_or_default();
    (Kind::NoAnswer { endpoint: endpoint.to_owned() }, reason)
}

/// Tells absent credentials from those that have run out.
fn from_credentials(error: &CredentialsError) -> (Kind, String) {
    let detail = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let kind = match error {
        CredentialsError::CredentialsNotLoaded(_) => Kind::NoCredentials,
        // The providers (SSO token cache, SSO and STS calls) keep their error types to themselves: a cached token
        // that has run out is told by its text alone, a refusal of the service by the code in it.
        _ if detail.to_ascii_lowercase().contains("expired") || detail.contains("UnauthorizedException") => {
            Kind::ExpiredCredentials
        }
        _ => Kind::NoCredentials,
    };
    let message = match kind {
        Kind::ExpiredCredentials => format!("the AWS credentials have expired: {detail}"),
        _ if detail.is_empty() || matches!(error, CredentialsError::CredentialsNotLoaded(_)) => {
            "no AWS credentials were found".to_owned()
        }
        // The last place in the chain that was asked is the instance metadata service, or the profile's own provider.
        _ => format!("no AWS credentials were found; the last place asked says '{}'", detail.trim_end_matches('.')),
    };
    (kind, message)
}

/// The error and everything below it.
pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
