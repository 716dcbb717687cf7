#!/bin/bash
# Makes this host a NAT: forwards what comes in by the second interface and masquerades it behind the first. Amazon
# Linux 2023 brings no iptables and names its interfaces ens5, ens6; both are found by device number.
set -euo pipefail

token=$(curl -sS -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 300")

metadata() {
  curl -sS -f -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

# The name of the interface with this device number; waits until it is attached.
interface() {
  for _ in $(seq 1 120); do
    for mac in $(metadata network/interfaces/macs/); do
      mac=${mac%/}
      if [ "$(metadata "network/interfaces/macs/$mac/device-number")" = "$1" ]; then
        for device in /sys/class/net/*; do
          if [ "$(cat "$device/address")" = "$mac" ]; then
            basename "$device"
            return 0
          fi
        done
      fi
    done
    sleep 2
  done
  echo "no interface with device number $1" >&2
  return 1
}

outer=$(interface 0)
inner=$(interface 1)

if ! command -v iptables > /dev/null; then
  dnf install -y iptables-services
fi

echo "net.ipv4.ip_forward = 1" > /etc/sysctl.d/90-nat.conf
sysctl -p /etc/sysctl.d/90-nat.conf

iptables -F FORWARD
iptables -t nat -A POSTROUTING -o "$outer" -j MASQUERADE
iptables -A FORWARD -i "$outer" -o "$inner" -m state --state RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -i "$inner" -o "$outer" -j ACCEPT

iptables-save > /etc/sysconfig/iptables
systemctl enable --now iptables

iptables -t nat -C POSTROUTING -o "$outer" -j MASQUERADE
