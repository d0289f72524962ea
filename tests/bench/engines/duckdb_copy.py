"""DuckDB: `COPY ... PARTITION_BY`."""

import duckdb

VERSION = duckdb.__version__
SCALARS = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP"}
KEYS = {"day": "cast({} as date)", "same": "{}", "mod 10": "{} % 10"}


def sql_type(kind):
    if isinstance(kind, dict):
        return "STRUCT(" + ", ".join(f'"{name}" {sql_type(inner)}' for name, inner in kind.items()) + ")"
    return sql_type(kind[0]) + "[]" if isinstance(kind, list) else SCALARS[kind]


def run(table, tables, source, output, codec):
    columns = ", ".join(f"\"{member}\": '{sql_type(kind)}'" for member, kind in tables.members(table).items())
    selected = [f'"{member}"' + ("::varchar" if name in tables.AS_TEXT else "") + f' as "{name}"' for name, member, _ in table["columns"]]
    keys = [KEYS[how].format(f'"{member}"') + f' as "{name}"' for name, how, member in table["keys"]]
    level = ", compression_level 1" if codec == "zstd" else ""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(
        f"copy (select {', '.join(selected + keys)} from read_json('{source}', format = 'newline_delimited', columns = {{{columns}}}))"
        f" to '{output}' (format parquet, compression {codec}{level}, partition_by ({', '.join(name for name, _, _ in table['keys'])}))"
    )
