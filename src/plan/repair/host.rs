//! Repairs on a host, as scripts that SSM runs as root. Pure.
//!
//! Each may run twice, makes what it changed come back after a reboot, and fails unless it is so at its end. A host that
//! natdeck set up brings everything back by its own unit at each boot; on others a unit of the repair's own does.

use std::net::IpAddr;

use ipnet::Ipv4Net;

use super::vpc::client_subnet;
use super::{Change, Draft, Repair, RepairCall, change};
use crate::model::{InstanceId, Network, NetworkInterface};
use crate::plan::Call;
use crate::reach::{Cause, Finding, Severity};

/// What every script begins with.
///
/// `keep LINE` makes a command run at each boot, `unkeep LINE` takes it away again, and `own` says whether the host brings
/// its rules back by natdeck's own unit. `was NAME` notes what there was before, for an undo before the next boot.
const HEAD: &str = include_str!("host_head.sh");

/// What tells a rule of a repair from the same rule of somebody else's, so that an undo takes away no other.
const OURS: &str = "-m comment --comment natdeck-repair";

/// One script in parts.
struct Script {
    title: String,
    change: Change,
    /// What is done, without the head.
    body: String,
    /// The same for a person at the host.
    commands: Vec<String>,
    undo: Option<String>,
    caution: Option<String>,
}

pub(super) fn repair(finding: &Finding, network: &Network) -> Option<Repair> {
    let instance = finding.subject.instance_id.clone()?;
    let script = match finding.cause {
        Cause::HostUserDataFailed => boot_script(&instance),
        Cause::HostNoFirewallTool => install(finding, &instance)?,
        Cause::HostIpForwardOff => forward(&instance),
        Cause::HostNoMasquerade | Cause::HostMasqueradeWrongInterface => masquerade(finding, &instance)?,
        Cause::HostForwardDenied | Cause::HostForwardReplyDenied => accept(finding, network, &instance)?,
        Cause::HostRpFilter => reverse_path(finding, &instance)?,
        Cause::HostInterfaceDown => bring_up(finding, network, &instance)?,
        Cause::HostDefaultRouteWrong => default_route(finding, network, &instance)?,
        Cause::HostNoReturnRoute => return_route(finding, network, &instance)?,
        Cause::HostRulesNotPersistent => persist(&instance),
        // A table that has room again needs no more of it.
        Cause::HostConntrackFull if finding.severity == Severity::Breaks => conntrack(&instance),
        Cause::HostPathMtu => path_mtu(&instance),
        _ => return None,
    };
    let undo = script.undo.map(|undo| format!("{HEAD}{undo}"));
    let call = RepairCall::RunOnHost { instance, script: format!("{HEAD}{}", script.body), undo };
    let mut draft = Draft::one(script.title, script.change, Call::Repair(Box::new(call)));
    draft.commands = Some(script.commands);
    Some(draft.caution(script.caution).finish(finding))
}

fn plain(title: String, change: Change, body: String, commands: &[String], undo: Option<String>) -> Script {
    Script { title, change, body, commands: commands.to_vec(), undo, caution: None }
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
  [ -x "$part" ] || chmod u+x "$part"
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
    let restored = masquerades(&out);
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
if own; then
  systemctl restart natdeck-nat.service
else
  rule nat POSTROUTING -o {out} -j MASQUERADE
  keep '{restored}'
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
    // The last file in the order of sysctl.d(5) decides; /etc/sysctl.conf is read among them as 99-sysctl.conf.
    let body = r#"sysctl -w net.ipv4.ip_forward=1
file=/etc/sysctl.d/99-zz-natdeck-forward.conf
says=$(cat /usr/lib/sysctl.d/*.conf /etc/sysctl.d/*.conf /etc/sysctl.conf 2>/dev/null |
  sed -n 's/^ *net[./]ipv4[./]ip_forward *= *\([01]\).*/\1/p' | tail -n 1)
if [ "$says" != 1 ]; then
  mkdir -p /etc/sysctl.d
  echo 'net.ipv4.ip_forward = 1' > "$file"
fi
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ]
"#;
    let commands = [
        "sudo sysctl -w net.ipv4.ip_forward=1".to_owned(),
        "echo 'net.ipv4.ip_forward = 1' | sudo tee /etc/sysctl.d/99-zz-natdeck-forward.conf".to_owned(),
    ];
    let undo = Some("rm -f /etc/sysctl.d/99-zz-natdeck-forward.conf\nsysctl -w net.ipv4.ip_forward=0\n".to_owned());
    let change = change(format!("net.ipv4.ip_forward of {instance}"), "0", "1, also after a reboot");
    plain(format!("Let {instance} forward"), change, body.to_owned(), &commands, undo)
}

