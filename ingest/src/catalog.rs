//! The one doorway to `aws-sdk-glue`: a table of the Glue catalog, which Athena, Spark on EMR and Redshift Spectrum look up, moved to
//! another root in one request.
//!
//! Region, endpoint and credentials come from the SDK's own chain (`AWS_REGION`, `AWS_ENDPOINT_URL_GLUE`, a profile, a role).

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_glue::Client;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::config::timeout::TimeoutConfig;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{Column, SerDeInfo, StorageDescriptor, Table, TableInput};
use schemas::problem::causes;
use serde::Deserialize;

use crate::import::{GlueColumn, GlueTable};

/// One attempt at one call, and attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const ATTEMPTS: u32 = 5;
/// Parameters that are a definition's alone: what a new one does not have goes.
const OWN: [&str; 2] = ["projection.", "storage.location.template"];

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switched {
    /// It was so already.
    Already,
    /// From this version of its entry, where the catalog counts them.
    From(Option<String>),
}

/// A catalog that does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Something else has to be asked for.
    #[error("{0}")]
    Input(String),
    /// No answer, no credentials, or the table was changed at the same moment.
    #[error("{0}")]
    Environment(String),
}

/// The Glue catalog of an account and region.
#[derive(Debug)]
pub struct Catalog {
    client: Client,
}

/// A definition as `schemas::ddl` generates it for Glue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: String,
    description: Option<String>,
    table_type: String,
    parameters: HashMap<String, String>,
    partition_keys: Vec<Field>,
    storage_descriptor: Storage,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Field {
    name: String,
    r#type: String,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    columns: Vec<Field>,
    location: String,
    input_format: String,
    output_format: String,
    compressed: bool,
    serde_info: Serde,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Serde {
    serialization_library: String,
    parameters: HashMap<String, String>,
}

impl Catalog {
    /// `region`: where the chain names none.
    pub async fn connect(region: Option<&str>) -> Result<Catalog, CatalogError> {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retries).timeout_config(timeouts);
        let config = Box::pin(loader.load()).await;
        let config = match (config.region(), region) {
            (None, Some(region)) => config.into_builder().region(Region::new(region.to_string())).build(),
            (None, None) => {
                return Err(CatalogError::Input(
                    "glue: no aws region: write `region` in [lake] or set AWS_REGION".into(),
                ));
            }
            _ => config,
        };
        Ok(Catalog { client: Client::new(&config) })
    }

    /// What the catalog says of a table now.
    pub async fn look(&self, database: &str, name: &str) -> Result<Looked<'_>, CatalogError> {
        let answer = self.client.get_table().database_name(database).name(name).send().await;
        let answer = answer.map_err(|e| failure(&format!("GetTable {database}.{name}"), e))?;
        let table = answer.table;
        let table = table.ok_or_else(|| CatalogError::Environment(format!("glue: no answer on {database}.{name}")))?;
        Ok(Looked { client: &self.client, database: database.into(), table })
    }
}

/// A table as it was when it was looked at.
#[derive(Debug)]
pub struct Looked<'a> {
    client: &'a Client,
    database: String,
    table: Table,
}

