# One Redis for `demo.sh`, which sources this file: its start, its tour, and more to try.
# shellcheck shell=bash disable=SC2034,SC2154  # variables and functions of demo.sh

readonly steps=4

start_redis() {
  local port
  port=$(port_from 16379)
  start redis-server redis-server --port "$port" --bind 127.0.0.1 --save "" --dir "$work"
  until_true 20 answers "$port" || fail "Redis did not start" redis-server
  servers=redis://127.0.0.1:$port
  what="a private Redis on port $port"
}

redis() { redis-cli -u "$servers" "$@"; }

tour() {
  step 1 "A consumer stops" events:user "stopped +nexus-user-consumers" \
    "The two consumers of nexus-user-consumers stay connected and no longer read, as after a deadlock."
  step 2 "A careless trim" events:project "trimmed_past +nightly-report" \
    "The group nightly-report has read nothing yet when an operator runs XTRIM events:project MAXLEN 10." \
    "Redis's own lag only gets smaller. The sidecar counts the entries that the group has lost."
  step 3 "A poison entry" events:simulation "lagging +nexus-simulation-consumers" \
    "The application receives an entry that it cannot decode, and tries it again every second."
  step 4 "Blocked retention" events:session "blocked +group audit.* no_consumers +audit" \
    "events:session is limited to 200 entries. A new group, audit, reads nothing, and the sidecar does not remove" \
    "entries that a group has not read: the stream grows over its limit."
  printf '\n  That was the tour: all streams are healthy again.\n'
}

break_1() { consume --stop nexus-user-consumers --after 0s; }
repair_1() { consume; }

break_2() {
  redis XGROUP CREATE events:project nightly-report 0
  # What a group loses before its first poll, nobody can know.
  until_true "$REPORT_SECONDS" reports events:project nightly-report
  redis XTRIM events:project MAXLEN 10
}
repair_2() { redis XGROUP DESTROY events:project nightly-report; }

break_3() { redis XADD events:simulation '*' event_type SimulationFailed payload '{' >"$work/poison"; }
repair_3() { redis XACK events:simulation nexus-simulation-consumers "$(<"$work/poison")"; }

break_4() { redis XGROUP CREATE events:session audit 0; }
repair_4() { redis XGROUP DESTROY events:session audit; }

more() {
  local pid=${processes[redis-server]}
  cat <<SCREEN
    REDIS_URI=$REDIS_URI $(command_line "$streamwarden" trim events:user --max-length 100 --dry-run)
    kill -STOP $pid; sleep 10; $(command_line "$streamwarden" status --url "$page"); kill -CONT $pid

  The last one stops Redis for ten seconds: the page says since when its numbers are stale.
SCREEN
}
