"""Costs of Streamwarden on a cluster of three primaries, beside one server with the same data."""

import binascii
import contextlib
import statistics
import tempfile
import time

from lab import (
    FIRST_POLLS,
    Redis,
    cpu_of,
    each,
    free_port,
    memory_of,
    redis_with,
    running,
    seed,
    sidecar,
    table,
    wait_for,
)

DATA = {"streams": 5000, "groups": 3, "consumers": 5}
PRIMARIES = 3
SLOTS = 16384
# Polls of one sidecar before it is the other one's turn.
TURN = 10


class Cluster:
    """Connections to all primaries. Sends each command to the one that has its key."""

    def __init__(self, nodes):
        self.nodes, self.port = nodes, nodes[0].port

    def send(self, commands):
        parts = [[] for _ in self.nodes]
        for words in commands:
            parts[self.owner(words)].append(words)
        for node, part in zip(self.nodes, parts):
            if part:
                node.send(part)

    def owner(self, words):
        place = {"XADD": 1, "XGROUP": 2, "XREADGROUP": len(words) - 2}.get(words[0])
        slot = binascii.crc_hqx(words[place].encode(), 0) % SLOTS if place else 0
        return slot * len(self.nodes) // SLOTS

    def stats(self):
        """As of one server, over all primaries."""
        commands, cpu = zip(*(node.stats() for node in self.nodes))
        return sum(commands), sum(cpu)


@contextlib.contextmanager
def cluster_with(server, **data):
    """Starts the primaries, each with its share of the slots and streams."""
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(PRIMARIES)]
        for port in ports:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            stack.enter_context(running([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory, *bus]))
        for port in ports:
            wait_for("Redis", lambda port=port: Redis(port))
        cluster = Cluster([Redis(port) for port in ports])
        for number, node in enumerate(cluster.nodes):
            # The slots that `owner` sends there.
            first, end = (-(-SLOTS * it // PRIMARIES) for it in (number, number + 1))
            node.send([("CLUSTER", "ADDSLOTSRANGE", first, end - 1), ("CLUSTER", "SET-CONFIG-EPOCH", number + 1)])
        for node, port in zip(cluster.nodes[1:], ports[1:]):
            bus = next(line.split("@")[1].split(",")[0].split()[0] for line in node.send([("CLUSTER", "NODES")]).decode().splitlines() if "myself" in line)
            cluster.nodes[0].send([("CLUSTER", "MEET", "127.0.0.1", port, bus)])
        for node in cluster.nodes:
            wait_for("the cluster", lambda node=node: b"cluster_state:ok" in node.send([("CLUSTER", "INFO")]), pause=0.1)
        seed(cluster, **data)
        yield cluster


def turn(own, redis):
    """The durations of some polls, and what each took of CPU, commands and Redis's CPU."""
    own.poll_each("1s")
    start = own.polls()[0]
    own.wait_for_polls(start + 1)
    polls, cpu, (commands, redis_cpu) = [own.polls()], cpu_of(own.child.pid), redis.stats()
    while polls[-1][0] < start + TURN:
        time.sleep(0.2)
        polls.append(own.polls())
    done = polls[-1][0] - polls[0][0]
    costs = cpu_of(own.child.pid) - cpu, *(after - before for after, before in zip(redis.stats(), (commands, redis_cpu)))
    own.poll_each("1h")
    time.sleep(1)
    return each(polls), [cost / done for cost in costs]


def cluster(options):
    """Polls of the cluster and of the server take turns, so that both meet the same disturbances."""
    columns = {}
    with redis_with(options.redis, **DATA) as one, cluster_with(options.redis, **DATA) as three:
        for label, program in options.programs.items():
            with sidecar(program, one, interval="1h") as of_one, sidecar(program, three, interval="1h") as of_three:
                sides = {f"{label}, one server": (of_one, one), f"{label}, {PRIMARIES} primaries": (of_three, three)}
                for own, redis in sides.values():
                    for _ in range(FIRST_POLLS // TURN):
                        turn(own, redis)
                found = {side: ([], []) for side in sides}
                for _ in range(options.rounds):
                    for side, (own, redis) in sides.items():
                        durations, costs = turn(own, redis)
                        found[side][0].extend(durations)
                        found[side][1].append(costs)
                for side, (durations, costs) in found.items():
                    cpu, commands, redis_cpu = (statistics.median(it) for it in zip(*costs))
                    columns[side] = {
                        "poll wall, ms": statistics.median(durations),
                        "polls": len(durations),
                        "CPU of a poll, ms": cpu * 1000,
                        "Redis's CPU of a poll, ms": redis_cpu * 1000,
                        "commands of a poll": commands,
                        "memory, MiB": memory_of(sides[side][0].child.pid, "VmRSS"),
                        "peak memory, MiB": memory_of(sides[side][0].child.pid, "VmHWM"),
                    }
    label = list(columns)
    pairs = [(label[place + 1], label[place]) for place in range(0, len(label), 2)]
    table(f"5000 x 3 x 5 over {PRIMARIES} primaries", columns, pairs)
