//! What is on the disk of a new instance, and what packages add to it.

use super::{Flavour, Machine};
use crate::model::DhcpOptions;

const DIRECTORIES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev/fd",
    "/etc/cloud",
    "/etc/iptables",
    "/etc/modules-load.d",
    "/etc/nftables",
    "/etc/sysconfig",
    "/etc/sysctl.d",
    "/etc/systemd/system/multi-user.target.wants",
    "/etc/systemd/network",
    "/etc/yum.repos.d",
    "/etc/profile.d",
    "/etc/cron.d",
    "/home/ec2-user",
    "/home/ssm-user",
    "/opt",
    "/proc/net",
    "/proc/sys",
    "/root",
    "/run/systemd/network",
    "/srv",
    "/sys/class/net",
    "/tmp",
    "/usr/bin",
    "/usr/lib/sysctl.d",
    "/usr/lib/systemd/system",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/var/lib/cloud/instance",
    "/var/lib/cloud/scripts/per-boot",
    "/var/log",
    "/var/tmp",
    "/var/lib/amazon/ssm",
];

/// Path, owner, mode: what is not root's with 0755.
const SPECIAL: &[(&str, u32, u32)] = &[
    ("/tmp", 0, 0o1777),
    ("/var/tmp", 0, 0o1777),
    ("/dev/null", 0, 0o666),
    ("/dev/fd", 0, 0o777),
    ("/root", 0, 0o550),
    ("/home/ec2-user", EC2_USER, 0o700),
    ("/home/ssm-user", SSM_USER, 0o700),
    ("/var/log/cloud-init-output.log", 0, 0o640),
];

/// The user of the image's SSH key.
pub(super) const EC2_USER: u32 = 1000;
/// The user that SSM's agent makes for sessions.
pub(super) const SSM_USER: u32 = 1001;

/// systemd 252's `50-default.conf`, the part about reverse path filtering. `all` is left at the kernel's 0.
const SYSCTL_AL2023: &str = "\
# This file is part of systemd.
net.ipv4.conf.default.rp_filter = 2
net.ipv4.conf.*.rp_filter = 2
-net.ipv4.conf.all.rp_filter
net.ipv4.conf.default.accept_source_route = 0
";

/// systemd 219's `50-default.conf`: strict, for `all` too.
const SYSCTL_AL2: &str = "\
#  This file is part of systemd.
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.all.accept_source_route = 0
";

const RELEASE_AL2023: &str = "\
NAME=\"Amazon Linux\"
VERSION=\"2023\"
ID=\"amzn\"
ID_LIKE=\"fedora\"
VERSION_ID=\"2023\"
PLATFORM_ID=\"platform:al2023\"
PRETTY_NAME=\"Amazon Linux 2023\"
ANSI_COLOR=\"0;33\"
CPE_NAME=\"cpe:2.3:o:amazon:amazon_linux:2023\"
HOME_URL=\"https://aws.amazon.com/linux/\"
";

const RELEASE_AL2: &str = "\
NAME=\"Amazon Linux\"
VERSION=\"2\"
ID=\"amzn\"
ID_LIKE=\"centos rhel fedora\"
VERSION_ID=\"2\"
PRETTY_NAME=\"Amazon Linux 2\"
ANSI_COLOR=\"0;33\"
CPE_NAME=\"cpe:2.3:o:amazon:amazon_linux:2\"
HOME_URL=\"https://amazonlinux.com/\"
";

/// The rules that iptables-services ships: the last line refuses everything that is forwarded.
const STOCK_RULES: &str = "\
# sample configuration for iptables service
# you can edit this manually or use system-config-firewall
# please do not ask us to add additional ports/services to this default configuration
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
";

const STOCK_RULES_6: &str = "\
# sample configuration for ip6tables service
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp6-adm-prohibited
-A FORWARD -j REJECT --reject-with icmp6-adm-prohibited
COMMIT
";

