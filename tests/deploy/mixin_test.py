"""The mixin, rendered by jsonnet, against the files that it is made of."""

import json
import unittest

import _gojsonnet as jsonnet
import yaml

from render import PROJECT

MIXIN = PROJECT / "mixin"
RULES = yaml.safe_load((PROJECT / "alerts/streamwarden.rules.yml").read_text())
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in sorted((PROJECT / "dashboards").glob("*.json"))}


def render(field: str, config: str = "{}") -> dict:
    """A field of the mixin, with something else in its configuration."""
    return json.loads(jsonnet.evaluate_snippet(
        str(MIXIN / "test.jsonnet"), f"((import 'mixin.libsonnet') + {{ _config+:: {config} }}).{field}"))


def rules(rendered: dict) -> list[dict]:
    return [rule for group in rendered["groups"] for rule in group["rules"]]


class Mixin(unittest.TestCase):
    def test_without_settings_it_is_what_is_shipped(self):
        files = {name: json.loads(jsonnet.evaluate_file(str(MIXIN / f"{name}.jsonnet"))) for name in ("alerts", "rules", "dashboards")}
        self.assertEqual(files["dashboards"], DASHBOARDS)
        for name, kind in {"alerts": "alert", "rules": "record"}.items():
            expected = [
                {**group, "rules": of_kind} for group in RULES["groups"]
                if (of_kind := [rule for rule in group["rules"] if kind in rule])
            ]
            self.assertTrue(expected)
            self.assertEqual(files[name]["groups"], expected)

    def test_alerts_have_the_labels_and_runbooks_that_are_set(self):
        config = "{ alertLabels: { team: 'events' }, runbooksUrl: 'https://wiki.example/books/' }"
        for rule, shipped in zip(rules(render("prometheusAlerts", config)), (r for r in rules(RULES) if "alert" in r), strict=True):
            name = shipped["alert"]
            self.assertEqual(rule["labels"], {**shipped["labels"], "team": "events"})
            self.assertEqual(rule["annotations"], {**shipped["annotations"], "runbook_url": f"https://wiki.example/books/{name}.md"})

    def test_a_disabled_alert_is_left_out_and_an_unknown_name_is_refused(self):
        every = rules(render("prometheusAlerts"))
        name = every[0]["alert"]
        self.assertEqual(rules(render("prometheusAlerts", f"{{ disabledAlerts: ['{name}'] }}")), every[1:])
        with self.assertRaisesRegex(RuntimeError, "disabledAlerts: no such alert: NoSuchAlert"):
            render("prometheusAlerts", "{ disabledAlerts: ['NoSuchAlert'] }")

    def test_dashboards_link_to_the_runbooks_that_are_set(self):
        for name, board in render("grafanaDashboards", "{ runbooksUrl: 'https://wiki.example/books' }").items():
            urls = [link["url"] for link in board["links"]]
            self.assertIn("https://wiki.example/books/README.md", urls, name)
            self.assertEqual(len(urls), len(DASHBOARDS[name]["links"]))

    def test_dashboards_have_the_tags_and_the_refresh_that_are_set(self):
        for name, board in render("grafanaDashboards", "{ dashboardTags: ['redis'], dashboardRefresh: '1m' }").items():
            self.assertEqual(board, {**DASHBOARDS[name], "tags": ["redis"], "refresh": "1m"})
        self.assertEqual(render("grafanaDashboardFolder", "{ dashboardFolder: 'Shop' }"), "Shop")

    def test_it_adds_to_other_mixins(self):
        other = "{ prometheusAlerts+:: { groups+: [{ name: 'other', rules: [] }] }, grafanaDashboards+:: { 'other.json': {} } }"
        both = json.loads(jsonnet.evaluate_snippet(str(MIXIN / "test.jsonnet"), f"""
            local both = {other} + (import 'mixin.libsonnet');
            {{ groups: [group.name for group in both.prometheusAlerts.groups], boards: std.objectFields(both.grafanaDashboards) }}"""))
        self.assertEqual(both["groups"][0], "other")
        self.assertEqual(set(both["boards"]), {*DASHBOARDS, "other.json"})


if __name__ == "__main__":
    unittest.main()
