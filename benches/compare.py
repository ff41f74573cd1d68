#!/usr/bin/env python3
"""Streamwarden and redis_exporter in turn on the same data: what each costs, as one table a workload.

Starts a Redis, the sidecar and the peer by itself, on free ports of the loopback, and ends them. Needs Linux (/proc)
and nothing but Python's standard library. A *round* is one look at all streams that ends in one gzip scrape: for the
sidecar a poll, rendering and a scrape; for redis_exporter a scrape.
"""

import argparse
import contextlib
import gzip
import http.client
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BATCH = 2000
DEADLINE = 120.0
FIRST_POLLS = 20


class Redis:
    """A connection: pipelines of commands, the last one's reply is given."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, commands):
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            self.socket.sendall(b"".join(map(encode, batch)))
            replies = [self.reply() for _ in batch]
        return replies[-1]

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$" and rest != b"-1":
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*" and rest != b"-1":
            return [self.reply() for _ in range(int(rest))]
        return rest

    def info(self, field):
        lines = self.send([("INFO", "all")]).decode().splitlines()
        return int(next(line for line in lines if line.startswith(field + ":")).split(":")[1])

    def stats(self):
        """Commands so far and seconds on a processor."""
        return self.info("total_commands_processed"), cpu_of(self.info("process_id"))


def encode(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def seed(redis, streams, groups, consumers, entries=20, payload=b"v", pending=2, other_keys=0):
    """Streams whose every consumer holds `pending` entries."""
    commands = []
    for stream in range(streams):
        key = f"stream-{stream:05}"
        commands += [("XADD", key, "*", "field", payload)] * entries
        for group in range(groups):
            commands.append(("XGROUP", "CREATE", key, f"group-{group}", "0"))
            for consumer in range(consumers):
                name = f"consumer-{consumer}"
                commands.append(("XREADGROUP", "GROUP", f"group-{group}", name, "COUNT", pending, "STREAMS", key, ">"))
        if len(commands) > BATCH or len(payload) > 1024:
            redis.send(commands)
            commands = []
    script = "for i = 1, ARGV[1] do redis.call('SET', 'other:' .. i, i) end"
    commands.append(("EVAL", script, "0", other_keys))
    redis.send(commands)


WORKLOADS = {
    "5 x 1 x 2": {"streams": 5, "groups": 1, "consumers": 2},
    "5000 x 3 x 5": {"streams": 5000, "groups": 3, "consumers": 5},
    "entries of 1 MB": {"streams": 20, "groups": 1, "consumers": 2, "entries": 3, "payload": b"x" * 1_000_000, "pending": 1},
    "1,000,000 pending": {"streams": 1, "groups": 1, "consumers": 2, "entries": 1_000_000, "pending": 500_000},
    "10,000 consumers": {"streams": 1, "groups": 1, "consumers": 10_000, "entries": 10_000, "pending": 1},
    "1,000,000 other keys": {"streams": 100, "groups": 3, "consumers": 5, "other_keys": 1_000_000},
    "10,000 streams": {"streams": 10_000, "groups": 1, "consumers": 2},
}


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


@contextlib.contextmanager
def running(arguments, **options):
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def wait_for(what, ready):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ready():
                return
        time.sleep(0.002)
    raise SystemExit(f"waited in vain for {what}")


def scrape(port, encoding="gzip"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body


def page(port):
    """The page as text, by gzip like any Prometheus: the sidecar makes ahead what it is asked for."""
    body = scrape(port)
    return (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()


def value(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def times(port, encoding, count, at_once):
    """Milliseconds of `count` scrapes by each of so many scrapers."""
    taken = []

    def work():
        for _ in range(count):
            started = time.monotonic()
            scrape(port, encoding)
            taken.append((time.monotonic() - started) * 1000)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def cpu_of(pid):
    """Seconds on a processor, of all threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_of(pid, field):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def pinging(port, seconds, pipe):
    redis, taken = Redis(port), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        redis.send([("PING",)])
        taken.append((time.monotonic() - started) * 1000)
        time.sleep(0.001)
    taken.sort()
    pipe.send(taken[int(len(taken) * 0.99)])


