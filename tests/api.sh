#!/usr/bin/env bash
# Lets schemathesis try what the JSON API of a sidecar tells, beside a private Redis.
#
#   api.sh PROGRAM    the built sidecar; schemathesis is installed into target/
set -euo pipefail
program=${1:?usage: api.sh PROGRAM}
tool=target/schemathesis
[[ -x $tool/bin/schemathesis ]] || { python3 -m venv "$tool" && "$tool/bin/pip" install -q schemathesis==4.32.5; }
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

redis-server --port 0 --unixsocket "$work/redis.sock" --save "" --dir "$work" >"$work/redis.log" &
pids+=($!)
until redis-cli -s "$work/redis.sock" ping >/dev/null 2>&1; do sleep 0.1; done
redis() { redis-cli -s "$work/redis.sock" "$@" >/dev/null; }
for _ in {1..20}; do redis xadd events:session '*' field value; done
redis xgroup create events:session readers 0
redis xreadgroup group readers alice count 3 streams events:session '>'
redis xadd $'a/\xff b?' '*' field value

export REDIS_URI="redis+unix://$work/redis.sock"
"$program" --listen 127.0.0.1:0 --poll-interval 1s --log-format json 2>"$work/log" &
pids+=($!)
until address=$(grep -o '"listen":"[^"]*"' "$work/log" | cut -d'"' -f4) && [[ $address ]]; do sleep 0.1; done
until curl -sf "http://$address/readyz" >/dev/null; do sleep 0.1; done
"$tool/bin/schemathesis" run "http://$address/api/v1/openapi.json" --url "http://$address" \
  --include-method GET
