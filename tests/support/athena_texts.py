"""Text literals of Athena's SQL, read back by others: by sqlglot's parser and by DuckDB, each after sqlglot's translation.

A JSON array of SQL expressions on standard input; an array of [what the parser sees, what DuckDB gives] on standard output.
"""

import json
import sys

import duckdb
import sqlglot
from sqlglot import exp

connection = duckdb.connect()


def read(expression):
    tree = sqlglot.parse_one(f"SELECT {expression}", read="athena")
    (only,) = tree.selects
    seen = only.name if isinstance(only, exp.Literal) and only.is_string else repr(only)
    ((given,),) = connection.execute(tree.sql(dialect="duckdb")).fetchall()
    return [seen, given]


json.dump([read(one) for one in json.load(sys.stdin)], sys.stdout)
