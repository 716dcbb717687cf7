//! SSM's rules, on the scenarios' worlds.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::model::{InstanceId, Peer};
use crate::sandbox::scenario::Scenario;
use crate::sandbox::wire::Service;

const START: i64 = 1_790_000_000;

fn world(scenario: Scenario) -> World {
    scenario.build("eu-central-1", 1, Timestamp::from_second(START).unwrap()).unwrap()
}

fn call(world: &mut World, action: &str, body: Value) -> Result<Value, ApiError> {
    dispatch(world, &Request::json(Service::Ssm, action, body)).map(|body| match body {
        Body::Json(value) => value,
        Body::Xml(_) => panic!("SSM answers in JSON"),
    })
}

fn code(world: &mut World, action: &str, body: Value) -> String {
    call(world, action, body).expect_err(action).code
}

fn later(world: &mut World, milliseconds: u64) {
    let then = world.now + Duration::from_millis(milliseconds);
    world.advance(then);
}

fn request(world: &mut World, service: Service, action: &str, pairs: &[(&str, &str)]) {
    let response = world.handle(&Request::query(service, action, pairs.iter().copied()));
    assert_eq!(response.status, 200, "{action}: {}", response.body);
}

fn instance(world: &World, name: &str) -> String {
    let mut instances = world.network.instances.shown().values();
    instances.find(|i| i.tags.name() == Some(name)).unwrap().instance_id.as_str().to_owned()
}

fn group(world: &World, name: &str) -> String {
    let mut groups = world.network.security_groups.shown().values();
    groups.find(|g| g.group_name == name).unwrap().group_id.as_str().to_owned()
}

/// Instance and ping status of each that SSM lists.
fn listed(world: &mut World) -> Vec<(String, String)> {
    let answer = call(world, "DescribeInstanceInformation", json!({})).unwrap();
    let entries = answer["InstanceInformationList"].as_array().unwrap();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries.iter().map(|entry| (text(entry, "InstanceId"), text(entry, "PingStatus"))).collect()
}

fn ping(world: &mut World, id: &str) -> Option<String> {
    listed(world).into_iter().find(|(listed, _)| listed == id).map(|(_, status)| status)
}

fn send(world: &mut World, ids: &[&str], commands: &[&str]) -> String {
    let body = json!({
        "DocumentName": "AWS-RunShellScript", "InstanceIds": ids, "Parameters": { "commands": commands },
    });
    let answer = call(world, "SendCommand", body).unwrap();
    answer["Command"]["CommandId"].as_str().unwrap().to_owned()
}

fn result(world: &mut World, command: &str, id: &str) -> Value {
    call(world, "GetCommandInvocation", json!({ "CommandId": command, "InstanceId": id })).unwrap()
}

#[test]
fn private_instances_with_endpoints_are_online_and_pages_have_five_at_least() {
    let mut world = world(Scenario::Draft);
    let all = listed(&mut world);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(_, status)| status == "Online"), "{all:?}");
    for size in [4, 51] {
        let body = json!({ "MaxResults": size });
        assert_eq!(code(&mut world, "DescribeInstanceInformation", body), "ValidationException", "{size}");
    }
    let filter = json!({ "Filters": [{ "Key": "InstanceIds", "Values": [all[1].0] }] });
    let one = call(&mut world, "DescribeInstanceInformation", filter).unwrap();
    assert_eq!(one["InstanceInformationList"].as_array().unwrap().len(), 1);
    assert_eq!(one["InstanceInformationList"][0]["InstanceId"], all[1].0);
    let wrong = json!({ "Filters": [{ "Key": "Colour", "Values": ["red"] }] });
    assert_eq!(code(&mut world, "DescribeInstanceInformation", wrong), "InvalidFilterKey");
}

#[test]
fn one_instance_that_is_not_registered_fails_the_whole_call() {
    let mut world = world(Scenario::Draft);
    let good = instance(&world, "Private-Instance-0");
    let body = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": [good, "i-0123456789abcdef0"],
        "Parameters": { "commands": ["true"] },
    });
    let error = call(&mut world, "SendCommand", body).unwrap_err();
    assert_eq!(error.code, "InvalidInstanceId");
    assert!(error.message.contains("i-0123456789abcdef0") && !error.message.contains(&good), "{}", error.message);
    assert!(world.ssm.commands.is_empty());
}

