//! Fields of the endpoint that takes events over HTTP: declared once for both of its forms, `[source.intake]` and `[intake]`.

use super::Fallback::{Absent, Default, Required};
use super::{Field, Kind, field};

/// `[source.intake]`.
pub(super) const SOURCE: &[Field] = &join::<2, ENDPOINT_FIELDS, { 2 + ENDPOINT_FIELDS }>(JOURNAL, ENDPOINT);
/// `[intake]`.
pub(super) const FORWARDING: &[Field] = &join::<1, ENDPOINT_FIELDS, { 1 + ENDPOINT_FIELDS }>(FORWARD, ENDPOINT);

const fn join<const A: usize, const B: usize, const N: usize>(first: [Field; A], then: [Field; B]) -> [Field; N] {
    assert!(A + B == N);
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < A { first[at] } else { then[at - A] };
        at += 1;
    }
    all
}

const JOURNAL: [Field; 2] = [
    field(
        "journal",
        Kind::Path,
        Required,
        "journal",
        "Folder of the journal. It holds records that were accepted and are not stored yet: keep it on a disk that outlives the \
         process.",
    ),
    field(
        "journal_size",
        Kind::Size { min: "16 MiB", max: "16 TiB" },
        Default("4 GiB"),
        "16 GiB",
        "Most the journal may take on disk. Full, requests are answered with 503 until records are stored.",
    ),
];

const FORWARD: [Field; 1] = [field("forward", Kind::Choice(&["kinesis"]), Required, "kinesis", "Where the events go.")];

const ENDPOINT_FIELDS: usize = 16;
const ENDPOINT: [Field; ENDPOINT_FIELDS] = [
    field(
        "listen",
        Kind::Address { off: false },
        Default("127.0.0.1:4573"),
        "127.0.0.1:4573",
        "Address and port. One that other machines can reach needs `[credentials.<name>]`; bearer tokens there need TLS.",
    ),
    field("delivery_streams", Kind::Names, Default("alluvium"), "attribute-events", STREAMS_DOC),
    field(
        "tls_cert",
        Kind::Path,
        Absent,
        "intake.crt",
        "PEM file of the certificate and those it is signed by, the endpoint's own first. Read at the start; a renewed one needs \
         a restart. With it, plain HTTP is not served. TLS 1.2 and 1.3.",
    ),
    field("tls_key", Kind::Path, Absent, "intake.key", "PEM file of its private key, not encrypted."),
    field("insecure_allow_remote", Kind::Flag, Default("false"), "true", REMOTE_DOC),
    field(
        "max_body",
        Kind::Size { min: "64 KiB", max: "64 MiB" },
        Default("16 MiB"),
        "8 MiB",
        "Body of one request as sent. A batch at Firehose's limit of 4 MiB takes 6 MiB.",
    ),
    field(
        "max_connections",
        Kind::Count { min: 1, max: 100_000 },
        Default("1024"),
        "4096",
        "Connections open at once; more wait. Each takes a file descriptor.",
    ),
    field(
        "max_connections_per_address",
        Kind::Count { min: 1, max: 100_000 },
        Default("512"),
        "4096",
        "Connections open at once from one address (IPv6: from one /64); more are closed. Raise it where all clients come through \
         one proxy.",
    ),
    field(
        "requests_per_second",
        Kind::Count { min: 1, max: 1_000_000 },
        Default("10000"),
        "2000",
        "Requests of one credential in a second, over all its connections; without credentials, of all clients together. Beyond \
         it Firehose clients are told `ServiceUnavailableException` (503, SDKs back off), others 429 with `Retry-After`.",
    ),
    field(
        "bytes_per_second",
        Kind::Size { min: "1 KiB", max: "1 TiB" },
        Default("128 MiB"),
        "5 MiB",
        "Bytes of bodies in a second, likewise.",
    ),
    field(
        "header_timeout",
        Kind::Time { min: "100 ms", max: "10 min" },
        Default("10 s"),
        "5 s",
        "From the opening of a connection, or the first byte of a request, to the end of its headers.",
    ),
    field(
        "idle_timeout",
        Kind::Time { min: "100 ms", max: "1 h" },
        Default("75 s"),
        "5 min",
        "Between two requests of one connection.",
    ),
    field(
        "body_timeout",
        Kind::Time { min: "1 s", max: "1 h" },
        Default("120 s"),
        "30 s",
        "From a request's headers to the end of its body.",
    ),
    field(
        "min_body_rate",
        Kind::Size { min: "1 B", max: "1 GiB" },
        Default("16 KiB"),
        "1 KiB",
        "Bytes that a body must bring in a second, over each 5 s: a client that is slower is answered 408 and cut off.",
    ),
    field(
        "write_timeout",
        Kind::Time { min: "100 ms", max: "10 min" },
        Default("30 s"),
        "10 s",
        "A client that takes nothing of its answer for so long is cut off.",
    ),
    field(
        "handshake_timeout",
        Kind::Time { min: "100 ms", max: "10 min" },
        Default("10 s"),
        "5 s",
        "From the opening of a connection to the end of the TLS handshake.",
    ),
];

const STREAMS_DOC: &str = "Delivery streams the endpoint knows, by name; a put to another one is answered with \
     `ResourceNotFoundException`. Their records all go to this table.";
const REMOTE_DOC: &str = "Allow `listen` to be an address that other machines can reach without any credentials, or with bearer \
     tokens and no TLS: something in front of it asks who they are, or speaks TLS.";

pub(super) const CREDENTIALS_DOC: &str = "Who may put events to `[source.intake]` or `[intake]`: one section for each, with a name \
     for logs. As soon as there is one, every request must be signed (SigV4, service `firehose`, any region, as all AWS SDKs do) or, \
     for `POST /v1/events`, bring a bearer token. Write secrets as `${NAME}`; they are shown nowhere.";

/// `[credentials.<name>]`.
pub(super) const CREDENTIALS: &[Field] = &[
    field(
        "access_key_id",
        Kind::Text,
        Absent,
        "AKIAUPLOADER00000001",
        "Access key id that the client's SDK is given: 1 to 128 letters, digits and `_`. Any will do, it need not be one of AWS.",
    ),
    field("secret_access_key", Kind::Secret, Absent, "${UPLOADER_SECRET}", "Its secret: at least 16 characters."),
    field(
        "bearer_token",
        Kind::Secret,
        Absent,
        "${UPLOADER_TOKEN}",
        "Token for `Authorization: Bearer` at `POST /v1/events`: at least 16 characters. Kept as a hash only.",
    ),
    field(
        "delivery_streams",
        Kind::Names,
        Absent,
        "attribute-events",
        "Delivery streams this access key may use; for others and for `POST /v1/events` it is told `AccessDeniedException`. Left \
         out, all.",
    ),
];
