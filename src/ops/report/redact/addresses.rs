//! Stand-ins for addresses that keep every prefix: two addresses that share so many leading bits still do, so that
//! routes, rules and ACLs match as they did. Pure.
//!
//! The way of Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address Anonymization", 2002): a bit is turned
//! over or not by a keyed function of the bits before it. Here some bits never are: those that lead to a range which has
//! a meaning, those behind the base of a VPC or subnet, and the last eight of an address in them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Key;
use crate::ops::OUTSIDE;

/// The last bits that addresses keep within private ranges, VPCs and subnets.
const HOST_BITS: u8 = 8;

/// How much of a range with a meaning stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Every address in it.
    Whole,
    /// Addresses in it stay in it, and keep their last bits.
    Private,
    /// Addresses in it stay in it.
    Inside,
}

/// RFC 6890 and AWS's own: what a walk, a kernel or a reader tells apart.
const RANGES: [(&str, Kept); 18] = [
    ("0.0.0.0/8", Kept::Whole),
    ("10.0.0.0/8", Kept::Private),
    ("100.64.0.0/10", Kept::Private),
    ("127.0.0.0/8", Kept::Whole),
    ("169.254.0.0/16", Kept::Whole),
    ("172.16.0.0/12", Kept::Private),
    ("192.168.0.0/16", Kept::Private),
    ("224.0.0.0/4", Kept::Whole),
    ("240.0.0.0/4", Kept::Whole),
    // Loopback, and what carries an IPv4 address.
    ("::/8", Kept::Whole),
    ("2000::/3", Kept::Inside),
    ("fc00::/8", Kept::Private),
    ("fd00::/8", Kept::Private),
    // Metadata, resolver and time.
    ("fd00:ec2::/32", Kept::Whole),
    ("fe80::/10", Kept::Whole),
    ("ff00::/8", Kept::Whole),
    // Routes of half the internet.
    ("0.0.0.0/1", Kept::Inside),
    ("128.0.0.0/1", Kept::Inside),
];

/// One mapping.
#[derive(Debug, Clone)]
pub struct Addresses {
    key: Key,
    v4: Family,
    v6: Family,
}

/// What is kept of the addresses of one length.
#[derive(Debug, Clone)]
struct Family {
    /// 32 or 128.
    width: u8,
    /// First address, prefix length.
    ranges: Vec<(u128, u8, Kept)>,
    /// The base of a VPC or subnet, and the shortest prefix that has it.
    bases: BTreeMap<u128, u8>,
}

impl Addresses {
    pub fn new(key: Key) -> Self {
        let family = |width| Family { width, ranges: Vec::new(), bases: BTreeMap::new() };
        let mut addresses = Self { key, v4: family(32), v6: family(128) };
        let ranges = RANGES.iter().filter_map(|(net, kept)| Some((net.parse::<IpNet>().ok()?, *kept)));
        for (net, kept) in ranges.chain(std::iter::once((IpNet::from(OUTSIDE), Kept::Whole))) {
            let (family, base) = addresses.family_mut(net.network());
            family.ranges.push((base, net.prefix_len(), kept));
        }
        addresses
    }

    /// The addresses after the base of this range are so in the report, and keep their last bits.
    pub fn keep_base(&mut self, net: IpNet) {
        let (family, base) = self.family_mut(net.network());
        let shortest = family.bases.entry(base).or_insert(net.prefix_len());
        *shortest = net.prefix_len().min(*shortest);
    }

    fn family_mut(&mut self, address: IpAddr) -> (&mut Family, u128) {
        match address {
            IpAddr::V4(address) => (&mut self.v4, u32::from(address).into()),
            IpAddr::V6(address) => (&mut self.v6, address.into()),
        }
    }

    /// What stands for this address.
    pub fn address(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => self.ipv4(address).into(),
            IpAddr::V6(address) => self.ipv6(address).into(),
        }
    }

    fn ipv4(&self, address: Ipv4Addr) -> Ipv4Addr {
        // The mapping stays within its 32 bits.
        u32::try_from(self.v4.map(self.key, u32::from(address).into())).map_or(address, Ipv4Addr::from)
    }

    fn ipv6(&self, address: Ipv6Addr) -> Ipv6Addr {
        let [.., a, b, c, d] = address.octets();
        let carries_ipv4 = matches!(address.segments(), [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]);
        if carries_ipv4 {
            let inner = self.ipv4(Ipv4Addr::new(a, b, c, d));
            return Ipv6Addr::from((u128::from(address) >> 32 << 32) | u128::from(u32::from(inner)));
        }
        self.v6.map(self.key, address.into()).into()
    }

    /// How many of these addresses have a stand-in that is one of them, other than those that cannot have another.
    pub fn clashes(&self, seen: &BTreeSet<IpAddr>) -> usize {
        let changes = |address: &&IpAddr| match address {
            IpAddr::V4(v4) => self.v4.changes(u32::from(*v4).into()),
            IpAddr::V6(v6) => self.v6.changes((*v6).into()),
        };
        seen.iter().filter(changes).filter(|address| seen.contains(&self.address(**address))).count()
    }
}

impl Family {
    fn map(&self, key: Key, address: u128) -> u128 {
        let mut mapped = address;
        for at in 0..self.width {
            let before = self.first_bits(address, at);
            if self.may_turn(before, at) && turned(key, self.width, before, at) {
                mapped ^= 1 << (self.width - 1 - at);
            }
        }
        mapped
    }

    /// Whether any bit of it depends on the key.
    fn changes(&self, address: u128) -> bool {
        (0..self.width).any(|at| self.may_turn(self.first_bits(address, at), at))
    }

