//! Tests of the plan: numbers that stay, objects that change, lanes of equal size.

use super::*;

fn listed(path: &str, size: u64, etag: &str) -> Listed {
    Listed { path: path.into(), size, etag: etag.into(), modified: 5 }
}

fn header() -> Header {
    Header::new("s3://b/raw", "s3://b/")
}

fn numbers(plan: &Plan, header: &Header) -> Vec<(String, u64)> {
    let mut all: Vec<_> = plan.lanes_of(&header.replay).into_values().flatten().map(|o| (o.path, o.number)).collect();
    all.sort();
    all
}

#[test]
fn an_object_keeps_its_number_whatever_is_listed_later() {
    let (mut plan, header) = (Plan::default(), header());
    let first = vec![listed("raw/b", 10, "1"), listed("raw/d", 10, "1")];
    let page = plan.page(&header, &plan.compare(&header, first.clone()).fresh);
    assert_eq!(Page::parse(&page.to_lines()), Ok(page.clone()));
    plan.add(page);
    let again = plan.compare(&header, first);
    assert_eq!(again, Compared::default());

    let later = vec![listed("raw/a", 10, "1"), listed("raw/b", 12, "2"), listed("raw/c", 10, "1")];
    let compared = plan.compare(&header, later);
    assert_eq!(compared.changed, [listed("raw/b", 12, "2")]);
    plan.add(plan.page(&header, &compared.fresh));
    let want = [("raw/a", 3), ("raw/b", 1), ("raw/c", 4), ("raw/d", 2)];
    assert_eq!(numbers(&plan, &header), want.map(|(path, number)| (path.to_string(), number)));
    assert_eq!(plan.next_page(), 3);
}

#[test]
fn an_object_of_another_replay_is_not_read_again() {
    let (mut plan, header) = (Plan::default(), header());
    plan.add(plan.page(&header, &[listed("raw/2024/a", 10, "1")]));
    let narrower = Header::new("s3://b/raw/2024", "s3://b/");
    let compared = plan.compare(&narrower, vec![listed("raw/2024/a", 10, "1"), listed("raw/2024/b", 1, "1")]);
    assert_eq!((compared.elsewhere, compared.fresh.len()), (1, 1));
    let other_store = Header::new("s3://c/raw", "s3://c/");
    assert_eq!(plan.compare(&other_store, vec![listed("raw/2024/a", 10, "1")]).fresh.len(), 1);
}

#[test]
fn lanes_are_slices_of_about_the_same_bytes() {
    let (plan, header) = (Plan::default(), header());
    let objects: Vec<Listed> =
        (0..5_000).map(|n| listed(&format!("raw/{n:05}"), (n * 7919) % 1_000_000, "1")).collect();
    let page = plan.page(&header, &objects);
    assert!(page.objects.iter().zip(&objects).all(|(p, o)| p.path == o.path));
    assert!(page.objects.is_sorted_by_key(|o| o.lane));
    let mut bytes = vec![0_u64; LANES as usize];
    page.objects.iter().for_each(|o| bytes[o.lane as usize] += o.size);
    let mean = bytes.iter().sum::<u64>() / u64::from(LANES);
    assert!(bytes.iter().all(|b| b.abs_diff(mean) < 2_000_000), "{bytes:?}, mean {mean}");
    let few: Vec<u32> = slices(&objects[1..5]).collect();
    assert!(few.len() == 4 && few.is_sorted() && few.windows(2).all(|pair| pair[0] < pair[1]), "{few:?}");
    assert_eq!(slices(&[listed("a", 0, "1")]).collect::<Vec<_>>(), [LANES / 2]);
}

#[test]
fn shards_are_known_as_replays_and_no_stream_is() {
    let replay = replay_id("s3://b/raw");
    assert!(is_replays(&shard(&replay, 3)) && shard(&replay, 3).as_str().starts_with(&shards(&replay)));
    for live in ["replay:shardId-000000000000", "intake:00ff", "events:shardId-000000000003"] {
        assert!(!is_replays(&ShardId::new(live)));
    }
}

#[test]
fn a_page_of_another_version_is_refused() {
    let page = Page { header: Header { format: 2, ..header() }, objects: vec![] };
    assert!(Page::parse(&page.to_lines()).expect_err("unknown").contains("format 2"));
    assert!(Page::parse(b"").is_err() && Page::parse(b"{}\n{}").is_err());
}
