//! The names of the simulated internet and the addresses behind them. Pure.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

/// Names that people try, with addresses that they had once.
const PUBLIC: &[(&str, [u8; 4])] = &[
    ("amazon.com", [52, 94, 236, 248]),
    ("api.ipify.org", [104, 26, 12, 205]),
    ("api4.ipify.org", [104, 26, 13, 205]),
    ("archive.ubuntu.com", [91, 189, 91, 81]),
    ("aws.amazon.com", [13, 32, 27, 51]),
    ("cdn.amazonlinux.com", [13, 32, 99, 12]),
    ("checkip.amazonaws.com", [34, 250, 22, 17]),
    ("cloudflare.com", [104, 16, 132, 229]),
    ("dns.google", [8, 8, 8, 8]),
    ("docker.io", [44, 208, 254, 194]),
    ("download.docker.com", [18, 66, 112, 10]),
    ("example.com", [93, 184, 215, 14]),
    ("github.com", [140, 82, 121, 4]),
    ("google.com", [142, 250, 185, 142]),
    ("icanhazip.com", [104, 16, 184, 241]),
    ("ifconfig.me", [34, 160, 111, 145]),
    ("ipinfo.io", [34, 117, 59, 81]),
    ("ipv4.icanhazip.com", [104, 16, 185, 241]),
    ("one.one.one.one", [1, 1, 1, 1]),
    ("www.example.com", [93, 184, 215, 14]),
    ("www.google.com", [142, 250, 185, 100]),
    ("www.wikipedia.org", [185, 15, 59, 224]),
];

/// Where AWS's own services are, when it is not S3: a range of Amazon's that nothing else here uses.
const AMAZON: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(52, 94, 0, 0), 17);
/// S3 in Frankfurt, when no prefix list tells.
const S3: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(52, 219, 168, 0), 24);

/// The public address of a name. `None`: there is no such name.
pub(in crate::sandbox) fn public(name: &str, region: &str, s3: Option<Ipv4Net>) -> Option<Ipv4Addr> {
    if let Some((_, address)) = PUBLIC.iter().find(|(known, _)| *known == name) {
        return Some(Ipv4Addr::from(*address));
    }
    if !name.ends_with(".amazonaws.com") || name.ends_with(".vpce.amazonaws.com") {
        return None;
    }
    // Services are `ssm.eu-central-1.amazonaws.com`, buckets `name.s3.…`; some are global.
    let labels: Vec<&str> = name.split('.').collect();
    let range = if labels.iter().any(|label| *label == "s3" || label.starts_with("s3-")) {
        s3.unwrap_or(S3)
    } else if labels.len() == 3 || labels.iter().any(|label| looks_like_region(label, region)) {
        AMAZON
    } else {
        return None;
    };
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let size = 1_u32 << (32 - range.prefix_len().clamp(8, 30));
    Some(nth(range, 1 + hash % (size - 2)))
}

fn looks_like_region(label: &str, region: &str) -> bool {
    label == region || (label.split('-').count() >= 3 && label.ends_with(|c: char| c.is_ascii_digit()))
}

/// The address in `ip-10-8-2-5.eu-central-1.compute.internal` (`….ec2.internal` in us-east-1).
pub(super) fn private_address(name: &str, region: &str) -> Option<Ipv4Addr> {
    let (host, zone) = name.split_once('.')?;
    let ours = if region == "us-east-1" { "ec2.internal".to_owned() } else { format!("{region}.compute.internal") };
    if zone == ours { dashed(host.strip_prefix("ip-")?) } else { None }
}

/// The address in `ec2-3-64-126-205.eu-central-1.compute.amazonaws.com` (`….compute-1.amazonaws.com` in us-east-1).
pub(super) fn public_address(name: &str, region: &str) -> Option<Ipv4Addr> {
    let (host, zone) = name.split_once('.')?;
    let ours = match region {
        "us-east-1" => "compute-1.amazonaws.com".to_owned(),
        _ => format!("{region}.compute.amazonaws.com"),
    };
    if zone == ours { dashed(host.strip_prefix("ec2-")?) } else { None }
}

fn dashed(text: &str) -> Option<Ipv4Addr> {
    text.replace('-', ".").parse().ok()
}

/// The `n`th address of a range.
pub(super) fn nth(range: Ipv4Net, n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.network().to_bits().saturating_add(n))
}

/// Whether somebody may be at this address: not private, reserved, or set aside for documentation.
pub(super) fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || address.is_broadcast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b)))
}

/// The same for IPv6: global unicast, documentation left out.
pub(super) fn is_public_v6(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "eu-central-1";

    #[test]
    fn well_known_names_have_addresses_and_made_up_ones_do_not() {
        assert_eq!(public("api.ipify.org", REGION, None), Some(Ipv4Addr::new(104, 26, 12, 205)));
        assert!(public("ssm.eu-central-1.amazonaws.com", REGION, None).is_some_and(|a| AMAZON.contains(&a)));
        assert!(public("iam.amazonaws.com", REGION, None).is_some());
        for name in
            ["no-such-host.invalid", "ssm.eu-central-1.amazonaws.com.evil.test", "", "vpce-1.ssm.vpce.amazonaws.com"]
        {
            assert_eq!(public(name, REGION, None), None, "{name}");
        }
    }

    #[test]
    fn buckets_are_where_the_regions_prefix_list_says() {
        let range: Ipv4Net = "3.5.134.0/23".parse().unwrap();
        let bucket = "al2023-repos-eu-central-1-de612dc2.s3.dualstack.eu-central-1.amazonaws.com";
        assert!(public(bucket, REGION, Some(range)).is_some_and(|address| range.contains(&address)));
    }

    #[test]
    fn names_of_instances_carry_their_addresses() {
        let address = Some(Ipv4Addr::new(10, 8, 2, 5));
        assert_eq!(private_address("ip-10-8-2-5.eu-central-1.compute.internal", REGION), address);
        assert_eq!(private_address("ip-10-8-2-5.ec2.internal", "us-east-1"), address);
        assert_eq!(private_address("ip-10-8-2-5.ec2.internal", REGION), None);
        assert_eq!(public_address("ec2-10-8-2-5.eu-central-1.compute.amazonaws.com", REGION), address);
        assert_eq!(private_address("ip-10-8-2.eu-central-1.compute.internal", REGION), None);
    }

    #[test]
    fn nobody_is_at_private_or_documentation_addresses() {
        for text in ["10.0.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "100.64.0.1", "0.0.0.0", "240.0.0.1"] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        assert!(is_public(Ipv4Addr::new(8, 8, 8, 8)));
        assert!(is_public_v6("2a00:1450::1".parse().unwrap()) && !is_public_v6("2001:db8::1".parse().unwrap()));
    }
}
