"""The Lambda Runtime API, served to one process at a time: the half of Lambda that a `bootstrap` talks to."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

_VERSION = "/2018-06-01/runtime/"


@dataclass(frozen=True)
class Invocation:
    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes
    deadline: float  # seconds since the epoch


@dataclass(frozen=True)
class Idle:
    """The process asked for its next invocation."""


@dataclass(frozen=True)
class Reply:
    request_id: str
    body: bytes
    is_error: bool


@dataclass(frozen=True)
class InitError:
    body: bytes


@dataclass(frozen=True)
class Exited:
    code: int


Event = Idle | Reply | InitError | Exited


class RuntimeApi:
    """Hands invocations to the process, and what the process says to `events`."""

    def __init__(self, events: Queue[Event]) -> None:
        self._invocations: Queue[Invocation | None] = Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._invocations, events))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def give(self, invocation: Invocation) -> None:
        self._invocations.put(invocation)

    def close(self) -> None:
        self._invocations.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler(invocations: Queue[Invocation | None], events: Queue[Event]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body go out in separate writes; with Nagle's algorithm each reply would wait for an ACK.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path != _VERSION + "invocation/next":
                self._answer(404)
                return
            events.put(Idle())
            invocation = invocations.get()
            if invocation is None:
                self.close_connection = True
                return
            self._answer(
                200,
                invocation.payload,
                {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                    "Lambda-Runtime-Trace-Id": invocation.trace_id,
                },
            )

        def do_POST(self) -> None:
            body = self._body()
            match self.path.removeprefix(_VERSION).split("/"):
                case ["invocation", request_id, "response" | "error" as kind]:
                    events.put(Reply(request_id, body, is_error=kind == "error"))
                case ["init", "error"]:
                    events.put(InitError(body))
                case _:
                    self._answer(404)
                    return
            self._answer(202)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers
            return body

        def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
