//! Small commands about the system, and those that run other commands.

use super::super::Machine;
use super::super::session::{home, user_id, user_name};
use super::super::shell::{Entry, Flow, Interp, Run, duration};
use super::{Arguments, is_modern};

/// From the instance type: Graviton families have a `g` after their generation.
pub(in super::super) fn architecture(machine: &Machine) -> &'static str {
    let family = machine.launch.instance_type.split('.').next().unwrap_or_default();
    let after =
        family.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start_matches(|c: char| c.is_ascii_digit());
    if after.contains('g') || family == "a1" { "aarch64" } else { "x86_64" }
}

/// The kernel's release.
pub(in super::super) fn release(machine: &Machine) -> &'static str {
    match (is_modern(machine), architecture(machine)) {
        (true, "aarch64") => "6.1.102-111.182.amzn2023.aarch64",
        (true, _) => "6.1.102-111.182.amzn2023.x86_64",
        (false, "aarch64") => "4.14.350-266.564.amzn2.aarch64",
        (false, _) => "4.14.350-266.564.amzn2.x86_64",
    }
}

/// Memory in kB, by size.
fn memory(machine: &Machine) -> u64 {
    let size = machine.launch.instance_type.split('.').nth(1).unwrap_or_default();
    let mib = match size {
        "nano" => 512,
        "micro" => 1024,
        "small" => 2048,
        "medium" => 4096,
        _ => 8192,
    };
    // The kernel keeps some for itself.
    mib * 1024 * 90 / 100
}

pub(in super::super) fn meminfo(machine: &Machine) -> String {
    let total = memory(machine);
    format!(
        "MemTotal:       {total:>8} kB\nMemFree:        {:>8} kB\nMemAvailable:   {:>8} kB\n",
        total / 3,
        total * 2 / 3
    )
}

