"""Streamwarden compared with redis_exporter on the same data.

A *round* reads all streams once and ends in one gzip scrape: for the sidecar a poll, rendering and a scrape; for
redis_exporter a scrape.
"""

import contextlib
import os
import tempfile
import time

from pathlib import Path

from lab import (
    FIRST_POLLS,
    Sidecar,
    accepts,
    cpu_of,
    free_port,
    idle_cpu,
    memory_of,
    page,
    ping_p99,
    polls,
    redis_with,
    running,
    scrape,
    series,
    sidecar,
    table,
    times,
    wait_for,
)

PEER = "redis_exporter"
LARGE = {"streams": 5000, "groups": 3, "consumers": 5}
DATA = {
    "5 x 1 x 2": {"streams": 5, "groups": 1, "consumers": 2},
    "5000 x 3 x 5": LARGE,
    "entries of 1 MB": {"streams": 20, "groups": 1, "consumers": 2, "entries": 3, "payload": b"x" * 1_000_000, "pending": 1},
    "1,000,000 pending": {"streams": 1, "groups": 1, "consumers": 2, "entries": 1_000_000, "pending": 500_000},
    "10,000 consumers": {"streams": 1, "groups": 1, "consumers": 10_000, "entries": 10_000, "pending": 1},
    "1,000,000 other keys": {"streams": 100, "groups": 3, "consumers": 5, "other_keys": 1_000_000},
    "10,000 streams": {"streams": 10_000, "groups": 1, "consumers": 2},
}


def measure(arguments, redis, port, streams, family, rounds):
    """All costs of a program. Streamwarden polls by itself, redis_exporter reads Redis at each scrape."""
    is_poller = family.startswith("streamwarden")
    row = {}
    row["Redis PING p99 alone, ms"] = ping_p99(redis.port, 2)
    idle = idle_cpu(redis)
    started = time.monotonic()
    with running(arguments) as child:
        wait_for("an answer", lambda: scrape(port))
        row["start-up, ms"] = (time.monotonic() - started) * 1000
        wait_for("all streams", lambda: page(port).count(f"\n{family}{{") == streams)
        wait_for("the first polls", lambda: not is_poller or polls(port)[0] >= FIRST_POLLS, pause=0.1)
        row["resident memory, MB"] = memory_of(child.pid, "VmRSS")
        # Rounds: a poller polls by itself and is scraped once per round.
        before, spent = polls(port)
        calls, redis_cpu = redis.stats()
        cpu, began = cpu_of(child.pid), time.monotonic()
        for _ in range(rounds):
            if is_poller:
                time.sleep(2.0)
            scrape(port)
        wall, cpu, redis_after = time.monotonic() - began, cpu_of(child.pid) - cpu, redis.stats()
        after, spent_after = polls(port)
        done = max(1, after - before) if is_poller else rounds
        row["poll wall, ms"] = (spent_after - spent if is_poller else wall * 1000) / done
        row["Redis calls a poll"] = (redis_after[0] - calls) / done
        row["Redis CPU a poll, ms"] = (redis_after[1] - redis_cpu - idle * wall) / done * 1000
        row["process CPU a round, ms"] = cpu / done * 1000
        row["peak memory, gzip scrapes, MB"] = memory_of(child.pid, "VmHWM")
        count = 20 if is_poller or streams < 1000 else 3
        for encoding in ("identity", "gzip"):
            for at_once in (1, 20) if is_poller or streams < 1000 else (1,):
                p50, p99 = times(lambda: scrape(port, encoding), count if at_once == 1 else 3, at_once)
                row[f"scrape p50, {encoding}, {at_once} at once, ms"] = p50
                row[f"scrape p99, {encoding}, {at_once} at once, ms"] = p99
        row["peak memory, all scrapes, MB"] = memory_of(child.pid, "VmHWM")
        row.update(sizes(port))
        work = None if is_poller else lambda: scrape(port)
        row["Redis PING p99 beside it, ms"] = ping_p99(redis.port, 6, work)
    return row


def sizes(port):
    text = page(port)
    return {"series": series(text), "page, MB": len(text) / 1e6, "page by gzip, MB": len(scrape(port)) / 1e6}


def exporter(options, redis):
    """The arguments of redis_exporter, and its port."""
    port = free_port()
    address = [f"--redis.addr=redis://127.0.0.1:{redis.port}", f"--web.listen-address=127.0.0.1:{port}"]
    return [options.peer, "--check-streams=stream-*", *address], port


def costs(name):
    """The workload of this name: all costs of both programs."""

    def run(options):
        columns, streams = {}, DATA[name]["streams"]
        with redis_with(options.redis, **DATA[name]) as redis, tempfile.TemporaryDirectory() as directory:
            for label, program in options.programs.items():
                own = Sidecar(program, redis, directory)
                columns[label] = measure(own.arguments, redis, own.port, streams, "streamwarden_stream_length", options.rounds)
                columns[label]["binary, MB"] = os.path.getsize(program) / 1e6
            if not options.alone:
                arguments, port = exporter(options, redis)
                columns[PEER] = measure(arguments, redis, port, streams, "redis_stream_length", options.rounds)
                columns[PEER]["binary, MB"] = os.path.getsize(options.peer) / 1e6
        table(name, columns, options.ratios(columns))

    return run


# Families to leave out for a page smaller than redis_exporter's. `check-config` lists the alerts that need one of
# them.
CONFIGURATION = Path(__file__).parent.parent / "docs/src/configuration.md"
# The documentation's list for large installations.
LARGE_LIST = CONFIGURATION.read_text().split("<!-- large: begin -->\n```yaml\n")[1].split("```")[0]
# Configurations that reduce the page.
EXPOSITIONS = {
    "": "",
    ", current states": "exposition: {states: current}\n",
    ", the list for large installations": LARGE_LIST,
}


def pages(options):
    """Size of the page, complete and reduced."""
    columns = {}
    with redis_with(options.redis, **LARGE) as redis:
        is_there = lambda port, family: page(port).count(f"\n{family}{{") == LARGE["streams"]
        for label, program in options.programs.items():
            columns[label] = {}
            for what, more in EXPOSITIONS.items():
                found = {}
                # The page must be complete, as redis_exporter's is.
                more = f"limits: {{series: 10000000}}\n{more}"
                if accepts(program, redis, more):
                    with sidecar(program, redis, more=more) as own:
                        wait_for("all streams", lambda: is_there(own.port, "streamwarden_stream_length"), pause=0.1)
                        found = sizes(own.port)
                columns[label].update({f"{row}{what}": found.get(row) for row in ("series", "page, MB", "page by gzip, MB")})
        if not options.alone:
            arguments, port = exporter(options, redis)
            with running(arguments), contextlib.suppress(KeyError):
                wait_for("all streams", lambda: is_there(port, "redis_stream_length"), pause=0.1)
                found = sizes(port)
            columns[PEER] = {f"{row}{what}": found[row] for what in EXPOSITIONS for row in found}
    table("5000 x 3 x 5, series and page", columns, options.ratios(columns))
