//! The sandbox on a socket: other people's clients (Terraform, the aws CLI, boto3) speak to it as to AWS.
//!
//! One port answers for every service; [`super::wire::decode`] tells which one is meant. The only part of the sandbox
//! that listens on the network.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use super::Sandbox;
use super::connector::NoAnswer;

/// No API call is larger: user data is 16 KiB, a policy document 6 KiB.
const BODY_AT_MOST: usize = 4 << 20;

/// How long a client may take to send the head of a request, or to stay connected without sending one.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long requests that are being answered may take once the server is to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A sandbox that is listening.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    sandbox: Sandbox,
}

impl Server {
    /// Takes the port. `0` takes a free one: ask [`Server::address`].
    pub async fn bind(sandbox: Sandbox, listen: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(listen).await?, sandbox })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `end` comes.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let connections = GracefulShutdown::new();
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut end => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // The client is gone again, or there are no more file descriptors for now: both pass.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let sandbox = self.sandbox.clone();
            let service = service_fn(move |request| {
                let sandbox = sandbox.clone();
                async move { answer(&sandbox, request).await }
            });
            let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        drop(self.listener);
        // Who does not come to an end by himself is left.
        let _ = tokio::time::timeout(FAREWELL, connections.shutdown()).await;
    }
}

/// One request, with the connection closed where the sandbox is told to lose the answer.
async fn answer(sandbox: &Sandbox, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let Ok(body) = Limited::new(body, BODY_AT_MOST).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request's body cannot be read, or is too large\n"));
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let answer = sandbox.answer(head.method.as_str(), target, &headers, &body.to_bytes()).await?;
    let response = Response::builder()
        .status(answer.status)
        .header("content-type", answer.content_type)
        .header("x-amzn-requestid", &answer.request_id)
        .body(Full::new(Bytes::from(answer.body)));
    Ok(response.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be sent\n")))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
