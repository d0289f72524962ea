"""The memory that a replay takes for one small and for one large object, gzip and zstd. See README.md beside it."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FORMATS = {"gz": "gzip", "zst": "zstd"}

# Buffers far smaller than either object, so that they are as full with the one as with the other.
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
url = "file://{work}/lake/"
errors = "file://{work}/errors/"
state = "file://{work}/state/"
[buffer]
memory = "{memory}"
[admin]
listen = "off"
"""

# Each event shares hashes with its neighbours, as histories do: 1 GB of object is some 9 GB of text.
EVENTS = """
select md5(i::varchar) as event_id, 'E' || (i % 1000) as entity_id, 'name' as attribute_name, 'set' as op,
  md5((i + 1)::varchar) || md5((i + 2)::varchar) || md5((i + 3)::varchar) || md5((i + 4)::varchar) as value,
  '2024-01-0' || (1 + i * 9 // {count}) || 'T00:00:00Z' as created_at
from range({count}) t(i)
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="alluvium")
    parser.add_argument("--sizes", type=int, nargs=2, default=[64, 1024], help="megabytes of the two objects (64 1024)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--memory", default="64 MiB", help="[buffer] memory (64 MiB)")
    parser.add_argument("--work", help="folder for objects and lakes; needs three times the larger size (default: a temporary one)")
    return parser.parse_args()


def write(path, count, extension):
    rows = EVENTS.format(count=count)
    duckdb.execute(f"copy ({rows}) to '{path}' (format json, compression {FORMATS[extension]})")
    return path.stat().st_size


def make(path, megabytes, extension):
    """An object of about this size: as many events as a small one says are needed."""
    sample = 100_000
    each = write(path, sample, extension) / sample
    return write(path, int(megabytes * 1e6 / each), extension)


def peak(args, work, path):
    """Seconds, and the most memory in bytes, of a replay of one object into a lake of its own."""
    lake = pathlib.Path(tempfile.mkdtemp(dir=work))
    config = lake / "alluvium.toml"
    config.write_text(CONFIG.format(work=lake, root=ROOT, memory=args.memory))
    began = time.monotonic()
    command = [args.binary, "replay", "--config", str(config), str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(lake / "log", "wb"))
    said = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit((lake / "log").read_text()[-2000:])
    shutil.rmtree(lake)
    return time.monotonic() - began, usage.ru_maxrss * 1024, said.strip()


def main():
    args = arguments()
    work = pathlib.Path(args.work or tempfile.mkdtemp(prefix="alluvium-replay-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        for extension in args.formats:
            peaks = []
            for megabytes in args.sizes:
                path = work / f"events.json.{extension}"
                size = make(path, megabytes, extension)
                seconds, memory, said = peak(args, work, path)
                path.unlink()
                peaks.append(memory)
                print(f"{extension:4} {size / 1e6:7.0f} MB object {seconds:6.1f} s  peak {memory / 2**20:6.0f} MiB  {said}", flush=True)
            print(f"{extension:4} the larger object takes {peaks[1] / peaks[0]:.2f} times the memory", flush=True)
    finally:
        if not args.work:
            shutil.rmtree(work)


main()
