#!/usr/bin/env bash
# Unpacks the programs that the peer tests compare with into a folder: nothing is installed and no service is started.
#
#   tools.sh DIR    DIR/bin then has prometheus, promtool and redis_exporter
set -euo pipefail
dir=${1:?usage: tools.sh DIR}
mkdir -p "$dir/bin" "$dir/deb"
dir=$(cd "$dir" && pwd)
[[ -x $dir/bin/prometheus && -x $dir/bin/promtool && -x $dir/bin/redis_exporter ]] && exit

sudo=$([[ $(id -u) == 0 ]] || echo sudo)
$sudo apt-get update -q
cd "$dir/deb"
apt-get download -q prometheus prometheus-redis-exporter
for package in ./*.deb; do dpkg -x "$package" "$dir"; done
ln -sf ../usr/bin/prometheus ../usr/bin/promtool "$dir/bin"
ln -sf ../usr/bin/prometheus-redis-exporter "$dir/bin/redis_exporter"
