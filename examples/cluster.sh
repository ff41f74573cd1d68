# A cluster for `demo.sh --cluster`, which sources this file: three primaries, each with a replica; a tour of slots that move
# and of a primary that dies.
# shellcheck shell=bash disable=SC2034,SC2154  # variables and functions of demo.sh

readonly steps=3
# Enough for events:session and events:user, whose slots are the first primary's, and not for its third stream.
readonly MOVED_SLOTS=2000
# Milliseconds without an answer until a replica takes over.
readonly NODE_TIMEOUT=2000
ports=()

start_redis() {
  local port=17001
  while ((${#ports[@]} < 6)); do
    # Nodes talk to each other on a second port.
    if free "$port" && free $((port + 10000)); then ports+=("$port"); fi
    port=$((port + 1))
  done
  for port in "${ports[@]}"; do start_node "$port"; done
  for port in "${ports[@]}"; do
    until_true 20 answers "$port" || fail "Redis did not start" "redis-$port"
  done
  redis-cli --cluster create "${ports[@]/#/127.0.0.1:}" --cluster-replicas 1 --cluster-yes >"$work/create.log" ||
    fail "the cluster was not made" create
  until_true 60 is_served || fail "the cluster does not serve its slots" "redis-${ports[0]}"
  servers=$(printf 'redis://127.0.0.1:%s ' "${ports[@]}")
  what="a private cluster on ports ${ports[0]} to ${ports[5]}"
  nexus_flags=(--cluster)
}

start_node() { # PORT: what it had before is on the disk, as for a server that restarts
  mkdir -p "$work/$1"
  start "redis-$1" redis-server --port "$1" --bind 127.0.0.1 --dir "$work/$1" --save "" --appendonly yes \
    --cluster-enabled yes --cluster-node-timeout "$NODE_TIMEOUT" --repl-diskless-sync-delay 0
}

redis() { redis-cli -c -p "$(alive)" "$@"; }

# The port of a node that runs.
alive() {
  local port
  for port in "${ports[@]}"; do
    [[ -n ${processes[redis-$port]:-} ]] && echo "$port" && return
  done
}

is_served() {
  local port
  for port in "${ports[@]}"; do
    [[ -z ${processes[redis-$port]:-} ]] || redis-cli -p "$port" CLUSTER INFO 2>/dev/null | grep -q cluster_state:ok || return 1
  done
}

# The ID and the port of the primary that serves this slot.
owner() { redis CLUSTER NODES | awk -v slot="$1" '
  $3 ~ /master/ && $3 !~ /fail/ {
    for (field = 9; field <= NF; field++) {
      split($field, range, "-")
      if (range[1] <= slot && slot <= (range[2] == "" ? range[1] : range[2])) { split($2, at, /[:@]/); print $1, at[2] }
    }
  }'; }

tour() {
  step 1 "A resharding" events:user "node +127.0.0.1:${ports[1]}" \
    "$MOVED_SLOTS slots move from ${ports[0]} to ${ports[1]}, key by key, while they are read and written. Two streams are in them," \
    "events:session and events:user. They stay healthy, and nothing of them counts as lost or recreated."
  step 2 "A primary dies" events:user "unknown: " \
    "The primary of these two streams is killed with kill -9. They are unknown, and the other streams stay healthy." \
    "After $((NODE_TIMEOUT / 1000)) seconds without an answer its replica takes over, and they are read there."
  step 3 "Slots that nobody serves" events:project "the last poll failed: clusterdown" \
    "A primary is killed with its replica. The whole cluster refuses every command then, as is Redis's default, and the log" \
    "names the slots. The last numbers are shown with their age, and later as stale."
  printf '\n  That was the tour: all streams are healthy again.\n'
}

break_1() {
  local from to
  from=$(owner "$(slot events:user)")
  to=$(redis-cli -p "${ports[1]}" CLUSTER MYID)
  redis-cli --cluster reshard "127.0.0.1:${ports[1]}" --cluster-from "${from% *}" --cluster-to "$to" \
    --cluster-slots "$MOVED_SLOTS" --cluster-yes >"$work/reshard.log" || fail "the slots did not move" reshard
}

break_2() { kill_node "$(owner "$(slot events:user)")"; }
repair_2() { start_killed; }

break_3() {
  local primary replica
  primary=$(owner "$(slot events:project)")
  replica=$(replicas "${primary% *}")
  kill_node "$replica"
  kill_node "$primary"
}
repair_3() { start_killed; }

# The ID and the port of each replica of this primary, or of any.
replicas() { # [ID]
  redis CLUSTER NODES |
    awk -v id="${1:-}" '$3 ~ /slave/ && $3 !~ /fail/ && (id == "" || $4 == id) { split($2, at, /[:@]/); print $1, at[2] }'
}

slot() { redis CLUSTER KEYSLOT "$1"; }

kill_node() { # ID PORT, as one word
  local name=redis-${1#* }
  kill -KILL "${processes[$name]}"
  wait "${processes[$name]}" 2>/dev/null || true
  unset "processes[$name]"
}

start_killed() {
  local port
  for port in "${ports[@]}"; do
    [[ -n ${processes[redis-$port]:-} ]] || start_node "$port"
  done
}

more() {
  local replica
  read -r _ replica <<<"$(replicas)"
  cat <<SCREEN
    redis-cli --cluster rebalance 127.0.0.1:${ports[0]}
    redis-cli -p $replica CLUSTER FAILOVER

  The last two give each primary as many slots, and have a replica take over.
SCREEN
}
