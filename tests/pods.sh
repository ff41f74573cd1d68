#!/usr/bin/env bash
# Plays the Pods of deploy/ with podman, each with a Redis and the example application: the stand-alone form by Kustomize and by Helm, and
# the sidecar in the application's Pod. Everything else of Kubernetes is missing. What stands in:
#
# - The images have the programs that are built already, on a base of Debian made here: no registry is needed. Redis is Debian's.
# - tests/deploy/pods.py says what it changes in the manifests before they are played, and why.
# - podman's probes need a shell in the image. So the addresses of the manifests' probes are asked from outside, as the kubelet does and with its
#   limit of time, and the image's own health check is run by `podman exec`. Nothing restarts a Pod.
# - `podman kube down` of 4.3.1 kills at once. So `podman pod stop` comes first, with the grace period of the manifest.
# - A Service's name is in /etc/hosts.
#
# It all runs in a network of its own, so that no port of the machine is taken. Needs root, curl, and Debian's buildah, podman, runc, mmdebstrap,
# catatonit and containernetworking-plugins. `tests/pods.sh STREAMWARDEN NEXUS`: the programs.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '%s\n' "$*"; }

if [[ ${1:-} != --inside ]]; then
  program=$1 nexus=$2
  work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-pods.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  # Also makes the tools. That both forms have one container lets one of them be played for the other.
  tests/deploy.sh --quiet -k both_sidecar_forms_have_the_same_container -k pods_are_those_of_the_kustomize_forms >/dev/null
  mmdebstrap --quiet --variant=extract --include=libc6,libgcc-s1,base-files,ca-certificates bookworm "$work/base"
  mmdebstrap --quiet --variant=extract --include=redis-server bookworm "$work/redis"
  rm -rf "$work/redis/usr/share"
  mkdir -p "$work/built/src/target/release"
  cp "$program" "$work/built/src/target/release/streamwarden"
  cp "$nexus" "$work/built/src/target/release/nexus"
  unshare --net --mount "$PWD/tests/pods.sh" --inside "$work"
  exit
fi

work=$2
# podman keeps its networks there, not in its store.
for folder in /var/lib/cni /etc/cni/net.d; do
  mkdir -p "$folder"
  mount -t tmpfs tmpfs "$folder"
