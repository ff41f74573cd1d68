#!/usr/bin/env bash
# A private Redis, the example application and the sidecar, until Ctrl-C. Removes everything afterwards.
#
#   demo.sh PROGRAM NEXUS    the built sidecar and the built application
set -euo pipefail
streamwarden=${1:?usage: demo.sh PROGRAM NEXUS}
nexus=${2:?usage: demo.sh PROGRAM NEXUS}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-demo.XXXXXX")
declare -A processes=()

stop() {
  trap - EXIT INT TERM
  for name in nexus streamwarden redis-server; do
    pid=${processes[$name]:-}
    [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
  done
  wait
  rm -rf "$work"
}
trap stop EXIT
trap 'echo; echo "stopping"; exit 0' INT TERM

free() { # PORT: whether nobody listens there
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_from() { # PORT: the first free one from there on
  local port=$1
  until free "$port"; do port=$((port + 1)); done
  echo "$port"
}

start() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  processes[$name]=$!
}

fail_if_ended() {
  local name
  for name in "${!processes[@]}"; do
    kill -0 "${processes[$name]}" 2>/dev/null && continue
    echo "$name has ended; the end of its log:" >&2
    tail -n 20 "$work/$name.log" >&2
    exit 1
  done
}

redis_port=$(port_from 16379)
page_port=$(port_from 19121)
page=http://127.0.0.1:$page_port
export REDIS_URI=redis://127.0.0.1:$redis_port

start redis-server redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --dir "$work"
start nexus "$nexus" --rate 50 --failures 0.002 --retry 20s
start streamwarden "$streamwarden" --config "$here/demo.yaml" --listen "127.0.0.1:$page_port"

for _ in {1..100}; do
  fail_if_ended
  # Plain Bash, since a fresh machine may lack curl. The status is 200 once Redis has been read.
  if exec 3<>"/dev/tcp/127.0.0.1/$page_port"; then
    printf 'GET /readyz?strict=1 HTTP/1.0\r\n\r\n' >&3
    read -r _ status _ <&3 || status=0
    exec 3>&-
    [[ $status == 200 ]] && break
  fi 2>/dev/null
  sleep 0.1
done
[[ ${status:-0} == 200 ]] || { echo "the sidecar did not get ready; the end of its log:" >&2; tail "$work/streamwarden.log" >&2; exit 1; }

cat <<SCREEN

  Streamwarden is watching a private Redis on port $redis_port, where an example application publishes and
  consumes 50 events a second over five streams, each with a group of two consumers.

    page      $page/
    metrics   $page/metrics
    logs      $work/

  Try, in another terminal:

    what moves           curl -s $page/metrics | grep entries_added
    the groups' lag      curl -s $page/metrics | grep -E 'group_lag(_seconds)?\{'
    what waits           curl -s $page/metrics | grep -E 'oldest_pending|poison'
    a lost group         redis-cli -p $redis_port XGROUP DESTROY events:user nexus-user-consumers
    a careless trim      redis-cli -p $redis_port XGROUP CREATE events:user late 0
                         redis-cli -p $redis_port XTRIM events:user MAXLEN 10
                         curl -s $page/metrics | grep entries_lost
    what may be trimmed  REDIS_URI=$REDIS_URI $streamwarden trim events:user --max-length 100 --dry-run
    a hung Redis         kill -STOP ${processes[redis-server]}; sleep 15; kill -CONT ${processes[redis-server]}
    a clean stop         kill ${processes[streamwarden]}

  Ctrl-C stops all of it.

SCREEN

while true; do
  fail_if_ended
  sleep 1
done
