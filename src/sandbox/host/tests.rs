//! The machine from outside: the article's commands, boot, replayed user data, the shell against real bash.

mod scripts;

mod fuzz;

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::model::Protocol;
use crate::model::host::{HostRouteKind, MAIN_TABLE, Match, Target};

/// An internet that answers, or does not.
struct World {
    egress: bool,
    dns: bool,
}

const OPEN: World = World { egress: true, dns: true };

impl Outside for World {
    fn resolve(&self, _machine: &Machine, name: &str) -> Result<IpAddr, ResolveError> {
        match name {
            _ if !self.dns => Err(ResolveError::TimedOut),
            "nope.invalid" => Err(ResolveError::NoSuchHost),
            _ => Ok([93, 184, 216, 34].into()),
        }
    }

    fn connect(&self, _machine: &Machine, _to: IpAddr, port: u16, _protocol: Protocol) -> Reached {
        match port {
            81 => Reached::Refused,
            _ if !self.egress => Reached::TimedOut,
            _ => Reached::Delivered { source: [3, 64, 126, 205].into(), rtt: Duration::from_millis(12) },
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000).expect("in range")
    }
}

fn nic(index: u32, ip: [u8; 4], subnet: &str) -> Nic {
    Nic {
        device_index: index,
        network_interface_id: format!("eni-0{index}"),
        mac_address: format!("0e:00:00:00:00:0{index}"),
        private_ip: ip.into(),
        secondary_ips: Vec::new(),
        subnet_id: format!("subnet-{index}"),
        subnet: subnet.parse().expect("a network"),
        vpc_id: "vpc-1".to_owned(),
        vpc_cidrs: vec!["10.8.0.0/16".parse().expect("a network")],
        public_ip: None,
        security_group_ids: vec!["sg-1".to_owned()],
        ipv6_addresses: Vec::new(),
        ipv6_subnet: None,
    }
}

fn outer() -> Nic {
    nic(0, [10, 8, 1, 227], "10.8.1.0/24")
}

fn inner() -> Nic {
    nic(1, [10, 8, 2, 148], "10.8.2.0/24")
}

fn launch(flavour: Flavour, nics: Vec<Nic>, user_data: Option<&str>) -> Launch {
    Launch {
        flavour,
        instance_id: "i-0123456789abcdef0".to_owned(),
        instance_type: "t4g.nano".to_owned(),
        region: "eu-central-1".to_owned(),
        zone: "eu-central-1b".to_owned(),
        image_id: "ami-1".to_owned(),
        account_id: "123456789012".to_owned(),
        hostname: "ip-10-8-1-227.eu-central-1.compute.internal".to_owned(),
        nics,
        user_data: user_data.map(|text| text.as_bytes().to_vec()),
        http_tokens_required: true,
        metadata_off: false,
        role: None,
        fck_nat: false,
        seed: 7,
    }
}

fn booted(flavour: Flavour) -> Machine {
    let mut machine = Machine::new(launch(flavour, vec![outer(), inner()], None));
    machine.boot(&OPEN);
    machine
}

fn run(script: &str) -> Output {
    booted(Flavour::AmazonLinux2).run(script, &OPEN)
}

const ARTICLE: &str = "#!/bin/bash
sysctl -w net.ipv4.ip_forward=1
iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
iptables -A FORWARD -i eth0 -o eth1 -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i eth1 -o eth0 -j ACCEPT
";

