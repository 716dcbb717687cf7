//! Why an instance cannot get out: looks at the hosts on the way and at the instance itself, all at once through SSM,
//! and hands everything to [`reach::diagnose`]. Changes nothing.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::{FIRST, OUTSIDE, SECOND, parse, script_for, untestable};
use crate::aws::{self, CommandResult, RunOptions, Session};
use crate::model::host::Hosts;
use crate::model::{Fact, Instance, InstanceId, InstanceState, Network, PingStatus, Unknown};
use crate::reach::{
    self, Code, Component, Diagnosis, Flow, Observations, PacketTest, Probe, gather_script, parse_health, parse_host,
};

/// What is asked: where to, and how that is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub flow: Flow,
    /// Tried one after the other until one answers.
    pub urls: Vec<String>,
}

impl Question {
    /// Does it get out at all? Asks the services that tell an instance its own address.
    pub fn egress(instance_id: InstanceId) -> Self {
        let flow = Flow::https(instance_id, OUTSIDE);
        Self { flow, urls: vec![FIRST.to_owned(), SECOND.to_owned()] }
    }

    /// Does it reach this host and port? `host` is what curl is given, `address` what it is.
    pub fn to(instance_id: InstanceId, host: &str, address: IpAddr, port: u16) -> Self {
        let scheme = if port == 80 { "http" } else { "https" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self { flow: Flow::tcp(instance_id, address, port), urls: vec![format!("{scheme}://{host}:{port}/")] }
    }
}

/// What the hosts said: the input of a diagnosis beside the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    pub hosts: Hosts,
    pub observations: Observations,
}

/// Looks and diagnoses.
pub async fn diagnose(session: &Session, network: &Network, question: &Question) -> (Diagnosis, Looked) {
    let looked = look(session, network, question).await;
    (reach::diagnose(network, &looked.hosts, &question.flow, &looked.observations), looked)
}

/// Asks the instance and the hosts that its packets go through or should go through. What cannot be asked is unknown,
/// with the reason.
pub async fn look(session: &Session, network: &Network, question: &Question) -> Looked {
    let client = &question.flow.instance_id;
    let nats = hosts_on_the_way(network, &question.flow);
    let (from_client, from_nats) =
        futures::join!(Box::pin(ask_client(session, network, question)), Box::pin(ask_nats(session, network, &nats)));
    let mut looked = from_nats;
    let (test, output) = from_client;
    match (&test, output) {
        (_, Some(output)) => take(&mut looked, client, &output),
        (PacketTest::CouldNotRun { reason, .. }, None) => cannot_ask(&mut looked, client, reason),
        (PacketTest::Ran { .. }, None) => {}
    }
    looked.observations.test = Some(test);
    looked
}

/// The hosts that forward, as far as the snapshot tells: walked on past whatever stops the packet.
fn hosts_on_the_way(network: &Network, flow: &Flow) -> Vec<InstanceId> {
    let blind = reach::diagnose(network, &Hosts::new(), flow, &Observations::default());
    hosts_on(&blind, &flow.instance_id)
}