#[test]
fn send_command_refuses_what_its_model_forbids() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let base = json!({
        "DocumentName": "AWS-RunShellScript", "InstanceIds": [id], "Parameters": { "commands": ["true"] },
    });
    let with = |key: &str, value: Value| {
        let mut body = base.clone();
        body[key] = value;
        body
    };
    let many: Vec<String> = (0..51).map(|n| format!("i-{n:017x}")).collect();
    for (body, expected) in [
        (with("InstanceIds", json!(many)), "ValidationException"),
        (with("InstanceIds", json!([id, id])), "DuplicateInstanceId"),
        (with("InstanceIds", json!([])), "ValidationException"),
        (with("InstanceIds", json!(["host"])), "ValidationException"),
        (with("DocumentName", json!("AWS-Nonsense")), "InvalidDocument"),
        (with("TimeoutSeconds", json!(29)), "ValidationException"),
        (with("TimeoutSeconds", json!(2_592_001)), "ValidationException"),
        (with("Parameters", json!({})), "InvalidParameters"),
        (with("Parameters", json!({ "commands": ["true"], "colour": ["red"] })), "InvalidParameters"),
        (with("Parameters", json!({ "commands": ["true"], "executionTimeout": ["0"] })), "InvalidParameters"),
        (with("Parameters", json!({ "commands": "true" })), "SerializationException"),
        (with("Targets", json!([{ "Key": "tag:Name", "Values": ["x"] }])), "ValidationException"),
    ] {
        assert_eq!(code(&mut world, "SendCommand", body.clone()), expected, "{body}");
    }
}

#[test]
fn a_command_is_pending_then_in_progress_then_done_and_says_nothing_before() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let command = send(&mut world, &[&id], &["sleep 10", "echo out", "echo err >&2", "exit 3"]);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["ResponseCode"]), (&json!("Pending"), &json!(-1)));
    later(&mut world, 100);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["ResponseCode"]), (&json!("InProgress"), &json!(-1)));
    assert_eq!(answer["StandardOutputContent"], "");
    // Ten simulated seconds pass in half a second.
    later(&mut world, 600);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["ResponseCode"]), (&json!("Failed"), &json!(3)));
    assert_eq!(answer["StandardOutputContent"], "out\n");
    assert_eq!(answer["StandardErrorContent"], "err\nfailed to run commands: exit status 3");
    assert!(answer["ExecutionElapsedTime"].as_str().unwrap().starts_with("PT10."), "{answer}");
    let listed = call(&mut world, "ListCommands", json!({ "CommandId": command })).unwrap();
    assert_eq!(listed["Commands"][0]["ErrorCount"], 1);
}

#[test]
fn a_private_instance_reaches_the_outside_through_the_nat_and_not_without() {
    for (scenario, expected) in [(Scenario::Draft, 28), (Scenario::Article, 0)] {
        let mut world = world(scenario);
        let id = instance(&world, "Private-Instance-1");
        let command = send(&mut world, &[&id], &["curl -sS --max-time 10 https://api.ipify.org"]);
        later(&mut world, 2000);
        let answer = result(&mut world, &command, &id);
        assert_eq!(answer["ResponseCode"], expected, "{scenario}: {answer}");
        let nat = world.network.instances.shown().values().find_map(|instance| instance.public_ip);
        let seen = nat.map(|address| address.to_string()).unwrap_or_default();
        assert_eq!(answer["StandardOutputContent"], seen, "{scenario}");
    }
}

#[test]
fn just_after_sending_nothing_is_found_under_eventual_consistency() {
    let mut world = world(Scenario::Draft);
    world.consistency = Duration::from_secs(2);
    let id = instance(&world, "Private-Instance-0");
    let command = send(&mut world, &[&id], &["true"]);
    later(&mut world, 1000);
    let one = json!({ "CommandId": command, "InstanceId": id });
    assert_eq!(code(&mut world, "GetCommandInvocation", one), "InvocationDoesNotExist");
    let list = json!({ "CommandId": command, "Details": true });
    let none = call(&mut world, "ListCommandInvocations", list.clone()).unwrap();
    assert_eq!(none["CommandInvocations"], json!([]));
    later(&mut world, 1500);
    assert_eq!(result(&mut world, &command, &id)["Status"], "Success");
    let found = call(&mut world, "ListCommandInvocations", list).unwrap();
    assert_eq!(found["CommandInvocations"][0]["CommandPlugins"][0]["ResponseCode"], 0);
}

