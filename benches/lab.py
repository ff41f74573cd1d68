"""The benchmarks' library: a Redis full of streams, programs that read it, and their costs.

Everything runs on free loopback ports and stops with the benchmark. Needs Linux (/proc) and only Python's standard library.
"""

import contextlib
import gzip
import http.client
import multiprocessing
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

BATCH = 2000
DEADLINE = 120.0
# The first polls send more commands: they prove lags and sample pending entries, for a bounded number of groups per
# poll.
FIRST_POLLS = 20


class Redis:
    """A connection. Sends pipelines of commands and returns the last reply."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, commands):
        for start in range(0, len(commands), BATCH):
            batch = commands[start : start + BATCH]
            self.socket.sendall(encode(batch))
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
        """Commands processed and CPU seconds used so far."""
        return self.info("total_commands_processed"), cpu_of(self.info("process_id"))


def encode(commands):
    return b"".join(map(encoded, commands))


def encoded(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def stream_name(number):
    return f"stream-{number:05}"


def seed(redis, streams, groups, consumers, entries=20, payload=b"v", pending=2, other_keys=0):
    """Creates streams in which each consumer owns `pending` entries."""
    commands = []
    for stream in range(streams):
        key = stream_name(stream)
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


@contextlib.contextmanager
def redis_with(server, **data):
    """Starts a Redis with these streams, and returns a connection to it."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        with running([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]):
            wait_for("Redis", lambda: Redis(port))
            redis = Redis(port)
            seed(redis, **data)
            yield redis


class Sidecar:
    """A configuration, and the command line to start Streamwarden with it."""

    def __init__(self, program, redis, directory, interval="2s", more=""):
        self.redis, self.more, self.port = redis, more, free_port()
        self.path = Path(directory) / "config.yaml"
        self.write(interval)
        self.arguments = [program, "--config", str(self.path), "--listen", f"127.0.0.1:{self.port}"]

    def write(self, interval):
        """Writes the configuration with this poll interval."""
        poll = f"{{interval: {interval}, discovery_interval: 1h, stale_after: 4h}}"
        self.path.write_text(f"redis: {{uri: 'redis://127.0.0.1:{self.redis.port}'}}\npoll: {poll}\n{self.more}")

    def poll_each(self, interval):
        self.write(interval)
        self.child.send_signal(signal.SIGHUP)

    def answers(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.arguments[0]} ended: status {self.child.returncode}")
        return get(self.port, "/livez")

    def polls(self):
        return polls(self.port)

    def wait_for_polls(self, count):
        wait_for(f"{count} polls", lambda: self.polls()[0] >= count, pause=0.1)


@contextlib.contextmanager
def sidecar(program, redis, interval="2s", more=""):
    with tempfile.TemporaryDirectory() as directory:
        it = Sidecar(program, redis, directory, interval, more)
        with running(it.arguments) as it.child:
            wait_for("an answer", it.answers)
            yield it


def accepts(program, redis, more):
    """Whether this program accepts such a configuration."""
    with tempfile.TemporaryDirectory() as directory:
        it = Sidecar(program, redis, directory, more=more)
        check = [program, "check-config", "--config", str(it.path)]
        return subprocess.run(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def wait_for(what, ready, pause=0.002):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ready():
                return
        time.sleep(pause)
    raise SystemExit(f"timed out waiting for {what}")


def get(port, path, encoding="identity"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:500]!r}")
    return body


def scrape(port, encoding="gzip"):
    return get(port, "/metrics", encoding)


def page(port):
    """The page as text. Fetched with gzip, like Prometheus does, since the sidecar renders in advance what is requested."""
    body = scrape(port)
    return (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()


def series(text):
    return sum(not line.startswith("#") for line in text.splitlines())


def value(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def polls(port):
    """Number of polls, and milliseconds that they took."""
    text, name = page(port), "streamwarden_poll_duration_seconds_"
    return value(text, f"{name}count"), value(text, f"{name}sum") * 1000


def each(polls):
    """The duration of each poll, from pairs of count and sum at several times."""
    steps = zip(polls, polls[1:])
    return [(spent - before_spent) / (count - before) for (before, before_spent), (count, spent) in steps if count > before]


def times(fetch, count, at_once=1):
    """Milliseconds per fetch, for `at_once` clients with `count` fetches each: median and 99th percentile."""
    taken = []

    def work():
        for _ in range(count):
            started = time.monotonic()
            fetch()
            taken.append((time.monotonic() - started) * 1000)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def cpu_of(pid):
    """CPU seconds of all threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_of(pid, field):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def waiting(ask, seconds, pipe):
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        ask()
        taken.append((time.monotonic() - started) * 1000)
        time.sleep(0.001)
    pipe.send(sorted(taken))


def waits(ask, seconds, work=None):
    """Milliseconds per answer for a client in its own process that asks each millisecond, sorted."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=waiting, args=(ask, seconds, theirs))
    process.start()
    while work and process.is_alive() and not ours.poll():
        work()
    result = ours.recv()
    process.join()
    return result


def ping_p99(port, seconds, work=None):
    """The 99th percentile in milliseconds for a client that pings each millisecond."""
    redis = Redis(port)
    taken = waits(lambda: redis.send([("PING",)]), seconds, work)
    return taken[int(len(taken) * 0.99)]


def idle_cpu(redis, seconds=3.0):
    """CPU seconds per second of an idle Redis, for its own background work."""
    before = redis.stats()[1]
    time.sleep(seconds)
    return (redis.stats()[1] - before) / seconds


def table(title, columns, ratios):
    """Prints a table with one row per label, the columns, and the ratios of columns. Unknown ratios stay empty."""
    heads = [*columns, *(f"{one} / {other}" for one, other in ratios)]
    print(f"\n## {title}\n\n| | {' | '.join(heads)} |\n|---{'|---:' * len(heads)}|")
    for label in dict.fromkeys(label for row in columns.values() for label in row):
        cells = [number(row.get(label)) for row in columns.values()]
        for one, other in ratios:
            above, below = columns[one].get(label), columns[other].get(label)
            cells.append(number(above / below, 3) if below and above is not None else "")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


def number(value, digits=2):
    return "n/a" if value is None else f"{value:,.{digits}f}"
