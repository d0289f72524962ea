//! The one doorway to `aws-sdk-athena`: a statement is started, waited for, and its rows are fetched; whatever becomes of whoever
//! asked, it is not left running.
//!
//! Region, credentials and endpoint come from the SDK's own chain (`AWS_REGION`, `AWS_ENDPOINT_URL_ATHENA`, a profile, a role).

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_athena::Client;
use aws_sdk_athena::config::retry::RetryConfig;
use aws_sdk_athena::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_athena::operation::start_query_execution::builders::StartQueryExecutionFluentBuilder as Start;
use aws_sdk_athena::types::{
    QueryExecution, QueryExecutionContext, QueryExecutionState, QueryExecutionStatistics, ResultConfiguration,
    ResultReuseByAgeConfiguration, ResultReuseConfiguration, Row,
};
use schemas::problem::causes;
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, oneshot};
use tokio::time::{Instant, sleep};

use crate::config::AthenaSettings;
use crate::engine::{too_many_bytes, too_many_rows};
use crate::error::ReaderError;

/// One attempt at one call, and attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 5;

/// Pauses between looks at a statement that runs: the first, doubled up to the last.
const LOOK_FIRST: Duration = Duration::from_millis(50);
const LOOK_LAST: Duration = Duration::from_secs(1);

/// Rows of one page of results: what Athena gives at most.
const PAGE_ROWS: i32 = 1000;

/// What Athena says of a statement that the workgroup's own cut-off has ended.
const CUT_OFF: &str = "bytes scanned limit";

/// What one statement may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) deadline: Instant,
    /// For messages.
    pub(super) seconds: u64,
}

/// A statement's result. A cell that is null is none.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) rows: Vec<Vec<Option<String>>>,
    pub(super) took: Took,
}

/// What Athena says it took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Took {
    /// Until it was begun.
    pub(super) queue_ms: f64,
    /// Finding partitions included.
    pub(super) planning_ms: f64,
    pub(super) scan_ms: f64,
    pub(super) bytes: u64,
    /// Answered from an earlier result: nothing was scanned, nothing is charged.
    pub(super) reused: bool,
}

/// A connection, made when the first statement is.
#[derive(Debug)]
pub struct Athena {
    settings: AthenaSettings,
    client: OnceCell<Client>,
}

/// A statement that runs. Dropped before it is over, it is stopped: a question nobody waits for is not paid for.
struct Running {
    client: Client,
    id: String,
    is_over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (client, id) = (self.client.clone(), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { stop(&client, &id).await });
        }
    }
}

async fn stop(client: &Client, id: &str) {
    match client.stop_query_execution().query_execution_id(id).send().await {
        Ok(_) => tracing::debug!(id, "stopped a statement that nobody waits for"),
        Err(error) => tracing::warn!(id, error = %causes(&error), "cannot stop a statement"),
    }
}

impl Athena {
    pub fn new(settings: AthenaSettings) -> Athena {
        Athena { settings, client: OnceCell::new() }
    }

    /// By a connection of somebody else's making.
    pub fn connected(settings: AthenaSettings, config: &SdkConfig) -> Athena {
        Athena { settings, client: OnceCell::new_with(Some(Client::new(config))) }
    }

    /// Runs a statement. `asked_at` parts the same question asked at different times; retries of one are the same to Athena.
    pub(super) async fn run(&self, sql: &str, asked_at: i64, bounds: Bounds) -> Result<Answered, ReaderError> {
        let client = self.client.get_or_init(|| connect(&self.settings)).await;
        let mut running = started(client.clone(), self.request(client, sql, asked_at)).await?;
        let took = running.until_done(bounds).await?;
        let rows = fetch(client, &running.id, bounds.rows).await?;
        Ok(Answered { rows, took })
    }

    fn request(&self, client: &Client, sql: &str, asked_at: i64) -> Start {
        let of = &self.settings;
        let context = QueryExecutionContext::builder().catalog(&of.catalog).database(&of.database).build();
        let results = of.output.as_ref().map(|output| ResultConfiguration::builder().output_location(output).build());
        client
            .start_query_execution()
            .query_string(sql)
            .client_request_token(token(of, sql, asked_at))
            .query_execution_context(context)
            .work_group(&of.workgroup)
            .set_result_configuration(results)
            .set_result_reuse_configuration(of.reuse.map(reuse))
    }
}

async fn connect(settings: &AthenaSettings) -> Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    let mut loader =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retries).timeout_config(timeouts);
    if let Some(endpoint) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let config = Box::pin(loader.load()).await;
    match (config.region(), &settings.region) {
        (None, Some(region)) => Client::new(&config.into_builder().region(Region::new(region.clone())).build()),
        _ => Client::new(&config),
    }
}

