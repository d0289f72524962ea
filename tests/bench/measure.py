"""Runs a command and tells what it took: `measure.py RESULT LOG COMMAND...`.

In a process of its own and small, because the kernel counts the parent's memory as the child's until the child has begun. What the
command leaves behind (Spark's JVM outlives the Python that started it) becomes our child and is waited for: its CPU time counts,
its end does not delay the wall time.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def main():
    result, log, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open(log, "wb") as out:
        began = time.monotonic()
        status = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out).wait()
        wall = time.monotonic() - began
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "status": status,
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "rss": used.ru_maxrss * 1024,
    }
    with open(result, "w", encoding="utf-8") as out:
        json.dump(found, out)


main()
