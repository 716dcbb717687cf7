//! How an IPv6-only client reaches IPv4: its subnet's resolver makes an IPv6 address out of the IPv4 one (DNS64, RFC
//! 6147), a route for `64:ff9b::/96` leads to a NAT gateway, and that translates (NAT64, RFC 6146). Pure.
//!
//! Source: VPC user guide, "DNS64 and NAT64": the prefix is the well-known one of RFC 6052, and only NAT gateways
//! translate it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Flow;
use super::routing::choose;
use crate::model::{Network, NetworkInterface, Route, RouteTable, Unknown};

/// `64:ff9b::`, whose last 32 bits are the IPv4 address.
const PREFIX: u128 = 0x0064_ff9b << 96;

/// The IPv6 address that stands for an IPv4 one.
pub(super) fn embed(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(PREFIX | u128::from(u32::from(address)))
}

/// The IPv4 address that an IPv6 one stands for.
pub(super) fn extract(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = u128::from(address);
    let low = u32::try_from(bits & u128::from(u32::MAX)).ok()?;
    (bits & !u128::from(u32::MAX) == PREFIX).then_some(Ipv4Addr::from(low))
}

/// Whether a client behind `interface` gets translated addresses only: it has no IPv4 address, and its subnet's resolver
/// has DNS64.
pub(super) fn applies(network: &Network, interface: &NetworkInterface) -> bool {
    let subnet = network.subnets.get(&interface.subnet_id).ok().flatten();
    interface.private_ip.is_none() && subnet.is_some_and(|subnet| subnet.enable_dns64)
}

/// The route of a table that takes translated addresses.
pub(super) fn route<'a>(network: &Network, table: &'a RouteTable) -> Result<Option<&'a Route>, Unknown> {
    Ok(choose(network, table, embed(Ipv4Addr::UNSPECIFIED).into())?.map(|chosen| chosen.route))
}

/// The flow as its client sends it.
pub(super) fn as_resolved<'f>(network: &Network, flow: &'f Flow) -> Cow<'f, Flow> {
    let IpAddr::V4(destination) = flow.destination else { return Cow::Borrowed(flow) };
    let interfaces = network.interfaces_of(&flow.instance_id).unwrap_or_default();
    if !interfaces.is_empty() && interfaces.iter().all(|interface| applies(network, interface)) {
        return Cow::Owned(Flow { destination: embed(destination).into(), ..flow.clone() });
    }
    Cow::Borrowed(flow)
}
