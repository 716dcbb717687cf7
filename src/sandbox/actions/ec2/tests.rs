//! Claims about EC2, made by sending requests as a client would.

mod appliance;
mod common_rules;
mod endpoints;
mod gateways;
mod groups;
mod in_place;
mod instances;
mod interfaces;
mod launch_templates;
mod lists_and_peers;
mod ranges;
mod routes;
mod volumes;
mod vpcs;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::IMAGES;
use crate::sandbox::wire::{Request, Response, Service};
use crate::sandbox::world::{Delays, World};

const ARM_IMAGE: &str = IMAGES[0].image_id;

/// A client of a world of its own.
struct Client {
    world: World,
}

impl Client {
    /// A world in which everything is done at once.
    fn new() -> Self {
        let now: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
        let mut world = World::new("123456789012", "eu-central-1", 7, now);
        world.delays = Delays::instant();
        Self { world }
    }

    fn send(&mut self, action: &str, pairs: &[(&str, &str)]) -> Response {
        self.world.handle(&Request::query(Service::Ec2, action, pairs.iter().copied()))
    }

    /// The answer of a request that must succeed. What is due by then has happened.
    fn ok(&mut self, action: &str, pairs: &[(&str, &str)]) -> String {
        let response = self.send(action, pairs);
        assert_eq!(response.status, 200, "{action} {pairs:?}: {}", response.body);
        self.world.advance(self.world.now);
        response.body
    }

    /// The code of a request that must fail.
    fn code(&mut self, action: &str, pairs: &[(&str, &str)]) -> String {
        let response = self.send(action, pairs);
        assert!(response.status >= 400, "{action} {pairs:?} should fail: {}", response.body);
        text(&response.body, "Code")
    }

    /// Code and message of a request that must fail.
    fn error(&mut self, action: &str, pairs: &[(&str, &str)]) -> (String, String) {
        let response = self.send(action, pairs);
        (text(&response.body, "Code"), text(&response.body, "Message"))
    }

    /// One text of a successful answer.
    fn get(&mut self, action: &str, pairs: &[(&str, &str)], tag: &str) -> String {
        text(&self.ok(action, pairs), tag)
    }

    fn pass(&mut self, time: Duration) {
        let later = self.world.now.saturating_add(time).unwrap();
        self.world.advance(later);
    }

    fn vpc(&mut self, cidr: &str) -> String {
        self.get("CreateVpc", &[("CidrBlock", cidr)], "vpcId")
    }

    fn subnet(&mut self, vpc: &str, cidr: &str) -> String {
        let zone = "eu-central-1b";
        self.get("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", cidr), ("AvailabilityZone", zone)], "subnetId")
    }

    /// A VPC with DNS names, a gateway, a public and a private subnet.
    fn article(&mut self) -> Article {
        let vpc = self.vpc("10.8.0.0/16");
        self.ok("ModifyVpcAttribute", &[("VpcId", &vpc), ("EnableDnsHostnames.Value", "true")]);
        let gateway = self.get("CreateInternetGateway", &[], "internetGatewayId");
        self.ok("AttachInternetGateway", &[("VpcId", &vpc), ("InternetGatewayId", &gateway)]);
        let public = self.subnet(&vpc, "10.8.1.0/24");
        self.ok("ModifySubnetAttribute", &[("SubnetId", &public), ("MapPublicIpOnLaunch.Value", "true")]);
        let private = self.subnet(&vpc, "10.8.2.0/24");
        let table = self.get("CreateRouteTable", &[("VpcId", &vpc)], "routeTableId");
        self.ok("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &private)]);
        Article { vpc, gateway, public, private, table }
    }

    fn instance(&mut self, subnet: &str) -> String {
        self.run(&[("SubnetId", subnet)])
    }

    /// A running t4g.nano.
    fn run(&mut self, more: &[(&str, &str)]) -> String {
        let mut pairs =
            vec![("ImageId", ARM_IMAGE), ("InstanceType", "t4g.nano"), ("MinCount", "1"), ("MaxCount", "1")];
        pairs.extend(more);
        self.get("RunInstances", &pairs, "instanceId")
    }

    fn interface(&mut self, subnet: &str) -> String {
        self.get("CreateNetworkInterface", &[("SubnetId", subnet)], "networkInterfaceId")
    }

    fn state(&mut self, instance: &str) -> String {
        self.get("DescribeInstances", &[("InstanceId.1", instance)], "name")
    }
}

struct Article {
    vpc: String,
    gateway: String,
    public: String,
    private: String,
    table: String,
}

/// The first text of an element, anywhere in a document. Empty when there is none.
fn text(body: &str, tag: &str) -> String {
    texts(body, tag).into_iter().next().unwrap_or_default()
}

/// Every text of an element.
fn texts(body: &str, tag: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(body);
    let mut found = Vec::new();
    let mut inside = false;
    let mut current = String::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(start) => {
                inside = start.name().as_ref() == tag;
                current.clear();
            }
            quick_xml::events::Event::Text(part) if inside => current.push_str(&part),
            quick_xml::events::Event::GeneralRef(name) if inside => match &*name {
                "apos" => current.push('\''),
                "quot" => current.push('"'),
                "amp" => current.push('&'),
                "lt" => current.push('<'),
                _ => current.push('>'),
            },
            quick_xml::events::Event::End(_) if inside => {
                found.push(current.clone());
                inside = false;
            }
            quick_xml::events::Event::Eof => return found,
            _ => {}
        }
    }
}

/// How often each value occurs.
fn counted(values: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}
