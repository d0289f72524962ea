//! What is recommended of settings whose figures are known.

use super::*;

#[test]
fn amounts_are_told_for_people() {
    assert_eq!([size(0), size(1023), size(1536), size(20 << 20)], ["0 B", "1023 B", "1.5 KiB", "20 MiB"]);
    assert_eq!([seconds(1_500), seconds(61_000), seconds(900_000)], ["1.5 s", "61 s", "15 min"]);
    assert_eq!([dollars(0.001), dollars(1.5), dollars(12_345.6)], ["$0", "$1.50", "$12,346"]);
    assert_eq!([count(0.25), count(3.0), count(1_234_567.0)], ["0.2", "3", "1,234,567"]);
}

#[test]
fn neighbours_differ_in_one_thing_and_come_once() {
    let s = Duration::from_secs;
    let at = Setting { size: 10, age: s(300), idle: s(60), layout: 0 };
    let grid = Grid { sizes: vec![10, 20], ages: vec![s(30), s(300)], idles: vec![s(60), s(600)], layouts: vec![0, 1] };
    let around = grid.around(&at);
    let want = [
        Setting { size: 20, ..at },
        Setting { age: s(30), idle: s(30), ..at },
        Setting { idle: s(300), ..at },
        Setting { layout: 1, ..at },
    ];
    assert_eq!(around, want);
    let never_idle = Setting { idle: s(300), ..at };
    assert!(grid.around(&never_idle).contains(&Setting { age: s(30), idle: s(30), ..at }));
}

#[test]
fn what_is_to_be_written_is_what_differs() {
    let s = Duration::from_secs;
    let from = Setting { size: 128 << 20, age: s(300), idle: s(60), layout: 0 };
    let to = Setting { size: 256 << 20, idle: Duration::from_millis(1_500), ..from };
    assert_eq!(toml(&from, &to), "[buffer]\nsize = \"256 MiB\"\nidle = \"1500 ms\"");
}
