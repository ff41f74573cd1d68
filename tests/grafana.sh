#!/usr/bin/env bash
# Holds the dashboards against what Grafana publishes: its schema from npm, and its SDK from PyPI. Needs Node.js, npm and
# Python with venv.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/grafana
# The newest of each series in use.
versions=(10.4.9 11.6.9 12.4.11 13.2.3)
generator=ts-json-schema-generator@2.4.0 validator=ajv@8.20.0
sdk='grafana-foundation-sdk==1769699998!10.1.0'

wanted="${versions[*]} $generator $validator $sdk"
if [[ $(cat "$tools/installed.txt" 2>/dev/null) != "$wanted" ]]; then
  mkdir -p "$tools"
  packages() { npm install --prefix "$1" --no-save --no-audit --no-fund --loglevel error "${@:2}"; }
  packages "$tools" "$generator" "$validator"
  # Each version in a folder of its own, since its files refer to each other by the package's name.
  for version in "${versions[@]}"; do packages "$tools/$version" "@grafana/schema@$version"; done
  python3 -m venv --clear "$tools/python"
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check "$sdk"
  echo "$wanted" >"$tools/installed.txt"
fi
for version in "${versions[@]}"; do
  node tests/grafana/schema.mjs "$tools/node_modules" "$tools/$version/node_modules/@grafana/schema" dashboards/*.json
done
"$tools/python/bin/python" tests/grafana/round_trip.py dashboards/*.json
