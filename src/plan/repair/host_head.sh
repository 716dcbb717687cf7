# What every repair on a host begins with. POSIX shell; run as root by SSM.
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
restore=/usr/local/sbin/natdeck-restore
unit=/etc/systemd/system/natdeck-restore.service
notes=/run/natdeck
own() {
  [ -x /usr/local/sbin/natdeck-nat ] && [ "$(systemctl is-enabled natdeck-nat.service 2>/dev/null)" = enabled ]
}
keep() {
  mkdir -p /usr/local/sbin /etc/systemd/system
  [ -f "$restore" ] || echo '#!/bin/sh' > "$restore"
  grep -qxF -e "$*" "$restore" || echo "$*" >> "$restore"
  chmod 755 "$restore"
  [ -f "$unit" ] || cat > "$unit" << 'UNIT'
[Unit]
Description=What natdeck repaired on this NAT host: routes, masquerade and accept rules
Wants=network-online.target
After=network-online.target natdeck-nat.service iptables.service nftables.service docker.service

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
unkeep() {
  [ -f "$restore" ] || return 0
  grep -vxF -e "$*" "$restore" > "$restore.new" || true
  if grep -q -v '^#!' "$restore.new"; then
    mv "$restore.new" "$restore"
    chmod 755 "$restore"
  else
    systemctl disable natdeck-restore.service
    rm -f "$restore" "$restore.new" "$unit"
    systemctl daemon-reload
  fi
}
was() {
  mkdir -p "$notes"
  cat > "$notes/$1"
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
