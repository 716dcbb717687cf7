//! The VPC of the lab as a snapshot: what the walk reads, and what the router's rules are made from.

use std::net::Ipv4Addr;

use natdeck::model::*;

pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub const NAT_PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
pub const VPC: &str = "vpc-1";
pub const GATEWAY: &str = "igw-1";

/// Subnets: id, route table, ACL, range.
pub const SUBNETS: [(&str, &str, &str, &str); 3] = [
    ("subnet-public", "rtb-public", "acl-public", "10.8.1.0/24"),
    ("subnet-private", "rtb-private", "acl-private", "10.8.2.0/24"),
    ("subnet-far", "rtb-far", "acl-far", "10.8.3.0/24"),
];

/// The healthy world: two private subnets with an instance each, and the NAT with one or two interfaces.
pub fn healthy(two: bool) -> Network {
    let mut network = Network { region: "eu-central-1".to_owned(), ..Network::default() };
    let vpc_id = VpcId::new(VPC);
    let vpc = Vpc {
        vpc_id: vpc_id.clone(),
        state: "available".to_owned(),
        cidr_blocks: vec!["10.8.0.0/16".parse().unwrap()],
        ipv6_cidr_blocks: Vec::new(),
        is_default: false,
        dns_support: Some(true),
        dns_hostnames: Some(true),
        dhcp_options: None,
        tags: Tags::default(),
    };
    network.vpcs.items_mut().insert(VPC.to_owned(), vpc);
    let gateway = InternetGateway {
        internet_gateway_id: InternetGatewayId::new(GATEWAY),
        attachments: vec![GatewayAttachment { vpc_id, state: AttachmentState::Available }],
        tags: Tags::default(),
    };
    network.internet_gateways.items_mut().insert(GATEWAY.to_owned(), gateway);
    for (subnet, table, acl, range) in SUBNETS {
        add_subnet(&mut network, subnet, acl, range);
        add_table(&mut network, table, Some(subnet));
    }
    add_table(&mut network, "rtb-main", None);
    group(&mut network, "sg-nat", &[(RuleDirection::Ingress, "sg-private"), (RuleDirection::Egress, "0.0.0.0/0")]);
    group(&mut network, "sg-private", &[(RuleDirection::Egress, "0.0.0.0/0")]);
    instance(&mut network, "i-client", &[("eni-client", "subnet-private", "10.8.2.120", "sg-private")]);
    instance(&mut network, "i-far", &[("eni-far", "subnet-far", "10.8.3.33", "sg-private")]);
    let nat = [
        ("eni-outer", "subnet-public", "10.8.1.227", "sg-nat"),
        ("eni-inner", "subnet-private", "10.8.2.148", "sg-nat"),
    ];
    instance(&mut network, "i-nat", &nat[..if two { 2 } else { 1 }]);
    let association = InterfaceAssociation { public_ip: NAT_PUBLIC, allocation_id: None, association_id: None };
    interface(&mut network, "eni-outer").association = Some(association);
    let inner = inner(two);
    interface(&mut network, inner).source_dest_check = false;
    default_route(&mut network, "rtb-private", Some(to_interface(inner)));
    default_route(&mut network, "rtb-far", Some(to_interface(inner)));
    default_route(&mut network, "rtb-public", Some(RouteTarget::InternetGateway(InternetGatewayId::new(GATEWAY))));
    network
}

/// The interface of the NAT that private subnets route to.
pub fn inner(two: bool) -> &'static str {
    if two { "eni-inner" } else { "eni-outer" }
}

pub fn to_interface(eni: &str) -> RouteTarget {
    RouteTarget::NetworkInterface { network_interface_id: NetworkInterfaceId::new(eni), instance_id: None }
}

/// The address of the hardware, the same in the snapshot, the namespaces and the simulated machine.
pub fn mac(eni: &str) -> String {
    let sum = eni.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let [a, b, c, d] = sum.to_be_bytes();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

pub fn interface<'n>(network: &'n mut Network, eni: &str) -> &'n mut NetworkInterface {
    network.network_interfaces.items_mut().get_mut(eni).unwrap()
}

pub fn table<'n>(network: &'n mut Network, table: &str) -> &'n mut RouteTable {
    network.route_tables.items_mut().get_mut(table).unwrap()
}

/// Puts a default route in the place of what is there, or takes it away.
pub fn default_route(network: &mut Network, name: &str, target: Option<RouteTarget>) {
    route(network, name, "0.0.0.0/0", target);
}

/// Puts a route in the place of what is there, or takes it away.
pub fn route(network: &mut Network, name: &str, destination: &str, target: Option<RouteTarget>) {
    let destination = RouteDestination::Ipv4(destination.parse().unwrap());
    let routes = &mut table(network, name).routes;
    routes.retain(|route| route.destination != destination);
    routes.extend(target.map(|target| Route {
        destination,
        target,
        state: RouteState::Active,
        origin: RouteOrigin::CreateRoute,
    }));
}

/// Puts an entry into an ACL.
pub fn acl_entry(
    network: &mut Network,
    acl: &str,
    rule_number: u32,
    direction: AclDirection,
    action: AclAction,
    what: (&str, Option<(u16, u16)>),
) {
    let (range, ports) = what;
    network.network_acls.items_mut().get_mut(acl).unwrap().entries.push(AclEntry {
        rule_number,
        direction,
        action,
        protocol: if ports.is_some() { Protocol::Tcp } else { Protocol::All },
        cidr_block: Some(range.parse().unwrap()),
        ipv6_cidr_block: None,
        port_range: ports,
        icmp_type_code: None,
    });
}