done
ip link set lo up
store=(--root "$work/store" --runroot "$work/run" --storage-driver overlay)
export CONTAINERS_CONF="$work/containers.conf"
# The ulimits are what this machine may grant.
cat >"$CONTAINERS_CONF" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
base_hosts_file = "$work/hosts"
[network]
network_backend = "cni"
END
podman() { command podman --log-level fatal "${store[@]}" --tmpdir "$work/tmp" --runtime runc --cgroup-manager cgroupfs "$@"; }
# With the last lines of each log.
fail() {
  printf 'pods: %s\n' "$*" >&2
  podman ps --all --format '{{.Names}}: {{.Status}}' >&2 || true
  for name in $(podman ps --all --format '{{.Names}}' | grep -v -- -infra); do printf '%s\n' "== $name"; podman logs "$name" 2>&1 | tail -n 3; done >&2
  exit 1
}
stop() {
  trap - EXIT
  podman pod rm --all --force --time 0 >/dev/null 2>&1 || true
  umount "$work/store/overlay" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 1' INT TERM
redis_ip=10.90.0.2 application_ip=10.90.0.3 ip=10.90.0.4
echo "$redis_ip redis" >"$work/hosts"
python=target/deploy-tools/bin/python
export PYTHONDONTWRITEBYTECODE=1

get() { curl --silent --show-error --fail --max-time 5 "http://$ip:19121$1" 2>/dev/null; }
code() { curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://$ip:19121$1" || true; }
wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  until "${@:2}"; do ((SECONDS < end)) || fail "not within $1 s: ${*:2}"; sleep 0.2; done
}
answers() { [[ $(code "$1") == "$2" ]]; }
play() { # FORM ADDRESS, from a folder where no image's name is a folder that podman would build it from
  (cd "$work/empty" && podman kube play --network "pods:ip=$2" "$work/$1.yaml" >"$work/played") || fail "podman does not play $1"
}
down() { (cd "$work/empty" && podman kube down "$work/$1.yaml" >/dev/null) || fail "podman does not take $1 down"; }
redis() { podman exec redis-pod-0-redis redis-cli "$@"; }

make_images() {
  printf 'FROM scratch\nCOPY . /\n' >"$work/Containerfile"
  build --file "$work/Containerfile" --tag localhost/base "$work/base"
  second_stage streamwarden Dockerfile
  second_stage nexus examples/nexus/Dockerfile
  # Redis's own image has no protected mode either.
  printf 'FROM scratch\nCOPY . /\nENTRYPOINT ["/usr/bin/redis-server", "--protected-mode", "no"]\n' >"$work/Containerfile"
  build --file "$work/Containerfile" --tag "localhost/$(image redis)" "$work/redis"
}
# The first stage would compile.
second_stage() { # NAME DOCKERFILE
  { echo 'ARG BASE_IMAGE'; sed -n '/^FROM \${BASE_IMAGE}/,$p' "$2"; } >"$work/Containerfile"
  build --format docker --build-arg BASE_IMAGE=localhost/base --build-context "build=$work/built" --file "$work/Containerfile" \
    --tag "localhost/$(image "$1")" "$work/built"
}
# As the manifests name it.
image() { sed -n "s/^ *image: \($1:.*\)/\1/p" "$work/sidecar.yaml" "$work/redis.yaml"; }
build() { buildah "${store[@]}" bud --quiet --isolation chroot "$@" >/dev/null; }

# What the manifests ask for, as the kernel has it.
check_privileges() { # CONTAINER
  local pid set
  pid=$(podman inspect --format '{{.State.Pid}}' "$1")
  is() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }
  [[ $(is Uid) == 65532 && $(is Gid) == 65532 ]] || fail "runs as $(is Uid):$(is Gid)"
  for set in CapEff CapPrm CapBnd; do [[ $(is $set) == 0000000000000000 ]] || fail "has capabilities: $set"; done
  [[ $(is NoNewPrivs) == 1 ]] || fail "may gain privileges"
  [[ $(is Seccomp) == 2 ]] || fail "has no filter of system calls"
  awk '$5 == "/" { exit $6 !~ /^ro(,|$)/ }' "/proc/$pid/mountinfo" || fail "has a root that can be written"
  [[ $(awk '$5 ~ /^\/etc\/streamwarden\// && $6 ~ /^ro(,|$)/' "/proc/$pid/mountinfo" | wc -l) == 2 ]] ||
    fail "has not two volumes that it can only read"
  [[ $(podman inspect --format '{{.HostConfig.Memory}}' "$1") == $((128 * 1024 * 1024)) ]] || fail "has no limit of memory"
  say "  runs as 65532, without capabilities, with a read-only root and volumes, and a filter of system calls"
}

# What the runbooks run by kubectl exec. Its exit code tells the worst health.
status() { podman exec "$1" streamwarden status --json "${@:2}" || (($? <= 3)); }
is_same() { # CONTAINER
  get /metrics >"$work/metrics" && status "$1" >"$work/status" &&
    status "$1" --url http://localhost:19121 >"$work/status-of-sidecar" &&
    $python tests/deploy/pods.py compare "$work" >"$work/compared" 2>&1
}
has_events() { [[ $(redis XLEN events:user) -gt 20 && $(get /metrics | grep -c '^streamwarden_stream_length{.*events:') == 5 ]]; }

# Something to compare: a lag, and a group that nobody reads, while the application stands still.
check_numbers() { # CONTAINER APPLICATION
  wait_for 60 has_events
  podman pause "$2" >/dev/null
  for _ in {1..7}; do redis XADD events:user '*' event_type UserCreated >/dev/null; done
  redis XGROUP CREATE events:session nobody 0 >/dev/null
  # The sidecar polls every 15 seconds.
  local end=$((SECONDS + 60))
  until is_same "$1"; do
    ((SECONDS < end)) || { cat "$work/compared" >&2; fail "/metrics and status differ"; }
    sleep 1
  done
  podman unpause "$2" >/dev/null
  say "  $(cat "$work/compared")"
}

