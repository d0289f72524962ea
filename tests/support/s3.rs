//! Buckets on the emulator.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{block_on, emulator, http, unique};

/// A bucket of one test.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    store: Arc<AmazonS3>,
}

impl Bucket {
    /// A new, empty bucket whose name begins with `what`.
    pub fn new(what: &str) -> Bucket {
        let name = unique(what);
        let address = emulator::ministack().address();
        let (status, body) =
            http::request(&address, "PUT", &format!("/{name}"), &[], b"").expect("the S3 emulator answers");
        assert_eq!(status, 200, "creating bucket {name}: {}", String::from_utf8_lossy(&body));
        let store = AmazonS3Builder::new()
            .with_endpoint(emulator::ministack().url())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(&name)
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .build()
            .expect("a store for the emulator");
        Bucket { name, store: Arc::new(store) }
    }

    /// `s3://<bucket>/<path>`
    pub fn url(&self, path: &str) -> String {
        format!("s3://{}/{path}", self.name)
    }

    /// For clients that take a store.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Every key below `prefix`, sorted.
    pub fn list(&self, prefix: &str) -> Vec<String> {
        let found: Vec<_> =
            block_on(self.store.list(Some(&Path::from(prefix))).try_collect()).expect("the bucket lists");
        let mut keys: Vec<String> =
            found.into_iter().map(|o: object_store::ObjectMeta| o.location.to_string()).collect();
        keys.sort();
        keys
    }

    /// The object's bytes.
    pub fn get(&self, key: &str) -> Vec<u8> {
        let path = Path::parse(key).expect("a key that was listed");
        block_on(async { self.store.get(&path).await?.bytes().await }).expect("the object is there").to_vec()
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        let path = Path::parse(key).expect("a key of the test's own");
        block_on(self.store.put(&path, bytes.into())).expect("the bucket takes it");
    }
}