#[test]
fn the_articles_user_data_sets_up_amazon_linux_2() {
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2, vec![outer()], Some(ARTICLE)));
    machine.boot(&OPEN);
    assert_eq!(machine.cloud_init(), &CloudInit::Done);
    assert!(machine.kernel().ip_forward);
    let saved = machine.run("iptables-save | grep -v '^#'", &OPEN).stdout;
    let expected = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                    -A FORWARD -i eth0 -o eth1 -m state --state RELATED,ESTABLISHED -j ACCEPT\n\
                    -A FORWARD -i eth1 -o eth0 -j ACCEPT\nCOMMIT\n\
                    *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                    :POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n";
    assert_eq!(saved, expected);
    let nat = machine.kernel().ruleset.tables.iter().find(|table| table.name == "nat").expect("a nat table");
    let rule = &nat.chains.iter().find(|chain| chain.name == "POSTROUTING").expect("the chain").rules[0];
    assert_eq!(rule.target, Target::Masquerade);
    assert_eq!(rule.matches, [Match::Out { name: "eth0".to_owned(), prefix: false, negated: false }]);
    assert!(machine.kernel().ruleset.conntrack.is_some());
}

#[test]
fn the_articles_user_data_fails_on_amazon_linux_2023_and_leaves_forwarding_on() {
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2023, vec![outer()], Some(ARTICLE)));
    machine.boot(&OPEN);
    assert!(machine.kernel().ip_forward);
    assert!(machine.kernel().ruleset.tables.is_empty());
    let log = machine.file("/var/log/cloud-init-output.log").expect("the log");
    assert!(log.contains("part-001: line 3: iptables: command not found"), "{log}");
    let status = machine.run("cloud-init status --long", &OPEN);
    assert!(status.stdout.starts_with("status: error\n"), "{}", status.stdout);
    assert!(status.stdout.contains("Runparts: 1 failures (part-001) in 1 attempted commands"));
    assert_eq!(status.exit_code, 1);
}

#[test]
fn what_is_not_on_disk_is_gone_after_a_reboot_and_user_data_runs_once() {
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2, vec![outer(), inner()], Some(ARTICLE)));
    machine.boot(&OPEN);
    machine.shutdown();
    machine.boot(&OPEN);
    assert!(!machine.kernel().ip_forward);
    assert!(machine.kernel().ruleset.tables.is_empty());
    machine.run(
        "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/nat.conf
         yum install -y -q iptables-services
         iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
         systemctl enable iptables; service iptables save",
        &OPEN,
    );
    machine.shutdown();
    machine.boot(&OPEN);
    assert!(machine.kernel().ip_forward);
    assert!(machine.run("iptables -t nat -C POSTROUTING -o eth0 -j MASQUERADE", &OPEN).exit_code == 0);
}

#[test]
fn user_data_waits_for_an_interface_that_comes_later() {
    let script = "#!/bin/bash
for i in $(seq 60); do
  ip link show ens6 >/dev/null 2>&1 && break
  sleep 1
done
ip link show ens6 > /dev/null || exit 3
date +%s > /root/seen
sysctl -w net.ipv4.ip_forward=1
";
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2023, vec![outer()], Some(script)));
    machine.boot(&OPEN);
    assert_eq!(machine.cloud_init(), &CloudInit::Running);
    assert!(!machine.kernel().ip_forward);
    machine.advance(Duration::from_millis(4500), &OPEN);
    assert!(machine.is_busy());
    machine.run("echo hello > /root/by-ssm", &OPEN);
    machine.attach_interface(inner());
    machine.advance(Duration::from_secs(10), &OPEN);
    assert_eq!(machine.cloud_init(), &CloudInit::Done, "{}", machine.console_log());
    assert!(machine.kernel().ip_forward);
    assert_eq!(machine.file("/root/seen").as_deref(), Some("1700000005\n"));
    assert_eq!(machine.file("/root/by-ssm").as_deref(), Some("hello\n"));
}

#[test]
fn user_data_that_waits_in_vain_fails_when_waited_for() {
    let script = "#!/bin/bash\nfor i in 1 2 3; do ip link show ens6 && exit 0; sleep 10; done\nexit 1\n";
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2023, vec![outer()], Some(script)));
    machine.boot(&OPEN);
    let output = machine.run("cloud-init status --wait", &OPEN);
    assert_eq!(output.stdout, "status: error\n");
    assert_eq!(output.elapsed, Duration::from_secs(30));
}

