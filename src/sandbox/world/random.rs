//! Everything that AWS makes up: identifiers, hardware and public addresses. All from the world's seed.

use std::net::Ipv4Addr;

use super::World;

impl World {
    /// A seeded generator, whose next state the world keeps.
    pub fn random<T>(&mut self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let value = draw(&mut rng);
        self.seed = rng.get_seed();
        value
    }

    /// An identifier: the prefix with its hyphen, a zero and sixteen hexadecimal digits.
    pub fn new_id(&mut self, prefix: &str) -> String {
        let digits = self.random(|rng| rng.u64(..));
        format!("{prefix}0{digits:016x}")
    }

    /// A UUID, version 4.
    pub fn uuid(&mut self) -> String {
        let (high, low) = self.random(|rng| (rng.u64(..), rng.u64(..)));
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (d, e) = (0x8000 | ((low >> 48) & 0x3fff), low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }

    /// A hardware address as AWS gives them: locally administered, unicast.
    pub(crate) fn new_mac(&mut self) -> String {
        let n = self.random(|rng| rng.u64(..));
        let [a, b, c, d, e, ..] = n.to_be_bytes();
        format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
    }

    /// A public address that nothing in this world has: from 3.64.0.0/12, which is Frankfurt's.
    pub fn new_public_ip(&mut self) -> Ipv4Addr {
        loop {
            let n = self.random(|rng| rng.u32(..1 << 20));
            let ip = Ipv4Addr::from_bits((3 << 24) | (64 << 16) | n);
            let [.., last] = ip.octets();
            let taken = self.network.addresses.shown().values().any(|address| address.public_ip == ip)
                || self.network.network_interfaces.shown().values().any(|interface| interface.public_ip() == Some(ip));
            if !taken && last != 0 && last != 255 {
                return ip;
            }
        }
    }
}
