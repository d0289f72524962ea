"""One client of the intake: `client.py boto3|raw URL EVENTS SECONDS RATE RESULT`.

Puts batches of 500 events with PutRecordBatch for so many seconds: `boto3` as a producer does, signing included; `raw` with bodies
made before, which is as little as a client can do. With a RATE (events a second) batches are smaller and each event carries the time
at which it is sent as its `created_at`.
"""

import base64
import datetime
import http.client
import json
import sys
import time
import urllib.parse

BATCH = 500
STREAM = "alluvium"
# Batches that are made before, and put again and again.
PREPARED = 40


def batches(events):
    with open(events, "rb") as file:
        for _ in range(PREPARED):
            yield [file.readline().rstrip(b"\n") for _ in range(BATCH)]


def with_boto3(url, batch_of):
    import boto3

    keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench", "region_name": "us-east-1"}
    client = boto3.client("firehose", endpoint_url=url, **keys)

    def put(number):
        records = [{"Data": data} for data in batch_of(number)]
        answer = client.put_record_batch(DeliveryStreamName=STREAM, Records=records)
        assert answer["FailedPutCount"] == 0, answer
        return records

    return put


def raw(url, batch_of):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Firehose_20150804.PutRecordBatch"}
    text = lambda data: base64.b64encode(data).decode()
    made = {}

    def put(number):
        records = batch_of(number)
        if number % PREPARED not in made:
            body = {"DeliveryStreamName": STREAM, "Records": [{"Data": text(data)} for data in records]}
            made[number % PREPARED] = json.dumps(body).encode()
        connection.request("POST", "/", made[number % PREPARED], headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200 and json.loads(said)["FailedPutCount"] == 0, said
        return records

    return put


def timed(events, number, count):
    """Events that say when they are sent."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    one = lambda at: json.dumps(json.loads(events[(number * count + at) % len(events)]) | {"created_at": now}).encode()
    return [one(at) for at in range(count)]


def main():
    how, url, path, seconds, rate, result = sys.argv[1:]
    seconds, rate = float(seconds), int(rate)
    prepared = list(batches(path))
    flat = [event for batch in prepared for event in batch]
    count = max(1, rate // 20) if rate else BATCH
    batch_of = (lambda number: timed(flat, number, count)) if rate else (lambda number: prepared[number % PREPARED])
    put = {"boto3": with_boto3, "raw": raw}[how](url, batch_of)
    number, records, sent, took = 0, 0, 0, []
    began, cpu_before = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        if rate:
            time.sleep(max(0, began + number * count / rate - time.monotonic()))
        at = time.monotonic()
        done = put(number)
        took.append(time.monotonic() - at)
        records += len(done)
        sent += sum(len(one["Data"] if isinstance(one, dict) else one) for one in done)
        number += 1
    found = {"records": records, "bytes": sent, "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu_before, "took": sorted(took)}
    with open(result, "w", encoding="utf-8") as out:
        json.dump(found, out)


main()
