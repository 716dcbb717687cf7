//! `curl`: over the packet walk, with real exit codes and messages.

use std::net::IpAddr;
use std::time::Duration;

use super::super::outside::{HttpAnswer, HttpRequest, Reached, ResolveError};
use super::super::shell::{Flow, Interp, Run};
use super::Arguments;
use crate::model::Protocol;

const VALUED: &[&str] = &[
    "-m",
    "--max-time",
    "--connect-timeout",
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-X",
    "--request",
    "-H",
    "--header",
    "-d",
    "--data",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "-A",
    "--user-agent",
    "--interface",
    "-T",
    "-u",
    "--resolve",
    "-b",
    "-e",
    "--cacert",
    "--proto",
    "--tls-max",
    "-x",
    "--proxy",
    "--data-raw",
    "--url",
];
/// Linux gives up on a SYN after tcp_syn_retries = 6: 127 s (tcp(7)). curl's own limit is 300 s.
const SYN_TIMEOUT: Duration = Duration::from_secs(131);
/// curl's own limit for the connection, TLS included.
const TLS_TIMEOUT: Duration = Duration::from_secs(300);
/// glibc's resolver: two tries of five seconds each, for each of the two address families' questions.
const DNS_TIMEOUT: Duration = Duration::from_secs(10);

/// How one transfer ended.
struct Ended {
    code: i32,
    message: String,
    answer: Option<HttpAnswer>,
    address: Option<IpAddr>,
    took: Duration,
}

pub(super) fn run(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, VALUED);
    if arguments.has(&["-V", "--version"]) {
        it.out("curl 8.5.0 (aarch64-amazon-linux-gnu) libcurl/8.5.0 OpenSSL/3.0.8\n")?;
        return Ok(0);
    }
    let Some(url) = arguments.value(&["--url"]).map(str::to_owned).or_else(|| arguments.rest.first().cloned()) else {
        return it
            .fail(2, "curl: (2) no URL specified\ncurl: try 'curl --help' or 'curl --manual' for more information");
    };
    let silent = arguments.has(&["-s", "--silent"]);
    let quiet = silent && !arguments.has(&["-S", "--show-error"]);
    let tries = arguments.value(&["--retry"]).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0).min(100);
    let all_errors = arguments.has(&["--retry-all-errors"]);
    let refused_too = arguments.has(&["--retry-connrefused"]);
    let mut ended;
    let mut attempt = 0;
    loop {
        it.step()?;
        ended = transfer(it, &url, &arguments)?;
        let status = ended.answer.as_ref().map_or(0, |answer| answer.status);
        let transient = matches!(ended.code, 6 | 28) || matches!(status, 408 | 429 | 500 | 502 | 503 | 504);
        let again = transient || ended.code == 7 && refused_too || all_errors && ended.code != 0;
        if !again || attempt >= tries {
            break;
        }
        // One second, doubled each time, unless told otherwise (curl(1), --retry).
        let delay = arguments.value(&["--retry-delay"]).and_then(|n| n.parse().ok()).unwrap_or(1_u64 << attempt.min(9));
        it.pass(Duration::from_secs(delay))?;
        attempt += 1;
    }
    report(it, &arguments, &ended, quiet)
}

fn report(it: &mut Interp<'_, '_>, arguments: &Arguments, ended: &Ended, quiet: bool) -> Run {
    let head = arguments.has(&["-I", "--head"]);
    let body = match &ended.answer {
        Some(answer) if ended.code == 0 => {
            let title = match answer.status {
                200 => "OK",
                301 => "Moved Permanently",
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "Not Found",
                _ => "",
            };
            let headers = format!(
                "HTTP/1.1 {} {title}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                answer.status,
                answer.content_type,
                answer.body.len()
            );
            match (head, arguments.has(&["-i", "--include"])) {
                (true, _) => headers,
                (false, true) => format!("{headers}{}", answer.body),
                (false, false) => answer.body.clone(),
            }
        }
        _ => String::new(),
    };
    let file = arguments.value(&["-o", "--output"]).map(str::to_owned);
    let remote = arguments.has(&["-O", "--remote-name"]).then(|| arguments.rest.first().cloned()).flatten();
    let file = file.or_else(|| remote.map(|url| super::super::vfs::name(&url).to_owned()));
    match file.as_deref() {
        Some("/dev/null") => {}
        Some("-") | None => it.out(&body)?,
        Some(file) => {
            let (path, now) = (it.path(file), it.seconds());
            if ended.code == 0
                && let Err(error) = it.machine.write_file(&path, &body, now)
            {
                return it.fail(23, format!("Warning: Failed to open the file {file}: {error}\ncurl: (23) Failure writing output to destination"));
            }
        }
    }
    if ended.code != 0 && !quiet {
        it.err(&format!("curl: ({}) {}\n", ended.code, ended.message))?;
    }
    if let Some(format) = arguments.value(&["-w", "--write-out"]) {
        let text = write_out(format, ended);
        it.out(&text)?;
    }
    Ok(ended.code)
}

