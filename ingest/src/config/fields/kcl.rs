//! `[source.kcl]`.

use super::Fallback::{Absent, Default, Required};
use super::{Kind, Need, Section, field};

pub(super) const SECTION: Section = Section {
    name: "source.kcl",
    need: Need::Source,
    doc: "Read the shards of a Kinesis data stream that Amazon's Kinesis Client Library assigns to this machine: its \
          MultiLangDaemon starts `alluvium shard` for each, which connects here (see infra/kcl/README.md).",
    fields: &[
        field(
            "socket",
            Kind::Path,
            Required,
            "/run/alluvium/kcl.sock",
            "Where the daemon's children connect: a socket that is made there, for this user only. At most 107 bytes.",
        ),
        field("stream", Kind::Text, Required, "attribute-events", "Name of the stream, as in the daemon's properties."),
        field(
            "handover",
            Kind::Time { min: "0 ms", max: "10 min" },
            Default("15 s"),
            "30 s",
            "How long the owner of a shard may take to give it up after the daemon has assigned the shard to this machine. Then \
             it is taken by force, and its owner, if it still runs, ends with exit code 4.",
        ),
        field("region", Kind::Text, Absent, "eu-central-1", "AWS region. Left out, the SDK's own chain decides."),
        field(
            "endpoint_url",
            Kind::HttpUrl,
            Absent,
            "http://127.0.0.1:4567",
            "Another endpoint than the region's: an emulator, or a VPC endpoint. The stream is read directly where a start has \
             to finish what a former owner had begun, and where the daemon begins behind what is stored.",
        ),
        field(
            "give_up",
            Kind::Time { min: "1 s", max: "24 h" },
            Default("5 min"),
            "1 h",
            "A direct call that fails for so long without one success ends the process with exit code 3.",
        ),
    ],
};
