//! What breaks on a host: commands on the NAT, and on the private instance.

use super::desk::Desk;
use super::{BreakError, Scene};
use crate::model::NetworkInterface;
use crate::reach::Cause;
use crate::sandbox::host::CloudInit;
use crate::sandbox::outside::public_address;

/// The source ports of a translation that was given few of them.
const NARROW: (u16, u16) = (61_000, 61_063);

/// What a cause needs and a healthy host may lack.
pub(super) fn stage(desk: &mut Desk<'_>, scene: &Scene, cause: Cause) -> Result<(), BreakError> {
    match cause {
        // Replies take another way than packets, which works as long as nothing checks.
        Cause::SourceDestCheckOnReply | Cause::HostRpFilter => {
            two_interfaces(scene, cause)?;
            let pairs = [("NetworkInterfaceId", scene.nat.outer.as_str()), ("SourceDestCheck.Value", "false")];
            desk.ec2("ModifyNetworkInterfaceAttribute", &pairs)?;
            desk.host(&scene.nat.instance, &replies_by_outer(scene))
        }
        Cause::ClientProxyOrFirewall => {
            desk.host(&scene.client, "command -v nft > /dev/null || dnf -y -q install nftables")
        }
        _ => Ok(()),
    }
}

/// Leads replies to the private subnet out by the outer interface, and lets them through.
pub fn replies_by_outer(scene: &Scene) -> String {
    let nat = &scene.nat;
    let route = format!("ip route replace {} via {} dev {}", scene.client_net, nat.outer_gateway, nat.outer_device);
    // The rule for replies names the inner interface as the way out.
    let accept = format!(
        "iptables -w -A FORWARD -i {outer} -o {outer} -m state --state RELATED,ESTABLISHED -j ACCEPT",
        outer = nat.outer_device
    );
    format!("{route}\n{accept}")
}

fn two_interfaces(scene: &Scene, cause: Cause) -> Result<(), BreakError> {
    if scene.nat.has_two_interfaces() {
        return Ok(());
    }
    Err(BreakError::NotHere { cause, reason: "the NAT has one interface, so packets and replies take one way" })
}

pub(super) fn inject(desk: &mut Desk<'_>, scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let nat = &scene.nat;
    let outer = nat.outer_device.as_str();
    let id = &nat.instance;
    let did = |script: String| format!("{id}: {}", script.replace('\n', "; "));
    match cause {
        Cause::HostUserDataFailed => return user_data_failed(desk, scene),
        Cause::HostConntrackFull => {
            if let Some(machine) = desk.world.machines.get_mut(id) {
                machine.fill_conntrack();
            }
            return Ok(format!("{id}: its clients hold as many connections as the kernel can track"));
        }
        Cause::HostAllowanceExceeded => {
            if let Some(machine) = desk.world.machines.get_mut(id) {
                machine.exceed_allowances(outer);
            }
            return Ok(format!("{id}: traffic exceeded the allowances of its instance type on {outer}"));
        }
        Cause::ClientPortsExhausted => {
            if let Some(machine) = desk.world.machines.get_mut(&scene.client) {
                machine.exhaust_local_ports();
            }
            return Ok(format!("{}: a program on it holds every local port", scene.client));
        }
        Cause::HostPortsExhausted => {
            // Some use a range to tell whose connections they are, and find it too small one day.
            desk.host(id, &nat_script(scene, cause)?)?;
            let services = ["api.ipify.org", "checkip.amazonaws.com"];
            let region = desk.world.region.clone();
            let services: Vec<_> = services.iter().filter_map(|name| public_address(name, &region, None)).collect();
            let outer_ip = desk.world.get::<NetworkInterface>(&nat.outer).and_then(|outer| outer.private_ip);
            let (Some(machine), Some(from)) = (desk.world.machines.get_mut(id), outer_ip) else {
                return Err(BreakError::NotHere { cause, reason: "the NAT has no address" });
            };
            machine.exhaust_ports(from, &services, NARROW);
            let (first, last) = NARROW;
            return Ok(format!(
                "{id}: its clients hold every source port of {first}-{last} towards the address services"
            ));
        }
        Cause::HostCpuCredits => {
            let pairs = [
                ("InstanceCreditSpecification.1.InstanceId", id.as_str()),
                ("InstanceCreditSpecification.1.CpuCredits", "standard"),
            ];
            desk.ec2("ModifyInstanceCreditSpecification", &pairs)?;
            if let Some(machine) = desk.world.machines.get_mut(id) {
                machine.spend_credits();
            }
            return Ok(format!("{id}: standard mode, and its CPU credits are spent"));
        }
        Cause::NoSuchAddress => {
            let reason = "it depends on the destination that is asked for, and there is nothing to break";
            return Err(BreakError::NotHere { cause, reason });
        }
        Cause::ClientProxyOrFirewall => {
            let inside = scene.vpc_net;
            let script = format!(
                "nft add table inet corp\n\
                 nft add chain inet corp out '{{ type filter hook output priority 0; policy accept; }}'\n\
                 nft add rule inet corp out ip daddr {inside} accept\n\
                 nft add rule inet corp out tcp dport 443 drop"
            );
            desk.host(&scene.client, &script)?;
            return Ok(format!("{}: nft add rule inet corp out tcp dport 443 drop", scene.client));
        }
        _ => {}
    }
    let script = nat_script(scene, cause)?;
    desk.host(id, &script)?;
    Ok(did(script))
}

