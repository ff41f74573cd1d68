#!/usr/bin/env bash
# Builds the image from the Dockerfile and runs it as a careful cluster would, against a real Redis.
#
# No registry is needed. Stage one compiles on an empty image into which this machine's own programs and Rust toolchain
# are mounted; stage two stands on the few packages of Debian that the program needs. So the Dockerfile is run whole,
# but not on the public images that it names. Needs root, Debian's buildah, podman, runc, mmdebstrap and redis-server.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-image.XXXXXX")
store=(--root "$work/store" --runroot "$work/run" --storage-driver overlay)
buildah=(buildah "${store[@]}")
podman=(podman --log-level fatal "${store[@]}" --runtime runc --cgroup-manager cgroupfs)
redis_pid=
stop() {
  trap - EXIT
  "${podman[@]}" rm --force --time 0 sidecar >/dev/null 2>&1 || true
  [[ -z $redis_pid ]] || kill "$redis_pid" 2>/dev/null || true
  "${buildah[@]}" rmi --all --force >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM
say() { printf '%s\n' "$*"; }
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
get() { # PATH: the body, from the sidecar
  python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode(), end="")' \
    "http://127.0.0.1:$port$1" 2>/dev/null
}

# Stage one's base: nothing but the links that a merged /usr needs.
mkdir -p "$work/build"
for name in bin lib lib64 sbin; do [[ ! -L /$name ]] || cp -P "/$name" "$work/build/"; done
mkdir -p "$work/build"/{usr,etc,tmp,src}
# Stage two's: what a program linked with glibc needs, and no shell.
mmdebstrap --quiet --variant=extract --include=libc6,libgcc-s1,base-files,ca-certificates bookworm "$work/base"
declare -A settings=([build]='ENV PATH=/rust/bin:/usr/bin:/bin CARGO_HOME=/cargo CARGO_NET_OFFLINE=true')
for name in build base; do
  printf 'FROM scratch\nCOPY . /\n%s\n' "${settings[$name]:-}" >"$work/Containerfile"
  "${buildah[@]}" bud --quiet --isolation chroot --file "$work/Containerfile" --tag "localhost/$name" "$work/$name" >/dev/null
  rm -rf "${work:?}/$name"
done

cargo fetch --locked --quiet
cargo_home=${CARGO_HOME:-$HOME/.cargo}
toolchain=$(rustc --print sysroot)
started=$SECONDS
"${buildah[@]}" bud --quiet --isolation chroot --format docker --layers --timestamp 0 \
  --volume /usr:/usr:ro --volume /etc:/etc:ro --volume "$toolchain:/rust:ro" --volume "$cargo_home/registry:/cargo/registry" \
  --build-arg BUILD_IMAGE=localhost/build --build-arg BASE_IMAGE=localhost/base \
  --build-arg VERSION=0.0.0-test --tag localhost/streamwarden . >/dev/null
say "built in $((SECONDS - started)) s"

inspect() { "${podman[@]}" image inspect --format "$1" "$2"; }
added=$(($(inspect '{{.Size}}' localhost/streamwarden) - $(inspect '{{.Size}}' localhost/base)))
((added < 20000000)) || fail "adds $added bytes to its base, and 20,000,000 are allowed"
[[ $(inspect '{{.Config.User}}' localhost/streamwarden) == 65532:65532 ]] || fail "does not run as 65532"
[[ $(inspect '{{.Config.StopSignal}}' localhost/streamwarden) == *TERM ]] || fail "is not stopped by SIGTERM"
[[ $(inspect '{{index .Labels "org.opencontainers.image.version"}}' localhost/streamwarden) == 0.0.0-test ]] ||
  fail "has no version label"
say "adds $added bytes to its base"

redis_port=$(free_port)
port=$(free_port)
redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --dir "$work" >"$work/redis.log" &
redis_pid=$!
for _ in {1..100}; do redis-cli -p "$redis_port" PING >/dev/null 2>&1 && break; sleep 0.05; done
for _ in 1 2 3; do redis-cli -p "$redis_port" XADD events:session '*' event_type SessionCreated >/dev/null; done

mkdir -p "$work/mounts"/{config,redis}
printf 'poll: {interval: 1s}\nhttp: {listen: "127.0.0.1:%s"}\n' "$port" >"$work/mounts/config/config.yaml"
echo "redis://127.0.0.1:$redis_port" >"$work/mounts/redis/uri"
chmod -R a+rX "$work/mounts"
# The ulimits are what this machine may grant; the rest is what the manifests of deploy/kubernetes ask for.
"${podman[@]}" run --detach --name sidecar --network host --read-only --read-only-tmpfs=false --cap-drop all \
  --security-opt no-new-privileges --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
  --volume "$work/mounts:/etc/streamwarden:ro" --env STREAMWARDEN_CONFIG=/etc/streamwarden/config/config.yaml \
  --env REDIS_URI_FILE=/etc/streamwarden/redis/uri localhost/streamwarden >/dev/null
for _ in {1..100}; do get '/readyz?strict=1' >/dev/null && break; sleep 0.1; done
get '/readyz?strict=1' >/dev/null || { "${podman[@]}" logs sidecar >&2; fail "did not get ready"; }
page=$(get /metrics)
grep -q '^streamwarden_stream_length{db="db0",stream="events:session"} 3$' <<<"$page" || fail "does not tell the stream's length"

pid=$("${podman[@]}" inspect --format '{{.State.Pid}}' sidecar)
status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }
[[ $(status Uid) == 65532 && $(status Gid) == 65532 ]] || fail "runs as $(status Uid):$(status Gid)"
for set in CapEff CapPrm CapBnd; do [[ $(status $set) == 0000000000000000 ]] || fail "has capabilities: $set"; done
[[ $(status NoNewPrivs) == 1 ]] || fail "may gain privileges"
awk '$5 == "/" { exit $6 !~ /^ro(,|$)/ }' "/proc/$pid/mountinfo" || fail "has a root that can be written"
for shell in bin/sh usr/bin/sh bin/bash; do [[ ! -e /proc/$pid/root/$shell ]] || fail "has a shell, so it may need it"; done
say "serves /metrics as 65532 without capabilities, with a read-only root and no shell"

"${podman[@]}" healthcheck run sidecar >/dev/null || fail "its health check fails while it is healthy"
say "its health check passes"

"${podman[@]}" cp sidecar:/usr/local/bin/streamwarden "$work/streamwarden"
make --no-print-directory smoke PROGRAM="$work/streamwarden" || fail "its program fails the smoke tests"
say "its program passes the smoke tests"

before=$(date +%s%N)
kill -TERM "$pid"
while [[ -e /proc/$pid ]]; do sleep 0.01; done
ms=$((($(date +%s%N) - before) / 1000000))
((ms < 1000)) || fail "took $ms ms to stop"
code=$("${podman[@]}" wait sidecar)
[[ $code == 0 ]] || fail "ended with exit code $code"
say "stopped $ms ms after SIGTERM"
