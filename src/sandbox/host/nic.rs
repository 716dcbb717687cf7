//! Network cards and how the two systems configure them by themselves.
//!
//! Sources. Amazon Linux 2023: amazon-ec2-net-utils 2 (`lib/lib.sh`: `metric_base=512`, plus 10 for each device,
//! `rule_base=10000`) and systemd-networkd, which marks its routes `proto dhcp`. Newer releases of that package put the
//! routes of a second interface into its own table only; this follows the releases that keep them in `main` as well,
//! which is what the package's own comment describes. Amazon Linux 2: ec2-net-utils 1 (`ec2net-functions`:
//! `RTABLE=10000 + device number`, default route in `main` with that metric, rule at the first free priority below
//! 32766).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{Flavour, Machine};
use crate::model::host::{HostInterface, HostRoute, HostRouteKind, MAIN_TABLE, PolicyRule};

/// A network interface as it is attached to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub device_index: u32,
    pub network_interface_id: String,
    /// Lower case, colons.
    pub mac_address: String,
    pub private_ip: Ipv4Addr,
    /// Without the primary one.
    pub secondary_ips: Vec<Ipv4Addr>,
    pub subnet_id: String,
    pub subnet: Ipv4Net,
    pub vpc_id: String,
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// The public address that the metadata service tells. `None`: it has none.
    pub public_ip: Option<Ipv4Addr>,
    pub security_group_ids: Vec<String>,
    pub ipv6_addresses: Vec<Ipv6Addr>,
    pub ipv6_subnet: Option<Ipv6Net>,
}

impl Nic {
    /// The VPC's router in this subnet: its first address (VPC guide, "Subnet sizing").
    pub fn gateway(&self) -> Ipv4Addr {
        nth(self.subnet, 1)
    }
}

/// The `n`th address of a network.
pub(super) fn nth(net: Ipv4Net, n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(net.network().to_bits().saturating_add(n))
}

/// Who put a route into the kernel, as `ip route` prints after `proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RouteOrigin {
    Kernel,
    Dhcp,
    Static,
}

impl RouteOrigin {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Dhcp => "dhcp",
            Self::Static => "static",
        }
    }
}

impl Machine {
    /// What the kernel calls the card in this slot.
    pub(super) fn interface_name(&self, device_index: u32) -> String {
        match self.launch.flavour {
            Flavour::AmazonLinux2023 => format!("ens{}", device_index.saturating_add(5)),
            Flavour::AmazonLinux2 => format!("eth{device_index}"),
        }
    }

    /// The kernel finds a card and the system configures it. A card that is already there is configured anew.
    pub(super) fn plug(&mut self, nic: &Nic) {
        let name = self.interface_name(nic.device_index);
        let modern = self.launch.flavour == Flavour::AmazonLinux2023;
        let altnames = if modern {
            vec![
                format!("enp0s{}", nic.device_index.saturating_add(5)),
                format!("device-number-{}", nic.device_index),
                nic.network_interface_id.clone(),
            ]
        } else {
            Vec::new()
        };
        let rp_filter = self.sysctl_number("net.ipv4.conf.default.rp_filter");
        if self.kernel.interface(&name).is_none() {
            self.kernel.interfaces.push(HostInterface {
                name: name.clone(),
                altnames,
                mac_address: Some(nic.mac_address.to_ascii_lowercase()),
                up: true,
                mtu: 9001,
                addresses: Vec::new(),
                rp_filter,
            });
        }
        self.configure(nic);
    }

    /// Addresses, routes and rules of one card, as the system's network service sets them.
    pub(super) fn configure(&mut self, nic: &Nic) {
        let name = self.interface_name(nic.device_index);
        self.drop_routes_of(&name);
        let prefix = nic.subnet.prefix_len();
        let Some(interface) = self.kernel.interfaces.iter_mut().find(|i| i.name == name) else { return };
        interface.up = true;
        interface.addresses.clear();
        let first = Ipv4Net::new(nic.private_ip, prefix).map(IpNet::V4);
        let second = nic.secondary_ips.iter().map(|ip| IpNet::V4(Ipv4Net::from(*ip)));
        interface.addresses.extend(first.into_iter().chain(second));
        interface.addresses.extend(nic.ipv6_addresses.iter().map(|ip| IpNet::V6(Ipv6Net::from(*ip))));
        if let Some(link_local) = link_local(&nic.mac_address) {
            interface.addresses.push(link_local);
        }
        self.add_routes(nic, &name);
        self.add_ipv6_routes(nic, &name);
        self.add_rules(nic);
    }

