//! What a plan will cost, beside a NAT gateway that would do the same. An estimate from list prices, with their date.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{Call, Plan, PlanKind};

/// `assets/prices.toml`: US dollars. What is meant by each field stands there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    pub as_of: String,
    pub region: String,
    pub source: String,
    pub hours_per_month: f64,
    pub nat_gateway: f64,
    pub public_ipv4_address: f64,
    pub interface_endpoint: f64,
    pub nat_gateway_per_gb: f64,
    pub gp3_per_gb: f64,
    pub root_volume_gb: f64,
    pub instances: BTreeMap<String, f64>,
}

/// The prices that this natdeck was built with. `None` only if the asset cannot be read, which a test rules out.
static PRICES: LazyLock<Option<Prices>> = LazyLock::new(|| toml::from_str(include_str!("../../assets/prices.toml")).ok());

/// What a plan costs a month, idle, by what it consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// US dollars a month for all instances with their volumes. `None`: a type without a known price.
    pub instances: Option<f64>,
    pub addresses: f64,
    pub endpoints: f64,
    /// What a NAT gateway with its address would cost, idle, and for each GB on top.
    pub nat_gateway: f64,
    pub nat_gateway_per_gb: f64,
}

/// The estimate of everything in the plan, what exists already included. `None` for a teardown.
pub fn estimate(plan: &Plan) -> Option<Estimate> {
    let prices = PRICES.as_ref()?;
    if plan.kind == PlanKind::Teardown {
        return None;
    }
    let month = prices.hours_per_month;
    let volume = prices.gp3_per_gb * prices.root_volume_gb;
    let mut estimate = Estimate {
        instances: Some(0.0),
        addresses: 0.0,
        endpoints: 0.0,
        nat_gateway: (prices.nat_gateway + prices.public_ipv4_address) * month,
        nat_gateway_per_gb: prices.nat_gateway_per_gb,
    };
    for step in &plan.steps {
        match &step.call {
            Call::RunInstances(launch) => {
                let hourly = prices.instances.get(&launch.instance_type);
                estimate.instances =
                    estimate.instances.zip(hourly).map(|(sum, hourly)| sum + hourly * month + volume);
                if launch.associate_public_ip_address {
                    estimate.addresses += prices.public_ipv4_address * month;
                }
            }
            Call::AllocateAddress => estimate.addresses += prices.public_ipv4_address * month,
            Call::CreateVpcEndpoint { .. } => estimate.endpoints += prices.interface_endpoint * month,
            _ => {}
        }
    }
    Some(estimate)
}

/// For the operator: what the plan costs and what it would cost with a NAT gateway, with the date of the prices.
pub fn lines(plan: &Plan) -> Vec<String> {
    let (Some(estimate), Some(prices)) = (estimate(plan), PRICES.as_ref()) else { return Vec::new() };
    let instances = estimate.instances.map_or_else(|| "instances: price not known".to_owned(), |sum| {
        format!("instances ${sum:.2}")
    });
    let mut parts = vec![instances];
    for (what, sum) in [("public addresses", estimate.addresses), ("endpoints", estimate.endpoints)] {
        if sum > 0.0 {
            parts.push(format!("{what} ${sum:.2}"));
        }
    }
    vec![
        format!("a month, idle: {}", parts.join(", ")),
        format!(
            "a NAT gateway instead of the NAT instance: ${:.2} and ${} per GB",
            estimate.nat_gateway, estimate.nat_gateway_per_gb
        ),
        format!("list prices of {} as of {}", prices.region, prices.as_of),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prices_can_be_read_and_agree_with_the_months_that_aws_states() {
        let prices = PRICES.as_ref().expect("assets/prices.toml");
        let month = |hourly: f64| (hourly * prices.hours_per_month * 100.0).round() / 100.0;
        assert!((month(prices.nat_gateway) - 32.85).abs() < 0.011);
        assert!((month(prices.public_ipv4_address) - 3.65).abs() < 0.011);
        assert!((month(prices.interface_endpoint) - 7.30).abs() < 0.011);
        assert!((month(prices.instances["t4g.nano"]) - 3.07).abs() < 0.011);
    }

    #[test]
    fn a_teardown_costs_nothing_to_speak_of() {
        let plan = Plan {
            stack: "natdeck".into(),
            kind: PlanKind::Teardown,
            steps: Vec::new(),
            notes: Vec::new(),
            blockers: Vec::new(),
        };
        assert_eq!(lines(&plan), Vec::<String>::new());
    }
}
