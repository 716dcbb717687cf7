//! The sandbox on a socket: other people's clients (Terraform, the aws CLI, boto3) speak to it as to AWS.
//!
//! One port answers for every service; [`super::wire::decode`] tells which one is meant. The only part of the sandbox
//! that listens on the network.

pub mod control;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use super::Sandbox;
use super::connector::NoAnswer;
use super::wire;

/// No API call is larger: user data is 16 KiB, a policy document 6 KiB, an SSM document 64 KiB.
const BODY_AT_MOST: usize = 4 << 20;

/// How long a client may take to send the head of a request, or to stay connected without sending one.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long requests that are being answered may take once the server is to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// How often a changed world is written to its file: what a killed server loses at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// One request that was answered, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// `ec2:DescribeVpcs`. Empty where the request could not be read.
    pub operation: String,
    pub latency: Duration,
    pub status: u16,
    /// The error's code. `None`: no error.
    pub error: Option<String>,
}

/// A sandbox that is listening.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    sandbox: Sandbox,
}

impl Server {
    /// Takes the port, and tells those who find the state file in use about it. Port `0` takes a free one: ask
    /// [`Server::address`].
    pub async fn bind(sandbox: Sandbox, listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let mut reached_at = listener.local_addr()?;
        if reached_at.ip().is_unspecified() {
            // Every address of the machine: this process's neighbours use the loopback one.
            reached_at.set_ip(match reached_at {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        sandbox.announce(reached_at).map_err(io::Error::other)?;
        Ok(Self { listener, sandbox })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `end` comes. `on_answer` hears of each answer; it must not take long.
    pub async fn run(self, on_answer: impl Fn(Answered) + Send + Sync + 'static, end: impl Future<Output = ()>) {
        let on_answer: Arc<dyn Fn(Answered) + Send + Sync> = Arc::new(on_answer);
        let connections = GracefulShutdown::new();
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let saver = tokio::spawn(save_now_and_then(self.sandbox.clone()));
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
            // Small answers must not wait for the client's delayed acknowledgement; without it they only come later.
            let _ = stream.set_nodelay(true);
            let (sandbox, on_answer) = (self.sandbox.clone(), Arc::clone(&on_answer));
            let service = service_fn(move |request| {
                let (sandbox, on_answer) = (sandbox.clone(), Arc::clone(&on_answer));
                async move { answer(&sandbox, request, on_answer.as_ref()).await }
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
        saver.abort();
        if let Err(error) = self.sandbox.keep() {
            tracing::warn!(%error, "the sandbox's last state was not kept");
        }
    }
}

async fn save_now_and_then(sandbox: Sandbox) {
    let mut tick = tokio::time::interval(SAVE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = sandbox.keep() {
            tracing::warn!(%error, "the sandbox's state was not kept");
        }
    }
}

type Answer = Response<Full<Bytes>>;

/// One request. An error closes the connection without an answer: the sandbox was told to lose it.
async fn answer(
    sandbox: &Sandbox,
    request: Request<Incoming>,
    on_answer: &(dyn Fn(Answered) + Send + Sync),
) -> Result<Answer, NoAnswer> {
    let started_at = Instant::now();
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.starts_with(control::PREFIX) {
        let allowed = head.headers.contains_key(control::HEADER);
        let (sandbox, method, target) = (sandbox.clone(), head.method.clone(), target.to_owned());
        // Away from the threads that answer: booting simulated hosts takes a moment.
        let answering = tokio::task::spawn_blocking(move || control::answer(&sandbox, &method, &target, allowed));
        let (status, text) = answering
            .await
            .unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("it ended in a defect: {error}\n")));
        return Ok(plain(status, text));
    }
    // Whoever announces too much is refused at once; whoever does not announce it, when it is too much.
    let announced = body.size_hint().lower();
    let body = match usize::try_from(announced) {
        Ok(announced) if announced <= BODY_AT_MOST => Limited::new(body, BODY_AT_MOST).collect().await.ok(),
        _ => None,
    };
    let Some(body) = body else {
        let text = "the request's body cannot be read, or is too large\n";
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, text.to_owned()));
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = body.to_bytes();
    let answering = sandbox.answer(head.method.as_str(), target, &headers, &body);
    // A mistake in one operation must not end a workshop: the client hears of it, and the next request is served.
    let answered = match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(answered) => answered?,
        Err(_) => wire::internal_failure(),
    };
    on_answer(Answered {
        operation: answered.operation,
        latency: started_at.elapsed(),
        status: answered.status,
        error: answered.error,
    });
    let response = Response::builder()
        .status(answered.status)
        .header("content-type", answered.content_type)
        .header("x-amzn-requestid", &answered.request_id)
        .body(Full::new(Bytes::from(answered.body)));
    Ok(response.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be sent\n".to_owned())))
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
