//! A few causes by the binary, as a person at a terminal meets them: broken, diagnosed, repaired with `--fix --yes`.

use serde_json::Value;

use crate::support::Home;

/// A home whose sandbox is the article, with what it takes to break it.
fn article() -> Home {
    let home = Home::new();
    home.expect(0, &["--sandbox", "--scenario", "article", "check"]);
    home
}

/// The first private instance that the check names.
fn client(home: &Home) -> String {
    let report = home.json(0, &["--sandbox", "check", "--output", "json"]);
    report["instances"][0]["instance_id"].as_str().unwrap().to_owned()
}

fn codes(document: &Value) -> Vec<&str> {
    document["findings"].as_array().unwrap().iter().filter_map(|finding| finding["code"].as_str()).collect()
}

#[test]
fn the_binary_breaks_diagnoses_and_repairs() {
    let home = article();
    let client = client(&home);
    home.expect(0, &["--sandbox", "diagnose", &client]);
    for cause in
        ["NO_ROUTE_TO_DESTINATION", "ENI_SOURCE_DEST_CHECK_RESTRICTION", "HOST_IP_FORWARD_OFF", "HOST_NO_MASQUERADE"]
    {
        home.expect(0, &["sandbox", "break", cause]);
        home.expect(1, &["--sandbox", "check"]);
        let said = home.json(1, &["--sandbox", "diagnose", &client, "--output", "json"]);
        assert_eq!(codes(&said), [cause], "{said}");
        assert!(said["findings"][0]["repair"]["commands"].as_array().is_some_and(|c| !c.is_empty()), "{said}");
        let fixed = home.expect(0, &["--sandbox", "diagnose", &client, "--fix", "--yes"]);
        assert!(fixed.stderr.contains(cause) && fixed.stderr.contains("repair: "), "{}", fixed.stderr);
        home.expect(0, &["--sandbox", "check"]);
    }
}

#[test]
fn nothing_is_repaired_without_a_yes_or_against_a_refusal() {
    let home = article();
    let client = client(&home);
    home.expect(0, &["sandbox", "break", "NO_ROUTE_TO_DESTINATION"]);
    let asked = home.run(&["--sandbox", "diagnose", &client, "--fix"]);
    assert_ne!(asked.code, 0, "no terminal, no yes\n{}", asked.stderr);
    home.expect(2, &["--sandbox", "--read-only", "diagnose", &client, "--fix", "--yes"]);
    let refused = home
        .expect(2, &["--sandbox", "--sandbox-fault", "deny=ec2:CreateRoute", "diagnose", &client, "--fix", "--yes"]);
    assert!(refused.stderr.contains("ec2:CreateRoute"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("none was begun"),
        "the dry run says so before anything is done\n{}",
        refused.stderr
    );
    let said = home.json(1, &["--sandbox", "diagnose", &client, "--output", "json"]);
    assert_eq!(codes(&said), ["NO_ROUTE_TO_DESTINATION"], "{said}");
}

#[test]
fn what_cannot_be_broken_leaves_nothing_behind() {
    let home = article();
    let client = client(&home);
    home.expect(0, &["sandbox", "break", "HOST_INTERFACE_DOWN"]);
    // Its route needs the interface that is down; half of it would be done before that shows.
    let refused = home.expect(2, &["sandbox", "break", "HOST_DEFAULT_ROUTE_WRONG"]);
    assert!(refused.stderr.contains("Network is down"), "{}", refused.stderr);
    let said = home.json(1, &["--sandbox", "diagnose", &client, "--output", "json"]);
    assert_eq!(codes(&said), ["HOST_INTERFACE_DOWN"], "{said}");
}

#[test]
fn an_address_that_nobody_has_is_told_apart_from_a_path_that_is_broken() {
    let home = article();
    let client = client(&home);
    let said = home.json(1, &["--sandbox", "diagnose", &client, "--to", "10.8.2.250:443", "--output", "json"]);
    assert_eq!(codes(&said), ["NO_SUCH_ADDRESS"], "{said}");
    let text = home.expect(1, &["--sandbox", "diagnose", &client, "--to", "10.8.2.250:443"]).stdout;
    assert!(text.contains("by hand: Ask for another address."), "{text}");
    assert_eq!(said["findings"][0]["by_hand"], "Ask for another address.", "{said}");
    let report = home.path().join("no-such-address.md");
    home.expect(1, &["--sandbox", "diagnose", &client, "--to", "10.8.2.250:443", "--report", report.to_str().unwrap()]);
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("**By hand:** Ask for another address."), "{report}");
}
