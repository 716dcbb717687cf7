//! Worlds for tests: the article's VPC, healthy, with either topology.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::host::{Backend, Family, Host, HostInterface, HostRoute, HostRouteKind, Hosts, MAIN_TABLE, Ruleset};
use crate::model::*;
use crate::reach::facts::parse_iptables_save;
use crate::reach::{Flow, Trace, walk};

pub(super) const OUTSIDE: &str = "8.8.8.8";
pub(super) const NAT_PUBLIC: &str = "3.64.126.205";

/// A snapshot and its hosts.
#[derive(Clone)]
pub(super) struct Lab {
    pub(super) network: Network,
    pub(super) hosts: Hosts,
}

pub(super) fn id<T>(text: &str, new: fn(String) -> T) -> T {
    new(text.to_owned())
}

impl Lab {
    /// The article: the NAT's second interface sits in the private subnet.
    pub(super) fn article() -> Self {
        let mut world = Self::draft();
        world.nat(&["eni-outer", "eni-inner"]);
        world.route("rtb-private", "0.0.0.0/0", eni_target("eni-inner"));
        let host = host(
            &[("ens5", "eni-outer", "10.8.1.227/24"), ("ens6", "eni-inner", "10.8.2.148/24")],
            "10.8.1.1",
            ARTICLE_RULES,
        );
        world.hosts.insert(id("i-nat", InstanceId::new), Fact::Known(host));
        world
    }

    /// What AWS documents: one interface, check off.
    pub(super) fn single() -> Self {
        let mut world = Self::draft();
        world.nat(&["eni-outer"]);
        world.eni("eni-outer").source_dest_check = false;
        world.route("rtb-private", "0.0.0.0/0", eni_target("eni-outer"));
        let rules = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o ens5 -j MASQUERADE\nCOMMIT\n";
        let host = host(&[("ens5", "eni-outer", "10.8.1.227/24")], "10.8.1.1", rules);
        world.hosts.insert(id("i-nat", InstanceId::new), Fact::Known(host));
        world
    }

    /// VPC, gateway, two subnets, two private instances, no NAT.
    fn draft() -> Self {
        let mut n = Network { region: "eu-central-1".to_owned(), ..Network::default() };
        let vpc_id = id("vpc-1", VpcId::new);
        let vpc = Vpc {
            vpc_id: vpc_id.clone(),
            state: "available".to_owned(),
            cidr_blocks: vec!["10.8.0.0/16".parse().unwrap()],
            ipv6_cidr_blocks: vec!["2001:db8::/56".parse().unwrap()],
            is_default: false,
            dns_support: Some(true),
            dns_hostnames: Some(true),
            dhcp_options: None,
            tags: Tags::default(),
        };
        n.vpcs.items_mut().insert("vpc-1".to_owned(), vpc);
        let gateway = InternetGateway {
            internet_gateway_id: id("igw-1", InternetGatewayId::new),
            attachments: vec![GatewayAttachment { vpc_id: vpc_id.clone(), state: AttachmentState::Available }],
            tags: Tags::default(),
        };
        n.internet_gateways.items_mut().insert("igw-1".to_owned(), gateway);
        let mut world = Self { network: n, hosts: Hosts::new() };
        for (subnet, table) in [("subnet-public", "rtb-public"), ("subnet-private", "rtb-private")] {
            world.subnet(subnet);
            world.table(table, Some(subnet));
        }
        world.table("rtb-main", None);
        world.route("rtb-public", "0.0.0.0/0", RouteTarget::InternetGateway(id("igw-1", InternetGatewayId::new)));
        world.group("sg-nat", &[("ingress", "-1", "sg-private"), ("egress", "-1", "0.0.0.0/0")]);
        world.group("sg-private", &[("egress", "-1", "0.0.0.0/0"), ("egress", "-1", "::/0")]);
        world.instance("i-client", &[("eni-client", "subnet-private", "10.8.2.120", "sg-private")]);
        world.instance("i-other", &[("eni-other", "subnet-private", "10.8.2.86", "sg-private")]);
        world
    }

