"""pyarrow: JSON into a table, the table into a partitioned dataset."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import json

VERSION = pa.__version__
SCALARS = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_(), "timestamp": pa.timestamp("ms")}


def arrow_type(kind):
    if isinstance(kind, dict):
        return pa.struct([(name, arrow_type(inner)) for name, inner in kind.items()])
    return pa.list_(arrow_type(kind[0])) if isinstance(kind, list) else SCALARS[kind]


def remainder(column):
    return pc.subtract(column, pc.multiply(pc.divide(column, 10), 10))


KEYS = {"day": lambda column: pc.strftime(column, format="%Y-%m-%d"), "same": lambda column: column, "mod 10": remainder}


def run(table, tables, source, output, codec):
    schema = pa.schema([(member, arrow_type(kind)) for member, kind in tables.members(table).items()])
    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    read = json.read_json(source, read_options=json.ReadOptions(block_size=16 << 20), parse_options=parse)
    columns = {}
    for name, member, _ in table["columns"]:
        columns[name] = read[member].cast(pa.string()) if name in tables.AS_TEXT else read[member]
    for name, how, member in table["keys"]:
        columns[name] = KEYS[how](read[member])
    rows = pa.table(columns)
    keys = pa.schema([rows.schema.field(name) for name, _, _ in table["keys"]])
    parquet = ds.ParquetFileFormat()
    options = parquet.make_write_options(compression=codec, compression_level=1 if codec == "zstd" else None)
    # Without the last three, a partition has more than one file, and a row group for each block that was read.
    ds.write_dataset(
        rows, output, format=parquet, file_options=options, partitioning=ds.partitioning(keys, flavor="hive"),
        max_partitions=200_000, max_open_files=20_000, min_rows_per_group=1 << 20, max_rows_per_group=1 << 20,
    )
