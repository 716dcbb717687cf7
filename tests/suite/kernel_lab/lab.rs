//! One VPC of namespaces: two private instances, the router, the outside, and the NAT host, which is made anew for
//! every variation, as an instance is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use natdeck::model::Network;
use natdeck::model::host::{Host, HostRouteKind, MAIN_TABLE};
use natdeck::reach::GATHER;
use tempfile::TempDir;

use super::namespaces::{Maker, Ran, Server, Shell};
use super::router;
use super::variation::{Flavour, Variation};
use super::world::{OUTSIDE, mac};

const GATEWAYS: [&str; 3] = ["10.8.1.1", "10.8.2.1", "10.8.3.1"];
pub const PORTS: [u16; 3] = [80, 443, 8080];
/// What answers inside, and what answers outside.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/kernel_lab/outside.py");
/// Interfaces of the lab and their subnets; those of the NAT come and go.
const CABLES: [(&str, &str); 4] = [
    ("eni-client", "subnet-private"),
    ("eni-far", "subnet-far"),
    ("eni-outer", "subnet-public"),
    ("eni-inner", "subnet-private"),
];

/// What curl got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// The address that the outside saw.
    Address(Ipv4Addr),
    /// An answer that refuses, at once.
    Refused,
    /// Nothing in time.
    Nothing,
}

pub struct Lab {
    // Before the maker, so that the shells end before what holds their user namespace.
    outside: Shell,
    client: Shell,
    far: Shell,
    router: Shell,
    nat: Option<Shell>,
    _servers: [Server; 2],
    metadata: PathBuf,
    scratch: TempDir,
    maker: Maker,
}

impl Lab {
    pub fn new() -> Result<Self, String> {
        let maker = Maker::new()?;
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut router = maker.shell(scratch.path());
        let mut outside = maker.shell(scratch.path());
        let mut client = maker.shell(scratch.path());
        let mut far = maker.shell(scratch.path());
        let ports = router::rules(&CABLES);
        router.must(&format!(
            "cd /proc/sys/net/ipv4
             echo 1 > ip_forward
             for place in all default lo; do
               echo 0 > conf/$place/rp_filter; echo 0 > conf/$place/send_redirects
               echo 1 > conf/$place/proxy_arp
               [ ! -e ../ipv6/conf/$place/disable_ipv6 ] || echo 1 > ../ipv6/conf/$place/disable_ipv6
             done
             {}
             ip -batch - << 'END'\n{ports}END\n",
            GATEWAYS.iter().map(|ip| format!("ip addr add {ip}/32 dev lo; ")).collect::<String>()
                + "ip addr add 169.254.169.254/32 dev lo",
        ));
        cable(&mut router, router::OUT_PORT, "02:00:00:00:00:01", "eth0", "02:00:00:00:00:02", &outside);
        router.must(&format!(
            "ip neigh replace {} lladdr 02:00:00:00:00:02 dev {} nud permanent",
            router::BEYOND,
            router::OUT_PORT
        ));
        outside.must(&format!(
            "ip link set eth0 up; ip addr add {OUTSIDE}/32 dev eth0; ip addr add 203.0.113.99/32 dev eth0
             ip route add default via 192.0.2.1 dev eth0 onlink
             ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent"
        ));
        for (eni, shell, address, gateway) in
            [("eni-client", &mut client, "10.8.2.120", GATEWAYS[1]), ("eni-far", &mut far, "10.8.3.33", GATEWAYS[2])]
        {
            let port = router::port(eni);
            cable(&mut router, &port, &port_mac(eni), "eth0", &mac(eni), shell);
            shell.must(&format!(
                "ip link set eth0 up; ip addr add {address}/24 dev eth0; ip route add default via {gateway}
                 echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter"
            ));
        }
        let metadata = scratch.path().join("metadata.json");
        std::fs::write(&metadata, "{}").map_err(|error| error.to_string())?;
        let ports: Vec<String> = PORTS.iter().map(u16::to_string).collect();
        let mut program = vec!["python3", PROGRAM];
        program.extend(ports.iter().map(String::as_str));
        let answers = maker.server(&outside, &program);
        let metadata_path = metadata.to_str().unwrap_or_default().to_owned();
        let service = maker.server(&router, &["python3", PROGRAM, "80", &metadata_path]);
        Ok(Self { outside, client, far, router, nat: None, _servers: [answers, service], metadata, scratch, maker })
    }

