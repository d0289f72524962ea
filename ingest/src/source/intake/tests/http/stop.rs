//! The end of the endpoint, and clients that must not reach it.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::*;

/// Holds every put until there is a permit.
#[derive(Debug)]
struct Slow {
    sink: Arc<dyn Sink>,
    entered: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

#[async_trait]
impl Sink for Slow {
    async fn put(&self, records: Vec<Bytes>, arrived_at: i64) -> Result<Receipt, SinkError> {
        self.entered.add_permits(1);
        self.go.acquire().await.expect("open").forget();
        self.sink.put(records, arrived_at).await
    }
}

#[tokio::test]
async fn on_stop_nobody_new_is_let_in_and_the_request_under_way_is_answered() {
    let (entered, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entering, going) = (entered.clone(), go.clone());
    let served = served_with(|sink| Arc::new(Slow { sink, entered: entering, go: going })).await;
    let meanwhile = async {
        entered.acquire().await.expect("open").forget();
        served.stop.cancel();
        while TcpStream::connect(served.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        go.add_permits(1);
    };
    let (answer, ()) = tokio::join!(served.send("POST /v1/events", &[], b"{}"), meanwhile);
    assert_eq!((answer.status, served.records().await.len()), (200, 1));
    tokio::time::timeout(Duration::from_secs(10), served.serving).await.expect("in time").expect("no panic");
}

#[tokio::test]
async fn a_web_page_cannot_put() {
    let served = served().await;
    let head = ["X-Amz-Target: Firehose_20150804.PutRecord", "Origin: http://example.com"];
    let body = r#"{"DeliveryStreamName":"events","Record":{"Data":"e30="}}"#;
    let answer = served.send("POST /", &head, body.as_bytes()).await;
    assert_eq!((answer.status, answer.body["__type"].as_str()), (403, Some("AccessDeniedException")));
    assert!(served.records().await.is_empty());
}
