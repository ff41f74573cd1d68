#!/usr/bin/env bash
# Holds the dashboards against what Grafana publishes: its schema from npm, and its SDK from PyPI. Needs Node.js, npm and
# Python with venv.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/grafana
schema=@grafana/schema@13.2.3 generator=ts-json-schema-generator@2.4.0 validator=ajv@8.20.0
sdk='grafana-foundation-sdk==1769699998!10.1.0'

wanted="$schema $generator $validator $sdk"
if [[ $(cat "$tools/installed.txt" 2>/dev/null) != "$wanted" ]]; then
  mkdir -p "$tools"
  npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel error "$schema" "$generator" "$validator"
  python3 -m venv --clear "$tools/python"
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check "$sdk"
  echo "$wanted" >"$tools/installed.txt"
fi
node tests/grafana/schema.mjs "$tools/node_modules" dashboards/*.json
"$tools/python/bin/python" tests/grafana/round_trip.py dashboards/*.json
