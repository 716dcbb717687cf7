//! The codes of causes. Reachability Analyzer's where it has one; `HOST_…`, `CLIENT_…` and `TEST_…` are ours. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Why a packet does not arrive, or why that could not be tested.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$meta])* #[serde(rename = $text)] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as it is printed: `NO_ROUTE_TO_DESTINATION`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The code that is printed as `text`.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// No route of the table that applies matches.
    NoRouteToDestination = "NO_ROUTE_TO_DESTINATION",
    /// The route's target is gone, detached or stopped.
    BlackholeRoute = "BLACKHOLE_ROUTE",
    /// The subnet has no association, so that the main table applies and not the one that was edited.
    MainTableApplies = "MAIN_TABLE_APPLIES",
    /// A longer prefix takes the packet away from the default route.
    MoreSpecificRoute = "MORE_SPECIFIC_ROUTE",
    /// The route leads to another way out than the NAT.
    RoutedToOtherEgress = "ROUTED_TO_OTHER_EGRESS",
    /// The route leads to a NAT gateway that could not be made, is not ready yet, or is deleted.
    NatGatewayNotAvailable = "NAT_GATEWAY_NOT_AVAILABLE",
    /// The route leads to a private NAT gateway, which has no public address.
    NatGatewayPrivate = "NAT_GATEWAY_PRIVATE",
    /// The NAT's own subnet has no route to an internet gateway, or routes to the NAT itself.
    NatSubnetNotPublic = "NAT_SUBNET_NOT_PUBLIC",
    IgwNotAttached = "IGW_NOT_ATTACHED",
    VpcBlockPublicAccess = "VPC_BLOCK_PUBLIC_ACCESS",
    /// A table that is associated with the internet gateway sends the reply to an appliance that the packet did not pass.
    IngressRtbTrafficRedirection = "INGRESS_RTB_TRAFFIC_REDIRECTION",
    /// The interface by which the packet leaves has no public address.
    NoPublicAddress = "NO_PUBLIC_ADDRESS",
    /// The NAT's Elastic IP is associated with something else.
    AddressMoved = "ADDRESS_MOVED",
    /// The source/destination check is on at the interface that the route names.
    EniSourceDestCheckRestriction = "ENI_SOURCE_DEST_CHECK_RESTRICTION",
    /// The source/destination check is on at the interface by which the reply leaves.
    SourceDestCheckOnReply = "SOURCE_DEST_CHECK_ON_REPLY",
    EniNotAttached = "ENI_NOT_ATTACHED",
    /// No rule of the interface's security groups lets the packet pass.
    EniSgRulesMismatch = "ENI_SG_RULES_MISMATCH",
    SubnetAclRestriction = "SUBNET_ACL_RESTRICTION",
    SgReferencesNotPreserved = "SG_REFERENCES_NOT_PRESERVED",
    /// A peering connection carries only packets to addresses of the peer VPC: no transitive egress.
    PcxRequiresAddressInVpcCidr = "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR",
    NatInstanceStopped = "NAT_INSTANCE_STOPPED",
    NatStatusCheckFailed = "NAT_STATUS_CHECK_FAILED",
    NatInOtherZone = "NAT_IN_OTHER_ZONE",
    Ipv6OnlyClient = "IPV6_ONLY_CLIENT",
    /// Nothing in the VPC has the destination's address.
    NoSuchAddress = "NO_SUCH_ADDRESS",

    HostUserDataFailed = "HOST_USER_DATA_FAILED",
    HostNoFirewallTool = "HOST_NO_FIREWALL_TOOL",
    HostIpForwardOff = "HOST_IP_FORWARD_OFF",
    HostNoMasquerade = "HOST_NO_MASQUERADE",
    /// The rule names an interface that is not the way out.
    HostMasqueradeWrongInterface = "HOST_MASQUERADE_WRONG_INTERFACE",
    HostForwardDenied = "HOST_FORWARD_DENIED",
    HostForwardReplyDenied = "HOST_FORWARD_REPLY_DENIED",
    HostRpFilter = "HOST_RP_FILTER",
    HostInterfaceDown = "HOST_INTERFACE_DOWN",
    HostDefaultRouteWrong = "HOST_DEFAULT_ROUTE_WRONG",
    HostNoReturnRoute = "HOST_NO_RETURN_ROUTE",
    HostRulesNotPersistent = "HOST_RULES_NOT_PERSISTENT",
    HostConntrackFull = "HOST_CONNTRACK_FULL",
    HostAllowanceExceeded = "HOST_ALLOWANCE_EXCEEDED",
    HostPortsExhausted = "HOST_PORTS_EXHAUSTED",
    HostPathMtu = "HOST_PATH_MTU",
    HostCpuCredits = "HOST_CPU_CREDITS",

    ClientDns = "CLIENT_DNS",
    ClientProxyOrFirewall = "CLIENT_PROXY_OR_FIREWALL",
    /// Every local port of the private instance is taken.
    ClientPortsExhausted = "CLIENT_PORTS_EXHAUSTED",
    /// The sender, or an instance that is the destination, does not run.
    ClientNotRunning = "CLIENT_NOT_RUNNING",

    TestNoInstanceProfile = "TEST_NO_INSTANCE_PROFILE",
    /// The instance metadata service is switched off, from which the agent has its credentials.
    TestMetadataOff = "TEST_METADATA_OFF",
    TestNoSsmPath = "TEST_NO_SSM_PATH",
    TestEndpointBlocked = "TEST_ENDPOINT_BLOCKED",
    TestAgentOffline = "TEST_AGENT_OFFLINE",
    TestDeliveryTimedOut = "TEST_DELIVERY_TIMED_OUT",
    TestAccessDenied = "TEST_ACCESS_DENIED",
    TestTargetDown = "TEST_TARGET_DOWN",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_as_it_is_printed_and_serialized() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }
}