/// The rule that masquerades, as a line that may run at each boot.
fn masquerades(out: &str) -> String {
    let rule = format!("POSTROUTING -o {out} -j MASQUERADE");
    format!("iptables -w -t nat -C {rule} 2>/dev/null || iptables -w -t nat -A {rule}")
}

fn masquerade(finding: &Finding, instance: &InstanceId) -> Option<Script> {
    let out = device(finding.subject.out_device.as_ref())?;
    let restored = masquerades(&out);
    // A rule for another interface is of no use to anybody on this host only when no such interface exists.
    let body = format!(
        r#"if command -v iptables >/dev/null 2>&1; then
  idle=$(iptables-save -t nat | sed -n 's/^-A \(POSTROUTING .*-o \([^ ]*\) .*-j MASQUERADE.*\)$/\2 \1/p' |
    while read -r device old; do
      [ -e "/sys/class/net/$device" ] || echo "$old"
    done)
  if [ -n "$idle" ]; then
    echo "$idle" | was masquerade
    echo "$idle" | while read -r old; do iptables -w -t nat -D $old; done
  fi
  rule nat POSTROUTING -o {out} -j MASQUERADE
  own || keep '{restored}'
  iptables -w -t nat -C POSTROUTING -o {out} -j MASQUERADE
else
  nft list table ip natdeck 2>/dev/null | grep -q "oifname.*{out}.*masquerade" || {{
    nft add table ip natdeck
    nft add chain ip natdeck postrouting '{{ type nat hook postrouting priority srcnat; }}'
    nft add rule ip natdeck postrouting oifname {out} masquerade
  }}
  keep nft add table ip natdeck
  keep nft add chain ip natdeck postrouting "'{{ type nat hook postrouting priority srcnat; }}'"
  keep nft add rule ip natdeck postrouting oifname {out} masquerade
  nft list table ip natdeck | grep -q masquerade
fi
"#
    );
    let commands = [format!("sudo iptables -t nat -A POSTROUTING -o {out} -j MASQUERADE")];
    let undo = format!(
        r#"if command -v iptables >/dev/null 2>&1; then
  iptables -w -t nat -D POSTROUTING -o {out} -j MASQUERADE
  if [ -f "$notes/masquerade" ]; then
    while read -r old; do iptables -w -t nat -A $old; done < "$notes/masquerade"
    rm -f "$notes/masquerade"
  fi
  unkeep '{restored}'
else
  nft delete table ip natdeck
  unkeep nft add table ip natdeck
  unkeep nft add chain ip natdeck postrouting "'{{ type nat hook postrouting priority srcnat; }}'"
  unkeep nft add rule ip natdeck postrouting oifname {out} masquerade
fi
"#
    );
    let before = match finding.cause {
        Cause::HostNoMasquerade => "no rule that translates".to_owned(),
        _ => "a rule for another interface".to_owned(),
    };
    let change = change(format!("nat POSTROUTING of {instance}"), before, format!("-o {out} -j MASQUERADE"));
    Some(plain(format!("Masquerade what leaves {instance} by {out}"), change, body, &commands, Some(undo)))
}

