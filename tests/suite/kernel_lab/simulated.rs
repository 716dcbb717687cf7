//! The same NAT host as the sandbox has it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use natdeck::model::{NetworkInterface, Protocol};
use natdeck::sandbox::host::{self, Launch, Machine, Nic, Output, Outside, Reached, ResolveError};

use super::variation::{Flavour, Variation};

/// An outside where everything is: packages can be installed before the script runs. The script itself asks nobody but
/// the metadata service, which the machine answers by itself.
struct Anywhere;

impl Outside for Anywhere {
    fn resolve(&self, _machine: &Machine, _name: &str) -> Result<IpAddr, ResolveError> {
        Ok(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)))
    }

    fn connect(&self, _machine: &Machine, _destination: IpAddr, _port: u16, _protocol: Protocol) -> Reached {
        Reached::Delivered { source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), rtt: Duration::from_millis(1) }
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A machine that has booted in the variation's VPC, without user data.
pub fn machine(variation: &Variation) -> Machine {
    let modern = variation.flavour == Flavour::AmazonLinux2023;
    let network = &variation.network;
    let nics = network.network_interfaces.shown().values().filter_map(|interface| {
        let attachment = interface.attachment.as_ref()?;
        let of_the_nat = attachment.instance_id.as_ref().is_some_and(|id| id.as_str() == "i-nat");
        of_the_nat.then(|| nic(variation, interface, attachment.device_index))
    });
    let launch = Launch {
        flavour: if modern { host::Flavour::AmazonLinux2023 } else { host::Flavour::AmazonLinux2 },
        instance_id: "i-nat".to_owned(),
        instance_type: "t4g.nano".to_owned(),
        region: "eu-central-1".to_owned(),
        zone: "eu-central-1b".to_owned(),
        image_id: "ami-1".to_owned(),
        account_id: "123456789012".to_owned(),
        hostname: "ip-10-8-1-227.eu-central-1.compute.internal".to_owned(),
        nics: nics.collect(),
        user_data: None,
        http_tokens_required: true,
        metadata_off: false,
        role: None,
        seed: variation.seed,
        fck_nat: false,
    };
    let mut machine = Machine::new(launch);
    machine.boot(&Anywhere);
    if modern {
        // The namespaces have both from the start.
        let installed = run(&mut machine, "dnf -y -q install iptables-nft nftables");
        assert_eq!(installed.exit_code, 0, "{}", installed.stderr);
    }
    machine
}

fn nic(variation: &Variation, interface: &NetworkInterface, device_index: u32) -> Nic {
    let network = &variation.network;
    Nic {
        device_index,
        network_interface_id: interface.network_interface_id.to_string(),
        mac_address: interface.mac_address.clone(),
        private_ip: interface.private_ip.unwrap(),
        secondary_ips: interface.secondary_private_ips.clone(),
        subnet_id: interface.subnet_id.to_string(),
        subnet: network.subnets.shown()[interface.subnet_id.as_str()].cidr_block.unwrap(),
        vpc_id: interface.vpc_id.to_string(),
        vpc_cidrs: vec!["10.8.0.0/16".parse().unwrap()],
        public_ip: interface.public_ip(),
        security_group_ids: interface.security_group_ids.iter().map(ToString::to_string).collect(),
        ipv6_addresses: Vec::new(),
        ipv6_subnet: None,
    }
}

/// Runs a script on it.
pub fn run(machine: &mut Machine, script: &str) -> Output {
    machine.run(script, &Anywhere)
}
