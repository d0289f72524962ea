"""A way to the emulator's Athena API on which each statement is translated from Athena's SQL to DuckDB's, which is what the emulator runs.

Arguments: the port to listen on, the emulator's host:port, the table's place (s3://bucket/prefix/). All else passes as it is.
"""

import http.client
import http.server
import json
import sys

import sqlglot
from sqlglot import exp

START = "AmazonAthena.StartQueryExecution"


def translated(statement, place):
    """What only the dialects' names tell apart is sqlglot's work; two things are not known to it."""
    bucket = place.removeprefix("s3://")

    def node(one):
        if isinstance(one, exp.Column) and one.name == "$path":
            # Where the emulator has copied the object to, back to where it lies. In two pieces: the emulator takes s3:// between
            # quotes for a file to read.
            path = f"'s3:' || '//{bucket}' || regexp_replace(filename, '^.*/ministack-athena-[^/]*/', '')"
            return sqlglot.parse_one(path, read="duckdb")
        if isinstance(one, exp.Cast) and one.to.is_type(exp.DataType.Type.TIMESTAMP):
            # Athena has timestamps without a zone where the files say UTC.
            return exp.cast(exp.Literal.string(one.this.name + "+00"), "TIMESTAMPTZ", dialect="duckdb")
        return one

    return sqlglot.parse_one(statement, read="athena").transform(node).sql(dialect="duckdb")


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("x-amz-target") == START:
            request = json.loads(body)
            request["QueryString"] = translated(request["QueryString"], self.server.place)
            body = json.dumps(request).encode()
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("content-length", "host", "connection")}
        upstream.request("POST", self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy)
    server.upstream, server.place = sys.argv[2], sys.argv[3]
    server.serve_forever()
