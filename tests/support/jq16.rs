//! What jq 1.6 says the partition keys are. It is the version Firehose names, and shares no code with us.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use crate::tools;

/// jq 1.6 has no CRC-32: of each object's member `bucket_of`, Python's zlib makes `entity_id_mod`, the bucket among ten.
const BUCKETS: &str = "
import json, sys, zlib
for line in sys.stdin:
    row = json.loads(line)
    if 'bucket_of' in row:
        row['entity_id_mod'] = str(zlib.crc32(row.pop('bucket_of').encode()) % 10)
    print(json.dumps(row))
";

/// Runs jq 1.6 over a gzipped NDJSON file and writes the objects it gives to `out` as NDJSON.
pub fn run(program: &str, input_gz: &Path, out: &Path) {
    check_version();
    let mut jq = Command::new("jq");
    let mut jq = jq.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("jq starts");
    let mut python = Command::new(tools::python("python"));
    python.args(["-c", BUCKETS]).stdin(jq.stdout.take().expect("piped"));
    let mut python = python.stdout(std::fs::File::create(out).expect("an output file")).spawn().expect("python starts");
    let mut stdin = jq.stdin.take().expect("piped");
    let mut text = GzDecoder::new(std::fs::File::open(input_gz).expect("the corpus is there"));
    std::io::copy(&mut text, &mut stdin).expect("jq reads its input");
    drop(stdin);
    assert!(jq.wait().expect("jq ends").success(), "jq {program} failed");
    assert!(python.wait().expect("python ends").success(), "the bucket of {program} failed");
}

fn check_version() {
    static VERSION: OnceLock<String> = OnceLock::new();
    let version = VERSION.get_or_init(|| tools::output(Command::new("jq").arg("--version")));
    assert!(version.starts_with("jq-1.6"), "jq 1.6 is the oracle, this is {version}");
}
