#!/usr/bin/env python3
"""Commands that the sidecar sends in an hour with `redis.billed_by_command`, as the server counts them, and in 30 days.

Runs three servers and three sidecars side by side. Each has five named streams with one group and `max_length`; other settings
have their defaults. An application adds an entry per second to each stream and reads one. All calls in `INFO commandstats` are
counted, including those inside scripts, except those of the application and of this script.
Fails if a case reaches 500,000 in 30 days, but only after an hour or more: in a shorter time the first runs of retention, which
are all within a minute, and the initially full budget of lookups weigh too much. Needs only Python's standard library.
"""

import argparse
import collections
import contextlib
import sys
import tempfile
import threading
import time
from pathlib import Path

from lab import DEADLINE, Redis, free_port, running

MONTH = 30 * 24 * 3600
FREE_TIER = 500_000
HOUR = 3600
STREAMS = [f"events:{number}" for number in range(5)]


class Counted(Redis):
    """A connection that counts the commands that it sends, by their names in `INFO commandstats`."""

    def __init__(self, port, own):
        super().__init__(port)
        self.own = own

    def send(self, commands):
        for command in commands:
            name = command[0].lower()
            self.own[f"{name}|{command[1].lower()}" if name == "xgroup" else name] += 1
        return super().send(commands)


# The limit, which is also the initial number of entries, and how many of them are unread. In the last case the first
# stream has twice as many and its oldest entry stays pending, so nothing can be removed.
CASES = {
    "all caught up": {"limit": 1000, "unread": 0},
    "all lagging": {"limit": 5000, "unread": 3000},
    "one stream blocked": {"limit": 1000, "unread": 0, "blocked": True},
}


def read(redis, stream, consumer, count):
    """Reads entries for this consumer, and returns their IDs."""
    got = redis.send([("XREADGROUP", "GROUP", "group", consumer, "COUNT", count, "STREAMS", stream, ">")])
    return [entry[0] for entry in got[0][1]]


def prepare(redis, limit, unread, blocked=False):
    for stream in STREAMS:
        is_blocked = blocked and stream == STREAMS[0]
        count = 2 * limit if is_blocked else limit
        redis.send([("XADD", stream, "*", "field", "value")] * count)
        redis.send([("XGROUP", "CREATE", stream, "group", "0")])
        if is_blocked:
            read(redis, stream, "stuck", 1)
        redis.send([("XACK", stream, "group", *read(redis, stream, "worker", count - unread))])


def work(redis, stop):
    """Each second adds and reads an entry of each stream, and acknowledges the one before."""
    held = {}
    while not stop.wait(1):
        for stream in STREAMS:
            redis.send([("XADD", stream, "*", "field", "value")])
            entry = read(redis, stream, "worker", 1)
            if stream in held:
                redis.send([("XACK", stream, "group", *held[stream])])
            held[stream] = entry


def calls(redis):
    lines = redis.send([("INFO", "commandstats")]).decode().splitlines()
    fields = (line.removeprefix("cmdstat_").split(":calls=") for line in lines if line.startswith("cmdstat_"))
    return collections.Counter({name: int(rest.split(",")[0]) for name, rest in fields})


def start(stack, program, server, case):
    port, own = free_port(), collections.Counter()
    stack.enter_context(running([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]))
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            redis = Counted(port, own)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    prepare(redis, **case)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    rules = "".join(f"  - {{match: '{stream}', groups: [group], retention: {{max_length: {case['limit']}}}}}\n" for stream in STREAMS)
    config = directory / "config.yaml"
    config.write_text(f"redis: {{uri: 'redis://127.0.0.1:{port}', billed_by_command: true}}\nstreams:\n{rules}")
    before, stop = calls(redis), threading.Event()
    own.clear()
    worker = threading.Thread(target=work, args=(Counted(port, own), stop), daemon=True)
    stack.callback(stop.set)
    worker.start()
    sidecar = stack.enter_context(running([program, "--config", str(config), "--listen", f"127.0.0.1:{free_port()}"]))

    def end():
        if sidecar.poll() is not None:
            raise RuntimeError("the sidecar ended")
        if not worker.is_alive():
            raise RuntimeError("the application ended")
        stop.set()
        worker.join()
        sent = calls(redis) - before - own
        return +sent

    return end


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/streamwarden")
    parser.add_argument("--server", default="redis-server")
    parser.add_argument("--seconds", type=float, default=HOUR)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        ends = {name: start(stack, options.program, options.server, case) for name, case in CASES.items()}
        time.sleep(options.seconds)
        sent = {name: end() for name, end in ends.items()}
    times, is_over = MONTH / options.seconds, False
    for name, counted in sent.items():
        month = round(sum(counted.values()) * times)
        is_over |= month >= FREE_TIER and options.seconds >= HOUR
        print(f"{name}: {sum(counted.values())} in {options.seconds:.0f} s, {month:,} in 30 days")
        print("  " + ", ".join(f"{command} {count}" for command, count in counted.most_common()))
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
