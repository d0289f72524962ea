"""Polars: a lazy scan into a partitioned sink."""

import polars as pl

VERSION = pl.__version__
# Instants come as text: the reader of NDJSON parses none with a zone.
SCALARS = {"string": pl.String, "bigint": pl.Int64, "int": pl.Int32, "double": pl.Float64, "boolean": pl.Boolean, "timestamp": pl.String}
KEYS = {"day": lambda column: column.str.slice(0, 10), "same": lambda column: column, "mod 10": lambda column: column % 10}


def polars_type(kind):
    if isinstance(kind, dict):
        return pl.Struct({name: polars_type(inner) for name, inner in kind.items()})
    return pl.List(polars_type(kind[0])) if isinstance(kind, list) else SCALARS[kind]


def run(table, tables, source, output, codec):
    schema = {member: polars_type(kind) for member, kind in tables.members(table).items()}
    columns = []
    for name, member, kind in table["columns"]:
        column = pl.col(member)
        if kind == "timestamp":
            column = column.str.to_datetime(time_unit="ms", time_zone="UTC")
        columns.append((column.cast(pl.String) if name in tables.AS_TEXT else column).alias(name))
    keys = [KEYS[how](pl.col(member)).alias(name) for name, how, member in table["keys"]]
    rows = pl.scan_ndjson(source, schema=schema).select(columns + keys)
    target = pl.PartitionBy(output, key=[name for name, _, _ in table["keys"]], include_key=False)
    level = 1 if codec == "zstd" else None
    rows.sink_parquet(target, compression=codec, compression_level=level, mkdir=True)
