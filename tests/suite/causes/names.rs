//! Names and the VPC's DHCP options set: servers that nobody reaches, others that work, and a set that may not be read.

use natdeck::model::InstanceId;
use natdeck::plan::repair;
use natdeck::reach::{Cause, Disposition, Severity};
use natdeck::sandbox::causes::{self, Scene};
use natdeck::sandbox::wire::{Request, Service};
use natdeck::sandbox::world::World;

use super::operator::Operator;
use super::sight::curl;
use super::worlds::{Shape, build};

fn send(world: &mut World, action: &str, pairs: &[(&str, &str)]) -> String {
    let response = world.handle(&Request::query(Service::Ec2, action, pairs.iter().copied()));
    assert_eq!(response.status, 200, "{action} {pairs:?}: {}", response.body);
    let id = response.body.split_once("<dhcpOptionsId>").and_then(|(_, rest)| rest.split_once('<'));
    id.map(|(id, _)| id.to_owned()).unwrap_or_default()
}

/// The VPC's instances are told of another name server. The set that the region has by default, and this one.
fn tell(world: &mut World, scene: &Scene, server: &str) -> (String, String) {
    let default = send(world, "DescribeDhcpOptions", &[]);
    let pairs = [("DhcpConfiguration.1.Key", "domain-name-servers"), ("DhcpConfiguration.1.Value.1", server)];
    let made = send(world, "CreateDhcpOptions", &pairs);
    associate(world, scene, &made);
    (default, made)
}

fn associate(world: &mut World, scene: &Scene, set: &str) {
    send(world, "AssociateDhcpOptions", &[("DhcpOptionsId", set), ("VpcId", scene.vpc.as_str())]);
}

fn world() -> (World, Scene, InstanceId) {
    let built = build(&Shape::simple(true), 1);
    let client = built.clients[0].clone();
    let scene = Scene::find(&built.world, Some(&client)).unwrap();
    (built.world, scene, client)
}

#[tokio::test]
async fn a_set_that_names_a_server_nobody_reaches_is_why_names_do_not_resolve() {
    let (mut world, scene, client) = world();
    let (default, made) = tell(&mut world, &scene, "10.8.2.199");
    let got = curl(&mut world, &client).unwrap_err();
    assert!(got.contains("Resolving"), "{got}");
    let operator = Operator::at(world).await;
    let seen = operator.look(&client).await;
    let first = seen.said.findings.first().unwrap();
    assert_eq!((first.cause, first.severity), (Cause::ClientDns, Severity::Breaks), "{:#?}", seen.said.findings);
    assert_ne!(seen.said.disposition, Disposition::Delivered);
    let decides = &first.evidence[0];
    assert_eq!(decides.source, format!("DescribeDhcpOptions {made}"));
    assert!(decides.text.contains("domain-name-servers = [10.8.2.199]"), "{}", decides.text);
    assert!(repair::repair(first, &seen.network).is_none(), "a set is for all of a VPC, and somebody's choice");
    operator.world(|world| associate(world, &scene, &default));
    for _ in 0..3 {
        operator.world(World::touch);
        operator.look(&client).await;
    }
    let seen = operator.look(&client).await;
    assert_eq!(seen.said.disposition, Disposition::Delivered, "{:#?}", seen.said.findings);
    assert!(seen.said.findings.is_empty(), "{:#?}", seen.said.findings);
}

#[tokio::test]
async fn with_a_resolver_of_ones_own_the_vpcs_may_be_off() {
    let (mut world, scene, client) = world();
    tell(&mut world, &scene, "8.8.8.8");
    send(&mut world, "ModifyVpcAttribute", &[("VpcId", scene.vpc.as_str()), ("EnableDnsSupport.Value", "false")]);
    assert!(curl(&mut world, &client).is_ok());
    let operator = Operator::at(world.clone()).await;
    let said = operator.look(&client).await.said;
    assert_eq!(said.disposition, Disposition::Delivered, "{:#?}", said.findings);
    assert_eq!(said.first_break(), None);
    causes::inject(&mut world, &scene, Cause::HostNoMasquerade).unwrap();
    let operator = Operator::at(world).await;
    let said = operator.look(&client).await.said;
    let first = said.first_break().unwrap();
    assert_eq!(first.cause, Cause::HostNoMasquerade, "the server out there fails with everything else");
}

#[tokio::test]
async fn a_set_that_may_not_be_read_is_said_and_not_guessed() {
    let (mut world, scene, client) = world();
    tell(&mut world, &scene, "10.8.2.199");
    world.denied.insert("ec2:DescribeDhcpOptions".to_owned());
    let operator = Operator::at(world).await;
    let seen = operator.look(&client).await;
    assert_ne!(seen.said.disposition, Disposition::Delivered);
    let told = seen.said.unknown.iter().any(|unknown| unknown.what.contains("DescribeDhcpOptions"));
    assert!(told, "{:#?}", seen.said.unknown);
    let set = seen.network.vpcs.shown()[scene.vpc.as_str()].dhcp_options.clone().unwrap();
    assert!(set.dhcp_options_id.starts_with("dopt-") && set.domain_name_servers.is_none(), "{set:?}");
}