pub(super) fn run(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &[]);
    let rest = words.get(1..).unwrap_or_default();
    match name {
        "sleep" => it.sleep(words),
        "true" | "sync" | "clear" => Ok(0),
        "false" => Ok(1),
        "echo" | "printf" | "test" => {
            let mut words = words.to_vec();
            if let Some(first) = words.first_mut() {
                name.clone_into(first);
            }
            it.dispatch(&words)
        }
        "bash" | "sh" => shell(it, name, rest),
        "sudo" | "su" | "env" | "nohup" | "setsid" | "timeout" => wrapper(it, name, rest),
        "date" => date(it, rest),
        "hostname" => {
            let host = it.machine.hostname.clone();
            let text = match () {
                () if arguments.has(&["-I", "--all-ip-addresses"]) => {
                    it.machine.nics.iter().map(|nic| format!("{} ", nic.private_ip)).collect()
                }
                () if arguments.has(&["-i"]) => it.machine.nics.first().map(|nic| nic.private_ip.to_string()).unwrap_or_default(),
                () if arguments.has(&["-s"]) => host.split('.').next().unwrap_or_default().to_owned(),
                () if !arguments.rest.is_empty() => {
                    it.machine.hostname = arguments.rest.concat();
                    return Ok(0);
                }
                () => host,
            };
            it.out(&format!("{text}\n")).map(|()| 0)
        }
        "hostnamectl" => {
            if let [verb, host, ..] = arguments.rest.as_slice()
                && matches!(verb.as_str(), "set-hostname" | "hostname")
            {
                host.clone_into(&mut it.machine.hostname);
                let (text, now) = (format!("{host}\n"), it.seconds());
                // Lost only on a full disk.
                let _lost = it.machine.write_file("/etc/hostname", &text, now);
                return Ok(0);
            }
            let text = format!(" Static hostname: {}\n", it.machine.hostname);
            it.out(&text).map(|()| 0)
        }
        "uname" => {
            let (release, arch) = (release(it.machine), architecture(it.machine));
            let text = match rest.first().map(String::as_str) {
                Some("-r") => release.to_owned(),
                Some("-m" | "-p" | "-i") => arch.to_owned(),
                Some("-n") => it.machine.hostname.clone(),
                Some("-a") => format!("Linux {} {release} #1 SMP {arch} {arch} {arch} GNU/Linux", it.machine.hostname),
                _ => "Linux".to_owned(),
            };
            it.out(&format!("{text}\n")).map(|()| 0)
        }
        "whoami" => {
            let name = user_name(it.shell.uid);
            it.out(&format!("{name}\n")).map(|()| 0)
        }
        "id" => {
            let uid = match arguments.rest.first() {
                None => it.shell.uid,
                Some(name) => match user_id(name) {
                    Some(uid) => uid,
                    None => return it.fail(1, format!("id: ‘{name}’: no such user")),
                },
            };
            let name = user_name(uid);
            let text = match () {
                () if arguments.has(&["-n"]) => name.to_owned(),
                () if arguments.has(&["-u", "-g", "-G"]) => uid.to_string(),
                () => format!("uid={uid}({name}) gid={uid}({name}) groups={uid}({name})"),
            };
            it.out(&format!("{text}\n")).map(|()| 0)
        }
        "nproc" => it.out("2\n").map(|()| 0),
        "uptime" => {
            let minutes = it.clock().as_secs() / 60;
            it.out(&format!(" up {minutes} min,  0 users,  load average: 0.00, 0.01, 0.00\n")).map(|()| 0)
        }
        "free" => {
            let total = memory(it.machine);
            let total = if arguments.has(&["-m"]) { total / 1024 } else { total };
            it.out(&format!(
                "               total        used        free      shared  buff/cache   available\nMem:    {total:>12}{:>12}{:>12}           0{:>12}{:>12}\nSwap:              0           0           0\n",
                total / 3, total / 3, total / 3, total * 2 / 3
            )).map(|()| 0)
        }
        "df" => it.out("Filesystem     1K-blocks    Used Available Use% Mounted on\n/dev/nvme0n1p1   8310764 1601936   6708828  20% /\n").map(|()| 0),
        "ps" => it.out("    PID TTY          TIME CMD\n      1 ?        00:00:01 systemd\n   2146 ?        00:00:00 bash\n").map(|()| 0),
        "pgrep" => Ok(1),
        "dmesg" => {
            let log: String = it.machine.strain.kernel_log.iter().map(|line| format!("{line}\n")).collect();
            it.out(&log).map(|()| 0)
        }
        "logger" => {
            let given = Arguments::parse(words, &["-t", "-p", "--tag", "--priority"]);
            let tag = given.value(&["-t", "--tag"]).unwrap_or_else(|| user_name(it.shell.uid)).to_owned();
            let text = if given.rest.is_empty() { it.read_all()? } else { given.rest.join(" ") };
            let now = it.now();
            for line in text.lines() {
                it.machine.journal(now, "", &tag, line);
            }
            if given.has(&["-s", "--stderr"]) {
                it.err(&format!("{tag}: {text}\n"))?;
            }
            Ok(0)
        }
        "modprobe" => {
            if arguments.rest.iter().any(|module| module.contains("conntrack") || module.contains("nat")) {
                it.machine.load_conntrack();
            }
            Ok(0)
        }
        "lsmod" => {
            let loaded = it.machine.kernel.ruleset.conntrack.is_some();
            it.out("Module                  Size  Used by\nena                   155648  0\n")?;
            if loaded {
                it.out("nf_conntrack          200704  1 nf_nat\n")?;
            }
            Ok(0)
        }
        "which" => {
            let mut status = 0;
            for name in &arguments.rest {
                match it.machine.which(name) {
                    Some(path) => it.out(&format!("{path}\n"))?,
                    None => status = it.fail(1, format!("which: no {name} in (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin)"))?,
                }
            }
            Ok(status)
        }
        "ethtool" => ethtool(it, &arguments),
        "conntrack" => {
            let Some(used) = it.machine.kernel.ruleset.conntrack else {
                return it.out("0\n").map(|()| 0);
            };
            let text = match () {
                () if arguments.has(&["-C", "--count"]) => format!("{}\n", used.count),
                () if arguments.has(&["-S", "--stats"]) => {
                    let strain = &it.machine.strain;
                    let (failed, dropped) = (strain.insert_failed, strain.dropped);
                    format!("cpu=0   \tfound=0 invalid=0 insert=0 insert_failed={failed} drop={dropped} early_drop=0 error=0 search_restart=0 \n")
                }
                () => {
                    let table = it.machine.tracked_connections().unwrap_or_default();
                    let count = table.lines().count();
                    it.err(&format!("conntrack v1.4.6 (conntrack-tools): {count} flow entries have been shown.\n"))?;
                    // `-o extended` is the kernel's own form; without it the network protocol is left out.
                    let extended = arguments.rest.iter().any(|word| word == "extended");
                    let line = |line: &str| format!("{}\n", line.get(if extended { 0 } else { 11 }..).unwrap_or(line));
                    table.lines().map(line).collect()
                }
            };
            it.out(&text).map(|()| 0)
        }
        "ss" | "netstat" => it.out("Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port\ntcp   LISTEN 0      128          0.0.0.0:22        0.0.0.0:*\n").map(|()| 0),
        "reboot" => it.fail(1, "reboot: the sandbox reboots instances through the EC2 API only"),
        other => it.fail(2, format!("{other}: the simulated host has this program in name only: nothing was done")),
    }
}

