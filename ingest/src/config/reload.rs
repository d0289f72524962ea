//! When a field that has changed begins to hold in a process that runs. Declared here once; `docs/config.md` and what a reload says
//! come from it.

use super::fields::SECTIONS;

/// When a changed field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once, for what is open too.
    AtOnce,
    /// For files begun from then on: what is open is cut under the old rules first.
    NextFiles,
    /// After a restart, for this reason.
    Restart(&'static str),
    /// The field is another program's.
    Elsewhere(&'static str),
}

/// When a field of a section (`buffer`, `source.intake`, `credentials.uploader`) holds.
pub fn when(section: &str, field: &str) -> When {
    let rate = ["reads_per_second", "requests_per_second", "bytes_per_second"].contains(&field);
    match section.split('.').next().unwrap_or_default() {
        "buffer" | "log" => When::AtOnce,
        "archive" => When::AtOnce,
        "source" | "intake" if rate => When::AtOnce,
        "parquet" | "table" => When::NextFiles,
        "keys" => When::Restart("it sends rows elsewhere, and those of one entity would lie in two places"),
        "decode" => When::Restart("it decides what a record holds, and with it the positions of its events"),
        "lake" => {
            When::Restart("it is another lake, or another way to it: what was begun is finished where it was begun")
        }
        "source" | "intake" => When::Restart("the source is opened at the start"),
        "credentials" => When::Restart("who may put is read at the start"),
        "admin" => When::Restart("the endpoint that would answer listens there"),
        "reader" => When::Elsewhere("it is alluvium-reader's, which reads it at its start"),
        _ => When::Restart("it is read at the start"),
    }
}

/// What a reload can change, for the documentation.
pub(super) fn markdown() -> String {
    let mut out = String::from(
        "\n## What a reload changes\n\n`alluvium reload --config F`, or SIGHUP, has a running `alluvium run` read its file again. All of \
         a change holds or nothing of it:\nwhat cannot change in a running process is refused with the reason, and the old configuration \
         goes on. No record is lost or\ndoubled by it.\n\n| | holds |\n| --- | --- |\n",
    );
    for (name, text) in [
        (When::AtOnce, "at once, for open buffers too"),
        (
            When::NextFiles,
            "for files begun from then on; what is open is cut first (reason `rules`). Of the table, what adds to it: columns, wider types, further values and ranges",
        ),
    ] {
        let fields = SECTIONS.iter().flat_map(|section| section.fields.iter().map(move |field| (section, field)));
        let of: Vec<String> = fields
            .filter(|(section, field)| when(section.name, field.name) == name)
            .map(|(section, field)| format!("`[{}] {}`", section.name, field.name))
            .collect();
        out.push_str(&format!("| {} | {text} |\n", of.join(", ")));
    }
    out.push_str("| everything else | after a restart |\n");
    out
}