#[test]
fn an_agent_whose_endpoint_is_closed_is_lost_after_a_while_and_comes_back() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let rule = [
        ("GroupId", group(&world, "endpoints")),
        ("IpPermissions.1.IpProtocol", "tcp".to_owned()),
        ("IpPermissions.1.FromPort", "443".to_owned()),
        ("IpPermissions.1.ToPort", "443".to_owned()),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.8.0.0/16".to_owned()),
    ];
    let rule: Vec<(&str, &str)> = rule.iter().map(|(key, value)| (*key, value.as_str())).collect();
    request(&mut world, Service::Ec2, "RevokeSecurityGroupIngress", &rule);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("Online"), "not noticed yet");
    later(&mut world, 1000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("ConnectionLost"));
    assert!(matches!(obstacle(&world, &InstanceId::new(id.as_str())), Some(Obstacle::NoPath { .. })));

    // A command is taken, and not delivered in time: 30 seconds, which pass in 0.6.
    let body = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": [id],
        "TimeoutSeconds": 30,
        "Parameters": { "commands": ["true"] },
    });
    let command = call(&mut world, "SendCommand", body).unwrap();
    let command = command["Command"]["CommandId"].as_str().unwrap().to_owned();
    later(&mut world, 400);
    assert_eq!(result(&mut world, &command, &id)["Status"], "Pending");
    later(&mut world, 400);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["StatusDetails"]), (&json!("TimedOut"), &json!("Delivery Timed Out")));
    assert_eq!(answer["ResponseCode"], -1);

    request(&mut world, Service::Ec2, "AuthorizeSecurityGroupIngress", &rule);
    later(&mut world, 1000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("Online"));
}

#[test]
fn a_command_that_waits_is_delivered_when_the_agent_comes_back() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let policy = [("RoleName", "ssm-role"), ("PolicyArn", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")];
    request(&mut world, Service::Iam, "DetachRolePolicy", &policy);
    later(&mut world, 1000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("ConnectionLost"), "the role may no longer");
    let command = send(&mut world, &[&id], &["echo here"]);
    later(&mut world, 1000);
    assert_eq!(result(&mut world, &command, &id)["Status"], "Pending");
    request(&mut world, Service::Iam, "AttachRolePolicy", &policy);
    later(&mut world, 1000);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["StandardOutputContent"]), (&json!("Success"), &json!("here\n")));
}

#[test]
fn without_endpoints_the_agent_rides_on_the_nat_and_dies_with_its_route() {
    let mut world = world(Scenario::Article);
    let id = instance(&world, "Private-Instance-0");
    let ids: Vec<String> = world.network.vpc_endpoints.shown().keys().map(str::to_owned).collect();
    for endpoint in &ids {
        request(&mut world, Service::Ec2, "DeleteVpcEndpoints", &[("VpcEndpointId.1", endpoint)]);
    }
    later(&mut world, 3000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("Online"));
    let mut tables = world.network.route_tables.shown().values();
    let table = tables.find(|t| t.tags.name() == Some("private-rtb")).unwrap().route_table_id.as_str().to_owned();
    let route = [("RouteTableId", table.as_str()), ("DestinationCidrBlock", "0.0.0.0/0")];
    request(&mut world, Service::Ec2, "DeleteRoute", &route);
    later(&mut world, 1000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("ConnectionLost"));
}

#[test]
fn stopped_instances_are_not_listed() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    request(&mut world, Service::Ec2, "StopInstances", &[("InstanceId.1", &id)]);
    later(&mut world, 1000);
    assert_eq!(ping(&mut world, &id), None);
    request(&mut world, Service::Ec2, "StartInstances", &[("InstanceId.1", &id)]);
    later(&mut world, 2000);
    assert_eq!(ping(&mut world, &id).as_deref(), Some("Online"));
}

#[test]
fn a_script_that_takes_longer_than_it_may_is_timed_out() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let body = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": [id],
        "Parameters": { "commands": ["sleep 60"], "executionTimeout": ["20"] },
    });
    let command = call(&mut world, "SendCommand", body).unwrap();
    let command = command["Command"]["CommandId"].as_str().unwrap().to_owned();
    later(&mut world, 1500);
    let answer = result(&mut world, &command, &id);
    assert_eq!((&answer["Status"], &answer["StatusDetails"]), (&json!("TimedOut"), &json!("Execution Timed Out")));
    assert_eq!(answer["ExecutionElapsedTime"], "PT20.000S");
}

