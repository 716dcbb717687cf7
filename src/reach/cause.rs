//! Every cause that natdeck can name: one row each, with what it means and where it sits. Pure data.
//!
//! A [`Code`] is what is printed; a [`Cause`] is finer where one code stands for several places, as a network ACL
//! that denies in one of six.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Code;

/// Whether a cause stops packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Packets do not arrive, or leave by another way out than was meant.
    Breaks,
    /// It works, but.
    Warns,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Breaks => "breaks",
            Self::Warns => "warns",
        })
    }
}

/// Where a cause sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In what AWS's API describes.
    Vpc,
    /// On the NAT host, where AWS's own analysis does not look.
    NatHost,
    /// On the private instance.
    Client,
    /// In the test itself: no verdict on egress.
    Test,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vpc => "VPC",
            Self::NatHost => "NAT host",
            Self::Client => "client",
            Self::Test => "test",
        })
    }
}

/// Who can put it right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mend {
    /// `--fix` can, where the snapshot says enough.
    Natdeck,
    /// A person has to: it needs a decision or something that natdeck cannot reach.
    Person,
}

macro_rules! causes {
    ($($variant:ident: $code:ident $($suffix:literal)?, $severity:ident, $place:ident, $mend:ident, $text:literal;)+) => {
        /// Why a private instance does not reach the internet through its NAT, or why that cannot be told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause {
            $(#[doc = $text] $variant,)+
        }

        impl Cause {
            /// Every cause, in the order of the reference: VPC, NAT host, client, test.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What is printed for it.
            pub fn code(self) -> Code {
                match self {
                    $(Self::$variant => Code::$code,)+
                }
            }

            /// Which of the places of its code. Empty where a code has one.
            fn suffix(self) -> &'static str {
                match self {
                    $(Self::$variant => causes!(@suffix $($suffix)?),)+
                }
            }

            /// How bad it is as a rule. A [`super::Finding`] may be milder.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }

            pub fn place(self) -> Place {
                match self {
                    $(Self::$variant => Place::$place,)+
                }
            }

            /// Why it breaks egress, in a sentence or two.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            fn mend(self) -> Mend {
                match self {
                    $(Self::$variant => Mend::$mend,)+
                }
            }
        }
    };
    (@suffix) => { "" };
    (@suffix $suffix:literal) => { $suffix };
}

