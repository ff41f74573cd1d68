"""Reads each dashboard into the types of Grafana's SDK and writes it again: what the SDK does not know is lost on the way.

round_trip.py DASHBOARD...
"""

import json
import sys
import unittest

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

FILES = sys.argv[1:]

# What the Prometheus data source itself adds to an annotation's query; the SDK leaves that to it.
ANNOTATION_OF_PROMETHEUS = {"textFormat", "titleFormat"}


def load(file):
    with open(file, encoding="utf-8") as text:
        board = json.load(text)
    for annotation in board["annotations"]["list"]:
        for key in ANNOTATION_OF_PROMETHEUS:
            annotation.pop(key, None)
    return board


def changes(before, after, at="$"):
    """Where something of `before` is missing from `after` or another value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from changes(value, after.get(key, "missing"), f"{at}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after)):
            yield from changes(one, other, f"{at}[{index}]")
    elif before != after:
        yield f"{at}: {before!r} became {after!r}"


def round_trip(board):
    return json.loads(JSONEncoder().encode(Dashboard.from_json(board)))


class RoundTrip(unittest.TestCase):
    def test_nothing_is_lost(self):
        self.assertTrue(FILES, "name the dashboards")
        for file in FILES:
            with self.subTest(file):
                board = load(file)
                self.assertEqual(list(changes(board, round_trip(board))), [])

    def test_what_the_sdk_does_not_know_is_noticed(self):
        board = load(FILES[0]) | {"refreshed": "1m"}
        self.assertEqual(list(changes(board, round_trip(board))), ["$.refreshed: '1m' became 'missing'"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
