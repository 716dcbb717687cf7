//! A sandbox in another process, reached through the address in its lock note. It is the same `HttpClient` to the SDK as
//! the sandbox inside this process, and shown as the same world.

use std::net::SocketAddr;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::sdk::{Answers, Asked, Line};
use crate::model::InstanceId;
use crate::reach::Cause;
use crate::sandbox::Scenario;
use crate::sandbox::server::control::{self, About};

/// How long a serving process may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a serving process cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("the sandbox on http://{address} does not answer")]
    Unreachable { address: SocketAddr, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the sandbox on http://{address} did not answer within {PATIENCE:?}")]
    Silent { address: SocketAddr },
    #[error("the sandbox on http://{address} refuses: {reason}")]
    Refused { address: SocketAddr, reason: String },
    #[error("what answers on http://{address} is no natdeck of this version")]
    Strange { address: SocketAddr },
}

/// A sandbox that another process serves.
#[derive(Debug, Clone)]
pub struct Remote {
    address: SocketAddr,
}

impl Remote {
    /// The sandbox at an address, if one is there.
    pub async fn find(address: SocketAddr) -> Result<(Self, About), RemoteError> {
        let remote = Self { address };
        let answer = remote.control("GET", control::ABOUT).await?;
        let about = serde_json::from_slice(&answer).map_err(|_| RemoteError::Strange { address })?;
        Ok((remote, about))
    }

    /// Makes it begin again: from the named scenario, or from its own.
    pub async fn reset(&self, scenario: Option<Scenario>) -> Result<(), RemoteError> {
        let query = scenario.map(|scenario| format!("?scenario={scenario}")).unwrap_or_default();
        self.control("POST", &format!("{}{query}", control::RESET)).await.map(|_| ())
    }

    /// Makes a cause real in its world. What was done, in a sentence.
    pub async fn break_egress(&self, cause: Cause, instance_id: Option<&InstanceId>) -> Result<String, RemoteError> {
        // Ended before anything is waited for: the serializer cannot be sent to another thread.
        let query = {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("cause", &cause.name());
            if let Some(id) = instance_id {
                query.append_pair("instance", id.as_str());
            }
            query.finish()
        };
        let did = self.control("POST", &format!("{}?{query}", control::BREAK)).await?;
        Ok(String::from_utf8_lossy(&did).trim_end().to_owned())
    }

    /// What can be broken in its world as it is, for an instance or the first that fits.
    pub async fn breakable(&self, instance_id: Option<&InstanceId>) -> Result<Vec<Cause>, RemoteError> {
        let query = instance_id.map(|id| format!("?instance={id}")).unwrap_or_default();
        let causes = self.control("GET", &format!("{}{query}", control::BREAKABLE)).await?;
        let address = self.address;
        serde_json::from_slice(&causes).map_err(|_| RemoteError::Strange { address })
    }

    /// For `aws_config::defaults(..).http_client(..)`.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// One of the requests that are not AWS's.
    pub async fn control(&self, method: &str, target: &str) -> Result<Bytes, RemoteError> {
        let address = self.address;
        let headers = [(control::HEADER.to_owned(), "1".to_owned())];
        let asked = self.send(method, target, &headers, Bytes::new());
        let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| RemoteError::Silent { address })?;
        let (status, body) = answer.map_err(|source| RemoteError::Unreachable { address, source })?;
        match status {
            200 => Ok(body),
            404 => Err(RemoteError::Strange { address }),
            _ => Err(RemoteError::Refused { address, reason: String::from_utf8_lossy(&body).trim_end().to_owned() }),
        }
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer, since nothing keeps the sender.
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(target).header("host", self.address.to_string());
        for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
            request = request.header(name, value);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, body))
    }
}

impl Answers for Remote {
    async fn converse(&self, asked: Asked) -> Result<HttpResponse, ConnectorError> {
        let Asked { method, target, headers, body } = asked;
        let (status, body) = self.send(&method, &target, &headers, body).await.map_err(ConnectorError::io)?;
        let status = StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
        Ok(HttpResponse::new(status, SdkBody::from(body)))
    }
}

impl HttpClient for Remote {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Line { far_end: self.clone(), read_timeout: settings.read_timeout() })
    }
}
