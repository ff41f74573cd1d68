#!/usr/bin/env bash
# Checks the types of the page's files (web/jsconfig.json) against the API's description. Needs Node.js and npm.
#
#   check.sh DIR    DIR/node_modules then has TypeScript, and DIR/api.d.ts the types of the API's documents
set -euo pipefail
dir=${1:?usage: check.sh DIR}
root=$(cd "$(dirname "$0")/../.." && pwd)
version=7.0.2

grep -qs "\"version\": \"$version\"" "$dir/node_modules/typescript/package.json" || {
  mkdir -p "$dir"
  npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel error "typescript@$version"
}
node "$root/tests/page/api-types.mjs" "$root/src/views/api/openapi.json" "$dir/api.d.ts"
"$dir/node_modules/.bin/tsc" --project "$root/web/jsconfig.json"
