//! `ping`, `dig`, `nslookup`, `host`, `getent`, `nc`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::outside::{Reached, ResolveError};
use super::super::shell::{Flow, Interp, Run};
use super::Arguments;
use super::curl::{reach, resolve};
use crate::model::Protocol;

/// What a ping has counted so far.
struct Pinged {
    sent: u32,
    errors: u32,
    times: Vec<f64>,
}

pub(super) fn ping(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-c", "-W", "-w", "-i", "-s", "-I", "-M", "-t", "-Q", "-p", "-l"]);
    let Some(name) = arguments.rest.last() else {
        return it.fail(1, "ping: usage error: Destination address required");
    };
    let number =
        |flag: &str| arguments.value(&[flag]).and_then(|n| n.parse::<f64>().ok()).filter(|n| *n >= 0.0 && *n < 1e6);
    if let Some(count) = arguments.value(&["-c"])
        && !count.parse::<u32>().is_ok_and(|count| count > 0)
    {
        return match count.parse::<i64>() {
            Ok(_) => it
                .fail(1, format!("ping: invalid argument: '{count}': out of range: 1 <= value <= 9223372036854775807")),
            Err(_) => it.fail(1, format!("ping: invalid argument: '{count}'")),
        };
    }
    let address = match resolve(it, name, None)? {
        Ok(address) => address,
        Err((ResolveError::NoSuchHost, _)) => return it.fail(2, format!("ping: {name}: Name or service not known")),
        Err((ResolveError::TimedOut, _)) => {
            return it.fail(2, format!("ping: {name}: Temporary failure in name resolution"));
        }
    };
    let size = number("-s").map_or(56, |size| size.min(65_507.0) as u32);
    let overhead = if address.is_ipv4() { 28 } else { 48 };
    it.out(&format!("PING {name} ({address}) {size}({}) bytes of data.\n", size + overhead))?;
    let began = it.clock();
    let mut pinged = Pinged { sent: 0, errors: 0, times: Vec::new() };
    match echo(it, &arguments, address, size, &mut pinged) {
        // Ctrl-c ends a ping with its statistics.
        Ok(()) | Err(Flow::Interrupted) => {}
        Err(other) => return Err(other),
    }
    let Pinged { sent, errors, times } = pinged;
    let received = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let loss = f64::from(sent - received.min(sent)) * 100.0 / f64::from(sent.max(1));
    let errors = if errors > 0 { format!(", +{errors} errors") } else { String::new() };
    let took = it.clock().saturating_sub(began).as_millis();
    let loss = format!("{loss:.4}");
    let loss = loss.trim_end_matches('0').trim_end_matches('.');
    it.out(&format!(
        "\n--- {name} ping statistics ---\n{sent} packets transmitted, {received} received{errors}, {loss}% packet loss, time {took}ms\n"
    ))?;
    if times.is_empty() {
        it.out("\n")?;
        return Ok(1);
    }
    let (low, high) = times.iter().fold((f64::MAX, 0.0_f64), |(low, high), ms| (low.min(*ms), high.max(*ms)));
    let mean = times.iter().sum::<f64>() / f64::from(received);
    let spread = (times.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / f64::from(received)).sqrt();
    it.out(&format!("rtt min/avg/max/mdev = {low:.3}/{mean:.3}/{high:.3}/{spread:.3} ms\n"))?;
    Ok(0)
}

/// Sends echo requests until there were enough, the deadline has come, or ctrl-c.
fn echo(it: &mut Interp<'_, '_>, arguments: &Arguments, to: IpAddr, size: u32, pinged: &mut Pinged) -> Run<()> {
    let number =
        |flag: &str| arguments.value(&[flag]).and_then(|n| n.parse::<f64>().ok()).filter(|n| *n >= 0.0 && *n < 1e6);
    let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // Without -c a ping runs until it is interrupted. Where nobody is there to do that, it stops after ten.
    let endless = if it.at_screen() { u32::MAX } else { 10 };
    let count = arguments.value(&["-c"]).and_then(|n| n.parse::<u32>().ok()).unwrap_or(endless);
    let interval = time(number("-i").unwrap_or(1.0).max(0.002));
    let wait = time(number("-W").unwrap_or(10.0));
    let deadline = number("-w").map(time);
    let quiet = arguments.has(&["-q"]);
    let began = it.clock();
    let protocol = if to.is_ipv4() { Protocol::Icmp } else { Protocol::Icmpv6 };
    let own = it.machine.nics.first().map_or(to, |nic| IpAddr::V4(nic.private_ip));
    let local =
        to.is_loopback() || it.machine.kernel.interfaces.iter().flat_map(|i| &i.addresses).any(|n| n.addr() == to);
    // Hosts of the VPC are Linux hosts whose replies pass no router that counts; the internet is ten hops away.
    let private = matches!(to, IpAddr::V4(to) if to.is_private());
    let ttl = if local || private { 64 } else { 117 };
    while pinged.sent < count {
        pinged.sent += 1;
        let sent = pinged.sent;
        let mut answered = false;
        match reach(it, to, 0, protocol)? {
            Reached::Delivered { rtt, .. } | Reached::Stalled { rtt, .. } if rtt <= wait => {
                it.pass(rtt)?;
                // A few hundredths up and down, as on a real line.
                let jitter = 1.0 + f64::from(sent.wrapping_mul(2_654_435_761) >> 24) / 8192.0;
                let ms = rtt.as_secs_f64() * 1000.0 * jitter;
                if !quiet {
                    let shown = match ms {
                        ms if ms < 1.0 => format!("{ms:.3}"),
                        ms if ms < 10.0 => format!("{ms:.2}"),
                        ms if ms < 100.0 => format!("{ms:.1}"),
                        ms => format!("{ms:.0}"),
                    };
                    it.out(&format!("{} bytes from {to}: icmp_seq={sent} ttl={ttl} time={shown} ms\n", size + 8))?;
                }
                pinged.times.push(ms);
                answered = true;
            }
            Reached::Unreachable => {
                pinged.errors += 1;
                it.out(&format!("From {own} icmp_seq={sent} Destination Host Unreachable\n"))?;
            }
            _ => {}
        }
        let pause = match (sent == count, answered) {
            (true, true) => Duration::ZERO,
            (true, false) => wait,
            (false, _) => interval,
        };
        let spent = it.clock().saturating_sub(began);
        let left = deadline.map_or(pause, |deadline| pause.min(deadline.saturating_sub(spent)));
        it.pass(left)?;
        if deadline.is_some_and(|deadline| it.clock().saturating_sub(began) >= deadline) {
            break;
        }
    }
    Ok(())
}

