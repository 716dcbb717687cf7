//! What a person does about causes that natdeck does not repair: the injection taken back.

use natdeck::model::{Instance, InstanceId, NetworkInterface};
use natdeck::reach::Cause;
use natdeck::sandbox::causes::{Scene, nat_script};
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::World;

/// Puts right what [`natdeck::sandbox::causes::inject`] broke. `healthy` is the world as it was. `false`: there is no
/// such thing to take back.
pub fn take_back(world: &mut World, healthy: &World, scene: &Scene, cause: Cause) -> bool {
    let client = scene.client.as_str();
    match cause {
        Cause::VpcBlockPublicAccess => {
            send(world, "ModifyVpcBlockPublicAccessOptions", &[("InternetGatewayBlockMode", "off")]);
        }
        Cause::RoutedToOtherEgress => {
            let pairs = [
                ("RouteTableId", scene.client_table.as_str()),
                ("DestinationCidrBlock", "0.0.0.0/0"),
                ("NetworkInterfaceId", scene.nat.inner.as_str()),
            ];
            send(world, "ReplaceRoute", &pairs);
        }
        Cause::ClientNotRunning => send(world, "StartInstances", &[("InstanceId.1", client)]),
        Cause::Ipv6OnlyClient => {
            let interface = healthy.get::<NetworkInterface>(&scene.client_interface).unwrap().clone();
            let address = interface.private_ip.unwrap();
            world.insert(interface);
            let instance = healthy.get::<Instance>(&scene.client).unwrap();
            let now = world.get_mut::<Instance>(&scene.client).unwrap();
            (now.subnet_id, now.private_ip) = (instance.subnet_id.clone(), instance.private_ip);
            let length = scene.client_net.prefix_len();
            let gateway = std::net::Ipv4Addr::from_bits(scene.client_net.network().to_bits() + 1);
            host(
                world,
                scene,
                &format!(
                    "ip addr replace {address}/{length} dev ens5\nip route replace default via {gateway} dev ens5"
                ),
            );
        }
        Cause::ClientProxyOrFirewall => host(world, scene, "nft delete table inet corp"),
        // As a reboot does.
        Cause::HostConntrackFull => {
            let machine = world.machines.get_mut(&scene.nat.instance).unwrap();
            if let Some(entries) = &mut machine.kernel_mut().ruleset.conntrack {
                entries.count = 0;
            }
        }
        Cause::HostPortsExhausted => {
            let machine = world.machines.get_mut(&scene.nat.instance).unwrap();
            machine.release_ports();
            let rule = nat_script(scene, cause).unwrap().replacen(" -I ", " -D ", 1);
            // A boot or another cause may have removed it.
            on(world, &scene.nat.instance, &format!("{rule} 2> /dev/null || true"));
        }
        Cause::ClientPortsExhausted => {
            let machine = world.machines.get_mut(&scene.client).unwrap();
            machine.kernel_mut().local_ports_taken = false;
            world.touch();
        }
        Cause::TestNoInstanceProfile => {
            let arn = healthy.get::<Instance>(&scene.client).unwrap().instance_profile_arn.clone().unwrap();
            let pairs = [("InstanceId", client), ("IamInstanceProfile.Arn", &arn)];
            send(world, "AssociateIamInstanceProfile", &pairs);
        }
        Cause::TestMetadataOff => {
            send(world, "ModifyInstanceMetadataOptions", &[("InstanceId", client), ("HttpEndpoint", "enabled")]);
        }
        Cause::TestEndpointBlocked => {
            let mut groups = healthy.network.security_groups.shown().values();
            let group = groups.find(|group| group.tags.name() == Some("endpoints")).unwrap();
            let pairs = [
                ("GroupId", group.group_id.as_str()),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "443"),
                ("IpPermissions.1.ToPort", "443"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "10.8.0.0/16"),
            ];
            send(world, "AuthorizeSecurityGroupIngress", &pairs);
        }
        Cause::TestAgentOffline => host(world, scene, "systemctl start amazon-ssm-agent"),
        Cause::TestDeliveryTimedOut => {
            world.ssm.deaf.remove(&scene.client);
        }
        Cause::TestAccessDenied => {
            world.denied.remove("ssm:SendCommand");
        }
        Cause::TestTargetDown => {
            world.internet.down.remove("api.ipify.org");
        }
        _ => return false,
    }
    true
}

pub fn send(world: &mut World, action: &str, pairs: &[(&str, &str)]) {
    let response = world.handle(&Request::query(Service::Ec2, action, pairs.iter().copied()));
    assert_eq!(response.status, 200, "{action} {pairs:?}: {}", response.body);
}

fn host(world: &mut World, scene: &Scene, script: &str) {
    on(world, &scene.client, script);
}

fn on(world: &mut World, instance: &InstanceId, script: &str) {
    let output = world.with_machine(instance, |machine, outside| machine.run(script, outside)).unwrap();
    assert_eq!(output.exit_code, 0, "{script}: {}", output.stderr);
    world.touch();
}
