"""The reader: planning beside DataFusion's listing table and DuckDB's glob; explain under load. `run reader`."""

import argparse
import gzip
import http.client
import json
import multiprocessing
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse

import cold_start

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = {
    "S&P 500": ROOT / "ingest/data/sp500/events.ndjson.gz",
    "CNCF landscape": ROOT / "tests/corpus/cncf/landscape_events.ndjson.gz",
}
CLIENTS = 50
PROCESSES = 5


def duckdb(tools, row):
    """The same question by DuckDB's glob, in a process of its own: the whole query, listing included."""
    code = """
import duckdb, json, sys, time
root, first, last, bucket = sys.argv[1:]
took = []
for _ in range(3):
    began = time.perf_counter()
    rows = duckdb.sql(f'''select count(*) from read_parquet('{root}/**/*.parquet', hive_partitioning = true,
        hive_types = {{'created_date': varchar, 'attribute_name': varchar, 'entity_id_mod': int}})
        where created_date between '{first}' and '{last}' and attribute_name = 'a1' and entity_id_mod = {bucket}
        and entity_id = 'e1' ''').fetchall()[0][0]
    took.append((time.perf_counter() - began) * 1000)
print(json.dumps({'total_ms': sorted(took)[1], 'rows': rows}))
"""
    python = tools / "bench-duckdb/bin/python"
    done = subprocess.run([python, "-c", code, row["root"], row["first"], row["last"], str(row["bucket"])],
                          check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    lists = -(-row["existing"] // 1000)
    return {**row, "engine": "duckdb", "planning_ms": None, "lists": lists, **told}


def planning(arguments, work):
    folder = work / "planning"
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run([arguments.planning, folder], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    rows += [duckdb(arguments.tools, row) for row in rows if row["engine"] == "alluvium"]
    shutil.rmtree(folder)
    asked = {row["rows"] for row in rows}
    assert asked == {7}, f"not all give the week's seven rows: {asked}"
    return [{name: value for name, value in row.items() if name not in ("root", "first", "last", "bucket")} for row in rows]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def lake(arguments, work, log):
    """A lake of one log, written by `alluvium replay`, and the pairs that can be asked of it."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with gzip.open(log, "rt") as lines:
        events = [json.loads(line) for line in lines]
    pairs = sorted({(event["entity_id"], event["attribute_name"]) for event in events})
    names = ", ".join(json.dumps(name) for name in sorted({name for _, name in pairs}))
    table = (ROOT / "schemas/tables/attribute_events.toml").read_text()
    head, rest = table.split("values = [", 1)
    (work / "table.toml").write_text(f"{head}values = [{names}]{rest.split(']', 1)[1]}")
    port = free_port()
    (work / "alluvium.toml").write_text(f"""version = 1
[source.intake]
listen = "127.0.0.1:0"
journal = "journal"
[keys]
created_date = '.created_at | utc_date'
attribute_name = '.attribute_name'
entity_id_mod = '.entity_id | bucket(10)'
[table]
spec = "table.toml"
[lake]
url = "lake/"
errors = "errors/"
state = "state/"
[reader]
listen = "127.0.0.1:{port}"
""")
    subprocess.run([arguments.binary, "replay", "--config", work / "alluvium.toml", log], check=True, capture_output=True)
    return pairs, port


def client(port, pairs, seconds, seed, results):
    """Ten connections, each asking one question after the other."""
    times, lock = [], threading.Lock()

    def ask(number):
        chosen, own = random.Random(seed * 100 + number), []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            entity, attribute = chosen.choice(pairs)
            path = f"/v1/entities/{urllib.parse.quote(entity, safe='')}/attributes/{urllib.parse.quote(attribute, safe='')}"
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            own.append((time.perf_counter() - began) * 1000)
            assert answer.status == 200 and body["state"] != "never", body
        with lock:
            times.extend(own)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CLIENTS // PROCESSES)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    results.put(times)


def load(arguments, work, seconds):
    rows = []
    for name, log in LOGS.items():
        pairs, port = lake(arguments, work / "load", log)
        reader = subprocess.Popen([arguments.reader, "--config", work / "load/alluvium.toml"], stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            for clients in (1, CLIENTS):
                rows.append({"log": name, **measured(port, pairs, seconds, clients)})
        finally:
            reader.terminate()
            reader.wait()
        function = cold_start.measured(arguments.reader, work / "load/alluvium.toml", pairs[0], work / "load")
        rows[-1]["function"] = rows[-2]["function"] = function
    shutil.rmtree(work / "load")
    return rows


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the reader does not listen")


def measured(port, pairs, seconds, clients):
    """One question at a time, or fifty at once."""
    if clients == 1:
        times = alone(port, pairs, seconds)
    else:
        results = multiprocessing.Queue()
        processes = [multiprocessing.Process(target=client, args=(port, pairs, seconds, n, results)) for n in range(PROCESSES)]
        [process.start() for process in processes]
        times = [took for _ in processes for took in results.get()]
        [process.join() for process in processes]
    cuts = statistics.quantiles(times, n=100)
    return {"clients": clients, "questions": len(times), "per_second": len(times) / seconds, "p50_ms": cuts[49], "p99_ms": cuts[98]}


def alone(port, pairs, seconds):
    times, connection = [], http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    chosen, until = random.Random(1), time.perf_counter() + seconds
    while time.perf_counter() < until:
        entity, attribute = chosen.choice(pairs)
        began = time.perf_counter()
        connection.request("GET", f"/v1/entities/{urllib.parse.quote(entity, safe='')}/attributes/{urllib.parse.quote(attribute, safe='')}")
        connection.getresponse().read()
        times.append((time.perf_counter() - began) * 1000)
    return times


def page(found):
    lines = ["# Questions", "", f"Measured by `bash tests/bench/run reader`; {found['build']} build; [figures](reader.json).", "",
             "## Planning", "",
             "One entity, one attribute, one week: seven folders, the same seven rows from each. `ready` is the time until it is known "
             "which files to read, listing included; `total` is until the rows are there. `LIST` is how many requests S3 would "
             "have had: one for each thousand objects of a listing.", "",
             "| folders by the rules | there are | engine | ready ms | total ms | LIST | total by Alluvium's |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    ours = {row["projected"]: row["total_ms"] for row in found["planning"] if row["engine"] == "alluvium"}
    for row in sorted(found["planning"], key=lambda row: (row["projected"], row["engine"])):
        ready = "-" if row["planning_ms"] is None else f"{row['planning_ms']:.1f}"
        ratio = row["total_ms"] / ours[row["projected"]]
        lines.append(f"| {row['projected']:,} | {row['existing']:,} | {row['engine']} | {ready} | {row['total_ms']:.1f} | {row['lists']} | {ratio:.1f} |")
    lines += ["", "## Under load", "",
              "Explain, one attribute of one entity at random after another, over the logs as `alluvium replay` lays them out (local disk, "
              "page cache warm); clients in Python on the same machine.", "",
              "| log | clients | questions/s | p50 ms | p99 ms |", "| --- | --- | --- | --- | --- |"]
    for row in found["load"]:
        lines.append(f"| {row['log']} | {row['clients']} | {row['per_second']:.0f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |")
    sizes = found["load"][0]["function"]
    lines += ["", "## As a function of Lambda", "",
              f"The program stripped is {sizes['bootstrap_bytes'] / 1e6:.1f} MB, {sizes['package_bytes'] / 1e6:.1f} MB in its package. Started as "
              "Lambda starts it, on this machine and beside a lake on local disk: what Lambda takes to fetch the package and start its "
              "container, and the way to S3, come on top.", "",
              "| log | start to first event, ms | first answer, ms | the same again, ms |", "| --- | --- | --- | --- |"]
    for row in (row for row in found["load"] if row["clients"] == 1):
        times = row["function"]
        lines.append(f"| {row['log']} | {times['start_ms']:.0f} | {times['first_ms']:.0f} | {times['second_ms']:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--kinesis", type=pathlib.Path)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--reader", type=pathlib.Path)
    parser.add_argument("--planning", type=pathlib.Path)
    parser.add_argument("--build", default="release")
    parser.add_argument("--seconds", type=int, default=15, help="of each load")
    parser.add_argument("--results", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.reader = arguments.reader or arguments.binary.with_name("alluvium-reader")
    arguments.planning = arguments.planning or arguments.binary.with_name("examples") / "planning"
    results = arguments.results or arguments.work / "results"
    results.mkdir(parents=True, exist_ok=True)
    work = arguments.work / "reader"
    work.mkdir(parents=True, exist_ok=True)
    found = {"build": arguments.build, "planning": planning(arguments, work), "load": load(arguments, work, arguments.seconds)}
    (results / "reader.json").write_text(json.dumps(found, indent=1) + "\n")
    (results / "reader.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
