//! What the hosts of the scenarios find outside.

use super::*;
use crate::sandbox::scenario::Scenario;

fn world(scenario: Scenario) -> World {
    scenario.build("eu-central-1", 1, Timestamp::from_second(1_790_000_000).unwrap()).unwrap()
}

fn machine<'a>(world: &'a World, name: &str) -> &'a Machine {
    let mut instances = world.network.instances.shown().values();
    let instance = instances.find(|instance| instance.tags.name() == Some(name)).unwrap();
    &world.machines[&instance.instance_id]
}

const PRIVATE: &str = "Private-Instance-0";
const IPIFY: IpAddr = IpAddr::V4(Ipv4Addr::new(104, 26, 12, 205));

#[test]
fn behind_the_nat_the_outside_sees_its_public_address() {
    let world = world(Scenario::Article);
    let nat = world.network.instances.shown().values().find_map(|instance| instance.public_ip).unwrap();
    for name in [PRIVATE, "NAT-Instance"] {
        match world.view().connect(machine(&world, name), IPIFY, 443, Protocol::Tcp) {
            Reached::Delivered { source, rtt } => {
                assert_eq!(source, IpAddr::V4(nat), "{name}");
                assert!(rtt > Duration::from_millis(1) && rtt < Duration::from_millis(100), "{rtt:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn without_a_nat_packets_to_the_outside_are_lost_and_names_still_resolve() {
    let world = world(Scenario::Draft);
    let host = machine(&world, PRIVATE);
    assert_eq!(world.view().resolve(host, "api.ipify.org"), Ok(IPIFY));
    assert_eq!(world.view().connect(host, IPIFY, 443, Protocol::Tcp), Reached::TimedOut);
    assert_eq!(world.view().resolve(host, "no-such-name.invalid"), Err(ResolveError::NoSuchHost));
}

#[test]
fn without_dns_support_nothing_resolves() {
    let mut world = world(Scenario::Article);
    for vpc in world.network.vpcs.items_mut().values_mut() {
        vpc.dns_support = Some(false);
    }
    let host = machine(&world, PRIVATE);
    assert_eq!(world.view().resolve(host, "api.ipify.org"), Err(ResolveError::TimedOut));
    assert_eq!(world.view().resolve(host, "104.26.12.205"), Ok(IPIFY), "an address is not a name");
}

#[test]
fn private_dns_leads_to_the_endpoint_and_without_it_to_the_public_address() {
    let mut world = world(Scenario::Article);
    let name = "ssm.eu-central-1.amazonaws.com";
    let inside = |world: &World| match world.view().resolve(machine(world, PRIVATE), name) {
        Ok(IpAddr::V4(address)) => address.is_private(),
        other => panic!("{other:?}"),
    };
    assert!(inside(&world));
    for endpoint in world.network.vpc_endpoints.items_mut().values_mut() {
        endpoint.private_dns_enabled = false;
    }
    assert!(!inside(&world));
}

#[test]
fn hosts_of_the_vpc_are_found_by_their_names_and_answer_what_they_listen_to() {
    let world = world(Scenario::Article);
    let other = machine(&world, "NAT-Instance");
    let address = IpAddr::V4(other.nics()[0].private_ip);
    let name = format!("ip-{}.eu-central-1.compute.internal", address.to_string().replace('.', "-"));
    let host = machine(&world, PRIVATE);
    assert_eq!(world.view().resolve(host, &name), Ok(address));
    let connect = |port, protocol| world.view().connect(host, address, port, protocol);
    assert!(matches!(connect(22, Protocol::Tcp), Reached::Delivered { .. }), "sshd listens, and the group allows it");
    assert_eq!(connect(8080, Protocol::Tcp), Reached::Refused);
    assert!(matches!(connect(0, Protocol::Icmp), Reached::Delivered { .. }));
}

#[test]
fn a_site_that_is_down_resolves_and_does_not_answer() {
    let mut world = world(Scenario::Article);
    world.internet.down.insert("api.ipify.org".to_owned());
    let host = machine(&world, PRIVATE);
    assert_eq!(world.view().resolve(host, "api.ipify.org"), Ok(IPIFY));
    assert_eq!(world.view().connect(host, IPIFY, 443, Protocol::Tcp), Reached::TimedOut);
    let second = world.view().resolve(host, "checkip.amazonaws.com").unwrap();
    assert!(matches!(world.view().connect(host, second, 443, Protocol::Tcp), Reached::Delivered { .. }));
}

#[test]
fn nobody_answers_at_documentation_addresses_or_filtered_ports() {
    let world = world(Scenario::Article);
    let host = machine(&world, PRIVATE);
    let connect = |address: [u8; 4], port| world.view().connect(host, IpAddr::from(address), port, Protocol::Tcp);
    assert_eq!(connect([192, 0, 2, 1], 443), Reached::TimedOut);
    assert_eq!(connect([8, 8, 8, 8], 25), Reached::TimedOut);
    assert!(matches!(connect([8, 8, 8, 8], 53), Reached::Delivered { .. }));
}
