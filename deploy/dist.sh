#!/usr/bin/env bash
# A release in target/dist: an archive, a Debian package, the Helm chart, a bill of materials, and their checksums. The same
# commit and toolchain give the same bytes. `make dist` installs the tools.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse --short=12 HEAD)
[[ -z $(git status --porcelain --untracked-files=no) ]] || revision+=-modified
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
grep -q "^## $version" CHANGELOG.md || { echo "dist: CHANGELOG.md has no section $version" >&2; exit 1; }
archive() { # FOLDER NAME OPTIONS: the same bytes each time
  tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" "${@:3}" \
    --directory "$1" "$2" | gzip --no-name
}
build=target/release-build
tools=target/tools/bin

# Without this machine's paths in the binary.
RUSTFLAGS="--remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" STREAMWARDEN_REVISION=$revision \
  cargo build --locked --release --bin streamwarden --target-dir "$build"
rm -rf target/manual
cargo xtask manual

target=$(rustc -vV | sed -n 's/^host: //p')
name=streamwarden-$version-$target
dist=target/dist
rm -rf "$dist"
mkdir -p "$dist/$name/deploy"
cp "$build/release/streamwarden" LICENSE README.md README.zh-CN.md CHANGELOG.md SECURITY.md "$dist/$name/"
# Not Compose and the image: they build from the sources. The chart's links become the files that they lead to.
cp -rL deploy/README.md deploy/helm deploy/kubernetes deploy/systemd deploy/streamwarden.schema.json "$dist/$name/deploy/"
cp -r alerts dashboards mixin docs target/manual/man1 target/manual/completions "$dist/$name/"
sums=$(cd "$dist/$name" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
echo "$sums" >"$dist/$name/SHA256SUMS"
archive "$dist" "$name" >"$dist/$name.tar.gz"
rm -r "${dist:?}/$name"
archive deploy/helm streamwarden --dereference >"$dist/streamwarden-$version.tgz"
CARGO_TARGET_DIR=$build "$tools/cargo-deb" deb --quiet --locked --no-build --no-strip --output "$dist/"
# Of what is linked into the program, on this target.
"$tools/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target "$target" \
  --override-filename bill-of-materials
deploy/bill_of_materials.py "$target" <bill-of-materials.json >"$dist/$name.cdx.json"
rm -f {,examples/nexus/,tests/,xtask/}bill-of-materials.json
(cd "$dist" && sha256sum -- * >SHA256SUMS)

# As its users will: unpacked elsewhere, checked and run.
work=$(mktemp -d "${TMPDIR:-/tmp}/streamwarden-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$dist" && sha256sum --check --quiet SHA256SUMS)
tar --extract --gzip --file "$dist/$name.tar.gz" --directory "$work"
(cd "$work/$name" && sha256sum --check --quiet SHA256SUMS)
said=$("$work/$name/streamwarden" --version)
[[ $said == "streamwarden $version (revision $revision; features: jemalloc, otlp)" ]] ||
  { echo "dist: the binary says $said" >&2; exit 1; }
dpkg-deb --extract "$dist"/streamwarden_*.deb "$work/deb"
cmp "$work/$name/streamwarden" "$work/deb/usr/bin/streamwarden"
make --no-print-directory smoke PROGRAM="$work/$name/streamwarden"
! grep -qaF "$PWD" "$work/$name/streamwarden" || { echo "dist: the binary names a path of this machine" >&2; exit 1; }
echo "$said"
(cd "$dist" && stat --format '%s %n' -- * && cat SHA256SUMS)
