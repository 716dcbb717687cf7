//! The article by hand: its whole set-up with the aws CLI alone, against `sandbox serve`.

use std::process::Command;

use super::witness::{Served, file, witness};

/// Any key will do: nobody logs in.
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAgZNyvfVpYvPo5TsXpSVoDTF1s1bzrWtD6ZjsIzjB2Z someone@somewhere\n";

#[test]
fn the_articles_set_up_made_with_the_aws_cli_prints_one_address_three_times() {
    let sandbox = Served::start();
    let key = sandbox.home.path().join("id_ed25519.pub");
    std::fs::write(&key, PUBLIC_KEY).unwrap();
    let aws = witness("aws");
    let mut path = vec![aws.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("bash")
        .arg(file("article.sh"))
        .arg(&key)
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", sandbox.home.path())
        .env("AWS_ENDPOINT_URL", &sandbox.url)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "sandbox")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .env("AWS_PAGER", "")
        .env("AWS_MAX_ATTEMPTS", "1")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let address = stdout.lines().find_map(|line| line.strip_prefix("NAT ")).unwrap_or_else(|| panic!("{stdout}"));
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
    let answers: Vec<Vec<&str>> = stdout
        .lines()
        .filter(|line| line.starts_with("i-"))
        .map(|line| line.split_whitespace().skip(1).collect())
        .collect();
    assert_eq!(answers, vec![vec!["Success", "0", address]; 3], "{stdout}\n{stderr}");
}
