//! What AWS's pages on NAT and SSM say goes wrong, in their order, and what the trackers of well-known NAT modules do.

use natdeck::reach::Code::*;

use super::Said::{self, By, Elsewhere, Near};

/// Title, address, and what goes wrong.
type Page = (&'static str, &'static str, &'static [(&'static str, Said)]);

const NOT_MADE: Said = Elsewhere("the request itself is refused, and EC2's own words are shown");
const REMOTE: Said = Elsewhere("it is on the other side's host");
const ONGOING: Said = Elsewhere("about connections that exist; natdeck asks whether new ones come about");
const OF_GATEWAY: &str = "Of a NAT gateway only CloudWatch tells (ErrorPortAllocation), which natdeck does not ask";

pub const PAGES: &[Page] = &[
    (
        "Troubleshoot NAT gateways",
        "https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html",
        &[
            ("creation fails: the subnet has no free address", By(&[NatGatewayNotAvailable])),
            ("creation fails: the VPC has no internet gateway", By(&[NatGatewayNotAvailable])),
            ("creation fails: the Elastic IP does not exist or is associated already", By(&[NatGatewayNotAvailable])),
            ("creation fails: its network interface is in an invalid state", By(&[NatGatewayNotAvailable])),
            ("quota of addresses or gateways reached; zone without NAT gateways", NOT_MADE),
            (
                "the gateway is no longer visible: it failed, and is deleted after an hour",
                By(&[NatGatewayNotAvailable, BlackholeRoute]),
            ),
            ("the gateway does not answer a ping", Elsewhere("nothing answers there, working or not")),
            ("no internet: the gateway is not available", By(&[NatGatewayNotAvailable])),
            ("no internet: the gateway's subnet has no route to an internet gateway", By(&[NatSubnetNotPublic])),
            (
                "no internet: the private subnet's table does not lead to the gateway",
                By(&[NoRouteToDestination, MainTableApplies, RoutedToOtherEgress]),
            ),
            (
                "no internet: another route takes all or part of it elsewhere",
                By(&[MoreSpecificRoute, RoutedToOtherEgress]),
            ),
            (
                "no internet: security group of the instance, network ACL of either subnet",
                By(&[EniSgRulesMismatch, SubnetAclRestriction]),
            ),
            ("no internet: the host that is pinged does not answer pings", By(&[TestTargetDown])),
            (
                "no internet: a protocol other than TCP, UDP and ICMP; IPsec",
                Elsewhere("natdeck asks about these three only; a NAT instance carries others as its rules say"),
            ),
            (
                "some TCP connections fail: the destination answers in fragments",
                Elsewhere("a NAT gateway drops them, a NAT instance puts them together; no describe call shows it"),
            ),
            ("some TCP connections fail: tcp_tw_recycle on the server", REMOTE),
            (
                "traceroute does not show the gateway: packets leave by another way",
                By(&[RoutedToOtherEgress, MoreSpecificRoute]),
            ),
            ("the connection drops after 350 seconds", ONGOING),
            ("no more connections can be made", Near(&[HostPortsExhausted, HostConntrackFull], OF_GATEWAY)),
        ],
    ),
    (
        "NAT gateways",
        "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html",
        &[(
            "a private NAT gateway whose packets are routed to an internet gateway, which drops them",
            By(&[NatGatewayPrivate]),
        )],
    ),
    (
        "NAT instances",
        "https://docs.aws.amazon.com/vpc/latest/userguide/VPC_NAT_Instance.html",
        &[
            ("the NAT's subnet must have a route to the internet gateway", By(&[NatSubnetNotPublic, IgwNotAttached])),
            ("the NAT must have a public or Elastic IP address", By(&[NoPublicAddress, AddressMoved])),
            ("the NAT's group must let in the private subnet and out to the internet", By(&[EniSgRulesMismatch])),
            (
                "source/destination check, also of a second interface",
                By(&[EniSourceDestCheckRestriction, SourceDestCheckOnReply]),
            ),
            (
                "the private subnet's table must lead to the NAT",
                By(&[NoRouteToDestination, MainTableApplies, BlackholeRoute]),
            ),
            ("iptables is to be installed, and forwarding switched on", By(&[HostNoFirewallTool, HostIpForwardOff])),
            (
                "the rule must masquerade on the primary interface by its name",
                By(&[HostNoMasquerade, HostMasqueradeWrongInterface]),
            ),
            (
                "iptables -F FORWARD: the stock rules refuse to forward",
                By(&[HostForwardDenied, HostForwardReplyDenied]),
            ),
            ("settings must persist over a reboot", By(&[HostRulesNotPersistent])),
            ("it translates IPv4 only", By(&[Ipv6OnlyClient])),
        ],
    ),
    (
        "Compare NAT gateways and NAT instances",
        "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-comparison.html",
        &[
            (
                "a NAT instance does not fail over by itself, nor into another zone",
                By(&[NatInstanceStopped, NatStatusCheckFailed, NatInOtherZone]),
            ),
            ("its bandwidth depends on the instance type", By(&[HostAllowanceExceeded, HostCpuCredits])),
            ("it ends idle connections with FIN, a gateway with RST", ONGOING),
            (
                "it puts IP fragments together, a gateway does so for UDP",
                Elsewhere("no describe call shows a packet's fragments"),
            ),
        ],
    ),
    (
        "Gateway route tables",
        "https://docs.aws.amazon.com/vpc/latest/userguide/gateway-route-tables.html",
        &[(
            "packets and replies must pass the same appliance; the appliance must run",
            By(&[IngressRtbTrafficRedirection]),
        )],
    ),
    (
        "VPC Block Public Access",
        "https://docs.aws.amazon.com/vpc/latest/userguide/security-vpc-bpa.html",
        &[(
            "internet gateways are blocked; ingress-only blocking lets NAT gateways out and not instances",
            By(&[VpcBlockPublicAccess]),
        )],
    ),
    (
        "Intermittent connection issues when using a NAT instance (re:Post)",
        "https://repost.aws/knowledge-center/resolve-connection-nat-instance",
        &[
            ("port exhaustion on the source", By(&[ClientPortsExhausted])),
            ("a network ACL does not let in the ephemeral ports", By(&[SubnetAclRestriction])),
            ("network issues, of the instance type among others", By(&[HostAllowanceExceeded, HostPathMtu])),
        ],
    ),
    (
        "Connectivity issues when using a NAT gateway (re:Post)",
        "https://repost.aws/knowledge-center/vpc-troubleshoot-nat-gateway-connection",
        &[
            ("a network ACL lets in a part of the ephemeral ports only", By(&[SubnetAclRestriction])),
            ("ErrorPortAllocation of the gateway", Near(&[HostPortsExhausted], OF_GATEWAY)),
            ("the client has no local port left", By(&[ClientPortsExhausted])),
            ("idle timeout", ONGOING),
            ("bandwidth of the gateway", Near(&[HostAllowanceExceeded], OF_GATEWAY)),
        ],
    ),
    (
        "An instance is not a managed node, or \"Connection lost\" (re:Post)",
        "https://repost.aws/knowledge-center/systems-manager-ec2-instance-not-appear",
        &[
            ("the agent is not installed, or does not run", By(&[TestAgentOffline])),
            ("no connection to SSM's endpoints on port 443", By(&[TestNoSsmPath, TestEndpointBlocked])),
            ("no instance profile, or its role lacks the permission", By(&[TestNoInstanceProfile])),
            ("the instance metadata service is switched off", By(&[TestMetadataOff])),
            ("the command is not delivered, or may not be sent", By(&[TestDeliveryTimedOut, TestAccessDenied])),
            ("proxy settings of the host", By(&[ClientProxyOrFirewall])),
            ("the clock of the host is wrong", Near(&[TestAgentOffline], "Nothing that AWS describes shows it")),
        ],
    ),
    (
        "DNS attributes of a VPC",
        "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html",
        &[("enableDnsSupport is off, or DHCP options name another resolver", By(&[ClientDns]))],
    ),
    (
        "VPC peering: unsupported configurations",
        "https://docs.aws.amazon.com/vpc/latest/peering/invalid-peering-configurations.html",
        &[
            ("edge to edge routing through a gateway of the peer VPC", By(&[PcxRequiresAddressInVpcCidr])),
            ("a group of another VPC is referenced where it is not preserved", By(&[SgReferencesNotPreserved])),
        ],
    ),
    (
        "fck-nat, its CDK and Terraform modules (trackers)",
        "https://github.com/AndrewGuenther/fck-nat/issues",
        &[
            ("no ingress rule for the private subnets (cdk-fck-nat 118)", By(&[EniSgRulesMismatch])),
            ("the NAT is in the private subnet, or shares its table (fck-nat 74, 76)", By(&[NatSubnetNotPublic])),
            ("the second interface never comes up (fck-nat 84)", By(&[HostInterfaceDown, EniNotAttached])),
            ("the address moves to the new instance before it works (fck-nat 80)", By(&[AddressMoved])),
            ("the tracked connections of security groups are used up (fck-nat 39)", By(&[HostAllowanceExceeded])),
            ("connections open and large transfers hang (fck-nat 145)", By(&[HostPathMtu])),
            (
                "masquerade with an empty interface name, lost in a race at boot (terraform-aws-fck-nat 75)",
                By(&[HostNoMasquerade, HostMasqueradeWrongInterface]),
            ),
        ],
    ),
    (
        "terraform-aws-nat-instance (tracker)",
        "https://github.com/int128/terraform-aws-nat-instance/issues",
        &[
            ("reverse-path filtering drops all translated packets (51)", By(&[HostRpFilter])),
            ("the host's default route is deleted, or gone after a reboot (35)", By(&[HostDefaultRouteWrong])),
            ("the script does not know Amazon Linux 2023 (65)", By(&[HostUserDataFailed, HostNoFirewallTool])),
            ("replies to other private subnets leave by the outer interface", By(&[HostNoReturnRoute])),
        ],
    ),
    (
        "alterNAT (tracker)",
        "https://github.com/chime/terraform-aws-alternat/issues",
        &[("after a failover the route stays on the NAT gateway (90)", By(&[RoutedToOtherEgress]))],
    ),
];
