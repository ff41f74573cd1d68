"""The Compose file of deploy/compose, as far as can be told without Docker."""

import copy
import unittest

import yaml
from compose_spec import ComposeSpecification
from pydantic import ValidationError

from render import PROJECT

FOLDER = PROJECT / "deploy/compose"
# Parts of the project that other services are given.
OURS = ("streamwarden", "nexus")


def load() -> dict:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return {key: value for key, value in compose.items() if not key.startswith("x-")}


class Compose(unittest.TestCase):
    def setUp(self):
        self.compose = load()
        self.services = self.compose["services"]

    def test_it_is_a_compose_file(self):
        ComposeSpecification.model_validate(self.compose, extra="forbid")

    def test_a_misspelt_key_is_refused(self):
        """That the validator looks at each service."""
        for name in self.services:
            wrong = copy.deepcopy(self.compose)
            wrong["services"][name]["retsart"] = "always"
            with self.subTest(name), self.assertRaisesRegex(ValidationError, "retsart"):
                ComposeSpecification.model_validate(wrong, extra="forbid")

    def test_whatever_is_mounted_or_built_is_there(self):
        paths = [secret["file"] for secret in self.compose["secrets"].values()]
        for service in self.services.values():
            sources = [volume.split(":")[0] for volume in service.get("volumes", [])]
            paths += [source for source in sources if source.startswith(".")]
            self.assertLessEqual({source for source in sources if not source.startswith(".")}, set(self.compose["volumes"]))
            build = service.get("build", {"context": "."})
            build = {"context": build} if isinstance(build, str) else build
            if "image" not in service:
                paths.append(f"{build['context']}/{build.get('dockerfile', 'Dockerfile')}")
        self.assertGreater(len(paths), 6)
        for path in paths:
            self.assertTrue((FOLDER / path).exists(), path)

    def test_every_service_is_confined_and_on_loopback(self):
        for name, service in self.services.items():
            with self.subTest(name):
                self.assertIs(service["read_only"], True)
                self.assertEqual(["ALL"], service["cap_drop"])
                self.assertIn("no-new-privileges:true", service["security_opt"])
                for port in service.get("ports", []):
                    self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_images_of_others_have_a_version(self):
        for name, service in self.services.items():
            if name not in OURS:
                self.assertRegex(service["image"], r":v?\d", name)

    def test_prometheus_scrapes_the_sidecar_and_reads_the_rules(self):
        prometheus = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        (scrape,) = prometheus["scrape_configs"]
        (target,) = scrape["static_configs"][0]["targets"]
        name, port = target.split(":")
        self.assertIn(f"127.0.0.1:{port}:{port}", self.services[name]["ports"])
        mounted = {volume.split(":")[1] for volume in self.services["prometheus"]["volumes"]}
        for file in prometheus["rule_files"]:
            self.assertIn(f"/etc/prometheus/{file}", mounted)

    def test_grafana_is_given_the_dashboards_and_a_datasource(self):
        provisioning = FOLDER / "grafana/provisioning"
        (provider,) = yaml.safe_load((provisioning / "dashboards/streamwarden.yaml").read_text())["providers"]
        mounted = {volume.split(":")[1] for volume in self.services["grafana"]["volumes"]}
        self.assertIn(provider["options"]["path"], mounted)
        (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
        self.assertIn(source["url"].removeprefix("http://").split(":")[0], self.services)
