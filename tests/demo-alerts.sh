#!/usr/bin/env bash
# Random events in the demo's cluster under a real Prometheus with the shipped alerts: fails if one fires that wakes somebody. All
# events are over before any such alert is due. Alerts that wake nobody are listed, as are the events.
#
#   demo-alerts.sh MINUTES PROGRAM NEXUS TOOLS    the built sidecar and application, and the folder of prometheus
set -euo pipefail
usage='usage: demo-alerts.sh MINUTES PROGRAM NEXUS TOOLS'
seconds=$((60 * ${1:?$usage}))
program=${2:?$usage} nexus=${3:?$usage} tools=${4:?$usage}
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-demo-alerts.XXXXXX")

stop() {
  trap - EXIT INT TERM
  kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
pids=()
trap stop EXIT
trap 'exit 130' INT TERM

"$project/examples/demo.sh" --cluster --tour random "$program" "$nexus" >"$work/demo.log" 2>&1 &
pids+=($!)
wait_for() { # WHAT COMMAND...
  local end=$((SECONDS + 120)) what=$1
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)) || ! kill -0 "${pids[@]}" 2>/dev/null; then
      echo "waited in vain for $what" >&2
      cat "$work"/*.log >&2
      exit 1
    fi
    sleep 0.2
  done
}
wait_for "the demo" grep -q "Random events" "$work/demo.log"
page=$(sed -nE 's|^ +Page +http://(.*)/$|\1|p' "$work/demo.log")

cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 15s, evaluation_interval: 15s}
rule_files: [$project/alerts/streamwarden.rules.yml]
scrape_configs:
  - {job_name: streamwarden, static_configs: [{targets: ["$page"]}]}
YAML
# A port that was free a moment ago.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$tools/prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
  >"$work/prometheus.log" 2>&1 &
pids+=($!)
wait_for "Prometheus" curl --fail --silent "http://127.0.0.1:$port/-/ready"

end=$((SECONDS + seconds))
while ((SECONDS < end)); do
  kill -0 "${pids[@]}" || { cat "$work/demo.log" >&2; exit 1; }
  sleep 5
done

query() { # EXPRESSION: its series, one a line, each with its value
  curl --fail --silent --get --data-urlencode "query=$1" "http://127.0.0.1:$port/api/v1/query" |
    python3 -c '
import json, sys
for series in json.load(sys.stdin)["data"]["result"]:
    labels = {name: value for name, value in series["metric"].items() if name not in ("__name__", "instance", "job")}
    print(f"  {series['"'value'"'][1]}", labels)'
}
grep -E '^  [0-9-]+T' "$work/demo.log"
over="[${seconds}s]"
counted() { # METRIC LABELS
  echo " $1"
  query "sum by ($2) (increase($1$over)) > 0"
}
echo "polls and failures:"
for counter in polls poll_failures stream_read_failures cluster_redirects; do
  counted "streamwarden_${counter}_total" "reason, kind"
done
echo "what nobody caused:"
for counter in group_entries_lost group_entries_lost_upper_bound group_rewinds group_pending_dropped stream_recreations; do
  counted "streamwarden_${counter}_total" "stream, group"
done
echo "evaluations of each alert while it was pending or firing:"
query "sort_desc(sum by (alertname, alertstate, severity) (count_over_time(ALERTS$over)))"
pages=$(query "count_over_time(ALERTS{alertstate=\"firing\", severity=\"critical\"}$over)")
[[ -z $pages ]] || { printf 'false pages:\n%s\n' "$pages" >&2; exit 1; }
echo "no page in $((seconds / 60)) minutes"
