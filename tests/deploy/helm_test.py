"""The chart of deploy/helm, rendered by the real helm. Nothing is installed: that needs a cluster."""

import copy
import shutil
import tomllib
import unittest
from itertools import permutations

import yaml

from kubernetes_test import NEWEST, one, selects, workloads
from render import KUBERNETES, PROJECT, THIRD_PARTY, WORK, helm, render, template
from rules import containers, pod, restricted, validate

CHART = PROJECT / "deploy/helm/streamwarden"
OLDEST = "1.25"
CONFIG = {"poll": {"interval": "30s"}, "streams": [{"match": "events:*", "retention": {"max_length": 10_000_000}}]}
# What users set, by a name.
VALUES = {
    "defaults": {},
    "own address": {"config": CONFIG, "redis": {"uri": "rediss://ann@redis:6380/2", "password": 'a"b\'c: #1\\'}},
    "existing objects": {
        "existingConfigMap": "other", "trimToken": {"existingSecret": "trim"},
        "redis": {"existingSecret": "redis", "uriKey": "address", "passwordKey": "pass"},
    },
    "ingress": {
        "trimToken": {"existingSecret": "trim", "key": "key"}, "writeToken": {"existingSecret": "write", "key": "word"},
        "webhook": {"existingSecret": "hook"},
        "ingress": {"enabled": True, "className": "traefik", "host": "streams.example", "tlsSecret": "tls",
                    "annotations": {"traefik.ingress.kubernetes.io/router.middlewares": "shop-login@kubernetescrd"}},
    },
    "service monitor": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "1m"},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}, "runbooksUrl": "https://wiki.example/books"},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Redis"}},
    },
    "pod monitor": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    "in other Pods": {"standalone": {"enabled": False}, "podMonitor": {"enabled": True}, "config": CONFIG},
    "OpenShift": {"securityContext": {"runAsUser": None, "runAsGroup": None}},
    "spread": {
        "replicas": 3, "podDisruptionBudget": {"enabled": True, "maxUnavailable": "34%"}, "priorityClassName": "high",
        "podLabels": {"team": "a", "app.kubernetes.io/name": "other"}, "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "batch", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}]}}},
    },
    "extras": {
        "image": {"repository": "registry.example/streamwarden", "digest": "sha256:" + "a" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}], "serviceAccountName": "watcher",
        "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4317"}],
        "extraEnvFrom": [{"configMapRef": {"name": "telemetry"}}],
        "extraVolumes": [{"name": "ca", "secret": {"secretName": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
        "podLabels": {"team": "shop"}, "podAnnotations": {"note": "1"}, "service": {"annotations": {"note": "2"}},
    },
    "other port": {
        "config": {"http": {"listen": "[::]:8080", "external_url": "https://other.example"}},
        "networkPolicy": {"from": [], "redisPorts": [6380, 6381], "extraEgress": [{"ports": [{"port": 4317}]}]},
    },
    "login elsewhere": {
        "fullnameOverride": "watcher", "networkPolicy": {"enabled": False}, "resources": {"limits": {"memory": "256Mi"}},
        "ingress": {"enabled": True, "host": "streams.example", "allowWithoutLogin": True},
    },
}
# Values that are refused, and what of them the message names.
REFUSED = [
    ({"replcas": 2}, "replcas"),
    ({"config": {"poll": {"intervall": "1s"}}}, "intervall"),
    ({"config": {"poll": {"interval": 15}}}, "/config/poll/interval"),
    ({"redis": {"uri": "http://redis"}}, "/redis/uri"),
    ({"redis": {"uri": "redis://redis", "existingSecret": "redis"}}, "redis.uri conflicts with redis.existingSecret"),
    ({"redis": {"password": "secret"}}, "redis.password needs redis.uri"),
    ({"redis": {"uri": "redis://redis", "passwordKey": "pass"}}, "redis.passwordKey is for redis.existingSecret"),
    ({"config": {"redis": {"uri": "redis://redis"}}}, "config.redis.uri has no effect"),
    ({"config": {"http": {"listen": "127.0.0.1:19121"}}}, "config.http.listen is an address"),
    ({"trimToken": {"existingSecret": "t"}, "writeToken": {"existingSecret": "t"}}, "are the same token"),
    ({"fullnameOverride": "Bad_Name"}, "/fullnameOverride"),
    ({"config": CONFIG, "existingConfigMap": "other"}, "config conflicts with existingConfigMap"),
    ({"ingress": {"enabled": True}}, "ingress.host is missing"),
    ({"ingress": {"enabled": True, "host": "streams.example"}}, "the page has no login"),
    ({"standalone": {"enabled": False}, "serviceMonitor": {"enabled": True}}, "serviceMonitor.enabled needs standalone.enabled"),
    ({"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}, "twice"),
]
# What Kubernetes does not let anybody change, by kind.
IMMUTABLE = {
    "Deployment": lambda item: item["spec"]["selector"],
    "Service": lambda item: item["spec"].get("clusterIP"),
    "Secret": lambda item: (item.get("type"), item.get("immutable")),
    "ConfigMap": lambda item: item.get("immutable"),
}
MUTABLE = {"Ingress", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ServiceMonitor"}


def configuration(items: list[dict]) -> dict:
    (text,) = [item["data"]["config.yaml"] for item in items if "config.yaml" in item.get("data", {})]
    return yaml.safe_load(text)


def parent() -> list[dict]:
    """The chart that deploy/README.md shows, with the Pods' part of it put into somebody else's Deployment."""
    readme = (PROJECT / "deploy/README.md").read_text().split("### A sidecar from your own chart\n")[1]
    chart, values, patch = (part.split("```")[0] for part in readme.split("```yaml\n")[1:4])
    folder = WORK / "parent"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "templates").mkdir(parents=True)
    metadata = {"apiVersion": "v2", "name": "shop", "version": "1.0.0", **yaml.safe_load(chart)}
    metadata["dependencies"][0]["repository"] = f"file://{CHART}"
    (folder / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (folder / "values.yaml").write_text(values)
    deployment, *_ = THIRD_PARTY.read_text().split("---\n")
    for line in patch.splitlines():
        if "include" not in line:
            continue
        # Each line goes below the key that the sample shows above it.
        key = patch[:patch.index(line)].rstrip().splitlines()[-1].strip() + "\n"
        at = deployment.rindex(key) + len(key)
        deployment = f"{deployment[:at]}{line}\n{deployment[at:]}"
    (folder / "templates/deployment.yaml").write_text(deployment)
    built = helm("dependency", "update", folder)
    assert built.returncode == 0, built.stderr
    return template(folder, "shop", {})


class Chart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rendered = {name: template(CHART, "shop", values) for name, values in VALUES.items()}
        cls.with_sidecar = parent()

    def setUp(self):
        self.sets = copy.deepcopy(self.rendered)

    def container(self, name: str) -> dict:
        return containers(pod(one(self.sets[name], "Deployment")))["streamwarden"]

    def test_helm_has_nothing_to_say_against_it(self):
        for name, values in VALUES.items():
            with self.subTest(name):
                done = helm("lint", "--strict", CHART, values=values)
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_every_object_is_known_to_the_oldest_and_the_newest_kubernetes(self):
        # Sidecars that start before the application are known since 1.29.
        forms = [(name, OLDEST, items) for name, items in self.sets.items()] + [("parent", "1.29", self.with_sidecar)]
        for name, oldest, items in forms:
            for item in items:
                for version in (oldest, NEWEST):
                    with self.subTest(name, kind=item["kind"], version=version):
                        validate(item, version)
                        self.assertIn(item["metadata"].get("namespace"), (None, "shop"))

    def test_wrong_values_are_refused_with_their_names(self):
        for values, words in REFUSED:
            with self.subTest(words):
                done = helm("template", "shop", CHART, values=values)
                self.assertNotEqual(0, done.returncode)
                self.assertIn(words, done.stderr)

    def test_every_form_of_an_address_is_accepted(self):
        for address in ("valkeys://redis:6380/2", "redis+sentinel://one,two:26380/mymaster", "redis+unix:///run/redis.sock"):
            done = helm("template", "shop", CHART, values={"redis": {"uri": address}})
            self.assertEqual(0, done.returncode, done.stderr)

    def test_the_schema_has_the_values_and_no_others(self):
        schema = yaml.safe_load((CHART / "values.schema.json").read_text())["properties"]
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.assertEqual(set(values) | {"global"}, set(schema))
        for name, value in values.items():
            inside = schema[name].get("properties", {}) if name != "config" else {}
            if inside:
                self.assertEqual(set(value), set(inside), name)

    def test_no_upgrade_from_one_to_another_changes_what_is_immutable(self):
        by_name = {name: {(item["kind"], item["metadata"]["name"]): item for item in items} for name, items in self.sets.items()}
        compared = 0
        for before, after in permutations(by_name.values(), 2):
            for key in before.keys() & after.keys():
                if fixed := IMMUTABLE.get(key[0]):
                    self.assertEqual(fixed(before[key]), fixed(after[key]), key)
                    compared += 1
        self.assertGreater(compared, 250)
        self.assertEqual(IMMUTABLE.keys() | MUTABLE, {kind for items in by_name.values() for kind, _ in items})

    def test_an_upgrade_renders_what_an_installation_does(self):
        done = helm("template", "shop", CHART, "--namespace", "shop", "--is-upgrade", values={})
        self.assertEqual(self.sets["defaults"], [item for item in yaml.safe_load_all(done.stdout) if item])

    def test_its_pods_are_those_of_the_kustomize_forms(self):
        ours, theirs = pod(one(self.sets["defaults"], "Deployment")), pod(one(render(KUBERNETES / "standalone"), "Deployment"))
        ours, theirs = (yaml.safe_load(yaml.safe_dump(spec).replace("streamwarden-c", "c").replace("name: streamwarden-redis", "name: redis"))
                        for spec in (ours, theirs))
        (container,), (other,) = ours["containers"], theirs["containers"]
        # Kustomize's has a part of it in the Pod, which is nobody else's there.
        other["securityContext"] |= theirs.pop("securityContext")
        del container["imagePullPolicy"]
        ours["volumes"][0]["configMap"] = theirs["volumes"][0]["configMap"]
        self.assertEqual(theirs, ours)

    def test_its_sidecar_is_that_of_the_kustomize_forms(self):
        deployment = one(self.with_sidecar, "Deployment")
        sidecar = containers(pod(deployment))["streamwarden"]
        other = containers(pod(one(render(KUBERNETES / "examples/nexus/application"), "Deployment")))["streamwarden"]
        self.assertEqual({**other, "imagePullPolicy": "IfNotPresent", "image": f"registry.example/{other['image']}"}, sidecar)
        self.assertEqual([], restricted(pod(deployment), sidecar))

    def test_the_sidecar_changes_nothing_else_of_the_application(self):
        deployment, spec = (item := one(self.with_sidecar, "Deployment")), pod(item)
        spec["initContainers"] = [container for container in spec["initContainers"] if container["name"] != "streamwarden"]
        volumes = {volume["name"]: volume for volume in spec["volumes"] if volume["name"].startswith("streamwarden-")}
        self.assertEqual({"streamwarden-config", "streamwarden-redis"}, set(volumes))
        config_map = one(self.with_sidecar, "ConfigMap")["metadata"]["name"]
        self.assertEqual(config_map, volumes["streamwarden-config"]["configMap"]["name"])
        spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in volumes]
        labels = item["spec"]["template"]["metadata"]["labels"]
        self.assertTrue(selects(one(self.with_sidecar, "PodMonitor")["spec"]["selector"]["matchLabels"], labels))
        del labels["streamwarden/sidecar"]
        self.assertEqual(next(yaml.safe_load_all(THIRD_PARTY.read_text())), deployment)
        self.assertEqual({"ConfigMap", "Deployment", "PodMonitor"}, {item["kind"] for item in self.with_sidecar})

    def test_pods_are_restricted_and_found_by_all_that_select_them(self):
        for name, items in self.sets.items():
            for item in workloads(items):
                with self.subTest(name):
                    objections = restricted(pod(item), containers(pod(item))["streamwarden"])
                    self.assertEqual(["runAsUser"] if name == "OpenShift" else [], objections)
                    self.assertIs(pod(item)["automountServiceAccountToken"], False)
                    labels = item["spec"]["template"]["metadata"]["labels"]
                    service = one(items, "Service")
                    selectors = [service["spec"]["selector"], item["spec"]["selector"]["matchLabels"]]
                    for other in items:
                        spec = other.get("spec", {})
                        selectors += [spec["podSelector"]["matchLabels"]] if other["kind"] == "NetworkPolicy" else []
                        selectors += [spec["selector"]["matchLabels"]] if other["kind"] in ("PodMonitor", "PodDisruptionBudget") else []
                        if other["kind"] == "ServiceMonitor":
                            self.assertTrue(selects(spec["selector"]["matchLabels"], service["metadata"]["labels"]))
                    selectors += [each["labelSelector"]["matchLabels"] for each in pod(item).get("topologySpreadConstraints", [])]
                    for selector in selectors:
                        self.assertTrue(selector and selects(selector, labels), selector)

    def test_the_configuration_is_what_was_asked_for(self):
        self.assertEqual(CONFIG, configuration(self.sets["own address"]))
        self.assertIsNone(configuration(self.sets["defaults"]), "comments only")
        http = {"trim_token_file": "/etc/streamwarden/trim-token/key", "external_url": "https://streams.example",
                "write_token_file": "/etc/streamwarden/write-token/word"}
        notify = {"webhook_file": "/etc/streamwarden/webhook/url"}
        self.assertEqual({"http": http, "notify": notify}, configuration(self.sets["ingress"]))
        self.assertEqual({"http": {"external_url": "http://streams.example"}}, configuration(self.sets["login elsewhere"]))
        self.assertFalse([item for item in self.sets["existing objects"] if item["kind"] == "ConfigMap"])

    def test_secrets_are_mounted_where_the_variables_say(self):
        secret = one(self.sets["own address"], "Secret")
        self.assertEqual({"uri": "rediss://ann@redis:6380/2", "password": 'a"b\'c: #1\\'}, secret["stringData"])
        for name, secret, uri, password in (
            ("own address", "shop-streamwarden-redis", "uri", "password"),
            ("existing objects", "redis", "address", "pass"),
            ("defaults", "streamwarden-redis", "uri", None),
        ):
            environment = {entry["name"]: entry.get("value") for entry in self.container(name)["env"]}
            folder = "/etc/streamwarden/redis"
            self.assertEqual(f"{folder}/{uri}", environment["REDIS_URI_FILE"])
            self.assertEqual(password and f"{folder}/{password}", environment.get("REDIS_PASSWORD_FILE"))
            volumes = {volume["name"]: volume for volume in pod(one(self.sets[name], "Deployment"))["volumes"]}
            self.assertEqual(secret, volumes["streamwarden-redis"]["secret"]["secretName"])
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container("ingress")["volumeMounts"]}
        self.assertEqual("/etc/streamwarden/trim-token", mounts["streamwarden-trim-token"])
        self.assertEqual("/etc/streamwarden/write-token", mounts["streamwarden-write-token"])
        self.assertEqual("/etc/streamwarden/webhook", mounts["streamwarden-webhook"])
        volumes = {volume["name"]: volume for volume in pod(one(self.sets["ingress"], "Deployment"))["volumes"]}
        self.assertEqual("hook", volumes["streamwarden-webhook"]["secret"]["secretName"])

    def test_another_port_is_the_one_that_is_served_and_let_through(self):
        self.assertEqual(8080, self.container("other port")["ports"][0]["containerPort"])
        self.assertEqual(8080, one(self.sets["other port"], "Service")["spec"]["ports"][0]["port"])
        policy = one(self.sets["other port"], "NetworkPolicy")["spec"]
        self.assertEqual([], policy["ingress"], "an empty list of peers would let everybody in")
        self.assertEqual([6380, 6381], [port["port"] for port in policy["egress"][1]["ports"]])

    def test_rules_and_dashboards_are_those_of_the_project(self):
        rules = (PROJECT / "alerts/prometheusrule.yaml").read_text()
        self.assertEqual(yaml.safe_load(rules)["spec"], one(self.sets["pod monitor"], "PrometheusRule")["spec"])
        moved = rules.replace("https://streamwarden.example/runbooks/", "https://wiki.example/books/")
        self.assertEqual(yaml.safe_load(moved)["spec"], one(self.sets["service monitor"], "PrometheusRule")["spec"])
        shown = {name: text for item in self.sets["service monitor"] for name, text in item.get("data", {}).items()}
        del shown["config.yaml"]
        ours = {file.name: file.read_text() for file in (PROJECT / "dashboards").glob("*.json")}
        links = {name: text.replace("https://streamwarden.example/runbooks/", "https://wiki.example/books/") for name, text in ours.items()}
        self.assertNotEqual(ours, links)
        self.assertEqual(links, shown)

    def test_it_warns_of_an_address_without_a_login(self):
        done = helm("install", "shop", CHART, "--dry-run=client", values=VALUES["ingress"])
        self.assertIn("WARNING: the page at streams.example has no login of its own", done.stdout, done.stderr)

    def test_the_chart_is_of_this_version(self):
        version = tomllib.loads((PROJECT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual((version, version), (chart["version"], chart["appVersion"]))
        self.assertEqual(f"streamwarden:{version}", self.container("defaults")["image"])
