//! What a plan will cost a month when idle, beside a NAT gateway. Pure: list prices with their date are an asset.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Call, Plan};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    date: String,
    source: String,
    region: String,
    hours_per_month: f64,
    nat_gateway_hour: f64,
    nat_gateway_gb: f64,
    public_ipv4_hour: f64,
    interface_endpoint_hour: f64,
    gp3_gb_month: f64,
    root_volume_gb: f64,
    instance_hour: BTreeMap<String, f64>,
}

/// One item of the estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct CostLine {
    /// `3 interface endpoints`.
    pub what: String,
    /// US dollars a month. `None`: no price is known for it.
    pub per_month: Option<f64>,
}

/// An estimate: idle, without traffic, at list prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    pub lines: Vec<CostLine>,
    /// US dollars a month, of the lines that have a price.
    pub per_month: f64,
    /// The NAT alone (instance, disk, address), which is what a NAT gateway would replace.
    pub nat_per_month: f64,
    /// A NAT gateway with its address. Every GB costs [`Cost::nat_gateway_per_gb`] on top.
    pub nat_gateway_per_month: f64,
    pub nat_gateway_per_gb: f64,
    /// When the prices were read, as the asset says it.
    pub date: String,
    pub region: String,
    pub source: String,
}

/// What everything in a provisioning plan costs a month, what exists already included. `None`: a plan that builds
/// nothing, or prices that cannot be read.
pub fn cost(plan: &Plan) -> Option<Cost> {
    let prices: Prices = toml::from_str(include_str!("../../assets/prices.toml")).ok()?;
    let hours = prices.hours_per_month;
    let mut instances: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut endpoints, mut elastic, mut assigned) = (0_u32, 0_u32, 0_u32);
    let mut nat_type = None;
    for step in &plan.steps {
        match &step.call {
            Call::RunInstances(launch) => {
                *instances.entry(&launch.instance_type).or_default() += 1;
                assigned += u32::from(launch.associate_public_ip_address);
                if step.id.as_str() == "nat-instance" {
                    nat_type = Some(launch.instance_type.as_str());
                }
            }
            Call::CreateVpcEndpoint { .. } => endpoints += 1,
            Call::AllocateAddress => elastic += 1,
            _ => {}
        }
    }
    if instances.is_empty() {
        return None;
    }
    let plural = |count: u32, one: &str| match (count, one.ends_with("address")) {
        (1, _) => format!("1 {one}"),
        (count, true) => format!("{count} {one}es"),
        (count, false) => format!("{count} {one}s"),
    };
    let mut lines = Vec::new();
    let count: u32 = instances.values().sum();
    for (instance_type, count) in &instances {
        let price = prices.instance_hour.get(*instance_type).map(|hour| hour * hours * f64::from(*count));
        lines.push(CostLine { what: plural(*count, &format!("{instance_type} instance")), per_month: price });
    }
    let disk = prices.gp3_gb_month * prices.root_volume_gb;
    lines.push(CostLine {
        what: plural(count, &format!("{} GB gp3 volume", prices.root_volume_gb)),
        per_month: Some(disk * f64::from(count)),
    });
    let addresses = elastic.max(assigned);
    let address = prices.public_ipv4_hour * hours;
    let mut add = |count: u32, what: &str, each: f64| {
        if count > 0 {
            lines.push(CostLine { what: plural(count, what), per_month: Some(each * f64::from(count)) });
        }
    };
    add(addresses, "public IPv4 address", address);
    add(endpoints, "interface endpoint", prices.interface_endpoint_hour * hours);
    let nat = nat_type.and_then(|kind| prices.instance_hour.get(kind)).map_or(0.0, |hour| hour * hours);
    Some(Cost {
        per_month: lines.iter().filter_map(|line| line.per_month).sum(),
        nat_per_month: nat + disk + address,
        nat_gateway_per_month: prices.nat_gateway_hour * hours + address,
        nat_gateway_per_gb: prices.nat_gateway_gb,
        lines,
        date: prices.date,
        region: prices.region,
        source: prices.source,
    })
}
