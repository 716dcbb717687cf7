//! What the kernels on the way know: gathered through SSM, one command that changes nothing.

use std::collections::BTreeSet;

use super::ask::{ask, unknown};
use crate::aws::Session;
use crate::model::host::Hosts;
use crate::model::{Fact, InstanceId, Network, PingStatus};
use crate::reach::{GATHER, WayOut, parse_host, way_out};

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
    ask(session, &asked, GATHER, "natdeck host facts", |id, answer| {
        let fact = match answer {
            Ok(stdout) => parse_host(&stdout).map_or_else(|error| unknown(&id, &error.to_string()), Fact::Known),
            Err((_, reason)) => unknown(&id, &reason),
        };
        hosts.insert(id, fact);
    })
    .await;
    hosts
}
