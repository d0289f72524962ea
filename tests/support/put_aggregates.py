"""Puts the lines of a file to a stream, aggregated by Amazon's own library: put_aggregates.py ENDPOINT STREAM FILE BYTES.

BYTES is the size an aggregate may have. Prints how many records it took, one number.
"""

import sys

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator

endpoint, stream, path, size = sys.argv[1:]
kinesis = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1")
aggregator = RecordAggregator(max_size=int(size))
count = 0


def put(record):
    global count
    key, _, data = record.get_contents()
    kinesis.put_record(StreamName=stream, PartitionKey=key, Data=data)
    count += 1


with open(path, "rb") as lines:
    for number, line in enumerate(lines):
        full = aggregator.add_user_record(f"key-{number % 16}", line.rstrip(b"\n"))
        if full:
            put(full)
rest = aggregator.clear_and_get()
if rest:
    put(rest)
print(count)
