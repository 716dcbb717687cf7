//! Instances, as EC2 and as SSM see them, from the SDK's types to the model's. Pure.

use aws_sdk_ec2::types as sdk;
use jiff::Timestamp;

use super::convert::{Missing, id, need, parsed, tags};
use crate::model::{
    ImageId, Instance, InstanceId, InstanceState, ManagedInstance, NetworkInterfaceId, PingStatus, SecurityGroupId,
    SubnetId, VpcId,
};

pub(super) fn instance(instance: sdk::Instance) -> Result<(String, Instance), Missing> {
    let id = id(instance.instance_id, "InstanceId")?;
    let mut interfaces = instance.network_interfaces.unwrap_or_default();
    interfaces.sort_by_key(|interface| interface.attachment.as_ref().and_then(|a| a.device_index).unwrap_or(i32::MAX));
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let state = need(instance.state.and_then(|state| state.name), &id, "State.Name")?;
    let groups = instance.security_groups.unwrap_or_default();
    let metadata = instance.metadata_options.as_ref();
    let model = Instance {
        instance_id: InstanceId::new(&id),
        vpc_id: non_empty(instance.vpc_id).map(VpcId::new),
        subnet_id: non_empty(instance.subnet_id).map(SubnetId::new),
        availability_zone: instance.placement.and_then(|placement| placement.availability_zone).unwrap_or_default(),
        state: InstanceState::from(state.as_str()),
        instance_type: instance.instance_type.map(|t| t.as_str().to_owned()).unwrap_or_default(),
        image_id: ImageId::new(instance.image_id.unwrap_or_default()),
        architecture: instance.architecture.map(|a| a.as_str().to_owned()).unwrap_or_default(),
        private_ip: parsed(instance.private_ip_address, &id, "PrivateIpAddress")?,
        public_ip: parsed(instance.public_ip_address, &id, "PublicIpAddress")?,
        network_interface_ids: interfaces
            .into_iter()
            .filter_map(|interface| interface.network_interface_id)
            .map(NetworkInterfaceId::new)
            .collect(),
        security_group_ids: groups.into_iter().filter_map(|group| group.group_id).map(SecurityGroupId::new).collect(),
        instance_profile_arn: instance.iam_instance_profile.and_then(|profile| profile.arn),
        key_name: non_empty(instance.key_name),
        http_endpoint: metadata.and_then(|o| o.http_endpoint.as_ref()).map(|endpoint| endpoint.as_str().to_owned()),
        http_tokens: metadata.and_then(|o| o.http_tokens.as_ref()).map(|tokens| tokens.as_str().to_owned()),
        launch_time: instance.launch_time.and_then(timestamp),
        system_status: None,
        instance_status: None,
        cpu_credits: None,
        state_reason: instance.state_reason.and_then(|reason| reason.message.or(reason.code)),
        tags: tags(instance.tags),
    };
    Ok((id, model))
}

pub(super) fn managed_instance(
    information: aws_sdk_ssm::types::InstanceInformation,
) -> Result<(String, ManagedInstance), Missing> {
    let id = id(information.instance_id, "InstanceId")?;
    let model = ManagedInstance {
        instance_id: InstanceId::new(&id),
        ping_status: PingStatus::from(need(information.ping_status, &id, "PingStatus")?.as_str()),
        last_ping_at: information.last_ping_date_time.and_then(timestamp),
        agent_version: information.agent_version.unwrap_or_default(),
        platform_type: information.platform_type.map(|t| t.as_str().to_owned()).unwrap_or_default(),
        platform_name: information.platform_name.unwrap_or_default(),
        platform_version: information.platform_version.unwrap_or_default(),
    };
    Ok((id, model))
}

fn timestamp(at: aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}
