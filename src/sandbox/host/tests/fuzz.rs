//! The hosts under nonsense: scripts from a grammar of everything on the path, scripts that people wrote with pieces
//! exchanged, and plain noise. No panic, no hang, no output without end, and the host still answers afterwards. That
//! nothing reaches the real machine is shown by what the modules name; see `nothing_here_can_reach_the_real_machine`.
//!
//! `NATDECK_FUZZ_CASES` is how many scripts of each kind are tried (40).

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;

use super::*;

/// What one script may take, in unoptimised code on a busy machine. A hang is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Booted once, cloned for each script, with everything installed that can be.
static HOST: LazyLock<Machine> = LazyLock::new(|| {
    let mut machine = booted(Flavour::AmazonLinux2023);
    let installed =
        machine.run("dnf -y -q install iptables-nft nftables bind-utils conntrack-tools net-tools jq", &OPEN);
    assert_eq!(installed.exit_code, 0, "{}", installed.stderr);
    machine
});

/// What commands are given: things that exist, things that do not, and things that no command expects.
const ARGUMENTS: &[&str] = &[
    "-n",
    "-v",
    "-f",
    "-o",
    "-P",
    "-E",
    "-r",
    "-i",
    "-c",
    "1",
    "0",
    "-1",
    "99999999999999999999",
    "--help",
    "--version",
    "--",
    "-",
    "",
    "/etc/passwd",
    "/etc",
    "/",
    "/proc/sys/net/ipv4/ip_forward",
    "/sys/class/net/*/address",
    "/no/such",
    "../..",
    "*",
    "[a-z",
    "\\(",
    "(a*)*b",
    ".*",
    "s/a/b/g",
    "s/\\(.*\\)/\\1\\1/",
    "{print $1}",
    "BEGIN{while(1){}}",
    "{",
    "}",
    "$x",
    "${x##*/}",
    "$(echo a)",
    "$((1<<70))",
    "'a b'",
    "\"$@\"",
    "ens5",
    "ens6",
    "lo",
    "eth9",
    "10.8.1.1",
    "10.8.0.0/16",
    "0.0.0.0/0",
    "256.1.1.1",
    "::1",
    "default",
    "via",
    "dev",
    "addr",
    "route",
    "link",
    "rule",
    "show",
    "add",
    "del",
    "replace",
    "get",
    "-A",
    "-D",
    "-I",
    "-t",
    "nat",
    "filter",
    "POSTROUTING",
    "FORWARD",
    "-j",
    "MASQUERADE",
    "ACCEPT",
    "SNAT",
    "--to-source",
    "-m",
    "state",
    "--state",
    "RELATED,ESTABLISHED",
    "list",
    "ruleset",
    "flush",
    "start",
    "enable",
    "status",
    "https://api.ipify.org",
    "http://169.254.169.254/latest/meta-data/",
    "http://x:99999/",
    "-H",
    "-X",
    "PUT",
    "é↯",
    "\t",
    "-w",
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter",
    "a=b",
    "-k1,1",
    "1,3p",
    "$",
    "-d,",
    "-f2-",
    "-10",
];

const BETWEEN: &[&str] = &[
    " ",
    " ",
    "; ",
    "\n",
    " | ",
    " && ",
    " || ",
    " & ",
    " > /tmp/a ",
    " >> /tmp/a ",
    " < /etc/passwd ",
    " 2>&1 ",
    " <<EOF\nx\nEOF\n",
    "; if true; then ",
    "; fi; ",
    "; for i in 1 2 3; do ",
    "; done; ",
    "; while false; do ",
    "; f() { ",
    "; }; f; ",
    "; ( ",
    " ); ",
    "; case x in x) ",
    ";; esac; ",
    "; set -euo pipefail; ",
    "; x=$( ",
    " ); ",
    " \\\n",
    " # ",
    "; [[ ",
    " =~ ",
    " ]]; ",
    "; (( ",
    " )); ",
    "; until true; do ",
    "; local x=",
    "; trap 'echo t' EXIT; ",
    "; exec ",
    "; eval ",
    "; read x; ",
    "; shift; ",
    "; return ",
];

fn check(script: &str) -> Result<(), TestCaseError> {
    let mut machine = HOST.clone();
    let started = Instant::now();
    let output = machine.run(script, &OPEN);
    let took = started.elapsed();
    prop_assert!(took < PATIENCE, "{took:?} for {script:?}");
    prop_assert!(output.stdout.len() + output.stderr.len() < 16 << 20, "output without end from {script:?}");
    let after = machine.run("echo \"still $((40 + 2))\"", &OPEN);
    // A script may have removed what the shell needs, switched the host off or sent it to sleep: that it did.
    prop_assert!(
        after.stdout == "still 42\n" || !machine.is_running() || machine.is_busy(),
        "{after:?} after {script:?}"
    );
    Ok(())
}

fn config() -> Config {
    let cases = std::env::var("NATDECK_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn scripts_of_commands_and_syntax_end(
        words in prop::collection::vec((any::<Index>(), prop::collection::vec(select(ARGUMENTS), 0..5), select(BETWEEN)), 0..14)
    ) {
        let programs = HOST.programs();
        let script: String = words
            .iter()
            .map(|(program, arguments, after)| format!("{} {}{after}", program.get(&programs), arguments.join(" ")))
            .collect();
        check(&script)?;
    }

    #[test]
    fn scripts_that_people_wrote_end_with_their_pieces_exchanged(
        pieces in prop::collection::vec((any::<Index>(), 0_usize..60, 0_usize..60), 1..8)
    ) {
        // The corpus: the scripts of the shell's own cases, and the boot script.
        let texts: Vec<&str> = include_str!("../bash_cases.txt")
            .split("=====\n")
            .filter_map(|case| case.split("-----\n").next())
            .chain([include_str!("../../../../assets/user-data.sh"), ARTICLE])
            .collect();
        let script: String = pieces
            .iter()
            .map(|(text, skip, take)| text.get(&texts).split_inclusive(' ').skip(*skip).take(*take).collect::<String>())
            .collect();
        check(&script)?;
    }

    #[test]
    fn noise_is_refused(noise in prop_oneof![".{0,200}", "[ -~\n]{0,200}", "[(){}\\[\\]$\"'`|&;<>!#*?~\\\\ a1\n]{0,80}"]) {
        check(&noise)?;
    }
}
