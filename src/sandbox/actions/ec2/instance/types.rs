//! The instance types that the sandbox offers, with the limits that decide about interfaces.
//!
//! Source: EC2's instance type pages and DescribeInstanceTypes.

use super::super::describe::{Filters, PageSize, many, one, page};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// One instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceType {
    pub name: &'static str,
    /// `arm64` or `x86_64`.
    pub architecture: &'static str,
    pub vcpus: u32,
    pub memory_mib: u32,
    /// How many network interfaces an instance can have.
    pub max_interfaces: usize,
    /// Private IPv4 addresses of one interface.
    pub addresses_per_interface: usize,
    pub network_performance: &'static str,
    /// Earns CPU credits.
    pub burstable: bool,
}

const ARM: &str = "arm64";
const X86: &str = "x86_64";

const fn kind(
    name: &'static str,
    architecture: &'static str,
    (vcpus, memory_mib): (u32, u32),
    (max_interfaces, addresses_per_interface): (usize, usize),
    network_performance: &'static str,
    burstable: bool,
) -> InstanceType {
    InstanceType {
        name,
        architecture,
        vcpus,
        memory_mib,
        max_interfaces,
        addresses_per_interface,
        network_performance,
        burstable,
    }
}

/// All of them, by name.
pub const TYPES: &[InstanceType] = &[
    kind("a1.medium", ARM, (1, 2048), (2, 4), "Up to 10 Gigabit", false),
    kind("c5.large", X86, (2, 4096), (3, 10), "Up to 10 Gigabit", false),
    kind("c5n.large", X86, (2, 5376), (3, 10), "Up to 25 Gigabit", false),
    kind("c6g.large", ARM, (2, 4096), (3, 10), "Up to 10 Gigabit", false),
    kind("c6g.medium", ARM, (1, 2048), (2, 4), "Up to 10 Gigabit", false),
    kind("c6gn.large", ARM, (2, 4096), (3, 10), "Up to 25 Gigabit", false),
    kind("c6gn.medium", ARM, (1, 2048), (2, 4), "Up to 16 Gigabit", false),
    kind("c6i.large", X86, (2, 4096), (3, 10), "Up to 12.5 Gigabit", false),
    kind("c6in.large", X86, (2, 4096), (3, 10), "Up to 25 Gigabit", false),
    kind("c7g.large", ARM, (2, 4096), (3, 10), "Up to 12.5 Gigabit", false),
    kind("c7g.medium", ARM, (1, 2048), (2, 4), "Up to 12.5 Gigabit", false),
    kind("c7gn.large", ARM, (2, 4096), (3, 10), "Up to 30 Gigabit", false),
    kind("c7gn.medium", ARM, (1, 2048), (2, 4), "Up to 25 Gigabit", false),
    kind("c7gn.xlarge", ARM, (4, 8192), (4, 15), "Up to 40 Gigabit", false),
    kind("c7i.large", X86, (2, 4096), (3, 10), "Up to 12.5 Gigabit", false),
    kind("c8g.medium", ARM, (1, 2048), (2, 4), "Up to 12.5 Gigabit", false),
    kind("m5.large", X86, (2, 8192), (3, 10), "Up to 10 Gigabit", false),
    kind("m5.xlarge", X86, (4, 16384), (4, 15), "Up to 10 Gigabit", false),
    kind("m6g.large", ARM, (2, 8192), (3, 10), "Up to 10 Gigabit", false),
    kind("m6g.medium", ARM, (1, 4096), (2, 4), "Up to 10 Gigabit", false),
    kind("m6i.large", X86, (2, 8192), (3, 10), "Up to 12.5 Gigabit", false),
    kind("m7g.large", ARM, (2, 8192), (3, 10), "Up to 12.5 Gigabit", false),
    kind("m7g.medium", ARM, (1, 4096), (2, 4), "Up to 12.5 Gigabit", false),
    kind("m7i.large", X86, (2, 8192), (3, 10), "Up to 12.5 Gigabit", false),
    kind("r5.large", X86, (2, 16384), (3, 10), "Up to 10 Gigabit", false),
    kind("r6g.medium", ARM, (1, 8192), (2, 4), "Up to 10 Gigabit", false),
    kind("t2.large", X86, (2, 8192), (3, 12), "Low to Moderate", true),
    kind("t2.medium", X86, (2, 4096), (3, 6), "Low to Moderate", true),
    kind("t2.micro", X86, (1, 1024), (2, 2), "Low to Moderate", true),
    kind("t2.nano", X86, (1, 512), (2, 2), "Low to Moderate", true),
    kind("t2.small", X86, (1, 2048), (3, 4), "Low to Moderate", true),
    kind("t3.2xlarge", X86, (8, 32768), (4, 15), "Up to 5 Gigabit", true),
    kind("t3.large", X86, (2, 8192), (3, 12), "Up to 5 Gigabit", true),
    kind("t3.medium", X86, (2, 4096), (3, 6), "Up to 5 Gigabit", true),
    kind("t3.micro", X86, (2, 1024), (2, 2), "Up to 5 Gigabit", true),
    kind("t3.nano", X86, (2, 512), (2, 2), "Up to 5 Gigabit", true),
    kind("t3.small", X86, (2, 2048), (3, 4), "Up to 5 Gigabit", true),
    kind("t3.xlarge", X86, (4, 16384), (4, 15), "Up to 5 Gigabit", true),
    kind("t3a.medium", X86, (2, 4096), (3, 6), "Up to 5 Gigabit", true),
    kind("t3a.micro", X86, (2, 1024), (2, 2), "Up to 5 Gigabit", true),
    kind("t3a.nano", X86, (2, 512), (2, 2), "Up to 5 Gigabit", true),
    kind("t3a.small", X86, (2, 2048), (2, 4), "Up to 5 Gigabit", true),
    kind("t4g.2xlarge", ARM, (8, 32768), (4, 15), "Up to 5 Gigabit", true),
    kind("t4g.large", ARM, (2, 8192), (3, 12), "Up to 5 Gigabit", true),
    kind("t4g.medium", ARM, (2, 4096), (3, 6), "Up to 5 Gigabit", true),
    kind("t4g.micro", ARM, (2, 1024), (2, 2), "Up to 5 Gigabit", true),
    kind("t4g.nano", ARM, (2, 512), (2, 2), "Up to 5 Gigabit", true),
    kind("t4g.small", ARM, (2, 2048), (3, 4), "Up to 5 Gigabit", true),
    kind("t4g.xlarge", ARM, (4, 16384), (4, 15), "Up to 5 Gigabit", true),
];

