#!/usr/bin/env bash
# A private Redis, the example application and the sidecar, with a tour of what goes wrong with streams. Runs until Ctrl-C
# and leaves nothing behind.
#
#   demo.sh [--cluster] [--tour enter|auto|none] PROGRAM NEXUS    the built sidecar and the built application
#
# With --cluster it is a cluster of three primaries with replicas, and the tour is of what happens to those. `--tour random`
# then has random events in place of the tour, until Ctrl-C.
#
# The tour waits for Enter at each step (`enter`, the default at a terminal), or goes on once the sidecar has reported the
# step (`auto`, the default elsewhere).
set -euo pipefail
usage='usage: demo.sh [--cluster] [--tour enter|auto|none] PROGRAM NEXUS'
kind=one-server
if [[ ${1:-} == --cluster ]]; then
  kind=cluster
  shift
fi
tour=$([[ -t 0 && -t 1 ]] && echo enter || echo auto)
if [[ ${1:-} == --tour ]]; then
  tour=${2:?$usage}
  shift 2
fi
[[ $tour =~ ^(enter|auto|none)$ || $kind-$tour == cluster-random ]] || { echo "$usage" >&2; exit 2; }
streamwarden=$(realpath "${1:?$usage}")
nexus=$(realpath "${2:?$usage}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-demo.XXXXXX")
declare -A processes=()
nexus_flags=()

# shellcheck source=examples/tour.sh
source "$here/tour.sh"
# shellcheck source=examples/one-server.sh
source "$here/$kind.sh"
# shellcheck source=examples/random-events.sh
source "$here/random-events.sh"

stop() {
  trap - EXIT INT TERM
  for name in consumers publisher streamwarden "${!processes[@]}"; do
    end "$name"
  done
  wait
  rm -rf "$work"
}
trap stop EXIT
trap 'echo; echo "stopping"; exit 0' INT TERM

free() { # PORT: whether it is free
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
  # Without the terminal, so that nothing else reads the Enter of the tour, or ends by Ctrl-C before it is ended below.
  setsid "$@" >>"$work/$name.log" 2>&1 </dev/null &
  processes[$name]=$!
}

end() { # NAME
  local pid=${processes[$1]:-}
  [[ -n $pid ]] || return 0
  unset "processes[$1]"
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

consume() { # FLAGS...: the application's consumers, in place of those before
  end consumers
  application consumers --rate 0 --retry 1s "$@"
}

application() { # NAME FLAGS...
  local name=$1
  shift
  start "$name" env "REDIS_URI=$servers" "$nexus" "${nexus_flags[@]}" "$@"
}

fail_if_ended() {
  local name
  for name in "${!processes[@]}"; do
    kill -0 "${processes[$name]}" 2>/dev/null && continue
    fail "$name has ended" "$name"
  done
}

fail() { # MESSAGE PROCESS: with the end of its log
  echo "$1; the end of its log:" >&2
  tail -n 20 "$work/$2.log" >&2
  exit 1
}

until_true() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    fail_if_ended
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

answers() { [[ $(redis-cli -p "$1" PING 2>&1) == PONG ]]; } # PORT
streams_exist() {
  local kind
  for kind in session training project user simulation; do
    [[ $(redis EXISTS "events:$kind") == 1 ]] || return 1
  done
}
all_healthy() { "$streamwarden" status --url "$page" >/dev/null 2>&1; }

# Of one address or of all nodes, for the application. The sidecar needs only one.
servers=
what=
start_redis
page_port=$(port_from 19121)
page=http://127.0.0.1:$page_port
export REDIS_URI=${servers%% *}
application publisher --consumers 0 --rate 50
consume
until_true 20 streams_exist || fail "the application did not write to its streams" publisher
start streamwarden "$streamwarden" --config "$here/demo.yaml" --listen "127.0.0.1:$page_port"
until_true 60 all_healthy || fail "the sidecar did not report all streams as healthy" streamwarden

cat <<SCREEN

  Streamwarden watches $what. An example application publishes 50 events
  a second to five streams; each has a group with two consumers. All streams are healthy.

    Page      $page/
    Terminal  $(command_line "$streamwarden" status --url "$page")
    Logs      $work/

  Ctrl-C stops everything and removes it.
SCREEN

case $tour in
  none) ;;
  random) random_events ;;
  *) tour ;;
esac

cat <<SCREEN

  More to try in another terminal:

    $(command_line "$streamwarden" status --url "$page" --watch)
    REDIS_URI=$REDIS_URI $(command_line "$streamwarden" doctor)
SCREEN
more

while true; do
  fail_if_ended
  sleep 1
done
