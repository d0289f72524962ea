"""What rows an output holds, in a form that does not depend on order, on types' resolution or on how a folder is named.

For each partition: how many rows, and the sum of a hash over all columns of each. Two outputs with the same answer hold the same
rows in the same partitions.
"""

import urllib.parse

import duckdb


def normal(path, kind):
    """An SQL expression: the value as text or number that all engines agree on."""
    if isinstance(kind, dict):
        return "[" + ", ".join(f'coalesce({normal(f"{path}.{quoted(name)}", inner)}::varchar, chr(0))' for name, inner in kind.items()) + "]"
    if isinstance(kind, list):
        # An engine without null for lists gives an empty one.
        return f"list_transform(coalesce({path}, []), lambda item: {normal('item', kind[0])})::varchar"
    if kind == "timestamp":
        # As text where an engine has kept it so.
        return f"epoch_ms(cast({path} as timestamp))"
    return f"{path}::varchar" if kind == "string" else f"{path}::double" if kind == "double" else f"{path}::bigint"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def row_hash(table, tables, ours):
    values = []
    for name, _, kind in table["columns"]:
        kind = "string" if name in tables.AS_TEXT else kind
        if ours and name in table["ours"]:
            values.append("[" + ", ".join(f"coalesce({path}::varchar, chr(0))" for path in table["ours"][name]) + "]")
        else:
            values.append(normal(quoted(name), kind))
    return "hash(" + ", ".join(values) + ")"


def partition_of(name, keys):
    """The values in a file's path: `.../created_date=2024-01-01/...`, or with commas where an engine makes no folders."""
    parts = dict(part.split("=", 1) for part in name.removesuffix(".parquet").replace(",", "/").split("/") if "=" in part)
    return tuple(urllib.parse.unquote(parts[key]) for key, _, _ in keys)


def rows(output, table, tables, ours):
    """`{partition: (rows, sum of hashes)}`."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    found = connection.sql(
        f"select filename, count(*), sum({row_hash(table, tables, ours)}::hugeint)"
        f" from read_parquet('{output}/**/*.parquet', hive_partitioning = false, filename = true, union_by_name = false) group by all"
    ).fetchall()
    partitions = {}
    for name, count, total in found:
        key = partition_of(name[len(str(output)):], table["keys"])
        before = partitions.get(key, (0, 0))
        partitions[key] = (before[0] + count, before[1] + int(total))
    return partitions
