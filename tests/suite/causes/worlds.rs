//! Worlds to break: built by requests as a client would send them, from a seed. Every one of them is healthy.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use natdeck::model::InstanceId;
use natdeck::sandbox::scenario::settle;
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::{Delays, World};

const USER_DATA: &str = include_str!("../../../assets/user-data.sh");
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// What a world is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub zones: u8,
    /// In each zone.
    pub private_subnets: u8,
    /// A NAT in each zone, or one for all.
    pub nat_per_zone: bool,
    pub two_interfaces: bool,
    pub elastic_ip: bool,
    /// Private subnets have tables of their own, or one for each NAT.
    pub own_tables: bool,
    /// NAT groups let in by the client's group, or by the VPC's range.
    pub by_group: bool,
    /// Subnets have ACLs of their own that let through what egress needs and no more.
    pub tight_acls: bool,
    pub tight_egress: bool,
}

impl Shape {
    /// One zone, one NAT, one private subnet: the two topologies.
    pub fn simple(two_interfaces: bool) -> Self {
        Self {
            zones: 1,
            private_subnets: 1,
            nat_per_zone: true,
            two_interfaces,
            elastic_ip: true,
            own_tables: true,
            by_group: true,
            tight_acls: false,
            tight_egress: false,
        }
    }

    /// The same with a second private subnet, in which the NAT has no interface.
    pub fn wide(two_interfaces: bool) -> Self {
        Self { private_subnets: 2, ..Self::simple(two_interfaces) }
    }

    pub fn random(rng: &mut fastrand::Rng) -> Self {
        Self {
            zones: rng.u8(1..=3),
            private_subnets: rng.u8(1..=2),
            nat_per_zone: rng.bool(),
            two_interfaces: rng.bool(),
            elastic_ip: rng.bool(),
            own_tables: rng.bool(),
            by_group: rng.bool(),
            tight_acls: rng.u8(..3) == 0,
            tight_egress: rng.u8(..3) == 0,
        }
    }
}

/// A world and who lives in it.
#[derive(Debug, Clone)]
pub struct Built {
    pub world: World,
    /// Private instances.
    pub clients: Vec<InstanceId>,
}

/// Builds a world and lets it come to rest.
pub fn build(shape: &Shape, seed: u64) -> Built {
    let start = Timestamp::from_second(1_790_000_000).unwrap();
    let mut world = World::new("123456789012", "eu-central-1", seed, start);
    world.delays = Delays::instant();
    world.ssm.time_scale = 0.0;
    let mut builder = Builder { world, clients: Vec::new() };
    builder.build(shape);
    let Builder { mut world, clients } = builder;
    let now = world.now.checked_add(Duration::from_secs(400)).unwrap();
    settle(&mut world, now).unwrap();
    Built { world, clients }
}

struct Builder {
    world: World,
    clients: Vec<InstanceId>,
}

struct Zone {
    public: String,
    private: Vec<(String, String)>,
}

impl Builder {
    fn send(&mut self, service: Service, action: &str, pairs: &[(&str, &str)]) -> String {
        let response = self.world.handle(&Request::query(service, action, pairs.iter().copied()));
        assert_eq!(response.status, 200, "{action} {pairs:?}: {}", response.body);
        response.body
    }

    fn ec2(&mut self, action: &str, pairs: &[(&str, &str)]) -> String {
        self.send(Service::Ec2, action, pairs)
    }

