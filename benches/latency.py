#!/usr/bin/env python3
"""How close Streamwarden's times of entries are to those that the consumers measure, one table per server and rate.

One stream has a group for each way of reading. Each consumer notes how long each entry took until it was delivered to it, and until it was
acknowledged. Starts Redis and everything else itself, on free loopback ports, and stops them. Needs Linux (/proc) and only Python's
standard library.
"""

import argparse
import json
import math
import multiprocessing
import random
import re
import signal
import sys
import time

from lab import Redis, cpu_of, encode, get, page, redis_with, sidecar, stream_name, table, value

TICK_MS = 250
OBJECTIVE_MS = {"delivery": 3000, "handled": 6000}
STREAM = "events"
ENTRY = re.compile(rb"\$\d+\r\n(\d{13})(-\d+)\r\n\*\d+\r\n")
END = b"$3\r\nEND\r\n"
READ_ALL = 1_000_000


class Consumer:
    """Reads for one group, and notes the milliseconds that entries took."""

    def __init__(self, port, name, rate):
        self.redis, self.name, self.rate = Redis(port), name, rate
        self.delivered, self.handled = [], []

    def read(self, count=READ_ALL, after=">"):
        """The IDs of entries, and the milliseconds of the answer's first byte."""
        read = ("XREADGROUP", "GROUP", self.name, "c", "COUNT", count, "BLOCK", 100, "STREAMS", STREAM, after)
        self.redis.socket.sendall(encode([read, ("ECHO", "END")]))
        self.redis.file.peek(1)
        at, parts = time.time() * 1000, []
        while not (parts and parts[-1] == b"END\r\n"):
            parts.append(self.redis.file.readline())
        ids = [(int(ms), ms + seq) for ms, seq in ENTRY.findall(b"".join(parts))]
        if after == ">":
            self.delivered.extend(at - ms for ms, _ in ids)
        return ids

    def acknowledge(self, ids):
        if ids:
            self.redis.send([("XACK", STREAM, self.name, *(whole for _, whole in ids))])
            at = time.time() * 1000
            self.handled.extend(at - ms for ms, _ in ids)

    def fast(self):
        self.acknowledge(self.read())

    def batching(self):
        self.acknowledge(self.read())
        time.sleep(0.3)

    def slow(self):
        ids = self.read()
        time.sleep(1)
        self.acknowledge(ids)

    def bursty(self):
        end = time.time() + random.uniform(2, 5)
        while time.time() < end:
            self.acknowledge(self.read())
        time.sleep(random.uniform(0.5, 2.5))

    def crashing(self):
        """Ends with a batch that it has not acknowledged, and goes on with it after a restart."""
        end = time.time() + random.uniform(2, 4)
        while time.time() < end:
            self.acknowledge(self.read())
        self.read()
        time.sleep(1.5)
        self.acknowledge(self.read(after="0"))

    def behind(self):
        """Handles two thirds of what arrives."""
        count = max(1, self.rate // 100)
        ids = self.read(count)
        time.sleep(len(ids) / self.rate * 1.5)
        self.acknowledge(ids)


KINDS = ("fast", "batching", "slow", "bursty", "crashing", "behind")


def consume(port, name, rate, stop, results):
    consumer = Consumer(port, name, rate)
    while not stop.is_set():
        getattr(consumer, name)()
    results.put((name, sorted(consumer.delivered), sorted(consumer.handled)))


def produce(port, rate, stop):
    redis, start, sent = Redis(port), time.time(), 0
    one = encode([("XADD", STREAM, "*", "event_type", "SessionCreated", "payload", "v" * 100)])
    while not stop.is_set():
        due = min(int((time.time() - start) * rate) - sent, 1000)
        if due > 0:
            redis.socket.sendall(one * due)
            for _ in range(due):
                redis.reply()
            sent += due
        time.sleep(0.002)


def quantile(truth, percent):
    return truth[max(0, math.ceil(len(truth) * percent / 100) - 1)]


def compared(stage, truth, what, name):
    """A row of the table, the greatest difference in ticks, and the share of entries that are left out or unknown."""
    cells, worst = [], 0
    for percent in (50, 95, 99):
        mine, theirs = (stage[f"p{percent}"] or {}).get("seconds", math.nan) * 1000, quantile(truth, percent)
        worst = max(worst, abs(mine - theirs) / TICK_MS)
        cells.append(f"{mine:,.0f} / {theirs:,.0f}")
    mean, true_mean = stage["mean_seconds"] * 1000, sum(truth) / len(truth)
    counted = stage["entries"] + stage["left_out"]
    left_out, unknown = stage["left_out"] / len(truth), (stage["unknown"] or 0) / len(truth)
    cells += [f"{mean:,.0f} / {true_mean:,.0f}", f"{worst:.2f}", f"{counted:,} / {len(truth):,}"]
    cells += [f"{left_out:.2%}", f"{unknown:.2%}"]
    print(f"| {name} | {what} | {' | '.join(cells)} |", flush=True)
    return worst


def run(options, server, rate):
    kinds = options.kind or KINDS
    slo = ", ".join(f"{key}: {ms}ms" for key, ms in OBJECTIVE_MS.items())
    more = f"latency: {{tick: {TICK_MS}ms}}\nstatus: {{window: 1h}}\nstreams: [{{match: {STREAM}, slo: {{{slo}}}}}]\n"
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    with redis_with(server, streams=0, groups=0, consumers=0) as redis:
        redis.send([("XGROUP", "CREATE", STREAM, kind, "0", "MKSTREAM") for kind in kinds])
        with sidecar(options.streamwarden, redis, interval="1s", more=more) as own:
            time.sleep(2)
            workers = [multiprocessing.Process(target=consume, args=(redis.port, kind, rate, stop, results)) for kind in kinds]
            producing = multiprocessing.Event()
            producer = multiprocessing.Process(target=produce, args=(redis.port, rate, producing))
            for process in [*workers, producer]:
                process.start()
            used, started = cpu_of(own.child.pid), time.monotonic()
            time.sleep(options.seconds)
            used = (cpu_of(own.child.pid) - used) / (time.monotonic() - started)
            stop.set()
            truths = {name: (delivered, handled) for name, delivered, handled in (results.get() for _ in kinds)}
            producing.set()
            for process in [*workers, producer]:
                process.join()
            time.sleep(4)
            groups = json.loads(get(own.port, "/api/v1/groups"))["groups"]
            metrics = page(own.port)
            ticks = value(metrics, "streamwarden_latency_ticks_total ")
    print(f"\n## {server}, {rate:,} a second, {options.seconds} s, {ticks:.0f} ticks, {used:.2%} of a core\n")
    print("measured / true, ms\n")
    heads = ["p50", "p95", "p99", "mean", "worst quantile, ticks", "counted / true", "left out", "unknown"]
    print(f"| consumer | to | {' | '.join(heads)} |\n|---|---|{'---:|' * len(heads)}")
    worst = 0
    for name in kinds:
        latency = next(group["latency"] for group in groups if group["name"] == name)
        for what, truth in zip(("delivery", "handled"), truths[name]):
            worst = max(worst, compared(latency[what], truth, what, name))
    reasons = re.findall(r'^streamwarden_slo_left_out_total.*group="(.*?)",objective="(.*?)",reason="(.*?)"} ([1-9]\d*)', metrics, re.M)
    print("\nleft out: " + (", ".join(" ".join(reason) for reason in reasons) or "nothing"))
    return worst


def work(redis, streams, seconds):
    """Each stream is given an entry a second, which is read and acknowledged."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key in map(stream_name, range(streams)):
            add, read = ("XADD", key, "*", "field", "v"), ("XREADGROUP", "GROUP", "group-0", "c", "STREAMS", key, ">")
            [[_, entries]] = redis.send([add, read])
            redis.send([("XACK", key, "group-0", *(entry[0] for entry in entries))])
            time.sleep(1 / streams)


def cost(options, server, streams=50):
    """What the ticks cost, with objectives for none, five and all streams that are written to all the time."""
    columns = {}
    with redis_with(server, streams=streams, groups=1, consumers=0) as redis:
        for with_objective in (0, 5, streams):
            rules = [f"{{match: {stream_name(number)}, slo: {{delivery: 3s, handled: 6s}}}}" for number in range(with_objective)]
            more = f"latency: {{tick: {TICK_MS}ms}}\nstreams: [{', '.join([*rules, '{match: stream-*}'])}]\n"
            with sidecar(options.streamwarden, redis, interval="15s", more=more) as own:
                work(redis, streams, 5)
                (commands, servers), owns = redis.stats(), cpu_of(own.child.pid)
                started = time.monotonic()
                work(redis, streams, options.seconds)
                took, (commands_after, servers_after) = time.monotonic() - started, redis.stats()
                columns[f"{with_objective} streams"] = {
                    "Redis, % of a core": (servers_after - servers) / took * 100,
                    "Streamwarden, % of a core": (cpu_of(own.child.pid) - owns) / took * 100,
                    "commands a second, with those of the streams' users": (commands_after - commands) / took,
                }
    table(f"{server}: objectives of streams with an entry a second each, for {options.seconds} s", columns, [])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamwarden", default="target/release/streamwarden")
    parser.add_argument("--redis", action="append", help="a server's program; several may be given")
    parser.add_argument("--rate", action="append", type=int, help="entries a second; several may be given")
    parser.add_argument("--kind", action="append", choices=KINDS, help="a way of reading; all by default")
    parser.add_argument("--seconds", type=int, default=100)
    parser.add_argument("--cost", action="store_true", help="only what the ticks cost")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the child processes
    for server in options.redis or ["redis-server"]:
        if options.cost:
            cost(options, server)
            continue
        worst = [run(options, server, rate) for rate in options.rate or (10, 1_000, 10_000)]
        print(f"\nThe worst difference of a quantile: {max(worst):.2f} ticks")


if __name__ == "__main__":
    main()
