//! The stream against what the state knows of it.

use super::*;

#[tokio::test]
async fn a_shard_of_the_state_that_is_not_listed_any_more_is_a_loss_that_names_the_way_on() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1", "s2"]));
    fake.remove("s0");
    fake.remove("s1");
    let half = |n| resume(at(n), Start::TrimHorizon, false);
    let run = start(&fake, settings(StartSetting::Latest), &[("s0", half(3)), ("s1", half(4)), ("s2", half(5))]);
    let error = run.error().await;
    assert!(error.to_string().contains("--accept-loss events:s0 to go on"), "{error}");
    assert!(error.to_string().contains("(1 more shards of the state"), "{error}");
    match error {
        SourceError::Lost { shard: lost, after, .. } => assert_eq!((lost, after), (shard("s0"), at(3))),
        other => panic!("{other:?}"),
    }
    assert!(fake.iterators().is_empty(), "nothing was read before");
}

#[tokio::test]
async fn a_shard_of_the_state_that_goes_while_it_waits_for_its_parent_is_a_loss() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.reshard(&["s0"], &["s1"]);
    fake.stall();
    let half = |n| resume(at(n), Start::TrimHorizon, false);
    let run = start(&fake, settings(StartSetting::Latest), &[("s0", half(3)), ("s1", half(4))]);
    while fake.calls(Call::Records) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fake.remove("s1");
    let error = run.error().await;
    assert!(matches!(&error, SourceError::Lost { shard: lost, .. } if *lost == shard("s1")), "{error:?}");
}

#[tokio::test]
async fn a_shard_of_the_state_that_ended_may_be_gone() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1"]));
    fake.remove("s0");
    let put = fake.put("s1", 2);
    let mut run = start(
        &fake,
        settings(StartSetting::TrimHorizon),
        &[("s0", resume(at(3), Start::TrimHorizon, true)), ("s1", resume(Position::zero(), Start::TrimHorizon, false))],
    );
    assert_eq!(numbers(&run.take(2, 0).await, "s1"), put);
}

#[tokio::test]
async fn a_list_older_than_a_shard_of_the_state_is_asked_for_again() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.list_late("s0", 2);
    fake.put("s0", 3);
    let known = [("s0", resume(at(1), Start::TrimHorizon, false))];
    let mut run = start(&fake, settings(StartSetting::Latest), &known);
    assert_eq!(numbers(&run.take(2, 0).await, "s0"), [2, 3]);
}

#[tokio::test]
async fn a_state_of_another_stream_or_source_is_refused_before_any_call() {
    for foreign in ["other:s0", "intake:00", "events2:s0"] {
        let fake = Arc::new(FakeStream::new(&["s0"]));
        let known = [(ShardId::new(foreign), resume(at(3), Start::TrimHorizon, false))];
        let error = start_over(&fake, settings(StartSetting::Latest), known.into()).error().await;
        assert!(matches!(&error, SourceError::Config(text) if text.contains(foreign)), "{error:?}");
        assert_eq!(fake.calls(Call::List), 0);
    }
}

#[tokio::test]
async fn a_check_lists_once_and_tells_what_cannot_be_read() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    source(&fake, settings(StartSetting::Latest)).check().await.expect("a stream that is there");
    assert_eq!((fake.calls(Call::List), fake.iterators().len()), (1, 0));
    fake.fail(Call::List, &Failure::Denied("no right to list".into()), 1);
    let denied = source(&fake, settings(StartSetting::Latest)).check().await;
    assert!(matches!(&denied, Err(SourceError::Config(text)) if text.contains("no right to list")), "{denied:?}");
    fake.fail(Call::List, &Failure::Unreachable("connection refused".into()), 1);
    let dead = source(&fake, settings(StartSetting::Latest)).check().await;
    assert!(matches!(dead, Err(SourceError::Environment { .. })), "{dead:?}");
}