fn write_out(format: &str, ended: &Ended) -> String {
    let status = ended.answer.as_ref().map_or(0, |answer| answer.status);
    let seconds = format!("{:.6}", ended.took.as_secs_f64());
    let address = ended.address.map(|address| address.to_string()).unwrap_or_default();
    let size = ended.answer.as_ref().map_or(0, |answer| answer.body.len()).to_string();
    // curl prints zero for what never came to pass.
    let never = || "0.000000".to_owned();
    let connected = ended.answer.is_some() || ended.code == 35 || ended.message.starts_with("SSL");
    let when = |so: bool| if so { seconds.clone() } else { never() };
    let resolved = !(ended.code == 6 || ended.message.starts_with("Resolving"));
    let values = [
        ("http_code", format!("{status:03}")),
        ("response_code", format!("{status:03}")),
        ("time_total", seconds.clone()),
        ("time_connect", when(connected)),
        ("time_starttransfer", when(ended.answer.is_some())),
        ("time_namelookup", if resolved { "0.001000".to_owned() } else { never() }),
        ("time_appconnect", when(ended.answer.is_some())),
        ("remote_ip", address),
        ("size_download", size),
        ("exitcode", ended.code.to_string()),
        ("errormsg", ended.message.clone()),
    ];
    let mut text = format.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
    for (name, value) in values {
        text = text.replace(&format!("%{{{name}}}"), &value);
    }
    text
}

fn transfer(it: &mut Interp<'_, '_>, url: &str, arguments: &Arguments) -> Run<Ended> {
    let began = it.clock();
    let mut ended = attempt(it, url, arguments)?;
    ended.took = it.clock().saturating_sub(began);
    Ok(ended)
}

/// Seconds of an option, fractions included.
fn seconds(arguments: &Arguments, names: &[&str]) -> Option<Duration> {
    arguments
        .value(names)
        .and_then(|n| n.parse().ok())
        .and_then(|n| Duration::try_from_secs_f64(n).ok())
        .filter(|time| !time.is_zero())
}

