"""Makes alluvium.dashboard.json for Grafana out of the rows below; `--check` says whether the committed file is what it makes.

A panel's text is the help of its metrics, from docs/metrics.md, which is generated from the code that declares them.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
FILE = HERE / "alluvium.dashboard.json"
METRICS = HERE.parent.parent / "docs" / "metrics.md"
OF = '{instance=~"$instance"}'

# Row: panels. Panel: title, unit of Grafana's, kind, (legend, PromQL with @ for the instances)...
ROWS = {
    "At a glance": [
        ("Freshness", "s", "timeseries",
         ("oldest record not stored {{instance}}", "alluvium_delivery_to_s3_data_freshness_seconds@"),
         ("age limit {{instance}}", "alluvium_buffer_age_limit_seconds@")),
        ("Records in", "rowsps", "timeseries",
         ("records {{instance}}", "rate(alluvium_incoming_records_total@[$__rate_interval])"),
         ("events {{instance}}", "rate(alluvium_documents_total@[$__rate_interval])")),
        ("Bytes in and stored", "Bps", "timeseries",
         ("in {{instance}}", "rate(alluvium_incoming_bytes_total@[$__rate_interval])"),
         ("stored {{instance}}", "rate(alluvium_delivery_to_s3_bytes_total@[$__rate_interval])")),
        ("Rejects", "rowsps", "timeseries",
         ("{{reason}}", "sum by (reason) (rate(alluvium_rejects_total@[$__rate_interval]))"),
         ("{{reason}}", "sum by (reason) (rate(alluvium_failed_conversion_records_total@[$__rate_interval]))")),
        ("Memory of buffers", "bytes", "timeseries",
         ("used {{instance}}", "alluvium_buffer_memory_bytes@"),
         ("cap {{instance}}", "alluvium_buffer_memory_limit_bytes@")),
        ("Open partitions", "short", "timeseries", ("{{instance}}", "alluvium_partition_count@")),
    ],
    "Files": [
        ("Files cut, by why", "cps", "timeseries",
         ("{{reason}}", "sum by (reason) (rate(alluvium_flushes_total@[$__rate_interval]))")),
        ("Sizes of stored files", "bytes", "heatmap",
         ("{{le}}", "sum by (le) (increase(alluvium_delivery_to_s3_object_bytes_bucket@[$__rate_interval]))")),
        ("Size of a stored file", "bytes", "timeseries",
         ("mean", "sum(rate(alluvium_delivery_to_s3_object_bytes_sum@[$__rate_interval])) "
                  "/ sum(rate(alluvium_delivery_to_s3_object_bytes_count@[$__rate_interval]))"),
         ("median", "histogram_quantile(0.5, sum by (le) "
                    "(rate(alluvium_delivery_to_s3_object_bytes_bucket@[$__rate_interval])))")),
        ("Time of a PUT", "s", "timeseries",
         ("p50", "histogram_quantile(0.5, sum by (le) "
                 "(rate(alluvium_delivery_to_s3_duration_seconds_bucket@[$__rate_interval])))"),
         ("p99", "histogram_quantile(0.99, sum by (le) "
                 "(rate(alluvium_delivery_to_s3_duration_seconds_bucket@[$__rate_interval])))")),
        ("PUTs", "cps", "timeseries",
         ("begun", "sum(rate(alluvium_delivery_to_s3_attempts_total@[$__rate_interval]))"),
         ("succeeded", "sum(rate(alluvium_delivery_to_s3_success_total@[$__rate_interval]))"),
         ("objects of {{output}}",
          "sum by (output) (rate(alluvium_delivery_to_s3_object_count_total@[$__rate_interval]))")),
        ("Cuts", "short", "timeseries",
         ("not stored {{instance}}", "alluvium_cuts_unstored@"),
         ("cuts a second {{instance}}", "rate(alluvium_cuts_total@[$__rate_interval])"),
         ("log entries a second {{instance}}", "rate(alluvium_log_entries_total@[$__rate_interval])")),
    ],
    "Lag and lateness": [
        ("Lag by partition value", "s", "timeseries",
         ("{{column}}={{value}}", "topk(20, max by (column, value) (alluvium_partition_lag_seconds@))")),
        ("Late records, by how late", "rowsps", "timeseries",
         ("up to {{by}}", "sum by (by) (rate(alluvium_late_records_total@[$__rate_interval]))")),
        ("Members no column reads", "cps", "timeseries",
         ("{{field}}", "topk(20, sum by (field) (rate(alluvium_dropped_fields_total@[$__rate_interval])))")),
    ],
    "The process": [
        ("Time for a batch", "s", "timeseries",
         ("p50", "histogram_quantile(0.5, sum by (le) "
                 "(rate(alluvium_jq_processing_duration_seconds_bucket@[$__rate_interval])))"),
         ("p99", "histogram_quantile(0.99, sum by (le) "
                 "(rate(alluvium_jq_processing_duration_seconds_bucket@[$__rate_interval])))")),
        ("Batches waiting", "short", "timeseries",
         ("waiting {{instance}}", "alluvium_source_queue_batches@"),
         ("most {{instance}}", "alluvium_source_queue_limit_batches@")),
        ("Shards owned", "short", "timeseries",
         ("{{instance}}", "alluvium_shards_owned@"),
         ("restarts in an hour {{instance}}", "increase(alluvium_writer_restarts_total@[1h])")),
    ],
    "Kinesis": [
        ("Behind the tip, by shard", "ms", "timeseries",
         ("{{shard}}", "max by (shard) (alluvium_kinesis_millis_behind_latest@)")),
        ("Retention used", "percent", "timeseries", ("{{instance}}", "alluvium_kinesis_retention_used_percent@")),
        ("Read from the stream", "rowsps", "timeseries",
         ("records {{instance}}", "rate(alluvium_data_read_from_kinesis_stream_records_total@[$__rate_interval])"),
         ("calls {{instance}}", "rate(alluvium_get_records_requests_total@[$__rate_interval])")),
        ("Calls that failed", "cps", "timeseries",
         ("throttled", "sum(rate(alluvium_throttled_get_records_total@[$__rate_interval]))"),
         ("unreachable", "sum(rate(alluvium_kinesis_unreachable_total@[$__rate_interval]))"),
         ("expired iterators", "sum(rate(alluvium_kinesis_expired_iterators_total@[$__rate_interval]))"),
         ("lost spans", "sum(rate(alluvium_kinesis_lost_spans_total@[$__rate_interval]))")),
    ],
    "Intake": [
        ("Requests", "reqps", "timeseries",
         ("PutRecord", "sum(rate(alluvium_put_record_requests_total@[$__rate_interval]))"),
         ("PutRecordBatch", "sum(rate(alluvium_put_record_batch_requests_total@[$__rate_interval]))"),
         ("POST /v1/events", "sum(rate(alluvium_events_requests_total@[$__rate_interval]))")),
        ("Requests refused, by why", "reqps", "timeseries",
         ("{{reason}}", "sum by (reason) (rate(alluvium_intake_refused_total@[$__rate_interval]))")),
        ("Records accepted", "rowsps", "timeseries",
         ("{{instance}}", "rate(alluvium_intake_records_total@[$__rate_interval])")),
        ("Journal", "bytes", "timeseries",
         ("held {{instance}}", "alluvium_journal_bytes@"),
         ("most {{instance}}", "alluvium_journal_limit_bytes@")),
        ("Connections", "short", "timeseries",
         ("open {{instance}}", "alluvium_intake_connections@"),
         ("ended a second: {{reason}}",
          "sum by (reason) (rate(alluvium_intake_connections_ended_total@[$__rate_interval]))")),
        ("Certificate ends in", "s", "timeseries",
         ("{{instance}} (negative: no TLS)", "alluvium_intake_certificate_expires@ - time()")),
    ],
}


def helps():
    """Help by name of series."""
    found = {}
    for line in METRICS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 5 and cells[0].startswith("`alluvium_"):
            name = cells[0].strip("`")
            parts = ("_bucket", "_sum", "_count") if cells[1] == "histogram" else ("",)
            found.update({name + part: (name, cells[4].rstrip("| ")) for part in parts})
    return found


def text(queries, known):
    """What the metrics of these queries are, each once."""
    names = [name for _, query in queries for name in re.findall(r"alluvium_\w+", query)]
    missing = [name for name in names if name not in known]
    if missing:
        sys.exit(f"dashboard.py: docs/metrics.md has no {', '.join(missing)}")
    return "\n".join(dict.fromkeys(f"`{known[name][0]}`: {known[name][1]}" for name in names))


def panel(number, place, described, known):
    title, unit, kind, *queries = described
    column, row = place % 3, place // 3
    made = {
        "id": number,
        "title": title,
        "description": text(queries, known),
        "type": kind,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 8, "x": 8 * column, "y": 8 * row},
        "fieldConfig": {"defaults": {"unit": unit, "custom": {}}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "expr": query.replace("@", OF), "legendFormat": legend,
             "format": "heatmap" if kind == "heatmap" else "time_series"}
            for n, (legend, query) in enumerate(queries)
        ],
    }
    if kind == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": unit}}
    return made


def panels():
    known, made, number, top = helps(), [], 0, 0
    for title, described in ROWS.items():
        number += 1
        made.append({"id": number, "title": title, "type": "row", "collapsed": False, "panels": [],
                     "gridPos": {"h": 1, "w": 24, "x": 0, "y": top}})
        for place, one in enumerate(described):
            number += 1
            made.append(panel(number, place, one, known))
            made[-1]["gridPos"]["y"] += top + 1
        top += 1 + 8 * -(-len(described) // 3)
    return made


def dashboard():
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    instance = {"name": "instance", "label": "Process", "type": "query", "multi": True, "includeAll": True,
                "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "refresh": 2,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "query": "label_values(alluvium_incoming_records_total, instance)"}
    return {
        "uid": "alluvium", "title": "Alluvium", "tags": ["alluvium"], "schemaVersion": 39, "editable": True,
        "time": {"from": "now-3h", "to": "now"}, "refresh": "30s", "timezone": "utc",
        "templating": {"list": [source, instance]}, "panels": panels(),
    }


made = json.dumps(dashboard(), indent=1) + "\n"
if sys.argv[1:] == ["--check"]:
    if FILE.read_text() != made:
        sys.exit(f"{FILE.name} is not what dashboard.py makes: run python3 infra/monitoring/dashboard.py")
else:
    FILE.write_text(made)
