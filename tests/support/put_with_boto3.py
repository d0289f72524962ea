"""Puts a gzipped NDJSON file through PutRecordBatch: put_with_boto3.py ENDPOINT STREAM FILE. Only the endpoint is ours."""

import gzip
import sys

import boto3

RECORDS_MAX = 500

endpoint, stream, path = sys.argv[1:]
firehose = boto3.client("firehose", endpoint_url=endpoint)
assert stream in firehose.list_delivery_streams()["DeliveryStreamNames"]
status = firehose.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]["DeliveryStreamStatus"]
assert status == "ACTIVE", status
with gzip.open(path) as lines:
    records = [{"Data": line} for line in lines]
for first in range(0, len(records), RECORDS_MAX):
    answer = firehose.put_record_batch(DeliveryStreamName=stream, Records=records[first : first + RECORDS_MAX])
    assert answer["FailedPutCount"] == 0, answer
    assert all(response["RecordId"] for response in answer["RequestResponses"])
try:
    firehose.put_record(DeliveryStreamName="no-such-stream", Record={"Data": b"{}"})
    sys.exit("a put to an unknown delivery stream was taken")
except firehose.exceptions.ResourceNotFoundException:
    pass
