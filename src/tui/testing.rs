//! The article's world as a fixture: the VPC with its public and private subnet, two private instances, and, when
//! provisioned, the NAT instance with its second interface. For tests of the console.

use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};

use crate::model::host::{
    Backend, BaseChain, Chain, ChainKind, Family, FilterTable, Hook, Host, HostInterface, HostRoute, HostRouteKind,
    Hosts, MAIN_TABLE, Policy, Rule, Ruleset, Target,
};
use crate::model::*;
use crate::reach::{Flow, Trace, walk};

mod answers;
mod diagnosis;
mod driving;

pub use answers::*;
pub use diagnosis::*;
pub use driving::*;

pub const VPC: &str = "vpc-0a1b2c3d4e5f60718";
pub const PUBLIC: &str = "subnet-0b10000000000000a";
pub const PRIVATE: &str = "subnet-0b20000000000000b";
pub const NAT: &str = "i-0c0000000000000a1";
pub const CLIENT_0: &str = "i-0c0000000000000b0";
pub const CLIENT_1: &str = "i-0c0000000000000b1";
pub const NAT_ENI_0: &str = "eni-0d0000000000000a0";
pub const NAT_ENI_1: &str = "eni-0d0000000000000a1";
pub const PRIVATE_TABLE: &str = "rtb-0e20000000000000b";

/// How far the article is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No NAT yet.
    Draft,
    Provisioned,
}

/// When the fixture's clock starts.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_780_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn name(text: &str) -> Tags {
    [("Name", text)].into_iter().collect()
}

fn part<V, L>(items: impl IntoIterator<Item = (String, V)>) -> Part<V, L> {
    Part::observed(start(), items)
}

fn net<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn subnet(id: &str, named: &str, cidr: &str, public: bool) -> (String, Subnet) {
    let subnet = Subnet {
        subnet_id: SubnetId::new(id),
        vpc_id: VpcId::new(VPC),
        cidr_block: Some(net(cidr)),
        ipv6_cidr_blocks: Vec::new(),
        availability_zone: "eu-central-1b".to_owned(),
        state: "available".to_owned(),
        map_public_ip_on_launch: public,
        enable_dns64: false,
        available_ip_address_count: 249,
        tags: name(named),
    };
    (id.to_owned(), subnet)
}

fn route(destination: &str, target: RouteTarget, origin: RouteOrigin) -> Route {
    Route { destination: RouteDestination::Ipv4(net(destination)), target, state: RouteState::Active, origin }
}

fn local() -> Route {
    route("10.8.0.0/16", RouteTarget::Local, RouteOrigin::CreateRouteTable)
}

fn table(id: &str, named: &str, subnet_id: Option<&str>, routes: Vec<Route>) -> (String, RouteTable) {
    let association = RouteTableAssociation {
        association_id: AssociationId::new(format!("rtbassoc-{}", &id[4..])),
        main: subnet_id.is_none(),
        subnet_id: subnet_id.map(SubnetId::new),
        gateway_id: None,
        state: "associated".to_owned(),
    };
    let table = RouteTable {
        route_table_id: RouteTableId::new(id),
        vpc_id: VpcId::new(VPC),
        associations: vec![association],
        routes,
        propagating_vgws: Vec::new(),
        tags: if named.is_empty() { Tags::default() } else { name(named) },
    };
    (id.to_owned(), table)
}

#[expect(clippy::too_many_arguments, reason = "a fixture's table of values")]
fn interface(
    id: &str,
    subnet_id: &str,
    ip: [u8; 4],
    public: Option<[u8; 4]>,
    holder: Option<(&str, u32)>,
    group: &str,
    check: bool,
    named: &str,
) -> (String, NetworkInterface) {
    let interface = NetworkInterface {
        network_interface_id: NetworkInterfaceId::new(id),
        vpc_id: VpcId::new(VPC),
        subnet_id: SubnetId::new(subnet_id),
        availability_zone: "eu-central-1b".to_owned(),
        status: if holder.is_some() { InterfaceStatus::InUse } else { InterfaceStatus::Available },
        interface_type: "interface".to_owned(),
        description: String::new(),
        mac_address: format!("06:00:00:00:{:02x}:{:02x}", ip[2], ip[3]),
        private_ip: Some(Ipv4Addr::from(ip)),
        secondary_private_ips: Vec::new(),
        ipv6_addresses: Vec::new(),
        security_group_ids: vec![SecurityGroupId::new(group)],
        source_dest_check: check,
        attachment: holder.map(|(instance, device_index)| InterfaceAttachment {
            attachment_id: AttachmentId::new(format!("eni-attach-{}", &id[4..])),
            instance_id: Some(InstanceId::new(instance)),
            device_index,
            status: "attached".to_owned(),
            delete_on_termination: true,
        }),
        association: public.map(|ip| InterfaceAssociation {
            public_ip: Ipv4Addr::from(ip),
            allocation_id: None,
            association_id: None,
        }),
        requester_managed: false,
        tags: if named.is_empty() { Tags::default() } else { name(named) },
    };
    (id.to_owned(), interface)
}

