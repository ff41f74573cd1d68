"""The examples of deploy/kubernetes/autoscaling, and the simulation on the page about them."""

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from urllib.parse import urlsplit

import yaml
from jsonschema import ValidationError

from render import KUBERNETES, PROJECT
from rules import validate

FOLDER = KUBERNETES / "autoscaling"
PAGE = PROJECT / "docs/src/autoscaling.md"
# What KEDA's documentation of 2.16 names for each kind of trigger. Its schema takes any text there.
TRIGGERS = {
    "prometheus": {"serverAddress", "query", "threshold", "activationThreshold", "namespace", "customHeaders", "ignoreNullValues",
                   "queryParameters", "unsafeSsl", "timeout", "authModes"},
    "metrics-api": {"targetValue", "activationTargetValue", "format", "url", "valueLocation", "authMode", "method", "unsafeSsl"},
}


def load(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text())


class Autoscaling(unittest.TestCase):
    def setUp(self):
        self.examples = {name: load(name) for name in ("keda-prometheus.yaml", "keda-metrics-api.yaml", "hpa.yaml")}

    def test_every_example_is_what_its_schema_says(self):
        for name, item in self.examples.items():
            with self.subTest(name):
                validate(item, "1.29")
                validate(item, "1.37")
                wrong = copy.deepcopy(item)
                wrong["spec"]["maxReplicaCont"] = 3
                self.assertRaisesRegex(ValidationError, "maxReplicaCont", validate, wrong, "1.37")

    def test_triggers_have_the_keys_that_keda_knows(self):
        for name in ("keda-prometheus.yaml", "keda-metrics-api.yaml"):
            (trigger,) = self.examples[name]["spec"]["triggers"]
            self.assertLessEqual(set(trigger["metadata"]), TRIGGERS[trigger["type"]])
            self.assertTrue(all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes texts only")

    def test_an_unknown_lag_is_never_taken_for_none(self):
        (trigger,) = self.examples["keda-prometheus.yaml"]["spec"]["triggers"]
        self.assertEqual("false", trigger["metadata"]["ignoreNullValues"])
        self.assertNotIn(" or ", trigger["metadata"]["query"])
        for name in ("keda-prometheus.yaml", "keda-metrics-api.yaml"):
            self.assertGreater(self.examples[name]["spec"]["minReplicaCount"], 0)

    def test_the_path_and_its_field_are_in_the_description_of_the_api(self):
        (trigger,) = self.examples["keda-metrics-api.yaml"]["spec"]["triggers"]
        url, field = urlsplit(trigger["metadata"]["url"]), trigger["metadata"]["valueLocation"]
        self.assertEqual(19121, url.port)
        *head, _stream, _group, last = url.path.split("/")
        api = json.loads((PROJECT / "src/views/api/openapi.json").read_text())
        answers = api["paths"]["/".join([*head, "{key}", "{group}", last])]["get"]["responses"]
        self.assertIn("503", answers)
        schema = answers["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        self.assertEqual("number", api["components"]["schemas"][schema]["properties"][field]["type"])

    def test_all_examples_scale_by_the_same_metric_and_in_the_same_way(self):
        metric = "streamwarden_group_lag_seconds"
        (rule,) = load("prometheus-adapter.yaml")["rules"]["external"]
        self.assertEqual(metric, rule["name"]["as"])
        self.assertEqual(metric, self.examples["hpa.yaml"]["spec"]["metrics"][0]["external"]["metric"]["name"])
        self.assertIn(metric, self.examples["keda-prometheus.yaml"]["spec"]["triggers"][0]["metadata"]["query"])
        behaviours = [self.examples["hpa.yaml"]["spec"]["behavior"]]
        for name in ("keda-prometheus.yaml", "keda-metrics-api.yaml"):
            behaviours.append(self.examples[name]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"])
        self.assertTrue(all(behaviour == behaviours[0] for behaviour in behaviours))

    def test_the_page_has_what_the_simulation_says(self):
        with tempfile.NamedTemporaryFile(suffix=".svg") as picture:
            table = subprocess.run([sys.executable, PROJECT / "benches/autoscaling.py", picture.name],
                                   check=True, capture_output=True, text=True, timeout=60).stdout
            self.assertEqual((PROJECT / "docs/src/autoscaling.svg").read_bytes(), picture.read())
        self.assertIn(f"begin -->\n{table}<!-- simulation: end", PAGE.read_text())
