# What the demo's tours have in common; `demo.sh` sources this file, and the tour of its kind. Each step of a tour changes
# something, waits until the sidecar reports it, shows where, and repairs it.
# shellcheck shell=bash disable=SC2154  # variables and functions of demo.sh and of the tours

# How long the sidecar may take to report a step, and its end.
readonly REPORT_SECONDS=90

step() { # NUMBER TITLE STREAM PATTERN TEXT...
  local number=$1 title=$2 stream=$3 pattern=$4 began
  shift 4
  printf '\n[%s/%s] %s\n\n' "$number" "$steps" "$title"
  printf '  %s\n' "$@"
  # What is reported then must not be left from the step before.
  until_true "$REPORT_SECONDS" is_new "$stream" "$pattern" || fail "step $number was reported before it began" streamwarden
  began=$SECONDS
  "break_$number" >/dev/null
  until_true "$REPORT_SECONDS" reports "$stream" "$pattern" || fail "the sidecar did not report step $number" streamwarden
  printf '\n  Reported %s s later:\n\n' $((SECONDS - began))
  report "$stream" | sed -nE 's/^(health|blocked|node) +|.*, (the last poll failed)/    \2/p'
  printf '\n    Page      %s/#stream=%s\n' "$page" "${stream/:/%3A}"
  printf '    Terminal  %s\n' "$(command_line "$streamwarden" status --url "$page" "$stream")"
  go_on "$number"
  ! is_fault "$number" || "repair_$number" >/dev/null
  until_true "$REPORT_SECONDS" all_healthy || fail "the sidecar did not report the end of step $number" streamwarden
  ! is_fault "$number" || printf '\n  Repaired: all streams are healthy.\n'
}

# The exit code is the stream's health, which is no failure here.
report() { "$streamwarden" status --url "$page" "$1" || true; }
reports() { report "$1" | tr "\n" " " | grep -Eq -- "$2"; }
is_new() { ! reports "$@"; }

# Whether there is something to repair.
is_fault() { declare -F "repair_$1" >/dev/null; }

# A command as it can be pasted into a shell.
command_line() {
  printf '%q ' "$@" | sed 's/ $//'
}

go_on() { # NUMBER
  [[ $tour == enter ]] || return 0
  printf '\n  Press Enter to %sgo on. ' "$(! is_fault "$1" || echo "repair it and ")"
  while true; do
    read -r -t 1 && return 0
    # Above 128 it was the time limit, else the end of the input. After an `if` it would be 0.
    (($? > 128)) || return 0
    fail_if_ended
  done
}
