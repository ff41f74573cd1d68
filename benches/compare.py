#!/usr/bin/env python3
"""Costs of Streamwarden, one table per workload: compared with redis_exporter on the same data, with many rules and names, and
compared with a client that only sends the commands.

Starts Redis and everything else itself, on free loopback ports, and stops them. Needs Linux (/proc) and only Python's standard
library.
"""

import argparse
import signal
import sys
from pathlib import Path

import own
import peer
import sharded

WORKLOADS = {name: peer.costs(name) for name in peer.DATA} | {
    "pages": peer.pages,
    "rules": own.rules,
    "names": own.names,
    "floor": own.floor,
    "cluster": sharded.cluster,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"of: {'; '.join(WORKLOADS)}; all by default")
    parser.add_argument("--streamwarden", default="target/release/streamwarden")
    parser.add_argument("--also", metavar="PROGRAM", help="another build of Streamwarden to measure in the same run")
    parser.add_argument("--peer", default="target/tools/bin/redis_exporter")
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="without redis_exporter")
    options = parser.parse_args()
    options.programs = {"streamwarden": options.streamwarden}
    if options.also:
        options.programs[Path(options.also).name + " (also)"] = options.also
    first, *others = options.programs
    options.ratios = lambda columns: [(first, other) for other in columns if other != first]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the child processes
    for name in options.workload or WORKLOADS:
        WORKLOADS[name](options)


if __name__ == "__main__":
    main()
