"""What the engines read: generated once, kept in the work folder, the same bytes for the same name."""

import argparse
import fcntl
import gzip
import json
import os
import pathlib
import subprocess
import sys
import time

from tables import ROOT

EDITS_LOG = ROOT / "tests/corpus/wikipedia/edits_2016-06-27.ndjson.gz"


def generator(work):
    """The compiled `generate.rs`: it needs nothing but the compiler."""
    program, source = work / "generate", ROOT / "tests/bench/generate.rs"
    newest = max(path.stat().st_mtime for path in [source, source.with_name("events.rs")])
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["rustc", "--edition", "2024", "-O", str(source), "-o", str(program)], check=True, cwd=ROOT)
    return program


def events(work, shape, megabytes, days=10):
    """`full` or `small` events over `days` x 60 partitions."""
    path = work / "inputs" / f"{shape}-{megabytes}-{days}.ndjson"
    if not path.exists():
        program = generator(work)
        write(path, lambda out: subprocess.run([program, shape, str(megabytes), str(days)], stdout=out, check=True))
    return path


def edits(work, megabytes):
    """A day of Wikipedia edits is 12 MB: repeated as a whole until it is as long as wanted."""
    path = work / "inputs" / f"edits-{megabytes}.ndjson"
    if not path.exists():
        day = gzip.decompress(EDITS_LOG.read_bytes())
        times = max(1, round(megabytes * 1e6 / len(day)))
        write(path, lambda out: [out.write(day) for _ in range(times)])
    return path


def write(path, fill):
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"making {path}", file=sys.stderr)
    part = path.with_suffix(".part")
    with open(part, "wb") as out:
        fill(out)
    part.rename(path)


def make(work, shape, megabytes):
    return edits(work, megabytes) if shape == "edits" else events(work, shape, megabytes)


def warm(path):
    """Into the page cache; and memory that the machine has given back to its host is asked for again, before and not within a run."""
    with open(path, "rb") as file:
        while file.read(16 << 20):
            pass
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    touch = min(free // 2, 4 << 30)
    subprocess.run([sys.executable, "-c", f"bytearray({touch})"], check=True)


def options(parser):
    """What every benchmark takes; `run` fills in the last four."""
    parser.add_argument("--results", type=pathlib.Path, help="folder of results (default: below the work folder)")
    parser.add_argument("--lock", help="file that is locked exclusively while a run is measured")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for events and outputs: three times the size of the input")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--kinesis", help=argparse.SUPPRESS)
    parser.add_argument("--tools", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.results = args.results or args.work / "results"
    args.work.mkdir(parents=True, exist_ok=True)
    args.results.mkdir(parents=True, exist_ok=True)
    return args


class Quiet:
    """The machine for ourselves while runs are measured: an exclusive lock on a file that others hold shared while they work.

    It is held over runs that follow each other, for it is hard to get, and let go of after a while, for others wait.
    """

    HELD_SECONDS_MAX = 120
    since = None
    file = None

    def __init__(self, path):
        if path and not Quiet.file:
            Quiet.file = open(path, "a", encoding="utf-8")

    def __enter__(self):
        if Quiet.file and Quiet.since is None:
            fcntl.flock(Quiet.file, fcntl.LOCK_EX)
            Quiet.since = time.monotonic()

    def __exit__(self, *_):
        if Quiet.since is not None and time.monotonic() - Quiet.since > Quiet.HELD_SECONDS_MAX:
            fcntl.flock(Quiet.file, fcntl.LOCK_UN)
            Quiet.since = None


def measured(source, command, work):
    """What the command took, with its input in the page cache."""
    warm(source)
    measure = ROOT / "tests/bench/measure.py"
    subprocess.run([sys.executable, measure, work / "took", work / "log", *command], check=True)
    took = json.loads((work / "took").read_text())
    if took["status"] != 0:
        sys.exit(f"{command[0]} ended with {took['status']}:\n{(work / 'log').read_text(errors='replace')[-3000:]}")
    return took


def machine():
    """Which machine it is, in a line."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, Linux {os.uname().release}"
