//! The SDK's side of a sandbox, whichever process it is in: a request taken apart, and how long its answer may take.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use hyper::body::Bytes;

use super::NoAnswer;

/// A request of the SDK's, whole.
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// What answers the SDK, one request after the other.
pub(super) trait Answers: Clone + fmt::Debug + Send + Sync + 'static {
    fn converse(&self, asked: Asked) -> impl Future<Output = Result<HttpResponse, ConnectorError>> + Send;
}

/// One client's line to what answers.
#[derive(Debug)]
pub(super) struct Line<A> {
    pub(super) far_end: A,
    /// How long the client waits for an answer. `None`: for ever.
    pub(super) read_timeout: Option<Duration>,
}

impl<A: Answers> HttpConnector for Line<A> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (far_end, read_timeout) = (self.far_end.clone(), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let answer = async { far_end.converse(take(request).await?).await };
            let Some(read_timeout) = read_timeout else { return answer.await };
            match tokio::time::timeout(read_timeout, answer).await {
                Ok(answer) => answer,
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

async fn take(mut request: HttpRequest) -> Result<Asked, ConnectorError> {
    let body = std::mem::replace(request.body_mut(), SdkBody::taken());
    let body = ByteStream::new(body).collect().await;
    let unreadable = |error: aws_smithy_types::byte_stream::error::Error| NoAnswer::Unreadable(error.to_string());
    Ok(Asked {
        method: request.method().to_owned(),
        target: path_and_query(request.uri()).to_owned(),
        headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.map_err(|error| ConnectorError::user(unreadable(error).into()))?.into_bytes(),
    })
}

/// What follows the host name in a URL.
pub(super) fn path_and_query(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
}