    fn nat(&mut self, enis: &[&str]) {
        let all = [
            ("eni-outer", "subnet-public", "10.8.1.227", "sg-nat"),
            ("eni-inner", "subnet-private", "10.8.2.148", "sg-nat"),
        ];
        self.instance("i-nat", &all[..enis.len()]);
        self.eni("eni-outer").association = Some(InterfaceAssociation {
            public_ip: NAT_PUBLIC.parse().unwrap(),
            allocation_id: None,
            association_id: None,
        });
        if enis.len() > 1 {
            self.eni("eni-inner").source_dest_check = false;
        }
    }

    pub(super) fn subnet(&mut self, name: &str) {
        let acl_id = format!("acl-{}", name.trim_start_matches("subnet-"));
        let subnet = Subnet {
            subnet_id: id(name, SubnetId::new),
            vpc_id: id("vpc-1", VpcId::new),
            cidr_block: Some(if name == "subnet-public" { "10.8.1.0/24" } else { "10.8.2.0/24" }.parse().unwrap()),
            ipv6_cidr_blocks: Vec::new(),
            availability_zone: "eu-central-1b".to_owned(),
            state: "available".to_owned(),
            map_public_ip_on_launch: false,
            enable_dns64: false,
            available_ip_address_count: 250,
            tags: Tags::default(),
        };
        self.network.subnets.items_mut().insert(name.to_owned(), subnet);
        let acl = NetworkAcl {
            network_acl_id: id(&acl_id, NetworkAclId::new),
            vpc_id: id("vpc-1", VpcId::new),
            is_default: true,
            subnet_ids: vec![id(name, SubnetId::new)],
            entries: Vec::new(),
            tags: Tags::default(),
        };
        self.network.network_acls.items_mut().insert(acl_id.clone(), acl);
        for direction in [AclDirection::Ingress, AclDirection::Egress] {
            self.acl(&acl_id, 100, direction, AclAction::Allow, None);
            self.acl(&acl_id, 32767, direction, AclAction::Deny, None);
        }
    }

    /// An entry for all protocols, or for a range of TCP ports; both families.
    pub(super) fn acl(
        &mut self,
        acl: &str,
        rule_number: u32,
        direction: AclDirection,
        action: AclAction,
        ports: Option<(u16, u16)>,
    ) {
        let entries = &mut self.network.network_acls.items_mut().get_mut(acl).unwrap().entries;
        for ipv4 in [true, false] {
            entries.push(AclEntry {
                rule_number,
                direction,
                action,
                protocol: if ports.is_some() { Protocol::Tcp } else { Protocol::All },
                cidr_block: ipv4.then(|| "0.0.0.0/0".parse().unwrap()),
                ipv6_cidr_block: (!ipv4).then(|| "::/0".parse().unwrap()),
                port_range: ports,
                icmp_type_code: None,
            });
        }
    }

    /// A table with its local routes. Without a subnet it is the main table.
    pub(super) fn table(&mut self, name: &str, subnet: Option<&str>) {
        let association = RouteTableAssociation {
            association_id: id(&format!("rtbassoc-{name}"), AssociationId::new),
            main: subnet.is_none(),
            subnet_id: subnet.map(|subnet| id(subnet, SubnetId::new)),
            gateway_id: None,
            state: "associated".to_owned(),
        };
        let table = RouteTable {
            route_table_id: id(name, RouteTableId::new),
            vpc_id: id("vpc-1", VpcId::new),
            associations: vec![association],
            routes: Vec::new(),
            propagating_vgws: Vec::new(),
            tags: Tags::default(),
        };
        self.network.route_tables.items_mut().insert(name.to_owned(), table);
        self.route(name, "10.8.0.0/16", RouteTarget::Local);
        self.route(name, "2001:db8::/56", RouteTarget::Local);
    }

    pub(super) fn route(&mut self, table: &str, destination: &str, target: RouteTarget) {
        let destination = match destination.parse::<ipnet::IpNet>() {
            Ok(ipnet::IpNet::V4(net)) => RouteDestination::Ipv4(net),
            Ok(ipnet::IpNet::V6(net)) => RouteDestination::Ipv6(net),
            Err(_) => RouteDestination::PrefixList(id(destination, PrefixListId::new)),
        };
        let route = Route { destination, target, state: RouteState::Active, origin: RouteOrigin::CreateRoute };
        self.table_mut(table).routes.push(route);
    }

    pub(super) fn table_mut(&mut self, table: &str) -> &mut RouteTable {
        self.network.route_tables.items_mut().get_mut(table).unwrap()
    }

