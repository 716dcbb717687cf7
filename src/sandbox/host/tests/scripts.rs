//! Boot scripts as people write them: the AWS documentation's, and those in the manner of published modules. Each boots
//! unmodified, and the kernel is looked at afterwards.

use super::*;

fn kernel_of(machine: &mut Machine) -> (bool, String) {
    (machine.kernel().ip_forward, machine.run("iptables-save -t nat | grep -- '^-A'", &OPEN).stdout)
}

fn boot(flavour: Flavour, nics: Vec<Nic>, user_data: &str) -> Machine {
    let mut machine = Machine::new(launch(flavour, nics, Some(user_data)));
    machine.boot(&OPEN);
    machine
}

/// Lets user data run to its end.
fn settle(machine: &mut Machine) {
    machine.advance(Duration::from_secs(600), &OPEN);
    assert_eq!(machine.cloud_init(), &CloudInit::Done, "{}", machine.console_log());
}

#[test]
fn the_documentations_nat_ami_works_and_survives_a_reboot() {
    let script = "#!/bin/bash
sudo yum install iptables-services -y
sudo systemctl enable iptables
sudo systemctl start iptables
echo net.ipv4.ip_forward=1 > /etc/sysctl.d/custom-ip-forwarding.conf
sudo sysctl -p /etc/sysctl.d/custom-ip-forwarding.conf
netstat -i || ip -br link
sudo /sbin/iptables -t nat -A POSTROUTING -o ens5 -j MASQUERADE
sudo /sbin/iptables -F FORWARD
sudo service iptables save
";
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], script);
    settle(&mut machine);
    for boots in 1..=2 {
        assert_eq!(
            kernel_of(&mut machine),
            (true, "-A POSTROUTING -o ens5 -j MASQUERADE\n".to_owned()),
            "boot {boots}"
        );
        let forward = machine.run("iptables -S FORWARD", &OPEN).stdout;
        assert_eq!(forward, "-P FORWARD ACCEPT\n", "boot {boots}");
        machine.shutdown();
        machine.boot(&OPEN);
    }
}

/// Files, a unit that waits for its interface, and a script that enables it: the way of modules for auto scaling groups.
const WITH_UNIT: &str = r#"#cloud-config
write_files:
  - path: /opt/gateway/once.sh
    owner: root:root
    permissions: "0755"
    content: |
      #!/bin/bash -x
      # first boot only
      : > /etc/gateway.env
      echo "MODE=masquerade" >> /etc/gateway.env
      systemctl enable gateway
      systemctl start gateway
  - path: /opt/gateway/gateway.sh
    permissions: '0755'
    encoding: b64
    content: IyEvYmluL2Jhc2gKc2V0IC1ldQp0cmllcz0wCndoaWxlICEgaXAgbGluayBzaG93IGRldiBlbnM2ID4vZGV2L251bGwgMj4mMTsgZG8KICB0cmllcz0kKCh0cmllcyArIDEpKQogIFsgIiR0cmllcyIgLWx0IDEyMCBdIHx8IGV4aXQgNwogIHNsZWVwIDEKZG9uZQpzeXNjdGwgLXEgLXcgbmV0LmlwdjQuaXBfZm9yd2FyZD0xCnN5c2N0bCAtcSAtdyBuZXQuaXB2NC5jb25mLmVuczYuc2VuZF9yZWRpcmVjdHM9MAppcHRhYmxlcyAtdCBuYXQgLUMgUE9TVFJPVVRJTkcgLW8gZW5zNSAtaiBNQVNRVUVSQURFIDI+L2Rldi9udWxsIHx8IGlwdGFibGVzIC10IG5hdCAtQSBQT1NUUk9VVElORyAtbyBlbnM1IC1qIE1BU1FVRVJBREUKZWNobyAiZ2F0ZXdheSB1cCBhZnRlciAkdHJpZXMgcyAoJE1PREUpIgo=
  - path: /etc/systemd/system/gateway.service
    content: |
      [Unit]
      Description = Address translation
      Requires=network-online.target
      After=network-online.target

      [Service]
      Type=oneshot
      RemainAfterExit=yes
      EnvironmentFile=/etc/gateway.env
      ExecStart=/opt/gateway/gateway.sh

      [Install]
      WantedBy=multi-user.target
  - path: /etc/motd
    append: true
    content: "a NAT\n"
