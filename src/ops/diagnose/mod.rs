//! Why an instance cannot get out: looks at the hosts on the way and at the instance itself, all at once through SSM,
//! and hands everything to [`reach::diagnose`]. Changes nothing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ask::{Answer, ask, facts, packet_test};
use super::check::{FIRST, OUTSIDE, SECOND, script_for, untestable};
use crate::aws::Session;
use crate::model::host::Hosts;
use crate::model::{Fact, Instance, InstanceId, InstanceState, Network, PingStatus, Unknown};
use crate::reach::audit::ClientFacts;
use crate::reach::{self, Code, Component, Diagnosis, Flow, Observations, gather_script};

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
    let (from_client, mut looked) =
        futures::join!(Box::pin(ask_client(session, network, question)), Box::pin(ask_nats(session, network, &nats)));
    note(&mut looked, client, &from_client);
    looked.observations.test = Some(packet_test(&from_client));
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
    ask(session, &asked, &gather_script(false), "natdeck host facts", |id, answer| note(&mut looked, &id, &answer))
        .await;
    looked
}

/// Keeps what a host said.
fn note(looked: &mut Looked, id: &InstanceId, answer: &Answer) {
    let ClientFacts { host, health } = facts(id, answer);
    looked.hosts.insert(id.clone(), host);
    looked.observations.health.insert(id.as_str(), health);
}

/// The packet test and the facts of the instance, in one command.
async fn ask_client(session: &Session, network: &Network, question: &Question) -> Answer {
    let id = &question.flow.instance_id;
    let Ok(Some(instance)) = network.instances.get(id) else {
        return Err((Code::TestAgentOffline, format!("{id} is not known")));
    };
    if let Some(why) = untestable(network, instance) {
        return Err(why);
    }
    let urls: Vec<&str> = question.urls.iter().map(String::as_str).collect();
    let script = format!("(\n{})\n{}", script_for(&urls), gather_script(true));
    let mut ended = Err((Code::TestDeliveryTimedOut, "SSM gave no answer".to_owned()));
    ask(session, std::slice::from_ref(id), &script, "natdeck diagnose", |_, answer| ended = answer).await;
    ended
}

/// The instance, or why it cannot be diagnosed.
pub fn diagnosable<'n>(network: &'n Network, id: &InstanceId) -> Result<&'n Instance, String> {
    match network.instances.get(id) {
        Ok(Some(instance)) => Ok(instance),
        Ok(None) => Err(format!("there is no instance {id} in {}; natdeck tree lists the instances", network.region)),
        Err(unknown) => Err(format!("{id} cannot be looked at: {unknown}")),
    }
}
