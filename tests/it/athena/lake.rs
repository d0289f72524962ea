//! One lake in a bucket, one table in the Glue catalog, and both engines over it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use reader::config::{AthenaSettings, CATALOG, Config, WORKGROUP};
use reader::engine::Engine;
use reader::engine::athena::{Athena, AthenaEngine};
use reader::engine::datafusion::LakeEngine;
use reader::history::History;
use reader::lake::Place as ReaderPlace;
use tests::alluvium::{self, Lake, Place, Running, loopback, rules};
use tests::emulator::{self, Emulator};
use tests::firehose::Firehose;
use tests::glue::Catalog;
use tests::{corpus, file};

use crate::clients::{STREAM, intake_source};

/// Events of the log; more than a page of results holds.
const EVENTS: usize = 2_500;

/// Soon, and few files: the emulator reads all of them for each statement.
const BUFFER: &str = "[buffer]\nage = \"60 s\"\nidle = \"1 s\"\n";

/// See the module's text.
pub(super) struct Both {
    pub(super) config: Config,
    pub(super) events: &'static [Vec<u8>],
    table: ReaderPlace,
    athena: AthenaSettings,
    _lake: Lake,
    _proxy: Emulator,
}

impl Both {
    pub(super) fn sp500() -> &'static Both {
        static BOTH: OnceLock<Both> = OnceLock::new();
        BOTH.get_or_init(|| Both::new(&corpus::sp500()[..EVENTS]))
    }

    fn new(events: &'static [Vec<u8>]) -> Both {
        let (lake, catalog) = (Lake::s3("athena"), Catalog::new("athena"));
        write(&lake, &catalog.database, events);
        let config = reader::config::load(&lake.file("alluvium.toml"), &|_| None).expect("the writer's own file");
        let made = lake.file("glue.json");
        let path = lake.file("alluvium.toml").display().to_string();
        std::fs::write(&made, alluvium::run(&["ddl", "--config", &path, "--dialect", "glue"]).stdout).expect("written");
        catalog.create(&made);
        let Place::Prefix(bucket, prefix) = &lake.table else { panic!("the lake lies in a bucket") };
        let table = ReaderPlace::new(bucket.store(), prefix, &config.lake.url);
        let proxy = emulator::athena(&config.lake.url);
        let output = Some(bucket.url("results/"));
        let athena = AthenaSettings { output, ..settings(&catalog.database, &proxy.url()) };
        Both { config, events, table, athena, _lake: lake, _proxy: proxy }
    }

    /// Each engine, with other limits where a test asks for them.
    pub(super) fn engines(&self, change: impl Fn(&mut Config)) -> [Arc<dyn Engine>; 2] {
        let mut config = self.config.clone();
        change(&mut config);
        let lake = reader::lake::Lake { table: self.table.clone(), state: None, archive: None };
        let (columns, limits) = (config.reader.columns, config.reader.limits);
        let layout = Arc::new(config.layout);
        let of = (columns.clone(), limits.clone());
        let ours = LakeEngine::new(layout.clone(), lake.clone(), columns, limits).expect("an engine");
        let database = self.athena.database.clone();
        let athena = Athena::connected(self.athena.clone(), &sdk(self.athena.endpoint_url.as_deref()));
        [Arc::new(ours), Arc::new(AthenaEngine::new(layout, lake, of, (database, athena)))]
    }

    pub(super) fn histories(&self) -> [History; 2] {
        let config = &self.config;
        self.engines(|_| ()).map(|engine| History {
            engine,
            layout: Arc::new(config.layout.clone()),
            columns: config.reader.columns.clone(),
            limits: config.reader.limits.clone(),
        })
    }
}

pub(super) fn settings(database: &str, endpoint: &str) -> AthenaSettings {
    AthenaSettings {
        workgroup: WORKGROUP.into(),
        database: database.into(),
        catalog: CATALOG.into(),
        output: None,
        reuse: None,
        endpoint_url: Some(endpoint.into()),
        region: None,
    }
}

/// The SDK's settings, with the emulators' credentials.
pub(super) fn sdk(endpoint: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials));
    config.endpoint_url(endpoint.expect("an endpoint")).build()
}

fn write(lake: &Lake, database: &str, events: &'static [Vec<u8>]) {
    let listen = loopback();
    let keys = [
        ("created_date", ".created_at | utc_date"),
        ("attribute_name", ".attribute_name"),
        ("entity_id_mod", ".entity_id | bucket(10)"),
    ];
    let spec = spec(lake, database).display().to_string();
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(lake, &listen), rules(&spec, &keys));
    let running = Running::start(lake, &sections);
    Firehose::new(&listen, STREAM).put(events);
    lake.until_cut(events.len());
    running.stop();
    assert_eq!(lake.rejects(), Vec::<serde_json::Value>::new());
}

/// The attribute history's spec, in the catalog's database.
fn spec(lake: &Lake, database: &str) -> PathBuf {
    let text = std::fs::read_to_string(file("schemas/tables/attribute_events.toml")).expect("the spec is there");
    assert!(text.contains("\"company_lake\""), "the spec has changed");
    let path = lake.file("table.toml");
    std::fs::write(&path, text.replace("\"company_lake\"", &format!("\"{database}\""))).expect("written");
    path
}