pub(super) fn lookup(it: &mut Interp<'_, '_>, tool: &str, words: &[String]) -> Run {
    let names: Vec<String> = words.iter().skip(1).filter(|word| !word.starts_with(['-', '+', '@'])).cloned().collect();
    if tool == "getent" {
        let (Some(database), Some(name)) = (names.first(), names.get(1)) else { return Ok(1) };
        if !matches!(database.as_str(), "hosts" | "ahosts" | "ahostsv4") {
            return Ok(2);
        }
        return match resolve(it, name, None)? {
            Ok(address) if database == "hosts" => {
                it.out(&format!("{address:<15} {name}\n"))?;
                Ok(0)
            }
            Ok(address) => {
                it.out(&format!("{address:<15} STREAM {name}\n{address:<15} DGRAM  \n{address:<15} RAW    \n"))?;
                Ok(0)
            }
            Err(_) => Ok(2),
        };
    }
    let record = ["A", "AAAA", "MX", "TXT", "NS", "a", "aaaa"];
    let Some(name) = names.iter().find(|name| !record.contains(&name.as_str())).cloned() else { return Ok(1) };
    let server = server(it);
    let found = resolve(it, &name, None)?;
    let short = words.iter().any(|word| word == "+short");
    match (tool, found) {
        ("dig", Ok(address)) if short => it.out(&format!("{address}\n")).map(|()| 0),
        ("dig", Err((ResolveError::NoSuchHost, _))) if short => Ok(0),
        ("dig", Ok(address)) => it
            .out(&format!(
                "\n; <<>> DiG 9.18.28 <<>> {name}\n;; global options: +cmd\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711\n\n;; QUESTION SECTION:\n;{name}.\t\t\tIN\tA\n\n;; ANSWER SECTION:\n{name}.\t\t60\tIN\tA\t{address}\n\n;; SERVER: {server}#53({server})\n\n"
            ))
            .map(|()| 0),
        ("dig", Err((ResolveError::NoSuchHost, _))) => {
            it.out(&format!(";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 4711\n;{name}.\t\t\tIN\tA\n")).map(|()| 0)
        }
        ("dig", Err(_)) => it.out(";; communications error: timed out\n;; no servers could be reached\n\n").map(|()| 9),
        ("host", Ok(address)) => it.out(&format!("{name} has address {address}\n")).map(|()| 0),
        ("host", Err((ResolveError::NoSuchHost, _))) => it.out(&format!("Host {name} not found: 3(NXDOMAIN)\n")).map(|()| 1),
        (_, Ok(address)) => it
            .out(&format!(
                "Server:\t\t{server}\nAddress:\t{server}#53\n\nNon-authoritative answer:\nName:\t{name}\nAddress: {address}\n\n"
            ))
            .map(|()| 0),
        (_, Err((ResolveError::NoSuchHost, _))) => it
            .out(&format!("Server:\t\t{server}\nAddress:\t{server}#53\n\n** server can't find {name}: NXDOMAIN\n\n"))
            .map(|()| 1),
        (_, Err(_)) => it.out(";; connection timed out; no servers could be reached\n\n").map(|()| 1),
    }
}

fn server(it: &Interp<'_, '_>) -> String {
    let text = it.machine.read_file("/etc/resolv.conf").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("nameserver ")).unwrap_or("127.0.0.1").trim().to_owned()
}

/// `nc -z -w N HOST PORT`.
pub(super) fn netcat(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-w", "-p", "-s", "-i"]);
    let (Some(name), Some(port)) = (arguments.rest.first(), arguments.rest.get(1).and_then(|p| p.parse().ok())) else {
        return it.fail(2, "Ncat: You must specify a host to connect to. QUITTING.");
    };
    let protocol = if arguments.has(&["-u"]) { Protocol::Udp } else { Protocol::Tcp };
    let wait =
        arguments.value(&["-w"]).and_then(|n| n.parse().ok()).map_or(Duration::from_secs(10), Duration::from_secs);
    let address: IpAddr = match resolve(it, name, None)? {
        Ok(address) => address,
        Err(_) => {
            return it
                .fail(1, format!("Ncat: Could not resolve hostname \"{name}\": Name or service not known. QUITTING."));
        }
    };
    match reach(it, address, port, protocol)? {
        Reached::Delivered { rtt, .. } | Reached::Stalled { rtt, .. } => {
            it.pass(rtt)?;
            if arguments.has(&["-v"]) {
                it.err(&format!(
                    "Ncat: Version 7.93 ( https://nmap.org/ncat )\nNcat: Connected to {address}:{port}.\n"
                ))?;
            }
            Ok(0)
        }
        Reached::Refused => it.fail(1, "Ncat: Connection refused."),
        Reached::Unreachable => it.fail(1, "Ncat: No route to host."),
        Reached::TimedOut => {
            it.pass(wait)?;
            it.fail(1, "Ncat: TIMEOUT.")
        }
    }
}