#[test]
fn curl_fails_as_curl_fails() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    let closed = World { egress: false, dns: true };
    let cases = [
        ("curl -s https://api.ipify.org", &OPEN, "3.64.126.205", "", 0, 48),
        (
            "curl -sS -m 10 https://api.ipify.org",
            &closed,
            "",
            "curl: (28) Connection timed out after 10001 milliseconds\n",
            28,
            10_000,
        ),
        ("curl -s --max-time 5 https://api.ipify.org", &closed, "", "", 28, 5_000),
        (
            "curl -sS http://example.com:81/",
            &OPEN,
            "",
            "curl: (7) Failed to connect to example.com port 81 after 1 ms: Couldn't connect to server\n",
            7,
            0,
        ),
        ("curl -sS https://nope.invalid/", &OPEN, "", "curl: (6) Could not resolve host: nope.invalid\n", 6, 0),
        ("curl -fsS https://example.com/x", &OPEN, "", "curl: (22) The requested URL returned error: 404\n", 22, 48),
        ("curl -s -o /dev/null -w '%{http_code}' http://example.com/", &OPEN, "200", "", 0, 24),
    ];
    for (script, world, stdout, stderr, code, elapsed) in cases {
        let output = machine.run(script, world);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str(), output.exit_code, output.elapsed.as_millis()),
            (stdout, stderr, code, elapsed),
            "{script}"
        );
    }
}

#[test]
fn the_metadata_service_wants_a_token() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    let refused =
        machine.run("curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/mac", &OPEN);
    assert_eq!(refused.stdout, "401");
    let script = r#"
TOKEN=$(curl -sf -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60")
get() { curl -sf -H "X-aws-ec2-metadata-token: $TOKEN" "http://169.254.169.254/latest/meta-data/$1"; }
for mac in $(get network/interfaces/macs/); do
  mac=${mac%/}
  echo "$(get network/interfaces/macs/$mac/device-number) $mac $(get network/interfaces/macs/$mac/interface-id)"
done
get placement/availability-zone; echo"#;
    let output = machine.run(script, &OPEN);
    assert_eq!(output.stdout, "0 0e:00:00:00:00:00 eni-00\n1 0e:00:00:00:00:01 eni-01\neu-central-1b\n");
}

#[test]
fn packages_need_a_way_out() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    assert_eq!(machine.run("iptables -V", &OPEN).exit_code, 127);
    let failed = machine.run("dnf install -y iptables-nft", &World { egress: false, dns: true });
    assert_eq!(failed.exit_code, 1);
    assert!(failed.stderr.contains("Curl error (28): Timeout was reached"), "{}", failed.stderr);
    assert_eq!(
        machine.run("dnf -q install -y iptables-nft && command -v iptables", &OPEN).stdout,
        "/usr/sbin/iptables\n"
    );
    let missing = machine.run("dnf install -y no-such-thing", &OPEN);
    assert!(missing.stderr.ends_with("Error: Unable to find a match: no-such-thing\n"), "{}", missing.stderr);
}

#[test]
fn the_second_interface_gets_policy_routing_by_itself() {
    let machine = booted(Flavour::AmazonLinux2023);
    let kernel = machine.kernel();
    assert_eq!(kernel.interface("device-number-1").map(|i| i.name.as_str()), Some("ens6"));
    assert!(kernel.policy_rules.iter().any(|rule| rule.table == 10_001 && rule.priority == 10_001));
    let default =
        |table| kernel.routes.iter().find(|route| route.table == table && route.destination.prefix_len() == 0);
    assert_eq!(default(MAIN_TABLE).map(|route| (route.device.as_str(), route.metric)), Some(("ens5", 512)));
    assert_eq!(default(10_001).map(|route| route.device.as_str()), Some("ens6"));
    assert!(kernel.routes.iter().all(|route| route.kind == HostRouteKind::Unicast));
    assert_eq!((kernel.rp_filter_all, kernel.interface("ens6").map(|i| i.rp_filter)), (0, Some(2)));
}

