//! `alluvium import firehose`: a description read from a file or the API, imported, written down, and what becomes of each setting
//! told.

mod api;
mod render;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};

use super::CliError;
use crate::clock;
use crate::import::{self, CONFIG, Failure, Format, Imported, Wanted};

/// What `import` takes over.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// An Amazon Data Firehose stream, from the API, its JSON, CloudFormation or Terraform
    Firehose(FirehoseArgs),
}

/// Arguments of `import firehose`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("described").required(true).args(["stream", "file"])))]
pub struct FirehoseArgs {
    /// Name of a stream of this account and region: asks DescribeDeliveryStream, and Glue for its table
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// A file instead: what `aws firehose describe-delivery-stream` prints or `create-delivery-stream --cli-input-json` takes, a
    /// CloudFormation template (JSON or YAML), or Terraform (.tf); stdin if `-`
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Which stream, if the file describes several: its name, logical id or resource name
    #[arg(long, value_name = "NAME", requires = "file")]
    pub resource: Option<String>,
    /// Folder to write alluvium.toml and the table spec to; left out, they are printed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON object: files and findings
    #[arg(long)]
    pub json: bool,
    /// What the file leaves open, by how it is written there: var.prefix, Bucket.Arn, aws_s3_bucket.lake.arn; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<Pair>,
    /// The jq program of a key that the description has none of, such as one a Lambda makes; can be repeated
    #[arg(long, value_name = "NAME=JQ")]
    pub key: Vec<Pair>,
    /// The Glue table that the stream converts to, as `aws glue get-table` prints it
    #[arg(long, value_name = "FILE")]
    pub glue_table: Option<PathBuf>,
}

/// `name=value` on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair(pub String, pub String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Pair(name.trim().into(), value.into())),
            _ => Err(format!("`{text}` has no name and value: write NAME=VALUE")),
        }
    }
}

/// Longest description that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn run(command: ImportCommand, out: &mut impl Write) -> Result<(), CliError> {
    let ImportCommand::Firehose(args) = command;
    let wanted = wanted(&args)?;
    let outcome = match (&args.stream, &args.file) {
        (Some(name), _) => from_api(name, wanted).await?,
        (None, Some(file)) => from_file(file, wanted)?,
        (None, None) => return Err(CliError::input("write --stream NAME or --file FILE")),
    };
    match outcome {
        Ok(imported) => {
            let written = args.out.as_deref().map(|folder| write(folder, &imported)).transpose()?;
            render::imported(&imported, written.as_deref(), args.json, out)
        }
        Err(Failure::Choice(message)) => Err(CliError::input(message)),
        Err(Failure::Refused(refused)) => render::refused(&refused, args.json, out),
    }
}

fn wanted(args: &FirehoseArgs) -> Result<Wanted, CliError> {
    let pairs =
        |pairs: &[Pair]| pairs.iter().map(|Pair(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>();
    let glue = match &args.glue_table {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let table = read(path, &name).and_then(|text| import::glue_table(&text).map_err(|e| named(&name, &e)));
            Some(table?)
        }
    };
    let variables = pairs(&args.var).into_iter().collect();
    Ok(Wanted { stream: args.resource.clone(), variables, keys: pairs(&args.key), glue, now: clock::now_ms() })
}

fn from_file(path: &Path, wanted: Wanted) -> Result<Result<Imported, Failure>, CliError> {
    let name = path.display().to_string();
    let text = read(path, &name)?;
    let described =
        import::described(&text, Format::of(&name, &text), &wanted.variables).map_err(|e| named(&name, &e))?;
    Ok(import::import(described, &wanted, &name).map_err(|failure| match failure {
        Failure::Choice(message) => Failure::Choice(format!("{name}: {message}")),
        refused => refused,
    }))
}

async fn from_api(name: &str, wanted: Wanted) -> Result<Result<Imported, Failure>, CliError> {
    let text = api::describe(name).await?;
    let described = import::described(&text, Format::Json, &wanted.variables).map_err(|e| named(name, &e))?;
    let table = import::table_of(&described, None).filter(|_| wanted.glue.is_none());
    let glue = match table {
        Some((database, table, region)) => Some(api::table(&database, &table, region.as_deref()).await?),
        None => wanted.glue.clone(),
    };
    Ok(import::import(described, &Wanted { glue, ..wanted }, &format!("the stream {name}")))
}

fn named(name: &str, message: &str) -> CliError {
    CliError::input(format!("{name}: {message}"))
}

/// Reads no more than the limit, whatever the length claims.
fn read(path: &Path, name: &str) -> Result<String, CliError> {
    let unreadable = |e: std::io::Error| named(name, &format!("cannot be read: {e}"));
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?,
        false => {
            let file = std::fs::File::open(path).map_err(unreadable)?;
            file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?
        }
    };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(named(name, &format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| named(name, "is not UTF-8 text"))
}

/// Writes both files, none over another one; their names.
fn write(folder: &Path, imported: &Imported) -> Result<Vec<String>, CliError> {
    let files = [(CONFIG, &imported.config), (imported.table_file.as_str(), &imported.table)];
    let paths = files.map(|(name, text)| (folder.join(name), text));
    if let Some((path, _)) = paths.iter().find(|(path, _)| path.exists()) {
        return Err(CliError::input(format!(
            "{}: is there already; write to another folder, or remove it",
            path.display()
        )));
    }
    let failed = |path: &Path, e: std::io::Error| CliError::environment(format!("writing {}", path.display()), e);
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    for (path, text) in &paths {
        std::fs::write(path, text).map_err(|e| failed(path, e))?;
    }
    Ok(paths.iter().map(|(path, _)| path.display().to_string()).collect())
}
