//! `dnf`, `yum` and `rpm`. Repositories are S3 buckets of the region: reachable or not, as the network is.

use std::time::Duration;

use super::super::outside::{HttpRequest, Reached, ResolveError};
use super::super::packages::Package;
use super::super::shell::{Interp, Run};
use super::curl::{reach, resolve};
use super::{Arguments, is_modern};
use crate::model::Protocol;

/// dnf's default `timeout` is 30 s.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What a transaction takes on a small instance: metadata, download, scriptlets.
const WORK: Duration = Duration::from_secs(6);

pub(super) fn install(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let tool = words.first().map_or("dnf", |word| super::super::vfs::name(word)).to_owned();
    let arguments =
        Arguments::parse(words, &["-d", "-e", "--setopt", "--releasever", "-x", "--enablerepo", "--disablerepo"]);
    let quiet = arguments.has(&["-q", "--quiet"]);
    let yes = arguments.has(&["-y", "--assumeyes"]);
    let Some((command, names)) = arguments.rest.split_first() else {
        return it.fail(1, format!("usage: {tool} [options] COMMAND"));
    };
    match command.as_str() {
        "install" | "reinstall" => {}
        "update" | "upgrade" | "check-update" | "makecache" => {
            if let Some(code) = fetch(it)? {
                return Ok(code);
            }
            it.pass(WORK)?;
            if !quiet {
                it.out(&format!("{}Dependencies resolved.\nNothing to do.\nComplete!\n", checked(it)))?;
            }
            return Ok(0);
        }
        "remove" | "erase" | "autoremove" => return remove(it, names),
        "list" | "info" | "repolist" | "clean" => return list(it, command, names),
        "amazon-linux-extras" => return Ok(0),
        other => return it.fail(1, format!("No such command: {other}. Please use /usr/bin/{tool} --help")),
    }
    if names.is_empty() {
        return it.fail(1, "Error: Need to pass a list of pkgs to install");
    }
    let mut wanted: Vec<&'static Package> = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        it.step()?;
        let installed = it.machine.packages.contains(name.as_str());
        match it.machine.find_package(name) {
            _ if installed => {
                if !quiet {
                    let version = it.machine.package_version(name).unwrap_or_default();
                    it.out(&format!(
                        "Package {name}-{version}.{} is already installed.\n",
                        super::architecture(it.machine)
                    ))?;
                }
            }
            Some(package) if it.machine.packages.contains(package.name) => {}
            Some(package) => wanted.push(package),
            None => missing.push(name.clone()),
        }
    }
    let offline_is_fine = wanted.is_empty() && missing.is_empty();
    if !offline_is_fine && let Some(code) = fetch(it)? {
        return Ok(code);
    }
    if !missing.is_empty() {
        let modern = is_modern(it.machine);
        for name in &missing {
            let text = if modern {
                format!("No match for argument: {name}\n")
            } else {
                format!("No package {name} available.\n")
            };
            let fd = if modern { 2 } else { 1 };
            it.write_to(fd, &text)?;
        }
        if modern {
            return it.fail(1, format!("Error: Unable to find a match: {}", missing.join(" ")));
        }
        if wanted.is_empty() {
            return it.fail(1, "Error: Nothing to do");
        }
    }
    if wanted.is_empty() {
        if !quiet {
            it.out("Dependencies resolved.\nNothing to do.\nComplete!\n")?;
        }
        return Ok(0);
    }
    if !yes {
        it.out("Is this ok [y/N]: ")?;
        return it.fail(1, "Operation aborted.");
    }
    it.pass(WORK)?;
    if it.machine.strain.memory {
        // What the shell says of a process that the kernel killed for want of memory, and its exit code.
        return it.fail(137, "Killed");
    }
    let mut all: Vec<&'static Package> = Vec::new();
    while let Some(package) = wanted.pop() {
        if !all.iter().any(|known| known.name == package.name) && !it.machine.packages.contains(package.name) {
            wanted.extend(package.needs.iter().filter_map(|name| it.machine.find_package(name)));
            all.push(package);
        }
    }
    let now = it.seconds();
    let arch = super::architecture(it.machine);
    let mut lines = Vec::new();
    all.sort_by_key(|package| package.name);
    for package in &all {
        it.machine.unpack(package.name, now);
        let version = package.version.split_once(':').map_or(package.version, |(_, version)| version);
        lines.push(format!("  {}-{version}.{arch}", package.name));
    }
    if !quiet {
        let text = format!("{}Dependencies resolved.\n\nInstalled:\n{}\n\nComplete!\n", checked(it), lines.join("\n"));
        it.out(&text)?;
    }
    Ok(0)
}

fn checked(it: &Interp<'_, '_>) -> String {
    let time = super::format_time(it.now(), "%a %b %e %H:%M:%S %Y");
    format!("Last metadata expiration check: 0:00:01 ago on {time}.\n")
}

