//! The fake beneath the AWS SDK, without a network: the SDK's real requests and answers, handed over in memory, so that time can
//! be simulated.

use std::time::Duration;

use aws_sdk_kinesis::config::http::{HttpRequest, HttpResponse};
use aws_sdk_kinesis::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;

use super::{Answer, KinesisFake, TARGET};
use crate::gate::Gate;

/// A lost answer shows as a broken connection after so long.
const BROKEN_AFTER: Duration = Duration::from_secs(3);

/// One process's way to the service.
#[derive(Debug, Clone)]
struct Connector {
    fake: KinesisFake,
    gate: Gate,
}

/// A client for the SDK whose calls pass through `gate`, there and back.
pub fn client(fake: KinesisFake, gate: Gate) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector { fake, gate });
    http_client_fn(move |_: &HttpConnectorSettings, _: &RuntimeComponents| connector.clone())
}

impl Connector {
    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let name = target.strip_prefix(TARGET).unwrap_or_default().to_string();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        self.gate.pass().await;
        let answer = self.fake.exchange(&name, &body).await;
        self.gate.pass().await;
        let Some(Answer { status, body }) = answer else {
            tokio::time::sleep(BROKEN_AFTER).await;
            return Err(ConnectorError::io("connection reset by peer".into()));
        };
        let status = StatusCode::try_from(status).expect("a status");
        let mut response = Response::new(status, SdkBody::from(body));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
        Ok(response)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}
