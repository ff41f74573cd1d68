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


def simulate(rate: float, arriving: float, signal: str, target: float) -> list[tuple[int, float, float]]:
    """Replicas, age in seconds and length for each second."""
    arrived, handled = [0.0], 0.0
    replicas, starting, read, history, wanted = LEAST, [], 0.0, [], []
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
        desired = current if abs(read / target / current - 1) <= 0.1 else math.ceil(read / target)
        wanted = [(at, count) for at, count in wanted if at > second - 300] + [(second, desired)]
        # Down only to what no decision of the last five minutes was above, a quarter a minute; up to twice as many a minute.
        minute_ago = history[max(0, second - 60)][0]
        if desired > current:
            desired = min(desired, 2 * minute_ago, MOST)
            starting += [second + START] * max(0, desired - current)
        else:
            desired = max(max(count for _, count in wanted), math.floor(0.75 * minute_ago), LEAST)
            replicas -= max(0, min(current - desired, replicas - LEAST))
    return history


def picture(runs: dict[str, list[tuple[int, float, float]]]) -> str:
    """Replicas and age over time, one column a workload."""
    colours = dict(zip(SIGNALS, ("#1f6feb", "#d1242f")))
    width, height, left = 360, 130, 45
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (width + left) + 20} 360" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>']
    for column, workload in enumerate(WORKLOADS):
        for row, (title, index) in enumerate((("replicas", 0), ("age in seconds", 1))):
            x, y = left + column * (width + left), 40 + row * (height + 40)
            most = max(point[index] for signal in SIGNALS for point in runs[workload, signal])
            parts.append(f'<text x="{x}" y="{y - 6}">{workload}: {title}, at most {most:.0f}</text>')
            parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="#888"/>')
            for signal, colour in colours.items():
                points = runs[workload, signal][::5]
                line = " ".join(f"{x + i * width / len(points):.0f},{y + height * (1 - p[index] / most):.0f}" for i, p in enumerate(points))
                parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for at, (signal, colour) in enumerate(colours.items()):
        parts.append(f'<text x="{left + at * 120}" y="18" fill="{colour}">by {signal}</text>')
    parts.append(f'<text x="{left + 260}" y="18">{MINUTES} minutes</text></svg>')
    return "\n".join(parts) + "\n"


def main() -> None:
    runs = {(workload, signal): simulate(*load, *how) for workload, load in WORKLOADS.items() for signal, how in SIGNALS.items()}
    print("| Entries | Scaled by | Greatest age | Time over 60 s | Most replicas | Replica minutes |\n|---|---|---|---|---|---|")
    for (workload, signal), run in runs.items():
        over = sum(age > 60 for _, age, _ in run)
        print(f"| {workload} | {signal} | {max(age for _, age, _ in run)} s | {over} s | {max(r for r, _, _ in run)} "
              f"| {sum(r for r, _, _ in run) / 60:.0f} |")
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            file.write(picture(runs))


main()
