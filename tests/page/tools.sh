#!/usr/bin/env bash
# What the tests of the page and of the client need beside Node.js: Debian's browser, and packages, unpacked into a folder.
#
#   tools.sh DIR    DIR/node_modules then has the packages
set -euo pipefail
dir=${1:?usage: tools.sh DIR}
packages=(
  # The last one that runs on Debian's Node.js 18.
  playwright-core@1.60.0
  axe-core@4.14.1
  openapi-fetch@0.17.0
  openapi-typescript@7.13.0
  # The last series that openapi-typescript takes.
  typescript@5.9.3
)

if ! command -v chromium >/dev/null; then
  sudo=$([[ $(id -u) == 0 ]] || echo sudo)
  $sudo apt-get update -q
  # A font, since a browser without one has nothing to measure.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-dejavu-core
fi

missing=()
for package in "${packages[@]}"; do
  grep -qs "\"version\": \"${package#*@}\"" "$dir/node_modules/${package%@*}/package.json" || missing+=("$package")
done
((${#missing[@]} == 0)) && exit
mkdir -p "$dir"
npm install --prefix "$dir" --no-save --no-audit --no-fund --loglevel error "${packages[@]}"
