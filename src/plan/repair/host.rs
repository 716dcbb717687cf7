//! Repairs on a host, as scripts that SSM runs as root. Pure.
//!
//! Each may run twice, makes what it changed come back after a reboot, and fails unless it is so at its end. A host that
//! natdeck set up brings everything back by its own unit at each boot; on others a unit of the repair's own does.

use std::net::IpAddr;

use ipnet::Ipv4Net;

use super::{Change, Draft, Repair, RepairCall, change};
use crate::model::{InstanceId, Network, NetworkInterface};
use crate::plan::Call;
use crate::reach::{Cause, Finding};

/// What every script begins with. `keep LINE…` makes a command run at each boot, unless natdeck's own unit does.
const HEAD: &str = r#"set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
keep() {
  if [ "$(systemctl is-enabled natdeck-nat.service 2>/dev/null)" = enabled ]; then return 0; fi
  mkdir -p /usr/local/sbin /etc/systemd/system
  script=/usr/local/sbin/natdeck-restore
  [ -f "$script" ] || echo '#!/bin/sh' > "$script"
  grep -qxF "$*" "$script" || echo "$*" >> "$script"
  chmod 755 "$script"
  cat > /etc/systemd/system/natdeck-restore.service << 'UNIT'
[Unit]
Description=What natdeck repaired on this NAT host: sysctls, routes, masquerade and accept rules
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/natdeck-restore

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable natdeck-restore.service
}
rule() {
  table=$1; shift
  iptables -w -t "$table" -C "$@" 2>/dev/null || iptables -w -t "$table" -A "$@"
}
ahead() {
  iptables -w -D "$@" 2>/dev/null || true
  chain=$1; shift
  iptables -w -I "$chain" 1 "$@"
}
"#;

/// One script in parts.
struct Script {
    title: String,
    change: Change,
    /// What is done, without the head.
    body: String,
    /// The same for a person at the host.
    commands: Vec<String>,
    undo: Option<String>,
    widens: Option<String>,
}

pub(super) fn repair(finding: &Finding, network: &Network) -> Option<Repair> {
    let instance = finding.subject.instance_id.clone()?;
    let script = match finding.cause {
        Cause::HostUserDataFailed => boot_script(&instance),
        Cause::HostNoFirewallTool => install(finding, &instance)?,
        Cause::HostIpForwardOff => forward(&instance),
        Cause::HostNoMasquerade | Cause::HostMasqueradeWrongInterface => masquerade(finding, &instance)?,
        Cause::HostForwardDenied | Cause::HostForwardReplyDenied => accept(finding, &instance)?,
        Cause::HostRpFilter => reverse_path(finding, &instance)?,
        Cause::HostInterfaceDown => bring_up(finding, network, &instance)?,
        Cause::HostDefaultRouteWrong => default_route(finding, network, &instance)?,
        Cause::HostNoReturnRoute => return_route(finding, network, &instance)?,
        Cause::HostRulesNotPersistent => persist(&instance),
        Cause::HostConntrackFull => conntrack(&instance),
        Cause::HostPathMtu => path_mtu(&instance),
        _ => return None,
    };
    let call = RepairCall::RunOnHost { instance, script: format!("{HEAD}{}", script.body), undo: script.undo };
    let mut draft = Draft::one(script.title, script.change, Call::Repair(Box::new(call)));
    draft.commands = Some(script.commands);
    Some(draft.widening(script.widens).finish(finding))
}

fn plain(title: String, change: Change, body: String, commands: &[String], undo: Option<String>) -> Script {
    Script { title, change, body, commands: commands.to_vec(), undo, widens: None }
}

/// Device names come from the host itself; nothing but a name may stand in a script.
fn device(name: Option<&String>) -> Option<String> {
    let name = name?;
    let sound =
        !name.is_empty() && name.len() <= 15 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    sound.then(|| name.clone())
}

fn boot_script(instance: &InstanceId) -> Script {
    let body = r#"ran=
for part in /var/lib/cloud/instance/scripts/part-*; do
  [ -f "$part" ] || continue
  chmod +x "$part"
  "$part"
  ran=yes
done
[ -n "$ran" ] || { echo "natdeck: cloud-init kept no boot script on this host" >&2; exit 1; }
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ] || { echo "natdeck: the boot script ran and the host does not forward" >&2; exit 1; }
"#;
    let commands = ["sudo sh -c 'for part in /var/lib/cloud/instance/scripts/part-*; do \"$part\"; done'".to_owned()];
    let change = change(format!("boot script of {instance}"), "failed half-way", "run again, to its end");
    plain(format!("Run the boot script of {instance} again"), change, body.to_owned(), &commands, None)
}