def ping_p99(port, seconds, work=None):
    """The 99th percentile in milliseconds of a client that pings each millisecond, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=pinging, args=(port, seconds, theirs))
    process.start()
    while work and process.is_alive() and not ours.poll():
        work()
    result = ours.recv()
    process.join()
    return result


def idle_cpu(redis, seconds=3.0):
    """Seconds on a processor that a second costs a Redis that nobody asks: it has work of its own."""
    before = redis.stats()[1]
    time.sleep(seconds)
    return (redis.stats()[1] - before) / seconds


def measure(arguments, redis, redis_port, port, streams, is_ready, is_poller, rounds):
    row = {}
    row["Redis PING p99 alone, ms"] = ping_p99(redis_port, 2)
    idle = idle_cpu(redis)
    started = time.monotonic()
    with running(arguments) as child:
        wait_for("an answer", lambda: scrape(port))
        row["start-up, ms"] = (time.monotonic() - started) * 1000
        wait_for("all streams", lambda: is_ready(page(port)))
        polls = lambda: value(page(port), "streamwarden_poll_duration_seconds_count")
        spent = lambda: value(page(port), "streamwarden_poll_duration_seconds_sum")
        # A first look asks more: it proves lags and samples what is pending, a bounded number of groups a poll.
        wait_for("the first polls", lambda: not is_poller or polls() >= FIRST_POLLS)
        row["resident memory, MB"] = memory_of(child.pid, "VmRSS")
        # Rounds: for a poller, as long as its polls take; each is scraped once.
        before_polls, before_spent = (polls(), spent()) if is_poller else (0, 0)
        calls, redis_cpu = redis.stats()
        cpu, began = cpu_of(child.pid), time.monotonic()
        if is_poller:
            for _ in range(rounds):
                time.sleep(2.0)
                scrape(port)
            wall, cpu, redis_after = time.monotonic() - began, cpu_of(child.pid) - cpu, redis.stats()
            done = max(1, polls() - before_polls)
            row["poll wall, ms"] = (spent() - before_spent) / done * 1000
        else:
            for _ in range(rounds):
                scrape(port)
            wall, cpu, redis_after, done = time.monotonic() - began, cpu_of(child.pid) - cpu, redis.stats(), rounds
            row["poll wall, ms"] = wall / done * 1000
        row["Redis calls a poll"] = (redis_after[0] - calls) / done
        row["Redis CPU a poll, ms"] = (redis_after[1] - redis_cpu - idle * wall) / done * 1000
        row["process CPU a round, ms"] = cpu / done * 1000
        row["peak memory, gzip scrapes, MB"] = memory_of(child.pid, "VmHWM")
        count = 20 if is_poller or streams < 1000 else 3
        for encoding in ("identity", "gzip"):
            for at_once in (1, 20) if is_poller or streams < 1000 else (1,):
                p50, p99 = times(port, encoding, count if at_once == 1 else 3, at_once)
                row[f"scrape p50, {encoding}, {at_once} at once, ms"] = p50
                row[f"scrape p99, {encoding}, {at_once} at once, ms"] = p99
        row["peak memory, all scrapes, MB"] = memory_of(child.pid, "VmHWM")
        row["page, MB"] = len(scrape(port, "identity")) / 1e6
        work = None if is_poller else lambda: scrape(port)
        row["Redis PING p99 beside it, ms"] = ping_p99(redis_port, 6, work)
    return row


def compare(name, options):
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        redis_port, port, peer_port = free_port(), free_port(), free_port()
        server = [options.redis, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        stack.enter_context(running(server))
        wait_for("Redis", lambda: Redis(redis_port))
        redis, workload = Redis(redis_port), WORKLOADS[name]
        seed(redis, **workload)
        uri, streams = f"redis://127.0.0.1:{redis_port}", workload["streams"]
        config = Path(directory) / "config.yaml"
        config.write_text(f"redis: {{uri: '{uri}'}}\npoll: {{interval: 2s, discovery_interval: 1h, stale_after: 1m}}\n")
        seen = lambda family: lambda text: text.count(f"\n{family}{{") == streams
        own = [options.streamwarden, "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        peer = [options.peer, "--redis.addr", uri, "--check-streams=stream-*", f"--web.listen-address=127.0.0.1:{peer_port}"]
        arguments = (redis, redis_port)
        ours = measure(own, *arguments, port, streams, seen("streamwarden_stream_length"), True, options.rounds)
        theirs = {}
        if not options.alone:
            theirs = measure(peer, *arguments, peer_port, streams, seen("redis_stream_length"), False, options.rounds)
    ours["binary, MB"] = os.path.getsize(options.streamwarden) / 1e6
    theirs["binary, MB"] = os.path.getsize(options.peer) / 1e6
    print(f"\n## {name}\n\n| | streamwarden | redis_exporter | ratio |\n|---|---:|---:|---:|")
    for label, our in ours.items():
        their = theirs.get(label)
        ratio = f"{our / their:.3f}" if their else ""
        print(f"| {label} | {our:,.2f} | {'' if their is None else f'{their:,.2f}'} | {ratio} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"of: {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--streamwarden", default="target/release/streamwarden")
    parser.add_argument("--peer", default="target/tools/bin/redis_exporter")
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="without redis_exporter")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    for name in options.workload or WORKLOADS:
        compare(name, options)


if __name__ == "__main__":
    main()