#[test]
fn ip_prints_as_iproute2_does() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    let mut lines = |script: &str| machine.run(script, &OPEN).stdout;
    assert_eq!(
        lines("ip route show default"),
        "default via 10.8.1.1 dev ens5 proto dhcp src 10.8.1.227 metric 512 \n\
         default via 10.8.2.1 dev ens6 proto dhcp src 10.8.2.148 metric 522 \n"
    );
    assert_eq!(lines("ip route get 8.8.8.8"), "8.8.8.8 via 10.8.1.1 dev ens5 src 10.8.1.227 uid 0 \n    cache \n");
    assert_eq!(
        lines("ip route get 8.8.8.8 from 10.8.2.148"),
        "8.8.8.8 from 10.8.2.148 via 10.8.2.1 dev ens6 table 10001 uid 0 \n    cache \n"
    );
    assert_eq!(
        lines("ip rule"),
        "0:\tfrom all lookup local\n10001:\tfrom 10.8.2.148 lookup 10001\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"
    );
    let json = lines("ip -j addr show ens5");
    assert!(json.starts_with(r#"[{"ifindex":2,"ifname":"ens5","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":9001,"qdisc":"mq","operstate":"UP","group":"default","txqlen":1000,"link_type":"ether","address":"0e:00:00:00:00:00","broadcast":"ff:ff:ff:ff:ff:ff","altnames":["enp0s5","device-number-0","eni-00"],"addr_info":[{"family":"inet","local":"10.8.1.227","prefixlen":24,"broadcast":"10.8.1.255","scope":"global","label":"ens5","valid_life_time":4294967295"#), "{json}");
    assert!(
        lines("ip -j route show table all")
            .contains(r#"{"dst":"default","gateway":"10.8.2.1","dev":"ens6","table":"10001","protocol":"static""#)
    );
    assert_eq!(machine.run("ip link show ens9", &OPEN).stderr, "Device \"ens9\" does not exist.\n");
}

/// Arguments, and the line of `iptables-save` of iptables 1.8.9 for them.
const ROUND_TRIPS: &[(&str, &str)] = &[
    (
        "-A FORWARD -p tcp --dport 443 -s 10.0.0.0/8 -j ACCEPT",
        "-A FORWARD -s 10.0.0.0/8 -p tcp -m tcp --dport 443 -j ACCEPT",
    ),
    (
        "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ),
    (
        "-A INPUT ! -i eth0 -p udp -m multiport --dports 53,67:68 -m comment --comment 'dns and dhcp' -j DROP",
        "-A INPUT ! -i eth0 -p udp -m multiport --dports 53,67:68 -m comment --comment \"dns and dhcp\" -j DROP",
    ),
    ("-A INPUT -p icmp -j REJECT", "-A INPUT -p icmp -j REJECT --reject-with icmp-port-unreachable"),
    ("-A INPUT -j LOG --log-prefix 'in: '", "-A INPUT -j LOG --log-prefix \"in: \""),
    (
        "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
        "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    ),
    (
        "-t nat -A POSTROUTING -s 10.8.0.0/16 ! -d 10.8.0.0/16 -o eth+ -j SNAT --to-source 1.2.3.4",
        "-A POSTROUTING -s 10.8.0.0/16 ! -d 10.8.0.0/16 -o eth+ -j SNAT --to-source 1.2.3.4",
    ),
    (
        "-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.5:8080",
        "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.5:8080",
    ),
    ("-A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT"),
];

#[test]
fn rules_are_saved_as_the_real_iptables_saves_them_and_can_be_checked_and_deleted() {
    for (given, saved) in ROUND_TRIPS {
        let mut machine = booted(Flavour::AmazonLinux2);
        let added = machine.run(&format!("iptables {given} && iptables-save | grep -e '^-A'"), &OPEN);
        assert_eq!(added.stdout, format!("{saved}\n"), "{given}: {}", added.stderr);
        assert_eq!(machine.run(&format!("iptables {}", given.replacen("-A", "-C", 1)), &OPEN).exit_code, 0, "{given}");
        assert_eq!(machine.run(&format!("iptables {}", given.replacen("-A", "-D", 1)), &OPEN).exit_code, 0, "{given}");
        let gone = machine.run(&format!("iptables {}", given.replacen("-A", "-C", 1)), &OPEN);
        assert_eq!(
            (gone.exit_code, gone.stderr.as_str()),
            (1, "iptables: Bad rule (does a matching rule exist in that chain?).\n")
        );
    }
}

#[test]
fn iptables_refuses_with_its_own_exit_codes() {
    let cases = [
        ("iptables --bogus", 2),
        ("iptables -t nat -A NOPE -j ACCEPT", 1),
        ("iptables -A FORWARD -j NOPE", 2),
        ("iptables -t foo -L", 3),
        ("iptables -D FORWARD 9", 1),
    ];
    for (script, code) in cases {
        assert_eq!(run(script).exit_code, code, "{script}");
    }
}

#[test]
fn the_stock_rules_of_iptables_services_refuse_what_is_forwarded() {
    let mut machine = booted(Flavour::AmazonLinux2);
    machine.run("yum -y install iptables-services; systemctl enable --now iptables", &OPEN);
    let output = machine.run("systemctl is-active iptables; iptables -S FORWARD", &OPEN);
    assert_eq!(output.stdout, "active\n-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n");
}

#[test]
fn units_written_by_hand_run_at_boot() {
    let mut machine = booted(Flavour::AmazonLinux2);
    let output = machine.run(
        "cat > /usr/local/sbin/nat.sh <<'EOF'\n#!/bin/bash\nset -euo pipefail\nsysctl -q -w net.ipv4.ip_forward=1\nEOF\n\
         chmod +x /usr/local/sbin/nat.sh\n\
         cat > /etc/systemd/system/nat.service <<EOF\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/sbin/nat.sh\n[Install]\nWantedBy=multi-user.target\nEOF\n\
         systemctl daemon-reload && systemctl enable --now nat && systemctl is-active nat",
        &OPEN,
    );
    assert_eq!(output.stdout, "active\n", "{}", output.stderr);
    machine.shutdown();
    machine.boot(&OPEN);
    assert!(machine.kernel().ip_forward);
}

#[test]
fn scripts_do_as_in_bash() {
    let mut wrong = Vec::new();
    for case in include_str!("bash_cases.txt").split("=====\n").filter(|case| !case.trim().is_empty()) {
        let (script, expected) = case.split_once("-----\n").expect("a script and what bash made of it");
        let (code, stdout) = expected.split_once('\n').expect("an exit code and the output");
        let output = run(script);
        if (output.exit_code.to_string().as_str(), output.stdout.as_str()) != (code, stdout) {
            wrong.push(format!(
                "{script}\nbash {code}:\n{stdout}\nhere {}:\n{}{}",
                output.exit_code, output.stdout, output.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

#[test]
fn what_never_ends_is_killed() {
    for script in [
        "while true; do :; done",
        "f() { f; }; f",
        "x=a; while :; do x=$x$x; done",
        "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
        "until false; do sleep 3600; done",
        "eval \"$(printf '%s' 'while :; do eval :; done')\"",
    ] {
        let output = run(script);
        assert_eq!(output.exit_code, 137, "{script}");
    }
}

#[test]
fn a_machine_survives_being_written_down() {
    let script = "#!/bin/bash\nsleep 30\nsysctl -w net.ipv4.ip_forward=1\n";
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2023, vec![outer()], Some(script)));
    machine.boot(&OPEN);
    let text = serde_json::to_string(&machine).expect("it serialises");
    let mut again: Machine = serde_json::from_str(&text).expect("it reads back");
    again.advance(Duration::from_secs(31), &OPEN);
    assert!(again.kernel().ip_forward);
}

#[test]
fn nothing_here_reaches_the_real_machine() {
    fn files(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("the sources") {
            let path = entry.expect("an entry").path();
            let tests = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !tests {
                files(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && !tests {
                found.push(path);
            }
        }
    }
    let here = std::path::Path::new(file!());
    let mut found = Vec::new();
    files(here.parent().expect("a folder"), &mut found);
    assert!(found.len() > 30);
    for path in found {
        let text = std::fs::read_to_string(&path).expect("readable");
        for banned in ["std::fs", "std::process", "std::net::Tcp", "std::net::Udp", "std::env", "ToSocketAddrs"] {
            assert!(!text.contains(banned), "{} names {banned}", path.display());
        }
    }
}

#[test]
fn nft_lists_what_it_was_given_as_the_real_one_does() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    machine.run("dnf install -qy nftables", &OPEN);
    let output = machine.run(
        r#"nft -f - <<'EOF'
table ip nat {
  chain post {
    type nat hook postrouting priority 100; policy accept;
    oifname "ens5" counter masquerade
  }
}
EOF
nft add rule ip nat post ip saddr 10.0.0.0/8 ip daddr != 10.0.0.0/8 snat to 1.2.3.4
nft add table inet f
nft 'add chain inet f fwd2 { type filter hook forward priority filter; policy drop; }'
nft add rule inet f fwd2 ct state established,related accept
nft list ruleset"#,
        &OPEN,
    );
    let expected = "table ip nat {\n\tchain post {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
        \t\toifname \"ens5\" counter packets 0 bytes 0 masquerade\n\
        \t\tip saddr 10.0.0.0/8 ip daddr != 10.0.0.0/8 snat to 1.2.3.4\n\t}\n}\n\
        table inet f {\n\tchain fwd2 {\n\t\ttype filter hook forward priority filter; policy drop;\n\
        \t\tct state established,related accept\n\t}\n}\n";
    assert_eq!(output.stdout, expected, "{}", output.stderr);
    let nat = &machine.kernel().ruleset.tables[0];
    assert_eq!(nat.chains[0].rules[0].target, Target::Masquerade);
    assert!(machine.kernel().ruleset.conntrack.is_some());
    assert_eq!(machine.run("nft add rule inet f nochain accept", &OPEN).exit_code, 1);
}

#[test]
fn what_the_simulated_awk_lacks_it_refuses() {
    let output = run("echo x | awk '{ system(\"ls\") }'");
    assert_eq!(output.exit_code, 2);
    assert_eq!(output.stderr, "awk: function `system' is not supported by the simulated awk\n");
}

#[test]
fn listings_have_the_columns_of_the_real_iptables() {
    let mut machine = booted(Flavour::AmazonLinux2023);
    machine.run("dnf install -qy iptables", &OPEN);
    let script = "iptables -A FORWARD -i eth0 -o eth1 -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -t nat -A POSTROUTING -s 10.8.0.0/16 ! -d 10.8.0.0/16 -o eth+ -j SNAT --to-source 1.2.3.4
iptables -L FORWARD -n -v; iptables -t nat -L POSTROUTING -n; iptables -L FORWARD -nv --line-numbers";
    // Printed by iptables 1.8.9 for the same rules.
    let expected = "\
Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
 pkts bytes target     prot opt in     out     source               destination         
    0     0 ACCEPT     0    --  eth0   eth1    0.0.0.0/0            0.0.0.0/0            state RELATED,ESTABLISHED
Chain POSTROUTING (policy ACCEPT)
target     prot opt source               destination         
SNAT       0    --  10.8.0.0/16         !10.8.0.0/16          to:1.2.3.4
Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
num   pkts bytes target     prot opt in     out     source               destination         
1        0     0 ACCEPT     0    --  eth0   eth1    0.0.0.0/0            0.0.0.0/0            state RELATED,ESTABLISHED
";
    assert_eq!(machine.run(script, &OPEN).stdout, expected);
}

/// What a careful script for the same job looks like: by device number, installing, persisting, verifying.
const ROBUST: &str = r#"#!/bin/bash
set -euo pipefail
exec > >(tee -a /var/log/nat-setup.log) 2>&1
trap 'echo "nat setup failed at line $LINENO" >&2' ERR
log() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*"; }
imds() { curl -sf --max-time 2 -H "X-aws-ec2-metadata-token: $TOKEN" "http://169.254.169.254/latest/meta-data/$1"; }
TOKEN=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
device() {
  local wanted=$1 mac
  for mac in $(imds network/interfaces/macs/); do
    if [[ $(imds "network/interfaces/macs/${mac%/}/device-number") == "$wanted" ]]; then
      ip -o link | awk -v mac="${mac%/}" '$0 ~ mac { sub(":", "", $2); print $2; exit }'
      return 0
    fi
  done
  return 1
}
OUT=$(device 0)
IN=""
for attempt in {1..60}; do
  IN=$(device 1 || true)
  [[ -n "$IN" ]] && break
  sleep 2
done
: "${IN:?no second interface}"
log "out $OUT in $IN"
for attempt in 1 2 3 4 5; do
  command -v iptables >/dev/null || dnf install -y -q iptables-nft && break
  sleep $((attempt * 5))
done
cat > /etc/sysctl.d/90-nat.conf <<EOF
net.ipv4.ip_forward = 1
net.ipv4.conf.$IN.rp_filter = 2
EOF
sysctl --system > /dev/null
iptables -t nat -C POSTROUTING -o "$OUT" -j MASQUERADE 2>/dev/null || iptables -t nat -A POSTROUTING -o "$OUT" -j MASQUERADE
mkdir -p /etc/iptables
iptables-save > /etc/iptables/rules.v4
iptables-save | grep -q -- "-A POSTROUTING -o $OUT -j MASQUERADE"
[[ $(< /proc/sys/net/ipv4/ip_forward) -eq 1 ]]
log done
"#;

#[test]
fn a_careful_script_works_on_amazon_linux_2023_with_a_late_interface() {
    let mut machine = Machine::new(launch(Flavour::AmazonLinux2023, vec![outer()], Some(ROBUST)));
    machine.boot(&OPEN);
    assert!(machine.is_busy());
    machine.advance(Duration::from_secs(7), &OPEN);
    machine.attach_interface(inner());
    machine.advance(Duration::from_secs(60), &OPEN);
    let log = machine.file("/var/log/nat-setup.log").unwrap_or_default();
    assert_eq!(machine.cloud_init(), &CloudInit::Done, "{}\n{log}", machine.console_log());
    assert!(log.contains("out ens5 in ens6") && log.ends_with("done\n"), "{log}");
    assert!(machine.kernel().ip_forward);
}

#[test]
fn nested_brackets_do_not_take_for_ever_to_parse() {
    let began = std::time::Instant::now();
    for script in [
        "((((( 1 )))))",
        "$($($($($($($($(echo))))))))",
        "( ( ( ( ( ( ( ( ( ( ( ( echo x ) ) ) ) ) ) ) ) ) ) ) )",
        "(( ((((((1",
        "{ { { { { { { { { {",
    ] {
        run(script);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_assignment_ends_as_the_command_in_it_did() {
    let script = "for url in https://api.ipify.org https://checkip.amazonaws.com; do
  answer=$(curl -sS --max-time 8 -w ' %{time_total}' \"$url\" 2>&1)
  code=$?
  echo \"natdeck $url $code\" $answer
  [ $code -eq 0 ] && exit 0
done
exit $code
";
    let mut machine = booted(Flavour::AmazonLinux2023);
    let output = machine.run(script, &World { egress: false, dns: true });
    assert_eq!(output.exit_code, 28, "{}{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.matches(" 28 curl: (28)").count(), 2, "{}", output.stdout);
}