/// Only where iptables' own rules refuse: a table of nft's is somebody's design, and an accept elsewhere would not
/// outweigh it.
fn accept(finding: &Finding, network: &Network, instance: &InstanceId) -> Option<Script> {
    if !finding.evidence.iter().any(|evidence| evidence.source.contains("iptables")) {
        return None;
    }
    let inner = device(finding.subject.device.as_ref())?;
    let out = device(finding.subject.out_device.as_ref())?;
    let way_back = format!("FORWARD -i {out} -o {inner} -m state --state RELATED,ESTABLISHED {OURS} -j ACCEPT");
    // With one interface every packet comes in and goes out by it: then the rule names who may begin.
    let (who, whom) = if inner == out {
        let (_, net) = client_subnet(finding, network)?;
        (format!("-s {net} "), format!("from {net}"))
    } else {
        (String::new(), format!("in by {inner}"))
    };
    let way_out = format!("FORWARD {who}-i {inner} -o {out} {OURS} -j ACCEPT");
    let replies_only = finding.cause == Cause::HostForwardReplyDenied;
    let rules = if replies_only { vec![way_back] } else { vec![way_back, way_out] };
    let at_boot = |rule: &String| {
        let inserted = rule.replacen("FORWARD", "FORWARD 1", 1);
        format!("iptables -w -D {rule} 2>/dev/null; iptables -w -I {inserted}")
    };
    // Ahead of what refuses at the next boot too, which natdeck's own unit would not be.
    let each = |line: &dyn Fn(&String) -> String| rules.iter().map(line).collect::<String>();
    let body = format!(
        "{}{}{}",
        each(&|rule| format!("ahead {rule}\n")),
        each(&|rule| format!("keep '{}'\n", at_boot(rule))),
        each(&|rule| format!("iptables -w -C {rule}\n"))
    );
    let undo = format!(
        "{}{}",
        each(&|rule| format!("iptables -w -D {rule}\n")),
        each(&|rule| format!("unkeep '{}'\n", at_boot(rule)))
    );
    let commands: Vec<String> =
        rules.iter().map(|rule| format!("sudo iptables -I {}", rule.replacen("FORWARD", "FORWARD 1", 1))).collect();
    let (title, before, after) = if replies_only {
        let title = format!("Let {instance} forward replies from {out} back to {inner}");
        (title, "refuses the reply", format!("first accepts replies from {out} to {inner}"))
    } else {
        let title = format!("Let {instance} forward from {inner} to {out} and the replies back");
        (title, "refuses the packet", format!("first accepts what comes {whom} and leaves by {out}, and the replies"))
    };
    let mut script =
        plain(title, change(format!("filter FORWARD of {instance}"), before, after), body, &commands, Some(undo));
    script.caution = Some(if replies_only {
        format!("{instance} forwards every reply that comes in by {out}, and nothing new")
    } else {
        format!("{instance} forwards whatever its security groups let {whom}, to any port, and nothing new by {out}")
    });
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
    // With the link went the way back to subnets beyond it.
    let route = way_back(finding, network, interface, &device);
    let again = route.as_ref().map(|(_, route)| format!("{route}\nkeep {route}\n")).unwrap_or_default();
    let routed = |(net, _): &(Ipv4Net, String)| format!(" &&\n    ip -4 route show {net} | grep -q 'dev {device}'");
    let routed = route.as_ref().map(routed).unwrap_or_default();
    let body = format!(
        "good() {{\n  ip -o link show dev {device} | grep -q -e '[<,]UP[,>]' &&\n    \
         ip -4 -o addr show dev {device} | grep -q ' {address}/'{routed}\n}}\n\
         good && exit 0\n\
         ip -o link show dev {device} | was link-{device}\nip -4 -o addr show dev {device} | was addr-{device}\n\
         ip link set dev {device} up\n\
         ip -4 -o addr show dev {device} | grep -q ' {address}/' || ip addr add {address}/{length} dev {device}\n\
         {again}good\n"
    );
    let mut commands =
        vec![format!("sudo ip link set dev {device} up"), format!("sudo ip addr add {address}/{length} dev {device}")];
    commands.extend(route.as_ref().map(|(_, route)| format!("sudo {route}")));
    let change =
        change(format!("{device} of {instance}"), "down or without an address", format!("up with {address}/{length}"));
    let forget = route.as_ref().map(|(_, route)| format!("unkeep {route}\n")).unwrap_or_default();
    let undo = format!(
        "{forget}grep -q ' {address}/' \"$notes/addr-{device}\" || ip addr del {address}/{length} dev {device}\n\
         grep -q -e '[<,]UP[,>]' \"$notes/link-{device}\" || ip link set dev {device} down\n"
    );
    Some(plain(format!("Bring {device} of {instance} up"), change, body, &commands, Some(undo)))
}

