#!/usr/bin/env bash
# Installs, upgrades and removes the Debian package of target/dist under a systemd of its own, in a container of Debian with a Redis.
# Needs root, podman, runc and mmdebstrap; `make dist` makes the package.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(target/dist/streamwarden_*.deb)
[[ -f ${packages[0]} ]] || { echo "deb: no package in target/dist; run make dist" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-deb.XXXXXX")
podman=(podman --log-level fatal --root "$work/store" --runroot "$work/run" --storage-driver overlay --runtime runc --cgroup-manager cgroupfs)
stop() {
  "${podman[@]}" rm --force --time 0 machine >/dev/null 2>&1 || true
  umount "$work/store/overlay" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

mmdebstrap --quiet --variant=minbase --include=adduser,init,redis-server bookworm "$work/root"
cp "${packages[0]}" "$work/root/first.deb"
# The same again, as a newer version.
dpkg-deb --raw-extract "${packages[0]}" "$work/newer"
sed -i 's/^Version: .*/&.1/' "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group --build "$work/newer" "$work/root/newer.deb" >/dev/null
cat >"$work/root/try.sh" <<'EOF'
set -euo pipefail
fail() { printf 'deb: %s\n' "$*" >&2; journalctl --no-pager --unit streamwarden | tail >&2; exit 1; }
show() { systemctl show --value --property "$1" streamwarden; }
wait_for() { for _ in {1..100}; do ! eval "$1" || return 0; sleep 0.1; done; fail "not within ten seconds: $1"; }
get() { exec 3<>/dev/tcp/127.0.0.1/19121 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3; }

redis-server --daemonize yes --save "" --dir / >/dev/null
wait_for 'redis-cli PING 2>/dev/null | grep -q PONG'
redis-cli XADD events:session '*' event_type SessionCreated >/dev/null
dpkg --install /first.deb >/dev/null
[[ $(show ConditionResult) == no && $(show ActiveState) == inactive ]] || fail "runs without an address"
umask 027
echo redis://localhost:6379 >/etc/streamwarden/redis-uri
chgrp streamwarden /etc/streamwarden/redis-uri
systemctl start streamwarden
wait_for 'get /metrics 2>/dev/null | grep -q "^streamwarden_stream_length.*events:session.* 1$"'
get /metrics | grep -q '^process_start_time_seconds [1-9]' || fail "has no metrics of its own process"
streamwarden status --config /etc/streamwarden/config.yaml >/dev/null || fail "is not healthy"
first=$(show MainPID)
grep -q '^CapBnd:[[:space:]]*0*$' "/proc/$first/status" || fail "may gain capabilities"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$first/status" || fail "has no filter of system calls"
echo "installed: runs as $(stat --format %U "/proc/$first"), $(systemd-analyze security --no-pager streamwarden | tail -n 1)"
systemd-analyze --man=no verify streamwarden.service || fail "the unit has problems"

echo "# mine" >>/etc/streamwarden/config.yaml
dpkg --install /newer.deb >/dev/null
wait_for '[[ $(show ActiveState) == active && $(show MainPID) != "$first" ]]'
grep -q "# mine" /etc/streamwarden/config.yaml || fail "an upgrade overwrites the configuration"
second=$(show MainPID)
kill -KILL "$second"
wait_for '[[ $(show ActiveState) == active && $(show MainPID) != "$second" && $(show MainPID) != 0 ]]'
echo "upgraded: restarted, configuration kept; started again after a crash"

echo 'poll: {intervall: 1s}' >/etc/streamwarden/config.yaml
systemctl restart streamwarden
wait_for '[[ $(show ActiveState) == failed ]]'
[[ $(show ExecMainStatus) == 2 ]] || fail "ends with $(show ExecMainStatus)"
echo "a wrong configuration: failed at once, and not again and again"
dpkg --remove streamwarden >/dev/null
[[ -f /etc/streamwarden/config.yaml ]] || fail "removes the configuration"
dpkg --purge streamwarden >/dev/null 2>&1
[[ ! -e /etc/streamwarden/config.yaml && ! -e /usr/bin/streamwarden && -f /etc/streamwarden/redis-uri ]] || fail "leaves too much or too little"
echo "removed, purged; the address is left"
EOF
"${podman[@]}" run --detach --name machine --systemd=always --network none --privileged --ulimit nofile=1024:20000 --ulimit nproc=1024:1024 \
  --rootfs "$work/root" /sbin/init >/dev/null
for _ in {1..100}; do
  [[ $("${podman[@]}" exec machine systemctl is-system-running 2>/dev/null) != running ]] || break
  sleep 0.2
done
"${podman[@]}" exec machine bash /try.sh
