"""The reader as a function of Lambda: how large it is, how long it takes until it asks for its first event, and until it answers.

The runtime API is played here as its documentation tells it. The machine is this one, not Lambda's: Lambda gives a function one
processor at 1,769 MB and less below, and fetches the package first.
"""

import http.server
import json
import os
import queue
import statistics
import subprocess
import threading
import time
import urllib.parse
import zipfile

ROUNDS = 9
TOKEN = "a-token-of-the-benchmark"


class Runtime(http.server.BaseHTTPRequestHandler):
    """Gives events and takes answers; both are queues of the server."""

    protocol_version = "HTTP/1.1"
    # Head and body in one segment: parted, the second waits 40 ms for the first one's acknowledgement.
    wbufsize = -1

    def do_GET(self):
        self.server.asked.put(time.perf_counter())
        event = self.server.events.get()
        body = json.dumps(event).encode()
        self.send_response(200)
        for name, value in {"content-type": "application/json", "content-length": len(body),
                            "lambda-runtime-aws-request-id": "1", "lambda-runtime-deadline-ms": "4102444800000",
                            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:0:function:reader"}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        answer = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.answers.put((time.perf_counter(), answer))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A function that is killed leaves its connection: no news."""

    def handle_error(self, *_):
        pass


def explain(entity, attribute):
    """A request as an HTTP API hands it over, payload format 2.0."""
    quoted = [urllib.parse.quote(part, safe="") for part in (entity, attribute)]
    path = f"/v1/entities/{quoted[0]}/attributes/{quoted[1]}"
    return {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "isBase64Encoded": False,
            "headers": {"host": "api.example.com", "authorization": f"Bearer {TOKEN}"},
            "requestContext": {"accountId": "0", "apiId": "api", "domainName": "api.example.com", "domainPrefix": "api",
                               "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": ""},
                               "requestId": "1", "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0}}


def started(program, config, pair):
    """Milliseconds until the first event was asked for, until it was answered, and of the second one."""
    server = Server(("127.0.0.1", 0), Runtime)
    server.asked, server.events, server.answers = queue.Queue(), queue.Queue(), queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "reader",
                   "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
                   "AWS_LAMBDA_LOG_GROUP_NAME": "r", "AWS_LAMBDA_LOG_STREAM_NAME": "1"}
    began = time.perf_counter()
    process = subprocess.Popen([program, "--config", config], env=environment, stderr=subprocess.DEVNULL)
    try:
        took = [server.asked.get(timeout=60) - began]
        for _ in range(2):
            began = time.perf_counter()
            server.events.put(explain(*pair))
            at, answer = server.answers.get(timeout=60)
            assert answer["statusCode"] == 200, answer
            took.append(at - began)
    finally:
        process.kill()
        process.wait()
        server.shutdown()
    return [one * 1000 for one in took]


def measured(reader, config, pair, work):
    """Sizes of the package and the medians of the times."""
    program, package = work / "bootstrap", work / "package.zip"
    subprocess.run(["strip", "-o", program, reader], check=True)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(program, "bootstrap")
    # Without an access rule the program refuses to start there.
    with_token = work / "lambda.toml"
    with_token.write_text(config.read_text() + f'token = "{TOKEN}"\n')
    rounds = [started(program, with_token, pair) for _ in range(ROUNDS)]
    start, first, second = (statistics.median(column) for column in zip(*rounds))
    return {"bootstrap_bytes": program.stat().st_size, "package_bytes": package.stat().st_size,
            "start_ms": start, "first_ms": first, "second_ms": second}
