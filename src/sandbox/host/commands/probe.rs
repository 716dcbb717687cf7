//! `ping`, `dig`, `nslookup`, `host`, `getent`, `nc`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::outside::{Reached, ResolveError};
use super::super::shell::{Interp, Run};
use super::Arguments;
use super::curl::{reach, resolve};
use crate::model::Protocol;

pub(super) fn ping(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-c", "-W", "-w", "-i", "-s", "-I", "-M", "-t"]);
    let Some(name) = arguments.rest.first() else {
        return it.fail(2, "ping: usage error: Destination address required");
    };
    let number =
        |flag: &str| arguments.value(&[flag]).and_then(|n| n.parse::<f64>().ok()).filter(|n| *n >= 0.0 && *n < 1e6);
    let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // Without -c a real ping runs until it is interrupted; here it stops after ten.
    let count = arguments.value(&["-c"]).and_then(|n| n.parse::<u32>().ok()).unwrap_or(10).clamp(1, 1000);
    let interval = time(number("-i").unwrap_or(1.0));
    let wait = time(number("-W").unwrap_or(10.0));
    let deadline = number("-w").map(time);
    let address = match resolve(it, name, None)? {
        Ok(address) => address,
        Err((ResolveError::NoSuchHost, _)) => return it.fail(2, format!("ping: {name}: Name or service not known")),
        Err((ResolveError::TimedOut, _)) => {
            return it.fail(2, format!("ping: {name}: Temporary failure in name resolution"));
        }
    };
    it.out(&format!("PING {name} ({address}) 56(84) bytes of data.\n"))?;
    let began = it.clock();
    let mut times = Vec::new();
    let (mut sent, mut errors) = (0_u32, 0_u32);
    let protocol = if address.is_ipv4() { Protocol::Icmp } else { Protocol::Icmpv6 };
    while sent < count {
        sent += 1;
        let mut answered = false;
        match reach(it, address, 0, protocol)? {
            Reached::Delivered { rtt, .. } if rtt <= wait => {
                let ms = rtt.as_secs_f64() * 1000.0;
                it.out(&format!("64 bytes from {address}: icmp_seq={sent} ttl=117 time={ms:.2} ms\n"))?;
                times.push(ms);
                answered = true;
            }
            Reached::Unreachable => {
                errors += 1;
                it.out(&format!("From {address} icmp_seq={sent} Destination Host Unreachable\n"))?;
            }
            _ => {}
        }
        let last = sent == count;
        let pause = match (last, answered) {
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
    let received = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let loss = (sent - received.min(sent)) * 100 / sent.max(1);
    let errors = if errors > 0 { format!(", +{errors} errors") } else { String::new() };
    let took = it.clock().saturating_sub(began).as_millis();
    it.out(&format!(
        "\n--- {name} ping statistics ---\n{sent} packets transmitted, {received} received{errors}, {loss}% packet loss, time {took}ms\n"
    ))?;
    if times.is_empty() {
        it.out("\n")?;
        return Ok(1);
    }
    let (low, high) = times.iter().fold((f64::MAX, 0.0_f64), |(low, high), ms| (low.min(*ms), high.max(*ms)));
    let mean = times.iter().sum::<f64>() / f64::from(received);
    it.out(&format!("rtt min/avg/max/mdev = {low:.3}/{mean:.3}/{high:.3}/0.000 ms\n"))?;
    Ok(0)
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
        Reached::Delivered { rtt, .. } => {
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