    /// The first bits of an address, zeros behind them.
    fn first_bits(&self, address: u128, count: u8) -> u128 {
        match u32::from(self.width - count) {
            128 => 0,
            rest => address >> rest << rest,
        }
    }

    /// Whether the bit after the first `count` bits, which are `before`, may be turned over.
    fn may_turn(&self, before: u128, count: u8) -> bool {
        let is_host = count >= self.width - HOST_BITS;
        for (base, length, kept) in &self.ranges {
            if *length > count {
                if self.first_bits(*base, count) == before {
                    return false;
                }
            } else if self.first_bits(before, *length) == *base {
                match kept {
                    Kept::Whole => return false,
                    Kept::Private if is_host => return false,
                    Kept::Private | Kept::Inside => {}
                }
            }
        }
        let within = |(base, length): (&u128, &u8)| *length <= count && self.first_bits(before, *length) == *base;
        if is_host && self.bases.iter().any(within) {
            return false;
        }
        self.bases.get(&before).is_none_or(|length| *length > count)
    }
}

/// The keyed function: one bit.
fn turned(key: Key, width: u8, before: u128, count: u8) -> bool {
    let mut hasher = DefaultHasher::new();
    (key, width, before, count).hash(&mut hasher);
    hasher.finish() & 1 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mapping(key: u64) -> Addresses {
        let mut addresses = Addresses::new(Key::fixed(key));
        for net in ["10.8.0.0/16", "10.8.16.0/20", "10.8.2.64/28", "2a05:d014:1:2::/64"] {
            addresses.keep_base(net.parse().unwrap());
        }
        addresses
    }

    fn shared(a: u32, b: u32) -> u32 {
        (a ^ b).leading_zeros()
    }

    proptest! {
        #[test]
        fn what_shared_a_prefix_still_does(key: u64, a: u32, b: u32, keep in 0_u32..32) {
            // Random pairs share next to nothing.
            let b = if keep == 0 { b } else { (a >> (32 - keep) << (32 - keep)) | (b >> keep) };
            let map = mapping(key);
            let (mapped_a, mapped_b) = (map.ipv4(a.into()), map.ipv4(b.into()));
            prop_assert_eq!(shared(a, b), shared(mapped_a.into(), mapped_b.into()));
        }

        #[test]
        fn what_shared_a_prefix_of_ipv6_still_does(key: u64, a: u128, b: u128, keep in 1_u32..128) {
            let b = (a >> (128 - keep) << (128 - keep)) | (b >> keep);
            let map = mapping(key);
            let (mapped_a, mapped_b) = (u128::from(map.ipv6(a.into())), u128::from(map.ipv6(b.into())));
            prop_assert_eq!((a ^ b).leading_zeros(), (mapped_a ^ mapped_b).leading_zeros());
        }

        #[test]
        fn a_private_address_stays_private_and_keeps_its_host(key: u64, host: u16) {
            let [third, fourth] = host.to_be_bytes();
            for first in [[10, 8], [172, 31], [192, 168], [100, 100]] {
                let address = Ipv4Addr::new(first[0], first[1], third, fourth);
                let mapped = mapping(key).ipv4(address);
                prop_assert_eq!(address.is_private(), mapped.is_private());
                prop_assert_eq!(mapped.octets()[0], first[0]);
                prop_assert_eq!(mapped.octets()[3], fourth);
            }
        }
    }

    #[test]
    fn addresses_with_a_meaning_stay() {
        let texts = [
            "0.0.0.0",
            "127.0.0.53",
            "169.254.169.254",
            "224.0.0.251",
            "255.255.255.0",
            "104.26.12.205",
            "::",
            "::1",
            "fe80::ff:fe00:1",
            "ff02::1",
            "fd00:ec2::254",
        ];
        for text in texts {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(mapping(7).address(address), address);
        }
        for text in ["0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/1", "128.0.0.0/1", "::/0"] {
            let net: IpNet = text.parse().unwrap();
            let mapped = IpNet::new(mapping(7).address(net.addr()), net.prefix_len()).unwrap();
            assert_eq!(mapped.trunc(), net);
        }
    }

    #[test]
    fn router_and_resolver_are_where_they_were_in_their_range() {
        for key in 0..50 {
            let map = mapping(key);
            for (net, offset) in [("10.8.0.0/16", 2), ("10.8.16.0/20", 1), ("10.8.2.64/28", 1)] {
                let net: ipnet::Ipv4Net = net.parse().unwrap();
                let base = map.ipv4(net.addr());
                assert_eq!(ipnet::Ipv4Net::new(base, net.prefix_len()).unwrap().network(), base);
                let mapped = map.ipv4((u32::from(net.addr()) + offset).into());
                assert_eq!(u32::from(mapped), u32::from(base) + offset, "{net} with key {key}");
            }
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_mapped_as_ipv4_is() {
        let map = mapping(3);
        let v4 = map.ipv4(Ipv4Addr::new(52, 1, 2, 3));
        assert_eq!(map.ipv6("::ffff:52.1.2.3".parse().unwrap()), v4.to_ipv6_mapped());
        assert!(map.ipv6("64:ff9b::52.1.2.3".parse().unwrap()).octets().ends_with(&v4.octets()));
        assert_ne!(v4, Ipv4Addr::new(52, 1, 2, 3));
    }

    #[test]
    fn another_key_gives_other_stand_ins() {
        let outside = Ipv4Addr::new(52, 59, 7, 31);
        let mapped: BTreeSet<Ipv4Addr> = (0..20).map(|key| mapping(key).ipv4(outside)).collect();
        assert!(mapped.len() > 15 && !mapped.contains(&outside), "{mapped:?}");
    }
}
