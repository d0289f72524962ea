"""A server that is measured while it runs: what it has used so far, and what its metrics say."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A child with its log; killed when we end in any way."""

    def __init__(self, command, log, env=None, **pipes):
        self.log = pathlib.Path(log)
        self.child = subprocess.Popen(command, stderr=open(log, "wb"), env=os.environ | (env or {}), **pipes)
        self.used = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    def cpu(self):
        """CPU seconds so far, by user and system."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        """Ends it gracefully; gives the CPU seconds of its whole life, by user and system, and its peak memory."""
        self.child.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.child.returncode != 0:
            sys.exit(f"{self.child.args[0]} ended with {self.child.returncode}:\n{self.log.read_text(errors='replace')[-3000:]}")
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def until(self, what, look, seconds=60):
        """Polls until `look` gives something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        sys.exit(f"waited in vain for {what}:\n{self.log.read_text(errors='replace')[-3000:]}")


def get(url):
    """The body of an answer, or None while there is none or a bad one."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None


def metric(admin, name):
    """The value of a counter or gauge without labels."""
    text = get(f"http://{admin}/metrics") or ""
    found = re.search(rf"^{name}(?:_total)? ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else None
