"""For tests/pods.sh: renders the Pods for podman, and compares what a sidecar exposes with what `streamwarden status` shows in its Pod."""

import json
import re
import shutil
import sys
from pathlib import Path

import yaml

from render import KUBERNETES, PROJECT, render, template

STATUSES = ("missing", "trimmed_past", "rewound", "no_consumers", "stopped", "stalled", "lagging", "ok", "unknown")
HEALTHS = ("healthy", "unknown", "warning", "critical")


def for_podman(items: list[dict], address: str) -> list[dict]:
    """The objects with what the podman of Debian 12 (4.3.1) needs to be otherwise. It skips kinds that it does not know."""
    for item in items:
        if item["kind"] != "Deployment":
            continue
        spec = item["spec"]["template"]["spec"]
        for volume in spec.get("volumes", []):
            # The default. Without it podman ends with a panic.
            if "secret" in volume:
                volume["secret"]["optional"] = False
        for container in spec["containers"]:
            # podman makes of a probe a command for a shell, of an httpGet a `curl` at port 0, since it knows no names of ports. The
            # image has neither. tests/pods.sh asks in its place.
            for kind in ("livenessProbe", "readinessProbe"):
                container.pop(kind, None)
            # For a variable podman wants a secret of another form than for a file. Only the example has such a variable.
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    del variable["valueFrom"]
                    variable["value"] = address
    return items


def probes(items: list[dict]) -> list[str]:
    """The sidecar's: kind, path, port and the seconds that an answer may take. What the Pod may take to end comes last."""
    lines = []
    for spec in (item["spec"]["template"]["spec"] for item in items if item["kind"] == "Deployment"):
        for container in spec["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for kind in ("livenessProbe", "readinessProbe"):
                if probe := container.get(kind):
                    asked = probe["httpGet"]
                    lines.append(f"{kind} {asked['path']} {ports[asked['port']]} {probe.get('timeoutSeconds', 1)}\n")
        lines.append(f"grace {spec.get('terminationGracePeriodSeconds', 30)}\n")
    return lines


def example(work: Path) -> tuple[list[dict], list[dict]]:
    """The application with the sidecar in its Pod, and the Redis."""
    copied = work / "kubernetes"
    shutil.copytree(KUBERNETES, copied)
    # podman knows no sidecars among the init containers. A test compares both forms: the container is the same.
    kustomization = copied / "examples/nexus/application/kustomization.yaml"
    text = kustomization.read_text()
    assert "../../../sidecar\n" in text
    kustomization.write_text(text.replace("../../../sidecar\n", "../../../sidecar-before-1.29\n"))
    items = render(copied / "examples/nexus")
    redis = [item for item in items if item["metadata"]["name"] == "redis"]
    return [item for item in items if item not in redis], redis


def application() -> list[dict]:
    """The application alone."""
    return list(yaml.safe_load_all((KUBERNETES / "examples/nexus/application/deployment.yaml").read_text()))


def write(work: Path, address: str) -> None:
    """A file for each Pod, below the folder."""
    sidecar, redis = example(work)
    forms = {
        "redis": redis,
        "application": application(),
        "sidecar": sidecar,
        "standalone": render(KUBERNETES / "standalone"),
        "chart": template(PROJECT / "deploy/helm/streamwarden", "shop", {}),
    }
    for name, items in forms.items():
        (work / f"{name}.probes").write_text("".join(probes(items)))
        (work / f"{name}.yaml").write_text(yaml.safe_dump_all(for_podman(items, address)))


def numbers(status: dict) -> dict[str, float]:
    """Samples that do not change while nothing is written and read. An unknown number has none."""
    samples = {}
    for labels, stream in streams(status):
        samples[f"streamwarden_stream_length{{{labels}}}"] = stream["length"]
        samples[f"streamwarden_stream_entries_added_total{{{labels}}}"] = stream["entries_added"]
        samples[f"streamwarden_stream_groups{{{labels}}}"] = len(stream["groups"])
        for group in stream["groups"]:
            of_group = f'{labels},group="{group["name"]}"'
            for field in ("lag", "lag_known", "lag_upper_bound", "pending"):
                samples[f"streamwarden_group_{field}{{{of_group}}}"] = group[field]
    return {name: float(value) for name, value in samples.items() if value is not None}


def judgements(status: dict) -> dict[str, float]:
    """Samples of what the numbers mean."""
    samples = {}
    for labels, stream in streams(status):
        for health in HEALTHS:
            samples[f'streamwarden_stream_health{{{labels},status="{health}"}}'] = float(stream["health"] == health)
        for group in stream["groups"]:
            of_group = f'{labels},group="{group["name"]}"'
            for name in STATUSES:
                samples[f'streamwarden_group_status{{{of_group},status="{name}"}}'] = float(group["status"] == name)
    return samples


def streams(status: dict) -> list[tuple[str, dict]]:
    return [(f'db="{status["database"]}",stream="{stream["name"]}"', stream) for stream in status["streams"]]


def samples_of(page: str, names: set[str]) -> dict[str, float]:
    """All samples of these families."""
    found = (re.fullmatch(r"(\w+)(\{.*\}) (\S+)", line) for line in page.splitlines())
    return {f"{each[1]}{each[2]}": float(each[3]) for each in found if each and each[1] in names}


def compare(page: str, redis: dict, sidecar: dict) -> None:
    """Fails unless the page has the numbers that `status` reads from Redis itself, and what `status --url` shows of the sidecar.

    What they mean is the sidecar's alone: it has watched for longer than a command does.
    """
    for wanted in (numbers(redis), numbers(sidecar), judgements(sidecar)):
        exposed = samples_of(page, {name.partition("{")[0] for name in wanted})
        differences = sorted(wanted.items() ^ exposed.items())
        assert not differences, f"status and /metrics differ: {differences}"
    healths = {stream["health"] for stream in sidecar["streams"]}
    lags = {group["lag"] for stream in redis["streams"] for group in stream["groups"]}
    # Where everything is healthy and 0, a comparison shows little.
    assert len(healths) > 1 and len(lags) > 2, (healths, lags)
    count = len(numbers(redis)) + len(judgements(sidecar))
    print(f"{count} samples of {len(redis['streams'])} streams are those of status: {sorted(healths)}, lags {sorted(lags)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["render", folder, uri]:
            write(Path(folder), uri)
        case ["compare", folder]:
            page, *documents = (Path(folder, name).read_text() for name in ("metrics", "status", "status-of-sidecar"))
            compare(page, *map(json.loads, documents))
        case _:
            sys.exit("pods.py: render FOLDER ADDRESS, or compare FOLDER")