/// The hosts other than the instance itself that a diagnosis made without them came by, or would have.
pub(super) fn hosts_on(blind: &Diagnosis, client: &InstanceId) -> Vec<InstanceId> {
    let on_path = blind.path.iter().filter(|hop| hop.component == Component::NatHost);
    let on_path = on_path.filter_map(|hop| Some(InstanceId::new(hop.resource_id.as_ref()?.as_str())));
    let meant = blind.findings.iter().filter_map(|finding| finding.subject.instance_id.clone());
    let mut hosts: Vec<InstanceId> = on_path.chain(meant).filter(|id| id != client).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn is_online(network: &Network, id: &InstanceId) -> Result<(), Unknown> {
    let unknown = |reason: String| Unknown::new(format!("facts of host {id}"), reason);
    if let Ok(Some(instance)) = network.instances.get(id)
        && instance.state != InstanceState::Running
    {
        return Err(unknown(format!("it is {}", instance.state)));
    }
    match network.managed_instances.get(id) {
        Ok(Some(managed)) if managed.ping_status == PingStatus::Online => Ok(()),
        Ok(Some(managed)) => Err(unknown(format!("its SSM agent is {}", managed.ping_status))),
        Ok(None) => Err(unknown("it is not registered with SSM".to_owned())),
        // The command itself will tell.
        Err(_) => Ok(()),
    }
}

pub(super) async fn ask_nats(session: &Session, network: &Network, nats: &[InstanceId]) -> Looked {
    let mut looked = Looked::default();
    let mut asked = Vec::new();
    for nat in nats {
        match is_online(network, nat) {
            Ok(()) => asked.push(nat.clone()),
            Err(unknown) => {
                looked.hosts.insert(nat.clone(), Fact::Unknown(unknown));
            }
        }
    }
    if asked.is_empty() {
        return looked;
    }
    let script = gather_script(false);
    let outcome = aws::run_command(session, &asked, &script, options("natdeck host facts"), |id, result| match result
        .into_output()
    {
        Ok((stdout, ..)) => take(&mut looked, &id, &stdout),
        Err(error) => cannot_ask(&mut looked, &id, &error.message),
    })
    .await;
    if let Err(error) = outcome {
        for id in asked {
            if !looked.hosts.contains_key(&id) {
                cannot_ask(&mut looked, &id, &error.to_string());
            }
        }
    }
    looked
}

pub(super) fn options(comment: &str) -> RunOptions {
    RunOptions { execution_timeout_s: 60, delivery_timeout_s: 30, comment: comment.to_owned() }
}

fn cannot_ask(looked: &mut Looked, id: &InstanceId, reason: &str) {
    let unknown = Unknown::new(format!("facts of host {id}"), reason);
    looked.hosts.insert(id.clone(), Fact::Unknown(unknown.clone()));
    looked.observations.health.insert(id.clone(), Fact::Unknown(unknown));
}

/// Reads what a host said.
fn take(looked: &mut Looked, id: &InstanceId, output: &str) {
    let unknown = |error: reach::FactsError| Unknown::new(format!("facts of host {id}"), error.to_string());
    let host = parse_host(output).map_or_else(|error| Fact::Unknown(unknown(error)), Fact::Known);
    looked.hosts.insert(id.clone(), host);
    let health = parse_health(output, Some(Timestamp::now()));
    let health = health.map_or_else(|error| Fact::Unknown(unknown(error)), Fact::Known);
    looked.observations.health.insert(id.clone(), health);
}

/// The packet test and the facts of the instance, in one command. The output is there when the command ran.
async fn ask_client(session: &Session, network: &Network, question: &Question) -> (PacketTest, Option<String>) {
    let id = &question.flow.instance_id;
    let could_not = |code: Code, reason: String| (PacketTest::CouldNotRun { code, reason }, None);
    let Ok(Some(instance)) = network.instances.get(id) else {
        return could_not(Code::TestAgentOffline, format!("{id} is not known"));
    };
    if let Some((code, reason)) = untestable(network, instance) {
        return could_not(code, reason);
    }
    let urls: Vec<&str> = question.urls.iter().map(String::as_str).collect();
    let script = format!("(\n{})\n{}", script_for(&urls), gather_script(true));
    let mut ended = CommandResult::NoResult;
    let asked = std::slice::from_ref(id);
    let outcome =
        aws::run_command(session, asked, &script, options("natdeck diagnose"), |_, result| ended = result).await;
    if let Err(error) = outcome {
        let refused = error.is_denied() || error.is_read_only();
        let code = if refused { Code::TestAccessDenied } else { Code::TestDeliveryTimedOut };
        return could_not(code, error.to_string());
    }
    let code = super::check::code_of(&ended);
    match ended.into_output() {
        Ok((stdout, ..)) => {
            let probes = parse(&stdout).into_iter().map(Probe::from).collect();
            (PacketTest::Ran { probes, observed_at: Some(Timestamp::now()) }, Some(stdout))
        }
        Err(error) => could_not(code, error.message),
    }
}

/// The instance, or why it cannot be diagnosed.
pub fn diagnosable<'n>(network: &'n Network, id: &InstanceId) -> Result<&'n Instance, String> {
    match network.instances.get(id) {
        Ok(Some(instance)) => Ok(instance),
        Ok(None) => Err(format!("there is no instance {id} in {}; natdeck tree lists the instances", network.region)),
        Err(unknown) => Err(format!("{id} cannot be looked at: {unknown}")),
    }
}
