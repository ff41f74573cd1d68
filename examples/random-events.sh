# Random events in the demo's cluster, for `demo.sh --cluster --tour random`, which sources this file: until Ctrl-C slots move,
# replicas take over, and nodes are killed or frozen for up to 45 seconds. A next one comes once the cluster has recovered.
# shellcheck shell=bash disable=SC2154  # variables and functions of demo.sh and cluster.sh

random_events() {
  local events=(move take_over die freeze)
  printf '\n  Random events, each after the cluster has recovered from the one before:\n\n'
  while true; do
    pause $((5 + RANDOM % 20))
    "${events[RANDOM % ${#events[@]}]}"
    until_true 120 is_whole || fail "the cluster did not recover" create
    event "recovered"
  done
}

event() { printf '  %s  %s\n' "$(date --utc +%FT%TZ)" "$*"; }

pause() { # SECONDS
  local end=$((SECONDS + $1))
  while ((SECONDS < end)); do
    fail_if_ended
    sleep 1
  done
}

# Every node serves, and every primary has a replica that has its data.
is_whole() {
  local port info
  is_served || return 1
  for port in "${ports[@]}"; do
    info=$(redis-cli -p "$port" INFO replication 2>/dev/null)
    [[ $info == *role:slave*master_link_status:up* || $info == *role:master*state=online* ]] || return 1
  done
  # All of them know it.
  [[ $(for port in "${ports[@]}"; do redis-cli -p "$port" CLUSTER NODES 2>/dev/null; done | grep -cE ' [^ ]*(fail|handshake)[^ ]* ') == 0 ]]
}

any_port() { echo "${ports[RANDOM % ${#ports[@]}]}"; }

# Up to 3,000 slots of the primary that has most of them go to another one.
move() {
  local from to count primaries
  mapfile -t primaries < <(primaries_by_slots)
  ((${#primaries[@]} > 1)) || return 0
  from=${primaries[0]} to=${primaries[1 + RANDOM % (${#primaries[@]} - 1)]} count=$((100 + RANDOM % 2900))
  event "$count slots move from ${from#* } to ${to#* }"
  redis-cli --cluster reshard "127.0.0.1:${to#* }" --cluster-from "${from% *}" --cluster-to "${to% *}" \
    --cluster-slots "$count" --cluster-yes >"$work/reshard.log" 2>&1 || fail "the slots did not move" reshard
}

# The ID and the port of each primary with slots, the one with most of them first.
primaries_by_slots() {
  redis CLUSTER NODES | awk '
    $3 ~ /master/ && NF > 8 {
      slots = 0
      for (field = 9; field <= NF; field++) {
        split($field, range, "-")
        slots += range[2] == "" ? 1 : range[2] - range[1] + 1
      }
      split($2, at, /[:@]/)
      print slots, $1, at[2]
    }' | sort -rn | cut -d " " -f 2-
}

take_over() {
  local replica
  replica=$(replicas | shuf -n 1)
  event "${replica#* } takes over from its primary"
  redis-cli -p "${replica#* }" CLUSTER FAILOVER >/dev/null
}

die() {
  local port seconds=$((1 + RANDOM % 45))
  port=$(any_port)
  event "$port ($(role "$port")) is killed, and restarted after $seconds s"
  kill_node "- $port"
  pause "$seconds"
  start_killed
}

freeze() {
  local port seconds=$((1 + RANDOM % 45))
  port=$(any_port)
  event "$port ($(role "$port")) stands still for $seconds s"
  kill -STOP "${processes[redis-$port]}"
  pause "$seconds"
  kill -CONT "${processes[redis-$port]}"
}

role() { redis-cli -p "$1" ROLE | head -n 1 | sed 's/master/primary/; s/slave/replica/'; }
