//! The report for a terminal.

use super::super::recommend::{count, dollars, seconds, size};
use super::{Report, Row};

/// All of it, ends with a line feed.
pub fn text(report: &Report) -> String {
    let mut out = head(report);
    let mut cells: Vec<[String; 9]> = vec![HEAD.map(String::from)];
    cells.extend(report.trials.iter().map(|row| line(report, row)));
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &cells {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let (left, right) = if at == 0 { ("", pad.as_str()) } else { (pad.as_str(), "") };
            line.push_str(&format!("{left}{cell}{right}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push_str(&foot(report));
    out
}

const HEAD: [&str; 9] = [
    "setting",
    "files/day",
    "median",
    "p95",
    "fresh p50/p99",
    "memory p99",
    "open p99",
    "files/question",
    "$/month (put+scan+read)",
];

fn line(report: &Report, row: &Row) -> [String; 9] {
    let mark = match () {
        () if report.is_change() && row.trial.setting == report.recommended.setting => "> ",
        () if row.breaks.is_some() => "! ",
        () => "  ",
    };
    let name = format!("{mark}{}", row.name);
    let Some(figures) = row.trial.told() else {
        let mut cells = [const { String::new() }; 9];
        cells[0] = name;
        cells[1] = "not simulated".into();
        return cells;
    };
    let cost = figures.dollars_per_month;
    [
        name,
        count(figures.files_per_day),
        size(figures.file_bytes.p50),
        size(figures.file_bytes.p95),
        format!("{}/{}", seconds(figures.freshness_ms.p50), seconds(figures.freshness_ms.p99)),
        size(figures.memory_bytes.p99),
        count(figures.open_partitions.p99 as f64),
        count(figures.question.files),
        format!("{} ({}+{}+{})", dollars(cost.total), dollars(cost.put), dollars(cost.scan), dollars(cost.read)),
    ]
}

fn head(report: &Report) -> String {
    let sample = &report.sample;
    let rejects: u64 = sample.rejects.values().sum();
    let mut out = format!(
        "sample      {} events of {}, {} partitions, {rejects} rejects, from {} objects ({})\n",
        count(sample.events as f64),
        size(sample.event_bytes),
        count(sample.partitions as f64),
        count(sample.objects as f64),
        sample.kind
    );
    out += &format!(
        "rate        {} events/s, {}/s ({})\n",
        count(sample.records_per_second),
        size(sample.bytes_per_second as u64),
        if sample.times.is_some() { "the sample's own times" } else { "as given" }
    );
    let once = &report.once;
    let reasons: Vec<String> = once.by_reason.iter().map(|(reason, files)| format!("{reason} {files}")).collect();
    out += &format!(
        "once        {} files of {} rows, median {}, if `run` takes exactly this sample and stops (cut because: {})\n",
        count(once.files as f64),
        count(once.rows as f64),
        size(once.file_bytes.p50),
        reasons.join(", ")
    );
    out += &format!(
        "promise     freshness p99 within {}, open buffers within {} (\"!\": does not keep it)\n",
        seconds(report.promise.freshness_ms),
        size(report.promise.memory_bytes)
    );
    out + &format!("question    {}\n\n", question(report))
}

/// The question that is counted on, in words.
pub fn question(report: &Report) -> String {
    let question = &report.question;
    let named = match question.asked.named.as_slice() {
        [] => "names no key".to_string(),
        named => format!("names one {}", named.join(", one ")),
    };
    let time = match question.asked.time.is_empty() {
        true => "all that a table of so many days holds".to_string(),
        false => format!("{} days of {}", count(question.days), question.asked.time.join(", ")),
    };
    format!("{named} and reads {time}; {} a day", count(question.per_day))
}

fn foot(report: &Report) -> String {
    let mut out = format!("\nrecommended {}\n", report.recommended_name);
    for reason in &report.recommended.reasons {
        out += &format!("  because   {reason}\n");
    }
    if let Some(toml) = &report.recommended.toml {
        out += "\n";
        toml.lines().for_each(|line| out += &format!("    {line}\n"));
        out += "\n";
    }
    for row in report.trials.iter().filter(|row| !row.same.is_empty()) {
        out += &format!("the same    as {}: {}\n", row.name, row.same.join("; "));
    }
    for row in &report.trials {
        if let Some(why) = &row.trial.not_simulated {
            out += &format!("note        {}: {why}\n", row.name);
        }
    }
    report.notes.iter().for_each(|note| out += &format!("note        {note}\n"));
    out
}
