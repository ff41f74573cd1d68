#!/usr/bin/env bash
# Instructions of one run of each micro-benchmark: those of eleven runs less those of one, so that preparation is not
# counted. Unlike times, they do not depend on the machine's load. `make bench-instructions` builds what this needs.
set -euo pipefail
bench=$(find "${CARGO_TARGET_DIR:-target}/release/deps" -name 'micro-*' ! -name '*.d' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
runs=10

instructions() { # BENCHMARK SAMPLES
  valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    "$bench" --bench --exact "micro::$1" --sample-count "$2" --sample-size 1 2>&1 >/dev/null | sed -n 's/.*Collected : *//p'
}

for name in read_replies judge 'write_page::Identity' 'write_page::Gzip'; do
  all=$(instructions "$name" $((runs + 1)))
  one=$(instructions "$name" 1)
  printf '%-22s %15d instructions\n' "$name" $(((all - one) / runs))
done
