"""Results of the peers: kept as JSON, shown as a Markdown table and a plot."""

import json
import sys

NAMES = {
    "alluvium": "**Alluvium**",
    "alluvium-whole": "Alluvium, table as shipped",
    "duckdb": "DuckDB",
    "chdb": "ClickHouse local (chdb)",
    "polars": "Polars",
    "pyarrow": "pyarrow",
    "pyspark": "Spark local (PySpark)",
}
SHAPES = {
    "full": "events of about 900 bytes, nested",
    "small": "events of about 300 bytes",
    "edits": "a day of Wikipedia edits (12 MB), repeated",
}
# For the plot.
SHORT = {"full": "900-byte events", "small": "300-byte events", "edits": "Wikipedia edits"}
HEAD = "| engine | version | wall s | MB/s | CPU s/GB | peak RSS MB | files | MB written | wall ratio | CPU ratio | rounds |"


def load(folder):
    path = folder / "peers.json"
    return json.loads(path.read_text()) if path.exists() else {"machine": "", "results": {}}


def merge(folder, machine, name, results):
    """Keeps what other engines have found under this name. All must have written the same rows."""
    kept = load(folder)
    if kept["machine"] not in ("", machine):
        sys.exit(f"{folder} has results of another machine ({kept['machine']}): ratios would mean nothing; choose another folder")
    found = kept["results"].get(name, {}) | results
    if len({result["rows"] for result in found.values()}) > 1:
        sys.exit(f"{folder} has results for other rows of {name}: choose another folder, or the same --size")
    kept["results"][name] = found
    kept["machine"] = machine
    (folder / "peers.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def write(folder):
    kept = load(folder)
    text = page(kept)
    (folder / "peers.md").write_text(text)
    plot(kept, folder / "peers.svg")
    print(text)


def save(folder, name, machine, found, lines):
    """A result that is measured in one go: as JSON, and as a page."""
    (folder / f"{name}.json").write_text(json.dumps(found | {"machine": machine}, indent=1) + "\n")
    text = "\n".join(lines) + f"\n\nMachine: {machine}. Written by `bash tests/bench/run {name} --results docs/benchmarks`.\n"
    (folder / f"{name}.md").write_text(text)
    print(text)


def table(head, rows):
    """Lines of a Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


def page(kept):
    parts = [
        "# The whole path beside its peers\n",
        "Written by `bash tests/bench/run peers --results docs/benchmarks`; [tests/bench/README.md](../../tests/bench/README.md) says what"
        " is measured and how to read it.\n",
        f"Machine: {kept['machine']}.\n",
        "A ratio says how many times as long as Alluvium an engine took, or as much CPU. Medians of so many rounds, interleaved. Rows are"
        " the same in all: compared by a hash over all columns, by partition.\n",
        "![CPU seconds and wall time](peers.svg)\n",
    ]
    for name in sorted(kept["results"], key=order):
        parts += section(name, kept["results"][name])
    return "\n".join(parts)


def order(name):
    shape, codec = name.split("/")
    return list(SHAPES).index(shape), ["zstd", "snappy"].index(codec)


def section(name, found):
    shape, codec = name.split("/")
    any_of = next(iter(found.values()))
    yield f"## {SHAPES[shape]}, {codec}{'(1)' if codec == 'zstd' else ''}\n"
    yield (
        f"{any_of['events']:,} events of {any_of['input_bytes'] / any_of['events']:.0f} bytes, {any_of['input_bytes'] / 1e6:.0f} MB,"
        f" {any_of['partitions']} partitions.\n"
    )
    yield HEAD
    yield "|" + " --- |" * (HEAD.count("|") - 1)
    ours = found.get("alluvium")
    for engine in NAMES:
        if engine in found:
            yield row(NAMES[engine], found[engine], ours)
    yield ""


def row(name, one, ours):
    size = one["input_bytes"]
    ratio = lambda what: f"{one[what] / ours[what]:.2f}" if ours else ""
    cells = [
        name,
        one["version"],
        f"{one['wall']:.2f}",
        f"{size / 1e6 / one['wall']:.0f}",
        f"{one['cpu'] / (size / 1e9):.2f}",
        f"{one['rss'] / 1e6:.0f}",
        f"{one['files']:.0f}",
        f"{one['bytes'] / 1e6:.1f}",
        ratio("wall"),
        ratio("cpu"),
        str(one["rounds"]),
    ]
    return "| " + " | ".join(cells) + " |"


def plot(kept, path):
    """Two columns (wall, CPU), a row for each shape and codec; bars from Alluvium down."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "alluvium"
    matplotlib.rcParams["font.size"] = 9
    from matplotlib import pyplot

    names = sorted(kept["results"], key=order)
    figure, axes = pyplot.subplots(len(names), 2, figsize=(10, 1.0 + 1.75 * len(names)), squeeze=False)
    for line, name in zip(axes, names):
        shape, codec = name.split("/")
        for axis, (what, title) in zip(line, [("wall", "wall s/GB"), ("cpu", "CPU s/GB")]):
            bars(axis, kept["results"][name], what)
            axis.set_title(f"{SHORT[shape]}, {codec}: {title}", loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def bars(axis, found, what):
    engines = [engine for engine in NAMES if engine in found][::-1]
    per_gb = [found[engine][what] / (found[engine]["input_bytes"] / 1e9) for engine in engines]
    ours = next((value for engine, value in zip(engines, per_gb) if engine == "alluvium"), None)
    colours = ["#c8642a" if engine == "alluvium" else "#e0a981" if engine.startswith("alluvium") else "#8a97a6" for engine in engines]
    drawn = axis.barh([NAMES[engine].strip("*") for engine in engines], per_gb, color=colours)
    labels = [f"{value:.1f}" + (f"  ({value / ours:.1f}x)" if ours and engine != "alluvium" else "") for engine, value in zip(engines, per_gb)]
    axis.bar_label(drawn, labels, padding=3, fontsize=8)
    axis.set_xlim(0, max(per_gb) * 1.35)
    for side in ["top", "right"]:
        axis.spines[side].set_visible(False)
