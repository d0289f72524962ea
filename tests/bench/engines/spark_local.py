"""Spark (PySpark, local mode): rows are brought together by partition, then written by partition."""

import pyspark
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

VERSION = pyspark.__version__
SCALARS = {"string": "string", "bigint": "bigint", "int": "int", "double": "double", "boolean": "boolean", "timestamp": "timestamp"}
KEYS = {
    "day": lambda column: f.date_format(column, "yyyy-MM-dd"),
    "same": lambda column: column,
    "mod 10": lambda column: column % 10,
}


def sql_type(kind):
    if isinstance(kind, dict):
        return "struct<" + ", ".join(f"`{name}`: {sql_type(inner)}" for name, inner in kind.items()) + ">"
    return f"array<{sql_type(kind[0])}>" if isinstance(kind, list) else SCALARS[kind]


def run(table, tables, source, output, codec):
    session = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", "6g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.caseSensitive", "true")
        .config("spark.sql.parquet.compression.codec", codec)
        .config("spark.hadoop.parquet.compression.codec.zstd.level", "1")
        .getOrCreate()
    )
    schema = ", ".join(f"`{member}` {sql_type(kind)}" for member, kind in tables.members(table).items())
    rows = session.read.schema(schema).json(source)
    columns = []
    for name, member, _ in table["columns"]:
        column = f.col(member)
        columns.append((column.cast("string") if name in tables.AS_TEXT else column).alias(name))
    keys = [KEYS[how](f.col(member)).alias(name) for name, how, member in table["keys"]]
    names = [name for name, _, _ in table["keys"]]
    rows.select(columns + keys).repartition(*names).write.partitionBy(*names).parquet(output)
    session.stop()