const IPTABLES_UNIT: &str = "\
[Unit]
Description=IPv4 firewall with iptables
Before=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /etc/sysconfig/iptables
ExecReload=/usr/sbin/iptables-restore /etc/sysconfig/iptables
ExecStop=/bin/sh -c 'iptables -F; iptables -t nat -F; iptables -t mangle -F; iptables -X; iptables -P INPUT ACCEPT; \
iptables -P FORWARD ACCEPT; iptables -P OUTPUT ACCEPT'

[Install]
WantedBy=multi-user.target
";

const IP6TABLES_UNIT: &str = "\
[Unit]
Description=IPv6 firewall with ip6tables

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip6tables-restore /etc/sysconfig/ip6tables
ExecStop=/bin/sh -c 'ip6tables -F; ip6tables -X'

[Install]
WantedBy=multi-user.target
";

const NFTABLES_UNIT: &str = "\
[Unit]
Description=Netfilter Tables
Documentation=man:nft(8)

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/sysconfig/nftables.conf
ExecReload=/bin/sh -c 'nft flush ruleset; nft -f /etc/sysconfig/nftables.conf'
ExecStop=/usr/sbin/nft flush ruleset

[Install]
WantedBy=multi-user.target
";

const NFTABLES_CONF: &str = "\
# Uncomment the include statement here to load the default config sample
# in /etc/nftables for nftables service.

#include \"/etc/nftables/main.nft\"
";

