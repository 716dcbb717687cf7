//! Marks on route tables that are not ours. A route cannot carry a tag, so the table says for it that a stack made
//! or replaced it, and where it led before: `natdeck:previous:0.0.0.0/0 = <stack> <target>`. Pure.

use ipnet::Ipv4Net;

use crate::model::{
    EgressOnlyInternetGatewayId, InstanceId, InternetGatewayId, NatGatewayId, NetworkInterfaceId, RouteTarget, Tags,
};

/// How the keys of marks begin; the destination follows.
const PREVIOUS: &str = "natdeck:previous:";
/// The target of a route that was not there before.
const NONE: &str = "none";

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub destination: Ipv4Net,
    /// Where the route led before. `None`: there was none.
    pub previous: Option<RouteTarget>,
}

impl Mark {
    /// The tag's key.
    pub fn key(&self) -> String {
        format!("{PREVIOUS}{}", self.destination)
    }

    /// The mark as a tag.
    pub fn tags(&self, stack: &str) -> Tags {
        let target = self.previous.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string);
        [(self.key(), format!("{stack} {target}"))].into_iter().collect()
    }

    /// The marks that `stack` left among `tags`.
    pub fn all_of(stack: &str, tags: &Tags) -> Vec<Self> {
        let read = |(key, value): (&String, &String)| {
            let destination = key.strip_prefix(PREVIOUS)?.parse().ok()?;
            let (owner, target) = value.split_once(' ')?;
            let previous = (target != NONE).then(|| target_of(target));
            (owner == stack).then_some(Self { destination, previous })
        };
        tags.0.iter().filter_map(read).collect()
    }

    /// The mark of `stack` for one destination.
    pub fn of(stack: &str, tags: &Tags, destination: Ipv4Net) -> Option<Self> {
        Self::all_of(stack, tags).into_iter().find(|mark| mark.destination == destination)
    }
}

/// A route's target by the form of its identifier.
fn target_of(id: &str) -> RouteTarget {
    let text = id.to_owned();
    match id.split('-').next().unwrap_or_default() {
        "igw" => RouteTarget::InternetGateway(InternetGatewayId::new(text)),
        "eigw" => RouteTarget::EgressOnlyInternetGateway(EgressOnlyInternetGatewayId::new(text)),
        "nat" => RouteTarget::NatGateway(NatGatewayId::new(text)),
        "eni" => {
            RouteTarget::NetworkInterface { network_interface_id: NetworkInterfaceId::new(text), instance_id: None }
        }
        "i" => RouteTarget::Instance(InstanceId::new(text)),
        "tgw" => RouteTarget::TransitGateway(text),
        "pcx" => RouteTarget::VpcPeeringConnection(text),
        "vgw" => RouteTarget::VirtualPrivateGateway(text),
        "vpce" => RouteTarget::GatewayEndpoint(text),
        "lgw" => RouteTarget::LocalGateway(text),
        "cagw" => RouteTarget::CarrierGateway(text),
        _ if id.starts_with("arn:") => RouteTarget::CoreNetwork(text),
        _ => RouteTarget::Other { kind: "unknown".to_owned(), id: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_from_its_tag() {
        let destination = "0.0.0.0/0".parse().unwrap();
        for previous in [None, Some(RouteTarget::NatGateway(NatGatewayId::new("nat-0123")))] {
            let mark = Mark { destination, previous };
            let tags = mark.tags("natdeck");
            assert_eq!(Mark::of("natdeck", &tags, destination), Some(mark));
            assert_eq!(Mark::of("other", &tags, destination), None);
        }
    }
}