fn ethtool(it: &mut Interp<'_, '_>, arguments: &Arguments) -> Run {
    let Some(name) = arguments.rest.first() else { return it.fail(1, "ethtool: bad command line argument(s)") };
    if it.machine.kernel.interface(name).is_none() {
        return it.fail(71, "Cannot get driver information: No such device");
    }
    if arguments.has(&["-i"]) {
        return it.out("driver: ena\nversion: 2.12.3g\n").map(|()| 0);
    }
    if !arguments.has(&["-S"]) {
        return it.out(&format!("Settings for {name}:\n\tLink detected: yes\n")).map(|()| 0);
    }
    let device = it.machine.kernel.interface(name).map(|interface| interface.name.clone()).unwrap_or_default();
    let over = it.machine.strain.over_allowance.get(&device).copied().unwrap_or(0);
    it.out(&format!("NIC statistics:\n     total_resets: 0\n     tx_timeout: 0\n     bw_in_allowance_exceeded: 0\n     bw_out_allowance_exceeded: {over}\n     pps_allowance_exceeded: 0\n     conntrack_allowance_exceeded: 0\n     linklocal_allowance_exceeded: 0\n")).map(|()| 0)
}

fn date(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let at = words.iter().position(|word| word == "-d" || word == "--date");
    let given = at.and_then(|at| words.get(at + 1)).cloned();
    let mut time = it.now();
    if let Some(given) = given {
        let parsed = match given.strip_prefix('@') {
            Some(seconds) => seconds.parse().ok().and_then(|s| jiff::Timestamp::from_second(s).ok()),
            None if given == "now" => Some(time),
            None => given.parse().ok(),
        };
        match parsed {
            Some(parsed) => time = parsed,
            None => return it.fail(1, format!("date: invalid date ‘{given}’")),
        }
    }
    let format = words.iter().find_map(|word| word.strip_prefix('+'));
    let iso = words.iter().any(|word| word.starts_with("-I") || word.starts_with("--iso-8601"));
    let text = match format {
        Some(format) => super::format_time(time, format),
        None if iso => super::format_time(time, "%Y-%m-%dT%H:%M:%S+00:00"),
        None => super::format_time(time, "%a %b %e %H:%M:%S UTC %Y"),
    };
    it.out(&format!("{text}\n")).map(|()| 0)
}

fn shell(it: &mut Interp<'_, '_>, called: &str, words: &[String]) -> Run {
    let mut flags = String::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(letters) = word.strip_prefix('-') else {
            let path = it.path(word);
            let arguments: Vec<String> = rest.cloned().collect();
            return match it.machine.read_file(&path) {
                Ok(text) => it.script(word, &text, &arguments, &flags),
                Err(error) => it.fail(127, format!("bash: {word}: {error}")),
            };
        };
        if letters.ends_with('c') && !letters.starts_with('-') {
            let Some(text) = rest.next().cloned() else { return it.fail(2, "bash: -c: option requires an argument") };
            let name = rest.next().cloned().unwrap_or_else(|| called.to_owned());
            let arguments: Vec<String> = rest.cloned().collect();
            let flags = format!("-{}{}", flags.trim_start_matches('-'), letters.trim_end_matches('c'));
            return it.script(&name, &text, &arguments, &flags);
        }
        if letters == "s" || letters == "-" {
            break;
        }
        if letters == "o" {
            rest.next();
            continue;
        }
        flags = format!("-{}{letters}", flags.trim_start_matches('-'));
    }
    if it.at_keyboard() {
        let login = flags.contains('l');
        it.entry = Some(Entry { uid: it.shell.uid, login });
        return Ok(0);
    }
    let text = it.read_all()?;
    it.script(called, &text, &[], &flags)
}