fn instance(id: &str, named: &str, subnet_id: &str, ip: [u8; 4], group: &str, enis: &[&str]) -> (String, Instance) {
    let instance = Instance {
        instance_id: InstanceId::new(id),
        vpc_id: Some(VpcId::new(VPC)),
        subnet_id: Some(SubnetId::new(subnet_id)),
        availability_zone: "eu-central-1b".to_owned(),
        state: InstanceState::Running,
        instance_type: "t4g.nano".to_owned(),
        image_id: ImageId::new("ami-0f00000000000000a"),
        architecture: "arm64".to_owned(),
        private_ip: Some(Ipv4Addr::from(ip)),
        public_ip: None,
        network_interface_ids: enis.iter().map(|id| NetworkInterfaceId::new(*id)).collect(),
        security_group_ids: vec![SecurityGroupId::new(group)],
        instance_profile_arn: Some("arn:aws:iam::123456789012:instance-profile/ssm-profile".to_owned()),
        key_name: None,
        http_tokens: Some("required".to_owned()),
        http_endpoint: Some("enabled".to_owned()),
        launch_time: Some(at(-7_200)),
        system_status: Some(StatusCheck::Ok),
        instance_status: Some(StatusCheck::Ok),
        cpu_credits: None,
        state_reason: None,
        tags: name(named),
    };
    (id.to_owned(), instance)
}

fn rule(direction: RuleDirection, protocol: Protocol, port: Option<i32>, peer: Peer) -> SecurityGroupRule {
    SecurityGroupRule { rule_id: None, direction, protocol, from_port: port, to_port: port, peer, description: None }
}

fn group(id: &str, named: &str, rules: Vec<SecurityGroupRule>) -> (String, SecurityGroup) {
    let group = SecurityGroup {
        group_id: SecurityGroupId::new(id),
        group_name: named.to_owned(),
        description: format!("{named} instances"),
        vpc_id: VpcId::new(VPC),
        rules,
        tags: Tags::default(),
    };
    (id.to_owned(), group)
}

fn entry(number: u32, direction: AclDirection, action: AclAction) -> AclEntry {
    AclEntry {
        rule_number: number,
        direction,
        action,
        protocol: Protocol::All,
        cidr_block: Some(net("0.0.0.0/0")),
        ipv6_cidr_block: None,
        port_range: None,
        icmp_type_code: None,
    }
}

fn endpoint(service: &str, at: u8) -> (String, VpcEndpoint) {
    let id = format!("vpce-0f000000000000{at:03}");
    let endpoint = VpcEndpoint {
        vpc_endpoint_id: VpcEndpointId::new(&id),
        vpc_id: VpcId::new(VPC),
        kind: EndpointKind::Interface,
        service_name: format!("com.amazonaws.eu-central-1.{service}"),
        state: EndpointState::Available,
        private_dns_enabled: true,
        subnet_ids: vec![SubnetId::new(PRIVATE)],
        route_table_ids: Vec::new(),
        security_group_ids: vec![SecurityGroupId::new("sg-0a20000000000000b")],
        network_interface_ids: Vec::new(),
        tags: Tags::default(),
    };
    (id, endpoint)
}

