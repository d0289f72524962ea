//! The Glue catalog of the emulator, through the AWS CLI: what an operator has to look at it and to change it by hand.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::alluvium::emulated;
use crate::emulator::ministack;
use crate::faulty_proxy::read_request;
use crate::{block_on, tools, unique};

/// A database of one test.
#[derive(Debug)]
pub struct Catalog {
    pub database: String,
}

impl Catalog {
    pub fn new(what: &str) -> Catalog {
        let catalog = Catalog { database: unique(what).replace('-', "_") };
        aws(&["create-database", "--database-input", &format!("Name={}", catalog.database)]);
        catalog
    }

    /// Makes a table of a `TableInput` file.
    pub fn create(&self, input: &Path) {
        self.with_input("create-table", input);
    }

    /// Changes a table as somebody else would.
    pub fn update(&self, input: &Path) {
        self.with_input("update-table", input);
    }

    fn with_input(&self, call: &str, input: &Path) {
        let input = format!("file://{}", input.display());
        aws(&[call, "--database-name", &self.database, "--table-input", &input]);
    }

    pub fn table(&self, name: &str) -> Value {
        let answer = aws(&["get-table", "--database-name", &self.database, "--name", name]);
        let answer: Value = serde_json::from_str(&answer).expect("the CLI answers in JSON");
        answer["Table"].clone()
    }
}

fn aws(args: &[&str]) -> String {
    let mut command = Command::new(tools::python("python"));
    emulated(&mut command);
    command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_PAGER", "");
    command.arg(tools::python("aws")).args(["glue", "--endpoint-url", &ministack().url()]);
    tools::output(command.args(args).args(["--output", "json"]))
}

/// The URL of a way to the catalog on which `change` happens just before a table is updated.
pub fn with_a_change_before_update(change: impl Fn() + Clone + Send + 'static) -> String {
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let serve = async move {
        loop {
            let Ok((client, _)) = listener.accept().await else { continue };
            // An error is a connection that ended early: the client sees the same.
            pass(client, change.clone()).await.unwrap_or(());
        }
    };
    block_on(async {
        tokio::spawn(serve);
    });
    url
}

async fn pass(mut client: TcpStream, change: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let request = read_request(&mut client).await?;
    if request.windows(UPDATE.len()).any(|window| window == UPDATE) {
        tokio::task::spawn_blocking(change).await.expect("the change is made");
    }
    let mut server = TcpStream::connect(ministack().address()).await?;
    server.write_all(&request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    client.write_all(&answer).await
}

const UPDATE: &[u8] = b"AWSGlue.UpdateTable";
