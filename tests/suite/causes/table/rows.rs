//! One row a cause: what must be seen of it.

use natdeck::plan::Topology;
use natdeck::reach::Cause;

/// What must be seen of a cause in both topologies.
pub struct Row {
    pub cause: Cause,
    /// What some line of the first finding's evidence holds, its source included: the field or the line that decides.
    pub evidence: &'static str,
    /// What there is no such thing with, and the words in which `sandbox break` says so.
    pub not_here: Option<(Where, &'static str)>,
    /// What else is found and repaired with it, or stays as a warning.
    pub also: &'static [Cause],
    /// What a line must hold to be different from the healthy world after the repair.
    pub left: &'static [&'static str],
    /// The same after the reboot that follows, beside `left`.
    pub rebooted: &'static [&'static str],
    pub undo: Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    Anywhere,
    In(Topology),
}

/// What taking the repair back does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// The world is broken again, as it was.
    Back,
    /// There is nothing that could be taken back, and why.
    Nothing(&'static str),
    /// AWS refuses, in words that hold this.
    Refused(&'static str),
}

impl Row {
    /// Why the cause cannot be had there, in the words of `sandbox break`.
    pub fn absent(&self, topology: Topology) -> Option<&'static str> {
        let (place, words) = self.not_here?;
        (place == Where::Anywhere || place == Where::In(topology)).then_some(words)
    }

    const fn never(mut self, words: &'static str) -> Self {
        self.not_here = Some((Where::Anywhere, words));
        self
    }

    const fn not_with_one(mut self, words: &'static str) -> Self {
        self.not_here = Some((Where::In(Topology::SingleInterface), words));
        self
    }

    const fn also(mut self, causes: &'static [Cause]) -> Self {
        self.also = causes;
        self
    }

    const fn left(mut self, lines: &'static [&'static str]) -> Self {
        self.left = lines;
        self
    }

    const fn rebooted(mut self, lines: &'static [&'static str]) -> Self {
        self.rebooted = lines;
        self
    }

    const fn undo(mut self, undo: Undo) -> Self {
        self.undo = undo;
        self
    }
}

const fn row(cause: Cause, evidence: &'static str) -> Row {
    Row { cause, evidence, not_here: None, also: &[], left: &[], rebooted: &[], undo: Undo::Back }
}

/// A group's rules: the repair lets through what is asked for, and not all that the revoked rules did.
const GROUP: &[&str] = &["/rules[] = {\"rule_id\":\"sgr\""];
/// The deny entry, the entry before it that the injection makes, and the repair's.
const ENTRIES: &[&str] = &["\"rule_number\":40", "\"rule_number\":49", "\"rule_number\":50"];
const ONE_WAY: &str = "the NAT has one interface, so packets and replies take one way";
/// The address, which another one takes the place of.
const ADDRESS: &[&str] = &["/addresses/items/", "/public_ip = ", "/association/"];
/// What brings repairs back at boot.
const RESTORE: &str = "natdeck-restore";
const ROUTES: &[&str] = &[" routes[] = "];