/// The article's network.
pub fn network(stage: Stage) -> Network {
    let any = || Peer::Ipv4(net("0.0.0.0/0"));
    let egress = || rule(RuleDirection::Egress, Protocol::All, None, any());
    let nat_sg = "sg-0a10000000000000a";
    let private_sg = "sg-0a20000000000000b";
    let igw = RouteTarget::InternetGateway(InternetGatewayId::new("igw-0f10000000000000a"));
    let mut private_routes = vec![local()];
    let mut instances = vec![
        instance(CLIENT_0, "Private-Instance-0", PRIVATE, [10, 8, 2, 120], private_sg, &["eni-0d0000000000000b0"]),
        instance(CLIENT_1, "Private-Instance-1", PRIVATE, [10, 8, 2, 86], private_sg, &["eni-0d0000000000000b1"]),
    ];
    let mut interfaces = vec![
        interface("eni-0d0000000000000b0", PRIVATE, [10, 8, 2, 120], None, Some((CLIENT_0, 0)), private_sg, true, ""),
        interface("eni-0d0000000000000b1", PRIVATE, [10, 8, 2, 86], None, Some((CLIENT_1, 0)), private_sg, true, ""),
    ];
    let mut groups = vec![group(private_sg, "Private", vec![egress()])];
    if stage == Stage::Provisioned {
        let target = RouteTarget::NetworkInterface {
            network_interface_id: NetworkInterfaceId::new(NAT_ENI_1),
            instance_id: Some(InstanceId::new(NAT)),
        };
        private_routes.push(route("0.0.0.0/0", target, RouteOrigin::CreateRoute));
        let (id, mut nat) = instance(NAT, "NAT-Instance", PUBLIC, [10, 8, 1, 45], nat_sg, &[NAT_ENI_0, NAT_ENI_1]);
        nat.public_ip = Some(Ipv4Addr::new(3, 64, 126, 205));
        nat.tags = [("Name", "NAT-Instance"), ("natdeck:stack", "nat-test"), ("natdeck:step", "nat-instance")]
            .into_iter()
            .collect();
        instances.push((id, nat));
        let public = Some([3, 64, 126, 205]);
        interfaces.push(interface(NAT_ENI_0, PUBLIC, [10, 8, 1, 45], public, Some((NAT, 0)), nat_sg, false, ""));
        let second = "private-sub-ni";
        interfaces.push(interface(NAT_ENI_1, PRIVATE, [10, 8, 2, 148], None, Some((NAT, 1)), nat_sg, false, second));
        let from_private =
            rule(RuleDirection::Ingress, Protocol::All, None, Peer::Group(SecurityGroupId::new(private_sg)));
        groups.push(group(nat_sg, "NAT", vec![from_private, egress()]));
    }
    let acl = NetworkAcl {
        network_acl_id: NetworkAclId::new("acl-0a0000000000000ff"),
        vpc_id: VpcId::new(VPC),
        is_default: true,
        subnet_ids: vec![SubnetId::new(PUBLIC), SubnetId::new(PRIVATE)],
        entries: [AclDirection::Ingress, AclDirection::Egress]
            .into_iter()
            .flat_map(|d| [entry(100, d, AclAction::Allow), entry(32_767, d, AclAction::Deny)])
            .collect(),
        tags: Tags::default(),
    };
    let agents = [CLIENT_0, CLIENT_1, NAT].map(|id| {
        let agent = ManagedInstance {
            instance_id: InstanceId::new(id),
            ping_status: PingStatus::Online,
            last_ping_at: Some(at(-42)),
            agent_version: "3.3.859.0".to_owned(),
            platform_type: "Linux".to_owned(),
            platform_name: "Amazon Linux".to_owned(),
            platform_version: "2023".to_owned(),
        };
        (id.to_owned(), agent)
    });
    let profile_arn = "arn:aws:iam::123456789012:instance-profile/ssm-profile".to_owned();
    let profile = InstanceProfile {
        arn: profile_arn.clone(),
        name: "ssm-profile".to_owned(),
        roles: vec![Role {
            arn: "arn:aws:iam::123456789012:role/ssm-role".to_owned(),
            name: "ssm-role".to_owned(),
            attached_policies: Some(vec![PolicyRef {
                arn: "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore".to_owned(),
                name: "AmazonSSMManagedInstanceCore".to_owned(),
            }]),
            inline_policies: Some(Vec::new()),
        }],
        tags: Tags::default(),
    };
    let vpc = Vpc {
        vpc_id: VpcId::new(VPC),
        state: "available".to_owned(),
        cidr_blocks: vec![net("10.8.0.0/16")],
        ipv6_cidr_blocks: Vec::new(),
        is_default: false,
        dns_support: Some(true),
        dns_hostnames: Some(true),
        dhcp_options: None,
        tags: name("nat-test"),
    };
    let gateway = InternetGateway {
        internet_gateway_id: InternetGatewayId::new("igw-0f10000000000000a"),
        attachments: vec![GatewayAttachment { vpc_id: VpcId::new(VPC), state: AttachmentState::Available }],
        tags: name("igw"),
    };
    let public_routes = vec![local(), route("0.0.0.0/0", igw, RouteOrigin::CreateRoute)];
    Network {
        account_id: Some("123456789012".to_owned()),
        region: "eu-central-1".to_owned(),
        observed_at: Some(start()),
        vpcs: part([(VPC.to_owned(), vpc)]),
        subnets: part([
            subnet(PUBLIC, "public-subnet", "10.8.1.0/24", true),
            subnet(PRIVATE, "private-subnet", "10.8.2.0/24", false),
        ]),
        route_tables: part([
            table("rtb-0e10000000000000a", "public-rtb", Some(PUBLIC), public_routes),
            table(PRIVATE_TABLE, "private-rtb", Some(PRIVATE), private_routes),
            table("rtb-0e00000000000000f", "", None, vec![local()]),
        ]),
        internet_gateways: part([("igw-0f10000000000000a".to_owned(), gateway)]),
        egress_only_internet_gateways: part([]),
        nat_gateways: part([]),
        network_interfaces: part(interfaces),
        instances: part(instances),
        security_groups: part(groups),
        network_acls: part([("acl-0a0000000000000ff".to_owned(), acl)]),
        addresses: part([]),
        vpc_endpoints: part([endpoint("ssm", 1), endpoint("ssmmessages", 2), endpoint("ec2messages", 3)]),
        prefix_lists: part([]),
        instance_profiles: part([(profile_arn, profile)]),
        managed_instances: part(agents),
        block_public_access: part([]),
        unknown: Vec::new(),
    }
}

