//! Random broken worlds (24; `NATDECK_WORLDS` for more), reported and redacted: the redacted report answers the same,
//! and neither an account number nor an address of the original is in it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::Timestamp;
use natdeck::model::{ApiCall, CallOutcome, Fact, Identity, InstanceId, Unknown, World as Target};
use natdeck::ops::report::{self, Incident, Key, Look, markdown, redact};
use natdeck::ops::{Looked, Question};
use natdeck::reach::{
    Cause, Certainty, Diagnosis, Disposition, Finding, Hop, Observations, PacketTest, Probe, gather_script,
    parse_health,
};
use natdeck::sandbox::causes::{self, Scene};
use natdeck::sandbox::world::World;
use regex::Regex;

use super::random::candidates;
use super::sight::{curl, hosts};
use super::worlds::{Built, Shape, build};

const ACCOUNT: &str = "123456789012";

/// What an operator's run would have brought, with all that must not get out.
fn incident(world: &mut World, client: &InstanceId) -> Incident {
    let at = Timestamp::from_second(1_790_001_000).unwrap();
    let got = curl(world, client);
    let probe = Probe {
        url: "https://api.ipify.org".to_owned(),
        exit_code: if got.is_ok() { 0 } else { 28 },
        address: got.as_ref().ok().and_then(|address| address.parse().ok()),
        resolved: Some(true),
        connected: Some(got.is_ok()),
        latency_ms: Some(7),
        message: got.err().unwrap_or_default(),
    };
    let mut observations = Observations {
        test: Some(PacketTest::Ran { probes: vec![probe], observed_at: Some(at) }),
        ..Default::default()
    };
    let hosts = hosts(world, client);
    for id in hosts.keys() {
        let script = gather_script(id == client);
        let output = world.with_machine(id, |machine, outside| machine.run(&script, outside)).unwrap();
        if let Ok(health) = parse_health(&output.stdout, Some(at)) {
            observations.health.insert(id.as_str(), Fact::Known(health));
        }
    }
    let caller = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice@example.com");
    // One that was terminated has none.
    let private = world.network.instances.shown()[client.as_str()].private_ip.unwrap_or([10, 8, 200, 9].into());
    let call = ApiCall {
        number: 1,
        started_at: at,
        service: "ec2".to_owned(),
        operation: "DescribeVpcs".to_owned(),
        latency_ms: 12,
        attempts: 1,
        outcome: CallOutcome::Error {
            code: "UnauthorizedOperation".to_owned(),
            message: format!(
                "User: {caller} is not authorized to look at ip-{}",
                private.to_string().replace('.', "-")
            ),
        },
        aws_cli: format!("aws ec2 describe-instances --filters Values={private} --profile acme-prod"),
    };
    let identity = Identity {
        world: Target::Aws,
        region: "eu-central-1".to_owned(),
        profile: Some("acme-prod".to_owned()),
        account_id: Some(ACCOUNT.to_owned()),
        caller_arn: Some(caller),
        read_only: false,
    };
    let look = Look { at, network: world.network.clone(), looked: Looked { hosts, observations } };
    Incident::new(identity, Question::egress(client.clone()), look, vec![call])
}

/// What must be the same: everything but texts and addresses.
#[derive(Debug, PartialEq)]
struct Essence {
    disposition: Disposition,
    findings: Vec<(String, Option<String>, Certainty)>,
    path: Vec<String>,
}

impl Essence {
    fn of(said: &Diagnosis) -> Self {
        let finding = |finding: &Finding| {
            let resource = finding.resource_id.as_ref().map(ToString::to_string);
            (finding.cause.name(), resource, finding.certainty)
        };
        let hop = |hop: &Hop| format!("{} {} {:?}", hop.component, hop.decision, hop.resource_id);
        Self {
            disposition: said.disposition,
            findings: said.findings.iter().map(finding).collect(),
            path: said.path.iter().map(hop).collect(),
        }
    }
}

/// Whether an address of the original may stand in the report: it means the same everywhere.
fn has_a_meaning(address: std::net::IpAddr) -> bool {
    let ranges = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/3",
        "104.26.12.205/32",
        "::/8",
        "fe80::/10",
        "ff00::/8",
    ];
    let private = ["10.0.0.0/32", "172.16.0.0/32", "192.168.0.0/32"];
    ranges.iter().chain(&private).any(|range| range.parse::<IpNet>().unwrap().contains(&address))
}

/// Every address that stands in a text, however it is written.
fn addresses(text: &str) -> BTreeSet<std::net::IpAddr> {
    let dotted = Regex::new(r"\d{1,3}[.-]\d{1,3}[.-]\d{1,3}[.-]\d{1,3}").unwrap();
    let found = dotted.find_iter(text).filter_map(|found| found.as_str().replace('-', ".").parse().ok());
    let colons = Regex::new(r"[0-9a-f:]*::[0-9a-f:]*[0-9a-f]").unwrap();
    found.chain(colons.find_iter(text).filter_map(|found| found.as_str().parse().ok())).collect()
}

