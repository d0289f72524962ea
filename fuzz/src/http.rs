//! The intake's router without a connection, into a sink that keeps what it is given.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use bytes::Bytes;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use ingest::source::intake::server::{Intake, router};
use ingest::source::intake::settings::{EndpointSettings, Limits};
use ingest::source::intake::sink::{PutFailure, Receipt, Sink, SinkError};
use serde_json::Value;
use writer::shared::Clock;

/// Takes every record, or all but each third.
#[derive(Debug, Default)]
struct Kept {
    records: Mutex<Vec<Bytes>>,
    fail_thirds: Mutex<bool>,
}

#[async_trait]
impl Sink for Kept {
    async fn put(&self, records: Vec<Bytes>, _: i64) -> Result<Receipt, SinkError> {
        let fails = *self.fail_thirds.lock().expect("held by one");
        let failure = PutFailure { code: "ServiceUnavailableException", message: "Slow down.".to_string() };
        let outcome = |n: usize| if fails && n % 3 == 2 { Err(failure.clone()) } else { Ok(format!("{n:056}")) };
        let outcomes = (0..records.len()).map(outcome).collect();
        self.records.lock().expect("held by one").extend(records);
        Ok(Receipt::Stream(outcomes))
    }
}

/// An endpoint that answers for the delivery streams `events` and `audit`.
pub struct Endpoint {
    runtime: tokio::runtime::Runtime,
    service: TowerToHyperService<axum::Router>,
    sink: Arc<Kept>,
}

/// What was answered, and what the sink was given.
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub records: Vec<Bytes>,
}

impl Endpoint {
    pub fn new() -> Endpoint {
        let sink = Arc::new(Kept::default());
        // The clock stands: a rate would be used up and never refilled.
        let limits = Limits { requests_per_second: u64::MAX, bytes_per_second: u64::MAX, ..Limits::default() };
        let delivery_streams = vec!["events".to_string(), "audit".to_string()];
        let settings = EndpointSettings { delivery_streams, limits, ..EndpointSettings::default() };
        let intake = Intake::new(sink.clone(), &settings, Arc::default(), Clock::new(|| 1_000), [5; 16]);
        let intake = intake.expect("right settings");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Endpoint { runtime, service: TowerToHyperService::new(router(intake)), sink }
    }

    /// One request, its answer read to the end, which is JSON whatever was asked.
    pub fn call(&self, path: &str, header: (&str, &str), body: &[u8], fail_thirds: bool) -> Answer {
        *self.sink.fail_thirds.lock().expect("held by one") = fail_thirds;
        let request = Request::post(path).header(header.0, header.1).body(Body::from(body.to_vec()));
        let request = request.expect("a request");
        let (status, body) = self.runtime.block_on(async {
            let response = self.service.call(request).await.expect("the router always answers");
            let status = response.status();
            (status, to_bytes(response.into_body(), usize::MAX).await.expect("a whole body"))
        });
        let body = serde_json::from_slice(&body).expect("an answer is JSON");
        Answer { status, body, records: std::mem::take(&mut *self.sink.records.lock().expect("held by one")) }
    }
}