    /// The default route of a table.
    pub(super) fn default_route(&mut self, table: &str) -> &mut Route {
        self.table_mut(table).routes.iter_mut().find(|route| route.destination.is_ipv4_default()).unwrap()
    }

    pub(super) fn group(&mut self, name: &str, rules: &[(&str, &str, &str)]) {
        let rules = rules
            .iter()
            .map(|(direction, protocol, peer)| SecurityGroupRule {
                rule_id: None,
                direction: if *direction == "ingress" { RuleDirection::Ingress } else { RuleDirection::Egress },
                protocol: Protocol::parse(protocol.split(':').next().unwrap()),
                from_port: protocol.split_once(':').map(|(_, port)| port.parse().unwrap()),
                to_port: protocol.split_once(':').map(|(_, port)| port.parse().unwrap()),
                peer: match peer.parse::<ipnet::IpNet>() {
                    Ok(ipnet::IpNet::V4(net)) => Peer::Ipv4(net),
                    Ok(ipnet::IpNet::V6(net)) => Peer::Ipv6(net),
                    Err(_) if peer.starts_with("pl-") => Peer::PrefixList(id(peer, PrefixListId::new)),
                    Err(_) => Peer::Group(id(peer, SecurityGroupId::new)),
                },
                description: None,
            })
            .collect();
        let group = SecurityGroup {
            group_id: id(name, SecurityGroupId::new),
            group_name: name.trim_start_matches("sg-").to_owned(),
            description: String::new(),
            vpc_id: id("vpc-1", VpcId::new),
            rules,
            tags: Tags::default(),
        };
        self.network.security_groups.items_mut().insert(name.to_owned(), group);
    }

    /// A running instance with interfaces: id, subnet, address, group.
    pub(super) fn instance(&mut self, name: &str, interfaces: &[(&str, &str, &str, &str)]) {
        let instance = Instance {
            instance_id: id(name, InstanceId::new),
            vpc_id: Some(id("vpc-1", VpcId::new)),
            subnet_id: Some(id(interfaces[0].1, SubnetId::new)),
            availability_zone: "eu-central-1b".to_owned(),
            state: InstanceState::Running,
            instance_type: "t4g.nano".to_owned(),
            image_id: id("ami-1", ImageId::new),
            architecture: "arm64".to_owned(),
            private_ip: Some(interfaces[0].2.parse().unwrap()),
            public_ip: None,
            network_interface_ids: interfaces.iter().map(|i| id(i.0, NetworkInterfaceId::new)).collect(),
            security_group_ids: vec![id(interfaces[0].3, SecurityGroupId::new)],
            instance_profile_arn: None,
            key_name: None,
            http_tokens: None,
            http_endpoint: None,
            launch_time: None,
            system_status: Some(StatusCheck::Ok),
            instance_status: Some(StatusCheck::Ok),
            cpu_credits: None,
            state_reason: None,
            tags: Tags::from_iter([("Name", name.trim_start_matches("i-"))]),
        };
        self.network.instances.items_mut().insert(name.to_owned(), instance);
        for (index, (eni, subnet, address, group)) in interfaces.iter().enumerate() {
            self.interface(eni, subnet, address, group);
            self.eni(eni).attachment = Some(InterfaceAttachment {
                attachment_id: id(&format!("eni-attach-{eni}"), AttachmentId::new),
                instance_id: Some(id(name, InstanceId::new)),
                device_index: u32::try_from(index).unwrap(),
                status: "attached".to_owned(),
                delete_on_termination: true,
            });
        }
    }

    pub(super) fn interface(&mut self, eni: &str, subnet: &str, address: &str, group: &str) {
        let interface = NetworkInterface {
            network_interface_id: id(eni, NetworkInterfaceId::new),
            vpc_id: id("vpc-1", VpcId::new),
            subnet_id: id(subnet, SubnetId::new),
            availability_zone: "eu-central-1b".to_owned(),
            status: InterfaceStatus::InUse,
            interface_type: "interface".to_owned(),
            description: String::new(),
            mac_address: mac(eni),
            private_ip: Some(address.parse().unwrap()),
            secondary_private_ips: Vec::new(),
            ipv6_addresses: Vec::new(),
            security_group_ids: vec![id(group, SecurityGroupId::new)],
            source_dest_check: true,
            attachment: None,
            association: None,
            requester_managed: false,
            tags: Tags::default(),
        };
        self.network.network_interfaces.items_mut().insert(eni.to_owned(), interface);
    }

