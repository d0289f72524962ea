"""Puts one record a number of times and tells what became of it as JSON: put_signed.py ENDPOINT STREAM [OPTION=VALUE ...].

Options: times=N, seconds=N (how far this client's clock is off), tamper=body|target (changed after signing), ca=FILE. Keys come from
the environment, as with any program that uses boto3.
"""

import json
import sys
from datetime import timedelta

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, stream = sys.argv[1:3]
options = dict(option.split("=", 1) for option in sys.argv[3:])

if "seconds" in options:
    now = botocore.auth.get_current_datetime
    off = timedelta(seconds=int(options["seconds"]))
    botocore.auth.get_current_datetime = lambda *args, **named: now(*args, **named) + off


def tamper(request, **_):
    """Runs when the request is signed and about to go."""
    if options["tamper"] == "body":
        request.body = request.body.replace(b"eyJh", b"eyJi")
    else:
        request.headers["X-Amz-Target"] = "Firehose_20150804.PutRecordBatch"


config = Config(retries={"mode": "standard", "total_max_attempts": 12})
firehose = boto3.client("firehose", endpoint_url=endpoint, verify=options.get("ca"), config=config)
if "tamper" in options:
    firehose.meta.events.register("before-send.firehose", tamper)

told = {"taken": 0, "retries": 0, "errors": []}
for _ in range(int(options.get("times", 1))):
    try:
        answer = firehose.put_record(DeliveryStreamName=stream, Record={"Data": b'{"a":1}'})
        told["taken"] += 1
        told["retries"] += answer["ResponseMetadata"]["RetryAttempts"]
    except ClientError as error:
        told["errors"].append(f'{error.response["ResponseMetadata"]["HTTPStatusCode"]} {error.response["Error"]["Code"]}')
        told["retries"] += error.response["ResponseMetadata"]["RetryAttempts"]
        told["message"] = error.response["Error"]["Message"]
print(json.dumps(told))
