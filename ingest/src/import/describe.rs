//! What was described, from whichever source: streams in the shape of `CreateDeliveryStream`. Here that of the API's own JSON:
//! the answer of `DescribeDeliveryStream`, the request of `CreateDeliveryStream`, or one S3 destination.

use super::glue::GlueTable;
use super::node::{Members, Node};

/// The streams of a source, each by what it is called there.
#[derive(Debug, Default)]
pub struct Described {
    pub(super) streams: Vec<(String, Node)>,
    /// Tables of the Glue catalog that are described beside them.
    pub(super) tables: Vec<GlueTable>,
    /// Settings of whatever deploys the stream, and not of the stream: where, and what they say.
    pub(super) beside: Vec<(String, String)>,
}

/// A stream of the API's JSON, if it is one.
pub(super) fn stream(json: &Node) -> Result<Described, String> {
    let described = json.get("DeliveryStreamDescription").or_else(|| json.get("DeliveryStreamArn").map(|_| json));
    let node = match described {
        Some(description) => of_description(description),
        None if json.get("Destinations").is_some() => of_description(json),
        None if json.get("BucketARN").is_some() => Node::Map(vec![
            ("DeliveryStreamName".to_string(), Node::Text("imported".into())),
            ("ExtendedS3DestinationConfiguration".to_string(), json.clone()),
        ]),
        None if json
            .members()
            .iter()
            .any(|(name, _)| name.ends_with("Configuration") || name == "DeliveryStreamName") =>
        {
            json.clone()
        }
        None => {
            return Err("is neither what `aws firehose describe-delivery-stream` prints, nor what \
                        `create-delivery-stream --cli-input-json` takes, nor a CloudFormation template"
                .into());
        }
    };
    let name = node.get("DeliveryStreamName").and_then(Node::text).unwrap_or("imported").to_string();
    Ok(Described { streams: vec![(name, node)], ..Described::default() })
}

/// What the answer calls a description the request calls a configuration.
fn of_description(description: &Node) -> Node {
    let mut members: Members = Vec::new();
    for (name, node) in description.members() {
        match name.as_str() {
            "Source" => members.extend(node.members().iter().map(|(name, node)| (as_request(name), renamed(node)))),
            "Destinations" => {
                let (first, others) =
                    node.items().split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
                for (name, node) in first.map(Node::members).unwrap_or_default() {
                    members.push((as_request(name), renamed(node)));
                }
                // A stream has one; should there be more, none of them is passed over.
                members.extend(
                    others.iter().enumerate().map(|(at, node)| (format!("Destinations[{}]", at + 1), node.clone())),
                );
            }
            "DeliveryStreamEncryptionConfiguration" => {
                members.push(("DeliveryStreamEncryptionConfigurationInput".to_string(), node.clone()));
            }
            _ => members.push((name.clone(), node.clone())),
        }
    }
    Node::Map(members)
}

fn as_request(name: &str) -> String {
    name.strip_suffix("Description").map_or_else(|| name.to_string(), |stem| format!("{stem}Configuration"))
}

fn renamed(node: &Node) -> Node {
    let rename = |(name, node): &(String, Node)| {
        let name = if name == "S3BackupDescription" { "S3BackupConfiguration" } else { name };
        (name.to_string(), node.clone())
    };
    match node {
        Node::Map(members) => Node::Map(members.iter().map(rename).collect()),
        other => other.clone(),
    }
}
