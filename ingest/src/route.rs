//! A record's way to its partitions: documents, keys, guard. A function of the record and the rules alone, so that reading a span
//! again sends every event the same way.

use std::sync::Arc;

use schemas::position::Position;
use schemas::problem::Problem;
use schemas::reject::Reject;
use schemas::rules::{DecodeSettings, JqCompat, ParquetSettings, Rules};
use schemas::table::TableSpec;
use sha2::{Digest, Sha256};
use writer::commit::cut::FileRules;
use writer::encode::Encoder;

use crate::documents::{Documents, Event};
use crate::error::RunError;
use crate::guard::Guard;
use crate::keys::{Budget, Keys};
use crate::paths::{Numbered, Paths};

/// Compiled rules.
#[derive(Debug)]
pub struct Router {
    decode: DecodeSettings,
    keys: Arc<Keys>,
    file_rules: FileRules,
    values: Vec<String>,
    paths: Paths,
}

/// In place of the fingerprint of rules that are stored nowhere; as long as one.
const UNSTORED: &str = "----------------";

/// First 16 hex digits of the SHA-256 of the rules document: enough to tell rules apart, short enough to read.
pub fn fingerprint(rules: &Rules) -> String {
    let digest = Sha256::digest(rules.to_json());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Router {
    /// Compiles a rules document. `file` is what problems call it.
    pub fn compile(rules: &Rules, file: &str) -> Result<Router, Vec<Problem>> {
        let spec = TableSpec::parse(&rules.table, file)?;
        let mut router = Router::of(&rules.keys, rules.jq_compat, &spec, (&rules.parquet, &rules.decode), file)?;
        router.file_rules.fingerprint = fingerprint(rules).into();
        Ok(router)
    }

    /// The same of rules that are no document: what they would do, while nothing is stored under them.
    pub fn of(
        keys: &[(String, String)],
        compat: JqCompat,
        spec: &TableSpec,
        (parquet, decode): (&ParquetSettings, &DecodeSettings),
        file: &str,
    ) -> Result<Router, Vec<Problem>> {
        let keys = Arc::new(Keys::compile_as(keys, compat, Budget::default(), &|_| (file.to_string(), None))?);
        let encoder = Encoder::new(spec, parquet).map_err(|e| vec![Problem::new(file, None, e.to_string())])?;
        let lag_columns =
            spec.partitions.iter().filter(|column| !column.is_of_time()).map(|column| column.name.clone());
        let file_rules =
            FileRules { fingerprint: UNSTORED.into(), encoder: Arc::new(encoder), lag_columns: lag_columns.collect() };
        let paths = Paths::new(Arc::new(Guard::new(spec)));
        Ok(Router { decode: decode.clone(), keys, file_rules, values: Vec::new(), paths })
    }

    /// Compiles the rules that a former owner's cuts were made under. They keep the fingerprint they are stored under, and must
    /// have been followed by the same code: otherwise a record could now go elsewhere than it went then.
    pub fn of_former(rules: &Rules, fingerprint: &str) -> Result<Router, RunError> {
        if rules.format != Rules::FORMAT || rules.logic != Rules::LOGIC {
            return Err(RunError::Input(format!(
                "rules {fingerprint}: a cut was left unfinished by another version of this program (format {}, logic {}; this one \
                 has {} and {}): start that version once more and stop it with SIGTERM, then start this one",
                rules.format,
                rules.logic,
                Rules::FORMAT,
                Rules::LOGIC
            )));
        }
        let mut router = Router::compile(rules, &format!("rules {fingerprint}"))?;
        router.file_rules.fingerprint = fingerprint.into();
        Ok(router)
    }

    /// One by the same rules, for another thread.
    pub fn another(&self) -> Router {
        Router {
            decode: self.decode.clone(),
            keys: self.keys.clone(),
            file_rules: self.file_rules.clone(),
            values: Vec::new(),
            paths: self.paths.another(),
        }
    }

    /// How files are made under these rules.
    pub fn file_rules(&self) -> &FileRules {
        &self.file_rules
    }

    /// The documents of a record.
    pub fn documents<'a>(&self, record: &'a [u8]) -> Documents<'a> {
        Documents::of(record, &self.decode)
    }

    /// Where each event of a record goes, for whoever stores none of them.
    pub fn each_event(
        &mut self,
        record: &[u8],
        position: &Position,
        arrived_at: i64,
        each: &mut dyn FnMut(&Event<'_>, Result<&str, Reject>),
    ) {
        let documents = self.documents(record);
        for event in documents.events(position) {
            let path = self.route(&event, arrived_at);
            each(&event, path);
        }
    }

    /// The event's partition path.
    ///
    /// `arrived_at` stands for `now` in the projection's ranges: the wall clock would send a record that is read again another
    /// way than the first time.
    pub fn route(&mut self, event: &Event<'_>, arrived_at: i64) -> Result<&str, Reject> {
        self.evaluate(event, arrived_at)?;
        self.paths.path(&self.values, arrived_at)
    }

    /// Numbers of paths begin again.
    pub fn begin_batch(&mut self) {
        self.paths.begin_count();
    }

    /// As [`Router::route`], for many events at once: see [`Paths::number`].
    pub fn route_to_number(&mut self, event: &Event<'_>, arrived_at: i64) -> Result<Numbered<'_>, Reject> {
        self.evaluate(event, arrived_at)?;
        self.paths.number(&self.values, arrived_at)
    }

    /// When the period of a partition is over, see [`crate::late`].
    pub fn period_end(&self, path: &str) -> Option<i64> {
        self.paths.period_end(path)
    }

    fn evaluate(&mut self, event: &Event<'_>, arrived_at: i64) -> Result<(), Reject> {
        if let Some(reject) = event.broken {
            return Err(reject.clone());
        }
        match event.tape {
            Some(tape) => self.keys.evaluate_apart(tape, Some(arrived_at), &mut self.values),
            None => self.keys.evaluate_arrived(event.data, Some(arrived_at), &mut self.values),
        }
    }
}
