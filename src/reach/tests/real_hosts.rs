//! Hosts as they are met: what natdeck's own script printed on a kernel with the rules of Docker, firewalld,
//! iptables-legacy and others. Read, walked, and damaged.

use proptest::prelude::*;

use super::world::{Lab, NAT_PUBLIC, OUTSIDE};
use crate::model::Fact;
use crate::model::InstanceId;
use crate::model::host::{Backend, Match, Target};
use crate::reach::{Code, Disposition, Flow, Trace, parse_host, walk};

const DOCKER: &str = include_str!("../facts/fixtures/docker.txt");
const FIREWALLD: &str = include_str!("../facts/fixtures/firewalld.txt");
const LEGACY: &str = include_str!("../facts/fixtures/legacy.txt");
const NFT_IN_NAT_TABLE: &str = include_str!("../facts/fixtures/nft-in-nat-table.txt");
const UNUSUAL: &str = include_str!("../facts/fixtures/unusual.txt");
const ALL: [&str; 6] =
    [DOCKER, FIREWALLD, LEGACY, NFT_IN_NAT_TABLE, UNUSUAL, include_str!("../facts/fixtures/two-interfaces.txt")];

/// The article's world with this host as its NAT.
fn lab(gathered: &str) -> Lab {
    let mut lab = Lab::article();
    let host = parse_host(gathered).unwrap();
    lab.hosts.insert(InstanceId::new("i-nat"), Fact::Known(host));
    lab
}

fn through(gathered: &str) -> Trace {
    lab(gathered).https()
}

/// The output without the lines that hold a text, and with one in the place of another.
fn without(gathered: &str, text: &str) -> String {
    let lines: Vec<&str> = gathered.lines().filter(|line| !line.contains(text)).collect();
    assert!(lines.len() < gathered.lines().count(), "{text} is not in the fixture");
    lines.join("\n")
}

fn code(trace: &Trace) -> Option<Code> {
    trace.hops.iter().find_map(|hop| hop.code)
}

#[test]
fn docker_keeps_a_nat_from_forwarding_until_its_user_chain_says_both_ways() {
    let trace = through(DOCKER);
    assert_eq!((trace.disposition, code(&trace)), (Disposition::Dropped, Some(Code::HostForwardDenied)));
    let quoted = trace.hops.last().unwrap().evidence.iter().any(|evidence| evidence.text == ":FORWARD DROP");
    assert!(quoted, "{:?}", trace.hops.last());
    let rule = "-A DOCKER-USER -j RETURN";
    let out = DOCKER.replace(rule, "-A DOCKER-USER -i ens6 -o ens5 -j ACCEPT");
    assert_eq!(code(&through(&out)), Some(Code::HostForwardReplyDenied));
    let both = DOCKER.replace(rule, "-A DOCKER-USER -i ens6 -j ACCEPT\n[0:0] -A DOCKER-USER -o ens6 -j ACCEPT");
    let trace = through(&both);
    assert_eq!((trace.disposition, trace.address), (Disposition::Delivered, Some(NAT_PUBLIC.parse().unwrap())));
}

#[test]
fn firewalld_zones_are_followed_to_the_end() {
    let trace = through(FIREWALLD);
    assert_eq!(trace.disposition, Disposition::Delivered, "{trace:?}");
    assert_eq!(trace.address, Some(NAT_PUBLIC.parse().unwrap()));
    // Nothing lets the other direction in: the chain of the zone is empty and the last rule rejects.
    let closed = FIREWALLD.replace("\"iifname\"}}, \"right\": \"ens6\"", "\"iifname\"}}, \"right\": \"ens9\"");
    let trace = through(&closed);
    assert_eq!((trace.disposition, code(&trace)), (Disposition::Dropped, Some(Code::HostForwardDenied)));
    assert!(trace.refused);
}

#[test]
fn legacy_and_nf_tables_rules_apply_together() {
    let lab = lab(LEGACY);
    let Some(Fact::Known(host)) = lab.hosts.get(&InstanceId::new("i-nat")) else { panic!("a known host") };
    for backend in [Backend::IptablesLegacy, Backend::IptablesNft] {
        assert!(host.ruleset.tables.iter().any(|table| table.backend == backend), "{backend:?}");
    }
    assert_eq!(lab.https().disposition, Disposition::Delivered);
    let mail = Flow::tcp(InstanceId::new("i-client"), OUTSIDE.parse().unwrap(), 25);
    let trace = walk(&lab.network, &lab.hosts, &mail);
    assert_eq!((trace.disposition, trace.refused), (Disposition::Dropped, true));
}

#[test]
fn a_chain_that_nft_made_in_iptables_table_is_seen() {
    let trace = through(NFT_IN_NAT_TABLE);
    assert_eq!(trace.disposition, Disposition::Delivered, "{trace:?}");
    assert_eq!(trace.address, Some(NAT_PUBLIC.parse().unwrap()));
}

