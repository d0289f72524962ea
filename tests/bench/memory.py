"""Memory against the cap, and throughput, at 600, 10,000 and 100,000 open partitions. See README.md."""

import argparse
import datetime
import pathlib
import subprocess
import sys
import tempfile

import alluvium
import inputs
import report
import tables

# Days of events: 60 partitions each.
DAYS = [10, 167, 1667]
MIB = 1 << 20


def arguments():
    parser = argparse.ArgumentParser(prog="run memory", description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="megabytes of events (default 1000)")
    parser.add_argument("--memory", type=int, nargs="+", default=[256, 1024], help="caps in MiB (default 256 1024)")
    parser.add_argument("--days", type=int, nargs="+", default=DAYS, help="days of events, 60 partitions each (default 10 167 1667)")
    parser.add_argument("--shape", choices=["full", "small"], default="full")
    return inputs.options(parser)


def run(args, days, cap):
    source = inputs.events(args.work, args.shape, args.size, days)
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        # By memory and at the end alone: neither size nor time cuts.
        buffer = f'memory = "{cap} MiB"\nage = "24 h"\nidle = "24 h"'
        config = alluvium.configure(work, tables.TABLES[args.shape], work / "out", buffer=buffer)
        took = inputs.measured(source, alluvium.replay(args.binary, config, source), work)
        found = alluvium.summary(work / "log")
    size = source.stat().st_size
    print(f"{days * 60} partitions, {cap} MiB: {took['wall']:.1f} s, {took['rss'] / MIB:.0f} MiB", file=sys.stderr)
    return {
        "partitions": days * 60,
        "cap_bytes": cap * MIB,
        "rss": took["rss"],
        "wall": took["wall"],
        "cpu": took["cpu"],
        "input_bytes": size,
        "rows": found["rows"],
        "files": found["files"],
    }


def main():
    args = arguments()
    runs = [run(args, days, cap) for cap in args.memory for days in args.days]
    found = {"version": alluvium.version(args.binary), "on": datetime.date.today().isoformat(), "shape": args.shape, "runs": runs}
    base = {one["cap_bytes"]: one for one in reversed(runs)}
    rows = [
        [
            f"{one['partitions']:,}",
            f"{one['cap_bytes'] // MIB} MiB",
            f"{one['rss'] / MIB:.0f} MiB",
            f"{one['rss'] / one['cap_bytes']:.2f}",
            f"{one['files']:,}",
            f"{one['input_bytes'] / 1e6 / one['wall']:.0f}",
            f"{base[one['cap_bytes']]['wall'] / one['wall']:.2f}",
            f"{one['cpu'] / one['input_bytes'] * 1e9:.1f}",
        ]
        for one in runs
    ]
    head = ["partitions", "cap", "peak RSS", "RSS / cap", "files", "MB/s", "of the first", "CPU s/GB"]
    stored = subprocess.run(["stat", "--file-system", "--format", "%T", args.work], capture_output=True, text=True, check=True).stdout.strip()
    what = f"`replay` of {args.size} MB of `{args.shape}` events into files on {stored}, nothing cut by size or time."
    lines = ["# Memory", "", f"Alluvium {found['version']}, {what}", ""]
    report.save(args.results, "memory", inputs.machine(), found, lines + list(report.table(head, rows)))


main()
