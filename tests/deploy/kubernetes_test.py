"""The manifests of deploy/kubernetes, each rendered as its users render it."""

import copy
import json
import tomllib
import unittest

import yaml
from jsonschema import ValidationError

from render import KUBERNETES, PROJECT, THIRD_PARTY, render, sample
from rules import containers, pod, restricted, validate

NEWEST = "1.37"
# By name: the oldest Kubernetes for which a form is, or whose schemas are at hand, and how its users render it.
FORMS = {
    "standalone": ("1.29", lambda: sample("standalone", "Stand-alone")),
    "sidecar": ("1.29", lambda: patched("sidecar")),
    "sidecar-before-1.29": ("1.25", lambda: patched("sidecar-before-1.29")),
    "nexus": ("1.29", lambda: render(KUBERNETES / "examples/nexus")),
    "monitoring": ("1.25", lambda: render(KUBERNETES / "monitoring")),
}


def patched(form: str) -> list[dict]:
    """Somebody else's workloads with the sidecar."""
    return sample(form, "In an application's Pods", form)


def workloads(items: list[dict]) -> list[dict]:
    return [item for item in items if item["kind"] in ("Deployment", "StatefulSet")]


def one(items: list[dict], kind: str) -> dict:
    (item,) = [item for item in items if item["kind"] == kind]
    return item


def selects(selector: dict, labels: dict) -> bool:
    return selector.items() <= labels.items()


