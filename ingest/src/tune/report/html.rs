//! The report as one page: style and plots inside, nothing from elsewhere, no script.

use super::super::recommend::{count, dollars, seconds, size};
use super::super::trial::Figures;
use super::plot::{Plot, Scale, escape};
use super::table::question;
use super::{Report, Row};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let sections = [
        head(report),
        recommendation(report),
        section("File sizes", "Share of a day's files in each class of size.", &file_sizes(report)),
        section(
            "Files against freshness",
            "Each point is a setting. Few files are cheap to write and quick to read, but rows wait for them.",
            &trade(report),
        ),
        section("Cost", "Dollars a month for requests and scans.", &costs(report)),
        all(report),
        section(
            "How large files become",
            "Each point is a file that was encoded of the sample, or that the log names; the line is what is reckoned with.",
            &curve(report),
        ),
        notes(report),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Alluvium: buffers and layout</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        sections.concat()
    )
}

fn section(title: &str, lead: &str, body: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n<p class=\"lead\">{lead}</p>\n{body}</section>\n")
}

fn head(report: &Report) -> String {
    let sample = &report.sample;
    let rejects: u64 = sample.rejects.values().sum();
    let facts = [
        ("events", count(sample.events as f64)),
        ("of them", size(sample.event_bytes)),
        ("partitions", count(sample.partitions as f64)),
        ("rejects", count(rejects as f64)),
        ("events a second", count(sample.records_per_second)),
        ("a second", size(sample.bytes_per_second as u64)),
    ];
    let facts: String =
        facts.iter().map(|(what, value)| format!("<div><dd>{value}</dd><dt>{what}</dt></div>\n")).collect();
    format!(
        "<header>\n<h1>Buffers and layout</h1>\n<p class=\"lead\"><code>{}</code> on a sample of {} from <code>{}</code></p>\n\
         <dl class=\"facts\">\n{facts}</dl>\n</header>\n",
        escape(&report.config),
        sample.kind,
        escape(&sample.url)
    )
}

fn recommendation(report: &Report) -> String {
    let reasons: String =
        report.recommended.reasons.iter().map(|reason| format!("<li>{}</li>\n", escape(reason))).collect();
    let toml = report.recommended.toml.as_ref().map_or(String::new(), |toml| format!("<pre>{}</pre>\n", escape(toml)));
    let mut pairs = String::new();
    if let (Some(before), Some(after)) = (report.configured(), report.chosen())
        && let (Some(before), Some(after)) = (before.trial.told(), after.trial.told())
    {
        pairs = compared(before, after, report.is_change());
    }
    format!(
        "<section class=\"choice\">\n<h2>Recommended: {}</h2>\n<ul>\n{reasons}</ul>\n{toml}{pairs}</section>\n",
        escape(&report.recommended_name)
    )
}

