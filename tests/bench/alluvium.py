"""The real `alluvium` with a configuration for one run."""

import json
import pathlib
import subprocess
import sys

import tables

CONFIG = """version = 1
{source}
[keys]
{keys}
[table]
spec = "{work}/table.toml"
[lake]
url = "file://{output}/"
errors = "file://{work}/errors/"
state = "file://{work}/state/"
[buffer]
{buffer}
[parquet]
compression = "{codec}"
[admin]
listen = "{admin}"
"""


def configure(work, table, output, codec="zstd", spec=None, source=None, buffer='memory = "2 GiB"', admin="off"):
    """Writes the configuration and the table spec; gives the configuration's path."""
    keys = "\n".join(f"{name} = '{program}'" for name, program in table["jq"].items())
    source = source or f'[source.intake]\njournal = "{work}/journal"'
    (work / "table.toml").write_text(spec or tables.bare_spec(table))
    path = work / "alluvium.toml"
    level = "zstd(1)" if codec == "zstd" else codec
    path.write_text(CONFIG.format(source=source, keys=keys, work=work, output=output, buffer=buffer, codec=level, admin=admin))
    return path


def version(binary):
    """Its version, and the commit of the tree it was built from."""
    number = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=tables.ROOT, check=False).stdout.strip()
    return f"{number} ({commit})" if commit else number


def replay(binary, config, url):
    return [binary, "replay", "--config", str(config), str(url)]


def summary(log):
    """What `replay` says at its end. Rejects mean that not the same work was done."""
    line = next((line for line in reversed(pathlib.Path(log).read_text(errors="replace").splitlines()) if line.startswith('{"')), None)
    if line is None:
        sys.exit(f"no summary of the replay in {log}")
    found = json.loads(line)
    if found["rejects"]:
        sys.exit(f"{found['rejects']} events were rejected: {line}")
    return found