#[test]
fn a_cancelled_command_stays_cancelled() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let command = send(&mut world, &[&id], &["sleep 600"]);
    later(&mut world, 200);
    call(&mut world, "CancelCommand", json!({ "CommandId": command })).unwrap();
    assert_eq!(result(&mut world, &command, &id)["Status"], "Cancelled");
    later(&mut world, 60_000);
    assert_eq!(result(&mut world, &command, &id)["Status"], "Cancelled");
    let unknown = json!({ "CommandId": "00000000-0000-4000-8000-000000000000" });
    assert_eq!(code(&mut world, "CancelCommand", unknown), "InvalidCommandId");
}

#[test]
fn output_is_cut_to_24000_characters_and_to_2500_in_the_list() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let long = format!("echo {}", "x".repeat(30_000));
    let command = send(&mut world, &[&id], &[&long]);
    later(&mut world, 1000);
    let answer = result(&mut world, &command, &id);
    assert_eq!(answer["StandardOutputContent"].as_str().unwrap().chars().count(), 24_000);
    let list = call(&mut world, "ListCommandInvocations", json!({ "CommandId": command, "Details": true })).unwrap();
    let plugin = &list["CommandInvocations"][0]["CommandPlugins"][0];
    assert_eq!(plugin["Output"].as_str().unwrap().chars().count(), 2_500);
}

#[test]
fn targets_choose_by_tag_and_may_choose_nobody() {
    let mut world = world(Scenario::Draft);
    let send = |world: &mut World, value: &str| {
        let body = json!({
            "DocumentName": "AWS-RunShellScript",
            "Targets": [{ "Key": "tag:Name", "Values": [value] }],
            "Parameters": { "commands": ["true"] },
        });
        call(world, "SendCommand", body).unwrap()["Command"].clone()
    };
    assert_eq!(send(&mut world, "Private-Instance-1")["TargetCount"], 1);
    let nobody = send(&mut world, "Nobody");
    assert_eq!((&nobody["TargetCount"], &nobody["StatusDetails"]), (&json!(0), &json!("NoInstancesInTag")));
}

#[test]
fn an_instance_without_a_profile_is_never_listed() {
    let mut world = world(Scenario::Draft);
    let subnet = world.network.instances.shown().values().next().unwrap().subnet_id.clone().unwrap();
    let image = super::super::ec2::IMAGES[0].image_id;
    let launch = [
        ("ImageId", image),
        ("InstanceType", "t4g.nano"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
    ];
    request(&mut world, Service::Ec2, "RunInstances", &launch);
    later(&mut world, 60_000);
    assert_eq!(listed(&mut world).len(), 2);
}

#[test]
fn public_image_parameters_resolve_to_images_and_others_are_not_found() {
    let mut world = world(Scenario::Empty);
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64";
    let answer = call(&mut world, "GetParameter", json!({ "Name": name })).unwrap();
    assert!(answer["Parameter"]["Value"].as_str().unwrap().starts_with("ami-"));
    assert_eq!(code(&mut world, "GetParameter", json!({ "Name": "/mine" })), "ParameterNotFound");
    let many = call(&mut world, "GetParameters", json!({ "Names": [name, "/mine"] })).unwrap();
    assert_eq!(many["Parameters"].as_array().unwrap().len(), 1);
    assert_eq!(many["InvalidParameters"], json!(["/mine"]));
    let path = json!({ "Path": "/aws/service/ami-amazon-linux-latest" });
    let all = call(&mut world, "GetParametersByPath", path).unwrap();
    assert!(all["Parameters"].as_array().unwrap().len() >= 4);
}

#[test]
fn a_session_is_refused_with_a_reason() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let error = call(&mut world, "StartSession", json!({ "Target": id })).unwrap_err();
    assert!(error.message.contains(&format!("natdeck sandbox shell {id}")), "{error}");
    let status = call(&mut world, "GetConnectionStatus", json!({ "Target": id })).unwrap();
    assert_eq!(status["Status"], "connected");
    let gone = json!({ "Target": "i-0123456789abcdef0" });
    assert_eq!(code(&mut world, "StartSession", gone), "TargetNotConnected");
}

#[test]
fn an_instance_in_nobodys_rule_is_not_its_peer() {
    // The rule that opens the endpoints names the VPC's range; were it to name another, agents would not be online.
    let mut world = world(Scenario::Draft);
    let id = group(&world, "endpoints");
    let group = world.network.security_groups.items_mut().get_mut(&id).unwrap();
    for rule in &mut group.rules {
        if let Peer::Ipv4(range) = &mut rule.peer {
            *range = "192.168.0.0/16".parse().unwrap();
        }
    }
    world.touch();
    later(&mut world, 1000);
    assert!(listed(&mut world).iter().all(|(_, status)| status == "ConnectionLost"));
}

mod documents;
mod store;
