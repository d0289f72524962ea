//! Every question there is: path, parameters, what it answers. The router, the check of parameters and `docs/openapi.json` all come
//! from [`ROUTES`]; a question that is not here does not exist.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::answers::{about, changes, current, diff, explain, history, plan, sheet, version};
use super::parameters::Asked;
use super::reply::Answer;
use super::{App, layout, openapi};
use crate::error::ReaderError;

/// Answers one question.
pub type Handler = fn(Arc<App>, Asked) -> BoxFuture<'static, Result<Answer, ReaderError>>;

/// A question.
#[derive(Debug)]
pub struct Route {
    pub method: &'static str,
    /// Members in braces are parameters.
    pub path: &'static str,
    /// Its name in the OpenAPI document.
    pub name: &'static str,
    pub summary: &'static str,
    pub doc: &'static str,
    pub parameters: &'static [Parameter],
    /// Name of the reply's schema.
    pub reply: &'static str,
    pub handler: Handler,
}

/// A part of a path, or of a query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    pub in_path: bool,
    pub required: bool,
    pub doc: &'static str,
    pub example: &'static str,
}

/// Of what type a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Instant,
    Date,
    Flag { default: bool },
    Count { default: usize, max: usize },
    Names,
    Format,
}

/// Versions and events of one page unless the question says so, and at most.
pub const PAGE: usize = 100;
pub const PAGE_MAX: usize = 100_000;

const fn path(name: &'static str, doc: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Text, in_path: true, required: true, doc, example }
}

const fn query(name: &'static str, kind: Kind, doc: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind, in_path: false, required: false, doc, example }
}

const ENTITY: Parameter = path("entity", "The entity's id, as it stands in the events.", "us:AAPL");
const ATTRIBUTE: Parameter = path("attribute", "The attribute's name.", "headquarters");
const REFERENCE: Parameter = path("reference", "A `reference` of an answer.", "WzE0NDI5MzM2NzUwMDAsbnVsbCxudWxsXQ");
const AS_OF: Parameter = query(
    "as_of",
    Kind::Instant,
    "What was so then: events that took effect later do not count. A date means its end.",
    "2018-04-02T20:58:25Z",
);
const KNOWN_AS_OF: Parameter = query(
    "known_as_of",
    Kind::Instant,
    "What was known then: records that arrived later do not count. A date means its end.",
    "2026-08-09",
);
const FROM: Parameter =
    query("from", Kind::Instant, "What took effect then or later. A date means its beginning.", "2015-01-01");
const TO: Parameter =
    query("to", Kind::Instant, "What took effect then or earlier. A date means its end.", "2018-12-31");
const NAMES: Parameter =
    query("attributes", Kind::Names, "Only these attributes, parted by commas.", "name,headquarters");
const FORMAT: Parameter = query(
    "format",
    Kind::Format,
    "How the answer is written; left out, the `Accept` header says. Statistics of other formats than JSON stand in the header `x-alluvium-statistics`.",
    "csv",
);
const LIMIT: Parameter =
    query("limit", Kind::Count { default: PAGE, max: PAGE_MAX }, "Most items of the answer.", "20");
const CURSOR: Parameter = query(
    "cursor",
    Kind::Text,
    "Go on behind this: `next` of the answer before.",
    "WzE0NDI5MzM2NzUwMDAsbnVsbCxudWxsXQ",
);

/// A handler of the wanted type.
macro_rules! handler {
    ($module:ident) => {
        |app, asked| Box::pin(async move { $module::answer(&app, &asked).await })
    };
}

