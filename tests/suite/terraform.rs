//! HashiCorp's AWS provider, which nobody here wrote, against `sandbox serve`: every configuration in
//! tests/fixtures/terraform is applied, planned again, changed, planned again and destroyed.
//!
//! Needs terraform and, in NATDECK_TERRAFORM_PLUGINS, a folder in the layout of a filesystem mirror with the provider in
//! it (tests/run looks for one). Nothing is fetched.

#![expect(clippy::print_stderr, reason = "a test that did not run says so, and one that did how long it took")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::support::Home;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/terraform");

/// The mirror with the provider. `None`, said in words: it or terraform is not here.
fn plugins() -> Option<PathBuf> {
    let Some(mirror) = std::env::var_os("NATDECK_TERRAFORM_PLUGINS").map(PathBuf::from) else {
        eprintln!("Terraform did NOT run: NATDECK_TERRAFORM_PLUGINS does not name a mirror with its AWS provider");
        return None;
    };
    let provider = mirror.join("registry.terraform.io/hashicorp/aws");
    if !provider.is_dir() {
        eprintln!("Terraform did NOT run: there is no AWS provider in {}", provider.display());
        return None;
    }
    let there = Command::new("terraform").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("Terraform did NOT run: there is no terraform command");
        return None;
    }
    Some(mirror)
}

/// A sandbox that listens, in a home of its own, with a working folder for Terraform.
struct Stage {
    home: Home,
    server: Child,
    /// `127.0.0.1:4567`
    address: String,
    mirror: PathBuf,
    began: Instant,
    name: String,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}

impl Stage {
    /// Copies the folders, later ones over earlier ones, and initialises.
    fn new(name: &str, folders: &[&Path], mirror: &Path) -> Self {
        let home = Home::new();
        let work = home.path().join("work");
        fs::create_dir(&work).unwrap();
        for folder in folders {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, work.join(path.file_name().unwrap())).unwrap();
            }
        }
        let rc = format!("provider_installation {{\n  filesystem_mirror {{ path = {:?} }}\n}}\n", mirror.display());
        fs::write(home.path().join("terraform.rc"), rc).unwrap();
        let serve = ["--sandbox", "--scenario", "empty", "--region", "eu-central-1", "sandbox", "serve"];
        let mut command = home.command(&[&serve[..], &["--listen", "127.0.0.1:0"]].concat());
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| Some(line.unwrap().strip_prefix("export AWS_ENDPOINT_URL=http://")?.to_owned()));
        // The rest is read as well, so that the server never writes into a closed pipe.
        std::thread::spawn(move || lines.count());
        let stage = Self {
            home,
            server,
            address: address.expect("the server says where it listens"),
            mirror: mirror.to_owned(),
            began: Instant::now(),
            name: name.to_owned(),
        };
        stage.terraform(0, &["init"]);
        stage
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "sandbox")
            .env("AWS_SECRET_ACCESS_KEY", "sandbox");
    }

    /// Runs terraform and insists on the exit code. What it printed.
    fn terraform(&self, code: i32, arguments: &[&str]) -> String {
        let mut command = Command::new("terraform");
        command
            .current_dir(self.home.path().join("work"))
            .args(arguments)
            .args(["-no-color", "-input=false"])
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TF_CLI_CONFIG_FILE", self.home.path().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        self.environment(&mut command);
        let output = command.output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}: terraform {} (mirror {})\n{printed}",
            self.name,
            arguments.join(" "),
            self.mirror.display()
        );
        printed
    }

    fn apply(&self, more: &[&str]) {
        self.terraform(0, &[&["apply", "-auto-approve"], more].concat());
    }

    /// Plans again: what was applied is what is there.
    fn expect_no_changes(&self, more: &[&str]) {
        let printed = self.terraform(0, &[&["plan", "-detailed-exitcode"], more].concat());
        assert!(printed.contains("No changes."), "{}: {printed}", self.name);
    }

    /// Destroys, and asks AWS what is left.
    fn destroy(&self, more: &[&str]) {
        self.terraform(0, &[&["destroy", "-auto-approve", "-refresh=false"], more].concat());
        assert_eq!(self.left(), Vec::<String>::new(), "{}: left after terraform destroy", self.name);
        eprintln!(
            "terraform: {} applied, unchanged when planned again, and gone in {:?}",
            self.name,
            self.began.elapsed()
        );
    }

    /// Runs natdeck against the endpoint. What it printed as JSON.
    fn natdeck(&self, code: i32, arguments: &[&str]) -> Value {
        let endpoint = format!("http://{}", self.address);
        let all = [&["--endpoint-url", &endpoint], arguments, &["--output", "json"]].concat();
        let mut command = self.home.command(&all);
        self.environment(&mut command);
        let output = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{}: natdeck {arguments:?}\n{stdout}\n{stderr}", self.name);
        serde_json::from_str(&stdout).unwrap()
    }

    /// Sends a request of the query protocol, as the simplest of clients would.
    fn ask(&self, form: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = "Host: sandbox\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close";
        let request = format!("POST / HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{form}: {answer}");
        answer
    }

    /// Every resource of the account that there still is, as the name of its identifier and its value.
    fn left(&self) -> Vec<String> {
        let alive = "&Filter.1.Name=instance-state-name&Filter.1.Value.1=running&Filter.1.Value.2=pending\
                     &Filter.1.Value.3=stopping&Filter.1.Value.4=stopped";
        let open = "&Filter.1.Name=state&Filter.1.Value.1=pending&Filter.1.Value.2=available";
        let mine = "&Filter.1.Name=owner-id&Filter.1.Value.1=123456789012";
        let peered = "&Filter.1.Name=status-code&Filter.1.Value.1=active&Filter.1.Value.2=pending-acceptance";
        let ec2 = [
            ("DescribeVpcs", "", "vpcId"),
            ("DescribeSubnets", "", "subnetId"),
            ("DescribeRouteTables", "", "routeTableId"),
            ("DescribeInternetGateways", "", "internetGatewayId"),
            ("DescribeEgressOnlyInternetGateways", "", "egressOnlyInternetGatewayId"),
            ("DescribeNatGateways", open, "natGatewayId"),
            ("DescribeNetworkInterfaces", "", "networkInterfaceId"),
            ("DescribeInstances", alive, "instanceId"),
            ("DescribeSecurityGroups", "", "groupId"),
            ("DescribeNetworkAcls", "", "networkAclId"),
            ("DescribeAddresses", "", "allocationId"),
            ("DescribeVpcEndpoints", "", "vpcEndpointId"),
            ("DescribeVolumes", "", "volumeId"),
            ("DescribeSnapshots", "&Owner.1=self", "snapshotId"),
            ("DescribeKeyPairs", "", "keyPairId"),
            ("DescribeLaunchTemplates", "", "launchTemplateId"),
            ("DescribeManagedPrefixLists", mine, "prefixListId"),
            ("DescribeVpcPeeringConnections", peered, "vpcPeeringConnectionId"),
            ("DescribeFlowLogs", "", "flowLogId"),
            ("DescribePlacementGroups", "", "groupId"),
        ];
        let iam = [("ListRoles", "", "RoleName"), ("ListInstanceProfiles", "", "InstanceProfileName")];
        let policies = [("ListPolicies", "&Scope=Local", "PolicyName")];
        let all = ec2.iter().map(|of| ("2016-11-15", of));
        let all = all.chain(iam.iter().chain(&policies).map(|of| ("2010-05-08", of)));
        let mut left = Vec::new();
        for (version, (action, more, id)) in all {
            let answer = self.ask(&format!("Action={action}&Version={version}{more}"));
            let (open, close) = (format!("<{id}>"), format!("</{id}>"));
            let found = answer.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
            left.extend(found.map(|value| format!("{id} {value}")));
        }
        left.sort();
        left.dedup();
        left
    }
}