    /// A new NAT host with the system's own configuration (`kernel`), in the variation's VPC, that has run the
    /// variation's script. What the script printed.
    pub fn boot(&mut self, variation: &Variation, kernel: &Host) -> Ran {
        self.router.must("for port in p-outer p-inner; do [ ! -e /sys/class/net/$port ] || ip link del $port; done");
        self.nat = None;
        let mut nat = self.maker.shell(self.scratch.path());
        let network = &variation.network;
        let mut batch = String::new();
        let mut at_once = String::new();
        for interface in network.network_interfaces.shown().values() {
            let eni = interface.network_interface_id.as_str();
            let Some(device) = kernel.interface_by_mac(&interface.mac_address) else { continue };
            let (port, pid) = (router::port(eni), nat.pid());
            writeln!(
                batch,
                "link add {port} address {} type veth peer name {} address {} netns {pid}\nlink set {port} up",
                port_mac(eni),
                device.name,
                interface.mac_address
            )
            .unwrap();
            writeln!(at_once, "echo 0 > /proc/sys/net/ipv4/neigh/{port}/proxy_delay").unwrap();
        }
        batch.push_str(&router::routes(network));
        let filter = router::filter(network);
        self.router
            .start(&format!("set -e\nip -batch - << 'END'\n{batch}END\n{at_once}nft -f - << 'END'\n{filter}END\n"));
        std::fs::write(&self.metadata, metadata(network)).unwrap();
        let router = self.router.wait();
        assert_eq!(router.code, 0, "the router: {}\n{batch}\n{filter}", router.output);
        nat.must(&system(kernel, variation.flavour));
        let ran = nat.run(&format!("export PATH=/run/natdeck-lab:$PATH\n{}", variation.script));
        self.nat = Some(nat);
        ran
    }

    /// What a fetch from each instance gets: the client, the far one, the NAT itself.
    pub fn probe(&mut self, port: u16, patience: f32) -> [Got; 3] {
        let script = format!(
            "curl -s --noproxy '*' --connect-timeout {patience} --max-time {} http://{OUTSIDE}:{port}/; echo \" $?\"",
            patience * 2.0
        );
        let nat = self.nat.as_mut().unwrap();
        let mut shells = [&mut self.client, &mut self.far, nat];
        for shell in &mut shells {
            shell.start(&script);
        }
        shells.map(|shell| got(&shell.wait().output))
    }

    /// What the private instance gets; of `/large` an answer that fills many packets.
    pub fn fetch(&mut self, port: u16, path: &str, patience: f32) -> Got {
        let script = format!(
            "curl -s --noproxy '*' --connect-timeout {patience} --max-time {patience} http://{OUTSIDE}:{port}{path}; \
             echo \" $?\""
        );
        got(&self.client.run(&script).output)
    }

    /// Runs a script on the private instance.
    pub fn on_client(&mut self, script: &str) -> Ran {
        self.client.run(script)
    }

    /// Runs a script on the NAT host.
    pub fn on_nat(&mut self, script: &str) -> Ran {
        self.nat.as_mut().unwrap().run(script)
    }

    /// The output of natdeck's own script on the NAT host.
    pub fn gather(&mut self, flavour: Flavour) -> String {
        self.nat.as_mut().unwrap().run(&format!("export PATH={}$PATH\n{GATHER}", legacy_path(flavour))).output
    }

    /// The rules of the router with their counters, for a report.
    pub fn report(&mut self) -> String {
        let nat = self.nat.as_mut().unwrap();
        let shown = nat.run(
            "ip addr; ip rule; ip route show table all; iptables-save -c; nft list ruleset; nstat -az | grep -i ip",
        );
        format!("{}\n{}", shown.output, self.outside.run("ip -s link show eth0").output)
    }
}

/// The other end of an interface's cable.
fn port_mac(eni: &str) -> String {
    mac(eni).replacen("02:00", "02:01", 1)
}

fn cable(router: &mut Shell, port: &str, port_mac: &str, name: &str, mac: &str, to: &Shell) {
    router.must(&format!(
        "ip link add {port} address {port_mac} type veth peer name {name} address {mac} netns {}
         ip link set {port} up
         echo 0 > /proc/sys/net/ipv4/neigh/{port}/proxy_delay",
        to.pid()
    ));
}

