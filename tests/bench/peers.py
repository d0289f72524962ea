"""One peer over one file: `peers.py duckdb|polars INPUT.ndjson OUTPUT`. Same columns, same layout, zstd level 1 as ours."""

import sys

EVIDENCE = "STRUCT(source VARCHAR, url VARCHAR, excerpt VARCHAR, score DOUBLE, observed_at TIMESTAMP)[]"
SOURCE = 'STRUCT("type" VARCHAR, repo VARCHAR, path VARCHAR, "commit" VARCHAR, author VARCHAR, message VARCHAR)'


def duckdb(source, output):
    import duckdb

    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(
        f"""
        copy (
          select event_id, entity_id::varchar as entity_id, op, value, previous_value, created_at, source, evidence,
                 strftime(created_at, '%Y-%m-%d') as created_date, attribute_name, entity_id % 10 as entity_id_mod
          from read_json('{source}', format = 'newline_delimited', columns = {{
            event_id: 'VARCHAR', entity_id: 'BIGINT', attribute_name: 'VARCHAR', op: 'VARCHAR', value: 'VARCHAR',
            previous_value: 'VARCHAR', created_at: 'TIMESTAMP', source: '{SOURCE}', evidence: '{EVIDENCE}'}}))
        to '{output}' (format parquet, compression zstd, compression_level 1,
                       partition_by (created_date, attribute_name, entity_id_mod))
        """
    )


def polars(source, output):
    import polars as pl

    text, instant = pl.String, pl.String
    members = ["type", "repo", "path", "commit", "author", "message"]
    evidence = {"source": text, "url": text, "excerpt": text, "score": pl.Float64, "observed_at": instant}
    schema = {
        "event_id": text,
        "entity_id": pl.Int64,
        "attribute_name": text,
        "op": text,
        "value": text,
        "previous_value": text,
        "created_at": instant,
        "source": pl.Struct({name: text for name in members}),
        "evidence": pl.List(pl.Struct(evidence)),
    }
    rows = pl.scan_ndjson(source, schema=schema).with_columns(
        created_date=pl.col("created_at").str.slice(0, 10),
        entity_id_mod=pl.col("entity_id") % 10,
        entity_id=pl.col("entity_id").cast(text),
        created_at=pl.col("created_at").str.to_datetime(time_unit="ms", time_zone="UTC"),
    )
    keys = ["created_date", "attribute_name", "entity_id_mod"]
    target = pl.PartitionBy(output, key=keys, include_key=False)
    rows.sink_parquet(target, compression="zstd", compression_level=1, mkdir=True)


{"duckdb": duckdb, "polars": polars}[sys.argv[1]](sys.argv[2], sys.argv[3])
