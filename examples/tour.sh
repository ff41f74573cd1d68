# The tour of `demo.sh`, which sources this file: each step breaks something, waits until the sidecar reports it, shows
# where, and repairs it.
# shellcheck shell=bash disable=SC2154  # variables and functions of demo.sh

# How long the sidecar may take to report a step, and its end.
readonly REPORT_SECONDS=90

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

step() { # NUMBER TITLE STREAM PATTERN TEXT...
  local number=$1 title=$2 stream=$3 pattern=$4 began
  shift 4
  printf '\n[%s/4] %s\n\n' "$number" "$title"
  printf '  %s\n' "$@"
  began=$SECONDS
  "break_$number" >/dev/null
  until_true "$REPORT_SECONDS" reports "$stream" "$pattern" || fail "the sidecar did not report step $number" streamwarden
  printf '\n  Reported %s s later:\n\n' $((SECONDS - began))
  report "$stream" | sed -nE 's/^(health|blocked) +/    /p'
  printf '\n    Page      %s/#stream=%s\n' "$page" "${stream/:/%3A}"
  printf '    Terminal  %s\n' "$(command_line "$streamwarden" status --url "$page" "$stream")"
  go_on
  "repair_$number" >/dev/null
  until_true "$REPORT_SECONDS" all_healthy || fail "the sidecar did not report the end of step $number" streamwarden
  printf '\n  Repaired: all streams are healthy.\n'
}

# The exit code is the stream's health, which is no failure here.
report() { "$streamwarden" status --url "$page" "$1" || true; }
reports() { report "$1" | tr "\n" " " | grep -Eq -- "$2"; }

# A command as it can be pasted into a shell.
command_line() {
  printf '%q ' "$@" | sed 's/ $//'
}

go_on() {
  [[ $tour == enter ]] || return 0
  printf '\n  Press Enter to repair it and go on. '
  while true; do
    read -r -t 1 && return 0
    # Above 128 it was the time limit, else the end of the input. After an `if` it would be 0.
    (($? > 128)) || return 0
    fail_if_ended
  done
}
