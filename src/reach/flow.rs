//! What is sent: a flow, and the packets that belong to it. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::DroppedPacket;
use crate::model::{InstanceId, NetworkInterfaceId, Protocol};

/// The source port of flows that are made up: in the ephemeral range of Linux, and of every sensible ACL.
const EPHEMERAL_PORT: u16 = 40_000;

/// One connection that an instance opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    pub instance_id: InstanceId,
    /// The interface whose address the sender binds to. `None`: not bound, so that the host's own routes decide, which
    /// on a host with one interface is device 0.
    pub interface_id: Option<NetworkInterfaceId>,
    pub destination: IpAddr,
    /// TCP, UDP or ICMP. ICMP to an IPv6 address is ICMPv6.
    pub protocol: Protocol,
    /// For ICMP: the identifier of the echo request.
    pub source_port: u16,
    /// 0 for ICMP.
    pub destination_port: u16,
    /// Large packets follow the handshake, such as the certificates of TLS.
    #[serde(default)]
    pub large: bool,
}

impl Flow {
    /// What `curl https://…` opens.
    pub fn https(instance_id: InstanceId, destination: IpAddr) -> Self {
        Self { large: true, ..Self::tcp(instance_id, destination, 443) }
    }

    /// A TCP connection to any port.
    pub fn tcp(instance_id: InstanceId, destination: IpAddr, destination_port: u16) -> Self {
        Self {
            instance_id,
            interface_id: None,
            destination,
            protocol: Protocol::Tcp,
            source_port: EPHEMERAL_PORT,
            destination_port,
            large: false,
        }
    }

    /// What `ping` sends: an echo request.
    pub fn ping(instance_id: InstanceId, destination: IpAddr) -> Self {
        Self {
            instance_id,
            interface_id: None,
            destination,
            protocol: Protocol::Icmp,
            source_port: EPHEMERAL_PORT,
            destination_port: 0,
            large: false,
        }
    }
}

/// One packet on its way. Addresses and ports change where it is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: Protocol,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    /// Type of an ICMP message; 0 for other protocols.
    pub(super) icmp_type: u8,
    /// `None`: one of several, by why something was dropped.
    pub(super) icmp_code: Option<u8>,
}

impl Packet {
    /// The first packet of a flow, from an address of the sender.
    pub(super) fn first(flow: &Flow, source: IpAddr) -> Self {
        let protocol = match (flow.protocol, flow.destination) {
            (Protocol::Icmp, IpAddr::V6(_)) => Protocol::Icmpv6,
            (protocol, _) => protocol,
        };
        let icmp_type = match protocol {
            Protocol::Icmp => 8,
            Protocol::Icmpv6 => 128,
            _ => 0,
        };
        Self {
            source,
            destination: flow.destination,
            protocol,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            icmp_type,
            icmp_code: Some(0),
        }
    }

    /// What the receiver of this packet answers.
    pub(super) fn reply(self) -> Self {
        let icmp_type = match (self.protocol, self.icmp_type) {
            (Protocol::Icmp, 8) => 0,
            (Protocol::Icmpv6, 128) => 129,
            (_, other) => other,
        };
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            icmp_type,
            ..self
        }
    }

    /// As a finding names it.
    pub(super) fn dropped(&self) -> DroppedPacket {
        DroppedPacket {
            protocol: self.protocol,
            source: self.source,
            source_port: self.source_port,
            destination: self.destination,
            destination_port: self.destination_port,
        }
    }

    /// The ICMP message that tells the sender of this packet that it was dropped; its source is not chosen yet.
    pub(super) fn unreachable(self) -> Self {
        let ipv4 = self.is_ipv4();
        Self {
            source: self.unspecified(),
            destination: self.source,
            protocol: if ipv4 { Protocol::Icmp } else { Protocol::Icmpv6 },
            source_port: 0,
            destination_port: 0,
            icmp_type: if ipv4 { 3 } else { 1 },
            icmp_code: None,
        }
    }

    /// The ICMP message, type 3 code 4, that tells `destination` to send smaller packets. IPv4.
    pub(super) fn too_large(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            protocol: Protocol::Icmp,
            source_port: 0,
            destination_port: 0,
            icmp_type: 3,
            icmp_code: Some(4),
        }
    }

    /// Whether this is an ICMP message about another packet.
    pub(super) fn is_error(&self) -> bool {
        matches!((self.protocol, self.icmp_type), (Protocol::Icmp, 3) | (Protocol::Icmpv6, 1))
    }

    /// Whether this is IPv4.
    pub(super) fn is_ipv4(&self) -> bool {
        self.destination.is_ipv4()
    }

    /// The address that stands for "none yet" in this packet's family.
    pub(super) fn unspecified(&self) -> IpAddr {
        if self.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol.has_ports() {
            write!(
                f,
                "{} {} port {} to {} port {}",
                self.protocol, self.source, self.source_port, self.destination, self.destination_port
            )
        } else {
            write!(f, "{} {} to {}", self.protocol, self.source, self.destination)
        }
    }
}