    fn add_routes(&mut self, nic: &Nic, name: &str) {
        let modern = self.launch.flavour == Flavour::AmazonLinux2023;
        let table = nic.device_index.saturating_add(10_000);
        let subnet = IpNet::V4(nic.subnet.trunc());
        let gateway = Some(IpAddr::V4(nic.gateway()));
        let source = Some(IpAddr::V4(nic.private_ip));
        let any = IpNet::V4(Ipv4Net::default());
        let host = |ip: Ipv4Addr| IpNet::V4(Ipv4Net::from(ip));
        let metric = match (modern, nic.device_index) {
            (true, index) => index.saturating_mul(10).saturating_add(512),
            (false, 0) => 0,
            (false, _) => table,
        };
        let route = |table, destination, gateway, metric| HostRoute {
            table,
            destination,
            gateway,
            device: name.to_owned(),
            metric,
            preferred_source: source,
            kind: HostRouteKind::Unicast,
        };
        if modern {
            self.add_route(route(MAIN_TABLE, any, gateway, metric), RouteOrigin::Dhcp);
            if let Some(vpc) = nic.vpc_cidrs.first() {
                self.add_route(route(MAIN_TABLE, host(nth(*vpc, 2)), gateway, metric), RouteOrigin::Dhcp);
            }
            self.add_route(route(MAIN_TABLE, subnet, None, metric), RouteOrigin::Kernel);
            self.add_route(route(MAIN_TABLE, host(nic.gateway()), None, metric), RouteOrigin::Dhcp);
            if nic.device_index > 0 {
                self.add_route(route(table, any, gateway, 0), RouteOrigin::Static);
                self.add_route(route(table, subnet, None, metric), RouteOrigin::Dhcp);
            }
        } else {
            let bare = |route: HostRoute| HostRoute { preferred_source: None, ..route };
            self.add_route(bare(route(MAIN_TABLE, any, gateway, metric)), RouteOrigin::Static);
            self.add_route(route(MAIN_TABLE, subnet, None, 0), RouteOrigin::Kernel);
            if nic.device_index == 0 {
                let metadata = host(Ipv4Addr::new(169, 254, 169, 254));
                self.add_route(bare(route(MAIN_TABLE, metadata, None, 0)), RouteOrigin::Static);
            } else {
                self.add_route(bare(route(table, any, gateway, 0)), RouteOrigin::Static);
                self.add_route(route(table, subnet, None, 0), RouteOrigin::Kernel);
            }
        }
    }

    fn add_ipv6_routes(&mut self, nic: &Nic, name: &str) {
        let metric = nic.device_index.saturating_mul(10).saturating_add(512);
        let mut add = |destination: IpNet, gateway: Option<IpAddr>, origin| {
            let device = name.to_owned();
            let kind = HostRouteKind::Unicast;
            let table = MAIN_TABLE;
            let route = HostRoute { table, destination, gateway, device, metric, preferred_source: None, kind };
            self.add_route(route, origin);
        };
        if let Ok(link) = "fe80::/64".parse() {
            add(link, None, RouteOrigin::Kernel);
        }
        let Some(subnet) = nic.ipv6_subnet else { return };
        if nic.ipv6_addresses.is_empty() {
            return;
        }
        add(IpNet::V6(subnet.trunc()), None, RouteOrigin::Dhcp);
        // The VPC's router announces itself; its link-local address comes from its MAC address.
        if let Ok(router) = "fe80::1".parse() {
            add(IpNet::V6(Ipv6Net::default()), Some(IpAddr::V6(router)), RouteOrigin::Dhcp);
        }
    }

    fn add_rules(&mut self, nic: &Nic) {
        if nic.device_index == 0 {
            return;
        }
        let table = nic.device_index.saturating_add(10_000);
        let mut next = 32_765_u32;
        for ip in std::iter::once(nic.private_ip).chain(nic.secondary_ips.iter().copied()) {
            let priority = match self.launch.flavour {
                Flavour::AmazonLinux2023 => table,
                Flavour::AmazonLinux2 => {
                    while self.kernel.policy_rules.iter().any(|rule| rule.priority == next) {
                        next = next.saturating_sub(1);
                    }
                    next
                }
            };
            let from = Some(IpNet::V4(Ipv4Net::from(ip)));
            let rule = PolicyRule { priority, from, to: None, iif: None, oif: None, table, not_understood: None };
            self.add_rule(rule);
        }
    }

    /// Adds a rule in its place. The kernel's own three are written out first if there were none.
    pub(super) fn add_rule(&mut self, rule: PolicyRule) {
        self.write_out_default_rules();
        let at = self.kernel.policy_rules.partition_point(|other| other.priority <= rule.priority);
        self.kernel.policy_rules.insert(at, rule);
    }

    /// The three rules that every kernel starts with.
    pub(super) fn write_out_default_rules(&mut self) {
        if self.kernel.policy_rules.is_empty() {
            self.kernel.policy_rules = default_rules();
        }
    }

    pub(super) fn add_route(&mut self, route: HostRoute, origin: RouteOrigin) {
        self.route_origins.retain(|(other, _)| *other != route);
        self.route_origins.push((route.clone(), origin));
        self.kernel.routes.push(route);
    }

    pub(super) fn drop_routes_of(&mut self, interface: &str) {
        self.kernel.routes.retain(|route| route.device != interface);
        self.route_origins.retain(|(route, _)| route.device != interface);
    }

    /// The card is pulled out.
    pub(super) fn unplug(&mut self, nic: &Nic) {
        let name = self.interface_name(nic.device_index);
        self.drop_routes_of(&name);
        self.kernel.interfaces.retain(|interface| interface.name != name);
        let table = nic.device_index.saturating_add(10_000);
        self.kernel.policy_rules.retain(|rule| rule.table != table);
    }
}

/// What `ip rule` shows on a host where nobody touched it.
pub(super) fn default_rules() -> Vec<PolicyRule> {
    [(0, 255), (32_766, MAIN_TABLE), (32_767, 253)]
        .into_iter()
        .map(|(priority, table)| PolicyRule {
            priority,
            from: None,
            to: None,
            iif: None,
            oif: None,
            table,
            not_understood: None,
        })
        .collect()
}

/// The link-local address of a card (RFC 4291, appendix A).
fn link_local(mac_address: &str) -> Option<IpNet> {
    let bytes: Vec<u8> = mac_address.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let [a, b, c, d, e, f] = bytes[..] else { return None };
    let ip = Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Net::new(ip, 64).ok().map(IpNet::V6)
}