/// The route to the subnet that a finding names, where it is not the interface's own.
fn way_back(
    finding: &Finding,
    network: &Network,
    interface: &NetworkInterface,
    device: &str,
) -> Option<(Ipv4Net, String)> {
    let subnet = finding.subject.subnet_id.as_ref().filter(|subnet| **subnet != interface.subnet_id)?;
    let net = network.subnets.get(subnet).ok()??.cidr_block?;
    let gateway = router(cidr(network, interface)?)?;
    Some((net, format!("ip route replace {net} via {gateway} dev {device}")))
}

fn default_route(finding: &Finding, network: &Network, instance: &InstanceId) -> Option<Script> {
    let out = device(finding.subject.out_device.as_ref())?;
    let gateway = router(cidr(network, interface(finding, network)?)?)?;
    let body = format!(
        "ip -4 route show default | head -n 1 | grep -q 'via {gateway} dev {out}' && exit 0\n\
         ip -4 route show default | was default-routes\n\
         ip -4 route show default | while read -r line; do ip route del $line; done\n\
         ip route replace default via {gateway} dev {out}\n\
         ip -4 route show default | grep -q 'via {gateway} dev {out}'\n"
    );
    let undo = "ip -4 route show default | while read -r line; do ip route del $line; done\n\
                while read -r line; do ip route add $line; done < \"$notes/default-routes\"\n"
        .to_owned();
    let commands = [format!("sudo ip route replace default via {gateway} dev {out}")];
    let change = change(
        format!("default route of {instance}"),
        "missing, or by another interface",
        format!("via {gateway} dev {out}"),
    );
    Some(plain(format!("Send what leaves {instance} out by {out}"), change, body, &commands, Some(undo)))
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
    let undo = Some(format!("ip route del {net}{via} dev {device}\nunkeep {route}\n"));
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
    let body = r#"file=/etc/sysctl.d/99-natdeck.conf
if [ -x /usr/local/sbin/natdeck-nat ] && [ -f /etc/systemd/system/natdeck-nat.service ]; then
  grep -qs '^ *net.ipv4.ip_forward *= *1' "$file" || {
    mkdir -p /etc/sysctl.d
    echo 'net.ipv4.ip_forward = 1' > "$file"
  }
  systemctl daemon-reload
  systemctl enable natdeck-nat.service
  own
  exit 0
fi
mkdir -p /etc/natdeck /etc/sysctl.d
grep -qs '^ *net.ipv4.ip_forward *= *1' /etc/sysctl.conf /etc/sysctl.d/*.conf || {
  echo 'net.ipv4.ip_forward = 1' > "$file"
  echo "$file" > /etc/natdeck/made
}
if command -v iptables-save >/dev/null 2>&1; then
  [ -f /etc/natdeck/rules.iptables ] || iptables-save > /etc/natdeck/rules.iptables
  keep iptables-restore /etc/natdeck/rules.iptables
else
  [ -f /etc/natdeck/rules.nft ] || nft list ruleset > /etc/natdeck/rules.nft
  keep nft -f /etc/natdeck/rules.nft
fi
[ "$(systemctl is-enabled natdeck-restore.service)" = enabled ]
"#;
    let undo = r#"if own; then
  systemctl disable natdeck-nat.service
  exit 0
fi
unkeep iptables-restore /etc/natdeck/rules.iptables
unkeep nft -f /etc/natdeck/rules.nft
[ ! -f /etc/natdeck/made ] || rm -f "$(cat /etc/natdeck/made)"
rm -rf /etc/natdeck
"#;
    let commands = ["sudo systemctl enable natdeck-nat.service".to_owned()];
    let change = change(format!("rules of {instance} after a reboot"), "gone", "as they are now");
    let title = format!("Make the rules of {instance} come back after a reboot");
    plain(title, change, body.to_owned(), &commands, Some(undo.to_owned()))
}

fn conntrack(instance: &InstanceId) -> Script {
    // Raised only while the table is more than half full, so that a second run changes nothing.
    let body = r#"now=$(sysctl -n net.netfilter.nf_conntrack_max)
count=$(sysctl -n net.netfilter.nf_conntrack_count)
file=/etc/sysctl.d/99-natdeck-conntrack.conf
if [ "$((count * 2))" -gt "$now" ]; then
  most=$((now * 2))
  [ "$most" -ge 65536 ] || most=65536
  [ "$most" -ge "$((count * 2))" ] || most=$((count * 2))
  sysctl -w net.netfilter.nf_conntrack_max="$most"
  mkdir -p /etc/sysctl.d
  echo '# was' "$now" > "$file"
  echo "net.netfilter.nf_conntrack_max = $most" >> "$file"
  # At boot the kernel may not track connections yet when sysctl.d is read.
  keep sysctl -q -p "$file"
fi
[ "$(sysctl -n net.netfilter.nf_conntrack_max)" -gt "$(sysctl -n net.netfilter.nf_conntrack_count)" ]
"#;
    let undo = r#"file=/etc/sysctl.d/99-natdeck-conntrack.conf
sysctl -w net.netfilter.nf_conntrack_max="$(sed -n 's/^# was \([0-9]*\)$/\1/p' "$file")"
rm -f "$file"
unkeep sysctl -q -p "$file"
"#;
    let commands = ["sudo sysctl -w net.netfilter.nf_conntrack_max=131072".to_owned()];
    let change =
        change(format!("net.netfilter.nf_conntrack_max of {instance}"), "reached", "twice as much, 65536 at least");
    let title = format!("Let {instance} track more connections");
    plain(title, change, body.to_owned(), &commands, Some(undo.to_owned()))
}

/// The word that a packet is too large comes through again, and connections are told before they need it.
fn path_mtu(instance: &InstanceId) -> Script {
    let icmp = format!("-p icmp --icmp-type fragmentation-needed {OURS} -j ACCEPT");
    let clamp = format!("FORWARD -p tcp --tcp-flags SYN,RST SYN {OURS} -j TCPMSS --clamp-mss-to-pmtu");
    let chains = ["OUTPUT", "INPUT", "FORWARD"];
    let at_boot =
        |chain: &&str| format!("'iptables -w -D {chain} {icmp} 2>/dev/null; iptables -w -I {chain} 1 {icmp}'");
    let clamped = format!("'iptables -w -t mangle -C {clamp} 2>/dev/null || iptables -w -t mangle -A {clamp}'");
    let each = |line: &dyn Fn(&&str) -> String| chains.iter().map(line).collect::<String>();
    let body = format!(
        "{}rule mangle {clamp}\n{}keep {clamped}\n{}iptables -w -t mangle -C {clamp}\n",
        each(&|chain| format!("ahead {chain} {icmp}\n")),
        each(&|chain| format!("keep {}\n", at_boot(chain))),
        each(&|chain| format!("iptables -w -C {chain} {icmp}\n"))
    );
    let commands = [
        format!("sudo iptables -I OUTPUT 1 {icmp}"),
        format!("sudo iptables -I FORWARD 1 {icmp}"),
        format!("sudo iptables -t mangle -A {clamp}"),
    ];
    let undo = Some(format!(
        "{}iptables -w -t mangle -D {clamp}\n{}unkeep {clamped}\n",
        each(&|chain| format!("iptables -w -D {chain} {icmp}\n")),
        each(&|chain| format!("unkeep {}\n", at_boot(chain)))
    ));
    let change = change(
        format!("filter and mangle FORWARD of {instance}"),
        "ICMP about packet sizes is dropped",
        "ICMP type 3 code 4 passes, and connections are told to send smaller packets",
    );
    plain(format!("Let {instance} tell senders how large packets may be"), change, body, &commands, undo)
}