fn remove(it: &mut Interp<'_, '_>, names: &[String]) -> Run {
    for name in names {
        if it.machine.packages.remove(name) {
            it.out(&format!("Removed:\n  {name}\n"))?;
        } else {
            it.err(&format!("No match for argument: {name}\n"))?;
        }
    }
    it.out("Complete!\n")?;
    Ok(0)
}

fn list(it: &mut Interp<'_, '_>, command: &str, names: &[String]) -> Run {
    if command != "list" && command != "info" {
        return Ok(0);
    }
    let names: Vec<&String> = names.iter().filter(|name| *name != "installed" && *name != "--installed").collect();
    let mut found = false;
    let arch = super::architecture(it.machine);
    for name in it.machine.packages.clone() {
        if names.is_empty() || names.contains(&&name) {
            found = true;
            let version = it.machine.package_version(&name).unwrap_or_default();
            it.out(&format!("{:<40} {version:<30} @amazonlinux\n", format!("{name}.{arch}")))?;
        }
    }
    if found { Ok(0) } else { it.fail(1, "Error: No matching Packages to list") }
}

/// Reads the repository's index. `Some(code)`: it failed as dnf or yum fails, and said so.
fn fetch(it: &mut Interp<'_, '_>) -> Run<Option<i32>> {
    let region = it.machine.launch.region.clone();
    let modern = is_modern(it.machine);
    let (host, path) = if modern {
        (
            format!("al2023-repos-{region}-de612dc2.s3.dualstack.{region}.amazonaws.com"),
            "/core/mirrors/latest/aarch64/mirror.list",
        )
    } else {
        (
            format!("amazonlinux-2-repos-{region}.s3.dualstack.{region}.amazonaws.com"),
            "/2/core/latest/aarch64/mirror.list",
        )
    };
    let url = format!("https://{host}{path}");
    let reason = match resolve(it, &host, Some(TIMEOUT))? {
        Err((ResolveError::NoSuchHost | ResolveError::TimedOut, _)) => {
            format!("Curl error (6): Couldn't resolve host name for {url} [Could not resolve host: {host}]")
        }
        Ok(address) => match reach(it, address, 443, Protocol::Tcp)? {
            Reached::Delivered { source, rtt } => {
                it.pass(rtt * 4)?;
                let request = HttpRequest {
                    method: "GET".to_owned(),
                    tls: true,
                    host,
                    address,
                    port: 443,
                    path: path.to_owned(),
                    seen_from: source,
                };
                match it.line.http(&request) {
                    Some(answer) if answer.status < 400 => return Ok(None),
                    Some(answer) => format!("Status code: {} for {url}", answer.status),
                    None => format!("Curl error (52): Server returned nothing for {url}"),
                }
            }
            // Its answers are large: where those do not pass, nothing does.
            Reached::TimedOut | Reached::Stalled { .. } => {
                // librepo tries four times.
                it.pass(TIMEOUT * 4)?;
                format!(
                    "Curl error (28): Timeout was reached for {url} [Failed to connect to {host} port 443 after 30001 ms: Couldn't connect to server]"
                )
            }
            Reached::Refused | Reached::Unreachable => format!(
                "Curl error (7): Couldn't connect to server for {url} [Failed to connect to {host} port 443: Couldn't connect to server]"
            ),
        },
    };
    if modern {
        let text = format!(
            "Amazon Linux 2023 repository                    0.0  B/s |   0  B     00:00    \nErrors during downloading metadata for repository 'amazonlinux':\n  - {reason}\nError: Failed to download metadata for repo 'amazonlinux': Cannot prepare internal mirrorlist: {reason}"
        );
        return it.fail(1, text).map(Some);
    }
    let text = format!(
        "Could not retrieve mirrorlist {url} error was\n12: {reason}\n\n\n One of the configured repositories failed (Unknown),\n and yum doesn't have enough cached data to continue.\n\nCannot find a valid baseurl for repo: amzn2-core/2/aarch64"
    );
    it.fail(1, text).map(Some)
}

pub(super) fn rpm(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["--qf", "--queryformat"]);
    let arch = super::architecture(it.machine);
    if arguments.has(&["-a"]) {
        for name in it.machine.packages.clone() {
            let version = it.machine.package_version(&name).unwrap_or_default();
            it.out(&format!("{name}-{version}.{arch}\n"))?;
        }
        return Ok(0);
    }
    let mut status = 0;
    for name in &arguments.rest {
        match it.machine.package_version(name) {
            Some(version) => it.out(&format!("{name}-{version}.{arch}\n"))?,
            None => {
                status = 1;
                it.out(&format!("package {name} is not installed\n"))?;
            }
        }
    }
    Ok(status)
}