/// The table, in the order of [`Cause::ALL`].
pub const ROWS: &[Row] = &[
    row(Cause::NoRoute, "Routes[] = [10.8.0.0/16 -> local]"),
    row(Cause::BlackholeRoute, "State = blackhole")
        .undo(Undo::Nothing("what the route led to is gone, and AWS takes no route to nothing")),
    row(Cause::MainTableApplies, "Associations[] = [Main = true]"),
    row(Cause::MoreSpecificRoute, "DestinationCidrBlock = 0.0.0.0/1"),
    row(Cause::RoutedToOtherEgress, "NatGatewayId = nat-"),
    row(Cause::NatGatewayNotAvailable, "State = failed, FailureCode = InternalError"),
    row(Cause::NatGatewayPrivate, "ConnectivityType = private"),
    row(Cause::NatSubnetNotPublic, "Routes[] = [10.8.0.0/16 -> local]"),
    row(Cause::IgwNotAttached, "State = blackhole").undo(Undo::Refused("DetachInternetGateway")),
    row(Cause::VpcBlockPublicAccess, "InternetGatewayBlockMode = block-bidirectional")
        .left(&["/block_public_access/items/"]),
    row(Cause::RepliesRedirected, "Associations[] = [GatewayId = igw-"),
    row(Cause::NoPublicAddress, "Association absent").left(ADDRESS),
    row(Cause::AddressMoved, "DescribeAddresses"),
    row(Cause::SourceDestCheck, "SourceDestCheck = true"),
    row(Cause::SourceDestCheckOnReply, "SourceDestCheck = true").not_with_one(ONE_WAY),
    row(Cause::EniNotAttached, "Status = available")
        .not_with_one("the NAT has one interface, and the primary one cannot be detached")
        .left(ROUTES),
    row(Cause::NatIngressRule, "IpPermissions = []").left(GROUP),
    row(Cause::NatEgressRule, "IpPermissionsEgress = []").left(GROUP),
    row(Cause::ClientEgressRule, "IpPermissionsEgress = [IpProtocol = -1, 10.8.0.0/16]").left(GROUP),
    row(Cause::AclPrivateEgress, "RuleNumber = 50, Egress = true").left(ENTRIES),
    row(Cause::AclNatIngress, "RuleNumber = 50, Egress = false").left(ENTRIES),
    row(Cause::AclNatEgress, "RuleNumber = 50, Egress = true").left(ENTRIES),
    row(Cause::AclReplyNatIngress, "RuleNumber = 50, Egress = false").left(ENTRIES),
    row(Cause::AclReplyNatEgress, "RuleNumber = 50, Egress = true").left(ENTRIES),
    row(Cause::AclReplyPrivateIngress, "RuleNumber = 50, Egress = false").left(ENTRIES),
    row(Cause::SgReferencesNotPreserved, "")
        .never("it needs a NAT behind a transit gateway, which the sandbox does not have"),
    row(Cause::PcxRequiresAddress, "VpcPeeringConnectionId = pcx-"),
    // With two interfaces AWS gives no address back at the start: the NAT needs one as well.
    row(Cause::NatInstanceStopped, "State = stopped").also(&[Cause::NoPublicAddress]).left(ADDRESS),
    row(Cause::NatStatusCheckFailed, "InstanceStatus.Status = impaired")
        .undo(Undo::Nothing("a reboot leaves nothing that could be taken back")),
    row(Cause::NatInOtherZone, "Placement.AvailabilityZone = "),
    row(Cause::Ipv6OnlyClient, "PrivateIpAddress absent"),
    row(Cause::HostUserDataFailed, "cloud-init status --long: status: error")
        .undo(Undo::Nothing("what the boot script installs and writes stays")),
    row(Cause::HostNoFirewallTool, "command -v iptables nft: (no output)")
        .undo(Undo::Nothing("what was installed stays")),
    row(Cause::HostIpForwardOff, "net.ipv4.ip_forward = 0").left(&["/etc/sysctl.d/99-zz-natdeck-forward.conf"]),
    row(Cause::HostNoMasquerade, "no MASQUERADE or SNAT rule in any postrouting chain"),
    row(Cause::HostMasqueradeWrongInterface, "-A POSTROUTING -o eth0 -j MASQUERADE"),
    row(Cause::HostForwardDenied, "iptables-save -c: :FORWARD DROP").left(&[RESTORE, "ip filter FORWARD"]),
    row(Cause::HostForwardReplyDenied, "iptables-save -c: :FORWARD DROP").left(&[RESTORE, "ip filter FORWARD"]),
    row(Cause::HostRpFilter, "rp_filter = 1")
        .not_with_one(ONE_WAY)
        .left(&["99-natdeck-rp-filter-ens6.conf"])
        .rebooted(&[" routes[] = ", "ip filter FORWARD"]),
    row(Cause::HostInterfaceDown, "ip -j addr: ens6: state DOWN").not_with_one(ONE_WAY).left(ROUTES),
    row(Cause::HostDefaultRouteWrong, "ip -j route show table all: ").left(ROUTES),
    row(Cause::HostNoReturnRoute, "default via 10.8.1.1 dev ens5")
        .not_with_one(ONE_WAY)
        .left(&[RESTORE, " routes[] = "]),
    row(Cause::HostRulesNotPersistent, "enabled units: none; files with rules: none")
        .left(&[RESTORE, "natdeck-nat.service", "/etc/natdeck"])
        .rebooted(ROUTES),
    row(Cause::HostConntrackFull, "nf_conntrack_count = 16384, nf_conntrack_max = 16384")
        .also(&[Cause::HostConntrackFull])
        .left(&[RESTORE, "99-natdeck-conntrack.conf", "conntrack/count", "conntrack/max", "strain/"]),
    row(Cause::HostAllowanceExceeded, "bw_out_allowance_exceeded"),
    row(Cause::HostPortsExhausted, "64 of the 64 source ports 61000-61063 are held"),
    row(Cause::HostPathMtu, "mtu 1280").left(&[RESTORE, "natdeck-repair", "\"mtu\":", "-A OUTPUT -p icmp -j DROP"]),
    row(Cause::HostCpuCredits, "CpuCredits = standard"),
    row(Cause::ClientDns, "EnableDnsSupport = false"),
    row(Cause::ClientProxyOrFirewall, "drop"),
    row(Cause::ClientPortsExhausted, "/proc/net/sockstat: TCP: inuse 28238"),
    row(Cause::ClientNotRunning, "State = stopped"),
    row(Cause::NoSuchAddress, "")
        .never("it depends on the destination that is asked for, and there is nothing to break"),
    row(Cause::TestNoInstanceProfile, "it has no instance profile"),
    row(Cause::TestMetadataOff, "HttpEndpoint = disabled"),
    row(Cause::TestNoSsmPath, "no endpoint for ssm and ssmmessages"),
    row(Cause::TestEndpointBlocked, "cannot be reached on port 443"),
    row(Cause::TestAgentOffline, "ConnectionLost"),
    row(Cause::TestDeliveryTimedOut, "Delivery Timed Out"),
    row(Cause::TestAccessDenied, "AccessDeniedException"),
    row(Cause::TestTargetDown, "curl https://api.ipify.org: exit 28"),
];
