//! One seed, one world: a VPC, a host, and what somebody did to both. The script is what runs on the NAT host, in the
//! namespace and on the simulated machine alike.

use std::fmt::Write;

use fastrand::Rng;
use natdeck::model::*;

use super::lab::PORTS;
use super::world::{self, NAT_PUBLIC, OUTSIDE};

const USER_DATA: &str = include_str!("../../../assets/user-data.sh");

/// Which system the host has: the names of its interfaces, its iptables, and how it routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `ens5`, `ens6`, each later interface with a table of its own; iptables over nf_tables.
    AmazonLinux2023,
    /// `eth0`, `eth1`; iptables-legacy.
    AmazonLinux2,
}

#[derive(Debug, Clone)]
pub struct Variation {
    pub seed: u64,
    pub flavour: Flavour,
    pub two: bool,
    pub network: Network,
    pub script: String,
    /// The port that is fetched from.
    pub port: u16,
    /// What was done to the VPC, in words.
    pub notes: Vec<&'static str>,
}

struct Hands {
    rng: Rng,
    /// Outer and inner device.
    out: &'static str,
    inn: &'static str,
    two: bool,
    port: u16,
    lines: String,
}

impl Variation {
    /// `legacy`: whether the kernel has the legacy tables, without which Amazon Linux 2 cannot be built.
    pub fn new(seed: u64, legacy: bool) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let flavour = if legacy && rng.u8(0..3) == 0 { Flavour::AmazonLinux2 } else { Flavour::AmazonLinux2023 };
        let two = rng.u8(0..4) > 0;
        let (out, second) = if flavour == Flavour::AmazonLinux2 { ("eth0", "eth1") } else { ("ens5", "ens6") };
        let port = PORTS[rng.usize(0..PORTS.len())];
        let mut network = world::healthy(two);
        let mut notes = Vec::new();
        let mut hands = Hands { rng, out, inn: if two { second } else { out }, two, port, lines: String::new() };
        hands.set_up();
        // Some worlds are healthy, most have one fault or two, on the host more often than around it.
        for _ in 0..[0, 1, 1, 1, 2, 2, 3][hands.rng.usize(0..7)] {
            hands.meddle();
        }
        for _ in 0..[0, 0, 0, 1, 1, 2][hands.rng.usize(0..6)] {
            notes.push(rearrange(&mut hands.rng, &mut network, two, port));
        }
        Self { seed, flavour, two, network, script: hands.lines, port, notes }
    }

    /// The world, to be read by a person.
    pub fn describe(&self) -> String {
        let interfaces = if self.two { 2 } else { 1 };
        let user_data = self.script.replace(&user_data(self.two), "# assets/user-data.sh\n");
        format!(
            "seed {}: {:?}, {interfaces} interface(s), port {}\nVPC: {}\nscript:\n{user_data}",
            self.seed,
            self.flavour,
            self.port,
            if self.notes.is_empty() { "healthy".to_owned() } else { self.notes.join("; ") },
        )
    }
}

/// What makes the host a NAT at its boot.
pub fn user_data(two: bool) -> String {
    let (_, text) = USER_DATA.split_once('\n').unwrap();
    let text = if two { text.to_owned() } else { text.replace("NATDECK_INTERFACES=2", "NATDECK_INTERFACES=1") };
    // The script ends the shell when something fails, and what is done to the host afterwards would not be done.
    format!("(\n{text})\n")
}

impl Hands {
    fn line(&mut self, text: impl AsRef<str>) {
        writeln!(self.lines, "{}", text.as_ref()).unwrap();
    }

