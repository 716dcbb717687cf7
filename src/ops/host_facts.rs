//! What the kernels on the way know: gathered through SSM, one command that changes nothing.

use std::collections::BTreeSet;

use crate::aws::{self, RunOptions, Session};
use crate::model::host::Hosts;
use crate::model::{Fact, InstanceId, Network, PingStatus, Unknown};
use crate::reach::{self, WayOut, way_out};

/// The facts of the NAT hosts that the routes of `clients` lead to. A host that cannot be asked is unknown, with the
/// reason.
pub async fn gather(session: &Session, network: &Network, clients: impl Iterator<Item = &InstanceId>) -> Hosts {
    let nats: BTreeSet<InstanceId> = clients
        .filter_map(|client| match way_out(network, client) {
            Ok(WayOut::NatInstance { instance_id, .. }) => Some(instance_id),
            _ => None,
        })
        .collect();
    let mut hosts = Hosts::new();
    let mut asked = Vec::new();
    for nat in nats {
        let online = network
            .managed_instances
            .get(&nat)
            .is_ok_and(|managed| managed.is_some_and(|managed| managed.ping_status == PingStatus::Online));
        if online {
            asked.push(nat);
        } else {
            hosts.insert(nat.clone(), unknown(&nat, "SSM does not reach it"));
        }
    }
    if asked.is_empty() {
        return hosts;
    }
    let options = RunOptions { execution_timeout_s: 60, delivery_timeout_s: 30, comment: "natdeck host facts".into() };
    let outcome = aws::run_command(session, &asked, reach::GATHER, options, |id, result| {
        let fact = match result.into_output().map(|(stdout, ..)| reach::parse_host(&stdout)) {
            Ok(Ok(host)) => Fact::Known(host),
            Ok(Err(error)) => unknown(&id, &error.to_string()),
            Err(error) => unknown(&id, &error.message),
        };
        hosts.insert(id, fact);
    })
    .await;
    if let Err(error) = outcome {
        for id in asked {
            let fact = unknown(&id, &error.to_string());
            hosts.entry(id).or_insert(fact);
        }
    }
    hosts
}

fn unknown<T>(id: &InstanceId, reason: &str) -> Fact<T> {
    Fact::Unknown(Unknown::new(format!("facts of host {id}"), reason))
}