    fn make(&mut self, action: &str, element: &str, pairs: &[(&str, &str)]) -> String {
        let body = self.ec2(action, pairs);
        let (_, rest) = body.split_once(&format!("<{element}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    }

    fn named(&mut self, action: &str, element: &str, kind: &str, name: &str, pairs: &[(&str, &str)]) -> String {
        let tags = [
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", name),
        ];
        let all: Vec<(&str, &str)> = pairs.iter().copied().chain(tags).collect();
        self.make(action, element, &all)
    }

    fn settle(&mut self) {
        let now = self.world.now.checked_add(Duration::from_secs(1)).unwrap();
        self.world.advance(now);
    }

    fn build(&mut self, shape: &Shape) {
        let vpc = self.named("CreateVpc", "vpcId", "vpc", "vpc", &[("CidrBlock", "10.8.0.0/16")]);
        for attribute in ["EnableDnsSupport.Value", "EnableDnsHostnames.Value"] {
            self.ec2("ModifyVpcAttribute", &[("VpcId", &vpc), (attribute, "true")]);
        }
        let igw = self.named("CreateInternetGateway", "internetGatewayId", "internet-gateway", "igw", &[]);
        self.ec2("AttachInternetGateway", &[("VpcId", &vpc), ("InternetGatewayId", &igw)]);
        self.profile();
        let public_table = self.named("CreateRouteTable", "routeTableId", "route-table", "public", &[("VpcId", &vpc)]);
        let out = [("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", igw.as_str())];
        self.ec2("CreateRoute", &[&[("RouteTableId", public_table.as_str())], &out[..]].concat());
        let zones: Vec<Zone> = (0..shape.zones).map(|zone| self.zone(shape, &vpc, zone, &public_table)).collect();
        let private = self.group(&vpc, "private");
        let nat = self.group(&vpc, "nat");
        self.rules(shape, &private, &nat);
        let pairs = [("VpcId", vpc.as_str()), ("CidrBlock", "10.8.250.0/24"), ("AvailabilityZone", "eu-central-1a")];
        let endpoints = self.named("CreateSubnet", "subnetId", "subnet", "endpoints", &pairs);
        self.endpoints(&vpc, &endpoints);
        let mut tables: Vec<Option<String>> = vec![None; zones.len()];
        let mut inner: Vec<String> = Vec::new();
        for (at, zone) in zones.iter().enumerate() {
            let nat_of = if shape.nat_per_zone { at } else { 0 };
            if nat_of == at {
                let eni = self.nat(shape, at, zone, &nat);
                inner.push(eni);
            }
            let target = inner[inner.len() - 1].clone();
            for (n, (subnet, name)) in zone.private.iter().enumerate() {
                let table = match tables[nat_of].clone().filter(|_| !shape.own_tables) {
                    Some(table) => table,
                    None => {
                        let table =
                            self.named("CreateRouteTable", "routeTableId", "route-table", name, &[("VpcId", &vpc)]);
                        self.ec2(
                            "CreateRoute",
                            &[
                                ("RouteTableId", table.as_str()),
                                ("DestinationCidrBlock", "0.0.0.0/0"),
                                ("NetworkInterfaceId", &target),
                            ],
                        );
                        tables[nat_of] = Some(table.clone());
                        table
                    }
                };
                self.ec2("AssociateRouteTable", &[("RouteTableId", table.as_str()), ("SubnetId", subnet.as_str())]);
                let client = self.instance(&format!("client-{at}-{n}"), subnet, &private);
                self.clients.push(InstanceId::new(client));
            }
        }
    }

    fn profile(&mut self) {
        let core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
        self.send(Service::Iam, "CreateRole", &[("RoleName", "ssm"), ("AssumeRolePolicyDocument", TRUST)]);
        self.send(Service::Iam, "AttachRolePolicy", &[("RoleName", "ssm"), ("PolicyArn", core)]);
        self.send(Service::Iam, "CreateInstanceProfile", &[("InstanceProfileName", "ssm")]);
        self.send(Service::Iam, "AddRoleToInstanceProfile", &[("InstanceProfileName", "ssm"), ("RoleName", "ssm")]);
    }

    fn zone(&mut self, shape: &Shape, vpc: &str, zone: u8, public_table: &str) -> Zone {
        let name = format!("eu-central-1{}", char::from(b'a' + zone));
        let subnet = |builder: &mut Self, what: &str, third: u8| {
            let net = format!("10.8.{third}.0/24");
            let pairs = [("VpcId", vpc), ("CidrBlock", &net), ("AvailabilityZone", &name)];
            let id = builder.named("CreateSubnet", "subnetId", "subnet", what, &pairs);
            if shape.tight_acls {
                builder.acl(vpc, &id, what);
            }
            id
        };
        let public = subnet(self, &format!("public-{zone}"), zone * 10);
        self.ec2("AssociateRouteTable", &[("RouteTableId", public_table), ("SubnetId", &public)]);
        let private = (0..shape.private_subnets)
            .map(|n| {
                let what = format!("private-{zone}-{n}");
                (subnet(self, &what, zone * 10 + 1 + n), what)
            })
            .collect();
        Zone { public, private }
    }

    /// An ACL that lets through what egress needs: the web and names out, replies on ephemeral ports, the VPC itself.
    fn acl(&mut self, vpc: &str, subnet: &str, name: &str) {
        let acl = self.named("CreateNetworkAcl", "networkAclId", "network-acl", name, &[("VpcId", vpc)]);
        let entries = [
            ("100", "-1", "10.8.0.0/16", None),
            ("110", "6", "0.0.0.0/0", Some(("80", "80"))),
            ("120", "6", "0.0.0.0/0", Some(("443", "443"))),
            ("130", "6", "0.0.0.0/0", Some(("1024", "65535"))),
        ];
        for egress in ["true", "false"] {
            for (number, protocol, net, ports) in entries {
                let mut pairs = vec![
                    ("NetworkAclId", acl.as_str()),
                    ("RuleNumber", number),
                    ("Egress", egress),
                    ("Protocol", protocol),
                    ("CidrBlock", net),
                    ("RuleAction", "allow"),
                ];
                if let Some((from, to)) = ports {
                    pairs.extend([("PortRange.From", from), ("PortRange.To", to)]);
                }
                self.ec2("CreateNetworkAclEntry", &pairs);
            }
        }
        let id = natdeck::model::SubnetId::new(subnet);
        let association = self.world.records.acl_associations[&id].clone();
        self.ec2("ReplaceNetworkAclAssociation", &[("AssociationId", association.as_str()), ("NetworkAclId", &acl)]);
    }

    fn group(&mut self, vpc: &str, name: &str) -> String {
        let pairs = [("VpcId", vpc), ("GroupName", name), ("GroupDescription", name)];
        self.named("CreateSecurityGroup", "groupId", "security-group", name, &pairs)
    }

    fn rules(&mut self, shape: &Shape, private: &str, nat: &str) {
        let mut pairs = vec![("GroupId", nat), ("IpPermissions.1.IpProtocol", "-1")];
        pairs.push(match shape.by_group {
            true => ("IpPermissions.1.Groups.1.GroupId", private),
            false => ("IpPermissions.1.IpRanges.1.CidrIp", "10.8.0.0/16"),
        });
        self.ec2("AuthorizeSecurityGroupIngress", &pairs);
        if shape.tight_egress {
            let all = [
                ("GroupId", private),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ];
            self.ec2("RevokeSecurityGroupEgress", &all);
            for port in ["80", "443"] {
                let web = [
                    ("GroupId", private),
                    ("IpPermissions.1.IpProtocol", "tcp"),
                    ("IpPermissions.1.FromPort", port),
                    ("IpPermissions.1.ToPort", port),
                    ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
                ];
                self.ec2("AuthorizeSecurityGroupEgress", &web);
            }
        }
    }

    fn endpoints(&mut self, vpc: &str, subnet: &str) {
        let group = self.group(vpc, "endpoints");
        let https = [
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "443"),
            ("IpPermissions.1.ToPort", "443"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.8.0.0/16"),
        ];
        self.ec2("AuthorizeSecurityGroupIngress", &https);
        for service in ["ssm", "ssmmessages"] {
            let name = format!("com.amazonaws.eu-central-1.{service}");
            let pairs = [
                ("VpcEndpointType", "Interface"),
                ("VpcId", vpc),
                ("ServiceName", name.as_str()),
                ("SubnetId.1", subnet),
                ("SecurityGroupId.1", group.as_str()),
                ("PrivateDnsEnabled", "true"),
            ];
            self.named("CreateVpcEndpoint", "vpcEndpointId", "vpc-endpoint", service, &pairs);
        }
    }

    fn instance(&mut self, name: &str, subnet: &str, group: &str) -> String {
        let pairs = [
            ("ImageId", image()),
            ("InstanceType", "t4g.nano"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", subnet),
            ("SecurityGroupId.1", group),
            ("IamInstanceProfile.Name", "ssm"),
        ];
        self.named("RunInstances", "instanceId", "instance", name, &pairs)
    }

    /// A NAT instance; the interface that routes name.
    fn nat(&mut self, shape: &Shape, at: usize, zone: &Zone, group: &str) -> String {
        let name = format!("nat-{at}");
        let script = match shape.two_interfaces {
            true => USER_DATA.to_owned(),
            false => USER_DATA.replace("NATDECK_INTERFACES=2", "NATDECK_INTERFACES=1"),
        };
        let user_data = BASE64_STANDARD.encode(script + &routes(shape, at));
        let pairs = [
            ("ImageId", image()),
            ("InstanceType", "t4g.nano"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("NetworkInterface.1.DeviceIndex", "0"),
            ("NetworkInterface.1.SubnetId", zone.public.as_str()),
            ("NetworkInterface.1.SecurityGroupId.1", group),
            ("NetworkInterface.1.AssociatePublicIpAddress", if shape.elastic_ip { "false" } else { "true" }),
            ("IamInstanceProfile.Name", "ssm"),
            ("MetadataOptions.HttpTokens", "required"),
            ("UserData", user_data.as_str()),
        ];
        let instance = self.named("RunInstances", "instanceId", "instance", &name, &pairs);
        let id = InstanceId::new(instance.as_str());
        let outer = self.world.network.interfaces_of(&id).unwrap()[0].network_interface_id.to_string();
        let off =
            |eni: &str| vec![("NetworkInterfaceId", eni.to_owned()), ("SourceDestCheck.Value", "false".to_owned())];
        let inner = if shape.two_interfaces {
            let pairs = [("SubnetId", zone.private[0].0.as_str()), ("SecurityGroupId.1", group)];
            self.named("CreateNetworkInterface", "networkInterfaceId", "network-interface", &name, &pairs)
        } else {
            outer.clone()
        };
        let off = off(&inner);
        let pairs: Vec<(&str, &str)> = off.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.ec2("ModifyNetworkInterfaceAttribute", &pairs);
        if shape.elastic_ip {
            let allocation = self.named("AllocateAddress", "allocationId", "elastic-ip", &name, &[("Domain", "vpc")]);
            self.ec2("AssociateAddress", &[("AllocationId", allocation.as_str()), ("NetworkInterfaceId", &outer)]);
        }
        self.settle();
        if shape.two_interfaces {
            let pairs = [("NetworkInterfaceId", inner.as_str()), ("InstanceId", &instance), ("DeviceIndex", "1")];
            self.ec2("AttachNetworkInterface", &pairs);
        }
        self.settle();
        inner
    }
}

fn image() -> &'static str {
    let parameter = "al2023-ami-kernel-default-arm64";
    let images = natdeck::sandbox::actions::ec2::IMAGES;
    images.iter().find(|image| image.parameters.contains(&parameter)).unwrap().image_id
}

/// With two interfaces, a NAT that serves other subnets than that of its inner one needs the way back to them, after each
/// boot.
fn routes(shape: &Shape, at: usize) -> String {
    const SCRIPT: &str = "/var/lib/cloud/scripts/per-boot/routes.sh";
    let inner = at * 10 + 1;
    let thirds = (0..usize::from(shape.zones))
        .flat_map(|zone| (0..usize::from(shape.private_subnets)).map(move |n| zone * 10 + 1 + n));
    let others = thirds.filter(|third| *third != inner);
    let lines: String =
        others.map(|third| format!("ip route replace 10.8.{third}.0/24 via 10.8.{inner}.1 dev ens6\n")).collect();
    if lines.is_empty() || !shape.two_interfaces {
        return String::new();
    }
    format!("cat > {SCRIPT} << 'END'\n#!/bin/bash\n{lines}END\nchmod 755 {SCRIPT}\n{SCRIPT}\n")
}
