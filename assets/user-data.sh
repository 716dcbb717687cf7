#!/bin/bash
# Makes this host a NAT at boot, and again at every later boot: forwards what private instances send and masquerades
# it behind the interface that leads out. Amazon Linux 2023 and 2. Ends with an error unless the host masquerades.
set -euo pipefail

# 2: a second interface (device number 1) is attached after the start and is waited for. 1: there is only one.
NATDECK_INTERFACES=2

mkdir -p /usr/local/sbin /etc/sysctl.d /etc/systemd/system

cat > /usr/local/sbin/natdeck-nat << 'SCRIPT'
#!/bin/bash
set -euo pipefail
interfaces=$1

fail() {
  echo "natdeck: $*" >&2
  exit 1
}

# AL2023 requires IMDSv2: every question carries a token.
metadata() {
  local token
  token=$(curl -sSf -m 5 -X PUT http://169.254.169.254/latest/api/token \
    -H 'X-aws-ec2-metadata-token-ttl-seconds: 60') || return 1
  curl -sSf -m 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

# The kernel's name of the interface with this device number: eth0 on AL2, ens5 on AL2023, others elsewhere. The
# metadata service knows the number by MAC address; AL2023 gives the interface an alternative name as well.
device() {
  local mac path line
  for mac in $(metadata network/interfaces/macs/ || true); do
    mac=${mac%/}
    if [ "$(metadata "network/interfaces/macs/$mac/device-number" || true)" = "$1" ]; then
      for path in /sys/class/net/*; do
        if [ "$(cat "$path/address")" = "$mac" ]; then
          basename "$path"
          return 0
        fi
      done
    fi
  done
  # "3: ens6@...: <BROADCAST,...": the second field.
  if line=$(ip -o link show "device-number-$1" 2> /dev/null) && [ -n "$line" ]; then
    line=${line#*: }
    line=${line%%:*}
    echo "${line%%@*}"
    return 0
  fi
  # Without either, the default route tells the way out. The way in cannot be guessed.
  line=$(ip -4 route show default)
  if [ "$1" = 0 ] && [ "$line" != "${line#*dev }" ]; then
    line=${line#*dev }
    echo "${line%% *}"
  fi
}

# Waits up to five minutes: the second interface is attached while the host boots.
wait_for_device() {
  local name
  for _ in $(seq 1 150); do
    name=$(device "$1" || true)
    if [ -n "$name" ] && [ -n "$(ip -4 -o addr show dev "$name")" ]; then
      echo "$name"
      return 0
    fi
    sleep 2
  done
  fail "no interface with device number $1 and an address appeared within five minutes"
}

# Adds a rule unless it is there already, so that every boot may run this.
rule() {
  local table=$1
  shift
  iptables -w -t "$table" -C "$@" 2> /dev/null || iptables -w -t "$table" -A "$@"
}

outer=$(wait_for_device 0)
inner=$outer
if [ "$interfaces" -gt 1 ]; then
  inner=$(wait_for_device 1)
fi

# AL2023 can keep the second interface's routes in a table of their own. Replies to private instances must leave by it
# all the same: at the outer interface AWS's source/destination check would drop them.
if [ "$inner" != "$outer" ]; then
  subnet=$(metadata "network/interfaces/macs/$(cat "/sys/class/net/$inner/address")/subnet-ipv4-cidr-block" || true)
  [ -z "$subnet" ] || ip route replace "$subnet" dev "$inner"
fi

sysctl -q -p /etc/sysctl.d/99-natdeck.conf
rule nat POSTROUTING -o "$outer" -j MASQUERADE
rule filter FORWARD -i "$outer" -o "$inner" -m state --state RELATED,ESTABLISHED -j ACCEPT
rule filter FORWARD -i "$inner" -o "$outer" -j ACCEPT

[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ] || fail "the kernel does not forward (net.ipv4.ip_forward is 0)"
iptables -w -t nat -C POSTROUTING -o "$outer" -j MASQUERADE || fail "there is no masquerade rule on $outer"
echo "natdeck: forwarding from $inner, masquerading on $outer"
SCRIPT
chmod 755 /usr/local/sbin/natdeck-nat

# AL2023 has no iptables. The network may not lead out yet (an Elastic IP comes after the start), and on 512 MiB the
# package manager can run out of memory: hence the retries, and no weak dependencies.
for attempt in 1 2 3 4 5 6 7 8; do
  command -v iptables > /dev/null && break
  if command -v dnf > /dev/null; then
    dnf -y -q --setopt=install_weak_deps=False install iptables-nft || true
  else
    yum -y -q install iptables || true
  fi
  command -v iptables > /dev/null || sleep $((attempt * 5))
done
command -v iptables > /dev/null || { echo "natdeck: iptables could not be installed" >&2; exit 1; }

echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-natdeck.conf

cat > /etc/systemd/system/natdeck-nat.service << UNIT
[Unit]
Description=Forward and masquerade for private instances (natdeck)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/natdeck-nat $NATDECK_INTERFACES

[Install]
WantedBy=multi-user.target
UNIT

/usr/local/sbin/natdeck-nat "$NATDECK_INTERFACES"
systemctl daemon-reload
systemctl enable natdeck-nat.service
