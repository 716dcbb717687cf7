//! The main job from the command line, end to end on the sandbox: apply, check, destroy.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::Home;

fn tree(home: &Home) -> Value {
    home.json(0, &["--sandbox", "tree", "--output", "json"])
}

/// Every tag value of `natdeck:stack` anywhere in a document.
fn stack_tags(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "natdeck:stack" {
                    found.push(value.as_str().unwrap_or_default().to_owned());
                }
                stack_tags(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| stack_tags(item, found)),
        _ => {}
    }
}

/// What two worlds are compared by: everything but what time alone changes.
pub fn timeless(mut document: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for key in ["observed_at", "last_ping_date_time", "launch_time"] {
                    object.remove(key);
                }
                object.values_mut().for_each(strip);
            }
            Value::Array(items) => {
                // Terminated instances stay visible for a while, on AWS as here.
                items.retain(|item| item["state"] != "terminated");
                items.iter_mut().for_each(strip);
            }
            _ => {}
        }
    }
    strip(&mut document);
    document
}

#[test]
fn apply_check_destroy_on_the_draft() {
    let home = Home::new();
    let before = timeless(tree(&home));

    let check = home.json(1, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(check["ok"], false);
    for row in check["instances"].as_array().unwrap() {
        assert_eq!(row["verdict"], "no_egress", "{row}");
        assert_eq!(row["code"], "NO_ROUTE_TO_DESTINATION", "{row}");
        assert!(row["reason"].as_str().unwrap().contains("rtb-"), "the hop is named: {row}");
    }
    let text = home.expect(1, &["--sandbox", "check"]);
    assert!(text.stdout.contains("no egress"), "{}", text.stdout);

    home.expect(0, &["--sandbox", "apply", "--yes"]);
    let check = home.json(0, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(check["ok"], true);
    let nat = nat_address(&tree(&home));
    let rows = check["instances"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "two private instances and the NAT itself: {check}");
    for row in rows {
        assert_eq!(row["verdict"], "via_nat", "{row}");
        assert_eq!(row["address"], Value::from(nat.clone()), "{row}");
        assert_eq!(row["expected_address"], row["address"]);
        assert!(row["latency_ms"].is_u64(), "{row}");
    }

    let again = home.expect(0, &["--sandbox", "apply", "--yes"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    home.expect(0, &["--sandbox", "plan", "--detailed-exitcode"]);

    home.expect(0, &["--sandbox", "destroy", "--yes"]);
    let after = tree(&home);
    let mut tags = Vec::new();
    stack_tags(&timeless(after.clone()), &mut tags);
    assert!(tags.is_empty(), "nothing carries the tag: {tags:?}");
    assert_eq!(timeless(after), before, "the draft is as it was");
    let check = home.json(1, &["--sandbox", "check", "--output", "json"]);
    assert!(check["instances"].as_array().unwrap().iter().all(|row| row["verdict"] == "no_egress"), "{check}");
}

/// The public address of the one instance that is named for the stack's NAT.
fn nat_address(tree: &Value) -> String {
    let addresses: BTreeSet<&str> = tree["vpcs"][0]["instances"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|instance| instance["public_ip_address"].as_str())
        .collect();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    addresses.into_iter().next().unwrap().to_owned()
}

fn from_nothing(topology: &str, interfaces: usize) {
    let home = Home::new();
    let sandbox = ["--sandbox", "--scenario", "empty"];
    let with = |rest: &[&'static str]| [&sandbox[..], rest].concat();
    home.expect(0, &[&with(&["apply", "--yes", "--topology"])[..], &[topology]].concat());
    let document = tree(&home);
    let vpc = &document["vpcs"][0];
    assert_eq!(vpc["cidr_blocks"][0], "10.8.0.0/16");
    assert_eq!(vpc["subnets"].as_array().unwrap().len(), 2);
    assert_eq!(vpc["vpc_endpoints"].as_array().unwrap().len(), 3);
    let instances = vpc["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 3);
    let nat = instances.iter().find(|i| i["public_ip_address"].is_string()).unwrap();
    assert_eq!(nat["network_interface_ids"].as_array().unwrap().len(), interfaces, "{nat}");
    assert_eq!(nat["http_tokens"], "required");
    assert!(nat["key_name"].is_null(), "no SSH unless asked");
    let check = home.json(0, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(check["ok"], true, "{check}");

    let again = home.expect(0, &["--sandbox", "apply", "--yes", "--topology", topology]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert_eq!(timeless(tree(&home)), timeless(document), "doing it again changes nothing");

    home.expect(0, &["--sandbox", "destroy", "--yes"]);
    assert_eq!(tree(&home)["vpcs"].as_array().unwrap().len(), 0, "nothing is left of what was made");
}

#[test]
fn the_article_from_nothing_with_a_second_interface() {
    from_nothing("second-interface", 2);
}

#[test]
fn the_article_from_nothing_with_a_single_interface() {
    from_nothing("single-interface", 1);
}

#[test]
fn an_elastic_ip_and_no_endpoints_from_nothing() {
    let home = Home::new();
    home.expect(
        0,
        &[
            "--sandbox",
            "--scenario",
            "empty",
            "apply",
            "--yes",
            "--elastic-ip",
            "--no-ssm-endpoints",
            "--stack",
            "shop",
        ],
    );
    let document = tree(&home);
    let addresses = document["vpcs"][0]["addresses"].as_array().unwrap();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    let check = home.json(0, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(check["instances"][0]["address"], addresses[0]["public_ip"], "SSM rode on the NAT: {check}");
    home.expect(0, &["--sandbox", "destroy", "--yes", "--stack", "shop"]);
    let after = tree(&home);
    assert_eq!(after["vpcs"].as_array().unwrap().len(), 0);
    assert_eq!(after["unassociated_addresses"].as_array().unwrap().len(), 0, "the address is released");
}

#[test]
fn read_only_changes_nothing_whatever_the_command() {
    let home = Home::new();
    let before = timeless(tree(&home));
    for command in [&["apply", "--yes"][..], &["destroy", "--yes"]] {
        let ran = home.expect(2, &[&["--sandbox", "--read-only"], command].concat());
        assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
    }
    let check = home.json(3, &["--sandbox", "--read-only", "check", "--output", "json"]);
    assert!(check["instances"].as_array().unwrap().iter().all(|row| row["verdict"] == "cannot_test"), "{check}");
    assert_eq!(timeless(tree(&home)), before);
}
