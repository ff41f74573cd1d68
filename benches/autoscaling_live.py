#!/usr/bin/env python3
"""Scales real consumers by the age of their lag, and others by its length at the same time, and prints what came of both.

Each replica is a process of the example application, whose consumer takes 200 ms for an entry. What decides is what the sidecar
answers to KEDA's metrics API at that time; an answer other than 200 changes nothing. The rules are those of autoscaling.py. It
takes three minutes, since each time is a tenth of that in a cluster: a decision each 1.5 s, a new replica after 3 s,
half a minute with seven times as many entries.

    autoscaling_live.py --streamwarden PROGRAM --nexus PROGRAM [--redis PROGRAM] [PICTURE.svg]"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from autoscaling import LEAST, Autoscaler, picture, table

SECONDS, STEP, SYNC, START, MINUTE = 180, 0.5, 1.5, 3, 6
BURST = (30, 30)  # when it begins, and how long it lasts
RATE = 40  # events a second in all five streams: 8 in the one that is looked at, of the 10 that two replicas handle
WORKLOAD = "the example application, 5/s each"
GROUP = "nexus-session-consumers"
# By age as in the examples, at a tenth of the time. By length with 25 seconds of work for each replica, as 500 entries are in a
# cluster where one handles 2 a second, times a tenth.
SIGNALS = {"age, 1.5 s": ("lag_seconds", 1.5), "length, 125": ("lag", 125)}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Setting:
    """A Redis, a sidecar and the example application, which end with it."""

    def __init__(self, arguments: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.arguments, self.stack, self.started, self.replicas = arguments, stack, 0, []
        port, listen = free_port(), free_port()
        self.environment = {"REDIS_URI": f"redis://127.0.0.1:{port}"}
        self.base = f"http://127.0.0.1:{listen}/api/v1/groups/events%3Asession/{GROUP}"
        self.run(arguments.redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
        config = folder / "config.yaml"
        config.write_text("poll: {interval: 500ms, discovery_interval: 1s}\n")
        self.run(arguments.streamwarden, "--config", str(config), "--listen", f"127.0.0.1:{listen}")

    def run(self, *command: str) -> subprocess.Popen:
        """Starts a program that is ended with the setting."""
        process = subprocess.Popen(command, env={**os.environ, **self.environment},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def publish(self, rate: int, *more: str) -> None:
        self.run(self.arguments.nexus, "--consumers", "0", "--rate", str(rate), *more)

    def scale(self, count: int) -> None:
        """Starts or stops replicas. The one that is stopped ends what it has read, as a Pod does."""
        while len(self.replicas) < count:
            self.started += 1
            self.replicas.append(self.run(self.arguments.nexus, "--rate", "0", "--consumers", "1", "--name", f"r{self.started}",
                                          "--slow", GROUP, "--after", "0s"))
        while len(self.replicas) > count:
            self.replicas.pop().send_signal(signal.SIGTERM)

    def ask(self, what: str) -> float | None:
        """The number that the sidecar answers; None for any other answer."""
        try:
            with urllib.request.urlopen(f"{self.base}/{what}", timeout=5) as answer:
                return float(json.load(answer)[what])
        except (OSError, urllib.error.URLError):
            return None


def measure(arguments: argparse.Namespace, what: str, target: float) -> list[tuple[int, float, float]]:
    """Replicas, age in seconds and length at each step."""
    with contextlib.ExitStack() as stack:
        setting, scaler = Setting(arguments, stack), Autoscaler(target, MINUTE)
        setting.publish(RATE)
        setting.scale(LEAST)
        while setting.ask("lag_seconds") is None:
            time.sleep(0.1)
        began, history, wanted, decided, is_bursting = time.monotonic(), [], LEAST, 0.0, False
        starting: list[tuple[float, int]] = []
        while len(history) < SECONDS / STEP:
            time.sleep(max(0, began + len(history) * STEP - time.monotonic()))
            now = len(history) * STEP
            if now >= BURST[0] and not is_bursting:
                is_bursting = True
                setting.publish(6 * RATE, "--for", f"{BURST[1]}s")
            for ready in [it for it in starting if it[0] <= now]:
                starting.remove(ready)
                setting.scale(ready[1])
            age, length = setting.ask("lag_seconds"), setting.ask("lag")
            last = history[-1] if history else (LEAST, 0.0, 0.0)
            history.append((len(setting.replicas), last[1] if age is None else age, last[2] if length is None else length))
            if now - decided < SYNC:
                continue
            decided, read = now, {"lag_seconds": age, "lag": length}[what]
            if read is not None:
                desired = scaler.decide(now, read, wanted, history[max(0, len(history) - 1 - int(MINUTE / STEP))][0])
                if desired > wanted:
                    starting.append((now + START, desired))
                elif desired < wanted:
                    starting.clear()
                    setting.scale(desired)
                wanted = desired
        return history


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streamwarden", required=True)
    parser.add_argument("--nexus", required=True)
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("picture", nargs="?")
    arguments = parser.parse_args()
    with ThreadPoolExecutor() as both:
        begun = {(WORKLOAD, name): both.submit(measure, arguments, *how) for name, how in SIGNALS.items()}
    runs = {name: run.result() for name, run in begun.items()}
    print(table(runs, 6, STEP))
    if arguments.picture:
        pathlib.Path(arguments.picture).write_text(picture(runs, f"{SECONDS} seconds", 1), encoding="utf-8")


if __name__ == "__main__":
    main()
