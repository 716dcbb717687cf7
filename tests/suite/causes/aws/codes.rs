//! Reachability Analyzer's explanation codes, in the order of AWS's page: all of them, as of July 2026
//! (<https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html>).

use natdeck::reach::Code::*;

use super::Said::{self, By, Elsewhere, Near, Unseen};

type Rows = &'static [(&'static str, Said)];

const BALANCER: Said = Elsewhere("about load balancers, which no packet to the internet passes");
const GENEVE: Said = Elsewhere("about what a Gateway Load Balancer says to its appliances");
const ENDPOINT: Said = Elsewhere("about what comes from a VPC endpoint, or goes to a service through one");
const TRANSIT: Said = Unseen("a transit gateway's attachments and tables are beyond what natdeck asks for");
const VPN: Said = Unseen("a virtual private gateway and what lies behind it are beyond what natdeck asks for");
const DESCRIBE: Said = Unseen("the answer names the describe call that failed, and what it would have told");
const TRANSLATES: Said = Elsewhere("says how an address is translated; nothing is dropped for it");
const FILTER: Said = Elsewhere("about filters of an analysis, which natdeck has none of");
const REPLY_SOURCE: Said = Elsewhere("replies come from the public address that was asked for");

/// The page's sections.
pub const SECTIONS: &[(&str, Rows)] =
    &[("Path is not reachable", PATH), ("Configuration", CONFIGURATION), ("Search filter codes", FILTERS)];

const PATH: Rows = &[
    ("BAD_STATE", By(&[NatInstanceStopped, NatGatewayNotAvailable, ClientNotRunning])),
    ("BAD_STATE_ATTACHMENT", By(&[IgwNotAttached, EniNotAttached])),
    ("BAD_STATE_ROUTE", By(&[BlackholeRoute])),
    ("BAD_STATE_VPN", VPN),
    ("CANNOT_ROUTE", By(&[NoRouteToDestination, MainTableApplies, NatSubnetNotPublic])),
    ("ELB_ACL_RESTRICTION", BALANCER),
    ("ELB_INSTALLED_AZ_RESTRICTION", BALANCER),
    ("ELB_LISTENER_PORT_RESTRICTION", BALANCER),
    ("ELB_LISTENERS_MISMATCH", BALANCER),
    ("ELB_NOT_CROSSZONE", BALANCER),
    ("ELBV2_LISTENER_HAS_NO_TG", BALANCER),
    ("ELBV2_LISTENER_PORT_RESTRICTION", BALANCER),
    ("ELBV2_LISTENER_REQUIRES_TG_ACCEPT", BALANCER),
    ("ELBV2_LISTENERS_MISMATCH", BALANCER),
    ("ELBV2_NO_TARGETS_IN_AZ", BALANCER),
    ("ELBV2_SOURCE_ADDRESS_PRESERVATION", BALANCER),
    (
        "ENI_ADDRESS_RESTRICTION",
        Near(
            &[EniSourceDestCheckRestriction],
            "It is said of interfaces that AWS holds; their check is read like any other",
        ),
    ),
    ("ENI_SG_RULES_MISMATCH", By(&[EniSgRulesMismatch])),
    ("ENI_SOURCE_DEST_CHECK_RESTRICTION", By(&[EniSourceDestCheckRestriction, SourceDestCheckOnReply])),
    (
        "FIREWALL_RULES_RESTRICTION",
        Unseen("a route to a firewall's endpoint; what lies behind it is walked on to as if the firewall let it pass"),
    ),
    (
        "GATEWAY_REJECTS_SPOOFED_TRAFFIC",
        Near(
            &[HostNoMasquerade, HostMasqueradeWrongInterface],
            "What a NAT host does not translate has an address that is not the NAT's; the Analyzer does not see hosts",
        ),
    ),
    ("GWLB_DESTINATION_PORT_RESTRICTION", GENEVE),
    ("GWLB_PROTOCOL_RESTRICTION", GENEVE),
    (
        "HIGHER_PRIORITY_ROUTE",
        Near(
            &[RoutedToOtherEgress],
            "Of equal destinations the walk takes the route that wins: a static one, then a prefix list's, then a propagated one",
        ),
    ),
    ("IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS", By(&[NoSuchAddress])),
    ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", By(&[NoSuchAddress])),
    ("IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS", By(&[NoSuchAddress])),
    ("IGW_NAT_REFLECTION", Elsewhere("a limit of the Analyzer: paths through a gateway are walked there and back")),
    ("IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", By(&[NoSuchAddress])),
    ("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS", By(&[NoPublicAddress, AddressMoved, NatGatewayPrivate])),
    ("IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS", REPLY_SOURCE),
    ("IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS", REPLY_SOURCE),
    (
        "INGRESS_RTB_NO_PUBLIC_IP",
        Unseen("a reply that the gateway's table leads through an appliance which the packet passed too"),
    ),
    ("INGRESS_RTB_TRAFFIC_REDIRECTION", By(&[IngressRtbTrafficRedirection])),
    ("MORE_SPECIFIC_ROUTE", By(&[MoreSpecificRoute])),
    ("NGW_DEST_ADDRESS_PRESERVATION", TRANSLATES),
    (
        "NGW_REQUIRES_SOURCE_IN_VPC",
        Elsewhere(
            "about what comes from a peering, a VPN or Direct Connect; a diagnosis begins at an instance of the VPC",
        ),
    ),
    ("NGW_SOURCE_ADDRESS_REASSIGN", TRANSLATES),
    ("NO_POSSIBLE_DESTINATION", By(&[NoSuchAddress])),
    ("NO_ROUTE_TO_DESTINATION", By(&[NoRouteToDestination, MainTableApplies, NatSubnetNotPublic])),
    ("PCX_REQUIRES_ADDRESS_IN_VPC_CIDR", By(&[PcxRequiresAddressInVpcCidr])),
    ("PROTOCOL_RESTRICTION", Elsewhere("a NAT gateway takes TCP, UDP and ICMP, and natdeck asks about nothing else")),
    (
        "REGIONAL_NGW_ROUTE_AZ_RESTRICTION",
        Unseen("a regional NAT gateway routes by a table of its own, zone by zone; the walk ends there"),
    ),
    (
        "REMAP_EPHEMERAL_PORT",
        Near(&[SubnetAclRestriction], "The reply comes to a port of 1024-65535, which an ACL has to let in"),
    ),
    ("SG_HAS_NO_RULES", By(&[EniSgRulesMismatch])),
    ("SG_REFERENCES_NOT_PRESERVED", By(&[SgReferencesNotPreserved])),
    ("SG_REFERENCING_SUPPORT", By(&[SgReferencesNotPreserved])),
    ("SUBNET_ACL_RESTRICTION", By(&[SubnetAclRestriction])),
    ("TARGET_ADDRESS_RESTRICTION", BALANCER),
    ("TARGET_PORT_RESTRICTION", BALANCER),
    ("TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION", TRANSIT),
    ("TGW_ATTACH_VPC_AZ_RESTRICTION", TRANSIT),
    ("TGW_BAD_STATE_VPN", TRANSIT),
    ("TGW_ROUTE_AZ_RESTRICTION", TRANSIT),
    ("TGW_RTB_BAD_STATE_ROUTE", TRANSIT),
    ("TGW_RTB_CANNOT_ROUTE", TRANSIT),
    ("TGW_RTB_HIGHER_PRIORITY_ROUTE", TRANSIT),
    ("TGW_RTB_MORE_SPECIFIC_ROUTE", TRANSIT),
    ("TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT", TRANSIT),
    ("TGW_RTB_ROUTES_ARE_UNKNOWN", TRANSIT),
    ("UNKNOWN_DESTINATION", DESCRIBE),
    ("UNKNOWN_PEERED_SGS", DESCRIBE),
    ("UNKNOWN_RESOURCE", DESCRIBE),
    ("VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS", VPN),
    ("VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", VPN),
    ("VPC_BLOCK_PUBLIC_ACCESS_ENABLED", By(&[VpcBlockPublicAccess])),
    ("VPC_LOCAL_ROUTE_CIDR_RESTRICTION", Elsewhere("the walk takes a local route only for what lies in its range")),
    ("VPCE_GATEWAY_EGRESS_SOURCE_ADDRESS_RESTRICTION", ENDPOINT),
    ("VPCE_GATEWAY_PROTOCOL_RESTRICTION", ENDPOINT),
    ("VPCE_INTRA_VPC_TRAFFIC", ENDPOINT),
    ("VPCE_SERVICE_NOT_INSTALLED_IN_AZ", ENDPOINT),
];

