//! The instance metadata service, answered by the machine itself (EC2 user guide, "Instance metadata categories").

use std::fmt::Write;

use super::Machine;
use super::nic::Nic;
use super::outside::HttpAnswer;

pub(super) const TOKEN: &str = "AQAEAJ0sandboxTokenOfTheSimulatedMetadataService==";

impl Machine {
    /// As ModifyInstanceMetadataOptions: at once, without a boot.
    pub fn set_metadata(&mut self, on: bool, tokens_required: bool) {
        self.launch.metadata_off = !on;
        self.launch.http_tokens_required = tokens_required;
    }

    /// Answers one request to 169.254.169.254. Header names are in lower case.
    pub(super) fn metadata(&self, method: &str, path: &str, headers: &[(String, String)]) -> HttpAnswer {
        if self.launch.metadata_off {
            return error(403, "Forbidden");
        }
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if path == "/latest/api/token" {
            return match (
                method,
                header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|ttl| ttl.parse::<u32>().ok()),
            ) {
                ("PUT", Some(1..=21_600)) => HttpAnswer::text(200, TOKEN),
                ("PUT", _) => error(400, "Bad Request"),
                _ => error(405, "Not Allowed"),
            };
        }
        match header("x-aws-ec2-metadata-token") {
            None if self.launch.http_tokens_required => return error(401, "Unauthorized"),
            Some(token) if token != TOKEN => return error(401, "Unauthorized"),
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/latest").or_else(|| path.strip_prefix("/2021-03-23")) else {
            return error(404, "Not Found");
        };
        let rest = rest.trim_start_matches('/');
        if rest == "user-data" {
            return match &self.launch.user_data {
                Some(data) => HttpAnswer::text(200, String::from_utf8_lossy(data)),
                None => error(404, "Not Found"),
            };
        }
        if rest.is_empty() {
            return HttpAnswer::text(200, "dynamic\nmeta-data\nuser-data");
        }
        if rest.trim_end_matches('/') == "dynamic/instance-identity/document" {
            return HttpAnswer::text(200, self.identity_document());
        }
        let Some(key) = rest.strip_prefix("meta-data").map(|key| key.trim_matches('/')) else {
            return error(404, "Not Found");
        };
        match self.metadata_value(key) {
            Some(value) => HttpAnswer::text(200, value),
            None => error(404, "Not Found"),
        }
    }

    fn metadata_value(&self, key: &str) -> Option<String> {
        let launch = &self.launch;
        let primary = self.nics.first();
        if let Some(rest) = key.strip_prefix("network/interfaces/macs") {
            let rest = rest.trim_start_matches('/');
            if rest.is_empty() {
                return Some(
                    self.nics.iter().map(|nic| format!("{}/", nic.mac_address)).collect::<Vec<_>>().join("\n"),
                );
            }
            let (mac, rest) = rest.split_once('/').unwrap_or((rest, ""));
            return interface_value(launch, self.nics.iter().find(|nic| nic.mac_address == mac)?, rest);
        }
        Some(match key {
            "" => "ami-id\nhostname\niam/\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\npublic-ipv4\nsecurity-groups".to_owned(),
            "ami-id" => launch.image_id.clone(),
            "instance-id" => launch.instance_id.clone(),
            "instance-type" => launch.instance_type.clone(),
            "instance-life-cycle" => "on-demand".to_owned(),
            "hostname" | "local-hostname" => launch.hostname.clone(),
            "local-ipv4" => primary?.private_ip.to_string(),
            "public-ipv4" => primary?.public_ip?.to_string(),
            "mac" => primary?.mac_address.clone(),
            "placement" => "availability-zone\nregion".to_owned(),
            "placement/availability-zone" => launch.zone.clone(),
            "placement/region" => launch.region.clone(),
            "services/domain" => "amazonaws.com".to_owned(),
            "services/partition" => "aws".to_owned(),
            "security-groups" => primary?.security_group_ids.join("\n"),
            "iam/security-credentials" => launch.role.clone()?,
            "iam" => {
                launch.role.as_ref()?;
                "info\nsecurity-credentials/".to_owned()
            }
            "network" => "interfaces/".to_owned(),
            "network/interfaces" => "macs/".to_owned(),
            _ => return None,
        })
    }

    fn identity_document(&self) -> String {
        let launch = &self.launch;
        let address = self.nics.first().map(|nic| nic.private_ip.to_string()).unwrap_or_default();
        let fields = [
            ("accountId", launch.account_id.as_str()),
            ("architecture", super::commands::architecture(self)),
            ("availabilityZone", &launch.zone),
            ("imageId", &launch.image_id),
            ("instanceId", &launch.instance_id),
            ("instanceType", &launch.instance_type),
            ("privateIp", &address),
            ("region", &launch.region),
            ("version", "2017-09-30"),
        ];
        let mut text = String::from("{\n");
        for (at, (key, value)) in fields.iter().enumerate() {
            let comma = if at + 1 < fields.len() { "," } else { "" };
            // Writing to a text does not fail.
            let _written = writeln!(text, "  \"{key}\" : \"{value}\"{comma}");
        }
        text.push('}');
        text
    }
}

fn interface_value(launch: &super::Launch, nic: &Nic, key: &str) -> Option<String> {
    let ips = std::iter::once(nic.private_ip).chain(nic.secondary_ips.iter().copied());
    let lines = |items: Vec<String>| (!items.is_empty()).then(|| items.join("\n"));
    match key.trim_end_matches('/') {
        "" => Some("device-number\ninterface-id\nlocal-hostname\nlocal-ipv4s\nmac\nowner-id\nsecurity-group-ids\nsubnet-id\nsubnet-ipv4-cidr-block\nvpc-id\nvpc-ipv4-cidr-block\nvpc-ipv4-cidr-blocks".to_owned()),
        "device-number" => Some(nic.device_index.to_string()),
        "network-card" => Some("0".to_owned()),
        "interface-id" => Some(nic.network_interface_id.clone()),
        "local-hostname" => Some(launch.hostname.clone()),
        "local-ipv4s" => lines(ips.map(|ip| ip.to_string()).collect()),
        "public-ipv4s" => Some(nic.public_ip?.to_string()),
        "ipv6s" => lines(nic.ipv6_addresses.iter().map(ToString::to_string).collect()),
        "mac" => Some(nic.mac_address.clone()),
        "owner-id" => Some(launch.account_id.clone()),
        "security-group-ids" => lines(nic.security_group_ids.clone()),
        "subnet-id" => Some(nic.subnet_id.clone()),
        "subnet-ipv4-cidr-block" => Some(nic.subnet.trunc().to_string()),
        "subnet-ipv6-cidr-blocks" => Some(nic.ipv6_subnet?.to_string()),
        "vpc-id" => Some(nic.vpc_id.clone()),
        "vpc-ipv4-cidr-block" => nic.vpc_cidrs.first().map(ToString::to_string),
        "vpc-ipv4-cidr-blocks" => lines(nic.vpc_cidrs.iter().map(ToString::to_string).collect()),
        _ => None,
    }
}

fn error(status: u16, title: &str) -> HttpAnswer {
    HttpAnswer {
        status,
        content_type: "text/html".to_owned(),
        body: format!(
            "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 \
             Transitional//EN\"\n\t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n<html \
             xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n <head>\n  <title>{status} - \
             {title}</title>\n </head>\n <body>\n  <h1>{status} - {title}</h1>\n </body>\n</html>\n"
        ),
    }
}
