//! What `dnf` and `yum` can install, which programs come with it, and which files.

use super::{Flavour, Machine};

/// A package of the distribution.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// Installed with it.
    pub(super) needs: &'static [&'static str],
    /// Other names by which it can be asked for.
    pub(super) provides: &'static [&'static str],
}

const fn package(
    name: &'static str,
    version: &'static str,
    needs: &'static [&'static str],
    provides: &'static [&'static str],
) -> Package {
    Package { name, version, needs, provides }
}

const AL2023: &[Package] = &[
    package(
        "iptables-nft",
        "1.8.8-3.amzn2023.0.2",
        &["iptables-libs", "libnetfilter_conntrack", "libnfnetlink", "libnftnl"],
        &["iptables"],
    ),
    package("iptables-legacy", "1.8.8-3.amzn2023.0.2", &["iptables-libs"], &[]),
    package("iptables-libs", "1.8.8-3.amzn2023.0.2", &[], &[]),
    package("iptables-utils", "1.8.8-3.amzn2023.0.2", &["iptables-libs"], &[]),
    package("iptables-services", "1.8.8-3.amzn2023.0.2", &["iptables-nft", "iptables-utils"], &[]),
    package("libnetfilter_conntrack", "1.0.8-2.amzn2023.0.2", &[], &[]),
    package("libnfnetlink", "1.0.1-19.amzn2023.0.2", &[], &[]),
    package("libnftnl", "1.2.2-2.amzn2023.0.2", &[], &[]),
    package("nftables", "1:1.0.4-3.amzn2023.0.2", &["libnftnl"], &["nft"]),
    package("conntrack-tools", "1.4.6-4.amzn2023.0.2", &["libnetfilter_conntrack"], &[]),
    package("net-tools", "2.0-0.62.20160912git.amzn2023.0.3", &[], &[]),
    package("tcpdump", "14:4.99.1-1.amzn2023.0.2", &[], &[]),
    package("bind-utils", "32:9.18.28-1.amzn2023.0.1", &[], &[]),
    package("traceroute", "3:2.1.0-13.amzn2023.0.2", &[], &[]),
    package("nmap-ncat", "3:7.93-1.amzn2023.0.2", &[], &["nc"]),
    package("jq", "1.7.1-49.amzn2023.0.2", &[], &[]),
    package("htop", "3.2.1-87.amzn2023.0.3", &[], &[]),
    package("cronie", "1.5.7-1.amzn2023.0.2", &[], &[]),
    package("firewalld", "1.2.3-1.amzn2023", &["nftables"], &[]),
    package("git", "2.40.1-1.amzn2023.0.3", &[], &[]),
];

const AL2: &[Package] = &[
    package("iptables-services", "1.8.4-10.amzn2.1.2", &[], &[]),
    package("nftables", "1:0.9.0-14.amzn2.0.1", &[], &["nft"]),
    package("conntrack-tools", "1.4.4-5.amzn2.2", &[], &[]),
    package("tcpdump", "14:4.9.2-4.amzn2.1", &[], &[]),
    package("bind-utils", "32:9.11.4-26.P2.amzn2.13", &[], &[]),
    package("traceroute", "3:2.0.22-2.amzn2.0.1", &[], &[]),
    package("nmap-ncat", "2:6.40-13.amzn2", &[], &["nc"]),
    package("jq", "1.5-1.amzn2.0.2", &[], &[]),
    package("htop", "2.0.2-1.amzn2.0.2", &[], &[]),
    package("git", "2.40.1-1.amzn2.0.1", &[], &[]),
];

const AL2023_IMAGE: &[(&str, &str)] = &[
    ("amazon-ec2-net-utils", "2.4.1-1.amzn2023.0.1"),
    ("amazon-ssm-agent", "3.3.551.0-1.amzn2023"),
    ("bash", "5.2.15-1.amzn2023.0.2"),
    ("bind-utils", "32:9.18.28-1.amzn2023.0.1"),
    ("cloud-init", "22.2.2-1.amzn2023.1.12"),
    ("coreutils", "8.32-30.amzn2023.0.3"),
    ("curl-minimal", "8.5.0-1.amzn2023.0.4"),
    ("dnf", "4.14.0-1.amzn2023.0.5"),
    ("ethtool", "2:5.15-1.amzn2023.0.2"),
    ("iproute", "5.10.0-2.amzn2023.0.5"),
    ("iputils", "20210202-2.amzn2023.0.4"),
    ("net-tools", "2.0-0.62.20160912git.amzn2023.0.3"),
    ("procps-ng", "3.3.17-1.amzn2023.0.2"),
    ("systemd", "252.23-2.amzn2023"),
    ("systemd-networkd", "252.23-2.amzn2023"),
];

const AL2_IMAGE: &[(&str, &str)] = &[
    ("amazon-ssm-agent", "3.3.551.0-1.amzn2"),
    ("bash", "4.2.46-34.amzn2"),
    ("bind-utils", "32:9.11.4-26.P2.amzn2.13"),
    ("cloud-init", "19.3-46.amzn2"),
    ("coreutils", "8.22-24.amzn2"),
    ("curl", "8.3.0-1.amzn2.0.6"),
    ("ec2-net-utils", "1.7.3-1.amzn2"),
    ("ethtool", "2:4.8-10.amzn2"),
    ("iproute", "5.10.0-2.amzn2.0.3"),
    ("iptables", "1.8.4-10.amzn2.1.2"),
    ("iptables-libs", "1.8.4-10.amzn2.1.2"),
    ("iputils", "20180629-11.amzn2.1"),
    ("net-tools", "2.0-0.22.20131004git.amzn2.0.2"),
    ("procps-ng", "3.3.10-26.amzn2"),
    ("python", "2.7.18-1.amzn2.0.8"),
    ("systemd", "219-78.amzn2.0.22"),
    ("yum", "3.4.3-158.amzn2.0.7"),
];

impl Machine {
    /// What can be installed.
    pub(super) fn catalogue(&self) -> &'static [Package] {
        match self.launch.flavour {
            Flavour::AmazonLinux2023 => AL2023,
            Flavour::AmazonLinux2 => AL2,
        }
    }

    pub(super) fn image_packages(&self) -> &'static [(&'static str, &'static str)] {
        match self.launch.flavour {
            Flavour::AmazonLinux2023 => AL2023_IMAGE,
            Flavour::AmazonLinux2 => AL2_IMAGE,
        }
    }

    /// The package that a name asks for.
    pub(super) fn find_package(&self, name: &str) -> Option<&'static Package> {
        self.catalogue().iter().find(|p| p.name == name || p.provides.contains(&name))
    }

    /// `1.8.8-3.amzn2023.0.2` of an installed package, without its epoch.
    pub(super) fn package_version(&self, name: &str) -> Option<&'static str> {
        if !self.packages.contains(name) {
            return None;
        }
        let known = self.catalogue().iter().map(|p| (p.name, p.version)).chain(self.image_packages().iter().copied());
        let version = known.filter(|(known, _)| *known == name).map(|(_, version)| version).next()?;
        Some(version.split_once(':').map_or(version, |(_, version)| version))
    }

    /// Puts a package on the disk, with its configuration and units.
    pub(super) fn unpack(&mut self, name: &str, now: i64) {
        self.packages.insert(name.to_owned());
        for (package, path, text) in super::image::PACKAGE_FILES {
            if *package == name && !self.files.exists(path) {
                // A full disk leaves the package incomplete; its units are then missing, as they would be.
                let _full = self.files.make_directories(super::vfs::parent(path), now);
                let _full = self.files.write(path, text, now);
            }
        }
    }
}
