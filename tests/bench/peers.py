"""The whole path beside its peers: the same events, the same layout, the same codec; their rows are compared. See README.md."""

import argparse
import contextlib
import datetime
import hashlib
import pathlib
import statistics
import subprocess
import sys
import tempfile

import alluvium
import inputs
import report
import rows
import tables

HERE = pathlib.Path(__file__).resolve().parent
# Alluvium with the columns of the peers; Alluvium with the table as it is shipped.
OURS = ["alluvium", "alluvium-whole"]
CLOSE = ["duckdb", "chdb"]
# 30 s and more for a gigabyte: one round.
SLOW = ["polars", "pyarrow", "pyspark"]
ENGINES = OURS + CLOSE + SLOW


def arguments():
    parser = argparse.ArgumentParser(prog="run peers", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="megabytes of JSON for each shape (default 1000)")
    parser.add_argument("--shapes", nargs="+", choices=list(tables.TABLES), default=list(tables.TABLES))
    parser.add_argument("--codec", nargs="+", choices=["zstd", "snappy"], default=["zstd", "snappy"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, interleaved; the median counts (default 3)")
    parser.add_argument("--slow-rounds", type=int, default=1, help=f"runs of {', '.join(SLOW)} (default 1)")
    parser.add_argument("--memory", default="2 GiB", help="[buffer] memory (default 2 GiB)")
    return inputs.options(parser)


def command(engine, args, shape, codec, source, work):
    table, output = tables.TABLES[shape], work / "out"
    if engine not in OURS:
        python = args.tools / f"bench-{engine}" / "bin" / "python"
        return [str(python), str(HERE / "engines"), engine, shape, str(source), str(output), codec]
    spec = tables.whole_spec(table) if engine == "alluvium-whole" else None
    buffer = f'memory = "{args.memory}"'
    return alluvium.replay(args.binary, alluvium.configure(work, table, output, codec, spec, buffer=buffer), source)


def run(engines, args, shape, codec, source):
    """One run of each engine, in fresh folders, with the machine for itself: what each took, and what it has written."""
    with contextlib.ExitStack() as folders:
        made = {engine: folders.enter_context(tempfile.TemporaryDirectory(dir=args.work)) for engine in engines}
        works, took = {engine: pathlib.Path(folder) for engine, folder in made.items()}, {}
        with inputs.Quiet(args.lock):
            for engine, work in works.items():
                took[engine] = inputs.measured(source, command(engine, args, shape, codec, source, work), work)
        return {engine: took[engine] | written(engine, shape, work) for engine, work in works.items()}


def written(engine, shape, work):
    if engine in OURS:
        alluvium.summary(work / "log")
    files = [path for path in (work / "out").rglob("*.parquet") if path.is_file()]
    return {
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "rows": rows.rows(work / "out", tables.TABLES[shape], tables, engine in OURS),
    }


def version(engine, args):
    if engine in OURS:
        return alluvium.version(args.binary)
    told = subprocess.run([args.tools / f"bench-{engine}/bin/python", HERE / "engines", engine], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def compare(shape, codec, want, found):
    """Stops the benchmark unless every run has written the same rows to the same partitions."""
    if want == found[1]:
        return
    differ = [key for key in want.keys() | found[1].keys() if want.get(key) != found[1].get(key)]
    examples = "\n".join(f"  {key}: {want.get(key)} {found[1].get(key)}" for key in sorted(differ)[:3])
    sys.exit(f"{shape} {codec}: {found[0]} has other rows than the first engine in {len(differ)} of {len(want)} partitions:\n{examples}")


def bench(shape, codec, args):
    """The results of all engines on one shape with one codec. Rounds are interleaved: what else the machine does hits all alike."""
    source = inputs.make(args.work, shape, args.size)
    runs, want = {engine: [] for engine in args.engines}, None
    close, slow = [e for e in args.engines if e not in SLOW], [e for e in args.engines if e in SLOW]
    for engines in [close] * args.rounds + [[engine] for engine in slow] * args.slow_rounds:
        for engine, took in run(engines, args, shape, codec, source).items():
            print(f"{shape} {codec} {engine}: {took['wall']:.2f} s, CPU {took['cpu']:.2f} s", file=sys.stderr)
            want = want or took["rows"]
            compare(shape, codec, want, (engine, took["rows"]))
            runs[engine].append(took)
    return source.stat().st_size, want, runs


def result(engine, args, size, want, runs):
    typical = {name: statistics.median(run[name] for run in runs) for name in ["wall", "cpu", "user", "system", "rss", "files", "bytes"]}
    checked = hash_of(want)
    return typical | {
        "version": version(engine, args),
        "rounds": len(runs),
        "walls": [round(run["wall"], 3) for run in runs],
        "input_bytes": size,
        "events": sum(count for count, _ in want.values()),
        "partitions": len(want),
        "rows": checked,
        "on": datetime.date.today().isoformat(),
    }


def hash_of(want):
    """One number for all partitions and their rows: engines that are measured at other times are compared by it."""
    return hashlib.sha256(repr(sorted(want.items())).encode()).hexdigest()[:16]


def main():
    args = arguments()
    for shape in args.shapes:
        for codec in args.codec:
            size, want, runs = bench(shape, codec, args)
            results = {engine: result(engine, args, size, want, found) for engine, found in runs.items()}
            report.merge(args.results, inputs.machine(), f"{shape}/{codec}", results)
    report.write(args.results)


main()
