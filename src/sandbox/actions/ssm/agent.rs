//! Whether the SSM agent of an instance can reach SSM, and what SSM knows of it.

use std::time::Duration;

use jiff::Timestamp;

use super::Agent;
use crate::model::{Instance, InstanceId, InstanceState, Protocol, StatusCheck};
use crate::sandbox::host::{Outside, Reached, ResolveError};
use crate::sandbox::world::World;

/// Why an agent is not online.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("there is no such instance")]
    NoInstance,
    #[error("the instance is {0}")]
    NotRunning(InstanceState),
    #[error("the host hangs")]
    Hangs,
    #[error("the host does not run amazon-ssm-agent")]
    NoAgent,
    #[error("the instance has no instance profile")]
    NoProfile,
    #[error("the metadata service is switched off, and the agent has its credentials from it")]
    NoMetadata,
    #[error("the profile's role may not do ssm:UpdateInstanceInformation")]
    NotAllowed,
    #[error("{name} does not resolve: {reason}")]
    NoName { name: String, reason: ResolveError },
    #[error("{name} does not answer on port 443")]
    NoPath { name: String },
}

/// What keeps the agent of an instance from SSM. `None`: nothing.
pub fn obstacle(world: &World, instance_id: &InstanceId) -> Option<Obstacle> {
    let Some(instance) = world.network.instances.shown().get(instance_id.as_str()) else {
        return Some(Obstacle::NoInstance);
    };
    if instance.state != InstanceState::Running {
        return Some(Obstacle::NotRunning(instance.state.clone()));
    }
    if instance.instance_status == Some(StatusCheck::Impaired) {
        return Some(Obstacle::Hangs);
    }
    let machine = world.machines.get(instance_id);
    let Some(machine) = machine.filter(|machine| machine.service_is_active("amazon-ssm-agent")) else {
        return Some(Obstacle::NoAgent);
    };
    let Some(profile_arn) = &instance.instance_profile_arn else { return Some(Obstacle::NoProfile) };
    if instance.http_endpoint.as_deref() == Some("disabled") {
        return Some(Obstacle::NoMetadata);
    }
    let resource = format!("arn:aws:ec2:{}:{}:instance/{instance_id}", world.region, world.account_id);
    if !world.iam.instance_may(profile_arn, "ssm:UpdateInstanceInformation", &resource) {
        return Some(Obstacle::NotAllowed);
    }
    // The agent holds its connections open: a host that has no room for new ones keeps those.
    let connected = world.ssm.agents.get(instance_id).is_some_and(|agent| agent.online);
    let entries = machine.kernel().ruleset.conntrack;
    let full = entries.is_some_and(|entries| entries.count >= entries.max);
    let crowded = full || machine.kernel().local_ports_taken;
    let with_room = (connected && crowded).then(|| {
        let mut machine = machine.clone();
        machine.kernel_mut().local_ports_taken = false;
        machine.kernel_mut().ruleset.conntrack = None;
        machine
    });
    let machine = with_room.as_ref().unwrap_or(machine);
    // The agent registers with `ssm` and is told of its commands by `ssmmessages`. `ec2messages` is for older agents.
    let view = world.view();
    ["ssm", "ssmmessages"].into_iter().find_map(|service| {
        let name = format!("{service}.{}.amazonaws.com", world.region);
        match view.resolve(machine, &name) {
            Err(reason) => Some(Obstacle::NoName { name, reason }),
            Ok(address) => match view.connect(machine, address, 443, Protocol::Tcp) {
                Reached::Delivered { .. } => None,
                Reached::TimedOut | Reached::Stalled { .. } | Reached::Refused | Reached::Unreachable => {
                    Some(Obstacle::NoPath { name })
                }
            },
        }
    })
}

/// Looks at every agent. One that can be online gets there after a while, one that cannot is noticed after as long.
pub(super) fn observe(world: &mut World) {
    if world.ssm.settled {
        return;
    }
    let now = world.now;
    let since = world.ssm.touched_at.take().unwrap_or(now).min(now);
    let delay = world.delays.agent_online;
    let exists = |instance: &&Instance| instance.state != InstanceState::Terminated;
    let ids: Vec<InstanceId> =
        world.network.instances.shown().values().filter(exists).map(|instance| instance.instance_id.clone()).collect();
    world.ssm.agents.retain(|id, _| ids.contains(id));
    for id in ids {
        let able = obstacle(world, &id).is_none();
        let agent = world.ssm.agents.entry(id).or_insert(Agent {
            online: false,
            since,
            registered_at: None,
            changing_since: None,
        });
        if agent.online == able {
            agent.changing_since = None;
            continue;
        }
        let changing_since = *agent.changing_since.get_or_insert(since);
        let changes_at = changing_since.saturating_add(delay).unwrap_or(Timestamp::MAX);
        if changes_at <= now {
            agent.changing_since = None;
            agent.online = able;
            agent.since = if able { changes_at } else { changing_since };
            if able {
                agent.registered_at.get_or_insert(changes_at);
            }
        }
    }
    world.ssm.settled = world.ssm.agents.values().all(|agent| agent.changing_since.is_none());
}

impl World {
    /// Says that a request was carried out. Reads change nothing; AWS's reads all begin with one of three words.
    pub fn touched_by(&mut self, action: &str) {
        if !is_read(action) {
            self.touch();
        }
    }

    /// Says that something changed which agents may notice: a route, a rule, a host. They are looked at again the next
    /// time SSM is asked.
    pub fn touch(&mut self) {
        self.ssm.touched_at = Some(self.now);
        self.ssm.settled = false;
    }
}

/// Whether an action only reads.
pub fn is_read(action: &str) -> bool {
    ["Describe", "Get", "List"].iter().any(|word| action.starts_with(word))
}

/// When SSM last heard of an agent: it calls every five minutes.
pub(super) fn last_ping(agent: &Agent, now: Timestamp) -> Timestamp {
    const HEARTBEAT: Duration = Duration::from_secs(300);
    if !agent.online {
        return agent.since;
    }
    let online_s = now.as_second().saturating_sub(agent.since.as_second()).max(0);
    let beats = online_s.unsigned_abs() / HEARTBEAT.as_secs();
    let last = agent.since.saturating_add(HEARTBEAT.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX)));
    last.unwrap_or(agent.since).min(now)
}
