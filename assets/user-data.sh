#!/bin/bash
# Turns this host into a NAT instance, at every boot. Works on Amazon Linux 2023 and Amazon Linux 2.
# How many network interfaces it must have: 2 with an inner one in the private subnet, 1 without.
NATDECK_INTERFACES=2
set -euo pipefail

say() { echo "natdeck: $*"; }

# Amazon Linux 2023 comes without iptables. Weak dependencies are left out, since dnf on 512 MiB is killed when it
# wants too much; the network may need a moment after boot, hence the tries.
install_iptables() {
  local try
  for try in 1 2 3 4 5 6; do
    command -v iptables >/dev/null && return 0
    if command -v dnf >/dev/null; then
      dnf -y -q --setopt=install_weak_deps=False install iptables-nft && continue
    else
      yum -y -q install iptables && continue
    fi
    say "installing iptables failed, try $try"
    sleep $((try * 5))
  done
  command -v iptables >/dev/null
}

install_iptables || { say "iptables cannot be installed: is there a way out to the package repository?"; exit 1; }

# The part that runs at every boot, since neither rules nor sysctls set by hand survive one.
mkdir -p /usr/local/sbin /etc/sysctl.d /etc/systemd/system
cat > /usr/local/sbin/natdeck-nat <<'SCRIPT'
#!/bin/bash
set -euo pipefail
interfaces=${1:-1}

say() { echo "natdeck: $*"; }

# The metadata service knows which interface has which device number; names (eth1, ens6) depend on the system.
metadata() {
  local token
  token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

# Prints the name of the interface with this device number, once it is there and has an address.
interface() {
  local mac name
  for mac in $(metadata network/interfaces/macs/ || true); do
    mac=${mac%/}
    [ "$(metadata "network/interfaces/macs/$mac/device-number" || true)" = "$1" ] || continue
    name=$(ip -o link show | grep -i "$mac" | head -n 1 | cut -d: -f2 | tr -d ' ')
    name=${name%%@*}
    [ -n "$name" ] && ip -o -4 addr show dev "$name" | grep -q inet && echo "$name" && return 0
  done
  return 1
}

# The second interface is attached after the launch: wait for it, five minutes at most.
wait_for() {
  local waited=0 name
  until name=$(interface "$1"); do
    [ "$waited" -lt 300 ] || { say "interface $1 did not appear within 300 s"; return 1; }
    sleep 2
    waited=$((waited + 2))
  done
  echo "$name"
}

# -C asks whether the rule is there, so that running this again adds nothing.
rule() {
  local table=$1 chain=$2
  shift 2
  iptables -t "$table" -C "$chain" "$@" 2>/dev/null || iptables -t "$table" -I "$chain" 1 "$@"
}

outer=$(wait_for 0)
inner=$outer
if [ "$interfaces" -gt 1 ]; then inner=$(wait_for 1); fi

sysctl -q -w net.ipv4.ip_forward=1
rule nat POSTROUTING -o "$outer" -j MASQUERADE
rule filter FORWARD -i "$outer" -o "$inner" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
rule filter FORWARD -i "$inner" -o "$outer" -j ACCEPT

# The verdict: what has just been set is read back.
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ] || { say "the kernel does not forward"; exit 1; }
iptables -t nat -C POSTROUTING -o "$outer" -j MASQUERADE || { say "masquerading is absent"; exit 1; }
say "masquerading from $inner to $outer"
SCRIPT
chmod 755 /usr/local/sbin/natdeck-nat

echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-natdeck.conf
cat > /etc/systemd/system/natdeck-nat.service <<UNIT
[Unit]
Description=NAT for the private subnet (natdeck)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/natdeck-nat $NATDECK_INTERFACES

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable natdeck-nat.service

# Run here and not through systemctl, so that its words and its exit code are the boot script's own.
/usr/local/sbin/natdeck-nat "$NATDECK_INTERFACES"