fn install(finding: &Finding, instance: &InstanceId) -> Option<Script> {
    let out = device(finding.subject.out_device.as_ref())?;
    let body = format!(
        r#"for attempt in 1 2 3; do
  command -v iptables >/dev/null 2>&1 && break
  if command -v dnf >/dev/null 2>&1; then
    dnf -y -q --setopt=install_weak_deps=False install iptables-nft || true
  elif command -v yum >/dev/null 2>&1; then
    yum -y -q install iptables || true
  else
    apt-get -y -q install iptables || true
  fi
done
command -v iptables >/dev/null 2>&1 || {{ echo "natdeck: iptables could not be installed" >&2; exit 1; }}
if [ -x /usr/local/sbin/natdeck-nat ] && [ "$(systemctl is-enabled natdeck-nat.service 2>/dev/null)" = enabled ]; then
  systemctl restart natdeck-nat.service
else
  rule nat POSTROUTING -o {out} -j MASQUERADE
  keep iptables -w -t nat -A POSTROUTING -o {out} -j MASQUERADE
fi
iptables -w -t nat -C POSTROUTING -o {out} -j MASQUERADE
"#
    );
    let commands = [
        "sudo dnf -y install iptables-nft".to_owned(),
        format!("sudo iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE"),
    ];
    let change =
        change(format!("iptables on {instance}"), "not installed", format!("installed, and masquerades on {out}"));
    Some(plain(format!("Install iptables on {instance} and masquerade on {out}"), change, body, &commands, None))
}

