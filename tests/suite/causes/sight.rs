//! What an operator sees of a world, without the way over the wire: the same facts, and nothing else.

use std::collections::BTreeSet;

use natdeck::model::host::Hosts;
use natdeck::model::{Fact, InstanceId, Network, StatusCheck, Unknown};
use natdeck::reach::{Cause, Diagnosis, Flow, GATHER, Observations, diagnose, parse_host};
use natdeck::sandbox::causes::{self, BreakError, Scene};
use natdeck::sandbox::world::World;

use super::worlds::Built;

/// Where `curl https://api.ipify.org` leads.
pub const IPIFY: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(104, 26, 12, 205));

/// What `curl` gets on an instance: the address that the outside sees, or what curl says.
pub fn curl(world: &mut World, client: &InstanceId) -> Result<String, String> {
    let script = "curl -sS --max-time 8 https://api.ipify.org";
    match world.with_machine(client, |machine, outside| machine.run(script, outside)) {
        Some(output) if output.exit_code == 0 => Ok(output.stdout),
        Some(output) => Err(output.stderr),
        None => Err("the instance is gone".to_owned()),
    }
}

/// The facts of the instance and of the NATs, which have public addresses or forward.
pub fn hosts(world: &mut World, client: &InstanceId) -> Hosts {
    let nats = world.network.network_interfaces.shown().values().filter(|interface| !interface.source_dest_check);
    let mut ids: BTreeSet<InstanceId> = nats.filter_map(|interface| interface.instance_id().cloned()).collect();
    let public = world.network.network_interfaces.shown().values().filter(|one| one.public_ip().is_some());
    ids.extend(public.filter_map(|interface| interface.instance_id().cloned()));
    ids.insert(client.clone());
    ids.into_iter()
        .filter(|id| world.machines.contains_key(id))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|id| {
            let unknown = |reason: String| Fact::Unknown(Unknown::new(format!("facts of host {id}"), reason));
            // Nobody answers on a host that hangs.
            let instance = world.network.instances.shown().get(id.as_str());
            if instance.is_some_and(|instance| instance.instance_status == Some(StatusCheck::Impaired)) {
                let reason = unknown("its SSM agent is ConnectionLost".to_owned());
                return (id, reason);
            }
            let output = world.with_machine(&id, |machine, outside| machine.run(GATHER, outside)).unwrap();
            let fact = match parse_host(&output.stdout) {
                Ok(host) if output.exit_code == 0 => Fact::Known(host),
                Ok(_) => unknown(output.stderr),
                Err(error) => unknown(error.to_string()),
            };
            (id, fact)
        })
        .collect()
}

/// The world with a cause for one of its clients, or as it is. `None`: the cause cannot be had there.
pub fn broken(built: &Built, client: usize, cause: Option<Cause>) -> Result<Option<(World, Scene)>, BreakError> {
    let mut world = built.world.clone();
    let mut scene = Scene::find(&world, Some(&built.clients[client]))?;
    if let Some(cause) = cause {
        let done =
            causes::stage(&mut world, &mut scene, cause).and_then(|()| causes::inject(&mut world, &scene, cause));
        match done {
            Ok(_) => {}
            Err(BreakError::NotHere { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some((world, scene)))
}

/// The diagnosis of an instance from the snapshot and the hosts alone: no packet is sent.
pub fn look(world: &mut World, client: &InstanceId) -> Diagnosis {
    let network = world.network.clone();
    look_at(world, &network, client)
}

/// The same, of what was seen of the network.
pub fn look_at(world: &mut World, network: &Network, client: &InstanceId) -> Diagnosis {
    let hosts = hosts(world, client);
    diagnose(network, &hosts, &Flow::https(client.clone(), IPIFY), &Observations::default())
}