/// See the module's text.
pub static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/v1/entities/{entity}/attributes/{attribute}",
        name: "explain",
        summary: "Why this attribute has this value",
        doc: "The value, since when, what it was before, by which rule and on what evidence. `state` is `set`, `unset`, or `never` where there is no event at all.",
        parameters: &[ENTITY, ATTRIBUTE, AS_OF, KNOWN_AS_OF],
        reply: "Explanation",
        handler: handler!(explain),
    },
    Route {
        method: "GET",
        path: "/v1/entities/{entity}",
        name: "sheet",
        summary: "All attributes of an entity",
        doc: "Each attribute with its value, since when, and what it was before.",
        parameters: &[ENTITY, AS_OF, KNOWN_AS_OF, NAMES, FORMAT],
        reply: "Sheet",
        handler: handler!(sheet),
    },
    Route {
        method: "GET",
        path: "/v1/entities/{entity}/attributes/{attribute}/history",
        name: "history",
        summary: "What an attribute has been",
        doc: "Newest first. Events that only say again what was so are folded into the change they confirm, unless `changes_only` is false.",
        parameters: &[
            ENTITY,
            ATTRIBUTE,
            FROM,
            TO,
            KNOWN_AS_OF,
            query("changes_only", Kind::Flag { default: true }, "Fold repetitions.", "false"),
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        reply: "History",
        handler: handler!(history),
    },
    Route {
        method: "GET",
        path: "/v1/entities/{entity}/attributes/{attribute}/versions/{reference}",
        name: "version",
        summary: "One event with its evidence and its raw record",
        doc: "`record` is the record as the source gave it, from the archive; `missing` says why there is none.",
        parameters: &[ENTITY, ATTRIBUTE, REFERENCE],
        reply: "Version",
        handler: handler!(version),
    },
    Route {
        method: "GET",
        path: "/v1/entities/{entity}/attributes/{attribute}/versions/{reference}/record",
        name: "record",
        summary: "The raw record of an event, byte for byte",
        doc: "As the source gave it: JSON, or whatever it was. Always a download.",
        parameters: &[ENTITY, ATTRIBUTE, REFERENCE],
        reply: "",
        handler: |app, asked| Box::pin(async move { version::record(&app, &asked).await }),
    },
    Route {
        method: "GET",
        path: "/v1/entities/{entity}/diff",
        name: "diff",
        summary: "What of an entity changed between two instants",
        doc: "The attributes whose value at `to` is another than at `from`.",
        parameters: &[
            ENTITY,
            Parameter {
                required: true,
                ..query("from", Kind::Instant, "The earlier instant. A date means its end.", "2015-09-22")
            },
            Parameter {
                required: true,
                ..query("to", Kind::Instant, "The later instant. A date means its end.", "2018-04-02")
            },
            KNOWN_AS_OF,
            NAMES,
            FORMAT,
        ],
        reply: "Diff",
        handler: handler!(diff),
    },
    Route {
        method: "POST",
        path: "/v1/current",
        name: "current",
        summary: "Values of many attributes at once",
        doc: "Up to 1,000 pairs of entity and attribute, read together.",
        parameters: &[],
        reply: "Current",
        handler: handler!(current),
    },
    Route {
        method: "GET",
        path: "/v1/attributes/{attribute}/changes",
        name: "changes",
        summary: "An attribute's events of a day, of all entities",
        doc: "Newest first, by when they took effect (UTC). An event that says again what was so is among them; `repeats` tells, where `previous` is asked for.",
        parameters: &[
            ATTRIBUTE,
            Parameter { required: true, ..query("date", Kind::Date, "The day (UTC).", "2024-01-01") },
            query(
                "previous",
                Kind::Flag { default: false },
                "Tell what each was before, too; reads older days until all have been found. Of 1,000 entities at most.",
                "true",
            ),
            KNOWN_AS_OF,
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        reply: "Changes",
        handler: handler!(changes),
    },
    Route {
        method: "GET",
        path: "/v1/plan",
        name: "plan",
        summary: "What a question would read",
        doc: "The folders that hold files, newest first, with sizes and cost. Reads no row. Without an entity it shows how the lake is laid out.",
        parameters: &[query("entity", Kind::Text, "The entity's id.", "us:AAPL"), NAMES, FROM, TO],
        reply: "Plan",
        handler: handler!(plan),
    },
    Route {
        method: "GET",
        path: "/v1/layout",
        name: "layout",
        summary: "What lies in the lake, by day and attribute",
        doc: "Newest day first: folders, files, bytes, and the share of files that merging would save. Lists what is there, so it also counts files that no query sees.",
        parameters: &[
            FROM,
            TO,
            query(
                "limit",
                Kind::Count { default: layout::DAYS, max: layout::DAYS_MAX },
                "Most days of the answer.",
                "30",
            ),
        ],
        reply: "Layout",
        handler: |app, asked| Box::pin(async move { layout::answer(&app, &asked).await }),
    },
    Route {
        method: "GET",
        path: "/v1/table",
        name: "table",
        summary: "What can be asked",
        doc: "Columns, partition rules, attributes, range of time and limits.",
        parameters: &[],
        reply: "Table",
        handler: handler!(about),
    },
    Route {
        method: "GET",
        path: "/v1/openapi.json",
        name: "openapi",
        summary: "This document",
        doc: "OpenAPI 3.1.",
        parameters: &[],
        reply: "",
        handler: |_, _| Box::pin(async { Ok(Answer::json(openapi::document())) }),
    },
];
