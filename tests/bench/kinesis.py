"""GetRecords of an in-process Kinesis at the rate the pipeline takes, and the cost of a stream without traffic. See README.md."""

import argparse
import datetime
import os
import pathlib
import subprocess
import tempfile
import time

import alluvium
import inputs
import process
import report
import tables

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
# A stream of its own limits each shard to 2 MiB and 5 reads a second: here the pipeline is to be the limit.
FAST = "reads_per_second = 1000\nbytes_per_second = \"1 GiB\""


def arguments():
    parser = argparse.ArgumentParser(prog="run kinesis", description=__doc__)
    parser.add_argument("--size", type=int, default=400, help="megabytes of events in the stream (default 400)")
    parser.add_argument("--shards", type=int, default=8, help="shards with events (default 8)")
    parser.add_argument("--idle-shards", type=int, default=1000, help="shards without (default 1000)")
    parser.add_argument("--idle-seconds", type=int, default=60, help="how long to look at them (default 60)")
    parser.add_argument("--shapes", nargs="+", choices=["full", "small"], default=["full", "small"])
    return inputs.options(parser)


def kinesis(args, work, shards, events=None):
    command = [args.kinesis, str(shards)] + ([str(events)] if events else [])
    return process.Process(command, work / "kinesis.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def alluvium_run(args, work, url, more=""):
    admin = f"127.0.0.1:{process.free_port()}"
    source = f'[source.kinesis]\nstream = "bench"\nendpoint_url = "{url}"\nregion = "us-east-1"\n{more}'
    config = alluvium.configure(work, tables.EVENTS, work / "out", source=source, admin=admin)
    return process.Process([args.binary, "run", "--config", str(config)], work / "log", env=CREDENTIALS), admin


def busy(args, shape):
    """All records of a stream, from the start of the process to its end."""
    events = inputs.events(args.work, shape, args.size)
    with open(events, "rb") as file:
        count = sum(1 for _ in file)
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        with kinesis(args, work, args.shards, events) as served:
            url = served.child.stdout.readline().strip()
            cpu_before = served.cpu()
            began = time.monotonic()
            ours, admin = alluvium_run(args, work, url, FAST)
            with ours:
                ours.until("all records", lambda: (process.metric(admin, "alluvium_incoming_records") or 0) >= count, 300)
                read = time.monotonic() - began
                cpu, rss = ours.stop()
            wall, served_cpu = time.monotonic() - began, served.cpu() - cpu_before
    found = {"shape": shape, "records": count, "input_bytes": events.stat().st_size, "shards": args.shards}
    return found | {"read_seconds": read, "wall": wall, "cpu": cpu, "rss": rss, "kinesis_cpu": served_cpu}


def idle(args):
    """CPU seconds a minute of reading shards that hold nothing, at the settings' defaults."""
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        with kinesis(args, work, args.idle_shards) as served:
            ours, admin = alluvium_run(args, work, served.child.stdout.readline().strip())
            with ours:
                ours.until("health", lambda: process.get(f"http://{admin}/healthz"), 120)
                time.sleep(10)
                before, began = ours.cpu(), time.monotonic()
                time.sleep(args.idle_seconds)
                used, took = ours.cpu() - before, time.monotonic() - began
                _, rss = ours.stop()
    return {"shards": args.idle_shards, "seconds": took, "cpu_per_minute": used / took * 60, "rss": rss}


def main():
    args = arguments()
    runs = [busy(args, shape) for shape in args.shapes]
    quiet = idle(args)
    found = {"version": alluvium.version(args.binary), "on": datetime.date.today().isoformat(), "runs": runs, "idle": quiet}
    rows = [
        [
            one["shape"],
            f"{one['records']:,}",
            one["shards"],
            f"{one['records'] / one['wall']:,.0f}",
            f"{one['input_bytes'] / 1e6 / one['wall']:.0f}",
            f"{one['cpu'] / one['input_bytes'] * 1e9:.2f}",
            f"{one['kinesis_cpu'] / one['input_bytes'] * 1e9:.2f}",
            f"{one['rss'] / 1e6:.0f}",
        ]
        for one in runs
    ]
    head = ["events", "records", "shards", "records/s", "MB/s", "CPU s/GB", "of Kinesis, beside it", "peak RSS MB"]
    lines = [
        "# Kinesis",
        "",
        f"Alluvium {found['version']}, `run` on a stream served by a process beside it on the same {os.cpu_count()} cores, from its start to"
        " the last stored file. The answers of GetRecords are made before; sending them costs what the last column but one says.",
        "",
        *report.table(head, rows),
        "",
        f"Without traffic, {quiet['shards']:,} shards cost {quiet['cpu_per_minute']:.1f} CPU seconds a minute and {quiet['rss'] / 1e6:.0f} MB.",
    ]
    report.save(args.results, "kinesis", inputs.machine(), found, lines)


main()