causes! {
    NoRoute: NoRouteToDestination, Breaks, Vpc, Natdeck,
        "The private subnet's route table has no route that matches, so AWS drops the packet at the subnet's router.";
    BlackholeRoute: BlackholeRoute, Breaks, Vpc, Natdeck,
        "The route's target is gone, detached or stopped: EC2 keeps the route, marks it blackhole and drops what it takes.";
    MainTableApplies: MainTableApplies, Breaks, Vpc, Natdeck,
        "A subnet without an association uses the VPC's main table. The table that leads to the NAT applies to nothing.";
    MoreSpecificRoute: MoreSpecificRoute, Breaks, Vpc, Natdeck,
        "The longest prefix wins whatever its origin, so this route takes the packet before the default route does.";
    RoutedToOtherEgress: RoutedToOtherEgress, Breaks, Vpc, Natdeck,
        "The default route leads to another way out than the NAT, so the outside sees another address, or nothing arrives.";
    NatGatewayNotAvailable: NatGatewayNotAvailable, Breaks, Vpc, Natdeck,
        "The route leads to a NAT gateway that carries nothing: it failed when it was made, is not ready yet, or is gone.";
    NatGatewayPrivate: NatGatewayPrivate, Breaks, Vpc, Natdeck,
        "A private NAT gateway translates to a private address, and what it sends to an internet gateway is dropped there.";
    NatSubnetNotPublic: NatSubnetNotPublic, Breaks, Vpc, Natdeck,
        "The NAT's own subnet must route to an internet gateway. Without that its packets go nowhere, or back to itself.";
    IgwNotAttached: IgwNotAttached, Breaks, Vpc, Natdeck,
        "The VPC has no attached internet gateway, and nothing leaves a VPC to the IPv4 internet without one.";
    VpcBlockPublicAccess: VpcBlockPublicAccess, Breaks, Vpc, Natdeck,
        "VPC Block Public Access stops internet gateways. Even the one-way mode lets only NAT gateways out, not instances.";
    RepliesRedirected: IngressRtbTrafficRedirection, Breaks, Vpc, Natdeck,
        "The internet gateway's own table sends replies to an appliance that the packets did not pass: they are lost.";
    NoPublicAddress: NoPublicAddress, Breaks, Vpc, Natdeck,
        "An internet gateway drops what has no public address. An instance with two interfaces gets none back after a stop.";
    AddressMoved: AddressMoved, Breaks, Vpc, Natdeck,
        "The NAT's Elastic IP is associated with something else, so the internet gateway drops what the NAT sends.";
    SourceDestCheck: EniSourceDestCheckRestriction, Breaks, Vpc, Natdeck,
        "The check drops packets that are neither from nor to the interface's addresses, which is all that a NAT forwards.";
    SourceDestCheckOnReply: SourceDestCheckOnReply, Breaks, Vpc, Natdeck,
        "The check belongs to each interface. Here the reply leaves with a foreign source and is dropped.";
    EniNotAttached: EniNotAttached, Breaks, Vpc, Natdeck,
        "The route leads to an interface that no instance holds, so nobody takes the packet.";
    NatIngressRule: EniSgRulesMismatch "nat-ingress", Breaks, Vpc, Natdeck,
        "Security groups only allow. No ingress rule of the NAT's groups lets the private instance in.";
    NatEgressRule: EniSgRulesMismatch "nat-egress", Breaks, Vpc, Natdeck,
        "Security groups only allow. No egress rule of the NAT's groups lets the packet out.";
    ClientEgressRule: EniSgRulesMismatch "client-egress", Breaks, Vpc, Natdeck,
        "Security groups only allow. No egress rule of the private instance's groups lets the packet out.";
    AclPrivateEgress: SubnetAclRestriction "private-egress", Breaks, Vpc, Natdeck,
        "The network ACL of the private subnet does not let the packet out. The lowest rule number that matches decides.";
    AclNatIngress: SubnetAclRestriction "nat-ingress", Breaks, Vpc, Natdeck,
        "The network ACL of the NAT's subnet does not let the private instance's packet in.";
    AclNatEgress: SubnetAclRestriction "nat-egress", Breaks, Vpc, Natdeck,
        "The network ACL of the NAT's subnet does not let the packet out to the internet.";
    AclReplyNatIngress: SubnetAclRestriction "reply-nat-ingress", Breaks, Vpc, Natdeck,
        "ACLs are stateless: the reply needs an entry for ephemeral ports into the NAT's subnet, and has none.";
    AclReplyNatEgress: SubnetAclRestriction "reply-nat-egress", Breaks, Vpc, Natdeck,
        "ACLs are stateless: the reply needs an entry for ephemeral ports out of the NAT's subnet, and has none.";
    AclReplyPrivateIngress: SubnetAclRestriction "reply-private-ingress", Breaks, Vpc, Natdeck,
        "ACLs are stateless: the reply needs an entry for ephemeral ports into the private subnet, and has none.";
    SgReferencesNotPreserved: SgReferencesNotPreserved, Breaks, Vpc, Natdeck,
        "A transit gateway or peering forgets the sender's security group, so a rule that names that group never matches.";
    PcxRequiresAddress: PcxRequiresAddressInVpcCidr, Breaks, Vpc, Natdeck,
        "A peering connection carries only packets to addresses of the peer VPC. A way out cannot be shared through it.";
    NatInstanceStopped: NatInstanceStopped, Breaks, Vpc, Natdeck,
        "The NAT instance does not run, and what its route takes is dropped.";
    NatStatusCheckFailed: NatStatusCheckFailed, Breaks, Vpc, Natdeck,
        "The NAT instance hangs while its state is running, so the route stays active and leads into a dead host.";
    NatInOtherZone: NatInOtherZone, Warns, Vpc, Person,
        "It works, but every byte pays for crossing zones, and this zone loses its egress when the other one fails.";
    Ipv6OnlyClient: Ipv6OnlyClient, Breaks, Vpc, Person,
        "The instance has no IPv4 address. A NAT instance translates IPv4 only; NAT64 needs a NAT gateway and DNS64.";

    HostUserDataFailed: HostUserDataFailed, Breaks, NatHost, Natdeck,
        "The boot script died half-way, so that the host was never made a NAT.";
    HostNoFirewallTool: HostNoFirewallTool, Breaks, NatHost, Natdeck,
        "Neither iptables nor nft is installed, so nothing can have set up translation. Amazon Linux 2023 ships neither.";
    HostIpForwardOff: HostIpForwardOff, Breaks, NatHost, Natdeck,
        "The kernel drops every packet that is not for itself while net.ipv4.ip_forward is 0.";
    HostNoMasquerade: HostNoMasquerade, Breaks, NatHost, Natdeck,
        "Nothing translates the source, so the packet leaves with an address that AWS drops and nobody could answer.";
    HostMasqueradeWrongInterface: HostMasqueradeWrongInterface, Breaks, NatHost, Natdeck,
        "The masquerade rule names an interface by which the packet does not leave, so it never matches.";
    HostForwardDenied: HostForwardDenied, Breaks, NatHost, Natdeck,
        "The host's own firewall refuses to forward: Docker sets the policy to DROP, other packages add a REJECT rule.";
    HostForwardReplyDenied: HostForwardReplyDenied, Breaks, NatHost, Natdeck,
        "The host's firewall forwards the packet and drops the reply: no rule accepts RELATED,ESTABLISHED.";
    HostRpFilter: HostRpFilter, Breaks, NatHost, Natdeck,
        "The strict reverse-path filter drops what comes in by another interface than the way back to its source.";
    HostInterfaceDown: HostInterfaceDown, Breaks, NatHost, Natdeck,
        "An interface of the host has no link or no address, so the kernel neither takes nor sends packets there.";
    HostDefaultRouteWrong: HostDefaultRouteWrong, Breaks, NatHost, Natdeck,
        "The host's default route is missing or leaves by an interface that does not lead to the internet gateway.";
    HostNoReturnRoute: HostNoReturnRoute, Breaks, NatHost, Natdeck,
        "The host knows no way back to this private subnet but its default route, so replies leave by the outer interface.";
    HostRulesNotPersistent: HostRulesNotPersistent, Warns, NatHost, Natdeck,
        "It works now, and nothing on the host's disk would bring it back after a reboot.";
    HostConntrackFull: HostConntrackFull, Breaks, NatHost, Natdeck,
        "The connection tracking table is full. The kernel drops new connections and lets old ones go on.";
    HostAllowanceExceeded: HostAllowanceExceeded, Warns, NatHost, Person,
        "EC2 queues or drops packets beyond what the instance type may send, track or carry.";
    HostPortsExhausted: HostPortsExhausted, Breaks, NatHost, Person,
        "One address has 64,512 source ports towards one destination, a rule's range fewer. When all are held, no more fit.";
    HostPathMtu: HostPathMtu, Breaks, NatHost, Natdeck,
        "Small packets pass and large ones hang: 9001 bytes inside, 1500 outside, and the ICMP that says so is dropped.";
    HostCpuCredits: HostCpuCredits, Warns, NatHost, Person,
        "A burstable instance in standard mode that has spent its credits is held down to its baseline.";

    ClientDns: ClientDns, Breaks, Client, Natdeck,
        "Names do not resolve. The VPC's resolver needs EnableDnsSupport and DHCP options that name it.";
    ClientProxyOrFirewall: ClientProxyOrFirewall, Breaks, Client, Person,
        "The private instance's own firewall or proxy settings keep it from connecting.";
    ClientPortsExhausted: ClientPortsExhausted, Breaks, Client, Person,
        "Every local port of the private instance is held by a connection, so that no new one can be opened.";
    ClientNotRunning: ClientNotRunning, Breaks, Client, Person,
        "The private instance does not run, so it sends nothing.";
    NoSuchAddress: NoSuchAddress, Breaks, Client, Person,
        "Nothing on the path has the destination's address.";

    TestNoInstanceProfile: TestNoInstanceProfile, Warns, Test, Person,
        "SSM's agent needs an instance profile whose role holds AmazonSSMManagedInstanceCore.";
    TestMetadataOff: TestMetadataOff, Warns, Test, Person,
        "SSM's agent has its credentials from the instance metadata service, and that is switched off.";
    TestNoSsmPath: TestNoSsmPath, Warns, Test, Person,
        "SSM's agent has no endpoints in the VPC and no way out: it rode on the egress that is broken.";
    TestEndpointBlocked: TestEndpointBlocked, Warns, Test, Person,
        "The endpoint of SSM cannot be used: its group, its subnet or its private DNS is in the way.";
    TestAgentOffline: TestAgentOffline, Warns, Test, Person,
        "SSM's agent does not answer.";
    TestDeliveryTimedOut: TestDeliveryTimedOut, Warns, Test, Person,
        "The command never reached the agent.";
    TestAccessDenied: TestAccessDenied, Warns, Test, Person,
        "The caller may not send commands.";
    TestTargetDown: TestTargetDown, Warns, Test, Person,
        "The address service itself is down: a second service answered.";
}

