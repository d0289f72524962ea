//! DescribeDeliveryStream and ListDeliveryStreams, for clients that look before they put.

use serde::Deserialize;
use serde_json::{Value, json};

use super::validate::Violations;
use super::{ACCOUNT, ApiError, Asked, encode, parse};

/// Names answered when no limit is asked for.
const LIST_LIMIT: i64 = 10;
const REGION: &str = "us-east-1";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeIn {
    delivery_stream_name: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListIn {
    limit: Option<i64>,
    delivery_stream_type: Option<String>,
    exclusive_start_delivery_stream_name: Option<String>,
}

pub(super) fn describe(asked: Asked<'_>, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let request: DescribeIn = parse(body)?;
    let mut violations = Violations::default();
    violations.stream_name(request.delivery_stream_name.as_deref());
    violations.limit(request.limit);
    violations.finish()?;
    let name = asked.find(request.delivery_stream_name.as_deref().unwrap_or_default())?;
    Ok(encode(&json!({ "DeliveryStreamDescription": description(name, asked.intake.started_at) })))
}

/// The name of a delivery stream over all of AWS, if it were there.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}")
}

/// A direct-put stream; the destination's members are those that clients require to be there.
fn description(name: &str, started_at: i64) -> Value {
    let created = started_at as f64 / 1000.0;
    json!({
        "DeliveryStreamName": name,
        "DeliveryStreamARN": arn(name),
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut",
        "DeliveryStreamEncryptionConfiguration": { "Status": "DISABLED" },
        "VersionId": "1",
        "CreateTimestamp": created,
        "LastUpdateTimestamp": created,
        "Destinations": [{
            "DestinationId": "destinationId-000000000001",
            "ExtendedS3DestinationDescription": {
                "RoleARN": format!("arn:aws:iam::{ACCOUNT}:role/alluvium"),
                "BucketARN": "arn:aws:s3:::alluvium",
                "BufferingHints": { "SizeInMBs": 128, "IntervalInSeconds": 300 },
                "CompressionFormat": "UNCOMPRESSED",
                "EncryptionConfiguration": { "NoEncryptionConfig": "NoEncryption" },
                "CloudWatchLoggingOptions": { "Enabled": false },
                "S3BackupMode": "Disabled",
            },
        }],
        "HasMoreDestinations": false,
    })
}

pub(super) fn list(asked: Asked<'_>, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let request: ListIn = parse(body)?;
    let mut violations = Violations::default();
    violations.limit(request.limit);
    violations.finish()?;
    let after = request.exclusive_start_delivery_stream_name.as_deref().unwrap_or_default();
    let this_type = request.delivery_stream_type.is_none_or(|kind| kind == "DirectPut");
    let listed = |name: &&String| this_type && name.as_str() > after && asked.intake.access.may_use(asked.caller, name);
    let mut names: Vec<&String> = asked.intake.streams.iter().filter(listed).collect();
    let limit = usize::try_from(request.limit.unwrap_or(LIST_LIMIT)).expect("between 1 and 10000");
    let more = names.len() > limit;
    names.truncate(limit);
    Ok(encode(&json!({ "DeliveryStreamNames": names, "HasMoreDeliveryStreams": more })))
}