class Forms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rendered = {name: form() for name, (_, form) in FORMS.items()}

    def setUp(self):
        self.forms = copy.deepcopy(self.rendered)

    def sidecars(self):
        """Each Pod's specification and labels with its sidecar, by form."""
        for form, items in self.forms.items():
            for item in workloads(items):
                if sidecar := containers(pod(item)).get("streamwarden"):
                    yield form, item, sidecar

    def test_every_object_is_known_to_the_oldest_and_the_newest_kubernetes(self):
        for form, (oldest, _) in FORMS.items():
            self.assertTrue(self.forms[form])
            for item in self.forms[form]:
                for version in (oldest, NEWEST):
                    with self.subTest(form=form, kind=item["kind"], version=version):
                        validate(item, version)

    def test_a_misspelt_field_is_refused_everywhere(self):
        """That the validators look at all."""
        for items in self.forms.values():
            for item in items:
                wrong = copy.deepcopy(item)
                wrong["spec" if "spec" in item else "metadata"]["nmae"] = "x"
                with self.subTest(kind=item["kind"]), self.assertRaisesRegex(ValidationError, "nmae"):
                    validate(wrong, NEWEST)

    def test_each_form_has_its_sidecar_and_it_is_restricted(self):
        seen = set()
        for form, item, sidecar in self.sidecars():
            seen.add((form, item["metadata"]["name"]))
            with self.subTest(form=form):
                self.assertEqual([], restricted(pod(item), sidecar))
        self.assertEqual(seen, {
            ("standalone", "streamwarden"), ("nexus", "nexus"),
            ("sidecar", "shop"), ("sidecar", "ledger"),
            ("sidecar-before-1.29", "shop"), ("sidecar-before-1.29", "ledger"),
        })

    def test_our_own_pods_are_restricted_as_a_whole(self):
        for form in ("standalone", "nexus"):
            for item in workloads(self.forms[form]):
                for name, container in containers(pod(item)).items():
                    with self.subTest(form=form, container=name):
                        self.assertEqual([], restricted(pod(item), container))
                        self.assertIs(pod(item)["automountServiceAccountToken"], False)

    def test_the_restricted_rules_refuse_what_they_must(self):
        item = one(self.forms["standalone"], "Deployment")
        for key in ("allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"):
            wrong = copy.deepcopy(item)
            del containers(pod(wrong))["streamwarden"]["securityContext"][key]
            self.assertEqual([key], restricted(pod(wrong), containers(pod(wrong))["streamwarden"]))
        for key in ("runAsNonRoot", "runAsUser", "seccompProfile"):
            wrong = copy.deepcopy(item)
            del pod(wrong)["securityContext"][key]
            self.assertEqual([key], restricted(pod(wrong), containers(pod(wrong))["streamwarden"]))

    def test_the_sidecar_changes_nothing_else_of_a_workload(self):
        before = {item["metadata"]["name"]: item for item in yaml.safe_load_all(THIRD_PARTY.read_text())}
        for form, field in (("sidecar", "initContainers"), ("sidecar-before-1.29", "containers")):
            for item in workloads(self.forms[form]):
                spec = pod(item)
                self.assertIn("streamwarden", [container["name"] for container in spec[field]])
                spec[field] = [container for container in spec[field] if container["name"] != "streamwarden"]
                spec["volumes"] = [volume for volume in spec["volumes"] if not volume["name"].startswith("streamwarden-")]
                for key in ("initContainers", "volumes"):
                    if not spec.get(key):
                        spec.pop(key, None)
                del item["spec"]["template"]["metadata"]["labels"]["streamwarden/sidecar"]
                self.assertEqual(before[item["metadata"]["name"]], item)

    def test_both_sidecar_forms_have_the_same_container(self):
        native, plain = (
            containers(pod(one(self.forms[form], "Deployment")))["streamwarden"]
            for form in ("sidecar", "sidecar-before-1.29")
        )
        self.assertEqual("Always", native.pop("restartPolicy"))
        self.assertEqual(native, plain)

    def test_an_application_is_served_whether_or_not_it_is_watched(self):
        for form, _, sidecar in self.sidecars():
            probes = {key for key in sidecar if key.endswith("Probe")}
            expected = {"livenessProbe", "readinessProbe"} if form == "standalone" else {"livenessProbe"}
            self.assertEqual(expected, probes, form)
            self.assertEqual("/livez", sidecar["livenessProbe"]["httpGet"]["path"])

    def test_configuration_and_secret_are_mounted_so_that_they_rotate(self):
        for form, item, sidecar in self.sidecars():
            with self.subTest(form=form):
                volumes = {volume["name"]: volume for volume in pod(item)["volumes"]}
                mounts = {mount["mountPath"]: mount for mount in sidecar["volumeMounts"]}
                self.assertFalse([mount for mount in mounts.values() if "subPath" in mount])
                environment = {entry["name"]: entry["value"] for entry in sidecar["env"]}
                config, uri = environment["STREAMWARDEN_CONFIG"], environment["REDIS_URI_FILE"]
                self.assertEqual({"STREAMWARDEN_CONFIG", "REDIS_URI_FILE"}, set(environment))
                config_volume = volumes[mounts[config.rpartition("/")[0]]["name"]]
                uri_volume = volumes[mounts[uri.rpartition("/")[0]]["name"]]
                self.assertEqual({"name": "streamwarden"}, config_volume["configMap"])
                self.assertEqual({"secretName": "streamwarden-redis"}, uri_volume["secret"])
                config_map = one(self.forms[form], "ConfigMap")
                self.assertEqual("streamwarden", config_map["metadata"]["name"], "no hash: a change must not restart")
                self.assertEqual([config.rpartition("/")[2]], list(config_map["data"]))
                if form in ("standalone", "sidecar"):
                    self.assertIn("30s", config_map["data"]["config.yaml"], "the user's own")

    def test_no_secret_is_shipped(self):
        self.assertFalse([item for items in self.forms.values() for item in items if item["kind"] == "Secret"])

    def test_monitors_find_what_they_are_for(self):
        for form, item, sidecar in self.sidecars():
            labels = item["spec"]["template"]["metadata"]["labels"]
            ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
            if form == "standalone":
                service, monitor = (one(self.forms[form], kind) for kind in ("Service", "ServiceMonitor"))
                policy = one(self.forms[form], "NetworkPolicy")["spec"]
                self.assertTrue(selects(service["spec"]["selector"], labels))
                self.assertTrue(selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]))
                self.assertTrue(selects(policy["podSelector"]["matchLabels"], labels))
                (port,), (endpoint,) = service["spec"]["ports"], monitor["spec"]["endpoints"]
                self.assertEqual(endpoint["port"], port["name"])
                self.assertEqual(19121, ports[port["targetPort"]])
                self.assertIn(policy["ingress"][0]["ports"][0]["port"], ports)
            else:
                monitor = one(self.forms[form], "PodMonitor")
                self.assertTrue(selects(monitor["spec"]["selector"]["matchLabels"], labels), form)
                (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
                self.assertEqual(19121, ports[endpoint["port"]])

    def test_the_documented_ingress_leads_to_the_service(self):
        page = (PROJECT / "docs/src/kubernetes.md").read_text()
        middleware, ingress = yaml.safe_load_all(page.split("```yaml\n")[1].split("```")[0])
        validate(ingress, "1.29")
        validate(ingress, NEWEST)
        service = one(self.forms["standalone"], "Service")
        (rule,) = ingress["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        self.assertEqual(backend["name"], service["metadata"]["name"])
        self.assertIn(backend["port"]["name"], [port["name"] for port in service["spec"]["ports"]])
        # As Traefik writes the name of a Middleware: with its namespace, and where it is from.
        name = f'{middleware["metadata"]["namespace"]}-{middleware["metadata"]["name"]}@kubernetescrd'
        self.assertIn(name, ingress["metadata"]["annotations"].values())

    def test_the_image_is_of_this_version(self):
        version = tomllib.loads((PROJECT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        for form, _, sidecar in self.sidecars():
            self.assertEqual(f"streamwarden:{version}", sidecar["image"], form)

    def test_every_object_is_small_enough_to_be_applied(self):
        """kubectl keeps what it applied in an annotation of at most 256 KiB."""
        for items in self.forms.values():
            for item in items:
                self.assertLess(len(json.dumps(item)), 200_000, item["metadata"]["name"])

    def test_rules_and_dashboards_are_all_there(self):
        items = self.forms["monitoring"]
        self.assertEqual([yaml.safe_load((PROJECT / "alerts/prometheusrule.yaml").read_text())],
                         [item for item in items if item["kind"] == "PrometheusRule"])
        shown = {name: text for item in items for name, text in item.get("data", {}).items()}
        self.assertEqual({file.name: file.read_text() for file in (PROJECT / "dashboards").glob("*.json")}, shown)
