"""SQL on standard input, the last statement's rows as a JSON array on standard output. Argument: the S3 emulator's host:port."""

import datetime
import decimal
import json
import sys

import duckdb
import duckdb_ext


def plain(value):
    if isinstance(value, (datetime.datetime, datetime.date, decimal.Decimal)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    raise TypeError(f"{type(value)} has no JSON form here")


connection = duckdb.connect()
duckdb_ext.init(connection)
connection.execute("set timezone = 'UTC'")
if len(sys.argv) > 1:
    connection.execute("load httpfs")
    connection.execute(
        "create secret (type s3, key_id 'test', secret 'test', region 'us-east-1',"
        f" endpoint '{sys.argv[1]}', url_style 'path', use_ssl false)"
    )
result = None
for statement in duckdb.extract_statements(sys.stdin.read()):
    result = connection.execute(statement)
names = [column[0] for column in result.description]
json.dump([dict(zip(names, row)) for row in result.fetchall()], sys.stdout, default=plain)