/// Tells one request from another: hexadecimal, 64 characters of the 128 that Athena takes.
fn token(settings: &AthenaSettings, sql: &str, asked_at: i64) -> String {
    let mut hash = Sha256::new();
    let at = asked_at.to_string();
    let output = settings.output.as_deref().unwrap_or_default();
    for part in [settings.catalog.as_str(), &settings.database, &settings.workgroup, output, &at, sql] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reuse(age: Duration) -> ResultReuseConfiguration {
    let minutes = i32::try_from(age.as_secs() / 60).unwrap_or(i32::MAX);
    let by_age = ResultReuseByAgeConfiguration::builder().enabled(true).max_age_in_minutes(minutes).build();
    ResultReuseConfiguration::builder().result_reuse_by_age_configuration(by_age).build()
}

/// Starts a statement beside the question: 1. Athena takes the request, 2. whoever asked goes away, 3. the answer with the
/// statement's id finds nobody. What comes back then is dropped where it lies, and with that stopped.
async fn started(client: Client, request: Start) -> Result<Running, ReaderError> {
    let (send, receive) = oneshot::channel();
    tokio::spawn(async move {
        let begun = match request.send().await {
            Ok(answer) => Ok(Running { client, id: answer.query_execution_id.unwrap_or_default(), is_over: false }),
            Err(error) => Err(failed("start a statement", error)),
        };
        // Whoever asked has gone: the statement comes back, and ends here.
        drop(send.send(begun));
    });
    receive.await.unwrap_or_else(|_| Err(ReaderError::environment("ask Athena", "the request was given up")))
}

impl Running {
    async fn until_done(&mut self, bounds: Bounds) -> Result<Took, ReaderError> {
        let mut pause = LOOK_FIRST;
        loop {
            let execution = self.look().await?;
            let took = took(execution.statistics());
            let state = execution.status().and_then(|status| status.state()).cloned();
            self.is_over = matches!(
                state,
                Some(QueryExecutionState::Succeeded | QueryExecutionState::Failed | QueryExecutionState::Cancelled)
            );
            if took.bytes > bounds.bytes {
                return Err(self.ended(too_many_bytes(bounds.bytes)).await);
            }
            match state {
                Some(QueryExecutionState::Succeeded) => return Ok(took),
                Some(QueryExecutionState::Failed | QueryExecutionState::Cancelled) => {
                    return Err(self.why(&execution).await);
                }
                _ if Instant::now() + pause > bounds.deadline => {
                    return Err(self.ended(ReaderError::Late(bounds.seconds)).await);
                }
                _ => sleep(pause).await,
            }
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    async fn look(&self) -> Result<QueryExecution, ReaderError> {
        let answer = self.client.get_query_execution().query_execution_id(&self.id).send().await;
        let answer = answer.map_err(|e| failed("look at a statement", e))?;
        answer
            .query_execution
            .ok_or_else(|| ReaderError::environment("look at a statement", "Athena says nothing of it"))
    }

    /// Stops it before the error is told, which may be the last that this process gets to do for a while.
    async fn ended(&mut self, error: ReaderError) -> ReaderError {
        if !self.is_over {
            stop(&self.client, &self.id).await;
            self.is_over = true;
        }
        error
    }

    /// Why it failed, by what whoever asked should do about it.
    async fn why(&self, execution: &QueryExecution) -> ReaderError {
        let status = execution.status();
        let reason = status.and_then(|status| status.state_change_reason()).unwrap_or("it does not say why");
        if reason.to_lowercase().contains(CUT_OFF) {
            return too_many_bytes(self.cut_off(execution.work_group()).await);
        }
        let kind = match status.and_then(|status| status.athena_error()).and_then(|error| error.error_category()) {
            Some(1) => "Athena failed",
            Some(2) => "Athena refused it",
            _ => "it ended early",
        };
        ReaderError::environment(format!("run statement {} in Athena", self.id), format!("{kind}: {reason}"))
    }

    /// The workgroup's own limit; 0 where nobody may look it up.
    async fn cut_off(&self, workgroup: Option<&str>) -> u64 {
        let asked = self.client.get_work_group().work_group(workgroup.unwrap_or_default()).send().await;
        let group = asked.ok().and_then(|answer| answer.work_group);
        let limit = group.and_then(|group| group.configuration).and_then(|of| of.bytes_scanned_cutoff_per_query);
        limit.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
    }
}

fn took(said: Option<&QueryExecutionStatistics>) -> Took {
    let Some(said) = said else { return Took::default() };
    let ms = |value: Option<i64>| value.unwrap_or(0).max(0) as f64;
    let planning_ms = ms(said.query_planning_time_in_millis());
    Took {
        queue_ms: ms(said.query_queue_time_in_millis()) + ms(said.service_pre_processing_time_in_millis()),
        planning_ms,
        scan_ms: (ms(said.engine_execution_time_in_millis()) - planning_ms).max(0.0),
        bytes: said.data_scanned_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        reused: said.result_reuse_information().is_some_and(|reuse| reuse.reused_previous_result()),
    }
}

/// All rows, page after page, without the names of columns that the first page begins with.
async fn fetch(client: &Client, id: &str, limit: u64) -> Result<Vec<Vec<Option<String>>>, ReaderError> {
    let (mut rows, mut next) = (Vec::new(), None);
    loop {
        let asked = client.get_query_results().query_execution_id(id).max_results(PAGE_ROWS).set_next_token(next);
        let page = asked.send().await.map_err(|e| failed("fetch rows", e))?;
        let Some(set) = page.result_set else { return Ok(rows) };
        let columns = set.result_set_metadata.and_then(|meta| meta.column_info).unwrap_or_default();
        let is_names = |row: &Row| {
            row.data().len() == columns.len()
                && row.data().iter().zip(&columns).all(|(cell, column)| cell.var_char_value() == Some(column.name()))
        };
        let page_rows = set.rows.unwrap_or_default();
        let skipped = usize::from(rows.is_empty() && page_rows.first().is_some_and(is_names));
        let cells =
            |row: Row| row.data.unwrap_or_default().into_iter().map(|cell| cell.var_char_value).collect::<Vec<_>>();
        rows.extend(page_rows.into_iter().skip(skipped).map(cells));
        if rows.len() as u64 > limit {
            return Err(too_many_rows(limit));
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(rows);
        }
    }
}

fn failed<E>(doing: &str, error: SdkError<E>) -> ReaderError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let why = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_string(),
        _ => causes(&error),
    };
    ReaderError::environment(format!("ask Athena: {doing}"), why)
}