/// What is run on the NAT host, as root, to break it so. For causes that a command can make.
pub fn nat_script(scene: &Scene, cause: Cause) -> Result<String, BreakError> {
    let nat = &scene.nat;
    let (inner, outer, net) = (nat.inner_device.as_str(), nat.outer_device.as_str(), scene.client_net);
    Ok(match cause {
        Cause::HostNoFirewallTool => {
            "iptables -t nat -F\niptables -F\ndnf -y -q remove iptables-nft iptables-legacy iptables nftables"
                .to_owned()
        }
        Cause::HostIpForwardOff => "sysctl -q -w net.ipv4.ip_forward=0".to_owned(),
        Cause::HostNoMasquerade => "iptables -t nat -F POSTROUTING".to_owned(),
        Cause::HostMasqueradeWrongInterface => {
            let wrong = if outer == "eth0" { "ens5" } else { "eth0" };
            format!("iptables -t nat -F POSTROUTING\niptables -t nat -A POSTROUTING -o {wrong} -j MASQUERADE")
        }
        Cause::HostForwardDenied => {
            format!("iptables -P FORWARD DROP\niptables -D FORWARD -i {inner} -o {outer} -j ACCEPT")
        }
        // One interface is both ways in one rule, so that the rule has to name who may begin.
        Cause::HostForwardReplyDenied if !nat.has_two_interfaces() => format!(
            "iptables -P FORWARD DROP\n\
             iptables -D FORWARD -i {outer} -o {outer} -j ACCEPT\n\
             iptables -D FORWARD -i {outer} -o {outer} -m state --state RELATED,ESTABLISHED -j ACCEPT\n\
             iptables -A FORWARD -s {net} -o {outer} -j ACCEPT"
        ),
        Cause::HostForwardReplyDenied => format!(
            "iptables -P FORWARD DROP\n\
             iptables -D FORWARD -i {outer} -o {inner} -m state --state RELATED,ESTABLISHED -j ACCEPT"
        ),
        Cause::HostRpFilter => format!("sysctl -q -w net.ipv4.conf.{inner}.rp_filter=1"),
        Cause::HostInterfaceDown => {
            two_interfaces(scene, cause)?;
            format!("ip link set dev {inner} down")
        }
        Cause::HostDefaultRouteWrong if nat.has_two_interfaces() => format!(
            "while ip route del default; do :; done 2> /dev/null\nip route add default via {} dev {inner}",
            nat.inner_gateway
        ),
        // What stays inside the VPC goes on, and with it SSM.
        Cause::HostDefaultRouteWrong => format!(
            "ip route replace {} via {} dev {outer}\nwhile ip route del default; do :; done 2> /dev/null",
            scene.vpc_net, nat.outer_gateway
        ),
        Cause::HostNoReturnRoute => {
            two_interfaces(scene, cause)?;
            format!("while ip route del {net}; do :; done 2> /dev/null")
        }
        Cause::HostRulesNotPersistent => "systemctl disable natdeck-nat.service 2> /dev/null || true\n\
             rm -f /etc/systemd/system/natdeck-nat.service /etc/sysconfig/iptables /etc/sysctl.d/99-natdeck.conf"
            .to_owned(),
        Cause::HostPortsExhausted => {
            let (first, last) = NARROW;
            format!("iptables -w -t nat -I POSTROUTING -o {outer} -p tcp -j MASQUERADE --to-ports {first}-{last}")
        }
        Cause::HostPathMtu => format!("ip link set dev {inner} mtu 1280\niptables -w -I OUTPUT -p icmp -j DROP"),
        _ => return Err(BreakError::NotHere { cause, reason: "the sandbox cannot make it happen" }),
    })
}

/// The NAT as it would be had its package manager been killed at the first boot.
fn user_data_failed(desk: &mut Desk<'_>, scene: &Scene) -> Result<String, BreakError> {
    let cause = Cause::HostUserDataFailed;
    let id = &scene.nat.instance;
    let anew = desk.world.with_machine(id, |machine, outside| {
        let mut fresh = machine.as_launched();
        fresh.strain_memory(true);
        fresh.boot(outside);
        fresh.finish_user_data(outside);
        fresh.strain_memory(false);
        let failed = matches!(fresh.cloud_init(), CloudInit::Failed { .. });
        if failed {
            *machine = fresh;
        }
        failed
    });
    desk.world.touch();
    if anew != Some(true) {
        let reason = "the NAT has no boot script that could fail for want of memory";
        return Err(BreakError::NotHere { cause, reason });
    }
    Ok(format!("{id}: the package manager was killed for want of memory at boot, and the boot script gave up"))
}