impl Looked<'_> {
    /// What an import takes of it.
    pub fn described(&self) -> GlueTable {
        let (table, storage) = (&self.table, self.table.storage_descriptor());
        let column = |column: &Column| GlueColumn {
            name: column.name().to_string(),
            data_type: column.r#type().unwrap_or("string").to_string(),
            comment: column.comment().filter(|comment| !comment.is_empty()).map(str::to_string),
        };
        GlueTable {
            name: table.name().to_string(),
            database: self.database.clone(),
            comment: table.description().filter(|comment| !comment.is_empty()).map(str::to_string),
            location: storage.and_then(StorageDescriptor::location).map(str::to_string),
            columns: storage.map(StorageDescriptor::columns).unwrap_or_default().iter().map(column).collect(),
            partitions: table.partition_keys().iter().map(column).collect(),
            parameters: table.parameters().into_iter().flatten().map(|(n, v)| (n.clone(), v.clone())).collect(),
        }
    }

    /// Gives the table the definition `json`, if it lies at `from` or where the definition says. What others have added to its
    /// entry stays. The version that was looked at is named: a change in between is refused.
    pub async fn switch(self, from: &str, json: &str) -> Result<Switched, CatalogError> {
        let Looked { client, database, table } = self;
        let definition: Definition =
            serde_json::from_str(json).map_err(|e| CatalogError::Input(format!("the table's definition: {e}")))?;
        let input = input(definition, &table)?;
        let lies = table.storage_descriptor().and_then(StorageDescriptor::location).unwrap_or_default();
        let goes = input.storage_descriptor().and_then(StorageDescriptor::location).unwrap_or_default();
        if same_place(lies, goes) && is_as(&table, &input) {
            return Ok(Switched::Already);
        }
        if !same_place(lies, from) && !same_place(lies, goes) {
            return Err(CatalogError::Input(format!(
                "glue table {database}.{} lies at {lies}, and not at {from}: somebody else has moved it",
                table.name()
            )));
        }
        let named = format!("UpdateTable {database}.{}", table.name());
        let request = client.update_table().database_name(database).set_version_id(table.version_id.clone());
        request.table_input(input).send().await.map_err(|e| failure(&named, e))?;
        Ok(Switched::From(table.version_id))
    }
}

fn same_place(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// Whether all that the input says is so.
fn is_as(table: &Table, input: &TableInput) -> bool {
    let columns = |storage: Option<&StorageDescriptor>| storage.map(|s| s.columns().to_vec());
    columns(table.storage_descriptor()) == columns(input.storage_descriptor())
        && table.partition_keys() == input.partition_keys()
        && table.parameters() == input.parameters()
}

/// The definition, with what the entry holds beside it.
fn input(definition: Definition, table: &Table) -> Result<TableInput, CatalogError> {
    let Definition { name, description, table_type, mut parameters, partition_keys, storage_descriptor: storage } =
        definition;
    let others =
        table.parameters().into_iter().flatten().filter(|(name, _)| !OWN.iter().any(|own| name.starts_with(own)));
    for (name, value) in others {
        parameters.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let serde = SerDeInfo::builder()
        .serialization_library(storage.serde_info.serialization_library)
        .set_parameters(Some(storage.serde_info.parameters));
    let descriptor = StorageDescriptor::builder()
        .set_columns(Some(columns(storage.columns)?))
        .location(storage.location)
        .input_format(storage.input_format)
        .output_format(storage.output_format)
        .compressed(storage.compressed)
        .serde_info(serde.build());
    let input = TableInput::builder()
        .name(name)
        .set_description(description.or_else(|| table.description.clone()))
        .set_owner(table.owner.clone())
        .retention(table.retention)
        .table_type(table_type)
        .set_parameters(Some(parameters))
        .set_partition_keys(Some(columns(partition_keys)?))
        .storage_descriptor(descriptor.build());
    input.build().map_err(|e| CatalogError::Input(format!("the table's definition: {e}")))
}

fn columns(fields: Vec<Field>) -> Result<Vec<Column>, CatalogError> {
    let column = |field: Field| {
        let column = Column::builder().name(field.name).r#type(field.r#type).set_comment(field.comment);
        column.build().map_err(|e| CatalogError::Input(format!("the table's definition: {e}")))
    };
    fields.into_iter().map(column).collect()
}

fn failure<E>(doing: &str, error: SdkError<E>) -> CatalogError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_string();
    let message = error.message().map_or_else(|| causes(&error), str::to_string);
    match code.as_str() {
        "EntityNotFoundException" => CatalogError::Input(format!(
            "glue {doing}: {message}; create the table first, with what `alluvium ddl` prints"
        )),
        "ConcurrentModificationException" => CatalogError::Environment(format!(
            "glue {doing}: somebody else has changed the table at the same moment: run it again"
        )),
        "" => CatalogError::Environment(format!("glue {doing}: {message}")),
        code => CatalogError::Environment(format!("glue {doing}: {code}: {message}")),
    }
}
