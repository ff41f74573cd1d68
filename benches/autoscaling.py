#!/usr/bin/env python3
"""Simulates consumers of one group that are scaled by the age of its lag, or by its length, as Kubernetes' autoscaler does it
with deploy/kubernetes/autoscaling. Prints the table of docs/src/autoscaling.md, and writes its picture where a path is given.

    autoscaling.py [PICTURE.svg]"""

import math
import sys
from bisect import bisect_right

SYNC, READ, START = 15, 15, 30  # seconds between decisions, between readings, and until a new Pod consumes
LEAST, MOST = 2, 20
MINUTES = 30
# By name: entries a second that one replica handles, and that arrive; for five minutes from the fifth on, seven times as many.
WORKLOADS = {"quick entries, 50/s each": (50, 80), "slow entries, 2/s each": (2, 3.2)}
SIGNALS = {"age, 15 s": ("age", 15), "length, 500": ("length", 500)}


class Autoscaler:
    """The rules of Kubernetes' autoscaler, with the behaviour of the examples. `minute` is how long a minute of them takes."""

    def __init__(self, target: float, minute: float = 60) -> None:
        self.target, self.minute, self.wanted = target, minute, []

    def decide(self, now: float, read: float, current: int, minute_ago: int) -> int:
        """How many replicas there are to be, by the value that was read."""
        desired = current if abs(read / self.target / current - 1) <= 0.1 else math.ceil(read / self.target)
        self.wanted = [(at, count) for at, count in self.wanted if at > now - 5 * self.minute] + [(now, desired)]
        # Down only to what no decision of the last five minutes was above, a quarter a minute; up to twice as many a minute.
        if desired > current:
            return max(current, min(desired, 2 * minute_ago, MOST))
        return min(current, max(max(count for _, count in self.wanted), math.floor(0.75 * minute_ago), LEAST))


def simulate(rate: float, arriving: float, signal: str, target: float) -> list[tuple[int, float, float]]:
    """Replicas, age in seconds and length for each second."""
    arrived, handled = [0.0], 0.0
    replicas, starting, read, history, scaler = LEAST, [], 0.0, [], Autoscaler(target)
    for second in range(MINUTES * 60):
        arrived.append(arrived[-1] + arriving * (7 if 300 <= second < 600 else 1))
        replicas += sum(1 for ready in starting if ready == second)
        starting = [ready for ready in starting if ready > second]
        handled = min(arrived[-1], handled + rate * replicas)
        length = arrived[-1] - handled
        # The oldest entry that waits arrived when the count passed what is handled.
        age = second + 1 - bisect_right(arrived, handled + 1e-9) + 1 if length > 0.5 else 0
        history.append((replicas, age, length))
        if second % READ == 0:
            read = {"age": age, "length": length}[signal]
        if second % SYNC:
            continue
        current = replicas + len(starting)
        desired = scaler.decide(second, read, current, history[max(0, second - 60)][0])
        starting += [second + START] * max(0, desired - current)
        replicas -= max(0, min(current - desired, replicas - LEAST))
    return history


def picture(runs: dict[tuple[str, str], list[tuple[int, float, float]]], time: str, step: int) -> str:
    """Replicas and age over time, one column a workload, with each `step`th point."""
    workloads, signals = (list(dict.fromkeys(names)) for names in zip(*runs))
    colours = dict(zip(signals, ("#1f6feb", "#d1242f")))
    width, height, left = 360, 130, 45
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(workloads) * (width + left) + 20} 360" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>']
    for column, workload in enumerate(workloads):
        for row, (title, index) in enumerate((("replicas", 0), ("age in seconds", 1))):
            x, y = left + column * (width + left), 40 + row * (height + 40)
            most = max(point[index] for signal in signals for point in runs[workload, signal])
            parts.append(f'<text x="{x}" y="{y - 6}">{workload}: {title}, at most {most:.0f}</text>')
            parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="#888"/>')
            for signal, colour in colours.items():
                points = runs[workload, signal][::step]
                line = " ".join(f"{x + i * width / len(points):.0f},{y + height * (1 - p[index] / most):.0f}" for i, p in enumerate(points))
                parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for at, (signal, colour) in enumerate(colours.items()):
        parts.append(f'<text x="{left + at * 120}" y="18" fill="{colour}">by {signal}</text>')
    parts.append(f'<text x="{left + 260}" y="18">{time}</text></svg>')
    return "\n".join(parts) + "\n"


def table(runs: dict[tuple[str, str], list[tuple[int, float, float]]], late: float, second: float) -> str:
    """What came of each run. `late` is the age from which entries are, `second` the seconds between two points."""
    lines = [f"| Entries | Scaled by | Greatest age | Time over {late:.0f} s | Most replicas | Replica minutes |", "|---|---|---|---|---|---|"]
    for (workload, signal), run in runs.items():
        over, minutes = (sum(age > late for _, age, _ in run) * second, sum(r for r, _, _ in run) * second / 60)
        lines.append(f"| {workload} | {signal} | {max(age for _, age, _ in run):.0f} s | {over:.0f} s | {max(r for r, _, _ in run)} | {minutes:.0f} |")
    return "\n".join(lines)


def main() -> None:
    runs = {(workload, signal): simulate(*load, *how) for workload, load in WORKLOADS.items() for signal, how in SIGNALS.items()}
    print(table(runs, 60, 1))
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            file.write(picture(runs, f"{MINUTES} minutes", 5))


if __name__ == "__main__":
    main()
