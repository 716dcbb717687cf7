//! What the kernel and its tools say to a user who is not root.

use super::super::shell::Interp;
use super::is_modern;

/// A command that was refused.
pub(in super::super) struct Refusal {
    pub(in super::super) status: i32,
    pub(in super::super) message: String,
}

/// Whether a program refuses to do this for a user who is not root. Files have their own permissions.
pub(in super::super) fn refusal(it: &Interp<'_, '_>, name: &str, words: &[String]) -> Option<Refusal> {
    let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let plain: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let asks = |flags: &[&str]| arguments.iter().any(|word| flags.contains(word));
    let refuse = |status: i32, message: String| Some(Refusal { status, message });
    let base = name.trim_end_matches("-nft").trim_end_matches("-legacy");
    match base {
        "iptables" | "ip6tables" | "iptables-save" | "ip6tables-save" | "iptables-restore" | "ip6tables-restore"
            if !asks(&["-V", "--version", "-h", "--help"]) =>
        {
            let (version, variant) = if is_modern(it.machine) { ("v1.8.8", "nf_tables") } else { ("v1.8.4", "legacy") };
            match variant {
                "nf_tables" => refuse(
                    4,
                    format!(
                        "{base} {version} ({variant}): Could not fetch rule set generation id: Permission denied (you must be root)"
                    ),
                ),
                _ => {
                    let table = arguments.iter().position(|word| *word == "-t").and_then(|at| arguments.get(at + 1));
                    let table = table.copied().unwrap_or("filter");
                    refuse(
                        4,
                        format!("Fatal: can't open lock file /run/xtables.lock: Permission denied\n{base} {version} ({variant}): can't initialize {base} table `{table}': Permission denied (you must be root)\nPerhaps {base} or your kernel needs to be upgraded."),
                    )
                }
            }
        }
        "nft" if !asks(&["-v", "--version", "-h", "--help"]) => {
            refuse(1, "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted".to_owned())
        }
        "dnf" | "yum" => {
            let changes = plain.first().is_some_and(|command| {
                matches!(*command, "install" | "reinstall" | "update" | "upgrade" | "remove" | "erase" | "autoremove")
            });
            match (changes, is_modern(it.machine)) {
                (false, _) => None,
                (true, true) => refuse(1, "Error: This command has to be run with superuser privileges (under the root user on most systems).".to_owned()),
                (true, false) => refuse(1, "Loaded plugins: extras_suggestions, langpacks, priorities, update-motd\nYou need to be root to perform this command.".to_owned()),
            }
        }
        "ip" => {
            let verb = plain.iter().skip(1).find(|word| {
                matches!(**word, "add" | "del" | "delete" | "set" | "replace" | "change" | "append" | "flush" | "a" | "d")
            });
            verb.and_then(|_| refuse(2, "RTNETLINK answers: Operation not permitted".to_owned()))
        }
        "ifconfig" if plain.len() > 1 => refuse(255, "SIOCSIFFLAGS: Operation not permitted".to_owned()),
        "sysctl" => {
            let setting = plain.iter().find(|word| word.contains('='))?;
            let key = setting.split('=').next().unwrap_or_default().trim();
            refuse(255, format!("sysctl: permission denied on key \"{key}\""))
        }
        "systemctl" | "service" => {
            let verbs = ["start", "stop", "restart", "reload", "try-restart", "enable", "disable", "mask", "unmask", "daemon-reload"];
            let verb = plain.iter().find(|word| verbs.contains(word))?;
            let unit = plain.iter().find(|word| !verbs.contains(word)).copied().unwrap_or_default();
            match *verb {
                "daemon-reload" => refuse(1, "Failed to reload daemon: Interactive authentication required.".to_owned()),
                "enable" | "disable" | "mask" | "unmask" => refuse(1, format!("Failed to {verb} unit: Interactive authentication required.")),
                _ => refuse(
                    4,
                    format!("Failed to {verb} {}: Interactive authentication required.\nSee system logs and 'systemctl status {}' for details.", super::super::services::full_name(unit), super::super::services::full_name(unit)),
                ),
            }
        }
        "modprobe" => {
            let module = plain.first().copied().unwrap_or_default();
            refuse(1, format!("modprobe: ERROR: could not insert '{module}': Operation not permitted"))
        }
        "conntrack" => refuse(1, "conntrack v1.4.6 (conntrack-tools): Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this".to_owned()),
        "tcpdump" => refuse(1, "tcpdump: ens5: You don't have permission to capture on that device\n(socket: Operation not permitted)".to_owned()),
        "reboot" => refuse(1, "Failed to set wall message, ignoring: Interactive authentication required.\nFailed to reboot system via logind: Interactive authentication required.".to_owned()),
        "hostnamectl" if plain.len() > 1 => refuse(1, "Could not set property: Interactive authentication required.".to_owned()),
        "hostname" if !plain.is_empty() => refuse(1, "hostname: you must be root to change the host name".to_owned()),
        "su" => refuse(1, "Password: \nsu: Authentication failure".to_owned()),
        _ => None,
    }
}