/// What the system configures by itself before any script runs, and what a namespace lacks: a service manager and a
/// package manager that have nothing to do, and directories that the script may write to.
fn system(kernel: &Host, flavour: Flavour) -> String {
    let mut text = String::from(
        "for place in /run /usr/local/sbin /etc/sysctl.d /etc/systemd/system; do mount -t tmpfs none $place; done
         mkdir -p /run/natdeck-lab
         for tool in systemctl dnf yum; do printf '#!/bin/sh\\n' > /run/natdeck-lab/$tool; done
         chmod 755 /run/natdeck-lab/*
         cd /proc/sys/net/ipv4; echo 0 > ip_forward; echo 0 > icmp_ratelimit
         [ ! -e ../ipv6/conf/all/disable_ipv6 ] || echo 1 > ../ipv6/conf/all/disable_ipv6
         for file in conf/*/rp_filter; do echo 0 > $file; done\n",
    );
    if flavour == Flavour::AmazonLinux2 {
        text.push_str(
            "for tool in iptables iptables-save iptables-restore; do
               ln -s \"$(command -v iptables-legacy)\" /run/natdeck-lab/$tool
             done\n",
        );
    }
    let mut batch = String::new();
    let mut line = |words: String| writeln!(batch, "{words}").unwrap();
    for interface in kernel.interfaces.iter().filter(|interface| interface.mac_address.is_some()) {
        let name = &interface.name;
        for alias in &interface.altnames {
            line(format!("link property add dev {name} altname {alias}"));
        }
        for net in interface.addresses.iter().filter(|net| net.addr().is_ipv4()) {
            let connected = kernel
                .routes
                .iter()
                .find(|route| route.table == MAIN_TABLE && route.device == *name && route.destination == net.trunc());
            let metric = connected.map_or(0, |route| route.metric);
            let metric = if metric == 0 { String::new() } else { format!(" metric {metric}") };
            line(format!("addr add {net} dev {name}{metric}"));
        }
        line(format!("link set {name} up"));
    }
    for route in kernel.routes.iter().filter(|route| route.destination.addr().is_ipv4()) {
        assert_eq!(route.kind, HostRouteKind::Unicast, "the system itself drops nothing");
        if route.device == "lo" {
            continue;
        }
        let mut words = format!("route replace {} dev {} table {}", route.destination, route.device, route.table);
        for (key, value) in [("via", route.gateway), ("src", route.preferred_source)] {
            if let Some(value) = value {
                write!(words, " {key} {value}").unwrap();
            }
        }
        if route.metric > 0 {
            write!(words, " metric {}", route.metric).unwrap();
        }
        line(words);
    }
    for rule in kernel.policy_rules.iter().filter(|rule| !matches!(rule.priority, 0 | 32_766 | 32_767)) {
        let from = rule.from.map_or_else(String::new, |net| format!("from {net} "));
        line(format!("rule add pref {} {from}lookup {}", rule.priority, rule.table));
    }
    for interface in &kernel.interfaces {
        writeln!(text, "echo {} > conf/{}/rp_filter", interface.rp_filter, interface.name).unwrap();
    }
    writeln!(text, "echo {} > conf/all/rp_filter", kernel.rp_filter_all).unwrap();
    format!("{text}ip -batch - << 'END'\n{batch}END\n")
}

fn legacy_path(flavour: Flavour) -> &'static str {
    if flavour == Flavour::AmazonLinux2 { "/run/natdeck-lab:" } else { "" }
}

/// What the metadata service knows about the interfaces of the NAT.
fn metadata(network: &Network) -> String {
    let mut known = BTreeMap::new();
    let mut macs = String::new();
    for interface in network.network_interfaces.shown().values() {
        let Some(attachment) =
            interface.attachment.as_ref().filter(|a| a.instance_id.as_ref().is_some_and(|id| id.as_str() == "i-nat"))
        else {
            continue;
        };
        let base = format!("/latest/meta-data/network/interfaces/macs/{}", interface.mac_address);
        writeln!(macs, "{}/", interface.mac_address).unwrap();
        known.insert(format!("{base}/device-number"), attachment.device_index.to_string());
        let subnet = network.subnets.shown()[interface.subnet_id.as_str()].cidr_block.unwrap();
        known.insert(format!("{base}/subnet-ipv4-cidr-block"), subnet.to_string());
    }
    known.insert("/latest/meta-data/network/interfaces/macs".to_owned(), macs.trim_end().to_owned());
    serde_json::to_string(&known).unwrap()
}

/// curl's output and exit code: 7 is "failed to connect", 28 a timeout.
fn got(output: &str) -> Got {
    let (body, code) = output.trim_end().rsplit_once(' ').unwrap_or(("", output));
    match (code.trim(), body.trim().parse()) {
        ("0", Ok(address)) => Got::Address(address),
        ("7", _) => Got::Refused,
        ("28" | "52" | "56", _) => Got::Nothing,
        _ => panic!("curl says {output:?}"),
    }
}
