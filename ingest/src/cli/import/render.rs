//! What `import` prints: the files, unless they were written, and what becomes of each setting, as a table or as JSON.

use std::io::Write;

use serde_json::json;

use super::super::{CliError, Kind};
use crate::import::findings::{Finding, Verdict};
use crate::import::{CONFIG, Imported, Refused};

/// Columns that a reason is wrapped to.
const WIDTH: usize = 100;

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Unsupported, "nothing does this here"),
    (Verdict::Different, "done in another way"),
    (Verdict::Better, "done, and more"),
    (Verdict::Same, "done as it was"),
];

pub(super) fn imported(
    imported: &Imported,
    written: Option<&[String]>,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    if as_json {
        let files = json!({ CONFIG: imported.config, imported.table_file.as_str(): imported.table });
        let said = json!({
            "stream": imported.stream, "imported": true, "files": files,
            "written": written, "findings": imported.findings,
        });
        return print(&format!("{said:#}\n"), out);
    }
    let mut text = String::new();
    match written {
        Some(paths) => paths.iter().for_each(|path| text += &format!("wrote {path}\n")),
        None => {
            text += &format!("# {CONFIG}\n{}\n# {}\n{}\n", imported.config, imported.table_file, imported.table);
        }
    }
    text += &findings(&imported.findings);
    print(&text, out)
}

/// Tells why; the error that stands for it has been said.
pub(super) fn refused(refused: &Refused, as_json: bool, out: &mut impl Write) -> Result<(), CliError> {
    if as_json {
        let said = json!({
            "stream": refused.stream, "imported": false, "problems": refused.problems, "findings": refused.findings,
        });
        print(&format!("{said:#}\n"), out)?;
        return Err(CliError { kind: Kind::Input, message: String::new() });
    }
    let problem =
        |problem: &crate::import::findings::Problem| format!("{}: {}", plain(&problem.setting), plain(&problem.why));
    let problems: Vec<String> = refused.problems.iter().map(problem).collect();
    Err(CliError::input(format!("{} cannot be imported:\n{}", plain(&refused.stream), problems.join("\n"))))
}

fn print(text: &str, out: &mut impl Write) -> Result<(), CliError> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)
}

fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for (verdict, means) in VERDICTS {
        let of: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict == verdict).collect();
        if of.is_empty() {
            continue;
        }
        text += &format!("\n{} ({}): {means}\n", verdict.as_str(), of.len());
        let width = of.iter().map(|finding| short(&finding.setting).chars().count()).max().unwrap_or(0);
        for finding in of {
            let value = if finding.value.is_empty() { String::new() } else { format!("  {}", plain(&finding.value)) };
            let becomes =
                if finding.becomes.is_empty() { String::new() } else { format!("  -> {}", plain(&finding.becomes)) };
            text += &format!("  {:width$}{value}{becomes}\n", short(&finding.setting));
            wrapped(&plain(&finding.why)).iter().for_each(|line| text += &format!("      {line}\n"));
        }
    }
    text
}

/// Without what all settings of the destination have in common.
fn short(setting: &str) -> String {
    plain(setting.strip_prefix("ExtendedS3DestinationConfiguration.").unwrap_or(setting))
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH - 6 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}
