#!/usr/bin/env bash
# Unpacks the programs that tests compare with into a folder: no service is started. Installed are only curl, where it is
# missing, and a link to the templates that Debian's Alertmanager looks for at a fixed place.
#
#   tools.sh DIR    DIR/bin then has prometheus, promtool, alertmanager, amtool and redis_exporter
set -euo pipefail
dir=${1:?usage: tools.sh DIR}
mkdir -p "$dir/bin" "$dir/deb"
dir=$(cd "$dir" && pwd)
templates=/usr/share/prometheus/alertmanager
programs=(prometheus promtool alertmanager amtool redis_exporter)

is_complete() {
  local program
  for program in "${programs[@]}"; do [[ -x $dir/bin/$program ]] || return 1; done
  [[ -e $templates/default.tmpl ]] && command -v curl >/dev/null
}
is_complete && exit

sudo=$([[ $(id -u) == 0 ]] || echo sudo)
$sudo apt-get update -q
command -v curl >/dev/null ||
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends curl ca-certificates
cd "$dir/deb"
apt-get download -q prometheus prometheus-alertmanager prometheus-redis-exporter
for package in ./*.deb; do dpkg -x "$package" "$dir"; done
ln -sf ../usr/bin/prometheus ../usr/bin/promtool ../usr/bin/amtool "$dir/bin"
ln -sf ../usr/bin/prometheus-redis-exporter "$dir/bin/redis_exporter"
ln -sf ../usr/bin/prometheus-alertmanager "$dir/bin/alertmanager"
if [[ ! -e $templates/default.tmpl ]]; then
  $sudo mkdir -p "$(dirname "$templates")"
  $sudo ln -sfn "$dir$templates" "$templates"
fi