    fn pick<'p>(&mut self, of: &[&'p str]) -> &'p str {
        of[self.rng.usize(0..of.len())]
    }

    /// How the NAT was made.
    fn set_up(&mut self) {
        let (out, inn) = (self.out, self.inn);
        match self.rng.u8(0..8) {
            0 | 1 => self.lines = user_data(self.two),
            2 | 3 => {
                // The article's four lines.
                self.line("sysctl -w net.ipv4.ip_forward=1");
                self.line(format!("iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE"));
                self.line(format!(
                    "iptables -A FORWARD -i {out} -o {inn} -m state --state RELATED,ESTABLISHED -j ACCEPT"
                ));
                self.line(format!("iptables -A FORWARD -i {inn} -o {out} -j ACCEPT"));
                if self.rng.bool() {
                    self.line("iptables -P FORWARD DROP");
                }
            }
            4 => {
                // AWS's steps for a NAT AMI.
                self.line("echo net.ipv4.ip_forward=1 > /etc/sysctl.d/custom-ip-forwarding.conf");
                self.line("sysctl -p /etc/sysctl.d/custom-ip-forwarding.conf");
                self.line(format!("iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE"));
                self.line("iptables -F FORWARD");
            }
            5 => {
                self.line("echo 1 > /proc/sys/net/ipv4/ip_forward");
                self.line("iptables -t nat -A POSTROUTING -s 10.8.0.0/16 -j SNAT --to-source 10.8.1.227");
            }
            _ if self.out == "eth0" => {
                self.line("sysctl -qw net.ipv4.ip_forward=1");
                self.line("iptables -t nat -A POSTROUTING -s 10.8.0.0/16 ! -d 10.8.0.0/16 -j MASQUERADE");
            }
            6 => {
                self.line("sysctl -w net.ipv4.ip_forward=1");
                self.line(format!(
                    "nft -f - << 'END'\ntable ip nat {{\n  chain postrouting {{\n    type nat hook postrouting priority \
                     srcnat; policy accept;\n    oifname \"{out}\" masquerade\n  }}\n}}\nEND"
                ));
            }
            _ => {
                self.line("sysctl -w net.ipv4.ip_forward=1");
                self.line(format!(
                    "nft -f - << 'END'\ntable inet natdeck {{\n  chain forward {{\n    type filter hook forward priority \
                     filter; policy drop;\n    ct state established,related accept\n    iifname \"{inn}\" oifname \
                     \"{out}\" accept\n  }}\n  chain post {{\n    type nat hook postrouting priority srcnat;\n    \
                     ip saddr 10.8.0.0/16 oifname \"{out}\" masquerade\n  }}\n}}\nEND"
                ));
            }
        }
    }

    /// One thing that somebody did afterwards.
    fn meddle(&mut self) {
        match self.rng.u8(0..20) {
            0 => self.line("sysctl -w net.ipv4.ip_forward=0"),
            1 | 2 => self.translation(),
            3..=7 => self.firewall(),
            8 => self.nft(),
            9..=11 => self.reverse_path(),
            12 | 13 => self.links(),
            14..=17 => self.routes(),
            18 => self.other_hooks(),
            _ => self.destination_translation(),
        }
    }

    /// Masquerading: gone, elsewhere, before others, to a fixed address.
    fn translation(&mut self) {
        let (out, inn) = (self.out, self.inn);
        match self.rng.u8(0..12) {
            0 => self.line("iptables -t nat -F POSTROUTING"),
            1 => {
                let wrong = self.pick(&[inn, "eth0", "eth+", "ens+", "lo", "wlan0"]);
                self.line("iptables -t nat -F POSTROUTING");
                self.line(format!("iptables -t nat -A POSTROUTING -o {wrong} -j MASQUERADE"));
            }
            2 => {
                let bang = self.pick(&["", "! "]);
                self.line("iptables -t nat -F");
                self.line(format!("iptables -t nat -A POSTROUTING {bang}-o {inn} -j MASQUERADE"));
            }
            3 => {
                let source =
                    self.pick(&["10.8.2.0/24", "10.8.3.0/24", "10.9.0.0/16", "10.8.2.120", "10.8.0.0/255.255.0.0"]);
                self.line("iptables -t nat -F POSTROUTING");
                self.line(format!("iptables -t nat -A POSTROUTING -s {source} -o {out} -j MASQUERADE"));
            }
            4 => {
                let to = self.pick(&["10.8.1.227", "10.8.2.148", "10.8.1.99", "198.51.100.7", "10.8.1.227-10.8.1.228"]);
                self.line("iptables -t nat -F POSTROUTING");
                self.line(format!("iptables -t nat -A POSTROUTING -o {out} -j SNAT --to-source {to}"));
            }
            5 => {
                let what = self.pick(&["ACCEPT", "RETURN"]);
                self.line(format!("iptables -t nat -I POSTROUTING 1 -s 10.8.2.0/24 -j {what}"));
            }
            6 => self.line(format!("iptables -t nat -I POSTROUTING -d {OUTSIDE} -j ACCEPT")),
            7 => {
                let protocol = self.pick(&["udp", "tcp", "icmp", "all"]);
                self.line("iptables -t nat -F POSTROUTING");
                self.line(format!("iptables -t nat -A POSTROUTING -p {protocol} -j MASQUERADE"));
            }
            8 => {
                let ports = self.pick(&["80", "443", "80,443", "1:1023", "8080:8090,9000"]);
                self.line("iptables -t nat -F POSTROUTING");
                self.line(format!("iptables -t nat -A POSTROUTING -p tcp -m multiport --dports {ports} -j MASQUERADE"));
            }
            9 => {
                self.line("iptables -t nat -N OUTBOUND");
                self.line(format!("iptables -t nat -I POSTROUTING -o {out} -j OUTBOUND"));
                let rule = self.pick(&["-j RETURN", "-s 10.8.3.0/24 -j ACCEPT", "-j SNAT --to-source 10.8.1.227"]);
                self.line(format!("iptables -t nat -A OUTBOUND {rule}"));
            }
            10 => {
                self.line("iptables -t nat -D POSTROUTING 1");
            }
            _ => self.line(format!("iptables -t nat -I POSTROUTING -o {out} -m state --state ESTABLISHED -j ACCEPT")),
        }
    }

    /// The FORWARD chain: policy, order, states, interfaces, ports, jumps.
    fn firewall(&mut self) {
        let (out, inn, port) = (self.out, self.inn, self.port);
        let refuse = self.pick(&[
            "DROP",
            "REJECT",
            "REJECT --reject-with icmp-host-prohibited",
            "REJECT --reject-with icmp-net-unreachable",
        ]);
        match self.rng.u8(0..18) {
            0 => self.line("iptables -P FORWARD DROP"),
            1 => self.line(format!("iptables -A FORWARD -j {refuse}")),
            2 => self.line(format!("iptables -I FORWARD -j {refuse}")),
            3 => {
                self.line("iptables -F FORWARD; iptables -P FORWARD DROP");
                self.line(format!("iptables -A FORWARD -i {inn} -o {out} -j ACCEPT"));
            }
            4 => {
                self.line("iptables -F FORWARD; iptables -P FORWARD DROP");
                self.line("iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
                if self.rng.bool() {
                    self.line("iptables -A FORWARD -s 10.8.2.0/24 -j ACCEPT");
                }
            }
            5 => {
                // The state of the third packet is no longer NEW.
                self.line("iptables -F FORWARD; iptables -P FORWARD DROP");
                self.line(format!("iptables -A FORWARD -i {inn} -m state --state NEW -j ACCEPT"));
                self.line(format!("iptables -A FORWARD -i {out} -m state --state ESTABLISHED -j ACCEPT"));
            }
            6 => {
                let states = self.pick(&["NEW", "NEW,ESTABLISHED", "ESTABLISHED", "INVALID", "RELATED", "UNTRACKED"]);
                let bang = self.pick(&["", "! "]);
                self.line(format!("iptables -I FORWARD -m state {bang}--state {states} -j {refuse}"));
            }
            7 => {
                let which = self.pick(&[
                    "-p tcp --dport 443",
                    "-p tcp --dport 80",
                    "-p tcp --sport 80",
                    "-p udp",
                    "-p icmp",
                    "-p icmp --icmp-type destination-unreachable",
                    "-p icmp ! --icmp-type echo-request",
                    "-p icmp --icmp-type 3/4",
                ]);
                self.line(format!("iptables -I FORWARD {which} -j {refuse}"));
            }
            8 => {
                let bang = self.pick(&["", "! "]);
                self.line(format!("iptables -I FORWARD -p tcp -m multiport {bang}--dports 80,8000:9000 -j {refuse}"));
            }
            9 => {
                let device = self.pick(&["eth0", "eth1", "ens5", "ens6", "docker0", "e+", "br-+"]);
                let side = self.pick(&["-i", "-o", "! -i", "! -o"]);
                self.line(format!("iptables -I FORWARD {side} {device} -j {refuse}"));
            }
            10 => {
                let net = self.pick(&["10.8.2.120", "10.8.3.0/24", "10.8.0.0/16", "203.0.113.0/24", "10.8.1.227"]);
                let side = self.pick(&["-s", "-d", "! -s", "! -d"]);
                self.line(format!("iptables -I FORWARD {side} {net} -j {refuse}"));
            }
            11 => {
                // A chain of somebody's own, with a return.
                self.line("iptables -N MINE");
                self.line("iptables -I FORWARD -j MINE");
                self.line("iptables -A MINE -s 10.8.2.0/24 -j RETURN");
                self.line(format!("iptables -A MINE -i {inn} -j {refuse}"));
            }
            12 => {
                let how = self.pick(&["-j", "-g"]);
                self.line("iptables -N MINE");
                self.line(format!("iptables -I FORWARD 1 -i {inn} {how} MINE"));
                self.line(format!("iptables -A MINE -p tcp --dport {port} -j RETURN"));
                self.line("iptables -P FORWARD DROP");
            }
            13 => {
                // Docker's way: policy DROP, and a chain for users in front.
                self.line("iptables -P FORWARD DROP");
                self.line("iptables -N DOCKER-USER; iptables -N DOCKER; iptables -N DOCKER-ISOLATION-STAGE-1");
                self.line("iptables -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
                self.line("iptables -I FORWARD -j DOCKER-ISOLATION-STAGE-1");
                self.line("iptables -I FORWARD -j DOCKER-USER");
                self.line("iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT");
                if self.rng.bool() {
                    self.line(format!("iptables -I DOCKER-USER -i {inn} -o {out} -j ACCEPT"));
                }
                self.line("iptables -A DOCKER-USER -j RETURN");
            }
            14 => {
                // The rules that come with iptables-services.
                self.line("iptables -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT");
                self.line("iptables -A INPUT -i lo -j ACCEPT");
                self.line("iptables -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT");
                self.line("iptables -A INPUT -j REJECT --reject-with icmp-host-prohibited");
                self.line("iptables -A FORWARD -j REJECT --reject-with icmp-host-prohibited");
            }
            15 => {
                let number = self.pick(&["1", "2"]);
                self.line(format!("iptables -D FORWARD {number}"));
            }
            16 => self.line("iptables -I FORWARD -p tcp -j REJECT --reject-with tcp-reset"),
            _ => self.line("iptables -F; iptables -X"),
        }
    }

    /// The same in nft's words. Amazon Linux 2 has no nft.
    fn nft(&mut self) {
        let (out, inn, port) = (self.out, self.inn, self.port);
        if out == "eth0" {
            return self.firewall();
        }
        match self.rng.u8(0..10) {
            0 => self.line("nft flush ruleset"),
            1 => {
                let hook = format!("forward priority {}; policy drop", self.rng.i8(-10..10));
                self.table(&hook, "ct state established accept");
            }
            2 => self.table("forward priority filter; policy accept", "tcp dport { 80, 443 } reject"),
            3 => self.table(
                "forward priority filter",
                "ct state vmap { invalid : drop, new : drop }\n ip saddr 10.8.3.0/24 drop",
            ),
            4 => self.table("prerouting priority raw", &format!("iifname \"{out}\" tcp sport {port} drop")),
            5 => self.table("postrouting priority 300", "ip saddr 10.8.2.0/24 drop"),
            8 => {
                let rule = self.pick(&[
                    "icmp type echo-request drop",
                    "icmp type { destination-unreachable, time-exceeded } drop",
                    "icmp type != echo-request reject",
                    "icmp code frag-needed drop",
                    "icmpv6 type { echo-request, nd-neighbor-solicit } drop",
                ]);
                self.table("forward priority filter", rule);
            }
            // A refusal is an ICMP message of the host's own.
            9 => {
                let kind = self.pick(&["destination-unreachable", "echo-request", "3-5"]);
                self.line("iptables -A FORWARD -j REJECT");
                self.table("output priority filter", &format!("icmp type {kind} drop"));
            }
            6 => self
                .table("forward priority filter; policy drop", &format!("iifname {{ \"{inn}\", \"{out}\" }} accept")),
            _ => self.table(
                "forward priority security",
                &format!("oifname != \"{out}\" ct state new drop\n ip saddr != {{ 10.8.1.0-10.8.2.255 }} reject"),
            ),
        }
    }

    fn table(&mut self, hook: &str, rules: &str) {
        self.line(format!(
            "nft -f - << 'END'\ntable inet meddled {{\n chain c {{\n type filter hook {hook};\n {rules}\n }}\n}}\nEND"
        ));
    }

    fn reverse_path(&mut self) {
        let place = self.pick(&["all", "default", self.out, self.inn, self.inn, self.out]);
        let mode = self.pick(&["0", "1", "1", "1", "2"]);
        self.line(format!("sysctl -w net.ipv4.conf.{place}.rp_filter={mode}"));
        if self.rng.u8(0..3) == 0 {
            self.routes();
        }
    }

    fn links(&mut self) {
        let device = self.pick(&[self.inn, self.inn, self.out]);
        match self.rng.u8(0..6) {
            0 | 1 => self.line(format!("ip link set {device} down")),
            2 => self.line(format!("ip link set dev {device} down; ip link set dev {device} up")),
            3 if self.two => self.line(format!("ip addr del 10.8.2.148/24 dev {}", self.inn)),
            4 if self.two => self.line(format!("ip addr flush dev {}", self.inn)),
            _ => self.line(format!("ip addr add 10.8.2.150/24 dev {device}")),
        }
    }

    fn routes(&mut self) {
        let (out, inn) = (self.out, self.inn);
        match self.rng.u8(0..14) {
            0 => self.line("ip route del default"),
            1 => self.line(format!("ip route replace default via 10.8.1.1 dev {out}")),
            2 if self.two => self.line(format!("ip route replace default via 10.8.2.1 dev {inn}")),
            3 | 4 if self.two => self.line(format!("ip route add 10.8.3.0/24 via 10.8.2.1 dev {inn}")),
            5 if self.two => self.line(format!("ip route add 10.8.0.0/16 via 10.8.2.1 dev {inn}")),
            6 => {
                let kind = self.pick(&["blackhole", "unreachable", "prohibit"]);
                let to = self.pick(&["10.8.2.120", "10.8.3.0/24", "203.0.113.0/24"]);
                self.line(format!("ip route add {kind} {to}"));
            }
            7 => self.line(format!("ip route add {OUTSIDE} via 10.8.1.1 dev {out}")),
            8 if self.two => self.line(format!("ip route add {OUTSIDE} via 10.8.2.1 dev {inn}")),
            9 if self.two => self.line(format!("ip route del 10.8.2.0/24 dev {inn}")),
            10 => self.line(format!("ip route add 10.8.2.0/25 via 10.8.1.1 dev {out}")),
            11 => {
                self.line(format!("ip route add default via 10.8.1.1 dev {out} table 77"));
                let rule = self.pick(&["from 10.8.0.0/16", "to 203.0.113.0/24", "from 10.8.1.227", "from 10.8.3.33"]);
                self.line(format!("ip rule add {rule} table 77"));
            }
            12 => {
                self.line("ip route add blackhole default table 78");
                let rule =
                    self.pick(&[&format!("iif {inn}"), &format!("iif {out}"), "from 10.8.3.0/24", "iif lo"]).to_owned();
                self.line(format!("ip rule add {rule} lookup 78"));
            }
            _ => self.line(format!("ip route add default via 10.8.1.1 dev {out} metric 1")),
        }
    }

    fn other_hooks(&mut self) {
        let (out, inn) = (self.out, self.inn);
        match self.rng.u8(0..9) {
            0 => self.line(format!("iptables -t mangle -A FORWARD -i {inn} -p tcp -j DROP")),
            1 => self.line("iptables -t mangle -A PREROUTING -m state --state NEW -s 10.8.3.0/24 -j DROP"),
            2 => self.line(format!("iptables -t raw -A PREROUTING -i {out} -j DROP")),
            3 => self.line("iptables -t raw -A PREROUTING -m conntrack --ctstate INVALID -j ACCEPT"),
            4 => self.line("iptables -P INPUT DROP"),
            5 => self.line("iptables -P OUTPUT DROP"),
            6 => self.line(format!("iptables -A OUTPUT -o {out} -p tcp --dport 443 -j REJECT")),
            7 => self.line(format!("iptables -t mangle -A POSTROUTING -o {out} -s 10.8.1.227 -j DROP")),
            _ => {
                self.line("iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu");
            }
        }
    }

    fn destination_translation(&mut self) {
        let (inn, port) = (self.inn, self.port);
        match self.rng.u8(0..5) {
            0 => self.line(format!(
                "iptables -t nat -A PREROUTING -i {inn} -p tcp --dport {port} -j DNAT --to-destination {OUTSIDE}:80"
            )),
            1 => self.line(format!("iptables -t nat -A PREROUTING -d {OUTSIDE} -j DNAT --to-destination 203.0.113.99")),
            2 => self.line(format!("iptables -t nat -A OUTPUT -p tcp -j DNAT --to-destination {OUTSIDE}:8080")),
            3 => self.line(format!("iptables -t nat -A PREROUTING -p tcp --dport {port} -j ACCEPT")),
            _ => self.line("iptables -t nat -A PREROUTING -i docker0 -j DNAT --to-destination 172.17.0.2"),
        }
    }
}

/// One thing that somebody did to the VPC. What it was.
fn rearrange(rng: &mut Rng, network: &mut Network, two: bool, port: u16) -> &'static str {
    use AclAction::{Allow, Deny};
    use AclDirection::{Egress, Ingress};
    const ANY: &str = "0.0.0.0/0";
    let inner = world::inner(two);
    let acl = ["acl-public", "acl-private", "acl-far"][rng.usize(0..3)];
    let direction = [Ingress, Egress][rng.usize(0..2)];
    let allow_all = |network: &mut Network, acl: &str, direction: AclDirection| {
        let entries = &mut network.network_acls.items_mut().get_mut(acl).unwrap().entries;
        entries.retain(|entry| entry.direction != direction || entry.action == Deny);
    };
    match rng.u8(0..22) {
        0 => {
            world::interface(network, inner).source_dest_check = true;
            "source/destination check on at the interface that is routed to"
        }
        1 => {
            world::interface(network, "eni-outer").source_dest_check = false;
            "source/destination check off at the outer interface"
        }
        2 => {
            allow_all(network, acl, direction);
            world::acl_entry(network, acl, 100, direction, Allow, (ANY, Some((80, 443))));
            "an ACL without ephemeral ports"
        }
        3 => {
            allow_all(network, acl, direction);
            world::acl_entry(network, acl, 100, direction, Allow, (ANY, Some((80, 443))));
            world::acl_entry(network, acl, 110, direction, Allow, (ANY, Some((1024, 65535))));
            "an ACL with web and ephemeral ports"
        }
        4 => {
            world::acl_entry(network, acl, 50, direction, Deny, (ANY, Some((port, port))));
            "an ACL that denies the port"
        }
        5 => {
            world::acl_entry(network, acl, 150, direction, Deny, (ANY, None));
            "an ACL that denies too late"
        }
        6 => {
            world::acl_entry(network, acl, 90, direction, Deny, ("10.8.2.0/24", None));
            "an ACL that denies the private subnet"
        }
        7 => {
            world::acl_entry(network, acl, 90, direction, Deny, ("203.0.113.0/24", None));
            "an ACL that denies the outside"
        }
        8 => {
            world::group(network, "sg-nat", &[(RuleDirection::Egress, ANY)]);
            "the NAT's group lets nothing in"
        }
        9 => {
            world::group(network, "sg-nat", &[(RuleDirection::Ingress, "10.8.2.0/24"), (RuleDirection::Egress, ANY)]);
            "the NAT's group lets one private subnet in"
        }
        10 => {
            world::group(network, "sg-nat", &[(RuleDirection::Ingress, "sg-private")]);
            "the NAT's group lets nothing out"
        }
        11 => {
            world::group(network, "sg-private", &[]);
            "the private group lets nothing out"
        }
        12 => {
            world::group(network, "sg-private", &[(RuleDirection::Egress, "10.8.0.0/16")]);
            "the private group lets nothing out of the VPC"
        }
        13 => {
            let group = network.security_groups.items_mut().get_mut("sg-nat").unwrap();
            group.rules = vec![
                world::group_rule(RuleDirection::Ingress, "10.8.0.0/16", Some((443, 443))),
                world::group_rule(RuleDirection::Egress, ANY, Some((80, 8080))),
            ];
            "the NAT's group lets HTTPS in"
        }
        14 => {
            world::default_route(network, "rtb-private", None);
            "no default route in the private table"
        }
        15 => {
            world::default_route(network, "rtb-private", Some(world::to_interface("eni-outer")));
            world::interface(network, "eni-outer").source_dest_check = false;
            "the private table leads to the outer interface"
        }
        16 => {
            world::default_route(network, "rtb-public", None);
            "no default route in the public table"
        }
        17 => {
            world::default_route(network, "rtb-public", Some(world::to_interface(inner)));
            "the public table leads to the NAT"
        }
        18 => {
            network.internet_gateways.items_mut().get_mut(world::GATEWAY).unwrap().attachments.clear();
            "the internet gateway is detached"
        }
        19 => {
            let association = world::interface(network, "eni-outer").association.take();
            if rng.bool() {
                world::interface(network, inner).association = association;
                return "the public address is at the interface that is routed to";
            }
            "no public address"
        }
        20 => {
            for association in &mut world::table(network, "rtb-far").associations {
                association.subnet_id = None;
                association.state = "disassociated".to_owned();
            }
            world::table(network, "rtb-far").associations.clear();
            "the far subnet has the main table"
        }
        _ => {
            let client = InterfaceAssociation { public_ip: NAT_PUBLIC, allocation_id: None, association_id: None };
            world::interface(network, "eni-outer").association = None;
            world::interface(network, "eni-client").association = Some(client);
            world::route(
                network,
                "rtb-private",
                "203.0.113.0/24",
                Some(RouteTarget::InternetGateway(InternetGatewayId::new(world::GATEWAY))),
            );
            "the address moved to the client, which has a route of its own"
        }
    }
}
