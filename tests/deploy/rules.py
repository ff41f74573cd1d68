"""What objects have to be: valid, and within the restricted Pod security standard."""

import jsonschema
import kubernetes_validate
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as operator

KINDS = {kind.__name__: kind for kind in (operator.PodMonitor, operator.ServiceMonitor, operator.PrometheusRule, keda.ScaledObject)}


def closed(schema):
    """The same schema with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if "pattern" in schema:
        # Go allows flags after the beginning of an expression.
        schema["pattern"] = schema["pattern"].replace("^(?i)", "(?i)^")
    if "properties" in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


SCHEMAS = {name: closed(kind.model_json_schema(by_alias=True)) for name, kind in KINDS.items()}


def validate(item: dict, version: str) -> None:
    """Fails where Kubernetes of that version, the Prometheus operator or KEDA would not know a field or a value."""
    if item["kind"] in KINDS:
        jsonschema.validate(item, SCHEMAS[item["kind"]])
    else:
        kubernetes_validate.validate(item, version, strict=True)


def pod(item: dict) -> dict:
    return item["spec"]["template"]["spec"]


def containers(spec: dict) -> dict[str, dict]:
    found = spec.get("initContainers", []) + spec["containers"]
    return {container["name"]: container for container in found}


def restricted(spec: dict, container: dict) -> list[str]:
    """What the restricted Pod security standard, and a read-only root, would object to."""
    pod_context, context = spec.get("securityContext", {}), container.get("securityContext", {})
    both = {**pod_context, **context}
    kinds = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    wrong = {
        "host namespaces": any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        "host ports": any("hostPort" in port for port in container.get("ports", [])),
        "volumes of other kinds": any(set(volume) - {"name"} - kinds for volume in spec.get("volumes", [])),
        "privileged": context.get("privileged", False),
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
        "runAsNonRoot": both.get("runAsNonRoot") is not True,
        "runAsUser": not both.get("runAsUser"),
        "seccompProfile": both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
        "capabilities": context.get("capabilities") != {"drop": ["ALL"]},
        "sysctls or SELinux": bool(pod_context.get("sysctls") or both.get("seLinuxOptions")),
        "procMount": context.get("procMount", "Default") != "Default",
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is not True,
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]
