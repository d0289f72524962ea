"""What the comparison of rows must see, and what it must not: run by the tests, with DuckDB as the engine."""

import gzip
import json
import pathlib
import random
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "engines")]

import duckdb_copy
import inputs
import rows
import tables

TABLE = tables.EDITS


def found(events, folder, name):
    source, output = folder / f"{name}.ndjson", folder / name
    source.write_text("".join(json.dumps(event) + "\n" for event in events))
    duckdb_copy.run(TABLE, tables, str(source), str(output), "zstd")
    return rows.rows(output, TABLE, tables, False)


def changed(events, **members):
    return [events[0] | members, *events[1:]]


def main():
    events = [json.loads(line) for line in gzip.decompress(inputs.EDITS_LOG.read_bytes()).splitlines()[:500]]
    shuffled = random.Random(1).sample(events, len(events))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        want = found(events, folder, "events")
        assert sum(count for count, _ in want.values()) == len(events) and len(want) > 10, want
        assert found(shuffled, folder, "shuffled") == want, "order does not matter"
        others = {
            "a text": changed(events, comment="other"),
            "a null": changed(events, comment=None),
            "a number": changed(events, delta=events[0]["delta"] + 1),
            "a millisecond": changed(events, timestamp=events[0]["timestamp"].replace(".080Z", ".081Z")),
            "a partition": changed(events, channel=events[1]["channel"]),
            "a row twice": [events[0], *events],
            "a row for another": [events[1], *events[1:]],
        }
        for what, other in others.items():
            assert found(other, folder, what.replace(" ", "-")) != want, f"{what} that differs is not seen"


main()