/// The article's network with `count` more interfaces in the private subnet.
pub fn crowded(count: u32) -> Network {
    let mut network = network(Stage::Provisioned);
    for at in 0..count {
        let [_, b, c, d] = at.to_be_bytes();
        let id = format!("eni-1{at:016x}");
        let (id, eni) = interface(
            &id,
            PRIVATE,
            [10, b.max(8), c, d],
            None,
            None,
            "sg-0a20000000000000b",
            true,
            &format!("pod-{at}"),
        );
        network.network_interfaces.items_mut().insert(id, eni);
    }
    network
}

/// The NAT host as the article configures it.
pub fn nat_host() -> Host {
    let link = |name: &str, address: &str, mac: &str| HostInterface {
        name: name.to_owned(),
        altnames: Vec::new(),
        mac_address: Some(mac.to_owned()),
        up: true,
        mtu: 9_001,
        addresses: vec![net(address)],
        rp_filter: 0,
    };
    let route = |destination: &str, gateway: Option<&str>, device: &str| HostRoute {
        table: MAIN_TABLE,
        destination: net(destination),
        gateway: gateway.map(net),
        device: device.to_owned(),
        metric: 512,
        preferred_source: None,
        kind: HostRouteKind::Unicast,
    };
    let masquerade = Rule {
        matches: Vec::new(),
        target: Target::Masquerade,
        text: "-A POSTROUTING -o ens5 -j MASQUERADE".to_owned(),
        packets: 12,
        bytes: 720,
    };
    let base = BaseChain { hook: Hook::Postrouting, kind: ChainKind::Nat, priority: 100, policy: Policy::Accept };
    Host {
        interfaces: vec![
            link("ens5", "10.8.1.45/24", "06:00:00:00:01:2d"),
            link("ens6", "10.8.2.148/24", "06:00:00:00:02:94"),
        ],
        ip_forward: true,
        routes: vec![
            route("0.0.0.0/0", Some("10.8.1.1"), "ens5"),
            route("10.8.1.0/24", None, "ens5"),
            route("10.8.2.0/24", None, "ens6"),
        ],
        ruleset: Ruleset {
            tables: vec![FilterTable {
                family: Family::Ip,
                name: "nat".to_owned(),
                chains: vec![Chain { name: "POSTROUTING".to_owned(), base: Some(base), rules: vec![masquerade] }],
                backend: Backend::IptablesNft,
            }],
            conntrack: None,
        },
        ..Host::default()
    }
}

/// The way of a packet from an instance to the internet; `hosts`: whether the NAT host's facts are known.
pub fn trace(network: &Network, instance_id: &InstanceId, hosts: bool) -> Trace {
    let mut known = Hosts::new();
    if hosts {
        known.insert(InstanceId::new(NAT), Fact::Known(nat_host()));
    }
    walk(network, &known, &Flow::https(instance_id.clone(), IpAddr::from([104, 26, 12, 205])))
}

pub fn identity() -> Identity {
    Identity {
        world: World::Sandbox,
        region: "eu-central-1".to_owned(),
        profile: None,
        account_id: None,
        caller_arn: None,
        read_only: false,
    }
}

pub fn answered_identity() -> Identity {
    Identity { account_id: Some("123456789012".to_owned()), ..identity() }
}
