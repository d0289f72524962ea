"""ClickHouse local (chdb): `INSERT INTO FUNCTION file(...) PARTITION BY`. A partition is one file named after its values."""

import os

import chdb

VERSION = chdb.__version__
SCALARS = {"string": "String", "bigint": "Int64", "int": "Int32", "double": "Float64", "boolean": "Bool", "timestamp": "DateTime64(3, 'UTC')"}
KEYS = {"day": "toString(toDate({}, 'UTC'))", "same": "{}", "mod 10": "toString({} % 10)"}


def sql_type(kind):
    if isinstance(kind, dict):
        return "Tuple(" + ", ".join(f'"{name}" {sql_type(inner)}' for name, inner in kind.items()) + ")"
    return f"Array({sql_type(kind[0])})" if isinstance(kind, list) else f"Nullable({SCALARS[kind]})"


def run(table, tables, source, output, codec):
    os.makedirs(output)
    columns = ", ".join(f'"{member}" {sql_type(kind)}' for member, kind in tables.members(table).items()).replace("'", "''")
    selected = [(f'toString("{member}")' if name in tables.AS_TEXT else f'"{member}"') + f' as "{name}"' for name, member, _ in table["columns"]]
    parts = [f"'{name}=', assumeNotNull(" + KEYS[how].format(f'"{member}"') + ")" for name, how, member in table["keys"]]
    joined = ", ',', ".join(parts)
    chdb.query(
        f"insert into function file('{output}/{{_partition_id}}.parquet', Parquet) partition by partition"
        f" select {', '.join(selected)}, concat({joined}) as partition from file('{source}', JSONEachRow, '{columns}')"
        f" settings output_format_parquet_compression_method = '{codec}', output_format_compression_level = 1,"
        " max_partitions_per_insert_block = 0, date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1,"
        " prefer_column_name_to_alias = 1"
    )
