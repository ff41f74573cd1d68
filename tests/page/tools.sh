#!/usr/bin/env bash
# What the tests of the page need beside Node.js: Debian's browser, and two packages, unpacked into a folder.
#
#   tools.sh DIR    DIR/node_modules then has playwright-core and axe-core
set -euo pipefail
dir=${1:?usage: tools.sh DIR}
# The last one that runs on Debian's Node.js 18.
playwright='playwright-core@1.60.0'
axe='axe-core@4.14.1'

if ! command -v chromium >/dev/null; then
  sudo=$([[ $(id -u) == 0 ]] || echo sudo)
  $sudo apt-get update -q
  # A font, since a browser without one has nothing to measure.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-dejavu-core
fi

have() { # NAME@VERSION: whether it is there
  grep -qs "\"version\": \"${1#*@}\"" "$dir/node_modules/${1%@*}/package.json"
}
have "$playwright" && have "$axe" && exit
mkdir -p "$dir"
npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel error "$playwright" "$axe"
