//! Ailing worlds and their diagnoses, for tests of the console.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::model::host_health::{HostHealth, Persistence};
use crate::plan::repair::repair;
use crate::reach::{Cause, Code, Observations, PacketTest, Probe};
use crate::tui::diagnosis::{Diagnosed, Mend};
use crate::tui::drill::Drill;
use crate::tui::effect::Effect;
use crate::tui::effect::WalkDepth;
use crate::tui::message::Message;
use crate::tui::model::Model;
use crate::tui::update::update;

/// What is wrong in a diagnosed world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ailment {
    None,
    /// The private table has no default route.
    Route,
    /// The NAT host does not forward, and its inner interface has the check on.
    Host,
    /// Everything passes; the rules are gone after a reboot.
    Warning,
    /// The private subnet's group lets nothing out but to the VPC.
    Group,
    /// SSM reaches nobody.
    Silence,
    /// SSM does not reach the NAT, and the test fails.
    Blind,
}

/// The network and the NAT host with an ailment, and what the packet test shows.
pub fn ailing(ailment: &Ailment) -> (Network, Hosts, Observations) {
    let (mut network, mut host, mut health) = (network(Stage::Provisioned), nat_host(), HostHealth::default());
    health.observed_at = Some(at(-1));
    health.persistence = Some(Persistence { units: vec!["natdeck-nat.service".to_owned()], ..Persistence::default() });
    match ailment {
        Ailment::None | Ailment::Silence | Ailment::Blind => {}
        Ailment::Route => {
            let table = network.route_tables.items_mut().get_mut(PRIVATE_TABLE).unwrap();
            table.routes.truncate(1);
        }
        Ailment::Host => {
            host.ip_forward = false;
            network.network_interfaces.items_mut().get_mut(NAT_ENI_0).unwrap().source_dest_check = true;
        }
        Ailment::Warning => health.persistence = Some(Persistence::default()),
        Ailment::Group => {
            let group = network.security_groups.items_mut().get_mut("sg-0a20000000000000b").unwrap();
            group.rules = vec![rule(RuleDirection::Egress, Protocol::All, None, Peer::Ipv4(net("10.8.0.0/16")))];
        }
    }
    let ok = matches!(ailment, Ailment::None | Ailment::Warning);
    let probe = Probe {
        url: "https://api.ipify.org".to_owned(),
        exit_code: if ok { 0 } else { 28 },
        address: ok.then(|| IpAddr::from([3, 64, 126, 205])),
        resolved: Some(true),
        connected: Some(ok),
        latency_ms: ok.then_some(137),
        message: if ok { String::new() } else { "curl: (28) Connection timed out after 10001 ms".to_owned() },
    };
    let mut hosts = Hosts::new();
    let mut observations = Observations::default();
    let ran = PacketTest::Ran { probes: vec![probe], observed_at: Some(at(-1)) };
    if matches!(ailment, Ailment::Silence | Ailment::Blind) {
        let reason = "its SSM agent is ConnectionLost".to_owned();
        let none = PacketTest::CouldNotRun { code: Code::TestAgentOffline, reason: reason.clone() };
        observations.test = Some(if *ailment == Ailment::Blind { ran } else { none });
        let unknown = Unknown::new(format!("facts of host {NAT}"), reason);
        hosts.insert(InstanceId::new(NAT), Fact::Unknown(unknown.clone()));
        observations.health.insert(NAT, Fact::Unknown(unknown));
    } else {
        observations.test = Some(ran);
        hosts.insert(InstanceId::new(NAT), Fact::Known(host));
        observations.health.insert(NAT, Fact::Known(health));
    }
    (network, hosts, observations)
}

/// The answer of a backend to whom the world ails so.
pub fn diagnosed(instance_id: &InstanceId, depth: WalkDepth, ailment: &Ailment) -> Diagnosed {
    let (network, hosts, observations) = match depth {
        WalkDepth::AskHosts => ailing(ailment),
        WalkDepth::Known => (ailing(ailment).0, Hosts::new(), Observations::default()),
    };
    let flow = Flow::https(instance_id.clone(), IpAddr::from([104, 26, 12, 205]));
    let diagnosis = crate::reach::diagnose(&network, &hosts, &flow, &observations);
    let mend = |finding| Some(Mend { repair: repair(finding, &network)?, stack: "nat-test".to_owned() });
    let mends = diagnosis.findings.iter().map(mend).collect();
    let network = Arc::new(network);
    Diagnosed { instance_id: instance_id.clone(), depth, diagnosis, mends, network, hosts, observations, at: start() }
}

/// Answers every diagnosis that was asked for. Gives what is asked for then.
pub fn answer_diagnoses(model: &mut Model, effects: Vec<Effect>, ailment: &Ailment) -> Vec<Effect> {
    let mut more = Vec::new();
    for effect in effects {
        if let Effect::Diagnose { generation, instance_id, depth, .. } = effect {
            let result = Ok(Box::new(diagnosed(&instance_id, depth, ailment)));
            more.extend(update(model, Message::Diagnosed { generation, result }));
        }
    }
    more
}

/// A console on which somebody asked why the first private instance does not get out, and has the full answer.
pub fn console_diagnosed(size: (u16, u16), ailment: &Ailment) -> Model {
    let mut model = console_with(size, ailing(ailment).0);
    diagnose_client(&mut model, ailment);
    model
}

/// Shows the ailing network, and diagnoses the first client in it.
pub fn diagnose_client(model: &mut Model, ailment: &Ailment) {
    observe(model, ailing(ailment).0);
    select(model, CLIENT_0);
    let effects = press(model, "x");
    answer_diagnoses(model, effects, ailment);
    let effects = observe(model, ailing(ailment).0);
    answer_diagnoses(model, effects, ailment);
    model.toasts.clear();
}

/// Answers the question what can be broken: three causes.
pub fn list_drills(model: &mut Model, effects: Vec<Effect>) {
    let drill = |cause, does: &str| Drill { cause, does: does.to_owned() };
    let drills = vec![
        drill(Cause::NoRoute, "deletes the default route of the private subnet's table"),
        drill(Cause::HostIpForwardOff, "sysctl -w net.ipv4.ip_forward=0"),
        drill(Cause::NatSubnetNotPublic, "deletes the default route of the NAT's own subnet"),
    ];
    for effect in effects {
        if let Effect::ListDrills { generation, .. } = effect {
            update(model, Message::DrillsListed { generation, result: Ok(drills.clone()) });
        }
    }
}