packages: [iptables-nft, jq]
runcmd:
  - /opt/gateway/once.sh
  - [sh, -c, "echo $0 ran > /root/ran"]
"#;

#[test]
fn a_cloud_config_with_a_unit_waits_for_its_interface_and_runs_again_at_every_boot() {
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], WITH_UNIT);
    assert!(machine.is_busy(), "{}", machine.console_log());
    machine.advance(Duration::from_secs(20), &OPEN);
    machine.attach_interface(inner());
    settle(&mut machine);
    assert_eq!(machine.file("/root/ran").as_deref(), Some("sh ran\n"));
    assert_eq!(machine.file("/etc/motd").as_deref(), Some("a NAT\n"));
    assert!(machine.has_package("jq"));
    let rule = "-A POSTROUTING -o ens5 -j MASQUERADE\n".to_owned();
    assert_eq!(kernel_of(&mut machine), (true, rule.clone()));
    let journal = machine.run("journalctl -u gateway --no-pager", &OPEN).stdout;
    assert!(journal.contains("gateway.sh[") && journal.contains("(masquerade)"), "{journal}");
    machine.shutdown();
    machine.boot(&OPEN);
    assert_eq!(kernel_of(&mut machine), (true, rule));
    assert_eq!(machine.run("systemctl is-active gateway", &OPEN).stdout, "active\n");
    let status = machine.run("systemctl status gateway", &OPEN).stdout;
    assert!(status.starts_with("● gateway.service - Address translation\n     Loaded: loaded (/etc/systemd/system/gateway.service; enabled; preset: disabled)\n     Active: active (exited) since "), "{status}");
}

#[test]
fn commands_of_every_boot_run_at_every_boot_and_the_rest_once() {
    let data = "Content-Type: multipart/mixed; boundary=\"==BOUNDARY==\"\nMIME-Version: 1.0\n\n--==BOUNDARY==\n\
        Content-Type: text/cloud-config; charset=\"us-ascii\"\n\n#cloud-config\nbootcmd:\n- echo boot >> /root/boots\n\
        hostname: nat-1\n--==BOUNDARY==\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/bin/bash\n\
        echo once >> /root/once\n--==BOUNDARY==\nContent-Type: text/cloud-boothook\n\n#cloud-boothook\necho hook >> \
        /root/hooks\n--==BOUNDARY==--\n";
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], data);
    settle(&mut machine);
    machine.shutdown();
    machine.boot(&OPEN);
    settle(&mut machine);
    let read = |path: &str| machine.file(path).unwrap_or_default();
    assert_eq!(
        (read("/root/boots"), read("/root/once"), read("/root/hooks")),
        ("boot\nboot\n".to_owned(), "once\n".to_owned(), "hook\nhook\n".to_owned())
    );
    assert_eq!(machine.hostname(), "nat-1");
}

#[test]
fn a_user_data_script_may_ask_to_run_at_every_boot() {
    let data = "Content-Type: multipart/mixed; boundary=\"//\"\nMIME-Version: 1.0\n\n--//\nContent-Type: \
        text/cloud-config\n\n#cloud-config\ncloud_final_modules:\n- [scripts-user, always]\n--//\nContent-Type: \
        text/x-shellscript\n\n#!/bin/bash\nsysctl -w net.ipv4.ip_forward=1\n--//--\n";
    let mut machine = boot(Flavour::AmazonLinux2, vec![outer()], data);
    machine.shutdown();
    machine.boot(&OPEN);
    assert!(machine.kernel().ip_forward);
}

#[test]
fn a_cloud_config_that_fails_says_what_failed() {
    let data = "#cloud-config\npackages: [no-such-package]\nruncmd:\n- iptables -t nat -A POSTROUTING -j MASQUERADE\n- exit 4\n";
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], data);
    machine.advance(Duration::from_secs(600), &OPEN);
    let status = machine.run("cloud-init status --long", &OPEN);
    assert!(status.stdout.starts_with("status: error\n"), "{}", status.stdout);
    assert!(status.stdout.contains("('package-update-upgrade-install', ProcessExecutionError("), "{}", status.stdout);
    assert!(
        status
            .stdout
            .contains("('scripts-user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))")
    );
    assert!(machine.console_log().contains("runcmd: line 2: iptables: command not found"), "{}", machine.console_log());
}

