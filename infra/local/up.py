"""What infra/local/up asks of Amazon's SDK: create ENDPOINT, put ENDPOINT FILE, drip ENDPOINT FILE; and stored METRICS-URL ROWS waits."""

import datetime
import gzip
import json
import pathlib
import sys
import time
import urllib.request

import boto3

STREAM, BUCKET, DATABASE = "attribute-events", "company-lake", "company_lake"
TABLE = pathlib.Path(__file__).parents[2] / "schemas" / "ddl" / "attribute_events.glue.json"
PUT_RECORDS_MAX = 500
STORED_SECONDS = 120


def create(endpoint):
    kinesis, s3, glue = (boto3.client(name, endpoint_url=endpoint) for name in ("kinesis", "s3", "glue"))
    kinesis.create_stream(StreamName=STREAM, ShardCount=4)
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    s3.create_bucket(Bucket=BUCKET)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    glue.create_table(DatabaseName=DATABASE, TableInput=json.loads(TABLE.read_text()))


def put_all(kinesis, events):
    """Puts them all; what was refused is put again."""
    while events:
        call, events = events[:PUT_RECORDS_MAX], events[PUT_RECORDS_MAX:]
        records = [{"Data": event, "PartitionKey": json.loads(event)["entity_id"]} for event in call]
        answer = kinesis.put_records(StreamName=STREAM, Records=records)
        events = [event for event, told in zip(call, answer["Records"]) if "ErrorCode" in told] + events


def put(endpoint, path):
    with gzip.open(path) as lines:
        events = lines.read().splitlines()
    put_all(boto3.client("kinesis", endpoint_url=endpoint), events)
    print(f"put {len(events)} events", file=sys.stderr)


def drip(endpoint, path):
    """The log once more, one event a second, as if it happened now."""
    kinesis = boto3.client("kinesis", endpoint_url=endpoint)
    with gzip.open(path) as lines:
        for number, line in enumerate(lines):
            now = datetime.datetime.now(datetime.timezone.utc)
            event = json.loads(line) | {"event_id": f"now-{number}", "created_at": now.isoformat(timespec="seconds")}
            put_all(kinesis, [json.dumps(event).encode()])
            time.sleep(1)


def stored(url, rows):
    """Waits until so many rows are in stored files."""
    for _ in range(STORED_SECONDS):
        text = urllib.request.urlopen(url).read().decode()
        told = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if not line.startswith("#")}
        if told["alluvium_delivery_to_s3_records_total"] >= float(rows) and told["alluvium_cuts_unstored"] == 0:
            files = told['alluvium_delivery_to_s3_object_count_total{output="table"}']
            print(f"stored {rows} rows in {files:.0f} files", file=sys.stderr)
            return
        time.sleep(1)
    sys.exit(f"not stored after {STORED_SECONDS} s: {url}")


{"create": create, "put": put, "drip": drip, "stored": stored}[sys.argv[1]](*sys.argv[2:])
