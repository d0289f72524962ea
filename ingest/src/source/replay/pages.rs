//! The plan's pages in the state folder: read them, add what is missing.

use bytes::Bytes;
use schemas::layout;
use writer::error::WriterError;
use writer::objects::Listed;
use writer::store::{Created, Store};

use super::plan::{Compared, Header, Page, Plan};

/// Level of the pages: names repeat themselves.
const LEVEL: i32 = 3;
/// Largest page once it is decompressed.
const PAGE_BYTES_MAX: usize = 256 << 20;
/// Pages that others may add while we add one, before we give up.
const ADD_TRIES: u32 = 100;

/// All pages there are.
pub async fn load(state: &Store) -> Result<Plan, WriterError> {
    let mut plan = Plan::default();
    while let Some(page) = read(state, plan.next_page()).await? {
        plan.add(page);
    }
    Ok(plan)
}

async fn read(state: &Store, number: u64) -> Result<Option<Page>, WriterError> {
    let name = layout::replay_page(number);
    match state.get(&name).await? {
        Some(bytes) => parse(&name, &bytes).map(Some),
        None => Ok(None),
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<Page, WriterError> {
    let lines = zstd::bulk::decompress(bytes, PAGE_BYTES_MAX).map_err(|e| e.to_string());
    lines.and_then(|lines| Page::parse(&lines)).map_err(|e| WriterError::Corrupt(format!("{name} in the state: {e}")))
}

/// Adds what was listed and is in no page yet. Two processes that add at once find each other's pages and add the rest.
pub async fn add(
    state: &Store,
    plan: &mut Plan,
    header: &Header,
    listed: Vec<Listed>,
) -> Result<Compared, WriterError> {
    let first = plan.compare(header, listed);
    let mut fresh = first.fresh.clone();
    for _ in 0..ADD_TRIES {
        fresh = plan.compare(header, fresh).fresh;
        if fresh.is_empty() {
            return Ok(first);
        }
        let (name, page) = (layout::replay_page(plan.next_page()), plan.page(header, &fresh));
        let bytes = zstd::bulk::compress(&page.to_lines(), LEVEL)
            .map_err(|e| WriterError::environment("compressing the list of objects", e))?;
        match state.create(&name, Bytes::from(bytes)).await? {
            Created::Ours => plan.add(page),
            Created::Theirs(theirs) => plan.add(parse(&name, &theirs)?),
        }
    }
    Err(WriterError::environment("writing down what to read", "other processes add objects without end"))
}
