#!/usr/bin/env python3
"""What Streamwarden costs, in one table a workload: beside redis_exporter on the same data, with many rules and names, and
against a client that only asks.

Starts Redis and everything else by itself, on free ports of the loopback, and ends them. Needs Linux (/proc) and nothing but
Python's standard library.
"""

import argparse
import signal
import sys
from pathlib import Path

import own
import peer

WORKLOADS = {name: peer.costs(name) for name in peer.DATA} | {
    "pages": peer.pages,
    "rules": own.rules,
    "names": own.names,
    "floor": own.floor,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"of: {'; '.join(WORKLOADS)}; all by default")
    parser.add_argument("--streamwarden", default="target/release/streamwarden")
    parser.add_argument("--also", metavar="PROGRAM", help="another Streamwarden, beside the first in the same run")
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    for name in options.workload or WORKLOADS:
        WORKLOADS[name](options)


if __name__ == "__main__":
    main()