/// Commands in front of commands.
fn wrapper(it: &mut Interp<'_, '_>, name: &str, words: &[String]) -> Run {
    let mut at = 0;
    let mut limit = None;
    let mut pairs = Vec::new();
    let mut uid = if matches!(name, "sudo" | "su") { 0 } else { it.shell.uid };
    let mut login = false;
    let mut text = None;
    while let Some(word) = words.get(at) {
        if name == "su" && (word == "-c" || word == "--command") {
            text = Some(words.get(at + 1).cloned().unwrap_or_default());
            at += 2;
        } else if word.starts_with('-') && word.len() > 1 {
            let valued = matches!(word.as_str(), "-u" | "-g" | "-k" | "-s" | "--signal" | "--user" | "-C")
                || word == "-l" && name != "su";
            if name == "sudo" && matches!(word.as_str(), "-u" | "--user") {
                let user = words.get(at + 1).cloned().unwrap_or_default();
                match user_id(&user) {
                    Some(known) => uid = known,
                    None => {
                        return it.fail(
                            1,
                            format!("sudo: unknown user {user}\nsudo: error initializing audit plugin sudoers_audit"),
                        );
                    }
                }
            }
            login |= matches!(name, "sudo" | "su") && matches!(word.as_str(), "-i" | "-l" | "--login");
            at += if valued { 2 } else { 1 };
        } else if word == "-" {
            login = true;
            at += 1;
        } else if name == "timeout" && limit.is_none() {
            limit = duration(word);
            if limit.is_none() {
                return it.fail(125, format!("timeout: invalid time interval ‘{word}’"));
            }
            at += 1;
        } else if let Some((key, value)) = word.split_once('=').filter(|_| matches!(name, "env" | "sudo")) {
            pairs.push((key.to_owned(), value.to_owned()));
            at += 1;
        } else if name == "su" {
            match user_id(word) {
                Some(known) => uid = known,
                None => {
                    return it.fail(
                        1,
                        format!(
                            "su: user {word} does not exist or the user entry does not contain all the required fields"
                        ),
                    );
                }
            }
            at += 1;
        } else {
            break;
        }
    }
    let command = words.get(at..).unwrap_or_default().to_vec();
    if let Some(text) = text {
        return it.subshell(|it| {
            take_user(it, uid);
            it.script("bash", &text, &[], "")
        });
    }
    if command.is_empty() {
        match name {
            "env" => environment(it)?,
            "sudo" if !login && !words.iter().any(|word| word == "-s" || word == "-v") => {
                return it.fail(1, "usage: sudo -h | -K | -k | -V\nusage: sudo [-bEHnPS] [-u user] [VAR=value] [-i | -s] [command [arg ...]]");
            }
            "sudo" | "su" if it.at_keyboard() => it.entry = Some(Entry { uid, login }),
            _ => {}
        }
        return Ok(0);
    }
    if name == "sudo" && command.first().is_some_and(|first| !first.contains('/') && it.machine.which(first).is_none())
    {
        let first = command.first().cloned().unwrap_or_default();
        return it.fail(1, format!("sudo: {first}: command not found"));
    }
    it.subshell(|it| {
        for (key, value) in &pairs {
            it.shell.export(key, value);
        }
        if name == "sudo" {
            take_user(it, uid);
        }
        match it.limited(limit, |it| it.run_program_named(&command)) {
            Err(Flow::Return(code)) => Ok(code),
            other => other,
        }
    })
}

/// Works on as a user, with their home.
fn take_user(it: &mut Interp<'_, '_>, uid: u32) {
    it.become_user(uid);
    it.shell.export("HOME", home(uid));
    for name in ["USER", "LOGNAME"] {
        it.shell.export(name, user_name(uid));
    }
}

fn environment(it: &mut Interp<'_, '_>) -> Run<()> {
    let exported = it.shell.variables.iter().filter(|(_, variable)| variable.exported);
    let mut lines: Vec<String> = exported.filter_map(|(key, _)| Some(format!("{key}={}\n", it.get(key)?))).collect();
    lines.sort();
    it.out(&lines.concat())
}
