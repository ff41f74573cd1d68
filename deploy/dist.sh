#!/usr/bin/env bash
# A release in target/dist: one archive and its checksum. The same commit and toolchain give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse --short=12 HEAD)
[[ -z $(git status --porcelain --untracked-files=no) ]] || revision+=-modified
time=$(git log -1 --format=%ct)
grep -q "^## $version" CHANGELOG.md || { echo "dist: CHANGELOG.md has no section $version" >&2; exit 1; }

# Without this machine's paths in the binary.
export RUSTFLAGS="--remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
STREAMWARDEN_VERSION="$version ($revision)" \
  cargo build --locked --release --bin streamwarden --target-dir target/release-build

name=streamwarden-$version-$(rustc -vV | sed -n 's/^host: //p')
dist=target/dist
rm -rf "$dist"
mkdir -p "$dist/$name/deploy"
cp target/release-build/release/streamwarden LICENSE README.md README.zh-CN.md CHANGELOG.md SECURITY.md "$dist/$name/"
# Not Compose and the image: they build from the sources.
# The chart's links become the files that they lead to.
cp -rL deploy/README.md deploy/helm deploy/kubernetes deploy/streamwarden.schema.json "$dist/$name/deploy/"
cp -r alerts dashboards docs "$dist/$name/"
rm -rf target/manual
env -u RUSTFLAGS cargo xtask manual
cp -r target/manual/man1 target/manual/completions "$dist/$name/"
sums=$(cd "$dist/$name" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
echo "$sums" >"$dist/$name/SHA256SUMS"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$time" \
  --directory "$dist" "$name" | gzip --no-name >"$dist/$name.tar.gz"
rm -r "${dist:?}/$name"
(cd "$dist" && sha256sum "$name.tar.gz" >SHA256SUMS)

# As its users will: unpacked elsewhere, checked and run.
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$dist" && sha256sum --check --quiet SHA256SUMS)
tar --extract --gzip --file "$dist/$name.tar.gz" --directory "$work"
(cd "$work/$name" && sha256sum --check --quiet SHA256SUMS)
said=$("$work/$name/streamwarden" --version)
[[ $said == "streamwarden $version ($revision)" ]] || { echo "dist: the binary says $said" >&2; exit 1; }
env -u RUSTFLAGS make --no-print-directory smoke PROGRAM="$work/$name/streamwarden"
! grep -qaF "$PWD" "$work/$name/streamwarden" || { echo "dist: the binary names a path of this machine" >&2; exit 1; }
echo "$dist/$name.tar.gz: $said, $(stat -c %s "$dist/$name.tar.gz") bytes"
