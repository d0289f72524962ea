"""The whole path beside its peers, on the same events, to the same layout: a table of ratios. See README.md beside it."""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHAPES = ["full", "small"]
PEERS = ["duckdb", "polars"]

CONFIG = """version = 1
[source.intake]
journal = "{work}/journal"
[keys]
created_date = '.created_at | utc_date'
attribute_name = '.attribute_name'
entity_id_mod = '.entity_id | bucket(10)'
[table]
spec = "{root}/schemas/tables/attribute_events.toml"
[lake]
url = "file://{output}/"
errors = "file://{work}/errors/"
state = "file://{work}/state/"
[buffer]
memory = "{memory}"
[parquet]
compression = "zstd(1)"
[admin]
listen = "off"
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="alluvium, built with --release")
    parser.add_argument("--size", type=int, default=200, help="megabytes of JSON for each shape (default 200)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, interleaved; the median counts (default 3)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--memory", default="2 GiB", help="[buffer] memory (default 2 GiB)")
    parser.add_argument("--work", help="folder for events and outputs; needs three times the size (default: a temporary one)")
    return parser.parse_args()


def command(engine, args, source, output, work):
    if engine != "alluvium":
        return [sys.executable, str(HERE / "peers.py"), engine, str(source), str(output)]
    config = work / "alluvium.toml"
    config.write_text(CONFIG.format(work=work, root=ROOT, output=output, memory=args.memory))
    return [args.binary, "bench", "--config", str(config), str(source)]


def measure(engine, args, source):
    """One run in a fresh folder: wall and CPU seconds, peak memory, and what it has written."""
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        work = pathlib.Path(folder)
        output = work / "out"
        with open(work / "log", "wb") as log:
            began = time.monotonic()
            child = subprocess.Popen(command(engine, args, source, output, work), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{engine} ended with {child.returncode}:\n{(work / 'log').read_text(errors='replace')[-3000:]}")
        files = [path for path in output.rglob("*.parquet") if path.is_file()]
        return {
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "rss": usage.ru_maxrss * 1024,
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
            "rows": rows_by_partition(output),
        }


def rows_by_partition(output):
    """Rows of each partition, so that two outputs can be told to be the same layout of the same rows."""
    rows = duckdb.sql(
        f"select created_date::varchar, attribute_name, entity_id_mod::int, count(*), count(distinct event_id)"
        f" from read_parquet('{output}/**/*.parquet', hive_partitioning = true) group by all order by all"
    )
    return rows.fetchall()


def median(runs):
    typical = {name: statistics.median(run[name] for run in runs) for name in ["wall", "cpu", "rss", "files", "bytes"]}
    return typical | {"rows": runs[0]["rows"]}


def bench(shape, args):
    source = pathlib.Path(args.work) / f"{shape}-{args.size}.ndjson"
    subprocess.run([sys.executable, str(HERE / "events.py"), str(source), shape, str(args.size)], check=True)
    engines = ["alluvium"] + args.peers
    runs = {engine: [] for engine in engines}
    for number in range(args.rounds):
        for engine in engines:
            runs[engine].append(measure(engine, args, source))
            print(f"{shape} {engine} {number + 1}/{args.rounds}: {runs[engine][-1]['wall']:.2f} s", file=sys.stderr)
    size = source.stat().st_size
    source.unlink()
    report(shape, size, {engine: median(found) for engine, found in runs.items()})


def report(shape, size, results):
    ours = results["alluvium"]
    events = sum(row[3] for row in ours["rows"])
    for engine, found in results.items():
        if found["rows"] != ours["rows"]:
            sys.exit(f"{shape}: {engine} has other rows or another layout than alluvium")
    print(f"\n{shape}: {events} events of {size / events:.0f} bytes, {len(ours['rows'])} partitions\n")
    print("| engine | MB/s | CPU s/GB | peak RSS MB | files | MB | wall ratio | CPU ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for engine, found in results.items():
        cells = [
            engine,
            f"{size / 1e6 / found['wall']:.0f}",
            f"{found['cpu'] / (size / 1e9):.1f}",
            f"{found['rss'] / 1e6:.0f}",
            f"{found['files']:.0f}",
            f"{found['bytes'] / 1e6:.1f}",
            f"{found['wall'] / ours['wall']:.2f}",
            f"{found['cpu'] / ours['cpu']:.2f}",
        ]
        print("| " + " | ".join(cells) + " |")


def main():
    args = arguments()
    own = None
    if args.work is None:
        own = args.work = tempfile.mkdtemp(prefix="alluvium-bench-")
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    try:
        for shape in args.shapes:
            bench(shape, args)
    finally:
        if own:
            shutil.rmtree(own)


main()