fn attempt(it: &mut Interp<'_, '_>, url: &str, arguments: &Arguments) -> Run<Ended> {
    let end = |code: i32, message: String| Ended { code, message, answer: None, address: None, took: Duration::ZERO };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let tls = match scheme {
        "http" => false,
        "https" => true,
        other => return Ok(end(1, format!("Protocol \"{other}\" not supported"))),
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, tail)) => (host, tail.strip_prefix(':')),
        None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.map(str::parse::<u16>) {
        None => {
            if tls {
                443
            } else {
                80
            }
        }
        Some(Ok(port)) => port,
        Some(Err(_)) => return Ok(end(3, "URL using bad/illegal format or missing URL".to_owned())),
    };
    if host.is_empty() {
        return Ok(end(3, "URL using bad/illegal format or missing URL".to_owned()));
    }
    let most = seconds(arguments, &["-m", "--max-time"]);
    let connect = [seconds(arguments, &["--connect-timeout"]), most].into_iter().flatten().min();
    let address = match resolve(it, host, connect)? {
        Ok(address) => address,
        Err((ResolveError::TimedOut, waited)) if connect.is_some_and(|limit| waited >= limit) => {
            return Ok(end(28, format!("Resolving timed out after {} milliseconds", waited.as_millis() + 1)));
        }
        Err(_) => return Ok(end(6, format!("Could not resolve host: {host}"))),
    };
    if address.is_ipv4() && arguments.has(&["-6", "--ipv6"]) || address.is_ipv6() && arguments.has(&["-4", "--ipv4"]) {
        return Ok(end(6, format!("Could not resolve host: {host}")));
    }
    let failed = |code: i32, message: String| Ended { address: Some(address), ..end(code, message) };
    let headers: Vec<(String, String)> = arguments
        .values(&["-H", "--header"])
        .filter_map(|header| header.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let head = arguments.has(&["-I", "--head"]);
    let posts = arguments.has(&["-d", "--data", "--data-raw"]);
    let method = arguments.value(&["-X", "--request"]).unwrap_or(if head {
        "HEAD"
    } else if posts {
        "POST"
    } else {
        "GET"
    });
    let answer = if address == IpAddr::from([169, 254, 169, 254]) {
        if tls {
            return Ok(failed(
                7,
                format!("Failed to connect to {host} port {port} after 0 ms: Couldn't connect to server"),
            ));
        }
        Some(it.machine.metadata(method, path.split('?').next().unwrap_or("/"), &headers))
    } else {
        match reach(it, address, port, Protocol::Tcp)? {
            // An HTTP answer of these sites fits into a small packet, a certificate does not.
            Reached::Stalled { .. } if tls => {
                let wait = most.unwrap_or(TLS_TIMEOUT);
                it.pass(wait)?;
                return Ok(failed(28, format!("SSL connection timeout after {} milliseconds", wait.as_millis() + 1)));
            }
            Reached::Delivered { source, rtt } | Reached::Stalled { source, rtt } => {
                let trips = if tls { 4 } else { 2 };
                if most.is_some_and(|most| rtt * trips > most) {
                    let most = most.unwrap_or_default();
                    it.pass(most)?;
                    let message = format!(
                        "Operation timed out after {} milliseconds with 0 bytes received",
                        most.as_millis() + 1
                    );
                    return Ok(failed(28, message));
                }
                it.pass(rtt * trips)?;
                let request = HttpRequest {
                    method: method.to_owned(),
                    tls,
                    host: host.to_owned(),
                    address,
                    port,
                    path,
                    seen_from: source,
                };
                it.line.http(&request)
            }
            Reached::Refused => {
                return Ok(failed(
                    7,
                    format!("Failed to connect to {host} port {port} after 1 ms: Couldn't connect to server"),
                ));
            }
            Reached::Unreachable => {
                it.pass(Duration::from_secs(3))?;
                return Ok(failed(
                    7,
                    format!("Failed to connect to {host} port {port} after 3067 ms: Couldn't connect to server"),
                ));
            }
            Reached::TimedOut => {
                let wait = connect.unwrap_or(SYN_TIMEOUT).min(SYN_TIMEOUT);
                it.pass(wait)?;
                let waited = wait.as_millis() + 1;
                return Ok(failed(
                    28,
                    match connect {
                        Some(limit) if limit < SYN_TIMEOUT => {
                            format!("Connection timed out after {waited} milliseconds")
                        }
                        _ => format!(
                            "Failed to connect to {host} port {port} after {waited} ms: Couldn't connect to server"
                        ),
                    },
                ));
            }
        }
    };
    let Some(answer) = answer else { return Ok(failed(52, "Empty reply from server".to_owned())) };
    if answer.status >= 400 && arguments.has(&["-f", "--fail"]) {
        let message = format!("The requested URL returned error: {}", answer.status);
        return Ok(Ended { answer: Some(answer), ..failed(22, message) });
    }
    Ok(Ended { answer: Some(answer), ..failed(0, String::new()) })
}

/// A name's address, and how long a failure took.
pub(super) fn resolve(
    it: &mut Interp<'_, '_>,
    name: &str,
    limit: Option<Duration>,
) -> Run<Result<IpAddr, (ResolveError, Duration)>> {
    if let Ok(address) = name.parse() {
        return Ok(Ok(address));
    }
    let hosts = it.machine.read_file("/etc/hosts").unwrap_or_default();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && words.any(|word| word.eq_ignore_ascii_case(name))
        {
            return Ok(Ok(address));
        }
    }
    let own = it.machine.hostname.clone();
    if name == own || own.split('.').next() == Some(name) {
        let first = it.machine.nics.first().map(|nic| IpAddr::V4(nic.private_ip));
        return Ok(first.ok_or((ResolveError::NoSuchHost, Duration::ZERO)));
    }
    match it.line.resolve(it.machine, name) {
        Ok(address) => Ok(Ok(address)),
        Err(ResolveError::NoSuchHost) => Ok(Err((ResolveError::NoSuchHost, Duration::ZERO))),
        Err(ResolveError::TimedOut) => {
            let waited = limit.map_or(DNS_TIMEOUT, |limit| limit.min(DNS_TIMEOUT));
            it.pass(waited)?;
            Ok(Err((ResolveError::TimedOut, waited)))
        }
    }
}

/// Connects; the host's own addresses are answered here: nothing listens there but sshd.
pub(super) fn reach(it: &mut Interp<'_, '_>, to: IpAddr, port: u16, protocol: Protocol) -> Run<Reached> {
    it.step()?;
    let own = it.machine.kernel.interfaces.iter().flat_map(|i| &i.addresses).any(|net| net.addr() == to);
    if own || to.is_loopback() {
        let listens = protocol == Protocol::Icmp || protocol == Protocol::Icmpv6 || port == 22;
        let rtt = Duration::from_micros(40);
        return Ok(if listens { Reached::Delivered { source: to, rtt } } else { Reached::Refused });
    }
    if matches!(protocol, Protocol::All | Protocol::Unknown) {
        return Err(Flow::Killed("unknown protocol"));
    }
    Ok(it.line.connect(it.machine, to, port, protocol))
}