/// Applies, plans again, changes what `change.tfvars` of the folder says, plans again and destroys.
fn round(stage: &Stage, extra: impl Fn(&Stage)) {
    stage.apply(&[]);
    stage.expect_no_changes(&[]);
    extra(stage);
    let mut last: Vec<&str> = Vec::new();
    if stage.home.path().join("work/change.tfvars").exists() {
        last.push("-var-file=change.tfvars");
        stage.terraform(2, &[&["plan", "-detailed-exitcode"], last.as_slice()].concat());
        stage.apply(&last);
        stage.expect_no_changes(&last);
        extra(stage);
    }
    stage.destroy(&last);
}

/// Both private instances leave by the NAT, and the tree shows what the article draws.
fn the_article_works(stage: &Stage) {
    let tree = stage.natdeck(0, &["tree"]);
    let vpc = &tree["vpcs"][0];
    assert_eq!(vpc["cidr_blocks"][0], "10.8.0.0/16", "{tree}");
    let count = |part: &str| vpc[part].as_array().map_or(0, Vec::len);
    assert_eq!(
        (count("subnets"), count("instances"), count("vpc_endpoints"), count("internet_gateways")),
        (2, 3, 3, 1),
        "{tree}"
    );
    let check = stage.natdeck(0, &["check"]);
    let mut verdicts: Vec<(&str, &str)> = check["instances"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some((row["name"].as_str()?, row["verdict"].as_str()?)))
        .filter(|(name, _)| name.starts_with("Private-Instance"))
        .collect();
    verdicts.sort_unstable();
    assert_eq!(verdicts, [("Private-Instance-0", "via_nat"), ("Private-Instance-1", "via_nat")], "{check}");
}

#[test]
fn every_fixture_applies_plans_empty_changes_and_leaves_nothing_behind() {
    let Some(mirror) = plugins() else { return };
    let mut folders: Vec<PathBuf> = fs::read_dir(FIXTURES).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 6, "{folders:?}");
    // Terraform mostly waits, for its own pauses between two looks: side by side they take the time of the longest.
    std::thread::scope(|scope| {
        for folder in &folders {
            let (mirror, article) = (&mirror, folder.with_file_name("article"));
            scope.spawn(move || {
                let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                match name.as_str() {
                    "article" => round(&Stage::new(&name, &[folder], mirror), the_article_works),
                    // Only what differs from the article is in the folder.
                    "article-al2" => round(&Stage::new(&name, &[&article, folder], mirror), the_article_works),
                    _ => round(&Stage::new(&name, &[folder], mirror), |_| {}),
                }
            });
        }
    });
}
