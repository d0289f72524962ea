"""The live path: the intake's rate with its synced journal, and how soon an accepted event is visible. See README.md."""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import duckdb

import alluvium
import inputs
import process
import report
import tables


def arguments():
    parser = argparse.ArgumentParser(prog="run live", description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4], help="client processes at once (default 1 4)")
    parser.add_argument("--seconds", type=float, default=10, help="how long they put (default 10)")
    parser.add_argument("--shapes", nargs="+", choices=["full", "small"], default=["full", "small"])
    parser.add_argument("--rate", type=int, default=2000, help="events a second while freshness is measured (default 2000)")
    parser.add_argument("--fresh-seconds", type=float, default=30, help="for how long (default 30)")
    return inputs.options(parser)


def intake(args, work, buffer):
    port = process.free_port()
    admin = f"127.0.0.1:{process.free_port()}"
    source = f'[source.intake]\nlisten = "127.0.0.1:{port}"\njournal = "{work}/journal"\nbytes_per_second = "16 GiB"'
    config = alluvium.configure(work, tables.EVENTS, work / "out", source=source, buffer=buffer, admin=admin)
    ours = process.Process([args.binary, "run", "--config", str(config)], work / "log")
    ours.until("health", lambda: process.get(f"http://{admin}/healthz"))
    return ours, f"http://127.0.0.1:{port}", admin


def clients(count, how, url, events, seconds, rate, work):
    """Runs clients beside each other and gives what each of them found."""
    script = pathlib.Path(__file__).with_name("client.py")
    results = [work / f"client-{number}" for number in range(count)]
    command = lambda result: [sys.executable, script, how, url, str(events), str(seconds), str(rate), str(result)]
    children = [subprocess.Popen(command(result)) for result in results]
    if any([child.wait() for child in children]):
        sys.exit("a client has failed")
    return [json.loads(result.read_text()) for result in results]


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rate(args, shape, how, count):
    events = inputs.events(args.work, shape, 100)
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        ours, url, _ = intake(args, work, 'memory = "1 GiB"')
        with ours:
            before = ours.cpu()
            found = clients(count, how, url, events, args.seconds, 0, work)
            while_putting = ours.cpu() - before
            cpu, rss = ours.stop()
    records, sent = sum(one["records"] for one in found), sum(one["bytes"] for one in found)
    took = sorted(one for client in found for one in client["took"])
    per_second = sum(one["records"] / one["seconds"] for one in found)
    print(f"{shape} {how} {count}: {per_second:,.0f} records/s", file=sys.stderr)
    return {
        "shape": shape,
        "client": how,
        "clients": count,
        "records": records,
        "bytes": sent,
        "records_per_second": per_second,
        "bytes_per_second": sum(one["bytes"] / one["seconds"] for one in found),
        "put_p50": percentile(took, 0.5),
        "put_p99": percentile(took, 0.99),
        "client_cpu": sum(one["cpu"] for one in found),
        "cpu_while_putting": while_putting,
        "cpu": cpu,
        "rss": rss,
    }


def freshness(args):
    """From the moment before an event is put to the moment its file has its name in the lake, with `age = "1 s"`."""
    events = inputs.events(args.work, "small", 100)
    with tempfile.TemporaryDirectory(dir=args.work) as folder, inputs.Quiet(args.lock):
        work = pathlib.Path(folder)
        ours, url, _ = intake(args, work, 'memory = "1 GiB"\nage = "1 s"')
        with ours:
            clients(2, "boto3", url, events, args.fresh_seconds, args.rate // 2, work)
            # What is open now is cut by age too, not by the end.
            time.sleep(4)
            lags = lags_of(work / "out")
            cpu, _ = ours.stop()
    print(f"fresh after {percentile(lags, 0.5):.2f} s, {percentile(lags, 0.99):.2f} s", file=sys.stderr)
    quantiles = {f"p{round(share * 100)}": percentile(lags, share) for share in [0.5, 0.9, 0.99]}
    return {"rate": args.rate, "events": len(lags), "cpu": cpu, "max": lags[-1]} | quantiles


def lags_of(output):
    """Seconds for each event. A file's change time is that of its last link: the staged file is synced, then gets its name."""
    visible = {str(path): path.stat().st_ctime for path in output.rglob("*.parquet")}
    rows = duckdb.sql(
        f"select filename, epoch_ms(cast(created_at as timestamp)) from read_parquet('{output}/**/*.parquet', filename = true, hive_partitioning = false)"
    ).fetchall()
    return sorted(visible[name] - sent / 1000 for name, sent in rows)


def main():
    args = arguments()
    runs = [rate(args, shape, how, count) for shape in args.shapes for how in ["boto3", "raw"] for count in args.clients]
    fresh = freshness(args)
    found = {"version": alluvium.version(args.binary), "on": datetime.date.today().isoformat(), "runs": runs, "freshness": fresh}
    rows = [
        [
            one["shape"],
            f"{one['clients']} x {one['client']}",
            f"{one['records_per_second']:,.0f}",
            f"{one['bytes_per_second'] / 1e6:.1f}",
            f"{one['put_p50'] * 1e3:.1f} / {one['put_p99'] * 1e3:.1f}",
            f"{one['client_cpu'] / one['bytes'] * 1e9:.1f}",
            f"{one['cpu'] / one['bytes'] * 1e9:.1f}",
            f"{one['rss'] / 1e6:.0f}",
        ]
        for one in runs
    ]
    head = ["events", "clients", "records/s", "MB/s", "put p50 / p99 ms", "clients' CPU s/GB", "Alluvium's CPU s/GB", "peak RSS MB"]
    lines = [
        "# The live path",
        "",
        f"Alluvium {found['version']}, `run` with `[source.intake]`: PutRecordBatch of 500 events, answered when they are synced to the"
        f" journal's disk, and stored as Parquet at the same time. Clients run beside it on the same {os.cpu_count()} cores: `boto3` is the"
        " SDK as a producer uses it, `raw` puts bodies that were made before. Alluvium's CPU is that of the whole path, to the last file.",
        "",
        *report.table(head, rows),
        "",
        f"With `[buffer] age = \"1 s\"` at {fresh['rate']:,} events a second into 60 partitions, an event is visible {fresh['p50']:.2f} s after"
        f" the client has begun to send it (median of {fresh['events']:,}); p90 {fresh['p90']:.2f} s, p99 {fresh['p99']:.2f} s, at most"
        f" {fresh['max']:.2f} s.",
    ]
    report.save(args.results, "live", inputs.machine(), found, lines)


main()