    pub(super) fn eni(&mut self, eni: &str) -> &mut NetworkInterface {
        self.network.network_interfaces.items_mut().get_mut(eni).unwrap()
    }

    pub(super) fn instance_mut(&mut self, name: &str) -> &mut Instance {
        self.network.instances.items_mut().get_mut(name).unwrap()
    }

    pub(super) fn host(&mut self, name: &str) -> &mut Host {
        match self.hosts.get_mut(&id(name, InstanceId::new)) {
            Some(Fact::Known(host)) => host,
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(super) fn nat_gateway(&mut self, name: &str, subnet: &str) {
        let gateway = NatGateway {
            nat_gateway_id: id(name, NatGatewayId::new),
            vpc_id: id("vpc-1", VpcId::new),
            subnet_id: id(subnet, SubnetId::new),
            state: NatGatewayState::Available,
            connectivity_type: "public".to_owned(),
            failure_code: None,
            failure_message: None,
            public_ip: Some("52.1.2.3".parse().unwrap()),
            private_ip: Some("10.8.1.9".parse().unwrap()),
            allocation_id: None,
            network_interface_id: None,
            tags: Tags::default(),
        };
        self.network.nat_gateways.items_mut().insert(name.to_owned(), gateway);
    }

    pub(super) fn https(&self) -> Trace {
        self.from("i-client", OUTSIDE)
    }

    pub(super) fn from(&self, instance: &str, destination: &str) -> Trace {
        let destination: IpAddr = destination.parse().unwrap();
        walk(&self.network, &self.hosts, &Flow::https(id(instance, InstanceId::new), destination))
    }

    pub(super) fn ping(&self, instance: &str, destination: &str) -> Trace {
        let destination: IpAddr = destination.parse().unwrap();
        walk(&self.network, &self.hosts, &Flow::ping(id(instance, InstanceId::new), destination))
    }
}

/// The article's rules, on a host that drops what they do not allow.
pub(super) const ARTICLE_RULES: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
[9:900] -A FORWARD -i ens5 -o ens6 -m state --state RELATED,ESTABLISHED -j ACCEPT
[5:300] -A FORWARD -i ens6 -o ens5 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[3:180] -A POSTROUTING -o ens5 -j MASQUERADE
COMMIT
";

pub(super) fn eni_target(eni: &str) -> RouteTarget {
    RouteTarget::NetworkInterface { network_interface_id: id(eni, NetworkInterfaceId::new), instance_id: None }
}

fn mac(eni: &str) -> String {
    let sum = eni.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let [a, b, c, d] = sum.to_be_bytes();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

pub(super) fn rules(text: &str) -> Ruleset {
    Ruleset { tables: parse_iptables_save(text, Family::Ip, Backend::IptablesNft).unwrap(), conntrack: None }
}

/// A forwarding host: (device, network interface, address), the default gateway on the first device.
pub(super) fn host(interfaces: &[(&str, &str, &str)], gateway: &str, iptables: &str) -> Host {
    let mut host = Host { ip_forward: true, ruleset: rules(iptables), ..Host::default() };
    for (device, eni, address) in interfaces {
        let address: ipnet::IpNet = address.parse().unwrap();
        host.interfaces.push(HostInterface {
            name: (*device).to_owned(),
            altnames: Vec::new(),
            mac_address: Some(mac(eni)),
            up: true,
            mtu: 9001,
            addresses: vec![address],
            rp_filter: 0,
        });
        host.routes.push(host_route(&address.trunc().to_string(), None, device));
    }
    host.routes.push(host_route("0.0.0.0/0", Some(gateway), interfaces[0].0));
    host
}

pub(super) fn host_route(destination: &str, gateway: Option<&str>, device: &str) -> HostRoute {
    HostRoute {
        table: MAIN_TABLE,
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|gateway| IpAddr::V4(gateway.parse::<Ipv4Addr>().unwrap())),
        device: device.to_owned(),
        metric: 0,
        preferred_source: None,
        kind: HostRouteKind::Unicast,
    }
}
