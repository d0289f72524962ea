//! The folders of a plan, newest first, wave after wave: each is listed only when the one before it was not enough.

use std::collections::HashSet;
use std::ops::Range;

use object_store::ObjectMeta;
use schemas::hive::{HIVE_NULL, parse_partition_path};
use tokio::time::Instant;

use super::milliseconds;
use crate::error::ReaderError;
use crate::lake::Place;
use crate::plan::{Folder, Layout, Plan};
use crate::question::{
    ATHENA_BYTES_MIN, ATHENA_USD_PER_TB, DryRun, FolderSize, GET_USD_PER_1000, LIST_USD_PER_1000, Question, SHOWN_MAX,
    Statistics,
};

/// Folders of the first wave; each further one is four times as large, up to the last number.
pub(super) const FIRST_WAVE: u64 = 16;
pub(super) const WAVE_MAX: u64 = 4096;

/// From so many values of the path's first column on, the table is first asked which of them there are: one request for each
/// thousand folders there, instead of one for each that there might be.
pub(super) const ASK_FROM: usize = 64;

/// Requests for one file: its end, and the row groups that are wanted.
const GETS_PER_FILE: u64 = 2;

/// A folder and what lies in it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) folder: Folder,
    pub(super) files: Vec<ObjectMeta>,
}

/// See the module's text.
pub(super) struct Walk<'t> {
    table: &'t Place,
    plan: Plan,
    limit: u64,
    wave: u64,
    eager: bool,
    /// Numbers of the folders that are left; `None`: nothing was listed yet.
    left: Option<Range<u64>>,
}

impl<'t> Walk<'t> {
    /// At most `limit` folders are listed. `eager`: all will be wanted, so that small waves would only cost time.
    pub(super) fn new(table: &'t Place, plan: Plan, limit: u64, eager: bool) -> Walk<'t> {
        let wave = if eager { WAVE_MAX } else { FIRST_WAVE };
        Walk { table, plan, limit, wave, eager, left: None }
    }

    /// Whether every folder was listed.
    pub(super) fn is_over(&self) -> bool {
        self.left.as_ref().is_some_and(Range::is_empty)
    }

    /// The next folders with their files; nothing when all were listed.
    pub(super) async fn next(&mut self, statistics: &mut Statistics) -> Result<Option<Vec<Listed>>, ReaderError> {
        let began = Instant::now();
        if self.left.is_none() {
            self.begin(statistics).await?;
        }
        let folders = self.take();
        if folders.is_empty() {
            return Ok(None);
        }
        let paths: Vec<String> = folders.iter().map(|folder| folder.path.clone()).collect();
        let files = self.table.list_all(paths).await?;
        let wave: Vec<Listed> =
            folders.into_iter().zip(files).map(|(folder, files)| Listed { folder, files }).collect();
        count(&wave, statistics);
        statistics.listing_ms += milliseconds(began);
        Ok(Some(wave))
    }

    async fn begin(&mut self, statistics: &mut Statistics) -> Result<(), ReaderError> {
        narrow(self.table, &mut self.plan, self.limit, statistics).await?;
        self.left = Some(0..self.plan.projected());
        Ok(())
    }

    /// The next wave: whole groups of one time, unless all of them are wanted anyway.
    fn take(&mut self) -> Vec<Folder> {
        let left = self.left.get_or_insert_default();
        let group = if self.eager { 1 } else { self.plan.group_size() };
        let end = left.start.saturating_add(self.wave.div_ceil(group).saturating_mul(group)).min(left.end);
        let numbers = left.start..end;
        left.start = end;
        self.wave = (self.wave * 4).min(WAVE_MAX);
        numbers.map(|number| self.plan.folder(number)).collect()
    }

    /// What the requests cost at S3's prices.
    pub(super) fn price(&self, statistics: &mut Statistics) {
        price(self.table, statistics);
    }
}

/// Leaves of a plan what the table has values of in its path's first column, and refuses it where it is too wide even so.
pub(super) async fn narrow(
    table: &Place,
    plan: &mut Plan,
    limit: u64,
    statistics: &mut Statistics,
) -> Result<(), ReaderError> {
    let first = plan.first().filter(|(_, values)| values.len() >= ASK_FROM);
    if let Some(column) = first.map(|(column, _)| column.to_string()) {
        let there = values_there(table, &column, statistics).await?;
        plan.keep_first(|value| there.contains(value));
    }
    Ok(plan.within(limit)?)
}

/// What a question would read: the folders its plan comes to, listed.
pub(super) async fn dry_run(
    engine: &'static str,
    layout: &Layout,
    table: &Place,
    limit: u64,
    question: &Question,
) -> Result<DryRun, ReaderError> {
    let began = Instant::now();
    let plan = layout.plan(&question.filter, question.now)?;
    let (planning_ms, folders_projected) = (milliseconds(began), plan.projected());
    let mut statistics = Statistics { engine, planning_ms, folders_projected, ..Statistics::default() };
    let mut walk = Walk::new(table, plan, limit, true);
    let mut folders = Vec::new();
    while let Some(wave) = walk.next(&mut statistics).await? {
        let sized = wave.into_iter().filter(|listed| !listed.files.is_empty()).map(sized);
        folders.extend(sized.take(SHOWN_MAX - folders.len().min(SHOWN_MAX)));
    }
    statistics.files_opened = statistics.files;
    walk.price(&mut statistics);
    let bytes = statistics.bytes_in_files.max(ATHENA_BYTES_MIN);
    Ok(DryRun { folders, athena_usd: bytes as f64 / 1e12 * ATHENA_USD_PER_TB, statistics })
}

/// Adds what LIST and GET requests cost at S3's prices.
pub(super) fn price(table: &Place, statistics: &mut Statistics) {
    if table.url().starts_with("s3:") {
        let gets = statistics.files_opened * GETS_PER_FILE;
        statistics.cost_usd +=
            statistics.lists as f64 * LIST_USD_PER_1000 / 1000.0 + gets as f64 * GET_USD_PER_1000 / 1000.0;
    }
}

fn sized(listed: Listed) -> FolderSize {
    FolderSize {
        path: listed.folder.path,
        values: listed.folder.values,
        files: listed.files.len() as u64,
        bytes: listed.files.iter().map(|file| file.size).sum(),
    }
}

fn count(wave: &[Listed], statistics: &mut Statistics) {
    statistics.folders_listed += wave.len() as u64;
    statistics.lists += wave.len() as u64;
    for listed in wave.iter().filter(|listed| !listed.files.is_empty()) {
        statistics.folders_nonempty += 1;
        statistics.files += listed.files.len() as u64;
        statistics.bytes_in_files += listed.files.iter().map(|file| file.size).sum::<u64>();
    }
}

/// The values of the path's first column that there are folders of.
async fn values_there(
    table: &Place,
    column: &str,
    statistics: &mut Statistics,
) -> Result<HashSet<String>, ReaderError> {
    let folders = table.folders().await?;
    statistics.lists += 1 + folders.len() as u64 / 1000;
    let of = |folder: &String| {
        let (name, value) = parse_partition_path(folder)?.pop()?;
        (name == column && value != HIVE_NULL).then_some(value)
    };
    Ok(folders.iter().filter_map(of).collect())
}
