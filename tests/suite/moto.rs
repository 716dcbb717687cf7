//! A witness that is not ours: moto imitates AWS independently of the sandbox. natdeck must see in it what boto3 made,
//! and must come to a clear end where moto lacks something.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Home, Ran, finish};
use super::witness::{Moto, python};

impl Moto {
    fn natdeck(&self, home: &Home, arguments: &[&str]) -> Ran {
        let output = home
            .command(arguments)
            .args(["--endpoint-url", &self.url, "--region", "eu-central-1"])
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        finish(&output)
    }

    fn article(&self) -> Value {
        serde_json::from_str(&python("article.py", &[&self.url])).unwrap()
    }
}

fn ids(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_tree_shows_every_resource_that_boto3_made_in_moto() {
    let moto = Moto::start();
    let made = moto.article();
    let ran = moto.natdeck(&Home::new(), &["tree", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["world"], moto.url.as_str());
    let vpc = document["vpcs"].as_array().unwrap().iter().find(|vpc| vpc["vpc_id"] == made["vpc_id"]).unwrap();
    for (kind, key) in [
        ("subnets", "subnet_id"),
        ("route_tables", "route_table_id"),
        ("internet_gateways", "internet_gateway_id"),
        ("security_groups", "group_id"),
        ("instances", "instance_id"),
        ("network_interfaces", "network_interface_id"),
        ("vpc_endpoints", "vpc_endpoint_id"),
    ] {
        let shown = ids(&vpc[kind], key);
        for id in made[kind].as_array().unwrap() {
            assert!(shown.contains(&id.as_str().unwrap().to_owned()), "{kind}: {id} is not in {shown:?}");
        }
    }
    assert_eq!(vpc["enable_dns_hostnames"], true);
    let private = made["route_tables"][1].as_str().unwrap();
    let table = vpc["route_tables"].as_array().unwrap().iter().find(|t| t["route_table_id"] == private).unwrap();
    let default = table["routes"].as_array().unwrap().iter().find(|r| r["destination_cidr_block"] == "0.0.0.0/0");
    assert_eq!(default.unwrap()["network_interface_id"], made["inner_interface"]);
    let inner = vpc["network_interfaces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["network_interface_id"] == made["inner_interface"])
        .unwrap();
    assert_eq!(inner["source_dest_check"], false);
    assert_eq!(inner["attachment"]["device_index"], 1);
}

#[test]
fn apply_in_moto_builds_what_moto_can_and_ends_with_a_clear_word() {
    let moto = Moto::start();
    let home = Home::new();
    let started = Instant::now();
    let ran = moto.natdeck(&home, &["apply", "--yes"]);
    assert!(started.elapsed() < Duration::from_secs(400), "it does not hang: {:?}", started.elapsed());
    // moto runs no host, so no SSM agent ever answers: everything else is built, and the last word says so.
    assert!(matches!(ran.code, 2 | 3), "{}\n{}", ran.code, ran.stderr);
    let document = moto.natdeck(&home, &["tree", "--output", "json"]);
    let document: Value = serde_json::from_str(&document.stdout).unwrap();
    let vpc = document["vpcs"].as_array().unwrap().iter().find(|vpc| vpc["tags"]["natdeck:stack"] == "natdeck");
    let vpc = vpc.unwrap_or_else(|| panic!("{}", ran.stderr));
    assert_eq!(vpc["instances"].as_array().unwrap().len(), 3, "{}", ran.stderr);
    assert_eq!(vpc["vpc_endpoints"].as_array().unwrap().len(), 3);
    assert_eq!(vpc["subnets"].as_array().unwrap().len(), 2);
}