const CONFIGURATION: Rows = &[
    ("DISCONNECTED_VPCS", Elsewhere("a diagnosis has one VPC, and its ends where a route leads out of it")),
    ("NO_PATH", Elsewhere("says that nothing was found; natdeck names what is in the way")),
    ("NO_SOURCE_OR_DESTINATION", Elsewhere("an instance that is not there is refused before anything is walked")),
    ("UNASSOCIATED_COMPONENT", By(&[Ipv6OnlyClient])),
    ("UNSUPPORTED_COMPONENT", Unseen("a target of a kind that natdeck does not know; the answer names it")),
];

const FILTERS: Rows = &[
    ("COMPONENT_FILTER_RESTRICTION", FILTER),
    ("COMPONENT_FILTER_RESTRICTION_REMOVED_COMPONENT", FILTER),
    ("FILTER_AT_DESTINATION_DESTINATION_ADDRESS", FILTER),
    ("FILTER_AT_DESTINATION_DESTINATION_PORT_RANGE", FILTER),
    ("FILTER_AT_DESTINATION_PROTOCOL", FILTER),
    ("FILTER_AT_DESTINATION_SOURCE_ADDRESS", FILTER),
    ("FILTER_AT_DESTINATION_SOURCE_PORT_RANGE", FILTER),
    ("FILTER_AT_SOURCE_DESTINATION_ADDRESS", FILTER),
    ("FILTER_AT_SOURCE_DESTINATION_PORT_RANGE", FILTER),
    ("FILTER_AT_SOURCE_PROTOCOL", FILTER),
    ("FILTER_AT_SOURCE_SOURCE_ADDRESS", FILTER),
    ("FILTER_AT_SOURCE_SOURCE_PORT_RANGE", FILTER),
    ("IGW_EXPECTS_PUBLIC_ADDRESS", FILTER),
];