impl Cause {
    /// As `sandbox break` takes it: the code, and the place where a code has several: `SUBNET_ACL_RESTRICTION:nat-egress`.
    pub fn name(self) -> String {
        match self.suffix() {
            "" => self.code().to_string(),
            suffix => format!("{}:{suffix}", self.code()),
        }
    }

    /// The cause with a name; a code that stands for several places names its first.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|cause| cause.name() == name)
            .or_else(|| Self::ALL.iter().find(|cause| cause.code().as_str() == name))
            .copied()
    }

    /// Whether natdeck has a repair for it, where the snapshot says enough to be sure what to change.
    pub fn repairable(self) -> bool {
        self.mend() == Mend::Natdeck
    }

    /// What a person does about it where natdeck has no repair, in a sentence.
    pub fn by_hand(self) -> &'static str {
        match self {
            Self::VpcBlockPublicAccess => {
                "Ask who switched Block Public Access on; aws ec2 create-vpc-block-public-access-exclusion with \
                 allow-bidirectional for the NAT's subnet lets its instances out, and the private one may need none."
            }
            Self::RepliesRedirected => {
                "Lead the subnet's way out through the same appliance, or take its range out of the gateway's table: aws ec2 \
                 delete-route, or replace-route --local-target for a range of the VPC itself."
            }
            Self::MoreSpecificRoute => {
                "Stop the propagation (aws ec2 disable-vgw-route-propagation), take the range out of the prefix list, or \
                 make the target forward to the internet."
            }
            Self::NatGatewayNotAvailable => {
                "Wait where it is pending. One that failed says why, cannot be mended and goes away within an hour: make \
                 another, or lead the route to a NAT that works."
            }
            Self::NatGatewayPrivate => {
                "A NAT gateway keeps its kind: make one with --connectivity-type public and an Elastic IP, or lead the \
                 route to a NAT that works."
            }
            Self::NatInOtherZone => {
                "Give each zone a NAT of its own, and its private subnets a table that leads there."
            }
            Self::Ipv6OnlyClient => {
                "Give the subnet an IPv4 range and the instance an address, or lead ::/0 to an egress-only internet \
                 gateway for what speaks IPv6; for IPv4-only services a NAT gateway with 64:ff9b::/96 and DNS64."
            }
            Self::HostForwardDenied | Self::HostForwardReplyDenied => {
                "Add the accept rule to the table that refuses, with the tool that manages it (nft, firewall-cmd, ufw): an \
                 accept anywhere else does not outweigh it."
            }
            Self::HostAllowanceExceeded => "Take a larger instance type, or spread the clients over more NATs.",
            Self::HostPortsExhausted => {
                "Give the NAT more addresses and translate to a range of them, let the rule use more ports where it names a \
                 range, or spread the clients over more NATs."
            }
            Self::HostConntrackFull => "It has room again; if it comes back, raise net.netfilter.nf_conntrack_max.",
            Self::HostCpuCredits => {
                "aws ec2 modify-instance-credit-specification with CpuCredits=unlimited, or an instance type that is not \
                 burstable."
            }
            Self::ClientProxyOrFirewall => "Change the rule or the setting that the evidence quotes, on the instance.",
            Self::ClientPortsExhausted => {
                "Let the program on the instance reuse or close its connections; sysctl -w \
                 net.ipv4.ip_local_port_range=\"1024 65535\" gives it more ports."
            }
            Self::ClientNotRunning => "Start it: aws ec2 start-instances.",
            Self::ClientDns => {
                "Point the instance at name servers that it reaches: aws ec2 associate-dhcp-options with a set that names \
                 AmazonProvidedDNS, which all instances of the VPC take on when they renew their lease (networkctl renew, or \
                 a reboot); or /etc/resolv.conf."
            }
            Self::NoSuchAddress => "Ask for another address.",
            Self::TestNoInstanceProfile => {
                "aws ec2 associate-iam-instance-profile with a role that holds AmazonSSMManagedInstanceCore."
            }
            Self::TestMetadataOff => "aws ec2 modify-instance-metadata-options with --http-endpoint enabled.",
            Self::TestNoSsmPath => {
                "Make endpoints for ssm and ssmmessages, or repair the way out that the agent rides on."
            }
            Self::TestEndpointBlocked => {
                "Let port 443 in from the VPC at the endpoint's group, and switch its private DNS on."
            }
            Self::TestAgentOffline => {
                "Log in another way (EC2 serial console, SSH), start it (systemctl start amazon-ssm-agent), and see whether \
                 a proxy or firewall of the instance itself keeps it from SSM. A reboot starts it too."
            }
            Self::TestDeliveryTimedOut => "Restart the agent: systemctl restart amazon-ssm-agent; else reboot.",
            Self::TestAccessDenied => "Ask for ssm:SendCommand; natdeck iam-policy prints the least policy.",
            Self::TestTargetDown => "Wait, or ask another service: natdeck diagnose INSTANCE --to HOST:PORT.",
            _ => "The evidence says what is wrong; natdeck is not sure what was meant, so it changes nothing.",
        }
    }

    /// What tells on the host itself whether it is so, as one shell command. `None`: the host does not know.
    pub fn look_on_host(self) -> Option<&'static str> {
        Some(match self {
            Self::HostUserDataFailed => "cloud-init status --long; tail -n 40 /var/log/cloud-init-output.log",
            Self::HostNoFirewallTool => "command -v iptables nft",
            Self::HostIpForwardOff => "sysctl net.ipv4.ip_forward",
            Self::HostNoMasquerade | Self::HostMasqueradeWrongInterface => {
                "iptables -t nat -S POSTROUTING; nft list ruleset"
            }
            Self::HostForwardDenied | Self::HostForwardReplyDenied => "iptables -S FORWARD; nft list ruleset",
            Self::HostRpFilter => "sysctl -a 2> /dev/null | grep '[.]rp_filter'",
            Self::HostInterfaceDown => "ip -brief address",
            Self::HostDefaultRouteWrong => "ip route show default",
            Self::HostNoReturnRoute => "ip route; ip rule",
            Self::HostRulesNotPersistent => "systemctl list-unit-files --state=enabled",
            Self::HostConntrackFull => "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
            Self::HostAllowanceExceeded => {
                "for i in /sys/class/net/e*; do ethtool -S \"${i##*/}\"; done | grep exceeded"
            }
            Self::HostPortsExhausted => "cat /proc/net/stat/nf_conntrack; sysctl net.netfilter.nf_conntrack_count",
            Self::HostPathMtu => "ip -details link; iptables -t mangle -S FORWARD",
            Self::ClientDns => "cat /etc/resolv.conf; getent hosts api.ipify.org",
            Self::ClientProxyOrFirewall => "env | grep -i _proxy; nft list ruleset",
            Self::TestAgentOffline | Self::TestDeliveryTimedOut => "systemctl status amazon-ssm-agent",
            _ => return None,
        })
    }

    /// What AWS's Reachability Analyzer calls it, where it has a word
    /// (<https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html>). `None`: it does not see it.
    /// `assets/aws-codes.md` goes the other way.
    pub fn aws_code(self) -> Option<&'static str> {
        Some(match self.code() {
            Code::NoRouteToDestination | Code::NatSubnetNotPublic | Code::MainTableApplies => "NO_ROUTE_TO_DESTINATION",
            Code::BlackholeRoute => "BAD_STATE_ROUTE",
            Code::MoreSpecificRoute => "MORE_SPECIFIC_ROUTE",
            Code::IgwNotAttached | Code::EniNotAttached => "BAD_STATE_ATTACHMENT",
            Code::VpcBlockPublicAccess => "VPC_BLOCK_PUBLIC_ACCESS_ENABLED",
            Code::IngressRtbTrafficRedirection => "INGRESS_RTB_TRAFFIC_REDIRECTION",
            Code::NoPublicAddress | Code::AddressMoved | Code::NatGatewayPrivate => {
                "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
            }
            Code::EniSourceDestCheckRestriction | Code::SourceDestCheckOnReply => "ENI_SOURCE_DEST_CHECK_RESTRICTION",
            Code::EniSgRulesMismatch => "ENI_SG_RULES_MISMATCH",
            Code::SubnetAclRestriction => "SUBNET_ACL_RESTRICTION",
            Code::SgReferencesNotPreserved => "SG_REFERENCES_NOT_PRESERVED",
            Code::PcxRequiresAddressInVpcCidr => "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR",
            Code::NatInstanceStopped | Code::NatGatewayNotAvailable | Code::ClientNotRunning => "BAD_STATE",
            // "None of its network interfaces has an IPv4 address."
            Code::Ipv6OnlyClient => "UNASSOCIATED_COMPONENT",
            Code::NoSuchAddress => "NO_POSSIBLE_DESTINATION",
            _ => return None,
        })
    }

    /// The same in a sentence, where it is another word than natdeck's own.
    pub fn aws_calls_it(self) -> Option<String> {
        let word = self.aws_code().filter(|word| *word != self.code().as_str())?;
        Some(format!("AWS calls it {word}."))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_cause_is_found_by_its_name_and_names_are_unique() {
        let names: BTreeSet<String> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(&cause.name()), Some(*cause));
        }
        assert_eq!(Cause::parse("SUBNET_ACL_RESTRICTION"), Some(Cause::AclPrivateEgress));
    }

    #[test]
    fn every_code_has_a_cause() {
        for code in Code::ALL {
            assert!(Cause::ALL.iter().any(|cause| cause.code() == *code), "{code}");
        }
    }
}
