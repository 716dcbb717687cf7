//! What a diagnosis says: findings with their evidence, and what could not be seen. Pure data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cause, Code, Decision, Disposition, Evidence, Flow, Hop, Severity, Trace};
use crate::model::{ResourceId, SubnetId, Unknown};

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The evidence decides.
    Certain,
    /// The evidence points there, and what was meant is an assumption: which of several NATs, for example.
    Likely,
    /// What can be seen leaves it open; the packet test fits.
    Guess,
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Guess => "guess",
        })
    }
}

/// One cause that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub cause: Cause,
    pub code: Code,
    pub severity: Severity,
    pub certainty: Certainty,
    /// What is wrong, by AWS's identifier. `None` for what has none.
    pub resource_id: Option<ResourceId>,
    /// One sentence for the operator.
    pub summary: String,
    /// The decisive field or line first.
    pub evidence: Vec<Evidence>,
    /// What the repair needs to know and the snapshot does not say at once.
    pub subject: Subject,
}

impl Finding {
    /// What a person does about it where natdeck has no repair. `None`: a guess, for which nothing is done.
    pub fn by_hand(&self) -> Option<&'static str> {
        (!self.is_guess()).then(|| self.cause.by_hand())
    }

    pub fn is_guess(&self) -> bool {
        self.certainty == Certainty::Guess
    }
}

/// What tells a finding from another, also in another answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingKey {
    pub cause: Cause,
    resource_id: Option<ResourceId>,
    subnet_id: Option<SubnetId>,
}

impl FindingKey {
    pub fn of(finding: &Finding) -> Self {
        Self {
            cause: finding.cause,
            resource_id: finding.resource_id.clone(),
            subnet_id: finding.subject.subnet_id.clone(),
        }
    }
}

/// What a finding is about, typed: what a repair changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The flow that was followed.
    pub flow: Option<Flow>,
    /// The packet as it was dropped: what a rule or an entry must let pass.
    pub packet: Option<DroppedPacket>,
    pub subnet_id: Option<SubnetId>,
    pub route_table_id: Option<crate::model::RouteTableId>,
    /// The route that takes the packet, or the destination that needs one.
    pub destination: Option<crate::model::RouteDestination>,
    pub network_interface_id: Option<crate::model::NetworkInterfaceId>,
    pub instance_id: Option<crate::model::InstanceId>,
    pub security_group_id: Option<crate::model::SecurityGroupId>,
    pub network_acl_id: Option<crate::model::NetworkAclId>,
    pub internet_gateway_id: Option<crate::model::InternetGatewayId>,
    pub allocation_id: Option<crate::model::AllocationId>,
    pub vpc_id: Option<crate::model::VpcId>,
    /// A device of a host: `ens5`.
    pub device: Option<String>,
    /// The device by which packets leave the host, where it is another.
    pub out_device: Option<String>,
}

impl Subject {
    /// Files an identifier under its kind.
    pub(super) fn name(&mut self, id: &ResourceId) {
        use crate::model::{
            InstanceId, InternetGatewayId, NetworkAclId, NetworkInterfaceId, RouteTableId, SecurityGroupId, VpcId,
        };
        let text = id.as_str();
        if text.starts_with(RouteTableId::PREFIX) {
            self.route_table_id = Some(RouteTableId::new(text));
        } else if text.starts_with(NetworkInterfaceId::PREFIX) {
            self.network_interface_id = Some(NetworkInterfaceId::new(text));
        } else if text.starts_with(InternetGatewayId::PREFIX) {
            self.internet_gateway_id = Some(InternetGatewayId::new(text));
        } else if text.starts_with(SecurityGroupId::PREFIX) {
            self.security_group_id = Some(SecurityGroupId::new(text));
        } else if text.starts_with(NetworkAclId::PREFIX) {
            self.network_acl_id = Some(NetworkAclId::new(text));
        } else if text.starts_with(VpcId::PREFIX) {
            self.vpc_id = Some(VpcId::new(text));
        } else if text.starts_with(InstanceId::PREFIX) {
            self.instance_id = Some(InstanceId::new(text));
        }
    }
}

/// The packet at the place where it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedPacket {
    pub protocol: crate::model::Protocol,
    pub source: std::net::IpAddr,
    /// 0 for ICMP.
    pub source_port: u16,
    pub destination: std::net::IpAddr,
    pub destination_port: u16,
}

/// The answer to "why can it not get out".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What happens now: the walk as [`super::walk`] makes it.
    pub trace: Trace,
    /// Whether packets get through, from the walk and the packet test together. The packet test outweighs the walk.
    pub disposition: Disposition,
    /// The whole path there and back, walked on past every cause as if it were repaired. Hops that deny carry codes.
    pub path: Vec<Hop>,
    /// First what stops the packet now, then what would bite next, in the order in which the packet and its reply
    /// meet them; then the warnings.
    pub findings: Vec<Finding>,
    /// What could not be seen, and why.
    pub unknown: Vec<Unknown>,
}

impl Diagnosis {
    /// Where on the path the packet is stopped, or cannot be followed. What comes behind it is how it would go on, were
    /// it let pass there. `None`: it gets through, or nothing says where it is lost.
    pub fn stopped_at(&self) -> Option<usize> {
        let lost = self.disposition != Disposition::Delivered;
        let stops = |hop: &Hop| matches!(hop.decision, Decision::Denied | Decision::Unknown);
        self.path.iter().position(stops).filter(|_| lost)
    }

    /// Packets arrive as they were meant to.
    pub fn is_well(&self) -> bool {
        self.disposition == Disposition::Delivered && self.first_break().is_none()
    }

    /// Packets are stopped, or arrive by a way that was not meant. Neither this nor well: it cannot be told.
    pub fn is_broken(&self) -> bool {
        match self.disposition {
            Disposition::Dropped => true,
            Disposition::Delivered => self.first_break().is_some(),
            Disposition::InsufficientInformation => false,
        }
    }

    /// What may stop the packet and is only guessed: one stands for the other, and not behind it.
    pub fn guesses(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Breaks && finding.is_guess())
    }

    /// What stops the packet now, or leads it elsewhere.
    pub fn first_break(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.severity == Severity::Breaks)
    }
}
