//! Packets that are too large for where a host forwards them. The handshake is small and passes; what hangs comes after.
//!
//! TCP ends agree on what the smaller of their own interfaces can carry, and a host in between that carries less must
//! say so (RFC 1191): ICMP type 3 code 4 to the sender. Where that is dropped, large packets are lost for ever.

use super::{Step, Walker, evidence};
use crate::model::host::{Host, HostInterface};
use crate::model::{InstanceId, Protocol, ResourceId};
use crate::reach::flow::Packet;
use crate::reach::host::{self, Problem};
use crate::reach::{Code, Component};

/// What an internet gateway carries, in bytes (EC2 user guide, "Network MTU").
const INTERNET_MTU: u32 = 1500;

impl<'a> Walker<'a> {
    /// A host forwards a packet of a flow that will have large ones, by `out`.
    pub(super) fn carries_large(
        &mut self,
        id: &'a InstanceId,
        host: &'a Host,
        came_in: &HostInterface,
        before: &Packet,
        out: &HostInterface,
    ) -> Step<()> {
        if !self.flow.large || before.protocol != Protocol::Tcp || !before.is_ipv4() {
            return Ok(());
        }
        let size = self.largest_packet();
        if out.mtu >= size || clamps(host) {
            return Ok(());
        }
        let Some(own) = came_in.addresses.iter().map(ipnet::IpNet::addr).find(std::net::IpAddr::is_ipv4) else {
            return Ok(());
        };
        let told = Packet::too_large(own, before.source);
        let Err(stopped) = host::send(host, told, &mut Vec::new()) else { return Ok(()) };
        if let Problem::Unknown { .. } = stopped.problem {
            return Err(self.host_stops(id, Component::NatHost, &told, stopped));
        }
        let source = "ip -j addr";
        let mut evidence = vec![evidence::call(source, "", format!("{}: mtu {}", out.name, out.mtu), None)];
        evidence.extend(evidence::lines(stopped.lines));
        let detail = format!(
            "{} carries {} bytes on {}, packets of {size} bytes come, and its ICMP message that says so is dropped: \
             small packets pass and large ones are lost",
            self.called(id),
            out.mtu,
            out.name
        );
        self.subject.device = Some(out.name.clone());
        Err(self.deny(Component::NatHost, Some(ResourceId::from(id)), Code::HostPathMtu, detail, evidence))
    }

    /// The largest packet of a connection with the internet: what both ends carry.
    fn largest_packet(&self) -> u32 {
        let client = self.hosts.host(&self.flow.instance_id).ok();
        let devices = client.into_iter().flat_map(|host| &host.interfaces);
        let own = devices.filter(|device| device.mac_address.is_some()).map(|device| device.mtu).min();
        own.unwrap_or(INTERNET_MTU).min(INTERNET_MTU)
    }
}

/// Whether a rule makes both ends agree on less.
fn clamps(host: &Host) -> bool {
    let chains = host.ruleset.tables.iter().flat_map(|table| &table.chains);
    chains
        .flat_map(|chain| &chain.rules)
        .any(|rule| rule.text.contains("TCPMSS") || rule.text.contains("maxseg size set"))
}
