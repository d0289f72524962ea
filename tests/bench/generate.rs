//! `generate full|small MEGABYTES [DAYS]` prints events: the same arguments, the same bytes. A gigabyte takes some seconds.

use std::io::Write;

#[path = "events.rs"]
mod events;

const USAGE: &str = "generate full|small MEGABYTES [DAYS]";

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).map(|text| text.parse::<usize>().expect(USAGE));
    let full = match args.first().map(String::as_str) {
        Some("full") => true,
        Some("small") => false,
        _ => panic!("{USAGE}"),
    };
    let wanted = number(1).expect(USAGE) * 1_000_000;
    let mut events = events::Events::new(full, number(2).unwrap_or(events::DAYS));
    let (mut out, mut size) = (std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock()), 0);
    while size < wanted {
        let event = events.next_event();
        size += event.len() + 1;
        out.write_all(event.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