fn forward(instance: &InstanceId) -> Script {
    let body = r#"sysctl -w net.ipv4.ip_forward=1
if ! grep -qs '^ *net.ipv4.ip_forward *= *1' /etc/sysctl.conf /etc/sysctl.d/*.conf; then
  mkdir -p /etc/sysctl.d
  echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-natdeck.conf
fi
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ]
"#;
    let commands = [
        "sudo sysctl -w net.ipv4.ip_forward=1".to_owned(),
        "echo 'net.ipv4.ip_forward = 1' | sudo tee /etc/sysctl.d/99-natdeck.conf".to_owned(),
    ];
    let undo = Some("sysctl -w net.ipv4.ip_forward=0\n".to_owned());
    let change = change(format!("net.ipv4.ip_forward of {instance}"), "0", "1, also after a reboot");
    plain(format!("Let {instance} forward"), change, body.to_owned(), &commands, undo)
}

fn masquerade(finding: &Finding, instance: &InstanceId) -> Option<Script> {
    let out = device(finding.subject.out_device.as_ref())?;
    // A rule for another interface is of no use to anybody on this host only when no such interface exists.
    let body = format!(
        r#"if command -v iptables >/dev/null 2>&1; then
  iptables-save -t nat | sed -n 's/^-A \(POSTROUTING .*-o \([^ ]*\) .*-j MASQUERADE.*\)$/\2 \1/p' |
    while read -r device old; do
      [ -e "/sys/class/net/$device" ] || iptables -w -t nat -D $old
    done
  rule nat POSTROUTING -o {out} -j MASQUERADE
  keep iptables -w -t nat -A POSTROUTING -o {out} -j MASQUERADE
  iptables -w -t nat -C POSTROUTING -o {out} -j MASQUERADE
else
  nft add table ip natdeck
  nft add chain ip natdeck postrouting '{{ type nat hook postrouting priority srcnat; }}'
  nft add rule ip natdeck postrouting oifname {out} masquerade
  keep nft add table ip natdeck
  keep nft add chain ip natdeck postrouting "'{{ type nat hook postrouting priority srcnat; }}'"
  keep nft add rule ip natdeck postrouting oifname {out} masquerade
  nft list table ip natdeck | grep -q masquerade
fi
"#
    );
    let commands = [format!("sudo iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE")];
    let undo = Some(format!("iptables -w -t nat -D POSTROUTING -o {out} -j MASQUERADE\n"));
    let before = match finding.cause {
        Cause::HostNoMasquerade => "no rule that translates".to_owned(),
        _ => "a rule for another interface".to_owned(),
    };
    let change = change(format!("nat POSTROUTING of {instance}"), before, format!("-o {out} -j MASQUERADE"));
    Some(plain(format!("Masquerade what leaves {instance} by {out}"), change, body, &commands, undo))
}

/// Only where iptables' own rules refuse: a table of nft's is somebody's design, and an accept elsewhere would not
/// outweigh it.
fn accept(finding: &Finding, instance: &InstanceId) -> Option<Script> {
    if !finding.evidence.iter().any(|evidence| evidence.source.contains("iptables")) {
        return None;
    }
    let inner = device(finding.subject.device.as_ref())?;
    let out = device(finding.subject.out_device.as_ref())?;
    let way_out = format!("FORWARD -i {inner} -o {out} -j ACCEPT");
    let way_back = format!("FORWARD -i {out} -o {inner} -m state --state RELATED,ESTABLISHED -j ACCEPT");
    let body = format!(
        "ahead {way_back}\nahead {way_out}\nkeep iptables -w -I {}\nkeep iptables -w -I {}\n\
         iptables -w -C {way_out}\niptables -w -C {way_back}\n",
        way_back.replacen("FORWARD", "FORWARD 1", 1),
        way_out.replacen("FORWARD", "FORWARD 1", 1),
    );
    let commands = [
        format!("sudo iptables -I {}", way_back.replacen("FORWARD", "FORWARD 1", 1)),
        format!("sudo iptables -I {}", way_out.replacen("FORWARD", "FORWARD 1", 1)),
    ];
    let undo = Some(format!("iptables -w -D {way_out}\niptables -w -D {way_back}\n"));
    let change = change(
        format!("filter FORWARD of {instance}"),
        "refuses the packet or its reply",
        format!("first accepts {inner} to {out}, and the replies"),
    );
    let mut script = plain(
        format!("Let {instance} forward from {inner} to {out} and the replies back"),
        change,
        body,
        &commands,
        undo,
    );
    script.widens =
        Some(format!("{instance} forwards whatever its security groups let in by {inner}, and nothing new by {out}"));
    Some(script)
}

fn reverse_path(finding: &Finding, instance: &InstanceId) -> Option<Script> {
    let device = device(finding.subject.device.as_ref())?;
    let name = format!("net.ipv4.conf.{device}.rp_filter");
    let file = format!("/etc/sysctl.d/99-natdeck-rp-filter-{device}.conf");
    let body = format!(
        "sysctl -w {name}=2\nmkdir -p /etc/sysctl.d\necho '{name} = 2' > {file}\n[ \"$(sysctl -n {name})\" = 2 ]\n"
    );
    let commands = [format!("sudo sysctl -w {name}=2"), format!("echo '{name} = 2' | sudo tee {file}")];
    let undo = Some(format!("rm -f {file}\nsysctl -w {name}=1\n"));
    let change = change(format!("{name} of {instance}"), "1 (strict)", "2 (loose), also after a reboot");
    Some(plain(format!("Make the reverse-path filter of {instance} loose on {device}"), change, body, &commands, undo))
}

fn interface<'a>(finding: &Finding, network: &'a Network) -> Option<&'a NetworkInterface> {
    network.network_interfaces.get(finding.subject.network_interface_id.as_ref()?).ok()?
}

fn cidr(network: &Network, interface: &NetworkInterface) -> Option<Ipv4Net> {
    network.subnets.get(&interface.subnet_id).ok()??.cidr_block
}

/// The router of a subnet: the base of its range plus one.
fn router(net: Ipv4Net) -> Option<IpAddr> {
    Some(IpAddr::V4((u32::from(net.network()).checked_add(1)?).into()))
}

fn bring_up(finding: &Finding, network: &Network, instance: &InstanceId) -> Option<Script> {
    let device = device(finding.subject.device.as_ref())?;
    let interface = interface(finding, network)?;
    let address = interface.private_ip?;
    let length = cidr(network, interface)?.prefix_len();
    let body = format!(
        "ip link set dev {device} up\n\
         ip -4 -o addr show dev {device} | grep -q ' {address}/' || ip addr add {address}/{length} dev {device}\n\
         ip -o link show dev {device} | grep -q 'UP'\nip -4 -o addr show dev {device} | grep -q ' {address}/'\n"
    );
    let commands =
        [format!("sudo ip link set dev {device} up"), format!("sudo ip addr add {address}/{length} dev {device}")];
    let change =
        change(format!("{device} of {instance}"), "down or without an address", format!("up with {address}/{length}"));
    Some(plain(format!("Bring {device} of {instance} up"), change, body, &commands, None))
}

fn default_route(finding: &Finding, network: &Network, instance: &InstanceId) -> Option<Script> {
    let out = device(finding.subject.out_device.as_ref())?;
    let gateway = router(cidr(network, interface(finding, network)?)?)?;
    let body = format!(
        "ip -4 route show default | while read -r line; do ip route del $line; done\n\
         ip route replace default via {gateway} dev {out}\n\
         ip -4 route show default | grep -q 'via {gateway} dev {out}'\n"
    );
    let commands = [format!("sudo ip route replace default via {gateway} dev {out}")];
    let change = change(
        format!("default route of {instance}"),
        "missing, or by another interface",
        format!("via {gateway} dev {out}"),
    );
    Some(plain(format!("Send what leaves {instance} out by {out}"), change, body, &commands, None))
}

fn return_route(finding: &Finding, network: &Network, instance: &InstanceId) -> Option<Script> {
    let device = device(finding.subject.device.as_ref())?;
    let inner = interface(finding, network)?;
    let subnet = finding.subject.subnet_id.as_ref()?;
    let net = network.subnets.get(subnet).ok()??.cidr_block?;
    let via =
        if *subnet == inner.subnet_id { String::new() } else { format!(" via {}", router(cidr(network, inner)?)?) };
    let route = format!("ip route replace {net}{via} dev {device}");
    let body = format!("{route}\nkeep {route}\nip -4 route show {net} | grep -q 'dev {device}'\n");
    let undo = Some(format!("ip route del {net}{via} dev {device}\n"));
    let change = change(format!("route of {instance} to {net}"), "its default route", format!("by {device}"));
    Some(plain(
        format!("Send replies to {net} back by {device} of {instance}"),
        change,
        body,
        &[format!("sudo {route}")],
        undo,
    ))
}

fn persist(instance: &InstanceId) -> Script {
    let body = r#"if [ -x /usr/local/sbin/natdeck-nat ] && [ -f /etc/systemd/system/natdeck-nat.service ]; then
  grep -qs '^ *net.ipv4.ip_forward *= *1' /etc/sysctl.d/99-natdeck.conf || {
    mkdir -p /etc/sysctl.d
    echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-natdeck.conf
  }
  systemctl daemon-reload
  systemctl enable natdeck-nat.service
  [ "$(systemctl is-enabled natdeck-nat.service)" = enabled ]
  exit 0
fi
mkdir -p /etc/natdeck /etc/sysctl.d
grep -qs '^ *net.ipv4.ip_forward *= *1' /etc/sysctl.conf /etc/sysctl.d/*.conf ||
  echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-natdeck.conf
if command -v iptables-save >/dev/null 2>&1; then
  iptables-save > /etc/natdeck/rules.iptables
  keep iptables-restore /etc/natdeck/rules.iptables
else
  nft list ruleset > /etc/natdeck/rules.nft
  keep nft -f /etc/natdeck/rules.nft
fi
[ "$(systemctl is-enabled natdeck-restore.service)" = enabled ]
"#;
    let commands = ["sudo systemctl enable natdeck-nat.service".to_owned()];
    let change = change(format!("rules of {instance} after a reboot"), "gone", "as they are now");
    plain(format!("Make the rules of {instance} come back after a reboot"), change, body.to_owned(), &commands, None)
}

fn conntrack(instance: &InstanceId) -> Script {
    let body = r#"now=$(sysctl -n net.netfilter.nf_conntrack_max)
count=$(sysctl -n net.netfilter.nf_conntrack_count)
most=$((now * 2))
[ "$most" -ge 65536 ] || most=65536
[ "$most" -gt "$count" ] || most=$((count * 2))
sysctl -w net.netfilter.nf_conntrack_max="$most"
mkdir -p /etc/sysctl.d
echo "net.netfilter.nf_conntrack_max = $most" > /etc/sysctl.d/99-natdeck-conntrack.conf
[ "$(sysctl -n net.netfilter.nf_conntrack_max)" -gt "$(sysctl -n net.netfilter.nf_conntrack_count)" ]
"#;
    let commands = ["sudo sysctl -w net.netfilter.nf_conntrack_max=131072".to_owned()];
    let change =
        change(format!("net.netfilter.nf_conntrack_max of {instance}"), "reached", "twice as much, 65536 at least");
    plain(format!("Let {instance} track more connections"), change, body.to_owned(), &commands, None)
}

/// The word that a packet is too large comes through again, and connections are told before they need it.
fn path_mtu(instance: &InstanceId) -> Script {
    let icmp = "-p icmp --icmp-type fragmentation-needed -j ACCEPT";
    let clamp = "FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
    let body = format!(
        "ahead OUTPUT {icmp}\nahead INPUT {icmp}\nahead FORWARD {icmp}\nrule mangle {clamp}\n\
         keep iptables -w -I OUTPUT 1 {icmp}\nkeep iptables -w -I INPUT 1 {icmp}\nkeep iptables -w -I FORWARD 1 {icmp}\n\
         keep iptables -w -t mangle -A {clamp}\n\
         iptables -w -C FORWARD {icmp}\niptables -w -t mangle -C {clamp}\n"
    );
    let commands = [
        format!("sudo iptables -I OUTPUT 1 {icmp}"),
        format!("sudo iptables -I FORWARD 1 {icmp}"),
        format!("sudo iptables -t mangle -A {clamp}"),
    ];
    let undo = Some(format!(
        "iptables -w -D OUTPUT {icmp}\niptables -w -D INPUT {icmp}\niptables -w -D FORWARD {icmp}\niptables -w -t mangle -D {clamp}\n"
    ));
    let change = change(
        format!("filter and mangle FORWARD of {instance}"),
        "ICMP about packet sizes is dropped",
        "ICMP type 3 code 4 passes, and connections are told to send smaller packets",
    );
    plain(format!("Let {instance} tell senders how large packets may be"), change, body, &commands, undo)
}