/// Replaces a group's rules: direction and peer, all protocols.
pub fn group(network: &mut Network, name: &str, rules: &[(RuleDirection, &str)]) {
    let rules = rules.iter().map(|(direction, peer)| group_rule(*direction, peer, None)).collect();
    let group = SecurityGroup {
        group_id: SecurityGroupId::new(name),
        group_name: name.trim_start_matches("sg-").to_owned(),
        description: String::new(),
        vpc_id: VpcId::new(VPC),
        rules,
        tags: Tags::default(),
    };
    network.security_groups.items_mut().insert(name.to_owned(), group);
}

/// A rule for a range or a group: all protocols, or some TCP ports.
pub fn group_rule(direction: RuleDirection, peer: &str, ports: Option<(i32, i32)>) -> SecurityGroupRule {
    SecurityGroupRule {
        rule_id: None,
        direction,
        protocol: if ports.is_some() { Protocol::Tcp } else { Protocol::All },
        from_port: ports.map(|(first, _)| first),
        to_port: ports.map(|(_, last)| last),
        peer: peer.parse().map_or_else(|_| Peer::Group(SecurityGroupId::new(peer)), Peer::Ipv4),
        description: None,
    }
}

fn add_subnet(network: &mut Network, name: &str, acl: &str, range: &str) {
    let subnet = Subnet {
        subnet_id: SubnetId::new(name),
        vpc_id: VpcId::new(VPC),
        cidr_block: Some(range.parse().unwrap()),
        ipv6_cidr_blocks: Vec::new(),
        availability_zone: "eu-central-1b".to_owned(),
        state: "available".to_owned(),
        map_public_ip_on_launch: false,
        enable_dns64: false,
        available_ip_address_count: 250,
        tags: Tags::default(),
    };
    network.subnets.items_mut().insert(name.to_owned(), subnet);
    let entries = NetworkAcl {
        network_acl_id: NetworkAclId::new(acl),
        vpc_id: VpcId::new(VPC),
        is_default: false,
        subnet_ids: vec![SubnetId::new(name)],
        entries: Vec::new(),
        tags: Tags::default(),
    };
    network.network_acls.items_mut().insert(acl.to_owned(), entries);
    for direction in [AclDirection::Ingress, AclDirection::Egress] {
        acl_entry(network, acl, 100, direction, AclAction::Allow, ("0.0.0.0/0", None));
        acl_entry(network, acl, 32767, direction, AclAction::Deny, ("0.0.0.0/0", None));
    }
}

/// A table with its local route. Without a subnet it is the main table.
fn add_table(network: &mut Network, name: &str, subnet: Option<&str>) {
    let association = RouteTableAssociation {
        association_id: AssociationId::new(format!("rtbassoc-{name}")),
        main: subnet.is_none(),
        subnet_id: subnet.map(SubnetId::new),
        gateway_id: None,
        state: "associated".to_owned(),
    };
    let table = RouteTable {
        route_table_id: RouteTableId::new(name),
        vpc_id: VpcId::new(VPC),
        associations: vec![association],
        routes: Vec::new(),
        propagating_vgws: Vec::new(),
        tags: Tags::default(),
    };
    network.route_tables.items_mut().insert(name.to_owned(), table);
    route(network, name, "10.8.0.0/16", Some(RouteTarget::Local));
}

fn instance(network: &mut Network, name: &str, interfaces: &[(&str, &str, &str, &str)]) {
    let instance_id = InstanceId::new(name);
    let instance = Instance {
        instance_id: instance_id.clone(),
        vpc_id: Some(VpcId::new(VPC)),
        subnet_id: Some(SubnetId::new(interfaces[0].1)),
        availability_zone: "eu-central-1b".to_owned(),
        state: InstanceState::Running,
        instance_type: "t4g.nano".to_owned(),
        image_id: ImageId::new("ami-1"),
        architecture: "arm64".to_owned(),
        private_ip: Some(interfaces[0].2.parse().unwrap()),
        public_ip: None,
        network_interface_ids: interfaces.iter().map(|i| NetworkInterfaceId::new(i.0)).collect(),
        security_group_ids: vec![SecurityGroupId::new(interfaces[0].3)],
        instance_profile_arn: None,
        key_name: None,
        http_tokens: None,
        http_endpoint: None,
        cpu_credits: None,
        launch_time: None,
        system_status: Some(StatusCheck::Ok),
        instance_status: Some(StatusCheck::Ok),
        state_reason: None,
        tags: Tags::default(),
    };
    network.instances.items_mut().insert(name.to_owned(), instance);
    for (index, (eni, subnet, address, group)) in interfaces.iter().enumerate() {
        let attachment = InterfaceAttachment {
            attachment_id: AttachmentId::new(format!("eni-attach-{eni}")),
            instance_id: Some(instance_id.clone()),
            device_index: u32::try_from(index).unwrap(),
            status: "attached".to_owned(),
            delete_on_termination: true,
        };
        let interface = NetworkInterface {
            network_interface_id: NetworkInterfaceId::new(*eni),
            vpc_id: VpcId::new(VPC),
            subnet_id: SubnetId::new(*subnet),
            availability_zone: "eu-central-1b".to_owned(),
            status: InterfaceStatus::InUse,
            interface_type: "interface".to_owned(),
            description: String::new(),
            mac_address: mac(eni),
            private_ip: Some(address.parse().unwrap()),
            secondary_private_ips: Vec::new(),
            ipv6_addresses: Vec::new(),
            security_group_ids: vec![SecurityGroupId::new(*group)],
            source_dest_check: true,
            attachment: Some(attachment),
            association: None,
            requester_managed: false,
            tags: Tags::default(),
        };
        network.network_interfaces.items_mut().insert((*eni).to_owned(), interface);
    }
}
