//! A region with many private instances behind the article's NAT, for what must be fast: the tests and the benchmarks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use natdeck::model::host::{HostRoute, HostRouteKind, Hosts, MAIN_TABLE};
use natdeck::model::{
    AssociationId, Fact, Instance, InstanceId, Network, NetworkInterface, NetworkInterfaceId, RouteTable, RouteTableId,
    Subnet, SubnetId, Tags,
};
use natdeck::reach::{GATHER, parse_host};
use natdeck::sandbox::{Options, Sandbox, Scenario};

/// What an audit is asked about.
pub struct Region {
    pub network: Network,
    /// The NAT's kernel.
    pub hosts: Hosts,
    /// The instances that were added.
    pub clients: Vec<InstanceId>,
}

/// The article's world, and so many more private instances spread over so many subnets, each with a table of its own.
pub fn region(instances: u16, subnets: u8) -> Region {
    let sandbox =
        Sandbox::open(Options { scenario: Some(Scenario::Article), ..Options::default() }).expect("a sandbox");
    let (mut network, nat, output) = sandbox
        .with_world(|world| {
            let network = world.network.clone();
            let inner = inner(&network).clone();
            let nat = inner.instance_id().cloned().expect("the NAT");
            let gathered = world.with_machine(&nat, |machine, outside| machine.run(GATHER, outside));
            (network, inner, gathered.expect("the NAT's machine").stdout)
        })
        .expect("a world");
    let mut host = parse_host(&output).expect("facts of the NAT");
    let device = host.interface_by_mac(&nat.mac_address).expect("its device").name.clone();
    host.routes.push(HostRoute {
        table: MAIN_TABLE,
        destination: IpNet::V4(range(10, 8, 0, 16)),
        gateway: Some(IpAddr::V4(Ipv4Addr::new(10, 8, 2, 1))),
        device,
        metric: 0,
        preferred_source: None,
        kind: HostRouteKind::Unicast,
    });
    let client = network.instances.shown().values().find(|one| one.public_ip.is_none()).expect("a client").clone();
    let card = network.interfaces_of(&client.instance_id).expect("known").first().copied().expect("its card").clone();
    let table = network.route_table_of(&card.subnet_id, &card.vpc_id).expect("known").expect("its table").clone();
    let subnet = network.subnets.shown()[card.subnet_id.as_str()].clone();
    let places: Vec<SubnetId> = (0..subnets).map(|number| add_subnet(&mut network, &subnet, &table, number)).collect();
    let clients = (0..instances).map(|number| {
        let at = usize::from(number) % places.len();
        let host_part = u8::try_from(usize::from(number) / places.len() + 10).expect("at most 245 in a subnet");
        let address = Ipv4Addr::new(10, 8, third(u8::try_from(at).expect("few subnets")), host_part);
        add_instance(&mut network, &client, &card, number, &places[at], address)
    });
    let clients = clients.collect();
    let id = nat.instance_id().cloned().expect("the NAT");
    Region { network, hosts: Hosts::from([(id, Fact::Known(host))]), clients }
}

/// The interface that routes name.
pub fn inner(network: &Network) -> &NetworkInterface {
    let mut interfaces = network.network_interfaces.shown().values();
    interfaces.find(|one| !one.source_dest_check).expect("the NAT's inner interface")
}

fn third(number: u8) -> u8 {
    100 + number
}

fn range(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(a, b, c, 0), length).expect("a range")
}

fn add_subnet(network: &mut Network, like: &Subnet, table: &RouteTable, number: u8) -> SubnetId {
    let id = SubnetId::new(format!("subnet-{number:017x}"));
    let subnet = Subnet {
        subnet_id: id.clone(),
        cidr_block: Some(range(10, 8, third(number), 24)),
        tags: Tags::from_iter([("Name", format!("private-{number}"))]),
        ..like.clone()
    };
    network.subnets.items_mut().insert(id.as_str(), subnet);
    let mut own = table.clone();
    own.route_table_id = RouteTableId::new(format!("rtb-{number:017x}"));
    own.associations.truncate(1);
    for association in &mut own.associations {
        association.association_id = AssociationId::new(format!("rtbassoc-{number:017x}"));
        association.subnet_id = Some(id.clone());
    }
    network.route_tables.items_mut().insert(own.route_table_id.clone().as_str(), own);
    let acl = network.network_acl_of(&like.subnet_id).expect("known").expect("its ACL").network_acl_id.clone();
    let acl = network.network_acls.items_mut().get_mut(acl.as_str()).expect("its ACL");
    acl.subnet_ids.push(id.clone());
    id
}

fn add_instance(
    network: &mut Network,
    like: &Instance,
    card: &NetworkInterface,
    number: u16,
    subnet_id: &SubnetId,
    address: Ipv4Addr,
) -> InstanceId {
    let id = InstanceId::new(format!("i-{number:017x}"));
    let eni = NetworkInterfaceId::new(format!("eni-{number:017x}"));
    let instance = Instance {
        instance_id: id.clone(),
        subnet_id: Some(subnet_id.clone()),
        private_ip: Some(address),
        network_interface_ids: vec![eni.clone()],
        tags: Tags::from_iter([("Name", format!("workload-{number}"))]),
        ..like.clone()
    };
    let mut attachment = card.attachment.clone();
    if let Some(attachment) = &mut attachment {
        attachment.instance_id = Some(id.clone());
    }
    let interface = NetworkInterface {
        network_interface_id: eni.clone(),
        subnet_id: subnet_id.clone(),
        private_ip: Some(address),
        mac_address: format!("06:00:00:00:{:02x}:{:02x}", number >> 8, number & 0xff),
        attachment,
        tags: Tags::default(),
        ..card.clone()
    };
    network.instances.items_mut().insert(id.as_str(), instance);
    network.network_interfaces.items_mut().insert(eni.as_str(), interface);
    id
}