/// A type by its name.
pub fn instance_type(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|kind| kind.name == name)
}

fn xml(kind: &InstanceType) -> Xml {
    let graviton = kind.architecture == ARM;
    let network = Xml::new()
        .text("networkPerformance", kind.network_performance)
        .text("maximumNetworkInterfaces", kind.max_interfaces)
        .text("maximumNetworkCards", 1)
        .text("defaultNetworkCardIndex", 0)
        .items(
            "networkCards",
            [Xml::new()
                .text("networkCardIndex", 0)
                .text("networkPerformance", kind.network_performance)
                .text("maximumNetworkInterfaces", kind.max_interfaces)],
        )
        .text("ipv4AddressesPerInterface", kind.addresses_per_interface)
        .text("ipv6AddressesPerInterface", kind.addresses_per_interface)
        .text("ipv6Supported", true)
        .text("enaSupport", "required")
        .text("efaSupported", false);
    let threads = if graviton || kind.vcpus == 1 { 1 } else { 2 };
    let cores = Xml::new()
        .text("defaultVCpus", kind.vcpus)
        .text("defaultCores", kind.vcpus / threads)
        .text("defaultThreadsPerCore", threads)
        .values("validCores", 1..=kind.vcpus / threads)
        .values("validThreadsPerCore", 1..=threads);
    let old = kind.name.starts_with("t2.");
    let ebs = Xml::new()
        .text("ebsOptimizedSupport", if old { "unsupported" } else { "default" })
        .text("encryptionSupport", "supported")
        .text("nvmeSupport", if old { "unsupported" } else { "required" });
    // Burstable instances cannot be packed together.
    let strategies: &[&str] =
        if kind.burstable { &["partition", "spread"] } else { &["cluster", "partition", "spread"] };
    Xml::new()
        .text("instanceType", kind.name)
        .text("currentGeneration", true)
        .text("freeTierEligible", matches!(kind.name, "t3.micro" | "t4g.small"))
        .values("supportedUsageClasses", ["on-demand", "spot"])
        .values("supportedRootDeviceTypes", ["ebs"])
        .values("supportedVirtualizationTypes", ["hvm"])
        .text("bareMetal", false)
        .text("hypervisor", if old { "xen" } else { "nitro" })
        .node(
            "processorInfo",
            Xml::new()
                .values("supportedArchitectures", [kind.architecture])
                .text("manufacturer", if graviton { "AWS" } else { "Intel" }),
        )
        .node("vCpuInfo", cores)
        .node("memoryInfo", Xml::new().text("sizeInMiB", kind.memory_mib))
        .text("instanceStorageSupported", false)
        .node("ebsInfo", ebs)
        .node("networkInfo", network)
        .node("placementGroupInfo", Xml::new().values("supportedStrategies", strategies))
        .text("hibernationSupported", false)
        .text("burstablePerformanceSupported", kind.burstable)
        .text("dedicatedHostsSupported", false)
        .text("autoRecoverySupported", true)
        .values("supportedBootModes", if graviton { vec!["uefi"] } else { vec!["legacy-bios", "uefi"] })
}

/// DescribeInstanceTypes
pub fn describe_instance_types(_world: &World, query: &Query) -> super::super::Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("InstanceType");
    let unknown: Vec<&str> =
        asked.iter().copied().filter(|name| !name.contains('*') && instance_type(name).is_none()).collect();
    if !unknown.is_empty() {
        return Err(ApiError::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{}]", unknown.join(", ")),
        ));
    }
    let mut rows = Vec::new();
    for kind in TYPES {
        if !asked.is_empty() && !asked.contains(&kind.name) {
            continue;
        }
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "instance-type" => one(kind.name),
            "processor-info.supported-architecture" => many([kind.architecture]),
            "burstable-performance-supported" => one(kind.burstable),
            "current-generation" | "auto-recovery-supported" => one(true),
            "bare-metal" | "instance-storage-supported" => one(false),
            "hypervisor" => one("nitro"),
            "memory-info.size-in-mib" => one(kind.memory_mib),
            "vcpu-info.default-vcpus" => one(kind.vcpus),
            "network-info.maximum-network-interfaces" => one(kind.max_interfaces),
            "supported-usage-class" => many(["on-demand", "spot"]),
            "supported-virtualization-type" => one("hvm"),
            "supported-root-device-type" => one("ebs"),
            _ => None,
        })?;
        if accepted {
            rows.push((kind.name.to_owned(), xml(kind)));
        }
    }
    let (page, token) = page(query, PageSize { min: 5, max: 100 }, rows)?;
    Ok(Body::Xml(Xml::new().items("instanceTypeSet", page).opt("nextToken", token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_listed_once_and_in_order() {
        assert!(TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