#[test]
fn a_table_that_only_nft_can_show_is_not_taken_for_empty() {
    let (before, _) = NFT_IN_NAT_TABLE.split_once("=== natdeck nft\n").unwrap();
    let error = parse_host(&format!("{before}=== natdeck end\n")).unwrap_err().to_string();
    assert!(error.contains("nft is not installed"), "{error}");
}

#[test]
fn what_is_not_understood_is_kept_as_printed() {
    let host = parse_host(UNUSUAL).unwrap();
    let rules = || host.ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    for module in [
        "mark",
        "u32",
        "string",
        "time",
        "recent",
        "hashlimit",
        "connlimit",
        "statistic",
        "mac",
        "length",
        "iprange",
        "ttl",
        "physdev",
        "connmark",
        "limit",
    ] {
        let kept = rules().any(|rule| {
            let shown = rule.text.contains(&format!("-m {module} "));
            shown && rule.matches.iter().any(|m| matches!(m, Match::NotUnderstood(text) if text.contains(module)))
        });
        assert!(kept, "{module}");
    }
    for target in ["NOTRACK", "CT", "REDIRECT", "NETMAP"] {
        let kept = rules().any(|rule| matches!(&rule.target, Target::NotUnderstood(text) if text.starts_with(target)));
        assert!(kept, "{target}");
    }
}

#[test]
fn a_rule_that_is_not_understood_leaves_the_verdict_open_only_where_it_could_decide() {
    let undecided = |trace: &Trace, text: &str| {
        assert_eq!(trace.disposition, Disposition::InsufficientInformation, "{trace:?}");
        assert!(trace.unknown.iter().any(|unknown| unknown.reason.contains(text)), "{:?}", trace.unknown);
    };
    undecided(&through(UNUSUAL), "the policy routing rule");
    // The marks choose between two ways out, unless both lead the same way.
    let one_way = UNUSUAL.replace("\"fwmark\":\"0x1\",\"table\":\"100\"", "\"fwmark\":\"0x1\",\"table\":\"main\"");
    let one_way = one_way.replace("\"uid_end\":1000,\"table\":\"100\"", "\"uid_end\":1000,\"table\":\"main\"");
    undecided(&through(&one_way), "--mark 0x1 -j DROP");
    // All the other rules accept what would be accepted anyway, or speak of interfaces that the packet does not use.
    let accepting = without(&one_way, "-m mark --mark 0x1 -j DROP");
    let trace = through(&accepting);
    assert_eq!(trace.disposition, Disposition::Delivered, "{trace:?}");
    // With a policy that drops, each of them might be what lets it pass.
    let dropping = accepting.replace(
        ":FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:RATE",
        ":FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:RATE",
    );
    undecided(&through(&dropping), "decides");
}

/// One way to damage a text.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Drop(usize, usize),
    Put(usize, &'static str),
    Repeat(usize),
    Swap(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = prop::sample::select(vec![
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "!",
        "-",
        " ",
        "\n",
        "0",
        "999999999999999999999",
        "-1",
        "null",
        "/33",
        "*nat\n",
        ":C - [0:0]\n",
        "-A FORWARD ",
        "-j ",
        "-g FORWARD",
        "=== natdeck nft\n",
        "=== natdeck end\n",
        "\u{e9}",
        "\0",
        "255.255.255.256",
        "::/129",
        "\"set\"",
        "\"elem\"",
        "\"range\"",
    ]);
    let at = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    let at = || at.clone();
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), 0usize..40).prop_map(|(at, length)| Damage::Drop(at, length)),
        (at(), pieces).prop_map(|(at, piece)| Damage::Put(at, piece)),
        at().prop_map(Damage::Repeat),
        (at(), at()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

fn damaged(text: &str, all: &[Damage]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for damage in all {
        let length = text.len().max(1);
        match damage {
            Damage::Cut(at) => text.truncate(at % length),
            Damage::Drop(at, count) => {
                let at = (at % length).min(text.len());
                text.drain(at..(at + count).min(text.len()));
            }
            Damage::Put(at, piece) => {
                let at = (at % length).min(text.len());
                text.splice(at..at, piece.chars());
            }
            Damage::Repeat(at) | Damage::Swap(at, _) => {
                let whole: String = text.iter().collect();
                let mut lines: Vec<&str> = whole.split('\n').collect();
                let line = at % lines.len();
                match damage {
                    Damage::Swap(_, other) => {
                        let other = other % lines.len();
                        lines.swap(line, other);
                    }
                    _ => lines.insert(line, lines[line]),
                }
                text = lines.join("\n").chars().collect();
            }
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a host prints is read or refused, and what was read can be walked.
    #[test]
    fn damaged_output_never_panics(
        which in 0..ALL.len(),
        all in prop::collection::vec(damage(), 1..6),
    ) {
        let text = damaged(ALL[which], &all);
        // Cuts take the end marker away, which alone is refused: the parsers behind it are reached with it.
        if let Ok(host) = parse_host(&format!("{text}\n=== natdeck end\n")) {
            let mut lab = Lab::article();
            lab.hosts.insert(InstanceId::new("i-nat"), Fact::Known(host));
            let trace = lab.https();
            prop_assert!(!trace.hops.is_empty());
        }
    }
}