/// What fck-nat's service comes to on the host itself: forwarding, and a masquerade on the way out. What it asks of EC2
/// (its second interface, its Elastic IP), the world does in its stead.
const FCK_NAT_SCRIPT: &str = "#!/bin/sh
out=$(ip route show default | head -n 1 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
sysctl -q -w net.ipv4.ip_forward=1
for card in $(ls /proc/sys/net/ipv4/conf); do
  sysctl -q -w net.ipv4.conf.$card.rp_filter=0
done
iptables -t nat -F
iptables -t nat -A POSTROUTING -o \"$out\" -j MASQUERADE
";

const FCK_NAT_UNIT: &str = "[Unit]
Description=fck-nat
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/fck-nat/fck-nat.sh

[Install]
WantedBy=multi-user.target
";

/// Package, path, content.
pub(super) const PACKAGE_FILES: &[(&str, &str, &str)] = &[
    ("iptables-services", "/etc/sysconfig/iptables", STOCK_RULES),
    ("iptables-services", "/etc/sysconfig/ip6tables", STOCK_RULES_6),
    ("iptables-services", "/usr/lib/systemd/system/iptables.service", IPTABLES_UNIT),
    ("iptables-services", "/usr/lib/systemd/system/ip6tables.service", IP6TABLES_UNIT),
    ("nftables", "/usr/lib/systemd/system/nftables.service", NFTABLES_UNIT),
    ("nftables", "/etc/sysconfig/nftables.conf", NFTABLES_CONF),
];

/// Units of the image that only have to be there: name, description.
pub(super) const STOCK_UNITS: &[(&str, &str)] = &[
    ("amazon-ssm-agent.service", "amazon-ssm-agent"),
    ("sshd.service", "OpenSSH server daemon"),
    ("cloud-final.service", "Execute cloud user/final scripts"),
    ("cloud-init.service", "Initial cloud-init job (metadata service crawler)"),
    ("chronyd.service", "NTP client/server"),
];

/// Fills the disk of a new machine.
pub(super) fn install(machine: &mut Machine) {
    let modern = machine.launch.flavour == Flavour::AmazonLinux2023;
    for path in DIRECTORIES {
        // The disk is empty and large enough.
        let _made = machine.files.make_directories(path, 0);
    }
    let mut files: Vec<(&str, String)> = vec![
        ("/dev/null", String::new()),
        ("/etc/hostname", format!("{}\n", machine.hostname)),
        ("/etc/hosts", "127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n::1         localhost6 localhost6.localdomain6\n".to_owned()),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000:EC2 Default User:/home/ec2-user:/bin/bash\nssm-user:x:1001:1001::/home/ssm-user:/bin/bash\n".to_owned()),
        ("/etc/resolv.conf", resolver(machine)),
        ("/etc/sysctl.conf", "# sysctl settings are defined through files in\n# /usr/lib/sysctl.d/, /run/sysctl.d/, and /etc/sysctl.d/.\n".to_owned()),
        ("/etc/os-release", if modern { RELEASE_AL2023 } else { RELEASE_AL2 }.to_owned()),
        ("/etc/system-release", if modern { "Amazon Linux release 2023 (Amazon Linux)\n" } else { "Amazon Linux release 2 (Karoo)\n" }.to_owned()),
        ("/usr/lib/sysctl.d/50-default.conf", if modern { SYSCTL_AL2023 } else { SYSCTL_AL2 }.to_owned()),
        ("/var/lib/cloud/instance/instance-id", format!("{}\n", machine.launch.instance_id)),
        ("/var/log/cloud-init.log", String::new()),
        ("/var/log/cloud-init-output.log", String::new()),
    ];
    let network = if modern { "systemd-networkd.service" } else { "network.service" };
    let units = STOCK_UNITS.iter().copied().chain([(network, "Network Configuration")]);
    for (name, description) in units {
        let path = format!("/usr/lib/systemd/system/{name}");
        let text = format!(
            "[Unit]\nDescription={description}\n\n[Service]\nType=simple\nExecStart=/bin/true\nRemainAfterExit=yes\n\n[Install]\nWantedBy=multi-user.target\n"
        );
        let _made = machine.files.write(&path, &text, 0);
        machine.enable_unit(name, true);
    }
    for (path, text) in files.drain(..) {
        let _made = machine.files.write(path, &text, 0);
    }
    for (name, _) in machine.image_packages() {
        machine.unpack(name, 0);
    }
    if machine.launch.fck_nat {
        machine.unpack("iptables-nft", 0);
        let _made = machine.files.make_directories("/opt/fck-nat", 0);
        let _made = machine.files.write("/opt/fck-nat/fck-nat.sh", FCK_NAT_SCRIPT, 0);
        let _set = machine.files.set_mode("/opt/fck-nat/fck-nat.sh", 0o755);
        let _made = machine.files.write("/usr/lib/systemd/system/fck-nat.service", FCK_NAT_UNIT, 0);
        machine.enable_unit("fck-nat.service", true);
    }
    for (path, owner, mode) in SPECIAL {
        // Both were just made.
        let _set = machine.files.set_mode(path, *mode);
        let _set = machine.files.set_owner(path, *owner);
    }
}

/// The VPC's resolver is the second address of the VPC (VPC guide, "Amazon DNS server").
impl Machine {
    /// Writes down what DHCP said of names.
    pub(in crate::sandbox) fn take_lease(&mut self, domains: &[String], servers: &[String]) {
        let amazon = self.nics.first().and_then(|nic| nic.vpc_cidrs.first()).map(|vpc| super::nic::nth(*vpc, 2));
        let amazon = amazon.unwrap_or(super::outside::NO_ADDRESS).to_string();
        let mut text = String::new();
        if !domains.is_empty() {
            text = format!("search {}\n", domains.join(" "));
        }
        for server in servers {
            let server = if server == DhcpOptions::AMAZON_PROVIDED { &amazon } else { server };
            text.push_str(&format!("nameserver {server}\n"));
        }
        let now = self.booted_at.as_second();
        // Lost only on a full disk.
        let _lost = self.write_file("/etc/resolv.conf", &text, now);
    }
}

fn resolver(machine: &Machine) -> String {
    let server = machine.nics.first().and_then(|nic| nic.vpc_cidrs.first()).map(|vpc| super::nic::nth(*vpc, 2));
    let server = server.unwrap_or(super::outside::NO_ADDRESS);
    format!("search {}.compute.internal\nnameserver {server}\n", machine.launch.region)
}