/// What each figure is, of the configured setting and of the one that is recommended.
fn compared(before: &Figures, after: &Figures, is_change: bool) -> String {
    type Told = fn(&Figures) -> String;
    let lines: [(&str, Told); 9] = [
        ("files a day", |f| count(f.files_per_day)),
        ("median file", |f| size(f.file_bytes.p50)),
        ("file sizes p5 to p95", |f| format!("{} to {}", size(f.file_bytes.p5), size(f.file_bytes.p95))),
        ("freshness p50, p99", |f| format!("{}, {}", seconds(f.freshness_ms.p50), seconds(f.freshness_ms.p99))),
        ("open buffers p99", |f| size(f.memory_bytes.p99)),
        ("open partitions p99", |f| count(f.open_partitions.p99 as f64)),
        ("files of a question", |f| count(f.question.files)),
        ("bytes of a question", |f| size(f.question.bytes as u64)),
        ("dollars a month", |f| dollars(f.dollars_per_month.total)),
    ];
    let cell = |told: Told| match is_change {
        true => format!("<td>{}</td><td>{}</td>", told(before), told(after)),
        false => format!("<td>{}</td>", told(before)),
    };
    let rows: String =
        lines.into_iter().map(|(what, told)| format!("<tr><th>{what}</th>{}</tr>\n", cell(told))).collect();
    let head = if is_change { "<th>configured</th><th>recommended</th>" } else { "<th>configured</th>" };
    format!(
        "<div class=\"wide\"><table class=\"pair\">\n<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// The configured setting, and the recommended one if it is another.
fn shown(report: &Report) -> Vec<(&'static str, &'static str, &Figures)> {
    let mut shown = Vec::new();
    if let Some(figures) = report.configured().and_then(|row| row.trial.told()) {
        shown.push(("first", "configured", figures));
    }
    if report.is_change()
        && let Some(figures) = report.chosen().and_then(|row| row.trial.told())
    {
        shown.push(("second", "recommended", figures));
    }
    shown
}

fn file_sizes(report: &Report) -> String {
    let series = shown(report);
    let mut plot = Plot::new(280.0, "files by size, configured and recommended");
    let (left, top, right, bottom) = plot.area();
    let classes = series.iter().flat_map(|(_, _, f)| &f.size_classes).map(|class| class.from.max(1).ilog2());
    let (Some(first), Some(last)) = (classes.clone().min(), classes.max()) else { return String::new() };
    // Room for three classes at least, so that a bar stays a bar.
    let (first, last) = (first.saturating_sub(1), (last + 1).max(first + 2));
    let step = (right - left) / f64::from(last - first + 1);
    let share = |figures: &Figures, power: u32| {
        let of = figures.size_classes.iter().find(|class| class.from.max(1).ilog2() == power);
        of.map_or(0.0, |class| class.files_per_day / figures.files_per_day.max(f64::MIN_POSITIVE))
    };
    let most = series.iter().flat_map(|(_, _, f)| (first..=last).map(|p| share(f, p))).fold(0.05, f64::max);
    // Percent between two lines: four or five of them.
    let each = [2.0, 5.0, 10.0, 20.0, 25.0].into_iter().find(|each| each * 5.0 >= most * 100.0).unwrap_or(25.0);
    let most = (most * 100.0 / each).ceil() * each / 100.0;
    for part in 0..=(most * 100.0 / each).round() as u32 {
        let value = each * f64::from(part) / 100.0;
        plot.y_tick(bottom - (bottom - top - 6.0) * value / most, &format!("{:.0} %", value * 100.0));
    }
    let width = (step * 0.8 / series.len().max(1) as f64).min(46.0);
    for power in first..=last {
        let middle = left + step * (f64::from(power - first) + 0.5);
        for (at, (class, name, figures)) in series.iter().enumerate() {
            let share = share(figures, power);
            let height = (bottom - top - 6.0) * share / most;
            let x = middle + width * (at as f64 - series.len() as f64 / 2.0);
            let hint = format!("{name}: {:.1} % of {} to {}", share * 100.0, size(1 << power), size(2 << power));
            if share > 0.0 {
                plot.bar(class, x + 1.0, bottom - height, (width - 2.0, height), &hint);
            }
        }
        if (power - first) % (last - first + 1).div_ceil(12) == 0 {
            plot.text(
                "tick",
                middle - step / 2.0,
                bottom + 17.0,
                "middle",
                &Scale::Bytes.text(2f64.powi(power as i32)),
            );
        }
    }
    plot.line("base", (left, bottom), (right, bottom));
    plot.title_x("bytes of a file: from here to twice as many");
    legend(&series.iter().map(|(class, name, _)| (*class, *name)).collect::<Vec<_>>()) + &plot.finish()
}

fn legend(series: &[(&str, &str)]) -> String {
    let item = |(class, name): &(&str, &str)| format!("<span><i class=\"{class}\"></i>{name}</span>");
    format!("<p class=\"legend\">{}</p>\n", series.iter().map(item).collect::<String>())
}

fn trade(report: &Report) -> String {
    let mut plot = Plot::new(340.0, "files a day against freshness, one point for each setting");
    let told = || report.trials.iter().filter_map(|row| Some((row, row.trial.told()?)));
    let waited = |figures: &Figures| figures.freshness_ms.p99.max(1) as f64 / 1_000.0;
    let promised = report.promise.freshness_ms as f64 / 1_000.0;
    let x = Plot::x(told().map(|(_, f)| waited(f)).chain([promised]));
    let y = plot.y(told().map(|(_, f)| f.files_per_day));
    plot.x_axis(&x, Scale::Seconds, "freshness p99");
    plot.y_axis(&y, Scale::Count, "files a day");
    let (_, top, _, bottom) = plot.area();
    plot.line("promise", (x.at(promised), top), (x.at(promised), bottom));
    let kind = |row: &Row| -> (&str, f64) {
        match () {
            () if report.is_change() && row.trial.setting == report.recommended.setting => ("second", 7.0),
            () if Some(row.trial.setting) == report.configured().map(|r| r.trial.setting) => ("first", 7.0),
            () if row.breaks.is_some() => ("hollow", 4.5),
            () => ("third", 4.5),
        }
    };
    let mut points: Vec<(&Row, &Figures)> = told().collect();
    // The two that matter lie on top.
    points.sort_by(|a, b| kind(a.0).1.total_cmp(&kind(b.0).1));
    for (row, figures) in points {
        let (class, radius) = kind(row);
        let hint = format!(
            "{}: {} files a day, freshness p99 {}",
            row.name,
            count(figures.files_per_day),
            seconds(figures.freshness_ms.p99)
        );
        plot.dot(class, x.at(waited(figures)), y.at(figures.files_per_day), radius, &hint);
    }
    let mut names = vec![("first", "configured")];
    if report.is_change() {
        names.push(("second", "recommended"));
    }
    names.extend([("third", "keeps the promise"), ("hollow", "does not"), ("promise", "freshness promised")]);
    legend(&names) + &plot.finish()
}

/// Settings whose costs are drawn.
const BARS_MAX: usize = 24;
const BAR: f64 = 22.0;

fn costs(report: &Report) -> String {
    let told = |row: &'_ Row| row.trial.told().map(|figures| figures.dollars_per_month);
    let mut rows: Vec<&Row> = report.trials.iter().filter(|row| told(row).is_some()).collect();
    let is_kept = |row: &Row| row.trial.setting == report.recommended.setting;
    if rows.len() > BARS_MAX {
        let mut number = 0;
        rows.retain(|row| {
            number += 1;
            number < BARS_MAX || is_kept(row)
        });
    }
    let height = rows.len() as f64 * BAR + 26.0;
    let mut plot = Plot::new(height, "dollars a month by setting");
    let most = rows.iter().filter_map(|row| told(row)).map(|cost| cost.total).fold(0.01, f64::max);
    let (left, right) = (250.0, super::plot::WIDTH - 74.0);
    for (at, row) in rows.iter().enumerate() {
        let (y, cost) = (at as f64 * BAR + 4.0, told(row).unwrap_or_default());
        let class = if report.is_change() && is_kept(row) { "tick strong" } else { "tick" };
        plot.text(class, left - 8.0, y + 13.0, "end", &short(&row.name));
        let mut x = left;
        for (class, what, amount) in
            [("first", "PUTs", cost.put), ("second", "scans", cost.scan), ("third", "GETs and LISTs", cost.read)]
        {
            let width = (right - left) * amount / most;
            if width >= 0.3 {
                plot.bar(class, x, y, (width, BAR - 6.0), &format!("{}: {what} {}", row.name, dollars(amount)));
            }
            x += width;
        }
        plot.text(class, x + 6.0, y + 13.0, "start", &dollars(cost.total));
    }
    legend(&[("first", "PUTs"), ("second", "Athena's scans"), ("third", "GETs and LISTs of questions")])
        + &plot.finish()
}

/// As much of a name as fits beside its bar.
fn short(name: &str) -> String {
    const CHARS_MAX: usize = 36;
    match name.chars().count() {
        0..=CHARS_MAX => name.into(),
        _ => name.chars().take(CHARS_MAX - 1).chain(['\u{2026}']).collect(),
    }
}

fn curve(report: &Report) -> String {
    let mut plot = Plot::new(320.0, "bytes of a file against bytes of its events");
    let (points, knots) = (&report.sizes.points, report.sizes.curve.knots());
    let x = Plot::x(points.iter().map(|p| p.data_bytes as f64));
    let y = plot.y(points.iter().map(|p| p.file_bytes as f64));
    plot.x_axis(&x, Scale::Bytes, "bytes of events");
    plot.y_axis(&y, Scale::Bytes, "bytes of the file");
    for point in points {
        let hint = format!("{} rows, {} of events, {}", point.rows, size(point.data_bytes), size(point.file_bytes));
        plot.dot("faint", x.at(point.data_bytes as f64), y.at(point.file_bytes as f64), 2.5, &hint);
    }
    plot.curve("fit", knots.iter().map(|(data, file)| (x.at(*data), y.at(*file))));
    plot.finish()
}

fn all(report: &Report) -> String {
    let line = |row: &Row| {
        let class = match () {
            () if report.is_change() && row.trial.setting == report.recommended.setting => " class=\"chosen\"",
            () if row.breaks.is_some() => " class=\"broken\"",
            () => "",
        };
        let Some(f) = row.trial.told() else {
            let why = row.trial.not_simulated.as_deref().unwrap_or_default();
            return format!(
                "<tr><th>{}</th><td colspan=\"8\" class=\"why\">{}</td></tr>\n",
                escape(&row.name),
                escape(why)
            );
        };
        let mut below = row.breaks.as_ref().map_or(String::new(), |why| format!("<small>{}</small>", escape(why)));
        if !row.same.is_empty() {
            below += &format!("<small class=\"same\">the same: {}</small>", escape(&row.same.join("; ")));
        }
        let cells = [
            count(f.files_per_day),
            size(f.file_bytes.p50),
            size(f.file_bytes.p95),
            seconds(f.freshness_ms.p50),
            seconds(f.freshness_ms.p99),
            size(f.memory_bytes.p99),
            count(f.open_partitions.p99 as f64),
            count(f.question.files),
            dollars(f.dollars_per_month.total),
        ];
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr{class}><th>{}{below}</th>{cells}</tr>\n", escape(&row.name))
    };
    let rows: String = report.trials.iter().map(line).collect();
    let names =
        ["files/day", "median", "p95", "fresh p50", "fresh p99", "memory p99", "open p99", "files/question", "$/month"];
    let head: String = names.iter().map(|name| format!("<th>{name}</th>")).collect();
    let body = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th>setting</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    section("All that was tried", "", &body)
}

fn notes(report: &Report) -> String {
    let once = &report.once;
    let mut notes = vec![
        format!(
            "If run takes exactly this sample and stops: {} files of {} rows, median {}.",
            count(once.files as f64),
            count(once.rows as f64),
            size(once.file_bytes.p50)
        ),
        format!("The question that is counted on {}.", question(report)),
        format!(
            "Promised: freshness p99 within {}, open buffers within {} at p99.",
            seconds(report.promise.freshness_ms),
            size(report.promise.memory_bytes)
        ),
        format!(
            "Prices: ${} a PUT, ${} a GET, ${} a LIST, {} a TB scanned by Athena. Not in it: the stream, processors, storage, transfer.",
            report.prices.put().value,
            report.prices.reading.s3_get.value,
            report.prices.reading.s3_list.value,
            dollars(report.prices.reading.athena_tb.value)
        ),
        "Freshness ends with the cut: encoding and storing the file come on top, as does their memory.".to_string(),
    ];
    notes.extend(report.notes.iter().cloned());
    let items: String = notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    section("What it rests on", "", &format!("<ul class=\"notes\">\n{items}</ul>\n"))
}
