//! What the hosts of the scenarios find outside.

use ipnet::Ipv6Net;

use super::*;
use crate::model::{
    AclEntry, NatGateway, NatGatewayId, NatGatewayState, Peer, Route, RouteDestination, RouteOrigin, RouteState,
    RouteTarget, SecurityGroupRule, Tags,
};
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

#[test]
fn dns64_and_a_nat_gateway_carry_a_client_without_ipv4() {
    let mut world = world(Scenario::Article);
    crate::sandbox::causes::break_egress(&mut world, crate::reach::Cause::Ipv6OnlyClient, None).unwrap();
    let instances = || world.network.instances.shown().values();
    let client = instances().find(|instance| instance.private_ip.is_none()).unwrap().clone();
    let nat_subnet = instances().find(|i| i.tags.name() == Some("NAT-Instance")).unwrap().subnet_id.clone().unwrap();
    let name = client.tags.name().unwrap();
    let get = |world: &World| world.view().connect(machine(world, name), IPIFY, 443, Protocol::Tcp);
    assert_eq!(get(&world), Reached::Unreachable);

    let (subnet_id, vpc_id) = (client.subnet_id.clone().unwrap(), client.vpc_id.clone().unwrap());
    world.network.subnets.items_mut().get_mut(subnet_id.as_str()).unwrap().enable_dns64 = true;
    let gateway = NatGateway {
        nat_gateway_id: NatGatewayId::new("nat-1"),
        vpc_id: vpc_id.clone(),
        subnet_id: nat_subnet,
        state: NatGatewayState::Available,
        connectivity_type: "public".to_owned(),
        failure_code: None,
        failure_message: None,
        public_ip: Some(Ipv4Addr::new(52, 1, 2, 3)),
        private_ip: Some(Ipv4Addr::new(10, 8, 1, 9)),
        allocation_id: None,
        network_interface_id: None,
        tags: Tags::default(),
    };
    world.network.nat_gateways.items_mut().insert("nat-1".to_owned(), gateway);
    let table = world.network.route_table_of(&subnet_id, &vpc_id).unwrap().unwrap().route_table_id.clone();
    let route = Route {
        destination: RouteDestination::Ipv6("64:ff9b::/96".parse().unwrap()),
        target: RouteTarget::NatGateway(NatGatewayId::new("nat-1")),
        state: RouteState::Active,
        origin: RouteOrigin::CreateRoute,
    };
    world.network.route_tables.items_mut().get_mut(table.as_str()).unwrap().routes.push(route.clone());
    // What associating an IPv6 range with the VPC brings: local routes, and entries of the ACLs.
    let range = world.network.vpcs.shown()[vpc_id.as_str()].ipv6_cidr_blocks[0];
    for table in world.network.route_tables.items_mut().values_mut() {
        let destination = RouteDestination::Ipv6(range);
        table.routes.push(Route { destination, target: RouteTarget::Local, ..route.clone() });
    }
    for acl in world.network.network_acls.items_mut().values_mut() {
        let ipv4 = acl.entries.iter().filter(|entry| entry.cidr_block.is_some()).cloned();
        let ipv6 = ipv4.map(|entry| AclEntry { cidr_block: None, ipv6_cidr_block: Some(Ipv6Net::default()), ..entry });
        acl.entries.extend(ipv6.collect::<Vec<_>>());
    }
    for group in world.network.security_groups.items_mut().values_mut() {
        let ipv6 = group
            .egress()
            .next()
            .cloned()
            .map(|rule| SecurityGroupRule { peer: Peer::Ipv6(Ipv6Net::default()), ..rule });
        group.rules.extend(ipv6);
    }
    match get(&world) {
        Reached::Delivered { source, .. } => assert_eq!(source, IpAddr::V4(Ipv4Addr::new(52, 1, 2, 3))),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.view().resolve(machine(&world, name), "api.ipify.org"), Ok(IPIFY));
}
