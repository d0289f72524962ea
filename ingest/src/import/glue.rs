//! A table of the Glue catalog, as `GetTable` answers, CloudFormation and Terraform describe it: columns, partition keys, place,
//! projection.

use std::collections::BTreeMap;

use super::node::Node;

/// Columns of one table at most: what a table spec may have.
const COLUMNS_MAX: usize = schemas::table::COLUMNS_MAX;

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlueTable {
    pub name: String,
    pub database: String,
    pub comment: Option<String>,
    pub location: Option<String>,
    pub columns: Vec<GlueColumn>,
    pub partitions: Vec<GlueColumn>,
    pub parameters: BTreeMap<String, String>,
}

/// A column of it; the type is Hive's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlueColumn {
    pub name: String,
    pub data_type: String,
    pub comment: Option<String>,
}

impl GlueTable {
    /// Reads a `GetTable` answer, a table of it, a `TableInput`, or CloudFormation's properties.
    pub(super) fn read(node: &Node) -> Option<GlueTable> {
        let table = node.get("Table").or_else(|| node.get("TableInput")).unwrap_or(node);
        let text = |node: &Node, name: &str| node.get(name).and_then(Node::text).map(str::to_string);
        let storage = table.get("StorageDescriptor")?;
        let parameters = table.get("Parameters").map(Node::members).unwrap_or_default();
        let parameters = parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.to_string())));
        Some(GlueTable {
            name: text(table, "Name")?,
            database: text(table, "DatabaseName").or_else(|| text(node, "DatabaseName")).unwrap_or_default(),
            comment: text(table, "Description").filter(|comment| !comment.is_empty()),
            location: text(storage, "Location").filter(|location| !location.is_empty()),
            columns: columns(storage.get("Columns")),
            partitions: columns(table.get("PartitionKeys")),
            parameters: parameters.collect(),
        })
    }
}

fn columns(node: Option<&Node>) -> Vec<GlueColumn> {
    let column = |node: &Node| {
        let text = |name: &str| node.get(name).and_then(Node::text).map(str::to_string);
        let comment = text("Comment").filter(|comment| !comment.is_empty());
        Some(GlueColumn { name: text("Name")?, data_type: text("Type").unwrap_or_else(|| "string".into()), comment })
    };
    node.map(Node::items).unwrap_or_default().iter().take(COLUMNS_MAX).filter_map(column).collect()
}