fn objection(seed: u64) -> Option<String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Built { mut world, clients } = build(&Shape::random(&mut rng), seed);
    let client = clients[rng.usize(..clients.len())].clone();
    let candidates = candidates();
    let mut scene = Scene::find(&world, Some(&client)).unwrap();
    for _ in 0..rng.u8(..=3) {
        let cause = candidates[rng.usize(..candidates.len())];
        if causes::stage(&mut world, &mut scene, cause).is_ok() {
            // What cannot coexist with what is broken already is left out.
            let _ = causes::inject(&mut world, &scene, cause);
        }
    }
    let original = incident(&mut world, &client);
    let json = serde_json::to_string(&original).unwrap();
    if serde_json::from_str::<Incident>(&json).unwrap() != original {
        return Some("it does not come back as it was".to_owned());
    }
    let redacted = redact(&original, Key::fixed(seed)).unwrap();
    let (before, after) = (Essence::of(&original.diagnosis()), Essence::of(&redacted.diagnosis()));
    if before != after {
        return Some(format!("it answers otherwise\n{before:#?}\n{after:#?}"));
    }
    let text = markdown(&redacted).unwrap();
    let known: BTreeSet<_> = addresses(&json).into_iter().filter(|address| !has_a_meaning(*address)).collect();
    assert!(known.len() > 8, "{known:?}");
    let through: Vec<_> = addresses(&text).intersection(&known).copied().collect();
    if !through.is_empty() {
        return Some(format!("these came through: {through:?}"));
    }
    [ACCOUNT, "alice", "Admin", "acme-prod"].into_iter().find(|word| text.contains(word)).map(|word| {
        let line = text.lines().find(|line| line.contains(word)).unwrap_or_default();
        format!("{word} came through in {line}")
    })
}

#[test]
fn a_redacted_report_answers_the_same_and_holds_no_account_and_no_address() {
    let worlds = std::env::var("NATDECK_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let failed: Vec<String> =
        (0..worlds).filter_map(|seed| Some(format!("seed {seed}: {}", objection(seed)?))).collect();
    assert!(failed.is_empty(), "{} of {worlds} worlds\n{}", failed.len(), failed.join("\n"));
}

/// What others may have written into tags, messages and logs.
const HOSTILE: [&str; 8] = [
    "```\n# Resolved\n",
    "````json natdeck-incident\n{}\n````",
    "a | b || c \\| d",
    "</details></summary><img src=x onerror=alert(1)>",
    "@here *all* _clear_ [click](https://example.com) ![](https://example.com/p.png)",
    "\u{202e}drawkcab\u{1b}[31m\r\u{7}",
    "` `` ``` ````",
    "\n\n## Cause\n\n| x |\n|---|\n",
];

/// The same incident, with `text` wherever others have a say.
fn poisoned(mut incident: Incident, text: &str) -> Incident {
    for instance in incident.network.instances.items_mut().values_mut() {
        instance.tags.0.insert("Name".to_owned(), text.to_owned());
    }
    for group in incident.network.security_groups.items_mut().values_mut() {
        group.description = text.to_owned();
        group.tags.0.insert("Name".to_owned(), text.to_owned());
    }
    for host in incident.looked.hosts.values_mut() {
        let Fact::Known(host) = host else { continue };
        let chains = host.ruleset.tables.iter_mut().flat_map(|table| &mut table.chains);
        chains.flat_map(|chain| &mut chain.rules).for_each(|rule| rule.text = text.to_owned());
    }
    if let Some(PacketTest::Ran { probes, .. }) = &mut incident.looked.observations.test {
        probes.iter_mut().for_each(|probe| probe.message = text.to_owned());
    }
    incident.network.unknown.push(Unknown::new(text, text));
    incident.identity.profile = Some(text.to_owned());
    incident.calls[0].outcome = CallOutcome::NoAnswer { reason: text.to_owned() };
    incident
}

/// The headings outside of what is fenced. All rows of a table must have as many cells.
fn headings(report: &str) -> Vec<&str> {
    let (mut headings, mut cells, mut fence) = (Vec::new(), None, None::<&str>);
    for line in report.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        let in_row = line.starts_with('|').then(|| line.replace("\\\\", "").replace("\\|", "").matches('|').count());
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => continue,
            None if ticks.len() >= 3 && !line[ticks.len()..].contains('`') => fence = Some(ticks),
            None if line.starts_with('#') => headings.push(line.split(' ').next().unwrap()),
            None => assert!(cells.is_none() || in_row.is_none() || cells == in_row, "{line}"),
        }
        cells = in_row;
    }
    assert_eq!(fence, None, "{report}");
    headings
}

#[test]
fn nothing_that_others_wrote_breaks_the_report() {
    let Built { mut world, clients } = build(&Shape::random(&mut fastrand::Rng::with_seed(3)), 3);
    let scene = Scene::find(&world, Some(&clients[0])).unwrap();
    causes::inject(&mut world, &scene, Cause::HostIpForwardOff).unwrap();
    let incident = incident(&mut world, &clients[0]);
    let harmless = markdown(&poisoned(incident.clone(), "name")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    for text in HOSTILE {
        let poisoned = poisoned(incident.clone(), text);
        let report = markdown(&poisoned).unwrap();
        assert_eq!(headings(&report), headings(&harmless), "{text:?}\n{report}");
        assert!(!report.contains('\u{1b}') && !report.contains('\u{202e}'), "{text:?}");
        std::fs::write(file.path(), &report).unwrap();
        let opened = report::open(file.path()).unwrap();
        assert!(!opened.edited, "{text:?}");
        assert_eq!(opened.incident, poisoned, "{text:?}");
    }
}
