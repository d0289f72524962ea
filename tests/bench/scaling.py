"""Time against size of the input, and two threads against one. See README.md."""

import argparse
import datetime
import os
import pathlib
import sys
import tempfile

import alluvium
import inputs
import report
import tables


def arguments():
    parser = argparse.ArgumentParser(prog="run scaling", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="megabytes of one object (default 1000)")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2, 4, 8], help="how many objects (default 1 2 4 8)")
    parser.add_argument("--shape", choices=["full", "small"], default="full")
    parser.add_argument("--memory", default="1 GiB", help="[buffer] memory (default 1 GiB)")
    return inputs.options(parser)


def run(args, objects, cores):
    """Replays a folder that holds one file of events under so many names."""
    source = inputs.events(args.work, args.shape, args.size)
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        (work / "in").mkdir()
        for number in range(objects):
            os.link(source, work / "in" / f"{number:03}.ndjson")
        config = alluvium.configure(work, tables.TABLES[args.shape], work / "out", buffer=f'memory = "{args.memory}"')
        pinned = ["taskset", "--cpu-list", cores] if cores else []
        took = inputs.measured(source, pinned + alluvium.replay(args.binary, config, f"{work}/in/"), work)
        rows = alluvium.summary(work / "log")["rows"]
    size = source.stat().st_size * objects
    print(f"{objects} objects, cores {cores or 'all'}: {took['wall']:.1f} s", file=sys.stderr)
    return {"objects": objects, "cores": cores or "all", "input_bytes": size, "rows": rows} | {name: took[name] for name in ["wall", "cpu", "rss"]}


def main():
    args = arguments()
    runs = [run(args, objects, None) for objects in args.objects]
    alone = run(args, args.objects[0], "0")
    found = {"version": alluvium.version(args.binary), "on": datetime.date.today().isoformat(), "shape": args.shape, "runs": runs + [alone]}
    first = runs[0]
    ratio = lambda one: one["wall"] / first["wall"] / (one["objects"] / first["objects"])
    rows = [
        [one["objects"], one["cores"], f"{one['wall']:.2f}", f"{one['input_bytes'] / 1e6 / one['wall']:.0f}", f"{one['cpu'] / one['input_bytes'] * 1e9:.2f}", f"{one['rss'] / 1e6:.0f}", f"{ratio(one):.2f}"]
        for one in runs + [alone]
    ]
    head = ["objects", "cores", "wall s", "MB/s", "CPU s/GB", "peak RSS MB", "time per byte against the first"]
    lines = [
        "# Scaling",
        "",
        f"Alluvium {found['version']}, `replay` of a folder of objects of {args.size} MB of `{args.shape}` events, `[buffer] memory = \"{args.memory}\"`.",
        "",
        *report.table(head, rows),
        "",
        f"All {os.cpu_count()} cores are {alone['wall'] / first['wall']:.2f} times as fast as one.",
    ]
    report.save(args.results, "scaling", inputs.machine(), found, lines)


main()
