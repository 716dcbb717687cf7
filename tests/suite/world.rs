//! What two simulated worlds are compared by: every resource, with what differs from run to run left out; and how one
//! gets more instances.

use std::collections::BTreeMap;

use natdeck::model::{Instance, InstanceState, Resource};
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::World;
use regex::Regex;
use serde_json::Value;

/// The world, a line a resource, with identifiers, addresses and times replaced by what stays the same from run to run.
/// Two of the same are two lines. Terminated instances, which AWS lists for a while, are left out.
pub fn lines(world: &World) -> Vec<String> {
    let network = &world.network;
    let fields = "mac_address|private_ip|public_ip|launch_time|attachment_id|association_id|state_reason";
    let volatile = Regex::new(&format!(r#""({fields})":("[^"]*"|null)"#)).unwrap();
    let unlabelled = Regex::new(r"\b(sgr|rtbassoc|aclassoc|eni-attach|eipassoc|dopt)-[0-9a-f]+").unwrap();
    let labels: BTreeMap<String, String> = network
        .resources()
        .map(|resource| {
            let id = resource.id().to_owned();
            let kind = id.split('-').next().unwrap_or_default().to_owned();
            let tags = resource.tags();
            let name = tags.step().or_else(|| tags.name()).unwrap_or("unnamed").to_owned();
            (id, format!("<{kind} {name}>"))
        })
        .collect();
    let gone: Vec<&str> = network
        .instances
        .shown()
        .values()
        .filter(|instance| instance.state == InstanceState::Terminated)
        .map(|instance| instance.instance_id.as_str())
        .collect();
    let mut lines: Vec<String> = network
        .resources()
        .filter(|resource| !gone.contains(&resource.id()))
        .map(|resource| {
            let mut line = json_of(resource);
            for (id, label) in &labels {
                line = line.replace(id, label);
            }
            let line = unlabelled.replace_all(&line, "<$1>").into_owned();
            sorted(&volatile.replace_all(&line, "\"$1\":null"))
        })
        .collect();
    let iam = &world.iam;
    lines.extend(iam.roles.iter().map(|(name, role)| format!("role {name} with {:?}", role.attached_policies)));
    lines.extend(iam.profiles.iter().map(|(name, profile)| format!("instance profile {name} of {:?}", profile.role)));
    lines.extend(world.records.volumes.values().map(|volume| format!("volume {:?}", volume.tags)));
    lines.sort();
    lines
}

/// The same JSON with every list in order: AWS promises none.
fn sorted(line: &str) -> String {
    fn sort(value: &mut Value) {
        match value {
            Value::Array(items) => {
                items.iter_mut().for_each(sort);
                items.sort_by_cached_key(ToString::to_string);
            }
            Value::Object(object) => object.values_mut().for_each(sort),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(line).unwrap();
    sort(&mut value);
    value.to_string()
}

fn json_of(resource: Resource<'_>) -> String {
    value_of(resource).to_string()
}

/// A resource as JSON.
pub fn value_of(resource: Resource<'_>) -> Value {
    use natdeck::model::Resource as R;
    match resource {
        R::Vpc(r) => serde_json::to_value(r),
        R::Subnet(r) => serde_json::to_value(r),
        R::RouteTable(r) => serde_json::to_value(r),
        R::InternetGateway(r) => serde_json::to_value(r),
        R::EgressOnlyInternetGateway(r) => serde_json::to_value(r),
        R::NatGateway(r) => serde_json::to_value(r),
        R::NetworkInterface(r) => serde_json::to_value(r),
        R::Instance(r) => serde_json::to_value(r),
        R::SecurityGroup(r) => serde_json::to_value(r),
        R::NetworkAcl(r) => serde_json::to_value(r),
        R::Address(r) => serde_json::to_value(r),
        R::VpcEndpoint(r) => serde_json::to_value(r),
        R::InstanceProfile(r) => serde_json::to_value(r),
    }
    .unwrap()
}

/// Launches more instances that share everything with one that is there.
pub fn launch_like(world: &mut World, like: &Instance, count: u32) {
    let profile = like.instance_profile_arn.clone().unwrap();
    let count = count.to_string();
    let pairs = [
        ("ImageId", like.image_id.as_str()),
        ("InstanceType", like.instance_type.as_str()),
        ("MinCount", count.as_str()),
        ("MaxCount", count.as_str()),
        ("SubnetId", like.subnet_id.as_ref().unwrap().as_str()),
        ("SecurityGroupId.1", like.security_group_ids[0].as_str()),
        ("IamInstanceProfile.Arn", profile.as_str()),
    ];
    let answer = world.handle(&Request::query(Service::Ec2, "RunInstances", pairs));
    assert_eq!(answer.status, 200, "{}", answer.body);
}
