//! `check --watch`: rounds on the sandbox while the world changes under them.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::{NatGateway, NatGatewayId, NatGatewayState, NetworkInterface, RouteTarget, Tags};
use natdeck::ops::{Overall, WatchRound, watch_round};
use natdeck::reach::history::{TurnKind, Watch};
use natdeck::sandbox::{Options, Sandbox, Scenario};
use serde_json::Value;

use super::support::Home;

/// The article's finished world and a session to it.
async fn article() -> (Sandbox, Session) {
    let sandbox = Sandbox::open(Options { scenario: Some(Scenario::Article), ..Options::default() }).unwrap();
    let target =
        Target { sandbox: Some(sandbox.http_client()), lag: Some(sandbox.consistency() * 2), ..Target::default() };
    let session = Session::connect(target, CallLog::new()).await.unwrap();
    (sandbox, session)
}

async fn round(session: &Session, watch: &mut Watch, earlier: Option<&WatchRound>) -> WatchRound {
    watch_round(session, watch, &[], None, earlier.map(|round| &*round.network)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_is_moved_to_a_nat_gateway_is_told_with_the_failover() {
    let (sandbox, session) = article().await;
    let mut watch = Watch::default();
    let first = round(&session, &mut watch, None).await;
    assert_eq!(first.overall, Overall::Ok);
    let quiet = round(&session, &mut watch, Some(&first)).await;
    assert!(quiet.round.turns.is_empty() && quiet.round.notes.is_empty(), "nothing happened: {:?}", quiet.round);
    sandbox
        .with_world(|world| {
            let network = &mut world.network;
            let public = network.subnets.items_mut().values().find(|s| s.map_public_ip_on_launch).unwrap().clone();
            let gateway = NatGateway {
                nat_gateway_id: NatGatewayId::new("nat-0123456789abcdef0"),
                vpc_id: public.vpc_id,
                subnet_id: public.subnet_id,
                state: NatGatewayState::Available,
                connectivity_type: "public".to_owned(),
                failure_code: None,
                failure_message: None,
                public_ip: Some("52.29.1.2".parse().unwrap()),
                private_ip: Some("10.8.1.200".parse().unwrap()),
                allocation_id: None,
                network_interface_id: None,
                tags: Tags::default(),
            };
            let id = gateway.nat_gateway_id.clone();
            network.nat_gateways.items_mut().insert(id.to_string(), gateway);
            let routes = network.route_tables.items_mut().values_mut().flat_map(|table| &mut table.routes);
            for route in routes.filter(|route| matches!(route.target, RouteTarget::NetworkInterface { .. })) {
                route.target = RouteTarget::NatGateway(id.clone());
            }
        })
        .unwrap();
    let third = round(&session, &mut watch, Some(&quiet)).await;
    assert_eq!(third.overall, Overall::Broken, "a failover is no success, though each route keeps its promise");
    assert_eq!(third.round.turns.len(), 2, "both private instances: {:?}", third.round.turns);
    for turn in &third.round.turns {
        assert_eq!(turn.kind, TurnKind::SilentFailover);
        assert_eq!(turn.to.address, Some(IpAddr::from([52, 29, 1, 2])));
        let told = turn.why().unwrap();
        assert!(told.starts_with("route 0.0.0.0/0 of rtb-") && told.contains("to nat-0123456789abcdef0 at "), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_turned_on_and_a_host_that_stops_forwarding_are_told_apart() {
    let (sandbox, session) = article().await;
    let mut watch = Watch::default();
    let first = round(&session, &mut watch, None).await;
    let restrict = |on: bool| {
        sandbox
            .with_world(|world| {
                let inner = |i: &&mut NetworkInterface| i.attachment.as_ref().is_some_and(|a| a.device_index == 1);
                let interfaces = world.network.network_interfaces.items_mut().values_mut();
                interfaces.filter(inner).for_each(|interface| interface.source_dest_check = on);
            })
            .unwrap();
    };
    restrict(true);
    let second = round(&session, &mut watch, Some(&first)).await;
    assert_eq!(second.overall, Overall::Broken);
    let turn = &second.round.turns[0];
    assert_eq!(turn.kind, TurnKind::EgressLost);
    assert_eq!(turn.notes.len(), 1);
    assert!(turn.notes[0].text.starts_with("the source/destination check of eni-"), "{:?}", turn.notes);
    restrict(false);
    let third = round(&session, &mut watch, Some(&second)).await;
    assert_eq!((third.overall, third.round.turns[0].kind), (Overall::Ok, TurnKind::EgressRestored));
}

/// A running natdeck, and what it prints, line by line.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(home: &Home, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let mut command = home.command(arguments);
        command.envs(environment.iter().cloned()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds a text.
    fn line(&mut self, wanted: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with '{wanted}' among {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(wanted) {
                return line;
            }
        }
    }

    fn end(mut self, signal: &str) -> i32 {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn a_watch_in_a_terminal_tells_what_another_terminal_changes_and_ends_with_the_last_answer() {
    let home = Home::new();
    let mut server = Running::start(&home, &["sandbox", "serve", "--listen", "127.0.0.1:0"], &[]);
    server.line("AWS_SECRET_ACCESS_KEY");
    let exported = server.seen.iter().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let environment: Vec<(String, String)> = exported.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let natdeck = |code: i32, arguments: &[&str]| {
        let mut command = home.command(arguments);
        let ran = super::support::finish(&command.envs(environment.iter().cloned()).output().unwrap());
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
    };
    let mut watch = Running::start(&home, &["check", "--watch", "1s"], &environment);
    assert!(watch.line("Private-Instance-0").contains("no egress"));
    natdeck(0, &["apply", "--yes"]);
    let restored = watch.line("EGRESS_RESTORED");
    assert!(restored.contains("Private-Instance-"), "{restored}");
    assert!(watch.seen.iter().any(|line| line.contains("route 0.0.0.0/0 of rtb-") && line.contains("was added")));
    watch.line("EGRESS_RESTORED");
    assert_eq!(watch.end("-INT"), 0, "the last round found everything well");

    let mut json = Running::start(&home, &["check", "--watch", "1s", "--output", "json"], &environment);
    let document: Value = serde_json::from_str(&json.line("{")).unwrap();
    assert_eq!((&document["version"], &document["ok"], &document["round"]), (&1.into(), &true.into(), &1.into()));
    assert!(document["instances"][0]["finding"].is_null(), "{document}");
    natdeck(0, &["destroy", "--yes"]);
    let lost: Value = serde_json::from_str(&json.line("EGRESS_LOST")).unwrap();
    assert_eq!(lost["ok"], false);
    assert!(!lost["turns"][0]["changes"].as_array().unwrap().is_empty(), "{lost}");
    assert_eq!(json.end("-TERM"), 1, "the last round found no egress");
}
