"""Costs of Streamwarden with many rules, with many names, and compared with a client that only sends the commands."""

import socket
import statistics
import time

from lab import (
    FIRST_POLLS,
    cpu_of,
    each,
    encode,
    get,
    page,
    ping_p99,
    redis_with,
    scrape,
    sidecar,
    stream_name,
    table,
    times,
    value,
    wait_for,
    waits,
)
from peer import LARGE

GLOBS = 300
RULES = {
    "no rules": "",
    f"{GLOBS} globs": "{match: '%s'}",
    f"{GLOBS} globs with limits": "{match: '%s', retention: {max_length: 10, mode: observe}}",
}


def rules_of(form):
    """Globs that match nothing, then one that matches everything."""
    if not form:
        return ""
    globs = [f"stream-*:{number:03}" for number in range(GLOBS)] + ["*"]
    return "streams:\n" + "".join(f"  - {form % glob}\n" for glob in globs)


def rules(options):
    """Polls, pages and API documents of 2,000 streams, without rules and with many."""
    data = {"streams": 2000, "groups": 3, "consumers": 5}
    columns = {label: {} for label in options.programs}
    with redis_with(options.redis, **data) as redis:
        for what, form in RULES.items():
            for label, program in options.programs.items():
                with sidecar(program, redis, interval="500ms", more=rules_of(form)) as own:
                    found = polls_and_documents(own, options.rounds)
                columns[label].update({f"{row}, {what}": value for row, value in found.items()})
    for row in columns.values():
        for measured in ("poll wall, ms", "CPU of poll and page, ms"):
            for what in list(RULES)[1:]:
                ratio = row[f"{measured}, {what}"] / row[f"{measured}, no rules"]
                row[f"{measured.removesuffix(', ms')}: {what} / no rules"] = ratio
    table("2000 x 3 x 5, rules", columns, options.ratios(columns))


def polls_and_documents(own, rounds):
    own.wait_for_polls(FIRST_POLLS)
    (before, spent), cpu = own.polls(), cpu_of(own.child.pid)
    for _ in range(4 * rounds):
        time.sleep(0.5)
        scrape(own.port)
    (after, spent_after), cpu = own.polls(), cpu_of(own.child.pid) - cpu
    polls = max(1, after - before)
    row = {"poll wall, ms": (spent_after - spent) / polls, "CPU of poll and page, ms": cpu / polls * 1000}
    # Nothing else may run during the measurement.
    own.poll_each("1h")
    time.sleep(2)
    for name, path, count in (("one stream", f"/{stream_name(1234)}", 100), ("all streams", "", 9)):
        row[f"document of {name}, ms"] = times(lambda: get(own.port, f"/api/v1/streams{path}"), count)[0]
    return row


def names(options):
    """10,000 streams by name: duration of a start, and how long a probe waits while the configuration is reloaded."""
    streams = 10_000
    by_name = "streams:\n" + "".join(f"  - {{match: {stream_name(number)}}}\n" for number in range(streams))
    columns = {}
    with redis_with(options.redis, streams=streams, groups=1, consumers=2) as redis:
        for label, program in options.programs.items():
            started = time.monotonic()
            with sidecar(program, redis, interval="1h", more=by_name) as own:
                columns[label] = row = {"start until an answer, ms": (time.monotonic() - started) * 1000}
                own.wait_for_polls(1)
                row["start until the first poll has ended, ms"] = (time.monotonic() - started) * 1000
                live = lambda: get(own.port, "/livez")
                row["longest /livez at rest, ms"] = waits(live, 5)[-1]
                own.poll_each("2h")
                row["longest /livez during a reload, ms"] = waits(live, 10)[-1]
                if value(page(own.port), "streamwarden_poll_interval_seconds") != 7200:
                    raise SystemExit("the reload did not finish in time")
    table("10,000 streams by name", columns, options.ratios(columns))


# Streams that a poll has in flight at most, as in src/source/pass.rs.
PORTION = 24


class Floor:
    """Sends the commands of a poll, waits for the end of each pipeline's replies and discards them."""

    def __init__(self, redis, streams):
        # The reply to an additional command marks the end. It costs Redis next to nothing.
        commands = [("XINFO", "STREAM", stream_name(number), "FULL", "COUNT", 1) for number in range(streams)]
        starts = range(0, streams, PORTION)
        self.portions = [encode([*commands[start : start + PORTION], ("PING",)]) for start in starts]
        self.socket = socket.create_connection(("127.0.0.1", redis.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.room = memoryview(bytearray(1 << 20))

    def run(self):
        """Milliseconds of wall time and of CPU time."""
        end, room, connection = b"+PONG\r\n", self.room, self.socket
        started, cpu = time.monotonic(), time.process_time()
        for portion in self.portions:
            connection.sendall(portion)
            tail = b""
            while tail != end:
                received = connection.recv_into(room)
                tail = (tail + bytes(room[max(0, received - len(end)) : received]))[-len(end) :]
        return (time.monotonic() - started) * 1000, (time.process_time() - cpu) * 1000


def wait_for_poll(redis, streams):
    """Waits until Redis has answered a whole poll and the sidecar has processed it, with little disturbance."""
    before = redis.info("total_commands_processed")
    wait_for("a poll", lambda: redis.info("total_commands_processed") - before >= streams, pause=0.05)
    time.sleep(0.7)


def floor(options):
    """Polls of 5,000 streams, and between them the same commands without processing (the floor)."""
    columns, streams = {}, LARGE["streams"]
    with redis_with(options.redis, **LARGE) as redis:
        raw = Floor(redis, streams)
        for label, program in options.programs.items():
            with sidecar(program, redis, interval="500ms") as own:
                own.wait_for_polls(FIRST_POLLS)
                columns[label] = row = {"Redis PING p99 beside polls, ms": ping_p99(redis.port, 10)}
                own.poll_each("2s")
                polls, floors, cpus = [], [], []
                for _ in range(2 * options.rounds + 1):
                    wait_for_poll(redis, streams)
                    floor_wall, floor_cpu = raw.run()
                    polls.append(own.polls())
                    floors.append(floor_wall)
                    cpus.append(floor_cpu)
            row["poll wall, ms"], row["the floor, ms"] = statistics.median(each(polls)), statistics.median(floors)
            row["the floor's own CPU, ms"] = statistics.median(cpus)
            row["poll wall / the floor"] = row["poll wall, ms"] / row["the floor, ms"]
    table("5000 x 3 x 5, floor", columns, options.ratios(columns))