# Asks as the kubelet does.
probe() { # FORM KIND
  local path port limit
  read -r _ path port limit < <(grep "^$2 " "$work/$1.probes") || fail "$1 has no $2"
  curl --silent --fail --output /dev/null --max-time "$limit" "http://$ip:$port$path"
}
# What a liveness probe sees of a process that hangs, three times as the kubelet counts.
check_liveness() { # FORM CONTAINER
  local pid times
  probe "$1" livenessProbe || fail "its liveness probe fails while it is alive"
  podman exec "$2" streamwarden healthcheck || fail "its health check fails while it is alive"
  pid=$(podman inspect --format '{{.State.Pid}}' "$2")
  kill -STOP "$pid"
  for times in 1 2 3; do ! probe "$1" livenessProbe || fail "its liveness probe $times passes while it hangs"; done
  kill -CONT "$pid"
  wait_for 20 probe "$1" livenessProbe
  say "  its liveness probe passes, fails three times while the process hangs, and passes again"
}

# A Pod's end: by itself, and within the grace period.
check_end() { # FORM POD CONTAINER
  local before ms grace
  grace=$(awk '$1 == "grace" { print $2 }' "$work/$1.probes")
  before=$(date +%s%N)
  podman pod stop --time "$grace" "$2" >/dev/null
  ms=$((($(date +%s%N) - before) / 1000000))
  [[ $(podman inspect --format '{{.State.ExitCode}}' "$3") == 0 ]] ||
    fail "ends with $(podman inspect --format '{{.State.ExitCode}}' "$3"): $(podman logs "$3" 2>&1 | tail -n 3)"
  ((ms < grace * 1000)) || fail "took $ms ms to end"
  podman logs "$3" 2>&1 | grep -q '"message":"stopped"' || fail "does not say that it stopped: $(podman logs "$3" 2>&1 | tail -n 3)"
  down "$1"
  say "  ends by itself with exit code 0, $ms ms after the stop of its Pod, of $grace s"
}

mkdir "$work/empty"
$python tests/deploy/pods.py render "$work" redis://redis:6379
make_images
podman network create --subnet 10.90.0.0/24 pods >/dev/null
# podman hands on the values of a secret's file as they are, without decoding them.
printf 'kind: Secret\ndata: {uri: "redis://redis:6379"}\n' | podman secret create streamwarden-redis - >/dev/null

# The stand-alone form is there before Redis is.
alone() { # FORM POD
  say "$1"
  play "$1" "$ip"
  wait_for 20 probe "$1" livenessProbe
  wait_for 20 probe "$1" readinessProbe
  answers '/readyz?strict=1' 503 || fail "is strictly ready without a Redis"
  get /metrics >"$work/metrics" || fail "has no metrics without a Redis"
  grep -q '^streamwarden_redis_up 0$' "$work/metrics" || fail "does not show that Redis is away"
  ! grep -q ^streamwarden_stream_length "$work/metrics" || fail "shows lengths without a Redis"
  say "  alive without a Redis, ready after its first poll, and without numbers"
  play redis "$redis_ip"
  play application "$application_ip"
  check "$1" "$2"
  down application
  down redis
}

check() { # FORM POD
  local container=$2-streamwarden
  wait_for 60 answers '/readyz?strict=1' 200
  say "  strictly ready with a Redis"
  check_privileges "$container"
  check_numbers "$container" nexus-pod-0-nexus
  check_liveness "$1" "$container"
  check_end "$1" "$2" "$container"
}

alone standalone streamwarden-pod-0
alone chart shop-streamwarden-pod-0
say sidecar
play redis "$redis_ip"
play sidecar "$ip"
check sidecar nexus-pod-0
