"""The service of deploy/systemd, as far as can be told without systemd. `make test-deb` runs it."""

import json
import tomllib
import unittest
from configparser import ConfigParser

import jsonschema
import yaml

from render import PROJECT

FOLDER = PROJECT / "deploy/systemd"


class Service(unittest.TestCase):
    def test_its_files_are_where_the_package_puts_them(self):
        unit = ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(FOLDER / "streamwarden.service")
        package = tomllib.loads((PROJECT / "Cargo.toml").read_text())["package"]["metadata"]["deb"]
        installed = {folder + source.rpartition("/")[2] if folder.endswith("/") else folder for source, folder, _ in package["assets"]}
        program, flag, config = unit["Service"]["ExecStart"].split()
        self.assertEqual("--config", flag)
        self.assertLessEqual({program[1:], config[1:]}, installed)
        self.assertEqual([config], package["conf-files"])

    def test_its_configuration_is_one_and_names_the_file_that_the_unit_waits_for(self):
        config = yaml.safe_load((FOLDER / "config.yaml").read_text())
        jsonschema.validate(config, json.loads((PROJECT / "deploy/streamwarden.schema.json").read_text()))
        self.assertIn(f"ConditionPathExists={config['redis']['uri_file']}\n", (FOLDER / "streamwarden.service").read_text())
