//! `[reader]`: read by `alluvium-reader`, checked here too, so that one file serves both.

use super::Fallback::{Absent, Default};
use super::{Kind, Need, Section, field};

pub(super) const SECTION: Section = Section {
    name: "reader",
    need: Need::Optional,
    doc: "What `alluvium-reader`, which answers questions over the lake, takes from this file beside `[keys]`, `[table]` and \
          `[lake]`. `alluvium` itself uses none of it. The reader writes nothing: a role that may list and get objects is enough.",
    fields: &[
        field(
            "listen",
            Kind::Address { off: false },
            Default("127.0.0.1:9470"),
            "0.0.0.0:9470",
            "Address and port. Another than a loopback address needs `token` or `trusted_header`.",
        ),
        field(
            "token",
            Kind::Secret,
            Absent,
            "${ALLUVIUM_READER_TOKEN}",
            "Whoever asks sends it as `Authorization: Bearer <token>`. At least 16 characters.",
        ),
        field(
            "trusted_header",
            Kind::Text,
            Absent,
            "x-forwarded-user",
            "Instead of a token: a proxy in front knows who asks and says so in this header. Nobody else may reach the socket.",
        ),
        field(
            "folders",
            Kind::Count { min: 1, max: 1_000_000 },
            Default("100000"),
            "10000",
            "Folders that one question may have listed. A question that needs more is refused, with the predicate it lacks.",
        ),
        field(
            "bytes",
            Kind::Size { min: "1 KiB", max: "1 TiB" },
            Default("4 GiB"),
            "500 MiB",
            "Bytes of the files that one question may open.",
        ),
        field(
            "rows",
            Kind::Count { min: 1, max: 10_000_000 },
            Default("200000"),
            "50000",
            "Rows that one question may hold in memory.",
        ),
        field(
            "span_days",
            Kind::Count { min: 1, max: 3_660_000 },
            Default("36600"),
            "400",
            "Days between the `from` and the `to` of one question.",
        ),
        field(
            "at_once",
            Kind::Count { min: 1, max: 1024 },
            Default("16"),
            "4",
            "Questions that are answered at the same time. Sixteen times as many may wait; more are sent away.",
        ),
        field(
            "timeout",
            Kind::Time { min: "100 ms", max: "15 min" },
            Default("60 s"),
            "20 s",
            "How long one question may take, waiting included.",
        ),
        field("entity", Kind::Text, Default("entity_id"), "account_id", "The column that says what changed."),
        field("attribute", Kind::Text, Default("attribute_name"), "field", "The column that says what of it changed."),
        field("at", Kind::Text, Default("created_at"), "changed_at", "The column that says when: a `timestamp`."),
        field("value", Kind::Text, Default("value"), "new_value", "The column that says to what."),
        field(
            "operation",
            Kind::Text,
            Default("op"),
            "action",
            "The column that says `unset` (or `delete`, `deleted`, `remove`) where a value ends; anything else sets one. Without \
             such a column a null value ends it.",
        ),
        field(
            "event",
            Kind::Text,
            Default("event_id"),
            "id",
            "The column with the event's id: two rows with one id and one time are one event, taken twice.",
        ),
        field("rule", Kind::Text, Default("rule_id"), "rule", "The column that says by which rule, if there is one."),
        field("evidence", Kind::Text, Default("evidence"), "proof", "The column that says why, if there is one."),
        field(
            "engine",
            Kind::Choice(&["datafusion", "athena"]),
            Default("datafusion"),
            "athena",
            "What reads the rows: DataFusion in the reader's own process, or Amazon Athena over the table of the Glue catalog. \
             Athena reads S3 alone and takes a second or more for each question; it is for tables that are too wide for one process.",
        ),
        field("athena_workgroup", Kind::Text, Absent, "reader", "Athena's workgroup; left out, `primary`."),
        field(
            "athena_database",
            Kind::Text,
            Absent,
            "company_lake",
            "The database the table is registered in; left out, the one the table's spec names.",
        ),
        field("athena_catalog", Kind::Text, Absent, "AwsDataCatalog", "The data catalog; left out, `AwsDataCatalog`."),
        field(
            "athena_output",
            Kind::Place,
            Absent,
            "s3://company-lake-results/",
            "Where Athena puts results; left out, where the workgroup says.",
        ),
        field(
            "athena_reuse",
            Kind::Time { min: "1 min", max: "10080 min" },
            Absent,
            "10 min",
            "How old an earlier result of the same question may be to stand for its answer, in whole minutes; left out, every \
             question is run. What arrived in between is not in such an answer.",
        ),
        field(
            "athena_endpoint_url",
            Kind::HttpUrl,
            Absent,
            "http://127.0.0.1:4566",
            "Another endpoint than Amazon's. Region and credentials are the SDK's own chain's.",
        ),
    ],
};
