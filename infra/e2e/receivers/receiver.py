"""A receiver that verifies webhooks with the official Python library.

Prints {"port": N}, then serves on 127.0.0.1 until stdin closes:

POST /secrets/<name>   takes the hook's secret, as text
POST /hook/<name>      verifies a webhook: 200, or 400 with what is wrong
GET  /received/<name>  what the hook got: [{"id", "sha256", "verified", "error"}]
"""

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

hooks: dict[str, Webhook] = {}
received: dict[str, list[dict]] = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open

    def do_POST(self) -> None:
        _, kind, name = self.path.split("/", 2)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if kind == "secrets":
            hooks[name] = Webhook(body.decode())
            self.answer(200, {})
        elif kind == "hook":
            error = verify(name, body, dict(self.headers))
            record = {
                "id": self.headers["webhook-id"],
                "sha256": hashlib.sha256(body).hexdigest(),
                "verified": not error,
                "error": error,
            }
            with lock:
                received.setdefault(name, []).append(record)
            self.answer(400 if error else 200, record)
        else:
            self.answer(404, {})

    def do_GET(self) -> None:
        _, _, name = self.path.split("/", 2)
        with lock:
            records = list(received.get(name, []))
        self.answer(200, records)

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def verify(name: str, body: bytes, headers: dict[str, str]) -> str:
    try:
        hooks[name].verify(body, headers)
    except Exception as error:  # whatever the library objects to is a finding
        return f"{type(error).__name__}: {error}"
    return ""


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # the relay opens many connections at once


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_port}), flush=True)
sys.stdin.read()