/// In the manner of NAT images that configure themselves by the metadata service: functions, arrays, a configuration
/// file, every interface.
const BY_METADATA: &str = r#"#!/bin/sh
# shellcheck disable=SC1091
dnf -qy install nftables iptables-nft >/dev/null
[ -f /etc/nat.conf ] || cat <<'EOF' > /etc/nat.conf
eni_role=inner
conntrack_max=65536
local_port_range="1024 65535"
EOF
. /etc/nat.conf
token="$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)"
meta() { curl -s -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; }
outer_mac="$(meta mac)"
outer_if="$(ip -br link show | grep "$outer_mac" | awk '{print $1}')"
inner_if=""
n=0
until [ -n "$inner_if" ]; do
  for mac in $(meta network/interfaces/macs/ | cut -d/ -f1); do
    [ "$mac" = "$outer_mac" ] && continue
    inner_if="$(ip -o link | grep -i "$mac" | cut -d: -f2 | tr -d '[:space:]')"
  done
  n=$((n+1)); [ "$n" -gt 60 ] && { echo "no second interface" >&2; exit 1; }
  [ -n "$inner_if" ] || sleep 2
done
sysctl -q net.ipv4.ip_forward=1 "net.ipv4.ip_local_port_range=$local_port_range" "net.netfilter.nf_conntrack_max=$conntrack_max" || true
cidr="$(meta "network/interfaces/macs/$outer_mac/vpc-ipv4-cidr-block")"
iptables -t nat -F
iptables -t nat -A POSTROUTING -s "$cidr" -o "$outer_if" -j MASQUERADE -m comment --comment "NAT routing rule"
gw=$(ip route show dev "$outer_if" | grep -oP '(?<=default via )[0-9.]+' | head -1)
ip route replace default via "$gw" dev "$outer_if" metric 10
networkctl list --no-legend | awk '$3 == "ether" { printf "%s ", $2 }' > /run/nat-links
iptables-save > /etc/iptables.rules
printf 'table inet guard {\n chain in { type filter hook input priority 0; policy accept; ct state invalid drop; }\n}\n' > /etc/guard.nft
nft -f /etc/guard.nft
"#;

#[test]
fn a_script_that_asks_the_metadata_service_finds_its_interfaces() {
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], BY_METADATA);
    machine.advance(Duration::from_secs(12), &OPEN);
    machine.attach_interface(inner());
    settle(&mut machine);
    let rule = "-A POSTROUTING -s 10.8.0.0/16 -o ens5 -m comment --comment \"NAT routing rule\" -j MASQUERADE\n";
    assert_eq!(kernel_of(&mut machine), (true, rule.to_owned()));
    assert_eq!(machine.file("/run/nat-links").as_deref(), Some("ens5 ens6 "));
    assert!(
        machine.run("ip route show default", &OPEN).stdout.starts_with("default via 10.8.1.1 dev ens5 metric 10 \n")
    );
    assert!(machine.run("nft list tables", &OPEN).stdout.contains("table inet guard"));
    assert!(machine.file("/etc/iptables.rules").unwrap_or_default().contains(rule));
}

#[test]
fn a_service_that_stays_runs_and_one_that_fails_says_so() {
    let script = "#!/bin/bash
cat > /usr/local/bin/watch.sh <<'EOF'
#!/bin/bash
while true; do
  curl -s -m 2 -o /dev/null https://api.ipify.org || echo down
  sleep 30
done
EOF
chmod +x /usr/local/bin/watch.sh
for name in watch broken; do
  cat > /etc/systemd/system/$name.service <<EOF
[Unit]
Description=The $name
[Service]
ExecStart=/usr/local/bin/$name.sh
Restart=always
[Install]
WantedBy=multi-user.target
EOF
done
systemctl daemon-reload
systemctl enable --now watch
systemctl enable --now broken || true
";
    let mut machine = boot(Flavour::AmazonLinux2023, vec![outer()], script);
    settle(&mut machine);
    assert_eq!(machine.run("systemctl is-active watch broken", &OPEN).stdout, "active\nfailed\n");
    let failed = machine.run("systemctl --failed", &OPEN).stdout;
    assert!(failed.contains("broken.service") && !failed.contains("watch.service"), "{failed}");
}
